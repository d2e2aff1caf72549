//! The mistakes of engines that are wrong on purpose.

use super::plan::Plan;
use crate::engine::{Action, Event};
use crate::graph::Graph;

/// The mistake of an engine: it gets another graph than the configuration describes, or its actions
/// or events are altered.
pub(super) struct Mutant {
    pub name: &'static str,
    pub graph: fn(&mut Graph),
    pub actions: fn(&mut Vec<Action>, &Plan),
    pub event: fn(Event) -> Event,
}

/// No mistake.
pub(super) const NONE: Mutant = graph("none", |_| {});

pub(super) const fn graph(name: &'static str, graph: fn(&mut Graph)) -> Mutant {
    Mutant { name, graph, actions: |_, _| {}, event: |event| event }
}
