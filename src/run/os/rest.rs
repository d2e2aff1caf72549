//! A rest after a failure that would otherwise repeat at once.

use std::time::{Duration, Instant};

/// The rest of a socket, in which nobody polls it.
pub(crate) struct Rest {
    time: Duration,
    until: Option<Instant>,
}

impl Rest {
    /// Returns a rest that takes this long, once it begins.
    pub(crate) fn new(time: Duration) -> Self {
        Self { time, until: None }
    }

    /// Begins the rest.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.until = Some(now + self.time);
    }

    /// Ends the rest early.
    pub(crate) fn end(&mut self) {
        self.until = None;
    }

    /// Returns when the rest is over, if it has begun.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}
