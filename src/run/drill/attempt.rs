//! Attempts of tests: a command, then all the checks, one after the other.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};

use super::trial::{Said, Source, Stream, Trial, verdict};
use super::{Drill, Run, judge};
use crate::config::{
    Asked, Check, Command, Found, Listener, Origin, Placed, Probe, State, Variables,
};
use crate::engine::{Ending, Event, Outcome};
use crate::graph::UnitId;
use crate::run::capture::{self, Capture};
use crate::run::check::{Unmet, file, tree};
use crate::run::os::clock::now;
use crate::run::os::fd::null;
use crate::run::os::pipe::Pipe;
use crate::run::os::processes;
use crate::run::prepare::{self, Problem};
use crate::run::probe::{Failure, Over, Try};
use crate::shell::{VERDICT_FD, failed_at};
use crate::words::Wrong;

/// The time to wait for a line that a test expects, if the attempt is not repeated: a request
/// causes its lines a moment after its answer.
const LINE: Duration = Duration::from_secs(5);
/// The longest time to wait for one connection or answer, if the attempt may be repeated.
const CHECK: Duration = Duration::from_secs(5);

impl Drill {
    /// Begins an attempt.
    pub(super) fn try_test(&mut self, run: &mut dyn Run, id: UnitId, limit: Duration) {
        self.announce_attempt(run, id);
        let mut trial = Trial::new(id, limit);
        // The command of an earlier attempt need not run again.
        let ran = self.ran.take().filter(|(unit, _)| *unit == id);
        let has_run = ran.is_some();
        if let Some((_, ran)) = ran {
            trial.resume(ran);
        }
        self.trial = Some(trial);
        let test = self.graph.node(id).test();
        if let Some(why) = test.and_then(|test| test.absent.clone()) {
            return self.skip(run, id, why);
        }
        if has_run || self.graph.node(id).unit.command == Command::Nothing {
            return self.go_on(run);
        }
        if let Err(problem) = self.launch_test(run, id) {
            if let Some(trial) = &mut self.trial {
                let failure = Failure::from(problem);
                trial.unmade |= failure.unmade;
                trial.ending = Some(Err(Wrong::Answer(failure.why)));
            }
            self.go_on(run);
        }
    }

    /// Ends an attempt of a test that has nothing to test.
    fn skip(&mut self, run: &mut dyn Run, id: UnitId, why: String) {
        let Some(mut trial) = self.trial.take() else { return };
        self.tried.insert(id, trial.tried(Some(why)));
        run.happened(Event::Tried { unit: id, outcome: Outcome::Skipped });
    }

    fn launch_test(&mut self, run: &mut dyn Run, id: UnitId) -> Result<(), Problem> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let surroundings = run.surroundings();
        let ready = surroundings.unit(unit)?;
        let mut launch = ready.launch;
        launch.streams[0] = match prepare::stdin(unit)? {
            None => Some(null(false)?),
            some => some,
        };
        let mut ends = Vec::new();
        let owner = launch.ids.as_ref().map(|ids| (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid)));
        for place in [1, 2] {
            let Pipe { read, write } = capture::pipe(owner)?;
            ends.push(Source::Pipe(read));
            launch.streams[place] = Some(write);
        }
        let (ours, theirs) = verdict()?;
        ends.push(ours);
        launch.descriptors.push((theirs, VERDICT_FD));
        let until = self.trial.as_ref().map(|trial| trial.deadline);
        let pid = run.start(id, launch, until)?;
        self.own(pid);
        if let Some(trial) = &mut self.trial {
            trial.pid = Some(pid);
            for (stream, end) in trial.streams.iter_mut().zip(ends) {
                stream.source = Some(end);
            }
        }
        Ok(())
    }

    /// Handles a test's command that has exited, or that could not be executed.
    pub(crate) fn command_ended(
        &mut self,
        run: &mut dyn Run,
        pid: i32,
        ending: Result<Ending, Wrong>,
    ) {
        // trc kills the processes that the command has left. Its number may be another process's by
        // now, but no other process group's while a process is in this one.
        processes::signal(-pid, libc::SIGKILL);
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.pid == Some(pid)) else {
            return;
        };
        trial.pid = None;
        trial.streams.iter_mut().for_each(Stream::read);
        for stream in &mut trial.streams {
            stream.source = None;
        }
        trial.ending.get_or_insert(ending);
        self.go_on(run);
    }

    /// Continues an attempt that something has come for.
    pub(crate) fn proceed(&mut self, run: &mut dyn Run) {
        self.go_on_with_vigil(run, now());
        let Some(trial) = &mut self.trial else { return };
        trial.streams.iter_mut().for_each(Stream::read);
        if let Some(asked) = trial.asked.take() {
            match asked.proceed(now()) {
                Ok(asked) => trial.asked = Some(asked),
                Err(over) => self.answered(run, over),
            }
        }
    }

    /// Handles a test's command that took too long and was killed. Its exit is awaited until
    /// `until`, or not at all.
    pub(crate) fn command_is_late(&mut self, run: &mut dyn Run, pid: i32, until: Option<Instant>) {
        let Some(trial) = &mut self.trial else { return };
        trial.timed_out = true;
        trial.ending.get_or_insert(Err(Wrong::Slow(trial.limit)));
        match until {
            Some(until) => trial.deadline = until,
            None => self.command_ended(run, pid, Err(Wrong::Unkillable)),
        }
    }

    /// Ends the part of an attempt that is late.
    pub(crate) fn end_late(&mut self, run: &mut dyn Run, time: Instant) {
        self.go_on_with_vigil(run, time);
        let Some(trial) = &mut self.trial else { return };
        if let Some((until, awaited @ true)) = &mut trial.line
            && *until <= time
        {
            *awaited = false;
            return self.go_on(run);
        }
        if let Some(asked) = trial.asked.take_if(|asked| asked.deadline() <= time) {
            match asked.late(time) {
                Ok(asked) => trial.asked = Some(asked),
                Err(over) => self.answered(run, over),
            }
        }
    }

    /// Abandons a test, because its result no longer matters.
    pub(crate) fn stop(&mut self, run: &mut dyn Run, id: UnitId) {
        if let Some(mut trial) = self.trial.take_if(|trial| trial.unit == id) {
            run.kill(id);
            if let Some(closing) = trial.asked.take().and_then(Try::abandon) {
                run.close(closing);
            }
            // The results so far say where the test hung.
            trial.streams.iter_mut().for_each(Stream::read);
            self.tried.insert(id, trial.tried(None));
        }
    }

    fn answered(&mut self, run: &mut dyn Run, over: Over) {
        if let Some(closing) = over.closing {
            run.close(closing);
        }
        let verdict = over.verdict;
        let graph = Rc::clone(&self.graph);
        if let Some(trial) = &mut self.trial {
            let checks = graph.node(trial.unit).test().map(|test| test.checks.as_slice());
            if let Some(check) = checks.and_then(|checks| checks.get(trial.at)) {
                trial.timed_out |= verdict.as_ref().is_err_and(|failure| failure.timed_out);
                trial.unmade |= verdict.as_ref().is_err_and(|failure| failure.unmade);
                let result = verdict.map_err(|failure| Wrong::Answer(failure.explained()));
                trial.note(check.value.to_string(), result);
            }
            trial.at += 1;
        }
        self.go_on(run);
    }

    /// Makes the checks one after the other, until one has to be waited for.
    fn go_on(&mut self, run: &mut dyn Run) {
        let graph = Rc::clone(&self.graph);
        loop {
            let Some(trial) = &mut self.trial else { return };
            let Some(test) = graph.node(trial.unit).test() else { return };
            let Some(Placed { value: check, origin }) = test.checks.get(trial.at) else { break };
            let left =
                trial.deadline.saturating_duration_since(now()).max(Duration::from_millis(100));
            // If the attempt is repeated, somebody may answer the next time.
            let patience = if test.within.is_some() { left.min(CHECK) } else { left };
            let check = match check {
                Check::Asked(asked) => {
                    let begun = match asked {
                        Asked::File(file) => Try::aside(|| file::check(file), left, now()),
                        Asked::Tree(tree) => Try::aside(|| tree::check(tree), left, now()),
                        Asked::Dns(check) => Try::begin_dns(check, patience, now()),
                        Asked::Http(check) => Try::begin_http(check, patience, now()),
                        Asked::Tcp(to) => Try::begin(&Probe::Tcp(to.clone()), patience, now()),
                        Asked::Unix(path) => {
                            Try::begin(&Probe::Unix(path.clone()), patience, now())
                        }
                    };
                    match begun {
                        Ok(asked) => trial.asked = Some(asked),
                        Err(over) => self.answered(run, over),
                    }
                    return;
                }
                Check::Found(check) => check,
            };
            // A verdict says more than an exit status that nobody has asked for.
            let ended = matches!(trial.ending, Some(Ok(Ending::Code(_))));
            let implied = *origin == Origin::Default && ended && trial.verdict().is_some();
            let units = match check {
                Found::Said { .. } => self.lines.units_of(trial.unit),
                Found::MaxLogRate(_) => graph.node(trial.unit).about.clone(),
                _ => Vec::new(),
            };
            self.catch_up(run, &units);
            if matches!(check, Found::Said { forbidden: false, .. })
                && test.within.is_none()
                && self.awaits_line(run)
            {
                return;
            }
            if !implied {
                let result = self.check(run, check);
                if let Some(trial) = &mut self.trial {
                    // A command that does not run again says nothing else.
                    let of_command =
                        matches!(check, Found::Exit(_) | Found::Stdout(_) | Found::Stderr(_));
                    let last = test.once && test.within.is_some() && trial.was_started();
                    trial.hopeless |= result.is_err() && of_command && last;
                    trial.hopeless |= result.as_ref().is_err_and(|unmet| unmet.for_good);
                    trial.note(check.to_string(), result.map_err(|unmet| unmet.why));
                }
            }
            if let Some(trial) = &mut self.trial {
                trial.at += 1;
            }
        }
        self.end_try(run);
    }

    /// Returns whether the next line is one to wait for: there is time left, and a unit that may
    /// still write the line.
    fn awaits_line(&mut self, run: &dyn Run) -> bool {
        let Some(trial) = &mut self.trial else { return false };
        let units = self.lines.units_of(trial.unit);
        let writes = |id: &UnitId| {
            let mut captures = run.captures(*id).iter();
            run.pid(*id).is_some() || captures.any(|capture| !capture.has_ended())
        };
        let until = trial.line.map_or_else(|| (now() + LINE).min(trial.deadline), |line| line.0);
        let said = self.lines.line(trial.unit, trial.at).is_some();
        let awaited = !said && now() < until && units.iter().any(writes);
        trial.line = Some((until, awaited));
        awaited
    }

    /// Continues a test that waits for a line, if the line has come.
    pub(super) fn line_came(&mut self, run: &mut dyn Run) {
        if let Some(trial) = &mut self.trial
            && let Some((_, awaited @ true)) = &mut trial.line
            && self.lines.line(trial.unit, trial.at).is_some()
        {
            *awaited = false;
            self.go_on(run);
        }
    }

    /// Makes a check that needs no waiting.
    fn check(&mut self, run: &dyn Run, check: &Found) -> Result<(), Unmet> {
        let Some(trial) = &self.trial else { return Ok(()) };
        let now = match check {
            Found::Exit(statuses) => match &trial.ending {
                Some(Ok(ending)) if statuses.contains(&ending.status()) => Ok(()),
                Some(Ok(Ending::Code(code))) => {
                    let script = match &self.graph.node(trial.unit).unit.command {
                        Command::Script(text) => Some(text.as_bytes()),
                        Command::File(_)
                        | Command::Exec(_)
                        | Command::Words(_)
                        | Command::Nothing => None,
                    };
                    let place = failed_at(&trial.streams[2].bytes, script);
                    Err(Wrong::Exited(*code, place, trial.last_output()))
                }
                Some(Ok(Ending::Signal(signal))) => {
                    Err(Wrong::KilledBy(*signal, trial.last_output()))
                }
                Some(Err(why)) => Err(why.clone()),
                None => Err(Wrong::NotRun),
            },
            Found::Stdout(pattern) => trial.streams[0].check(pattern),
            Found::Stderr(pattern) => trial.streams[1].check(pattern),
            Found::Said { forbidden, .. } => {
                let line = self.lines.line(trial.unit, trial.at);
                match (line, forbidden) {
                    (Some(_), false) | (None, true) => Ok(()),
                    // A line that was written stays written.
                    (Some(line), true) => {
                        return Err(Unmet::for_good(Wrong::Printed(line.to_owned())));
                    }
                    (None, false) => {
                        Err(Wrong::NoLine(run.kept_back(&self.lines.units_of(trial.unit))))
                    }
                }
            }
            Found::ReadyWithin(most) => return self.ready_within(trial.unit, *most),
            Found::MaxLogRate(most) => {
                let test = trial.unit;
                return self.max_log_rate(run, test, *most).map_err(Unmet::from);
            }
            Found::Now(state) => {
                let about = match state {
                    State::Variables(Variables { unit: Some(unit), .. })
                    | State::Listener(Listener { unit, .. }) => self.named(run, &unit.value),
                    _ => self.about(run, trial.unit),
                };
                return judge::judge(state, &about);
            }
        };
        now.map_err(Unmet::from)
    }

    /// Returns the units that a test is about and that have run, with their processes.
    fn about(&self, run: &dyn Run, id: UnitId) -> Vec<judge::About> {
        let units = self.graph.node(id).about.iter().map(|id| self.one(run, *id));
        units.filter(|unit| unit.group.is_some() || unit.used.is_some()).collect()
    }

    /// Returns the unit with this full name.
    fn named(&self, run: &dyn Run, name: &str) -> Vec<judge::About> {
        let ids = self.graph.ids().filter(|id| self.graph.node(*id).unit.id() == name);
        ids.map(|id| self.one(run, id)).collect()
    }

    fn one(&self, run: &dyn Run, id: UnitId) -> judge::About {
        let pid = run.pid(id);
        judge::About {
            name: self.graph.node(id).unit.id(),
            pid,
            group: run.group(id).or(pid),
            used: self.used.get(&id).copied(),
        }
    }

    /// Checks how many lines each unit that a test is about has written since the first of the attempts
    /// that have all passed.
    fn max_log_rate(&mut self, run: &dyn Run, test: UnitId, most: u64) -> Result<(), Wrong> {
        let name = |id: &UnitId| self.graph.node(*id).unit.id();
        let mut counts = BTreeMap::new();
        for id in &self.graph.node(test).about {
            let captures = run.captures(*id);
            if captures.is_empty() && run.pid(*id).is_some() {
                return Err(Wrong::Uncounted(name(id)));
            }
            counts.insert(*id, captures.iter().map(Capture::lines).sum::<u64>());
        }
        let (since, before) = self.counted.entry(test).or_insert((now(), counts.clone()));
        let took = now().saturating_duration_since(*since);
        // A program may write a few lines at once.
        let allowed = took.as_secs().max(1).saturating_mul(most);
        let written = |(id, now): (&UnitId, &u64)| {
            let lines = now.saturating_sub(before.get(id).copied().unwrap_or_default());
            (lines > allowed).then(|| Wrong::Wrote(name(id), lines, took))
        };
        Wrong::all(counts.iter().filter_map(written).collect())
    }

    /// Checks how long after their starts the units that a test is about were ready. A unit's time
    /// does not change until its next start.
    fn ready_within(&self, id: UnitId, most: Duration) -> Result<(), Unmet> {
        let about = &self.graph.node(id).about;
        let with_check: Vec<UnitId> =
            about.iter().filter(|id| self.graph.node(**id).unit.ready.is_some()).copied().collect();
        if with_check.is_empty() {
            return Err(Unmet::for_good(Wrong::NoReadiness));
        }
        let after = |id: UnitId| (self.graph.node(id).unit.id(), self.ready.get(&id).copied());
        let late: Vec<_> = with_check
            .into_iter()
            .map(after)
            .filter(|(_, after)| after.is_none_or(|after| after > most))
            .collect();
        if late.is_empty() {
            return Ok(());
        }
        let for_good = late.iter().all(|(_, after)| after.is_some());
        Err(Unmet { why: Wrong::NotReady(late), for_good })
    }

    /// Ends an attempt whose checks have all been made.
    pub(super) fn end_try(&mut self, run: &mut dyn Run) {
        let vigil = self.vigil.as_ref();
        if let (Some(vigil), Some(trial)) = (vigil, &mut self.trial)
            && vigil.test == trial.unit
        {
            // A request that is under way has to get its answer.
            trial.waits = vigil.is_busy();
            if trial.waits {
                return;
            }
            let (name, result) = vigil.judge();
            trial.hopeless |= result.is_err();
            trial.note(name, result);
        }
        let Some(mut trial) = self.trial.take() else { return };
        let verdict = trial.verdict();
        let mut skipped = None;
        let test = self.graph.node(trial.unit).test();
        let once = test.is_some_and(|test| test.once);
        trial.hopeless |= once && matches!(verdict, Some(Said::Fail(_)));
        match verdict {
            Some(Said::Pass) => trial.note("its own verdict".to_owned(), Ok(())),
            Some(Said::Fail(why)) => {
                trial.note("its own verdict".to_owned(), Err(Wrong::Reported(why)));
            }
            Some(Said::Skip(why)) => skipped = Some(why),
            None => {}
        }
        if let Some(victim) = self.graph.node(trial.unit).victim
            && self.doomed.is_some_and(|pid| run.pid(victim) == Some(pid))
        {
            let name = self.graph.node(victim).unit.id();
            trial.note(format!("{name} is up again"), Err(Wrong::StillThere));
        }
        let passed = trial.points.iter().all(|point| point.passed);
        // A test that has failed a check cannot skip itself.
        skipped = skipped.filter(|_| passed && !trial.timed_out);
        if !passed {
            self.counted.remove(&trial.unit);
        }
        let outcome = match (&skipped, passed, trial.timed_out) {
            (Some(_), ..) => Outcome::Skipped,
            (None, true, _) => Outcome::Passed,
            (None, false, _) if trial.hopeless => Outcome::Hopeless,
            (None, false, true) => Outcome::TimedOut,
            (None, false, false) if trial.unmade => Outcome::NotMade,
            (None, false, false) => Outcome::Failed,
        };
        self.tried.insert(trial.unit, trial.tried(skipped));
        self.ran = trial.ran().filter(|_| once).map(|ran| (trial.unit, ran));
        run.happened(Event::Tried { unit: trial.unit, outcome });
    }
}
