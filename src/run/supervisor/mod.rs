//! The one loop: what the kernel says goes to the engine as events, what the engine
//! answers is done. No decision is made here.
//!
//! One file each for waiting, starting, reaping, job control and the end.

mod clock;
mod closing;
mod drill;
mod end;
mod engine;
mod helper;
mod jobs;
mod journal;
mod members;
mod notify;
mod oom;
mod output;
mod probe;
mod progress;
mod readiness;
mod reap;
mod signals;
mod source;
mod start;
mod stop_command;
mod sweep;
mod wait;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use super::birthmark::Birthmarks;
use super::capture::{Capture, LogFile};
use super::drill::Drill;
use super::notify::Socket;
use super::oom as oom_killer;
use super::prepare::{Environment, LazyShell, Surroundings};
use super::probe::file::Stamp;
use super::probe::{Closings, Try};
use super::report::Reporter;
use super::spawn::Hold;
use super::strangers::Strangers;
use super::stream::flush_deadline;
use crate::config::{Config, Loaded, Stage};
use crate::engine::{Action, Engine, Event, Fact, Purpose};
use crate::graph::{Graph, UnitId};
use crate::run::os::clock::now;
use crate::run::os::signals::Signals;
use crate::run::os::terminal::Terminal;
use crate::run::os::{children, memory};
use crate::shell::{Saved, State};
use crate::words::Observed;
use clock::Clock;
use end::Course;
use helper::{Duty, Helper};
use sweep::Sweep;

/// What a child is to trc.
#[derive(Clone, Copy)]
enum Role {
    Unit(UnitId),
    /// A command that trc runs for a unit, beside the unit's own.
    Helper,
    /// Could not execute its command; people have been told, and its exit is of no interest.
    NotStarted,
}

/// One live child of trc's own.
struct Child {
    role: Role,
    /// Until it has executed its command.
    progress: Option<(OwnedFd, Hold)>,
    /// Where a boot script leaves its state.
    saved: Option<(Saved, Vec<(OsString, OsString)>)>,
    /// Whether it was lent the terminal.
    terminal: bool,
    /// What it still stands on after it has failed.
    hold: Option<Hold>,
}

/// What is held of a unit.
#[derive(Default)]
struct Held {
    /// Its live main process.
    pid: Option<i32>,
    /// Its process group, for as long as anything may be in it.
    group: Option<i32>,
    /// The main process that has had its stop signal; it may have handed over since.
    told: Option<i32>,
    /// Once its main process has ended: children of trc's that it has left, and that trc has
    /// adopted.
    adopted: BTreeSet<i32>,
    /// Whether it has written nothing to its standard output, in which trc looks for a line.
    silent: bool,
    /// Whether trc has sent it KILL.
    killed: bool,
    /// Its output, where trc captures it.
    captures: Vec<Capture>,
    /// The user of its last start.
    uid: Option<u32>,
    /// Where it says how it is.
    notify: Option<Socket>,
    /// The end of its main process, where it has handed over to another.
    main: Option<OwnedFd>,
    /// The file by which it is ready, as it was before its start.
    file_before: Option<Stamp>,
    /// Where it says that it is ready by a newline.
    readiness: Option<OwnedFd>,
}

/// The supervisor of one run.
pub(super) struct Supervisor {
    loaded: Loaded,
    graph: Rc<Graph>,
    engine: Engine,
    signals: Signals,
    reporter: Reporter,
    terminal: Option<Terminal>,
    shell: LazyShell,
    base: Environment,
    state: Option<State>,
    children: BTreeMap<i32, Child>,
    /// Children that it did not start, as they were seen while others were reaped.
    strangers: Strangers,
    units: Vec<Held>,
    /// Tries of probes that are under way.
    tries: Vec<(UnitId, Purpose, Try)>,
    /// Commands that trc runs for units, beside their own.
    helpers: BTreeMap<i32, Helper>,
    /// Probes whose last try has failed.
    waiting: BTreeMap<(UnitId, Purpose), probe::Waiting>,
    /// Connections of tries that are over.
    closings: Closings,
    /// The files that output goes to, by their paths.
    files: BTreeMap<PathBuf, Rc<LogFile>>,
    /// Units whose main process has ended, and of which others live on.
    leftovers: Vec<UnitId>,
    /// By which processes are known that units have left.
    birthmarks: Birthmarks,
    events: VecDeque<Event>,
    clock: Clock,
    course: Course,
    /// Whether some child may have ended or was stopped, and was not looked at yet.
    child_changed: bool,
    /// Units whose main process, a child of another process, has just ended.
    ended_mains: Vec<UnitId>,
    sweep: Sweep,
    /// Whether trc has let go of what only the start needed.
    rested: bool,
    /// What could not be tried at the last attempt, for want of processes and the like.
    untried: BTreeSet<(UnitId, Purpose)>,
    oom: oom_killer::Watch,
    /// The first unit that the OOM killer took.
    oom_victim: Option<UnitId>,
    /// In a test run, whoever listens.
    drill: Option<Box<Drill>>,
}

impl Supervisor {
    /// A supervisor that has taken over all signals.
    pub(super) fn new(
        mut loaded: Loaded,
        graph: Graph,
        signals: Signals,
        reporter: Reporter,
        base: Environment,
        shell: LazyShell,
    ) -> Self {
        if let Err(why) = children::become_subreaper() {
            reporter.observed(&graph, &Observed::NoSubreaper(why.desc()));
        }
        let graph = Rc::new(graph);
        let transparent = graph.transparent;
        // The graph has its own.
        loaded.config.units = Vec::new();
        if graph.stage(Stage::Boot).next().is_none() {
            loaded.forget();
        }
        Self {
            loaded,
            engine: Engine::new(Rc::clone(&graph), chance()),
            units: graph.ids().map(|_| Held::default()).collect(),
            oom: if transparent { oom_killer::Watch::none() } else { oom_killer::Watch::start() },
            graph,
            signals,
            reporter,
            terminal: Terminal::find(),
            shell,
            base,
            state: None,
            children: BTreeMap::new(),
            strangers: Strangers::default(),
            tries: Vec::new(),
            helpers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            closings: Closings::default(),
            files: BTreeMap::new(),
            leftovers: Vec::new(),
            birthmarks: if transparent { Birthmarks::none() } else { Birthmarks::new(chance()) },
            events: VecDeque::from([Event::Begin]),
            clock: Clock::new(now()),
            course: Course::Goes,
            child_changed: false,
            ended_mains: Vec::new(),
            sweep: Sweep::new(now()),
            rested: false,
            untried: BTreeSet::new(),
            oom_victim: None,
            drill: None,
        }
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> u8 {
        // From here on PID 1 exits only through the engine.
        loop {
            self.feed();
            self.tell_of_memory();
            if let Course::Ends(status) = self.course {
                return self.finish(status);
            }
            self.wait(None);
        }
    }

    /// Tells people what trc has found out itself.
    fn observed(&self, observed: &Observed<'_>) {
        self.reporter.observed(&self.graph, observed);
    }

    /// Says once that there is no memory left but for the reserve.
    fn tell_of_memory(&self) {
        if let Some(left) = memory::HEAP.take_news() {
            self.observed(&Observed::NoMemory(left / 1024));
        }
    }

    /// Gives the engine all events there are and does what it says to them.
    pub(super) fn feed(&mut self) {
        if self.course == Course::Abandoned {
            self.events.clear();
        }
        while let Some(event) = self.events.pop_front() {
            let mut actions = Vec::new();
            let tick = self.clock.tell(now());
            self.engine.step(tick, event, &mut actions);
            for action in actions {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(id) => self.start(id),
            Action::Signal(target, signal) => self.signal(target, signal),
            Action::StopCommand(id) => self.start_stop_command(id),
            Action::KillStopCommand(id) => self.kill_helpers(id, |duty| duty == Duty::Stop),
            Action::Probe(id, purpose) => self.probe(id, purpose),
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
            Action::SweepOver => self.sweep_over(),
            Action::Tell(Fact::LeftBehind { unit, ending }) => self.tell_left_behind(unit, ending),
            // A key of the terminal, or its size.
            Action::Tell(Fact::Unheard { .. }) if self.terminal.is_some() => {}
            Action::Tell(fact) => {
                self.drill(|drill, run| drill.told(run, &fact));
                self.reporter.tell(&self.graph, &fact);
            }
            Action::End { status } => self.course = Course::Ends(status),
        }
    }

    pub(super) fn surroundings(&self, end: Option<(u8, String)>) -> Surroundings<'_> {
        Surroundings {
            socket: None,
            config: &self.loaded.config,
            base: &self.base,
            shell: &self.shell,
            state: self.state.as_ref(),
            end,
        }
    }

    /// Boot is done: what has it made of the command line?
    fn settle(&mut self) {
        let args = self.state.as_ref().map(|state| state.args().to_vec());
        let Some(rest) = args.filter(|args| *args != self.loaded.config.rest) else {
            self.loaded.forget();
            self.events.push_back(Event::Settled { words: None });
            return;
        };
        let built = self
            .loaded
            .with_rest(rest.clone())
            .and_then(|config| Ok((Graph::build(&config)?, config)));
        let event = match built {
            Ok((graph, config)) => {
                let graph = Rc::new(graph.over(&self.graph));
                self.units.resize_with(graph.nodes.len(), Held::default);
                // A boot script may have added `--log-level`.
                self.reporter.journal().set_level(config.log.level);
                self.loaded.config = Config { units: Vec::new(), ..config };
                self.loaded.forget();
                self.drill(|drill, _| drill.settled(Rc::clone(&graph)));
                self.engine.offer(Rc::clone(&graph));
                self.graph = graph;
                Event::Settled { words: Some(rest) }
            }
            Err(diagnostics) => {
                self.reporter.diagnostics(&self.loaded.illustrate(diagnostics));
                Event::Unsettled
            }
        };
        self.events.push_back(event);
    }
}

/// A number that differs from run to run, and between containers that start together.
fn chance() -> u64 {
    // SAFETY: the kernel hands every program sixteen random bytes: getauxval(3).
    unsafe {
        let bytes = libc::getauxval(libc::AT_RANDOM) as *const u64;
        if bytes.is_null() { 0 } else { bytes.read_unaligned() }
    }
}
