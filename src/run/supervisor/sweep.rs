//! The sweep: trc signals every process that is left, no matter whose it was, and waits for their
//! exits.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::engine::Event;
use crate::run::os::fd::{is_ready, pidfd};
use crate::run::os::{children, kin, processes};
use crate::signal::Signal;

/// The interval at which trc looks for processes whose exits nothing reports.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The state of the sweep.
pub(super) struct Sweep {
    /// The signal that was sent, while trc waits for the exits.
    pub signal: Option<Signal>,
    /// If trc is PID 1, the processes that came in from outside, whose exits are reported to
    /// others.
    foreign: Vec<OwnedFd>,
    /// The last time that trc looked for processes although nothing was reported.
    looked: Instant,
    /// The processes that have survived the sweep.
    pub survivors: Vec<i32>,
}

impl Sweep {
    /// Returns a sweep that has not begun.
    pub(super) fn new(now: Instant) -> Self {
        Self { signal: None, foreign: Vec::new(), looked: now, survivors: Vec::new() }
    }

    /// Returns whether trc has to look for processes although nothing reports them: `/proc` may
    /// have hidden some for a moment, when SIGKILL was sent to all that it showed. That lasts until
    /// the engine gives up.
    pub(super) fn kills(&self) -> bool {
        self.signal == Some(Signal::KILL)
    }
}

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::look_after_sweep, ..Source::new(Supervisor::watch_sweep) };

impl Supervisor {
    /// Sends a signal to every process that is left, and waits for their exits.
    pub(super) fn begin_sweep(&mut self, signal: Signal) {
        if std::process::id() == 1 && processes::signal(-1, 0) {
            self.sweep.foreign =
                kin::outsiders().into_iter().filter_map(|pid| pidfd(pid).ok()).collect();
        }
        if self.nothing_left() {
            self.events.push_back(Event::NothingLeft);
            return;
        }
        // An interactive shell ignores SIGTERM.
        self.hang_up_all();
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

    /// Reports that no process is left, once that is so.
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

    /// Ends the sweep, whatever is left, and remembers the survivors for the last line.
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

    /// Returns the children that write trc's output if nothing else is safe.
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
