//! The witness's expectations of signals, the sweep and the end.

use super::super::marks::Mark;
use super::found::Found;
use super::found::Left;
use super::{PATIENCE, Phase, REST, SWEEP, Stand, Verdict, Watch, Witness, expect, expect_of};
use crate::config::{Form, Stage};
use crate::engine::Told;
use crate::signal::Signal;

impl Witness<'_> {
    /// Takes the next signal that has to be forwarded, if this is the one.
    pub(in crate::simulation) fn is_forwarded(
        &mut self,
        at: usize,
        group: bool,
        signal: Signal,
    ) -> bool {
        let wanted = (at, group, signal);
        if self.plan.transparent() {
            let next = self.forwards.front() == Some(&wanted);
            return next && self.forwards.pop_front().is_some();
        }
        let place = self.forwards.iter().position(|one| *one == wanted);
        place.is_some_and(|place| self.forwards.remove(place).is_some())
    }

    pub(in crate::simulation) fn signals(
        &mut self,
        at: usize,
        group: bool,
        signal: Signal,
    ) -> Verdict {
        let seen = self.units[at];
        let alive = seen.stand == Stand::Alive;
        if self.is_forwarded(at, group, signal) {
            return Ok(());
        }
        if self.tested.blow.take_if(|blow| *blow == (at, group, signal)).is_some() {
            return Ok(());
        }
        let goes_on = group && signal == Signal::CONT;
        if self.tested.goes_on.take_if(|victim| goes_on && *victim == at).is_some() {
            return Ok(());
        }
        expect_of(at, alive || group && seen.left, "only live processes are signalled")?;
        if self.plan.transparent() {
            let rule = "a transparent command gets the signal that trc got, and then SIGCONT";
            return expect_of(at, signal == Signal::CONT && group, rule);
        }
        let (own, to_group) = self.stops_by(at);
        // SIGKILL may be a unit's stop signal, too. Then it comes twice.
        let by_kill = own == Signal::KILL;
        if signal == Signal::CONT && (seen.owes_cont || by_kill) {
            self.units[at].owes_cont = false;
            return Ok(());
        }
        if signal == Signal::CONT && own.is_job_control() {
            self.units[at].continued = true;
            return Ok(());
        }
        if signal.is_job_control() {
            let continued = std::mem::take(&mut self.units[at].continued);
            expect_of(at, continued, "SIGCONT comes before a signal that it would discard")?;
            self.mark(Mark::StoppedByJobControl);
        }
        expect_of(at, seen.killed.is_none(), "a killed process gets no other signal")?;
        expect_of(
            at,
            alive && seen.owes_signal,
            "the stop signal is sent once, and only after a stop command has failed, if there is one",
        )?;
        expect_of(at, signal == own, "a unit gets its own stop signal")?;
        expect_of(
            at,
            group == to_group,
            "the stop signal goes to the process or the group, as configured",
        )?;
        self.units[at].owes_signal = false;
        self.units[at].signalled = Some(group);
        self.units[at].owes_cont = !signal.is_job_control();
        Ok(())
    }

    /// Checks a signal to the processes of a unit that have not got a stop signal.
    pub(in crate::simulation) fn signals_rest(
        &mut self,
        at: usize,
        told: Told,
        signal: Signal,
    ) -> Verdict {
        let seen = self.units[at];
        let alive = seen.stand == Stand::Alive;
        let (_, to_group) = self.stops_by(at);
        if signal == Signal::CONT {
            let owed = std::mem::take(&mut self.units[at].owes_cont_to_rest);
            return expect_of(at, owed, "CONT follows the stop signal");
        }
        expect_of(at, alive || seen.left, "only live processes are signalled")?;
        expect_of(at, signal == Signal::TERM, "the other processes of a unit get SIGTERM")?;
        expect_of(at, seen.killed.is_none(), "a killed process gets no other signal")?;
        let had_it = if alive {
            let owed = std::mem::take(&mut self.units[at].owes_rest);
            expect_of(
                at,
                owed,
                "the other processes of a unit are asked to exit shortly before SIGKILL",
            )?;
            self.units[at].rested = true;
            self.mark(Mark::RestTold);
            if to_group { Told::Group } else { Told::Main }
        } else {
            self.units[at].owes_rest = false;
            let goodbye = std::mem::take(&mut self.units[at].owes_goodbye);
            expect_of(at, goodbye || seen.linger.is_none(), "leftovers have a moment to exit")?;
            expect_of(at, !seen.rested, "leftovers are asked to exit once")?;
            self.units[at].rested = true;
            self.tells(at)?;
            self.mark(Mark::LeftoversTold);
            if seen.signalled == Some(true) { Told::Group } else { Told::Nobody }
        };
        expect_of(at, told == had_it, "no process gets the stop signal twice, and each gets it")?;
        self.units[at].owes_cont_to_rest = true;
        Ok(())
    }

    pub(in crate::simulation) fn kills(&mut self, at: usize) -> Verdict {
        let seen = self.units[at];
        if self.plan.units[at].stage == Stage::Halt && self.cut.is_some() {
            return Ok(());
        }
        if std::mem::take(&mut self.units[at].owes_pre_kill) {
            if self.units[at].owes_main {
                self.units[at].left = false;
            } else {
                (self.units[at].told, self.units[at].killed) = (Some(self.now), Some(self.now));
            }
            return Ok(());
        }
        let due = self.hurry || self.is_late(at);
        expect_of(at, due, "KILL comes only after the unit's time, or in a hurry")?;
        let by_kill = self.stops_by(at).0 == Signal::KILL;
        expect_of(at, seen.killed.is_none() || by_kill, "KILL is sent once")?;
        self.units[at].killed.get_or_insert(self.now);
        self.flawed |= self.stops();
        // Its probes were stopped just before.
        self.units[at].watch = Watch::default();
        self.units[at].owes_signal = false;
        self.units[at].owes_rest = false;
        (self.units[at].linger, self.units[at].owes_goodbye) = (None, false);
        self.find(Found::Killed(at));
        self.mark(if self.hurry { Mark::KilledInAHurry } else { Mark::KilledLate });
        Ok(())
    }

    /// Checks that a unit, or its leftovers, may be asked to stop, and have not been asked before.
    pub(in crate::simulation) fn tells(&mut self, at: usize) -> Verdict {
        if self.units[at].told.is_some() {
            return Ok(());
        }
        let unit = &self.plan.units[at];
        let seen = &self.units[at];
        // At the moment at which the run stops, a unit that is at fault may be stopped, and what one has
        // left that is to be restarted.
        let by_itself = seen.fault.is_some() || seen.backed_off == Some(self.now);
        if self.said || self.phase == Phase::Stopping && !by_itself {
            expect_of(
                at,
                self.phase == Phase::Stopping
                    || seen.fault.is_some() && self.phase == Phase::Halting,
                "units are asked to stop in the stop of the run",
            )?;
            expect_of(
                at,
                self.phase == Phase::Halting || self.may_stop(at),
                "a unit stops after everything that depends on it",
            )?;
        } else {
            let leaves = seen.going && self.may_go(at);
            let stood_on = self.terms.units[at].dependents.iter().any(|one| self.units[*one].going);
            if leaves && stood_on {
                self.marks.set(Mark::ReloadStoppedInOrder);
            }
            let held = seen.held && matches!(seen.stand, Stand::Waiting | Stand::Finishing);
            let restarts = matches!(seen.stand, Stand::Backoff(_)) || by_itself;
            let why = leaves || held || restarts;
            let goes_on = why && self.phase != Phase::Over;
            expect_of(at, goes_on, "while the run goes on, only units at fault are stopped")?;
            let alone = self.is_alone(at) || seen.stand != Stand::Alive || seen.held || seen.going;
            expect_of(at, alone, "units that are restarted together with a unit stop before it")?;
        }
        if self.phase == Phase::Up && self.waits_for_its_turn(at) {
            let alone = self.units[at].fault.is_some();
            expect_of(at, alone, "a unit stops by hand after what depends on it and stops, too")?;
        }
        if !self.terms.units[at].dependents.is_empty() {
            self.mark(Mark::StoppedInOrder);
        }
        // The leftovers of a crashed server that is restarted may have been about to exit.
        let stands = matches!(self.units[at].stand, Stand::Alive | Stand::Backoff(_));
        if !stands && self.units[at].escaped {
            self.find(Found::Escaped(at));
        }
        let kill_at = self.now + unit.timeout();
        self.units[at].told = Some(self.now);
        self.units[at].kill_at = Some(kill_at);
        self.units[at].rest_at = Some(kill_at.saturating_sub(REST.min(unit.timeout() / 2)));
        if self.units[at].stand == Stand::Alive {
            self.end_watch(at);
        }
        Ok(())
    }

    pub(in crate::simulation) fn sweeps(&mut self, signal: Signal) -> Verdict {
        let early = self.phase == Phase::Stopping && self.tested.left == Left::NotYet;
        if early && signal == Signal::KILL && !self.rushed {
            expect(self.hurry, "the sweep begins with TERM")?;
            self.rushed = true;
            return Ok(());
        }
        expect(self.all_gone(), "the sweep comes when every unit has exited")?;
        let looked = !self.testing() || std::mem::take(&mut self.tested.left) == Left::Judged;
        expect(looked, "in a test run, trc searches for remaining processes before the sweep")?;
        match (self.phase, signal) {
            (Phase::Stopping, Signal::TERM) => {
                expect(!self.hurry, "in a hurry, nothing is asked to exit")?;
                self.phase = Phase::Sweeping(self.now);
            }
            (Phase::Stopping, Signal::KILL) => {
                self.flawed = true;
                self.phase = Phase::Killing(self.now);
                self.mark(Mark::SweptInAHurry);
            }
            (Phase::Sweeping(since), Signal::KILL) => {
                let due = self.hurry || since + SWEEP <= self.now;
                expect(due, "the sweep's KILL comes after its time, or in a hurry")?;
                self.flawed = true;
                self.phase = Phase::Killing(self.now);
                self.mark(Mark::SweptWithKill);
            }
            _ => expect(false, "the sweep is TERM, then KILL, each once")?,
        }
        Ok(())
    }

    pub(in crate::simulation) fn stops_sweeping(&mut self) -> Verdict {
        let swept = match self.phase {
            Phase::Sweeping(_) => self.nothing_left,
            Phase::Killing(since) => {
                if !self.nothing_left {
                    self.mark(Mark::SurvivedTheSweep);
                }
                self.nothing_left || since + PATIENCE <= self.now
            }
            Phase::Stopping => false,
            Phase::Boot | Phase::Settling | Phase::Up | Phase::Halting | Phase::Over => {
                return expect(false, "a sweep that ends has begun");
            }
        };
        expect(swept || self.time_is_up(), "the sweep ends when nothing is left or time is up")?;
        self.flawed |= !self.nothing_left;
        if self.phase == Phase::Stopping {
            self.finds_unstopped();
        }
        self.judge_stops();
        let halts = self.halts().next().is_some();
        self.phase = if self.booted || halts { Phase::Halting } else { Phase::Over };
        if let Some(budget) = self.budget.filter(|_| self.time_is_up()) {
            self.mark(Mark::BudgetSpent);
            if halts {
                self.cut(budget.signal);
            }
        }
        Ok(())
    }

    /// Returns the exit status after a stop from outside, if the configuration sets one.
    fn wanted_by_reason(&mut self) -> Option<u8> {
        let signal = self.stopped_by?;
        if let ([only], [Some(own)]) = (self.plan.units.as_slice(), self.own.as_slice())
            && only.form == Form::Trailing
        {
            self.status = *own;
            self.mark(Mark::LoneCommand);
        }
        let owners = self.plan.own.iter().filter(|at| self.terms.units[**at].here);
        let own: Vec<u8> = owners.filter_map(|at| self.own[*at]).collect();
        if !own.is_empty() {
            self.mark(Mark::StoppedAsItsUnit);
            return Some(own.into_iter().find(|own| *own != 0).unwrap_or(0));
        }
        let usual = [0, 128 + u8::try_from(signal.number()).unwrap_or(0)].contains(&self.status);
        let well = usual && !self.flawed && self.first_failure.is_none();
        self.plan.stopped.is_some().then(|| {
            self.mark(if well { Mark::StoppedWell } else { Mark::StoppedBadly });
        });
        self.plan.stopped.filter(|_| well)
    }

    pub(in crate::simulation) fn ends(&mut self, status: u8) -> Verdict {
        let through = match self.phase {
            Phase::Over => true,
            Phase::Halting => {
                self.cut.is_some() || self.halts().all(|at| self.units[at].stand == Stand::Over)
            }
            Phase::Boot
            | Phase::Settling
            | Phase::Up
            | Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_) => false,
        };
        expect(through, "the run ends when everything has ended")?;
        if !self.plan.transparent() {
            let late = self.budget.is_some_and(|budget| budget.end < self.now);
            expect(
                !late || self.plan.sleep.is_some(),
                "after a signal from outside, the run ends within its time",
            )?;
        }
        if self.testing() {
            let wanted = self.verdict();
            expect(
                status == wanted,
                "a test run exits with 0 only if all was well, and otherwise with 1",
            )?;
            self.ended = true;
            self.phase = Phase::Over;
            return Ok(());
        }
        if let Some(wanted) = self.wanted_by_reason() {
            expect(status == wanted, "a stop from outside gives the configured exit status")?;
            self.ended = true;
            self.phase = Phase::Over;
            return Ok(());
        }
        let mapped = self.plan.exit.iter().find(|(from, _)| *from == self.status);
        if mapped.is_some() {
            self.mark(Mark::Mapped);
        }
        let wanted = mapped.map_or(self.status, |(_, to)| *to);
        expect(status == wanted, "the exit status is that of the specification")?;
        self.ended = true;
        self.phase = Phase::Over;
        Ok(())
    }
}
