//! Readiness, health and `max_runtime`.

use super::*;
use crate::config::{Address, Command, Health, Probe, Ready, Then, When};

/// A probe with attempts.
pub(super) fn tried() -> Placed<Probe> {
    let probe = Probe::Tcp(Address { host: "localhost".to_owned(), port: 1 });
    Placed { value: probe, origin: Origin::Default }
}

/// A probe for which the unit reports by itself.
pub(super) fn told() -> Placed<Probe> {
    Placed { value: Probe::Notify, origin: Origin::Default }
}

pub(super) fn with_ready(unit: Unit, probe: Placed<Probe>) -> Unit {
    let ready = Ready { probe, every: SECOND, timeout: SECOND, within: SECOND * 10 };
    Unit { ready: Some(ready), ..unit }
}

pub(super) fn with_health(unit: Unit, probe: Placed<Probe>, then: Then) -> Unit {
    let health = Health { probe, every: SECOND * 5, timeout: SECOND, failures: 3, then };
    Unit { health: Some(health), ..unit }
}

pub(super) fn notified(world: &mut World, name: &str, notice: Notice) {
    let unit = world.id(name);
    world.feed(Event::Notified { unit, notice });
}

/// Answers the attempt that is under way.
pub(super) fn answer(world: &mut World, name: &str, purpose: Purpose, outcome: Outcome) {
    let unit = world.id(name);
    let at = world.tries.iter().position(|one| *one == (unit, purpose));
    world.tries.remove(at.expect("a try is under way"));
    world.feed(Event::Probed { unit, purpose, outcome, why: None });
}

pub(super) fn tries(world: &World) -> Vec<(String, Purpose)> {
    world.tries.iter().map(|(id, purpose)| (world.name(*id), *purpose)).collect()
}

#[test]
fn what_waits_for_readiness_starts_when_the_probe_has_passed() {
    let db = with_ready(unit("async.db"), tried());
    let mut world =
        World::of(WaitPolicy::Any, vec![db, after(unit("async.app"), "async.db", None)]);
    assert_eq!(world.running(), ["async.db"]);
    answer(&mut world, "async.db", Purpose::Ready, Outcome::Failed);
    assert_eq!(world.running(), ["async.db"]);
    world.pass(limits::FIRST_TRY);
    answer(&mut world, "async.db", Purpose::Ready, Outcome::Passed);
    assert_eq!(world.running(), ["async.db", "async.app"]);
    let unit = world.id("async.db");
    assert!(world.facts.contains(&Fact::Ready { unit, after: limits::FIRST_TRY }));
    assert_eq!(tries(&world), [], "what is ready is not tried again");
}

#[test]
fn what_says_by_itself_that_it_is_ready_is_not_tried() {
    let db = with_ready(unit("async.db"), told());
    let mut world =
        World::of(WaitPolicy::Any, vec![db, after(unit("async.app"), "async.db", None)]);
    assert_eq!((world.running(), tries(&world)), (vec!["async.db".to_owned()], vec![]));
    notified(&mut world, "async.db", Notice::Ready);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.running(), ["async.db", "async.app"]);
}

#[test]
fn tries_follow_one_another_fast_at_first_and_then_as_written() {
    let mut world = World::of(WaitPolicy::Any, vec![with_ready(unit("async.db"), tried())]);
    let mut waits = vec![];
    for _ in 0..10 {
        answer(&mut world, "async.db", Purpose::Ready, Outcome::Failed);
        let next = world.engine.next_deadline().unwrap().saturating_sub(world.now);
        waits.push(u64::try_from(next.as_millis()).unwrap());
        world.pass(next);
        if world.facts.iter().any(|fact| matches!(fact, Fact::NotReady { .. })) {
            break;
        }
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
}

#[test]
fn a_try_under_way_is_not_repeated() {
    let mut world = World::of(WaitPolicy::Any, vec![with_ready(unit("async.db"), tried())]);
    world.pass(SECOND * 5);
    assert_eq!(tries(&world).len(), 1);
}

#[test]
fn what_is_not_ready_in_time_is_stopped_and_has_failed_with_124() {
    for probe in [tried(), told()] {
        let db = with_ready(unit("async.db"), probe);
        let app = after(unit("async.app"), "async.db", None);
        let mut world = World::of(WaitPolicy::All, vec![db, app]);
        world.pass(SECOND * 10);
        assert!(world.facts.contains(&Fact::NotReady { unit: world.id("async.db"), why: None }));
        assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
        world.exit("async.db", 0);
        assert_eq!(world.end, Some(124), "and so has what waits for it");
        assert_eq!(tries(&world), [], "its probes are over");
    }
}

#[test]
fn what_is_not_ready_in_time_and_ignores_its_stop_signal_is_killed() {
    let db = with_ready(unit("async.db"), told());
    let mut world = World::of(WaitPolicy::Forever, vec![db]);
    world.pass(SECOND * 10);
    world.sent();
    world.pass(SECOND * 5);
    assert_eq!(world.sent(), [to("async.db", Signal::KILL)]);
    world.die("async.db", Ending::Signal(Signal::KILL), Left::Nothing);
    let ended = world.engine.ended(world.id("async.db")).unwrap();
    assert_eq!((ended.how, ended.status), (How::NotReady, 124));
}

#[test]
fn what_ends_before_it_is_ready_ends_as_it_does() {
    for (code, status) in [(3, 3), (0, 1)] {
        let db = with_ready(unit("async.db"), tried());
        let app = after(unit("async.app"), "async.db", None);
        let mut world = World::of(WaitPolicy::All, vec![db, app]);
        world.exit("async.db", code);
        assert_eq!(world.end, Some(status), "{code}: what waits for it can't be started");
    }
}

#[test]
fn a_fact_says_what_was_learnt_last_until_the_next_start() {
    let mut world = World::of(
        WaitPolicy::Forever,
        vec![restart::restarted(When::Always, with_ready(unit("async.db"), told()))],
    );
    let id = world.id("async.db");
    let words = |words: &str| Some(Detail::Words(words.to_owned()));
    for why in ["first", "last"] {
        world.feed(Event::Learnt { unit: id, why: words(why) });
    }
    world.pass(SECOND * 11);
    let facts = |world: &World, why| world.facts.contains(&Fact::NotReady { unit: id, why });
    assert!(facts(&world, words("last")) && !facts(&world, words("first")));
    world.feed(Event::Learnt { unit: id, why: words("too late") });
    assert_eq!(world.engine.known(id), words("last").as_ref(), "it was condemned for that");
    world.die("async.db", Ending::Signal(Signal::TERM), Left::Nothing);
    world.pass(SECOND * 2);
    assert_eq!((world.running().len(), world.engine.known(id)), (1, None));
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    let mut world = World::of(WaitPolicy::Forever, vec![with_ready(unit("async.db"), tried())]);
    world.exit("async.db", 3);
    let unit = world.id("async.db");
    let (purpose, outcome) = (Purpose::Ready, Outcome::Passed);
    world.feed(Event::Probed { unit, purpose, outcome, why: None });
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Ready { .. })));
}

#[test]
fn a_unit_may_ask_for_more_time_to_become_ready() {
    let mut world = World::of(WaitPolicy::Forever, vec![with_ready(unit("async.db"), told())]);
    world.pass(SECOND * 9);
    notified(&mut world, "async.db", Notice::Extend(SECOND * 20));
    world.pass(SECOND * 19);
    assert_eq!(world.sent(), []);
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    notified(&mut world, "async.db", Notice::Extend(SECOND * 7));
    world.pass(SECOND * 6);
    assert_eq!(world.sent(), [], "and to end");
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.db", Signal::KILL)]);
}

#[test]
fn something_outside_is_looked_for_and_never_started_or_stopped() {
    let outside = || Unit { command: Command::Nothing, ..with_ready(unit("async.db"), tried()) };
    let app = || after(unit("async.app"), "async.db", None);
    let mut world = World::of(WaitPolicy::Any, vec![outside(), app()]);
    assert_eq!(tries(&world), [("async.db".to_owned(), Purpose::Ready)]);
    assert_eq!(world.started, Vec::<String>::new());
    answer(&mut world, "async.db", Purpose::Ready, Outcome::Passed);
    assert_eq!(world.running(), ["async.app"]);
    world.exit("async.app", 0);
    assert_eq!((world.sent(), world.end), (vec![], Some(143)));

    let mut world = World::of(WaitPolicy::Any, vec![outside(), app()]);
    world.pass(SECOND * 10);
    assert_eq!(world.end, Some(124), "what waits for it has failed, in vain");
}

#[test]
fn something_outside_in_the_boot_is_waited_for_before_all_else() {
    let outside = || Unit { command: Command::Nothing, ..with_ready(unit("boot.db"), tried()) };
    let mut world = World::of(WaitPolicy::Any, vec![outside(), unit("boot.b"), unit("async.a")]);
    assert_eq!(world.started, Vec::<String>::new());
    answer(&mut world, "boot.db", Purpose::Ready, Outcome::Passed);
    world.exit("boot.b", 0);
    assert_eq!(world.running(), ["async.a"]);

    let mut world = World::of(WaitPolicy::Any, vec![outside(), unit("boot.b"), unit("async.a")]);
    world.pass(SECOND * 10);
    assert_eq!((world.end, world.started.len()), (Some(124), 0));
}

#[test]
fn a_stop_while_something_is_looked_for_ends_that() {
    let outside = Unit { command: Command::Nothing, ..with_ready(unit("async.db"), tried()) };
    let mut world = World::of(WaitPolicy::Any, vec![outside, unit("async.a")]);
    world.signal(Signal::TERM, true);
    world.exit("async.a", 0);
    assert_eq!((tries(&world), world.end), (vec![], Some(143)));
}

#[test]
fn health_is_asked_for_from_readiness_on() {
    let db = with_health(with_ready(unit("async.db"), told()), tried(), Then::Restart);
    let mut world = World::of(WaitPolicy::Any, vec![db]);
    world.pass(SECOND * 6);
    assert_eq!(tries(&world), []);
    notified(&mut world, "async.db", Notice::Ready);
    world.pass(SECOND * 5);
    assert_eq!(tries(&world), [("async.db".to_owned(), Purpose::Health)]);
}

/// Lets this many health checks fail in a row.
fn fail(world: &mut World, name: &str, times: u32, outcome: Outcome) {
    for _ in 0..times {
        world.pass(SECOND * 5);
        answer(world, name, Purpose::Health, outcome);
    }
}

#[test]
fn what_is_unhealthy_often_enough_in_a_row_is_restarted() {
    let db = with_health(unit("async.db"), tried(), Then::Restart);
    let mut world = World::of(WaitPolicy::Any, vec![db]);
    fail(&mut world, "async.db", 2, Outcome::Failed);
    fail(&mut world, "async.db", 1, Outcome::Passed);
    fail(&mut world, "async.db", 2, Outcome::Failed);
    assert_eq!(world.sent(), []);
    fail(&mut world, "async.db", 1, Outcome::TimedOut);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    world.exit("async.db", 0);
    world.pass(SECOND);
    assert_eq!((world.running(), world.end), (vec!["async.db".to_owned()], None));
}

#[test]
fn a_health_check_that_could_not_be_made_says_nothing_of_the_unit() {
    let db = with_health(unit("async.db"), tried(), Then::Restart);
    let mut world = World::of(WaitPolicy::Any, vec![db]);
    fail(&mut world, "async.db", 2, Outcome::Failed);
    fail(&mut world, "async.db", 9, Outcome::NotMade);
    assert_eq!(world.sent(), []);
    fail(&mut world, "async.db", 1, Outcome::Failed);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)], "nor that it is well");
}

#[test]
fn what_is_unhealthy_may_stop_the_run_with_124_if_time_ran_out_and_else_1() {
    for (last, status) in [(Outcome::Failed, 1), (Outcome::TimedOut, 124)] {
        let db = with_health(unit("async.db"), tried(), Then::Stop);
        let mut world = World::of(WaitPolicy::Forever, vec![db]);
        fail(&mut world, "async.db", 2, Outcome::Failed);
        fail(&mut world, "async.db", 1, last);
        assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
        world.exit("async.db", 0);
        assert_eq!(world.end, Some(status));
    }
}

#[test]
fn what_is_unhealthy_may_be_ignored_and_is_said_once() {
    let db = with_health(unit("async.db"), tried(), Then::Ignore);
    let mut world = World::of(WaitPolicy::Any, vec![db]);
    let said = |world: &World| {
        world.facts.iter().filter(|fact| matches!(fact, Fact::Unhealthy { .. })).count()
    };
    fail(&mut world, "async.db", 7, Outcome::Failed);
    assert_eq!((said(&world), world.sent()), (1, vec![]));
    fail(&mut world, "async.db", 1, Outcome::Passed);
    fail(&mut world, "async.db", 3, Outcome::Failed);
    assert_eq!(said(&world), 2);
}

#[test]
fn a_unit_that_reports_has_to_do_so_in_each_period() {
    let db = with_health(unit("async.db"), told(), Then::Stop);
    let mut world = World::of(WaitPolicy::Forever, vec![db]);
    for _ in 0..10 {
        world.pass(SECOND * 4);
        notified(&mut world, "async.db", Notice::Alive);
    }
    assert_eq!((world.sent(), tries(&world)), (vec![], vec![]));
    world.pass(SECOND * 14);
    assert_eq!(world.sent(), []);
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    world.exit("async.db", 0);
    assert_eq!(world.end, Some(124));
}

#[test]
fn a_unit_may_say_that_it_is_not_well() {
    let db = with_health(unit("async.db"), told(), Then::Stop);
    let mut world = World::of(WaitPolicy::Forever, vec![db]);
    notified(&mut world, "async.db", Notice::Sick);
    world.exit("async.db", 0);
    assert_eq!(world.end, Some(1));
}

#[test]
fn what_runs_longer_than_it_may_is_stopped_and_has_failed_with_124() {
    for (name, policy) in [("async.a", WaitPolicy::All), ("sync.a", WaitPolicy::Any)] {
        let slow = Unit { max_runtime: Some(SECOND * 3), ..unit(name) };
        let mut world = World::of(policy, vec![slow]);
        world.pass(SECOND * 3);
        assert_eq!(world.sent(), [to(name, Signal::TERM)]);
        world.die(name, Ending::Signal(Signal::TERM), Left::Nothing);
        assert_eq!(world.end, Some(124));
    }
}

#[test]
fn a_boot_unit_that_runs_longer_than_it_may_fails_the_boot() {
    let slow = Unit { max_runtime: Some(SECOND * 3), ..unit("boot.a") };
    let mut world = World::of(WaitPolicy::All, vec![slow, unit("async.b")]);
    world.pass(SECOND * 3);
    world.exit("boot.a", 0);
    assert_eq!((world.end, world.started.len()), (Some(124), 1));
}

#[test]
fn the_main_process_may_hand_over_to_another() {
    let mut world = World::of(WaitPolicy::Any, vec![with_ready(unit("async.db"), told())]);
    notified(&mut world, "async.db", Notice::MainPid(4711));
    world.signal(Signal::TERM, true);
    let unit = world.id("async.db");
    let told =
        |fact: &Fact| matches!(fact, Fact::Terminating { unit: it, pid: 4711, .. } if *it == unit);
    assert!(world.facts.iter().any(told));
}

#[test]
fn a_halt_unit_that_runs_longer_than_it_may_is_stopped_too() {
    let slow = Unit { max_runtime: Some(SECOND * 3), ..unit("halt.h") };
    let mut world = World::of(WaitPolicy::All, vec![slow]);
    world.pass(SECOND * 3);
    assert_eq!(world.sent(), [to("halt.h", Signal::TERM)]);
    world.die("halt.h", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.end, Some(124));
}

#[test]
fn what_says_that_it_stops_is_not_asked_for_its_health_any_more() {
    let db = with_health(unit("async.db"), tried(), Then::Restart);
    let mut world = World::of(WaitPolicy::Any, vec![db]);
    world.pass(SECOND * 5);
    notified(&mut world, "async.db", Notice::Stopping);
    answer(&mut world, "async.db", Purpose::Health, Outcome::Failed);
    notified(&mut world, "async.db", Notice::Sick);
    world.pass(SECOND * 60);
    assert_eq!((tries(&world), world.sent()), (vec![], vec![]));
}

/// Returns an external unit.
fn outside(name: &str) -> Unit {
    with_ready(Unit { command: Command::Nothing, ..unit(name) }, tried())
}

#[test]
fn the_failure_of_what_stands_outside_is_no_status_of_the_run() {
    for (policy, name) in [(WaitPolicy::All, "async.a"), (WaitPolicy::Any, "sync.f")] {
        let mut world = World::of(policy, vec![unit(name), outside("async.db")]);
        answer(&mut world, "async.db", Purpose::Ready, Outcome::Failed);
        world.tries.clear();
        world.now += SECOND * 10;
        world.feed(Event::Woken);
        assert!(world.facts.iter().any(|fact| matches!(fact, Fact::NotReady { .. })));
        world.exit(name, 0);
        assert_eq!(world.end, Some(0), "{policy:?}");
    }
}

#[test]
fn who_waits_for_what_stands_outside_to_fail_waits_in_vain_once_it_is_there() {
    let waits = after(unit("async.w"), "async.db", Some(Condition::Failed));
    let mut world = World::of(WaitPolicy::All, vec![outside("async.db"), waits]);
    answer(&mut world, "async.db", Purpose::Ready, Outcome::Passed);
    assert_eq!(world.end, Some(1));
}

#[test]
fn nothing_is_tried_after_the_end() {
    let graph = config(WaitPolicy::Any, vec![with_ready(unit("async.db"), tried())]);
    let graph = Graph { budget: Duration::ZERO, ..Graph::build(&graph).unwrap() };
    let mut engine = Engine::new(Rc::new(graph), 0);
    let unit = UnitId(0);
    let sender = Sender { asker: asker(0), outside: true };
    let mut actions = vec![];
    for event in [
        Event::Begin,
        Event::Forked { unit, pid: 9 },
        Event::Signal { signal: Signal::TERM, sender },
    ] {
        engine.step(Duration::ZERO, event, &mut actions);
    }
    assert!(actions.contains(&Action::End { status: 143 }));
    actions.clear();
    engine.step(Duration::ZERO, Event::Executed { unit }, &mut actions);
    assert_eq!(actions, []);
}

#[test]
fn a_unit_after_one_that_is_to_settle_starts_when_it_is_up_or_has_failed_for_good() {
    let quiet = |name| Unit { on_failure: OnFailure::Ignore, ..unit(name) };
    let settled = |name, other| after(unit(name), other, Some(Condition::Settled));
    let mut flaky = super::restart::restarted(When::OnFailure, quiet("async.flaky"));
    flaky = super::restart::ready(flaky);
    flaky.restart.max = Some(1);
    let once = Unit { oneshot: Some(true), ..quiet("async.once") };
    let units = vec![
        flaky,
        quiet("async.plain"),
        once,
        settled("sync.1", "async.plain"),
        settled("sync.2", "async.once"),
        settled("sync.3", "async.flaky"),
    ];
    let mut world = World::of(WaitPolicy::Forever, units);
    let sync = |world: &World| world.running().into_iter().find(|name| name.starts_with("sync"));
    // A service without a readiness check is up once it was started.
    assert_eq!(sync(&world).as_deref(), Some("sync.1"));
    world.exit("sync.1", 0);
    assert_eq!(sync(&world), None);
    world.exit("async.once", 1);
    assert_eq!(sync(&world).as_deref(), Some("sync.2"));
    world.exit("sync.2", 0);
    world.exit("async.flaky", 1);
    assert_eq!(sync(&world), None, "it is about to be restarted");
    world.pass(SECOND * 2);
    world.exit("async.flaky", 1);
    assert_eq!(sync(&world).as_deref(), Some("sync.3"));
}
