//! One line of the log, before it has a time and a form.

use log::Level;

use crate::graph::UnitId;

/// Whose line it is: what stands in its brackets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// trc's own: `[main/PID]`.
    Own,
    /// That of a unit's process: `[STAGE/PID]`.
    Process(&'static str, i32),
}

/// A line of trc's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// How much it matters.
    pub level: Level,
    /// What happened, in one word for machines: the `event` of JSON lines.
    pub event: &'static str,
    /// Whose it is.
    pub whose: Whose,
    /// The unit that it is about.
    pub unit: Option<UnitId>,
    /// The status of what has exited.
    pub status: Option<u8>,
    /// For people.
    pub message: String,
}

impl Line {
    /// A line about the run as a whole.
    pub(crate) fn of_run(level: Level, event: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { level, event, whose: Whose::Own, unit: None, status: None, message }
    }

    /// A line about a unit.
    pub(crate) fn about(
        level: Level,
        event: &'static str,
        unit: UnitId,
        message: impl Into<String>,
    ) -> Self {
        Self { unit: Some(unit), ..Self::of_run(level, event, message) }
    }

    /// With the status of what has exited.
    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status: Some(status), ..self }
    }
}
