//! Why a run ended.

use super::{Asker, Detail, Ended, How, Sender};
use crate::graph::UnitId;
use crate::signal::Signal;

/// The first thing that stopped the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A boot unit failed.
    Boot(UnitId),
    /// The boot scripts have left an invalid command line.
    CommandLine,
    /// The wait policy ended the run when this unit ended.
    Ended(UnitId),
    /// The wait policy or `on_failure` ended the run when this unit failed.
    Failed(UnitId),
    /// Every unit had ended, or there was none to wait for. The failure of this unit counts.
    AllEnded(Option<UnitId>),
    /// The last test had finished.
    Tested,
    /// A signal stopped the run.
    Signal(Signal, Sender),
    /// Somebody has asked the run to stop.
    Asked(Asker),
    /// The terminal's signal terminated a foreground unit.
    Terminal(UnitId, Signal),
}

/// An event after the cause that changed the exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LastWord {
    /// This halt unit replaced the exit status with its own.
    Unit(UnitId),
    /// This signal cut the halt units short. The exit status was 0 until then.
    Cut(Signal),
    /// The shutdown timeout expired before the halt units had finished. The exit status was 0 until
    /// then.
    Late,
}

/// The failure of a unit, as one of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    /// The unit.
    pub unit: UnitId,
    /// The reason.
    pub how: How,
    /// The status that it counts as; 0 for a service that exited with 0.
    pub status: u8,
    /// What trc knew about the unit then.
    pub known: Option<Detail>,
}

impl Link {
    /// Returns the failure as the end of its unit.
    pub(crate) fn ended(&self) -> Ended {
        Ended { how: self.how, status: self.status, place: 0 }
    }
}

/// The failure of a unit that is not up again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// Its place in the order of all failures.
    pub place: u64,
    pub link: Link,
    /// The failures behind it, from the nearest one to the root.
    pub behind: Vec<Link>,
}

impl Failure {
    /// Returns the units that this tells of.
    pub(super) fn units(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.behind.iter().flat_map(|link| {
            let by = if let How::Blocked(by) = link.how { Some(by) } else { None };
            [link.unit].into_iter().chain(by)
        })
    }
}

/// The reason why a run ended, for the last line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// The cause.
    pub cause: Cause,
    /// The failures from which the cause follows, from the nearest one to the root, if the failure of
    /// a unit is the cause.
    pub behind: Vec<Link>,
    /// The first unit that failed, except halt units, whether or not that ended the run.
    pub first_failure: Option<UnitId>,
    /// The event that gave trc its exit status, if it was not the cause.
    pub last_word: Option<LastWord>,
    /// The units that survived SIGKILL.
    pub unkillable: Vec<UnitId>,
}
