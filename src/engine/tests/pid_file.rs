//! Units that put themselves into the background: `pid_file`.

use super::readiness::{notified, told, tried, with_ready};
use super::*;
use crate::config::{Restart, When};

/// A service with a `pid_file`, and this probe.
fn daemon(probe: Probe) -> Unit {
    let pid_file = Some(Placed { value: "/run/web.pid".into(), origin: Origin::Default });
    let probe = Placed { value: probe, origin: Origin::Default };
    with_ready(Unit { pid_file, ..unit("async.web") }, probe)
}

fn run(unit: Unit) -> World {
    World::of(WaitPolicy::Any, vec![unit])
}

/// Lets the process that trc has started exit with 0, and leave another.
fn goes_on(world: &mut World) {
    notified(world, "async.web", Notice::StandIn(200));
}

fn unfound(world: &mut World) {
    let unit = world.id("async.web");
    world.feed(Event::Unfound { unit, why: None });
}

fn is_ready(world: &World) -> bool {
    world.engine.snapshot().units[0].ready == Some(true)
}

fn main_process(pid: i32, foreground: bool) -> Fact {
    Fact::MainProcess { unit: UnitId(0), pid, foreground }
}

#[test]
fn a_unit_is_ready_when_its_file_names_its_main_process() {
    let mut world = run(daemon(Probe::PidFile));
    goes_on(&mut world);
    assert_eq!(world.looks, ["async.web"], "trc looks at the file at once");
    unfound(&mut world);
    assert!(!is_ready(&world));
    world.pass(limits::FIRST_TRY);
    assert_eq!(world.looks.len(), 2, "and again after a moment");
    notified(&mut world, "async.web", Notice::MainPid(201));
    assert!(is_ready(&world));
    assert!(world.facts.contains(&main_process(201, false)));
    world.pass(SECOND * 60);
    assert_eq!((world.looks.len(), world.sent()), (2, vec![]), "the search is over");
    assert_eq!(world.engine.snapshot().units[0].pid, Some(201));
}

#[test]
fn trc_looks_at_a_file_less_and_less_often() {
    let mut world = run(daemon(Probe::PidFile));
    goes_on(&mut world);
    let mut waits = vec![];
    for _ in 0..9 {
        unfound(&mut world);
        let (before, looks) = (world.now, world.looks.len());
        while world.looks.len() == looks {
            world.pass(MILLISECOND);
        }
        waits.push(world.now.saturating_sub(before).as_millis());
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
}

#[test]
fn a_unit_with_a_readiness_check_of_its_own_needs_both() {
    for (first, then) in
        [(Notice::Ready, Notice::MainPid(200)), (Notice::MainPid(200), Notice::Ready)]
    {
        let mut world = run(daemon(Probe::Notify));
        goes_on(&mut world);
        notified(&mut world, "async.web", first);
        assert!(!is_ready(&world), "{first:?}");
        notified(&mut world, "async.web", then);
        assert!(is_ready(&world), "{then:?}");
    }
}

#[test]
fn a_unit_whose_file_names_no_process_of_it_was_not_ready_in_time() {
    let mut world = run(daemon(Probe::PidFile));
    goes_on(&mut world);
    world.pass(SECOND * 10);
    assert_eq!(world.sent(), [("async.web".to_owned(), Signal::TERM)]);
    world.die("async.web", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.end, Some(124));
}

#[test]
fn a_unit_whose_last_process_exits_before_it_is_found_has_failed() {
    for (ending, status) in
        [(Ending::Code(0), 1), (Ending::Code(3), 3), (Ending::Signal(Signal::SEGV), 139)]
    {
        let mut world = run(daemon(Probe::PidFile));
        goes_on(&mut world);
        world.die("async.web", ending, Left::Nothing);
        assert_eq!(world.end, Some(status), "{ending:?}");
        let ended = world.engine.ended(UnitId(0)).map(|ended| ended.how);
        assert_eq!(ended, Some(How::Lost(UnitId(0), ending)));
    }
}

#[test]
fn a_unit_that_exits_with_0_and_leaves_nothing_has_failed() {
    let mut world = run(daemon(Probe::PidFile));
    world.exit("async.web", 0);
    assert_eq!(world.end, Some(1));
    // Any other status is that of the unit.
    let mut world = run(daemon(Probe::PidFile));
    world.exit("async.web", 5);
    assert_eq!(world.end, Some(5));
    assert_eq!(
        world.engine.ended(UnitId(0)).map(|ended| ended.how),
        Some(How::Process(Ending::Code(5)))
    );
}

#[test]
fn the_main_process_of_a_unit_in_the_background_is_supervised_as_any_other() {
    let restart = Restart { when: When::Always, ..Restart::NO };
    let mut world = run(Unit { restart, ..daemon(Probe::PidFile) });
    goes_on(&mut world);
    notified(&mut world, "async.web", Notice::MainPid(200));
    world.die("async.web", Ending::Signal(Signal::KILL), Left::Others);
    world.pass(SECOND);
    assert_eq!(world.started.len(), 1, "the processes that it has left are killed first");
    let unit = world.id("async.web");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(world.started.len(), 2);
    assert!(!is_ready(&world));
}

#[test]
fn a_unit_in_the_foreground_needs_no_file() {
    // The file names the process that trc has started.
    let mut world = run(daemon(Probe::PidFile));
    notified(&mut world, "async.web", Notice::MainPid(100));
    assert!(world.facts.contains(&main_process(100, true)));
    assert!(is_ready(&world));
    // The file does not come.
    let mut world = run(daemon(Probe::PidFile));
    world.pass(SECOND * 10);
    assert!(world.facts.contains(&main_process(100, true)));
    assert!(is_ready(&world));
    assert_eq!(world.sent(), []);
    world.exit("async.web", 0);
    assert_eq!(world.end, Some(143), "it has exited as any other service");
}

#[test]
fn a_unit_in_the_foreground_that_is_not_ready_in_time_has_failed() {
    for probe in [told(), tried()] {
        let mut world = run(daemon(probe.value));
        world.pass(SECOND * 10);
        world.die("async.web", Ending::Signal(Signal::TERM), Left::Nothing);
        assert_eq!(world.end, Some(124));
    }
}

#[test]
fn a_unit_that_is_to_stop_stops_while_it_goes_into_the_background() {
    let mut world = run(daemon(Probe::PidFile));
    goes_on(&mut world);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent().len(), 1);
    // Before trc has seen the one exit that it has told to stop, another stands in for it.
    notified(&mut world, "async.web", Notice::StandIn(201));
    assert_eq!(world.sent().len(), 1, "the other gets the stop signal, too");
    world.die("async.web", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.end, Some(143));
}
