//! Checks that do not wait. Each returns `Ok`, or describes what was found instead.

pub(super) mod account;
pub(super) mod certificate;
pub(super) mod container;
pub(super) mod file;
pub(super) mod listening;
pub(super) mod mounts;
pub(super) mod processes;
pub(super) mod resources;
pub(super) mod settings;
pub(super) mod tree;

use crate::words::Wrong;

/// The reason why a check fails.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Unmet {
    /// A description of what was found instead.
    pub why: Wrong,
    /// Whether the check can no longer pass, however long trc waits.
    pub for_good: bool,
}

impl Unmet {
    /// The check fails, and will never pass.
    pub(super) fn for_good(why: Wrong) -> Self {
        Self { why, for_good: true }
    }
}

/// The check fails, but may pass later.
impl From<Wrong> for Unmet {
    fn from(why: Wrong) -> Self {
        Self { why, for_good: false }
    }
}
