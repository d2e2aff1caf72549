//! The command line of trc, and the changes that boot scripts make to it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::config::{Command, Environment, Invocation, Stage, WaitPolicy, cli};

use super::{Case, ids, unit};

#[test]
fn options_come_in_any_order_and_end_at_the_command() {
    let line = |arguments: &[&str]| Case::new().arguments(arguments).line();
    let all = line(&["-H", "h", "-F", "f", "-Dd", "-B", "b", "-F", "-x", "ls", "-D", "q"]);
    assert_eq!(all.boot, ["b"]);
    assert_eq!(
        all.units,
        [
            (Stage::Halt, "h".into()),
            (Stage::Sync, "f".into()),
            (Stage::Async, "d".into()),
            (Stage::Sync, "-x".into()),
        ]
    );
    assert_eq!(all.trailing, ["ls", "-D", "q"]);
    assert_eq!(line(&["bash", "-c", "x"]).trailing, ["bash", "-c", "x"]);
    assert_eq!(line(&["-D", "x", "--", "-odd"]).trailing, ["-odd"]);
    assert_eq!(line(&["--", "--", "-odd"]).trailing, ["--", "-odd"]);
    assert_eq!(line(&["-c", "a", "--config=b=c"]).overrides, ["a", "b=c"]);
}

#[test]
fn commands_keep_bytes_that_are_not_text() {
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    let mut case = Case::new();
    case.arguments = vec!["-D".into(), odd.clone(), odd.clone(), odd.clone()];
    let config = case.config();
    assert_eq!(config.units[0].command, Command::Script(odd.clone()));
    assert_eq!(config.units[1].command, Command::Words(vec![odd.clone(), odd.clone()]));
    assert_eq!(config.rest, [OsString::from("-D"), odd.clone(), odd.clone(), odd]);
}

#[test]
fn a_command_line_that_makes_no_sense_gets_usage() {
    for (arguments, says) in [
        (&["-x"][..], "unexpected argument '-x'"),
        (&["-g", "--", "x"], "tip: to signal a process group, write stop.to = \"group\""),
        (&["-s", "--", "x"], "tip: leave it out: trc becomes the parent of orphans by itself"),
        (&["test"], "to run the tests, write `trc --test` or `trcctl test`"),
        (&["--wiat", "any"], "'--wait'"),
        (&["--wait", "al"], "similar value exists: 'all'"),
        (&["--log-level", "loud"], "invalid value 'loud'"),
        (&["-D"], "a value is required for '-D <CMD>'"),
        (&["-D", ""], "the command of -B, -D, -F or -H is empty"),
        (&[""], "the name of the command is empty"),
        (&["-c", ""], "--config needs a FILE or KEY=VALUE"),
        (&["--bare"], "--bare needs a command to run"),
        (&["--bare", "-F", "x", "sh"], "--bare cannot be used with -B, -D, -F or -H"),
        (&["--test", "--report", "html=x"], "expected junit=FILE, json=FILE or events=-"),
        (&["--test", "--report", "junit="], "expected junit=FILE, json=FILE or events=-"),
        (&["--test", "--report", "json=-"], "a report cannot go to standard output"),
        (&["--test", "--report", "events=x"], "events can go to standard output only"),
        (&["--report", "json=x", "x"], "--report needs a test run: add --test or set TRC_TEST=1"),
        (&["--test-strict", "x"], "--test-strict needs a test run: add --test or set TRC_TEST=1"),
        (&["--test=,"], "this names no test"),
        (
            &["conf/trc.toml"],
            "conf/trc.toml is a file with settings, not a command: write -c conf/trc.toml",
        ),
    ] {
        let argv = std::iter::once("trc").chain(arguments.iter().copied());
        match cli::parse(argv.map(OsString::from).collect(), &Environment::new()) {
            Invocation::Usage(text) => {
                assert!(text.starts_with("error: ") && text.contains(says), "{text}");
            }
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
}

#[test]
fn help_and_version_are_printed() {
    let print = |flag: &str| match cli::parse(vec!["trc".into(), flag.into()], &Environment::new())
    {
        Invocation::Print(text) => text,
        other => panic!("{other:?}"),
    };
    for flag in ["-h", "--help"] {
        let help = print(flag);
        for word in ["Examples:", "TRC_LOG__LEVEL", "Exit status", "trc.d", "--wait <POLICY>"] {
            assert!(help.contains(word), "{word} is not in\n{help}");
        }
    }
    for flag in ["-v", "-V", "--version"] {
        assert_eq!(print(flag), format!("trc {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_boot_script_may_change_the_rest_of_the_command_line() {
    let case = Case::new()
        .toml("wait = \"all\"\n[async.web]\nexec = \"x\"\nafter = [\"cmd\"]")
        .set("TRC_SYNC__F1__USER", "u")
        .arguments(&["-B", "boot", "-F", "a", "--", "cmd", "-x"]);
    let loaded = case.loaded();
    assert_eq!(loaded.config.rest, ["-F", "a", "cmd", "-x"]);
    // The files aren't read again.
    std::fs::write(case.path("trc.toml"), "broken").unwrap();
    let with = |rest: &[&str]| {
        let rest = rest.iter().map(OsString::from).collect();
        loaded.with_rest(rest).map_err(|errors| case.said(&errors))
    };
    let config =
        with(&["-F", "a", "-F", "b", "--wait", "err", "--log-level=debug", "cmd"]).unwrap();
    assert_eq!(ids(&config), ["async.web", "sync.F1", "boot.B1", "sync.F2", "sync.cmd"]);
    assert_eq!(config.wait, WaitPolicy::Err);
    assert_eq!(config.log.level, log::LevelFilter::Debug);
    assert_eq!(config.rest, ["-F", "a", "-F", "b", "cmd"]);

    // `TRC_SYNC__F1__USER` and a reference are for a unit that no longer exists.
    assert_eq!(ids(&with(&["cmd"]).unwrap()), ["async.web", "boot.B1", "sync.cmd"]);
    assert_eq!(unit(&with(&["cmd"]).unwrap(), "async.web").after.len(), 1);
    assert_eq!(unit(&with(&["-F", "a"]).unwrap(), "async.web").after, []);
    let rest = with(&["-F", "a", "--", "-odd"]).unwrap().rest;
    assert_eq!(rest, ["-F", "a", "--", "-odd"]);
}

#[test]
fn what_a_boot_script_can_not_change_is_an_error() {
    let case = Case::new();
    let loaded = case.loaded();
    let place = "the command line that a boot script has set";
    for (rest, error) in [
        (
            vec!["-B", "x"],
            format!("error -B: -B has no effect in {place}: the boot units have already run"),
        ),
        (
            vec!["-w", "x"],
            format!("error -w: -w has no effect in {place}: the boot units have already run"),
        ),
        (
            vec!["-c", "x"],
            format!("error -c: -c has no effect in {place}: the boot units have already run"),
        ),
        (vec!["-x"], format!("error {place}: unexpected argument '-x' found")),
        (vec!["--wait", "x"], format!("error {place}: invalid value 'x' for '--wait <POLICY>'")),
        (vec!["--help"], format!("error {place}: --help and --version cannot be used here")),
    ] {
        let errors = loaded.with_rest(rest.into_iter().map(OsString::from).collect()).unwrap_err();
        assert_eq!(case.said(&errors), [error]);
    }
}
