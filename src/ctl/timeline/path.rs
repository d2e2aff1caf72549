//! The critical paths: what the run waited for until it was ready, and until it had stopped.

use crate::report::timeline::{Life, Span, State, Timeline};

/// The most by which times that belong together differ, because they are rounded to milliseconds.
const SLACK: u64 = 2;

/// One part of a critical path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// The unit; `None` for trc itself.
    pub unit: Option<String>,
    /// What happened in this time, to follow the name.
    pub what: String,
    /// The time, in milliseconds since the beginning of the run.
    pub from: u64,
    pub to: u64,
}

impl Step {
    fn new(unit: Option<&Life>, what: impl Into<String>, from: u64, to: u64) -> Self {
        let unit = unit.map(|unit| unit.name.clone());
        Self { unit, what: what.into(), from: from.min(to), to }
    }

    /// Returns how long it took.
    pub(super) fn took(&self) -> u64 {
        self.to - self.from
    }
}

fn is_boot(unit: &Life) -> bool {
    unit.name.starts_with("boot.")
}

fn is_halt(unit: &Life) -> bool {
    unit.name.starts_with("halt.")
}

/// Returns the parts of the time until the run was ready, in their order: from the last unit to become
/// up back to what it waited for last, and so on. Empty if the run was never ready.
pub(super) fn to_ready(timeline: &Timeline) -> Vec<Step> {
    let Some(ready) = timeline.ready_ms else { return Vec::new() };
    let is_last = |unit: &&Life| {
        unit.counts && [unit.up(), unit.started_ms].into_iter().flatten().any(|at| at == ready)
    };
    let last = timeline.units.iter().rfind(is_last);
    let Some(mut unit) = last else { return Vec::new() };
    let mut steps = Vec::new();
    let mut until = (ready, if unit.up() == Some(ready) { up_by(unit) } else { "was started" });
    for _ in 0..=timeline.units.len() {
        let begun = unit.begun().unwrap_or_default().min(until.0);
        let (to, what) = until;
        steps.push(Step::new(Some(unit), what, begun, to));
        let needs = unit.needs.iter().filter_map(|need| {
            let other = timeline.unit(&need.unit)?;
            Some((other.met(&need.condition)?, other, met(&need.condition, other)))
        });
        // Whatever is not boot waits for all of that.
        let boot = timeline.units.iter().filter(|other| is_boot(other) && !is_boot(unit));
        let boot = boot.filter_map(|other| Some((other.met("exited")?, other, "exited")));
        let before = needs.chain(boot).filter(|(at, ..)| *at <= begun + SLACK);
        let Some((at, other, what)) = before.max_by_key(|(at, ..)| *at) else {
            if begun > 0 {
                steps.push(Step::new(None, "before the first unit was started", 0, begun));
            }
            break;
        };
        if begun > at {
            steps.push(Step::new(None, format!("before {} was started", unit.name), at, begun));
        }
        (unit, until) = (other, (at.min(begun), what));
    }
    steps.retain(|step| step.took() > 0);
    steps.reverse();
    steps
}

/// Returns how a unit shows that it is up, to follow "until it".
fn up_by(unit: &Life) -> &'static str {
    let ready = unit.spans.iter().any(|span| span.state == State::Ready);
    match (ready, unit.oneshot) {
        (true, _) => "was ready",
        (false, true) => "succeeded",
        (false, false) => "was started",
    }
}

/// Returns how a unit has met a condition, to follow "until it".
fn met(condition: &str, unit: &Life) -> &'static str {
    match condition {
        "started" => "was started",
        "ready" => "was ready",
        "succeeded" => "succeeded",
        "failed" => "failed",
        "exited" => "exited",
        _ => up_by(unit),
    }
}

/// Returns when a unit was told to stop as the run stopped, and when it was gone.
fn stop(unit: &Life, timeline: &Timeline) -> Option<(u64, u64)> {
    let begins = timeline.stop_ms?;
    let stops = |span: &&Span| span.state == State::Stopping;
    let late = |span: &&Span| span.to_ms.unwrap_or(timeline.until_ms) >= begins;
    let span = unit.spans.iter().rev().filter(stops).find(late)?;
    Some((span.from_ms.max(begins), span.to_ms.unwrap_or(timeline.until_ms)))
}

/// Returns the parts of the time that the stop took, in their order: from the last unit to be gone back
/// to the unit that had to stop before it, and so on; then the halt units. Empty if the run has not
/// stopped.
pub(super) fn of_stop(timeline: &Timeline) -> Vec<Step> {
    let Some(begins) = timeline.stop_ms else { return Vec::new() };
    let ends = timeline.ended_ms.unwrap_or(timeline.until_ms);
    let had_to_stop = |unit: &&Life| !is_halt(unit) && stop(unit, timeline).is_some();
    let gone = |unit: &&Life| stop(unit, timeline).map(|(_, gone)| gone);
    let mut steps = Vec::new();
    let mut unit = timeline.units.iter().filter(had_to_stop).max_by_key(gone);
    let last = unit.as_ref().and_then(gone).unwrap_or(begins);
    while let Some(one) = unit
        && steps.len() <= timeline.units.len()
        && let Some((told, gone)) = stop(one, timeline)
    {
        steps.push(Step::new(Some(one), "exited", told, gone));
        let before = dependents(one, timeline).into_iter();
        let before = before.filter_map(|other| Some((stop(other, timeline)?.1, other)));
        let before = before.filter(|(gone, _)| *gone <= told + SLACK);
        unit = before.max_by_key(|(gone, _)| *gone).map(|(_, other)| other);
        let from = unit.and_then(|other| stop(other, timeline)).map_or(begins, |(_, gone)| gone);
        if told > from {
            steps.push(Step::new(
                None,
                format!("before {} was told to stop", one.name),
                from,
                told,
            ));
        }
    }
    steps.reverse();
    let mut at = last;
    for halt in timeline.units.iter().filter(|unit| is_halt(unit)) {
        let Some(begun) = halt.begun().filter(|begun| *begun >= begins) else { continue };
        let over = halt.met("exited").unwrap_or(ends);
        if begun > at {
            steps.push(Step::new(None, format!("before {} was started", halt.name), at, begun));
        }
        steps.push(Step::new(Some(halt), "exited", begun, over));
        at = over.max(at);
    }
    if ends > at {
        steps.push(Step::new(None, "until the run ended", at, ends));
    }
    steps.retain(|step| step.took() > 0);
    steps
}

/// Returns the units that depend on a unit, if only by way of units that had ended before the stop.
fn dependents<'t>(unit: &Life, timeline: &'t Timeline) -> Vec<&'t Life> {
    let mut found: Vec<&Life> = Vec::new();
    let mut open = vec![unit.name.clone()];
    while let Some(name) = open.pop() {
        for other in &timeline.units {
            let needs = other.needs.iter().any(|need| need.written && need.unit == name);
            if !needs || found.iter().any(|one| one.name == other.name) {
                continue;
            }
            if stop(other, timeline).is_none() {
                open.push(other.name.clone());
            }
            found.push(other);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::samples::{life, needs, stack};
    use super::*;

    fn told(steps: &[Step]) -> Vec<(&str, &str, u64)> {
        let one = |step: &'_ Step| (step.from, step.to);
        assert!(steps.windows(2).all(|pair| one(&pair[0]).1 == one(&pair[1]).0), "{steps:?}");
        let told = steps.iter();
        told.map(|step| (step.unit.as_deref().unwrap_or("trc"), step.what.as_str(), step.took()))
            .collect()
    }

    #[test]
    fn the_path_to_ready_goes_over_what_each_unit_waited_for_last() {
        let steps = to_ready(&stack());
        let right = [
            ("trc", "before the first unit was started", 4),
            ("boot.dirs", "exited", 16),
            ("trc", "before async.db was started", 10),
            ("async.db", "was ready", 770),
            ("async.migrate", "succeeded", 200),
            ("async.web", "was ready", 250),
        ];
        assert_eq!(told(&steps), right);
    }

    #[test]
    fn the_path_of_the_stop_goes_over_what_had_to_stop_first_and_the_halt_units() {
        let steps = of_stop(&stack());
        let right = [
            ("async.web", "exited", 300),
            ("async.db", "exited", 100),
            ("trc", "before halt.clean was started", 20),
            ("halt.clean", "exited", 50),
            ("trc", "until the run ended", 30),
        ];
        assert_eq!(told(&steps), right);
    }

    #[test]
    fn a_run_that_was_never_ready_and_has_not_stopped_has_no_paths() {
        let unit = life("async.db", &[(State::Starting, 0, None)]);
        let timeline = Timeline::of(vec![unit], 500);
        assert_eq!((to_ready(&timeline), of_stop(&timeline)), (vec![], vec![]));
    }

    #[test]
    fn the_path_follows_the_need_that_was_met_last() {
        for (slow, fast) in [("async.a", "async.b"), ("async.b", "async.a")] {
            let unit = |name: &str| {
                let ready = if name == slow { 300 } else { 100 };
                life(name, &[(State::Starting, 0, Some(ready)), (State::Ready, ready, None)])
            };
            let web =
                life("async.web", &[(State::Waiting, 0, Some(300)), (State::Running, 300, None)]);
            let web = needs(needs(web, fast, "ready"), slow, "ready");
            let web = Life { started_ms: Some(310), ..web };
            let timeline = Timeline::of(vec![unit("async.a"), unit("async.b"), web], 400);
            assert_eq!(told(&to_ready(&timeline)), [(slow, "was ready", 300)]);
        }
    }
}
