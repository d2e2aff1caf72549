//! Others have used up all processes or descriptors. An attempt that could not be made has not
//! failed, and a unit that could not be started is started when there are some again.

use crate::common::{TERM, Trc, root};

/// The keys of a unit of a user that no other test has. It cannot execute its command if that user
/// has more than `nproc` other processes.
fn of_user(uid: u32, nproc: u32) -> String {
    format!("user = '{uid}'\nlimits.nproc = {nproc}\n")
}

/// execve(2) fails with EAGAIN if the user has as many processes as `RLIMIT_NPROC` allows.
#[test]
fn a_health_check_that_can_t_be_made_restarts_nothing() {
    if !root() {
        return;
    }
    let toml = format!(
        "log.level = 'trace'\n[sync.web]\nexec = ['sh', '-c', 'echo web; exec sleep 100']\n{}\
         restart = 'always'\n\
         health = {{ exec = 'true', every = '20ms', failures = 2, then = 'restart' }}\n",
        of_user(61_001, 0)
    );
    let running = Trc::toml(&toml).spawn();
    running
        .wait_for_times("true: its user has too many processes already (RLIMIT_NPROC)", 6)
        .signal(TERM);
    let outcome = running.finish();
    outcome.status(143).stdout_lacks("restarting").stderr_lacks("restarting");
    let warnings = outcome.err().matches("cannot check whether sync.web is healthy").count();
    assert_eq!(warnings, 1, "it is said once: {}", outcome.err());
}

/// All attempts that can be made count.
#[test]
fn a_health_check_that_was_made_again_counts() {
    if !root() {
        return;
    }
    let toml = format!(
        "wait = 'all'\n[async.other]\nexec = ['sh', '-c', 'echo other; read x < $$W/go']\nuser = '61002'\n\
         [async.web]\nexec = ['sh', '-c', 'echo web; exec sleep 100']\n{}\
         health = {{ exec = 'false', every = '20ms', failures = 2, then = 'stop' }}\n",
        of_user(61_002, 1)
    );
    let running = Trc::toml(&toml).spawn();
    running.wait_for("cannot check whether async.web is healthy").open_gate("go");
    running.finish().status(1).stderr_has("async.web is unhealthy");
}

#[test]
fn a_unit_whose_user_has_too_many_processes_is_started_when_it_has_fewer() {
    if !root() {
        return;
    }
    let toml = format!(
        "[async.other]\nexec = ['sh', '-c', '(read x < $$W/go &); echo other; exec sleep 100']\n\
         user = '61003'\nready.log = 'other'\n\
         [sync.web]\nafter = ['other']\nexec = ['sh', '-c', 'echo web']\n{}",
        of_user(61_003, 1)
    );
    let running = Trc::toml(&toml).spawn();
    running.wait_for("cannot start sync.web for now").open_gate("go");
    running.finish().status(0).stdout_has("\nweb\n");
}

#[test]
fn a_unit_whose_user_always_has_too_many_processes_fails_in_the_end() {
    if !root() {
        return;
    }
    let toml = format!(
        "[async.other]\nexec = ['sh', '-c', 'echo other; read x < $$W/go']\nuser = '61004'\n\
         ready.log = 'other'\n[sync.web]\nafter = ['other']\nexec = ['sh', '-c', 'echo web']\n{}",
        of_user(61_004, 0)
    );
    let outcome = Trc::toml(&toml).run();
    outcome.status(126).stderr_has("sh: its user has too many processes already");
}

#[test]
fn a_test_that_can_t_be_made_is_made_again() {
    if !root() {
        return;
    }
    let toml = format!(
        "[async.web]\nexec = ['sh', '-c', '(sleep 1 &); echo web; exec sleep 100']\nuser = '61005'\n\
         ready.log = 'web'\n[test.it]\nexec = 'true'\n{}expect.exit = 0\n",
        of_user(61_005, 1)
    );
    Trc::toml(&toml).args(&["--test"]).run().status(0).stdout_has("ok 1 - test.it");
}
