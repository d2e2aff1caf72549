//! Test points: all reports are made of these.
//!
//! These types are the JSON report, and what trcctl reads. A key that is missing has its default,
//! and one that is not known is ignored: the trc that wrote them may be of another version.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{VERSION, millis};
use crate::text::harmless;

/// What a test point came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// As expected.
    Passed,
    /// Nothing was found out, which is no failure: the test says so itself.
    Skipped,
    /// Not as expected, which a test allows.
    Excused,
    /// A test that never began: the boot failed, a signal ended the run.
    NotRun,
    /// Not as expected; and whatever is not known here.
    #[default]
    #[serde(other)]
    Failed,
}

/// What a point is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A test.
    Test,
    /// The stop drill.
    #[default]
    #[serde(other)]
    Drill,
}

/// One thing that a test expects, as it came out in the last try.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CheckPoint {
    /// What is expected, in words.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What came instead, where it did not.
    pub found: Option<String>,
}

/// The last lines of a unit concerned.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tail {
    /// The unit, `STAGE.NAME`; or what it is of a test's command, `stdout` or `stderr`.
    pub of: String,
    /// Without their newlines, and without control characters.
    pub lines: Vec<String>,
}

/// One point: a test, or something that the stop drill has looked at.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Point {
    /// `test.NAME`, or a point of the drill: `async.web.stop`, `orphans`.
    pub name: String,
    /// Which of the two.
    pub kind: Kind,
    /// For people.
    pub description: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Why it has not passed. Until [`Point::explained`], only where its checks don't say it.
    pub why: Option<String>,
    /// The test that excuses it, `test.NAME`.
    pub allowed_by: Option<String>,
    /// How long it took, without waiting for its turn.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// Each thing that it expects.
    pub checks: Vec<CheckPoint>,
    /// What units concerned said last, where it failed.
    #[serde(rename = "output")]
    pub tails: Vec<Tail>,
}

/// A whole test run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Suite {
    /// [`VERSION`].
    pub version: u32,
    /// The same for every run, so that reports of two runs can be compared.
    pub name: String,
    /// The container's host name.
    pub host: String,
    /// When it began, in UTC: `2017-03-16T20:40:50.007Z`.
    pub began: String,
    /// How long it took, the stop and the halt units included.
    #[serde(rename = "took_ms", with = "millis")]
    pub took: Duration,
    /// trc's exit status.
    pub status: u8,
    /// Whether that is 0.
    pub passed: bool,
    /// Why it ended as it did, in one line, where the status is not 0.
    pub reason: Option<String>,
    /// The reports that could not be written, and why.
    pub unwritten: Vec<String>,
    /// How many points came to what.
    pub counts: Counts,
    /// All points in the order in which they came.
    pub points: Vec<Point>,
}

/// How many points came to what.
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
    /// Whether it fails the run.
    #[must_use]
    pub(crate) fn fails(self) -> bool {
        matches!(self, Self::Failed | Self::NotRun)
    }
}

impl Point {
    /// Whether it is a test, and not of the stop drill.
    #[must_use]
    pub(crate) fn is_test(&self) -> bool {
        self.kind == Kind::Test
    }

    /// The expectations that did not hold.
    pub(crate) fn failed_checks(&self) -> impl Iterator<Item = &CheckPoint> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// The first check that did not hold, and how many more there are.
    fn said_by_checks(&self) -> Option<String> {
        let mut failed = self.failed_checks();
        let CheckPoint { name, found, .. } = failed.next()?;
        let found = found.as_ref().map_or(String::new(), |it| format!("; found: {it}"));
        Some(harmless(&match failed.count() {
            0 => format!("expected: {name}{found}"),
            more => format!("expected: {name}{found} (and {more} more)"),
        }))
    }

    /// Why it has not passed, where its checks don't say that.
    #[must_use]
    pub(crate) fn why_beside_checks(&self) -> Option<&str> {
        self.why.as_deref().filter(|why| self.said_by_checks().as_deref() != Some(*why))
    }

    /// Why it failed or did not run, in one line: what stands in `why`, or else the first check
    /// that did not hold.
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

    /// With a reason wherever there has to be one, so that a reader finds it without looking at
    /// the checks.
    #[must_use]
    pub(crate) fn explained(mut self) -> Self {
        if matches!(self.outcome, Outcome::Failed | Outcome::Excused) && self.why.is_none() {
            self.why = Some(self.message());
        }
        self
    }
}

impl Suite {
    /// Of these points, all else as it is by default.
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

    /// All but the points.
    #[must_use]
    pub(crate) fn without_points(&self) -> Self {
        Self {
            name: self.name.clone(),
            host: self.host.clone(),
            began: self.began.clone(),
            reason: self.reason.clone(),
            unwritten: self.unwritten.clone(),
            points: Vec::new(),
            ..*self
        }
    }

    /// It ends with this status, for this reason.
    #[must_use]
    pub(crate) fn ended(self, status: u8, reason: Option<String>) -> Self {
        Self { status, passed: status == 0, reason, ..self }
    }

    /// A report can't be written, which fails the run.
    pub(crate) fn unwritten(&mut self, why: String) {
        (self.status, self.passed) = (self.status.max(1), false);
        self.reason = Some(match self.reason.take() {
            Some(before) => format!("{why}; {before}"),
            None => why.clone(),
        });
        self.unwritten.push(why);
    }

    /// Why it failed, where no point did: who reads only the points would take such a
    /// run for one that passed.
    #[must_use]
    pub(crate) fn broken(&self) -> Option<String> {
        let told = self.points.iter().any(|point| point.outcome.fails());
        (self.status != 0 && !told).then(|| match &self.reason {
            Some(reason) => reason.clone(),
            None => format!("the run ended with status {}", self.status),
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
