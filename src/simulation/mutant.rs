//! What an engine that is wrong on purpose does otherwise.

use super::plan::Plan;
use crate::engine::{Action, Event};
use crate::graph::Graph;

/// What is wrong with an engine: it is given another graph than what was written means,
/// or its actions or what it is told are tampered with.
pub(super) struct Mutant {
    pub name: &'static str,
    pub graph: fn(&mut Graph),
    pub actions: fn(&mut Vec<Action>, &Plan),
    pub event: fn(Event) -> Event,
}

/// The engine as it is.
pub(super) const NONE: Mutant = graph("none", |_| {});

pub(super) const fn graph(name: &'static str, graph: fn(&mut Graph)) -> Mutant {
    Mutant { name, graph, actions: |_, _| {}, event: |event| event }
}
