//! `trcctl status`.

use super::ask::{NoAnswer, Trc};
use super::table::table;
use super::{Options, failed, say};
use crate::wire::{About, Ask, RunHealth, UnitState, Units};

/// Prints the state of the run and of its units, or of these units. Returns the exit status.
pub fn status(options: &Options, units: &[String]) -> u8 {
    let trc = Trc::at(options.socket.as_deref());
    match show(&trc, options, units) {
        Ok(text) => {
            say(&text);
            0
        }
        Err(why) => failed(&why),
    }
}

fn show(trc: &Trc, options: &Options, units: &[String]) -> Result<String, NoAnswer> {
    let all: Vec<UnitState> = if units.is_empty() {
        trc.get::<Units>(&Ask::Units)?.units
    } else {
        let one = |name: &String| trc.get(&Ask::Unit(name.clone(), None));
        units.iter().map(one).collect::<Result<_, _>>()?
    };
    if options.json {
        let json = serde_json::to_string_pretty(&Units { units: all }).unwrap_or_default();
        return Ok(json + "\n");
    }
    let mut text = String::new();
    if units.is_empty() {
        let about: About = trc.get(&Ask::About)?;
        let health: RunHealth = trc.ask(&Ask::Health(Vec::new()))?.read()?;
        text = format!(
            "{}, {} for {}\n\n",
            super::health::sentence(&health),
            about.phase,
            time(about.uptime_ms)
        );
    }
    let head = ["UNIT", "STATE", "SINCE", "PID", "MEMORY", "CPU", "RESTARTS", "WHY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(row));
    Ok(text + &table(&rows))
}

fn row(unit: &UnitState) -> Vec<String> {
    let state = match (unit.wanted.as_str(), unit.phase.as_str(), unit.ready) {
        ("held", ..) => "held",
        (_, "running", Some(true)) => "ready",
        (_, "running", Some(false)) => "starting",
        (_, phase, _) => phase,
    };
    let of = |part: fn(&crate::wire::Running) -> String| {
        unit.process.as_ref().map(part).unwrap_or_default()
    };
    let why = unit.why.clone().or_else(|| {
        let end = unit.last_end.as_ref()?;
        Some(format!("{} {} ago", end.why, time(end.ago_ms)))
    });
    vec![
        unit.name.clone(),
        state.to_owned(),
        time(unit.since_ms),
        of(|process| process.pid.to_string()),
        of(|process| mebibytes(process.memory)),
        of(|process| time(process.cpu_ms)),
        unit.restarts.to_string(),
        why.unwrap_or_default(),
    ]
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Returns a time in its two largest parts: `3d 4h`.
fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () if seconds >= 10 => format!("{seconds}s"),
        () => format!("{}.{}s", seconds, millis % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_has_its_two_largest_parts() {
        for (millis, text) in [
            (0, "0.0s"),
            (9_950, "9.9s"),
            (59_999, "59s"),
            (61_000, "1m 1s"),
            (3_600_000, "1h 0m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(super::time(millis), text);
        }
    }
}
