//! Lines of units and of trc, as records of a stream: one JSON object per line.

use serde::{Deserialize, Serialize};

/// A line that a unit has written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    /// The place of the line in the output of all units. Later lines have larger numbers.
    pub seq: u64,
    /// When trc read it: RFC 3339, in UTC.
    pub time: String,
    /// The unit: `STAGE.NAME`.
    pub unit: String,
    /// The process that was the unit's main process, or that has sent the line by syslog.
    pub pid: i32,
    /// `stdout`, `stderr` or `syslog`.
    pub stream: String,
    /// The line, without its newline. U+FFFD stands for bytes that are not UTF-8.
    pub line: String,
}

/// A line of trc itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The number of the line. Later lines have larger numbers.
    pub seq: u64,
    /// When trc logged it: RFC 3339, in UTC.
    pub time: String,
    /// `error`, `warn`, `info` or `debug`.
    pub level: String,
    /// The kind of event, as in the JSON log.
    pub event: String,
    /// The unit that it is about: `STAGE.NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The exit status, if something has exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exitcode: Option<u8>,
    /// The message, for people.
    pub message: String,
}

/// Records that a reader has missed, because trc has dropped them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The place from which on something is missing.
    pub seq: u64,
    /// About how many bytes of output are missing, or how many lines of trc.
    pub missing: u64,
}

/// A record of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// A line of a unit.
    Written(Written),
    /// A line of trc.
    Said(Said),
    /// Missing records.
    Gap(Gap),
}
