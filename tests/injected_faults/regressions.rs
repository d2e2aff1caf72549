//! Faults that trc once handled wrongly, named after what broke.

use super::{Came, SITUATIONS, can_trace, has, judge_case, matrix, usable, without_fault};
use std::collections::BTreeMap;

/// Runs the cases of a situation whose names begin with this, and checks their results.
#[track_caller]
fn each(situation: &str, calls: &[&str], expected: impl Fn(Came) -> bool) {
    if !has("strace") || !can_trace() {
        return;
    }
    let at = SITUATIONS.iter().position(|one| one.name == situation).expect("a situation");
    if !usable(&SITUATIONS[at]) {
        return;
    }
    let plain = BTreeMap::from([(at, without_fault(&SITUATIONS[at]))]);
    let begins =
        |name: &str| calls.iter().any(|call| name[situation.len() + 1..].starts_with(call));
    let mut made = 0;
    for case in matrix(&plain).into_iter().filter(|case| begins(&case.name())) {
        let (came, outcome) = judge_case(&case, &plain[&at]);
        made += usize::from(came != Came::NotMade);
        if came != Came::NotMade && !expected(came) {
            outcome.fail(&format!("{} came to {came:?}", case.name()));
        }
    }
    assert!(made > 0, "no such call is made: {situation}/{calls:?}");
}

fn no_difference(came: Came) -> bool {
    came == Came::NoDifference
}

/// While trc reads the configuration, such a fault is an error in the configuration.
fn no_difference_but_for_the_configuration(came: Came) -> bool {
    matches!(came, Came::NoDifference | Came::Said(78))
}

/// If one waitid(2) failed, trc never looked for that exit again.
#[test]
fn an_end_is_seen_although_waitid_failed_once() {
    each("halt", &["waitid:ECHILD", "waitid:EINTR:1", "wait4:EINTR"], no_difference);
}

/// The sweep used to ask for four million pids, one after another, however long that takes.
#[test]
fn a_stop_ends_in_time_although_proc_can_t_be_read() {
    let calls = ["openat:EMFILE:13", "openat:EMFILE:2", "getdents64:EIO:2", "getdents64:EIO:3"];
    each("stop", &calls, no_difference_but_for_the_configuration);
    each("stop-pid1", &calls, no_difference_but_for_the_configuration);
}

/// nix treats the errors of `pthread_sigmask(3)` as success.
#[test]
fn signals_that_can_t_be_blocked_are_fatal() {
    each("halt", &["rt_sigprocmask:EINVAL:1"], |came| came == Came::Said(70));
}

/// The stream counted as closed, and nothing of the log was written.
#[test]
fn the_log_is_written_although_its_stream_could_not_be_looked_at() {
    each(
        "up",
        &["newfstatat:ENOMEM:6", "newfstatat:ENOMEM:8", "fstat:ENOMEM:6", "fstat:ENOMEM:8"],
        no_difference_but_for_the_configuration,
    );
}

/// The remaining capabilities counted as unknown to the kernel, and stayed in the bounding set.
#[test]
fn a_capability_that_can_t_be_asked_for_is_not_taken_for_the_last() {
    each("child", &["prctl:EPERM:2", "prctl:EPERM:3"], |came| came == Came::Said(126));
}

/// Under a filter or an emulator, no unit could be started.
#[test]
fn a_clone_that_may_not_share_memory_is_no_failure() {
    each("restart", &["clone:EPERM:1", "clone:ENOSYS:2", "clone:EINVAL:3"], no_difference);
}

/// Rust aborts, which leaves all children behind.
#[test]
fn memory_that_the_kernel_refuses_is_taken_from_a_reserve() {
    let calls = ["brk:ENOMEM:1", "mmap:ENOMEM:1"];
    each("stop", &calls, |came| came != Came::NotMade);
}

/// If a lock could not be released, PID 1 panicked.
#[test]
fn a_lock_that_can_t_be_given_back_is_given_back_by_closing() {
    each("up", &["flock:"], no_difference);
}

/// EIO counted as the end of a pseudo-terminal for pipes, too: output was lost, and nothing said so.
#[test]
fn the_output_of_a_unit_that_cannot_be_read_is_missed() {
    each("hooks", &["read:EIO"], |_| true);
}
