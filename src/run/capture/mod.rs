//! The output of a unit, which trc reads from a pipe and writes line by line with a prefix.

mod file;
mod matcher;
mod pipe;
mod tail;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::{memchr, memchr_iter, memrchr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::isatty;

use super::control::ring::Tap;
use super::journal::Journal;
use super::os::clock::now;
use crate::journal::{Source, Stream};
pub(crate) use file::LogFile;
use matcher::Matchers;
pub(crate) use matcher::{Found, Matcher, Sought};
pub use pipe::pipe;
pub(crate) use pipe::{PIPE_SIZE, give, pty};
pub(crate) use tail::Tail;

/// The number of bytes that trc reads at once if the output goes to a file. It is also the most
/// that one [`Capture::readable`] reads, so that no unit starves the others.
pub const READ: usize = 128 * 1024;
/// The number of bytes that trc reads at once if the reader may be slow. If lines are short, more
/// would become larger with its prefixes than the queue.
const READ_AHEAD: usize = 16 * 1024;
/// A read of fewer bytes counts as a read of single lines.
const SHORT: usize = 4 * 1024;
/// After this many such reads in a row, each within [`REST`] of the one before …
const SHORT_READS: u32 = 16;
/// … trc leaves the pipe alone for this time, which makes many short lines four times cheaper.
const REST: Duration = Duration::from_millis(1);

/// The longest line in a file, in bytes. A line that is read at once is shorter, and one that comes
/// in parts is cut here.
const LONGEST: usize = READ;

/// The result of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Nothing was read, because the reader of the log is slow and the unit has to wait.
    Held,
    /// There is nothing more to read at present.
    Drained,
    /// There may be more.
    More,
    /// All writers have closed the pipe, and everything that they wrote has been passed on.
    Ended,
}

/// One of the two output streams of a unit since one start.
#[derive(Debug)]
pub struct Capture {
    /// The pipe; `None` once it has ended, because the last lines are kept for longer than the
    /// pipe, and for syslog.
    pipe: Option<OwnedFd>,
    source: Source,
    partial: Vec<u8>,
    tail: Tail,
    matchers: Matchers,
    /// The file that the output goes to, and the beginning of its next line.
    file: Option<(Rc<LogFile>, Vec<u8>)>,
    /// Whether the output goes to trc's own output, too.
    logged: bool,
    /// Where the last output of units is kept.
    tap: Option<Tap>,
    /// The number of lines so far.
    lines: u64,
    /// The matches so far.
    matched: Vec<Found>,
    /// Whether the lines come by syslog, and not by a pipe.
    syslog: bool,
    short_reads: u32,
    last_read: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Capture {
    /// Reads from `pipe`, the non-blocking end of [`pipe()`].
    #[must_use]
    pub fn new(pipe: OwnedFd, source: Source) -> Self {
        Self { pipe: Some(pipe), ..Self::without_pipe(source) }
    }

    /// Takes the lines that come by [syslog](Self::sent).
    pub(crate) fn of_syslog(source: Source) -> Self {
        Self { syslog: true, ..Self::without_pipe(source) }
    }

    fn without_pipe(source: Source) -> Self {
        Self {
            pipe: None,
            source,
            partial: Vec::new(),
            tail: Tail::default(),
            matchers: Matchers::default(),
            file: None,
            logged: true,
            tap: None,
            lines: 0,
            matched: Vec::new(),
            syslog: false,
            short_reads: 0,
            last_read: None,
            rests_until: None,
        }
    }

    /// Sends the output to a file, unchanged, and to the log as well if `logged`.
    pub fn write_to(&mut self, file: Rc<LogFile>, logged: bool) {
        self.file = Some((file, Vec::new()));
        self.logged = logged;
    }

    /// Adds searches for lines.
    pub fn look_for(&mut self, matchers: Vec<Matcher>) {
        self.matchers = Matchers::new(matchers);
    }

    /// Returns the matches since the last call.
    pub fn take_matched(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.matched)
    }

    /// Makes the output searched only, and not logged.
    pub fn hide(&mut self) {
        self.logged = false;
    }

    /// Also keeps the output.
    pub(crate) fn keep(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Returns whether the lines come by syslog.
    pub(crate) fn is_of_syslog(&self) -> bool {
        self.syslog
    }

    /// Takes a line that the process `pid` has sent by syslog. It goes where the unit's output goes.
    pub(crate) fn sent(&mut self, journal: &Journal, pid: i32, level: log::Level, line: &[u8]) {
        let whole = [line, b"\n"].concat();
        if let Some((file, _)) = &self.file {
            file.write(&whole);
        }
        if self.logged {
            journal.sent(&self.source, pid, level, line);
        }
        self.tail.push(&whole);
        self.lines += 1;
        if let Some(tap) = &self.tap {
            tap.take(pid, Stream::Syslog, &whole);
        }
        self.matchers.push(&whole, &mut self.matched);
    }

    /// Returns the origin of the output.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the number of lines so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns whether the unit has printed nothing so far.
    pub fn is_silent(&self) -> bool {
        self.last_read.is_none()
    }

    /// Returns whether to poll the pipe for `POLLIN` now. If not, the `POLLOUT` of a full queue or
    /// one of the deadlines ([`Capture::next_deadline`], [`Journal::next_deadline`]) changes that.
    #[must_use]
    pub fn wants_read(&self, journal: &Journal, now: Instant) -> bool {
        self.pipe.is_some()
            && self.rests_until.is_none_or(|until| until <= now)
            && !self.is_held_back(journal, now)
    }

    /// Returns the time at which to poll a pipe again that is left alone for a moment.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| self.pipe.is_some() && *until > now)
    }

    /// Reads once, at most [`READ`] bytes, and writes the complete lines. To be called when the
    /// pipe is readable or has hung up.
    pub fn readable(&mut self, journal: &Journal, now: Instant) -> Progress {
        if self.pipe.is_some() && self.is_held_back(journal, now) {
            return Progress::Held;
        }
        self.read(journal, now)
    }

    fn read(&mut self, journal: &Journal, now: Instant) -> Progress {
        let Some(pipe) = &self.pipe else { return Progress::Ended };
        let side = self.source.side();
        let apart = !self.logged && self.file.is_some();
        let most = if apart || journal.is_file(side) { READ } else { READ_AHEAD };
        // trc rotates a file once at a time, and serves others in between.
        let most = self.file.as_ref().map_or(most, |(file, _)| file.room_at_most(most));
        let count = journal.with_scratch(most, |scratch| {
            let count = nix::unistd::read(pipe, scratch)?;
            if let Some((file, partial)) = &mut self.file {
                append(file, partial, &scratch[..count]);
            }
            if self.logged {
                journal.captured(&self.source, &mut self.partial, &scratch[..count]);
            }
            self.tail.push(&scratch[..count]);
            self.lines += memchr_iter(b'\n', &scratch[..count]).count() as u64;
            if let Some(tap) = &self.tap {
                tap.take(self.source.pid(), side, &scratch[..count]);
            }
            self.matchers.push(&scratch[..count], &mut self.matched);
            Ok(count)
        });
        match count {
            Ok(0) => {
                self.end(journal);
                Progress::Ended
            }
            Err(errno) if self.has_hung_up(errno) => {
                self.end(journal);
                Progress::Ended
            }
            Ok(count) => {
                self.pace(count, now);
                if count == most { Progress::More } else { Progress::Drained }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Progress::Drained,
            Err(errno) => {
                self.end(journal);
                log::warn!("cannot read the output of {}: {}", self.source.unit(), errno.desc());
                Progress::Ended
            }
        }
    }

    /// Returns whether this error of a read says that nobody has the pseudo-terminal any more, pty(7).
    fn has_hung_up(&self, errno: Errno) -> bool {
        errno == Errno::EIO && self.pipe.as_ref().is_some_and(|pty| isatty(pty) == Ok(true))
    }

    /// Returns whether the unit has to wait because the reader of the log is slow.
    fn is_held_back(&self, journal: &Journal, now: Instant) -> bool {
        self.logged && journal.holds_back(self.source.side(), now)
    }

    fn end(&mut self, journal: &Journal) {
        self.pipe = None;
        if let Some(tap) = &self.tap {
            tap.end(self.source.pid(), self.source.side());
        }
        self.matchers.finish(&mut self.matched);
        if let Some((file, partial)) = &mut self.file
            && !partial.is_empty()
        {
            partial.push(b'\n');
            file.write(partial);
            *partial = Vec::new();
        }
        if self.logged {
            journal.captured_end(&self.source, &mut self.partial);
        }
        self.partial = Vec::new();
    }

    /// Lets a writer of many single lines collect some before the next read.
    fn pace(&mut self, count: usize, now: Instant) {
        let soon =
            self.last_read.is_some_and(|last| now.saturating_duration_since(last) <= 2 * REST);
        self.short_reads = if count < SHORT && soon { self.short_reads + 1 } else { 0 };
        self.last_read = Some(now);
        self.rests_until = (self.short_reads >= SHORT_READS).then(|| now + REST);
    }

    /// Reads the contents of the pipe when the unit has exited, so that its last lines come before
    /// the log's line about the exit. Background processes of the unit may keep the pipe open; the
    /// capture lives until [`Progress::Ended`].
    pub fn drain_available(&mut self, journal: &Journal, now: Instant) -> Progress {
        let mut progress = Progress::More;
        for _ in 0..=PIPE_SIZE / READ_AHEAD {
            progress = self.readable(journal, now);
            // A short read of a pipe may have been one page of several.
            if matches!(progress, Progress::Held | Progress::Ended) {
                break;
            }
        }
        self.rests_until = None;
        progress
    }

    /// Reads the contents of the pipe, however slow the reader of the log is. Lines for which there
    /// is no room are dropped and counted, as always.
    pub fn catch_up(&mut self, journal: &Journal, now: Instant) {
        for _ in 0..=PIPE_SIZE / READ_AHEAD {
            match self.read(journal, now) {
                Progress::Ended => break,
                // A short read of a pipe may have been one page of several.
                Progress::Drained if !self.has_more() => break,
                Progress::Held | Progress::More | Progress::Drained => {}
            }
        }
    }

    /// Reads the contents of the pipe, and then closes it: the unit has been started so often that
    /// its pipes would use up trc's file descriptors. If the reader of the log is slow, lines are
    /// dropped and counted. Returns whether there may still be writers.
    pub fn let_go(&mut self, journal: &Journal, now: Instant) -> bool {
        for _ in 0..=PIPE_SIZE / READ_AHEAD {
            let held = self.is_held_back(journal, now);
            let progress = if held { self.give_up(journal) } else { self.read(journal, now) };
            match progress {
                Progress::Ended => return false,
                Progress::Drained if !self.has_more() => break,
                Progress::Held | Progress::More | Progress::Drained => {}
            }
        }
        self.end(journal);
        true
    }

    /// Reads once, and discards the bytes.
    fn give_up(&mut self, journal: &Journal) -> Progress {
        let Some(pipe) = &self.pipe else { return Progress::Ended };
        let side = self.source.side();
        let count: nix::Result<usize> = journal.with_scratch(READ_AHEAD, |scratch| {
            let count = nix::unistd::read(pipe, scratch)?;
            if let Some((file, partial)) = &mut self.file {
                append(file, partial, &scratch[..count]);
            }
            journal.give_up(side, &scratch[..count]);
            self.tail.push(&scratch[..count]);
            if let Some(tap) = &self.tap {
                tap.take(self.source.pid(), side, &scratch[..count]);
            }
            self.matchers.push(&scratch[..count], &mut self.matched);
            Ok(count)
        });
        match count {
            Ok(0) => {
                self.end(journal);
                Progress::Ended
            }
            Ok(_) => Progress::More,
            Err(errno) if self.has_hung_up(errno) => {
                self.end(journal);
                Progress::Ended
            }
            Err(_) => Progress::Drained,
        }
    }

    /// At the end of the run: reads the contents of the pipe, waits for the reader of the log until
    /// `deadline` at the latest, and completes the last line. Returns whether there was one.
    pub fn finish(&mut self, journal: &Journal, deadline: Instant) -> bool {
        let mut read = true;
        loop {
            match self.readable(journal, now()) {
                Progress::Ended => break,
                Progress::Held if !journal.wait_writable(deadline) => {
                    read = false;
                    break;
                }
                // A short read may have returned one page of several, so trc reads until the pipe
                // is empty.
                Progress::Drained if !self.has_more() => break,
                Progress::Held | Progress::More | Progress::Drained => {}
            }
            if now() >= deadline {
                break;
            }
        }
        if self.pipe.is_some() {
            self.end(journal);
        }
        read
    }

    /// Returns whether there is anything to read at present.
    fn has_more(&self) -> bool {
        let Some(pipe) = self.fd() else { return false };
        let mut polled = [PollFd::new(pipe, PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Returns the descriptor to poll.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Returns whether all writers have closed the pipe, and everything that they wrote has been
    /// passed on.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Returns the last lines for the report of a failure: at most five lines and 2 KiB, without
    /// newlines, with U+FFFD for bytes that are not UTF-8.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        self.tail.lines()
    }
}

/// Writes the lines that end in `bytes` to a file, and keeps the rest as the beginning of the next
/// line.
fn append(file: &LogFile, partial: &mut Vec<u8>, mut bytes: &[u8]) {
    // Only a line that began in an earlier read can become too long.
    let first = memchr(b'\n', bytes).unwrap_or(bytes.len());
    if partial.len() + first > LONGEST {
        let (fits, rest) = bytes.split_at(LONGEST - partial.len());
        partial.extend_from_slice(fits);
        partial.push(b'\n');
        file.write(partial);
        partial.clear();
        bytes = rest;
    }
    let whole = memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    let (lines, rest) = bytes.split_at(whole);
    if partial.is_empty() {
        file.write(lines);
    } else if !lines.is_empty() {
        partial.extend_from_slice(lines);
        file.write(partial);
        partial.clear();
    }
    partial.extend_from_slice(rest);
}

#[cfg(test)]
mod tests;
