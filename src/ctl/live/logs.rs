//! `trcctl logs` and `trcctl events`.

use super::ask::Trc;
use super::paint::{Color, Look};
use super::{Options, failed, say};
use crate::wire::{Ask, Entry, Select};

/// The records to print.
#[derive(Clone, Default, Debug)]
pub struct Records {
    /// The units; all, if empty.
    pub units: Vec<String>,
    /// The number of past records.
    pub last: usize,
    /// The place after which to begin, instead of a number.
    pub since: Option<u64>,
    /// Only lines that contain this text.
    pub grep: Option<String>,
    /// Whether to go on with records as they come.
    pub follow: bool,
}

/// Prints lines of units, or if `events` those of trc. Returns the exit status.
pub fn logs(options: &Options, records: Records, events: bool) -> u8 {
    let Records { units, last, since, grep, follow } = records;
    let last = if since.is_some() { usize::MAX } else { last };
    let select = Select { units, last, since, grep, follow };
    let ask = if events { Ask::Events(select) } else { Ask::Logs(select) };
    let trc = Trc::at(options.socket.as_deref());
    let mut seen = Vec::new();
    let missing = if events { "lines" } else { "bytes of output" };
    let done = trc.stream(&ask, |json| {
        let line = match serde_json::from_str::<Entry>(json) {
            Ok(entry) if !options.json => text(&entry, options.color, &mut seen, missing),
            // What a newer trc says is passed on as it is.
            Ok(_) | Err(_) => json.to_owned(),
        };
        // Nobody reads any more, such as `head`.
        say(&(line + "\n"))
    });
    done.map_or_else(|why| failed(&why), |()| 0)
}

/// Returns a record as a line. Each unit has the next colour when it is first seen. `missing` says
/// what a gap counts.
fn text(entry: &Entry, color: Color, seen: &mut Vec<String>, missing: &str) -> String {
    let time = |time: &str| color.paint(Look::Dim, short(time));
    match entry {
        Entry::Written(line) => {
            let number = seen.iter().position(|unit| *unit == line.unit).unwrap_or_else(|| {
                seen.push(line.unit.clone());
                seen.len() - 1
            });
            let unit = color.paint(Look::Unit(number), &format!("{} |", line.unit));
            format!("{} {unit} {}", time(&line.time), line.line)
        }
        Entry::Said(said) => {
            let look = Look::of_level(&said.level);
            let level = color.paint(look, &format!("{}:", said.level));
            format!("{} {level} {}", time(&said.time), said.message)
        }
        Entry::Gap(gap) => {
            format!(
                "... about {} {missing} are missing, because trc keeps only the last ones",
                gap.missing
            )
        }
    }
}

/// Returns the time of day of an RFC 3339 time.
pub(super) fn short(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}
