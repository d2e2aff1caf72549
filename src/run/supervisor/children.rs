//! The children of trc: those that it has started, and those that the kernel has given to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

use super::super::spawn::Hold;
use super::super::strangers::{self, Strangers};
use crate::graph::UnitId;
use crate::shell::Saved;

/// What a child is to trc.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Unit(UnitId),
    /// A command that trc runs for a unit, beside the unit's own.
    Helper,
    /// Could not execute its command; people have been told, and its exit is of no interest.
    NotStarted,
}

/// One live child of trc's own.
pub(super) struct Child {
    pub role: Role,
    /// Until it has executed its command.
    pub progress: Option<(OwnedFd, Hold)>,
    /// Where a boot script leaves its state.
    pub saved: Option<(Saved, Vec<(OsString, OsString)>)>,
    /// Whether it was lent the terminal.
    pub terminal: bool,
    /// What it still stands on after it has failed.
    pub hold: Option<Hold>,
}

/// All children of trc.
#[derive(Default)]
pub(super) struct Children {
    /// Those that trc has started, and processes to which units have handed over.
    pub own: BTreeMap<i32, Child>,
    /// The others, as they were seen while some were reaped.
    strangers: Strangers,
    /// Whether one may have exited or was suspended, and was not looked at yet.
    pub changed: bool,
    /// Units whose main process, a child of another process, has just exited.
    pub ended_mains: Vec<UnitId>,
}

impl Children {
    /// The unit whose main process this is.
    pub(super) fn unit_of(&self, pid: i32) -> Option<UnitId> {
        match self.own.get(&pid)?.role {
            Role::Unit(id) => Some(id),
            Role::Helper | Role::NotStarted => None,
        }
    }

    /// Those that trc did not start; none if they cannot be listed.
    pub(super) fn strangers(&self) -> Vec<i32> {
        strangers::all(&self.own).unwrap_or_default()
    }

    /// Those that trc did not start, with every one that was left by a process that has just been
    /// reaped.
    pub(super) fn left_by(&mut self, pid: i32) -> Vec<i32> {
        self.strangers.left_by(pid, &self.own).to_vec()
    }

    /// More may have exited since the others were seen.
    pub(super) fn look_anew(&mut self) {
        self.strangers.forget();
    }

    /// One was reaped: another process may get its number.
    pub(super) fn reaped(&mut self, pid: i32) {
        self.strangers.reaped(pid);
    }
}
