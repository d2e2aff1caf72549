//! Units that put themselves into the background: `pid_file`.
//!
//! The process that trc starts for such a unit forks the one that serves, and exits with 0. That is
//! not the unit's end. From then on, any process of the unit *stands in* for its main process
//! ([`Notice::StandIn`]), so that the unit can be stopped and killed as ever, until trc knows its main
//! process: the one that the file names ([`Notice::MainPid`]), or the one of a `MAINPID=`. trc looks
//! at the file as often as for readiness, from the start of the unit on, until `ready.within` is over.
//!
//! - Until the main process is known, the unit is not ready, whatever its `ready` says. A unit without
//!   a `ready` is ready as soon as it is known.
//! - If the time is up, a unit in the background was not ready in time. A unit in the foreground does
//!   not need its `pid_file`: its main process is the one that trc has started, which the file may also
//!   name.
//! - If the last process exits before that, the unit has failed ([`super::How::Lost`]).

use std::time::Duration;

use super::unit::{Ladder, Phase, Sought};
use super::{Action, Detail, Ending, Engine, Fact, Notice, Run, Tick, limits};
use crate::graph::UnitId;

impl Sought {
    /// Begins a search.
    pub(super) fn new(now: Tick, wait: Duration, shown: bool) -> Self {
        // The file was removed before the start.
        Self { next: Some(now + wait), wait, background: false, shown }
    }
}

impl Engine {
    /// Handles that a unit has another main process, or another process that stands in for it.
    pub(super) fn has_main(
        &mut self,
        id: UnitId,
        other: i32,
        notice: Notice,
        actions: &mut Vec<Action>,
    ) {
        let ladder = match self.states[id.0].details() {
            Phase::Running { pid } => {
                *pid = other;
                None
            }
            Phase::Stopping { pid, ladder } => {
                *pid = other;
                Some(*ladder)
            }
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        };
        // The stop signal has gone to the process that has just exited.
        if let (Notice::StandIn(_), Some(Ladder::Signal { .. })) = (notice, ladder) {
            self.send_stop_signal(id, actions);
        }
    }

    /// Handles that a watched unit goes on in the background.
    pub(super) fn goes_on(&mut self, id: UnitId, actions: &mut Vec<Action>) {
        let every = self.graph.node(id).unit.ready.as_ref().map(|ready| ready.every);
        // trc begins nothing after the end.
        if self.run == Run::Over {
            return;
        }
        if let Some(sought) = &mut self.states[id.0].watch.sought {
            sought.wait = every.map_or(limits::FIRST_TRY, |it| limits::FIRST_TRY.min(it));
            (sought.background, sought.next) = (true, None);
            actions.push(Action::Seek(id));
        }
    }

    pub(super) fn on_unfound(&mut self, now: Tick, id: UnitId, why: Option<Detail>) {
        let every = self.graph.node(id).unit.ready.as_ref().map(|ready| ready.every);
        let watched = self.is_watched(id);
        let state = &mut self.states[id.0];
        if let Some(sought) = state.watch.sought.as_mut().filter(|_| watched) {
            sought.next = Some(now + sought.wait);
            sought.wait = (sought.wait * 2).min(every.unwrap_or(limits::FIRST_TRY));
            if why.is_some() {
                state.learnt(why);
            }
        }
    }

    /// Handles that the main process of a watched unit is known. `before` is the process that it had
    /// until now.
    pub(super) fn found_main(
        &mut self,
        now: Tick,
        id: UnitId,
        (pid, before): (i32, Option<i32>),
        actions: &mut Vec<Action>,
    ) {
        let state = &mut self.states[id.0];
        if let Some(sought) = state.watch.sought.take() {
            let foreground = !sought.background && before == Some(pid);
            state.learnt(None);
            actions.push(Action::Tell(Fact::MainProcess { unit: id, pid, foreground }));
            if sought.shown {
                self.became_ready(now, id, actions);
            }
        }
    }

    /// Handles that a unit has stayed in the foreground for as long as it may take to be ready.
    pub(super) fn stays(&mut self, now: Tick, id: UnitId, actions: &mut Vec<Action>) {
        if let Some(pid) = self.states[id.0].pid() {
            self.found_main(now, id, (pid, Some(pid)), actions);
        }
    }

    /// Returns whether a unit is lost because its process has exited by itself.
    pub(super) fn is_lost(&self, id: UnitId, ending: Ending) -> bool {
        let sought = self.states[id.0].watch.sought;
        sought.is_some_and(|sought| sought.background || ending == Ending::Code(0))
    }
}
