//! `trcctl status`.

use std::io::IsTerminal;
use std::time::Duration;

use super::ask::{NoAnswer, Trc};
use super::paint::Look;
use super::table::{Cell, table};
use super::{Options, failed, say};
use crate::wire::{About, Ask, HealthState, RunHealth, Running, UnitState, Units};

/// The heads of the columns of the table of units.
pub(super) const HEAD: [&str; 8] =
    ["UNIT", "STATE", "SINCE", "PID", "MEMORY", "CPU", "RESTARTS", "WHY"];
/// The columns that are numbers.
pub(super) const NUMBERS: [usize; 5] = [2, 3, 4, 5, 6];

/// The time between two looks.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Prints the state of the run and of its units, or of these units, once or every second. Returns
/// the exit status.
pub fn status(options: &Options, units: &[String], watch: bool) -> u8 {
    let trc = Trc::at(options.socket.as_deref());
    let redraw = watch && std::io::stdout().is_terminal();
    loop {
        let is_read = match show(&trc, options, units) {
            // Home, and the rest of the screen is erased once it is overwritten: nothing flickers.
            Ok(text) if redraw => say(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))),
            Ok(text) => say(&text),
            Err(why) => return failed(&why),
        };
        if !watch || !is_read {
            return 0;
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
fn pause() {
    std::thread::sleep(EVERY);
}

fn show(trc: &Trc, options: &Options, units: &[String]) -> Result<String, NoAnswer> {
    let all: Vec<UnitState> = if units.is_empty() {
        trc.get::<Units>(&Ask::Units)?.units
    } else {
        let each = |name: &String| trc.get_each(name, |name| Ask::Unit(name, None));
        units.iter().flat_map(each).collect::<Result<_, _>>()?
    };
    if options.json {
        let json = serde_json::to_string_pretty(&Units { units: all }).unwrap_or_default();
        return Ok(json + "\n");
    }
    let paint = |look, text: &str| options.color.paint(look, text);
    let mut text = String::new();
    if units.is_empty() {
        let about: About = trc.get(&Ask::About)?;
        let health: RunHealth = trc.ask(&Ask::Health(Vec::new(), None))?.read()?;
        let look = look(health.state);
        text = format!(
            "{}, {} for {}\n\n",
            paint(look, &super::health::sentence(&health)),
            about.phase,
            time(about.uptime_ms)
        );
    }
    let head = HEAD.map(|word| Cell { text: word.to_owned(), look: Look::Bold });
    let mut rows = vec![head.to_vec()];
    rows.extend(all.iter().map(row));
    Ok(text + &table(&rows, &NUMBERS, options.color))
}

/// Returns how the health of the run looks.
pub(super) fn look(health: HealthState) -> Look {
    match health {
        HealthState::Ready => Look::Good,
        HealthState::Degraded => Look::Asked,
        HealthState::Starting | HealthState::Stopping => Look::Pending,
        HealthState::Unhealthy => Look::Bad,
    }
}

/// Returns the word for the state of a unit, and how it looks.
pub(in crate::ctl) fn state(unit: &UnitState) -> (&str, Look) {
    let word = unit.state();
    let look = match (word, &unit.why) {
        ("ready" | "running", _) if !unit.healthy => Look::Bad,
        // A one-shot has not finished yet.
        ("ready" | "running", Some(_)) => Look::Pending,
        _ => usual(word),
    };
    (word, look)
}

/// Returns how a state looks if the unit is as it should be in this state.
fn usual(state: &str) -> Look {
    match state {
        "held" => Look::Asked,
        "ready" | "running" => Look::Good,
        "failed" | "backoff" => Look::Bad,
        "waiting" | "scheduled" | "idle" | "ended" => Look::Dim,
        _ => Look::Pending,
    }
}

/// Returns how the last process of a unit exited, and when.
pub(super) fn last_end(unit: &UnitState) -> Option<String> {
    unit.last_end.as_ref().map(|end| format!("{} {} ago", end.why, time(end.ago_ms)))
}

/// Returns the row of a unit: a cell for each column of [`HEAD`].
pub(super) fn row(unit: &UnitState) -> Vec<Cell> {
    let (word, look) = state(unit);
    let of = |part: fn(&Running) -> String| {
        Cell::from(unit.process.as_ref().map(part).unwrap_or_default())
    };
    let why = match (&unit.why, unit.deadline_ms, last_end(unit)) {
        (Some(_), Some(rest), Some(end)) if unit.phase == "backoff" => {
            Some(format!("{end}; trc starts it again in {}", time(rest)))
        }
        (Some(why), ..) => Some(why.clone()),
        (None, _, end) => end,
    };
    let next = unit.next_run_ms.filter(|_| unit.process.is_none());
    let why = match (why, next.map(|next| format!("runs in {}", time(next)))) {
        (Some(why), Some(next)) => Some(format!("{next}; {why}")),
        (why, next) => next.or(why),
    };
    vec![
        unit.name.clone().into(),
        Cell { text: word.to_owned(), look },
        time(unit.since_ms).into(),
        of(|process| process.pid.to_string()),
        of(|process| mebibytes(process.memory)),
        of(|process| time(process.cpu_ms)),
        unit.restarts.to_string().into(),
        why.unwrap_or_default().into(),
    ]
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Returns a time in its two largest parts: `3d 4h`.
pub(super) fn time(millis: u64) -> String {
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_unit_has_one_state_and_one_look() {
        for (of, word, look) in [
            (json!({ "phase": "waiting", "why": "waits for async.db" }), "waiting", Look::Dim),
            (json!({ "phase": "starting", "why": "is starting" }), "starting", Look::Pending),
            (json!({ "phase": "running" }), "running", Look::Good),
            (json!({ "phase": "running", "ready": true }), "ready", Look::Good),
            (json!({ "phase": "running", "ready": false, "why": "…" }), "starting", Look::Pending),
            (json!({ "phase": "running", "healthy": false, "why": "…" }), "running", Look::Bad),
            (
                json!({ "phase": "running", "ready": true, "healthy": false, "why": "…" }),
                "ready",
                Look::Bad,
            ),
            (
                json!({ "phase": "running", "why": "has not finished yet" }),
                "running",
                Look::Pending,
            ),
            (json!({ "phase": "running", "reloading": true }), "reloading", Look::Pending),
            (json!({ "phase": "stopping", "reloading": true }), "stopping", Look::Pending),
            (json!({ "phase": "watching" }), "watching", Look::Pending),
            (json!({ "phase": "watching", "ready": true }), "ready", Look::Good),
            (json!({ "phase": "watching", "ready": false }), "starting", Look::Pending),
            (json!({ "phase": "stopping", "wanted": "held" }), "held", Look::Asked),
            (json!({ "phase": "ended" }), "ended", Look::Dim),
            (json!({ "phase": "ended", "why": "exited with 1" }), "failed", Look::Bad),
            (json!({ "phase": "ended", "wanted": "held", "why": "…" }), "held", Look::Asked),
            (json!({ "phase": "backoff", "why": "…" }), "backoff", Look::Bad),
            (json!({ "phase": "of a later version" }), "of a later version", Look::Pending),
        ] {
            let mut unit = json!({
                "name": "async.web", "wanted": "up", "healthy": true, "since_ms": 0, "restarts": 0,
            });
            unit.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
            let unit: UnitState = serde_json::from_value(unit).unwrap();
            assert_eq!(state(&unit), (word, look), "{unit:?}");
        }
    }

    #[test]
    fn the_page_shows_past_states_as_present_ones_look() {
        let page = include_str!("../serve/page/app.js");
        let (_, table) = page.split_once("const LOOKS = {").unwrap();
        let (table, _) = table.split_once("};").unwrap();
        let table: Vec<(&str, &str)> = table
            .split(',')
            .filter_map(|row| row.trim().split_once(": "))
            .map(|(word, look)| (word, look.trim_matches('"')))
            .collect();
        let of = |word: &str| table.iter().find(|(it, _)| *it == word).map(|(_, look)| *look);
        for word in UnitState::STATES {
            assert_eq!(of(word), Some(usual(word).word()), "{word}");
        }
        assert_eq!(table.len(), UnitState::STATES.len());
    }

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
