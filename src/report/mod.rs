//! What a test run has found, and the reports of it. Pure: who asks the kernel is `run/`.

mod diagnostics;
mod json;
mod junit;
mod pattern;
mod point;
#[cfg(test)]
mod readers;
pub(crate) mod tap;
#[cfg(test)]
mod tests;

pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use pattern::excerpt;
pub(crate) use point::{CheckPoint, Outcome, Point, Suite, Tail};
