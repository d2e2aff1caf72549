//! The mistakes of engines that are wrong on purpose.

use super::plan::Plan;
use crate::engine::{Action, Event, Reason};
use crate::graph::Graph;

/// The mistake of an engine: it gets another graph than the configuration describes, or its actions,
/// its events or the reason of its end are altered.
pub(super) struct Mutant {
    pub name: &'static str,
    pub graph: fn(&mut Graph),
    pub actions: fn(&mut Vec<Action>, &Plan),
    pub event: fn(Event) -> Event,
    pub reason: fn(&mut Reason),
}

/// No mistake.
pub(super) const NONE: Mutant = graph("none", |_| {});

pub(super) const fn graph(name: &'static str, graph: fn(&mut Graph)) -> Mutant {
    Mutant { name, graph, actions: |_, _| {}, event: |event| event, reason: |_| {} }
}
