//! The last output of units, for `GET /v1/logs`.
//!
//! The bytes are kept as they were read, and are split into lines only when somebody asks, so that
//! keeping them costs a copy. All units share one limit. If it is exceeded, the unit that has the
//! most loses its oldest bytes, so that a talkative unit does not push out the others.
//!
//! A position counts the bytes of all units since the run began. The `seq` of a line is the
//! position of its newline, so lines come in the order in which they were completed.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::SystemTime;

use memchr::{memchr, memchr_iter, memrchr};

use crate::graph::UnitId;
use crate::journal::{Stream, utc};
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
    side: Stream,
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
    open: Vec<(i32, Stream, u64)>,
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
    unit: UnitId,
    seq: u64,
    chunk: &'a Chunk,
    bytes: &'a [u8],
}

/// The place in the chunks of a unit up to which its lines have been read.
struct Cursor<'a> {
    unit: UnitId,
    share: &'a Share,
    /// The next chunk, and where its bytes begin.
    chunk: usize,
    start: usize,
    /// The beginnings of lines that are not complete yet.
    open: Vec<(i32, Stream, Vec<u8>)>,
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
    pub(crate) fn take(&self, pid: i32, side: impl Into<Stream>, bytes: &[u8]) {
        self.ring.borrow_mut().push(self.unit, pid, side.into(), bytes, (self.clock)());
    }

    /// Completes the last line of the stream, which has ended.
    pub(crate) fn end(&self, pid: i32, side: impl Into<Stream>) {
        let side = side.into();
        let mut ring = self.ring.borrow_mut();
        if ring.is_open(self.unit, pid, side) {
            ring.push(self.unit, pid, side, b"\n", (self.clock)());
        }
    }
}

impl Ring {
    /// Returns whether the last line of a stream is not complete.
    fn is_open(&self, unit: UnitId, pid: i32, side: Stream) -> bool {
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
        side: Stream,
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
        if count == 0 {
            return self.next;
        }
        if wanted.grep.is_some() {
            let mut found = VecDeque::new();
            self.walk(0, usize::MAX, wanted.of, &mut |line| {
                if line.has(wanted.grep) {
                    found.push_back(line.seq);
                    if found.len() > count {
                        found.pop_front();
                    }
                }
                true
            });
            return found.front().copied().unwrap_or(self.next);
        }
        let mut chunks: Vec<(&Chunk, &Share, usize)> = Vec::new();
        for (_, share) in self.shares.iter().filter(|(id, _)| (wanted.of)(**id)) {
            let mut start = 0;
            for chunk in &share.chunks {
                if chunk.lines > 0 {
                    chunks.push((chunk, share, start));
                }
                start += chunk.length;
            }
        }
        chunks.sort_by_key(|(chunk, ..)| Reverse(chunk.at));
        let mut left = count as u64;
        let mut first = None;
        for (chunk, share, start) in chunks {
            first = Some((chunk, share, start, chunk.lines.saturating_sub(left)));
            left = left.saturating_sub(chunk.lines);
            if left == 0 {
                break;
            }
        }
        first.map_or(self.next, |(chunk, share, start, skipped)| {
            let bytes = share.bytes(start, chunk.length);
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
            let end = memchr_iter(b'\n', &bytes).nth(skipped).unwrap_or(0);
            chunk.at + end as u64
        })
    }

    /// Returns the lines that are wanted from a position on, about `most` bytes of them, and the
    /// position from which to go on. Looks at a few times as many bytes at most, so there may be no
    /// line among them. `name` returns the name of a unit.
    pub(crate) fn read(
        &self,
        from: u64,
        most: usize,
        wanted: &Wanted<'_>,
        name: &dyn Fn(UnitId) -> String,
    ) -> (Vec<Entry>, u64) {
        let mut entries = Vec::new();
        let mut size = 0;
        let next = self.walk(from, most.saturating_mul(4), wanted.of, &mut |line| {
            if size >= most {
                return false;
            }
            if line.has(wanted.grep) {
                size += line.bytes.len() + OVERHEAD;
                entries.push(Entry::Written(line.written(name(line.unit))));
            }
            true
        });
        let shares = self.shares.iter().filter(|(id, _)| (wanted.of)(**id));
        let missing = shares.map(|(_, share)| share.missing(from) - share.missing(next)).sum();
        if missing > 0 {
            entries.insert(0, Entry::Gap(Gap { seq: from, missing }));
        }
        (entries, next)
    }

    /// Hands out the lines that are complete at a position or later, in their order, until `found`
    /// returns false or the chunks that were looked at have `most` bytes. Returns the position from
    /// which to go on.
    fn walk(
        &self,
        from: u64,
        most: usize,
        of: &dyn Fn(UnitId) -> bool,
        found: &mut dyn FnMut(&Line<'_>) -> bool,
    ) -> u64 {
        let shares = self.shares.iter().filter(|(id, _)| of(**id));
        let mut cursors: Vec<Cursor<'_>> =
            shares.map(|(id, share)| Cursor::new(*id, share, from)).collect();
        // No two chunks overlap, so whole chunks have an order.
        let at = |cursor: &Cursor<'_>| cursor.share.chunks.get(cursor.chunk).map(|it| it.at);
        let mut order: BinaryHeap<Reverse<(u64, usize)>> = cursors
            .iter()
            .enumerate()
            .filter_map(|(number, cursor)| Some(Reverse((at(cursor)?, number))))
            .collect();
        let mut seen = 0;
        while let Some(Reverse((position, number))) = order.pop() {
            if seen >= most {
                return position;
            }
            let cursor = &mut cursors[number];
            match cursor.step(from, found) {
                Ok(length) => seen += length,
                Err(seq) => return seq,
            }
            order.extend(at(cursor).map(|at| Reverse((at, number))));
        }
        self.next
    }
}

impl<'a> Cursor<'a> {
    /// Returns the place of the first chunk that has bytes at this position or later.
    fn new(unit: UnitId, share: &'a Share, from: u64) -> Self {
        let of =
            |at: u64| share.chunks.partition_point(|chunk| chunk.at + (chunk.length as u64) <= at);
        let first = of(from);
        let mut begin = first;
        let mut needed: Vec<(i32, Stream)> = Vec::new();
        let end = share.chunks.get(first).map_or(0, |chunk| chunk.at);
        for chunk in share.chunks.range(first..) {
            if let Some(began) = chunk.began.filter(|began| *began < end) {
                begin = begin.min(of(began));
                if !needed.contains(&(chunk.pid, chunk.side)) {
                    needed.push((chunk.pid, chunk.side));
                }
            }
        }
        let start = share.chunks.range(..begin).map(|chunk| chunk.length).sum();
        let mut this = Self { unit, share, chunk: begin, start, open: Vec::new() };
        while this.chunk < first {
            let chunk = &share.chunks[this.chunk];
            // Only lines that go on later are of interest.
            if needed.contains(&(chunk.pid, chunk.side)) {
                let bytes = share.bytes(this.start, chunk.length);
                let rest = memrchr(b'\n', &bytes).map_or(0, |end| end + 1);
                let mut line = this.opened(chunk);
                if rest > 0 {
                    line.clear();
                }
                line.extend_from_slice(&bytes[rest..]);
                this.leave_open(chunk, line);
            }
            this.start += chunk.length;
            this.chunk += 1;
        }
        this
    }

    /// Hands out the lines that end in the next chunk, at a position or later. Returns the length of
    /// the chunk, or the position of the line that was not wanted any more.
    fn step(&mut self, from: u64, found: &mut dyn FnMut(&Line<'_>) -> bool) -> Result<usize, u64> {
        let (share, unit) = (self.share, self.unit);
        let Some(chunk) = share.chunks.get(self.chunk) else { return Ok(0) };
        let bytes = share.bytes(self.start, chunk.length);
        let mut line = self.opened(chunk);
        let mut begin = 0;
        for end in memchr_iter(b'\n', &bytes) {
            let seq = chunk.at + end as u64;
            if seq >= from {
                let bytes = &bytes[begin..end];
                let whole = if line.is_empty() {
                    bytes
                } else {
                    line.extend_from_slice(bytes);
                    &line
                };
                if !found(&Line { unit, seq, chunk, bytes: whole }) {
                    return Err(seq);
                }
            }
            line.clear();
            begin = end + 1;
        }
        line.extend_from_slice(&bytes[begin..]);
        self.leave_open(chunk, line);
        self.start += chunk.length;
        self.chunk += 1;
        Ok(chunk.length)
    }

    fn opened(&mut self, chunk: &Chunk) -> Vec<u8> {
        let stream = (chunk.pid, chunk.side);
        let at = self.open.iter().position(|(pid, side, _)| (*pid, *side) == stream);
        at.map(|at| self.open.swap_remove(at).2).unwrap_or_default()
    }

    fn leave_open(&mut self, chunk: &Chunk, line: Vec<u8>) {
        if !line.is_empty() {
            self.open.push((chunk.pid, chunk.side, line));
        }
    }
}

impl Share {
    fn size(&self) -> usize {
        self.bytes.len() + self.chunks.len() * OVERHEAD
    }

    fn push(&mut self, mut chunk: Chunk, bytes: &[u8]) {
        let open = |(pid, side, _): &(i32, Stream, u64)| (*pid, *side) == (chunk.pid, chunk.side);
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

    /// Returns these bytes of all chunks.
    fn bytes(&self, start: usize, length: usize) -> Cow<'_, [u8]> {
        let (left, right) = self.bytes.as_slices();
        let end = start + length;
        if end <= left.len() {
            Cow::Borrowed(&left[start..end])
        } else if start >= left.len() {
            Cow::Borrowed(&right[start - left.len()..end - left.len()])
        } else {
            Cow::Owned([&left[start..], &right[..end - left.len()]].concat())
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

impl Line<'_> {
    fn has(&self, text: Option<&str>) -> bool {
        text.is_none_or(|text| memchr::memmem::find(self.bytes, text.as_bytes()).is_some())
    }

    fn written(&self, unit: String) -> Written {
        let (time, milliseconds) = utc(self.chunk.time);
        Written {
            seq: self.seq,
            time: format!("{time}.{milliseconds:03}Z"),
            unit,
            pid: self.chunk.pid,
            stream: self.chunk.side.name().to_owned(),
            line: String::from_utf8_lossy(self.bytes).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Side;

    const ALL: Wanted<'_> = Wanted { of: &|_| true, grep: None };

    fn push(ring: &mut Ring, unit: usize, side: Side, text: &str) {
        ring.push(UnitId(unit), 7, side.into(), text.as_bytes(), SystemTime::UNIX_EPOCH);
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

    #[test]
    fn lines_are_found_from_any_position_however_they_were_written() {
        let mut state = 5_u64;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let mut ring = Ring::new(1 << 20);
            let (mut at, mut all) = (0, Vec::new());
            let mut open = BTreeMap::<(u64, bool), String>::new();
            for _ in 0..next(40) {
                let (unit, err) = (next(3), next(2) == 0);
                let parts = ["a", "b\n", "\n", "ccc", "d\ne", "a\n\n"];
                let text: String =
                    (0..next(4)).map(|_| parts[usize::try_from(next(6)).unwrap()]).collect();
                let side = if err { Side::Err } else { Side::Out };
                push(&mut ring, usize::try_from(unit).unwrap(), side, &text);
                for letter in text.chars() {
                    let line = open.entry((unit, err)).or_default();
                    if letter == '\n' {
                        all.push((at, unit, std::mem::take(line)));
                    } else {
                        line.push(letter);
                    }
                    at += 1;
                }
            }
            for grep in [None, Some("a")] {
                let one = UnitId(usize::try_from(next(4)).unwrap());
                let of = |unit| one == UnitId(3) || unit == one;
                let wanted = Wanted { of: &of, grep };
                let lines: Vec<(u64, String)> = all
                    .iter()
                    .filter(|(_, unit, line)| {
                        of(UnitId(usize::try_from(*unit).unwrap()))
                            && grep.is_none_or(|text| line.contains(text))
                    })
                    .map(|(at, unit, line)| (*at, format!("{unit}:{line}")))
                    .collect();
                let from = next(at + 1);
                let expected: Vec<String> = lines
                    .iter()
                    .filter(|(at, _)| *at >= from)
                    .map(|(_, line)| line.clone())
                    .collect();
                assert_eq!(read(&ring, from, &wanted), expected);
                let count = usize::try_from(next(9)).unwrap();
                let first = lines.len().saturating_sub(count);
                let first = lines.get(first).map_or(at, |(at, _)| *at);
                assert_eq!(ring.last(count, &wanted), first);
            }
        }
    }

    #[test]
    fn a_gap_is_told_once_however_many_pages_are_read() {
        let mut ring = Ring::new(8192);
        push(&mut ring, 1, Side::Out, "quiet\n");
        for number in 0..200 {
            push(&mut ring, 2, Side::Out, &format!("{number:0>99}\n"));
        }
        let (mut from, mut missing, mut pages) = (0, 0, 0);
        while from < ring.end() {
            let (entries, next) = ring.read(from, 500, &ALL, &|_| String::new());
            missing += entries
                .iter()
                .map(|it| if let Entry::Gap(gap) = it { gap.missing } else { 0 })
                .sum::<u64>();
            (from, pages) = (next, pages + 1);
        }
        assert_eq!(missing, ring.amounts(UnitId(2)).1.bytes);
        assert!(pages > 3, "{pages}");
    }

    /// A unit that shows its progress with single dots used to hold up trc for seconds.
    #[test]
    fn a_page_is_found_at_once_among_very_many_small_chunks() {
        let mut ring = Ring::new(1 << 23);
        for _ in 0..50_000 {
            push(&mut ring, 1, Side::Err, ".");
            push(&mut ring, 1, Side::Out, "\n");
        }
        #[expect(clippy::disallowed_methods, reason = "the test measures")]
        let begun = std::time::Instant::now();
        assert!(!ring.read(ring.end() / 2, 100, &ALL, &|_| String::new()).0.is_empty());
        // It takes a few milliseconds. When each chunk was compared with all others, it took minutes.
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_search_for_what_is_not_there_is_done_piece_by_piece() {
        let mut ring = Ring::new(1 << 20);
        for number in 0..1000 {
            push(&mut ring, 1, Side::Out, &format!("{number:0>99}\n"));
        }
        let wanted = Wanted { of: &|_| true, grep: Some("x") };
        let (mut from, mut pieces) = (0, 0);
        while from < ring.end() {
            let (entries, next) = ring.read(from, 1000, &wanted, &|_| String::new());
            assert!(entries.is_empty() && next > from && next <= from + 4100);
            (from, pieces) = (next, pieces + 1);
        }
        assert_eq!(pieces, 25);
    }
}
