//! The witness's view of tests that run: when each attempt is due, and its expected result.

use super::super::drill::Blow;
use super::super::marks::Mark;
use super::super::plan::ms;
use super::turns::CALM;
use super::{Phase, Stand, Verdict, Witness, expect_of};
use crate::config::{OnFailure, Stage};
use crate::engine::{Ended, How, Outcome, Task, TestEnd, Tick};

/// The longest delay between attempts.
const LONGEST: Tick = Tick::from_millis(100);
/// The time that an attempt may take, however little time is left.
const LEAST: Tick = Tick::from_secs(1);

impl Witness<'_> {
    /// Checks that the engine may begin an attempt of a test.
    pub(in crate::simulation) fn tries(&mut self, at: usize, limit: Tick) -> Verdict {
        let (test, now) = (self.test(at), self.now);
        let trial = &mut self.trials[at];
        let owed = std::mem::take(&mut trial.owed);
        expect_of(at, owed, "an attempt of a test is made only when it is due")?;
        expect_of(
            at,
            !std::mem::replace(&mut trial.trying, true),
            "a test has one attempt at a time",
        )?;
        let left = trial.until.map(|until| until.saturating_sub(now).max(LEAST));
        let most = ms(test.max_runtime);
        let right = limit == left.map_or(most, |left| left.min(most));
        expect_of(at, right, "an attempt takes no longer than there is time")
    }

    /// Takes in the end of an attempt.
    pub(in crate::simulation) fn tried(&mut self, at: usize, outcome: Outcome) {
        self.trials[at].trying = false;
        if self.units[at].stand != Stand::Watching {
            self.mark(Mark::TriedTooLate);
            return;
        }
        let (now, restarts) = (self.now, self.tested.restarts);
        let trial = self.trials[at];
        let down = matches!(self.fault(at), Some((_, Blow::Down)));
        let recovered = if down { Some(true) } else { self.has_recovered(at) };
        let most = 6;
        self.trials[at].unmade = 0;
        match (outcome, trial.hold_until) {
            (Outcome::NotMade, _) if trial.unmade < most => {
                let wait = Tick::from_millis(50) * 2_u32.pow(trial.unmade);
                self.trials[at].next = Some(now + wait);
                self.trials[at].unmade = trial.unmade + 1;
                self.mark(Mark::TestNotMade);
            }
            (Outcome::Skipped, _) => self.test_ends(at, TestEnd::Skipped),
            (Outcome::Hopeless, None)
                if recovered == Some(false) && self.test(at).every.is_some() =>
            {
                self.once_more(at, TestEnd::Failed);
                self.mark(Mark::HopelessButNotUp);
            }
            (Outcome::Hopeless, None) => {
                self.test_ends(at, TestEnd::Failed);
                self.mark(Mark::TestHopeless);
            }
            (
                Outcome::Failed | Outcome::TimedOut | Outcome::NotMade | Outcome::Hopeless,
                Some(_),
            ) => {
                self.test_ends(at, TestEnd::DidNotHold);
                self.mark(Mark::TestDidNotHold);
            }
            (Outcome::Passed, Some(_)) if restarts > trial.restarts => {
                self.test_ends(at, TestEnd::DidNotHold);
                self.mark(Mark::TestSawARestart);
            }
            (Outcome::Passed, Some(until)) if until <= now => {
                self.passes(at);
                self.mark(Mark::TestHeld);
            }
            (Outcome::Passed, Some(until)) => {
                self.trials[at].next = Some(until.min(now + LONGEST));
            }
            (Outcome::Failed | Outcome::TimedOut | Outcome::NotMade, None) => match recovered {
                None => self.test_ends(at, TestEnd::NotRecovered),
                Some(false) => self.once_more(at, TestEnd::NotRecovered),
                Some(true) if outcome == Outcome::TimedOut => {
                    self.once_more(at, TestEnd::TimedOut);
                }
                Some(true) => self.once_more(at, TestEnd::Failed),
            },
            (Outcome::Passed, None) => match (recovered, self.test(at).holds) {
                (None, _) => self.test_ends(at, TestEnd::NotRecovered),
                (Some(false), _) => self.once_more(at, TestEnd::NotRecovered),
                (Some(true), None) => self.passes(at),
                (Some(true), Some(holds)) => {
                    let trial = &mut self.trials[at];
                    (trial.hold_until, trial.restarts) = (Some(now + ms(holds)), restarts);
                    trial.next = Some(now + LONGEST.min(ms(holds)));
                }
            },
        }
    }

    /// The checks have passed. A unit that was kept down has to come up again.
    fn passes(&mut self, at: usize) {
        match self.fault(at) {
            Some((victim, Blow::Down)) => {
                let within = self.test(at).within.unwrap_or(self.test(at).max_runtime);
                self.trials[at].up_by = Some(self.now + ms(within));
                self.lifts(victim);
            }
            _ => self.test_ends(at, TestEnd::Passed),
        }
    }

    /// A unit that a test has kept down is started again.
    fn lifts(&mut self, victim: usize) {
        if self.units[victim].held && !self.units[victim].given_up {
            self.mark(Mark::FaultLifted);
            self.starts_by_hand(victim, Task::Start);
            self.wake_up();
        }
    }

    /// Lets the attempts of a test begin when the unit is down that it keeps down, and the test end
    /// when that is up again.
    fn follows_its_fault(&mut self, at: usize) {
        if self.trials[at].strike_at.is_some_and(|strike_at| strike_at <= self.now) {
            self.trials[at].strike_at = None;
            let up = self.fault(at).and_then(|(victim, _)| self.is_up(victim));
            if up == Some(true) {
                self.strikes(at);
            } else {
                self.mark(Mark::FaultTooLate);
                self.test_ends(at, TestEnd::NotRecovered);
            }
        }
        let Some((victim, Blow::Down)) = self.fault(at) else { return };
        let seen = &self.units[victim];
        let late = |until: Tick| until <= self.now;
        if let Some(until) = self.trials[at].down_by {
            let down = (seen.stand == Stand::Over || seen.held) && self.gone(victim);
            if down && !seen.given_up {
                (self.trials[at].down_by, self.trials[at].owed) = (None, true);
            } else if late(until) || seen.given_up {
                self.mark(Mark::FaultNotDown);
                self.tested.in_vain.push(victim);
                self.test_ends(at, TestEnd::TimedOut);
            }
        } else if let Some(until) = self.trials[at].up_by {
            match self.has_recovered(at) {
                Some(true) => self.test_ends(at, TestEnd::Passed),
                Some(false) if !late(until) => {}
                Some(false) | None => self.test_ends(at, TestEnd::NotRecovered),
            }
        }
    }

    /// The test is repeated until its time is up.
    fn once_more(&mut self, at: usize, end: TestEnd) {
        let now = self.now;
        let trial = &mut self.trials[at];
        if let Some(until) = trial.until.filter(|until| *until > now) {
            trial.next = Some(until.min(now + trial.wait));
            trial.wait = LONGEST.min(trial.wait * 2);
            self.mark(Mark::TestTriedAgain);
        } else {
            self.test_ends(at, end);
        }
    }

    /// Returns whether the damaged unit is up again; `None` if it never will be.
    fn has_recovered(&self, at: usize) -> Option<bool> {
        let Some((victim, _)) = self.fault(at) else { return Some(true) };
        let (trial, seen) = (&self.trials[at], &self.units[victim]);
        let unit = &self.plan.units[victim];
        let runs = seen.stand == Stand::Alive && seen.watch.since.is_some();
        if self.leaves_the_same(at) == Some(true) {
            if !runs || self.ran[victim] > Some(trial.began) {
                return None;
            }
            return Some(trial.continue_at.is_none() && trial.began + CALM <= self.now);
        }
        match seen.stand {
            // A unit that was restarted meanwhile has not been suspended.
            Stand::Alive if trial.continue_at.is_some() && trial.stopped == Some(seen.pid) => {
                Some(false)
            }
            Stand::Over => (unit.on_failure == OnFailure::Ignore).then_some(true),
            Stand::Alive if seen.watch.since.is_some() && trial.killed != Some(seen.pid) => {
                let calm = seen.watch.up.is_some_and(|up| up + CALM <= self.now);
                Some(seen.watch.ready || unit.ready.is_none() && calm)
            }
            Stand::Alive
            | Stand::Waiting
            | Stand::Retrying(_)
            | Stand::Asked
            | Stand::Watching
            | Stand::Finishing
            | Stand::Backoff(_) => Some(false),
        }
    }

    fn test_ends(&mut self, at: usize, end: TestEnd) {
        let status = match end {
            TestEnd::Passed | TestEnd::Skipped => 0,
            TestEnd::TimedOut => 124,
            TestEnd::Failed | TestEnd::DidNotHold | TestEnd::NotRecovered => 1,
        };
        self.mark(match end {
            TestEnd::Passed if self.fault(at).is_some() => Mark::TestRecovered,
            TestEnd::Passed => Mark::TestPassed,
            TestEnd::Skipped => Mark::TestSkipped,
            TestEnd::Failed | TestEnd::DidNotHold => Mark::TestFailed,
            TestEnd::TimedOut => Mark::TestTimedOut,
            TestEnd::NotRecovered => Mark::TestNotRecovered,
        });
        if self.trials[at].continue_at.is_some() {
            self.mark(Mark::ContinuedEarly);
        }
        self.victim_goes_on(at);
        if let Some((victim, Blow::Down)) = self.fault(at) {
            self.lifts(victim);
        }
        let signalled = self.trials[at].stopped.is_none();
        let over = end == TestEnd::Passed || end == TestEnd::Skipped && signalled;
        if let Some((victim, _)) = self.fault(at).filter(|_| over) {
            // From now on, the unit itself is responsible for what it does.
            if std::mem::take(&mut self.units[victim].faulted) {
                self.mark(Mark::FaultWithoutRestart);
            }
        }
        if let Some((victim, _)) = self.fault(at).filter(|_| end == TestEnd::NotRecovered) {
            self.tested.in_vain.push(victim);
        }
        self.trials[at].skipped = end == TestEnd::Skipped;
        self.trials[at].owes_end = Some((Some(end), status));
        self.over(at, status, None);
    }

    /// The unit that a test has suspended has to be resumed, if it has not been.
    fn victim_goes_on(&mut self, at: usize) {
        if self.trials[at].continue_at.take().is_some() {
            self.tested.goes_on = self.fault(at).map(|(victim, _)| victim);
        }
    }

    /// The run stops, and with it the test that runs.
    pub(in crate::simulation) fn gives_up_trial(&mut self, at: usize) {
        if self.plan.units[at].stage == Stage::Test {
            self.mark(Mark::TestGivenUp);
            self.victim_goes_on(at);
        }
    }

    /// The engine reports the result of a test.
    pub(in crate::simulation) fn test_ended(&mut self, at: usize, ended: Ended) -> Verdict {
        let Some((end, status)) = self.trials[at].owes_end.take() else {
            return expect_of(at, false, "a test ends once, and for a reason");
        };
        let right = match (end, ended.how) {
            (Some(end), How::Test(how)) => how == end,
            (None, How::Blocked(_)) => true,
            _ => false,
        };
        expect_of(at, right && ended.status == status, "a test ends as its attempts say")
    }

    /// Lets the first attempt of a test follow its job, or the end of the test if the job has failed
    /// or takes too long.
    pub(in crate::simulation) fn follows_its_job(&mut self) {
        let watching = |at: &usize| self.units[*at].stand == Stand::Watching;
        let Some(at) = self.turn().filter(watching).filter(|_| self.phase == Phase::Up) else {
            return;
        };
        self.follows_its_fault(at);
        let (Some(until), Some(job)) = (self.trials[at].job_by, self.its_job(at)) else { return };
        let seen = &self.units[job];
        if seen.stand == Stand::Over && seen.status == 0 {
            self.mark(Mark::TestJobDone);
            (self.trials[at].job_by, self.trials[at].owed) = (None, true);
        } else if seen.stand == Stand::Over {
            self.mark(Mark::TestJobFailed);
            self.test_ends(at, TestEnd::Failed);
        } else if until <= self.now {
            self.mark(Mark::TestJobTooLong);
            self.tested.in_vain.push(job);
            self.test_ends(at, TestEnd::TimedOut);
        }
    }

    /// A test runs a unit that has a schedule, whatever has become of its last run.
    pub(in crate::simulation) fn runs_its_job(&mut self, job: usize) {
        if self.units[job].stand == Stand::Alive {
            self.mark(Mark::TestJobAgain);
        }
        self.starts_by_hand(job, Task::Restart);
        self.wake_up();
    }

    /// Handles the deadlines of tests.
    pub(in crate::simulation) fn trials(&mut self) {
        let due = |time: Option<Tick>| time.is_some_and(|time| time <= self.now);
        if let Some(at) = self.turn().filter(|at| self.units[*at].stand == Stand::Watching) {
            let trial = &self.trials[at];
            let (goes_on, next) = (due(trial.continue_at), due(trial.next));
            if goes_on {
                self.mark(Mark::Continued);
                self.victim_goes_on(at);
            }
            if next {
                self.trials[at].next = None;
                self.trials[at].owed = true;
            }
        }
    }
}
