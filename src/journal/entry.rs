//! The contents of a log line.

use std::fmt;

use log::Level;

/// One of the two standard streams.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Standard output, descriptor 1.
    Out,
    /// Standard error, descriptor 2.
    Err,
}

impl Side {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// The way by which a line of a unit has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Stream {
    /// By one of its standard streams.
    Standard(Side),
    /// By syslog.
    Syslog,
}

impl Stream {
    /// `stdout`, `stderr` or `syslog`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standard(side) => side.name(),
            Self::Syslog => "syslog",
        }
    }
}

impl From<Side> for Stream {
    fn from(side: Side) -> Self {
        Self::Standard(side)
    }
}

/// A line that trc itself logs.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The log level. Info and below go to standard output, warnings and errors to standard error.
    pub level: Level,
    /// The origin of the line: `main`, or the stage of a unit.
    pub stage: &'a str,
    /// The process ID of trc, or of the unit.
    pub pid: i32,
    /// The unit that the line is about, as `STAGE.NAME`. Only JSON shows it.
    pub unit: Option<&'a str>,
    /// The kind of event, for programs: `started`, `exited`. Only JSON shows it.
    pub event: &'a str,
    /// The exit status, if something exited. Only JSON shows it; the message has it, too.
    pub exitcode: Option<u8>,
    /// The message, for people. Newlines stay as they are in text, and are escaped in JSON.
    pub message: fmt::Arguments<'a>,
}

/// The origin of captured output, and the stream that it goes to.
#[derive(Clone, Debug)]
pub struct Source {
    /// `async`
    pub(crate) stage: String,
    /// `async.web`
    pub(crate) unit: String,
    /// `web`, without control characters, so that a name cannot forge a line.
    pub(crate) shown: String,
    pub(crate) pid: i32,
    pub(crate) side: Side,
}

impl Source {
    /// Creates the origin for the unit `STAGE.NAME` with the process `pid`, which wrote to `side`.
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

    /// The process ID.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The stream of trc that the output goes to.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }
}

/// Creates a line that is not about a unit.
pub(crate) fn main_entry<'a>(
    pid: i32,
    level: Level,
    event: &'a str,
    message: fmt::Arguments<'a>,
) -> Entry<'a> {
    Entry { level, stage: "main", pid, unit: None, event, exitcode: None, message }
}
