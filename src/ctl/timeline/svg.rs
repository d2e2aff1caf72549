//! The timeline as a picture.
//!
//! Like the picture of the graph, it has no script and no font of its own, brings its own background, and
//! has the colours of a dark page in a style element.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::fitting::{cells_of, cut};
use super::super::graph::{Ink, escaped, page};
use super::path::{self, Step};
use super::scale::{Window, not_drawn, time, windows};
use super::text::{summary, told, up_after};
use crate::report::timeline::{Life, Span, State, Timeline};

/// The room around the whole.
const MARGIN: f64 = 18.0;
/// The height of a unit.
const ROW: f64 = 22.0;
/// The height of a bar.
const BAR: f64 = 12.0;
/// The width of all bars.
const PLOT: f64 = 760.0;
/// The room between two windows.
const BREAK: f64 = 26.0;
/// The height of the head, with the summary and the scale.
const HEAD: f64 = 62.0;
/// The width of the last column.
const TIMES: f64 = 84.0;
/// The height of a line of text.
const LINE: f64 = 18.0;
/// The width of a character of a name.
const CHARACTER: f64 = 6.9;
/// The longest name that is not cut.
const LONGEST: usize = 36;

/// Returns how a state is drawn: its colour, the part of the height of a bar that it has, and its name in
/// the legend. What has ended is not drawn.
fn looks(state: State) -> Option<(Ink, f64, &'static str)> {
    match state {
        State::Waiting => Some((Ink::Border, 0.2, "waiting")),
        State::Starting => Some((Ink::Amber, 0.65, "starting")),
        State::Running | State::Ready => Some((Ink::Green, 1.0, "up")),
        State::Restarting => Some((Ink::Red, 0.35, "restarting")),
        State::Stopping => Some((Ink::Violet, 0.65, "stopping")),
        State::Ended | State::Failed => None,
    }
}

/// The places of times.
struct Scale {
    windows: Vec<(Window, f64, f64)>,
}

impl Scale {
    fn new(windows: Vec<Window>, left: f64) -> Self {
        let whole: f64 = windows.iter().map(|window| float(window.length())).sum();
        let gaps = if windows.len() > 1 { BREAK } else { 0.0 };
        let least = (PLOT - gaps) / 3.0;
        let mut x = left;
        let mut rest = PLOT - gaps;
        let mut placed = Vec::new();
        let final_one = windows.len() - 1;
        for (at, window) in windows.into_iter().enumerate() {
            let share = (PLOT - gaps) * float(window.length()) / whole;
            let width = if at == final_one { rest } else { share.clamp(least, rest - least) };
            placed.push((window, x, width));
            x += width + BREAK;
            rest -= width;
        }
        Self { windows: placed }
    }

    /// Returns the parts of a stretch of time that are drawn, as their left ends and widths.
    fn parts(&self, from: u64, to: u64) -> Vec<(f64, f64)> {
        let part = |(window, x, width): &(Window, f64, f64)| {
            let (from, to) = (from.max(window.from), to.min(window.to));
            let scale = width / float(window.length());
            let left = x + float(from.saturating_sub(window.from)) * scale;
            (from < to).then(|| (left, float(to - from) * scale))
        };
        self.windows.iter().filter_map(part).collect()
    }

    /// Returns the place of a time, if it is drawn.
    fn place(&self, at: u64) -> Option<f64> {
        let mut here = self.windows.iter();
        let (window, x, width) =
            here.find(|(window, ..)| (window.from..=window.to).contains(&at))?;
        Some(x + float(at - window.from) * width / float(window.length()))
    }
}

/// Returns a number as one with a fraction. Milliseconds of years are exact.
fn float(number: u64) -> f64 {
    let high = u32::try_from(number >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

fn count(number: usize) -> f64 {
    float(u64::try_from(number).unwrap_or(u64::MAX))
}

/// Returns the picture.
pub(super) fn draw(timeline: &Timeline, whole: bool) -> String {
    let (ready, stop) = (path::to_ready(timeline), path::of_stop(timeline));
    let names = timeline.units.iter().map(|unit| cells_of(&unit.name).min(LONGEST)).max();
    let left = MARGIN + count(names.unwrap_or(4)) * CHARACTER + 14.0;
    let windows = windows(timeline, whole);
    let later = not_drawn(timeline, &windows);
    let scale = Scale::new(windows, left);
    let bottom = MARGIN + HEAD + count(timeline.units.len()) * ROW;
    let mut out = String::new();
    text(&mut out, (MARGIN, MARGIN + 12.0), &summary(timeline), Ink::Text, true);
    axis(&mut out, &scale, bottom);
    let rows: BTreeMap<&str, f64> = timeline
        .units
        .iter()
        .enumerate()
        .map(|(at, unit)| (unit.name.as_str(), MARGIN + HEAD + (count(at) + 0.5) * ROW))
        .collect();
    for unit in &timeline.units {
        row(&mut out, unit, rows[unit.name.as_str()], &scale, timeline, (&ready, &stop));
    }
    for steps in [&ready, &stop] {
        critical(&mut out, steps, &rows, &scale);
    }
    let mut y = bottom + 26.0;
    legend(&mut out, y, !ready.is_empty());
    for line in later {
        y += LINE;
        text(&mut out, (MARGIN, y), &line, Ink::Soft, false);
    }
    for (head, steps) in [("until the run was ready", &ready), ("of the stop", &stop)] {
        if !steps.is_empty() {
            y = listed(&mut out, head, steps, y + LINE + 8.0);
        }
    }
    let width = left + PLOT + TIMES + MARGIN;
    page("The timeline of a run", &description(timeline, &ready, &stop), (width, y + MARGIN), &out)
}

fn text(out: &mut String, (x, y): (f64, f64), text: &str, ink: Ink, bold: bool) {
    let weight = if bold { " font-weight=\"600\"" } else { "" };
    _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"11.5\"{weight} xml:space=\"preserve\" {}>{}</text>",
        ink.fill(),
        escaped(text)
    );
}

fn axis(out: &mut String, scale: &Scale, bottom: f64) {
    let top = MARGIN + HEAD - 6.0;
    let mut last = f64::MIN;
    for (window, x, width) in &scale.windows {
        _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"4\" {}/>",
            bottom - top + 6.0,
            Ink::Panel.fill()
        );
        let most = [2, 4, 6, 8, 10, 12].into_iter().filter(|most| count(*most) * 64.0 <= *width);
        for at in window.marks(most.max().unwrap_or(1)) {
            let Some(place) = scale.place(at) else { continue };
            _ = writeln!(
                out,
                "<path d=\"M{place:.1} {top:.1}V{:.1}\" stroke-width=\"1\" {}/>",
                bottom + 4.0,
                Ink::Border.stroke()
            );
            if place - last > 48.0 {
                text(out, (place, top - 6.0), &window.label(at), Ink::Soft, false);
                last = place;
            }
        }
    }
    if let [(_, x, width), ..] = &scale.windows[..]
        && scale.windows.len() > 1
    {
        text(out, (x + width + BREAK / 2.0 - 6.0, top + 14.0), "⋯", Ink::Soft, true);
    }
}

fn row(
    out: &mut String,
    unit: &Life,
    y: f64,
    scale: &Scale,
    timeline: &Timeline,
    (ready, stop): (&[Step], &[Step]),
) {
    let mut steps = ready.iter().chain(stop);
    let critical = steps.any(|step| step.unit.as_deref() == Some(unit.name.as_str()));
    let name = cut(&unit.name, Some(LONGEST));
    text(out, (MARGIN, y + 4.0), &name, Ink::Text, critical);
    let end = timeline.ended_ms.unwrap_or(timeline.until_ms);
    for span in &unit.spans {
        let Span { state, from_ms, to_ms } = *span;
        let to = to_ms.unwrap_or(end).max(from_ms);
        if state == State::Failed
            && let Some(x) = scale.place(from_ms)
        {
            _ = writeln!(
                out,
                "<g><title>{}</title><path d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\" stroke-width=\"2.2\" {}/></g>",
                escaped(&format!("{} failed after {}", unit.name, time(from_ms))),
                x,
                y - 4.0,
                Ink::Red.stroke()
            );
        }
        let Some((ink, share, word)) = looks(state) else { continue };
        for (x, width) in scale.parts(from_ms, to) {
            let height = BAR * share;
            let title = format!(
                "{}: {word} for {}, from {} on",
                unit.name,
                time(to - from_ms),
                time(from_ms)
            );
            _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"1.5\" \
                 {}><title>{}</title></rect>",
                y - height / 2.0,
                width.max(1.2),
                ink.fill(),
                escaped(&title)
            );
        }
    }
    let (_, x, width) = scale.windows[scale.windows.len() - 1];
    text(out, (x + width + 10.0, y + 4.0), &up_after(unit), Ink::Soft, false);
}

/// Draws a critical path: a line below the bars of its units, and from each unit to the next.
fn critical(out: &mut String, steps: &[Step], rows: &BTreeMap<&str, f64>, scale: &Scale) {
    let below = BAR / 2.0 + 2.5;
    let mut before: Option<f64> = None;
    for step in steps {
        let Some(y) = step.unit.as_deref().and_then(|unit| rows.get(unit)) else { continue };
        for (x, width) in scale.parts(step.from, step.to) {
            _ = writeln!(
                out,
                "<path d=\"M{x:.1} {:.1}h{:.1}\" stroke-width=\"2\" {}/>",
                y + below,
                width.max(1.5),
                Ink::Blue.stroke()
            );
        }
        if let (Some(from), Some(x)) = (before, scale.place(step.from)) {
            _ = writeln!(
                out,
                "<path d=\"M{x:.1} {:.1}V{:.1}\" stroke-width=\"1.2\" stroke-dasharray=\"2 2\" {}/>",
                from + below,
                y + below,
                Ink::Blue.stroke()
            );
        }
        before = Some(*y);
    }
}

fn legend(out: &mut String, y: f64, critical: bool) {
    let mut x = MARGIN;
    for state in [State::Waiting, State::Starting, State::Ready, State::Restarting, State::Stopping]
    {
        let Some((ink, share, word)) = looks(state) else { continue };
        let height = BAR * share;
        _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"26\" height=\"{height:.1}\" rx=\"1.5\" {}/>",
            y - 4.0 - height / 2.0,
            ink.fill()
        );
        text(out, (x + 32.0, y), word, Ink::Soft, false);
        x += 32.0 + count(cells_of(word)) * CHARACTER + 22.0;
    }
    if critical {
        _ = writeln!(
            out,
            "<path d=\"M{x:.1} {:.1}h26\" stroke-width=\"2\" {}/>",
            y - 4.0,
            Ink::Blue.stroke()
        );
        text(out, (x + 32.0, y), "critical path", Ink::Soft, false);
    }
}

/// Writes the steps of a path below one another. Returns the last line.
fn listed(out: &mut String, head: &str, steps: &[Step], y: f64) -> f64 {
    let whole: u64 = steps.iter().map(Step::took).sum();
    let title = format!("The critical path {head}: {}", time(whole));
    text(out, (MARGIN, y), &title, Ink::Text, true);
    let mut y = y;
    for step in steps {
        y += LINE;
        let share = (step.took() * 100 + whole / 2) / whole.max(1);
        let line = format!("{:>12} {share:>3} %  {}", time(step.took()), told(step));
        text(out, (MARGIN, y), &line, Ink::Soft, false);
    }
    y
}

/// Returns the picture in words, for those who do not see it.
fn description(timeline: &Timeline, ready: &[Step], stop: &[Step]) -> String {
    let units = timeline.units.iter().map(|unit| format!("{}: {}", unit.name, up_after(unit)));
    let units: Vec<String> = units.collect();
    let steps = |steps: &[Step]| {
        let all = steps.iter().map(|step| format!("{} {}", time(step.took()), told(step)));
        all.collect::<Vec<_>>().join("; ")
    };
    let mut text = format!("{} Up after: {}.", summary(timeline), units.join(", "));
    for (what, path) in [("until the run was ready", ready), ("of the stop", stop)] {
        if !path.is_empty() {
            _ = write!(text, " The critical path {what}: {}.", steps(path));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{life, stack};
    use super::*;

    #[test]
    fn names_cannot_break_the_picture_and_it_has_no_script() {
        let unit = life("async.<script>&\"", &[(State::Running, 0, None)]);
        let picture = draw(&Timeline::of(vec![unit], 100), false);
        assert!(!picture.contains("<script"), "{picture}");
        assert!(picture.contains("async.&lt;script&gt;&amp;&quot;"), "{picture}");
        assert!(picture.contains("prefers-color-scheme:dark"), "{picture}");
    }

    #[test]
    fn everything_is_within_the_picture() {
        let mut timeline = stack();
        for whole in [true, false] {
            let picture = draw(&timeline, whole);
            let attribute = |name: &str, line: &str| -> Option<f64> {
                let (_, rest) = line.split_once(&format!(" {name}=\""))?;
                rest.split('"').next()?.parse().ok()
            };
            let width = attribute("width", &picture).unwrap();
            for line in picture.lines().filter(|line| line.starts_with("<rect x=")) {
                let (x, wide) = (attribute("x", line).unwrap(), attribute("width", line).unwrap());
                assert!(x >= 0.0 && x + wide <= width, "{line}");
            }
            (timeline.stop_ms, timeline.ended_ms) = (Some(3_600_000), Some(3_600_500));
            timeline.until_ms = 3_600_500;
        }
    }

    #[test]
    fn large_numbers_stay_what_they_are() {
        for number in [0, 1, u64::from(u32::MAX), 1 << 33, (1 << 40) + 7] {
            assert_eq!(format!("{:.0}", float(number)), number.to_string());
        }
    }
}
