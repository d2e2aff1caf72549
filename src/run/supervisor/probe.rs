//! Probes: the attempts that the engine asks for, and the notifications of units.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::capture::{Found, Matcher, Sought};
use super::super::drill::Said;
use super::super::prepare::Problem;
use super::super::probe::{Closings, Failure, Over, Try, Verdict, file};
use super::super::spawn::{self, Launch};
use super::Supervisor;
use super::helper::{Duty, NotExecuted};
use super::source::{Call, Source, Watch};
use crate::config::{self, Template, Unit};
use crate::engine::{Detail, Ending, Event, Notice, Outcome, Purpose, is_scarce};
use crate::graph::UnitId;
use crate::journal::Side;
use crate::run::os::clock::now;
use crate::run::os::fd::null;
use crate::run::os::pipe::Pipe;
use crate::words::{BadAnswer, Observed};

/// The time after which the log says that a unit is not ready yet.
const SOON: Duration = Duration::from_secs(1);
/// The time for which an explanation is valid. To find one may take a look at all sockets.
const STANDS: Duration = Duration::from_millis(100);
/// The time after which the log repeats the same reason.
const AGAIN: Duration = Duration::from_secs(5);

/// A series of attempts that have failed one after another.
pub(super) struct Waiting {
    since: Instant,
    failure: Failure,
    /// The last explanation of the failure, and when it was found.
    explained: Option<(Instant, String)>,
    /// The last times at which the reason was logged, at the levels info and debug.
    told: [Option<Instant>; 2],
}

/// The state of all probes.
#[derive(Default)]
pub(super) struct Probes {
    /// The attempts under way, except those that commands make.
    tries: Vec<(UnitId, Purpose, Try)>,
    /// The probes whose last attempt has failed.
    waiting: BTreeMap<(UnitId, Purpose), Waiting>,
    /// The probes whose last attempt could not be made, for lack of processes and the like.
    untried: BTreeSet<(UnitId, Purpose)>,
    /// The connections of attempts that have finished.
    pub closings: Closings,
}

pub(super) const SOURCE: Source = Source {
    watch: Supervisor::watch_probes,
    settle: Supervisor::end_late_probes,
    postpone: Supervisor::postpone_probes,
};

impl Supervisor {
    /// Begins an attempt.
    pub(super) fn probe(&mut self, id: UnitId, purpose: Purpose) {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some((probe, timeout)) = find(unit, purpose) else { return };
        if let config::Probe::Exec(words) = probe {
            if let Err(why) = self.probe_by_command(id, purpose, words, timeout) {
                self.probed(id, purpose, Err(why.into()));
            }
            return;
        }
        let before = self.units[id.0].file_before;
        if let (config::Probe::File(path), Purpose::Ready, Some(_)) = (probe, purpose, before) {
            return self.probed(id, purpose, file::check(path, before));
        }
        match Try::begin(probe, timeout, now()) {
            Ok(begun) => self.probes.tries.push((id, purpose, begun)),
            Err(over) => self.try_over(id, purpose, over),
        }
    }

    fn probe_by_command(
        &mut self,
        id: UnitId,
        purpose: Purpose,
        command: &[Template],
        timeout: Duration,
    ) -> Result<(), Problem> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let pid = self.units[id.0].pid.map(|pid| ("TRC_PID", pid.to_string()));
        let mut launch: Launch = self.surroundings(None).command(unit, command, pid.as_slice())?;
        let Pipe { read, write } = Pipe::new()?;
        launch.streams[0] = Some(null(false)?);
        let again = write.try_clone();
        launch.streams[1] = Some(again.map_err(|_| Errno::last())?);
        launch.streams[2] = Some(write);
        self.start_helper(id, Duty::Probe(purpose), launch, Some(read), Some(now() + timeout))?;
        Ok(())
    }

    /// Handles a probe's command that has exited, or that could not be executed. `last` is its last
    /// line.
    pub(super) fn probe_command_ended(
        &mut self,
        id: UnitId,
        purpose: Purpose,
        ending: Result<Ending, NotExecuted>,
        last: String,
    ) {
        let graph = Rc::clone(&self.graph);
        let Some((config::Probe::Exec(words), _)) = find(&graph.node(id).unit, purpose) else {
            return;
        };
        let verdict = match ending {
            Ok(Ending::Code(0)) => Ok(()),
            Ok(Ending::Code(code)) => Err(BadAnswer::Exited(config::typed(words), code, last)),
            Ok(Ending::Signal(signal)) => {
                Err(BadAnswer::Killed(config::typed(words), signal, last))
            }
            Err(not) => {
                let spawn::Failure { stage, errno } = not.failure;
                let why = words.first().map(|program| not.told(&graph, id, program));
                let why = why.map_or(BadAnswer::Kernel(errno), BadAnswer::NotStarted);
                let unmade = is_scarce(stage, errno);
                return self.probed(id, purpose, Err(Failure { unmade, ..Failure::new(why) }));
            }
        };
        self.probed(id, purpose, verdict.map_err(Failure::new));
    }

    /// Handles a probe's command that took too long and was killed.
    pub(super) fn probe_command_is_late(&mut self, id: UnitId, purpose: Purpose) {
        let graph = Rc::clone(&self.graph);
        if let Some((config::Probe::Exec(words), timeout)) = find(&graph.node(id).unit, purpose) {
            let why = BadAnswer::Slow(config::typed(words), timeout);
            self.probed(id, purpose, Err(Failure::late(why)));
        }
    }

    /// Continues an attempt.
    pub(super) fn proceed(&mut self, id: UnitId, purpose: Purpose) {
        let found =
            self.probes.tries.iter().position(|(unit, what, _)| (*unit, *what) == (id, purpose));
        let Some(at) = found else { return };
        let (_, _, under_way) = self.probes.tries.swap_remove(at);
        match under_way.proceed(now()) {
            Ok(under_way) => self.probes.tries.push((id, purpose, under_way)),
            Err(over) => self.try_over(id, purpose, over),
        }
    }

    fn watch_probes<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, purpose, under_way) in &self.probes.tries {
            let (fd, flags) = under_way.fd();
            watch.on(fd, flags, Call::Probe(Self::proceed, *id, *purpose));
            watch.until(Some(under_way.deadline()));
        }
    }

    fn postpone_probes(&mut self, by: Duration) {
        self.probes.tries.iter_mut().for_each(|(_, _, under_way)| under_way.postpone(by));
    }

    /// Ends the attempts whose time is up, or lets them go on with their next address.
    fn end_late_probes(&mut self, now: Instant) {
        while let Some(at) = self.probes.tries.iter().position(|(_, _, one)| one.deadline() <= now)
        {
            let (id, purpose, under_way) = self.probes.tries.swap_remove(at);
            match under_way.late(now) {
                Ok(under_way) => self.probes.tries.push((id, purpose, under_way)),
                Err(over) => self.try_over(id, purpose, over),
            }
        }
    }

    /// Notes the state of the file by which a unit will be ready, before the unit starts: a file
    /// that an earlier start has left says nothing about this one.
    pub(super) fn note_file(&mut self, id: UnitId, unit: &Unit) {
        self.units[id.0].file_before = match find(unit, Purpose::Ready) {
            Some((config::Probe::File(path), _)) => file::Stamp::of(path),
            Some(_) | None => None,
        };
    }

    /// Abandons a unit's attempts, because their results no longer matter.
    pub(super) fn stop_probes(&mut self, id: UnitId) {
        self.probes.waiting.retain(|(unit, _), _| *unit != id);
        let closings = &mut self.probes.closings;
        for (_, _, under_way) in self.probes.tries.extract_if(.., |(unit, _, _)| *unit == id) {
            if let Some(closing) = under_way.abandon() {
                closings.push(closing, now());
            }
        }
        self.kill_helpers(id, |duty| matches!(duty, Duty::Probe(_)));
    }

    fn try_over(&mut self, id: UnitId, purpose: Purpose, over: Over) {
        // The connection is closed while everything else goes on.
        if let Some(closing) = over.closing {
            self.probes.closings.push(closing, now());
        }
        self.probed(id, purpose, over.verdict);
    }

    fn probed(&mut self, id: UnitId, purpose: Purpose, verdict: Verdict) {
        if verdict.as_ref().is_err_and(|failure| failure.unmade) {
            self.cannot_try(id, purpose, &verdict);
        } else {
            self.probes.untried.remove(&(id, purpose));
        }
        let (outcome, why) = match verdict {
            Ok(()) => {
                self.probes.waiting.remove(&(id, purpose));
                (Outcome::Passed, None)
            }
            Err(failure) => {
                let outcome = failure.outcome();
                (outcome, Some(Detail::Words(self.not_yet(id, purpose, failure))))
            }
        };
        self.events.push_back(Event::Probed { unit: id, purpose, outcome, why });
    }

    /// Handles an attempt that has failed: logs each new reason, and from time to time that the
    /// reason is still the same. Returns the reason.
    fn not_yet(&mut self, id: UnitId, purpose: Purpose, failure: Failure) -> String {
        let now = now();
        let waiting = self.probes.waiting.entry((id, purpose)).or_insert_with(|| Waiting {
            since: now,
            failure: failure.clone(),
            explained: None,
            told: [None; 2],
        });
        if waiting.failure != failure {
            (waiting.failure, waiting.explained, waiting.told) = (failure, None, [None; 2]);
        }
        let why = match waiting.explained.take() {
            Some((at, why)) if now < at + STANDS => (at, why),
            Some(_) | None => (now, waiting.failure.clone().explained().to_string()),
        };
        let (_, why) = waiting.explained.insert(why).clone();
        // The engine has already reported what is unhealthy.
        let long = purpose == Purpose::Ready && now >= waiting.since + SOON;
        let due = waiting.told.map(|told| told.is_none_or(|told| now >= told + AGAIN));
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        match due {
            [true, _] if long => {
                waiting.told = [Some(now); 2];
                self.drill(|drill, run| drill.waiting(run, id, &why));
                self.observed(&Observed::NotReadyYet(id, &why));
            }
            [_, true] => {
                waiting.told[1] = Some(now);
                log::debug!("{}: {why}", unit.id());
            }
            [_, false] => log::trace!("{}: {why}", unit.id()),
        }
        why
    }

    /// Logs, once in a row, that an attempt could not be made, because the end of the unit does not
    /// say so.
    fn cannot_try(&mut self, id: UnitId, purpose: Purpose, verdict: &Verdict) {
        if let Err(Failure { why, .. }) = verdict
            && self.probes.untried.insert((id, purpose))
        {
            self.observed(&Observed::NotTried(id, purpose, &why.to_string()));
        }
    }

    /// Returns the lines that trc looks for in a unit's output because of its probes. The searches of
    /// one start are clones of these, because both streams count the lines together.
    pub(super) fn matchers(unit: &Unit) -> Vec<Matcher> {
        let one = |purpose| match find(unit, purpose) {
            Some((config::Probe::Log(line), _)) => {
                let pattern = crate::regex::compile(&line.pattern).ok();
                pattern.map(|pattern| Matcher::nth(Sought::Probe(purpose), pattern, line.count))
            }
            Some(_) | None => None,
        };
        [Purpose::Ready, Purpose::Health].into_iter().filter_map(one).collect()
    }

    /// Handles lines of a unit's output that have matched.
    pub(super) fn matched(&mut self, id: UnitId, found: Vec<Found>) {
        let said = self.heard(id, found);
        if !said.is_empty() {
            self.drill(|drill, run| drill.said(run, said));
        }
    }

    /// Handles lines of a unit's output that have matched. Returns the lines that tests look for.
    pub(super) fn heard(&mut self, id: UnitId, found: Vec<Found>) -> Vec<Said> {
        let mut said = Vec::new();
        if !found.is_empty() {
            self.has_spoken(id);
        }
        if self.units[id.0].silent && !self.is_silent(id) {
            self.units[id.0].silent = false;
            self.events.push_back(Event::Learnt { unit: id, why: None });
        }
        for Found { what, line, cut } in found {
            let notice = match what {
                Sought::Probe(Purpose::Ready) => Notice::Ready,
                Sought::Probe(Purpose::Health) => Notice::Alive,
                Sought::Said(place) => {
                    said.push((place, id, line, cut));
                    continue;
                }
            };
            self.events.push_back(Event::Notified { unit: id, notice });
        }
        said
    }

    /// Returns whether a unit has written nothing to its standard output, which trc reads.
    pub(super) fn is_silent(&self, id: UnitId) -> bool {
        let mut captures = self.units[id.0].captures.iter();
        captures.any(|capture| capture.source().side() == Side::Out && capture.is_silent())
    }
}

/// Returns a unit's probe for a purpose, and the time limit of one attempt.
pub(super) fn find(unit: &Unit, purpose: Purpose) -> Option<(&config::Probe, Duration)> {
    match purpose {
        Purpose::Ready => unit.ready.as_ref().map(|ready| (&ready.probe.value, ready.timeout)),
        Purpose::Health => unit.health.as_ref().map(|health| (&health.probe.value, health.timeout)),
    }
}
