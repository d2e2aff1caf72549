//! The test points of tests.

use std::rc::Rc;

use super::flaws::how_it_ended;
use super::{Drill, Run};
use crate::config::{FaultKind, Leaves};
use crate::engine::{Ended, How, Purpose, TestEnd};
use crate::graph::UnitId;
use crate::report::{CheckPoint, Kind, Outcome, Point, Tail};
use crate::run::capture::Capture;
use crate::run::os::clock::now;
use crate::signal::Signal;
use crate::words::{self, Flaw, Observed, Wrong, reason};

impl Drill {
    /// Makes the point of a test that has ended.
    pub(super) fn test_ended(&mut self, run: &mut dyn Run, id: UnitId, ended: Ended) {
        let graph = Rc::clone(&self.graph);
        let node = graph.node(id);
        let tried = self.tried.remove(&id).unwrap_or_default();
        // A test whose units did not come up has only waited for them.
        let began = self.tests.get(&id).copied().unwrap_or(self.turn);
        let failed = ended.failed();
        let why = match ended.how {
            // Before the first attempt, only a unit that is to be down takes time.
            How::Test(TestEnd::TimedOut) if tried.points.is_empty() && node.victim.is_some() => {
                let (limit, victim) = (node.test().and_then(|test| test.within), node.victim);
                let name = victim.map(|victim| graph.node(victim).unit.id()).unwrap_or_default();
                Some(Flaw::NotDown(name, limit.unwrap_or_default()).to_string())
            }
            // The checks say why.
            How::Test(TestEnd::Passed | TestEnd::Skipped | TestEnd::Failed | TestEnd::TimedOut) => {
                None
            }
            How::Test(TestEnd::DidNotHold) => Some(did_not_hold(&tried.points).to_string()),
            How::Test(TestEnd::NotRecovered) => {
                self.not_recovered(run, id).map(|flaw| flaw.to_string())
            }
            How::Blocked(by) => Some(self.blocked(run, by).to_string()),
            how => Some(reason::how(&graph, Ended { how, ..ended })),
        };
        let mut tails = tried.tails;
        let mut checks = tried.points;
        if let Some(job) = node.job.filter(|_| self.tests.contains_key(&id)) {
            checks.insert(0, self.job_ended(run, id, job));
        }
        if failed {
            tails.extend(self.tails(run, &node.about));
        } else {
            tails.clear();
        }
        let point = Point {
            name: node.unit.id(),
            kind: Kind::Test,
            description: node.unit.description.clone(),
            outcome: match tried.skipped {
                Some(_) => Outcome::Skipped,
                None if failed => Outcome::Failed,
                None => Outcome::Passed,
            },
            why: tried.skipped.or(why.filter(|_| failed)),
            allowed_by: None,
            took: now().saturating_duration_since(began),
            checks,
            tails,
        };
        let why = match point.outcome {
            Outcome::Failed | Outcome::NotRun => Some(point.message()),
            Outcome::Skipped => point.why.clone(),
            Outcome::Passed | Outcome::Excused => None,
        };
        run.observed(&Observed::TestEnded(id, ended, why.as_deref()));
        self.point(run, point);
    }

    /// Returns the flaw that a unit to which a test has done something is not up again.
    fn not_recovered(&self, run: &dyn Run, id: UnitId) -> Option<Flaw> {
        let fault = self.graph.node(id).test()?.fault.as_ref()?;
        let victim = self.graph.node(self.graph.node(id).victim?);
        let name = victim.unit.id();
        let limit = self.graph.node(id).test().and_then(|test| test.within).unwrap_or_default();
        let signal = match fault.value.kind {
            FaultKind::Down => {
                let victim = self.graph.node(id).victim?;
                let why = match run.engine().ended(victim) {
                    Some(ended) => Some(format!("it {}", how_it_ended(run, victim, ended))),
                    None => words::not_up(
                        &self.graph,
                        victim,
                        Purpose::Ready,
                        run.engine().known(victim),
                    ),
                };
                return Some(Flaw::NotBack(name, limit, why));
            }
            FaultKind::Kill(signal) => signal,
            FaultKind::Stop(_) => Signal::STOP,
            FaultKind::Restart => victim.stop_signal,
        };
        Some(if fault.value.leaves(victim.stop_signal) == Leaves::TheSame {
            Flaw::DidNotContinue(name, signal, fault.value.restarts.is_some())
        } else {
            Flaw::NotRecovered(name, signal)
        })
    }

    /// Returns the check that the job of a test succeeded.
    fn job_ended(&self, run: &dyn Run, test: UnitId, job: UnitId) -> CheckPoint {
        let limit =
            self.graph.node(test).test().map(|test| test.within.unwrap_or(test.max_runtime));
        let limit = limit.unwrap_or_default();
        let waits = || run.engine().waits_for(job).map(|other| self.graph.node(other).unit.id());
        let wrong = match run.engine().job_ended(test) {
            Some(ended) if ended.failed() => Some(Wrong::Job(how_it_ended(run, job, ended))),
            Some(_) => None,
            None if run.pid(job).is_some() => Some(Wrong::SlowJob(limit)),
            None => Some(Wrong::JobWaits(limit, waits())),
        };
        let found = wrong.map(|wrong| wrong.to_string());
        let name = format!("{} succeeds", self.graph.node(job).unit.id());
        CheckPoint { name, passed: found.is_none(), found }
    }

    /// Returns why a test could not begin.
    fn blocked(&self, run: &dyn Run, by: UnitId) -> Flaw {
        let name = self.graph.node(by).unit.id();
        if let Some(mut ended) = run.engine().ended(by) {
            let mut how = reason::ended(run.engine(), by, ended);
            // The chain goes on to the unit at its root.
            while let How::Blocked(next) = ended.how
                && let Some(other) = run.engine().ended(next).filter(|other| other.failed())
            {
                how = format!("{how}, which {}", reason::ended(run.engine(), next, other));
                ended = other;
            }
            return Flaw::WaitsFor(name, how);
        }
        let restarts = self.restarts.get(&by).cloned();
        match (restarts, run.engine().known(by)) {
            (Some((times, last)), _) if run.engine().loops(by) => Flaw::Loops(name, times, last),
            (Some((_, last)), _) => Flaw::NotInTime(name, Some(format!("it {last}"))),
            (None, None) => Flaw::NotInTime(name, None),
            (None, known) => {
                Flaw::NotInTime(name, words::not_up(&self.graph, by, Purpose::Ready, known))
            }
        }
    }

    /// Returns the last lines of units.
    pub(super) fn tails(&self, run: &dyn Run, units: &[UnitId]) -> Vec<Tail> {
        let mut tails = Vec::new();
        for id in units {
            let lines: Vec<String> = run.captures(*id).iter().flat_map(Capture::tail).collect();
            if !lines.is_empty() {
                tails.push(Tail { of: self.graph.node(*id).unit.id(), lines });
            }
        }
        tails
    }
}

/// Returns why something was true, but not for long enough.
fn did_not_hold(checks: &[CheckPoint]) -> Flaw {
    let failed = checks.iter().find(|check| !check.passed);
    Flaw::DidNotHold(failed.map(|check| (check.name.clone(), check.found.clone())))
}
