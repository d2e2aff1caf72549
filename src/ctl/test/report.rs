//! trc's report of a test run, as `--report json=FILE` writes it.
//!
//! Read leniently: what another trc says more or less than this one is no error.

use serde::Deserialize;

/// The whole run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    /// How long it took.
    pub took_ms: f64,
    /// trc's exit status.
    pub status: i32,
    /// Why, where that is not 0.
    pub reason: Option<String>,
    /// Whether another report could not be written.
    #[serde(skip)]
    pub lost: bool,
    /// What was looked at, in this order.
    pub points: Vec<Point>,
}

/// A test, or what the stop drill has looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    /// `test.NAME`, `async.web.stop`, `orphans` …
    pub name: String,
    /// `test` or `drill`.
    pub kind: String,
    /// For people.
    pub description: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
    /// Why it failed or was skipped.
    pub why: Option<String>,
    /// The test that excuses it.
    pub allowed_by: Option<String>,
    /// How long it took.
    pub took_ms: f64,
    /// Each thing that a test expects.
    pub checks: Vec<Check>,
    /// The last lines of the units concerned.
    pub output: Vec<Output>,
}

/// What a point came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// As expected.
    Passed,
    /// It has nothing to say.
    Skipped,
    /// Not as expected, which a test allows.
    Excused,
    /// Not as expected; and whatever is not known here.
    #[default]
    #[serde(other)]
    Failed,
}

/// One thing that is expected.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Check {
    /// What, in words.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What came instead.
    pub found: Option<String>,
}

/// What something said last.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    /// A unit, or `stdout` or `stderr` of the test's command.
    pub of: String,
    /// Without their newlines.
    pub lines: Vec<String>,
}

impl Report {
    /// From JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// How trc ended after all, and which reports it could not write: then this one may say
    /// that all was well, for it was written before.
    pub(super) fn ended(&mut self, status: u8, unwritten: Option<&str>) {
        self.status = status.into();
        self.lost = unwritten.is_some();
        if let Some(why) = unwritten {
            self.reason = Some(why.to_owned());
        }
    }

    /// Whether trc's status has another reason than what the points tell: a signal, a boot that
    /// failed, a report that could not be written.
    #[must_use]
    pub(super) fn is_cut_short(&self) -> bool {
        let failed = self.points.iter().any(|point| point.outcome == Outcome::Failed);
        self.status != 0 && (!failed || self.lost || self.tests().any(Point::not_run))
    }

    /// The tests, in the order in which they ran.
    pub(super) fn tests(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.is_test())
    }

    /// What the stop drill has looked at.
    pub(super) fn drill(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| !point.is_test())
    }
}

impl Point {
    /// Whether it is a test, and not of the stop drill.
    #[must_use]
    pub(super) fn is_test(&self) -> bool {
        self.kind == "test"
    }

    /// Whether it is a test whose turn never came.
    #[must_use]
    pub(super) fn not_run(&self) -> bool {
        self.is_test() && self.why.as_deref().is_some_and(|why| why.starts_with("not run"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_or_missing_is_no_error() {
        let text = r#"{"name":"x","news":[1],"points":[
            {"name":"test.a","kind":"test","outcome":"passed","more":{}},
            {"name":"test.b","kind":"test","outcome":"exploded","why":null}]}"#;
        let report = Report::parse(text).unwrap();
        assert_eq!((report.status, report.reason.as_deref()), (0, None));
        let outcomes: Vec<Outcome> = report.points.iter().map(|point| point.outcome).collect();
        assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed]);
        assert!(Report::parse("").is_err());
    }
}
