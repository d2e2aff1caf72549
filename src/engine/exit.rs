//! trc's exit status: what the run came to, and what `[exit]` makes of that.

use super::{Cause, Engine, How, Run};
use crate::config::{Form, OnFailure, Stage};
use crate::graph::{Rule, UnitId};
use crate::signal::Signal;
use crate::status;

impl Engine {
    /// The exit status at the end of a run that is no test run. A reason goes before a number,
    /// and a unit before the whole.
    pub(super) fn exit_status(&mut self) -> u8 {
        if let Some(signal) = self.stopped_from_outside() {
            // A command that runs alone has its own status, watched or not.
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

    /// The signal that somebody outside has stopped the run with: TERM or INT, as `docker stop`
    /// and a key send them, or another that is written to stop it.
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
                | Cause::Terminal(..),
            )
            | None => None,
        }
    }

    /// Whether nothing has failed or had to be killed, and no halt script has given the run
    /// another status than that of the signal, or 0.
    fn all_obeyed(&self, signal: Signal) -> bool {
        let of_signal = status::of_signal(signal.number());
        self.first_failure.is_none()
            && !self.flawed
            && (self.status == 0 || self.status == of_signal)
    }

    /// The status of a unit's own process, if it has ended: also where it was told to, and died
    /// of the signal.
    fn own_status(&self, id: UnitId) -> Option<u8> {
        let ended = self.ended(id)?;
        Some(match ended.how {
            How::Process(ending) if self.graph.node(id).succeeds_with(ending.status()) => 0,
            How::Process(ending) => ending.status().max(1),
            How::NotStarted(..)
            | How::Blocked(_)
            | How::Unkillable
            | How::NotReady
            | How::Unhealthy
            | How::Overran
            | How::Found
            | How::Test(_) => ended.status,
        })
    }

    /// Something was not as it should be, which spoils the stop if there is one: a process had
    /// to be killed, or a unit ended otherwise than it may.
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

    /// Whether a unit's failure in the stop spoils it: TrivialRC's halt scripts give the run its
    /// status, which need not be 0.
    pub(super) fn failure_spoils(&self, id: UnitId) -> bool {
        let node = self.graph.node(id);
        let decides = node.unit.stage == Stage::Halt && node.is_trivialrc() && self.booted;
        node.unit.on_failure != OnFailure::Ignore && !decides
    }
}
