//! The report as JSON: all that is known, for programs.

use std::fmt::Write as _;

use super::{CheckPoint, Outcome, Point, Suite, Tail};
use crate::journal;

/// The report as one object.
#[must_use]
pub(crate) fn json(suite: &Suite) -> String {
    let (began, milliseconds) = journal::utc(suite.began);
    let counts = suite.counts();
    let points = suite.points.iter().map(point);
    format!(
        r#"{{
  "name": {},
  "host": {},
  "began": "{began}.{milliseconds:03}Z",
  "took_ms": {},
  "status": {},
  "passed": {},
  "reason": {},
  "counts": {{
    "passed": {},
    "failed": {},
    "skipped": {},
    "excused": {}
  }},
  "points": {}
}}
"#,
        quoted(&suite.name),
        quoted(&suite.host),
        suite.took.as_millis(),
        suite.status,
        suite.status == 0,
        optional(suite.reason.as_deref()),
        counts.passed,
        counts.failed,
        counts.skipped,
        counts.excused,
        list(points, 2),
    )
}

fn point(point: &Point) -> String {
    // Why it failed is said for each point that did, be it by its checks.
    let (outcome, why, allowed_by) = match &point.outcome {
        Outcome::Passed => ("passed", None, None),
        Outcome::Failed => ("failed", Some(point.message()), None),
        Outcome::Skipped(why) => ("skipped", Some(why.clone()), None),
        Outcome::Excused(test) => ("excused", Some(point.message()), Some(test.as_str())),
    };
    format!(
        r#"{{
      "name": {},
      "kind": "{}",
      "description": {},
      "outcome": "{outcome}",
      "why": {},
      "allowed_by": {},
      "took_ms": {},
      "checks": {},
      "output": {}
    }}"#,
        quoted(&point.name),
        if point.is_test { "test" } else { "drill" },
        optional(point.description.as_deref()),
        optional(why.as_deref()),
        optional(allowed_by),
        point.took.as_millis(),
        list(point.checks.iter().map(check), 6),
        list(point.tails.iter().map(tail), 6),
    )
}

fn check(check: &CheckPoint) -> String {
    let CheckPoint { name, passed, found } = check;
    let found = optional(found.as_deref());
    format!(
        r#"{{
          "name": {},
          "passed": {passed},
          "found": {found}
        }}"#,
        quoted(name)
    )
}

fn tail(tail: &Tail) -> String {
    format!(
        r#"{{
          "of": {},
          "lines": {}
        }}"#,
        quoted(&tail.of),
        list(tail.lines.iter().map(|line| quoted(line)), 10),
    )
}

/// An array whose brackets are indented by so much.
fn list(items: impl Iterator<Item = String>, indent: usize) -> String {
    let mut to = String::from("[");
    let mut separator = "";
    for item in items {
        let _ = write!(to, "{separator}\n{:indent$}  {item}", "");
        separator = ",";
    }
    if !separator.is_empty() {
        let _ = write!(to, "\n{:indent$}", "");
    }
    to.push(']');
    to
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

/// A string with its quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut to = Vec::with_capacity(text.len() + 2);
    to.push(b'"');
    journal::json::escape(text.as_bytes(), &mut to);
    to.push(b'"');
    String::from_utf8_lossy(&to).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests as points;
    use super::super::tests::{check, one_of_each, suite, tail};
    use super::*;

    #[test]
    fn a_whole_report() {
        let mut suite = one_of_each();
        suite.points.remove(2);
        suite.points.remove(0);
        let expected = r#"{
  "name": "trc",
  "host": "mail",
  "began": "2017-03-16T20:40:50.007Z",
  "took_ms": 61002,
  "status": 1,
  "passed": false,
  "reason": "test.smtp failed",
  "counts": {
    "passed": 0,
    "failed": 1,
    "skipped": 0,
    "excused": 1
  },
  "points": [
    {
      "name": "test.smtp",
      "kind": "test",
      "description": "it answers",
      "outcome": "failed",
      "why": "expected: exit status 0; found: 1",
      "allowed_by": null,
      "took_ms": 12,
      "checks": [
        {
          "name": "25/tcp",
          "passed": true,
          "found": null
        },
        {
          "name": "exit status 0",
          "passed": false,
          "found": "1"
        }
      ],
      "output": [
        {
          "of": "async.smtpd",
          "lines": [
            "ready",
            "a \"b\""
          ]
        }
      ]
    },
    {
      "name": "async.web.stop",
      "kind": "drill",
      "description": null,
      "outcome": "excused",
      "why": "killed after 2 s",
      "allowed_by": "test.web",
      "took_ms": 12,
      "checks": [],
      "output": []
    }
  ]
}
"#;
        assert_eq!(json(&suite), expected);
    }

    #[test]
    fn every_text_comes_back() {
        let text = "a\"\\\n\r\u{2028}\0\u{9b}ß🦀</script>";
        let mut nasty = points::point(text, Outcome::Skipped(text.to_owned()));
        nasty.description = Some(text.to_owned());
        nasty.checks = vec![check(text, Some(text))];
        nasty.tails = vec![tail(text, &[text, text]), tail(text, &[])];
        let mut suite = suite(0, vec![nasty]);
        suite.name = text.to_owned();
        suite.reason = Some(text.to_owned());
        let report: serde_json::Value = serde_json::from_str(&json(&suite)).unwrap();
        let expected = serde_json::json!({
            "name": text, "host": "mail", "began": "2017-03-16T20:40:50.007Z", "took_ms": 61002, "status": 0,
            "passed": true, "reason": text,
            "counts": { "passed": 0, "failed": 0, "skipped": 1, "excused": 0 },
            "points": [{
                "name": text, "kind": "drill", "description": text, "outcome": "skipped",
                "why": text, "allowed_by": null, "took_ms": 12,
                "checks": [{ "name": text, "passed": false, "found": text }],
                "output": [{ "of": text, "lines": [text, text] }, { "of": text, "lines": [] }],
            }],
        });
        assert_eq!(report, expected);
    }
}
