//! What a log line is about.

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
    pub(crate) stage: String,
    /// `async.web`
    pub(crate) unit: String,
    /// `web`, without control characters: a name can't forge a line.
    pub(crate) shown: String,
    pub(crate) pid: i32,
    pub(crate) side: Side,
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

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Which of trc's streams it goes to.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }
}

/// A line about no unit.
pub(crate) fn main_entry<'a>(
    pid: i32,
    level: Level,
    event: &'a str,
    message: fmt::Arguments<'a>,
) -> Entry<'a> {
    Entry { level, stage: "main", pid, unit: None, event, exitcode: None, message }
}
