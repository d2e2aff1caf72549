//! What was written means: units, stages, edges and the wait policy, immutable
//! once built. Cycles and conditions that can never hold are refused here.

mod build;
mod cycle;
mod node;
mod order;
pub mod points;
mod testing;
#[cfg(test)]
mod tests;

pub use build::{BUDGET, RESERVE, STOP_TIMEOUT};
pub use node::{Graph, Need, Node, Rule, UnitId};
