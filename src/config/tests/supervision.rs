//! `ready`, `health`, `restart` and `max_runtime`.

use std::time::Duration;

use crate::config::{
    Address, Backoff, Command, Health, Http, LogLine, Probe, Ready, Restart, Then, When,
};

use super::{Case, toml_says, unit};

const SECOND: Duration = Duration::from_secs(1);

fn ready(text: &str) -> Ready {
    let config = Case::new().toml(&format!("[async.db]\nexec = \"x\"\n{text}")).config();
    unit(&config, "async.db").ready.clone().expect("a readiness check")
}

fn probe(text: &str) -> Probe {
    ready(&format!("ready = {{ {text} }}")).probe.value
}

fn restart(text: &str) -> Restart {
    let config = Case::new().toml(&format!("[async.db]\nexec = \"x\"\n{text}")).config();
    unit(&config, "async.db").restart.clone()
}

fn localhost(port: u16) -> Address {
    Address { host: "localhost".to_owned(), port }
}

fn line(pattern: &str, count: u32) -> Probe {
    Probe::Log(LogLine { pattern: pattern.to_owned(), count })
}

#[test]
fn every_kind_of_probe_can_be_written() {
    let http = |path: &str, host: &str, status| {
        let (path, host) = (path.to_owned(), host.to_owned());
        Probe::Http(Http { address: localhost(8080), path, host, status })
    };
    for (text, expected) in [
        ("tcp = \"localhost:80\"", Probe::Tcp(localhost(80))),
        ("tcp = 80", Probe::Tcp(localhost(80))),
        ("tcp = \"${PORT:-80}\"", Probe::Tcp(localhost(80))),
        ("unix = \"/run/x.sock\"", Probe::Unix("/run/x.sock".into())),
        ("http = \"http://localhost:8080/a?b\"", http("/a?b", "localhost:8080", vec![200..=399])),
        (
            "http = { url = \"http://localhost:8080\", path = \"/a\", host = \"b\", status = [204, \"3xx\"] }",
            http("/a", "b", vec![204..=204, 300..=399]),
        ),
        (
            "http = { url = \"http://localhost:8080\", status = \"200-299\" }",
            http("/", "localhost:8080", vec![200..=299]),
        ),
        ("file = \"/run/x.pid\"", Probe::File("/run/x.pid".into())),
        ("log = \"ready for .*\"", line("ready for .*", 1)),
        ("log = { pattern = \"up\", count = 2 }", line("up", 2)),
        ("log.pattern = \"up\"", line("up", 1)),
        ("notify = true", Probe::Notify),
        ("fd = 3", Probe::Fd(3)),
    ] {
        assert_eq!(probe(text), expected, "{text}");
    }
    assert!(matches!(probe("exec = \"pg_isready -q\""), Probe::Exec(words) if words.len() == 2));
}

#[test]
fn a_later_layer_chooses_another_one_of_the_matching_lines() {
    let case = Case::new().toml("[async.db]\nexec = 'x'\nready.log = 'up'");
    let case = case.set("TRC_ASYNC__DB__READY__LOG__COUNT", "2");
    let ready = unit(&case.config(), "async.db").ready.clone();
    assert_eq!(ready.unwrap().probe.value, line("up", 2));
    for (text, error) in [
        (
            "ready.log.count = 2",
            "3:7: `ready.log` needs a `pattern` (write the regular expression that the line matches)",
        ),
        (
            "ready.log = { pattern = 'up', count = 0 }",
            "3:39: `ready.log.count`: expected a number from 1 to 1000, found the integer 0",
        ),
        ("ready.log = 5", "3:13: `ready.log`: expected a table, found the integer 5"),
        (
            "ready = { log = 'up', count = 2 }",
            "3:23: unknown key `count` in `ready` (in trc this is `log`: log = { pattern = 'listening on .*:80', count = 2 })",
        ),
        ("health.log.count = 2", "3:8: `health.log`: expected a string, found a table"),
    ] {
        let case = Case::new().toml(&format!("[async.db]\nexec = 'x'\n{text}"));
        assert_eq!(case.errors(), [format!("error trc.toml:{error}")], "{text}");
    }
}

#[test]
fn probes_have_times_of_their_own() {
    let ready = ready("ready = { tcp = 1, every = \"1s\", timeout = \"2s\", within = \"3s\" }");
    assert_eq!((ready.every, ready.timeout, ready.within), (SECOND, SECOND * 2, SECOND * 3));
    let text = "[sync.x]\nexec = \"x\"\n\
                health = { tcp = 1, every = \"1s\", timeout = \"2s\", failures = 4, then = \"stop\" }";
    let config = Case::new().toml(text).config();
    let Some(Health { every, timeout, failures, then, .. }) = unit(&config, "sync.x").health else {
        panic!("no health check")
    };
    assert_eq!((every, timeout, failures, then), (SECOND, SECOND * 2, 4, Then::Stop));
}

#[test]
fn restart_is_a_word_or_a_table() {
    for (text, when) in [
        ("", When::No),
        ("restart = \"no\"", When::No),
        ("restart = \"always\"", When::Always),
        ("restart = \"on-failure\"", When::OnFailure),
        ("restart = {}", When::OnFailure),
    ] {
        assert_eq!(restart(text), Restart { when, ..Restart::NO }, "{text}");
    }
    let text = "restart = { when = \"always\", max = 3, window = \"5m\", backoff = \"1s..1m\" }";
    let backoff = Backoff { first: SECOND, longest: SECOND * 60 };
    let expected =
        Restart { when: When::Always, max: Some(3), window: SECOND * 300, backoff, with: vec![] };
    assert_eq!(restart(text), expected);
    let constant = Backoff { first: SECOND * 2, longest: SECOND * 2 };
    assert_eq!(restart("restart.backoff = 2").backoff, constant);
}

#[test]
fn a_later_layers_probe_replaces_an_earlier_one_of_another_kind_and_keeps_its_times() {
    let toml = "[async.db]\nexec = \"x\"\nready = { tcp = 1, within = \"5s\" }\n\
                [async.app]\nexec = \"x\"\nready.http = \"http://a/b\"\nrestart = \"always\"";
    let config = Case::new()
        .toml(toml)
        .file("trc.d/10.toml", "[async.db.ready]\nunix = \"/run/x\"")
        .set("TRC_ASYNC__APP__READY__HTTP__STATUS", "204")
        .set("TRC_ASYNC__APP__RESTART__MAX", "3")
        .config();
    let db = unit(&config, "async.db").ready.clone().unwrap();
    assert_eq!((db.probe.value, db.within), (Probe::Unix("/run/x".into()), SECOND * 5));
    let app = unit(&config, "async.app");
    let address = Address { host: "a".to_owned(), port: 80 };
    let (path, host, status) = ("/b".to_owned(), "a".to_owned(), vec![204..=204]);
    let http = Probe::Http(Http { address, path, host, status });
    assert_eq!(app.ready.as_ref().unwrap().probe.value, http);
    assert_eq!((app.restart.when, app.restart.max), (When::Always, Some(3)));
}

#[test]
fn a_unit_with_ready_and_nothing_to_run_stands_for_something_outside() {
    for stage in ["boot", "async"] {
        let toml = format!("[{stage}.db]\nready.tcp = \"db:5432\"");
        let config = Case::new().toml(&toml).config();
        assert_eq!(unit(&config, &format!("{stage}.db")).command, Command::Nothing);
    }
}

#[test]
fn what_is_wrong_with_a_probe_or_restart_is_said() {
    let on = |key: &str| format!("[async.x]\nexec = \"x\"\n{key}");
    let rows: &[(&str, &[&str])] = &[
        (
            "ready = {}",
            &[
                "error trc.toml:3:1: `ready` needs a probe (write one of tcp, unix, http, exec, file, log, notify or fd)",
            ],
        ),
        (
            "ready = { tcp = 80, unix = \"/x\" }",
            &[
                "error trc.toml:3:21: `[async.x.ready]` has both `tcp` and `unix` (remove one of them)",
            ],
        ),
        (
            "ready = true",
            &[
                "error trc.toml:3:9: `ready`: expected a table, found true (write ready = { notify = true })",
            ],
        ),
        (
            "ready.tpc = 80",
            &["error trc.toml:3:7: unknown key `tpc` in `ready` (did you mean `tcp`?)"],
        ),
        (
            "ready.tcp = \"db\"",
            &[
                "error trc.toml:3:13: `ready.tcp`: expected an address such as \"127.0.0.1:80\", or a port, found the string \"db\"",
            ],
        ),
        (
            "ready.http = \"https://x/\"",
            &[
                "error trc.toml:3:14: `ready.http`: expected a URL such as \"http://127.0.0.1:8080/\", found the string \"https://x/\" (TLS is not supported: use plain HTTP, `tcp` or `exec`)",
            ],
        ),
        ("ready.http.path = \"/x\"", &["error trc.toml:3:7: `ready.http` needs a `url`"]),
        (
            "ready.log = \"a(b\"",
            &[
                "error trc.toml:3:13: `ready.log`: this is not a valid regular expression: found open group without closing ')'",
            ],
        ),
        (
            "ready.fd = 1",
            &[
                "error trc.toml:3:12: `ready.fd`: expected a number from 3 to 255, found the integer 1",
            ],
        ),
        (
            "ready = { tcp = 1, within = 0 }",
            &["error trc.toml:3:29: `ready.within`: this must be longer than 0"],
        ),
        ("health.fd = 3", &["error trc.toml:3:8: unknown key `fd` in `health`"]),
        (
            "restart = \"alway\"",
            &[
                "error trc.toml:3:11: `restart`: expected no, on-failure or always, found \"alway\" (did you mean `always`?)",
            ],
        ),
        (
            "restart.backoff = \"30s..1s\"",
            &["error trc.toml:3:19: `restart.backoff`: the first time is longer than the second"],
        ),
        ("restart.with = [\"bd\"]", &["error trc.toml:3:17: there is no unit `bd`"]),
        (
            "oneshot = true\nrestart = \"always\"",
            &[
                "error trc.toml:4:1: `restart`: async.x is a one-shot, which ends when it succeeds: use `on-failure`",
            ],
        ),
        (
            "ready.log = \"x\"\noutput = \"null\"",
            &[
                "error trc.toml:4:1: `output`: async.x has a `log` probe, but trc cannot read its output with this setting",
            ],
        ),
    ];
    let texts: Vec<(String, &[&str])> = rows.iter().map(|(key, says)| (on(key), *says)).collect();
    let table: Vec<(&str, &[&str])> = texts.iter().map(|(t, says)| (t.as_str(), *says)).collect();
    toml_says(&table);
    toml_says(&[
        (
            "[halt.x]\nexec = \"x\"\nrestart = \"always\"",
            &["error trc.toml:3:1: `restart`: halt.x cannot be restarted: halt units run once"],
        ),
        (
            "[boot.x]\nexec = \"x\"\nready.tcp = 1",
            &[
                "error trc.toml:3:1: `ready`: boot.x cannot have a readiness check: boot units run one at a time, each until it exits",
            ],
        ),
        (
            "[sync.x]\nready.tcp = 1",
            &[
                "error trc.toml:2:1: `ready`: sync.x has no command: only boot and async units can be external units",
            ],
        ),
        (
            "[async.x]\nready.notify = true",
            &[
                "error trc.toml:2:1: `ready`: async.x has no command, so it cannot report that it is ready: use `tcp`, `unix`, `http`, `exec` or `file`",
            ],
        ),
        (
            "[async.x]\nready.tcp = 1\nhealth.tcp = 1",
            &["error trc.toml:3:1: `health`: async.x has no command, so there is nothing to check"],
        ),
        (
            "[async.x]\nexec = \"it's\"\nrestart = \"always\"\nhealth.tcp = 1",
            &["error trc.toml:2:11: `exec`: the quote ' is never closed"],
        ),
    ]);
}

/// trc took it for an external unit, started nothing, and exited with 0.
#[test]
fn a_unit_with_keys_of_a_process_and_no_command_is_reported() {
    for (keys, key) in [
        ("user = 'root'\nready.tcp = 1", "user"),
        ("env.A = 'b'\nready.tcp = 1", "env"),
        ("stop = 'QUIT'\ncwd = '/'\nready.tcp = 1", "stop"),
        ("limits.nofile = 80\nready.tcp = 1", "limits"),
        ("oneshot = true\nready.exec = 'x'", "oneshot"),
        ("stdin = 'inherit'\nready.exec = 'x'", "stdin"),
    ] {
        let says = format!(
            "error trc.toml:2:1: `{key}`: async.c has no command, and only a process can have this (add `exec` or `script`; without a command, the unit stands for something that trc does not start)"
        );
        assert_eq!(Case::new().toml(&format!("[async.c]\n{keys}")).errors(), [says], "{keys}");
    }
    // The command of the probe has them, too.
    for keys in ["user = 'root'\nenv.A = 'b'\nready.exec = 'x'", "after = 'b'\nready.tcp = 1"] {
        let text = format!("[async.c]\n{keys}\n[async.b]\nexec = 'x'");
        assert_eq!(Case::new().toml(&text).errors(), [""; 0], "{keys}");
    }
}

#[test]
fn exit_takes_numbers_and_reasons() {
    let config = Case::new()
        .file("trc.toml", "exit = { 138 = 0, stopped = 0, unit = { web = 'own', async.db = 'own' } }\n[async.db]\nexec = 'x'\n[async.web]\nexec = 'x'\n")
        .config();
    assert_eq!(config.exit.statuses, [(138, 0)].into());
    assert_eq!(config.exit.stopped, Some(0));
    let own: Vec<&str> = config.exit.own.iter().map(|unit| unit.value.as_str()).collect();
    assert_eq!(own, ["async.web", "async.db"]);
}

#[test]
fn what_is_wrong_with_a_reason_of_exit_is_said() {
    toml_says(&[
        (
            "exit.stoped = 0",
            &[
                "error trc.toml:1:6: `exit.stoped`: expected an exit status, `stopped` or `unit`, found the string \"stoped\" (did you mean `stopped`?)",
            ],
        ),
        (
            "exit.stopped = 'own'",
            &[
                "error trc.toml:1:16: `exit.stopped`: expected an exit status from 0 to 255, found the string \"own\"",
            ],
        ),
        (
            "exit.unit.web = 0\n[async.web]\nexec = 'x'",
            &["error trc.toml:1:17: `exit.unit.web`: expected a string, found the integer 0"],
        ),
        (
            "exit.unit.wbe = 'own'\n[async.web]\nexec = 'x'",
            &["error trc.toml:1:11: there is no unit `wbe` (did you mean `web`?)"],
        ),
    ]);
}

#[test]
fn the_socket_for_syslog_is_the_usual_one_or_at_a_path() {
    let syslog = |value: &str| {
        Case::new().toml("[sync.x]\nexec = 'x'").set("TRC_LOG__SYSLOG", value).config().log.syslog
    };
    assert_eq!(syslog("true"), Some("/dev/log".into()));
    assert_eq!(syslog("/run/log"), Some("/run/log".into()));
    assert_eq!(syslog("false"), None);
    for (value, error) in [
        ("'run/log'", "the path must begin with `/`".to_owned()),
        (
            "'yes'",
            "expected true, false, or the path of a socket, found the string \"yes\"".to_owned(),
        ),
        ("1", "expected true, false, or the path of a socket, found the integer 1".to_owned()),
        (
            &format!("'/{}'", "x".repeat(107)),
            "the path of a socket has at most 107 bytes".to_owned(),
        ),
    ] {
        let case = Case::new().toml(&format!("log.syslog = {value}"));
        assert_eq!(case.errors(), [format!("error trc.toml:1:14: `log.syslog`: {error}")]);
    }
}
