//! The witness's expectations of requests: no unit has two processes, holds hold, a restart by hand
//! is not an end, the processes of other units do not change, and each job ends as soon as it is
//! done.

use super::super::marks::Mark;
use super::{Fault, Phase, Stand, Verdict, Witness, expect, expect_of};
use crate::config::Stage;
use crate::engine::{Answer, Asker, JobEnd, Refusal, Request, Task};

/// The witness's books of requests.
#[derive(Default, Debug)]
pub(in crate::simulation) struct Asked {
    /// The jobs that are not done: their numbers, units and tasks.
    open: Vec<(u32, usize, Task)>,
    last: u32,
    /// The answer that the engine owes, and the job that it supersedes.
    owed: Option<(usize, Request, Asker, Answer)>,
    superseded: Vec<(u32, usize, Task)>,
}

impl Witness<'_> {
    /// Takes in a request for a unit.
    pub(in crate::simulation) fn asked(&mut self, at: usize, request: Request, asker: &Asker) {
        let answer = match (self.refusal(at, request), request) {
            (Some(why), _) => {
                self.mark(Mark::RequestRefused);
                Answer::Refused(why)
            }
            (None, Request::Signal(signal)) => {
                self.forwards.push_back((at, self.plan.units[at].to_group(), signal));
                self.mark(Mark::SignalledByHand);
                Answer::Sent
            }
            (None, Request::Job(task)) => self.job(at, task),
        };
        self.asked.owed = Some((at, request, asker.clone(), answer));
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
            Request::Job(Task::Stop) => None,
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

    fn job(&mut self, at: usize, task: Task) -> Answer {
        if let Some(place) = self.asked.open.iter().position(|(_, of, _)| *of == at) {
            let (number, _, under_way) = self.asked.open[place];
            let same = under_way == task || under_way == Task::Restart && task == Task::Start;
            if same {
                self.mark(Mark::JobJoined);
                return Answer::Joined(number);
            }
            self.supersede(at);
        } else if task != Task::Restart && self.is_met(at, task) {
            self.mark(Mark::NothingToDo);
            return Answer::Unchanged;
        }
        self.asked.last += 1;
        self.asked.open.push((self.asked.last, at, task));
        match task {
            Task::Stop => self.holds_by_hand(at),
            Task::Start | Task::Restart => self.starts_by_hand(at, task),
        }
        Answer::Begun(self.asked.last)
    }

    /// Supersedes the job of a unit, if it has one.
    pub(in crate::simulation) fn supersede(&mut self, at: usize) {
        let place = self.asked.open.iter().position(|(_, of, _)| *of == at);
        if let Some(job) = place.map(|place| self.asked.open.remove(place)) {
            self.asked.superseded.push(job);
            self.mark(Mark::JobSuperseded);
        }
    }

    /// Returns whether a unit is where a job wants it.
    fn is_met(&self, at: usize, task: Task) -> bool {
        let (unit, seen) = (&self.plan.units[at], &self.units[at]);
        match task {
            Task::Start | Task::Restart => {
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

    fn holds_by_hand(&mut self, at: usize) {
        let seen = &mut self.units[at];
        match seen.stand {
            Stand::Over => seen.fault = Some(Fault::Asked),
            Stand::Asked | Stand::Alive => {
                (seen.held, seen.fault) = (true, Some(Fault::Asked));
                self.mark(Mark::StoppedByHand);
            }
            Stand::Waiting | Stand::Retrying(_) | Stand::Backoff(_) | Stand::Watching => {
                (seen.held, seen.stand, seen.forks) = (true, Stand::Waiting, 0);
                self.mark(Mark::HeldWaiting);
            }
        }
    }

    fn starts_by_hand(&mut self, at: usize, task: Task) {
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
            Stand::Waiting | Stand::Watching => {}
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
            Stand::Over => {
                (seen.fault, seen.in_a_row) = (None, 0);
                self.restarts[at].clear();
                self.ends.retain(|(one, _)| *one != at);
                self.own[at] = None;
                self.pull(at);
                self.units[at].stand = Stand::Backoff(Some(self.now));
                self.mark(Mark::StartedAnew);
            }
        }
    }

    /// Checks an answer of the engine.
    pub(in crate::simulation) fn answers(
        &mut self,
        at: usize,
        request: Request,
        asker: &Asker,
        answer: Answer,
    ) -> Verdict {
        let Some((to, what, by, right)) = self.asked.owed.take() else {
            return expect_of(at, false, "only a request is answered");
        };
        expect_of(at, by == *asker, "the report names the one who has asked")?;
        let right = (to, what, right) == (at, request, answer);
        expect_of(at, right, "each request gets the right answer")
    }

    /// Returns how a job ends, if it ends now.
    fn end_of(&self, at: usize, task: Task) -> Option<Wanted> {
        let seen = &self.units[at];
        let over = seen.stand == Stand::Over;
        match task {
            _ if self.phase != Phase::Up => Some(Wanted::Cut),
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

    /// Checks the end of a job.
    pub(in crate::simulation) fn job_ends(
        &mut self,
        at: usize,
        job: u32,
        task: Task,
        end: JobEnd,
    ) -> Verdict {
        if end == JobEnd::Superseded {
            let place = self.asked.superseded.iter().position(|one| *one == (job, at, task));
            let right = place.map(|place| self.asked.superseded.remove(place)).is_some();
            return expect_of(at, right, "a job is superseded by another of the same unit");
        }
        let known = self.asked.open.iter().position(|one| *one == (job, at, task));
        expect_of(at, known.is_some(), "a job ends once")?;
        known.map(|place| self.asked.open.remove(place));
        let (end, mark) = match end {
            JobEnd::Done => (Wanted::Done, Mark::JobDone),
            JobEnd::Failed(ended) => (Wanted::Failed(ended.status), Mark::JobFailed),
            JobEnd::RunStops | JobEnd::Superseded => (Wanted::Cut, Mark::JobCutShort),
        };
        self.mark(mark);
        expect_of(at, self.end_of(at, task) == Some(end), "a job ends with the state of its unit")
    }

    /// Checks, after a step, that every request is answered, and that no open job is done.
    pub(in crate::simulation) fn after_requests(&self) -> Verdict {
        let answered = self.asked.owed.is_none() && self.asked.superseded.is_empty();
        expect(answered, "each request gets the right answer")?;
        for (_, at, task) in &self.asked.open {
            expect_of(*at, self.end_of(*at, *task).is_none(), "a job ends as soon as it is done")?;
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
    Cut,
}
