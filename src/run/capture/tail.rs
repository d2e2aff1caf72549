//! The last lines of a unit's output.

use memchr::memchr;

use crate::text::harmless;

/// The number of bytes that are kept.
const SIZE: usize = 2 * 1024;
/// The number of bytes that are shown.
const LINES: usize = 5;

/// The last [`SIZE`] bytes, and at times a little more.
#[derive(Default, Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    /// Whether the beginning of the first line is missing.
    beheaded: bool,
}

impl Tail {
    /// Appends bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > 2 * SIZE {
            let kept = SIZE.saturating_sub(bytes.len()).min(self.bytes.len());
            let gone = self.bytes.len() - kept;
            self.cut_front(gone);
            let skipped = bytes.len().saturating_sub(SIZE);
            self.beheaded |= skipped > 0;
            self.bytes.extend_from_slice(&bytes[skipped..]);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn cut_front(&mut self, count: usize) {
        self.beheaded |= count > 0;
        self.bytes.drain(..count);
    }

    /// Returns the last lines, without newlines and control characters.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut bytes = &self.bytes[self.bytes.len().saturating_sub(SIZE)..];
        let beheaded = self.beheaded || bytes.len() < self.bytes.len();
        if beheaded
            && let Some(end) = memchr(b'\n', bytes)
            && end + 1 < bytes.len()
        {
            bytes = &bytes[end + 1..];
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.is_empty() {
            return Vec::new();
        }
        let lines: Vec<_> = bytes.split(|&byte| byte == b'\n').collect();
        let skipped = lines.len().saturating_sub(LINES);
        lines[skipped..].iter().map(|line| harmless(&String::from_utf8_lossy(line))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(parts: &[&[u8]]) -> Vec<String> {
        let mut tail = Tail::default();
        for part in parts {
            tail.push(part);
        }
        tail.lines()
    }

    #[test]
    fn the_last_five_lines() {
        assert_eq!(tail_of(&[]), Vec::<String>::new());
        assert_eq!(tail_of(&[b"one\n"]), ["one"]);
        assert_eq!(tail_of(&[b"one\ntw", b"o"]), ["one", "two"]);
        assert_eq!(tail_of(&[b"1\n2\n3\n", b"4\n\n6\n7\n"]), ["3", "4", "", "6", "7"]);
        assert_eq!(tail_of(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
        assert_eq!(tail_of(&[b"a\0b\x1b[1mc\r\n"]), ["a b [1mc "]);
    }

    #[test]
    fn two_kibibytes_at_most_and_no_line_without_its_beginning() {
        let long = [b'x'; 3 * SIZE];
        assert_eq!(tail_of(&[&long, b"\nlast\n"]), ["last"]);
        assert_eq!(tail_of(&[&long]), ["x".repeat(SIZE)], "better than nothing");
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("line {number}\n").as_bytes());
            assert!(tail.bytes.len() <= 2 * SIZE);
        }
        assert_eq!(tail.lines()[0], "line 9995");
        assert_eq!(tail.lines().len(), 5);
    }
}
