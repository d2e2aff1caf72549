//! The plan of a reload.

use serde::{Deserialize, Serialize};

/// The answer to `POST /v1/reload`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The ID of the plan: 16 hexadecimal digits. It stays the same as long as nothing changes, in the
    /// configuration or in the run, that makes a difference to the plan.
    pub id: String,
    /// Whether anything is different.
    pub changed: bool,
    /// Whether the new configuration has taken over.
    pub applied: bool,
    /// The number of configurations that have taken over since the first one.
    pub generation: u32,
    /// What happens, unit by unit.
    pub steps: Vec<Step>,
}

/// What happens to a unit, or to the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The unit: `STAGE.NAME`; missing for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What happens.
    pub does: Does,
    /// Whether the unit runs, when the plan is made.
    #[serde(default = "yes")]
    pub runs: bool,
    /// The keys and files that have changed.
    pub because: Vec<Because>,
}

/// A trc without this field has said that all units run on.
const fn yes() -> bool {
    true
}

/// What a reload does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Does {
    /// The new settings apply, and the unit runs on, if it runs.
    Apply,
    /// The unit is new, and starts.
    Start,
    /// The unit is stopped and started.
    Restart,
    /// The unit is gone, and stops.
    Stop,
    /// Nothing: a new container is needed.
    Nothing,
}

/// Something that has changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Because {
    /// The key, or the path of a file.
    pub key: String,
    /// Where it is written.
    pub origin: String,
}
