//! What the loop waits for. A source is one place: what it polls and until when it waits, what it
//! does when that has come, and what becomes of its deadlines when trc itself was kept from
//! running. A new source is a file with a [`Source`], and a line in [`SOURCES`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Supervisor;
use crate::engine::Purpose;
use crate::graph::UnitId;

/// How long the loop pauses where poll(2) itself fails, which is for want of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Something the loop waits for.
pub(super) struct Source {
    /// Adds what it waits for from now on: descriptors, and a moment.
    pub watch: for<'s> fn(&'s Supervisor, &mut Watch<'s>),
    /// Does what is late at this moment, and what was put off until all descriptors were served.
    pub settle: fn(&mut Supervisor, Instant),
    /// trc could not look at anything for so long: what it waits for has that time in addition.
    pub postpone: fn(&mut Supervisor, Duration),
}

impl Source {
    /// One that has nothing to do but when its descriptors are ready.
    pub(super) const fn new(watch: for<'s> fn(&'s Supervisor, &mut Watch<'s>)) -> Self {
        Self { watch, settle: |_, _| {}, postpone: |_, _| {} }
    }
}

/// What to call when a descriptor is ready.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// Something that there is once.
    Once(fn(&mut Supervisor)),
    /// Something of a unit.
    Unit(fn(&mut Supervisor, UnitId), UnitId),
    /// One of the outputs of a unit.
    Output(fn(&mut Supervisor, UnitId, usize), UnitId, usize),
    /// Something of a process.
    Process(fn(&mut Supervisor, i32), i32),
    /// An attempt of a probe.
    Probe(fn(&mut Supervisor, UnitId, Purpose), UnitId, Purpose),
}

impl Call {
    /// Makes the call.
    pub(super) fn make(self, supervisor: &mut Supervisor) {
        match self {
            Self::Once(call) => call(supervisor),
            Self::Unit(call, unit) => call(supervisor, unit),
            Self::Output(call, unit, which) => call(supervisor, unit, which),
            Self::Process(call, pid) => call(supervisor, pid),
            Self::Probe(call, unit, purpose) => call(supervisor, unit, purpose),
        }
    }
}

/// A descriptor that is polled.
enum Polled<'s> {
    Borrowed(BorrowedFd<'s>),
    /// One that might be closed meanwhile.
    Shared(Arc<OwnedFd>),
}

/// What is waited for in one turn of the loop.
pub(super) struct Watch<'s> {
    /// When the turn began.
    pub now: Instant,
    /// When it ends at the latest.
    pub deadline: Option<Instant>,
    polled: Vec<(Polled<'s>, PollFlags, Call)>,
}

impl<'s> Watch<'s> {
    /// A turn that begins now, with nothing to wait for.
    pub(super) fn new(now: Instant) -> Self {
        Self { now, deadline: None, polled: Vec::new() }
    }

    /// Waits for something to read from a descriptor.
    pub(super) fn input(&mut self, fd: BorrowedFd<'s>, call: Call) {
        self.on(fd, PollFlags::POLLIN, call);
    }

    /// Waits for any of these on a descriptor.
    pub(super) fn on(&mut self, fd: BorrowedFd<'s>, flags: PollFlags, call: Call) {
        self.polled.push((Polled::Borrowed(fd), flags, call));
    }

    /// Waits for room to write to a descriptor.
    pub(super) fn output(&mut self, fd: Arc<OwnedFd>, call: Call) {
        self.polled.push((Polled::Shared(fd), PollFlags::POLLOUT, call));
    }

    /// Waits until a moment at the latest, if there is one.
    pub(super) fn until(&mut self, moment: Option<Instant>) {
        self.deadline = self.deadline.into_iter().chain(moment).min();
    }

    /// Waits. Returns what to call.
    pub(super) fn poll(&self) -> Vec<Call> {
        let fds = self.polled.iter().map(|(fd, flags, _)| match fd {
            Polled::Borrowed(fd) => PollFd::new(*fd, *flags),
            Polled::Shared(fd) => PollFd::new(fd.as_fd(), *flags),
        });
        let mut fds: Vec<PollFd<'_>> = fds.collect();
        if poll(&mut fds, self.timeout()).is_err() {
            // No memory, or somebody has lowered RLIMIT_NOFILE: signals and children go
            // on all the same.
            fds.truncate(1);
            let _ = poll(&mut fds, PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO));
            return self.polled.first().map(|(_, _, call)| *call).into_iter().collect();
        }
        let ready = fds.iter().zip(&self.polled);
        let ready = ready.filter(|(fd, _)| fd.revents().is_some_and(|events| !events.is_empty()));
        ready.map(|(_, (_, _, call))| *call).collect()
    }

    /// Rounded up: a wake-up before the deadline would only be followed by another.
    fn timeout(&self) -> PollTimeout {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(self.now));
        left.map_or(PollTimeout::NONE, |left| {
            let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        })
    }
}
