//! The processes of a unit, wherever they are, and those that outlive its main process.
//!
//! A process belongs to a unit if it is the unit's main process, is in the unit's process group,
//! bears its birthmark, or descends from one of these. The leftovers of a unit always include, or
//! descend from, a process that trc has adopted, because the kernel gives every orphan to trc (as
//! PID 1, or as a subreaper). So trc looks only at its own children to find out whether anything is
//! left, not at all processes.

use std::collections::{BTreeMap, BTreeSet};

use super::Supervisor;
use crate::engine::{Ending, Event, Left, Target, Told};
use crate::graph::UnitId;
use crate::run::os::proc::{self, Stat};
use crate::run::os::{kin, processes};
use crate::signal::Signal;
use crate::words::{Observed, some};

impl Supervisor {
    pub(super) fn signal(&mut self, target: Target, signal: Signal) {
        let (Target::Process(id)
        | Target::Group(id)
        | Target::Members(id)
        | Target::Rest(id, _)
        | Target::All(id)) = target;
        let held = &mut self.units[id.0];
        held.killed |= signal == Signal::KILL;
        let (main, group) = (held.pid, held.group);
        if signal == self.graph.node(id).stop_signal {
            held.told = main.or(held.told);
        }
        match target {
            Target::Process(_) => {
                main.map(|pid| processes::signal(pid, signal.number()));
            }
            // A unit in trc's own process group must not take trc along.
            Target::Group(_) => {
                // The main process may have left the process group, for example to lead a session.
                let away = main.filter(|pid| group.is_none() || !processes::is_in(*pid, group));
                for to in group.map(|group| -group).into_iter().chain(away) {
                    processes::signal(to, signal.number());
                }
            }
            Target::Members(_) => self.signal_members(id, signal),
            Target::Rest(_, told) => self.signal_rest(id, told, signal),
            Target::All(_) => self.signal_all_of(id, signal),
        }
        if self.units[id.0].pid.is_none() {
            self.look_after_leftovers();
        }
    }

    /// Sends a signal to a unit's process group, except to a shell that only waits for the others.
    fn signal_members(&self, id: UnitId, signal: Signal) {
        let held = &self.units[id.0];
        let spared = held.pid.filter(|pid| self.ground.shell.only_waits(*pid, signal));
        let others = spared.zip(held.group).map(|(pid, group)| processes::others(group, pid));
        match others.filter(|others| !others.is_empty()) {
            Some(others) => {
                for pid in others {
                    processes::signal(pid, signal.number());
                }
            }
            None => {
                if let Some(to) = held.group.map(|group| -group).or(held.pid) {
                    processes::signal(to, signal.number());
                }
            }
        }
    }

    /// Sends a signal to those processes of a unit that have got no stop signal, and to the
    /// children that they fork in the meantime. A process with a pending signal does not fork any
    /// more (`copy_process` in `kernel/fork.c`), so this takes one or two looks.
    fn signal_rest(&self, id: UnitId, told: Told, signal: Signal) {
        /// The number of looks. Processes that fork on purpose may need more; they get SIGKILL
        /// later.
        const LOOKS: u32 = 8;
        let held = &self.units[id.0];
        let had_it = |pid: i32, stat: &Stat| match told {
            Told::Nobody => false,
            Told::Main => held.told == Some(pid),
            Told::Group => held.group == Some(stat.group) || held.told == Some(pid),
        };
        let mut done = BTreeSet::new();
        for look in 0..LOOKS {
            let members = self.members(id);
            if look == 0
                && members.is_empty()
                && told != Told::Group
                && let Some(group) = held.group
            {
                // Without `/proc`, only the process group is known.
                processes::signal(-group, signal.number());
            }
            let before = done.len();
            for (pid, _) in members.iter().filter(|(pid, stat)| !had_it(**pid, stat)) {
                if done.insert(*pid) {
                    processes::signal(*pid, signal.number());
                }
            }
            if done.len() == before {
                return;
            }
        }
    }

    /// Sends a signal to every process of a unit. Its main process may have left its process group,
    /// and others may have a session of their own.
    fn signal_all_of(&self, id: UnitId, signal: Signal) {
        let held = &self.units[id.0];
        for to in held.group.map(|group| -group).into_iter().chain(held.pid) {
            processes::signal(to, signal.number());
        }
        for (pid, stat) in self.members(id) {
            if held.group != Some(stat.group) && held.pid != Some(pid) {
                processes::signal(pid, signal.number());
            }
        }
    }

    /// Returns the live processes of a unit; none without `/proc`.
    pub(super) fn members(&self, id: UnitId) -> BTreeMap<i32, Stat> {
        let own = std::process::id().cast_signed();
        let held = &self.units[id.0];
        let stat = |pid: i32| Some((pid, Stat::of(pid)?));
        let mut all: BTreeMap<i32, Stat> = proc::pids().into_iter().filter_map(stat).collect();
        all.remove(&own);
        let is_its = |pid: i32, stat: &Stat| {
            held.pid == Some(pid)
                || held.group == Some(stat.group)
                || self.birthmarks.unit_of(pid) == Some(id)
        };
        let roots: Vec<i32> =
            all.iter().filter(|(pid, stat)| is_its(**pid, stat)).map(|(pid, _)| *pid).collect();
        let parents = || all.iter().map(|(pid, stat)| (*pid, stat.parent));
        let below = kin::below_all(&roots, parents());
        let members: BTreeSet<i32> = roots.into_iter().chain(below).collect();
        all.retain(|pid, stat| members.contains(pid) && stat.lives());
        all
    }

    /// Returns the kind of leftovers that a unit has, now that its main process has exited.
    pub(super) fn left_of(&mut self, id: UnitId) -> Left {
        let strangers = if self.graph.transparent { Vec::new() } else { self.children.strangers() };
        self.left_among(id, &strangers)
    }

    /// Returns the kind of leftovers of a unit whose main process has just been reaped.
    pub(super) fn left_by(&mut self, id: UnitId, pid: i32) -> Left {
        /// The number of looks. Processes that go on forking and exiting may need more.
        const LOOKS: u32 = 8;
        if self.graph.transparent {
            return self.left_among(id, &[]);
        }
        let (mut left, mut dead) = (Left::Nothing, 0);
        for _ in 0..LOOKS {
            let strangers = self.children.left_by(pid);
            left = self.left_among(id, &strangers);
            // A daemon that forks twice may have exited since it was listed, and its child was not.
            let lives = |pid: &i32| Stat::of(*pid).is_some_and(|stat| stat.lives());
            let ended = strangers.iter().filter(|pid| !lives(pid)).count();
            if !self.units[id.0].adopted.is_empty() || ended == dead {
                return left;
            }
            dead = ended;
        }
        left
    }

    fn left_among(&mut self, id: UnitId, strangers: &[i32]) -> Left {
        let is_its = |pid: &i32| {
            self.birthmarks.unit_of(*pid) == Some(id)
                && Stat::of(*pid).is_some_and(|stat| stat.lives())
        };
        let adopted: BTreeSet<i32> = strangers.iter().copied().filter(is_its).collect();
        let held = &mut self.units[id.0];
        held.adopted = adopted;
        let own = processes::session(0);
        let escaped = |pid: &i32| {
            let session = processes::session(*pid);
            session != own && session != held.group
        };
        if held.adopted.iter().any(escaped) {
            Left::Escaped
        } else if !held.adopted.is_empty() || held.group.is_some_and(processes::group_lives) {
            Left::Others
        } else {
            Left::Nothing
        }
    }

    /// Finds out, after some process was reaped, which units have no leftovers any more.
    pub(super) fn look_after_leftovers(&mut self) {
        for id in std::mem::take(&mut self.leftovers) {
            let held = &self.units[id.0];
            let known = !held.adopted.is_empty() || held.group.is_some_and(processes::group_lives);
            // The last known leftover may have had children of its own.
            if known || self.left_of(id) != Left::Nothing {
                if !known && self.units[id.0].killed {
                    self.signal_all_of(id, Signal::KILL);
                }
                self.leftovers.push(id);
            } else {
                self.units[id.0].group = None;
                self.events.push_back(Event::LeftoversGone { unit: id });
            }
        }
    }

    /// Logs what the `pre_start` of a unit has left running.
    pub(super) fn tell_pre_start_left(&self, id: UnitId) {
        let members: Vec<i32> = self.members(id).into_keys().collect();
        if !members.is_empty() {
            let who = some(members.into_iter().map(processes::named));
            self.observed(&Observed::PreStartLeft(id, &who));
        }
    }

    /// Logs the leftovers of a unit whose main process has exited by itself.
    pub(super) fn tell_left_behind(&self, id: UnitId, ending: Ending) {
        let members: Vec<i32> = self.members(id).into_keys().collect();
        if !members.is_empty() {
            let who = some(members.into_iter().map(processes::named));
            self.observed(&Observed::LeftBehind(id, ending, &who));
        }
    }
}
