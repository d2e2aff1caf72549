//! Pseudo-terminals that trc reads the output of units from: pty(7).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::pipe::Pipe;

/// Creates a pseudo-terminal that passes bytes on unchanged. A process reads nothing from it. It
/// controls no session, so nobody gets a signal when trc closes it.
///
/// # Errors
/// Returns the errors of pts(4): ENOENT without `/dev/ptmx`, ENOSPC if there are too many.
pub(crate) fn open_pty() -> nix::Result<Pipe> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = open("/dev/ptmx", flags | OFlag::O_NONBLOCK, Mode::empty())?;
    let unlocked: libc::c_int = 0;
    // SAFETY: the request reads an int. TIOCGPTPEER returns a new descriptor, wherever the directory
    // of the terminal is mounted (Linux 4.13).
    let slave = unsafe {
        Errno::result(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked))?;
        let slave: RawFd =
            Errno::result(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags.bits()))?;
        OwnedFd::from_raw_fd(slave)
    };
    // No CR before a newline, and no echo.
    let mut settings = tcgetattr(&slave)?;
    cfmakeraw(&mut settings);
    tcsetattr(&slave, SetArg::TCSANOW, &settings)?;
    Ok(Pipe { read: master, write: slave })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    /// Waits until there is something to read, and reads it. The kernel passes it on with a delay, and
    /// the child of another test may hold the terminal for a moment.
    fn next(read: &OwnedFd, bytes: &mut [u8]) -> nix::Result<usize> {
        poll(&mut [PollFd::new(read.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        nix::unistd::read(read, bytes)
    }

    #[test]
    fn what_is_written_arrives_unchanged_and_the_end_is_an_error() {
        let Pipe { read, write } = open_pty().unwrap();
        let mut bytes = [0; 100];
        assert_eq!(nix::unistd::read(&read, &mut bytes), Err(Errno::EAGAIN));
        assert_eq!(nix::unistd::isatty(&write), Ok(true));
        nix::unistd::write(&write, b"one\ntwo\t\x04\r\n").unwrap();
        let count = next(&read, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"one\ntwo\t\x04\r\n");
        nix::unistd::write(&write, b"last").unwrap();
        drop(write);
        assert_eq!(next(&read, &mut bytes), Ok(4));
        assert_eq!(next(&read, &mut bytes), Err(Errno::EIO));
    }
}
