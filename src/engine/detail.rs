//! The reasons of events that do not influence the engine's decisions.

use serde::{Deserialize, Serialize};

/// A detail that `run/` has found out about the state of a unit. The engine keeps the last one of
/// each unit, and passes it on with facts; `words/` turns it into a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Detail {
    /// A reason in words, such as the result of the last attempt of a probe.
    Words(String),
    /// The interpreter that the program names does not exist.
    NoInterpreter(String),
    /// Why the unit's `pre_start`, and not its own command, could not be executed.
    PreStart(String),
    /// The step needs root, and trc is not root.
    NotRoot,
    /// The place at which the script failed, for the end of a sentence: `at line 3: ...`.
    Place(String),
    /// The OOM killer has killed the unit's process. The memory is in bytes, and missing if the kernel
    /// does not tell.
    OutOfMemory {
        /// The most that the process has had in memory at once: `ru_maxrss` of getrusage(2).
        used: Option<u64>,
        /// The limit of the container.
        limit: Option<u64>,
    },
    /// The last `STATUS=` that the unit has sent: `sd_notify(3)`.
    Status(String),
    /// The unit has closed its notification descriptor without a newline.
    Closed,
    /// The unit has put itself into the background, and its `pid_file` does not name its main process.
    NotMain(NotMain),
    /// The unit has printed nothing to the standard output, in which trc looks for a line.
    Silent,
}

/// The reason why a `pid_file` does not name the main process of its unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum NotMain {
    /// There is no such file.
    Missing,
    /// The file cannot be read, for this reason.
    Unreadable(String),
    /// The file is the one from before the start, which could not be removed.
    OldFile,
    /// The file has no process ID, or that of PID 1.
    NoNumber,
    /// The file has the ID of a process that is not alive or does not belong to the unit.
    Stranger(i32),
}
