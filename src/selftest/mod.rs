//! What a test run has found, and the reports of it. Pure: who asks the kernel is `run/`.

mod diagnostics;
mod json;
mod junit;
mod pattern;
mod point;
pub mod tap;
#[cfg(test)]
mod tests;

pub use json::json;
pub use junit::junit;
pub use pattern::{Finder, excerpt};
pub use point::{CheckPoint, Counts, Outcome, Point, Suite, Tail};
