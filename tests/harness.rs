//! Tests of the harness itself, with a shell in the place of trc.

use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::browser::{Browser, call, processes_with};
use crate::common::{MODES, TERM, Trc, alone, has, patience, table};

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
fn a_test_that_runs_alone_holds_up_the_runs_of_others() {
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let turn = alone();
        let (sender, asked) = std::sync::mpsc::channel();
        let other = std::thread::Builder::new().name("another test".into());
        let order = &order;
        other
            .spawn_scoped(scope, move || {
                sender.send(()).unwrap();
                shell("exit 3").run().status(3);
                order.lock().unwrap().push("another");
            })
            .unwrap();
        asked.recv().unwrap();
        // Its own runs are not held up, nor are those of its threads.
        shell("exit 3").run().status(3);
        table(&[3, 4], ToString::to_string, |status| {
            shell(&format!("exit {status}")).run().status(*status);
        });
        order.lock().unwrap().push("its own");
        drop(turn);
    });
    assert_eq!(order.into_inner().unwrap(), ["its own", "another"]);
}

#[test]
fn what_outlives_a_run_is_found_and_killed() {
    // Writing to `go` waits until cat reads it: until then, it may have no environment to be found by.
    let leave_cat = "cat go never >out 2>&1 & : >go; echo $!";
    let failed = std::panic::catch_unwind(|| shell(leave_cat).run());
    let Err(why) = failed else { panic!("nothing was found") };
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("these outlive trc") && why.contains("cat go never"), "{why}");
}

#[test]
fn a_gate_opens() {
    let running = shell("read x <$W/go; echo $x").spawn();
    running.open_gate("go");
    running.finish().status(0).stdout_is("go\n");
}

#[test]
fn a_browser_goes_with_a_test_that_fails() {
    if !has("chromedriver") {
        return;
    }
    let mut mark = String::new();
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let browser = Browser::new();
        mark = browser.mark();
        assert!(!processes_with(&mark).is_empty(), "no browser has {mark}");
        panic!("the test fails");
    }));
    assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"the test fails"));
    // Those that have been killed may not have exited yet.
    let end = Instant::now() + patience();
    while !processes_with(&mark).is_empty() {
        assert!(Instant::now() < end, "{:?} are left", processes_with(&mark));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_driver_that_does_not_answer_fails_the_test() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let answer = call(port, "GET", "/status", &Value::Null, Duration::from_millis(50));
    assert_eq!(answer.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
