//! The formats of a log line.

use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;

use super::json::escape;
use super::time::Stamp;
use super::{Entry, Source, Stream};
use crate::config::LogFormat;

/// The longest piece of a line of output, in bytes. A longer line is cut.
pub(crate) const MAX_LINE: usize = 64 * 1024;
/// The end of each piece of a cut line but the last, in text.
pub(crate) const CUT_MARK: &str = " […]";

/// Returns the name of a level in JSON.
fn level_name(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "error",
        log::Level::Warn => "warn",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
        log::Level::Trace => "trace",
    }
}

/// Appends a line that trc itself logs, with its newline.
pub(crate) fn entry(
    format: LogFormat,
    stamp: &mut Stamp,
    now: SystemTime,
    entry: &Entry<'_>,
    to: &mut Vec<u8>,
) {
    // Writing into a `Vec` can't fail; a `Display` that does leaves a short message.
    match format {
        LogFormat::Trc => {
            stamp.text(now, to);
            // A message of several lines, such as a script, stays as it is.
            let _ = write!(to, " trc [{}/{}]: ", entry.stage, entry.pid);
            let _ = fmt::write(&mut Shown(to), entry.message);
            to.push(b'\n');
        }
        LogFormat::Json => {
            to.extend_from_slice(br#"{"time":""#);
            stamp.rfc3339(now, to);
            let _ = write!(to, r#"","level":"{}","stage":""#, level_name(entry.level));
            escape(entry.stage.as_bytes(), to);
            let _ = write!(to, r#"","pid":{}"#, entry.pid);
            if let Some(unit) = entry.unit {
                to.extend_from_slice(br#","unit":""#);
                escape(unit.as_bytes(), to);
                to.push(b'"');
            }
            to.extend_from_slice(br#","event":""#);
            escape(entry.event.as_bytes(), to);
            to.push(b'"');
            if let Some(code) = entry.exitcode {
                let _ = write!(to, r#","exitcode":{code}"#);
            }
            to.extend_from_slice(br#","message":""#);
            let _ = write!(Escaped(to), "{}", entry.message);
            to.extend_from_slice(b"\"}\n");
        }
    }
}

/// A writer that lets no control characters through except newlines and tabs, so that the reader's
/// terminal does not interpret them.
struct Shown<'a>(&'a mut Vec<u8>);

impl fmt::Write for Shown<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
        while let Some(at) = rest.find(bad) {
            self.0.extend_from_slice(&rest.as_bytes()[..at]);
            self.0.extend_from_slice("\u{fffd}".as_bytes());
            rest = &rest[at + rest[at..].chars().next().map_or(1, char::len_utf8)..];
        }
        self.0.extend_from_slice(rest.as_bytes());
        Ok(())
    }
}

/// A writer that escapes everything for JSON.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Escaped<'_> {
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> fmt::Result {
        fmt::write(self, arguments)
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(text.as_bytes(), self.0);
        Ok(())
    }
}

/// The texts before and after each line of a unit's output at one time.
pub(crate) struct Frame {
    format: LogFormat,
    head: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(
        format: LogFormat,
        stamp: &mut Stamp,
        now: SystemTime,
        source: &Source,
    ) -> Self {
        let from = (source.pid, source.side.into());
        Self::of(format, stamp, now, source, from, log::Level::Info)
    }

    /// Returns the frame for lines of this level that a process of the unit has written.
    pub(crate) fn of(
        format: LogFormat,
        stamp: &mut Stamp,
        now: SystemTime,
        source: &Source,
        (pid, stream): (i32, Stream),
        level: log::Level,
    ) -> Self {
        let mut head = Vec::with_capacity(192);
        match format {
            LogFormat::Trc => {
                stamp.text(now, &mut head);
                let _ = write!(head, " trc [{}/{pid}]: ", source.shown);
            }
            LogFormat::Json => {
                head.extend_from_slice(br#"{"time":""#);
                stamp.rfc3339(now, &mut head);
                let _ = write!(head, r#"","level":"{}","stage":""#, level_name(level));
                escape(source.stage.as_bytes(), &mut head);
                let _ = write!(head, r#"","pid":{pid},"unit":""#);
                escape(source.unit.as_bytes(), &mut head);
                let _ =
                    write!(head, r#"","event":"output","stream":"{}","message":""#, stream.name());
            }
        }
        Self { format, head }
    }

    /// Appends a line, which is passed without its newline. If the line is too long, it is cut into
    /// pieces.
    pub(crate) fn line(&self, mut line: &[u8], to: &mut Vec<u8>) {
        while line.len() > MAX_LINE {
            let (piece, rest) = line.split_at(piece(line));
            self.cut(piece, to);
            line = rest;
        }
        to.extend_from_slice(&self.head);
        match self.format {
            LogFormat::Trc => {
                to.extend_from_slice(line);
                to.push(b'\n');
            }
            LogFormat::Json => {
                escape(line, to);
                to.extend_from_slice(b"\"}\n");
            }
        }
    }

    /// Appends a piece of a line that continues.
    pub(crate) fn cut(&self, piece: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(&self.head);
        match self.format {
            LogFormat::Trc => {
                to.extend_from_slice(piece);
                to.extend_from_slice(CUT_MARK.as_bytes());
                to.push(b'\n');
            }
            LogFormat::Json => {
                escape(piece, to);
                to.extend_from_slice(b"\",\"cut\":true}\n");
            }
        }
    }
}

/// Returns the position at which to cut a line that is longer than [`MAX_LINE`]: there, or up to
/// three bytes before, so that no UTF-8 character is cut in two.
pub(crate) fn piece(line: &[u8]) -> usize {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (MAX_LINE - 3..=MAX_LINE).rev().find(|&at| !continues(at)).unwrap_or(MAX_LINE)
}
