//! The health of the run, or of some of its units.

use super::unit::{Phase, State, Wanted};
use super::{Engine, Run};
use crate::config::{OnFailure, Stage};
use crate::graph::UnitId;

/// The health of a run, from good to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Health {
    /// Every unit is up, or has ended as it should.
    Ready,
    /// The same, except for units that somebody has stopped, or whose failure is ignored.
    Degraded,
    /// A unit is not up yet.
    Starting,
    /// A unit has failed, is started again, or its health check fails.
    Unhealthy,
    /// The run is stopping.
    Stopping,
}

impl Engine {
    /// Returns the health of some units, and the first of those because of which it is so. A unit in
    /// the foreground whose turn has not come is as it should be.
    pub(crate) fn health(&self, units: impl Iterator<Item = UnitId>) -> (Health, Option<UnitId>) {
        match self.run {
            Run::Boot | Run::Settling => return (Health::Starting, None),
            Run::Up => {}
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => return (Health::Stopping, None),
        }
        let mut worst = (Health::Ready, None);
        for id in units {
            let health = self.unit_health(id);
            if health > worst.0 {
                worst = (health, Some(id));
            }
        }
        worst
    }

    /// Returns the health of a unit while the run is up.
    fn unit_health(&self, id: UnitId) -> Health {
        let node = self.graph.node(id);
        if !node.counts() && !node.is_outside() {
            return Health::Ready;
        }
        let health = self.phase_health(id);
        match node.unit.on_failure {
            OnFailure::Ignore if health == Health::Unhealthy => Health::Degraded,
            OnFailure::Ignore | OnFailure::Policy | OnFailure::Stop => health,
        }
    }

    fn phase_health(&self, id: UnitId) -> Health {
        let (node, state) = (self.graph.node(id), &self.states[id.0]);
        let well = self.ended(id).is_some_and(|ended| self.ended_well(id, ended));
        if state.wanted == Wanted::Held && !well {
            return Health::Degraded;
        }
        if state.wanted == Wanted::Idle {
            return Health::Ready;
        }
        // Only the result of the last run of a job counts.
        if node.is_scheduled() && self.ended(id).is_none() {
            return Health::Ready;
        }
        let first =
            if state.restarts.times.is_empty() { Health::Starting } else { Health::Unhealthy };
        match state.phase() {
            Phase::Waiting if node.unit.stage == Stage::Sync && self.foreground().is_some() => {
                Health::Ready
            }
            Phase::Waiting | Phase::Starting { .. } => first,
            Phase::Finishing { .. } if well_so_far(state) && node.oneshot => first,
            Phase::Retrying { .. }
            | Phase::Backoff { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. } => Health::Unhealthy,
            Phase::Running { .. } | Phase::Watching if state.watch.sick => Health::Unhealthy,
            Phase::Running { .. } | Phase::Watching => {
                if self.stands(id) {
                    Health::Ready
                } else {
                    first
                }
            }
            // A service in the background is not meant to exit.
            Phase::Done(ended) if ended.failed() => Health::Unhealthy,
            Phase::Done(_) if node.unit.stage == Stage::Async && node.counts() && !node.oneshot => {
                Health::Unhealthy
            }
            Phase::Done(_) => Health::Ready,
        }
    }

    /// Returns whether a unit that runs is ready, if that can be known. A one-shot that runs is at
    /// work, which is as it should be, unless others wait for it.
    fn stands(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        let checked = self.graph.node(id).unit.ready.is_some();
        state.verdict.is_none() && (!checked || state.is_ready())
    }
}

/// Returns whether the process of a unit whose `post_stop` runs has exited as it should.
fn well_so_far(state: &State) -> bool {
    state.exit.is_some_and(|exit| exit.status == 0)
}
