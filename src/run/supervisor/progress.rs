//! The progress of children from their starts to their commands.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::super::cause;
use super::super::spawn::{Failure, Laid, read_progress};
use super::helper::NotExecuted;
use super::source::{Call, Source, Watch};
use super::{Role, Supervisor};
use crate::engine::{Detail, Event, SpawnStage};
use crate::graph::UnitId;
use crate::run::os::fd::is_ready;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_progress);

impl Supervisor {
    fn watch_progress<'s>(&'s self, watch: &mut Watch<'s>) {
        for (pid, child) in &self.children.own {
            if let Some((progress, _)) = &child.progress {
                watch.input(progress.as_fd(), Call::Process(Self::progress, *pid));
            }
        }
    }

    /// Handles a child that has executed its command, or says why it cannot.
    pub(super) fn progress(&mut self, pid: i32) {
        self.exec_received(pid);
        let Some(child) = self.children.own.get_mut(&pid) else { return };
        let Some((progress, hold)) = child.progress.take() else { return };
        let role = child.role;
        let failure = read_progress(progress);
        if failure.is_none() && matches!(hold.laid(), Laid::Unfinished) {
            // The child did not get to its command. Its exit tells the rest.
            return;
        }
        let unit = match role {
            Role::Unit(id) => Some(id),
            Role::Helper => self.helpers.get(&pid).map(|helper| helper.unit),
            Role::NotStarted => None,
        };
        let unit = unit.map(|id| &self.graph.node(id).unit);
        let why = failure.zip(unit).and_then(|(failure, unit)| cause::of(failure, &hold, unit));
        if failure.is_some() {
            // The child still uses its stack until it has exited.
            child.hold = Some(hold);
            child.role = Role::NotStarted;
        }
        match (role, failure) {
            // The exit of a `pre_start` tells the rest.
            (Role::Unit(id), None) if self.units[id.0].prepares => {}
            (Role::Unit(id), None) => {
                self.count_start(id);
                self.events.push_back(Event::Executed { unit: id });
            }
            (Role::Unit(id), Some(failure)) => {
                if child.terminal
                    && let Some(terminal) = &self.terminal
                {
                    terminal.take_back(pid);
                }
                self.units[id.0].pid = None;
                self.units[id.0].group = None;
                let (stage, errno) = (failure.stage, reported(failure, why.as_ref()));
                let why = if self.units[id.0].prepares {
                    self.why_not_prepared(id, &NotExecuted { failure, why })
                } else {
                    why
                };
                self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why });
            }
            (Role::Helper, Some(failure)) => {
                self.helper_ended(pid, Err(NotExecuted { failure, why }));
            }
            (Role::Helper, None) | (Role::NotStarted, _) => {}
        }
    }

    /// Returns whether a child still makes what its unit needs.
    pub(super) fn is_laying_out(&self, pid: i32) -> bool {
        let progress = self.children.own.get(&pid).and_then(|child| child.progress.as_ref());
        progress.is_some_and(|(progress, hold)| hold.has_layout() && !is_ready(progress.as_fd()))
    }

    /// Handles a unit that has said something itself. It must have executed its command, even if
    /// poll(2) looked at its progress a moment too early.
    pub(super) fn has_spoken(&mut self, id: UnitId) {
        let pid = self.units[id.0].pid;
        let progress = pid.and_then(|pid| self.children.own.get(&pid)?.progress.as_ref());
        if let (Some(pid), Some((progress, _))) = (pid, progress)
            && is_ready(progress.as_fd())
        {
            self.progress(pid);
        }
    }
}

/// Returns the kernel's error at a step, unless trc's own words say more: those about what the unit
/// needs name the error, too. A lack of memory or descriptors may pass.
fn reported(failure: Failure, why: Option<&Detail>) -> Option<Errno> {
    let passes = matches!(failure.errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM);
    (passes || failure.stage != SpawnStage::Prepare || why.is_none()).then_some(failure.errno)
}
