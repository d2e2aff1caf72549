//! A life as it is planned: what is written, and what children, the kernel and people
//! will do. It determines everything that happens.

use std::time::Duration;

use nix::errno::Errno;

use super::drill::{Drill, Test};
pub(super) use super::ms::{Ms, ms};
use crate::config::{Condition, Form, OnFailure, Stage, StopTo, Then, WaitPolicy, When};
use crate::engine::{Ending, Notice, Request, SpawnStage, Tick};
use crate::signal::Signal;

/// One whole life.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Plan {
    pub wait: WaitPolicy,
    /// `shutdown.timeout`.
    pub budget: Option<Ms>,
    /// `[exit]`.
    pub exit: Vec<(u8, u8)>,
    /// `exit.stopped`.
    pub stopped: Option<u8>,
    /// `exit.unit`.
    pub own: Vec<usize>,
    /// `[signals]`.
    pub rules: Vec<(Signal, Rule)>,
    pub units: Vec<Unit>,
    pub settling: Settling,
    /// Signals that trc gets, from outside or from some process of no unit.
    pub signals: Vec<Told>,
    /// When the configuration is read anew.
    pub reload: Option<Ms>,
    /// What people ask of units.
    pub requests: Vec<Asked>,
    /// Processes that have left every unit's group.
    pub strays: Vec<Stray>,
    /// From when and for how long trc itself does not run, as in a paused container.
    pub sleep: Option<(Ms, Ms)>,
    /// It has a terminal, which it lends to units in the foreground.
    pub terminal: bool,
    /// It is a test run.
    pub drill: Option<Drill>,
    /// Decides every race.
    pub luck: u64,
}

/// One rule of `[signals]`; units by their place in the plan.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Rule {
    Stop,
    Ignore,
    /// Output files are opened anew.
    Reopen,
    Forward(Option<Signal>, Vec<usize>),
}

/// What boot makes of the command line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Settling {
    Same,
    /// Another graph, of the units that are in it.
    New,
    Wrong,
}

/// The graphs of a life, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    First,
    /// What boot has made of the command line.
    Second,
    /// What the configuration has become since.
    Third,
}

/// What a new configuration makes of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Renewal {
    Kept,
    Replaced,
    Removed,
    Added,
}

/// In which of the first two graphs a unit is; boot units are in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Within {
    Both,
    First,
    Second,
}

/// A signal to trc.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Told {
    pub at: Ms,
    pub signal: Signal,
    pub outside: bool,
}

/// A request of a unit.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Asked {
    pub at: Ms,
    pub unit: usize,
    pub request: Request,
}

/// One unit.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Unit {
    pub stage: Stage,
    pub form: Form,
    pub within: Within,
    pub renewal: Renewal,
    /// It is given to a shell: its group gets the stop signal.
    pub shell: bool,
    pub after: Vec<(usize, Option<Condition>)>,
    pub oneshot: Option<bool>,
    /// A halt unit that runs although boot has not completed.
    pub always: bool,
    pub success: Option<Vec<u8>>,
    pub on_failure: OnFailure,
    pub stop_signal: Option<Signal>,
    pub stop_timeout: Option<Ms>,
    pub stop_to: Option<StopTo>,
    pub stop_exec: Option<StopCommand>,
    /// It has nothing to run, and stands for something outside.
    pub outside: bool,
    pub ready: Option<Ready>,
    pub health: Option<Health>,
    pub restart: Restart,
    pub max_runtime: Option<Ms>,
    /// What is written in a test.
    pub test: Option<Test>,
    pub child: Child,
    /// What its later processes do, where that is something else.
    pub again: Option<Child>,
}

/// `ready`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ready {
    /// The unit says so by itself.
    pub told: bool,
    pub every: Ms,
    pub within: Ms,
}

/// `health`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Health {
    /// The unit says so by itself.
    pub told: bool,
    pub every: Ms,
    pub failures: u32,
    pub then: Then,
}

/// `restart`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Restart {
    pub when: When,
    pub max: Option<u32>,
    pub window: Ms,
    pub first: Ms,
    pub longest: Ms,
    pub with: Vec<usize>,
}

/// What a stop command does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum StopCommand {
    NotStarted,
    /// Ends after so long, and makes the unit end so long after that.
    Ends {
        after: Ms,
        succeeds: bool,
        unit: Option<Ms>,
    },
    Hangs,
}

/// What a unit's process does.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Child {
    /// So many starts fail first, for want of processes.
    pub scarce: u32,
    /// That is told by execve(2) only, so long after the fork.
    pub scarce_late: Option<Ms>,
    /// So many tries can't be made first, for want of processes.
    pub unmade: u32,
    pub start: Start,
    /// It ends by itself, so long after it was executed.
    pub end: Option<(Ms, Ending)>,
    /// What it does when it is told to stop.
    pub on_stop: Reply,
    /// How long KILL takes; for ever, if it sits in the kernel.
    pub on_kill: Option<Ms>,
    /// What it has put into the background.
    pub leaves: Option<Stray>,
    /// A signal that it sends to trc.
    pub tells: Option<Tells>,
    /// It is stopped, as by SIGSTOP, so long after it was executed.
    pub pauses: Option<Ms>,
    /// It is ready so long after it was executed, if ever.
    pub ready: Option<Ms>,
    /// From when to when it is not healthy.
    pub sick: Option<(Ms, Ms)>,
    /// How long a try of a probe takes.
    pub try_takes: Ms,
    /// A try that does not pass does not end by itself either.
    pub try_hangs: bool,
    /// What else it says of itself.
    pub says: Option<(Ms, Notice)>,
}

/// How a start goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Start {
    Executes(Ms),
    /// It never comes to execute its command: a hung mount.
    Hangs,
    /// It fails, after the fork if there is a time.
    Fails(SpawnStage, Option<Errno>, Option<Ms>),
}

/// How a process takes its stop signal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Reply {
    /// Dies of it.
    Dies(Ms),
    Exits(Ms, u8),
    Ignores,
}

/// A signal from a unit to trc.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tells {
    pub signal: Signal,
    pub moment: Moment,
    /// Whether trc still finds out whose process sent it.
    pub known: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Moment {
    /// Its first act.
    First,
    /// Its last before it exits.
    Last,
    After(Ms),
}

/// A background process.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Stray {
    pub ends: Option<Ms>,
    /// It ends so long after the process that has put it into the background.
    pub follows: Option<Ms>,
    pub on_stop: Option<Ms>,
    pub on_kill: Option<Ms>,
    /// It has a session of its own.
    pub session: bool,
}

impl Unit {
    /// The least interesting unit: a service that runs until it is told to stop.
    pub(super) fn plain(stage: Stage) -> Self {
        Self {
            stage,
            form: Form::Declared,
            within: Within::Both,
            renewal: Renewal::Kept,
            shell: false,
            after: Vec::new(),
            oneshot: None,
            always: false,
            success: None,
            on_failure: OnFailure::Policy,
            stop_signal: None,
            stop_timeout: None,
            stop_to: None,
            stop_exec: None,
            outside: false,
            ready: None,
            health: None,
            restart: Restart {
                when: When::No,
                max: None,
                window: 60_000,
                first: 200,
                longest: 30_000,
                with: Vec::new(),
            },
            max_runtime: None,
            test: (stage == Stage::Test).then(Test::plain),
            again: None,
            child: Child::plain(stage),
        }
    }

    pub(super) fn signal(&self) -> Signal {
        self.stop_signal.unwrap_or(Signal::TERM)
    }

    pub(super) fn timeout(&self) -> Tick {
        self.stop_timeout.map_or(Duration::from_secs(5), ms)
    }

    /// Whether its group gets the stop signal.
    pub(super) fn to_group(&self) -> bool {
        self.stop_to.map_or(self.shell, |to| to == StopTo::Group)
    }

    /// Whether it is one of those that run one by one.
    pub(super) fn in_turn(&self) -> bool {
        self.stage != Stage::Async
    }

    /// Whether wait policies count it.
    pub(super) fn counts(&self) -> bool {
        matches!(self.stage, Stage::Async | Stage::Sync) && !self.outside
    }

    /// Whether it has probes at all.
    pub(super) fn is_probed(&self) -> bool {
        self.ready.is_some() || self.health.is_some()
    }

    /// TrivialRC's own forms.
    pub(super) fn trivialrc(&self) -> bool {
        matches!(self.form, Form::Script | Form::Flag)
    }
}

impl Child {
    /// One-shots end well at once; services run on.
    pub(super) fn plain(stage: Stage) -> Self {
        let end = matches!(stage, Stage::Boot | Stage::Halt).then_some((0, Ending::Code(0)));
        Self {
            scarce: 0,
            scarce_late: None,
            unmade: 0,
            start: Start::Executes(0),
            end,
            on_stop: Reply::Dies(0),
            on_kill: Some(0),
            leaves: None,
            tells: None,
            pauses: None,
            ready: Some(0),
            sick: None,
            try_takes: 0,
            try_hangs: false,
            says: None,
        }
    }
}

impl Plan {
    pub(super) fn transparent(&self) -> bool {
        let plain = |unit: &Unit| {
            unit.form == Form::Trailing
                && unit.ready.is_none()
                && unit.health.is_none()
                && unit.restart.when == When::No
                && unit.max_runtime.is_none()
                && unit.stop_signal.is_none()
                && unit.stop_timeout.is_none()
                && unit.stop_exec.is_none()
        };
        let plain_stop = self.budget.is_none() && self.stopped.is_none();
        plain_stop && self.drill.is_none() && matches!(self.units.as_slice(), [only] if plain(only))
    }

    /// Whether a unit is in this graph.
    pub(super) fn has(&self, unit: usize, generation: Generation) -> bool {
        let Unit { within, renewal, .. } = self.units[unit];
        if self.units[unit].stage == Stage::Test && self.drill.is_none() {
            return false;
        }
        match generation {
            Generation::First => renewal != Renewal::Added && within != Within::Second,
            Generation::Second => renewal != Renewal::Added && within != Within::First,
            Generation::Third => renewal != Renewal::Removed,
        }
    }

    /// What a signal to trc does.
    pub(super) fn rule(&self, signal: Signal) -> Means<'_> {
        match self.rules.iter().find(|(written, _)| *written == signal) {
            Some((_, Rule::Ignore)) => Means::Nothing,
            Some((_, Rule::Reopen)) => Means::Reopen,
            Some((_, Rule::Forward(other, to))) => Means::Forward(other.unwrap_or(signal), to),
            None if is_for_the_foreground(signal) => Means::Foreground,
            Some((_, Rule::Stop)) | None => Means::Stop,
        }
    }
}

/// What a signal to trc does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Means<'a> {
    Stop,
    Nothing,
    Reopen,
    Foreground,
    Forward(Signal, &'a [usize]),
}

/// WINCH, CONT, TSTP, TTIN, TTOU and URG, which end no program that does not ask for it.
pub(super) fn is_for_the_foreground(signal: Signal) -> bool {
    [libc::SIGWINCH, libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGURG]
        .contains(&signal.number())
}
