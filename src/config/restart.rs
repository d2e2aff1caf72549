//! The key `restart`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::UnitRef;

/// The exits after which a unit is restarted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// Never.
    No,
    /// After each failure.
    #[default]
    OnFailure,
    /// After every exit.
    Always,
}

/// The delay before a restart, which doubles from one restart to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

/// `restart`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Restart {
    /// The exits after which the unit is restarted.
    pub when: When,
    /// The number of restarts that are allowed within `window`. If the unit then exits once more,
    /// it has ended.
    pub max: Option<u32>,
    /// The time over which `max` counts. After a unit has stayed up for this long, its next delay
    /// is the first one again.
    pub window: Duration,
    /// The delays.
    pub backoff: Backoff,
    /// The units that this unit restarts with, like systemd's `PartOf`.
    pub with: Vec<UnitRef>,
}

impl Restart {
    /// The default of `window`.
    pub(crate) const WINDOW: Duration = Duration::from_mins(1);
    /// The default of `backoff`.
    pub(crate) const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30) };
    /// No restarts.
    pub(crate) const NO: Self = Self {
        when: When::No,
        max: None,
        window: Self::WINDOW,
        backoff: Self::BACKOFF,
        with: Vec::new(),
    };
}
