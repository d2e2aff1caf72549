//! A child that writes where trc must not: it may block, trc can't.
//!
//! The last resort, for a terminal or a pipe of another user that can't be
//! reopened and a kernel that doesn't know `RWF_NOWAIT` for it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{ForkResult, Pid, fork, getpid};

/// Starts the child; what is sent to the socket it writes to `to`. It ends when
/// the socket is shut down and everything was written, when nobody reads any
/// more, or with trc.
///
/// # Errors
///
/// Those of socketpair(2) and fork(2).
pub(super) fn start(to: BorrowedFd<'_>) -> nix::Result<(OwnedFd, i32)> {
    // A socket, not a pipe: its end of file can be told from that of the child.
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let parent = getpid();
    // No handler of trc's must run in the child. trc's own mask comes back below.
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    // SAFETY: the child makes plain system calls only, and never returns.
    #[expect(clippy::disallowed_methods, reason = "it executes nothing, so it is no unit")]
    let forked = unsafe { fork() };
    match forked {
        Ok(ForkResult::Child) => copy(theirs.as_fd(), to, parent),
        Ok(ForkResult::Parent { child }) => {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
            Ok((ours, child.as_raw()))
        }
        Err(errno) => {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
            Err(errno)
        }
    }
}

/// What the child does. All signals are blocked, so SIGPIPE is an error here, and
/// a terminal takes what the background writes.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, parent: Pid) -> ! {
    // Little at once: trc sees by what is left in the socket whether somebody reads.
    let mut buffer = [0_u8; libc::PIPE_BUF];
    let leave = |status| {
        // SAFETY: ends the process without running anything of trc's.
        unsafe { libc::_exit(status) }
    };
    // SAFETY: system calls on this process alone. Descriptors 0 and 1 become the
    // ends of the copy; the rest, the units' pipes among them, is closed (EINVAL
    // or ENOSYS before Linux 5.9: they then stay open in this child).
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_NAME, c"trc-writer".as_ptr());
        let to = libc::dup2(to.as_raw_fd(), 1);
        let from = libc::dup2(from.as_raw_fd(), 0);
        if to != 1 || from != 0 || libc::getppid() != parent.as_raw() {
            leave(1);
        }
        libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0);
    }
    loop {
        // SAFETY: the buffer is valid for its length.
        let count = unsafe { libc::read(0, buffer.as_mut_ptr().cast(), buffer.len()) };
        let Ok(count) = usize::try_from(count) else { leave(1) };
        if count == 0 {
            leave(0);
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            // SAFETY: the slice is valid for its length.
            let written = unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written) => rest = &rest[written..],
                // Somebody made the shared description non-blocking.
                Err(_) if nix::errno::Errno::last() == nix::errno::Errno::EAGAIN => {
                    let mut polled = libc::pollfd { fd: 1, events: libc::POLLOUT, revents: 0 };
                    // SAFETY: one descriptor is polled.
                    unsafe { libc::poll(&raw mut polled, 1, -1) };
                }
                Err(_) => leave(1),
            }
        }
    }
}
