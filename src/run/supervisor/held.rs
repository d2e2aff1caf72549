//! The things that trc holds of each unit.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::super::capture::Capture;
use super::super::listen::Listener;
use super::super::notify::Socket;
use super::super::probe::file::Stamp;
use super::pid_file::Sought;
use super::reload::Inputs;

/// The things that trc holds of a unit.
#[derive(Default)]
pub(super) struct Held {
    /// The unit's live main process.
    pub pid: Option<i32>,
    /// Whether that is the process of its `pre_start`.
    pub prepares: bool,
    /// The unit's process group, for as long as any process may be in it.
    pub group: Option<i32>,
    /// The process group of the unit's last `post_stop`, until the processes that it has left are killed.
    pub post_stop: Option<i32>,
    /// The main process that has got its stop signal. The unit may have handed over since.
    pub told: Option<i32>,
    /// The unit's leftovers that are children of trc, because trc has adopted them. They are known
    /// once the main process has exited.
    pub adopted: BTreeSet<i32>,
    /// Whether the unit has written nothing to its standard output, in which trc looks for a line.
    pub silent: bool,
    /// Whether trc has sent SIGKILL to the unit.
    pub killed: bool,
    /// The unit's output, if trc captures it.
    pub captures: Vec<Capture>,
    /// The user of the unit's last start.
    pub uid: Option<u32>,
    /// The socket to which the unit sends its notifications.
    pub notify: Option<Socket>,
    /// The sockets that trc listens on for the unit.
    pub listeners: Vec<Listener>,
    /// The time at which trc has last made the unit reload.
    pub reloads_since: Option<Duration>,
    /// A descriptor that tells when the main process exits, if the unit has handed over to it.
    pub main: Option<OwnedFd>,
    /// The search for the main process, if the unit has a `pid_file`.
    pub sought: Option<Sought>,
    /// The file by which the unit is ready, as it was before the unit's start.
    pub file_before: Option<Stamp>,
    /// The files that the unit read at its last start.
    pub inputs: Inputs,
    /// The pipe to which the unit writes a newline when it is ready.
    pub readiness: Option<OwnedFd>,
}
