//! The last line of the log leads from the unit that ended the run to the cause.

use crate::common::{Running, Trc, root};

/// A service that runs until the test opens its gate, and is not started again for a while.
fn service(name: &str, after: &str, end: &str) -> String {
    format!(
        "[async.{name}]\nafter = [{after}]\nrestart = {{ when = 'always', backoff = '1h' }}\n\
         script = 'echo {name} is up; read x <$W/{name}; {end}'\n"
    )
}

/// `web`, which ends the run, after `cache` after `redis`.
fn stack(redis: &str) -> String {
    let web = service("web", "'cache'", "exit 3");
    let web = web.replace("restart = { when = 'always', backoff = '1h' }", "on_failure = 'stop'");
    [service("redis", "", redis), service("cache", "'redis'", "exit 4"), web].concat()
}

/// Lets the units fail, the first one first.
fn fall(running: &Running, order: &[&str]) {
    running.wait_for("web is up");
    for name in order {
        running.open_gate(name);
        if *name != "web" {
            running.wait_for(&format!("async.{name} "));
        }
    }
}

fn gates(trc: Trc) -> Trc {
    ["redis", "cache", "web"].into_iter().fold(trc, Trc::fifo)
}

#[test]
fn the_last_line_has_the_chain_of_failures() {
    let toml =
        format!("log.termination = '${{W}}/message'\nwait = 'forever'\n{}", stack("kill -KILL $$"));
    let trc = gates(Trc::toml(&toml)).file("message", "");
    let path = trc.path("message");
    let running = trc.spawn();
    fall(&running, &["redis", "cache", "web"]);
    running.wait_for_end();
    let message = std::fs::read_to_string(path).unwrap();
    let line = "async.web failed with status 3 <- async.cache failed with status 4 <- async.redis was \
                killed by SIGKILL; the last output of async.redis: redis is up";
    assert_eq!(message, line);
    running.finish().status(3).stderr_has(&format!("]: {line}\n"));
}

#[test]
fn a_unit_that_is_up_keeps_older_failures_out_of_the_last_line() {
    let toml = format!("wait = 'forever'\n{}", stack("exit 5"));
    let running = gates(Trc::toml(&toml)).spawn();
    fall(&running, &["redis", "web"]);
    let outcome = running.finish();
    outcome.status(3).stderr_has("]: async.web failed with status 3; its last output: web is up\n");
}

/// trc cannot raise the counter of the machine, so files stand in for the cgroup.
#[test]
fn what_the_oom_killer_takes_is_told_with_its_memory_and_the_limit() {
    if !root() {
        return;
    }
    let cgroup = "/sys/fs/cgroup/memory";
    let fake = format!(
        "mount -t tmpfs none /sys/fs/cgroup; echo oom_kill 0 >{cgroup}.events; echo 536870912 >{cgroup}.max"
    );
    let kill = format!("echo oom_kill 1 >{cgroup}.events; kill -KILL $$");
    let alone = format!("[sync.redis]\nscript = 'echo web is up; read x <$W/redis; {kill}'\n");
    let stack = format!("wait = 'forever'\n{}", stack(&kill));
    for (toml, order, before) in [
        (alone, &["redis"][..], ""),
        (
            stack,
            &["redis", "cache", "web"],
            r"async\.web failed with status 3 <- async\.cache failed with status 4 <- ",
        ),
    ] {
        let running = gates(Trc::toml(&toml))
            .pid1()
            .before(&format!("exec unshare -m sh -c '{fake}; exec \"$@\"' sh \"$@\""))
            .spawn();
        if order.len() == 1 {
            running.wait_for("web is up");
            running.open_gate("redis");
        } else {
            fall(&running, order);
        }
        let line = format!(
            r".*\]: {before}(async|sync)\.redis was killed by the OOM killer \(\d+ of 512 MiB\).*"
        );
        running.finish().status(if before.is_empty() { 137 } else { 3 }).stderr_lines(&[&line]);
    }
}

#[test]
fn what_waited_in_vain_is_told_once() {
    let db = "[async.db]\nscript = 'exit 4'\n";
    let migrate = "[async.migrate]\nafter = { db = 'succeeded' }\nexec = 'true'\n";
    let web = |on: &str| format!("[sync.web]\nafter = {{ {on} = 'succeeded' }}\nexec = 'true'\n");
    Trc::toml(&format!("{db}{}", web("db"))).run().status(4).stderr_has(
        "]: sync.web could not be started: it waits for async.db; before that async.db failed with \
         status 4\n",
    );
    Trc::toml(&format!("{db}{migrate}{}", web("migrate"))).run().status(4).stderr_has(
        "]: sync.web could not be started <- async.migrate could not be started <- async.db failed with \
         status 4\n",
    );
}

#[test]
fn a_cause_that_could_not_be_started_is_told_with_the_reason() {
    let toml = "[boot.a]\nexec = 'true'\n[async.db]\nexec = '/no/such/db'\n\
                [async.migrate]\nafter = { db = 'succeeded' }\nexec = 'true'\n\
                [sync.web]\nafter = { migrate = 'succeeded' }\nexec = 'true'\n";
    let line = "sync.web could not be started <- async.migrate could not be started <- async.db could not \
                be started: /no/such/db: no such file";
    Trc::toml(toml).run().status(127).stderr_has(line);
}
