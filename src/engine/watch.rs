//! Readiness, health, and the time limits of units.

use super::unit::{Calm, Phase, Sought, Verdict};
use super::{Action, Cause, Engine, Fact, How, Notice, Outcome, Purpose, Tick, limits};
use crate::config::{Probe, Stage, Then};
use crate::graph::UnitId;
use crate::status;

impl Engine {
    /// Begins to watch a unit: its command was executed, or, for an external unit, trc looks for
    /// what it stands for.
    pub(super) fn begin_watch(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let unit = &self.graph.node(id).unit;
        self.states[id.0].ran_since = Some(now);
        let watch = &mut self.states[id.0].watch;
        watch.since = now;
        watch.run_until = unit.max_runtime.map(|most| now + most);
        if let Some(ready) = &unit.ready {
            watch.ready_by = Some(now + ready.within);
            watch.wait = limits::FIRST_TRY.min(ready.every);
            if unit.pid_file.is_some() {
                let shown = ready.probe.value == Probe::PidFile;
                watch.sought = Some(Sought::new(now, watch.wait, shown));
            }
            if !ready.probe.value.is_told() {
                self.try_ready(id, actions);
            }
        } else {
            // A one-shot is up when it has succeeded.
            if !self.graph.node(id).oneshot {
                self.stands_again(id);
            }
            self.is_up(now, id);
            self.begin_health(now, id);
        }
    }

    /// Attempts to find out whether a unit is ready.
    pub(super) fn try_ready(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].watch.trying = true;
        actions.push(Action::Probe(id, Purpose::Ready));
    }

    /// Records that a unit is up. A test run checks whether it stays up.
    fn is_up(&mut self, now: Tick, id: UnitId) {
        if self.graph.testing
            && matches!(self.graph.node(id).unit.stage, Stage::Async | Stage::Sync)
        {
            self.states[id.0].watch.calm = Calm::At(now + limits::CALM);
        }
    }

    fn begin_health(&mut self, now: Tick, id: UnitId) {
        let health = self.graph.node(id).unit.health.as_ref();
        self.states[id.0].watch.next_health = health.map(|health| now + health.every);
    }

    /// Ends the probes of a unit that has exited.
    pub(super) fn end_watch(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].watch = super::unit::Watch::default();
        if self.graph.node(id).unit.probes().next().is_some() {
            actions.push(Action::StopProbes(id));
        }
    }

    /// Returns whether a unit is watched: it runs, and is not about to be stopped.
    pub(crate) fn is_watched(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        matches!(state.phase(), Phase::Running { .. } | Phase::Watching) && state.verdict.is_none()
    }

    pub(super) fn on_probed(
        &mut self,
        now: Tick,
        id: UnitId,
        purpose: Purpose,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        // The unit may have exited, or been asked to stop, during the attempt.
        if !self.is_watched(id) {
            return;
        }
        if purpose == Purpose::Ready {
            self.states[id.0].watch.trying = false;
        }
        if purpose == Purpose::Ready && self.states[id.0].watch.ready {
            return self.tried_again(now, id, outcome, actions);
        }
        let unit = &self.graph.node(id).unit;
        let watch = &mut self.states[id.0].watch;
        match (purpose, outcome) {
            // Only attempts of tests have these outcomes.
            (_, Outcome::Hopeless | Outcome::Skipped) => {}
            (Purpose::Ready, Outcome::Passed) => self.became_ready(now, id, actions),
            (Purpose::Ready, Outcome::Failed | Outcome::TimedOut | Outcome::NotMade) => {
                if let Some(ready) = unit.ready.as_ref().filter(|_| watch.ready_by.is_some()) {
                    watch.next_ready = Some(now + watch.wait);
                    watch.wait = (watch.wait * 2).min(ready.every);
                }
            }
            (Purpose::Health, _) if watch.leaving => {}
            (Purpose::Health, Outcome::Passed) => self.is_well(now, id),
            (Purpose::Health, Outcome::NotMade) => self.begin_health(now, id),
            (Purpose::Health, Outcome::Failed | Outcome::TimedOut) => {
                self.begin_health(now, id);
                self.is_unwell(id, outcome == Outcome::TimedOut, actions);
            }
        }
    }

    pub(super) fn on_notified(
        &mut self,
        now: Tick,
        id: UnitId,
        notice: Notice,
        actions: &mut Vec<Action>,
    ) {
        let before = self.states[id.0].pid();
        if let Notice::MainPid(other) | Notice::StandIn(other) = notice {
            self.has_main(id, other, notice, actions);
        }
        if let Notice::Extend(time) = notice {
            self.states[id.0].extend(now + time);
        }
        if !self.is_watched(id) {
            return;
        }
        match notice {
            Notice::Ready => {
                self.became_ready(now, id, actions);
                self.says_of_reload(id, notice);
            }
            Notice::Alive | Notice::Sick if self.states[id.0].watch.leaving => {}
            Notice::Alive => self.is_well(now, id),
            Notice::Sick => {
                let most = self.graph.node(id).unit.health.as_ref().map_or(1, |h| h.failures);
                self.states[id.0].watch.failures = most.saturating_sub(1);
                self.is_unwell(id, false, actions);
            }
            // The unit is about to exit, and trc will see that.
            Notice::Stopping => {
                let watch = &mut self.states[id.0].watch;
                (watch.ready, watch.leaving) = (false, true);
                watch.next_health = None;
            }
            // The unit keeps serving meanwhile.
            Notice::Reloading => self.says_of_reload(id, notice),
            Notice::MainPid(pid) => self.found_main(now, id, (pid, before), actions),
            Notice::StandIn(_) => self.goes_on(id, actions),
            Notice::Extend(_) => {}
        }
    }

    pub(super) fn became_ready(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let state = &mut self.states[id.0];
        let watch = &mut state.watch;
        if let Some(sought) = &mut watch.sought {
            (sought.shown, watch.next_ready) = (true, None);
            return;
        }
        // A unit sends READY=1 again after a reload.
        if watch.ready_by.take().is_none() {
            return;
        }
        watch.ready = true;
        watch.next_ready = None;
        state.ready_at = Some(now);
        let after = now.saturating_sub(watch.since);
        self.stands_again(id);
        actions.push(Action::Tell(Fact::Ready { unit: id, after }));
        self.changed.push_back(id);
        self.is_up(now, id);
        self.begin_health(now, id);
        let node = self.graph.node(id);
        if node.is_outside() && node.unit.stage == Stage::Boot {
            self.end_watch(id, actions);
            self.end(id, How::Found, 0, actions);
        }
    }

    fn is_well(&mut self, now: Tick, id: UnitId) {
        let watch = &mut self.states[id.0].watch;
        // Health does not count before the unit is ready.
        if watch.ready || watch.ready_by.is_none() {
            let recovers = std::mem::take(&mut watch.sick);
            watch.failures = 0;
            if recovers {
                self.stands_again(id);
            }
            self.begin_health(now, id);
        }
    }

    fn is_unwell(&mut self, id: UnitId, timed_out: bool, actions: &mut Vec<Action>) {
        let Some(health) = &self.graph.node(id).unit.health else { return };
        let (most, then) = (health.failures, health.then);
        let watch = &mut self.states[id.0].watch;
        watch.failures = watch.failures.saturating_add(1);
        if watch.failures < most || watch.sick {
            return;
        }
        watch.sick = true;
        let why = self.states[id.0].known.clone();
        actions.push(Action::Tell(Fact::Unhealthy { unit: id, then, why }));
        let restart = match then {
            Then::Restart => true,
            Then::Stop => false,
            Then::Ignore => {
                let verdict = Verdict::Unhealthy { timed_out, restart: false };
                return self.falls_for(id, verdict);
            }
        };
        let verdict = Verdict::Unhealthy { timed_out, restart };
        self.condemn(id, verdict);
        if !restart && !self.graph.testing {
            self.first_failure.get_or_insert(id);
            self.stop_run(Cause::Failed(id), unhealthy_status(timed_out), actions);
        }
    }

    /// Handles the deadlines of a watched unit.
    pub(super) fn watch_due(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        if !self.is_watched(id) {
            return;
        }
        let due = |time: Option<Tick>| time.is_some_and(|time| time <= now);
        let watch = self.states[id.0].watch;
        if watch.calm != Calm::Yes && watch.is_calm(now) {
            self.states[id.0].watch.calm = Calm::Yes;
            self.changed.push_back(id);
        }
        let told = self.graph.node(id).unit.health.as_ref();
        let told = told.is_some_and(|health| health.probe.value.is_told());
        if due(watch.ready_by)
            && watch.sought.is_some_and(|sought| sought.shown && !sought.background)
        {
            self.stays(now, id, actions);
        } else if due(watch.ready_by) {
            let why = self.states[id.0].known.clone();
            actions.push(Action::Tell(Fact::NotReady { unit: id, why }));
            if self.graph.node(id).is_outside() {
                self.falls_for(id, Verdict::NotReady);
                self.end_watch(id, actions);
                self.end(id, How::NotReady, status::TIMED_OUT, actions);
            } else {
                self.condemn(id, Verdict::NotReady);
            }
        } else if due(watch.run_until) {
            actions.push(Action::Tell(Fact::Overran { unit: id }));
            self.condemn(id, Verdict::Overran);
        } else {
            if due(watch.next_ready) {
                self.states[id.0].watch.next_ready = None;
                self.try_ready(id, actions);
            }
            if let Some(sought) = &mut self.states[id.0].watch.sought
                && sought.next.take_if(|next| *next <= now).is_some()
            {
                actions.push(Action::Seek(id));
            }
            if due(watch.next_health) && told {
                self.begin_health(now, id);
                self.is_unwell(id, true, actions);
            } else if due(watch.next_health) {
                self.states[id.0].watch.next_health = None;
                actions.push(Action::Probe(id, Purpose::Health));
            }
        }
    }
}

/// Returns the exit status of an unhealthy unit.
pub(super) fn unhealthy_status(timed_out: bool) -> u8 {
    if timed_out { status::TIMED_OUT } else { 1 }
}
