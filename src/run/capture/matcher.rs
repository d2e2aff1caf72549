//! The search for lines in a unit's output that probes and tests ask for.

use std::cell::Cell;
use std::rc::Rc;

use memchr::memchr;

use crate::engine::Purpose;
use crate::regex::Regex;
use crate::text::harmless;

/// The number of bytes of a line that probes look at.
const LONGEST: usize = 64 * 1024;
/// The number of bytes of a line that tests look at. If a line is longer, trc cannot tell what it
/// lacks.
const LONGEST_SAID: usize = 1024 * 1024;

/// The number of bytes that trc keeps of a line that matched.
const SHOWN: usize = 200;

/// The purpose of a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    /// A readiness check or health check of the unit.
    Probe(Purpose),
    /// A check of a test, with its index.
    Said(usize),
}

/// A match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The purpose of the search.
    pub what: Sought,
    /// The beginning of the line.
    pub line: String,
    /// Whether the line did not match, but was longer than the part that was searched.
    pub cut: bool,
}

/// A search for lines that match.
#[derive(Clone, Debug)]
pub struct Matcher {
    what: Sought,
    pattern: Regex,
    /// How many matching lines have to come before the one that counts. The clones of a search, in
    /// other streams of the unit, share the number.
    earlier: Rc<Cell<u32>>,
    /// Whether the last bytes had a match.
    matched: bool,
}

impl Matcher {
    /// Creates a search for this expression.
    pub fn new(what: Sought, pattern: Regex) -> Self {
        Self::nth(what, pattern, 1)
    }

    /// Creates a search for the matching line with this number, from 1 on, and those behind it.
    pub fn nth(what: Sought, pattern: Regex, number: u32) -> Self {
        let earlier = Rc::new(Cell::new(number.saturating_sub(1)));
        Self { what, pattern, earlier, matched: false }
    }

    /// Returns whether the line matches, and is not one of those that come before.
    fn finds(&self, line: &str) -> bool {
        if !self.pattern.is_match(line) {
            return false;
        }
        let earlier = self.earlier.get();
        self.earlier.set(earlier.saturating_sub(1));
        earlier == 0
    }

    /// Whether the search continues after a match. A unit becomes ready only once.
    fn is_lasting(&self) -> bool {
        self.what != Sought::Probe(Purpose::Ready)
    }
}

/// All searches in one stream, line by line.
#[derive(Default, Debug)]
pub(super) struct Matchers {
    all: Vec<Matcher>,
    /// The beginning of a line that has not ended, which all searches share.
    line: Vec<u8>,
    /// Whether the line is longer than the part that is searched.
    cut: bool,
}

impl Matchers {
    /// Adds a search, which begins with the next line.
    pub(super) fn new(all: Vec<Matcher>) -> Self {
        Self { all, line: Vec::new(), cut: false }
    }

    /// Returns, for each search, the first match among the lines that end in `bytes`.
    pub(super) fn push(&mut self, mut bytes: &[u8], found: &mut Vec<Found>) {
        self.all.iter_mut().for_each(|matcher| matcher.matched = false);
        while !self.all.is_empty() {
            let Some(end) = memchr(b'\n', bytes) else { return self.begin(bytes) };
            self.begin(&bytes[..end]);
            self.end(found);
            bytes = &bytes[end + 1..];
        }
    }

    fn begin(&mut self, bytes: &[u8]) {
        let said = self.all.iter().any(|matcher| matches!(matcher.what, Sought::Said(_)));
        let room = if said { LONGEST_SAID } else { LONGEST }.saturating_sub(self.line.len());
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns the matches of a last line without a newline.
    pub(super) fn finish(&mut self, found: &mut Vec<Found>) {
        if !self.line.is_empty() {
            self.all.iter_mut().for_each(|matcher| matcher.matched = false);
            self.end(found);
        }
    }

    /// Ends a line, and returns the searches that it matches.
    fn end(&mut self, found: &mut Vec<Found>) {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let text = String::from_utf8_lossy(line);
        let first = String::from_utf8_lossy(&line[..line.len().min(LONGEST)]);
        let cut = std::mem::take(&mut self.cut);
        self.all.retain_mut(|matcher| {
            let (text, cut) = match matcher.what {
                Sought::Probe(_) => (&first, false),
                Sought::Said(_) => (&text, cut),
            };
            let matches = matcher.finds(text);
            if !matcher.matched && (matches || cut) {
                matcher.matched = true;
                let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
                let line = harmless(&shown);
                found.push(Found { what: matcher.what, line, cut: !matches });
            }
            !matcher.matched || matcher.is_lasting()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::compile;

    fn matchers(pattern: &str) -> Matchers {
        Matchers::new(vec![Matcher::new(Sought::Probe(Purpose::Ready), compile(pattern).unwrap())])
    }

    fn pushed(matchers: &mut Matchers, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        matchers.push(bytes, &mut found);
        found.into_iter().map(|found| found.line).collect()
    }

    #[test]
    fn a_line_matches_however_it_arrives() {
        let text = b"starting\nlistening on :80\nmore";
        for cut in 0..text.len() {
            let mut matchers = matchers("^listening on .*:80$");
            let (first, second) = text.split_at(cut);
            let found = [first, second].map(|part| pushed(&mut matchers, part)).concat();
            assert_eq!(found, ["listening on :80"]);
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
            let matched = pushed(&mut matchers(pattern), text.as_bytes());
            assert_eq!(!matched.is_empty(), found, "{pattern} {text}");
        }
        assert_eq!(pushed(&mut matchers("ready"), b"\xff ready\n").len(), 1);
    }

    #[test]
    fn the_second_matching_line_of_both_streams_is_found_however_it_arrives() {
        let text = b"ready\nother\nready again\nready\n";
        for cut in 0..text.len() {
            let pattern = compile("^ready").unwrap();
            let matcher = Matcher::nth(Sought::Probe(Purpose::Ready), pattern, 2);
            let (out, error) = (matcher.clone(), matcher);
            let (mut out, mut error) = (Matchers::new(vec![out]), Matchers::new(vec![error]));
            let (first, second) = text.split_at(cut);
            let found = [first, second].map(|part| pushed(&mut out, part)).concat();
            assert_eq!(found, ["ready again"]);
            assert_eq!(pushed(&mut error, b"ready"), [""; 0]);
        }
        let matcher = Matcher::nth(Sought::Probe(Purpose::Ready), compile("ready").unwrap(), 2);
        let mut streams = [matcher.clone(), matcher].map(|one| Matchers::new(vec![one]));
        assert_eq!(pushed(&mut streams[0], b"ready on one\n"), [""; 0]);
        assert_eq!(pushed(&mut streams[1], b"ready on the other\n"), ["ready on the other"]);
    }

    #[test]
    fn readiness_is_looked_for_once_and_all_else_as_long_as_there_are_lines() {
        let whats =
            [Sought::Probe(Purpose::Ready), Sought::Probe(Purpose::Health), Sought::Said(0)];
        let all = whats.map(|what| Matcher::new(what, compile("^[ab]$").unwrap()));
        let mut matchers = Matchers::new(all.into());
        assert_eq!(pushed(&mut matchers, b"a\nb\nc\n"), ["a", "a", "a"], "the first line of many");
        assert_eq!(pushed(&mut matchers, b"b\na\n"), ["b", "b"]);
        let mut found = Vec::new();
        matchers.push(b"a", &mut found);
        assert_eq!(found, []);
        matchers.finish(&mut found);
        let found: Vec<Sought> = found.into_iter().map(|found| found.what).collect();
        assert_eq!(found, whats[1..]);
    }

    #[test]
    fn a_test_looks_at_whole_lines_and_is_told_of_one_that_is_too_long() {
        let said = || {
            let all = [Sought::Said(0), Sought::Probe(Purpose::Health)];
            let all = all.map(|what| Matcher::new(what, compile("end").unwrap()));
            Matchers::new(all.into())
        };
        for (length, expected) in [
            (LONGEST - 10, vec![(Sought::Said(0), false), (Sought::Probe(Purpose::Health), false)]),
            (LONGEST, vec![(Sought::Said(0), false)]),
            (LONGEST_SAID - 10, vec![(Sought::Said(0), false)]),
            (LONGEST_SAID, vec![(Sought::Said(0), true)]),
        ] {
            let mut found = Vec::new();
            said().push(&[&vec![b'x'; length][..], b"end\n"].concat(), &mut found);
            let found: Vec<_> = found.into_iter().map(|found| (found.what, found.cut)).collect();
            assert_eq!(found, expected, "{length}");
        }
    }

    #[test]
    fn an_endless_line_takes_no_endless_memory() {
        let mut matchers = matchers("end");
        for _ in 0..1000 {
            assert_eq!(pushed(&mut matchers, &[b'x'; 1000]), [""; 0]);
        }
        assert!(matchers.line.capacity() <= 2 * LONGEST);
        assert_eq!(pushed(&mut matchers, b"end\n"), [""; 0]);
        assert_eq!(pushed(&mut matchers, b"end\n"), ["end"]);
    }
}
