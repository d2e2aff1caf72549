//! The state of a run, of its units and of jobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer to `GET /v1`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// The version of trc.
    pub version: String,
    /// The version of the protocol.
    pub api: u32,
    /// A number that this run of trc has for itself.
    pub boot_id: String,
    /// The process ID of trc, in its own PID namespace.
    pub pid: u32,
    /// The number of configurations that have taken over since the first one.
    pub generation: u32,
    /// The phase of the run: `boot`, `settling`, `up`, `stopping`, `lingering`, `sweeping`,
    /// `halting` or `over`.
    pub phase: String,
    /// The time since the run began, in milliseconds.
    pub uptime_ms: u64,
}

/// How the run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthState {
    /// A unit is not up yet.
    Starting,
    /// Every unit is up.
    Ready,
    /// Every unit that matters is up, but somebody has stopped a unit, or a unit has failed whose
    /// failure is ignored.
    Degraded,
    /// A unit has failed, or is being restarted, or its health check fails.
    Unhealthy,
    /// The run is stopping.
    Stopping,
}

impl HealthState {
    /// Returns whether the container can do its work.
    pub(crate) fn is_good(self) -> bool {
        match self {
            Self::Ready | Self::Degraded => true,
            Self::Starting | Self::Unhealthy | Self::Stopping => false,
        }
    }
}

/// The answer to `GET /v1/health`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RunHealth {
    /// How the run is, or the units that were asked for.
    pub state: HealthState,
    /// The unit because of which it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The reason, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The answer to `GET /v1/units`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Units {
    /// The units, in their order.
    pub units: Vec<UnitState>,
}

/// The state of a unit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct UnitState {
    /// The full name: `STAGE.NAME`.
    pub name: String,
    /// The description, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The phase: `waiting`, `retrying`, `starting`, `running`, `watching`, `stopping`, `finishing`,
    /// `backoff` or `ended`.
    pub phase: String,
    /// The wanted state: `up`, `down`, `held` or `idle`.
    pub wanted: String,
    /// The time since the unit entered its phase, in milliseconds.
    pub since_ms: u64,
    /// Whether it is ready; missing if it has no readiness check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether its health check, if it has one, passes.
    pub healthy: bool,
    /// Why it is not as it should be, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the unit waits for: `async.db is not ready yet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// If it has failed and is not up again: the units whose failures led to that, from the nearest one
    /// to the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because_of: Vec<String>,
    /// The time until trc acts by itself, in milliseconds: it starts the unit again, gives up
    /// waiting for it to be ready or to reload, or kills it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Whether it reads its own configuration anew; missing if it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reloading: bool,
    /// The number of times that the restart policy has started it again.
    pub restarts: u64,
    /// How often for each reason, with the words of the metric `trc_unit_restarts_total`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts_by_reason: BTreeMap<String, u64>,
    /// The files that it is started with (its script, secrets and `env_file`) and that have changed
    /// since its start. The answer for all units does not have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_files: Vec<String>,
    /// The time until the unit is due by its schedule, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_ms: Option<u64>,
    /// The main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Running>,
    /// How its last process exited, or why it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<End>,
    /// The number of the job that is at work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u32>,
}

impl UnitState {
    /// The words for the states, as `docs/control.md` has them.
    pub(crate) const STATES: [&str; 15] = [
        "waiting",
        "scheduled",
        "retrying",
        "starting",
        "running",
        "ready",
        "reloading",
        "watching",
        "stopping",
        "finishing",
        "backoff",
        "idle",
        "held",
        "failed",
        "ended",
    ];

    /// Returns whether the unit is where it should be.
    pub(crate) fn is_up(&self) -> bool {
        self.why.is_none()
            && (self.phase != "waiting" || self.is_scheduled() || self.wanted == "idle")
    }

    /// Returns whether the unit waits for the next time of its schedule.
    fn is_scheduled(&self) -> bool {
        let waits = matches!(self.phase.as_str(), "waiting" | "ended");
        waits && self.why.is_none() && self.next_run_ms.is_some()
    }

    /// Returns the word for its state: one of [`UnitState::STATES`], or a phase that a later version
    /// has.
    pub(crate) fn state(&self) -> &str {
        match (self.wanted.as_str(), self.phase.as_str(), self.ready) {
            ("held", ..) => "held",
            ("idle", ..) => "idle",
            _ if self.is_scheduled() => "scheduled",
            (_, "running", _) if self.reloading => "reloading",
            (_, "running" | "watching", Some(true)) => "ready",
            (_, "running" | "watching", Some(false)) => "starting",
            (_, "ended", _) if self.why.is_some() => "failed",
            (_, phase, _) => phase,
        }
    }
}

/// A main process that is alive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process ID.
    pub pid: i32,
    /// Its resident memory, in bytes.
    pub memory: u64,
    /// The CPU time that it has used, in milliseconds.
    pub cpu_ms: u64,
    /// The time since its start, in milliseconds.
    pub uptime_ms: u64,
}

/// The end of a unit, or of one of its processes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    /// The status that it counts as.
    pub status: u8,
    /// What happened, for people.
    pub why: String,
    /// The time since then, in milliseconds.
    pub ago_ms: u64,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// It is at work.
    Running,
    /// The unit is where the job wanted it.
    Done,
    /// The unit has ended otherwise, or did not reload.
    Failed,
    /// Somebody has asked for something else.
    Superseded,
    /// Somebody has cancelled it.
    Cancelled,
    /// The run stops.
    Stopped,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct JobState {
    /// The number of the job; missing if there was nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The unit.
    pub unit: String,
    /// What was asked for: `start`, `stop`, `restart`, `reload`, `signal` or `reset`.
    pub task: String,
    /// Whether there was anything to do.
    pub changed: bool,
    /// How far it is.
    pub status: JobStatus,
    /// The same in words, for people.
    pub message: String,
    /// For a stop: the units that are `after` the unit, and go on without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<String>,
}

/// The answer to `POST /v1/exec`, once the command has exited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Executed {
    /// The unit.
    pub unit: String,
    /// The exit status, as a shell sees it: 128 and the number of the signal that terminated the
    /// command, 127 if it does not exist, and 126 if it could not be executed.
    pub status: u8,
    /// The signal that terminated the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Why the command could not be executed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
