//! Why a run ended.

use super::Sender;
use crate::graph::UnitId;
use crate::signal::Signal;

/// The first thing that stopped the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A boot unit failed.
    Boot(UnitId),
    /// What boot made of the command line is wrong.
    CommandLine,
    /// The wait policy, at the end of this unit.
    Ended(UnitId),
    /// The wait policy or `on_failure`, at the failure of this unit.
    Failed(UnitId),
    /// Every unit had ended, or there was none to wait for; and whose failure counts.
    AllEnded(Option<UnitId>),
    /// The last test was done.
    Tested,
    /// A signal.
    Signal(Signal, Sender),
    /// A foreground unit died of the terminal's signal.
    Terminal(UnitId, Signal),
}

/// What came after the cause and changed the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LastWord {
    /// This halt unit's status is trc's.
    Unit(UnitId),
    /// This signal cut the halt units short, and the status was 0 until then.
    Cut(Signal),
    /// The time for stopping was up before the halt units were through, and the status was 0
    /// until then.
    Late,
}

/// Why a run ended, for the last line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// What stopped it.
    pub cause: Cause,
    /// The first unit to fail, halt units aside, whether or not that stopped it.
    pub first_failure: Option<UnitId>,
    /// What gave trc the status it has, where it was not the cause.
    pub last_word: Option<LastWord>,
    /// Units that survived KILL.
    pub unkillable: Vec<UnitId>,
}
