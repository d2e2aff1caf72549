//! Records of runs, and `trcctl replay`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::recorded::replay;
use crate::common::{HUP, KILL, NEVER, Outcome, TERM, Trc, table};

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// A run that records itself to `record` below its directory.
fn recorded(toml: &str) -> Trc {
    let trc = Trc::toml(toml);
    let record = trc.path("record");
    trc.env("TRC_RECORD", record)
}

/// Asks for a replay of a file.
fn ask(record: &Path) -> Output {
    Command::new(TRCCTL).arg("replay").arg(record).output().unwrap()
}

/// Replays the record of a run that has ended. Returns what `trcctl replay` prints.
#[track_caller]
fn same(outcome: &Outcome) -> String {
    let Output { status, stdout, stderr } = ask(&outcome.path("record"));
    let text = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{text}{}", String::from_utf8_lossy(&stderr));
    text
}

/// A run whose database is restarted twice and then fails for good.
const FAILS: &str = "\
[async.db]
exec = [\"false\"]
restart = { when = \"on-failure\", max = 2, backoff = \"10ms\" }
[async.web]
after = { db = \"started\" }
exec = 'cat ${W}/never'
[halt.bye]
exec = [\"true\"]
";

#[test]
fn a_replay_prints_every_line_of_the_run_and_decides_the_same_again() {
    let outcome = recorded(FAILS).run();
    let text = same(outcome.status(1));
    for line in [
        "error async.db   giving up on async.db: 2 restarts in 60 s (restart.max)\n",
        "info  async.web  Launching on the background: web: cat ${W}/never\n",
        "error trc        async.db failed with status 1\n",
        "the run exited with 1 after ",
        "the engine decides the same again\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

/// Runs of all kinds, and the signals that they get once they are up: see `common::recorded`, which
/// compares each line.
#[test]
fn crashes_signals_tests_and_reloads_replay_to_the_same_lines() {
    let up = format!("script = '{NEVER}'\n");
    let cases: Vec<(&str, String, Vec<i32>)> = vec![
        ("a crash", "[sync.x]\nscript = 'kill -SEGV $$'\n".to_owned(), vec![]),
        ("a unit that is killed", "[async.x]\nscript = 'kill -9 $$'\n".to_owned(), vec![]),
        ("a command that is not there", "[async.x]\nexec = ['/no/such']\n".to_owned(), vec![]),
        (
            "a failed boot",
            "[boot.x]\nscript = 'exit 7'\n[halt.y]\nexec = 'true'\n".to_owned(),
            vec![],
        ),
        ("a stop", format!("[async.x]\n{up}"), vec![TERM]),
        ("two signals", format!("[signals]\nHUP = 'ignore'\n[async.x]\n{up}"), vec![HUP, TERM]),
        ("a shell that traps", format!("[async.x]\nstop.to = 'process'\n{up}"), vec![TERM]),
        (
            "a unit that is not ready",
            format!("[async.x]\nready = {{ file = '/no/such', within = '50ms' }}\n{up}"),
            vec![],
        ),
        (
            "an unhealthy unit",
            format!(
                "[async.x]\nhealth = {{ file = '/no/such', every = '10ms', then = 'stop' }}\n{up}"
            ),
            vec![],
        ),
        (
            "hooks",
            format!("[async.x]\npre_start.exec = 'true'\npost_stop.exec = ['false']\n{up}"),
            vec![TERM],
        ),
        (
            "a wait policy",
            format!("wait = 'all'\n[async.x]\nexec = 'true'\n[async.y]\n{up}"),
            vec![TERM],
        ),
    ];
    table(
        &cases,
        |(name, ..)| (*name).to_owned(),
        |(_, toml, signals)| {
            let running = recorded(toml).spawn();
            for signal in signals {
                running.wait_for("ready").signal(*signal);
                if *signal == HUP {
                    running.wait_until("trc has seen it", || {
                        let record = fs::read_to_string(running.path("record")).unwrap_or_default();
                        record.contains("SIGHUP")
                    });
                }
            }
            same(&running.finish());
        },
    );
}

#[test]
fn a_test_run_is_replayed_with_its_verdict() {
    let toml = format!(
        "[async.x]\nscript = '{NEVER}'\n[test.good]\nexec = 'true'\n[test.bad]\nexec = 'false'\n"
    );
    let outcome = recorded(&toml).arg("--test").run();
    let text = same(outcome.status(1));
    assert!(text.contains("1 of 2 tests failed: test.bad"), "{text}");
}

#[test]
fn the_record_of_a_killed_trc_is_whole_up_to_its_last_event() {
    let running = recorded(&format!("[async.x]\nscript = '{NEVER}'\n")).pid1().spawn();
    running.wait_for("ready").signal(KILL);
    let outcome = running.finish();
    let text = same(&outcome);
    assert!(text.contains("Launching on the background: x: "), "{text}");
    assert!(text.contains(", and the run had not ended\n"), "{text}");
}

#[test]
fn a_record_that_breaks_off_anywhere_is_replayed_as_far_as_it_goes() {
    let outcome = recorded(FAILS).run();
    let record = fs::read(outcome.path("record")).unwrap();
    let head = record.iter().position(|byte| *byte == b'\n').unwrap();
    let cut = outcome.path("cut");
    for at in (head + 1..record.len()).step_by(97) {
        fs::write(&cut, &record[..at]).unwrap();
        let played = replay(&cut).unwrap_or_else(|why| panic!("{at}: {why}"));
        assert_eq!(played["record"], "open", "{at}");
    }
    fs::write(&cut, &record[..head]).unwrap();
    let Output { status, stderr, .. } = ask(&cut);
    assert_eq!(status.code(), Some(64));
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(
        said.contains("it is not a record of a run, which trc writes with TRC_RECORD=FILE"),
        "{said}"
    );
}

#[test]
fn a_replay_that_decides_something_else_shows_where() {
    let outcome = recorded(FAILS).run();
    let record = fs::read_to_string(outcome.path("record")).unwrap();
    let changed = record.replacen(r#""max":2"#, r#""max":1"#, 1);
    fs::write(outcome.path("changed"), changed).unwrap();
    let Output { status, stdout, .. } = ask(&outcome.path("changed"));
    let text = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    for part in
        ["the engine decides differently after ", "  recorded  Tell(", "Restarting", "GaveUp"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// Asks what would have come with other values. Returns the exit status, and what it prints.
fn ask_with(record: &Path, values: &[&str]) -> (Option<i32>, String) {
    let with = values.iter().flat_map(|value| ["--with", value]);
    let Output { status, stdout, stderr } =
        Command::new(TRCCTL).arg("replay").arg(record).args(with).output().unwrap();
    (status.code(), [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat())
}

/// The messages of a story, without numbers, which are those of processes and times.
fn messages(story: &str) -> Vec<String> {
    let number = regex::Regex::new(r"\d+(\.\d+)?").unwrap();
    let lines = story.lines().take_while(|line| !line.is_empty());
    lines.map(|line| number.replace_all(&line[9..], "N").into_owned()).collect()
}

#[test]
fn with_other_values_units_behave_as_they_did() {
    let outcome = recorded(FAILS).run();
    let record = outcome.path("record");
    let (status, same) = ask_with(&record, &["wait=any"]);
    assert_eq!(status, Some(0), "{same}");
    assert_eq!(messages(&same), messages(&String::from_utf8(ask(&record).stdout).unwrap()));

    let (status, more) = ask_with(&record, &["async.db.restart.max=4"]);
    assert_eq!(status, Some(0), "{more}");
    for part in [
        "giving up on async.db: 4 restarts in 60 s (restart.max)\n",
        "\ntrc exits with 1 after ",
        "\nRecorded: the run exited with 1 after ",
    ] {
        assert!(more.contains(part), "{part}\n{more}");
    }
    let (_, ignored) = ask_with(&record, &["wait=all", "async.db.on_failure=ignore"]);
    assert!(ignored.contains("\nthe run goes on: nothing more happens after "), "{ignored}");
}

#[test]
fn a_stop_from_outside_comes_again_at_its_time() {
    let toml =
        format!("[async.x]\nstop.timeout = '100ms'\nscript = \"\"\"trap '' TERM; {NEVER}\"\"\"\n");
    let outcome = recorded(&toml).signalled("ready", TERM);
    let record = outcome.path("record");
    let (_, text) = ask_with(&record, &["async.x.stop.timeout=3s"]);
    assert!(text.contains("stopping async.x: SIGTERM, then SIGKILL after 3 s"), "{text}");
    assert!(
        text.contains("killing the child process <pid=101>: async.x did not exit in time"),
        "{text}"
    );
    let (_, text) = ask_with(&record, &["async.x.stop.signal=KILL"]);
    assert!(!text.contains("did not exit in time"), "{text}");
}

#[test]
fn a_value_that_does_not_fit_is_said_with_its_key() {
    let outcome = recorded(FAILS).run();
    for (value, why) in [
        (
            "async.db.restart.mx=4",
            "--with does not fit the recorded run\nerror: unknown key `mx` in `[async.db]`\n  --> --with async.db.restart.mx=4",
        ),
        ("async.db.restart.max", "--with async.db.restart.max: expected KEY=VALUE"),
    ] {
        let (status, text) = ask_with(&outcome.path("record"), &[value]);
        assert_eq!(status, Some(64), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn what_the_record_cannot_tell_is_said() {
    let up = format!("script = '{NEVER}'\n");
    let late = format!("[async.x]\nready = {{ file = '/no/such', within = '50ms' }}\n{up}");
    let outcome = recorded(&late).run();
    let (_, text) = ask_with(&outcome.path("record"), &["async.x.ready.within=1s"]);
    assert!(text.contains("async.x was not ready within 1 s"), "{text}");
    assert!(text.contains("Not simulated: trc has stopped async.x after 0.0"), "{text}");

    let toml = format!("[async.x]\n{up}[test.t]\nexec = 'true'\n");
    let outcome = recorded(&toml).arg("--test").run();
    let (status, text) = ask_with(&outcome.path("record"), &["wait=all"]);
    assert_eq!(status, Some(64), "{text}");
    assert!(text.contains("what tests find cannot be simulated"), "{text}");

    let changed = fs::read_to_string(outcome.path("record")).unwrap();
    let (head, rest) = changed.split_once('\n').unwrap();
    let changed = format!(
        "{}\n{rest}",
        head.replace("\"testing\":{\"strict\":false,\"allowed\":{}}", "\"testing\":null")
    );
    fs::write(outcome.path("changed"), changed).unwrap();
    let (status, text) = ask_with(&outcome.path("changed"), &["wait=all"]);
    assert_eq!(status, Some(64), "{text}");
    assert!(text.contains("the engine decides differently than is recorded"), "{text}");
}

#[test]
fn the_command_line_of_boot_is_that_of_the_simulated_run() {
    let trc = recorded("").args(&["-B", "set -- sh -c 'exit 4'"]).args(&["sh", "-c", "exit 3"]);
    let outcome = trc.run();
    same(outcome.status(4));
    let (_, text) = ask_with(&outcome.path("record"), &["wait=all"]);
    assert!(text.contains("\ntrc exits with 4 after "), "{text}");
    assert!(text.contains("Not simulated: a boot script has changed the command line"), "{text}");
}

#[test]
fn a_list_can_be_emptied() {
    let toml = "wait = 'all'\n[async.a]\nexec = 'false'\n[async.b]\nafter = { a = 'succeeded' }\nexec = 'true'\n";
    let outcome = recorded(toml).run();
    let (_, text) = ask_with(&outcome.path("record"), &["async.b.after=[]"]);
    assert!(text.contains("Launching on the background: b: true"), "{text}");
}

#[test]
fn a_record_has_no_output_and_no_values_of_variables() {
    let toml = "\
[env]
ALL = 'hush-all'
[async.x]
env.OWN = 'hush-own'
ready.http = 'http://127.0.0.1:1/${GIVEN}'
ready.within = '100ms'
script = 'echo hush-said; env | grep RECORD; exec cat $W/never'
";
    let outcome = recorded(toml).env("GIVEN", "hush-given").run();
    let record = fs::read_to_string(outcome.path("record")).unwrap();
    // A unit's command is there as it is configured, and so is what trc says of it.
    assert!(record.contains("echo hush-said; env | grep RECORD"), "{record}");
    let rest = record.replace("echo hush-said", "");
    for hidden in ["hush-all", "hush-own", "hush-said"] {
        assert!(!rest.contains(hidden), "{hidden}\n{record}");
    }
    assert!(!outcome.out().contains("TRC_RECORD"), "units do not see the variable");
    same(&outcome);
}

#[test]
fn a_record_that_cannot_be_written_is_said_before_anything_runs() {
    let cases = [
        ("no/such/directory/record", "No such file or directory"),
        ("trc.d", "it is not a regular file"),
        ("never", "it is not a regular file"),
    ];
    table(
        &cases,
        |(path, _)| (*path).to_owned(),
        |(path, why)| {
            let trc = Trc::toml("[sync.x]\nexec = 'echo ran'\n").file("trc.d/README", "");
            let record = trc.path(path);
            let outcome = trc.env("TRC_RECORD", &record).run();
            outcome.status(78).stdout_is("");
            outcome
                .stderr_has(&format!("cannot write the record {}: ", record.display()))
                .stderr_has(why);
        },
    );
}

#[test]
fn the_record_of_the_run_before_is_kept() {
    let trc = recorded("[sync.x]\nexec = 'true'\n").file("record", "the run before\n");
    let outcome = trc.run();
    same(outcome.status(0));
    assert_eq!(fs::read_to_string(outcome.path("record.old")).unwrap(), "the run before\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(outcome.path("record")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

/// As `docker exec` starts it, with the variables of the container.
#[test]
fn a_second_trc_leaves_the_record_to_the_first() {
    let running = recorded(&format!("[async.x]\nscript = '{NEVER}'\n")).spawn();
    running.wait_for("ready");
    let second = Trc::toml("[sync.y]\nexec = 'echo second'\n")
        .env("TRC_RECORD", running.path("record"))
        .run();
    second.status(0).stdout_has("second\n");
    second.stderr_has("another trc writes its record to the file in TRC_RECORD; this run has none");
    running.signal(TERM);
    let text = same(running.finish().status(143));
    assert!(!text.contains("sync.y"), "{text}");
}

#[test]
fn a_run_goes_on_when_its_record_has_no_room() {
    let trc = recorded(FAILS).wrap(&["prlimit", "--fsize=1500"]);
    let outcome = trc.run();
    outcome.status(1).stderr_has("the record of this run ends there");
    let text = same(&outcome);
    assert!(text.contains(", and the run had not ended\n"), "{text}");
}

#[test]
fn what_is_no_record_is_said_with_its_line() {
    let head = |record: &str| {
        format!(
            "{{\"head\":{{\"record\":{record},\"trc\":\"9\",\"began\":0,\"pid\":1,\"chance\":0,\"silent\":false,\"terminal\":false,\"settings\":{{\"keys\":{{}},\"own\":[],\"units\":[],\"transparent\":false,\"testing\":null}}}}}}\n"
        )
    };
    let cases = [
        (String::new(), "it is not a record of a run"),
        ("hello\n".to_owned(), "it is not a record of a run"),
        (
            head("99"),
            "its format is version 99, and this trcctl knows only versions up to 1: use a newer trcctl",
        ),
        (
            head("1") + "{\"what\":1}\n",
            "line 2 is not an entry of a record: unknown variant `what`",
        ),
        (
            head("1") + "{\"step\":{\"at\":1,\"event\":{\"Executed\":{\"unit\":7}},\"then\":[]}}\n",
            "line 2 is about a unit that does not exist",
        ),
        (
            head("1").replace("\"keys\":{}", "\"keys\":{\"wait\":\"most\"}"),
            "its configuration is wrong",
        ),
    ];
    table(
        &cases,
        |(_, why)| (*why).to_owned(),
        |(text, why)| {
            let trc = Trc::new().file("record", text);
            let Output { status, stderr, .. } = ask(&trc.path("record"));
            let said = String::from_utf8_lossy(&stderr).into_owned();
            assert_eq!(status.code(), Some(64), "{said}");
            assert!(said.contains(why), "{said}");
        },
    );
}
