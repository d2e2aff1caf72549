//! Lets a new graph take over while the run goes on.
//!
//! After the configuration has been read anew, `run/` builds its graph over the present one
//! ([`Graph::over`]). It knows which units have to be replaced, because settings have changed that
//! their processes have from their start, and it offers both to the engine. Units that are
//! restarted together with these are replaced, too. `Event::Reload` then begins the reload. The
//! engine refuses it while boot has not finished, while the run stops, in a test run, and while
//! another reload is under way; nothing changes then.
//!
//! There is one graph at a time. Under the old graph, the units that the new one does not have and
//! those that are to be replaced stop, in the reverse order of the dependencies among them. Other
//! units that depend on them run on. The units that go are not wanted any more (`Wanted::Down`), so
//! nothing starts them; they do not end, and no wait policy counts them; and requests for them are
//! refused meanwhile. Their jobs are superseded.
//!
//! When all of them are gone, the new graph takes over, with its policies, signals and budget.
//! Units that stay keep their processes, states and restarts. Replaced and new units begin as at
//! the start of a run, and start by their conditions, with three exceptions: a held unit stays
//! held; a unit that has survived SIGKILL is not started beside itself; and while a unit in the
//! foreground runs, no unit is started that now comes before it. Boot does not run again.
//!
//! **A new graph is on probation** until all units that are new in it, or replaced, are up, in the
//! sense of a bare name in `after`. If one of them fails before that, is not ready in time, or exits
//! and would be restarted, the old graph comes back: a reload in the other direction begins at once
//! (`Fact::RolledBack`), and stops what the first one has changed, whether it is up or not. Units
//! outside the plan run on, and everything else is as if the old graph had been loaded: what failed
//! has not failed, so no wait policy counts it, and neither does `on_failure = "stop"`. A unit that
//! somebody holds is out of the probation, because a person has taken over. So is a unit that waits
//! for it, or for the end of a service, because nobody knows when that starts. A graph that came back is
//! not on probation, nor is one that is offered to be kept (`Engine::offer_for_good`). The probation
//! ends with the stop of the run, and with the next reload: whoever reloads again has seen the last
//! one.
//!
//! When the next reload begins, a unit that the new graph does not have is forgotten, a hold
//! included. Its identity stays known for as long as something may tell of it (`Engine::spare`): a
//! process or leftovers, survivors of SIGKILL, the first failure, which the last line of the log
//! names, and the ends of units that have waited for it in vain. Then a unit with a new name gets
//! the identity, so that a run that reloads for years has only a few more identities than it ever
//! had units at once.
//!
//! A unit with `autostart = false` that comes into the run is idle. If the new graph says so of a unit
//! that has run, it runs on, also if it is replaced; and a unit that was idle starts if the new graph
//! no longer says so.
//!
//! If the run stops during a reload, the old graph is the only one, and the reload ends: all units
//! of the old graph stop, and those of the new one have not begun.

use std::rc::Rc;

use super::reason::Failure;
use super::unit::{Phase, State, Verdict, Wanted, Why};
use super::{Action, Asker, Ended, Engine, Event, Fact, How, Refusal, Run, Tick, wanted_at_first};
use crate::config::Stage;
use crate::graph::{Graph, UnitId};

/// A graph that is to take over.
#[derive(Debug)]
pub(super) struct Offer {
    graph: Rc<Graph>,
    /// The units of the graph that do not stay as they are.
    replaced: Vec<UnitId>,
    /// What happens if one of them fails.
    kind: Kind,
    /// The generation of the graph that it takes over from, whose identities it has.
    over: u32,
}

/// What kind of offer a graph is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// If a new or replaced unit fails, the old graph comes back.
    OnProbation,
    /// The graph stays.
    ForGood,
    /// The graph is an old one that comes back, and stays.
    Back,
}

/// What a graph that has taken over has changed, until all of that is up.
#[derive(Debug)]
pub(super) struct Probation {
    /// The graph before.
    before: Rc<Graph>,
    replaced: Vec<UnitId>,
    /// The units that are not up yet.
    open: Vec<UnitId>,
}

/// The reason why a new or replaced unit has failed its probation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failing {
    /// It has ended.
    Ended(Ended),
    /// It was not ready in time, or has run for longer than it may.
    NotReady,
    /// It exited and would be restarted.
    Exited,
}

/// A graph that takes over when these units are gone.
#[derive(Debug)]
pub(super) struct Reload {
    offer: Offer,
    going: Vec<UnitId>,
}

impl Engine {
    /// Offers a graph that is to take over from the present one ([`Graph::over`]), and those of its
    /// units that do not stay as they are. The graph takes over when an event says so. Graphs are
    /// not part of events, which are plain data.
    pub(crate) fn offer(&mut self, graph: Rc<Graph>, replaced: Vec<UnitId>) {
        let over = self.generation;
        self.offered = Some(Offer { graph, replaced, kind: Kind::OnProbation, over });
    }

    /// Offers a graph like [`Engine::offer`], which stays even if one of its units fails.
    pub(crate) fn offer_for_good(&mut self, graph: Rc<Graph>, replaced: Vec<UnitId>) {
        let over = self.generation;
        self.offered = Some(Offer { graph, replaced, kind: Kind::ForGood, over });
    }

    /// Returns whether a graph is about to take over, or has not yet shown that its units come up.
    #[must_use]
    pub(crate) fn is_reloading(&self) -> bool {
        self.reload.is_some() || self.probation.is_some()
    }

    /// Returns the identities that a graph may reuse when it takes over: those of units that are gone
    /// for good.
    #[must_use]
    pub(crate) fn spare(&self) -> Vec<UnitId> {
        let mut kept = vec![false; self.states.len()];
        self.graph.ids().for_each(|id| kept[id.0] = true);
        self.unkillable.iter().chain(&self.first_failure).for_each(|id| kept[id.0] = true);
        for id in self.graph.ids() {
            // The end of a unit, or an earlier one in its timeline, tells of the unit, and so do the
            // failures behind its own.
            let state = &self.states[id.0];
            let behind = state.failure.iter().flat_map(Failure::units);
            behind.for_each(|unit| kept[unit.0] = true);
            let ends = state.past.kept.iter().map(|stay| stay.phase).chain([state.phase()]);
            for ended in ends.filter_map(Phase::ended) {
                if let How::Blocked(by) = ended.how {
                    kept[by.0] = true;
                }
            }
        }
        let free = |id: &UnitId| {
            let state = &self.states[id.0];
            !kept[id.0] && state.gone() && !state.survivors
        };
        (0..self.states.len()).map(UnitId).filter(free).collect()
    }

    /// Ends the settling: the graph that was made of the command line takes over, if there is one.
    pub(super) fn on_settled(&mut self) {
        if let Some(offer) = self.offered.take() {
            self.take_over(offer);
        }
        self.booted = true;
        if self.run == Run::Settling {
            self.run = Run::Up;
            self.changed.clear();
            self.changed.extend(self.graph.ids());
        }
    }

    /// Begins the reload to the graph that was offered.
    pub(super) fn on_reload(&mut self, asker: Asker, actions: &mut Vec<Action>) {
        let Some(offer) = self.offered.take() else {
            return self.impossible(&Event::Reload { asker });
        };
        // Another graph may have taken over since this one was offered, with other identities.
        let late = self.reload.is_some() || offer.over != self.generation;
        let refusal = if late { Some(Refusal::Reloading) } else { self.busy() };
        if let Some(why) = refusal {
            actions.push(Action::Tell(Fact::NotReloaded { why }));
            return;
        }
        self.probation = None;
        // Nobody remembers what was wanted of units that are not there any more.
        let mut here = vec![false; self.states.len()];
        self.graph.ids().for_each(|id| here[id.0] = true);
        for (state, _) in self.states.iter_mut().zip(here).filter(|(_, here)| !here) {
            state.wanted = Wanted::Up;
        }
        let said = actions.len();
        let going = self.begin_reload(offer, actions);
        actions.insert(said, Action::Tell(Fact::Reloading { going, asker }));
    }

    /// Lets the units go that a graph does not have, or replaces, and returns them.
    fn begin_reload(&mut self, mut offer: Offer, actions: &mut Vec<Action>) -> Vec<UnitId> {
        let mut stays = vec![false; offer.graph.nodes.len()];
        offer.graph.ids().for_each(|id| stays[id.0] = true);
        // Units that are restarted together with a replaced unit are replaced, too.
        let mut open = offer.replaced;
        open.retain(|id| offer.graph.node(*id).unit.stage != Stage::Boot);
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut stays[id.0], false) {
                open.extend(&offer.graph.node(id).restarts);
            }
        }
        offer.replaced = offer.graph.ids().filter(|id| !stays[id.0]).collect();
        let ran =
            |id: &UnitId| matches!(self.graph.node(*id).unit.stage, Stage::Async | Stage::Sync);
        let going: Vec<UnitId> = self.graph.ids().filter(ran).filter(|id| !stays[id.0]).collect();
        for id in &going {
            self.supersede(*id, actions);
            match self.states[id.0].phase() {
                Phase::Watching => {
                    self.end_watch(*id, actions);
                    self.transition(*id, Phase::Waiting, Why::Reloaded);
                }
                Phase::Retrying { .. } | Phase::Backoff { .. } => {
                    self.transition(*id, Phase::Waiting, Why::Reloaded);
                }
                Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Done(_) => {}
            }
            let state = &mut self.states[id.0];
            if state.wanted == Wanted::Up {
                state.wanted = Wanted::Down;
            }
        }
        self.reload = Some(Reload { offer, going: going.clone() });
        going
    }

    /// Lets the old graph come back if a unit has failed its probation.
    fn judge_probation(&mut self, actions: &mut Vec<Action>) {
        let Some(mut probation) = self.probation.take() else { return };
        if self.run != Run::Up {
            return;
        }
        probation.open.retain(|id| {
            let up = self.ended(*id).is_some_and(|ended| self.ended_well(*id, ended));
            let open = self.states[id.0].wanted == Wanted::Up && !up && !self.stands_up(*id);
            open && !self.waits_indefinitely(*id)
        });
        let Probation { before, replaced, open } = &probation;
        let failing = |id: &UnitId| Some((*id, self.failing(*id)?));
        let Some((unit, why)) = open.iter().find_map(failing) else {
            self.probation = Some(probation).filter(|probation| !probation.open.is_empty());
            return;
        };
        let graph = Rc::new(Graph::clone(before).over(&self.graph));
        let (replaced, over) = (replaced.clone(), self.generation);
        let offer = Offer { graph, replaced, kind: Kind::Back, over };
        let said = actions.len();
        let going = self.begin_reload(offer, actions);
        for id in &going {
            if let Phase::Done(_) = self.states[id.0].phase()
                && !self.unkillable.contains(id)
            {
                self.transition(*id, Phase::Waiting, Why::Reloaded);
            }
        }
        actions.insert(said, Action::Tell(Fact::RolledBack { unit, why, going }));
    }

    /// Returns why a unit has failed its probation, if it has.
    fn failing(&self, id: UnitId) -> Option<Failing> {
        let state = &self.states[id.0];
        match (state.phase(), state.verdict) {
            (Phase::Done(ended), _) => Some(Failing::Ended(ended)),
            (_, Some(Verdict::Unprepared | Verdict::NotReady | Verdict::Overran)) => {
                Some(Failing::NotReady)
            }
            _ if !state.restarts.times.is_empty() => Some(Failing::Exited),
            _ => None,
        }
    }

    /// Returns whether the old graph is about to come back.
    pub(super) fn has_failed_probation(&self) -> bool {
        let open = self.probation.iter().flat_map(|probation| &probation.open);
        open.copied().any(|id| {
            let well = self.ended(id).is_some_and(|ended| self.ended_well(id, ended));
            let wanted = self.states[id.0].wanted == Wanted::Up;
            wanted && !well && !self.stands_up(id) && self.failing(id).is_some()
        })
    }

    /// Returns whether a unit has ended as it should, which only one-shots do.
    pub(super) fn ended_well(&self, id: UnitId, ended: Ended) -> bool {
        self.graph.node(id).oneshot && !ended.failed()
    }

    /// Returns whether a unit is not up yet after a new graph has changed it.
    pub(super) fn is_on_probation(&self, id: UnitId) -> bool {
        self.run == Run::Up && self.probation.as_ref().is_some_and(|it| it.open.contains(&id))
    }

    /// Stops the units that have to go, and lets the new graph take over when they are gone.
    pub(super) fn advance_reload(&mut self, now: Tick, actions: &mut Vec<Action>) {
        self.judge_probation(actions);
        let Some(reload) = self.reload.take() else { return };
        if self.run != Run::Up {
            actions.push(Action::Tell(Fact::NotReloaded { why: Refusal::Stopping }));
            return;
        }
        // A fork that was under way when the reload began has failed since. It is not repeated.
        for id in &reload.going {
            if let Phase::Retrying { .. } = self.states[id.0].phase() {
                self.states[id.0].verdict = None;
                self.transition(*id, Phase::Waiting, Why::Reloaded);
            }
        }
        if reload.going.iter().all(|id| self.states[id.0].gone()) {
            let before = Rc::clone(&self.graph);
            let Offer { kind, ref replaced, .. } = reload.offer;
            let replaced = replaced.clone();
            self.take_over(reload.offer);
            actions.push(Action::TakeOver);
            let generation = self.generation;
            actions.push(Action::Tell(match kind {
                Kind::OnProbation | Kind::ForGood => Fact::Reloaded { generation },
                Kind::Back => Fact::Restored { generation },
            }));
            if kind == Kind::OnProbation {
                self.begin_probation(before, replaced);
            }
            return;
        }
        let held = self.held(&reload.going);
        for id in reload.going.iter().filter(|id| !held[id.0]) {
            match self.states[id.0].phase() {
                Phase::Starting { .. } | Phase::Running { .. } => {
                    self.states[id.0].verdict.get_or_insert(Verdict::Asked);
                }
                Phase::Waiting
                | Phase::Retrying { .. }
                | Phase::Watching
                | Phase::Stopping { .. }
                | Phase::Finishing { .. }
                | Phase::Backoff { .. }
                | Phase::Done(_) => self.begin_stop(*id, now, actions),
            }
        }
        self.reload = Some(reload);
    }

    /// Returns whether a unit stops because a new graph is to take over.
    pub(super) fn is_going(&self, id: UnitId) -> bool {
        self.reload.as_ref().is_some_and(|reload| reload.going.contains(&id))
    }

    /// Puts a graph that has taken over on probation.
    fn begin_probation(&mut self, before: Rc<Graph>, replaced: Vec<UnitId>) {
        let changed = |id: &UnitId| {
            let new = || before.ids().all(|one| one != *id);
            let state = &self.states[id.0];
            let wanted = state.wanted == Wanted::Up && !self.unkillable.contains(id);
            // Nobody waits for the next time of a schedule.
            let wanted = wanted && !self.graph.node(*id).is_scheduled();
            self.graph.node(*id).counts() && wanted && (replaced.contains(id) || new())
        };
        let open: Vec<UnitId> = self.graph.ids().filter(changed).collect();
        self.probation = Some(Probation { before, replaced, open });
    }

    fn take_over(&mut self, Offer { graph, replaced, .. }: Offer) {
        let mut stays = vec![false; graph.nodes.len()];
        self.graph.ids().for_each(|id| stays[id.0] = true);
        for id in replaced {
            stays[id.0] = false;
        }
        self.states.resize(graph.nodes.len(), State::new(self.now));
        for id in graph.ids() {
            let idle = graph.node(id).idle;
            // Somebody has asked for it, or for a unit that stands on it.
            let asked_for = stays[id.0] && self.graph.node(id).idle || self.has_job(id);
            let state = &mut self.states[id.0];
            if stays[id.0] {
                // What has not run yet follows the new graph.
                let waits = state.phase() == Phase::Waiting && !state.started && !asked_for;
                match state.wanted {
                    Wanted::Idle if !idle => state.wanted = Wanted::Up,
                    Wanted::Up if idle && waits => state.wanted = Wanted::Idle,
                    Wanted::Up | Wanted::Idle | Wanted::Down | Wanted::Held => {}
                }
                continue;
            }
            // What has run goes on, whoever has started it.
            let wanted = match state.wanted {
                Wanted::Held => Wanted::Held,
                Wanted::Down if idle && state.started => Wanted::Up,
                Wanted::Up | Wanted::Idle | Wanted::Down => wanted_at_first(&graph, id),
            };
            // A process that SIGKILL does not end is still that of the unit, which may run again once it
            // is gone.
            state.wanted = wanted;
            if !self.unkillable.contains(&id) {
                *state = State::new(self.now);
                state.wanted = wanted;
                state.due = self.run == Run::Settling && graph.runs_at_start(id);
            }
        }
        self.graph = graph;
        self.generation += 1;
        self.changed.clear();
        self.changed.extend(self.graph.ids());
    }
}
