//! The things that the loop waits for. A source is defined in one place: the descriptors that it
//! polls, the moment until which it waits, what it does then, and how its deadlines move if trc
//! itself was kept from running. A new source is a file with a [`Source`], and a line in
//! [`SOURCES`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Supervisor;
use crate::engine::Purpose;
use crate::graph::UnitId;

/// The time for which the loop pauses if poll(2) itself fails, for lack of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Something that the loop waits for.
pub(super) struct Source {
    /// Adds the descriptors and the moment that the source waits for from now on.
    pub watch: for<'s> fn(&'s Supervisor, &mut Watch<'s>),
    /// Does what is late at this moment, and what was put off until all descriptors were served.
    pub settle: fn(&mut Supervisor, Instant),
    /// Postpones the source's deadlines by the time for which trc could not look at anything.
    pub postpone: fn(&mut Supervisor, Duration),
}

impl Source {
    /// Returns a source that acts only when its descriptors are ready.
    pub(super) const fn new(watch: for<'s> fn(&'s Supervisor, &mut Watch<'s>)) -> Self {
        Self { watch, settle: |_, _| {}, postpone: |_, _| {} }
    }
}

/// The function to call when a descriptor is ready.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// A source of which there is one.
    Once(fn(&mut Supervisor)),
    /// A source of a unit.
    Unit(fn(&mut Supervisor, UnitId), UnitId),
    /// One of the outputs of a unit.
    Output(fn(&mut Supervisor, UnitId, usize), UnitId, usize),
    /// A source of a process.
    Process(fn(&mut Supervisor, i32), i32),
    /// A client of the control socket.
    Client(fn(&mut Supervisor, u32), u32),
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
            Self::Client(call, client) => call(supervisor, client),
            Self::Probe(call, unit, purpose) => call(supervisor, unit, purpose),
        }
    }
}

/// A descriptor that is polled.
enum Polled<'s> {
    Borrowed(BorrowedFd<'s>),
    /// A descriptor that might be closed in the meantime.
    Shared(Arc<OwnedFd>),
}

/// The things that one turn of the loop waits for.
pub(super) struct Watch<'s> {
    /// The moment at which the turn began.
    pub now: Instant,
    /// The latest moment at which the turn ends.
    pub deadline: Option<Instant>,
    polled: Vec<(Polled<'s>, PollFlags, Call)>,
}

impl<'s> Watch<'s> {
    /// Returns a turn that begins now, and waits for nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { now, deadline: None, polled: Vec::new() }
    }

    /// Waits for something to read from a descriptor.
    pub(super) fn input(&mut self, fd: BorrowedFd<'s>, call: Call) {
        self.on(fd, PollFlags::POLLIN, call);
    }

    /// Waits for any of these flags on a descriptor.
    pub(super) fn on(&mut self, fd: BorrowedFd<'s>, flags: PollFlags, call: Call) {
        self.polled.push((Polled::Borrowed(fd), flags, call));
    }

    /// Waits for room to write to a descriptor.
    pub(super) fn output(&mut self, fd: Arc<OwnedFd>, call: Call) {
        self.polled.push((Polled::Shared(fd), PollFlags::POLLOUT, call));
    }

    /// Waits until this moment at the latest, if there is one.
    pub(super) fn until(&mut self, moment: Option<Instant>) {
        self.deadline = self.deadline.into_iter().chain(moment).min();
    }

    /// Waits. Returns the functions to call.
    pub(super) fn poll(&self) -> Vec<Call> {
        let fds = self.polled.iter().map(|(fd, flags, _)| match fd {
            Polled::Borrowed(fd) => PollFd::new(*fd, *flags),
            Polled::Shared(fd) => PollFd::new(fd.as_fd(), *flags),
        });
        let mut fds: Vec<PollFd<'_>> = fds.collect();
        if poll(&mut fds, self.timeout()).is_err() {
            // There is no memory, or somebody has lowered RLIMIT_NOFILE. Signals and children go on
            // all the same.
            fds.truncate(1);
            let _ = poll(&mut fds, PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO));
            return self.polled.first().map(|(_, _, call)| *call).into_iter().collect();
        }
        let ready = fds.iter().zip(&self.polled);
        let ready = ready.filter(|(fd, _)| fd.revents().is_some_and(|events| !events.is_empty()));
        ready.map(|(_, (_, _, call))| *call).collect()
    }

    /// Returns the timeout, rounded up: a wake-up before the deadline would only cause another
    /// turn.
    fn timeout(&self) -> PollTimeout {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(self.now));
        left.map_or(PollTimeout::NONE, |left| {
            let millis = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        })
    }
}
