//! The last lines of trc itself, for `GET /v1/events`.

use std::collections::VecDeque;
use std::time::SystemTime;

use log::Level;

use crate::journal::utc;
use crate::wire::{Entry, Gap, Said};

/// The number of bytes of messages that are kept, and the largest number of lines.
const BYTES: usize = 256 * 1024;
const LINES: usize = 4096;
/// The number of bytes of a message that are kept.
const LONGEST: usize = 4096;

/// The last lines of trc.
#[derive(Default)]
pub(crate) struct Lines {
    kept: VecDeque<(SystemTime, Said)>,
    bytes: usize,
    /// The number of the next line.
    next: u64,
}

/// The lines that somebody wants.
pub(crate) struct Wanted<'a> {
    /// The units; all lines, if empty.
    pub units: &'a [String],
    /// The text that a message has to contain.
    pub grep: Option<&'a str>,
}

impl Lines {
    /// Returns the number of the next line.
    pub(crate) fn end(&self) -> u64 {
        self.next
    }

    /// Keeps a line.
    pub(crate) fn push(
        &mut self,
        time: SystemTime,
        level: Level,
        event: &str,
        unit: Option<String>,
        exitcode: Option<u8>,
        message: &str,
    ) {
        let cut = (0..=message.len().min(LONGEST)).rev().find(|at| message.is_char_boundary(*at));
        let message = message[..cut.unwrap_or(0)].to_owned();
        self.bytes += message.len();
        let level = level.as_str().to_ascii_lowercase();
        // The time is written out when somebody asks.
        let (seq, empty) = (self.next, String::new());
        let said =
            Said { seq, time: empty, level, event: event.to_owned(), unit, exitcode, message };
        self.kept.push_back((time, said));
        self.next += 1;
        while self.bytes > BYTES || self.kept.len() > LINES {
            let Some((_, line)) = self.kept.pop_front() else { return };
            self.bytes -= line.message.len();
        }
    }

    /// Returns the number of the first of the last `count` lines that are wanted.
    pub(crate) fn last(&self, count: usize, wanted: &Wanted<'_>) -> u64 {
        let all = self.kept.iter().rev().map(|(_, line)| line).filter(|line| wanted.has(line));
        all.take(count).last().map_or(self.next, |line| line.seq)
    }

    /// Returns the lines that are wanted from a number on, at most `most`, and the number from which
    /// to go on.
    pub(crate) fn read(&self, from: u64, most: usize, wanted: &Wanted<'_>) -> (Vec<Entry>, u64) {
        let first = self.next - self.kept.len() as u64;
        let mut entries = Vec::new();
        if from < first {
            entries.push(Entry::Gap(Gap { seq: from, missing: first - from }));
        }
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        for (time, line) in self.kept.iter().skip(skipped) {
            if entries.len() > most {
                return (entries, line.seq);
            }
            if wanted.has(line) {
                let (time, milliseconds) = utc(*time);
                let time = format!("{time}.{milliseconds:03}Z");
                entries.push(Entry::Said(Said { time, ..line.clone() }));
            }
        }
        (entries, self.next)
    }
}

impl Wanted<'_> {
    fn has(&self, line: &Said) -> bool {
        let unit = |unit: &String| self.units.contains(unit);
        (self.units.is_empty() || line.unit.as_ref().is_some_and(unit))
            && self.grep.is_none_or(|text| line.message.contains(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted<'_> = Wanted { units: &[], grep: None };

    fn push(lines: &mut Lines, unit: Option<&str>, message: &str) {
        let time = SystemTime::UNIX_EPOCH;
        lines.push(time, Level::Info, "ready", unit.map(str::to_owned), None, message);
    }

    fn read(lines: &Lines, from: u64, wanted: &Wanted<'_>) -> Vec<String> {
        let (mut all, mut from) = (Vec::new(), from);
        loop {
            let (entries, next) = lines.read(from, 3, wanted);
            all.extend(entries.into_iter().map(|entry| match entry {
                Entry::Said(said) => said.message,
                Entry::Gap(gap) => format!("{} missing", gap.missing),
                Entry::Written(_) => unreachable!(),
            }));
            if next == lines.end() {
                return all;
            }
            from = next;
        }
    }

    #[test]
    fn lines_are_found_by_number_unit_and_text() {
        let mut lines = Lines::default();
        push(&mut lines, None, "begin");
        push(&mut lines, Some("async.a"), "a is ready");
        push(&mut lines, Some("async.b"), "b is ready");
        push(&mut lines, Some("async.a"), "a is gone");
        assert_eq!(read(&lines, 0, &ALL).len(), 4);
        assert_eq!(read(&lines, 3, &ALL), ["a is gone"]);
        let units = ["async.a".to_owned()];
        let a = Wanted { units: &units, grep: None };
        assert_eq!(read(&lines, 0, &a), ["a is ready", "a is gone"]);
        assert_eq!(read(&lines, lines.last(1, &a), &a), ["a is gone"]);
        assert_eq!(lines.last(0, &a), 4);
        let ready = Wanted { units: &[], grep: Some("ready") };
        assert_eq!(read(&lines, lines.last(9, &ready), &ready), ["a is ready", "b is ready"]);
    }

    #[test]
    fn old_lines_are_dropped_and_a_reader_is_told() {
        let mut lines = Lines::default();
        for number in 0..LINES + 5 {
            push(&mut lines, None, &number.to_string());
        }
        let all = read(&lines, 2, &ALL);
        assert_eq!((all[0].as_str(), all[1].as_str(), all.len()), ("3 missing", "5", LINES + 1));
        for _ in 0..100 {
            push(&mut lines, None, &"ü".repeat(LONGEST));
        }
        assert!(lines.bytes <= BYTES && lines.kept.len() == BYTES / LONGEST);
    }
}
