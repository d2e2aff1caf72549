//! Which of several values wins, and the order of declarations.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::config::unit::Form;
use crate::config::{Command, Environment, Invocation, WaitPolicy, cli, load};

use super::{Case, exec, ids, unit};

#[test]
fn later_layers_win_key_by_key() {
    // Each step adds the next layer, and shows the value that then counts.
    let user = |case: &Case| {
        let config = case.config();
        unit(&config, "async.web").identity.user.as_ref().unwrap().value.clone()
    };
    let web = |user: &str| format!("[async.web]\nuser = \"{user}\"");
    let case =
        Case::new().toml("[async.web]\nexec = \"x\"\nuser = \"base\"\ndescription = \"kept\"");
    assert_eq!(user(&case), "base");
    let case = case.file("trc.d/async.web.toml", "user = \"unit-file\"");
    assert_eq!(user(&case), "unit-file");
    let case = case.file("trc.d/00.toml", web("fragment"));
    assert_eq!(user(&case), "fragment");
    let case = case.file("trc.d/01.toml", web("later-fragment"));
    assert_eq!(user(&case), "later-fragment");
    let case = case.file("a.toml", web("a")).file("b.toml", web("b")).file("c.toml", web("c"));
    let list = format!("{}:{}", case.path("b.toml").display(), case.path("a.toml").display());
    let case = case.set("TRC_CONFIG", list);
    assert_eq!(user(&case), "a");
    let case = case.arguments(&["-c", "DIR/c.toml"]);
    assert_eq!(user(&case), "c");
    let case = case.set("TRC_ASYNC__WEB__USER", "variable");
    assert_eq!(user(&case), "variable");
    let case = case.arguments(&["--config", "async.web.user=override"]);
    assert_eq!(user(&case), "override");

    let config = case.config();
    let web = unit(&config, "async.web");
    let origin = web.identity.user.as_ref().unwrap().origin.to_string();
    assert_eq!(origin, "--config async.web.user=override");
    assert_eq!(web.description.as_deref(), Some("kept"));
    assert_eq!(exec(web), ["x"]);
}

#[test]
fn arrays_replace_and_tables_merge() {
    let config = Case::new()
        .toml(
            "env = { A = 1, B = 1 }\n[sync.a]\nexec = \"x\"\nsuccess = [0, 1]\n\
             stop = { signal = \"INT\", timeout = 1 }",
        )
        .file("trc.d/sync.a.toml", "success = [2]\nstop.timeout = 9")
        .file("trc.d/x.toml", "env.B = 2")
        .config();
    let a = unit(&config, "sync.a");
    assert_eq!(a.success, Some(vec![2]));
    assert_eq!(a.stop.timeout, Some(Duration::from_secs(9)));
    assert_eq!(a.stop.signal.unwrap().to_string(), "SIGINT");
    assert_eq!(config.env["A"].value.source(), "1");
    assert_eq!(config.env["B"].value.source(), "2");
}

#[test]
fn a_later_way_to_run_a_unit_removes_the_earlier_one() {
    let base = || Case::new().toml("[async.web]\nexec = \"x\"");
    let command = |case: &Case| unit(&case.config(), "async.web").command.clone();

    let case = base().file("trc.d/x.toml", "[async.web]\nscript = \"y\"");
    assert_eq!(command(&case), Command::Script("y".into()));
    let case = case.set("TRC_ASYNC__WEB__EXEC", "z");
    assert_eq!(exec(unit(&case.config(), "async.web")), ["z"]);

    let case = base().file("trc.d/async.web", "echo");
    assert_eq!(command(&case), Command::File(case.path("trc.d/async.web")));
    assert_eq!(unit(&case.config(), "async.web").form, Form::Script);
    // `async.web.toml` sorts after `async.web`.
    let case = case.file("trc.d/async.web.toml", "exec = \"t\"");
    assert_eq!(exec(unit(&case.config(), "async.web")), ["t"]);
    assert_eq!(unit(&case.config(), "async.web").form, Form::Declared);
}

#[test]
fn one_layer_can_not_say_two_ways_to_run_a_unit() {
    let case = Case::new().set("TRC_SYNC__A__EXEC", "x").set("TRC_SYNC__A__SCRIPT", "y");
    let errors = case.errors();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("`[sync.a]` has both"), "{errors:?}");
    // Each `--config` is a layer of its own.
    let case = Case::new().arguments(&["-c", "sync.a.exec=x", "-c", "sync.a.script=y"]);
    assert_eq!(case.config().units[0].command, Command::Script("y".into()));
}

#[test]
fn units_come_in_the_order_of_their_declaration() {
    let case = Case::new()
        .toml("[sync.z]\nexec = \"x\"\n[boot.m]\nexec = \"x\"\n[sync.a]\nexec = \"x\"")
        .file("trc.async.one", "")
        .file("trc.sd.two", "")
        .file("trc.d/sync.10", "")
        .file("trc.d/boot.20.toml", "exec = \"x\"")
        .file("trc.d/00.toml", "[sync.fragment]\nexec = \"x\"\n[sync.10]\nuser = \"x\"")
        .set("TRC_ASYNC__MY_WEB__EXEC", "nginx")
        .arguments(&["-c", "sync.last.exec=x"])
        .arguments(&["-F", "f", "-D", "d", "-B", "b", "-F", "g", "-H", "h", "cmd"]);
    assert_eq!(
        ids(&case.config()),
        [
            "sync.z",
            "boot.m",
            "sync.a",
            "async.one",
            "halt.two",
            "boot.20",
            "sync.10",
            "sync.fragment",
            "async.my-web",
            "sync.last",
            "boot.B1",
            "sync.F1",
            "async.D1",
            "sync.F2",
            "halt.H1",
            "sync.cmd",
        ]
    );
}

#[test]
fn a_unit_knows_where_it_was_declared() {
    let case = Case::new()
        .toml("[async]\nweb.exec = \"x\"\n[sync.a]\nexec = \"x\"")
        .file("trc.d/halt.s", "")
        .file("trc.d/halt.t.toml", "exec = \"x\"")
        .set("TRC_BOOT__V__EXEC", "x")
        .arguments(&["-c", "boot.o.exec=x", "-F", "f", "cmd"]);
    let dir = format!("{}/", case.dir.path().display());
    let places: Vec<String> =
        case.config().units.iter().map(|unit| unit.origin.to_string().replace(&dir, "")).collect();
    assert_eq!(
        places,
        [
            "trc.toml:2:1",
            "trc.toml:3:7",
            "trc.d/halt.s",
            "trc.d/halt.t.toml",
            "TRC_BOOT__V__EXEC",
            "--config boot.o.exec=x",
            "-F",
            "the command line",
        ]
    );
}

#[test]
fn a_unit_of_the_command_line_can_be_changed_by_its_name() {
    let config = Case::new()
        .toml("[sync.cmd]\nuser = \"www\"\n[async.D1]\nexec = \"not this\"\nstop.timeout = 1")
        .set("TRC_ASYNC__D1__USER", "d")
        .arguments(&["-D", "this", "ls"])
        .config();
    let d1 = unit(&config, "async.D1");
    assert_eq!(d1.command, Command::Script("this".into()));
    assert_eq!(d1.form, Form::Flag);
    assert_eq!(d1.identity.user.as_ref().unwrap().value, "d");
    assert_eq!(d1.stop.timeout, Some(Duration::from_secs(1)));
    assert_eq!(unit(&config, "sync.cmd").identity.user.as_ref().unwrap().value, "www");
}

#[test]
fn a_flag_beats_its_variable_and_keys() {
    let case = Case::new()
        .toml("wait = \"all\"\nlog.level = \"error\"")
        .set("TRC_WAIT", "err")
        .set("TRC_LOG_LEVEL", "debug");
    assert_eq!(case.config().wait, WaitPolicy::Err);
    assert_eq!(case.config().log.level, log::LevelFilter::Debug);
    let case = case.arguments(&["--log-level", "off", "-c", "log.level=trace"]);
    let case = case.arguments(&["--wait", "forever", "-c", "wait=any"]);
    assert_eq!(case.config().wait, WaitPolicy::Forever);
    assert_eq!(case.config().log.level, log::LevelFilter::Off);
}

#[test]
fn a_configuration_file_makes_the_log_talk() {
    let level = |case: Case| case.config().log.level;
    let info = log::LevelFilter::Info;
    assert_eq!(level(Case::new().toml("")), info);
    assert_eq!(level(Case::new().file("trc.d/x.toml", "")), info);
    assert_eq!(level(Case::new().file("x", "").arguments(&["-c", "DIR/x"])), info);
    let silent = log::LevelFilter::Warn;
    assert_eq!(level(Case::new().file("trc.d/async.x", "")), silent);
    assert_eq!(level(Case::new().set("TRC_WAIT", "all").arguments(&["-c", "wait=any"])), silent);
}

#[test]
fn the_work_directory_comes_from_the_flag_or_a_variable() {
    let case = Case::new().toml("wait = \"all\"");
    let other = Case::new().toml("wait = \"err\"");
    let wait = |argv: &[&OsStr], variables: &[(&str, &Case)]| {
        let argv = std::iter::once("trc".into()).chain(argv.iter().map(OsString::from));
        let Invocation::Run(line) = cli::parse(argv.collect(), &Environment::new()) else {
            panic!()
        };
        let environment: Environment =
            variables.iter().map(|(name, case)| ((*name).into(), case.dir.path().into())).collect();
        load(&line, &environment).ok().map(|loaded| loaded.config.wait)
    };
    let flag: &[&OsStr] = &["-w".as_ref(), other.dir.path().as_os_str()];
    let both = [("RC_WORK_DIR", &case), ("TRC_WORKDIR", &other)];
    assert_eq!(wait(&[], &both[..1]), Some(WaitPolicy::All));
    assert_eq!(wait(&[], &both), Some(WaitPolicy::Err));
    assert_eq!(wait(flag, &both[..1]), Some(WaitPolicy::Err));
}

#[test]
fn bare_reads_no_configuration() {
    let case = Case::new()
        .toml("broken")
        .set("TRC_WAIT", "bogus")
        .set("RC_WAIT_POLICY", "bogus")
        .arguments(&["--bare", "sh"]);
    let config = case.config();
    assert_eq!(ids(&config), ["sync.cmd"]);
    assert_eq!(config.log.level, log::LevelFilter::Warn);
    assert_eq!(config.remarks, []);

    let by_variable = |arguments: &[&str]| {
        Case::new().toml("broken").set("TRC_BARE", "true").arguments(arguments)
    };
    assert_eq!(ids(&by_variable(&["sh"]).config()), ["sync.cmd"]);
    assert_eq!(
        by_variable(&[]).errors(),
        ["error TRC_BARE: --bare needs a command to run: `trc --bare CMD…`"]
    );
}

#[test]
fn an_error_about_a_value_names_the_place_of_the_one_that_it_overrides() {
    let case = Case::new()
        .toml("wait = 'all'\n[sync.x]\nexec = 'x'\nafter = ['y']\nuser = 'www'\nready.tcp = 1")
        .file("trc.d/10.toml", "[sync.x]\nscript = \"\"\nafter = ['y', 'z']\n[async.y]\nexec = 'y'")
        .set("TRC_SYNC__X__USER", "a b")
        .arguments(&["-c", "wait=err", "-c", "wait=some", "-c", "sync.x.ready.unix="]);
    let case = case.file("trc.d/20.toml", "[sync.x]\nexec = '${A'");
    let expected = "expected any, all, err or forever, found \"some\"";
    assert_eq!(
        case.errors(),
        [
            "error trc.d/10.toml:3:15: there is no unit `z` [this overrides trc.toml:4:1]",
            "error trc.d/20.toml:2:8: `exec`: `${` has no closing `}` in ${A [this overrides `script` at trc.d/10.toml:2:1]",
            "error TRC_SYNC__X__USER: `user`: \"a b\" is not a valid name [this overrides trc.toml:5:1]",
            &format!(
                "error --config wait=some: `wait`: {expected} [this overrides --config wait=err]"
            ),
            "error --config sync.x.ready.unix=: `ready.unix`: this must not be empty [this overrides `tcp` at trc.toml:6:7]",
        ]
    );
    let shown = case.load().err().unwrap()[0].to_string();
    assert!(
        shown.ends_with(&format!(
            "\n   = note: this overrides {}:4:1",
            case.path("trc.toml").display()
        )),
        "{shown}"
    );
}
