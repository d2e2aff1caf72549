//! The summary at the end of `trcctl test`: the result of each test point, the reasons for the
//! failures, and one line for the whole run.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use crate::report::{CheckPoint, Outcome, Point, Suite};

/// The style of the summary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Style {
    /// Whether there are marks, which people see at a glance, instead of words, which programs
    /// find.
    pub marks: bool,
    /// Whether there are colours.
    pub colours: bool,
}

pub(super) const GREEN: &str = "32";
pub(super) const RED: &str = "1;31";
pub(super) const YELLOW: &str = "33";
pub(super) const FAINT: &str = "2";

impl Style {
    /// Returns the style of standard output.
    pub(super) fn of_stdout() -> Self {
        let marks = std::io::stdout().is_terminal();
        Self { marks, colours: marks && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Returns a text in a colour, if there are colours.
    pub(super) fn paint(self, colour: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Returns the mark or the word for a result.
    pub(super) fn mark(self, outcome: Outcome) -> String {
        let (mark, word, colour) = match outcome {
            Outcome::Passed => ("✓", "ok  ", GREEN),
            Outcome::Failed | Outcome::NotRun => ("✗", "FAIL", RED),
            Outcome::Skipped | Outcome::Excused => ("–", "skip", YELLOW),
        };
        self.paint(colour, if self.marks { mark } else { word })
    }
}

/// Returns the tests, in the order in which they ran.
fn tests(report: &Suite) -> impl Iterator<Item = &Point> {
    report.points.iter().filter(|point| point.is_test())
}

/// Returns the items of the stop drill.
fn drill(report: &Suite) -> impl Iterator<Item = &Point> {
    report.points.iter().filter(|point| !point.is_test())
}

/// Tells whether trc's exit status has another reason than the results of the test points: a
/// signal, a boot that failed, or a report that could not be written.
#[must_use]
pub(super) fn is_cut_short(report: &Suite) -> bool {
    let some = |outcome| report.points.iter().any(|point| point.outcome == outcome);
    let told = some(Outcome::Failed) && !some(Outcome::NotRun) && report.unwritten.is_empty();
    report.status != 0 && !told
}

/// Returns the whole summary.
#[must_use]
pub(super) fn summary(report: &Suite, style: Style) -> String {
    let mut out = String::new();
    let points = || tests(report).chain(drill(report));
    let widest = points().map(|point| point.name.chars().count()).max().unwrap_or(0);
    for point in points() {
        let name = &point.name;
        let took = time(point);
        let line = format!(
            "{}  {name:widest$}  {}  {}",
            style.mark(point.outcome),
            style.paint(FAINT, &format!("{took:>8}")),
            remark(point),
        );
        _ = writeln!(out, "{}", line.trim_end());
    }
    // The last line tells once why tests have not run.
    let told = |point: &Point| point.outcome == Outcome::NotRun && report.reason.is_some();
    for point in points().filter(|point| point.outcome.fails() && !told(point)) {
        failure(point, style, &mut out);
    }
    _ = writeln!(out, "\n{}", whole(report, style));
    out
}

/// Returns what no test is about, with an empty line above.
#[must_use]
pub(super) fn coverage(report: &Suite, style: Style) -> String {
    if report.untested.is_empty() {
        return "\nthe tests are about every service, job, port and restart\n".to_owned();
    }
    let mut out = format!("\n{}\n", style.paint(YELLOW, "not tested"));
    for one in &report.untested {
        _ = writeln!(out, "  {}", one.text);
    }
    out
}

/// Returns the text beside a test point.
fn remark(point: &Point) -> String {
    let why = point.why.as_deref();
    match point.outcome {
        Outcome::NotRun => "not run".to_owned(),
        Outcome::Passed | Outcome::Failed => point.description.clone().unwrap_or_default(),
        Outcome::Skipped => format!("skipped: {}", why.unwrap_or("it doesn't say why")),
        Outcome::Excused => {
            let by = point.allowed_by.as_ref().map(|test| format!("allowed by {test}"));
            let parts: Vec<&str> = by.as_deref().into_iter().chain(why).collect();
            parts.join(": ")
        }
    }
}

/// Writes the results that were expected, those that were found, and the last output.
fn failure(point: &Point, style: Style, out: &mut String) {
    _ = writeln!(out, "\n{}", style.paint(RED, &point.name));
    let failed: Vec<&CheckPoint> = point.failed_checks().collect();
    if let Some(why) = point.why_beside_checks() {
        _ = writeln!(out, "  {why}");
    } else if failed.is_empty() {
        _ = writeln!(out, "  not as expected");
    }
    for check in failed {
        _ = writeln!(out, "  expected  {}", indented(&check.name));
        if let Some(found) = &check.found {
            _ = writeln!(out, "  found     {}", indented(found));
        }
    }
    for output in &point.tails {
        _ = writeln!(out, "  last output of {}", output.of);
        for line in &output.lines {
            _ = writeln!(out, "    {} {line}", style.paint(FAINT, "|"));
        }
    }
}

/// Puts the lines after the first one below its beginning.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n            ")
}

/// Returns the last line, such as `5 tests passed, 1 failed, 1 skipped; stop drill clean; 1.2 s`.
fn whole(report: &Suite, style: Style) -> String {
    let mut parts = Vec::new();
    let kinds = [
        ("passed", GREEN, Outcome::Passed),
        ("failed", RED, Outcome::Failed),
        ("not run", RED, Outcome::NotRun),
        ("skipped", YELLOW, Outcome::Skipped),
        ("excused", YELLOW, Outcome::Excused),
    ];
    for (word, colour, outcome) in kinds {
        let count = tests(report).filter(|point| point.outcome == outcome).count();
        let noun = match (parts.is_empty(), count) {
            (_, 0) => continue,
            (true, 1) => " test",
            (true, _) => " tests",
            (false, _) => "",
        };
        parts.push(style.paint(colour, &format!("{count}{noun} {word}")));
    }
    let tests_told = if parts.is_empty() { "no test has run".to_owned() } else { parts.join(", ") };
    let mut line = format!("{tests_told}; {}; {}", stop_drill(report, style), long(report.took));
    if let Some(advice) = report.how_to_allow() {
        _ = write!(line, "\n{advice}");
    }
    if is_cut_short(report) {
        let unknown = || format!("trc exited with {}, and did not say why", report.status);
        let reason = report.reason.clone().unwrap_or_else(unknown);
        _ = write!(line, "\n{}", style.paint(RED, &reason));
    }
    line
}

fn stop_drill(report: &Suite, style: Style) -> String {
    let count = |outcome| drill(report).filter(|point| point.outcome == outcome).count();
    let excused = count(Outcome::Excused);
    match (drill(report).count(), count(Outcome::Failed)) {
        (0, _) => "no stop drill".to_owned(),
        (_, 0) if excused > 0 => format!("stop drill clean, {excused} excused"),
        (_, 0) => "stop drill clean".to_owned(),
        (all, failed) => style.paint(RED, &format!("stop drill: {failed} of {all} failed")),
    }
}

/// Returns the time, or nothing for an item that takes no time and for a test that has not run.
fn time(point: &Point) -> String {
    let timed = point.is_test() && point.outcome != Outcome::NotRun || point.took.as_millis() > 0;
    if timed { long(point.took) } else { String::new() }
}

/// Returns a time, rounded.
pub(super) fn long(took: Duration) -> String {
    match took.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { marks: false, colours: false };

    fn parsed(text: &str) -> Suite {
        serde_json::from_str(text).unwrap()
    }

    const CANNED: &str = r#"{"name":"box","began":"2026-11-24T16:49:28.001Z","took_ms":1234,
      "status":1,"passed":false,"reason":"1 of 3 tests failed: test.front",
      "counts":{"passed":4,"failed":1,"skipped":1,"excused":1},"points":[
      {"name":"test.front","kind":"test","description":"the front page","outcome":"failed",
       "why":"expected: http http://127.0.0.1/; found: status 500 and more","took_ms":12,"checks":[
       {"name":"exit status is 0","passed":true,"found":null},
       {"name":"http http://127.0.0.1/","passed":false,"found":"status 500\nand more"}],
       "output":[{"of":"stdout","lines":["asking"]},{"of":"async.web","lines":["a","b"]}]},
      {"name":"test.net","kind":"test","description":null,"outcome":"skipped",
       "why":"no network","took_ms":3,"checks":[],"output":[]},
      {"name":"test.up","kind":"test","description":null,"outcome":"passed","why":null,
       "took_ms":1500,"checks":[],"output":[]},
      {"name":"async.web.run","kind":"drill","outcome":"passed","took_ms":0},
      {"name":"async.web.stop","kind":"drill","outcome":"excused","allowed_by":"test.up",
       "why":"it was killed","took_ms":9000}]}"#;

    #[test]
    fn every_point_has_a_line_and_every_failure_its_story() {
        let report = parsed(CANNED);
        let expected = "\
FAIL  test.front         12 ms  the front page
skip  test.net            3 ms  skipped: no network
ok    test.up            1.5 s
ok    async.web.run
skip  async.web.stop     9.0 s  allowed by test.up: it was killed

test.front
  expected  http http://127.0.0.1/
  found     status 500
            and more
  last output of stdout
    | asking
  last output of async.web
    | a
    | b

1 test passed, 1 failed, 1 skipped; stop drill clean, 1 excused; 1.2 s
";
        assert_eq!(summary(&report, PLAIN), expected);
    }

    #[test]
    fn coverage_lists_everything_that_no_test_is_about() {
        let text = r#"{"untested":[{"kind":"port","text":"no test uses port 80/tcp"}]}"#;
        let text = coverage(&parsed(text), PLAIN);
        assert_eq!(text, "\nnot tested\n  no test uses port 80/tcp\n");
        let text = coverage(&parsed("{}"), PLAIN);
        assert_eq!(text, "\nthe tests are about every service, job, port and restart\n");
    }

    #[test]
    fn a_terminal_has_marks_and_colours() {
        let report = parsed(CANNED);
        let text = summary(&report, Style { marks: true, colours: true });
        assert!(text.starts_with("\x1b[1;31m✗\x1b[0m  test.front      \x1b[2m   12 ms\x1b[0m"));
        assert!(text.contains("\x1b[32m✓\x1b[0m  test.up"), "{text}");
        let text = summary(&report, Style { marks: true, colours: false });
        assert!(text.contains("\n–  test.net ") && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn what_no_point_tells_is_told_at_the_end() {
        let text = r#"{"status":1,"reason":"stopped by SIGINT","took_ms":20,"points":[
            {"name":"test.a","kind":"test","outcome":"not_run","why":"stopped by SIGINT"},
            {"name":"orphans","kind":"drill","outcome":"passed"}]}"#;
        let text = summary(&parsed(text), PLAIN);
        assert!(text.starts_with("FAIL  test.a             not run\nok    orphans\n\n"), "{text}");
        let end = "\n\n1 test not run; stop drill clean; 20 ms\nstopped by SIGINT\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn a_status_that_nothing_else_explains_has_its_reason() {
        let passed = r#"{"name":"test.a","kind":"test","outcome":"passed"}"#;
        let failed = r#"{"name":"test.b","kind":"test","outcome":"failed"}"#;
        let unknown = "\ntrc exited with 1, and did not say why\n";
        for (status, lost, points, end) in [
            (0, None, passed.to_owned(), "0 ms\n"),
            (1, None, failed.to_owned(), "0 ms\n"),
            (1, None, passed.to_owned(), unknown),
            (1, Some("no space"), passed.to_owned(), "0 ms\nno space\n"),
            (1, Some("no space"), format!("{passed},{failed}"), "0 ms\nno space\n"),
        ] {
            let mut report = parsed(&format!(r#"{{"points":[{points}]}}"#)).ended(status, None);
            if let Some(why) = lost {
                report.unwritten(str::to_owned(why));
            }
            let text = summary(&report, PLAIN);
            assert!(text.ends_with(end), "{status} {lost:?}: {text}");
        }
    }

    #[test]
    fn findings_of_the_stop_drill_are_counted_by_themselves() {
        let text = r#"{"status":1,"points":[
            {"name":"test.a","kind":"test","outcome":"passed"},
            {"name":"async.web.stop","kind":"drill","outcome":"failed","why":"it was killed"},
            {"name":"orphans","kind":"drill","outcome":"passed"}]}"#;
        let text = summary(&parsed(text), PLAIN);
        let allow = "a test can allow known findings: allow = [\"async.web.stop\"]";
        let end = format!("\n1 test passed; stop drill: 1 of 2 failed; 0 ms\n{allow}\n");
        assert!(text.ends_with(&end), "{text}");
        assert!(text.contains("\nasync.web.stop\n  it was killed\n"), "{text}");
    }
}
