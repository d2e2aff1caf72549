//! The panels: where the units of a stage stand.

use std::collections::{BTreeMap, BTreeSet};

use super::super::layout::{Heights, Layout, float, layout};
use super::super::picture::Picture;
use super::pen::{self, Card, Line, Pen};
use crate::config::Stage;

/// The height of the head of a panel, which has the name of the stage.
pub(super) const HEAD: f64 = 34.0;
/// The room within a panel.
const INSIDE: f64 = 14.0;
/// The heights of what stands in the layers.
const HEIGHTS: Heights = Heights { unit: pen::HEIGHT, arrow: 8.0, gap: 11.0 };
/// The room between two layers, for the arrows.
const BETWEEN: f64 = 62.0;
/// The room between two units that are next to each other.
const GAP: f64 = 12.0;

/// The kind of a panel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// The units that run at the same time: those in the background and in the foreground.
    Main,
    /// The units of a stage, one after another.
    List(Stage),
}

/// A panel, with the places of its units relative to its upper left corner.
pub(super) struct Panel {
    sort: Sort,
    heading: (String, &'static str),
    pub width: f64,
    pub height: f64,
    /// The units, with their places, widths and numbers in a list.
    places: BTreeMap<usize, Place>,
    /// The layers that the arrows run between.
    layers: Option<Layers>,
}

#[derive(Clone, Copy)]
struct Place {
    x: f64,
    /// The middle.
    y: f64,
    width: f64,
    number: Option<usize>,
}

/// The layers of the main panel.
struct Layers {
    laid: Layout,
    /// The arrows, in the order of the layout's paths, by their indices.
    arrows: Vec<usize>,
    /// The left edge and the width of each layer.
    columns: Vec<(f64, f64)>,
}

impl Panel {
    /// Returns the panel, if it has units. A list is about as high as `tallest`, or has several columns.
    pub(super) fn of(picture: &Picture, sort: Sort, tallest: f64) -> Option<Self> {
        let units: Vec<usize> = match sort {
            Sort::Main => [Stage::Async, Stage::Sync].map(|stage| picture.stage(stage)).concat(),
            Sort::List(stage) => picture.stage(stage),
        };
        if units.is_empty() {
            return None;
        }
        let has = |stage| units.iter().any(|at| picture.units[*at].stage == stage);
        let heading = match sort {
            Sort::Main if has(Stage::Async) && has(Stage::Sync) => {
                ("async and sync".to_owned(), "in the background and in the foreground")
            }
            Sort::Main if has(Stage::Sync) => ("sync".to_owned(), "in the foreground"),
            Sort::Main => ("async".to_owned(), "in the background"),
            Sort::List(stage) => (stage.name().to_owned(), "one after another"),
        };
        let mut panel =
            Self { sort, heading, width: 0.0, height: HEAD, places: BTreeMap::new(), layers: None };
        match sort {
            Sort::Main => panel.layered(picture, &units),
            Sort::List(_) => {
                let most = ((tallest - HEAD) / (pen::HEIGHT + GAP)).max(6.0);
                let mut rows = 1;
                while float(rows + 1) <= most {
                    rows += 1;
                }
                panel.listed(picture, &units, rows);
            }
        }
        let heading = pen::heading(&panel.heading.0, panel.heading.1);
        panel.width = panel.width.max(heading) + INSIDE * 2.0;
        panel.height += INSIDE;
        Some(panel)
    }

    fn layered(&mut self, picture: &Picture, units: &[usize]) {
        let arrows = &picture.arrows;
        let inner: Vec<usize> = (0..arrows.len())
            .filter(|at| {
                units.binary_search(&arrows[*at].from).is_ok()
                    && units.binary_search(&arrows[*at].to).is_ok()
            })
            .collect();
        let pairs: Vec<(usize, usize)> =
            inner.iter().map(|at| (arrows[*at].from, arrows[*at].to)).collect();
        let joined: BTreeSet<usize> = pairs.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let (joined, free): (Vec<usize>, Vec<usize>) =
            units.iter().partition(|unit| joined.contains(unit));
        if !joined.is_empty() {
            let laid = layout(&joined, &pairs, HEIGHTS);
            let mut x = INSIDE;
            let mut columns = Vec::new();
            for layer in &laid.layers {
                let units = layer.iter().filter_map(|item| laid.items[*item].unit);
                let width =
                    units.map(|unit| Card::of(picture, unit, None).width()).fold(0.0, f64::max);
                columns.push((x, width));
                for item in layer {
                    let Some(unit) = laid.items[*item].unit else { continue };
                    let y = HEAD + laid.items[*item].y;
                    self.places.insert(unit, Place { x, y, width, number: None });
                }
                x += width + BETWEEN;
            }
            self.width = x - BETWEEN - INSIDE;
            self.height += laid.height();
            self.layers = Some(Layers { laid, arrows: inner, columns });
        }
        self.grid(picture, &free);
    }

    /// Puts the units that have no arrows below the others, in rows.
    fn grid(&mut self, picture: &Picture, free: &[usize]) {
        if free.is_empty() {
            return;
        }
        let widest = free.iter().map(|unit| Card::of(picture, *unit, None).width());
        let widest = widest.fold(0.0, f64::max);
        let mut columns = 1;
        // A picture of these alone is somewhat wider than high.
        let alone = (float(free.len()) * pen::HEIGHT * 2.0 / widest).sqrt() * widest;
        while float(columns + 1) * (widest + GAP) - GAP <= self.width.max(alone) {
            columns += 1;
        }
        if !self.places.is_empty() {
            self.height += GAP * 2.0;
        }
        for (at, unit) in free.iter().enumerate() {
            let x = INSIDE + float(at % columns) * (widest + GAP);
            let y = self.height + float(at / columns) * (pen::HEIGHT + GAP) + pen::HEIGHT / 2.0;
            self.places.insert(*unit, Place { x, y, width: widest, number: None });
            self.width = self.width.max(x + widest - INSIDE);
        }
        let rows = free.len().div_ceil(columns);
        self.height += float(rows) * (pen::HEIGHT + GAP) - GAP;
    }

    fn listed(&mut self, picture: &Picture, units: &[usize], rows: usize) {
        let mut x = INSIDE;
        let columns = units.len().div_ceil(rows);
        // Columns of about the same height.
        let rows = units.len().div_ceil(columns);
        for (column, units) in units.chunks(rows).enumerate() {
            let number = |at: usize| (rows > 1 || columns > 1).then_some(column * rows + at + 1);
            let cards = units.iter().enumerate();
            let widths = cards.map(|(at, unit)| Card::of(picture, *unit, number(at)).width());
            let width = widths.fold(0.0, f64::max);
            for (at, unit) in units.iter().enumerate() {
                let y = HEAD + float(at) * (pen::HEIGHT + GAP) + pen::HEIGHT / 2.0;
                self.places.insert(*unit, Place { x, y, width, number: number(at) });
            }
            x += width + GAP;
        }
        self.width = x - GAP - INSIDE;
        self.height += float(rows) * (pen::HEIGHT + GAP) - GAP;
    }

    /// Draws the panel at this place. Returns the kinds of lines that it has.
    pub(super) fn draw(
        &self,
        picture: &Picture,
        pen: &mut Pen,
        (x, y): (f64, f64),
        height: f64,
    ) -> BTreeSet<Line> {
        pen.panel((x, y), (self.width, height), &self.heading.0, self.heading.1);
        let mut drawn = BTreeSet::new();
        // A panel that is less high than the others has its layers in the middle.
        let down = if self.sort == Sort::Main { (height - self.height) / 2.0 } else { 0.0 };
        let y = y + down;
        if let Some(layers) = &self.layers {
            for (path, arrow) in layers.arrows.iter().enumerate() {
                let arrow = &picture.arrows[*arrow];
                let line = Line::of(arrow);
                drawn.insert(line);
                if arrow.together {
                    drawn.insert(Line::Together);
                }
                let points = layers.points(path);
                let points = points.into_iter().map(|(at, to)| (x + at, y + HEAD + to));
                pen.arrow(picture, arrow, line, &points.collect::<Vec<_>>());
            }
        }
        for (unit, place) in &self.places {
            let card = Card::of(picture, *unit, place.number);
            pen.card(&card, (x + place.x, y + place.y - pen::HEIGHT / 2.0), place.width);
        }
        drawn
    }
}

impl Layers {
    /// Returns the points of an arrow: pairs of the left and the right end of a stretch that is level.
    fn points(&self, path: usize) -> Vec<(f64, f64)> {
        let items = &self.laid.paths[path];
        let rank = |item: usize| self.laid.layers.iter().position(|layer| layer.contains(&item));
        let mut points = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let (x, width) = self.columns[rank(*item).unwrap_or_default()];
            let y = self.laid.items[*item].y;
            if at > 0 {
                let last = at + 1 == items.len();
                let port = if last { self.port(path, false) } else { 0.0 };
                points.push((x, y + port));
            }
            if at + 1 < items.len() {
                let port = if at == 0 { self.port(path, true) } else { 0.0 };
                points.push((x + width, y + port));
            }
        }
        points
    }

    /// Returns how far from the middle of its unit an arrow begins or ends, so that arrows do not all
    /// meet in one point.
    fn port(&self, path: usize, begins: bool) -> f64 {
        let ends = |path: &[usize]| {
            if begins {
                (path.first().copied(), path.get(1).copied())
            } else {
                let mut back = path.iter().rev();
                (back.next().copied(), back.next().copied())
            }
        };
        let paths = &self.laid.paths;
        let (unit, _) = ends(&paths[path]);
        let mut all: Vec<usize> =
            (0..paths.len()).filter(|other| ends(&paths[*other]).0 == unit).collect();
        let towards =
            |path: usize| ends(&paths[path]).1.map_or(0.0, |item| self.laid.items[item].y);
        all.sort_by(|one, other| towards(*one).total_cmp(&towards(*other)));
        let Some(at) = all.iter().position(|other| *other == path) else { return 0.0 };
        let many = float(all.len() - 1);
        let step = if many > 0.0 { (8.0_f64).min((pen::HEIGHT - 14.0) / many) } else { 0.0 };
        (float(at) - many / 2.0) * step
    }
}
