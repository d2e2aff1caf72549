//! After the last test: are all units up that are to be, and do they stay so?
//!
//! A run that ended with its last test would say nothing of a service that is never ready, of
//! one that never starts because of that, of a one-shot that hangs, or of a server that dies a
//! moment after its start. So the run goes on until every unit has been up for a moment
//! ([`limits::CALM`]), or is over if it is meant to be; but no longer than tests would have waited
//! for it, and not for what they have waited for in vain.

use super::testing::Finding;
use super::unit::{Calm, Phase, Verdict};
use super::{Action, Engine, Fact, Tick, limits};
use crate::config::{Condition, Stage};
use crate::graph::{Need, UnitId, points};

/// What keeps a unit from being as it is to be at the end of the tests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lack {
    /// It was never started: what it waits for has not come true.
    NeverStarted,
    /// It is not ready.
    NotReady,
    /// It was to be started again, and is not up.
    NotBack,
    /// It is meant to end, and runs.
    StillRuns,
}

impl Engine {
    /// Whether every unit is as it is to be, or is waited for no longer: what is lacking then is
    /// found.
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

    /// Whether a unit has only just come up.
    fn is_restless(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        matches!(state.phase(), Phase::Running { .. }) && matches!(state.watch.calm, Calm::At(_))
    }

    /// What a unit lacks, if anything.
    fn lack(&self, id: UnitId) -> Option<Lack> {
        let (node, state) = (self.graph.node(id), &self.states[id.0]);
        if !matches!(node.unit.stage, Stage::Async | Stage::Sync) {
            return None;
        }
        let condemned = state.verdict.map(|verdict| match verdict {
            Verdict::NotReady => Lack::NotReady,
            Verdict::Unhealthy { .. } | Verdict::Overran | Verdict::Together | Verdict::Asked => {
                Lack::NotBack
            }
        });
        match state.phase() {
            Phase::Done(_) => None,
            _ if condemned.is_some() => condemned,
            Phase::Running { .. } | Phase::Watching
                if node.unit.ready.is_some() && !state.watch.ready =>
            {
                Some(Lack::NotReady)
            }
            Phase::Running { .. } if node.ends => Some(Lack::StillRuns),
            Phase::Running { .. } | Phase::Watching => None,
            Phase::Stopping { .. } | Phase::Backoff { .. } => Some(Lack::NotBack),
            Phase::Waiting | Phase::Retrying { .. } | Phase::Starting { .. } if state.started => {
                Some(Lack::NotBack)
            }
            Phase::Waiting if self.is_reserved(id) => None,
            Phase::Waiting | Phase::Retrying { .. } | Phase::Starting { .. } => {
                Some(Lack::NeverStarted)
            }
        }
    }

    /// Whether a unit waits for something that does not happen where all is well: that a service
    /// ends or fails; the rest of the foreground behind its service does, too.
    fn is_reserved(&self, id: UnitId) -> bool {
        self.spread(|engine, need| {
            let ends = matches!(
                need.condition,
                Condition::Exited | Condition::Succeeded | Condition::Failed
            );
            ends && !engine.graph.node(need.unit).ends
        })[id.0]
    }

    /// The units that nobody waits for any more: because a test has in vain, because they were
    /// restarted although nobody asked for it, because it is allowed that they are not up; and
    /// those that wait for such a unit.
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

    /// The units that have an unmet need of this kind, and those that need one of them.
    fn spread(&self, is_such: impl Fn(&Self, Need) -> bool) -> Vec<bool> {
        let mut such = vec![false; self.states.len()];
        // Async and sync units may need one another either way: at most once for each unit.
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

    /// What a unit still waits for, of units that have not ended: whoever comes before it in the
    /// foreground, too.
    fn unmet(&self, id: UnitId) -> Vec<Need> {
        // What runs, or ran, waits for nothing.
        match self.states[id.0].phase() {
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => {}
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
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

    /// Whom a unit waits for that has not been started.
    #[must_use]
    pub(crate) fn waits_for(&self, id: UnitId) -> Option<UnitId> {
        let waits = matches!(self.states[id.0].phase(), Phase::Waiting);
        let mut needs = self.graph.node(id).needs.iter().filter(|_| waits);
        needs.find(|need| !self.is_met(**need)).map(|need| need.unit)
    }

    /// The unit at which a test's wait for this one ends in vain: this one, or one that it waits
    /// for, that was restarted too often.
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

    /// Whether a unit was restarted so often that no test waits for it any more.
    #[must_use]
    pub(crate) fn loops(&self, id: UnitId) -> bool {
        let allowed = self.graph.allowed.contains_key(&points::run(&self.graph.node(id).unit));
        self.states[id.0].restarts.in_a_row >= limits::LOOP && !allowed
    }
}
