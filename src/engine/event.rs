//! The events: what the kernel and people have done.

use std::ffi::OsString;
use std::time::Duration;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{Detail, Request};
use crate::graph::UnitId;
use crate::signal::Signal;

/// A moment: the time since the run began, by a clock that never jumps.
pub(crate) type Tick = Duration;

/// How a process exited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// With an exit status.
    Code(u8),
    /// Terminated by a signal.
    Signal(Signal),
}

impl Ending {
    /// Returns the exit status as shells have it: 128 + *n* for signal *n*.
    #[must_use]
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => crate::status::of_signal(signal.number()),
        }
    }
}

/// A process that wants something of trc, as far as trc could find out about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Asker {
    /// The process; 0 for one outside the container's pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// The name of that user, if there is one.
    pub user: Option<String>,
    /// Its command, if it could still be read.
    pub command: Option<String>,
    /// The unit that the process belongs to.
    pub unit: Option<UnitId>,
}

/// The sender of a signal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Sender {
    /// The process that has sent it.
    pub asker: Asker,
    /// Whether the sender is not one of trc's own descendants, but for example docker or a person.
    pub outside: bool,
}

/// The step at which a unit's start failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum SpawnStage {
    /// Filling in the settings, such as a variable that is not set. Another start does not help.
    Settings,
    /// Preparing what the start needs, before the fork: descriptors, users, files.
    Prepare,
    /// `fork(2)`.
    Fork,
    /// The process group, or the terminal.
    Group,
    /// The unit's own terminal.
    Terminal,
    /// `prlimit(2)`.
    Limits,
    /// The nice value.
    Nice,
    /// `oom_score_adj`.
    OomScore,
    /// The capabilities.
    Capabilities,
    /// `setgroups`, `setgid`, `setuid`.
    Identity,
    /// `chdir(2)`.
    Directory,
    /// The standard streams.
    Streams,
    /// `execve(2)`.
    Execute,
}

/// Processes of a unit that outlive its main process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Left {
    /// None.
    Nothing,
    /// Some, all of them in trc's own session or in that of the unit.
    Others,
    /// Some, of which at least one has a session of its own, as daemons do: `setsid(2)`.
    Escaped,
}

/// The purpose of a probe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// To find out whether the unit is ready.
    Ready,
    /// To find out whether it is healthy.
    Health,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The unit is ready, or healthy.
    Passed,
    /// The unit is not.
    Failed,
    /// There was no answer within the probe's `timeout`.
    TimedOut,
    /// A test's expectation does not hold, and cannot hold any more.
    Hopeless,
    /// A test reported that it was skipped.
    Skipped,
    /// The attempt could not be made, for want of processes, memory or descriptors, which says
    /// nothing about its subject.
    NotMade,
}

/// What a unit reports about itself: by its notify socket, its notification descriptor or its
/// output, whichever its probes name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Notice {
    /// The unit is ready: `READY=1`, a newline, a line that matches.
    Ready,
    /// The unit is healthy: `WATCHDOG=1`, a line that matches.
    Alive,
    /// The unit is not healthy: `WATCHDOG=trigger`.
    Sick,
    /// The unit is about to exit: `STOPPING=1`.
    Stopping,
    /// The unit reads its configuration anew: `RELOADING=1`; `READY=1` follows.
    Reloading,
    /// The unit needs more time, this long from now on: `EXTEND_TIMEOUT_USEC=…`.
    Extend(Duration),
    /// The unit has another main process: `MAINPID=…`, or the one that its `pid_file` names. It is a
    /// live descendant of the unit, and `Exited` reports its exit.
    MainPid(i32),
    /// The process that trc has started for a unit with a `pid_file` has exited with 0, or the
    /// stand-in after it has exited: the unit goes on in the background. This is another of its live
    /// processes, which stands in for the main process until that is known. `Exited` reports its exit
    /// only if it is the last one.
    StandIn(i32),
}

/// A violation of something that a test, which has passed, expects until everything has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Late {
    /// A unit printed a line that the test forbids.
    Said,
    /// A process of a unit has used more memory than the test allows.
    Used,
    /// What the units have left is not what the test expects.
    Left,
}

/// One event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// The run begins.
    Begin,
    /// A unit is due by its schedule.
    Due {
        /// The unit.
        unit: UnitId,
    },
    /// A unit has a process, which has not executed its command or its `pre_start` yet.
    Forked {
        /// The unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
    },
    /// A unit's command was executed, but not its `pre_start`, whose exit tells the rest.
    Executed {
        /// The unit.
        unit: UnitId,
    },
    /// A unit could not be started.
    SpawnFailed {
        /// The unit.
        unit: UnitId,
        /// The step that failed.
        stage: SpawnStage,
        /// The kernel's error, if there is one.
        #[serde(with = "number")]
        errno: Option<Errno>,
        /// The details, if trc knows any.
        why: Option<Detail>,
    },
    /// A unit's main process, or its `pre_start`, exited and was reaped.
    Exited {
        /// The unit.
        unit: UnitId,
        /// How it exited.
        ending: Ending,
        /// The other processes of the unit that live on.
        leftovers: Left,
        /// Whether the process had the terminal.
        terminal: bool,
        /// The place where its script failed, if trc knows it.
        why: Option<Detail>,
    },
    /// The leftovers of a unit are gone.
    LeftoversGone {
        /// The unit.
        unit: UnitId,
    },
    /// A unit's stop command exited, or could not be started.
    StopCommandEnded {
        /// The unit.
        unit: UnitId,
        /// Whether it exited with 0.
        succeeded: bool,
    },
    /// A unit's `post_stop` exited, or could not be started.
    PostStopEnded {
        /// The unit.
        unit: UnitId,
        /// Whether it exited with 0.
        succeeded: bool,
        /// Whether it has left processes running.
        left: bool,
        /// Why it did not.
        why: Option<Detail>,
    },
    /// The command that makes a unit reload exited, or could not be started.
    ReloadCommandEnded {
        /// The unit.
        unit: UnitId,
        /// Whether it exited with 0.
        succeeded: bool,
        /// Why it did not.
        why: Option<Detail>,
    },
    /// A unit was suspended, by the terminal or by SIGSTOP, and has to be continued before it can
    /// act on a signal.
    Paused {
        /// The unit.
        unit: UnitId,
    },
    /// An attempt that `Action::Probe` asked for is over.
    Probed {
        /// The unit.
        unit: UnitId,
        /// The purpose of the attempt.
        purpose: Purpose,
        /// The outcome.
        outcome: Outcome,
        /// Why it did not pass.
        why: Option<Detail>,
    },
    /// trc has looked at a unit's `pid_file` because of `Action::Seek`, and it does not name the
    /// unit's main process. If it does, `Notified` reports it.
    Unfound {
        /// The unit.
        unit: UnitId,
        /// Why not; `None` as long as the process that trc has started still runs, because that means
        /// nothing yet.
        why: Option<Detail>,
    },
    /// A unit reported something about itself.
    Notified {
        /// The unit.
        unit: UnitId,
        /// The report.
        notice: Notice,
    },
    /// trc has learnt something about the state of a unit that changes nothing by itself, or it
    /// does not apply any more.
    Learnt {
        /// The unit.
        unit: UnitId,
        /// The detail; `None` if it does not apply any more.
        why: Option<Detail>,
    },
    /// trc got a signal.
    Signal {
        /// The signal.
        signal: Signal,
        /// Its sender.
        sender: Sender,
    },
    /// Somebody asks something of a unit.
    Request {
        /// The unit.
        unit: UnitId,
        /// The request.
        request: Request,
        /// Who asks.
        asker: Asker,
    },
    /// Somebody cancels a job.
    Cancel {
        /// The number of the job, as in the answer to its request.
        job: u32,
        /// Who asks.
        asker: Asker,
    },
    /// Somebody asks the run to stop.
    Shutdown {
        /// The exit status of the run; `None` for 0.
        exit: Option<u8>,
        /// Who asks.
        asker: Asker,
    },
    /// The configuration was read anew, and the graph that follows from it was offered:
    /// [`super::Engine::offer`].
    Reload {
        /// Who has asked for it.
        asker: Asker,
    },
    /// Boot has finished, and the command line that it has left is valid.
    Settled {
        /// The new command line, without trc's own options; `None` if boot has left it as it was.
        /// The graph that follows from it was offered before: [`super::Engine::offer`].
        words: Option<Vec<OsString>>,
    },
    /// Boot has finished, and the command line that it has left is not valid.
    Unsettled,
    /// An attempt of a test is over.
    Tried {
        /// The test.
        unit: UnitId,
        /// The outcome.
        outcome: Outcome,
    },
    /// trc looked at all processes after the last test.
    Inspected {
        /// Whether there are zombies whose parents do not wait for them.
        zombies: bool,
        /// Units that have exited and have left processes in sessions of their own.
        escaped: Vec<UnitId>,
    },
    /// trc looked at what was left when all units of a test run had ended.
    Remains {
        /// Whether there were processes.
        orphans: bool,
        /// Whether some had sessions of their own.
        sessions: bool,
        /// Tests whose expectations did not stay true.
        late: Vec<(UnitId, Late)>,
    },
    /// The OOM killer has killed a process that was not a unit's main process.
    OomKilled,
    /// No child of trc is left.
    NothingLeft,
    /// trc could not run for this long, and the clock was put back by it: the container was paused,
    /// or the machine stood still.
    Overslept {
        /// The time by which the clock was put back.
        by: Tick,
    },
    /// A deadline has come.
    Woken,
}

/// An error of the kernel as its number.
mod number {
    use nix::errno::Errno;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes fields like that"
    )]
    pub(super) fn serialize<S: Serializer>(
        errno: &Option<Errno>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        errno.map(|errno| errno as i32).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Errno>, D::Error> {
        Ok(Option::<i32>::deserialize(deserializer)?.map(Errno::from_raw))
    }
}
