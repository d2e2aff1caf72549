//! Test points: all reports are made of these.

use std::time::{Duration, SystemTime};

/// What a test point came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// It says itself that it has nothing to say, and why.
    Skipped(String),
    /// Not as expected, which this test, `test.NAME`, allows.
    Excused(String),
}

/// One thing that a test expects, as it came out in the last try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CheckPoint {
    /// What is expected, in words.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What came instead, where it did not.
    pub found: Option<String>,
}

/// The last lines of a unit concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tail {
    /// The unit, `STAGE.NAME`; or what it is of a test's command, `stdout` or `stderr`.
    pub of: String,
    /// Without their newlines, and without control characters.
    pub lines: Vec<String>,
}

/// One point: a test, or something that the stop drill has looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Point {
    /// `test.NAME`, or a point of the drill: `async.web.stop`, `orphans`.
    pub name: String,
    /// Whether it is a test, and not of the drill.
    pub is_test: bool,
    /// For people.
    pub description: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Why it failed, in one line, where its checks don't say it.
    pub why: Option<String>,
    /// How long it took, without waiting for its turn.
    pub took: Duration,
    /// Each thing that it expects.
    pub checks: Vec<CheckPoint>,
    /// What units concerned said last, where it failed.
    pub tails: Vec<Tail>,
}

/// A whole test run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Suite {
    /// The same for every run, so that reports of two runs can be compared.
    pub name: String,
    /// The container's host name.
    pub host: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took, the stop and the halt units included.
    pub took: Duration,
    /// trc's exit status.
    pub status: u8,
    /// Why it ended as it did, in one line, where the status is not 0.
    pub reason: Option<String>,
    /// All points in the order in which they came.
    pub points: Vec<Point>,
}

/// How many points came to what.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Counts {
    /// As expected.
    pub passed: usize,
    /// Not as expected.
    pub failed: usize,
    /// Nothing to say.
    pub skipped: usize,
    /// Not as expected, and allowed.
    pub excused: usize,
}

impl Point {
    /// The expectations that did not hold.
    pub(crate) fn failed_checks(&self) -> impl Iterator<Item = &CheckPoint> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Why it failed, in one line: what stands in `why`, or else the first check that
    /// did not hold.
    #[must_use]
    pub(crate) fn message(&self) -> String {
        let mut failed = self.failed_checks();
        let message = match (&self.why, failed.next()) {
            (Some(why), _) => why.clone(),
            (None, None) => "not as expected".to_owned(),
            (None, Some(CheckPoint { name, found, .. })) => {
                let found = found.as_ref().map_or(String::new(), |it| format!("; found: {it}"));
                match failed.count() {
                    0 => format!("expected: {name}{found}"),
                    more => format!("expected: {name}{found} (and {more} more)"),
                }
            }
        };
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

impl Suite {
    /// How many points came to what.
    #[must_use]
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for point in &self.points {
            *match point.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::Failed => &mut counts.failed,
                Outcome::Skipped(_) => &mut counts.skipped,
                Outcome::Excused(_) => &mut counts.excused,
            } += 1;
        }
        counts
    }

    /// Why it failed, where no point did: who reads only the points would take such a
    /// run for one that passed.
    #[must_use]
    pub(crate) fn broken(&self) -> Option<String> {
        (self.status != 0 && self.counts().failed == 0).then(|| match &self.reason {
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
    fn the_message_is_one_line() {
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
    }

    #[test]
    fn a_failed_run_without_a_failed_point_is_broken() {
        let passed = || vec![point("test.a", Outcome::Passed)];
        assert_eq!(suite(0, passed()).broken(), None);
        assert_eq!(one_of_each().broken(), None);
        let mut broken = suite(1, passed());
        assert_eq!(broken.broken().as_deref(), Some("the run ended with status 1"));
        broken.reason = Some("boot.a failed".to_owned());
        assert_eq!(broken.broken().as_deref(), Some("boot.a failed"));
    }

    #[test]
    fn each_outcome_is_counted() {
        let counts = Counts { passed: 1, failed: 1, skipped: 1, excused: 1 };
        assert_eq!(one_of_each().counts(), counts);
    }
}
