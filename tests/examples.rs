//! The examples run as they are. `containers.rs` and `web_stack.rs` run `examples/opensmtpd` and
//! `examples/web-stack` in containers.

use std::path::Path;

use crate::common::{INT, MODES, Trc};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart");

/// TrivialRC's way to turn 138, and nothing else, into 0.
const HALT: &str = "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";

fn quickstart() -> Trc {
    let trc = Trc::new().no_work_dir().args(&["-w", QUICKSTART]).env("TICKS", "0.01");
    let dir = trc.dir().to_owned();
    trc.env("TMPDIR", dir)
}

#[test]
fn quickstart_runs_until_a_signal_and_stops_in_reverse() {
    for mode in MODES {
        let running = quickstart().mode(mode).spawn();
        running.wait_for("tick 20").signal(INT);
        let outcome = running.finish();
        outcome.status(130).stdout_lines(&[
            r"<async/\d+\]: Launching on the background: ticker: .*",
            r"<async/\d+\]: Launching on the background: watcher: .*",
            r"<ticker/\d+\]: tick 20",
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            r"<async/\d+\]: Exiting on the background \(exitcode=143\): watcher: .*",
            r"<async/\d+\]: Exiting on the background \(exitcode=143\): ticker: .*",
            "ended with 130: stopped by SIGINT from .*",
        ]);
    }
}

#[test]
fn quickstart_tests_itself() {
    for mode in MODES {
        let test = "until test \"$(cat $COUNT)\" -gt 2; do sleep 0.01; done; kill -10 ${MAINPID}";
        let outcome = quickstart().args(&["-H", HALT, "-D", test]).mode(mode).run();
        outcome.status(0).stdout_lines(&[
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            r"<main/\d+\]: Exited \(exitcode=0\)",
        ]);
    }
}

#[test]
fn quickstarts_declared_tests_pass_and_fail_for_a_reason() {
    for mode in MODES {
        let outcome = quickstart().arg("--test").mode(mode).run();
        outcome.status(0).stdout_has("\nok 1 - test.counts: the count grows\n");
        outcome.stdout_has("ok 2 - test.stays").stdout_has(", 0 failed, 0 skipped, 0 excused");
    }
    let stuck = quickstart().env("TICKS", "1000").arg("--test=counts");
    let outcome = stuck.env("TRC_TEST__COUNTS__EXPECT__WITHIN", "200ms").run();
    outcome.status(1).stdout_has("not ok 1 - test.counts").stderr_has("tests failed: test.counts");
}

#[test]
fn quickstart_says_why_its_test_failed() {
    for mode in MODES {
        let outcome = quickstart().args(&["-H", HALT, "-D", "exit 3"]).mode(mode).run();
        // As in TrivialRC, a background script never decides the exit status.
        outcome.status(143).stderr_lines(&[
            r"<main/\d+\]: halt\.H1 failed with status 143; before that async\.D1 failed with status 3",
        ]);
    }
}

/// The service that it watches is stuck, so the container is not healthy.
#[test]
fn quickstart_ends_when_its_service_is_stuck() {
    let outcome = quickstart().env("TICKS", "1000").run();
    outcome.status(1).stderr_lines(&[
        r"<watcher/\d+\]: the ticker is stuck at 1",
        r"<main/\d+\]: async\.watcher failed with status 1; its last output: the ticker is stuck at 1",
    ]);
}

/// The declaration of the mail server is correct, with or without a container engine.
#[test]
fn the_mail_servers_units_load() {
    let trcctl = env!("CARGO_BIN_EXE_trcctl");
    for (folder, unit) in
        [("opensmtpd", "async.opensmtpd"), ("opensmtpd/declared", "async.opensmtpd")]
    {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
        let outcome = Trc::new().program(trcctl).args(&["check", "-w"]).arg(dir).run();
        outcome.status(0).stderr_is("").stdout_has("ok: 1 unit").stdout_has(unit);
    }
}

#[test]
fn the_web_stacks_units_load() {
    let trcctl = env!("CARGO_BIN_EXE_trcctl");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/web-stack");
    let outcome = Trc::new().program(trcctl).args(&["check", "-w"]).arg(dir).run();
    // There are no warnings either, such as about a stop that takes longer than docker waits.
    outcome.status(0).stderr_is("").stdout_has("ok: 6 units");
}
