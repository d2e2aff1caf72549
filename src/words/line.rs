//! One line of the log, before it gets a time and a format.

use log::Level;

use super::event_name::EventName;
use crate::graph::UnitId;

/// The origin of a line, which is shown in brackets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// trc's own: `[main/PID]`.
    Own,
    /// A unit's process: `[STAGE/PID]`.
    Process(&'static str, i32),
}

/// A line that trc itself logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// The log level.
    pub level: Level,
    /// The kind of event, for programs: the `event` of JSON lines.
    pub event: EventName,
    /// The origin of the line.
    pub whose: Whose,
    /// The unit that the line is about.
    pub unit: Option<UnitId>,
    /// The exit status, if something has exited.
    pub status: Option<u8>,
    /// The message, for people.
    pub message: String,
}

impl Line {
    /// Creates a line about the run as a whole.
    pub(crate) fn of_run(level: Level, event: EventName, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { level, event, whose: Whose::Own, unit: None, status: None, message }
    }

    /// Creates a line about a unit.
    pub(crate) fn about(
        level: Level,
        event: EventName,
        unit: UnitId,
        message: impl Into<String>,
    ) -> Self {
        Self { unit: Some(unit), ..Self::of_run(level, event, message) }
    }

    /// Adds an exit status to the line.
    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status: Some(status), ..self }
    }
}
