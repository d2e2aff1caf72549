//! The witness's expectations of the searches for processes in a test run: zombies after the last
//! test, and whatever remains when every unit has exited.

use super::super::drill::Point;
use super::super::marks::Mark;
use super::super::plan::ms;
use super::found::{Found, LINGER, Left, Look};
use super::turns::CALM;
use super::{Budget, Fault, PATIENCE, Phase, Stand, Verdict, Witness, expect};
use crate::config::{Condition, Stage};
use crate::engine::{Lack, Tick};
use crate::signal::Signal;

/// The time from the first search for zombies to the second.
const AGAIN: Tick = Tick::from_millis(200);

impl Witness<'_> {
    /// Takes the place of the wait policy: after the last test, once all units rest, trc looks for
    /// zombies.
    pub(in crate::simulation) fn ask_tests(&mut self) {
        if self.turn().is_some() || self.tested.look != Look::NotYet {
            return;
        }
        let given_up = self.given_up();
        let lacks: Vec<(usize, Lack)> =
            self.here().filter_map(|at| Some((at, self.lack(at)?))).collect();
        let hoped = lacks.iter().any(|(at, _)| !given_up[*at]);
        let restless = self.here().any(|at| !given_up[at] && self.is_restless(at));
        let tests = self.stage(Stage::Test).map(|at| ms(self.test(at).start_within));
        let patience = tests.max().unwrap_or_default().max(CALM);
        let rest_by = *self.tested.rest_by.get_or_insert(self.now + patience);
        if self.now < rest_by && (hoped || restless) {
            self.mark(if hoped { Mark::WaitedForAUnit } else { Mark::WaitedForCalm });
            return;
        }
        for (at, lack) in lacks {
            self.find(Found::NotUp(at, lack));
        }
        self.tested.look = Look::Owed;
    }

    /// Returns whether a running unit has been up for less than a moment.
    fn is_restless(&self, at: usize) -> bool {
        let seen = &self.units[at];
        let up = seen.watch.up.filter(|_| seen.stand == Stand::Alive && seen.watch.since.is_some());
        let serves = matches!(self.plan.units[at].stage, Stage::Async | Stage::Sync);
        serves && up.is_some_and(|up| self.now < up + CALM)
    }

    /// Returns what a unit lacks after the last test.
    fn lack(&self, at: usize) -> Option<Lack> {
        let (unit, seen) = (&self.plan.units[at], &self.units[at]);
        if !matches!(unit.stage, Stage::Async | Stage::Sync) {
            return None;
        }
        let not_ready = unit.ready.is_some() && !seen.watch.ready;
        let never = if seen.started { Lack::NotBack } else { Lack::NeverStarted };
        let condemned = seen.fault.map(|fault| match fault {
            Fault::NotReady => Lack::NotReady,
            Fault::Unprepared
            | Fault::Unhealthy { .. }
            | Fault::Overran
            | Fault::Together
            | Fault::Asked => Lack::NotBack,
        });
        match seen.stand {
            Stand::Over => None,
            _ if seen.idle => None,
            _ if condemned.is_some() => condemned,
            Stand::Watching => not_ready.then_some(Lack::NotReady),
            Stand::Finishing if self.terms.units[at].ends => Some(Lack::StillRuns),
            Stand::Backoff(_) | Stand::Finishing => Some(Lack::NotBack),
            Stand::Alive if seen.told.is_some() || seen.killed.is_some() => Some(Lack::NotBack),
            Stand::Alive if seen.watch.since.is_none() => Some(never),
            Stand::Alive if not_ready => Some(Lack::NotReady),
            Stand::Alive if self.terms.units[at].ends => Some(Lack::StillRuns),
            Stand::Alive => None,
            Stand::Waiting if self.is_idle(at) => None,
            Stand::Waiting if !seen.started && self.is_reserved(at, 0) => None,
            Stand::Waiting | Stand::Retrying(_) | Stand::Asked => Some(never),
        }
    }

    /// Returns whether trc is about to stop a unit, because nothing that is restarted together with it
    /// is in the way any more.
    fn is_leaving(&self, at: usize) -> bool {
        let seen = &self.units[at];
        seen.stand == Stand::Alive && seen.fault.is_some() && self.is_alone(at)
    }

    /// Returns the units that a unit waits for and that have not ended, including foreground units
    /// before it.
    pub(in crate::simulation) fn unmet(&self, at: usize) -> Vec<(usize, Condition)> {
        match self.units[at].stand {
            Stand::Waiting if self.units[at].owes_main => return Vec::new(),
            Stand::Waiting | Stand::Retrying(_) | Stand::Backoff(_) => {}
            Stand::Asked | Stand::Alive | Stand::Watching | Stand::Finishing | Stand::Over => {
                return Vec::new();
            }
        }
        let needs = self.terms.units[at].needs.iter().copied();
        let unmet = needs.filter(|(on, condition)| {
            self.holds(*on, *condition) != Some(true)
                || *condition == Condition::Ready && self.is_leaving(*on)
        });
        let sync = self.plan.units[at].stage == Stage::Sync;
        let before = self.in_order(Stage::Sync).take_while(|on| sync && *on != at);
        let unmet = unmet.chain(before.map(|on| (on, Condition::Exited)));
        unmet.filter(|(on, _)| self.units[*on].stand != Stand::Over).collect()
    }

    /// Returns whether a unit waits for the end of a service, directly or indirectly.
    fn is_reserved(&self, at: usize, depth: usize) -> bool {
        self.units[at].stand != Stand::Over
            && depth <= self.units.len()
            && self.unmet(at).iter().any(|(on, condition)| {
                let end = !matches!(
                    condition,
                    Condition::Started | Condition::Ready | Condition::Settled
                );
                end && !self.terms.units[*on].ends || self.is_reserved(*on, depth + 1)
            })
    }

    /// Returns whether a unit waits for the end of a service or for a held unit, directly or
    /// indirectly.
    pub(in crate::simulation) fn waits_without_end(&self, at: usize, depth: usize) -> bool {
        self.is_reserved(at, depth)
            || depth <= self.units.len()
                && self
                    .unmet(at)
                    .iter()
                    .any(|(on, _)| self.units[*on].held || self.waits_without_end(*on, depth + 1))
    }

    /// Returns the units that trc does not wait for.
    fn given_up(&self) -> Vec<bool> {
        (0..self.units.len()).map(|at| self.is_given_up(at, 0)).collect()
    }

    fn is_given_up(&self, at: usize, depth: usize) -> bool {
        let unmet = |on: &(usize, Condition)| self.is_given_up(on.0, depth + 1);
        self.tested.in_vain.contains(&at)
            || self.tested.found.contains(&Found::Restarted(at))
            || self.is_allowed(Point::Run(at))
            || depth <= self.units.len()
                && self.units[at].stand != Stand::Over
                && self.unmet(at).iter().any(unmet)
    }

    /// The second search for zombies comes a moment later.
    pub(in crate::simulation) fn looks_again(&mut self) {
        if let Look::Again(at) = self.tested.look
            && at <= self.now
            && self.phase == Phase::Up
        {
            self.tested.look = Look::OwedAgain;
        }
    }

    /// Checks that the engine may look for zombies now.
    pub(in crate::simulation) fn inspects(&mut self) -> Verdict {
        self.tested.look = match self.tested.look {
            Look::Owed => Look::Asked,
            Look::OwedAgain => Look::AskedAgain,
            Look::NotYet | Look::Asked | Look::Again(_) | Look::AskedAgain | Look::Over => {
                return expect(
                    false,
                    "trc searches for zombies after the last test, and once more",
                );
            }
        };
        Ok(())
    }

    /// Handles the result, after which the run stops as if from outside.
    pub(in crate::simulation) fn inspected(&mut self, zombies: bool) {
        let again = self.tested.look == Look::AskedAgain;
        if zombies && !again {
            self.tested.look = Look::Again(self.now + AGAIN);
            return;
        }
        self.tested.look = Look::Over;
        if zombies {
            self.find(Found::Zombies);
        } else if again {
            self.mark(Mark::ZombiesGone);
        }
        if self.phase == Phase::Up {
            let whole = self.terms.budget;
            self.budget = Some(Budget {
                kill_at: self.now + whole.saturating_sub(PATIENCE.min(whole / 2)),
                end: self.now + whole,
                signal: Signal::TERM,
                outside: false,
            });
            self.tested.through = true;
            let grace = self.plan.budget.map_or(Tick::from_secs(10), ms);
            self.tested.stop_by = Some(self.now + grace);
            self.decide(0, Mark::Tested);
        }
    }

    /// Checks that the engine may look for processes that are left.
    pub(in crate::simulation) fn looks_at_remains(&mut self) -> Verdict {
        expect(self.testing(), "production has nothing of a test run")?;
        expect(self.all_gone(), "trc searches for remaining processes when every unit has exited")?;
        self.tested.left = match (self.phase, self.tested.left) {
            // There is no time for a second search before SIGKILL.
            (Phase::Stopping | Phase::Sweeping(_), _) if self.hurry => Left::Judged,
            (Phase::Sweeping(_), _) => Left::Judged,
            (Phase::Stopping, Left::NotYet) => Left::Asked,
            (Phase::Stopping, Left::Lingers(until)) if until <= self.now => Left::AskedAgain,
            _ => {
                return expect(
                    false,
                    "trc searches for remaining processes, and once more after a moment",
                );
            }
        };
        Ok(())
    }

    /// It has.
    pub(in crate::simulation) fn remains(&mut self, left: bool, found: &[Found]) {
        match self.tested.left {
            Left::Asked if left => {
                self.tested.left = Left::Lingers(self.now + LINGER);
                return;
            }
            Left::AskedAgain if !left => self.mark(Mark::LeftoversWentBy),
            _ => {}
        }
        if !matches!(self.phase, Phase::Halting | Phase::Over) {
            self.tested.left = Left::Judged;
        }
        for one in found {
            self.find(*one);
        }
    }

    /// Returns whether there is a reason to delay the sweep.
    pub(in crate::simulation) fn lets_linger(&self) -> bool {
        match self.tested.left {
            Left::Asked | Left::AskedAgain => true,
            Left::Lingers(until) => self.now < until,
            Left::NotYet | Left::Judged => false,
        }
    }
}
