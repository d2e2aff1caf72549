//! Probes that go on while a test damages or restarts a unit.
//!
//! From the beginning of such a test to its end, one attempt follows another, at most one at a time.
//! The unit is damaged when the first of them has been under way for a moment, so that a request that
//! takes time is one that the damage comes in the middle of.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::{Drill, Run};
use crate::config::{Asked, During, Probe};
use crate::graph::UnitId;
use crate::run::os::clock::now;
use crate::run::probe::{Failure, Over, Try};
use crate::words::{BadAnswer, Meanwhile, Wrong};

/// The longest time to wait for one connection or answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The probes of a test that goes on.
pub(super) struct Vigil {
    pub test: UnitId,
    during: During,
    /// When it began.
    since: Instant,
    /// When the next attempt begins, unless one is under way.
    next: Instant,
    under_way: Option<(Try, Instant)>,
    /// When the first attempt began of those that have failed since one has passed.
    failing: Option<Instant>,
    seen: Meanwhile,
}

impl Vigil {
    pub(super) fn new(test: UnitId, during: During) -> Self {
        let (since, seen) = (now(), Meanwhile::default());
        Self { test, during, since, next: since, under_way: None, failing: None, seen }
    }

    /// Returns whether an attempt is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins an attempt. Returns it if it is over already.
    fn begin(&mut self, time: Instant) -> Option<Over> {
        let begun = match &self.during.asked {
            Asked::Http(check) => Try::begin_http(check, PATIENCE, time),
            Asked::Tcp(to) => Try::begin(&Probe::Tcp(to.clone()), PATIENCE, time),
            Asked::Unix(path) => Try::begin(&Probe::Unix(path.clone()), PATIENCE, time),
            // The keys of `during` are those above.
            Asked::File(_) | Asked::Tree(_) | Asked::Dns(_) => {
                Err(Failure::new(BadAnswer::NotAsked).into())
            }
        };
        self.next = time + self.during.every;
        match begun {
            Ok(asked) => self.under_way = Some((asked, time)),
            Err(over) => return Some(self.over(over, time, false)),
        }
        None
    }

    /// Takes in the result of an attempt that began at this time; `accepted` tells whether it had a
    /// connection before.
    fn over(&mut self, over: Over, began: Instant, accepted: bool) -> Over {
        let time = now();
        self.seen.tries = self.seen.tries.saturating_add(1);
        match &over.verdict {
            Ok(()) => self.end_gap(time),
            Err(failure) => {
                self.failing.get_or_insert(began);
                self.seen.failed = self.seen.failed.saturating_add(1);
                self.seen.broken = self.seen.broken.saturating_add(u32::from(accepted));
                let after = began.saturating_duration_since(self.since);
                self.seen.first.get_or_insert_with(|| (after, failure.why.to_string()));
            }
        }
        over
    }

    fn end_gap(&mut self, time: Instant) {
        if let Some(since) = self.failing.take() {
            let gap = time.saturating_duration_since(since);
            self.seen.longest_gap = self.seen.longest_gap.max(gap);
        }
    }

    /// Continues the attempt that is under way. Returns it if it is over.
    fn proceed(&mut self, time: Instant) -> Option<Over> {
        let (asked, began) = self.under_way.take()?;
        let accepted = asked.is_accepted();
        let late = asked.deadline() <= time;
        match if late { asked.late(time) } else { asked.proceed(time) } {
            Ok(asked) => self.under_way = Some((asked, began)),
            Err(over) => return Some(self.over(over, began, accepted)),
        }
        None
    }

    pub(super) fn fd(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.under_way.as_ref().map(|(asked, _)| asked.fd())
    }

    pub(super) fn deadline(&self) -> Instant {
        self.under_way.as_ref().map_or(self.next, |(asked, _)| asked.deadline())
    }

    pub(super) fn postpone(&mut self, by: Duration) {
        self.next += by;
        if let Some((asked, _)) = &mut self.under_way {
            asked.postpone(by);
        }
    }

    /// Returns the check for reports, and whether it holds. The name of one that holds has what was
    /// seen, which nothing else in the report tells.
    pub(super) fn judge(&self) -> (String, Result<(), Wrong>) {
        let mut seen = self.seen.clone();
        if let Some(since) = self.failing {
            seen.longest_gap = seen.longest_gap.max(now().saturating_duration_since(since));
        }
        let name = format!("{} {}", self.during.asked, self.during.limits());
        if self.during.holds(seen.failed, seen.broken, seen.longest_gap) {
            (format!("{name}: {seen}"), Ok(()))
        } else {
            (name, Err(Wrong::Meanwhile(seen)))
        }
    }
}

impl Drill {
    /// Begins the probes of a test that goes on, if it has any.
    pub(super) fn begin_vigil(&mut self, run: &mut dyn Run, test: UnitId) {
        let during = self.graph.node(test).test().and_then(|test| test.during.clone());
        self.vigil = during.map(|during| Vigil::new(test, during.value));
        self.go_on_with_vigil(run, now());
    }

    /// Ends the probes of a test, with the test.
    pub(super) fn end_vigil(&mut self, run: &mut dyn Run) {
        let under_way = self.vigil.take().and_then(|vigil| vigil.under_way);
        if let Some(closing) = under_way.and_then(|(asked, _)| asked.abandon()) {
            run.close(closing);
        }
    }

    /// Lets the probes of a test go on: after an event, or when it is time.
    pub(super) fn go_on_with_vigil(&mut self, run: &mut dyn Run, time: Instant) {
        let Some(vigil) = &mut self.vigil else { return };
        let over = match vigil.is_busy() {
            true => vigil.proceed(time),
            false if vigil.next <= time => vigil.begin(time),
            false => None,
        };
        let Some(over) = over else { return };
        if let Some(closing) = over.closing {
            run.close(closing);
        }
        // An attempt of the test may have waited for this one.
        if self.trial.as_ref().is_some_and(|trial| trial.waits) {
            self.end_try(run);
        }
    }
}
