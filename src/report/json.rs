//! JSON for programs: the complete report, and the parts of others.

use std::fmt::Write as _;

use serde::Serialize;

use super::Suite;

/// Returns the report as one object.
#[must_use]
pub(crate) fn json(suite: &Suite) -> String {
    escaped(&serde_json::to_string_pretty(suite).unwrap_or_default(), is_control) + "\n"
}

/// Returns a value as JSON in one line.
pub(super) fn line(value: &(impl Serialize + ?Sized)) -> String {
    escaped(&serde_json::to_string(value).unwrap_or_default(), is_control)
}

/// Returns whether JSON allows a control character as it is, and a terminal interprets it: DEL, and
/// those of C1.
fn is_control(c: char) -> bool {
    matches!(c, '\x7f'..='\u{9f}')
}

/// Returns JSON with those characters of its strings escaped that `is_bad`. They must not stand
/// outside of strings.
pub(super) fn escaped(json: &str, is_bad: impl Fn(char) -> bool) -> String {
    let mut to = String::with_capacity(json.len());
    for c in json.chars() {
        if is_bad(c) {
            _ = write!(to, "\\u{:04x}", u32::from(c));
        } else {
            to.push(c);
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::super::tests as points;
    use super::super::tests::{check, one_of_each, suite, tail};
    use super::super::{Outcome, Point, Suite};
    use super::*;

    #[test]
    fn a_whole_report() {
        let mut points = one_of_each().points;
        points.remove(2);
        points.remove(0);
        let points = points.into_iter().map(Point::explained).collect();
        let suite = suite(1, points).ended(1, Some("test.smtp failed".to_owned()));
        let expected = r#"{
  "version": 1,
  "name": "trc",
  "host": "mail",
  "began": "2017-03-16T20:40:50.007Z",
  "took_ms": 61002,
  "status": 1,
  "passed": false,
  "reason": "test.smtp failed",
  "unwritten": [],
  "counts": {
    "passed": 0,
    "failed": 1,
    "skipped": 0,
    "excused": 1,
    "not_run": 1
  },
  "untested": [],
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
    },
    {
      "name": "test.late",
      "kind": "test",
      "description": null,
      "outcome": "not_run",
      "why": "stopped by SIGTERM",
      "allowed_by": null,
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
        let mut nasty = points::because(text, Outcome::Skipped, text);
        nasty.description = Some(text.to_owned());
        nasty.checks = vec![check(text, Some(text))];
        nasty.tails = vec![tail(text, &[text, text]), tail(text, &[])];
        let mut suite = suite(0, vec![nasty]);
        suite.name = text.to_owned();
        suite.reason = Some(text.to_owned());
        assert!(json(&suite).chars().all(|c| c == '\n' || !c.is_control()));
        let report: serde_json::Value = serde_json::from_str(&json(&suite)).unwrap();
        let expected = serde_json::json!({
            "version": 1, "unwritten": [], "untested": [], "name": text, "host": "mail", "began": "2017-03-16T20:40:50.007Z", "took_ms": 61002, "status": 0,
            "passed": true, "reason": text,
            "counts": { "passed": 0, "failed": 0, "skipped": 1, "excused": 0, "not_run": 0 },
            "points": [{
                "name": text, "kind": "drill", "description": text, "outcome": "skipped",
                "why": text, "allowed_by": null, "took_ms": 12,
                "checks": [{ "name": text, "passed": false, "found": text }],
                "output": [{ "of": text, "lines": [text, text] }, { "of": text, "lines": [] }],
            }],
        });
        assert_eq!(report, expected);
        let read: Suite = serde_json::from_str(&json(&suite)).unwrap();
        assert_eq!(json(&read), json(&suite));
    }
}
