//! The kernel's side of trc's actions.

use std::rc::Rc;

use nix::errno::Errno;

use super::build;
use super::plan::{
    Generation, Makes, PostRuns, PreRuns, ReloadCommand, Reply, Settling, Start, StopCommand,
    Stray, is_for_the_foreground,
};
use super::world::{Happening, Other, Process, World};
use crate::engine::{Action, Ending, Event, Fact, SpawnStage, Target, Told};
use crate::graph::UnitId;
use crate::signal::Signal;

impl World<'_> {
    /// Carries out an action of trc.
    pub(super) fn act(&mut self, action: &Action) {
        match action {
            Action::Spawn(id) => self.spawn(*id),
            Action::Signal(Target::Process(id), signal) => {
                self.send(self.built.unit(*id), *signal);
            }
            Action::Signal(Target::Group(id) | Target::Members(id), signal) => {
                let unit = self.built.unit(*id);
                self.send(unit, *signal);
                if self.slots[unit].left.is_some_and(|left| !left.stray.session) {
                    self.send_left(unit, *signal);
                }
            }
            Action::Signal(Target::Rest(id, told), signal) => {
                let unit = self.built.unit(*id);
                // A daemon that stands in since a moment has had no signal.
                let main = self.slots[unit].main;
                let untold = main.is_some_and(|main| main.behind.is_some() && !main.told);
                if *told == Told::Nobody || untold {
                    self.send(unit, *signal);
                }
                let escaped = self.slots[unit].left.is_some_and(|left| left.stray.session);
                if *told != Told::Group || escaped {
                    self.send_left(unit, *signal);
                }
            }
            Action::Signal(Target::All(id), signal) => {
                let unit = self.built.unit(*id);
                let slot = &self.slots[unit];
                let main = slot.main.is_some_and(|main| !main.told && main.killed.is_none());
                let left = slot.left.is_some_and(|left| !left.told && left.killed.is_none());
                // Without any time, nobody can be asked to exit first.
                let time = !self.plan.units[unit].timeout().is_zero();
                self.untold |= time && (main || left);
                self.send(unit, *signal);
                self.send_left(unit, *signal);
            }
            Action::PreStart(id) => self.pre_start(*id),
            Action::PostStop(id, ..) => self.post_stop(*id),
            Action::KillPostStop(id) => {
                self.slots[self.built.unit(*id)].post_stop = None;
            }
            Action::StopCommand(id) => self.start_stop_command(*id),
            Action::KillStopCommand(id) => {
                self.kill_stop_command(self.built.unit(*id));
            }
            Action::ReloadCommand(id) => self.start_reload_command(*id),
            Action::KillReloadCommand(id) => {
                self.slots[self.built.unit(*id)].reload_command = None;
            }
            Action::Probe(id, purpose) => self.probe(self.built.unit(*id), *purpose),
            Action::Seek(id) => self.seek(self.built.unit(*id)),
            Action::StopProbes(id) => self.slots[self.built.unit(*id)].tries = [None; 2],
            Action::Settle => self.settle(),
            Action::Sweep(signal) => self.sweep(*signal),
            Action::SweepOver => self.sweeping = false,
            Action::Try(id, limit) => self.try_test(self.built.unit(*id), *limit),
            Action::Inspect => self.inspect(),
            Action::Remains => self.look_at_remains(),
            Action::Tell(Fact::MainProcess { unit, .. }) => {
                self.knows_main(self.built.unit(*unit));
            }
            Action::TakeOver
            | Action::Reopen
            | Action::Reload(_)
            | Action::Tell(_)
            | Action::End { .. } => {}
        }
    }

    fn spawn(&mut self, id: UnitId) {
        let unit = self.built.unit(id);
        self.slots[unit].runs += 1;
        let child = self.child(unit);
        let mut start = child.start;
        if self.slots[unit].forks < child.scarce {
            self.slots[unit].runs -= 1;
            self.slots[unit].forks += 1;
            start = match child.scarce_late {
                None => Start::Fails(SpawnStage::Fork, Some(Errno::EAGAIN), None),
                after => Start::Fails(SpawnStage::Execute, Some(Errno::EAGAIN), after),
            };
        } else {
            self.slots[unit].forks = 0;
        }
        if let Start::Fails(stage, errno, None) = start {
            self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why: None });
            return;
        }
        self.pids += 1;
        let pid = self.pids;
        // What a `pre_start` has left has got SIGKILL, and nobody looks at it any more.
        if self.plan.units[unit].pre_start.is_some() {
            self.slots[unit].left = None;
        }
        self.slots[unit].main = Some(Process {
            pid,
            pre: false,
            behind: None,
            known: false,
            executed: false,
            stopped: false,
            pending: None,
            told: false,
            killed: None,
        });
        self.events.push_back(Event::Forked { unit: id, pid });
        match start {
            // As if trc waited for it, or as if it were faster than trc.
            Start::Executes(0) if self.coin() => self.executes(unit, pid),
            Start::Executes(after) => self.later(after, Happening::Executes(unit, pid)),
            Start::Fails(stage, errno, Some(after)) => {
                self.later(after, Happening::FailsToStart(unit, pid, stage, errno));
            }
            Start::Fails(_, _, None) | Start::Hangs => {}
        }
    }

    fn pre_start(&mut self, id: UnitId) {
        let unit = self.built.unit(id);
        let Some(hook) = self.plan.units[unit].pre_start else { return };
        let stage = SpawnStage::Execute;
        if let PreRuns::NotStarted(errno, None) = hook.runs {
            let errno = Some(errno);
            self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why: None });
            return;
        }
        self.pids += 1;
        let pid = self.pids;
        self.slots[unit].main = Some(Process {
            pid,
            pre: true,
            behind: None,
            known: false,
            executed: false,
            stopped: false,
            pending: None,
            told: false,
            killed: None,
        });
        self.events.push_back(Event::Forked { unit: id, pid });
        match hook.runs {
            PreRuns::NotStarted(errno, after) => {
                let what = Happening::FailsToStart(unit, pid, stage, Some(errno));
                self.later(after.unwrap_or(0), what);
                return;
            }
            PreRuns::Ends(after, ending) => self.later(after, Happening::Dies(unit, pid, ending)),
            PreRuns::Hangs => {}
        }
        if hook.leaves {
            let on_kill = Some(0);
            let stray = Stray { ends: None, follows: None, on_stop: None, on_kill, session: false };
            self.slots[unit].left = Some(Other { of: pid, stray, told: true, killed: None });
        }
    }

    fn post_stop(&mut self, id: UnitId) {
        let unit = self.built.unit(id);
        let Some(hook) = self.plan.units[unit].post_stop else { return };
        self.numbers += 1;
        match hook.runs {
            PostRuns::NotStarted => {
                let (succeeded, left, why) = (false, false, None);
                self.events.push_back(Event::PostStopEnded { unit: id, succeeded, left, why });
            }
            PostRuns::Hangs => self.slots[unit].post_stop = Some(self.numbers),
            PostRuns::Ends { after, succeeds } => {
                self.slots[unit].post_stop = Some(self.numbers);
                let what = Happening::PostStopEnds(unit, self.numbers, succeeds, hook.leaves);
                self.later(after, what);
            }
        }
    }

    /// Sends a signal to a main process.
    pub(super) fn send(&mut self, unit: usize, signal: Signal) {
        let Some(mut main) = self.slots[unit].main else { return };
        let child = self.child(unit);
        if signal == Signal::KILL {
            main.killed.get_or_insert(self.now);
            if let Some(after) = child.on_kill {
                self.later(after, Happening::Dies(unit, main.pid, Ending::Signal(signal)));
            }
        } else if signal == Signal::CONT {
            main.stopped = false;
            if let Some(pending) = main.pending.take() {
                self.slots[unit].main = Some(main);
                if pending == Signal::STOP {
                    let ending = match self.plan.units[unit].pre_start.map(|hook| hook.runs) {
                        Some(PreRuns::Ends(_, ending)) if main.pre => ending,
                        _ => child.end.map_or(Ending::Code(0), |(_, ending)| ending),
                    };
                    self.later(0, Happening::Dies(unit, main.pid, ending));
                } else {
                    self.react(unit, main, pending);
                }
                return;
            }
        } else if signal == Signal::STOP {
            main.stopped = true;
            self.events.push_back(Event::Paused { unit: self.id(unit) });
        } else if self.makes_light_of(unit, main, signal) {
        } else if main.executed && self.takes_for_reload(unit, signal) {
            if !main.stopped {
                self.reloads(unit, main.pid);
            }
        } else if main.stopped {
            main.told = true;
            main.pending = Some(signal);
        } else {
            main.told = true;
            self.react(unit, main, signal);
        }
        self.slots[unit].main = Some(main);
    }

    fn react(&mut self, unit: usize, main: Process, signal: Signal) {
        let child = self.child(unit);
        let hook = self.plan.units[unit].pre_start.filter(|_| main.pre);
        let (after, ending) = match hook.map_or(child.on_stop, |hook| hook.on_stop) {
            Reply::Dies(after) if main.pre => (after, Ending::Signal(signal)),
            Reply::Exits(after, code) if main.pre => (after, Ending::Code(code)),
            Reply::Ignores if main.pre => return,
            _ if !main.executed && child.start == Start::Hangs => return,
            _ if !main.executed => (0, Ending::Signal(signal)),
            Reply::Dies(after) => (after, Ending::Signal(signal)),
            Reply::Exits(after, code) => (after, Ending::Code(code)),
            Reply::Ignores => return,
        };
        self.later(after, Happening::Dies(unit, main.pid, ending));
    }

    /// Sends a signal to a process that is not a main process.
    fn send_other(&mut self, other: &mut Other, signal: Signal, end: Happening) {
        let stray = other.stray;
        let after = if signal == Signal::KILL {
            other.killed.get_or_insert(self.now);
            stray.on_kill
        } else if signal == Signal::STOP || is_for_the_foreground(signal) {
            None
        } else {
            other.told = true;
            stray.on_stop
        };
        if let Some(after) = after {
            self.later(after, end);
        }
    }

    /// Sends a signal to the process that a unit has left behind.
    fn send_left(&mut self, unit: usize, signal: Signal) {
        if let Some(mut left) = self.slots[unit].left {
            let end = Happening::LeftDies(unit, left.of);
            left.told |= signal == self.plan.units[unit].signal();
            self.send_other(&mut left, signal, end);
            self.slots[unit].left = Some(left);
        }
    }

    fn kill_stop_command(&mut self, unit: usize) {
        if let Some(of) = self.slots[unit].stop_command {
            self.later(0, Happening::StopCommandEnds(unit, of, false));
        }
    }

    fn start_stop_command(&mut self, id: UnitId) {
        let unit = self.built.unit(id);
        let slot = &self.slots[unit];
        let main = slot.main.map(|main| main.pid);
        // It also stops a daemon that was left behind.
        let Some(of) = main.or(slot.left.map(|left| left.of)) else {
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: true });
            return;
        };
        match self.plan.units[unit].stop_exec {
            None | Some(StopCommand::NotStarted) => {
                self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
            }
            Some(StopCommand::Hangs) => {
                self.slots[unit].stop_command = Some(of);
            }
            Some(StopCommand::Ends { after, succeeds, unit: obeys }) => {
                self.slots[unit].stop_command = Some(of);
                self.later(after, Happening::StopCommandEnds(unit, of, succeeds));
                if let Some(obeys) = obeys.filter(|_| succeeds) {
                    self.later(
                        after + obeys,
                        match main {
                            Some(pid) => Happening::Dies(unit, pid, Ending::Code(0)),
                            None => Happening::LeftDies(unit, of),
                        },
                    );
                }
            }
        }
    }

    /// Returns whether a signal does nothing to a process: it terminates no program, or the process
    /// handles it.
    fn makes_light_of(&self, unit: usize, main: Process, signal: Signal) -> bool {
        let plan = &self.plan.units[unit];
        let stops = signal == plan.signal();
        is_for_the_foreground(signal) && (main.pre || !stops)
            || plan.handles.contains(&signal) && !stops
    }

    /// Returns whether a process reads its configuration anew on a signal.
    fn takes_for_reload(&self, unit: usize, signal: Signal) -> bool {
        let plan = &self.plan.units[unit];
        let by = plan.reload.map(|reload| reload.by);
        let stops = signal == plan.signal();
        by == Some(Makes::Signal(signal)) && !stops && self.child(unit).reloads.is_some()
    }

    fn start_reload_command(&mut self, id: UnitId) {
        let unit = self.built.unit(id);
        let Some(main) = self.slots[unit].main else { return };
        let Some(Makes::Command(command)) = self.plan.units[unit].reload.map(|it| it.by) else {
            return;
        };
        self.numbers += 1;
        match command {
            ReloadCommand::NotStarted => {
                let (succeeded, why) = (false, None);
                self.events.push_back(Event::ReloadCommandEnded { unit: id, succeeded, why });
            }
            ReloadCommand::Hangs => self.slots[unit].reload_command = Some(self.numbers),
            ReloadCommand::Ends { after, succeeds } => {
                self.slots[unit].reload_command = Some(self.numbers);
                if !main.stopped {
                    self.reloads(unit, main.pid);
                }
                self.later(after, Happening::ReloadCommandEnds(unit, self.numbers, succeeds));
            }
        }
    }

    fn settle(&mut self) {
        let event = match self.plan.settling {
            Settling::Same => Event::Settled { words: None },
            Settling::Wrong => Event::Unsettled,
            Settling::New => {
                match build::graph(self.plan, Generation::Second, Some((&self.built, &[]))) {
                    Some(built) => {
                        self.built = Rc::new(built);
                        Event::Settled { words: Some(Vec::new()) }
                    }
                    None => Event::Unsettled,
                }
            }
        };
        self.events.push_back(event);
    }

    fn sweep(&mut self, signal: Signal) {
        if !self.lives() {
            self.events.push_back(Event::NothingLeft);
            return;
        }
        self.sweeping = true;
        for unit in 0..self.slots.len() {
            self.send(unit, signal);
            self.send(unit, Signal::CONT);
            self.send_left(unit, signal);
            self.kill_stop_command(unit);
        }
        for at in 0..self.strays.len() {
            if let Some(mut other) = self.strays[at] {
                self.send_other(&mut other, signal, Happening::StrayDies(at));
                self.strays[at] = Some(other);
            }
        }
    }
}
