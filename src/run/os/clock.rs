//! The monotonic clock.

use std::time::Instant;

/// Returns the current time, including time in which the machine was suspended. Late wake-ups are
/// the caller's business.
#[expect(clippy::disallowed_methods, reason = "this is where trc reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
