//! Test points: all reports are made of these.

use std::time::{Duration, SystemTime};

/// What a test point came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// It says itself that it has nothing to say, and why.
    Skipped(String),
    /// Not as expected, which this test allows.
    Excused(String),
}

impl Outcome {
    /// Whether the run is none that passed because of it.
    #[must_use]
    pub fn failed(&self) -> bool {
        *self == Self::Failed
    }
}

/// One thing that a test expects, as it came out in the last try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckPoint {
    /// What is expected, in words.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What came instead, where it did not.
    pub found: Option<String>,
}

/// The last lines of a unit concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tail {
    /// The unit, `STAGE.NAME`; or what it is of a test's command, `stdout` or `stderr`.
    pub of: String,
    /// Without their newlines, and without control characters.
    pub lines: Vec<String>,
}

/// One point: a test, or something that the stop drill has looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
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
pub struct Suite {
    /// The container's host name.
    pub name: String,
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
