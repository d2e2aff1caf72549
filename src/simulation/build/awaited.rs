//! The conditions that tests wait for, which the witness works out independently of the graph.

use super::super::plan::{Plan, Unit};
use super::Term;
use crate::config::{Condition, Stage};

/// Returns the meaning of a name without a condition in the `after` of a test, for a unit without a
/// readiness check.
pub(in crate::simulation) fn bare(unit: &Unit, ends: bool) -> Condition {
    match unit.stage {
        Stage::Test => Condition::Exited,
        // A job may be due only tomorrow.
        _ if ends && unit.schedule.is_none() => Condition::Succeeded,
        Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt => Condition::Started,
    }
}

/// Adds the implied conditions of tests.
pub(in crate::simulation) fn complete(plan: &Plan, units: &mut [Term]) {
    let stage = |at: usize| plan.units[at].stage;
    let up = |units: &[Term], at: usize| match &plan.units[at] {
        unit if unit.ready.is_some() => Condition::Ready,
        _ if units[at].oneshot => Condition::Succeeded,
        _ => Condition::Started,
    };
    let order = super::order(plan, units);
    // A unit that comes after a foreground service does not start while the service runs.
    let sync = order.iter().filter(|at| stage(**at) == Stage::Sync);
    let last = sync.clone().position(|at| !units[*at].oneshot);
    let sync = sync.take(last.map_or(usize::MAX, |last| last + 1));
    let all = order.iter().filter(|at| stage(**at) == Stage::Async).chain(sync).copied();
    let all: Vec<usize> =
        all.filter(|at| plan.units[*at].schedule.is_none() && !units[*at].idle).collect();
    for at in (0..units.len()).filter(|at| stage(*at) == Stage::Test) {
        if !units[at].here {
            continue;
        }
        let mut added = Vec::new();
        let fault = plan.units[at].test.and_then(|test| test.fault);
        let victim = fault.map(|(victim, _)| victim).filter(|victim| units[*victim].here);
        let written = units[at].needs.iter().map(|(on, _)| *on);
        let mut about: Vec<usize> = written.filter(|on| stage(*on) != Stage::Test).collect();
        about.extend(victim.filter(|victim| !about.contains(victim)));
        let job = plan.units[at].test.and_then(|test| test.job);
        about.extend(job.filter(|job| units[*job].here));
        if about.is_empty() {
            about.clone_from(&all);
        }
        units[at].about = about;
        let needs = &units[at].needs;
        if needs.iter().all(|(on, _)| stage(*on) == Stage::Test) {
            let others = all.iter().filter(|on| Some(**on) != victim);
            added.extend(others.map(|on| (*on, up(units, *on))));
        }
        if let Some(victim) = victim
            && needs.iter().all(|(on, _)| *on != victim)
        {
            let ready = plan.units[victim].ready.is_some();
            added.push((victim, if ready { Condition::Ready } else { Condition::Started }));
        }
        for (on, condition) in added {
            if condition == Condition::Started {
                units[at].calm.push(on);
            }
            units[at].needs.push((on, condition));
            units[on].dependents.push(at);
        }
    }
}
