//! The witness's view of readiness, health and `max_runtime`.

use super::super::marks::Mark;
use super::super::plan::ms;
use super::{Fault, Stand, Watch, Witness};
use crate::config::{Stage, Then};
use crate::engine::{Notice, Outcome, Purpose, Tick};

const READY: usize = Purpose::Ready as usize;
const HEALTH: usize = Purpose::Health as usize;

impl Witness<'_> {
    /// Handles the execution of a unit, or the first probe of an external unit.
    pub(in crate::simulation) fn begin_watch(&mut self, at: usize) {
        let unit = &self.plan.units[at];
        let now = self.now;
        self.ran[at] = Some(now);
        let watch = &mut self.units[at].watch;
        *watch = Watch { since: Some(now), ..Watch::default() };
        watch.run_until = unit.max_runtime.map(|most| now + ms(most));
        if let Some(ready) = unit.ready {
            watch.ready_by = Some(now + ms(ready.within));
            watch.wait = Tick::from_millis(10).min(ms(ready.every));
            watch.owed[READY] = !ready.told;
            self.begin_search(at);
        } else {
            watch.up = Some(now);
            if !self.terms.units[at].oneshot {
                self.units[at].fall = None;
            }
            self.health_again(at);
        }
    }

    fn health_again(&mut self, at: usize) {
        let every = self.plan.units[at].health.map(|health| ms(health.every));
        self.units[at].watch.next[HEALTH] = every.map(|every| self.now + every);
    }

    /// Handles the exit of a unit, which ends its probes.
    pub(in crate::simulation) fn end_watch(&mut self, at: usize) {
        self.units[at].watch = Watch::default();
        let unit = &self.plan.units[at];
        self.units[at].owes_silence = unit.is_probed() || unit.stage == Stage::Test;
    }

    /// Returns whether a unit runs, and is not about to be stopped.
    pub(in crate::simulation) fn is_watched(&self, at: usize) -> bool {
        let seen = &self.units[at];
        let runs = seen.stand == Stand::Watching
            || seen.stand == Stand::Alive && seen.watch.since.is_some() && seen.killed.is_none();
        runs && seen.fault.is_none()
    }

    pub(in crate::simulation) fn probed(&mut self, at: usize, purpose: Purpose, outcome: Outcome) {
        self.units[at].watch.trying[purpose as usize] = false;
        if !self.is_watched(at) {
            return;
        }
        if purpose == Purpose::Ready && self.units[at].watch.ready {
            return self.looked_anew(at, outcome);
        }
        let watch = &mut self.units[at].watch;
        match (purpose, outcome) {
            (Purpose::Ready, Outcome::Passed) => self.is_ready(at),
            (Purpose::Ready, Outcome::Failed | Outcome::TimedOut | Outcome::NotMade) => {
                if let Some(ready) = self.plan.units[at].ready.filter(|_| watch.ready_by.is_some())
                {
                    watch.next[READY] = Some(self.now + watch.wait);
                    watch.wait = (watch.wait * 2).min(ms(ready.every));
                }
            }
            (_, Outcome::Hopeless | Outcome::Skipped) => {}
            // The unit has reported that it is about to exit.
            (Purpose::Health, _) if watch.leaving => {}
            (Purpose::Health, Outcome::Passed) => self.is_well(at),
            // Its health does not change.
            (Purpose::Health, Outcome::NotMade) => {
                self.health_again(at);
                self.mark(Mark::HealthNotAsked);
            }
            (Purpose::Health, Outcome::Failed | Outcome::TimedOut) => {
                self.health_again(at);
                self.is_unwell(at, outcome == Outcome::TimedOut, false);
            }
        }
    }

    pub(in crate::simulation) fn notified(&mut self, at: usize, notice: Notice) {
        let mut same = false;
        if let Notice::MainPid(pid) | Notice::StandIn(pid) = notice
            && self.units[at].stand == Stand::Alive
        {
            same = std::mem::replace(&mut self.units[at].pid, pid) == pid;
            self.tells_the_stand_in(at, notice);
        }
        if let Notice::Extend(time) = notice {
            self.extends(at, self.now + time);
        }
        if !self.is_watched(at) {
            return;
        }
        match notice {
            Notice::Ready => {
                self.is_ready(at);
                self.says_anew(at, notice);
            }
            Notice::Alive | Notice::Sick if self.units[at].watch.leaving => {}
            Notice::Alive => self.is_well(at),
            Notice::Sick => {
                self.mark(Mark::SaysThatItIsSick);
                self.is_unwell(at, false, true);
            }
            Notice::Stopping => {
                self.mark(Mark::SaysThatItStops);
                let watch = &mut self.units[at].watch;
                (watch.ready, watch.leaving) = (false, true);
                watch.next[HEALTH] = None;
            }
            Notice::Reloading => self.says_anew(at, notice),
            Notice::MainPid(_) => self.finds_main(at, same),
            Notice::StandIn(_) => self.goes_on(at),
            Notice::Extend(_) => {}
        }
    }

    /// Extends the deadline of what a unit is doing.
    fn extends(&mut self, at: usize, until: Tick) {
        let seen = &mut self.units[at];
        if seen.stand != Stand::Alive {
            return;
        }
        seen.commands = seen.commands.map(|time| time.max(until));
        let time = if seen.told.is_some() {
            if let (Some(kill_at), Some(rest_at)) = (seen.kill_at, &mut seen.rest_at) {
                *rest_at += until.saturating_sub(kill_at);
            }
            seen.kill_at.as_mut().filter(|_| seen.killed.is_none())
        } else if let Some(anew) = &mut seen.anew {
            if anew.until < until {
                anew.until = until;
                self.mark(Mark::ReloadExtended);
            }
            return;
        } else if seen.watch.ready_by.is_some() {
            seen.watch.ready_by.as_mut()
        } else {
            seen.watch.run_until.as_mut()
        };
        if let Some(time) = time.filter(|time| **time < until) {
            *time = until;
            self.mark(Mark::Extended);
        }
    }

    pub(super) fn is_ready(&mut self, at: usize) {
        let watch = &mut self.units[at].watch;
        if let Some(search) = &mut watch.search {
            search.shown = true;
            watch.next[READY] = None;
            return;
        }
        if watch.ready_by.take().is_none() {
            return;
        }
        watch.ready = true;
        watch.next[READY] = None;
        watch.up = Some(self.now);
        self.units[at].fall = None;
        self.mark(Mark::Ready);
        self.health_again(at);
        let unit = &self.plan.units[at];
        if unit.outside {
            self.mark(Mark::FoundOutside);
        }
        if unit.outside && unit.stage == Stage::Boot {
            self.end_watch(at);
            self.units[at].found = true;
            self.over(at, 0, None);
        }
    }

    fn is_well(&mut self, at: usize) {
        let watch = &mut self.units[at].watch;
        if watch.ready_by.is_none() {
            watch.failures = 0;
            if std::mem::take(&mut watch.sick) {
                self.units[at].fall = None;
            }
            self.health_again(at);
        }
    }

    fn is_unwell(&mut self, at: usize, timed_out: bool, at_once: bool) {
        let Some(health) = self.plan.units[at].health else { return };
        let watch = &mut self.units[at].watch;
        watch.failures = if at_once { health.failures } else { watch.failures + 1 };
        if watch.failures < health.failures || watch.sick {
            return;
        }
        watch.sick = true;
        match health.then {
            Then::Restart => {
                self.mark(Mark::UnhealthyRestarted);
                self.condemn(at, Fault::Unhealthy { timed_out, restart: true });
            }
            Then::Stop => {
                self.condemn(at, Fault::Unhealthy { timed_out, restart: false });
                if self.testing() {
                    self.mark(Mark::UnhealthyInATestRun);
                    return;
                }
                self.first_failure.get_or_insert(at);
                self.decide(if timed_out { 124 } else { 1 }, Mark::UnhealthyStopped);
            }
            Then::Ignore => {
                self.falls(at, if timed_out { 124 } else { 1 }, None);
                self.mark(Mark::UnhealthyIgnored);
            }
        }
    }

    /// Handles the deadlines of a unit.
    pub(in crate::simulation) fn watch_due(&mut self, at: usize) {
        if !self.is_watched(at) {
            return;
        }
        let now = self.now;
        let due = |time: Option<Tick>| time.is_some_and(|time| time <= now);
        let watch = self.units[at].watch;
        let health_told = self.plan.units[at].health.is_some_and(|health| health.told);
        if due(watch.ready_by) && self.stays(at) {
            return;
        }
        if due(watch.ready_by) {
            self.mark(Mark::NotReady);
            if self.plan.units[at].outside {
                self.falls(at, 124, None);
                self.end_watch(at);
                self.over(at, 124, None);
            } else {
                self.condemn(at, Fault::NotReady);
            }
            return;
        }
        if due(watch.run_until) {
            self.mark(Mark::Overran);
            self.condemn(at, Fault::Overran);
            return;
        }
        for purpose in [READY, HEALTH] {
            if due(watch.next[purpose]) && !(purpose == HEALTH && health_told) {
                self.units[at].watch.next[purpose] = None;
                self.units[at].watch.owed[purpose] = true;
            }
        }
        self.look_is_due(at);
        if due(watch.next[HEALTH]) && health_told {
            self.health_again(at);
            self.is_unwell(at, true, false);
        }
    }
}
