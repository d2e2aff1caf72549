//! What a client of the control socket can ask for in order to measure or to draw a run.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::common::{MODES, Mode, has};
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

/// Returns what promtool says about a text, which it has to accept.
#[track_caller]
fn promtool(args: &[&str], text: &str) -> String {
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
