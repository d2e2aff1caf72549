//! Test mode: tests run one at a time while the units run, wait policies do not end the run, and
//! the stop is a drill.
//!
//! ```text
//!  its turn, units are up     a try passed         has held
//!  Waiting ────────► Watching ───────────► (holds) ────────► Done
//!                     │  ▲ a try failed,    │ a try failed,
//!                     └──┘ there is time    ▼ a restart
//!                                          Done
//! ```
//!
//! A test with a job begins with a run of that unit, which has a schedule: its first attempt is made
//! when the unit has ended with success. If the unit fails, or still runs when the time of the test is
//! up, the test has failed without an attempt.
//!
//! A test that keeps a unit down (`FaultKind::Down`) stops that unit as a person does, and holds it:
//! its attempts begin when nothing of the unit is left. When the checks have passed, the unit is
//! started again, and the test passes when it is up.
//!
//! A test with probes that go on (`during`) damages or restarts its unit only after a moment, so that
//! a request is under way then.
//!
//! After the last test, the engine asks for a look at the units' processes, and stops the run as a
//! stop from outside would. Everything that is wrong is a [`Finding`].

use super::start::Holds;
use super::unit::{Awaited, Ladder, Leftovers, Phase, Stopped, Trial, Why};
use super::{
    Action, Budget, Cause, Ended, Ending, Engine, Event, Fact, Finding, How, Late, Outcome, Run,
    Target, Task, TestEnd, Tick, limits,
};
use crate::config::{FaultKind, Leaves, OnFailure, Stage, WaitPolicy};
use crate::graph::UnitId;
use crate::signal::Signal;
use crate::status;

/// The state of the search for zombies after the last test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inspection {
    /// The engine has asked for the first look.
    Asked,
    /// There were zombies, whose parents may be about to wait for them.
    Again { at: Tick },
    /// The engine has asked for the second look.
    AskedAgain,
}

/// The state of a test run that is not the state of a unit.
#[derive(Default, Debug)]
pub(super) struct Testing {
    pub findings: Vec<Finding>,
    /// The number of restarts so far.
    pub restarts: u32,
    /// The units that a test has waited for in vain. No other test waits for them.
    pub in_vain: Vec<UnitId>,
    /// When all tests have finished: the time until which units that no test has waited for may
    /// come up.
    pub rest_by: Option<Tick>,
    inspection: Option<Inspection>,
    /// The end of the grace period.
    stop_by: Option<Tick>,
}

impl Testing {
    pub(super) fn deadline(&self) -> Option<Tick> {
        match self.inspection {
            Some(Inspection::Again { at }) => Some(at),
            None => self.rest_by,
            Some(Inspection::Asked | Inspection::AskedAgain) => None,
        }
    }
}

impl Engine {
    /// The findings so far.
    #[must_use]
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.testing.findings
    }

    /// Returns how the job of a test has ended.
    #[must_use]
    pub(crate) fn job_ended(&self, test: UnitId) -> Option<Ended> {
        self.states[test.0].trial.job_ended
    }

    /// Records a finding, in test mode, as long as it can still count.
    pub(super) fn find(&mut self, finding: Finding) {
        let known = self.testing.findings.contains(&finding);
        if self.graph.testing && self.run != Run::Over && !known {
            self.testing.findings.push(finding);
        }
    }

    /// Begins a test. The units that it is `after` may not be up yet.
    pub(super) fn await_trial(&mut self, now: Tick, id: UnitId) {
        let Some(test) = self.graph.node(id).test() else { return };
        let needs = &self.graph.node(id).needs;
        let in_vain = needs.iter().any(|need| {
            let hopeless = || {
                self.testing.in_vain.contains(&need.unit) || self.loop_behind(need.unit).is_some()
            };
            need.written && !self.is_met(*need) && hopeless()
        });
        let start_by = if in_vain { now } else { now + test.start_within };
        self.states[id.0].trial.start_by.get_or_insert(start_by);
    }

    /// The units of a test are up.
    pub(super) fn begin_trial(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let graph = std::rc::Rc::clone(&self.graph);
        let Some(test) = graph.node(id).test() else { return };
        self.states[id.0].started = true;
        self.transition(id, Phase::Watching, Why::Met);
        let mut trial = Trial {
            since: now,
            until: test.within.map(|within| now + within),
            wait: limits::FIRST_TRY,
            ..Trial::default()
        };
        actions.push(Action::Tell(Fact::TestBegan { unit: id }));
        if let Some(job) = graph.node(id).job {
            let within = test.within.unwrap_or(test.max_runtime);
            trial.awaits = Some((Awaited::Job(job), now + within));
            self.states[id.0].trial = trial;
            return self.run_job(now, job, actions);
        }
        if let Some(during) = test.during.as_ref().filter(|_| graph.node(id).victim.is_some()) {
            trial.awaits = Some((Awaited::Strike, now + during.value.lead()));
            return self.states[id.0].trial = trial;
        }
        self.states[id.0].trial = trial;
        self.strike(now, id, actions);
    }

    /// Damages the unit of a test, if it is to, and begins the first attempt.
    fn strike(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let graph = std::rc::Rc::clone(&self.graph);
        let Some(test) = graph.node(id).test() else { return };
        let mut trial = self.states[id.0].trial;
        if let (Some(fault), Some(victim)) = (&test.fault, graph.node(id).victim) {
            let leaves = fault.value.leaves(graph.node(victim).stop_signal);
            // A restart is not excused if the process has to survive the fault.
            let asked = matches!(fault.value.kind, FaultKind::Down | FaultKind::Restart);
            self.states[victim.0].faulted = leaves != Leaves::TheSame && !asked;
            // The process has to survive from now on.
            trial.since = now;
            let pid = self.states[victim.0].pid();
            trial.killed = pid.filter(|_| leaves == Leaves::Another);
            match fault.value.kind {
                FaultKind::Kill(signal) => {
                    self.states[victim.0].struck =
                        Some(signal).filter(|_| leaves != Leaves::TheSame);
                    actions.push(Action::Signal(Target::Process(victim), signal));
                }
                FaultKind::Stop(time) => {
                    trial.stopped = self.states[victim.0].pid();
                    trial.continue_at = Some(now + time);
                    actions.push(Action::Signal(Target::Group(victim), Signal::STOP));
                }
                FaultKind::Restart => {
                    self.bring_up(now, victim, Task::Restart, actions);
                    self.advance_restarts(now, actions);
                }
                FaultKind::Down => {
                    let within = test.within.unwrap_or(test.max_runtime);
                    trial.awaits = Some((Awaited::Down(victim), now + within));
                    self.states[id.0].trial = trial;
                    self.take_down(now, victim, actions);
                    return self.advance_restarts(now, actions);
                }
            }
        }
        self.states[id.0].trial = trial;
        self.try_now(now, id, actions);
    }

    /// Runs a unit with a schedule, as a start by hand does. If a test has not waited for the end of
    /// its last run, that is stopped first.
    fn run_job(&mut self, now: Tick, job: UnitId, actions: &mut Vec<Action>) {
        // It cannot run beside a process that SIGKILL does not end: its last end stands.
        if !self.unkillable.contains(&job) {
            self.bring_up(now, job, Task::Restart, actions);
            self.advance_restarts(now, actions);
        }
    }

    /// Begins the attempts of a test if the thing has come that it waits for, or ends the test if it
    /// cannot come any more or takes too long.
    fn advance_trial(&mut self, now: Tick, actions: &mut Vec<Action>) {
        let watching = |id: &UnitId| self.states[id.0].phase() == Phase::Watching;
        let Some(id) = self.graph.stage(Stage::Test).find(watching) else { return };
        let Some((awaited, until)) = self.states[id.0].trial.awaits else { return };
        let late = until <= now;
        match awaited {
            Awaited::Job(job) => self.await_job(now, id, job, late, actions),
            Awaited::Down(victim) if self.is_down(victim) && !self.unkillable.contains(&victim) => {
                self.states[id.0].trial.awaits = None;
                self.try_now(now, id, actions);
            }
            Awaited::Down(victim) if late || self.unkillable.contains(&victim) => {
                self.testing.in_vain.push(victim);
                self.end_trial(id, TestEnd::TimedOut, actions);
            }
            Awaited::Strike if late => {
                self.states[id.0].trial.awaits = None;
                match self.graph.node(id).victim.map(|victim| self.bears_a_fault(victim)) {
                    Some(Holds::Yes) => self.strike(now, id, actions),
                    // It has exited by itself.
                    _ => self.end_trial(id, TestEnd::NotRecovered, actions),
                }
            }
            Awaited::Down(_) | Awaited::Strike => {}
            Awaited::Up(_) => match self.recovered(now, id) {
                Recovered::Yes => self.end_trial(id, TestEnd::Passed, actions),
                Recovered::NotYet if !late => {}
                Recovered::NotYet | Recovered::Never => {
                    self.end_trial(id, TestEnd::NotRecovered, actions);
                }
            },
        }
    }

    fn await_job(
        &mut self,
        now: Tick,
        id: UnitId,
        job: UnitId,
        late: bool,
        actions: &mut Vec<Action>,
    ) {
        let ended = self.ended(job);
        self.states[id.0].trial.job_ended = ended;
        match ended {
            Some(ended) if ended.failed() => self.end_trial(id, TestEnd::Failed, actions),
            Some(_) => {
                self.states[id.0].trial.awaits = None;
                self.try_now(now, id, actions);
            }
            None if late => {
                self.testing.in_vain.push(job);
                self.end_trial(id, TestEnd::TimedOut, actions);
            }
            None => {}
        }
    }

    fn try_now(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let Some(test) = self.graph.node(id).test() else { return };
        let trial = &mut self.states[id.0].trial;
        trial.next_try = None;
        // An attempt that begins just in time still gets a moment.
        let left = trial.until.map(|until| until.saturating_sub(now).max(limits::LAST_TRY));
        let limit = left.map_or(test.max_runtime, |left| left.min(test.max_runtime));
        actions.push(Action::Try(id, limit));
    }

    /// An attempt of a test has finished.
    pub(super) fn on_tried(
        &mut self,
        now: Tick,
        id: UnitId,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        if self.states[id.0].phase() != Phase::Watching {
            return;
        }
        let restarts = self.testing.restarts;
        let holds = self.graph.node(id).test().and_then(|test| test.holds);
        // A unit that is kept down comes up again when the checks have passed.
        let down = self.keeps_down(id);
        let recovered = if down { Recovered::Yes } else { self.recovered(now, id) };
        let probes = self.graph.node(id).test().is_some_and(|test| test.during.is_some());
        let trial = &mut self.states[id.0].trial;
        if outcome == Outcome::NotMade && trial.unmade < limits::FORK_RETRIES {
            trial.next_try = Some(now + limits::FORK_BACKOFF * 2_u32.pow(trial.unmade));
            trial.unmade += 1;
            return;
        }
        trial.unmade = 0;
        match (outcome, trial.hold_until) {
            (Outcome::Skipped, _) => self.end_trial(id, TestEnd::Skipped, actions),
            (Outcome::Passed, Some(_)) if restarts != trial.restarts => {
                self.end_trial(id, TestEnd::DidNotHold, actions);
            }
            (Outcome::Passed, Some(until)) if now >= until => self.checks_pass(now, id, actions),
            (Outcome::Passed, Some(until)) => {
                trial.next_try = Some((now + limits::HOLD_EVERY).min(until));
            }
            (Outcome::Passed, None) => match (recovered, holds) {
                (Recovered::Never, _) => self.end_trial(id, TestEnd::NotRecovered, actions),
                (Recovered::NotYet, _) => self.try_again(now, id, TestEnd::NotRecovered, actions),
                (Recovered::Yes, None) => self.checks_pass(now, id, actions),
                (Recovered::Yes, Some(holds)) => {
                    (trial.hold_until, trial.restarts) = (Some(now + holds), restarts);
                    trial.next_try = Some(now + limits::HOLD_EVERY.min(holds));
                }
            },
            (
                Outcome::Failed | Outcome::TimedOut | Outcome::NotMade | Outcome::Hopeless,
                Some(_),
            ) => {
                self.end_trial(id, TestEnd::DidNotHold, actions);
            }
            // A probe that has failed meanwhile leaves the unit down, and the next test needs it.
            (Outcome::Hopeless, None) if probes && matches!(recovered, Recovered::NotYet) => {
                self.try_again(now, id, TestEnd::Failed, actions);
            }
            (Outcome::Hopeless, None) => self.end_trial(id, TestEnd::Failed, actions),
            (Outcome::Failed | Outcome::TimedOut | Outcome::NotMade, None) => match recovered {
                Recovered::Never => self.end_trial(id, TestEnd::NotRecovered, actions),
                Recovered::NotYet => self.try_again(now, id, TestEnd::NotRecovered, actions),
                Recovered::Yes if outcome == Outcome::TimedOut => {
                    self.try_again(now, id, TestEnd::TimedOut, actions);
                }
                Recovered::Yes => self.try_again(now, id, TestEnd::Failed, actions),
            },
        }
    }

    /// The checks of a test have passed. If they were made while a unit was down, that has to come up
    /// again now.
    fn checks_pass(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let (Some(victim), true) = (self.graph.node(id).victim, self.keeps_down(id)) else {
            return self.end_trial(id, TestEnd::Passed, actions);
        };
        let test = self.graph.node(id).test();
        let within = test.map_or(Tick::ZERO, |test| test.within.unwrap_or(test.max_runtime));
        self.states[id.0].trial.awaits = Some((Awaited::Up(victim), now + within));
        self.lift(now, victim, actions);
    }

    /// Starts a unit again that a test has kept down.
    fn lift(&mut self, now: Tick, victim: UnitId, actions: &mut Vec<Action>) {
        if self.is_held(victim) && !self.unkillable.contains(&victim) {
            self.bring_up(now, victim, Task::Start, actions);
            self.advance_restarts(now, actions);
        }
    }

    /// Returns whether the fault of a test keeps a unit down.
    fn keeps_down(&self, id: UnitId) -> bool {
        let fault = self.graph.node(id).test().and_then(|test| test.fault.as_ref());
        fault.is_some_and(|fault| fault.value.kind == FaultKind::Down)
    }

    /// Begins another attempt if there is time, or ends the test.
    fn try_again(&mut self, now: Tick, id: UnitId, end: TestEnd, actions: &mut Vec<Action>) {
        let trial = &mut self.states[id.0].trial;
        match trial.until.filter(|until| now < *until) {
            Some(until) => {
                trial.next_try = Some((now + trial.wait).min(until));
                trial.wait = (trial.wait * 2).min(limits::TRY_EVERY);
            }
            None => self.end_trial(id, end, actions),
        }
    }

    fn end_trial(&mut self, id: UnitId, end: TestEnd, actions: &mut Vec<Action>) {
        let status = match end {
            TestEnd::Passed | TestEnd::Skipped => 0,
            TestEnd::TimedOut => status::TIMED_OUT,
            TestEnd::Failed | TestEnd::DidNotHold | TestEnd::NotRecovered => 1,
        };
        self.continue_victim(id, actions);
        if let Some(victim) = self.graph.node(id).victim.filter(|_| self.keeps_down(id)) {
            self.lift(self.now, victim, actions);
        }
        // If the fault was a signal, a later death by that signal is excused anyway.
        let (node, signalled) = (self.graph.node(id), self.states[id.0].trial.stopped.is_none());
        let over = end == TestEnd::Passed || end == TestEnd::Skipped && signalled;
        let victim = node.victim;
        if let Some(victim) = victim.filter(|_| over) {
            self.states[victim.0].faulted = false;
        }
        // The unit has had its time, and no other test gives it more.
        self.testing.in_vain.extend(victim.filter(|_| end == TestEnd::NotRecovered));
        let ended = self.end(id, How::Test(end), status, actions);
        actions.push(Action::Tell(Fact::TestEnded { unit: id, ended }));
    }

    /// The run stops while a test runs.
    pub(super) fn abandon_trial(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        if self.graph.node(id).test().is_some() {
            actions.push(Action::StopProbes(id));
            self.continue_victim(id, actions);
        }
    }

    /// Resumes the unit that a test has suspended, unless it has been resumed.
    fn continue_victim(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let stopped = self.states[id.0].trial.continue_at.take();
        if let (Some(_), Some(victim)) = (stopped, self.graph.node(id).victim) {
            actions.push(Action::Signal(Target::Group(victim), Signal::CONT));
        }
    }

    /// Returns whether a fault can be injected into a unit, which has to run.
    pub(super) fn bears_a_fault(&self, victim: UnitId) -> Holds {
        let state = &self.states[victim.0];
        match state.phase() {
            Phase::Running { .. } if state.verdict.is_none() => Holds::Yes,
            Phase::Done(_) => Holds::Never,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. } => Holds::NotYet,
        }
    }

    /// Returns whether the damaged unit is up again, or has kept running.
    fn recovered(&self, now: Tick, id: UnitId) -> Recovered {
        let node = self.graph.node(id);
        let Some(victim) = node.victim else { return Recovered::Yes };
        let (trial, state) = (&self.states[id.0].trial, &self.states[victim.0]);
        let fault = node.test().and_then(|test| test.fault.as_ref());
        let stop_signal = self.graph.node(victim).stop_signal;
        if fault.is_some_and(|fault| fault.value.leaves(stop_signal) == Leaves::TheSame) {
            let same = state.ran_since.is_some_and(|since| since <= trial.since);
            return match state.phase() {
                // The process may be about to exit.
                Phase::Running { .. } if same && now < trial.since + limits::CALM => {
                    Recovered::NotYet
                }
                Phase::Running { .. } if same && trial.continue_at.is_none() => Recovered::Yes,
                Phase::Running { .. } if same => Recovered::NotYet,
                _ => Recovered::Never,
            };
        }
        let has_check = self.graph.node(victim).unit.ready.is_some();
        let may_fail = self.graph.node(victim).unit.on_failure == OnFailure::Ignore;
        match state.phase() {
            Phase::Running { pid } if Some(pid) == trial.killed => Recovered::NotYet,
            // A unit that was restarted meanwhile has nothing to wait for.
            Phase::Running { pid } if Some(pid) == trial.stopped && trial.continue_at.is_some() => {
                Recovered::NotYet
            }
            Phase::Running { .. } if state.is_ready() => Recovered::Yes,
            // The unit has no readiness check, so it has to have run for a moment.
            Phase::Running { .. } if !has_check && state.watch.is_calm(now) => Recovered::Yes,
            Phase::Done(_) if may_fail => Recovered::Yes,
            Phase::Done(_) => Recovered::Never,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. } => Recovered::NotYet,
        }
    }

    /// Handles the deadlines of a test.
    pub(super) fn trial_due(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let due = |time: Option<Tick>| time.is_some_and(|time| time <= now);
        let trial = self.states[id.0].trial;
        match self.states[id.0].phase() {
            Phase::Waiting if trial.start_by.is_some() && self.run == Run::Up => {
                let node = self.graph.node(id);
                let late = due(trial.start_by);
                let mut unmet =
                    node.needs.iter().filter(|need| need.written && !self.is_met(**need));
                // The message names the unit at the root of it, even if the test does not name that
                // unit.
                let unmet = unmet.find_map(|need| {
                    self.loop_behind(need.unit).or_else(|| late.then_some(need.unit))
                });
                if unmet.is_none() && !late {
                    return;
                }
                let down = |unit: &UnitId| !matches!(self.bears_a_fault(*unit), Holds::Yes);
                match unmet.or(node.victim.filter(down)) {
                    Some(by) => {
                        self.testing.in_vain.push(by);
                        self.block(id, by, actions);
                    }
                    // A condition may have come true without an event.
                    None => self.changed.push_back(id),
                }
            }
            Phase::Watching => {
                if due(trial.continue_at) {
                    self.continue_victim(id, actions);
                }
                if due(trial.next_try) {
                    self.try_now(now, id, actions);
                }
            }
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => {}
        }
    }

    /// Replaces the wait policy: ends the run after the last test, once all units are at rest.
    pub(super) fn ask_tests(&mut self, now: Tick, actions: &mut Vec<Action>) {
        self.advance_trial(now, actions);
        let open = self.graph.stage(Stage::Test).any(|id| self.ended(id).is_none());
        if !open && self.testing.inspection.is_none() && self.units_rest(now, actions) {
            self.testing.inspection = Some(Inspection::Asked);
            actions.push(Action::Inspect);
        }
    }

    /// The second look at zombies.
    pub(super) fn inspection_due(&mut self, now: Tick, actions: &mut Vec<Action>) {
        if let Some(Inspection::Again { at }) = self.testing.inspection
            && at <= now
            && self.run == Run::Up
        {
            self.testing.inspection = Some(Inspection::AskedAgain);
            actions.push(Action::Inspect);
        }
    }

    pub(super) fn on_inspected(
        &mut self,
        now: Tick,
        zombies: bool,
        escaped: &[UnitId],
        actions: &mut Vec<Action>,
    ) {
        // Some processes create their sessions only after the unit's main process has exited.
        for id in escaped {
            if let Leftovers::Live { escaped } | Leftovers::Lingering { escaped, .. } =
                &mut self.states[id.0].leftovers
            {
                *escaped = true;
            }
        }
        match self.testing.inspection {
            Some(Inspection::Asked) if zombies => {
                let at = now + limits::ZOMBIE;
                self.testing.inspection = Some(Inspection::Again { at });
                return;
            }
            Some(Inspection::AskedAgain) if zombies => self.find(Finding::Zombies),
            Some(Inspection::Asked | Inspection::AskedAgain) => {}
            Some(Inspection::Again { .. }) | None => {
                let escaped = escaped.to_vec();
                return self.impossible(&Event::Inspected { zombies, escaped });
            }
        }
        if self.run == Run::Up {
            // This stops the run as `docker stop` does.
            let budget = Budget::new(now, self.graph.budget, Signal::TERM, false);
            self.budget.get_or_insert(budget);
            self.testing.stop_by = Some(now + self.graph.grace);
            self.stop_run(Cause::Tested, 0, actions);
        }
    }

    /// Records the processes that were left when all units had ended, and the tests whose forbidden
    /// lines were printed.
    pub(super) fn on_remains(
        &mut self,
        now: Tick,
        orphans: bool,
        sessions: bool,
        late: Vec<(UnitId, Late)>,
        actions: &mut Vec<Action>,
    ) {
        if let Run::Lingering { again_at } = self.run {
            if again_at.is_some() && (orphans || sessions) {
                return;
            }
            self.enter(Run::Sweeping { kill_at: now + limits::SWEEP }, actions);
        }
        if orphans {
            self.find(Finding::Orphans);
        }
        if sessions {
            self.find(Finding::Sessions);
        }
        for (id, late) in late {
            self.find(Finding::Late(id, late));
        }
    }

    /// Judges the exit of a unit in a test run.
    pub(super) fn judge_end(&mut self, id: UnitId, ended: Ended) {
        let node = self.graph.node(id);
        let ignored = node.unit.on_failure == OnFailure::Ignore;
        // If the policy waits for every unit, any unit may exit with success.
        let meant = match self.graph.wait {
            WaitPolicy::Any | WaitPolicy::Forever => node.oneshot || !node.counts(),
            WaitPolicy::All | WaitPolicy::Err => !node.serves(),
        };
        let unexpected = if ended.failed() { !ignored } else { !meant };
        let in_its_time = node.unit.stage == Stage::Halt || !self.is_stopping(id);
        if unexpected && in_its_time && node.unit.stage != Stage::Test {
            self.find(Finding::Ended(id));
        }
    }

    /// Judges the exit of a unit while a test run stops: it exited either by itself, or after trc
    /// stopped it, with a status that must not mean failure.
    pub(super) fn judge_stop(
        &mut self,
        now: Tick,
        id: UnitId,
        ending: Ending,
        ladder: Option<Ladder>,
        failed: bool,
    ) {
        let node = self.graph.node(id);
        if self.cause != Some(Cause::Tested) || !self.is_stopping(id) {
            return;
        }
        let counts = node.unit.on_failure != OnFailure::Ignore;
        let crashed = matches!(ending, Ending::Signal(signal) if signal.is_crash());
        let untold = ladder.is_none() && matches!(self.states[id.0].phase(), Phase::Running { .. });
        let well = self.may_stop_with(id, ending.status());
        // A killed unit has not exited by itself, however soon it exited.
        let killed = matches!(ladder, Some(Ladder::Kill { .. }));
        let told = self.states[id.0].told.filter(|_| ladder.is_some() && !killed);
        if ladder.is_some() {
            let after = told.map(|told| now.saturating_sub(told));
            self.states[id.0].stopped = Some(Stopped { status: ending.status(), after });
        }
        if counts && failed && (untold || crashed) {
            self.find(Finding::Ended(id));
        } else if counts && told.is_some() && !well {
            self.find(Finding::StopStatus(id));
        }
    }

    /// Judges, when every unit has stopped, whether the units stopped as the passed tests expect.
    pub(super) fn judge_stops(&mut self) {
        if self.cause != Some(Cause::Tested) {
            return;
        }
        let graph = std::rc::Rc::clone(&self.graph);
        let passed: Vec<UnitId> = self.tests_with(TestEnd::Passed).collect();
        for id in passed {
            let Some(test) = graph.node(id).test().filter(|test| test.stop.is_written()) else {
                continue;
            };
            let stopped = |unit: UnitId| self.states[unit.0].stopped;
            let well = |unit: &UnitId| {
                stopped(*unit).is_some_and(|stopped| test.stop.holds(stopped.status, stopped.after))
            };
            let mut told = graph.told_by(id).peekable();
            if told.peek().is_none() || !told.all(|unit| well(&unit)) {
                self.find(Finding::NotAsTold(id));
            }
        }
    }

    /// The grace period has expired.
    pub(super) fn judge_grace(&mut self, now: Tick) {
        let late = self.testing.stop_by.is_some_and(|stop_by| stop_by < now);
        if late && self.run != Run::Over {
            self.find(Finding::Slow);
        }
    }

    /// Returns the tests with this result.
    pub(crate) fn tests_with(&self, end: TestEnd) -> impl Iterator<Item = UnitId> + '_ {
        let has = move |ended: Ended| ended.how == How::Test(end);
        self.graph.stage(Stage::Test).filter(move |id| self.ended(*id).is_some_and(has))
    }

    /// Returns trc's exit status in test mode so far: 0 only if every test has passed and every
    /// finding is allowed by a test. An invalid command line left by boot scripts is not the fault
    /// of a test.
    pub(super) fn verdict(&self) -> u8 {
        if self.cause == Some(Cause::CommandLine) {
            return status::CONFIG;
        }
        let excused =
            |finding: &Finding| self.graph.allowed.contains_key(&finding.point(&self.graph));
        let failed = |id: UnitId| self.ended(id).is_none_or(Ended::failed);
        let failed = self.graph.stage(Stage::Test).any(failed);
        let tests = self.graph.stage(Stage::Test).count();
        let skipped = self.tests_with(TestEnd::Skipped).count();
        // If all tests were skipped, nothing was tested.
        let skipped = skipped > 0 && (self.graph.strict || skipped == tests);
        let clean = self.cause == Some(Cause::Tested)
            && !failed
            && !skipped
            && self.testing.findings.iter().all(excused);
        u8::from(!clean)
    }
}

/// The state of a unit after a fault.
enum Recovered {
    Yes,
    NotYet,
    Never,
}
