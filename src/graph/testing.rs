//! The implied conditions of tests.

use std::collections::BTreeMap;

use super::{Need, Node, UnitId};
use crate::config::{
    Check, Command, Condition, Config, Diagnostic, Found, Output, Stage, State, Unit, UnitRef,
};

/// Completes the tests. Tests without `after` wait for all units, and each test knows which units
/// it is about. For a test with a fault or a job, that may be only the unit that trc damages or runs.
pub(super) fn complete(nodes: &mut [Node]) {
    let all = all_units(nodes);
    for id in 0..nodes.len() {
        if nodes[id].unit.stage != Stage::Test {
            continue;
        }
        let named = nodes[id].needs.iter().filter(|need| need.written);
        let named = named.filter(|need| nodes[need.unit.0].unit.stage != Stage::Test);
        nodes[id].about = named.map(|need| need.unit).collect();
        let is_absent = nodes[id].test().is_some_and(|test| test.absent.is_some());
        let waits_for_all = nodes[id].about.is_empty() && !is_absent;
        // Only a unit that is up can be damaged.
        if let Some(victim) = nodes[id].victim.filter(|unit| !nodes[id].about.contains(unit)) {
            let ready = nodes[victim.0].unit.ready.is_some();
            let condition = if ready { Condition::Ready } else { Condition::Started };
            let calm = nodes[victim.0].is_plain();
            nodes[id].needs.push(Need { unit: victim, condition, written: true, calm });
            nodes[victim.0].dependents.push(UnitId(id));
            nodes[id].about.push(victim);
        }
        // Nothing waits for a unit with a schedule, which runs when its test begins.
        if let Some(job) = nodes[id].job {
            nodes[id].about.push(job);
        }
        // A test that is `after` other tests only is about all units, too.
        if nodes[id].about.is_empty() {
            nodes[id].about = all.iter().map(|(unit, _)| *unit).collect();
        }
        if waits_for_all {
            for (unit, condition) in &all {
                if nodes[id].victim == Some(*unit) {
                    continue;
                }
                let calm = *condition == Condition::Started;
                let need = Need { unit: *unit, condition: *condition, written: true, calm };
                nodes[id].needs.push(need);
                nodes[unit.0].dependents.push(UnitId(id));
            }
        }
    }
    expect_stops(nodes);
}

/// Passes the `stop_status` of tests on to the units that they are about.
fn expect_stops(nodes: &mut [Node]) {
    for id in 0..nodes.len() {
        let test = nodes[id].unit.test.as_deref();
        let statuses = test.map_or_else(Vec::new, |test| test.stop.statuses.clone());
        for unit in nodes[id].about.clone() {
            nodes[unit.0].stop_statuses.extend(&statuses);
        }
    }
}

/// Returns errors for faults on units that cannot have one, for jobs without a schedule, and for checks of output that trc does
/// not capture.
pub(super) fn misplaced(
    config: &Config,
    units: &[&Unit],
    index: &BTreeMap<String, usize>,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let is_silent = |unit: &Unit| config.output_of(unit) == Output::Null;
    let up = || units.iter().filter(|unit| is_up(unit));
    let all_are_silent = up().next().is_some() && up().all(|unit| is_silent(unit));
    for unit in units {
        let Some(test) = unit.test.as_deref() else { continue };
        let find = |other: &UnitRef| index.get(&other.value).map(|at| units[*at]);
        if let Some(fault) = &test.fault
            && let Some(victim) = find(&fault.value.unit)
        {
            let why = match victim.stage {
                Stage::Async | Stage::Sync if victim.command == Command::Nothing => {
                    Some("has no command")
                }
                Stage::Async | Stage::Sync if victim.oneshot == Some(true) => Some("is a one-shot"),
                Stage::Async | Stage::Sync => None,
                Stage::Boot | Stage::Test | Stage::Halt => Some("is not a service"),
            };
            if let Some(why) = why {
                let place = fault.value.unit.origin.clone();
                let message = format!("{} cannot have a fault: it {why}", victim.id());
                errors.push(Diagnostic::error(place, message));
            }
        }
        if let Some(job) = &test.job
            && let Some(unit) = find(job).filter(|unit| unit.schedule.is_none())
        {
            let message = format!("{} is not a job: it has no `schedule`", unit.id());
            let help = match unit.stage {
                Stage::Async | Stage::Sync => format!(
                    "the run starts it anyway: write `after = {{ {} = \"succeeded\" }}` if it is \
                     a one-shot that has to succeed",
                    unit.name
                ),
                Stage::Boot | Stage::Test | Stage::Halt => {
                    "a job is an async unit with a `schedule`".to_owned()
                }
            };
            errors.push(Diagnostic::error(job.origin.clone(), message).help(help));
        }
        for check in &test.checks {
            let process_of = match &check.value {
                Check::Found(Found::Now(State::Variables(variables))) => variables.unit.as_ref(),
                Check::Found(Found::Now(State::Listener(listener))) => Some(&listener.unit),
                _ => None,
            };
            if let Some(other) = process_of
                && let Some(unit) = find(other)
                && (!is_up(unit) || unit.command == Command::Nothing)
            {
                let message = format!(
                    "cannot look at the process of {}: it has none while tests run",
                    unit.id()
                );
                errors.push(Diagnostic::error(other.origin.clone(), message));
            }
            let other = match &check.value {
                Check::Found(Found::Said { unit: Some(other), .. }) => other,
                Check::Found(Found::Said { unit: None, .. }) => {
                    let named = unit.after.iter().filter_map(|after| find(&after.unit));
                    let about: Vec<&Unit> = named.filter(|unit| is_up(unit)).collect();
                    let named_are_silent = about.iter().all(|unit| is_silent(unit));
                    if if about.is_empty() { all_are_silent } else { named_are_silent } {
                        let message = format!(
                            "{} cannot look at the output of any unit that it is about: all of it is discarded",
                            unit.id()
                        );
                        errors.push(Diagnostic::error(check.origin.clone(), message));
                    }
                    continue;
                }
                _ => continue,
            };
            let Some(speaker) = find(other) else { continue };
            let why = if speaker.stage == Stage::Test {
                "use `stdout` and `stderr` for the output of a test's command"
            } else if is_silent(speaker) {
                "its output is discarded"
            } else {
                continue;
            };
            let message = format!("cannot look for a line of {}: {why}", speaker.id());
            errors.push(Diagnostic::error(other.origin.clone(), message));
        }
    }
    errors
}

/// Returns whether a unit is up while tests run.
fn is_up(unit: &Unit) -> bool {
    matches!(unit.stage, Stage::Async | Stage::Sync)
}

/// Returns all units that are up when the container is up, with the conditions that show it.
fn all_units(nodes: &[Node]) -> Vec<(UnitId, Condition)> {
    let mut all = Vec::new();
    let mut sync_is_over = false;
    for (at, node) in nodes.iter().enumerate() {
        match node.unit.stage {
            // A test run has no schedules, and nobody who asks for units.
            _ if node.is_scheduled() || node.idle => continue,
            Stage::Async => {}
            // A unit that comes after a foreground service never starts while the service runs.
            Stage::Sync if sync_is_over => continue,
            Stage::Sync => sync_is_over = !node.oneshot,
            Stage::Boot | Stage::Test | Stage::Halt => continue,
        }
        all.push((UnitId(at), node.shows_up_by(true)));
    }
    all
}
