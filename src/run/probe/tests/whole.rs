//! Answers whose headers and bodies are looked at.

use super::*;
use crate::config::{JsonPath, Needle, Pattern, Sent, Wanted};

fn has(text: &str) -> Pattern {
    Pattern { needle: Needle::Text(text.to_owned()), negated: false }
}

fn lacks(text: &str) -> Pattern {
    Pattern { negated: true, ..has(text) }
}

fn check(address: SocketAddr, body: &[Pattern], headers: &[(&str, Pattern)]) -> HttpCheck {
    let mut check = HttpCheck {
        http: question(address),
        sent: Sent::default(),
        follow: false,
        body: body.to_vec(),
        headers: [].into(),
        json: Vec::new(),
        answer_within: None,
    };
    for (name, pattern) in headers {
        check.headers.entry((*name).to_owned()).or_default().push(pattern.clone());
    }
    check
}

fn asked(check: &HttpCheck, timeout: Duration) -> Verdict {
    Try::begin_http(check, timeout, Instant::now()).map_or_else(|over| over.verdict, driven)
}

/// Without the URL, which has the port.
fn why(verdict: Verdict) -> Option<String> {
    let why = verdict.err()?.why.to_string();
    Some(why.split_once("/healthz: ").unwrap().1.to_owned())
}

/// Says this and then nothing, until the connection is closed.
fn says_and_stays(answer: &'static str) -> SocketAddr {
    server(move |mut stream| {
        _ = stream.write_all(answer.as_bytes());
        _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn all_that_is_wrong_with_an_answer_is_said_at_once() {
    let body = [has("ok"), lacks("bad")];
    let headers = [("x-a", has("one, two")), ("x-b", lacks("no"))];
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nX-A: one\r\nx-a: two\r\n\r\nall ok\n", None),
        (
            "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nX-A: one, two\r\nX-B: yes\r\nContent-Length: 2\r\n\r\nok",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: one, two\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            None,
        ),
        ("HTTP/1.1 503 Busy\r\nX-A: one, two\r\n\r\nok", Some("it answered 503")),
        (
            "HTTP/1.1 200 OK\r\nX-A: one, two\r\n\r\nstarting\n",
            Some("it answered 200, but its body lacks \"ok\": \"starting\""),
        ),
        (
            "HTTP/1.1 404 No\r\nX-A: one\r\nX-B: no\r\n\r\nso\nbad",
            Some(
                "it answered 404, and its header x-a lacks \"one, two\": \"one\"; \
                 its header x-b has \"no\": \"no\"; its body lacks \"ok\": \"so / bad\"; \
                 its body has \"bad\": line 2: \"bad\"",
            ),
        ),
        (
            "HTTP/1.1 204 None\r\n\r\nok",
            Some("it answered 204, but it has no header x-a; its body lacks \"ok\": nothing"),
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: one, two\r\nContent-Length: 5\r\n\r\nok",
            Some(
                "it answered 200, but it closed the connection before the last 3 bytes of its body",
            ),
        ),
        (
            "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            Some("it answered 500, and it closed the connection before the end of its body"),
        ),
        (
            "HTTP/1.1 200 OK\r\nX-A: one",
            Some("it closed the connection before the end of its headers"),
        ),
        ("HTTP/1.1 200 OK\r\nX-A\r\n", Some("its answer has an invalid header: \"X-A\"")),
        ("SSH-2.0-OpenSSH\r\n", Some("its answer is not HTTP")),
        ("", Some("it closed the connection without an answer")),
    ] {
        let found = why(asked(&check(says(answer.as_bytes()), &body, &headers), LONG));
        assert_eq!(found.as_deref(), expected, "{answer:?}");
    }
}

#[test]
fn what_is_not_looked_at_is_not_waited_for() {
    let status = "HTTP/1.1 200 OK\r\n";
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-A: b\r\n\r\n";
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    assert_eq!(asked(&check(says_and_stays(status), &[], &[]), LONG), Ok(()));
    assert_eq!(asked(&check(says_and_stays(head), &[], &[("x-a", has("b"))]), LONG), Ok(()));
    for whole in [body, chunks] {
        assert_eq!(asked(&check(says_and_stays(whole), &[has("ok")], &[]), LONG), Ok(()));
    }
}

#[test]
fn a_server_that_hangs_in_its_body_is_out_of_time() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\n", "no answer within 0.15 s"),
        ("HTTP/1.1 200 OK\r\n\r\nok", "it answered 200, but the rest did not arrive within 0.15 s"),
        (
            "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
            "it answered 503, and the rest did not arrive within 0.15 s",
        ),
    ] {
        let verdict = asked(&check(says_and_stays(answer), &[has("ok")], &[]), SHORT);
        assert!(verdict.as_ref().is_err_and(|failure| failure.timed_out), "{answer:?}");
        assert_eq!(why(verdict).as_deref(), Some(expected), "{answer:?}");
    }
}

#[test]
fn a_server_that_floods_with_anything_is_cut_off() {
    let long = "its body is longer than 1 MiB";
    let headers = "its headers are longer than 64 KiB";
    for (begin, again, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "ok", format!("it answered 200, but {long}")),
        ("HTTP/1.1 200 OK\r\n", "A: b\r\n", headers.to_owned()),
        ("", "HTTP/1.1 100 Go\r\n\r\n", headers.to_owned()),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "2\r\nok\r\n",
            format!("it answered 200, but {long}"),
        ),
    ] {
        let flood = again.repeat(4096);
        let address = server(move |mut stream| {
            // Unread bytes would reset the connection.
            _ = stream.read(&mut [0; 4096]);
            _ = stream.write_all(begin.as_bytes());
            while stream.write_all(flood.as_bytes()).is_ok() {}
        });
        let found = why(asked(&check(address, &[has("ok")], &[]), LONG));
        assert_eq!(found, Some(expected), "{begin:?}");
    }
}

#[test]
fn the_longest_body_is_read_whole_and_a_connection_that_is_reset_is_told() {
    let address = server(|mut stream| {
        _ = stream.read(&mut [0; 4096]);
        let body = "x".repeat(1024 * 1024 - 3);
        _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{body}end").as_bytes());
    });
    assert_eq!(asked(&check(address, &[has("xend")], &[]), LONG), Ok(()));

    let address = server(|mut stream| {
        _ = stream.read(&mut [0; 4096]);
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok");
        setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    });
    let found = why(asked(&check(address, &[has("ok")], &[]), LONG)).unwrap();
    // The bytes that had arrived may be lost with the connection.
    assert!(found.ends_with("connection reset by peer"), "{found}");
}

#[test]
fn a_body_that_is_looked_at_is_asked_for_without_a_coding() {
    for (body, expected) in [(vec![], false), (vec![lacks("x")], true)] {
        let (to, asked_for) = std::sync::mpsc::channel();
        let address = server(move |mut stream| {
            let mut question = [0; 4096];
            let count = stream.read(&mut question).unwrap();
            to.send(String::from_utf8(question[..count].to_vec()).unwrap()).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        });
        assert_eq!(asked(&check(address, &body, &[]), LONG), Ok(()));
        let question = asked_for.recv().unwrap();
        assert_eq!(question.contains("\r\nAccept-Encoding: identity\r\n"), expected, "{question}");
        assert!(question.ends_with("Connection: close\r\n\r\n"), "{question}");
    }
}

/// Answers each of these paths, and tells the lines of the requests that came.
fn routes(
    answers: &'static [(&'static str, &'static str)],
) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let (tell, told) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        let mut came = Vec::new();
        let mut bytes = [0; 4096];
        // The request ends with the body that it announces, or with its head.
        loop {
            let count = stream.read(&mut bytes).unwrap();
            came.extend_from_slice(&bytes[..count]);
            let text = String::from_utf8_lossy(&came).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                let target = head.split(' ').nth(1).unwrap();
                let answer = answers.iter().find(|(path, _)| *path == target);
                let (_, answer) = answer.unwrap_or(&("", "HTTP/1.1 404 No\r\n\r\n"));
                // Whoever has the answer can ask for the request.
                _ = tell.send(text);
                _ = stream.write_all(answer.as_bytes());
                return;
            }
        }
    });
    (address, told)
}

#[test]
fn a_request_has_the_method_the_headers_and_the_body_that_were_written() {
    let (address, told) = routes(&[("/healthz", "HTTP/1.1 201 Made\r\n\r\n")]);
    let mut check = check(address, &[], &[]);
    check.sent = Sent {
        method: "PUT".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "me".to_owned()),
        ],
        body: Some("{\"a\": 1}".to_owned()),
    };
    assert_eq!(asked(&check, LONG), Ok(()));
    assert_eq!(
        told.recv().unwrap(),
        "PUT /healthz HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\
         content-type: application/json\r\nuser-agent: me\r\nContent-Length: 8\r\n\
         Connection: close\r\n\r\n{\"a\": 1}"
    );
}

#[test]
fn redirects_are_followed_to_the_last_answer_if_that_was_asked_for() {
    const REDIRECTS: &[(&str, &str)] = &[
        ("/healthz", "HTTP/1.1 302 Found\r\nLocation: in\r\nContent-Length: 2\r\n\r\nno"),
        ("/in", "HTTP/1.1 307 Again\r\nLocation: http://example.com/end\r\n\r\n"),
        ("/end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("/round", "HTTP/1.1 301 Moved\r\nLocation: /round\r\n\r\n"),
        ("/tls", "HTTP/1.1 301 Moved\r\nLocation: https://example.com/\r\n\r\n"),
    ];
    let (address, told) = routes(REDIRECTS);
    let mut follows = check(address, &[has("ok")], &[]);
    follows.follow = true;
    follows.sent = Sent { method: "POST".to_owned(), headers: vec![], body: Some("b".to_owned()) };
    assert_eq!(asked(&follows, LONG), Ok(()));
    let lines: Vec<String> =
        told.try_iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["POST /healthz HTTP/1.1", "GET /in HTTP/1.1", "GET /end HTTP/1.1"]);
    for (path, expected) in [
        ("/round", "it redirects more than 10 times"),
        ("/tls", "it redirects to \"https://example.com/\", and trc does not speak TLS"),
    ] {
        let mut check = follows.clone();
        path.clone_into(&mut check.http.path);
        let why = asked(&check, LONG).unwrap_err().why.to_string();
        assert!(why.ends_with(expected), "{why}");
    }
    let mut stays = follows;
    stays.follow = false;
    let why = why(asked(&stays, LONG)).unwrap();
    assert!(why.contains("it answered 302, a redirect to \"in\", which trc does not follow"));
}

#[test]
fn a_failure_after_a_redirect_says_where_it_was() {
    let there = deserted();
    let gone = format!("HTTP/1.1 301 Moved\r\nLocation: http://{there}/x\r\n\r\n").leak();
    let (address, _told) = routes(vec![("/healthz", &*gone)].leak());
    let mut check = check(address, &[], &[]);
    check.follow = true;
    let failure = asked(&check, LONG).unwrap_err();
    assert_eq!(failure.refused, Some(there.port()));
    let why = failure.why.to_string();
    assert!(why.ends_with("connection refused") && why.contains(&there.to_string()), "{why}");
}

#[test]
fn values_of_a_body_are_compared() {
    const OK: &str = "HTTP/1.1 200 OK\r\n\r\n{\"status\": \"starting\"}";
    let (address, _told) = routes(&[("/healthz", OK)]);
    let mut check = check(address, &[], &[]);
    let ok = Wanted::Text(has("ok"));
    check.json = vec![(JsonPath::read("$.status"), vec![ok])];
    let expected = "it answered 200, but $.status is \"starting\", not \"ok\"";
    assert_eq!(why(asked(&check, LONG)).as_deref(), Some(expected));
}

#[test]
fn an_answer_to_head_has_no_body_to_wait_for() {
    let stays = says_and_stays("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 9\r\n\r\n");
    let mut check = check(stays, &[], &[("x", has("y"))]);
    check.sent.method = "HEAD".to_owned();
    check.answer_within = Some(LONG);
    assert_eq!(asked(&check, LONG), Ok(()));
}

#[test]
fn an_answer_that_is_right_but_late_fails() {
    let (address, _told) = routes(&[("/healthz", "HTTP/1.1 200 OK\r\n\r\nok")]);
    let mut check = check(address, &[], &[]);
    check.answer_within = Some(LONG);
    assert_eq!(asked(&check, LONG), Ok(()));
    check.answer_within = Some(Duration::from_nanos(1));
    let why = why(asked(&check, LONG)).unwrap();
    let expected = why.starts_with("the answer took ");
    assert!(expected && why.ends_with("which is longer than 0.000000001 s"), "{why}");
}
