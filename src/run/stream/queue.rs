//! One stream: its queue, and the number of dropped lines.

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

/// The limit of the queue in bytes, even if the reader is alive: several times the output of one
/// read with a prefix for each line. Output that is read although there is no room, as in tests,
/// would exceed it.
const MOST: usize = 4 * 1024 * 1024;

/// The origin of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A line of trc's own, which is kept or dropped as a whole, even if it contains newlines.
    Own,
    /// Lines of a unit's output.
    Captured,
    /// The line that reports how many lines were dropped. It is not counted if it is dropped
    /// itself.
    Notice,
}

/// The lines that were dropped since the last report.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dropped {
    /// The number of lines, including those of which a part was written.
    pub lines: u64,
    /// The number of bytes, as formatted.
    pub bytes: u64,
    /// The error, unless the reason is that nobody read.
    pub errno: Option<Errno>,
}

/// A stream with the queue of lines that cannot be written yet.
#[derive(Debug)]
pub struct Stream {
    way: Way,
    /// The queue. Its first `written` bytes have been written.
    queue: Vec<u8>,
    written: usize,
    dropped: Dropped,
    /// Whether the last byte that was written was not a newline. If the queue is empty, the rest of
    /// that line is lost.
    inside: bool,
    /// The time since which nothing could be written, while something is queued.
    stall: Option<Stall>,
    broken: bool,
    /// The first error of a write, since which something may be missing.
    failed: Option<Errno>,
}

impl Stream {
    /// Creates the stream for a descriptor, which stays as it is.
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

    /// Writes whole lines, queues them, or drops and counts them. Returns whether none of them was
    /// dropped.
    pub fn push(&mut self, lines: &[u8], kind: Kind) -> bool {
        if self.broken {
            return true;
        }
        if self.dropped.lines > 0 && kind != Kind::Notice {
            // The notice about dropped lines comes before anything else.
            self.drop_lines(lines, kind, self.dropped.errno);
            return false;
        }
        let rest = match self.begin(lines) {
            Ok(count) => &lines[count..],
            Err((count, errno)) => return self.refused(&lines[count..], kind, errno),
        };
        // The queue always ends with a whole line.
        let started = self.queued() == 0 && self.inside && rest.len() < lines.len();
        let keep = self.room_for(rest, kind, started);
        self.enqueue(&rest[..keep]);
        if keep < rest.len() {
            self.drop_lines(&rest[keep..], kind, None);
        }
        keep == rest.len()
    }

    /// Counts lines as dropped.
    pub fn give_up(&mut self, lines: &[u8]) {
        if !self.broken {
            self.drop_lines(lines, Kind::Captured, None);
        }
    }

    /// Writes or queues all of these lines, or returns that there is no room now. They never count
    /// as dropped, because the caller tries again.
    pub fn offer(&mut self, lines: &[u8]) -> bool {
        // The notice about dropped lines comes before anything else.
        if self.broken || self.failed.is_some() || self.dropped.lines > 0 {
            return false;
        }
        // Without a queue, trc would not learn when there is room.
        if self.queued() > 0 && self.queued() + lines.len() > BUFFER {
            return false;
        }
        match self.begin(lines) {
            Ok(count) => self.enqueue(&lines[count..]),
            Err((_, errno)) => return self.refused(b"", Kind::Notice, errno),
        }
        true
    }

    /// Writes as much as possible at once, unless other lines wait. Returns how much that was.
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
        // Move the rest to the front before the vector has to grow.
        if self.written > 0 && self.queue.len() + lines.len() > self.queue.capacity() {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        self.queue.extend_from_slice(lines);
    }

    /// Returns how much of `rest` may be queued. If the first line is `started`, its end is queued
    /// in any case.
    fn room_for(&self, rest: &[u8], kind: Kind, started: bool) -> usize {
        let stuck = self.stall.as_ref().is_some_and(Stall::stuck);
        match kind {
            // This counts as one line, even if it contains newlines.
            Kind::Own | Kind::Notice => {
                let fits = self.queued() + rest.len() <= BUFFER + RESERVE;
                if fits || started { rest.len() } else { 0 }
            }
            // trc read this while there was room. From here on, units wait.
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

    /// Writes until the end, or until it would block. Returns how much that was.
    fn write_now(&mut self, bytes: &[u8]) -> Result<usize, (usize, Errno)> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let size = if self.way.is_pipe() { atomic(rest) } else { rest.len() };
            match self.way.write(&rest[..size]) {
                // write(2) does not say what 0 means, so do not repeat it endlessly.
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
            // The terminal has hung up (tty_ioctl(4)).
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

    /// Returns the number of dropped lines, once there is room to report it.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        // Wait until the queue is half empty. Otherwise, every other line would be a notice.
        (self.dropped.lines > 0 && self.queued() <= HIGH_WATER && !self.broken)
            .then(|| std::mem::take(&mut self.dropped))
    }

    /// Takes back a report that could not be written.
    pub fn restore(&mut self, dropped: Dropped) {
        self.dropped = dropped;
    }

    /// Returns the number of queued bytes.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Returns the descriptor to poll for `POLLOUT`, if something is queued.
    #[must_use]
    pub fn wants_write(&self) -> Option<Arc<OwnedFd>> {
        if self.queued() == 0 { None } else { self.way.fd().cloned() }
    }

    /// Writes as much of the queue as possible.
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

    /// Frees the memory of an empty queue.
    fn forget_queue(&mut self) {
        self.queue = Vec::new();
        self.written = 0;
        self.stall = None;
    }

    /// Returns whether units should wait: much is queued, and somebody reads.
    pub fn holds_back(&mut self, now: Instant) -> bool {
        if self.queued() == 0 {
            return false;
        }
        let way = &self.way;
        let stall = self.stall.get_or_insert_with(|| Stall::new(way, now));
        stall.look(way, now);
        !stall.stuck() && self.queued() > HIGH_WATER
    }

    /// Returns the time at which [`Stream::holds_back`] has to be called again.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if !self.holds_back(now) {
            return None;
        }
        self.stall.as_ref().map(Stall::deadline)
    }

    /// Returns whether the reader has closed the stream. Everything is dropped from then on.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// Returns the first error of a write, if there was one.
    pub fn failed(&mut self) -> Option<Errno> {
        if self.failed.is_none()
            && let Some(errno) = self.way.failure()
        {
            self.refused(b"", Kind::Notice, errno);
        }
        self.failed
    }

    /// Returns whether everything has been written, even by a child.
    #[must_use]
    pub fn is_written(&self) -> bool {
        let with_the_child = matches!(self.way, Way::Child(..)) && self.way.backlog() != Some(0);
        self.queued() == 0 && !with_the_child
    }

    /// Waits a moment until the child has written everything.
    pub fn await_child(&self, deadline: Instant) {
        if let Way::Child(socket, _) = &self.way {
            let soon = now() + super::LOOK;
            wait(&[Arc::clone(socket)], PollFlags::POLLIN, soon.min(deadline));
        }
    }

    /// Returns whether the stream is a file or a device that never lets a writer wait.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.way, Way::File(_) | Way::Nowhere)
    }

    /// Returns the process ID of the writer child, if there is one.
    #[must_use]
    pub fn writer_pid(&self) -> Option<i32> {
        match self.way {
            Way::Child(_, pid) => Some(pid),
            _ => None,
        }
    }

    /// Lets the writer child exit, and waits for it until `deadline`, as long as it makes progress:
    /// a suspended terminal (Ctrl-S) may stay suspended for ever.
    pub(super) fn finish(&mut self, deadline: Instant) {
        if let Way::Child(socket, pid) = &self.way {
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
            // When the child exits, its end closes, which poll(2) always reports as POLLHUP. trc
            // does not wait for a reader that takes nothing, such as a suspended terminal (Ctrl-S).
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
            // The child has closed everything and is about to exit. Wait for it, because nothing
            // may outlive trc.
            if gone {
                let _ = waitpid(Pid::from_raw(*pid), None);
            }
            self.broken = true;
        }
    }
}

/// Returns as many whole lines as a pipe takes without other writers in between, or one longer
/// line.
fn atomic(lines: &[u8]) -> usize {
    if lines.len() <= libc::PIPE_BUF {
        return lines.len();
    }
    match memrchr(b'\n', &lines[..libc::PIPE_BUF]) {
        Some(end) => end + 1,
        None => memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
    }
}
