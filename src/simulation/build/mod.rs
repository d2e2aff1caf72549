//! The meaning of a plan: the graph for the engine, and the terms by which the witness judges the
//! engine, which are worked out independently of the graph.

mod awaited;
mod drill;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::plan::{Generation, Makes, Ms, PidFile, Plan, Rule, ms};
use crate::config::{
    After, Backoff, Command, Condition, Config, Control, Exit, FileEnv, Health, Hook, Log,
    LogFormat, Origin, Placed, Probe, Ready, Reload, ReloadBy, Restart, Schedule, Shutdown,
    SignalRule, Stage, Stop, Unit,
};
use crate::engine::Tick;
use crate::graph::{Graph, UnitId};

/// A graph of a plan, and which unit of the plan each of its units is.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Built {
    pub graph: Rc<Graph>,
    /// The units of the plan, by id.
    pub plan: Vec<usize>,
}

impl Built {
    pub(in crate::simulation) fn unit(&self, id: UnitId) -> usize {
        self.plan[id.0]
    }

    pub(in crate::simulation) fn id(&self, unit: usize) -> Option<UnitId> {
        self.plan.iter().position(|one| *one == unit).map(UnitId)
    }
}

/// Builds one of a plan's graphs, to take over from another one, with the ids that it may reuse.
/// Returns `None` if it is refused.
pub(in crate::simulation) fn graph(
    plan: &Plan,
    generation: Generation,
    old: Option<(&Built, &[UnitId])>,
) -> Option<Built> {
    let graph = Graph::build(&config(plan, generation)).ok()?;
    let graph = match old {
        Some((old, spare)) => graph.over_reusing(&old.graph, spare),
        None => graph,
    };
    Some(of(&Rc::new(graph)))
}

/// Returns who is who in a graph.
pub(in crate::simulation) fn of(graph: &Rc<Graph>) -> Built {
    let number = |unit: &Unit| unit.name[1..].parse().unwrap_or_default();
    let plan = graph.nodes.iter().map(|node| number(&node.unit)).collect();
    Built { graph: Rc::clone(graph), plan }
}

fn hook(within: Option<Ms>) -> Hook {
    Hook { exec: Vec::new(), within: within.map(ms) }
}

/// Returns the name of a unit, with a place.
pub(in crate::simulation) fn place(plan: &Plan, at: usize) -> Placed<String> {
    let value = format!("{}.u{at}", plan.units[at].stage.name());
    Placed { value, origin: Origin::Default }
}

fn config(plan: &Plan, generation: Generation) -> Config {
    let place = |at: &usize| place(plan, *at);
    let rule = |rule: &Rule| match rule {
        Rule::Stop => SignalRule::Stop,
        Rule::Ignore => SignalRule::Ignore,
        Rule::Reopen => SignalRule::Reopen,
        Rule::Reload => SignalRule::Reload,
        // This is how the configuration treats a rule whose units are all disabled.
        Rule::Forward(_, to)
            if !to.is_empty() && !to.iter().any(|at| plan.has(*at, generation)) =>
        {
            SignalRule::Ignore
        }
        Rule::Forward(signal, to) => {
            let to = to.iter().filter(|at| plan.has(**at, generation));
            SignalRule::Forward { signal: *signal, to: to.map(place).collect() }
        }
    };
    let units = (0..plan.units.len()).filter(|at| plan.has(*at, generation)).map(|at| {
        let unit = &plan.units[at];
        let test = unit.test.map(|test| Box::new(drill::test(plan, &test, generation)));
        let after = unit.after.iter().filter(|(other, _)| plan.has(*other, generation));
        let with = unit.restart.with.iter().filter(|other| plan.has(**other, generation));
        let command = match (unit.outside || unit.stage == Stage::Test, unit.shell) {
            (true, _) => Command::Nothing,
            (false, true) => Command::Script("".into()),
            (false, false) => Command::Exec(Vec::new()),
        };
        let probe = |told| Placed {
            value: if told { Probe::Notify } else { Probe::File("/".into()) },
            origin: Origin::Default,
        };
        let timeout = Duration::from_secs(1);
        Unit {
            form: unit.form,
            autostart: unit.autostart,
            oneshot: unit.oneshot,
            always: unit.always,
            after: after
                .map(|(other, condition)| After { unit: place(other), condition: *condition })
                .collect(),
            ready: unit.ready.map(|ready| Ready {
                probe: match unit.pid_file {
                    Some(PidFile { alone: true, .. }) => {
                        Placed { value: Probe::PidFile, origin: Origin::Default }
                    }
                    Some(_) | None => probe(ready.told),
                },
                every: ms(ready.every),
                timeout,
                within: ms(ready.within),
            }),
            pid_file: unit.pid_file.map(|_| Placed { value: "/".into(), origin: Origin::Default }),
            health: unit.health.map(|health| Health {
                probe: probe(health.told),
                every: ms(health.every),
                timeout,
                failures: health.failures,
                then: health.then,
            }),
            restart: Restart {
                when: unit.restart.when,
                max: unit.restart.max,
                window: ms(unit.restart.window),
                backoff: Backoff {
                    first: ms(unit.restart.first),
                    longest: ms(unit.restart.longest),
                },
                with: with.map(place).collect(),
            },
            schedule: unit.schedule.map(|(overlap, at_start)| {
                Box::new(Schedule { overlap, at_start, ..Schedule::default() })
            }),
            max_runtime: unit.max_runtime.map(ms),
            test,
            success: unit.success.clone(),
            on_failure: unit.on_failure,
            stop: Stop {
                signal: unit.stop_signal,
                timeout: unit.stop_timeout.map(ms),
                to: unit.stop_to,
                exec: unit.stop_exec.map(|_| Vec::new()),
            },
            reload: unit.reload.map(|reload| Reload {
                by: match reload.by {
                    Makes::Signal(signal) => ReloadBy::Signal(signal),
                    Makes::Command(_) => ReloadBy::Exec(Vec::new()),
                },
                within: ms(reload.within),
            }),
            pre_start: unit.pre_start.map(|it| Box::new(hook(it.within))),
            post_stop: unit.post_stop.map(|it| Box::new(hook(it.within))),
            ..Unit::new(unit.stage, &format!("u{at}"), Origin::Default, command)
        }
    });
    Config {
        wait: plan.wait,
        shell: None,
        shutdown: Shutdown { timeout: plan.budget.map(ms) },
        log: Log {
            level: log::LevelFilter::Info,
            asked: false,
            format: LogFormat::Trc,
            to: crate::config::LogTo::Both,
            output: None,
            termination: crate::config::Termination::default(),
            syslog: None,
        },
        control: Control::default(),
        env: BTreeMap::new(),
        file_env: FileEnv::No,
        signals: plan.rules.iter().map(|(signal, written)| (*signal, rule(written))).collect(),
        exit: Exit {
            statuses: plan.exit.iter().copied().collect(),
            stopped: plan.stopped,
            own: plan.own.iter().filter(|at| plan.has(**at, generation)).map(place).collect(),
        },
        xtrace: false,
        work_dir: "/etc".into(),
        units: units.collect(),
        rest: Vec::new(),
        testing: plan.drill.as_ref().map(|drill| drill::testing(plan, drill, generation)),
        remarks: Vec::new(),
        left_out: std::collections::BTreeMap::new(),
    }
}

/// The meaning of one of the graphs for each unit of the plan.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Terms {
    pub units: Vec<Term>,
    /// The order in which the units of a stage run one at a time.
    pub order: Vec<usize>,
    /// All units in the order in which the engine has them.
    pub by_id: Vec<usize>,
    /// The time from a stop signal from outside to the end.
    pub budget: Tick,
}

#[derive(Clone, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is so or not")]
pub(in crate::simulation) struct Term {
    /// Whether it is in this graph.
    pub here: bool,
    pub oneshot: bool,
    pub needs: Vec<(usize, Condition)>,
    /// Whether it does not start before somebody asks for it.
    pub idle: bool,
    /// Whether the configuration says that it is meant to end.
    pub ends: bool,
    /// If it is a test, the units that must have run for a moment or have ended.
    pub calm: Vec<usize>,
    /// The units that it is about, if it is a test.
    pub about: Vec<usize>,
    pub dependents: Vec<usize>,
    /// The units that it is restarted together with, and those that are restarted together with it.
    pub with: Vec<usize>,
    pub followers: Vec<usize>,
}

impl Terms {
    pub(in crate::simulation) fn of(plan: &Plan, generation: Generation) -> Self {
        let here = |at: usize| plan.has(at, generation);
        let mut units = vec![Term::default(); plan.units.len()];
        for (at, unit) in plan.units.iter().enumerate() {
            units[at].here = here(at);
            units[at].oneshot |= unit.schedule.is_some();
            units[at].oneshot |= matches!(unit.stage, Stage::Boot | Stage::Test | Stage::Halt);
            for (other, condition) in &unit.after {
                if here(at)
                    && here(*other)
                    && matches!(condition, Some(Condition::Succeeded | Condition::Exited))
                {
                    units[*other].oneshot = true;
                    units[*other].ends |= *condition == Some(Condition::Succeeded);
                }
            }
        }
        for (at, unit) in plan.units.iter().enumerate() {
            units[at].oneshot = unit.oneshot.unwrap_or(units[at].oneshot);
            units[at].ends = unit.oneshot.unwrap_or(units[at].ends);
        }
        for (at, unit) in plan.units.iter().enumerate() {
            // A unit that is restarted with another one waits for it, as with a bare name.
            let with = unit.restart.with.iter().map(|other| (*other, None));
            let bare = with.filter(|(with, _)| unit.after.iter().all(|(other, _)| other != with));
            for (other, condition) in unit.after.iter().copied().chain(bare) {
                let other = &other;
                if here(at) && here(*other) {
                    let halt = unit.stage == Stage::Halt;
                    let bare = if plan.units[*other].ready.is_some() && !halt {
                        Condition::Ready
                    } else if unit.stage == Stage::Test {
                        awaited::bare(&plan.units[*other], units[*other].ends)
                    } else if plan.units[*other].outside {
                        Condition::Exited
                    } else if units[*other].oneshot {
                        Condition::Succeeded
                    } else {
                        Condition::Started
                    };
                    let asked = plan.units[*other].ready.is_some();
                    let serves = plan.units[*other].counts();
                    let named = matches!(condition, None | Some(Condition::Settled));
                    if unit.stage == Stage::Test && named && serves && !asked {
                        units[at].calm.push(*other);
                    }
                    units[at].needs.push((*other, condition.unwrap_or(bare)));
                    units[*other].dependents.push(at);
                }
            }
            for other in unit.restart.with.iter().filter(|other| here(at) && here(**other)) {
                units[at].with.push(*other);
                units[*other].followers.push(at);
            }
        }
        sleep(plan, &mut units);
        awaited::complete(plan, &mut units);
        let chain = (0..units.len())
            .filter(|at| units[*at].here)
            .map(|at| chain(plan, &units, at))
            .max()
            .unwrap_or_default();
        let budget = plan
            .budget
            .map_or_else(|| Duration::from_secs(9).max(chain + Duration::from_secs(2)), ms);
        let order = order(plan, &units);
        let mut by_id = order.clone();
        by_id.sort_by_key(|at| plan.units[*at].stage);
        Self { units, order, by_id, budget }
    }
}

/// Marks the units that do not start by themselves, and that no unit needs that starts.
fn sleep(plan: &Plan, units: &mut [Term]) {
    for (at, unit) in plan.units.iter().enumerate() {
        units[at].idle = !unit.autostart;
    }
    // One more round for each unit that may be behind another.
    for _ in 0..units.len() {
        for at in 0..units.len() {
            let unit = &plan.units[at];
            if !units[at].here || units[at].idle || unit.stage == Stage::Halt {
                continue;
            }
            let victim = unit.test.and_then(|test| test.fault).map(|(victim, _)| victim);
            let needs: Vec<usize> =
                units[at].needs.iter().map(|(on, _)| *on).chain(victim).collect();
            for on in needs {
                units[on].idle = false;
            }
        }
    }
}

/// Returns the order of units that run one at a time. It repeatedly takes the first unit, by stage
/// and declaration, whose dependencies have all been taken.
pub(in crate::simulation) fn order(plan: &Plan, units: &[Term]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..units.len()).filter(|at| units[*at].here).collect();
    // Tests with faults come last.
    let with_fault = |at: usize| {
        let test = plan.units[at].test.as_ref();
        test.and_then(|test| test.fault).is_some_and(|(victim, _)| units[victim].here)
    };
    left.sort_by_key(|at| (plan.units[*at].stage, with_fault(*at)));
    let mut order = Vec::new();
    while !left.is_empty() {
        let free = |at: &usize| units[*at].needs.iter().all(|(on, _)| order.contains(on));
        let next = left.iter().position(free).expect("plans have no cycles");
        order.push(left.remove(next));
    }
    order
}

/// Returns the sum of the declared stop timeouts of a unit and of the units that stop before it.
fn chain(plan: &Plan, units: &[Term], at: usize) -> Tick {
    let before = units[at].dependents.iter().map(|one| chain(plan, units, *one)).max();
    let unit = &plan.units[at];
    let after = unit.post_stop.and_then(|hook| hook.within).map_or(Duration::ZERO, ms);
    unit.stop_timeout.map_or(Duration::ZERO, ms) + after + before.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "ctl")]
    #[test]
    fn a_record_keeps_the_graph_of_every_plan() {
        use super::{Generation, config};

        let mut kept = 0;
        for seed in 0..3000 {
            let plan = crate::simulation::generate::plan(seed);
            for generation in [Generation::First, Generation::Second, Generation::Third] {
                // Plans also have what no file can have, such as an external unit with a `stop`.
                kept +=
                    u32::from(crate::record::tests::is_kept(&config(&plan, generation)).is_ok());
            }
        }
        assert!(kept > 4000, "{kept}");
    }
}
