//! The sweep: ending whatever is left, whoever's it was, and waiting for its end.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::engine::Event;
use crate::run::os::fd::{is_ready, pidfd};
use crate::run::os::{children, kin, processes};
use crate::signal::Signal;

/// How often what is left is looked for where its end is told to nobody.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// What is left, and waited for.
pub(super) struct Sweep {
    /// What it was sent, while its end is waited for.
    pub signal: Option<Signal>,
    /// As PID 1, those that came in from outside: their ends are told to others.
    foreign: Vec<OwnedFd>,
    /// When it was looked for last although nobody told of it.
    looked: Instant,
    /// What has survived it.
    pub survivors: Vec<i32>,
}

impl Sweep {
    /// None so far.
    pub(super) fn new(now: Instant) -> Self {
        Self { signal: None, foreign: Vec::new(), looked: now, survivors: Vec::new() }
    }

    /// Whether what is left has to be looked for although nobody tells of it: what `/proc` hid
    /// for a moment, when KILL was sent to all that it showed. That lasts until the engine gives
    /// up.
    pub(super) fn kills(&self) -> bool {
        self.signal == Some(Signal::KILL)
    }
}

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::look_after_sweep, ..Source::new(Supervisor::watch_sweep) };

impl Supervisor {
    /// Sends a signal to whatever is left, and waits for its end.
    pub(super) fn begin_sweep(&mut self, signal: Signal) {
        if std::process::id() == 1 && processes::signal(-1, 0) {
            self.sweep.foreign =
                kin::outsiders().into_iter().filter_map(|pid| pidfd(pid).ok()).collect();
        }
        if self.nothing_left() {
            self.events.push_back(Event::NothingLeft);
            return;
        }
        processes::signal_all(signal.number(), &self.writers());
        processes::signal_all(libc::SIGCONT, &self.writers());
        self.sweep.signal = Some(signal);
    }

    fn watch_sweep<'s>(&'s self, watch: &mut Watch<'s>) {
        for fd in &self.sweep.foreign {
            let gone = |it: &mut Self| it.sweep.foreign.retain(|fd| !is_ready(fd.as_fd()));
            watch.input(fd.as_fd(), Call::Once(gone));
        }
        watch.until(self.sweep.kills().then(|| self.sweep.looked + LOOK));
    }

    /// Says so when nothing is left that is waited for.
    fn look_after_sweep(&mut self, now: Instant) {
        if self.sweep.kills() && now >= self.sweep.looked + LOOK {
            self.sweep.looked = now;
            self.feed();
            self.reap();
        }
        if self.sweep.signal.is_some() && self.nothing_left() {
            self.sweep.signal = None;
            self.events.push_back(Event::NothingLeft);
        }
    }

    /// No more of it, whatever is left: that is remembered for the last line.
    pub(super) fn sweep_over(&mut self) {
        self.sweep.signal = None;
        if !self.nothing_left() {
            let mut left = kin::in_care();
            let writers = self.writers();
            left.retain(|pid| !writers.contains(pid));
            self.sweep.survivors = processes::living(left);
        }
        self.sweep.foreign.clear();
    }

    /// The children that write trc's output where nothing else is safe, if there are any.
    pub(super) fn writers(&self) -> Vec<i32> {
        self.reporter.journal().writer_pids()
    }

    pub(super) fn nothing_left(&mut self) -> bool {
        let writers = self.writers();
        if writers.is_empty() && std::process::id() == 1 && !processes::signal(-1, 0) {
            return true;
        }
        self.sweep.foreign.retain(|fd| !is_ready(fd.as_fd()));
        let children = if writers.is_empty() {
            children::has_children()
        } else {
            kin::descendants().iter().any(|pid| !writers.contains(pid))
        };
        !children && self.sweep.foreign.is_empty()
    }
}
