//! Starts units again, alone or together with others.
//!
//! A unit that is to be stopped while the run goes on is *condemned*: it has a verdict, and is told
//! to stop once all units are gone that are restarted together with it.

use std::time::Duration;

use super::unit::{Exit, Leftovers, Phase, Verdict, Wanted, Why};
use super::{Action, Engine, Fact, Finding, How, Run, SpawnStage, Tick, Told, limits};
use crate::config::{Stage, When};
use crate::graph::UnitId;
use crate::status;

impl Engine {
    /// Condemns a running unit, while the run goes on.
    pub(super) fn condemn(&mut self, id: UnitId, verdict: Verdict) {
        self.states[id.0].verdict = Some(verdict);
        self.falls_for(id, verdict);
        let restarts = match verdict {
            Verdict::Unhealthy { restart, .. } => restart,
            Verdict::Together | Verdict::Asked => true,
            // The status that follows from these is a failure.
            Verdict::Unprepared | Verdict::NotReady | Verdict::Overran => {
                self.graph.node(id).unit.restart.when != When::No
            }
        };
        if restarts {
            self.pull(id);
        }
    }

    /// Stops the units that are restarted together with a unit, before it starts again.
    pub(super) fn pull(&mut self, id: UnitId) {
        let graph = std::rc::Rc::clone(&self.graph);
        for other in &graph.node(id).restarts {
            let state = &mut self.states[other.0];
            match state.phase() {
                Phase::Running { .. } | Phase::Starting { .. } if state.verdict.is_none() => {
                    self.condemn(*other, Verdict::Together);
                }
                // It needs no delay of its own: it starts once the other has started.
                Phase::Backoff { .. } => *state.details() = Phase::Backoff { until: None },
                Phase::Retrying { .. } => self.transition(*other, Phase::Waiting, Why::Together),
                Phase::Running { .. }
                | Phase::Starting { .. }
                | Phase::Waiting
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Done(_) => {}
            }
        }
    }

    /// Stops condemned units, and starts those that wait for a restart, if it is time.
    pub(super) fn advance_restarts(&mut self, now: Tick, actions: &mut Vec<Action>) {
        match self.run {
            // Halt units may run for too long, too.
            Run::Boot | Run::Settling | Run::Up | Run::Halting => {}
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Over => return,
        }
        for id in self.graph.ids() {
            let condemned = self.states[id.0].verdict.is_some();
            match self.states[id.0].phase() {
                Phase::Running { .. } | Phase::Starting { pid: Some(_), .. } if condemned => {
                    // A unit that does not come back takes no other unit with it.
                    if self.states[id.0].wanted != Wanted::Up || self.alone(id) {
                        self.begin_stop(id, now, actions);
                    }
                }
                Phase::Retrying { until, tries } => {
                    // Its conditions may not hold any more. If it is condemned or held, there is no
                    // process to stop.
                    let held = self.states[id.0].wanted != Wanted::Up;
                    if std::mem::take(&mut self.states[id.0].verdict).is_some() || held {
                        self.wait_again(id);
                    } else if until <= now {
                        self.states[id.0].tries = tries;
                        self.wait_again(id);
                    }
                }
                // An event tells when the processes are gone that have to go first.
                Phase::Backoff { until } if until.is_none_or(|until| until <= now) => {
                    *self.states[id.0].details() = Phase::Backoff { until: None };
                    if self.states[id.0].gone() && self.alone(id) {
                        self.wait_again(id);
                    }
                }
                Phase::Running { .. }
                | Phase::Starting { .. }
                | Phase::Backoff { .. }
                | Phase::Waiting
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Done(_) => {}
            }
        }
    }

    /// Ends the delay before another start of a unit.
    pub(super) fn wait_again(&mut self, id: UnitId) {
        self.transition(id, Phase::Waiting, Why::Again);
        self.changed.push_back(id);
    }

    /// Returns whether a unit has a process, or gets one without anybody's help: it waits for its start
    /// or is started again, if only by a new graph.
    #[must_use]
    pub(crate) fn is_or_comes_up(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        let comes = match state.wanted {
            Wanted::Up => self.ended(id).is_none() && self.graph.ids().any(|one| one == id),
            Wanted::Down => self.is_reloading() && self.ended(id).is_none(),
            Wanted::Held | Wanted::Idle => false,
        };
        state.pid().is_some() || comes
    }

    /// Returns whether no unit lives that is restarted together with this one. A unit that has
    /// ended is not restarted, and its leftovers stay.
    fn alone(&self, id: UnitId) -> bool {
        let over = |other: UnitId| self.states[other.0].gone() || self.ended(other).is_some();
        self.graph.node(id).restarts.iter().all(|other| over(*other))
    }

    /// Returns whether a unit may start with regard to those that it is restarted together with:
    /// none of them is down in order to be started again.
    pub(super) fn companions_up(&self, id: UnitId) -> bool {
        self.graph.node(id).with.iter().all(|other| {
            let state = &self.states[other.0];
            let up = state.verdict.is_none();
            match state.phase() {
                Phase::Running { .. } | Phase::Watching => up,
                // The unit's conditions say whether it waits for that one.
                Phase::Done(_) => true,
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. } => !state.started,
            }
        })
    }

    /// Ends a unit whose process is gone, or starts it again, after its `post_stop`. `raw` is the exit
    /// status of the process.
    pub(super) fn over(
        &mut self,
        now: Tick,
        id: UnitId,
        how: How,
        (status, raw): (u8, u8),
        actions: &mut Vec<Action>,
    ) {
        let reason = self.end_reason(id, how);
        let exit = self.exit(now, id, how, status, actions);
        if !self.begin_post_stop(now, id, exit, reason, raw, actions) {
            self.settle(now, id, exit, actions);
        }
    }

    /// Takes in that the process of a unit is gone, and returns what that means.
    pub(super) fn exit(
        &mut self,
        now: Tick,
        id: UnitId,
        how: How,
        status: u8,
        actions: &mut Vec<Action>,
    ) -> Exit {
        let state = &self.states[id.0];
        let verdict = state.verdict;
        let unprepared = verdict == Some(Verdict::Unprepared) || matches!(how, How::PreStart(_));
        let never_ready =
            verdict == Some(Verdict::NotReady) || state.watch.ready_by.is_some() || unprepared;
        let told = matches!(state.phase(), Phase::Stopping { .. });
        let lasted = state.ran_since.map(|since| now.saturating_sub(since));
        let (how, status) = match verdict {
            Some(Verdict::Unprepared) => (How::Unprepared, status::TIMED_OUT),
            Some(Verdict::NotReady) => (How::NotReady, status::TIMED_OUT),
            Some(Verdict::Overran) => (How::Overran, status::TIMED_OUT),
            Some(Verdict::Unhealthy { timed_out, .. }) => {
                (How::Unhealthy, super::watch::unhealthy_status(timed_out))
            }
            Some(Verdict::Together | Verdict::Asked) | None => (how, status),
        };
        self.states[id.0].prepares = None;
        self.falls_with(id, how, status, told);
        self.end_watch(id, actions);
        Exit { how, status, told, never_ready, lasted }
    }

    /// Ends a unit whose process is gone, or starts it again.
    pub(super) fn settle(&mut self, now: Tick, id: UnitId, exit: Exit, actions: &mut Vec<Action>) {
        self.follow(now, id, exit, actions);
        self.states[id.0].exit = None;
    }

    fn follow(&mut self, now: Tick, id: UnitId, exit: Exit, actions: &mut Vec<Action>) {
        let Exit { how, status, never_ready, lasted, .. } = exit;
        let verdict = self.states[id.0].verdict;
        // If it was in the foreground, a new graph may have put another unit before it.
        self.changed.push_back(id);
        if self.is_stopping(id) {
            self.end(id, how, status, actions);
            return;
        }
        let wanted = self.states[id.0].wanted;
        if wanted != Wanted::Up || verdict.is_some_and(Verdict::is_no_fault) {
            self.states[id.0].verdict = None;
            match wanted {
                Wanted::Up => self.rest(now, id, now, Why::Exited, actions),
                Wanted::Down => self.transition(id, Phase::Waiting, Why::Reloaded),
                Wanted::Held | Wanted::Idle => self.transition(id, Phase::Waiting, Why::Asked),
            }
            return;
        }
        let node = self.graph.node(id);
        let restart = &node.unit.restart;
        let wanted = match (verdict, restart.when) {
            (Some(Verdict::Unhealthy { restart: true, .. }), _) | (_, When::Always) => true,
            (_, When::OnFailure) => status != 0,
            (_, When::No) => false,
        };
        let hopeless = matches!(how, How::NotStarted(SpawnStage::Settings, _));
        // A one-shot has ended when it has succeeded.
        let wanted = wanted && node.unit.stage != Stage::Halt && !(node.oneshot && status == 0);
        if !wanted || hopeless {
            self.end(id, how, status, actions);
            return;
        }
        let (window, max, backoff) = (restart.window, restart.max, restart.backoff);
        let restarts = &mut self.states[id.0].restarts;
        // A unit that takes the whole window to find out that it does not become ready has not
        // recovered: its restarts are not forgotten.
        if !never_ready {
            while restarts.times.front().is_some_and(|time| *time + window <= now) {
                restarts.times.pop_front();
            }
            if lasted.is_some_and(|lasted| lasted >= window) {
                restarts.in_a_row = 0;
            }
        }
        let since = restarts.times.front().map_or(Tick::ZERO, |first| now.saturating_sub(*first));
        let within = window.max(since);
        let count = u32::try_from(restarts.times.len()).unwrap_or(u32::MAX);
        if max.is_some_and(|max| count >= max) {
            actions.push(Action::Tell(Fact::GaveUp { unit: id, restarts: count, within }));
            self.end(id, how, status, actions);
            return;
        }
        if restarts.times.len() >= limits::RESTARTS {
            restarts.times.pop_front();
        }
        restarts.times.push_back(now);
        let doubled = backoff.first.saturating_mul(2_u32.saturating_pow(restarts.in_a_row));
        restarts.in_a_row = restarts.in_a_row.saturating_add(1);
        let wait = self.less_by_chance(doubled.min(backoff.longest));
        self.testing.restarts = self.testing.restarts.saturating_add(1);
        let excused = std::mem::take(&mut self.states[id.0].faulted);
        if !excused {
            self.find(Finding::Restarted(id));
        }
        let restarts = count.saturating_add(1);
        let fact =
            Fact::Restarting { unit: id, after: wait, restarts, within, how, status, excused };
        actions.push(Action::Tell(fact));
        self.states[id.0].verdict = None;
        self.pull(id);
        self.rest(now, id, now + wait, Why::Exited, actions);
    }

    /// Lets a unit, which has not ended, start again after `until`, when all of it is gone.
    pub(super) fn rest(
        &mut self,
        now: Tick,
        id: UnitId,
        until: Tick,
        why: Why,
        actions: &mut Vec<Action>,
    ) {
        self.transition(id, Phase::Backoff { until: Some(until) }, why);
        self.states[id.0].due = true;
        if let Leftovers::Live { .. } = self.states[id.0].leftovers {
            let kill_at = now + self.graph.node(id).stop_timeout;
            self.states[id.0].leftovers = Self::stop_leftovers(id, Told::Nobody, kill_at, actions);
        }
    }

    /// Shortens a wait by up to half of it, so that units that have failed together do not come
    /// back together.
    fn less_by_chance(&mut self, wait: Duration) -> Duration {
        // splitmix64: https://prng.di.unimi.it/splitmix64.c
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let share = u32::try_from(z >> 33).unwrap_or(0);
        wait.saturating_sub(wait / 2 * share / (u32::MAX >> 1))
    }

    /// Forgets all restarts when the stop of the run begins: nothing is started again.
    pub(super) fn forget_restarts(&mut self, actions: &mut Vec<Action>) {
        for id in self.graph.ids() {
            if self.graph.node(id).unit.stage != Stage::Halt {
                self.states[id.0].wanted = Wanted::Down;
            }
            match self.states[id.0].phase() {
                Phase::Watching => {
                    self.end_watch(id, actions);
                    self.abandon_trial(id, actions);
                    self.transition(id, Phase::Waiting, Why::RunStops);
                }
                Phase::Backoff { .. } | Phase::Retrying { .. } => {
                    self.transition(id, Phase::Waiting, Why::RunStops);
                }
                // A test can no longer be too late.
                Phase::Waiting => self.states[id.0].trial.start_by = None,
                Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Done(_) => {}
            }
        }
    }
}
