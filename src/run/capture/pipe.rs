//! The pipe between a unit and trc.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::{Gid, Uid, fchown};

use crate::run::os::pipe::Pipe;

/// How much a unit can write before trc has to read, in bytes; the kernel's
/// default is 64 KiB. Not more, for all pipes of one user share 64 MiB, those of
/// other containers too (`pipe-user-pages-soft`, pipe(7)).
pub(crate) const PIPE_SIZE: usize = 256 * 1024;

/// A pipe that belongs to `owner`, the unit's user, so that the unit can open its
/// `/dev/stdout` again.
///
/// # Errors
///
/// Those of pipe2(2): EMFILE, ENFILE. That the pipe can't be made larger, or given
/// to the owner, is none: it only works less well.
pub fn pipe(owner: Option<(Uid, Gid)>) -> nix::Result<Pipe> {
    let pipe = Pipe::new()?;
    let size = i32::try_from(PIPE_SIZE).unwrap_or(i32::MAX);
    if let Err(errno) = fcntl(&pipe.read, FcntlArg::F_SETPIPE_SZ(size)) {
        log::trace!("a unit's pipe keeps its size: {}", errno.desc());
    }
    give(&pipe.write, owner);
    Ok(pipe)
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
