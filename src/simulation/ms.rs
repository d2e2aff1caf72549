//! Times in plans, which are short to read.

use std::time::Duration;

use crate::engine::Tick;

/// Virtual milliseconds.
pub(super) type Ms = u32;

pub(super) fn ms(time: Ms) -> Tick {
    Duration::from_millis(u64::from(time))
}
