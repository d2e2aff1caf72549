//! The findings of a test run.

use super::Late;
use crate::graph::{Graph, UnitId, points};

/// The reason why a unit is not up at the end of the tests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lack {
    /// The unit was never started, because the conditions that it waits for do not hold.
    NeverStarted,
    /// The unit is not ready.
    NotReady,
    /// The unit was about to be restarted, and is not up.
    NotBack,
    /// The unit is a one-shot that has not ended.
    StillRuns,
}

/// Something wrong in a test run, apart from failed tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finding {
    /// A unit exited, or could not be started.
    Ended(UnitId),
    /// A unit was restarted, and not because of a fault.
    Restarted(UnitId),
    /// A unit, or a process that it left behind, had to be killed.
    Killed(UnitId),
    /// A unit's stop command failed.
    StopCommand(UnitId),
    /// A unit's `post_stop` failed, was killed, did not run for want of time, or left processes
    /// running.
    PostStop(UnitId),
    /// A unit's main process exited, and others of its process group kept running.
    Orphaned(UnitId),
    /// A unit's main process exited, and others of the unit kept running in sessions of their own.
    Escaped(UnitId),
    /// Processes were left when all units had ended.
    Orphans,
    /// Some of these processes had sessions of their own.
    Sessions,
    /// Processes had exited, and their parents did not wait for them.
    Zombies,
    /// There was no time left for this halt unit.
    CutShort(UnitId),
    /// A check of this test no longer held after the test.
    Late(UnitId, Late),
    /// A unit exited with a status that means failure when trc stopped it.
    StopStatus(UnitId),
    /// A unit did not stop as this test expects.
    NotAsTold(UnitId),
    /// A unit was not up, or a one-shot had not ended, when the tests had finished and trc had
    /// waited for it.
    NotUp(UnitId, Lack),
    /// The OOM killer killed a process that was not the main process of a unit.
    OomKilled,
    /// The stop took longer than the grace period.
    Slow,
}

impl Finding {
    /// Returns the test point that fails because of this finding.
    #[must_use]
    pub(crate) fn point(self, graph: &Graph) -> String {
        let unit = |id: UnitId| &graph.node(id).unit;
        match self {
            Self::Ended(id) | Self::Restarted(id) | Self::CutShort(id) | Self::NotUp(id, _) => {
                points::run(unit(id))
            }
            Self::Killed(id)
            | Self::StopCommand(id)
            | Self::StopStatus(id)
            | Self::NotAsTold(id) => points::stop(unit(id)),
            Self::PostStop(id) => points::post_stop(unit(id)),
            Self::Orphaned(_) | Self::Orphans => points::ORPHANS.to_owned(),
            Self::Escaped(_) | Self::Sessions => points::SESSIONS.to_owned(),
            Self::Zombies => points::ZOMBIES.to_owned(),
            Self::Late(id, Late::Said) => points::log(unit(id)),
            Self::Late(id, Late::Used) => points::max_rss(unit(id)),
            Self::Late(id, Late::Left) => points::after_stop(unit(id)),
            Self::OomKilled => points::OOM.to_owned(),
            Self::Slow => points::SHUTDOWN.to_owned(),
        }
    }
}
