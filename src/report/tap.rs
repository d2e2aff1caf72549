//! The report on standard output: TAP, the Test Anything Protocol, version 14.
//!
//! Test points are written as soon as they are known, so the plan comes last. Readers that know
//! only TAP 13 skip the subtests, which are indented, and see the same test points.

use std::fmt::Write as _;

use super::diagnostics::{diagnostics, ends_a_line};
use super::{Outcome, Point, Suite};

/// Returns the first line.
pub(crate) const HEADER: &str = "TAP version 14\n";

/// Returns the text for a test point: its checks as a subtest, its line, and a block with details.
#[must_use]
pub(crate) fn point(number: usize, point: &Point) -> String {
    let mut to = String::new();
    let label = match &point.description {
        Some(description) => one_line(&format!("{}: {description}", point.name)),
        None => one_line(&point.name),
    };
    let directive = directive(point);
    if !point.checks.is_empty() {
        // The name is the only text without escapes: the whole line belongs to it.
        let _ = writeln!(to, "# Subtest: {label}\n    1..{}", point.checks.len());
        for (index, check) in point.checks.iter().enumerate() {
            // Some readers treat a failed subtest as a failure, whatever its test point says.
            let (not, directive) =
                if check.passed { ("", "") } else { ("not ", directive.as_str()) };
            let name = escaped(&one_line(&check.name));
            let _ = writeln!(to, "    {not}ok {} - {name}{directive}", index + 1);
        }
    }
    let not = match point.outcome {
        Outcome::Passed | Outcome::Skipped => "",
        // A test that has not run is not a skipped point, which readers would count as passed.
        Outcome::Failed | Outcome::NotRun | Outcome::Excused => "not ",
    };
    let _ = writeln!(to, "{not}ok {number} - {}{directive}", escaped(&label));
    diagnostics(point, &mut to);
    to
}

/// Returns the end of the report: the plan, and the result of the run, for people.
///
/// If the run failed although no test point did, the report ends with `Bail out!`, because the test
/// points and the plan alone would mean success.
#[must_use]
pub(crate) fn plan(suite: &Suite) -> String {
    let mut to = String::new();
    if let Some(why) = suite.broken() {
        let _ = writeln!(to, "Bail out! {}", escaped(&one_line(&why)));
    }
    let counts = suite.counts;
    let _ = writeln!(to, "1..{}", suite.points.len());
    let _ = write!(
        to,
        "# {} passed, {} failed, {} skipped, {} excused",
        counts.passed, counts.failed, counts.skipped, counts.excused
    );
    if counts.not_run > 0 {
        let _ = write!(to, ", {} not run", counts.not_run);
    }
    to.push('\n');
    if let Some(reason) = &suite.reason {
        let _ = writeln!(to, "# status {}: {}", suite.status, one_line(reason));
    }
    if let Some(advice) = suite.how_to_allow() {
        let _ = writeln!(to, "# {}", one_line(&advice));
    }
    to
}

fn directive(point: &Point) -> String {
    let text = |text: &Option<String>| escaped(&one_line(text.as_deref().unwrap_or_default()));
    let text = match point.outcome {
        Outcome::Passed | Outcome::Failed | Outcome::NotRun => return String::new(),
        Outcome::Skipped => format!("SKIP {}", text(&point.why)),
        Outcome::Excused => format!("TODO allowed by {}", text(&point.allowed_by)),
    };
    format!(" # {}", text.trim_end())
}

/// Escapes a text so that it does not end the line.
fn one_line(text: &str) -> String {
    let spaced = |c: char| if c.is_control() || ends_a_line(c) { ' ' } else { c };
    let text: String = text.chars().map(spaced).collect();
    let text = text.trim();
    // A brace at the end begins a subtest, for readers of node-tap's dialect.
    let end = if text.ends_with('{') { "." } else { "" };
    format!("{text}{end}")
}

/// Escapes a description or a reason so that a `#` in it does not begin a directive.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::super::tests as points;
    use super::super::tests::{check, one_of_each, suite, tail};
    use super::*;

    #[test]
    fn a_whole_report() {
        let suite = one_of_each();
        let mut report = HEADER.to_owned();
        for (index, of) in suite.points.iter().enumerate() {
            report += &point(index + 1, of);
        }
        report += &plan(&suite);
        let expected = r#"TAP version 14
ok 1 - orphans
  ---
  duration_ms: 12
  ...
# Subtest: test.smtp: it answers
    1..2
    ok 1 - 25/tcp
    not ok 2 - exit status 0
not ok 2 - test.smtp: it answers
  ---
  message: "expected: exit status 0; found: 1"
  duration_ms: 12
  checks:
    - expected: "exit status 0"
      found: "1"
  output:
    - of: "async.smtpd"
      lines:
        - "ready"
        - "a \"b\""
  ...
ok 3 - test.ipv6 # SKIP no IPv6 here
  ---
  duration_ms: 12
  ...
not ok 4 - async.web.stop # TODO allowed by test.web
  ---
  message: "killed after 2 s"
  duration_ms: 12
  ...
not ok 5 - test.late
  ---
  message: "not run: stopped by SIGTERM"
  duration_ms: 12
  ...
1..5
# 1 passed, 1 failed, 1 skipped, 1 excused, 1 not run
# status 1: test.smtp failed
"#;
        assert_eq!(report, expected);
    }

    #[test]
    fn nothing_from_outside_forges_a_line_or_a_directive() {
        let mut nasty = points::point("test.a\nok 2 - b", Outcome::Failed);
        nasty.description = Some("c \\# SKIP d\r\n\u{2028}1..0 {\n".to_owned());
        nasty.checks = vec![check("e # TODO\nok 9 {", Some("\n  ...\nok 3\u{2028}\u{feff}\x1b"))];
        nasty.tails = vec![tail("f\": |", &["  ...", "ok 4 # SKIP"]), tail("", &[])];
        let expected = r#"# Subtest: test.a ok 2 - b: c \# SKIP d   1..0 {.
    1..1
    not ok 1 - e \# TODO ok 9 {.
not ok 1 - test.a ok 2 - b: c \\\# SKIP d   1..0 {.
  ---
  message: "expected: e # TODO ok 9 {; found:    ... ok 3\u2028\ufeff "
  duration_ms: 12
  checks:
    - expected: "e # TODO\nok 9 {"
      found: "\n  ...\nok 3\u2028\ufeff\u001b"
  output:
    - of: "f\": |"
      lines:
        - "  ..."
        - "ok 4 # SKIP"
    - of: ""
      lines: []
  ...
"#;
        assert_eq!(point(1, &nasty), expected);
        let skipped = points::because("test.a", Outcome::Skipped, "b # c\nd\\");
        assert!(point(1, &skipped).starts_with("ok 1 - test.a # SKIP b \\# c d\\\\\n"));
        let skipped = points::point("test.a", Outcome::Skipped);
        assert!(point(1, &skipped).starts_with("ok 1 - test.a # SKIP\n"));
    }

    #[test]
    fn what_an_excused_point_expects_is_excused_too() {
        let mut excused = points::point("test.a", Outcome::Excused);
        excused.allowed_by = Some("test.b".to_owned());
        excused.checks = vec![check("c", None), check("d", Some("e"))];
        let report = point(7, &excused);
        assert!(report.starts_with(
            "# Subtest: test.a\n    1..2\n    ok 1 - c\n    not ok 2 - d # TODO allowed by \
             test.b\nnot ok 7 - test.a # TODO allowed by test.b\n  ---\n"
        ));
    }

    #[test]
    fn a_failed_run_without_a_failed_point_bails_out() {
        let mut broken = suite(1, vec![points::point("test.a", Outcome::Passed)]);
        broken.reason = Some("boot.db # failed\n1..0".to_owned());
        assert_eq!(
            plan(&broken),
            "Bail out! boot.db \\# failed 1..0\n1..1\n# 1 passed, 0 failed, 0 skipped, 0 \
             excused\n# status 1: boot.db # failed 1..0\n"
        );
    }
}
