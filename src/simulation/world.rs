//! Simulates the kernel and people: everything that they do in a life according to its plan.

use std::collections::VecDeque;
use std::rc::Rc;

use nix::errno::Errno;

use super::build::{self, Built};
use super::plan::{Child, Generation, Moment, Plan, PreRuns, Reloads, Stray, Tells, ms};
use super::random::Random;
use crate::config::Stage;
use crate::engine::{Asker, Ending, Event, Left, Notice, Purpose, Sender, SpawnStage, Tick};
use crate::graph::UnitId;
use crate::signal::Signal;

/// A live main process.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
pub(super) struct Process {
    pub pid: i32,
    /// Whether it is the process of the unit's `pre_start`.
    pub pre: bool,
    /// If it is a daemon that the process before it has left: when that exited.
    pub behind: Option<Tick>,
    /// Whether trc knows that it is the main process, if the unit has a `pid_file`.
    pub known: bool,
    /// Whether it has executed its command.
    pub executed: bool,
    /// Whether it is suspended, and the signal that waits for SIGCONT.
    pub stopped: bool,
    pub pending: Option<Signal>,
    /// It was asked to end.
    pub told: bool,
    pub killed: Option<Tick>,
}

/// Any other live process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Other {
    /// The main process that it belongs to, or else its own pid.
    pub of: i32,
    pub stray: Stray,
    /// It was asked to end.
    pub told: bool,
    pub killed: Option<Tick>,
}

/// The processes of a unit, as the kernel knows them.
#[derive(Clone, Default, Debug)]
pub(super) struct Slot {
    /// The number of forks that have failed for the next process.
    pub forks: u32,
    /// The number of attempts that could not be made.
    pub unmade: u32,
    /// The number of processes so far.
    pub runs: u32,
    /// The time at which the current process was executed, an external unit was first probed, or a
    /// test began.
    pub since: Option<Tick>,
    /// The attempts under way: for readiness or of a test, and for health.
    pub tries: [Option<u32>; 2],
    pub main: Option<Process>,
    pub left: Option<Other>,
    /// The process that its stop command is for.
    pub stop_command: Option<i32>,
    /// The command that makes it reload.
    pub reload_command: Option<u32>,
    /// Its `post_stop`.
    pub post_stop: Option<u32>,
    /// The time in which it is not ready because it reloads.
    pub unready: Option<(Tick, Option<Tick>)>,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Executes(usize, i32),
    FailsToStart(usize, i32, SpawnStage, Option<Errno>),
    Tells(usize, i32),
    Pauses(usize, i32),
    Dies(usize, i32, Ending),
    LeftDies(usize, i32),
    StopCommandEnds(usize, i32, bool),
    ReloadCommandEnds(usize, u32, bool),
    PostStopEnds(usize, u32, bool, bool),
    BeginsAnew(usize, i32, Reloads),
    Probed(usize, Purpose, u32),
    Tried(usize, u32, bool),
    IsReady(usize, i32),
    IsAlive(usize, i32),
    Says(usize, i32),
    StrayDies(usize),
    Outside(usize),
    OomKills,
    Asks(usize),
    FallsDue(usize),
    Cancels(usize),
    ShutsDown(Option<u8>),
    Reloads,
}

/// Everything except trc.
pub(super) struct World<'a> {
    pub plan: &'a Plan,
    luck: Random,
    pub now: Tick,
    /// The events that trc has not seen yet.
    pub events: VecDeque<Event>,
    happenings: Vec<(Tick, u64, Happening)>,
    pub slots: Vec<Slot>,
    pub strays: Vec<Option<Other>>,
    pub sweeping: bool,
    /// Whether a process of a unit got SIGKILL without having been asked to exit.
    pub untold: bool,
    /// Whether trc has looked for zombies.
    pub looked: bool,
    pub pids: i32,
    pub numbers: u32,
    pub built: Rc<Built>,
    /// The graph that is to take over.
    pub next: Option<Rc<Built>>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, built: Rc<Built>) -> Self {
        Self::with(plan, built, Random::new(plan.luck))
    }

    /// Creates a world whose races are decided by this.
    pub(super) fn with(plan: &'a Plan, built: Rc<Built>, luck: Random) -> Self {
        let mut world = Self {
            plan,
            luck,
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
        for (time, unit) in &plan.dues {
            world.later(*time, Happening::FallsDue(*unit));
        }
        for (at, (time, _)) in plan.cancels.iter().enumerate() {
            world.later(*time, Happening::Cancels(at));
        }
        if let Some((at, status)) = plan.shutdown {
            world.later(at, Happening::ShutsDown(status));
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

    /// Returns the time at which the next thing happens.
    pub(super) fn next(&self) -> Option<Tick> {
        self.happenings.iter().map(|(at, ..)| *at).min()
    }

    /// Lets time pass while trc does not run. The world outside goes on; if trc alone is paused, so
    /// does the container. By trc's clock, everything there happens that much sooner.
    pub(super) fn goes_on(&mut self, by: Tick, alone: bool) {
        for (at, _, what) in &mut self.happenings {
            if alone || matches!(what, Happening::Outside(_)) {
                *at = at.saturating_sub(by);
            }
        }
    }

    /// Lets at least one of the things happen that are due.
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
            if self.luck.is_plain() || self.coin() {
                break;
            }
        }
    }

    /// Returns the behavior of a unit's current process.
    pub(super) fn child(&self, unit: usize) -> &'a Child {
        let (plan, runs) = (&self.plan.units[unit], self.slots[unit].runs);
        let turn = usize::try_from(runs.saturating_sub(1)).unwrap_or(usize::MAX);
        let told = plan.lives.get(turn).or(plan.lives.last());
        let again = plan.again.as_ref().filter(|_| runs > 1);
        told.or(again).unwrap_or(&plan.child)
    }

    pub(super) fn id(&self, unit: usize) -> UnitId {
        self.built.id(unit).expect("a unit that runs is in the graph")
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
                // The process group exists as long as the main process does.
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
            Happening::ReloadCommandEnds(unit, number, succeeded) => {
                let command = &mut self.slots[unit].reload_command;
                if command.take_if(|command| *command == number).is_some() {
                    let (unit, why) = (self.id(unit), None);
                    self.events.push_back(Event::ReloadCommandEnded { unit, succeeded, why });
                }
            }
            Happening::PostStopEnds(unit, number, succeeded, left) => {
                let command = &mut self.slots[unit].post_stop;
                if command.take_if(|command| *command == number).is_some() {
                    let (unit, why) = (self.id(unit), None);
                    self.events.push_back(Event::PostStopEnded { unit, succeeded, left, why });
                }
            }
            Happening::BeginsAnew(unit, pid, reloads) => self.begins_anew(unit, pid, reloads),
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
            Happening::FallsDue(unit) => {
                if let Some(unit) = self.built.id(unit) {
                    self.events.push_back(Event::Due { unit });
                }
            }
            Happening::Cancels(at) => {
                let (job, asker) = (self.plan.cancels[at].1, asker(at));
                self.events.push_back(Event::Cancel { job, asker });
            }
            Happening::ShutsDown(exit) => {
                self.events.push_back(Event::Shutdown { exit, asker: asker(0) });
            }
            Happening::Reloads => {
                let asker = asker(self.plan.requests.len());
                self.events.push_back(Event::Reload { asker });
            }
            Happening::OomKills => self.events.push_back(Event::OomKilled),
            Happening::Outside(at) => {
                let told = &self.plan.signals[at];
                self.signal(told.signal, told.outside, None);
            }
        }
    }

    /// Reloads the configuration, with the ids that the new graph may reuse. Returns whether there is
    /// a graph.
    pub(super) fn reads_anew(&mut self, spare: &[UnitId]) -> bool {
        let next = build::graph(self.plan, Generation::Third, Some((&self.built, spare)));
        self.next = next.map(Rc::new);
        self.next.is_some()
    }

    /// Sends trc a signal.
    pub(super) fn signal(&mut self, signal: Signal, outside: bool, unit: Option<UnitId>) {
        let asker = Asker { pid: 0, uid: 0, user: None, command: None, unit };
        let sender = Sender { asker, outside };
        self.events.push_back(Event::Signal { signal, sender });
    }

    fn tells(&mut self, unit: usize) {
        if let Some(Tells { signal, known, .. }) = self.child(unit).tells {
            let id = self.id(unit);
            // trc may take a sender that has already exited for somebody from outside.
            let outside = !known && self.coin();
            self.signal(signal, outside, known.then_some(id));
        }
    }

    pub(super) fn executes(&mut self, unit: usize, pid: i32) {
        // A process that got SIGKILL does nothing more.
        let Some(main) = self.main(unit, pid).filter(|main| main.killed.is_none()) else { return };
        main.executed = true;
        (self.slots[unit].since, self.slots[unit].unready) = (Some(self.now), None);
        let child = self.child(unit);
        let tells_first = child.tells.is_some_and(|tells| tells.moment == Moment::First);
        // trc may see signals before it sees that the command was executed.
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
            // A process that appears only now was started by one that has been asked to exit.
            let told = self.main(unit, pid).is_some_and(|main| main.told);
            self.slots[unit].left = Some(Other { of: pid, stray: left, told, killed: None });
            if let Some(after) = left.ends {
                self.later(after, Happening::LeftDies(unit, pid));
            }
        }
    }

    /// Lets a main process exit. Its last act comes before its exit.
    fn dies(&mut self, unit: usize, pid: i32, ending: Ending) {
        let Some(main) = self.main(unit, pid).copied() else { return };
        if main.stopped && ending != Ending::Signal(Signal::KILL) {
            // It cannot exit until it is continued.
            if let Some(main) = self.main(unit, pid) {
                main.pending.get_or_insert(Signal::STOP);
            }
            return;
        }
        if self.goes_behind(unit, main, ending) {
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
        if !main.executed && !main.pre {
            // trc learns from the end of the start that the start is over.
            self.events.push_back(Event::Executed { unit: id });
        }
        let by_key = matches!(ending, Ending::Signal(Signal::INT | Signal::QUIT));
        // A signal from a key is such an exit, too.
        let own = match plan.pre_start.map(|hook| hook.runs).filter(|_| main.pre) {
            Some(PreRuns::Ends(_, ending)) => Some(ending),
            Some(PreRuns::NotStarted(..) | PreRuns::Hangs) => None,
            None => child.end.map(|(_, ending)| ending),
        };
        // In a story, it is not.
        let holds = self.plan.terminal || own == Some(ending) && !self.luck.is_plain();
        let terminal = by_key && plan.in_turn() && holds;
        let left = self.slots[unit].left.filter(|left| left.of == pid);
        if let Some(after) = left.and_then(|left| left.stray.follows) {
            self.later(after, Happening::LeftDies(unit, pid));
        }
        let leftovers = match left {
            None => Left::Nothing,
            // Or it has not created its session yet.
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

    /// Returns whether any unit has a process.
    pub(super) fn any_main(&self) -> bool {
        self.slots.iter().any(|slot| slot.main.is_some() || slot.post_stop.is_some())
    }

    fn look_after_sweep(&mut self) {
        if self.sweeping && !self.lives() {
            self.sweeping = false;
            self.events.push_back(Event::NothingLeft);
        }
    }

    /// Kills the main processes, as somebody with the power to do so would.
    pub(super) fn kill_all(&mut self) {
        for unit in 0..self.slots.len() {
            self.send(unit, Signal::KILL);
        }
    }

    /// Returns whether a process is alive at the end that never got SIGKILL, or got it only just
    /// now and can die of it. Halt units may be cut short: trc kills their leftovers when it exits.
    pub(super) fn outlived(&self, patience: Tick) -> bool {
        let spared = |killed: Option<Tick>| killed.is_none_or(|at| self.now < at + patience);
        let slots = self.plan.units.iter().zip(&self.slots);
        let units = slots.filter(|(unit, _)| unit.stage != Stage::Halt).any(|(_, slot)| {
            slot.main.is_some_and(|main| spared(main.killed))
                || slot.left.is_some_and(|left| spared(left.killed))
        });
        units || self.strays.iter().flatten().any(|stray| spared(stray.killed))
    }

    /// Returns whether a process was suspended before it was asked to exit, so that only SIGCONT
    /// lets it exit.
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
