//! What was written means: units, stages, edges and the wait policy, immutable
//! once built. Cycles and conditions that can never hold are refused here.

mod build;
mod cycle;
mod identity;
mod node;
mod order;
pub(crate) mod points;
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use build::{RESERVE, STOP_TIMEOUT};
pub(crate) use node::{Graph, Need, Node, Rule, UnitId};
