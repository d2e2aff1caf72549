//! The parts of a run that are drawn, and their scale.

use crate::report::timeline::{State, Timeline};

/// A stretch of time that is drawn, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub from: u64,
    pub to: u64,
    /// The time from which the scale counts: the beginning of the run, or that of its stop.
    pub origin: u64,
}

impl Window {
    pub(super) fn length(self) -> u64 {
        (self.to - self.from).max(1)
    }

    /// Returns the times at which the scale has a mark, if there is room for this many.
    pub(super) fn marks(self, most: usize) -> impl Iterator<Item = u64> {
        let most = u64::try_from(most.max(1)).unwrap_or(u64::MAX);
        let least = self.length().div_ceil(most);
        let powers = (0..15).map(|power| 10_u64.pow(power));
        let mut steps = powers.flat_map(|power| [power, 2 * power, 5 * power]);
        let step = steps.find(|step| *step >= least).unwrap_or(self.length());
        let origin = self.origin;
        let first = self.from.max(origin) - origin;
        (first.div_ceil(step)..=(self.to - origin) / step).map(move |at| origin + at * step)
    }

    /// Returns the label of a mark.
    pub(super) fn label(self, at: u64) -> String {
        match (self.origin, at - self.origin) {
            (0, at) => mark(at),
            (_, 0) => "stop".to_owned(),
            (_, at) => format!("+{}", mark(at)),
        }
    }
}

/// Returns the parts that are worth a drawing: the whole run, or, if it went on for long, its start and
/// its stop.
pub(super) fn windows(timeline: &Timeline, whole: bool) -> Vec<Window> {
    let end = timeline.ended_ms.unwrap_or(timeline.until_ms).max(1);
    let all = vec![Window { from: 0, to: end, origin: 0 }];
    let Some(ready) = timeline.ready_ms.filter(|_| !whole) else { return all };
    let start = Window { from: 0, to: (ready + ready / 8).max(10).min(end), origin: 0 };
    let stop = timeline.stop_ms.filter(|stop| *stop < end).map(|stop| {
        let lead = (end - stop) / 8;
        let from = stop.saturating_sub(lead).max(start.to).min(stop);
        Window { from, to: end, origin: stop }
    });
    let shown = start.length() + stop.map_or(0, Window::length);
    // What is left out has to be much, or else the whole says more.
    if shown.saturating_mul(2) >= end || stop.is_some_and(|stop| stop.from <= start.to) {
        return all;
    }
    [Some(start), stop].into_iter().flatten().collect()
}

/// Returns what has gone wrong in the time that is not drawn, with a line for each unit.
pub(super) fn not_drawn(timeline: &Timeline, windows: &[Window]) -> Vec<String> {
    let drawn = |at: u64| windows.iter().any(|window| (window.from..=window.to).contains(&at));
    let lines = timeline.units.iter().filter_map(|unit| {
        let later = || unit.spans.iter().filter(|span| !drawn(span.from_ms));
        let restarts = later().filter(|span| span.state == State::Restarting).count();
        let restarted = match restarts {
            0 => None,
            1 => Some("was restarted once".to_owned()),
            many => Some(format!("was restarted {many} times")),
        };
        let failure = later().find(|span| span.state == State::Failed);
        let failed = failure.map(|span| format!("failed after {}", time(span.from_ms)));
        let what: Vec<String> = restarted.into_iter().chain(failed).collect();
        let forgotten = (unit.missing > 0)
            .then(|| format!("not known: the first {} phases of {}", unit.missing, unit.name));
        let what =
            (!what.is_empty()).then(|| format!("not drawn: {} {}", unit.name, what.join(", and ")));
        what.or(forgotten)
    });
    lines.collect()
}

/// Returns a time for people: `12 ms`, `1.24 s`, `2 min 5 s`.
pub(super) fn time(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => {
            // Rounded to hundredths of a second.
            let hundredths = (ms + 5) / 10;
            format!("{}.{:02} s", hundredths / 100, hundredths % 100)
        }
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// Returns the label of a mark, as short as it can be: `0`, `200ms`, `1.5s`, `3min`.
fn mark(ms: u64) -> String {
    let trimmed = |whole: u64, rest: u64, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{rest}{unit}") }
    };
    match ms {
        0 => "0".to_owned(),
        1..1000 => format!("{ms}ms"),
        1000..60_000 => trimmed(ms / 1000, ms % 1000, 3, "s"),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) && ms < 3_600_000 => format!("{}min", ms / 60_000),
        60_000..3_600_000 => format!("{}:{:02}min", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{}:{:02}h", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::stack;
    use super::*;

    #[test]
    fn times_are_short_and_exact_enough() {
        let times = [
            (0, "0 ms", "0"),
            (999, "999 ms", "999ms"),
            (1000, "1.00 s", "1s"),
            (1250, "1.25 s", "1.25s"),
            (59_999, "60.00 s", "59.999s"),
            (125_000, "2 min 5 s", "2:05min"),
            (180_000, "3 min 0 s", "3min"),
            (7_500_000, "2 h 5 min", "2:05h"),
        ];
        for (ms, long, short) in times {
            assert_eq!((time(ms).as_str(), mark(ms).as_str()), (long, short), "{ms}");
        }
    }

    #[test]
    fn marks_have_round_numbers_and_fit() {
        let window = Window { from: 0, to: 1250, origin: 0 };
        assert_eq!(window.marks(6).collect::<Vec<_>>(), [0, 500, 1000]);
        assert_eq!(window.marks(8).collect::<Vec<_>>(), [0, 200, 400, 600, 800, 1000, 1200]);
        assert_eq!(Window { from: 0, to: 1, origin: 0 }.marks(5).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn of_a_long_run_the_start_and_the_stop_are_drawn() {
        let mut timeline = stack();
        let start = |to| Window { from: 0, to, origin: 0 };
        assert_eq!(windows(&timeline, false), [start(2500)]);
        (timeline.stop_ms, timeline.ended_ms) = (Some(3_600_000), Some(3_600_500));
        timeline.until_ms = 3_600_500;
        let stop = Window { from: 3_599_938, to: 3_600_500, origin: 3_600_000 };
        let parts = [start(1406), stop];
        assert_eq!(windows(&timeline, false), parts);
        assert_eq!(windows(&timeline, true), [start(3_600_500)]);
        (timeline.stop_ms, timeline.ended_ms) = (None, None);
        assert_eq!(windows(&timeline, false), [start(1406)]);
        timeline.ready_ms = None;
        assert_eq!(windows(&timeline, false), [start(3_600_500)]);
        let labels: Vec<String> = stop.marks(3).map(|at| stop.label(at)).collect();
        assert_eq!(labels, ["stop", "+200ms", "+400ms"]);
    }
}
