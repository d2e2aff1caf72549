//! Handling of signals that trc receives, and of requests to stop the run.
//!
//! **A request to stop the run** (`Event::Shutdown`) is to people what SIGTERM from outside is to
//! container engines, and does the same with the same budget, but for the exit status: it is the one
//! that the request names, or 0, because a stop that somebody has asked for is no failure. It comes
//! from whoever asks, so neither `exit.stopped` nor `exit.unit` replaces it; `[exit]` does by number,
//! and a halt unit that fails turns a 0 into its own, as always. The first cause of a stop stands: a
//! request changes nothing once the run stops, is no repeated signal that kills, and is not one that a
//! signal repeats. In a test run it is refused, as are all requests.

use super::unit::Phase;
use super::{
    Action, Asker, Budget, Cause, Engine, Fact, Finding, LastWord, Refusal, Run, Sender, Target,
    Tick, limits,
};
use crate::config::StopTo;
use crate::graph::{Rule, UnitId};
use crate::signal::Signal;
use crate::status;

impl Engine {
    pub(super) fn on_signal(
        &mut self,
        now: Tick,
        signal: Signal,
        sender: Sender,
        actions: &mut Vec<Action>,
    ) {
        if self.graph.transparent {
            self.pass_on(signal, actions);
            return;
        }
        match self.graph.rule(signal) {
            Rule::Ignore => {}
            Rule::Reopen => actions.push(Action::Reopen),
            Rule::Reload => actions.push(Action::Reload(sender.asker)),
            Rule::Foreground => match self.foreground() {
                Some(id) => actions.push(Action::Signal(Target::Group(id), signal)),
                None if sender.outside => actions.push(Action::Tell(Fact::Unheard { signal })),
                None => {}
            },
            Rule::Forward(signal, units) => {
                let all: Vec<UnitId> = self.graph.ids().collect();
                for id in if units.is_empty() { all } else { units } {
                    // A unit's `pre_start` knows nothing of the unit's signals.
                    if self.states[id.0].pid().is_some() && !self.prepares(id) {
                        let target = match self.graph.node(id).stop_to {
                            StopTo::Process => Target::Process(id),
                            StopTo::Group => Target::Members(id),
                        };
                        actions.push(Action::Signal(target, signal));
                    }
                }
            }
            Rule::Stop => self.on_stop_signal(now, signal, sender, actions),
        }
    }

    /// A unit was suspended. A transparent command that was asked to exit before trc knew that
    /// could not do so.
    pub(super) fn on_paused(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        if self.passing.told_to_end {
            actions.push(Action::Signal(Target::Group(id), Signal::CONT));
        } else {
            self.states[id.0].paused = true;
        }
    }

    /// Transparent mode: passes every signal on to the command, once it has been executed.
    fn pass_on(&mut self, signal: Signal, actions: &mut Vec<Action>) {
        let Some(id) = self.graph.ids().next() else { return };
        let signal = match self.graph.rules.get(&signal) {
            Some(Rule::Ignore | Rule::Reopen | Rule::Reload) => return,
            Some(Rule::Forward(other, _)) => *other,
            Some(Rule::Stop | Rule::Foreground) | None => signal,
        };
        match self.states[id.0].phase() {
            Phase::Running { .. } | Phase::Stopping { .. } => self.pass(id, signal, actions),
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Backoff { .. } => {
                if self.passing.held.len() < limits::HELD_SIGNALS {
                    self.passing.held.push(signal);
                }
            }
            Phase::Watching | Phase::Finishing { .. } | Phase::Done(_) => {}
        }
    }

    /// Passes a signal on to a transparent command that has been executed.
    pub(super) fn pass(&mut self, id: UnitId, signal: Signal, actions: &mut Vec<Action>) {
        let target = match self.graph.node(id).stop_to {
            StopTo::Process => Target::Process(id),
            StopTo::Group => Target::Group(id),
        };
        if self.graph.rule(signal) == Rule::Stop {
            self.passing.told_to_end = true;
            if std::mem::take(&mut self.states[id.0].paused) {
                // The signal can terminate the process only if it continues.
                let cont = Action::Signal(Target::Group(id), Signal::CONT);
                // SIGCONT would discard the signal, so it comes first.
                if signal.is_job_control() {
                    actions.extend([cont, Action::Signal(target, signal)]);
                } else {
                    actions.extend([Action::Signal(target, signal), cont]);
                }
                return;
            }
        }
        actions.push(Action::Signal(target, signal));
    }

    fn on_stop_signal(
        &mut self,
        now: Tick,
        signal: Signal,
        sender: Sender,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::Tell(Fact::Signalled { signal, sender: sender.clone() }));
        let outside = sender.outside;
        let insists = outside && self.outside_stop && matches!(signal, Signal::TERM | Signal::INT);
        if outside {
            self.outside_stop |= matches!(signal, Signal::TERM | Signal::INT);
            let budget = Budget::new(now, self.graph.budget, signal, true);
            self.budget.get_or_insert(budget);
        }
        match self.run {
            Run::Boot | Run::Settling | Run::Up => {
                self.sender = sender.asker.unit.map(|id| (id, now + limits::SENDER));
                self.stop_run(
                    Cause::Signal(signal, sender),
                    status::of_signal(signal.number()),
                    actions,
                );
            }
            Run::Halting if insists => self.cut_halt(signal, LastWord::Cut(signal), actions),
            Run::Stopping | Run::Lingering { .. } | Run::Sweeping { .. } if insists => {
                if !self.hurry {
                    self.insisted = Some(signal);
                }
                self.hurry_up(actions);
            }
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => {}
        }
    }

    /// Stops the run because somebody asks for it.
    pub(super) fn on_shutdown(
        &mut self,
        now: Tick,
        exit: Option<u8>,
        asker: Asker,
        actions: &mut Vec<Action>,
    ) {
        let refused = self.busy().filter(|why| *why != Refusal::Booting);
        actions.push(Action::Tell(Fact::ShutDown { exit, asker: asker.clone(), refused }));
        if refused.is_none() {
            self.budget.get_or_insert(Budget::new(now, self.graph.budget, Signal::TERM, true));
            self.sender = asker.unit.map(|id| (id, now + limits::SENDER));
            self.stop_run(Cause::Asked(asker), exit.unwrap_or(0), actions);
        }
    }

    /// Cuts the halt units short, or skips them: because of a signal, or because the shutdown
    /// timeout has expired.
    pub(super) fn cut_halt(&mut self, signal: Signal, why: LastWord, actions: &mut Vec<Action>) {
        self.judge_stops();
        let killed = self.foreground().filter(|_| self.run == Run::Halting);
        if let Some(id) = killed {
            actions.push(Action::Signal(Target::All(id), Signal::KILL));
        }
        let finishes = |id: &UnitId| matches!(self.states[id.0].phase(), Phase::Finishing { .. });
        let finishes = self.halts().find(finishes);
        actions.extend(finishes.map(Action::KillPostStop));
        let killed = killed.or(finishes);
        // The last halt unit may have exited just now.
        let open = |id: &UnitId| self.ended(*id).is_none();
        let left: Vec<UnitId> = self.halts().filter(open).collect();
        if !left.is_empty() {
            self.flawed = true;
            for id in &left {
                self.find(Finding::CutShort(*id));
            }
            let not_run = left.into_iter().filter(|id| Some(*id) != killed).collect();
            actions.push(Action::Tell(Fact::CutShort { killed, not_run }));
            if self.status == 0 {
                self.status = status::of_signal(signal.number());
                self.last_word = Some(why);
            }
        }
        self.enter(Run::Over, actions);
    }
}
