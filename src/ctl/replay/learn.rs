//! What a recorded run tells of its units: how their processes behaved, and which signals trc got.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::seconds;
use crate::engine::{
    Action, Ending, Event, Fact, Notice, Outcome, Purpose, SpawnStage, Target, Tick,
};
use crate::graph::{Graph, UnitId};
use crate::signal::Signal;
use crate::simulation::suppose::{Behavior, Course, Stops, Story};

/// How long a run is simulated beyond the end of its record.
const BEYOND: Duration = Duration::from_mins(10);

/// Everything that was learnt.
#[derive(Default)]
pub(super) struct Learnt {
    units: BTreeMap<String, Unit>,
    signals: Vec<(Tick, Signal)>,
    dues: Vec<(Tick, String)>,
    until: Tick,
    /// What cannot be simulated, each as a sentence.
    notes: BTreeSet<String>,
    /// Whether the run stops.
    stops: bool,
}

/// What was learnt of a unit.
#[derive(Default)]
struct Unit {
    lives: Vec<Life>,
    /// Whether its next process is that of its `pre_start`.
    prepares: bool,
    pre_start: Option<(Duration, Ending)>,
    /// When its `pre_start` was started, and whether trc has stopped it.
    pre_started: Option<(Tick, bool)>,
    post_stop: Option<(Duration, bool)>,
    /// When its `post_stop` was started.
    post_started: Option<Tick>,
}

/// A process of a unit.
#[derive(Clone, Copy, Default)]
struct Life {
    fails: Option<(SpawnStage, Option<nix::errno::Errno>)>,
    /// When it has executed its command.
    executed: Option<Tick>,
    /// When it was told to stop.
    told: Option<Tick>,
    /// Whether trc has killed it.
    killed: bool,
    ready: Option<Duration>,
    ends: Option<(Duration, Ending)>,
    stop: Option<Stops>,
    sick: Option<(Duration, Option<Duration>)>,
}

impl Life {
    /// Returns the time since it has executed its command.
    fn since(&self, now: Tick) -> Duration {
        now.saturating_sub(self.executed.unwrap_or(now))
    }

    fn ends(&mut self, now: Tick, ending: Ending) {
        let since_told = self.told.map(|told| now.saturating_sub(told));
        match (since_told, ending) {
            (Some(_), Ending::Signal(Signal::KILL)) if self.killed => {
                self.stop = Some(Stops::Ignores);
            }
            (Some(after), Ending::Signal(_)) => self.stop = Some(Stops::Dies(after)),
            (Some(after), Ending::Code(code)) => self.stop = Some(Stops::Exits(after, code)),
            (None, _) => self.ends = Some((self.since(now), ending)),
        }
    }

    /// Returns the behavior, which is the usual one where the record tells nothing.
    fn behavior(&self, usual: Behavior) -> Behavior {
        // The run of a process that went on to the end of its service may have been cut off.
        let was_seen = self.ends.is_some() || self.told.is_some();
        Behavior {
            fails: self.fails,
            // Until the end of the record, it was not ready.
            ready: if self.executed.is_some() { self.ready } else { usual.ready },
            ends: match self.ends {
                None if self.executed.is_some() && was_seen => None,
                None => usual.ends,
                ends => ends,
            },
            stop: self.stop.unwrap_or(usual.stop),
            sick: self.sick,
        }
    }
}

impl Learnt {
    /// Takes in an event of the record, and what trc decided.
    pub(super) fn happened(&mut self, now: Tick, event: &Event, then: &[Action], graph: &Graph) {
        self.until = now;
        self.event(now, event, graph);
        for action in then {
            self.action(now, action, graph);
        }
    }

    fn unit(&mut self, graph: &Graph, id: UnitId) -> &mut Unit {
        self.units.entry(graph.node(id).unit.id()).or_default()
    }

    /// Returns the last process of a unit.
    fn life(&mut self, graph: &Graph, id: UnitId) -> Option<&mut Life> {
        self.unit(graph, id).lives.last_mut()
    }

    fn event(&mut self, now: Tick, event: &Event, graph: &Graph) {
        match event {
            Event::Forked { unit, .. } => {
                let unit = self.unit(graph, *unit);
                if unit.prepares {
                    unit.pre_started = Some((now, false));
                } else {
                    unit.lives.push(Life::default());
                }
            }
            Event::Executed { unit } => {
                if let Some(life) = self.life(graph, *unit) {
                    life.executed = Some(now);
                }
            }
            Event::SpawnFailed { unit, stage, errno, .. } => {
                let unit = self.unit(graph, *unit);
                let fails = Some((*stage, *errno));
                match unit.lives.last_mut() {
                    Some(life) if life.executed.is_none() && life.fails.is_none() => {
                        life.fails = fails;
                    }
                    _ => unit.lives.push(Life { fails, ..Life::default() }),
                }
            }
            Event::Exited { unit, ending, .. } => {
                let unit = self.unit(graph, *unit);
                if let Some((since, stopped)) = unit.pre_started.take() {
                    if !stopped {
                        unit.pre_start = Some((now.saturating_sub(since), *ending));
                    }
                } else if let Some(life) = unit.lives.last_mut() {
                    life.ends(now, *ending);
                }
            }
            Event::Notified { unit, notice: Notice::Ready }
            | Event::Probed { unit, purpose: Purpose::Ready, outcome: Outcome::Passed, .. } => {
                if let Some(life) = self.life(graph, *unit) {
                    life.ready = life.ready.or(Some(life.since(now)));
                }
            }
            Event::Probed { unit, purpose: Purpose::Health, outcome, .. } => {
                let Some(life) = self.life(graph, *unit) else { return };
                let since = life.since(now);
                match (outcome, &mut life.sick) {
                    (Outcome::Passed, Some((_, until))) => *until = until.or(Some(since)),
                    (Outcome::Passed | Outcome::NotMade, _) => {}
                    (_, sick) => _ = sick.get_or_insert((since, None)),
                }
            }
            Event::PostStopEnded { unit, succeeded, .. } => {
                let unit = self.unit(graph, *unit);
                if let Some(since) = unit.post_started.take() {
                    unit.post_stop = Some((now.saturating_sub(since), *succeeded));
                }
            }
            Event::Signal { signal, sender } => match sender.asker.unit {
                None => self.signals.push((now, *signal)),
                Some(id) => {
                    let name = graph.node(id).unit.id();
                    self.note(format!("{name} has sent trc {signal} in this run"));
                }
            },
            Event::Notified { unit, notice: Notice::Extend(_) } => {
                let name = graph.node(*unit).unit.id();
                self.note(format!("{name} has asked for more time in this run"));
            }
            Event::Settled { words: Some(_) } => {
                self.note("a boot script has changed the command line in this run".to_owned());
            }
            Event::Reload { .. } => {
                self.note("the configuration was reloaded in this run".to_owned());
            }
            Event::Due { unit } => self.dues.push((now, graph.node(*unit).unit.id())),
            Event::Request { .. } | Event::Cancel { .. } | Event::Shutdown { .. } => {
                self.note("somebody has asked trc for something in this run".to_owned());
            }
            _ => {}
        }
    }

    fn action(&mut self, now: Tick, action: &Action, graph: &Graph) {
        match action {
            Action::Tell(Fact::Stopping) => self.stops = true,
            Action::Probe(id, Purpose::Ready) if graph.node(*id).is_outside() => {
                let unit = self.unit(graph, *id);
                if unit.lives.is_empty() {
                    unit.lives.push(Life { executed: Some(now), ..Life::default() });
                }
            }
            Action::Tell(Fact::Unhealthy { unit, .. }) => {
                let health = graph.node(*unit).unit.health.as_ref();
                let before = health.map_or(Duration::ZERO, |it| it.every * it.failures);
                if let Some(life) = self.life(graph, *unit) {
                    let since = life.since(now).saturating_sub(before);
                    life.sick.get_or_insert((since, None));
                }
            }
            Action::Spawn(id) => self.unit(graph, *id).prepares = false,
            Action::PreStart(id) => self.unit(graph, *id).prepares = true,
            Action::PostStop(id, ..) => self.unit(graph, *id).post_started = Some(now),
            Action::StopCommand(id) => {
                if let Some(life) = self.life(graph, *id) {
                    life.told.get_or_insert(now);
                }
            }
            Action::Signal(target, signal) => {
                let (Target::Process(id)
                | Target::Group(id)
                | Target::Members(id)
                | Target::Rest(id, _)
                | Target::All(id)) = target;
                let (stop, signal) = (graph.node(*id).stop_signal, *signal);
                let (fatal, stops) = (signal == stop || signal == Signal::KILL, self.stops);
                let name = graph.node(*id).unit.id();
                let unit = self.unit(graph, *id);
                if let Some((_, stopped)) = &mut unit.pre_started {
                    *stopped = true;
                    return;
                }
                let Some(life) = unit.lives.last_mut() else { return };
                let is_new = fatal && life.told.is_none();
                let lasted = life.since(now);
                life.killed |= signal == Signal::KILL;
                if fatal {
                    life.told.get_or_insert(now);
                }
                if is_new && !stops {
                    let lasted = seconds(Duration::from_millis(
                        u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
                    ));
                    self.note(format!(
                        "trc has stopped {name} after {lasted}: nobody knows what it would have done later"
                    ));
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, note: String) {
        self.notes.insert(note);
    }

    /// Returns what cannot be simulated, each as a sentence.
    pub(super) fn notes(&self) -> impl Iterator<Item = &String> {
        self.notes.iter()
    }

    /// Returns the story of a run of another graph in which all units behave as they did. Processes
    /// beyond those of the record behave as the last one did.
    pub(super) fn story(&self, graph: &Graph) -> Story {
        let mut story = Story { until: self.until + BEYOND, ..Story::default() };
        for id in graph.ids() {
            let Some(known) = self.units.get(&graph.node(id).unit.id()) else { continue };
            let usual = Course::usual(graph.node(id));
            let lives: Vec<Behavior> =
                known.lives.iter().map(|life| life.behavior(usual.later)).collect();
            let later = lives.last().copied().unwrap_or(usual.later);
            let pre_start = known.pre_start.unwrap_or(usual.pre_start);
            let post_stop = known.post_stop.unwrap_or(usual.post_stop);
            *story.course(graph, id) = Course { lives, later, pre_start, post_stop };
        }
        story.signals.clone_from(&self.signals);
        let ids: BTreeMap<String, UnitId> =
            graph.ids().map(|id| (graph.node(id).unit.id(), id)).collect();
        let dues = self.dues.iter();
        story.dues = dues.filter_map(|(at, name)| Some((*at, *ids.get(name)?))).collect();
        story
    }
}
