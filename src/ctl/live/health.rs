//! `trcctl health`, and `trc --health`.

use std::path::Path;

use super::ask::Trc;
use super::{Options, failed};
use crate::wire::{Ask, HealthState, RunHealth};

/// Prints whether the run, or these units, can do their work. Returns the exit status: 0 if they
/// can, else 1.
pub fn health(options: &Options, units: &[String]) -> u8 {
    let ask = Ask::Health(units.to_vec());
    let answer = match Trc::at(options.socket.as_deref().map(Path::new)).ask(&ask) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    let health: RunHealth = match answer.read() {
        Ok(health) => health,
        Err(why) => return failed(&why),
    };
    if options.json {
        println!("{}", String::from_utf8_lossy(&answer.body).trim_end());
    } else {
        println!("{}", sentence(&health));
    }
    u8::from(!health.state.is_good())
}

pub(super) fn sentence(health: &RunHealth) -> String {
    let state = match health.state {
        HealthState::Starting => "starting",
        HealthState::Ready => "ready",
        HealthState::Degraded => "degraded",
        HealthState::Unhealthy => "unhealthy",
        HealthState::Stopping => "stopping",
    };
    match (&health.unit, &health.why) {
        (Some(unit), Some(why)) => format!("{state}: {unit} {why}"),
        (Some(unit), None) => format!("{state}: {unit}"),
        (None, _) => state.to_owned(),
    }
}
