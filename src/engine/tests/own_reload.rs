//! Units that reload: what trc does, when the job is done, and what the unit's own life has to do
//! with it.

use super::readiness::{answer, notified, told, tried, tries, with_ready};
use super::restart::restarted;
use super::*;
use crate::config::{LogLine, Probe, Reload, ReloadBy, When};

/// A unit that reloads on SIGHUP.
fn by_signal(unit: Unit) -> Unit {
    Unit { reload: Some(Reload { by: ReloadBy::Signal(Signal::HUP), within: SECOND }), ..unit }
}

/// A unit that reloads by a command.
fn by_command(unit: Unit) -> Unit {
    Unit { reload: Some(Reload { by: ReloadBy::Exec(vec![]), within: SECOND }), ..unit }
}

fn reload(world: &mut World) -> Answer {
    world.job("async.a", Task::Reload)
}

fn command_ends(world: &mut World, succeeded: bool) {
    let unit = world.id("async.a");
    world.feed(Event::ReloadCommandEnded { unit, succeeded, why: None });
}

fn of(unit: Unit) -> World {
    World::of(WaitPolicy::Any, vec![unit])
}

const DONE: Option<JobEnd> = Some(JobEnd::Done);

#[test]
fn a_unit_that_cannot_tell_has_reloaded_when_it_has_got_the_signal() {
    let said = |probe| Placed { value: probe, origin: Origin::Default };
    for probe in
        [None, Some(Probe::Log(LogLine { pattern: "up".to_owned(), count: 1 })), Some(Probe::Fd(3))]
    {
        let unit = unit("async.a");
        let mut world = of(by_signal(match probe.clone() {
            Some(probe) => with_ready(unit, said(probe)),
            None => unit,
        }));
        notified(&mut world, "async.a", Notice::Ready);
        assert_eq!(reload(&mut world), Answer::Begun(1));
        assert_eq!((world.sent(), world.end_of(1)), (vec![to("async.a", Signal::HUP)], DONE));
        assert_eq!(world.running(), ["async.a"], "{probe:?}");
    }
}

#[test]
fn a_unit_that_tells_has_reloaded_when_it_is_ready_again() {
    let mut world = of(by_signal(with_ready(unit("async.a"), told())));
    notified(&mut world, "async.a", Notice::Ready);
    reload(&mut world);
    notified(&mut world, "async.a", Notice::Ready);
    assert_eq!(world.end_of(1), None, "it has not begun");
    notified(&mut world, "async.a", Notice::Reloading);
    let snapshot = world.engine.unit_snapshot(world.id("async.a"));
    assert_eq!((snapshot.reloading, snapshot.ready), (true, Some(true)));
    assert_eq!(snapshot.deadline, Some(world.now + SECOND));
    notified(&mut world, "async.a", Notice::Ready);
    assert_eq!(world.end_of(1), DONE);
    assert!(!world.engine.unit_snapshot(world.id("async.a")).reloading);
}

#[test]
fn a_unit_that_is_tried_has_reloaded_when_an_attempt_after_the_signal_passes() {
    let mut world = of(by_signal(with_ready(unit("async.a"), tried())));
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
    reload(&mut world);
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Failed);
    assert_eq!((world.end_of(1), tries(&world)), (None, vec![]));
    world.pass(limits::FIRST_TRY);
    // Whoever cancels it and asks again does not get the result of the attempt under way.
    world.feed(Event::Cancel { job: 1, asker: asker(7) });
    assert_eq!(reload(&mut world), Answer::Begun(2));
    assert_eq!(tries(&world).len(), 1);
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
    assert_eq!((world.end_of(2), tries(&world).len()), (None, 1));
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
    assert_eq!((world.end_of(2), tries(&world).len()), (DONE, 0));
}

#[test]
fn a_command_has_to_succeed_and_the_unit_has_to_be_ready_after_it() {
    let mut world = of(by_command(with_ready(unit("async.a"), tried())));
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
    reload(&mut world);
    assert_eq!((world.reload_commands.len(), tries(&world).len()), (1, 0));
    command_ends(&mut world, true);
    assert_eq!(world.end_of(1), None);
    answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
    assert_eq!(world.end_of(1), DONE);
    reload(&mut world);
    command_ends(&mut world, false);
    assert_eq!(world.end_of(2), Some(JobEnd::NotReloaded(NotReloaded::Command)));
    assert_eq!((world.running(), world.end), (vec!["async.a".to_owned()], None));
    assert_eq!(world.sent(), []);
}

#[test]
fn a_unit_may_tell_while_the_command_runs() {
    let mut world = of(by_command(with_ready(unit("async.a"), told())));
    notified(&mut world, "async.a", Notice::Ready);
    reload(&mut world);
    notified(&mut world, "async.a", Notice::Reloading);
    notified(&mut world, "async.a", Notice::Ready);
    assert_eq!(world.end_of(1), None);
    command_ends(&mut world, true);
    assert_eq!(world.end_of(1), DONE);
}

#[test]
fn a_reload_that_takes_too_long_fails_and_the_unit_runs_on() {
    type Said = &'static [Notice];
    let cases: [(Unit, Said, NotReloaded); 4] = [
        (by_command(unit("async.a")), &[], NotReloaded::SlowCommand),
        (by_signal(with_ready(unit("async.a"), told())), &[], NotReloaded::NotBegun),
        (
            by_signal(with_ready(unit("async.a"), told())),
            &[Notice::Reloading],
            NotReloaded::NotReady,
        ),
        (by_signal(with_ready(unit("async.a"), tried())), &[], NotReloaded::NotFound),
    ];
    for (unit, said, why) in cases {
        let mut world = of(restarted(When::Always, unit));
        if !tries(&world).is_empty() {
            answer(&mut world, "async.a", Purpose::Ready, Outcome::Passed);
        }
        notified(&mut world, "async.a", Notice::Ready);
        reload(&mut world);
        for said in said {
            notified(&mut world, "async.a", *said);
        }
        world.sent();
        world.pass(SECOND);
        assert_eq!(world.end_of(1), Some(JobEnd::NotReloaded(why)));
        assert_eq!((world.sent(), world.end), (vec![], None), "{why:?}");
        assert_eq!((world.running(), world.started.len()), (vec!["async.a".to_owned()], 1));
        let killed = usize::from(why == NotReloaded::SlowCommand);
        assert_eq!(world.killed_commands.len(), killed);
    }
}

#[test]
fn a_unit_may_ask_for_more_time() {
    let mut world = of(by_signal(with_ready(unit("async.a"), told())));
    notified(&mut world, "async.a", Notice::Ready);
    reload(&mut world);
    notified(&mut world, "async.a", Notice::Extend(SECOND * 3));
    world.pass(SECOND * 2);
    assert_eq!(world.end_of(1), None);
    world.pass(SECOND);
    assert_eq!(world.end_of(1), Some(JobEnd::NotReloaded(NotReloaded::NotBegun)));
}

#[test]
fn an_exit_during_a_reload_is_an_exit_like_any_other() {
    let mut world = of(by_command(restarted(When::Always, unit("async.a"))));
    reload(&mut world);
    world.exit("async.a", 1);
    assert_eq!(world.end_of(1), Some(JobEnd::NotReloaded(NotReloaded::Gone)));
    assert_eq!(world.killed_commands, ["async.a"]);
    assert!(world.facts.iter().any(|fact| matches!(fact, Fact::Restarting { .. })));
    // Its command cannot answer for the next process.
    world.pass(SECOND * 10);
    assert_eq!(reload(&mut world), Answer::Begun(2));
    assert_eq!(world.end_of(2), None);
}

#[test]
fn a_stop_and_a_restart_supersede_a_reload_and_a_start_has_nothing_to_do() {
    for task in [Task::Stop, Task::Restart] {
        let mut world = of(by_command(unit("async.a")));
        reload(&mut world);
        assert_eq!(reload(&mut world), Answer::Joined(1));
        assert_eq!(world.job("async.a", Task::Start), Answer::Unchanged);
        assert_eq!(world.end_of(1), None);
        assert_eq!(world.job("async.a", task), Answer::Begun(2));
        assert_eq!(world.end_of(1), Some(JobEnd::Superseded));
        assert_eq!(world.killed_commands, ["async.a"]);
        assert_eq!(reload(&mut world), Answer::Refused(Refusal::NotRunning), "it is stopping");
    }
}

#[test]
fn whoever_cancels_a_reload_waits_no_longer() {
    let mut world = of(by_command(unit("async.a")));
    reload(&mut world);
    world.feed(Event::Cancel { job: 1, asker: asker(7) });
    assert_eq!(world.end_of(1), Some(JobEnd::Cancelled));
    assert_eq!((world.killed_commands.len(), world.running().len()), (1, 1));
}

#[test]
fn the_stop_of_the_run_ends_a_reload() {
    let mut world = of(by_command(unit("async.a")));
    reload(&mut world);
    world.signal(Signal::TERM, true);
    assert_eq!(world.end_of(1), Some(JobEnd::RunStops));
    assert_eq!(world.killed_commands, ["async.a"]);
}

#[test]
fn only_a_unit_that_is_up_and_can_reload_does() {
    let units = vec![
        unit("async.plain"),
        by_signal(with_ready(unit("async.a"), told())),
        by_signal(after(unit("async.late"), "async.a", None)),
    ];
    let mut world = World::of(WaitPolicy::Forever, units);
    let refused = |why| Answer::Refused(why);
    assert_eq!(world.job("async.plain", Task::Reload), refused(Refusal::NoReload));
    assert_eq!(world.job("async.a", Task::Reload), refused(Refusal::NotUp));
    assert_eq!(world.job("async.late", Task::Reload), refused(Refusal::NotRunning));
    notified(&mut world, "async.a", Notice::Ready);
    assert_eq!(world.job("async.late", Task::Reload), Answer::Begun(1));
    assert_eq!(world.job("async.a", Task::Reload), Answer::Begun(2));
}
