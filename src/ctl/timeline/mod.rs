//! `trcctl timeline`: the life of a run, and what it waited for.
//!
//! `source.rs` fills the plain data of [`crate::report::timeline`] from a running trc or a file. `path.rs`
//! finds the critical paths. `text.rs` draws for a terminal, with the parts and the scale of `scale.rs`,
//! and `svg.rs` as a picture. `diff.rs` compares two runs. All of these but the first are pure.

mod diff;
mod path;
#[cfg(test)]
mod samples;
mod scale;
mod source;
mod svg;
mod text;

use std::path::Path;

use serde::Serialize;

use super::fitting::width;
use super::live::{Color, complain, failed, say};
use crate::report::timeline::Timeline;
use crate::status;
use path::Step;

/// The width of the text if standard output is not a terminal.
const USUAL_WIDTH: usize = 80;

/// The format of the timeline.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// Text for a terminal.
    #[default]
    Text,
    /// A picture.
    Svg,
    /// JSON, for programs and for `trcctl timeline diff`.
    Json,
}

impl Format {
    /// The words for the formats.
    pub const WORDS: [(&str, Self); 3] =
        [("text", Self::Text), ("svg", Self::Svg), ("json", Self::Json)];
}

/// What to draw, and how.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The file with the timeline; `None` for that of a running trc.
    pub file: Option<&'a Path>,
    /// The control socket of that, if it is not the usual one.
    pub socket: Option<&'a Path>,
    /// The format.
    pub format: Format,
    /// Whether to draw the whole run even if it went on for long.
    pub whole: bool,
    /// The file to write to; `None` for standard output.
    pub output: Option<&'a Path>,
    /// Whether to print colours.
    pub color: Color,
}

/// The JSON of a timeline, with its critical paths.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    timeline: &'a Timeline,
    critical_path_to_ready: Vec<Part>,
    critical_path_of_stop: Vec<Part>,
}

/// A step of a path in JSON.
#[derive(Serialize)]
struct Part {
    /// The unit; missing for trc itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    text: String,
    from_ms: u64,
    to_ms: u64,
}

impl From<Step> for Part {
    fn from(step: Step) -> Self {
        let text = text::told(&step);
        Self { text, unit: step.unit, from_ms: step.from, to_ms: step.to }
    }
}

/// Draws a timeline. Returns the exit status.
#[must_use]
pub fn run(drawn: Drawn<'_>) -> u8 {
    let Drawn { file, socket, format, whole, output, color } = drawn;
    let timeline = match file {
        Some(path) => match source::file(path) {
            Ok(timeline) => timeline,
            Err(why) => return wrong(&why),
        },
        None => match source::live(socket) {
            Ok(timeline) => timeline,
            Err(why) => return failed(&why),
        },
    };
    let color = if output.is_some() { Color::Never } else { color };
    let text = match format {
        Format::Text => text::draw(&timeline, width().unwrap_or(USUAL_WIDTH), whole, color),
        Format::Svg => svg::draw(&timeline, whole),
        Format::Json => {
            let parts = |steps: Vec<Step>| steps.into_iter().map(Part::from).collect();
            let told = Told {
                critical_path_to_ready: parts(path::to_ready(&timeline)),
                critical_path_of_stop: parts(path::of_stop(&timeline)),
                timeline: &timeline,
            };
            serde_json::to_string_pretty(&told).unwrap_or_default() + "\n"
        }
    };
    match output {
        None => {
            say(&text);
            0
        }
        Some(path) => match std::fs::write(path, text) {
            Ok(()) => 0,
            Err(why) => {
                let why = crate::config::reason(&why);
                wrong(&format!("cannot write {}: {why}", path.display()))
            }
        },
    }
}

/// Compares two timelines. Returns the exit status: 1 if something has become slower by more than this
/// percentage.
#[must_use]
pub fn compare(old: &Path, new: &Path, percent: Option<u64>, color: Color) -> u8 {
    let (old, new) = match (source::file(old), source::file(new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(why), _) | (_, Err(why)) => return wrong(&why),
    };
    let (text, slower) = diff::told(&diff::rows(&old, &new), percent, color);
    say(&text);
    u8::from(!slower.is_empty())
}

/// Reads a percentage such as `20%`.
///
/// # Errors
/// Returns why this is none.
pub fn percentage(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    number.parse().map_err(|_| "expected a percentage such as 20%".to_owned())
}

fn wrong(why: &str) -> u8 {
    complain(&why);
    status::USAGE
}
