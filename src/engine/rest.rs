//! After the last test: waits until all units are up, and checks that they stay up.
//!
//! If a run ended with its last test, it would not notice a service that is never ready, one that
//! therefore never starts, a one-shot that hangs, or a server that exits a moment after its start.
//! So the run continues until every unit has been up for a moment ([`limits::CALM`]), or has ended
//! if it is a one-shot; but no longer than tests would have waited, and not for units that tests
//! have waited for in vain.

use super::unit::{Calm, Phase, Verdict, Wanted};
use super::{Action, Engine, Fact, Finding, Lack, Tick, limits};
use crate::config::{Condition, Stage};
use crate::graph::{Need, UnitId, points};

impl Engine {
    /// Returns whether the wait is over: every unit is up, or trc no longer waits for it. Units
    /// that are not up are findings then.
    pub(super) fn units_rest(&mut self, now: Tick, actions: &mut Vec<Action>) -> bool {
        let lacks: Vec<(UnitId, Lack)> =
            self.graph.ids().filter_map(|id| Some((id, self.lack(id)?))).collect();
        let given_up = self.given_up();
        let hoped: Vec<(UnitId, Lack)> =
            lacks.iter().copied().filter(|(id, _)| !given_up[id.0]).collect();
        let mut others = self.graph.ids().filter(|id| !given_up[id.0]);
        let restless = others.any(|id| self.is_restless(id));
        let new = self.testing.rest_by.is_none();
        let patience = self.graph.patience.max(limits::CALM);
        let rest_by = *self.testing.rest_by.get_or_insert(now + patience);
        if now < rest_by && (restless || !hoped.is_empty()) {
            if new && !hoped.is_empty() {
                actions.push(Action::Tell(Fact::NotUpYet { units: hoped }));
            }
            return false;
        }
        for (id, lack) in lacks {
            self.find(Finding::NotUp(id, lack));
        }
        true
    }

    /// Returns whether a unit has only just come up.
    fn is_restless(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        matches!(state.phase(), Phase::Running { .. }) && matches!(state.watch.calm, Calm::At(_))
    }

    /// Returns the reason why a unit is not up, if it is not.
    fn lack(&self, id: UnitId) -> Option<Lack> {
        let (node, state) = (self.graph.node(id), &self.states[id.0]);
        if !matches!(node.unit.stage, Stage::Async | Stage::Sync) {
            return None;
        }
        let condemned = state.verdict.map(|verdict| match verdict {
            Verdict::NotReady => Lack::NotReady,
            Verdict::Unprepared
            | Verdict::Unhealthy { .. }
            | Verdict::Overran
            | Verdict::Together
            | Verdict::Asked => Lack::NotBack,
        });
        match state.phase() {
            Phase::Done(_) => None,
            _ if state.wanted == Wanted::Idle => None,
            _ if condemned.is_some() => condemned,
            Phase::Running { .. } | Phase::Watching
                if node.unit.ready.is_some() && !state.watch.ready =>
            {
                Some(Lack::NotReady)
            }
            Phase::Running { .. } | Phase::Finishing { .. } if node.ends => Some(Lack::StillRuns),
            Phase::Running { .. } | Phase::Watching => None,
            Phase::Stopping { .. } | Phase::Finishing { .. } | Phase::Backoff { .. } => {
                Some(Lack::NotBack)
            }
            Phase::Waiting | Phase::Retrying { .. } | Phase::Starting { .. } if state.started => {
                Some(Lack::NotBack)
            }
            Phase::Waiting if self.is_idle(id) || self.is_reserved(id) => None,
            Phase::Waiting | Phase::Retrying { .. } | Phase::Starting { .. } => {
                Some(Lack::NeverStarted)
            }
        }
    }

    /// Returns whether a unit waits for something that does not happen if all is well: the end or
    /// the failure of a service. The foreground units behind a service wait for its end, too.
    fn is_reserved(&self, id: UnitId) -> bool {
        self.spread(Self::is_for_the_end_of_a_service)[id.0]
    }

    fn is_for_the_end_of_a_service(&self, need: Need) -> bool {
        match need.condition {
            Condition::Exited | Condition::Succeeded | Condition::Failed => {
                !self.graph.node(need.unit).ends
            }
            Condition::Started | Condition::Ready | Condition::Settled => false,
        }
    }

    /// Returns whether nobody knows when a unit starts: it waits for the end of a service, or for a
    /// unit that is held, if only by way of others.
    pub(super) fn waits_indefinitely(&self, id: UnitId) -> bool {
        let mut seen = vec![false; self.states.len()];
        let mut next = vec![id];
        while let Some(one) = next.pop() {
            if std::mem::replace(&mut seen[one.0], true) {
                continue;
            }
            for need in self.unmet(one) {
                if self.is_held(need.unit) || self.is_for_the_end_of_a_service(need) {
                    return true;
                }
                next.push(need.unit);
            }
        }
        false
    }

    /// Returns the units that trc no longer waits for: a test has waited for them in vain, they
    /// were restarted without a fault, or a test allows that they are not up. Units that wait for
    /// such a unit are among them.
    fn given_up(&self) -> Vec<bool> {
        let mut given_up = self.spread(|engine, need| engine.is_given_up(need.unit));
        for id in self.graph.ids() {
            given_up[id.0] |= self.is_given_up(id);
        }
        given_up
    }

    fn is_given_up(&self, id: UnitId) -> bool {
        self.testing.in_vain.contains(&id)
            || self.testing.findings.contains(&Finding::Restarted(id))
            || self.graph.allowed.contains_key(&points::run(&self.graph.node(id).unit))
    }

    /// Returns the units that have an unmet condition of this kind, and the units that wait for
    /// them.
    fn spread(&self, is_such: impl Fn(&Self, Need) -> bool) -> Vec<bool> {
        let mut such = vec![false; self.states.len()];
        // Async and sync units may depend on each other in both directions, so repeat this at most
        // once for each unit.
        for _ in self.graph.ids() {
            let mut changed = false;
            for id in self.graph.ids().filter(|id| self.ended(*id).is_none()) {
                let is = |need: &Need| such[need.unit.0] || is_such(self, *need);
                let is = self.unmet(id).iter().any(is);
                changed |= !std::mem::replace(&mut such[id.0], is) && is;
            }
            if !changed {
                break;
            }
        }
        such
    }

    /// Returns the units that a unit still waits for, including the foreground units before it.
    fn unmet(&self, id: UnitId) -> Vec<Need> {
        // A unit that runs, or has run, waits for nothing.
        match self.states[id.0].phase() {
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => {}
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Done(_) => return Vec::new(),
        }
        let node = self.graph.node(id);
        let written = node.needs.iter().copied().filter(|need| need.written && !self.is_met(*need));
        let before = self
            .graph
            .stage(Stage::Sync)
            .take_while(|other| node.unit.stage == Stage::Sync && *other != id);
        let condition = Condition::Exited;
        let before = before.map(|unit| Need { unit, condition, written: false, calm: false });
        written.chain(before).filter(|need| self.ended(need.unit).is_none()).collect()
    }

    /// Returns the units that an unstarted unit waits for.
    #[must_use]
    pub(crate) fn waits_for(&self, id: UnitId) -> Option<UnitId> {
        let waits = matches!(self.states[id.0].phase(), Phase::Waiting);
        let mut needs = self.graph.node(id).needs.iter().filter(|_| waits);
        needs.find(|need| !self.is_met(**need)).map(|need| need.unit)
    }

    /// Returns the unit because of which a test waits for this one in vain: this one, or one that
    /// it waits for, that was restarted too often.
    pub(super) fn loop_behind(&self, id: UnitId) -> Option<UnitId> {
        if self.states.iter().all(|state| state.restarts.in_a_row < limits::LOOP) {
            return None;
        }
        let mut seen = vec![false; self.states.len()];
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if self.loops(id) {
                return Some(id);
            }
            if !std::mem::replace(&mut seen[id.0], true) {
                next.extend(self.unmet(id).iter().map(|need| need.unit));
            }
        }
        None
    }

    /// Returns whether a unit was restarted so often that no test waits for it any more.
    #[must_use]
    pub(crate) fn loops(&self, id: UnitId) -> bool {
        let allowed = self.graph.allowed.contains_key(&points::run(&self.graph.node(id).unit));
        self.states[id.0].restarts.in_a_row >= limits::LOOP && !allowed
    }
}
