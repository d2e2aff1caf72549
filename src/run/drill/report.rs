//! The points of the stop drill, and the end of a test run: all reports.

use std::rc::Rc;
use std::time::Duration;

use super::{Drill, Run};
use crate::config::{ReportKind, Stage, seconds};
use crate::engine::{Cause, Ended, Ending, Finding, How, Lack, Late, Purpose, Stopped, TestEnd};
use crate::graph::{UnitId, points};
use crate::report::{self, CheckPoint, Kind, Outcome, Point, Suite};
use crate::run::os::clock::now;
use crate::run::stream::flush_deadline;
use crate::run::testing::Report;
use crate::words::{self, reason};

/// The name of the suite in reports.
const SUITE: &str = "trc";

impl Drill {
    /// The points of tests that did not run and of the stop drill, and all reports. Returns
    /// trc's exit status.
    pub(crate) fn report(&mut self, run: &mut dyn Run, status: u8) -> u8 {
        let graph = Rc::clone(&self.graph);
        let cause = run.reason();
        for id in graph.stage(Stage::Test) {
            if run.engine().ended(id).is_some() {
                continue;
            }
            let mut point = plain(graph.node(id).unit.id(), Some(cause.clone()));
            (point.kind, point.outcome) = (Kind::Test, Outcome::NotRun);
            if let Some(began) = self.tests.get(&id) {
                point.took = now().saturating_duration_since(*began);
                point.outcome = Outcome::Failed;
                point.why = Some(format!("cut short: {cause}"));
                let tried = self.tried.remove(&id).unwrap_or_default();
                (point.checks, point.tails) = (tried.points, tried.tails);
            }
            point.description.clone_from(&graph.node(id).unit.description);
            self.point(run, point);
        }
        let findings = run.engine().findings().to_vec();
        for id in graph.ids() {
            let unit = &graph.node(id).unit;
            if unit.stage == Stage::Test {
                continue;
            }
            let why = self.why_run(run, id, &findings);
            if self.has_run(run, id) || why.is_some() {
                let mut point = plain(points::run(unit), why);
                if point.outcome == Outcome::Failed {
                    point.tails = self.tails(run, &[id]);
                }
                self.point(run, point);
            }
            let told = self.told.get(&id).copied();
            let serves = matches!(unit.stage, Stage::Async | Stage::Sync);
            // The leftovers of others may have had to be killed, and so may units that trc never stopped.
            let why = self.why_stop(run, id, &findings);
            if told.is_some() && serves || why.is_some() {
                let mut point = plain(points::stop(unit), why);
                let ended = self.stopped.get(&id).copied();
                point.took = ended
                    .zip(told)
                    .map_or(Duration::ZERO, |(ended, told)| ended.saturating_duration_since(told));
                self.point(run, point);
            }
        }
        let tested = run.engine().reason().is_some_and(|reason| reason.cause == Cause::Tested);
        let passed: Vec<UnitId> =
            run.engine().tests_with(TestEnd::Passed).filter(|_| tested).collect();
        for id in passed {
            self.report_stops(run, id);
        }
        for (name, why) in [
            (points::ORPHANS, {
                let others = left(&self.orphans, "still running when all units had ended");
                self.why_left(&findings, Finding::Orphaned, others)
            }),
            (points::SESSIONS, {
                let others = left(&self.sessions, "still running in a session of their own");
                self.why_left(&findings, Finding::Escaped, others)
            }),
            (
                points::ZOMBIES,
                left(&self.zombie_names, "zombies that their parents have not reaped"),
            ),
        ] {
            let why = why.filter(|_| findings.iter().any(|one| one.point(&graph) == name));
            self.point(run, plain(name.to_owned(), why));
        }
        self.report_shutdown(run, &findings);
        if findings.contains(&Finding::OomKilled) {
            self.point(run, plain(points::OOM.to_owned(), Some(self.oom.join("; "))));
        }
        for finding in &findings {
            let Finding::Late(test, late) = finding else { continue };
            let unit = &graph.node(*test).unit;
            let (name, why) = match late {
                Late::Said => {
                    let lines = self.lines.said().filter(|(id, ..)| id == test);
                    let lines: Vec<String> = lines
                        .map(|(_, unit, line)| {
                            format!("{} printed the line {line:?}", graph.node(unit).unit.id())
                        })
                        .collect();
                    (points::log(unit), Some(lines.join(", ")))
                }
                Late::Used => (points::max_rss(unit), self.used_too_much(*test)),
            };
            self.point(run, plain(name, why));
        }
        let warnings = run.journal().warnings();
        let mut status = status;
        if graph.strict {
            let why = (!warnings.is_empty()).then(|| warnings.join("; "));
            status = status.max(u8::from(why.is_some()));
            self.point(run, plain(points::WARNINGS.to_owned(), why));
        }
        let told = self.say_until(run, flush_deadline(), Self::say_points);
        let mut suite = Suite {
            name: SUITE.to_owned(),
            host: nix::unistd::gethostname()
                .map_or_else(|_| "trc".to_owned(), |name| name.to_string_lossy().into_owned()),
            began: report::moment(self.wall),
            took: now().saturating_duration_since(self.began),
            ..Suite::of(std::mem::take(&mut self.points))
        };
        let reason = (status != 0).then(|| match warnings.first().filter(|_| graph.strict) {
            Some(first) => format!("{cause}; trc warned: {first}"),
            None => cause,
        });
        suite = suite.ended(status, reason);
        let lost = told.map_err(|why| self.cannot_write(&mut suite, why)).is_err();
        self.write_reports(&mut suite);
        self.say_plan(run, &mut suite, lost);
        suite.status
    }

    /// Whether the units that a test is about stopped as the test expects, if it says how.
    fn report_stops(&mut self, run: &mut dyn Run, test: UnitId) {
        let graph = Rc::clone(&self.graph);
        let Some(expected) = graph.node(test).test().map(|test| &test.stop) else { return };
        if !expected.is_written() {
            return;
        }
        let checks: Vec<CheckPoint> = graph
            .told_by(test)
            .map(|id| {
                let name = graph.node(id).unit.id();
                let (passed, found) = match run.engine().stopped(id) {
                    None => (false, "trc did not stop it".to_owned()),
                    Some(Stopped { status, after: took }) => {
                        let after = match took {
                            Some(after) => format!("after {:.3} s", after.as_secs_f64()),
                            None => "when it was killed".to_owned(),
                        };
                        let found = format!("it exited with {status} {after}");
                        (expected.holds(status, took), found)
                    }
                };
                let found = (!passed).then_some(found);
                CheckPoint { name: format!("{name} {expected}"), passed, found }
            })
            .collect();
        let failed = checks.is_empty() || checks.iter().any(|check| !check.passed);
        let nobody = "trc stopped none of the units that the test is about".to_owned();
        let mut point = plain(points::stop(&graph.node(test).unit), failed.then_some(nobody));
        if !checks.is_empty() {
            point.why = None;
        }
        point.checks = checks;
        self.point(run, point);
    }

    /// How long the whole stop has taken, the halt units included.
    fn report_shutdown(&mut self, run: &mut dyn Run, findings: &[Finding]) {
        let took = self.stopping.map(|since| now().saturating_duration_since(since));
        let grace = self.graph.grace.as_secs_f64();
        let why = findings.contains(&Finding::Slow).then(|| {
            let limit = if self.limited {
                format!("shutdown.timeout is {grace} s")
            } else {
                format!("docker sends SIGKILL after {grace} s")
            };
            format!(
                "stopping took {:.1} s, but {limit}: make the stop faster, or give the containers \
                 more time (`docker run --stop-timeout`) and set shutdown.timeout accordingly",
                took.unwrap_or_default().as_secs_f64()
            )
        });
        let mut point = plain(points::SHUTDOWN.to_owned(), why);
        point.took = took.unwrap_or_default();
        self.point(run, point);
    }

    /// The end of what standard output gets. Nobody is waited for who has not read the points.
    fn say_plan(&mut self, run: &mut dyn Run, suite: &mut Suite, lost: bool) {
        let plan = self.live.end(suite);
        let until = if lost { now() } else { flush_deadline() };
        let told = self.say_until(run, until, |_, run| run.journal().report(plan.as_bytes()));
        if let (Err(why), false) = (told, lost) {
            self.cannot_write(suite, why);
        }
    }

    /// All reports in files. One that can't be written fails the run: whoever asked for it would
    /// take an old one for this one.
    fn write_reports(&mut self, suite: &mut Suite) {
        let mut reports = std::mem::take(&mut self.reports);
        let wanted = reports.len();
        let can_be_rewritten = |report: &Report| !report.is_final();
        self.write_some(&mut reports, suite, can_be_rewritten);
        self.write_some(&mut reports, suite, Report::is_final);
        if reports.len() < wanted {
            // Once more where one failed, for the others are to say so.
            self.write_some(&mut reports, suite, can_be_rewritten);
        }
        for report in reports {
            let text = text_of(report.kind, suite);
            if let Err(why) = report.publish(&text) {
                self.cannot_write(suite, why);
            }
        }
    }

    /// Writes those that `which` says, and leaves only the ones in that could be written.
    fn write_some(
        &mut self,
        reports: &mut Vec<Report>,
        suite: &mut Suite,
        which: impl Fn(&Report) -> bool,
    ) {
        reports.retain_mut(|report| {
            if !which(report) {
                return true;
            }
            let written = report.write(&text_of(report.kind, suite));
            written.map_err(|why| self.cannot_write(suite, why)).is_ok()
        });
    }

    fn has_run(&self, run: &dyn Run, id: UnitId) -> bool {
        let ran = self.stopped.contains_key(&id) || self.told.contains_key(&id);
        ran || run.engine().ended(id).is_some()
    }

    fn why_run(&self, run: &dyn Run, id: UnitId, findings: &[Finding]) -> Option<String> {
        let mut whys = Vec::new();
        if findings.contains(&Finding::Restarted(id)) {
            whys.push(match self.restarts.get(&id) {
                Some((times @ 2.., last)) => {
                    format!("it was restarted {times} times, the last time after it {last}")
                }
                Some((_, last)) => format!("it was restarted once, after it {last}"),
                None => "it was restarted".to_owned(),
            });
        }
        if findings.contains(&Finding::Ended(id))
            && let Some(ended) = run.engine().ended(id)
        {
            // If it was not ready, or unhealthy, trc stopped it because of that.
            let told = self.told.contains_key(&id) && matches!(ended.how, How::Process(_));
            let when = if told { "when trc stopped it, it " } else { "it " };
            // The session that it left is a point of its own, and this is its cause.
            let daemon = run.engine().findings().contains(&Finding::Escaped(id));
            let help = match ended.how {
                How::Process(Ending::Code(0)) if daemon && !told => {
                    "; it put itself into the background: let it run in the foreground, as \
                     `nginx -g 'daemon off;'` does"
                }
                _ if told => "",
                _ => words::reason::meant_to_run(&self.graph, id, ended).unwrap_or_default(),
            };
            whys.push(format!("{when}{}{help}", how_it_ended(run, id, ended)));
        }
        for finding in findings {
            if let Finding::NotUp(unit, lack) = finding
                && *unit == id
            {
                whys.push(self.why_not_up(run, id, *lack));
            }
        }
        if findings.contains(&Finding::CutShort(id)) {
            whys.push("there was no time left to run it".to_owned());
        }
        (!whys.is_empty()).then(|| whys.join(", and then "))
    }

    /// What a unit lacked when the tests had finished, and why as far as trc knows.
    fn why_not_up(&self, run: &dyn Run, id: UnitId, lack: Lack) -> String {
        let why = match lack {
            Lack::NotReady => {
                words::not_up(&self.graph, id, Purpose::Ready, run.engine().known(id))
            }
            Lack::NeverStarted | Lack::NotBack => {
                let unmet = self.unmet.get(&id).map(|other| self.graph.node(*other).unit.id());
                unmet.map(|other| format!("it waits for {other}"))
            }
            Lack::StillRuns => None,
        };
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        match lack {
            Lack::NeverStarted => format!("it was never started{why}"),
            Lack::NotReady => format!("it was not ready when the tests had finished{why}"),
            Lack::NotBack => format!("it was not up again when the tests had finished{why}"),
            Lack::StillRuns => {
                "it is a one-shot, but had not exited when the tests had finished".to_owned()
            }
        }
    }

    fn why_stop(&self, run: &dyn Run, id: UnitId, findings: &[Finding]) -> Option<String> {
        let node = self.graph.node(id);
        let mut whys = Vec::new();
        if findings.contains(&Finding::StopCommand(id)) {
            whys.push("its stop command failed".to_owned());
        }
        if findings.contains(&Finding::StopStatus(id))
            && let Some(Stopped { status, .. }) = run.engine().stopped(id)
        {
            let how = match run.engine().ended(id).map(|ended| ended.how) {
                Some(How::Process(Ending::Signal(signal))) => format!("was killed by {signal}"),
                _ => format!("exited with {status}"),
            };
            whys.push(format!("when trc stopped it, it {how}{}", run.last_output(id)));
        }
        if findings.contains(&Finding::Killed(id)) {
            let (timeout, signal) = (seconds(node.stop_timeout), node.stop_signal);
            whys.push(match self.left.get(&id) {
                Some(left) => {
                    format!("{left} did not exit and had to be killed")
                }
                None if !self.told.contains_key(&id) => {
                    "there was no time left to stop it".to_owned()
                }
                None => format!("it did not exit within {timeout} of {signal} and was killed"),
            });
        }
        (!whys.is_empty()).then(|| whys.join(", and "))
    }

    /// Which units have left processes of some kind, and which processes trc only found at the end.
    fn why_left(
        &self,
        findings: &[Finding],
        kind: fn(UnitId) -> Finding,
        others: Option<String>,
    ) -> Option<String> {
        let mut whys: Vec<String> = Vec::new();
        for id in self.graph.ids().filter(|id| findings.contains(&kind(*id))) {
            let name = self.graph.node(id).unit.id();
            let left = self.left.get(&id).cloned();
            let left = left.unwrap_or_default();
            whys.push(match kind(id) {
                Finding::Escaped(_) => {
                    format!("{name} left {left} running in a session of its own")
                }
                _ => format!("{name} left {left} running"),
            });
        }
        whys.extend(others);
        (!whys.is_empty()).then(|| whys.join("; "))
    }
}

/// How a unit ended, after its name, with its last word where it failed by itself.
pub(super) fn how_it_ended(run: &dyn Run, id: UnitId, ended: Ended) -> String {
    let mut text = reason::ended(run.engine(), id, ended);
    if let (How::Process(_), true) = (ended.how, ended.failed()) {
        text.push_str(&run.last_output(id));
    }
    text
}

fn text_of(kind: ReportKind, suite: &Suite) -> String {
    match kind {
        ReportKind::Junit => report::junit(suite),
        ReportKind::Json => report::json(suite),
    }
}

fn left(names: &str, how: &str) -> Option<String> {
    (!names.is_empty()).then(|| format!("{how}: {names}"))
}

/// A point of the drill: failed, if there is a reason.
fn plain(name: String, why: Option<String>) -> Point {
    Point {
        name,
        outcome: if why.is_some() { Outcome::Failed } else { Outcome::Passed },
        why,
        ..Point::default()
    }
}
