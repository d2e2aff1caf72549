//! A later layer over the earlier ones.

use super::schema::EXCLUSIVE;
use super::value::{Table, Value};
use super::{Diagnostic, Stage};

/// Lays a layer over what is there: tables merge key by key, all else replaces, and of
/// keys that exclude each other the layer's removes the earlier.
///
/// A layer that has two such keys itself is wrong; that goes to `errors`.
pub fn merge(base: &mut Table, layer: Table, errors: &mut Vec<Diagnostic>) {
    for stage in Stage::ALL {
        let Some(units) = layer.get(stage.name()).and_then(|stage| stage.node.as_table()) else {
            continue;
        };
        for (name, unit) in units {
            let Some(unit) = unit.node.as_table() else { continue };
            let mut written = EXCLUSIVE.iter().filter_map(|key| Some((key, unit.get(*key)?)));
            let Some((key, first)) = written.next() else { continue };
            if let Some((other, second)) = written.next() {
                let (second, a, b) = if first.order < second.order {
                    (second, key, other)
                } else {
                    (first, other, key)
                };
                let message = format!("`[{stage}.{name}]` has both `{a}` and `{b}`");
                errors.push(
                    Diagnostic::error(second.key.clone(), message)
                        .help("a unit runs exactly one of `exec`, `script` and a script file"),
                );
            }
            if let Some(Value::Table(stage)) =
                base.get_mut(stage.name()).map(|stage| &mut stage.node.value)
                && let Some(Value::Table(earlier)) =
                    stage.get_mut(name).map(|unit| &mut unit.node.value)
            {
                earlier.retain(|other, _| other == key || !EXCLUSIVE.contains(&other.as_str()));
            }
        }
    }
    lay(base, layer);
}

fn lay(base: &mut Table, layer: Table) {
    for (key, entry) in layer {
        match base.get_mut(&key) {
            None => {
                base.insert(key, entry);
            }
            Some(earlier) => match (&mut earlier.node.value, entry.node.value) {
                (Value::Table(under), Value::Table(over)) => lay(under, over),
                (under, over) => {
                    *under = over;
                    earlier.node.origin = entry.node.origin;
                    earlier.key = entry.key;
                }
            },
        }
    }
}
