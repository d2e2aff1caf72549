//! Units with a `schedule`, as a user sees them.

use crate::common::{Mode, TERM, Trc};
use crate::control::{Asked, same};

const FOREVER: &str = "[sync.main]\nscript = 'exec cat $W/never'\n";

#[test]
fn a_job_runs_again_and_again_and_its_failure_is_a_warning() {
    let job = "[async.job]\nscript = 'echo job; exit 3'\nschedule = 'every 1s'\n";
    let running = Trc::toml(&format!("{FOREVER}{job}")).spawn();
    running.wait_for_times("async.job failed with status 3; its schedule goes on", 3);
    running.signal(TERM);
    running.finish().status(143).stdout_has("]: job\n");
}

#[test]
fn a_container_of_jobs_alone_goes_on_under_every_policy_and_stops_as_any_other() {
    for wait in ["any", "all", "err", "forever"] {
        let job = "[async.job]\nscript = 'echo up; exec cat $W/never'\n\
                   schedule = { when = '@yearly', at_start = true }\n";
        let running = Trc::toml(&format!("wait = '{wait}'\n{job}")).spawn();
        running.wait_for("]: up\n");
        running.signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn a_job_that_has_not_finished_is_not_run_beside_itself() {
    for (overlap, said) in [
        ("skip", "the last run of async.job has not finished: this run is left out"),
        ("queue", "the last run of async.job has not finished: this one follows when it has"),
        ("kill", "the last run of async.job has not finished: it is stopped for this one"),
    ] {
        let job = format!(
            "[async.job]\nscript = 'echo up; exec cat $W/never'\n\
             schedule = {{ when = 'every 1s', at_start = true, overlap = '{overlap}' }}\n"
        );
        let running = Trc::toml(&format!("{FOREVER}{job}")).spawn();
        running.wait_for(said);
        if overlap == "kill" {
            running.wait_for_times("]: up\n", 2);
        }
        running.signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn people_see_when_a_job_runs_next_and_may_run_it_now_or_hold_it() {
    let job = "[async.job]\nexec = 'true'\nschedule = '0 0 29 2 *'\n";
    let it = Asked::new(&format!("{FOREVER}{job}"), Mode::Subreaper);
    it.running.wait_until("the schedule is known", || {
        it.get("/v1/units/job").body["next_run_ms"].as_u64().is_some_and(|next| next > 0)
    });
    same(&it.get("/v1/health?wait=ready&for=30s").body["state"], "ready");
    let ran = it.done("/v1/units/job/start");
    same((&ran["status"], &ran["changed"]), (&"done".into(), &true.into()));
    same(&it.get("/v1/units/job").body["last_end"]["status"], 0);
    it.done("/v1/units/job/stop");
    same(&it.get("/v1/units/job").body["wanted"], "held");
    it.stop();
}

#[test]
fn a_test_run_keeps_no_schedule() {
    let job = "[async.job]\nexec = 'false'\nschedule = { when = 'every 1s', at_start = true }\n";
    let test = "[test.main]\nexec = 'sleep 2'\n";
    let outcome = Trc::toml(&format!("{FOREVER}{job}{test}")).env("TRC_TEST", "1").run();
    outcome.status(0).stdout_lacks("background: job");
}

/// It takes up to a minute, so it needs `TRC_TEST_PATIENCE=90`.
#[test]
#[ignore = "it waits for the next minute"]
fn a_job_runs_when_the_minute_of_the_wall_clock_begins() {
    let job = "[async.job]\nscript = 'echo \"second $(date +%S)\"'\nschedule = '* * * * *'\n";
    let running = Trc::toml(&format!("{FOREVER}{job}")).spawn();
    running.wait_for("second 0");
    running.signal(TERM);
    running.finish().status(143);
}
