//! The state of a run as plain data, for a client that asks a running trc.

use super::unit::{Ladder, Phase, Wanted, Why};
use super::{Ended, Engine, Run, Tick};
use crate::config::Stage;
use crate::graph::UnitId;

/// The state of a run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Snapshot {
    /// The phase of the run, such as `up`.
    pub phase: &'static str,
    /// The number of graphs that have taken over since the first one.
    pub generation: u32,
    /// The units, in their order.
    pub units: Vec<UnitSnapshot>,
}

/// The phase of a unit, without its details.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PhaseName {
    /// It waits for its turn or its conditions, or is held.
    Waiting,
    /// Its fork failed, and is repeated.
    Retrying,
    /// It has a process that has not executed its command yet.
    Starting,
    /// It runs.
    Running,
    /// It is external, and trc looks for it.
    Watching,
    /// It was told to stop.
    Stopping,
    /// Its process is gone, and its `post_stop` runs.
    Finishing,
    /// It waits until it is started again.
    Backoff,
    /// It has ended.
    Ended,
}

impl PhaseName {
    pub(super) fn of(phase: Phase) -> Self {
        match phase {
            Phase::Waiting => Self::Waiting,
            Phase::Retrying { .. } => Self::Retrying,
            Phase::Starting { .. } => Self::Starting,
            Phase::Running { .. } => Self::Running,
            Phase::Watching => Self::Watching,
            Phase::Stopping { .. } => Self::Stopping,
            Phase::Finishing { .. } => Self::Finishing,
            Phase::Backoff { .. } => Self::Backoff,
            Phase::Done(_) => Self::Ended,
        }
    }

    /// Returns the name, for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Watching => "watching",
            Self::Stopping => "stopping",
            Self::Finishing => "finishing",
            Self::Backoff => "backoff",
            Self::Ended => "ended",
        }
    }
}

/// The state of a unit.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
pub(crate) struct UnitSnapshot {
    /// The full name.
    pub name: String,
    /// The stage.
    pub stage: Stage,
    /// The phase.
    pub phase: PhaseName,
    /// The wanted state.
    pub wanted: Wanted,
    /// The time at which the unit entered its phase.
    pub since: Tick,
    /// The reason for the phase.
    pub why: Why,
    /// The main process, if it is alive.
    pub pid: Option<i32>,
    /// When its command was executed after its last start, if it was.
    pub ran_since: Option<Tick>,
    /// Whether the unit is ready; `None` if it has no readiness check.
    pub ready: Option<bool>,
    /// Whether its `pre_start` runs.
    pub preparing: bool,
    /// Whether it reads its own configuration anew.
    pub reloading: bool,
    /// Whether it waits for the next time of its schedule.
    pub idle: bool,
    /// Whether its health check has failed as often as the configuration allows.
    pub sick: bool,
    /// The number of restarts by the restart policy, as far as `restart.max` counts them.
    pub restarts: usize,
    /// The condition that the unit waits for, if it waits for another unit.
    pub waits_for: Option<String>,
    /// The time at which trc starts it again, gives up waiting for it to be ready or to reload, or
    /// kills it.
    pub deadline: Option<Tick>,
    /// The end of the unit, if it has ended.
    pub ended: Option<Ended>,
}

impl Engine {
    /// Returns the present state.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let phase = match self.run {
            Run::Boot => "boot",
            Run::Settling => "settling",
            Run::Up => "up",
            Run::Stopping => "stopping",
            Run::Lingering { .. } => "lingering",
            Run::Sweeping { .. } | Run::Killing { .. } => "sweeping",
            Run::Halting => "halting",
            Run::Over => "over",
        };
        let units = self.graph.ids().map(|id| self.unit_snapshot(id)).collect();
        Snapshot { phase, generation: self.generation, units }
    }

    /// Returns the present state of a unit.
    pub(crate) fn unit_snapshot(&self, id: UnitId) -> UnitSnapshot {
        let (node, state) = (self.graph.node(id), &self.states[id.0]);
        let deadline = match state.phase() {
            Phase::Retrying { until, .. } | Phase::Finishing { until } => Some(until),
            Phase::Backoff { until } => until,
            Phase::Starting { .. } if state.verdict.is_none() => state.prepares,
            Phase::Running { .. } if let Some(reload) = &state.reload => Some(reload.until),
            Phase::Running { .. } | Phase::Watching if !state.watch.ready => state.watch.ready_by,
            Phase::Stopping {
                ladder:
                    Ladder::Command { kill_at, .. }
                    | Ladder::Signal { kill_at, .. }
                    | Ladder::Rest { kill_at },
                ..
            } => Some(kill_at),
            Phase::Stopping { ladder: Ladder::Kill { .. }, .. }
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Done(_) => None,
        };
        let (since, why) = state.stands();
        UnitSnapshot {
            name: node.unit.id(),
            stage: node.unit.stage,
            phase: PhaseName::of(state.phase()),
            wanted: state.wanted,
            since,
            why,
            pid: state.pid(),
            ran_since: state.ran_since,
            ready: node.unit.ready.as_ref().map(|_| state.is_ready()),
            preparing: state.prepares.is_some() && state.pid().is_some(),
            reloading: state.reload.is_some(),
            idle: self.is_idle(id),
            sick: state.watch.sick,
            restarts: state.restarts.times.len(),
            waits_for: self.waits_for(id).map(|other| self.graph.node(other).unit.id()),
            deadline,
            ended: self.ended(id),
        }
    }
}
