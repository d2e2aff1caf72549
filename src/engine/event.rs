//! What the kernel and people did.

use std::ffi::OsString;
use std::time::Duration;

use nix::errno::Errno;

use super::{Detail, Request};
use crate::graph::UnitId;
use crate::signal::Signal;

/// A moment: the time since the run began, by a clock that never jumps.
pub(crate) type Tick = Duration;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// With an exit status.
    Code(u8),
    /// By a signal.
    Signal(Signal),
}

impl Ending {
    /// The status as shells have it: 128 + n for signal n.
    #[must_use]
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => crate::status::of_signal(signal.number()),
        }
    }
}

/// Who sent a signal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sender {
    /// Its process; 0 from outside the container's pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// That user's name, where it has one.
    pub user: Option<String>,
    /// Its command, where it could still be read.
    pub command: Option<String>,
    /// Not by one of trc's own descendants: by docker, by a person.
    pub outside: bool,
    /// The unit whose process it is.
    pub unit: Option<UnitId>,
}

/// At which step a unit's start failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SpawnStage {
    /// Filling in what was written: a variable that is not set. No other start mends it.
    Settings,
    /// Making what it needs, before the fork: descriptors, users, files.
    Prepare,
    /// `fork(2)`.
    Fork,
    /// Its process group, or the terminal.
    Group,
    /// Its own terminal.
    Terminal,
    /// `prlimit(2)`.
    Limits,
    /// Its nice value.
    Nice,
    /// Its `oom_score_adj`.
    OomScore,
    /// Its capabilities.
    Capabilities,
    /// `setgroups`, `setgid`, `setuid`.
    Identity,
    /// `chdir(2)`.
    Directory,
    /// Its standard streams.
    Streams,
    /// `execve(2)`.
    Execute,
}

/// Processes of a unit that outlive its main process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// There are none.
    Nothing,
    /// There are some, in trc's own session or in that of the unit.
    Others,
    /// There are some, and at least one has a session of its own, as daemons do: `setsid(2)`.
    Escaped,
}

/// What a probe is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// Whether the unit is ready.
    Ready,
    /// Whether it is healthy.
    Health,
}

/// What a try came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It is ready, or healthy.
    Passed,
    /// It is not.
    Failed,
    /// It didn't say so within the probe's `timeout`.
    TimedOut,
    /// What a test expects is not so, and can't be any more.
    Hopeless,
    /// A test says itself that it has nothing to say.
    Skipped,
    /// It could not be made, for want of processes, memory or descriptors: that says nothing
    /// of what was to be tried.
    NotMade,
}

/// What a unit says of itself: by its notify socket, its notification descriptor or its
/// output, whichever its probes name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// It is ready: `READY=1`, a newline, a line that matches.
    Ready,
    /// It is healthy: `WATCHDOG=1`, a line that matches.
    Alive,
    /// It is not: `WATCHDOG=trigger`.
    Sick,
    /// It is about to end: `STOPPING=1`.
    Stopping,
    /// It reads its configuration anew: `RELOADING=1`; `READY=1` follows.
    Reloading,
    /// What it is about takes longer, this long from now on: `EXTEND_TIMEOUT_USEC=…`.
    Extend(Duration),
    /// Its main process is another: `MAINPID=…`. A live descendant of the unit, whose end
    /// is told by `Exited`.
    MainPid(i32),
}

/// Something that a test that has passed expects until everything has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Late {
    /// A unit wrote what it forbids.
    Said,
    /// A process of a unit has had more memory than it allows.
    Used,
}

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// The run begins.
    Begin,
    /// A unit has a process, which has not executed its command yet.
    Forked {
        /// Which unit.
        unit: UnitId,
        /// Its process.
        pid: i32,
    },
    /// A unit's command was executed.
    Executed {
        /// Which unit.
        unit: UnitId,
    },
    /// A unit could not be started.
    SpawnFailed {
        /// Which unit.
        unit: UnitId,
        /// At which step.
        stage: SpawnStage,
        /// What the kernel said, if it was the kernel.
        errno: Option<Errno>,
        /// What is known beyond that.
        why: Option<Detail>,
    },
    /// A unit's main process ended and was reaped.
    Exited {
        /// Which unit.
        unit: UnitId,
        /// How.
        ending: Ending,
        /// Which others of the unit live on.
        leftovers: Left,
        /// Whether it had the terminal.
        terminal: bool,
        /// Where its script failed, if that is known.
        why: Option<Detail>,
    },
    /// Nothing is left of a unit that had ended.
    LeftoversGone {
        /// Which unit.
        unit: UnitId,
    },
    /// A unit's stop command ended, or could not be started.
    StopCommandEnded {
        /// Which unit.
        unit: UnitId,
        /// Whether it ended with 0.
        succeeded: bool,
    },
    /// A unit was stopped, as the terminal or STOP does, and has to be continued to act
    /// on a signal.
    Paused {
        /// Which unit.
        unit: UnitId,
    },
    /// A try asked for by `Action::Probe` is over.
    Probed {
        /// Which unit.
        unit: UnitId,
        /// What the try was for.
        purpose: Purpose,
        /// What it came to.
        outcome: Outcome,
        /// Why it did not pass.
        why: Option<Detail>,
    },
    /// A unit said something of itself.
    Notified {
        /// Which unit.
        unit: UnitId,
        /// What.
        notice: Notice,
    },
    /// Something is known about the state of a unit that changes nothing by itself, or is so no
    /// more.
    Learnt {
        /// Which unit.
        unit: UnitId,
        /// What.
        why: Option<Detail>,
    },
    /// trc got a signal.
    Signal {
        /// Which one.
        signal: Signal,
        /// From whom.
        sender: Sender,
    },
    /// Somebody asks something of a unit.
    Request {
        /// Which unit.
        unit: UnitId,
        /// What.
        request: Request,
    },
    /// The configuration was read anew, and the graph that follows from it was offered:
    /// [`super::Engine::offer`].
    Reload,
    /// Boot is done, and what it made of the command line can be run.
    Settled {
        /// The new command line, without trc's own options; None if boot has left it as it was.
        /// The graph that follows from it was offered before: [`super::Engine::offer`].
        words: Option<Vec<OsString>>,
    },
    /// What boot made of the command line can't be run.
    Unsettled,
    /// A try of a test has come to something.
    Tried {
        /// Which test.
        unit: UnitId,
        /// To what.
        outcome: Outcome,
    },
    /// After the last test: all processes were looked at.
    Inspected {
        /// Whether there are some that have ended and that their parents don't wait for.
        zombies: bool,
        /// Units that have exited and have left processes in sessions of their own.
        escaped: Vec<UnitId>,
    },
    /// When all units had ended in test mode: what was left.
    Remains {
        /// Whether there were processes.
        orphans: bool,
        /// Whether some had sessions of their own.
        sessions: bool,
        /// Tests that expect what has not stayed so.
        late: Vec<(UnitId, Late)>,
    },
    /// The OOM killer has killed a process that was no unit's main process.
    OomKilled,
    /// No child is left.
    NothingLeft,
    /// Nobody could be looked at for so long, and the clock was put back by it: a paused
    /// container, a machine that stood still.
    Overslept {
        /// By how much.
        by: Tick,
    },
    /// A deadline has come.
    Woken,
}
