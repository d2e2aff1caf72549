//! The writer of formatted lines to streams.

use std::time::SystemTime;

use log::{Level, LevelFilter};

use super::super::stream::{Dropped, Kind, Streams};
use crate::config::LogFormat;
use crate::journal::line::{self, Frame, MAX_LINE};
use crate::journal::time::Stamp;
use crate::journal::{Clock, Entry, Side, Source, Stream, main_entry};

/// The number of bytes of formatted lines that are passed on together.
const BLOCK: usize = 256 * 1024;

/// The state that all handles share.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) format: LogFormat,
    pub(super) level: LevelFilter,
    pub(super) main_pid: i32,
    pub(super) clock: Clock,
    pub(super) stamp: Stamp,
    pub(super) streams: Streams,
    /// Whether standard output is reserved for something other than the log.
    pub(super) apart: bool,
    /// Whether everything goes to standard error.
    pub(super) to_stderr: bool,
    /// The warnings of a test run, in which the log is apart from standard output.
    pub(super) warnings: Vec<String>,
    /// The buffer in which lines are formatted, which is empty in between.
    block: Vec<u8>,
    /// The buffer that all captures read into, which is empty until one reads.
    pub(super) scratch: Vec<u8>,
}

impl Writer {
    pub(super) fn new(
        format: LogFormat,
        level: LevelFilter,
        main_pid: i32,
        clock: Clock,
        streams: Streams,
    ) -> Self {
        Self {
            format,
            level,
            main_pid,
            clock,
            stamp: Stamp::new(clock.local),
            streams,
            apart: false,
            to_stderr: false,
            warnings: Vec::new(),
            block: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Keeps a warning for the end of a test run.
    pub(super) fn warned(&mut self, message: std::fmt::Arguments<'_>) {
        // A warning that is repeated says no more each time.
        const MOST: usize = 20;
        if self.apart && self.warnings.len() < MOST {
            self.warnings.push(message.to_string());
        }
    }

    /// Returns the side that receives the lines for this side.
    pub(super) fn side(&self, side: Side) -> Side {
        if self.apart || self.to_stderr { Side::Err } else { side }
    }

    /// Returns the side for trc's own lines of this level.
    pub(super) fn side_of(&self, level: Level) -> Side {
        self.side(if level <= Level::Warn { Side::Err } else { Side::Out })
    }

    pub(super) fn entry(&mut self, now: SystemTime, entry: &Entry<'_>) {
        let mut block = std::mem::take(&mut self.block);
        line::entry(self.format, &mut self.stamp, now, entry, &mut block);
        self.push(self.side_of(entry.level), &block, Kind::Own);
        self.keep(block);
    }

    pub(super) fn captured(&mut self, source: &Source, partial: &mut Vec<u8>, bytes: &[u8]) {
        let side = self.side(source.side);
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

    /// Writes a line that a process of a unit has sent by syslog.
    pub(super) fn sent(&mut self, source: &Source, pid: i32, level: Level, line: &[u8]) {
        let now = (self.clock.now)();
        let from = (pid, Stream::Syslog);
        let frame = Frame::of(self.format, &mut self.stamp, now, source, from, level);
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        frame.line(line, &mut block);
        self.push(self.side_of(level), &block, Kind::Captured);
        self.keep(block);
    }

    /// Keeps the buffer for the next line, unless a huge line has enlarged it.
    fn keep(&mut self, mut block: Vec<u8>) {
        if block.capacity() <= 2 * BLOCK {
            block.clear();
            self.block = block;
        }
    }

    pub(super) fn writable(&mut self) {
        self.streams.writable();
        for side in [Side::Out, Side::Err] {
            self.report_dropped(side);
        }
    }

    pub(super) fn push(&mut self, side: Side, lines: &[u8], kind: Kind) {
        self.report_dropped(side);
        self.streams.side(side).push(lines, kind);
    }

    pub(super) fn offer(&mut self, side: Side, lines: &[u8]) -> bool {
        self.report_dropped(side);
        self.streams.side(side).offer(lines)
    }

    /// Logs how much was dropped, once there is room for it.
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
        let to = self.side(side);
        if !self.streams.side(to).push(&notice, Kind::Notice) {
            self.streams.side(side).restore(dropped);
        }
    }
}
