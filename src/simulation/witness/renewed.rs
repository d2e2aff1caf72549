//! The witness's expectations of a new graph that takes over: the units that it does not have, or
//! replaces, go first and in order; the processes of other units do not change; held units stay
//! held.

use super::super::build::Terms;
use super::super::marks::Mark;
use super::super::plan::{Generation, Renewal};
use super::{Phase, Seen, Stand, Verdict, Witness, expect, expect_of};
use crate::config::Stage;
use crate::engine::{Asker, Refusal};

/// The witness's books of new graphs.
#[derive(Default, Debug)]
pub(in crate::simulation) struct Renewed {
    /// Whether a graph is about to take over.
    under_way: bool,
    /// The report that the engine owes: the units that have to go, or why the graph is refused.
    owed: Option<Result<(Vec<usize>, Asker), Refusal>>,
}

impl Witness<'_> {
    /// Takes in a reload of the configuration.
    pub(in crate::simulation) fn reloads(&mut self, asker: &Asker) {
        if let Some(why) = self.busy() {
            self.mark(Mark::ReloadRefused);
            self.renewed.owed = Some(Err(why));
            return;
        }
        let replaced = self.replaced();
        let goes = |at: &usize| {
            matches!(self.plan.units[*at].stage, Stage::Async | Stage::Sync)
                && (!self.plan.has(*at, Generation::Third) || replaced[*at])
        };
        let mut going: Vec<usize> = self.here().filter(goes).collect();
        for at in going.clone() {
            self.supersede(at);
            match self.units[at].stand {
                Stand::Watching => {
                    self.end_watch(at);
                    self.units[at].stand = Stand::Waiting;
                }
                Stand::Retrying(_) | Stand::Backoff(_) => {
                    (self.units[at].stand, self.units[at].forks) = (Stand::Waiting, 0);
                }
                Stand::Asked | Stand::Alive => self.mark(Mark::ReloadStopped),
                Stand::Waiting | Stand::Over => {}
            }
            self.units[at].going = true;
        }
        going.sort_unstable();
        self.renewed.under_way = true;
        self.renewed.owed = Some(Ok((going, asker.clone())));
    }

    /// Returns the units that the new graph replaces, and those that are restarted together with
    /// them.
    fn replaced(&self) -> Vec<bool> {
        let terms = Terms::of(self.plan, Generation::Third);
        let units = self.plan.units.iter().zip(&terms.units);
        let mut replaced: Vec<bool> =
            units.map(|(unit, term)| term.here && unit.renewal == Renewal::Replaced).collect();
        // One more round for each unit that may be behind another.
        for _ in 0..replaced.len() {
            for (at, term) in terms.units.iter().enumerate() {
                replaced[at] |= term.with.iter().any(|other| replaced[*other]);
            }
        }
        replaced
    }

    /// Checks the units that the engine lets go.
    pub(in crate::simulation) fn begins_to_reload(
        &mut self,
        going: &[usize],
        asker: &Asker,
    ) -> Verdict {
        let mut going = going.to_vec();
        going.sort_unstable();
        let Some(Ok((right, by))) = self.renewed.owed.take() else {
            return expect(false, "a new graph takes over only if somebody has asked for it");
        };
        expect(by == *asker, "the report names the one who has asked")?;
        expect(right == going, "only units that a new graph lacks or replaces have to go")
    }

    /// Checks that the engine rightly does not let a new graph take over.
    pub(in crate::simulation) fn does_not_reload(&mut self, why: Refusal) -> Verdict {
        if std::mem::take(&mut self.renewed.under_way) {
            self.mark(Mark::ReloadCutShort);
            self.units.iter_mut().for_each(|seen| seen.going = false);
            return expect(why == Refusal::Stopping, "only a stop keeps a graph from taking over");
        }
        let right = self.renewed.owed.take() == Some(Err(why));
        expect(right, "a new graph is refused with the reason")
    }

    /// Returns whether no unit that has to go depends on this one, if only by way of units that
    /// have ended.
    pub(in crate::simulation) fn may_go(&self, at: usize) -> bool {
        let users = &self.terms.units[at].dependents;
        users.iter().all(|user| {
            let live = !self.gone(*user);
            if live { !self.units[*user].going } else { self.may_go(*user) }
        })
    }

    /// Checks that the new graph takes over when it should, and takes it in.
    pub(in crate::simulation) fn takes_over(&mut self) -> Verdict {
        let due = std::mem::take(&mut self.renewed.under_way) && self.phase == Phase::Up;
        expect(due, "a new graph takes over while the run goes on")?;
        let old: Vec<usize> = self.here().collect();
        for at in &old {
            let gone = !self.units[*at].going || self.gone(*at);
            expect_of(
                *at,
                gone,
                "the units that have to go have exited when a new graph takes over",
            )?;
        }
        let replaced = self.replaced();
        self.terms = Terms::of(self.plan, Generation::Third);
        self.mark(Mark::Reloaded);
        for (at, replaced) in replaced.into_iter().enumerate() {
            let kept = old.contains(&at) && !replaced;
            self.units[at].going = false;
            if !self.terms.units[at].here || kept {
                if kept && self.units[at].stand == Stand::Alive {
                    self.mark(Mark::ReloadKept);
                }
                continue;
            }
            if !old.contains(&at) {
                self.mark(Mark::ReloadAdded);
            }
            self.begins_anew(at);
        }
        let Self { ends, terms, .. } = self;
        ends.retain(|(at, _)| terms.units[*at].here);
        self.stops_in_order();
        self.conclude();
        Ok(())
    }

    /// Resets a unit to the start of the run, except for what outlasts a new graph.
    fn begins_anew(&mut self, at: usize) {
        let held = self.units[at].held;
        if self.units[at].given_up {
            return;
        }
        self.units[at] = Seen { held, ..Seen::new() };
        self.restarts[at].clear();
        (self.ran[at], self.own[at]) = (None, None);
        self.ends.retain(|(one, _)| *one != at);
    }

    /// Returns whether the new graph has to take over now: its policies decide what follows.
    pub(in crate::simulation) fn is_due(&self) -> bool {
        let gone = |at: usize| !self.units[at].going || self.gone(at);
        self.renewed.under_way && self.here().all(gone)
    }

    /// Checks, after a step, that units that have to go are told as soon as possible, and that the
    /// graph then takes over.
    pub(in crate::simulation) fn after_reload(&self) -> Verdict {
        expect(self.renewed.owed.is_none(), "a new graph is taken, or refused with the reason")?;
        if !self.renewed.under_way {
            return Ok(());
        }
        expect(self.phase == Phase::Up, "a stop keeps a new graph from taking over")?;
        let going = || self.here().filter(|at| self.units[*at].going);
        expect(going().any(|at| !self.gone(at)), "a new graph takes over as soon as it can")?;
        for at in going() {
            let seen = &self.units[at];
            let alive = seen.stand == Stand::Alive || seen.left;
            let held = !alive || seen.told.is_some() || !self.may_go(at);
            expect_of(
                at,
                held,
                "a unit that has to go is asked to stop as soon as nothing depends on it",
            )?;
        }
        Ok(())
    }
}
