//! The answers of a real trc are those that `docs/openapi.json` describes, as programs by others
//! understand it. `src/wire/openapi.rs` holds the file against the routes that trc knows.
//!
//!     tests/reports/setup target/report-tools
//!     TRC_REPORT_TOOLS=$PWD/target/report-tools cargo test --test suite openapi:: -- --ignored

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::Mode;
use crate::control::{Asked, fetch};
use crate::trcctl_exec::send;

/// Lets a program of `tests/reports` read a text, and returns what it says.
pub(crate) fn read(program: &str, args: &[&str], text: &str) -> Value {
    let tools = std::env::var_os("TRC_REPORT_TOOLS").expect("TRC_REPORT_TOOLS");
    let mut child = Command::new(PathBuf::from(tools).join("python/bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(program))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The answers of a run.
struct Answers<'a> {
    it: &'a Asked,
    all: Vec<Value>,
}

impl Answers<'_> {
    /// Asks, and keeps the answer. `path` is the one in the file.
    fn ask(&mut self, method: &str, path: &str, target: &str, fields: &str) -> (u16, String) {
        let (head, body) = fetch(&self.it.socket, method, target, fields);
        self.keep(method, path, &head, body)
    }

    fn keep(&mut self, method: &str, path: &str, head: &str, body: String) -> (u16, String) {
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
        self.all.push(json!({
            "method": method, "path": path, "status": status, "type": kind, "body": body,
        }));
        (status, body)
    }

    fn get(&mut self, path: &str) -> String {
        self.ask("GET", path, path, "").1
    }

    /// Asks something of a unit, and waits for the job.
    fn act(&mut self, act: &str, target: &str) {
        let (status, body) = self.ask("POST", &format!("/v1/units/{{unit}}/{act}"), target, "");
        if status == 202 {
            let job: Value = serde_json::from_str(&body).unwrap();
            let target = format!("/v1/jobs/{}?wait=true&for=30s", job["id"]);
            self.ask("GET", "/v1/jobs/{job}", &target, "");
        }
    }
}

#[test]
#[ignore = "needs Python packages; .ci/run has them"]
fn answers_are_as_the_openapi_file_has_them() {
    let toml = "env.TOKEN = 'x'\n[async.web]\ndescription = 'the web'\nready = { log = '^ready$$' }\n\
        script = 'trap \"\" HUP; echo ready; echo err >&2; exec cat $W/never'\nreload = { signal = 'SIGHUP' }\n\
        [async.slow]\nafter = ['web']\nready = { file = '/nonexistent/trc' }\nexec = 'cat ${W}/never'\n\
        [async.once]\nexec = 'false'\non_failure = 'ignore'\n\
        [async.flaps]\nrestart = { when = 'on-failure', max = 9, backoff = '1h' }\nexec = 'false'\n\
        [sync.main]\nafter = { once = 'failed' }\nexec = 'cat ${W}/never'\n\
        [halt.bye]\nexec = 'true'\n[control]\nlog_buffer = '1KiB'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    it.get("/v1/units/main?wait=started&for=30s");
    it.running
        .wait_until("a restart is due", || it.get("/v1/units/flaps").body["phase"] == "backoff");
    let mut to = Answers { it: &it, all: Vec::new() };
    for path in ["/v1", "/v1/health", "/v1/units", "/v1/metrics", "/v1/graph", "/v1/config"] {
        to.get(path);
    }
    to.ask("GET", "/v1/metrics", "/v1/metrics", "Accept: text/plain\r\n");
    to.ask("GET", "/v1/health", "/v1/health?unit=web&unit=main", "");
    for unit in ["web", "slow", "once", "flaps", "main", "bye"] {
        to.ask("GET", "/v1/units/{unit}", &format!("/v1/units/{unit}"), "");
    }
    for (path, target) in [("/v1/logs", "/v1/logs?unit=web"), ("/v1/events", "/v1/events?n=50")] {
        let (_, lines) = to.ask("GET", path, target, "");
        assert!(lines.contains("\"seq\""), "{lines}");
        to.ask("GET", path, target, "Accept: text/event-stream\r\n");
    }
    to.act("stop", "/v1/units/web/stop?dependents=true");
    to.act("stop", "/v1/units/web/stop");
    to.act("start", "/v1/units/web/start");
    to.act("restart", "/v1/units/web/restart");
    to.act("reload", "/v1/units/web/reload");
    to.act("reset", "/v1/units/web/reset");
    to.act("signal", "/v1/units/web/signal?signal=CONT");
    let (status, job) = to.ask("POST", "/v1/units/{unit}/start", "/v1/units/slow/start", "");
    assert_eq!(status, 202, "{job}");
    let job: Value = serde_json::from_str(&job).unwrap();
    to.ask("DELETE", "/v1/jobs/{job}", &format!("/v1/jobs/{}", job["id"]), "");
    to.get("/v1/timeline");
    let run = |command: &str| {
        let target = format!("/v1/exec?unit=web&command={command}");
        let request = format!("POST {target} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let mut stream = send(&it.socket, &request, 3);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };
    for command in ["true", "/nonexistent/trc"] {
        let (head, body) = run(command);
        let (status, body) = to.keep("POST", "/v1/exec", &head, body);
        assert_eq!(status, 200, "{body}");
    }
    // Problems.
    for (method, path, target, status) in [
        ("GET", "/v1/units/{unit}", "/v1/units/wbe", 404),
        ("GET", "/v1/units", "/v1/units?x=1", 400),
        ("POST", "/v1/units/{unit}/start", "/v1/units/bye/start", 409),
        ("POST", "/v1/units/{unit}/signal", "/v1/units/once/signal?signal=HUP", 409),
        ("GET", "/v1/jobs/{job}", "/v1/jobs/999", 404),
        ("DELETE", "/v1/jobs/{job}", &format!("/v1/jobs/{}", job["id"]), 409),
    ] {
        assert_eq!(to.ask(method, path, target, "").0, status, "{method} {target}");
    }
    let write = |text: &str| std::fs::write(it.running.path("trc.toml"), text).unwrap();
    write("nonsense");
    assert_eq!(to.ask("POST", "/v1/reload", "/v1/reload", "").0, 422);
    write(&format!("{toml}[async.new]\nexec = 'cat ${{W}}/never'\n"));
    to.ask("POST", "/v1/reload", "/v1/reload?dry_run=true", "");
    let (status, plan) = to.ask("POST", "/v1/reload", "/v1/reload?keep=true", "");
    assert!(status == 200 && plan.contains("async.new"), "{status} {plan}");
    assert_eq!(to.ask("POST", "/v1/shutdown", "/v1/shutdown?exit=7", "").0, 202);
    let all = to.all;
    it.running.finish().status(7);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let said = read("openapi.py", &[file], &serde_json::to_string(&all).unwrap());
    assert_eq!(said, json!({ "wrong": [], "lacking": [] }));
}

/// This parser is strict, unlike promtool's.
#[test]
#[ignore = "needs Python packages; .ci/run has them"]
fn a_strict_reader_of_openmetrics_understands_the_metrics() {
    let toml = "wait = 'forever'\n[async.web]\nready = { log = '^ready$$' }\nhealth = { exec = 'true' }\n\
        script = 'echo ready; exec cat $W/never'\n[async.once]\nexec = 'false'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    it.get("/v1/units/once?wait=ended&for=30s");
    let (_, text) = fetch(&it.socket, "GET", "/v1/metrics", "");
    let said = read("openmetrics.py", &[], &text);
    assert_eq!(said["trc_unit_starts"], json!(["counter", "", 2]), "{said}");
    assert_eq!(said["trc_unit_cpu_seconds"], json!(["counter", "seconds", 1]), "{said}");
    assert_eq!(said["trc_process_resident_memory_bytes"], json!(["gauge", "bytes", 1]), "{said}");
    assert_eq!(said["trc_unit_state"], json!(["gauge", "", 30]), "{said}");
    let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(said.as_object().unwrap().len(), families, "{said}");
    it.stop();
}
