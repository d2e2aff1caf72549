//! `trcctl replay`: decides a recorded run again, or simulates what would have come with other values.

mod learn;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::fitting::{width, wrap};
use super::live::{Color, Look, say};
use super::simulate;
use super::story::{self, Moment, to_the_millisecond};
use crate::config::seconds;
use crate::engine::{Action, Event, Tick};
use crate::graph::Graph;
use crate::record::replay::{
    Audience, Difference, Replayed, Tail, Told, Unplayable, load, read, replay,
};
use crate::record::{Entry, Settings};
use crate::simulation::suppose::suppose;
use learn::Learnt;

/// The options of `trcctl replay`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values that some keys have instead: `KEY=VALUE`.
    pub with: Vec<OsString>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to print colours: always or never.
    pub color: Color,
}

/// Collects the lines of a run, and what it tells of the units.
#[derive(Default)]
struct Seen {
    lines: Vec<Moment>,
    learnt: Learnt,
}

impl Audience for Seen {
    fn told(&mut self, line: Told) {
        self.lines.push(line.into());
    }

    fn decided(&mut self, at: Tick, event: &Event, then: &[Action], graph: &Graph) {
        self.learnt.happened(at, event, then, graph);
    }
}

/// Replays the record in a file. Prints every line that trc has logged about the run, and whether the
/// engine decides the same again; or, with other values for some keys, what would have come. Returns
/// the exit status.
///
/// # Errors
/// Returns why the file cannot be read or replayed.
pub fn run(path: &Path, options: &Options) -> Result<u8, String> {
    let unreadable = |why: String| format!("cannot replay {}: {why}", path.display());
    if let Some(other) = options.with.iter().find(|it| !it.as_encoded_bytes().contains(&b'=')) {
        return Err(format!("--with {}: expected KEY=VALUE", other.display()));
    }
    let text = load(path).map_err(|error| unreadable(crate::config::reason(&error)))?;
    let mut seen = Seen::default();
    let why = |why: Unplayable| unreadable(unplayable(&why));
    let entries = read(&text).map_err(why)?;
    let replayed = replay(path, &entries, &mut seen).map_err(why)?;
    if options.with.is_empty() {
        say(&if options.json {
            object(&seen.lines, &replayed)
        } else {
            told(&seen.lines, &replayed, options.color)
        });
        return Ok(u8::from(replayed.differs.is_some()));
    }
    if replayed.tested {
        return Err(unreadable(
            "what tests find cannot be simulated, so --with is not for test runs".to_owned(),
        ));
    }
    if replayed.differs.is_some() {
        let why = "the engine decides differently than is recorded, so the record does not tell what would \
                   have come; replay it without --with to see the difference";
        return Err(unreadable(why.to_owned()));
    }
    let Some((_, Entry::Head(head))) = entries.first() else {
        return Err(why(Unplayable::NoRecord));
    };
    // Boot scripts may have set another command line.
    let settled = entries.iter().rev().find_map(|(_, entry)| match entry {
        Entry::Offer(offered) if !offered.reload => Some(&offered.settings),
        _ => None,
    });
    with(path, (settled.unwrap_or(&head.settings), head.chance), &replayed, &seen.learnt, options)?;
    Ok(0)
}

/// Simulates the run with other values, with units that behave as they did.
fn with(
    path: &Path,
    (settings, chance): (&Settings, u64),
    replayed: &Replayed,
    learnt: &Learnt,
    options: &Options,
) -> Result<(), String> {
    let graph = settings.graph(path, &options.with).map_err(|wrong| {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        format!("--with does not fit the recorded run\n{}", wrong.join("\n"))
    });
    let graph = graph.map_err(|why| why.replace("--config ", "--with "))?;
    let (graph, level) = (Rc::new(graph), settings.level());
    let mut lines = Vec::new();
    let end = suppose(&graph, chance, &learnt.story(&graph), &mut |at, line| {
        if line.level <= level {
            lines.push(Moment::new(at, line, &graph));
        }
    });
    if options.json {
        say(&simulate::json(&lines, &end));
        return Ok(());
    }
    let mut text = story::lines(&lines, width(), options.color);
    text.push('\n');
    text.push_str(&simulate::last(&graph, &end, options.color));
    for line in wrap(&format!("Recorded: {}", ending(replayed)), width()) {
        _ = writeln!(text, "{}", options.color.paint(Look::Dim, &line));
    }
    for note in learnt.notes() {
        for line in wrap(&format!("Not simulated: {note}"), width()) {
            _ = writeln!(text, "{}", options.color.paint(Look::Pending, &line));
        }
    }
    say(&text);
    Ok(())
}

/// Returns why a record cannot be replayed, to follow the name of the file.
pub(super) fn unplayable(why: &Unplayable) -> String {
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

/// Returns how a recorded run ended, as far as the record goes.
fn ending(replayed: &Replayed) -> String {
    let events = match replayed.events {
        1 => "1 event".to_owned(),
        many => format!("{many} events"),
    };
    let after = seconds(Duration::from_secs_f64(to_the_millisecond(replayed.until)));
    match (replayed.tail, replayed.status) {
        (Tail::Ended, Some(status)) => {
            format!("the run exited with {status} after {after} ({events})")
        }
        (Tail::Full, _) => {
            format!("the record was full after {after} ({events}), and the run went on")
        }
        (Tail::Open | Tail::Ended, _) => {
            format!("the record ends after {after} ({events}), and the run had not ended")
        }
    }
}

/// Returns the lines of the run, and the verdict on it.
fn told(lines: &[Moment], replayed: &Replayed, color: Color) -> String {
    let mut text = story::lines(lines, width(), color);
    let Some(difference) = &replayed.differs else {
        for (look, line) in [
            (Look::Dim, ending(replayed)),
            (Look::Good, "the engine decides the same again".to_owned()),
        ] {
            let gap = if look == Look::Dim { "\n" } else { "" };
            _ = writeln!(text, "{gap}{}", color.paint(look, &line));
        }
        return text;
    };
    let Difference { line, at, event, recorded, decided } = difference;
    let after = seconds(Duration::from_secs_f64(to_the_millisecond(*at)));
    let sentence =
        format!("the engine decides differently after {after} (line {line} of the record)");
    _ = writeln!(text, "\n{}", color.paint(Look::Bad, &sentence));
    let all = |list: &[String]| match list {
        [] => "nothing".to_owned(),
        list => list.join("\n            "),
    };
    for (what, value) in
        [("event", event.clone()), ("recorded", all(recorded)), ("decided", all(decided))]
    {
        _ = writeln!(text, "  {}  {value}", color.paint(Look::Dim, &format!("{what:<8}")));
    }
    let (by, own) = (&replayed.by, env!("CARGO_PKG_VERSION"));
    if by != own {
        _ = writeln!(text, "trc {by} has written the record, and this is trcctl {own}");
    }
    text
}

fn object(lines: &[Moment], replayed: &Replayed) -> String {
    let differs = replayed.differs.as_ref().map(|it| {
        json!({
            "line": it.line, "at": to_the_millisecond(it.at), "event": it.event,
            "recorded": it.recorded, "decided": it.decided,
        })
    });
    let tail = match replayed.tail {
        Tail::Ended => "ended",
        Tail::Full => "full",
        Tail::Open => "open",
    };
    let object = json!({
        "lines": lines, "differs": differs, "record": tail, "exitcode": replayed.status,
        "events": replayed.events, "after": to_the_millisecond(replayed.until), "by": replayed.by,
        "pid": replayed.pid,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
}
