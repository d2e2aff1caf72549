//! The run's clock. It stands still while trc does: time in which nobody could be looked at is
//! nobody's delay.
//!
//! A paused container, a machine that swaps or a debugger may keep trc from running for longer
//! than any deadline. Were those judged by the time that has passed, a unit that became ready
//! meanwhile would be taken for one that did not, and one that was sent KILL for one that it
//! can't kill. So what was missed is left out, and everybody has a moment more, in which what
//! has happened is seen, before the first deadline comes.

use std::time::{Duration, Instant};

use crate::engine::Tick;

/// A wake-up that comes later than that was missed. On a busy machine some are late, and no
/// deadline is so short.
const LATE: Duration = Duration::from_millis(500);
/// What everybody has from then on at least: probes are tried again, and processes that stood
/// still as well get to run.
const LOOK: Duration = Duration::from_millis(500);

/// The time since the run began, without what was missed.
pub(super) struct Clock {
    /// When it would have begun, had nothing been missed.
    began: Instant,
    /// The latest time that it has told.
    told: Tick,
    /// When trc last looked at what has happened.
    looked: Instant,
}

impl Clock {
    /// One that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, told: Tick::ZERO, looked: now }
    }

    /// What time it is: never earlier than it was.
    pub(super) fn tell(&mut self, now: Instant) -> Tick {
        self.told = self.told.max(now.saturating_duration_since(self.began));
        self.told
    }

    /// When it will be that time, if nothing is missed.
    pub(super) fn moment(&self, tick: Tick) -> Instant {
        self.began + tick
    }

    /// trc, which has waited from `since` on, until `until` at the latest, looks at what has
    /// happened. If much was missed, by that call or before it, the clock is put back by what is
    /// returned.
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
            // In time, woken before that, and with nothing to wait for.
            (0, Some(5), 5, None),
            (0, Some(5), 2, None),
            (0, None, 100, None),
            // Late, and later than a deadline that had passed already.
            (0, Some(5), 31, Some(26)),
            (0, Some(0), 26, Some(26)),
            // At something else.
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
