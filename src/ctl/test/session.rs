//! One run of trc: its output, line by line, and its exit status.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::namespace::{self, Stage};
use super::progress::Progress;

/// One of trc's two streams, and the line that has begun in it.
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

    /// Reads everything that is available, and hands on the complete lines and, at the end, the
    /// rest.
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

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1, and this is its only loop")]
fn clock() -> Instant {
    Instant::now()
}

/// Runs a stage until it exits, and passes on signals meanwhile. Returns its exit status.
///
/// # Errors
/// Returns the reason why the stage could not be run at all.
pub(super) fn run(stage: Stage, trc: &[OsString], progress: &mut Progress) -> io::Result<u8> {
    let signals = namespace::signals()?;
    let began = clock();
    let mut command = stage.command(trc);
    // The process group of its own keeps Ctrl-C from reaching trc twice: this program passes it on.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // A socket cannot be opened through /proc/PID/fd, not even through that of this program. Every
    // unit of the same user could open a pipe there.
    let (events, theirs) = UnixStream::pair()?;
    command.stdout(OwnedFd::from(theirs)).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // The command still has the other end of the socket.
    drop(command);
    // This keeps the pipe open: closing it would mean that this program has exited.
    let _string = child.stdin.take();
    let mut report: Lines<UnixStream> = Lines::new(Some(events))?;
    let mut log: Lines<ChildStderr> = Lines::new(child.stderr.take())?;
    loop {
        let pipes = [log.fd(), report.fd()].into_iter().flatten();
        let fds = std::iter::once(signals.as_fd()).chain(pipes);
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let left = progress.due().map(|due| due.saturating_sub(began.elapsed()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            // A part of a millisecond would be rounded down to 0, and the loop would spin.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // The run does not end with trc's streams, which a process that has escaped may keep open.
        let came = namespace::pass_on(&signals, &child);
        let ended = if came.ended { child.try_wait()? } else { None };
        if came.passed_on {
            progress.interrupted = true;
        }
        log.read(|line| progress.logged(line));
        let now = began.elapsed();
        report.read(|line| progress.reported(now, line));
        if progress.due().is_some_and(|due| due <= now) && ended.is_none() {
            progress.late(now);
        }
        if let Some(status) = ended {
            return Ok(namespace::code(status));
        }
    }
}
