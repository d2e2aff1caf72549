//! What the engine tells, as far as clients wait for it or may ask for it later.

use super::super::Supervisor;
use super::{Asked, json};
use crate::engine::{Answer, Ended, Ending, Fact, How, JobEnd, NoJob, Refusal, Request, Task};
use crate::graph::{Graph, UnitId};
use crate::run::os::clock::now;
use crate::wire::{Code, JobState, JobStatus, Plan, Problem, Reloaded};
use crate::words;

/// The number of jobs that have ended and can still be asked for.
const JOBS: usize = 256;

impl Supervisor {
    /// Keeps what clients may ask for, and answers the requests that the engine has answered.
    pub(in crate::run::supervisor) fn control_told(&mut self, fact: &Fact) {
        let tick = self.clock.tell(now());
        let Some(control) = &mut self.control else { return };
        control.tally.told(fact);
        match fact {
            Fact::Restarting { unit, how, status, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                control.ends.insert(*unit, (ended, tick));
            }
            Fact::Exited { unit, ending, .. } => {
                let ended = Ended { how: How::Process(*ending), status: ending.status(), place: 0 };
                control.ends.insert(*unit, (ended, tick));
            }
            Fact::PreStartExited { unit, ending } if *ending != Ending::Code(0) => {
                let (how, status) = (How::PreStart(*ending), ending.status());
                control.ends.insert(*unit, (Ended { how, status, place: 0 }, tick));
            }
            Fact::JobEnded { job, end, .. } => {
                let message = said_of(&self.graph, fact);
                let status = match end {
                    JobEnd::Done => JobStatus::Done,
                    JobEnd::Failed(_) | JobEnd::NotReloaded(_) => JobStatus::Failed,
                    JobEnd::Superseded => JobStatus::Superseded,
                    JobEnd::Cancelled => JobStatus::Cancelled,
                    JobEnd::RunStops => JobStatus::Stopped,
                };
                if let Some(known) = control.jobs.iter_mut().find(|it| it.id == Some(*job)) {
                    known.status = status;
                    known.message = message;
                }
            }
            Fact::NotReloaded { why } => {
                let problem = Problem::new(refusal(*why), said_of(&self.graph, fact));
                self.reload_is(Err(problem));
            }
            Fact::RolledBack { .. } => {
                let problem = Problem::new(Code::RolledBack, said_of(&self.graph, fact));
                self.reload_is(Err(problem));
            }
            Fact::Requested { unit, request, answer, dependents, .. } => {
                self.answered(*unit, *request, *answer, dependents);
            }
            Fact::Cancelled { job, .. } => self.cancelled(*job, None),
            Fact::NotCancelled { job, why, .. } => {
                let code = match why {
                    NoJob::Over => Code::Over,
                    NoJob::Unknown => Code::NotFound,
                };
                let detail = match why {
                    NoJob::Over => format!("the job {job} has ended already"),
                    NoJob::Unknown => format!("there is no job {job}"),
                };
                self.cancelled(*job, Some(Problem::new(code, detail)));
            }
            Fact::ShutDown { refused, .. } => {
                let refused =
                    refused.map(|why| Problem::new(refusal(why), said_of(&self.graph, fact)));
                self.tell(&Asked::Shutdown, 202, &self.about(), refused);
            }
            _ => {}
        }
    }

    /// Passes the engine's answer to a request on.
    fn answered(&mut self, unit: UnitId, request: Request, answer: Answer, dependents: &[UnitId]) {
        let message = words::answer(&self.graph, unit, request, answer);
        let refused = match answer {
            Answer::Refused(why) => Some(Problem::new(refusal(why), message.clone())),
            Answer::Begun(_)
            | Answer::Joined(_)
            | Answer::Unchanged
            | Answer::Sent
            | Answer::Forgotten => None,
        };
        let job = match answer {
            Answer::Begun(job) | Answer::Joined(job) => Some(job),
            Answer::Unchanged | Answer::Sent | Answer::Forgotten | Answer::Refused(_) => None,
        };
        let state = JobState {
            id: job,
            unit: self.graph.node(unit).unit.id(),
            task: task(request).to_owned(),
            changed: answer != Answer::Unchanged,
            status: if job.is_some() { JobStatus::Running } else { JobStatus::Done },
            message,
            dependents: self.names(dependents),
        };
        if let Answer::Begun(_) = answer
            && let Some(control) = &mut self.control
        {
            control.jobs.push_back(state.clone());
            // Those that have ended go first. There is at most one per unit that has not.
            if control.jobs.len() > JOBS {
                let ended = control.jobs.iter().position(|job| job.status != JobStatus::Running);
                _ = ended.and_then(|at| control.jobs.remove(at));
            }
        }
        let status = if job.is_some() { 202 } else { 200 };
        self.tell(&Asked::Unit(unit, request), status, &state, refused);
    }

    /// Answers whoever has asked to cancel a job.
    fn cancelled(&mut self, job: u32, refused: Option<Problem>) {
        let state = self.job(job).ok().cloned();
        self.tell(&Asked::Cancel(job), 200, &state, refused);
    }

    /// Answers the client that has asked for this first, if there is one: what the engine does for a
    /// request may answer more than was asked.
    fn tell(
        &mut self,
        asked: &Asked,
        status: u16,
        answer: &impl serde::Serialize,
        refused: Option<Problem>,
    ) {
        let Some(control) = &mut self.control else { return };
        if control.asked.front().is_none_or(|(_, first)| first != asked) {
            return;
        }
        let Some((id, _)) = control.asked.pop_front() else { return };
        if let Some(client) = control.clients.get_mut(&id) {
            match refused {
                Some(problem) => client.refuse(&problem, now()),
                None => client.answer(status, &json(answer), now()),
            }
        }
        self.send_to(id);
    }

    /// Notes the outcome of a reload. The first one counts: what was rolled back has come to that.
    pub(in crate::run::supervisor) fn reload_is(&mut self, outcome: Result<Plan, Problem>) {
        let Some(control) = &mut self.control else { return };
        if !matches!(control.reload, Some(Err(_))) {
            control.reload = Some(outcome);
        }
    }

    /// Counts a unit whose command was executed.
    pub(in crate::run::supervisor) fn count_start(&mut self, unit: UnitId) {
        if let Some(control) = &mut self.control {
            control.tally.start(unit);
        }
    }

    /// Counts a reload of which the engine does not tell.
    pub(in crate::run::supervisor) fn count_reload(&mut self, outcome: Reloaded) {
        if let Some(control) = &mut self.control {
            control.tally.reload(outcome);
        }
    }

    /// Counts a reload that has found nothing to change.
    pub(in crate::run::supervisor) fn count_nothing_to_reload(&mut self) {
        if let Some(control) = &mut self.control {
            control.tally.nothing_to_reload();
        }
    }
}

fn task(request: Request) -> &'static str {
    match request {
        Request::Job(Task::Start) => "start",
        Request::Job(Task::Stop) | Request::StopWithDependents => "stop",
        Request::Job(Task::Restart) => "restart",
        Request::Job(Task::Reload) => "reload",
        Request::Signal(_) => "signal",
        Request::Reset => "reset",
    }
}

pub(super) fn refusal(why: Refusal) -> Code {
    match why {
        Refusal::Booting => Code::Booting,
        Refusal::Stopping => Code::Stopping,
        Refusal::Testing => Code::Testing,
        Refusal::NoService => Code::NoService,
        Refusal::HadItsTurn | Refusal::Unkillable => Code::NotAgain,
        Refusal::Reloading => Code::Reloading,
        Refusal::NotRunning => Code::NotRunning,
        Refusal::NotUp => Code::NotUp,
        Refusal::NoReload => Code::NoReload,
    }
}

/// Returns the line of the log about a fact.
pub(super) fn said_of(graph: &Graph, fact: &Fact) -> String {
    words::fact(graph, fact).into_iter().map(|line| line.message).collect()
}
