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
//! command yet. The kernel's answer decides: the unit is `Running`, or the start has failed. A fork
//! that fails for want of processes or memory is not a failure of the unit: the unit is `Retrying`,
//! a few times with growing delays.
//!
//! A unit that has nothing to run, because it is external or a test, is `Watching` instead: it has
//! no process, trc attempts its probe or its checks, and it ends with their outcome.
//!
//! A unit that is `Running` may be ready or not, healthy or not (`Watch`), and may read its own
//! configuration anew (`OwnReload`); none of these is a phase. It leaves the phase in one of two
//! ways. First, its main process may exit: then the unit is `Done`, or, if its restart policy says
//! so, in `Backoff`, where it waits for a while and until all its leftovers are gone (`Leftovers`),
//! and goes back to `Waiting`, because its conditions may not hold any more. Second, it may be told
//! to stop, because the run stops or because of a `Verdict`: it was not ready in time, is
//! unhealthy, runs for too long, is restarted together with another, or somebody has asked for it.
//! Then it is `Stopping` and goes up the `Ladder`: first its stop command or stop signal; near the
//! end of its stop timeout, a signal for those of its processes that have had none; and at the end,
//! SIGKILL. Its exit brings it to `Done` or `Backoff` as above, or to `Waiting` if somebody holds
//! it; a unit that survives SIGKILL is `Done`, too, and is named.
//!
//! The wanted state of a unit is not a phase (`Wanted`): a held unit waits, whatever its conditions
//! are, and a unit that is started anew by hand goes from `Done` to `Backoff`, which it leaves as
//! soon as all its leftovers are gone. See `request.rs`.
//!
//! These events may come in between:
//!
//! - The run stops while a unit waits, in any way (`Waiting`, `Retrying`, `Backoff`, `Watching`):
//!   it goes to `Waiting` and stays there, because trc starts nothing any more.
//! - The run stops while a fork is under way (`Starting` without a process): the unit is told to
//!   stop as soon as it has a process.
//! - A unit is condemned while it is `Starting`, or while another unit lives that has to go first:
//!   the verdict is kept, and the unit is told to stop later.
//! - Its command cannot be executed after it was told to stop: that is its end, like an exit.
//! - A stop command fails: the stop signal takes its place (`Ladder::Signal`). If the command exits
//!   and the unit lives on, the unit still has until the end of its stop timeout.
//! - The main process exits while the stop command runs: the unit has exited, and the command has
//!   the rest of the stop timeout.
//! - The main process hands over to another (`MAINPID=`): the phase stays, and its process changes.
//! - The main process of a unit with a `pid_file` exits with 0, which puts the unit into the
//!   background: the phase stays, and another process of the unit stands in for its main process
//!   until the file names that (`Sought`). The unit is not ready before.
//! - A unit asks for more time (`EXTEND_TIMEOUT_USEC=`): the phase stays, and its deadlines move.
//! - Somebody asks for a stop or a restart while a fork is under way (`Starting` without a
//!   process): the unit is told to stop as soon as it has a process. If the unit is `Stopping`, for
//!   whatever reason, it is held or comes back, as the last request wants it.
//! - Somebody insists on the stop, or its time is up: everything that lives gets SIGKILL at once.
//!
//! A unit has not ended if it is in `Backoff`, has gone from its exit back to `Waiting`, or is
//! held: units that wait for its end go on waiting. All changes of a phase go through
//! [`State::transition`], which keeps the time and the reason.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;

use super::past::Past;
use super::reason::Failure;
use super::{Detail, Ending, SpawnStage, Tick, Told};
use crate::graph::UnitId;
use crate::signal::Signal;

/// The phase of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Its conditions do not hold yet, or its turn has not come.
    Waiting,
    /// A fork failed for want of processes or memory.
    Retrying { until: Tick, tries: u32 },
    /// It is being started; it has no process until the fork, and has not executed its command yet.
    Starting { pid: Option<i32>, tries: u32 },
    /// Its command runs.
    Running { pid: i32 },
    /// It has nothing to run: trc looks for what it stands for, or has found it.
    Watching,
    /// It was told to stop.
    Stopping { pid: i32, ladder: Ladder },
    /// Its process is gone, and its `post_stop` runs, until this time at most.
    Finishing { until: Tick },
    /// It is started again after a delay, and when all is gone that has to be; `None` once the
    /// delay is over.
    Backoff { until: Option<Tick> },
    /// It has ended and will not be started again.
    Done(Ended),
}

impl Phase {
    /// Returns the end of the unit, if it has ended.
    pub(super) fn ended(self) -> Option<Ended> {
        match self {
            Self::Done(ended) => Some(ended),
            Self::Waiting
            | Self::Retrying { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Watching
            | Self::Stopping { .. }
            | Self::Finishing { .. }
            | Self::Backoff { .. } => None,
        }
    }
}

/// The wanted state of a unit, whatever its phase is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// The unit is to run, or to have run.
    Up,
    /// The unit is to be gone, and nothing starts it again: the run stops, or a new graph takes
    /// over.
    Down,
    /// Somebody has stopped the unit, and only another request starts it again.
    Held,
    /// Nobody has asked for the unit, which does not start by itself.
    Idle,
}

/// The reason why a unit is in its phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The run has begun, or the unit has come into the run.
    Begun,
    /// All its conditions hold, and it is its turn.
    Met,
    /// Its command was executed.
    Executed,
    /// Its fork failed for want of a resource that may come back.
    Scarce,
    /// It exited, and its restart policy starts it again.
    Exited,
    /// Its process is gone.
    Gone,
    /// The delay before another start is over.
    Again,
    /// It is restarted together with another unit.
    Together,
    /// trc found this about it while the run went on.
    Found(Verdict),
    /// Somebody has asked for it.
    Asked,
    /// A new graph is to take over.
    Reloaded,
    /// The run stops.
    RunStops,
    /// Its stop command failed.
    StopCommandFailed,
    /// It did not stop in time.
    Slow,
    /// It has ended.
    Over,
}

/// The rung of the stop ladder that a unit has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ladder {
    /// Its stop command was started.
    Command { rest_at: Tick, kill_at: Tick },
    /// Its stop signal was sent.
    Signal { rest_at: Tick, kill_at: Tick },
    /// It took so long that its other processes were told to exit, too.
    Rest { kill_at: Tick },
    /// It was killed.
    Kill { give_up_at: Tick },
}

/// The leftovers of a unit, in its process group or elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leftovers {
    /// None.
    None,
    /// Processes that may go on until the unit restarts or the run stops.
    Live { escaped: bool },
    /// In test mode: they have a moment to exit by themselves, or else they are orphans.
    Lingering { until: Tick, kill_at: Tick, told: Told, escaped: bool },
    /// The unit's stop command was started to stop them.
    Command { rest_at: Tick, kill_at: Tick },
    /// They were told to stop.
    Stopping { kill_at: Tick },
    /// They were killed.
    Killed { give_up_at: Tick },
}

/// The reason why a running unit was told to stop, other than the stop of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Its `pre_start` took too long.
    Unprepared,
    /// It was not ready in time.
    NotReady,
    /// Its health check has failed too often; `restart` says whether it is started again.
    Unhealthy { timed_out: bool, restart: bool },
    /// It has been up for longer than it may be.
    Overran,
    /// It is restarted together with another.
    Together,
    /// Somebody has asked for it; [`Wanted`] says whether it comes back.
    Asked,
}

impl Verdict {
    /// Returns whether the unit is not at fault.
    pub(super) fn is_no_fault(self) -> bool {
        match self {
            Self::Together | Self::Asked => true,
            Self::Unprepared | Self::NotReady | Self::Unhealthy { .. } | Self::Overran => false,
        }
    }
}

/// The reason why a unit has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// Its process exited.
    Process(Ending),
    /// The unit put itself into the background, and its last process exited like this before the
    /// `pid_file` named one of them.
    Lost(UnitId, Ending),
    /// It could not be started.
    NotStarted(SpawnStage, Option<Errno>),
    /// Its `pre_start` failed, or was stopped.
    PreStart(Ending),
    /// Its `pre_start` took too long.
    Unprepared,
    /// Its condition on this unit can no longer come true.
    Blocked(UnitId),
    /// It survived SIGKILL.
    Unkillable,
    /// It was not ready in time.
    NotReady,
    /// It was not healthy.
    Unhealthy,
    /// It was up for longer than it may be.
    Overran,
    /// It is external, and was found.
    Found,
    /// It is a test, which has finished.
    Test(TestEnd),
}

/// The reason for a unit's end, for its `post_stop`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EndReason {
    /// Its process exited by itself.
    Exited,
    /// A signal that trc has not sent terminated its process.
    Killed,
    /// trc stopped it without a fault of its own.
    Stopped,
    /// Its `pre_start` failed, or took too long.
    PreStart,
    /// Its command could not be executed.
    NotStarted,
    /// It was not ready in time.
    NotReady,
    /// It was not healthy.
    Unhealthy,
    /// It was up for longer than it may be.
    Overran,
}

/// The exit of a unit's process, of which the consequences wait for its `post_stop`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Exit {
    pub how: How,
    /// The status that it counts as.
    pub status: u8,
    /// Whether the unit had been told to stop.
    pub told: bool,
    /// Whether it was to become ready, or to be prepared for its start, and did not.
    pub never_ready: bool,
    /// How long its command had run, if it did.
    pub lasted: Option<Duration>,
}

/// The end of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TestEnd {
    /// Its expectations hold.
    Passed,
    /// It reported that it was skipped.
    Skipped,
    /// Its expectations do not hold.
    Failed,
    /// An attempt took too long.
    TimedOut,
    /// It held at first, and then did not any more, or a unit was restarted.
    DidNotHold,
    /// The unit that its fault damaged is not up again.
    NotRecovered,
}

/// The end of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    /// The reason.
    pub how: How,
    /// The status that it counts as: 0 for success, and never 0 for a failure.
    pub status: u8,
    /// Its place among the ends of all units.
    pub place: u32,
}

impl Ended {
    /// Returns whether the unit failed.
    #[must_use]
    pub(crate) fn failed(self) -> bool {
        self.status != 0
    }
}

/// What trc knows about a unit since its last start, by its probes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each has come to pass or not")]
pub(super) struct Watch {
    /// When its command was executed, or trc began to look for what it stands for.
    pub since: Tick,
    /// Whether its readiness check has passed.
    pub ready: bool,
    /// The deadline for that.
    pub ready_by: Option<Tick>,
    /// When the next attempt is due; `None` while one is under way.
    pub next_ready: Option<Tick>,
    /// The wait after that attempt.
    pub wait: Duration,
    /// Whether an attempt to find out whether it is ready is under way.
    pub trying: bool,
    /// The search for its main process, until that is known, if it has a `pid_file`.
    pub sought: Option<Sought>,
    /// When the next health check is due, or by when the unit has to report its health by itself.
    pub next_health: Option<Tick>,
    /// Whether it has reported that it is about to exit, so that its health does not matter any
    /// more.
    pub leaving: bool,
    /// The number of health checks that have failed in a row.
    pub failures: u32,
    /// Whether people were told that it is not healthy.
    pub sick: bool,
    /// The end of its `max_runtime`.
    pub run_until: Option<Tick>,
    /// In test mode: whether it has been up for a while.
    pub calm: Calm,
}

/// The search for the main process of a unit with a `pid_file`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sought {
    /// When the next look at the file is due; `None` while one is under way.
    pub next: Option<Tick>,
    /// The time from that look to the next one.
    pub wait: Duration,
    /// Whether the process that trc has started has put the unit into the background and has
    /// exited, so that another one stands in for its main process.
    pub background: bool,
    /// Whether the unit is otherwise ready.
    pub shown: bool,
}

/// A reload of the unit's own that is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OwnReload {
    /// The time at which it has failed.
    pub until: Tick,
    /// Whether its command runs.
    pub commands: bool,
    /// What the unit still has to show.
    pub awaits: Awaits,
    /// Whether its command has failed, and why, as far as trc knows.
    pub failed: bool,
    pub why: Option<Detail>,
}

/// What a unit that reloads still has to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Awaits {
    /// Nothing.
    Nothing,
    /// It has to send `RELOADING=1`.
    Reloading,
    /// It has sent `RELOADING=1`, and has to send `READY=1`.
    Ready,
    /// An attempt has to find it ready. The present one does not count if it is stale.
    Attempt { stale: bool },
}

/// Whether a unit has been up for a while, [`super::limits::CALM`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Calm {
    /// It is not up.
    #[default]
    No,
    /// It will have been up for long enough at this time.
    At(Tick),
    /// It has been up for long enough.
    Yes,
}

impl Watch {
    /// Returns whether the unit has been up for long enough by now.
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
        let seek_at = self.sought.and_then(|sought| sought.next);
        let all =
            [self.ready_by, self.next_ready, seek_at, self.next_health, self.run_until, calm_at];
        all.into_iter().flatten().min()
    }
}

/// Something that a test waits for between its attempts and its beginning or its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Awaited {
    /// The end of its job.
    Job(UnitId),
    /// The time at which it damages its unit, while its probes go on.
    Strike,
    /// Before its first attempt: the end of the unit that it keeps down.
    Down(UnitId),
    /// After its last attempt: the return of that unit.
    Up(UnitId),
}

/// The state of a test that is under way, or waits for its units.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Trial {
    /// The time by which it has to begin.
    pub start_by: Option<Tick>,
    /// The time at which it began.
    pub since: Tick,
    /// The time until which its attempts are repeated.
    pub until: Option<Tick>,
    /// When the next attempt is due; `None` while one is under way.
    pub next_try: Option<Tick>,
    /// The wait after that attempt.
    pub wait: Duration,
    /// The number of attempts in a row that could not be made.
    pub unmade: u32,
    /// If it holds so far, the time until which it has to.
    pub hold_until: Option<Tick>,
    /// The number of restarts when it began to hold.
    pub restarts: u32,
    /// What it waits for instead of an attempt, and until when.
    pub awaits: Option<(Awaited, Tick)>,
    /// How its job ended. Another test may have run the unit again since.
    pub job_ended: Option<Ended>,
    /// The process that its fault has killed.
    pub killed: Option<i32>,
    /// The process that its fault has suspended.
    pub stopped: Option<i32>,
    /// When that process is continued.
    pub continue_at: Option<Tick>,
}

impl Trial {
    fn deadline(&self, phase: &Phase) -> Option<Tick> {
        match phase {
            Phase::Waiting => self.start_by,
            Phase::Watching => {
                let awaits = self.awaits.map(|(_, until)| until);
                self.next_try.into_iter().chain(self.continue_at).chain(awaits).min()
            }
            Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        }
    }
}

/// The restarts of a unit.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Restarts {
    /// The times of those that still count.
    pub times: VecDeque<Tick>,
    /// The number of restarts in a row after which the unit did not stay up.
    pub in_a_row: u32,
}

/// The exit of a unit that was told to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stopped {
    /// Its exit status, 128 + *n* if signal *n* terminated it.
    pub status: u8,
    /// The time since it was told to stop; `None` if it was killed for want of time.
    pub after: Option<Duration>,
}

/// A time that a unit has spent in a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stay {
    pub phase: Phase,
    /// When the unit entered it.
    pub from: Tick,
    /// When the unit left it; `None` if it has not.
    pub to: Option<Tick>,
    /// When the unit became ready in this phase.
    pub ready: Option<Tick>,
    /// Why the unit entered it.
    pub why: Why,
}

/// The state of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each has come to pass or not")]
pub(super) struct State {
    /// Only [`State::transition`] changes it.
    phase: Phase,
    /// The time at which the unit entered its phase.
    since: Tick,
    /// The reason for the phase.
    why: Why,
    /// When it became ready in its phase.
    pub ready_at: Option<Tick>,
    /// The phases before.
    pub past: Past<Stay>,
    pub wanted: Wanted,
    pub leftovers: Leftovers,
    /// Whether leftovers may have survived SIGKILL, and were not seen to go since.
    pub survivors: bool,
    /// Whether its command has ever been executed.
    pub started: bool,
    /// While its process is that of its `pre_start`, or is about to be: the time by which that has to
    /// have exited.
    pub prepares: Option<Tick>,
    /// Whether its command or its `pre_start` was executed after its last start.
    pub executed: bool,
    /// Its exit, while its `post_stop` runs.
    pub exit: Option<Exit>,
    /// How often its fork has failed, for the next start.
    pub tries: u32,
    /// When its command was executed after its last start, if it was.
    pub ran_since: Option<Tick>,
    /// Whether it was suspended and has not been continued since.
    pub paused: bool,
    /// The deadline of its stop command, while that runs.
    pub stop_command: Option<Tick>,
    /// Its state since its last start.
    pub watch: Watch,
    /// Its own reload, while it has a job for that.
    pub reload: Option<OwnReload>,
    /// The reason why it was told to stop, or is about to be.
    pub verdict: Option<Verdict>,
    /// Whether it may start, if it has a schedule: it is due, or somebody has asked for it.
    pub due: bool,
    /// Whether it was due while its last run had not finished, and is to run again.
    pub queued: bool,
    /// The latest detail about its state since its last start.
    pub known: Option<Detail>,
    pub restarts: Restarts,
    /// Its failure, if it is not up again.
    pub failure: Option<Failure>,
    /// Its state as a test.
    pub trial: Trial,
    /// Whether a test has damaged it in a way that it need not survive without a restart.
    pub faulted: bool,
    /// The signal with which the test did so.
    pub struck: Option<Signal>,
    /// Whether it has exited by itself since its last start, and has left processes running.
    pub left: bool,
    /// When it was told to stop, since its last start.
    pub told: Option<Tick>,
    /// Its exit, if it was told to stop as the run stopped after the last test.
    pub stopped: Option<Stopped>,
}

impl State {
    pub(super) fn new(now: Tick) -> Self {
        Self {
            phase: Phase::Waiting,
            since: now,
            why: Why::Begun,
            ready_at: None,
            past: Past::default(),
            wanted: Wanted::Up,
            leftovers: Leftovers::None,
            survivors: false,
            started: false,
            prepares: None,
            executed: false,
            exit: None,
            tries: 0,
            ran_since: None,
            paused: false,
            stop_command: None,
            watch: Watch::default(),
            reload: None,
            verdict: None,
            due: false,
            queued: false,
            known: None,
            restarts: Restarts::default(),
            failure: None,
            trial: Trial::default(),
            faulted: false,
            struck: None,
            left: false,
            told: None,
            stopped: None,
        }
    }

    /// Returns the phase.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the contents of the phase, for changes that leave the phase as it is: a process that
    /// was forked or has taken the place of another, or more time.
    pub(super) fn details(&mut self) -> &mut Phase {
        &mut self.phase
    }

    /// Moves the unit to another phase. Nothing else does.
    pub(super) fn transition(&mut self, to: Phase, now: Tick, why: Why) {
        // What took no time is not worth keeping.
        if now > self.since {
            self.past.keep(Stay { to: Some(now), ..self.stay() });
        }
        (self.phase, self.since, self.why, self.ready_at) = (to, now, why, None);
    }

    /// Returns the phase with its time so far.
    pub(super) fn stay(&self) -> Stay {
        let (phase, from, why, ready) = (self.phase, self.since, self.why, self.ready_at);
        Stay { phase, from, to: None, ready, why }
    }

    /// Extends the deadline of whatever the unit is busy with.
    pub(super) fn extend(&mut self, until: Tick) {
        let watch = &mut self.watch;
        let times = match &mut self.phase {
            Phase::Running { .. } if let Some(reload) = &mut self.reload => Some(&mut reload.until),
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
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        };
        if let Some(time) = times {
            *time = until.max(*time);
            // The stop command has as much time as the unit itself.
            self.stop_command = self.stop_command.map(|time| until.max(time));
        }
    }

    /// Takes in a detail about its state, or that there is none any more. The one that it was
    /// condemned for stands.
    pub(super) fn learnt(&mut self, why: Option<Detail>) {
        if self.verdict.is_none() {
            self.known = why;
        }
    }

    /// Returns when and why the unit entered its phase.
    pub(super) fn stands(&self) -> (Tick, Why) {
        (self.since, self.why)
    }

    /// Returns the live main process.
    pub(super) fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Starting { pid, .. } => pid,
            Phase::Running { pid } | Phase::Stopping { pid, .. } => Some(pid),
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => None,
        }
    }

    /// Returns whether the unit is ready now.
    pub(super) fn is_ready(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Watching => self.watch.ready,
            Phase::Done(Ended { how: How::Found, .. }) => true,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Backoff { .. }
            | Phase::Done(_) => false,
        }
    }

    /// Returns whether the unit may come to run without anything being done for it.
    pub(super) fn is_dormant(&self) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Retrying { .. } | Phase::Backoff { .. } => true,
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Watching
            | Phase::Stopping { .. }
            | Phase::Finishing { .. }
            | Phase::Done(_) => false,
        }
    }

    /// Returns whether neither the unit nor anything of it lives, or is about to, and no stop
    /// command of it runs.
    pub(super) fn gone(&self) -> bool {
        !self.runs() && self.leftovers == Leftovers::None && self.stop_command.is_none()
    }

    /// Returns whether the unit has a process, its `post_stop` included, or is about to have one.
    pub(super) fn runs(&self) -> bool {
        match self.phase {
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Finishing { .. } => true,
            Phase::Waiting
            | Phase::Retrying { .. }
            | Phase::Watching
            | Phase::Backoff { .. }
            | Phase::Done(_) => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let phase = match self.phase {
            Phase::Retrying { until, .. } | Phase::Finishing { until } => Some(until),
            Phase::Backoff { until } => until,
            Phase::Starting { pid: Some(_), .. } if self.verdict.is_none() => self.prepares,
            Phase::Stopping {
                ladder: Ladder::Command { rest_at: at, .. } | Ladder::Signal { rest_at: at, .. },
                ..
            }
            | Phase::Stopping { ladder: Ladder::Rest { kill_at: at }, .. } => Some(at),
            Phase::Stopping { ladder: Ladder::Kill { give_up_at }, .. } => Some(give_up_at),
            // A unit that is about to be told to stop is not watched any more.
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
        let reload = self.reload.as_ref().map(|reload| reload.until);
        let own = phase.into_iter().chain(leftovers).chain(self.stop_command).chain(reload);
        own.chain(self.trial.deadline(&self.phase)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::past::KEPT;
    use super::*;

    #[test]
    fn only_the_last_phases_of_a_unit_are_kept_and_the_others_are_counted() {
        let at = |second: usize| Duration::from_secs(second as u64);
        let mut state = State::new(at(0));
        for second in 1..=KEPT + 7 {
            state.transition(Phase::Starting { pid: None, tries: 0 }, at(second), Why::Met);
            state.transition(Phase::Waiting, at(second), Why::Again);
        }
        let past = &state.past;
        assert_eq!((past.kept.len(), past.dropped), (KEPT, 7));
        assert_eq!((past.kept[0].from, past.kept[0].to), (at(7), Some(at(8))));
        assert_eq!(state.stay().from, at(KEPT + 7));
        // The bound on the memory of a unit.
        assert!(size_of::<Stay>() <= 160, "{}", size_of::<Stay>());
    }
}
