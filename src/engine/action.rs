//! What is to be done.

use std::time::Duration;

use nix::errno::Errno;

use super::{
    Answer, Detail, Ended, Ending, How, JobEnd, Lack, Purpose, Refusal, Request, Sender,
    SpawnStage, Task,
};
use crate::config::Then;
use crate::graph::UnitId;
use crate::signal::Signal;

/// Whom a signal goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A unit's main process.
    Process(UnitId),
    /// A unit's process group.
    Group(UnitId),
    /// A unit's process group, but for a shell that only waits for the others and would die of
    /// the signal.
    Members(UnitId),
    /// Every process of a unit that has had no stop signal yet, wherever it went: daemons in
    /// sessions of their own, too.
    Rest(UnitId, Told),
    /// Every process of a unit.
    All(UnitId),
}

/// Which processes of a unit have had its stop signal.
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
    /// Send this signal.
    Signal(Target, Signal),
    /// Run this unit's stop command.
    StopCommand(UnitId),
    /// Kill this unit's stop command, if it still runs.
    KillStopCommand(UnitId),
    /// Try once whether this unit is ready or healthy, and answer with `Probed`. At most one
    /// try for each purpose is under way for a unit.
    Probe(UnitId, Purpose),
    /// This unit's tries are of no interest any more: end them, without an answer.
    StopProbes(UnitId),
    /// Try once what a test expects, for this long at most, and answer with `Tried`.
    Try(UnitId, Duration),
    /// Look for zombies that are others' children, and answer with `Inspected`.
    Inspect,
    /// Look at what is left before it is swept away, and answer with `Remains`.
    Remains,
    /// Open the files anew that output goes to.
    Reopen,
    /// Boot is done: look at what it made of the command line, and answer with
    /// `Settled` or `Unsettled`.
    Settle,
    /// The graph that was offered has taken over.
    TakeOver,
    /// Send this signal to every process that is left, and again, if it is KILL, to
    /// whatever turns up until `NothingLeft`.
    Sweep(Signal),
    /// The sweep is over, whatever is left: what survived is named, and left alone.
    SweepOver,
    /// Tell people.
    Tell(Fact),
    /// Exit with this status.
    End {
        /// The exit status, `[exit]` applied.
        status: u8,
    },
}

/// Something people are told.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Fact {
    /// A unit's process ended.
    Exited {
        /// Which unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
        /// How.
        ending: Ending,
    },
    /// A unit has ended and has failed, which need not end the run.
    Failed {
        /// Which unit.
        unit: UnitId,
        /// How.
        ended: Ended,
    },
    /// A unit could not be started.
    NotStarted {
        /// Which unit.
        unit: UnitId,
        /// At which step.
        stage: SpawnStage,
        /// What the kernel said, if it was the kernel.
        errno: Option<Errno>,
        /// What is known beyond that.
        why: Option<Detail>,
    },
    /// A unit failed without having run: what it waits for can't come true any more.
    Blocked {
        /// It, the unit that it waits for, and so on to the one where it began.
        chain: Vec<UnitId>,
        /// How the last of these ended, if it has.
        by: Option<Ended>,
        /// How it counts.
        ended: Ended,
    },
    /// A fork failed for now and is tried again.
    Retrying {
        /// Which unit.
        unit: UnitId,
        /// What the kernel said.
        errno: Errno,
    },
    /// A signal that stops the run, or another after it.
    Signalled {
        /// Which one.
        signal: Signal,
        /// From whom.
        sender: Sender,
    },
    /// A unit's main process ended by itself, and others of the unit go on without it.
    LeftBehind {
        /// Which unit.
        unit: UnitId,
        /// How it ended.
        ending: Ending,
    },
    /// A signal for the foreground unit came from outside, and there is no such unit.
    Unheard {
        /// Which one.
        signal: Signal,
    },
    /// The run stops.
    Stopping,
    /// A unit is ready.
    Ready {
        /// Which unit.
        unit: UnitId,
        /// The time since its command was executed.
        after: Duration,
    },
    /// A unit was not ready in time: it is stopped, and has failed.
    NotReady {
        /// Which unit.
        unit: UnitId,
        /// What is known of it.
        why: Option<Detail>,
    },
    /// A unit's health check has failed as often in a row as is written.
    Unhealthy {
        /// Which unit.
        unit: UnitId,
        /// What becomes of it.
        then: Then,
        /// What is known of it.
        why: Option<Detail>,
    },
    /// A unit has run for longer than its `max_runtime`: it is stopped, and has failed.
    Overran {
        /// Which unit.
        unit: UnitId,
    },
    /// A unit that has ended is started again after a while.
    Restarting {
        /// Which unit.
        unit: UnitId,
        /// The wait.
        after: Duration,
        /// How many restarts count, this one included.
        restarts: u32,
        /// The time that they count for: its window, or longer where it has not been ready.
        within: Duration,
        /// How its run ended.
        how: How,
        /// How that counts.
        status: u8,
        /// Whether a test has caused it.
        excused: bool,
    },
    /// A unit would be started again, but has been as often as may be.
    GaveUp {
        /// Which unit.
        unit: UnitId,
        /// How many restarts count.
        restarts: u32,
        /// The time that they count for: its window, or longer where it has not been ready.
        within: Duration,
    },
    /// Somebody has asked something of a unit.
    Requested {
        /// Which unit.
        unit: UnitId,
        /// What.
        request: Request,
        /// What becomes of it.
        answer: Answer,
    },
    /// A new graph takes over when these units are gone.
    Reloading {
        /// Which ones: those that it does not have, and those that do not stay as they are.
        going: Vec<UnitId>,
    },
    /// It has.
    Reloaded {
        /// How many graphs have taken over from the first by now.
        generation: u32,
    },
    /// It does not.
    NotReloaded {
        /// Why.
        why: Refusal,
    },
    /// What somebody has asked for is done, or comes to nothing.
    JobEnded {
        /// Which unit.
        unit: UnitId,
        /// The number of the job, by which it was answered.
        job: u32,
        /// What it was about.
        task: Task,
        /// How it has ended.
        end: JobEnd,
    },
    /// A unit is told to stop.
    Terminating {
        /// Which unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
        /// The time that it has to exit: its stop timeout, or what is left for the whole stop.
        within: Duration,
    },
    /// A unit is killed: it did not stop in time.
    Killing {
        /// Which unit.
        unit: UnitId,
        /// Its process, or process group.
        pid: i32,
        /// The stop signal that came again, if that is why it had no more time.
        insisted: Option<Signal>,
    },
    /// A unit's stop command failed.
    StopCommandFailed {
        /// Which unit.
        unit: UnitId,
        /// The signal that is sent instead; None where the unit has ended meanwhile.
        instead: Option<Signal>,
    },
    /// A unit has ended, and its stop command is killed: it did not end in time.
    StopCommandKilled {
        /// Which unit.
        unit: UnitId,
    },
    /// What a unit left when its main process exited is killed: it did not stop in time.
    KillingLeft {
        /// Which unit.
        unit: UnitId,
        /// The stop signal that came again, if that is why it had no more time.
        insisted: Option<Signal>,
    },
    /// What remains after all units is killed.
    KillingRest {
        /// The stop signal that came again, if that is why it had no more time.
        insisted: Option<Signal>,
    },
    /// A test begins.
    TestBegan {
        /// Which one.
        unit: UnitId,
    },
    /// All tests are done, and these units are not up yet, which is waited for.
    NotUpYet {
        /// Which ones, and what they lack.
        units: Vec<(UnitId, Lack)>,
    },
    /// A test is done.
    TestEnded {
        /// Which one.
        unit: UnitId,
        /// How.
        ended: Ended,
    },
    /// An event that can't be: a bug of trc's, which is survived.
    Impossible {
        /// The event, and the state of the run.
        what: String,
    },
    /// There is no more time for the halt units.
    CutShort {
        /// The one that ran.
        killed: Option<UnitId>,
        /// Those whose turn had not come.
        not_run: Vec<UnitId>,
    },
}
