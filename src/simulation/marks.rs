//! The situations that lives have come across. They show that the simulation still reaches all of
//! them.

use crate::config::WaitPolicy;

/// Declares an enum and the list of all its variants.
macro_rules! marks {
    ($($name:ident,)*) => {
        /// A situation that some life has to come across.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Mark {
            $($name,)*
        }

        impl Mark {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

marks! {
    EndedByAny,
    EndedByAll,
    EndedByErr,
    EndedTransparent,
    BootFailed,
    Unsettled,
    NewGraph,
    SettledTooLate,
    OnFailureStop,
    Terminal,
    Signalled,
    SignalDuringBoot,
    SignalWhileSettling,
    StoppedByAUnit,
    Insisted,
    InsistedOnHalts,
    Forwarded,
    Reopened,
    Reread,
    ToTheForeground,
    Passed,
    Held,
    Paused,
    ForkRetried,
    ExecRetried,
    NotWorthARestart,
    HealthNotAsked,
    TestNotMade,
    ForkGaveUp,
    RetriedInVain,
    NotStarted,
    Blocked,
    BlockedInAChain,
    StoppedInOrder,
    StopCommandSucceeded,
    StopCommandFailed,
    StopCommandOutlived,
    StopCommandFailedLate,
    StopCommandKilled,
    StoppedByJobControl,
    Killed,
    KilledLate,
    KilledInAHurry,
    GaveUp,
    DiedAfterAll,
    Leftovers,
    LeftoversTold,
    LeftoversEnded,
    LeftEscaped,
    EscapedLate,
    LeftByCommand,
    RestTold,
    LeftoversWentBy,
    SweptWithKill,
    SweptInAHurry,
    SurvivedTheSweep,
    Halted,
    HaltedWithoutBoot,
    HaltDecides,
    HaltLeavesTheStatus,
    HaltCut,
    Overslept,
    OversleptBudget,
    BudgetSpent,
    Mapped,
    StoppedWell,
    StoppedBadly,
    StoppedAsItsUnit,
    LoneCommand,
    RestedUp,
    RestedHalting,
    Ready,
    NotReady,
    FoundOutside,
    Overran,
    Extended,
    SaysThatItIsSick,
    SaysThatItStops,
    UnhealthyRestarted,
    UnhealthyStopped,
    UnhealthyIgnored,
    Restarted,
    RestartedTogether,
    RestartedOftenEnough,
    RestartsOfNeverReady,
    BackedOff,
    Obeyed,
    NoKey,
    RequestRefused,
    NothingToDo,
    SignalledByHand,
    StoppedByHand,
    HeldWaiting,
    HeldToTheEnd,
    HoldEnded,
    RestartedByHand,
    StartedAnew,
    BackoffCutShort,
    BroughtBack,
    JobJoined,
    JobSuperseded,
    JobDone,
    JobFailed,
    JobCutShort,
    StoppedWithDependents,
    StoppedAfterDependents,
    RestartsForgotten,
    StopCancelled,
    CancelledForNothing,
    CancelledTooLate,
    NothingToCancel,
    EndedAgain,
    HeldAgain,
    ShutDown,
    ShutdownRefused,
    Reloaded,
    ReloadRefused,
    ReloadCutShort,
    ReloadStopped,
    ReloadStoppedInOrder,
    ReloadAdded,
    ReloadKept,
    RolledBack,
    RolledBackWhatWasUp,
    RolledBackToTheSecond,
    RollbackCutShort,
    ProbationPassed,
    TestPassed,
    TestRecovered,
    TestSkipped,
    TestFailed,
    TestHopeless,
    TestTimedOut,
    TestNotRecovered,
    TestDidNotHold,
    TestSawARestart,
    TestHeld,
    TestTriedAgain,
    TestBlocked,
    TestLate,
    TestGivenUp,
    TriedTooLate,
    FaultKilled,
    FaultSignalled,
    FaultStopped,
    Continued,
    ContinuedEarly,
    RestartedByAFault,
    FaultWithoutRestart,
    UnhealthyInATestRun,
    ZombiesGone,
    Lingered,
    FoundAnEnd,
    FailedInTheStop,
    FoundARestart,
    FoundAKill,
    FoundAStopCommand,
    FoundOrphaned,
    FoundEscaped,
    FoundACut,
    FoundSaid,
    FoundUsed,
    FoundOrphans,
    FoundSessions,
    FoundZombies,
    FoundAStopStatus,
    FoundNotAsTold,
    FoundSlow,
    FoundAnOomKill,
    FoundNeverStarted,
    FoundNotReady,
    FoundNotBack,
    FoundStillRunning,
    WaitedForAUnit,
    WaitedForCalm,
    FaultToGoOn,
    TestGaveUpOnALoop,
    TestGaveUpOnALoopBehind,
    SkippedStrictly,
    NothingTested,
    Excused,
    Tested,
    TestedWell,
    TestedUncleanly,
    TestRunUnsettled,
    NotMapped,
}

impl Mark {
    pub(super) fn of_policy(wait: WaitPolicy) -> Self {
        match wait {
            WaitPolicy::Any => Self::EndedByAny,
            WaitPolicy::All => Self::EndedByAll,
            WaitPolicy::Err => Self::EndedByErr,
            // Only the exit of a transparent command ends such a run.
            WaitPolicy::Forever => Self::EndedTransparent,
        }
    }
}

/// The number of marks in one word of a set.
const BITS: usize = u64::BITS as usize;

/// A set of marks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Marks([u64; Mark::ALL.len().div_ceil(BITS)]);

impl Marks {
    pub(super) fn set(&mut self, mark: Mark) {
        self.0[mark as usize / BITS] |= 1 << (mark as usize % BITS);
    }

    pub(super) fn has(self, mark: Mark) -> bool {
        self.0[mark as usize / BITS] >> (mark as usize % BITS) & 1 == 1
    }
}
