//! The loop of the run: it hands the engine what the kernel reports, as events, and carries out the
//! engine's actions. It makes no decision itself.
//!
//! `wait.rs` is a turn of the loop, and lists the files that have something to wait for;
//! `helper.rs` runs commands of trc's own; the other files are named after their subjects.

mod children;
mod clock;
mod closing;
mod control;
mod drill;
mod end;
mod engine;
mod ground;
mod held;
mod helper;
mod jobs;
mod journal;
mod listeners;
mod members;
mod notify;
mod oom;
mod output;
mod pid_file;
mod probe;
mod progress;
mod readiness;
mod reap;
mod record;
mod reload;
mod schedule;
mod signals;
mod source;
mod start;
mod sweep;
mod syslog;
mod unit_command;
mod upward;
mod wait;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::RandomState;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::birthmark::Birthmarks;
use super::capture::LogFile;
use super::drill::Drill;
use super::oom as oom_killer;
use super::prepare::{Environment, LazyShell};
use super::record::Recorder;
use super::report::Reporter;
use super::stream::flush_deadline;
use crate::config::{Loaded, Stage};
use crate::engine::{Action, Engine, Event, Fact};
use crate::graph::{Graph, UnitId};
use crate::run::os::chance::chance;
use crate::run::os::children::become_subreaper;
use crate::run::os::clock::now;
use crate::run::os::memory;
use crate::run::os::signals::Signals;
use crate::run::os::terminal::Terminal;
use crate::words::{self, Observed};
use children::{Child, Children, Role};
use clock::Clock;
use control::Control;
use control::exec::Execution;
use end::Course;
use ground::Ground;
use held::Held;
use helper::{Duty, Helper};
use probe::Probes;
use reload::Next;
use schedule::Schedules;
use start::Step;
use sweep::Sweep;
use syslog::Syslog;
use upward::Upward;

pub(super) struct Supervisor {
    loaded: Loaded,
    graph: Rc<Graph>,
    engine: Engine,
    signals: Signals,
    reporter: Reporter,
    terminal: Option<Terminal>,
    ground: Ground,
    children: Children,
    units: Vec<Held>,
    probes: Probes,
    /// The commands that trc runs for units in addition to their own.
    helpers: BTreeMap<i32, Helper>,
    /// The helpers that clients of the control socket have asked for.
    execs: BTreeMap<i32, Execution>,
    /// The files that output goes to, by their paths.
    files: BTreeMap<PathBuf, Rc<LogFile>>,
    /// The units whose main process has exited, and that have leftovers.
    leftovers: Vec<UnitId>,
    /// The marks by which trc knows the leftovers of units.
    birthmarks: Birthmarks,
    events: VecDeque<Event>,
    /// The number of events that the engine has had.
    steps: u64,
    clock: Clock,
    course: Course,
    sweep: Sweep,
    /// Whether trc has freed what only the start needed.
    rested: bool,
    oom: oom_killer::Watch,
    /// The drill, in a test run.
    drill: Option<Box<Drill>>,
    /// The control socket, if there is one.
    control: Option<Box<Control>>,
    /// The socket for messages of syslog, if there is one.
    syslog: Option<Box<Syslog>>,
    /// The socket of whatever has started trc, if it wants to be told.
    upward: Option<Box<Upward>>,
    /// The configuration that is about to take over.
    next: Option<Box<Next>>,
    /// What makes the IDs of plans, which tell nothing of the values in them.
    plans: OnceCell<RandomState>,
    schedules: Schedules,
    /// The units for which trc listens.
    listening: BTreeSet<UnitId>,
    /// The configuration before the last reload, which may come back.
    before: Option<Box<Loaded>>,
    /// The number that seeds the engine's choices.
    chance: u64,
    /// The record of the run, if somebody has asked for one.
    record: Option<Rc<RefCell<Recorder>>>,
    /// The event that the engine takes in at the moment, if there is a record.
    stepping: Option<(Duration, Event)>,
}

impl Supervisor {
    /// Returns a supervisor, which has taken over all signals.
    pub(super) fn new(
        mut loaded: Loaded,
        graph: Graph,
        signals: Signals,
        reporter: Reporter,
        base: Environment,
        shell: LazyShell,
    ) -> Self {
        let graph = Rc::new(graph);
        let (transparent, chance) = (graph.transparent, chance());
        // The graph has its own copy.
        loaded.config.units = Vec::new();
        if graph.stage(Stage::Boot).next().is_none() {
            loaded.forget(!transparent);
        }
        Self {
            loaded,
            engine: Engine::new(Rc::clone(&graph), chance),
            units: graph.ids().map(|_| Held::default()).collect(),
            oom: if transparent { oom_killer::Watch::none() } else { oom_killer::Watch::start() },
            graph,
            signals,
            reporter,
            terminal: Terminal::find(),
            ground: Ground { base, shell, state: None },
            children: Children::default(),
            probes: Probes::default(),
            helpers: BTreeMap::new(),
            execs: BTreeMap::new(),
            files: BTreeMap::new(),
            leftovers: Vec::new(),
            birthmarks: if transparent {
                Birthmarks::none()
            } else {
                Birthmarks::new(crate::run::os::chance::chance())
            },
            events: VecDeque::from([Event::Begin]),
            steps: 0,
            clock: Clock::new(now()),
            course: Course::Goes,
            sweep: Sweep::new(now()),
            rested: false,
            drill: None,
            control: None,
            syslog: None,
            upward: None,
            next: None,
            plans: OnceCell::new(),
            schedules: Schedules::default(),
            listening: BTreeSet::new(),
            before: None,
            chance,
            record: None,
            stepping: None,
        }
    }

    /// Becomes the parent of orphans, and logs what the run is going to be.
    pub(super) fn introduce(&self) {
        if let Err(why) = become_subreaper() {
            self.observed(&Observed::NoSubreaper(why.desc()));
        }
        if self.graph.order.is_empty() {
            self.observed(&Observed::NothingToRun(&self.loaded.config.work_dir));
        }
        if let Some(observed) = words::nothing_starts(&self.graph) {
            self.observed(&observed);
        }
        self.observed(&Observed::WaitPolicy(self.loaded.config.wait.trivialrc()));
    }

    /// Runs until the end, and returns the exit status.
    pub(super) fn run(&mut self) -> u8 {
        // From here on PID 1 exits only through the engine.
        loop {
            self.feed();
            self.tell_of_memory();
            self.tell_upward();
            if let Course::Ends(status) = self.course {
                return self.finish(status);
            }
            self.wait(None);
        }
    }

    /// Logs something that trc has found out itself.
    fn observed(&self, observed: &Observed<'_>) {
        self.reporter.observed(&self.graph, observed);
    }

    /// Logs once that no memory is left except for the reserve.
    fn tell_of_memory(&self) {
        if let Some(left) = memory::HEAP.take_news() {
            self.observed(&Observed::NoMemory(left / 1024));
        }
    }

    /// Hands all events to the engine, and carries out the actions that it returns.
    pub(super) fn feed(&mut self) {
        if self.course == Course::Abandoned {
            self.events.clear();
        }
        loop {
            self.look_at_clock(now());
            let Some(event) = self.events.pop_front() else { break };
            let mut actions = Vec::new();
            let tick = self.clock.tell(now());
            self.steps += 1;
            self.stepping = self.record.is_some().then(|| (tick, event.clone()));
            self.engine.step(tick, event, &mut actions);
            if let Some((tick, event)) = self.stepping.take() {
                self.record_step(tick, &event, &actions);
            }
            let count = actions.len();
            for (done, action) in actions.into_iter().enumerate() {
                self.record_progress(done);
                self.act(action);
            }
            self.record_progress(count);
        }
        self.write_record();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(id) => self.start(id, Step::Command),
            Action::PreStart(id) => self.start(id, Step::PreStart),
            Action::PostStop(id, status, reason) => self.start_post_stop(id, status, reason),
            Action::KillPostStop(id) => self.kill_post_stop(id),
            Action::Signal(target, signal) => self.signal(target, signal),
            Action::StopCommand(id) => self.start_stop_command(id),
            Action::KillStopCommand(id) => self.kill_helpers(id, |duty| duty == Duty::Stop),
            Action::ReloadCommand(id) => self.start_reload_command(id),
            Action::KillReloadCommand(id) => self.kill_helpers(id, |duty| duty == Duty::Reload),
            Action::Probe(id, purpose) => self.probe(id, purpose),
            Action::Seek(id) => self.seek(id),
            Action::StopProbes(id) => {
                self.stop_probes(id);
                self.drill(|drill, run| drill.stop(run, id));
            }
            Action::Try(..) | Action::Inspect | Action::Remains => {
                self.drill(|drill, run| drill.act(run, &action));
            }
            Action::Reopen => self.files.values().for_each(|file| file.reopen()),
            Action::Settle => self.settle(),
            Action::Sweep(signal) => self.begin_sweep(signal),
            Action::TakeOver => self.take_over(Rc::clone(self.engine.graph())),
            Action::Reload(asker) => self.reload(asker),
            Action::SweepOver => self.sweep_over(),
            Action::Tell(Fact::LeftBehind { unit, ending }) => self.tell_left_behind(unit, ending),
            Action::Tell(Fact::PreStartLeft { unit }) => self.tell_pre_start_left(unit),
            Action::Tell(Fact::PostStopLeft { unit }) => self.tell_post_stop_left(unit),
            // The signal is from a key of the terminal, or tells that the terminal's size has
            // changed.
            Action::Tell(Fact::Unheard { .. }) if self.terminal.is_some() => {}
            Action::Tell(fact) => {
                if let Fact::MainProcess { unit, .. } = fact {
                    self.units[unit.0].sought = None;
                }
                self.drill(|drill, run| drill.told(run, &fact));
                self.reporter.tell(&self.graph, &fact);
                self.reload_told(&fact);
                self.own_reload_told(&fact);
                self.control_told(&fact);
            }
            Action::End { status } => self.course = Course::Ends(status),
        }
    }
}
