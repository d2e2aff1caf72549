//! File descriptors: whether one is ready, copies, and descriptors that stand for nothing.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

/// Returns whether a descriptor is readable or has ended: for example a pidfd, whose process has
/// exited.
pub(crate) fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Returns a copy of a descriptor that belongs to trc, with close-on-exec.
///
/// # Errors
/// Returns the errors of fcntl(2), EBADF for a number that is not open.
pub(crate) fn duplicate(fd: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: fcntl checks the number; the result is a new descriptor of ours.
    unsafe {
        let new = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(new))
    }
}

/// Returns a descriptor that becomes readable when a process exits: `pidfd_open(2)`.
///
/// # Errors
/// Returns ESRCH if there is no such process, and ENOSYS before Linux 5.3.
pub(crate) fn pidfd(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: no memory is involved; the result is a new descriptor of ours, close-on-exec.
    unsafe {
        let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::EBADF)?))
    }
}

/// Returns the descriptor that background units read from, and that unwanted output goes to:
/// `/dev/null`, or, in an image without it, a pipe that has ended.
///
/// # Errors
/// Returns what the kernel says.
pub(crate) fn null(write: bool) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_CLOEXEC | if write { OFlag::O_WRONLY } else { OFlag::O_RDONLY };
    match open("/dev/null", flags, Mode::empty()) {
        Ok(null) => Ok(null),
        Err(error) if write => Err(error),
        Err(_) => nix::unistd::pipe2(OFlag::O_CLOEXEC).map(|(read, _)| read),
    }
}
