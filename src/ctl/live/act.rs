//! `trcctl start`, `stop`, `restart` and `signal`.

use std::time::Duration;

use super::ask::{NoAnswer, Trc};
use super::{Options, complain, failed, say};
use crate::wire::{Act, Ask, JobState, JobStatus};

/// The longest time that a job is waited for.
const PATIENCE: Duration = Duration::from_hours(24);

/// A change to units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// `trcctl start`
    Start,
    /// `trcctl stop`
    Stop,
    /// `trcctl restart`
    Restart,
    /// `trcctl signal NAME`
    Signal(String),
}

/// Changes units, one after the other, and waits until each is where it should be, unless
/// `no_wait`. Returns the exit status: 0 if all are.
pub fn act(options: &Options, units: &[String], change: &Change, no_wait: bool) -> u8 {
    let act = match change {
        Change::Start => Act::Start,
        Change::Stop => Act::Stop,
        Change::Restart => Act::Restart,
        Change::Signal(name) => match name.parse() {
            Ok(signal) => Act::Signal(signal),
            Err(why) => {
                complain(&why);
                return crate::status::USAGE;
            }
        },
    };
    let trc = Trc::at(options.socket.as_deref());
    let mut worst = 0;
    for unit in units {
        let status = match one(&trc, unit, act, no_wait) {
            Ok(job) => {
                let text = if options.json {
                    serde_json::to_string(&job).unwrap_or_default()
                } else {
                    sentence(job.clone(), act)
                };
                say(&(text + "\n"));
                match job.status {
                    JobStatus::Running | JobStatus::Done => 0,
                    JobStatus::Failed
                    | JobStatus::Superseded
                    | JobStatus::Cancelled
                    | JobStatus::Stopped => 1,
                }
            }
            Err(why) => failed(&why),
        };
        worst = status.max(worst);
    }
    worst
}

/// Returns what has become of a request. The message of trc says who has asked, as in the log.
fn sentence(job: JobState, act: Act) -> String {
    let JobState { unit, .. } = job;
    match (job.status, job.changed, act) {
        (_, false, Act::Start) => format!("{unit} is up already"),
        (_, false, Act::Stop) => format!("{unit} is held already"),
        (JobStatus::Done, true, Act::Signal(signal)) => format!("sent {signal} to {unit}"),
        (JobStatus::Running, _, _) => match job.id {
            Some(number) => format!("trc is about to {} {unit} (job {number})", act.word()),
            None => job.message,
        },
        (
            JobStatus::Done
            | JobStatus::Failed
            | JobStatus::Superseded
            | JobStatus::Cancelled
            | JobStatus::Stopped,
            _,
            _,
        ) => job.message,
    }
}

fn one(trc: &Trc, unit: &str, act: Act, no_wait: bool) -> Result<JobState, NoAnswer> {
    let job: JobState = trc.get(&Ask::Act(unit.to_owned(), act))?;
    match job.id {
        Some(number) if !no_wait && job.status == JobStatus::Running => {
            trc.get(&Ask::Job(number, Some(PATIENCE)))
        }
        _ => Ok(job),
    }
}
