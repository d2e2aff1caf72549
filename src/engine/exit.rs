//! trc's exit status: the result of the run, and its replacement by `[exit]`.

use super::{Cause, Engine, How, Run};
use crate::config::{Form, OnFailure, Stage};
use crate::graph::{Rule, UnitId};
use crate::signal::Signal;
use crate::status;

impl Engine {
    /// Returns the exit status of a run that is not a test run. Reasons take precedence over
    /// numbers, and single units over the run as a whole.
    pub(super) fn exit_status(&mut self) -> u8 {
        if let Some(signal) = self.stopped_from_outside() {
            // The exit status of a command that runs alone counts, with or without supervision.
            if let [only] = *self.graph.order
                && self.graph.node(only).unit.form == Form::Trailing
                && let Some(own) = self.own_status(only)
            {
                self.status = own;
            }
            let mut own = self.graph.own.iter().filter_map(|id| self.own_status(*id)).peekable();
            if own.peek().is_some() {
                return own.find(|status| *status != 0).unwrap_or(0);
            }
            if let Some(status) = self.graph.stopped.filter(|_| self.all_obeyed(signal)) {
                return status;
            }
        }
        self.graph.exit.get(&self.status).copied().unwrap_or(self.status)
    }

    /// Returns the signal of a stop from outside: TERM or INT, as `docker stop` and Ctrl-C send
    /// them, or another signal that has the rule `stop` in the configuration.
    fn stopped_from_outside(&self) -> Option<Signal> {
        match &self.cause {
            Some(Cause::Signal(signal, sender)) if sender.outside => {
                let usual = matches!(*signal, Signal::TERM | Signal::INT);
                (usual || self.graph.rules.get(signal) == Some(&Rule::Stop)).then_some(*signal)
            }
            Some(
                Cause::Boot(_)
                | Cause::CommandLine
                | Cause::Ended(_)
                | Cause::Failed(_)
                | Cause::AllEnded(_)
                | Cause::Tested
                | Cause::Signal(..)
                | Cause::Asked(_)
                | Cause::Terminal(..),
            )
            | None => None,
        }
    }

    /// Returns whether the stop was clean: nothing failed or had to be killed, and no halt script
    /// replaced the exit status of the signal by one other than 0.
    fn all_obeyed(&self, signal: Signal) -> bool {
        let of_signal = status::of_signal(signal.number());
        self.first_failure.is_none()
            && !self.flawed
            && (self.status == 0 || self.status == of_signal)
    }

    /// Returns the exit status of a unit's main process if it has ended, even if trc stopped it and
    /// the signal terminated it.
    fn own_status(&self, id: UnitId) -> Option<u8> {
        let ended = self.ended(id)?;
        Some(match ended.how {
            How::Process(ending) if self.graph.node(id).succeeds_with(ending.status()) => 0,
            How::Process(ending) => ending.status().max(1),
            How::Lost(..)
            | How::PreStart(_)
            | How::Unprepared
            | How::NotStarted(..)
            | How::Blocked(_)
            | How::Unkillable
            | How::NotReady
            | How::Unhealthy
            | How::Overran
            | How::Found
            | How::Test(_) => ended.status,
        })
    }

    /// Records that the stop is not clean: a process had to be killed, or a unit exited with a
    /// status that it should not have.
    pub(super) fn spoils_the_stop(&mut self) {
        match self.run {
            Run::Boot | Run::Settling | Run::Up => {}
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => self.flawed = true,
        }
    }

    /// Returns whether the failure of this unit makes the stop unclean. The failure of one of
    /// TrivialRC's halt scripts does not: these scripts set the exit status of the run, which need
    /// not be 0.
    pub(super) fn failure_spoils(&self, id: UnitId) -> bool {
        let node = self.graph.node(id);
        let decides = node.unit.stage == Stage::Halt && node.is_trivialrc() && self.booted;
        node.unit.on_failure != OnFailure::Ignore && !decides
    }
}
