//! Children that have ended.

use std::os::fd::AsFd;
use std::time::Instant;

use super::source::{Call, Source, Watch};
use super::{Child, Role, Supervisor};
use crate::engine::{Detail, Ending, Event, Left};
use crate::graph::UnitId;
use crate::run::os::children::{self, Change};
use crate::run::os::processes;
use crate::signal::Signal;

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::reap_changed, ..Source::new(Supervisor::watch_mains) };

impl Supervisor {
    /// The main processes that are no children of trc's; of its children, CHLD tells.
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

    /// Reaps every child that has ended, whoever's it was.
    ///
    /// First a look that leaves the zombie, then the signals and notices once more: what it sent
    /// to trc as its last act has come by now, and counts as before its end. Signals
    /// to it are sent before it is reaped, so they can't hit another process.
    pub(super) fn reap(&mut self) {
        let mut reaped = false;
        self.children.look_anew();
        let victim = self.oom_victim;
        while let Some(pid) = children::peek() {
            reaped = true;
            self.drain_signals();
            // Whoever has sent something is known for as long as it was not reaped.
            self.read_all_notices();
            self.feed();
            let unit = self.whose(pid);
            match children::reap(pid) {
                Some((Change::Ended(ending), used)) => {
                    if let Some(unit) = unit {
                        self.drill(|drill, _| drill.used(unit, used));
                    }
                    self.ended(pid, ending);
                }
                Some((Change::Stopped(signal), _)) => self.stopped(pid, signal),
                // It was stopped, and was continued in the meantime.
                None => {}
            }
            self.feed();
        }
        if reaped {
            // A unit whose main process it was is told of.
            self.tell_of_oom(u64::from(self.oom_victim != victim));
        }
        if self.sweep.kills() && !self.nothing_left() {
            // What was adopted in the meantime.
            processes::signal_all(libc::SIGKILL, &self.writers());
        }
    }

    /// A child has ended and was reaped.
    pub(super) fn ended(&mut self, pid: i32, ending: Ending) {
        self.progress(pid);
        self.feed();
        // What it said last counts as before its end, a change of its main process too.
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
                self.units[id.0].readiness = None;
                self.units[id.0].notify = None;
                self.units[id.0].main = None;
                self.units[id.0].pid = None;
                if terminal && let Some(terminal) = &self.terminal {
                    terminal.take_back(pid);
                }
                // What a script that failed has left behind counts for nothing, but it may
                // say where that was.
                let mut why = None;
                if let Some((saved, given)) = saved {
                    if ending == Ending::Code(0) {
                        self.take_state(id, &saved, &given);
                    } else {
                        why = saved.failed_at().map(Detail::Place);
                    }
                }
                if ending == Ending::Signal(Signal::KILL)
                    && !self.units[id.0].killed
                    && self.oom.has_struck()
                {
                    self.oom_victim.get_or_insert(id);
                }
                let left = self.left_by(id, pid);
                if left == Left::Nothing {
                    self.units[id.0].group = None;
                } else {
                    // With the unit itself all of it was killed.
                    if !self.units[id.0].killed {
                        self.drill(|drill, run| {
                            let members: Vec<i32> = run.members(id).into_keys().collect();
                            drill.left_behind(id, &members);
                        });
                    }
                    self.leftovers.push(id);
                }
                self.events.push_back(Event::Exited {
                    unit: id,
                    ending,
                    leftovers: left,
                    terminal,
                    why,
                });
            }
        }
        self.children.reaped(pid);
        self.look_after_leftovers();
    }
}
