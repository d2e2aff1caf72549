//! The graph as a flowchart of Mermaid, which GitHub and GitLab draw in Markdown.

use std::fmt::Write;

use super::picture::{Kind, Picture, Unit};
use crate::config::Stage;

/// Returns the flowchart. Its nodes have numbers, because a node cannot have just any name: `end`
/// would end a subgraph.
pub(super) fn write(picture: &Picture) -> String {
    let mut out = String::from("flowchart LR\n");
    for stage in Stage::ALL {
        let units = picture.stage(stage);
        if units.is_empty() {
            continue;
        }
        _ = writeln!(out, "  subgraph stage_{stage} [\"{stage}\"]");
        for at in units {
            let unit = &picture.units[at];
            let (open, close) = match unit.kind {
                Kind::Service | Kind::Test => ("(", ")"),
                Kind::OneShot => ("[", "]"),
                Kind::Job => ("([", "])"),
                Kind::External => ("[[", "]]"),
            };
            _ = writeln!(out, "    u{at}{open}\"{}\"{close}", text(unit));
        }
        out.push_str("  end\n");
    }
    for arrow in &picture.arrows {
        let (from, to) = (&picture.units[arrow.from], &picture.units[arrow.to]);
        if !arrow.written && to.after_all && from.stage != Stage::Test {
            continue;
        }
        _ = match (arrow.written, arrow.together) {
            (false, _) => writeln!(out, "  u{} -.-> u{}", arrow.from, arrow.to),
            (true, false) => {
                writeln!(out, "  u{} -->|\"{}\"| u{}", arrow.from, arrow.condition, arrow.to)
            }
            (true, true) => writeln!(
                out,
                "  u{} ==>|\"{}, restarts together\"| u{}",
                arrow.from, arrow.condition, arrow.to
            ),
        };
    }
    for pair in picture.steps().windows(2) {
        let [(earlier, _), (later, _)] = pair else { continue };
        _ = writeln!(out, "  stage_{earlier} -.-> stage_{later}");
    }
    out
}

/// Returns the lines of a box.
fn text(unit: &Unit) -> String {
    let mut lines = vec![escaped(&unit.label), unit.kind.word().to_owned()];
    if let Some(due) = unit.due() {
        lines.push(escaped(&due));
    }
    if unit.after_all {
        lines.push("after all units".to_owned());
    }
    lines.join("<br>")
}

/// Escapes a text in double quotes. Mermaid replaces `#35;` as HTML does `&#35;`, reads a text as HTML
/// and as Markdown, and has comments (`%%`) and directives (`%%{`), even within a text.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let is_plain = match c {
            ' ' | '_' | '/' | ':' | ',' => true,
            // At the beginning, these make a list of Markdown, as does a number with a dot.
            '-' | '.' => at > 0 && !text[at + c.len_utf8()..].starts_with(' '),
            c => !c.is_ascii_punctuation(),
        };
        if is_plain {
            out.push(c);
        } else {
            _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}
