//! The points of the stop drill, and the end of a test run, when all reports are written.

use std::rc::Rc;
use std::time::Duration;

use super::{Drill, Run, flaws};
use crate::config::{ReportKind, Stage};
use crate::engine::{Cause, Finding, Late, Stopped, TestEnd};
use crate::graph::{UnitId, points};
use crate::record::timeline;
use crate::report::{self, CheckPoint, Kind, Outcome, Point, Suite};
use crate::run::os::clock::now;
use crate::run::stream::flush_deadline;
use crate::run::testing::Report;
use crate::words::Flaw;

/// The name of the test suite in reports.
const SUITE: &str = "trc";

impl Drill {
    /// Makes the points of tests that did not run and those of the stop drill, and writes all
    /// reports. Returns trc's exit status.
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
                point.why = Some(Flaw::CutShort(cause.clone()).to_string());
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
            // trc may have had to kill leftovers of other units, and units that it never stopped.
            let why = self.why_stop(run, id, &findings);
            if told.is_some() && serves || why.is_some() {
                let mut point = plain(points::stop(unit), why);
                let ended = self.stopped.get(&id).copied();
                point.took = ended
                    .zip(told)
                    .map_or(Duration::ZERO, |(ended, told)| ended.saturating_duration_since(told));
                self.point(run, point);
            }
            if let Some(why) = self.post_stops.get(&id) {
                let why = why.clone().filter(|_| findings.contains(&Finding::PostStop(id)));
                let mut point = plain(points::post_stop(unit), why);
                if point.outcome == Outcome::Failed {
                    point.tails = self.tails(run, &[id]);
                }
                self.point(run, point);
            }
        }
        let tested = run.engine().reason().is_some_and(|reason| reason.cause == Cause::Tested);
        let passed: Vec<UnitId> =
            run.engine().tests_with(TestEnd::Passed).filter(|_| tested).collect();
        for id in passed {
            self.report_stops(run, id);
            self.report_after_stop(run, id);
        }
        for (name, why) in [
            (points::ORPHANS, self.why_orphans(&findings)),
            (points::SESSIONS, self.why_sessions(&findings)),
            (points::ZOMBIES, flaws::left(&self.zombie_names, Flaw::Zombies)),
        ] {
            let why = Flaw::all(why, "; ")
                .filter(|_| findings.iter().any(|one| one.point(&graph) == name));
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
                    let name = |unit| graph.node(unit).unit.id();
                    let lines = lines.map(|(_, unit, line)| (name(unit), line.to_owned()));
                    (points::log(unit), Some(Flaw::Printed(lines.collect())))
                }
                Late::Used => (points::max_rss(unit), self.used_too_much(*test)),
                // It has a point in any case.
                Late::Left => continue,
            };
            self.point(run, plain(name, why.map(|flaw| flaw.to_string())));
        }
        let warnings = run.journal().warnings();
        let mut status = status;
        if graph.strict {
            let why = (!warnings.is_empty()).then(|| warnings.join("; "));
            status = status.max(u8::from(why.is_some()));
            self.point(run, plain(points::WARNINGS.to_owned(), why));
        }
        let told = self.say_until(run, flush_deadline(), Self::say_points);
        let took = now().saturating_duration_since(self.began);
        let mut suite = Suite {
            name: SUITE.to_owned(),
            host: nix::unistd::gethostname()
                .map_or_else(|_| "trc".to_owned(), |name| name.to_string_lossy().into_owned()),
            began: report::moment(self.wall),
            took,
            untested: self.untested(),
            timeline: Some(timeline(run.engine(), took, true)),
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

    /// Makes the point for how the units that a test is about stopped, if the test says how they
    /// should.
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
                let wrong = match run.engine().stopped(id) {
                    None => Some(Flaw::DidNotStop),
                    Some(Stopped { status, after }) if expected.holds(status, after) => None,
                    Some(Stopped { status, after }) => Some(Flaw::StoppedWith(status, after)),
                };
                let found = wrong.map(|flaw| flaw.to_string());
                CheckPoint { name: format!("{name} {expected}"), passed: found.is_none(), found }
            })
            .collect();
        let failed = checks.is_empty() || checks.iter().any(|check| !check.passed);
        let nobody = Flaw::StoppedNone.to_string();
        let mut point = plain(points::stop(&graph.node(test).unit), failed.then_some(nobody));
        if !checks.is_empty() {
            point.why = None;
        }
        point.checks = checks;
        self.point(run, point);
    }

    /// Makes the point for the checks of a test that were made when everything had stopped.
    fn report_after_stop(&mut self, run: &mut dyn Run, test: UnitId) {
        let graph = Rc::clone(&self.graph);
        if graph.node(test).test().is_none_or(|test| test.after_stop.is_empty()) {
            return;
        }
        let checks = self.after_stop.remove(&test).unwrap_or_default();
        let why = checks.is_empty().then(|| Flaw::NotLooked.to_string());
        let mut point = plain(points::after_stop(&graph.node(test).unit), why);
        if checks.iter().any(|check| !check.passed) {
            point.outcome = Outcome::Failed;
        }
        point.checks = checks;
        self.point(run, point);
    }

    /// Makes the point for the duration of the whole stop, halt units included.
    fn report_shutdown(&mut self, run: &mut dyn Run, findings: &[Finding]) {
        let took = self.stopping.map(|since| now().saturating_duration_since(since));
        let why = findings.contains(&Finding::Slow).then(|| {
            let (grace, written) = (self.graph.grace, self.limited);
            Flaw::Slow { took: took.unwrap_or_default(), grace, written }.to_string()
        });
        let mut point = plain(points::SHUTDOWN.to_owned(), why);
        point.took = took.unwrap_or_default();
        self.point(run, point);
    }

    /// Writes the end of standard output. trc does not wait for a reader that has not read the
    /// points.
    fn say_plan(&mut self, run: &mut dyn Run, suite: &mut Suite, lost: bool) {
        let plan = self.live.end(suite);
        let until = if lost { now() } else { flush_deadline() };
        let told = self.say_until(run, until, |_, run| run.journal().report(plan.as_bytes()));
        if let (Err(why), false) = (told, lost) {
            self.cannot_write(suite, why);
        }
    }

    /// Writes all report files. A report that cannot be written fails the run, because whoever
    /// asked for it would take an old file for it.
    fn write_reports(&mut self, suite: &mut Suite) {
        let mut reports = std::mem::take(&mut self.reports);
        let wanted = reports.len();
        let can_be_rewritten = |report: &Report| !report.is_final();
        self.write_some(&mut reports, suite, can_be_rewritten);
        self.write_some(&mut reports, suite, Report::is_final);
        if reports.len() < wanted {
            // If one failed, the others are written once more, to say so.
            self.write_some(&mut reports, suite, can_be_rewritten);
        }
        for report in reports {
            let text = text_of(report.kind, suite);
            if let Err(why) = report.publish(&text) {
                self.cannot_write(suite, why);
            }
        }
    }

    /// Writes the reports that `which` selects, and removes from the list those that could not be
    /// written.
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
}

fn text_of(kind: ReportKind, suite: &Suite) -> String {
    match kind {
        ReportKind::Junit => report::junit(suite),
        ReportKind::Json => report::json(suite),
    }
}

/// Returns a point of the drill, which has failed if there is a reason.
fn plain(name: String, why: Option<String>) -> Point {
    Point {
        name,
        outcome: if why.is_some() { Outcome::Failed } else { Outcome::Passed },
        why,
        ..Point::default()
    }
}
