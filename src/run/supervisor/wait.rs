//! Waiting for something to happen.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::sender;
use super::super::trial::Trial;
use super::end::LOOK;
use super::{Role, Supervisor};
use crate::engine::{Event, Purpose, Sender};
use crate::graph::{Rule, UnitId};
use crate::run::os::clock::now;
use crate::run::os::fd::is_ready;
use crate::run::os::memory;
use crate::run::os::signals::Received;

/// How long the loop pauses where poll(2) itself fails, which is for want of memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Something the loop waits for.
enum Token {
    Signals,
    Progress(i32),
    Capture(UnitId, usize),
    Readiness(UnitId),
    Notify(UnitId),
    Main(UnitId),
    Try(UnitId, Purpose),
    Command(i32),
    Trial,
    Closing,
    Journal,
    Foreign,
    Oom,
}

impl Supervisor {
    /// Waits for something to happen, until `until` at the latest, and turns it into events.
    pub(super) fn wait(&mut self, until: Option<Instant>) {
        let start = now();
        let engine = if self.over { None } else { self.engine.next_deadline() };
        let engine = engine.map(|tick| self.clock.moment(tick));
        let pending = self.reporter.journal().wants_write();

        let mut tokens = Vec::new();
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let mut watch = |token: Token, fd: BorrowedFd<'_>, flags: PollFlags| {
            tokens.push(token);
            // SAFETY: the descriptors live in `self`, and nothing closes them before
            // the poll returns; the borrow is only hidden from the checker.
            let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
            fds.push(PollFd::new(fd, flags));
        };
        watch(Token::Signals, self.signals.as_fd(), PollFlags::POLLIN);
        if let Some(events) = self.oom.fd() {
            watch(Token::Oom, events, PollFlags::POLLPRI);
        }
        for (pid, child) in &self.children {
            if let Some((progress, _)) = &child.progress {
                watch(Token::Progress(*pid), progress.as_fd(), PollFlags::POLLIN);
            }
        }
        for (id, held) in self.units.iter().enumerate() {
            for (which, capture) in held.captures.iter().enumerate() {
                if let Some(fd) = capture.fd()
                    && capture.wants_read(self.reporter.journal(), start)
                {
                    watch(Token::Capture(UnitId(id), which), fd, PollFlags::POLLIN);
                }
            }
        }
        for (id, held) in self.units.iter().enumerate() {
            if let Some(fd) = &held.readiness {
                watch(Token::Readiness(UnitId(id)), fd.as_fd(), PollFlags::POLLIN);
            }
            if let Some(fd) = held.notify.as_ref().and_then(|socket| socket.fd(start)) {
                watch(Token::Notify(UnitId(id)), fd, PollFlags::POLLIN);
            }
            if let Some(main) = &held.main {
                watch(Token::Main(UnitId(id)), main.as_fd(), PollFlags::POLLIN);
            }
        }
        for (id, purpose, under_way) in &self.tries {
            let (fd, flags) = under_way.fd();
            watch(Token::Try(*id, *purpose), fd, flags);
        }
        for command in &self.commands {
            if let Some(fd) = command.fd() {
                watch(Token::Command(command.pid), fd, PollFlags::POLLIN);
            }
        }
        for (fd, flags) in self.trial.iter().flat_map(Trial::fds) {
            watch(Token::Trial, fd, flags);
        }
        for fd in self.closings.fds() {
            watch(Token::Closing, fd, PollFlags::POLLIN);
        }
        for fd in &self.foreign {
            watch(Token::Foreign, fd.as_fd(), PollFlags::POLLIN);
        }
        for fd in &pending {
            watch(Token::Journal, fd.as_fd(), PollFlags::POLLOUT);
        }

        let journal = self.reporter.journal().next_deadline(start);
        let rests = self
            .units
            .iter()
            .flat_map(|held| &held.captures)
            .filter_map(|c| c.next_deadline(start))
            .min();
        let notify = self.units.iter().filter_map(|held| held.notify.as_ref());
        let notify = notify.filter_map(|socket| socket.deadline(start)).min();
        let idle = (!self.rested).then(|| start + memory::IDLE);
        let probes = self.probes_deadline();
        let trial = self.trial.as_ref().and_then(Trial::deadline);
        let closings = self.closings.deadline();
        let look = self.looks_again().then(|| start + LOOK);
        let deadlines =
            [engine, journal, rests, notify, probes, trial, closings, until, idle, look];
        let deadline = deadlines.into_iter().flatten().min();
        // Rounded up: a wake-up before the deadline would only be followed by another.
        let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(start)) {
            None => PollTimeout::NONE,
            Some(left) => {
                let millis = left.as_micros().div_ceil(1000);
                PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX))
                    .unwrap_or(PollTimeout::MAX)
            }
        };
        let polled = poll(&mut fds, timeout);
        let ready: Vec<Token> = if polled.is_ok() {
            let happened = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let tokens = tokens.into_iter().zip(&fds).filter(|(_, fd)| happened(fd));
            tokens.map(|(token, _)| token).collect()
        } else {
            // No memory, or somebody has lowered RLIMIT_NOFILE: signals and children go
            // on all the same.
            fds.truncate(1);
            let _ = poll(&mut fds, PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO));
            vec![Token::Signals]
        };
        drop(fds);

        if ready.is_empty() && idle.is_some_and(|idle| idle <= now()) {
            self.rested = true;
            memory::let_go_of_heap();
            memory::let_go_of_code();
        }
        let engine = match self.clock.look(start, deadline, now()) {
            Some(by) => {
                self.postpone(by);
                self.events.push_back(Event::Overslept { by });
                None
            }
            None => engine,
        };
        let (mut reap, mut closing) = (look.is_some_and(|look| look <= now()), false);
        let mut mains = Vec::new();
        for token in ready {
            match token {
                Token::Signals => reap |= self.drain_signals(),
                Token::Progress(pid) => self.progress(pid),
                Token::Capture(id, which) => self.read_capture(id, which),
                Token::Readiness(id) => self.read_readiness(id),
                Token::Notify(id) => self.read_notices(id),
                Token::Main(id) => {
                    reap = true;
                    mains.push(id);
                }
                Token::Try(id, purpose) => self.proceed(id, purpose),
                Token::Command(pid) => self.read_command(pid),
                Token::Trial => self.proceed_trial(),
                Token::Closing => closing = true,
                Token::Journal => self.reporter.journal().writable(),
                Token::Oom => self.look_for_oom(0),
                Token::Foreign => self.foreign.retain(|fd| !is_ready(fd.as_fd())),
            }
        }
        if closing {
            self.closings.proceed();
        }
        self.closings.end_late(now());
        if reap {
            self.feed();
            self.reap();
        }
        for id in mains {
            self.main_ended(id);
        }
        // What has ended by now has ended in time.
        self.end_late_probes();
        self.end_late_trial();
        self.look_after_sweep();
        if engine.is_some_and(|deadline| deadline <= now()) {
            self.events.push_back(Event::Woken);
        }
    }

    /// Turns the signals that have come into events; true if a child has changed.
    pub(super) fn drain_signals(&mut self) -> bool {
        let mut received = Vec::new();
        self.signals.drain(&mut received);
        let own = std::process::id().cast_signed();
        let mut child = false;
        for one in received {
            match one.signal.number() {
                libc::SIGCHLD => child = true,
                // Caused by what trc itself wrote.
                libc::SIGPIPE | libc::SIGXFSZ if one.pid == own => {}
                _ if !self.graph.transparent && self.graph.rule(one.signal) == Rule::Ignore => {}
                _ => self
                    .events
                    .push_back(Event::Signal { signal: one.signal, sender: self.sender(&one) }),
            }
        }
        child
    }

    fn sender(&self, received: &Received) -> Sender {
        // Who sent it matters only where it stops the run; to find out takes some looks at /proc.
        if self.graph.transparent || self.graph.rule(received.signal) != Rule::Stop {
            let (pid, uid) = (received.pid, received.uid);
            return Sender { pid, uid, user: None, command: None, outside: true, unit: None };
        }
        sender::find(received, &|pid| match self.children.get(&pid)?.role {
            Role::Unit(id) => Some(id),
            Role::StopCommand(_) | Role::Probe(_) | Role::Test(_) | Role::NotStarted => None,
        })
    }

    fn read_capture(&mut self, id: UnitId, which: usize) {
        let journal = self.reporter.journal();
        if let Some(capture) = self.units[id.0].captures.get_mut(which) {
            capture.readable(journal, now());
            let matched = capture.take_matched();
            self.matched(id, matched);
        }
    }
}
