//! `trcctl graph`: a picture of what waits for what, from the configuration alone.
//!
//! `picture.rs` has the content that all formats share. `tree.rs` draws it for a terminal, and `svg/`
//! as a picture, with the places that `layout.rs` computes. `dot.rs`, `mermaid.rs` and `json.rs` write
//! it for other programs. All of these are pure.

mod dot;
mod json;
mod layout;
mod mermaid;
mod picture;
mod svg;
#[cfg(test)]
mod tests;
mod tree;

use std::io::Write;
use std::path::Path;

use super::check;
use super::fitting::width;
use super::here::here;
use super::live::Color;
use crate::config::{CommandLine, Environment, load};
use crate::graph::Graph;
use crate::status;
use picture::Picture;

pub(super) use svg::{Ink, escaped, page};

/// The format of the graph.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// A tree for a terminal.
    #[default]
    Tree,
    /// A picture.
    Svg,
    /// The language of Graphviz.
    Dot,
    /// A flowchart of Mermaid.
    Mermaid,
    /// JSON, for programs.
    Json,
}

impl Format {
    /// The words for the formats.
    pub const WORDS: [(&str, Self); 5] = [
        ("tree", Self::Tree),
        ("svg", Self::Svg),
        ("dot", Self::Dot),
        ("mermaid", Self::Mermaid),
        ("json", Self::Json),
    ];
}

/// Prints the graph of a configuration, with its tests if the command line asks for them, or the
/// errors of the configuration. Returns the exit status.
#[must_use]
pub fn run(line: &CommandLine, environment: &Environment, format: Format, color: Color) -> u8 {
    // Like a list of the tests, a drawing does not need the variables that only tests need.
    let line = CommandLine { test_list: line.test.is_some(), ..here(line) };
    let Some(checked) = check::correct(&line, environment) else { return status::CONFIG };
    // The check has loaded the tests, too, which can change the kind of a unit.
    let loaded = if checked.config.testing.is_some() && line.test.is_none() {
        load(&line, environment).unwrap_or_else(|refused| *refused.understood)
    } else {
        checked
    };
    let Ok(graph) = Graph::build(&loaded.config) else { return status::CONFIG };
    let picture = Picture::of(&graph, &title(&loaded.config.work_dir));
    let text = match format {
        Format::Tree => tree::draw(&picture, width(), color.settled()),
        Format::Svg => svg::draw(&picture),
        Format::Dot => dot::write(&picture),
        Format::Mermaid => mermaid::write(&picture),
        Format::Json => json::write(&picture),
    };
    // A reader that has gone away does not change the exit status.
    _ = std::io::stdout().lock().write_all(text.as_bytes());
    0
}

/// Returns the name of the configuration, which is the name of its directory.
fn title(work_dir: &Path) -> String {
    let whole = work_dir.canonicalize();
    let name = whole.as_ref().ok().and_then(|path| path.file_name());
    name.map_or_else(|| "trc".to_owned(), |name| name.to_string_lossy().into_owned())
}
