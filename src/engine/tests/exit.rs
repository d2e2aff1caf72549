//! `[exit]` by reason.

use super::*;
use crate::config::UnitRef;

fn owner(name: &str) -> UnitRef {
    Placed { value: name.to_owned(), origin: Origin::Default }
}

fn stopped_gives_0(units: Vec<Unit>) -> World {
    let exit = Exit { stopped: Some(0), ..Exit::default() };
    World::new(&Config { exit, ..config(WaitPolicy::Any, units) })
}

fn own(names: &[&str], units: Vec<Unit>) -> World {
    let own = names.iter().copied().map(owner).collect();
    // A reason takes precedence over a number.
    let exit = Exit { statuses: [(143, 9)].into(), stopped: Some(8), own };
    World::new(&Config { exit, ..config(WaitPolicy::Any, units) })
}

#[test]
fn a_stop_from_outside_that_all_have_obeyed_gives_what_is_written() {
    for (signal, outside, status) in [
        (Signal::TERM, true, 0),
        (Signal::INT, true, 0),
        // A unit has sent the signal, or the signal is a different one.
        (Signal::TERM, false, 143),
        (Signal::USR1, true, 138),
        (Signal::HUP, true, 129),
        (Signal::QUIT, true, 131),
    ] {
        let mut world = stopped_gives_0(vec![unit("async.a")]);
        world.signal(signal, outside);
        world.exit("async.a", 0);
        assert_eq!(world.end, Some(status), "{signal} {outside}");
    }
}

/// An image with another STOPSIGNAL needs a rule for that signal.
#[test]
fn a_signal_that_is_written_to_stop_the_run_is_a_stop_too() {
    let exit = Exit { stopped: Some(0), ..Exit::default() };
    let mut config = Config { exit, ..config(WaitPolicy::Any, vec![unit("async.a")]) };
    config.signals.insert(Signal::QUIT, SignalRule::Stop);
    let mut world = World::new(&config);
    world.signal(Signal::QUIT, true);
    world.exit("async.a", 0);
    assert_eq!(world.end, Some(0));
}

#[test]
fn a_unit_obeys_that_ends_with_success_or_as_its_signal_would_have_it() {
    let own = Unit { success: Some(vec![0, 3]), ..unit("async.a") };
    let quit = Stop { signal: Some(Signal::QUIT), ..Stop::default() };
    let quit = Unit { stop: quit, ..unit("async.a") };
    for (unit, ending, status) in [
        (unit("async.a"), Ending::Code(0), 0),
        (unit("async.a"), Ending::Code(143), 0),
        (unit("async.a"), Ending::Signal(Signal::TERM), 0),
        (own, Ending::Code(3), 0),
        (quit, Ending::Code(131), 0),
        (unit("async.a"), Ending::Code(1), 143),
        (unit("async.a"), Ending::Signal(Signal::SEGV), 143),
        (Unit { on_failure: OnFailure::Ignore, ..unit("async.a") }, Ending::Code(1), 0),
    ] {
        let mut world = stopped_gives_0(vec![unit]);
        world.signal(Signal::TERM, true);
        world.die("async.a", ending, Left::Nothing);
        assert_eq!(world.end, Some(status), "{ending:?}");
    }
}

#[test]
fn a_service_that_ended_by_itself_was_not_stopped() {
    let mut world = stopped_gives_0(vec![unit("async.a")]);
    world.exit("async.a", 0);
    assert_eq!(world.end, Some(143));
}

#[test]
fn a_failure_before_the_stop_is_no_stop_that_all_obeyed_but_a_restart_is() {
    for (when, status) in [(crate::config::When::No, 143), (crate::config::When::OnFailure, 0)] {
        let restart = crate::config::Restart { when, ..crate::config::Restart::NO };
        let mut world = World::new(&Config {
            exit: Exit { stopped: Some(0), ..Exit::default() },
            ..config(WaitPolicy::Any, vec![Unit { restart, ..unit("async.a") }, unit("sync.f")])
        });
        world.exit("async.a", 3);
        world.pass(SECOND);
        world.signal(Signal::TERM, true);
        for name in world.running() {
            world.exit(&name, 0);
        }
        assert_eq!(world.end, Some(status), "{when:?}");
    }
}

#[test]
fn who_has_to_be_killed_has_not_obeyed() {
    let mut world = stopped_gives_0(vec![unit("async.a")]);
    world.signal(Signal::TERM, true);
    world.pass(SECOND * 5);
    world.die("async.a", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!(world.end, Some(143));
}

#[test]
fn what_has_to_be_swept_away_has_not_obeyed() {
    let mut world = stopped_gives_0(vec![unit("async.a")]);
    world.tidy = false;
    world.signal(Signal::TERM, true);
    world.exit("async.a", 0);
    world.pass(SECOND * 8);
    assert_eq!(world.end, Some(143));
}

#[test]
fn halt_units_may_spoil_a_stop() {
    for (halt, code, status) in [
        (unit("halt.h"), 0, 0),
        (unit("halt.h"), 6, 143),
        (Unit { on_failure: OnFailure::Ignore, ..unit("halt.h") }, 6, 0),
        // A script that passes on the exit status that it was given, or decides itself.
        (flag("halt.H1"), 143, 0),
        (flag("halt.H1"), 0, 0),
        (flag("halt.H1"), 6, 6),
    ] {
        let name = halt.id();
        let mut world = stopped_gives_0(vec![unit("async.a"), halt]);
        world.signal(Signal::TERM, true);
        world.exit("async.a", 0);
        world.exit(&name, code);
        assert_eq!(world.end, Some(status), "{name} {code}");
    }
}

#[test]
fn on_a_stop_a_units_own_status_may_be_the_whole_ones() {
    for (ending, status) in [
        (Ending::Code(0), 0),
        (Ending::Code(3), 3),
        (Ending::Signal(Signal::TERM), 143),
        (Ending::Signal(Signal::SEGV), 139),
    ] {
        let mut world = own(&["async.db"], vec![unit("async.db"), unit("async.web")]);
        world.signal(Signal::TERM, true);
        world.exit("async.web", 1);
        world.die("async.db", ending, Left::Nothing);
        assert_eq!(world.end, Some(status), "{ending:?}");
    }
}

#[test]
fn of_several_units_the_first_that_failed_gives_its_status() {
    for (a, b, status) in [(0, 0, 0), (0, 4, 4), (3, 4, 3)] {
        let mut world = own(&["async.a", "async.b"], vec![unit("async.a"), unit("async.b")]);
        world.signal(Signal::TERM, true);
        world.exit("async.b", b);
        world.exit("async.a", a);
        assert_eq!(world.end, Some(status));
    }
}

/// If no unit has an exit status, `stopped` decides, and then the number.
#[test]
fn a_unit_that_never_ran_has_no_status_of_its_own() {
    let waits = after(unit("async.b"), "async.a", Some(Condition::Failed));
    let mut world = own(&["async.b"], vec![unit("async.a"), waits]);
    world.signal(Signal::TERM, true);
    world.exit("async.a", 0);
    assert_eq!(world.end, Some(8));
}

#[test]
fn without_a_stop_from_outside_the_number_counts() {
    let mut world = own(&["async.db"], vec![unit("async.db")]);
    world.exit("async.db", 0);
    assert_eq!(world.end, Some(9));
}

/// The exit status is the same as in transparent mode.
#[test]
fn a_command_that_runs_alone_keeps_its_status_on_a_stop() {
    let command = Unit {
        form: Form::Trailing,
        command: Command::Words(vec!["x".into()]),
        max_runtime: Some(SECOND * 1000),
        ..unit("sync.cmd")
    };
    for (signal, ending, status) in [
        (Signal::TERM, Ending::Code(0), 0),
        (Signal::TERM, Ending::Code(5), 5),
        (Signal::INT, Ending::Signal(Signal::TERM), 143),
        (Signal::HUP, Ending::Code(0), 129),
    ] {
        let mut world = World::of(WaitPolicy::Any, vec![command.clone()]);
        world.signal(signal, true);
        world.die("sync.cmd", ending, Left::Nothing);
        assert_eq!(world.end, Some(status), "{signal} {ending:?}");
    }
}
