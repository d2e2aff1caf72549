//! What happens in a run and is not decided by trc: how the processes of units behave, and which
//! signals trc gets.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::errno::Errno;

use crate::engine::{Ending, SpawnStage};
use crate::graph::{Graph, Node, UnitId};
use crate::signal::Signal;

/// A story, which `suppose` tells to the end. Units that it does not mention behave as usual:
/// [`Course::usual`].
#[derive(Clone, Default, Debug)]
pub(crate) struct Story {
    /// The units that do not behave as usual, or not only.
    pub units: BTreeMap<UnitId, Course>,
    /// The signals that trc gets from outside the container, and when.
    pub signals: Vec<(Duration, Signal)>,
    /// When which unit is due by its schedule. A unit is due at no other time.
    pub dues: Vec<(Duration, UnitId)>,
    /// The time at which the story stops if the run has not ended. At most 49 days.
    pub until: Duration,
}

/// How a unit behaves in a run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Course {
    /// The behavior of its first process, of its second one, and so on.
    pub lives: Vec<Behavior>,
    /// The behavior of all later processes.
    pub later: Behavior,
    /// How long its `pre_start` runs, and how that exits.
    pub pre_start: (Duration, Ending),
    /// How long its `post_stop` runs, and whether that exits with 0.
    pub post_stop: (Duration, bool),
}

/// How a process of a unit behaves. Each time counts from when its command was executed; that of a
/// unit with a `pid_file`, which goes into the background at once, from then as well.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Behavior {
    /// The step at which the start fails, and the kernel's error, if it does.
    pub fails: Option<(SpawnStage, Option<Errno>)>,
    /// When it is ready; `None` if never. For a unit that is external: after trc has begun to look.
    pub ready: Option<Duration>,
    /// When it exits by itself, and how.
    pub ends: Option<(Duration, Ending)>,
    /// What it does when it gets its stop signal.
    pub stop: Stops,
    /// When it becomes unhealthy, and when healthy again.
    pub sick: Option<(Duration, Option<Duration>)>,
}

/// The reaction of a process to its stop signal, or to its stop command.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Stops {
    /// The signal terminates it, after this time.
    Dies(Duration),
    /// It exits after this time, with this status.
    Exits(Duration, u8),
    /// It goes on.
    Ignores,
}

impl Story {
    /// Returns the story of a run in which everything is as usual, and units with an interval as
    /// their schedule are due by it.
    pub(crate) fn usual(graph: &Graph, until: Duration) -> Self {
        let mut dues = Vec::new();
        for id in graph.ids().filter(|id| graph.node(*id).runs_by_schedule()) {
            let schedule = graph.node(id).unit.schedule.as_ref();
            let when = schedule.and_then(|schedule| schedule.when.as_ref());
            let Some(every) = when.and_then(|when| when.value.interval()) else { continue };
            let mut at = every;
            while at <= until && dues.len() < DUES {
                dues.push((at, id));
                at += every;
            }
        }
        Self { dues, until, ..Self::default() }
    }

    /// Returns the behavior of a unit, to change it.
    pub(crate) fn course(&mut self, graph: &Graph, id: UnitId) -> &mut Course {
        self.units.entry(id).or_insert_with(|| Course::usual(graph.node(id)))
    }
}

/// How long a one-shot with a `ready` runs.
const SOON: Duration = Duration::from_millis(100);
/// The number of times that the schedules of a story make units due.
const DUES: usize = 10_000;

impl Course {
    /// Returns how a unit usually behaves: all of its processes as [`Behavior::usual`], and its
    /// `pre_start` and `post_stop` exit with 0 at once.
    pub(crate) fn usual(node: &Node) -> Self {
        Self {
            lives: Vec::new(),
            later: Behavior::usual(node),
            pre_start: (Duration::ZERO, Ending::Code(0)),
            post_stop: (Duration::ZERO, true),
        }
    }

    /// Returns the behavior of its first process, to change it.
    pub(crate) fn first(&mut self) -> &mut Behavior {
        if self.lives.is_empty() {
            self.lives.push(self.later);
        }
        &mut self.lives[0]
    }

    /// Changes the behavior of every process.
    pub(crate) fn each(&mut self, change: impl Fn(&mut Behavior)) {
        self.lives.iter_mut().for_each(&change);
        change(&mut self.later);
    }
}

impl Behavior {
    /// Returns how a process of a unit usually behaves. It is ready at once, and stays healthy. A
    /// service runs until it is asked to stop, and then dies of its stop signal at once, or exits
    /// with 0 if the signal terminates no program. A one-shot, a boot unit or a halt unit succeeds
    /// at once, or soon after it is ready if it has a `ready`.
    pub(crate) fn usual(node: &Node) -> Self {
        let success = success(node);
        let lasts = if node.unit.ready.is_some() { SOON } else { Duration::ZERO };
        let stop = if node.stop_signal.is_fatal() && node.unit.stop.exec.is_none() {
            Stops::Dies(Duration::ZERO)
        } else {
            Stops::Exits(Duration::ZERO, success)
        };
        Self {
            fails: None,
            ready: Some(Duration::ZERO),
            ends: node.oneshot.then_some((lasts, Ending::Code(success))),
            stop,
            sick: None,
        }
    }
}

/// Returns the status with which a unit succeeds: 0, unless the unit has other ones.
pub(crate) fn success(node: &Node) -> u8 {
    match node.unit.success.as_deref() {
        Some([first, ..]) if !node.succeeds_with(0) => *first,
        Some(_) | None => 0,
    }
}
