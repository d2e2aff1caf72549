//! Processes that the kernel's OOM killer has killed, other than the main processes of units, whose
//! exits are logged anyway. If a database loses a worker, that is a failure that nobody else may
//! mention.

use nix::poll::PollFlags;

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::engine::Event;
use crate::graph::UnitId;
use crate::run::os::proc::{self, Stat, Status};
use crate::run::os::processes;
use crate::words::{self, Observed, OomVictim};

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_oom);

impl Supervisor {
    fn watch_oom<'s>(&'s self, watch: &mut Watch<'s>) {
        if let Some(events) = self.oom.fd() {
            watch.on(events, PollFlags::POLLPRI, Call::Once(Self::tell_of_oom));
        }
    }

    /// Logs the processes that the OOM killer has killed since the last look, and tells the drill
    /// of them.
    pub(super) fn tell_of_oom(&mut self) {
        if let Some(what) = self.oom_killed() {
            self.drill(|drill, _| drill.oom(what));
        }
    }

    /// Logs the same, and returns it in words.
    pub(super) fn oom_killed(&mut self) -> Option<String> {
        let kills = self.oom.open();
        if kills == 0 {
            return None;
        }
        // The victim may be seen before it exits: the counter rises before the signal is sent.
        let main = |pid: &i32| self.children.own.contains_key(pid);
        let dying = |pid: &i32| {
            Stat::of(*pid).is_some_and(|stat| !stat.lives())
                || Status::of(*pid).is_some_and(|status| status.is_being_killed())
        };
        let all: Vec<i32> = proc::pids().into_iter().filter(dying).collect();
        let others: Vec<i32> = all.iter().copied().filter(|pid| !main(pid)).collect();
        if others.is_empty() && all.iter().any(main) {
            return None;
        }
        let victim = |pid| OomVictim {
            pid,
            command: processes::command(pid).unwrap_or_default(),
            unit: self.unit_of(pid),
        };
        let victims: Vec<OomVictim> = others.into_iter().map(victim).collect();
        let count = |pids: usize| u64::try_from(pids).unwrap_or(u64::MAX);
        let unknown = if victims.is_empty() { kills } else { 0 };
        let mains = count(all.iter().filter(|pid| main(pid)).count());
        self.oom.told(unknown, mains.min(kills.saturating_sub(count(victims.len()))));
        let what = words::out_of_memory(&self.graph, &victims, kills);
        self.observed(&Observed::OutOfMemory(victims, kills));
        self.events.push_back(Event::OomKilled);
        Some(what)
    }

    /// Returns the unit that a process comes from, by its process group or its ancestors.
    fn unit_of(&self, pid: i32) -> Option<UnitId> {
        /// The number of ancestors to look at.
        const ANCESTORS: usize = 64;
        let by =
            |is: &dyn Fn(&super::Held) -> bool| self.graph.ids().find(|id| is(&self.units[id.0]));
        let group = processes::group(pid);
        if let Some(id) = group.and_then(|group| by(&|held| held.group == Some(group))) {
            return Some(id);
        }
        let parent = |pid: &i32| Stat::of(*pid).map(|stat| stat.parent).filter(|pid| *pid > 0);
        let mut parents = std::iter::successors(Some(pid), parent).take(ANCESTORS);
        parents.find_map(|pid| by(&|held| held.pid == Some(pid)))
    }
}
