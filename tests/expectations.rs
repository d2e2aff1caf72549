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
