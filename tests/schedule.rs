//! Units with a `schedule`, as a user sees them.

use crate::common::{Mode, TERM, Trc};
use crate::control::{Asked, cpu, rewrite, same};

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
        ("skip", "async.job is due before its last run is over: it does not run this time"),
        ("queue", "async.job is due before its last run is over: it runs again when that is over"),
        ("kill", "async.job is due before its last run is over: the last run is stopped first"),
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

#[test]
fn a_reload_keeps_what_it_does_not_change_and_makes_a_service_of_a_job() {
    let job = |more: &str| format!("[async.job]\nscript = 'echo ran; {more}'\n");
    let daily = "schedule = { when = '@yearly', at_start = true }\n";
    let it = Asked::new(&format!("{FOREVER}{}{daily}", job("true")), Mode::Subreaper);
    it.running.wait_for("]: ran\n");
    it.get("/v1/units/job?wait=ended&for=30s");
    // A moved line, and settings of a job, restart nothing.
    rewrite(&it, &format!("# A comment\n{FOREVER}{}{daily}", job("exec cat $W/never")));
    same(&it.post("/v1/reload").body["applied"], true);
    assert!(it.get("/v1/units/job").body["next_run_ms"].as_u64() > Some(0));
    // The end of a run is not the end of a service.
    rewrite(&it, &format!("{FOREVER}{}", job("exec cat $W/never")));
    same(&it.post("/v1/reload").body["applied"], true);
    it.running.wait_for_times("]: ran\n", 2);
    same(&it.get("/v1/units/job?wait=started&for=30s").body["phase"], "running");
    it.stop().status(143);
}

#[test]
fn trc_waits_for_nothing_that_is_due_while_it_stops() {
    let job = |name: &str| format!("[async.{name}]\nexec = 'echo tick'\nschedule = 'every 1s'\n");
    let main = "[sync.main]\nscript = 'trap \"read x <$W/go\" TERM; echo up; while :; do read x <$W/never; done'\n\
                stop.timeout = '8s'\n\
                [async.stubborn]\nscript = 'trap : TERM; while :; do read x <$W/never; done'\n\
                stop.timeout = '2s'\n";
    let it = Asked::new(&(main.to_owned() + &job("a") + &job("b")), Mode::Subreaper);
    it.running.wait_for("up\n");
    it.running.wait_for("]: tick\n");
    rewrite(&it, &(main.to_owned() + &job("a")));
    same(&it.post("/v1/reload").body["applied"], true);
    it.running.signal(TERM).wait_for("terminating the child process");
    let before = cpu(it.running.pid());
    // Two seconds later.
    it.running.wait_for("killing the child process");
    assert!(cpu(it.running.pid()) - before < 50, "it does nothing meanwhile");
    it.running.open_gate("go");
    it.running.finish();
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
