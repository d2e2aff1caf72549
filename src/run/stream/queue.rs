//! One stream: what waits to be written to it, and what was given up.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use memchr::{memchr, memrchr};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::stall::Stall;
use super::way::Way;
use super::{BUFFER, HIGH_WATER, RESERVE, wait};
use crate::run::os::clock::now;

/// No more is queued, in bytes, however alive the reader is: some times what one read of a
/// unit's output becomes with a prefix to each line. What is read although there is no room, as
/// tests have it, would go beyond.
const MOST: usize = 4 * 1024 * 1024;

/// Whose lines they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One line of trc's own; kept or dropped as a whole, whatever newlines are in it.
    Own,
    /// Lines of a unit's output.
    Captured,
    /// The line that says how many were dropped; not counted if it is dropped too.
    Notice,
}

/// What was given up since that was last said.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dropped {
    /// Lines, the ones written in part among them.
    pub lines: u64,
    /// Their bytes, as formatted.
    pub bytes: u64,
    /// Why, if not because nobody read.
    pub errno: Option<Errno>,
}

/// Where lines go, and those that can't go there yet.
#[derive(Debug)]
pub struct Stream {
    way: Way,
    /// Lines to be written; the first `written` bytes have been.
    queue: Vec<u8>,
    written: usize,
    dropped: Dropped,
    /// The last byte written was not a newline. With an empty queue the rest of
    /// that line is lost.
    inside: bool,
    /// Since nothing could be written, while something is queued.
    stall: Option<Stall>,
    broken: bool,
    /// The first error of a write; something may be missing since.
    failed: Option<Errno>,
}

impl Stream {
    /// The stream behind a descriptor, which stays as it is.
    #[must_use]
    pub fn open(fd: BorrowedFd<'_>) -> Self {
        Self::over(Way::to(fd))
    }

    pub(super) fn over(way: Way) -> Self {
        Self {
            way,
            queue: Vec::new(),
            written: 0,
            dropped: Dropped::default(),
            inside: false,
            stall: None,
            broken: false,
            failed: None,
        }
    }

    /// Writes whole lines, queues them, or drops and counts them. Says whether
    /// none of them was dropped.
    pub fn push(&mut self, lines: &[u8], kind: Kind) -> bool {
        if self.broken {
            return true;
        }
        if self.dropped.lines > 0 && kind != Kind::Notice {
            // What was dropped is said before anything else.
            self.drop_lines(lines, kind, self.dropped.errno);
            return false;
        }
        let rest = match self.begin(lines) {
            Ok(count) => &lines[count..],
            Err((count, errno)) => return self.refused(&lines[count..], kind, errno),
        };
        // What is queued always ends with a whole line.
        let started = self.queued() == 0 && self.inside && rest.len() < lines.len();
        let keep = self.room_for(rest, kind, started);
        self.enqueue(&rest[..keep]);
        if keep < rest.len() {
            self.drop_lines(&rest[keep..], kind, None);
        }
        keep == rest.len()
    }

    /// Drops and counts lines without trying.
    pub fn give_up(&mut self, lines: &[u8]) {
        if !self.broken {
            self.drop_lines(lines, Kind::Captured, None);
        }
    }

    /// Writes or queues all of these lines, or says that there is no room now. They are never
    /// counted as dropped: whoever has them comes again.
    pub fn offer(&mut self, lines: &[u8]) -> bool {
        // What was dropped is said before anything else.
        if self.broken || self.failed.is_some() || self.dropped.lines > 0 {
            return false;
        }
        // Without a queue nobody would learn when there is room.
        if self.queued() > 0 && self.queued() + lines.len() > BUFFER {
            return false;
        }
        match self.begin(lines) {
            Ok(count) => self.enqueue(&lines[count..]),
            Err((_, errno)) => return self.refused(b"", Kind::Notice, errno),
        }
        true
    }

    /// Writes what can be written at once, unless others wait: how much that was.
    fn begin(&mut self, lines: &[u8]) -> Result<usize, (usize, Errno)> {
        if self.queued() > 0 {
            return Ok(0);
        }
        if self.inside {
            self.write_now(b"\n").map_err(|(_, errno)| (0, errno))?;
        }
        self.write_now(lines)
    }

    fn enqueue(&mut self, lines: &[u8]) {
        // Moves what is left to the front before the vector would grow.
        if self.written > 0 && self.queue.len() + lines.len() > self.queue.capacity() {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        self.queue.extend_from_slice(lines);
    }

    /// How much of `rest` may be queued. `started`: its first line is half
    /// written, so its end is taken in any case.
    fn room_for(&self, rest: &[u8], kind: Kind, started: bool) -> usize {
        let stuck = self.stall.as_ref().is_some_and(Stall::stuck);
        match kind {
            // One line, whatever newlines are in it.
            Kind::Own | Kind::Notice => {
                let fits = self.queued() + rest.len() <= BUFFER + RESERVE;
                if fits || started { rest.len() } else { 0 }
            }
            // Read while there was room; units wait from here on.
            Kind::Captured if !stuck && self.queued() <= MOST => rest.len(),
            Kind::Captured => {
                let room = BUFFER.saturating_sub(self.queued()).min(rest.len());
                let whole = memrchr(b'\n', &rest[..room]).map_or(0, |end| end + 1);
                if whole == 0 && started {
                    memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
                } else {
                    whole
                }
            }
        }
    }

    /// Writes until the end, or until it would block: `Ok` with how much that was.
    fn write_now(&mut self, bytes: &[u8]) -> Result<usize, (usize, Errno)> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let size = if self.way.is_pipe() { atomic(rest) } else { rest.len() };
            match self.way.write(&rest[..size]) {
                // write(2) leaves open what 0 means; not to be tried for ever.
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(count) => {
                    done += count;
                    self.inside = bytes[done - 1] != b'\n';
                    self.stall = None;
                }
                Err(errno) => return Err((done, errno)),
            }
        }
        Ok(done)
    }

    /// An error other than "not now".
    fn refused(&mut self, lines: &[u8], kind: Kind, errno: Errno) -> bool {
        self.failed.get_or_insert(errno);
        let gone = match errno {
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN | Errno::EBADF => true,
            // A terminal that was hung up (tty_ioctl(4)).
            Errno::EIO => self.way.is_terminal(),
            _ => false,
        };
        if gone {
            self.broken = true;
            self.forget_queue();
        } else {
            self.drop_lines(lines, kind, Some(errno));
        }
        false
    }

    fn drop_lines(&mut self, lines: &[u8], kind: Kind, errno: Option<Errno>) {
        let count = match kind {
            Kind::Own => 1,
            Kind::Captured => memchr::memchr_iter(b'\n', lines).count(),
            Kind::Notice => return,
        };
        self.dropped.lines += count as u64;
        self.dropped.bytes += lines.len() as u64;
        self.dropped.errno = errno;
    }

    /// What was dropped, once there is room again to say so.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        // Half empty, not just below full: else every other line would be a notice.
        (self.dropped.lines > 0 && self.queued() <= HIGH_WATER && !self.broken)
            .then(|| std::mem::take(&mut self.dropped))
    }

    /// Takes back what could not be said.
    pub fn restore(&mut self, dropped: Dropped) {
        self.dropped = dropped;
    }

    /// The bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len() - self.written
    }

    /// The descriptor to poll for `POLLOUT`, if something is queued.
    #[must_use]
    pub fn wants_write(&self) -> Option<Arc<OwnedFd>> {
        if self.queued() == 0 { None } else { self.way.fd().cloned() }
    }

    /// Writes what is queued, as far as that goes.
    pub fn writable(&mut self) {
        if self.queued() == 0 {
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        let start = self.written;
        match self.write_now(&queue[start..]) {
            Ok(count) if start + count == queue.len() => self.forget_queue(),
            Ok(count) => {
                self.queue = queue;
                self.written = start + count;
            }
            Err((count, errno)) => {
                self.forget_queue();
                self.refused(&queue[start + count..], Kind::Captured, errno);
            }
        }
    }

    /// Nothing is queued any more; idle memory goes back.
    fn forget_queue(&mut self) {
        self.queue = Vec::new();
        self.written = 0;
        self.stall = None;
    }

    /// Whether units should be left waiting: much is queued, and somebody reads.
    pub fn holds_back(&mut self, now: Instant) -> bool {
        if self.queued() == 0 {
            return false;
        }
        let way = &self.way;
        let stall = self.stall.get_or_insert_with(|| Stall::new(way, now));
        stall.look(way, now);
        !stall.stuck() && self.queued() > HIGH_WATER
    }

    /// When [`Stream::holds_back`] will have to be asked again.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if !self.holds_back(now) {
            return None;
        }
        self.stall.as_ref().map(Stall::deadline)
    }

    /// Whether the reader is gone for good; everything is dropped from then on.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// The first error of a write, if there was any.
    pub fn failed(&mut self) -> Option<Errno> {
        if self.failed.is_none()
            && let Some(errno) = self.way.failure()
        {
            self.refused(b"", Kind::Notice, errno);
        }
        self.failed
    }

    /// Whether everything was written, by a child too.
    #[must_use]
    pub fn is_written(&self) -> bool {
        let with_the_child = matches!(self.way, Way::Child(..)) && self.way.backlog() != Some(0);
        self.queued() == 0 && !with_the_child
    }

    /// Waits a moment for the child to write what it has.
    pub fn await_child(&self, deadline: Instant) {
        if let Way::Child(socket, _) = &self.way {
            let soon = now() + super::LOOK;
            wait(&[Arc::clone(socket)], PollFlags::POLLIN, soon.min(deadline));
        }
    }

    /// Whether it is a file or such a device, which never lets a writer wait.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.way, Way::File(_) | Way::Nowhere)
    }

    /// The pid of the writer child, if there had to be one.
    #[must_use]
    pub fn writer_pid(&self) -> Option<i32> {
        match self.way {
            Way::Child(_, pid) => Some(pid),
            _ => None,
        }
    }

    /// Lets the writer child end, and waits for that until `deadline`, for as long as it gets
    /// rid of what it has: a terminal that was stopped (Ctrl-S) may stay so for ever.
    pub(super) fn finish(&mut self, deadline: Instant) {
        if let Way::Child(socket, pid) = &self.way {
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
            // The child's end closes with it: POLLHUP, which is always polled for. A reader that
            // takes nothing is not waited for: a terminal that was stopped (Ctrl-S).
            let socket = [Arc::clone(socket)];
            let mut backlog = self.way.backlog();
            let mut gone = false;
            while !gone && now() < deadline {
                gone = wait(&socket, PollFlags::empty(), deadline);
                let left = self.way.backlog();
                if left == backlog {
                    break;
                }
                backlog = left;
            }
            if !gone {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
                gone = wait(&socket, PollFlags::empty(), now() + super::FLUSH_FOR);
            }
            // It has closed everything, and is about to be no more: nothing outlives trc.
            if gone {
                let _ = waitpid(Pid::from_raw(*pid), None);
            }
            self.broken = true;
        }
    }
}

/// As many whole lines as a pipe takes without letting other writers in between;
/// a longer line as a whole.
fn atomic(lines: &[u8]) -> usize {
    if lines.len() <= libc::PIPE_BUF {
        return lines.len();
    }
    match memrchr(b'\n', &lines[..libc::PIPE_BUF]) {
        Some(end) => end + 1,
        None => memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
    }
}
