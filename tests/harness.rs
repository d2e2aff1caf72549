//! Tests of the harness itself, with a shell in the place of trc.

use crate::common::{MODES, TERM, Trc};

fn shell(text: &str) -> Trc {
    Trc::new().program("sh").args(&["-c", text])
}

#[test]
fn a_status_and_both_streams_are_captured() {
    for mode in MODES {
        let outcome = shell("echo out; echo err >&2; exit 3").mode(mode).run();
        outcome.status(3).stdout_is("out\n").stderr_is("err\n");
    }
}

#[test]
fn a_signal_reaches_the_process_in_trcs_place() {
    for mode in MODES {
        let running =
            shell("trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep .05; done")
                .mode(mode)
                .spawn();
        running.wait_for("ready").signal(TERM);
        running.finish().status(7).stdout_is("ready\ncaught\n");
    }
}

#[test]
fn what_outlives_a_run_is_found_and_killed() {
    let failed = std::panic::catch_unwind(|| shell("cat never >out 2>&1 & echo $!").run());
    let Err(why) = failed else { panic!("nothing was found") };
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("these outlive trc") && why.contains("cat never"), "{why}");
}

#[test]
fn a_gate_opens() {
    let running = shell("read x <$W/go; echo $x").spawn();
    running.open_gate("go");
    running.finish().status(0).stdout_is("go\n");
}
