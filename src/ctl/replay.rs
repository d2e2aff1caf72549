//! `trcctl replay`: decides a recorded run again.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use crate::record::replay::{Difference, Replayed, Tail, Told, Unplayable, read, replay};
use crate::text::harmless;

/// Replays the record in a file: prints every line that trc has logged about the run, and whether
/// the engine decides the same again. Returns the exit status.
///
/// # Errors
/// Returns why the file cannot be read or replayed.
pub fn run(path: &Path, as_json: bool) -> Result<u8, String> {
    let unreadable = |why: String| format!("cannot replay {}: {why}", path.display());
    let text = std::fs::read(path).map_err(|error| unreadable(crate::config::reason(&error)))?;
    let mut lines = Vec::new();
    let replayed = read(&text)
        .and_then(|entries| replay(path, &entries, &mut |told| lines.push(told)))
        .map_err(|why| unreadable(unplayable(&why)))?;
    let text = if as_json { object(&lines, &replayed) } else { told(&lines, &replayed) };
    _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(u8::from(replayed.differs.is_some()))
}

/// Returns why a record cannot be replayed, to follow the name of the file.
fn unplayable(why: &Unplayable) -> String {
    match why {
        Unplayable::NoRecord => {
            "it is not a record of a run, which trc writes with TRC_RECORD=FILE".to_owned()
        }
        Unplayable::NoEntry(line, why) => format!("line {line} is not an entry of a record: {why}"),
        Unplayable::Later(version) => format!(
            "its format is version {version}, and this trcctl knows only versions up to {}: use a \
             newer trcctl",
            crate::record::VERSION
        ),
        Unplayable::Settings(wrong) => {
            let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            format!("its configuration is wrong\n{}", wrong.join("\n"))
        }
        Unplayable::NoUnit(line) => format!("line {line} is about a unit that does not exist"),
    }
}

/// Returns the lines of the run, and the verdict on it.
fn told(lines: &[Told], replayed: &Replayed) -> String {
    let mut out = String::new();
    for Told { at, level, unit, message } in lines {
        let level = level.as_str().to_ascii_lowercase();
        let unit = unit.as_deref().unwrap_or("trc");
        _ = writeln!(out, "{:>9.3} {level:<5} {unit:<16} {}", at.as_secs_f64(), harmless(message));
    }
    let events = replayed.events;
    let until = replayed.until.as_secs_f64();
    match (replayed.tail, replayed.status) {
        (Tail::Ended, Some(status)) => {
            _ = writeln!(
                out,
                "\nthe run exited with {status} after {until:.3} s ({events} events)"
            );
        }
        (Tail::Full, _) => {
            _ = writeln!(
                out,
                "\nthe record was full after {until:.3} s ({events} events); the run went on"
            );
        }
        (Tail::Open | Tail::Ended, _) => {
            _ = writeln!(
                out,
                "\nthe record ends after {until:.3} s ({events} events), and the run had not ended"
            );
        }
    }
    match &replayed.differs {
        None => out.push_str("the engine decides the same again\n"),
        Some(difference) => out.push_str(&differs(difference, &replayed.by)),
    }
    out
}

fn differs(difference: &Difference, by: &str) -> String {
    let Difference { line, at, event, recorded, decided } = difference;
    let own = env!("CARGO_PKG_VERSION");
    let mut out = format!(
        "the engine decides something else after {:.3} s (line {line} of the record)\n  event     {event}\n",
        at.as_secs_f64()
    );
    let all = |list: &[String]| match list {
        [] => "nothing".to_owned(),
        list => list.join("\n            "),
    };
    _ = writeln!(out, "  recorded  {}", all(recorded));
    _ = writeln!(out, "  decided   {}", all(decided));
    if by != own {
        _ = writeln!(out, "trc {by} has written the record, and this is trcctl {own}");
    }
    out
}

fn object(lines: &[Told], replayed: &Replayed) -> String {
    let nanos = |at: &std::time::Duration| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    let lines: Vec<_> = lines
        .iter()
        .map(|Told { at, level, unit, message }| {
            let level = level.as_str().to_ascii_lowercase();
            json!({ "at_ns": nanos(at), "level": level, "unit": unit, "message": message })
        })
        .collect();
    let differs = replayed.differs.as_ref().map(|it| {
        json!({
            "line": it.line, "at_ns": nanos(&it.at), "event": it.event,
            "recorded": it.recorded, "decided": it.decided,
        })
    });
    let tail = match replayed.tail {
        Tail::Ended => "ended",
        Tail::Full => "full",
        Tail::Open => "open",
    };
    let object = json!({
        "lines": lines, "differs": differs, "record": tail, "status": replayed.status,
        "events": replayed.events, "until_ns": nanos(&replayed.until), "by": replayed.by, "pid": replayed.pid,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
}
