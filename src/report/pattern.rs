//! The patterns of `expect`: searching for a text, and describing what was found instead.

use crate::config::expect::size;
use crate::config::{Needle, Pattern};
use crate::regex::{self, Regex};
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// The number of bytes in which a regular expression is searched for. A large expression takes half
/// a second for them, in which PID 1 does nothing else.
const LONGEST: usize = 256 * 1024;

/// The number of bytes that a message shows of the text that was found.
const SHOWN: usize = 180;

/// A compiled pattern.
pub(crate) enum Finder<'a> {
    /// A text.
    Text(Box<memmem::Finder<'a>>),
    /// A regular expression.
    Regex(Regex),
}

impl Needle {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Returns the reason why it can't be compiled.
    pub(crate) fn finder(&self) -> Result<Finder<'_>, String> {
        Ok(match self {
            Self::Text(text) => Finder::Text(Box::new(memmem::Finder::new(text))),
            Self::Regex(pattern) => {
                Finder::Regex(regex::compile(pattern).map_err(|why| format!("{self} {why}"))?)
            }
        })
    }
}

impl Finder<'_> {
    /// Returns whether the pattern matches.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.find(bytes).is_some(),
            Self::Regex(regex) => regex.is_match(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Returns the line that matches, for people.
    fn line(&self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Text(text) => text.find(bytes).map(|at| line_at(bytes, at)),
            Self::Regex(regex) => {
                let text = String::from_utf8_lossy(bytes);
                regex.find(&text).map(|found| line_at(text.as_bytes(), found.start()))
            }
        }
    }
}

impl Pattern {
    /// Checks whether the bytes contain the pattern, or, for a pattern with `!`, do not contain it.
    ///
    /// # Errors
    /// Returns what came instead: the line with the text that must not be there, or what there is
    /// instead of the one that must.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let finder = self.needle.finder()?;
        if matches!(finder, Finder::Regex(_)) && bytes.len() > LONGEST {
            let (found, most) = (size(bytes.len() as u64), size(LONGEST as u64));
            return Err(format!(
                "{found}, but trc searches at most {most} for a regular expression"
            ));
        }
        if self.negated {
            return finder.line(bytes).map_or(Ok(()), Err);
        }
        if finder.is_in(bytes) {
            return Ok(());
        }
        Err(if bytes.is_empty() {
            "nothing".to_owned()
        } else {
            excerpt(String::from_utf8_lossy(&bytes[..bytes.len().min(2 * SHOWN)]))
        })
    }

    /// Like [`check`](Self::check), with a sentence as the error: `its body lacks "ok":
    /// "starting"`.
    ///
    /// # Errors
    /// Returns the sentence.
    pub(crate) fn check_of(&self, whose: &str, bytes: &[u8]) -> Result<(), String> {
        let has = if self.negated { "has" } else { "lacks" };
        self.check(bytes).map_err(|came| format!("{whose} {has} {}: {came}", self.needle))
    }
}

/// Returns the beginning of a text, in quotes, for people. Lines are joined, and control
/// characters, which could forge a line, are removed.
pub(crate) fn excerpt(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut shown = String::from("\"");
    for c in text.trim_end().chars() {
        if shown.len() >= SHOWN {
            shown.push('…');
            break;
        }
        match c {
            '\r' => {}
            '\n' => shown.push_str(" / "),
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

/// Returns the line around a position, with its number if there are several lines. If the line is
/// long, only the surroundings of the position are shown.
fn line_at(bytes: &[u8], at: usize) -> String {
    /// The number of bytes of a long line that are shown before the position. It is less than
    /// [`SHOWN`] even if each byte is not text and is shown as three.
    const BEFORE: usize = 40;
    let start = memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
    let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
    let from = if at - start > BEFORE && end - start > SHOWN {
        // Do not cut a character in two.
        let begins = |at: &usize| bytes[*at] & 0xc0 != 0x80;
        (at - BEFORE..at).find(begins).unwrap_or(at)
    } else {
        start
    };
    let ellipsis = if from > start { "…" } else { "" };
    let line = String::from_utf8_lossy(&bytes[from..end.min(from + 2 * SHOWN)]);
    let shown = excerpt(format!("{ellipsis}{line}"));
    let several = memchr(b'\n', bytes).is_some_and(|first| first + 1 < bytes.len());
    if several {
        format!("line {}: {shown}", memchr_iter(b'\n', &bytes[..start]).count() + 1)
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Needle {
        Needle::Text(text.to_owned())
    }

    fn regex(pattern: &str) -> Needle {
        Needle::Regex(pattern.to_owned())
    }

    fn has(needle: Needle) -> Pattern {
        Pattern { needle, negated: false }
    }

    fn lacks(needle: Needle) -> Pattern {
        Pattern { needle, negated: true }
    }

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_told() {
        for (pattern, bytes, expected) in [
            (has(text("ok")), b"all ok\n".as_slice(), None),
            (has(text("ok")), b"", Some("nothing")),
            (has(text("ok")), b"\n", Some("\"\"")),
            (has(text("ok")), b"no\nluck\n\n", Some("\"no / luck\"")),
            (has(text("a\nb")), b"xa\nby", None),
            (has(text("")), b"", None),
            (has(text("ok")), b"\xff o\0k\x1b[1m\r\n", Some("\"\u{fffd} o k [1m\"")),
            (has(text("a.c")), b"abc", Some("\"abc\"")),
            (has(regex("a.c")), b"abc", None),
            (has(regex("^b$")), b"a\nb\nc", None),
            (has(regex("^b$")), b"a\r\nb\r\nc", None),
            (has(regex("^b$")), b"a\nbc\n", Some("\"a / bc\"")),
            (has(regex("a.b")), b"a\nb", Some("\"a / b\"")),
            (has(regex("(?s)a.b")), b"a\nb", None),
            (has(regex("a.b")), b"a\xffb", None),
            (lacks(text("no")), b"yes", None),
            (lacks(text("no")), b"", None),
            (lacks(text("no")), b"oh no\n", Some("\"oh no\"")),
            (lacks(text("no")), b"yes\noh no\nno", Some("line 2: \"oh no\"")),
            (lacks(regex("^no")), b"oh no\nno way", Some("line 2: \"no way\"")),
            (lacks(regex("\\d$")), b"a\xff\nb2\xff\nc3\n", Some("line 3: \"c3\"")),
        ] {
            let found = pattern.check(bytes);
            let expected = expected.map_or(Ok(()), |came| Err(came.to_owned()));
            assert_eq!(found, expected, "{pattern:?} {}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn it_is_told_in_a_sentence() {
        for (pattern, expected) in [
            (has(text("ok")), "its body lacks \"ok\": \"bad\""),
            (lacks(regex("b.d")), "its body has /b.d/: \"bad\""),
        ] {
            assert_eq!(pattern.check_of("its body", b"bad"), Err(expected.to_owned()));
        }
    }

    #[test]
    fn an_invalid_regular_expression_never_holds() {
        for pattern in [has(regex("(")), lacks(regex("("))] {
            let why = pattern.check(b"(").unwrap_err();
            assert!(why.starts_with("/(/ is not a valid regular expression"), "{why}");
        }
    }

    #[test]
    fn what_is_told_is_short_wherever_it_stands() {
        let long = "ä".repeat(5000);
        for bytes in [
            format!("no{long}"),
            format!("{long}no{long}"),
            format!("x{long}no{long}"),
            format!("{long}\n{long}no"),
            "\x1b\n".repeat(5000) + "no",
            "\u{10ffff}\n".repeat(5000) + "no",
        ] {
            for pattern in [has(text("yes")), lacks(text("no")), lacks(regex("n[o]"))] {
                let why = pattern.check(bytes.as_bytes()).unwrap_err();
                assert!(why.len() <= 220, "{} bytes: {why}", why.len());
                assert!(!why.contains(char::is_control) && !why.contains('\u{fffd}'), "{why}");
                assert!(!pattern.negated || why.contains("no"), "{why}");
            }
        }
        let binary = [&[0xff; 5000], b"no".as_slice(), &[0xff; 5000]].concat();
        let why = lacks(text("no")).check(&binary).unwrap_err();
        assert!(why.contains("no") && why.len() <= 220, "{why}");
    }

    #[test]
    fn a_needle_is_made_ready_once_for_many() {
        let needle = regex("^a");
        let finder = needle.finder().unwrap();
        assert!(finder.is_in(b"b\na") && !finder.is_in(b"ba"));
    }
}
