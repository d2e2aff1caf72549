//! Images that test themselves: test mode with real processes, its findings, its output and its
//! exit status.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::thread;

use crate::common;
use crate::common::{MODES, NEVER, Outcome, Running, TERM, Trc, python, root, table};

/// A service that prints that it is up, and runs until it is asked to exit.
const SERVICE: &str = "[async.web]\nexec = ['cat', '${W}/hello', '${W}/never']\nready.log = 'up'\n";

fn trc(toml: &str) -> Trc {
    Trc::toml(toml).file("hello", "up\n")
}

fn tested(toml: &str) -> Trc {
    trc(toml).arg("--test")
}

/// Returns the lines of a report with the results of test points.
fn points(outcome: &Outcome) -> Vec<String> {
    let out = outcome.out();
    let is_point = |line: &&str| line.starts_with("ok ") || line.starts_with("not ok ");
    out.lines().filter(is_point).map(str::to_owned).collect()
}

/// An HTTP server that answers `it works` to everybody while the tests run.
fn server() -> u16 {
    serving(b"HTTP/1.1 200 OK\r\nX-Kind: test\r\nContent-Length: 8\r\n\r\nit works")
}

/// A server that redirects everybody to a place where nobody listens.
fn redirecting() -> u16 {
    serving(
        b"HTTP/1.1 301 Moved\r\nLocation: https://www.example.org/\r\nContent-Length: 5\r\n\r\nmoved",
    )
}

#[expect(clippy::disallowed_methods, reason = "a test may start a thread")]
fn serving(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = BufReader::new(client.unwrap());
            // A client that only connects asks nothing.
            let mut asked = client.by_ref().lines().map_while(Result::ok);
            if asked.any(|line| line.is_empty()) {
                let _ = client.get_mut().write_all(answer);
            }
        }
    });
    port
}

/// This used to be an error in the configuration, although `trc` without tests started.
#[test]
fn a_test_of_what_this_run_does_not_have_is_skipped() {
    let outcome = tested(&format!(
        "{SERVICE}[async.off]\nexec = 'x'\nenabled = false\n[sync.cmd]\numask = '022'\n\
         [test.is]\nafter = ['web']\nexec = 'true'\n\
         [test.off]\nafter = ['off']\nexec = 'false'\n\
         [test.cmd]\nexec = 'false'\nexpect.fault = {{ unit = 'cmd', kill = 'KILL' }}\n\
         [test.d]\nexec = 'false'\nafter = ['D1', 'async.D2']\n",
    ))
    .run();
    outcome.status(0).stderr_has("test.off will be skipped: async.off is disabled");
    for line in [
        "ok 1 - test.is",
        "ok 2 - test.off # SKIP async.off is disabled",
        "ok 3 - test.cmd # SKIP sync.cmd is not on this command line",
        "ok 4 - test.d # SKIP async.D1 is not on this command line",
    ] {
        outcome.stdout_has(&format!("{line}\n"));
    }
}

#[test]
fn an_image_starts_is_tested_and_stops_and_the_status_is_the_verdict() {
    table(
        &MODES,
        |mode| format!("{mode:?}"),
        |mode| {
            let toml = format!(
                "{SERVICE}[boot.prepare]\nscript = 'export GREETING=hello'\n\
             [test.greets]\ndescription = 'it greets'\nscript = 'echo $GREETING $TRC_STAGE'\n\
             expect.stdout = 'hello test'\n\
             [halt.bye]\nscript = 'echo bye $TRC_EXIT_STATUS'\n"
            );
            let outcome = tested(&toml).mode(*mode).run();
            outcome.status(0);
            assert_eq!(
                points(&outcome),
                [
                    "ok 1 - test.greets: it greets",
                    "ok 2 - boot.prepare.run",
                    "ok 3 - async.web.run",
                    "ok 4 - async.web.stop",
                    "ok 5 - halt.bye.run",
                    "ok 6 - orphans",
                    "ok 7 - sessions",
                    "ok 8 - zombies",
                    "ok 9 - shutdown",
                ]
            );
            // Standard output has the report and nothing else.
            assert!(outcome.out().starts_with("TAP version 14\n"));
            outcome.stdout_lacks("trc [").stdout_has("\n1..9\n");
            outcome.stderr_lines(&[
                r"<main/\d+\]: Launching the test: greets: echo \$GREETING \$TRC_STAGE",
                r"<main/\d+\]: test\.greets passed",
                r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
                r"<bye/\d+\]: bye 0",
                r"<main/\d+\]: Exited \(exitcode=0\)",
            ]);
        },
    );
}

#[test]
fn in_production_a_test_never_runs() {
    let toml = "[sync.main]\nexec = 'true'\n[test.t]\nscript = 'touch $W/ran'\n";
    let outcome = Trc::toml(toml).run();
    outcome.status(0).stdout_lacks("TAP").stderr_lacks("test");
    Trc::toml("[test.t]\nexec = 'true'\n").arg("true").run().status(0).stdout_lacks("TAP");
}

#[test]
fn tests_are_chosen_by_the_variable_and_by_the_flag() {
    let toml = "[test.a]\nexec = 'true'\n[test.b]\nexec = 'true'\n[test.c]\nexec = 'true'\n";
    for (trc, names) in [
        (Trc::toml(toml).env("TRC_TEST", "1"), "abc"),
        (Trc::toml(toml).env("TRC_TEST", "a,c"), "ac"),
        (trc(toml).arg("--test"), "abc"),
        (Trc::toml(toml).arg("--test=b"), "b"),
        // As with docker, the image's command stays, and is a unit.
        (Trc::toml(toml).env("TRC_TEST", "a").args(&["sh", "-c", NEVER]), "a"),
    ] {
        let outcome = trc.run();
        outcome.status(0);
        let ran: String = points(&outcome)
            .iter()
            .filter_map(|point| point.split_once("test.").map(|(_, name)| name.to_owned()))
            .collect();
        assert_eq!(ran, names);
    }
}

#[test]
fn the_list_of_tests_runs_nothing() {
    let toml = "[boot.b]\nscript = 'touch $W/ran'\n[test.smtp]\ndescription = 'mail'\nexec = 'x'\n\
                [test.long-name]\nexec = 'x'\n";
    let running = Trc::toml(toml).arg("--test-list").spawn();
    running.wait_until("it has ended", || running.ended());
    assert!(!running.path("ran").exists());
    running.finish().status(0).stdout_is("smtp       mail\nlong-name\n");
}

#[test]
fn a_failed_test_says_what_was_expected_what_came_and_what_units_said_last() {
    let toml = format!(
        "{SERVICE}[test.bad]\nscript = 'echo one; echo two >&2; exit 4'\n\
         expect = {{ stdout = ['one', 'three'], stderr = '!two' }}\n\
         [test.good]\nexec = 'true'\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1).stderr_has("1 of 2 tests failed: test.bad");
    outcome.stderr_lines(&[
        r"<main/\d+\]: test\.bad failed: expected: exit status is 0; found: it exited with 4.* \(and 2 more\)",
        r"<main/\d+\]: test\.good passed",
    ]);
    for text in [
        "    not ok 1 - exit status is 0\n",
        "    ok 2 - stdout has \"one\"\n",
        "    not ok 3 - stdout has \"three\"\n",
        "    not ok 4 - stderr lacks \"two\"\n",
        "not ok 1 - test.bad\n",
        "it exited with 4",
        "ok 2 - test.good\n",
        "async.web",
    ] {
        outcome.stdout_has(text);
    }
}

#[test]
fn everything_that_can_be_asked_natively_is() {
    let port = server();
    let uid = nix::unistd::geteuid();
    let user = if root() { "root".to_owned() } else { uid.to_string() };
    let toml = format!(
        "{SERVICE}[test.http.expect.http]\nurl = 'http://127.0.0.1:{port}/'\nstatus = 200\n\
         body = ['it works', '!error']\nheaders = {{ x-kind = 'test', server = '!nginx' }}\n\
         [test.ports]\nexpect = {{ tcp = '127.0.0.1:{port}', listening = ['127.0.0.1:{port}', '!127.0.0.2:{port}'] }}\n\
         [test.socket]\nexpect.unix = '${{W}}/socket'\n\
         [test.file.expect.file]\npath = '/etc/passwd'\nmode = '644'\nowner = 'root:root'\n\
         contains = ['root:', '!nobody-is-called-so']\n\
         [test.gone]\nexpect.file = {{ path = '/no/such', exists = false }}\n\
         [test.running]\nexpect = {{ running = ['cat', 'hello ${{W}}/never', '!no-such-process'], user = '{user}', within = '10s' }}\n\
         [test.user]\nafter = ['web']\nexpect.user = '{user}'\n\
         [test.small]\nafter = ['web']\nexpect = {{ max_rss = '64MiB', max_cpu = '5s', max_fds = 64, max_processes = 1 }}\n\
         [test.ready]\nafter = ['web']\nexpect.ready_within = '20s'\n\
         [test.uid]\nexpect.uid = {uid}\n\
         [test.log]\nexpect.log = {{ unit = 'web', contains = 'up', forbids = 'ERROR' }}\n",
    );
    let trc = tested(&toml);
    let _socket = UnixListener::bind(trc.path("socket")).unwrap();
    let outcome = trc.run();
    outcome.status(0);
    assert_eq!(points(&outcome).iter().filter(|point| point.contains("test.")).count(), 11);
    // Each line of `expect` was checked.
    let asked = outcome.out().matches("\n    ok ").count();
    assert_eq!(asked, 19, "{}", outcome.out());
}

#[test]
fn what_is_not_so_is_named_with_what_is() {
    struct Row {
        test: &'static str,
        found: &'static str,
    }
    let rows = [
        Row { test: "expect.tcp = '127.0.0.1:1'", found: "connection refused; " },
        Row { test: "expect.tcp = 1", found: "listening port" },
        Row { test: "expect.http = 'http://[::1]:1/'", found: "listening port" },
        Row { test: "expect.unix = '/no/such'", found: "/no/such" },
        Row { test: "expect.listening = '1/tcp'", found: "1/tcp" },
        Row { test: "expect.file = '/no/such'", found: "it does not exist" },
        Row { test: "expect.file = { path = '/etc/passwd', mode = '600' }", found: "644" },
        Row { test: "expect.file = { path = '/etc/passwd', owner = 'nobody' }", found: "root" },
        Row { test: "expect.file = { path = '/etc/passwd', contains = 'xyzzy' }", found: "xyzzy" },
        Row { test: "expect.running = 'no-such-process'", found: "no-such-process" },
        Row { test: "expect.running = '!cat'", found: "cat" },
        Row { test: "expect = { running = 'cat', user = 'nobody' }", found: "root" },
        Row { test: "expect.user = 'nobody'", found: "async.web" },
        Row { test: "expect.log.contains = 'never said'", found: "no line matches" },
        Row {
            test: "expect = { log = { contains = 'up', forbids = 'up' }, within = '300ms' }",
            found: "the line",
        },
        Row { test: "expect.max_rss = 4096", found: "async.web" },
        Row { test: "expect.max_fds = 1", found: "async.web" },
        Row {
            test: "after = ['forks']\nexpect.max_processes = 1\n\
                   [async.forks]\nexec = ['sh', '-c', 'cat $W/never & exec cat $W/never']",
            found: "async.forks has 2 processes",
        },
        Row { test: "after = ['plain']\nexpect.ready_within = '1s'", found: "readiness check" },
        Row { test: "expect.uid = 4711", found: "0" },
        Row { test: "expect.read_only_root = true", found: "the root file system is writable" },
        Row {
            test: "exec = 'no-such-command'",
            found: "no-such-command: command not found in PATH",
        },
        Row { test: "exec = ['sh', '-c', 'kill -9 $$$$']", found: "SIGKILL" },
        Row {
            test: "script = 'yes | head -c 2000000'\nexpect.stdout = '!no'",
            found: "it is longer than 1 MiB, and trc keeps no more than that",
        },
        Row {
            test: "script = 'cat $W/never'\nmax_runtime = '100ms'",
            found: "did not exit within 0.1",
        },
    ];
    if !root() {
        return;
    }
    table(
        &rows,
        |row| row.test.to_owned(),
        |row| {
            let outcome = tested(&format!(
                "{SERVICE}[async.plain]\nexec = ['cat', '${{W}}/never']\n[test.t]\n{}\n",
                row.test
            ))
            .run();
            outcome.status(1).stdout_has("not ok 1 - test.t\n").stdout_has("    not ok ");
            let out = outcome.out();
            let before = out.split("not ok 1 - test.t").nth(1).unwrap().to_lowercase();
            assert!(before.contains(&row.found.to_lowercase()), "{out}");
        },
    );
}

#[test]
fn an_answer_is_looked_at_as_a_whole() {
    let port = server();
    for (expect, found) in [
        ("body = 'it works'", None),
        ("body = '/^it/'\nheaders.x-kind = 'test'", None),
        ("body = '!it works'", Some("its body has")),
        ("body = 'it failed'", Some("its body lacks")),
        ("headers.x-kind = '!test'", Some("x-kind")),
        ("headers.x-other = 'x'", Some("x-other")),
        ("status = 404", Some("it answered 200")),
    ] {
        let toml = format!("[test.t.expect.http]\nurl = 'http://127.0.0.1:{port}/'\n{expect}\n");
        let outcome = tested(&toml).run();
        outcome.status(i32::from(found.is_some())).stdout_has(found.unwrap_or("ok 1 - test.t\n"));
    }
}

/// The server listens, but nobody else can reach it.
#[test]
fn a_port_alone_that_only_the_loopback_listens_on_fails() {
    for bound in ["127.0.0.1:0", "[::1]:0"] {
        // An image may have no IPv6.
        let Ok(listener) = std::net::TcpListener::bind(bound) else { continue };
        let address = listener.local_addr().unwrap();
        let port = address.port();
        for listening in [format!("{port}"), format!("'{port}/tcp'")] {
            let outcome = tested(&format!("[test.t]\nexpect.listening = {listening}\n")).run();
            outcome.status(1).stdout_has(&format!(
                "{port}/tcp can be reached from within the container only: something listens on \
                 {address}/tcp; if that is intended, write the address in the check"
            ));
        }
        let named = format!("[test.t]\nexpect.listening = '{address}'\n");
        tested(&named).run().status(0);
    }
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    tested(&format!("[test.t]\nexpect.listening = {port}\n")).run().status(0);
}

/// A page that redirects to a place where nobody listens serves nothing.
#[test]
fn a_redirect_fails_a_test_that_did_not_ask_for_one() {
    let port = redirecting();
    let to =
        "it answered 301, a redirect to \"https://www.example.org/\", which trc does not follow";
    for (expect, passes) in [
        ("", false),
        ("body = 'moved'", false),
        ("status = ['2xx', 302]", false),
        ("status = 301", true),
        ("status = ['2xx', '3xx']", true),
        ("status = 301\nheaders.location = '/^https:/'", true),
    ] {
        let toml = format!("[test.t.expect.http]\nurl = 'http://127.0.0.1:{port}/'\n{expect}\n");
        let outcome = tested(&toml).run();
        outcome.status(i32::from(!passes));
        if !passes {
            outcome.stderr_has(to);
        }
    }
    // A server that redirects is up.
    let ready = format!(
        "[async.web]\nexec = ['cat', '${{W}}/never']\nready.http = 'http://127.0.0.1:{port}/'\n\
         [test.t]\nafter = ['web']\nexec = 'true'\n"
    );
    tested(&ready).run().status(0);
}

#[test]
fn a_time_that_ran_out_is_told_as_it_was_written() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let toml = format!("[test.t]\nexpect.http = 'http://{address}/'\nmax_runtime = '0.4s'\n");
    tested(&toml).run().status(1).stderr_has(&format!("http://{address}/: no answer within 0.4 s"));
}

/// With `ignore`, a unit's failure is only reported, but it fails a strict run.
#[test]
fn a_health_check_whose_failure_is_ignored_fails_a_strict_run_alone() {
    let toml = "[async.web]\nexec = ['cat', '${W}/never']\n\
                health = { file = '/no/such', every = '10ms', failures = 2, then = 'ignore' }\n\
                [test.t]\nafter = ['web']\nexec = 'true'\n";
    for (strict, status) in [("false", 0), ("true", 1)] {
        let outcome = tested(toml).env("TRC_TEST_STRICT", strict).run();
        outcome.status(status).stderr_has("async.web is unhealthy: /no/such: ");
    }
}

/// A forbidden line stays printed. trc used to repeat the attempt for ten seconds anyway.
#[test]
#[expect(clippy::disallowed_methods, reason = "it is about time")]
fn what_can_not_become_true_any_more_fails_at_once() {
    for expect in [
        "log = { contains = 'never said', forbids = 'up' }",
        "ready_within = '1ms'",
        "uid = 4711",
        "log = { forbids = 'up' }, holds = '60s'",
        "max_cpu = '1ms'",
        "max_rss = 4096",
    ] {
        let toml = format!(
            "[async.web]\nscript = 'i=0; while [ $((i += 1)) -lt 100000 ]; do :; done; echo up; exec cat $W/never'\n\
             ready.log = 'up'\n\
             [test.t]\nafter = ['web']\nexpect = {{ {expect}, within = '60s' }}\n"
        );
        let began = std::time::Instant::now();
        tested(&toml).run().status(1).stdout_has("not ok 1 - test.t\n");
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{expect}");
    }
}

/// The test used to fail if the line came a moment after the event that caused it.
#[test]
fn a_line_that_is_expected_is_waited_for_a_while() {
    let toml = "[async.web]\nscript = 'echo ready; read x <$W/go; sleep 0.3; echo done; exec cat $W/never'\n\
                ready.log = 'ready'\n\
                [test.t]\nafter = ['web']\nscript = 'echo >$W/go; echo >>$W/tries'\nexpect.log.contains = 'done'\n";
    for mode in MODES {
        let running = tested(toml).mode(mode).spawn();
        let tries = running.path("tries");
        let read = || std::fs::read_to_string(&tries).unwrap_or_default();
        running.wait_until("it has passed", || running.stdout().contains("ok 1 - test.t"));
        assert_eq!(read(), "\n", "its command runs once");
        running.finish().status(0);
    }
}

#[test]
fn a_line_that_is_missing_may_be_kept_back_by_a_pipe() {
    let hint = "async.web has not written anything to its standard output yet: many programs \
                buffer it while it is a pipe";
    for (says, hinted) in [("echo oops >&2", true), ("echo something else", false)] {
        let toml = format!(
            "[async.web]\nscript = '{says}; exec cat $W/never'\n\
             [test.t]\nafter = ['web']\nexpect.log.contains = 'up'\n"
        );
        let outcome = tested(&toml).run();
        outcome.status(1).stdout_has("no line matches");
        assert_eq!(outcome.out().contains(hint), hinted, "{}", outcome.out());
        let toml = format!(
            "[async.web]\nscript = '{says}; exec cat $W/never'\nready = {{ log = 'up', within = '0.5s' }}\noutput = 'prefix'\n"
        );
        let outcome = Trc::toml(&toml).run();
        outcome.status(124).stderr_has("was not ready within 0.5 s: no line of its output matches");
        assert_eq!(outcome.err().contains(hint), hinted, "{}", outcome.err());
    }
    // A unit that has exited prints nothing more, so trc does not wait.
    let toml = "[async.job]\noneshot = true\nexec = 'true'\n[test.t]\nafter = ['job']\nexpect.log.contains = 'up'\n";
    tested(toml).run().status(1).stdout_has("no line matches\"");
}

#[test]
fn a_test_is_tried_until_it_passes_and_then_has_to_hold() {
    let count = "n=$(cat $W/n 2>/dev/null || echo 0); echo $((n+1)) >$W/n; ";
    for (rest, within, holds, status) in [
        ("[ $n -ge 3 ]", "'20s'", None, 0),
        ("false", "'300ms'", None, 1),
        ("true", "'20s'", Some("'300ms'"), 0),
        ("[ $n -lt 2 ]", "'20s'", Some("'10s'"), 1),
    ] {
        let holds = holds.map_or(String::new(), |holds| format!("expect.holds = {holds}\n"));
        let toml = format!("[test.t]\nscript = '{count}{rest}'\nexpect.within = {within}\n{holds}");
        tested(&toml).run().status(status);
    }
}

#[test]
fn what_did_not_hold_or_took_too_long_is_named() {
    for (test, says) in [
        (
            "script = '[ ! -e $W/n ] || exit 4; : >$W/n'\nexpect.holds = '10s'",
            "it did not stay true: exit status is 0; found: it exited with 4",
        ),
        (
            "script = 'echo no route >&2; exit 7'",
            "expected: exit status is 0; found: it exited with 7; its last output: no route",
        ),
        (
            "script = 'cat $W/never'\nmax_runtime = '100ms'",
            "expected: exit status is 0; found: it did not exit within 0.1",
        ),
        (
            "expect = { fault = { unit = 'x', kill = 'USR1' }, file = '/no/such', within = '10s' }",
            "async.x did not continue after SIGUSR1; if trc should restart it then, write restarts = true in expect.fault",
        ),
    ] {
        let toml =
            format!("[async.x]\nexec = ['sh', '-c', 'exec cat $W/never']\n[test.t]\n{test}\n");
        tested(&toml).run().status(1).stdout_has(&format!("  message: \"{says}"));
    }
}

#[test]
fn what_one_test_has_waited_for_in_vain_no_other_waits_for() {
    let toml = "[async.x]\nexec = '/no/such'\nrestart = { when = 'always', backoff = '1h' }\n\
                [test.a]\nstart_within = '300ms'\nexpect.uid = 0\n\
                [test.b]\nstart_within = '1h'\nexpect.uid = 0\n";
    let outcome = tested(toml).run();
    outcome.status(1).stdout_has("not ok 1 - test.a\n").stdout_has("not ok 2 - test.b\n");
    let why = "async.x was not up in time: it could not be started: /no/such: no such file";
    outcome.stdout_has(why).stdout_has("restarted once, after it could not be started: /no/such");
}

/// It was 0 ms.
#[test]
fn the_time_of_a_test_that_waited_in_vain_is_how_long_it_waited() {
    let toml = "[boot.b]\nexec = 'true'\n[async.x]\nready.tcp = '127.0.0.1:1'\n\
                [test.b]\nstart_within = '300ms'\nafter = ['x']\nexpect.uid = 0\n";
    let running = tested(toml).before("cd $W").args(&["--report", "json=json"]).spawn();
    let json: serde_json::Value = serde_json::from_str(&left_in(&running, "json")).unwrap();
    running.finish().status(1);
    let point = &json["points"][0];
    assert_eq!((&point["name"], &point["outcome"]), (&"test.b".into(), &"failed".into()));
    let took = point["took_ms"].as_u64().unwrap();
    assert!((300..=json["took_ms"].as_u64().unwrap()).contains(&took), "{json}");
}

#[test]
fn a_unit_that_is_restarted_again_and_again_is_not_waited_for() {
    let service = "[async.x]\nexec = ['sh', '-c', 'echo no disk; exit 3']\nready.file = '${W}/none'\n\
                   restart = { when = 'always', backoff = '10ms' }\n";
    let why =
        "async.x is not up after 5 restarts: it failed with status 3; its last output: no disk";
    for test in [
        "[test.a]\nexpect.uid = 0\n",
        // trc used to wait for it anyway if another unit waits for it.
        "[async.y]\nafter = ['x']\nexec = 'cat ${W}/never'\nready.file = '${W}/none'\n\
         [test.a]\nafter = ['y']\nexpect.uid = 0\n",
    ] {
        let outcome = tested(&format!("{service}{test}")).run();
        outcome.status(1).stdout_has("not ok 1 - test.a\n").stdout_has(why);
    }
}

#[test]
fn a_unit_that_is_not_up_when_the_tests_are_done_is_a_finding() {
    let stays = "exec = ['cat', '${W}/never']\n";
    let test = "[test.t]\nafter = { third = 'started' }\nexec = 'true'\nstart_within = '300ms'\n";
    for (units, says) in [
        (
            format!(
                "[async.db]\nready.tcp = '127.0.0.1:1'\n[async.worker]\nafter = ['db']\n{stays}"
            ),
            &[
                "not ok 4 - async.db.run",
                "it was not ready when the tests had finished: 127.0.0.1:1",
                "async.worker.run",
                "it was never started: it waits for async.db",
            ][..],
        ),
        (
            format!("[async.db]\n{stays}ready.file = '${{W}}/none'\n"),
            &["async.db.run", "it was not ready when the tests had finished: "],
        ),
        (
            format!("[async.job]\n{stays}oneshot = true\n"),
            &["async.job.run", "it is a one-shot, but had not exited when the tests had finished"],
        ),
    ] {
        let toml = format!("[async.third]\n{stays}{units}{test}");
        let outcome = tested(&toml).run();
        outcome
            .status(1)
            .stdout_has("ok 1 - test.t\n")
            .stderr_has("the tests have finished; waiting for async.");
        for says in says {
            outcome.stdout_has(says);
        }
        let all = "allow = ['db.run', 'worker.run']\n";
        if toml.contains("worker") {
            tested(&(toml + all)).run().status(0).stdout_has("# TODO allowed by test.t\n");
        }
    }
}

/// A test that ends at once says nothing about what happens a moment later.
#[test]
fn a_run_goes_on_until_all_units_have_been_up_for_a_moment() {
    for (unit, test, says) in [
        (
            "exec = ['sh', '-c', 'sleep .2; echo hunter2; exec cat $W/never']",
            "expect.log.forbids = 'hunter2'",
            "hunter2",
        ),
        ("exec = ['sh', '-c', 'sleep .2']", "exec = 'true'", "not ok 2 - async.x.run"),
        (
            "exec = ['sh', '-c', 'echo up; sleep .2; exit 3']\nready.log = 'up'",
            "exec = 'true'",
            "it failed with status 3",
        ),
        (
            // A stale lock keeps it from starting again.
            "exec = ['sh', '-c', 'mkdir $W/lock || { sleep .2; exit 1; }; exec cat $W/never']\n\
             restart = { when = 'always', backoff = '1ms' }",
            "expect.fault = { unit = 'x', kill = 'SIGKILL' }\nexpect.within = '2s'",
            "async.x was not up again after SIGKILL",
        ),
    ] {
        let toml = format!("[async.x]\n{unit}\n[test.t]\n{test}\n");
        tested(&toml).run().status(1).stdout_has(says);
    }
}

/// Like a daemon that SIGHUP kills, although the test takes its successor for the daemon itself.
#[test]
fn what_dies_of_a_signal_that_means_something_has_not_gone_on() {
    let unit = |does: &str| {
        format!(
            "[async.x]\nexec = ['bash', '-c', '{does} echo up; exec 9<>$W/never; while :; do read -t 1000 -u 9 x; done']\n\
             ready.log = 'up'\nrestart = {{ when = 'on-failure', backoff = '1ms' }}\n"
        )
    };
    for (does, more, status) in [
        ("", "", 1),
        ("trap \"exit 3\" HUP;", "", 1),
        ("trap \"read -t 0.2 -u 9 x; exit 3\" HUP;", "", 1),
        ("trap : HUP;", "", 0),
        ("", ", restarts = true", 0),
        ("trap : HUP;", ", restarts = true", 1),
    ] {
        let test = format!(
            "[test.t]\nexpect = {{ fault = {{ unit = 'x', kill = 'SIGHUP'{more} }}, within = '2s' }}\n"
        );
        tested(&(unit(does) + &test)).run().status(status);
    }
    let toml =
        unit("") + "[test.t]\nexpect.fault = { unit = 'x', kill = 'KILL', restarts = false }\n";
    tested(&toml).run().status(78).stderr_has("no process survives SIGKILL");
}

#[test]
fn each_defect_of_a_run_is_a_point_that_names_it() {
    struct Row {
        unit: &'static str,
        /// The condition of the unit that the test waits for.
        after: &'static str,
        point: &'static str,
        says: &'static str,
    }
    let rows = [
        Row {
            unit: "exec = ['sh', '-c', 'trap \"\" TERM; echo up; while :; do read x <$W/never; done']\n\
                   stop.timeout = '200ms'\nready.log = 'up'",
            after: "ready",
            point: "async.x.stop",
            says: "it did not exit within 0.2 s of SIGTERM and was killed",
        },
        Row {
            unit: "exec = ['sh', '-c', 'trap \"kill -SEGV $$$$\" TERM; echo up; while :; do read x <$W/never; done']\n\
                   stop.to = 'group'\nready.log = 'up'",
            after: "ready",
            point: "async.x.run",
            says: "when trc stopped it, it was killed by SIGSEGV",
        },
        Row {
            unit: "exec = ['sh', '-c', 'echo first; echo no disk >&2; exit 3']",
            after: "exited",
            point: "async.x.run",
            says: "it failed with status 3; its last output: no disk | first",
        },
        Row {
            unit: "oneshot = false\nexec = 'true'",
            after: "exited",
            point: "async.x.run",
            says: "it exited with 0, but it is a service, which should not exit; write oneshot",
        },
        Row {
            unit: "exec = '/no/such'",
            after: "failed",
            point: "async.x.run",
            says: "could not be started",
        },
        Row {
            unit: "exec = ['sh', '-c', '[ -e $W/x ] && exec cat $W/hello $W/never; echo >$W/x; exit 3']\n\
                   restart = { when = 'always', backoff = '1ms' }\nready.log = 'up'",
            after: "ready",
            point: "async.x.run",
            says: "restarted once, after it failed with status 3",
        },
        Row {
            unit: "ready = { file = '${W}/none', within = '100ms' }\nexec = ['cat', '${W}/never']",
            after: "failed",
            point: "async.x.run",
            says: "not ready",
        },
        Row {
            unit: "exec = ['sh', '-c', 'cat $W/hello $W/never & exec cat $W/never']\nready.log = 'up'",
            after: "ready",
            point: "orphans",
            says: "async.x left cat",
        },
        Row {
            unit: "exec = ['sh', '-c', 'setsid cat $W/hello $W/never & exec cat $W/never']\nready.log = 'up'",
            after: "ready",
            point: "sessions",
            says: "async.x left cat",
        },
        Row {
            unit: "stop.exec = 'false'\nexec = ['cat', '${W}/never']",
            after: "started",
            point: "async.x.stop",
            says: "stop command failed",
        },
    ];
    table(
        &rows,
        |row| row.unit.to_owned(),
        |row| {
            let toml = format!(
                "[async.x]\n{}\n[test.t]\nexec = 'true'\nafter = {{ x = '{}' }}\n",
                row.unit, row.after
            );
            let outcome = tested(&toml).run();
            outcome.status(1).stdout_has(row.says).stderr_has(row.point);
            let failed = points(&outcome);
            let failed: Vec<&String> =
                failed.iter().filter(|point| point.starts_with("not ok")).collect();
            assert!(failed.iter().any(|point| point.contains(row.point)), "{failed:?}");
        },
    );
}

#[test]
fn what_a_test_of_everything_forbids_boot_must_not_say_either() {
    let toml =
        "[boot.b]\nscript = 'echo hunter2'\n[async.x]\nexec = ['cat', '${W}/never']\n[test.t]\n";
    let outcome = tested(&format!("{toml}expect.log.forbids = 'hunter2'\n")).run();
    outcome.status(1).stdout_has("it printed the line \\\"hunter2\\\"");
    tested(&format!("{toml}after = ['x']\nexpect.log.forbids = 'hunter2'\n")).run().status(0);
    tested(&format!("{toml}expect.log.contains = 'hunter2'\n")).run().status(1);
}

/// A unit that does this when it is asked to stop.
fn told_to_stop(does: &str) -> String {
    format!(
        "[async.x]\nexec = ['bash', '-c', 'trap \"{does}\" TERM; echo up; exec 9<>$W/never; \
         while :; do read -t 1000 -u 9 x; done']\nready.log = 'up'\n"
    )
}

#[test]
fn a_unit_that_fails_when_it_is_told_to_stop_is_a_finding() {
    for code in [1, 2, 3, 70, 99, 255] {
        let unit = told_to_stop(&format!("echo no disk >&2; exit {code}"));
        let test = "[test.t]\nexec = 'true'\n";
        let outcome = tested(&format!("{unit}{test}")).run();
        outcome
            .status(1)
            .stdout_has("ok 2 - async.x.run\n")
            .stdout_has("not ok 3 - async.x.stop\n");
        outcome
            .stdout_has(&format!(
                "when trc stopped it, it exited with {code} (if it may, write success = [0, {code}]); its last output: "
            ))
            .stdout_has("# a test can allow known findings: allow = [\"async.x.stop\"]\n");
        outcome.stdout_has("no disk").stderr_has("the run was not clean: async.x.stop");
        // The configuration can say that this is intended.
        tested(&format!("{unit}success = [0, {code}]\n{test}")).run().status(0);
        tested(&format!("{unit}{test}expect.stop_status = {code}\n")).run().status(0);
        let allowed = tested(&format!("{unit}{test}allow = ['x.stop']\n")).run();
        allowed.status(0).stdout_has("not ok 3 - async.x.stop # TODO allowed by test.t\n");
    }
    // A unit that kills itself has not stopped well either, but one that exits with the status of
    // its stop signal has.
    let test = "[test.t]\nexec = 'true'\n";
    let outcome = tested(&format!("{}{test}", told_to_stop("kill -KILL $$$$"))).run();
    outcome.status(1).stdout_has("when trc stopped it, it was killed by SIGKILL");
    for does in ["exit 143", "exit 0", "trap - TERM; kill $$$$"] {
        tested(&format!("{}{test}", told_to_stop(does))).run().status(0);
    }
}

#[test]
fn a_test_says_how_its_units_are_to_stop() {
    for (does, expect, found) in [
        ("exit 0", "stop_status = 0", None),
        ("exit 143", "stop_status = [0, 143]", None),
        ("exit 143", "stop_status = 0", Some("it exited with 143 after 0.")),
        ("trap - TERM; kill $$$$", "stop_status = 0", Some("it exited with 143 after 0.")),
        ("exit 0", "stop_within = '1h'", None),
        ("read -t 0.3 -u 9 x; exit 0", "stop_within = '200ms'", Some("it exited with 0 after ")),
    ] {
        let toml = format!("{}[test.t]\nexpect.{expect}\n", told_to_stop(does));
        let outcome = tested(&toml).run();
        let point = "ok 4 - test.t.stop\n";
        match found {
            None => outcome.status(0).stdout_has(point),
            Some(found) => outcome.status(1).stdout_has(&format!("not {point}")).stdout_has(found),
        };
    }
    // No unit is stopped just to be checked.
    let toml = "[async.job]\noneshot = true\nexec = 'true'\n[test.t]\nexpect.stop_status = 0\n";
    tested(toml).run().status(1).stdout_has("trc stopped none of the units that the test is about");
}

#[test]
fn a_stop_that_docker_would_cut_short_is_a_finding_unless_more_time_is_asked_for() {
    let unit = told_to_stop("read -t 10.2 -u 9 x; exit 0");
    for (more, status) in [("", 1), ("[shutdown]\ntimeout = '30s'\n", 0)] {
        let toml = format!("{unit}stop.timeout = '20s'\n{more}[test.t]\nexec = 'true'\n");
        let outcome = tested(&toml).run();
        outcome.status(status).stdout_has("ok 3 - async.x.stop\n").stdout_has("ok 7 - shutdown\n");
        if status == 1 {
            outcome
                .stdout_has("not ok 7 - shutdown\n")
                .stdout_has("but docker sends SIGKILL after 10 s: make the stop faster, or");
        }
    }
}

#[test]
fn a_service_that_ends_well_is_a_finding_whatever_the_policy_waits_for() {
    for (wait, ready, status) in [
        ("any", "oneshot = false\nready.log = 'up'", 1),
        ("all", "oneshot = false\nready.log = 'up'", 1),
        ("err", "oneshot = false\nready.log = 'up'", 1),
        ("all", "oneshot = false\nhealth.exec = 'true'", 1),
        ("all", "oneshot = false", 0),
        ("all", "oneshot = true\nready.log = 'up'", 0),
    ] {
        let toml = format!(
            "wait = '{wait}'\n[async.x]\nexec = ['sh', '-c', 'echo up; read x <$W/go']\n{ready}\n\
             [test.t]\nscript = 'echo >$W/go'\nafter = ['x']\n\
             [test.u]\nafter = {{ x = 'exited' }}\nexec = 'true'\n"
        );
        tested(&toml).run().status(status);
    }
}

#[test]
fn a_run_whose_every_test_was_skipped_has_tested_nothing() {
    let skip = |name: &str| format!("[test.{name}]\nscript = 'verdict skip no network'\n");
    let outcome = tested(&skip("a")).run();
    outcome.status(1).stdout_has("Bail out! the only test was skipped: nothing was tested\n");
    let outcome = tested(&(skip("a") + &skip("b"))).run();
    outcome.status(1).stderr_has("all 2 tests were skipped: nothing was tested");
    tested(&(skip("a") + "[test.b]\nexec = 'true'\n")).run().status(0);
}

#[test]
fn a_strict_run_fails_for_a_skipped_test_and_for_a_warning() {
    let skips = "[test.a]\nscript = 'verdict skip no network'\n[test.b]\nexec = 'true'\n";
    let outcome = tested(skips).arg("--test-strict").run();
    outcome
        .status(1)
        .stdout_has("ok 1 - test.a # SKIP no network\n")
        .stdout_has("ok 7 - warnings\n");
    outcome.stdout_has("Bail out! 1 of 2 tests were skipped: test.a\n");
    let warns = "[test.t]\nexec = 'true'\n";
    let strict = || tested(warns).env("TRC_TEST_STRICT", "1");
    strict().run().status(0).stdout_has("ok 6 - warnings\n");
    let outcome = strict().env("TRC_WAITT", "any").run();
    outcome.status(1).stdout_has("not ok 6 - warnings\n").stdout_has("TRC_WAITT");
    tested(warns).env("TRC_WAITT", "any").run().status(0).stdout_lacks("warnings");
    Trc::toml(warns)
        .args(&["--test-strict", "true"])
        .run()
        .status(64)
        .stderr_has("needs a test run");
}

#[test]
fn a_line_that_is_forbidden_fails_the_run_although_it_comes_after_the_test() {
    let toml = "[async.x]\nexec = ['sh', '-c', 'echo up; read x <$W/go; echo ERROR later; exec cat $W/never']\n\
                ready.log = 'up'\n\
                [test.quiet]\nexpect.log.forbids = 'ERROR'\n\
                [test.noise]\nscript = 'echo >$W/go'\nexpect = { log.contains = 'ERROR', within = '20s' }\n";
    let outcome = tested(toml).run();
    outcome.status(1).stdout_has("ok 1 - test.quiet\n").stdout_has("not ok 9 - test.quiet.log\n");
    outcome.stdout_has("async.x printed the line \\\"ERROR later\\\"");
}

#[test]
fn what_boot_has_left_and_had_to_be_killed_is_a_point_that_can_be_allowed() {
    for (allow, status) in [("", 1), ("allow = ['b.stop']\n", 0)] {
        let toml = format!(
            "[boot.b]\nstop.timeout = '200ms'\nscript = '''\n\
             (trap '' TERM; echo >$W/up; while :; do read x <$W/never; done) >/dev/null 2>&1 &\n\
             until [ -e $W/up ]; do :; done'''\n\
             [test.t]\nexec = 'true'\n{allow}"
        );
        let outcome = tested(&toml).run();
        outcome.status(status).stdout_has("not ok 3 - boot.b.stop").stdout_has("had to be killed");
    }
}

#[test]
fn a_halt_unit_that_is_cut_short_is_a_point() {
    let toml = "shutdown.timeout = '300ms'\n[test.t]\nexec = 'true'\n\
                [halt.h]\nexec = ['sh', '-c', 'read x <$W/never']\n";
    let outcome = tested(toml).run();
    outcome.status(1).stdout_has("not ok 2 - halt.h.run\n").stdout_has("no time left");
}

#[test]
fn what_a_unit_used_before_it_ended_counts() {
    let job = format!(
        "[async.job]\noneshot = true\nexec = ['{}', '-c', 'x = b\"x\" * 50_000_000; sum(range(1_000_000))']\n",
        python()
    );
    for (asked, found) in [
        ("max_rss = '40MiB'", Some("a process of async.job has used ")),
        ("max_rss = '1GiB'", None),
        ("max_cpu = '1ms'", Some("async.job has used 0.")),
        ("max_cpu = '1h'", None),
        ("max_fds = 10", Some("none of the units that the test is about is running")),
    ] {
        let outcome = tested(&format!("{job}[test.t]\nexpect.{asked}\n")).run();
        outcome.status(found.is_some().into()).stdout_has(found.unwrap_or("ok 1 - test.t\n"));
    }
    // Nobody but trc waits for an orphan, but it still belonged to the unit.
    let orphan = format!(
        "[async.job]\nready.log = 'up'\n\
         exec = ['sh', '-c', '(({} -c \"sum(range(1_000_000))\"; echo up) &); exec cat $W/never']\n\
         [test.t]\nexpect = {{ max_cpu = '1ms', holds = '300ms' }}\n",
        python()
    );
    tested(&orphan)
        .run()
        .status(1)
        .stdout_has("async.job has used 0.")
        .stdout_has("ok 4 - orphans\n");
}

/// A unit like nginx without `daemon off;`.
#[test]
fn the_report_says_what_to_do_about_a_service_that_goes_into_the_background() {
    let toml = "[sync.web]\nexec = ['sh', '-c', 'setsid cat $W/never & exit 0']\n\
                [async.other]\nexec = 'cat ${W}/never'\n[test.t]\nexec = 'true'\n";
    let outcome = tested(toml).run();
    outcome.status(1).stdout_has("sync.web.run\n").stdout_has("let it run in the foreground");
}

/// A helper in a session of its own that notices that its service has exited, and cleans up.
#[test]
fn what_ends_a_moment_after_its_unit_is_not_left_behind() {
    let helper = "echo up; read x <$W/go";
    let toml = format!(
        "[async.x]\nexec = ['sh', '-c', 'setsid sh -c \"{helper}\" & exec 9>$W/go; exec cat $W/never']\n\
         ready.log = 'up'\n[test.t]\nexec = 'true'\n"
    );
    tested(&toml).run().status(0).stdout_has("ok 5 - sessions\n");
}

#[test]
fn a_zombie_that_nobody_waits_for_is_found() {
    let program = "import os\nif os.fork()==0: os._exit(0)\n\
                   os.waitid(os.P_ALL,0,os.WEXITED|os.WNOWAIT)\nprint(\"up\",flush=True)\n\
                   open(os.environ[\"W\"]+\"/never\").read()";
    let toml = format!(
        "[async.x]\nexec = ['{}', '-c', '''{program}''']\nready.log = 'up'\n[test.t]\nexec = 'true'\n",
        python()
    );
    let outcome = tested(&toml).run();
    outcome.status(1).stdout_has("not ok 6 - zombies\n");
    let whose = outcome.out().lines().any(|line| {
        let (_, names) =
            line.split_once("zombies that their parents have not reaped: ").unwrap_or_default();
        names.split_once("> of ").is_some_and(|(_, parent)| parent.contains("python"))
    });
    assert!(whose, "{}", outcome.out());
}

#[test]
fn what_a_test_allows_is_still_said_and_fails_nothing() {
    let toml = "[async.x]\nexec = ['sh', '-c', 'exit 3']\n\
                [test.t]\nexec = 'true'\nafter = { x = 'failed' }\nallow = ['x.run']\n";
    let outcome = tested(toml).run();
    outcome.status(0).stdout_has("not ok 2 - async.x.run # TODO allowed by test.t\n");
}

#[test]
fn a_fault_shows_whether_the_restart_policy_is_real() {
    let unit = "[async.x]\nexec = ['sh', '-c', 'echo $$$$ >>$W/pids; exec cat $W/never']\n\
                ready.file = '${W}/pids'\n";
    let test = "[test.t]\nexpect.fault = { unit = 'x', kill = 'SIGKILL' }\n";
    let restarts = "restart = { when = 'always', backoff = '1ms' }\n";
    let outcome = tested(&format!("{unit}{restarts}{test}")).run();
    outcome.status(0).stdout_has("ok 1 - test.t\n").stdout_has("ok 2 - async.x.run\n");
    let outcome = tested(&format!("{unit}{test}")).run();
    outcome.status(1).stdout_has("not ok 1 - test.t\n");
    outcome.stdout_has("async.x was not up again after SIGKILL");
    outcome.stdout_has("not ok 2 - async.x.run\n").stdout_has("killed by SIGKILL");
    // The report shows what the unit did by itself, not what was done to it.
    let flaps = format!(
        "[async.x]\nexec = ['sh', '-c', '[ -e $W/x ] && exec cat $W/hello $W/never; : >$W/x; exit 5']\n\
         ready.log = 'up'\n{restarts}{test}"
    );
    tested(&flaps)
        .run()
        .status(1)
        .stdout_has("it was restarted once, after it failed with status 5");
    // The health check finds a unit that hangs.
    let hangs = format!(
        "{unit}restart = {{ when = 'always', backoff = '1ms' }}\n\
         health = {{ exec = ['sh', '-c', 'case $(ps -o stat= -p $TRC_PID) in T*) exit 1;; esac'], every = '50ms', failures = 2 }}\n\
         [test.t]\nexpect.fault = {{ unit = 'x', stop = '1s' }}\n"
    );
    for (hangs, restarted) in [(hangs.clone(), false), (hangs.replace("'1s'", "'1h'"), true)] {
        let outcome = tested(&hangs).run();
        outcome.status(0).stderr_has("async.x is unhealthy");
        // Only a unit that hangs for longer than the test takes has to be restarted.
        assert!(!restarted || outcome.err().contains("restarting async.x"));
    }
    // Nothing finds a unit without a health check.
    let unseen = format!(
        "{unit}[test.t]\nexpect = {{ fault = {{ unit = 'x', stop = '1h' }}, within = '200ms' }}\n"
    );
    let outcome = tested(&unseen).run();
    outcome.status(1).stdout_has("async.x was not up again after SIGSTOP");
}

#[test]
fn what_a_fault_makes_units_say_is_no_finding() {
    let toml = "[async.x]\nrestart = { when = 'always', backoff = '1ms' }\nready.log = 'up'\n\
                exec = ['sh', '-c', 'trap \"echo ERROR; exit 1\" USR1; echo up; while :; do read x <$W/never & wait; done']\n\
                stop.to = 'group'\n\
                [test.quiet]\nexpect.log.forbids = 'ERROR'\n\
                [test.fault]\nexpect = { fault = { unit = 'x', kill = 'USR1', restarts = true }, log.contains = 'ERROR' }\n";
    tested(toml).run().status(0).stdout_has("ok 1 - test.quiet\n").stdout_lacks("test.quiet.log");
}

/// A log whose reader waits until the units have stopped.
fn read_late(trc: Trc) -> Trc {
    let bash = r#"{ "$@" 2>&1 >&3 | (exec >/dev/null; read x <$W/halted; exec cat); } 3>&1
                  exit ${PIPESTATUS[0]}"#;
    trc.fifo("halted").wrap(&["bash", "-c", bash, "bash"])
}

#[test]
fn a_forbidden_line_is_found_however_slow_the_reader_of_the_log_is() {
    let unit = "trap '{ yes xxxxxxxxxxxxxxx | head -c 200000; echo PANIC; exit 0; }' TERM\n\
                echo up; exec 9<>$W/never; while :; do read -t 1000 x <&9; done";
    let toml = format!(
        "[async.web]\nscript = \"\"\"{unit}\"\"\"\noutput = 'prefix'\nready.log = 'up'\n\
         [test.t]\nexec = 'true'\nexpect.log.forbids = 'PANIC'\n\
         [halt.h]\nscript = ': >$W/halted'\n"
    );
    read_late(tested(&toml)).run().status(1).stdout_has("not ok 9 - test.t.log\n");
}

#[test]
fn what_was_said_before_a_test_asks_for_it_is_there() {
    let unit = "trap 'yes xxxxxxxxxxxxxxx | head -c 100000; echo answered; echo >$W/go' USR1\n\
                echo $$ >$W/pid; echo up; exec 9<>$W/never; while :; do read -t 1000 x <&9; done";
    let toml = format!(
        "[async.web]\nscript = \"\"\"{unit}\"\"\"\noutput = 'prefix'\nready.log = 'up'\n\
         [test.t]\nscript = 'kill -USR1 $(cat $W/pid); read x <$W/go'\n\
         expect.log.contains = 'answered'\n[halt.h]\nscript = ': >$W/halted'\n"
    );
    read_late(tested(&toml)).run().status(0);
}

#[test]
fn whoever_dies_of_a_fault_has_to_be_up_again_whatever_the_signal() {
    for signal in ["SIGINT", "SIGUSR1", "SIGHUP", "SIGTERM", "RTMIN+1"] {
        let toml = format!(
            "[async.db]\nexec = ['sh', '-c', 'mkdir $W/ran 2>/dev/null && exec cat $W/hello $W/never; exec cat $W/never']\n\
             ready.log = 'up'\nrestart = {{ when = 'always', backoff = '1ms' }}\n\
             [test.t]\nexpect = {{ fault = {{ unit = 'db', kill = '{signal}' }}, within = '300ms' }}\n"
        );
        tested(&toml).run().status(1).stdout_has("not ok 1 - test.t\n");
    }
}

#[test]
fn what_commands_of_trc_leave_is_left_behind() {
    let background = "(cat $W/never & echo $! >>$W/left)";
    for unit in [
        format!("stop.exec = ['sh', '-c', '{background}; kill $MAINPID']\n"),
        format!("ready.exec = ['sh', '-c', '{background}']\n"),
    ] {
        let toml = format!(
            "[async.x]\nexec = ['cat', '${{W}}/hello', '${{W}}/never']\n{unit}[test.t]\nexec = 'true'\n"
        );
        tested(&toml).run().status(1).stdout_has("still running when all units had ended: cat");
    }
}

/// An image whose services log to `/proc/1/fd/1`, as many do, and a malicious one.
#[test]
fn no_unit_writes_into_the_report_by_the_descriptors_of_trc() {
    let program = "trap '' PIPE; echo up; read x <$W/go; \
                   for fd in /proc/1/fd/*; do { echo 1..0 '# SKIP' forged >$$fd; } 2>/dev/null; done; \
                   echo a log line >/proc/1/fd/1; echo done; exec cat $W/never";
    let toml = format!(
        "[async.x]\nexec = ['bash', '-c', '''{program}''']\nready.log = '^up'\n\
         [test.t]\nscript = '[ -e $W/x ] || {{ : >$W/x; echo >$W/go; }}'\n\
         expect = {{ log.contains = '/^done/', within = '20s' }}\n"
    );
    let outcome = tested(&toml).pid1().unrecorded().run();
    outcome.status(0).stdout_lacks("forged").stdout_lacks("a log line").stderr_has("a log line\n");
    outcome.stdout_has("\n1..7\n").stderr_has("forged");
}

/// Anybody except the test's own command, even a process of root.
#[test]
fn a_verdict_counts_only_from_the_tests_own_processes() {
    let other = "until [ -e $W/pid ]; do sleep .01; done; pid=$(cat $W/pid); \
                 for fd in /proc/$pid/fd/*; do { echo pass >$fd; } 2>/dev/null || :; done; \
                 echo >$W/go; exec cat $W/never";
    let toml = format!(
        "[async.x]\nscript = \"\"\"{other}\"\"\"\n\
         [test.t]\nscript = 'echo $$ >$W/new; mv $W/new $W/pid; read x <$W/go; exit 3'\n"
    );
    tested(&toml).run().status(1).stdout_has("not ok 1 - test.t\n").stdout_lacks("its own verdict");
}

#[test]
fn a_line_is_looked_at_as_a_whole_or_fails_what_forbids_something() {
    for (length, test, status) in [
        (70_000, "forbids = 'panic'", 1),
        (900_000, "forbids = 'panic'", 1),
        (900_000, "contains = 'panic'", 0),
        (1_100_000, "forbids = 'panic'", 1),
        (1_100_000, "contains = 'panic'", 1),
    ] {
        let toml = format!(
            "[async.x]\nexec = ['sh', '-c', 'head -c {length} /dev/zero | tr \"\\000\" x; echo \" panic: x\"; echo up; exec cat $W/never']\n\
             ready.log = '^up'\n[test.t]\nexpect.log.{test}\n"
        );
        let outcome = tested(&toml).run();
        outcome.status(status);
        if length > 1_000_000 && test.starts_with("forbids") {
            outcome.stdout_has("trc reads only the first 1 MiB of a line");
        }
    }
}

/// trc never sees the exit of a process whose parent waits for it.
#[test]
fn what_a_child_of_a_unit_had_counts_when_all_have_ended() {
    let program = "import subprocess, sys, os\n\
                   subprocess.run([sys.executable, \"-c\", \"x = b'x' * 100_000_000\"])\n\
                   print(\"up\", flush=True)\n\
                   open(os.environ[\"W\"] + \"/never\").read()";
    for (most, status) in [("64MiB", 1), ("1GiB", 0)] {
        let toml = format!(
            "[async.x]\nexec = ['{}', '-c', '''{program}''']\nready.log = 'up'\n[test.t]\nexpect.max_rss = '{most}'\n",
            python()
        );
        let outcome = tested(&toml).run();
        outcome.status(status).stdout_has("ok 1 - test.t\n");
        if status == 1 {
            outcome
                .stdout_has("not ok 8 - test.t.max_rss\n")
                .stdout_has("more than 64 MiB: a process of async.x has used ");
        }
    }
}

#[test]
fn what_went_into_a_session_of_its_own_is_told_with_its_unit() {
    let toml = "[async.x]\nexec = ['sh', '-c', 'setsid cat $W/hello $W/never & exec cat $W/never']\nready.log = 'up'\n\
                [test.t]\nexec = 'true'\n";
    let outcome = tested(toml).run();
    let whose = outcome.out().lines().any(|line| line.contains("async.x left cat "));
    assert!(whose, "{}", outcome.out());
    outcome.status(1);
}

/// trc cannot raise the counter of the machine, so a file stands in for it.
#[test]
fn what_the_oom_killer_takes_beside_the_main_processes_is_a_warning_and_a_finding() {
    if !root() {
        return;
    }
    let fake = "mount -t tmpfs none /sys/fs/cgroup; echo oom_kill 0 >/sys/fs/cgroup/memory.events";
    let unit = "[async.db]\nready.log = 'up'\nexec = ['bash', '-c', 'sleep 100 & pid=$!; \
                echo oom_kill 1 >/sys/fs/cgroup/memory.events; kill -9 $pid; wait; echo up; exec cat $W/never']\n";
    for (allow, status) in [("", 1), ("allow = ['oom']\n", 0)] {
        let toml = format!("{unit}[test.t]\nexec = 'true'\n{allow}");
        let outcome = tested(&toml)
            .pid1()
            .before(&format!("exec unshare -m sh -c '{fake}; exec \"$@\"' sh \"$@\""))
            .run();
        let what = "the OOM killer killed a process that was not the main process of a unit";
        outcome.status(status).stdout_has("not ok 8 - oom").stdout_has(what).stderr_has(what);
    }
}

#[test]
fn a_verdict_covers_no_crash_and_a_flood_of_verdicts_is_none() {
    for (script, status) in [
        ("verdict pass; kill -SEGV $$", 1),
        ("yes pass | head -n 300000 >&$TRC_VERDICT_FD; verdict fail", 1),
    ] {
        let toml = format!("[test.t]\nscript = '{script}'\n");
        tested(&toml).run().status(status).stdout_has("not ok 1 - test.t\n");
    }
}

#[test]
fn a_failed_test_is_excused_by_no_point_of_its_name() {
    let toml = "[test.x]\nexpect.log.forbids = 'z'\nallow = ['test.x.log']\nafter = ['web']\n\
                [test.'x.log']\nexec = 'false'\n";
    let outcome = tested(&format!("{SERVICE}{toml}")).run();
    outcome.status(1).stdout_has("not ok 2 - test.x.log\n").stdout_lacks("TODO");
}

#[test]
fn a_tests_command_may_give_its_own_verdict() {
    for (script, status, point) in [
        ("verdict pass; false", 0, "ok 1 - test.t\n"),
        ("verdict fail it is broken", 1, "not ok 1 - test.t\n"),
        ("verdict skip no network here", 0, "ok 1 - test.t # SKIP no network here\n"),
        ("verdict fail first; verdict pass", 1, "not ok 1 - test.t\n"),
        ("verdict maybe", 1, "not ok 1 - test.t\n"),
    ] {
        for shell in ["bash", "sh"] {
            let toml = format!(
                "shell = '{shell}'\n[test.t]\nscript = '{script}'\n[test.other]\nexec = 'true'\n"
            );
            tested(&toml).run().status(status).stdout_has(point);
        }
    }
    tested("[test.t]\nscript = 'verdict fail it is broken'\n").run().stdout_has("it is broken");
}

#[test]
fn a_verdict_counts_less_than_what_was_asked_for_and_than_time() {
    for (script, rest) in [
        ("verdict pass; cat $W/never", "max_runtime = '200ms'"),
        ("verdict skip; cat $W/never", "max_runtime = '200ms'"),
        ("verdict skip; exit 3", "expect.exit = 0"),
        ("verdict pass; echo no", "expect.stdout = 'yes'"),
    ] {
        let toml = format!("[test.t]\nscript = '{script}'\n{rest}\n");
        tested(&toml).run().status(1).stdout_has("not ok 1 - test.t\n");
    }
}

#[test]
fn what_boot_makes_of_the_command_line_leaves_tests_their_lines() {
    for (boot, flags) in [
        ("set -- \"$@\" -D \"cat $W/never\"", &[][..]),
        ("set --", &["-D", "cat $W/never", "-F", "cat $W/never"]),
    ] {
        let toml = format!(
            "[boot.b]\nscript = '{boot}; echo in boot'\n{SERVICE}\
             [test.t]\nexpect.log = {{ unit = 'web', contains = 'up', forbids = 'PANIC' }}\n\
             [test.boot]\nexpect.log = {{ unit = 'boot.b', contains = 'in boot' }}\n"
        );
        let outcome = tested(&toml).args(flags).run();
        outcome.status(0).stdout_has("ok 1 - test.t\n").stdout_has("ok 2 - test.boot\n");
    }
}

#[test]
fn a_test_that_was_running_when_the_run_was_cut_short_says_so() {
    let toml = "[test.hangs]\nscript = 'echo this far; echo >$W/began; cat $W/never'\n\
                [test.later]\nexec = 'true'\n";
    let running = tested(toml).spawn();
    running.wait_for_file("began");
    running.signal(TERM);
    let outcome = running.finish();
    outcome.status(1).stdout_has("message: \"cut short: stopped by SIGTERM");
    outcome.stdout_has("- \"this far\"").stdout_has("message: \"not run: stopped by SIGTERM");
}

#[test]
fn a_report_goes_where_it_is_wanted_whatever_that_is() {
    let test = || tested("[test.t]\nexec = 'true'\n").before("cd $W; mkfifo fifo; mkdir dir");
    for (target, why) in [("dir", "Is a directory"), ("fifo", "No such device")] {
        let outcome = test().args(&["--report", &format!("json={target}")]).run();
        outcome.status(78).stderr_has(&format!("cannot write the report {target}: {why}"));
    }
}

/// Returns what a run has left in a file.
fn left_in(running: &Running, name: &str) -> String {
    running.wait_until("it has ended", || running.ended());
    std::fs::read_to_string(running.path(name)).unwrap()
}

#[test]
fn a_report_takes_the_place_of_what_a_link_leads_to() {
    let links = "cd $W; mkdir sub; yes | head -c 100000 >sub/old.json; ln -s sub/old.json a\n\
                 ln -s $W/sub/new.json b; ln -s b c";
    for (link, target) in [("a", "sub/old.json"), ("c", "sub/new.json")] {
        let running = tested("[test.t]\nexec = 'true'\n")
            .before(links)
            .args(&["--report", &format!("json={link}")])
            .spawn();
        let text = left_in(&running, target);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["passed"], true);
        assert!(running.path(link).is_symlink());
        running.finish().status(0);
    }
}

#[test]
fn what_stands_in_the_log_file_stays_beside_a_report_to_standard_error() {
    let running = tested("[test.t]\nexec = 'true'\n")
        .before("exec 2>$W/log; echo before >&2")
        .args(&["--report", "json=/dev/stderr"])
        .spawn();
    let text = left_in(&running, "log");
    assert!(text.starts_with("before\n") && text.contains("\"passed\": true"), "{text}");
    assert!(text.contains("Exited"), "{text}");
    running.finish().status(0);
}

/// Returns what comes through a FIFO of the test until all writers have exited.
fn from_fifo(fifo: &std::path::Path) -> thread::JoinHandle<String> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let flags = nix::libc::O_NONBLOCK;
    let mut fifo = std::fs::File::options().read(true).custom_flags(flags).open(fifo).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test may start a thread")]
    thread::spawn(move || {
        let patience = PollTimeout::try_from(common::patience()).unwrap();
        poll(&mut [PollFd::new(fifo.as_fd(), PollFlags::POLLIN)], patience).unwrap();
        fcntl(&fifo, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let mut text = String::new();
        fifo.read_to_string(&mut text).unwrap();
        text
    })
}

#[test]
fn a_report_through_a_fifo_comes_once_although_another_fails() {
    let trc = tested("[test.t]\nexec = 'true'\n")
        .fifo("fifo")
        .args(&["--report", "json=fifo", "--report", "junit=/dev/full"])
        .before("cd $W");
    let report = from_fifo(&trc.path("fifo"));
    let outcome = trc.run();
    let why = "cannot write the report /dev/full: No space left on device";
    outcome.status(1).stderr_has(why);
    serde_json::from_str::<serde_json::Value>(&report.join().unwrap()).unwrap();
}

#[test]
fn a_report_through_a_fifo_may_be_longer_than_its_buffer() {
    let about = "x".repeat(200_000);
    let trc = tested(&format!("[test.t]\nexec = 'true'\ndescription = '{about}'\n"))
        .fifo("fifo")
        .args(&["--report", "json=fifo"])
        .before("cd $W");
    let report = from_fifo(&trc.path("fifo"));
    trc.run().status(0);
    let json: serde_json::Value = serde_json::from_str(&report.join().unwrap()).unwrap();
    assert_eq!(json["points"][0]["description"], about);
}

#[test]
fn a_report_that_cannot_be_opened_is_an_error_with_its_place_and_advice() {
    let advice = "its directory has to exist and be writable: mount one with -v";
    let error = format!(
        "error: cannot write the report /no/such/x: there is no directory /no/such\n  \
         --> TRC_REPORT\n   = help: {advice}\n"
    );
    let test = || tested("[test.t]\nexec = 'true'\n").before("cd $W; ln -s x link");
    let outcome = test().env("TRC_REPORT", "json=/no/such/x").run();
    outcome.status(78).stdout_is("").stderr_has(&error);
    // trc can tell that two names belong to one file only if the file exists.
    let hard = test().before("cd $W; : >one; ln one two");
    let outcome = hard.args(&["--report", "json=one", "--report", "junit=two"]).run();
    outcome
        .status(78)
        .stderr_has("error: cannot write the report two: another report already goes to two\n");
    let outcome = test().args(&["--report", "junit=-"]).run();
    outcome.status(64).stderr_has("a report cannot go to standard output, which is for TAP");
    let outcome = test().args(&["--report", "events=x"]).run();
    outcome.status(64).stdout_is("").stderr_has("events can go to standard output only");
    let outcome = test().args(&["--report", "json=x", "--report", "junit=link"]).run();
    outcome
        .status(78)
        .stderr_has("error: cannot write the report link: another report already goes to x\n");
    outcome.stderr_has("  --> --report\n");
}

#[test]
fn events_take_the_place_of_tap_on_standard_output() {
    let toml = format!(
        "{SERVICE}[test.a]\ndescription = 'twice'\n\
         script = '[ -e $W/x ] || {{ : >$W/x; exit 1; }}'\nexpect.within = '10s'\n\
         [test.b]\nscript = 'verdict skip not here'\n"
    );
    let outcome = tested(&toml).args(&["--report", "events=-"]).run();
    outcome.status(0);
    let out = outcome.out();
    let events: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = events.iter().map(|event| {
        let of = ["unit", "test", "name", "event"].into_iter().find_map(|key| event[key].as_str());
        let words = [event["event"].as_str(), of, event["outcome"].as_str()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    let told: Vec<String> = told.collect();
    let expected = [
        "plan plan",
        "ready async.web",
        "test test.a",
        "attempt test.a",
        "attempt test.a",
        "point test.a passed",
        "test test.b",
        "attempt test.b",
        "point test.b skipped",
        "stopping stopping",
        "point async.web.run passed",
        "point async.web.stop passed",
        "point orphans passed",
        "point sessions passed",
        "point zombies passed",
        "point shutdown passed",
        "end trc",
    ];
    assert_eq!(told, expected, "{out}");
    let planned = serde_json::json!([
        { "name": "test.a", "description": "twice" },
        { "name": "test.b", "description": null },
    ]);
    assert_eq!((&events[0]["version"], &events[0]["tests"]), (&1.into(), &planned));
    assert_eq!((&events[3]["number"], &events[4]["number"]), (&1.into(), &2.into()));
    let end = &events[expected.len() - 1];
    assert_eq!((&end["status"], &end["counts"]["passed"]), (&0.into(), &7.into()));
    assert_eq!(end["points"], serde_json::json!([]));
}

#[test]
fn a_report_that_nobody_reads_fails_the_run_after_a_while() {
    let about = "x".repeat(200_000);
    let trc = tested(&format!("[test.t]\nexec = 'true'\ndescription = '{about}'\n"))
        .fifo("fifo")
        .args(&["--report", "json=fifo"])
        .before("cd $W");
    let flags = nix::libc::O_NONBLOCK;
    let path = trc.path("fifo");
    let reader = std::fs::File::options().read(true).custom_flags(flags).open(path).unwrap();
    trc.run()
        .status(1)
        .stderr_has("cannot write the report fifo: its reader did not read it in time");
    drop(reader);
}

#[test]
fn a_report_over_a_file_is_written_anew_when_another_has_failed() {
    // Only a mount makes a directory read-only for root.
    let before = "cd $W; mkdir ro; mount --bind ro ro; yes | head -c 10000 >ro/json\n\
                  yes | head -c 10000 >file; mount --bind file ro/json\n\
                  mount -o remount,ro,bind ro";
    let running = tested("[test.t]\nexec = 'true'\n")
        .pid1()
        .before(before)
        .args(&["--report", "json=ro/json", "--report", "junit=/dev/full"])
        .spawn();
    let text = left_in(&running, "file");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["reason"].as_str().unwrap().contains("/dev/full"), "{json}");
    running.finish().status(1);
}

#[test]
fn a_link_to_where_no_directory_is_says_which_is_missing() {
    let trc = tested("[test.t]\nexec = 'true'\n").before("cd $W; ln -s none/x link");
    let outcome = trc.args(&["--report", "json=link"]).run();
    outcome.status(78).stderr_has("cannot write the report link: there is no directory none");
}

#[test]
fn a_test_of_another_user_may_open_its_output_again() {
    if root() {
        let toml = "[test.t]\nuser = 'nobody'\n\
                    script = 'echo hi >/dev/stdout; echo ho >/dev/stderr'\n\
                    expect = { stdout = 'hi', stderr = 'ho' }\n";
        tested(toml).run().status(0);
    }
}

#[test]
fn a_command_that_has_left_its_process_group_is_killed_too() {
    let program = "import os, subprocess\n\
        child = subprocess.Popen(['cat', os.environ['W'] + '/never'], preexec_fn=os.setpgrp)\n\
        os.setpgid(0, child.pid)\nchild.wait()\n";
    let trc = tested(&format!(
        "[test.t]\nexec = ['{}', '${{W}}/leaves.py']\nmax_runtime = '1s'\n",
        python()
    ));
    let outcome = trc.file("leaves.py", program).survivors_allowed().run();
    outcome.status(1).stdout_has("did not exit within 1 s");
}

#[test]
fn what_a_tests_command_leaves_behind_is_not_the_services_fault() {
    let toml = "[test.t]\nscript = 'cat $W/never & echo started'\n";
    tested(toml).run().status(0).stdout_has("ok 2 - orphans\n");
}

#[test]
fn a_boot_that_fails_and_a_signal_leave_no_test_unsaid() {
    let outcome = tested("[boot.b]\nexec = 'false'\n[test.t]\nexec = 'true'\n").run();
    outcome.status(1).stdout_has("not ok 1 - test.t\n").stdout_has("not run: boot failed");

    let toml = format!(
        "{SERVICE}[test.a]\nscript = 'echo >$W/began; cat $W/never'\n[test.b]\nexec = 'true'\n"
    );
    let running = tested(&toml).arg("--report").arg("json=report.json").before("cd $W").spawn();
    running.wait_for_file("began");
    let report = running.path("report.json");
    running.signal(TERM);
    running.wait_until("it has ended", || running.ended());
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!((&json["status"], &json["passed"]), (&1.into(), &false.into()));
    let outcomes = (&json["points"][0]["outcome"], &json["points"][1]["outcome"]);
    assert_eq!(outcomes, (&"failed".into(), &"not_run".into()));
    let outcome = running.finish();
    outcome.status(1).stdout_has("not ok 1 - test.a\n").stdout_has("not ok 2 - test.b\n");
    outcome.stdout_has("not run: stopped by SIGTERM").stdout_has(", 1 failed, 0 skipped");
    outcome.stdout_has(" 0 excused, 1 not run\n");
}

#[test]
fn reports_are_files_that_are_there_as_a_whole_or_not_at_all() {
    let toml = "[test.good]\nexec = 'true'\n[test.bad]\nexec = 'false'\n";
    let running = Trc::toml(toml)
        .env("TRC_TEST", "1")
        .env("TRC_REPORT", "junit=report.xml,json=report.json")
        .before("cd $W")
        .spawn();
    running.wait_until("it has ended", || running.ended());
    let mut names: Vec<String> = std::fs::read_dir(running.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["go", "never", "report.json", "report.xml", "trc.toml"]);
    let xml = std::fs::read_to_string(running.path("report.xml")).unwrap();
    assert!(xml.contains("test.bad") && xml.contains("<failure"), "{xml}");
    running.finish().status(1);
    // trc knows before anything runs that the report cannot be written.
    let toml = "[boot.b]\nscript = 'echo ran'\n[test.t]\nexec = 'true'\n";
    let outcome = tested(toml).args(&["--report", "junit=/no/such/x.xml"]).run();
    outcome.status(78).stdout_is("").stderr_lacks("ran");
    outcome.stderr_has("cannot write the report /no/such/x.xml: there is no directory /no/such");
}

#[test]
fn of_many_failed_tests_the_reason_names_some() {
    let tests: Vec<_> = (10..22).map(|n| format!("[test.t{n}]\nexec = 'false'\n")).collect();
    let tests = tests.concat();
    let halt = "[halt.h]\nscript = 'echo \"reason: $TRC_EXIT_REASON\"'\n";
    let outcome = tested(&format!("{tests}{halt}")).run();
    let reason = "12 of 12 tests failed: test.t10, test.t11, test.t12, test.t13, test.t14, \
                  test.t15, test.t16, test.t17, test.t18, test.t19, and 2 more";
    outcome.status(1).stderr_has(&format!("reason: {reason}\n"));
    outcome.stdout_has(&format!("# status 1: {reason}\n"));
}

/// More test points than trc queues for a slow reader.
fn many_long_points() -> String {
    let about = "x".repeat(150_000);
    let test = |n| format!("[test.t{n}]\nexec = 'true'\ndescription = '{about}'\n");
    (1..=4).map(test).collect::<Vec<_>>().concat()
}

#[test]
fn a_reader_that_is_late_gets_every_point() {
    let (mut read, write) = std::io::pipe().unwrap();
    let running = tested(&many_long_points()).stdout_to(write).spawn();
    running.wait_for("Trying to terminate");
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    for number in 1..=4 {
        assert!(text.contains(&format!("\nok {number} - test.t{number}: ")), "{number}");
    }
    assert!(text.ends_with("\n1..8\n# 8 passed, 0 failed, 0 skipped, 0 excused\n"));
    running.finish().status(0);
}

#[test]
fn a_run_whose_points_are_lost_has_failed() {
    for form in ["", "events=-"] {
        let (read, write) = std::io::pipe().unwrap();
        let trc = tested(&many_long_points()).env("TRC_REPORT", form).stdout_to(write);
        let outcome = trc.run();
        let why = "cannot write the report on standard output: its reader did not read it in time";
        outcome.status(1).stderr_has("Exited (exitcode=1)").stderr_has(why);
        drop(read);
    }
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let outcome = tested("[test.t]\nexec = 'true'\n").stdout_to(write).run();
    outcome.status(1).stderr_has("cannot write the report on standard output: Broken pipe");
}

#[test]
fn a_disk_that_is_full_is_said_in_the_reports_that_can_be_written() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let running = tested("[test.t]\nexec = 'true'\n")
        .stdout_to(full)
        .before("cd $W")
        .args(&["--report", "json=json"])
        .spawn();
    let json: serde_json::Value = serde_json::from_str(&left_in(&running, "json")).unwrap();
    let why = "cannot write the report on standard output: No space left on device";
    assert_eq!((&json["status"], &json["passed"]), (&1.into(), &false.into()));
    assert!(json["reason"].as_str().unwrap().contains(why), "{json}");
    running.finish().status(1).stderr_has(why);
}

#[test]
fn nothing_turns_a_failed_test_run_into_0() {
    let toml = "exit.1 = 0\n[test.t]\nexec = 'false'\n";
    tested(toml).args(&["-H", "exit 0"]).run().status(1);
}

#[test]
fn a_test_whose_script_does_nothing_is_an_error() {
    let says = "the script of test.t does nothing, so the test cannot fail";
    let commented = "[test.t]\nscript = '''\n# todo\n\n  # and that\n'''\n";
    tested(commented).run().status(78).stderr_has(says);
    tested(&format!("{commented}expect.uid = {}\n", nix::unistd::geteuid())).run().status(0);
    for text in ["", "#!/bin/sh\n# todo\n"] {
        Trc::new().file("trc.d/test.t", text).arg("--test").run().status(78).stderr_has(says);
    }
    // In production, this does not matter.
    Trc::toml(commented).arg("true").run().status(0).stderr_lacks(says);
}

#[test]
fn no_test_to_run_and_wrong_configuration_are_78() {
    tested(SERVICE).run().status(78).stdout_is("").stderr_has("there is no test to run");
    let toml = "[test.t]\nexpect = { stdot = 'x' }\n";
    tested(toml).run().status(78).stderr_has("trc.toml:2:12").stderr_has("did you mean `stdout`?");
}

#[test]
fn a_drop_in_tests_somebody_elses_image() {
    let outcome = trc(SERVICE)
        .file("trc.d/test.mine", "test -e /etc/passwd\n")
        .file(
            "trc.d/test.theirs.toml",
            "expect.log.contains = 'up'\nafter = ['web']\nexpect.within = '5s'\n",
        )
        .arg("--test")
        .run();
    outcome.status(0).stdout_has("ok 1 - test.mine\n").stdout_has("ok 2 - test.theirs\n");
}

/// The reason used to be lost behind the second unit, and reported twice for the first one.
#[test]
fn a_test_that_waits_in_vain_is_told_the_whole_chain_and_each_reason_once() {
    let toml = "[async.web]\nexec = 'sleep 1000'\nready = { file = '/no/such', within = '50ms' }\n\
                restart = { when = 'on-failure', max = 1, backoff = '1ms' }\n\
                [async.app]\nexec = 'sleep 1000'\nafter = ['web']\n\
                [test.t]\nafter = ['app']\nexpect = { running = 'sleep' }\n";
    let outcome = Trc::toml(toml).arg("--test").run();
    let why = "it was not ready in time: /no/such: no such file or directory";
    outcome.status(1).stdout_lines(&[
        ".*it waits for async.app, which could not be started: it waits for async.web, which was not ready in time.*",
        &format!(".*\"it was restarted once, and then {why}\".*"),
    ]);
}

#[test]
fn the_seeds_own_trick_still_works_beside_it() {
    let halt = "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";
    let outcome = trc(SERVICE).args(&["-H", halt, "-D", "kill -10 ${MAINPID}"]).run();
    outcome.status(0).stdout_lacks("TAP");
}
