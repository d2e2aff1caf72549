//! Requests: what people ask of units while the run goes on.
//!
//! People can ask a unit to start, to stop, to restart and to reload, and can send it a signal. Only
//! services and one-shots of the stages `async` and `sync` that have a command take requests, and
//! only while the run is up: not during boot or in the stop, and not in a test run, whose result
//! would no longer be about the image. The engine refuses everything else and gives the reason.
//!
//! **The wanted state is not the phase.** `Wanted` says what people want of a unit, and its phase
//! says where it stands. At first, every unit is wanted `Up`. A stop by hand is a *hold*: the unit
//! is wanted `Held`, and neither its restart policy, nor its health check, nor a unit that it is
//! restarted together with starts it again; only another request does. When the run stops, no unit
//! is wanted any more: `Down`.
//!
//! **A unit that does not start by itself** is wanted `Idle` until somebody asks for it: it waits, no
//! wait policy counts it, and it is as it should be. A start ends that for the unit, and for those of
//! its kind that it stands on; from then on they are units like any others. Cancelling the start of
//! such a unit takes it back as long as it has no process, and a stop has nothing to do.
//!
//! **A unit that is stopped by hand has not ended.** It waits (`Phase::Waiting`), as it did before its
//! first start. So no wait policy counts it, and a failure of its stop is not a failure of the unit.
//! Units that are `after` its end go on waiting, as does the next unit in the foreground; units that
//! are `after` its start go on. If every unit is held, the run goes on until a signal stops it: a
//! person who has stopped a service to look at it must not lose the container. A unit that had ended
//! before somebody stops it is held, too, so that no reload starts it; but it has ended, and counts
//! as such.
//!
//! **A restart by hand is not an end** either, and `restart.max` does not count it: the unit stops
//! as always and is started at once, without a backoff. The units that are restarted together with
//! it are restarted, too, also when it comes back from a hold. A unit that waits, or is in backoff,
//! has nothing to stop and is just started; its conditions still hold it up. A unit that has ended
//! is started anew, and its restarts are forgotten. Two kinds of ended units are not started: a
//! unit in the foreground has had its turn, and a process that has survived SIGKILL may still be
//! there.
//!
//! **A reload** lets a unit that is up read its own configuration anew; `own_reload.rs` says how it
//! goes, and when it is done. A unit that reloads is up, so there is nothing to do for a start
//! meanwhile.
//!
//! **Who asks** (`Asker`) is part of each request and of the fact that tells people of it: every
//! change of a running trc is logged with its author. The engine decides nothing by it; whoever may
//! not ask never comes this far.
//!
//! **Jobs.** A request that is not already met makes a job. The job is done when the unit is up, in
//! the sense of a bare name in `after` (ready, or for a one-shot its success, or else started), or
//! down, leftovers included; the job has failed when the unit has ended otherwise. A unit has
//! one job at a time. An equal request joins it, and a start joins a restart. Any other request
//! supersedes it, and the last word counts: a stop that follows a restart leaves the unit held, and
//! a start that follows a stop brings it back as soon as its old process is gone. A unit never has
//! two processes. The stop of the run ends all jobs.
//!
//! **Stopping with dependents.** The answer to a stop names the units that are up, or about to be, and
//! depend on the unit, if only by way of others. They run on: `after` is about starts, and a person
//! who restarts a database need not want its users to stop. A stop with dependents
//! (`Request::StopWithDependents`) asks first each of them to stop, and then the unit; each gets an
//! answer and a job of its own. They stop in the reverse order of their dependencies: until all units
//! are gone that depend on it and are being stopped by hand, such a unit is held but is not told to
//! stop, and is watched as before. Whoever is asked to start meanwhile, or whose job is cancelled,
//! holds up nobody any more.
//!
//! **Cancelling a job** (`Event::Cancel`) takes back what its request wanted, and not what has been
//! done for it: again the unit is wanted as it was before the request, and nobody waits for the job
//! any more. A unit whose stop is cancelled comes back: a stop that has begun goes on to its end, and
//! the unit is started after it. A unit that was held goes back to its hold when its start or restart
//! is cancelled, and a unit that had ended has ended again, unless its command was executed meanwhile
//! and it runs: then it runs on. If its process is about to execute the command, or is about to stop,
//! the unit is held. Where the unit was wanted up before, cancelling a start or a restart changes
//! nothing about it: what was told to stop stops and comes back. A job that is over, or that there has
//! never been, cannot be cancelled, and the answer says which of the two it is.
//!
//! **A reset** forgets the restarts of a unit, so that `restart.max` and the delays count from zero.
//! It starts nothing, and a delay that has begun goes on.
//!
//! **A signal** goes to the main process, or to the whole process group if the stop signal would go
//! there. It makes no job and holds nothing: its effect on the unit is judged as if the signal had
//! come from anywhere else.

use super::unit::{Phase, Verdict, Wanted, Why};
use super::{Action, Asker, Ended, Engine, Fact, NotReloaded, Run, Tick};
use crate::config::{Condition, Stage};
use crate::graph::UnitId;
use crate::signal::Signal;
use serde::{Deserialize, Serialize};

/// A request for a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The unit is to reach a state, which takes time.
    Job(Task),
    /// The unit is to get this signal.
    Signal(Signal),
    /// The units that depend on the unit are to stop, and then the unit itself.
    StopWithDependents,
    /// The restarts of the unit are to be forgotten.
    Reset,
}

/// The aim of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// The unit is up.
    Start,
    /// The unit is down, and stays down until somebody asks for it.
    Stop,
    /// The unit is up, with another process than before.
    Restart,
    /// The unit has read its own configuration anew.
    Reload,
}

/// The answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The request has begun the job with this number.
    Begun(u32),
    /// The request has joined the job with this number, which meets it, too.
    Joined(u32),
    /// There is nothing to do.
    Unchanged,
    /// The signal was sent.
    Sent,
    /// The restarts of the unit are forgotten.
    Forgotten,
    /// The request was refused.
    Refused(Refusal),
}

/// The reason why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Boot has not finished.
    Booting,
    /// The run stops.
    Stopping,
    /// The run is a test run.
    Testing,
    /// The unit is not one of those that take requests.
    NoService,
    /// The unit is in the foreground and has had its turn.
    HadItsTurn,
    /// The unit's process has survived SIGKILL.
    Unkillable,
    /// A new graph is about to take over, which does not have the unit or replaces it.
    Reloading,
    /// The unit has no process that executes its command.
    NotRunning,
    /// The unit is about to come up, and only what is up can reload.
    NotUp,
    /// The configuration does not say how the unit reloads.
    NoReload,
}

/// The reason why a job cannot be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoJob {
    /// The job is over.
    Over,
    /// There has never been a job of this number.
    Unknown,
}

/// The end of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JobEnd {
    /// The unit is where the job wanted it.
    Done,
    /// The unit has ended otherwise.
    Failed(Ended),
    /// The unit did not reload.
    NotReloaded(NotReloaded),
    /// Somebody has asked for something else.
    Superseded,
    /// Somebody has cancelled it.
    Cancelled,
    /// The run stops.
    RunStops,
}

/// The state of a unit before a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Before {
    /// Whether somebody had stopped it.
    held: bool,
    /// Whether nobody had asked for it.
    idle: bool,
    /// Its end, if it had ended.
    ended: Option<Ended>,
    /// Whether it was due by its schedule.
    due: bool,
}

/// A request that the engine works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Job {
    number: u32,
    unit: UnitId,
    task: Task,
    before: Before,
    /// Whether the unit is told to stop only when others are gone that depend on it.
    ordered: bool,
}

impl Job {
    /// Returns the action that tells people of the job's end.
    fn ends(self, end: JobEnd) -> Action {
        let Self { number, unit, task, .. } = self;
        Action::Tell(Fact::JobEnded { unit, job: number, task, end, why: None })
    }
}

/// The jobs that are not done, at most one per unit, and the number of the last one.
#[derive(Default, Debug)]
pub(super) struct Jobs {
    open: Vec<Job>,
    last: u32,
}

impl Engine {
    /// Takes in a request for a unit.
    pub(super) fn on_request(
        &mut self,
        now: Tick,
        id: UnitId,
        request: Request,
        asker: Asker,
        actions: &mut Vec<Action>,
    ) {
        let refusal = self.refusal(id, request);
        let stops = matches!(request, Request::Job(Task::Stop) | Request::StopWithDependents);
        let dependents = if stops && refusal.is_none() { self.standing_on(id) } else { Vec::new() };
        if request == Request::StopWithDependents {
            for other in &dependents {
                self.on_ordered_stop(now, *other, asker.clone(), actions);
            }
        }
        let said = actions.len();
        let answer = match (refusal, request) {
            (Some(why), _) => Answer::Refused(why),
            (None, Request::Job(task)) => self.take_on(now, id, task, false, actions),
            (None, Request::StopWithDependents) => self.take_on(now, id, Task::Stop, true, actions),
            (None, Request::Signal(signal)) => {
                actions.push(Action::Signal(self.hears(id), signal));
                Answer::Sent
            }
            (None, Request::Reset) => {
                let restarts = std::mem::take(&mut self.states[id.0].restarts);
                let none = restarts == super::unit::Restarts::default();
                if none { Answer::Unchanged } else { Answer::Forgotten }
            }
        };
        // The answer comes before its consequences.
        let fact = Fact::Requested { unit: id, request, asker, answer, dependents };
        actions.insert(said, Action::Tell(fact));
    }

    /// Takes in that a unit is to stop before another, unless it does not take the request.
    fn on_ordered_stop(&mut self, now: Tick, id: UnitId, asker: Asker, actions: &mut Vec<Action>) {
        let request = Request::Job(Task::Stop);
        if self.refusal(id, request).is_some() {
            return;
        }
        let dependents = self.standing_on(id);
        let said = actions.len();
        let answer = self.take_on(now, id, Task::Stop, true, actions);
        let fact = Fact::Requested { unit: id, request, asker, answer, dependents };
        actions.insert(said, Action::Tell(fact));
    }

    /// Returns the units that are up, or about to be, and depend on a unit, if only by way of others.
    /// Each comes before those that it depends on.
    fn standing_on(&self, id: UnitId) -> Vec<UnitId> {
        let mut found = vec![false; self.states.len()];
        let mut next = vec![id];
        while let Some(one) = next.pop() {
            for other in &self.graph.node(one).dependents {
                if !std::mem::replace(&mut found[other.0], true) {
                    next.push(*other);
                }
            }
        }
        let is_up = |id: &UnitId| match self.states[id.0].phase() {
            Phase::Backoff { .. } | Phase::Retrying { .. } => true,
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Done(_) => !self.states[id.0].gone(),
        };
        let all = self.graph.ids().rev().filter(|id| found[id.0] && is_up(id));
        all.filter(|id| self.graph.node(*id).counts()).collect()
    }

    /// Returns the reason why this request is refused now, if it is.
    fn refusal(&self, id: UnitId, request: Request) -> Option<Refusal> {
        if let Some(why) = self.refuses_exec(id) {
            return Some(why);
        }
        if self.is_going(id) {
            return Some(Refusal::Reloading);
        }
        if request == Request::Job(Task::Reload) {
            return self.reload_refusal(id);
        }
        let up = matches!(request, Request::Job(Task::Start | Task::Restart));
        match self.states[id.0].phase() {
            Phase::Running { .. } | Phase::Stopping { .. } => None,
            Phase::Done(_) if up && self.unkillable.contains(&id) => Some(Refusal::Unkillable),
            Phase::Done(_) if up && self.graph.node(id).unit.stage == Stage::Sync => {
                Some(Refusal::HadItsTurn)
            }
            Phase::Done(_)
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. } => {
                matches!(request, Request::Signal(_)).then_some(Refusal::NotRunning)
            }
        }
    }

    /// Returns the reason why no command can be run as this unit now, if there is one. The unit need
    /// not run: its command is not the only one that can be of use in its surroundings.
    pub(crate) fn refuses_exec(&self, id: UnitId) -> Option<Refusal> {
        let node = self.graph.node(id);
        let here = self.graph.ids().any(|one| one == id);
        if here && node.counts() { self.busy() } else { Some(Refusal::NoService) }
    }

    /// Returns the reason why every request is refused now, if it is.
    pub(crate) fn busy(&self) -> Option<Refusal> {
        match self.run {
            _ if self.graph.transparent => Some(Refusal::NoService),
            _ if self.graph.testing => Some(Refusal::Testing),
            Run::Boot | Run::Settling => Some(Refusal::Booting),
            Run::Up => None,
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => Some(Refusal::Stopping),
        }
    }

    /// Begins a job, unless there is nothing to do or an open job does it already.
    fn take_on(
        &mut self,
        now: Tick,
        id: UnitId,
        task: Task,
        ordered: bool,
        actions: &mut Vec<Action>,
    ) -> Answer {
        let before = self.jobs.open.iter().position(|job| job.unit == id);
        match before.map(|at| self.jobs.open[at]) {
            Some(job) if job.task == task || (job.task, task) == (Task::Restart, Task::Start) => {
                return Answer::Joined(job.number);
            }
            Some(job) if (job.task, task) == (Task::Reload, Task::Start) => {
                return Answer::Unchanged;
            }
            Some(_) => self.supersede(id, actions),
            None => {
                let done = match task {
                    Task::Start => self.stands_up(id),
                    Task::Stop => self.is_held(id) && self.is_down(id) || self.is_asleep(id),
                    Task::Restart | Task::Reload => false,
                };
                if done {
                    return Answer::Unchanged;
                }
            }
        }
        self.jobs.last += 1;
        let number = self.jobs.last;
        let due = self.states[id.0].due;
        let (held, idle) = (self.is_held(id), self.is_asleep(id));
        let before = Before { held, idle, ended: self.ended(id), due };
        self.jobs.open.push(Job { number, unit: id, task, before, ordered });
        match (task, self.states[id.0].phase()) {
            // It is told to stop when it is its turn.
            (
                Task::Stop,
                Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Finishing { .. }
                | Phase::Done(_),
            ) if ordered => {
                self.states[id.0].wanted = Wanted::Held;
            }
            (Task::Stop, _) => self.take_down(now, id, actions),
            (Task::Start | Task::Restart, _) => self.bring_up(now, id, task, actions),
            (Task::Reload, _) => self.begin_own_reload(now, id, actions),
        }
        Answer::Begun(number)
    }

    /// Supersedes the job of a unit, if it has one.
    pub(super) fn supersede(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let old = self.jobs.open.iter().position(|job| job.unit == id);
        if let Some(job) = old.map(|at| self.jobs.open.remove(at)) {
            actions.push(job.ends(JobEnd::Superseded));
            self.end_own_reload(id, actions);
        }
    }

    /// Cancels a job, if it is not over.
    pub(super) fn on_cancel(
        &mut self,
        now: Tick,
        number: u32,
        asker: Asker,
        actions: &mut Vec<Action>,
    ) {
        let Some(at) = self.jobs.open.iter().position(|job| job.number == number) else {
            let why =
                if (1..=self.jobs.last).contains(&number) { NoJob::Over } else { NoJob::Unknown };
            actions.push(Action::Tell(Fact::NotCancelled { job: number, asker, why }));
            return;
        };
        let job = self.jobs.open.remove(at);
        let Job { unit, task, .. } = job;
        actions.push(Action::Tell(Fact::Cancelled { unit, job: number, task, asker }));
        actions.push(job.ends(JobEnd::Cancelled));
        self.put_back(now, job, actions);
    }

    /// Lets a unit be wanted as it was before a job, which was cancelled.
    fn put_back(&mut self, now: Tick, job: Job, actions: &mut Vec<Action>) {
        let id = job.unit;
        self.end_own_reload(id, actions);
        let Before { held, idle, ended, due } = job.before;
        match job.task {
            Task::Stop if !held && self.ended(id).is_none() => {
                return self.bring_up(now, id, Task::Start, actions);
            }
            // What has ended stays so.
            Task::Stop if !held => return self.states[id.0].wanted = Wanted::Up,
            Task::Start | Task::Restart if held || idle || ended.is_some() => {}
            // What had been waiting for its time waits for it again.
            Task::Start | Task::Restart if self.states[id.0].phase() == Phase::Waiting => {
                return self.states[id.0].due = due;
            }
            Task::Start | Task::Restart | Task::Stop | Task::Reload => return,
        }
        match (self.states[id.0].phase(), ended) {
            (Phase::Running { .. }, _) if self.states[id.0].verdict.is_none() => {}
            (Phase::Watching | Phase::Done(_), _) => {}
            (Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. }, None) if idle => {
                self.transition(id, Phase::Waiting, Why::Asked);
                (self.states[id.0].wanted, self.states[id.0].due) = (Wanted::Idle, false);
            }
            (Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. }, Some(ended)) => {
                let again = Ended { place: self.ends, ..ended };
                self.ends += 1;
                self.transition(id, Phase::Done(again), Why::Asked);
                if held {
                    self.states[id.0].wanted = Wanted::Held;
                }
                self.changed.push_back(id);
            }
            (
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Backoff { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Finishing { .. },
                _,
            ) => self.take_down(now, id, actions),
        }
    }

    /// Stops a unit and holds it.
    pub(super) fn take_down(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let state = &mut self.states[id.0];
        state.wanted = Wanted::Held;
        match state.phase() {
            // There are only leftovers to stop.
            Phase::Done(_) | Phase::Finishing { .. } => self.begin_stop(id, now, actions),
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {
                state.verdict = Some(Verdict::Asked);
            }
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => {
                self.transition(id, Phase::Waiting, Why::Asked);
            }
            Phase::Watching => {}
        }
    }

    /// Stops the units whose turn it is, of those that stop after others that depend on them.
    pub(super) fn advance_ordered_stops(&mut self, now: Tick, actions: &mut Vec<Action>) {
        if !self.jobs.open.iter().any(|job| job.ordered) || self.run != Run::Up {
            return;
        }
        let stops =
            |id: UnitId| self.jobs.open.iter().any(|job| job.unit == id && job.task == Task::Stop);
        let live = |id: &UnitId| stops(*id) && !self.states[id.0].gone();
        let turn = |job: &Job| job.ordered && !self.standing_on(job.unit).iter().any(live);
        let due: Vec<UnitId> =
            self.jobs.open.iter().filter(|job| turn(job)).map(|job| job.unit).collect();
        for id in due {
            if let Some(job) = self.jobs.open.iter_mut().find(|job| job.unit == id) {
                job.ordered = false;
            }
            match self.states[id.0].phase() {
                Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {
                    // It may have been found at fault meanwhile.
                    self.states[id.0].verdict.get_or_insert(Verdict::Asked);
                }
                // It may have exited meanwhile, and its leftovers have not been stopped.
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Watching
                | Phase::Finishing { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_) => self.begin_stop(id, now, actions),
            }
        }
    }

    /// Brings a unit up, and for a restart with another process.
    pub(super) fn bring_up(
        &mut self,
        now: Tick,
        id: UnitId,
        task: Task,
        actions: &mut Vec<Action>,
    ) {
        let state = &mut self.states[id.0];
        let before = std::mem::replace(&mut state.wanted, Wanted::Up);
        let was_held = before == Wanted::Held;
        self.wake_up(id);
        let state = &mut self.states[id.0];
        match state.phase() {
            // Some of its leftovers may still be there.
            Phase::Waiting if was_held => self.start_anew(now, id, actions),
            Phase::Waiting => {
                (state.due, state.tries) = (true, 0);
                self.changed.push_back(id);
            }
            Phase::Retrying { .. } => self.wait_again(id),
            Phase::Backoff { .. } => *state.details() = Phase::Backoff { until: None },
            // A unit that is about to be stopped anyway comes back, whatever the reason for the
            // stop.
            Phase::Starting { .. } | Phase::Running { .. }
                if task == Task::Restart || state.verdict.is_some() =>
            {
                self.condemn(id, Verdict::Asked);
            }
            Phase::Stopping { .. } | Phase::Finishing { .. } => self.condemn(id, Verdict::Asked),
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Watching => {}
            Phase::Done(_) => {
                state.restarts = super::unit::Restarts::default();
                self.start_anew(now, id, actions);
            }
        }
    }

    /// Starts the units that a unit stands on and that nobody had asked for, if only by way of
    /// others.
    fn wake_up(&mut self, id: UnitId) {
        let mut next = vec![id];
        while let Some(one) = next.pop() {
            let needs = self.graph.node(one).needs.iter().filter(|need| need.written);
            for other in needs.map(|need| need.unit).collect::<Vec<_>>() {
                if self.is_asleep(other) {
                    self.states[other.0].wanted = Wanted::Up;
                    self.changed.push_back(other);
                    next.push(other);
                }
            }
        }
    }

    /// Returns whether a unit does not start because nobody has asked for it.
    pub(super) fn is_asleep(&self, id: UnitId) -> bool {
        self.states[id.0].wanted == Wanted::Idle
    }

    /// Starts a unit that has run before, once all of it is gone.
    pub(super) fn start_anew(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].verdict = None;
        self.pull(id);
        self.rest(now, id, now, Why::Asked, actions);
    }

    /// Returns whether a unit is up, in the sense of a bare name in `after`.
    pub(crate) fn stands_up(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        match (state.phase(), self.graph.node(id).shows_up_by(true)) {
            (Phase::Running { .. }, Condition::Started) => state.verdict.is_none(),
            (Phase::Running { .. } | Phase::Watching, Condition::Ready) => {
                state.watch.ready && state.verdict.is_none()
            }
            (
                Phase::Running { .. },
                Condition::Succeeded | Condition::Exited | Condition::Failed | Condition::Settled,
            )
            | (
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_),
                _,
            ) => false,
        }
    }

    /// Returns whether a request for a unit is at work.
    pub(super) fn has_job(&self, id: UnitId) -> bool {
        self.jobs.open.iter().any(|job| job.unit == id)
    }

    /// Returns whether somebody has stopped a unit.
    pub(super) fn is_held(&self, id: UnitId) -> bool {
        self.states[id.0].wanted == Wanted::Held
    }

    /// Returns whether nothing of a unit is left, and it stays so.
    pub(crate) fn is_down(&self, id: UnitId) -> bool {
        (self.ended(id).is_some() || self.is_held(id)) && self.states[id.0].gone()
    }

    /// Ends the jobs that are done or have failed.
    pub(super) fn advance_jobs(&mut self, actions: &mut Vec<Action>) {
        for job in std::mem::take(&mut self.jobs.open) {
            let ended = self.ended(job.unit);
            let (is_done, failed) = match job.task {
                Task::Reload => {
                    self.advance_own_reload(job, actions);
                    continue;
                }
                Task::Start | Task::Restart => (
                    ended.is_some() || self.stands_up(job.unit),
                    ended.filter(|ended| ended.failed()),
                ),
                // It may have exited after all.
                Task::Stop => {
                    let survives = self.unkillable.contains(&job.unit);
                    (self.is_down(job.unit), ended.filter(|_| survives))
                }
            };
            match failed {
                _ if self.run != Run::Up => actions.push(job.ends(JobEnd::RunStops)),
                Some(ended) => actions.push(job.ends(JobEnd::Failed(ended))),
                None if is_done => actions.push(job.ends(JobEnd::Done)),
                None => self.jobs.open.push(job),
            }
        }
    }

    /// Ends the job for the reload of a unit if it is done or has failed.
    fn advance_own_reload(&mut self, job: Job, actions: &mut Vec<Action>) {
        let Job { number, unit, task, .. } = job;
        if let Some((end, why)) = self.own_reload_end(unit) {
            actions.push(Action::Tell(Fact::JobEnded { unit, job: number, task, end, why }));
            self.end_own_reload(unit, actions);
        } else {
            self.jobs.open.push(job);
        }
    }
}
