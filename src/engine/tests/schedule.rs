//! Units that run on a schedule.

use super::restart::restarted;
use super::*;
use crate::config::{Overlap, Schedule, When};

pub(super) fn scheduled(name: &str, overlap: Overlap) -> Unit {
    let schedule = Box::new(Schedule { overlap, ..Schedule::default() });
    Unit { schedule: Some(schedule), ..unit(name) }
}

fn job(overlap: Overlap) -> World {
    World::of(WaitPolicy::Forever, vec![scheduled("async.job", overlap)])
}

impl World {
    fn due(&mut self, name: &str) {
        self.feed(Event::Due { unit: self.id(name) });
    }

    fn overlaps(&self) -> Vec<Overlap> {
        let overlaps = self.facts.iter().filter_map(|fact| match fact {
            Fact::Overlapped { overlap, .. } => Some(*overlap),
            _ => None,
        });
        overlaps.collect()
    }
}

#[test]
fn a_unit_runs_each_time_that_it_is_due_however_it_ends() {
    let mut world = job(Overlap::Skip);
    assert_eq!(world.started, [""; 0]);
    for (runs, status) in [(1, 0), (2, 3), (3, 0)] {
        world.due("async.job");
        assert_eq!((world.running().len(), world.started.len()), (1, runs));
        world.exit("async.job", status);
        world.pass(SECOND * 60);
        assert_eq!((world.running().len(), world.end), (0, None));
    }
    assert_eq!(world.overlaps(), []);
}

#[test]
fn what_is_due_too_early_is_left_out_or_follows_or_takes_the_place_of_the_last_run() {
    for (overlap, told, runs) in [
        (Overlap::Skip, [Overlap::Skip, Overlap::Skip], 1),
        (Overlap::Queue, [Overlap::Queue, Overlap::Skip], 2),
        (Overlap::Kill, [Overlap::Kill, Overlap::Skip], 2),
    ] {
        let mut world = job(overlap);
        world.due("async.job");
        world.due("async.job");
        world.due("async.job");
        assert_eq!(world.overlaps(), told);
        let stop = [to("async.job", Signal::TERM)];
        assert_eq!(world.sent(), if overlap == Overlap::Kill { &stop[..] } else { &[] });
        world.exit("async.job", 0);
        assert_eq!(world.started.len(), runs, "{overlap:?}");
        if runs == 2 {
            world.exit("async.job", 0);
        }
        assert_eq!(world.running(), [""; 0]);
        // The next one is on time.
        world.due("async.job");
        assert_eq!(world.started.len(), runs + 1);
    }
}

#[test]
fn a_run_waits_for_the_conditions_of_its_unit() {
    let mut db = super::restart::ready(unit("async.db"));
    db.on_failure = OnFailure::Ignore;
    let job = after(scheduled("async.job", Overlap::Skip), "async.db", None);
    let mut world = World::of(WaitPolicy::Forever, vec![db, job]);
    world.due("async.job");
    assert_eq!(world.started, ["async.db"]);
    world.exit("async.db", 1);
    // What it waits for cannot come any more: the run has failed, and the next one may not.
    assert!(world.engine.ended(world.id("async.job")).is_some_and(Ended::failed));
    assert_eq!(world.end, None);
}

#[test]
fn a_held_unit_is_not_due_until_somebody_starts_it() {
    let mut world = job(Overlap::Skip);
    world.job("async.job", Task::Stop);
    world.due("async.job");
    assert_eq!((world.started.len(), world.overlaps().len()), (0, 0));
    // That is a run, too.
    world.job("async.job", Task::Start);
    assert_eq!(world.running(), ["async.job"]);
    world.exit("async.job", 0);
    world.due("async.job");
    assert_eq!(world.started.len(), 2);
}

#[test]
fn a_unit_may_also_run_at_the_start() {
    let mut unit = scheduled("async.job", Overlap::Skip);
    unit.schedule.as_mut().unwrap().at_start = true;
    assert_eq!(World::of(WaitPolicy::Forever, vec![unit]).running(), ["async.job"]);
}

#[test]
fn no_policy_counts_a_unit_with_a_schedule_but_a_run_that_has_nothing_else_goes_on() {
    for wait in [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err] {
        let mut world = World::of(wait, vec![scheduled("async.job", Overlap::Skip)]);
        world.due("async.job");
        world.exit("async.job", 3);
        assert_eq!(world.end, None, "{wait:?}");
        let units = vec![scheduled("async.job", Overlap::Skip), unit("sync.app")];
        let mut world = World::of(wait, units);
        world.due("async.job");
        world.exit("async.job", 3);
        world.exit("sync.app", 0);
        assert_eq!(world.end, Some(0), "{wait:?}");
    }
}

#[test]
fn a_job_that_cannot_be_killed_for_the_next_run_is_not_the_status_of_the_whole_run() {
    let job = Unit { on_failure: OnFailure::Stop, ..scheduled("async.job", Overlap::Kill) };
    let mut world = World::of(WaitPolicy::All, vec![job, unit("async.app")]);
    world.due("async.job");
    world.due("async.job");
    world.pass(SECOND * 20);
    assert!(world.engine.ended(world.id("async.job")).is_some_and(Ended::failed));
    world.exit("async.app", 0);
    world.pass(SECOND * 20);
    assert_eq!(world.end, Some(0));
}

#[test]
fn a_run_goes_on_for_its_schedules_when_what_sets_it_up_has_succeeded() {
    for wait in [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err] {
        let setup = Unit { oneshot: Some(true), ..unit("async.setup") };
        let mut world = World::of(wait, vec![setup, scheduled("async.job", Overlap::Skip)]);
        world.exit("async.setup", 0);
        assert_eq!(world.end, None, "{wait:?}");
        world.due("async.job");
        assert_eq!(world.running(), ["async.job"]);
    }
}

#[test]
fn whoever_starts_a_job_learns_how_that_run_ends_though_another_one_follows() {
    let mut world = job(Overlap::Queue);
    world.job("async.job", Task::Start);
    world.due("async.job");
    world.exit("async.job", 3);
    assert!(matches!(world.end_of(1), Some(JobEnd::Failed(ended)) if ended.status == 3));
    assert_eq!((world.running().len(), world.started.len()), (1, 2));
}

#[test]
fn a_cancelled_start_of_a_job_does_not_run_it_later() {
    let job = after(scheduled("async.job", Overlap::Skip), "async.db", Some(Condition::Exited));
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.db"), job]);
    world.job("async.job", Task::Start);
    world.feed(Event::Cancel { job: 1, asker: asker(7) });
    world.exit("async.db", 0);
    assert_eq!(world.started, ["async.db"]);
}

#[test]
fn a_failure_stops_the_run_only_if_the_unit_says_so() {
    let job = Unit { on_failure: OnFailure::Stop, ..scheduled("async.job", Overlap::Skip) };
    let mut world = World::of(WaitPolicy::Forever, vec![job]);
    world.due("async.job");
    world.exit("async.job", 3);
    assert_eq!(world.end, Some(3));
}

#[test]
fn a_run_that_fails_may_be_tried_again_before_the_next_one() {
    let mut job = restarted(When::OnFailure, scheduled("async.job", Overlap::Skip));
    job.restart.max = Some(1);
    let mut world = World::of(WaitPolicy::Forever, vec![job]);
    world.due("async.job");
    for runs in [1, 2] {
        assert_eq!(world.started.len(), runs);
        world.exit("async.job", 3);
        world.pass(SECOND * 10);
    }
    assert_eq!((world.started.len(), world.running().len()), (2, 0));
    world.due("async.job");
    assert_eq!(world.started.len(), 3);
}

#[test]
fn a_unit_that_waits_for_its_time_is_well() {
    let mut world = job(Overlap::Skip);
    let id = world.id("async.job");
    let health = |world: &World| world.engine.health([id].into_iter()).0;
    assert_eq!(health(&world), Health::Ready);
    world.due("async.job");
    assert_eq!(health(&world), Health::Ready);
    world.exit("async.job", 3);
    assert_eq!(health(&world), Health::Degraded);
    world.due("async.job");
    world.exit("async.job", 0);
    assert_eq!(health(&world), Health::Ready);
}

#[test]
fn a_new_graph_does_not_wait_for_the_next_time_of_a_schedule() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.app")]);
    world.reload(vec![unit("async.app"), scheduled("async.job", Overlap::Skip)], &[]);
    assert!(!world.engine.is_reloading());
    world.due("async.job");
    assert_eq!(world.running(), ["async.app", "async.job"]);
    let gone = world.id("async.job");
    world.reload(vec![unit("async.app")], &[]);
    world.exit("async.job", 0);
    world.feed(Event::Due { unit: gone });
    assert_eq!(world.running(), ["async.app"]);
}

#[test]
fn a_job_runs_again_once_the_process_is_gone_that_has_survived_sigkill_in_a_reload() {
    let mut world = job(Overlap::Skip);
    world.due("async.job");
    world.reload(vec![scheduled("async.job", Overlap::Skip)], &["async.job"]);
    world.pass(SECOND * 20);
    assert!(!world.engine.is_reloading(), "trc has given the process up");
    world.due("async.job");
    assert_eq!(world.started.len(), 1, "it may not run beside its old process");
    world.exit("async.job", 137);
    world.due("async.job");
    assert_eq!(world.started.len(), 2);
}
