//! `trcctl simulate`: what it says about a run, and that trc then does the same with processes that
//! behave so.

mod against_trc;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

fn configuration(toml: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("trc.toml"), toml).unwrap();
    dir
}

fn simulate_in(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["simulate", "-w"])
        .arg(dir)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Returns what `trcctl simulate` prints.
fn simulate(toml: &str, arguments: &[&str]) -> String {
    let (status, out, err) = simulate_in(configuration(toml).path(), arguments);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    out
}

/// Returns the last line, which says how the run ends.
fn end(toml: &str, arguments: &[&str]) -> String {
    simulate(toml, arguments).lines().last().unwrap().to_owned()
}

fn wrong(toml: &str, arguments: &[&str]) -> String {
    let (status, out, err) = simulate_in(configuration(toml).path(), arguments);
    assert_eq!((status, out.as_str()), (Some(64), ""), "{err}");
    err
}

const SHOP: &str = "\
[async.db]
exec = 'postgres'
ready = { tcp = 5432, within = '30s' }
restart = { when = 'always', max = 2, backoff = '1s..1s' }

[async.web]
exec = 'nginx'
after = 'db'
stop = { signal = 'QUIT', timeout = '3s' }
health = { tcp = 80, then = 'stop' }

[halt.bye]
exec = 'rm -f /run/web.lock'
";

#[test]
fn without_suppositions_everything_starts_and_goes_on() {
    let expected = "    \
    0.000 info  trc        The wait policy: wait_any
    0.000 info  async.db   Launching on the background: db: postgres
    0.000 info  async.db   async.db is ready (after 0 s)
    0.000 info  async.web  Launching on the background: web: nginx

the run goes on after 3600 s
";
    assert_eq!(simulate(SHOP, &[]), expected);
}

#[test]
fn a_stop_takes_as_long_as_the_units_take() {
    let expected = "   \
   20.000 info  trc        Trying to terminate sub-processes...
   20.000 info  async.web  stopping async.web: SIGQUIT, then SIGKILL after 3 s
   20.000 info  async.web  terminating the child process <pid=102>
   22.000 info  async.web  Exiting on the background (exitcode=0): web: nginx
   22.000 info  async.db   stopping async.db: SIGTERM, then SIGKILL after 5 s
   22.000 info  async.db   terminating the child process <pid=101>
   22.000 info  async.db   Exiting on the background (exitcode=143): db: postgres
   22.000 info  halt.bye   Running the shutdown command: bye: rm -f /run/web.lock
   22.000 info  halt.bye   Exiting from the shutdown command (exitcode=0): bye: rm -f /run/web.lock
   22.000 info  trc        Exited (exitcode=143)
   22.000 error trc        stopped by SIGTERM from outside the container or from the kernel

trc exits with 143 after 22 s: stopped by SIGTERM from outside the container or from the kernel
";
    let all = simulate(SHOP, &["--signal", "TERM@20s", "--stop-takes", "web:2s"]);
    let stop = all.find("   20.000").unwrap();
    assert_eq!(&all[stop..], expected);
}

#[test]
fn a_unit_that_ignores_its_stop_signal_is_killed() {
    let all = simulate(SHOP, &["--signal", "TERM@20s", "--ignores-stop", "web"]);
    let killed = "   23.000 warn  async.web  killing the child process <pid=102>: async.web did not exit in time\n";
    assert!(all.contains(killed), "{all}");
    assert!(all.contains("\ntrc exits with 143 after 23 s: "), "{all}");
}

#[test]
fn each_process_of_a_unit_can_end_in_its_own_way() {
    let all = simulate(SHOP, &["--ends", "db:SIGKILL@10s", "--ends", "async.db:3@5s"]);
    let restarts: Vec<&str> = all.lines().filter(|line| line.contains(" restarting ")).collect();
    assert_eq!(restarts.len(), 2, "{all}");
    assert!(restarts[0].starts_with("   10.000 warn  async.db   restarting async.db in 0."));
    assert!(restarts[0].ends_with(": it was killed by SIGKILL (restart 1 within 60 s)"), "{all}");
    assert!(restarts[1].ends_with(": it failed with status 3 (restart 2 within 60 s)"), "{all}");
    assert!(all.ends_with("\nthe run goes on after 3600 s\n"), "{all}");
}

#[test]
fn all_later_processes_can_end_in_the_same_way() {
    let end = end(SHOP, &["--ends", "db:1@10s+"]);
    assert!(end.starts_with("trc exits with 1 after 3"), "{end}");
    assert!(end.ends_with(" s: async.db failed with status 1"), "{end}");
}

#[test]
fn a_unit_that_is_never_ready_keeps_others_from_starting() {
    let toml = "[async.db]\nexec = 'db'\nready.tcp = 1\n[async.web]\nexec = 'web'\nafter = 'db'\n";
    let all = simulate(toml, &["--never-ready", "db"]);
    assert!(!all.contains("web: web"), "{all}");
    assert!(
        all.contains("\n   60.000 error async.db  async.db was not ready within 60 s"),
        "{all}"
    );
    let end = all.lines().last().unwrap();
    assert_eq!(end, "trc exits with 124 after 60 s: async.db was not ready in time");
}

#[test]
fn a_command_that_is_not_there_cannot_be_started() {
    let end = end("[sync.app]\nexec = '/app/server -v'\n", &["--not-started", "app"]);
    let expected = "trc exits with 127 after 0 s: sync.app could not be started: /app/server: no such \
                    file, or its loader is missing (";
    assert!(end.starts_with(expected), "{end}");
}

#[test]
fn a_unit_becomes_unhealthy() {
    let end = end(SHOP, &["--unhealthy", "web@15s"]);
    assert!(end.starts_with("trc exits with 1 after 40 s: async.web was unhealthy"), "{end}");
}

#[test]
fn a_unit_can_be_ready_later() {
    let all = simulate(SHOP, &["--ready", "db@2s"]);
    let started = "    2.050 info  async.web  Launching on the background: web: nginx\n";
    assert!(all.contains("async.db is ready (after 2.05 s)"), "{all}");
    assert!(all.contains(started), "{all}");
}

#[test]
fn units_run_on_their_schedules() {
    let toml = "[async.job]\nexec = 'job'\nschedule = 'every 15m'\n[async.web]\nexec = 'web'\n";
    let all = simulate(toml, &[]);
    assert_eq!(all.matches("Launching on the background: job").count(), 4, "{all}");
    let daily = toml.replace("every 15m", "@daily");
    assert_eq!(simulate(&daily, &[]).matches("job").count(), 0);
    let due = simulate(&daily, &["--due", "job@5s", "--ends", "job:1@1s"]);
    assert!(
        due.contains(
            "    6.000 warn  async.job  async.job failed with status 1; its schedule goes on\n"
        ),
        "{due}"
    );
}

#[test]
fn tests_pass_if_they_are_simulated() {
    let toml = "[async.web]\nexec = 'web'\nready.tcp = 80\n[test.front]\nexpect.tcp = 80\n";
    assert_eq!(end(toml, &["--test"]), "trc exits with 0 after 0.5 s: all tests passed");
    assert_eq!(end(toml, &[]), "the run goes on: nothing more happens after 0 s");
    let late = end(toml, &["--test", "--never-ready", "web"]);
    assert!(late.starts_with("trc exits with "), "{late}");
}

#[test]
fn the_faults_of_tests_are_simulated() {
    let toml = "\
[async.db]
exec = 'db'
restart = 'always'

[test.heals]
expect = { fault = { unit = 'db', kill = 'KILL' }, tcp = 5432 }
";
    let all = simulate(toml, &["--test"]);
    assert!(all.contains(" restarting async.db in 0."), "{all}");
    assert!(all.contains(" info  test.heals  test.heals passed\n"), "{all}");
    assert!(all.ends_with(": all tests passed\n"), "{all}");
}

#[test]
fn a_unit_with_a_pid_file_goes_into_the_background() {
    let toml = "[async.db]\nexec = 'db'\npid_file = '/run/db.pid'\n";
    let all = simulate(toml, &["--ends", "db:3@10s"]);
    let expected = "    \
    0.000 info  async.db  async.db has put itself into the background; its main process is 102
    0.000 info  async.db  async.db is ready (after 0 s)
   10.000 info  async.db  Exiting on the background (exitcode=3): db: db
";
    assert!(all.contains(expected), "{all}");
    assert!(
        all.ends_with("\ntrc exits with 3 after 10 s: async.db failed with status 3\n"),
        "{all}"
    );
}

#[test]
fn a_unit_handles_the_signals_that_are_forwarded_to_it() {
    let toml = "signals.HUP = { forward = 'HUP', to = ['a'] }\n[async.a]\nexec = 'a'\n";
    let goes_on = "the run goes on: nothing more happens after 5 s";
    assert_eq!(end(toml, &["--signal", "HUP@5s"]), goes_on);
}

/// It is not taken for a key of the terminal.
#[test]
fn a_foreground_unit_can_be_killed_by_sigint() {
    let killed = end("[sync.a]\nexec = 'a'\n", &["--ends", "a:SIGINT@1s"]);
    assert_eq!(killed, "trc exits with 130 after 1 s: sync.a was killed by SIGINT");
}

#[test]
fn hooks_and_stop_commands_run_at_once() {
    let toml = "\
[async.a]
exec = 'a'
pre_start = 'mk'
post_stop = 'rm'
stop.exec = 'a quit'
";
    let expected = "    \
    0.000 info  trc      The wait policy: wait_any
    0.000 info  async.a  Launching the pre_start of async.a: mk
    0.000 info  async.a  Launching on the background: a: a
    5.000 info  trc      Trying to terminate sub-processes...
    5.000 info  async.a  stopping async.a: its stop command, then SIGKILL after 5 s
    5.000 info  async.a  terminating the child process <pid=102>
    5.000 info  async.a  Exiting on the background (exitcode=0): a: a
    5.000 info  trc      Exited (exitcode=143)
    5.000 error trc      stopped by SIGTERM from outside the container or from the kernel

trc exits with 143 after 5 s: stopped by SIGTERM from outside the container or from the kernel
";
    assert_eq!(simulate(toml, &["--signal", "TERM@5s"]), expected);
}

#[test]
fn without_units_there_is_nothing_to_run() {
    let all = simulate("", &[]);
    assert!(all.starts_with("    0.000 warn  trc  there is nothing to run: no unit in trc.toml"));
    assert!(all.ends_with("\ntrc exits with 0 after 0 s: every unit has ended\n"), "{all}");
}

/// A single command has no lines, as in a real run.
#[test]
fn a_command_alone_is_simulated_without_a_log() {
    let arguments = ["simulate", "--bare", "--ends", "cmd:3@1s", "--", "nginx"];
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl")).args(arguments).env_clear().output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(text, "trc exits with 3 after 1 s: sync.cmd failed with status 3\n");
}

#[test]
fn the_simulation_stops_after_the_time_for_it() {
    assert_eq!(end(SHOP, &["--for", "90s"]), "the run goes on after 90 s");
    let idle = "[async.a]\nexec = 'a'\n";
    let rests = "the run goes on: nothing more happens after 0 s";
    assert_eq!(end(idle, &[]), rests);
}

#[test]
fn a_run_that_goes_on_without_a_unit_says_so() {
    let toml = "[async.a]\nexec = 'a'\n[async.b]\nexec = 'b'\non_failure = 'ignore'\n";
    let all = simulate(toml, &["--ends", "b:2@10s"]);
    let expected = "\n\nthe run goes on: nothing more happens after 10 s\n\
                    async.b failed with status 2, and nothing restarts it\n";
    assert!(all.ends_with(expected), "{all}");
}

#[test]
fn an_expected_status_is_checked() {
    let dir = configuration("[async.a]\nexec = 'a'\n");
    let status = |arguments: &[&str]| {
        let (status, _, err) = simulate_in(dir.path(), arguments);
        (status, err)
    };
    let ok = (Some(0), String::new());
    assert_eq!(status(&["--ends", "a:3@1s", "--expect", "3"]), ok);
    let why = "trcctl: the run is expected to exit with 0, but it exits with 3\n".to_owned();
    assert_eq!(status(&["--ends", "a:3@1s", "--expect", "0"]), (Some(1), why));
    let why = "trcctl: the run is expected to exit with 0, but it goes on\n".to_owned();
    assert_eq!(status(&["--expect", "0"]), (Some(1), why));
}

#[test]
fn json_has_the_lines_and_the_end() {
    let text = simulate("[async.a]\nexec = 'a'\n", &["--ends", "a:3@1s", "--format", "json"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let lines = value["lines"].as_array().unwrap();
    let exited = json!({
        "at": 1.0,
        "level": "info",
        "unit": "async.a",
        "event": "exited",
        "exitcode": 3,
        "message": "Exiting on the background (exitcode=3): a: a",
    });
    assert_eq!(lines[2], exited);
    assert_eq!(value["ends"], json!(true));
    assert_eq!(value["exitcode"], json!(3));
    assert_eq!(value["after"], json!(1.0));
    assert_eq!(value["reason"], json!("async.a failed with status 3"));
    let unit = json!({ "name": "async.a", "state": "ended", "processes": 1, "restarts": 0 });
    assert_eq!(value["units"], json!([unit]));
}

#[test]
fn every_single_failure_is_a_row_of_a_table() {
    let toml = "\
[async.db]
exec = 'postgres'
ready.tcp = 5432
restart = 'always'

[async.mail]
exec = 'mailer'
on_failure = 'ignore'

[async.backup]
exec = 'backup'
autostart = false
";
    let expected = "\
UNIT          WHAT HAPPENS TO IT       THE CONTAINER                      RESTARTS
async.db      exits with 1 after 10 s  restarts it                               1
              exits with 0 after 10 s  restarts it                               1
              is killed after 10 s     restarts it                               1
              cannot be started        restarts it again and again              35
              is never ready           restarts it again and again               9
              ignores its stop signal  exits with 143, 5 s after SIGTERM         0
async.mail    exits with 1 after 10 s  goes on without it                        0
              exits with 0 after 10 s  exits with 143 after 10 s                 0
              is killed after 10 s     goes on without it                        0
              cannot be started        goes on without it                        0
              ignores its stop signal  exits with 143, 5 s after SIGTERM         0
async.backup  exits with 1 after 10 s  never starts it                           0
              exits with 0 after 10 s  never starts it                           0
              is killed after 10 s     never starts it                           0
              cannot be started        never starts it                           0
              ignores its stop signal  never starts it                           0

after 3 of these 16 failures, the container goes on without the unit
";
    assert_eq!(simulate(toml, &["--all-single-failures"]), expected);
    let rows = simulate(toml, &["--all-single-failures", "--format", "json"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    let first = json!({
        "unit": "async.mail",
        "failure": "exits",
        "status": 1,
        "container": "goes-on-without",
        "exitcode": null,
        "after": null,
        "reason": null,
        "restarts": 0,
    });
    assert_eq!(rows[6], first);
}

#[test]
fn wrong_suppositions_are_refused() {
    for (arguments, expected) in [
        (&["--ends", "dbb:1@10s"][..], "error: there is no unit `dbb` (did you mean `db`?)\n"),
        (&["--never-ready", "web"], "error: async.web has no `ready`\n"),
        (&["--unhealthy", "db@1s"], "error: async.db has no `health`\n"),
        (&["--due", "db@1s"], "error: async.db has no `schedule`\n"),
        (
            &["--ends", "db:1@1s+", "--ends", "db:2@1s"],
            "error: only the last --ends of async.db can have a `+`\n",
        ),
        (
            &["--signal", "TERM@2h"],
            "error: a signal at 7200 s comes after the end of the simulation: --for is 3600 s\n",
        ),
        (
            &["--ends", "db:1"],
            "error: invalid value 'db:1' for '--ends <UNIT:STATUS@TIME>': expected UNIT:STATUS@TIME, such \
             as db:1@10s or db:SIGKILL@10s\n",
        ),
        (
            &["--all-single-failures", "--never-ready", "db"],
            "error: --all-single-failures chooses what happens itself, and has no single exit status\n",
        ),
    ] {
        let said = wrong(SHOP, arguments);
        assert!(said.starts_with(expected), "{arguments:?}\n{said}");
    }
}

#[test]
fn names_without_a_stage_have_to_be_of_one_unit() {
    let toml = "[async.a]\nexec = 'a'\n[sync.a]\nexec = 'a'\n[async.out]\nready.tcp = 1\n";
    let said = wrong(toml, &["--ignores-stop", "a"]);
    assert!(said.starts_with("error: `a` is ambiguous: it may be async.a or sync.a\n"), "{said}");
    let said = wrong(toml, &["--ends", "out:1@1s"]);
    let external = "error: async.out is external: trc starts no process for it\n";
    assert!(said.starts_with(external), "{said}");
}

#[test]
fn a_configuration_with_errors_gets_those_of_check() {
    let dir = configuration("[async.web]\nexex = 'x'\n");
    let (status, out, err) = simulate_in(dir.path(), &[]);
    assert_eq!((status, out.as_str()), (Some(78), ""));
    let check = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "-w"])
        .arg(dir.path())
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(err, String::from_utf8(check.stderr).unwrap());
}

/// The examples in the docs are what it prints about the configuration above them.
#[test]
fn the_docs_show_what_it_prints() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trcctl.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Find out what happens if a unit fails\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = |language: &str| -> Vec<&str> {
        let begin = format!("```{language}\n");
        let rests = section.split(begin.as_str()).skip(1);
        rests.map(|rest| rest.split("```").next().unwrap()).collect()
    };
    let toml = blocks("toml")[0];
    let mut count = 0;
    for example in blocks("console") {
        let (command, expected) = example.split_once('\n').unwrap();
        let arguments = command.strip_prefix("$ trcctl simulate ").unwrap();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        assert_eq!(simulate(toml, &arguments), expected, "{command}");
        count += 1;
    }
    assert_eq!(count, 2);
}
