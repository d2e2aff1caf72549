//! What a page needs to draw a run: the graph of its units, and their phases over time.

use serde::{Deserialize, Serialize};

/// The answer to `GET /v1/graph`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Drawing {
    /// The units, in their order.
    pub units: Vec<DrawnUnit>,
    /// What they wait for.
    pub edges: Vec<Edge>,
}

/// A unit of a graph.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DrawnUnit {
    /// The full name: `STAGE.NAME`.
    pub name: String,
    /// The stage: `boot`, `async`, `sync`, `test` or `halt`.
    pub stage: String,
    /// The description, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The state, as `trcctl status` shows it.
    pub state: String,
    /// Whether the unit is as it should be.
    pub up: bool,
    /// Whether it is a one-shot; missing if it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneshot: bool,
    /// Whether it has a readiness check; missing if it has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
}

/// A condition that a unit waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Edge {
    /// The unit whose state counts.
    pub from: String,
    /// The unit that waits.
    pub to: String,
    /// The state: `started`, `ready`, `exited`, `succeeded` or `failed`.
    pub condition: String,
    /// Whether it is in the configuration. Otherwise it is the order within a stage.
    pub written: bool,
}

/// The answer to `GET /v1/timeline`. Times count from the beginning of the run, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Timeline {
    /// When the run began: RFC 3339, in UTC.
    pub began: String,
    /// The present time.
    pub now_ms: u64,
    /// The units, in their order.
    pub units: Vec<UnitTimeline>,
}

/// The phases of a unit over time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct UnitTimeline {
    /// The full name: `STAGE.NAME`.
    pub name: String,
    /// The number of spans before the first one that trc does not keep any more.
    pub missing: u32,
    /// The spans, in their order. The last one goes on.
    pub spans: Vec<Span>,
}

/// A time that a unit has spent in a phase.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The phase, as in the state of a unit.
    pub phase: String,
    /// When the unit entered it.
    pub from_ms: u64,
    /// When the unit left it; missing if it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
    /// When the unit became ready in it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// Why the unit entered it, for people.
    pub why: String,
    /// Whether it is the end of a unit that has failed; missing if it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// The answer to `GET /v1/config`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The number of configurations that have taken over since the first one.
    pub generation: u32,
    /// The keys that are written somewhere. Every other key has its default.
    pub keys: Vec<Setting>,
}

/// A key of the configuration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// The full key, such as `async.web.user`.
    pub key: String,
    /// The value as it was written; missing if it is hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Whether the value is not sent, because it is that of a variable.
    pub hidden: bool,
    /// Where it is written: `FILE:LINE:COLUMN`, a variable, or a flag.
    pub origin: String,
    /// The other places where the key is written, which do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}
