//! Test runs as they are planned, and what that means for the engine.

use super::ms::Ms;
use crate::signal::Signal;

/// What there is to a test run beside its tests.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Drill {
    /// The points that some test allows.
    pub allow: Vec<Point>,
    /// Whether a test that is skipped fails the run.
    pub strict: bool,
    /// When the OOM killer takes some process of nobody's.
    pub oom: Option<Ms>,
    /// Whether the first and the second look find zombies.
    pub zombies: [bool; 2],
}

/// A point of the drill; units by their place in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Point {
    Run(usize),
    Stop(usize),
    Log(usize),
    MaxRss(usize),
    Orphans,
    Sessions,
    Zombies,
    Shutdown,
    Oom,
}

impl Point {
    /// What is left of it once this unit is gone.
    pub(super) fn without(self, gone: usize) -> Option<Self> {
        let moved = |at: usize| (at != gone).then(|| at - usize::from(at > gone));
        match self {
            Self::Run(at) => moved(at).map(Self::Run),
            Self::Stop(at) => moved(at).map(Self::Stop),
            Self::Log(at) => moved(at).map(Self::Log),
            Self::MaxRss(at) => moved(at).map(Self::MaxRss),
            Self::Orphans | Self::Sessions | Self::Zombies | Self::Shutdown | Self::Oom => {
                Some(self)
            }
        }
    }
}

/// What a test has that no other unit has. Its tries pass once its `child` is ready and
/// while that is not sick.
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Test {
    pub within: Option<Ms>,
    pub holds: Option<Ms>,
    pub start_within: Ms,
    /// How long one try may take.
    pub max_runtime: Ms,
    /// What is done to which unit.
    pub fault: Option<(usize, Blow)>,
    /// Whether it has to be restarted by that, or must not be.
    pub restarts: Option<bool>,
    /// A try that would pass may find that there is nothing to say.
    pub skips: bool,
    /// What it expects may turn out to be impossible.
    pub hopeless: bool,
    /// What it forbids is written after all.
    pub said: bool,
    /// The units that it is about have more memory later than it allows.
    pub used: bool,
    /// The status with which the units that it is about are to stop.
    pub stop_status: Option<u8>,
    /// How soon they are to.
    pub stop_within: Option<Ms>,
}

/// What a test does to a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Blow {
    Kill(Signal),
    /// It is stopped for so long.
    Stop(Ms),
}

impl Test {
    /// It is tried once.
    pub(super) fn plain() -> Self {
        Self {
            within: None,
            holds: None,
            start_within: 5000,
            max_runtime: 60_000,
            fault: None,
            restarts: None,
            skips: false,
            hopeless: false,
            said: false,
            used: false,
            stop_status: None,
            stop_within: None,
        }
    }
}
