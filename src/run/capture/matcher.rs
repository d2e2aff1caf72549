//! Lines of a unit's output that say how it is.

use memchr::memchr;
use regex_lite::Regex;

use crate::engine::Purpose;

/// What is looked at of a line, in bytes.
const LONGEST: usize = 64 * 1024;

/// Looks for lines that match.
#[derive(Debug)]
pub struct Matcher {
    purpose: Purpose,
    pattern: Regex,
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
}

impl Matcher {
    /// Looks for this regular expression; None if it is none.
    pub fn new(purpose: Purpose, pattern: &str) -> Option<Self> {
        Some(Self { purpose, pattern: Regex::new(pattern).ok()?, line: Vec::new() })
    }

    /// What a match is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether one of the lines that end in `bytes` matches.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while let Some(end) = memchr(b'\n', bytes) {
            self.begin(&bytes[..end]);
            found |= self.end();
            bytes = &bytes[end + 1..];
        }
        self.begin(bytes);
        found
    }

    fn begin(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether a last line matches that nothing has ended.
    pub(super) fn finish(&mut self) -> bool {
        !self.line.is_empty() && self.end()
    }

    /// Whether the line that ends here matches.
    fn end(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        self.pattern.is_match(&String::from_utf8_lossy(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(pattern: &str) -> Matcher {
        Matcher::new(Purpose::Ready, pattern).unwrap()
    }

    #[test]
    fn a_line_matches_however_it_arrives() {
        let text = b"starting\nlistening on :80\nmore";
        for cut in 0..text.len() {
            let mut matcher = matcher("^listening on .*:80$");
            let (first, second) = text.split_at(cut);
            assert!(matcher.push(first) | matcher.push(second), "{cut}");
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
            assert_eq!(matcher(pattern).push(text.as_bytes()), found, "{pattern} {text}");
        }
        assert!(matcher("ready").push(b"\xff ready\n"));
    }

    #[test]
    fn an_endless_line_takes_no_endless_memory() {
        let mut matcher = matcher("end");
        for _ in 0..1000 {
            assert!(!matcher.push(&[b'x'; 1000]));
        }
        assert!(matcher.line.capacity() <= 2 * LONGEST);
        assert!(!matcher.push(b"end\n") && matcher.push(b"end\n"));
    }
}
