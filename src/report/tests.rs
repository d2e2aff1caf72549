//! Points and suites for the tests of reports.

use std::time::{Duration, UNIX_EPOCH};

use super::{CheckPoint, Kind, Outcome, Point, Suite, Tail, moment};

/// Creates a test point `test.NAME` with this result.
pub(super) fn point(name: &str, outcome: Outcome) -> Point {
    Point {
        name: name.to_owned(),
        kind: if name.starts_with("test.") { Kind::Test } else { Kind::Drill },
        outcome,
        took: Duration::from_micros(12_345),
        ..Point::default()
    }
}

/// Adds a reason to a test point.
pub(super) fn because(name: &str, outcome: Outcome, why: &str) -> Point {
    Point { why: Some(why.to_owned()), ..point(name, outcome) }
}

pub(super) fn check(name: &str, found: Option<&str>) -> CheckPoint {
    CheckPoint { name: name.to_owned(), passed: found.is_none(), found: found.map(str::to_owned) }
}

pub(super) fn tail(of: &str, lines: &[&str]) -> Tail {
    Tail { of: of.to_owned(), lines: lines.iter().map(|&line| line.to_owned()).collect() }
}

/// Creates a suite that began at 2017-03-16 20:40:50.007 UTC, on the host `mail`.
pub(super) fn suite(status: u8, points: Vec<Point>) -> Suite {
    let suite = Suite {
        name: "trc".to_owned(),
        host: "mail".to_owned(),
        began: moment(UNIX_EPOCH + Duration::from_millis(1_489_696_850_007)),
        took: Duration::from_millis(61_002),
        ..Suite::of(points)
    };
    suite.ended(status, None)
}

/// Returns a test point with each result, with everything that a test point can have.
pub(super) fn one_of_each() -> Suite {
    let mut failed = point("test.smtp", Outcome::Failed);
    failed.description = Some("it answers".to_owned());
    failed.checks = vec![check("25/tcp", None), check("exit status 0", Some("1"))];
    failed.tails = vec![tail("async.smtpd", &["ready", "a \"b\""])];
    let mut excused = because("async.web.stop", Outcome::Excused, "killed after 2 s");
    excused.allowed_by = Some("test.web".to_owned());
    let skipped = because("test.ipv6", Outcome::Skipped, "no IPv6 here");
    let not_run = because("test.late", Outcome::NotRun, "stopped by SIGTERM");
    let points = vec![point("orphans", Outcome::Passed), failed, skipped, excused, not_run];
    suite(1, points).ended(1, Some("test.smtp failed".to_owned()))
}
