//! The witness's expectations of units that reload: what trc does for them, when the job is done or
//! has failed, and that nothing else about the unit changes.

use super::super::marks::Mark;
use super::super::plan::{Makes, ms};
use super::{Stand, Verdict, Witness, expect_of};
use crate::engine::{NotReloaded, Notice, Outcome, Purpose, Refusal, Task, Tick};

const READY: usize = Purpose::Ready as usize;

/// A reload that is under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Anew {
    pub until: Tick,
    /// Whether its command runs.
    commands: bool,
    failed: bool,
    lacks: Lacks,
}

/// What the unit has not shown yet.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lacks {
    Nothing,
    /// `RELOADING=1`.
    Word,
    /// `READY=1`.
    Ready,
    /// An attempt that passes. The one that is under way began too early, or not.
    Attempt {
        early: bool,
    },
}

/// The right end of the job.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Reloads {
    Done,
    Not(NotReloaded),
}

impl Witness<'_> {
    /// Returns the reason why a unit cannot reload now, if it cannot.
    pub(super) fn cannot_reload(&self, at: usize) -> Option<Refusal> {
        let seen = &self.units[at];
        if self.plan.units[at].reload.is_none() {
            return Some(Refusal::NoReload);
        }
        let alive = matches!(seen.stand, Stand::Asked | Stand::Alive);
        let leaves = seen.held || seen.fault.is_some() || seen.told.is_some() || seen.watch.leaving;
        if !alive || leaves {
            return Some(Refusal::NotRunning);
        }
        (!self.stands_up(at)).then_some(Refusal::NotUp)
    }

    /// Takes in that a unit reloads.
    pub(super) fn begins_own_reload(&mut self, at: usize) {
        let unit = &self.plan.units[at];
        let Some(reload) = unit.reload else { return };
        let lacks = match unit.ready.map(|ready| ready.told) {
            Some(true) if unit.says_ready() => Lacks::Word,
            None | Some(true) => Lacks::Nothing,
            Some(false) => Lacks::Attempt { early: false },
        };
        let until = self.now + ms(reload.within);
        let commands = match reload.by {
            Makes::Signal(signal) => {
                self.forwards.push_back((at, unit.to_group(), signal));
                false
            }
            Makes::Command(_) => {
                self.units[at].owes_reload = true;
                true
            }
        };
        self.units[at].anew = Some(Anew { until, commands, failed: false, lacks });
        self.looks_anew(at);
    }

    /// The first attempt is due, if trc makes attempts, once the command has exited.
    fn looks_anew(&mut self, at: usize) {
        let every = self.plan.units[at].ready.map_or(Tick::ZERO, |ready| ms(ready.every));
        let seen = &mut self.units[at];
        let Some(Anew { commands: false, lacks: Lacks::Attempt { early }, .. }) = &mut seen.anew
        else {
            return;
        };
        *early = seen.watch.trying[READY];
        seen.watch.owed[READY] |= !*early;
        seen.watch.wait = Tick::from_millis(10).min(every);
    }

    /// Takes in an attempt to find a unit ready that is up.
    pub(super) fn looked_anew(&mut self, at: usize, outcome: Outcome) {
        let every = self.plan.units[at].ready.map_or(Tick::ZERO, |ready| ms(ready.every));
        let now = self.now;
        let seen = &mut self.units[at];
        let Some(Anew { commands: false, lacks, .. }) = &mut seen.anew else { return };
        match *lacks {
            Lacks::Attempt { early: true } => {
                *lacks = Lacks::Attempt { early: false };
                seen.watch.owed[READY] = true;
                self.mark(Mark::ReloadSawAnEarlyAttempt);
            }
            Lacks::Attempt { early: false } if outcome == Outcome::Passed => {
                *lacks = Lacks::Nothing;
                self.mark(Mark::ReloadFoundReady);
            }
            Lacks::Attempt { early: false } => {
                seen.watch.next[READY] = Some(now + seen.watch.wait);
                seen.watch.wait = (seen.watch.wait * 2).min(every);
            }
            Lacks::Nothing | Lacks::Word | Lacks::Ready => {}
        }
    }

    /// Takes in what a unit that reloads says.
    pub(super) fn says_anew(&mut self, at: usize, notice: Notice) {
        let told = self.plan.units[at].says_ready();
        let Some(anew) = self.units[at].anew.as_mut().filter(|_| told) else { return };
        match (notice, anew.lacks) {
            (Notice::Reloading, _) => anew.lacks = Lacks::Ready,
            (Notice::Ready, Lacks::Ready) => {
                anew.lacks = Lacks::Nothing;
                self.mark(Mark::ReloadSaidReady);
            }
            _ => {}
        }
    }

    /// Takes in that the command that makes a unit reload has exited.
    pub(in crate::simulation) fn reload_command_ended(&mut self, at: usize, succeeded: bool) {
        let Some(anew) = &mut self.units[at].anew else { return };
        anew.commands = false;
        anew.failed = !succeeded;
        if succeeded {
            self.looks_anew(at);
        }
    }

    /// Checks that the command that makes a unit reload runs when it has to.
    pub(super) fn runs_reload_command(&mut self, at: usize) -> Verdict {
        let owed = std::mem::take(&mut self.units[at].owes_reload);
        expect_of(at, owed, "the command of a reload runs once, when somebody asks for it")
    }

    /// Checks that the command that makes a unit reload is killed only once the reload is over.
    pub(super) fn kills_reload_command(&mut self, at: usize) -> Verdict {
        let owed = std::mem::take(&mut self.units[at].owes_reload_kill);
        self.mark(Mark::ReloadCommandKilled);
        expect_of(at, owed, "the command of a reload is killed only if the reload ends before it")
    }

    /// Returns how the reload of a unit ends, if it ends now.
    pub(super) fn end_anew(&self, at: usize) -> Option<Reloads> {
        let seen = &self.units[at];
        let Some(anew) = seen.anew else { return Some(Reloads::Not(NotReloaded::Gone)) };
        if !self.is_watched(at) || seen.watch.leaving {
            return Some(Reloads::Not(NotReloaded::Gone));
        }
        if anew.failed {
            return Some(Reloads::Not(NotReloaded::Command));
        }
        let late = match anew.lacks {
            _ if anew.commands => NotReloaded::SlowCommand,
            Lacks::Nothing => return Some(Reloads::Done),
            Lacks::Word => NotReloaded::NotBegun,
            Lacks::Ready => NotReloaded::NotReady,
            Lacks::Attempt { .. } => NotReloaded::NotFound,
        };
        (anew.until <= self.now).then_some(Reloads::Not(late))
    }

    /// Takes in that a job is over: with it ends the reload of its unit.
    pub(super) fn no_longer_anew(&mut self, at: usize, task: Task) {
        if task != Task::Reload {
            return;
        }
        let seen = &mut self.units[at];
        seen.owes_reload_kill |= seen.anew.take().is_some_and(|anew| anew.commands);
        // Nothing is due for a unit that is ready.
        if seen.watch.ready_by.is_none() {
            seen.watch.next[READY] = None;
        }
    }

    /// Marks how a reload has ended.
    pub(super) fn mark_anew(&mut self, end: Reloads) {
        self.mark(match end {
            Reloads::Done => Mark::ReloadedItself,
            Reloads::Not(NotReloaded::Gone) => Mark::GoneInItsReload,
            Reloads::Not(NotReloaded::Command) => Mark::ReloadCommandFailed,
            Reloads::Not(NotReloaded::SlowCommand) => Mark::ReloadCommandSlow,
            Reloads::Not(NotReloaded::NotBegun) => Mark::ReloadNotBegun,
            Reloads::Not(NotReloaded::NotReady) => Mark::ReloadNotReady,
            Reloads::Not(NotReloaded::NotFound) => Mark::ReloadNotFound,
        });
    }
}
