//! What has to be counted for `GET /v1/metrics`, because nobody can look it up later.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::engine::{Fact, How};
use crate::graph::UnitId;
use crate::run::os::localtime::CLOCK;
use crate::wire::{Counts, Reloaded, Restarted};

/// The counts of a unit since it came into the run.
#[derive(Clone, Copy, Default)]
pub(crate) struct OfUnit {
    /// How often its command was executed.
    pub starts: u64,
    /// How often its restart policy has started it again.
    pub restarts: Counts<6>,
    /// When its command was last executed.
    pub started: Option<SystemTime>,
    /// The time from its start until it was ready, when it last became ready.
    pub ready_after: Option<Duration>,
}

/// The counts of a run.
pub(crate) struct Tally {
    /// When the run began.
    pub began: SystemTime,
    /// How often the configuration was reloaded.
    pub reloads: Counts<4>,
    /// Whether the configuration that was last read, if there was one, has no error and has stayed.
    pub reload_succeeded: bool,
    units: BTreeMap<UnitId, OfUnit>,
}

impl Tally {
    /// Begins to count.
    pub(crate) fn new() -> Self {
        Self {
            began: (CLOCK.now)(),
            reloads: Counts::default(),
            reload_succeeded: true,
            units: BTreeMap::new(),
        }
    }

    /// Returns the counts of a unit.
    pub(crate) fn of(&self, unit: UnitId) -> OfUnit {
        self.units.get(&unit).copied().unwrap_or_default()
    }

    /// Forgets a unit.
    pub(crate) fn forget(&mut self, unit: UnitId) {
        self.units.remove(&unit);
    }

    /// Counts what the engine tells.
    pub(crate) fn told(&mut self, fact: &Fact) {
        match fact {
            Fact::Restarting { unit, how, status, .. } => {
                self.unit(*unit).restarts.restart(restarted(*how, *status));
            }
            Fact::Ready { unit, after } => self.unit(*unit).ready_after = Some(*after),
            Fact::Reloaded { .. } => self.reload(Reloaded::Applied),
            Fact::RolledBack { .. } => self.reload(Reloaded::RolledBack),
            Fact::NotReloaded { .. } => self.reload(Reloaded::Refused),
            _ => {}
        }
    }

    /// Counts a start of a unit.
    pub(crate) fn start(&mut self, unit: UnitId) {
        let counts = self.unit(unit);
        counts.starts += 1;
        counts.started = Some((CLOCK.now)());
    }

    /// Counts a reload.
    pub(crate) fn reload(&mut self, outcome: Reloaded) {
        self.reloads.reload(outcome);
        match outcome {
            Reloaded::Applied => self.reload_succeeded = true,
            Reloaded::RolledBack | Reloaded::Invalid => self.reload_succeeded = false,
            // The configuration itself may be right.
            Reloaded::Refused => {}
        }
    }

    /// Notes that the configuration was read again, has no error, and changes nothing.
    pub(crate) fn nothing_to_reload(&mut self) {
        self.reload_succeeded = true;
    }

    fn unit(&mut self, unit: UnitId) -> &mut OfUnit {
        self.units.entry(unit).or_default()
    }
}

fn restarted(how: How, status: u8) -> Restarted {
    match how {
        How::NotStarted(..) | How::PreStart(_) | How::Unprepared => Restarted::NotStarted,
        How::NotReady => Restarted::NotReady,
        How::Unhealthy => Restarted::Unhealthy,
        How::Overran => Restarted::MaxRuntime,
        How::Process(_) if status == 0 => Restarted::Success,
        How::Process(_)
        | How::Lost(..)
        | How::Blocked(_)
        | How::Unkillable
        | How::Found
        | How::Test(_) => Restarted::Failure,
    }
}
