//! The clock of the run. It stands still while trc does not run, so that no unit is late because
//! trc could not look at it.
//!
//! A paused container, a machine that swaps or a debugger may keep trc from running for longer than
//! any deadline. If trc judged deadlines by the time that has passed, it would take a unit that
//! became ready in the meantime for one that did not, and a process that got SIGKILL for one that
//! cannot be killed. So the clock leaves out the time that was missed. It also adds a moment before
//! the first deadline, in which trc sees what has happened.

use std::time::{Duration, Instant};

use crate::engine::Tick;

/// The delay after which a wake-up counts as missed. On a busy machine some wake-ups are late, but
/// no deadline is this short.
const LATE: Duration = Duration::from_millis(500);
/// The least time that is left before any deadline after a missed wake-up. In this time probes are
/// repeated, and processes that stood still as well get to run.
const LOOK: Duration = Duration::from_millis(500);

/// The time since the run began, without the time that was missed.
pub(super) struct Clock {
    /// The moment at which the run would have begun if nothing had been missed.
    began: Instant,
    /// The latest time that the clock has told.
    told: Tick,
    /// The moment at which trc last looked at what has happened.
    looked: Instant,
}

impl Clock {
    /// Returns a clock that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, told: Tick::ZERO, looked: now }
    }

    /// Returns the current time, which is never earlier than the time returned before.
    pub(super) fn tell(&mut self, now: Instant) -> Tick {
        self.told = self.peek(now);
        self.told
    }

    /// Returns the current time for somebody who only looks.
    pub(super) fn peek(&self, now: Instant) -> Tick {
        self.told.max(now.saturating_duration_since(self.began))
    }

    /// Returns the moment at which it will be this time if nothing is missed.
    pub(super) fn moment(&self, tick: Tick) -> Instant {
        self.began + tick
    }

    /// Notes that trc looks at what has happened, after it has waited since `since`, and until
    /// `until` at the latest. If this call or the time before it missed much, puts the clock back
    /// and returns by how much.
    pub(super) fn look(
        &mut self,
        since: Instant,
        until: Option<Instant>,
        now: Instant,
    ) -> Option<Duration> {
        let before = since.saturating_duration_since(self.looked);
        let late =
            until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until.max(since)));
        self.looked = now;
        let missed: Duration = [before, late].into_iter().filter(|time| *time > LATE).sum();
        if missed.is_zero() {
            return None;
        }
        let by = missed + LOOK;
        self.began += by;
        Some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_missed_does_not_count() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        let start = Instant::now();
        let at = |seconds: u32| start + S * seconds;
        for (since, until, now, by) in [
            // A wait that ends in time, one that ends early, and one without a deadline.
            (0, Some(5), 5, None),
            (0, Some(5), 2, None),
            (0, None, 100, None),
            // A wait that ends late, and one whose deadline had passed already.
            (0, Some(5), 31, Some(26)),
            (0, Some(0), 26, Some(26)),
            // Time that was missed before the wait.
            (26, Some(30), 30, Some(26)),
            (26, None, 27, Some(26)),
            (10, Some(15), 31, Some(26)),
        ] {
            let mut clock = Clock::new(start);
            assert_eq!(clock.tell(start), Tick::ZERO);
            let found = clock.look(at(since), until.map(at), at(now));
            assert_eq!(found, by.map(|by| S * by + LOOK), "{since} {until:?} {now}");
            let missed = by.map_or(Tick::ZERO, |by| S * by + LOOK);
            assert_eq!(clock.tell(at(now)), (S * now).saturating_sub(missed));
            assert_eq!(clock.moment(S), at(1) + missed);
        }
    }

    #[test]
    fn a_little_late_is_in_time() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        let start = Instant::now();
        let mut clock = Clock::new(start);
        assert_eq!(clock.look(start, Some(start + S), start + S + LATE), None);
        assert_eq!(clock.tell(start + S + LATE), S + LATE);
    }

    #[test]
    fn it_never_goes_back() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        let start = Instant::now();
        let mut clock = Clock::new(start);
        assert_eq!(clock.tell(start + S), S);
        let until = start + S + Duration::from_millis(1);
        assert!(clock.look(start + S, Some(until), start + S * 20).is_some());
        assert_eq!(clock.tell(start + S * 20), S, "it stands still for a moment");
        let deadline = clock.moment(S + Duration::from_millis(1));
        assert!(deadline > start + S * 20, "what was to come then is still to come");
        assert_eq!(clock.tell(deadline), S + Duration::from_millis(1));
    }
}
