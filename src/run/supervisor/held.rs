//! What trc holds of each unit.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use super::super::capture::Capture;
use super::super::notify::Socket;
use super::super::probe::file::Stamp;

/// What is held of a unit.
#[derive(Default)]
pub(super) struct Held {
    /// Its live main process.
    pub pid: Option<i32>,
    /// Its process group, for as long as anything may be in it.
    pub group: Option<i32>,
    /// The main process that has had its stop signal; it may have handed over since.
    pub told: Option<i32>,
    /// Once its main process has ended: children of trc's that it has left, and that trc has
    /// adopted.
    pub adopted: BTreeSet<i32>,
    /// Whether it has written nothing to its standard output, in which trc looks for a line.
    pub silent: bool,
    /// Whether trc has sent it KILL.
    pub killed: bool,
    /// Its output, where trc captures it.
    pub captures: Vec<Capture>,
    /// The user of its last start.
    pub uid: Option<u32>,
    /// Where it says how it is.
    pub notify: Option<Socket>,
    /// The end of its main process, where it has handed over to another.
    pub main: Option<OwnedFd>,
    /// The file by which it is ready, as it was before its start.
    pub file_before: Option<Stamp>,
    /// Where it says that it is ready by a newline.
    pub readiness: Option<OwnedFd>,
}
