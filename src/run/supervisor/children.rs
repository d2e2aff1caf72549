//! The children of trc: the processes that it has started, and those that the kernel has given to
//! it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

use super::super::spawn::Hold;
use super::super::strangers::{self, Strangers};
use crate::graph::UnitId;
use crate::shell::Saved;

/// The reason why trc has a child.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Unit(UnitId),
    /// A command that trc runs for a unit in addition to the unit's own.
    Helper,
    /// A child that could not execute its command. This is in the log, and its exit does not
    /// matter.
    NotStarted,
}

/// A live child of trc.
pub(super) struct Child {
    pub role: Role,
    /// The progress pipe and the child's memory, until the child has executed its command.
    pub progress: Option<(OwnedFd, Hold)>,
    /// The place where a boot script leaves its state.
    pub saved: Option<(Saved, Vec<(OsString, OsString)>)>,
    /// Whether trc has lent the terminal to the child.
    pub terminal: bool,
    /// The memory that the child still uses after it has failed.
    pub hold: Option<Hold>,
}

#[derive(Default)]
pub(super) struct Children {
    /// The children that trc has started, and the processes to which units have handed over.
    pub own: BTreeMap<i32, Child>,
    /// The other children, as listed while some were being reaped.
    strangers: Strangers,
    /// Whether a child may have exited or may have been suspended since the last look.
    pub changed: bool,
    /// The units whose main process, a child of another process, has just exited.
    pub ended_mains: Vec<UnitId>,
}

impl Children {
    /// Returns the unit whose main process this is.
    pub(super) fn unit_of(&self, pid: i32) -> Option<UnitId> {
        match self.own.get(&pid)?.role {
            Role::Unit(id) => Some(id),
            Role::Helper | Role::NotStarted => None,
        }
    }

    /// Returns the children that trc did not start; none if they cannot be listed.
    pub(super) fn strangers(&self) -> Vec<i32> {
        strangers::all(&self.own).unwrap_or_default()
    }

    /// Returns the children that trc did not start, including every child that was left by a
    /// process that has just been reaped.
    pub(super) fn left_by(&mut self, pid: i32) -> Vec<i32> {
        self.strangers.left_by(pid, &self.own).to_vec()
    }

    /// Marks the list of the other children as out of date: more children may have exited since.
    pub(super) fn look_anew(&mut self) {
        self.strangers.forget();
    }

    /// Forgets a process that was reaped, because another process may get its number.
    pub(super) fn reaped(&mut self, pid: i32) {
        self.strangers.reaped(pid);
    }
}
