//! What a test run has found, and the reports of it. Pure: who asks the kernel is `run/`.

mod pattern;
mod point;

pub use pattern::{Finder, excerpt};
pub use point::{CheckPoint, Outcome, Point, Suite, Tail};
