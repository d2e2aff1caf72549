//! What a test can expect: each check, when it holds, and what it says when it does not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::common::{Outcome, Trc};

/// A service that runs until it is asked to exit.
const SERVICE: &str = "[async.web]\nexec = ['cat', '${W}/never']\n";

fn tested(toml: &str) -> Trc {
    Trc::toml(toml).arg("--test")
}

/// Runs a test with this `expect`, which holds if there is no reason why not.
fn expects(trc: impl Fn(&str) -> Trc, expect: &str, why_not: Option<&str>) -> Outcome {
    let outcome = trc(&format!("{SERVICE}[test.t]\nafter = ['web']\nexpect = {expect}\n")).run();
    outcome.status(i32::from(why_not.is_some()));
    match why_not {
        None => outcome.stdout_has("ok 1 - test.t\n"),
        Some(why) => outcome.stderr_has(why),
    };
    outcome
}

/// An HTTP server. It answers with what it was asked, as JSON, and redirects from `/from` to `/to`,
/// and from `/out` to a place that it is not.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let (mut came, mut bytes) = (Vec::new(), [0; 4096]);
            let answer = loop {
                let Ok(count @ 1..) = client.read(&mut bytes) else { break String::new() };
                came.extend_from_slice(&bytes[..count]);
                let text = String::from_utf8_lossy(&came);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let header = |name: &str| {
                    let of = |line: &str| {
                        let (found, value) = line.split_once(": ")?;
                        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
                    };
                    head.lines().find_map(of).unwrap_or_default()
                };
                if body.len() < header("content-length").parse().unwrap_or(0) {
                    continue;
                }
                let mut words = head.split(' ');
                let (method, path) = (words.next().unwrap(), words.next().unwrap());
                let place = match path {
                    "/from" => Some("/to"),
                    "/out" => Some("https://example.com/"),
                    _ => None,
                };
                if let Some(to) = place {
                    break format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n");
                }
                let (kind, token) = (header("content-type"), header("x-token"));
                let said = format!(
                    r#"{{"method": "{method}", "path": "{path}", "kind": "{kind}",
                    "token": "{token}", "length": {}, "all": [1, {{"b": "{body}"}}]}}"#,
                    body.len()
                );
                break format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
            };
            _ = client.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_request_is_sent_as_it_is_written_and_values_of_the_answer_are_compared() {
    let port = echo();
    for (keys, why_not) in [
        ("json = { '$.method' = 'GET', length = 0 }", None),
        (
            "send = { method = 'PUT', headers = { content-type = 'text/x', x_token = 't' }, body = 'abc' }, \
             json = { method = 'PUT', kind = 'text/x', token = 't', '$.all[1].b' = '/^a.c$/', length = ['> 2', '< 4'] }",
            None,
        ),
        ("send = { body = 'x' }, json = { method = 'POST' }", None),
        ("send = 'DELETE', json = { method = 'DELETE' }", None),
        ("json = { '$.all.length' = 3 }", Some("it answered 200, but $.all.length is 2, not 3")),
        ("json = { method = '!GET' }", Some("method is \"GET\", which it must not be")),
        ("json = { nothing = 'x' }", Some("it has no nothing: $ has the members ")),
        ("json = { method = '> 3' }", Some("method is \"GET\", which is not a number")),
        ("answer_within = '1m'", None),
        ("answer_within = 0.0000001", Some("which is longer than 0.0000001 s")),
    ] {
        let expect = format!("{{ http = {{ url = 'http://127.0.0.1:{port}/x', {keys} }} }}");
        expects(tested, &expect, why_not);
    }
}

#[test]
fn a_redirect_is_followed_if_a_test_says_so() {
    let port = echo();
    for (path, keys, why_not) in [
        ("from", "follow = true, json = { path = '/to' }", None),
        ("from", "status = 302", None),
        ("from", "follow = false", Some("a redirect to \"/to\", which trc does not follow")),
        (
            "out",
            "follow = true",
            Some("it redirects to \"https://example.com/\", and trc does not speak TLS"),
        ),
    ] {
        let expect = format!("{{ http = {{ url = 'http://127.0.0.1:{port}/{path}', {keys} }} }}");
        expects(tested, &expect, why_not);
    }
}

#[test]
fn the_machine_is_as_a_test_expects() {
    for (expect, why_not) in [
        ("{ user_account = 'root' }", None),
        ("{ user_account = { name = 'root', uid = 0, group = 'root', groups = '!nobody' } }", None),
        ("{ user_account = { name = 'root', uid = 7 } }", Some("its uid is 0, not 7")),
        ("{ user_account = { name = 'root', exists = false } }", Some("it exists: its uid is 0")),
        ("{ user_account = 'nobdy' }", Some("there is no user nobdy")),
        ("{ group_account = { name = 'root', gid = 0 } }", None),
        ("{ group_account = 'nobdy' }", Some("there is no group nobdy")),
        ("{ mount = { path = '/proc', type = 'proc', options = '!ro' } }", None),
        ("{ mount = { path = '/etc/no-such', exists = false } }", None),
        ("{ mount = '/etc/no-such' }", Some("nothing is mounted there: it is in /")),
        ("{ mount = { path = '/proc', type = 'tmpfs' } }", Some("its type is proc, not tmpfs")),
        ("{ sysctl = { 'kernel.ostype' = 'Linux', 'kernel.pid_max' = '> 1' } }", None),
        ("{ sysctl = { 'kernel.ostype' = 'BSD' } }", Some("it is \"Linux\", not \"BSD\"")),
        ("{ sysctl = { 'no.such' = 1 } }", Some("cannot read it: no such file or directory")),
        ("{ dns = 'localhost' }", None),
        ("{ dns = { name = 'localhost', addresses = ['!10.0.0.7'] } }", None),
        ("{ dns = { name = 'localhost', exists = false } }", Some("localhost: it resolves to ")),
        (
            "{ dns = { name = 'localhost', addresses = '10.0.0.7' } }",
            Some("localhost: it lacks the address 10.0.0.7 and has "),
        ),
        ("{ dns = { name = '127.0.0.9', addresses = '127.0.0.9' } }", None),
        ("{ env = { unit = 'web', set = { WHO = 'me' }, unset = ['NOBODY'] } }", None),
        ("{ env = { set = { WHO = '/^m/' } } }", None),
        ("{ env = { set = { WHO = 'you' } } }", Some("WHO of async.web is \"me\", not \"you\"")),
        ("{ env = { set = { NOBODY = 'x' } } }", Some("NOBODY of async.web is not set")),
        ("{ env = { unset = ['WHO'] } }", Some("WHO of async.web is set")),
    ] {
        let trc = |toml: &str| tested(&format!("[env]\nWHO = 'me'\n{toml}"));
        expects(trc, expect, why_not);
    }
}

#[test]
fn files_are_looked_at_and_summed() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let other = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (keys, why_not) in [
        (format!("sha256 = '{abc}', size = ['> 2', '< 1k'], type = 'file'"), None),
        (format!("sha256 = 'SHA256:{}'", abc.to_uppercase()), None),
        (format!("sha256 = '{other}'"), Some("its SHA-256 is ba7816bf8f01cfea")),
        ("size = '> 3'".to_owned(), Some("its size is 3 bytes, not > 3 bytes")),
        ("type = 'directory'".to_owned(), Some("it is a file of 3 bytes, not a directory")),
        ("newer_than = '1h'".to_owned(), None),
        ("newer_than = '${W}/abc'".to_owned(), Some("it is not newer than /")),
    ] {
        let trc = |toml: &str| tested(toml).file("abc", "abc");
        expects(trc, &format!("{{ file = {{ path = '${{W}}/abc', {keys} }} }}"), why_not);
    }
}

/// A child that looks at files must not be taken for one that a unit has left behind.
#[test]
fn what_is_below_a_directory_is_forbidden_or_too_large() {
    for (keys, why_not) in [
        ("", None),
        ("forbids = ['broken-link']", Some("links to nothing: ")),
        ("forbids = ['broken-link'], except = ['${W}/tree/lost']", None),
        ("max_size = '1GB'", None),
        ("max_size = '1k'", Some(", more than 1 KiB")),
    ] {
        let trc = |toml: &str| {
            let trc = tested(toml).file("tree/file", vec![1; 65536]);
            std::os::unix::fs::symlink("nowhere", trc.path("tree/lost")).unwrap();
            trc
        };
        let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
        let outcome =
            expects(trc, &format!("{{ tree = {{ path = '${{W}}/tree'{keys} }} }}"), why_not);
        outcome.stdout_has("orphans\n").stdout_lacks("not ok 2 ");
    }
    let gone = Some("no such file or directory");
    expects(tested, "{ tree = '/no/such' }", gone);
}

/// A service in Python that listens on a port of the loopback, or of every address.
fn listening(address: &str) -> (u16, impl Fn(&str) -> Trc) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = format!(
        "import socket, threading\n\
         threading.Thread(target=threading.Event().wait, daemon=True).start()\n\
         s = socket.create_server(('{address}', {port}))\nprint('up', flush=True)\n\
         while True: s.accept()\n"
    );
    let trc = move |toml: &str| {
        let server = format!(
            "[async.server]\nexec = ['{}', '${{W}}/server.py']\nready.log = 'up'\n",
            crate::common::python()
        );
        let toml = toml.replace("after = ['web']", "after = ['web', 'server']");
        tested(&format!("{server}{toml}")).file("server.py", &program)
    };
    (port, trc)
}

#[test]
fn a_port_belongs_to_a_unit() {
    let (port, trc) = listening("127.0.0.1");
    for (listener, why_not) in [
        (format!("{{ unit = 'server', ports = {port} }}"), None),
        (format!("{{ unit = 'server', ports = ['127.0.0.1:{port}', '{port}/tcp'] }}"), None),
        (
            format!("{{ unit = 'web', ports = {port} }}"),
            Some(format!("no process of async.web listens on {port}/tcp, but ")),
        ),
        (
            format!("{{ unit = 'server', ports = '{port}/udp' }}"),
            Some(format!("nothing listens on {port}/udp; ")),
        ),
    ] {
        expects(&trc, &format!("{{ listener = {listener} }}"), why_not.as_deref());
    }
    // It has its main thread and another one.
    let threads = "[test.t.expect]\nmax_threads = ";
    let test = |most: u32| format!("[test.t]\nafter = ['server']\n{threads}{most}\n");
    trc(&test(2)).run().status(0);
    trc(&test(1)).run().status(1).stderr_has("async.server has 2 threads");
}

#[test]
fn only_the_allowed_ports_can_be_reached_from_outside() {
    let (port, trc) = listening("0.0.0.0");
    // Other tests listen on this machine, too.
    let why = format!("0.0.0.0:{port}/tcp");
    let outcome = trc("[test.t]\nafter = ['server']\nexpect.listening_only = []\n").run();
    outcome.status(1).stderr_has("something listens on ").stderr_has(&why);
    let toml = format!("[test.t]\nafter = ['server']\nexpect.listening_only = {port}\n");
    trc(&toml).run().stderr_lacks(&format!("something listens on {why}"));
}

#[test]
fn a_unit_may_write_only_so_many_lines_per_second() {
    let calm = "[async.calm]\nscript = 'seq 500; echo up; read x <$W/never'\nready.log = 'up'\n";
    let loud = "[async.loud]\nscript = 'echo up; while :; do echo again; sleep 0.01; done'\nready.log = 'up'\n";
    let rate = |unit: &str| {
        tested(&format!(
            "{calm}{loud}[test.t]\nafter = ['{unit}']\nexpect = {{ max_log_rate = 5, holds = '1s' }}\n"
        ))
    };
    // What it wrote before the test does not count.
    rate("calm").run().status(0);
    rate("loud")
        .run()
        .status(1)
        .stderr_has("at most 5 lines of output per second; found: async.loud has written ");
    let apart = format!(
        "{loud}output = 'null'\n[test.t]\nafter = ['loud']\nexpect = {{ max_log_rate = 5, holds = '1s' }}\n"
    );
    tested(&apart.replace("ready.log = 'up'", ""))
        .run()
        .status(1)
        .stderr_has("trc does not read the output of async.loud, so it cannot count the lines");
    let short = "[async.a]\nexec = 'a'\n[test.t]\nexpect = { max_log_rate = 5, holds = '10ms' }\n";
    tested(short).run().status(78).stderr_has("error: `expect.max_log_rate` needs `holds`");
}

#[test]
fn the_json_report_lists_what_no_test_is_about() {
    let (port, trc) = listening("0.0.0.0");
    let untested = |test: &str| {
        let toml = format!("[async.server.restart]\nwhen = 'on-failure'\n{SERVICE}{test}");
        let outcome = trc(&toml).args(&["--report", "json=report"]).run();
        outcome.status(0);
        let report = std::fs::read_to_string(outcome.path("report")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let all = report["untested"].as_array().unwrap().clone();
        // Other tests listen on this machine, too.
        let is_own = |one: &serde_json::Value| {
            one["kind"] != "port" || one["unit"] != serde_json::Value::Null
        };
        all.into_iter().filter(is_own).collect::<Vec<_>>()
    };
    let port_text = format!("{port}/tcp");
    let all = untested("[test.t]\nexec = 'true'\n");
    assert_eq!(
        serde_json::Value::from(all),
        serde_json::json!([
            {"kind": "unit", "unit": "async.server", "port": null,
             "text": "no test names async.server or uses one of its ports"},
            {"kind": "unit", "unit": "async.web", "port": null,
             "text": "no test names async.web or uses one of its ports"},
            {"kind": "port", "unit": "async.server", "port": port_text,
             "text": format!("no test uses port {port}/tcp of async.server")},
            {"kind": "restart", "unit": "async.server", "port": null,
             "text": "no fault tests the restart of async.server"},
        ])
    );
    let both = format!(
        "[test.t]\nafter = ['web']\nexpect = {{ tcp = {port}, within = '20s', \
         fault = {{ unit = 'server', kill = 'SIGKILL' }} }}\n"
    );
    assert_eq!(untested(&both), [] as [serde_json::Value; 0]);
}

/// With `holds`, there are several attempts.
#[test]
fn a_command_that_runs_once_is_not_run_by_further_attempts() {
    let sent = "script = 'echo x >>$W/sent'\nexpect.holds = '300ms'\n";
    for (once, is_one) in [("", false), ("once = true\n", true)] {
        let trc = tested(&format!("{SERVICE}[test.t]\n{once}{sent}"));
        let path = trc.path("sent");
        let run = trc.spawn();
        let path = run.path(path);
        let text = {
            run.wait_for_end();
            std::fs::read_to_string(path).unwrap()
        };
        run.finish().status(0);
        assert_eq!(text == "x\n", is_one, "{text}");
    }
}

/// The service gets one letter, and would read a second one if the command ran again.
#[test]
fn the_other_checks_are_tried_until_they_hold_after_a_command_that_runs_once() {
    let post =
        "[async.post]\nscript = 'read -r x <$W/letter; echo $x >$W/box; exec cat $W/never'\n";
    let test = "[test.t]\nonce = true\nscript = 'echo dear >$W/letter'\n\
                expect = { file = { path = '${W}/box', contains = 'dear' }, within = '1m' }\n";
    tested(&format!("{post}{test}")).fifo("letter").run().status(0);
}

#[test]
fn a_command_that_runs_once_and_fails_has_failed_for_good() {
    for (script, expect, why) in [
        ("echo x >>$W/sent; exit 3", "", "it exited with 3"),
        ("echo x >>$W/sent", "expect.stdout = 'sent'\n", "stdout has \\\"sent\\\""),
        ("echo x >>$W/sent; verdict fail lost", "", "lost"),
    ] {
        let test = format!("[test.t]\nonce = true\nscript = '{script}'\nexpect.within = '1h'\n");
        tested(&format!("{SERVICE}{test}{expect}")).run().status(1).stdout_has(why);
    }
}
