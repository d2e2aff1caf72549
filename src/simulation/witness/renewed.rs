//! The witness's expectations of a new graph that takes over: the units that it does not have, or
//! replaces, go first and in order; the processes of other units do not change; held units stay
//! held.

use super::super::build::Terms;
use super::super::marks::Mark;
use super::super::plan::{Generation, Renewal};
use super::{Fault, Phase, Seen, Stand, Verdict, Witness, expect, expect_of};
use crate::config::Stage;
use crate::engine::{Asker, Refusal};

/// The witness's books of new graphs.
#[derive(Debug)]
pub(in crate::simulation) struct Renewed {
    /// Whether a graph is about to take over.
    under_way: bool,
    /// The graph that is there, the one before it, and the one that is about to take over, or has.
    present: Generation,
    before: Generation,
    target: Generation,
    /// The units that the graph that is about to take over replaces, or has replaced.
    replaced: Vec<bool>,
    /// The units that are new or replaced and not up yet, where the old graph comes back if one of
    /// them fails.
    probation: Vec<usize>,
    /// The report that the engine owes: the units that have to go, or why the graph is refused.
    owed: Option<Result<(Vec<usize>, Asker), Refusal>>,
}

impl Default for Renewed {
    fn default() -> Self {
        Self {
            under_way: false,
            present: Generation::First,
            before: Generation::First,
            target: Generation::First,
            replaced: Vec::new(),
            probation: Vec::new(),
            owed: None,
        }
    }
}

impl Renewed {
    /// Takes in that boot has made another graph.
    pub(in crate::simulation) fn is_second(&mut self) {
        self.present = Generation::Second;
    }
}

impl Witness<'_> {
    /// Takes in a reload of the configuration.
    pub(in crate::simulation) fn reloads(&mut self, asker: &Asker) {
        if let Some(why) = self.busy() {
            self.mark(Mark::ReloadRefused);
            self.renewed.owed = Some(Err(why));
            return;
        }
        self.renewed.probation.clear();
        for at in 0..self.units.len() {
            self.units[at].down &= self.terms.units[at].here;
        }
        let units = self.plan.units.iter();
        let replaced = units.map(|unit| unit.renewal == Renewal::Replaced).collect();
        let going = self.lets_go(Generation::Third, replaced);
        self.renewed.owed = Some(Ok((going, asker.clone())));
    }

    /// Lets the units go that a graph does not have, or replaces.
    fn lets_go(&mut self, target: Generation, replaced: Vec<bool>) -> Vec<usize> {
        let replaced = self.closed(target, replaced);
        let goes = |at: &usize| {
            matches!(self.plan.units[*at].stage, Stage::Async | Stage::Sync)
                && (!self.plan.has(*at, target) || replaced[*at])
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
                Stand::Waiting | Stand::Finishing | Stand::Over => {}
            }
            self.units[at].going = true;
            self.units[at].down = !self.units[at].held && !self.units[at].idle;
        }
        going.sort_unstable();
        self.renewed.under_way = true;
        (self.renewed.target, self.renewed.replaced) = (target, replaced);
        going
    }

    /// Returns those of these units that a graph has, and those that are restarted together with
    /// them.
    fn closed(&self, generation: Generation, replaced: Vec<bool>) -> Vec<bool> {
        let terms = Terms::of(self.plan, generation);
        let units = replaced.into_iter().zip(&terms.units);
        let mut replaced: Vec<bool> = units.map(|(replaced, term)| term.here && replaced).collect();
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
            let back = self.renewed.target != Generation::Third;
            self.mark(if back { Mark::RollbackCutShort } else { Mark::ReloadCutShort });
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
        let target = self.renewed.target;
        (self.renewed.before, self.renewed.present) = (self.renewed.present, target);
        let before = std::mem::replace(&mut self.terms, Terms::of(self.plan, target));
        self.falls_asleep(&before);
        self.mark(Mark::Reloaded);
        for at in 0..self.units.len() {
            let kept = old.contains(&at) && !self.renewed.replaced[at];
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
        if target == Generation::Third && !self.plan.keep {
            let changed = |at: &usize| {
                let seen = &self.units[*at];
                let unit = &self.plan.units[*at];
                let wanted = unit.counts() && unit.schedule.is_none();
                let wanted = wanted && !seen.held && !seen.idle && !seen.given_up;
                wanted && (self.renewed.replaced[*at] || !old.contains(at))
            };
            self.renewed.probation = self.here().filter(changed).collect();
        }
        self.stops_in_order();
        self.conclude();
        Ok(())
    }

    /// Takes the units off the probation that are up, that somebody holds, or that wait for what may
    /// never happen.
    pub(in crate::simulation) fn passes_probation(&mut self) {
        let open = |at: &usize| {
            let seen = &self.units[*at];
            let well =
                seen.stand == Stand::Over && seen.status == 0 && self.terms.units[*at].oneshot;
            !well && !seen.held && !seen.idle && !self.stands_up(*at)
        };
        let mut left: Vec<usize> = self.renewed.probation.iter().copied().filter(open).collect();
        let awaited = left.len();
        left.retain(|at| !self.waits_without_end(*at, 0));
        if left.len() < awaited {
            self.mark(Mark::ProbationWithoutEnd);
        }
        if left.is_empty() && !self.renewed.probation.is_empty() {
            self.mark(Mark::ProbationPassed);
        }
        self.renewed.probation = left;
        if self.phase != Phase::Up {
            self.renewed.probation.clear();
        }
    }

    /// Returns whether a unit has failed its probation.
    fn fails(&self, at: usize) -> bool {
        let seen = &self.units[at];
        let late = matches!(seen.fault, Some(Fault::Unprepared | Fault::NotReady | Fault::Overran));
        seen.stand == Stand::Over || late || !self.restarts[at].is_empty()
    }

    /// Returns whether a new or replaced unit is not up yet.
    pub(in crate::simulation) fn is_on_probation(&self, at: usize) -> bool {
        self.phase == Phase::Up && self.renewed.probation.contains(&at)
    }

    /// Returns whether the old graph has to come back now.
    pub(in crate::simulation) fn has_to_go_back(&self) -> bool {
        self.phase == Phase::Up && self.renewed.probation.iter().any(|at| self.fails(*at))
    }

    /// Checks that the old graph rightly comes back, and what goes for it.
    pub(in crate::simulation) fn goes_back(&mut self, at: usize, going: &[usize]) -> Verdict {
        let due = self.is_on_probation(at) && self.fails(at);
        expect_of(at, due, "the old graph comes back only if something new is not up in time")?;
        self.renewed.probation.clear();
        if self.renewed.replaced.iter().enumerate().any(|(at, new)| *new && self.stands_up(at)) {
            self.mark(Mark::RolledBackWhatWasUp);
        }
        let before = self.renewed.before;
        if before == Generation::Second {
            self.mark(Mark::RolledBackToTheSecond);
        }
        let right = self.lets_go(before, self.renewed.replaced.clone());
        for at in &right {
            if self.units[*at].stand == Stand::Over && !self.units[*at].given_up {
                self.units[*at].stand = Stand::Waiting;
                self.ends.retain(|(one, _)| one != at);
                self.own[*at] = None;
            }
        }
        let mut going = going.to_vec();
        going.sort_unstable();
        self.mark(Mark::RolledBack);
        expect(going == right, "what a new graph has changed goes when the old one comes back")
    }

    /// Lets units that a new graph keeps follow its `autostart`, if they have not run yet.
    pub(super) fn falls_asleep(&mut self, before: &Terms) {
        for at in 0..self.units.len() {
            let (old, new) = (&before.units[at], &self.terms.units[at]);
            let waits = self.units[at].stand == Stand::Waiting && !self.units[at].started;
            let replaced = self.renewed.replaced.get(at).copied().unwrap_or(false);
            if !old.here && new.here {
                self.units[at].idle = new.idle;
            }
            if !old.here || !new.here || replaced {
                continue;
            }
            let wakes = self.units[at].idle && !new.idle;
            let sleeps =
                waits && new.idle && !old.idle && !self.units[at].held && !self.has_job(at);
            if wakes {
                self.units[at].idle = false;
                self.mark(Mark::IdleNoMore);
            } else if sleeps && !self.stops() {
                self.units[at].idle = true;
                self.mark(Mark::FellAsleep);
            }
        }
    }

    /// Resets a unit to the start of the run, except for what outlasts a new graph.
    fn begins_anew(&mut self, at: usize) {
        let held = self.units[at].held;
        if self.units[at].given_up {
            // Its end counts again if the graph that it went from comes back.
            if self.ends.iter().all(|(one, _)| *one != at) {
                self.ends.push((at, self.units[at].status));
            }
            return;
        }
        let seen = self.units[at];
        let idle = self.terms.units[at].idle && !held && !(seen.down && seen.started);
        self.units[at] = Seen { held, idle, ..Seen::new() };
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
        expect(!self.has_to_go_back(), "the old graph comes back as soon as something new fails")?;
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
