//! `restart` as it was written.

use std::time::Duration;

use serde::Deserialize;

use super::UnitRef;

/// After which ends a unit is started again.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// After none.
    No,
    /// After a failure.
    #[default]
    OnFailure,
    /// After any.
    Always,
}

/// The wait before a restart: it doubles from one to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// Before the first.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// `restart`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Restart {
    /// After which ends.
    pub when: When,
    /// How many restarts there may be in `window`; one more end, and the unit has ended.
    pub max: Option<u32>,
    /// The time in which `max` counts. A unit that has run so long without a restart
    /// begins anew: its next wait is the first one.
    pub window: Duration,
    /// The waits.
    pub backoff: Backoff,
    /// It is restarted together with these units, as with systemd's `PartOf`.
    pub with: Vec<UnitRef>,
}

impl Restart {
    /// `window`, where nothing is written.
    pub(crate) const WINDOW: Duration = Duration::from_mins(1);
    /// `backoff`, where nothing is written.
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
