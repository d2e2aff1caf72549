//! The graph and its nodes: units as the engine sees them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::config::{Command, Condition, Form, Stage, Stop, StopTo, Test, Unit, WaitPolicy, When};
use crate::signal::Signal;

/// The identity of a unit, which does not change while anything of the unit is left. It is the unit's index in [`Graph::nodes`], not its
/// rank in the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct UnitId(pub usize);

/// One edge: a condition of another unit that a unit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Need {
    /// The other unit.
    pub unit: UnitId,
    /// The state that the other unit has to reach.
    pub condition: Condition,
    /// Whether the configuration has this edge. The other edges are the order within a stage.
    pub written: bool,
    /// Whether a unit without a readiness check has to have run for a moment, or to have ended.
    /// Tests ask for that if they name a unit without a condition.
    pub calm: bool,
}

/// The effect of a signal to trc, with the units that it goes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// Stops the run.
    Stop,
    /// Does nothing.
    Ignore,
    /// Reopens the files that output goes to.
    Reopen,
    /// Reads the configuration anew.
    Reload,
    /// Goes to the foreground unit.
    Foreground,
    /// Forwards this signal to these units, or to all that run if the list is empty.
    Forward(Signal, Vec<UnitId>),
}

/// A unit and its edges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// The unit as the configuration declares it.
    pub unit: Unit,
    /// The position of the unit in the order in which units were declared.
    pub declared: usize,
    /// Whether the unit is a one-shot, whose success does not end the run.
    pub oneshot: bool,
    /// Whether the unit does not start before somebody asks for it: it has `autostart = false`, and
    /// no unit that starts waits for it.
    pub idle: bool,
    /// Whether a test run fails if the unit does not end. This holds for units with
    /// `oneshot = true`, and for those whose success another unit waits for.
    pub ends: bool,
    /// The conditions that must hold before the unit starts.
    pub needs: Vec<Need>,
    /// The units that wait for this one. They stop before it does.
    pub dependents: Vec<UnitId>,
    /// The units that restart together with this one.
    pub restarts: Vec<UnitId>,
    /// The units together with which this one restarts.
    pub with: Vec<UnitId>,
    /// If the unit is a test: the units that the test is about.
    pub about: Vec<UnitId>,
    /// If the unit is a test with a fault: the unit that trc damages.
    pub victim: Option<UnitId>,
    /// If the unit is a test with a job: the unit that trc runs for the test.
    pub job: Option<UnitId>,
    /// The exit statuses that tests expect when trc stops the unit, in addition to those of the
    /// unit itself.
    pub stop_statuses: Vec<u8>,
    pub stop_signal: Signal,
    /// The time from the stop signal to SIGKILL.
    pub stop_timeout: Duration,
    /// The processes that get the stop signal.
    pub stop_to: StopTo,
}

impl Node {
    /// Returns whether wait policies count the unit.
    #[must_use]
    pub(crate) fn counts(&self) -> bool {
        match self.unit.stage {
            Stage::Async | Stage::Sync => !self.is_outside(),
            Stage::Boot | Stage::Test | Stage::Halt => false,
        }
    }

    /// Returns the condition that a name without a condition in `after` stands for. Once everything
    /// has stopped, pass `can_be_ready = false`, because no unit can be ready any more.
    #[must_use]
    pub(crate) fn shows_up_by(&self, can_be_ready: bool) -> Condition {
        if can_be_ready && self.unit.ready.is_some() {
            Condition::Ready
        } else if self.is_outside() {
            Condition::Exited
        } else if self.oneshot {
            Condition::Succeeded
        } else {
            Condition::Started
        }
    }

    /// Returns whether the unit runs on a schedule.
    #[must_use]
    pub(crate) fn is_scheduled(&self) -> bool {
        self.unit.schedule.is_some()
    }

    /// Returns whether the schedule of the unit, if it has one, starts it.
    #[must_use]
    pub(crate) fn runs_by_schedule(&self) -> bool {
        self.is_scheduled() && self.unit.autostart
    }

    /// Returns whether the unit has no readiness check.
    #[must_use]
    pub(crate) fn is_plain(&self) -> bool {
        self.counts() && self.unit.ready.is_none()
    }

    /// Returns the keys of the test, if the unit is one.
    #[must_use]
    pub(crate) fn test(&self) -> Option<&Test> {
        self.unit.test.as_deref()
    }

    /// Returns whether trc is transparent if this is the only unit: it is the trailing command, and
    /// has no settings that need supervision.
    #[must_use]
    pub(crate) fn is_transparent(&self) -> bool {
        let unit = &self.unit;
        unit.form == Form::Trailing
            && unit.probes().next().is_none()
            && unit.restart.when == When::No
            && unit.max_runtime.is_none()
            && !self.is_scheduled()
            && unit.listen.is_empty()
            && unit.reload.is_none()
            && unit.pre_start.is_none()
            && unit.post_stop.is_none()
            && matches!(unit.stop, Stop { signal: None, timeout: None, exec: None, to: _ })
    }

    /// Returns whether the unit is external: it has no command, and stands for something that trc
    /// does not start.
    #[must_use]
    pub(crate) fn is_outside(&self) -> bool {
        self.unit.command == Command::Nothing && self.unit.stage != Stage::Test
    }

    /// Returns whether this exit status counts as success. If signal n terminated the process, the
    /// status is 128 + n.
    #[must_use]
    pub(crate) fn succeeds_with(&self, status: u8) -> bool {
        self.unit.success.as_deref().unwrap_or(&[0]).contains(&status)
    }

    /// Returns whether the unit is a service, which runs until trc stops it. A unit with a
    /// readiness or health check that is not a one-shot is a service even if another unit waits for
    /// its exit.
    #[must_use]
    pub(crate) fn serves(&self) -> bool {
        self.counts() && !self.oneshot && self.unit.probes().next().is_some()
    }

    /// Returns whether the unit may exit with this status (128 + n for signal n) when trc stops it:
    /// a success, the status of its stop signal, or a status that a test expects.
    #[must_use]
    pub(crate) fn may_stop_with(&self, status: u8) -> bool {
        let of_signal = |signal: Signal| status == crate::status::of_signal(signal.number());
        // A stop command may stop the unit by one of these signals.
        let others = [Signal::TERM, Signal::INT, Signal::QUIT];
        let by_command = self.unit.stop.exec.is_some() && others.into_iter().any(of_signal);
        self.succeeds_with(status)
            || of_signal(self.stop_signal)
            || by_command
            || self.stop_statuses.contains(&status)
    }

    /// Returns whether the unit has one of TrivialRC's forms, which follow TrivialRC's rules.
    #[must_use]
    pub(crate) fn is_trivialrc(&self) -> bool {
        match self.unit.form {
            Form::Script | Form::Flag => true,
            Form::Declared | Form::Trailing => false,
        }
    }
}

/// The graph. If another graph takes over from it, units keep their identities: see
/// [`Graph::over`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Graph {
    /// All known units by their identities, including those of earlier graphs.
    pub nodes: Vec<Node>,
    /// The units of this graph by stage. The order within a stage satisfies every edge, and
    /// otherwise follows the order of declaration.
    pub order: Rc<[UnitId]>,
    pub wait: WaitPolicy,
    /// The shutdown timeout: the time that a stop from outside may take.
    pub budget: Duration,
    /// The shutdown timeout, if the configuration sets it.
    pub written_budget: Option<Duration>,
    /// The rules for signals that the configuration has.
    pub rules: BTreeMap<Signal, Rule>,
    /// The exit statuses that replace trc's own, by number.
    pub exit: BTreeMap<u8, u8>,
    /// The exit status of a clean stop from outside.
    pub stopped: Option<u8>,
    /// The units whose exit status becomes trc's after a stop from outside.
    pub own: Vec<UnitId>,
    /// Whether trc is transparent: the trailing command is the only unit.
    pub transparent: bool,
    /// The grace period: the time that the container engine waits before it sends SIGKILL.
    pub grace: Duration,
    /// Whether this is a test run, which ends after the last test.
    pub testing: bool,
    /// Whether a skipped test fails the test run.
    pub strict: bool,
    /// The time in which units that no test waits for have to be up.
    pub patience: Duration,
    /// The test points of the stop drill that may fail, with the tests that allow it.
    pub allowed: BTreeMap<String, String>,
}

impl Graph {
    /// Returns the unit with this identity.
    #[must_use]
    pub(crate) fn node(&self, id: UnitId) -> &Node {
        &self.nodes[id.0]
    }

    /// Returns whether a unit runs when the run begins although it has a schedule.
    pub(crate) fn runs_at_start(&self, id: UnitId) -> bool {
        let schedule = self.node(id).unit.schedule.as_ref();
        let autostart = self.node(id).unit.autostart;
        !self.testing && autostart && schedule.is_some_and(|schedule| schedule.at_start)
    }

    /// Returns the identities of all units, in order.
    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = UnitId> + use<> {
        let order = Rc::clone(&self.order);
        (0..order.len()).map(move |rank| order[rank])
    }

    /// Returns the identities of the units of one stage, in order.
    pub(crate) fn stage(&self, stage: Stage) -> impl DoubleEndedIterator<Item = UnitId> + '_ {
        self.ids().filter(move |id| self.node(*id).unit.stage == stage)
    }

    /// Returns the units that a test is about and that trc stops after it, which excludes
    /// one-shots.
    pub(crate) fn told_by(&self, test: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        let about = self.node(test).about.iter().copied();
        about.filter(|id| self.node(*id).counts() && !self.node(*id).oneshot)
    }

    /// Returns the effect of this signal.
    #[must_use]
    pub(crate) fn rule(&self, signal: Signal) -> Rule {
        match self.rules.get(&signal) {
            Some(rule) => rule.clone(),
            None => match signal.number() {
                libc::SIGWINCH
                | libc::SIGCONT
                | libc::SIGTSTP
                | libc::SIGTTIN
                | libc::SIGTTOU
                | libc::SIGURG => Rule::Foreground,
                _ => Rule::Stop,
            },
        }
    }
}
