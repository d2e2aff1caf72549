//! Writes the log: trc's own lines, and units' output.
//!
//! A [`Journal`] is a handle: the poll loop has one, the `log` crate's macros
//! another ([`Journal::install`]). Nothing here blocks: lines go to
//! [`super::stream`], which queues or drops what can't be written now.

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

/// A handle to the log; clones share one state.
///
/// The lock inside is never waited for. PID 1 has one thread, so finding it
/// taken means that a message's `Display` logs, or that a panic hook does while a
/// line was being written: that inner line is left out rather than hang PID 1.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Writer>>);

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
        Self(Arc::new(Mutex::new(Writer::new(format, level, main_pid, clock, streams))))
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

    /// From now on all of the log goes to standard error, and standard output is for
    /// [`Journal::report`] alone.
    pub fn set_apart(&self) {
        self.with(|writer| {
            writer.streams.keep_apart();
            writer.apart = true;
        });
    }

    /// Remembers a warning in test mode.
    pub fn warned(&self, message: fmt::Arguments<'_>) {
        self.with(|writer| writer.warned(message));
    }

    /// What trc itself has warned of so far, in test mode; of many, the first ones.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.with(|writer| writer.warnings.clone()).unwrap_or_default()
    }

    /// Writes whole lines to standard output as they are, all of them; or says that there is no
    /// room for them now, so that they are to be offered again.
    pub fn report(&self, lines: &[u8]) -> bool {
        self.with(|writer| writer.offer(Side::Out, lines)).unwrap_or(false)
    }

    /// Whether somebody has taken all that was reported.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.with(|writer| writer.streams.side(Side::Out).is_written()).unwrap_or(false)
    }

    /// Waits a moment for it, until `deadline` at the latest. Only for the end of the run.
    pub fn await_reported(&self, deadline: Instant) {
        if !self.wait_writable(deadline) {
            self.with(|writer| writer.streams.side(Side::Out).await_child(deadline));
        }
    }

    /// The error that has cost some of what was reported.
    #[must_use]
    pub fn report_error(&self) -> Option<Errno> {
        self.with(|writer| writer.streams.side(Side::Out).failed()).flatten()
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

    /// Lines of a unit's output, unformatted, that are not written: they are counted as dropped.
    pub(crate) fn give_up(&self, side: Side, bytes: &[u8]) {
        self.with(|writer| {
            let side = writer.side(side);
            writer.streams.side(side).give_up(bytes);
        });
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
    /// reader is slow but alive. See [`super::stream::STUCK_AFTER`].
    #[must_use]
    pub fn holds_back(&self, side: Side, now: Instant) -> bool {
        self.with(|w| w.streams.side(w.side(side)).holds_back(now)).unwrap_or(false)
    }

    /// The bytes that wait to be written to `side`.
    #[must_use]
    pub fn queued(&self, side: Side) -> usize {
        self.with(|w| w.streams.side(side).queued()).unwrap_or(0)
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
        self.with(|w| w.streams.side(w.side(side)).is_file()).unwrap_or(false)
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

    /// Waits for a queue to shrink, for [`FLUSH_FOR`](super::stream::FLUSH_FOR) at
    /// most and until `deadline` at the latest, and writes. False when nobody reads.
    /// Only for the end of the run: it polls.
    pub fn wait_writable(&self, deadline: Instant) -> bool {
        let ready = super::stream::wait_writable(&self.wants_write(), deadline);
        if ready {
            self.writable();
        }
        ready
    }

    /// The last thing before trc exits: writes what is queued, for as long as somebody
    /// reads it and until `deadline` at the latest.
    pub fn flush_at_exit(&self, deadline: Instant) {
        while self.wait_writable(deadline) {}
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

#[cfg(test)]
mod tests;
