//! What people ask of units while the run goes on.
//!
//! A unit can be asked to start, to stop and to restart, and it can be sent a signal. Only services
//! and one-shots of the stages `async` and `sync` that have a command can be asked, and only while
//! they are up: not during boot or in the stop, and not in a test run, whose verdict would be no
//! longer about the image. Everything else is refused, with the reason.
//!
//! **What is wanted and what is** are two things. `Wanted` says what people want of a unit, its phase
//! where it stands. Every unit is wanted `Up` at first. To stop it by hand is a *hold*: it is wanted
//! `Held`, and neither its restart policy, nor its health check, nor a unit that it is restarted
//! together with starts it again; only somebody who asks for it does. When the run stops, nothing is
//! wanted any more: `Down`.
//!
//! **A held unit has not ended.** It waits (`Phase::Waiting`), as it did before its first start. So no
//! wait policy counts it, no failure of its stop is one of the unit, what is `after` its end goes on
//! waiting, as does the next unit in the foreground; and what is `after` its start goes on. With
//! every unit held, the run goes on until a signal stops it: whoever has stopped a service to look at
//! it must not lose the container.
//!
//! **A restart by hand is no end** either, and none of the restarts that `restart.max` counts: the
//! unit stops as always and is started at once, without a backoff. Those that are restarted
//! together with it are, and so they are when it comes back from a hold. What waits, or is in
//! backoff, has nothing to stop, and is just started; its conditions still hold it up. A unit that
//! has ended is started anew, its restarts forgotten. Two kinds of those are not: a unit in the
//! foreground has had its turn, and what has survived KILL may still be there.
//!
//! **Jobs.** A request that is not met already makes a job, which is done when the unit is up, as a
//! bare name in `after` has it (ready, or for a one-shot its success, or else started), or down with
//! all that it has left; or has failed, when the unit has ended otherwise. A unit has one job at a
//! time. An equal request joins it, and a start joins a restart. Any other supersedes it, and the last
//! word counts: a stop that follows a restart leaves the unit held, and a start that follows a stop
//! brings it back as soon as its old process is gone. No unit ever has two. The stop of the run ends
//! all jobs.
//!
//! **A signal** goes to the main process, or to the whole process group where the stop signal would.
//! It makes no job and holds nothing: what it does to the unit is judged as if it had come from
//! anywhere.

use super::unit::{Phase, Verdict, Wanted, Why};
use super::{Action, Ended, Engine, Fact, How, Run, Target, Tick};
use crate::config::{Condition, Stage, StopTo};
use crate::graph::UnitId;
use crate::signal::Signal;

/// What somebody asks of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// To be brought somewhere, which takes its time.
    Job(Task),
    /// To be sent this signal.
    Signal(Signal),
}

/// What a job is to bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// The unit is up.
    Start,
    /// It is down, and stays so until somebody asks for it.
    Stop,
    /// It is up, with another process than it had.
    Restart,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// It has begun the job of this number.
    Begun(u32),
    /// The job of this number is about the same.
    Joined(u32),
    /// There is nothing to do.
    Unchanged,
    /// The signal was sent.
    Sent,
    /// Nothing: it can't be asked for.
    Refused(Refusal),
}

/// Why something can't be asked of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Boot is not done.
    Booting,
    /// The run stops.
    Stopping,
    /// It is a test run.
    Testing,
    /// It is not one of the units that can be asked.
    NoService,
    /// It is in the foreground, and has had its turn.
    HadItsTurn,
    /// Its process has survived KILL.
    Unkillable,
    /// A new graph is about to take over, from which it is gone, or in which it is another.
    Reloading,
    /// It has no process that runs its command.
    NotRunning,
}

/// How a job has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JobEnd {
    /// The unit is where it was to be.
    Done,
    /// It has ended otherwise.
    Failed(Ended),
    /// Somebody has asked for something else.
    Superseded,
    /// The run stops.
    RunStops,
}

/// What is being done for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Job {
    number: u32,
    unit: UnitId,
    task: Task,
}

impl Job {
    /// What people are told at its end.
    fn ends(self, end: JobEnd) -> Action {
        let Self { number, unit, task } = self;
        Action::Tell(Fact::JobEnded { unit, job: number, task, end })
    }
}

/// The jobs that are not done, at most one a unit, and how many there have been.
#[derive(Default, Debug)]
pub(super) struct Jobs {
    open: Vec<Job>,
    last: u32,
}

impl Engine {
    /// Somebody asks something of a unit.
    pub(super) fn on_request(
        &mut self,
        now: Tick,
        id: UnitId,
        request: Request,
        actions: &mut Vec<Action>,
    ) {
        let said = actions.len();
        let answer = match (self.refusal(id, request), request) {
            (Some(why), _) => Answer::Refused(why),
            (None, Request::Job(task)) => self.take_on(now, id, task, actions),
            (None, Request::Signal(signal)) => {
                let target = match self.graph.node(id).stop_to {
                    StopTo::Process => Target::Process(id),
                    StopTo::Group => Target::Members(id),
                };
                actions.push(Action::Signal(target, signal));
                Answer::Sent
            }
        };
        // Ahead of what follows from it.
        actions.insert(said, Action::Tell(Fact::Requested { unit: id, request, answer }));
    }

    /// Why this can't be asked of a unit now, if it can't.
    fn refusal(&self, id: UnitId, request: Request) -> Option<Refusal> {
        let node = self.graph.node(id);
        let stage = node.unit.stage;
        let here = self.graph.ids().any(|one| one == id);
        if !here || !node.counts() {
            return Some(Refusal::NoService);
        }
        if let Some(why) = self.busy() {
            return Some(why);
        }
        if self.is_going(id) {
            return Some(Refusal::Reloading);
        }
        let up = matches!(request, Request::Job(Task::Start | Task::Restart));
        match self.states[id.0].phase() {
            Phase::Running { .. } | Phase::Stopping { .. } => None,
            Phase::Done(_) if up && self.unkillable.contains(&id) => Some(Refusal::Unkillable),
            Phase::Done(_) if up && stage == Stage::Sync => Some(Refusal::HadItsTurn),
            Phase::Done(_)
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Watching
            | Phase::Backoff { .. } => {
                matches!(request, Request::Signal(_)).then_some(Refusal::NotRunning)
            }
        }
    }

    /// Why nothing at all can be asked now, if it can't.
    pub(super) fn busy(&self) -> Option<Refusal> {
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

    /// Begins a job, unless there is nothing to do or it is being done.
    fn take_on(&mut self, now: Tick, id: UnitId, task: Task, actions: &mut Vec<Action>) -> Answer {
        let before = self.jobs.open.iter().position(|job| job.unit == id);
        match before.map(|at| self.jobs.open[at]) {
            Some(job) if job.task == task || (job.task, task) == (Task::Restart, Task::Start) => {
                return Answer::Joined(job.number);
            }
            Some(_) => self.supersede(id, actions),
            None => {
                let done = match task {
                    Task::Start => self.stands_up(id),
                    Task::Stop => self.is_down(id),
                    Task::Restart => false,
                };
                if done {
                    return Answer::Unchanged;
                }
            }
        }
        self.jobs.last += 1;
        let number = self.jobs.last;
        self.jobs.open.push(Job { number, unit: id, task });
        match task {
            Task::Stop => self.take_down(now, id, actions),
            Task::Start | Task::Restart => self.bring_up(now, id, task, actions),
        }
        Answer::Begun(number)
    }

    /// The job of a unit comes to nothing, if it has one.
    pub(super) fn supersede(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let old = self.jobs.open.iter().position(|job| job.unit == id);
        actions.extend(old.map(|at| self.jobs.open.remove(at).ends(JobEnd::Superseded)));
    }

    /// A unit is to be stopped and stay so.
    fn take_down(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        let state = &mut self.states[id.0];
        match state.phase() {
            // Only what it has left is stopped.
            Phase::Done(_) => return self.begin_stop(id, now, actions),
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => {
                state.verdict = Some(Verdict::Asked);
            }
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => {
                self.transition(id, Phase::Waiting, Why::Asked);
            }
            Phase::Watching => {}
        }
        self.states[id.0].wanted = Wanted::Held;
    }

    /// A unit is to be up, and for a restart with another process.
    fn bring_up(&mut self, now: Tick, id: UnitId, task: Task, actions: &mut Vec<Action>) {
        let state = &mut self.states[id.0];
        let was_held = std::mem::replace(&mut state.wanted, Wanted::Up) == Wanted::Held;
        match state.phase() {
            // Something that it has left may still be there.
            Phase::Waiting if was_held => self.start_anew(now, id, actions),
            Phase::Waiting => self.changed.push_back(id),
            Phase::Retrying { .. } => self.wait_again(id),
            Phase::Backoff { .. } => *state.details() = Phase::Backoff { until: None },
            // What is to be stopped anyway comes back, whatever that was for.
            Phase::Starting { .. } | Phase::Running { .. }
                if task == Task::Restart || state.verdict.is_some() =>
            {
                self.condemn(id, Verdict::Asked);
            }
            Phase::Stopping { .. } => self.condemn(id, Verdict::Asked),
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Watching => {}
            Phase::Done(_) => {
                state.restarts = super::unit::Restarts::default();
                self.start_anew(now, id, actions);
            }
        }
    }

    /// Starts what has run before, once all of it is gone.
    fn start_anew(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].verdict = None;
        self.pull(id);
        self.rest(now, id, now, Why::Asked, actions);
    }

    /// Whether a unit is up, as a bare name in `after` has it.
    fn stands_up(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        match (state.phase(), self.graph.node(id).shows_up_by(true)) {
            (Phase::Running { .. }, Condition::Started) => state.verdict.is_none(),
            (Phase::Running { .. }, Condition::Ready) => {
                state.watch.ready && state.verdict.is_none()
            }
            (
                Phase::Running { .. },
                Condition::Succeeded | Condition::Exited | Condition::Failed,
            )
            | (
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_),
                _,
            ) => false,
        }
    }

    /// Whether nothing of a unit is left, and it stays so.
    fn is_down(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        let over = self.ended(id).is_some() || state.wanted == Wanted::Held;
        over && state.gone()
    }

    /// Ends the jobs that are done, or have failed.
    pub(super) fn advance_jobs(&mut self, actions: &mut Vec<Action>) {
        for job in std::mem::take(&mut self.jobs.open) {
            let ended = self.ended(job.unit);
            let up = match job.task {
                Task::Start | Task::Restart => ended.is_some() || self.stands_up(job.unit),
                Task::Stop => self.is_down(job.unit),
            };
            let failed = match job.task {
                Task::Start | Task::Restart => ended.filter(|ended| ended.failed()),
                Task::Stop => ended.filter(|ended| ended.how == How::Unkillable),
            };
            match failed {
                _ if self.run != Run::Up => actions.push(job.ends(JobEnd::RunStops)),
                Some(ended) => actions.push(job.ends(JobEnd::Failed(ended))),
                None if up => actions.push(job.ends(JobEnd::Done)),
                None => self.jobs.open.push(job),
            }
        }
    }
}
