//! `trcctl start`, `stop`, `restart`, `signal`, and `reload` with units.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ask::{NoAnswer, Trc};
use super::{Options, complain, failed, say};
use crate::wire::{Act, Ask, JobState, JobStatus, UnitState, Until, Wait};

/// The longest time that a job is waited for.
pub(super) const PATIENCE: Duration = Duration::from_hours(24);
/// The time after which a job that is waited for needs an explanation.
const SOON: Duration = Duration::from_secs(2);
/// The time for which a unit without a readiness check has to be up, as in a test run.
const CALM: Duration = Duration::from_millis(500);

/// A change to units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// `trcctl start`
    Start,
    /// `trcctl stop`
    Stop,
    /// `trcctl stop --dependents`
    StopWithDependents,
    /// `trcctl restart`
    Restart,
    /// `trcctl reload UNIT`
    Reload,
    /// `trcctl signal NAME`
    Signal(String),
}

/// Changes units, all at once, and waits until each is where it should be, unless
/// `no_wait`. Returns the exit status: 0 if all are.
pub fn act(options: &Options, units: &[String], change: &Change, no_wait: bool) -> u8 {
    let act = match change {
        Change::Start => Act::Start,
        Change::Stop => Act::Stop,
        Change::StopWithDependents => Act::StopWithDependents,
        Change::Restart => Act::Restart,
        Change::Reload => Act::Reload,
        Change::Signal(name) => match name.parse() {
            Ok(signal) => Act::Signal(signal),
            Err(why) => {
                complain(&why);
                return crate::status::USAGE;
            }
        },
    };
    let trc = Trc::at(options.socket.as_deref());
    let mut known = BTreeSet::new();
    let units = units.iter().filter(|unit| known.insert(unit.as_str()));
    // All are asked first, so that units that are restarted together are restarted once.
    let asked: Vec<_> =
        units.flat_map(|unit| trc.get_each::<JobState>(unit, |unit| Ask::Act(unit, act))).collect();
    let mut worst = 0;
    for job in asked {
        let status = match job.and_then(|job| if no_wait { Ok(job) } else { done(&trc, job, act) })
        {
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
pub(super) fn sentence(job: JobState, act: Act) -> String {
    let JobState { unit, .. } = job;
    match (job.status, job.changed, act) {
        (JobStatus::Done, true, Act::Signal(signal)) => format!("sent {signal} to {unit}"),
        (JobStatus::Running, _, _) => match job.id {
            Some(number) => format!("trc is about to {} {unit} (job {number})", act.word()),
            None => job.message,
        },
        (JobStatus::Done, true, Act::Stop | Act::StopWithDependents)
            if !job.dependents.is_empty() =>
        {
            let (what, names) = match act {
                Act::StopWithDependents => ("stopped before it:", job.dependents),
                _ => ("still needed by", job.dependents),
            };
            format!("{}; {what} {}", job.message, names.join(", "))
        }
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

/// Waits until a job has ended. If that takes long, says once what it waits for.
fn done(trc: &Trc, job: JobState, act: Act) -> Result<JobState, NoAnswer> {
    let Some(number) = job.id.filter(|_| job.status == JobStatus::Running) else { return Ok(job) };
    let mut job: JobState = trc.get(&Ask::Job(number, Some(SOON)))?;
    if job.status == JobStatus::Running {
        let UnitState { name, why, reloading, .. } = trc.get(&Ask::Unit(job.unit.clone(), None))?;
        match why {
            None if reloading => complain(&format_args!("still waiting: {name} is reloading")),
            why => {
                let why = why.unwrap_or_else(|| "is at work".to_owned());
                complain(&format_args!("still waiting: {name} {why} (`trcctl why {name}`)"));
            }
        }
        job = trc.get(&Ask::Job(number, Some(PATIENCE)))?;
    }
    let up = job.status == JobStatus::Done && matches!(act, Act::Start | Act::Restart);
    if up { still_up(trc, job) } else { Ok(job) }
}

/// Returns whether a unit without a readiness check has stayed up for a moment, which is all that can
/// be known of it.
fn still_up(trc: &Trc, job: JobState) -> Result<JobState, NoAnswer> {
    let ask = |wait| Ask::Unit(job.unit.clone(), wait);
    let unit: UnitState = trc.get(&ask(None))?;
    if unit.ready.is_some() {
        return Ok(job);
    }
    let wait = Wait { until: Until::Ended, within: CALM };
    let unit: UnitState = trc.get(&ask(Some(wait)))?;
    let end = unit.last_end.as_ref().map(|end| end.status);
    let failed = unit.phase == "backoff" || unit.phase == "ended" && end != Some(0);
    let Some(why) = unit.why.filter(|_| failed) else { return Ok(job) };
    Ok(JobState { status: JobStatus::Failed, message: format!("{} {why}", unit.name), ..job })
}
