//! `--only`: some units, and those that they stand on.

use std::collections::{BTreeMap, BTreeSet};

use super::cli::CommandLine;
use super::environment::variable;
use super::gone::Gone;
use super::resolve::Names;
use super::{Config, Diagnostic, Environment, Form, Origin, Severity, Stage, UnitRef};

/// The units that `--only` or `TRC_ONLY` names; none, if neither is there.
pub(super) fn names(line: &CommandLine, environment: &Environment) -> Vec<UnitRef> {
    let variable = variable(environment, "TRC_ONLY").map(|names| names.to_string_lossy());
    let (names, origin) = match (&line.only, variable) {
        (Some(names), _) => (names.clone(), Origin::Flag("--only".into())),
        (None, Some(names)) => (names.into_owned(), Origin::Variable("TRC_ONLY".into())),
        (None, None) => return Vec::new(),
    };
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| UnitRef { value: name.to_owned(), origin: origin.clone() }).collect()
}

/// Removes the units that are neither named nor stood on: those in the `after` and `restart.with` of
/// a unit that stays, and those that are `before` it. Boot and halt units, and the units of the
/// command line, stay always. Tests stay, too, and are skipped if their units do not. The names in
/// the configuration have to be full ones.
pub(super) fn select(
    config: &mut Config,
    only: &[UnitRef],
    names: &Names<'_>,
    gone: &BTreeMap<String, Gone>,
    errors: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for unit in only {
        let mut unit = unit.clone();
        if names.full(&mut unit, errors) {
            let all = names.all(&[unit], errors);
            wanted.extend(all.into_iter().map(|unit| unit.value));
        } else if let Some(why) = gone.get(&unit.value) {
            let message = format!("{} {why}", unit.value);
            errors.push(Diagnostic::error(unit.origin, message));
        }
    }
    if errors.iter().any(|error| error.severity == Severity::Error) {
        return Vec::new();
    }
    let mut stands_on: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for unit in &config.units {
        let after = unit.after.iter().map(|after| &after.unit).chain(&unit.restart.with);
        stands_on.entry(unit.id()).or_default().extend(after.map(|other| other.value.clone()));
        for before in &unit.before {
            stands_on.entry(before.unit.value.clone()).or_default().push(unit.id());
        }
    }
    let always = config.units.iter().filter(|unit| {
        matches!(unit.stage, Stage::Boot | Stage::Test | Stage::Halt)
            || matches!(unit.form, Form::Flag | Form::Trailing)
    });
    let asked_for = wanted.clone();
    let is_test = |id: &str| id.starts_with("test.");
    wanted.extend(always.map(super::Unit::id));
    let mut stay = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        // A test does not keep the units that it is about.
        let next = stands_on.get(&id).filter(|_| !is_test(&id));
        if stay.insert(id) {
            wanted.extend(next.into_iter().flatten().cloned());
        }
    }
    let left = config.units.iter().map(super::Unit::id).filter(|id| !stay.contains(id)).collect();
    config.units.retain(|unit| stay.contains(&unit.id()));
    // Whoever names a unit wants it to run.
    config
        .units
        .iter_mut()
        .filter(|it| asked_for.contains(&it.id()))
        .for_each(|it| it.autostart = true);
    left
}
