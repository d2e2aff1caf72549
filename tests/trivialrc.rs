//! `TrivialRC`'s command lines and drop-in scripts run unchanged.

use crate::common::{MODES, Outcome, TERM, Trc, table};

// ---- the command line ---------------------------------------------------------------

#[test]
fn the_usage_texts_first_example() {
    let outcome = Trc::with(&[
        "-B",
        "name=$(id -un); echo booting...",
        "-H",
        "echo halting...",
        "-F",
        "echo Hello, ${name}!",
    ])
    .run();
    // A user without a name has none to print.
    let Some(user) = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap() else { return };
    let name = user.name;
    outcome.status(0).stdout_is(&format!("booting...\nHello, {name}!\nhalting...\n"));
}

#[test]
fn the_usage_texts_second_example() {
    let outcome = Trc::with(&["-D", "echo Hello", "-D", "read x <$W/go; echo World"])
        .args(&["sh", "-c", "echo waiting...; echo >$W/go"])
        .env("RC_WAIT_POLICY", "wait_all")
        .run();
    outcome.status(0);
    let mut lines: Vec<String> = outcome.out().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["Hello", "World", "waiting..."]);
}

#[test]
fn the_usage_texts_third_example() {
    Trc::with(&["-F", "echo -n \"Hello \"; echo World"])
        .env("RC_VERBOSE", "true")
        .run()
        .status(0)
        .stdout_lines(&[
            r"<main/\d+\]: The wait policy: wait_any",
            r#"<sync/\d+\]: Launching on the foreground: echo -n "Hello "; echo World"#,
            "Hello World",
            r#"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): echo -n "Hello "; echo World"#,
        ]);
}

/// This works although only the command runs, and trc is transparent.
#[test]
fn a_command_alone_is_logged_where_that_is_asked_for() {
    let lines = [
        r"<main/\d+\]: The wait policy: wait_any",
        r"<sync/\d+\]: Launching on the foreground: echo hi",
        "hi",
        r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): echo hi",
        r"<main/\d+\]: Exited \(exitcode=0\)",
    ];
    let command = || Trc::with(&["echo", "hi"]);
    for trc in [
        command().env("RC_VERBOSE", "true"),
        command().env("TRC_LOG_LEVEL", "info"),
        Trc::with(&["--log-level", "info", "echo", "hi"]),
    ] {
        trc.run().status(0).stdout_lines(&lines).stderr_is("");
    }
    command().env("RC_VERBOSE", "false").run().status(0).stdout_is("hi\n");
    let toml = "[log]\nlevel = 'info'\n";
    Trc::toml(toml).args(&["echo", "hi"]).run().status(0).stdout_is("hi\n");
}

#[test]
fn options_come_in_any_order() {
    let orders: [[&str; 8]; 4] = [
        ["-B", "x=boot", "-D", "read y <$W/never", "-F", "echo $x", "-H", "echo halt"],
        ["-H", "echo halt", "-F", "echo $x", "-D", "read y <$W/never", "-B", "x=boot"],
        ["-F", "echo $x", "-H", "echo halt", "-B", "x=boot", "-D", "read y <$W/never"],
        ["-D", "read y <$W/never", "-H", "echo halt", "-B", "x=boot", "-F", "echo $x"],
    ];
    table(
        &orders,
        |order| order.join(" "),
        |order| {
            Trc::with(order).run().status(0).stdout_is("boot\nhalt\n");
        },
    );
}

#[test]
fn the_trailing_command_is_run_directly_or_by_the_shell() {
    let rows: [(&[&str], i32, &str); 9] = [
        (&["exit", "7"], 7, ""),
        (&["ls", "-d", "/"], 0, "/\n"),
        (&["/bin/echo", "a  b", "c"], 0, "a  b c\n"),
        (&["echo", "two words", "$HOME"], 0, "two words $HOME\n"),
        (&["--", "echo", "-F"], 0, "-F\n"),
        (&["echo", "-F", "-B", "--wait"], 0, "-F -B --wait\n"),
        (&["type", "-t", "type"], 0, "builtin\n"),
        (&["printf", "%s|", "a b", "", "c"], 0, "a b||c|"),
        (&["false"], 1, ""),
    ];
    table(
        &rows,
        |row| row.0.join(" "),
        |(args, status, says)| {
            Trc::with(args).run().status(*status).stdout_is(says);
        },
    );
}

#[test]
fn a_function_from_boot_can_be_the_trailing_command() {
    Trc::with(&["-B", "greet() { echo \"Hello, $1!\"; }", "greet", "big world"])
        .run()
        .status(0)
        .stdout_is("Hello, big world!\n");
}

#[test]
fn the_trailing_command_runs_after_the_other_foreground_commands() {
    Trc::with(&["-F", "echo one", "-F", "echo two", "echo", "three"])
        .env("RC_WAIT_POLICY", "wait_all")
        .run()
        .status(0)
        .stdout_is("one\ntwo\nthree\n");
}

#[test]
fn bare_runs_the_command_and_reads_no_configuration() {
    Trc::toml("this is no TOML")
        .args(&["--bare", "echo", "bare"])
        .run()
        .status(0)
        .stdout_is("bare\n");
}

#[test]
fn the_version_and_the_usage_are_on_standard_output() {
    for flag in ["--version", "-h", "--help"] {
        Trc::with(&[flag]).no_work_dir().run().status(0).stderr_is("").stdout_has("trc");
    }
}

// ---- drop-in scripts ------------------------------------------------------------------

#[test]
fn a_directory_of_scripts_runs() {
    Trc::new()
        .file("trc.d/boot.1", "name=world\nexport greeting=Hello\n")
        .file("trc.d/boot.2", "greet() { echo \"$greeting, $name!\"; }\n")
        .file("trc.d/async.service", "exec 9<>\"$W/never\"\nread x <&9\n")
        .file("trc.d/sync.main", "local text=$(greet)\necho \"$text\"\n")
        .file("trc.d/halt.bye", "echo \"bye, $name\"\n")
        .run()
        .status(0)
        .stdout_is("Hello, world!\nbye, world\n")
        .stderr_is("");
}

#[test]
fn scripts_beside_the_directory_run_first() {
    Trc::new()
        .file("trc.boot.a", "order=\"$order boot.a\"\n")
        .file("trc.d/boot.0", "order=\"$order d/boot.0\"\n")
        .file("trc.sync.z", "echo \"$order, sync.z\"\n")
        .file("trc.d/sync.a", "echo d/sync.a\n")
        .env("RC_WAIT_POLICY", "wait_all")
        .args(&["-B", "order=\"$order -B\"", "-F", "echo -F"])
        .run()
        .status(0)
        .stdout_is(" boot.a d/boot.0 -B, sync.z\nd/sync.a\n-F\n");
}

#[test]
fn a_work_dir_script_in_the_background() {
    Trc::new()
        .file("trc.async.x", "echo async; exit 4\n")
        .env("RC_WAIT_POLICY", "wait_all")
        .run()
        .status(4)
        .stdout_is("async\n");
}

#[test]
fn rc_work_dir_is_the_directory_unless_w_says_otherwise() {
    let trc = Trc::new().file("there/trc.d/sync.x", "echo \"there, $work_dir\"\n");
    let there = trc.path("there");
    let expected = format!("there, {}\n", there.display());
    trc.env("RC_WORK_DIR", &there).no_work_dir().run().status(0).stdout_is(&expected);
    let trc =
        Trc::new().file("there/trc.d/sync.x", "echo there\n").file("trc.d/sync.x", "echo here\n");
    let there = trc.path("there");
    trc.env("RC_WORK_DIR", there).run().status(0).stdout_is("here\n");
    let trc = Trc::new().file("there/trc.d/sync.x", "echo there\n").no_work_dir();
    let there = trc.path("there");
    trc.arg("--workdir").arg(there).run().status(0).stdout_is("there\n");
}

#[test]
fn scripts_see_trivialrcs_variables_and_functions() {
    let outcome = Trc::new()
        .file(
            "trc.d/sync.x",
            "echo \"$SELF_NAME $RC_WAIT_POLICY\"\n\
             [ \"$work_dir\" = \"$W\" ] && echo work_dir\n\
             [ \"$MAINPID\" = \"$PPID\" ] && echo MAINPID\n\
             say said\nlog logged\ndebug debugged\nwarn warned\nrun echo ran\nerr failed\n\
             echo not reached\n",
        )
        .env("RC_VERBOSE", "true")
        .unrecorded()
        .run();
    outcome.status(1).stdout_lines(&[
        "trc wait_any",
        "work_dir",
        "MAINPID",
        "said",
        r"<sync/\d+\]: logged",
        ".*ran",
    ]);
    outcome.stdout_lacks("not reached").stdout_lacks("debugged");
    outcome.stderr_lines(&[r"<sync/\d+\]: warned", r"<sync/\d+\]: failed"]);
}

/// In `TrivialRC`, they print nothing unless it is verbose.
#[test]
fn warn_and_err_are_never_silent() {
    let trc = Trc::with(&["-F", "warn careful; say nothing; err over"]);
    let outcome = trc.unrecorded().run();
    outcome.status(1).stdout_is("").stderr_lines(&[r"<sync/\d+\]: careful", r"<sync/\d+\]: over"]);
}

#[test]
fn mainpid_is_trcs_pid_for_every_stage() {
    let args = ["-B", "echo b $MAINPID", "-F", "echo f $MAINPID", "-H", "echo h $MAINPID"];
    Trc::with(&args).pid1().run().status(0).stdout_is("b 1\nf 1\nh 1\n");
}

// ---- boot state -----------------------------------------------------------------------

#[test]
fn what_boot_leaves_is_what_later_units_see() {
    let rows = [
        ("plain=1", "echo $plain", "1\n"),
        ("export exported=2", "sh -c 'echo $exported'", "2\n"),
        ("list=(a 'b c' d)", "echo ${#list[@]} \"${list[1]}\"", "3 b c\n"),
        ("declare -A map=([k]=v ['x y']=z)", "echo \"${map[k]} ${map[x y]}\"", "v z\n"),
        ("f() { echo \"f: $1\"; }", "f arg", "f: arg\n"),
        ("cd /usr", "pwd", "/usr\n"),
        ("umask 027", "umask", "0027\n"),
        ("ulimit -Sn 77", "ulimit -Sn", "77\n"),
        ("set -f", "echo /*", "/*\n"),
        ("shopt -s nullglob", "echo /no-such-*", "\n"),
        ("set -o pipefail", "false | true && echo 0 || echo 1", "1\n"),
        (
            "text=$'line\\nline \"quoted\" \\x01 end'",
            "printf %s \"$text\"",
            "line\nline \"quoted\" \u{1} end",
        ),
        ("unset HOME_LESS; W2=$W; unset W", "echo ${W-unset} ${W2:+kept}", "unset kept\n"),
        ("readonly fixed=3", "echo $fixed", "3\n"),
        ("declare -i number=4", "declare -p number", "declare -i number=\"4\"\n"),
        ("big=$(head -c 300000 /dev/zero | tr '\\0' x)", "echo ${#big}", "300000\n"),
        ("alias hi='echo hello'; shopt -s expand_aliases; x=1", "echo $x", "1\n"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(boot, later, says)| {
            let outcome = Trc::with(&["-B", boot, "-F", later]).run();
            outcome.status(0).stdout_is(says);
            let outcome = Trc::with(&["-B", boot, "-B", later, "-H", later]).run();
            outcome.status(0).stdout_is(&says.repeat(2));
        },
    );
}

#[test]
fn exported_variables_reach_exec_units_and_their_templates() {
    Trc::toml(
        "log.level = 'warn'\n[boot.b]\nscript = 'export who=\"big world\"; plain=no'\n\
         [sync.x]\nexec = ['sh', '-c', 'echo \"$1, $who$plain\"', 'sh', 'hello ${who}']\n",
    )
    .run()
    .status(0)
    .stdout_is("hello big world, big world\n");
}

#[test]
fn boot_rewrites_the_rest_of_the_command_line() {
    Trc::with(&["-B", "set -- \"$@\" -F 'echo \"added $x\"'", "-B", "x=later"])
        .run()
        .status(0)
        .stdout_is("added later\n");
    Trc::with(&["-B", "echo \"$# $*\"; set -- echo replaced", "-F", "echo original", "word"])
        .run()
        .status(0)
        .stdout_is("3 -F echo original word\nreplaced\n");
    Trc::with(&["-B", "set --", "-F", "echo original"]).run().status(0).stdout_is("");
    // An image's entry point does this.
    let entry = "[ \"$1\" != -- ] || shift; set -- echo server \"$@\"";
    Trc::with(&["-B", entry, "--", "--verbose"]).run().status(0).stdout_is("server --verbose\n");
}

#[test]
fn boot_scripts_run_under_set_e_and_the_others_under_a_trap_that_a_script_may_replace() {
    Trc::with(&["-B", "false; echo not reached"]).run().status(1).stdout_is("");
    Trc::with(&["-F", "false; echo not reached"]).run().status(1).stdout_is("");
    Trc::with(&["-F", "trap true ERR; false; echo reached"]).run().status(0).stdout_is("reached\n");
    Trc::with(&["-F", "(exit 6); echo not reached"]).run().status(6).stdout_is("");
    Trc::with(&["-F", "local x=1; echo $x"]).run().status(0).stdout_is("1\n");
    let args = ["-F", "exit 5", "-H", "false; echo not reached"];
    Trc::with(&args).run().status(1).stdout_is("");
}

#[test]
fn rc_debug_prints_what_shells_run() {
    let outcome = Trc::with(&["-F", "x=value; true $x"]).env("RC_DEBUG", "true").run();
    outcome.status(0).stderr_lines(&[r"\++ .*true value"]);
    Trc::with(&["-F", "x=value; true $x"]).run().status(0).stderr_is("");
}

#[test]
fn a_posix_sh_does() {
    let outcome = Trc::with(&["--config", "shell=['/bin/dash','-c']"])
        .args(&["-B", "name=world; export greeting=Hello", "-B", "cd /usr; umask 027"])
        .args(&["-F", "echo \"$greeting, $name in $(pwd) $(umask)\"", "-H", "echo $_exit_status"])
        .run();
    outcome.status(0).stdout_is("Hello, world in /usr 0027\n0\n").stderr_is("");
    Trc::with(&["--config", "shell=['/bin/dash','-c']", "-F", "false; echo not reached"])
        .run()
        .status(1)
        .stdout_is("");
}

// ---- its own tests --------------------------------------------------------------------

/// Returns the exit codes in the log, in order.
fn exit_codes(outcome: &Outcome) -> Vec<String> {
    let regex = regex::Regex::new(r"\(exitcode=(\d+)\):").unwrap();
    regex.captures_iter(&outcome.out()).map(|found| found[1].to_owned()).collect()
}

/// Like `it_catches_all_exitcodes`, with gates in place of its sleeps.
#[test]
fn all_exit_codes_are_in_the_log() {
    let running = Trc::with(&["-H", "exit 0", "-D", "read x <$W/go; exit 2"])
        .args(&["-D", "read x <$W/after; exit 3", "-F", "exit 0"])
        .args(&["-F", "exit 4"])
        .fifo("after")
        .env("RC_VERBOSE", "true")
        .env("RC_WAIT_POLICY", "wait_all")
        .spawn();
    running.wait_for("(exitcode=4):").open_gate("go");
    running.wait_for("(exitcode=2):").open_gate("after");
    let outcome = running.finish();
    outcome.status(0);
    assert_eq!(exit_codes(&outcome), ["0", "4", "2", "3", "0"], "{}", outcome.out());
}

/// As `it_catches_exitcodes_till_errs_in_sync`.
#[test]
fn exit_codes_are_in_the_log_up_to_the_first_failure() {
    let outcome = Trc::with(&["-D", "cat $W/never; exit 2", "-D", "cat $W/never; exit 3"])
        .args(&["-F", "exit 0", "-F", "exit 4", "exit", "5"])
        .env("RC_VERBOSE", "true")
        .env("RC_WAIT_POLICY", "wait_err")
        .run();
    outcome.status(4);
    assert_eq!(exit_codes(&outcome), ["0", "4", "143", "143"], "{}", outcome.out());
}

#[test]
fn its_other_exit_status_tests() {
    let rows: [(&[&str], i32, &str); 7] = [
        (&["-H", "exit 11", "exit", "5"], 11, ""),
        (&["-H", "exit 0", "exit", "5"], 0, ""),
        (&["-B", "exit 22", "-H", "exit 0", "exit", "5"], 22, ""),
        (&["-D", "echo 11; exit 11", "-D", "read x <$W/never"], 143, "11\n"),
        (&["-F", "echo 11; exit 11", "-F", "echo 22; exit 22"], 11, "11\n"),
        (&["-D", "exit 33", "-F", "echo 11; exit 11", "-F", "echo 22; exit 22"], 11, "11\n"),
        (&["-H", "echo $_exit_status; exit 3", "-D", "exit 1"], 3, "143\n"),
    ];
    table(
        &rows,
        |row| row.0.join(" "),
        |(args, status, says)| {
            Trc::with(args).run().status(*status).stdout_is(says);
        },
    );
}

// ---- the seed ---------------------------------------------------------------------------

/// Stands in for smtpd: it prints that it is up, waits, and prints that it exits.
const SERVICE: &str = r#"exec 9<>"$W/never"
trap 'echo "info: Terminated, shutting down"; exit 0' TERM
echo "info: OpenSMTPD 6.0.2p1 starting"
echo >"$W/go"
until read -t .1 x <&9; do :; done
"#;

const TEST: &str = "read x <$W/go; echo SMTP running && kill -10 ${MAINPID}";

const VERDICT: &str =
    "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";

#[test]
fn the_seed_an_image_that_tests_itself() {
    for mode in MODES {
        let trc = Trc::with(&["-H", VERDICT, "-D", TEST])
            .file("trc.d/async.opensmtpd", SERVICE)
            .env("RC_VERBOSE", "true")
            .mode(mode);
        let service = regex::escape(trc.path("trc.d/async.opensmtpd").to_str().unwrap());
        let (test, verdict) = (regex::escape(TEST), regex::escape(VERDICT));
        let outcome = trc.run();
        outcome.status(0).stdout_lines(&[
            r"<main/\d+\]: The wait policy: wait_any",
            &format!(r"<async/\d+\]: Launching on the background: {service}"),
            &format!(r"<async/\d+\]: Launching on the background: {test}"),
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            r"<main/\d+\]: terminating the child process <pid=\d+>",
            "info: Terminated, shutting down",
            &format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {service}"),
            &format!(r"<halt/\d+\]: Running the shutdown command: {verdict}"),
            &format!(r"<main/\d+\]: Exiting from the shutdown command \(exitcode=0\): {verdict}"),
            r"<main/\d+\]: Exited \(exitcode=0\)",
        ]);
        outcome.stdout_lines(&["info: OpenSMTPD 6.0.2p1 starting", "SMTP running"]);
        outcome.stdout_lines(&[&format!(
            r"<async/\d+\]: Exiting on the background \(exitcode=\d+\): {test}"
        )]);
        outcome.stderr_is("");
    }
}

#[test]
fn the_seed_a_service_that_dies_fails_the_image() {
    let outcome = Trc::with(&["-H", VERDICT, "-D", TEST])
        .file("trc.d/async.opensmtpd", "echo no configuration >&2; exit 1\n")
        .run();
    outcome.status(143);
}

#[test]
fn the_seed_a_test_that_fails_fails_the_image() {
    let outcome = Trc::with(&["-H", VERDICT, "-D", "read x <$W/go; false && kill -10 ${MAINPID}"])
        .file("trc.d/async.opensmtpd", SERVICE)
        .run();
    outcome.status(143);
}

#[test]
fn the_seed_a_stopped_container_has_its_signals_status() {
    let running =
        Trc::with(&["-H", VERDICT, "-D", "read x <$W/go; echo SMTP running; cat $W/never"])
            .file("trc.d/async.opensmtpd", SERVICE)
            .pid1()
            .spawn();
    running.wait_for("SMTP running").signal(TERM);
    running.finish().status(143);
}
