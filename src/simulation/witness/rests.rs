//! The rules that hold after each event: the engine has done everything that it had to do, and
//! nothing else.

use super::super::build::Built;
use super::super::marks::Mark;
use super::{PATIENCE, Phase, SWEEP, Stand, Verdict, Witness, expect, expect_of};
use crate::config::{Stage, WaitPolicy};
use crate::engine::{Reason, Snapshot, Tick, Wanted};

impl Witness<'_> {
    /// Checks, after a step, that everything that is due has been done.
    pub(in crate::simulation) fn after(&mut self, deadline: Option<Tick>) -> Verdict {
        expect(self.forwards.is_empty(), "a signal is forwarded to the right units")?;
        expect(!self.owes_reopening, "files are reopened on a signal that says so")?;
        expect(!self.owes_reading, "the configuration is read anew on a signal that says so")?;
        if self.ended {
            return expect(deadline.is_none(), "nothing is due after the end");
        }
        expect(!self.said || self.stops(), "a run that stops has a reason")?;
        for at in 0..self.units.len() {
            let seen = &self.units[at];
            let stray = seen.continued && (seen.stand == Stand::Alive || seen.left);
            expect_of(at, !stray, "CONT comes with a stop signal")?;
            expect_of(at, !seen.owes_cont, "CONT follows every stop signal")?;
            expect_of(at, !seen.owes_command, "a stop command runs when its unit has to stop")?;
            expect_of(at, !seen.owes_reload, "the command of a reload runs when it has to")?;
            expect_of(at, !seen.owes_reload_kill, "the command of a reload ends with it")?;
            self.after_hooks(at)?;
            expect_of(at, !seen.owes_silence, "probes end with their unit")?;
            let owed = seen.watch.owed.contains(&true) && self.is_watched(at);
            expect_of(at, !owed, "an attempt of a probe is made as soon as it is due")?;
            self.after_search(at)?;
            expect_of(at, !seen.owes_restart, "a unit that has to be restarted is restarted")?;
            expect_of(at, !seen.owes_rest, "every process gets a stop signal before SIGKILL")?;
            expect_of(at, !seen.owes_cont_to_rest, "CONT follows every stop signal")?;
            expect_of(
                at,
                !seen.owes_goodbye,
                "forgotten processes are asked to exit after a moment",
            )?;
            let alive = seen.stand == Stand::Alive || seen.left;
            let late = alive && seen.killed.is_none() && seen.told < Some(self.now);
            expect_of(at, !(late && self.is_late(at)), "KILL comes when it is due")?;
            let late = seen.commands.is_some_and(|until| until <= self.now);
            let late = late && seen.told < Some(self.now) || seen.owes_command_kill;
            expect_of(at, !late, "a stop command has no more time than its unit")?;
            if seen.stand == Stand::Alive {
                expect_of(
                    at,
                    !seen.owes_signal,
                    "a unit that is asked to stop gets its stop signal",
                )?;
            }
        }
        if !matches!(self.phase, Phase::Stopping | Phase::Sweeping(_) | Phase::Killing(_)) {
            self.after_faults()?;
        }
        if self.testing() {
            self.after_trials()?;
        }
        self.after_requests()?;
        let told = self.overlapped.is_none();
        expect(told, "people are told what becomes of a run that comes too early")?;
        self.after_reload()?;
        self.passes_probation();
        self.retries();
        match self.phase {
            Phase::Boot => {
                let next = self.first_open(Stage::Boot);
                expect(next.is_some(), "boot is settled when it has completed")?;
                self.has_begun(next)
            }
            Phase::Settling => Ok(()),
            Phase::Up => self.after_up(),
            Phase::Stopping => self.after_stopping(),
            Phase::Sweeping(since) => {
                let idle = self.nothing_left || self.hurry || since + SWEEP <= self.now;
                expect(!idle, "the sweep goes on as soon as it can")
            }
            Phase::Killing(since) => {
                let idle = self.nothing_left || since + PATIENCE <= self.now || self.time_is_up();
                expect(!idle, "the sweep ends as soon as it can")
            }
            Phase::Halting => {
                expect(self.cut.is_none(), "halt units that are cut short end at once")?;
                let next = self
                    .in_order(Stage::Halt)
                    .find(|at| !self.is_left_out(*at) && self.units[*at].stand != Stand::Over);
                expect(next.is_some(), "the end follows the last halt unit")?;
                self.has_begun(next)
            }
            Phase::Over => expect(false, "the end comes as soon as it can"),
        }
    }

    /// Returns the first unit of a stage that has not ended, in the order in which the units run.
    fn first_open(&self, stage: Stage) -> Option<usize> {
        self.in_order(stage).find(|at| self.units[*at].stand != Stand::Over)
    }

    /// Checks that a unit whose turn it is has been started, or has a reason to wait.
    fn has_begun(&self, next: Option<usize>) -> Verdict {
        let Some(at) = next.filter(|at| self.units[*at].stand == Stand::Waiting) else {
            return Ok(());
        };
        let held = !self.companions_up(at);
        expect_of(
            at,
            held || self.may_start(at) == Some(false),
            "a unit that can be started is started at once",
        )
    }

    /// Checks that units that have to be stopped while the run goes on are stopped, and then come
    /// back.
    fn after_faults(&self) -> Verdict {
        for at in self.here() {
            let seen = &self.units[at];
            let told = seen.told.is_some() || seen.killed.is_some();
            let held = seen.stand != Stand::Alive
                || told
                || !(seen.held || seen.going || self.is_alone(at));
            expect_of(
                at,
                seen.fault.is_none() || held,
                "a unit that is at fault is stopped at once",
            )?;
            if let Stand::Backoff(Some(until)) = seen.stand {
                let told = !seen.left || seen.told.is_some();
                expect_of(at, told, "the leftovers of a unit are stopped before its restart")?;
                let held = self.now <= until || !self.gone(at) || !self.is_alone(at);
                expect_of(at, held, "a unit comes back when its delay has passed")?;
            }
        }
        Ok(())
    }

    fn after_up(&mut self) -> Verdict {
        let turn = self.first_open(Stage::Sync);
        let waiting = |at: &usize| self.units[*at].stand == Stand::Waiting;
        let counted = |at: &usize| matches!(self.plan.units[*at].stage, Stage::Async | Stage::Sync);
        let open = |at: &usize| {
            let seen = &self.units[*at];
            !seen.held && !seen.idle && !seen.going && !self.is_idle(*at)
        };
        for at in self.here().filter(counted).filter(waiting).filter(open) {
            let may = self.may_start(at);
            expect_of(at, may.is_some(), "a unit that waits in vain fails at once")?;
            // A unit that a new graph puts before the running one waits for its end.
            let mut sync = self.stage(Stage::Sync);
            let beside = sync.any(|one| {
                matches!(self.units[one].stand, Stand::Asked | Stand::Alive | Stand::Finishing)
            });
            let held = self.plan.units[at].stage == Stage::Sync && (turn != Some(at) || beside);
            // A unit that was executed only after it was asked to stop does not let others start.
            let mut needs = self.terms.units[at].needs.iter();
            let going = needs.any(|(on, _)| self.units[*on].told.is_some());
            let held = held || going || !self.companions_up(at);
            expect_of(
                at,
                may != Some(true) || held,
                "a unit that can be started is started at once",
            )?;
        }
        for at in self.here() {
            if let Stand::Retrying(until) = self.units[at].stand {
                expect_of(at, self.now < until, "a fork is repeated when its delay has passed")?;
            }
        }
        Ok(())
    }

    fn after_stopping(&mut self) -> Verdict {
        expect(self.said, "the run stops when there is a reason")?;
        expect(self.rushed || !self.hurry, "in a hurry, everything is killed")?;
        expect(!self.time_is_up(), "the run ends when its time is up")?;
        for at in self.here() {
            let seen = self.units[at];
            if seen.stand != Stand::Alive && !seen.left || seen.killed.is_some() {
                continue;
            }
            expect_of(at, !self.hurry, "KILL comes when it is due")?;
            let held = seen.told.is_some() || !self.may_stop(at);
            expect_of(at, held, "a unit is asked to stop as soon as nothing depends on it")?;
        }
        let idle = self.all_gone() && !self.lets_linger();
        expect(!idle, "the sweep follows the last unit")
    }

    /// Checks that it is right if nothing is due and nothing will ever happen.
    pub(in crate::simulation) fn rests(&mut self, any_lives: bool) -> Verdict {
        match self.phase {
            Phase::Up if self.testing() => expect(false, "a test run ends by itself"),
            Phase::Boot | Phase::Up => {
                let held = |at: usize| self.units[at].held && self.units[at].stand != Stand::Over;
                let held = self.here().any(held);
                if held && !any_lives {
                    self.mark(Mark::HeldToTheEnd);
                }
                let scheduled = self.lives_for_schedules();
                if scheduled && !any_lives {
                    self.mark(Mark::LivedForSchedules);
                }
                let waits = any_lives || held || scheduled || self.plan.wait == WaitPolicy::Forever;
                expect(waits, "a run without processes has an end")?;
                self.mark(Mark::RestedUp);
                Ok(())
            }
            Phase::Halting => {
                self.mark(Mark::RestedHalting);
                Ok(())
            }
            Phase::Settling
            | Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_)
            | Phase::Over => expect(false, "a stop ends by itself"),
        }
    }

    /// Checks the snapshot that people would get while nothing happens.
    pub(in crate::simulation) fn looks_at(&self, snapshot: &Snapshot) -> Verdict {
        let up = snapshot.phase == "up";
        expect(up == (self.phase == Phase::Up), "a snapshot has the phase of the run")?;
        for at in self.here() {
            let (unit, seen) = (&self.plan.units[at], &self.units[at]);
            let name = format!("{}.u{at}", unit.stage);
            let Some(told) = snapshot.units.iter().find(|told| told.name == name) else {
                return expect_of(at, false, "a snapshot has each unit");
            };
            let pid = (seen.stand == Stand::Alive).then_some(seen.pid);
            expect_of(at, told.pid == pid, "a snapshot has the units that run")?;
            let held = told.wanted == Wanted::Held;
            expect_of(at, held == (seen.held && !self.stops()), "a snapshot has the holds")?;
            let idle = told.wanted == Wanted::Idle;
            expect_of(at, idle == (seen.idle && !self.stops()), "a snapshot has the idle units")?;
            let over = told.ended.is_some();
            expect_of(at, over == (seen.stand == Stand::Over), "a snapshot has the ends")?;
        }
        Ok(())
    }

    /// Checks the last line at the end.
    pub(in crate::simulation) fn last_line(
        &mut self,
        reason: Option<&Reason>,
        built: &Built,
    ) -> Verdict {
        let Some(reason) = reason else { return expect(false, "every end has a reason") };
        let first = reason.first_failure.map(|id| built.unit(id));
        expect(first == self.first_failure, "the last line names the first unit to fail")?;
        self.chain(reason, built)?;
        let named = |at: usize| reason.unkillable.iter().any(|id| built.unit(*id) == at);
        for at in self.here() {
            let right = named(at) == self.units[at].given_up;
            expect_of(at, right, "the last line names the units that could not be killed")?;
        }
        Ok(())
    }
}
