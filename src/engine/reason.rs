//! Why a run ended.

use super::{Asker, Sender};
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

/// The reason why a run ended, for the last line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// The cause.
    pub cause: Cause,
    /// The first unit that failed, except halt units, whether or not that ended the run.
    pub first_failure: Option<UnitId>,
    /// The event that gave trc its exit status, if it was not the cause.
    pub last_word: Option<LastWord>,
    /// The units that survived SIGKILL.
    pub unkillable: Vec<UnitId>,
}
