//! Pipes that trc reads from.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// Both ends of a pipe, with close-on-exec.
#[derive(Debug)]
pub struct Pipe {
    /// trc's end. Each end has an open file description of its own, so the other end stays blocking
    /// although this one is not.
    pub read: OwnedFd,
    /// The end of the other process, which is blocking, as programs expect.
    pub write: OwnedFd,
}

impl Pipe {
    /// Creates a pipe.
    ///
    /// # Errors
    /// Returns the errors of pipe2(2): EMFILE, ENFILE.
    pub(crate) fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { read, write })
    }
}
