//! The pipe between a unit and trc.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown, pipe2};

/// How much a unit can write before trc has to read, in bytes; the kernel's
/// default is 64 KiB. Not more, for all pipes of one user share 64 MiB, those of
/// other containers too (`pipe-user-pages-soft`, pipe(7)).
pub(crate) const PIPE_SIZE: usize = 256 * 1024;

/// Both ends of a pipe, closed on exec.
#[derive(Debug)]
pub struct Pipe {
    /// trc's end. Each end has a description of its own, so that this one is
    /// non-blocking is no one else's concern.
    pub read: OwnedFd,
    /// The unit's end, blocking as programs expect it.
    pub write: OwnedFd,
}

/// A pipe that belongs to `owner`, the unit's user, so that the unit can open its
/// `/dev/stdout` again.
///
/// # Errors
///
/// Those of pipe2(2): EMFILE, ENFILE. That the pipe can't be made larger, or given
/// to the owner, is none: it only works less well.
pub fn pipe(owner: Option<(Uid, Gid)>) -> nix::Result<Pipe> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let size = i32::try_from(PIPE_SIZE).unwrap_or(i32::MAX);
    if let Err(errno) = fcntl(&read, FcntlArg::F_SETPIPE_SZ(size)) {
        log::trace!("a unit's pipe keeps its size: {}", errno.desc());
    }
    give(&write, owner);
    Ok(Pipe { read, write })
}

/// Makes a pipe belong to `owner`, if that is another than trc, so that the unit can open it
/// again by its name. What can't be given only works less well.
pub(crate) fn give(pipe: &OwnedFd, owner: Option<(Uid, Gid)>) {
    if let Some((user, group)) = owner
        && let Err(errno) = fchown(pipe, Some(user), Some(group))
    {
        log::debug!("cannot give a unit's pipe to user {user}: {}", errno.desc());
    }
}
