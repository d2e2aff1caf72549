//! Units that others wait for although nothing tells when they are ready.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Condition, Diagnostic, Stage, Unit};
use crate::graph::{Graph, Node};

/// Returns a warning for each service without `ready` that another unit waits for without a
/// condition.
pub(super) fn remarks(graph: &Graph) -> Vec<Diagnostic> {
    let nodes: BTreeMap<String, &Node> = graph.nodes.iter().map(|it| (it.unit.id(), it)).collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for Node { unit, .. } in &graph.nodes {
        if !matches!(unit.stage, Stage::Async | Stage::Sync) {
            continue;
        }
        for after in unit.after.iter().filter(|after| after.condition.is_none()) {
            let Some(other) = nodes.get(&after.unit.value) else { continue };
            let is_service = other.unit.stage == Stage::Async
                && !other.is_outside()
                && other.shows_up_by(true) == Condition::Started
                && !other.is_scheduled();
            // One warning about each service is enough, and instances are one unit to their author.
            if is_service && told.insert(other.unit.declared_id()) {
                found.push(Diagnostic {
                    origin: after.unit.origin.clone(),
                    ..unready(unit, &other.unit)
                });
            }
        }
    }
    found
}

fn unready(unit: &Unit, other: &Unit) -> Diagnostic {
    let (id, name) = (unit.declared_id(), other.declared_id());
    let text = format!("{id} starts as soon as {name} has been started: {name} has no `ready`");
    let help = format!(
        "add `ready` to {name}, such as ready.tcp = PORT; if it exits when its work is done, add \
         oneshot = true; if {id} does not need it to be ready, write after = {{ {} = \"started\" }}",
        other.declared_name()
    );
    Diagnostic::warning(unit.origin.clone(), text).help(help)
}
