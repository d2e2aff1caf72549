//! The witness's expectations of `pre_start` and `post_stop`.

use super::super::marks::Mark;
use super::super::plan::ms;
use super::found::Found;
use super::{Fault, Phase, Stand, Verdict, Witness, expect_of};
use crate::config::Stage;
use crate::engine::{EndReason, Ending, Left, Tick};
use crate::signal::Signal;

/// The end of a unit's process, until its `post_stop` has exited.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Finish {
    /// The status that it counts as.
    pub status: u8,
    /// The last exit status of the unit's own process, after `success`.
    pub own: u8,
    /// Whether the unit had been told to stop.
    pub told: bool,
    /// Whether the unit was to become ready, or to be prepared, and did not.
    pub never_ready: bool,
    /// Whether its command had run for as long as restarts count.
    pub lasted: bool,
    /// When its `post_stop` is killed.
    pub until: Tick,
}

impl Witness<'_> {
    /// Returns the stop signal of a unit's process, and whether it goes to its process group.
    pub(super) fn stops_by(&self, at: usize) -> (Signal, bool) {
        let unit = &self.plan.units[at];
        match self.units[at].pre {
            Some(_) => (Signal::TERM, true),
            None => (unit.signal(), unit.to_group()),
        }
    }

    /// Returns whether a unit has no more time. Halt units have the time that is left then.
    fn hurries(&self, at: usize) -> bool {
        self.hurry && self.plan.units[at].stage != Stage::Halt
    }

    /// Returns whether the units of this one's stage are not started any more.
    pub(super) fn is_past(&self, at: usize) -> bool {
        match self.plan.units[at].stage {
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Test => self.stops(),
            Stage::Halt => self.phase != Phase::Halting,
        }
    }

    /// Handles the exit of a `pre_start`. Returns whether the unit's command has to be started.
    pub(super) fn pre_start_exited(&mut self, at: usize, ending: Ending, left: Left) -> bool {
        let past = self.is_past(at);
        let seen = &mut self.units[at];
        seen.ran = true;
        let told = seen.told.is_some() || seen.killed.is_some();
        let wanted = seen.fault.is_none() && !seen.held && !seen.going && !past && !told;
        seen.owes_pre_kill = left != Left::Nothing && !told;
        if seen.owes_pre_kill {
            self.mark(Mark::PreStartLeft);
        }
        let seen = &mut self.units[at];
        if ending != Ending::Code(0) || !wanted {
            self.mark(if told { Mark::PreStartStopped } else { Mark::PreStartFailed });
            return false;
        }
        (seen.pre, seen.owes_main, seen.stand) = (None, true, Stand::Waiting);
        self.mark(Mark::Prepared);
        true
    }

    /// The time of a `pre_start` may be up.
    pub(super) fn pre_start_due(&mut self, at: usize) {
        let seen = &self.units[at];
        let runs = seen.stand == Stand::Alive && seen.told.is_none() && seen.killed.is_none();
        if runs && seen.fault.is_none() && seen.pre.is_some_and(|until| until <= self.now) {
            self.mark(Mark::PreStartSlow);
            self.condemn(at, Fault::Unprepared);
        }
    }

    /// The time of a `post_stop` may be up.
    pub(super) fn post_stop_due(&mut self, at: usize) {
        // At the end of the run, it was killed already.
        let goes_on = self.phase != Phase::Over && self.cut.is_none();
        let due = |finish: &Finish| goes_on && finish.until <= self.now;
        if let Some(finish) = self.units[at].finish.filter(due) {
            self.mark(Mark::PostStopSlow);
            self.find(Found::PostStop(at));
            self.units[at].owes_post_kill = true;
            self.follow(at, finish);
        }
    }

    /// Returns why a unit's process is gone, if it has exited with `ending` or was not executed.
    pub(super) fn end_reason(&self, at: usize, ending: Option<Ending>) -> EndReason {
        let seen = &self.units[at];
        let told = seen.stand == Stand::Alive && (seen.told.is_some() || seen.killed.is_some());
        match (seen.fault, ending) {
            (Some(Fault::Unprepared), _) => EndReason::PreStart,
            (Some(Fault::NotReady), _) => EndReason::NotReady,
            (Some(Fault::Unhealthy { .. }), _) => EndReason::Unhealthy,
            (Some(Fault::Overran), _) => EndReason::Overran,
            (Some(Fault::Together | Fault::Asked) | None, _) if told => EndReason::Stopped,
            (_, None) => EndReason::NotStarted,
            (_, Some(_)) if seen.pre.is_some() => EndReason::PreStart,
            (_, Some(Ending::Code(_))) => EndReason::Exited,
            (_, Some(Ending::Signal(_))) => EndReason::Killed,
        }
    }

    /// Returns the time at which the `post_stop` of a unit whose process is gone is killed, if it has
    /// one that runs.
    pub(super) fn finishes(&self, at: usize) -> Option<Tick> {
        let hook = self.plan.units[at].post_stop.filter(|_| self.units[at].ran)?;
        let within = hook.within.map_or(Tick::from_secs(5), ms);
        (self.phase != Phase::Over && !self.hurries(at)).then(|| self.now + within)
    }

    /// A unit finishes.
    pub(super) fn begin_to_finish(
        &mut self,
        at: usize,
        finish: Finish,
        raw: u8,
        reason: EndReason,
    ) {
        let seen = &mut self.units[at];
        (seen.stand, seen.finish, seen.owes_post_stop) =
            (Stand::Finishing, Some(finish), Some((raw, reason)));
        self.mark(match reason {
            EndReason::Stopped => Mark::FinishedAfterStop,
            EndReason::PreStart => Mark::FinishedAfterPreStart,
            EndReason::NotStarted => Mark::FinishedAfterNoStart,
            EndReason::Exited
            | EndReason::Killed
            | EndReason::NotReady
            | EndReason::Unhealthy
            | EndReason::Overran => Mark::Finished,
        });
    }

    /// The `post_stop` of a unit has exited.
    pub(super) fn post_stop_ended(&mut self, at: usize, succeeded: bool, left: bool) {
        let Some(finish) = self.units[at].finish else { return };
        if !succeeded {
            self.mark(Mark::PostStopFailed);
        }
        if left {
            self.mark(Mark::PostStopLeft);
            self.units[at].owes_post_kill = true;
        }
        if !succeeded || left {
            self.find(Found::PostStop(at));
        }
        self.follow(at, finish);
    }

    /// Checks that a `post_stop` runs when it has to.
    pub(super) fn runs_post_stop(&mut self, at: usize, raw: u8, reason: EndReason) -> Verdict {
        let owed = self.units[at].owes_post_stop.take();
        expect_of(
            at,
            owed == Some((raw, reason)),
            "post_stop runs once after each end, and knows how",
        )
    }

    /// Checks that a `post_stop` is killed only when its time is up, or in a hurry.
    pub(super) fn kills_post_stop(&mut self, at: usize) -> Verdict {
        if std::mem::take(&mut self.units[at].owes_post_kill) {
            return Ok(());
        }
        let finish = self.units[at].finish.filter(|_| self.hurries(at) || self.cut.is_some());
        expect_of(at, finish.is_some(), "post_stop is killed only if it runs for too long")?;
        self.mark(Mark::PostStopKilledInAHurry);
        if let Some(finish) = finish.filter(|_| self.cut.is_none()) {
            self.find(Found::PostStop(at));
            self.follow(at, finish);
            self.wake_up();
            self.stops_in_order();
        }
        Ok(())
    }

    /// Checks, after a step, that everything that is due has been done for a unit.
    pub(super) fn after_hooks(&self, at: usize) -> Verdict {
        let seen = &self.units[at];
        expect_of(at, !seen.owes_main, "a unit starts as soon as its pre_start has succeeded")?;
        expect_of(at, !seen.owes_pre_kill, "what pre_start leaves is killed at once")?;
        expect_of(at, seen.owes_post_stop.is_none(), "post_stop runs after each end")?;
        expect_of(at, !seen.owes_post_kill, "post_stop is killed when its time is up")?;
        let hurried = seen.stand == Stand::Finishing && self.hurries(at);
        expect_of(at, !hurried, "in a hurry, everything is killed")?;
        let late = seen.pre.filter(|_| seen.stand == Stand::Alive && seen.told.is_none());
        let late = late.is_some_and(|until| until <= self.now) && seen.fault.is_none();
        expect_of(at, !late, "pre_start is stopped when its time is up")
    }
}
