//! Requests: holds, restarts by hand, and jobs.

use super::readiness::notified;
use super::restart::{ready, restarted};
use super::*;
use crate::config::When;

impl World {
    fn ask(&mut self, name: &str, request: Request) -> Answer {
        self.feed(Event::Request { unit: self.id(name), request, asker: asker(7) });
        let answers = self.facts.iter().rev().find_map(|fact| match fact {
            Fact::Requested { answer, .. } => Some(*answer),
            _ => None,
        });
        answers.expect("every request is answered")
    }

    pub(super) fn job(&mut self, name: &str, task: Task) -> Answer {
        self.ask(name, Request::Job(task))
    }

    /// Returns how the job with this number has ended.
    pub(super) fn end_of(&self, number: u32) -> Option<JobEnd> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::JobEnded { job, end, .. } if *job == number => Some(*end),
            _ => None,
        })
    }
}

#[test]
fn a_command_can_run_as_a_service_whether_it_runs_or_not_until_the_run_stops() {
    let units = vec![unit("boot.a"), unit("async.a"), unit("async.b"), unit("halt.a")];
    let mut world = World::of(WaitPolicy::Any, units);
    let refused = |world: &World, name: &str| world.engine.refuses_exec(world.id(name));
    assert_eq!(refused(&world, "async.a"), Some(Refusal::Booting));
    world.exit("boot.a", 0);
    _ = world.job("async.b", Task::Stop);
    world.exit("async.b", 0);
    for (name, expected) in [
        ("async.a", None),
        ("async.b", None),
        ("boot.a", Some(Refusal::NoService)),
        ("halt.a", Some(Refusal::NoService)),
    ] {
        assert_eq!(refused(&world, name), expected, "{name}");
    }
    world.exit("async.a", 0);
    assert_eq!(refused(&world, "async.b"), Some(Refusal::Stopping));
}

#[test]
fn what_is_stopped_by_hand_stays_so_and_the_run_goes_on() {
    for wait in [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err] {
        let mut world = World::of(wait, vec![restarted(When::Always, unit("async.a"))]);
        assert_eq!(world.job("async.a", Task::Stop), Answer::Begun(1));
        assert_eq!(world.end_of(1), None);
        world.exit("async.a", 1);
        assert_eq!(world.end_of(1), Some(JobEnd::Done));
        assert_eq!(world.job("async.a", Task::Stop), Answer::Unchanged);
        world.pass(SECOND * 100);
        assert_eq!((world.running(), world.end), (vec![], None), "{wait:?}");
        assert_eq!(world.job("async.a", Task::Start), Answer::Begun(2));
        assert_eq!(world.end_of(2), Some(JobEnd::Done));
        assert_eq!(world.running(), ["async.a"]);
    }
}

#[test]
fn a_restart_by_hand_is_no_end_and_has_no_backoff() {
    let service = Unit { oneshot: Some(false), ..unit("async.a") };
    let service = restarted(When::OnFailure, service);
    let others = [unit("async.b"), after(unit("async.c"), "async.a", Some(Condition::Exited))];
    let mut world = World::of(WaitPolicy::Any, [vec![service], others.into()].concat());
    for number in 1..=3 {
        assert_eq!(world.job("async.a", Task::Restart), Answer::Begun(number));
        world.exit("async.a", 1);
        assert_eq!(world.end_of(number), Some(JobEnd::Done));
        assert_eq!(world.running(), ["async.a", "async.b"]);
    }
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Restarting { .. })));
    assert_eq!(world.end, None);
}

#[test]
fn a_job_is_done_when_the_unit_is_ready_and_fails_with_its_end() {
    let mut world = World::of(WaitPolicy::Forever, vec![ready(unit("async.a"))]);
    assert_eq!(world.job("async.a", Task::Start), Answer::Begun(1));
    notified(&mut world, "async.a", Notice::Ready);
    assert_eq!(world.end_of(1), Some(JobEnd::Done));
    assert_eq!(world.job("async.a", Task::Start), Answer::Unchanged);
    world.job("async.a", Task::Restart);
    world.exit("async.a", 0);
    assert_eq!(world.end_of(2), None);
    world.exit("async.a", 3);
    let Some(JobEnd::Failed(ended)) = world.end_of(2) else { panic!("{:?}", world.end_of(2)) };
    assert_eq!(ended.status, 3);
    // A unit that has ended is started again.
    assert_eq!(world.job("async.a", Task::Start), Answer::Begun(3));
    assert_eq!(world.running(), ["async.a"]);
}

#[test]
fn equal_requests_join_and_the_last_word_counts() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.a")]);
    assert_eq!(world.job("async.a", Task::Restart), Answer::Begun(1));
    assert_eq!(world.job("async.a", Task::Restart), Answer::Joined(1));
    assert_eq!(world.job("async.a", Task::Start), Answer::Joined(1));
    assert_eq!(world.job("async.a", Task::Stop), Answer::Begun(2));
    assert_eq!(world.end_of(1), Some(JobEnd::Superseded));
    assert_eq!(world.job("async.a", Task::Start), Answer::Begun(3));
    world.exit("async.a", 0);
    assert_eq!((world.end_of(2), world.end_of(3)), (Some(JobEnd::Superseded), Some(JobEnd::Done)));
    assert_eq!(world.started.len(), 2);
}

#[test]
fn what_waits_can_be_held_and_what_is_in_backoff_comes_at_once() {
    let waits = after(unit("async.b"), "async.a", Some(Condition::Exited));
    let units = vec![unit("async.a"), waits, restarted(When::Always, unit("async.c"))];
    let mut world = World::of(WaitPolicy::Forever, units);
    world.job("async.b", Task::Stop);
    assert_eq!(world.end_of(1), Some(JobEnd::Done));
    world.exit("async.a", 0);
    assert_eq!(world.running(), ["async.c"]);
    world.job("async.b", Task::Restart);
    world.exit("async.c", 0);
    assert_eq!(world.running(), ["async.b"]);
    world.job("async.c", Task::Start);
    assert_eq!(world.running(), ["async.b", "async.c"]);
}

#[test]
fn what_can_not_be_asked_is_refused_with_the_reason() {
    let units = vec![unit("sync.a"), unit("sync.b"), unit("halt.c"), flag("boot.d")];
    let mut world = World::of(WaitPolicy::Forever, units);
    let refused = |why| Answer::Refused(why);
    assert_eq!(world.job("sync.a", Task::Start), refused(Refusal::Booting));
    assert_eq!(world.job("halt.c", Task::Start), refused(Refusal::NoService));
    world.exit("boot.d", 0);
    assert_eq!(world.ask("sync.b", Request::Signal(Signal::HUP)), refused(Refusal::NotRunning));
    assert_eq!(world.ask("sync.a", Request::Signal(Signal::HUP)), Answer::Sent);
    world.exit("sync.a", 0);
    assert_eq!(world.job("sync.a", Task::Restart), refused(Refusal::HadItsTurn));
    assert_eq!(world.job("sync.b", Task::Stop), Answer::Begun(1));
    world.signal(Signal::TERM, true);
    assert_eq!(world.end_of(1), Some(JobEnd::RunStops));
    assert_eq!(world.job("sync.b", Task::Start), refused(Refusal::Stopping));
}

impl World {
    fn cancel(&mut self, job: u32) {
        self.feed(Event::Cancel { job, asker: asker(7) });
    }

    fn shut_down(&mut self, exit: Option<u8>) {
        self.feed(Event::Shutdown { exit, asker: asker(7) });
    }
}

#[test]
fn a_cancelled_stop_goes_on_to_its_end_and_the_unit_comes_back() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a")]);
    world.job("async.a", Task::Stop);
    world.cancel(1);
    assert_eq!(world.end_of(1), Some(JobEnd::Cancelled));
    assert_eq!(world.started.len(), 1);
    world.exit("async.a", 0);
    assert_eq!((world.running(), world.started.len()), (vec!["async.a".to_owned()], 2));
}

#[test]
fn a_unit_that_has_ended_is_held_once_it_is_stopped() {
    let flaky = || Unit { on_failure: OnFailure::Ignore, ..unit("async.a") };
    for cancelled in [false, true] {
        let mut world = World::of(WaitPolicy::Forever, vec![flaky(), unit("async.b")]);
        world.exit("async.a", 3);
        assert_eq!(world.job("async.a", Task::Stop), Answer::Begun(1));
        assert_eq!(world.end_of(1), Some(JobEnd::Done));
        assert_eq!(world.job("async.a", Task::Stop), Answer::Unchanged);
        assert!(world.engine.ended(world.id("async.a")).is_some(), "its end is not forgotten");
        if cancelled {
            // A start that is cancelled before it has begun to run changes nothing.
            world.commands = Commands::Delayed;
            world.job("async.a", Task::Start);
            world.cancel(2);
            world.exit("async.a", 0);
            world.commands = Commands::Executed;
        }
        let id = world.id("async.a");
        world.reload(vec![flaky(), unit("async.b")], &["async.a"]);
        assert_eq!(world.running(), ["async.b"], "{cancelled}");
        assert_eq!(world.engine.unit_snapshot(id).wanted, Wanted::Held);
        world.job("async.a", Task::Start);
        assert_eq!(world.running(), ["async.a", "async.b"]);
    }
}

#[test]
fn a_unit_that_is_held_after_its_end_does_not_keep_the_run_up() {
    let mut world = World::of(WaitPolicy::All, vec![unit("async.a"), unit("async.b")]);
    world.exit("async.a", 0);
    world.job("async.a", Task::Stop);
    world.exit("async.b", 0);
    assert_eq!(world.end, Some(0));
}

#[test]
fn a_cancelled_start_leaves_what_was_held_on_hold_and_what_had_ended_ended() {
    let waits = |name| after(unit(name), "async.a", Some(Condition::Exited));
    let flaky = Unit { on_failure: OnFailure::Ignore, ..unit("async.d") };
    let units = vec![unit("async.a"), waits("async.b"), waits("async.c"), flaky];
    let mut world = World::of(WaitPolicy::Forever, units);
    world.job("async.b", Task::Stop);
    world.job("async.b", Task::Start);
    world.cancel(2);
    world.commands = Commands::Delayed;
    world.exit("async.d", 3);
    world.job("async.d", Task::Start);
    world.cancel(3);
    world.exit("async.a", 0);
    // What was about to be executed is stopped, and held.
    assert_eq!(world.sent(), [to("async.d", Signal::TERM)]);
    assert_eq!(world.started, ["async.a", "async.d", "async.d", "async.c"]);
    // Nobody waits for the job any more, but the unit does what it did before.
    world.commands = Commands::Executed;
    world.exit("async.d", 0);
    assert_eq!(world.running(), ["async.c"]);
}

#[test]
fn who_cancels_what_there_is_not_learns_whether_there_was_such_a_job() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.a")]);
    world.job("async.a", Task::Stop);
    world.exit("async.a", 0);
    for (job, expected) in [(1, NoJob::Over), (2, NoJob::Unknown), (0, NoJob::Unknown)] {
        world.cancel(job);
        let told = |fact: &Fact| {
            matches!(fact, Fact::NotCancelled { job: number, why, .. }
                if (*number, *why) == (job, expected))
        };
        assert!(world.facts.iter().any(told), "{job}");
    }
}

#[test]
fn a_reset_lets_restarts_count_from_zero_again() {
    let service = Unit { oneshot: Some(false), ..unit("async.a") };
    let mut service = restarted(When::Always, service);
    service.restart.max = Some(1);
    let mut world = World::of(WaitPolicy::Forever, vec![service]);
    assert_eq!(world.ask("async.a", Request::Reset), Answer::Unchanged);
    for _ in 0..3 {
        world.exit("async.a", 1);
        world.pass(SECOND * 2);
        assert_eq!(world.running(), ["async.a"]);
        assert_eq!(world.ask("async.a", Request::Reset), Answer::Forgotten);
    }
    world.exit("async.a", 1);
    world.pass(SECOND * 2);
    world.exit("async.a", 1);
    assert_eq!(world.running(), [""; 0]);
}

#[test]
fn a_stop_that_is_asked_for_is_as_term_from_outside_and_no_failure() {
    for (exit, status) in [(None, 0), (Some(3), 3)] {
        let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), flag("halt.b")]);
        world.shut_down(exit);
        assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
        // Neither another request nor the first signal after it changes anything.
        world.shut_down(Some(9));
        world.signal(Signal::TERM, true);
        assert_eq!(world.sent(), []);
        world.exit("async.a", 143);
        world.exit("halt.b", status);
        assert_eq!(world.end, Some(status));
    }
    // It has the time that a stop from outside has.
    let slow =
        Unit { stop: Stop { timeout: Some(SECOND * 60), ..Stop::default() }, ..unit("async.a") };
    let shutdown = Shutdown { timeout: Some(SECOND * 9) };
    let mut world = World::new(&Config { shutdown, ..config(WaitPolicy::Any, vec![slow]) });
    world.shut_down(None);
    world.pass(SECOND * 8);
    assert_eq!(world.swept, [Signal::KILL]);
}

#[test]
fn a_stop_names_what_depends_on_the_unit_and_stops_that_first_if_asked_to() {
    let units = || {
        let app = after(unit("async.app"), "async.db", None);
        vec![unit("async.db"), app, after(unit("async.web"), "async.app", None), unit("async.log")]
    };
    let named = |world: &World| {
        let last = world.facts.iter().rev().find_map(|fact| match fact {
            Fact::Requested { dependents, .. } => Some(dependents.clone()),
            _ => None,
        });
        last.unwrap().into_iter().map(|id| world.name(id)).collect::<Vec<_>>()
    };
    let mut world = World::of(WaitPolicy::Any, units());
    assert_eq!(world.job("async.db", Task::Stop), Answer::Begun(1));
    assert_eq!(named(&world), ["async.web", "async.app"]);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);

    let mut world = World::of(WaitPolicy::Any, units());
    assert_eq!(world.ask("async.db", Request::StopWithDependents), Answer::Begun(3));
    assert_eq!(named(&world), ["async.web", "async.app"]);
    for (job, name) in (1..).zip(["async.web", "async.app", "async.db"]) {
        assert_eq!(world.sent(), [to(name, Signal::TERM)]);
        world.exit(name, 0);
        assert_eq!(world.end_of(job), Some(JobEnd::Done));
    }
    assert_eq!((world.running(), world.end), (vec!["async.log".to_owned()], None));
}

#[test]
fn whoever_is_started_again_holds_up_no_other_stop() {
    let units = vec![unit("async.db"), after(unit("async.app"), "async.db", None)];
    let mut world = World::of(WaitPolicy::Any, units);
    world.ask("async.db", Request::StopWithDependents);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.job("async.app", Task::Start);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
}

#[test]
fn a_stop_that_waits_for_others_is_cancelled_without_a_trace() {
    let units = vec![unit("async.db"), after(unit("async.app"), "async.db", None)];
    let mut world = World::of(WaitPolicy::Any, units);
    world.ask("async.db", Request::StopWithDependents);
    world.cancel(2);
    world.exit("async.app", 0);
    assert_eq!((world.running(), world.started.len()), (vec!["async.db".to_owned()], 2));
}

#[test]
fn a_unit_that_has_survived_sigkill_and_is_gone_by_now_has_stopped() {
    let quiet = Unit { on_failure: OnFailure::Ignore, ..unit("async.a") };
    let slow = Unit { max_runtime: Some(SECOND), ..quiet };
    let mut world = World::of(WaitPolicy::Forever, vec![slow, unit("async.b")]);
    world.pass(SECOND * 20);
    assert!(world.engine.ended(world.id("async.a")).is_some(), "trc has given it up");
    world.exit("async.a", 137);
    assert_eq!(world.job("async.a", Task::Stop), Answer::Begun(1));
    assert_eq!(world.end_of(1), Some(JobEnd::Done));
}
