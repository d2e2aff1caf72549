//! The pipe between a unit and trc.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::{Gid, Uid, fchown};

use crate::run::os::pipe::Pipe;
use crate::run::os::pty::open_pty;

/// The number of bytes that a unit can write before trc has to read; the kernel's default is 64
/// KiB. It is not larger because all pipes of a user share 64 MiB, across containers
/// (`pipe-user-pages-soft`, pipe(7)).
pub(crate) const PIPE_SIZE: usize = 256 * 1024;

/// Creates a pipe that belongs to `owner`, the user of the unit, so that the unit can open its
/// `/dev/stdout`.
///
/// # Errors
///
/// Returns those of pipe2(2): EMFILE, ENFILE. It is not an error if the pipe cannot be enlarged or
/// given to the owner.
pub fn pipe(owner: Option<(Uid, Gid)>) -> nix::Result<Pipe> {
    let pipe = Pipe::new()?;
    let size = i32::try_from(PIPE_SIZE).unwrap_or(i32::MAX);
    if let Err(errno) = fcntl(&pipe.read, FcntlArg::F_SETPIPE_SZ(size)) {
        log::trace!("cannot enlarge a unit's pipe: {}", errno.desc());
    }
    give(&pipe.write, owner);
    Ok(pipe)
}

/// Creates a pseudo-terminal, for programs that keep their output back from a pipe.
///
/// # Errors
/// Returns those of [`open_pty`].
pub(crate) fn pty(owner: Option<(Uid, Gid)>) -> nix::Result<Pipe> {
    let pty = open_pty()?;
    give(&pty.write, owner);
    Ok(pty)
}

/// Gives a pipe to `owner`, unless that is trc's own user, so that the unit can open it by name. A
/// failure is ignored.
pub(crate) fn give(pipe: &OwnedFd, owner: Option<(Uid, Gid)>) {
    if let Some((user, group)) = owner
        && let Err(errno) = fchown(pipe, Some(user), Some(group))
    {
        log::debug!("cannot give a unit's pipe to user {user}: {}", errno.desc());
    }
}
