//! The life of a run: the states of its units over time, and what the units waited for.
//!
//! Whoever knows the phases of units can make one: a running trc, a test run at its end, or a record of
//! a run. `trcctl timeline` draws and compares it. Times count from the beginning of the run, in
//! milliseconds.

use serde::{Deserialize, Serialize};

/// The life of a run.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Timeline {
    /// The units, in their order.
    pub units: Vec<Life>,
    /// When all units that count were up for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// When the stop of the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_ms: Option<u64>,
    /// When the run ended; missing if it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// The time up to which the states are known.
    pub until_ms: u64,
}

/// The life of a unit.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Life {
    /// The full name: `STAGE.NAME`.
    pub name: String,
    /// Whether it is a one-shot, which is up when it has succeeded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub oneshot: bool,
    /// Whether the run is ready only when this unit is up.
    pub counts: bool,
    /// What the unit waits for.
    pub needs: Vec<Need>,
    /// When its command was executed for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// The states, in their order, without gaps.
    pub spans: Vec<Span>,
    /// The number of earlier changes of its phase that trc has not kept.
    pub missing: u32,
}

/// A condition that a unit waits for.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Need {
    /// The other unit.
    pub unit: String,
    /// `started`, `ready`, `exited`, `succeeded`, `failed` or `settled`.
    pub condition: String,
    /// Whether the configuration has it. Otherwise it is the order within a stage.
    pub written: bool,
}

/// A time that a unit has spent in a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The state.
    pub state: State,
    /// When it began.
    pub from_ms: u64,
    /// When it ended; missing if it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// The state of a unit, as it is drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It waits for its turn or its conditions, or is held.
    Waiting,
    /// It is being started, and is not ready yet.
    Starting,
    /// It runs, and has no readiness check.
    Running,
    /// It has shown that it is ready.
    Ready,
    /// It has exited and will be started again.
    Restarting,
    /// It was told to stop, or its `post_stop` runs.
    Stopping,
    /// It has ended as it should.
    Ended,
    /// It has ended and has failed.
    Failed,
}

/// A phase of a unit, as the control socket and the engine have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Phase<'a> {
    /// `waiting`, `retrying`, `starting`, `running`, `watching`, `stopping`, `finishing`, `backoff` or
    /// `ended`.
    pub word: &'a str,
    pub from_ms: u64,
    pub to_ms: Option<u64>,
    /// When the unit became ready in it.
    pub ready_ms: Option<u64>,
    /// Whether it is the end of a unit that has failed.
    pub failed: bool,
}

impl Timeline {
    /// Returns the timeline of these units, which is known up to `until_ms`, with the time at which the
    /// run was ready.
    pub(crate) fn of(units: Vec<Life>, until_ms: u64) -> Self {
        let mut ready_ms = Some(0);
        // Only the first unit in the foreground does not wait for another one to end.
        let mut sync = false;
        for unit in units.iter().filter(|unit| unit.counts && unit.missing == 0) {
            let later = unit.name.starts_with("sync.") && std::mem::replace(&mut sync, true);
            if !later {
                let up = if unit.is_in_foreground() { unit.begun_to_run() } else { unit.up() };
                ready_ms = ready_ms.zip(up).map(|(one, other)| one.max(other));
            }
        }
        let ready_ms = ready_ms.filter(|_| units.iter().any(|unit| unit.counts));
        Self { units, ready_ms, stop_ms: None, ended_ms: None, until_ms }
    }
}

impl Life {
    /// Returns the states that a unit has had in these phases. `checked` says whether it has a readiness
    /// check.
    pub(crate) fn spans<'a>(
        phases: impl IntoIterator<Item = Phase<'a>>,
        checked: bool,
    ) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut add = |state, from_ms, to_ms: Option<u64>| {
            // A unit that is stopped as soon as it is ready was ready.
            if to_ms.is_some_and(|to| to <= from_ms) && state != State::Ready {
                return;
            }
            match spans.last_mut() {
                Some(last) if last.state == state => last.to_ms = to_ms,
                Some(_) | None => spans.push(Span { state, from_ms, to_ms }),
            }
        };
        let mut again = false;
        for phase in phases {
            let Phase { word, from_ms, to_ms, ready_ms, failed } = phase;
            let state = match word {
                "running" | "watching" if checked => {
                    let ready = ready_ms.unwrap_or(u64::MAX);
                    let to = to_ms.unwrap_or(u64::MAX);
                    add(State::Starting, from_ms, [to_ms, ready_ms].into_iter().flatten().min());
                    if ready <= to && ready_ms.is_some() {
                        add(State::Ready, ready, to_ms);
                    }
                    again = false;
                    continue;
                }
                "running" | "watching" => State::Running,
                "starting" | "retrying" => State::Starting,
                "stopping" | "finishing" => State::Stopping,
                "backoff" => State::Restarting,
                // Its delay is over, and its conditions do not hold again yet.
                "waiting" if again => State::Restarting,
                "ended" if failed => State::Failed,
                "ended" => State::Ended,
                _ => State::Waiting,
            };
            again = state == State::Restarting;
            add(state, from_ms, to_ms);
        }
        spans
    }

    /// Returns whether it belongs to a stage whose units run one after another in the foreground.
    fn is_in_foreground(&self) -> bool {
        self.name.starts_with("sync.")
    }

    fn first(&self, states: &[State]) -> Option<u64> {
        self.spans.iter().find(|span| states.contains(&span.state)).map(|span| span.from_ms)
    }

    /// Returns when a unit in the foreground was at work: there is nothing to wait for if it has no
    /// readiness check.
    fn begun_to_run(&self) -> Option<u64> {
        self.first(&[State::Ready, State::Running, State::Ended])
    }

    /// Returns when the unit was up for the first time: when it was ready, had succeeded if it is a
    /// one-shot, or was started. Nobody knows that if trc has not kept its first phases.
    pub(crate) fn up(&self) -> Option<u64> {
        if self.missing > 0 {
            return None;
        }
        let ready = self.first(&[State::Ready]);
        ready.or_else(|| {
            let done = self.first(&[State::Ended]);
            if self.oneshot { done } else { self.first(&[State::Running]).or(done) }
        })
    }
}

/// What only those need who draw and compare timelines.
#[cfg(feature = "ctl")]
impl Timeline {
    /// Returns the unit with this name.
    pub(crate) fn unit(&self, name: &str) -> Option<&Life> {
        self.units.iter().find(|unit| unit.name == name)
    }
}

#[cfg(feature = "ctl")]
impl Life {
    /// Returns when the unit was started for the first time.
    pub(crate) fn begun(&self) -> Option<u64> {
        self.first(&[
            State::Starting,
            State::Running,
            State::Ready,
            State::Restarting,
            State::Stopping,
            State::Ended,
            State::Failed,
        ])
    }

    /// Returns when the unit has met a condition for the first time.
    pub(crate) fn met(&self, condition: &str) -> Option<u64> {
        match condition {
            "started" => self.started_ms,
            "ready" => self.up(),
            "succeeded" => self.first(&[State::Ended]),
            "failed" => self.first(&[State::Failed]),
            "exited" => self.first(&[State::Ended, State::Failed]),
            // Whichever comes first.
            _ => self.up().into_iter().chain(self.first(&[State::Failed])).min(),
        }
    }

    /// Returns how long the unit took from its first start until it was up.
    pub(crate) fn own_ms(&self) -> Option<u64> {
        Some(self.up()?.saturating_sub(self.begun()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(word: &str, from_ms: u64, to_ms: Option<u64>) -> Phase<'_> {
        Phase { word, from_ms, to_ms, ready_ms: None, failed: false }
    }

    fn shown(spans: &[Span]) -> Vec<(State, u64, Option<u64>)> {
        spans.iter().map(|span| (span.state, span.from_ms, span.to_ms)).collect()
    }

    #[test]
    fn a_unit_with_a_readiness_check_starts_until_it_is_ready() {
        let phases = [
            phase("waiting", 0, Some(5)),
            phase("starting", 5, Some(7)),
            Phase { ready_ms: Some(20), ..phase("running", 7, Some(90)) },
            phase("stopping", 90, Some(95)),
            phase("ended", 95, None),
        ];
        let spans = shown(&Life::spans(phases, true));
        let right = [
            (State::Waiting, 0, Some(5)),
            (State::Starting, 5, Some(20)),
            (State::Ready, 20, Some(90)),
            (State::Stopping, 90, Some(95)),
            (State::Ended, 95, None),
        ];
        assert_eq!(spans, right);
        let never = shown(&Life::spans([phase("running", 7, Some(90))], true));
        assert_eq!(never, [(State::Starting, 7, Some(90))]);
        let short = Phase { ready_ms: Some(90), ..phase("running", 7, Some(90)) };
        let short = shown(&Life::spans([short], true));
        assert_eq!(short, [(State::Starting, 7, Some(90)), (State::Ready, 90, Some(90))]);
        let open = shown(&Life::spans([phase("running", 7, None)], true));
        assert_eq!(open, [(State::Starting, 7, None)]);
        let ready = Phase { ready_ms: Some(20), ..phase("running", 7, None) };
        let ready = shown(&Life::spans([ready], true));
        assert_eq!(ready, [(State::Starting, 7, Some(20)), (State::Ready, 20, None)]);
    }

    #[test]
    fn a_unit_restarts_until_its_process_is_started_again() {
        let phases = [
            phase("running", 0, Some(10)),
            phase("backoff", 10, Some(20)),
            phase("waiting", 20, Some(30)),
            phase("running", 30, Some(40)),
            phase("waiting", 40, None),
        ];
        let right = [
            (State::Running, 0, Some(10)),
            (State::Restarting, 10, Some(30)),
            (State::Running, 30, Some(40)),
            (State::Waiting, 40, None),
        ];
        assert_eq!(shown(&Life::spans(phases, false)), right);
    }

    fn life(name: &str, spans: &[(State, u64, u64)]) -> Life {
        let spans = spans.iter().map(|(state, from_ms, to)| Span {
            state: *state,
            from_ms: *from_ms,
            to_ms: Some(*to),
        });
        Life { name: name.to_owned(), counts: true, spans: spans.collect(), ..Life::default() }
    }

    #[test]
    fn a_run_is_ready_when_all_that_count_are_up() {
        let db = life("async.db", &[(State::Starting, 0, 30), (State::Ready, 30, 90)]);
        let plain = life("async.plain", &[(State::Waiting, 0, 40), (State::Running, 40, 90)]);
        let job = [(State::Waiting, 0, 30), (State::Running, 30, 50), (State::Ended, 50, 90)];
        let job = Life { oneshot: true, ..life("async.job", &job) };
        let idle = Life { counts: false, ..life("async.idle", &[(State::Waiting, 0, 90)]) };
        let ready =
            |units: &[&Life]| Timeline::of(units.iter().copied().cloned().collect(), 90).ready_ms;
        assert_eq!(ready(&[&db]), Some(30));
        assert_eq!(ready(&[&db, &plain, &idle]), Some(40));
        assert_eq!(ready(&[&db, &plain, &job]), Some(50));
        let one = life("sync.one", &[(State::Waiting, 0, 50), (State::Running, 50, 80)]);
        let two = life("sync.two", &[(State::Waiting, 0, 80), (State::Running, 80, 90)]);
        assert_eq!(ready(&[&db, &one, &two]), Some(50), "the second waits for the first to end");
        let never = life("async.never", &[(State::Starting, 0, 90)]);
        assert_eq!(ready(&[&db, &never]), None);
        assert_eq!(ready(&[&idle]), None);
    }
}
