//! The last output of units, for `GET /v1/logs`.
//!
//! The bytes are kept as they were read, and are split into lines only when somebody asks, so that
//! keeping them costs a copy. All units share one limit. If it is exceeded, the unit that has the
//! most loses its oldest bytes, so that a talkative unit does not push out the others.
//!
//! A position counts the bytes of all units since the run began. The `seq` of a line is the
//! position of its newline, so lines come in the order in which they were completed.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::SystemTime;

use memchr::{memchr, memchr_iter};

use crate::graph::UnitId;
use crate::journal::{Side, utc};
use crate::wire::{Amount, Entry, Gap, Written};

/// The memory that a chunk takes besides its bytes.
const OVERHEAD: usize = 64;

/// Bytes that were read at once.
struct Chunk {
    /// The position of the first byte.
    at: u64,
    length: usize,
    /// The number of newlines among them.
    lines: u64,
    time: SystemTime,
    pid: i32,
    side: Side,
    /// The position of the chunk in which the first line of this one began, if it is another one.
    began: Option<u64>,
}

/// The chunks of a unit.
#[derive(Default)]
struct Share {
    chunks: VecDeque<Chunk>,
    /// The bytes of all chunks.
    bytes: VecDeque<u8>,
    /// The lines that are not complete: their streams, and the chunks in which they began.
    open: Vec<(i32, Side, u64)>,
    /// The positions of the first and the last byte that were dropped, and their number.
    dropped: Option<(u64, u64)>,
    /// All output so far, and the part of it that was dropped.
    seen: Amount,
    lost: Amount,
}

/// The last output of all units.
pub(crate) struct Ring {
    limit: usize,
    used: usize,
    /// The position of the next byte.
    next: u64,
    shares: BTreeMap<UnitId, Share>,
}

/// A complete line.
struct Line<'a> {
    seq: u64,
    chunk: &'a Chunk,
    bytes: Vec<u8>,
}

/// The lines that somebody wants.
pub(crate) struct Wanted<'a> {
    /// Whether the lines of a unit are wanted.
    pub of: &'a dyn Fn(UnitId) -> bool,
    /// The text that a line has to contain.
    pub grep: Option<&'a str>,
}

/// One of the streams of a process, which goes to the ring.
#[derive(Clone)]
pub(crate) struct Tap {
    /// The ring.
    pub ring: Rc<RefCell<Ring>>,
    /// The unit.
    pub unit: UnitId,
    /// The clock.
    pub clock: fn() -> SystemTime,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Tap({:?})", self.unit)
    }
}

impl Tap {
    /// Keeps bytes that the process has written.
    pub(crate) fn take(&self, pid: i32, side: Side, bytes: &[u8]) {
        self.ring.borrow_mut().push(self.unit, pid, side, bytes, (self.clock)());
    }

    /// Completes the last line of the stream, which has ended.
    pub(crate) fn end(&self, pid: i32, side: Side) {
        let mut ring = self.ring.borrow_mut();
        if ring.is_open(self.unit, pid, side) {
            ring.push(self.unit, pid, side, b"\n", (self.clock)());
        }
    }
}

impl Ring {
    /// Returns whether the last line of a stream is not complete.
    fn is_open(&self, unit: UnitId, pid: i32, side: Side) -> bool {
        let open = |share: &Share| share.open.iter().any(|(p, s, _)| (*p, *s) == (pid, side));
        self.shares.get(&unit).is_some_and(open)
    }

    /// Returns a ring that keeps about this many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, next: 0, shares: BTreeMap::new() }
    }

    /// Forgets the output of a unit.
    pub(crate) fn forget(&mut self, unit: UnitId) {
        if let Some(share) = self.shares.remove(&unit) {
            self.used -= share.size();
        }
    }

    /// Returns how much output a unit has had so far, and how much of it was dropped.
    pub(crate) fn amounts(&self, unit: UnitId) -> (Amount, Amount) {
        self.shares.get(&unit).map_or_else(Default::default, |share| (share.seen, share.lost))
    }

    /// Returns the position of the next byte.
    pub(crate) fn end(&self) -> u64 {
        self.next
    }

    /// Keeps bytes that a unit's process has written to one of its streams.
    pub(crate) fn push(
        &mut self,
        unit: UnitId,
        pid: i32,
        side: Side,
        bytes: &[u8],
        time: SystemTime,
    ) {
        let at = self.next;
        self.next += bytes.len() as u64;
        if bytes.is_empty() {
            return;
        }
        let share = self.shares.entry(unit).or_default();
        let lines = newlines(bytes);
        share.seen.add(bytes.len(), lines);
        if self.limit == 0 {
            return share.lost.add(bytes.len(), lines);
        }
        // What would be dropped at once is not copied.
        let cut = bytes.len().saturating_sub(self.limit);
        if cut > 0 {
            share.drop_all(&mut self.used);
            share.lacks(at, at + cut as u64 - 1);
        }
        let (gone, kept) = bytes.split_at(cut);
        let cut_lines = newlines(gone);
        share.lost.add(cut, cut_lines);
        let (at, lines) = (at + cut as u64, lines - cut_lines);
        share.push(Chunk { at, length: 0, lines, time, pid, side, began: None }, kept);
        self.used += bytes.len() - cut + OVERHEAD;
        while self.used > self.limit + OVERHEAD {
            let fair = self.limit / self.shares.len();
            let own = self.shares.get(&unit).is_some_and(|share| share.size() > fair);
            // It is the own share nearly always.
            let largest = || self.shares.iter().max_by_key(|(_, share)| share.size());
            let victim = if own { unit } else { largest().map_or(unit, |(id, _)| *id) };
            let Some(share) = self.shares.get_mut(&victim) else { return };
            share.drop_first(&mut self.used);
        }
    }

    /// Returns the position from which on there are the last `count` lines that are wanted.
    pub(crate) fn last(&self, count: usize, wanted: &Wanted<'_>) -> u64 {
        let mut all: Vec<u64> = Vec::new();
        for (_, share) in self.shares.iter().filter(|(id, _)| (wanted.of)(**id)) {
            let lines = share.lines(0);
            all.extend(lines.iter().filter(|line| line.has(wanted.grep)).map(|line| line.seq));
        }
        all.sort_unstable();
        let first = all.len().saturating_sub(count);
        all.get(first).copied().unwrap_or(self.next)
    }

    /// Returns the lines that are wanted from a position on, about `most` bytes of them, and the
    /// position from which to go on. `name` returns the name of a unit.
    pub(crate) fn read(
        &self,
        from: u64,
        most: usize,
        wanted: &Wanted<'_>,
        name: &dyn Fn(UnitId) -> String,
    ) -> (Vec<Entry>, u64) {
        let mut lines: Vec<(UnitId, Line<'_>)> = Vec::new();
        let mut missing = 0;
        for (id, share) in self.shares.iter().filter(|(id, _)| (wanted.of)(**id)) {
            missing += share.missing(from);
            lines.extend(share.lines(from).into_iter().map(|line| (*id, line)));
        }
        lines.sort_unstable_by_key(|(_, line)| line.seq);
        let mut entries = Vec::new();
        if missing > 0 {
            entries.push(Entry::Gap(Gap { seq: from, missing }));
        }
        let mut size = 0;
        for (id, line) in lines {
            if size >= most {
                return (entries, line.seq);
            }
            if line.has(wanted.grep) {
                size += line.bytes.len() + OVERHEAD;
                entries.push(Entry::Written(line.written(name(id))));
            }
        }
        (entries, self.next)
    }
}

impl Share {
    fn size(&self) -> usize {
        self.bytes.len() + self.chunks.len() * OVERHEAD
    }

    fn push(&mut self, mut chunk: Chunk, bytes: &[u8]) {
        let open = |(pid, side, _): &(i32, Side, u64)| (*pid, *side) == (chunk.pid, chunk.side);
        let begun = self.open.iter().position(open).map(|at| self.open.swap_remove(at).2);
        chunk.began = begun;
        chunk.length = bytes.len();
        if bytes.last() != Some(&b'\n') {
            // A long line goes on, or a new one has begun in this chunk.
            let here = if memchr(b'\n', bytes).is_some() { None } else { begun };
            self.open.push((chunk.pid, chunk.side, here.unwrap_or(chunk.at)));
        }
        self.bytes.extend(bytes);
        self.chunks.push_back(chunk);
    }

    fn drop_first(&mut self, used: &mut usize) {
        let Some(Chunk { at, length, lines, .. }) = self.chunks.pop_front() else { return };
        self.bytes.drain(..length);
        self.lost.add(length, lines);
        *used -= length + OVERHEAD;
        self.lacks(at, at + length as u64 - 1);
        self.open.retain(|(_, _, began)| *began > at);
        // What a unit had when it was the only one that talked is for the others now.
        if self.bytes.capacity() > 4 * self.bytes.len() + 4096 {
            self.bytes.shrink_to(2 * self.bytes.len());
        }
    }

    fn drop_all(&mut self, used: &mut usize) {
        while !self.chunks.is_empty() {
            self.drop_first(used);
        }
    }

    /// Notes that the bytes at these positions are not there.
    fn lacks(&mut self, first: u64, last: u64) {
        self.dropped = Some((self.dropped.map_or(first, |(first, _)| first), last));
    }

    /// Returns about how many bytes are missing from a position on.
    fn missing(&self, from: u64) -> u64 {
        let Some((first, last)) = self.dropped else { return 0 };
        if from > last { 0 } else { last + 1 - from.max(first) }
    }

    /// Returns the lines that are complete at a position or later.
    fn lines(&self, from: u64) -> Vec<Line<'_>> {
        let of =
            |at: u64| self.chunks.partition_point(|chunk| chunk.at + (chunk.length as u64) <= at);
        let first = of(from);
        let mut begin = first;
        for chunk in self.chunks.range(first..) {
            begin = begin.min(chunk.began.map_or(begin, of));
        }
        let before: usize = self.chunks.range(..begin).map(|chunk| chunk.length).sum();
        let (mut lines, mut start) = (Vec::new(), before);
        let mut open: Vec<(i32, Side, Vec<u8>)> = Vec::new();
        for chunk in self.chunks.range(begin..) {
            let bytes = self.copy(start, chunk.length);
            start += chunk.length;
            let stream = (chunk.pid, chunk.side);
            let at = open.iter().position(|(pid, side, _)| (*pid, *side) == stream);
            let mut line = at.map(|at| open.swap_remove(at).2).unwrap_or_default();
            let mut rest = &bytes[..];
            while let Some(end) = memchr(b'\n', rest) {
                line.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                let seq = chunk.at + (bytes.len() - rest.len()) as u64 - 1;
                let bytes = std::mem::take(&mut line);
                if seq >= from {
                    lines.push(Line { seq, chunk, bytes });
                }
            }
            line.extend_from_slice(rest);
            if !line.is_empty() {
                open.push((chunk.pid, chunk.side, line));
            }
        }
        lines
    }

    fn copy(&self, start: usize, length: usize) -> Vec<u8> {
        let (left, right) = self.bytes.as_slices();
        let part =
            |of: &[u8], from: usize, to: usize| of[from.min(of.len())..to.min(of.len())].to_vec();
        let end = start + length;
        let mut bytes = part(left, start, end);
        let skip = |at: usize| at.saturating_sub(left.len());
        bytes.extend(part(right, skip(start), skip(end)));
        bytes
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

impl Line<'_> {
    fn has(&self, text: Option<&str>) -> bool {
        text.is_none_or(|text| memchr::memmem::find(&self.bytes, text.as_bytes()).is_some())
    }

    fn written(self, unit: String) -> Written {
        let (time, milliseconds) = utc(self.chunk.time);
        Written {
            seq: self.seq,
            time: format!("{time}.{milliseconds:03}Z"),
            unit,
            pid: self.chunk.pid,
            stream: self.chunk.side.name().to_owned(),
            line: String::from_utf8_lossy(&self.bytes).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Wanted<'_> = Wanted { of: &|_| true, grep: None };

    fn push(ring: &mut Ring, unit: usize, side: Side, text: &str) {
        ring.push(UnitId(unit), 7, side, text.as_bytes(), SystemTime::UNIX_EPOCH);
    }

    /// Returns the lines, with `N missing` for a gap.
    fn read(ring: &Ring, from: u64, wanted: &Wanted<'_>) -> Vec<String> {
        let (mut all, mut from) = (Vec::new(), from);
        loop {
            let (entries, next) = ring.read(from, 20, wanted, &|id| id.0.to_string());
            all.extend(entries.into_iter().map(|entry| match entry {
                Entry::Written(line) => format!("{}:{}", line.unit, line.line),
                Entry::Gap(gap) => format!("{} missing", gap.missing),
                Entry::Said(_) => unreachable!(),
            }));
            if next == ring.end() {
                return all;
            }
            assert!(next > from);
            from = next;
        }
    }

    #[test]
    fn lines_come_in_the_order_in_which_they_were_completed() {
        let mut ring = Ring::new(1000);
        push(&mut ring, 1, Side::Out, "one\nhel");
        push(&mut ring, 2, Side::Out, "two\n");
        let seen = ring.end();
        push(&mut ring, 1, Side::Err, "thr");
        push(&mut ring, 1, Side::Out, "lo ");
        push(&mut ring, 1, Side::Err, "ee\n");
        push(&mut ring, 1, Side::Out, "world\nopen");
        assert_eq!(read(&ring, 0, &ALL), ["1:one", "2:two", "1:three", "1:hello world"]);
        assert_eq!(read(&ring, seen, &ALL), ["1:three", "1:hello world"]);
        let second = Wanted { of: &|id| id == UnitId(2), grep: None };
        assert_eq!(read(&ring, 0, &second), ["2:two"]);
        let hello = Wanted { of: &|_| true, grep: Some("o w") };
        assert_eq!(read(&ring, 0, &hello), ["1:hello world"]);
        assert_eq!(read(&ring, ring.last(2, &ALL), &ALL), ["1:three", "1:hello world"]);
        assert_eq!(read(&ring, ring.last(99, &ALL), &ALL).len(), 4);
        assert!(read(&ring, ring.last(0, &ALL), &ALL).is_empty());
    }

    #[test]
    fn a_talkative_unit_does_not_push_out_the_others() {
        let mut ring = Ring::new(1000);
        push(&mut ring, 1, Side::Out, "quiet\n");
        for number in 0..100 {
            push(&mut ring, 2, Side::Out, &format!("{number}\n"));
        }
        let all = read(&ring, 0, &ALL);
        assert_eq!(all[0], format!("{} missing", 100 * 3 - 10 - 3 * (all.len() - 2)));
        assert_eq!((all[1].as_str(), all.last().unwrap().as_str()), ("1:quiet", "2:99"));
        assert!(ring.used <= ring.limit + OVERHEAD, "{}", ring.used);
        let amount =
            |bytes: usize, lines: usize| Amount { bytes: bytes as u64, lines: lines as u64 };
        assert_eq!(ring.amounts(UnitId(1)), (amount(6, 1), Amount::default()));
        let kept = all.len() - 2;
        let dropped = amount(100 * 3 - 10 - 3 * kept, 100 - kept);
        assert_eq!(ring.amounts(UnitId(2)), (amount(100 * 3 - 10, 100), dropped));
    }

    #[test]
    fn a_reader_is_told_what_it_has_missed() {
        let mut ring = Ring::new(200);
        push(&mut ring, 1, Side::Out, "seen\n");
        let seen = ring.end();
        push(&mut ring, 1, Side::Out, &"x".repeat(150));
        push(&mut ring, 1, Side::Out, "tail\nlast\n");
        assert_eq!(read(&ring, seen, &ALL), ["150 missing", "1:tail", "1:last"]);
        // More than fits at once.
        let seen = ring.end();
        push(&mut ring, 1, Side::Out, &format!("{}\nend\n", "y".repeat(500)));
        assert_eq!(read(&ring, seen, &ALL)[0], "305 missing");
        assert!(read(&ring, seen, &ALL)[1].ends_with('y'));
        assert_eq!(ring.amounts(UnitId(1)).1, Amount { bytes: 150 + 15 + 305, lines: 3 });
        assert_eq!(read(&ring, seen, &ALL)[2], "1:end");
        assert_eq!(ring.used, ring.shares[&UnitId(1)].size());
    }

    #[test]
    fn a_ring_of_size_0_keeps_nothing() {
        let mut ring = Ring::new(0);
        push(&mut ring, 1, Side::Out, "gone\n");
        assert!(read(&ring, 0, &ALL).is_empty());
        let gone = Amount { bytes: 5, lines: 1 };
        assert_eq!(ring.amounts(UnitId(1)), (gone, gone));
    }

    #[test]
    fn memory_that_one_unit_had_is_for_the_others_later() {
        let mut ring = Ring::new(100_000);
        for unit in 0..20 {
            for _ in 0..100 {
                push(&mut ring, unit, Side::Out, &"x\n".repeat(1000));
            }
        }
        let capacity: usize = ring.shares.values().map(|share| share.bytes.capacity()).sum();
        assert!(capacity < 4 * ring.limit + 20 * 8192, "{capacity}");
        assert_eq!(ring.used, ring.shares.values().map(Share::size).sum::<usize>());
    }
}
