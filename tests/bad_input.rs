//! Every mistake has a clear message that names the place, and a defined exit status.

use crate::common::{MODES, Mode, Outcome, TERM, Trc, binary, copy, has, root, table};

/// A mistake in a `trc.toml`: its name, the text, line and column (or as much of them as is
/// certain), and what else is said of it.
type Mistake = (&'static str, &'static str, &'static str, &'static [&'static str]);

#[test]
fn a_mistake_in_the_file_is_told_with_its_place_and_nothing_is_started() {
    let rows: &[Mistake] = &[
        ("unknown key of a unit", "[async.web]\nexce = 'true'\n", "2:1", &["exce", "exec"]),
        ("unknown key at the top", "wiat = 'all'\n", "1:1", &["wiat", "wait"]),
        (
            "unknown key in a table of its own",
            "[log]\nlevle = 'info'\n",
            "2:1",
            &["levle", "level"],
        ),
        (
            "unknown key in an inline table",
            "[sync.x]\nexec = 'true'\nstop = { singal = 'TERM' }\n",
            "3:10",
            &["singal", "signal"],
        ),
        ("unknown stage", "[asinc.web]\nexec = 'true'\n", "1:2", &["asinc", "async"]),
        ("invalid TOML", "[sync.x]\nexec = 'true'\n[async.web\n", "3:", &[]),
        ("a key twice", "[sync.x]\nexec = 'true'\nexec = 'false'\n", "3:1", &["exec"]),
        ("a number where a command is wanted", "[sync.x]\nexec = 5\n", "2:8", &["exec"]),
        (
            "a string where a boolean is wanted",
            "[sync.x]\nexec = 'true'\noneshot = 'perhaps'\n",
            "3:11",
            &["oneshot"],
        ),
        ("an unknown policy", "wait = 'most'\n", "1:8", &["most", "any", "all", "err", "forever"]),
        ("an unknown level", "log.level = 'lout'\n", "1:13", &["lout"]),
        (
            "an unknown unit in after",
            "[async.database]\nexec = 'true'\n[sync.x]\nexec = 'true'\nafter = ['databse']\n",
            "5:10",
            &["databse", "database"],
        ),
        (
            "an unknown condition",
            "[async.db]\nexec = 'true'\n[sync.x]\nexec = 'true'\nafter = { db = 'up' }\n",
            "5:16",
            &["up", "started"],
        ),
        (
            "an unknown unit of a signal",
            "[signals]\nHUP = { forward = 'HUP', to = ['web'] }\n",
            "2:32",
            &["web"],
        ),
        ("an unknown signal", "[signals]\nTREM = 'stop'\n", "2:1", &["TREM"]),
        ("a signal that nobody can handle", "[signals]\nKILL = 'ignore'\n", "2:", &["KILL"]),
        (
            "an unknown stop signal",
            "[sync.x]\nexec = 'true'\nstop.signal = 'TREM'\n",
            "3:15",
            &["TREM"],
        ),
        (
            "a stop signal that ends nothing",
            "[sync.x]\nexec = 'true'\nstop.signal = 'STOP'\n",
            "3:15",
            &["SIGSTOP cannot stop a unit: it only suspends its process"],
        ),
        ("no duration", "[sync.x]\nexec = 'true'\nstop.timeout = 'soon'\n", "3:16", &["soon"]),
        ("no status", "[sync.x]\nexec = 'true'\nsuccess = [0, 300]\n", "3:15", &["300"]),
        ("no status to map", "[exit]\n300 = 0\n", "2:1", &["300"]),
        ("a quote that is never closed", "[sync.x]\nexec = 'echo \"a'\n", "2:14", &["quot"]),
        ("an empty command", "[sync.x]\nexec = ''\n", "2:8", &["exec"]),
        ("nothing to run", "[sync.x]\noneshot = true\n", "1:", &["x", "exec", "script"]),
        (
            "two things to run",
            "[sync.x]\nexec = 'true'\nscript = 'true'\n",
            "",
            &["exec", "script"],
        ),
        ("a NUL in a command", "[sync.x]\nexec = \"echo a\\u0000b\"\n", "2:15", &["NUL"]),
        ("a NUL in a script", "[sync.x]\nscript = \"echo a\\u0000b\"\n", "2:17", &["NUL"]),
        ("a NUL in the environment", "[env]\nA = \"a\\u0000b\"\n", "2:7", &["NUL"]),
        ("an equals sign in a variable's name", "[env]\n'A=B' = 'c'\n", "2:1", &["A=B"]),
        ("a newline in a unit's name", "[sync.\"a\\nb\"]\nexec = 'true'\n", "1:", &[]),
        ("a variable that is not closed", "[sync.x]\nexec = 'echo ${A'\n", "2:", &["}"]),
        (
            "a variable that is not set, where it is read at load",
            "[sync.x]\nexec = 'true'\nuser = '${NO_SUCH_NAME}'\n",
            "3:",
            &["NO_SUCH_NAME"],
        ),
    ];
    table(
        rows,
        |(name, ..)| (*name).to_owned(),
        |(_, toml, at, says)| {
            let outcome = Trc::toml(toml).args(&["-B", "echo boot", "-H", "echo halt"]).run();
            outcome.status(78).stdout_is("").stderr_has(&format!("trc.toml:{at}"));
            for word in *says {
                outcome.stderr_has(word);
            }
        },
    );
}

#[test]
fn the_line_itself_is_shown_with_a_mark_below_the_mistake() {
    let outcome = Trc::toml("[async.web]\nexce = 'true'\n").run();
    outcome.status(78).stderr_lines(&[r".*exce = 'true'", r".* \^+.*"]);
}

/// They used to be text, whatever `[log] format` was.
#[test]
fn mistakes_are_told_as_json_where_the_log_is_json() {
    /// The file, a variable and the arguments; the exit status, the event and the message.
    type Row<'a> = (&'a str, (&'a str, &'a str), &'a [&'a str], i32, &'a str, &'a str);
    let json = "[log]\nformat = 'json'\n";
    let cycle = "[async.a]\nexec = 'x'\nafter = ['b']\n[async.b]\nexec = 'x'\nafter = ['a']\n";
    let never = "[async.a]\nexec = 'x'\nafter = { b = 'ready' }\n[async.b]\nexec = 'x'\n";
    let variable = ("TRC_LOG__FORMAT", "json");
    let none = ("OTHER", "");
    let rows: [Row; 8] = [
        (&format!("{json}wiat = 1"), none, &[], 78, "configuration", "unknown key `wiat`"),
        ("wiat = ", variable, &[], 78, "configuration", "a value is missing"),
        ("wiat = 1", none, &["-c", "log.format=json"], 78, "configuration", "unknown key"),
        (&format!("{json}{cycle}"), none, &[], 78, "configuration", "wait for one another"),
        (&format!("{json}{never}"), none, &[], 78, "configuration", "it has no `ready`"),
        (&format!("shell = '/no'\n{json}"), none, &["-D", "x"], 78, "configuration", "a shell"),
        ("", variable, &["--nope"], 64, "usage", "unexpected argument '--nope' found"),
        ("", variable, &["--report", "json=x", "x"], 64, "usage", "--report needs a test run"),
    ];
    for (toml, (name, value), arguments, status, event, says) in rows {
        let outcome = Trc::toml(toml).env(name, value).args(arguments).run();
        outcome.status(status).stdout_is("");
        let err = outcome.err();
        assert!(!err.is_empty(), "{toml} {arguments:?}");
        for line in err.lines() {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                outcome.fail(&format!("`{line}` should be an object"));
            };
            assert_eq!((&line["level"], &line["event"]), (&"error".into(), &event.into()));
        }
        outcome.stderr_has(says);
    }
    // If the format itself is wrong, or cannot be read, the message is text.
    Trc::toml("log.format = 'jsn'").run().status(78).stderr_has("error: `log.format`: expected");
    Trc::toml("log.format = 'json'\nx =").run().status(78).stderr_has("error: a value");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let outcome = Trc::toml("wiat = 'all'\n[sync.x]\nexce = 'true'\n")
        .file("trc.d/sync.y.toml", "exec = 'true'\nafter = ['z']\n")
        .file("trc.d/fragment.toml", "[log]\nlevel = 3\n")
        .file("trc.d/async.a.toml", "exec = 'true'\nafter = ['b']\n")
        .file("trc.d/async.b.toml", "exec = 'true'\nafter = { a = 'start', c = 'start' }\n")
        .run();
    outcome.status(78).stdout_is("");
    for place in [
        "trc.toml:1:1",
        "trc.toml:3:1",
        "trc.d/sync.y.toml:2:10",
        "trc.d/fragment.toml:2:9",
        "async.a -> async.b -> async.a",
        "trc.d/async.a.toml:2:10",
        "trc.d/async.b.toml:2:15",
        "trc.d/async.b.toml:2:28",
        "there is no unit `c`",
    ] {
        outcome.stderr_has(place);
    }
}

#[test]
fn a_cycle_is_named_in_full() {
    let outcome = Trc::toml(
        "[async.apple]\nexec = 'true'\nafter = ['pear']\n\
         [async.pear]\nexec = 'true'\nafter = ['plum']\n\
         [async.plum]\nexec = 'true'\nafter = ['apple']\n\
         [async.outsider]\nexec = 'true'\n",
    )
    .run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml:").stderr_lacks("outsider");
    let err = outcome.err();
    if !err.lines().any(|line| ["apple", "pear", "plum"].iter().all(|name| line.contains(name))) {
        outcome.fail("one line should name all three");
    }
}

#[test]
fn a_unit_that_waits_for_itself_is_a_cycle() {
    let outcome = Trc::toml("[async.x]\nexec = 'true'\nafter = ['x']\n").run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml:3:").stderr_has("async.x");
}

#[test]
fn a_cycle_of_units_that_are_restarted_together_has_its_place_too() {
    let outcome = Trc::toml(
        "[async.x]\nexec = 'true'\nafter = ['y']\n\
         [async.y]\nexec = 'true'\nrestart.with = ['x']\n",
    )
    .run();
    outcome.status(78).stdout_is("").stderr_has("async.x -> async.y -> async.x");
    let outcome = Trc::toml("[async.x]\nexec = 'true'\nrestart.with = ['x']\n").run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml:3:17").stderr_has("`restart.with`");
}

#[test]
fn a_unit_that_waits_for_a_later_stage_can_never_start() {
    let outcome =
        Trc::toml("[boot.b]\nexec = 'true'\nafter = ['main']\n[sync.main]\nexec = 'true'\n").run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml:").stderr_has("main");
}

#[test]
fn a_name_of_several_units_is_ambiguous() {
    let outcome = Trc::toml(
        "[async.x]\nexec = 'true'\n[sync.x]\nexec = 'true'\n\
         [sync.y]\nexec = 'true'\nafter = ['x']\n",
    )
    .run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml:7:10");
    outcome.stderr_has("async.x").stderr_has("sync.x");
}

// ---- files --------------------------------------------------------------------------

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let missing = |args: &[&str], name: &str| {
        Trc::with(args)
            .args(&["-F", "echo started"])
            .run()
            .status(78)
            .stdout_is("")
            .stderr_has(name);
    };
    missing(&["--config", "/no/such.toml"], "/no/such.toml");
    missing(&["--config", "/etc"], "/etc");
    let outcome = Trc::with(&["-F", "echo started"]).env("TRC_CONFIG", "/no/such.toml").run();
    outcome.status(78).stdout_is("").stderr_has("/no/such.toml");
    // A directory in the place of the file, and a file in the place of the directory.
    let outcome = Trc::with(&["-F", "echo started"]).file("trc.toml/x", "").run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml");
    let outcome = Trc::with(&["-F", "echo started"]).file("trc.d", "").run();
    outcome.status(78).stdout_is("").stderr_has("trc.d");
    // Not UTF-8.
    let outcome = Trc::with(&["-F", "echo started"]).file("trc.toml", b"wait = '\xff'\n").run();
    outcome.status(78).stdout_is("").stderr_has("trc.toml");
}

/// A user other than root, who may read only what everybody may read.
const STRANGER: [&str; 4] = ["setpriv", "--reuid=61234", "--regid=61234", "--clear-groups"];

#[test]
fn a_file_without_read_permission_is_named() {
    if !root() {
        return;
    }
    let rows = [
        ("trc.toml", "chmod 000 $W/trc.toml"),
        ("trc.d", "chmod 000 $W/trc.d"),
        ("trc.d/sync.x.toml", "chmod 000 $W/trc.d/sync.x.toml"),
    ];
    for (name, change) in rows {
        let outcome = Trc::toml("log.level = 'warn'\n")
            .file("trc.d/sync.x.toml", "exec = 'echo started'\n")
            .before(change)
            .wrap(&STRANGER)
            .run();
        outcome.status(78).stdout_is("").stderr_has(name).stderr_has("ermission");
    }
}

#[test]
fn other_files_in_the_drop_in_directory_are_skipped() {
    Trc::new()
        .file("trc.d/sync.x~", "echo not this\n")
        .file("trc.d/.sync.y", "echo not this\n")
        .file("trc.d/README", "not this\n")
        .file("trc.d/old/sync.a", "echo not this\n")
        .file("trc.d/sync.my unit", "echo this\n")
        .run()
        .status(0)
        .stdout_is("this\n")
        .stderr_is("");
}

/// trc ran nothing, and did not say why.
#[test]
fn the_drop_in_directory_in_the_place_of_its_own_is_pointed_out() {
    let outcome =
        Trc::new().no_work_dir().file("trc.d/sync.x", "echo x").args(&["-w", "trc.d"]).run();
    outcome.status(0).stdout_is("").stderr_has("; -w names the directory that trc.d is in: -w /");
}

/// The place was that of the unit.
#[test]
fn a_command_that_does_not_exist_is_shown_where_it_is_written() {
    let toml = "[sync.e]\noneshot = true\nexec = 'no-such-command'\n";
    Trc::toml(toml).run().status(127).stderr_has("trc.toml:3:1)");
}

/// trc exited with 0 in silence.
#[test]
fn a_run_that_starts_nothing_because_all_units_are_external_says_so() {
    let toml = "log.level = 'warn'\n[async.x]\nready.file = '/'\n";
    Trc::toml(toml).run().status(0).stderr_has("nothing is started: all units are external");
}

// ---- the command line and the environment ---------------------------------------------

#[test]
fn a_wrong_command_line_is_64() {
    let rows: [&[&str]; 4] = [&["--no-such-flag"], &["-B"], &["-F", "true", "-H"], &["--config"]];
    for args in rows {
        let outcome = Trc::with(args).run();
        outcome.status(64).stdout_is("");
        if outcome.stderr.is_empty() {
            outcome.fail("something should be said");
        }
    }
    Trc::with(&["--wiat", "all", "true"]).run().status(64).stderr_has("--wait");
}

/// A flag that is wrong whatever files and variables say is 64, and was 78 for some. The same value
/// in a variable, and a name of something that is not there, are 78.
#[test]
fn a_wrong_value_is_64_on_the_command_line_and_78_in_the_configuration() {
    /// The arguments, the variable and its value, and what is said of both.
    type Row<'a> = (&'a [&'a str], (&'a str, &'a str), &'a str);
    let rows: [Row; 8] = [
        (&["--wait", "most"], ("TRC_WAIT", "most"), "most"),
        (&["--log-level", "lout"], ("TRC_LOG_LEVEL", "lout"), "lout"),
        (&["--report", "html=x"], ("TRC_REPORT", "html=x"), "expected junit=FILE"),
        (&["--report", "junit"], ("TRC_REPORT", "junit"), "expected junit=FILE"),
        (&["--report", "json=-"], ("TRC_REPORT", "json=-"), "cannot go to standard output"),
        (&["--report", "events=x"], ("TRC_REPORT", "events=x"), "write events=-"),
        (&["--test=,"], ("TRC_TEST", ","), "names no test"),
        (&["--bare", "-D", "x", "true"], ("TRC_BARE", "1"), "--bare"),
    ];
    let toml = "log.level = 'warn'\n[test.t]\nexec = 'true'\n";
    for (arguments, (name, value), says) in rows {
        let test = |trc: Trc| if name == "TRC_TEST" { trc } else { trc.env("TRC_TEST", "1") };
        let outcome = test(Trc::toml(toml)).args(arguments).run();
        outcome.status(64).stdout_is("").stderr_has(says);
        let arguments: &[&str] = if name == "TRC_BARE" { &["-D", "x", "true"] } else { &[] };
        let outcome = test(Trc::toml(toml)).env(name, value).args(arguments).run();
        outcome.status(78).stdout_is("").stderr_has(says);
    }
    let rows: [&[&str]; 5] = [
        &["-w", "/no/such/directory"],
        &["-c", "/no/such/file"],
        &["-c", "wiat=all"],
        &["--test=nope"],
        &["--test", "--report", "junit=/no/such/directory/x"],
    ];
    for arguments in rows {
        Trc::toml(toml).args(arguments).run().status(78).stdout_is("");
    }
}

#[test]
fn a_wrong_setting_is_told_with_where_it_came_from() {
    /// The environment, the arguments and the message.
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
    let rows: [Row; 8] = [
        (&[("TRC_WAIT", "most")], &[], &["TRC_WAIT", "most"]),
        (&[("RC_WAIT_POLICY", "wait_most")], &[], &["RC_WAIT_POLICY", "most"]),
        (&[("TRC_LOG__LEVLE", "info")], &[], &["TRC_LOG__LEVLE", "level"]),
        (&[("TRC_LOG__LEVEL", "lout")], &[], &["TRC_LOG__LEVEL", "lout"]),
        (&[("TRC_ASYNC__CORN__ENABLED", "false")], &[], &["TRC_ASYNC__CORN__ENABLED"]),
        (&[], &["--config", "wiat=all"], &["--config wiat=all", "wait"]),
        (&[], &["--config", "wait=most"], &["--config wait=most", "most"]),
        (&[], &["--config", "sync.x.after=['y']"], &["--config sync.x.after=['y']"]),
    ];
    for (env, args, says) in rows {
        let mut trc = Trc::with(args).args(&["-F", "echo started"]);
        for (name, value) in env {
            trc = trc.env(name, value);
        }
        let outcome = trc.run();
        outcome.status(78).stdout_is("");
        for word in says {
            outcome.stderr_has(word);
        }
    }
}

/// Only a run with a trailing command used to start.
#[test]
fn keys_for_the_trailing_command_are_no_error_of_other_runs() {
    let toml = "log.level = 'warn'\n[sync.cmd]\ncwd = '/'\n[async.D1]\numask = '077'\n\
                [test.t]\nafter = ['cmd']\nexec = 'true'\n[test.u]\nexec = 'true'\n";
    Trc::toml(toml).args(&["-F", "echo started"]).run().status(0).stdout_is("started\n");
    Trc::toml(toml).arg("--test-list").run().status(0).stdout_is("t\nu\n");
    Trc::toml(toml).arg("--test").run().status(0).stdout_has("SKIP sync.cmd");
    Trc::toml(toml).args(&["pwd"]).run().status(0).stdout_is("/\n");
}

#[test]
fn what_kubernetes_injects_is_a_warning_only() {
    Trc::with(&["-F", "echo started"])
        .env("TRC_PORT_80_TCP", "tcp://10.0.0.1:80")
        .env("TRC_SERVICE_HOST", "10.0.0.1")
        .run()
        .status(0)
        .stdout_is("started\n")
        .stderr_has("TRC_PORT_80_TCP");
}

#[test]
fn a_mistake_that_boot_adds_to_the_command_line_is_78_and_the_halts_run() {
    let outcome = Trc::toml("log.level = 'warn'\n[halt.h]\nscript = 'echo halt'\n")
        .args(&["-B", "set -- --no-such-flag \"$@\"", "-F", "echo started"])
        .run();
    outcome.status(78).stdout_is("halt\n").stderr_has("--no-such-flag");
}

// ---- commands -----------------------------------------------------------------------

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_can_not_be_executed_126() {
    let rows = [
        ("/no/such/command", 127, "o such file"),
        ("no-such-command", 127, "no-such-command"),
        ("${W}/plain", 126, "ermission"),
        ("${W}", 126, "ermission"),
        ("${W}/nointerpreter", 127, "nointerpreter"),
        ("${W}/plain/below", 127, "plain/below"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(command, status, says)| {
            let files = |trc: Trc| {
                trc.file("plain", "text\n").executable("nointerpreter", "#!/no/such/interpreter\n")
            };
            let toml = format!("[sync.broken]\nexec = '{command}'\n");
            files(Trc::toml(&toml)).run().status(*status).stderr_has("broken").stderr_has(says);
        },
    );
}

/// A program for another architecture, which no shell can run as a script.
#[test]
fn a_program_for_another_machine_is_126() {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(200, 0);
    let program = |trc: Trc| trc.file("alien", &header).before("chmod +x $W/alien");
    let toml = "[sync.broken]\nexec = '${W}/alien'\n";
    program(Trc::toml(toml)).run().status(126).stderr_has("broken").stderr_has("format");
    program(Trc::with(&["./alien"])).run().status(126).stderr_has("format");
}

#[test]
fn a_command_alone_that_is_not_there_is_127_and_one_that_can_not_be_executed_126() {
    Trc::with(&["/no/such/command"]).run().status(127).stderr_has("/no/such/command");
    Trc::with(&["no-such-command"]).run().status(127).stderr_has("no-such-command");
    Trc::with(&["./plain"]).file("plain", "text\n").run().status(126).stderr_has("./plain");
    Trc::with(&["--bare", "/no/such/command"]).run().status(127).stderr_has("/no/such/command");
}

/// The cause is in a unit and is found when it is started. The exit status is 1, 78 or 126.
#[track_caller]
fn fails_with_a_reason(outcome: &Outcome, says: &[&str]) {
    if ![1, 78, 126, 127].contains(&outcome.status) || outcome.killed.is_some() {
        outcome.fail("a failure with a status of 1, 78, 126 or 127 is expected");
    }
    outcome.stderr_lacks("panicked");
    for word in says {
        outcome.stderr_has(word);
    }
}

#[test]
fn an_unknown_user_or_group_is_named() {
    for key in ["user = 'nosuchuser'", "group = 'nosuchuser'", "groups = ['nosuchuser']"] {
        let toml = format!("[sync.x]\nexec = 'echo started'\n{key}\n");
        let outcome = Trc::toml(&toml).run();
        fails_with_a_reason(&outcome, &["nosuchuser", "x"]);
        outcome.stdout_lacks("\nstarted\n");
    }
}

#[test]
fn a_user_that_trc_may_not_become_is_named() {
    if !root() {
        return;
    }
    let toml = "[sync.x]\nexec = 'echo started'\nuser = 'root'\n";
    let outcome = Trc::toml(toml).wrap(&STRANGER).run();
    fails_with_a_reason(&outcome, &["only root can", "x"]);
}

#[test]
fn a_user_that_trc_already_is_changes_nothing() {
    let id = nix::unistd::geteuid();
    Trc::toml(&format!("[sync.x]\nexec = 'echo started'\nuser = '{id}'\n"))
        .run()
        .status(0)
        .stdout_has("\nstarted\n");
    if root() {
        let toml = "[sync.x]\nexec = 'echo started'\nuser = '61234'\n";
        Trc::toml(toml).wrap(&STRANGER).run().status(0).stdout_has("\nstarted\n");
    }
}

#[test]
fn a_working_directory_that_is_not_there_is_named() {
    let outcome = Trc::toml("[sync.x]\nexec = 'echo started'\ncwd = '/no/such/place'\n").run();
    fails_with_a_reason(&outcome, &["/no/such/place", "x"]);
    outcome.stdout_lacks("\nstarted\n");
}

#[test]
fn a_variable_that_is_not_set_is_named_when_the_unit_starts() {
    let outcome = Trc::toml("[sync.x]\nexec = 'echo ${NO_SUCH_NAME}'\n").run();
    fails_with_a_reason(&outcome, &["NO_SUCH_NAME", "x", "trc.toml:1:7"]);
    let outcome = Trc::toml("[sync.x]\nexec = 'echo ${NO_SUCH_NAME:?say who}'\n").run();
    fails_with_a_reason(&outcome, &["NO_SUCH_NAME", "say who"]);
}

#[test]
fn an_environment_file_that_is_not_there_is_named() {
    let outcome = Trc::toml("[sync.x]\nexec = 'true'\nenv_file = '/no/such.env'\n").run();
    fails_with_a_reason(&outcome, &["/no/such.env"]);
}

// ---- a poor environment ---------------------------------------------------------------

/// Runs trc in a mount namespace of its own, after these commands.
fn mounts(trc: Trc, text: &str) -> Trc {
    let words: &[&str] =
        if root() { &["unshare", "--mount"] } else { &["unshare", "--mount", "--map-root-user"] };
    trc.wrap(words).before(&format!("set -e\n{text}"))
}

/// A run with a unit of every stage, a background service that trc stops, and a boot state.
fn everything() -> Trc {
    Trc::with(&[
        "-B",
        "name=world; greet() { echo \"hello, $name\"; }",
        "-D",
        "exec 9<>\"$W/never\"; read x <&9",
        "-F",
        "greet",
        "-H",
        "echo halt; exit $_exit_status",
    ])
}

#[test]
fn a_read_only_root_is_no_hindrance() {
    for mode in MODES {
        let trc = mounts(everything().mode(mode), "mount -o remount,bind,ro /");
        trc.unrecorded().run().status(0).stdout_is("hello, world\nhalt\n").stderr_is("");
    }
}

#[test]
fn no_tmp_is_no_hindrance() {
    for mode in MODES {
        // This includes trc, which may itself have been built below /tmp.
        let trc = everything().mode(mode);
        copy(binary(), trc.path("trc"));
        let trc = mounts(
            trc.program("/mnt/trc"),
            "mount --bind $W /mnt; export W=/mnt; mount -t tmpfs -o mode=0,ro none /tmp; cd /",
        );
        trc.run().status(0).stdout_is("hello, world\nhalt\n").stderr_is("");
    }
}

#[test]
fn no_proc_is_no_hindrance() {
    for mode in MODES {
        let trc = mounts(everything().mode(mode), "mount -t tmpfs -o ro none /proc");
        trc.run().status(0).stdout_is("hello, world\nhalt\n");
    }
}

/// PID 1 can kill all others without `/proc`. A subreaper cannot find processes that left their
/// process group, and may leave them behind, but exits.
#[test]
fn without_proc_trc_still_ends_on_a_signal() {
    let script = "setsid sh -c 'echo ready; exec cat $W/never' & cat $W/never";
    for mode in MODES {
        let trc = mounts(Trc::with(&["-F", script]).mode(mode), "mount -t tmpfs -o ro none /proc");
        let trc = if mode == Mode::Subreaper { trc.survivors_allowed() } else { trc };
        trc.signalled("ready", TERM).status(143);
    }
}

#[test]
fn no_dev_is_no_hindrance() {
    for mode in MODES {
        let trc = mounts(everything().mode(mode), "mount -t tmpfs -o ro none /dev");
        trc.run().status(0).stdout_is("hello, world\nhalt\n");
    }
}

/// An image without a shell: `$W/busybox` is the only program.
fn no_shell(trc: Trc) -> Trc {
    let trc = trc.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    mounts(trc, "cp /bin/busybox $W/busybox; mount -t tmpfs -o ro none /usr/bin")
}

#[test]
fn a_script_where_there_is_no_shell_is_an_error_that_names_the_unit() {
    if !has("busybox") {
        return;
    }
    let rows: [&[&str]; 2] = [&["-F", "echo started"], &["-B", "x=1", "-F", "echo started"]];
    for args in rows {
        let outcome = no_shell(Trc::with(args)).run();
        fails_with_a_reason(&outcome, &["shell"]);
        let named = outcome.err().contains("F1") || outcome.err().contains("echo started");
        if !named {
            outcome.fail("the unit should be named");
        }
    }
    let toml =
        "[async.needy]\nscript = 'echo started'\n[sync.x]\nexec = '${W}/busybox echo started'\n";
    let outcome = no_shell(Trc::toml(toml)).run();
    fails_with_a_reason(&outcome, &["shell", "needy"]);
}

#[test]
fn without_a_script_no_shell_is_needed() {
    if !has("busybox") {
        return;
    }
    let toml = "[boot.b]\nexec = '${W}/busybox echo boot'\n[async.a]\nexec = '${W}/busybox cat ${W}/never'\n\
                [sync.x]\nexec = '${W}/busybox echo sync'\n[halt.h]\nexec = '${W}/busybox echo halt'\n";
    let outcome = no_shell(Trc::toml(toml).env("TRC_LOG_LEVEL", "warn")).run();
    outcome.status(0).stdout_is("boot\nsync\nhalt\n").stderr_is("");
    let trc = Trc::new();
    let busybox = trc.path("busybox").to_str().unwrap().to_owned();
    no_shell(trc.args(&[&busybox, "echo", "alone"])).run().status(0).stdout_is("alone\n");
}

#[test]
fn where_no_process_can_be_made_the_unit_fails_and_trc_ends() {
    if !root() {
        return;
    }
    // The test has a user of its own, because the limit counts all processes of a user.
    let stranger = ["setpriv", "--reuid=61235", "--regid=61235", "--clear-groups"];
    let rows: [&[&str]; 3] = [&["true"], &["-F", "true"], &["-B", "true", "-H", "true"]];
    for args in rows {
        let outcome = Trc::with(args).wrap(&stranger).wrap(&["prlimit", "--nproc=1"]).run();
        fails_with_a_reason(&outcome, &["fork"]);
    }
}

/// There are too few descriptors for anything: trc may fail, but says why and exits.
#[test]
fn where_descriptors_are_few_trc_works_or_says_why() {
    let toml = "[boot.b]\nscript = 'x=1'\n[async.a]\nexec = 'cat ${W}/never'\n\
                [sync.x]\nscript = 'echo started'\n";
    let limits: Vec<u32> = (4..=24).collect();
    table(
        &limits,
        |limit| format!("{limit} descriptors"),
        |limit| {
            let trcs = [Trc::with(&["true"]), Trc::with(&["-F", "true"]), Trc::toml(toml)];
            // Run these at the same time, because trc spends most of it waiting for descriptors.
            let runs = trcs.map(|trc| trc.wrap(&["prlimit", &format!("--nofile={limit}")]).spawn());
            for run in runs {
                let outcome = run.finish();
                outcome.stderr_lacks("panicked");
                let said = !outcome.stderr.is_empty();
                if outcome.killed.is_some() || (outcome.status != 0 && !said) {
                    outcome.fail("it should work or say why it doesn't");
                }
            }
        },
    );
}

#[test]
fn no_name_of_a_file_makes_a_line_of_the_log() {
    let forged = "async.a\n2017-03-16 21:40:50 trc [forged]: Exited";
    let outcome = Trc::toml("log.level = 'info'\n")
        .file(format!("trc.d/{forged}"), "exit 3\n")
        .file("trc.d/async.b\nx.toml", "exec = 1\n")
        .run();
    outcome.status(78).stderr_has("trc.d/async.b\\x0ax.toml:1:8");
    let outcome = Trc::toml("").file(format!("trc.d/{forged}"), "exit 3\n").run();
    outcome.status(143).stdout_lacks("\n2017").stderr_lacks("\n2017");
}
