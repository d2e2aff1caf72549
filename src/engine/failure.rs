//! The failures of units, and the failures that they follow from.
//!
//! A unit *has fallen* from the moment at which it fails until it is up again: it has exited although
//! it should run on, whether or not it is started again; it was not ready in time, is unhealthy, or
//! has run for too long; it could not be started; or it has waited in vain for another unit. A unit
//! that trc stops without a fault of its own has not fallen.
//!
//! When a unit falls, the engine looks for the unit behind it at once, because it is known only then
//! who is down: of the units that it needs to be up (`after`, as the configuration has it) and that
//! have fallen, the one that fell last. A unit that has ended stands for those that it needed itself:
//! a service depends on a database by way of the migration that it waited for. A unit that is up
//! shields its dependents from what has happened to the units behind it.
//!
//! Each failure keeps the failures behind it, so that later restarts do not change the story. The
//! chain of the unit that ends the run is kept for the last line of the log.

use super::reason::Failure;
use super::unit::{Verdict, Wanted};
use super::{Cause, Engine, How, Link, Run};
use crate::config::{Condition, Stage};
use crate::graph::UnitId;

/// The number of failures behind another one that are kept. Of more, the first ones and the root are.
const KEPT: usize = 16;

impl Engine {
    /// Returns the failures from which that of a unit that is not up follows, from the nearest one to
    /// the root.
    pub(crate) fn behind(&self, id: UnitId) -> &[Link] {
        self.states[id.0].failure.as_ref().map_or(&[], |failure| &failure.behind)
    }

    /// Returns the failures from which the end of the run follows, if the failure of a unit has ended
    /// it.
    pub(super) fn behind_cause(&self, cause: &Cause) -> Vec<Link> {
        match cause {
            Cause::Boot(id) | Cause::Ended(id) | Cause::Failed(id) | Cause::AllEnded(Some(id)) => {
                self.behind(*id).to_vec()
            }
            Cause::CommandLine
            | Cause::AllEnded(None)
            | Cause::Tested
            | Cause::Signal(..)
            | Cause::Asked(_)
            | Cause::Terminal(..) => Vec::new(),
        }
    }

    /// Records that a unit has fallen.
    pub(super) fn falls(&mut self, id: UnitId, how: How, status: u8) {
        match self.run {
            Run::Boot | Run::Settling | Run::Up => {}
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => return,
        }
        if self.graph.node(id).unit.stage == Stage::Test {
            return;
        }
        let mut behind = Vec::new();
        let by = self.falls_by(id, how);
        if let Some(failure) = by.and_then(|by| self.states[by.0].failure.as_ref()) {
            behind.push(failure.link.clone());
            // Another graph may have turned an edge around since.
            behind.extend(failure.behind.iter().take_while(|link| link.unit != id).cloned());
        }
        if behind.len() > KEPT {
            behind.remove(KEPT - 1);
        }
        let known = self.states[id.0].known.clone();
        let place = self.failures;
        self.failures += 1;
        let link = Link { unit: id, how, status, known };
        self.states[id.0].failure = Some(Failure { place, link, behind });
    }

    /// Records that a unit falls for which trc has found this fault.
    pub(super) fn falls_for(&mut self, id: UnitId, verdict: Verdict) {
        let (how, status) = match verdict {
            Verdict::Unprepared => (How::Unprepared, crate::status::TIMED_OUT),
            Verdict::NotReady => (How::NotReady, crate::status::TIMED_OUT),
            Verdict::Overran => (How::Overran, crate::status::TIMED_OUT),
            Verdict::Unhealthy { timed_out, .. } => {
                (How::Unhealthy, super::watch::unhealthy_status(timed_out))
            }
            Verdict::Together | Verdict::Asked => return,
        };
        self.falls(id, how, status);
    }

    /// Records that a unit falls whose process is gone, unless that was known, or is as it should be.
    pub(super) fn falls_with(&mut self, id: UnitId, how: How, status: u8, told: bool) {
        let known = self.states[id.0].verdict.is_some_and(|verdict| !verdict.is_no_fault());
        let node = self.graph.node(id);
        // A command in the foreground may exit when its work is done.
        let well = status == 0 && (node.oneshot || node.unit.stage != Stage::Async);
        if told || known {
            return;
        }
        if well {
            self.stands_again(id);
        } else {
            self.falls(id, how, status);
        }
    }

    /// Records that a unit that has fallen is up again.
    pub(super) fn stands_again(&mut self, id: UnitId) {
        self.states[id.0].failure = None;
    }

    /// Returns whether a unit has fallen and is to be up, with its place among the failures.
    fn fallen(&self, id: UnitId) -> Option<u64> {
        let state = &self.states[id.0];
        // What somebody has stopped is down because of that.
        let failure = state.failure.as_ref().filter(|_| state.wanted == Wanted::Up);
        failure.map(|failure| failure.place)
    }

    /// Returns the unit from whose failure that of another one follows.
    fn falls_by(&self, id: UnitId, how: How) -> Option<UnitId> {
        if let How::Blocked(by) = how {
            let mut needs = self.graph.node(id).needs.iter();
            let needed = needs.any(|need| need.unit == by && needs_it_up(need.condition));
            return Some(by).filter(|by| needed && self.fallen(*by).is_some());
        }
        let mut seen = vec![false; self.states.len()];
        let mut users = vec![id];
        let mut last: Option<(u64, UnitId)> = None;
        while let Some(user) = users.pop() {
            let needs = self.graph.node(user).needs.iter();
            for need in needs.filter(|need| need.written && needs_it_up(need.condition)) {
                if std::mem::replace(&mut seen[need.unit.0], true) {
                    continue;
                }
                match self.fallen(need.unit) {
                    Some(place) => last = last.max(Some((place, need.unit))),
                    None if self.ended(need.unit).is_some() => users.push(need.unit),
                    None => {}
                }
            }
        }
        last.map(|(_, unit)| unit)
    }
}

/// Returns whether a unit that waits for this needs the other unit to be up, or to have done its work.
fn needs_it_up(condition: Condition) -> bool {
    match condition {
        Condition::Started | Condition::Ready | Condition::Succeeded | Condition::Settled => true,
        Condition::Exited | Condition::Failed => false,
    }
}
