//! What trc would do with a configuration if its units behaved in a certain way: the real engine
//! decides about the real graph, in virtual time, and the world around it behaves as a story says.
//! Nothing is left to chance, so that the same story always takes the same course.
//!
//! - `story`: what happens in a run and is not decided by trc.
//! - `plan`: what the world has to know of the units.
//!
//! `trcctl simulate` is made of it.

mod plan;
mod story;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

pub(crate) use story::{Behavior, Course, Stops, Story, success};

use super::build::Built;
use super::plan::Plan;
use super::random::Random;
use super::world::World;
use crate::engine::{Action, Engine, Event, Fact, Tick, UnitSnapshot};
use crate::graph::{Graph, UnitId};
use crate::words::{self, Line, Observed, Why};

/// The maximum number of events in a story.
const STEPS: u32 = 2_000_000;
/// The maximum number of events at one instant.
const AT_ONCE: u32 = 100_000;

/// The end of a story.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct End {
    /// When the run has ended, or how far the story goes.
    pub at: Tick,
    /// The exit status of trc; `None` if the run goes on.
    pub status: Option<u8>,
    /// Why the run ends, in one line.
    pub reason: Option<String>,
    /// Whether nothing more would happen by itself, however long the run goes on.
    pub rests: bool,
    /// Whether too much happens to tell it all.
    pub cut: bool,
    /// The units in their order, as they are then.
    pub units: Vec<Fate>,
}

/// What has become of a unit.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fate {
    /// The unit.
    pub unit: UnitId,
    /// The number of its starts, whether or not they failed; 1 if it is external, and trc has looked
    /// for it.
    pub processes: u32,
    /// The number of its restarts by its restart policy.
    pub restarts: u32,
    /// Its last state.
    pub last: UnitSnapshot,
}

/// Tells a story to its end. `told` gets each line that trc would write to its log, whatever its
/// level, and when. `chance` seeds what trc itself leaves to chance: the delays of restarts. The
/// process IDs of the lines are not real.
pub(crate) fn suppose(
    graph: &Rc<Graph>,
    chance: u64,
    story: &Story,
    told: &mut dyn FnMut(Tick, &Line),
) -> End {
    let plan = plan::plan(graph, story);
    let mut teller = Teller { told, restarts: vec![0; graph.nodes.len()] };
    for line in beginning(graph) {
        (teller.told)(Tick::ZERO, &line);
    }
    let mut run = Run::new(graph, chance, &plan);
    let cut = !run.go(story.until, &mut teller);
    let Run { engine, world, status, .. } = run;
    let why = status.filter(|_| engine.reason().is_some()).map(|status| why(&engine, status));
    if let Some(status) = status {
        let graph = engine.graph();
        let over = words::observed(graph, &Observed::Over(status));
        (teller.told)(world.now, &over);
        if let Some(why) = why.as_ref().filter(|_| !graph.transparent && status != 0) {
            (teller.told)(world.now, &words::observed(graph, &Observed::Why(why)));
        }
    }
    let fate = |unit: UnitId| Fate {
        unit,
        processes: world.slots[unit.0].runs.max(u32::from(world.slots[unit.0].since.is_some())),
        restarts: teller.restarts[unit.0],
        last: engine.unit_snapshot(unit),
    };
    let ended = status.is_some();
    End {
        at: world.now,
        status,
        reason: why.map(|why| why.text()),
        rests: !ended
            && engine.next_deadline().is_none()
            && world.next().is_none()
            && !graph.ids().any(|id| graph.node(id).runs_by_schedule()),
        cut,
        units: graph.ids().map(fate).collect(),
    }
}

/// Returns what trc says before anything happens.
fn beginning(graph: &Graph) -> Vec<Line> {
    let all = words::nothing_starts(graph)
        .into_iter()
        .chain([Observed::WaitPolicy(graph.wait.trivialrc())]);
    all.map(|observed| words::observed(graph, &observed)).collect()
}

/// Returns why the run ends, as `run/` says it.
fn why(engine: &Engine, status: u8) -> Why {
    let own = engine.status();
    let reason = engine.reason();
    Why {
        unwritten: Vec::new(),
        reason: reason.map(|it| words::reason::reason(engine, &it)).unwrap_or_default(),
        mapped: (status != own).then_some((status, own)),
        survivors: Vec::new(),
    }
}

/// Whoever sees what goes into the engine, and what comes out.
trait Listener {
    fn before(&mut self, _now: Tick, _event: &Event) {}
    /// An action was carried out. If it has started a process: the process, and whether that is a
    /// `pre_start`.
    fn acted(&mut self, now: Tick, action: &Action, pid: Option<i32>, graph: &Graph);
    fn after(&mut self, _engine: &Engine) {}
}

/// Turns what happens into the lines of the log.
struct Teller<'a> {
    told: &'a mut dyn FnMut(Tick, &Line),
    restarts: Vec<u32>,
}

impl Listener for Teller<'_> {
    fn acted(&mut self, now: Tick, action: &Action, pid: Option<i32>, graph: &Graph) {
        match action {
            Action::Spawn(id) => {
                if let Some(pid) = pid {
                    (self.told)(now, &words::started(graph, *id, pid));
                }
            }
            Action::PreStart(id) => {
                if let Some(pid) = pid {
                    (self.told)(now, &words::pre_started(graph, *id, pid));
                }
            }
            // `run/` says this itself.
            Action::Tell(Fact::TestEnded { unit, ended }) => {
                let line = words::observed(graph, &Observed::TestEnded(*unit, *ended, None));
                (self.told)(now, &line);
            }
            Action::Reload(_) => {
                (self.told)(now, &words::observed(graph, &Observed::NothingToReload));
            }
            Action::Tell(fact) => {
                if let Fact::Restarting { unit, .. } = fact {
                    self.restarts[unit.0] += 1;
                }
                for line in words::fact(graph, fact) {
                    (self.told)(now, &line);
                }
            }
            Action::PostStop(..)
            | Action::KillPostStop(_)
            | Action::Signal(..)
            | Action::StopCommand(_)
            | Action::KillStopCommand(_)
            | Action::ReloadCommand(_)
            | Action::KillReloadCommand(_)
            | Action::Probe(..)
            | Action::Seek(_)
            | Action::StopProbes(_)
            | Action::Try(..)
            | Action::Inspect
            | Action::Remains
            | Action::Reopen
            | Action::Settle
            | Action::TakeOver
            | Action::Sweep(_)
            | Action::SweepOver
            | Action::End { .. } => {}
        }
    }
}

/// A run in virtual time.
struct Run<'a> {
    engine: Engine,
    world: World<'a>,
    steps: u32,
    at_once: u32,
    status: Option<u8>,
}

impl<'a> Run<'a> {
    fn new(graph: &Rc<Graph>, chance: u64, plan: &'a Plan) -> Self {
        let identity = (0..graph.nodes.len()).collect();
        let built = Rc::new(Built { graph: Rc::clone(graph), plan: identity });
        Self {
            engine: Engine::new(Rc::clone(graph), chance),
            world: World::with(plan, built, Random::plain()),
            steps: 0,
            at_once: 0,
            status: None,
        }
    }

    /// Goes on until the run has ended, nothing more happens, or the time is up. Returns whether it
    /// has come to that.
    fn go(&mut self, until: Duration, listener: &mut dyn Listener) -> bool {
        self.step(Event::Begin, listener);
        while self.status.is_none() {
            if self.steps >= STEPS || self.at_once >= AT_ONCE {
                return false;
            }
            if let Some(event) = self.world.events.pop_front() {
                self.step(event, listener);
                continue;
            }
            let (deadline, next) = (self.engine.next_deadline(), self.world.next());
            let due = self.is_due_later().then_some(Duration::MAX);
            let times = deadline.into_iter().chain(next).chain(due);
            let Some(time) = times.min() else { break };
            if time > until {
                self.world.now = until;
                break;
            }
            if time > self.world.now {
                (self.world.now, self.at_once) = (time, 0);
            }
            // What happens in the last moment of a limit still happens in time.
            if next.is_some_and(|next| next <= self.world.now) {
                self.world.happen();
            } else {
                self.world.events.push_back(Event::Woken);
            }
        }
        true
    }

    /// Returns whether schedules start units again, even if the story does not tell when.
    fn is_due_later(&self) -> bool {
        let graph = self.engine.graph();
        graph.ids().any(|id| graph.node(id).runs_by_schedule())
    }

    fn step(&mut self, event: Event, listener: &mut dyn Listener) {
        (self.steps, self.at_once) = (self.steps + 1, self.at_once + 1);
        let now = self.world.now;
        listener.before(now, &event);
        let mut actions = Vec::new();
        self.engine.step(now, event, &mut actions);
        for action in actions {
            let pids = self.world.pids;
            self.world.act(&action);
            let pid = (self.world.pids > pids).then_some(self.world.pids);
            listener.acted(now, &action, pid, self.engine.graph());
            if let Action::End { status } = action {
                self.status = Some(status);
            }
        }
        listener.after(&self.engine);
    }
}
