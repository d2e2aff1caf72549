//! Tests of the time and the reason that a unit keeps for its phase.

use super::super::unit::{Verdict, Why};
use super::readiness::notified;
use super::restart::{ready, restarted};
use super::*;
use crate::config::When;

impl World {
    /// Returns the time in seconds at which a unit entered its phase, and the reason.
    fn stands(&self, name: &str) -> (u64, Why) {
        let (since, why) = self.engine.states[self.id(name).0].stands();
        (since.as_secs(), why)
    }
}

#[test]
fn a_phase_is_kept_with_its_beginning_and_its_reason() {
    let service = ready(restarted(When::Always, unit("async.db")));
    let other = after(unit("async.app"), "async.db", None);
    let mut world = World::of(WaitPolicy::Forever, vec![service, other]);
    assert_eq!(world.stands("async.db"), (0, Why::Executed));
    assert_eq!(world.stands("async.app"), (0, Why::Begun));
    world.pass(SECOND);
    notified(&mut world, "async.db", Notice::Ready);
    assert_eq!(world.stands("async.app"), (1, Why::Executed));

    world.pass(SECOND * 59);
    world.exit("async.db", 3);
    assert_eq!(world.stands("async.db"), (60, Why::Exited));
    world.pass(SECOND * 2);
    let (since, why) = world.stands("async.db");
    assert!((61..=62).contains(&since) && why == Why::Executed, "{since} {why:?}");

    world.pass(SECOND * 8);
    world.signal(Signal::TERM, true);
    // Whatever depends on it stops first.
    assert_eq!(world.stands("async.app"), (70, Why::RunStops));
    assert_eq!(world.stands("async.db").1, Why::Executed);
    world.exit("async.app", 0);
    assert_eq!(world.stands("async.db"), (70, Why::RunStops));
    world.exit("async.db", 0);
    assert_eq!(world.stands("async.db"), (70, Why::Over));
}

#[test]
fn a_unit_that_is_stopped_while_the_run_goes_on_has_a_reason_of_its_own() {
    let most = Some(SECOND * 5);
    let slow = Unit { max_runtime: most, ..unit("async.slow") };
    let mut world = World::of(WaitPolicy::Forever, vec![slow, unit("async.other")]);
    world.pass(SECOND * 5);
    assert_eq!(world.stands("async.slow"), (5, Why::Found(Verdict::Overran)));
    assert_eq!(world.stands("async.other"), (0, Why::Executed));
    world.pass(SECOND * 5);
    assert_eq!(world.stands("async.slow"), (10, Why::Slow));
}

#[test]
fn a_start_that_fails_for_want_of_processes_is_kept_as_such() {
    let mut world = World::of(WaitPolicy::Forever, vec![restarted(When::Always, unit("async.a"))]);
    world.scarce = 1;
    world.exit("async.a", 3);
    let mut reasons = vec![world.stands("async.a").1];
    for _ in 0..400 {
        world.pass(MILLISECOND * 10);
        reasons.push(world.stands("async.a").1);
    }
    reasons.dedup();
    assert_eq!(reasons, [Why::Exited, Why::Scarce, Why::Executed]);
}
