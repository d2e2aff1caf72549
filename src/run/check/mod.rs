//! Whether what a test expects holds now. Each is `Ok`, or says what came instead; none
//! waits for anything.

pub(super) mod container;
pub(super) mod file;
pub(super) mod listening;
pub(super) mod processes;
pub(super) mod resources;

use crate::words::Wrong;

/// Why something that a test expects does not hold.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Unmet {
    /// What is so instead.
    pub why: Wrong,
    /// Whether it can't come to hold any more, however long one waits.
    pub for_good: bool,
}

impl Unmet {
    /// It does not hold, and never will.
    pub(super) fn for_good(why: Wrong) -> Self {
        Self { why, for_good: true }
    }
}

/// It may come to hold.
impl From<Wrong> for Unmet {
    fn from(why: Wrong) -> Self {
        Self { why, for_good: false }
    }
}
