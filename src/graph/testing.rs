//! What tests wait for without having written it.

use super::{Need, Node, UnitId};
use crate::config::{Condition, Stage};

/// Completes the tests: those that come after no unit wait for all, and each knows which
/// units it is about: with a fault, that may be the one that it is done to alone.
pub fn complete(nodes: &mut [Node]) {
    let all = all_units(nodes);
    for id in 0..nodes.len() {
        if nodes[id].unit.stage != Stage::Test {
            continue;
        }
        let named = nodes[id].needs.iter().filter(|need| need.written);
        let named = named.filter(|need| nodes[need.unit.0].unit.stage != Stage::Test);
        nodes[id].about = named.map(|need| need.unit).collect();
        let waits_for_all = nodes[id].about.is_empty();
        // A fault is done to what is up.
        if let Some(victim) = nodes[id].victim.filter(|unit| !nodes[id].about.contains(unit)) {
            let ready = nodes[victim.0].unit.ready.is_some();
            let condition = if ready { Condition::Ready } else { Condition::Started };
            nodes[id].needs.push(Need { unit: victim, condition, written: true });
            nodes[victim.0].dependents.push(UnitId(id));
            nodes[id].about.push(victim);
        }
        // One that only comes after other tests is about everything, too.
        if nodes[id].about.is_empty() {
            nodes[id].about = all.iter().map(|(unit, _)| *unit).collect();
        }
        if waits_for_all {
            for (unit, condition) in &all {
                if nodes[id].victim == Some(*unit) {
                    continue;
                }
                let need = Need { unit: *unit, condition: *condition, written: true };
                nodes[id].needs.push(need);
                nodes[unit.0].dependents.push(UnitId(id));
            }
        }
    }
}

/// All units that are there when the container is up, and how that shows.
fn all_units(nodes: &[Node]) -> Vec<(UnitId, Condition)> {
    let mut all = Vec::new();
    let mut sync_is_over = false;
    for (at, node) in nodes.iter().enumerate() {
        match node.unit.stage {
            Stage::Async => {}
            // What comes after a service in the foreground never starts while that runs.
            Stage::Sync if sync_is_over => continue,
            Stage::Sync => sync_is_over = !node.oneshot,
            Stage::Boot | Stage::Test | Stage::Halt => continue,
        }
        let condition = if node.unit.ready.is_some() {
            Condition::Ready
        } else if node.oneshot {
            Condition::Succeeded
        } else {
            Condition::Started
        };
        all.push((UnitId(at), condition));
    }
    all
}
