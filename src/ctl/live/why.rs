//! `trcctl why`: the units from one that is not up to the cause.

use std::fmt::Write as _;

use super::ask::{NoAnswer, Trc};
use super::paint::Look;
use super::status::{last_end, state, time};
use super::{Options, failed, say};
use crate::text::harmless;
use crate::wire::{Ask, Entry, Select, UnitState, Units};

/// The number of lines of output that are shown of the cause.
const LINES: usize = 5;

/// Prints why a unit is not up. Returns the exit status.
pub fn why(options: &Options, unit: &str) -> u8 {
    let trc = Trc::at(options.socket.as_deref());
    match chain(&trc, unit) {
        Ok(units) => {
            let text = if options.json {
                serde_json::to_string_pretty(&Units { units }).unwrap_or_default() + "\n"
            } else {
                told(&trc, options, &units)
            };
            say(&text);
            0
        }
        Err(why) => failed(&why),
    }
}

/// Returns the unit, the one that it waits for, and so on to the one that waits for nothing.
pub(super) fn chain(trc: &Trc, unit: &str) -> Result<Vec<UnitState>, NoAnswer> {
    let first: UnitState = trc.get(&Ask::Unit(unit.to_owned(), None))?;
    let all = trc.get::<Units>(&Ask::Units)?.units;
    let mut chain = vec![first];
    while let Some(next) = chain.last().and_then(|last| blocks(last, &all))
        // The states are not all of the same moment.
        && chain.iter().all(|seen| seen.name != next.name)
    {
        chain.push(next.clone());
    }
    Ok(chain)
}

/// Returns the unit that another one waits for, or whose failure led to that of the other one, if it is
/// not up again.
pub(super) fn blocks<'u>(unit: &UnitState, all: &'u [UnitState]) -> Option<&'u UnitState> {
    if ["held", "idle"].contains(&unit.wanted.as_str()) {
        return None;
    }
    if unit.phase != "waiting" {
        let by = unit.because_of.first()?;
        return all.iter().find(|other| other.name == *by && !other.is_up());
    }
    if let Some(name) = &unit.waits_for {
        return all.iter().find(|other| other.name == *name);
    }
    // Boot units run one after the other, and the rest waits for all of them.
    all.iter().find(|other| {
        other.name.starts_with("boot.") && !["ended", "waiting"].contains(&other.phase.as_str())
    })
}

/// Returns the chain as text, with all that is known about its end.
pub(super) fn told(trc: &Trc, options: &Options, chain: &[UnitState]) -> String {
    let mut text = String::new();
    let paint = |look, text: &str| options.color.paint(look, text);
    for (depth, unit) in chain.iter().enumerate() {
        let (word, look) = state(unit);
        let (indent, last) = (" ".repeat(2 * depth), depth + 1 == chain.len());
        let name = paint(Look::Bold, &unit.name);
        let (what, reason) = match &unit.why {
            Some(why) => match why.split_once(": ") {
                Some((what, reason)) => (what.to_owned(), Some(reason)),
                None => (why.clone(), None),
            },
            None => (format!("is {word}"), None),
        };
        let since = paint(Look::Dim, &format!("(for {})", time(unit.since_ms)));
        _ = writeln!(text, "{indent}{name} {} {since}", paint(look, &what));
        if !last {
            continue;
        }
        let mut line = |head: &str, what: &str| {
            _ = writeln!(text, "{indent}  {} {what}", paint(Look::Dim, &format!("{head:12}")));
        };
        if let Some(reason) = reason {
            line("the reason:", reason);
        }
        if !unit.because_of.is_empty() {
            line("because of:", &unit.because_of.join(" <- "));
        }
        if let Some(end) = last_end(unit).filter(|_| unit.phase != "ended") {
            line("last exit:", &end);
        }
        if let Some(deadline) = deadline(unit) {
            line("next:", &deadline);
        }
        if let Some(next) = unit.next_run_ms {
            line("next run:", &format!("in {}", time(next)));
        }
        if !unit.restarts_by_reason.is_empty() {
            let counts = unit.restarts_by_reason.iter();
            let counts: Vec<String> =
                counts.map(|(reason, count)| format!("{count} × {reason}")).collect();
            line("restarts:", &counts.join(", "));
        }
        for path in &unit.changed_files {
            line("changed:", &format!("{path}, since its start; `trcctl reload` restarts it"));
        }
        if ["held", "idle"].contains(&unit.wanted.as_str()) {
            line("to do:", &format!("trcctl start {}", unit.name));
        }
        if !unit.is_up() {
            for (at, output) in last_output(trc, &unit.name).iter().enumerate() {
                line(if at == 0 { "last output:" } else { "" }, &format!("| {output}"));
            }
        }
    }
    text
}

/// Returns what trc does next about a unit, and when.
pub(super) fn deadline(unit: &UnitState) -> Option<String> {
    let rest = time(unit.deadline_ms?);
    Some(match unit.phase.as_str() {
        "backoff" | "retrying" => format!("trc starts it again in {rest}"),
        "stopping" => format!("trc kills it if it has not exited in {rest}"),
        _ => format!("it fails if it is not ready in {rest}"),
    })
}

/// Returns the last lines that a unit has written. There may be none, or trc may be gone meanwhile.
fn last_output(trc: &Trc, unit: &str) -> Vec<String> {
    let select = Select {
        units: vec![unit.to_owned()],
        last: LINES,
        since: None,
        grep: None,
        follow: false,
    };
    let mut lines = Vec::new();
    _ = trc.stream(&Ask::Logs(select), |json| {
        if let Ok(Entry::Written(line)) = serde_json::from_str(json) {
            // What has control characters could forge the lines around it.
            lines.push(harmless(&line.line));
        }
        true
    });
    lines
}
