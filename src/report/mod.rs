//! What a test run has found, and the reports of it: one set of types, which trc writes and trcctl
//! reads. Pure: who asks the kernel is `run/`.

mod diagnostics;
mod event;
mod json;
mod junit;
mod millis;
mod pattern;
mod point;
#[cfg(test)]
mod readers;
mod tap;
#[cfg(test)]
mod tests;
mod write;

use std::time::SystemTime;

pub(crate) use event::{Event, Lacking, Live, Planned, VERSION};
pub(crate) use json::json;
use json::quoted;
pub(crate) use junit::junit;
pub(crate) use pattern::excerpt;
pub(crate) use point::{CheckPoint, Kind, Outcome, Point, Suite, Tail};

use crate::journal;

/// A moment as reports have it: `2017-03-16T20:40:50.007Z`.
#[must_use]
pub(crate) fn moment(at: SystemTime) -> String {
    let (time, milliseconds) = journal::utc(at);
    format!("{time}.{milliseconds:03}Z")
}
