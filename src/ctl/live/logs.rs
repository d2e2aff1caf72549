//! `trcctl logs` and `trcctl events`.

use std::io::{self, Write};

use super::ask::Trc;
use super::{Options, failed};
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
    let mut out = io::stdout().lock();
    let done = trc.stream(&ask, |json| {
        let line = match serde_json::from_str::<Entry>(json) {
            Ok(entry) if !options.json => text(&entry),
            // What a newer trc says is passed on as it is.
            Ok(_) | Err(_) => json.to_owned(),
        };
        // Nobody reads any more, such as `head`.
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    });
    done.map_or_else(|why| failed(&why), |()| 0)
}

fn text(entry: &Entry) -> String {
    match entry {
        Entry::Written(line) => format!("{} {} | {}", short(&line.time), line.unit, line.line),
        Entry::Said(said) => format!("{} {}: {}", short(&said.time), said.level, said.message),
        Entry::Gap(gap) => {
            format!("... {} missing, because trc keeps only the last output", gap.missing)
        }
    }
}

/// Returns the time of day of an RFC 3339 time.
fn short(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}
