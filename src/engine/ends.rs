//! The ends of units.

use super::unit::{Exit, Ladder, Leftovers, Phase, Verdict, Why};
use super::{
    Action, Cause, Ended, Ending, Engine, Event, Fact, How, LastWord, Left, Run, Target, Tick,
    Told, limits,
};
use crate::config::{OnFailure, Stage, StopTo, WaitPolicy};
use crate::graph::UnitId;
use crate::signal::Signal;

impl Engine {
    pub(super) fn on_exited(
        &mut self,
        now: Tick,
        id: UnitId,
        ending: Ending,
        leftovers: Left,
        terminal: bool,
        actions: &mut Vec<Action>,
    ) {
        let phase = self.states[id.0].phase();
        let (pid, ladder) = match phase {
            Phase::Running { pid } | Phase::Starting { pid: Some(pid), .. } => (pid, None),
            Phase::Stopping { pid, ladder } => (pid, Some(ladder)),
            // SIGKILL has worked after all, but too late.
            Phase::Done(Ended { how: How::Unkillable, .. }) => {
                self.unkillable.retain(|one| *one != id);
                self.states[id.0].survivors = leftovers != Left::Nothing;
                return;
            }
            Phase::Starting { pid: None, .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => {
                let why = None;
                self.impossible(&Event::Exited { unit: id, ending, leftovers, terminal, why });
                return;
            }
        };
        if self.prepares(id) {
            self.states[id.0].executed = true;
            actions.push(Action::Tell(Fact::PreStartExited { unit: id, ending }));
            if self.is_prepared(id, ending, leftovers, actions) {
                return;
            }
        } else {
            actions.push(Action::Tell(Fact::Exited { unit: id, pid, ending }));
        }
        self.leave_behind(now, id, ending, leftovers, ladder, actions);
        let raw = ending.status();
        let prepares = self.prepares(id);
        let (stop_signal, _) = self.stops_by(id);
        let node = self.graph.node(id);
        let stage = node.unit.stage;
        // A unit that was asked to stop may die of the signal, or exit with the status that says
        // so.
        let obeyed = ladder.is_some() && raw == Ending::Signal(stop_signal).status();
        let well = if prepares { raw == 0 } else { node.succeeds_with(raw) };
        let lost = ladder.is_none() && self.is_lost(id, ending);
        let status = if obeyed || well && !lost { 0 } else { raw.max(1) };
        let how = match (prepares, lost) {
            (true, _) => How::PreStart(ending),
            (false, true) => How::Lost(id, ending),
            (false, false) => How::Process(ending),
        };
        if self.graph.testing {
            self.judge_stop(now, id, ending, ladder, status != 0);
        }
        let well = ladder.is_none() || self.may_stop_with(id, raw);
        if !well && self.failure_spoils(id) {
            self.spoils_the_stop();
        }
        let struck = self.states[id.0].struck.take();
        if matches!(ending, Ending::Signal(signal) if struck == Some(signal)) {
            self.states[id.0].faulted = true;
        }
        match ending {
            // If the unit holds the terminal, the signal came from a key, unless trc sent it.
            Ending::Signal(signal @ (Signal::INT | Signal::QUIT))
                if terminal && stage != Stage::Halt && !obeyed && struck != Some(signal) =>
            {
                let reason = self.end_reason(id, how);
                let exit = Exit { how, status, ..self.exit(now, id, how, status, actions) };
                if !self.begin_post_stop(now, id, exit, reason, raw, actions) {
                    self.end(id, how, status, actions);
                }
                self.stop_run(Cause::Terminal(id, signal), status.max(raw), actions);
            }
            Ending::Signal(_) | Ending::Code(_) => {
                self.over(now, id, how, (status, raw), actions);
            }
        }
    }

    /// Marks a unit as ended, and handles the immediate consequences.
    pub(super) fn end(
        &mut self,
        id: UnitId,
        how: How,
        status: u8,
        actions: &mut Vec<Action>,
    ) -> Ended {
        // A unit that was asked to stop without being at fault cannot fail any more.
        let finished = self.states[id.0].exit.take();
        let told = (matches!(self.states[id.0].phase(), Phase::Stopping { .. })
            || finished.is_some_and(|exit| exit.told))
            && self.states[id.0].verdict.is_none_or(Verdict::is_no_fault);
        let ended = Ended { how, status, place: self.ends };
        self.ends += 1;
        self.transition(id, Phase::Done(ended), Why::Over);
        self.changed.push_back(id);
        let node = self.graph.node(id);
        let (stage, on_failure, trivialrc) =
            (node.unit.stage, node.unit.on_failure, node.is_trivialrc());
        if self.graph.testing {
            self.judge_end(id, ended);
        }
        let by_itself = matches!(how, How::Process(_) | How::Lost(..) | How::PreStart(_));
        if ended.failed() && !told && by_itself && self.goes_unsaid(id) {
            actions.push(Action::Tell(Fact::Failed { unit: id, ended }));
        }
        if stage == Stage::Test {
            // A test says something about other units.
        } else if stage == Stage::Halt {
            // TrivialRC's halt scripts decide the exit status. Declared halt units only clean up,
            // and so do all halt units after a failed boot, which must not become a success.
            let spoils = self.status == 0 && ended.failed() && on_failure != OnFailure::Ignore;
            if ended.failed() && self.failure_spoils(id) {
                self.flawed = true;
            }
            if self.run == Run::Halting && (trivialrc && self.booted || spoils) {
                self.status = status;
                self.last_word = Some(LastWord::Unit(id));
            }
        } else if self.is_on_probation(id) {
            // The old graph comes back, as if nothing had failed.
        } else if ended.failed() && !told && on_failure != OnFailure::Ignore {
            if self.first_failure.is_none() {
                self.first_failure = Some(id);
            }
            if on_failure == OnFailure::Stop && !self.graph.testing {
                self.stop_run(Cause::Failed(id), status, actions);
            }
        }
        ended
    }

    /// Returns whether a unit may exit with this status when trc stops it.
    pub(super) fn may_stop_with(&self, id: UnitId, raw: u8) -> bool {
        if self.prepares(id) {
            raw == 0 || raw == Ending::Signal(Signal::TERM).status()
        } else {
            self.graph.node(id).may_stop_with(raw)
        }
    }

    /// Returns whether the log might otherwise not mention the failure of a unit: the last line
    /// names only the unit that ends the run or gives it its exit status.
    fn goes_unsaid(&self, id: UnitId) -> bool {
        let node = self.graph.node(id);
        let ignored = node.unit.on_failure == OnFailure::Ignore;
        match node.unit.stage {
            Stage::Async => true,
            Stage::Sync => {
                ignored || matches!(self.graph.wait, WaitPolicy::All | WaitPolicy::Forever)
            }
            Stage::Boot => ignored,
            Stage::Halt => !node.is_trivialrc() && (ignored || self.status != 0),
            Stage::Test => false,
        }
    }

    /// Decides about the processes that a unit leaves when its main process exits.
    fn leave_behind(
        &mut self,
        now: Tick,
        id: UnitId,
        ending: Ending,
        left: Left,
        ladder: Option<Ladder>,
        actions: &mut Vec<Action>,
    ) {
        let escaped = match left {
            Left::Nothing => return,
            Left::Others => false,
            Left::Escaped => true,
        };
        let (_, to) = self.stops_by(id);
        let told = match ladder {
            Some(Ladder::Signal { .. }) if to == StopTo::Group => Told::Group,
            Some(_) | None => Told::Nobody,
        };
        self.states[id.0].leftovers = match ladder {
            // Nothing that prepares the unit stays.
            None if self.prepares(id) => {
                actions.push(Action::Tell(Fact::PreStartLeft { unit: id }));
                actions.push(Action::Signal(Target::All(id), Signal::KILL));
                Leftovers::Killed { give_up_at: now + limits::UNKILLABLE_AFTER }
            }
            None => {
                actions.push(Action::Tell(Fact::LeftBehind { unit: id, ending }));
                self.states[id.0].left = true;
                Leftovers::Live { escaped }
            }
            // Nobody has asked these processes to exit: they have been forgotten.
            Some(Ladder::Signal { kill_at, .. } | Ladder::Command { kill_at, .. })
                if self.graph.testing && (to == StopTo::Process || escaped) =>
            {
                Leftovers::Lingering { until: now + limits::LINGER, kill_at, told, escaped }
            }
            Some(Ladder::Signal { kill_at, .. } | Ladder::Command { kill_at, .. }) => {
                Self::stop_leftovers(id, told, kill_at.max(now), actions)
            }
            Some(Ladder::Rest { kill_at }) => Leftovers::Stopping { kill_at },
            Some(Ladder::Kill { give_up_at }) => Leftovers::Killed { give_up_at },
        };
    }
}
