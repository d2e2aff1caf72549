//! The report as JUnit XML, as CI servers read it.
//!
//! The format has no specification. This report follows the one of Ant, which every CI server
//! understands, and the schema of Jenkins' xUnit plugin.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Outcome, Point, Suite};

/// Returns the report as an XML document.
///
/// If the run failed although no test point did, the report has an error called `run`, because CI
/// servers look only at failures and errors.
#[must_use]
pub(crate) fn junit(suite: &Suite) -> String {
    let counts = suite.counts;
    let broken = suite.broken();
    let (tests, failures) = (suite.points.len() + usize::from(broken.is_some()), counts.failed);
    let (errors, skipped) =
        (usize::from(broken.is_some()) + counts.not_run, counts.skipped + counts.excused);
    let (time, name, host) = (seconds(suite.took), attribute(&suite.name), attribute(&suite.host));
    // The time is in UTC without a time zone, because Ant's schema has no place for one.
    let timestamp = attribute(suite.began.split('.').next().unwrap_or_default());
    let mut to = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="{name}" tests="{tests}" failures="{failures}" errors="{errors}" time="{time}">
  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="{time}" timestamp="{timestamp}" hostname="{host}">
    <properties>
      <property name="status" value="{}"/>
"#,
        suite.status
    );
    if let Some(reason) = &suite.reason {
        let _ = writeln!(to, r#"      <property name="reason" value="{}"/>"#, attribute(reason));
    }
    to.push_str("    </properties>\n");
    for point in &suite.points {
        testcase(point, &mut to);
    }
    if let Some(why) = broken {
        let _ = writeln!(
            to,
            r#"    <testcase classname="trc.run" name="run" time="0.000">
      <error message="{}" type="status"/>
    </testcase>"#,
            attribute(&why)
        );
    }
    to.push_str("  </testsuite>\n</testsuites>\n");
    to
}

fn testcase(point: &Point, to: &mut String) {
    let (class, kind) =
        if point.is_test() { ("trc.test", "expectation") } else { ("trc.drill", "finding") };
    let (name, time) = (attribute(&point.name), seconds(point.took));
    let _ = write!(to, r#"    <testcase classname="{class}" name="{name}" time="{time}""#);
    let why = || point.why.as_deref().unwrap_or_default();
    let allowed_by = || point.allowed_by.as_deref().unwrap_or_default();
    let inside = match point.outcome {
        Outcome::Passed => None,
        Outcome::Failed => Some(format!(
            r#"<failure message="{}" type="{kind}">{}</failure>"#,
            attribute(&point.message()),
            escaped(&text(point), "\n")
        )),
        // A server would report a skipped test as fine.
        Outcome::NotRun => {
            Some(format!(r#"<error message="{}" type="not-run"/>"#, attribute(&point.message())))
        }
        Outcome::Skipped => Some(format!(r#"<skipped message="{}"/>"#, attribute(why()))),
        Outcome::Excused => Some(format!(
            r#"<skipped message="{}"/>"#,
            attribute(&format!("allowed by {}: {}", allowed_by(), point.message()))
        )),
    };
    // The text of a failure contains the description. In all other cases, this is its only place.
    let about = point.description.as_ref().filter(|_| point.outcome != Outcome::Failed);
    let about = about.map(|about| format!("<system-out>{}</system-out>", escaped(about, "\n")));
    if inside.is_none() && about.is_none() {
        to.push_str("/>\n");
        return;
    }
    to.push_str(">\n");
    for element in inside.into_iter().chain(about) {
        let _ = writeln!(to, "      {element}");
    }
    to.push_str("    </testcase>\n");
}

/// Returns the text of a failure, for people.
fn text(point: &Point) -> String {
    // Further lines of a text are indented, so that none looks like one of these lines.
    let indented = |text: &str| text.replace('\n', "\n  ");
    let mut to = String::new();
    if let Some(description) = &point.description {
        let _ = writeln!(to, "{}", indented(description));
    }
    if let Some(why) = point.why_beside_checks() {
        let _ = writeln!(to, "{}", indented(why));
    }
    for check in point.failed_checks() {
        let _ = writeln!(to, "expected: {}", indented(&check.name));
        if let Some(found) = &check.found {
            let _ = writeln!(to, "found: {}", indented(found));
        }
    }
    for tail in &point.tails {
        let _ = writeln!(to, "output of {}:", indented(&tail.of));
        for line in &tail.lines {
            let _ = writeln!(to, "  {}", indented(line));
        }
    }
    to
}

/// Returns a duration in seconds, such as `61.002`.
fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

fn attribute(text: &str) -> String {
    escaped(text, "&#10;")
}

/// Escapes a string for an attribute or a text. Newlines are replaced by `newline`, because
/// attributes do not preserve them.
///
/// Characters that XML 1.0 forbids are removed. Other control characters become references, so that
/// no terminal interprets them.
fn escaped(text: &str, newline: &str) -> String {
    let mut to = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\n' => to.push_str(newline),
            '\t' | '\r' | '\u{7f}'..='\u{9f}' => {
                let _ = write!(to, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => to.push(c),
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::super::tests as points;
    use super::super::tests::{check, one_of_each, suite};
    use super::*;

    #[test]
    fn a_whole_report() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="trc" tests="5" failures="1" errors="1" time="61.002">
  <testsuite name="trc" tests="5" failures="1" errors="1" skipped="2" time="61.002" timestamp="2017-03-16T20:40:50" hostname="mail">
    <properties>
      <property name="status" value="1"/>
      <property name="reason" value="test.smtp failed"/>
    </properties>
    <testcase classname="trc.drill" name="orphans" time="0.012"/>
    <testcase classname="trc.test" name="test.smtp" time="0.012">
      <failure message="expected: exit status 0; found: 1" type="expectation">it answers
expected: exit status 0
found: 1
output of async.smtpd:
  ready
  a &quot;b&quot;
</failure>
    </testcase>
    <testcase classname="trc.test" name="test.ipv6" time="0.012">
      <skipped message="no IPv6 here"/>
    </testcase>
    <testcase classname="trc.drill" name="async.web.stop" time="0.012">
      <skipped message="allowed by test.web: killed after 2 s"/>
    </testcase>
    <testcase classname="trc.test" name="test.late" time="0.012">
      <error message="not run: stopped by SIGTERM" type="not-run"/>
    </testcase>
  </testsuite>
</testsuites>
"#;
        assert_eq!(junit(&one_of_each()), expected);
    }

    #[test]
    fn what_a_test_is_about_is_said_when_it_has_passed_too() {
        for (mut point, inside) in [
            (points::point("test.a", Outcome::Passed), ""),
            (
                points::because("test.a", Outcome::Skipped, "no net"),
                "      <skipped message=\"no net\"/>\n",
            ),
        ] {
            point.description = Some("it <answers>".to_owned());
            let mut to = String::new();
            testcase(&point, &mut to);
            let expected = format!(
                "    <testcase classname=\"trc.test\" name=\"test.a\" time=\"0.012\">\n{inside}      \
                 <system-out>it &lt;answers&gt;</system-out>\n    </testcase>\n"
            );
            assert_eq!(to, expected);
        }
    }

    #[test]
    fn what_is_escaped_and_how() {
        for (text, expected) in [
            ("", ""),
            ("größe ✓ 🦀 '", "größe ✓ 🦀 '"),
            ("<a b=\"c\">&amp;]]>", "&lt;a b=&quot;c&quot;&gt;&amp;amp;]]&gt;"),
            ("a\nb\tc\rd", "a&#10;b&#9;c&#13;d"),
            ("\0a\x1b[1m\u{b}\u{fffe}\u{ffff}\u{fffd}", "a[1m\u{fffd}"),
            ("\u{7f}\u{85}\u{9b}\u{a0}", "&#127;&#133;&#155;\u{a0}"),
        ] {
            assert_eq!(attribute(text), expected, "{text:?}");
        }
        assert_eq!(escaped("a\nb", "\n"), "a\nb");
    }

    #[test]
    fn no_line_of_a_text_is_forged() {
        let mut failed = points::point("test.a", Outcome::Failed);
        failed.checks = vec![check("b", Some("c\nexpected: d"))];
        assert_eq!(text(&failed), "expected: b\nfound: c\n  expected: d\n");
    }

    #[test]
    fn a_failed_run_without_a_failed_point_is_an_error() {
        let report = junit(&suite(3, vec![points::point("test.a", Outcome::Passed)]));
        assert!(report.contains(r#"tests="2" failures="0" errors="1" skipped="0""#), "{report}");
        let error = r#"name="run" time="0.000">
      <error message="the run ended with status 3" type="status"/>"#;
        assert!(report.contains(error), "{report}");
    }
}
