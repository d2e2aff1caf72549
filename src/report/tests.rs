//! Points and suites for the tests of reports.

use std::time::{Duration, UNIX_EPOCH};

use super::{CheckPoint, Outcome, Point, Suite, Tail};

/// A test called `test.NAME` without anything but this.
pub(super) fn point(name: &str, outcome: Outcome) -> Point {
    Point {
        name: name.to_owned(),
        is_test: name.starts_with("test."),
        description: None,
        outcome,
        why: None,
        took: Duration::from_micros(12_345),
        checks: Vec::new(),
        tails: Vec::new(),
    }
}

pub(super) fn check(name: &str, found: Option<&str>) -> CheckPoint {
    CheckPoint { name: name.to_owned(), passed: found.is_none(), found: found.map(str::to_owned) }
}

pub(super) fn tail(of: &str, lines: &[&str]) -> Tail {
    Tail { of: of.to_owned(), lines: lines.iter().map(|&line| line.to_owned()).collect() }
}

/// 2017-03-16 20:40:50.007 UTC, on `mail`.
pub(super) fn suite(status: u8, points: Vec<Point>) -> Suite {
    Suite {
        name: "trc".to_owned(),
        host: "mail".to_owned(),
        began: UNIX_EPOCH + Duration::from_millis(1_489_696_850_007),
        took: Duration::from_millis(61_002),
        status,
        reason: None,
        points,
    }
}

/// One of each outcome, with all that a point may have.
pub(super) fn one_of_each() -> Suite {
    let mut failed = point("test.smtp", Outcome::Failed);
    failed.description = Some("it answers".to_owned());
    failed.checks = vec![check("25/tcp", None), check("exit status 0", Some("1"))];
    failed.tails = vec![tail("async.smtpd", &["ready", "a \"b\""])];
    let mut excused = point("async.web.stop", Outcome::Excused("test.web".to_owned()));
    excused.why = Some("killed after 2 s".to_owned());
    let skipped = point("test.ipv6", Outcome::Skipped("no IPv6 here".to_owned()));
    let mut suite = suite(1, vec![point("orphans", Outcome::Passed), failed, skipped, excused]);
    suite.reason = Some("test.smtp failed".to_owned());
    suite
}
