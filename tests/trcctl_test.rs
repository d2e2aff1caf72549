//! `trcctl test` and `trcctl verdict`: an image's tests without a container.

use std::fs;
use std::path::Path;

use crate::common::{INT, KILL, NEVER, Outcome, Trc, binary, copy, has, root, table};

/// With trc as PID 1, and without.
const WAYS: [&[&str]; 2] = [&[], &["--no-namespaces"]];

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// A service that keeps running until it is asked to exit.
const SERVICE: &str =
    "[async.web]\nexec = ['sh', '-c', 'echo up; exec cat $W/never']\nready.log = 'up'\n";

/// Runs `trcctl test` in a directory with this `trc.toml`.
fn tested(toml: &str) -> Trc {
    Trc::toml(toml).program(TRCCTL).args(&["test", "--trc"]).arg(binary())
}

/// Runs it as the user nobody, with copies of the programs, because nobody may not be able to reach
/// the originals.
fn unprivileged(trc: Trc) -> Trc {
    let (trcctl, own) = (trc.path("trcctl"), trc.path("trc"));
    copy(TRCCTL, &trcctl);
    copy(binary(), &own);
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    trc.wrap(&words).program(trcctl).arg("--trc").arg(own)
}

/// A test that hangs, and creates the file `began` when it runs.
fn hanging() -> String {
    format!("{SERVICE}[test.hangs]\nscript = '''echo began >$W/began\n{NEVER}'''\n")
}

/// Returns whether the last line, apart from its end, is this one.
#[track_caller]
fn ends_with(outcome: &Outcome, pattern: &str) {
    let (out, whole) = (outcome.out(), format!(r"\n\n{pattern}\n$"));
    if !regex::Regex::new(&whole).unwrap().is_match(&out) {
        outcome.fail(&format!("standard output should end like `{pattern}`"));
    }
}

#[test]
fn coverage_shows_what_no_test_is_about() {
    let test = "[test.one]\nexpect.log = { unit = 'web', contains = 'up' }\n";
    let job = "[async.backup]\nschedule = '@daily'\nexec = 'true'\n";
    let outcome = tested(&format!("{SERVICE}{job}{test}")).arg("--coverage").run();
    let missing = "not tested\n  no test names async.backup or uses one of its ports";
    outcome.status(0).stdout_has(missing);
    tested(&format!("{SERVICE}{test}")).args(&["--coverage", "--repeat", "2"]).run().status(64);
}

#[test]
fn trc_is_pid_1_where_that_is_possible_and_all_is_well() {
    let toml = format!(
        "{SERVICE}[test.init]\ndescription = 'who is PID 1'\n\
         script = 'read name </proc/1/comm; echo $name $PPID'\nexpect.stdout = 'trc 1'\n"
    );
    let mut ways = vec!["as it is"];
    if root() {
        ways.push("as nobody");
    }
    table(&ways, ToString::to_string, |way| {
        let trc = tested(&toml);
        let trc = if *way == "as nobody" { unprivileged(trc) } else { trc };
        let outcome = trc.run();
        outcome.status(0).stderr_is("").stdout_lines_exactly(&[
            r"ok    test\.init       +\d+ ms  who is PID 1",
            r"ok    async\.web\.run( +\d+ ms)?",
            r"ok    async\.web\.stop( +\d+ ms)?",
            "ok    orphans",
            "ok    sessions",
            "ok    zombies",
            r"ok    shutdown( +\d+ ms)?",
            "",
            r"1 test passed; stop drill clean; [\d.]+ m?s",
        ]);
    });
}

#[test]
fn without_namespaces_trc_is_a_plain_child() {
    let toml = format!("{SERVICE}[test.init]\nscript = 'test $PPID -ne 1'\n");
    let outcome = tested(&toml).arg("--no-namespaces").run();
    outcome.status(0).stderr_is("");
    ends_with(&outcome, r"1 test passed; stop drill clean; [\d.]+ m?s");
}

#[test]
fn where_namespaces_are_not_allowed_it_says_so_and_goes_on() {
    let toml = format!("{SERVICE}[test.init]\nscript = 'test $PPID -ne 1'\n");
    let trc = tested(&toml);
    let trc = if root() {
        trc.wrap(&["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
    } else {
        trc.wrap(&["unshare", "--user", "--map-root-user", "sh", "-c"])
            .wrap(&["echo 0 >/proc/sys/user/max_pid_namespaces; exec \"$@\"", "sh"])
    };
    let outcome = trc.run();
    outcome
        .status(0)
        .stderr_lines(&[r"note: cannot create namespaces \(unshare: .*\): trc runs as .*"]);
    ends_with(&outcome, r"1 test passed; stop drill clean; [\d.]+ m?s");
}

#[test]
fn a_failure_is_told_with_what_was_expected_what_came_and_what_was_said_last() {
    let toml = format!(
        "{SERVICE}[test.greets]\nscript = 'echo hello; echo oops >&2; exit 3'\n\
         expect.stdout = 'good morning'\n[test.fine]\nexec = 'true'\n"
    );
    let outcome = tested(&toml).run();
    // The log is shown only for failures that are not in the report.
    outcome.status(1).stderr_is("").stdout_lines(&[
        r"FAIL  test\.greets .*",
        r"ok    test\.fine .*",
        r"ok    zombies",
        r"ok    shutdown.*",
        "",
        r"test\.greets",
        r"  expected  exit status is 0",
        r"  found     it exited with 3; its last output: oops",
        r"  expected  stdout .*good morning.*",
        r"  found     .*hello.*",
        r"  last output of stderr",
        r"    \| oops",
        r"  last output of async\.web",
        r"    \| up",
        "",
        r"1 test passed, 1 failed; stop drill clean; .*",
    ]);
    let outcome = tested(&toml).arg("-v").run();
    outcome.status(1).stderr_lines(&[
        r"<web/\d+\]: up",
        r"<main/\d+\]: Launching the test: greets: .*",
        r"<main/\d+\]: test\.greets failed: expected: exit status is 0; found: .*",
    ]);
    ends_with(&outcome, "1 test passed, 1 failed; stop drill clean; .*");
}

#[test]
fn what_the_stop_drill_finds_is_no_failed_test() {
    let toml = "[async.web]\nscript = '''trap '' TERM\necho up\nwhile :; do read x <$W/never; done'''\n\
        ready = { log = 'up' }\nstop.timeout = '100ms'\n[test.fine]\nexec = 'true'\n";
    let outcome = tested(toml).run();
    outcome.status(1).stderr_is("").stdout_lines(&[
        r"ok    test\.fine .*",
        r"FAIL  async\.web\.stop .*",
        "",
        r"async\.web\.stop",
        r"  .*(kill|KILL).*",
    ]);
    let allow = r#"a test can allow known findings: allow = \["async\.web\.stop"\]"#;
    ends_with(&outcome, &format!("1 test passed; stop drill: 1 of 6 failed; .*\n{allow}"));
}

#[test]
fn tests_are_named_one_by_one() {
    let toml = "[test.a]\nexec = 'true'\n[test.b]\nexec = 'false'\n[test.c]\nexec = 'true'\n";
    let outcome = tested(toml).args(&["a", "test.c"]).run();
    outcome.status(0).stdout_lacks("test.b");
    ends_with(&outcome, "2 tests passed; stop drill clean; .*");

    let outcome = tested(toml).arg("d").run();
    outcome.status(78).stdout_is("").stderr_has("there is no test `d`").stderr_has("a, b, c");

    tested(toml).arg("--list").run().status(0).stdout_is("a\nb\nc\n").stderr_is("");
}

#[test]
fn where_the_current_directory_is_not_configured_it_is_said_that_etc_was_read() {
    let run = |trc: Trc| trc.program(TRCCTL).args(&["test", "nope"]).run();
    let says = "note: the current directory has no trc.toml and no trc.d, so trc has read /etc";
    let outcome = run(Trc::new());
    outcome.status(78).stderr_has("there is no test `nope`").stderr_has(says);
    run(Trc::toml(SERVICE)).status(78).stderr_lacks("has read /etc");
}

#[test]
fn what_else_trc_understands_is_passed_on() {
    let toml = "[test.a]\nscript = 'echo $WHO; cat $W/boot'\nexpect.stdout = ['me', 'first']\n";
    let elsewhere = Trc::new().file("dir/trc.toml", toml).program(TRCCTL);
    let dir = elsewhere.path("dir");
    let outcome = elsewhere
        .args(&["test", "-c", "test.a.env.WHO=me", "-B", "echo first >$W/boot", "--trc"])
        .args(&[binary(), "-w".into(), dir.into()])
        .args(&["--report", "junit=junit.xml", "a", "--", "sh", "-c", "echo up; read x <$W/never"])
        .spawn();
    let junit = outcome.path("junit.xml");
    outcome.wait_until("there is another report", || Path::new(&junit).exists());
    let outcome = outcome.finish();
    outcome.status(0).stdout_lines(&[r"ok    test\.a .*", r"ok    sync\.\S+\.run.*"]);
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    for way in WAYS {
        let outcome =
            tested("[async.web]\nexce = 'true'\n[test.a]\nexec = 'true'\n").args(way).run();
        outcome.status(78).stdout_is("").stderr_has("trc.toml:2:1").stderr_has("exce");
        outcome.stderr_lacks("wrote no report");
    }
}

/// They used to be lines of a log, without their number.
#[test]
fn errors_look_as_those_of_check() {
    let outcome = tested("[async.web]\nexce = 'true'\nnice = 'a'\n[test.a]\nexec = 'true'\n").run();
    let says = "error: unknown key `exce` in `[async.web]`\n";
    outcome.status(78).stderr_has(says).stderr_has("\n\n2 errors\n").stderr_lacks("main/");
}

#[test]
fn warnings_of_the_configuration_are_shown_once() {
    let toml = "[test.a]\nexec = 'echo foo | grep bar'\n";
    let rows: [&[&str]; 2] = [&[], &["-v"]];
    table(
        &rows,
        |row| row.join(" "),
        |row| {
            let outcome = tested(toml).file("trc.d/tests.three", "").args(row).run();
            outcome.status(0);
            for text in ["`|` has no meaning here", "tests.three"] {
                assert_eq!(outcome.err().matches(text).count(), 1, "{}", outcome.err());
            }
        },
    );
}

#[test]
fn a_failed_boot_is_told_with_the_log() {
    let toml = "[boot.prepare]\nscript = 'echo cannot prepare; exit 3'\n[test.a]\nexec = 'true'\n";
    let outcome = tested(toml).run();
    outcome
        .status(1)
        .stdout_lines(&[r"FAIL  test\.a +not run"])
        .stderr_lines(&[r".*cannot prepare"]);
}

/// The report that trcctl reads says that all is well, because it was written first.
#[test]
fn a_report_that_could_not_be_written_is_told() {
    let forms = ["trc", "json"];
    table(&forms, ToString::to_string, |form| {
        let toml =
            format!("log.format = '{form}'\n[test.a]\nscript = 'rm -r $W/reports && echo gone'\n");
        let trc = tested(&toml).file("reports/old", "");
        let report = format!("junit={}", trc.path("reports/junit.xml").display());
        let outcome = trc.args(&["--report", &report]).run();
        outcome.status(1).stderr_has("cannot write the report");
        ends_with(
            &outcome,
            r"1 test passed; stop drill clean; .*\ncannot write the report .*reports/junit.xml: .*",
        );
    });
}

#[test]
fn ctrl_c_ends_the_run_with_its_report_and_nothing_is_left() {
    for way in WAYS {
        let running = tested(&hanging()).args(way).spawn();
        running.wait_for_file("began");
        running.signal(INT);
        let outcome = running.finish();
        outcome.status(1).stderr_is("").stdout_lines(&[
            r"FAIL  test\.hangs.*",
            r"ok    async\.web\.stop.*",
            r"  cut short: stopped by SIGINT.*",
            r"1 test failed; stop drill clean.*",
        ]);
    }
}

/// Runs `trcctl test` on a terminal of its own, in a directory with this `trc.toml`.
fn at_a_terminal(toml: &str) -> Trc {
    let line = format!("exec {TRCCTL} test --trc {}", binary().to_str().unwrap());
    let trc = Trc::toml(toml).program("script").args(&["-qec", &line, "/dev/null"]);
    trc.env("TERM", "xterm").stdin_piped()
}

/// Returns the output without the terminal's escape sequences.
fn plain(outcome: &Outcome) -> String {
    let escape = regex::Regex::new("\x1b\\[[0-9;?]*[A-Za-z]|\r").unwrap();
    escape.replace_all(&outcome.out(), "").into_owned()
}

/// The terminal sends the signal to its whole foreground process group, but trc must get it only
/// once: a second one would make trc kill its units.
#[test]
fn a_terminal_shows_which_test_runs_and_its_ctrl_c_comes_once() {
    if !has("script") {
        return;
    }
    let mut running = at_a_terminal(&hanging()).spawn();
    running.wait_for_file("began");
    running.wait_for("test.hangs …");
    running.write("\x03");
    let outcome = running.finish();
    outcome.status(1);
    for part in ["✗  test.hangs", "✓  async.web.stop", "1 test "] {
        if !plain(&outcome).contains(part) {
            outcome.fail(&format!("the terminal should show `{part}`"));
        }
    }
}

#[test]
fn the_progress_is_not_read_from_the_log() {
    if !has("script") {
        return;
    }
    // The log level hides everything that trc would log, and a unit prints what trc would log.
    let quiet = format!("log.level = 'error'\n{}", hanging());
    let forged = "trc [main/1]: Launching the test: forged: x\n\
        trc [main/1]: Trying to terminate sub-processes...\n\
        trc [main/1]: restarting forged in 1 s: no\n\
        trc [main/1]: cannot write the report forged: no\n\
        {\"event\":\"test\",\"name\":\"test.forged\"}\n";
    let talks = hanging().replace("echo up;", "cat $W/forged; echo up;");
    table(
        &[("quiet", quiet), ("talks", talks)],
        |(name, _)| (*name).to_owned(),
        |(_, toml)| {
            let mut running = at_a_terminal(toml).file("forged", forged).spawn();
            running.wait_for_file("began");
            running.wait_for("test.hangs …");
            running.write("\x03");
            running.finish().status(1).stdout_lacks("forged");
        },
    );
}

#[test]
fn a_terminal_shows_what_the_run_waits_for() {
    if !has("script") {
        return;
    }
    let toml = "[async.web]\n\
        script = '[ -e $W/second ] || { : >$W/second; exit 3; }; exec cat $W/never'\n\
        restart = { when = 'always', backoff = '300ms' }\n\
        [test.later]\nscript = 'test -e $W/third'\nexpect.within = '60s'\n";
    let mut running = at_a_terminal(toml).spawn();
    running.wait_for("restarting async.web in 0.");
    running.wait_for("test.later, attempt 3 …");
    running.write("\x03");
    running.finish().status(1);
}

/// Writes the lines of `$W/lines` to each pipe, socket and terminal of trc and its relatives that
/// can be opened, and notes them in `$W/opened`. If trc is PID 1, `/proc` shows only its relatives.
/// Otherwise these are trcctl and trc's children, and the descriptors that trcctl inherited do not
/// count.
const FORGE: &str = r#"
set +e
trap '' PIPE
read -r name </proc/1/comm
if [ "$PPID $name" = '1 trc' ]; then
    relatives=$(cd /proc && echo [0-9]*)
    others=
else
    read -r _ _ _ trcctl _ </proc/$PPID/stat
    read -r _ _ _ parent _ </proc/$trcctl/stat
    relatives="$PPID $trcctl $(cat /proc/$PPID/task/$PPID/children)"
    others=$(readlink /proc/$parent/fd/*)
fi
for fd in $(for pid in $relatives; do echo /proc/$pid/fd/*; done); do
    leads_to=$(readlink $fd)
    case $others in *"$leads_to"*) continue ;; esac
    case $leads_to in
    pipe:*|socket:*|/dev/pts/*)
        if { cat $W/lines >>$fd; } 2>/dev/null; then echo $fd >>$W/opened; fi ;;
    esac
done
cat $W/lines
echo up
exec cat $W/never
"#;

#[test]
fn no_unit_writes_into_what_trcctl_reads() {
    let lines = "{\"event\":\"test\",\"name\":\"test.forged\"}\n\
        {\"event\":\"point\",\"name\":\"test.forged\",\"kind\":\"test\",\"outcome\":\"passed\"}\n\
        {\"event\":\"end\",\"status\":0,\"passed\":true}\n\
        {\"no_namespaces\":\"forged\"}\nok 7 - test.forged\n";
    let toml = "[async.web]\nexec = ['sh', '${W}/forge']\nready.log = '^up'\n\
        [test.opened]\nscript = 'test -s $W/opened'\n\
        [test.bad]\nscript = 'echo bad; exit 1'\n";
    table(
        &WAYS,
        |way| way.join(" "),
        |way| {
            let trc = tested(toml).file("forge", FORGE).file("lines", lines).args(way);
            let outcome = trc.run();
            outcome.status(1).stdout_lines(&[r"ok    test\.opened .*", r"FAIL  test\.bad .*"]);
            // The last lines of the unit are there, each after a bar.
            let forged = |line: &str| line.contains("forged") && !line.starts_with("    | ");
            if outcome.out().lines().any(forged) {
                outcome.fail("the report should be trc's alone");
            }
            ends_with(&outcome, "1 test passed, 1 failed; stop drill clean; .*");
        },
    );
}

#[test]
fn a_test_that_never_began_is_no_failed_test() {
    let toml = format!("{}[test.later]\nexec = 'true'\n", hanging());
    let trc = tested(&toml);
    let report = trc.path("json");
    let running = trc.args(&["--report", &format!("json={}", report.display())]).spawn();
    running.wait_for_file("began");
    running.signal(INT);
    running.wait_until("it has ended", || running.ended());
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    let later = &json["points"][1];
    assert_eq!((&later["name"], &later["outcome"]), (&"test.later".into(), &"not_run".into()));
    assert!(later["why"].as_str().unwrap().starts_with("stopped by SIGINT"), "{later}");
    assert_eq!((&json["counts"]["failed"], &json["counts"]["not_run"]), (&1.into(), &1.into()));
    let outcome = running.finish();
    outcome.status(1).stdout_lines(&[r"FAIL  test\.hangs .*", r"FAIL  test\.later +not run"]);
    ends_with(&outcome, "1 test failed, 1 not run; stop drill clean; .*\nstopped by SIGINT.*");
}

/// trcctl reads standard output.
#[test]
fn no_report_that_is_asked_for_mixes_with_the_events() {
    let toml = "[test.a]\nexec = 'true'\n";
    let outcome = tested(toml).env("TRC_REPORT", "events=-").run();
    outcome.status(0).stderr_is("");
    ends_with(&outcome, "1 test passed; stop drill clean; .*");
    let outcome = tested(toml).args(&["--report", "events=-"]).run();
    outcome.status(64).stderr_has("use `trc --test --report events=-` to get them");
    let outcome = tested(toml).env("TRC_REPORT", "json=/dev/stdout").run();
    outcome.status(78).stdout_is("").stderr_has("cannot write the report /dev/stdout: ");
    outcome.stderr_has("in `trcctl test`");
}

#[test]
fn when_trcctl_is_killed_all_of_it_goes() {
    for way in WAYS {
        let running = tested(&hanging()).args(way).spawn();
        running.wait_for_file("began");
        running.signal(KILL);
        running.wait_until("nothing is left", || running.processes().is_empty());
        assert_eq!(running.finish().killed, Some(KILL));
    }
}

#[test]
fn a_verdict_counts_and_not_how_the_command_ends() {
    let toml = format!(
        "[test.passes]\nscript = '{TRCCTL} verdict pass; exit 3'\n\
         [test.fails]\nscript = '{TRCCTL} verdict fail \"it says so\"'\n\
         [test.skips]\nexec = ['{TRCCTL}', 'verdict', 'skip', 'no', 'net', '-x']\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1).stderr_is("").stdout_lines(&[
        r"ok    test\.passes .*",
        r"FAIL  test\.fails .*",
        r"skip  test\.skips .*  skipped: no net -x",
        r"test\.fails",
        r".*it says so",
        r"1 test passed, 1 failed, 1 skipped; stop drill clean; .*",
    ]);
}

#[test]
fn outside_of_a_test_a_verdict_is_an_error() {
    let verdict = |word: &str| Trc::new().program(TRCCTL).args(&["verdict", word]);
    let outcome = verdict("pass").run();
    outcome.status(1).stdout_is("").stderr_has("TRC_VERDICT_FD is not set");
    let outcome = verdict("pass").env("TRC_VERDICT_FD", "7").run();
    outcome.status(1).stderr_has("descriptor 7").stderr_has("it is closed");
    let outcome = verdict("pas").env("TRC_VERDICT_FD", "7").run();
    outcome.status(64).stderr_has("'pass'");
}

/// `-v` was the version without a command, and --verbose after `test`.
#[test]
fn one_letter_means_one_thing() {
    let run = |words: &[&str]| Trc::new().program(TRCCTL).args(words).run();
    for flag in ["-V", "--version"] {
        run(&[flag]).status(0).stdout_has(env!("CARGO_PKG_VERSION"));
    }
    run(&["-v"]).status(64).stdout_is("").stderr_has("'-v'");
    run(&["--help"]).status(0).stdout_has("-V, --version").stdout_lacks("-v,");
    run(&["test", "--help"]).status(0).stdout_has("-v, --verbose");
    let trc = |flag: &str| Trc::new().arg(flag).run();
    trc("--help").status(0).stdout_has("-V, --version").stdout_lacks("-v,");
    // As in TrivialRC.
    trc("-v").status(0).stdout_is(&format!("trc {}\n", env!("CARGO_PKG_VERSION")));
}

/// Flags of trc that change nothing in a check were shown as its own.
#[test]
fn the_help_of_check_shows_the_options_that_matter_to_it() {
    let help = Trc::new().program(TRCCTL).args(&["check", "--help"]).run();
    help.status(0).stdout_has("--test[=").stdout_has("wrong only in a test run");
    for flag in ["--test-list", "--test-strict", "--report", "--bare"] {
        help.stdout_lacks(flag);
    }
}

#[test]
fn what_is_mistyped_is_told() {
    let run = |words: &[&str]| Trc::new().program(TRCCTL).args(words).run();
    run(&["tset"]).status(64).stderr_has("'test'");
    run(&["test", "--verbos"]).status(64).stderr_has("--verbose");
    run(&["test", "--bare", "--", "true"]).status(64).stderr_has("--bare");
    run(&["test", "--trc", "/no/such/trc"]).status(127).stderr_has("/no/such/trc");
    for words in [&["test", "--help"], &["verdict", "--help"]] {
        run(words).status(0).stderr_is("").stdout_has("Examples:").stdout_has("Exit status:");
    }
}
