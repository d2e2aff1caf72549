//! The witness's findings in a test run, apart from failed tests, and the result of the run.

use super::super::build::Built;
use super::super::drill::{Point, Test};
use super::super::marks::Mark;
use super::super::plan::ms;
use super::{Phase, Stand, Verdict, Witness, expect};
use crate::config::{OnFailure, Stage, WaitPolicy};
use crate::engine::{Ending, Finding, Lack, Late, Tick};
use crate::signal::Signal;

/// The time that leftovers of a unit have to exit by themselves.
pub(in crate::simulation) const LINGER: Tick = Tick::from_millis(200);

/// The signals that terminate a process only if it is at fault.
pub(in crate::simulation) const CRASHES: [i32; 6] =
    [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS];

/// A finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::simulation) enum Found {
    Ended(usize),
    Restarted(usize),
    Killed(usize),
    StopCommand(usize),
    PostStop(usize),
    Orphaned(usize),
    Escaped(usize),
    Cut(usize),
    Late(usize, Late),
    Orphans,
    Sessions,
    Zombies,
    StopStatus(usize),
    NotAsTold(usize),
    Slow,
    OomKilled,
    NotUp(usize, Lack),
}

/// The state of a test run.
#[derive(Default, Debug)]
pub(in crate::simulation) struct Tested {
    pub found: Vec<Found>,
    /// The number of restarts so far.
    pub restarts: u32,
    pub look: Look,
    /// Whether the end of the last test stopped the run.
    pub through: bool,
    /// Whether the boot scripts have left an invalid command line.
    pub unsettled: bool,
    /// The signal of a fault, which has to be sent at once: the unit, and whether it goes to the
    /// process group.
    pub blow: Option<(usize, bool, Signal)>,
    /// The unit that a test has suspended, and that has to be continued now.
    pub goes_on: Option<usize>,
    /// The state of the search for what remains.
    pub left: Left,
    /// The units that tests have waited for until it was too late.
    pub in_vain: Vec<usize>,
    /// The end of the grace period.
    pub stop_by: Option<Tick>,
    /// The time until which trc waits for all units to be at rest.
    pub rest_by: Option<Tick>,
}

/// The searches for zombies after the last test.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(in crate::simulation) enum Look {
    #[default]
    NotYet,
    Owed,
    Asked,
    Again(Tick),
    OwedAgain,
    AskedAgain,
    Over,
}

/// The searches for what remains when every unit has exited.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(in crate::simulation) enum Left {
    #[default]
    NotYet,
    Asked,
    /// What remains may exit by itself until then.
    Lingers(Tick),
    AskedAgain,
    /// What is left now is a finding, and is swept away.
    Judged,
}

impl Witness<'_> {
    pub(in crate::simulation) fn find(&mut self, found: Found) {
        if self.testing() && !self.ended && !self.tested.found.contains(&found) {
            self.tested.found.push(found);
            self.mark(match found {
                Found::Ended(_) => Mark::FoundAnEnd,
                Found::Restarted(_) => Mark::FoundARestart,
                Found::Killed(_) => Mark::FoundAKill,
                Found::StopCommand(_) => Mark::FoundAStopCommand,
                Found::PostStop(_) => Mark::FoundAPostStop,
                Found::Orphaned(_) => Mark::FoundOrphaned,
                Found::Escaped(_) => Mark::FoundEscaped,
                Found::Cut(_) => Mark::FoundACut,
                Found::Late(_, Late::Said) => Mark::FoundSaid,
                Found::Late(_, Late::Used) => Mark::FoundUsed,
                Found::Late(_, Late::Left) => Mark::FoundLeft,
                Found::Orphans => Mark::FoundOrphans,
                Found::Sessions => Mark::FoundSessions,
                Found::Zombies => Mark::FoundZombies,
                Found::StopStatus(_) => Mark::FoundAStopStatus,
                Found::NotAsTold(_) => Mark::FoundNotAsTold,
                Found::Slow => Mark::FoundSlow,
                Found::OomKilled => Mark::FoundAnOomKill,
                Found::NotUp(_, Lack::NeverStarted) => Mark::FoundNeverStarted,
                Found::NotUp(_, Lack::NotReady) => Mark::FoundNotReady,
                Found::NotUp(_, Lack::NotBack) => Mark::FoundNotBack,
                Found::NotUp(_, Lack::StillRuns) => Mark::FoundStillRunning,
            });
        }
    }

    /// Judges the end of a unit.
    pub(in crate::simulation) fn judge(&mut self, at: usize, status: u8) {
        let unit = &self.plan.units[at];
        if unit.stage == Stage::Test || unit.stage != Stage::Halt && self.stops() {
            return;
        }
        // Only a service is not meant to exit, unless the run waits for its exit.
        let serves = unit.counts() && !self.terms.units[at].oneshot;
        // A unit with a health or readiness check is a service, whatever the run waits for.
        let waited_for = matches!(self.plan.wait, WaitPolicy::All | WaitPolicy::Err);
        let waited_for = waited_for && !unit.is_probed();
        let well = match status {
            0 => waited_for || !serves,
            _ => unit.on_failure == OnFailure::Ignore,
        };
        if !well {
            self.find(Found::Ended(at));
        }
    }

    /// Judges the exit of a unit while a test run stops: it crashed, or trc had not stopped it.
    pub(in crate::simulation) fn fails_in_the_stop(&mut self, at: usize) {
        let unit = &self.plan.units[at];
        let serves = unit.stage != Stage::Halt && unit.on_failure != OnFailure::Ignore;
        if serves && self.stops() && self.tested.through {
            self.find(Found::Ended(at));
            self.mark(Mark::FailedInTheStop);
        }
    }

    /// Judges the exit status of a unit that trc stopped after the last test.
    pub(in crate::simulation) fn stops_with(&mut self, at: usize, ending: Ending) {
        let unit = &self.plan.units[at];
        if !self.tested.through || !self.stops() || unit.stage == Stage::Halt {
            return;
        }
        let seen = &self.units[at];
        let told = seen.told.filter(|_| seen.killed.is_none());
        if told.is_none() && seen.killed.is_none() {
            return;
        }
        let status = ending.status();
        self.units[at].stopped = Some((status, told.map(|told| self.now.saturating_sub(told))));
        let by_signal = |signal: Signal| i32::from(status) == 128 + signal.number();
        let by_command = [Signal::TERM, Signal::INT, Signal::QUIT].into_iter().any(by_signal);
        let mut tests = self.stage(Stage::Test).filter(|test| self.tells_of(*test, at));
        let expected = tests.any(|test| self.test(test).stop_status == Some(status));
        drop(tests);
        let well = match self.units[at].pre {
            Some(_) => matches!(status, 0 | 143),
            None => {
                unit.success.as_deref().unwrap_or(&[0]).contains(&status)
                    || by_signal(unit.signal())
                    || unit.stop_exec.is_some() && by_command
                    || expected
            }
        };
        let crashed =
            matches!(ending, Ending::Signal(signal) if CRASHES.contains(&signal.number()));
        if told.is_some() && !well && !crashed && unit.on_failure != OnFailure::Ignore {
            self.find(Found::StopStatus(at));
        }
    }

    /// Returns whether a test is about a unit.
    fn tells_of(&self, test: usize, at: usize) -> bool {
        self.terms.units[test].about.contains(&at)
    }

    /// Judges, when every unit has stopped or time is up, whether the units stopped as tests
    /// expect.
    pub(in crate::simulation) fn judge_stops(&mut self) {
        if !self.tested.through {
            return;
        }
        for test in self.stage(Stage::Test).collect::<Vec<_>>() {
            let Test { stop_status, stop_within, .. } = self.test(test);
            let passed = self.units[test].stand == Stand::Over
                && self.units[test].status == 0
                && !self.trials[test].skipped;
            if stop_status.is_none() && stop_within.is_none() || !passed {
                continue;
            }
            let about = self.terms.units[test].about.iter().copied();
            let serves =
                |at: &usize| self.plan.units[*at].counts() && !self.terms.units[*at].oneshot;
            let about: Vec<usize> = about.filter(serves).collect();
            let well = |at: &usize| {
                self.units[*at].stopped.is_some_and(|(status, after)| {
                    let soon = |most| after.is_some_and(|after| after <= ms(most));
                    stop_status.is_none_or(|wanted| wanted == status)
                        && stop_within.is_none_or(soon)
                })
            };
            if about.is_empty() || !about.iter().all(well) {
                self.find(Found::NotAsTold(test));
            }
        }
    }

    /// Records a finding if the grace period has expired.
    pub(in crate::simulation) fn judge_grace(&mut self) {
        if self.tested.stop_by.is_some_and(|stop_by| stop_by < self.now) {
            self.find(Found::Slow);
        }
    }

    /// Judges the leftovers of a unit when their time to exit has passed.
    pub(in crate::simulation) fn lingers(&mut self, at: usize) {
        let seen = &mut self.units[at];
        if seen.linger.is_none_or(|until| self.now < until) {
            return;
        }
        (seen.linger, seen.owes_goodbye) = (None, true);
        seen.told = Some(self.now);
        seen.kill_at = seen.kill_at.max(Some(self.now + LINGER));
        let escaped = seen.escaped;
        self.find(if escaped { Found::Escaped(at) } else { Found::Orphaned(at) });
    }

    /// Records a finding if a halt unit that has run for too long, or its leftovers, is killed
    /// late, and not only because there is no time left for it.
    pub(in crate::simulation) fn overstays(&mut self, at: usize) {
        let seen = &self.units[at];
        let lives = seen.stand == Stand::Alive || seen.left;
        let told = lives && seen.told.is_some() && seen.killed.is_none();
        if self.phase == Phase::Halting && self.cut.is_none() && told && self.is_late(at) {
            self.find(Found::Killed(at));
        }
    }

    /// Records the units that there was no time left to stop or to kill.
    pub(in crate::simulation) fn finds_unstopped(&mut self) {
        for at in 0..self.units.len() {
            if self.terms.units[at].here && !self.gone(at) {
                self.find(Found::Killed(at));
            }
        }
    }

    /// Returns 0 if every test has passed and every finding is allowed.
    pub(in crate::simulation) fn verdict(&mut self) -> u8 {
        if self.tested.unsettled {
            self.mark(Mark::TestRunUnsettled);
            return 78;
        }
        let passed = |at: usize| self.units[at].stand == Stand::Over && self.units[at].status == 0;
        let all = self.stage(Stage::Test).all(passed);
        let drill = self.plan.drill.as_ref();
        let skipped = self.stage(Stage::Test).filter(|at| self.trials[*at].skipped).count();
        let strict = drill.is_some_and(|drill| drill.strict);
        let nothing = skipped == self.stage(Stage::Test).count();
        let skipped = skipped > 0 && (strict || nothing);
        let allow = drill.map_or(&[][..], |drill| &drill.allow);
        let clean = self.tested.found.iter().all(|found| allow.contains(&point(*found)));
        if self.tested.through && all && clean && skipped {
            self.mark(if strict { Mark::SkippedStrictly } else { Mark::NothingTested });
        }
        let well = self.tested.through && all && clean && !skipped;
        if well && !self.tested.found.is_empty() {
            self.mark(Mark::Excused);
        }
        if self.tested.through && all && !clean {
            self.mark(Mark::TestedUncleanly);
        }
        if well {
            self.mark(Mark::TestedWell);
        }
        if !well && self.plan.exit.iter().any(|(from, to)| *from == 1 && *to == 0) {
            self.mark(Mark::NotMapped);
        }
        u8::from(!well)
    }

    /// Checks, at the end, that the engine has the same findings as the witness.
    pub(in crate::simulation) fn findings(&self, findings: &[Finding], built: &Built) -> Verdict {
        let of = |finding: &Finding| match *finding {
            Finding::Ended(id) => Found::Ended(built.unit(id)),
            Finding::Restarted(id) => Found::Restarted(built.unit(id)),
            Finding::Killed(id) => Found::Killed(built.unit(id)),
            Finding::StopCommand(id) => Found::StopCommand(built.unit(id)),
            Finding::PostStop(id) => Found::PostStop(built.unit(id)),
            Finding::Orphaned(id) => Found::Orphaned(built.unit(id)),
            Finding::Escaped(id) => Found::Escaped(built.unit(id)),
            Finding::CutShort(id) => Found::Cut(built.unit(id)),
            Finding::Late(id, late) => Found::Late(built.unit(id), late),
            Finding::Orphans => Found::Orphans,
            Finding::Sessions => Found::Sessions,
            Finding::Zombies => Found::Zombies,
            Finding::StopStatus(id) => Found::StopStatus(built.unit(id)),
            Finding::NotAsTold(id) => Found::NotAsTold(built.unit(id)),
            Finding::Slow => Found::Slow,
            Finding::OomKilled => Found::OomKilled,
            Finding::NotUp(id, lack) => Found::NotUp(built.unit(id), lack),
        };
        let theirs: Vec<Found> = findings.iter().map(of).collect();
        let ours = &self.tested.found;
        // A unit that never ran may come back from its stop at the moment at which trc looks.
        let same = |one: &Found, other: &Found| match (one, other) {
            (Found::NotUp(at, _), Found::NotUp(also, _)) if !self.units[*at].started => at == also,
            _ => one == other,
        };
        let all = ours.iter().all(|found| theirs.iter().any(|their| same(found, their)));
        expect(all, "everything that is wrong is a finding")?;
        let none = theirs.iter().all(|found| ours.iter().any(|our| same(found, our)));
        expect(none, "nothing else is a finding")
    }
}

/// Returns the test point that fails because of a finding.
fn point(found: Found) -> Point {
    match found {
        Found::Ended(at) | Found::Restarted(at) | Found::Cut(at) | Found::NotUp(at, _) => {
            Point::Run(at)
        }
        Found::Killed(at)
        | Found::StopCommand(at)
        | Found::StopStatus(at)
        | Found::NotAsTold(at) => Point::Stop(at),
        Found::PostStop(at) => Point::PostStop(at),
        Found::Late(at, Late::Said) => Point::Log(at),
        Found::Late(at, Late::Used) => Point::MaxRss(at),
        Found::Late(at, Late::Left) => Point::AfterStop(at),
        Found::Orphaned(_) | Found::Orphans => Point::Orphans,
        Found::Escaped(_) | Found::Sessions => Point::Sessions,
        Found::Zombies => Point::Zombies,
        Found::Slow => Point::Shutdown,
        Found::OomKilled => Point::Oom,
    }
}
