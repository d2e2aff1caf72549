//! The stop: first the units in the reverse order of their dependencies, each up its own ladder;
//! then their leftovers; then everything else that remains.

use super::unit::{Ladder, Leftovers, Phase, Verdict, Why};
use super::{Action, Engine, Fact, Finding, How, LastWord, Run, Target, Tick, Told, limits};
use crate::config::{Stage, StopTo};
use crate::graph::UnitId;
use crate::signal::Signal;
use crate::status;

impl Engine {
    /// Asks every unit to stop whose dependents have stopped.
    pub(super) fn advance_stopping(&mut self, now: Tick, actions: &mut Vec<Action>) {
        let up = |engine: &Self, id: UnitId| {
            engine.graph.node(id).counts() && !engine.states[id.0].gone()
        };
        let any_up = self.graph.ids().any(|id| up(self, id));
        let all: Vec<UnitId> = self.graph.ids().collect();
        let held = self.held(&all);
        for id in self.graph.ids() {
            if self.states[id.0].gone() {
                continue;
            }
            // All other units depend on what boot has set up.
            let held_by_stage = self.graph.node(id).unit.stage == Stage::Boot && any_up;
            let held = held[id.0];
            let ends_itself =
                self.sender.is_some_and(|(sender, until)| sender == id && now < until);
            if self.hurry {
                self.kill(id, now, actions);
            } else if !held && !held_by_stage && !ends_itself {
                self.begin_stop(id, now, actions);
            }
        }
        if self.states.iter().all(super::State::gone) {
            let next = if self.hurry {
                Run::Killing { give_up_at: now + limits::UNKILLABLE_AFTER }
            } else if self.graph.testing {
                Run::Lingering { again_at: Some(now + limits::LINGER) }
            } else {
                Run::Sweeping { kill_at: now + limits::SWEEP }
            };
            self.enter(next, actions);
        }
    }

    /// Returns which units a live one of `users` depends on, if only by way of units that have
    /// ended: a service depends on a database by way of the migration that it waited for.
    pub(super) fn held(&self, users: &[UnitId]) -> Vec<bool> {
        let mut held = vec![false; self.states.len()];
        let live = |id: &UnitId| !self.states[id.0].gone();
        let mut users: Vec<UnitId> = users.iter().copied().filter(live).collect();
        while let Some(user) = users.pop() {
            for need in self.graph.node(user).needs.iter().filter(|need| need.written) {
                if !std::mem::replace(&mut held[need.unit.0], true) && !live(&need.unit) {
                    users.push(need.unit);
                }
            }
        }
        held
    }

    pub(super) fn begin_stop(&mut self, id: UnitId, now: Tick, actions: &mut Vec<Action>) {
        let node = self.graph.node(id);
        let kill_at = now + node.stop_timeout;
        let rest_at = kill_at.saturating_sub(limits::REST.min(node.stop_timeout / 2));
        match self.states[id.0].phase() {
            Phase::Running { pid } | Phase::Starting { pid: Some(pid), .. } => {
                let left = self.budget.map(|budget| budget.kill_at.saturating_sub(now));
                let within = left.map_or(node.stop_timeout, |left| left.min(node.stop_timeout));
                let prepares = self.prepares(id);
                let terminating = Fact::Terminating { unit: id, pid, prepares, within };
                actions.push(Action::Tell(terminating));
                self.states[id.0].told = Some(now);
                let ladder = if node.unit.stop.exec.is_some() && !prepares {
                    actions.push(Action::StopCommand(id));
                    self.states[id.0].stop_command = Some(kill_at);
                    Ladder::Command { rest_at, kill_at }
                } else {
                    self.send_stop_signal(id, actions);
                    Ladder::Signal { rest_at, kill_at }
                };
                self.end_watch(id, actions);
                let why = match self.states[id.0].verdict {
                    _ if self.is_stopping(id) => Why::RunStops,
                    Some(Verdict::Asked) if self.is_going(id) => Why::Reloaded,
                    Some(Verdict::Asked) => Why::Asked,
                    Some(verdict) => Why::Found(verdict),
                    None => Why::RunStops,
                };
                self.transition(id, Phase::Stopping { pid, ladder }, why);
            }
            Phase::Starting { pid: None, .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => {}
        }
        if let Leftovers::Live { escaped } = self.states[id.0].leftovers {
            self.find_escaped(id, escaped);
            self.states[id.0].leftovers = if self.graph.node(id).unit.stop.exec.is_some() {
                actions.push(Action::StopCommand(id));
                self.states[id.0].stop_command = Some(kill_at);
                Leftovers::Command { rest_at, kill_at }
            } else {
                Self::stop_leftovers(id, Told::Nobody, kill_at, actions)
            };
        }
    }

    /// Records a finding if a unit has daemonized into a session of its own.
    pub(super) fn find_escaped(&mut self, id: UnitId, escaped: bool) {
        if escaped {
            self.find(Finding::Escaped(id));
        }
    }

    pub(super) fn send_stop_signal(&self, id: UnitId, actions: &mut Vec<Action>) {
        let (signal, to) = self.stops_by(id);
        let target = match to {
            StopTo::Process => Target::Process(id),
            StopTo::Group => Target::Group(id),
        };
        Self::tell_to_end(target, signal, actions);
    }

    /// Sends a signal that asks a process to exit, and SIGCONT, so that a suspended process can act
    /// on it.
    pub(super) fn tell_to_end(target: Target, signal: Signal, actions: &mut Vec<Action>) {
        // SIGCONT discards pending SIGTSTP, SIGTTIN and SIGTTOU, so it comes before them.
        let order =
            if signal.is_job_control() { [Signal::CONT, signal] } else { [signal, Signal::CONT] };
        actions.extend(order.map(|signal| Action::Signal(target, signal)));
    }

    /// Sends SIGTERM and SIGCONT to the leftovers that have had no stop signal.
    pub(super) fn stop_leftovers(
        id: UnitId,
        told: Told,
        kill_at: Tick,
        actions: &mut Vec<Action>,
    ) -> Leftovers {
        Self::tell_to_end(Target::Rest(id, told), Signal::TERM, actions);
        Leftovers::Stopping { kill_at }
    }

    /// Sends a signal to those of a unit's processes that have had none, so that none is killed
    /// without a warning: SIGKILL is near, and the stop command or stop signal has not stopped the
    /// unit.
    fn stop_rest(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let (_, to) = self.stops_by(id);
        let group = to == StopTo::Group;
        match self.states[id.0].phase() {
            Phase::Stopping { pid, ladder: Ladder::Command { kill_at, .. } } => {
                self.send_stop_signal(id, actions);
                self.transition(
                    id,
                    Phase::Stopping { pid, ladder: Ladder::Rest { kill_at } },
                    Why::Slow,
                );
            }
            Phase::Stopping { pid, ladder: Ladder::Signal { kill_at, .. } } => {
                self.transition(
                    id,
                    Phase::Stopping { pid, ladder: Ladder::Rest { kill_at } },
                    Why::Slow,
                );
            }
            Phase::Stopping { .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => return,
        }
        let rest = Target::Rest(id, if group { Told::Group } else { Told::Main });
        Self::tell_to_end(rest, Signal::TERM, actions);
    }

    /// Sends the stop signal in place of a stop command that failed, if the unit still has
    /// processes.
    pub(super) fn on_stop_command_ended(
        &mut self,
        id: UnitId,
        succeeded: bool,
        actions: &mut Vec<Action>,
    ) {
        let awaited = self.states[id.0].stop_command.take().is_some();
        if let (Leftovers::Command { kill_at, .. }, false) =
            (self.states[id.0].leftovers, succeeded)
        {
            let instead = Some(Signal::TERM);
            actions.push(Action::Tell(Fact::StopCommandFailed { unit: id, instead }));
            self.find(Finding::StopCommand(id));
            self.states[id.0].leftovers = Self::stop_leftovers(id, Told::Nobody, kill_at, actions);
            return;
        }
        match self.states[id.0].phase() {
            Phase::Stopping { pid, ladder: Ladder::Command { rest_at, kill_at } } if !succeeded => {
                let instead = Some(self.graph.node(id).stop_signal);
                actions.push(Action::Tell(Fact::StopCommandFailed { unit: id, instead }));
                self.find(Finding::StopCommand(id));
                self.send_stop_signal(id, actions);
                self.transition(
                    id,
                    Phase::Stopping { pid, ladder: Ladder::Signal { rest_at, kill_at } },
                    Why::StopCommandFailed,
                );
            }
            // The unit has exited meanwhile.
            Phase::Waiting | Phase::Finishing { .. } | Phase::Backoff { .. } | Phase::Done(_)
                if awaited && !succeeded =>
            {
                let instead = None;
                actions.push(Action::Tell(Fact::StopCommandFailed { unit: id, instead }));
                self.find(Finding::StopCommand(id));
            }
            Phase::Stopping { .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => {}
        }
    }

    /// Kills a unit's stop command, if it runs.
    fn kill_stop_command(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        if self.states[id.0].stop_command.take().is_some() {
            if !matches!(self.states[id.0].phase(), Phase::Stopping { .. }) {
                actions.push(Action::Tell(Fact::StopCommandKilled { unit: id }));
                self.find(Finding::StopCommand(id));
                self.spoils_the_stop();
            }
            actions.push(Action::KillStopCommand(id));
        }
    }

    /// Kills a unit, its stop command and its leftovers, unless that has been done.
    fn kill(&mut self, id: UnitId, now: Tick, actions: &mut Vec<Action>) {
        let give_up_at = now + limits::UNKILLABLE_AFTER;
        self.kill_stop_command(id, actions);
        match self.states[id.0].phase() {
            Phase::Finishing { .. } if self.hurries() => self.kill_post_stop(now, id, actions),
            Phase::Stopping { ladder: Ladder::Kill { .. }, .. }
            // Only its leftovers have had their time.
            | Phase::Finishing { .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { pid: None, .. }
            | Phase::Watching
            | Phase::Backoff { .. }
            | Phase::Done(_) => {}
            Phase::Stopping { pid, .. }
            | Phase::Running { pid }
            | Phase::Starting { pid: Some(pid), .. } => {
                if !matches!(self.states[id.0].phase(), Phase::Stopping { .. }) {
                    self.end_watch(id, actions);
                }
                let insisted = self.insisted;
                actions.push(Action::Tell(Fact::Killing { unit: id, pid, insisted }));
                self.find(Finding::Killed(id));
                self.spoils_the_stop();
                actions.push(Action::Signal(Target::All(id), Signal::KILL));
                self.transition(
                    id,
                    Phase::Stopping { pid, ladder: Ladder::Kill { give_up_at } },
                    Why::Slow,
                );
            }
        }
        match self.states[id.0].leftovers {
            Leftovers::None | Leftovers::Killed { .. } => {}
            Leftovers::Live { .. }
            | Leftovers::Lingering { .. }
            | Leftovers::Command { .. }
            | Leftovers::Stopping { .. } => {
                let insisted = self.insisted;
                actions.push(Action::Tell(Fact::KillingLeft { unit: id, insisted }));
                self.find(Finding::Killed(id));
                self.spoils_the_stop();
                actions.push(Action::Signal(Target::All(id), Signal::KILL));
                self.states[id.0].leftovers = Leftovers::Killed { give_up_at };
            }
        }
    }

    /// Does everything that is due.
    pub(super) fn on_time(&mut self, now: Tick, actions: &mut Vec<Action>) {
        for id in self.graph.ids() {
            if self.graph.node(id).test().is_some() {
                self.trial_due(now, id, actions);
                continue;
            }
            match self.states[id.0].phase() {
                Phase::Stopping {
                    ladder:
                        Ladder::Command { kill_at, .. }
                        | Ladder::Signal { kill_at, .. }
                        | Ladder::Rest { kill_at },
                    ..
                } if kill_at <= now => {
                    self.kill(id, now, actions);
                }
                Phase::Stopping {
                    ladder: Ladder::Command { rest_at, .. } | Ladder::Signal { rest_at, .. },
                    ..
                } if rest_at <= now => {
                    self.stop_rest(id, actions);
                }
                Phase::Stopping { ladder: Ladder::Kill { give_up_at }, .. }
                    if give_up_at <= now =>
                {
                    self.unkillable.push(id);
                    self.end(id, How::Unkillable, status::of_signal(libc::SIGKILL), actions);
                    self.states[id.0].leftovers = Leftovers::None;
                    self.states[id.0].survivors = true;
                }
                Phase::Finishing { until } if until <= now => {
                    self.kill_post_stop(now, id, actions);
                }
                Phase::Starting { pid: Some(_), .. } => self.preparation_due(now, id, actions),
                Phase::Running { .. } | Phase::Watching => self.watch_due(now, id, actions),
                Phase::Stopping { .. }
                | Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_) => {}
            }
            if self.states[id.0].stop_command.is_some_and(|until| until <= now) {
                self.kill_stop_command(id, actions);
            }
            match self.states[id.0].leftovers {
                Leftovers::Stopping { kill_at } | Leftovers::Command { kill_at, .. }
                    if kill_at <= now =>
                {
                    self.kill(id, now, actions);
                }
                Leftovers::Command { rest_at, kill_at } if rest_at <= now => {
                    self.states[id.0].leftovers =
                        Self::stop_leftovers(id, Told::Nobody, kill_at, actions);
                }
                Leftovers::Killed { give_up_at } if give_up_at <= now => {
                    self.states[id.0].leftovers = Leftovers::None;
                    self.states[id.0].survivors = true;
                }
                Leftovers::Lingering { until, kill_at, told, escaped } if until <= now => {
                    // They get this time even if the unit has less: they have only just been told.
                    let kill_at = kill_at.max(now + limits::LINGER);
                    self.find(if escaped { Finding::Escaped(id) } else { Finding::Orphaned(id) });
                    self.states[id.0].leftovers = Self::stop_leftovers(id, told, kill_at, actions);
                }
                Leftovers::None
                | Leftovers::Live { .. }
                | Leftovers::Lingering { .. }
                | Leftovers::Command { .. }
                | Leftovers::Stopping { .. }
                | Leftovers::Killed { .. } => {}
            }
        }
        self.budget_due(now, actions);
        self.inspection_due(now, actions);
        self.sender = self.sender.filter(|(_, until)| now < *until);
        match self.run {
            Run::Lingering { .. } if self.hurry => {
                self.enter(Run::Killing { give_up_at: now + limits::UNKILLABLE_AFTER }, actions);
            }
            Run::Lingering { again_at: Some(again_at) } if again_at <= now => {
                self.enter(Run::Lingering { again_at: None }, actions);
            }
            Run::Sweeping { kill_at } if self.hurry || kill_at <= now => {
                actions.push(Action::Tell(Fact::KillingRest { insisted: self.insisted }));
                self.enter(Run::Killing { give_up_at: now + limits::UNKILLABLE_AFTER }, actions);
            }
            Run::Killing { give_up_at } if give_up_at <= now => self.on_nothing_left(actions),
            Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Boot
            | Run::Settling
            | Run::Up
            | Run::Stopping
            | Run::Halting
            | Run::Over => {}
        }
    }

    /// Kills everything from now on, units and leftovers alike: units that cannot be killed must
    /// not keep the rest alive.
    pub(super) fn hurry_up(&mut self, actions: &mut Vec<Action>) {
        if !self.hurry && self.run == Run::Stopping {
            actions.push(Action::Sweep(Signal::KILL));
        }
        self.hurry = true;
    }

    /// Looks, in test mode, at what remains before it is swept away.
    pub(super) fn look_at_remains(&self, actions: &mut Vec<Action>) {
        if self.graph.testing {
            actions.push(Action::Remains);
        }
    }

    /// Shortens the budget of a stop from outside by the time that trc has overslept: the clock was
    /// put back, but the clock of whoever stops the container was not. If the budget has expired,
    /// it is extended by a moment, which SIGKILL takes.
    pub(super) fn on_overslept(&mut self, now: Tick, by: Tick) {
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.outside) {
            budget.kill_at = budget.kill_at.saturating_sub(by);
            budget.end = budget.end.saturating_sub(by);
            if budget.end <= now {
                budget.end = now + limits::DYING;
            }
        }
    }

    fn budget_due(&mut self, now: Tick, actions: &mut Vec<Action>) {
        let Some(budget) = self.budget else { return };
        match self.run {
            Run::Stopping | Run::Lingering { .. } | Run::Sweeping { .. } | Run::Killing { .. }
                if budget.end <= now =>
            {
                // There was no time to kill these; they exit with trc.
                self.flawed = true;
                for id in self.graph.ids() {
                    if !self.states[id.0].gone() {
                        self.find(Finding::Killed(id));
                    }
                }
                actions.push(Action::SweepOver);
                if self.has_halts() {
                    self.cut_halt(budget.signal, LastWord::Late, actions);
                } else {
                    self.enter(Run::Over, actions);
                }
            }
            Run::Stopping | Run::Lingering { .. } | Run::Sweeping { .. }
                if budget.kill_at <= now =>
            {
                self.hurry_up(actions);
            }
            Run::Halting if budget.end <= now => {
                self.cut_halt(budget.signal, LastWord::Late, actions);
            }
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Boot
            | Run::Settling
            | Run::Up
            | Run::Over => {}
        }
    }

    /// Returns whether the halt units are still to come, even if there are none.
    fn has_halts(&self) -> bool {
        self.booted || self.halts().next().is_some()
    }

    /// Returns the halt units that run.
    pub(super) fn halts(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.graph.stage(Stage::Halt).filter(|id| !self.is_left_out(*id))
    }

    /// Returns whether a boot that has not completed keeps a unit from running, once all has
    /// stopped.
    pub(super) fn is_left_out(&self, id: UnitId) -> bool {
        let unit = &self.graph.node(id).unit;
        let ran = unit.stage == Stage::Boot || unit.stage == Stage::Halt && unit.always;
        !self.booted && !ran
    }

    /// Turns to the halt units, because nothing is left or the rest cannot be killed.
    pub(super) fn on_nothing_left(&mut self, actions: &mut Vec<Action>) {
        match self.run {
            Run::Sweeping { .. } | Run::Killing { .. } => {
                actions.push(Action::SweepOver);
                let next = if self.has_halts() { Run::Halting } else { Run::Over };
                self.enter(next, actions);
            }
            Run::Boot
            | Run::Settling
            | Run::Up
            | Run::Stopping
            | Run::Lingering { .. }
            | Run::Halting
            | Run::Over => {}
        }
    }
}
