//! The graph: the units, stages, edges and wait policy of a configuration, immutable once it is
//! built. Building it refuses cycles and conditions that can never hold.

mod build;
mod coverage;
mod cycle;
mod identity;
mod node;
mod order;
pub(crate) mod points;
mod stop;
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use build::STOP_TIMEOUT;
pub(crate) use coverage::{Gap, OpenPort, gaps};
pub(crate) use node::{Graph, Need, Node, Rule, UnitId};
pub(crate) use stop::RESERVE;
