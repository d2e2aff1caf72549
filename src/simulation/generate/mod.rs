//! Makes plans from seeds.
//!
//! Times come from a few values, most of which are the engine's own (0, 100 ms, 2 s, 5 s). So many
//! things happen at the same instant, and races are the rule.

mod suite;

use nix::errno::Errno;

use super::plan::{
    Asked, Child, Health, Makes, Moment, Ms, PidFile, Plan, PostRuns, PostStop, PreRuns, PreStart,
    Ready, Reload, ReloadCommand, Reloads, Renewal, Reply, Restart, Rule, Settling, Start,
    StopCommand, Stray, Tells, Told, Unit, Within, ms,
};
use super::random::Random;
use crate::config::{Condition, Form, OnFailure, Overlap, Stage, StopTo, Then, WaitPolicy, When};
use crate::engine::{Ending, Notice, Request, SpawnStage, Task};
use crate::signal::Signal;

const SOON: [Ms; 6] = [0, 0, 1, 50, 100, 150];
const TIMES: [Ms; 12] = [0, 0, 0, 1, 50, 100, 150, 1000, 2000, 5000, 7000, 9000];
const MOMENTS: [Ms; 12] = [0, 1, 50, 100, 1000, 2000, 5000, 5000, 7000, 7000, 9000, 12_000];
const STATUSES: [u8; 8] = [0, 0, 0, 1, 3, 7, 143, 255];
const STOPPING: [i32; 6] =
    [libc::SIGTERM, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, 40];
const OTHERS: [i32; 3] = [libc::SIGWINCH, libc::SIGCONT, libc::SIGTSTP];

/// Returns the plan of a seed.
pub(in crate::simulation) fn plan(seed: u64) -> Plan {
    let mut chance = Random::new(seed);
    let random = &mut chance;
    let units = if random.chance(6) { transparent(random) } else { units(random) };
    let alone = matches!(units.as_slice(), [only] if only.form == Form::Trailing);
    let signals = random.pick(&[0, 0, 0, 1, 1, 2, 3]) + usize::from(alone);
    let mut plan = Plan {
        wait: random.pick(&[
            WaitPolicy::Any,
            WaitPolicy::All,
            WaitPolicy::Err,
            WaitPolicy::Forever,
        ]),
        budget: random
            .maybe(30, |random| random.pick(&[0, 1, 500, 2000, 3000, 5000, 9000, 20_000])),
        exit: Vec::new(),
        stopped: None,
        own: Vec::new(),
        rules: Vec::new(),
        units,
        settling: random.pick(&[
            Settling::Same,
            Settling::Same,
            Settling::Same,
            Settling::New,
            Settling::Wrong,
        ]),
        signals: (0..signals).map(|_| told(random)).collect(),
        reload: None,
        keep: false,
        requests: Vec::new(),
        cancels: Vec::new(),
        dues: Vec::new(),
        shutdown: None,
        strays: Vec::new(),
        sleep: random.maybe(5, |random| (random.pick(&TIMES), random.pick(&TIMES))),
        terminal: random.chance(30),
        drill: None,
        luck: random.next(),
    };
    if random.chance(30) {
        plan.strays = (0..=random.below(2)).map(|_| stray(random)).collect();
    }
    schedules(&mut random.apart(9), &mut plan);
    let mut people = random.apart(4);
    if people.chance(35) && !plan.units.is_empty() {
        plan.requests =
            (0..=people.below(5)).map(|_| asked(&mut people, plan.units.len())).collect();
    }
    let mut reloaders = random.apart(7);
    for unit in 0..plan.units.len() {
        while plan.units[unit].reload.is_some() && reloaders.chance(45) {
            let (at, request) = (reloaders.pick(&MOMENTS), Request::Job(Task::Reload));
            plan.requests.push(Asked { at, unit, request });
            // Somebody may think better of it, and better still.
            if reloaders.chance(30) {
                let (soon, sooner) = (reloaders.pick(&SOON), reloaders.pick(&SOON));
                // One of these is the job.
                plan.cancels.extend((1..=3).map(|job| (at + soon, job)));
                plan.requests.push(Asked { at: at + soon + sooner, unit, request });
            }
        }
    }
    for asked in &plan.requests {
        // Often at once, so that the job is still open.
        if people.chance(20) {
            let job = people.below(plan.requests.len() + 2);
            plan.cancels.push((asked.at + people.pick(&SOON), u32::try_from(job).unwrap_or(0)));
        }
    }
    let mut others = random.apart(6);
    if others.chance(8) {
        let status = others.maybe(60, |others| others.pick(&STATUSES));
        plan.shutdown = Some((others.pick(&MOMENTS), status));
    }
    let mut news = random.apart(5);
    if news.chance(20) {
        renew(&mut news, &mut plan);
    }
    if random.chance(20) {
        plan.exit = vec![(random.pick(&[0, 1, 3, 138, 143]), random.pick(&STATUSES))];
    }
    while random.chance(20) && plan.rules.len() < 3 {
        let (signal, rule) = (a_signal(random), rule(random, plan.units.len()));
        if plan.rules.iter().all(|(known, _)| *known != signal) {
            plan.rules.push((signal, rule));
        }
    }
    if random.chance(25) {
        suite::add(random, &mut plan);
    }
    plan.stopped = random.maybe(20, |random| random.pick(&[0, 0, 7]));
    if random.chance(10) {
        let counts = |at: &usize| plan.units[*at].counts();
        plan.own = (0..plan.units.len()).filter(counts).filter(|_| random.chance(50)).collect();
    }
    plan
}

fn a_signal(random: &mut Random) -> Signal {
    let number = if random.chance(15) { random.pick(&OTHERS) } else { random.pick(&STOPPING) };
    Signal::from_number(number).unwrap_or(Signal::TERM)
}

fn rule(random: &mut Random, units: usize) -> Rule {
    match random.below(6) {
        0 => Rule::Stop,
        1 => Rule::Ignore,
        2 => Rule::Reopen,
        3 => Rule::Reload,
        _ => {
            let signal = random.maybe(50, a_signal);
            let to = (0..units).filter(|_| random.chance(30)).collect();
            Rule::Forward(signal, to)
        }
    }
}

fn told(random: &mut Random) -> Told {
    Told { at: random.pick(&MOMENTS), signal: a_signal(random), outside: random.chance(80) }
}

/// Adds a reload with a changed configuration.
fn renew(random: &mut Random, plan: &mut Plan) {
    plan.reload = Some(random.pick(&MOMENTS));
    plan.keep = random.apart(1).chance(30);
    for unit in plan.units.iter_mut().filter(|unit| unit.form != Form::Trailing) {
        unit.renewal = match (unit.stage, random.below(8)) {
            (Stage::Boot, _) | (_, 0..4) => Renewal::Kept,
            (_, 4 | 5) => Renewal::Replaced,
            (_, 6) => Renewal::Removed,
            (_, _) => Renewal::Added,
        };
    }
}

/// Gives schedules to some units that no other unit waits for.
fn schedules(random: &mut Random, plan: &mut Plan) {
    if !random.chance(20) {
        return;
    }
    for at in 0..plan.units.len() {
        let awaited = plan.units.iter().any(|unit| {
            unit.after.iter().any(|(other, _)| *other == at) || unit.restart.with.contains(&at)
        });
        let unit = &mut plan.units[at];
        if awaited
            || unit.stage != Stage::Async
            || unit.form != Form::Declared
            || unit.outside
            || random.chance(40)
        {
            continue;
        }
        let overlap = random.pick(&[Overlap::Skip, Overlap::Queue, Overlap::Kill]);
        unit.schedule = Some((overlap, random.chance(30)));
        unit.pid_file = None;
        (unit.oneshot, unit.ready, unit.health, unit.reload) = (None, None, None, None);
        unit.restart.with.clear();
        if unit.on_failure == OnFailure::Policy {
            unit.on_failure = OnFailure::Ignore;
        }
        if random.chance(70) {
            unit.child.end = unit.child.end.or(Some((random.pick(&TIMES), Ending::Code(0))));
        }
        for _ in 0..=random.below(4) {
            plan.dues.push((random.pick(&MOMENTS), at));
            if random.chance(40) {
                plan.dues.push((random.pick(&MOMENTS) + random.pick(&SOON), at));
            }
        }
    }
}

fn asked(random: &mut Random, units: usize) -> Asked {
    let signals = [Signal::TERM, Signal::KILL, Signal::HUP, Signal::STOP, Signal::CONT];
    Asked {
        at: random.pick(&MOMENTS),
        unit: random.below(units),
        request: match random.below(10) {
            9 => Request::Job(Task::Reload),
            8 => Request::StopWithDependents,
            0 => Request::Signal(random.pick(&signals)),
            7 => Request::Reset,
            1 | 2 => Request::Job(Task::Start),
            3 | 4 => Request::Job(Task::Stop),
            _ => Request::Job(Task::Restart),
        },
    }
}

fn transparent(random: &mut Random) -> Vec<Unit> {
    let mut unit = Unit { form: Form::Trailing, shell: true, ..Unit::plain(Stage::Sync) };
    unit.success = random.maybe(10, |random| vec![random.pick(&STATUSES)]);
    unit.shell = random.chance(50);
    unit.stop_timeout = random.maybe(20, |random| random.pick(&TIMES));
    unit.child = child(random, Stage::Sync);
    // Then only the kernel can end it. A real run would wait in the same way.
    unit.child.on_kill = Some(0);
    if random.chance(20) {
        watched(random, &mut unit);
    }
    vec![unit]
}

fn units(random: &mut Random) -> Vec<Unit> {
    let count = random.pick(&[0, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12]);
    let mut units: Vec<Unit> = (0..count).map(|_| unit(random)).collect();
    // A unit may wait for the units that come before it in an order that differs from the order of
    // declaration.
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, random.below(at + 1));
    }
    for at in 1..count {
        while random.chance(35) && units[order[at]].after.len() < 3 {
            let other = order[random.below(at)];
            let condition = random.pick(&[
                None,
                None,
                Some(Condition::Started),
                Some(Condition::Exited),
                Some(Condition::Succeeded),
                Some(Condition::Failed),
                Some(Condition::Ready),
                Some(Condition::Settled),
            ]);
            let (waiter, awaited) = (&units[order[at]], &units[other]);
            if can_wait(waiter, awaited, condition)
                && waiter.after.iter().all(|(known, _)| *known != other)
            {
                units[order[at]].after.push((other, condition));
            }
        }
        let other = order[random.below(at)];
        let unit = &units[order[at]];
        let together = !unit.outside && unit.stage != Stage::Halt && random.chance(15);
        if together && can_wait(unit, &units[other], None) {
            units[order[at]].restart.with.push(other);
        }
    }
    units
}

/// Returns whether a graph accepts such an edge.
pub(in crate::simulation) fn can_wait(
    waiter: &Unit,
    awaited: &Unit,
    condition: Option<Condition>,
) -> bool {
    let stages = match waiter.stage {
        Stage::Boot => awaited.stage == Stage::Boot,
        Stage::Async | Stage::Sync => !matches!(awaited.stage, Stage::Test | Stage::Halt),
        Stage::Test => awaited.stage != Stage::Halt,
        Stage::Halt => awaited.stage != Stage::Test,
    };
    let possible = match condition {
        Some(Condition::Ready) => awaited.ready.is_some() && waiter.stage != Stage::Halt,
        Some(Condition::Started | Condition::Exited) => !awaited.outside,
        Some(Condition::Succeeded) => !awaited.outside && awaited.restart.when != When::Always,
        Some(Condition::Failed | Condition::Settled) | None => true,
    };
    let ends_the_run = awaited.stage == Stage::Boot
        && condition == Some(Condition::Failed)
        && awaited.on_failure != OnFailure::Ignore;
    stages && possible && !ends_the_run && awaited.schedule.is_none()
}

fn unit(random: &mut Random) -> Unit {
    let stage = random.pick(&[
        Stage::Boot,
        Stage::Async,
        Stage::Async,
        Stage::Async,
        Stage::Sync,
        Stage::Sync,
        Stage::Halt,
    ]);
    let form = match random.below(4) {
        0 => Form::Flag,
        1 => Form::Script,
        _ => Form::Declared,
    };
    let mut unit = Unit { form, shell: form != Form::Declared, ..Unit::plain(stage) };
    if stage != Stage::Boot {
        unit.within =
            random.pick(&[Within::Both, Within::Both, Within::Both, Within::First, Within::Second]);
    }
    unit.shell |= random.chance(30);
    unit.oneshot = random.maybe(20, |random| random.chance(50));
    unit.always = stage == Stage::Halt && random.chance(25);
    unit.success =
        random.maybe(15, |random| (0..=random.below(2)).map(|_| random.pick(&STATUSES)).collect());
    unit.on_failure = random.pick(&[
        OnFailure::Policy,
        OnFailure::Policy,
        OnFailure::Policy,
        OnFailure::Stop,
        OnFailure::Ignore,
    ]);
    let signals =
        [Signal::QUIT, Signal::INT, Signal::USR1, Signal::TERM, Signal::KILL, Signal::TSTP];
    unit.stop_signal = random.maybe(20, |random| random.pick(&signals));
    unit.stop_timeout = random.maybe(40, |random| random.pick(&TIMES));
    unit.stop_to = random.maybe(20, |random| random.pick(&[StopTo::Process, StopTo::Group]));
    unit.stop_exec = random.maybe(15, stop_command);
    unit.child = child(random, stage);
    watched(random, &mut unit);
    if !unit.outside {
        hooks(&mut random.apart(11), &mut unit);
        let asked_for = stage == Stage::Async && random.apart(12).chance(12);
        unit.autostart = !asked_for;
        let mut behind = random.apart(13);
        if stage == Stage::Async && unit.oneshot != Some(true) && behind.chance(12) {
            background(&mut behind, &mut unit);
        }
    }
    unit
}

/// Lets a unit put itself into the background.
fn background(random: &mut Random, unit: &mut Unit) {
    let alone = unit.ready.is_none() || random.chance(30);
    let ready = unit.ready.unwrap_or(Ready {
        told: true,
        every: random.pick(&[20, 200, 1000]),
        within: random.pick(&[1, 100, 1000, 5000, 60_000]),
    });
    unit.ready = Some(Ready { told: ready.told || alone, ..ready });
    unit.pid_file = Some(PidFile {
        alone,
        early: random.maybe(15, |random| random.pick(&TIMES)),
        late: random.maybe(80, |random| random.pick(&TIMES)),
        ends: random.maybe(30, |random| (random.pick(&TIMES), ending(random, false))),
    });
    for child in [&mut unit.child].into_iter().chain(&mut unit.again) {
        if random.chance(75) {
            child.end = Some((random.pick(&TIMES), Ending::Code(0)));
        }
        if random.chance(75) {
            child.leaves = Some(stray(random));
        }
    }
}

/// Adds commands before the start and after the end.
fn hooks(random: &mut Random, unit: &mut Unit) {
    unit.pre_start = random.maybe(12, |random| PreStart {
        runs: match random.below(8) {
            0 => PreRuns::NotStarted(
                random.pick(&[Errno::ENOENT, Errno::EACCES, Errno::EAGAIN]),
                random.maybe(50, |random| random.pick(&SOON)),
            ),
            1 => PreRuns::Hangs,
            2 => PreRuns::Ends(random.pick(&TIMES), ending(random, false)),
            _ => PreRuns::Ends(random.pick(&TIMES), Ending::Code(0)),
        },
        on_stop: match random.below(6) {
            0 => Reply::Ignores,
            1 => Reply::Exits(random.pick(&TIMES), random.pick(&STATUSES)),
            2 => Reply::Dies(random.pick(&TIMES)),
            _ => Reply::Dies(0),
        },
        leaves: random.chance(25),
        within: random.maybe(50, |random| random.pick(&[1, 100, 2000, 5000])),
    });
    unit.post_stop = random.maybe(15, |random| PostStop {
        runs: match random.below(8) {
            0 => PostRuns::NotStarted,
            1 | 2 => PostRuns::Hangs,
            _ => PostRuns::Ends { after: random.pick(&TIMES), succeeds: random.chance(70) },
        },
        leaves: random.chance(25),
        within: random.maybe(50, |random| random.pick(&[1, 100, 2000, 7000])),
    });
}

/// Adds readiness, health, restarts and limits, as far as they can be combined.
fn watched(random: &mut Random, unit: &mut Unit) {
    let (boot, halt) = (unit.stage == Stage::Boot, unit.stage == Stage::Halt);
    unit.outside = matches!(unit.stage, Stage::Boot | Stage::Async) && random.chance(5);
    if unit.outside || !boot && !halt && random.chance(25) {
        unit.ready = Some(Ready {
            told: !unit.outside && random.chance(40),
            every: random.pick(&[20, 200, 1000]),
            within: random.pick(&[1, 100, 1000, 5000, 60_000]),
        });
    }
    if unit.outside {
        unit.oneshot = None;
        return;
    }
    if !boot && !halt {
        unit.reload = random.apart(8).maybe(30, reload);
    }
    unit.max_runtime = random.maybe(8, |random| random.pick(&[1, 100, 2000, 7000]));
    if !boot && !halt {
        unit.health = random.maybe(15, |random| Health {
            told: random.chance(40),
            every: random.pick(&[200, 500, 2000]),
            failures: random.pick(&[1, 2, 3]),
            then: random.pick(&[Then::Restart, Then::Restart, Then::Stop, Then::Ignore]),
        });
    }
    if !halt && random.chance(25) {
        let always = unit.oneshot != Some(true) && random.chance(50);
        unit.restart = Restart {
            when: if always { When::Always } else { When::OnFailure },
            max: random.maybe(50, |random| random.pick(&[0, 1, 2, 4])),
            window: random.pick(&[100, 1000, 5000, 60_000]),
            first: random.pick(&[50, 200, 1000]),
            longest: random.pick(&[1000, 5000, 30_000]),
            with: Vec::new(),
        };
    }
    unit.again = random.maybe(60, |random| child(random, unit.stage));
}

fn reload(random: &mut Random) -> Reload {
    let signals = [Signal::HUP, Signal::HUP, Signal::USR1, Signal::TERM];
    let by = match random.below(4) {
        0 => Makes::Command(match random.below(6) {
            0 => ReloadCommand::NotStarted,
            1 => ReloadCommand::Hangs,
            _ => ReloadCommand::Ends { after: random.pick(&TIMES), succeeds: random.chance(80) },
        }),
        _ => Makes::Signal(random.pick(&signals)),
    };
    Reload { by, within: random.pick(&[1, 100, 2000, 5000, 60_000]) }
}

fn reloads(random: &mut Random) -> Reloads {
    Reloads {
        begins: random.pick(&SOON),
        ready: random.maybe(80, |random| random.pick(&TIMES)),
        extends: random.maybe(30, |random| random.pick(&TIMES)),
    }
}

fn stop_command(random: &mut Random) -> StopCommand {
    match random.below(4) {
        0 => StopCommand::NotStarted,
        1 => StopCommand::Hangs,
        _ => StopCommand::Ends {
            after: random.pick(&TIMES),
            succeeds: random.chance(60),
            unit: random.maybe(70, |random| random.pick(&SOON)),
        },
    }
}

fn child(random: &mut Random, stage: Stage) -> Child {
    let ends = match stage {
        Stage::Boot | Stage::Halt => 95,
        Stage::Async => 50,
        Stage::Sync | Stage::Test => 65,
    };
    let good = random.chance(70) && matches!(stage, Stage::Boot | Stage::Halt);
    let end = random.maybe(ends, |random| (random.pick(&TIMES), ending(random, good)));
    Child {
        scarce: random.maybe(8, |random| random.pick(&[1, 2, 6, 7])).unwrap_or(0),
        scarce_late: random.apart(1).maybe(40, |random| random.pick(&SOON)),
        unmade: unmade(random),
        start: start(random),
        end,
        on_stop: match random.below(10) {
            0..4 => Reply::Dies(random.pick(&SOON)),
            4..6 => Reply::Dies(random.pick(&TIMES)),
            6..8 => Reply::Exits(random.pick(&TIMES), random.pick(&STATUSES)),
            _ => Reply::Ignores,
        },
        reloads: random.apart(5).maybe(85, reloads),
        on_kill: on_kill(random),
        leaves: random.maybe(20, stray),
        tells: random.maybe(12, |random| Tells {
            signal: a_signal(random),
            moment: match random.below(3) {
                0 => Moment::First,
                1 => Moment::Last,
                _ => Moment::After(random.pick(&TIMES)),
            },
            known: random.chance(80),
        }),
        pauses: random.maybe(8, |random| random.pick(&TIMES)),
        ready: random.maybe(80, |random| random.pick(&TIMES)),
        sick: random.maybe(25, |random| (random.pick(&TIMES), random.pick(&TIMES))),
        try_takes: random.pick(&[0, 0, 1, 50, 1000]),
        try_hangs: random.chance(30),
        says: random.maybe(25, |random| (random.pick(&TIMES), notice(random))),
        daemon_ends: None,
    }
}

/// Returns the number of attempts that cannot be made first.
pub(in crate::simulation) fn unmade(random: &Random) -> u32 {
    random.apart(2).maybe(10, |random| random.pick(&[1, 2, 6, 7, 8])).unwrap_or(0)
}

fn notice(random: &mut Random) -> Notice {
    match random.below(7) {
        0 => Notice::Ready,
        1 => Notice::Sick,
        2 => Notice::Stopping,
        3 => Notice::Reloading,
        4 => Notice::MainPid(7),
        _ => Notice::Extend(ms(random.pick(&TIMES))),
    }
}

fn ending(random: &mut Random, good: bool) -> Ending {
    let signals = [Signal::TERM, Signal::KILL, Signal::INT, Signal::QUIT, Signal::SEGV];
    match random.below(8) {
        _ if good => Ending::Code(0),
        0 => Ending::Signal(random.pick(&signals)),
        _ => Ending::Code(random.pick(&STATUSES)),
    }
}

fn start(random: &mut Random) -> Start {
    let stages =
        [random.apart(3).pick(&[SpawnStage::Settings, SpawnStage::Prepare]), SpawnStage::Fork];
    let later = [SpawnStage::Identity, SpawnStage::Directory, SpawnStage::Execute];
    match random.below(40) {
        0 => Start::Hangs,
        1 => Start::Fails(random.pick(&stages), random.pick(&[None, Some(Errno::EPERM)]), None),
        2 | 3 => {
            let errno = random.pick(&[Some(Errno::ENOENT), Some(Errno::EACCES)]);
            Start::Fails(random.pick(&later), errno, Some(random.pick(&SOON)))
        }
        4..10 => Start::Executes(random.pick(&TIMES)),
        _ => Start::Executes(0),
    }
}

fn on_kill(random: &mut Random) -> Option<Ms> {
    match random.below(20) {
        0 => None,
        1 => Some(random.pick(&[1, 1000, 2000, 3000, 8000])),
        _ => Some(0),
    }
}

fn stray(random: &mut Random) -> Stray {
    Stray {
        ends: random.maybe(20, |random| random.pick(&TIMES)),
        on_stop: random.maybe(70, |random| random.pick(&TIMES)),
        on_kill: on_kill(random),
        follows: random.maybe(20, |random| random.pick(&SOON)),
        session: random.chance(30),
    }
}
