//! Standard output and error that never block PID 1.
//!
//! A full pipe stops whoever writes to it, and `O_NONBLOCK` can't be set on an
//! inherited descriptor: it belongs to the open file description, which the
//! units share. So trc gets a way of writing of its own ([`way`]), writes what
//! the kernel takes, queues a bounded amount of the rest and drops whole lines
//! beyond that, counted ([`queue`]).

mod queue;
mod stall;
mod way;
mod writer;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub(crate) use queue::{Dropped, Kind, Stream};
use way::Way;

use crate::journal::Side;
use crate::run::os::clock::now;

/// What a stream queues of units' output, in bytes, for a reader that is stuck.
pub(crate) const BUFFER: usize = 256 * 1024;
/// What is queued of trc's own lines beyond [`BUFFER`].
pub(crate) const RESERVE: usize = 32 * 1024;
/// With more than this queued, in bytes, units are left waiting instead of read.
pub(crate) const HIGH_WATER: usize = 64 * 1024;
/// A reader that took nothing for so long counts as stuck: units no longer wait
/// for it, what they write is dropped once [`BUFFER`] is full.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(1);
/// How long the end of the run waits for somebody to read what is queued.
pub(crate) const FLUSH_FOR: Duration = Duration::from_millis(200);
/// And how long altogether, while somebody reads.
pub(crate) const LINGER: Duration = Duration::from_secs(3);

/// How often is looked, at the end, whether a child has written what it has.
const LOOK: Duration = Duration::from_millis(2);

/// Both standard streams; one [`Stream`] where they are the same pipe, terminal
/// or socket, so that the order of lines is kept.
#[derive(Debug)]
pub struct Streams {
    /// None until something is to be written: a transparent run never does.
    first: Option<Stream>,
    second: Option<Stream>,
}

/// The descriptors of [`Streams::wants_write`], kept open while they are polled.
pub(crate) type Pending = Vec<Arc<OwnedFd>>;

impl Streams {
    /// The process's own, looked at when the first line comes.
    #[must_use]
    pub fn standard() -> Self {
        Self { first: None, second: None }
    }

    /// Those behind two descriptors, which stay as they are.
    #[must_use]
    pub fn of(out: BorrowedFd<'_>, err: BorrowedFd<'_>) -> Self {
        let second = if way::same(out, err) { None } else { Some(Stream::open(err)) };
        Self { first: Some(Stream::open(out)), second }
    }

    /// From now on standard output is for reports alone, and out of the units' reach: a child has
    /// it, and trc's own descriptor 1, which units may open as `/proc/1/fd/1`, is standard error.
    /// Where both are one there is nothing to keep apart.
    pub fn keep_apart(&mut self) {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        if way::same(out.as_fd(), err.as_fd()) {
            return;
        }
        // Without the child, for want of processes, units may write to it as before.
        let Ok(way) = Way::of_a_child(out.as_fd()) else { return };
        *self = Self { first: Some(Stream::over(way)), second: Some(Stream::open(err.as_fd())) };
        // SAFETY: only the numbers are given.
        if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } == -1 {
            log::debug!("descriptor 1 stays: {}", nix::errno::Errno::last().desc());
        }
    }

    /// The stream of a side.
    pub fn side(&mut self, side: Side) -> &mut Stream {
        if self.first.is_none() {
            *self = Self::of(std::io::stdout().as_fd(), std::io::stderr().as_fd());
        }
        let first = self.first.get_or_insert_with(|| Stream::over(Way::Nowhere));
        match (side, &mut self.second) {
            (Side::Err, Some(second)) => second,
            (Side::Err, None) | (Side::Out, _) => first,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Stream> {
        self.first.iter().chain(&self.second)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.first.iter_mut().chain(&mut self.second)
    }

    /// The descriptors to poll for `POLLOUT`.
    #[must_use]
    pub fn wants_write(&self) -> Pending {
        self.all().filter_map(Stream::wants_write).collect()
    }

    /// Writes what is queued, as far as that goes.
    pub fn writable(&mut self) {
        self.all_mut().for_each(Stream::writable);
    }

    /// When a reader that units are held back for will count as stuck.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        self.all_mut().filter_map(|stream| stream.next_deadline(now)).min()
    }

    /// The pids of the writer children, if any had to be started.
    #[must_use]
    pub fn writer_pids(&self) -> Vec<i32> {
        self.all().filter_map(Stream::writer_pid).collect()
    }

    /// Lets the writer children, if any, end; waits for that until `deadline`.
    pub fn finish(&mut self, deadline: Instant) {
        for stream in self.all_mut() {
            stream.finish(deadline);
        }
    }
}

/// When the last flush ends at the latest, if it begins now.
#[must_use]
pub(crate) fn flush_deadline() -> Instant {
    now() + LINGER
}

/// Waits until one of `pending` can be written to, for [`FLUSH_FOR`] at most and until
/// `deadline` at the latest. Says whether there is something to do.
pub(crate) fn wait_writable(pending: &[Arc<OwnedFd>], deadline: Instant) -> bool {
    wait(pending, PollFlags::POLLOUT, deadline)
}

fn wait(fds: &[Arc<OwnedFd>], events: PollFlags, deadline: Instant) -> bool {
    if fds.is_empty() {
        return false;
    }
    let left = deadline.saturating_duration_since(now()).min(FLUSH_FOR);
    // Rounded up, or the last fraction of a millisecond would be spent spinning.
    let left = left + Duration::from_micros(999);
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(fd.as_fd(), events)).collect();
    // A signal ends the wait early; the caller looks at the clock.
    poll(&mut polled, timeout).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
