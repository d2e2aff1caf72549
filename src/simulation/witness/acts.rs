//! The witness's expectations of each action.

use super::super::build::Built;
use super::super::marks::Mark;
use super::super::plan::ms;
use super::found::Found;
use super::{Phase, Stand, Verdict, Witness, expect, expect_of};
use crate::config::{Condition, Stage};
use crate::engine::{Action, Ended, Fact, How, Purpose, Target, Tick};
use crate::graph::UnitId;
use crate::signal::Signal;

impl Witness<'_> {
    /// Checks an action of the engine.
    pub(in crate::simulation) fn acted(&mut self, action: &Action, built: &Built) -> Verdict {
        if self.ended {
            // The engine still handles the rest of the queue at the end, and reports it.
            return match action {
                Action::Reopen
                | Action::Reload(_)
                | Action::Tell(_)
                | Action::Signal(..)
                | Action::KillStopCommand(_)
                | Action::KillReloadCommand(_)
                | Action::KillPostStop(_)
                | Action::StopProbes(_) => Ok(()),
                Action::Spawn(_)
                | Action::PreStart(_)
                | Action::PostStop(..)
                | Action::StopCommand(_)
                | Action::ReloadCommand(_)
                | Action::Probe(..)
                | Action::Seek(_)
                | Action::Try(..)
                | Action::Inspect
                | Action::Remains
                | Action::Settle
                | Action::TakeOver
                | Action::Sweep(_)
                | Action::SweepOver
                | Action::End { .. } => expect(false, "the engine does nothing after the end"),
            };
        }
        match action {
            Action::Spawn(id) => self.spawns(built.unit(*id), false),
            Action::PreStart(id) => self.spawns(built.unit(*id), true),
            Action::PostStop(id, status, reason) => {
                self.runs_post_stop(built.unit(*id), *status, *reason)
            }
            Action::KillPostStop(id) => self.kills_post_stop(built.unit(*id)),
            Action::Signal(Target::Process(id), signal) => {
                self.signals(built.unit(*id), false, *signal)
            }
            Action::Signal(Target::Group(id) | Target::Members(id), signal) => {
                self.signals(built.unit(*id), true, *signal)
            }
            Action::Signal(Target::Rest(id, told), signal) => {
                self.signals_rest(built.unit(*id), *told, *signal)
            }
            Action::Signal(Target::All(id), signal) => {
                let at = built.unit(*id);
                expect_of(
                    at,
                    *signal == Signal::KILL,
                    "only SIGKILL goes to all processes of a unit",
                )?;
                self.kills(at)
            }
            Action::StopCommand(id) => {
                let at = built.unit(*id);
                let left = self.units[at].stand != Stand::Alive && self.units[at].left;
                if left && self.units[at].told.is_none() {
                    expect_of(at, self.plan.units[at].stop_exec.is_some(), "it has one")?;
                    self.tells(at)?;
                    self.units[at].left_by_command = true;
                    self.units[at].commands = Some(self.now + self.plan.units[at].timeout());
                    self.mark(Mark::LeftByCommand);
                    return Ok(());
                }
                let owed = std::mem::take(&mut self.units[at].owes_command);
                self.units[at].commands = Some(self.now + self.plan.units[at].timeout());
                expect_of(at, owed, "a stop command runs once, when its unit is asked to stop")
            }
            Action::KillStopCommand(id) => {
                let at = built.unit(*id);
                if std::mem::take(&mut self.units[at].owes_command_kill) {
                    return Ok(());
                }
                let until = self.units[at].commands.take();
                let due = until.is_some_and(|until| self.hurry || until <= self.now);
                expect_of(at, due, "a stop command is killed only if it runs for too long")?;
                if self.units[at].stand != Stand::Alive {
                    self.find(Found::StopCommand(at));
                    self.flawed |= self.stops();
                    self.mark(Mark::StopCommandKilled);
                }
                self.wake_up();
                self.stops_in_order();
                Ok(())
            }
            Action::ReloadCommand(id) => self.runs_reload_command(built.unit(*id)),
            Action::KillReloadCommand(id) => self.kills_reload_command(built.unit(*id)),
            Action::Probe(id, purpose) => self.probes(built.unit(*id), *purpose),
            Action::Seek(id) => self.looks_at_file(built.unit(*id)),
            Action::StopProbes(id) => {
                let at = built.unit(*id);
                self.units[at].owes_silence = false;
                self.units[at].watch.trying = [false; 2];
                self.trials[at].trying = false;
                let right = self.hurry || !self.is_watched(at);
                expect_of(at, right, "only a unit that is no longer watched loses its probes")
            }
            Action::Try(id, limit) => self.tries(built.unit(*id), *limit),
            Action::Inspect => self.inspects(),
            Action::Remains => self.looks_at_remains(),
            Action::TakeOver => self.takes_over(),
            Action::Settle => {
                let over = |at: usize| self.units[at].stand == Stand::Over;
                let all = self.stage(Stage::Boot).all(over) && self.phase == Phase::Boot;
                expect(all, "boot is settled once, when every boot unit has ended")?;
                self.phase = Phase::Settling;
                Ok(())
            }
            Action::Reopen => {
                let owed = std::mem::take(&mut self.owes_reopening);
                expect(owed, "files are reopened only on a signal that says so")
            }
            Action::Reload(_) => {
                let owed = std::mem::take(&mut self.owes_reading);
                expect(owed, "the configuration is read anew only on a signal that says so")
            }
            Action::Sweep(signal) => self.sweeps(*signal),
            Action::SweepOver => self.stops_sweeping(),
            Action::Tell(fact) => self.told(fact, built),
            Action::End { status } => self.ends(*status),
        }
    }

    fn spawns(&mut self, at: usize, pre: bool) -> Verdict {
        let unit = &self.plan.units[at];
        if std::mem::take(&mut self.units[at].owes_main) {
            self.units[at].stand = Stand::Asked;
            return expect_of(at, !pre, "pre_start runs once before each start");
        }
        let prepares = unit.pre_start.is_some();
        expect_of(at, pre == prepares, "a unit starts with its pre_start, if it has one")?;
        let again = match self.units[at].stand {
            Stand::Waiting => false,
            Stand::Retrying(until) => {
                expect_of(at, until <= self.now, "a fork is repeated only after its delay")?;
                true
            }
            Stand::Asked
            | Stand::Alive
            | Stand::Watching
            | Stand::Backoff(_)
            | Stand::Finishing
            | Stand::Over => {
                return expect_of(at, false, "a unit has one process at a time");
            }
        };
        expect_of(at, !self.is_idle(at), "a unit with a schedule waits until it is due")?;
        expect_of(at, !self.units[at].held, "a held unit is not started")?;
        expect_of(at, !self.units[at].idle, "a unit does not start if nobody has asked for it")?;
        expect_of(at, !self.units[at].going, "a unit that has to go is not started")?;
        expect_of(at, !self.units[at].given_up, "no unit ever runs twice")?;
        expect_of(at, !unit.outside, "an external unit is not started")?;
        expect_of(at, self.terms.units[at].here, "only units in the graph are started")?;
        expect_of(at, self.is_its_turn(at), "a unit is started only in its phase")?;
        expect_of(
            at,
            self.may_start(at) == Some(true),
            "a unit is started only when its conditions hold",
        )?;
        let failed = |(on, condition): &(usize, Condition)| {
            *condition == Condition::Settled
                && self.units[*on].stand == Stand::Over
                && self.units[*on].status != 0
        };
        if self.terms.units[at].needs.iter().any(failed) {
            self.mark(Mark::SettledByFailure);
        }
        if unit.in_turn() {
            let alone = self.stage(unit.stage).all(|one| {
                let stand = self.units[one].stand;
                one == at || !matches!(stand, Stand::Asked | Stand::Alive | Stand::Finishing)
            });
            expect_of(at, alone, "boot, sync and halt units run one at a time")?;
            let mut before = self.in_order(unit.stage).take_while(|one| *one != at);
            let over = before.all(|one| {
                let left_out = unit.stage == Stage::Halt && self.is_left_out(one);
                left_out || self.units[one].stand == Stand::Over
            });
            expect_of(at, over, "units that run one at a time do so in their order")?;
        }
        if unit.stage == Stage::Halt {
            let due = self.booted || unit.always;
            expect_of(at, due, "halt units run only after a good boot, or always")?;
            if !self.booted {
                self.mark(Mark::HaltedWithoutBoot);
            }
            // A process that an earlier halt unit has left behind may still be alive.
            let gone = |one: usize| self.plan.units[one].stage == Stage::Halt || self.gone(one);
            expect_of(at, self.here().all(gone), "halt units run when everything else has exited")?;
            expect_of(at, self.cut.is_none(), "no halt unit is started once they are cut short")?;
            self.mark(Mark::Halted);
        }
        let restarts = self.companions_up(at);
        expect_of(at, restarts, "units that are restarted together start in order")?;
        if !again {
            expect_of(at, self.gone(at), "nothing is left of a unit when it is restarted")?;
            let first = !self.units[at].started;
            expect_of(
                at,
                first || self.is_alone(at),
                "units that are restarted together stop before they start",
            )?;
        }
        let seen = &mut self.units[at];
        (seen.told, seen.kill_at, seen.killed) = (None, None, None);
        (seen.rest_at, seen.rested, seen.escaped) = (None, false, false);
        (seen.signalled, seen.left_by_command) = (None, false);
        let within = unit.pre_start.map(|hook| hook.within.map_or(Tick::from_mins(1), ms));
        (seen.pre, seen.ran) = (within.map(|within| self.now + within), false);
        seen.by_command = false;
        if !again {
            self.ran[at] = None;
        }
        self.units[at].stand = Stand::Asked;
        Ok(())
    }

    fn probes(&mut self, at: usize, purpose: Purpose) -> Verdict {
        let unit = &self.plan.units[at];
        if unit.outside && self.units[at].owes_silence && !self.said {
            // The run stops at the same moment, and the attempt with it.
            return Ok(());
        }
        if unit.outside && self.units[at].stand == Stand::Waiting {
            expect_of(at, self.is_its_turn(at), "an external unit is probed only in its phase")?;
            let may = self.may_start(at) == Some(true);
            expect_of(at, may, "an external unit is probed only when its conditions hold")?;
            self.units[at].stand = Stand::Watching;
            self.begin_watch(at);
        }
        let watch = &mut self.units[at].watch;
        let owed = std::mem::take(&mut watch.owed[purpose as usize]);
        let under_way = std::mem::replace(&mut watch.trying[purpose as usize], true);
        expect_of(at, owed, "an attempt of a probe is made only when it is due")?;
        expect_of(at, !under_way, "a probe has one attempt at a time")
    }

    fn told(&mut self, fact: &Fact, built: &Built) -> Verdict {
        match fact {
            Fact::Stopping => {
                // The policy waits for an old graph to come back, and may end the run right after.
                self.conclude();
                let due = self.phase == Phase::Stopping && !self.said;
                expect(due, "the run stops once, and for a reason")?;
                self.said = true;
                Ok(())
            }
            Fact::Terminating { unit, .. } => {
                let at = built.unit(*unit);
                expect_of(
                    at,
                    self.units[at].stand == Stand::Alive,
                    "only live units are asked to stop",
                )?;
                expect_of(at, self.units[at].told.is_none(), "a unit is asked to stop once")?;
                self.tells(at)?;
                let by_command =
                    self.plan.units[at].stop_exec.is_some() && self.units[at].pre.is_none();
                self.units[at].by_command = by_command;
                self.units[at].owes_command = by_command;
                self.units[at].owes_signal = !by_command;
                Ok(())
            }
            Fact::Blocked { chain, ended, .. } => self.blocked(chain, *ended, built),
            Fact::NotStarted { unit, .. } => {
                let at = built.unit(*unit);
                let over = matches!(
                    self.units[at].stand,
                    Stand::Over | Stand::Backoff(_) | Stand::Waiting | Stand::Finishing
                );
                expect_of(at, over, "a unit that could not be started has ended")
            }
            Fact::Restarting { unit, after, restarts, excused, .. } => {
                self.restarts(built.unit(*unit), *after, *restarts, *excused)
            }
            Fact::TestBegan { unit } => self.begins(built.unit(*unit)),
            Fact::TestEnded { unit, ended } => self.test_ended(built.unit(*unit), *ended),
            Fact::Reloading { going, asker } => {
                let going: Vec<usize> = going.iter().map(|id| built.unit(*id)).collect();
                self.begins_to_reload(&going, asker)
            }
            Fact::RolledBack { unit, going, .. } => {
                let going: Vec<usize> = going.iter().map(|id| built.unit(*id)).collect();
                self.goes_back(built.unit(*unit), &going)
            }
            Fact::PostStopSkipped { unit } => {
                let at = built.unit(*unit);
                self.mark(Mark::PostStopSkipped);
                self.find(Found::PostStop(at));
                expect_of(at, self.hurry, "post_stop is left out only in a hurry")
            }
            Fact::NotReloaded { why } => self.does_not_reload(*why),
            Fact::Requested { unit, request, asker, answer, dependents } => {
                let dependents: Vec<usize> = dependents.iter().map(|id| built.unit(*id)).collect();
                self.answers(built.unit(*unit), *request, asker, *answer, &dependents)
            }
            Fact::Overlapped { unit, overlap } => {
                self.is_told_of_overlap(built.unit(*unit), *overlap)
            }
            Fact::JobEnded { unit, job, task, end, why: _ } => {
                self.job_ends(built.unit(*unit), *job, *task, *end)
            }
            Fact::Cancelled { unit, job, task, asker } => {
                self.is_cancelled(*job, asker, Ok((built.unit(*unit), *task)))
            }
            Fact::NotCancelled { job, asker, why } => self.is_cancelled(*job, asker, Err(*why)),
            Fact::ShutDown { exit, asker, refused } => self.is_shut_down(*exit, asker, *refused),
            Fact::MainProcess { unit, foreground, .. } => {
                self.knows_main(built.unit(*unit), *foreground)
            }
            Fact::Reloaded { .. }
            | Fact::Restored { .. }
            | Fact::Ready { .. }
            | Fact::NotReady { .. }
            | Fact::Unhealthy { .. }
            | Fact::Overran { .. }
            | Fact::Unprepared { .. }
            | Fact::PreStartLeft { .. }
            | Fact::PreStartExited { .. }
            | Fact::PostStopFailed { .. }
            | Fact::PostStopLeft { .. }
            | Fact::PostStopKilled { .. }
            | Fact::GaveUp { .. }
            | Fact::Exited { .. }
            | Fact::Unheard { .. }
            | Fact::Failed { .. }
            | Fact::LeftBehind { .. }
            | Fact::KillingLeft { .. }
            | Fact::Retrying { .. }
            | Fact::Signalled { .. }
            | Fact::Killing { .. }
            | Fact::StopCommandFailed { .. }
            | Fact::StopCommandKilled { .. }
            | Fact::KillingRest { .. }
            | Fact::NotUpYet { .. }
            | Fact::Impossible { .. }
            | Fact::CutShort { .. } => Ok(()),
        }
    }

    fn blocked(&mut self, chain: &[UnitId], ended: Ended, built: &Built) -> Verdict {
        let (at, by) = (built.unit(chain[0]), built.unit(chain[1]));
        expect_of(
            at,
            self.units[at].stand == Stand::Waiting,
            "only a unit that waits can wait in vain",
        )?;
        expect_of(at, !self.is_idle(at), "a unit with a schedule waits until it is due")?;
        expect_of(at, !self.units[at].idle, "a unit does not start if nobody has asked for it")?;
        expect_of(at, self.is_its_turn(at), "a unit that waits in vain fails in its own phase")?;
        let is_test = self.plan.units[at].stage == Stage::Test;
        let blames =
            |(on, condition): &(usize, _)| *on == by && self.holds(*on, *condition).is_none();
        let right = if is_test {
            self.blames(at, by)
        } else {
            self.terms.units[at].needs.iter().any(blames)
        };
        expect_of(at, right, "a unit fails unstarted only if a condition can't hold any more")?;
        let cause = &self.units[by];
        let status = if cause.stand == Stand::Over { cause.status.max(1) } else { 1 };
        let same = ended.status == status && ended.how == How::Blocked(chain[1]);
        expect_of(at, same, "a unit that waited in vain has the exit status of the cause")?;
        self.mark(Mark::Blocked);
        if chain.len() > 2 {
            self.mark(Mark::BlockedInAChain);
        }
        if is_test {
            self.never_began(at, by, status)?;
        }
        self.falls(at, status, Some(by));
        self.over(at, status, None);
        self.conclude();
        Ok(())
    }
}
