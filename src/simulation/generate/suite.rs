//! Makes test runs from seeds: a plan for production with additional tests.

use super as generate;
use super::super::drill::{Blow, Drill, Point, Test};
use super::super::plan::{Child, Ms, Plan, Unit, Within};
use super::super::random::Random;
use crate::config::{Condition, Stage, Then};
use crate::engine::Ending;
use crate::signal::Signal;

const TIMES: [Ms; 9] = [0, 0, 0, 0, 1, 50, 100, 150, 1000];

/// Turns a plan into a test run.
pub(in crate::simulation) fn add(random: &mut Random, plan: &mut Plan) {
    // Most tests pass, because a run in which everything fails shows little.
    let tame = random.pick(&[0, 60, 90, 100]);
    for unit in &mut plan.units {
        if random.chance(tame) {
            (unit.child, unit.again) = (Child::plain(unit.stage), None);
            (unit.max_runtime, unit.stop_exec) = (None, None);
        }
        if let Some(health) = unit.health.as_mut().filter(|_| random.chance(30)) {
            health.then = Then::Stop;
            unit.child.sick = Some((random.pick(&TIMES), 5000));
        }
    }
    if random.chance(60) {
        plan.signals.clear();
        plan.strays.clear();
    }
    for _ in 0..random.pick(&[1, 1, 2, 2, 3]) {
        let test = a_test(random, plan);
        plan.units.push(test);
    }
    plan.drill = Some(Drill {
        allow: allowed(random, plan),
        strict: random.chance(35),
        oom: random.maybe(5, |random| random.pick(&TIMES)),
        zombies: [random.chance(15), random.chance(60)],
    });
    for test in plan.units.iter_mut().filter_map(|unit| unit.test.as_mut()) {
        test.hopeless = random.chance(10);
    }
    jobs(&mut random.apart(11), plan);
    let mut left = random.apart(13);
    for test in plan.units.iter_mut().filter_map(|unit| unit.test.as_mut()) {
        test.lacks = left.chance(6);
    }
    let mut downs = random.apart(12);
    for test in plan.units.iter_mut().filter_map(|unit| unit.test.as_mut()) {
        if downs.chance(25) {
            test.fault = test.fault.map(|(victim, _)| (victim, Blow::Down));
        } else if downs.chance(20) {
            test.fault = test.fault.map(|(victim, _)| (victim, Blow::Restart));
        }
        test.every = downs.maybe(25, |downs| downs.pick(&[10, 100, 150, 1000]));
    }
}

/// Lets tests without a fault run units that have a schedule.
fn jobs(random: &mut Random, plan: &mut Plan) {
    let jobs: Vec<usize> =
        (0..plan.units.len()).filter(|at| plan.units[*at].schedule.is_some()).collect();
    if jobs.is_empty() {
        return;
    }
    for at in &jobs {
        let status = random.pick(&[0, 0, 0, 0, 3]);
        let end = random.maybe(90, |random| (random.pick(&TIMES), Ending::Code(status)));
        plan.units[*at].child.end = plan.units[*at].child.end.or(end);
    }
    for test in plan.units.iter_mut().filter_map(|unit| unit.test.as_mut()) {
        if test.fault.is_none() && random.chance(70) {
            test.job = Some(random.pick(&jobs));
        }
    }
}

fn a_test(random: &mut Random, plan: &Plan) -> Unit {
    let mut unit = Unit::plain(Stage::Test);
    let units = plan.units.len();
    while units > 0 && random.chance(40) && unit.after.len() < 3 {
        let other = random.below(units);
        let condition = random.pick(&[
            None,
            None,
            None,
            Some(Condition::Started),
            Some(Condition::Exited),
            Some(Condition::Succeeded),
            Some(Condition::Failed),
            Some(Condition::Ready),
            Some(Condition::Settled),
        ]);
        if generate::can_wait(&unit, &plan.units[other], condition)
            && unit.after.iter().all(|(known, _)| *known != other)
        {
            unit.after.push((other, condition));
        }
    }
    if random.chance(10) {
        unit.within = random.pick(&[Within::First, Within::Second]);
    }
    let victim = |at: &usize| plan.units[*at].counts() && plan.units[*at].schedule.is_none();
    let victims: Vec<usize> = (0..units).filter(victim).collect();
    let fault = match victims.as_slice() {
        [] => None,
        some => random.maybe(45, |random| (random.pick(some), blow(random))),
    };
    let mut within = random.maybe(40, |random| random.pick(&[1, 100, 500, 1000]));
    if fault.is_some() {
        within = within.or_else(|| Some(random.pick(&[500, 1000, 2000])));
    }
    unit.test = Some(Test {
        within,
        holds: random.maybe(30, |random| random.pick(&[1, 50, 100, 150, 1000])),
        start_within: random.pick(&[1, 100, 1000, 5000, 5000, 5000, 7000]),
        max_runtime: random.pick(&[1, 100, 1000, 60_000, 60_000]),
        fault,
        job: None,
        every: None,
        restarts: random.maybe(15, |random| random.chance(50)),
        skips: random.chance(15),
        hopeless: false,
        said: random.chance(8),
        used: random.chance(8),
        lacks: false,
        stop_status: random.maybe(15, |random| random.pick(&[0, 1, 137, 143, 143, 143])),
        stop_within: random.maybe(15, |random| random.pick(&[1, 100, 1000, 5000])),
    });
    unit.child.ready = random.maybe(90, |random| random.pick(&TIMES));
    unit.child.sick = random.maybe(25, |random| {
        let from = random.pick(&TIMES);
        (from, from + random.pick(&TIMES))
    });
    unit.child.try_takes = random.pick(&[0, 0, 0, 1, 50, 1000]);
    unit.child.try_hangs = random.chance(30);
    unit.child.unmade = generate::unmade(random);
    unit
}

fn blow(random: &mut Random) -> Blow {
    let signals =
        [Signal::KILL, Signal::KILL, Signal::KILL, Signal::HUP, Signal::TERM, Signal::INT];
    if random.chance(35) {
        Blow::Stop(random.pick(&[1, 100, 1000, 5000]))
    } else {
        Blow::Kill(random.pick(&signals))
    }
}

fn allowed(random: &mut Random, plan: &Plan) -> Vec<Point> {
    let each = random.pick(&[0, 0, 10, 50, 90]);
    let mut points =
        vec![Point::Orphans, Point::Sessions, Point::Zombies, Point::Shutdown, Point::Oom];
    for (at, unit) in plan.units.iter().enumerate() {
        match unit.stage {
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt => {
                points.extend([Point::Run(at), Point::Stop(at)]);
                points.extend(unit.post_stop.map(|_| Point::PostStop(at)));
            }
            Stage::Test => {
                points.extend([Point::Log(at), Point::Stop(at), Point::MaxRss(at)]);
                points.push(Point::AfterStop(at));
            }
        }
    }
    points.retain(|_| random.chance(each));
    points
}
