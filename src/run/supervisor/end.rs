//! The end of the run: the last processes, the last lines and the exit status.

use std::time::{Duration, Instant};

use super::super::capture::Capture;
use super::super::stream::FLUSH_FOR;
use super::super::termination;
use super::sweep::LOOK;
use super::{Supervisor, flush_deadline};
use crate::config::{Termination, reason};
use crate::engine::{Cause, Reason};
use crate::graph::UnitId;
use crate::run::os::clock::now;
use crate::run::os::{kin, private, processes};
use crate::signal::Signal;
use crate::words::{self, Observed, Why};

/// The least time that processes have to exit after SIGKILL, however little time is left.
const DYING: Duration = Duration::from_millis(100);

/// The state of the run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// The engine decides what happens.
    Goes,
    /// The engine has ended the run with this exit status.
    Ends(u8),
    /// The last processes are being killed and the last lines are being written.
    Over,
    /// The same after a panic, when the engine cannot be trusted.
    Abandoned,
}

impl Supervisor {
    /// Ends everything after a panic, as well as that can be done without the engine.
    pub(crate) fn abandon(&mut self) {
        self.course = Course::Abandoned;
        processes::signal_all(libc::SIGTERM, &self.writers());
        processes::signal_all(libc::SIGCONT, &self.writers());
        private::remove();
        self.control = None;
        self.syslog = None;
        self.outlive(crate::graph::STOP_TIMEOUT);
        self.end_all(crate::engine::UNKILLABLE_AFTER);
        // Whoever looks for the bug needs the event that has led to it.
        if let Some((at, event)) = self.stepping.take() {
            self.record_step(at, &event, &[]);
        }
        self.write_record();
        self.reporter.journal().flush_at_exit(self.last_flush());
    }

    /// Returns the reason why the run ends, in one line, with the last output of the unit
    /// concerned.
    pub(super) fn reason_text(&self) -> String {
        self.text_of(self.engine.reason())
    }

    /// Returns a reason in one line, with the last output of the unit concerned.
    pub(super) fn text_of(&self, reason: Option<Reason>) -> String {
        let Some(reason) = reason else { return String::new() };
        let mut text = words::reason::reason(&self.engine, &reason);
        let root = reason.behind.last().map(|link| link.unit);
        let root = root.filter(|id| {
            words::reason::has_chain(&self.engine, &reason) && !self.last_lines(*id).is_empty()
        });
        if let Some(id) = root {
            let whose = self.graph.node(id).unit.id();
            text.push_str(&words::last_output(Some(&whose), &self.last_lines(id)));
        } else if let Some(id) = reason.first_failure {
            // The reason of a test run is about the tests, so the output needs the name of its
            // unit.
            let tested = reason.cause == Cause::Tested;
            let whose = tested.then(|| self.graph.node(id).unit.id());
            text.push_str(&words::last_output(whose.as_deref(), &self.last_lines(id)));
        }
        text
    }

    /// Returns the last lines of a unit's output.
    pub(super) fn last_lines(&self, id: UnitId) -> Vec<String> {
        let tails = self.units[id.0].captures.iter().rev().map(Capture::tail);
        tails.flatten().filter(|line| words::says(line)).collect()
    }

    /// Ends the run: kills everything that trc is responsible for, writes the last line, which says
    /// why, and returns the exit status.
    pub(super) fn finish(&mut self, status: u8) -> u8 {
        self.course = Course::Over;
        let mut survivors = self.end_all(self.patience());
        if survivors.is_empty() {
            survivors = processes::living(std::mem::take(&mut self.sweep.survivors));
        }
        let mut until = self.last_flush();
        let journal = self.reporter.journal();
        for capture in self.units.iter_mut().flat_map(|held| &mut held.captures) {
            if !capture.finish(journal, until) {
                // Nobody reads the output, so the next capture does not wait for a reader.
                until = until.min(now());
            }
        }
        self.end_syslog();
        self.files.values().for_each(|file| file.finish());
        private::remove();
        let status = self.drill(|drill, run| drill.report(run, status)).unwrap_or(status);
        self.observed(&Observed::Over(status));
        let mut last = None;
        if !self.graph.transparent && (status != 0 || !survivors.is_empty()) {
            let own = self.engine.status();
            let command = |pid| (pid, processes::command(pid).unwrap_or_default());
            let why = Why {
                unwritten: self.drill.as_ref().map_or(Vec::new(), |it| it.unwritten().to_vec()),
                reason: self.reason_text(),
                mapped: (status != own).then_some((status, own)),
                survivors: survivors.into_iter().map(command).collect(),
            };
            let termination = self.loaded.config.log.termination.clone();
            if let Some(path) = termination.path()
                && let Err(error) = termination::log(path, &why.text())
                && termination != Termination::Usual
            {
                self.observed(&Observed::NoTermination(path, &reason(&error)));
            }
            self.observed(&Observed::Why(&why));
            last = Some(why);
        }
        self.record_end(status, last);
        self.end_control();
        self.reporter.journal().flush_at_exit(self.last_flush());
        status
    }

    /// Returns the time that is left of the budget of a stop from outside, if there is one.
    fn left(&self) -> Option<Duration> {
        let end = self.clock.moment(self.engine.budget_end()?);
        Some(end.saturating_duration_since(now()))
    }

    /// Returns how long the remaining processes have to exit after SIGKILL, once the engine has
    /// ended the run.
    fn patience(&self) -> Duration {
        let most = crate::engine::UNKILLABLE_AFTER;
        self.left().map_or(most, |left| left.clamp(DYING, most))
    }

    /// Returns the moment at which trc stops waiting for readers of the last lines: the end of the
    /// budget, or a fixed time from now. A test run ignores the budget, because it exists for
    /// its report.
    fn last_flush(&self) -> Instant {
        let left = self.left().filter(|_| self.drill.is_none());
        let left = left.map(|left| now() + left.max(FLUSH_FOR));
        left.into_iter().chain([flush_deadline()]).min().unwrap_or_else(now)
    }

    /// Kills the remaining processes, and reaps them for as long as `patience`. If trc is PID 1,
    /// the kernel does that when trc exits. Returns the survivors.
    fn end_all(&mut self, patience: Duration) -> Vec<i32> {
        if std::process::id() == 1 || self.nothing_left() {
            return Vec::new();
        }
        self.sweep.signal = Some(Signal::KILL);
        processes::signal_all(libc::SIGKILL, &self.writers());
        self.outlive(patience);
        self.sweep.signal = None;
        if self.nothing_left() { Vec::new() } else { processes::living(kin::descendants()) }
    }

    /// Returns whether SIGKILL may still terminate a remaining process. The processes that survived
    /// it in the sweep have had their time.
    fn awaits_an_end(&mut self) -> bool {
        if self.nothing_left() {
            return false;
        }
        if self.sweep.survivors.is_empty() {
            return true;
        }
        let mut left = processes::living(kin::descendants());
        left.retain(|pid| !self.sweep.survivors.contains(pid) && !self.writers().contains(pid));
        !left.is_empty()
    }

    /// Reaps until no process is left that may exit, for as long as `patience`.
    fn outlive(&mut self, patience: Duration) {
        let until = now() + patience;
        while self.awaits_an_end() && now() < until {
            self.wait(Some((now() + LOOK).min(until)));
            self.reap();
            self.events.clear();
        }
    }
}
