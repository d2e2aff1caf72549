//! The results of a test run and the reports about it: one set of types, which trc writes and
//! trcctl reads. This module makes no system calls; `run/` does.

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
pub(crate) mod timeline;
mod wanted;

use std::time::SystemTime;

pub(crate) use event::{Event, Lacking, Live, Planned, VERSION};
pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use pattern::excerpt;
pub(crate) use point::{CheckPoint, Kind, Outcome, Point, Suite, Tail, Untested};

use crate::journal;

/// Formats a time for reports: `2017-03-16T20:40:50.007Z`.
#[must_use]
pub(crate) fn moment(at: SystemTime) -> String {
    let (time, milliseconds) = journal::utc(at);
    format!("{time}.{milliseconds:03}Z")
}
