//! `pre_start` and `post_stop`, as a user sees them.

use crate::common::{HUP, MODES, Mode, TERM, Trc, has, python, root};
use crate::control::{Asked, same};

/// Returns a unit whose command blocks once it has printed a line, with these keys.
fn web(keys: &str) -> String {
    format!("[async.web]\nexec = ['sh', '-c', 'echo up; exec cat $$W/never']\n{keys}\n")
}

#[test]
fn a_unit_starts_after_its_pre_start_and_ends_with_its_post_stop() {
    for mode in MODES {
        let keys = "pre_start = ['sh', '-c', 'echo before']\n\
                    post_stop = ['sh', '-c', 'echo after $TRC_UNIT_STATUS $TRC_UNIT_REASON']\n";
        let running = Trc::toml(&web(keys)).mode(mode).spawn();
        running.wait_for("]: up\n").signal(TERM);
        let outcome = running.finish();
        outcome.status(143);
        let lines = ["]: before\n", "]: up\n", "]: after 143 stopped\n"];
        let places = lines.map(|line| outcome.out().find(line).expect(line));
        assert!(places.is_sorted(), "{}", outcome.out());
    }
}

#[test]
fn both_run_as_the_unit_would_in_what_trc_has_made_for_it() {
    if !root() {
        return;
    }
    let say = "['sh', '-c', 'echo $(id -un) $(pwd | sed s,.*/,,) $(ulimit -n) $NAME $(cat file)']";
    let toml = format!(
        "wait = 'all'\n[sync.x]\nexec = 'true'\nuser = 'nobody'\ncwd = '${{W}}/d'\n\
         dirs = ['${{W}}/d']\nfiles.'${{W}}/d/file' = {{ text = 'made' }}\n\
         env.NAME = 'value'\nlimits.nofile = 77\npre_start = {say}\npost_stop = {say}\n"
    );
    let running = Trc::toml(&toml).before("chmod 755 $W").spawn();
    running.wait_for_times("nobody d 77 value made\n", 2);
    running.finish().status(0);
}

#[test]
fn standard_output_belongs_to_the_command_alone_if_the_log_leaves_it_to_that() {
    let toml = "[log]\nto = 'stderr'\n[sync.dump]\nexec = 'echo dumped'\n\
                pre_start = 'echo before'\npost_stop = 'echo after'\n";
    let outcome = Trc::toml(toml).run();
    outcome.status(0).stderr_has("before\n").stderr_has("after\n");
    assert_eq!(outcome.out(), "dumped\n");
}

#[test]
fn a_pre_start_may_change_a_file_that_trc_has_written() {
    let toml = "wait = 'all'\n[sync.x]\nexec = ['cat', '${W}/file']\n\
                files.'${W}/file' = { text = 'written' }\n\
                pre_start = ['sh', '-c', 'echo changed > $$W/file']\n";
    Trc::toml(toml).run().status(0).stdout_has("changed\n").stdout_lacks("written");
}

#[test]
fn the_failure_of_a_pre_start_is_that_of_its_unit() {
    for (pre_start, status, said) in [
        (
            "['sh', '-c', 'exit 3']",
            3,
            "sync.x could not be started: its pre_start failed with status 3",
        ),
        (
            "['sh', '-c', 'kill -9 $$$$']",
            137,
            "sync.x could not be started: its pre_start was killed by SIGKILL",
        ),
        ("'nosuch'", 127, "its pre_start could not be executed: nosuch: command not found in PATH"),
        ("'/'", 126, "its pre_start could not be executed: /: Permission denied"),
        (
            "{ exec = 'sleep 1000', within = '10ms' }",
            124,
            "sync.x could not be started: its pre_start did not exit in time",
        ),
    ] {
        let toml = format!("[sync.x]\nexec = 'echo up'\npre_start = {pre_start}\n");
        Trc::toml(&toml).run().status(status).stderr_has(said).stdout_lacks("]: up");
    }
}

#[test]
fn a_failed_pre_start_is_restarted_as_its_unit_would_be() {
    let keys = "restart = { when = 'on-failure', backoff = '1ms..1ms' }\n\
                pre_start = ['sh', '-c', 'echo x >> $$W/tries; [ $(wc -l < $$W/tries) = 3 ]']\n";
    let running = Trc::toml(&web(keys)).spawn();
    running.wait_for("]: up\n").signal(TERM);
    running.finish().status(143).stderr_has("its pre_start failed with status 1 (restart 2");
}

#[test]
fn a_stop_ends_a_pre_start_with_all_its_processes() {
    for mode in MODES {
        let keys = "stop.signal = 'HUP'\nstop.exec = 'false'\n\
                    pre_start = ['sh', '-c', 'cat $W/never & cat $W/never & echo before; wait']\n\
                    post_stop = ['sh', '-c', 'echo after $TRC_UNIT_STATUS $TRC_UNIT_REASON']\n";
        let running = Trc::toml(&web(keys)).mode(mode).spawn();
        running.wait_for("]: before\n").signal(TERM);
        running
            .finish()
            .status(143)
            .stdout_has("]: after 143 stopped\n")
            .stdout_lacks("]: up\n")
            .stdout_has("stopping the pre_start of async.web: SIGTERM, then SIGKILL after 5 s")
            .stderr_lacks("SIGKILL for")
            .stderr_lacks("stop command");
    }
}

#[test]
fn whatever_a_pre_start_leaves_is_gone_before_its_unit_runs() {
    if !has("setsid") {
        return;
    }
    for mode in MODES {
        // The first one stays in the process group, the second one does not.
        for detach in ["", "setsid "] {
            let keys = format!(
                "pre_start = ['sh', '-c', '{detach}sh -c \"echo $$$$ > $W/left; exec cat $W/never\" & read x < $W/left']\n\
                 restart = 'no'\n"
            );
            let toml = format!(
                "[async.web]\nexec = ['sh', '-c', 'while kill -0 $(cat $W/pid) 2>&-; do :; done; echo up; exec cat $$W/never']\n{}",
                keys.replace("$W/left", "$W/pid")
                    .replace("read x < $W/pid", "while ! [ -s $W/pid ]; do :; done")
            );
            let running = Trc::toml(&toml).mode(mode).spawn();
            running
                .wait_for("killing the processes that the pre_start of async.web has left running");
            running.wait_for("]: up\n").signal(TERM);
            running.finish().status(143);
        }
    }
}

#[test]
fn signals_that_are_forwarded_do_not_reach_a_pre_start() {
    let keys = "pre_start = ['sh', '-c', 'echo before; read x < $W/gate']\n";
    let toml = format!("[signals]\nHUP = {{ forward = 'HUP' }}\n{}", web(keys));
    let running = Trc::toml(&toml).fifo("gate").spawn();
    running.wait_for("]: before\n").signal(HUP);
    running.open_gate("gate");
    running.wait_for("]: up\n").signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_line_of_a_pre_start_or_a_file_of_it_is_not_the_readiness_of_its_unit() {
    let keys = "ready = { log = 'now' }\n\
                pre_start = ['sh', '-c', 'echo now; read x < $W/gate']\n";
    let running = Trc::toml(&web(keys).replace("echo up", "echo now; echo up"));
    let running = running.fifo("gate").spawn();
    running.wait_for("]: now\n");
    running.open_gate("gate");
    running.wait_for("async.web is ready").signal(TERM);
    let outcome = running.finish();
    let ready =
        outcome.err().find("async.web is ready").or(outcome.out().find("async.web is ready"));
    assert!(ready.is_some());
    outcome.status(143);
}

#[test]
fn post_stop_sees_how_its_unit_has_ended_and_never_changes_that() {
    for (keys, status, sees) in [
        ("exec = 'sh -c \"exit 3\"'", 3, "3 exited"),
        ("exec = 'true'\nwait = ''", 0, "0 exited"),
        ("exec = ['sh', '-c', 'kill -9 $$$$']", 137, "137 killed"),
        ("exec = 'sleep 1000'\nmax_runtime = '10ms'", 124, "143 max-runtime"),
        (
            "exec = 'sleep 1000'\nready = { file = '/nowhere/x', within = '10ms' }",
            124,
            "143 not-ready",
        ),
        ("exec = 'true'\npre_start = ['sh', '-c', 'exit 5']", 5, "5 pre-start"),
        ("exec = 'nosuch'\npre_start = 'true'", 127, "127 not-started"),
    ] {
        let keys = keys.replace("\nwait = ''", "");
        let post_stop = "['sh', '-c', 'echo ended $TRC_UNIT_STATUS $TRC_UNIT_REASON; exit 9']";
        let toml = format!("wait = 'all'\n[sync.x]\n{keys}\npost_stop = {post_stop}\n");
        let toml = format!("[log]\noutput = 'prefix'\n{}", toml.replacen("wait = 'all'\n", "", 1));
        let toml = format!("wait = 'all'\n{toml}");
        Trc::toml(&toml)
            .run()
            .status(status)
            .stdout_has(&format!("ended {sees}\n"))
            .stderr_has("the post_stop of sync.x failed");
    }
}

#[test]
fn post_stop_does_not_run_if_nothing_was_executed() {
    let toml = "wait = 'all'\n[sync.x]\nexec = 'nosuch'\npost_stop = 'echo after'\n";
    Trc::toml(toml).run().status(127).stdout_lacks("after");
}

#[test]
fn a_restart_and_whatever_waits_for_the_end_wait_for_post_stop() {
    let toml = "[async.once]\nexec = 'true'\noneshot = true\n\
                post_stop = ['sh', '-c', 'echo after; read x < $W/gate; echo really']\n\
                [sync.next]\nexec = 'echo next'\nafter = { once = 'exited' }\n";
    let it = Asked::of(Trc::toml(toml).fifo("gate").control());
    it.running.wait_for("]: after\n");
    let unit = it.get("/v1/units/once").body;
    same(&unit["phase"], "finishing");
    same(&unit["why"], "has exited, and runs its post_stop");
    it.running.open_gate("gate");
    let outcome = it.running.finish();
    let places = ["]: really\n", "next\n"].map(|line| outcome.out().find(line).expect(line));
    assert!(places.is_sorted(), "{}", outcome.out());
    outcome.status(0);
}

#[test]
fn a_post_stop_that_takes_too_long_is_killed_with_its_process_group() {
    for mode in MODES {
        let toml = "wait = 'all'\n[sync.x]\nexec = 'true'\n\
                    post_stop = { exec = ['sh', '-c', 'cat $W/never & cat $W/never'], within = '50ms' }\n";
        Trc::toml(toml).mode(mode).run().status(0).stderr_has(
            "killing the post_stop of sync.x: it did not exit within 0.05 s (post_stop.within)",
        );
    }
}

#[test]
fn processes_that_a_post_stop_leaves_are_killed_before_the_next_start() {
    if !has("setsid") {
        return;
    }
    for mode in MODES {
        // The first one stays in the process group, the second one does not.
        for detach in ["", "setsid "] {
            let toml = format!(
                "[async.web]\nrestart = {{ when = 'always', backoff = '1ms..1ms' }}\n\
                 exec = ['sh', '-c', '[ -s $W/pid ] || exit 0; while kill -0 $(cat $W/pid) 2>&-; do :; done; echo again; exec cat $$W/never']\n\
                 post_stop = ['sh', '-c', '[ -s $W/pid ] || {detach}sh -c \"echo $$$$ > $W/pid; exec cat $W/never\" & while ! [ -s $W/pid ]; do :; done']\n"
            );
            let running = Trc::toml(&toml).mode(mode).spawn();
            running.wait_for(
                "killing the processes that the post_stop of async.web has left running: cat ",
            );
            running.wait_for("]: again\n").signal(TERM);
            running.finish().status(143);
        }
    }
}

#[test]
fn processes_that_a_post_stop_leaves_are_killed_even_if_the_unit_does_not_start_again() {
    let toml = "[async.once]\noneshot = true\nexec = 'true'\n\
                post_stop = ['sh', '-c', 'cat $W/never & echo $! > $W/pid']\n\
                [sync.next]\nafter = { once = 'exited' }\n\
                exec = ['sh', '-c', 'while kill -0 $(cat $W/pid) 2>&-; do :; done; echo next']\n";
    for mode in MODES {
        Trc::toml(toml).mode(mode).run().status(0).stdout_has("next\n");
    }
}

#[test]
fn a_test_run_reports_a_post_stop_that_fails_is_slow_or_leaves_processes() {
    let zombie = format!(
        "['{}', '-c', 'import os; pid = os.fork() or os._exit(0); os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)']",
        python()
    );
    for (post_stop, says) in [
        ("'true'", None),
        // It has left a zombie, which is nothing that runs.
        (&zombie, None),
        ("['sh', '-c', 'echo odd; exit 9']", Some("failed with status 9")),
        ("'nosuch'", Some("nosuch: command not found in PATH")),
        (
            "{ exec = 'sleep 1000', within = '10ms' }",
            Some("it did not exit within 0.01 s and was killed: raise post_stop.within"),
        ),
        (
            "['sh', '-c', 'sleep 1000 &']",
            Some("which trc killed: post_stop has to wait for the processes that it starts"),
        ),
    ] {
        let toml = format!(
            "{}[test.t]\nexec = 'true'\n",
            web(&format!("ready = {{ log = 'up' }}\npost_stop = {post_stop}"))
        );
        let outcome = Trc::toml(&toml).arg("--test").run();
        let fails = says.is_some();
        outcome.status(i32::from(fails));
        outcome.stdout_has(if fails {
            "not ok 4 - async.web.post_stop"
        } else {
            "ok 4 - async.web.post_stop"
        });
        outcome.stdout_has(says.unwrap_or("ok 4"));
        if fails {
            let allows = format!("{toml}allow = ['async.web.post_stop']\n");
            Trc::toml(&allows).arg("--test").run().status(0);
        }
    }
}

#[test]
fn boot_and_halt_units_and_jobs_have_them_too() {
    let around = "pre_start = ['sh', '-c', 'echo before $TRC_UNIT']\n\
                  post_stop = ['sh', '-c', 'echo after $TRC_UNIT']\n";
    let toml = format!(
        "[boot.b]\nexec = 'echo in boot.b'\n{around}[halt.h]\nexec = 'echo in halt.h'\n{around}\
         [async.job]\nexec = 'echo in async.job'\nschedule = {{ when = '@yearly', at_start = true }}\n{around}\
         [sync.x]\nexec = ['sh', '-c', 'read x < $W/gate']\n"
    );
    let running = Trc::toml(&toml).fifo("gate").spawn();
    running.wait_for("after async.job\n");
    running.open_gate("gate");
    let outcome = running.finish();
    let whole = ["boot.b", "async.job", "halt.h"]
        .map(|unit| ["before", "in", "after"].map(|what| format!("{what} {unit}\n")));
    let places: Vec<usize> =
        whole.iter().flatten().map(|line| outcome.out().find(line.as_str()).expect(line)).collect();
    assert!(places.is_sorted(), "{}", outcome.out());
    outcome.status(0);
}

#[test]
fn people_see_that_a_pre_start_runs_and_may_stop_it() {
    let keys = "pre_start = ['sh', '-c', 'echo before; read x < $W/gate']\n";
    let toml = format!("[sync.main]\nscript = 'exec cat $W/never'\n{}", web(keys));
    let it = Asked::of(Trc::toml(&toml).fifo("gate").mode(Mode::Subreaper).control());
    it.running.wait_for("]: before\n");
    let unit = it.get("/v1/units/web").body;
    same(&unit["phase"], "starting");
    same(&unit["why"], "runs its pre_start");
    same(&it.get("/v1/health").body["state"], "starting");
    let done = it.done("/v1/units/web/stop");
    same(&done["status"], "done");
    same(&it.get("/v1/units/web").body["wanted"], "held");
    it.running.signal(TERM);
    it.running.finish().status(143).stdout_lacks("]: up\n");
}
