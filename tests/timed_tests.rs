//! Tests of images that ask for more than a moment: jobs that have a schedule, and services that are
//! down for a while.

use crate::common::{Outcome, Trc, python};

fn tested(toml: &str) -> Trc {
    Trc::toml(toml).file("hello", "up\n").arg("--test")
}

/// A service that prints that it is up, and runs until it is asked to exit.
const SERVICE: &str = "[async.web]\nexec = ['cat', '${W}/hello', '${W}/never']\nready.log = 'up'\n";

fn has(outcome: &Outcome, lines: &[&str]) {
    for line in lines {
        outcome.stdout_has(&format!("{line}\n"));
    }
}

#[test]
fn a_test_runs_a_job_now_and_then_looks_at_what_it_has_done() {
    let toml = format!(
        "{SERVICE}[async.backup]\nschedule = '0 3 * * *'\n\
         script = 'echo saving; echo data >>$W/saved; [ $(wc -l <$W/saved) -lt 3 ]'\n\
         [test.saves]\nexpect = {{ job = 'backup', file = {{ path = '${{W}}/saved', contains = 'data' }} }}\n\
         [test.again]\nexec = ['wc', '-l', '${{W}}/saved']\n\
         expect = {{ job = 'backup', stdout = '2 ', log = {{ contains = 'saving' }} }}\n\
         [test.fails]\nexpect = {{ job = 'backup', tcp = 1 }}\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1);
    has(
        &outcome,
        &[
            "    ok 1 - async.backup succeeds",
            "ok 1 - test.saves",
            "ok 2 - test.again",
            "    1..1\n    not ok 1 - async.backup succeeds",
            "not ok 3 - test.fails",
            "ok 6 - async.backup.run",
        ],
    );
    outcome.stdout_has("it failed with status 1; its last output: saving");
}

#[test]
fn a_job_that_takes_too_long_or_cannot_start_says_so() {
    let toml = format!(
        "{SERVICE}[async.long]\nschedule = 'every 1h'\nexec = ['cat', '${{W}}/never']\n\
         [async.late]\nexec = ['cat', '${{W}}/never']\nready.file = '${{W}}/missing'\n\
         [async.waits]\nschedule = 'every 1h'\nexec = 'true'\nafter = ['late']\n\
         [test.long]\nafter = ['web']\nexpect = {{ job = 'long', within = '300ms' }}\n\
         [test.waits]\nafter = ['web']\nallow = 'late.run'\nexpect = {{ job = 'waits', within = '100ms' }}\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1).stdout_has("it still ran after 0.3 s");
    outcome.stdout_has("it had not started after 0.1 s: it waits for async.late");
    // What the test did not wait for is stopped with all others.
    has(&outcome, &["ok 4 - async.web.stop", "ok 5 - async.long.run", "ok 6 - async.long.stop"]);
}

#[test]
fn what_everything_has_left_when_it_has_stopped_is_a_point() {
    let saves = "[async.db]\nready.log = 'up'\nscript = '''exec 9<>$W/never; trap 'echo hello >$W/dump; exit 0' TERM
    : >$W/pid; echo up; while :; do read x <&9; done'''\n\
                 [halt.tidy]\nscript = 'rm $W/dump'\n\
                 [test.saves]\nafter = ['db']\nexpect.after_stop.file = { path = '${W}/dump', contains = 'hello' }\n\
                 [test.cleans]\nafter = ['db']\nexpect = { tcp = PORT, after_stop.file = { path = '${W}/pid', exists = false } }\n";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let saves = saves.replace("PORT", &listener.local_addr().unwrap().port().to_string());
    let outcome = tested(&saves).run();
    outcome.status(1).stdout_has("pid does not exist; found: it exists");
    has(
        &outcome,
        &[
            "ok 1 - test.saves",
            "ok 2 - test.cleans",
            "ok 6 - test.saves.after_stop",
            "not ok 7 - test.cleans.after_stop",
        ],
    );
    let allowed = saves.replace("[test.cleans]", "[test.cleans]\nallow = 'cleans.after_stop'");
    tested(&allowed).run().status(0).stdout_has("not ok 7 - test.cleans.after_stop # TODO");
}

/// A database that has a file while it runs.
const DB: &str =
    "[async.db]\nready.log = 'up'\nscript = '''exec 9<>$W/go; trap 'rm $W/db; exit 0' TERM
if [ -e $W/spoilt ]; then exit 5; fi; : >$W/db; echo up; while :; do read x <&9; done'''\n";

#[test]
fn what_works_while_a_unit_is_down_and_that_it_comes_up_again_is_tested() {
    let down = "[test.down]\nafter = ['db']\n\
                expect = { fault = { unit = 'db', down = true }, holds = '200ms', \
                file = { path = '${W}/db', exists = false } }\n";
    let up = "[test.up]\nafter = ['down', 'db']\nexpect.file = '${W}/db'\n";
    for restart in ["", "restart = { when = 'always', backoff = '1ms' }\n"] {
        let outcome = tested(&format!("{SERVICE}{DB}{restart}{down}{up}")).run();
        outcome.status(0);
        let lines =
            ["ok 1 - test.down", "ok 2 - test.up", "ok 5 - async.db.run", "ok 6 - async.db.stop"];
        has(&outcome, &lines);
    }
    // It is down, so the check fails, and it comes back for the test after it.
    let there = down
        .replace("exists = false", "contains = 'x'")
        .replace("holds = '200ms'", "within = '300ms'");
    let outcome = tested(&format!("{DB}{there}{up}")).run();
    outcome.status(1);
    has(&outcome, &["not ok 1 - test.down", "ok 2 - test.up", "ok 3 - async.db.run"]);
    // It does not come back.
    let spoils = down.replace("expect =", "script = ': >$W/spoilt'\nexpect =");
    let outcome = tested(&format!("{SERVICE}{DB}{spoils}")).run();
    outcome.status(1).stdout_has("the test kept async.db down, and it was not up again");
    outcome.stdout_has("it failed with status 5");
    // It does not stop.
    let stubborn = format!(
        "{SERVICE}[async.db]\nstop.timeout = '1s'\nready.log = 'up'\n\
         script = \"trap '' TERM; exec cat $W/hello $W/never\"\n{}",
        down.replace("holds = '200ms'", "within = '300ms'")
    );
    let outcome = tested(&stubborn).run();
    outcome.status(1).stdout_has("async.db still ran 0.3 s after trc had begun to stop it");
}

/// A server whose answers take 0.3 s. When it is told to stop, it closes its socket, and either lets
/// requests end or not.
fn slow_server(on_stop: &str, socket: &str) -> String {
    format!(
        "import os, signal, socket, threading, time\n\
         def stop(*_):\n    {on_stop}\n\
         signal.signal(signal.SIGTERM, stop)\n\
         s = {socket}\n\
         def serve(c):\n    c.recv(9999); time.sleep(.3)\n    \
         c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'); c.close()\n\
         print('up', flush=True)\n\
         while True:\n    threading.Thread(target=serve, args=(s.accept()[0],)).start()\n"
    )
}

#[test]
fn what_holds_at_any_moment_of_a_restart_or_a_fault_is_tested() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = format!("socket.create_server(('127.0.0.1', {free}))");
    let graceful = "s.close(); raise SystemExit(0)";
    let asks = format!("http = 'http://127.0.0.1:{free}/'");
    let run = |server: String, unit: &str, expect: String| {
        let toml = format!(
            "[async.web]\nexec = ['{}', '${{W}}/server']\nready.log = 'up'\n{unit}\
             [test.t]\nafter = ['web']\nexpect = {{ {expect} }}\n",
            python()
        );
        tested(&toml).file("server", server).run()
    };
    // A request that has begun gets its answer, or does not.
    let gap = format!("restart = 'web', during = {{ {asks}, longest_gap = '20s', broken = 0 }}");
    // Whoever waits in the queue of the socket is taken, too.
    let drains = "s.settimeout(0)\n    try:\n        while True: \
                  threading.Thread(target=serve, args=(s.accept()[0],)).start()\n    \
                  except OSError: pass\n    s.close(); raise SystemExit(0)";
    let outcome = run(slow_server(drains, &own), "", gap.clone());
    outcome.status(0).stdout_has(" tries, ");
    let outcome = run(slow_server("s.close(); os._exit(0)", &own), "", gap);
    outcome.status(1).stdout_has("1 of them after their connection was accepted");
    // While it is away, nobody gets an answer, unless its socket stays open.
    let none = format!("restart = 'web', during = {{ {asks}, every = '20ms' }}");
    let outcome = run(slow_server(graceful, &own), "", none.clone());
    outcome.status(1).stdout_has("the first failed after");
    let inherited = "socket.socket(fileno=3)";
    let listen = format!("listen = ['127.0.0.1:{free}']\n");
    let outcome = run(slow_server(graceful, inherited), &listen, none);
    outcome.status(0).stdout_has("answers at any moment: ").stdout_has(" tries, 0 failed");
    // A fault makes a gap, which may be too long.
    let crash = |most: &str| {
        let fault = "fault = { unit = 'web', kill = 'SIGKILL' }";
        format!("{fault}, during = {{ tcp = {free}, longest_gap = '{most}' }}")
    };
    let always = "restart = { when = 'always', backoff = '400ms' }\n";
    run(slow_server(graceful, &own), always, crash("20s")).status(0);
    let outcome = run(slow_server(graceful, &own), always, crash("50ms"));
    outcome.status(1).stdout_has("longest gap ");
}
