//! The graph: units as the engine sees them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::config::{Command, Condition, Form, Stage, Stop, StopTo, Test, Unit, WaitPolicy, When};
use crate::signal::Signal;

/// A unit: its identity, which is for ever, and not its rank. It is its place in [`Graph::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct UnitId(pub usize);

/// What a unit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Need {
    /// The unit waited for.
    pub unit: UnitId,
    /// What of it.
    pub condition: Condition,
    /// Whether somebody wrote it; the rest is the order within a stage.
    pub written: bool,
    /// Of a unit that nothing says of whether it is ready: it has run for a moment, or is over.
    /// Tests ask for that where they name it alone.
    pub calm: bool,
}

/// What a signal to trc does, its units found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// Stops the run.
    Stop,
    /// Nothing.
    Ignore,
    /// Output files are opened anew.
    Reopen,
    /// Goes to the foreground unit.
    Foreground,
    /// Goes on as this signal to these units, or to all that run where none is named.
    Forward(Signal, Vec<UnitId>),
}

/// One unit and its edges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// As it was written.
    pub unit: Unit,
    /// Its place among all units in the order in which they were declared.
    pub declared: usize,
    /// Whether it is meant to end: its success stops nothing.
    pub oneshot: bool,
    /// Whether a run in which it does not end is none that went well: it was written to be a
    /// one-shot, or its success is waited for.
    pub ends: bool,
    /// What must come true before it starts.
    pub needs: Vec<Need>,
    /// The units that need it, which stop before it does.
    pub dependents: Vec<UnitId>,
    /// The units that are restarted together with it.
    pub restarts: Vec<UnitId>,
    /// The units that it is restarted together with.
    pub with: Vec<UnitId>,
    /// The units that it is about, if it is a test.
    pub about: Vec<UnitId>,
    /// The unit that its fault is done to.
    pub victim: Option<UnitId>,
    /// The exit statuses that tests expect of it when it is told to stop, beside its own.
    pub stop_statuses: Vec<u8>,
    /// Its stop signal.
    pub stop_signal: Signal,
    /// From the stop signal to KILL.
    pub stop_timeout: Duration,
    /// Whom the stop signal goes to.
    pub stop_to: StopTo,
}

impl Node {
    /// Whether the wait policy counts it.
    #[must_use]
    pub(crate) fn counts(&self) -> bool {
        match self.unit.stage {
            Stage::Async | Stage::Sync => !self.is_outside(),
            Stage::Boot | Stage::Test | Stage::Halt => false,
        }
    }

    /// What has to come true before it is up, as a bare name in `after` means it. Once everything
    /// has stopped, nothing `can_be_ready` any more.
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

    /// Whether nothing says of it whether it is ready.
    #[must_use]
    pub(crate) fn is_plain(&self) -> bool {
        self.counts() && self.unit.ready.is_none()
    }

    /// What it expects, if it is a test.
    #[must_use]
    pub(crate) fn test(&self) -> Option<&Test> {
        self.unit.test.as_deref()
    }

    /// Whether trc is as tini where this is the only unit: it is the trailing command, and
    /// nothing is written of it that needs watching.
    #[must_use]
    pub(crate) fn is_transparent(&self) -> bool {
        let unit = &self.unit;
        unit.form == Form::Trailing
            && unit.probes().next().is_none()
            && unit.restart.when == When::No
            && unit.max_runtime.is_none()
            && matches!(unit.stop, Stop { signal: None, timeout: None, exec: None, to: _ })
    }

    /// Whether it has nothing to run, and stands for something outside.
    #[must_use]
    pub(crate) fn is_outside(&self) -> bool {
        self.unit.command == Command::Nothing && self.unit.stage != Stage::Test
    }

    /// Whether this exit status (128 + n for an end by signal n) is success.
    #[must_use]
    pub(crate) fn succeeds_with(&self, status: u8) -> bool {
        self.unit.success.as_deref().unwrap_or(&[0]).contains(&status)
    }

    /// Whether it is to run until it is told to stop, whatever is waited for: what can be asked
    /// how it is serves somebody.
    #[must_use]
    pub(crate) fn serves(&self) -> bool {
        self.counts() && !self.oneshot && self.unit.probes().next().is_some()
    }

    /// Whether it may end with this exit status (128 + n for an end by signal n) when it is told
    /// to stop: one of its own, that of its stop signal, or one that a test expects.
    #[must_use]
    pub(crate) fn may_stop_with(&self, status: u8) -> bool {
        let of_signal = |signal: Signal| status == crate::status::of_signal(signal.number());
        // A stop command ends it as it sees fit.
        let others = [Signal::TERM, Signal::INT, Signal::QUIT];
        let by_command = self.unit.stop.exec.is_some() && others.into_iter().any(of_signal);
        self.succeeds_with(status)
            || of_signal(self.stop_signal)
            || by_command
            || self.stop_statuses.contains(&status)
    }

    /// Whether it is one of TrivialRC's own forms, which keep TrivialRC's rules.
    #[must_use]
    pub(crate) fn is_trivialrc(&self) -> bool {
        match self.unit.form {
            Form::Script | Form::Flag => true,
            Form::Declared | Form::Trailing => false,
        }
    }
}

/// The graph. Where another takes over from it, units keep their ids: [`Graph::over`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Graph {
    /// All units that are known, by their ids: also those of graphs before this one.
    pub nodes: Vec<Node>,
    /// The units of this graph by stage, within a stage in an order that satisfies every edge and
    /// else is the order in which they were declared.
    pub order: Rc<[UnitId]>,
    /// The wait policy.
    pub wait: WaitPolicy,
    /// From an outside stop signal to the end of everything.
    pub budget: Duration,
    /// The same as somebody wrote it, if so.
    pub written_budget: Option<Duration>,
    /// What signals do, where that was written.
    pub rules: BTreeMap<Signal, Rule>,
    /// What becomes of trc's own exit status, by number.
    pub exit: BTreeMap<u8, u8>,
    /// What a stop from outside gives that everything has obeyed.
    pub stopped: Option<u8>,
    /// The units whose own status a stop from outside gives.
    pub own: Vec<UnitId>,
    /// Exactly one unit, the trailing command: trc is as tini.
    pub transparent: bool,
    /// How long whoever stops the container waits for its end.
    pub grace: Duration,
    /// Test mode: tests run, and the last one's end is that of the run.
    pub testing: bool,
    /// A test that is skipped fails the test run.
    pub strict: bool,
    /// How long units may take to be up that no test waits for.
    pub patience: Duration,
    /// The points of the stop drill whose failure is excused, and the tests that say so.
    pub allowed: BTreeMap<String, String>,
}

impl Graph {
    /// The unit of this id.
    #[must_use]
    pub(crate) fn node(&self, id: UnitId) -> &Node {
        &self.nodes[id.0]
    }

    /// All ids, in order.
    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = UnitId> + use<> {
        let order = Rc::clone(&self.order);
        (0..order.len()).map(move |rank| order[rank])
    }

    /// The ids of one stage, in order.
    pub(crate) fn stage(&self, stage: Stage) -> impl DoubleEndedIterator<Item = UnitId> + '_ {
        self.ids().filter(move |id| self.node(*id).unit.stage == stage)
    }

    /// The units that a test is about and that are told to stop after it: those that are not
    /// meant to have ended by then.
    pub(crate) fn told_by(&self, test: UnitId) -> impl Iterator<Item = UnitId> + '_ {
        let about = self.node(test).about.iter().copied();
        about.filter(|id| self.node(*id).counts() && !self.node(*id).oneshot)
    }

    /// What this signal does.
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
