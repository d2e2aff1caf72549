//! The witness's expectations of requests: no unit has two processes, holds hold, a restart by hand
//! is not an end, the processes of other units do not change, and each job ends as soon as it is
//! done.

use std::collections::VecDeque;

use super::super::marks::Mark;
use super::anew::Reloads;
use super::{Budget, Fault, PATIENCE, Phase, Stand, Verdict, Witness, expect, expect_of};
use crate::config::Stage;
use crate::engine::{Answer, Asker, JobEnd, NoJob, Refusal, Request, Task};
use crate::signal::Signal;

/// The witness's books of requests.
#[derive(Default, Debug)]
pub(in crate::simulation) struct Asked {
    /// The jobs that are not done.
    open: Vec<Job>,
    last: u32,
    /// The answers that the engine owes, and the jobs that they supersede.
    owed: VecDeque<Owed>,
    superseded: Vec<Job>,
    /// What the engine has to say of a job that somebody cancels, and the job whose end is owed.
    owed_cancel: Option<(u32, Asker, Found)>,
    cancelled: Option<Job>,
    /// What the engine has to say to somebody who asks the run to stop.
    owed_stop: Option<(Option<u8>, Asker, Option<Refusal>)>,
}

/// An answer that the engine owes.
#[derive(Clone, PartialEq, Debug)]
struct Owed {
    at: usize,
    request: Request,
    asker: Asker,
    answer: Answer,
    /// The units that are up and depend on this one, if it is to stop.
    dependents: Vec<usize>,
}

/// The job that somebody cancels, or why there is none.
type Found = Result<(usize, Task), NoJob>;

/// A job that is not done.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Job {
    number: u32,
    at: usize,
    task: Task,
    before: Before,
    /// Whether its unit is told to stop only when others are gone that depend on it.
    ordered: bool,
    /// How it has to end at once, because its unit runs again.
    settled: Option<Wanted>,
}

/// How its unit stood before.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Before {
    held: bool,
    idle: bool,
    /// If the unit had ended, its status, and that of its own process.
    over: Option<(u8, Option<u8>)>,
    /// Whether it was due by its schedule.
    due: bool,
}

impl Witness<'_> {
    /// Takes in a request for a unit.
    pub(in crate::simulation) fn asked(&mut self, at: usize, request: Request, asker: &Asker) {
        let refusal = self.refusal(at, request);
        let stops = matches!(request, Request::Job(Task::Stop) | Request::StopWithDependents);
        let dependents = if stops && refusal.is_none() { self.standing_on(at) } else { Vec::new() };
        if request == Request::StopWithDependents {
            for other in &dependents {
                let request = Request::Job(Task::Stop);
                if self.refusal(*other, request).is_none() {
                    self.mark(Mark::StoppedWithDependents);
                    let (at, asker) = (*other, asker.clone());
                    let dependents = self.standing_on(at);
                    let answer = self.job(at, Task::Stop, true);
                    self.asked.owed.push_back(Owed { at, request, asker, answer, dependents });
                }
            }
        }
        let answer = match (refusal, request) {
            (Some(why), _) => {
                self.mark(Mark::RequestRefused);
                if why == Refusal::NotUp {
                    self.mark(Mark::NotUpForReload);
                }
                Answer::Refused(why)
            }
            (None, Request::Signal(signal)) => {
                self.forwards.push_back((at, self.plan.units[at].to_group(), signal));
                self.mark(Mark::SignalledByHand);
                Answer::Sent
            }
            (None, Request::Reset) => {
                let restarted = !self.restarts[at].is_empty() || self.units[at].in_a_row > 0;
                self.restarts[at].clear();
                self.units[at].in_a_row = 0;
                if restarted {
                    self.mark(Mark::RestartsForgotten);
                    Answer::Forgotten
                } else {
                    Answer::Unchanged
                }
            }
            (None, Request::Job(task)) => self.job(at, task, false),
            (None, Request::StopWithDependents) => self.job(at, Task::Stop, true),
        };
        let asker = asker.clone();
        self.asked.owed.push_back(Owed { at, request, asker, answer, dependents });
    }

    /// Returns the units that are up, or come up without anybody's help, and depend on a unit. What
    /// comes last in the order comes first.
    fn standing_on(&self, at: usize) -> Vec<usize> {
        let mut above = self.terms.units[at].dependents.clone();
        let mut known = 0;
        while known < above.len() {
            above.extend(self.terms.units[above[known]].dependents.clone());
            known += 1;
        }
        let up = |at: &usize| {
            let comes = matches!(self.units[*at].stand, Stand::Backoff(_) | Stand::Retrying(_));
            above.contains(at) && self.plan.units[*at].counts() && (comes || !self.gone(*at))
        };
        self.terms.by_id.iter().rev().copied().filter(up).collect()
    }

    /// Returns whether a unit that is to stop is not to be told yet.
    pub(in crate::simulation) fn waits_for_its_turn(&self, at: usize) -> bool {
        self.asked.open.iter().any(|job| job.at == at && job.ordered)
    }

    /// Lets those units stop whose turn it is, of those that stop after others.
    pub(in crate::simulation) fn stops_in_order(&mut self) {
        if self.phase != Phase::Up {
            return;
        }
        let open: Vec<Job> = self.asked.open.clone();
        let stops = |at: usize| open.iter().any(|job| job.at == at && job.task == Task::Stop);
        for (place, Job { at, ordered, .. }) in open.iter().copied().enumerate() {
            let held = self.standing_on(at).into_iter().any(|one| stops(one) && !self.gone(one));
            if ordered && !held {
                self.asked.open[place].ordered = false;
                if !matches!(self.units[at].stand, Stand::Waiting | Stand::Finishing) {
                    self.units[at].fault.get_or_insert(Fault::Asked);
                    self.mark(Mark::StoppedAfterDependents);
                }
            }
        }
    }

    fn refusal(&self, at: usize, request: Request) -> Option<Refusal> {
        let (unit, seen) = (&self.plan.units[at], &self.units[at]);
        if !unit.counts() || !self.terms.units[at].here || self.plan.transparent() {
            return Some(Refusal::NoService);
        }
        if let Some(why) = self.busy() {
            return Some(why);
        }
        if seen.going {
            return Some(Refusal::Reloading);
        }
        let runs =
            seen.stand == Stand::Alive && (seen.watch.since.is_some() || seen.told.is_some());
        match request {
            Request::Signal(_) => (!runs).then_some(Refusal::NotRunning),
            Request::Job(Task::Stop) | Request::StopWithDependents | Request::Reset => None,
            Request::Job(Task::Reload) => self.cannot_reload(at),
            Request::Job(Task::Start | Task::Restart) if seen.stand != Stand::Over => None,
            Request::Job(Task::Start | Task::Restart) if seen.given_up => Some(Refusal::Unkillable),
            Request::Job(Task::Start | Task::Restart) => {
                (unit.stage == Stage::Sync).then_some(Refusal::HadItsTurn)
            }
        }
    }

    /// Returns the reason why every request is refused now, if it is.
    pub(in crate::simulation) fn busy(&self) -> Option<Refusal> {
        if self.testing() {
            return Some(Refusal::Testing);
        }
        match self.phase {
            _ if self.plan.transparent() => Some(Refusal::NoService),
            Phase::Boot | Phase::Settling => Some(Refusal::Booting),
            Phase::Up => None,
            Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_)
            | Phase::Halting
            | Phase::Over => Some(Refusal::Stopping),
        }
    }

    fn job(&mut self, at: usize, task: Task, ordered: bool) -> Answer {
        if let Some(place) = self.asked.open.iter().position(|job| job.at == at) {
            let Job { number, task: under_way, .. } = self.asked.open[place];
            let same = under_way == task || under_way == Task::Restart && task == Task::Start;
            if same {
                self.mark(Mark::JobJoined);
                return Answer::Joined(number);
            }
            if (under_way, task) == (Task::Reload, Task::Start) {
                self.mark(Mark::UpInItsReload);
                return Answer::Unchanged;
            }
            self.supersede(at);
        } else if task == Task::Start && self.is_met(at, task)
            || task == Task::Stop && self.units[at].held && self.gone(at)
            || task == Task::Stop && self.units[at].idle
        {
            self.mark(Mark::NothingToDo);
            return Answer::Unchanged;
        }
        self.asked.last += 1;
        let seen = &self.units[at];
        let over = (seen.stand == Stand::Over).then_some((seen.status, self.own[at]));
        let before = Before { held: seen.held, idle: seen.idle, over, due: seen.due };
        let (number, settled) = (self.asked.last, None);
        self.asked.open.push(Job { number, at, task, before, ordered, settled });
        let told = self.units[at].told.is_some();
        match (task, self.units[at].stand) {
            (Task::Stop, Stand::Finishing) if ordered => self.units[at].held = true,
            (Task::Stop, Stand::Asked | Stand::Alive | Stand::Over) if ordered && !told => {
                self.units[at].held = true;
            }
            (Task::Stop, _) => self.holds_by_hand(at),
            (Task::Start | Task::Restart, _) => self.starts_by_hand(at, task),
            (Task::Reload, _) => self.begins_own_reload(at),
        }
        Answer::Begun(self.asked.last)
    }

    /// Supersedes the job of a unit, if it has one.
    pub(in crate::simulation) fn supersede(&mut self, at: usize) {
        let place = self.asked.open.iter().position(|job| job.at == at);
        if let Some(job) = place.map(|place| self.asked.open.remove(place)) {
            self.no_longer_anew(at, job.task);
            self.asked.superseded.push(job);
            self.mark(Mark::JobSuperseded);
        }
    }

    /// Returns whether a unit is where a job wants it.
    fn is_met(&self, at: usize, task: Task) -> bool {
        let (unit, seen) = (&self.plan.units[at], &self.units[at]);
        match task {
            Task::Start | Task::Restart | Task::Reload => {
                let runs = seen.stand == Stand::Alive && seen.watch.since.is_some();
                let up = match unit.ready {
                    Some(_) => seen.watch.ready,
                    None => !self.terms.units[at].oneshot,
                };
                runs && up && seen.fault.is_none() && seen.told.is_none()
            }
            Task::Stop => (seen.stand == Stand::Over || seen.held) && self.gone(at),
        }
    }

    /// Returns whether a unit is up, in the sense of a bare name in `after`.
    pub(in crate::simulation) fn stands_up(&self, at: usize) -> bool {
        self.is_met(at, Task::Start)
    }

    pub(in crate::simulation) fn holds_by_hand(&mut self, at: usize) {
        let seen = &mut self.units[at];
        match seen.stand {
            Stand::Over => {
                (seen.held, seen.fault) = (true, Some(Fault::Asked));
                self.mark(Mark::HeldAfterItsEnd);
            }
            Stand::Asked | Stand::Alive => {
                (seen.held, seen.fault) = (true, Some(Fault::Asked));
                self.mark(Mark::StoppedByHand);
            }
            Stand::Finishing => {
                seen.held = true;
                self.mark(Mark::HeldWhileItFinishes);
            }
            Stand::Waiting | Stand::Retrying(_) | Stand::Backoff(_) | Stand::Watching => {
                (seen.held, seen.stand, seen.forks) = (true, Stand::Waiting, 0);
                self.mark(Mark::HeldWaiting);
            }
        }
    }

    pub(in crate::simulation) fn starts_by_hand(&mut self, at: usize, task: Task) {
        if std::mem::take(&mut self.units[at].idle) {
            self.mark(Mark::IdleAskedFor);
        }
        self.wakes(at);
        let was_held = std::mem::take(&mut self.units[at].held);
        if was_held {
            self.mark(Mark::HoldEnded);
        }
        let seen = &mut self.units[at];
        match seen.stand {
            Stand::Waiting if was_held => {
                self.pull(at);
                self.units[at].stand = Stand::Backoff(Some(self.now));
            }
            Stand::Waiting => (seen.due, seen.forks) = (true, 0),
            Stand::Watching => {}
            Stand::Retrying(_) => (seen.stand, seen.forks) = (Stand::Waiting, 0),
            Stand::Backoff(_) => {
                seen.stand = Stand::Backoff(Some(self.now));
                self.mark(Mark::BackoffCutShort);
            }
            Stand::Asked | Stand::Alive => {
                let (stopping, condemned) = (seen.told.is_some(), seen.fault.is_some());
                if stopping {
                    self.mark(Mark::BroughtBack);
                }
                if task == Task::Restart || condemned || stopping {
                    self.mark(Mark::RestartedByHand);
                    self.condemn(at, Fault::Asked);
                }
            }
            Stand::Finishing => {
                self.mark(Mark::BroughtBackWhileItFinishes);
                self.condemn(at, Fault::Asked);
            }
            Stand::Over => {
                self.starts_over(at);
                self.mark(Mark::StartedAnew);
            }
        }
    }

    /// The units that a unit needs are asked for with it.
    fn wakes(&mut self, at: usize) {
        let mut needed = vec![at];
        while let Some(one) = needed.pop() {
            for (on, _) in self.terms.units[one].needs.clone() {
                if std::mem::take(&mut self.units[on].idle) {
                    self.mark(Mark::IdleNeeded);
                    needed.push(on);
                }
            }
        }
    }

    /// Returns whether a job for a unit is not done.
    pub(super) fn has_job(&self, at: usize) -> bool {
        self.asked.open.iter().any(|job| job.at == at)
    }

    /// Starts a unit that has ended.
    pub(in crate::simulation) fn starts_over(&mut self, at: usize) {
        (self.units[at].fault, self.units[at].in_a_row) = (None, 0);
        self.restarts[at].clear();
        self.ends.retain(|(one, _)| *one != at);
        self.own[at] = None;
        self.pull(at);
        self.units[at].stand = Stand::Backoff(Some(self.now));
    }

    /// Takes in that somebody cancels a job.
    pub(in crate::simulation) fn cancels(&mut self, number: u32, asker: &Asker) {
        let place = self.asked.open.iter().position(|job| job.number == number);
        let job = place.map(|place| self.asked.open.remove(place));
        let known = number > 0 && number <= self.asked.last;
        let answer = match job {
            Some(job) => Ok((job.at, job.task)),
            None if known => Err(NoJob::Over),
            None => Err(NoJob::Unknown),
        };
        self.asked.owed_cancel = Some((number, asker.clone(), answer));
        self.asked.cancelled = job;
        match job {
            Some(job) => self.puts_back(job),
            None => self.mark(Mark::NothingToCancel),
        }
    }

    /// A unit is wanted as it was before a job.
    fn puts_back(&mut self, Job { at, task, before, .. }: Job) {
        if task == Task::Reload {
            self.mark(Mark::ReloadCancelled);
            return self.no_longer_anew(at, task);
        }
        let seen = &self.units[at];
        let runs = seen.stand == Stand::Alive
            && seen.watch.since.is_some()
            && seen.fault.is_none()
            && seen.told.is_none();
        let Before { held, idle, over, due } = before;
        match (task, over, seen.stand) {
            (Task::Stop, _, Stand::Over) if !held => self.units[at].held = false,
            (_, _, Stand::Over | Stand::Watching) | (Task::Reload, ..) => {}
            (Task::Stop, ..) if !held => {
                self.mark(Mark::StopCancelled);
                self.starts_by_hand(at, Task::Start);
            }
            (Task::Stop, ..) => self.mark(Mark::CancelledForNothing),
            (
                Task::Start | Task::Restart,
                None,
                Stand::Waiting | Stand::Retrying(_) | Stand::Backoff(_),
            ) if idle => {
                let seen = &mut self.units[at];
                (seen.stand, seen.forks, seen.idle, seen.due) = (Stand::Waiting, 0, true, false);
                self.mark(Mark::IdleAgain);
            }
            (Task::Start | Task::Restart, None, stand) if !held && !idle => {
                if stand == Stand::Waiting {
                    self.units[at].due = due;
                }
                self.mark(Mark::CancelledForNothing);
            }
            (Task::Start | Task::Restart, ..) if runs => self.mark(Mark::CancelledTooLate),
            (
                Task::Start | Task::Restart,
                Some((status, own)),
                Stand::Waiting | Stand::Retrying(_) | Stand::Backoff(_),
            ) => {
                let seen = &mut self.units[at];
                (seen.stand, seen.status, seen.forks) = (Stand::Over, status, 0);
                seen.held = held;
                self.own[at] = own;
                self.ends.push((at, status));
                self.mark(Mark::EndedAgain);
            }
            (Task::Start | Task::Restart, ..) => {
                self.mark(Mark::HeldAgain);
                self.holds_by_hand(at);
            }
        }
    }

    /// Checks what the engine says to somebody who cancels a job.
    pub(in crate::simulation) fn is_cancelled(
        &mut self,
        job: u32,
        asker: &Asker,
        answer: Found,
    ) -> Verdict {
        let right = self.asked.owed_cancel.take() == Some((job, asker.clone(), answer));
        expect(right, "whoever cancels a job is told what became of it")
    }

    /// Takes in that somebody asks the run to stop.
    pub(in crate::simulation) fn shuts_down(&mut self, exit: Option<u8>, asker: &Asker) {
        let refused = self.busy().filter(|why| *why != Refusal::Booting);
        self.asked.owed_stop = Some((exit, asker.clone(), refused));
        if refused.is_some() {
            self.mark(Mark::ShutdownRefused);
            return;
        }
        let whole = self.terms.budget;
        self.budget.get_or_insert(Budget {
            kill_at: self.now + whole.saturating_sub(PATIENCE.min(whole / 2)),
            end: self.now + whole,
            signal: Signal::TERM,
            outside: true,
        });
        self.decide(exit.unwrap_or(0), Mark::ShutDown);
    }

    /// Checks what the engine says to somebody who asks the run to stop.
    pub(in crate::simulation) fn is_shut_down(
        &mut self,
        exit: Option<u8>,
        asker: &Asker,
        refused: Option<Refusal>,
    ) -> Verdict {
        let right = self.asked.owed_stop.take() == Some((exit, asker.clone(), refused));
        expect(right, "whoever asks the run to stop is answered")
    }

    /// Checks an answer of the engine.
    pub(in crate::simulation) fn answers(
        &mut self,
        at: usize,
        request: Request,
        asker: &Asker,
        answer: Answer,
        dependents: &[usize],
    ) -> Verdict {
        let Some(owed) = self.asked.owed.pop_front() else {
            return expect_of(at, false, "only a request is answered");
        };
        expect_of(at, owed.asker == *asker, "the report names the one who has asked")?;
        let right = owed.dependents == dependents;
        expect_of(at, right, "the answer to a stop names the dependents")?;
        let right = (owed.at, owed.request, owed.answer) == (at, request, answer);
        expect_of(at, right, "each request gets the right answer")
    }

    /// Returns how a job ends, if it ends now.
    fn end_of(&self, at: usize, task: Task) -> Option<Wanted> {
        let seen = &self.units[at];
        let over = seen.stand == Stand::Over;
        match task {
            _ if self.phase != Phase::Up => Some(Wanted::Cut),
            Task::Reload => self.end_anew(at).map(Wanted::Anew),
            Task::Stop if over && seen.given_up => Some(Wanted::Failed(137)),
            Task::Start | Task::Restart if over && seen.status != 0 => {
                Some(Wanted::Failed(seen.status))
            }
            Task::Start | Task::Restart if over => Some(Wanted::Done),
            Task::Start | Task::Restart | Task::Stop => {
                self.is_met(at, task).then_some(Wanted::Done)
            }
        }
    }

    /// Whoever has asked for a run learns how it has ended before the unit runs again.
    pub(in crate::simulation) fn settles_its_job(&mut self, at: usize) {
        if let Some(place) = self.asked.open.iter().position(|job| job.at == at) {
            self.asked.open[place].settled = self.end_of(at, self.asked.open[place].task);
        }
    }

    /// Checks the end of a job.
    pub(in crate::simulation) fn job_ends(
        &mut self,
        at: usize,
        job: u32,
        task: Task,
        end: JobEnd,
    ) -> Verdict {
        let is = |one: &Job| (one.number, one.at, one.task) == (job, at, task);
        if end == JobEnd::Cancelled {
            let right = self.asked.cancelled.take_if(|job| is(job)).is_some();
            return expect_of(at, right, "only a job that somebody cancels is cancelled");
        }
        if end == JobEnd::Superseded {
            let place = self.asked.superseded.iter().position(is);
            let right = place.map(|place| self.asked.superseded.remove(place)).is_some();
            return expect_of(at, right, "a job is superseded by another of the same unit");
        }
        let known = self.asked.open.iter().position(is);
        expect_of(at, known.is_some(), "a job ends once")?;
        let known = known.map(|place| self.asked.open.remove(place));
        let right = known.and_then(|job| job.settled).or_else(|| self.end_of(at, task));
        self.no_longer_anew(at, task);
        let (end, mark) = match end {
            JobEnd::Done if task == Task::Reload => {
                self.mark_anew(Reloads::Done);
                (Wanted::Anew(Reloads::Done), Mark::JobDone)
            }
            JobEnd::NotReloaded(why) => {
                self.mark_anew(Reloads::Not(why));
                (Wanted::Anew(Reloads::Not(why)), Mark::JobFailed)
            }
            JobEnd::Done => (Wanted::Done, Mark::JobDone),
            JobEnd::Failed(ended) => (Wanted::Failed(ended.status), Mark::JobFailed),
            JobEnd::RunStops | JobEnd::Superseded | JobEnd::Cancelled => {
                (Wanted::Cut, Mark::JobCutShort)
            }
        };
        self.mark(mark);
        expect_of(at, right == Some(end), "a job ends with the state of its unit")
    }

    /// Checks, after a step, that every request is answered, and that no open job is done.
    pub(in crate::simulation) fn after_requests(&self) -> Verdict {
        let answered = self.asked.owed.is_empty() && self.asked.superseded.is_empty();
        expect(answered, "each request gets the right answer")?;
        let Asked { owed_cancel, cancelled, owed_stop, .. } = &self.asked;
        let answered = owed_cancel.is_none() && cancelled.is_none() && owed_stop.is_none();
        expect(answered, "whoever cancels a job or stops the run is answered")?;
        for Job { at, task, ordered, settled, .. } in &self.asked.open {
            let open = settled.is_none() && self.end_of(*at, *task).is_none();
            expect_of(*at, open, "a job ends as soon as it is done")?;
            let seen = &self.units[*at];
            let over = matches!(seen.stand, Stand::Waiting | Stand::Over);
            let left = over && seen.left && seen.told.is_none() && seen.killed.is_none();
            let stops = *task == Task::Stop && !ordered;
            expect_of(*at, !(stops && left), "what a unit has left is stopped with it by hand")?;
        }
        Ok(())
    }
}

/// The right end of a job.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wanted {
    Done,
    /// The job has failed, with the status of its unit.
    Failed(u8),
    /// The reload of a unit has ended.
    Anew(Reloads),
    Cut,
}
