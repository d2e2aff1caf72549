//! Test mode: tests one at a time, repeated attempts, `holds`, faults, the stop drill and the
//! result.

use super::readiness::{notified, with_ready};
use super::schedule::scheduled;
use super::*;
use crate::config::{
    Fault, FaultKind, Overlap, Restart, State as Expected, StopCheck, Test, Testing, When,
};

/// Returns a test `test.NAME` with a check that trc itself makes.
fn test(name: &str) -> Unit {
    let check = Placed { value: Expected::Uid(0).into(), origin: Origin::Default };
    let test = Test {
        checks: vec![check],
        within: None,
        holds: None,
        fault: None,
        job: None,
        during: None,
        absent: None,
        after_stop: vec![],
        stop: StopCheck::default(),
        allow: vec![],
        start_within: SECOND * 300,
        max_runtime: SECOND * 60,
        once: false,
    };
    Unit { command: Command::Nothing, test: Some(Box::new(test)), ..unit(name) }
}

fn with(mut unit: Unit, change: impl FnOnce(&mut Test)) -> Unit {
    change(unit.test.as_mut().expect("a test"));
    unit
}

fn fault(unit: Unit, victim: &str, kind: FaultKind) -> Unit {
    let victim = Placed { value: victim.to_owned(), origin: Origin::Default };
    let value = Fault { unit: victim, kind, restarts: None };
    with(unit, |test| {
        test.fault = Some(Placed { value, origin: Origin::Default });
        test.within = Some(SECOND * 30);
    })
}

/// Returns a test that runs `async.job`.
fn with_job(name: &str, within: Option<Duration>) -> Unit {
    with(test(name), |test| {
        test.job = Some(Placed { value: "async.job".to_owned(), origin: Origin::Default });
        test.within = within;
    })
}

fn restarted(unit: Unit) -> Unit {
    Unit { restart: Restart { when: When::Always, ..Restart::NO }, ..unit }
}

/// Lets everything that runs be up for a moment.
fn calm(mut world: World) -> World {
    let runs = world.end.is_none() && !world.running().is_empty();
    if runs && world.trial.is_none() {
        world.pass(limits::CALM);
    }
    world
}

fn run_allowing(wait: WaitPolicy, units: Vec<Unit>, allow: &[&str]) -> World {
    let allow = allow.iter().map(|name| {
        let name = Placed { value: (*name).to_owned(), origin: Origin::Default };
        (name, "test.a".to_owned())
    });
    let allow = allow.collect();
    let (only, reports, list, origin) = (vec![], vec![], false, Origin::Default);
    let testing =
        Some(Testing { only, list, strict: false, events: false, reports, allow, origin });
    calm(World::new(&Config { testing, ..config(wait, units) }))
}

fn run(units: Vec<Unit>) -> World {
    run_allowing(WaitPolicy::Any, units, &[])
}

fn plainly() -> Testing {
    let (only, reports, allow, origin) = (vec![], vec![], vec![], Origin::Default);
    Testing { only, list: false, strict: false, events: false, reports, allow, origin }
}

fn run_strictly(strict: bool, units: Vec<Unit>) -> World {
    let (only, reports, list, origin) = (vec![], vec![], false, Origin::Default);
    let testing =
        Some(Testing { only, list, strict, events: false, reports, allow: vec![], origin });
    calm(World::new(&Config { testing, ..config(WaitPolicy::Any, units) }))
}

/// Returns a run whose `[exit]` turns a status into 0.
fn run_mapping(status: u8, units: Vec<Unit>) -> World {
    let (only, reports, list, origin) = (vec![], vec![], false, Origin::Default);
    let testing =
        Some(Testing { only, list, strict: false, events: false, reports, allow: vec![], origin });
    let statuses = BTreeMap::from([(status, 0)]);
    let exit = Exit { statuses, stopped: Some(0), ..Exit::default() };
    calm(World::new(&Config { exit, testing, ..config(WaitPolicy::Any, units) }))
}

/// Answers the attempt that is under way.
fn tried(world: &mut World, name: &str, outcome: Outcome) {
    let unit = world.id(name);
    assert_eq!(world.trial.take(), Some(unit), "{name} is being tried");
    world.feed(Event::Tried { unit, outcome });
}

/// Lets everything that has been asked to stop exit.
fn obey(world: &mut World) {
    for _ in 0..10 {
        let told: Vec<String> = world.running();
        for name in told {
            let is_told =
                world.sent.iter().any(|(to, signal)| *to == name && *signal == Signal::TERM);
            if is_told {
                world.die(&name, Ending::Signal(Signal::TERM), Left::Nothing);
            }
        }
    }
}

fn findings(world: &World) -> Vec<String> {
    let graph = world.engine.graph();
    world.engine.findings().iter().map(|finding| finding.point(graph)).collect()
}

#[test]
fn tests_run_one_by_one_once_what_they_are_about_is_up_and_then_all_stops() {
    let web =
        with_ready(unit("async.web"), Placed { value: Probe::Notify, origin: Origin::Default });
    let mut world =
        run(vec![web, unit("sync.main"), test("test.a"), test("test.b"), unit("halt.h")]);
    assert_eq!(world.trial, None, "the web is not ready");
    notified(&mut world, "async.web", Notice::Ready);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!(world.sent(), [], "there is another test");
    tried(&mut world, "test.b", Outcome::Passed);
    assert_eq!(world.sent(), [], "the web has only just become ready");
    world.pass(limits::CALM);
    assert_eq!(
        world.sent.iter().filter(|(_, signal)| *signal == Signal::TERM).count(),
        2,
        "the drill"
    );
    obey(&mut world);
    assert_eq!(world.running(), ["halt.h"]);
    world.exit("halt.h", 0);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
}

#[test]
fn no_test_runs_and_none_is_in_the_way_in_production() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.web")]);
    world.exit("async.web", 3);
    assert_eq!(world.end, Some(3));
}

#[test]
fn one_failed_test_hides_no_other_and_gives_1() {
    for outcome in [Outcome::Failed, Outcome::TimedOut] {
        let mut world = run(vec![unit("async.web"), test("test.a"), test("test.b")]);
        tried(&mut world, "test.a", outcome);
        tried(&mut world, "test.b", Outcome::Passed);
        obey(&mut world);
        assert_eq!(world.end, Some(1), "{outcome:?}");
    }
}

#[test]
fn a_test_that_skips_itself_is_no_failure_unless_it_is_alone_or_the_run_is_strict() {
    for (second, strict, status) in [
        (Outcome::Passed, false, 0),
        (Outcome::Passed, true, 1),
        (Outcome::Skipped, false, 1),
        (Outcome::Failed, false, 1),
    ] {
        let mut world = run_strictly(strict, vec![test("test.a"), test("test.b")]);
        tried(&mut world, "test.a", Outcome::Skipped);
        tried(&mut world, "test.b", second);
        assert_eq!(world.end, Some(status), "{second:?}, strict: {strict}");
    }
}

#[test]
fn a_test_that_could_not_be_made_is_made_again_as_often_as_a_start() {
    for (unmade, status) in [(limits::FORK_RETRIES, 0), (limits::FORK_RETRIES + 1, 1)] {
        let mut world = run(vec![test("test.a")]);
        for _ in 0..unmade {
            tried(&mut world, "test.a", Outcome::NotMade);
            if world.end.is_none() {
                let due = world.engine.next_deadline().expect("another try");
                world.pass(due.saturating_sub(world.now));
            }
        }
        if world.end.is_none() {
            tried(&mut world, "test.a", Outcome::Passed);
        }
        assert_eq!(world.end, Some(status), "{unmade}");
    }
}

#[test]
fn within_a_time_it_is_tried_again_faster_at_first() {
    let mut world = run(vec![with(test("test.a"), |test| test.within = Some(SECOND))]);
    let mut tries = vec![];
    while world.end.is_none() {
        tries.push(world.now);
        tried(&mut world, "test.a", Outcome::Failed);
        if world.end.is_none() {
            while world.trial.is_none() {
                let due = world.engine.next_deadline().expect("another try");
                world.pass(due.saturating_sub(world.now));
            }
        }
    }
    let millis: Vec<u128> = tries.iter().map(Duration::as_millis).collect();
    assert_eq!(millis[..5], [0, 10, 30, 70, 150]);
    assert_eq!((*millis.last().unwrap(), world.end), (1000, Some(1)), "a last one when time is up");
}

#[test]
fn what_has_to_hold_is_tried_until_it_has_held() {
    let holds = |test: Unit| with(test, |test| test.holds = Some(SECOND));
    let mut world = run(vec![holds(test("test.a"))]);
    tried(&mut world, "test.a", Outcome::Passed);
    let mut tries = 0;
    while world.end.is_none() {
        world.pass(limits::HOLD_EVERY);
        tried(&mut world, "test.a", Outcome::Passed);
        tries += 1;
    }
    assert_eq!((tries, world.now, world.end), (10, SECOND, Some(0)));

    let mut world = run(vec![holds(test("test.a"))]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(limits::HOLD_EVERY);
    tried(&mut world, "test.a", Outcome::Failed);
    assert_eq!(world.end, Some(1), "it did not");
}

#[test]
fn what_has_to_hold_does_not_where_a_unit_is_restarted_meanwhile() {
    let a = with(test("test.a"), |test| test.holds = Some(SECOND));
    let mut world =
        run_allowing(WaitPolicy::Any, vec![restarted(unit("async.web")), a], &["async.web.run"]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.exit("async.web", 1);
    world.pass(SECOND);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!(world.end, Some(1));
}

#[test]
fn a_fault_is_no_key_that_was_pressed() {
    let int = FaultKind::Kill(Signal::INT);
    let mut world = run(vec![restarted(unit("sync.f")), fault(test("test.a"), "sync.f", int)]);
    let unit = world.id("sync.f");
    world.pids.clear();
    let ending = Ending::Signal(Signal::INT);
    world.feed(Event::Exited { unit, ending, leftovers: Left::Nothing, terminal: true, why: None });
    world.pass(SECOND);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
}

#[test]
fn a_fault_waits_until_its_unit_is_up_again() {
    let kill = FaultKind::Kill(Signal::KILL);
    let a = with(test("test.a"), |test| test.holds = Some(SECOND));
    let b = fault(test("test.b"), "async.web", kill);
    let mut world =
        run_allowing(WaitPolicy::Any, vec![restarted(unit("async.web")), a, b], &["web.run"]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.exit("async.web", 1);
    world.pass(limits::HOLD_EVERY);
    tried(&mut world, "test.a", Outcome::Failed);
    assert_eq!((world.trial, world.sent()), (None, vec![]), "there is nothing to kill");
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.web", Signal::KILL)]);
}

#[test]
fn a_fault_can_not_be_done_to_what_has_ended() {
    let kill = FaultKind::Kill(Signal::KILL);
    let b = fault(after(test("test.b"), "async.job", None), "async.job", kill);
    let job = Unit { on_failure: OnFailure::Ignore, ..unit("async.job") };
    let a = after(test("test.a"), "async.job", None);
    let mut world = run(vec![job, a, b]);
    world.exit("async.job", 3);
    tried(&mut world, "test.a", Outcome::Failed);
    let (b, job) = (world.id("test.b"), world.id("async.job"));
    assert_eq!(world.engine.ended(b).map(|ended| ended.how), Some(How::Blocked(job)));
}

#[test]
fn a_fault_waits_for_all_units_where_the_test_comes_after_none() {
    let kill = FaultKind::Kill(Signal::KILL);
    let web =
        with_ready(unit("async.web"), Placed { value: Probe::Notify, origin: Origin::Default });
    let a = fault(test("test.a"), "async.db", kill);
    let mut world = run(vec![restarted(unit("async.db")), web, a]);
    assert_eq!(world.sent(), [], "the web is not ready");
    notified(&mut world, "async.web", Notice::Ready);
    assert_eq!(world.sent(), [to("async.db", Signal::KILL)]);
}

#[test]
fn a_killed_unit_has_to_be_up_again() {
    let kill = FaultKind::Kill(Signal::KILL);
    let mut world =
        run(vec![restarted(unit("async.web")), fault(test("test.a"), "async.web", kill)]);
    assert_eq!(world.sent(), [to("async.web", Signal::KILL)]);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!(world.end, None, "it answered before it died");
    world.die("async.web", Ending::Signal(Signal::KILL), Left::Nothing);
    world.pass(limits::TRY_EVERY);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(SECOND);
    assert_eq!(world.running(), ["async.web"]);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]), "that restart was asked for");
}

/// Some programs exit on SIGINT and others leave it to the terminal, and a test may end before they
/// exit.
#[test]
fn a_fault_that_restarted_nothing_excuses_no_later_restart_but_by_its_own_signal() {
    for (outcome, ending, found) in [
        (Outcome::Passed, Ending::Code(3), vec!["async.web.run"]),
        (Outcome::Passed, Ending::Signal(Signal::SEGV), vec!["async.web.run"]),
        (Outcome::Passed, Ending::Signal(Signal::INT), vec![]),
        (Outcome::Skipped, Ending::Code(3), vec!["async.web.run"]),
        (Outcome::Skipped, Ending::Signal(Signal::INT), vec![]),
    ] {
        let other = with(fault(test("test.b"), "async.db", FaultKind::Stop(SECOND)), |test| {
            test.within = Some(SECOND * 30);
        });
        let int = fault(test("test.a"), "async.web", FaultKind::Kill(Signal::INT));
        let mut world = run(vec![restarted(unit("async.web")), unit("async.db"), int, other]);
        tried(&mut world, "test.a", outcome);
        world.die("async.web", ending, Left::Nothing);
        world.pass(SECOND * 2);
        tried(&mut world, "test.b", Outcome::Passed);
        obey(&mut world);
        assert_eq!(findings(&world), found, "{outcome:?} {ending:?}");
    }
}

/// A unit that dies of the signal a moment after its test has passed should have survived.
#[test]
fn a_signal_that_a_unit_is_to_bear_excuses_no_end() {
    let hup = fault(test("test.a"), "async.web", FaultKind::Kill(Signal::HUP));
    let mut world = run(vec![
        restarted(unit("async.web")),
        unit("async.db"),
        hup,
        fault(test("test.b"), "async.db", FaultKind::Stop(SECOND)),
    ]);
    tried(&mut world, "test.a", Outcome::Passed);
    while world.engine.ended(world.id("test.a")).is_none() {
        world.pass(limits::TRY_EVERY);
        tried(&mut world, "test.a", Outcome::Passed);
    }
    world.die("async.web", Ending::Signal(Signal::HUP), Left::Nothing);
    assert_eq!(findings(&world), ["async.web.run"]);
}

/// Returns the result of a test with this fault, if its unit survives, or is restarted soon.
fn after_fault(
    signal: Signal,
    stop_signal: Option<Signal>,
    restarts: Option<bool>,
    dies: bool,
) -> How {
    let mut web = restarted(unit("async.web"));
    web.stop.signal = stop_signal;
    let mut test = fault(test("test.a"), "async.web", FaultKind::Kill(signal));
    test.test.as_mut().unwrap().fault.as_mut().unwrap().value.restarts = restarts;
    let mut world = run_allowing(WaitPolicy::Any, vec![web, test], &["web.run"]);
    if dies {
        world.die("async.web", Ending::Signal(signal), Left::Nothing);
    }
    for _ in 0..1000 {
        if world.trial.is_some() {
            tried(&mut world, "test.a", Outcome::Passed);
        }
        if let Some(ended) = world.engine.ended(world.id("test.a")) {
            return ended.how;
        }
        world.pass(limits::TRY_EVERY);
    }
    panic!("the test comes to an end");
}

#[test]
fn what_stops_programs_asks_a_fault_for_another_process_and_what_means_something_for_the_same() {
    let passes = |dies, signal, stop, restarts| {
        let how = after_fault(signal, stop, restarts, dies);
        let passed = how == How::Test(TestEnd::Passed);
        assert!(passed || how == How::Test(TestEnd::NotRecovered), "{signal}: {how:?}");
        passed
    };
    for (signal, stop, restarts, goes_on, comes_back) in [
        (Signal::KILL, None, None, false, true),
        (Signal::TERM, None, None, false, true),
        (Signal::SEGV, None, None, false, true),
        (Signal::USR1, Some(Signal::USR1), None, false, true),
        (Signal::INT, None, None, true, true),
        (Signal::QUIT, None, None, true, true),
        (Signal::HUP, None, None, true, false),
        (Signal::USR1, None, None, true, false),
        (Signal::HUP, None, Some(true), false, true),
        (Signal::TERM, None, Some(false), true, false),
    ] {
        assert_eq!(passes(false, signal, stop, restarts), goes_on, "{signal} {restarts:?}");
        assert_eq!(passes(true, signal, stop, restarts), comes_back, "{signal} {restarts:?}");
    }
}

#[test]
fn what_nothing_says_is_ready_has_to_run_for_a_moment_before_it_is_tested() {
    let testing =
        |units| World::new(&Config { testing: Some(plainly()), ..config(WaitPolicy::Any, units) });
    let started = Some(crate::config::Condition::Started);
    for (test, now) in [
        (test("test.a"), false),
        (after(test("test.a"), "async.web", None), false),
        (fault(test("test.a"), "async.web", FaultKind::Stop(SECOND)), false),
        (after(test("test.a"), "async.web", started), true),
    ] {
        let mut world = testing(vec![restarted(unit("async.web")), test]);
        assert_eq!(world.trial.is_some(), now);
        world.pass(limits::CALM);
        assert!(world.trial.is_some());
    }
    // A unit that is restarted meanwhile starts over, and one that has ended is not waited for.
    let mut world = testing(vec![restarted(unit("async.web")), unit("async.job"), test("test.a")]);
    world.exit("async.job", 0);
    world.pass(limits::CALM / 2);
    world.exit("async.web", 1);
    world.pass(limits::CALM);
    assert_eq!(world.trial, None);
    world.pass(limits::CALM);
    assert!(world.trial.is_some());
}

#[test]
fn a_run_does_not_end_before_all_units_are_as_they_are_to_be() {
    let ready = || Placed { value: Probe::Notify, origin: Origin::Default };
    let started = Some(crate::config::Condition::Started);
    let a = || {
        let a = after(test("test.a"), "async.web", started);
        with(a, |test| test.start_within = SECOND * 5)
    };
    // trc waits for a slow unit, and for the units that depend on it.
    let db = with_ready(unit("async.db"), ready());
    let worker = after(unit("async.worker"), "async.db", None);
    let units = vec![unit("async.web"), db, worker, a()];
    let mut world = run(units.clone());
    tried(&mut world, "test.a", Outcome::Passed);
    let lacks: Vec<_> = world
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::NotUpYet { units } => Some(units.clone()),
            _ => None,
        })
        .collect();
    let (db, worker) = (world.id("async.db"), world.id("async.worker"));
    assert_eq!(lacks, [[(db, Lack::NotReady), (worker, Lack::NeverStarted)]]);
    world.pass(SECOND * 3);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.sent(), []);
    world.pass(limits::CALM);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
    // A unit that is never ready is a finding, unless a test allows it.
    let mut world = run(units.clone());
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(SECOND * 5);
    obey(&mut world);
    assert_eq!(
        (world.end, findings(&world)),
        (Some(1), vec!["async.db.run".to_owned(), "async.worker.run".to_owned()])
    );
    let mut world = run_allowing(WaitPolicy::Any, units, &["db.run", "worker.run"]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(limits::CALM);
    obey(&mut world);
    assert_eq!(world.end, Some(0), "and not waited for");
}

#[test]
fn a_one_shot_that_runs_when_the_tests_are_done_is_waited_for() {
    let started = Some(crate::config::Condition::Started);
    let a = with(after(test("test.a"), "async.web", started), |test| test.start_within = SECOND);
    let job = Unit { oneshot: Some(true), ..unit("async.job") };
    for ends in [true, false] {
        let mut world = run(vec![unit("async.web"), job.clone(), a.clone()]);
        tried(&mut world, "test.a", Outcome::Passed);
        assert_eq!(world.sent(), []);
        if ends {
            world.exit("async.job", 0);
        }
        world.pass(SECOND);
        obey(&mut world);
        let found = if ends { vec![] } else { vec!["async.job.run".to_owned()] };
        assert_eq!((world.end, findings(&world)), (Some(u8::from(!ends)), found));
    }
}

/// A cleanup that waits for the end of a service, and the other foreground units.
#[test]
fn what_starts_only_when_something_ends_is_not_waited_for() {
    let exited = Some(crate::config::Condition::Exited);
    let failed = Some(crate::config::Condition::Failed);
    let units = vec![
        unit("sync.web"),
        unit("sync.then"),
        after(unit("async.cleanup"), "sync.web", exited),
        after(unit("async.alarm"), "sync.web", failed),
        after(unit("async.behind"), "async.alarm", None),
        after(test("test.a"), "sync.web", None),
    ];
    let mut world = run(units);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
}

#[test]
fn a_test_can_wait_for_the_start_of_another() {
    let started = Some(crate::config::Condition::Started);
    let mut world =
        run(vec![unit("async.x"), test("test.a"), after(test("test.b"), "test.a", started)]);
    tried(&mut world, "test.a", Outcome::Passed);
    tried(&mut world, "test.b", Outcome::Passed);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
}

#[test]
fn a_test_after_a_one_shot_waits_for_its_success() {
    let migrate = || Unit { oneshot: Some(true), ..unit("async.migrate") };
    for (code, ends) in [(0, None), (3, Some(How::Blocked(UnitId(0))))] {
        let mut world = run(vec![migrate(), after(test("test.a"), "async.migrate", None)]);
        world.pass(SECOND * 10);
        assert_eq!(world.trial, None, "it still runs");
        world.exit("async.migrate", code);
        let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
        assert_eq!((world.trial.is_some(), ended), (ends.is_none(), ends));
    }
}

#[test]
fn a_test_gives_up_on_a_unit_that_is_restarted_again_and_again() {
    let ready = Placed { value: Probe::Notify, origin: Origin::Default };
    let web = restarted(with_ready(unit("async.web"), ready));
    for (allow, gives_up) in [(&[][..], true), (&["web.run"][..], false)] {
        let mut world = run_allowing(WaitPolicy::Any, vec![web.clone(), test("test.a")], allow);
        for _ in 0..limits::LOOP {
            assert_eq!(world.engine.ended(world.id("test.a")), None);
            world.exit("async.web", 3);
            world.pass(SECOND * 10);
        }
        let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
        assert_eq!(ended, gives_up.then(|| How::Blocked(world.id("async.web"))));
    }
}

/// The test used to wait for five minutes if its unit waits for a unit that is restarted again and
/// again.
#[test]
fn a_test_gives_up_where_what_it_waits_for_waits_for_a_loop() {
    let ready = Placed { value: Probe::Notify, origin: Origin::Default };
    let db = restarted(with_ready(unit("async.db"), ready.clone()));
    let app = with_ready(after(unit("async.app"), "async.db", None), ready);
    let web = after(unit("async.web"), "async.app", None);
    let test = after(test("test.a"), "async.web", None);
    let mut world = run(vec![db, app, web, test]);
    for _ in 0..limits::LOOP {
        assert_eq!(world.engine.ended(world.id("test.a")), None);
        world.exit("async.db", 3);
        world.pass(SECOND * 10);
    }
    let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
    assert_eq!(ended, Some(How::Blocked(world.id("async.db"))));
}

#[test]
fn a_unit_ends_well_when_it_is_told_to_and_not_before() {
    for (ending, told, found) in [
        (Ending::Code(0), true, vec![]),
        (Ending::Code(3), true, vec!["async.db.stop"]),
        (Ending::Code(143), true, vec![]),
        (Ending::Code(130), true, vec!["async.db.stop"]),
        (Ending::Signal(Signal::TERM), true, vec![]),
        (Ending::Signal(Signal::KILL), true, vec!["async.db.stop"]),
        (Ending::Signal(Signal::SEGV), true, vec!["async.db.run"]),
        (Ending::Code(0), false, vec![]),
        (Ending::Code(3), false, vec!["async.db.run"]),
        (Ending::Signal(Signal::KILL), false, vec!["async.db.run"]),
    ] {
        let web = after(unit("async.web"), "async.db", None);
        let mut world = run(vec![unit("async.db"), web, test("test.a")]);
        tried(&mut world, "test.a", Outcome::Passed);
        if told {
            // A unit that depends on others stops first.
            world.die("async.web", Ending::Signal(Signal::TERM), Left::Nothing);
        }
        world.die("async.db", ending, Left::Nothing);
        obey(&mut world);
        assert_eq!(findings(&world), found, "{ending:?}, told: {told}");
        assert_eq!(world.end, Some(u8::from(!found.is_empty())));
    }
}

#[test]
fn a_killed_unit_that_is_not_restarted_fails_the_test_and_the_run() {
    let kill = FaultKind::Kill(Signal::KILL);
    let mut world = run(vec![unit("async.web"), fault(test("test.a"), "async.web", kill)]);
    world.die("async.web", Ending::Signal(Signal::KILL), Left::Nothing);
    tried(&mut world, "test.a", Outcome::Passed);
    let id = world.id("test.a");
    let ended = world.engine.ended(id).map(|ended| ended.how);
    assert_eq!(ended, Some(How::Test(TestEnd::NotRecovered)));
    assert_eq!((world.end, findings(&world)), (Some(1), vec!["async.web.run".to_owned()]));
}

#[test]
fn a_stopped_unit_goes_on_after_its_time_and_not_before_that_the_test_is_over() {
    let stop = FaultKind::Stop(SECOND * 5);
    let mut world = run(vec![unit("async.web"), fault(test("test.a"), "async.web", stop)]);
    assert_eq!(world.sent(), [to("async.web", Signal::STOP)]);
    tried(&mut world, "test.a", Outcome::Passed);
    while world.now < limits::CALM + SECOND * 5 {
        assert_eq!(world.end, None);
        world.pass(limits::TRY_EVERY);
        if world.trial.is_some() {
            tried(&mut world, "test.a", Outcome::Passed);
        }
    }
    assert!(world.sent.contains(&to("async.web", Signal::CONT)));
    while world.trial.is_some() || world.end.is_none() && world.running().len() == 1 {
        if world.trial.is_some() {
            tried(&mut world, "test.a", Outcome::Passed);
        }
        world.pass(limits::TRY_EVERY);
        obey(&mut world);
    }
    assert_eq!(world.end, Some(0));
}

#[test]
fn a_stopped_unit_that_is_restarted_has_not_to_go_on() {
    let stop = FaultKind::Stop(SECOND * 60);
    let mut world =
        run(vec![restarted(unit("async.web")), fault(test("test.a"), "async.web", stop)]);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!(world.end, None, "it is still stopped");
    world.die("async.web", Ending::Signal(Signal::KILL), Left::Nothing);
    world.pass(SECOND);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
    assert!(world.now < SECOND * 60);
}

#[test]
fn a_unit_that_is_gone_for_good_is_not_waited_for() {
    let kill = FaultKind::Kill(Signal::KILL);
    let a = with(fault(test("test.a"), "async.web", kill), |test| test.within = Some(SECOND * 30));
    let mut world = run(vec![unit("async.web"), a]);
    world.die("async.web", Ending::Signal(Signal::KILL), Left::Nothing);
    tried(&mut world, "test.a", Outcome::Failed);
    let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
    assert_eq!(ended, Some(How::Test(TestEnd::NotRecovered)));
    assert!(world.now < SECOND, "although there was time");
}

#[test]
fn what_is_hopeless_fails_at_once_though_there_is_time() {
    let patient = |name| with(test(name), |test| test.within = Some(SECOND * 10));
    let holding = |name| with(patient(name), |test| test.holds = Some(SECOND * 5));
    let kill = FaultKind::Kill(Signal::KILL);
    for (unit, before, expected) in [
        (patient("test.a"), Outcome::Failed, TestEnd::Failed),
        (holding("test.a"), Outcome::Passed, TestEnd::DidNotHold),
        (fault(test("test.a"), "async.web", kill), Outcome::Failed, TestEnd::Failed),
    ] {
        let mut world = run(vec![restarted(self::unit("async.web")), unit]);
        tried(&mut world, "test.a", before);
        world.pass(limits::HOLD_EVERY);
        tried(&mut world, "test.a", Outcome::Hopeless);
        let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
        assert_eq!(ended, Some(How::Test(expected)));
        assert!(world.now < SECOND, "although there was time");
    }
}

#[test]
fn tests_with_faults_come_last() {
    let kill = FaultKind::Kill(Signal::HUP);
    let mut world =
        run(vec![unit("async.web"), fault(test("test.a"), "async.web", kill), test("test.b")]);
    assert_eq!(world.sent(), []);
    tried(&mut world, "test.b", Outcome::Passed);
    assert_eq!(world.sent(), [to("async.web", Signal::HUP)]);
}

#[test]
fn a_test_that_waits_in_vain_fails_and_says_for_whom() {
    let web =
        with_ready(unit("async.web"), Placed { value: Probe::Notify, origin: Origin::Default });
    let mut world = run(vec![web, test("test.a"), test("test.b")]);
    world.exit("async.web", 3);
    let (a, web) = (world.id("test.a"), world.id("async.web"));
    assert_eq!(world.engine.ended(a).map(|ended| ended.how), Some(How::Blocked(web)));
    assert_eq!((world.end, findings(&world)), (Some(1), vec!["async.web.run".to_owned()]));
}

#[test]
fn a_test_waits_for_its_units_for_so_long_and_no_longer() {
    let late = after(unit("async.late"), "async.web", Some(Condition::Exited));
    let mut world = run(vec![unit("async.web"), late, test("test.a")]);
    world.pass(SECOND * 299);
    assert_eq!(world.facts.iter().filter(|fact| matches!(fact, Fact::TestEnded { .. })).count(), 0);
    world.pass(SECOND * 2);
    // A unit whose exit another unit waits for is a one-shot, and has not succeeded.
    let (a, web) = (world.id("test.a"), world.id("async.web"));
    assert_eq!(world.engine.ended(a).map(|ended| ended.how), Some(How::Blocked(web)));
}

#[test]
fn a_sync_unit_that_runs_keeps_no_test_waiting_for_those_behind_it() {
    let mut world = run(vec![unit("sync.first"), unit("sync.second"), test("test.a")]);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!(world.end, Some(0));
}

#[test]
fn no_policy_ends_a_test_run_and_an_end_that_is_not_meant_fails_it() {
    let one_shot = |unit: Unit| Unit { oneshot: Some(true), ..unit };
    let ignored = |unit: Unit| Unit { on_failure: OnFailure::Ignore, ..unit };
    let stops = |unit: Unit| Unit { on_failure: OnFailure::Stop, ..unit };
    for (wait, unit, code, found) in vec![
        (WaitPolicy::Any, unit("async.x"), 0, true),
        (WaitPolicy::Any, unit("async.x"), 3, true),
        (WaitPolicy::Any, unit("sync.x"), 0, true),
        (WaitPolicy::Any, one_shot(unit("async.x")), 0, false),
        (WaitPolicy::Any, one_shot(unit("async.x")), 3, true),
        (WaitPolicy::Any, ignored(unit("async.x")), 3, false),
        (WaitPolicy::Any, stops(unit("async.x")), 3, true),
        (WaitPolicy::All, unit("async.x"), 0, false),
        (WaitPolicy::All, unit("async.x"), 3, true),
        (WaitPolicy::Err, unit("async.x"), 3, true),
        (WaitPolicy::Forever, unit("async.x"), 0, true),
    ] {
        let id = unit.id();
        let case = format!("{wait:?} {id} {code} {:?}", unit.on_failure);
        let a = after(test("test.a"), &id, Some(crate::config::Condition::Started));
        let mut world = run_allowing(wait, vec![unit, a], &[]);
        world.exit(&id, code);
        assert_eq!(world.end, None, "{case}");
        tried(&mut world, "test.a", Outcome::Passed);
        let expected = if found { vec![format!("{id}.run")] } else { vec![] };
        assert_eq!((findings(&world), world.end), (expected, Some(u8::from(found))), "{case}");
    }
}

#[test]
fn what_one_test_allows_is_found_and_excused() {
    let mut world =
        run_allowing(WaitPolicy::Any, vec![unit("async.x"), test("test.a")], &["x.run"]);
    world.exit("async.x", 3);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!((world.end, findings(&world)), (Some(0), vec!["async.x.run".to_owned()]));
}

#[test]
fn a_unit_that_does_not_end_on_its_stop_signal_fails_the_drill() {
    let mut world = run(vec![unit("async.x"), test("test.a")]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(SECOND * 5);
    world.die("async.x", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!((world.end, findings(&world)), (Some(1), vec!["async.x.stop".to_owned()]));
}

#[test]
fn the_drill_has_the_budget_of_a_stop_from_outside() {
    let slow = |id: &str| {
        let stop = Stop { timeout: Some(SECOND * 60), ..Stop::default() };
        Unit { stop, ..unit(id) }
    };
    let shutdown = Shutdown { timeout: Some(SECOND * 9) };
    let (only, reports, list, origin) = (vec![], vec![], false, Origin::Default);
    let testing =
        Some(Testing { only, list, strict: false, events: false, reports, allow: vec![], origin });
    let units = vec![slow("async.x"), test("test.a")];
    let config = Config { shutdown, testing, ..config(WaitPolicy::Any, units) };
    let mut world = calm(World::new(&config));
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(SECOND * 7);
    assert!(world.sent().contains(&to("async.x", Signal::KILL)));
}

#[test]
fn a_drill_without_the_time_to_kill_anything_has_failed() {
    let shutdown = Shutdown { timeout: Some(Duration::ZERO) };
    let (only, reports, list, origin) = (vec![], vec![], false, Origin::Default);
    let testing =
        Some(Testing { only, list, strict: false, events: false, reports, allow: vec![], origin });
    let units = vec![unit("async.x"), test("test.a")];
    let config = Config { shutdown, testing, ..config(WaitPolicy::Any, units) };
    let mut world = calm(World::new(&config));
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!((world.end, findings(&world)), (Some(1), vec!["async.x.stop".to_owned()]));
}

#[test]
fn what_an_exec_unit_leaves_is_an_orphan_unless_it_is_just_ending() {
    for (lingers, found) in [(false, vec![]), (true, vec!["orphans".to_owned()])] {
        let mut world = run(vec![unit("async.x"), test("test.a")]);
        tried(&mut world, "test.a", Outcome::Passed);
        world.die("async.x", Ending::Signal(Signal::TERM), Left::Others);
        assert_eq!(world.sent(), [to("async.x", Signal::TERM)], "its group has a moment");
        if lingers {
            world.pass(limits::LINGER);
            assert_eq!(world.sent(), [to("async.x", Signal::TERM)], "now it is told");
        }
        let unit = world.id("async.x");
        world.feed(Event::LeftoversGone { unit });
        assert_eq!(findings(&world), found);
        assert_eq!(world.end, Some(u8::from(lingers)));
    }
}

#[test]
fn what_is_left_has_time_to_obey_however_little_its_unit_has() {
    let stop = Stop { timeout: Some(limits::LINGER / 2), ..Stop::default() };
    let mut world = run(vec![Unit { stop, ..unit("async.x") }, test("test.a")]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.die("async.x", Ending::Signal(Signal::TERM), Left::Others);
    assert_eq!(world.sent(), [to("async.x", Signal::TERM)]);
    world.pass(limits::LINGER);
    assert_eq!(world.sent(), [to("async.x", Signal::TERM)], "now its group");
    world.pass(limits::LINGER / 2);
    assert_eq!(world.sent(), [], "it was just told");
    let unit = world.id("async.x");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(findings(&world), ["orphans"]);
}

#[test]
fn what_is_left_when_all_units_have_ended_fails_the_run() {
    for (orphans, sessions, found) in [(true, false, "orphans"), (false, true, "sessions")] {
        let mut world = run(vec![test("test.a"), unit("halt.h")]);
        world.remains = vec![(orphans, sessions)];
        tried(&mut world, "test.a", Outcome::Passed);
        assert_eq!(world.running(), Vec::<String>::new(), "it has a moment");
        world.pass(limits::LINGER);
        assert_eq!(world.running(), ["halt.h"], "halt units run all the same");
        world.exit("halt.h", 0);
        assert_eq!((world.end, findings(&world)), (Some(1), vec![found.to_owned()]));
    }
}

#[test]
fn what_is_left_may_be_about_to_end() {
    for left in [(true, false), (false, true)] {
        let mut world = run(vec![test("test.a")]);
        world.remains = vec![left, (false, false)];
        tried(&mut world, "test.a", Outcome::Passed);
        assert_eq!(world.end, None);
        world.pass(limits::LINGER);
        assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
    }
}

#[test]
fn a_zombie_is_one_that_is_still_there_a_moment_later() {
    for (looks, end, found) in [
        (vec![true, false], Some(0), vec![]),
        (vec![true, true], Some(1), vec!["zombies".to_owned()]),
    ] {
        let mut world = run(vec![test("test.a")]);
        world.zombies = looks;
        tried(&mut world, "test.a", Outcome::Passed);
        assert_eq!(world.end, None);
        world.pass(limits::ZOMBIE);
        assert_eq!((world.end, findings(&world)), (end, found));
    }
}

#[test]
fn a_failed_boot_and_a_signal_end_a_test_run_with_1() {
    let mut world = run(vec![unit("boot.b"), test("test.a")]);
    world.exit("boot.b", 3);
    assert_eq!(world.end, Some(1));

    let mut world = run(vec![unit("async.x"), test("test.a")]);
    assert!(world.trial.is_some());
    world.signal(Signal::TERM, true);
    assert_eq!(world.trial, None, "its try is given up");
    obey(&mut world);
    assert_eq!(world.end, Some(1));
}

#[test]
fn nothing_turns_a_failed_test_run_into_0() {
    let bye = Unit { form: Form::Script, ..unit("halt.bye") };
    let mut world = run_mapping(1, vec![test("test.a"), bye]);
    tried(&mut world, "test.a", Outcome::Failed);
    assert_eq!(world.engine.status(), 1, "halt units see it");
    world.exit("halt.bye", 0);
    assert_eq!(world.end, Some(1));
}

#[test]
fn nothing_turns_a_command_line_that_boot_has_broken_into_0_either() {
    let bye = Unit { form: Form::Script, ..unit("halt.bye") };
    let mut world = run_mapping(78, vec![unit("boot.b"), test("test.a"), bye]);
    world.unsettled = true;
    world.exit("boot.b", 0);
    assert_eq!(world.engine.status(), 78, "halt units see it");
    world.exit("halt.bye", 0);
    assert_eq!(world.end, Some(78));
}

#[test]
fn a_halt_unit_that_fails_fails_the_run() {
    for form in [Form::Declared, Form::Script] {
        let mut world = run(vec![test("test.a"), Unit { form, ..unit("halt.bye") }]);
        tried(&mut world, "test.a", Outcome::Passed);
        world.exit("halt.bye", 3);
        assert_eq!((world.end, findings(&world)), (Some(1), vec!["halt.bye.run".to_owned()]));
    }
}

#[test]
fn halt_units_that_are_cut_short_fail_the_run() {
    let mut world = run(vec![test("test.a"), unit("halt.a"), unit("halt.b")]);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(SECOND * 9);
    let found = ["halt.a.run", "halt.b.run"].map(str::to_owned).to_vec();
    assert_eq!((world.end, findings(&world)), (Some(1), found));
}

#[test]
fn what_is_executed_only_after_it_was_told_to_stop_has_not_started() {
    let db = Placed { value: "async.db".to_owned(), origin: Origin::Default };
    let restart = Restart { with: vec![db], ..Restart::NO };
    let web = Unit { restart, ..unit("async.web") };
    let a = with(after(test("test.a"), "async.web", None), |test| test.start_within = SECOND);
    let mut world = run(vec![unit("boot.b"), restarted(unit("async.db")), web, a]);
    world.commands = Commands::Delayed;
    world.exit("boot.b", 0);
    world.feed(Event::Executed { unit: world.id("async.db") });
    world.exit("async.db", 1);
    assert_eq!(world.sent(), [to("async.web", Signal::TERM)], "it is restarted together");
    world.feed(Event::Executed { unit: world.id("async.web") });
    world.pass(SECOND * 2);
    let ended = world.engine.ended(world.id("test.a")).map(|ended| ended.how);
    assert_eq!(ended, Some(How::Blocked(world.id("async.web"))));
}

#[test]
fn a_test_that_still_waits_when_the_run_stops_wakes_nobody() {
    let web =
        with_ready(unit("async.web"), Placed { value: Probe::Notify, origin: Origin::Default });
    let a = with(test("test.a"), |test| test.start_within = SECOND);
    let mut world = run(vec![web, a]);
    world.signal(Signal::TERM, true);
    world.pass(SECOND);
    assert!(world.engine.next_deadline() > Some(world.now));
}

#[test]
fn a_session_that_is_made_after_the_main_process_exited_is_found() {
    let mut one = unit("async.a");
    one.oneshot = Some(true);
    let mut world = run(vec![one, test("test.t")]);
    let id = world.id("async.a");
    world.escaped = vec![id];
    world.die("async.a", Ending::Code(0), Left::Others);
    tried(&mut world, "test.t", Outcome::Passed);
    world.pass(SECOND * 10);
    assert!(world.engine.findings().contains(&Finding::Escaped(id)));
}

#[test]
fn a_test_runs_its_job_and_asks_when_that_has_succeeded() {
    let job = scheduled("async.job", Overlap::Skip);
    let tests = [with_job("test.a", None), with_job("test.b", None)];
    let [a, b] = tests;
    let mut world = run(vec![unit("async.web"), job, a, b]);
    assert_eq!(
        (world.running(), world.trial),
        (vec!["async.web".into(), "async.job".into()], None)
    );
    world.pass(SECOND * 59);
    assert_eq!(world.trial, None, "the job runs");
    world.exit("async.job", 0);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!(world.trial, None, "the second test runs the job once more");
    world.exit("async.job", 3);
    assert_eq!((world.trial, world.running()), (None, vec!["async.web".to_owned()]));
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(1), vec![]), "what failed is the test");
    let ended = |name: &str| world.engine.ended(world.id(name)).unwrap().how;
    assert_eq!(ended("test.a"), How::Test(TestEnd::Passed));
    assert_eq!(ended("test.b"), How::Test(TestEnd::Failed));
}

#[test]
fn a_job_has_as_long_as_its_test_and_the_next_test_stops_it_and_runs_it_anew() {
    for (within, most) in [(None, SECOND * 60), (Some(SECOND * 90), SECOND * 90)] {
        let job = scheduled("async.job", Overlap::Skip);
        let (a, b) = (with_job("test.a", within), with_job("test.b", None));
        let mut world = run(vec![unit("async.web"), job, a, b]);
        world.pass(most.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!((world.engine.ended(world.id("test.a")), world.sent()), (None, vec![]));
        world.pass(Duration::from_millis(1));
        let ended = world.engine.ended(world.id("test.a")).unwrap().how;
        assert_eq!(ended, How::Test(TestEnd::TimedOut));
        assert_eq!(world.sent(), [to("async.job", Signal::TERM)]);
        world.die("async.job", Ending::Signal(Signal::TERM), Left::Nothing);
        assert_eq!(world.started.len(), 3, "the job runs again");
        world.exit("async.job", 0);
        tried(&mut world, "test.b", Outcome::Passed);
        obey(&mut world);
        assert_eq!((world.end, findings(&world)), (Some(1), vec![]));
    }
}

/// A restart that the job's own policy makes belongs to its run.
#[test]
fn a_job_that_is_restarted_has_not_ended() {
    let job = restarted(scheduled("async.job", Overlap::Skip));
    let mut world = run(vec![unit("async.web"), job, with_job("test.a", None)]);
    world.exit("async.job", 3);
    assert_eq!(world.trial, None);
    world.pass(SECOND);
    world.exit("async.job", 0);
    tried(&mut world, "test.a", Outcome::Passed);
    obey(&mut world);
    assert_eq!(findings(&world), ["async.job.run"]);
}

#[test]
fn a_job_that_cannot_start_has_failed() {
    let mut db =
        with_ready(unit("async.db"), Placed { value: Probe::Notify, origin: Origin::Default });
    db.on_failure = OnFailure::Ignore;
    let job = after(scheduled("async.job", Overlap::Skip), "async.db", None);
    let a = after(with_job("test.a", None), "async.web", None);
    let mut world = run(vec![unit("async.web"), db, job, a]);
    assert_eq!((world.trial, world.running().len()), (None, 2), "the database is not ready");
    world.exit("async.db", 1);
    let ended = world.engine.ended(world.id("test.a")).unwrap().how;
    assert_eq!(ended, How::Test(TestEnd::Failed));
}

#[test]
fn a_unit_is_down_while_the_checks_are_made_and_has_to_come_up_again() {
    let db = restarted(with_ready(
        unit("async.db"),
        Placed { value: Probe::Notify, origin: Origin::Default },
    ));
    let a = fault(test("test.a"), "async.db", FaultKind::Down);
    let a = with(a, |test| test.holds = Some(SECOND));
    let mut world = run(vec![unit("async.web"), db, a]);
    notified(&mut world, "async.db", Notice::Ready);
    world.pass(limits::CALM);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    assert_eq!(world.trial, None, "the database still runs");
    world.die("async.db", Ending::Signal(Signal::TERM), Left::Nothing);
    world.pass(SECOND * 5);
    assert_eq!(world.running(), ["async.web"], "nothing starts it");
    tried(&mut world, "test.a", Outcome::Failed);
    world.pass(SECOND);
    tried(&mut world, "test.a", Outcome::Passed);
    world.pass(limits::HOLD_EVERY);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!(world.running(), ["async.web"], "the checks have to hold for a second");
    world.pass(SECOND);
    tried(&mut world, "test.a", Outcome::Passed);
    assert_eq!((world.running().len(), world.trial), (2, None));
    assert_eq!(world.engine.ended(world.id("test.a")), None, "the database is not ready");
    notified(&mut world, "async.db", Notice::Ready);
    world.pass(limits::CALM);
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(0), vec![]));
}

#[test]
fn a_unit_that_does_not_go_down_or_come_up_again_fails_the_test() {
    let down = || fault(test("test.a"), "async.db", FaultKind::Down);
    let how = |world: &World| world.engine.ended(world.id("test.a")).map(|ended| ended.how);
    // It ignores its stop signal, and its stop timeout is longer than the test may take.
    let mut db = unit("async.db");
    db.stop.timeout = Some(SECOND * 60);
    let mut world = run(vec![db, down()]);
    world.pass(SECOND * 30);
    assert_eq!(how(&world), Some(How::Test(TestEnd::TimedOut)));
    // It fails when it comes back.
    let mut world = run(vec![unit("async.db"), unit("async.web"), down()]);
    world.die("async.db", Ending::Signal(Signal::TERM), Left::Nothing);
    tried(&mut world, "test.a", Outcome::Passed);
    world.exit("async.db", 3);
    assert_eq!(how(&world), Some(How::Test(TestEnd::NotRecovered)));
    obey(&mut world);
    assert_eq!((world.end, findings(&world)), (Some(1), vec!["async.db.run".to_owned()]));
    // A check fails: trc starts the unit again, and the next test waits for it.
    let b = after(test("test.b"), "test.a", None);
    let mut world = run(vec![unit("async.db"), down(), b]);
    world.die("async.db", Ending::Signal(Signal::TERM), Left::Nothing);
    tried(&mut world, "test.a", Outcome::Hopeless);
    assert_eq!((how(&world), world.running().len()), (Some(How::Test(TestEnd::Failed)), 1));
}
