//! One run of trc: what it says, line by line, and how it ends.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::namespace::{self, Stage};

/// Who is told what trc says.
pub(super) trait Listener {
    /// A line on its standard output, where events come.
    fn reported(&mut self, line: &[u8]);
    /// A line of its log, with the newline.
    fn logged(&mut self, line: &[u8]);
    /// A signal was passed on to it.
    fn interrupted(&mut self);
}

/// One of trc's two streams, and the line that has begun on it.
struct Lines<R> {
    pipe: Option<R>,
    begun: Vec<u8>,
}

impl<R: Read + AsFd> Lines<R> {
    fn new(pipe: Option<R>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { pipe, begun: Vec::new() })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, up to the end of it, and hands on the lines.
    fn read(&mut self, mut hand_on: impl FnMut(&[u8])) {
        let mut bytes = [0; 1 << 14];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut bytes) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.begun.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.pipe = None,
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.begun) {
                let rest = self.begun.split_off(end + 1);
                self.begun.split_inclusive(|byte| *byte == b'\n').for_each(&mut hand_on);
                self.begun = rest;
            }
        }
        if self.pipe.is_none() && !self.begun.is_empty() {
            hand_on(&self.begun);
            self.begun.clear();
        }
    }
}

/// Runs it to its end, and passes signals on meanwhile. Its exit status.
///
/// # Errors
/// Returns the reason why it could not be run at all.
pub(super) fn run(stage: Stage, trc: &[OsString], listener: &mut dyn Listener) -> io::Result<u8> {
    let signals = namespace::signals()?;
    let mut command = stage.command(trc);
    // The namespace is meant to be told of Ctrl-C once, by this program.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // A socket, which nobody can open by /proc/PID/fd, be it this program's: a pipe can be, by
    // every unit of the same user.
    let (events, theirs) = UnixStream::pair()?;
    command.stdout(OwnedFd::from(theirs)).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // It still has the other end of the socket.
    drop(command);
    // Kept: its end would mean that this program has died.
    let _string = child.stdin.take();
    let mut report: Lines<UnixStream> = Lines::new(Some(events))?;
    let mut log: Lines<ChildStderr> = Lines::new(child.stderr.take())?;
    loop {
        let pipes = [log.fd(), report.fd()].into_iter().flatten();
        let fds = std::iter::once(signals.as_fd()).chain(pipes);
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Not when its streams have ended: a process that has escaped may hold them.
        let came = namespace::pass_on(&signals, &child);
        let ended = if came.ended { child.try_wait()? } else { None };
        if came.passed_on {
            listener.interrupted();
        }
        log.read(|line| listener.logged(line));
        report.read(|line| listener.reported(line));
        if let Some(status) = ended {
            return Ok(namespace::code(status));
        }
    }
}
