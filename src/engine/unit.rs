//! The state of one unit.
//!
//! ```text
//!            conditions hold            execve                 exit
//!  Waiting ───────────────► Starting ───────────► Running ────────────► Done
//!     │  ▲                   │    ▲                  │ stop               ▲
//!     │  └ fork fails ► Retrying ─┘                  ▼       exit         │
//!     │                                           Stopping ───────────────┤
//!     └ a condition can't hold any more ──────────────────────────────────┘
//! ```

use super::{Ending, SpawnStage, Tick};
use crate::graph::UnitId;

/// Where a unit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Its conditions don't hold yet, or its turn has not come.
    Waiting,
    /// A fork failed for want of processes or memory.
    Retrying { until: Tick, tries: u32 },
    /// It has a process, which has not executed its command yet. None until the fork.
    Starting { pid: Option<i32>, tries: u32 },
    /// Its command runs.
    Running { pid: i32 },
    /// It was told to stop.
    Stopping { pid: i32, ladder: Ladder },
    /// It has ended and will not be started again.
    Done(Ended),
}

/// How far a unit is up its stop ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ladder {
    /// Its stop command was started.
    Command { kill_at: Tick },
    /// Its stop signal was sent.
    Signal { kill_at: Tick },
    /// It was killed.
    Kill { give_up_at: Tick },
}

/// What a unit that has ended left in its process group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    /// Nothing.
    None,
    /// Processes, that may go on until the run stops.
    Live,
    /// Told to stop.
    Stopping { kill_at: Tick },
    /// Killed.
    Killed { give_up_at: Tick },
}

/// Why a unit has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Its process ended.
    Process(Ending),
    /// It could not be started.
    NotStarted(SpawnStage, i32),
    /// What it waits for, this unit, can't come true any more.
    Blocked(UnitId),
    /// It survived KILL.
    Unkillable,
}

/// The end of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Why.
    pub how: How,
    /// How it counts: 0 is success, and what failed is never 0.
    pub status: u8,
    /// Its place among the ends of all units.
    pub place: u32,
}

impl Ended {
    /// Whether it failed.
    #[must_use]
    pub fn failed(self) -> bool {
        self.status != 0
    }
}

/// All that is known of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub phase: Phase,
    pub leftovers: Leftovers,
    /// Whether its command has ever been executed.
    pub started: bool,
    /// Whether it was stopped and not continued since.
    pub paused: bool,
}

impl State {
    pub fn new() -> Self {
        Self { phase: Phase::Waiting, leftovers: Leftovers::None, started: false, paused: false }
    }

    /// Its live process.
    pub fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Starting { pid, .. } => pid,
            Phase::Running { pid } | Phase::Stopping { pid, .. } => Some(pid),
            Phase::Waiting | Phase::Retrying { .. } | Phase::Done(_) => None,
        }
    }

    /// Whether neither it nor anything of it lives, or is about to.
    pub fn gone(&self) -> bool {
        let process = match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => true,
            Phase::Waiting | Phase::Retrying { .. } | Phase::Done(_) => false,
        };
        !process && self.leftovers == Leftovers::None
    }

    pub fn deadline(&self) -> Option<Tick> {
        let phase = match self.phase {
            Phase::Retrying { until, .. } => Some(until),
            Phase::Stopping {
                ladder: Ladder::Command { kill_at } | Ladder::Signal { kill_at },
                ..
            } => Some(kill_at),
            Phase::Stopping { ladder: Ladder::Kill { give_up_at }, .. } => Some(give_up_at),
            Phase::Waiting | Phase::Starting { .. } | Phase::Running { .. } | Phase::Done(_) => {
                None
            }
        };
        let leftovers = match self.leftovers {
            Leftovers::None | Leftovers::Live => None,
            Leftovers::Stopping { kill_at } => Some(kill_at),
            Leftovers::Killed { give_up_at } => Some(give_up_at),
        };
        phase.into_iter().chain(leftovers).min()
    }
}
