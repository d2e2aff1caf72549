//! The monotonic clock.

use std::time::Instant;

/// What time it is; suspended machines count, late wake-ups are the caller's.
#[expect(clippy::disallowed_methods, reason = "this is where trc reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
