//! Tests of images that ask for more than a moment: jobs that have a schedule, and services that are
//! down for a while.

use crate::common::{Outcome, Trc};

fn tested(toml: &str) -> Trc {
    Trc::toml(toml).file("hello", "up\n").arg("--test")
}

/// A service that prints that it is up, and runs until it is asked to exit.
const SERVICE: &str = "[async.web]\nexec = ['cat', '${W}/hello', '${W}/never']\nready.log = 'up'\n";

fn has(outcome: &Outcome, lines: &[&str]) {
    for line in lines {
        outcome.stdout_has(&format!("{line}\n"));
    }
}

#[test]
fn a_test_runs_a_job_now_and_then_looks_at_what_it_has_done() {
    let toml = format!(
        "{SERVICE}[async.backup]\nschedule = '0 3 * * *'\n\
         script = 'echo saving; echo data >>$W/saved; [ $(wc -l <$W/saved) -lt 3 ]'\n\
         [test.saves]\nexpect = {{ job = 'backup', file = {{ path = '${{W}}/saved', contains = 'data' }} }}\n\
         [test.again]\nexec = ['wc', '-l', '${{W}}/saved']\n\
         expect = {{ job = 'backup', stdout = '2 ', log = {{ contains = 'saving' }} }}\n\
         [test.fails]\nexpect = {{ job = 'backup', tcp = 1 }}\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1);
    has(
        &outcome,
        &[
            "    ok 1 - async.backup succeeds",
            "ok 1 - test.saves",
            "ok 2 - test.again",
            "    1..1\n    not ok 1 - async.backup succeeds",
            "not ok 3 - test.fails",
            "ok 6 - async.backup.run",
        ],
    );
    outcome.stdout_has("it failed with status 1; its last output: saving");
}

#[test]
fn a_job_that_takes_too_long_or_cannot_start_says_so() {
    let toml = format!(
        "{SERVICE}[async.long]\nschedule = 'every 1h'\nexec = ['cat', '${{W}}/never']\n\
         [async.late]\nexec = ['cat', '${{W}}/never']\nready.file = '${{W}}/missing'\n\
         [async.waits]\nschedule = 'every 1h'\nexec = 'true'\nafter = ['late']\n\
         [test.long]\nafter = ['web']\nexpect = {{ job = 'long', within = '300ms' }}\n\
         [test.waits]\nafter = ['web']\nallow = 'late.run'\nexpect = {{ job = 'waits', within = '100ms' }}\n"
    );
    let outcome = tested(&toml).run();
    outcome.status(1).stdout_has("it still ran after 0.3 s");
    outcome.stdout_has("it had not started after 0.1 s: it waits for async.late");
    // What the test did not wait for is stopped with all others.
    has(&outcome, &["ok 4 - async.web.stop", "ok 5 - async.long.run", "ok 6 - async.long.stop"]);
}
