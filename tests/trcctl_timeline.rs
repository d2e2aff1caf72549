//! `trcctl timeline` shows the life of a run and what it waited for.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{MODES, TERM, Trc};
use crate::control::Asked;

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

fn trcctl(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(TRCCTL);
    let output = command.arg("timeline").args(words).current_dir(dir).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A database, a migration and a web server.
const STACK: &str = "\
    [boot.dirs]\nexec = 'true'\n\
    [async.db]\nscript = 'echo db is up; exec cat $W/never'\nready = { log = 'db is up' }\n\
    [async.migrate]\nafter = ['db']\nexec = 'true'\noneshot = true\n\
    [async.web]\nafter = { migrate = 'succeeded' }\nscript = 'echo web is up; exec cat $W/never'\n\
    ready = { log = 'web is up' }\n\
    [async.other]\nautostart = false\nscript = 'exec cat $W/never'\n";

fn order(json: &Value, path: &str) -> Vec<String> {
    let steps = json[path].as_array().unwrap().iter();
    steps.filter_map(|step| step["unit"].as_str().map(str::to_owned)).collect()
}

#[test]
fn the_run_of_a_container_is_drawn_with_what_it_waited_for() {
    let it = Asked::new(STACK, MODES[0]);
    it.running.wait_until("the run is ready", || it.get("/v1/health").body["state"] == "ready");
    let socket = it.socket.to_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let (status, text, err) = trcctl(dir.path(), &["--socket", &socket]);
    assert_eq!((status, err.as_str()), (0, ""), "{text}");
    assert!(text.starts_with("The run was ready after "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("* async.web"), "{text}");
    assert!(text.contains("async.web, until it was ready"), "{text}");
    let (_, json, _) = trcctl(dir.path(), &["--socket", &socket, "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    // What takes less than a millisecond is not on the path.
    let path = order(&json, "critical_path_to_ready");
    assert_eq!(path.last().map(String::as_str), Some("async.web"), "{json:#}");
    let unit = |name: &str| {
        let units = json["units"].as_array().unwrap();
        units.iter().find(|unit| unit["name"] == name).unwrap().clone()
    };
    let need = json!({ "unit": "async.migrate", "condition": "succeeded", "written": true });
    assert!(unit("async.web")["needs"].as_array().unwrap().contains(&need), "{json:#}");
    assert_eq!(unit("async.other")["counts"], false);
    assert_eq!(unit("async.migrate")["oneshot"], true);
    let (status, _, err) =
        trcctl(dir.path(), &["--socket", &socket, "--format", "svg", "-o", "run.svg"]);
    assert_eq!((status, err.as_str()), (0, ""));
    let picture = std::fs::read_to_string(dir.path().join("run.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains("async.web"), "{picture}");
    it.stop();
    let (status, text, err) = trcctl(dir.path(), &["--socket", &socket]);
    assert_eq!((status, text.as_str()), (69, ""));
    assert!(err.contains("no trc listens on"), "{err}");
}

#[test]
fn the_report_of_a_test_run_has_the_whole_run_with_its_stop() {
    let toml = format!(
        "{STACK}[test.web]\nafter = ['web']\nexec = 'true'\n[halt.clean]\nscript = 'echo clean'\n"
    );
    let trc = Trc::toml(&toml);
    let path = trc.path("report.json");
    let report = format!("json={}", path.display());
    let running = trc.args(&["--test", "--report", &report]).spawn();
    running.wait_for_end();
    let dir = path.parent().unwrap().to_owned();
    let (status, text, err) = trcctl(&dir, &["report.json"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(text.starts_with("The run was ready after "), "{text}");
    assert!(text.lines().next().unwrap().contains(", and stopped within "), "{text}");
    let (_, json, _) = trcctl(&dir, &["report.json", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let stop = order(&json, "critical_path_of_stop");
    // In the order of the stop, as far as they took a millisecond.
    let at = |name: &str| stop.iter().position(|unit| unit == name);
    assert!(at("async.web").is_none_or(|web| at("async.db").is_none_or(|db| web < db)), "{stop:?}");
    let ended = json["ended_ms"].as_u64().unwrap();
    assert!(json["stop_ms"].as_u64().unwrap() <= ended, "{json:#}");
    // The JSON of the command is a source like the report.
    std::fs::write(dir.join("own.json"), json.to_string()).unwrap();
    let (_, again, _) = trcctl(&dir, &["own.json"]);
    assert_eq!(again, text);
    running.finish().status(0);
}

#[test]
fn a_record_of_a_run_has_its_timeline() {
    let trc = Trc::toml(&format!("wait = 'forever'\n{STACK}"));
    let path = trc.path("run.record");
    let running = trc.env("TRC_RECORD", &path).spawn();
    running.wait_for("async.web is ready");
    running.signal(TERM);
    running.wait_for_end();
    let dir = path.parent().unwrap().to_owned();
    let (status, text, err) = trcctl(&dir, &["run.record"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(text.starts_with("The run was ready after "), "{text}");
    assert!(text.lines().next().unwrap().contains(", and stopped within "), "{text}");
    assert!(text.contains("async.web, until it was ready"), "{text}");
    let (status, text, _) =
        trcctl(&dir, &["diff", "run.record", "run.record", "--fail-over", "0%"]);
    assert_eq!(status, 0, "{text}");
    running.finish().status(143);
}

fn written(dir: &Path, name: &str, ready: u64, stop: u64) {
    let spans = json!([
        { "state": "starting", "from_ms": 0, "to_ms": ready },
        { "state": "ready", "from_ms": ready },
    ]);
    let unit = json!({ "name": "async.db", "counts": true, "needs": [], "spans": spans });
    let timeline = json!({
        "units": [unit], "ready_ms": ready, "stop_ms": 5000, "ended_ms": 5000 + stop,
        "until_ms": 5000 + stop,
    });
    std::fs::write(dir.join(name), timeline.to_string()).unwrap();
}

#[test]
fn a_comparison_fails_if_something_has_become_too_slow() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    written(dir, "old.json", 1000, 400);
    written(dir, "same.json", 1150, 440);
    written(dir, "slow.json", 1300, 400);
    written(dir, "stop.json", 1000, 600);
    let table = "          OLD     NEW  CHANGE\n\
                 ready     1.00 s  1.30 s  +300 ms (+30 %)\n\
                 stop      400 ms  400 ms  0 ms\n\
                 async.db  1.00 s  1.30 s  +300 ms (+30 %)\n";
    let (status, text, _) = trcctl(dir, &["diff", "old.json", "slow.json"]);
    assert_eq!((status, text.trim_start()), (0, table.trim_start()));
    for (new, status, names) in [
        ("old.json", 0, None),
        ("same.json", 0, None),
        ("slow.json", 1, Some("ready, async.db")),
        ("stop.json", 1, Some("stop")),
    ] {
        let (found, text, err) = trcctl(dir, &["diff", "old.json", new, "--fail-over", "20%"]);
        assert_eq!((found, err.as_str()), (status, ""), "{new}: {text}");
        let line = names.map(|names| format!("slower by more than 20 % and 50 ms: {names}\n"));
        assert!(line.is_none_or(|line| text.ends_with(&line)), "{new}: {text}");
    }
}

#[test]
fn a_file_that_is_no_timeline_is_a_wrong_command_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.json"), "[]").unwrap();
    for (words, why) in [
        (&["none.json"][..], "cannot read none.json: No such file"),
        (&["x.json"], "x.json is neither the JSON report of a test run"),
        (&["diff", "x.json", "none.json"], "x.json is neither"),
        (&["diff", "x.json"], "required"),
        (&["diff", "x.json", "x.json", "--fail-over", "much"], "expected a percentage such as 20%"),
    ] {
        let (status, _, err) = trcctl(dir.path(), words);
        assert!(status == 64 && err.contains(why), "{words:?}: {err}");
    }
}
