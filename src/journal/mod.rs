//! The one place that formats a log line, for trc's own lines and for units'
//! output. `docs/logging.md` describes the lines.
//!
//! A [`Journal`] is a handle: the poll loop has one, the `log` crate's macros
//! another ([`Journal::install`]). Nothing here blocks: lines go to
//! [`crate::run::stream`], which queues or drops what can't be written now.

mod json;
mod line;
mod logger;
mod time;

use std::fmt;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Instant, SystemTime};

use log::{Level, LevelFilter};

pub use line::{CUT_MARK, MAX_LINE};
pub use time::{Clock, Local};

use crate::config::LogFormat;
use crate::run::stream::{Dropped, Kind, Pending, Side, Streams};
use line::Frame;
use time::Stamp;

/// Formatted lines are handed on when there are this many bytes of them.
const BLOCK: usize = 256 * 1024;

/// One of trc's own lines.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Info and debug go to standard output, warn and error to standard error.
    pub level: Level,
    /// Whose line it is: `main`, or a unit's stage.
    pub stage: &'a str,
    /// trc's own pid, or the unit's.
    pub pid: i32,
    /// The unit it is about, as `STAGE.NAME`. JSON only.
    pub unit: Option<&'a str>,
    /// What happened, for machines: `started`, `exited`. JSON only.
    pub event: &'a str,
    /// The status of what ended. JSON only; the message has it too.
    pub exitcode: Option<u8>,
    /// For people. Newlines stay in text and are escaped in JSON.
    pub message: fmt::Arguments<'a>,
}

/// Where captured output comes from and which stream it goes to.
#[derive(Clone, Debug)]
pub struct Source {
    /// `async`
    stage: String,
    /// `async.web`
    unit: String,
    /// `web`, without control characters: a name can't forge a line.
    shown: String,
    pid: i32,
    side: Side,
}

impl Source {
    /// The unit `STAGE.NAME` with the process `pid`, which wrote to `side`.
    #[must_use]
    pub fn new(stage: &str, name: &str, pid: i32, side: Side) -> Self {
        Self {
            stage: stage.to_owned(),
            unit: format!("{stage}.{name}"),
            shown: name.replace(char::is_control, "\u{fffd}"),
            pid,
            side,
        }
    }

    /// `async.web`
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Which of trc's streams it goes to.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }
}

/// A handle to the log; clones share one state.
///
/// The lock inside is never waited for. PID 1 has one thread, so finding it
/// taken means that a message's `Display` logs, or that a panic hook does while a
/// line was being written: that inner line is left out rather than hang PID 1.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Writer>>);

#[derive(Debug)]
struct Writer {
    format: LogFormat,
    level: LevelFilter,
    main_pid: i32,
    clock: Clock,
    stamp: Stamp,
    streams: Streams,
    /// Everything goes to standard error: standard output is a report's.
    only_stderr: bool,
    /// Lines being formatted; empty in between.
    block: Vec<u8>,
    /// What captures read into, shared by all; empty until one reads.
    scratch: Vec<u8>,
}

impl Journal {
    /// A journal of `level` that writes to `streams`; `main_pid` is shown as
    /// `[main/PID]`.
    #[must_use]
    pub fn new(
        format: LogFormat,
        level: LevelFilter,
        main_pid: i32,
        clock: Clock,
        streams: Streams,
    ) -> Self {
        Self(Arc::new(Mutex::new(Writer {
            format,
            level,
            main_pid,
            clock,
            stamp: Stamp::new(clock.local),
            streams,
            only_stderr: false,
            block: Vec::new(),
            scratch: Vec::new(),
        })))
    }

    /// Makes the `log` crate's macros write here, as `[main/PID]` lines. Once a
    /// process.
    ///
    /// # Errors
    ///
    /// When the process has a logger already.
    pub fn install(&self) -> Result<(), log::SetLoggerError> {
        logger::install(self)?;
        log::set_max_level(self.level());
        Ok(())
    }

    /// Sets what is said from now on, by the `log` crate's macros too.
    pub fn set_level(&self, level: LevelFilter) {
        self.with(|writer| writer.level = level);
        log::set_max_level(level);
    }

    /// What is said.
    #[must_use]
    pub fn level(&self) -> LevelFilter {
        self.with(|writer| writer.level).unwrap_or(LevelFilter::Off)
    }

    /// Sets the form of lines from now on.
    pub fn set_format(&self, format: LogFormat) {
        self.with(|writer| writer.format = format);
    }

    /// Sends everything to standard error from now on, units' output too, for
    /// standard output is a test report's; [`Journal::report`] writes that.
    pub fn set_only_stderr(&self) {
        self.with(|writer| writer.only_stderr = true);
    }

    /// Writes one of trc's own lines, if its level is said.
    pub fn entry(&self, now: SystemTime, entry: &Entry<'_>) {
        self.with(|writer| {
            if entry.level <= writer.level {
                writer.entry(now, entry);
            }
        });
    }

    /// Writes a line from trc itself, `[main/PID]`, if its level is said.
    pub fn main(&self, now: SystemTime, level: Level, event: &str, message: fmt::Arguments<'_>) {
        self.with(|writer| {
            if level <= writer.level {
                let entry = main_entry(writer.main_pid, level, event, message);
                writer.entry(now, &entry);
            }
        });
    }

    /// Writes `lines` to standard output as they are: a test report.
    pub fn report(&self, lines: &[u8]) {
        self.with(|writer| writer.push(Side::Out, lines, Kind::Own));
    }

    /// Formats what a unit wrote and writes the whole lines among it.
    ///
    /// `partial` carries the beginning of a line from one call to the next; at
    /// most [`MAX_LINE`] bytes, and no memory when a call ended with a newline.
    pub fn captured(&self, source: &Source, partial: &mut Vec<u8>, bytes: &[u8]) {
        self.with(|writer| writer.captured(source, partial, bytes));
    }

    /// Completes a unit's last line where the newline is missing.
    pub fn captured_end(&self, source: &Source, partial: &mut Vec<u8>) {
        if !partial.is_empty() {
            self.captured(source, partial, b"\n");
        }
    }

    /// Lends the buffer that all captures read into, at least `size` bytes, for
    /// as long as `read` takes.
    pub(crate) fn with_scratch<R>(&self, size: usize, read: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = self.with(|w| std::mem::take(&mut w.scratch)).unwrap_or_default();
        if scratch.len() < size {
            // Zeroed pages that were never touched cost nothing.
            scratch = vec![0; size];
        }
        let result = read(&mut scratch[..size]);
        self.with(|writer| writer.scratch = scratch);
        result
    }

    /// The descriptors to poll for `POLLOUT` now: those for which something is
    /// queued.
    #[must_use]
    pub fn wants_write(&self) -> Pending {
        self.with(|writer| writer.streams.wants_write()).unwrap_or_default()
    }

    /// Writes what is queued, as far as that goes; to be called when a polled
    /// descriptor is ready or in error.
    pub fn writable(&self) {
        self.with(Writer::writable);
    }

    /// Whether units that write to `side` should be left waiting, because its
    /// reader is slow but alive. See [`crate::run::stream::STUCK_AFTER`].
    #[must_use]
    pub fn holds_back(&self, side: Side, now: Instant) -> bool {
        self.with(|w| w.streams.side(w.shown_side(side)).holds_back(now)).unwrap_or(false)
    }

    /// When a reader that units are held back for will count as stuck; to be
    /// asked after the captures' `wants_read`.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.with(|writer| writer.streams.next_deadline(now)).flatten()
    }

    /// Whether what is written to `side` never has to wait: a file.
    #[must_use]
    pub fn is_file(&self, side: Side) -> bool {
        self.with(|w| w.streams.side(w.shown_side(side)).is_file()).unwrap_or(false)
    }

    /// Whether the reader of `side` is gone for good. A `SIGPIPE` from trc's own
    /// pid is then trc's own doing.
    #[must_use]
    pub fn broken(&self, side: Side) -> bool {
        self.with(|writer| writer.streams.side(side).broken()).unwrap_or(false)
    }

    /// The pids of the writer children, which nothing but a full stop of trc
    /// should end. Most of the time there is none; one may appear with any line.
    #[must_use]
    pub fn writer_pids(&self) -> Vec<i32> {
        self.with(|writer| writer.streams.writer_pids()).unwrap_or_default()
    }

    /// Waits for a queue to shrink until `deadline` at the latest, and writes.
    /// Only for the end of the run: it polls.
    pub fn wait_writable(&self, deadline: Instant) {
        if crate::run::stream::wait_writable(&self.wants_write(), deadline) {
            self.writable();
        }
    }

    /// The last thing before trc exits: writes what is queued, for
    /// [`crate::run::stream::FLUSH_FOR`] at most.
    pub fn flush_at_exit(&self) {
        let deadline = crate::run::stream::flush_deadline();
        while !self.wants_write().is_empty() && crate::run::stream::before(deadline) {
            self.wait_writable(deadline);
        }
        self.with(|writer| writer.streams.finish(deadline));
    }

    /// `None`, and nothing done, where the lock is taken; see [`Journal`].
    fn with<R>(&self, run: impl FnOnce(&mut Writer) -> R) -> Option<R> {
        match self.0.try_lock() {
            Ok(mut writer) => Some(run(&mut writer)),
            // A panic while formatting left no half-written line behind.
            Err(TryLockError::Poisoned(poisoned)) => Some(run(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// A line about no unit.
fn main_entry<'a>(
    pid: i32,
    level: Level,
    event: &'a str,
    message: fmt::Arguments<'a>,
) -> Entry<'a> {
    Entry { level, stage: "main", pid, unit: None, event, exitcode: None, message }
}

impl Writer {
    fn shown_side(&self, side: Side) -> Side {
        if self.only_stderr { Side::Err } else { side }
    }

    fn level_side(&self, level: Level) -> Side {
        self.shown_side(if level <= Level::Warn { Side::Err } else { Side::Out })
    }

    fn entry(&mut self, now: SystemTime, entry: &Entry<'_>) {
        let mut block = std::mem::take(&mut self.block);
        line::entry(self.format, &mut self.stamp, now, entry, &mut block);
        self.push(self.level_side(entry.level), &block, Kind::Own);
        self.keep(block);
    }

    fn captured(&mut self, source: &Source, partial: &mut Vec<u8>, bytes: &[u8]) {
        let side = self.shown_side(source.side);
        let now = (self.clock.now)();
        let frame = Frame::new(self.format, &mut self.stamp, now, source);
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if partial.is_empty() {
                frame.line(&rest[..end], &mut block);
            } else {
                partial.extend_from_slice(&rest[..end]);
                frame.line(partial, &mut block);
                partial.clear();
            }
            rest = &rest[end + 1..];
            if block.len() >= BLOCK {
                self.push(side, &block, Kind::Captured);
                block.clear();
            }
        }
        partial.extend_from_slice(rest);
        while partial.len() > MAX_LINE {
            let end = line::piece(partial);
            frame.cut(&partial[..end], &mut block);
            partial.drain(..end);
        }
        if partial.is_empty() {
            *partial = Vec::new();
        }
        if !block.is_empty() {
            self.push(side, &block, Kind::Captured);
        }
        self.keep(block);
    }

    /// Keeps the buffer for the next line, unless a huge line made it huge.
    fn keep(&mut self, mut block: Vec<u8>) {
        if block.capacity() <= 2 * BLOCK {
            block.clear();
            self.block = block;
        }
    }

    fn writable(&mut self) {
        self.streams.writable();
        for side in [Side::Out, Side::Err] {
            self.report_dropped(side);
        }
    }

    fn push(&mut self, side: Side, lines: &[u8], kind: Kind) {
        self.report_dropped(side);
        self.streams.side(side).push(lines, kind);
    }

    /// Says how much was dropped, once there is room for that.
    fn report_dropped(&mut self, side: Side) {
        let Some(dropped) = self.streams.side(side).take_dropped() else { return };
        let Dropped { lines, bytes, errno } = dropped;
        let mut notice = Vec::new();
        let plural = if lines == 1 { "" } else { "s" };
        let name = match side {
            Side::Out => "standard output",
            Side::Err => "standard error",
        };
        let why = match errno {
            None => format!("{name} was not read"),
            Some(errno) => format!("{name}: {}", errno.desc()),
        };
        let message = format!("{lines} line{plural} ({bytes} bytes) of output were dropped: {why}");
        let now = (self.clock.now)();
        line::entry(
            self.format,
            &mut self.stamp,
            now,
            &main_entry(self.main_pid, Level::Warn, "dropped", format_args!("{message}")),
            &mut notice,
        );
        let stream = self.streams.side(side);
        if !stream.push(&notice, Kind::Notice) {
            stream.restore(dropped);
        }
    }
}

#[cfg(test)]
mod tests;
