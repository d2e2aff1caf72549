//! Ways to write to an inherited descriptor without waiting.

use std::io::IsTerminal as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::writer;

/// A way to write to one descriptor.
#[derive(Debug)]
pub(super) enum Way {
    /// A file, or a device such as `/dev/null`, which takes everything.
    File(Arc<OwnedFd>),
    /// A pipe that was reopened. trc's own open file description is non-blocking.
    Pipe(Arc<OwnedFd>),
    /// A terminal that was reopened.
    Terminal(Arc<OwnedFd>),
    /// A socket. Each send has a flag so that it does not wait.
    Socket(Arc<OwnedFd>),
    /// A pipe that cannot be reopened. Each write has a flag so that it does not wait, which the
    /// kernel supports for anonymous pipes since Linux 6.4.
    NoWait(Arc<OwnedFd>),
    /// None of these is possible. A child is started with the first line.
    NeedsChild(Arc<OwnedFd>),
    /// A child that writes and may block. Sending to it does not block.
    Child(Arc<OwnedFd>, i32),
    /// A descriptor that was closed.
    Nowhere,
}

/// `/dev/ptmx`. Reopening it would create another terminal: devices.txt of Linux.
const PTMX: (u64, u64) = (5, 2);

impl Way {
    /// Returns the best way for `fd`, which stays as it is.
    pub(super) fn to(fd: BorrowedFd<'_>) -> Self {
        let stat = match fstat(fd) {
            Ok(stat) => Some(stat),
            Err(Errno::EBADF) => return Self::Nowhere,
            // The stream exists, whatever it is.
            Err(_) => fstat(fd).ok(),
        };
        let kind = stat.map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        let terminal = kind == Some(SFlag::S_IFCHR) && fd.is_terminal();
        if let Some(stat) = stat
            && (kind == Some(SFlag::S_IFIFO) || terminal)
            && let Some(own) = reopen(fd, &stat)
        {
            return if terminal { Self::Terminal(own) } else { Self::Pipe(own) };
        }
        // The copy shares the description, but not the number, which others may replace. If no copy
        // can be made, trc uses the number itself, so that it can report the error.
        let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3)).unwrap_or(fd.as_raw_fd());
        // SAFETY: fcntl returned a new descriptor that nobody else knows; or it is a
        // standard stream, which trc closes at its exit only.
        let own = Arc::new(unsafe { OwnedFd::from_raw_fd(number) });
        match kind {
            Some(SFlag::S_IFIFO) => Self::NoWait(own),
            // Terminals do not support RWF_NOWAIT.
            _ if terminal => Self::NeedsChild(own),
            // An unknown stream could be a terminal.
            None => Self::NeedsChild(own),
            Some(SFlag::S_IFSOCK) => Self::Socket(own),
            Some(_) => Self::File(own),
        }
    }

    /// Starts a child that has `fd`, which trc then no longer needs.
    ///
    /// # Errors
    ///
    /// Returns the errors of socketpair(2) and fork(2).
    pub(super) fn of_a_child(fd: BorrowedFd<'_>) -> nix::Result<Self> {
        let (socket, pid) = writer::start(fd)?;
        Ok(Self::Child(Arc::new(socket), pid))
    }

    /// Returns the error of a child since the last write to it.
    pub(super) fn failure(&self) -> Option<Errno> {
        match self {
            Self::Child(socket, _) => writer::errno(socket.as_fd()),
            _ => None,
        }
    }

    /// Returns the descriptor to poll.
    pub(super) fn fd(&self) -> Option<&Arc<OwnedFd>> {
        match self {
            Self::File(fd)
            | Self::Pipe(fd)
            | Self::Terminal(fd)
            | Self::Socket(fd)
            | Self::NoWait(fd)
            | Self::NeedsChild(fd)
            | Self::Child(fd, _) => Some(fd),
            Self::Nowhere => None,
        }
    }

    /// Returns whether other writers share it. Then only up to `PIPE_BUF` bytes at once stay
    /// together (pipe(7)).
    pub(super) fn is_pipe(&self) -> bool {
        matches!(self, Self::Pipe(_) | Self::NoWait(_))
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// Writes as much as possible now.
    ///
    /// # Errors
    ///
    /// Returns EAGAIN if nothing can be written now, EPIPE if nobody will ever read, and the errors
    /// of write(2) for a full disk and the like. Never returns EINTR.
    pub(super) fn write(&mut self, bytes: &[u8]) -> nix::Result<usize> {
        loop {
            match self.write_once(bytes) {
                Err(Errno::EINTR) => {}
                // Kernels differ in which files support RWF_NOWAIT, and in the error that they
                // return.
                Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS)
                    if matches!(self, Self::NoWait(_) | Self::NeedsChild(_)) =>
                {
                    let Some(fd) = self.fd().cloned() else { return Err(Errno::EBADF) };
                    let (socket, pid) = writer::start(fd.as_fd())?;
                    *self = Self::Child(Arc::new(socket), pid);
                }
                result => return result,
            }
        }
    }

    fn write_once(&self, bytes: &[u8]) -> nix::Result<usize> {
        match self {
            // A terminal with `tostop` suspends background writers by SIGTTOU. trc blocks all
            // signals, and then the write succeeds.
            Self::File(fd) | Self::Pipe(fd) | Self::Terminal(fd) => nix::unistd::write(fd, bytes),
            Self::Child(fd, _) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(fd.as_raw_fd(), bytes, flags).map_err(|errno| match errno {
                    Errno::EAGAIN | Errno::EINTR => errno,
                    // The child reports the error of its write.
                    _ => writer::errno(fd.as_fd()).unwrap_or(errno),
                })
            }
            Self::Socket(fd) => {
                send(fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
            }
            Self::NoWait(fd) => write_nowait(fd.as_fd(), bytes),
            Self::NeedsChild(_) => Err(Errno::EOPNOTSUPP),
            Self::Nowhere => Ok(bytes.len()),
        }
    }

    /// Returns the number of unread bytes, if the kernel tells. If it changes, somebody reads, even
    /// if there is no room for another page yet.
    pub(super) fn backlog(&self) -> Option<i32> {
        let (fd, request) = match self {
            Self::Pipe(fd) | Self::NoWait(fd) => (fd, libc::FIONREAD),
            // For sockets, SIOCOUTQ has the same number (unix(7)).
            Self::Terminal(fd) | Self::Socket(fd) | Self::Child(fd, _) => (fd, libc::TIOCOUTQ),
            Self::File(_) | Self::NeedsChild(_) | Self::Nowhere => return None,
        };
        let mut count: libc::c_int = 0;
        // SAFETY: both requests store an int (ioctl_tty(2), unix(7)).
        let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut count) };
        (result == 0).then_some(count)
    }
}

/// Returns whether two descriptors are the same pipe, terminal or socket. Files do not count,
/// because each open file description has an offset of its own.
pub(super) fn same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(a), Ok(b)) = (fstat(one), fstat(other)) else { return false };
    let kind = SFlag::from_bits_truncate(a.st_mode) & SFlag::S_IFMT;
    a.st_dev == b.st_dev
        && a.st_ino == b.st_ino
        && (kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK || one.is_terminal())
}

/// Returns an open file description of trc's own for the same pipe or terminal. Fails without
/// `/proc`, or if the pipe belongs to another user.
fn reopen(fd: BorrowedFd<'_>, stat: &FileStat) -> Option<Arc<OwnedFd>> {
    if (libc::major(stat.st_rdev), libc::minor(stat.st_rdev))
        == (u32::try_from(PTMX.0).ok()?, u32::try_from(PTMX.1).ok()?)
    {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let own = open(path.as_str(), flags, Mode::empty()).ok()?;
    // In another mount namespace, the path may be a different device.
    let again = fstat(&own).ok()?;
    ((again.st_dev, again.st_ino) == (stat.st_dev, stat.st_ino)).then(|| Arc::new(own))
}

/// Calls `pwritev2(2)` at the current position with `RWF_NOWAIT`, as a direct system call: C
/// libraries without the flag use a blocking write instead.
fn write_nowait(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let here: libc::c_long = -1;
    // SAFETY: the vector has one part, the slice, which is only read.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            fd.as_raw_fd(),
            &raw const part,
            1 as libc::c_long,
            here,
            here,
            libc::RWF_NOWAIT,
        )
    };
    Errno::result(written).map(|count| usize::try_from(count).unwrap_or(0))
}
