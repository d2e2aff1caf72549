//! A reader that takes nothing: slow, or stuck?

use std::time::Instant;

use super::STUCK_AFTER;
use super::way::Way;

/// From the moment on when nothing more could be written.
#[derive(Debug)]
pub(super) struct Stall {
    since: Instant,
    /// What the reader had not taken by then, if the kernel tells.
    backlog: Option<i32>,
    stuck: bool,
}

impl Stall {
    pub(super) fn new(way: &Way, now: Instant) -> Self {
        Self { since: now, backlog: way.backlog(), stuck: false }
    }

    /// Once its time is over: the reader is stuck, unless it took a little, less
    /// than would make room in the pipe.
    pub(super) fn look(&mut self, way: &Way, now: Instant) {
        if self.stuck || now < self.deadline() {
            return;
        }
        let backlog = way.backlog();
        if backlog.is_some() && backlog != self.backlog {
            *self = Self { since: now, backlog, stuck: false };
        } else {
            self.stuck = true;
        }
    }

    /// Whether the reader took nothing for [`STUCK_AFTER`].
    pub(super) fn stuck(&self) -> bool {
        self.stuck
    }

    pub(super) fn deadline(&self) -> Instant {
        self.since + STUCK_AFTER
    }
}
