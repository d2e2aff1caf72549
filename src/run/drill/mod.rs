//! A test run: the drill that listens to what happens, makes the attempts of tests, and reports.
//!
//! In a test run the supervisor has one drill, in production none. The supervisor hands over each
//! fact, each action that only a test run has, and what it has read and reaped. The drill asks it
//! for the rest by [`Run`].

mod announce;
mod attempt;
mod coverage;
mod during;
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
use crate::config::{FaultKind, Stage, Then};
use crate::engine::{Action, Detail, Ended, Engine, Event, Fact, POST_STOP, is_scarce};
use crate::graph::{Graph, OpenPort, UnitId};
use crate::report::{CheckPoint, Live, Point, Suite};
use crate::words::{self, Flaw, Observed, Unwritten, Wrong, some};
use during::Vigil;
use lines::Lines;
use trial::{Ran, Trial, Tried};

/// A line that a test looks for: its position among all of these, the unit that wrote it, the line,
/// and whether it was cut.
pub(crate) type Said = (usize, UnitId, String, bool);

/// The things that a drill asks of the run that it listens to.
pub(crate) trait Run {
    /// Returns the engine, which knows how units ended and what was found.
    fn engine(&self) -> &Engine;
    /// Returns the journal, which takes the report, and knows the warnings of trc.
    fn journal(&self) -> &Journal;
    /// Logs something that trc has found out itself.
    fn observed(&self, observed: &Observed<'_>);
    /// Returns a unit's main process, while it runs.
    fn pid(&self, unit: UnitId) -> Option<i32>;
    /// Returns a unit's process group, for as long as any process may be in it.
    fn group(&self, unit: UnitId) -> Option<i32>;
    /// Returns a unit's output, if trc captures it.
    fn captures(&self, unit: UnitId) -> &[Capture];
    /// Returns the name of the first of these units that runs and has written nothing.
    fn kept_back(&self, units: &[UnitId]) -> Option<String>;
    /// Returns a unit's last output, for the end of a sentence.
    fn last_output(&self, unit: UnitId) -> String;
    /// Returns the reason why the run ends, in one line.
    fn reason(&self) -> String;
    /// Returns the children that write trc's own output.
    fn writers(&self) -> Vec<i32>;
    /// Returns the surroundings that a test's command needs to be started.
    fn surroundings(&self) -> Surroundings<'_>;
    /// Returns the units that have exited and have left processes in sessions of their own.
    fn escaped(&mut self) -> Vec<UnitId>;
    /// Returns, in words, the processes that the OOM killer has killed since the last look.
    fn look_for_oom(&mut self) -> Option<String>;
    /// Reads the output of units up to now, however slow the log's reader is: the result of a test
    /// must not depend on who reads the log. Returns the lines that tests look for.
    fn catch_up(&mut self, units: &[UnitId]) -> Vec<Said>;
    /// Starts a test's command. Its exit comes to [`Drill::command_ended`]. If it still runs at
    /// `until`, it is killed, and comes to [`Drill::command_is_late`].
    ///
    /// # Errors
    /// Returns the error of the step that failed before there was a process.
    fn start(&mut self, test: UnitId, launch: Launch, until: Option<Instant>)
    -> Result<i32, Errno>;
    /// Kills a test's command, and everything in its process group.
    fn kill(&mut self, test: UnitId);
    /// Closes the connection of an attempt in order.
    fn close(&mut self, closing: Closing);
    /// Hands an event to the engine.
    fn happened(&mut self, event: Event);
}

/// A test run.
pub(crate) struct Drill {
    graph: Rc<Graph>,
    /// Whether `shutdown.timeout` is set.
    limited: bool,
    began: Instant,
    wall: SystemTime,
    points: Vec<Point>,
    /// The number of points that standard output has taken.
    said: usize,
    /// The form in which standard output gets the points.
    live: Live,
    /// The last test, and the number of its attempts so far.
    attempts: Option<(UnitId, u32)>,
    reports: Vec<Report>,
    /// The reports that could not be written.
    unwritten: Vec<Unwritten>,
    /// The attempt that is under way.
    trial: Option<Trial>,
    /// The probes that go on while a test does.
    vigil: Option<Vigil>,
    /// What the command of a test has left that runs once, and the test.
    ran: Option<(UnitId, Ran)>,
    /// The lines that tests ask for.
    lines: Lines,
    /// When a test began to count lines, and how many each unit had written by then.
    counted: BTreeMap<UnitId, (Instant, BTreeMap<UnitId, u64>)>,
    tried: BTreeMap<UnitId, Tried>,
    /// The moment at which the turn of the next test came, which may have to wait for its units.
    turn: Instant,
    /// The moments at which tests began, and at which units were last told to stop, and last
    /// exited.
    tests: BTreeMap<UnitId, Instant>,
    told: BTreeMap<UnitId, Instant>,
    stopped: BTreeMap<UnitId, Instant>,
    /// The time from a unit's start until it was ready, the last time that it was.
    ready: BTreeMap<UnitId, Duration>,
    /// The processes that the OOM killer has killed, in words.
    oom: Vec<String>,
    /// The unit that each unit waited for when the run began to stop.
    unmet: BTreeMap<UnitId, UnitId>,
    /// The moment at which the run began to stop.
    stopping: Option<Instant>,
    /// The number of a unit's restarts, and how it ended before the last one.
    restarts: BTreeMap<UnitId, (u32, String)>,
    /// The usage of those processes of a unit that were reaped.
    used: BTreeMap<UnitId, Usage>,
    /// The leftovers of a unit when its main process exited.
    left: BTreeMap<UnitId, String>,
    /// The units whose `post_stop` ran, each with the first problem of it, if any.
    post_stops: BTreeMap<UnitId, Option<String>>,
    /// The results of the checks that tests make when everything has stopped.
    after_stop: BTreeMap<UnitId, Vec<CheckPoint>>,
    /// The ports that were open after the last test.
    open: Vec<OpenPort>,
    orphans: String,
    sessions: String,
    /// The process groups of commands of tests and probes, and of stop commands. They run, or their
    /// leftovers were killed and are about to exit.
    groups: BTreeSet<i32>,
    /// A unit's process that a test has terminated by a signal, and that may not have noticed yet.
    doomed: Option<i32>,
    /// The zombies that were seen last.
    zombies: Vec<i32>,
    zombie_names: String,
}

impl Drill {
    /// Returns a drill that begins now. Standard output gets `live`; `limited` tells whether
    /// `shutdown.timeout` is set.
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
            vigil: None,
            ran: None,
            lines: Lines::new(&graph),
            counted: BTreeMap::new(),
            tried: BTreeMap::new(),
            turn: now(),
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
            post_stops: BTreeMap::new(),
            after_stop: BTreeMap::new(),
            open: Vec::new(),
            orphans: String::new(),
            sessions: String::new(),
            groups: BTreeSet::new(),
            doomed: None,
            zombies: Vec::new(),
            zombie_names: String::new(),
            graph,
        }
    }

    /// Takes over a new graph, which boot has made.
    pub(crate) fn settled(&mut self, graph: Rc<Graph>) {
        self.lines = self.lines.over(&graph);
        self.graph = graph;
    }

    /// Carries out an action that only a test run has.
    pub(crate) fn act(&mut self, run: &mut dyn Run, action: &Action) {
        match action {
            Action::Try(id, limit) => self.try_test(run, *id, *limit),
            Action::Inspect => self.inspect(run),
            Action::Remains => self.look_at_remains(run),
            _ => {}
        }
    }

    /// Notes a fact for the points, and reports it as an event.
    pub(crate) fn told(&mut self, run: &mut dyn Run, fact: &Fact) {
        self.announce(run, fact);
        match fact {
            Fact::TestBegan { unit } => {
                self.tests.insert(*unit, now());
                if self.graph.node(*unit).victim.is_some() {
                    self.begin_fault(run, *unit);
                    self.begin_vigil(run, *unit);
                } else if self.graph.node(*unit).job.is_some() {
                    // Lines of earlier runs of the job are not those of this one.
                    self.catch_up(run, &self.lines.units_of(*unit));
                    self.lines.forget(*unit);
                }
            }
            Fact::TestEnded { unit, ended } => {
                self.end_vigil(run);
                self.test_ended(run, *unit, *ended);
                // From now on, only the stop of the run tells it to stop.
                if let Some(victim) = self.graph.node(*unit).victim {
                    self.told.remove(&victim);
                }
                self.turn = now();
            }
            Fact::Ready { unit, after } => _ = self.ready.insert(*unit, *after),
            // A restart that a test has caused is not a finding.
            Fact::Restarting { unit, how, status, excused: false, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                let why = flaws::how_it_ended(run, *unit, ended);
                let (times, last) = self.restarts.entry(*unit).or_default();
                (*times, *last) = (times.saturating_add(1), why);
            }
            Fact::Stopping => {
                self.end_vigil(run);
                self.stopping = Some(now());
                self.open = self.look_at_ports(run);
                let unmet =
                    self.graph.ids().filter_map(|id| Some((id, run.engine().waits_for(id)?)));
                self.unmet = unmet.collect();
            }
            Fact::Terminating { unit, .. } => _ = self.told.insert(*unit, now()),
            Fact::Exited { unit, .. } => {
                self.stopped.insert(*unit, now());
                if self.graph.node(*unit).unit.stage == Stage::Boot {
                    self.turn = now();
                }
            }
            Fact::PostStopFailed { unit, why } => {
                let why = why.as_ref().map(|why| words::detail(&self.graph, *unit, why));
                self.post_stop_fails(*unit, || Flaw::PostStop(why));
            }
            Fact::PostStopKilled { unit, hurry: true } => {
                self.post_stop_fails(*unit, || Flaw::PostStopCut);
            }
            Fact::PostStopKilled { unit, hurry: false } => {
                let hook = self.graph.node(*unit).unit.post_stop.as_ref();
                let within = hook.and_then(|hook| hook.within).unwrap_or(POST_STOP);
                self.post_stop_fails(*unit, || Flaw::PostStopSlow(within));
            }
            Fact::PostStopSkipped { unit } => self.post_stop_fails(*unit, || Flaw::NotRun),
            // A strict test run has no other place for this. After a fault, the fault is the cause.
            Fact::Unhealthy { unit, then: Then::Ignore, .. } if !self.lines.has_faulted() => {
                let name = self.graph.node(*unit).unit.id();
                run.journal().warned(format_args!("{name} is unhealthy"));
            }
            _ => {}
        }
    }

    /// Prepares for a test that is about to do something to a unit.
    fn begin_fault(&mut self, run: &mut dyn Run, test: UnitId) {
        // Lines that were written before do not answer the fault.
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

    /// Reads the lines that units have written up to now.
    fn catch_up(&mut self, run: &mut dyn Run, units: &[UnitId]) {
        for (place, unit, line, cut) in run.catch_up(units) {
            self.lines.found(place, unit, line, cut);
        }
    }

    /// Returns the lines that trc looks for in a unit's output because of tests.
    pub(crate) fn matchers(&self, unit: UnitId) -> impl Iterator<Item = Matcher> + '_ {
        self.lines.matchers(unit)
    }

    /// Handles lines that tests look for.
    pub(crate) fn said(&mut self, run: &mut dyn Run, said: Vec<Said>) {
        for (place, unit, line, cut) in said {
            self.lines.found(place, unit, line, cut);
        }
        self.line_came(run);
    }

    /// Notes the process group of a command that is trc's own, and not a unit's.
    pub(crate) fn own(&mut self, group: i32) {
        self.groups.insert(group);
    }

    /// Forgets such a process group: its command has exited by itself, so its leftovers count.
    pub(crate) fn disown(&mut self, group: i32) {
        self.groups.remove(&group);
    }

    /// Notes that the `post_stop` of a unit runs.
    pub(crate) fn post_stop_runs(&mut self, unit: UnitId) {
        self.post_stops.entry(unit).or_default();
    }

    /// Notes a problem with a `post_stop`.
    pub(crate) fn post_stop_fails(&mut self, unit: UnitId, how: impl FnOnce() -> Flaw) {
        self.post_stops.entry(unit).or_default().get_or_insert_with(|| how().to_string());
    }

    /// Notes the usage of a unit's process that was reaped.
    pub(crate) fn used(&mut self, unit: UnitId, used: Usage) {
        self.used.entry(unit).or_default().add(used);
    }

    /// Notes the leftovers of a unit whose main process has exited.
    pub(crate) fn left_behind(&mut self, unit: UnitId, members: &[i32]) {
        self.left.insert(unit, some(members.iter().map(|pid| processes::named(*pid))));
    }

    /// Notes what the OOM killer has killed, in words.
    pub(crate) fn oom(&mut self, what: String) {
        self.oom.push(what);
    }

    /// Handles a test's command that could not be executed; `why` is the explanation that trc has
    /// found itself.
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

    /// Returns the descriptors to poll, and the flags.
    pub(crate) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let vigil = self.vigil.iter().filter_map(Vigil::fd);
        self.trial.iter().flat_map(Trial::fds).chain(vigil)
    }

    /// Returns the moment at which a part of the attempt is late.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let trial = self.trial.as_ref().and_then(Trial::deadline);
        trial.into_iter().chain(self.vigil.as_ref().map(Vigil::deadline)).min()
    }

    /// Postpones the attempt's deadlines by the time for which trc could not look at anything.
    pub(crate) fn postpone(&mut self, by: Duration) {
        if let Some(trial) = &mut self.trial {
            trial.postpone(by);
        }
        if let Some(vigil) = &mut self.vigil {
            vigil.postpone(by);
        }
    }

    /// Returns the reports that could not be written, and why.
    pub(crate) fn unwritten(&self) -> &[Unwritten] {
        &self.unwritten
    }

    /// Notes that a report cannot be written.
    fn cannot_write(&mut self, suite: &mut Suite, why: Unwritten) {
        suite.unwritten(why.to_string());
        self.unwritten.push(why);
    }
}
