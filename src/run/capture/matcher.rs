//! Lines of a unit's output that say how it is.

use memchr::memchr;
use regex_lite::Regex;

use super::tail::harmless;
use crate::engine::Purpose;

/// What is looked at of a line, in bytes.
const LONGEST: usize = 64 * 1024;

/// How much of a line that matched is kept, in bytes.
const SHOWN: usize = 200;

/// What a line that matches is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    /// It says how the unit is.
    Probe(Purpose),
    /// A test asks for it: the place of its question.
    Said(usize),
}

/// A line that matched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// What it was looked for for.
    pub what: Sought,
    /// The beginning of it.
    pub line: String,
}

/// Looks for lines that match.
#[derive(Debug)]
pub struct Matcher {
    what: Sought,
    pattern: Regex,
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
}

impl Matcher {
    /// Looks for this regular expression; None if it is none.
    pub fn new(what: Sought, pattern: &str) -> Option<Self> {
        Some(Self { what, pattern: Regex::new(pattern).ok()?, line: Vec::new() })
    }

    /// Whether it goes on when a line has matched: a unit becomes ready once.
    pub(super) fn is_lasting(&self) -> bool {
        self.what != Sought::Probe(Purpose::Ready)
    }

    /// The first of the lines that end in `bytes` that matches.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Option<Found> {
        let mut found = None;
        while let Some(end) = memchr(b'\n', bytes) {
            self.begin(&bytes[..end]);
            found = found.or(self.end());
            bytes = &bytes[end + 1..];
        }
        self.begin(bytes);
        found
    }

    fn begin(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A last line that matches and that nothing has ended.
    pub(super) fn finish(&mut self) -> Option<Found> {
        if self.line.is_empty() { None } else { self.end() }
    }

    /// The line that ends here, if it matches.
    fn end(&mut self) -> Option<Found> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let text = String::from_utf8_lossy(line);
        self.pattern.is_match(&text).then(|| {
            let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
            Found { what: self.what, line: harmless(&shown) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(pattern: &str) -> Matcher {
        Matcher::new(Sought::Probe(Purpose::Ready), pattern).unwrap()
    }

    #[test]
    fn a_line_matches_however_it_arrives() {
        let text = b"starting\nlistening on :80\nmore";
        for cut in 0..text.len() {
            let mut matcher = matcher("^listening on .*:80$");
            let (first, second) = text.split_at(cut);
            let found = [matcher.push(first), matcher.push(second)].into_iter().flatten();
            assert_eq!(found.map(|found| found.line).collect::<Vec<_>>(), ["listening on :80"]);
        }
    }

    #[test]
    fn a_line_is_looked_at_alone_and_when_it_has_ended() {
        for (pattern, text, found) in [
            ("a.*b", "a\nb\n", false),
            ("ready", "ready", false),
            ("^ready$", "ready\r\n", true),
            ("ready", "not utf-8 \u{fffd} ready\n", true),
        ] {
            assert_eq!(matcher(pattern).push(text.as_bytes()).is_some(), found, "{pattern} {text}");
        }
        assert!(matcher("ready").push(b"\xff ready\n").is_some());
    }

    #[test]
    fn an_endless_line_takes_no_endless_memory() {
        let mut matcher = matcher("end");
        for _ in 0..1000 {
            assert_eq!(matcher.push(&[b'x'; 1000]), None);
        }
        assert!(matcher.line.capacity() <= 2 * LONGEST);
        assert_eq!(matcher.push(b"end\n"), None);
        assert!(matcher.push(b"end\n").is_some());
    }
}
