//! The witness's view of tests that wait: which one is next, and when it begins.

use super::super::drill::{Blow, Point, Test};
use super::super::marks::Mark;
use super::super::plan::ms;
use super::found::Look;
use super::{Phase, Stand, Verdict, Witness, expect, expect_of};
use crate::config::{Condition, Stage};
use crate::engine::{Task, TestEnd, Tick};
use crate::signal::Signal;

/// The time for which a unit without a readiness check has to have run.
pub(in crate::simulation) const CALM: Tick = Tick::from_millis(500);

/// The delay after the first attempt.
const FIRST: Tick = Tick::from_millis(10);

/// The state of a test.
#[derive(Clone, Copy, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not")]
pub(in crate::simulation) struct Trial {
    /// The time at which the test has to begin, now that it is next.
    pub start_by: Option<Tick>,
    /// Whether that was the case after the last step already.
    overdue: bool,
    pub until: Option<Tick>,
    pub next: Option<Tick>,
    pub wait: Tick,
    /// An attempt has to be made now.
    pub owed: bool,
    /// An attempt is in progress.
    pub trying: bool,
    /// The number of attempts in a row that could not be made.
    pub unmade: u32,
    pub hold_until: Option<Tick>,
    /// The number of restarts when the checks began to hold.
    pub restarts: u32,
    /// The time at which the test began.
    pub began: Tick,
    /// The time until which its job may run, before its first attempt.
    pub job_by: Option<Tick>,
    /// The time at which it damages its unit.
    pub strike_at: Option<Tick>,
    /// The time by which the unit has to be down that it keeps down.
    pub down_by: Option<Tick>,
    /// The time by which that unit has to be up again.
    pub up_by: Option<Tick>,
    /// The process that the fault has killed.
    pub killed: Option<i32>,
    /// The process that the fault has suspended.
    pub stopped: Option<i32>,
    pub continue_at: Option<Tick>,
    /// Whether the test says that it is skipped.
    pub skipped: bool,
    /// The result, until the engine reports it; `None` if the test never began.
    pub owes_end: Option<(Option<TestEnd>, u8)>,
}

impl Witness<'_> {
    pub(in crate::simulation) fn testing(&self) -> bool {
        self.plan.drill.is_some()
    }

    pub(in crate::simulation) fn test(&self, at: usize) -> Test {
        self.plan.units[at].test.expect("only tests have attempts of their own")
    }

    /// The unit that a test damages, and the fault.
    pub(in crate::simulation) fn fault(&self, at: usize) -> Option<(usize, Blow)> {
        self.test(at).fault.filter(|(victim, _)| self.terms.units[*victim].here)
    }

    /// The unit that a test runs before its first attempt.
    pub(in crate::simulation) fn its_job(&self, at: usize) -> Option<usize> {
        self.test(at).job.filter(|job| self.terms.units[*job].here)
    }

    /// Returns the test that is next.
    pub(in crate::simulation) fn turn(&self) -> Option<usize> {
        self.in_order(Stage::Test).find(|at| self.units[*at].stand != Stand::Over)
    }

    /// Returns whether the unit to damage runs; `None` if it never will.
    pub(in crate::simulation) fn is_up(&self, victim: usize) -> Option<bool> {
        let seen = &self.units[victim];
        match seen.stand {
            Stand::Over => None,
            Stand::Alive => Some(seen.watch.since.is_some() && seen.fault.is_none()),
            Stand::Waiting
            | Stand::Retrying(_)
            | Stand::Asked
            | Stand::Watching
            | Stand::Finishing
            | Stand::Backoff(_) => Some(false),
        }
    }

    /// Returns whether the same process, or another one, has to run after the fault of a test.
    pub(in crate::simulation) fn leaves_the_same(&self, at: usize) -> Option<bool> {
        let (victim, blow) = self.fault(at)?;
        if matches!(blow, Blow::Down | Blow::Restart) {
            return Some(false);
        }
        if let Some(restarts) = self.test(at).restarts {
            return Some(!restarts);
        }
        match blow {
            Blow::Kill(signal) if signal == self.plan.units[victim].signal() => Some(false),
            Blow::Kill(Signal::KILL | Signal::TERM) | Blow::Down | Blow::Restart => Some(false),
            Blow::Stop(_) | Blow::Kill(Signal::INT | Signal::QUIT) => None,
            Blow::Kill(_) => Some(true),
        }
    }

    /// Returns whether the condition of a test holds for a unit; `None` if it never will.
    fn fulfilled(&self, at: usize, on: usize, condition: Condition) -> Option<bool> {
        let (seen, calm) = (&self.units[on], self.terms.units[at].calm.contains(&on));
        let condition = match condition {
            Condition::Settled if calm && seen.stand != Stand::Over => self.up_by(on),
            other => other,
        };
        if calm && condition == Condition::Started && seen.stand != Stand::Over {
            // A unit that was asked to stop is not up.
            let up = seen.watch.up.is_some_and(|up| up + CALM <= self.now);
            return Some(seen.started && up && seen.fault.is_none());
        }
        self.holds(on, condition)
    }

    /// Returns a unit and all units that it waits for, directly or indirectly.
    fn behind(&self, on: usize) -> Vec<usize> {
        let mut found = vec![on];
        let mut at = 0;
        while let Some(unit) = found.get(at) {
            let more = self.unmet(*unit);
            found.extend(more.into_iter().map(|(on, _)| on));
            at += 1;
            let mut known = std::collections::BTreeSet::new();
            found.retain(|on| known.insert(*on));
        }
        found
    }

    /// Returns whether waiting for a unit is in vain because of a unit that was restarted too
    /// often.
    fn loops_behind(&self, on: usize) -> bool {
        self.behind(on).into_iter().any(|on| self.loops(on))
    }

    /// Returns whether a unit was restarted so often that no test waits for it.
    fn loops(&self, on: usize) -> bool {
        self.units[on].in_a_row >= 5 && !self.is_allowed(Point::Run(on))
    }

    pub(in crate::simulation) fn is_allowed(&self, point: Point) -> bool {
        self.plan.drill.as_ref().is_some_and(|drill| drill.allow.contains(&point))
    }

    /// Returns whether a test may begin; `None` if it never may.
    fn may_begin(&self, at: usize) -> Option<bool> {
        let needs = self.terms.units[at].needs.iter();
        let needs = needs
            .map(|(on, condition)| self.fulfilled(at, *on, *condition))
            .try_fold(true, |all, one| one.map(|holds| all && holds))?;
        let up = self.fault(at).map_or(Some(true), |(victim, _)| self.is_up(victim))?;
        Some(needs && up)
    }

    /// Returns whether a test waits in vain, or for too long, for a unit.
    pub(in crate::simulation) fn blames(&self, at: usize, by: usize) -> bool {
        let late = self.trials[at].start_by.is_some_and(|start_by| start_by <= self.now);
        let fails =
            |holds: Option<bool>, late: bool| !holds.unwrap_or(false) && (holds.is_none() || late);
        let mut needs = self.terms.units[at].needs.iter();
        let need = needs.any(|(on, condition)| {
            let root = self.loops(by) && self.behind(*on).contains(&by);
            (*on == by || root)
                && fails(self.fulfilled(at, *on, *condition), late || self.loops(by))
        });
        let victim = self.fault(at).is_some_and(|(victim, _)| victim == by);
        need || victim && fails(self.is_up(by), late)
    }

    /// A test failed before it began.
    pub(in crate::simulation) fn never_began(
        &mut self,
        at: usize,
        by: usize,
        status: u8,
    ) -> Verdict {
        expect_of(at, self.turn() == Some(at), "a test fails in its turn")?;
        let late = self.may_begin(at).is_some();
        if late && self.loops(by) {
            self.mark(Mark::TestGaveUpOnALoop);
            if self.terms.units[at].needs.iter().all(|(on, _)| *on != by) {
                self.mark(Mark::TestGaveUpOnALoopBehind);
            }
        }
        // A unit that waits for a condition that can never hold fails at once.
        if self.units[by].stand != Stand::Over {
            self.tested.in_vain.push(by);
        }
        self.mark(if late { Mark::TestLate } else { Mark::TestBlocked });
        self.trials[at].owes_end = Some((None, status));
        Ok(())
    }

    /// The engine begins a test.
    pub(in crate::simulation) fn begins(&mut self, at: usize) -> Verdict {
        expect_of(at, self.phase == Phase::Up, "tests run while everything is up")?;
        expect_of(at, self.turn() == Some(at), "tests run one at a time, those with faults last")?;
        expect_of(at, self.units[at].stand == Stand::Waiting, "a test begins once")?;
        let may = self.may_begin(at);
        expect_of(at, may == Some(true), "a test begins when the units that it waits for are up")?;
        let (test, now) = (self.test(at), self.now);
        let mut trial = Trial {
            until: test.within.map(|within| now + ms(within)),
            wait: FIRST,
            began: now,
            owed: true,
            ..Trial::default()
        };
        let job = self.its_job(at);
        if job.is_some() {
            let most = ms(test.within.unwrap_or(test.max_runtime));
            (trial.owed, trial.job_by) = (false, Some(now + most));
        }
        let seen = &mut self.units[at];
        (seen.stand, seen.executed, seen.started) = (Stand::Watching, true, true);
        self.trials[at] = trial;
        if self.fault(at).is_some() {
            match test.every {
                Some(every) => {
                    let every = ms(every);
                    let before = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(|times| every * times);
                    let least = Tick::from_millis(100);
                    let before = before.into_iter().find(|before| *before >= least);
                    let strike_at = now + before.unwrap_or_default() + every / 2;
                    let trial = &mut self.trials[at];
                    (trial.owed, trial.strike_at) = (false, Some(strike_at));
                    self.mark(Mark::FaultLater);
                }
                None => self.strikes(at),
            }
        }
        match job {
            // It may not run beside its old process, and its last end stands.
            Some(job) if self.units[job].given_up => self.conclude(),
            Some(job) => self.runs_its_job(job),
            None => {}
        }
        Ok(())
    }

    /// A test damages its unit.
    pub(in crate::simulation) fn strikes(&mut self, at: usize) {
        let (now, test) = (self.now, self.test(at));
        let mut trial = self.trials[at];
        (trial.owed, trial.began) = (true, now);
        if let Some((victim, Blow::Restart)) = self.fault(at) {
            trial.killed = Some(self.units[victim].pid);
            self.units[victim].faulted = false;
            self.mark(Mark::FaultRestarted);
        } else if let Some((victim, Blow::Down)) = self.fault(at) {
            trial.killed = Some(self.units[victim].pid);
            self.units[victim].faulted = false;
            trial.owed = false;
            trial.down_by = Some(now + ms(test.within.unwrap_or(test.max_runtime)));
            self.mark(Mark::FaultDown);
        } else if let Some((victim, blow)) = self.fault(at) {
            let (group, signal) = match blow {
                Blow::Down | Blow::Restart => (false, Signal::TERM),
                Blow::Kill(signal) => (false, signal),
                Blow::Stop(time) => {
                    trial.continue_at = Some(now + ms(time));
                    trial.stopped = Some(self.units[victim].pid);
                    (true, Signal::STOP)
                }
            };
            let same = self.leaves_the_same(at);
            trial.killed = (same == Some(false)).then_some(self.units[victim].pid);
            // A unit that has to survive the fault has no excuse.
            self.units[victim].faulted = same != Some(true);
            if !group {
                self.units[victim].struck = (same != Some(true)).then_some(signal);
            }
            if same == Some(true) {
                self.mark(Mark::FaultToGoOn);
            }
            self.tested.blow = Some((victim, group, signal));
            self.mark(match signal {
                Signal::KILL => Mark::FaultKilled,
                Signal::STOP => Mark::FaultStopped,
                _ => Mark::FaultSignalled,
            });
        }
        self.trials[at] = trial;
        match self.fault(at) {
            Some((victim, Blow::Down)) => self.holds_by_hand(victim),
            Some((victim, Blow::Restart)) => {
                self.starts_by_hand(victim, Task::Restart);
                self.wake_up();
            }
            _ => {}
        }
    }

    /// Checks the rules for tests after each step.
    pub(in crate::simulation) fn after_trials(&mut self) -> Verdict {
        let blow = self.tested.blow.is_none();
        expect(blow, "a fault is done when its test begins")?;
        let goes_on = self.tested.goes_on.take();
        let lives = |at: &usize| self.units[*at].stand == Stand::Alive;
        expect(
            !goes_on.is_some_and(|at| lives(&at)),
            "a unit that a test has suspended is continued",
        )?;
        for at in self.stage(Stage::Test) {
            let trial = &self.trials[at];
            expect_of(at, trial.owes_end.is_none(), "the result of a test is reported")?;
            let owed = trial.owed && self.units[at].stand == Stand::Watching;
            expect_of(at, !owed, "an attempt of a test is made as soon as it is due")?;
        }
        if self.phase != Phase::Up {
            return Ok(());
        }
        let looked = !matches!(self.tested.look, Look::Owed | Look::OwedAgain);
        expect(looked, "trc searches for zombies as soon as that is due")?;
        let Some(at) = self.turn().filter(|at| self.units[*at].stand == Stand::Waiting) else {
            return Ok(());
        };
        let unmet = |on: usize, condition| self.fulfilled(at, on, condition) != Some(true);
        let mut needs = self.terms.units[at].needs.iter();
        let loops = needs.any(|(on, condition)| self.loops_behind(*on) && unmet(*on, *condition));
        let mut needs = self.terms.units[at].needs.iter();
        let in_vain = loops
            || needs
                .any(|(on, condition)| self.tested.in_vain.contains(on) && unmet(*on, *condition));
        let waited = self.trials[at].start_by.is_some();
        expect_of(
            at,
            !(waited && loops) || self.trials[at].start_by <= Some(self.now),
            "a test gives up on a unit that is restarted again and again",
        )?;
        // No test waits for a unit that another test has waited for in vain.
        let within = if in_vain { Tick::ZERO } else { ms(self.test(at).start_within) };
        let start_by = self.now + within;
        let start_by = *self.trials[at].start_by.get_or_insert(start_by);
        let may = self.may_begin(at);
        expect_of(at, may.is_some(), "a unit that waits in vain fails at once")?;
        expect_of(at, may == Some(false), "a test begins at once when it may")?;
        // A unit that was up when the time was checked may have exited in the same step.
        let was_overdue = self.trials[at].overdue;
        self.trials[at].overdue = start_by <= self.now;
        let late = was_overdue && start_by <= self.now;
        expect_of(at, !late, "a test waits no longer than it may")
    }
}
