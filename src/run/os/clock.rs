//! The clocks.

use std::time::{Duration, Instant, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Returns the current time, including time in which the machine was suspended. Late wake-ups are
/// the caller's business.
#[expect(clippy::disallowed_methods, reason = "this is where trc reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time of the wall clock, which files and certificates have.
#[expect(clippy::disallowed_methods, reason = "this is where trc reads the clock")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Returns the current time as processes send it in `MONOTONIC_USEC`: the time since the machine has
/// booted without the time in which it was suspended, to the microsecond. `sd_notify(3)`
pub(crate) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    Duration::new(time.as_secs(), time.subsec_micros() * 1000)
}
