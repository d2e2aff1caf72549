//! Test runs as they are planned, and what that means for the engine.

use super::build;
use super::plan::{Generation, Ms, Plan, ms};
use crate::config::{self, FaultKind, Origin, Placed, State, StopCheck, Testing};
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

/// What is written of a test.
pub(super) fn test(plan: &Plan, test: &Test, generation: Generation) -> config::Test {
    let fault =
        test.fault.filter(|(victim, _)| plan.has(*victim, generation)).map(|(victim, blow)| {
            let kind = match blow {
                Blow::Kill(signal) => FaultKind::Kill(signal),
                Blow::Stop(time) => FaultKind::Stop(ms(time)),
            };
            let unit = build::place(plan, victim);
            Placed {
                value: config::Fault { unit, kind, restarts: test.restarts },
                origin: Origin::Default,
            }
        });
    config::Test {
        checks: vec![Placed { value: State::Uid(0).into(), origin: Origin::Default }],
        within: test.within.map(ms),
        holds: test.holds.map(ms),
        fault,
        absent: None,
        stop: StopCheck {
            statuses: test.stop_status.into_iter().collect(),
            within: test.stop_within.map(ms),
        },
        allow: Vec::new(),
        start_within: ms(test.start_within),
        max_runtime: ms(test.max_runtime),
    }
}

/// What is written of the whole test run.
pub(super) fn testing(plan: &Plan, drill: &Drill, generation: Generation) -> Testing {
    let name = |at: usize, end| format!("{}.{end}", build::place(plan, at).value);
    let here = drill.allow.iter().filter(|point| match point {
        Point::Run(at) | Point::Stop(at) | Point::Log(at) | Point::MaxRss(at) => {
            plan.has(*at, generation)
        }
        Point::Orphans | Point::Sessions | Point::Zombies | Point::Shutdown | Point::Oom => true,
    });
    let names = here.map(|point| match point {
        Point::Run(at) => name(*at, "run"),
        Point::Stop(at) => name(*at, "stop"),
        Point::Log(at) => name(*at, "log"),
        Point::MaxRss(at) => name(*at, "max_rss"),
        Point::Orphans => "orphans".to_owned(),
        Point::Sessions => "sessions".to_owned(),
        Point::Zombies => "zombies".to_owned(),
        Point::Shutdown => "shutdown".to_owned(),
        Point::Oom => "oom".to_owned(),
    });
    let by = |name| (Placed { value: name, origin: Origin::Default }, "some test".to_owned());
    Testing {
        only: Vec::new(),
        list: false,
        strict: drill.strict,
        events: false,
        reports: Vec::new(),
        allow: names.map(by).collect(),
        origin: Origin::Default,
    }
}
