//! The witness's view of events.

use nix::errno::Errno;

use super::super::build::{Built, Terms};
use super::super::marks::Mark;
use super::super::plan::Generation;
use super::found::{CRASHES, Found, LINGER};
use super::hooks::Finish;
use super::policy;
use super::{PATIENCE, Phase, Stand, Witness};
use crate::config::{OnFailure, Stage};
use crate::engine::{Ending, Event, Left, SpawnStage, Tick};
use crate::graph::UnitId;
use crate::signal::Signal;

impl Witness<'_> {
    /// Takes in an event that the engine is about to get.
    pub(in crate::simulation) fn before(&mut self, now: Tick, event: &Event, built: &Built) {
        self.now = now;
        self.nothing_left = false;
        self.judge_grace();
        let unit = of(event).map_or(0, |id| built.unit(id));
        match event {
            Event::Begin if self.stage(Stage::Boot).next().is_none() => self.up(),
            Event::Overslept { by } => self.overslept(*by),
            // The engine bases no decision on this detail.
            Event::Begin | Event::Woken | Event::Learnt { .. } => {}
            Event::Tried { outcome, .. } => self.tried(unit, *outcome),
            Event::Inspected { zombies, escaped } => {
                for id in escaped {
                    let at = built.unit(*id);
                    self.units[at].escaped |= self.units[at].left;
                    self.mark(Mark::EscapedLate);
                }
                self.inspected(*zombies);
            }
            Event::Remains { orphans, sessions, late } => {
                let said = late.iter().map(|(id, late)| Found::Late(built.unit(*id), *late));
                let left = [(*orphans, Found::Orphans), (*sessions, Found::Sessions)];
                let left = left.into_iter().filter_map(|(is, found)| is.then_some(found));
                let found: Vec<Found> = left.chain(said).collect();
                self.remains(*orphans || *sessions, &found);
            }
            Event::Forked { pid, .. } => {
                (self.units[unit].stand, self.units[unit].pid) = (Stand::Alive, *pid);
            }
            Event::Executed { .. } => self.executed(unit),
            Event::SpawnFailed { stage, errno, .. } => self.not_started(unit, *stage, *errno),
            Event::Exited { ending, leftovers, terminal, .. } => {
                self.exited(unit, *ending, *leftovers, *terminal);
            }
            Event::LeftoversGone { .. } => {
                self.units[unit].left = false;
                if self.units[unit].linger.take().is_some() {
                    self.mark(Mark::Lingered);
                }
                self.mark(Mark::LeftoversEnded);
            }
            Event::StopCommandEnded { succeeded, .. } => {
                let seen = &mut self.units[unit];
                let awaited = seen.commands.take().is_some();
                let outlives = awaited && seen.stand != Stand::Alive;
                if seen.left_by_command && seen.left && !seen.rested && seen.killed.is_none() {
                    seen.owes_rest = !succeeded;
                }
                if outlives && !succeeded {
                    self.find(Found::StopCommand(unit));
                    self.mark(Mark::StopCommandFailedLate);
                } else if outlives {
                    self.mark(Mark::StopCommandOutlived);
                } else if !succeeded
                    && seen.by_command
                    && seen.stand == Stand::Alive
                    && seen.killed.is_none()
                {
                    seen.by_command = false;
                    seen.owes_signal = true;
                    self.find(Found::StopCommand(unit));
                    self.mark(Mark::StopCommandFailed);
                } else if *succeeded {
                    self.mark(Mark::StopCommandSucceeded);
                }
            }
            Event::PostStopEnded { succeeded, left, .. } => {
                self.post_stop_ended(unit, *succeeded, *left);
            }
            Event::ReloadCommandEnded { succeeded, .. } => {
                self.reload_command_ended(unit, *succeeded);
            }
            Event::Due { .. } => self.falls_due(unit),
            Event::Cancel { job, asker } => self.cancels(*job, asker),
            Event::Shutdown { exit, asker } => self.shuts_down(*exit, asker),
            Event::Reload { asker } => self.reloads(asker),
            Event::Request { request, asker, .. } => self.asked(unit, *request, asker),
            Event::Paused { .. } => self.mark(Mark::Paused),
            Event::Probed { purpose, outcome, .. } => self.probed(unit, *purpose, *outcome),
            Event::Unfound { .. } => self.is_not_found(unit),
            Event::Notified { notice, .. } => self.notified(unit, *notice),
            Event::Signal { signal, sender } => {
                let unit = sender.asker.unit.map(|id| built.unit(id));
                self.signalled(*signal, sender.outside, unit);
            }
            Event::Settled { words } => {
                if words.is_some() {
                    let old = std::mem::replace(
                        &mut self.terms,
                        Terms::of(self.plan, Generation::Second),
                    );
                    self.falls_asleep(&old);
                    self.renewed.is_second();
                    self.mark(Mark::NewGraph);
                }
                self.booted = true;
                if self.phase == Phase::Settling {
                    self.up();
                } else {
                    self.mark(Mark::SettledTooLate);
                }
            }
            Event::Unsettled => {
                self.booted = true;
                self.tested.unsettled = !self.stops();
                self.decide(78, Mark::Unsettled);
            }
            Event::OomKilled => self.find(Found::OomKilled),
            Event::NothingLeft => self.nothing_left = true,
        }
        self.time();
        self.retries();
        self.runs_what_was_queued();
        self.wake_up();
        self.passes_probation();
        if !self.is_due() {
            self.stops_in_order();
        }
        self.conclude();
    }

    /// Handles everything that is due, unit by unit.
    fn time(&mut self) {
        for place in 0..self.terms.by_id.len() {
            let at = self.terms.by_id[place];
            self.gives_up(at);
            self.rest_due(at);
            self.stop_command_due(at);
            self.post_stop_due(at);
            self.pre_start_due(at);
            self.watch_due(at);
        }
        if self.testing() {
            for at in 0..self.units.len() {
                self.lingers(at);
                self.overstays(at);
            }
            self.trials();
            self.looks_again();
        }
        if self.plan.transparent() {
            return;
        }
        let Some(budget) = self.budget else { return };
        match self.phase {
            Phase::Stopping | Phase::Sweeping(_) if budget.kill_at <= self.now => self.hurry = true,
            Phase::Halting
                if budget.end <= self.now
                    && self.halts().any(|at| self.units[at].stand != Stand::Over) =>
            {
                self.cut(budget.signal);
            }
            Phase::Boot
            | Phase::Settling
            | Phase::Up
            | Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_)
            | Phase::Halting
            | Phase::Over => {}
        }
    }

    /// Handles forks that are due again, unless their conditions no longer hold.
    pub(in crate::simulation) fn retries(&mut self) {
        for at in 0..self.units.len() {
            if let Stand::Retrying(until) = self.units[at].stand
                && until <= self.now
                && !(self.may_start(at) == Some(true)
                    && self.companions_up(at)
                    && !self.is_behind(at))
            {
                self.units[at].stand = Stand::Waiting;
                self.mark(Mark::RetriedInVain);
            }
        }
    }

    /// Returns whether a new graph has put another unit before a foreground unit.
    fn is_behind(&self, at: usize) -> bool {
        let mut before = self.in_order(Stage::Sync).take_while(|one| *one != at);
        let sync = self.plan.units[at].stage == Stage::Sync;
        sync && before.any(|one| self.units[one].stand != Stand::Over)
    }

    /// Shortly before SIGKILL, every process that has not got a stop signal gets one.
    fn rest_due(&mut self, at: usize) {
        let due = self.units[at].rest_at.is_some_and(|rest_at| rest_at <= self.now);
        let late = self.is_late(at);
        let seen = &mut self.units[at];
        if !due || late || seen.killed.is_some() || seen.rested || seen.told.is_none() {
            return;
        }
        if seen.stand == Stand::Alive {
            seen.owes_rest = true;
            if std::mem::take(&mut seen.by_command) {
                seen.owes_signal = true;
            }
        } else if seen.left && seen.left_by_command {
            seen.owes_rest = true;
        }
    }

    /// The time of a stop command may be up.
    fn stop_command_due(&mut self, at: usize) {
        if self.units[at].commands.take_if(|until| *until <= self.now).is_some() {
            self.units[at].owes_command_kill = true;
            if self.units[at].stand != Stand::Alive {
                self.find(Found::StopCommand(at));
                self.flawed |= self.stops();
                self.mark(Mark::StopCommandKilled);
            }
        }
    }

    /// Gives up on processes that have survived SIGKILL for long enough.
    fn gives_up(&mut self, at: usize) {
        let seen = &self.units[at];
        if seen.killed.is_none_or(|killed| self.now < killed + PATIENCE) {
            return;
        }
        if seen.stand == Stand::Alive {
            self.mark(Mark::GaveUp);
            (self.units[at].given_up, self.units[at].forks) = (true, 0);
            self.over(at, 137, None);
        }
        (self.units[at].left, self.units[at].linger) = (false, None);
    }

    /// Boot is done.
    fn up(&mut self) {
        self.booted = true;
        self.phase = Phase::Up;
    }

    /// Checks whether boot has failed, or the wait policy ends the run.
    pub(in crate::simulation) fn conclude(&mut self) {
        if self.phase == Phase::Boot {
            let failed = |at: &usize| {
                let seen = &self.units[*at];
                let ignored = self.plan.units[*at].on_failure == OnFailure::Ignore;
                seen.stand == Stand::Over && seen.status != 0 && !ignored
            };
            let failed = self.stage(Stage::Boot).find(failed);
            if let Some(at) = failed {
                self.decide(self.units[at].status, Mark::BootFailed);
            }
        }
        if self.phase == Phase::Up && self.testing() {
            self.follows_its_job();
            self.ask_tests();
        } else if self.phase == Phase::Up
            && !self.is_due()
            && !self.has_to_go_back()
            && let Some(status) =
                policy::verdict(self.plan, &self.terms, &self.ends, &|at| self.units[at].idle)
        {
            self.decide(status, Mark::of_policy(self.plan.wait));
        }
    }

    /// Begins the stop of the run, if it has not begun.
    pub(in crate::simulation) fn decide(&mut self, status: u8, mark: Mark) {
        if !self.stops() {
            self.status = status;
            self.keeps_falls();
            self.phase = if self.plan.transparent() { Phase::Over } else { Phase::Stopping };
            self.mark(mark);
            for at in 0..self.units.len() {
                match self.units[at].stand {
                    Stand::Watching => {
                        self.end_watch(at);
                        self.gives_up_trial(at);
                        self.units[at].stand = Stand::Waiting;
                    }
                    Stand::Backoff(_) => self.units[at].stand = Stand::Waiting,
                    Stand::Waiting
                    | Stand::Retrying(_)
                    | Stand::Asked
                    | Stand::Alive
                    | Stand::Finishing
                    | Stand::Over => {}
                }
            }
        }
    }

    fn executed(&mut self, at: usize) {
        (self.units[at].executed, self.units[at].ran) = (true, true);
        if self.units[at].stand == Stand::Alive && self.units[at].told.is_none() {
            (self.units[at].started, self.units[at].due) = (true, false);
            self.begin_watch(at);
        }
        if self.plan.transparent() {
            for signal in std::mem::take(&mut self.held) {
                self.forwards.push_back((at, self.plan.units[at].to_group(), signal));
                self.mark(Mark::Held);
            }
        }
    }

    fn not_started(&mut self, at: usize, stage: SpawnStage, errno: Option<Errno>) {
        if std::mem::take(&mut self.units[at].given_up) {
            return;
        }
        let past = self.is_past(at);
        // It can be asked to stop once it has a process.
        let told = self.units[at].told.is_some();
        if errno == Some(Errno::EAGAIN) && self.units[at].forks < 6 && !past && !told {
            let wait = Tick::from_millis(50) * 2_u32.pow(self.units[at].forks);
            self.units[at].forks += 1;
            self.units[at].pre = None;
            // A unit that is restarted together with another one starts when that one has started.
            // A unit that has to go for a new graph does not start any more.
            let down = self.units[at].going || self.units[at].held;
            let together = self.units[at].fault.take().is_some() || down;
            if together {
                self.units[at].forks = 0;
            }
            self.units[at].stand =
                if together { Stand::Waiting } else { Stand::Retrying(self.now + wait) };
            self.mark(match stage {
                SpawnStage::Execute => Mark::ExecRetried,
                _ => Mark::ForkRetried,
            });
            return;
        }
        self.mark(if errno == Some(Errno::EAGAIN) { Mark::ForkGaveUp } else { Mark::NotStarted });
        let wanted = !self.units[at].going && !self.units[at].held;
        if stage == SpawnStage::Settings && self.units[at].fault.is_none() && wanted {
            self.mark(Mark::NotWorthARestart);
        }
        let missing = stage == SpawnStage::Execute && errno == Some(Errno::ENOENT);
        let status = if missing { 127 } else { 126 };
        let hopeless = stage == SpawnStage::Settings && self.units[at].fault.is_none();
        self.run_over(at, status, (status, self.end_reason(at, None)), hopeless);
    }

    fn exited(&mut self, at: usize, ending: Ending, leftovers: Left, terminal: bool) {
        let unit = &self.plan.units[at];
        if std::mem::take(&mut self.units[at].given_up) {
            self.mark(Mark::DiedAfterAll);
            return;
        }
        let told = self.units[at].told.is_some() || self.units[at].killed.is_some();
        let pre = self.units[at].pre.is_some();
        if pre && self.pre_start_exited(at, ending, leftovers) {
            return;
        }
        let (signal, to_group) = self.stops_by(at);
        let obeyed = told && ending.status() == Ending::Signal(signal).status();
        let success = unit.success.as_deref().filter(|_| !pre);
        let lost = self.is_lost(at, ending);
        let status = match obeyed {
            true => 0,
            false if lost => ending.status().max(1),
            false => policy::status(ending, success),
        };
        let crashed =
            matches!(ending, Ending::Signal(signal) if CRASHES.contains(&signal.number()));
        let alone = !told && self.units[at].executed && !pre;
        if status != 0 && (alone || crashed) {
            self.fails_in_the_stop(at);
        }
        self.stops_with(at, ending);
        self.raw = Some(policy::status(ending, unit.success.as_deref())).filter(|_| !pre && !lost);
        if told && self.stops() && !self.may_stop_with(at, ending) && self.failure_spoils(at) {
            self.flawed = true;
        }
        let unit = &self.plan.units[at];
        let struck = self.units[at].struck.take();
        if struck.is_some_and(|signal| ending == Ending::Signal(signal)) {
            self.units[at].faulted = true;
        }
        let left = leftovers != Left::Nothing;
        self.units[at].left = left;
        self.units[at].escaped = leftovers == Left::Escaped;
        if left {
            self.mark(Mark::Leftovers);
        }
        if leftovers == Left::Escaped {
            self.mark(Mark::LeftEscaped);
        }
        let seen = &self.units[at];
        if left
            && self.plan.drill.is_some()
            && (!to_group || seen.escaped)
            && seen.told.is_some()
            && seen.killed.is_none()
            && !seen.rested
        {
            // Nobody has asked these processes to exit, because the unit is responsible for them.
            let until = self.now + LINGER;
            let seen = &mut self.units[at];
            (seen.linger, seen.kill_at) = (Some(until), seen.kill_at.max(Some(until)));
        }
        if ending == Ending::Signal(Signal::KILL) && self.units[at].killed.is_some() {
            self.mark(Mark::Killed);
        }
        let key = match ending {
            // A signal that trc has sent does not come from a key.
            Ending::Signal(signal) if obeyed || struck == Some(signal) => {
                self.mark(if terminal { Mark::NoKey } else { Mark::Obeyed });
                None
            }
            Ending::Signal(signal) if terminal && unit.stage != Stage::Halt => {
                Some(128 + u8::try_from(signal.number()).unwrap_or(0))
            }
            Ending::Signal(_) | Ending::Code(_) => None,
        };
        let end = (ending.status(), self.end_reason(at, Some(ending)));
        if key.is_some() {
            self.falls_with(at, status, told);
        }
        if let (Some(key), Some(until)) = (key, self.finishes(at)) {
            self.end_watch(at);
            let own = self.raw.unwrap_or(status);
            let (told, never_ready, lasted) = (told, false, false);
            let finish = Finish { status, own, told, never_ready, lasted, until };
            self.units[at].pre = None;
            self.begin_to_finish(at, finish, end.0, end.1);
            self.decide(key, Mark::Terminal);
        } else if key.is_some() {
            self.end_watch(at);
            self.units[at].pre = None;
            self.over(at, status, key);
        } else {
            self.run_over(at, status, end, false);
        }
        self.raw = None;
    }

    /// Returns whether a unit that was asked to stop may exit in this way.
    fn may_stop_with(&self, at: usize, ending: Ending) -> bool {
        let unit = &self.plan.units[at];
        if self.units[at].pre.is_some() {
            return matches!(ending.status(), 0 | 143);
        }
        let of_signal =
            |signal: Signal| ending.status() == 128 + u8::try_from(signal.number()).unwrap_or(0);
        let by_command = unit.stop_exec.is_some();
        policy::status(ending, unit.success.as_deref()) == 0
            || of_signal(unit.signal())
            || by_command && [Signal::TERM, Signal::INT, Signal::QUIT].into_iter().any(of_signal)
    }

    /// Returns whether the failure of a unit makes the stop unclean.
    fn failure_spoils(&self, at: usize) -> bool {
        let unit = &self.plan.units[at];
        let decides = unit.stage == Stage::Halt && unit.trivialrc() && self.booted;
        unit.on_failure != OnFailure::Ignore && !decides
    }

    /// Records the end of a unit. `key` is the status of the terminal's signal that it died of.
    pub(in crate::simulation) fn over(&mut self, at: usize, status: u8, key: Option<u8>) {
        let unit = &self.plan.units[at];
        let seen = &self.units[at];
        let told = seen.stand == Stand::Alive && (seen.told.is_some() || seen.killed.is_some());
        let finish = seen.finish;
        let told = finish.map_or(told, |finish| finish.told);
        // A unit that was asked to stop without being at fault cannot fail any more.
        let at_fault = seen.fault.is_some_and(|fault| !fault.is_none());
        let (told, at_fault) = (told && !at_fault, at_fault && key.is_none());
        let own = self.raw.filter(|_| !at_fault).unwrap_or(status);
        self.own[at] = Some(finish.map_or(own, |finish| finish.own));
        self.units[at].finish = None;
        self.units[at].stand = Stand::Over;
        self.units[at].status = status;
        self.ends.push((at, status));
        self.judge(at, status);
        if unit.stage == Stage::Test {
            return;
        }
        let failed = status != 0 && unit.on_failure != OnFailure::Ignore;
        if unit.stage == Stage::Halt {
            self.flawed |= status != 0 && self.failure_spoils(at);
            if self.phase == Phase::Halting && self.cut.is_none() {
                if unit.trivialrc() && self.booted || failed && self.status == 0 {
                    self.status = status;
                    self.mark(Mark::HaltDecides);
                } else {
                    self.mark(Mark::HaltLeavesTheStatus);
                }
            }
            return;
        }
        if failed && !told && !self.is_on_probation(at) {
            self.first_failure.get_or_insert(at);
            if unit.on_failure == OnFailure::Stop && !self.testing() {
                self.decide(status, Mark::OnFailureStop);
            }
        }
        if let Some(status) = key {
            self.decide(status, Mark::Terminal);
        }
    }
}

/// Returns the unit that an event is about.
fn of(event: &Event) -> Option<UnitId> {
    match event {
        Event::Forked { unit, .. }
        | Event::Executed { unit }
        | Event::SpawnFailed { unit, .. }
        | Event::Exited { unit, .. }
        | Event::LeftoversGone { unit }
        | Event::StopCommandEnded { unit, .. }
        | Event::PostStopEnded { unit, .. }
        | Event::ReloadCommandEnded { unit, .. }
        | Event::Probed { unit, .. }
        | Event::Unfound { unit, .. }
        | Event::Notified { unit, .. }
        | Event::Learnt { unit, .. }
        | Event::Tried { unit, .. }
        | Event::Request { unit, .. }
        | Event::Due { unit }
        | Event::Paused { unit } => Some(*unit),
        Event::Begin
        | Event::Signal { .. }
        | Event::Settled { .. }
        | Event::Cancel { .. }
        | Event::Shutdown { .. }
        | Event::Reload { .. }
        | Event::Unsettled
        | Event::Inspected { .. }
        | Event::Remains { .. }
        | Event::OomKilled
        | Event::NothingLeft
        | Event::Overslept { .. }
        | Event::Woken => None,
    }
}
