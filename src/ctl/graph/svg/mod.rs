//! The graph as a picture: a panel for each stage, and within the main one the units from left to
//! right by what they wait for.
//!
//! It has to look right in a README, so it has no script, no font of its own and no variables of CSS:
//! its attributes are those of a light page, and a style element has the colours of a dark one. It
//! brings its own background, for readers that do not know which page they are on.

mod panel;
mod pen;

use std::collections::BTreeSet;

use super::picture::Picture;
use crate::config::Stage;
use panel::{Panel, Sort};
use pen::{Pen, Weight};

pub(in crate::ctl) use pen::{Ink, escaped, page};

/// The room around the whole.
const MARGIN: f64 = 16.0;
/// The room between two panels, for an arrow.
const BETWEEN: f64 = 34.0;
/// The width of a picture that has hardly anything in it. The longest line of the legend fits in.
const NARROWEST: f64 = 320.0;

/// Returns the picture.
pub(super) fn draw(picture: &Picture) -> String {
    let mut panels: Vec<Panel> = Vec::new();
    let main = Panel::of(picture, Sort::Main, 0.0);
    let tallest = main.as_ref().map_or(0.0, |main| main.height);
    let list = |stage| Panel::of(picture, Sort::List(stage), tallest);
    panels.extend(list(Stage::Boot));
    panels.extend(main);
    panels.extend(list(Stage::Test));
    panels.extend(list(Stage::Halt));
    let height = panels.iter().map(|panel| panel.height).fold(60.0, f64::max);

    let mut pen = Pen::default();
    let mut x = MARGIN;
    let mut drawn = BTreeSet::new();
    for (at, panel) in panels.iter().enumerate() {
        if at > 0 {
            let y = MARGIN + panel::HEAD / 2.0;
            pen.between(x - BETWEEN + 7.0, x - 7.0, y);
        }
        drawn.extend(panel.draw(picture, &mut pen, (x, MARGIN), height));
        x += panel.width + BETWEEN;
    }
    let width = (x - BETWEEN + MARGIN).max(NARROWEST);
    if panels.is_empty() {
        pen.text((MARGIN, MARGIN + 36.0), "there are no units", Ink::Soft, Weight::Detail);
    }
    let mut bottom = MARGIN + height + MARGIN;
    if !drawn.is_empty() {
        bottom += pen.legend(&drawn, (MARGIN + 4.0, bottom + 4.0), width - MARGIN);
    }
    pen.finish(&picture.title, &description(picture), (width, bottom))
}

/// Returns the whole graph in words, for those who do not see it.
fn description(picture: &Picture) -> String {
    let mut text: Vec<String> = Vec::new();
    for stage in Stage::ALL {
        let units = picture.stage(stage);
        if units.is_empty() {
            continue;
        }
        let one = |at: usize| {
            let unit = &picture.units[at];
            let waits = picture.waits(at, true);
            let waits =
                if waits.is_empty() { String::new() } else { format!(" {}", waits.join(" ")) };
            format!("{} ({}){waits}", unit.label, unit.kind.word())
        };
        let units: Vec<String> = units.into_iter().map(one).collect();
        text.push(format!("Stage {}: {}.", stage.name(), units.join("; ")));
    }
    let steps = picture.stop.iter().map(|step| {
        let names: Vec<&str> = step.iter().map(|at| picture.units[*at].label.as_str()).collect();
        names.join(" and ")
    });
    let steps: Vec<String> = steps.collect();
    if !steps.is_empty() {
        text.push(format!("Stop order: {}.", steps.join(", then ")));
    }
    text.join(" ")
}
