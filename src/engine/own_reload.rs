//! Reloads of units: a unit reads its own configuration anew, and keeps its process.
//!
//! Somebody asks a unit that is up to reload (`Task::Reload`), and trc does what its `reload` says:
//! it sends a signal, or runs a command. The job is done when the command, if there is one, has
//! exited with 0, and the unit is ready again:
//!
//! - If the unit reports its readiness by `sd_notify(3)`, it has to send `RELOADING=1` and then
//!   `READY=1`. It may do so while the command runs.
//! - If trc finds out by attempts whether the unit is ready, an attempt that began after the signal,
//!   or after the exit of the command, has to pass.
//! - All other units say nothing about a reload: they have no `ready`, or one by which they report
//!   only once that they have started (a line of their output, a descriptor).
//!
//! **A unit that reloads is up.** It keeps its phase and its readiness, and its health is watched.
//! A reload that fails is a failure of the job and not of the unit, which runs on as it was: its
//! command has failed, or it is not ready again in time. A unit that exits meanwhile, or that trc
//! has to stop, leaves its phase as always, and its job has failed.
//!
//! Whoever asks for a stop or a restart, or cancels the job, ends the reload: its command is killed,
//! and trc no longer waits for the unit. What the unit has been told cannot be taken back.

use super::request::Refusal;
use super::unit::{Awaits, OwnReload, Phase, Wanted};
use super::{Action, Detail, Engine, JobEnd, Notice, Outcome, Run, Target, Tick, limits};
use crate::config::{Probe, ReloadBy, StopTo};
use crate::graph::UnitId;

/// The reason why a unit did not reload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotReloaded {
    /// The unit has exited, or trc has to stop it.
    Gone,
    /// The command could not be executed, or has not exited with 0.
    Command,
    /// The command has not exited in time.
    SlowCommand,
    /// The unit has not sent `RELOADING=1` in time.
    NotBegun,
    /// The unit has sent `RELOADING=1`, and no `READY=1` after it in time.
    NotReady,
    /// No attempt has found the unit ready in time.
    NotFound,
}

impl Engine {
    /// Returns the reason why a unit cannot reload now, if it cannot.
    pub(super) fn reload_refusal(&self, id: UnitId) -> Option<Refusal> {
        let state = &self.states[id.0];
        let leaves = state.verdict.is_some() || state.watch.leaving;
        let stays = state.wanted == Wanted::Up && !leaves;
        match state.phase() {
            _ if self.graph.node(id).unit.reload.is_none() => Some(Refusal::NoReload),
            Phase::Starting { .. } | Phase::Running { .. } if stays => {
                (!self.stands_up(id)).then_some(Refusal::NotUp)
            }
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => Some(Refusal::NotRunning),
        }
    }

    /// Returns the processes that a signal for a unit goes to, if it is not its stop signal.
    pub(super) fn hears(&self, id: UnitId) -> Target {
        match self.graph.node(id).stop_to {
            StopTo::Process => Target::Process(id),
            StopTo::Group => Target::Members(id),
        }
    }

    /// Makes a unit reload.
    pub(super) fn begin_own_reload(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let unit = &self.graph.node(id).unit;
        let Some(reload) = &unit.reload else { return };
        let awaits = match unit.ready.as_ref().map(|ready| &ready.probe.value) {
            None | Some(Probe::Log(_) | Probe::Fd(_) | Probe::PidFile) => Awaits::Nothing,
            Some(Probe::Notify) => Awaits::Reloading,
            Some(
                Probe::Tcp(_) | Probe::Unix(_) | Probe::Http(_) | Probe::Exec(_) | Probe::File(_),
            ) => Awaits::Attempt { stale: false },
        };
        let until = now + reload.within;
        let (commands, action) = match &reload.by {
            ReloadBy::Signal(signal) => (false, Action::Signal(self.hears(id), *signal)),
            ReloadBy::Exec(_) => (true, Action::ReloadCommand(id)),
        };
        actions.push(action);
        let (failed, why) = (false, None);
        self.states[id.0].reload = Some(OwnReload { until, commands, awaits, failed, why });
        if !commands {
            self.await_attempt(id, actions);
        }
    }

    /// Makes the first attempt to find a unit ready after its reload, if trc makes attempts.
    fn await_attempt(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let every = self.graph.node(id).unit.ready.as_ref().map(|ready| ready.every);
        let state = &mut self.states[id.0];
        if let Some(OwnReload { awaits: Awaits::Attempt { stale }, .. }) = &mut state.reload {
            state.watch.wait = every.map_or(limits::FIRST_TRY, |it| limits::FIRST_TRY.min(it));
            // One that is under way began before the reload.
            *stale = state.watch.trying;
            if !*stale {
                self.try_ready(id, actions);
            }
        }
    }

    /// Handles an attempt to find a unit ready that is ready.
    pub(super) fn tried_again(
        &mut self,
        now: Tick,
        id: UnitId,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let every = self.graph.node(id).unit.ready.as_ref().map(|ready| ready.every);
        let state = &mut self.states[id.0];
        let Some(OwnReload { commands: false, awaits, .. }) = &mut state.reload else { return };
        match (&awaits, outcome) {
            (Awaits::Attempt { stale: true }, _) => {
                *awaits = Awaits::Attempt { stale: false };
                self.try_ready(id, actions);
            }
            (Awaits::Attempt { .. }, Outcome::Passed) => *awaits = Awaits::Nothing,
            (Awaits::Attempt { .. }, _) => {
                state.watch.next_ready = Some(now + state.watch.wait);
                state.watch.wait = (state.watch.wait * 2).min(every.unwrap_or(limits::FIRST_TRY));
            }
            (Awaits::Nothing | Awaits::Reloading | Awaits::Ready, _) => {}
        }
    }

    /// Handles what a unit that reloads says about that.
    pub(super) fn says_of_reload(&mut self, id: UnitId, notice: Notice) {
        let by_notice = self.graph.node(id).unit.ready.as_ref();
        let by_notice = by_notice.is_some_and(|ready| ready.probe.value == Probe::Notify);
        let Some(reload) = self.states[id.0].reload.as_mut().filter(|_| by_notice) else { return };
        match (notice, &reload.awaits) {
            // It may begin once more before it is ready, or before its command has exited.
            (Notice::Reloading, Awaits::Reloading | Awaits::Ready | Awaits::Nothing) => {
                reload.awaits = Awaits::Ready;
            }
            (Notice::Ready, Awaits::Ready) => reload.awaits = Awaits::Nothing,
            _ => {}
        }
    }

    pub(super) fn on_reload_command_ended(
        &mut self,
        id: UnitId,
        succeeded: bool,
        why: Option<Detail>,
        actions: &mut Vec<Action>,
    ) {
        let Some(reload) = &mut self.states[id.0].reload else { return };
        if !std::mem::take(&mut reload.commands) {
            return;
        }
        if succeeded {
            self.await_attempt(id, actions);
        } else {
            (reload.failed, reload.why) = (true, why);
        }
    }

    /// Returns how the reload of a unit ends, with the details that trc knows, if it ends now.
    pub(super) fn own_reload_end(&self, id: UnitId) -> Option<(JobEnd, Option<Detail>)> {
        let failed = |why| JobEnd::NotReloaded(why);
        let state = &self.states[id.0];
        let Some(reload) = &state.reload else { return Some((failed(NotReloaded::Gone), None)) };
        if self.run != Run::Up {
            return Some((JobEnd::RunStops, None));
        }
        if !self.is_watched(id) || state.watch.leaving {
            return Some((failed(NotReloaded::Gone), None));
        }
        if reload.failed {
            return Some((failed(NotReloaded::Command), reload.why.clone()));
        }
        let (why, detail) = match (reload.commands, &reload.awaits) {
            (true, _) => (NotReloaded::SlowCommand, None),
            (false, Awaits::Nothing) => return Some((JobEnd::Done, None)),
            (false, Awaits::Reloading) => (NotReloaded::NotBegun, None),
            (false, Awaits::Ready) => (NotReloaded::NotReady, state.known.clone()),
            (false, Awaits::Attempt { .. }) => (NotReloaded::NotFound, state.known.clone()),
        };
        (reload.until <= self.now).then(|| (failed(why), detail))
    }

    /// Ends the reload of a unit, whatever has become of it.
    pub(super) fn end_own_reload(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let Some(reload) = self.states[id.0].reload.take() else { return };
        if reload.commands {
            actions.push(Action::KillReloadCommand(id));
        }
        if self.is_watched(id) {
            self.states[id.0].watch.next_ready = None;
        }
    }
}
