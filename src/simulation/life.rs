//! One life from its plan to its end: connects the engine with the world and the witness.

use std::fmt::Write;
use std::rc::Rc;

use super::build;
use super::marks::Marks;
use super::mutant::{self, Mutant};
use super::plan::{Generation, Means, Plan, Renewal, ms};
use super::story;
use super::witness::{Broken, PATIENCE, Verdict, Witness, expect};
use super::world::World;
use crate::engine::{Action, Engine, Event, Tick};
use crate::graph::UnitId;
use crate::signal::Signal;

/// The maximum number of steps in a life.
const STEPS: u32 = 30_000;
/// The time for which a life may go on by itself.
const HORIZON: Tick = Tick::from_secs(20);
/// The maximum number of steps at one instant.
const AT_ONCE: u32 = 400;

/// The course of a life.
pub(super) struct Lived {
    pub marks: Marks,
    pub broken: Option<Broken>,
    /// The record of everything that happened, if it was requested.
    pub story: String,
}

struct Life<'a> {
    engine: Engine,
    world: World<'a>,
    witness: Witness<'a>,
    mutant: &'a Mutant,
    actions: Vec<Action>,
    steps: u32,
    at_once: u32,
    /// Whether trc has been paused.
    slept: bool,
    /// The number of times that nothing more would have happened by itself.
    rests: u32,
    story: Option<String>,
}

/// Lives a plan. Returns `None` if its graph is refused.
pub(super) fn live(plan: &Plan, mutant: &Mutant, told: bool) -> Option<Lived> {
    let built = Rc::new(build::graph(plan, Generation::First, None)?);
    let mut graph = Rc::clone(&built.graph);
    if mutant.name != mutant::NONE.name {
        (mutant.graph)(Rc::make_mut(&mut graph));
    }
    let mut life = Life {
        engine: Engine::new(graph, plan.luck),
        world: World::new(plan, built),
        witness: Witness::new(plan),
        mutant,
        actions: Vec::new(),
        steps: 0,
        at_once: 0,
        slept: false,
        rests: 0,
        story: told.then(String::new),
    };
    let broken = life.run().err();
    Some(Lived { marks: life.witness.marks, broken, story: life.story.unwrap_or_default() })
}

impl Life<'_> {
    fn run(&mut self) -> Verdict {
        self.step(Event::Begin)?;
        loop {
            while let Some(event) = self.world.events.pop_front() {
                self.step(event)?;
            }
            if self.witness.ended {
                return self.end();
            }
            let (deadline, next) = (self.engine.next_deadline(), self.world.next());
            let Some(time) = deadline.into_iter().chain(next).min() else {
                self.rest()?;
                continue;
            };
            // Restarts and probes may go on forever.
            let time = if time > HORIZON && self.rests == 0 {
                self.world.now = self.world.now.max(HORIZON);
                self.insist();
                continue;
            } else {
                time
            };
            if time > self.world.now {
                if self.oversleeps(time) {
                    continue;
                }
                self.world.now = time;
                self.at_once = 0;
            }
            let wakes = deadline.is_some_and(|deadline| deadline <= self.world.now);
            let due = next.is_some_and(|next| next <= self.world.now);
            if due && !(wakes && self.world.coin()) {
                self.world.happen();
            } else {
                self.world.events.push_back(Event::Woken);
            }
        }
    }

    /// Returns whether trc is paused at the moment at which it would handle the events of `time`.
    /// Either it does not notice, and deadlines pass meanwhile, or its clock is set back.
    fn oversleeps(&mut self, time: Tick) -> bool {
        let Some((from, time_out)) = self.witness.plan.sleep else { return false };
        if std::mem::replace(&mut self.slept, ms(from) <= time) || !self.slept {
            return false;
        }
        let (from, by) = (ms(from), ms(time_out));
        if self.world.coin() {
            self.world.now = time.max(from + by);
        } else {
            self.world.now = self.world.now.max(from);
            let alone = self.world.coin();
            self.world.goes_on(by, alone);
            self.world.events.push_back(Event::Overslept { by });
        }
        self.at_once = 0;
        true
    }

    fn step(&mut self, event: Event) -> Verdict {
        self.steps += 1;
        self.at_once += 1;
        expect(self.steps < STEPS, "a life ends in a bounded number of steps")?;
        expect(self.at_once < AT_ONCE, "no life goes round in circles")?;
        if let Event::Reload { .. } = event
            && !self.world.reads_anew(&self.engine.spare())
        {
            return Ok(());
        }
        let built = Rc::clone(&self.world.built);
        let now = self.world.now;
        if let Some(story) = &mut self.story {
            let _ = writeln!(story, "{:>7} {}", now.as_millis(), story::event(&event, &built));
        }
        if !self.witness.ended {
            self.witness.before(now, &event, &built);
        }
        let event = (self.mutant.event)(event);
        if let Event::Settled { words: Some(_) } = event {
            self.engine.offer(Rc::clone(&built.graph), Vec::new());
        }
        if let Event::Reload { .. } = event {
            let next = self.world.next.as_ref().unwrap_or(&built);
            let replaced =
                |id: &UnitId| self.witness.plan.units[next.unit(*id)].renewal == Renewal::Replaced;
            let (graph, replaced) =
                (Rc::clone(&next.graph), next.graph.ids().filter(replaced).collect());
            if self.witness.plan.keep {
                self.engine.offer_for_good(graph, replaced);
            } else {
                self.engine.offer(graph, replaced);
            }
        }
        let was_over = self.witness.ended;
        self.actions.clear();
        self.engine.step(now, event, &mut self.actions);
        (self.mutant.actions)(&mut self.actions, self.witness.plan);
        for action in std::mem::take(&mut self.actions) {
            let built = Rc::clone(&self.world.built);
            if let Some(story) = &mut self.story {
                let _ = writeln!(story, "            -> {}", story::action(&action, &built));
            }
            self.witness.acted(&action, &built)?;
            if action == Action::TakeOver {
                self.world.built = Rc::new(build::of(self.engine.graph()));
            }
            self.world.act(&action);
        }
        if self.witness.ended && !was_over {
            let mut reason = self.engine.reason();
            reason.iter_mut().for_each(self.mutant.reason);
            self.witness.last_line(reason.as_ref(), &built)?;
            self.witness.findings(self.engine.findings(), &built)?;
        }
        let in_time = !self.witness.hurry && self.witness.cut.is_none();
        let asked = !std::mem::take(&mut self.world.untold);
        let awake = self.witness.plan.sleep.is_none();
        expect(asked || !in_time || !awake, "no process is killed that was not asked to exit")?;
        self.witness.after(self.engine.next_deadline())
    }

    /// Ends a life in which nothing more happens by itself.
    fn rest(&mut self) -> Verdict {
        let snapshot = self.engine.snapshot();
        if let Some(story) = &mut self.story {
            story.push_str(&story::snapshot(&snapshot));
        }
        self.witness.looks_at(&snapshot)?;
        self.witness.rests(self.world.any_main())?;
        let stuck = self.world.waits_for_cont() && self.rests > 0;
        expect(!stuck, "a process that was asked to exit is continued, so that it can exit")?;
        let plan = self.witness.plan;
        match self.rests {
            0 => {
                self.insist();
                Ok(())
            }
            1 if plan.transparent() => {
                self.rests += 1;
                self.world.kill_all();
                Ok(())
            }
            _ => expect(false, "after a signal from outside, the run ends by itself"),
        }
    }

    /// Ends the life by a signal from outside.
    fn insist(&mut self) {
        self.rests += 1;
        let plan = self.witness.plan;
        let stops = |signal: &Signal| plan.rule(*signal) == Means::Stop;
        let signals = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1];
        let signal = signals.into_iter().find(stops).unwrap_or(Signal::QUIT);
        self.world.signal(signal, true, None);
    }

    fn end(&mut self) -> Verdict {
        let plan = self.witness.plan;
        if plan.transparent() {
            return Ok(());
        }
        // If no time is left for SIGKILL, trc sends it when it exits.
        let slept = self.witness.terms.budget.is_zero() || plan.sleep.is_some();
        if self.witness.time_is_up() && slept {
            return Ok(());
        }
        let patience = if self.witness.time_is_up() { Tick::ZERO } else { PATIENCE };
        let outlived = self.world.outlived(patience);
        expect(!outlived, "no process that could be killed outlives the run")
    }
}
