//! Watches a life and says what is wrong with it. It keeps its own books, from the events
//! that the engine is given and the actions that come out, and never asks the engine.
//!
//! Here is what it knows. `ends`, `signalled`, `watched`, `restarted` and `policy` say how it learns
//! of it from events, `asked` of requests and `renewed` of new graphs; `acts` and `stops` what it
//! expects of each action, and `rests` what must hold between events. Of test runs, `turns` and
//! `tested` are about tests, `looks` and `found` about what is found beside them.

mod acts;
mod asked;
mod ends;
mod found;
mod looks;
mod policy;
mod renewed;
mod restarted;
mod rests;
mod signalled;
mod stops;
mod tested;
mod turns;
mod watched;

use std::collections::VecDeque;
use std::time::Duration;

use self::asked::Asked;
use self::found::Tested;
use self::renewed::Renewed;
use self::turns::Trial;
use super::build::Terms;
use super::marks::{Mark, Marks};
use super::plan::{Generation, Plan};
use crate::config::{Condition, Stage};
use crate::engine::Tick;
use crate::signal::Signal;

/// From KILL to giving up.
pub(in crate::simulation) const PATIENCE: Duration = Duration::from_secs(2);
/// How long before KILL all of a unit is told to end.
pub(in crate::simulation) const REST: Duration = Duration::from_secs(2);
/// From TERM to KILL in the sweep.
pub(in crate::simulation) const SWEEP: Duration = Duration::from_secs(5);

/// What is wrong with a life: the rule that it broke, and the unit, if it is about one.
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

/// The same, about a unit.
pub(in crate::simulation) fn expect_of(unit: usize, kept: bool, rule: &'static str) -> Verdict {
    if kept { Ok(()) } else { Err(Broken { rule, unit: Some(unit) }) }
}

/// Where a unit stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::simulation) enum Stand {
    Waiting,
    /// A fork failed; it is due again.
    Retrying(Tick),
    /// It is to be started, and the answer is not there yet.
    Asked,
    Alive,
    /// It has nothing to run: what it stands for is looked for, or was found. Or it is a
    /// test that is being done.
    Watching,
    /// It is started again after that, which the engine says; none if it has not yet.
    Backoff(Option<Tick>),
    Over,
}

/// Why a unit is stopped while the run goes on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::simulation) enum Fault {
    NotReady,
    Unhealthy {
        timed_out: bool,
        restart: bool,
    },
    Overran,
    /// None: it is restarted together with another.
    Together,
    /// None: somebody has asked for it.
    Asked,
}

impl Fault {
    /// Whether there is none.
    pub(in crate::simulation) fn is_none(self) -> bool {
        matches!(self, Self::Together | Self::Asked)
    }
}

/// What is known of the present run of a unit.
#[derive(Clone, Copy, Default, Debug)]
pub(in crate::simulation) struct Watch {
    /// When it was executed, or first looked for.
    pub since: Option<Tick>,
    pub ready: bool,
    /// It has said that it is about to end.
    pub leaving: bool,
    pub ready_by: Option<Tick>,
    pub run_until: Option<Tick>,
    /// When the next tries are due, for readiness and for health.
    pub next: [Option<Tick>; 2],
    /// Tries that are to begin now.
    pub owed: [bool; 2],
    /// Tries that are under way.
    pub trying: [bool; 2],
    /// The wait after the next try for readiness.
    pub wait: Tick,
    pub failures: u32,
    pub sick: bool,
    /// Since when it is up, as far as can be said.
    pub up: Option<Tick>,
}

/// What is known of a unit.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each was seen or not")]
pub(in crate::simulation) struct Seen {
    pub stand: Stand,
    pub executed: bool,
    /// And that before it was told to stop, at least once.
    pub started: bool,
    /// Its status, once it is over.
    pub status: u8,
    pub forks: u32,
    /// When it, or what it left, was told to stop.
    pub told: Option<Tick>,
    /// When that turns into KILL.
    pub kill_at: Option<Tick>,
    /// When those of it that have had no stop signal get one, and whether they have.
    pub rest_at: Option<Tick>,
    pub rested: bool,
    pub owes_rest: bool,
    pub owes_cont_to_rest: bool,
    /// Its stop signal was sent.
    pub signalled: bool,
    /// What it has left is stopped by its stop command so far.
    pub left_by_command: bool,
    /// What it has left has a session of its own.
    pub escaped: bool,
    /// It is stopped by its stop command so far.
    pub by_command: bool,
    /// Until when its stop command may run, while it does.
    pub commands: Option<Tick>,
    /// CONT was sent, which a signal may follow that CONT would discard.
    pub continued: bool,
    /// Its stop command is to be run.
    pub owes_command: bool,
    /// Its stop signal is to be sent.
    pub owes_signal: bool,
    /// A stop signal went out, and CONT must follow.
    pub owes_cont: bool,
    pub killed: Option<Tick>,
    /// Others of its group outlive it.
    pub left: bool,
    /// It survived KILL, and its end was not seen since.
    pub given_up: bool,
    pub watch: Watch,
    /// Its tries are to be ended.
    pub owes_silence: bool,
    pub fault: Option<Fault>,
    /// Somebody has stopped it, and nobody has asked for it since.
    pub held: bool,
    /// A new graph takes over when it is gone.
    pub going: bool,
    /// It stands for something outside that was there.
    pub found: bool,
    /// Restarts in a row, none of whose runs lasted.
    pub in_a_row: u32,
    /// That it is restarted has to be said.
    pub owes_restart: bool,
    /// A test has caused that restart.
    pub excused: bool,
    /// The longest wait that is right before its next start.
    pub backoff: Tick,
    /// Its main process, as it says.
    pub pid: i32,
    /// A test has done something to it that it need not bear without a restart.
    pub faulted: bool,
    /// The signal by which it has.
    pub struck: Option<Signal>,
    /// With which status it has ended, told to stop after the last test, and how long after.
    pub stopped: Option<(u8, Option<Tick>)>,
    /// Until when what it left may end by itself, in a test run.
    pub linger: Option<Tick>,
    /// What it left did not.
    pub owes_goodbye: bool,
}

impl Seen {
    /// A unit of which nothing has been seen yet.
    pub(in crate::simulation) fn new() -> Self {
        Self {
            stand: Stand::Waiting,
            executed: false,
            started: false,
            status: 0,
            forks: 0,
            told: None,
            kill_at: None,
            rest_at: None,
            rested: false,
            owes_rest: false,
            owes_cont_to_rest: false,
            signalled: false,
            left_by_command: false,
            escaped: false,
            by_command: false,
            commands: None,
            continued: false,
            owes_command: false,
            owes_signal: false,
            owes_cont: false,
            killed: None,
            left: false,
            given_up: false,
            watch: Watch::default(),
            owes_silence: false,
            fault: None,
            held: false,
            going: false,
            found: false,
            in_a_row: 0,
            owes_restart: false,
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

/// What an outside signal leaves.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Budget {
    pub kill_at: Tick,
    pub end: Tick,
    pub signal: Signal,
    /// Somebody outside waits.
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
    /// The status as it must be by now.
    pub status: u8,
    /// Why the run stops has been decided, and the engine has said so.
    pub said: bool,
    pub ended: bool,
    pub ends: Vec<(usize, u8)>,
    /// When each unit was restarted, as far as that counts.
    pub restarts: Vec<Vec<Tick>>,
    /// When the present or last process of each unit was executed, if it was.
    pub ran: Vec<Option<Tick>>,
    /// Each unit as a test.
    pub trials: Vec<Trial>,
    pub first_failure: Option<usize>,
    pub budget: Option<Budget>,
    pub outside: bool,
    pub hurry: bool,
    /// Whatever there is was killed because of that.
    pub rushed: bool,
    /// The signal from outside that the run stops for.
    pub stopped_by: Option<Signal>,
    /// Something failed in the stop, or had to be killed.
    pub flawed: bool,
    /// What each unit's process has ended with last, as `success` has it.
    pub own: Vec<Option<u8>>,
    /// The same of the process that is just ending.
    pub raw: Option<u8>,
    /// This signal cuts the halt units short.
    pub cut: Option<Signal>,
    pub nothing_left: bool,
    /// Output files are to be opened anew.
    pub owes_reopening: bool,
    pub sender: Option<(usize, Tick)>,
    /// Signals that must be sent on in this step: to whom, whether to the group.
    pub forwards: VecDeque<(usize, bool, Signal)>,
    /// Those for a transparent command that was not executed yet.
    pub held: Vec<Signal>,
    pub tested: Tested,
    pub asked: Asked,
    pub renewed: Renewed,
    pub marks: Marks,
}

impl<'a> Witness<'a> {
    pub(in crate::simulation) fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            terms: Terms::of(plan, Generation::First),
            now: Tick::ZERO,
            units: vec![Seen::new(); plan.units.len()],
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
            sender: None,
            forwards: VecDeque::new(),
            held: Vec::new(),
            tested: Tested::default(),
            asked: Asked::default(),
            renewed: Renewed::default(),
            marks: Marks::default(),
        }
    }

    pub(in crate::simulation) fn mark(&mut self, mark: Mark) {
        self.marks.set(mark);
    }

    /// The units of a stage that are in the graph.
    pub(in crate::simulation) fn stage(&self, stage: Stage) -> impl Iterator<Item = usize> + '_ {
        self.here().filter(move |at| self.plan.units[*at].stage == stage)
    }

    /// The same, in the order in which they run one by one.
    pub(in crate::simulation) fn in_order(&self, stage: Stage) -> impl Iterator<Item = usize> + '_ {
        let units = self.terms.order.iter().copied();
        units.filter(move |at| self.plan.units[*at].stage == stage)
    }

    pub(in crate::simulation) fn here(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.units.len()).filter(|at| self.terms.units[*at].here)
    }

    /// Whether the stop has begun.
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

    /// Whether nothing of a unit lives or is about to, as far as can be known.
    pub(in crate::simulation) fn gone(&self, at: usize) -> bool {
        let seen = &self.units[at];
        match seen.stand {
            Stand::Waiting
            | Stand::Retrying(_)
            | Stand::Watching
            | Stand::Backoff(_)
            | Stand::Over => !seen.left && seen.commands.is_none(),
            Stand::Asked | Stand::Alive => false,
        }
    }

    pub(in crate::simulation) fn all_gone(&self) -> bool {
        self.here().all(|at| self.gone(at))
    }

    /// Whether nothing that lives stands on a unit, if only through what has ended.
    fn is_free(&self, at: usize) -> bool {
        let users = &self.terms.units[at].dependents;
        users.iter().all(|user| self.gone(*user) && self.is_free(*user))
    }

    /// Whether everything that stops before this unit is gone.
    pub(in crate::simulation) fn may_stop(&self, at: usize) -> bool {
        let unit = &self.plan.units[at];
        let above = self.is_free(at);
        let base = unit.stage == Stage::Boot
            && self.here().any(|one| self.plan.units[one].counts() && !self.gone(one));
        let ends_itself =
            self.sender.is_some_and(|(sender, until)| sender == at && self.now < until);
        above && !base && !ends_itself
    }

    /// Whether KILL is due for a unit, or what it left.
    pub(in crate::simulation) fn is_late(&self, at: usize) -> bool {
        self.units[at].kill_at.is_some_and(|kill_at| kill_at <= self.now)
    }

    /// Whether the budget is used up.
    pub(in crate::simulation) fn time_is_up(&self) -> bool {
        self.budget.is_some_and(|budget| budget.end <= self.now)
    }

    /// Whether a boot that has not completed keeps a unit from running once all has stopped.
    pub(in crate::simulation) fn is_left_out(&self, at: usize) -> bool {
        match self.plan.units[at].stage {
            Stage::Boot => false,
            Stage::Async | Stage::Sync | Stage::Test => !self.booted,
            Stage::Halt => !self.booted && !self.plan.units[at].always,
        }
    }

    /// The halt units that run.
    pub(in crate::simulation) fn halts(&self) -> impl Iterator<Item = usize> + '_ {
        self.stage(Stage::Halt).filter(|at| !self.is_left_out(*at))
    }

    /// Whether a written condition holds; none if it never will.
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
            Condition::Exited if over || never_ran => Some(true),
            Condition::Succeeded if over && well => Some(true),
            Condition::Failed if over && !well => Some(true),
            Condition::Failed if seen.stand == Stand::Watching && seen.watch.ready => None,
            Condition::Started
            | Condition::Ready
            | Condition::Exited
            | Condition::Succeeded
            | Condition::Failed => (!over && !never_ran).then_some(false),
        }
    }

    /// Whether all of a unit's conditions hold; none if one never will.
    pub(in crate::simulation) fn may_start(&self, at: usize) -> Option<bool> {
        let needs = self.terms.units[at].needs.iter();
        needs
            .map(|(on, condition)| self.holds(*on, *condition))
            .try_fold(true, |all, one| one.map(|holds| all && holds))
    }

    /// Whether it is the turn of this unit's stage.
    pub(in crate::simulation) fn is_its_turn(&self, at: usize) -> bool {
        match self.plan.units[at].stage {
            Stage::Boot => self.phase == Phase::Boot,
            Stage::Async | Stage::Sync | Stage::Test => self.phase == Phase::Up,
            Stage::Halt => self.phase == Phase::Halting,
        }
    }
}
