//! The plan of a life: the configuration, and what children, the kernel and people will do. It
//! determines everything that happens.

use std::time::Duration;

use nix::errno::Errno;

use super::drill::{Drill, Test};
pub(super) use super::ms::{Ms, ms};
use crate::config::{Condition, Form, OnFailure, Overlap, Stage, StopTo, Then, WaitPolicy, When};
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
    /// The signals that trc gets from outside, or from a process that belongs to no unit.
    pub signals: Vec<Told>,
    /// The time at which trc reads the configuration again.
    pub reload: Option<Ms>,
    /// The new graph stays even if one of its units fails.
    pub keep: bool,
    /// The requests for units.
    pub requests: Vec<Asked>,
    /// When which unit is due by its schedule.
    pub dues: Vec<(Ms, usize)>,
    /// When people cancel which job.
    pub cancels: Vec<(Ms, u32)>,
    /// When somebody asks the run to stop, and with which status.
    pub shutdown: Option<(Ms, Option<u8>)>,
    /// The processes that belong to no unit's process group.
    pub strays: Vec<Stray>,
    /// The time from which trc itself does not run, as in a paused container, and for how long.
    pub sleep: Option<(Ms, Ms)>,
    /// Whether trc has a terminal, which it lends to foreground units.
    pub terminal: bool,
    /// The test run, if it is one.
    pub drill: Option<Drill>,
    /// Decides every race.
    pub luck: u64,
}

/// A rule of `[signals]`. Units are named by their place in the plan.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Rule {
    Stop,
    Ignore,
    /// trc reopens the files that output goes to.
    Reopen,
    /// trc reads the configuration anew.
    Reload,
    Forward(Option<Signal>, Vec<usize>),
}

/// The effect of the boot scripts on the command line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Settling {
    Same,
    /// They change it: another graph takes over.
    New,
    Wrong,
}

/// The graphs of a life, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    First,
    /// The graph of the command line that the boot scripts have changed.
    Second,
    /// The graph of the new configuration after a reload.
    Third,
}

/// The effect of a reload on a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Renewal {
    Kept,
    Replaced,
    Removed,
    Added,
}

/// The graphs, of the first two, that contain a unit. Boot units are in both.
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

/// A request for a unit.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Asked {
    pub at: Ms,
    pub unit: usize,
    pub request: Request,
}

/// One unit.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
pub(super) struct Unit {
    pub stage: Stage,
    pub form: Form,
    pub within: Within,
    pub renewal: Renewal,
    /// Whether it runs a script, so that its process group gets the stop signal.
    pub shell: bool,
    pub after: Vec<(usize, Option<Condition>)>,
    pub oneshot: Option<bool>,
    /// Whether it is a halt unit that also runs if boot failed.
    pub always: bool,
    pub autostart: bool,
    pub success: Option<Vec<u8>>,
    pub on_failure: OnFailure,
    pub stop_signal: Option<Signal>,
    pub stop_timeout: Option<Ms>,
    pub stop_to: Option<StopTo>,
    pub stop_exec: Option<StopCommand>,
    pub reload: Option<Reload>,
    pub pre_start: Option<PreStart>,
    pub post_stop: Option<PostStop>,
    /// Whether it is an external unit.
    pub outside: bool,
    /// What has to be there if the unit has a `pid_file`.
    pub ready: Option<Ready>,
    pub pid_file: Option<PidFile>,
    pub health: Option<Health>,
    pub restart: Restart,
    pub max_runtime: Option<Ms>,
    /// What happens if it is due too early, and whether it is due at the start, if it has a schedule.
    pub schedule: Option<(Overlap, bool)>,
    /// The settings of a test.
    pub test: Option<Test>,
    pub child: Child,
    /// The behavior of its later processes, if it differs.
    pub again: Option<Child>,
    /// In a story, the behavior of each of its processes in turn, and that of all later ones at the
    /// end. It is empty in generated lives.
    pub lives: Vec<Child>,
    /// In a story, the signals that the configuration forwards to it, which it handles.
    pub handles: Vec<Signal>,
}

/// `pre_start`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct PreStart {
    pub runs: PreRuns,
    pub on_stop: Reply,
    /// Whether it leaves a process behind.
    pub leaves: bool,
    pub within: Option<Ms>,
}

/// The behavior of a `pre_start`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum PreRuns {
    NotStarted(Errno, Option<Ms>),
    Ends(Ms, Ending),
    Hangs,
}

/// `post_stop`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct PostStop {
    pub runs: PostRuns,
    /// Whether it leaves a process running if it exits.
    pub leaves: bool,
    pub within: Option<Ms>,
}

/// The behavior of a `post_stop`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum PostRuns {
    NotStarted,
    Ends { after: Ms, succeeds: bool },
    Hangs,
}

/// `ready`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ready {
    /// The unit says so by itself.
    pub told: bool,
    pub every: Ms,
    pub within: Ms,
}

/// `pid_file`. The process that the unit leaves is its daemon, if it exits with 0 itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct PidFile {
    /// Whether the unit is ready as soon as the file names its main process. Then `ready` has only its
    /// times.
    pub alone: bool,
    /// When the file names the process that trc has started, counted from its execution.
    pub early: Option<Ms>,
    /// When the file names the daemon, counted from the exit of that process; `None` if never.
    pub late: Option<Ms>,
    /// When the daemon exits by itself, counted from then, and how.
    pub ends: Option<(Ms, Ending)>,
}

/// `reload`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reload {
    pub by: Makes,
    pub within: Ms,
}

/// What makes a unit reload.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Makes {
    Signal(Signal),
    Command(ReloadCommand),
}

/// The behavior of a command that makes a unit reload.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum ReloadCommand {
    NotStarted,
    /// Exits after this time. It has told the unit at its start.
    Ends {
        after: Ms,
        succeeds: bool,
    },
    Hangs,
}

/// The behavior of a process that is made to reload.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reloads {
    /// The time until it begins.
    pub begins: Ms,
    /// The time from then on until it is ready again; `None` if never.
    pub ready: Option<Ms>,
    /// The time that it asks for when it begins, if it can.
    pub extends: Option<Ms>,
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

/// The behavior of a stop command.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum StopCommand {
    NotStarted,
    /// Exits after this time, and makes the unit exit after another one.
    Ends {
        after: Ms,
        succeeds: bool,
        unit: Option<Ms>,
    },
    Hangs,
}

/// The behavior of a unit's process.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Child {
    /// The number of starts that fail first because there are too many processes.
    pub scarce: u32,
    /// The time after the fork at which execve(2) reports that; otherwise the fork itself fails.
    pub scarce_late: Option<Ms>,
    /// The number of attempts that cannot be made first, because there are too many processes.
    pub unmade: u32,
    pub start: Start,
    /// When it exits by itself, counted from its execution, and how.
    pub end: Option<(Ms, Ending)>,
    /// Its reaction to the stop signal.
    pub on_stop: Reply,
    /// Its reaction to a reload; `None` if it cannot do that.
    pub reloads: Option<Reloads>,
    /// The time that SIGKILL takes; `None` if the process is stuck in the kernel.
    pub on_kill: Option<Ms>,
    /// The process that it leaves behind.
    pub leaves: Option<Stray>,
    /// The signal that it sends to trc.
    pub tells: Option<Tells>,
    /// When it is suspended, counted from its execution.
    pub pauses: Option<Ms>,
    /// When it is ready, counted from its execution; `None` if never.
    pub ready: Option<Ms>,
    /// The time during which it is unhealthy.
    pub sick: Option<(Ms, Ms)>,
    /// The duration of an attempt of a probe.
    pub try_takes: Ms,
    /// Whether an attempt that does not pass hangs.
    pub try_hangs: bool,
    /// Another notification that it sends.
    pub says: Option<(Ms, Notice)>,
    /// In a story, when its daemon exits, counted from its own exit, and how.
    pub daemon_ends: Option<(Ms, Ending)>,
}

/// The outcome of a start.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Start {
    Executes(Ms),
    /// The process never executes its command, as on a hung mount.
    Hangs,
    /// It fails: in the fork, or this long after it.
    Fails(SpawnStage, Option<Errno>, Option<Ms>),
}

/// The reaction of a process to its stop signal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Reply {
    /// The signal terminates it.
    Dies(Ms),
    Exits(Ms, u8),
    Ignores,
}

/// A signal from a unit to trc.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tells {
    pub signal: Signal,
    pub moment: Moment,
    /// Whether trc can still find out which unit the sender belongs to.
    pub known: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Moment {
    /// Its first act.
    First,
    /// Its last act before it exits.
    Last,
    After(Ms),
}

/// A process that is not the main process of a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Stray {
    pub ends: Option<Ms>,
    /// It exits this long after the process that started it.
    pub follows: Option<Ms>,
    pub on_stop: Option<Ms>,
    pub on_kill: Option<Ms>,
    /// Whether it has a session of its own.
    pub session: bool,
}

impl Unit {
    /// Returns the least interesting unit: a service that runs until it is asked to stop.
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
            autostart: true,
            success: None,
            on_failure: OnFailure::Policy,
            stop_signal: None,
            stop_timeout: None,
            stop_to: None,
            stop_exec: None,
            reload: None,
            pre_start: None,
            post_stop: None,
            outside: false,
            ready: None,
            pid_file: None,
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
            schedule: None,
            test: (stage == Stage::Test).then(Test::plain),
            again: None,
            lives: Vec::new(),
            handles: Vec::new(),
            child: Child::plain(stage),
        }
    }

    pub(super) fn signal(&self) -> Signal {
        self.stop_signal.unwrap_or(Signal::TERM)
    }

    pub(super) fn timeout(&self) -> Tick {
        self.stop_timeout.map_or(Duration::from_secs(5), ms)
    }

    /// Returns whether its process group gets the stop signal.
    pub(super) fn to_group(&self) -> bool {
        self.stop_to.map_or(self.shell, |to| to == StopTo::Group)
    }

    /// Returns whether it is one of the units that run one at a time.
    pub(super) fn in_turn(&self) -> bool {
        self.stage != Stage::Async
    }

    /// Returns whether wait policies count it.
    pub(super) fn counts(&self) -> bool {
        matches!(self.stage, Stage::Async | Stage::Sync) && !self.outside
    }

    /// Returns whether it says by itself that it is ready.
    pub(super) fn says_ready(&self) -> bool {
        self.ready.is_some_and(|ready| ready.told) && self.pid_file.is_none_or(|file| !file.alone)
    }

    /// Returns whether it has any probes.
    pub(super) fn is_probed(&self) -> bool {
        self.ready.is_some() || self.health.is_some()
    }

    /// Returns whether it has one of TrivialRC's forms.
    pub(super) fn trivialrc(&self) -> bool {
        matches!(self.form, Form::Script | Form::Flag)
    }
}

impl Child {
    /// Returns the plainest behavior: a one-shot exits with 0 at once, and a service keeps running.
    pub(super) fn plain(stage: Stage) -> Self {
        let end = matches!(stage, Stage::Boot | Stage::Halt).then_some((0, Ending::Code(0)));
        Self {
            scarce: 0,
            scarce_late: None,
            unmade: 0,
            start: Start::Executes(0),
            end,
            on_stop: Reply::Dies(0),
            reloads: Some(Reloads { begins: 0, ready: Some(0), extends: None }),
            on_kill: Some(0),
            leaves: None,
            tells: None,
            pauses: None,
            ready: Some(0),
            sick: None,
            try_takes: 0,
            try_hangs: false,
            says: None,
            daemon_ends: None,
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
                && unit.schedule.is_none()
                && unit.reload.is_none()
                && unit.pre_start.is_none()
                && unit.post_stop.is_none()
                && unit.stop_signal.is_none()
                && unit.stop_timeout.is_none()
                && unit.stop_exec.is_none()
        };
        let plain_stop = self.budget.is_none() && self.stopped.is_none();
        plain_stop && self.drill.is_none() && matches!(self.units.as_slice(), [only] if plain(only))
    }

    /// Returns whether a unit is due when it comes into the run.
    pub(super) fn runs_at_start(&self, at: usize) -> bool {
        let unit = &self.units[at];
        self.drill.is_none()
            && unit.autostart
            && unit.schedule.is_some_and(|(_, at_start)| at_start)
    }

    /// Returns whether a unit is in this graph.
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
            Some((_, Rule::Reload)) => Means::Reload,
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
    Reload,
    Foreground,
    Forward(Signal, &'a [usize]),
}

/// Returns whether a signal is WINCH, CONT, TSTP, TTIN, TTOU or URG, which terminate no program by
/// default.
pub(super) fn is_for_the_foreground(signal: Signal) -> bool {
    [libc::SIGWINCH, libc::SIGCONT, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGURG]
        .contains(&signal.number())
}
