//! The elements of the picture: text, cards, arrows, and the legend.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::picture::{Arrow, Kind, Picture};
use crate::config::Stage;
use crate::ctl::fitting::{cells_of, cut};

/// The height of a unit.
pub(super) const HEIGHT: f64 = 42.0;
/// The widths of a character, by the size of the text. Fixed-width fonts are about 0.6 em wide.
const NAME: f64 = 7.6;
const DETAIL: f64 = 6.35;
/// The most characters of a name and of the line below it.
const LONGEST: usize = 40;
/// The height of a line of the legend.
const LEGEND_LINE: f64 = 18.0;
/// The space between the edge of a card and its text.
const EDGE: f64 = 12.0;

const FONT: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/// A colour, as a class for a dark page, and for a light page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ctl) enum Ink {
    Ground,
    Panel,
    Card,
    Border,
    Text,
    Soft,
    Green,
    Blue,
    Violet,
    Amber,
    Red,
    Grey,
}

impl Ink {
    const ALL: [Self; 12] = [
        Self::Ground,
        Self::Panel,
        Self::Card,
        Self::Border,
        Self::Text,
        Self::Soft,
        Self::Green,
        Self::Blue,
        Self::Violet,
        Self::Amber,
        Self::Red,
        Self::Grey,
    ];

    /// Returns the name of the class, the colour on a light page, and that on a dark one.
    fn looks(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Ground => ("ground", "#ffffff", "#0f1315"),
            Self::Panel => ("panel", "#f4f6f5", "#161b1e"),
            Self::Card => ("card", "#ffffff", "#1f272b"),
            Self::Border => ("border", "#cfd6d3", "#3a454b"),
            Self::Text => ("text", "#1b2326", "#e2e8ea"),
            Self::Soft => ("soft", "#566167", "#9aa7ad"),
            Self::Green => ("green", "#17774a", "#57c793"),
            Self::Blue => ("blue", "#2c5cab", "#8cb3ff"),
            Self::Violet => ("violet", "#7a3fa0", "#cf9df0"),
            Self::Amber => ("amber", "#8f5d00", "#e0ae55"),
            Self::Red => ("red", "#b3261e", "#ff8a80"),
            Self::Grey => ("grey", "#7b878d", "#7f8b91"),
        }
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Service => Self::Green,
            Kind::OneShot => Self::Blue,
            Kind::Job => Self::Violet,
            Kind::Test => Self::Amber,
            Kind::External => Self::Grey,
        }
    }

    /// Returns the attributes of what is filled with it.
    pub(in crate::ctl) fn fill(self) -> String {
        let (class, light, _) = self.looks();
        format!("class=\"f-{class}\" fill=\"{light}\"")
    }

    /// Returns the attributes of a line in it.
    pub(in crate::ctl) fn stroke(self) -> String {
        let (class, light, _) = self.looks();
        format!("class=\"s-{class}\" stroke=\"{light}\" fill=\"none\"")
    }
}

/// The size of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    Name,
    Detail,
}

/// The kind of a line, by the condition that it stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Line {
    Ready,
    Started,
    Succeeded,
    Exited,
    Failed,
    Settled,
    /// Several conditions at once.
    Several,
    /// The order within a stage.
    Order,
    /// In the legend only: a thick line.
    Together,
}

impl Line {
    pub(super) fn of(arrow: &Arrow) -> Self {
        if !arrow.written {
            return Self::Order;
        }
        match arrow.condition.as_str() {
            "ready" => Self::Ready,
            "started" => Self::Started,
            "succeeded" => Self::Succeeded,
            "exited" => Self::Exited,
            "failed" => Self::Failed,
            "settled" => Self::Settled,
            _ => Self::Several,
        }
    }

    /// Returns its colour, its dashes, and its name in the legend.
    fn looks(self) -> (Ink, &'static str, &'static str) {
        match self {
            Self::Ready => (Ink::Green, "", "ready"),
            Self::Started => (Ink::Grey, "7 3", "started"),
            Self::Succeeded => (Ink::Blue, "12 3 2 3", "succeeded"),
            Self::Exited => (Ink::Amber, "2 3", "exited"),
            Self::Failed => (Ink::Red, "4 3", "failed"),
            Self::Settled => (Ink::Violet, "9 3 3 3", "settled"),
            Self::Several => (Ink::Text, "", "several conditions"),
            Self::Order => (Ink::Grey, "1 4", "one after another"),
            Self::Together => (Ink::Soft, "", "also restarts together"),
        }
    }
}

/// A unit, as it is drawn.
pub(super) struct Card {
    number: Option<usize>,
    name: String,
    detail: String,
    title: String,
    kind: Kind,
}

impl Card {
    /// Returns the card of a unit, with its number in a list.
    pub(super) fn of(picture: &Picture, at: usize, number: Option<usize>) -> Self {
        let unit = &picture.units[at];
        let is_listed = !matches!(unit.stage, Stage::Async | Stage::Sync);
        let name = if unit.stage == Stage::Sync { &unit.id } else { &unit.label };
        let mut detail = Vec::new();
        let ready = unit.ready.map(|ready| format!("ready: {ready}"));
        let restart = (unit.restart != "no").then(|| format!("↻ {}", unit.restart));
        // A unit with a readiness check or a restart policy is a service unless the card says otherwise.
        let is_clear = unit.kind == Kind::Service && (ready.is_some() || restart.is_some());
        let waits = if is_listed { picture.waits(at, false) } else { Vec::new() };
        let stage_says_it = match unit.stage {
            Stage::Test => !waits.is_empty(),
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt => false,
        };
        if !is_clear && !stage_says_it {
            detail.push(unit.kind.word().to_owned());
        }
        detail.extend(ready);
        detail.extend(restart);
        if !is_listed {
            detail.extend(if unit.on_request { Some("on request".to_owned()) } else { unit.due() });
        }
        detail.extend(waits);
        let mut title = format!("{}, {}", unit.id, detail.join(", "));
        if let Some(description) = &unit.description {
            _ = write!(title, ": {description}");
        }
        Self {
            number,
            name: short(name),
            detail: short(&detail.join(" · ")),
            title,
            kind: unit.kind,
        }
    }

    /// Returns the width that it needs.
    pub(super) fn width(&self) -> f64 {
        let name = wide(&self.name) * NAME + self.number_width();
        let detail = wide(&self.detail) * DETAIL + self.number_width();
        (name.max(detail) + EDGE * 2.0).max(96.0)
    }

    fn number_width(&self) -> f64 {
        self.number.map_or(0.0, |number| wide(&number.to_string()) * DETAIL + 9.0)
    }
}

/// Returns the attribute for the dashes of a line.
fn dashed(dashes: &str) -> String {
    if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") }
}

fn short(text: &str) -> String {
    cut(text, Some(LONGEST))
}

/// Returns the width of a text in characters.
fn wide(text: &str) -> f64 {
    super::super::layout::float(cells_of(text))
}

/// Returns the width of the head of a panel.
pub(super) fn heading(name: &str, more: &str) -> f64 {
    wide(name) * NAME + 10.0 + wide(more) * DETAIL
}

/// The elements drawn so far. The arrows are below the cards.
#[derive(Default)]
pub(super) struct Pen {
    below: String,
    arrows: String,
    cards: String,
}

impl Pen {
    pub(super) fn text(&mut self, (x, y): (f64, f64), text: &str, ink: Ink, weight: Weight) {
        let class = match weight {
            Weight::Name => "font-size=\"12.5\" font-weight=\"600\"",
            Weight::Detail => "font-size=\"10.5\"",
        };
        _ = writeln!(
            self.cards,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" {class} {}>{}</text>",
            ink.fill(),
            escaped(text)
        );
    }

    /// Draws the panel of a stage.
    pub(super) fn panel(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        name: &str,
        more: &str,
    ) {
        _ = writeln!(
            self.below,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"10\" {}/>",
            Ink::Panel.fill()
        );
        let (left, middle) = (x + 14.0, y + 21.0);
        self.text((left, middle), name, Ink::Text, Weight::Name);
        self.text((left + wide(name) * NAME + 10.0, middle), more, Ink::Soft, Weight::Detail);
    }

    /// Draws the arrow from one panel to the next.
    pub(super) fn between(&mut self, from: f64, to: f64, y: f64) {
        let (line, tip) = (Ink::Soft.stroke(), Ink::Soft.fill());
        let end = to - 6.0;
        _ = writeln!(
            self.below,
            "<path d=\"M{from:.1} {y:.1}H{end:.1}\" stroke-width=\"1.5\" {line}/>\
             <path d=\"M{end:.1} {:.1}L{to:.1} {y:.1}L{end:.1} {:.1}Z\" {tip}/>",
            y - 4.0,
            y + 4.0
        );
    }

    /// Draws an arrow along points: the beginning, then the left and the right end of each level
    /// stretch, and the end.
    pub(super) fn arrow(
        &mut self,
        picture: &Picture,
        arrow: &Arrow,
        line: Line,
        points: &[(f64, f64)],
    ) {
        let (Some((x, y)), Some((end, middle))) = (points.first(), points.last()) else { return };
        let mut path = format!("M{x:.1} {y:.1}");
        for (at, pair) in points.windows(2).enumerate() {
            let ((from, above), (to, below)) = (pair[0], pair[1]);
            if at % 2 == 0 {
                // The tip is drawn by itself.
                let to = if at + 2 == points.len() { to - 6.0 } else { to };
                let half = (to - from) / 2.0;
                _ = write!(
                    path,
                    "C{:.1} {above:.1} {:.1} {below:.1} {to:.1} {below:.1}",
                    from + half,
                    to - half
                );
            } else {
                _ = write!(path, "H{to:.1}");
            }
        }
        let (ink, dashes, _) = line.looks();
        let dashes = dashed(dashes);
        let thick = if arrow.together { 2.8 } else { 1.4 };
        let (from, to) = (&picture.units[arrow.from].id, &picture.units[arrow.to].id);
        let more = if arrow.together { ", and restarts with it" } else { "" };
        let title = format!("{to} waits for {from} ({}){more}", arrow.condition);
        _ = writeln!(
            self.arrows,
            "<g><title>{}</title><path d=\"{path}\" stroke-width=\"{thick}\"{dashes} {}/>\
             <path d=\"M{:.1} {:.1}L{end:.1} {middle:.1}L{:.1} {:.1}Z\" {}/></g>",
            escaped(&title),
            ink.stroke(),
            end - 7.0,
            middle - 3.5,
            end - 7.0,
            middle + 3.5,
            ink.fill()
        );
    }

    /// Draws a unit.
    pub(super) fn card(&mut self, card: &Card, (x, y): (f64, f64), width: f64) {
        let dashes = if card.kind == Kind::External { " stroke-dasharray=\"4 3\"" } else { "" };
        let radius = if card.kind == Kind::Job { HEIGHT / 2.0 } else { 6.0 };
        let (class, border, _) = Ink::Border.looks();
        let (card_class, ground, _) = Ink::Card.looks();
        _ = writeln!(
            self.cards,
            "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" \
             rx=\"{radius}\" class=\"f-{card_class} s-{class}\" fill=\"{ground}\" stroke=\"{border}\"{dashes}/>",
            escaped(&card.title)
        );
        let shift = if card.kind == Kind::Job { 5.0 } else { 0.0 };
        if card.kind != Kind::Job {
            _ = writeln!(
                self.cards,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"3\" height=\"{:.1}\" rx=\"1.5\" {}/>",
                x + 4.0,
                y + 7.0,
                HEIGHT - 14.0,
                Ink::of(card.kind).fill()
            );
        }
        let left = x + EDGE + shift;
        if let Some(number) = card.number {
            self.text((left, y + 17.5), &number.to_string(), Ink::Soft, Weight::Detail);
        }
        let left = left + card.number_width();
        self.text((left, y + 17.5), &card.name, Ink::Text, Weight::Name);
        let ink = if card.kind == Kind::Job { Ink::Violet } else { Ink::Soft };
        self.text((left, y + 32.5), &card.detail, ink, Weight::Detail);
        self.cards.push_str("</g>\n");
    }

    /// Draws the legend, in lines that end before `right`. Returns the height that it takes.
    pub(super) fn legend(&mut self, drawn: &BTreeSet<Line>, (x, y): (f64, f64), right: f64) -> f64 {
        const LEAD: &str = "waits until:";
        self.text((x, y + 3.5), LEAD, Ink::Soft, Weight::Detail);
        let left = x + wide(LEAD) * DETAIL + 12.0;
        let (mut x, mut line_at) = (left, y);
        for line in drawn {
            let (ink, dashes, name) = line.looks();
            let width = 36.0 + wide(name) * DETAIL;
            if x > left && x + width > right {
                (x, line_at) = (left, line_at + LEGEND_LINE);
            }
            let thick = if *line == Line::Together { 2.8 } else { 1.4 };
            _ = writeln!(
                self.cards,
                "<path d=\"M{x:.1} {line_at:.1}h30\" stroke-width=\"{thick}\"{} {}/>",
                dashed(dashes),
                ink.stroke()
            );
            self.text((x + 36.0, line_at + 3.5), name, Ink::Soft, Weight::Detail);
            x += width + 20.0;
        }
        line_at - y + LEGEND_LINE
    }

    /// Returns the whole picture.
    pub(super) fn finish(self, title: &str, about: &str, (width, height): (f64, f64)) -> String {
        let content = [self.below, self.arrows, self.cards].concat();
        page(&format!("The units of {title}"), about, (width, height), &content)
    }
}

/// Returns a whole picture with this content, on a ground of its own.
pub(in crate::ctl) fn page(
    title: &str,
    about: &str,
    (width, height): (f64, f64),
    content: &str,
) -> String {
    let mut dark = String::new();
    for ink in Ink::ALL {
        let (class, _, colour) = ink.looks();
        _ = write!(dark, ".f-{class}{{fill:{colour}}}.s-{class}{{stroke:{colour}}}");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"trc-title trc-about\" \
         font-family=\"{FONT}\">\n\
         <title id=\"trc-title\">{}</title>\n<desc id=\"trc-about\">{}</desc>\n\
         <style>@media (prefers-color-scheme:dark){{{dark}}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"12\" {}/>\n{content}</svg>\n",
        escaped(title),
        escaped(about),
        Ink::Ground.fill(),
    )
}

/// Escapes a text for XML, which cannot have control characters at all.
pub(in crate::ctl) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
