//! The actions that the engine wants done.

use std::time::Duration;

use nix::errno::Errno;

use super::{
    Answer, Asker, Detail, EndReason, Ended, Ending, Failing, How, JobEnd, Lack, NoJob, Purpose,
    Refusal, Request, Sender, SpawnStage, Task,
};
use crate::config::{Overlap, Then};
use crate::graph::UnitId;
use crate::signal::Signal;

/// The processes that a signal goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A unit's main process.
    Process(UnitId),
    /// A unit's process group.
    Group(UnitId),
    /// A unit's process group, except for a shell that only waits for the others and would die of
    /// the signal.
    Members(UnitId),
    /// Every process of a unit that has had no stop signal yet, wherever it is, including daemons
    /// in sessions of their own.
    Rest(UnitId, Told),
    /// Every process of a unit.
    All(UnitId),
}

/// The processes of a unit that have had its stop signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// None.
    Nobody,
    /// Its main process.
    Main,
    /// All of its process group.
    Group,
}

/// One action.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Action {
    /// Start this unit.
    Spawn(UnitId),
    /// Start this unit's `pre_start`, which is the unit's process until it exits.
    PreStart(UnitId),
    /// Run this unit's `post_stop`, and answer with `PostStopEnded`. It sees this status and this
    /// reason.
    PostStop(UnitId, u8, EndReason),
    /// Kill this unit's `post_stop`, or the processes that it has left running. There is no answer.
    KillPostStop(UnitId),
    /// Send this signal.
    Signal(Target, Signal),
    /// Run this unit's stop command.
    StopCommand(UnitId),
    /// Kill this unit's stop command, if it still runs.
    KillStopCommand(UnitId),
    /// Run the command that makes this unit reload.
    ReloadCommand(UnitId),
    /// Kill the command that makes this unit reload; it does not answer any more.
    KillReloadCommand(UnitId),
    /// Attempt once to find out whether this unit is ready or healthy, and answer with `Probed`. A
    /// unit has at most one attempt for each purpose under way.
    Probe(UnitId, Purpose),
    /// Look once whether this unit's `pid_file` names its main process, and answer with
    /// `Notified` or `Unfound`.
    Seek(UnitId),
    /// Abandon the attempts for this unit, without an answer.
    StopProbes(UnitId),
    /// Attempt once what a test expects, for this long at most, and answer with `Tried`.
    Try(UnitId, Duration),
    /// Look for zombies that are children of others, and answer with `Inspected`.
    Inspect,
    /// Look at what is left before it is swept away, and answer with `Remains`.
    Remains,
    /// Reopen the files that output goes to.
    Reopen,
    /// Read the configuration anew, and offer it.
    Reload(Asker),
    /// Boot has finished: look at the command line that it has left, and answer with `Settled` or
    /// `Unsettled`.
    Settle,
    /// The graph that was offered has taken over.
    TakeOver,
    /// Send this signal to every process that is left, and, if it is SIGKILL, also to all that turn
    /// up until `NothingLeft`.
    Sweep(Signal),
    /// The sweep has finished, whatever is left: name the survivors, and leave them alone.
    SweepOver,
    /// Tell people.
    Tell(Fact),
    /// Exit with this status.
    End {
        /// The exit status, after `[exit]`.
        status: u8,
    },
}

/// Something that people are told.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Fact {
    /// A unit's process has exited.
    Exited {
        /// The unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
        /// How it exited.
        ending: Ending,
    },
    /// A unit has ended and has failed, which need not end the run.
    Failed {
        /// The unit.
        unit: UnitId,
        /// Its end.
        ended: Ended,
    },
    /// A unit is due by its schedule, and its last run has not finished.
    Overlapped {
        /// The unit.
        unit: UnitId,
        /// What happens.
        overlap: Overlap,
    },
    /// A unit could not be started.
    NotStarted {
        /// The unit.
        unit: UnitId,
        /// The step that failed.
        stage: SpawnStage,
        /// The kernel's error, if there is one.
        errno: Option<Errno>,
        /// The details, if trc knows any.
        why: Option<Detail>,
    },
    /// A unit's `pre_start` has exited.
    PreStartExited {
        /// The unit.
        unit: UnitId,
        /// How it exited.
        ending: Ending,
    },
    /// A unit's `pre_start` took too long, and is stopped.
    Unprepared {
        /// The unit.
        unit: UnitId,
    },
    /// A unit's `pre_start` has left processes running, which are killed.
    PreStartLeft {
        /// The unit.
        unit: UnitId,
    },
    /// A unit's `post_stop` failed, which changes nothing.
    PostStopFailed {
        /// The unit.
        unit: UnitId,
        /// Why, as far as trc knows.
        why: Option<Detail>,
    },
    /// A unit's `post_stop` has left processes running, which are killed.
    PostStopLeft {
        /// The unit.
        unit: UnitId,
    },
    /// A unit's `post_stop` is killed.
    PostStopKilled {
        /// The unit.
        unit: UnitId,
        /// Whether there is no more time for the stop of the run; otherwise it took too long.
        hurry: bool,
    },
    /// There is no time for a unit's `post_stop`, which does not run.
    PostStopSkipped {
        /// The unit.
        unit: UnitId,
    },
    /// A unit cannot be started, and has failed: its conditions can no longer come true.
    Blocked {
        /// The unit, the unit that it waits for, and so on to the one where it began.
        chain: Vec<UnitId>,
        /// The end of the last of these, if it has ended.
        by: Option<Ended>,
        /// The end of the unit.
        ended: Ended,
    },
    /// A fork failed for now and is repeated.
    Retrying {
        /// The unit.
        unit: UnitId,
        /// The kernel's error.
        errno: Errno,
    },
    /// trc got a signal that stops the run, or another one after it.
    Signalled {
        /// The signal.
        signal: Signal,
        /// Its sender.
        sender: Sender,
    },
    /// A unit's main process exited by itself, and other processes of the unit go on without it.
    LeftBehind {
        /// The unit.
        unit: UnitId,
        /// How it exited.
        ending: Ending,
    },
    /// A signal for the foreground unit came from outside, and there is no such unit.
    Unheard {
        /// The signal.
        signal: Signal,
    },
    /// The run stops.
    Stopping,
    /// A unit is ready.
    Ready {
        /// The unit.
        unit: UnitId,
        /// The time since its command was executed.
        after: Duration,
    },
    /// The main process of a unit with a `pid_file` is known.
    MainProcess {
        /// The unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
        /// Whether this is the process that trc has started, because the unit stays in the
        /// foreground.
        foreground: bool,
    },
    /// A unit was not ready in time: it is stopped and has failed.
    NotReady {
        /// The unit.
        unit: UnitId,
        /// The details, if trc knows any.
        why: Option<Detail>,
    },
    /// A unit's health check has failed as many times in a row as the configuration allows.
    Unhealthy {
        /// The unit.
        unit: UnitId,
        /// The consequence for the unit.
        then: Then,
        /// The details, if trc knows any.
        why: Option<Detail>,
    },
    /// A unit has been up for longer than its `max_runtime`: it is stopped and has failed.
    Overran {
        /// The unit.
        unit: UnitId,
    },
    /// A unit has exited and is started again after a while.
    Restarting {
        /// The unit.
        unit: UnitId,
        /// The delay.
        after: Duration,
        /// The number of restarts that count, including this one.
        restarts: u32,
        /// The time over which they count: the unit's window, or longer if it has not been ready.
        within: Duration,
        /// Why it exited.
        how: How,
        /// The status that this counts as.
        status: u8,
        /// Whether a test has caused it.
        excused: bool,
    },
    /// A unit would be started again, but has had as many restarts as it may have.
    GaveUp {
        /// The unit.
        unit: UnitId,
        /// The number of restarts that count.
        restarts: u32,
        /// The time over which they count: the unit's window, or longer if it has not been ready.
        within: Duration,
    },
    /// Somebody has asked something of a unit.
    Requested {
        /// The unit.
        unit: UnitId,
        /// The request.
        request: Request,
        /// Who has asked.
        asker: Asker,
        /// The answer.
        answer: Answer,
        /// If the unit is to stop: the units that are up, or about to be, and depend on it.
        dependents: Vec<UnitId>,
    },
    /// Somebody has cancelled a job, which ends.
    Cancelled {
        /// The unit.
        unit: UnitId,
        /// The number of the job.
        job: u32,
        /// The aim of the job.
        task: Task,
        /// Who has asked.
        asker: Asker,
    },
    /// Somebody has tried to cancel a job that there is not.
    NotCancelled {
        /// The number of the job.
        job: u32,
        /// Who has asked.
        asker: Asker,
        /// The reason.
        why: NoJob,
    },
    /// Somebody has asked the run to stop.
    ShutDown {
        /// The exit status of the run, if they have named one.
        exit: Option<u8>,
        /// Who has asked.
        asker: Asker,
        /// The reason why nothing changes, if nothing does.
        refused: Option<Refusal>,
    },
    /// A new graph takes over when these units are gone.
    Reloading {
        /// The units that the new graph does not have, and those that do not stay as they are.
        going: Vec<UnitId>,
        /// Who has asked for it.
        asker: Asker,
    },
    /// The new graph has taken over.
    Reloaded {
        /// The number of graphs that have taken over since the first one.
        generation: u32,
    },
    /// A unit that the new graph has changed has failed, and the old graph comes back.
    RolledBack {
        /// The unit.
        unit: UnitId,
        /// The reason.
        why: Failing,
        /// The units that have to go first.
        going: Vec<UnitId>,
    },
    /// The old graph has come back.
    Restored {
        /// The number of graphs that have taken over since the first one.
        generation: u32,
    },
    /// The new graph does not take over.
    NotReloaded {
        /// The reason.
        why: Refusal,
    },
    /// A job is done, or comes to nothing.
    JobEnded {
        /// The unit.
        unit: UnitId,
        /// The number of the job, as in the answer to its request.
        job: u32,
        /// The aim of the job.
        task: Task,
        /// The end of the job.
        end: JobEnd,
        /// If the unit did not reload, the details, if trc knows any.
        why: Option<Detail>,
    },
    /// A unit is told to stop.
    Terminating {
        /// The unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
        /// Whether this is the process of its `pre_start`.
        prepares: bool,
        /// The time that it has to exit: its stop timeout, or the time that is left for the whole
        /// stop.
        within: Duration,
    },
    /// A unit is killed because it did not stop in time.
    Killing {
        /// The unit.
        unit: UnitId,
        /// Its process, or process group.
        pid: i32,
        /// The repeated stop signal, if the unit had no more time because of it.
        insisted: Option<Signal>,
    },
    /// A unit's stop command failed.
    StopCommandFailed {
        /// The unit.
        unit: UnitId,
        /// The signal that is sent instead; `None` if the unit has exited meanwhile.
        instead: Option<Signal>,
    },
    /// A unit has exited, and its stop command is killed because it did not exit in time.
    StopCommandKilled {
        /// The unit.
        unit: UnitId,
    },
    /// The leftovers of a unit are killed because they did not exit in time.
    KillingLeft {
        /// The unit.
        unit: UnitId,
        /// The repeated stop signal, if they had no more time because of it.
        insisted: Option<Signal>,
    },
    /// The processes that remain after all units have stopped are killed.
    KillingRest {
        /// The repeated stop signal, if they had no more time because of it.
        insisted: Option<Signal>,
    },
    /// A test begins.
    TestBegan {
        /// The test.
        unit: UnitId,
    },
    /// All tests have finished, and trc waits for these units, which are not up yet.
    NotUpYet {
        /// The units, and what they lack.
        units: Vec<(UnitId, Lack)>,
    },
    /// A test has finished.
    TestEnded {
        /// The test.
        unit: UnitId,
        /// Its end.
        ended: Ended,
    },
    /// An event that cannot happen came: a bug in trc, which trc survives.
    Impossible {
        /// The event, and the state of the run.
        what: String,
    },
    /// There is no more time for the halt units.
    CutShort {
        /// The unit that was killed.
        killed: Option<UnitId>,
        /// The units whose turn had not come.
        not_run: Vec<UnitId>,
    },
}
