//! The timeline as text, for a terminal of any width.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::fitting::{cells_of, cut};
use super::super::live::{Color, Look};
use super::path::{self, Step};
use super::scale::{self, Window, not_drawn, time, windows};
use crate::report::timeline::{Life, Span, State, Timeline};

/// The longest name that is not cut.
const LONGEST: usize = 28;
/// The column at the right: how long a unit took until it was up.
const TIMES: usize = 10;
/// The least width of the bars.
const NARROWEST: usize = 20;

/// Returns how a state is drawn: its character, its look and its name in the legend.
fn looks(state: State) -> (char, Look, &'static str) {
    match state {
        State::Waiting => ('·', Look::Dim, "waiting"),
        State::Starting => ('░', Look::Pending, "starting"),
        State::Running | State::Ready => ('█', Look::Good, "up"),
        State::Restarting => ('×', Look::Bad, "restarting"),
        State::Stopping => ('▒', Look::Asked, "stopping"),
        State::Ended => (' ', Look::Plain, "ended"),
        State::Failed => ('!', Look::Bad, "failed"),
    }
}

/// Returns the timeline as text.
pub(super) fn draw(timeline: &Timeline, width: usize, whole: bool, color: Color) -> String {
    let mut text = format!("{}\n\n", summary(timeline));
    let windows = windows(timeline, whole);
    let ready = path::to_ready(timeline);
    let stop = path::of_stop(timeline);
    let critical: BTreeSet<&str> =
        ready.iter().chain(&stop).filter_map(|step| step.unit.as_deref()).collect();
    let names = timeline.units.iter().map(|unit| cells_of(&unit.name)).max().unwrap_or_default();
    let names = names.clamp(4, LONGEST);
    let bars = width.saturating_sub(2 + names + 1 + TIMES).max(NARROWEST);
    let parts = columns(&windows, bars);
    let paint = |look, text: &str| color.paint(look, text);

    let head = format!("  {:names$} {}  UP AFTER", "UNIT", axis(&windows, &parts));
    _ = writeln!(text, "{}", paint(Look::Bold, &head));
    let mut used = BTreeSet::new();
    for unit in &timeline.units {
        let on_path = critical.contains(unit.name.as_str());
        let name = cut(&unit.name, Some(names));
        let room = " ".repeat(names - cells_of(&name));
        let name = paint(if on_path { Look::Bold } else { Look::Plain }, &name);
        let star = if on_path { '*' } else { ' ' };
        let mut bar = String::new();
        for (at, (window, columns)) in windows.iter().zip(&parts).enumerate() {
            if at > 0 {
                bar.push_str(&paint(Look::Dim, "┆"));
            }
            let states = states(unit, *window, *columns, timeline.until_ms);
            for run in states.chunk_by(|one, other| one == other) {
                let Some(state) = run[0] else {
                    bar.extend(run.iter().map(|_| ' '));
                    continue;
                };
                used.insert(looks(state).2);
                let (sign, look, _) = looks(state);
                let signs: String = run.iter().map(|_| sign).collect();
                bar.push_str(&paint(look, &signs));
            }
        }
        let line = format!("{star} {name}{room} {bar}  {}", up_after(unit));
        _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
    legend(&mut text, &used, !critical.is_empty(), color);
    for line in not_drawn(timeline, &windows) {
        _ = writeln!(text, "{line}");
    }
    steps(&mut text, "until the run was ready", &ready, color);
    steps(&mut text, "of the stop", &stop, color);
    text
}

/// Returns how long the run took, in a sentence.
pub(super) fn summary(timeline: &Timeline) -> String {
    let ready = match timeline.ready_ms {
        Some(ready) => format!("The run was ready after {}", time(ready)),
        None => "The run was never ready".to_owned(),
    };
    match (timeline.stop_ms, timeline.ended_ms) {
        (Some(stop), Some(ended)) => {
            format!("{ready}, and stopped within {}.", time(ended.saturating_sub(stop)))
        }
        (Some(_), None) => format!("{ready}, and is stopping."),
        (None, _) => format!("{ready}."),
    }
}

/// Returns how long a unit took until it was up, for the last column.
pub(super) fn up_after(unit: &Life) -> String {
    match unit.up() {
        Some(_) if unit.name.starts_with("halt.") => String::new(),
        Some(up) => time(up),
        None if unit.spans.iter().any(|span| span.state == State::Failed) => "failed".to_owned(),
        None => "–".to_owned(),
    }
}

/// Returns how many columns each window has, of this many, with one between two.
fn columns(windows: &[Window], all: usize) -> Vec<usize> {
    let [first, second] = windows else { return vec![all] };
    let all = all - 1;
    let whole = first.length() + second.length();
    let share = |part: u64| {
        let share = u64::try_from(all).unwrap_or(u64::MAX).saturating_mul(part) / whole.max(1);
        usize::try_from(share).unwrap_or(all)
    };
    let first = share(first.length()).clamp(all / 3, all - all / 3);
    vec![first, all - first]
}

/// Returns the scale.
fn axis(windows: &[Window], parts: &[usize]) -> String {
    let mut line = String::new();
    for (window, columns) in windows.iter().zip(parts) {
        if !line.is_empty() {
            line.push('┆');
        }
        let mut part = String::new();
        for at in window.marks(columns / 9) {
            let label = window.label(at);
            let column = column(at, *window, *columns);
            let free = part.chars().count();
            if column >= free && column + label.chars().count() <= *columns {
                part.extend(std::iter::repeat_n(' ', column - free));
                part.push_str(&label);
                part.push(' ');
            }
        }
        line.extend(part.chars().chain(std::iter::repeat(' ')).take(*columns));
    }
    line
}

/// Returns the column of a time.
fn column(at: u64, window: Window, columns: usize) -> usize {
    let columns = u64::try_from(columns).unwrap_or(u64::MAX);
    let column = (at - window.from).saturating_mul(columns) / window.length();
    usize::try_from(column).unwrap_or(usize::MAX)
}

/// Returns the state in each column: the one that takes most of its time; but what is shorter than a
/// column is not left out, and neither is a failure.
fn states(unit: &Life, window: Window, columns: usize, until: u64) -> Vec<Option<State>> {
    let count = u64::try_from(columns.max(1)).unwrap_or(u64::MAX);
    let edge = |at: usize| {
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        // In thousandths of a millisecond, so that short windows are drawn well.
        window.from * 1000 + (window.length() * 1000).saturating_mul(at) / count
    };
    let share = |span: &Span, from: u64, to: u64| {
        let end = span.to_ms.unwrap_or(until.max(window.to)) * 1000;
        end.min(to).saturating_sub((span.from_ms * 1000).max(from))
    };
    let one = |at: usize| {
        let (from, to) = (edge(at), edge(at + 1));
        let is_short = |span: &&Span| match span.state {
            State::Failed | State::Restarting => true,
            State::Waiting | State::Ended => false,
            State::Starting | State::Running | State::Ready | State::Stopping => {
                span.to_ms.is_some_and(|end| (end - span.from_ms) * 1000 < to - from)
            }
        };
        let begins = |span: &&Span| (from..to).contains(&(span.from_ms * 1000));
        if let Some(span) = unit.spans.iter().filter(begins).find(is_short) {
            return Some(span.state);
        }
        let here = unit.spans.iter().filter(|span| share(span, from, to) > 0);
        let most = here.max_by_key(|span| share(span, from, to)).map(|span| span.state);
        // The sign for a failure is at its time only.
        most.map(|state| if state == State::Failed { State::Ended } else { state })
    };
    (0..columns).map(one).collect()
}

fn legend(text: &mut String, used: &BTreeSet<&str>, critical: bool, color: Color) {
    let all = [
        State::Waiting,
        State::Starting,
        State::Ready,
        State::Restarting,
        State::Stopping,
        State::Failed,
    ];
    let mut parts: Vec<String> = Vec::new();
    for state in all {
        let (sign, look, name) = looks(state);
        if used.contains(name) {
            parts.push(format!("{} {name}", color.paint(look, &sign.to_string())));
        }
    }
    if critical {
        parts.push("* on a critical path".to_owned());
    }
    _ = writeln!(text, "{}", parts.join("   "));
}

fn steps(text: &mut String, what: &str, steps: &[Step], color: Color) {
    if steps.is_empty() {
        return;
    }
    let whole: u64 = steps.iter().map(Step::took).sum();
    let head = format!("The critical path {what}: {}", time(whole));
    _ = writeln!(text, "\n{}", color.paint(Look::Bold, &head));
    for step in steps {
        let share = (step.took() * 100 + whole / 2) / whole.max(1);
        let took = scale::time(step.took());
        _ = writeln!(text, "{took:>12} {share:>3} %  {}", told(step));
    }
}

/// Returns a step in words.
pub(super) fn told(step: &Step) -> String {
    match &step.unit {
        Some(unit) => format!("{unit}, until it {}", step.what),
        None => format!("trc, {}", step.what),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{life, stack};
    use super::*;

    #[test]
    fn a_small_timeline() {
        let right = "\
The run was ready after 1.25 s, and stopped within 500 ms.

  UNIT          0         500ms      1s         1.5s       2s           UP AFTER
* boot.dirs     █                                                       20 ms
* async.db      ·░░░░░░░░░░░░░░░░█████████████████████████████████▒▒    800 ms
* async.migrate ·················█████                                  1.00 s
* async.web     ······················░░░░░████████████████▒▒▒▒▒▒▒      1.25 s
  async.worker  ·███████████××××××█████████████████████████▒            30 ms
* halt.clean    ····················································█

· waiting   ░ starting   █ up   × restarting   ▒ stopping   * on a critical path

The critical path until the run was ready: 1.25 s
        4 ms   0 %  trc, before the first unit was started
       16 ms   1 %  boot.dirs, until it exited
       10 ms   1 %  trc, before async.db was started
      770 ms  62 %  async.db, until it was ready
      200 ms  16 %  async.migrate, until it succeeded
      250 ms  20 %  async.web, until it was ready

The critical path of the stop: 500 ms
      300 ms  60 %  async.web, until it exited
      100 ms  20 %  async.db, until it exited
       20 ms   4 %  trc, before halt.clean was started
       50 ms  10 %  halt.clean, until it exited
       30 ms   6 %  trc, until the run ended
";
        let text = draw(&stack(), 80, false, Color::Never);
        assert!(text.lines().all(|line| cells_of(line) <= 80), "{text}");
        assert_eq!(text, right);
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_and_everything_lines_up() {
        let mut timeline = stack();
        (timeline.stop_ms, timeline.ended_ms) = (Some(3_600_000), Some(3_600_500));
        timeline.until_ms = 3_600_500;
        for width in [60, 80, 81, 120, 200] {
            for whole in [false, true] {
                let text = draw(&timeline, width, whole, Color::Never);
                let rows: Vec<&str> =
                    text.lines().skip(2).take_while(|line| !line.is_empty()).collect();
                assert_eq!(rows.len(), timeline.units.len() + 1);
                assert!(rows.iter().all(|line| cells_of(line) <= width), "{width}: {text}");
                let breaks: BTreeSet<Option<usize>> =
                    rows.iter().map(|row| row.chars().position(|sign| sign == '┆')).collect();
                assert_eq!(breaks.len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn a_failure_is_drawn_however_short_it_is() {
        let unit = life("async.x", &[(State::Running, 0, Some(1)), (State::Failed, 1, None)]);
        let text = draw(&Timeline::of(vec![unit], 100_000), 80, false, Color::Never);
        assert!(text.contains("async.x ██████!"), "{text}");
        assert!(text.contains("! failed"), "{text}");
    }

    #[test]
    fn restarts_and_failures_in_the_part_that_is_left_out_are_told() {
        let mut unit = life("async.x", &[(State::Running, 0, Some(5_000_000))]);
        for at in [5_000_000, 6_000_000] {
            let restarting = Span { state: State::Restarting, from_ms: at, to_ms: Some(at + 5) };
            unit.spans.push(restarting);
        }
        unit.spans.push(Span { state: State::Failed, from_ms: 7_200_000, to_ms: None });
        let text = draw(&Timeline::of(vec![unit], 9_000_000), 80, false, Color::Never);
        let line = "not drawn: async.x was restarted 2 times, and failed after 2 h 0 min\n";
        assert!(text.contains(line), "{text}");
    }
}
