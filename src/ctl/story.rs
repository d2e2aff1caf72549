//! Stories of runs: the lines that trc writes, each with the time since the run began.

use std::fmt::Write as _;
use std::time::Duration;

use log::Level;
use serde::Serialize;

use super::fitting::{cells_of, wrap};
use super::live::{Color, Look};
use crate::graph::Graph;
use crate::record::replay::Told;
use crate::text::harmless;
use crate::words::Line;

/// The name of trc itself in the column of the units.
const OWN: &str = "trc";
/// A space at which no line is broken.
const GLUE: char = '\u{a0}';
/// The least room for messages that are broken into lines.
const ROOM: usize = 30;

/// A line of trc's log.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Moment {
    /// The time since the run began, in seconds.
    at: f64,
    /// `error`, `warn`, `info` or `debug`.
    level: &'static str,
    /// The full name of the unit that the line is about.
    unit: Option<String>,
    /// The kind of event, as in trc's log.
    event: String,
    /// The exit status, if something has exited.
    exitcode: Option<u8>,
    message: String,
}

impl Moment {
    pub(super) fn new(at: Duration, line: &Line, graph: &Graph) -> Self {
        Self {
            at: to_the_millisecond(at),
            level: word(line.level),
            unit: line.unit.map(|id| graph.node(id).unit.id()),
            event: line.event.word().to_owned(),
            exitcode: line.status,
            message: line.message.clone(),
        }
    }
}

impl From<Told> for Moment {
    fn from(line: Told) -> Self {
        let Told { at, level, event, status: exitcode, unit, message } = line;
        Self { at: to_the_millisecond(at), level: word(level), unit, event, exitcode, message }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

/// Returns a time in seconds, for JSON.
pub(super) fn to_the_millisecond(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Returns a story for people. Long messages are broken into lines if there is a width.
pub(super) fn lines(story: &[Moment], width: Option<usize>, color: Color) -> String {
    let whose = |moment: &Moment| moment.unit.clone().unwrap_or_else(|| OWN.to_owned());
    let mut seen: Vec<String> = Vec::new();
    let widest = story.iter().map(|moment| cells_of(&whose(moment))).max().unwrap_or(0);
    // The time, the level and the unit.
    let indent = 9 + 1 + 5 + 1 + widest + 2;
    let room = width.and_then(|width| width.checked_sub(indent)).filter(|room| *room >= ROOM);
    let mut text = String::new();
    for moment in story {
        let name = whose(moment);
        let number = seen.iter().position(|unit| *unit == name).unwrap_or_else(|| {
            seen.push(name.clone());
            seen.len() - 1
        });
        let look = if moment.unit.is_some() { Look::Unit(number) } else { Look::Dim };
        let fill = " ".repeat(widest - cells_of(&name));
        let time = color.paint(Look::Dim, &format!("{:9.3}", moment.at));
        let level = color.paint(Look::of_level(moment.level), &format!("{:5}", moment.level));
        _ = write!(text, "{time} {level} {}{fill}  ", color.paint(look, &name));
        let broken = wrap(&glued(&harmless(&moment.message)), room);
        text.push_str(&broken.join(&format!("\n{:indent$}", "")).replace(GLUE, " "));
        text.push('\n');
    }
    text
}

/// Keeps numbers together with the unit of time that follows.
fn glued(text: &str) -> String {
    let mut words = text.split(' ').peekable();
    let mut glued = String::new();
    while let Some(word) = words.next() {
        glued.push_str(word);
        let number = word.ends_with(|c: char| c.is_ascii_digit());
        let unit = |next: &&str| next.trim_end_matches([',', ';', ':', ')', '.']) == "s";
        match words.peek() {
            Some(next) if number && unit(next) => glued.push(GLUE),
            Some(_) => glued.push(' '),
            None => {}
        }
    }
    glued
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn moment(ms: u64, level: Level, message: &str) -> Moment {
        Moment {
            at: to_the_millisecond(Duration::from_millis(ms)),
            level: if level == Level::Warn { "warn" } else { "info" },
            unit: (level == Level::Warn).then(|| "async.db".to_owned()),
            event: "log".to_owned(),
            exitcode: None,
            message: message.to_owned(),
        }
    }

    #[test]
    fn lines_have_the_time_the_level_and_the_unit() {
        let story = [moment(0, Level::Info, "it begins"), moment(10_112, Level::Warn, "oops")];
        let text = "    0.000 info  trc       it begins\n   10.112 warn  async.db  oops\n";
        assert_eq!(lines(&story, None, Color::Never), text);
    }

    #[test]
    fn long_messages_continue_below_themselves() {
        let message =
            "restarting async.db in 0.112 s: it was killed by SIGKILL (restart 1 within 60 s)";
        let text = "   10.112 warn  async.db  restarting async.db in 0.112 s:\n                          \
                    it was killed by SIGKILL\n                          (restart 1 within 60 s)\n";
        let story = [moment(10_112, Level::Warn, message)];
        assert_eq!(lines(&story, Some(58), Color::Never), text);
        assert_eq!(lines(&story, Some(40), Color::Never).lines().count(), 1);
    }

    #[test]
    fn numbers_stay_with_their_units() {
        assert_eq!(glued("after 3 s, in 2 steps"), "after 3\u{a0}s, in 2 steps");
    }

    #[test]
    fn colours_are_for_the_time_the_level_and_the_unit() {
        let text = "\x1b[2m    1.000\x1b[0m \x1b[33mwarn \x1b[0m \x1b[36masync.db\x1b[0m  x\n";
        assert_eq!(lines(&[moment(1000, Level::Warn, "x")], None, Color::Always), text);
    }
}
