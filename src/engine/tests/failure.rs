//! The chain of failures from which the end of a run follows.

use super::readiness::{answer, notified, tried, with_health};
use super::restart::{ready, restarted};
use super::*;
use crate::config::{Then, When};

impl World {
    /// Returns the unit that ended the run, and the failures behind that, each with its status.
    fn chain(&self) -> Vec<(String, u8)> {
        let reason = self.engine.reason().expect("the run ends");
        let (Cause::Boot(id) | Cause::Ended(id) | Cause::Failed(id) | Cause::AllEnded(Some(id))) =
            reason.cause
        else {
            assert_eq!(reason.behind, [], "{reason:?}");
            return Vec::new();
        };
        let status = self.engine.ended(id).map_or(self.engine.status(), |ended| ended.status);
        let behind = reason.behind.iter().map(|link| (self.name(link.unit), link.status));
        [(self.name(id), status)].into_iter().chain(behind).collect()
    }

    fn chain_is(&self, right: &[(&str, u8)]) {
        let right: Vec<_> =
            right.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
        assert_eq!(self.chain(), right);
    }
}

/// A service that its failure ends the run with.
fn fatal(unit: Unit) -> Unit {
    Unit { on_failure: OnFailure::Stop, ..unit }
}

/// `async.web` after `async.cache` after `async.redis`, of which only the failure of the first ends
/// the run.
fn stack() -> Vec<Unit> {
    vec![
        restarted(When::Always, unit("async.redis")),
        after(restarted(When::Always, unit("async.cache")), "async.redis", None),
        fatal(after(unit("async.web"), "async.cache", None)),
    ]
}

/// The same, where the cache has a readiness check that has passed.
fn ready_stack() -> World {
    let [redis, cache, web] = stack().try_into().unwrap();
    let mut world = World::of(WaitPolicy::Forever, vec![redis, ready(cache), web]);
    notified(&mut world, "async.cache", Notice::Ready);
    world
}

#[test]
fn a_failure_follows_from_that_of_a_unit_that_is_about_to_be_started_again() {
    let mut world = World::of(WaitPolicy::Forever, stack());
    world.die("async.redis", Ending::Signal(Signal::KILL), Left::Nothing);
    world.exit("async.cache", 4);
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3), ("async.cache", 4), ("async.redis", 137)]);
}

#[test]
fn what_is_up_again_is_behind_no_failure() {
    let mut world = World::of(WaitPolicy::Forever, stack());
    world.exit("async.redis", 1);
    world.pass(SECOND * 2);
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3)]);
}

#[test]
fn a_unit_that_is_up_shields_its_dependents_from_what_is_behind_it() {
    let mut world = World::of(WaitPolicy::Forever, stack());
    world.exit("async.redis", 1);
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3)]);
}

#[test]
fn a_later_failure_does_not_change_what_was_behind_an_earlier_one() {
    let mut world = ready_stack();
    world.exit("async.redis", 5);
    world.exit("async.cache", 4);
    world.pass(SECOND * 2);
    // It is up again, unlike the cache, and fails for another reason.
    world.exit("async.redis", 6);
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3), ("async.cache", 4), ("async.redis", 5)]);
}

#[test]
fn a_unit_that_has_done_its_work_stands_for_what_it_needed() {
    let migrate = Unit { oneshot: Some(true), ..unit("async.migrate") };
    let units = vec![
        restarted(When::Always, unit("async.db")),
        after(migrate, "async.db", None),
        fatal(after(unit("async.web"), "async.migrate", Some(Condition::Succeeded))),
    ];
    let mut world = World::of(WaitPolicy::Forever, units);
    world.exit("async.migrate", 0);
    world.exit("async.db", 5);
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3), ("async.db", 5)]);
}

#[test]
fn of_several_failures_the_last_one_is_behind_the_next() {
    let units = || {
        vec![
            restarted(When::Always, unit("async.a")),
            restarted(When::Always, unit("async.b")),
            fatal(after(after(unit("async.web"), "async.b", None), "async.a", None)),
        ]
    };
    for (first, second) in [("async.a", "async.b"), ("async.b", "async.a")] {
        let mut world = World::of(WaitPolicy::Forever, units());
        world.exit(first, 1);
        world.exit(second, 2);
        world.exit("async.web", 3);
        world.chain_is(&[("async.web", 3), (second, 2)]);
    }
}

#[test]
fn a_unit_that_runs_because_another_failed_does_not_fail_because_of_that() {
    let ignored = Unit { on_failure: OnFailure::Ignore, ..unit("async.db") };
    for condition in [Condition::Failed, Condition::Exited] {
        let rescue = fatal(after(unit("async.rescue"), "async.db", Some(condition)));
        let mut world = World::of(WaitPolicy::Forever, vec![ignored.clone(), rescue]);
        world.exit("async.db", 5);
        world.exit("async.rescue", 3);
        world.chain_is(&[("async.rescue", 3)]);
    }
}

#[test]
fn what_waits_in_vain_for_a_failure_does_not_fail_because_of_a_service_that_exits_with_0() {
    let rescue = after(unit("async.rescue"), "async.db", Some(Condition::Failed));
    let mut world = World::of(WaitPolicy::All, vec![unit("async.db"), rescue]);
    world.exit("async.db", 0);
    world.chain_is(&[("async.rescue", 1)]);
}

#[test]
fn what_waits_in_vain_fails_because_of_the_unit_that_it_waits_for() {
    let db = ready(unit("async.db"));
    let migrate = Unit { oneshot: Some(true), ..unit("async.migrate") };
    let migrate = after(migrate, "async.db", None);
    let web = after(unit("async.web"), "async.migrate", Some(Condition::Succeeded));
    let mut world = World::of(WaitPolicy::All, vec![db, migrate, web]);
    world.pass(SECOND * 10);
    world.exit("async.db", 0);
    // All have ended, and the failure of the unit that was declared last counts.
    world.chain_is(&[("async.web", 124), ("async.migrate", 124), ("async.db", 124)]);
    let reason = world.engine.reason().unwrap();
    assert_eq!(reason.behind[1].how, How::NotReady);
}

#[test]
fn a_unit_falls_when_it_is_found_unhealthy_and_not_when_it_exits() {
    let db = with_health(restarted(When::Always, unit("async.db")), tried(), Then::Restart);
    let web = fatal(after(unit("async.web"), "async.db", None));
    for early in [true, false] {
        let mut world = World::of(WaitPolicy::Forever, vec![db.clone(), web.clone()]);
        for _ in 0..3 {
            world.pass(SECOND * 5);
            answer(&mut world, "async.db", Purpose::Health, Outcome::Failed);
        }
        if !early {
            world.exit("async.db", 0);
        }
        world.exit("async.web", 3);
        world.chain_is(&[("async.web", 3), ("async.db", 1)]);
        assert_eq!(world.engine.reason().unwrap().behind[0].how, How::Unhealthy);
    }
}

#[test]
fn an_unhealthy_unit_that_recovers_is_behind_no_failure() {
    let db = with_health(unit("async.db"), tried(), Then::Ignore);
    let web = fatal(after(unit("async.web"), "async.db", None));
    for recovers in [false, true] {
        let mut world = World::of(WaitPolicy::Forever, vec![db.clone(), web.clone()]);
        for _ in 0..3 {
            world.pass(SECOND * 5);
            answer(&mut world, "async.db", Purpose::Health, Outcome::Failed);
        }
        if recovers {
            world.pass(SECOND * 5);
            answer(&mut world, "async.db", Purpose::Health, Outcome::Passed);
        }
        world.exit("async.web", 3);
        let chain = [("async.web", 3), ("async.db", 1)];
        world.chain_is(&chain[..if recovers { 1 } else { 2 }]);
    }
}

#[test]
fn a_unit_with_a_readiness_check_is_down_until_it_is_ready_again() {
    let db = ready(restarted(When::Always, unit("async.db")));
    let web = fatal(after(unit("async.web"), "async.db", None));
    for again in [false, true] {
        let mut world = World::of(WaitPolicy::Forever, vec![db.clone(), web.clone()]);
        notified(&mut world, "async.db", Notice::Ready);
        world.exit("async.db", 5);
        world.pass(SECOND * 2);
        if again {
            notified(&mut world, "async.db", Notice::Ready);
        }
        world.exit("async.web", 3);
        let chain = [("async.web", 3), ("async.db", 5)];
        world.chain_is(&chain[..if again { 1 } else { 2 }]);
    }
}

#[test]
fn what_somebody_has_stopped_is_behind_no_failure() {
    let mut world = World::of(WaitPolicy::Forever, stack());
    let cache = world.id("async.cache");
    world.exit("async.cache", 4);
    world.feed(Event::Request { unit: cache, request: Request::Job(Task::Stop), asker: asker(7) });
    world.exit("async.web", 3);
    world.chain_is(&[("async.web", 3)]);
}

#[test]
fn a_signal_ends_the_run_without_a_chain() {
    let mut world = World::of(WaitPolicy::Forever, stack());
    world.exit("async.redis", 1);
    world.exit("async.cache", 1);
    world.signal(Signal::TERM, true);
    world.chain_is(&[]);
}

#[test]
fn a_failure_behind_another_keeps_what_was_known_then() {
    let mut world = ready_stack();
    let unit = world.id("async.redis");
    let why = Some(Detail::OutOfMemory { used: Some(498 << 20), limit: Some(512 << 20) });
    let (ending, leftovers) = (Ending::Signal(Signal::KILL), Left::Nothing);
    let known = why.clone();
    world.feed(Event::Exited { unit, ending, leftovers, terminal: false, why });
    world.exit("async.cache", 4);
    world.pass(SECOND * 2);
    world.exit("async.web", 3);
    let reason = world.engine.reason().unwrap();
    assert_eq!(reason.behind.last().and_then(|root| root.known.clone()), known);
}

/// The identity of a unit that is gone must not name another one in the last line.
#[test]
fn the_failures_behind_another_keep_their_names() {
    let old = || after(unit("async.web"), "async.db", None);
    let ignored = Unit { on_failure: OnFailure::Ignore, ..unit("async.db") };
    let mut world = World::of(WaitPolicy::Forever, vec![ignored, old(), unit("async.other")]);
    world.exit("async.db", 5);
    world.exit("async.web", 3);
    let web = world.id("async.web");
    let alone = || vec![unit("async.web"), unit("async.other")];
    world.reload(alone(), &[]);
    world.reload([alone(), vec![unit("async.new")]].concat(), &[]);
    let names: Vec<String> =
        world.engine.behind(web).iter().map(|link| world.name(link.unit)).collect();
    assert_eq!(names, ["async.db"]);
}

#[test]
fn a_chain_is_bounded_and_keeps_its_root() {
    let mut units = vec![restarted(When::Always, unit("async.u0"))];
    for number in 1..30 {
        let one = restarted(When::Always, unit(&format!("async.u{number}")));
        units.push(after(one, &format!("async.u{}", number - 1), None));
    }
    units.push(fatal(after(unit("async.web"), "async.u29", None)));
    let mut world = World::of(WaitPolicy::Forever, units);
    for number in 0..30 {
        world.exit(&format!("async.u{number}"), number + 1);
    }
    world.exit("async.web", 99);
    let chain = world.chain();
    assert_eq!(chain.len(), 17);
    assert_eq!((chain[1].1, chain[16].1), (30, 1));
}
