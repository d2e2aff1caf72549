//! Test points, which all reports are made of.
//!
//! These types are the JSON report, which trcctl reads. A missing key has its default, and an
//! unknown key is ignored, because the trc that wrote the report may have another version.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timeline::Timeline;
use super::{VERSION, json, millis};
use crate::text::harmless;

/// The result of a test point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// As expected.
    Passed,
    /// The test says that it could not decide, which is not a failure.
    Skipped,
    /// The test point failed, and a test allows that.
    Excused,
    /// The test never began, because the boot failed or a signal ended the run.
    NotRun,
    /// The test point failed. Results that this version does not know count as failures.
    #[default]
    #[serde(other)]
    Failed,
}

/// The kind of a test point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Test,
    /// An item of the stop drill.
    #[default]
    #[serde(other)]
    Drill,
}

/// A check of a test, with its result in the last attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CheckPoint {
    /// A description of what the check expects.
    pub name: String,
    pub passed: bool,
    /// What was found instead, if the check failed.
    pub found: Option<String>,
}

/// The last lines of output of a unit or a command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tail {
    /// The unit, `STAGE.NAME`; or `stdout` or `stderr`, for the command of a test.
    pub of: String,
    /// The lines, without newlines and control characters.
    pub lines: Vec<String>,
}

/// A test point: a test, or an item of the stop drill.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Point {
    /// `test.NAME`, or the name of an item of the stop drill: `async.web.stop`, `orphans`.
    pub name: String,
    /// Whether the test point is a test or an item of the stop drill.
    pub kind: Kind,
    /// The description, for people.
    pub description: Option<String>,
    /// The result.
    pub outcome: Outcome,
    /// The reason why the test point did not pass. Until [`Point::explained`] is called, it is set
    /// only if the checks do not give the reason.
    pub why: Option<String>,
    /// The test that allows the failure, `test.NAME`.
    pub allowed_by: Option<String>,
    /// The duration: of a test, from its first attempt on, without the time in which it waited for
    /// its units; of a test whose units did not come up, that time.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// The checks of the test.
    pub checks: Vec<CheckPoint>,
    /// If the test point failed, the last lines of the units concerned.
    #[serde(rename = "output")]
    pub tails: Vec<Tail>,
}

/// Something that no test is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Untested {
    /// `unit`, `port` or `restart`.
    pub kind: String,
    /// `STAGE.NAME`; of a port, the unit that listens, if trc knows it.
    pub unit: Option<String>,
    /// `NUMBER/tcp` or `NUMBER/udp`, for a port.
    pub port: Option<String>,
    /// The same as a sentence, for people.
    pub text: String,
}

/// The most findings that are listed in the advice on how to allow them.
const MOST_ALLOWED: usize = 10;

/// A whole test run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Suite {
    /// [`VERSION`].
    pub version: u32,
    /// The name of the suite, which is the same for every run, so that reports can be compared.
    pub name: String,
    /// The host name of the container.
    pub host: String,
    /// The time at which the run began, in UTC: `2017-03-16T20:40:50.007Z`.
    pub began: String,
    /// The duration of the run, including the stop and the halt units.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// trc's exit status.
    pub status: u8,
    /// Whether the exit status is 0.
    pub passed: bool,
    /// The reason for the exit status in one line, if the status is not 0.
    pub reason: Option<String>,
    /// The reports that could not be written, with the reasons.
    pub unwritten: Vec<String>,
    /// The numbers of test points by their results.
    pub counts: Counts,
    /// The units, ports and restarts that no test is about.
    pub untested: Vec<Untested>,
    /// The test points, in the order of their results.
    pub points: Vec<Point>,
    /// The states of the units over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
}

/// The numbers of test points by their results.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    /// As expected.
    pub passed: usize,
    /// Not as expected.
    pub failed: usize,
    /// Nothing to say.
    pub skipped: usize,
    /// Not as expected, and allowed.
    pub excused: usize,
    /// Tests that never began.
    pub not_run: usize,
}

impl Outcome {
    /// Returns whether this result makes the run fail.
    #[must_use]
    pub(crate) fn fails(self) -> bool {
        matches!(self, Self::Failed | Self::NotRun)
    }
}

impl Point {
    #[must_use]
    pub(crate) fn is_test(&self) -> bool {
        self.kind == Kind::Test
    }

    pub(crate) fn failed_checks(&self) -> impl Iterator<Item = &CheckPoint> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Returns the first check that failed, and the number of the others.
    fn said_by_checks(&self) -> Option<String> {
        let mut failed = self.failed_checks();
        let CheckPoint { name, found, .. } = failed.next()?;
        let found = found.as_ref().map_or(String::new(), |it| format!("; found: {it}"));
        Some(harmless(&match failed.count() {
            0 => format!("expected: {name}{found}"),
            more => format!("expected: {name}{found} (and {more} more)"),
        }))
    }

    /// Sets the reason why the test point did not pass, if the checks do not give it.
    #[must_use]
    pub(crate) fn why_beside_checks(&self) -> Option<&str> {
        self.why.as_deref().filter(|why| self.said_by_checks().as_deref() != Some(*why))
    }

    /// Returns the reason why the test point failed or did not run, in one line: `why`, or else the
    /// first check that failed.
    #[must_use]
    pub(crate) fn message(&self) -> String {
        let why = self.why.as_deref().map(harmless).or_else(|| self.said_by_checks());
        match (self.outcome, why) {
            (Outcome::NotRun, Some(why)) => format!("not run: {why}"),
            (Outcome::NotRun, None) => "not run".to_owned(),
            (_, Some(why)) => why,
            (_, None) => "not as expected".to_owned(),
        }
    }

    /// Fills in the reason wherever there has to be one, so that readers need not look at the
    /// checks.
    #[must_use]
    pub(crate) fn explained(mut self) -> Self {
        if matches!(self.outcome, Outcome::Failed | Outcome::Excused) && self.why.is_none() {
            self.why = Some(self.message());
        }
        self
    }
}

impl Suite {
    /// Creates a suite of these test points, with defaults for everything else.
    #[must_use]
    pub(crate) fn of(points: Vec<Point>) -> Self {
        let mut counts = Counts::default();
        for point in &points {
            *match point.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::Failed => &mut counts.failed,
                Outcome::Skipped => &mut counts.skipped,
                Outcome::Excused => &mut counts.excused,
                Outcome::NotRun => &mut counts.not_run,
            } += 1;
        }
        Self { version: VERSION, passed: true, counts, points, ..Self::default() }
    }

    /// Returns the suite without its test points.
    #[must_use]
    pub(crate) fn without_points(&self) -> Self {
        Self {
            name: self.name.clone(),
            host: self.host.clone(),
            began: self.began.clone(),
            reason: self.reason.clone(),
            unwritten: self.unwritten.clone(),
            untested: self.untested.clone(),
            points: Vec::new(),
            timeline: self.timeline.clone(),
            ..*self
        }
    }

    /// Sets the exit status and the reason.
    #[must_use]
    pub(crate) fn ended(self, status: u8, reason: Option<String>) -> Self {
        Self { status, passed: status == 0, reason, ..self }
    }

    /// Records that a report cannot be written, which makes the run fail.
    pub(crate) fn unwritten(&mut self, why: String) {
        (self.status, self.passed) = (self.status.max(1), false);
        self.reason = Some(match self.reason.take() {
            Some(before) => format!("{why}; {before}"),
            None => why.clone(),
        });
        self.unwritten.push(why);
    }

    /// Returns the reason why the run failed, if no test point did. A reader that looks only at the
    /// test points would otherwise take the run for a success.
    #[must_use]
    pub(crate) fn broken(&self) -> Option<String> {
        let told = self.points.iter().any(|point| point.outcome.fails());
        (self.status != 0 && !told).then(|| match &self.reason {
            Some(reason) => reason.clone(),
            None => format!("the run ended with status {}", self.status),
        })
    }

    /// Returns how a test allows what the stop drill has found, if it has found something.
    #[must_use]
    pub(crate) fn how_to_allow(&self) -> Option<String> {
        // Nothing allows a warning of trc.
        let is_found =
            |point: &&Point| !point.is_test() && point.outcome.fails() && point.name != "warnings";
        let found = self.points.iter().filter(is_found).take(MOST_ALLOWED);
        let names: Vec<String> = found.map(|point| json::line(&point.name)).collect();
        (!names.is_empty()).then(|| {
            harmless(&format!("a test can allow known findings: allow = [{}]", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, one_of_each, point, suite};
    use super::*;

    #[test]
    fn the_message_is_harmless() {
        let mut failed = point("test.a", Outcome::Failed);
        assert_eq!(failed.message(), "not as expected");
        failed.checks = vec![check("b", None), check("c", Some("d\ne"))];
        assert_eq!(failed.message(), "expected: c; found: d e");
        failed.checks.push(CheckPoint { name: "f".to_owned(), passed: false, found: None });
        assert_eq!(failed.message(), "expected: c; found: d e (and 1 more)");
        failed.checks.remove(1);
        assert_eq!(failed.message(), "expected: f");
        failed.why = Some("its unit is gone".to_owned());
        assert_eq!(failed.message(), "its unit is gone");
        failed.outcome = Outcome::NotRun;
        assert_eq!(failed.message(), "not run: its unit is gone");
    }

    #[test]
    fn why_is_told_once_where_the_checks_say_it() {
        let mut failed = point("test.a", Outcome::Failed);
        failed.checks = vec![check("b", Some("c\nd"))];
        let explained = failed.clone().explained();
        assert_eq!(explained.why.as_deref(), Some("expected: b; found: c d"));
        assert_eq!(explained.why_beside_checks(), None);
        failed.why = Some("its unit is gone".to_owned());
        assert_eq!(failed.clone().explained().why_beside_checks(), Some("its unit is gone"));
        assert_eq!(point("test.a", Outcome::Passed).explained().why, None);
    }

    #[test]
    fn a_failed_run_without_a_failed_point_is_broken() {
        let passed = || vec![point("test.a", Outcome::Passed)];
        assert_eq!(suite(0, passed()).broken(), None);
        assert_eq!(one_of_each().broken(), None);
        assert_eq!(suite(1, vec![point("test.a", Outcome::NotRun)]).broken(), None);
        let mut broken = suite(1, passed());
        assert_eq!(broken.broken().as_deref(), Some("the run ended with status 1"));
        broken.reason = Some("boot.a failed".to_owned());
        assert_eq!(broken.broken().as_deref(), Some("boot.a failed"));
    }

    #[test]
    fn each_outcome_is_counted() {
        let counts = Counts { passed: 1, failed: 1, skipped: 1, excused: 1, not_run: 1 };
        assert_eq!(one_of_each().counts, counts);
    }

    #[test]
    fn a_report_that_can_not_be_written_fails_the_run() {
        let mut suite = suite(0, vec![point("test.a", Outcome::Passed)]);
        suite.unwritten("no space".to_owned());
        suite.unwritten("no file".to_owned());
        assert_eq!((suite.status, suite.passed), (1, false));
        assert_eq!(suite.reason.as_deref(), Some("no file; no space"));
        assert_eq!(suite.unwritten, ["no space", "no file"]);
    }

    #[test]
    fn what_is_unknown_or_missing_is_no_error() {
        let text = r#"{"name":"x","news":[1],"points":[
            {"name":"test.a","kind":"test","outcome":"passed","more":{}},
            {"name":"test.b","kind":"test","outcome":"exploded","why":null}]}"#;
        let suite: Suite = serde_json::from_str(text).unwrap();
        assert_eq!((suite.status, suite.reason.as_deref()), (0, None));
        let outcomes: Vec<Outcome> = suite.points.iter().map(|point| point.outcome).collect();
        assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed]);
    }
}
