//! Merges a later layer into the earlier ones.

use super::keys::key::{FAULTS, Kind, PROBES, RELOADS, RUNS, SOURCES};
use super::value::{Entry, Said, Table, Value};
use super::{Diagnostic, Stage};

/// Merges a layer into `base`. Tables are merged key by key, and any other value replaces the
/// earlier one. A key of the layer removes the earlier keys that it excludes.
///
/// A layer that itself has two keys that exclude one another is wrong; the error goes to `errors`.
pub(super) fn merge(base: &mut Table, mut layer: Table, errors: &mut Vec<Diagnostic>) {
    for stage in Stage::ALL {
        for (name, unit) in inner_mut(&mut layer, stage.name()).into_iter().flatten() {
            let Value::Table(unit) = &mut unit.node.value else { continue };
            let id = format!("{stage}.{name}");
            let mut earlier =
                inner_mut(base, stage.name()).and_then(|units| inner_mut(units, name));
            let help = "a unit has exactly one of `exec`, `script` and a script file";
            exclude(unit, earlier.as_deref_mut(), RUNS, &id, help, errors);
            for (key, keys) in [("ready", PROBES), ("health", PROBES), ("reload", RELOADS)] {
                let Some(inner) = inner_mut(unit, key) else { continue };
                let id = format!("{id}.{key}");
                let earlier = earlier.as_deref_mut().and_then(|unit| inner_mut(unit, key));
                exclude(inner, earlier, keys, &id, "remove one of them", errors);
            }
            for (path, file) in inner_mut(unit, "files").into_iter().flatten() {
                let Value::Table(file) = &mut file.node.value else { continue };
                let earlier = earlier.as_deref_mut().and_then(|unit| inner_mut(unit, "files"));
                let earlier = earlier.and_then(|files| inner_mut(files, path));
                let id = format!("{id}.files.{path}");
                exclude(file, earlier, SOURCES, &id, "remove one of them", errors);
            }
            let expect = inner_mut(unit, "expect");
            if let Some(fault) = expect.and_then(|expect| inner_mut(expect, "fault")) {
                let id = format!("{id}.expect.fault");
                let earlier = earlier.and_then(|unit| inner_mut(unit, "expect"));
                let earlier = earlier.and_then(|expect| inner_mut(expect, "fault"));
                exclude(fault, earlier, FAULTS, &id, "remove one of them", errors);
            }
        }
    }
    lay(base, layer);
}

/// Removes the earlier one of these keys, which exclude one another, if the layer has one of them.
fn exclude(
    layer: &mut Table,
    earlier: Option<&mut Table>,
    keys: &[&'static str],
    place: &str,
    help: &str,
    errors: &mut Vec<Diagnostic>,
) {
    let mut written = keys.iter().copied().filter_map(|key| Some((key, layer.get(key)?)));
    let Some((key, first)) = written.next() else { return };
    if let Some((other, second)) = written.next() {
        let (second, a, b) =
            if first.order < second.order { (second, key, other) } else { (first, other, key) };
        let message = format!("`[{place}]` has both `{a}` and `{b}`");
        errors.push(Diagnostic::error(second.key.clone(), message).help(help));
    }
    let Some(earlier) = earlier else { return };
    for other in keys.iter().copied().filter(|other| *other != key) {
        if let (Some(gone), Some(entry)) = (earlier.remove(other), layer.get_mut(key)) {
            entry.also.extend(gone.also);
            entry.also.push(Said {
                origin: gone.key,
                key: Some(other),
                value: Some(gone.node.value),
            });
        }
    }
}

fn inner_mut<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    match &mut table.get_mut(key)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

fn lay(base: &mut Table, layer: Table) {
    for (key, entry) in layer {
        match base.get_mut(&key) {
            None => {
                base.insert(key, entry);
            }
            Some(earlier) => match (&mut earlier.node.value, entry.node.value) {
                (Value::Table(under), Value::Table(over)) => {
                    earlier.also.push(Said { origin: entry.key, key: None, value: None });
                    lay(under, over);
                }
                (under, over) => {
                    let value = Some(std::mem::replace(under, over));
                    earlier.node.origin = entry.node.origin;
                    let origin = std::mem::replace(&mut earlier.key, entry.key);
                    earlier.also.push(Said { origin, key: None, value });
                }
            },
        }
    }
}

/// Returns every value in a table of this kind that has replaced a value of an earlier layer.
pub(super) fn overrides(tree: &Table, kind: Kind) -> Vec<&Entry> {
    let mut found = Vec::new();
    for (name, entry) in tree {
        // An unknown key is reported at each of its places.
        let Some(kind) = kind.below(name) else { continue };
        match &entry.node.value {
            Value::Table(table) => found.append(&mut overrides(table, kind)),
            _ if entry.also.is_empty() => {}
            _ => found.push(entry),
        }
    }
    found
}
