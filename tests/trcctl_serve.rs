//! `trcctl serve`: the page, the probes and the metrics over HTTP, and who may ask for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::browser::Browser;
use crate::common::{Mode, Running, TERM, Trc, alone, copy, has, root};
use crate::control::Asked;
use crate::resources::promtool;

/// A token that is long enough.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A service that is ready once it has said so.
const WEB: &str =
    "[async.web]\nscript = 'echo ready; exec cat $W/never'\nready = { log = '^ready$$' }\n";

/// The type of metrics, if the client does not ask for another one.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A service that prints what the test writes.
const ECHO: &str = "[async.echo]\nscript = 'exec cat <>$W/go'\n";

/// `trcctl serve` at work.
struct Serve {
    process: Child,
    address: SocketAddr,
    /// The lines that it has written to standard error.
    errors: BufReader<std::process::ChildStderr>,
    said: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Serve {
    /// Starts it at a free port.
    fn new(socket: &Path, words: &[&str]) -> Self {
        Self::started(Command::new(env!("CARGO_BIN_EXE_trcctl")), socket, words)
    }

    fn started(mut command: Command, socket: &Path, words: &[&str]) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(words).env_clear();
        command.env("TRC_SOCKET", socket).stdin(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let address = said.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
        let Some((address, _)) = address else {
            panic!("it does not listen: {said:?} {:?}", process.wait_with_output())
        };
        let address = address.parse().unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        Self { process, address, errors, said }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(crate::common::patience())).unwrap();
        stream
    }

    /// Sends a request with these header fields, and with a `Host` if they have none.
    fn ask(&self, method: &str, target: &str, fields: &str) -> Answer {
        let host = if fields.contains("Host: ") { "" } else { "Host: localhost\r\n" };
        self.send(&format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n{host}{fields}\r\n"))
    }

    /// Sends these bytes.
    fn send(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        Answer::read(stream)
    }

    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &format!("Host: {}\r\n", self.address))
    }

    /// Follows a stream of server-sent events, and reads the head of the answer.
    fn follow(&self, target: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let fields = "Host: localhost\r\nAccept: text/event-stream\r\n";
        write!(stream, "GET {target}?follow=true HTTP/1.1\r\n{fields}\r\n").unwrap();
        let mut stream = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "no head: {head}");
            head += &line;
        }
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        stream
    }

    /// Waits until an answer has this status code.
    fn wait_for(&self, run: &Running, target: &str, status: u16) -> Answer {
        let mut last = None;
        run.wait_until(&format!("{target} is {status}"), || {
            let answer = self.get(target);
            let met = answer.status == status;
            last = Some(answer);
            met
        });
        last.unwrap()
    }

    fn signal(&self, number: i32) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(number).unwrap()).unwrap();
    }

    /// Reads one line of its standard error.
    fn complaint(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that has not read the whole request resets the connection after its answer.
        _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    #[track_caller]
    fn is(&self, status: u16, code: &str, detail: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
    }
}

/// Starts trc, and waits until it listens.
fn run(toml: &str) -> (Running, PathBuf) {
    let Asked { running, socket } = Asked::new(toml, Mode::Subreaper);
    (running, socket)
}

/// Writes a token to a file.
fn token_file(run: &Running) -> PathBuf {
    let path = run.path("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    path
}

/// Serves with buttons.
fn operating(run: &Running, socket: &Path) -> Serve {
    let token = token_file(run);
    Serve::new(socket, &["--allow-operate", "--token-file", token.to_str().unwrap()])
}

#[test]
fn each_resource_has_its_type() {
    let (run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    assert_eq!(it.said, format!("listening on http://{}/ (read-only)\n", it.address));
    it.wait_for(&run, "/readyz", 200);
    for (target, kind, has) in [
        ("/", "text/html; charset=utf-8", "<h1>trc</h1>"),
        ("/app.js", "text/javascript; charset=utf-8", "\"use strict\""),
        ("/app.css", "text/css; charset=utf-8", "prefers-color-scheme: dark"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/healthz", "application/json", r#""state":"ready""#),
        ("/readyz", "application/json", r#""state":"ready""#),
        ("/state", "application/json", r#""name":"async.web""#),
        ("/v1", "application/json", r#""boot_id":"#),
        ("/v1/health", "application/json", r#""state":"ready""#),
        ("/v1/health?unit=web", "application/json", r#""state":"ready""#),
        ("/v1/units", "application/json", r#""name":"async.web""#),
        ("/v1/units/web", "application/json", r#""name":"async.web""#),
        ("/v1/logs?n=1", "application/x-ndjson", r#""line":"ready""#),
        ("/v1/events", "application/x-ndjson", r#""event":"ready""#),
        ("/v1/graph", "application/json", r#""edges":[]"#),
        ("/v1/timeline", "application/json", r#""phase":"running""#),
        ("/metrics", METRICS, "trc_unit_up"),
        ("/v1/metrics", METRICS, "# EOF"),
    ] {
        let answer = it.get(target);
        assert_eq!((answer.status, answer.field("content-type")), (200, Some(kind)), "{target}");
        assert!(answer.body.contains(has), "{target}: {}", answer.body);
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.field("access-control-allow-origin"), None, "{target}");
        let policy = answer.field("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        let head = it.ask("HEAD", target, "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{target}");
    }
}

#[test]
fn the_page_is_told_the_state_of_each_unit_that_status_shows() {
    let toml = format!(
        "{WEB}on_failure = 'ignore'\n{ECHO}[async.broken]\nexec = 'false'\non_failure = 'ignore'\n\
         [async.once]\nexec = 'true'\noneshot = true\n[async.held]\nexec = 'true'\noneshot = true\n\
         [async.later]\nexec = 'true'\nafter = {{ web = 'exited' }}\n"
    );
    let asked = Asked::new(&toml, Mode::Subreaper);
    let it = Serve::new(&asked.socket, &[]);
    for (unit, until) in [
        ("web", "ready"),
        ("echo", "started"),
        ("broken", "ended"),
        ("once", "ended"),
        ("held", "ended"),
    ] {
        asked.get(&format!("/v1/units/{unit}?wait={until}&for=30s"));
    }
    asked.post("/v1/units/held/stop");
    let state = it.get("/state").json();
    let units = state["units"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told: Vec<[String; 3]> =
        units.iter().map(|unit| ["name", "state", "look"].map(|key| text(&unit[key]))).collect();
    for expected in [
        ["async.web", "ready", "good"],
        ["async.echo", "running", "good"],
        ["async.broken", "failed", "bad"],
        ["async.once", "ended", "dim"],
        ["async.held", "held", "asked"],
        ["async.later", "waiting", "dim"],
    ] {
        assert!(told.iter().any(|unit| *unit == expected), "{expected:?}: {told:?}");
    }
    let status = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .arg("status")
        .env("TRC_SOCKET", &asked.socket)
        .output()
        .unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    for [name, state, _] in &told {
        let row = status.lines().find(|line| line.starts_with(name.as_str())).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some(state.as_str()), "{status}");
    }
}

#[test]
fn prometheus_reads_the_metrics() {
    let (run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    it.wait_for(&run, "/readyz", 200);
    let text = it.ask("GET", "/metrics", "Accept: text/plain\r\n");
    assert!(text.field("content-type").unwrap().starts_with("text/plain"), "{text:?}");
    if has("promtool") {
        assert_eq!(promtool(&["check", "metrics"], &text.body), "", "{text:?}");
    }
}

#[test]
fn nothing_else_of_trc_is_offered() {
    let (run, socket) = run(WEB);
    let it = operating(&run, &socket);
    let fields = format!("Authorization: Bearer {TOKEN}\r\n");
    for (method, target, status, code) in [
        ("POST", "/v1/shutdown", 404, "not_found"),
        ("POST", "/v1/reload", 404, "not_found"),
        ("POST", "/v1/reload?dry_run=true", 404, "not_found"),
        ("POST", "/v1/units/web/signal?signal=TERM", 404, "not_found"),
        ("POST", "/v1/units/web/reset", 404, "not_found"),
        ("POST", "/v1/units/web/reload", 404, "not_found"),
        ("POST", "/v1/exec", 404, "not_found"),
        ("DELETE", "/v1/jobs/1", 404, "not_found"),
        ("GET", "/v1/config", 404, "not_found"),
        ("GET", "/v1/health?wait=stopped", 404, "not_found"),
        ("GET", "/v1/units/web?wait=ended", 404, "not_found"),
        ("GET", "/v1/jobs/1?wait=true", 404, "not_found"),
        ("GET", "/v1/units/../shutdown", 404, "not_found"),
        ("GET", "/v1/units/%2e%2e%2fshutdown", 404, "not_found"),
        ("GET", "/index.html", 404, "not_found"),
        ("GET", "//", 404, "not_found"),
        ("GET", "/v1/units/wbe", 404, "not_found"),
        ("GET", "/v1/shutdown", 404, "not_found"),
        ("GET", "/v1/units/web/reset", 404, "not_found"),
        ("PUT", "/v1/config", 404, "not_found"),
        ("GET", "/v1/logs?n=x", 400, "bad_request"),
    ] {
        it.ask(method, target, &fields).is(status, code, "");
    }
    assert_eq!(it.get("/v1/units/web").json()["wanted"], "up");
}

#[test]
fn another_method_is_refused_with_those_that_the_resource_takes() {
    let (run, socket) = run(WEB);
    let it = operating(&run, &socket);
    for (method, target, allow) in [
        ("POST", "/", "get, head"),
        ("POST", "/state", "get, head"),
        ("PUT", "/healthz", "get, head"),
        ("OPTIONS", "/v1/units", "get, head"),
        ("DELETE", "/v1/units/web", "get, head"),
        ("POST", "/v1/logs?follow=true", "get, head"),
        // Only the control socket takes DELETE.
        ("PUT", "/v1/jobs/1", "get, head"),
        ("GET", "/v1/units/web/stop", "post"),
        ("HEAD", "/v1/units/web/stop", "post"),
    ] {
        let answer = it.ask(method, target, "");
        assert_eq!((answer.status, answer.field("allow")), (405, Some(allow)), "{method} {target}");
        if method != "HEAD" {
            answer.is(405, "bad_method", "");
        }
    }
    assert_eq!(it.get("/").field("allow"), None);
}

#[test]
fn probes_tell_whether_the_container_is_alive_and_ready() {
    let toml = "[async.web]\nscript = 'read x <$W/go; echo ready; exec cat $W/never'\n\
        ready = { log = '^ready$$' }\n[async.extra]\nscript = 'exec cat $W/never'\n";
    let (run, socket) = run(toml);
    let it = Serve::new(&socket, &[]);
    // It starts: that is alive, and not ready.
    let starting = it.wait_for(&run, "/readyz", 503).json();
    assert_eq!((&starting["state"], &starting["unit"]), (&"starting".into(), &"async.web".into()));
    // It may not even have executed its command.
    let why = starting["why"].as_str().unwrap();
    assert!(why.starts_with("is not ready yet") || why == "is starting", "{starting}");
    assert_eq!(it.get("/healthz").status, 200);
    run.open_gate("go");
    it.wait_for(&run, "/readyz", 200);
    assert_eq!(it.get("/healthz").status, 200);
    // Somebody stops a unit: the container is degraded, and works.
    let stop = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["stop", "extra"])
        .env("TRC_SOCKET", &socket)
        .output();
    assert!(stop.unwrap().status.success());
    assert_eq!(it.get("/readyz").json()["state"], "degraded");
    assert_eq!((it.get("/readyz").status, it.get("/healthz").status), (200, 200));
}

#[test]
fn a_container_that_is_unhealthy_is_not_alive() {
    let (run, socket) = run("wait = 'forever'\n[async.web]\nscript = 'echo gone; exit 3'\n");
    let it = Serve::new(&socket, &[]);
    for target in ["/healthz", "/readyz"] {
        let answer = it.wait_for(&run, target, 503).json();
        assert_eq!(answer["state"], "unhealthy");
        assert_eq!(
            (&answer["unit"], &answer["why"]),
            (&"async.web".into(), &"failed with status 3".into())
        );
    }
}

#[test]
fn a_trc_that_is_gone_is_told_and_one_that_comes_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("trc.sock");
    let mut it = Serve::new(&socket, &[]);
    let says = format!("no trc answers on {}: ", socket.display());
    assert!(it.complaint().starts_with(&format!("trcctl: {says}")));
    for _ in 0..2 {
        for target in ["/healthz", "/readyz", "/state", "/metrics", "/v1/logs?follow=true"] {
            it.get(target).is(503, "unreachable", &says);
        }
        assert_eq!(it.get("/").status, 200);
        let running = Trc::toml(WEB).env("TRC_CONTROL__SOCKET", &socket).spawn();
        it.wait_for(&running, "/readyz", 200);
        running.signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn a_host_that_somebody_else_may_have_named_is_refused() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &["--host", "status.example.org", "--host", "shop"]);
    let own = it.address.to_string();
    for (host, accepted) in [
        (own.as_str(), true),
        ("localhost:9180", true),
        ("10.0.0.7:9180", true),
        ("shop:9180", true),
        ("status.example.org", true),
        ("evil.example", false),
        ("shop.evil.example:9180", false),
    ] {
        for target in ["/", "/healthz", "/state", "/v1/logs"] {
            let answer = it.ask("GET", target, &format!("Host: {host}\r\n"));
            if accepted {
                assert_eq!(answer.status, 200, "{host} {target}");
            } else {
                answer.is(403, "forbidden", "allow the name with --host ");
            }
        }
    }
    // The host of a target in absolute form counts, and not the field: RFC 9112, section 3.2.2.
    for (target, host, accepted) in [
        ("http://evil.example/state", own.as_str(), false),
        ("http://localhost@evil.example/state", own.as_str(), false),
        ("http://shop:9180/state", "evil.example", true),
        ("http://localhost/state", "localhost", true),
    ] {
        let answer = it.ask("GET", target, &format!("Host: {host}\r\n"));
        assert_eq!(answer.status, if accepted { 200 } else { 403 }, "{target} {host}: {answer:?}");
    }
}

#[test]
fn a_request_has_exactly_one_host() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    for (line, fields, status) in [
        ("GET /state HTTP/1.1", "", 400),
        ("GET http://localhost/state HTTP/1.1", "", 400),
        ("GET /state HTTP/1.1", "Host: evil.example\r\nHost: localhost\r\n", 400),
        ("GET /state HTTP/1.1", "Host: localhost\r\nhost: localhost\r\n", 400),
        ("GET /state HTTP/1.0", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("GET /state HTTP/1.1", "Host: local host\r\n", 400),
        ("GET /state HTTP/1.1", "Host: localhost\r\n", 200),
        // Before HTTP/1.1 there was none.
        ("GET /state HTTP/1.0", "", 200),
    ] {
        let answer = it.send(&format!("{line}\r\nConnection: close\r\n{fields}\r\n"));
        assert_eq!(answer.status, status, "{line} {fields}: {answer:?}");
    }
}

#[test]
fn a_change_needs_the_token_and_the_own_page() {
    let (run, socket) = run(&format!("{WEB}restart = 'always'\n"));
    let it = operating(&run, &socket);
    assert!(it.said.ends_with("/ (changes need the token)\n"), "{}", it.said);
    it.wait_for(&run, "/readyz", 200);
    let own = it.address.to_string();
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    for (fields, status, code) in [
        (String::new(), 401, "unauthorized"),
        ("Authorization: Bearer 0123456789abcdef\r\n".to_owned(), 401, "unauthorized"),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401, "unauthorized"),
        (format!("{right}{right}"), 401, "unauthorized"),
        (format!("Cookie: token={TOKEN}\r\n"), 401, "unauthorized"),
        (format!("{right}Origin: http://evil.example\r\n"), 403, "forbidden"),
        (format!("{right}Origin: null\r\n"), 403, "forbidden"),
        (
            format!("{right}Origin: http://{own}\r\nSec-Fetch-Site: cross-site\r\n"),
            403,
            "forbidden",
        ),
        (format!("{right}Content-Length: 2\r\n"), 413, "too_large"),
        (format!("{right}Transfer-Encoding: chunked\r\n"), 413, "too_large"),
    ] {
        let fields = format!("Host: {own}\r\n{fields}");
        let answer = it.ask("POST", "/v1/units/web/stop", &fields);
        answer.is(status, code, "");
        assert_eq!(answer.field("www-authenticate"), (status == 401).then_some("bearer"));
        assert!(!answer.body.contains(TOKEN) && !answer.head.contains(TOKEN), "{answer:?}");
    }
    assert_eq!(it.get("/v1/units/web").json()["wanted"], "up");
    for (task, wanted) in [("stop", "held"), ("start", "up"), ("restart", "up")] {
        let fields = format!("Host: {own}\r\nOrigin: http://{own}\r\n{right}");
        let answer = it.ask("POST", &format!("/v1/units/web/{task}"), &fields);
        assert_eq!(answer.status, 202, "{answer:?}");
        let job = format!("/v1/jobs/{}", answer.json()["id"]);
        run.wait_until("the job is done", || it.get(&job).json()["status"] == "done");
        assert_eq!(it.get("/v1/units/web").json()["wanted"], wanted);
    }
    // trc knows who it was: the process that serves.
    run.signal(TERM);
    run.finish().stdout_has("asked to stop async.web");
}

#[test]
fn a_stream_is_for_the_own_page_and_for_programs() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    let own = it.address.to_string();
    for (fields, status) in [
        (String::new(), 200),
        ("Sec-Fetch-Site: same-origin\r\n".to_owned(), 200),
        (format!("Origin: http://{own}\r\n"), 200),
        ("Origin: http://evil.example\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: cross-site\r\n".to_owned(), 403),
    ] {
        let answer = it.ask("GET", "/v1/logs", &format!("Host: {own}\r\n{fields}"));
        assert_eq!(answer.status, status, "{fields}");
    }
}

#[test]
fn a_server_without_a_token_changes_nothing() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    let fields = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = it.ask("POST", "/v1/units/web/stop", &fields);
    answer.is(403, "forbidden", "start it with --allow-operate");
    assert!(it.get("/").body.contains("data-operate=\"no\""));
}

/// Runs `trcctl serve` to its end.
fn ends(command: &mut Command, words: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = command.arg("serve").args(words).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_server_that_cannot_serve_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, short) = (file("empty", "\n"), file("short", "secret\n"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let operate = |path| vec!["--allow-operate", "--token-file", path];
    for (words, status, says) in [
        (vec!["--listen", taken.as_str()], 1, "another process listens there"),
        (vec!["--listen", "192.0.2.1:9180"], 1, "this machine does not have the address"),
        (vec!["--listen", "9180"], 64, "write an IP address and a port"),
        (vec!["--listen", "localhost:9180"], 64, "write an IP address and a port"),
        (vec!["--allow-operate"], 64, "--token-file"),
        (vec!["--token-file", short.as_str()], 64, "--allow-operate"),
        (vec!["--token", TOKEN], 64, "--token"),
        (operate("/nowhere/token"), 78, "cannot read the token file /nowhere/token"),
        (operate(&empty), 78, "has 0 characters, but needs 16"),
        (operate(&short), 78, "has 6 characters, but needs 16"),
    ] {
        let (ended, said) = ends(&mut Command::new(env!("CARGO_BIN_EXE_trcctl")), &words);
        assert!(ended == status && said.contains(says), "{words:?}: {ended} {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_port_that_needs_a_privilege_is_named() {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if !root() || first.trim().parse::<u16>().unwrap() < 82 {
        return;
    }
    let (run, _) = run(WEB);
    let mut command = Command::new(own_copy(&run));
    let (status, said) = ends(command.uid(4242).gid(4242), &["--listen", "127.0.0.1:81"]);
    assert!(status == 77 && said.contains("net_bind_service"), "{status} {said}");
}

/// Returns a copy of trcctl that every user may execute.
fn own_copy(run: &Running) -> PathBuf {
    let program = run.path("trcctl");
    copy(env!("CARGO_BIN_EXE_trcctl"), &program);
    program
}

#[test]
fn a_user_that_may_not_ask_is_told_what_to_write() {
    if !root() {
        return;
    }
    let (run, socket) = run(WEB);
    let mut command = Command::new(own_copy(&run));
    command.uid(4242).gid(4242);
    let mut it = Serve::started(command, &socket, &[]);
    let says =
        "the user 4242 needs `read`: ask as root, or write [control] allow = { 4242 = \"read\" }";
    assert_eq!(it.complaint(), format!("trcctl: {says}\n"));
    for target in ["/state", "/v1/units", "/v1/logs"] {
        it.get(target).is(403, "forbidden", says);
    }
    // Everybody may ask for the health.
    it.wait_for(&run, "/readyz", 200);
    it.wait_for(&run, "/healthz", 200);
}

#[test]
fn a_unit_serves_as_another_user_and_is_ready_when_it_listens() {
    let user = if root() { "user = 'nobody'\n" } else { "" };
    let program = Trc::new();
    let copied = program.path("trcctl");
    copy(env!("CARGO_BIN_EXE_trcctl"), &copied);
    let toml = format!(
        "[control]\nallow = {{ nobody = 'read' }}\n\
         [async.status]\nexec = ['{}', 'serve', '--listen', '127.0.0.1:0']\n{user}ready = {{ notify = true }}\n\
         env.TRC_SOCKET = '${{W}}/trc.sock'\n",
        copied.display()
    );
    let running = Trc::toml(&toml).control().spawn();
    running.wait_for("async.status is ready").wait_for("listening on http://127.0.0.1:");
    let text = running.stdout();
    let (_, rest) = text.split_once("listening on http://").unwrap();
    let address: SocketAddr = rest.split_once('/').unwrap().0.parse().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /v1/units HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let answer = Answer::read(stream);
    assert_eq!(answer.json()["units"][0]["name"], "async.status");
    running.signal(TERM);
    running.finish().status(143);
}

#[test]
fn sigterm_ends_it_at_once_whatever_its_clients_do() {
    let _alone = alone();
    let (run, socket) = run(WEB);
    let mut it = Serve::new(&socket, &[]);
    it.wait_for(&run, "/readyz", 200);
    let follows = it.follow("/v1/logs");
    let mut half = it.connect();
    half.write_all(b"GET / HTTP").unwrap();
    let idle = it.connect();
    it.signal(TERM);
    let told = Instant::now();
    let mut ended = None;
    while ended.is_none() && told.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(2));
        ended = it.process.try_wait().unwrap();
    }
    assert_eq!(ended.expect("it exits within 5 s").code(), Some(0));
    drop((follows, half, idle));
}

#[test]
fn clients_that_are_silent_or_send_half_a_head_are_let_go() {
    let (run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    it.wait_for(&run, "/readyz", 200);
    // They wait at the same time.
    let began = Instant::now();
    let clients =
        ["", "GET /state HTTP/1.1\r\nHost: loc", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"];
    let clients = clients.map(|text| {
        let mut stream = it.connect();
        stream.write_all(text.as_bytes()).unwrap();
        (text, stream)
    });
    for (text, mut stream) in clients {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let took = began.elapsed().as_secs_f32();
        assert!((9.5..20.0).contains(&took), "{text:?}: {took} s");
        assert_eq!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            text.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn a_line_comes_as_it_is_written() {
    let (run, socket) = run(ECHO);
    let it = Serve::new(&socket, &[]);
    let mut stream = it.follow("/v1/logs");
    for _ in 0..3 {
        run.open_gate("go");
        assert_eq!(line(&mut stream), "go");
    }
}

/// Reads the next line of a unit from a stream.
#[track_caller]
fn line(stream: &mut BufReader<TcpStream>) -> String {
    let data = stream.lines().map(Result::unwrap).find(|line| line.starts_with("data: "));
    let data = data.expect("the stream has ended");
    let record: Value = serde_json::from_str(&data["data: ".len()..]).unwrap();
    record["line"].as_str().unwrap().to_owned()
}

#[test]
fn clients_that_hold_connections_keep_nobody_out() {
    let (run, socket) = run(ECHO);
    let it = Serve::new(&socket, &[]);
    it.wait_for(&run, "/readyz", 200);
    let mut follows = it.follow("/v1/logs");
    let held: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = it.connect();
            let text = if number % 2 == 0 { "GET /state HTTP/1.1\r\nHost: loc" } else { "" };
            // It may have had to go already.
            _ = stream.write_all(text.as_bytes());
            stream
        })
        .collect();
    assert_eq!(it.get("/readyz").status, 200);
    // A client that has sent its request goes last, although it has taken nothing since then.
    run.open_gate("go");
    assert_eq!(line(&mut follows), "go");
    drop(held);
    // A head that is too long, or no head at all.
    let long = format!("Host: {}\r\nX-Long: {}\r\n", it.address, "x".repeat(20_000));
    let answer = it.ask("GET", "/", &long);
    assert_eq!(answer.status, 431, "{answer:?}");
    assert_eq!(it.ask("GET", "/", &"x-many: 1\r\n".repeat(100)).status, 431);
    let mut stream = it.connect();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").unwrap();
    assert_eq!(Answer::read(stream).status, 400);
    assert_eq!(it.get("/readyz").status, 200);
}

#[test]
fn a_client_that_does_not_read_stops_nobody() {
    let long = "x".repeat(1000);
    let toml =
        format!("{WEB}[async.talks]\nscript = 'yes {long} | head -n 3000; exec cat $W/never'\n");
    let (run, socket) = run(&toml);
    let it = Serve::new(&socket, &[]);
    let deaf: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = it.connect();
            let target = "/v1/logs?follow=true&n=100000";
            write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    it.wait_for(&run, "/readyz", 200);
    let state = it.get("/state");
    assert_eq!(state.status, 200, "{state:?}");
    drop(deaf);
}

/// Returns a browser that shows the page, if there is a browser here.
fn browser(it: &Serve) -> Option<Browser> {
    if !has("chromedriver") {
        return None;
    }
    let browser = Browser::new();
    browser.open(&format!("http://{}/", it.address));
    Some(browser)
}

/// An expression of the page that is true if the log shows this line.
fn shows(line: &str) -> String {
    format!(
        "[...document.querySelectorAll('.line:not([hidden]) .what')].some((it) => it.textContent === {})",
        Value::from(line)
    )
}

#[test]
fn the_page_shows_units_and_their_states_and_lines_as_they_come() {
    let toml =
        format!("wait = 'forever'\n{WEB}{ECHO}after = ['web']\n[async.broken]\nexec = 'false'\n");
    let (run, socket) = run(&toml);
    let it = Serve::new(&socket, &[]);
    let Some(page) = browser(&it) else { return };
    let row = |unit: &str| {
        format!("document.querySelector('[data-unit=\"async.{unit}\"] .state')?.textContent")
    };
    page.wait_until(&format!("{} === 'ready'", row("web")));
    page.wait_until(&format!("{} === 'running'", row("echo")));
    page.wait_until(&format!("{} === 'failed'", row("broken")));
    page.wait_until("document.getElementById('health-state').textContent === 'unhealthy'");
    page.wait_until(
        "document.getElementById('health-why').textContent === 'async.broken failed with status 1'",
    );
    page.wait_until("document.title === 'unhealthy · trc'");
    // The graph has a node for each unit.
    page.wait_until("document.querySelectorAll('.node').length === 3");
    page.wait_until("document.querySelectorAll('.edge').length === 1");
    page.wait_until(
        "document.querySelectorAll('[data-unit=\"async.echo\"] .spans rect').length > 1",
    );
    page.wait_until("document.querySelector('[data-unit=\"async.web\"] .spans rect.good')");
    page.wait_until(&shows("ready"));
    run.open_gate("go");
    page.wait_until(&shows("go"));
    // A unit chosen by the keyboard alone is the only one in the log, and again all of them are.
    page.run("document.querySelector('[data-unit=\"async.web\"] .name').focus();");
    page.write("[data-unit=\"async.web\"] .name", "\u{e007}");
    page.wait_until(&format!("!({}) && {}", shows("go"), shows("ready")));
    page.click(".chip");
    page.wait_until(&shows("go"));
    page.write("#grep", "nothing like this");
    page.wait_until("document.querySelectorAll('.line:not([hidden])').length === 0");
    assert_eq!(page.complaints(), Vec::<String>::new());
    let own = format!("http://{}/", it.address);
    let requests = page.requests();
    assert!(requests.len() > 4, "{requests:?}");
    let others: Vec<_> = requests.iter().filter(|url| !url.starts_with(&own)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn what_a_unit_prints_is_never_html() {
    let evil = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>";
    let trc = Trc::toml(
        "[async.web]\ndescription = \"<script>window.evil = 1</script>\"\n\
         script = 'cat $W/evil; exec cat $W/never'\n",
    );
    let run = Asked::of(trc.file("evil", format!("{evil}\n\u{1b}[31mred\u{1b}[0m\u{7}\n")));
    let it = Serve::new(&run.socket, &[]);
    let Some(page) = browser(&it) else { return };
    page.wait_until(&shows(evil));
    page.wait_until(&shows("red\u{fffd}"));
    page.wait_until("document.querySelector('.about')?.textContent.startsWith('<script>')");
    assert_eq!(
        page.run(
            "return [window.evil ?? null, document.querySelectorAll('img, .line script').length];"
        ),
        serde_json::json!([null, 0])
    );
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn a_line_that_is_too_long_is_cut_and_says_so() {
    let trc = Trc::toml("[async.web]\nscript = 'cat $W/long; exec cat $W/never'\n");
    let begin = "x".repeat(16_383);
    // The last character that there is room for has two halves.
    let long = format!("{begin}y{}\n{begin}\u{1f600}{0}\n{begin}z\n", "y".repeat(30_000));
    let it = Asked::of(trc.file("long", long));
    let it = Serve::new(&it.socket, &[]);
    let Some(page) = browser(&it) else { return };
    let note =
        |shown: usize, of: usize| format!(" … cut: the page shows {shown} of {of} characters");
    page.wait_until(&shows(&format!("{begin}y{}", note(16_384, 46_384))));
    page.wait_until(&shows(&format!("{begin}{}", note(16_383, 46_385))));
    page.wait_until(&shows(&format!("{begin}z")));
    page.write("#grep", "xy");
    page.wait_until("document.querySelectorAll('.line:not([hidden])').length === 1");
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn an_answer_of_something_else_is_explained_on_the_page() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    let Some(page) = browser(&it) else { return };
    page.wait_until("document.getElementById('link-text').textContent === 'live'");
    page.run("window.own = window.fetch;");
    for (body, status, kind, says) in [
        ("<h1>Bad Gateway</h1>", 502, "text/html", "such as a proxy: HTTP 502 Oops, text/html."),
        ("<form>Password</form>", 200, "text/html", "such as a proxy: HTTP 200 Oops, text/html."),
        ("{\"error\": 7}", 504, "application/json", "HTTP 504 Oops, application/json."),
        ("<p>", 503, "application/problem+json", "HTTP 503 Oops, application/problem+json."),
        ("", 200, "application/json", "HTTP 200 Oops, application/json."),
        ("null", 200, "application/json", "HTTP 200 Oops, application/json."),
    ] {
        let [body, kind] = [body, kind].map(Value::from);
        page.run(&format!(
            "window.fetch = async () => new Response({body},
                 {{ status: {status}, statusText: 'Oops', headers: {{ 'content-type': {kind} }} }});
             document.getElementById('notice-again').click();"
        ));
        page.wait_until(&format!(
            "document.getElementById('notice-text').textContent.includes({})",
            Value::from(says)
        ));
        page.wait_until(
            "document.getElementById('notice-text').textContent.includes('tries again in')",
        );
    }
    page.run("window.fetch = window.own; document.getElementById('notice-again').click();");
    page.wait_until("document.getElementById('notice').hidden");
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn the_page_is_light_or_dark_and_wide_or_narrow() {
    let (_run, socket) = run(WEB);
    let it = Serve::new(&socket, &[]);
    let Some(page) = browser(&it) else { return };
    page.wait_until("document.querySelector('[data-unit] .state')");
    let ground = "return getComputedStyle(document.body).backgroundColor;";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefers(scheme);
        grounds.push(page.run(ground));
        for (width, height) in [(1400, 900), (390, 844)] {
            page.resize(width, height);
            // Nothing is wider than the screen.
            let wide = page.run("return document.documentElement.scrollWidth - innerWidth;");
            assert!(wide.as_i64().unwrap() <= 0, "{scheme} {width}: {wide}");
            for panel in ["units", "graph", "log"] {
                let height = page
                    .run(&format!("return document.getElementById('{panel}-panel').clientHeight;"));
                assert!(height.as_i64().unwrap() > 80, "{scheme} {width} {panel}: {height}");
            }
        }
    }
    assert_ne!(grounds[0], grounds[1]);
}

#[test]
fn a_button_stops_a_unit_for_those_who_have_the_token() {
    let (run, socket) = run(WEB);
    let it = operating(&run, &socket);
    let Some(page) = browser(&it) else { return };
    page.wait_until("document.querySelector('[data-act=stop]')");
    for (token, then) in [
        (
            "wrong-token-0123456789",
            "document.querySelector('.toast')?.textContent.includes('not the token')",
        ),
        (TOKEN, "document.querySelector('[data-unit] .state').textContent === 'held'"),
    ] {
        page.click("[data-act=stop]");
        page.wait_until("document.getElementById('sure').open");
        page.click("#sure-yes");
        page.wait_until("document.getElementById('ask').open");
        page.write("#token", token);
        page.click("#ask-form .primary");
        page.wait_until(then);
    }
    // The token is in this tab only, and in no address.
    let kept = page.run("return [sessionStorage.length, localStorage.length, document.cookie, location.href.includes('0123')];");
    assert_eq!(kept, serde_json::json!([1, 0, "", false]));
    page.click("[data-act=start]");
    page.wait_until("document.querySelector('[data-unit] .state').textContent === 'ready'");
    page.click("#lock");
    assert_eq!(page.run("return sessionStorage.length;"), 0);
    run.signal(TERM);
    run.finish().stdout_has("asked to stop async.web").stdout_has("asked to start async.web");
}

#[test]
fn the_page_says_that_trc_is_gone_and_finds_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("trc.sock");
    let start = |toml: &str| Trc::toml(toml).env("TRC_CONTROL__SOCKET", &socket).spawn();
    let first = start(WEB);
    first.wait_until("trc listens", || UnixStream::connect(&socket).is_ok());
    let it = Serve::new(&socket, &[]);
    let Some(page) = browser(&it) else { return };
    page.wait_until("document.getElementById('link-text').textContent === 'live'");
    page.wait_until(&shows("ready"));
    first.signal(TERM);
    first.finish();
    page.wait_until("!document.getElementById('notice').hidden");
    page.wait_until(
        "document.getElementById('notice-text').textContent.includes('no trc answers on')",
    );
    // What was known stays.
    page.wait_until(&shows("ready"));
    page.wait_until("document.querySelector('[data-unit=\"async.web\"]')");
    let second = start("[async.next]\nscript = 'echo second; exec cat $W/never'\n");
    page.wait_until(&shows("second"));
    page.wait_until("document.getElementById('notice').hidden");
    page.wait_until("document.querySelector('[data-unit=\"async.next\"]') && !document.querySelector('[data-unit=\"async.web\"]')");
    page.wait_until(&shows("a new run has begun"));
    second.signal(TERM);
    second.finish();
}
