//! What a client of the control socket can ask for in order to measure or to draw a run.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{MODES, Mode, TERM, Trc, has};
use crate::control::{Asked, fetch};

/// Returns the value of a sample, or `None` if there is no such sample.
fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap_or_else(|_| panic!("{name}: {value}")))
}

/// A run with units in several states, one of them with a restart behind it.
const SEVERAL: &str = "[async.web]\ndescription = 'the \"web\"'\nready = { log = '^ready$$' }\n\
    script = 'echo one; echo two >&2; echo ready; exec cat $W/never'\n\
    [async.flaps]\nrestart = { when = 'on-failure', max = 9, backoff = '100ms' }\n\
    script = '[ -e $W/again ] && exec cat $W/never; touch $W/again; exit 3'\n\
    [sync.later]\nafter = ['web']\nscript = 'exec cat $W/never'\n\
    [async.once]\nexec = 'true'\noneshot = true\n\
    [halt.bye]\nexec = 'true'\n";

fn several(mode: Mode) -> Asked {
    let it = Asked::new(SEVERAL, mode);
    it.get("/v1/health?wait=ready&for=30s");
    it.get("/v1/units/once?wait=ended&for=30s");
    it.running.wait_until("the restart is over", || {
        let unit = it.get("/v1/units/flaps").body;
        unit["phase"] == "running" && unit["restarts"] == 1
    });
    it
}

#[test]
fn a_monitoring_system_can_collect_metrics() {
    for mode in MODES {
        let it = several(mode);
        let (head, text) = fetch(&it.socket, "GET", "/v1/metrics", "");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.contains(kind), "{head}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        let web = r#"{unit="async.web",stage="async"}"#;
        let flaps = r#"unit="async.flaps",stage="async""#;
        for (name, value) in [
            (r#"trc_run_phase{phase="up"}"#.to_owned(), 1.0),
            (r#"trc_health{state="ready"}"#.to_owned(), 1.0),
            (r#"trc_unit_state{unit="async.web",stage="async",state="ready"}"#.to_owned(), 1.0),
            (r#"trc_unit_state{unit="halt.bye",stage="halt",state="waiting"}"#.to_owned(), 1.0),
            (format!("trc_unit_ready{web}"), 1.0),
            (format!("trc_unit_up{web}"), 1.0),
            (format!("trc_unit_starts_total{web}"), 1.0),
            (format!("trc_unit_output_lines_total{web}"), 3.0),
            (format!("trc_unit_output_bytes_total{web}"), 14.0),
            (format!("trc_unit_output_dropped_bytes_total{web}"), 0.0),
            (format!("trc_unit_starts_total{{{flaps}}}"), 2.0),
            (format!("trc_unit_restarts_total{{{flaps},reason=\"failure\"}}"), 1.0),
            (format!("trc_unit_restarts_total{{{flaps},reason=\"success\"}}"), 0.0),
            (format!("trc_unit_last_exit_status{{{flaps}}}"), 3.0),
            (r#"trc_unit_last_exit_status{unit="async.once",stage="async"}"#.to_owned(), 0.0),
            (r#"trc_unit_starts_total{unit="halt.bye",stage="halt"}"#.to_owned(), 0.0),
            ("trc_control_clients".to_owned(), 1.0),
            ("trc_config_generation".to_owned(), 0.0),
            ("trc_config_last_reload_successful".to_owned(), 1.0),
        ] {
            assert_eq!(sample(&text, &name), Some(value), "{name}\n{text}");
        }
        let positive = |name: &str| {
            let value = sample(&text, name);
            assert!(value.is_some_and(|value| value > 0.0), "{name}: {value:?}\n{text}");
            value.unwrap()
        };
        let run = positive("trc_start_time_seconds");
        let unit = positive(&format!("trc_unit_start_time_seconds{web}"));
        assert!(run <= unit && unit < run + 60.0, "{run} {unit}");
        positive(&format!("trc_unit_resident_memory_bytes{web}"));
        positive("trc_process_resident_memory_bytes");
        assert!(sample(&text, "trc_process_cpu_seconds_total").is_some(), "{text}");
        it.stop().status(143);
    }
}

#[test]
fn metrics_count_reloads_by_their_outcome() {
    let it = Asked::new("[async.a]\nscript = 'exec cat $W/never'\n", Mode::Subreaper);
    let counts = || {
        let (_, text) = fetch(&it.socket, "GET", "/v1/metrics", "");
        let of = |outcome| {
            sample(&text, &format!("trc_config_reloads_total{{outcome=\"{outcome}\"}}")).unwrap()
        };
        let good = sample(&text, "trc_config_last_reload_successful").unwrap();
        (of("applied"), of("invalid"), sample(&text, "trc_config_generation").unwrap(), good)
    };
    let write = |text: &str| std::fs::write(it.running.path("trc.toml"), text).unwrap();
    assert_eq!(counts(), (0.0, 0.0, 0.0, 1.0));
    write("nonsense");
    assert_eq!(it.post("/v1/reload?dry_run=true").status, 422);
    assert_eq!(counts(), (0.0, 0.0, 0.0, 1.0));
    assert_eq!(it.post("/v1/reload").status, 422);
    assert_eq!(counts(), (0.0, 1.0, 0.0, 0.0));
    // As it was before the error.
    write("[async.a]\nscript = 'exec cat $W/never'\n");
    assert_eq!(it.post("/v1/reload").status, 200);
    assert_eq!(counts(), (0.0, 1.0, 0.0, 1.0));
    write("[async.a]\nscript = 'exec cat $W/never'\n[async.b]\nscript = 'exec cat $W/never'\n");
    assert_eq!(it.post("/v1/reload").status, 200);
    assert_eq!(counts(), (1.0, 1.0, 1.0, 1.0));
    it.stop();
}

/// Prometheus' own tool reads the older format only.
#[test]
fn promtool_has_nothing_to_complain_of_in_the_metrics() {
    if !has("promtool") {
        return;
    }
    let it = several(Mode::Subreaper);
    let (head, text) = fetch(&it.socket, "GET", "/v1/metrics", "Accept: text/plain\r\n");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert_eq!(promtool(&["check", "metrics"], &text), "", "{text}");
    it.stop();
}

#[test]
fn promtool_understands_the_alerts_in_the_documentation() {
    if !has("promtool") {
        return;
    }
    let page = include_str!("../docs/metrics.md");
    let (_, rules) = page.split_once("```yaml\n").unwrap();
    let (rules, _) = rules.split_once("```").unwrap();
    let said = promtool(&["check", "rules", "/dev/stdin"], rules);
    assert!(said.contains("SUCCESS: 4 rules found"), "{said}");
}

#[test]
fn a_page_can_draw_the_graph() {
    let it = several(Mode::Subreaper);
    let graph = it.get("/v1/graph").body;
    let names: Vec<&str> =
        graph["units"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let all = ["async.flaps", "async.once", "async.web", "halt.bye", "sync.later"];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, all);
    let web = &graph["units"][names.iter().position(|name| *name == "async.web").unwrap()];
    let expected = json!({
        "name": "async.web", "stage": "async", "description": "the \"web\"", "state": "ready",
        "up": true, "checked": true,
    });
    assert_eq!(*web, expected);
    let edge = json!({
        "from": "async.web", "to": "sync.later", "condition": "ready", "written": true,
    });
    assert_eq!(graph["edges"], json!([edge]));
    it.stop();
}

#[test]
fn a_page_can_draw_the_start_and_the_stop_of_units_over_time() {
    for mode in MODES {
        let toml = "[async.web]\nready = { log = '^ready$$' }\nstop.timeout = '60s'\n\
            script = 'trap \"read x <$W/go; exit 0\" TERM; echo ready; while :; do read x <$W/never; done'\n\
            [sync.main]\nafter = ['web']\nscript = 'exec cat $W/never'\n\
            [async.main2]\nscript = 'exec cat $W/never'\n";
        let it = Asked::new(toml, mode);
        it.get("/v1/health?wait=ready&for=30s");
        let phases = |name: &str| -> Vec<Value> {
            let all = it.get("/v1/timeline").body;
            let units = all["units"].as_array().unwrap();
            let unit = units.iter().find(|unit| unit["name"] == name).unwrap().clone();
            assert_eq!(unit["missing"], 0, "{all}");
            let spans = unit["spans"].as_array().unwrap().clone();
            // Each span begins where the one before has ended, or later.
            for pair in spans.windows(2) {
                let at = |value: &Value| value.as_u64().unwrap();
                assert!(at(&pair[0]["from_ms"]) <= at(&pair[0]["to_ms"]), "{all}");
                assert!(at(&pair[0]["to_ms"]) <= at(&pair[1]["from_ms"]), "{all}");
            }
            let last = spans.last().unwrap();
            assert!(last["to_ms"].is_null(), "{all}");
            assert!(last["from_ms"].as_u64() <= all["now_ms"].as_u64(), "{all}");
            spans
        };
        let main = phases("sync.main");
        assert_eq!(main[0]["phase"], "waiting");
        let web = phases("async.web");
        let running = web.iter().find(|span| span["phase"] == "running").unwrap();
        assert!(running["ready_ms"].as_u64() >= running["from_ms"].as_u64(), "{running}");
        assert_eq!(running["why"], "its command was executed");
        it.post("/v1/units/main2/stop");
        it.get("/v1/units/main2?wait=ended&for=30s");
        let held = phases("async.main2");
        let stopping = held.iter().find(|span| span["phase"] == "stopping").unwrap();
        assert_eq!(stopping["why"], "somebody requested it");
        it.running.signal(TERM);
        it.running.wait_until("the stop begins", || {
            let last = phases("async.web").pop().unwrap();
            last["phase"] == "stopping" && last["why"] == "the run stops"
        });
        assert_eq!(phases("sync.main").last().unwrap()["phase"], "ended");
        it.running.open_gate("go");
        it.running.finish().status(143);
    }
}

#[test]
fn a_client_is_told_what_is_configured_and_where_but_no_secret() {
    let toml = "wait = 'all'\n[env]\nTOKEN = 'swordfish1'\n[async.web]\n\
        exec = 'sh -c \"exec cat $W/never\"'\numask = '022'\n\
        env = { PASSWORD = 'swordfish2', KEY = { file = '/run/secrets/key' } }\n\
        [control]\nallow = { 4242 = 'read' }\n";
    let toml = toml.replace("$W", "${W}");
    let trc = Trc::toml(&toml)
        .env("TRC_ASYNC__WEB__UMASK", "027")
        .args(&["--config", "env.OTHER=swordfish3", "--wait", "forever"])
        .args(&["--config", "async.web.env.PASSWORD=swordfish4"]);
    let place = trc.path("trc.toml").display().to_string();
    let it = Asked::of(trc);
    let (_, text) = fetch(&it.socket, "GET", "/v1/config", "");
    assert!(!text.contains("swordfish"), "{text}");
    let config: Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| {
        let keys = config["keys"].as_array().unwrap();
        keys.iter().find(|it| it["key"] == key).unwrap_or_else(|| panic!("{key}: {config}")).clone()
    };
    for (key, value, origin) in [
        ("async.web.exec", json!("sh -c \"exec cat ${W}/never\""), format!("{place}:5:8")),
        ("wait", json!("forever"), "--wait".to_owned()),
        ("async.web.umask", json!("027"), "TRC_ASYNC__WEB__UMASK".to_owned()),
        ("async.web.env.KEY.file", json!("/run/secrets/key"), format!("{place}:7:49")),
        ("control.allow.4242", json!("read"), format!("{place}:9:18")),
    ] {
        let it = of(key);
        assert_eq!((&it["value"], &it["origin"]), (&value, &json!(origin)), "{it}");
        assert_eq!(it["hidden"], false, "{it}");
    }
    assert_eq!(of("async.web.umask")["overrides"], json!([format!("{place}:6:1")]));
    for (key, origin) in [
        ("env.TOKEN", format!("{place}:3:9")),
        ("env.OTHER", "--config env.OTHER".to_owned()),
        ("async.web.env.PASSWORD", "--config async.web.env.PASSWORD".to_owned()),
    ] {
        let it = of(key);
        assert_eq!((&it["hidden"], &it["value"]), (&json!(true), &Value::Null), "{it}");
        assert_eq!(it["origin"], origin, "{it}");
    }
    it.stop();
}

/// Returns what promtool says about a text, which it has to accept.
#[track_caller]
pub(crate) fn promtool(args: &[&str], text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let both = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(said.status.success(), "{both}\n{text}");
    both
}
