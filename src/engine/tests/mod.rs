//! Tests of whole runs in virtual time.

mod autostart;
mod exit;
mod failure;
mod hooks;
mod leftovers;
mod own_reload;
mod phases;
mod pid_file;
mod readiness;
mod reload;
mod request;
mod restart;
mod schedule;
mod stop;
mod testing;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;

use super::*;
use crate::config::{
    After, Command, Condition, Config, Exit, Form, Log, LogFormat, OnFailure, Origin, Placed,
    Probe, Shutdown, SignalRule, Stop, Unit, WaitPolicy,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Returns a declared unit `STAGE.NAME`, which is never really started.
fn unit(id: &str) -> Unit {
    let (stage, name) = id.split_once('.').unwrap();
    let stage = *Stage::ALL.iter().find(|known| known.name() == stage).unwrap();
    Unit::new(stage, name, Origin::Default, Command::Exec(vec![]))
}

fn after(mut unit: Unit, other: &str, condition: Option<Condition>) -> Unit {
    let name = Placed { value: other.to_owned(), origin: Origin::Default };
    unit.after.push(After { unit: name, condition });
    unit
}

/// A process of root.
fn asker(pid: i32) -> Asker {
    Asker { pid, uid: 0, user: None, command: None, unit: None }
}

fn flag(id: &str) -> Unit {
    Unit { form: Form::Flag, command: Command::Script("".into()), ..unit(id) }
}

fn config(wait: WaitPolicy, units: Vec<Unit>) -> Config {
    Config {
        wait,
        shell: None,
        shutdown: Shutdown::default(),
        log: Log {
            level: log::LevelFilter::Info,
            asked: false,
            format: LogFormat::Trc,
            to: crate::config::LogTo::Both,
            output: None,
            termination: crate::config::Termination::default(),
            syslog: None,
        },
        control: crate::config::Control::default(),
        env: BTreeMap::new(),
        file_env: crate::config::FileEnv::No,
        signals: BTreeMap::new(),
        exit: Exit::default(),
        xtrace: false,
        work_dir: "/etc".into(),
        units,
        rest: vec![],
        testing: None,
        remarks: vec![],
        left_out: BTreeMap::new(),
    }
}

/// The fate of a unit's command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commands {
    Executed,
    Missing,
    /// The test decides when it is executed.
    Delayed,
}

/// A run in which the test plays the kernel.
struct World {
    engine: Engine,
    now: Tick,
    pids: BTreeMap<usize, i32>,
    /// The signals sent, by unit. SIGKILL and the stop signal terminate nothing by themselves.
    sent: Vec<(String, Signal)>,
    /// The units whose reload commands were started.
    reload_commands: Vec<String>,
    /// The units whose stop commands or reload commands were killed.
    killed_commands: Vec<String>,
    /// The signals sent to the processes of a unit that had not got the stop signal.
    rest: Vec<(String, Told)>,
    /// The units that have left processes in sessions of their own when trc looks for them.
    escaped: Vec<UnitId>,
    /// The other targets of stop signals.
    told: Vec<Target>,
    /// The units whose stop commands were run.
    stop_commands: Vec<UnitId>,
    /// The units whose `post_stop` was run, with what it sees.
    post_stops: Vec<(String, u8, EndReason)>,
    facts: Vec<Fact>,
    swept: Vec<Signal>,
    started: Vec<String>,
    end: Option<u8>,
    /// Whether a sweep finds nothing.
    tidy: bool,
    /// The fate of commands from now on.
    commands: Commands,
    /// Whether the boot scripts leave an invalid command line.
    unsettled: bool,
    /// The number of next forks that fail because there are too many processes.
    scarce: u32,
    /// The units at whose `pid_file` trc has looked; the test answers.
    looks: Vec<String>,
    /// The attempts of probes that are under way.
    tries: Vec<(UnitId, Purpose)>,
    /// The attempt of a test that is under way.
    trial: Option<UnitId>,
    /// Whether each next search finds zombies.
    zombies: Vec<bool>,
    /// Whether each next search finds orphans and sessions. The last entry is repeated.
    remains: Vec<(bool, bool)>,
}

impl World {
    fn new(config: &Config) -> Self {
        let graph = Graph::build(config).unwrap();
        let mut world = Self {
            engine: Engine::new(Rc::new(graph), 0),
            now: Duration::ZERO,
            pids: BTreeMap::new(),
            sent: vec![],
            reload_commands: vec![],
            killed_commands: vec![],
            rest: vec![],
            escaped: vec![],
            told: vec![],
            stop_commands: vec![],
            post_stops: vec![],
            facts: vec![],
            swept: vec![],
            started: vec![],
            end: None,
            tidy: true,
            commands: Commands::Executed,
            unsettled: false,
            scarce: 0,
            looks: vec![],
            tries: vec![],
            trial: None,
            zombies: vec![],
            remains: vec![(false, false)],
        };
        world.feed(Event::Begin);
        world
    }

    fn of(wait: WaitPolicy, units: Vec<Unit>) -> Self {
        Self::new(&config(wait, units))
    }

    fn id(&self, name: &str) -> UnitId {
        self.engine
            .graph()
            .ids()
            .find(|id| self.engine.graph().node(*id).unit.id() == name)
            .unwrap()
    }

    fn name(&self, id: UnitId) -> String {
        self.engine.graph().node(id).unit.id()
    }

    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = vec![];
            self.engine.step(self.now, event, &mut actions);
            for action in actions {
                match action {
                    Action::Spawn(unit) if self.scarce > 0 => {
                        self.scarce -= 1;
                        let (stage, errno) = (SpawnStage::Fork, Some(Errno::EAGAIN));
                        events.push_back(Event::SpawnFailed { unit, stage, errno, why: None });
                    }
                    Action::Spawn(unit) => {
                        let pid = 100 + i32::try_from(self.started.len()).unwrap();
                        self.started.push(self.name(unit));
                        self.pids.insert(unit.0, pid);
                        events.push_back(Event::Forked { unit, pid });
                        match self.commands {
                            Commands::Executed => events.push_back(Event::Executed { unit }),
                            Commands::Missing => {
                                let (stage, errno) = (SpawnStage::Execute, Some(Errno::ENOENT));
                                events.push_back(Event::SpawnFailed {
                                    unit,
                                    stage,
                                    errno,
                                    why: None,
                                });
                            }
                            Commands::Delayed => {}
                        }
                    }
                    // The test decides when it exits.
                    Action::PreStart(unit) => {
                        let pid = 500 + i32::try_from(self.started.len()).unwrap();
                        self.started.push(format!("{}'s pre_start", self.name(unit)));
                        self.pids.insert(unit.0, pid);
                        events.push_back(Event::Forked { unit, pid });
                    }
                    Action::PostStop(id, status, reason) => {
                        self.post_stops.push((self.name(id), status, reason));
                    }
                    Action::Signal(Target::Rest(id, told), signal)
                        if self.pids.contains_key(&id.0) =>
                    {
                        if signal != Signal::CONT {
                            self.rest.push((self.name(id), told));
                        }
                    }
                    Action::Signal(
                        Target::Process(id)
                        | Target::Group(id)
                        | Target::Members(id)
                        | Target::Rest(id, _)
                        | Target::All(id),
                        signal,
                    ) => {
                        self.sent.push((self.name(id), signal));
                        if let Action::Signal(rest @ Target::Rest(..), Signal::TERM) = action {
                            self.told.push(rest);
                        }
                    }
                    Action::Sweep(signal) => {
                        self.swept.push(signal);
                        if self.tidy {
                            events.push_back(Event::NothingLeft);
                        }
                    }
                    Action::Probe(unit, purpose) => {
                        let one = (unit, purpose);
                        assert!(!self.tries.contains(&one), "one try at a time: {one:?}");
                        self.tries.push(one);
                    }
                    Action::StopProbes(unit) => {
                        self.tries.retain(|(other, _)| *other != unit);
                        self.trial = self.trial.filter(|other| *other != unit);
                    }
                    Action::Try(unit, _) => {
                        assert_eq!(self.trial, None, "one test at a time");
                        self.trial = Some(unit);
                    }
                    Action::Inspect => {
                        let found = !self.zombies.is_empty() && self.zombies.remove(0);
                        events.push_back(Event::Inspected {
                            zombies: found,
                            escaped: self.escaped.clone(),
                        });
                    }
                    Action::Remains => {
                        let (orphans, sessions) = self.remains[0];
                        if self.remains.len() > 1 {
                            self.remains.remove(0);
                        }
                        events.push_back(Event::Remains { orphans, sessions, late: vec![] });
                    }
                    Action::Settle if self.unsettled => events.push_back(Event::Unsettled),
                    Action::Settle => events.push_back(Event::Settled { words: None }),
                    Action::Tell(fact) => self.facts.push(fact),
                    Action::End { status } => {
                        assert_eq!(self.end, None, "a run ends once");
                        self.end = Some(status);
                    }
                    Action::KillStopCommand(id)
                    | Action::KillReloadCommand(id)
                    | Action::KillPostStop(id) => {
                        self.killed_commands.push(self.name(id));
                    }
                    Action::Seek(id) => self.looks.push(self.name(id)),
                    Action::StopCommand(id) => self.stop_commands.push(id),
                    Action::ReloadCommand(id) => self.reload_commands.push(self.name(id)),
                    Action::Reopen | Action::Reload(_) | Action::SweepOver | Action::TakeOver => {}
                }
            }
        }
    }

    fn exit(&mut self, name: &str, code: u8) {
        self.die(name, Ending::Code(code), Left::Nothing);
    }

    fn die(&mut self, name: &str, ending: Ending, leftovers: Left) {
        let unit = self.id(name);
        assert!(self.pids.remove(&unit.0).is_some(), "{name} is not running");
        self.feed(Event::Exited { unit, ending, leftovers, terminal: false, why: None });
    }

    fn signal(&mut self, signal: Signal, outside: bool) {
        let sender = Sender { asker: asker(0), outside };
        self.feed(Event::Signal { signal, sender });
    }

    /// Lets time pass, and wakes the engine whenever it has asked for it.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1000 {
            let due = self.engine.next_deadline().filter(|due| *due <= until);
            self.now = due.unwrap_or(until).max(self.now);
            self.feed(Event::Woken);
            if due.is_none() {
                return;
            }
        }
        panic!("the engine wants to be woken again and again");
    }

    fn running(&self) -> Vec<String> {
        self.pids.keys().map(|id| self.name(UnitId(*id))).collect()
    }

    fn sent(&mut self) -> Vec<(String, Signal)> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .filter(|(_, signal)| *signal != Signal::CONT)
            .collect()
    }
}

fn hook(within: Option<Duration>) -> crate::config::Hook {
    crate::config::Hook { exec: Vec::new(), within }
}

fn to(name: &str, signal: Signal) -> (String, Signal) {
    (name.to_owned(), signal)
}

#[test]
fn boot_units_run_one_by_one_before_all_others() {
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("async.a"), unit("boot.b"), unit("boot.c")]);
    assert_eq!(world.running(), ["boot.b"]);
    world.exit("boot.b", 0);
    assert_eq!(world.running(), ["boot.c"]);
    world.exit("boot.c", 0);
    assert_eq!(world.running(), ["async.a"]);
}

#[test]
fn a_failed_boot_unit_ends_the_run_without_halt_units() {
    let mut world =
        World::of(WaitPolicy::Forever, vec![unit("boot.b"), unit("async.a"), unit("halt.h")]);
    world.exit("boot.b", 9);
    assert_eq!((world.end, world.started), (Some(9), vec!["boot.b".to_owned()]));
}

fn always(unit: Unit) -> Unit {
    Unit { always: true, ..unit }
}

#[test]
fn a_halt_unit_that_runs_always_does_so_after_a_failed_boot_and_changes_no_failure() {
    for (halt, code) in [(unit("halt.h"), 0), (unit("halt.h"), 6), (flag("halt.H1"), 0)] {
        let name = halt.id();
        let units =
            vec![unit("boot.b"), unit("async.a"), unit("halt.g"), always(halt), unit("halt.i")];
        let mut world = World::of(WaitPolicy::Forever, units);
        world.exit("boot.b", 9);
        assert_eq!((world.running(), world.end), (vec![name.clone()], None));
        assert_eq!(world.engine.outcome(), 9);
        world.exit(&name, code);
        assert_eq!(world.end, Some(9), "{name} {code}");
        assert_eq!(world.started, ["boot.b".to_owned(), name]);
    }
}

#[test]
fn a_halt_unit_that_runs_always_waits_for_none_that_boot_has_kept_from_running() {
    let after_halt = after(always(unit("halt.h")), "halt.g", None);
    let after_service = after(always(unit("halt.i")), "async.a", None);
    let units = vec![unit("boot.b"), unit("async.a"), unit("halt.g"), after_halt, after_service];
    let mut world = World::of(WaitPolicy::Any, units);
    world.exit("boot.b", 9);
    world.exit("halt.h", 0);
    world.exit("halt.i", 0);
    assert_eq!((world.end, world.started.len()), (Some(9), 3));
}

#[test]
fn a_halt_unit_that_runs_always_does_so_after_a_signal_during_boot_within_the_budget() {
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("boot.b"), unit("sync.f"), always(unit("halt.h"))]);
    world.signal(Signal::TERM, true);
    world.sent();
    world.die("boot.b", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.running(), ["halt.h"]);
    world.pass(SECOND * 9);
    assert_eq!((world.sent(), world.end), (vec![to("halt.h", Signal::KILL)], Some(143)));
}

#[test]
fn sync_units_run_one_by_one_beside_async_ones() {
    let mut world =
        World::of(WaitPolicy::All, vec![unit("sync.a"), unit("sync.b"), unit("async.c")]);
    assert_eq!(world.running(), ["async.c", "sync.a"]);
    world.exit("sync.a", 1);
    assert_eq!(world.running(), ["async.c", "sync.b"]);
}

#[test]
fn a_sync_unit_that_waits_in_vain_lets_no_later_one_start_beside_an_earlier_one() {
    let g = after(unit("sync.g"), "async.a", Some(Condition::Failed));
    let units = vec![unit("async.a"), unit("sync.f"), g, unit("sync.h")];
    let mut world = World::of(WaitPolicy::All, units);
    world.exit("async.a", 0);
    assert_eq!(world.running(), ["sync.f"]);
    world.exit("sync.f", 0);
    assert_eq!(world.running(), ["sync.h"]);
}

#[test]
fn a_condition_starts_what_waits_for_it() {
    for (condition, code, starts) in [
        (Condition::Exited, 0, true),
        (Condition::Exited, 3, true),
        (Condition::Succeeded, 0, true),
        (Condition::Succeeded, 3, false),
        (Condition::Failed, 3, true),
        (Condition::Failed, 0, false),
    ] {
        let waiter = after(unit("async.w"), "async.a", Some(condition));
        let mut world = World::of(WaitPolicy::Forever, vec![waiter, unit("async.a")]);
        assert_eq!(world.running(), ["async.a"]);
        world.exit("async.a", code);
        assert_eq!(!world.running().is_empty(), starts, "{condition:?} after {code}");
    }
}

#[test]
fn a_condition_that_can_not_come_true_fails_what_waits_with_the_status_that_caused_it() {
    let b = after(unit("async.b"), "async.a", Some(Condition::Succeeded));
    let c = after(unit("async.c"), "async.b", None);
    let mut world = World::of(WaitPolicy::All, vec![unit("async.a"), b, c]);
    world.exit("async.a", 7);
    assert_eq!(world.end, Some(7));
    let chains: Vec<Vec<String>> = world
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Blocked { chain, .. } => Some(chain.iter().map(|id| world.name(*id)).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(chains, [vec!["async.b", "async.a"], vec!["async.c", "async.b", "async.a"]]);
}

#[test]
fn what_waits_in_vain_is_told_before_the_stop_that_follows() {
    let b = after(unit("async.b"), "async.a", Some(Condition::Succeeded));
    let b = Unit { on_failure: OnFailure::Stop, ..b };
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.a"), b]);
    world.exit("async.a", 7);
    let place = |wanted: fn(&Fact) -> bool| world.facts.iter().position(wanted);
    let told = place(|fact| matches!(fact, Fact::Blocked { .. }));
    assert!(told.is_some() && told < place(|fact| matches!(fact, Fact::Stopping)));
}

#[test]
fn a_fork_is_not_tried_again_while_what_it_waited_for_is_gone() {
    let db = readiness::with_ready(
        Unit { max_runtime: Some(SECOND), ..unit("async.db") },
        Placed { value: Probe::Notify, origin: Origin::Default },
    );
    let app = after(unit("async.app"), "async.db", None);
    let mut world = World::of(WaitPolicy::Forever, vec![db, app]);
    world.scarce = limits::FORK_RETRIES;
    readiness::notified(&mut world, "async.db", Notice::Ready);
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    world.scarce = 0;
    world.pass(SECOND * 4);
    assert_eq!(world.running(), ["async.db"]);
}

#[test]
fn a_fork_that_is_due_just_when_the_run_stops_is_not_tried_again() {
    let late = after(unit("async.late"), "async.a", Some(Condition::Exited));
    let oneshot = Unit { oneshot: Some(true), ..unit("async.a") };
    let mut world = World::of(WaitPolicy::Any, vec![oneshot, late, unit("sync.f")]);
    world.scarce = 1;
    world.exit("async.a", 0);
    world.now += limits::FORK_BACKOFF;
    world.exit("sync.f", 0);
    assert_eq!((world.started.len(), world.end), (2, Some(0)));
}

#[test]
fn nothing_is_started_any_more_when_what_waited_in_vain_ends_the_run() {
    let f = after(unit("sync.f"), "async.a", Some(Condition::Failed));
    let g = after(unit("sync.g"), "async.a", Some(Condition::Exited));
    let mut world = World::of(WaitPolicy::Any, vec![f, g, unit("async.a")]);
    world.exit("async.a", 0);
    assert_eq!((world.started, world.end), (vec!["async.a".to_owned()], Some(1)));
}

#[test]
fn the_policy_any_waits_for_the_foreground() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), unit("sync.f")]);
    world.exit("async.a", 4);
    assert_eq!(world.end, None);
    world.exit("sync.f", 0);
    assert_eq!(world.end, Some(4), "the foreground's 0 gives way to a failure in the background");
}

#[test]
fn the_end_of_a_background_unit_under_any_is_143_or_its_own_failure() {
    for (unit, code, status) in [
        (unit("async.a"), 0, 143),
        (unit("async.a"), 4, 4),
        (flag("async.D1"), 4, 143),
        (flag("async.D1"), 0, 143),
    ] {
        let name = unit.id();
        let mut world = World::of(WaitPolicy::Any, vec![unit]);
        world.exit(&name, code);
        assert_eq!(world.end, Some(status), "{name} {code}");
    }
}

#[test]
fn all_ends_with_the_last_declared_background_failure() {
    for (codes, status) in [([0, 0, 0], 0), ([5, 0, 0], 5), ([5, 6, 7], 6), ([0, 0, 7], 7)] {
        let units = vec![unit("async.a"), unit("async.b"), unit("sync.f")];
        let mut world = World::of(WaitPolicy::All, units);
        for (name, code) in
            ["async.b", "async.a", "sync.f"].iter().zip([codes[1], codes[0], codes[2]])
        {
            assert_eq!(world.end, None);
            world.exit(name, code);
        }
        assert_eq!(world.end, Some(status), "{codes:?}");
    }
}

#[test]
fn err_ends_with_the_first_failure() {
    let mut world =
        World::of(WaitPolicy::Err, vec![unit("async.a"), unit("async.b"), unit("sync.f")]);
    world.exit("async.a", 0);
    assert_eq!(world.end, None);
    world.exit("async.b", 5);
    assert_eq!(world.sent(), [to("sync.f", Signal::TERM)]);
    world.die("sync.f", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.end, Some(5));
}

#[test]
fn with_nothing_to_wait_for_a_run_ends_at_once() {
    for (wait, end) in [
        (WaitPolicy::Any, Some(0)),
        (WaitPolicy::All, Some(0)),
        (WaitPolicy::Err, Some(0)),
        (WaitPolicy::Forever, None),
    ] {
        assert_eq!(World::of(wait, vec![]).end, end, "{wait:?}");
    }
}

#[test]
fn a_one_shots_success_stops_nothing_and_its_failure_does() {
    let oneshot = || Unit { oneshot: Some(true), ..unit("async.o") };
    for (code, ends) in [(0, false), (1, true)] {
        let mut world = World::of(WaitPolicy::Any, vec![oneshot(), unit("async.a")]);
        world.exit("async.o", code);
        assert_eq!(!world.sent().is_empty(), ends, "{code}");
    }
}

#[test]
fn what_is_waited_for_to_succeed_is_a_one_shot() {
    let app = after(unit("async.app"), "async.migrate", Some(Condition::Succeeded));
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.migrate"), app]);
    world.exit("async.migrate", 0);
    assert_eq!(world.running(), ["async.app"]);
    assert_eq!(world.end, None);
}

#[test]
fn success_decides_what_failure_is() {
    for (success, code, status) in
        [(vec![1], 1, 0), (vec![1], 0, 1), (vec![0, 143], 143, 0), (vec![1], 3, 3)]
    {
        let service = Unit { success: Some(success.clone()), ..unit("sync.f") };
        let mut world = World::of(WaitPolicy::Any, vec![service]);
        world.exit("sync.f", code);
        assert_eq!(world.end, Some(status), "{success:?} {code}");
    }
}

#[test]
fn on_failure_overrides_the_policy() {
    let of = |on_failure| vec![Unit { on_failure, ..unit("async.a") }, unit("async.b")];
    let mut world = World::of(WaitPolicy::Forever, of(OnFailure::Stop));
    world.exit("async.a", 3);
    assert_eq!(world.sent(), [to("async.b", Signal::TERM)]);
    let mut world = World::of(WaitPolicy::Any, of(OnFailure::Ignore));
    world.exit("async.a", 3);
    assert_eq!(world.sent(), []);
}

#[test]
fn the_first_cause_to_stop_the_run_stands() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), unit("async.b")]);
    world.signal(Signal::USR1, false);
    world.exit("async.a", 3);
    world.signal(Signal::TERM, true);
    world.exit("async.b", 4);
    assert_eq!(world.end, Some(138));
}

#[test]
fn units_stop_in_the_reverse_order_of_their_dependencies() {
    let app = after(unit("async.app"), "async.db", None);
    let web = after(unit("async.web"), "async.app", None);
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("async.db"), app, web, unit("async.alone")]);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent(), [to("async.web", Signal::TERM), to("async.alone", Signal::TERM)]);
    world.exit("async.web", 0);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.exit("async.app", 0);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    world.exit("async.db", 0);
    world.exit("async.alone", 0);
    assert_eq!(world.end, Some(143));
}

#[test]
fn what_has_ended_passes_on_what_stands_on_it() {
    let migrate = after(unit("async.migrate"), "async.db", None);
    let app = after(unit("async.app"), "async.migrate", Some(Condition::Succeeded));
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.db"), migrate, app]);
    world.exit("async.migrate", 0);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.exit("async.app", 0);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
}

#[test]
fn a_unit_that_does_not_stop_in_time_is_killed() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), unit("async.b")]);
    world.exit("async.a", 0);
    assert_eq!(world.sent(), [to("async.b", Signal::TERM)]);
    world.pass(SECOND * 4);
    assert_eq!(world.sent(), []);
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("async.b", Signal::KILL)]);
    world.die("async.b", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!(world.end, Some(143));
}

#[test]
fn two_seconds_before_the_end_of_the_budget_everything_left_is_killed() {
    let slow = |name: &str| Unit {
        stop: Stop { timeout: Some(SECOND * 60), ..Stop::default() },
        ..unit(name)
    };
    let units = vec![slow("async.db"), after(slow("async.app"), "async.db", None), flag("halt.H1")];
    let mut config = config(WaitPolicy::Any, units);
    config.shutdown.timeout = Some(SECOND * 9);
    let mut world = World::new(&config);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.pass(SECOND * 7);
    assert_eq!(world.sent(), [to("async.db", Signal::KILL), to("async.app", Signal::KILL)]);
    world.die("async.db", Ending::Signal(Signal::KILL), Left::Nothing);
    world.die("async.app", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!(world.running(), ["halt.H1"], "the halt units have what remains");
    world.pass(SECOND * 2);
    assert_eq!((world.sent(), world.end), (vec![to("halt.H1", Signal::KILL)], Some(143)));
}

/// A regression: "could not be killed" was logged in the same second as the SIGKILL.
#[test]
fn what_was_overslept_counts_for_those_who_stop_the_container_and_for_nobody_else() {
    let slow =
        Unit { stop: Stop { timeout: Some(SECOND * 5), ..Stop::default() }, ..unit("async.a") };
    let mut config = config(WaitPolicy::Any, vec![slow]);
    config.shutdown.timeout = Some(SECOND * 9);
    for (outside, by, kill, end) in [
        (true, 0, 5, 7),
        // The stop has seven seconds, six of which have passed.
        (true, 6, 1, 3),
        // All of the time has passed, and the killed processes have to exit.
        (true, 26, 0, 1),
        (false, 26, 5, 7),
    ] {
        let mut world = World::new(&config);
        world.signal(Signal::TERM, outside);
        assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
        world.feed(Event::Overslept { by: SECOND * by });
        if kill > 0 {
            world.pass(MILLISECOND * (1000 * kill - 1));
            assert_eq!(world.sent(), [], "{outside} {by}");
            world.pass(MILLISECOND);
        }
        assert_eq!(world.sent(), [to("async.a", Signal::KILL)], "{outside} {by}");
        world.pass(MILLISECOND * (1000 * (end - kill) - 1));
        assert_eq!(world.end, None, "{outside} {by}");
        world.pass(MILLISECOND);
        assert_eq!(world.end, Some(143), "{outside} {by}");
    }
}

#[test]
fn in_a_hurry_orphans_are_killed_without_waiting_for_the_units() {
    for insist in [false, true] {
        let stop = Stop { timeout: Some(SECOND * 60), ..Stop::default() };
        let mut config = config(WaitPolicy::Any, vec![Unit { stop, ..unit("async.a") }]);
        config.shutdown.timeout = Some(SECOND * 9);
        let mut world = World::new(&config);
        world.tidy = false;
        world.signal(Signal::TERM, true);
        if insist {
            world.signal(Signal::TERM, true);
        } else {
            world.pass(SECOND * 7);
        }
        assert_eq!((world.swept.as_slice(), world.end), ([Signal::KILL].as_slice(), None));
        let why = world.facts.iter().find_map(|fact| match fact {
            Fact::Killing { insisted, .. } => Some(*insisted),
            _ => None,
        });
        assert_eq!(why, Some(insist.then_some(Signal::TERM)), "what is said of why");
        world.die("async.a", Ending::Signal(Signal::KILL), Left::Nothing);
        world.feed(Event::NothingLeft);
        assert_eq!(world.end, Some(143));
    }
}

#[test]
fn the_budget_grows_with_the_longest_chain_of_written_timeouts() {
    let slow = |name: &str, seconds: u32| Unit {
        stop: Stop { timeout: Some(SECOND * seconds), ..Stop::default() },
        ..unit(name)
    };
    for (seconds, budget) in [(2, 9), (3, 9), (10, 22)] {
        let units =
            vec![slow("async.a", seconds), after(slow("async.b", seconds), "async.a", None)];
        let graph = Graph::build(&config(WaitPolicy::Any, units)).unwrap();
        assert_eq!(graph.budget, SECOND * budget, "{seconds}");
    }
}

#[test]
fn a_second_outside_term_kills_at_once() {
    let app = after(unit("async.app"), "async.db", None);
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.db"), app]);
    world.signal(Signal::TERM, true);
    world.sent();
    world.signal(Signal::USR1, true);
    world.signal(Signal::TERM, false);
    assert_eq!(world.sent(), [], "neither another signal nor one from a unit is impatience");
    world.signal(Signal::INT, true);
    assert_eq!(world.sent(), [to("async.db", Signal::KILL), to("async.app", Signal::KILL)]);
    world.die("async.db", Ending::Signal(Signal::KILL), Left::Nothing);
    world.die("async.app", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!(world.end, Some(143));
}

#[test]
fn leftovers_stay_until_the_run_stops() {
    let mut world = World::of(WaitPolicy::All, vec![unit("async.a"), unit("async.b")]);
    world.die("async.a", Ending::Code(0), Left::Others);
    assert_eq!(world.sent(), []);
    world.exit("async.b", 0);
    assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
    world.pass(SECOND * 5);
    assert_eq!(world.sent(), [to("async.a", Signal::KILL)]);
    let unit = world.id("async.a");
    world.feed(Event::LeftoversGone { unit });
    assert_eq!(world.end, Some(0));
}

#[test]
fn what_remains_after_all_units_gets_term_then_kill() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("sync.f")]);
    world.tidy = false;
    world.exit("sync.f", 0);
    assert_eq!((world.swept.as_slice(), world.end), ([Signal::TERM].as_slice(), None));
    world.pass(SECOND * 5);
    assert_eq!(world.swept, [Signal::TERM, Signal::KILL]);
    world.feed(Event::NothingLeft);
    assert_eq!(world.end, Some(0));
}

#[test]
fn what_survives_kill_does_not_hold_up_the_end() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), unit("sync.f")]);
    world.exit("sync.f", 0);
    world.pass(SECOND * 5);
    world.pass(SECOND * 2);
    assert_eq!(world.end, Some(0));
    assert_eq!(world.engine.reason().unwrap().unkillable.len(), 1);
}

#[test]
fn halt_scripts_decide_the_status_and_declared_halt_units_only_spoil_a_0() {
    for (units, codes, status) in [
        (vec![flag("halt.H1")], vec![0], 0),
        (vec![flag("halt.H1"), flag("halt.H2")], vec![0, 6], 6),
        (vec![flag("halt.H1"), flag("halt.H2")], vec![6, 0], 0),
        (vec![unit("halt.h")], vec![0], 138),
        (vec![unit("halt.h")], vec![6], 138),
        (vec![flag("halt.H1"), unit("halt.h")], vec![0, 6], 6),
    ] {
        let names: Vec<String> = units.iter().map(Unit::id).collect();
        let mut world = World::of(WaitPolicy::Forever, units);
        world.signal(Signal::USR1, false);
        for (name, code) in names.iter().zip(&codes) {
            assert_eq!(world.running(), [name.as_str()]);
            world.exit(name, *code);
        }
        assert_eq!(world.end, Some(status), "{names:?} {codes:?}");
    }
}

#[test]
fn every_halt_unit_sees_the_runs_own_status_and_reason() {
    let units = vec![unit("sync.f"), flag("halt.H1"), unit("halt.h"), flag("halt.H2")];
    let mut world = World::of(WaitPolicy::Any, units);
    world.exit("sync.f", 5);
    for name in ["halt.H1", "halt.h", "halt.H2"] {
        assert_eq!(world.running(), [name]);
        assert_eq!(world.engine.outcome(), 5, "{name}");
        let reason = world.engine.outcome_reason().unwrap();
        assert_eq!((reason.cause, reason.last_word), (Cause::Ended(UnitId(0)), None), "{name}");
        world.exit(name, 0);
    }
    assert_eq!(world.end, Some(0), "the last script's status is trc's own");
}

#[test]
fn a_halt_cut_short_leaves_the_status_as_it_was() {
    for (policy, before, status) in [(WaitPolicy::All, 0, 143), (WaitPolicy::All, 5, 5)] {
        let mut world = World::of(policy, vec![unit("sync.f"), flag("halt.H1")]);
        world.exit("sync.f", before);
        world.signal(Signal::TERM, true);
        assert_eq!(world.sent(), [], "one TERM during halt starts the budget");
        world.pass(SECOND * 9);
        assert_eq!(world.sent(), [to("halt.H1", Signal::KILL)]);
        assert_eq!(world.end, Some(status));
    }
}

#[test]
fn a_halt_unit_that_ends_as_the_budget_does_was_not_cut_short() {
    let mut world = World::of(WaitPolicy::All, vec![unit("sync.f"), flag("halt.H1")]);
    world.exit("sync.f", 0);
    world.signal(Signal::TERM, true);
    world.now += SECOND * 9;
    world.exit("halt.H1", 0);
    assert_eq!((world.sent(), world.end), (vec![], Some(0)));
}

#[test]
fn halt_units_that_the_budget_leaves_no_time_for_are_cut_short_too() {
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("async.a"), unit("sync.f"), flag("halt.H1")]);
    world.exit("sync.f", 0);
    world.signal(Signal::TERM, true);
    world.pass(SECOND * 5);
    world.tidy = false;
    world.pass(SECOND * 2);
    world.pass(SECOND * 2);
    assert_eq!((world.running(), world.end), (vec!["async.a".to_owned()], Some(143)));
}

#[test]
fn no_fork_is_tried_again_when_the_budget_is_spent() {
    let mut config = config(WaitPolicy::All, vec![unit("halt.h")]);
    config.shutdown.timeout = Some(limits::FORK_BACKOFF);
    let mut engine = Engine::new(Rc::new(Graph::build(&config).unwrap()), 0);
    let unit = UnitId(0);
    let sender = Sender { asker: asker(0), outside: true };
    let mut actions = vec![];
    for event in [
        Event::Begin,
        Event::NothingLeft,
        Event::Signal { signal: Signal::TERM, sender },
        Event::SpawnFailed { unit, stage: SpawnStage::Fork, errno: Some(Errno::EAGAIN), why: None },
    ] {
        engine.step(Duration::ZERO, event, &mut actions);
    }
    actions.clear();
    engine.step(limits::FORK_BACKOFF, Event::Woken, &mut actions);
    let told = Action::Tell(Fact::CutShort { killed: None, not_run: vec![unit] });
    assert_eq!(actions, [told, Action::End { status: 143 }]);
}

#[test]
fn exit_maps_what_comes_out_of_it_all() {
    let mut config = config(WaitPolicy::Any, vec![unit("sync.f")]);
    config.exit.statuses.insert(138, 0);
    let mut world = World::new(&config);
    world.signal(Signal::USR1, false);
    world.exit("sync.f", 0);
    assert_eq!(world.end, Some(0));
}

#[test]
fn a_fork_that_fails_for_want_of_processes_is_tried_again_and_then_fails_the_unit() {
    let graph = Graph::build(&config(WaitPolicy::Any, vec![unit("sync.f")])).unwrap();
    let mut engine = Engine::new(Rc::new(graph), 0);
    let mut now = Duration::ZERO;
    let mut tries = 0;
    let mut event = Event::Begin;
    let end = loop {
        let mut actions = vec![];
        engine.step(now, event, &mut actions);
        if let Some(Action::End { status }) =
            actions.iter().find(|action| matches!(action, Action::End { .. }))
        {
            break *status;
        }
        if actions.iter().any(|action| matches!(action, Action::Sweep(_))) {
            event = Event::NothingLeft;
            continue;
        }
        event = if actions.contains(&Action::Spawn(UnitId(0))) {
            tries += 1;
            Event::SpawnFailed {
                unit: UnitId(0),
                stage: SpawnStage::Fork,
                errno: Some(Errno::EAGAIN),
                why: None,
            }
        } else {
            now = engine.next_deadline().expect("it waits for its next try");
            Event::Woken
        };
    };
    assert_eq!((end, tries), (126, 1 + limits::FORK_RETRIES));
}

#[test]
fn a_child_that_lacks_something_is_tried_again_when_others_may_have_given_theirs_back() {
    for (stage, errno) in [
        (SpawnStage::Streams, Errno::EMFILE),
        (SpawnStage::Identity, Errno::EAGAIN),
        (SpawnStage::Execute, Errno::EAGAIN),
        (SpawnStage::Execute, Errno::ENOMEM),
    ] {
        let graph = Graph::build(&config(WaitPolicy::Any, vec![unit("sync.f")])).unwrap();
        let mut engine = Engine::new(Rc::new(graph), 0);
        let unit = UnitId(0);
        let mut actions = vec![];
        for event in [
            Event::Begin,
            Event::Forked { unit, pid: 9 },
            Event::SpawnFailed { unit, stage, errno: Some(errno), why: None },
        ] {
            engine.step(Duration::ZERO, event, &mut actions);
        }
        let told = Action::Tell(Fact::Retrying { unit, errno });
        assert_eq!(actions.last(), Some(&told), "{stage:?} {errno}");
        actions.clear();
        engine.step(limits::FORK_BACKOFF, Event::Woken, &mut actions);
        assert_eq!(actions, [Action::Spawn(unit)], "{stage:?} {errno}");
    }
}

#[test]
fn a_command_that_can_not_be_started_has_the_shells_status_for_it() {
    for (stage, errno, status) in [
        (SpawnStage::Execute, Errno::ENOENT, 127),
        (SpawnStage::Execute, Errno::EACCES, 126),
        (SpawnStage::Execute, Errno::EMFILE, 126),
        (SpawnStage::Directory, Errno::ENOENT, 126),
    ] {
        let graph = Graph::build(&config(WaitPolicy::Any, vec![unit("sync.f")])).unwrap();
        let mut engine = Engine::new(Rc::new(graph), 0);
        let mut actions = vec![];
        for event in [
            Event::Begin,
            Event::Forked { unit: UnitId(0), pid: 9 },
            Event::SpawnFailed { unit: UnitId(0), stage, errno: Some(errno), why: None },
            Event::NothingLeft,
        ] {
            engine.step(Duration::ZERO, event, &mut actions);
        }
        assert_eq!(actions.last(), Some(&Action::End { status }), "{stage:?} {errno}");
    }
}

#[test]
fn a_signal_during_boot_stops_the_run_without_halt_units() {
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("boot.b"), unit("sync.f"), flag("halt.H1")]);
    world.signal(Signal::HUP, true);
    assert_eq!(world.sent(), [to("boot.b", Signal::TERM)]);
    world.die("boot.b", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!((world.end, world.started.len()), (Some(129), 1));
}

#[test]
fn a_foreground_unit_that_dies_of_the_terminals_signal_stops_the_run() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("sync.f"), unit("sync.g")]);
    let unit = world.id("sync.f");
    world.feed(Event::Exited {
        unit,
        ending: Ending::Signal(Signal::INT),
        leftovers: Left::Nothing,
        terminal: true,
        why: None,
    });
    world.sent();
    assert_eq!(world.end, Some(130));
}

#[test]
fn a_foreground_unit_that_dies_of_its_stop_signal_does_not_die_of_the_terminals() {
    let stop = Stop { signal: Some(Signal::INT), ..Stop::default() };
    let unit = Unit { stop, max_runtime: Some(SECOND), ..unit("sync.f") };
    let restart =
        crate::config::Restart { when: crate::config::When::Always, ..unit.restart.clone() };
    let mut world = World::of(WaitPolicy::Forever, vec![Unit { restart, ..unit }]);
    world.pass(SECOND);
    assert_eq!(world.sent(), [to("sync.f", Signal::INT)]);
    let unit = world.id("sync.f");
    let ending = Ending::Signal(Signal::INT);
    world.pids.clear();
    world.feed(Event::Exited { unit, ending, leftovers: Left::Nothing, terminal: true, why: None });
    world.pass(SECOND);
    assert_eq!(world.running(), ["sync.f"], "it is restarted");
}

#[test]
fn a_transparent_command_gets_every_signal_and_gives_its_own_status() {
    let command = Unit {
        form: Form::Trailing,
        command: Command::Words(vec!["x".into()]),
        ..unit("sync.cmd")
    };
    for wait in [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err, WaitPolicy::Forever] {
        let mut world = World::of(wait, vec![command.clone()]);
        for signal in [Signal::TERM, Signal::TERM, Signal::USR1, Signal::TSTP] {
            world.signal(signal, true);
        }
        let sent: Vec<Signal> = world.sent.iter().map(|(_, signal)| *signal).collect();
        assert_eq!(sent, [Signal::TERM, Signal::TERM, Signal::USR1, Signal::TSTP]);
        world.exit("sync.cmd", 42);
        assert_eq!((world.end, world.swept.len()), (Some(42), 0));
    }
}

#[test]
fn signals_for_a_transparent_command_are_held_until_it_is_executed() {
    let command = Unit {
        form: Form::Trailing,
        command: Command::Words(vec!["x".into()]),
        ..unit("sync.cmd")
    };
    let graph = Graph::build(&config(WaitPolicy::Any, vec![command])).unwrap();
    let mut engine = Engine::new(Rc::new(graph), 0);
    let mut actions = vec![];
    let unit = UnitId(0);
    let sender = Sender { asker: asker(0), outside: true };
    let mut step = |event| {
        actions.clear();
        engine.step(Duration::ZERO, event, &mut actions);
        actions.clone()
    };
    step(Event::Begin);
    step(Event::Forked { unit, pid: 9 });
    assert_eq!(step(Event::Signal { signal: Signal::TERM, sender }), []);
    assert_eq!(
        step(Event::Executed { unit }),
        [Action::Signal(Target::Process(unit), Signal::TERM)]
    );
}

#[test]
fn a_halt_unit_does_not_wait_for_what_never_ran() {
    for (condition, status) in
        [(Condition::Exited, 3), (Condition::Succeeded, 3), (Condition::Started, 3)]
    {
        let never = after(unit("async.x"), "async.a", Some(Condition::Exited));
        let halt = after(unit("halt.h"), "async.x", Some(condition));
        let mut world =
            World::of(WaitPolicy::Any, vec![unit("async.a"), never, unit("sync.f"), halt]);
        world.exit("sync.f", 3);
        world.exit("async.a", 0);
        if condition == Condition::Exited {
            world.exit("halt.h", 0);
        }
        assert_eq!(world.end, Some(status), "{condition:?}");
    }
}

#[test]
fn a_unit_that_ends_after_it_was_given_up_is_no_surprise() {
    let mut world =
        World::of(WaitPolicy::Any, vec![unit("async.a"), unit("sync.f"), unit("halt.h")]);
    world.exit("sync.f", 0);
    world.pass(SECOND * 5);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.a", "halt.h"]);
    world.die("async.a", Ending::Signal(Signal::KILL), Left::Nothing);
    world.exit("halt.h", 0);
    assert_eq!(world.end, Some(0));
    assert!(world.engine.reason().unwrap().unkillable.is_empty());
}

#[test]
fn a_stopped_transparent_command_is_continued_to_end() {
    let command = Unit {
        form: Form::Trailing,
        command: Command::Words(vec!["x".into()]),
        ..unit("sync.cmd")
    };
    let mut world = World::of(WaitPolicy::Any, vec![command.clone()]);
    let both = [to("sync.cmd", Signal::TERM), to("sync.cmd", Signal::CONT)];
    world.feed(Event::Paused { unit: UnitId(0) });
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent, both);
    // The signal may arrive before the kernel reports that the process was suspended.
    let mut world = World::of(WaitPolicy::Any, vec![command]);
    world.signal(Signal::TERM, true);
    world.feed(Event::Paused { unit: UnitId(0) });
    assert_eq!(world.sent, both);
}

#[test]
fn a_unit_that_stops_the_run_may_end_by_itself_first() {
    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), flag("async.D1")]);
    let own = Some(world.id("async.D1"));
    let sender = Sender { asker: Asker { unit: own, ..asker(101) }, outside: false };
    world.feed(Event::Signal { signal: Signal::USR1, sender: sender.clone() });
    assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
    world.exit("async.D1", 0);
    world.exit("async.a", 0);
    assert_eq!(world.end, Some(138));

    let mut world = World::of(WaitPolicy::Any, vec![unit("async.a"), flag("async.D1")]);
    world.feed(Event::Signal { signal: Signal::USR1, sender });
    world.sent();
    world.pass(limits::SENDER);
    assert_eq!(world.sent(), [to("async.D1", Signal::TERM)], "but not for ever");
}
