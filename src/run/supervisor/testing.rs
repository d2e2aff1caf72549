//! What is noted of a test run on its way, and the points of tests.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::super::capture::Capture;
use super::super::testing::Report;
use super::super::trial::Tried;
use super::{Child, Role, Supervisor};
use crate::config::expect::size;
use crate::config::{Check, FaultKind, Found, Leaves, Stage, State};
use crate::engine::{Ended, Event, Fact, How, Late, Left, Purpose, TestEnd};
use crate::graph::{Graph, UnitId};
use crate::report::{CheckPoint, Kind, Live, Outcome, Point, Suite, Tail};
use crate::run::os::clock::now;
use crate::run::os::localtime::CLOCK;
use crate::run::os::proc::{self, Stat, Status};
use crate::run::os::usage::Usage;
use crate::run::os::{kin, processes};
use crate::signal::Signal;
use crate::text::harmless;
use crate::words::{self, Observed, reason};

/// How many processes are named where there may be thousands.
const NAMED: usize = 10;

/// What is noted on the way, for the points.
pub(super) struct Notes {
    pub(super) testing: bool,
    pub(super) began: Instant,
    pub(super) wall: SystemTime,
    pub(super) points: Vec<Point>,
    /// How many of them standard output has taken.
    pub(super) said: usize,
    /// The form in which it gets them.
    pub(super) live: Live,
    /// The test that was tried last, and how often.
    pub(super) attempts: Option<(UnitId, u32)>,
    pub(super) reports: Vec<Report>,
    /// What could not be written.
    pub(super) unwritten: Vec<String>,
    pub(super) tried: BTreeMap<UnitId, Tried>,
    /// When a test began, or a unit was told to stop, or ended after that.
    pub(super) tests: BTreeMap<UnitId, Instant>,
    pub(super) told: BTreeMap<UnitId, Instant>,
    pub(super) stopped: BTreeMap<UnitId, Instant>,
    pub(super) ready: BTreeMap<UnitId, Duration>,
    /// What the OOM killer has killed, in words.
    pub(super) oom: Vec<String>,
    /// Whom a unit was waiting for when the run began to stop.
    pub(super) unmet: BTreeMap<UnitId, UnitId>,
    /// When the run began to stop.
    pub(super) stopping: Option<Instant>,
    /// How often a unit was restarted, and after what the last time.
    pub(super) restarts: BTreeMap<UnitId, (u32, String)>,
    /// What those processes of a unit have used that were reaped.
    pub(super) used: BTreeMap<UnitId, Usage>,
    /// What was left of a unit when its main process ended.
    pub(super) left: BTreeMap<UnitId, Vec<String>>,
    pub(super) orphans: Vec<String>,
    pub(super) sessions: Vec<String>,
    /// The process groups of commands of tests and probes, and of those that stop units: they
    /// run, or what is left of them was killed and is about to go.
    groups: BTreeSet<i32>,
    /// A unit's process that a test has ended by a signal, and that may not have noticed yet.
    pub(super) doomed: Option<i32>,
    /// Zombies that were seen last.
    pub(super) zombies: Vec<i32>,
    pub(super) zombie_names: Vec<String>,
}

impl Notes {
    /// None so far.
    pub(super) fn new(graph: &Graph, began: Instant) -> Self {
        Self {
            testing: graph.testing,
            began,
            wall: (CLOCK.now)(),
            points: Vec::new(),
            said: 0,
            live: Live::Tap,
            attempts: None,
            reports: Vec::new(),
            unwritten: Vec::new(),
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
            orphans: Vec::new(),
            sessions: Vec::new(),
            groups: BTreeSet::new(),
            doomed: None,
            zombies: Vec::new(),
            zombie_names: Vec::new(),
        }
    }

    /// A report can't be written.
    pub(super) fn unwritten(&mut self, suite: &mut Suite, why: String) {
        suite.unwritten(why.clone());
        self.unwritten.push(why);
    }

    /// What a test's last try came to.
    pub(super) fn tried(&mut self, test: UnitId, tried: Tried) {
        self.tried.insert(test, tried);
    }

    /// How long after its start a unit was ready, when it was last.
    pub(super) fn ready_after(&self, unit: UnitId) -> Option<Duration> {
        self.ready.get(&unit).copied()
    }

    /// A command that is trc's own matter, and no unit's, leads this process group.
    pub(super) fn own(&mut self, group: i32) {
        if self.testing {
            self.groups.insert(group);
        }
    }

    /// Such a command has ended by itself: what it has put into the background is nobody's.
    pub(super) fn disown(&mut self, group: i32) {
        self.groups.remove(&group);
    }

    /// A process was reaped, perhaps a unit's, that has used so much.
    pub(super) fn used(&mut self, unit: Option<UnitId>, used: Usage) {
        if let Some(unit) = unit {
            self.used.entry(unit).or_default().add(used);
        }
    }

    /// A unit's main process has ended and others of it have not.
    pub(super) fn left_behind(&mut self, unit: UnitId, members: &[i32]) {
        self.left.insert(unit, names(members, name));
    }
}

/// A process for people: `sleep <pid=12>`.
pub(super) fn name(pid: i32) -> String {
    format!("{} <pid={pid}>", processes::command(pid).unwrap_or_default())
}

/// A process and the unit that it comes from, which its environment says as long as it leaves that
/// alone: one that has gone into a session of its own is in no unit's group.
fn name_and_unit(pid: i32) -> String {
    let environment = proc::read(pid, "environ").unwrap_or_default();
    let unit = environment.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(b"TRC_UNIT="));
    match unit {
        Some(unit) => format!("{} of {}", name(pid), harmless(&String::from_utf8_lossy(unit))),
        None => name(pid),
    }
}

/// A process and the one that should wait for its end.
fn name_and_parent(pid: i32) -> String {
    let parent = Stat::of(pid).map_or(String::new(), |stat| format!(" of {}", name(stat.parent)));
    name(pid) + &parent
}

/// Some processes for people.
pub(super) fn names(pids: &[i32], name: fn(i32) -> String) -> Vec<String> {
    let mut names: Vec<String> = pids.iter().take(NAMED).map(|pid| name(*pid)).collect();
    if pids.len() > NAMED {
        names.push(format!("and {} more", pids.len() - NAMED));
    }
    names
}

impl Supervisor {
    /// In a test run, the unit that a process belongs to: one that is about to be reaped, and
    /// can still be asked for its process group.
    pub(super) fn whose(&self, pid: i32) -> Option<UnitId> {
        if !self.suite.testing {
            return None;
        }
        if let Some(Child { role: Role::Unit(id), .. }) = self.children.get(&pid) {
            return Some(*id);
        }
        let group = processes::group(pid)?;
        self.graph.ids().find(|id| self.units[id.0].group == Some(group))
    }

    /// What standard output gets as it comes, and where reports go at the end.
    pub(crate) fn report_to(&mut self, live: Live, reports: Vec<Report>) {
        (self.suite.live, self.suite.reports) = (live, reports);
    }

    /// Notes what points are made of.
    pub(super) fn note(&mut self, fact: &Fact) {
        if !self.suite.testing {
            return;
        }
        self.announce(fact);
        match fact {
            Fact::TestBegan { unit } => {
                self.suite.tests.insert(*unit, now());
                if self.graph.node(*unit).victim.is_some() {
                    self.begin_fault(*unit);
                }
            }
            Fact::TestEnded { unit, ended } => self.test_ended(*unit, *ended),
            Fact::Ready { unit, after } => _ = self.suite.ready.insert(*unit, *after),
            // What a test has caused is no finding.
            Fact::Restarting { unit, how, status, excused: false, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                let why = self.how_it_ended(*unit, ended);
                let (times, last) = self.suite.restarts.entry(*unit).or_default();
                (*times, *last) = (times.saturating_add(1), why);
            }
            Fact::Stopping => {
                self.suite.stopping = Some(now());
                let unmet =
                    self.graph.ids().filter_map(|id| Some((id, self.engine.waits_for(id)?)));
                self.suite.unmet = unmet.collect();
            }
            Fact::Terminating { unit, .. } => _ = self.suite.told.insert(*unit, now()),
            Fact::Exited { unit, .. } => _ = self.suite.stopped.insert(*unit, now()),
            _ => {}
        }
    }

    /// A test is about to do something to a unit.
    fn begin_fault(&mut self, test: UnitId) {
        // What was said before is no answer to it.
        self.catch_up(&self.lines.units_of(test));
        self.lines.begin_fault(test);
        let graph = Rc::clone(&self.graph);
        let fault = graph.node(test).test().and_then(|test| test.fault.as_ref());
        let pid = graph.node(test).victim.and_then(|victim| self.units[victim.0].pid);
        self.suite.doomed = match (fault.map(|fault| fault.value.kind), pid) {
            (Some(FaultKind::Kill(signal)), Some(pid)) => {
                let handles = Status::of(pid).is_none_or(|status| status.handles(signal.number()));
                (signal.is_fatal() && !handles).then_some(pid)
            }
            _ => None,
        };
    }

    /// Reads what units have written up to now, however slow the log's reader is: what tests
    /// look for in it must not depend on who reads the log.
    pub(super) fn catch_up(&mut self, units: &[UnitId]) {
        for id in units {
            let journal = self.reporter.journal();
            let mut matched = Vec::new();
            for capture in &mut self.units[id.0].captures {
                capture.catch_up(journal, now());
                matched.extend(capture.take_matched());
            }
            self.matched(*id, matched);
        }
    }

    /// Tells a point, and keeps it for the reports.
    pub(super) fn point(&mut self, mut point: Point) {
        if point.outcome == Outcome::Failed
            && !point.is_test()
            && let Some(test) = self.graph.allowed.get(&point.name)
        {
            (point.outcome, point.allowed_by) = (Outcome::Excused, Some(test.clone()));
        }
        self.suite.points.push(point.explained());
        self.say_points();
    }

    /// Tells the points that standard output has room for; says whether these are all. What a
    /// slow reader has not taken yet comes with the next point, or at the end.
    pub(super) fn say_points(&mut self) -> bool {
        while let Some(point) = self.suite.points.get(self.suite.said) {
            let text = self.suite.live.point(self.suite.said + 1, point);
            if !self.reporter.journal().report(text.as_bytes()) {
                return false;
            }
            self.suite.said += 1;
        }
        true
    }

    /// Says something on standard output, once there is room, and waits for its reader until
    /// then at most.
    pub(super) fn say_until(
        &mut self,
        deadline: Instant,
        mut say: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), String> {
        let mut said = false;
        let why = loop {
            said = said || say(self);
            let journal = self.reporter.journal();
            if let Some(errno) = journal.report_error() {
                break errno.desc().to_owned();
            }
            if said && journal.is_reported() {
                return Ok(());
            }
            if now() >= deadline {
                break "its reader did not read it in time".to_owned();
            }
            journal.await_reported(deadline);
        };
        Err(format!("cannot write the report on standard output: {why}"))
    }

    fn test_ended(&mut self, id: UnitId, ended: Ended) {
        let graph = Rc::clone(&self.graph);
        let node = graph.node(id);
        let tried = self.suite.tried.remove(&id).unwrap_or_default();
        let began = self.suite.tests.get(&id).copied();
        let failed = ended.failed();
        let why = match ended.how {
            // Its checks say it.
            How::Test(TestEnd::Passed | TestEnd::Skipped | TestEnd::Failed | TestEnd::TimedOut) => {
                None
            }
            How::Test(TestEnd::DidNotHold) => Some(did_not_hold(&tried.points)),
            How::Test(TestEnd::NotRecovered) => self.not_recovered(id),
            How::Blocked(by) => Some(self.blocked(by)),
            how => Some(reason::how(&graph, Ended { how, ..ended })),
        };
        let mut tails = tried.tails;
        if failed {
            tails.extend(self.tails(&node.about));
        } else {
            tails.clear();
        }
        let point = Point {
            name: node.unit.id(),
            kind: Kind::Test,
            description: node.unit.description.clone(),
            outcome: match tried.skipped {
                Some(_) => Outcome::Skipped,
                None if failed => Outcome::Failed,
                None => Outcome::Passed,
            },
            why: tried.skipped.or(why.filter(|_| failed)),
            allowed_by: None,
            took: began.map_or(Duration::ZERO, |began| now().saturating_duration_since(began)),
            checks: tried.points,
            tails,
        };
        let why = match point.outcome {
            Outcome::Failed | Outcome::NotRun => Some(point.message()),
            Outcome::Skipped => point.why.clone(),
            Outcome::Passed | Outcome::Excused => None,
        };
        self.observed(&Observed::TestEnded(id, ended, why.as_deref()));
        self.point(point);
    }

    /// That the unit is not up again which a test has done something to.
    fn not_recovered(&self, id: UnitId) -> Option<String> {
        let fault = self.graph.node(id).test()?.fault.as_ref()?;
        let name = self.graph.node(self.graph.node(id).victim?).unit.id();
        let signal = match fault.value.kind {
            FaultKind::Kill(signal) => signal,
            FaultKind::Stop(_) => Signal::STOP,
        };
        let stop_signal = self.graph.node(self.graph.node(id).victim?).stop_signal;
        if fault.value.leaves(stop_signal) == Leaves::TheSame {
            let help = match fault.value.restarts {
                None => "; if trc should restart it then, write restarts = true in expect.fault",
                Some(_) => "",
            };
            return Some(format!("{name} did not continue after {signal}{help}"));
        }
        Some(format!("{name} was not up again after {signal}"))
    }

    /// Why a test could not begin.
    fn blocked(&self, by: UnitId) -> String {
        let name = self.graph.node(by).unit.id();
        if let Some(ended) = self.engine.ended(by) {
            let how = reason::ended(&self.engine, by, ended);
            return format!("it waits for {name}, which {how}");
        }
        if let Some((times, last)) = self.suite.restarts.get(&by).filter(|_| self.engine.loops(by))
        {
            return format!("{name} is not up after {times} restarts: it {last}");
        }
        let known = || {
            let known = self.engine.known(by)?;
            words::not_up(&self.graph, by, Purpose::Ready, Some(known))
        };
        let why = match self.suite.restarts.get(&by) {
            Some((_, last)) => Some(format!("it {last}")),
            None => known(),
        };
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        format!("{name} was not up in time{why}")
    }

    /// The last lines of units.
    pub(super) fn tails(&self, units: &[UnitId]) -> Vec<Tail> {
        let mut tails = Vec::new();
        for id in units {
            let lines: Vec<String> =
                self.units[id.0].captures.iter().flat_map(Capture::tail).collect();
            if !lines.is_empty() {
                tails.push(Tail { of: self.graph.node(*id).unit.id(), lines });
            }
        }
        tails
    }

    /// Looks for processes that have ended and whose parents don't wait for them.
    pub(super) fn inspect(&mut self) {
        let mut found = kin::zombies();
        found.retain(|pid| {
            !processes::group(*pid).is_some_and(|group| self.suite.groups.contains(&group))
        });
        let lasting: Vec<i32> =
            found.iter().filter(|pid| self.suite.zombies.contains(pid)).copied().collect();
        let again = !self.suite.zombies.is_empty();
        self.suite.zombies = if again { lasting } else { found };
        self.suite.zombie_names = names(&self.suite.zombies, name_and_parent);
        let left = self.leftovers.clone();
        let escaped = left.into_iter().filter(|id| self.left_of(*id) == Left::Escaped).collect();
        let zombies = !self.suite.zombies.is_empty();
        self.events.push_back(Event::Inspected { zombies, escaped });
    }

    /// Looks at what is left when all units have ended.
    pub(super) fn look_at_remains(&mut self) {
        self.look_for_oom(0);
        let all: Vec<UnitId> = self.graph.ids().collect();
        self.catch_up(&all);
        let mut left = kin::in_care();
        let writers = self.writers();
        let foreign = kin::outsiders();
        left.retain(|pid| !writers.contains(pid) && !foreign.contains(pid));
        let of_tests = |pid: &i32| {
            processes::group(*pid).is_some_and(|group| self.suite.groups.contains(&group))
        };
        let mut left = processes::living(left);
        left.retain(|pid| !of_tests(pid));
        let own = processes::session(0);
        let (sessions, orphans): (Vec<i32>, Vec<i32>) =
            left.into_iter().partition(|pid| processes::session(*pid) != own);
        self.suite.orphans = names(&orphans, name_and_unit);
        self.suite.sessions = names(&sessions, name_and_unit);
        let passed = |id: &UnitId| self.engine.ended(*id).is_some_and(|ended| !ended.failed());
        let mut said: Vec<UnitId> =
            self.lines.said().map(|(test, ..)| test).filter(passed).collect();
        said.dedup();
        let mut late: Vec<(UnitId, Late)> = said.into_iter().map(|id| (id, Late::Said)).collect();
        for id in self.graph.stage(Stage::Test).filter(passed) {
            late.extend(self.used_too_much(id).map(|_| (id, Late::Used)));
        }
        self.events.push_back(Event::Remains {
            orphans: !orphans.is_empty(),
            sessions: !sessions.is_empty(),
            late,
        });
    }

    /// Which units have had more memory in a process, by the time that all have ended, than a
    /// test allows. Whoever still ran when that was asked may have waited for others since, or
    /// have had more itself.
    pub(super) fn used_too_much(&self, test: UnitId) -> Option<String> {
        let node = self.graph.node(test);
        let most = node.test()?.checks.iter().find_map(|check| match check.value {
            Check::Found(Found::Now(State::MaxRss(most))) => Some(most),
            _ => None,
        })?;
        let peak = |id: &UnitId| Some((*id, self.suite.used.get(id)?.peak));
        let above: Vec<String> = node
            .about
            .iter()
            .filter_map(peak)
            .filter(|(_, peak)| *peak > most)
            .map(|(id, peak)| {
                format!("a process of {} has used {}", self.graph.node(id).unit.id(), size(peak))
            })
            .collect();
        (!above.is_empty()).then(|| format!("more than {}: {}", size(most), above.join(", ")))
    }
}

/// Why something was true, but not for long enough.
fn did_not_hold(checks: &[CheckPoint]) -> String {
    match checks.iter().find(|check| !check.passed) {
        Some(CheckPoint { name, found, .. }) => {
            let found = found.as_ref().map_or(String::new(), |it| format!("; found: {it}"));
            format!("it did not stay true: {name}{found}")
        }
        None => "it stayed true, but a unit was restarted meanwhile".to_owned(),
    }
}
