//! The log: trc's own lines, and the output of units.
//!
//! A [`Journal`] is a handle: the poll loop has one, and the macros of the `log` crate have another
//! ([`Journal::install`]). Nothing here blocks: lines go to [`super::stream`], which queues or
//! drops lines that cannot be written now.

mod logger;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Instant, SystemTime};

use log::{Level, LevelFilter};
use nix::errno::Errno;

use super::stream::{Pending, Streams};
use crate::config::LogFormat;
use crate::journal::{Clock, Entry, Side, Source, main_entry};
use writer::Writer;

/// A handle to the log. All clones share one state.
///
/// trc never waits for the lock. PID 1 has one thread, so the lock is taken only if the `Display`
/// of a message logs, or if a panic hook runs while a line is written. Such a line is left out, so
/// that PID 1 does not hang.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Writer>>);

impl Journal {
    /// Creates a journal with this level that writes to `streams`. `main_pid` is shown as
    /// `[main/PID]`.
    #[must_use]
    pub fn new(
        format: LogFormat,
        level: LevelFilter,
        main_pid: i32,
        clock: Clock,
        streams: Streams,
    ) -> Self {
        Self(Arc::new(Mutex::new(Writer::new(format, level, main_pid, clock, streams))))
    }

    /// Makes the macros of the `log` crate write here, as `[main/PID]` lines. This is possible once
    /// per process.
    ///
    /// # Errors
    ///
    /// Returns an error if the process already has a logger.
    pub fn install(&self) -> Result<(), log::SetLoggerError> {
        logger::install(self)?;
        log::set_max_level(self.level());
        Ok(())
    }

    /// Sets the log level, for the macros of the `log` crate as well.
    pub fn set_level(&self, level: LevelFilter) {
        self.with(|writer| writer.level = level);
        log::set_max_level(level);
    }

    /// Returns the log level.
    #[must_use]
    pub fn level(&self) -> LevelFilter {
        self.with(|writer| writer.level).unwrap_or(LevelFilter::Off)
    }

    /// Sets the format of lines.
    pub fn set_format(&self, format: LogFormat) {
        self.with(|writer| writer.format = format);
    }

    /// Sends all lines to standard error from now on.
    pub fn set_to_stderr(&self) {
        self.with(|writer| writer.to_stderr = true);
    }

    /// Sends the log to standard error from now on, so that standard output is for
    /// [`Journal::report`] alone.
    pub fn set_apart(&self) {
        self.with(|writer| {
            writer.streams.keep_apart();
            writer.apart = true;
        });
    }

    /// Keeps a warning, in test mode.
    pub fn warned(&self, message: fmt::Arguments<'_>) {
        self.with(|writer| writer.warned(message));
    }

    /// Returns the warnings of trc so far, in test mode. If there are many, only the first ones are
    /// kept.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.with(|writer| writer.warnings.clone()).unwrap_or_default()
    }

    /// Writes whole lines to standard output unchanged. If there is no room for all of them now,
    /// nothing is written, and the caller has to try again.
    pub fn report(&self, lines: &[u8]) -> bool {
        self.with(|writer| writer.offer(Side::Out, lines)).unwrap_or(false)
    }

    /// Returns whether the reader has taken everything that was reported.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.with(|writer| writer.streams.side(Side::Out).is_written()).unwrap_or(false)
    }

    /// Waits a moment for that, until `deadline` at the latest. Only for the end of the run.
    pub fn await_reported(&self, deadline: Instant) {
        if !self.wait_writable(deadline) {
            self.with(|writer| writer.streams.side(Side::Out).await_child(deadline));
        }
    }

    /// Returns the error because of which a part of the report is missing.
    #[must_use]
    pub fn report_error(&self) -> Option<Errno> {
        self.with(|writer| writer.streams.side(Side::Out).failed()).flatten()
    }

    /// Writes a line of trc's own, if its level is enabled.
    pub fn entry(&self, now: SystemTime, entry: &Entry<'_>) {
        self.with(|writer| {
            if entry.level <= writer.level {
                writer.entry(now, entry);
            }
        });
    }

    /// Writes a line of trc's own, `[main/PID]`, if its level is enabled.
    pub fn main(&self, now: SystemTime, level: Level, event: &str, message: fmt::Arguments<'_>) {
        self.with(|writer| {
            if level <= writer.level {
                let entry = main_entry(writer.main_pid, level, event, message);
                writer.entry(now, &entry);
            }
        });
    }

    /// Formats the output of a unit, and writes the complete lines.
    ///
    /// `partial` keeps the beginning of a line from one call to the next. It has at most
    /// [`MAX_LINE`] bytes, and uses no memory if a call ended with a newline.
    pub fn captured(&self, source: &Source, partial: &mut Vec<u8>, bytes: &[u8]) {
        self.with(|writer| writer.captured(source, partial, bytes));
    }

    /// Writes a line that a process of a unit has sent by syslog, which takes no newline.
    pub(crate) fn sent(&self, source: &Source, pid: i32, level: Level, line: &[u8]) {
        self.with(|writer| writer.sent(source, pid, level, line));
    }

    /// Completes the last line of a unit if its newline is missing.
    pub fn captured_end(&self, source: &Source, partial: &mut Vec<u8>) {
        if !partial.is_empty() {
            self.captured(source, partial, b"\n");
        }
    }

    /// Counts unformatted lines of output as dropped.
    pub(crate) fn give_up(&self, side: Side, bytes: &[u8]) {
        self.with(|writer| {
            let side = writer.side(side);
            writer.streams.side(side).give_up(bytes);
        });
    }

    /// Lends the buffer that all captures share, with at least `size` bytes, for as long as `read`
    /// takes.
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

    /// Returns the descriptors to poll for `POLLOUT` now: those for which something is queued.
    #[must_use]
    pub fn wants_write(&self) -> Pending {
        self.with(|writer| writer.streams.wants_write()).unwrap_or_default()
    }

    /// Writes as much of the queue as possible. To be called when a polled descriptor is ready or
    /// in error.
    pub fn writable(&self) {
        self.with(Writer::writable);
    }

    /// Returns whether units that write to `side` should wait, because its reader is slow but not
    /// stuck. See [`super::stream::STUCK_AFTER`].
    #[must_use]
    pub fn holds_back(&self, side: Side, now: Instant) -> bool {
        self.with(|w| w.streams.side(w.side(side)).holds_back(now)).unwrap_or(false)
    }

    /// Returns the number of bytes that are queued for `side`.
    #[must_use]
    pub fn queued(&self, side: Side) -> usize {
        self.with(|w| w.streams.side(side).queued()).unwrap_or(0)
    }

    /// Returns the time from which a slow reader counts as stuck. To be called after the
    /// `wants_read` of the captures.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.with(|writer| writer.streams.next_deadline(now)).flatten()
    }

    /// Returns whether writes to `side` never have to wait, as with a file.
    #[must_use]
    pub fn is_file(&self, side: Side) -> bool {
        self.with(|w| w.streams.side(w.side(side)).is_file()).unwrap_or(false)
    }

    /// Returns whether the reader of `side` has closed it. A `SIGPIPE` from trc's own process ID is
    /// then caused by trc itself.
    #[must_use]
    pub fn broken(&self, side: Side) -> bool {
        self.with(|writer| writer.streams.side(side).broken()).unwrap_or(false)
    }

    /// Returns the process IDs of the writer children, which end only when trc stops. Usually there
    /// are none; one may appear with any line.
    #[must_use]
    pub fn writer_pids(&self) -> Vec<i32> {
        self.with(|writer| writer.streams.writer_pids()).unwrap_or_default()
    }

    /// Waits until a queue shrinks, for [`FLUSH_FOR`](super::stream::FLUSH_FOR) at most and until
    /// `deadline` at the latest, and writes. Returns false if nobody reads. Only for the end of the
    /// run, because it polls.
    pub fn wait_writable(&self, deadline: Instant) -> bool {
        let ready = super::stream::wait_writable(&self.wants_write(), deadline);
        if ready {
            self.writable();
        }
        ready
    }

    /// Writes the queue before trc exits, as long as somebody reads it and until `deadline` at the
    /// latest.
    pub fn flush_at_exit(&self, deadline: Instant) {
        while self.wait_writable(deadline) {}
        self.with(|writer| writer.streams.finish(deadline));
    }

    /// Runs `run` with the state. If the lock is taken, does nothing and returns `None`: see
    /// [`Journal`].
    fn with<R>(&self, run: impl FnOnce(&mut Writer) -> R) -> Option<R> {
        match self.0.try_lock() {
            Ok(mut writer) => Some(run(&mut writer)),
            // A panic while formatting left no half-written line behind.
            Err(TryLockError::Poisoned(poisoned)) => Some(run(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests;
