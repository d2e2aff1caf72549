//! Units and settings as files declare them.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::unit::Form;
use crate::config::{
    Command, Config, Hook, LogFormat, OnFailure, Output, Probe, Reload, ReloadBy, SignalRule,
    StopTo, WaitPolicy,
};
use crate::signal::Signal;

use super::{Case, exec, ids, toml_says, unit};

#[test]
fn nothing_configured_means_defaults_and_the_trailing_command() {
    let config = Case::new().arguments(&["ls", "-l"]).config();
    assert_eq!(config.wait, WaitPolicy::Any);
    assert_eq!(config.log.level, log::LevelFilter::Warn);
    assert_eq!(ids(&config), ["sync.cmd"]);
    assert_eq!(config.units[0].form, Form::Trailing);
    assert_eq!(config.units[0].command, Command::Words(vec!["ls".into(), "-l".into()]));
    assert_eq!(config.rest, ["ls", "-l"]);
    assert_eq!(config.remarks, []);
}

#[test]
fn every_setting_of_a_file_is_understood() {
    let config = Case::new()
        .toml(
            r#"
            wait = "err"
            shell = ["/bin/ash", "-c"]
            [shutdown]
            timeout = "1m30s"
            [log]
            level = "debug"
            format = "json"
            output = "null"
            [env]
            PORT = 8080
            VERSION = 1.10
            YES = true
            [signals]
            usr1 = "ignore"
            SIGHUP = { forward = "quit", to = ["web"] }
            RTMIN = "stop"
            WINCH = { to = [] }
            [exit]
            138 = 0
            [async.web]
            exec = "x"
            "#,
        )
        .config();
    assert_eq!(config.wait, WaitPolicy::Err);
    assert_eq!(config.shell, Some(vec!["/bin/ash".into(), "-c".into()]));
    assert_eq!(config.shutdown.timeout, Some(Duration::from_secs(90)));
    assert_eq!(config.log.level, log::LevelFilter::Debug);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.output, Some(Output::Null));
    let env: Vec<_> =
        config.env.iter().map(|(name, value)| (name.as_str(), value.value.source())).collect();
    assert_eq!(env, [("PORT", "8080".into()), ("VERSION", "1.10".into()), ("YES", "true".into())]);
    let rules: Vec<String> =
        config.signals.iter().map(|(signal, rule)| format!("{signal} {rule:?}")).collect();
    assert_eq!(rules.len(), 4);
    assert!(rules[0].contains("SIGHUP Forward { signal: Some(Signal(3))"), "{}", rules[0]);
    assert!(rules[0].contains("\"async.web\""), "{}", rules[0]);
    assert_eq!(rules[1], "SIGUSR1 Ignore");
    assert_eq!(rules[2], "SIGWINCH Forward { signal: None, to: [] }");
    assert_eq!(rules[3], "SIGRTMIN Stop");
    assert_eq!(config.exit.statuses, [(138, 0)].into());
}

#[test]
fn every_key_of_a_unit_is_understood() {
    let config = Case::new()
        .toml(
            r#"
            [async.web]
            description = "The web"
            exec = "nginx -g 'daemon off;'"
            enabled = true
            oneshot = false
            after = ["boot.prepare"]
            success = [0, 143]
            on_failure = "stop"
            stop = { signal = "QUIT", timeout = 2.5, to = "group", exec = ["nginx", "-s", "quit"] }
            user = "www-data"
            group = 33
            groups = ["ssl", 5]
            cwd = "/srv/${SITE}"
            umask = "027"
            env = { A = "${B}" }
            env_file = ["/etc/web.env"]
            env_clear = true
            output = "prefix"
            [boot.prepare]
            script = "echo ${HOME} $$"
            "#,
        )
        .config();
    let web = unit(&config, "async.web");
    assert_eq!(web.form, Form::Declared);
    assert_eq!(exec(web), ["nginx", "-g", "daemon off;"]);
    assert_eq!(web.description.as_deref(), Some("The web"));
    assert_eq!(web.oneshot, Some(false));
    assert_eq!(web.after[0].unit.value, "boot.prepare");
    assert_eq!(web.after[0].condition, None);
    assert_eq!(web.success, Some(vec![0, 143]));
    assert_eq!(web.on_failure, OnFailure::Stop);
    assert_eq!(web.stop.signal.unwrap().to_string(), "SIGQUIT");
    assert_eq!(web.stop.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(web.stop.to, Some(StopTo::Group));
    assert_eq!(web.stop.exec.as_ref().unwrap().len(), 3);
    assert_eq!(web.output, Some(Output::Prefix));
    let who = &web.identity;
    assert_eq!(who.user.as_ref().unwrap().value, "www-data");
    assert_eq!(who.group.as_ref().unwrap().value, "33");
    let groups: Vec<_> = who.groups.iter().flatten().map(|group| group.value.as_str()).collect();
    assert_eq!(groups, ["ssl", "5"]);
    assert_eq!(who.cwd.as_ref().unwrap().value.source(), "/srv/${SITE}");
    assert_eq!(who.umask, Some(0o027));
    assert_eq!(who.env["A"].value.source(), "${B}");
    assert_eq!(who.env_file[0].value, PathBuf::from("/etc/web.env"));
    assert!(who.env_clear);
    let script = &unit(&config, "boot.prepare").command;
    assert_eq!(*script, Command::Script("echo ${HOME} $$".into()));
}

#[test]
fn what_others_call_it_is_an_unknown_key() {
    for key in ["ports", "depends_on"] {
        let errors = Case::new().toml(&format!("[async.web]\nexec = \"x\"\n{key} = 1")).errors();
        assert_eq!(errors.len(), 1);
        let expected = format!("error trc.toml:3:1: unknown key `{key}` in `[async.web]`");
        assert!(errors[0].starts_with(&expected), "{errors:?}");
    }
    assert_eq!(Case::new().toml("control = 1").errors().len(), 1);
}

#[test]
fn a_time_has_a_unit_or_is_in_seconds() {
    for (text, milliseconds) in [
        ("\"5s\"", 5000),
        ("\"200ms\"", 200),
        ("\"1m30s\"", 90_000),
        ("\"1h 2m\"", 3_720_000),
        ("\"2h\"", 7_200_000),
        ("\"1.5s\"", 1500),
        ("\"333ms\"", 333),
        ("5", 5000),
        ("0.25", 250),
        ("0", 0),
        ("\"5\"", 5000),
        ("\"${T:-7}s\"", 7000),
    ] {
        let config = Case::new().toml(&format!("shutdown.timeout = {text}")).config();
        let expected = Some(Duration::from_millis(milliseconds));
        assert_eq!(config.shutdown.timeout, expected, "{text}");
    }
    for text in [
        "-1",
        "\"-1s\"",
        "\"\"",
        "\"s\"",
        "\"5 apples\"",
        "\"5d\"",
        "\"30s1m\"",
        "\"1s2s\"",
        "\"1e3s\"",
        "\"inf\"",
        "nan",
        "inf",
        "1e300",
        "\"99999999999h\"",
        "true",
        "[]",
        "\"5s3\"",
        "\".\"",
        "\".s\"",
        "\"5é\"",
    ] {
        let errors = Case::new().toml(&format!("shutdown.timeout = {text}")).errors();
        assert_eq!(errors.len(), 1, "{text}");
        let expected = "error trc.toml:1:20: `shutdown.timeout`: expected a time such as \"5s\", \"200ms\", \
                        \"1m30s\" or \"2h\", found ";
        assert!(errors[0].starts_with(expected), "{errors:?}");
    }
}

#[test]
fn a_unit_runs_exactly_one_thing() {
    toml_says(&[
        (
            "[async.web]\nuser = \"x\"",
            &["error trc.toml:1:8: `[async.web]` has no command: it needs `exec` or `script`"],
        ),
        (
            "[async.web]\nexec = \"x\"\nscript = \"y\"",
            &[
                "error trc.toml:3:1: `[async.web]` has both `exec` and `script` (a unit has exactly one of `exec`, `script` and a script file)",
            ],
        ),
        ("[async.web]\nexec = \"\"", &["error trc.toml:2:8: `exec`: the command is empty"]),
        (
            "[async.web]\nexec = []",
            &["error trc.toml:2:8: `exec`: the name of the command is empty"],
        ),
        (
            "[async.web]\nexec = \"'' x\"",
            &["error trc.toml:2:8: `exec`: the name of the command is empty"],
        ),
        (
            "[async.web]\nexec = \"echo é 'x\"",
            &["error trc.toml:2:16: `exec`: the quote ' is never closed"],
        ),
        (
            "[async.web]\nexec = 'echo \"x'",
            &["error trc.toml:2:14: `exec`: the quote \" is never closed"],
        ),
        (
            "[sync.web]\nexec = \"x\"\nstop.exec = \"\"",
            &["error trc.toml:3:13: `stop.exec`: the command is empty"],
        ),
        ("[sync.a]\nscript = \"  \"", &["error trc.toml:2:10: `script`: the script is empty"]),
    ]);
}

#[test]
fn a_reload_is_a_signal_or_a_command() {
    let unit = |reload: &str| format!("[async.web]\nexec = 'x'\n{reload}\n");
    let of = |reload: &str| Case::new().toml(&unit(reload)).config().units[0].reload.clone();
    let hup = |within| Some(Reload { by: ReloadBy::Signal(Signal::HUP), within });
    let minute = Duration::from_mins(1);
    assert_eq!(of(""), None);
    assert_eq!(of("reload = 'HUP'"), hup(minute));
    assert_eq!(of("reload = { signal = 'SIGHUP', within = '5s' }"), hup(Duration::from_secs(5)));
    let by = of("reload.exec = 'nginx -s reload'").map(|reload| reload.by);
    assert!(matches!(&by, Some(ReloadBy::Exec(words)) if words.len() == 3), "{by:?}");
    // A later layer may replace the one by the other.
    let case = Case::new().toml(&unit("reload = { signal = 'HUP', within = '5s' }"));
    let later = case.arguments(&["-c", "async.web.reload.exec='x'"]).config().units[0].clone();
    let Some(Reload { by: ReloadBy::Exec(_), within }) = later.reload else {
        panic!("{:?}", later.reload)
    };
    assert_eq!(within, Duration::from_secs(5));
}

#[test]
fn a_hook_is_a_command_or_a_table_and_later_layers_change_its_keys() {
    let unit = |keys: &str| format!("[async.web]\nexec = 'x'\n{keys}\n");
    let of = |keys: &str| Case::new().toml(&unit(keys)).config().units[0].clone();
    for key in ["pre_start", "post_stop"] {
        let written = |value: &str| {
            let unit = of(&format!("{key} = {value}"));
            let hook = if key == "pre_start" { unit.pre_start } else { unit.post_stop };
            let Hook { exec, within } = *hook.unwrap();
            (exec.len(), within)
        };
        assert_eq!(written("'a b c'"), (3, None), "{key}");
        assert_eq!(written("['a', 'b c']"), (2, None), "{key}");
        assert_eq!(written("{ exec = 'a', within = '2s' }"), (1, Some(Duration::from_secs(2))));
    }
    let later = Case::new()
        .toml(&unit("pre_start = ['a', 'b']"))
        .set("TRC_ASYNC__WEB__PRE_START__WITHIN", "5m")
        .config();
    let hook = later.units[0].pre_start.as_ref().unwrap();
    assert_eq!((hook.exec.len(), hook.within), (2, Some(Duration::from_mins(5))));
}

#[test]
fn only_a_unit_in_the_background_may_wait_until_somebody_starts_it() {
    let of =
        |unit: &str| Case::new().toml(&format!("[{unit}]\nexec = 'x'\nautostart = false")).errors();
    assert_eq!(of("async.a"), Vec::<String>::new());
    for unit in ["sync.a", "boot.a", "halt.a"] {
        let errors = of(unit);
        let said = |error: &String| error.contains("only async units can wait until somebody");
        assert!(errors.iter().any(said), "{errors:?}");
    }
}

#[test]
fn a_hook_needs_a_command_and_a_unit_that_runs_one() {
    for (toml, message) in [
        ("[async.web]\nexec = 'x'\npre_start.within = '1s'", "`pre_start` needs an `exec`"),
        ("[async.web]\nexec = 'x'\npost_stop = { within = '1s' }", "`post_stop` needs an `exec`"),
        (
            "[async.db]\nready.tcp = 1\npost_stop = 'x'",
            "`post_stop`: async.db has no command, and only a process can have this",
        ),
        ("[test.t]\nexec = 'x'\npre_start = 'x'", "unknown key `pre_start`"),
    ] {
        let errors = Case::new().toml(toml).errors();
        assert!(errors.iter().any(|error| error.contains(message)), "{errors:?}");
    }
}

#[test]
fn a_pid_file_is_for_services_that_go_on() {
    let unit =
        |keys: &str| format!("[async.web]\nexec = 'nginx'\npid_file = '/run/nginx.pid'\n{keys}");
    let read = |keys: &str| Case::new().toml(&unit(keys)).config();
    // A readiness check needs no probe then, and there is one even if the configuration has none.
    for (keys, probe, within) in [
        ("", Probe::PidFile, 60),
        ("ready.within = '5s'", Probe::PidFile, 5),
        ("ready = { notify = true, within = '5s' }", Probe::Notify, 5),
    ] {
        let ready = read(keys).units[0].ready.clone().unwrap();
        assert_eq!((ready.probe.value, ready.within.as_secs()), (probe, within), "{keys}");
    }
    for (keys, error) in [
        (
            "oneshot = true",
            "error trc.toml:3:1: `pid_file`: async.web is a one-shot, which exits by itself: only a service can run on in the background",
        ),
        (
            "schedule = '@daily'",
            "error trc.toml:3:1: `pid_file`: async.web has a schedule, so it exits by itself: only a service can run on in the background",
        ),
        (
            "listen = ['80']",
            "error trc.toml:3:1: `pid_file`: only the process that trc starts can use the sockets of `listen` (LISTEN_PID): let async.web stay in the foreground, or remove `listen`",
        ),
    ] {
        assert_eq!(Case::new().toml(&unit(keys)).errors(), [error]);
    }
    for (text, error) in [
        (
            "[sync.web]\nexec = 'nginx'\npid_file = '/run/nginx.pid'",
            "error trc.toml:3:1: `pid_file`: only async units can put themselves into the background, and trc waits until sync.web exits",
        ),
        (
            "[async.web]\nexec = 'nginx'\npid_file = 'nginx.pid'",
            "error trc.toml:3:12: `pid_file`: the path must begin with `/`",
        ),
        (
            "[async.web]\npid_file = '/run/nginx.pid'\nready.tcp = 80",
            "error trc.toml:2:1: `pid_file`: async.web has no command, and only a process can have this (add `exec` or `script`; without a command, the unit stands for something that trc does not start)",
        ),
        (
            "[async.web]\nexec = 'nginx'\nready.within = '5s'",
            "error trc.toml:3:1: `ready` needs a probe (write one of tcp, unix, http, exec, file, log, notify or fd)",
        ),
        (
            "[async.web]\nexec = 'nginx'\nPIDFile = '/run/nginx.pid'",
            "error trc.toml:3:1: unknown key `PIDFile` in `[async.web]` (in trc this is `pid_file`: pid_file = \"/run/nginx.pid\")",
        ),
    ] {
        assert_eq!(Case::new().toml(text).errors(), [error]);
    }
}

#[test]
fn a_wrong_reload_is_an_error_with_advice() {
    let unit = |key: &str| format!("[async.web]\nexec = 'x'\n{key}");
    for (key, error) in [
        (
            "reload = {}",
            "error trc.toml:3:1: `reload` needs a `signal` or an `exec` (write reload = { signal = \"SIGHUP\" })",
        ),
        (
            "reload = 'nginx -s reload'",
            "error trc.toml:3:10: `reload`: there is no signal \"nginx -s reload\" (to reload the unit with a command, write reload = { exec = \"nginx -s reload\" })",
        ),
        (
            "reload = 'KILL'",
            "error trc.toml:3:10: `reload`: no program can handle SIGKILL, so it cannot reload a unit",
        ),
        (
            "reload = { signal = 'HUP', exec = 'x' }",
            "error trc.toml:3:28: `[async.web.reload]` has both `signal` and `exec` (remove one of them)",
        ),
        (
            "reload = { command = 'x' }",
            "error trc.toml:3:12: unknown key `command` in `reload` (in trc this is `exec`: exec = \"nginx -s reload\")",
        ),
        (
            "ExecReload = 'x'",
            "error trc.toml:3:1: unknown key `ExecReload` in `[async.web]` (in trc this is `reload`: reload = { exec = \"nginx -s reload\" })",
        ),
        (
            "oneshot = true\nreload = 'HUP'",
            "error trc.toml:4:1: `reload`: async.web is a one-shot, which exits by itself: only a service can reload",
        ),
    ] {
        assert_eq!(Case::new().toml(&unit(key)).errors(), [error]);
    }
    let boot = "[boot.web]\nexec = 'x'\nreload = 'HUP'";
    assert_eq!(
        Case::new().toml(boot).errors(),
        [
            "error trc.toml:3:1: `reload`: boot.web cannot be reloaded: boot units run one at a time, each until it exits"
        ]
    );
}

#[test]
fn how_a_file_is_rotated_holds_for_all_units_that_share_it() {
    let units = |a: &str, b: &str| {
        format!(
            "[async.a]\nexec = \"x\"\noutput = {{ file = \"/l\"{a} }}\n\
             [async.b]\nexec = \"x\"\noutput = {{ file = \"/l\"{b} }}\n\
             [async.c]\nexec = \"x\"\noutput = {{ file = \"/other\" }}\n"
        )
    };
    for (a, b) in [("", ", max_size = 9000, keep = 1"), (", max_size = 9000", ", keep = 1")] {
        let config = Case::new().toml(&units(a, b)).config();
        let file = |id: &str| {
            let file = &unit(&config, id).output_file.as_ref().unwrap().value;
            (file.max_size, file.keep)
        };
        assert_eq!(
            [file("async.a"), file("async.b"), file("async.c")],
            [(Some(9000), Some(1)), (Some(9000), Some(1)), (None, None)]
        );
    }
    toml_says(&[
        (
            &units(", max_size = 9000, keep = 1", ", max_size = 8000, keep = 1"),
            &[
                "error trc.toml:6:19: `output.max_size`: async.b and async.a write to the same file, but set different values: 8000 and 9000",
            ],
        ),
        (
            &units(", keep = 1", ", max_size = 8000, keep = 2"),
            &[
                "error trc.toml:6:19: `output.keep`: async.b and async.a write to the same file, but set different values: 2 and 1",
            ],
        ),
    ]);
}

#[test]
fn a_disabled_unit_goes_with_every_edge_to_it() {
    let config = Case::new()
        .toml(
            "[signals]\nHUP = { to = [\"web\"] }\nUSR1 = { to = [\"web\", \"db\"] }\n\
             [async.db]\nexec = \"x\"\nafter = [\"web\"]\n\
             [async.job]\nexec = \"x\"\nafter = { web = \"exited\", \"async.db\" = \"started\" }\n\
             [async.web]\nexec = \"x\"\nenabled = false",
        )
        .config();
    assert_eq!(ids(&config), ["async.db", "async.job"]);
    assert_eq!(unit(&config, "async.db").after, []);
    let after: Vec<_> = unit(&config, "async.job").after.iter().map(|a| &a.unit.value).collect();
    assert_eq!(after, ["async.db"]);
    let rules: Vec<_> = config.signals.values().collect();
    // The signal must not go to all units, as an empty list would mean.
    assert_eq!(*rules[0], SignalRule::Ignore);
    let SignalRule::Forward { to, .. } = rules[1] else { panic!() };
    assert_eq!(to.iter().map(|unit| &unit.value).collect::<Vec<_>>(), ["async.db"]);
}

#[test]
fn disabling_what_is_not_there_is_pointed_out() {
    let case = Case::new().toml("[async.corn]\nenabled = false\n[async.cron]\nexec = \"x\"");
    assert_eq!(
        case.remarks(),
        [
            "warning trc.toml:1:8: there is no unit `async.corn` to disable (did you mean `async.cron`?)"
        ]
    );
}

/// They used to be errors if the command line had no such unit, as in a test run or a check.
#[test]
fn keys_for_units_of_the_command_line_are_for_the_runs_that_have_them() {
    let text = "[sync.cmd]\nuser = 'nobody'\n[async.D1]\nready.tcp = 1\n[halt.H2]\ncwd = '/'\n\
                [async.db]\nexec = 'x'\nafter = ['cmd', 'D1', 'F7', 'sync.F8']\n[signals]\nHUP = { to = ['cmd'] }";
    let case = || Case::new().toml(text).set("TRC_BOOT__B1__USER", "nobody");
    assert_eq!(ids(&case().config()), ["async.db"]);
    assert_eq!(unit(&case().config(), "async.db").after, []);
    assert_eq!(case().config().signals.values().next(), Some(&SignalRule::Ignore));
    let notes = [
        "note trc.toml:1:7: `sync.cmd` is a unit of the command line, and this command line does not have it",
        "note trc.toml:3:8: `async.D1` is a unit of the command line, and this command line does not have it",
        "note trc.toml:5:7: `halt.H2` is a unit of the command line, and this command line does not have it",
        "note TRC_BOOT__B1__USER: `boot.B1` is a unit of the command line, and this command line does not have it",
    ];
    assert_eq!(case().remarks(), notes);
    let all = ["-D", "x", "-H", "x", "-H", "x", "-B", "x", "x"];
    let config = case().arguments(&all).config();
    let user = |id: &str| unit(&config, id).identity.user.as_ref().map(|user| user.value.clone());
    assert_eq!(user("sync.cmd").as_deref(), Some("nobody"));
    assert_eq!(user("boot.B1").as_deref(), Some("nobody"));
    assert_eq!(unit(&config, "async.db").after.len(), 2);

    // Errors in it are errors, and so is a unit that no command line can have.
    toml_says(&[
        (
            "[sync.cmd]\nusr = 1",
            &[
                "note trc.toml:1:7: `sync.cmd` is a unit of the command line, and this command line does not have it",
                "error trc.toml:2:1: unknown key `usr` in `[sync.cmd]` (did you mean `user`?)",
            ],
        ),
        (
            "[async.D01]\ncwd = '/'\n[async.cmd]\ncwd = '/'",
            &[
                "error trc.toml:1:8: `[async.D01]` has no command: it needs `exec` or `script`",
                "error trc.toml:3:8: `[async.cmd]` has no command: it needs `exec` or `script`",
            ],
        ),
    ]);
}

/// The test may be somebody else's, and mounted into an image.
#[test]
fn a_test_takes_no_services_name_away() {
    let units = "[async.db]\nexec = \"x\"\n[test.db]\nexec = \"x\"\nafter = \"db\"\n\
                 expect = { log = { unit = \"db\", forbids = \"x\" }, fault = { unit = \"db\", kill = \"TERM\" } }\n\
                 [test.a]\nexec = \"x\"\n[test.b]\nexec = \"x\"\nafter = \"a\"\n\
                 [sync.app]\nexec = \"x\"\nafter = \"db\"\n";
    let case = || Case::new().toml(units);
    let (production, tested) = (case().config(), case().arguments(&["--test"]).config());
    let after = |config: &Config, id: &str| unit(config, id).after[0].unit.value.clone();
    assert_eq!(after(&production, "sync.app"), "async.db");
    let names = ["sync.app", "test.db", "test.b"].map(|id| after(&tested, id));
    assert_eq!(names, ["async.db", "async.db", "test.a"]);
}

#[test]
fn a_unit_is_named_in_full_or_by_its_name_where_that_is_unique() {
    let units = "[async.db]\nexec = \"x\"\n[boot.db]\nexec = \"x\"\n[sync.main]\nexec = \"x\"\n";
    let after = |text: &str| -> Vec<String> {
        let case = Case::new().toml(&format!("{units}[halt.h]\nexec = \"x\"\nafter = {text}"));
        match case.load() {
            Ok(loaded) => unit(&loaded.config, "halt.h")
                .after
                .iter()
                .map(|after| format!("{} {:?}", after.unit.value, after.condition))
                .collect(),
            Err(errors) => case.said(&errors),
        }
    };
    assert_eq!(after("[\"main\", \"boot.db\"]"), ["sync.main None", "boot.db None"]);
    assert_eq!(
        after("{ main = \"failed\", async.db = \"started\", \"boot.db\" = \"succeeded\" }"),
        ["sync.main Some(Failed)", "async.db Some(Started)", "boot.db Some(Succeeded)"]
    );
    assert_eq!(after("\"main\""), ["sync.main None"]);
    assert_eq!(
        after("[\"db\"]"),
        [
            "error trc.toml:9:10: `db` is ambiguous: it may be boot.db or async.db (write the stage before the name)"
        ]
    );
    assert_eq!(
        after("[\"mian\", \"async.bd\"]"),
        [
            "error trc.toml:9:10: there is no unit `mian` (did you mean `main`?)",
            "error trc.toml:9:18: there is no unit `async.bd` (did you mean `async.db`?)",
        ]
    );
    assert_eq!(
        after("{ main = 1 }"),
        [
            "error trc.toml:9:18: `after.main`: expected started, ready, exited, succeeded, failed or settled, found the integer 1"
        ]
    );
    toml_says(&[(
        "signals.HUP = { to = [\"nginx\"] }",
        &["error trc.toml:1:23: there is no unit `nginx`"],
    )]);
}

#[test]
fn before_takes_what_after_takes() {
    let base = "[async.web]\nexec = \"x\"\n[sync.app]\nexec = \"x\"\n";
    let before = |text: &str| -> Vec<String> {
        let case =
            Case::new().toml(base).file("trc.d/async.hook.toml", format!("exec = \"x\"\n{text}"));
        match case.load() {
            Ok(loaded) => unit(&loaded.config, "async.hook")
                .before
                .iter()
                .map(|before| format!("{} {:?}", before.unit.value, before.condition))
                .collect(),
            Err(errors) => case.said(&errors),
        }
    };
    for (text, expected) in [
        ("before = \"web\"", &["async.web None"][..]),
        ("before = [\"web\", \"sync.app\"]", &["async.web None", "sync.app None"]),
        ("before = { web = \"succeeded\" }", &["async.web Some(Succeeded)"]),
        // As for `after`, a unit that is disabled, or not on this command line, does not matter.
        ("before = [\"web\"]\nenabled = false", &["error"]),
        ("before = [\"cmd\", \"D1\"]", &[]),
        (
            "before = [\"wbe\"]",
            &["error trc.d/async.hook.toml:2:11: there is no unit `wbe` (did you mean `web`?)"],
        ),
        (
            "before = [\"web:started\"]",
            &[
                "error trc.d/async.hook.toml:2:11: there is no unit `web:started` (write before = { web = \"started\" })",
            ],
        ),
        (
            "before = { web = \"up\" }",
            &[
                "error trc.d/async.hook.toml:2:18: `before.web`: expected started, ready, exited, succeeded, failed or settled, found \"up\" (write \"ready\": the condition holds while the unit is ready, which its `ready` checks)",
            ],
        ),
        (
            "before = [{ web = \"started\" }]",
            &[
                "error trc.d/async.hook.toml:2:11: `before`: expected a string, found a table (write one table for all units: before = { db = \"ready\", web = \"started\" })",
            ],
        ),
    ] {
        if expected == ["error"] {
            let config =
                Case::new().toml(&format!("{base}[async.hook]\nexec = 'x'\n{text}")).config();
            assert_eq!(ids(&config), ["async.web", "sync.app"], "{text}");
            continue;
        }
        assert_eq!(before(text), expected, "{text}");
    }
    toml_says(&[(
        "[async.a]\nexec = 'x'\n[test.x]\nexec = 'x'\nbefore = ['a']",
        &[
            "error trc.toml:5:1: unknown key `before` in `[test.x]` (write `after` in the other test; a unit of an image is never behind a test)",
        ],
    )]);
}

#[test]
fn signals_are_the_same_however_they_are_spelt() {
    let config = Case::new()
        .toml("[signals]\nSIGUSR1 = \"ignore\"")
        .file("trc.d/x.toml", "[signals]\nusr1 = \"stop\"")
        .config();
    assert_eq!(config.signals.values().collect::<Vec<_>>(), [&SignalRule::Stop]);
    toml_says(&[
        (
            "[signals]\nUSR1 = \"stop\"\nSIGUSR1 = \"stop\"",
            &["error trc.toml:3:1: `signals.SIGUSR1` is written twice"],
        ),
        (
            "signals.KILL = \"stop\"",
            &["error trc.toml:1:9: `signals.SIGKILL`: SIGKILL cannot be caught"],
        ),
        (
            "signals.stop = \"stop\"",
            &["error trc.toml:1:9: `signals.SIGSTOP`: SIGSTOP cannot be caught"],
        ),
        (
            "signals.CHLD = \"stop\"",
            &[
                "error trc.toml:1:9: `signals.SIGCHLD`: SIGCHLD is reserved for trc: it reports that a child process has exited",
            ],
        ),
        (
            "signals.USR3 = \"stop\"",
            &[
                "error trc.toml:1:9: `signals.USR3`: there is no signal \"USR3\" (did you mean `SIGUSR1`?)",
            ],
        ),
        (
            "signals.HUP = \"restart\"",
            &[
                "error trc.toml:1:15: `signals.SIGHUP`: expected \"stop\", \"ignore\", \"reopen\", \"reload\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`, found \"restart\"",
            ],
        ),
        (
            "signals.HUP = {}",
            &[
                "error trc.toml:1:15: `signals.SIGHUP`: expected \"stop\", \"ignore\", \"reopen\", \"reload\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`",
            ],
        ),
    ]);
}

#[test]
fn variables_in_values_are_filled_in_at_load_or_kept_for_the_start() {
    let text = "wait = \"${POLICY}\"\nshutdown.timeout = \"${T:-3}s\"\nshell = \"${SH} -c\"\n\
                [async.web]\nenabled = \"${WORKER:-true}\"\n\
                exec = \"echo ${LATE} '${LATE}' $${X}\"\ncwd = \"${LATE}\"\nenv.A = \"${LATE}\"";
    let case = Case::new().toml(text).set("POLICY", "all").set("SH", "a b");
    let config = case.config();
    assert_eq!(config.wait, WaitPolicy::All);
    assert_eq!(config.shutdown.timeout, Some(Duration::from_secs(3)));
    // trc splits the command first, so a value never becomes two words.
    assert_eq!(config.shell.as_ref().unwrap(), &["a b", "-c"]);
    let Command::Exec(words) = &unit(&config, "async.web").command else { panic!() };
    let late = |_: &str| Some("x y".into());
    let expanded: Vec<_> = words.iter().map(|word| word.expand(&late).unwrap()).collect();
    assert_eq!(expanded, ["echo", "x y", "x y", "${X}"]);

    let case = case.set("WORKER", "false");
    assert_eq!(ids(&case.config()), [""; 0]);
}

#[test]
fn a_unit_is_enabled_by_a_comparison() {
    for (condition, enabled) in [
        ("${MODE} == worker", true),
        ("${MODE}==web", false),
        ("${MODE} != web", true),
        ("worker != ${MODE}", false),
        ("${MODE} in web, worker", true),
        ("${MODE} in web,workers", false),
        ("${MODE} in ${LIST}", true),
        ("${NOPE:-a == b} == \"a == b\"", true),
        ("${NOPE:-it's} == it's", true),
        ("${MODE} == \"worker\"", true),
        ("\"${MODE}\" != \"worker\"", false),
        ("${NOPE:-} == \"\"", true),
        ("${NOPE:-a b} in \"a b\", c", true),
        ("${NOPE:-a,b} in \"a,b\"", true),
        ("a in \"a,b\", c", false),
        ("${MODE} in ${NOPE:-web,worker}", true),
        ("${NOPE:-} ==", true),
        ("${TRICK} == x", false),
        ("${TRICK} == ${TRICK}", true),
        ("true", true),
    ] {
        let text = format!("[async.a]\nexec = 'x'\nenabled = '''{condition}'''");
        let case = Case::new().toml(&text).set("MODE", "worker").set("LIST", "a,worker");
        let case = case.set("TRICK", "x == x");
        assert_eq!(!ids(&case.config()).is_empty(), enabled, "{condition}");
    }
    let unit = |condition: &str| format!("[async.a]\nexec = 'x'\nenabled = '{condition}'");
    toml_says(&[
        (&unit("a == ${1}"), &["error trc.toml:3:19: `enabled`: `${1}` has no variable name"]),
        (&unit("${NOPE} == a"), &["error trc.toml:3:11: `enabled`: the variable NOPE is not set"]),
        (
            &unit("a in "),
            &["error trc.toml:3:11: `enabled`: `in` needs a list, such as `in web,worker`"],
        ),
        (
            &unit("a = b"),
            &[
                "error trc.toml:3:11: `enabled`: expected true or false, found \"a = b\" (compare strings with `==`, `!=` or `in`: \"${MODE} in web,worker\")",
            ],
        ),
        (&unit("a == \"b"), &["error trc.toml:3:17: `enabled`: this \" is never closed"]),
    ]);
    // What looks like a longer expression is never a text.
    for (condition, rest) in [
        ("a not in b,c", "not in b,c"),
        ("a == b or c", "or c"),
        ("a == b && c == d", "&& c == d"),
        ("a == \"b\" or c", " or c"),
        ("a==b==c", "==c"),
        ("a === b", "= b"),
        ("a in b c, d", "c, d"),
    ] {
        let column = "enabled = '".len() + condition.find(rest).unwrap() + 1;
        let error = format!(
            "error trc.toml:3:{column}: `enabled`: expected one comparison of two strings (a string \
             with spaces needs quotes; there is no `and`, `or` or `not`)"
        );
        toml_says(&[(&unit(condition), &[&error])]);
    }
}

#[test]
fn a_variable_that_is_not_set_is_an_error_with_its_place() {
    toml_says(&[
        ("wait = \"${NOPE}\"", &["error trc.toml:1:8: `wait`: the variable NOPE is not set"]),
        ("wait = \"${NOPE:?set it}\"", &["error trc.toml:1:8: `wait`: NOPE: set it"]),
        ("wait = \"${EMPTY:?set it}\"", &["error trc.toml:1:8: `wait`: EMPTY: set it"]),
        ("wait = \"a${\"", &["error trc.toml:1:10: `wait`: `${` has no closing `}`"]),
        ("env.A = \"é${1}\"", &["error trc.toml:1:13: `env.A`: `${1}` has no variable name"]),
        (
            "async.web.exec = \"x ${Y+1}\"",
            &[
                "error trc.toml:1:18: `exec`: only `:-default` and `:?message` may follow a variable's name in ${Y+1}",
            ],
        ),
        ("shell = \"${NOPE}\"", &["error trc.toml:1:9: `shell`: the variable NOPE is not set"]),
        // A disabled unit may lack what only it needs.
        ("[async.web]\nenabled = \"${WORKER:-false}\"\nexec = \"x\"\nuser = \"${NOPE}\"", &[]),
        (
            "[async.web]\nenabled = false\nexec = \"x\"\nusr = 1",
            &["error trc.toml:4:1: unknown key `usr` in `[async.web]` (did you mean `user`?)"],
        ),
    ]);
}
