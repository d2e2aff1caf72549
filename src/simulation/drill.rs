//! The plan of a test run, and its meaning for the engine.

use super::ms::Ms;
use crate::signal::Signal;

/// A test run, apart from its tests.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Drill {
    /// The test points that some test allows to fail.
    pub allow: Vec<Point>,
    /// Whether a test that is skipped fails the run.
    pub strict: bool,
    /// When the OOM killer kills a process that belongs to no unit.
    pub oom: Option<Ms>,
    /// Whether the first and the second search find zombies.
    pub zombies: [bool; 2],
}

/// A test point of the stop drill. Units are named by their place in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Point {
    Run(usize),
    Stop(usize),
    PostStop(usize),
    Log(usize),
    MaxRss(usize),
    AfterStop(usize),
    Orphans,
    Sessions,
    Zombies,
    Shutdown,
    Oom,
}

impl Point {
    /// Returns the test point in a plan without this unit, if it still exists.
    pub(super) fn without(self, gone: usize) -> Option<Self> {
        let moved = |at: usize| (at != gone).then(|| at - usize::from(at > gone));
        match self {
            Self::Run(at) => moved(at).map(Self::Run),
            Self::Stop(at) => moved(at).map(Self::Stop),
            Self::PostStop(at) => moved(at).map(Self::PostStop),
            Self::Log(at) => moved(at).map(Self::Log),
            Self::MaxRss(at) => moved(at).map(Self::MaxRss),
            Self::AfterStop(at) => moved(at).map(Self::AfterStop),
            Self::Orphans | Self::Sessions | Self::Zombies | Self::Shutdown | Self::Oom => {
                Some(self)
            }
        }
    }
}

/// The settings that only tests have. An attempt passes if the test's `child` is ready and not
/// sick.
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Test {
    pub within: Option<Ms>,
    pub holds: Option<Ms>,
    pub start_within: Ms,
    /// The time limit of an attempt.
    pub max_runtime: Ms,
    /// The fault: the unit, and the damage done to it.
    pub fault: Option<(usize, Blow)>,
    /// The time between two attempts of a probe that goes on during the fault.
    pub every: Option<Ms>,
    /// The unit with a schedule that it runs first.
    pub job: Option<usize>,
    /// Whether the unit has to be restarted by the fault, or must not be.
    pub restarts: Option<bool>,
    /// Whether an attempt that would pass may skip the test instead.
    pub skips: bool,
    /// Whether its checks may turn out to be impossible.
    pub hopeless: bool,
    /// Whether a line that it forbids is printed after the test.
    pub said: bool,
    /// Whether the units that it is about use more memory later than it allows.
    pub used: bool,
    /// Whether what it expects after the stop is not there.
    pub lacks: bool,
    /// The exit status that the units that it is about must have when trc stops them.
    pub stop_status: Option<u8>,
    /// The time within which they must exit then.
    pub stop_within: Option<Ms>,
}

/// The damage that a test does to a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Blow {
    Kill(Signal),
    /// The unit is suspended for this time.
    Stop(Ms),
    /// The unit is kept down while the checks are made.
    Down,
    /// The unit is restarted, as by hand.
    Restart,
}

impl Test {
    /// Returns the plainest test, which makes one attempt.
    pub(super) fn plain() -> Self {
        Self {
            within: None,
            holds: None,
            start_within: 5000,
            max_runtime: 60_000,
            fault: None,
            job: None,
            every: None,
            restarts: None,
            skips: false,
            hopeless: false,
            said: false,
            used: false,
            lacks: false,
            stop_status: None,
            stop_within: None,
        }
    }
}
