//! Stop signals and stop commands.

use super::*;

/// A unit with a stop command.
fn commanded(id: &str) -> Unit {
    Unit { stop: Stop { exec: Some(vec![]), ..Stop::default() }, ..unit(id) }
}

/// A service, and a halt unit that shows when every process of the service has exited.
fn with_halt(unit: Unit) -> World {
    World::of(WaitPolicy::Any, vec![unit, self::unit("halt.h")])
}

fn ended(world: &World, succeeded: bool) -> Event {
    Event::StopCommandEnded { unit: world.id("async.db"), succeeded }
}

#[test]
fn a_stop_signal_that_cont_discards_is_sent_after_it() {
    for (signal, order) in [
        (Signal::TSTP, [Signal::CONT, Signal::TSTP]),
        (Signal::TTIN, [Signal::CONT, Signal::TTIN]),
        (Signal::TTOU, [Signal::CONT, Signal::TTOU]),
        (Signal::TERM, [Signal::TERM, Signal::CONT]),
    ] {
        let stop = Stop { signal: Some(signal), ..Stop::default() };
        let mut world = World::of(WaitPolicy::Any, vec![Unit { stop, ..unit("async.a") }]);
        world.signal(Signal::TERM, true);
        assert_eq!(world.sent, order.map(|signal| to("async.a", signal)));
    }
}

#[test]
fn a_forwarded_signal_goes_where_the_stop_signal_goes() {
    for (command, to_group) in [(Command::Exec(vec![]), false), (Command::Script("".into()), true)]
    {
        let mut config =
            config(WaitPolicy::Any, vec![Unit { command: command.clone(), ..unit("async.web") }]);
        config.signals.insert(Signal::HUP, SignalRule::Forward { signal: None, to: vec![] });
        let mut engine = Engine::new(Rc::new(Graph::build(&config).unwrap()), 0);
        let unit = UnitId(0);
        let sender = Sender { asker: asker(0), outside: true };
        let mut actions = vec![];
        for event in [
            Event::Begin,
            Event::Forked { unit, pid: 7 },
            Event::Executed { unit },
            Event::Signal { signal: Signal::HUP, sender },
        ] {
            engine.step(Duration::ZERO, event, &mut actions);
        }
        let target = if to_group { Target::Members(unit) } else { Target::Process(unit) };
        assert_eq!(actions.last(), Some(&Action::Signal(target, Signal::HUP)), "{command:?}");
    }
}

#[test]
fn a_stop_command_runs_to_its_end_though_its_unit_has_ended() {
    let mut world = with_halt(commanded("async.db"));
    world.signal(Signal::TERM, true);
    world.exit("async.db", 0);
    assert_eq!(world.running(), [""; 0], "its stop command still runs");
    world.pass(SECOND * 4);
    assert!(world.killed_commands.is_empty());
    world.feed(ended(&world, true));
    assert_eq!(world.running(), ["halt.h"]);
}

#[test]
fn a_unit_that_has_ended_waits_for_its_stop_command_no_longer_than_its_timeout() {
    let mut world = with_halt(commanded("async.db"));
    world.signal(Signal::TERM, true);
    world.exit("async.db", 0);
    world.pass(SECOND * 5);
    assert_eq!(world.killed_commands, ["async.db"]);
    assert!(world.facts.contains(&Fact::StopCommandKilled { unit: world.id("async.db") }));
    assert_eq!(world.running(), ["halt.h"]);
}

#[test]
fn a_stop_command_that_fails_after_its_unit_has_ended_is_told() {
    let mut world = with_halt(commanded("async.db"));
    world.signal(Signal::TERM, true);
    world.exit("async.db", 0);
    world.feed(ended(&world, false));
    let told = Fact::StopCommandFailed { unit: world.id("async.db"), instead: None };
    assert!(world.facts.contains(&told));
    assert_eq!((world.sent(), world.running()), (vec![], vec!["halt.h".to_owned()]));
}

/// The units that wait for it have stopped by then, and it does not get a second stop signal.
#[test]
fn what_a_unit_stands_on_is_stopped_once_its_stop_command_has_ended() {
    let db = unit("async.base");
    let web = after(commanded("async.db"), "async.base", None);
    let mut world = World::of(WaitPolicy::Any, vec![db, web]);
    world.signal(Signal::TERM, true);
    world.exit("async.db", 0);
    assert_eq!(world.sent(), []);
    world.feed(ended(&world, true));
    assert_eq!(world.sent(), [to("async.base", Signal::TERM)]);
}
