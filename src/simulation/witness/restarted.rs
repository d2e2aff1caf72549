//! The witness's view of restarts.

use super::super::marks::Mark;
use super::super::plan::ms;
use super::found::Found;
use super::hooks::Finish;
use super::{Fault, Phase, Stand, Verdict, Witness, expect_of};
use crate::config::{Stage, When};
use crate::engine::{EndReason, Tick};

impl Witness<'_> {
    /// Handles a unit that has to be stopped while the run goes on.
    pub(in crate::simulation) fn condemn(&mut self, at: usize, fault: Fault) {
        self.units[at].fault = Some(fault);
        match fault {
            Fault::Unprepared
            | Fault::NotReady
            | Fault::Overran
            | Fault::Unhealthy { timed_out: true, .. } => self.falls(at, 124, None),
            Fault::Unhealthy { timed_out: false, .. } => self.falls(at, 1, None),
            Fault::Together | Fault::Asked => {}
        }
        let comes_back = match fault {
            Fault::Unhealthy { restart, .. } => restart,
            Fault::Together | Fault::Asked => true,
            Fault::Unprepared | Fault::NotReady | Fault::Overran => {
                self.plan.units[at].restart.when != When::No
            }
        };
        if comes_back {
            self.pull(at);
        }
    }

    /// Marks the units that are restarted together with a unit.
    pub(in crate::simulation) fn pull(&mut self, at: usize) {
        for other in self.terms.units[at].followers.clone() {
            let seen = &mut self.units[other];
            match seen.stand {
                Stand::Asked | Stand::Alive if seen.fault.is_none() && seen.told.is_none() => {
                    self.mark(Mark::RestartedTogether);
                    self.condemn(other, Fault::Together);
                }
                Stand::Waiting if seen.owes_main && seen.fault.is_none() => {
                    self.mark(Mark::RestartedTogether);
                    self.condemn(other, Fault::Together);
                }
                // It comes back after the other unit, and needs no delay of its own.
                Stand::Backoff(_) => seen.stand = Stand::Backoff(Some(self.now)),
                Stand::Retrying(_) => (seen.stand, seen.forks) = (Stand::Waiting, 0),
                Stand::Waiting
                | Stand::Asked
                | Stand::Alive
                | Stand::Watching
                | Stand::Finishing
                | Stand::Over => {}
            }
        }
    }

    /// Returns whether all units that are restarted together with a unit have exited.
    pub(in crate::simulation) fn is_alone(&self, at: usize) -> bool {
        let over = |other: usize| self.gone(other) || self.units[other].stand == Stand::Over;
        self.terms.units[at].followers.iter().all(|other| over(*other))
    }

    /// Returns whether none of the units that a unit is restarted together with is about to come
    /// back.
    pub(in crate::simulation) fn companions_up(&self, at: usize) -> bool {
        self.terms.units[at].with.iter().all(|other| {
            let seen = &self.units[*other];
            match seen.stand {
                Stand::Over => true,
                Stand::Watching => seen.fault.is_none(),
                Stand::Alive if seen.watch.since.is_some() => seen.fault.is_none(),
                Stand::Waiting
                | Stand::Retrying(_)
                | Stand::Asked
                | Stand::Alive
                | Stand::Finishing
                | Stand::Backoff(_) => !seen.started,
            }
        })
    }

    /// Handles the exit of a unit, which has ended or will be restarted, after its `post_stop`. `end`
    /// is what that sees.
    pub(in crate::simulation) fn run_over(
        &mut self,
        at: usize,
        status: u8,
        end: (u8, EndReason),
        hopeless: bool,
    ) {
        let unit = &self.plan.units[at];
        let seen = self.units[at];
        let status = match seen.fault {
            Some(
                Fault::Unprepared
                | Fault::NotReady
                | Fault::Overran
                | Fault::Unhealthy { timed_out: true, .. },
            ) => 124,
            Some(Fault::Unhealthy { timed_out: false, .. }) => 1,
            Some(Fault::Together | Fault::Asked) | None => status,
        };
        let never_ready = seen.fault == Some(Fault::NotReady)
            || seen.watch.ready_by.is_some()
            || seen.pre.is_some() && end.1 != EndReason::NotStarted;
        let window = ms(unit.restart.window);
        let lasted = self.ran[at].is_some_and(|since| self.now >= since + window);
        let at_fault = seen.fault.is_some_and(|fault| !fault.is_none());
        let own = self.raw.filter(|_| !at_fault).unwrap_or(status);
        let told = seen.stand == Stand::Alive && (seen.told.is_some() || seen.killed.is_some());
        self.falls_with(at, status, told);
        let until = self.finishes(at);
        let finish =
            Finish { status, own, told, never_ready, lasted, until: until.unwrap_or_default() };
        self.end_watch(at);
        (self.units[at].forks, self.units[at].pre) = (0, None);
        if until.is_some() {
            self.units[at].hopeless = hopeless;
            self.begin_to_finish(at, finish, end.0, end.1);
        } else {
            self.units[at].hopeless = hopeless;
            self.units[at].finish = Some(finish);
            self.follow(at, finish);
        }
    }

    /// Handles the end of a unit whose `post_stop`, if it has one, is over.
    pub(in crate::simulation) fn follow(&mut self, at: usize, finish: Finish) {
        self.follows(at, finish);
        self.units[at].finish = None;
    }

    fn follows(&mut self, at: usize, finish: Finish) {
        let Finish { status, never_ready, lasted, .. } = finish;
        let unit = &self.plan.units[at];
        let seen = self.units[at];
        let hopeless = std::mem::take(&mut self.units[at].hopeless);
        let past = match unit.stage {
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Test => self.stops(),
            Stage::Halt => true,
        };
        if past {
            self.over(at, status, None);
            return;
        }
        let down = seen.held || seen.going;
        if down || seen.fault.is_some_and(Fault::is_none) {
            self.units[at].fault = None;
            self.units[at].stand =
                if down { Stand::Waiting } else { Stand::Backoff(Some(self.now)) };
            return;
        }
        let wanted = match (seen.fault, unit.restart.when) {
            (Some(Fault::Unhealthy { restart, .. }), When::No) => restart,
            (_, When::No) => false,
            (_, When::OnFailure) => status != 0,
            (_, When::Always) => true,
        };
        // A one-shot that has succeeded has ended.
        if !wanted || hopeless || self.terms.units[at].oneshot && status == 0 {
            self.over(at, status, None);
            return;
        }
        let (now, window) = (self.now, ms(unit.restart.window));
        if !never_ready {
            self.restarts[at].retain(|time| now < *time + window);
        } else if self.restarts[at].iter().any(|time| now >= *time + window) {
            self.mark(Mark::RestartsOfNeverReady);
        }
        if unit.restart.max.is_some_and(|max| self.restarts[at].len() >= max as usize) {
            self.mark(Mark::RestartedOftenEnough);
            self.over(at, status, None);
            return;
        }
        self.restarts[at].push(now);
        self.tested.restarts += 1;
        let excused = std::mem::take(&mut self.units[at].faulted);
        self.units[at].excused = excused;
        if excused {
            self.mark(Mark::RestartedByAFault);
        } else {
            self.find(Found::Restarted(at));
        }
        let row = if lasted && !never_ready { 0 } else { seen.in_a_row };
        if row > 1 {
            self.mark(Mark::BackedOff);
        }
        let doubled = (0..row.min(20)).fold(ms(unit.restart.first), |wait, _| wait * 2);
        let seen = &mut self.units[at];
        seen.backoff = doubled.min(ms(unit.restart.longest));
        seen.in_a_row = row + 1;
        seen.fault = None;
        seen.stand = Stand::Backoff(None);
        seen.backed_off = Some(now);
        seen.owes_restart = true;
        self.falls_for_a_while(at);
        self.mark(Mark::Restarted);
        self.pull(at);
    }

    /// Checks the time at which the engine restarts a unit.
    pub(in crate::simulation) fn restarts(
        &mut self,
        at: usize,
        after: Tick,
        count: u32,
        excused: bool,
    ) -> Verdict {
        let seen = &mut self.units[at];
        let owed = std::mem::take(&mut seen.owes_restart);
        expect_of(at, owed, "a unit that is restarted has exited")?;
        let right = (seen.backoff / 2..=seen.backoff).contains(&after);
        expect_of(at, right, "the delay before a restart doubles each time")?;
        let counted = self.restarts[at].len() == count as usize;
        expect_of(at, counted, "the restarts within the window are counted")?;
        let right = self.units[at].excused == excused;
        expect_of(at, right, "a restart that a test has caused is distinguished from others")?;
        // Another unit may have taken it along since, or the run may have begun to stop.
        if self.units[at].stand == Stand::Backoff(None) {
            self.units[at].stand = Stand::Backoff(Some(self.now + after));
        }
        Ok(())
    }

    /// Lets units whose delay has passed, and of which nothing is left, wait for their conditions
    /// again.
    pub(in crate::simulation) fn wake_up(&mut self) {
        match self.phase {
            Phase::Boot | Phase::Settling | Phase::Up => {}
            Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_)
            | Phase::Halting
            | Phase::Over => return,
        }
        for at in 0..self.units.len() {
            let seen = &self.units[at];
            let due = matches!(seen.stand, Stand::Backoff(Some(until)) if until <= self.now);
            if due && self.gone(at) && self.is_alone(at) {
                (self.units[at].stand, self.units[at].due) = (Stand::Waiting, true);
            }
        }
    }
}
