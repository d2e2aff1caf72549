//! Everything that a process is to be.

use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};

use nix::unistd::{Gid, Uid};

use crate::run::os::signals::Inherited;

/// Who the process becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ids {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What a process is to be, all of it made ahead: the child may not allocate.
pub(crate) struct Launch {
    /// The files to try in turn, as `execvp(3)` does along `PATH`.
    pub files: Vec<CString>,
    /// The argument vector.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Vec<CString>,
    /// The working directory.
    pub cwd: Option<CString>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Who it becomes, where that is another.
    pub ids: Option<Ids>,
    /// Its resource limits: which, and what is soft and hard.
    pub limits: Vec<(u32, [u64; 2])>,
    /// The mark of its unit, as a soft and a hard `RLIMIT_LOCKS`.
    pub birthmark: Option<[u64; 2]>,
    /// Its nice value.
    pub nice: Option<i32>,
    /// What is written to its `oom_score_adj`.
    pub oom_score_adj: Option<String>,
    /// Whether nothing it executes gains privileges.
    pub no_new_privs: bool,
    /// The capabilities it keeps, one bit each.
    pub capabilities: Option<u64>,
    /// The terminal it runs on, in a session of its own.
    pub tty: Option<CString>,
    /// The signals that it takes over as trc was given them; without it all are as by default.
    pub inherited: Option<Inherited>,
    /// The signal that it gets when trc is gone, and trc's own number.
    pub pdeathsig: Option<(i32, i32)>,
    /// Whether it leads a process group of its own.
    pub own_group: bool,
    /// The terminal, if it is lent to this process.
    pub terminal: Option<RawFd>,
    /// What its descriptors 0, 1 and 2 are, where not trc's own.
    pub streams: [Option<OwnedFd>; 3],
    /// Other descriptors and the numbers they must have.
    pub descriptors: Vec<(OwnedFd, RawFd)>,
}

impl Launch {
    /// Its user and group, where they are others than trc's.
    pub(crate) fn owner(&self) -> Option<(Uid, Gid)> {
        self.ids.as_ref().map(|ids| (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid)))
    }
}
