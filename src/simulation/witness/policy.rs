//! The time and the exit status at which a run ends by itself, taken directly from the tables of
//! the specification, from the list of units that have ended so far.

use super::super::build::Terms;
use super::super::plan::Plan;
use crate::config::{OnFailure, Stage, WaitPolicy};
use crate::engine::Ending;

/// Returns the exit status of an end, with respect to `success`.
pub(in crate::simulation) fn status(ending: Ending, success: Option<&[u8]>) -> u8 {
    let raw = match ending {
        Ending::Code(code) => code,
        Ending::Signal(signal) => 128 + u8::try_from(signal.number()).unwrap_or(0),
    };
    match success {
        Some(list) if list.contains(&raw) => 0,
        Some(_) => raw.max(1),
        None => raw,
    }
}

/// Returns the exit status if the policy has ended the run by now. `ends` has the units that have
/// ended and their exit statuses, in the order of their ends.
pub(in crate::simulation) fn verdict(
    plan: &Plan,
    terms: &Terms,
    ends: &[(usize, u8)],
    idle: &dyn Fn(usize) -> bool,
) -> Option<u8> {
    let unit = |at: usize| &plan.units[at];
    let is = |at: usize, stage| unit(at).stage == stage;
    // One-shots that succeed, and failures that are ignored, do not end the run.
    let loud: Vec<(usize, u8)> = ends
        .iter()
        .copied()
        .filter(|(at, status)| match status {
            0 => !terms.units[*at].oneshot,
            _ => unit(*at).on_failure != OnFailure::Ignore,
        })
        .filter(|(at, _)| unit(*at).counts() && unit(*at).schedule.is_none())
        .collect();
    let open = |stage| {
        (0..plan.units.len()).any(|at| {
            terms.units[at].here
                && is(at, stage)
                && unit(at).counts()
                && !idle(at)
                && unit(at).schedule.is_none()
                && ends.iter().all(|(ended, _)| *ended != at)
        })
    };
    let nothing_to_wait_for =
        !open(Stage::Async) && !open(Stage::Sync) && !lives_for_schedules(plan, terms, idle);
    let first_of = |stage| loud.iter().find(|(at, _)| is(*at, stage)).copied();
    let failed = |stage| loud.iter().filter(move |(at, status)| is(*at, stage) && *status != 0);
    match plan.wait {
        WaitPolicy::Any => {
            if let Some((_, status)) = first_of(Stage::Sync) {
                let behind = failed(Stage::Async).next().map_or(0, |(_, status)| *status);
                return Some(if status == 0 { behind } else { status });
            }
            if open(Stage::Sync) {
                return None;
            }
            match first_of(Stage::Async) {
                Some((at, status)) if unit(at).trivialrc() || status == 0 => Some(143),
                Some((_, status)) => Some(status),
                None => nothing_to_wait_for.then_some(0),
            }
        }
        WaitPolicy::All => nothing_to_wait_for.then(|| {
            let last = |stage| failed(stage).max_by_key(|(at, _)| *at);
            last(Stage::Async).or_else(|| last(Stage::Sync)).map_or(0, |(_, status)| *status)
        }),
        WaitPolicy::Err => match loud.iter().find(|(_, status)| *status != 0) {
            Some((_, status)) => Some(*status),
            None => nothing_to_wait_for.then_some(0),
        },
        WaitPolicy::Forever => (plan.transparent() && nothing_to_wait_for)
            .then(|| loud.first().map_or(0, |(_, status)| *status)),
    }
}

/// Returns whether there are units with a schedule, and no service.
pub(in crate::simulation) fn lives_for_schedules(
    plan: &Plan,
    terms: &Terms,
    idle: &dyn Fn(usize) -> bool,
) -> bool {
    let here = (0..plan.units.len()).filter(|at| terms.units[*at].here);
    let runs = |at: &usize| plan.units[*at].schedule.is_some() && plan.units[*at].autostart;
    let jobs = here.clone().filter(runs).count();
    let mut others = here.filter(|at| plan.units[*at].schedule.is_none() && !idle(*at));
    jobs > 0 && !others.any(|at| plan.units[at].counts() && !terms.units[at].oneshot)
}
