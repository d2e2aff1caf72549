//! What a test run has found: the lines that tests ask for, its points, and its reports.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use log::Level;

use super::super::capture::{Capture, Matcher, Sought};
use super::super::localtime::CLOCK;
use super::super::proc::Stat;
use super::super::testing::Report;
use super::super::{census, processes, reason};
use super::trial::Tried;
use super::{Supervisor, now};
use crate::config::{Check, FaultKind, Needle, ReportKind, Stage};
use crate::engine::{Ended, Event, Fact, Finding, How, TestEnd};
use crate::graph::{Graph, UnitId, points};
use crate::selftest::{self, CheckPoint, Outcome, Point, Suite, Tail};
use crate::signal::Signal;

/// How many processes are named where there may be thousands.
const NAMED: usize = 10;

/// A line that a test asks for.
struct Wanted {
    test: UnitId,
    /// Its place among the test's checks.
    check: usize,
    units: Vec<UnitId>,
    pattern: String,
    forbidden: bool,
    /// The unit that said it first, and the line.
    found: Option<(UnitId, String)>,
}

/// All lines that tests ask for.
pub struct Lines {
    wanted: Vec<Wanted>,
    /// A test has done something to a unit: what is said of that is no news.
    faulted: bool,
}

impl Lines {
    /// Those of a graph's tests.
    pub fn new(graph: &Graph) -> Self {
        let mut wanted = Vec::new();
        for test in graph.stage(Stage::Test) {
            let checks = graph.node(test).test().map(|test| test.checks.as_slice());
            for (check, placed) in checks.unwrap_or_default().iter().enumerate() {
                let Check::Said { unit, needle, forbidden } = &placed.value else { continue };
                let named = |id: &UnitId| {
                    unit.as_ref().is_some_and(|unit| graph.node(*id).unit.id() == unit.value)
                };
                wanted.push(Wanted {
                    test,
                    check,
                    units: match unit {
                        Some(_) => graph.ids().filter(named).collect(),
                        None => graph.node(test).about.clone(),
                    },
                    pattern: match needle {
                        Needle::Text(text) => regex_lite::escape(text),
                        Needle::Regex(pattern) => pattern.clone(),
                    },
                    forbidden: *forbidden,
                    found: None,
                });
            }
        }
        Self { wanted, faulted: false }
    }

    /// What a unit's output is to be looked at for.
    pub fn matchers(&self, id: UnitId) -> impl Iterator<Item = Matcher> + '_ {
        let asked = self.wanted.iter().enumerate().filter(move |(_, one)| one.units.contains(&id));
        asked.filter_map(|(place, one)| Matcher::new(Sought::Said(place), &one.pattern))
    }

    /// A line has matched.
    pub fn found(&mut self, place: usize, unit: UnitId, line: String) {
        if let Some(wanted) = self.wanted.get_mut(place)
            && !(wanted.forbidden && self.faulted)
        {
            wanted.found.get_or_insert((unit, line));
        }
    }

    /// The line that a check asks for, if it was said.
    pub fn line(&self, test: UnitId, check: usize) -> Option<&str> {
        let wanted = self.wanted.iter().find(|one| (one.test, one.check) == (test, check))?;
        wanted.found.as_ref().map(|(_, line)| line.as_str())
    }

    /// The forbidden lines that were said: the tests that forbid them, by whom, and the lines.
    fn said(&self) -> impl Iterator<Item = (UnitId, UnitId, &str)> {
        self.wanted.iter().filter(|one| one.forbidden).filter_map(|one| {
            let (unit, line) = one.found.as_ref()?;
            Some((one.test, *unit, line.as_str()))
        })
    }
}

/// What is noted on the way, for the points.
pub struct Findings {
    testing: bool,
    began: Instant,
    wall: SystemTime,
    points: Vec<Point>,
    reports: Vec<Report>,
    tried: BTreeMap<UnitId, Tried>,
    /// When a test began, or a unit was told to stop, or ended after that.
    tests: BTreeMap<UnitId, Instant>,
    told: BTreeMap<UnitId, Instant>,
    stopped: BTreeMap<UnitId, Instant>,
    ready: BTreeMap<UnitId, Duration>,
    /// How often a unit was restarted, and after what the last time.
    restarts: BTreeMap<UnitId, (u32, String)>,
    /// What was left in a unit's process group when it ended.
    left: BTreeMap<UnitId, Vec<String>>,
    orphans: Vec<String>,
    sessions: Vec<String>,
    /// Zombies that were seen last.
    zombies: Vec<i32>,
    zombie_names: Vec<String>,
}

impl Findings {
    /// None so far.
    pub fn new(graph: &Graph, began: Instant) -> Self {
        Self {
            testing: graph.testing,
            began,
            wall: (CLOCK.now)(),
            points: Vec::new(),
            reports: Vec::new(),
            tried: BTreeMap::new(),
            tests: BTreeMap::new(),
            told: BTreeMap::new(),
            stopped: BTreeMap::new(),
            ready: BTreeMap::new(),
            restarts: BTreeMap::new(),
            left: BTreeMap::new(),
            orphans: Vec::new(),
            sessions: Vec::new(),
            zombies: Vec::new(),
            zombie_names: Vec::new(),
        }
    }

    /// What a test's last try came to.
    pub fn tried(&mut self, test: UnitId, tried: Tried) {
        self.tried.insert(test, tried);
    }

    /// How long after its start a unit was ready, when it was last.
    pub fn ready_after(&self, unit: UnitId) -> Option<Duration> {
        self.ready.get(&unit).copied()
    }

    /// A unit has ended and others of its process group have not.
    pub fn left_behind(&mut self, unit: UnitId, group: Option<i32>) {
        if let Some(group) = group.filter(|_| self.testing) {
            self.left.insert(unit, names(&census::of_group(group), name));
        }
    }
}

/// A process for people: `sleep <pid=12>`.
fn name(pid: i32) -> String {
    format!("{} <pid={pid}>", processes::command(pid).unwrap_or_default())
}

/// A process and the one that should wait for its end.
fn name_and_parent(pid: i32) -> String {
    let parent = Stat::of(pid).map_or(String::new(), |stat| format!(" of {}", name(stat.parent)));
    name(pid) + &parent
}

/// Some processes for people.
fn names(pids: &[i32], name: fn(i32) -> String) -> Vec<String> {
    let mut names: Vec<String> = pids.iter().take(NAMED).map(|pid| name(*pid)).collect();
    if pids.len() > NAMED {
        names.push(format!("{} more", pids.len() - NAMED));
    }
    names
}

impl Supervisor {
    /// Where reports go at the end.
    pub fn write_reports_to(&mut self, reports: Vec<Report>) {
        self.suite.reports = reports;
    }

    /// Notes what points are made of.
    pub(super) fn note(&mut self, fact: &Fact) {
        if !self.suite.testing {
            return;
        }
        match fact {
            Fact::TestBegan { unit } => {
                self.suite.tests.insert(*unit, now());
                self.lines.faulted |= self.graph.node(*unit).victim.is_some();
            }
            Fact::TestEnded { unit, ended } => self.test_ended(*unit, *ended),
            Fact::Ready { unit, after } => _ = self.suite.ready.insert(*unit, *after),
            Fact::Restarting { unit, how, status, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                let why = self.how_it_ended(*unit, ended);
                let (times, last) = self.suite.restarts.entry(*unit).or_default();
                (*times, *last) = (times.saturating_add(1), why);
            }
            Fact::Terminating { unit, .. } => _ = self.suite.told.insert(*unit, now()),
            Fact::Exited { unit, .. } => _ = self.suite.stopped.insert(*unit, now()),
            _ => {}
        }
    }

    /// Tells a point, and keeps it for the reports.
    fn point(&mut self, mut point: Point) {
        if point.outcome == Outcome::Failed
            && let Some(test) = self.graph.allowed.get(&point.name)
        {
            point.outcome = Outcome::Excused(test.clone());
        }
        let number = self.suite.points.len() + 1;
        self.reporter.journal().report(selftest::tap::point(number, &point).as_bytes());
        self.suite.points.push(point);
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
        self.point(Point {
            name: node.unit.id(),
            is_test: true,
            description: node.unit.description.clone(),
            outcome: match tried.skipped {
                Some(why) => Outcome::Skipped(why),
                None if failed => Outcome::Failed,
                None => Outcome::Passed,
            },
            why: why.filter(|_| failed),
            took: began.map_or(Duration::ZERO, |began| now().saturating_duration_since(began)),
            checks: tried.points,
            tails,
        });
    }

    /// That the unit is not up again which a test has done something to.
    fn not_recovered(&self, id: UnitId) -> Option<String> {
        let fault = self.graph.node(id).test()?.fault.as_ref()?;
        let name = self.graph.node(self.graph.node(id).victim?).unit.id();
        let signal = match fault.value.kind {
            FaultKind::Kill(signal) => signal,
            FaultKind::Stop(_) => Signal::STOP,
        };
        Some(format!("{name} was not up again after {signal}"))
    }

    /// Why a test could not begin.
    fn blocked(&self, by: UnitId) -> String {
        let name = self.graph.node(by).unit.id();
        if let Some(ended) = self.engine.ended(by) {
            let how = reason::ended(&self.engine, by, ended, &self.whys);
            return format!("it waits for {name}: {how}");
        }
        let why = match (self.suite.restarts.get(&by), self.whys.get(&by)) {
            (Some((_, last)), _) => format!(": it {last}"),
            (None, Some(why)) => format!(": {why}"),
            (None, None) => String::new(),
        };
        format!("{name} was not up in time{why}")
    }

    /// The last lines of units.
    fn tails(&self, units: &[UnitId]) -> Vec<Tail> {
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
        let found = census::zombies();
        let lasting: Vec<i32> =
            found.iter().filter(|pid| self.suite.zombies.contains(pid)).copied().collect();
        let again = !self.suite.zombies.is_empty();
        self.suite.zombies = if again { lasting } else { found };
        self.suite.zombie_names = names(&self.suite.zombies, name_and_parent);
        self.events.push_back(Event::Inspected { zombies: !self.suite.zombies.is_empty() });
    }

    /// Looks at what is left when all units have ended.
    pub(super) fn look_at_remains(&mut self) {
        let everybody = std::process::id() == 1;
        let mut left = if everybody { processes::all() } else { processes::descendants() };
        let writers = self.writers();
        let foreign = if everybody { census::outsiders() } else { Vec::new() };
        left.retain(|pid| !writers.contains(pid) && !foreign.contains(pid));
        let left = processes::living(left);
        let own = census::session(0);
        let (sessions, orphans): (Vec<i32>, Vec<i32>) =
            left.into_iter().partition(|pid| census::session(*pid) != own);
        self.suite.orphans.extend(names(&orphans, name));
        self.suite.sessions.extend(names(&sessions, name));
        let passed = |id: &UnitId| self.engine.ended(*id).is_some_and(|ended| !ended.failed());
        let mut said: Vec<UnitId> =
            self.lines.said().map(|(test, ..)| test).filter(passed).collect();
        said.dedup();
        self.events.push_back(Event::Remains {
            orphans: !orphans.is_empty(),
            sessions: !sessions.is_empty(),
            said,
        });
    }

    /// The points of tests that did not run and of the stop drill, and all reports. Returns
    /// trc's exit status.
    pub(super) fn report(&mut self, mut status: u8) -> u8 {
        if !self.suite.testing {
            return status;
        }
        let graph = Rc::clone(&self.graph);
        let cause = self.reason_text();
        for id in graph.stage(Stage::Test) {
            if self.engine.ended(id).is_some() {
                continue;
            }
            let mut point = plain(graph.node(id).unit.id(), Some(format!("not run: {cause}")));
            point.is_test = true;
            point.description.clone_from(&graph.node(id).unit.description);
            self.point(point);
        }
        let findings = self.engine.findings().to_vec();
        for id in graph.ids() {
            let unit = &graph.node(id).unit;
            if unit.stage == Stage::Test {
                continue;
            }
            let found = [Finding::Ended(id), Finding::Restarted(id)];
            if self.has_run(id) || found.iter().any(|one| findings.contains(one)) {
                let why = self.why_run(id, &findings);
                let mut point = plain(points::run(unit), why);
                if point.outcome == Outcome::Failed {
                    point.tails = self.tails(&[id]);
                }
                self.point(point);
            }
            let told = self.suite.told.get(&id).copied();
            if let (Some(told), Stage::Async | Stage::Sync) = (told, unit.stage) {
                let mut point = plain(points::stop(unit), self.why_stop(id, &findings));
                let ended = self.suite.stopped.get(&id).copied();
                point.took =
                    ended.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(told));
                self.point(point);
            }
        }
        for (name, why) in [
            (points::ORPHANS, self.why_orphans(&findings)),
            (points::SESSIONS, left(&self.suite.sessions, "in a session of their own")),
            (points::ZOMBIES, left(&self.suite.zombie_names, "ended and not waited for")),
        ] {
            let why = why.filter(|_| findings.iter().any(|one| one.point(&graph) == name));
            self.point(plain(name.to_owned(), why));
        }
        for finding in &findings {
            if let Finding::Said(test) = finding {
                let lines = self.lines.said().filter(|(id, ..)| id == test);
                let lines: Vec<String> = lines
                    .map(|(_, unit, line)| format!("{} said {line:?}", graph.node(unit).unit.id()))
                    .collect();
                self.point(plain(points::log(&graph.node(*test).unit), Some(lines.join(", "))));
            }
        }
        let mut suite = Suite {
            name: nix::unistd::gethostname()
                .map_or_else(|_| "trc".to_owned(), |name| name.to_string_lossy().into_owned()),
            began: self.suite.wall,
            took: now().saturating_duration_since(self.suite.began),
            status,
            reason: (status != 0).then_some(cause),
            points: std::mem::take(&mut self.suite.points),
        };
        for report in std::mem::take(&mut self.suite.reports) {
            let text = match report.kind {
                ReportKind::Junit => selftest::junit(&suite),
                ReportKind::Json => selftest::json(&suite),
            };
            if let Err(why) = report.write(&text) {
                self.reporter.main(Level::Error, "report", format_args!("{why}"));
                // Whoever asked for it would take an old one for this one.
                status = status.max(1);
            }
        }
        suite.status = status;
        self.reporter.journal().report(selftest::tap::plan(&suite).as_bytes());
        status
    }

    fn has_run(&self, id: UnitId) -> bool {
        let ran = self.suite.stopped.contains_key(&id) || self.suite.told.contains_key(&id);
        ran || self.engine.ended(id).is_some()
    }

    fn why_run(&self, id: UnitId, findings: &[Finding]) -> Option<String> {
        let mut whys = Vec::new();
        if findings.contains(&Finding::Restarted(id)) {
            whys.push(match self.suite.restarts.get(&id) {
                Some((times @ 2.., last)) => {
                    format!("it was restarted {times} times, at last after it {last}")
                }
                Some((_, last)) => format!("it was restarted once, after it {last}"),
                None => "it was restarted".to_owned(),
            });
        }
        if findings.contains(&Finding::Ended(id))
            && let Some(ended) = self.engine.ended(id)
        {
            whys.push(format!("it {}", self.how_it_ended(id, ended)));
        }
        (!whys.is_empty()).then(|| whys.join(", and then "))
    }

    /// How a unit ended, after its name, with its last word where it failed by itself.
    fn how_it_ended(&self, id: UnitId, ended: Ended) -> String {
        let mut text = reason::ended(&self.engine, id, ended, &self.whys);
        if let (How::Process(_), true) = (ended.how, ended.failed()) {
            text.push_str(&self.last_output(id));
        }
        text
    }

    fn why_stop(&self, id: UnitId, findings: &[Finding]) -> Option<String> {
        let node = self.graph.node(id);
        let mut whys = Vec::new();
        if findings.contains(&Finding::StopCommand(id)) {
            whys.push("its stop command failed".to_owned());
        }
        if findings.contains(&Finding::Killed(id)) {
            let (timeout, signal) = (node.stop_timeout.as_secs_f64(), node.stop_signal);
            whys.push(match self.suite.left.get(&id) {
                Some(left) => {
                    format!("{} did not end and had to be killed", left.join(", "))
                }
                None => format!("it did not end within {timeout} s of {signal} and was killed"),
            });
        }
        (!whys.is_empty()).then(|| whys.join(", and "))
    }

    fn why_orphans(&self, findings: &[Finding]) -> Option<String> {
        let mut whys: Vec<String> = Vec::new();
        for finding in findings {
            if let Finding::Orphaned(id) = finding {
                let name = self.graph.node(*id).unit.id();
                let left = self.suite.left.get(id).map(|left| left.join(", "));
                whys.push(format!("{name} has left {}", left.unwrap_or_default()));
            }
        }
        whys.extend(left(&self.suite.orphans, "left when all units had ended"));
        (!whys.is_empty()).then(|| whys.join("; "))
    }
}

/// Why something was so, but not for long enough.
fn did_not_hold(checks: &[CheckPoint]) -> String {
    match checks.iter().find(|check| !check.passed) {
        Some(CheckPoint { name, found, .. }) => {
            let found = found.as_ref().map_or(String::new(), |it| format!("; found: {it}"));
            format!("it did not hold: {name}{found}")
        }
        None => "it held, but a unit was restarted meanwhile".to_owned(),
    }
}

fn left(names: &[String], how: &str) -> Option<String> {
    (!names.is_empty()).then(|| format!("{how}: {}", names.join(", ")))
}

/// A point of the drill: failed, if there is a reason.
fn plain(name: String, why: Option<String>) -> Point {
    Point {
        name,
        is_test: false,
        description: None,
        outcome: if why.is_some() { Outcome::Failed } else { Outcome::Passed },
        why,
        took: Duration::ZERO,
        checks: Vec::new(),
        tails: Vec::new(),
    }
}
