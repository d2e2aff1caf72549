//! `trcctl test` with `--repeat`, `--faults` and `--delay-each`: more than one run.

use serde_json::Value;

use crate::common::{INT, NEVER, Outcome, Trc, binary, table};

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// A service that keeps running until it is asked to exit.
const DB: &str = "[async.db]\nexec = ['sh', '-c', 'echo >$W/db; echo up; exec cat $W/never']\nready.log = 'up'\n";

/// A service that finds no db if it is earlier.
const WEB: &str = "[async.web]\nexec = ['sh', '-c', 'read x <$W/db || exit 3; echo up; exec cat $W/never']\n\
    ready.log = 'up'\n";

const FRONT: &str = "[test.front]\nexec = 'true'\n";

fn tested(toml: &str, arguments: &[&str]) -> Trc {
    Trc::toml(toml).program(TRCCTL).args(&["test", "--trc"]).arg(binary()).args(arguments)
}

fn parsed(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.out()).unwrap_or_else(|why| outcome.fail(&why.to_string()))
}

#[test]
fn what_passes_only_sometimes_is_flaky() {
    let toml = format!(
        "{DB}[test.odd]\nscript = '''echo >>$W/runs; [ $(wc -l <$W/runs) != 2 ]'''\n[test.even]\nexec = 'true'\n"
    );
    let outcome = tested(&toml, &["--repeat", "3"]).run();
    outcome.status(1).stderr_is("").stdout_lines_exactly(&[
        r"FAIL  run 2 +[\d.]+ m?s  test\.odd",
        "",
        "time to ready       min    median       p90       max     limit",
        r"async\.db( +[\d.]+ m?s){4} +60 s",
        "",
        "time of tests       min    median       p90       max     limit",
        r"test\.odd( +[\d.]+ m?s){4} +–",
        r"test\.even( +[\d.]+ m?s){4} +–",
        "",
        r"flaky: test\.odd passed in 2 of 3 runs",
        "  expected: exit status is 0; found: it exited with 1 .*",
        "",
        r"2 runs passed, 1 failed; [\d.]+ m?s",
    ]);
    let report = parsed(&tested(&toml, &["--repeat", "3", "--json", "odd"]).run());
    assert_eq!((&report["series"], &report["passed"]), (&"repeat".into(), &false.into()));
    assert_eq!(report["runs"][1]["failed"][0]["name"], "test.odd");
    assert_eq!(report["units"][0]["name"], "async.db");
    assert_eq!(
        (&report["units"][0]["count"], &report["units"][0]["limit_ms"]),
        (&3.into(), &60000.into())
    );
    assert_eq!((&report["flaky"][0]["passed"], &report["flaky"][0]["of"]), (&2.into(), &3.into()));
    // Only the test that was asked for has run.
    assert_eq!(report["tests"].as_array().unwrap().len(), 1);
}

#[test]
fn runs_that_all_pass_exit_with_0() {
    let outcome = tested(&format!("{DB}{FRONT}"), &["--repeat", "2"]).run();
    outcome.status(0).stdout_has("2 runs passed; ").stdout_lacks("run 1");
}

#[test]
fn jitter_starts_each_service_at_another_moment() {
    let toml =
        format!("{DB}{WEB}after = ['db']\n[async.once]\nexec = 'true'\noneshot = true\n{FRONT}");
    let outcome = tested(&toml, &["--repeat", "2", "--jitter=50ms", "--json"]).run();
    let report = parsed(outcome.status(0));
    let what = report["runs"][0]["what"].as_str().unwrap();
    let expected = regex::Regex::new(r"^db \+\d+ ms, web \+\d+ ms, once \+\d+ ms$").unwrap();
    assert!(expected.is_match(what), "{what}");
    assert_ne!(report["runs"][0]["what"], report["runs"][1]["what"]);
    // The units that make others wait are no part of the result.
    assert!(!outcome.out().contains("hold-back"), "{}", outcome.out());
}

#[test]
fn each_service_is_killed_and_suspended_in_turn() {
    let toml = format!(
        "{DB}restart = 'always'\n{}[async.once]\nexec = 'true'\noneshot = true\n\
         [test.front]\nafter = {{ db = 'ready' }}\nscript = 'echo front >>$W/ran'\n\
         [test.damage]\nexpect.fault = {{ unit = 'db', kill = 'SIGKILL' }}\n",
        WEB.replace("ready.log", "after = ['db']\nready.log"),
    );
    let outcome = tested(&toml, &["--faults", "kill"]).run();
    outcome.status(0).stderr_is("").stdout_lines_exactly(&[
        r"ok    as it is +[\d.]+ m?s",
        r"ok    kill-db +[\d.]+ m?s  async\.db gets SIGKILL",
        r"skip  kill-web +async\.web has no `restart`",
        r"skip  async\.once +it is a one-shot",
        "",
        r"2 runs passed, 2 skipped; [\d.]+ m?s",
    ]);
    // In the second run the test came after the fault.
    assert_eq!(std::fs::read_to_string(outcome.path("ran")).unwrap(), "front\nfront\n");
    let outcome = tested(&toml, &["--faults", "freeze", "front"]).run();
    outcome.status(0).stdout_lines(&[
        r"ok    freeze-db +[\d.]+ s  async\.db is suspended for 5 s",
        r"ok    freeze-web +[\d.]+ s  async\.web is suspended for 5 s",
    ]);
}

#[test]
fn a_service_that_does_not_come_back_is_named_and_so_is_one_that_dies_with_it() {
    // Only the first start succeeds.
    let db = "[async.db]\nexec = ['sh', '-c', 'mkdir $W/once || exit 4; echo up; cat $W/never']\n\
        ready.log = 'up'\nrestart = { when = 'on-failure', max = 1, backoff = '10ms' }\n";
    let toml = format!("{db}{FRONT}");
    let outcome = tested(&toml, &["--faults", "all"]).run();
    outcome.status(1).stdout_has("the tests fail as they are: nothing else was tried\n");

    let dies = "[async.worker]\nexec = ['sh', '-c', 'echo up; read x <$W/gone; exit 5']\nready.log = 'up'\n\
        after = ['db']\n";
    let db = "[async.db]\nexec = ['sh', '-c', '''[ ! -e $W/second ] || echo >$W/gone\ntouch $W/second\n\
        echo up; trap 'rm $W/second; exit 0' TERM; while :; do read x <$W/never; done''']\n\
        ready.log = 'up'\nrestart = 'always'\n";
    let toml = format!("{db}{dies}{FRONT}");
    let outcome = tested(&toml, &["--faults", "kill"]).before("mkfifo $W/gone").run();
    outcome.status(1).stdout_lines(&[
        r"ok    as it is .*",
        r"FAIL  kill-db .* async\.worker\.run.*",
        r"kill-db: async\.db gets SIGKILL",
        r"  async\.worker\.run +.*",
        r#"  help: async\.worker did not survive it: if it shall restart with db, write restart = \{ when = "always", with = \["db"\] \} in \[async\.worker\]"#,
    ]);
}

#[test]
fn a_missing_after_is_found_and_suggested() {
    // Usually the db is earlier, because web takes its time. The file of an earlier run would hide the
    // mistake.
    let late = WEB.replace("read x", "sleep 1; read x");
    let toml = format!("{DB}{late}{FRONT}");
    let clean = "[boot.clean]\nscript = 'rm -f $W/db'\n";
    let outcome = tested(&format!("{clean}{toml}"), &["--delay-each=3s"]).run();
    outcome.status(1).stderr_is("").stdout_lines(&[
        r"ok    as it is .*",
        r"FAIL  delay-db .*async\.web\.run.*",
        r"ok    delay-web .* async\.web starts 3 s later",
        r"delay-db: async\.db starts 3 s later",
        r"  async\.web\.run +it failed with status 3.*",
        r#"  help: async\.web does not wait for db: write after = \["db"\] in \[async\.web\]"#,
        r"2 runs passed, 1 failed; .*",
    ]);
    let right =
        format!("{clean}{DB}{}{FRONT}", late.replace("ready.log", "after = ['db']\nready.log"));
    tested(&right, &["--delay-each=1s"]).run().status(0).stdout_has("3 runs passed; ");
}

#[test]
fn ctrl_c_ends_a_series_with_the_runs_so_far() {
    let toml = format!("{DB}[test.hangs]\nscript = '''echo began >$W/began\n{NEVER}'''\n");
    let running = tested(&toml, &["--repeat", "5"]).spawn();
    running.wait_for_file("began");
    running.signal(INT);
    running.finish().status(1).stdout_has("\ninterrupted: 1 of 5 runs\n");
}

#[test]
fn a_series_that_cannot_be_is_refused() {
    let service = format!("{DB}{FRONT}");
    let once = "[async.once]\nexec = 'true'\noneshot = true\n[test.a]\nexec = 'true'\n";
    let cases: [(&str, &[&str], i32, &str); 6] = [
        (&service, &["--json"], 64, "--json is for --repeat, --faults and --delay-each"),
        (&service, &["--repeat", "2", "--report", "junit=j"], 64, "--report is for a single run"),
        (&service, &["--repeat", "2", "--list"], 64, "--list runs nothing"),
        (&service, &["--repeat", "0"], 64, "0 is not in 1..=100000"),
        (
            once,
            &["--faults", "all"],
            78,
            "error: there is nothing to try: async.once: it is a one-shot",
        ),
        ("[async.db]\nexek = 'true'\n", &["--repeat", "2"], 78, "error: unknown key `exek`"),
    ];
    table(
        &cases,
        |case| format!("{:?}", case.1),
        |(toml, arguments, status, why)| {
            tested(toml, arguments).run().status(*status).stderr_has(why);
        },
    );
}
