//! Units that run on a schedule.
//!
//! Such a unit is a one-shot that `run/` reports as due (`Event::Due`) at the times of its schedule:
//! the engine knows no wall clock. Until then the unit waits, whatever its conditions are, and they
//! have to hold when it is due, or it starts as soon as they do. A run that has ended is `Done`, as
//! for any other one-shot, and when the unit is due again, it starts anew as if somebody had asked
//! for it: its restarts are forgotten, and its leftovers go first. A start by hand is a run, too.
//!
//! If the unit is due while its last run has not finished, its `overlap` decides. `Skip` leaves this
//! run out, and people are told. `Queue` starts it when the last run has ended; only one run waits.
//! `Kill` stops the last run, by the stop ladder as always, and starts the unit then. If the last
//! run has not begun, because its conditions do not hold or because it is started again after a
//! failure, there is nothing to stop, and this run is left out in any case.
//!
//! A unit with `autostart = false` is never due: it runs only if somebody asks for it.
//!
//! A unit that somebody holds is not due, and nobody is told. A start by hand ends the hold and runs
//! the unit at once. Before boot has finished, in a test run, and when the run stops, nothing is due;
//! a test may run the unit, as a start by hand does (`testing`).
//!
//! Wait policies do not count such a unit: the run ends when the others have ended. But a run in which
//! no other unit is meant to run on, because there are none or because all are one-shots, goes on: it
//! is there for its schedules. A failure is a warning, unless
//! `on_failure` is `"stop"`: the graph gives such a unit `on_failure = "ignore"` otherwise.

use super::unit::{Phase, Restarts, Verdict, Wanted};
use super::{Action, Engine, Fact, Run, Tick};
use crate::config::Overlap;
use crate::graph::UnitId;

impl Engine {
    /// Takes in that a unit is due by its schedule.
    pub(super) fn on_due(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        // The unit may have gone with another graph meanwhile.
        let here = self.graph.ids().any(|one| one == id);
        let Some(schedule) = self.graph.node(id).unit.schedule.as_ref().filter(|_| here) else {
            return;
        };
        if !self.graph.node(id).unit.autostart {
            return;
        }
        let overlap = schedule.overlap;
        if self.run != Run::Up || self.graph.testing || self.states[id.0].wanted != Wanted::Up {
            return;
        }
        let state = &mut self.states[id.0];
        let overlap = match (state.phase(), overlap) {
            (Phase::Waiting, _) if !state.due => {
                state.due = true;
                return self.changed.push_back(id);
            }
            (Phase::Done(_), _) if !self.unkillable.contains(&id) => {
                return self.run_again(now, id, actions);
            }
            (
                Phase::Running { .. } | Phase::Stopping { .. } | Phase::Finishing { .. },
                Overlap::Queue,
            ) if !state.queued => {
                state.queued = true;
                Overlap::Queue
            }
            (Phase::Running { .. }, Overlap::Kill) if state.verdict.is_none() => {
                self.condemn(id, Verdict::Asked);
                Overlap::Kill
            }
            (
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_),
                _,
            ) => Overlap::Skip,
        };
        actions.push(Action::Tell(Fact::Overlapped { unit: id, overlap }));
    }

    /// Starts the runs that were due while the last ones had not finished.
    pub(super) fn advance_schedules(&mut self, now: Tick, actions: &mut Vec<Action>) {
        for id in self.graph.ids() {
            let state = &mut self.states[id.0];
            if !state.queued {
                continue;
            }
            // A new graph may have taken the schedule away, or want something else.
            let schedule = self.graph.node(id).unit.schedule.as_ref();
            let queues = schedule.is_some_and(|schedule| schedule.overlap == Overlap::Queue);
            if self.run != Run::Up || state.wanted != Wanted::Up || !queues {
                state.queued = false;
            } else if let Phase::Done(_) = state.phase() {
                state.queued = false;
                // Whoever has asked for the last run learns how that has ended.
                self.advance_jobs(actions);
                if !self.unkillable.contains(&id) {
                    self.run_again(now, id, actions);
                }
            }
        }
    }

    /// Starts a unit that has ended.
    fn run_again(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        self.states[id.0].restarts = Restarts::default();
        self.start_anew(now, id, actions);
    }

    /// Returns whether a unit waits for the next time of its schedule.
    pub(super) fn is_idle(&self, id: UnitId) -> bool {
        let state = &self.states[id.0];
        self.graph.node(id).is_scheduled() && state.phase() == Phase::Waiting && !state.due
    }
}
