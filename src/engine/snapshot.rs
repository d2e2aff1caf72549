//! How things stand, as plain data, for whoever asks a running trc.

use super::unit::{Phase, Wanted, Why};
use super::{Ended, Engine, Run, Tick};
use crate::config::Stage;
use crate::graph::UnitId;

/// How a run stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Snapshot {
    /// The phase of the run, in a word: `up`.
    pub phase: &'static str,
    /// How many graphs have taken over from the first.
    pub generation: u32,
    /// The units, in their order.
    pub units: Vec<UnitSnapshot>,
}

/// How one unit stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct UnitSnapshot {
    /// Its full name.
    pub name: String,
    /// Its stage.
    pub stage: Stage,
    /// Its phase, in a word: `running`.
    pub phase: &'static str,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Since when it has its phase.
    pub since: Tick,
    /// Why it has it.
    pub why: Why,
    /// Its live main process.
    pub pid: Option<i32>,
    /// Whether it is ready; None if nothing says so.
    pub ready: Option<bool>,
    /// How often its restart policy has started it again, as far as `restart.max` counts that.
    pub restarts: usize,
    /// What it waits for, if it waits for another unit.
    pub waits_for: Option<String>,
    /// How it has ended, if it has.
    pub ended: Option<Ended>,
}

impl Engine {
    /// How things stand now.
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

    fn unit_snapshot(&self, id: UnitId) -> UnitSnapshot {
        let (node, state) = (self.graph.node(id), &self.states[id.0]);
        let phase = match state.phase() {
            Phase::Waiting => "waiting",
            Phase::Retrying { .. } => "retrying",
            Phase::Starting { .. } => "starting",
            Phase::Running { .. } => "running",
            Phase::Watching => "watching",
            Phase::Stopping { .. } => "stopping",
            Phase::Backoff { .. } => "backoff",
            Phase::Done(_) => "ended",
        };
        let (since, why) = state.stands();
        UnitSnapshot {
            name: node.unit.id(),
            stage: node.unit.stage,
            phase,
            wanted: state.wanted,
            since,
            why,
            pid: state.pid(),
            ready: node.unit.ready.as_ref().map(|_| state.is_ready()),
            restarts: state.restarts.times.len(),
            waits_for: self.waits_for(id).map(|other| self.graph.node(other).unit.id()),
            ended: self.ended(id),
        }
    }
}
