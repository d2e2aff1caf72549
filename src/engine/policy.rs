//! The wait policies: when the run ends by itself, and with which status.

use super::{Action, Cause, Ended, Engine, Tick, Wanted};
use crate::config::{OnFailure, Stage, WaitPolicy};
use crate::graph::UnitId;
use crate::status;

impl Engine {
    /// Stops the run if the wait policy says so.
    pub(super) fn ask_policy(&mut self, now: Tick, actions: &mut Vec<Action>) {
        if self.graph.testing {
            return self.ask_tests(now, actions);
        }
        // If nothing else is meant to run on, the run is there for its schedules.
        let has_schedules = || self.graph.ids().any(|id| self.graph.node(id).runs_by_schedule());
        let has_services = || self.counted().any(|id| !self.graph.node(id).oneshot);
        let all_ended = self.counted().all(|id| self.ended(id).is_some())
            && (has_services() || !has_schedules());
        let verdict = match self.graph.wait {
            WaitPolicy::Any => self.any(all_ended),
            WaitPolicy::All => all_ended.then(|| self.all_ended()),
            WaitPolicy::Err => match self.first_to_fail() {
                Some((id, ended)) => Some((Cause::Failed(id), ended.status)),
                None => all_ended.then_some((Cause::AllEnded(None), 0)),
            },
            WaitPolicy::Forever if self.graph.transparent => all_ended.then(|| self.all_ended()),
            WaitPolicy::Forever => None,
        };
        if let Some((cause, status)) = verdict {
            self.stop_run(cause, status, actions);
        }
    }

    /// `any`: the run ends with the first unit that ends. If a sync unit is running or still has to
    /// run, only sync units count.
    fn any(&self, all_ended: bool) -> Option<(Cause, u8)> {
        let sync = |id: &UnitId| self.graph.node(*id).unit.stage == Stage::Sync;
        let first = |foreground: bool| {
            let ends =
                self.counted().filter(|id| sync(id) == foreground).filter_map(|id| self.end_of(id));
            ends.min_by_key(|(_, ended)| ended.place)
        };
        if let Some((id, ended)) = first(true) {
            let status = match ended.status {
                0 => self.first_background_failure().map_or(0, |failed| failed.status),
                failed => failed,
            };
            return Some((Cause::Ended(id), status));
        }
        if self.counted().filter(sync).any(|id| self.ended(id).is_none()) {
            return None;
        }
        if let Some((id, ended)) = first(false) {
            // A service is not meant to exit. TrivialRC exits with 143, whatever the service exited
            // with.
            let own = ended.failed() && !self.graph.node(id).is_trivialrc();
            return Some((
                Cause::Ended(id),
                if own { ended.status } else { status::SERVICE_ENDED },
            ));
        }
        all_ended.then_some((Cause::AllEnded(None), 0))
    }

    /// Returns the units that wait policies count.
    fn counted(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.graph.ids().filter(|id| self.is_counted(*id))
    }

    fn is_counted(&self, id: UnitId) -> bool {
        let node = self.graph.node(id);
        let idle = self.states[id.0].wanted == Wanted::Idle;
        node.counts() && !node.is_scheduled() && !idle
    }

    /// Returns the end of a unit, if wait policies count it: neither the success of a one-shot nor
    /// an ignored failure counts.
    fn end_of(&self, id: UnitId) -> Option<(UnitId, Ended)> {
        let node = self.graph.node(id);
        let ended = self.ended(id)?;
        let silent =
            if ended.failed() { node.unit.on_failure == OnFailure::Ignore } else { node.oneshot };
        (self.is_counted(id) && !silent).then_some((id, ended))
    }

    fn failure_of(&self, id: UnitId) -> Option<(UnitId, Ended)> {
        self.end_of(id).filter(|(_, ended)| ended.failed())
    }

    fn first_to_fail(&self) -> Option<(UnitId, Ended)> {
        self.counted().filter_map(|id| self.failure_of(id)).min_by_key(|(_, ended)| ended.place)
    }

    fn first_background_failure(&self) -> Option<Ended> {
        let failures = self.graph.stage(Stage::Async).filter_map(|id| self.failure_of(id));
        failures.min_by_key(|(_, ended)| ended.place).map(|(_, ended)| ended)
    }

    /// Returns the last-declared background unit that failed, or else the last-declared foreground
    /// unit that failed, with its exit status; 0 if none failed.
    fn all_ended(&self) -> (Cause, u8) {
        let last = |stage| {
            let failures = self.graph.stage(stage).filter_map(|id| self.failure_of(id));
            failures.max_by_key(|(id, _)| self.graph.node(*id).declared)
        };
        match last(Stage::Async).or_else(|| last(Stage::Sync)) {
            Some((id, ended)) => (Cause::AllEnded(Some(id)), ended.status),
            None => (Cause::AllEnded(None), 0),
        }
    }
}
