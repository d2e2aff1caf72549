//! A test run: the drill that listens to what happens, makes the attempts of tests, and reports.
//!
//! The supervisor holds one in a test run, and none in production. It hands over each fact, each
//! action that only a test run has, and what it has read and reaped; the drill asks it for the rest
//! by [`Run`].

mod announce;
mod attempt;
mod flaws;
mod judge;
mod lines;
mod look;
mod points;
mod report;
mod say;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::capture::{Capture, Matcher};
use super::journal::Journal;
use super::os::clock::now;
use super::os::localtime::CLOCK;
use super::os::proc::Status;
use super::os::processes;
use super::os::usage::Usage;
use super::prepare::Surroundings;
use super::probe::Closing;
use super::spawn::{self, Launch};
use super::testing::Report;
use crate::config::{FaultKind, Then};
use crate::engine::{Action, Detail, Ended, Engine, Event, Fact, is_scarce};
use crate::graph::{Graph, UnitId};
use crate::report::{Live, Point, Suite};
use crate::words::{self, Observed, Unwritten, Wrong, some};
use lines::Lines;
use trial::{Trial, Tried};

/// A line that a test looks for: its place among all of these, the unit that wrote it, the line, and
/// whether it was cut.
pub(crate) type Said = (usize, UnitId, String, bool);

/// What a drill asks of the run that it listens to.
pub(crate) trait Run {
    /// The engine, which knows how units ended and what was found.
    fn engine(&self) -> &Engine;
    /// Where the report goes, and whatever trc has warned of.
    fn journal(&self) -> &Journal;
    /// Tells people.
    fn observed(&self, observed: &Observed<'_>);
    /// A unit's main process, while it runs.
    fn pid(&self, unit: UnitId) -> Option<i32>;
    /// A unit's process group, for as long as anything may be in it.
    fn group(&self, unit: UnitId) -> Option<i32>;
    /// A unit's output, where trc captures it.
    fn captures(&self, unit: UnitId) -> &[Capture];
    /// The first of these units that runs and has written nothing, by name.
    fn kept_back(&self, units: &[UnitId]) -> Option<String>;
    /// What a unit said last, for the end of a sentence.
    fn last_output(&self, unit: UnitId) -> String;
    /// Why the run ends, in one line.
    fn reason(&self) -> String;
    /// The children that write trc's own output.
    fn writers(&self) -> Vec<i32>;
    /// Whatever a test's command needs to be started.
    fn surroundings(&self) -> Surroundings<'_>;
    /// Units that have exited and have left processes in sessions of their own.
    fn escaped(&mut self) -> Vec<UnitId>;
    /// What the OOM killer has killed since the last look, in words.
    fn look_for_oom(&mut self) -> Option<String>;
    /// Reads what units have written up to now, however slow the log's reader is: what tests look
    /// for in it must not depend on who reads the log. Returns the lines that tests look for.
    fn catch_up(&mut self, units: &[UnitId]) -> Vec<Said>;
    /// Starts a test's command, whose exit comes to [`Drill::command_ended`]; what still runs at
    /// `until` is killed, and comes to [`Drill::command_is_late`].
    ///
    /// # Errors
    /// Those of the step that failed before there was a process.
    fn start(&mut self, test: UnitId, launch: Launch, until: Option<Instant>)
    -> Result<i32, Errno>;
    /// Kills a test's command, and everything in its process group.
    fn kill(&mut self, test: UnitId);
    /// Closes the connection of an attempt in order.
    fn close(&mut self, closing: Closing);
    /// Tells the engine.
    fn happened(&mut self, event: Event);
}

/// A test run.
pub(crate) struct Drill {
    graph: Rc<Graph>,
    /// Whether `shutdown.timeout` is written.
    limited: bool,
    began: Instant,
    wall: SystemTime,
    points: Vec<Point>,
    /// How many of them standard output has taken.
    said: usize,
    /// The form in which it gets them.
    live: Live,
    /// The test that was tried last, and how often.
    attempts: Option<(UnitId, u32)>,
    reports: Vec<Report>,
    /// What could not be written.
    unwritten: Vec<Unwritten>,
    /// The attempt that is under way.
    trial: Option<Trial>,
    /// The lines that tests ask for.
    lines: Lines,
    tried: BTreeMap<UnitId, Tried>,
    /// When a test began, or a unit was told to stop, or ended after that.
    tests: BTreeMap<UnitId, Instant>,
    told: BTreeMap<UnitId, Instant>,
    stopped: BTreeMap<UnitId, Instant>,
    /// How long after its start a unit was ready, when it was last.
    ready: BTreeMap<UnitId, Duration>,
    /// What the OOM killer has killed, in words.
    oom: Vec<String>,
    /// Whom a unit was waiting for when the run began to stop.
    unmet: BTreeMap<UnitId, UnitId>,
    /// When the run began to stop.
    stopping: Option<Instant>,
    /// How often a unit was restarted, and after what the last time.
    restarts: BTreeMap<UnitId, (u32, String)>,
    /// What those processes of a unit have used that were reaped.
    used: BTreeMap<UnitId, Usage>,
    /// What was left of a unit when its main process ended.
    left: BTreeMap<UnitId, String>,
    orphans: String,
    sessions: String,
    /// The process groups of commands of tests and probes, and of those that stop units: they
    /// run, or what is left of them was killed and is about to go.
    groups: BTreeSet<i32>,
    /// A unit's process that a test has ended by a signal, and that may not have noticed yet.
    doomed: Option<i32>,
    /// Zombies that were seen last.
    zombies: Vec<i32>,
    zombie_names: String,
}

impl Drill {
    /// One that begins now. Standard output gets `live`; `limited` tells whether
    /// `shutdown.timeout` is written.
    pub(crate) fn new(graph: Rc<Graph>, limited: bool, live: Live, reports: Vec<Report>) -> Self {
        Self {
            limited,
            began: now(),
            wall: (CLOCK.now)(),
            points: Vec::new(),
            said: 0,
            live,
            attempts: None,
            reports,
            unwritten: Vec::new(),
            trial: None,
            lines: Lines::new(&graph),
            tried: BTreeMap::new(),
            tests: BTreeMap::new(),
            told: BTreeMap::new(),
            stopped: BTreeMap::new(),
            ready: BTreeMap::new(),
            oom: Vec::new(),
            unmet: BTreeMap::new(),
            stopping: None,
            restarts: BTreeMap::new(),
            used: BTreeMap::new(),
            left: BTreeMap::new(),
            orphans: String::new(),
            sessions: String::new(),
            groups: BTreeSet::new(),
            doomed: None,
            zombies: Vec::new(),
            zombie_names: String::new(),
            graph,
        }
    }

    /// Boot has made a new graph.
    pub(crate) fn settled(&mut self, graph: Rc<Graph>) {
        self.lines = self.lines.over(&graph);
        self.graph = graph;
    }

    /// Does what only a test run has to do.
    pub(crate) fn act(&mut self, run: &mut dyn Run, action: &Action) {
        match action {
            Action::Try(id, limit) => self.try_test(run, *id, *limit),
            Action::Inspect => self.inspect(run),
            Action::Remains => self.look_at_remains(run),
            _ => {}
        }
    }

    /// Notes what points are made of, and tells of it.
    pub(crate) fn told(&mut self, run: &mut dyn Run, fact: &Fact) {
        self.announce(run, fact);
        match fact {
            Fact::TestBegan { unit } => {
                self.tests.insert(*unit, now());
                if self.graph.node(*unit).victim.is_some() {
                    self.begin_fault(run, *unit);
                }
            }
            Fact::TestEnded { unit, ended } => self.test_ended(run, *unit, *ended),
            Fact::Ready { unit, after } => _ = self.ready.insert(*unit, *after),
            // What a test has caused is no finding.
            Fact::Restarting { unit, how, status, excused: false, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                let why = flaws::how_it_ended(run, *unit, ended);
                let (times, last) = self.restarts.entry(*unit).or_default();
                (*times, *last) = (times.saturating_add(1), why);
            }
            Fact::Stopping => {
                self.stopping = Some(now());
                let unmet =
                    self.graph.ids().filter_map(|id| Some((id, run.engine().waits_for(id)?)));
                self.unmet = unmet.collect();
            }
            Fact::Terminating { unit, .. } => _ = self.told.insert(*unit, now()),
            Fact::Exited { unit, .. } => _ = self.stopped.insert(*unit, now()),
            // A strict test run has no other place for it; a fault is its own cause.
            Fact::Unhealthy { unit, then: Then::Ignore, .. } if !self.lines.has_faulted() => {
                let name = self.graph.node(*unit).unit.id();
                run.journal().warned(format_args!("{name} is unhealthy"));
            }
            _ => {}
        }
    }

    /// A test is about to do something to a unit.
    fn begin_fault(&mut self, run: &mut dyn Run, test: UnitId) {
        // What was said before is no answer to it.
        self.catch_up(run, &self.lines.units_of(test));
        self.lines.begin_fault(test);
        let graph = Rc::clone(&self.graph);
        let fault = graph.node(test).test().and_then(|test| test.fault.as_ref());
        let pid = graph.node(test).victim.and_then(|victim| run.pid(victim));
        self.doomed = match (fault.map(|fault| fault.value.kind), pid) {
            (Some(FaultKind::Kill(signal)), Some(pid)) => {
                let handles = Status::of(pid).is_none_or(|status| status.handles(signal.number()));
                (signal.is_fatal() && !handles).then_some(pid)
            }
            _ => None,
        };
    }

    /// Takes in the lines that units have written up to now.
    fn catch_up(&mut self, run: &mut dyn Run, units: &[UnitId]) {
        for (place, unit, line, cut) in run.catch_up(units) {
            self.lines.found(place, unit, line, cut);
        }
    }

    /// What a unit's output is to be looked at for.
    pub(crate) fn matchers(&self, unit: UnitId) -> impl Iterator<Item = Matcher> + '_ {
        self.lines.matchers(unit)
    }

    /// Lines that tests look for have come.
    pub(crate) fn said(&mut self, run: &mut dyn Run, said: Vec<Said>) {
        for (place, unit, line, cut) in said {
            self.lines.found(place, unit, line, cut);
        }
        self.line_came(run);
    }

    /// A command that is trc's own matter, and no unit's, leads this process group.
    pub(crate) fn own(&mut self, group: i32) {
        self.groups.insert(group);
    }

    /// Such a command has ended by itself: what it has put into the background is nobody's.
    pub(crate) fn disown(&mut self, group: i32) {
        self.groups.remove(&group);
    }

    /// A unit's process was reaped that has used so much.
    pub(crate) fn used(&mut self, unit: UnitId, used: Usage) {
        self.used.entry(unit).or_default().add(used);
    }

    /// A unit's main process has ended and others of it have not.
    pub(crate) fn left_behind(&mut self, unit: UnitId, members: &[i32]) {
        self.left.insert(unit, some(members.iter().map(|pid| processes::named(*pid))));
    }

    /// The OOM killer has killed something, in words.
    pub(crate) fn oom(&mut self, what: String) {
        self.oom.push(what);
    }

    /// A test's command could not be executed; `why` is what trc has found out itself.
    pub(crate) fn not_executed(
        &mut self,
        run: &mut dyn Run,
        pid: i32,
        spawn::Failure { stage, errno }: spawn::Failure,
        why: Option<&Detail>,
    ) {
        let Some(trial) = &mut self.trial else { return };
        let why = words::not_started(&self.graph, trial.unit, stage, Some(errno), why);
        trial.unmade |= is_scarce(stage, errno);
        self.command_ended(run, pid, Err(Wrong::NotStarted(why)));
    }

    /// What to poll, and for what.
    pub(crate) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.trial.iter().flat_map(Trial::fds)
    }

    /// When something about the attempt is late.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.trial.as_ref().and_then(Trial::deadline)
    }

    /// trc could not look at anything for so long: the attempt has that time in addition.
    pub(crate) fn postpone(&mut self, by: Duration) {
        if let Some(trial) = &mut self.trial {
            trial.postpone(by);
        }
    }

    /// The reports that could not be written, and why.
    pub(crate) fn unwritten(&self) -> &[Unwritten] {
        &self.unwritten
    }

    /// A report can't be written.
    fn cannot_write(&mut self, suite: &mut Suite, why: Unwritten) {
        suite.unwritten(why.to_string());
        self.unwritten.push(why);
    }
}
