//! Standard output and standard error, which never block PID 1.
//!
//! A full pipe blocks its writers, and `O_NONBLOCK` cannot be set on an inherited descriptor,
//! because it belongs to the open file description, which the units share. So trc gets a way of
//! writing of its own ([`way`]), writes as much as the kernel takes, queues a limited amount of the
//! rest, and drops and counts whole lines beyond that ([`queue`]).

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

/// The number of bytes of the units' output that a stream queues if its reader is stuck.
pub(crate) const BUFFER: usize = 256 * 1024;
/// The number of further bytes that are queued of trc's own lines.
pub(crate) const RESERVE: usize = 32 * 1024;
/// The number of queued bytes above which trc lets units wait instead of reading their output.
pub(crate) const HIGH_WATER: usize = 64 * 1024;
/// The time without a read after which a reader counts as stuck: units no longer wait for it, and
/// their output is dropped when [`BUFFER`] is full.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(1);
/// The time for which the end of the run waits for a reader.
pub(crate) const FLUSH_FOR: Duration = Duration::from_millis(200);
/// The total time for which it waits while somebody reads.
pub(crate) const LINGER: Duration = Duration::from_secs(3);

/// The interval at which, at the end, trc checks whether a child has written everything.
const LOOK: Duration = Duration::from_millis(2);

/// Both standard streams. They share one [`Stream`] if they are the same pipe, terminal or socket,
/// so that lines keep their order.
#[derive(Debug)]
pub struct Streams {
    /// `None` until something has to be written, which never happens in a transparent run.
    first: Option<Stream>,
    second: Option<Stream>,
}

/// The descriptors of [`Streams::wants_write`], which stay open while they are polled.
pub(crate) type Pending = Vec<Arc<OwnedFd>>;

impl Streams {
    /// Creates the streams of the process, which are examined when the first line is written.
    #[must_use]
    pub fn standard() -> Self {
        Self { first: None, second: None }
    }

    /// Creates the streams for two descriptors, which stay as they are.
    #[must_use]
    pub fn of(out: BorrowedFd<'_>, err: BorrowedFd<'_>) -> Self {
        let second = if way::same(out, err) { None } else { Some(Stream::open(err)) };
        Self { first: Some(Stream::open(out)), second }
    }

    /// Reserves standard output for reports from now on, out of the reach of units. A child has it,
    /// and trc's own descriptor 1, which units can open as `/proc/1/fd/1`, becomes standard error.
    /// If both are the same, there is nothing to separate.
    pub fn keep_apart(&mut self) {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        if way::same(out.as_fd(), err.as_fd()) {
            return;
        }
        // If the child cannot be started, units can write to standard output as before.
        let Ok(way) = Way::of_a_child(out.as_fd()) else { return };
        *self = Self { first: Some(Stream::over(way)), second: Some(Stream::open(err.as_fd())) };
        // SAFETY: only the numbers are given.
        if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } == -1 {
            log::debug!("cannot replace standard output: {}", nix::errno::Errno::last().desc());
        }
    }

    /// Returns the stream of a side.
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

    /// Returns the descriptors to poll for `POLLOUT`.
    #[must_use]
    pub fn wants_write(&self) -> Pending {
        self.all().filter_map(Stream::wants_write).collect()
    }

    /// Writes as much of the queue as possible.
    pub fn writable(&mut self) {
        self.all_mut().for_each(Stream::writable);
    }

    /// Returns the time from which a slow reader counts as stuck.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        self.all_mut().filter_map(|stream| stream.next_deadline(now)).min()
    }

    /// Returns the process IDs of the writer children, if there are any.
    #[must_use]
    pub fn writer_pids(&self) -> Vec<i32> {
        self.all().filter_map(Stream::writer_pid).collect()
    }

    /// Lets the writer children exit, and waits for them until `deadline`.
    pub fn finish(&mut self, deadline: Instant) {
        for stream in self.all_mut() {
            stream.finish(deadline);
        }
    }
}

/// Returns the latest end of the last flush, if it begins now.
#[must_use]
pub(crate) fn flush_deadline() -> Instant {
    now() + LINGER
}

/// Waits until one of `pending` is writable, for [`FLUSH_FOR`] at most and until `deadline` at the
/// latest. Returns whether there is something to do.
pub(crate) fn wait_writable(pending: &[Arc<OwnedFd>], deadline: Instant) -> bool {
    wait(pending, PollFlags::POLLOUT, deadline)
}

fn wait(fds: &[Arc<OwnedFd>], events: PollFlags, deadline: Instant) -> bool {
    if fds.is_empty() {
        return false;
    }
    let left = deadline.saturating_duration_since(now()).min(FLUSH_FOR);
    // Round up, or trc would spin for the last fraction of a millisecond.
    let left = left + Duration::from_micros(999);
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::new(fd.as_fd(), events)).collect();
    // A signal ends the wait early. The caller checks the clock.
    poll(&mut polled, timeout).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests;
