//! The protocol of the control socket: HTTP/1.1 with JSON over a Unix socket.
//!
//! Both sides share these types: `run/control/` answers with them, and `trcctl` asks with them.
//! Version 1 only grows: a reader ignores fields that it does not know.

pub(crate) mod ask;
pub(crate) mod drawing;
pub(crate) mod metrics;
#[cfg(test)]
mod openapi;
pub(crate) mod plan;
pub(crate) mod problem;
pub(crate) mod record;
pub(crate) mod state;

pub(crate) use ask::{Act, Ask, Exec, Method, Reload, Select, Until, Wait};
pub(crate) use drawing::{
    Drawing, DrawnUnit, Edge, Setting, Settings, Span, Timeline, UnitTimeline,
};
pub(crate) use metrics::{Amount, Counts, Exposition, Metrics, OfUnit, Reloaded, Restarted, Usage};
pub(crate) use plan::{Because, Does, Plan, Step};
pub(crate) use problem::{Code, Problem};
pub(crate) use record::{Entry, Gap, Said, Written};
pub(crate) use state::{
    About, End, Executed, HealthState, JobState, JobStatus, RunHealth, Running, UnitState, Units,
};

/// The usual place of the socket.
pub(crate) const SOCKET: &str = "/run/trc.sock";
/// The variable by which clients find the socket elsewhere.
pub(crate) const VARIABLE: &str = "TRC_SOCKET";
