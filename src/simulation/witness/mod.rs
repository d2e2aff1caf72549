//! The witness watches a life and reports the rule that it breaks. It keeps its own books, from the
//! events that go into the engine and the actions that come out, and never asks the engine.
//!
//! This file has the books. `ends`, `signalled`, `watched`, `restarted` and `policy` fill them from
//! events, `asked` from requests, `anew` from units that reload, `background` from units that put
//! themselves there and `renewed` from new graphs;
//! `acts` and `stops` check each action, and `rests` checks what must hold between events. For test
//! runs, `turns` and `tested` are about tests, and `looks` and `found` about the other findings.

mod acts;
mod anew;
mod asked;
mod background;
mod ends;
mod fallen;
mod found;
mod hooks;
mod looks;
mod policy;
mod renewed;
mod restarted;
mod rests;
mod scheduled;
mod signalled;
mod stops;
mod tested;
mod turns;
mod watched;

use std::collections::VecDeque;
use std::time::Duration;

use self::anew::Anew;
use self::asked::Asked;
use self::background::Search;
use self::fallen::Fallen;
use self::found::Tested;
use self::hooks::Finish;
use self::renewed::Renewed;
use self::turns::Trial;
use super::build::Terms;
use super::marks::{Mark, Marks};
use super::plan::{Generation, Plan};
use crate::config::{Condition, Overlap, Stage};
use crate::engine::{EndReason, Tick};
use crate::signal::Signal;

/// The time from SIGKILL to giving up.
pub(in crate::simulation) const PATIENCE: Duration = Duration::from_secs(2);
/// The time before SIGKILL at which all processes of a unit are told to exit.
pub(in crate::simulation) const REST: Duration = Duration::from_secs(2);
/// The time from SIGTERM to SIGKILL in the sweep.
pub(in crate::simulation) const SWEEP: Duration = Duration::from_secs(5);

/// The rule that a life broke, and the unit, if it is about one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::simulation) struct Broken {
    pub rule: &'static str,
    pub unit: Option<usize>,
}

pub(in crate::simulation) type Verdict = Result<(), Broken>;

/// Breaks the life unless `kept`.
pub(in crate::simulation) fn expect(kept: bool, rule: &'static str) -> Verdict {
    if kept { Ok(()) } else { Err(Broken { rule, unit: None }) }
}

/// Breaks the life, because of a unit, unless `kept`.
pub(in crate::simulation) fn expect_of(unit: usize, kept: bool, rule: &'static str) -> Verdict {
    if kept { Ok(()) } else { Err(Broken { rule, unit: Some(unit) }) }
}

/// The state of a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::simulation) enum Stand {
    Waiting,
    /// A fork failed; it is due again at this time.
    Retrying(Tick),
    /// The unit is to be started, and the answer is not there yet.
    Asked,
    Alive,
    /// The unit has nothing to run: trc looks for what it stands for, or has found it. Or the unit
    /// is a test that is under way.
    Watching,
    /// The unit is started again after this time, which the engine says; `None` until it has.
    Backoff(Option<Tick>),
    /// Its process is gone, and its `post_stop` runs.
    Finishing,
    Over,
}

/// The reason why a unit is stopped while the run goes on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::simulation) enum Fault {
    Unprepared,
    NotReady,
    Unhealthy {
        timed_out: bool,
        restart: bool,
    },
    Overran,
    /// Not a fault: the unit is restarted together with another.
    Together,
    /// Not a fault: somebody has asked for it.
    Asked,
}

impl Fault {
    /// Returns whether the unit is not at fault.
    pub(in crate::simulation) fn is_none(self) -> bool {
        matches!(self, Self::Together | Self::Asked)
    }
}

/// The state of a unit since its last start.
#[derive(Clone, Copy, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not")]
pub(in crate::simulation) struct Watch {
    /// When its command was executed, or trc began to look for what it stands for.
    pub since: Option<Tick>,
    pub ready: bool,
    /// Whether it has reported that it is about to exit.
    pub leaving: bool,
    pub ready_by: Option<Tick>,
    pub run_until: Option<Tick>,
    /// When the next attempts are due, for readiness and for health.
    pub next: [Option<Tick>; 2],
    /// The attempts that have to begin now.
    pub owed: [bool; 2],
    /// The attempts that are under way.
    pub trying: [bool; 2],
    /// The wait after the next attempt for readiness.
    pub wait: Tick,
    pub failures: u32,
    pub sick: bool,
    /// The time since which it is up, as far as the witness can know.
    pub up: Option<Tick>,
    /// The search for its main process, if it has a `pid_file`.
    pub search: Option<Search>,
    /// Whether its file has to be looked at now.
    pub owes_look: bool,
}

/// The witness's books of a unit.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not")]
pub(in crate::simulation) struct Seen {
    pub stand: Stand,
    pub executed: bool,
    /// If its process is that of its `pre_start`, or is about to be: the time by which that has to
    /// have exited.
    pub pre: Option<Tick>,
    /// Whether its `pre_start` has exited, so that its command has to be started now.
    pub owes_main: bool,
    /// Whether what its `pre_start` has left has to be killed now.
    pub owes_pre_kill: bool,
    /// Whether its `pre_start` or its command was executed since its last start.
    pub ran: bool,
    /// Its end, for which it waits until its `post_stop` has exited.
    pub finish: Option<Finish>,
    /// Whether another start would not help.
    pub hopeless: bool,
    /// The status and the reason with which its `post_stop` has to be run.
    pub owes_post_stop: Option<(u8, EndReason)>,
    /// Whether its `post_stop` has to be killed.
    pub owes_post_kill: bool,
    /// Whether its command was executed before it was told to stop, at least once.
    pub started: bool,
    /// Its status, once it has ended.
    pub status: u8,
    pub forks: u32,
    /// When it, or its leftovers, were told to stop.
    pub told: Option<Tick>,
    /// When SIGKILL is due for them.
    pub kill_at: Option<Tick>,
    /// When those of its processes that have had no stop signal get one.
    pub rest_at: Option<Tick>,
    pub rested: bool,
    pub owes_rest: bool,
    pub owes_cont_to_rest: bool,
    /// Whether its stop signal was sent, and whether it went to its process group.
    pub signalled: Option<bool>,
    /// Whether its leftovers are so far stopped by its stop command.
    pub left_by_command: bool,
    /// Whether one of its leftovers has a session of its own.
    pub escaped: bool,
    /// Whether it is so far stopped by its stop command.
    pub by_command: bool,
    /// The deadline of its stop command, while that runs.
    pub commands: Option<Tick>,
    /// Whether its stop command has to be killed.
    pub owes_command_kill: bool,
    /// Whether SIGCONT was sent, which a signal may follow that SIGCONT would discard.
    pub continued: bool,
    /// Whether its stop command has to be run.
    pub owes_command: bool,
    /// Whether its stop signal has to be sent.
    pub owes_signal: bool,
    /// Whether a stop signal went out that SIGCONT has to follow.
    pub owes_cont: bool,
    pub killed: Option<Tick>,
    /// Whether it has leftovers.
    pub left: bool,
    /// Whether it survived SIGKILL, and has not been seen to exit since.
    pub given_up: bool,
    pub watch: Watch,
    /// Its own reload.
    pub anew: Option<Anew>,
    /// Whether the command of its reload has to be run, or to be killed.
    pub owes_reload: bool,
    pub owes_reload_kill: bool,
    /// If its main process has become known: whether it is the one that trc has started. The engine
    /// has to say so.
    pub owes_main_process: Option<bool>,
    /// Whether its attempts have to be abandoned.
    pub owes_silence: bool,
    pub fault: Option<Fault>,
    /// Its failure in the list of all, if it is not up again.
    pub fall: Option<usize>,
    /// Whether somebody has stopped it, and nobody has asked for it since.
    pub held: bool,
    /// Whether it does not start because nobody has asked for it.
    pub idle: bool,
    /// Whether it was to run when a new graph has let it go.
    pub down: bool,
    /// Whether it may start, if it has a schedule.
    pub due: bool,
    /// Whether it has to run again when its last run has ended.
    pub queued: bool,
    /// Whether it has to go before a new graph takes over.
    pub going: bool,
    /// Whether it is an external unit that was found.
    pub found: bool,
    /// The number of restarts in a row after which it did not stay up.
    pub in_a_row: u32,
    /// Whether the engine has to report its restart.
    pub owes_restart: bool,
    /// When its restart policy last took over from its exit.
    pub backed_off: Option<Tick>,
    /// Whether a test has caused that restart.
    pub excused: bool,
    /// The longest right delay before its next start.
    pub backoff: Tick,
    /// Its main process, as last reported by the unit or the world.
    pub pid: i32,
    /// Whether a test has damaged it in a way that it need not survive without a restart.
    pub faulted: bool,
    /// The signal with which the test did so.
    pub struck: Option<Signal>,
    /// The status with which it exited after it was told to stop after the last test, and how long
    /// after.
    pub stopped: Option<(u8, Option<Tick>)>,
    /// In a test run, the time until which its leftovers may exit by themselves.
    pub linger: Option<Tick>,
    /// Whether the leftovers have not exited by then and have to be told.
    pub owes_goodbye: bool,
}

impl Seen {
    /// Creates the books of a unit at the start of a run.
    pub(in crate::simulation) fn new() -> Self {
        Self {
            stand: Stand::Waiting,
            executed: false,
            pre: None,
            owes_main: false,
            owes_pre_kill: false,
            ran: false,
            finish: None,
            hopeless: false,
            owes_post_stop: None,
            owes_post_kill: false,
            started: false,
            status: 0,
            forks: 0,
            told: None,
            kill_at: None,
            rest_at: None,
            rested: false,
            owes_rest: false,
            owes_cont_to_rest: false,
            signalled: None,
            left_by_command: false,
            escaped: false,
            by_command: false,
            commands: None,
            owes_command_kill: false,
            continued: false,
            owes_command: false,
            owes_signal: false,
            owes_cont: false,
            killed: None,
            left: false,
            given_up: false,
            watch: Watch::default(),
            anew: None,
            owes_reload: false,
            owes_reload_kill: false,
            owes_main_process: None,
            owes_silence: false,
            fault: None,
            fall: None,
            held: false,
            idle: false,
            down: false,
            due: false,
            queued: false,
            going: false,
            found: false,
            in_a_row: 0,
            owes_restart: false,
            backed_off: None,
            excused: false,
            backoff: Tick::ZERO,
            pid: 0,
            faulted: false,
            struck: None,
            stopped: None,
            linger: None,
            owes_goodbye: false,
        }
    }
}

/// The phase of the whole run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::simulation) enum Phase {
    Boot,
    Settling,
    Up,
    Stopping,
    Sweeping(Tick),
    Killing(Tick),
    Halting,
    Over,
}

/// The time that a signal from outside leaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Budget {
    pub kill_at: Tick,
    pub end: Tick,
    pub signal: Signal,
    /// Whether somebody outside waits.
    pub outside: bool,
}

/// The witness of one life.
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not")]
pub(in crate::simulation) struct Witness<'a> {
    pub plan: &'a Plan,
    pub terms: Terms,
    pub now: Tick,
    pub units: Vec<Seen>,
    pub phase: Phase,
    pub booted: bool,
    /// The right status by now.
    pub status: u8,
    /// Whether the reason for the stop is decided, and the engine has reported it.
    pub said: bool,
    pub ended: bool,
    pub ends: Vec<(usize, u8)>,
    /// The times of each unit's restarts, as far as they count.
    pub restarts: Vec<Vec<Tick>>,
    /// When the present or last process of each unit executed its command, if it did.
    pub ran: Vec<Option<Tick>>,
    /// Each unit as a test.
    pub trials: Vec<Trial>,
    pub first_failure: Option<usize>,
    pub budget: Option<Budget>,
    pub outside: bool,
    pub hurry: bool,
    /// Whether everything that was there was killed because of `hurry`.
    pub rushed: bool,
    /// The signal from outside that stops the run.
    pub stopped_by: Option<Signal>,
    /// Whether something failed in the stop, or had to be killed.
    pub flawed: bool,
    /// The last exit status of each unit's own process, after `success`.
    pub own: Vec<Option<u8>>,
    /// The same for the process that is just exiting.
    pub raw: Option<u8>,
    /// The signal that cuts the halt units short.
    pub cut: Option<Signal>,
    pub nothing_left: bool,
    /// Whether the output files have to be reopened.
    pub owes_reopening: bool,
    /// Whether trc has still to read the configuration anew.
    pub owes_reading: bool,
    pub sender: Option<(usize, Tick)>,
    /// Signals that must be sent on in this step: the unit, and whether they go to its process
    /// group.
    pub forwards: VecDeque<(usize, bool, Signal)>,
    /// The signals for a transparent command whose program was not executed yet.
    pub held: Vec<Signal>,
    /// What people have to be told about a run that came too early.
    pub overlapped: Option<(usize, Overlap)>,
    pub fallen: Fallen,
    pub tested: Tested,
    pub asked: Asked,
    pub renewed: Renewed,
    pub marks: Marks,
}

impl<'a> Witness<'a> {
    pub(in crate::simulation) fn new(plan: &'a Plan) -> Self {
        let terms = Terms::of(plan, Generation::First);
        let seen = |at: usize| Seen {
            due: plan.runs_at_start(at),
            idle: terms.units[at].idle,
            ..Seen::new()
        };
        Self {
            plan,
            now: Tick::ZERO,
            units: (0..plan.units.len()).map(seen).collect(),
            terms,
            overlapped: None,
            phase: Phase::Boot,
            booted: false,
            status: 0,
            said: false,
            ended: false,
            ends: Vec::new(),
            restarts: vec![Vec::new(); plan.units.len()],
            ran: vec![None; plan.units.len()],
            trials: vec![Trial::default(); plan.units.len()],
            first_failure: None,
            budget: None,
            outside: false,
            hurry: false,
            rushed: false,
            stopped_by: None,
            flawed: false,
            own: vec![None; plan.units.len()],
            raw: None,
            cut: None,
            nothing_left: false,
            owes_reopening: false,
            owes_reading: false,
            sender: None,
            forwards: VecDeque::new(),
            held: Vec::new(),
            fallen: Fallen::default(),
            tested: Tested::default(),
            asked: Asked::default(),
            renewed: Renewed::default(),
            marks: Marks::default(),
        }
    }

    pub(in crate::simulation) fn mark(&mut self, mark: Mark) {
        self.marks.set(mark);
    }

    /// Returns the units of a stage that are in the graph.
    pub(in crate::simulation) fn stage(&self, stage: Stage) -> impl Iterator<Item = usize> + '_ {
        self.here().filter(move |at| self.plan.units[*at].stage == stage)
    }

    /// Returns the units of a stage in the order in which they run one at a time.
    pub(in crate::simulation) fn in_order(&self, stage: Stage) -> impl Iterator<Item = usize> + '_ {
        let units = self.terms.order.iter().copied();
        units.filter(move |at| self.plan.units[*at].stage == stage)
    }

    pub(in crate::simulation) fn here(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.units.len()).filter(|at| self.terms.units[*at].here)
    }

    /// Returns whether the stop has begun.
    pub(in crate::simulation) fn stops(&self) -> bool {
        match self.phase {
            Phase::Boot | Phase::Settling | Phase::Up => false,
            Phase::Stopping
            | Phase::Sweeping(_)
            | Phase::Killing(_)
            | Phase::Halting
            | Phase::Over => true,
        }
    }

    /// Returns whether nothing of a unit lives or is about to, as far as the witness can know.
    pub(in crate::simulation) fn gone(&self, at: usize) -> bool {
        let seen = &self.units[at];
        match seen.stand {
            // Its command is about to follow its pre_start.
            Stand::Waiting if seen.owes_main => false,
            Stand::Waiting
            | Stand::Retrying(_)
            | Stand::Watching
            | Stand::Backoff(_)
            | Stand::Over => !seen.left && seen.commands.is_none(),
            Stand::Asked | Stand::Alive | Stand::Finishing => false,
        }
    }

    pub(in crate::simulation) fn all_gone(&self) -> bool {
        self.here().all(|at| self.gone(at))
    }

    /// Returns whether no live unit depends on this one, if only by way of units that have ended.
    fn is_free(&self, at: usize) -> bool {
        let users = &self.terms.units[at].dependents;
        users.iter().all(|user| self.gone(*user) && self.is_free(*user))
    }

    /// Returns whether everything that stops before this unit is gone.
    pub(in crate::simulation) fn may_stop(&self, at: usize) -> bool {
        let unit = &self.plan.units[at];
        let above = self.is_free(at);
        let base = unit.stage == Stage::Boot
            && self.here().any(|one| self.plan.units[one].counts() && !self.gone(one));
        let ends_itself =
            self.sender.is_some_and(|(sender, until)| sender == at && self.now < until);
        above && !base && !ends_itself
    }

    /// Returns whether SIGKILL is due for a unit or its leftovers.
    pub(in crate::simulation) fn is_late(&self, at: usize) -> bool {
        self.units[at].kill_at.is_some_and(|kill_at| kill_at <= self.now)
    }

    /// Returns whether the budget is used up.
    pub(in crate::simulation) fn time_is_up(&self) -> bool {
        self.budget.is_some_and(|budget| budget.end <= self.now)
    }

    /// Returns whether a boot that has not completed keeps a unit from running once all has
    /// stopped.
    pub(in crate::simulation) fn is_left_out(&self, at: usize) -> bool {
        match self.plan.units[at].stage {
            Stage::Boot => false,
            Stage::Async | Stage::Sync | Stage::Test => !self.booted,
            Stage::Halt => !self.booted && !self.plan.units[at].always,
        }
    }

    /// Returns the halt units that run.
    pub(in crate::simulation) fn halts(&self) -> impl Iterator<Item = usize> + '_ {
        self.stage(Stage::Halt).filter(|at| !self.is_left_out(*at))
    }

    /// Returns whether a written condition holds; `None` if it never will.
    pub(in crate::simulation) fn holds(&self, on: usize, condition: Condition) -> Option<bool> {
        let seen = &self.units[on];
        if self.phase == Phase::Halting && self.is_left_out(on) {
            return Some(true);
        }
        let over = seen.stand == Stand::Over;
        let never_ran =
            self.phase == Phase::Halting && self.plan.units[on].stage != Stage::Halt && !over;
        let well = seen.status == 0;
        match condition {
            Condition::Started if seen.started => Some(true),
            Condition::Ready if seen.watch.ready || seen.found => Some(true),
            Condition::Exited | Condition::Settled if over || never_ran => Some(true),
            Condition::Succeeded if over && well => Some(true),
            Condition::Failed if over && !well => Some(true),
            Condition::Failed if seen.stand == Stand::Watching && seen.watch.ready => None,
            Condition::Settled => self.holds(on, self.up_by(on)),
            Condition::Started
            | Condition::Ready
            | Condition::Exited
            | Condition::Succeeded
            | Condition::Failed => (!over && !never_ran).then_some(false),
        }
    }

    /// Returns the condition under which a unit is up.
    pub(in crate::simulation) fn up_by(&self, at: usize) -> Condition {
        match &self.plan.units[at] {
            unit if unit.ready.is_some() => Condition::Ready,
            _ if self.terms.units[at].oneshot => Condition::Succeeded,
            _ => Condition::Started,
        }
    }

    /// Returns whether all of a unit's conditions hold; `None` if one never will.
    pub(in crate::simulation) fn may_start(&self, at: usize) -> Option<bool> {
        let needs = self.terms.units[at].needs.iter();
        needs
            .map(|(on, condition)| self.holds(*on, *condition))
            .try_fold(true, |all, one| one.map(|holds| all && holds))
    }

    /// Returns whether it is the turn of this unit's stage.
    pub(in crate::simulation) fn is_its_turn(&self, at: usize) -> bool {
        match self.plan.units[at].stage {
            Stage::Boot => self.phase == Phase::Boot,
            Stage::Async | Stage::Sync | Stage::Test => self.phase == Phase::Up,
            Stage::Halt => self.phase == Phase::Halting,
        }
    }
}
