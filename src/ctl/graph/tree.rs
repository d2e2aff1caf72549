//! The graph as a tree, for a terminal: each unit is below the last of those that it waits for, and
//! the others name it, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::layout::ranks;
use super::picture::{Kind, Picture};
use crate::config::Stage;
use crate::ctl::fitting::{cells_of, cut, end, wrap};
use crate::ctl::live::{Color, Look};

/// The least width of the last column on a terminal. Other columns make room for it.
const LAST: usize = 24;
/// The least width of a name and of the gap behind it.
const NAME: usize = 8;
/// The columns, and the last of them to go on a narrow terminal.
const HEADS: [&str; 5] = ["UNIT", "KIND", "READY", "RESTART", "STARTS"];

/// A line of the tree.
struct Row {
    /// The lines that lead to the unit.
    guide: String,
    /// The same for further lines about the unit.
    below: String,
    /// The unit, or units that are shown elsewhere.
    what: What,
}

enum What {
    Unit(usize),
    Elsewhere(Vec<usize>),
}

/// Returns the tree. `width` is that of the terminal.
pub(super) fn draw(picture: &Picture, width: Option<usize>, color: Color) -> String {
    if picture.units.is_empty() {
        return format!("{}: there are no units\n", picture.title);
    }
    let mut out = String::new();
    let mut stages: Vec<(Stage, Vec<Row>)> =
        Stage::ALL.into_iter().map(|stage| (stage, rows(picture, stage))).collect();
    if let Some(width) = width {
        let room = (width * 2 / 5).min(width.saturating_sub(LAST + NAME)).max(2);
        for row in stages.iter_mut().flat_map(|(_, rows)| rows) {
            row.guide = end(&row.guide, room);
            row.below = end(&row.below, room);
        }
    }
    let columns = Columns::of(picture, &stages, width);
    columns.write(&mut out, &HEADS.map(str::to_owned), [Look::Bold; 5], "", "", color);
    for (stage, rows) in &stages {
        if rows.is_empty() {
            continue;
        }
        let about = match stage {
            Stage::Boot => "before everything else, one after another",
            Stage::Async => "in the background, all at the same time",
            Stage::Sync => "in the foreground, one after another",
            Stage::Test => "in a test run only, one after another",
            Stage::Halt => "when everything has stopped, one after another",
        };
        out.push_str(&color.paint(Look::Bold, stage.name()));
        let about = cut(about, width.map(|width| width.saturating_sub(stage.name().len() + 2)));
        _ = writeln!(out, "  {}", color.paint(Look::Dim, &about));
        for row in rows {
            match &row.what {
                What::Unit(at) => {
                    let cells = cells(picture, *at);
                    let looks = [
                        Look::Bold,
                        look(picture.units[*at].kind),
                        Look::Plain,
                        Look::Plain,
                        Look::Plain,
                    ];
                    columns.write(&mut out, &cells, looks, &row.guide, &row.below, color);
                }
                What::Elsewhere(units) => {
                    let names: Vec<&str> =
                        units.iter().map(|at| picture.units[*at].label.as_str()).collect();
                    let room = width.map(|width| width.saturating_sub(cells_of(&row.guide)));
                    for (at, line) in wrap(&names.join(", "), room).iter().enumerate() {
                        let guide = if at == 0 { &row.guide } else { &row.below };
                        out.push_str(&color.paint(Look::Dim, &format!("{guide}{line}")));
                        out.push('\n');
                    }
                }
            }
        }
    }
    let is_elsewhere = |row: &Row| matches!(row.what, What::Elsewhere(_));
    let mut legend = Vec::new();
    if picture.links.iter().any(|link| link.written) {
        legend.push("after: starts when these units are ready, or meet the condition in (…)");
    }
    if stages.iter().any(|(_, rows)| rows.iter().any(is_elsewhere)) {
        legend.push("╰╌ units that also wait for the unit above, and are shown elsewhere");
    }
    for (at, line) in legend.into_iter().flat_map(|text| wrap(text, width)).enumerate() {
        out.push_str(if at == 0 { "\n" } else { "" });
        out.push_str(&color.paint(Look::Dim, &line));
        out.push('\n');
    }
    stops(&mut out, picture, width, color);
    out
}

/// Writes the order in which the units stop.
fn stops(out: &mut String, picture: &Picture, width: Option<usize>, color: Color) {
    if picture.stop.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&color.paint(Look::Bold, "stop"));
    let about = cut(
        "each unit after all units that depend on it",
        width.map(|width| width.saturating_sub(6)),
    );
    _ = writeln!(out, "  {}", color.paint(Look::Dim, &about));
    let mut steps: Vec<String> = Vec::new();
    for step in &picture.stop {
        let names: Vec<&str> = step.iter().map(|at| picture.units[*at].label.as_str()).collect();
        steps.push(names.join(", "));
    }
    if !picture.stage(Stage::Halt).is_empty() {
        steps.push("the halt units".to_owned());
    }
    let widest = steps.len().to_string().len();
    for (at, step) in steps.iter().enumerate() {
        let number = format!("  {:>widest$}  ", at + 1);
        let room = width.map(|width| width.saturating_sub(number.len()));
        for (line, text) in wrap(step, room).iter().enumerate() {
            let lead = if line == 0 { number.clone() } else { " ".repeat(number.len()) };
            _ = writeln!(out, "{}{text}", color.paint(Look::Dim, &lead));
        }
    }
}

/// Returns the lines of a stage.
fn rows(picture: &Picture, stage: Stage) -> Vec<Row> {
    let units = picture.stage(stage);
    let arrows: Vec<(usize, usize)> = picture
        .arrows
        .iter()
        .filter(|arrow| arrow.written && picture.units[arrow.from].stage != Stage::Boot)
        .filter(|arrow| matches!(picture.units[arrow.to].stage, Stage::Async | Stage::Sync))
        .map(|arrow| (arrow.from, arrow.to))
        .collect();
    let is_tree = stage == Stage::Async;
    let inner = arrows
        .iter()
        .filter(|(from, to)| units.binary_search(from).is_ok() && units.binary_search(to).is_ok());
    let inner: Vec<(usize, usize)> = if is_tree { inner.copied().collect() } else { Vec::new() };
    let ranks = ranks(&units, &inner);
    // The units below each one: the parent is the first of those with the highest rank.
    let mut parents: BTreeMap<usize, usize> = BTreeMap::new();
    for (from, to) in &inner {
        let known = parents.get(to).map(|parent| ranks[parent]);
        if known.is_none_or(|rank| rank < ranks[from]) {
            parents.insert(*to, *from);
        }
    }
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (child, parent) in &parents {
        children.entry(*parent).or_default().push(*child);
    }
    let mut elsewhere: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in arrows.iter().filter(|(from, to)| parents.get(to) != Some(from)) {
        elsewhere.entry(*from).or_default().push(*to);
    }
    let mut rows = Vec::new();
    let roots = units.iter().filter(|unit| !parents.contains_key(unit)).rev();
    let mut todo: Vec<(usize, String, String)> =
        roots.map(|root| (*root, "  ".to_owned(), "  ".to_owned())).collect();
    while let Some((unit, guide, below)) = todo.pop() {
        let own = children.remove(&unit).unwrap_or_default();
        let elsewhere = elsewhere.remove(&unit).unwrap_or_default();
        let has_more = !own.is_empty() || !elsewhere.is_empty();
        let inside = if has_more { format!("{below}│ ") } else { format!("{below}  ") };
        rows.push(Row { guide, below: inside, what: What::Unit(unit) });
        if !elsewhere.is_empty() {
            let (corner, line) =
                if own.is_empty() { ("╰╌ ", "   ") } else { ("├╌ ", "│  ") };
            rows.push(Row {
                guide: format!("{below}{corner}"),
                below: format!("{below}{line}"),
                what: What::Elsewhere(elsewhere),
            });
        }
        for (at, child) in own.iter().enumerate().rev() {
            let (corner, line) =
                if at + 1 == own.len() { ("╰─ ", "   ") } else { ("├─ ", "│  ") };
            todo.push((*child, format!("{below}{corner}"), format!("{below}{line}")));
        }
    }
    rows
}

/// Returns the cells of a unit, without the lines that lead to it.
fn cells(picture: &Picture, at: usize) -> [String; 5] {
    let unit = &picture.units[at];
    let with: Vec<&str> = unit.with.iter().map(|at| picture.units[*at].label.as_str()).collect();
    let restart = match (unit.restart, with.is_empty()) {
        ("no", true) => String::new(),
        ("no", false) => format!("with {}", with.join(", ")),
        (when, true) => when.to_owned(),
        (when, false) => format!("{when}, with {}", with.join(", ")),
    };
    [
        unit.label.clone(),
        unit.kind.word().to_owned(),
        unit.ready.unwrap_or_default().to_owned(),
        restart,
        picture.waits(at, false).join(", "),
    ]
}

fn look(kind: Kind) -> Look {
    match kind {
        Kind::Service => Look::Good,
        Kind::OneShot => Look::Unit(0),
        Kind::Job => Look::Asked,
        Kind::Test => Look::Unit(3),
        Kind::External => Look::Dim,
    }
}

/// The widths of the columns. A column that is left out is 0 wide.
struct Columns {
    widths: [usize; 4],
    /// The width of the last one, on a terminal.
    last: Option<usize>,
}

impl Columns {
    fn of(picture: &Picture, stages: &[(Stage, Vec<Row>)], width: Option<usize>) -> Self {
        let mut widths: [usize; 4] = std::array::from_fn(|at| HEADS[at].len());
        for row in stages.iter().flat_map(|(_, rows)| rows) {
            let What::Unit(at) = row.what else { continue };
            for (column, cell) in cells(picture, at).iter().take(4).enumerate() {
                let guide = if column == 0 { cells_of(&row.guide) } else { 0 };
                widths[column] = widths[column].max(guide + cells_of(cell));
            }
        }
        for (column, widest) in widths.iter_mut().enumerate().skip(1) {
            let is_empty = |row: &Row| match row.what {
                What::Unit(at) => cells(picture, at)[column].is_empty(),
                What::Elsewhere(_) => true,
            };
            if stages.iter().all(|(_, rows)| rows.iter().all(is_empty)) {
                *widest = 0;
            }
        }
        let Some(width) = width else { return Self { widths, last: None } };
        let used = |widths: &[usize; 4]| -> usize {
            widths.iter().filter(|width| **width > 0).map(|width| width + 2).sum()
        };
        for column in [3, 1, 2] {
            if used(&widths) + LAST > width {
                widths[column] = 0;
            }
        }
        widths[0] = widths[0].min(width.saturating_sub(LAST + 2).max(NAME));
        let last = width.saturating_sub(used(&widths));
        Self { widths, last: Some(last.max(1)) }
    }

    /// Writes a row, whose last cell may take several lines.
    fn write(
        &self,
        out: &mut String,
        cells: &[String; 5],
        looks: [Look; 5],
        guide: &str,
        below: &str,
        color: Color,
    ) {
        let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(cells_of(text)) + 2);
        for (at, line) in wrap(&cells[4], self.last).iter().enumerate() {
            let mut row = String::new();
            let mut gap = String::new();
            let shown = cells.iter().zip(looks).zip(self.widths.iter().copied());
            for (column, ((cell, look), width)) in shown.enumerate().filter(|(_, it)| it.1 > 0) {
                let lead = match column {
                    0 if at == 0 => guide,
                    0 => below,
                    _ => "",
                };
                let room = width.saturating_sub(cells_of(lead));
                let cell = if at == 0 { cut(cell, Some(room)) } else { String::new() };
                if column == 0 || !cell.is_empty() {
                    row.push_str(&gap);
                    gap.clear();
                }
                if !lead.is_empty() {
                    row.push_str(&color.paint(Look::Dim, lead));
                }
                if !cell.is_empty() {
                    row.push_str(&color.paint(look, &cell));
                }
                gap.push_str(&pad(&format!("{lead}{cell}"), width));
            }
            if !line.is_empty() {
                row.push_str(&gap);
                row.push_str(&color.paint(looks[4], line));
            }
            out.push_str(row.trim_end());
            out.push('\n');
        }
    }
}
