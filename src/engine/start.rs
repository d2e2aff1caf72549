//! Starts units, one at a time or as their conditions allow, and handles their ends.

use nix::errno::Errno;

use super::unit::{Calm, Phase, Wanted, Why};
use super::{Action, Cause, Ended, Engine, Event, Fact, How, Run, SpawnStage, Tick, limits};
use crate::config::{Condition, OnFailure, Stage};
use crate::graph::{Need, UnitId};
use crate::status;

/// Whether a condition holds.
pub(super) enum Holds {
    Yes,
    NotYet,
    /// The condition will never hold.
    Never,
}

impl Engine {
    /// Runs the boot units one at a time; the first failure ends the run.
    pub(super) fn advance_boot(&mut self, now: Tick, actions: &mut Vec<Action>) {
        match self.advance_in_turn(now, Stage::Boot, actions) {
            Turn::Running => {}
            Turn::Failed(unit, ended) => self.stop_run(Cause::Boot(unit), ended.status, actions),
            Turn::Over if self.graph.stage(Stage::Boot).next().is_some() => {
                self.enter(Run::Settling, actions);
            }
            Turn::Over => {
                self.booted = true;
                self.enter(Run::Up, actions);
            }
        }
    }

    /// Runs the halt units one at a time, whether or not one fails.
    pub(super) fn advance_halting(&mut self, now: Tick, actions: &mut Vec<Action>) {
        match self.advance_in_turn(now, Stage::Halt, actions) {
            Turn::Running => {}
            Turn::Over | Turn::Failed(..) => self.enter(Run::Over, actions),
        }
    }

    /// Starts the next unit of a stage whose units run one at a time, if it is time.
    fn advance_in_turn(&mut self, now: Tick, stage: Stage, actions: &mut Vec<Action>) -> Turn {
        let ids: Vec<UnitId> = match stage {
            Stage::Halt => self.halts().collect(),
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Test => {
                self.graph.stage(stage).collect()
            }
        };
        for id in ids {
            if self.states[id.0].phase() == Phase::Waiting {
                self.try_start(now, id, actions);
            }
            match self.states[id.0].phase() {
                Phase::Done(ended) => {
                    let ignored = self.graph.node(id).unit.on_failure == OnFailure::Ignore;
                    if stage == Stage::Boot && ended.failed() && !ignored {
                        return Turn::Failed(id, ended);
                    }
                }
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. } => return Turn::Running,
            }
        }
        Turn::Over
    }

    /// Asks the wait policy, and if the run goes on, starts every unit that a change has set free.
    pub(super) fn advance_up(&mut self, now: Tick, actions: &mut Vec<Action>) {
        self.ask_policy(now, actions);
        // What has failed its probation has not failed for anybody who waits for it.
        while self.run == Run::Up
            && !self.has_failed_probation()
            && let Some(changed) = self.changed.pop_front()
        {
            // The next sync unit or test waits for those before it without a written condition.
            let stage = self.graph.node(changed).unit.stage;
            let in_turn = matches!(stage, Stage::Sync | Stage::Test);
            let open = |id: &UnitId| in_turn && self.ended(*id).is_none();
            let next = self.graph.stage(stage).find(open);
            let waiters = self.graph.node(changed).dependents.clone();
            for id in [changed].into_iter().chain(next).chain(waiters) {
                self.try_start(now, id, actions);
                if self.has_failed_probation() {
                    self.changed.push_front(changed);
                    break;
                }
                // A unit that can no longer be started has ended.
                self.ask_policy(now, actions);
            }
        }
    }

    /// Starts a unit if its turn has come and its conditions hold; ends it if they never will.
    fn try_start(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let turn = match self.graph.node(id).unit.stage {
            Stage::Boot => self.run == Run::Boot,
            Stage::Async | Stage::Sync | Stage::Test => self.run == Run::Up,
            Stage::Halt => self.run == Run::Halting,
        };
        let state = &self.states[id.0];
        if !turn || state.phase() != Phase::Waiting || state.wanted != Wanted::Up {
            return;
        }
        if self.is_idle(id) {
            return;
        }
        // A sync unit is not started beside a running one, which a new graph may put after it.
        let beside = self.graph.node(id).unit.stage == Stage::Sync
            && self.graph.stage(Stage::Sync).any(|one| self.states[one.0].runs());
        let mut ready = !beside && self.companions_up(id);
        for need in self.graph.node(id).needs.clone() {
            match self.holds(need) {
                Holds::Yes => {}
                // A test does not wait for units until it is its turn.
                Holds::NotYet if !need.written && self.graph.node(id).test().is_some() => return,
                Holds::NotYet => ready = false,
                Holds::Never => {
                    self.block(id, need.unit, actions);
                    return;
                }
            }
        }
        if self.graph.node(id).test().is_some() {
            if let Some(victim) = self.graph.node(id).victim {
                match self.bears_a_fault(victim) {
                    Holds::Yes => {}
                    Holds::NotYet => ready = false,
                    Holds::Never => {
                        self.block(id, victim, actions);
                        return;
                    }
                }
            }
            self.await_trial(now, id);
            if ready {
                self.begin_trial(now, id, actions);
            }
        } else if ready && self.graph.node(id).is_outside() {
            self.transition(id, Phase::Watching, Why::Met);
            self.begin_watch(now, id, actions);
        } else if ready {
            let tries = std::mem::take(&mut self.states[id.0].tries);
            self.spawn(id, tries, actions);
        }
    }

    /// Returns whether a condition holds now.
    pub(super) fn is_met(&self, need: Need) -> bool {
        matches!(self.holds(need), Holds::Yes)
    }

    fn holds(&self, need: Need) -> Holds {
        // A unit that did not run because boot failed does not hold up the halt units that always
        // run.
        let left_out = |id: UnitId| self.run == Run::Halting && self.is_left_out(id);
        if !need.written {
            // The unit before it may have waited in vain while an earlier one still runs.
            let stage = self.graph.stage(self.graph.node(need.unit).unit.stage);
            for id in stage {
                if self.ended(id).is_none() && !left_out(id) {
                    return Holds::NotYet;
                }
                if id == need.unit {
                    break;
                }
            }
            return Holds::Yes;
        }
        if left_out(need.unit) {
            return Holds::Yes;
        }
        if need.condition == Condition::Settled {
            let condition = self.graph.node(need.unit).shows_up_by(self.run != Run::Halting);
            return match self.holds(Need { condition, ..need }) {
                Holds::Never => Holds::Yes,
                holds @ (Holds::Yes | Holds::NotYet) => holds,
            };
        }
        let state = &self.states[need.unit.0];
        let ended = self.ended(need.unit);
        let waits = state.is_dormant();
        match (need.condition, ended) {
            // A unit that is about to be stopped is not up.
            (Condition::Started, None)
                if need.calm
                    && state.started
                    && (state.watch.calm != Calm::Yes || state.verdict.is_some()) =>
            {
                Holds::NotYet
            }
            (Condition::Started, _) if state.started => Holds::Yes,
            (Condition::Ready, _) if state.is_ready() => Holds::Yes,
            // A unit that has not run by now never will: for a halt unit, it has exited.
            (Condition::Exited, None) if waits && self.is_stopping(need.unit) => Holds::Yes,
            (_, None) if waits && self.is_stopping(need.unit) => Holds::Never,
            // An external unit that was found does not fail any more.
            (Condition::Failed, None) if state.phase() == Phase::Watching && state.is_ready() => {
                Holds::Never
            }
            (Condition::Exited, Some(_)) => Holds::Yes,
            (Condition::Succeeded, Some(ended)) if !ended.failed() => Holds::Yes,
            (Condition::Failed, Some(ended)) if ended.failed() => Holds::Yes,
            (
                Condition::Started
                | Condition::Ready
                | Condition::Succeeded
                | Condition::Failed
                | Condition::Settled,
                Some(_),
            ) => Holds::Never,
            (
                Condition::Started
                | Condition::Ready
                | Condition::Exited
                | Condition::Succeeded
                | Condition::Failed
                | Condition::Settled,
                None,
            ) => Holds::NotYet,
        }
    }

    /// Ends a unit whose conditions can no longer come true.
    pub(super) fn block(&mut self, id: UnitId, by: UnitId, actions: &mut Vec<Action>) {
        let status = self.ended(by).map_or(1, |ended| ended.status).max(1);
        let said = actions.len();
        self.falls(id, How::Blocked(by), status);
        let ended = self.end(id, How::Blocked(by), status, actions);
        let mut chain = vec![id];
        let mut link = Some(by);
        let mut last = None;
        while let Some(unit) = link.filter(|_| chain.len() <= self.states.len()) {
            chain.push(unit);
            last = self.ended(unit);
            link = match last.map(|ended| ended.how) {
                Some(How::Blocked(next)) => Some(next),
                Some(
                    How::Process(_)
                    | How::Lost(..)
                    | How::NotStarted(..)
                    | How::PreStart(_)
                    | How::Unprepared
                    | How::Unkillable
                    | How::NotReady
                    | How::Unhealthy
                    | How::Overran
                    | How::Found
                    | How::Test(_),
                )
                | None => None,
            };
        }
        // This comes before its consequences.
        actions.insert(said, Action::Tell(Fact::Blocked { chain, by: last, ended }));
        if self.graph.node(id).test().is_some() {
            actions.push(Action::Tell(Fact::TestEnded { unit: id, ended }));
        }
    }

    fn spawn(&mut self, id: UnitId, tries: u32, actions: &mut Vec<Action>) {
        (self.states[id.0].ran_since, self.states[id.0].told) = (None, None);
        (self.states[id.0].known, self.states[id.0].left) = (None, false);
        self.transition(id, Phase::Starting { pid: None, tries }, Why::Met);
        let hook = self.graph.node(id).unit.pre_start.as_ref();
        let state = &mut self.states[id.0];
        state.executed = false;
        state.prepares = hook.map(|hook| self.now + hook.within.unwrap_or(limits::PRE_START));
        actions.push(if hook.is_some() { Action::PreStart(id) } else { Action::Spawn(id) });
    }

    pub(super) fn on_forked(&mut self, id: UnitId, forked: i32) {
        match self.states[id.0].details() {
            Phase::Starting { pid, .. } => *pid = Some(forked),
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => self.impossible(&Event::Forked { unit: id, pid: forked }),
        }
    }

    pub(super) fn on_executed(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].executed = true;
        match self.states[id.0].phase() {
            Phase::Starting { pid: Some(pid), .. } => {
                self.states[id.0].started = true;
                self.states[id.0].due = false;
                self.transition(id, Phase::Running { pid }, Why::Executed);
                self.changed.push_back(id);
                if self.run != Run::Over {
                    self.begin_watch(now, id, actions);
                }
                for signal in std::mem::take(&mut self.passing.held) {
                    self.pass(id, signal, actions);
                }
            }
            // The unit was asked to stop before its command was executed.
            Phase::Stopping { .. } | Phase::Done(Ended { how: How::Unkillable, .. }) => {}
            Phase::Starting { pid: None, .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => self.impossible(&Event::Executed { unit: id }),
        }
    }

    pub(super) fn on_spawn_failed(
        &mut self,
        now: Tick,
        id: UnitId,
        stage: SpawnStage,
        errno: Option<Errno>,
        actions: &mut Vec<Action>,
    ) {
        let scarce = errno.filter(|errno| is_scarce(stage, *errno));
        match self.states[id.0].phase() {
            Phase::Starting { tries, .. }
                if let Some(errno) = scarce
                    && tries < limits::FORK_RETRIES
                    && !self.is_stopping(id) =>
            {
                let until = now + limits::FORK_BACKOFF * 2_u32.pow(tries);
                self.states[id.0].prepares = None;
                self.transition(id, Phase::Retrying { until, tries: tries + 1 }, Why::Scarce);
                self.changed.push_back(id);
                if tries == 0 {
                    actions.push(Action::Tell(Fact::Retrying { unit: id, errno }));
                }
            }
            Phase::Starting { .. } | Phase::Stopping { .. } => {
                let missing = stage == SpawnStage::Execute && errno == Some(Errno::ENOENT);
                let status = if missing { status::NOT_FOUND } else { status::CANNOT_EXECUTE };
                let why = self.states[id.0].known.clone();
                actions.push(Action::Tell(Fact::NotStarted { unit: id, stage, errno, why }));
                self.over(now, id, How::NotStarted(stage, errno), (status, status), actions);
            }
            Phase::Done(Ended { how: How::Unkillable, .. }) => {
                self.unkillable.retain(|one| *one != id);
            }
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => {
                self.impossible(&Event::SpawnFailed { unit: id, stage, errno, why: None });
            }
        }
    }

    /// Returns whether the units of this one's stage are not started any more.
    pub(super) fn is_stopping(&self, id: UnitId) -> bool {
        match self.run {
            Run::Boot | Run::Settling | Run::Up => false,
            Run::Halting => self.graph.node(id).unit.stage != Stage::Halt,
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Over => true,
        }
    }

    /// Records an event that cannot happen: a bug in `run/`, which trc survives.
    pub(super) fn impossible(&mut self, event: &Event) {
        let what = format!("{event:?} in {:?}", self.run);
        debug_assert!(false, "impossible event {what}");
        self.impossible.push(what);
    }
}

/// Returns whether a step failed for want of a resource that other processes may give back when
/// they exit: processes, memory, descriptors.
#[must_use]
pub(crate) fn is_scarce(stage: SpawnStage, errno: Errno) -> bool {
    match errno {
        // This is trc's own limit. The child has the descriptors that trc holds, and its streams
        // need some more; in later steps, the child lacks descriptors because of its own limits.
        Errno::EMFILE => {
            matches!(stage, SpawnStage::Prepare | SpawnStage::Fork | SpawnStage::Streams)
        }
        // This includes execve(2): a user has at most RLIMIT_NPROC processes.
        Errno::EAGAIN | Errno::ENOMEM | Errno::ENFILE => true,
        _ => false,
    }
}

/// The progress of a stage whose units run one at a time.
enum Turn {
    Running,
    Failed(UnitId, Ended),
    Over,
}
