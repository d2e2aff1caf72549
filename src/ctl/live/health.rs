//! `trcctl health`, and `trc --health`.

use std::ffi::OsString;
use std::path::Path;

use super::ask::Trc;
use super::{Color, Options, complain, failed, say};
use crate::wire::{Ask, HealthState, RunHealth};

/// Prints whether the run, or these units, can do their work. Returns the exit status: 0 if they
/// can, else 1.
pub fn health(options: &Options, units: &[String]) -> u8 {
    let ask = Ask::Health(units.to_vec(), None);
    let answer = match Trc::at(options.socket.as_deref().map(Path::new)).ask(&ask) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    let health: RunHealth = match answer.read() {
        Ok(health) => health,
        Err(why) => return failed(&why),
    };
    let text = if options.json {
        String::from_utf8_lossy(&answer.body).into_owned()
    } else {
        sentence(&health)
    };
    say(&(text.trim_end().to_owned() + "\n"));
    u8::from(!health.state.is_good())
}

/// Does what `trc --health [UNIT…]` asks for, if this is the command line of trc. Returns the exit
/// status.
pub fn health_asked(command_line: &[OsString]) -> Option<u8> {
    let (flag, units) = command_line.get(1..)?.split_first()?;
    if flag != "--health" {
        return None;
    }
    let units: Vec<String> = units.iter().map(|unit| unit.display().to_string()).collect();
    if let Some(option) = units.iter().find(|unit| unit.is_empty() || unit.starts_with('-')) {
        complain(&format_args!("`{option}` is not a unit: write `trc --health [UNIT…]`"));
        return Some(crate::status::USAGE);
    }
    Some(health(&Options { socket: None, json: false, color: Color::Never }, &units))
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
