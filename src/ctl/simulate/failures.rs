//! Every single failure of every unit, and what the container does then.

use std::fmt::{self, Write as _};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use serde::Serialize;

use crate::config::{Stage, seconds};
use crate::ctl::live::{Cell, Color, Look, table as columns};
use crate::ctl::story::to_the_millisecond;
use crate::engine::{Ending, PhaseName, SpawnStage};
use crate::graph::{Graph, Node, UnitId};
use crate::signal::Signal;
use crate::simulation::suppose::{Course, End, Stops, Story, suppose};

/// When a service fails, counted from when its command was executed.
const SERVICE: Duration = Duration::from_secs(10);
/// When a one-shot fails.
const ONE_SHOT: Duration = Duration::from_secs(1);
/// When trc is asked to stop.
const STOP: Duration = Duration::from_secs(20);
/// The number of restarts after which trc restarts a unit again and again.
const MANY: u32 = 5;

/// One failure of a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Failure {
    /// A process exits with this status, after this time.
    Exits(u8, Duration),
    /// A process is killed, after this time.
    Killed(Duration),
    /// The command cannot be started.
    NotStarted,
    NeverReady,
    /// The first process becomes unhealthy, after this time.
    Unhealthy(Duration),
    IgnoresStop,
}

impl Failure {
    /// Returns the failures that a unit can have.
    fn of(node: &Node) -> Vec<Self> {
        let mut all = Vec::new();
        let after = if node.oneshot { ONE_SHOT } else { SERVICE };
        if !node.is_outside() {
            let fails = (1..=u8::MAX).find(|status| !node.succeeds_with(*status));
            // A service that exits with 0 is down, whatever it says.
            let well = (!node.oneshot && node.succeeds_with(0)).then_some(0);
            all.extend(fails.into_iter().chain(well).map(|status| Self::Exits(status, after)));
            all.extend([Self::Killed(after), Self::NotStarted]);
        }
        all.extend(node.unit.ready.as_ref().map(|_| Self::NeverReady));
        all.extend(node.unit.health.as_ref().map(|_| Self::Unhealthy(after)));
        if !node.is_outside() && !node.oneshot {
            all.push(Self::IgnoresStop);
        }
        all
    }

    fn befall(self, course: &mut Course) {
        match self {
            Self::Exits(status, after) => course.first().ends = Some((after, Ending::Code(status))),
            Self::Killed(after) => {
                course.first().ends = Some((after, Ending::Signal(Signal::KILL)));
            }
            Self::NotStarted => {
                course.each(|life| life.fails = Some((SpawnStage::Execute, Some(Errno::ENOENT))));
            }
            Self::NeverReady => course.each(|life| life.ready = None),
            Self::Unhealthy(after) => course.first().sick = Some((after, None)),
            Self::IgnoresStop => course.each(|life| life.stop = Stops::Ignores),
        }
    }

    /// Returns the word for programs.
    fn word(self) -> &'static str {
        match self {
            Self::Exits(..) => "exits",
            Self::Killed(_) => "killed",
            Self::NotStarted => "not-started",
            Self::NeverReady => "never-ready",
            Self::Unhealthy(_) => "unhealthy",
            Self::IgnoresStop => "ignores-stop",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exits(status, after) => {
                write!(f, "exits with {status} after {}", seconds(*after))
            }
            Self::Killed(after) => write!(f, "is killed after {}", seconds(*after)),
            Self::NotStarted => f.write_str("cannot be started"),
            Self::NeverReady => f.write_str("is never ready"),
            Self::Unhealthy(after) => write!(f, "is unhealthy after {}", seconds(*after)),
            Self::IgnoresStop => f.write_str("ignores its stop signal"),
        }
    }
}

/// What the container does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It exits.
    Exits,
    /// It exits as it does without the failure.
    AsUsual,
    /// It goes on, and the unit was restarted.
    Restarts,
    /// It goes on, and restarts the unit again and again.
    RestartsForever,
    /// It goes on, and nobody restarts the unit.
    WithoutIt,
    /// It goes on with the unit, which has failed in a way that trc does not act on.
    WithIt,
    /// It goes on, and the unit runs again by its schedule.
    NextTime,
    /// It goes on, as it would anyway.
    GoesOn,
    /// The unit does not run: it starts only if somebody asks for it, or its turn never comes.
    NeverRuns,
}

impl Outcome {
    fn of(end: &End, usual: &End, (id, scheduled): (UnitId, bool), failure: Failure) -> Self {
        let fate = end.units.iter().find(|fate| fate.unit == id);
        let Some(fate) = fate else { return Self::NeverRuns };
        let same = (end.status, end.at, &end.reason) == (usual.status, usual.at, &usual.reason);
        if end.status.is_some() && same && failure != Failure::IgnoresStop {
            return Self::AsUsual;
        }
        if fate.processes == 0 {
            return Self::NeverRuns;
        }
        if end.status.is_some() {
            return Self::Exits;
        }
        if scheduled {
            return Self::NextTime;
        }
        let well = matches!(failure, Failure::Exits(0, _));
        let down = fate.last.ended.is_some_and(|ended| ended.failed() || well);
        match fate.last.phase {
            PhaseName::Ended if down => Self::WithoutIt,
            _ if fate.restarts >= MANY => Self::RestartsForever,
            PhaseName::Backoff | PhaseName::Retrying => Self::RestartsForever,
            _ if fate.restarts > 0 => Self::Restarts,
            PhaseName::Waiting if fate.last.idle => Self::GoesOn,
            PhaseName::Waiting => Self::WithoutIt,
            PhaseName::Ended
            | PhaseName::Starting
            | PhaseName::Running
            | PhaseName::Watching
            | PhaseName::Stopping
            | PhaseName::Finishing => match failure {
                Failure::Unhealthy(_) | Failure::NeverReady => Self::WithIt,
                Failure::Exits(..)
                | Failure::Killed(_)
                | Failure::NotStarted
                | Failure::IgnoresStop => Self::GoesOn,
            },
        }
    }

    /// Returns the word for programs.
    fn word(self) -> &'static str {
        match self {
            Self::Exits => "exits",
            Self::AsUsual => "exits-as-usual",
            Self::Restarts => "restarts",
            Self::RestartsForever => "restarts-forever",
            Self::WithoutIt => "goes-on-without",
            Self::WithIt => "goes-on-with",
            Self::NextTime => "next-time",
            Self::GoesOn => "goes-on",
            Self::NeverRuns => "never-runs",
        }
    }

    fn look(self) -> Look {
        match self {
            Self::WithoutIt => Look::Bad,
            Self::RestartsForever | Self::WithIt => Look::Pending,
            Self::Restarts => Look::Good,
            Self::Exits | Self::AsUsual | Self::NextTime | Self::GoesOn => Look::Plain,
            Self::NeverRuns => Look::Dim,
        }
    }
}

/// A failure that was simulated.
pub(super) struct Tried {
    unit: String,
    failure: Failure,
    outcome: Outcome,
    status: Option<u8>,
    at: Duration,
    /// When trc was asked to stop, if it was.
    asked: Option<Duration>,
    restarts: u32,
    reason: Option<String>,
}

impl Tried {
    fn says(&self) -> String {
        let status = self.status.unwrap_or(0);
        match (self.outcome, self.asked) {
            (Outcome::Exits, Some(asked)) if self.at >= asked => {
                format!(
                    "exits with {status}, {} after SIGTERM",
                    seconds(self.at.saturating_sub(asked))
                )
            }
            (Outcome::Exits, _) => format!("exits with {status} after {}", seconds(self.at)),
            (Outcome::AsUsual, _) => {
                format!("exits with {status} after {}, as usual", seconds(self.at))
            }
            (Outcome::Restarts, _) => "restarts it".to_owned(),
            (Outcome::RestartsForever, _) => "restarts it again and again".to_owned(),
            (Outcome::WithoutIt, _) => "goes on without it".to_owned(),
            (Outcome::WithIt, _) => "goes on with it".to_owned(),
            (Outcome::NextTime, _) => "runs it again by its schedule".to_owned(),
            (Outcome::GoesOn, _) => "goes on".to_owned(),
            (Outcome::NeverRuns, _) => "never starts it".to_owned(),
        }
    }
}

/// Simulates every failure of every unit, one at a time, for this long at most.
pub(super) fn all(graph: &Rc<Graph>, until: Duration) -> Vec<Tried> {
    let mut tried = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        if node.unit.stage == Stage::Test {
            continue;
        }
        for failure in Failure::of(node) {
            let halts = node.unit.stage == Stage::Halt;
            let asked = (halts || failure == Failure::IgnoresStop).then_some(STOP);
            let mut story = Story::usual(graph, until.max(STOP));
            story.signals.extend(asked.map(|at| (at, Signal::TERM)));
            // The calendar is not simulated.
            if node.runs_by_schedule() && !story.dues.iter().any(|(_, unit)| *unit == id) {
                story.dues.push((ONE_SHOT, id));
            }
            let usual = suppose(graph, 0, &story, &mut |_, _| {});
            failure.befall(story.course(graph, id));
            let end = suppose(graph, 0, &story, &mut |_, _| {});
            let fate = end.units.iter().find(|fate| fate.unit == id);
            tried.push(Tried {
                unit: node.unit.id(),
                failure,
                outcome: Outcome::of(&end, &usual, (id, node.is_scheduled()), failure),
                status: end.status,
                at: end.at,
                asked,
                restarts: fate.map_or(0, |fate| fate.restarts),
                reason: end.reason.clone(),
            });
        }
    }
    tried
}

/// Returns the failures as a table for people.
pub(super) fn table(all: &[Tried], color: Color) -> String {
    let head = ["UNIT", "WHAT HAPPENS TO IT", "THE CONTAINER", "RESTARTS"];
    let bold = |text: &str| Cell { text: text.to_owned(), look: Look::Bold };
    let mut rows: Vec<Vec<Cell>> = vec![head.into_iter().map(bold).collect()];
    let mut last = "";
    for one in all {
        let unit = if one.unit == last { String::new() } else { one.unit.clone() };
        last = &one.unit;
        rows.push(vec![
            unit.into(),
            one.failure.to_string().into(),
            Cell { text: one.says(), look: one.outcome.look() },
            one.restarts.to_string().into(),
        ]);
    }
    let mut text = columns(&rows, &[3], color);
    let without = all.iter().filter(|one| one.outcome == Outcome::WithoutIt).count();
    let summary = match (without, all.len()) {
        (_, 0) => "there are no units that could fail".to_owned(),
        (0, 1) => "the container does not go on without a unit that has failed".to_owned(),
        (0, many) => {
            format!("after none of these {many} failures does the container go on without the unit")
        }
        (1, many) => {
            format!("after 1 of these {many} failures, the container goes on without the unit")
        }
        (some, many) => {
            format!("after {some} of these {many} failures, the container goes on without the unit")
        }
    };
    let look = if without > 0 { Look::Bad } else { Look::Good };
    _ = writeln!(text, "\n{}", color.paint(look, &summary));
    text
}

/// A failure as JSON.
#[derive(Serialize)]
struct Json<'a> {
    unit: &'a str,
    failure: &'static str,
    /// The status with which the unit exits by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    container: &'static str,
    exitcode: Option<u8>,
    /// When the run ends, in seconds.
    after: Option<f64>,
    reason: Option<&'a str>,
    restarts: u32,
}

/// Returns the failures as JSON.
pub(super) fn json(all: &[Tried]) -> String {
    let one = |one: &Tried| {
        let status = match one.failure {
            Failure::Exits(status, _) => Some(status),
            _ => None,
        };
        serde_json::to_value(Json {
            unit: &one.unit,
            failure: one.failure.word(),
            status,
            container: one.outcome.word(),
            exitcode: one.status,
            after: one.status.map(|_| to_the_millisecond(one.at)),
            reason: one.reason.as_deref(),
            restarts: one.restarts,
        })
        .unwrap_or_default()
    };
    let all: Vec<serde_json::Value> = all.iter().map(one).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}
