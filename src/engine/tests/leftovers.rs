//! Tests of the processes that outlive a unit's main process, and of when they are stopped.

use super::*;

fn scripted(id: &str) -> Unit {
    Unit { command: Command::Script("".into()), ..unit(id) }
}

#[test]
fn two_seconds_before_kill_whoever_had_no_stop_signal_gets_one() {
    let rows = [(unit("async.a"), Told::Main), (scripted("async.a"), Told::Group)];
    for (one, told) in rows {
        let mut world = World::of(WaitPolicy::Any, vec![one, unit("sync.f")]);
        world.exit("sync.f", 0);
        assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
        world.pass(Duration::from_millis(2999));
        assert_eq!(world.rest, []);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.rest, [("async.a".to_owned(), told)]);
        world.pass(SECOND * 2);
        assert_eq!(world.sent(), [to("async.a", Signal::KILL)]);
    }
}

#[test]
fn half_of_a_short_stop_timeout_is_for_those_who_had_no_stop_signal() {
    let mut short = unit("async.a");
    short.stop.timeout = Some(SECOND);
    let mut world = World::of(WaitPolicy::Any, vec![short, unit("sync.f")]);
    world.exit("sync.f", 0);
    world.pass(SECOND / 2);
    assert_eq!(world.rest, [("async.a".to_owned(), Told::Main)]);
}

#[test]
fn a_unit_whose_stop_command_did_not_stop_it_gets_its_stop_signal_before_kill() {
    let mut one = unit("async.a");
    one.stop.exec = Some(vec![]);
    one.stop.signal = Some(Signal::QUIT);
    let mut world = World::of(WaitPolicy::Any, vec![one, unit("sync.f")]);
    world.exit("sync.f", 0);
    let unit = world.id("async.a");
    world.feed(Event::StopCommandEnded { unit, succeeded: true });
    assert_eq!(world.sent(), []);
    world.pass(SECOND * 3);
    assert_eq!(world.sent(), [to("async.a", Signal::QUIT)]);
}

#[test]
fn what_had_the_signal_as_one_of_the_group_does_not_get_it_again() {
    let mut world = World::of(WaitPolicy::Any, vec![scripted("async.a"), unit("sync.f")]);
    world.exit("sync.f", 0);
    world.told.clear();
    world.die("async.a", Ending::Signal(Signal::TERM), Left::Others);
    assert_eq!(world.told, [Target::Rest(world.id("async.a"), Told::Group)]);
    world.pass(SECOND * 4);
    assert_eq!(world.told.len(), 1, "and nobody is told once more: {:?}", world.told);
}

#[test]
fn the_daemon_of_a_one_shot_is_stopped_by_its_stop_command_in_its_place() {
    let mut db = unit("async.db");
    db.oneshot = Some(true);
    db.stop.exec = Some(vec![]);
    let app = after(unit("async.app"), "async.db", None);
    let mut world = World::of(WaitPolicy::Any, vec![db, app, unit("sync.f")]);
    world.die("async.db", Ending::Code(0), Left::Escaped);
    assert_eq!(world.running(), ["async.app", "sync.f"]);
    world.exit("sync.f", 0);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)], "the app first");
    assert_eq!(world.stop_commands, []);
    world.exit("async.app", 0);
    let unit = world.id("async.db");
    assert_eq!(world.stop_commands, [unit]);
    assert_eq!(world.sent(), []);
    world.feed(Event::StopCommandEnded { unit, succeeded: false });
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)], "made up for by TERM");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(world.end, Some(0));
}

#[test]
fn what_a_unit_left_is_killed_when_its_time_is_over_and_people_are_told() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), unit("sync.f")]);
    world.exit("sync.f", 0);
    world.die("async.a", Ending::Signal(Signal::TERM), Left::Escaped);
    world.pass(SECOND * 5);
    let unit = world.id("async.a");
    let told = Fact::KillingLeft { unit, insisted: None };
    assert!(world.facts.contains(&told), "{:?}", world.facts);
}

#[test]
fn people_are_told_what_a_unit_left_that_ended_by_itself_and_only_then() {
    let mut world = World::of(WaitPolicy::All, vec![unit("async.a"), unit("async.b")]);
    world.die("async.a", Ending::Code(0), Left::Escaped);
    let unit = world.id("async.a");
    let told = |world: &World| {
        let left = |fact: &&Fact| matches!(fact, Fact::LeftBehind { .. });
        world.facts.iter().filter(left).cloned().collect::<Vec<_>>()
    };
    assert_eq!(told(&world), [Fact::LeftBehind { unit, ending: Ending::Code(0) }]);
    world.signal(Signal::TERM, true);
    world.die("async.b", Ending::Signal(Signal::TERM), Left::Others);
    assert_eq!(told(&world).len(), 1);
}
