//! The engine decides what happens next, and keeps the state of every unit and of the run. It is
//! pure: the time comes in as an argument, and the acts of the kernel come in as events; actions go
//! out.
//!
//! A run goes through these phases, and only forward:
//!
//! - **Boot**: The boot units run one at a time. A failure ends the run with its status; only the
//!   halt units with `always` run then.
//! - **Settling**: Boot has finished, and trc looks at the command line that it has left.
//! - **Up**: Everything runs whose conditions hold. After each event, the wait policy decides
//!   whether the run ends.
//! - **Stopping**: Units stop in the reverse order of their dependencies, and each goes up its own
//!   ladder: stop command or stop signal, then SIGKILL.
//! - **Lingering**, in test mode: The daemons that units have left may exit by themselves.
//! - **Sweeping**: trc stops the daemons that remain.
//! - **Halting**: The halt units run one at a time; if boot had not completed, only those with
//!   `always`.
//! - **Over**.
//!
//! While the run is up, people may ask units to start, stop and restart (`request`), and to reload
//! their own configurations (`own_reload`), and a new graph may take over (`reload`). People may
//! ask the run to stop at any time (`signals`).
//!
//! In transparent mode there is one unit and no ladder: signals go to it, and the run ends when it
//! exits.

mod action;
mod detail;
mod ends;
mod event;
mod exit;
mod failure;
mod finding;
mod health;
mod limits;
mod own_reload;
mod past;
mod pid_file;
mod policy;
mod post_stop;
mod reason;
mod reload;
mod request;
mod rest;
mod restart;
mod schedule;
mod signals;
mod snapshot;
mod start;
mod stop;
mod testing;
#[cfg(test)]
mod tests;
mod timeline;
mod unit;
mod watch;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

pub(crate) use action::{Action, Fact, Target, Told};
pub(crate) use detail::{Detail, NotMain};
pub(crate) use event::{
    Asker, Ending, Event, Late, Left, Notice, Outcome, Purpose, Sender, SpawnStage, Tick,
};
pub(crate) use finding::{Finding, Lack};
pub(crate) use health::Health;
pub(crate) use limits::{POST_STOP, PRE_START, UNKILLABLE_AFTER};
pub(crate) use own_reload::NotReloaded;
pub(crate) use reason::{Cause, LastWord, Link, Reason};
pub(crate) use reload::Failing;
pub(crate) use request::{Answer, JobEnd, NoJob, Refusal, Request, Task};
pub(crate) use snapshot::{PhaseName, Snapshot, UnitSnapshot};
pub(crate) use start::is_scarce;
pub(crate) use timeline::Span;
pub(crate) use unit::{EndReason, Ended, How, Stopped, TestEnd, Verdict, Wanted, Why};

use crate::config::Stage;
use crate::graph::{Graph, UnitId};
use crate::signal::Signal;
use crate::status;
use unit::{Leftovers, Phase, State};

/// The phase of the whole run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Run {
    Boot,
    Settling,
    Up,
    Stopping,
    /// trc looks at what is left once more at that time; `None` while it looks.
    Lingering {
        again_at: Option<Tick>,
    },
    Sweeping {
        kill_at: Tick,
    },
    Killing {
        give_up_at: Tick,
    },
    Halting,
    Over,
}

/// The time that a stop signal from outside leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Budget {
    /// The time at which everything that is left gets SIGKILL.
    kill_at: Tick,
    /// The time by which trc must have exited.
    end: Tick,
    /// The signal that the stop began with.
    signal: Signal,
    /// Whether somebody outside waits for the stop.
    outside: bool,
}

impl Budget {
    /// Creates a budget of `whole` from now on, of which some is reserved for SIGKILL to work.
    fn new(now: Tick, whole: Duration, signal: Signal, outside: bool) -> Self {
        let reserve = limits::RESERVE.min(whole / 2);
        Self { kill_at: now + whole.saturating_sub(reserve), end: now + whole, signal, outside }
    }
}

/// The state of signals for a transparent command.
#[derive(Default, Debug)]
struct Passing {
    /// The signals that came before the command was executed.
    held: Vec<Signal>,
    /// Whether the command was passed a signal that terminates programs.
    told_to_end: bool,
}

/// The state of a run.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each has come to pass or not")]
pub(crate) struct Engine {
    graph: Rc<Graph>,
    /// The graph that was offered to take over.
    offered: Option<reload::Offer>,
    reload: Option<reload::Reload>,
    /// What the last new graph has changed, until all of that is up.
    probation: Option<reload::Probation>,
    /// The number of graphs that have taken over since the first one.
    generation: u32,
    states: Vec<State>,
    /// The time of the present event.
    now: Tick,
    run: Run,
    booted: bool,
    /// Events that cannot happen, and that people were not told of yet.
    impossible: Vec<String>,
    cause: Option<Cause>,
    status: u8,
    /// The status before the first halt unit ran.
    outcome: u8,
    first_failure: Option<UnitId>,
    last_word: Option<LastWord>,
    /// The failures from which the cause follows, from the nearest one to the root.
    behind: Vec<Link>,
    /// The number of failures so far, which gives each failure its place in the order.
    failures: u64,
    /// The number of ends so far, which gives each end its place in the order.
    ends: u32,
    budget: Option<Budget>,
    /// Whether SIGTERM or SIGINT has come from outside; the next one kills.
    outside_stop: bool,
    /// The unit that stopped the run by a signal, and the time until which it may exit by itself.
    sender: Option<(UnitId, Tick)>,
    /// Whether everything that is left gets SIGKILL, because time is up or somebody insists.
    hurry: bool,
    /// The repeated stop signal, if that is why.
    insisted: Option<Signal>,
    /// Whether something failed in the stop, or had to be killed.
    flawed: bool,
    passing: Passing,
    /// The units that could not be killed.
    unkillable: Vec<UnitId>,
    /// Units whose waiters must be looked at again.
    changed: VecDeque<UnitId>,
    /// The state of the random number generator.
    chance: u64,
    /// The state that only a test run has.
    testing: testing::Testing,
    jobs: request::Jobs,
}

impl Engine {
    /// Creates an engine at the start of a run. `chance` seeds the random number generator.
    #[must_use]
    pub(crate) fn new(graph: Rc<Graph>, chance: u64) -> Self {
        let mut states: Vec<State> = graph.ids().map(|_| State::new(Tick::ZERO)).collect();
        for id in graph.ids() {
            states[id.0].due = graph.runs_at_start(id);
            states[id.0].wanted = wanted_at_first(&graph, id);
        }
        Self {
            graph,
            offered: None,
            reload: None,
            probation: None,
            generation: 0,
            states,
            now: Tick::ZERO,
            run: Run::Boot,
            booted: false,
            cause: None,
            impossible: Vec::new(),
            status: 0,
            outcome: 0,
            first_failure: None,
            last_word: None,
            behind: Vec::new(),
            failures: 0,
            ends: 0,
            budget: None,
            outside_stop: false,
            sender: None,
            hurry: false,
            insisted: None,
            flawed: false,
            passing: Passing::default(),
            unkillable: Vec::new(),
            changed: VecDeque::new(),
            chance,
            testing: testing::Testing::default(),
            jobs: request::Jobs::default(),
        }
    }

    /// Returns the graph that is being run.
    #[must_use]
    pub(crate) fn graph(&self) -> &Rc<Graph> {
        &self.graph
    }

    /// Returns trc's exit status as it stands, before `[exit]`.
    #[must_use]
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// Returns the run's own status, which every halt unit sees: without the effects of earlier
    /// halt units, and before `[exit]`.
    #[must_use]
    pub(crate) fn outcome(&self) -> u8 {
        self.outcome
    }

    /// Returns why the run ends, once it does, without the effects of halt units.
    #[must_use]
    pub(crate) fn outcome_reason(&self) -> Option<Reason> {
        self.reason().map(|reason| Reason { last_word: None, ..reason })
    }

    /// Returns why the run ends, once it does.
    #[must_use]
    pub(crate) fn reason(&self) -> Option<Reason> {
        let cause = self.cause.clone()?;
        Some(Reason {
            cause,
            behind: self.behind.clone(),
            first_failure: self.first_failure,
            last_word: self.last_word,
            unkillable: self.unkillable.clone(),
        })
    }

    /// Returns the end of a unit, if it has ended.
    #[must_use]
    pub(crate) fn ended(&self, id: UnitId) -> Option<Ended> {
        self.states[id.0].phase().ended()
    }

    /// Returns the latest detail about the state of a unit since its last start.
    #[must_use]
    pub(crate) fn known(&self, id: UnitId) -> Option<&Detail> {
        self.states[id.0].known.as_ref()
    }

    /// Returns whether a unit has exited by itself and has left processes running.
    #[must_use]
    pub(crate) fn left_others(&self, id: UnitId) -> bool {
        self.states[id.0].left
    }

    /// Returns how a unit exited that trc stopped after the last test.
    #[must_use]
    pub(crate) fn stopped(&self, id: UnitId) -> Option<Stopped> {
        self.states[id.0].stopped
    }

    /// Returns when the budget of a stop from outside ends, if there is one.
    #[must_use]
    pub(crate) fn budget_end(&self) -> Option<Tick> {
        self.budget.map(|budget| budget.end)
    }

    /// Takes in one event, and appends the actions that follow from it to `actions`.
    pub(crate) fn step(&mut self, now: Tick, event: Event, actions: &mut Vec<Action>) {
        self.now = now;
        self.judge_grace(now);
        match event {
            Event::Begin => self.changed.extend(self.graph.ids()),
            Event::Forked { unit, pid } => self.on_forked(unit, pid),
            Event::Executed { unit } => self.on_executed(now, unit, actions),
            Event::SpawnFailed { unit, stage, errno, why } => {
                self.states[unit.0].known = why;
                self.on_spawn_failed(now, unit, stage, errno, actions);
            }
            Event::Exited { unit, ending, leftovers, terminal, why } => {
                if why.is_some() {
                    self.states[unit.0].learnt(why);
                }
                self.on_exited(now, unit, ending, leftovers, terminal, actions);
            }
            Event::Probed { unit, purpose, outcome, why } => {
                self.states[unit.0].learnt(why);
                self.on_probed(now, unit, purpose, outcome, actions);
            }
            Event::Unfound { unit, why } => self.on_unfound(now, unit, why),
            Event::Notified { unit, notice } => self.on_notified(now, unit, notice, actions),
            Event::Learnt { unit, why } => self.states[unit.0].learnt(why),
            Event::LeftoversGone { unit } => {
                self.states[unit.0].leftovers = Leftovers::None;
                self.states[unit.0].survivors = false;
            }
            Event::StopCommandEnded { unit, succeeded } => {
                self.on_stop_command_ended(unit, succeeded, actions);
            }
            Event::PostStopEnded { unit, succeeded, left, why } => {
                self.on_post_stop_ended(now, unit, (succeeded, left), why, actions);
            }
            Event::ReloadCommandEnded { unit, succeeded, why } => {
                self.on_reload_command_ended(unit, succeeded, why, actions);
            }
            Event::Paused { unit } => self.on_paused(unit, actions),
            Event::Signal { signal, sender } => self.on_signal(now, signal, sender, actions),
            Event::Request { unit, request, asker } => {
                self.on_request(now, unit, request, asker, actions);
            }
            Event::Cancel { job, asker } => self.on_cancel(now, job, asker, actions),
            Event::Shutdown { exit, asker } => self.on_shutdown(now, exit, asker, actions),
            Event::Due { unit } => self.on_due(now, unit, actions),
            Event::Reload { asker } => self.on_reload(asker, actions),
            Event::Settled { words: _ } => self.on_settled(),
            Event::Unsettled => {
                self.booted = true;
                self.stop_run(Cause::CommandLine, status::CONFIG, actions);
            }
            Event::Tried { unit, outcome } => self.on_tried(now, unit, outcome, actions),
            Event::Inspected { zombies, escaped } => {
                self.on_inspected(now, zombies, &escaped, actions);
            }
            Event::Remains { orphans, sessions, late } => {
                self.on_remains(now, orphans, sessions, late, actions);
            }
            Event::OomKilled => self.find(Finding::OomKilled),
            Event::NothingLeft => self.on_nothing_left(actions),
            Event::Overslept { by } => self.on_overslept(now, by),
            Event::Woken => {}
        }
        self.on_time(now, actions);
        self.advance(now, actions);
        self.advance_jobs(actions);
        let bugs = self.impossible.drain(..);
        actions.extend(bugs.map(|what| Action::Tell(Fact::Impossible { what })));
    }

    /// Returns when the engine wants to be woken, if at all.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Tick> {
        if self.run == Run::Over {
            return None;
        }
        let units = self.states.iter().filter_map(State::deadline);
        let budget = self.budget.and_then(|budget| match self.run {
            Run::Stopping | Run::Lingering { .. } | Run::Sweeping { .. } if !self.hurry => {
                Some(budget.kill_at)
            }
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting => Some(budget.end),
            Run::Boot | Run::Settling | Run::Up | Run::Over => None,
        });
        let run = match self.run {
            Run::Lingering { again_at } => again_at,
            Run::Sweeping { kill_at } => Some(kill_at),
            Run::Killing { give_up_at } => Some(give_up_at),
            Run::Boot | Run::Settling | Run::Up | Run::Stopping | Run::Halting | Run::Over => None,
        };
        let sender =
            self.sender.filter(|(id, _)| self.run == Run::Stopping && !self.states[id.0].gone());
        let inspection = self.testing.deadline().filter(|_| self.run == Run::Up);
        let sender = sender.map(|(_, until)| until);
        units.chain(budget).chain(run).chain(sender).chain(inspection).min()
    }

    /// Advances the run as far as possible.
    fn advance(&mut self, now: Tick, actions: &mut Vec<Action>) {
        loop {
            let (done, generation) = (actions.len(), self.generation);
            self.advance_reload(now, actions);
            self.advance_ordered_stops(now, actions);
            self.advance_schedules(now, actions);
            self.advance_restarts(now, actions);
            let before = self.run;
            match self.run {
                Run::Boot => self.advance_boot(now, actions),
                Run::Up => self.advance_up(now, actions),
                Run::Stopping => self.advance_stopping(now, actions),
                Run::Halting => self.advance_halting(now, actions),
                Run::Settling
                | Run::Lingering { .. }
                | Run::Sweeping { .. }
                | Run::Killing { .. }
                | Run::Over => {}
            }
            // A start may free a unit that has to go for a new graph, because nothing that is up
            // depends on it any more. And what a new graph has let happen at once is judged at once.
            let reloads = self.reload.is_some() || self.generation != generation;
            let rests = !reloads || actions.len() == done;
            if self.run == before && rests && (self.changed.is_empty() || self.run != Run::Up) {
                break;
            }
        }
    }

    /// Enters a phase of the run.
    fn enter(&mut self, run: Run, actions: &mut Vec<Action>) {
        self.run = run;
        match run {
            Run::Boot | Run::Up => {}
            Run::Halting => {
                if self.graph.testing {
                    self.judge_stops();
                    self.status = self.verdict();
                }
                self.outcome = self.status;
            }
            Run::Settling => actions.push(Action::Settle),
            Run::Stopping => {
                actions.push(Action::Tell(Fact::Stopping));
                self.forget_restarts(actions);
            }
            Run::Lingering { .. } => actions.push(Action::Remains),
            Run::Sweeping { .. } => actions.push(Action::Sweep(Signal::TERM)),
            Run::Killing { .. } => {
                self.flawed = true;
                self.look_at_remains(actions);
                actions.push(Action::Sweep(Signal::KILL));
            }
            Run::Over if self.graph.testing => {
                self.status = self.verdict();
                // Nothing turns the status of a failed test run into 0, not even `[exit]`.
                actions.push(Action::End { status: self.status });
            }
            Run::Over => {
                let status = self.exit_status();
                actions.push(Action::End { status });
            }
        }
    }

    /// Moves a unit to another phase.
    fn transition(&mut self, id: UnitId, to: Phase, why: Why) {
        let now = self.now;
        self.states[id.0].transition(to, now, why);
    }

    /// Begins the stop of the run, unless it has begun: the first cause stands.
    fn stop_run(&mut self, cause: Cause, status: u8, actions: &mut Vec<Action>) {
        match self.run {
            Run::Boot | Run::Settling | Run::Up => {
                self.behind = self.behind_cause(&cause);
                self.cause = Some(cause);
                self.status = status;
                // A transparent command has exited by now, and there is nothing to stop.
                let next = if self.graph.transparent { Run::Over } else { Run::Stopping };
                self.enter(next, actions);
            }
            Run::Stopping
            | Run::Lingering { .. }
            | Run::Sweeping { .. }
            | Run::Killing { .. }
            | Run::Halting
            | Run::Over => {}
        }
    }

    /// Returns the foreground unit: the running unit of the stages that run one at a time.
    fn foreground(&self) -> Option<UnitId> {
        self.graph.ids().find(|id| {
            self.graph.node(*id).unit.stage != Stage::Async && self.states[id.0].pid().is_some()
        })
    }
}

/// Returns what is wanted of a unit that comes into the run.
fn wanted_at_first(graph: &Graph, id: UnitId) -> Wanted {
    if graph.node(id).idle { Wanted::Idle } else { Wanted::Up }
}
