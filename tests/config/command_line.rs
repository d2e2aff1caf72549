//! The command line of trc, what boot scripts make of it, and `trcctl check`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use trc::config::{Command, Invocation, Stage, WaitPolicy, cli};

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
        (&["--wiat", "any"], "'--wait'"),
        (&["--wait", "al"], "similar value exists: 'all'"),
        (&["--log-level", "loud"], "invalid value 'loud'"),
        (&["-D"], "a value is required for '-D <CMD>'"),
        (&["-D", ""], "a command is empty"),
        (&[""], "the name of the command is empty"),
        (&["-c", ""], "--config wants a FILE or KEY=VALUE"),
        (&["--bare"], "there is no command to run"),
        (&["--bare", "-F", "x", "sh"], "-B, -D, -F and -H can't be given with it"),
    ] {
        let argv = std::iter::once("trc").chain(arguments.iter().copied());
        match cli::parse(argv.map(OsString::from).collect()) {
            Invocation::Usage(text) => {
                assert!(text.starts_with("error: ") && text.contains(says), "{text}");
            }
            other => panic!("{arguments:?}: {other:?}"),
        }
    }
}

#[test]
fn help_and_version_are_printed() {
    let print = |flag: &str| match cli::parse(vec!["trc".into(), flag.into()]) {
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

    // `TRC_SYNC__F1__USER` is for a unit that is no longer there, and so is an edge.
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
        (vec!["-B", "x"], format!("error -B: -B comes too late in {place}: boot is over")),
        (vec!["-w", "x"], format!("error -w: -w comes too late in {place}: boot is over")),
        (vec!["-c", "x"], format!("error -c: -c comes too late in {place}: boot is over")),
        (vec!["-x"], format!("error {place}: unexpected argument '-x' found")),
        (vec!["--wait", "x"], format!("error {place}: invalid value 'x' for '--wait <POLICY>'")),
        (vec!["--help"], format!("error {place}: --help and --version can't be asked for here")),
    ] {
        let errors = loaded.with_rest(rest.into_iter().map(OsString::from).collect()).unwrap_err();
        assert_eq!(case.said(&errors), [error]);
    }
}

/// Runs `trcctl check`.
#[expect(clippy::disallowed_methods, reason = "a test may start a process")]
fn check(case: &Case, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "-w"])
        .arg(case.dir.path())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_says_what_would_run() {
    let case = Case::new().toml("[async.web]\nexec = \"x\"");
    let place = case.path("trc.toml");
    let says = format!(
        "ok: 2 units in {}\n  async.web  {}:1:8\n  sync.F1    -F\n",
        case.dir.path().display(),
        place.display()
    );
    assert_eq!(check(&case, &["-F", "y"]), (Some(0), says, String::new()));
}

#[test]
fn check_says_where_nothing_is_declared() {
    let case = Case::new();
    let says = format!("ok: nothing is declared in {}\n", case.dir.path().display());
    assert_eq!(check(&case, &[]), (Some(0), says, String::new()));
}

#[test]
fn check_says_what_is_wrong_in_a_test_run_only() {
    let case = Case::new().toml("[async.web]\nexec = 'x'\n[test.t]\nexec = 'x'\nafter = ['wbe']\n");
    let (status, _, err) = check(&case, &[]);
    assert_eq!(status, Some(78));
    assert!(err.contains("there is no unit `wbe`"), "{err}");
}

/// `trc` started with it and `trcctl check` refused it.
#[test]
fn a_disabled_unit_that_a_test_is_about_is_a_warning_of_check() {
    let case = Case::new()
        .toml("[async.web]\nexec = 'x'\nenabled = false\n[test.t]\nexec = 'x'\nafter = ['web']\n");
    let (status, _, err) = check(&case, &[]);
    assert_eq!(status, Some(0));
    let warning = "warning: test.t will be skipped: async.web is disabled\n";
    assert!(err.starts_with(warning), "{err}");
}

/// The current directory if it has something for trc, as with `trcctl test`; unless another is
/// named.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may start a process")]
fn check_reads_the_current_directory_if_that_is_configured() {
    let (here, there) = (Case::new().toml("[async.web]\nexec = 'x'"), Case::new());
    let said = |arguments: &[&str], variable: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_trcctl"))
            .arg("check")
            .args(arguments)
            .current_dir(here.dir.path())
            .env_clear()
            .env(variable, there.dir.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let in_here = format!("ok: 1 unit in {}", here.dir.path().canonicalize().unwrap().display());
    let elsewhere = format!("ok: nothing is declared in {}", there.dir.path().display());
    assert_eq!(said(&[], "OTHER"), in_here);
    for (arguments, variable) in [
        (&["-w", there.dir.path().to_str().unwrap()][..], "OTHER"),
        (&[], "TRC_WORKDIR"),
        (&[], "RC_WORK_DIR"),
    ] {
        assert_eq!(said(arguments, variable), elsewhere, "{arguments:?} {variable}");
    }
}

#[test]
fn check_does_not_need_the_variables_of_a_test() {
    let case = Case::new().toml("[test.t]\nexec = 'x'\nexpect.stdout = '${NOPE}'\n");
    let (status, out, err) = check(&case, &[]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("ok: 0 units, 1 test in "), "{out}");
    assert_eq!(check(&case, &["--test"]).0, Some(78));
}

#[test]
fn check_says_what_is_wrong() {
    let case = Case::new();
    let says = "error: unknown key `wiat`\n  --> --config wiat=all\n   = help: did you mean `wait`?\n\n\
                error: unknown key `usr` in `[sync.x]`\n  --> --config sync.x.usr=1\n   = help: did you mean `user`?\n\n\
                2 errors\n";
    assert_eq!(
        check(&case, &["-c", "wiat=all", "-c", "sync.x.usr=1"]),
        (Some(78), String::new(), says.to_owned())
    );
    assert_eq!(check(&case, &["--bare"]).0, Some(64));
    let (status, _, err) = check(&case, &["--nope"]);
    assert_eq!(status, Some(64));
    assert!(err.contains("unexpected argument '--nope'"), "{err}");
}

#[test]
fn check_hints_at_a_reason_where_a_number_hides_more_than_a_stop() {
    for (exit, hints) in [("143 = 0", true), ("130 = 0", true), ("138 = 0", false)] {
        let case = Case::new().toml(&format!("[exit]\n{exit}\n[async.web]\nexec = \"x\"\n"));
        let (status, _, err) = check(&case, &[]);
        assert_eq!((status, err.contains("`[exit] stopped = 0`")), (Some(0), hints), "{err}");
    }
    let case = Case::new().toml("[exit]\n143 = 0\nstopped = 0\n[async.web]\nexec = \"x\"\n");
    assert_eq!(check(&case, &[]).2, "");
}

#[test]
fn check_hints_at_the_stop_signal_of_apaches_images() {
    for (text, hints) in [
        ("[async.web]\nexec = \"/usr/local/bin/httpd-foreground\"\n", true),
        ("[sync.web]\nexec = \"httpd-foreground\"\n", false),
        ("signals.WINCH = \"stop\"\n[async.web]\nexec = \"apache2-foreground\"\n", false),
        ("[async.web]\nexec = \"nginx\"\n", false),
    ] {
        let (status, _, err) = check(&Case::new().toml(text), &[]);
        assert_eq!((status, err.contains("WINCH = \"stop\"")), (Some(0), hints), "{err}");
    }
}

/// `trcctl check` where there is a shell.
#[expect(clippy::disallowed_methods, reason = "a test may start a process")]
fn check_with_shell(case: &Case, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "-w"])
        .arg(case.dir.path())
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let dir = format!("{}/", case.dir.path().display());
    let err = String::from_utf8(output.stderr).unwrap().replace(&dir, "");
    (output.status.code(), err)
}

/// It failed when the unit was started.
#[test]
fn check_finds_what_the_shell_can_not_parse() {
    let lines = "'''";
    let case = Case::new()
        .toml(&format!(
            "shell = ['bash', '-c']\n[boot.a]\nscript = {lines}\nif true; then\n  echo\nfii\n{lines}\n\
             [boot.b]\nscript = {lines}shopt -s extglob\necho !(x)\nlocal x=$(date){lines}\n"
        ))
        .file("trc.d/async.web", "echo a\necho )\n");
    let (status, err) = check_with_shell(&case, &["-F", "for"]);
    assert_eq!(status, Some(78), "{err}");
    for says in [
        "error: bash can't parse the script of boot.a: syntax error: unexpected end of file",
        "--> trc.toml:7:1",
        "error: bash can't parse the script of async.web: syntax error near unexpected token `)'",
        "--> trc.d/async.web:2:1",
        "error: bash can't parse the script of sync.F1: ",
        "--> -F\n",
        "3 errors\n",
    ] {
        assert!(err.contains(says), "{says}: {err}");
    }
}

/// It was told although somebody had written how long a stop may take.
#[test]
fn check_does_not_speak_of_docker_where_the_budget_is_written() {
    let text = "[async.web]\nexec = 'x'\nstop.timeout = '20s'\n";
    let warning = "a stop from outside may take 22 s, and docker sends KILL after 10 s";
    let (_, err) = check_with_shell(&Case::new().toml(text), &[]);
    assert!(err.contains(warning), "{err}");
    let written = format!("shutdown.timeout = '30s'\n{text}");
    assert_eq!(check_with_shell(&Case::new().toml(&written), &[]), (Some(0), String::new()));
}
