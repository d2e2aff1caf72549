//! trc reaps zombies, whoever they belonged to, and nothing outlives it: the harness fails a test
//! if something does.

use crate::common::{MODES, Running, TERM, Trc, USR1, children_of, number_from, state_of, table};

/// Forks twice for each orphan, as fast as a small shell can.
fn storm(orphan: &str, count: usize) -> String {
    format!(
        "i=0; while [ $i -lt {count} ]; do ({orphan} &); i=$((i+1)); done; echo made; read x <$W/go"
    )
}

#[track_caller]
fn wait_until_no_zombie_is_left(running: &Running) {
    let pid = running.pid();
    running.wait_until("no zombie is left", || {
        children_of(pid).iter().all(|&child| state_of(child) != Some('Z'))
    });
}

/// The ways to run the storm, each of which takes its own path through trc: captured, in the
/// foreground, and as the only command in transparent mode.
const WAYS: [&str; 3] = ["async", "sync", "transparent"];

fn run_as(way: &str, script: &str) -> Trc {
    let trc = Trc::new().file("storm", script);
    match way {
        "transparent" => trc.args(&["sh", "storm"]),
        stage => trc.file("trc.toml", format!("wait = 'all'\n[{stage}.x]\nexec = 'sh storm'\n")),
    }
}

#[test]
fn orphans_that_end_at_full_speed_are_all_reaped() {
    // A real storm has 20,000.
    let count = number_from("TRC_TEST_ORPHANS", 2_000);
    let rows: Vec<_> = MODES.into_iter().flat_map(|mode| WAYS.map(|way| (mode, way))).collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(mode, way)| {
            let running = run_as(way, &storm(":", count / WAYS.len())).mode(mode).spawn();
            running.wait_for("made");
            wait_until_no_zombie_is_left(&running);
            running.open_gate("go");
            running.finish().status(0);
        },
    );
}

#[test]
fn orphans_that_all_end_at_once_are_all_reaped() {
    let rows: Vec<_> = MODES.into_iter().flat_map(|mode| WAYS.map(|way| (mode, way))).collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(mode, way)| {
            let script = storm("read x <$W/together", 300);
            let running = run_as(way, &script).fifo("together").mode(mode).spawn();
            running.wait_for("made");
            let pid = running.pid();
            running.wait_until("trc has adopted them", || children_of(pid).len() > 300);
            // Every process that has opened the pipe sees its end when this process closes it.
            running.wait_until("all are gone", || {
                running.open_if_read("together");
                children_of(pid).len() <= 1
            });
            running.open_gate("go");
            running.finish().status(0);
        },
    );
}

/// Processes that nobody waits for, and that block forever.
#[test]
fn orphans_that_do_not_end_are_killed() {
    for mode in MODES {
        for way in ["async", "sync"] {
            let script = storm("cat $W/never", 100);
            let running = run_as(way, &script).mode(mode).spawn();
            running.wait_for("made").open_gate("go");
            running.finish().status(0);
        }
    }
}

#[test]
fn orphans_in_sessions_of_their_own_are_killed() {
    for mode in MODES {
        let script = storm("setsid cat $W/never", 50);
        run_as("sync", &script).mode(mode).signalled("made", USR1).status(138);
    }
}

/// A process that starts another one in its place before it can be killed.
#[test]
fn processes_that_fork_faster_than_they_are_killed_lose() {
    let script = "echo x >>$W/turns\n(setsid sh $W/again &)\n";
    for mode in MODES {
        let running = Trc::with(&["-F", "setsid sh $W/again & echo ready; read x <$W/never"])
            .file("again", script)
            .mode(mode)
            .spawn();
        running.wait_for("ready").wait_for_file("turns");
        running.signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn a_storm_of_orphans_delays_no_signal() {
    for mode in MODES {
        let script = "echo ready; while :; do (: &); done";
        Trc::with(&["-D", script]).mode(mode).signalled("ready", USR1).status(138);
    }
}
