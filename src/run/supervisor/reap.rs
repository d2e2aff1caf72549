//! Children that have exited.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::Instant;

use super::source::{Call, Source, Watch};
use super::{Child, Role, Supervisor};
use crate::engine::{Detail, Ending, Event, Left};
use crate::graph::UnitId;
use crate::run::os::cgroup;
use crate::run::os::children::{self, Change};
use crate::run::os::processes;
use crate::run::os::usage::Usage;
use crate::shell::Saved;
use crate::signal::Signal;

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::reap_changed, ..Source::new(Supervisor::watch_mains) };

impl Supervisor {
    /// Watches the main processes that are not children of trc. SIGCHLD tells of the others.
    fn watch_mains<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, held) in self.units.iter().enumerate() {
            if let Some(main) = &held.main {
                watch.input(main.as_fd(), Call::Unit(Self::main_has_ended, UnitId(id)));
            }
        }
    }

    fn main_has_ended(&mut self, id: UnitId) {
        self.children.changed = true;
        self.children.ended_mains.push(id);
    }

    fn reap_changed(&mut self, _now: Instant) {
        if std::mem::take(&mut self.children.changed) {
            self.feed();
            self.reap();
        }
        for id in std::mem::take(&mut self.children.ended_mains) {
            self.main_ended(id);
        }
    }

    /// Reaps every child that has exited, no matter whose it was.
    ///
    /// trc first looks at the zombie without reaping it, then reads the signals and the
    /// notifications once more. Anything that the child sent to trc as its last act has come by
    /// now, and counts as sent before its exit. trc signals a child before it reaps it, so a signal
    /// cannot hit another process.
    pub(super) fn reap(&mut self) {
        let mut reaped = false;
        self.children.look_anew();
        while let Some(pid) = children::peek() {
            reaped = true;
            self.drain_signals();
            // The sender of a message can be identified only until it is reaped.
            self.read_all_notices();
            let unit = self.whose(pid);
            self.drain_syslog(self.children.unit_of(pid).is_some());
            self.feed();
            match children::reap(pid) {
                Some((Change::Ended(ending), used)) => {
                    if let Some(unit) = unit {
                        self.drill(|drill, _| drill.used(unit, used));
                    }
                    self.ended(pid, ending, Some(used));
                }
                Some((Change::Stopped(signal), _)) => self.stopped(pid, signal),
                // The child was suspended, and has been resumed in the meantime.
                None => {}
            }
            self.feed();
        }
        if reaped {
            // For a main process, the exit of its unit is logged anyway.
            self.tell_of_oom();
        }
        if self.sweep.kills() && !self.nothing_left() {
            // Processes may have been adopted in the meantime.
            processes::signal_all(libc::SIGKILL, &self.writers());
        }
    }

    /// Handles a child that has exited and was reaped, with what it has used, if the kernel told trc.
    pub(super) fn ended(&mut self, pid: i32, ending: Ending, used: Option<Usage>) {
        self.progress(pid);
        self.feed();
        // The last messages count as sent before the exit, and so does a change of the main
        // process.
        if let Some(id) = self.children.unit_of(pid) {
            self.read_notices(id);
        }
        self.notify_ended(pid);
        for id in &self.leftovers {
            self.units[id.0].adopted.remove(&pid);
        }
        match self.children.own.remove(&pid) {
            None | Some(Child { role: Role::NotStarted, .. }) => {}
            Some(Child { role: Role::Helper, .. }) => self.helper_ended(pid, Ok(ending)),
            Some(Child { role: Role::Unit(id), saved, terminal, .. }) => {
                self.drain_captures(id);
                self.read_readiness(id);
                self.feed();
                self.units[id.0].main = None;
                self.units[id.0].pid = None;
                if !self.goes_on(id, pid, ending) {
                    let oom = self.killed_for_memory(id, ending, used);
                    self.unit_exited(id, pid, (ending, oom), terminal, saved);
                }
            }
        }
        self.children.reaped(pid);
        self.look_after_leftovers();
    }

    /// Returns that the OOM killer has killed a unit's main process, if it has.
    fn killed_for_memory(
        &mut self,
        id: UnitId,
        ending: Ending,
        used: Option<Usage>,
    ) -> Option<Detail> {
        let killed = ending == Ending::Signal(Signal::KILL) && !self.units[id.0].killed;
        let limit = cgroup::memory_limit;
        let used = used.map(|used| used.peak);
        (killed && self.oom.explains()).then(|| Detail::OutOfMemory { used, limit: limit() })
    }

    /// Handles the exit of a unit's main process, which does not go on without it.
    fn unit_exited(
        &mut self,
        id: UnitId,
        pid: i32,
        (ending, oom): (Ending, Option<Detail>),
        terminal: bool,
        saved: Option<(Saved, Vec<(OsString, OsString)>)>,
    ) {
        self.units[id.0].readiness = None;
        self.units[id.0].notify = None;
        if terminal && let Some(terminal) = &self.terminal {
            terminal.take_back(pid);
        }
        // The state that a failed script has left does not count, but it may say where the
        // script failed.
        let mut why = oom;
        if let Some((saved, given)) = saved {
            if ending == Ending::Code(0) {
                self.take_state(id, &saved, &given);
            } else {
                why = why.or_else(|| saved.failed_at().map(Detail::Place));
            }
        }
        let left = self.left_by(id, pid);
        if left == Left::Nothing {
            self.units[id.0].group = None;
        } else {
            // SIGKILL went to all processes of the unit.
            let held = &self.units[id.0];
            if !held.killed && !held.prepares {
                self.drill(|drill, run| {
                    let members: Vec<i32> = run.members(id).into_keys().collect();
                    drill.left_behind(id, &members);
                });
            }
            self.leftovers.push(id);
        }
        self.events.push_back(Event::Exited { unit: id, ending, leftovers: left, terminal, why });
    }
}
