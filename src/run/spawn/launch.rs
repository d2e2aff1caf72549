//! The description of a process to start.

use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};

use nix::unistd::{Gid, Uid};

use crate::run::layout::Layout;
use crate::run::os::signals::Inherited;

/// The identity of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ids {
    /// The user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// The standard streams that a client passes to a process, over a Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Passed {
    /// The socket, from which nobody else reads until the process has executed its command.
    pub socket: RawFd,
    /// The number of bytes to receive, of which the last come with the descriptors.
    pub bytes: usize,
    /// Whether they are a terminal that controls the session of the process.
    pub terminal: bool,
}

/// The description of a process, which is complete because the child must not allocate memory.
pub(crate) struct Launch {
    /// The files to try in turn, as `execvp(3)` does along `PATH`.
    pub files: Vec<CString>,
    /// The argument vector.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Vec<CString>,
    /// Whether the environment gets a variable `LISTEN_PID` with the number of the process.
    pub listen_pid: bool,
    /// The working directory.
    pub cwd: Option<CString>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// The identity, if it is not trc's own.
    pub ids: Option<Ids>,
    /// The resource limits, each with its soft and its hard value.
    pub limits: Vec<(u32, [u64; 2])>,
    /// The mark of the unit, as a soft and a hard `RLIMIT_LOCKS`.
    pub birthmark: Option<[u64; 2]>,
    /// The nice value.
    pub nice: Option<i32>,
    /// The text for `oom_score_adj`.
    pub oom_score_adj: Option<String>,
    pub no_new_privs: bool,
    /// The capabilities that the process keeps, one bit each.
    pub capabilities: Option<u64>,
    /// The terminal that the process runs on, in a session of its own.
    pub tty: Option<CString>,
    /// The signal settings of trc that the process inherits. Without them, it starts with the
    /// defaults.
    pub inherited: Option<Inherited>,
    /// The signal that the process gets when trc exits, and trc's process ID.
    pub pdeathsig: Option<(i32, i32)>,
    /// Whether the process leads a process group of its own.
    pub own_group: bool,
    /// The terminal that trc lends to the process.
    pub terminal: Option<RawFd>,
    /// The client that passes the descriptors 0, 1 and 2. The process leads a session of its own.
    pub passed: Option<Passed>,
    /// The descriptors 0, 1 and 2, if they are not trc's own.
    pub streams: [Option<OwnedFd>; 3],
    /// Other descriptors and the numbers they must have.
    pub descriptors: Vec<(OwnedFd, RawFd)>,
    /// What the child makes first. It then has a copy of trc's memory.
    pub layout: Option<Layout>,
}

impl Launch {
    /// Returns whether the process leads a session of its own.
    pub(crate) fn leads_session(&self) -> bool {
        self.tty.is_some() || self.passed.is_some()
    }

    /// Returns the user and group, if they are not trc's own.
    pub(crate) fn owner(&self) -> Option<(Uid, Gid)> {
        self.ids.as_ref().map(|ids| (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid)))
    }
}
