//! The commands around a unit's process: `pre_start` and `post_stop`.
//!
//! **`pre_start`** is the unit's process while it runs: the unit is `Starting`, and has not executed
//! its command yet. So the unit can be stopped, held, restarted and killed as ever, except that it
//! gets SIGTERM, and with it its whole process group, because the unit's own stop signal and stop
//! command are for the unit's own program. If it exits with 0, the unit's command is started, and
//! whatever it has left running is killed first. Otherwise the start has failed, and the restart
//! policy decides. It has a time limit of its own ([`State::prepares`](super::unit::State)).
//!
//! **`post_stop`** runs after each exit of a unit whose command or `pre_start` was executed, if it
//! was stopped, too. The unit is `Finishing` meanwhile: it has not ended yet, and something of it
//! lives, so whatever waits for its end or its exit waits for the command as well: its restart, the
//! units that are `after` its end, those that it stands on, a new graph, the wait policy and the stop
//! of the run. What the exit means is worked out at once ([`Exit`]), and done when the command has
//! exited. Its failure is a warning. When its time is up, it is killed, and trc does not wait for it
//! any more. Whatever it has left running when it exits is killed, too. In a hurry, when everything is
//! killed, it does not run. It does not run for a unit that has survived SIGKILL, because the unit may
//! still be there.

use super::unit::{Exit, Phase, Verdict, Why};
use super::{
    Action, Detail, EndReason, Ending, Engine, Fact, Finding, How, Left, Run, Target, Tick, limits,
};
use crate::config::StopTo;
use crate::graph::UnitId;
use crate::signal::Signal;

impl Engine {
    /// Returns whether everything is killed. Halt units have the time that is left then.
    pub(super) fn hurries(&self) -> bool {
        self.hurry && self.run != Run::Halting
    }

    /// Returns whether the process of a unit is that of its `pre_start`.
    pub(super) fn prepares(&self, id: UnitId) -> bool {
        self.states[id.0].prepares.is_some()
    }

    /// Returns the stop signal of a unit's process, and its receiver.
    pub(super) fn stops_by(&self, id: UnitId) -> (Signal, StopTo) {
        let node = self.graph.node(id);
        if self.prepares(id) {
            (Signal::TERM, StopTo::Group)
        } else {
            (node.stop_signal, node.stop_to)
        }
    }

    /// Starts the command of a unit whose `pre_start` has exited, if that has succeeded and the unit
    /// is still to start. Returns whether it did.
    pub(super) fn is_prepared(
        &mut self,
        id: UnitId,
        ending: Ending,
        left: Left,
        actions: &mut Vec<Action>,
    ) -> bool {
        let state = &mut self.states[id.0];
        let Phase::Starting { tries, .. } = state.phase() else { return false };
        let wanted = state.wanted == super::Wanted::Up && state.verdict.is_none();
        if state.prepares.is_none() || ending != Ending::Code(0) || !wanted {
            return false;
        }
        if self.is_stopping(id) {
            return false;
        }
        let state = &mut self.states[id.0];
        state.prepares = None;
        *state.details() = Phase::Starting { pid: None, tries };
        if left != Left::Nothing {
            actions.push(Action::Tell(Fact::PreStartLeft { unit: id }));
            actions.push(Action::Signal(Target::All(id), Signal::KILL));
        }
        actions.push(Action::Spawn(id));
        true
    }

    /// Handles the time limit of a `pre_start`.
    pub(super) fn preparation_due(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let state = &self.states[id.0];
        if state.verdict.is_none() && state.prepares.is_some_and(|until| until <= now) {
            actions.push(Action::Tell(Fact::Unprepared { unit: id }));
            self.condemn(id, Verdict::Unprepared);
        }
    }

    /// Runs the `post_stop` of a unit whose process is gone, if there is one to run. Returns whether
    /// it did.
    pub(super) fn begin_post_stop(
        &mut self,
        now: Tick,
        id: UnitId,
        exit: Exit,
        reason: EndReason,
        raw: u8,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(hook) = &self.graph.node(id).unit.post_stop else { return false };
        if !self.states[id.0].executed || self.run == Run::Over {
            return false;
        }
        if self.hurries() {
            actions.push(Action::Tell(Fact::PostStopSkipped { unit: id }));
            self.find(Finding::PostStop(id));
            return false;
        }
        let until = now + hook.within.unwrap_or(limits::POST_STOP);
        self.states[id.0].exit = Some(exit);
        self.transition(id, Phase::Finishing { until }, Why::Gone);
        actions.push(Action::PostStop(id, raw, reason));
        true
    }

    /// Returns why the process of a unit is gone, for its `post_stop`.
    pub(super) fn end_reason(&self, id: UnitId, how: How) -> EndReason {
        let state = &self.states[id.0];
        let told = matches!(state.phase(), Phase::Stopping { .. });
        match state.verdict {
            Some(Verdict::Unprepared) => return EndReason::PreStart,
            Some(Verdict::NotReady) => return EndReason::NotReady,
            Some(Verdict::Unhealthy { .. }) => return EndReason::Unhealthy,
            Some(Verdict::Overran) => return EndReason::Overran,
            Some(Verdict::Together | Verdict::Asked) | None if told => return EndReason::Stopped,
            Some(Verdict::Together | Verdict::Asked) | None => {}
        }
        match how {
            How::PreStart(_) | How::Unprepared => EndReason::PreStart,
            How::NotStarted(..) => EndReason::NotStarted,
            How::Process(Ending::Signal(_)) | How::Lost(_, Ending::Signal(_)) => EndReason::Killed,
            How::Process(Ending::Code(_))
            | How::Lost(_, Ending::Code(_))
            | How::Blocked(_)
            | How::Unkillable
            | How::NotReady
            | How::Unhealthy
            | How::Overran
            | How::Found
            | How::Test(_) => EndReason::Exited,
        }
    }

    pub(super) fn on_post_stop_ended(
        &mut self,
        now: Tick,
        id: UnitId,
        (succeeded, left): (bool, bool),
        why: Option<Detail>,
        actions: &mut Vec<Action>,
    ) {
        let (Phase::Finishing { .. }, Some(exit)) =
            (self.states[id.0].phase(), self.states[id.0].exit)
        else {
            // It has exited at the moment at which its time was up.
            return;
        };
        if !succeeded {
            actions.push(Action::Tell(Fact::PostStopFailed { unit: id, why }));
        }
        if left {
            actions.push(Action::Tell(Fact::PostStopLeft { unit: id }));
            actions.push(Action::KillPostStop(id));
        }
        if !succeeded || left {
            self.find(Finding::PostStop(id));
        }
        self.settle(now, id, exit, actions);
    }

    /// Kills the `post_stop` of a unit, and does what has waited for it.
    pub(super) fn kill_post_stop(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        // At the end of the run, it was killed already.
        if self.run == Run::Over {
            return;
        }
        if let Some(exit) = self.states[id.0].exit {
            let hurry = self.hurries();
            actions.push(Action::Tell(Fact::PostStopKilled { unit: id, hurry }));
            actions.push(Action::KillPostStop(id));
            self.find(Finding::PostStop(id));
            self.settle(now, id, exit, actions);
        }
    }
}
