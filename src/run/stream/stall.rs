//! Decides whether a reader that reads nothing is slow or stuck.

use std::time::Instant;

use super::STUCK_AFTER;
use super::way::Way;

/// Begins at the time when nothing more could be written.
#[derive(Debug)]
pub(super) struct Stall {
    since: Instant,
    /// The number of unread bytes at that time, if the kernel tells.
    backlog: Option<i32>,
    stuck: bool,
}

impl Stall {
    pub(super) fn new(way: &Way, now: Instant) -> Self {
        Self { since: now, backlog: way.backlog(), stuck: false }
    }

    /// When the time is up: the reader is stuck, unless it has read a little, which may be less
    /// than makes room in the pipe.
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

    /// Returns whether the reader has read nothing for [`STUCK_AFTER`].
    pub(super) fn stuck(&self) -> bool {
        self.stuck
    }

    pub(super) fn deadline(&self) -> Instant {
        self.since + STUCK_AFTER
    }
}
