//! The state of one unit.
//!
//! ```text
//!            conditions hold            execve                  exit
//!  Waiting ───────────────► Starting ───────────► Running ─────────────► Done
//!   │ ▲ ▲ │                 │    ▲                 │ stop, not ready,      ▲
//!   │ │ │ │  fork fails ► Retrying                 ▼ unhealthy    exit     │
//!   │ │ │ │                                     Stopping ──────────────────┤
//!   │ │ │ └ nothing to run: Watching ─────────────────── not ready in time ┤
//!   │ │ └ wait is over, all of the last run is gone: Backoff ◄── restart ──┤
//!   │ └ restarted together with another ───────────────────────────────────┤
//!   └ a condition can't hold any more ─────────────────────────────────────┘
//! ```
//!
//! A unit begins in `Waiting`. It waits for the conditions of its `after`, and for its turn: boot,
//! foreground and halt units run one at a time. Then the engine asks for a process and the unit is
//! `Starting`, at first without a process, and after the fork with one that has not executed its
//! command yet. What the kernel answers decides: it is `Running`, or the start has failed. A fork
//! that fails for want of processes or memory is no failure of the unit: it is `Retrying`, a few
//! times with growing waits.
//!
//! A unit that has nothing to run, because it stands for something outside or is a test, is
//! `Watching` instead: it has no process, its probe or its checks are tried, and it ends with what
//! they come to.
//!
//! A unit that is `Running` may be ready or not, healthy or not (`Watch`); neither is a phase. It
//! leaves the phase in two ways. Its main process exits: then it is `Done`, or, if its restart
//! policy says so, in `Backoff`, where it waits for a while and until everything that it left is
//! gone (`Leftovers`), and goes back to `Waiting`, for what it waits for may be gone meanwhile. Or
//! it is told to stop, because the run stops or because of a `Verdict`: it was not ready in time, is
//! unhealthy, runs for too long, is restarted together with another, or somebody has asked for it.
//! Then it is `Stopping` and goes up the `Ladder`: its stop command or stop signal, near the end of its stop timeout the same
//! for those of its processes that have had no signal, and at its end KILL. Its exit brings it to
//! `Done` or `Backoff` as above, or to `Waiting`, where somebody holds it; what survives KILL is
//! `Done`, too, and is named.
//!
//! What people want of a unit is no phase (`Wanted`): what they hold waits, whatever its conditions
//! are, and what they start anew goes from `Done` to `Backoff`, which it leaves as soon as all that it
//! has left is gone. See `request.rs`.
//!
//! What may come in between:
//!
//! - The run stops while a unit waits, in any way (`Waiting`, `Retrying`, `Backoff`, `Watching`): it
//!   goes to `Waiting` and stays there, because trc starts nothing any more.
//! - The run stops while a fork is under way (`Starting` without a process): the unit is told to stop
//!   as soon as it has one.
//! - A unit is condemned while it is `Starting`, or while another that has to go first lives: the
//!   verdict is kept, and it is told to stop later.
//! - Its command can't be executed after it was told to stop: that is its end, like an exit.
//! - A stop command fails: the stop signal takes its place (`Ladder::Signal`). It ends, and the unit
//!   lives on: the unit still has until the end of its stop timeout.
//! - The main process exits while the stop command runs: the unit is over, and the command has the
//!   rest of the stop timeout.
//! - The main process hands over to another (`MAINPID=`): the phase stays, its process changes.
//! - A unit asks for more time (`EXTEND_TIMEOUT_USEC=`): the phase stays, its deadlines move.
//! - Somebody asks for a stop or a restart while a fork is under way (`Starting` without a process):
//!   the unit is told to stop as soon as it has one. While it is `Stopping`, whyever: it is held, or
//!   comes back, as the last one to ask wants it.
//! - Somebody insists on the stop, or its time is up: whatever lives gets KILL at once.
//!
//! A unit in `Backoff`, or one that goes from its end back to `Waiting`, has not ended, nor has one
//! that is held: units that
//! wait for its end go on waiting. All changes of a phase go through [`State::transition`], which keeps
//! since when and why.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;

use super::{Detail, Ending, SpawnStage, Tick, Told};
use crate::graph::UnitId;
use crate::signal::Signal;

/// Where a unit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Its conditions don't hold yet, or its turn has not come.
    Waiting,
    /// A fork failed for want of processes or memory.
    Retrying { until: Tick, tries: u32 },
    /// It has a process, which has not executed its command yet. None until the fork.
    Starting { pid: Option<i32>, tries: u32 },
    /// Its command runs.
    Running { pid: i32 },
    /// It has nothing to run: what it stands for is looked for, or was found.
    Watching,
    /// It was told to stop.
    Stopping { pid: i32, ladder: Ladder },
    /// It is started again after a while, and when all is gone that has to be; None once the
    /// while is over.
    Backoff { until: Option<Tick> },
    /// It has ended and will not be started again.
    Done(Ended),
}

/// What is wanted of a unit, whatever its phase is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// It is to run, or to have run.
    Up,
    /// It is to be gone, and nothing starts it again: the run stops, or a new graph takes over.
    Down,
    /// Somebody has stopped it, and only somebody who asks for it starts it again.
    Held,
}

/// Why a unit is in its phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The run has begun, or the unit has come into it.
    Begun,
    /// Everything that it waits for has come true, and it is its turn.
    Met,
    /// Its command was executed.
    Executed,
    /// Its fork failed for want of something that may come back.
    Scarce,
    /// It exited, and its restart policy starts it again.
    Exited,
    /// The time before another start is over.
    Again,
    /// It is restarted together with another unit.
    Together,
    /// This was found of it while the run went on.
    Found(Verdict),
    /// Somebody has asked for it.
    Asked,
    /// A new graph is to take over.
    Reloaded,
    /// The run stops.
    RunStops,
    /// Its stop command failed.
    StopCommandFailed,
    /// It does not stop in time.
    Slow,
    /// It is over.
    Over,
}

/// How far a unit is up its stop ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ladder {
    /// Its stop command was started.
    Command { rest_at: Tick, kill_at: Tick },
    /// Its stop signal was sent.
    Signal { rest_at: Tick, kill_at: Tick },
    /// It took so long that its other processes were told to end, too.
    Rest { kill_at: Tick },
    /// It was killed.
    Kill { give_up_at: Tick },
}

/// What a unit that has ended left, in its process group or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leftovers {
    /// Nothing.
    None,
    /// Processes, that may go on until the unit restarts or the run stops.
    Live { escaped: bool },
    /// In test mode: they have a moment to end by themselves, or they are orphans.
    Lingering { until: Tick, kill_at: Tick, told: Told, escaped: bool },
    /// The unit's stop command was started to stop them.
    Command { rest_at: Tick, kill_at: Tick },
    /// Told to stop.
    Stopping { kill_at: Tick },
    /// Killed.
    Killed { give_up_at: Tick },
}

/// Why a unit that still ran was told to stop, where that wasn't the stop of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It was not ready in time.
    NotReady,
    /// Its health check has failed too often; whether it is started again.
    Unhealthy { timed_out: bool, restart: bool },
    /// It has run for longer than it may.
    Overran,
    /// It is restarted together with another.
    Together,
    /// Somebody has asked for it; whether it comes back is for [`Wanted`] to say.
    Asked,
}

impl Verdict {
    /// Whether it is no fault of the unit's.
    pub(super) fn is_no_fault(self) -> bool {
        match self {
            Self::Together | Self::Asked => true,
            Self::NotReady | Self::Unhealthy { .. } | Self::Overran => false,
        }
    }
}

/// Why a unit has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// Its process ended.
    Process(Ending),
    /// It could not be started.
    NotStarted(SpawnStage, Option<Errno>),
    /// What it waits for, this unit, can't come true any more.
    Blocked(UnitId),
    /// It survived KILL.
    Unkillable,
    /// It was not ready in time.
    NotReady,
    /// It was not healthy.
    Unhealthy,
    /// It has run for longer than it may.
    Overran,
    /// It stands for something outside, which was there.
    Found,
    /// It is a test, which is done.
    Test(TestEnd),
}

/// How a test came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TestEnd {
    /// What it expects holds.
    Passed,
    /// It says itself that it has nothing to say.
    Skipped,
    /// What it expects doesn't hold.
    Failed,
    /// A try took too long.
    TimedOut,
    /// It held at first, and then no more, or a unit was restarted.
    DidNotHold,
    /// The unit that its fault was done to is not up again.
    NotRecovered,
}

/// The end of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    /// Why.
    pub how: How,
    /// How it counts: 0 is success, and what failed is never 0.
    pub status: u8,
    /// Its place among the ends of all units.
    pub place: u32,
}

impl Ended {
    /// Whether it failed.
    #[must_use]
    pub(crate) fn failed(self) -> bool {
        self.status != 0
    }
}

/// What is known of the present run of a unit by its probes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Watch {
    /// When its command was executed, or what it stands for was looked for.
    pub since: Tick,
    /// Whether its readiness check has passed.
    pub ready: bool,
    /// Until when that has to be.
    pub ready_by: Option<Tick>,
    /// When the next try is due; none is while one is under way.
    pub next_ready: Option<Tick>,
    /// The wait after that try.
    pub wait: Duration,
    /// When the next health check is due, or what the unit says by itself has to have come.
    pub next_health: Option<Tick>,
    /// It has said that it is about to end: its health is of no interest any more.
    pub leaving: bool,
    /// How many have failed in a row.
    pub failures: u32,
    /// Whether it was said that it isn't healthy.
    pub sick: bool,
    /// Until when it may run.
    pub run_until: Option<Tick>,
    /// In test mode: whether it has been up for a moment.
    pub calm: Calm,
}

/// Whether a unit has been up for a moment, [`super::limits::CALM`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Calm {
    /// It is not up.
    #[default]
    No,
    /// It will have been then.
    At(Tick),
    /// It has.
    Yes,
}

impl Watch {
    /// Whether it has been up for a moment by now.
    pub(super) fn is_calm(&self, now: Tick) -> bool {
        match self.calm {
            Calm::No => false,
            Calm::At(calm_at) => calm_at <= now,
            Calm::Yes => true,
        }
    }

    fn deadline(&self) -> Option<Tick> {
        let calm_at = match self.calm {
            Calm::At(calm_at) => Some(calm_at),
            Calm::No | Calm::Yes => None,
        };
        let all = [self.ready_by, self.next_ready, self.next_health, self.run_until, calm_at];
        all.into_iter().flatten().min()
    }
}

/// What is known of a test that is being done, or waits for its units.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Trial {
    /// Until when it has to begin.
    pub start_by: Option<Tick>,
    /// When it began.
    pub since: Tick,
    /// Until when it is tried again.
    pub until: Option<Tick>,
    /// When the next try is due; none is while one is under way.
    pub next_try: Option<Tick>,
    /// The wait after that try.
    pub wait: Duration,
    /// How many tries in a row could not be made.
    pub unmade: u32,
    /// It holds so far, and has to until then.
    pub hold_until: Option<Tick>,
    /// How many restarts there had been when it began to hold.
    pub restarts: u32,
    /// The process that its fault has killed.
    pub killed: Option<i32>,
    /// The process that its fault has stopped.
    pub stopped: Option<i32>,
    /// When that goes on.
    pub continue_at: Option<Tick>,
}

impl Trial {
    fn deadline(&self, phase: &Phase) -> Option<Tick> {
        match phase {
            Phase::Waiting => self.start_by,
            Phase::Watching => self.next_try.into_iter().chain(self.continue_at).min(),
            Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        }
    }
}

/// The restarts of a unit.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Restarts {
    /// When, as far as that still counts.
    pub times: VecDeque<Tick>,
    /// How many in a row, none of whose runs lasted.
    pub in_a_row: u32,
}

/// How a unit has ended that was told to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stopped {
    /// Its status, 128 + n where signal n ended it.
    pub status: u8,
    /// How long after it was told; none where it was killed for want of time.
    pub after: Option<Duration>,
}

/// All that is known of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    /// It changes in [`State::transition`] alone.
    phase: Phase,
    /// Since when it has this phase.
    since: Tick,
    /// Why it has it.
    why: Why,
    pub wanted: Wanted,
    pub leftovers: Leftovers,
    /// Whether its command has ever been executed.
    pub started: bool,
    /// How often its fork has failed, for the next start.
    pub tries: u32,
    /// When the command of its present run was executed, or of its last one, if it was.
    pub ran_since: Option<Tick>,
    /// Whether it was stopped and not continued since.
    pub paused: bool,
    /// Until when its stop command may run, while it does.
    pub stop_command: Option<Tick>,
    /// Its present run.
    pub watch: Watch,
    /// Why it was told to stop, or is about to be.
    pub verdict: Option<Verdict>,
    /// What was found out last about its state, since its last start.
    pub known: Option<Detail>,
    pub restarts: Restarts,
    /// As a test.
    pub trial: Trial,
    /// A test has done something to it that it need not bear without a restart.
    pub faulted: bool,
    /// The signal by which it has.
    pub struck: Option<Signal>,
    /// When its present run was told to stop.
    pub told: Option<Tick>,
    /// How it has ended, told to stop as the run stops after the last test.
    pub stopped: Option<Stopped>,
}

impl State {
    pub(super) fn new(now: Tick) -> Self {
        Self {
            phase: Phase::Waiting,
            since: now,
            why: Why::Begun,
            wanted: Wanted::Up,
            leftovers: Leftovers::None,
            started: false,
            tries: 0,
            ran_since: None,
            paused: false,
            stop_command: None,
            watch: Watch::default(),
            verdict: None,
            known: None,
            restarts: Restarts::default(),
            trial: Trial::default(),
            faulted: false,
            struck: None,
            told: None,
            stopped: None,
        }
    }

    /// Where it stands.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// What its phase carries, for changes that leave the phase as it is: a process that was
    /// forked, or that another takes the place of; more time.
    pub(super) fn details(&mut self) -> &mut Phase {
        &mut self.phase
    }

    /// The one door through which a unit goes from phase to phase.
    pub(super) fn transition(&mut self, to: Phase, now: Tick, why: Why) {
        (self.phase, self.since, self.why) = (to, now, why);
    }

    /// What it is about takes until then.
    pub(super) fn extend(&mut self, until: Tick) {
        let watch = &mut self.watch;
        let times = match &mut self.phase {
            Phase::Running { .. } if watch.ready_by.is_some() => watch.ready_by.as_mut(),
            Phase::Running { .. } => watch.run_until.as_mut(),
            Phase::Stopping {
                ladder: Ladder::Command { rest_at, kill_at } | Ladder::Signal { rest_at, kill_at },
                ..
            } => {
                *rest_at += until.saturating_sub(*kill_at);
                Some(kill_at)
            }
            Phase::Stopping { ladder: Ladder::Rest { kill_at }, .. } => Some(kill_at),
            Phase::Stopping { .. }
            | Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Watching
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        };
        if let Some(time) = times {
            *time = until.max(*time);
            // Its stop command has as long as it itself.
            self.stop_command = self.stop_command.map(|time| until.max(time));
        }
    }

    /// Something is known about its state, or is so no more. What it was condemned for stands.
    pub(super) fn learnt(&mut self, why: Option<Detail>) {
        if self.verdict.is_none() {
            self.known = why;
        }
    }

    /// Since when it stands there, and why.
    pub(super) fn stands(&self) -> (Tick, Why) {
        (self.since, self.why)
    }

    /// Its live process.
    pub(super) fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Starting { pid, .. } => pid,
            Phase::Running { pid } | Phase::Stopping { pid, .. } => Some(pid),
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        }
    }

    /// Whether it is ready now.
    pub(super) fn is_ready(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Watching => self.watch.ready,
            Phase::Done(Ended { how: How::Found, .. }) => true,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => false,
        }
    }

    /// Whether it may come to run without anything being done for it.
    pub(super) fn is_dormant(&self) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => true,
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Done(_) => false,
        }
    }

    /// Whether neither it nor anything of it lives, or is about to, and nothing is at work to
    /// stop it.
    pub(super) fn gone(&self) -> bool {
        let process = match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Stopping { .. } => true,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Backoff { .. }
            | Phase::Done(_) => false,
        };
        !process && self.leftovers == Leftovers::None && self.stop_command.is_none()
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let phase = match self.phase {
            Phase::Retrying { until, .. } => Some(until),
            Phase::Backoff { until } => until,
            Phase::Stopping {
                ladder: Ladder::Command { rest_at: at, .. } | Ladder::Signal { rest_at: at, .. },
                ..
            }
            | Phase::Stopping { ladder: Ladder::Rest { kill_at: at }, .. } => Some(at),
            Phase::Stopping { ladder: Ladder::Kill { give_up_at }, .. } => Some(give_up_at),
            // What is about to be told to stop is not looked at any more.
            Phase::Running { .. } | Phase::Watching if self.verdict.is_none() => {
                self.watch.deadline()
            }
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Done(_) => None,
        };
        let leftovers = match self.leftovers {
            Leftovers::None | Leftovers::Live { .. } => None,
            Leftovers::Lingering { until, .. } => Some(until),
            Leftovers::Command { rest_at, .. } => Some(rest_at),
            Leftovers::Stopping { kill_at } => Some(kill_at),
            Leftovers::Killed { give_up_at } => Some(give_up_at),
        };
        let own = phase.into_iter().chain(leftovers).chain(self.stop_command);
        own.chain(self.trial.deadline(&self.phase)).min()
    }
}
