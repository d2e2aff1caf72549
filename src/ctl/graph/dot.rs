//! The graph in the language of Graphviz.

use std::fmt::Write;

use super::picture::{Kind, Picture, Unit};
use crate::config::Stage;

/// Returns the graph as a `digraph` with a cluster for each stage.
pub(super) fn write(picture: &Picture) -> String {
    let mut out = String::from("digraph trc {\n");
    _ = writeln!(out, "  label=\"{}\"\n  labelloc=t", label(&picture.title));
    out.push_str("  rankdir=LR\n  compound=true\n  fontname=\"sans-serif\"\n");
    out.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"]\n");
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10]\n");
    for stage in Stage::ALL {
        let units = picture.stage(stage);
        if units.is_empty() {
            continue;
        }
        _ = writeln!(out, "  subgraph \"cluster_{stage}\" {{\n    label=\"{stage}\"");
        for at in units {
            let unit = &picture.units[at];
            _ = writeln!(out, "    \"{}\" [label=\"{}\"{}]", id(&unit.id), text(unit), look(unit));
        }
        out.push_str("  }\n");
    }
    for arrow in &picture.arrows {
        let (from, to) = (&picture.units[arrow.from], &picture.units[arrow.to]);
        // A line from every unit to every such test would hide all others; its label says so.
        if !arrow.written && to.after_all && from.stage != Stage::Test {
            continue;
        }
        let look = match (arrow.written, arrow.together) {
            (false, _) => "style=dotted".to_owned(),
            (true, false) => format!("label=\"{}\"", arrow.condition),
            (true, true) => format!("label=\"{}, restarts together\", style=bold", arrow.condition),
        };
        _ = writeln!(out, "  \"{}\" -> \"{}\" [{look}]", id(&from.id), id(&to.id));
    }
    for pair in picture.steps().windows(2) {
        let [(earlier, before), (later, after)] = pair else { continue };
        if let (Some(from), Some(to)) = (before.last(), after.first()) {
            _ = writeln!(
                out,
                "  \"{}\" -> \"{}\" [ltail=\"cluster_{earlier}\", lhead=\"cluster_{later}\", style=dashed]",
                id(&picture.units[*from].id),
                id(&picture.units[*to].id)
            );
        }
    }
    out.push_str("}\n");
    out
}

/// Returns the lines of a box.
fn text(unit: &Unit) -> String {
    let mut lines = vec![label(&unit.label), unit.kind.word().to_owned()];
    if let Some(due) = unit.due() {
        lines.push(label(&due));
    }
    if unit.after_all {
        lines.push("after all units".to_owned());
    }
    lines.join("\\n")
}

fn look(unit: &Unit) -> &'static str {
    match unit.kind {
        Kind::External => ", style=\"rounded,dashed\"",
        Kind::Job => ", shape=oval",
        Kind::OneShot => ", style=solid",
        Kind::Service | Kind::Test => "",
    }
}

/// Escapes the name of a node, for double quotes.
fn id(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Escapes a label, in which Graphviz also replaces the entities of HTML.
fn label(text: &str) -> String {
    id(&text.replace('&', "&amp;"))
}
