//! The YAML block below a test point in TAP.

use std::fmt::Write as _;

use super::json::{escaped, line};
use super::{Outcome, Point};

/// Appends the block that follows the line of the test point.
pub(super) fn diagnostics(point: &Point, to: &mut String) {
    let failed = point.outcome.fails() || point.outcome == Outcome::Excused;
    to.push_str("  ---\n");
    if failed {
        let _ = writeln!(to, "  message: {}", string(&point.message()));
    }
    let _ = writeln!(to, "  duration_ms: {}", point.took.as_millis());
    if failed {
        checks(point, to);
        output(point, to);
    }
    to.push_str("  ...\n");
}

fn checks(point: &Point, to: &mut String) {
    let mut title = "  checks:\n";
    for check in point.failed_checks() {
        let found = check.found.as_deref().map_or_else(|| "~".to_owned(), string);
        let _ = writeln!(to, "{title}    - expected: {}", string(&check.name));
        let _ = writeln!(to, "      found: {found}");
        title = "";
    }
}

fn output(point: &Point, to: &mut String) {
    let mut title = "  output:\n";
    for tail in &point.tails {
        let lines = if tail.lines.is_empty() { " []" } else { "" };
        let _ = writeln!(to, "{title}    - of: {}\n      lines:{lines}", string(&tail.of));
        for line in &tail.lines {
            let _ = writeln!(to, "        - {}", string(line));
        }
        title = "";
    }
}

/// Returns the text as a JSON string, which is also a YAML string. Characters that YAML does not
/// allow are escaped.
fn string(text: &str) -> String {
    escaped(&line(text), |c| ends_a_line(c) || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
}

/// Returns whether a line ends here according to Unicode, and so to YAML 1.1 and to some readers,
/// in addition to control characters.
pub(super) fn ends_a_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (text, expected) in [
            ("", r#""""#),
            ("größe 🦀 # : - |", r#""größe 🦀 # : - |""#),
            ("a\"b\\c\n  ...\t", r#""a\"b\\c\n  ...\t""#),
            ("\0\x1b\u{7f}\u{85}", r#""\u0000\u001b\u007f\u0085""#),
            ("\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}", r#""\u2028\u2029\ufeff\ufffe\uffff""#),
        ] {
            assert_eq!(string(text), expected);
        }
    }
}
