//! Pipes whose reader is trc.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// Both ends of a pipe, closed on exec.
#[derive(Debug)]
pub struct Pipe {
    /// trc's end. Each end has a description of its own, so that this one is
    /// non-blocking is no one else's concern.
    pub read: OwnedFd,
    /// The other process's end, blocking as programs expect it.
    pub write: OwnedFd,
}

impl Pipe {
    /// A new one.
    ///
    /// # Errors
    /// Those of pipe2(2): EMFILE, ENFILE.
    pub(crate) fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { read, write })
    }
}
