//! Restarts, alone and together.

use nix::errno::Errno;

use super::readiness::{notified, with_ready};
use super::*;
use crate::config::{Backoff, Probe, Restart, When};

/// Delays that are easy to predict: 2, 4, 8 … seconds, less up to a half.
pub(super) fn restarted(when: When, unit: Unit) -> Unit {
    let backoff = Backoff { first: SECOND * 2, longest: SECOND * 10 };
    Unit { restart: Restart { when, backoff, ..Restart::NO }, ..unit }
}

/// The time by which [`ready`] units have to be ready.
const READY_WITHIN: Duration = SECOND.saturating_mul(10);

fn together(unit: Unit, others: &[&str]) -> Unit {
    let with = |name: &&str| Placed { value: (*name).to_owned(), origin: Origin::Default };
    let with = others.iter().map(with).collect();
    Unit { restart: Restart { with, ..unit.restart.clone() }, ..unit }
}

pub(super) fn ready(unit: Unit) -> Unit {
    with_ready(unit, Placed { value: Probe::Notify, origin: Origin::Default })
}

/// Returns the last delay that the engine reported.
fn wait(world: &World) -> Duration {
    let waits = world.facts.iter().rev().find_map(|fact| match fact {
        Fact::Restarting { after, .. } => Some(*after),
        _ => None,
    });
    waits.expect("a restart was told")
}

#[test]
fn restart_says_after_which_ends_a_unit_is_started_again() {
    for (when, code, again) in [
        (When::No, 0, false),
        (When::No, 3, false),
        (When::OnFailure, 0, false),
        (When::OnFailure, 3, true),
        (When::Always, 0, true),
        (When::Always, 3, true),
    ] {
        let mut world = World::of(WaitPolicy::Forever, vec![restarted(when, unit("async.a"))]);
        world.exit("async.a", code);
        world.pass(SECOND * 2);
        assert_eq!(!world.running().is_empty(), again, "{when:?} after {code}");
    }
}

#[test]
fn success_decides_what_failure_is_for_restarts_too() {
    let odd = Unit { success: Some(vec![3]), ..restarted(When::OnFailure, unit("async.a")) };
    for (code, again) in [(3, false), (0, true)] {
        let mut world = World::of(WaitPolicy::Forever, vec![odd.clone()]);
        world.exit("async.a", code);
        world.pass(SECOND * 2);
        assert_eq!(!world.running().is_empty(), again, "{code}");
    }
}

#[test]
fn a_unit_that_is_started_again_has_not_ended() {
    let a = Unit { on_failure: OnFailure::Stop, ..restarted(When::OnFailure, unit("async.a")) };
    let waits = after(unit("async.w"), "async.a", Some(Condition::Failed));
    let mut world = World::of(WaitPolicy::Err, vec![a, waits]);
    world.exit("async.a", 3);
    assert_eq!((world.end, world.sent(), world.running()), (None, vec![], Vec::<String>::new()));
}

#[test]
fn waits_double_up_to_the_longest_and_lose_up_to_half_by_chance() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, unit("async.a"))]);
    let mut waits = vec![];
    for _ in 0..6 {
        world.exit("async.a", 3);
        waits.push(wait(&world));
        world.pass(SECOND * 10);
    }
    for (wait, most) in waits.iter().zip([2, 4, 8, 10, 10, 10]) {
        assert!(*wait <= SECOND * most && *wait * 2 >= SECOND * most, "{waits:?}");
    }
    assert!(waits[3] != waits[4] && waits[4] != waits[5], "{waits:?}");
}

#[test]
fn a_unit_is_not_started_before_its_wait_is_over() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, unit("async.a"))]);
    world.exit("async.a", 3);
    let wait = wait(&world);
    world.pass(wait.saturating_sub(Duration::from_millis(1)));
    assert_eq!(world.running(), Vec::<String>::new());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.running(), ["async.a"]);
}

#[test]
fn a_run_that_lasts_makes_the_next_wait_the_first_again() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, unit("async.a"))]);
    for _ in 0..4 {
        world.exit("async.a", 3);
        world.pass(SECOND * 10);
    }
    world.pass(Restart::WINDOW);
    world.exit("async.a", 3);
    assert!(wait(&world) <= SECOND * 2);
}

#[test]
fn a_unit_that_was_restarted_too_often_has_ended_with_its_last_status() {
    let mut a = restarted(When::Always, unit("async.a"));
    a.restart.max = Some(2);
    for (last, status) in [(5, 5), (0, 0)] {
        let mut world = World::of(WaitPolicy::All, vec![a.clone()]);
        for code in [3, 4] {
            world.exit("async.a", code);
            world.pass(SECOND * 10);
        }
        world.exit("async.a", last);
        let unit = world.id("async.a");
        let within = Restart::WINDOW;
        assert!(world.facts.contains(&Fact::GaveUp { unit, restarts: 2, within }));
        assert_eq!(world.end, Some(status));
    }
}

#[test]
fn restarts_count_within_the_window_only() {
    let mut a = restarted(When::OnFailure, unit("async.a"));
    a.restart.max = Some(1);
    let mut world = World::of(WaitPolicy::All, vec![a]);
    for _ in 0..5 {
        world.exit("async.a", 3);
        world.pass(Restart::WINDOW);
    }
    assert_eq!(world.end, None);
}

/// `ready.within` is as long as the window by default.
#[test]
fn restarts_of_a_unit_that_does_not_become_ready_count_however_long_each_takes() {
    let mut a = ready(restarted(When::OnFailure, unit("async.a")));
    (a.restart.max, a.restart.window) = (Some(2), READY_WITHIN);
    let mut world = World::of(WaitPolicy::All, vec![a]);
    for (at, most) in [2, 4].into_iter().enumerate() {
        world.pass(READY_WITHIN);
        world.exit("async.a", 143);
        assert!(wait(&world) <= SECOND * most && wait(&world) * 2 >= SECOND * most, "{at}");
        world.pass(SECOND * most);
    }
    world.pass(READY_WITHIN);
    world.exit("async.a", 143);
    assert_eq!(world.end, Some(124));
    let gave_up = |fact: &&Fact| matches!(fact, Fact::GaveUp { restarts: 2, within, .. } if *within > READY_WITHIN);
    assert!(world.facts.iter().any(|fact| gave_up(&fact)), "{:?}", world.facts);
}

#[test]
fn a_unit_that_has_been_ready_for_the_window_has_recovered() {
    let mut a = ready(restarted(When::OnFailure, unit("async.a")));
    a.restart.max = Some(1);
    let mut world = World::of(WaitPolicy::All, vec![a]);
    for _ in 0..3 {
        notified(&mut world, "async.a", Notice::Ready);
        world.pass(Restart::WINDOW);
        world.exit("async.a", 3);
        world.pass(SECOND * 10);
    }
    assert_eq!(world.end, None);
}

#[test]
fn a_command_that_can_not_be_executed_is_a_failure_like_any_other() {
    let mut world = World::of(WaitPolicy::All, vec![restarted(When::OnFailure, unit("async.a"))]);
    world.exit("async.a", 3);
    world.commands = Commands::Missing;
    world.pass(SECOND * 2);
    world.commands = Commands::Executed;
    assert_eq!(world.end, None);
    world.pass(SECOND * 4);
    world.exit("async.a", 0);
    assert_eq!(world.end, Some(0));
}

#[test]
fn what_the_last_run_has_left_is_stopped_before_the_next() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, unit("async.a"))]);
    world.die("async.a", Ending::Code(3), Left::Others);
    assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
    world.pass(SECOND * 4);
    assert_eq!(world.running(), Vec::<String>::new());
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.a", Signal::KILL)]);
    let unit = world.id("async.a");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(world.running(), ["async.a"]);
}

#[test]
fn what_is_after_a_unit_that_restarts_stays_up() {
    let db = ready(restarted(When::OnFailure, unit("async.db")));
    let app = after(unit("async.app"), "async.db", None);
    let late = after(unit("async.late"), "async.app", Some(Condition::Exited));
    let late = after(late, "async.db", None);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app, late]);
    notified(&mut world, "async.db", Notice::Ready);
    world.exit("async.db", 3);
    assert_eq!(world.sent(), []);
    world.exit("async.app", 0);
    assert_eq!(world.running(), Vec::<String>::new(), "the database is not ready now");
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.db"]);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.running(), ["async.db", "async.late"]);
}

#[test]
fn a_unit_that_restarts_waits_until_what_it_is_after_is_there_again() {
    let db = ready(restarted(When::OnFailure, unit("async.db")));
    let app = after(restarted(When::OnFailure, unit("async.app")), "async.db", None);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app]);
    notified(&mut world, "async.db", Notice::Ready);
    world.exit("async.db", 3);
    world.exit("async.app", 4);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.db"]);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.running(), ["async.db", "async.app"]);
}

#[test]
fn units_are_restarted_together_in_the_order_of_their_dependencies() {
    let db = ready(restarted(When::OnFailure, unit("async.db")));
    let app = together(unit("async.app"), &["async.db"]);
    let web = together(unit("async.web"), &["async.app"]);
    let mut world = World::of(WaitPolicy::Any, vec![db, app, web, unit("async.alone")]);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.running().len(), 4);
    world.exit("async.db", 3);
    assert_eq!(world.sent(), [to("async.web", Signal::TERM)]);
    world.pass(SECOND * 2);
    assert_eq!(world.started.len(), 4, "they have to be gone first");
    world.exit("async.web", 1);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.exit("async.app", 1);
    assert_eq!(world.started[4..], ["async.db"]);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.started[4..], ["async.db", "async.app", "async.web"]);
    assert_eq!(world.end, None, "none of this is an end");
}

#[test]
fn what_is_restarted_together_and_was_only_to_be_started_waits_all_the_same() {
    let db = restarted(When::OnFailure, unit("async.db"));
    let app = together(unit("async.app"), &["async.db"]);
    let mut world = World::of(WaitPolicy::Any, vec![db, app]);
    world.exit("async.db", 3);
    world.exit("async.app", 0);
    assert_eq!(world.running(), Vec::<String>::new());
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.db", "async.app"]);
}

#[test]
fn the_stop_of_the_run_starts_nothing_again() {
    let units = vec![restarted(When::Always, unit("async.a")), unit("async.b")];
    let mut world = World::of(WaitPolicy::Any, units);
    world.exit("async.a", 3);
    world.signal(Signal::TERM, true);
    world.pass(SECOND * 2);
    world.exit("async.b", 0);
    assert_eq!((world.started.len(), world.end), (2, Some(143)));
}

#[test]
fn a_boot_unit_may_be_restarted_and_keeps_its_turn() {
    let units = vec![restarted(When::OnFailure, unit("boot.a")), unit("boot.b")];
    let mut world = World::of(WaitPolicy::Any, units);
    world.exit("boot.a", 3);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["boot.a"]);
    world.exit("boot.a", 0);
    assert_eq!(world.running(), ["boot.b"]);
}

#[test]
fn a_one_shot_that_failed_is_started_again_until_it_has_succeeded() {
    let a = Unit { oneshot: Some(true), ..restarted(When::OnFailure, unit("async.migrate")) };
    let app = after(unit("async.app"), "async.migrate", None);
    let mut world = World::of(WaitPolicy::Any, vec![a, app]);
    world.exit("async.migrate", 3);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.migrate"]);
    world.exit("async.migrate", 0);
    assert_eq!(world.running(), ["async.app"]);
}

#[test]
fn only_a_run_that_came_to_be_executed_may_have_lasted() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, unit("async.a"))]);
    world.pass(Restart::WINDOW * 2);
    world.commands = Commands::Missing;
    world.exit("async.a", 3);
    let mut waits = vec![];
    for _ in 0..3 {
        waits.push(wait(&world));
        world.pass(wait(&world));
    }
    for (wait, most) in waits.iter().zip([2, 4, 8]) {
        assert!(*wait <= SECOND * most && *wait * 2 >= SECOND * most, "{waits:?}");
    }
}

#[test]
fn what_is_stopped_while_the_run_goes_on_has_lasted_as_long_as_it_ran() {
    let short = Unit { max_runtime: Some(SECOND), ..unit("async.a") };
    let mut world = World::of(WaitPolicy::Forever, vec![restarted(When::OnFailure, short)]);
    let mut waits = vec![];
    for _ in 0..12 {
        world.pass(SECOND);
        world.exit("async.a", 0);
        waits.push(wait(&world));
        world.pass(wait(&world));
    }
    assert!(waits[3..].iter().all(|wait| *wait >= SECOND * 5), "{waits:?}");
}

#[test]
fn what_has_ended_by_itself_holds_no_restart_up_by_what_it_has_left() {
    let db = restarted(When::OnFailure, unit("async.db"));
    let app = together(unit("async.app"), &["async.db"]);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app]);
    world.die("async.app", Ending::Code(0), Left::Others);
    world.exit("async.db", 3);
    world.pass(SECOND * 2);
    assert_eq!((world.running(), world.sent()), (vec!["async.db".to_owned()], vec![]));
}

#[test]
fn a_fork_is_not_tried_again_while_what_it_is_restarted_with_is_down() {
    let db = restarted(When::OnFailure, unit("async.db"));
    let app = together(restarted(When::OnFailure, unit("async.app")), &["async.db"]);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app]);
    world.exit("async.app", 1);
    world.scarce = 100;
    world.pass(SECOND * 2);
    world.scarce = 0;
    world.exit("async.db", 3);
    world.pass(SECOND * 2);
    assert_eq!(world.started[2..], ["async.db", "async.app"]);
}

#[test]
fn a_fork_that_fails_once_it_is_to_be_undone_leaves_nothing_to_stop() {
    let db = restarted(When::OnFailure, unit("async.db"));
    let app = together(restarted(When::OnFailure, unit("async.app")), &["async.db"]);
    let graph = Graph::build(&config(WaitPolicy::Forever, vec![db, app])).unwrap();
    let mut engine = Engine::new(Rc::new(graph), 0);
    let (db, app) = (UnitId(0), UnitId(1));
    let exited = |unit| Event::Exited {
        unit,
        ending: Ending::Code(3),
        leftovers: Left::Nothing,
        terminal: false,
        why: None,
    };
    let mut now = Duration::ZERO;
    let mut actions = vec![];
    for event in [
        Event::Begin,
        Event::Forked { unit: db, pid: 8 },
        Event::Executed { unit: db },
        exited(db),
        Event::SpawnFailed {
            unit: app,
            stage: SpawnStage::Fork,
            errno: Some(Errno::EAGAIN),
            why: None,
        },
    ] {
        engine.step(now, event, &mut actions);
    }
    actions.clear();
    now += SECOND * 2;
    for event in [
        Event::Woken,
        Event::Forked { unit: db, pid: 9 },
        Event::Executed { unit: db },
        Event::Forked { unit: app, pid: 10 },
        Event::Executed { unit: app },
        exited(app),
    ] {
        engine.step(now, event, &mut actions);
    }
    let spawns: Vec<_> = actions.iter().filter(|one| matches!(one, Action::Spawn(_))).collect();
    assert_eq!(spawns, [&Action::Spawn(db), &Action::Spawn(app)]);
    let restarts = |one: &Action| matches!(one, Action::Tell(Fact::Restarting { .. }));
    assert!(actions.iter().any(restarts), "its own failure counts again");
}

#[test]
fn what_a_unit_is_pulled_along_with_waits_for_those_that_it_pulls_along_itself() {
    let db = restarted(When::Always, unit("async.db"));
    let app = together(restarted(When::Always, unit("async.app")), &["async.db"]);
    let web = together(restarted(When::Always, unit("async.web")), &["async.app"]);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app, web]);
    world.exit("async.app", 0);
    world.exit("async.db", 0);
    world.die("async.web", Ending::Code(0), Left::Others);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.db"]);
    let unit = world.id("async.web");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(world.running(), ["async.db", "async.app", "async.web"]);
}

#[test]
fn what_no_start_can_mend_is_not_started_again() {
    for (stage, again) in [(SpawnStage::Settings, false), (SpawnStage::Prepare, true)] {
        let config = config(WaitPolicy::Any, vec![restarted(When::Always, unit("sync.f"))]);
        let mut engine = Engine::new(Rc::new(Graph::build(&config).unwrap()), 0);
        let mut actions = vec![];
        for event in [
            Event::Begin,
            Event::SpawnFailed { unit: UnitId(0), stage, errno: None, why: None },
            Event::NothingLeft,
        ] {
            engine.step(Duration::ZERO, event, &mut actions);
        }
        let ended = actions.contains(&Action::End { status: 126 });
        assert_eq!(!ended, again, "{stage:?}");
    }
}
