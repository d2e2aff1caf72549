//! Draws the state of `trcctl top`.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color as Hue, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::{Page, Question, State, Stream};
use crate::ctl::live::Color;
use crate::ctl::live::health::sentence;
use crate::ctl::live::logs::short;
use crate::ctl::live::paint::Look;
use crate::ctl::live::status::{HEAD, NUMBERS, look, row, state as word, time};
use crate::ctl::live::why::deadline;
use crate::text::harmless;
use crate::wire::{Entry, UnitState};

/// The smallest width and height that is drawn on.
const SMALLEST: (u16, u16) = (20, 5);
/// The width from which on the output of the selected unit is beside what is known about it.
const WIDE: u16 = 120;
/// The width that `WHY` should have, for which other columns go.
const WHY: usize = 24;
/// The columns in the order in which they go if the screen is narrow: `CPU`, `RESTARTS`, `MEMORY`,
/// `PID` and `SINCE`.
const GO: [usize; 5] = [5, 6, 4, 3, 2];
/// The largest number of lines of a question or a message.
const ASIDE: usize = 3;
/// The largest number of rows of one record.
const ROWS: usize = 100;

/// The keys of the table, the ones that matter most first.
const KEYS: [(&str, &str); 11] = [
    ("?", "help"),
    ("q", "quit"),
    ("s", "start"),
    ("x", "stop"),
    ("r", "restart"),
    ("↵", "output"),
    ("/", "filter"),
    ("e", "events"),
    ("l", "reload"),
    ("k", "signal"),
    ("↑↓", "select"),
];
/// The keys of lines.
const RECORD_KEYS: [(&str, &str); 5] =
    [("esc", "back"), ("↑↓", "scroll"), ("end", "follow"), ("/", "filter"), ("?", "help")];

const HELP: [(&str, &str); 17] = [
    ("↑ ↓  PgUp PgDn", "select a unit, or scroll"),
    ("Home End", "the first or the last one"),
    ("", ""),
    ("s", "start the unit"),
    ("x", "stop the unit and hold it"),
    ("r", "restart the unit"),
    ("l", "let the unit reload its own configuration"),
    ("k", "send the unit a signal"),
    ("", ""),
    ("Enter", "the output of the unit; Esc goes back"),
    ("e", "the lines of trc itself"),
    ("/", "show only what contains a text"),
    ("Esc", "show all units again"),
    ("", ""),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "suspend"),
    ("q  Ctrl-C", "quit"),
];

/// Draws the state on the whole screen.
pub(super) fn view(state: &State, color: Color, frame: &mut Frame) {
    let area = frame.area();
    let view = View { state, color, width: usize::from(area.width) };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = fit("too small", view.width);
        return frame.render_widget(Paragraph::new(text), area);
    }
    let roomy = area.height >= 16;
    let header = view.header(roomy);
    let footer = view.footer();
    let tall = |lines: &[Line]| Constraint::Length(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let [top, middle, bottom] =
        Layout::vertical([tall(&header), Constraint::Min(1), tall(&footer)]).areas(area);
    frame.render_widget(Paragraph::new(header), top);
    frame.render_widget(Paragraph::new(footer), bottom);
    match state.page {
        Page::Units => view.units(frame, middle),
        Page::Records => view.records(frame, middle),
        Page::Help => frame.render_widget(Paragraph::new(view.help()), middle),
    }
}

struct View<'s> {
    state: &'s State,
    color: Color,
    width: usize,
}

impl View<'_> {
    fn style(&self, look: Look) -> Style {
        const UNITS: [Hue; 6] =
            [Hue::Cyan, Hue::Yellow, Hue::Magenta, Hue::Blue, Hue::Green, Hue::LightCyan];
        let hue = match look {
            Look::Plain => return Style::new(),
            Look::Bold => return Style::new().add_modifier(Modifier::BOLD),
            Look::Dim => return Style::new().add_modifier(Modifier::DIM),
            Look::Good => Hue::Green,
            Look::Pending => Hue::Yellow,
            Look::Bad => Hue::Red,
            Look::Asked => Hue::Magenta,
            Look::Unit(number) => UNITS[number % UNITS.len()],
        };
        match self.color {
            Color::Always => Style::new().fg(hue),
            Color::Auto | Color::Never => Style::new(),
        }
    }

    fn span(&self, look: Look, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(look))
    }

    /// Returns a line with something at its right end, if there is room for both.
    fn both(&self, left: Vec<Span<'static>>, right: Span<'static>) -> Line<'static> {
        let right_width = right.width();
        let room = self.width.saturating_sub(right_width + 2);
        let left = clip(left, if room < self.width / 3 { self.width } else { room });
        let used: usize = left.iter().map(Span::width).sum();
        let mut line = left;
        if used + right_width < self.width {
            line.push(Span::raw(" ".repeat(self.width - used - right_width)));
            line.push(right);
        }
        Line::from(line)
    }

    fn header(&self, roomy: bool) -> Vec<Line<'static>> {
        let Some(picture) = &self.state.picture else {
            return vec![Line::from("waiting for trc")];
        };
        let up = format!("{} for {}", picture.about.phase, time(picture.about.uptime_ms));
        let (look, text) = match &self.state.gone {
            Some(why) => (Look::Bad, format!("trc is gone: {why}")),
            None => (look(picture.health.state), sentence(&picture.health)),
        };
        let left = vec![self.span(look, "● "), self.bold(look, harmless(&text))];
        let right = if self.state.gone.is_some() {
            self.span(Look::Dim, "waiting for it")
        } else {
            self.span(Look::Dim, up)
        };
        let mut lines = vec![self.both(left, right)];
        if roomy {
            lines.push(Line::from(clip(self.counts(&picture.units), self.width)));
            lines.push(Line::default());
        }
        lines
    }

    fn bold(&self, look: Look, text: String) -> Span<'static> {
        Span::styled(text, self.style(look).add_modifier(Modifier::BOLD))
    }

    /// Returns how many units are in each state.
    fn counts(&self, units: &[UnitState]) -> Vec<Span<'static>> {
        let mut spans = vec![self.span(Look::Plain, format!("  {}: ", some(units.len(), "unit")))];
        let mut first = true;
        for known in UnitState::STATES {
            let its: Vec<_> = units.iter().filter(|unit| unit.state() == known).collect();
            let Some(one) = its.first() else { continue };
            if !first {
                spans.push(self.span(Look::Dim, ", "));
            }
            first = false;
            spans.push(self.span(word(one).1, format!("{} {known}", its.len())));
        }
        if !self.state.filter.is_empty() {
            let shown = self.state.units().len();
            spans.push(self.span(Look::Dim, " · "));
            spans.push(
                self.span(Look::Bold, format!("{shown} with “{}” in the name", self.state.filter)),
            );
        }
        spans
    }

    fn footer(&self) -> Vec<Line<'static>> {
        let state = self.state;
        let (look, text) = match (&state.question, &state.note) {
            (Some(question), _) => (Look::Pending, asked(question, state)),
            (None, Some(note)) => {
                (if note.bad { Look::Bad } else { Look::Good }, note.text.clone())
            }
            (None, None) => return vec![self.keys()],
        };
        let lines = wrap(&text, self.width, ASIDE);
        let width = self.width;
        // The last line of the screen is where a person looks for the answer to a key.
        let line = |text: String| Line::from(self.bold(look, fit(&text, width)));
        lines.into_iter().map(line).collect()
    }

    fn keys(&self) -> Line<'static> {
        let keys: &[(&str, &str)] = match self.state.page {
            Page::Units => &KEYS,
            Page::Records => &RECORD_KEYS,
            Page::Help => &[("any key", "back")],
        };
        let mut chosen = Vec::new();
        let mut width = 0;
        for (at, (key, what)) in keys.iter().enumerate() {
            let needs = Span::raw(*key).width() + 1 + what.len() + if width > 0 { 2 } else { 0 };
            if width + needs <= self.width {
                width += needs;
                chosen.push(at);
            }
        }
        // Help and quitting are at the end, where they are on every page.
        if self.state.page == Page::Units {
            let first = chosen.iter().filter(|at| **at < 2).count();
            chosen.rotate_left(first);
        }
        let mut spans = Vec::new();
        for at in chosen {
            if !spans.is_empty() {
                spans.push(Span::raw("  "));
            }
            let (key, what) = keys[at];
            spans.push(self.bold(Look::Unit(0), key.to_owned()));
            spans.push(self.span(Look::Dim, format!(" {what}")));
        }
        Line::from(spans)
    }

    fn help(&self) -> Vec<Line<'static>> {
        let mut lines = vec![self.rule("the keys", "")];
        for (key, what) in HELP {
            let key = format!("  {key:16}");
            lines.push(Line::from(vec![
                self.bold(Look::Unit(0), key),
                self.span(Look::Plain, what),
            ]));
        }
        lines
    }

    /// Returns a line with a title, and something at its right.
    fn rule(&self, title: &str, right: &str) -> Line<'static> {
        self.rule_of(title, right, self.width)
    }

    fn rule_of(&self, title: &str, right: &str, width: usize) -> Line<'static> {
        let room = width.saturating_sub(6);
        let title = short_of(title, room);
        let left = room.saturating_sub(Span::raw(title.as_str()).width() + 4);
        let right = if Span::raw(right).width() <= left { right } else { "" };
        let end = if right.is_empty() { String::new() } else { format!(" {right} ──") };
        let used = 4 + Span::raw(title.as_str()).width() + Span::raw(end.as_str()).width();
        Line::from(vec![
            self.span(Look::Dim, "── "),
            self.span(Look::Bold, title),
            self.span(Look::Dim, format!(" {}{end}", "─".repeat(width.saturating_sub(used)))),
        ])
    }

    fn units(&self, frame: &mut Frame, area: Rect) {
        let units = self.state.units();
        let Some((at, unit)) = self.state.unit() else {
            let text = match &self.state.picture {
                Some(picture) if !picture.units.is_empty() => "no unit has this in its name",
                Some(_) | None => "there are no units",
            };
            return frame.render_widget(Paragraph::new(format!("  {text}")), area);
        };
        let height = usize::from(area.height);
        let known = self.known(unit);
        // The table has what it needs, as long as the selected unit has as much.
        let least = (known.len() + 8).min(height * 11 / 20);
        let rows = (units.len() + 1).min(height.saturating_sub(least).max(2));
        let table = self.table(&units, at, rows.saturating_sub(1));
        let rows = Constraint::Length(u16::try_from(rows).unwrap_or(u16::MAX));
        let gap = u16::from(height > 12);
        let [top, _, bottom] =
            Layout::vertical([rows, Constraint::Length(gap), Constraint::Min(0)]).areas(area);
        frame.render_widget(Paragraph::new(table), top);
        self.detail(frame, bottom, (at, units.len()), unit, known);
    }

    fn table(&self, units: &[&UnitState], selected: usize, rows: usize) -> Vec<Line<'static>> {
        let cells: Vec<_> = units.iter().map(|unit| row(unit)).collect();
        let mut widths: Vec<usize> = HEAD.iter().map(|head| head.len()).collect();
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(Span::raw(harmless(&cell.text)).width());
            }
        }
        let room = self.width.saturating_sub(2);
        widths[0] = widths[0].min((room / 2).max(8));
        let last = HEAD.len() - 1;
        // Columns that are empty, or 0, for all units say nothing.
        let mut columns: Vec<usize> = (0..last)
            .filter(|column| {
                *column < 2 || cells.iter().any(|row| !["", "0"].contains(&&*row[*column].text))
            })
            .collect();
        let used = |columns: &[usize]| columns.iter().map(|at| widths[*at] + 2).sum::<usize>();
        let wanted = if widths[last] > HEAD[last].len() { widths[last].min(WHY) } else { 0 };
        for column in GO {
            if used(&columns) + wanted > room {
                columns.retain(|kept| *kept != column);
            }
        }
        let why = room.saturating_sub(used(&columns));
        let one = |at: usize, text: &str| -> String {
            let text = short_of(&harmless(text), widths[at]);
            let fill = " ".repeat(widths[at].saturating_sub(Span::raw(text.as_str()).width()));
            if NUMBERS.contains(&at) {
                format!("{fill}{text}  ")
            } else {
                format!("{text}{fill}  ")
            }
        };
        let mut head = vec![Span::raw("  ")];
        head.extend(columns.iter().map(|at| self.span(Look::Bold, one(*at, HEAD[*at]))));
        if why >= HEAD[last].len() && wanted > 0 {
            head.push(self.span(Look::Bold, HEAD[last]));
        }
        let mut lines = vec![Line::from(head)];
        let from = selected.saturating_sub(rows / 2).min(units.len().saturating_sub(rows));
        for (at, row) in cells.iter().enumerate().skip(from).take(rows) {
            let mut spans = vec![self.span(Look::Bold, if at == selected { "▸ " } else { "  " })];
            for column in &columns {
                spans.push(self.span(row[*column].look, one(*column, &row[*column].text)));
            }
            spans.push(Span::raw(short_of(&harmless(&row[last].text), why)));
            let used: usize = spans.iter().map(Span::width).sum();
            spans.push(Span::raw(" ".repeat(self.width.saturating_sub(used))));
            let mut line = Line::from(spans);
            if self.state.gone.is_some() {
                line = line.style(self.style(Look::Dim));
            }
            if at == selected {
                line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
            }
            lines.push(line);
        }
        lines
    }

    /// Returns what is known about a unit: why it is not up, and its place in the graph.
    fn known(&self, unit: &UnitState) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let chain = self.state.chain(unit);
        for (depth, unit) in chain.iter().enumerate() {
            let (state, look) = word(unit);
            let mut spans = vec![Span::raw("  ".repeat(depth + 1))];
            if depth > 0 {
                spans.push(Span::raw(format!("{} ", unit.name)));
            }
            match &unit.why {
                Some(why) => spans.push(self.span(look, harmless(why))),
                None if depth > 0 => spans.push(self.span(look, format!("is {state}"))),
                None => continue,
            }
            spans.push(self.span(Look::Dim, format!(" (for {})", time(unit.since_ms))));
            lines.push(Line::from(spans));
            if let Some(next) = deadline(unit).filter(|_| depth + 1 == chain.len()) {
                let text = format!("{}next: {next}", "  ".repeat(depth + 1));
                lines.push(Line::from(self.span(Look::Dim, text)));
            }
        }
        let needs = self.state.needs(&unit.name);
        if !needs.is_empty() {
            let needs = needs.iter().map(|(of, condition)| match *condition {
                "ready" => (*of, String::new()),
                condition => (*of, format!(" ({condition})")),
            });
            lines.push(self.neighbours("  after      ", needs));
        }
        let dependents = self.state.dependents(&unit.name);
        if !dependents.is_empty() {
            let dependents = dependents.iter().map(|name| (*name, String::new()));
            lines.push(self.neighbours("  needed by  ", dependents));
        }
        lines
    }

    /// Returns a line with units, each of which has the colour of its state.
    fn neighbours<'n>(
        &self,
        head: &str,
        units: impl Iterator<Item = (&'n str, String)>,
    ) -> Line<'static> {
        let all = self.state.picture.iter().flat_map(|picture| &picture.units);
        let all: Vec<_> = all.collect();
        let mut spans = vec![self.span(Look::Dim, head)];
        for (at, (name, more)) in units.enumerate() {
            if at > 0 {
                spans.push(Span::raw(", "));
            }
            let look = all.iter().find(|unit| unit.name == name).map_or(Look::Dim, |it| word(it).1);
            spans.push(self.span(look, harmless(name)));
            spans.push(self.span(Look::Dim, more));
        }
        Line::from(spans)
    }

    fn detail(
        &self,
        frame: &mut Frame,
        area: Rect,
        (at, all): (usize, usize),
        unit: &UnitState,
        known: Vec<Line<'static>>,
    ) {
        let title = match &unit.description {
            Some(text) => format!("{}: {}", unit.name, harmless(text)),
            None => unit.name.clone(),
        };
        let place = format!("{} of {all}", at + 1);
        let width = usize::from(area.width);
        let height = usize::from(area.height);
        let mut lines = vec![self.rule_of(&title, &place, width)];
        if area.width >= WIDE && !known.is_empty() {
            let [rule, below] =
                Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
            let [left, _, right] = Layout::horizontal([
                Constraint::Percentage(45),
                Constraint::Length(2),
                Constraint::Min(0),
            ])
            .areas(below);
            frame.render_widget(Paragraph::new(lines), rule);
            let known: Vec<_> = known.into_iter().map(|line| cut(line, left.width)).collect();
            frame.render_widget(Paragraph::new(known), left);
            let output = self.tail(usize::from(right.height), usize::from(right.width), false);
            return frame.render_widget(Paragraph::new(output), right);
        }
        // Half of the room is for the output.
        let most = height.saturating_sub(1).div_ceil(2);
        lines.extend(known.into_iter().take(most).map(|line| cut(line, area.width)));
        let rest = height.saturating_sub(lines.len());
        lines.extend(self.tail(rest, width, false));
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn records(&self, frame: &mut Frame, area: Rect) {
        let title = match &self.state.stream {
            Some(Stream::Output(unit)) => format!("the output of {unit}"),
            Some(Stream::Events) | None => "the lines of trc".to_owned(),
        };
        let title = if self.state.grep.is_empty() {
            title
        } else {
            format!("{title} with “{}”", self.state.grep)
        };
        let right = match self.state.below() {
            0 => "following".to_owned(),
            below => format!("{} below", some(below, "line")),
        };
        let mut lines = vec![self.rule(&title, &right)];
        lines.extend(self.tail(usize::from(area.height).saturating_sub(1), self.width, true));
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// Returns the last lines of the stream that there is room for.
    fn tail(&self, rows: usize, width: usize, whole: bool) -> Vec<Line<'static>> {
        let mut lines = VecDeque::new();
        if let Some(why) = self.state.over.as_ref().filter(|_| self.state.scroll == 0) {
            lines.push_front(Line::from(
                self.span(Look::Dim, short_of(&format!("  … {why}"), width)),
            ));
        }
        for entry in self.state.shown().rev().skip(self.state.below()) {
            if lines.len() >= rows {
                break;
            }
            for line in self.record(entry, width, whole).into_iter().rev() {
                lines.push_front(line);
            }
        }
        if lines.is_empty() && rows > 0 {
            let text =
                if self.state.grep.is_empty() { "  no output yet" } else { "  no such line" };
            lines.push_front(Line::from(self.span(Look::Dim, short_of(text, width))));
        }
        while lines.len() > rows {
            lines.pop_front();
        }
        lines.into()
    }

    /// Returns a record as one line, or as so many that all of it is shown.
    fn record(&self, entry: &Entry, width: usize, whole: bool) -> Vec<Line<'static>> {
        let (head, text) = match entry {
            Entry::Written(line) => {
                let bar = if line.stream == "stderr" { Look::Pending } else { Look::Dim };
                let mut head = vec![Span::raw("  ")];
                if width >= 60 {
                    head.push(self.span(Look::Dim, format!("{} ", short(&line.time))));
                }
                head.push(self.span(bar, "│ "));
                (head, without_escapes(&line.line))
            }
            Entry::Said(said) => {
                let look = Look::of_level(&said.level);
                let mut head = vec![Span::raw("  ")];
                if width >= 60 {
                    head.push(self.span(Look::Dim, format!("{} ", short(&said.time))));
                }
                head.push(self.span(look, format!("{:5} ", said.level)));
                (head, harmless(&said.message))
            }
            Entry::Gap(gap) => {
                let text = format!("  … about {} are missing", gap.missing);
                return vec![Line::from(self.span(Look::Dim, short_of(&text, width)))];
            }
        };
        let used: usize = head.iter().map(Span::width).sum();
        let room = width.saturating_sub(used);
        let texts = if whole { wrap(&text, room, ROWS) } else { vec![short_of(&text, room)] };
        let mut head = Some(head);
        let line = |text: String| {
            let mut spans = head.take().unwrap_or_else(|| vec![Span::raw(" ".repeat(used))]);
            spans.push(Span::raw(text));
            Line::from(spans)
        };
        texts.into_iter().map(line).collect()
    }
}

/// Returns a question as text.
fn asked(question: &Question, state: &State) -> String {
    match question {
        Question::Stop(unit, dependents) => match &dependents[..] {
            [] => format!("stop {unit} and hold it?  y: stop it, any other key: no"),
            some => format!(
                "stop {unit} and hold it?  y: stop it, any other key: no, d: first stop what is \
                 after it: {}",
                some.join(", ")
            ),
        },
        Question::Signal(unit, text) => {
            format!("the signal for {unit}, such as HUP: {text}▏  Enter: send it, Esc: no")
        }
        Question::Filter => {
            let text = if state.page == Page::Records { &state.grep } else { &state.filter };
            format!("/{text}▏  Enter: done, Esc: show all")
        }
    }
}

/// Returns a number with its noun.
fn some(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns a text without control characters and without the sequences that colour it.
fn without_escapes(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\x1b' && rest.peek() == Some(&'[') {
            // Parameters, and the letter that ends them: ECMA-48, 5.4.
            rest.next();
            while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if c == '\t' {
            clean.push_str("    ");
        } else {
            clean.push(c);
        }
    }
    harmless(&clean)
}

/// Returns a text that is not wider than this; if it is, its end is left out.
fn short_of(text: &str, width: usize) -> String {
    let span = Span::raw(text);
    if span.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 0;
    for piece in span.styled_graphemes(Style::new()) {
        let wide = Span::raw(piece.symbol).width();
        if used + wide + 1 > width {
            break;
        }
        short.push_str(piece.symbol);
        used += wide;
    }
    if width > 0 {
        short.push('…');
    }
    short
}

/// Returns a text that is exactly this wide.
fn fit(text: &str, width: usize) -> String {
    let mut text = short_of(text, width);
    let used = Span::raw(text.as_str()).width();
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    text
}

/// Returns spans that are not wider than this together.
fn clip(spans: Vec<Span<'static>>, width: usize) -> Vec<Span<'static>> {
    let mut rest = width;
    let mut kept = Vec::new();
    for span in spans {
        let wide = span.width();
        if wide > rest {
            kept.push(Span::styled(short_of(&span.content, rest), span.style));
            break;
        }
        rest -= wide;
        kept.push(span);
    }
    kept
}

fn cut(line: Line<'static>, width: u16) -> Line<'static> {
    Line::from(clip(line.spans, usize::from(width)))
}

/// Returns a text in lines that are not wider than this, broken at spaces where there are any. A text
/// that is longer loses its end.
fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        if Span::raw(rest).width() <= width || width == 0 {
            lines.push(rest.to_owned());
            return lines;
        }
        if lines.len() + 1 == most {
            lines.push(short_of(rest, width));
            return lines;
        }
        let (mut used, mut end) = (0, 0);
        for piece in Span::raw(rest).styled_graphemes(Style::new()) {
            let wide = Span::raw(piece.symbol).width();
            if used + wide > width && end > 0 {
                break;
            }
            used += wide;
            end += piece.symbol.len();
        }
        let end = if rest[end..].starts_with(' ') {
            end
        } else {
            rest[..end].rfind(' ').filter(|at| *at > width / 3).map_or(end, |at| at + 1)
        };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
}
