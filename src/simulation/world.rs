//! The kernel and people, simulated: what they do to a life as it is planned.

use std::collections::VecDeque;
use std::rc::Rc;

use nix::errno::Errno;

use super::build::{self, Built};
use super::plan::{Child, Generation, Moment, Plan, Stray, Tells, ms};
use super::random::Random;
use crate::config::Stage;
use crate::engine::{Asker, Ending, Event, Left, Notice, Purpose, Sender, SpawnStage, Tick};
use crate::graph::UnitId;
use crate::signal::Signal;

/// A live main process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub pid: i32,
    /// It has executed its command.
    pub executed: bool,
    /// Stopped, as by SIGSTOP, and a signal that waits for CONT.
    pub stopped: bool,
    pub pending: Option<Signal>,
    /// It was asked to end.
    pub told: bool,
    pub killed: Option<Tick>,
}

/// Any other live process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Other {
    /// The main process that it belongs to, or else its own number.
    pub of: i32,
    pub stray: Stray,
    /// It was asked to end.
    pub told: bool,
    pub killed: Option<Tick>,
}

/// What the kernel has of a unit.
#[derive(Clone, Default, Debug)]
pub(super) struct Slot {
    /// Forks that have failed for the next process.
    pub forks: u32,
    /// Tries that could not be made.
    pub unmade: u32,
    /// Processes so far.
    pub runs: u32,
    /// When the present one was executed, or what stands outside was first looked for, or
    /// a test begun.
    pub since: Option<Tick>,
    /// Tries that are under way, for readiness, or of a test, and for health.
    pub tries: [Option<u32>; 2],
    pub main: Option<Process>,
    pub left: Option<Other>,
    /// Its stop command, by the process that it is for.
    pub stop_command: Option<i32>,
}

/// Something that will come to pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Executes(usize, i32),
    FailsToStart(usize, i32, SpawnStage, Option<Errno>),
    Tells(usize, i32),
    Pauses(usize, i32),
    Dies(usize, i32, Ending),
    LeftDies(usize, i32),
    StopCommandEnds(usize, i32, bool),
    Probed(usize, Purpose, u32),
    Tried(usize, u32, bool),
    IsReady(usize, i32),
    IsAlive(usize, i32),
    Says(usize, i32),
    StrayDies(usize),
    Outside(usize),
    OomKills,
    Asks(usize),
    Reloads,
}

/// What is there besides trc.
pub(super) struct World<'a> {
    pub plan: &'a Plan,
    luck: Random,
    pub now: Tick,
    /// Events that trc has not looked at yet.
    pub events: VecDeque<Event>,
    happenings: Vec<(Tick, u64, Happening)>,
    pub slots: Vec<Slot>,
    pub strays: Vec<Option<Other>>,
    pub sweeping: bool,
    /// A unit's process has got KILL and was never asked to end.
    pub untold: bool,
    /// There was a look at zombies.
    pub looked: bool,
    pub pids: i32,
    pub numbers: u32,
    pub built: Rc<Built>,
    /// The graph that is to take over.
    pub next: Option<Rc<Built>>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, built: Rc<Built>) -> Self {
        let mut world = Self {
            plan,
            luck: Random::new(plan.luck),
            now: Tick::ZERO,
            events: VecDeque::new(),
            happenings: Vec::new(),
            slots: vec![Slot::default(); plan.units.len()],
            strays: plan
                .strays
                .iter()
                .map(|stray| Some(Other { of: 0, stray: *stray, told: false, killed: None }))
                .collect(),
            sweeping: false,
            untold: false,
            looked: false,
            pids: 100,
            numbers: 0,
            built,
            next: None,
        };
        for (at, told) in plan.signals.iter().enumerate() {
            world.later(told.at, Happening::Outside(at));
        }
        for (at, asked) in plan.requests.iter().enumerate() {
            world.later(asked.at, Happening::Asks(at));
        }
        if let Some(at) = plan.reload {
            world.later(at, Happening::Reloads);
        }
        if let Some(at) = plan.drill.as_ref().and_then(|drill| drill.oom) {
            world.later(at, Happening::OomKills);
        }
        for (at, stray) in plan.strays.iter().enumerate() {
            if let Some(ends) = stray.ends {
                world.later(ends, Happening::StrayDies(at));
            }
        }
        world
    }

    pub(super) fn later(&mut self, after: u32, what: Happening) {
        let order = self.luck.next();
        self.happenings.push((self.now + ms(after), order, what));
    }

    pub(super) fn coin(&mut self) -> bool {
        self.luck.chance(50)
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<Tick> {
        self.happenings.iter().map(|(at, ..)| *at).min()
    }

    /// The world outside goes on while trc does not run, and where it is alone in that, the
    /// container too: what would happen happens so much sooner by trc's clock.
    pub(super) fn goes_on(&mut self, by: Tick, alone: bool) {
        for (at, _, what) in &mut self.happenings {
            if alone || matches!(what, Happening::Outside(_)) {
                *at = at.saturating_sub(by);
            }
        }
    }

    /// Lets some of what is due come to pass, one thing at least.
    pub(super) fn happen(&mut self) {
        loop {
            let due = self
                .happenings
                .iter()
                .enumerate()
                .filter(|(_, (at, ..))| *at <= self.now)
                .min_by_key(|(_, (at, order, _))| (*at, *order));
            let Some((place, _)) = due else { break };
            let (_, _, what) = self.happenings.swap_remove(place);
            self.come_to_pass(what);
            if self.coin() {
                break;
            }
        }
    }

    /// What the present process of a unit does.
    pub(super) fn child(&self, unit: usize) -> &'a Child {
        let plan = &self.plan.units[unit];
        let again = plan.again.as_ref().filter(|_| self.slots[unit].runs > 1);
        again.unwrap_or(&plan.child)
    }

    pub(super) fn id(&self, unit: usize) -> UnitId {
        self.built.id(unit).expect("what runs is in the graph")
    }

    pub(super) fn main(&mut self, unit: usize, pid: i32) -> Option<&mut Process> {
        self.slots[unit].main.as_mut().filter(|main| main.pid == pid)
    }

    fn come_to_pass(&mut self, what: Happening) {
        match what {
            Happening::Executes(unit, pid) => self.executes(unit, pid),
            Happening::FailsToStart(unit, pid, stage, errno) => {
                if self.main(unit, pid).is_some() {
                    self.slots[unit].main = None;
                    let unit = self.id(unit);
                    self.events.push_back(Event::SpawnFailed { unit, stage, errno, why: None });
                    self.look_after_sweep();
                }
            }
            Happening::Tells(unit, pid) => {
                if self.main(unit, pid).is_some_and(|main| !main.stopped) {
                    self.tells(unit);
                }
            }
            Happening::Pauses(unit, pid) => {
                if let Some(main) = self.main(unit, pid) {
                    main.stopped = true;
                    let unit = self.id(unit);
                    self.events.push_back(Event::Paused { unit });
                }
            }
            Happening::Dies(unit, pid, ending) => self.dies(unit, pid, ending),
            Happening::LeftDies(unit, of) => {
                let slot = &mut self.slots[unit];
                let left = slot.left.take_if(|left| left.of == of).is_some();
                // As long as the main process lives, so does the group.
                if left && slot.main.is_none_or(|main| main.pid != of) {
                    let unit = self.id(unit);
                    self.events.push_back(Event::LeftoversGone { unit });
                    self.look_after_sweep();
                }
            }
            Happening::StopCommandEnds(unit, of, succeeded) => {
                if self.slots[unit].stop_command.take_if(|command| *command == of).is_some() {
                    let unit = self.id(unit);
                    self.events.push_back(Event::StopCommandEnded { unit, succeeded });
                    self.look_after_sweep();
                }
            }
            Happening::StrayDies(stray) => {
                self.strays[stray] = None;
                self.look_after_sweep();
            }
            Happening::Probed(unit, purpose, number) => self.probed(unit, purpose, number),
            Happening::Tried(unit, number, in_time) => self.tried(unit, number, in_time),
            Happening::IsReady(unit, pid) => self.says(unit, pid, Notice::Ready),
            Happening::IsAlive(unit, pid) => self.says_that_it_lives(unit, pid),
            Happening::Says(unit, pid) => {
                if let Some((_, notice)) = self.child(unit).says {
                    self.says(unit, pid, notice);
                }
            }
            Happening::Asks(at) => {
                let wish = &self.plan.requests[at];
                if let Some(unit) = self.built.id(wish.unit) {
                    let (request, asker) = (wish.request, asker(at));
                    self.events.push_back(Event::Request { unit, request, asker });
                }
            }
            Happening::Reloads => {
                let next = build::graph(self.plan, Generation::Third, Some(&self.built));
                if let Some(next) = next {
                    self.next = Some(Rc::new(next));
                    let asker = asker(self.plan.requests.len());
                    self.events.push_back(Event::Reload { asker });
                }
            }
            Happening::OomKills => self.events.push_back(Event::OomKilled),
            Happening::Outside(at) => {
                let told = &self.plan.signals[at];
                self.signal(told.signal, told.outside, None);
            }
        }
    }

    /// Somebody sends trc a signal.
    pub(super) fn signal(&mut self, signal: Signal, outside: bool, unit: Option<UnitId>) {
        let asker = Asker { pid: 0, uid: 0, user: None, command: None, unit };
        let sender = Sender { asker, outside };
        self.events.push_back(Event::Signal { signal, sender });
    }

    fn tells(&mut self, unit: usize) {
        if let Some(Tells { signal, known, .. }) = self.child(unit).tells {
            let id = self.id(unit);
            // Who is gone already may pass for somebody from outside.
            let outside = !known && self.coin();
            self.signal(signal, outside, known.then_some(id));
        }
    }

    pub(super) fn executes(&mut self, unit: usize, pid: i32) {
        // What has got KILL comes to nothing more.
        let Some(main) = self.main(unit, pid).filter(|main| main.killed.is_none()) else { return };
        main.executed = true;
        self.slots[unit].since = Some(self.now);
        let child = self.child(unit);
        let tells_first = child.tells.is_some_and(|tells| tells.moment == Moment::First);
        // Signals may be looked at before what says that it was executed.
        let overtakes = tells_first && self.coin();
        if overtakes {
            self.tells(unit);
        }
        let id = self.id(unit);
        self.events.push_back(Event::Executed { unit: id });
        if tells_first && !overtakes {
            self.tells(unit);
        }
        if let Some((after, ending)) = child.end {
            self.later(after, Happening::Dies(unit, pid, ending));
        }
        if let Some(Tells { moment: Moment::After(after), .. }) = child.tells {
            self.later(after, Happening::Tells(unit, pid));
        }
        if let Some(after) = child.pauses {
            self.later(after, Happening::Pauses(unit, pid));
        }
        self.begins_to_speak(unit, pid);
        if let Some(left) = child.leaves {
            // What is there only now was made by somebody who knows.
            let told = self.main(unit, pid).is_some_and(|main| main.told);
            self.slots[unit].left = Some(Other { of: pid, stray: left, told, killed: None });
            if let Some(after) = left.ends {
                self.later(after, Happening::LeftDies(unit, pid));
            }
        }
    }

    /// A main process ends; what it did last comes ahead of that.
    fn dies(&mut self, unit: usize, pid: i32, ending: Ending) {
        let Some(main) = self.main(unit, pid).copied() else { return };
        if main.stopped && ending != Ending::Signal(Signal::KILL) {
            // It can't, until it is continued.
            if let Some(main) = self.main(unit, pid) {
                main.pending.get_or_insert(Signal::STOP);
            }
            return;
        }
        self.slots[unit].main = None;
        self.slots[unit].since = None;
        let plan = &self.plan.units[unit];
        let child = self.child(unit);
        let last = child.tells.is_some_and(|tells| tells.moment == Moment::Last);
        if last && main.executed && matches!(ending, Ending::Code(_)) {
            self.tells(unit);
        }
        let id = self.id(unit);
        if !main.executed {
            // All that is seen of its start is that it is over.
            self.events.push_back(Event::Executed { unit: id });
        }
        let by_key = matches!(ending, Ending::Signal(Signal::INT | Signal::QUIT));
        // A key that is pressed is such an end of its own.
        let holds = self.plan.terminal || child.end.is_some_and(|end| end.1 == ending);
        let terminal = by_key && plan.in_turn() && holds;
        let left = self.slots[unit].left.filter(|left| left.of == pid);
        if let Some(after) = left.and_then(|left| left.stray.follows) {
            self.later(after, Happening::LeftDies(unit, pid));
        }
        let leftovers = match left {
            None => Left::Nothing,
            // Or its session is yet to come.
            Some(left) if left.stray.session && self.coin() => Left::Escaped,
            Some(_) => Left::Others,
        };
        let why = None;
        self.events.push_back(Event::Exited { unit: id, ending, leftovers, terminal, why });
        self.look_after_sweep();
    }

    pub(super) fn lives(&self) -> bool {
        let slot =
            |slot: &Slot| slot.main.is_some() || slot.left.is_some() || slot.stop_command.is_some();
        self.slots.iter().any(slot) || self.strays.iter().any(Option::is_some)
    }

    /// Whether any unit has a process.
    pub(super) fn any_main(&self) -> bool {
        self.slots.iter().any(|slot| slot.main.is_some())
    }

    fn look_after_sweep(&mut self) {
        if self.sweeping && !self.lives() {
            self.sweeping = false;
            self.events.push_back(Event::NothingLeft);
        }
    }

    /// Somebody with the power to do so kills the main processes.
    pub(super) fn kill_all(&mut self) {
        for unit in 0..self.slots.len() {
            self.send(unit, Signal::KILL);
        }
    }

    /// Whether, at the end, something lives that was never killed, or only just now and by
    /// no means in vain. Halt units may be cut short; trc ends what they leave on its way out.
    pub(super) fn outlived(&self, patience: Tick) -> bool {
        let spared = |killed: Option<Tick>| killed.is_none_or(|at| self.now < at + patience);
        let slots = self.plan.units.iter().zip(&self.slots);
        let units = slots.filter(|(unit, _)| unit.stage != Stage::Halt).any(|(_, slot)| {
            slot.main.is_some_and(|main| spared(main.killed))
                || slot.left.is_some_and(|left| spared(left.killed))
        });
        units || self.strays.iter().flatten().any(|stray| spared(stray.killed))
    }

    /// A command that was told to end and stopped before that: nothing but CONT helps it.
    pub(super) fn waits_for_cont(&self) -> bool {
        self.slots
            .iter()
            .filter_map(|slot| slot.main)
            .any(|main| main.stopped && main.pending.is_some_and(|signal| signal != Signal::STOP))
    }
}

/// Somebody, each with a user of their own.
fn asker(number: usize) -> Asker {
    let uid = u32::try_from(number + 1).unwrap_or(u32::MAX);
    Asker { pid: 0, uid, user: None, command: None, unit: None }
}
