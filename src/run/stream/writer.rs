//! A child that writes where trc must not block.
//!
//! The child may block. It is the last resort for a terminal, or a pipe of another user, that
//! cannot be reopened, if the kernel does not support `RWF_NOWAIT` for it. It also has standard
//! output in a test run, out of the reach of units: units of root can open trc's descriptors at
//! `/proc/1/fd`, except sockets (proc(5)), and they can open nothing of a child that is not
//! dumpable, unless they may trace it (`PR_SET_DUMPABLE` of prctl(2), ptrace(2)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::unistd::{ForkResult, Pid, fork, getpid};

/// Starts the child, which writes to `to` whatever is sent to the socket. It exits when the socket
/// is shut down and everything has been written, when nobody reads any more, or with trc.
///
/// Bytes in the socket have not been written yet. The child sends back the errno of a write that
/// failed: see [`errno`].
///
/// # Errors
///
/// Returns the errors of socketpair(2) and fork(2).
pub(super) fn start(to: BorrowedFd<'_>) -> nix::Result<(OwnedFd, i32)> {
    // This is a socket and not a pipe, so that the end of file can be distinguished from the exit
    // of the child.
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let parent = getpid();
    // No signal handler of trc may run in the child. trc's own mask is restored below.
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

/// The main function of the child. All signals are blocked, so SIGPIPE is an error, and a terminal
/// accepts writes from the background.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, parent: Pid) -> ! {
    // Copy little at once: trc sees from the rest in the socket whether somebody reads.
    let mut buffer = [0_u8; libc::PIPE_BUF];
    let leave = |status| {
        // SAFETY: this ends the process, and runs no code of trc in it any more.
        unsafe { libc::_exit(status) }
    };
    // SAFETY: these system calls affect this process only. Descriptors 0 and 1 become the ends of
    // the copy. All others, such as the units' pipes, are closed. (Before Linux 5.9, close_range(2)
    // fails with EINVAL or ENOSYS, and they stay open in this child.)
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_NAME, c"trc-writer".as_ptr());
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        let to = libc::dup2(to.as_raw_fd(), 1);
        let from = libc::dup2(from.as_raw_fd(), 0);
        if to != 1 || from != 0 || libc::getppid() != parent.as_raw() {
            leave(1);
        }
        libc::syscall(libc::SYS_close_range, 2, libc::c_uint::MAX, 0);
    }
    loop {
        // The bytes stay in the socket until they are written, so that trc sees whether they are.
        // SAFETY: the buffer is valid for its length.
        let count =
            unsafe { libc::recv(0, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_PEEK) };
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
                Err(_) if Errno::last() == Errno::EAGAIN => {
                    let mut polled = libc::pollfd { fd: 1, events: libc::POLLOUT, revents: 0 };
                    // SAFETY: one descriptor is polled.
                    unsafe { libc::poll(&raw mut polled, 1, -1) };
                }
                Err(_) => {
                    let errno = Errno::last_raw();
                    let (bytes, size) = (&raw const errno, size_of_val(&errno));
                    // SAFETY: the number is valid for its size.
                    unsafe { libc::send(0, bytes.cast(), size, libc::MSG_NOSIGNAL) };
                    leave(1);
                }
            }
        }
        // SAFETY: the buffer is valid for its length, which is no shorter than what was peeked at.
        unsafe { libc::recv(0, buffer.as_mut_ptr().cast(), count, 0) };
    }
}

/// Returns the error of the child, if it could not write.
pub(super) fn errno(socket: BorrowedFd<'_>) -> Option<Errno> {
    let mut bytes = [0; size_of::<i32>()];
    let flags = MsgFlags::MSG_DONTWAIT;
    match recv(socket.as_raw_fd(), &mut bytes, flags) {
        Ok(count) if count == bytes.len() => Some(Errno::from_raw(i32::from_ne_bytes(bytes))),
        Ok(_) | Err(_) => None,
    }
}
