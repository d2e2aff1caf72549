//! The content of the graph, which all formats share.

use std::collections::BTreeMap;

use crate::config::{Probe, Ready, Stage, When};
use crate::graph::{Graph, Node, UnitId};
use crate::text::harmless;

/// The units, what they wait for, and the order in which they stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Picture {
    /// The name of the configuration.
    pub title: String,
    /// The units, in their order: by stage, and each after those that it waits for.
    pub units: Vec<Unit>,
    /// The conditions that they wait for.
    pub links: Vec<Link>,
    /// The same with one arrow for each pair of units. The order within a stage is left out where the
    /// configuration says the same.
    pub arrows: Vec<Arrow>,
    /// The steps in which the units stop, by their indices. Each unit stops when those of the earlier
    /// steps that depend on it have stopped.
    pub stop: Vec<Vec<usize>>,
}

/// The kind of a unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// It runs until trc stops it.
    Service,
    /// It exits by itself.
    OneShot,
    /// It runs on a schedule.
    Job,
    /// It is a test.
    Test,
    /// It stands for something that trc does not start.
    External,
}

impl Kind {
    /// Returns the word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::OneShot => "one-shot",
            Self::Job => "job",
            Self::Test => "test",
            Self::External => "external",
        }
    }
}

/// A unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unit {
    /// The full name: `STAGE.NAME`.
    pub id: String,
    /// The name in the drawing: without the stage, unless that is needed to tell units apart.
    pub label: String,
    pub stage: Stage,
    pub kind: Kind,
    pub description: Option<String>,
    /// The key of the readiness check, such as `http`.
    pub ready: Option<&'static str>,
    /// The restart policy, as in the configuration.
    pub restart: &'static str,
    /// The units with which this one is restarted.
    pub with: Vec<usize>,
    /// The times at which the unit is due.
    pub schedule: Option<String>,
    /// The time zone of these times, unless it is trc's own.
    pub tz: Option<String>,
    /// Whether the unit starts only if somebody asks for it, or if a unit that starts waits for it.
    pub on_request: bool,
    /// Whether it is a test that waits for all units, because it names none.
    pub after_all: bool,
}

impl Unit {
    /// Returns the schedule with its time zone.
    pub(super) fn due(&self) -> Option<String> {
        let zone = self.tz.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
        self.schedule.as_ref().map(|when| format!("{when}{zone}"))
    }
}

/// One condition that a unit waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// The unit whose state counts.
    pub from: usize,
    /// The unit that waits.
    pub to: usize,
    /// The state.
    pub condition: &'static str,
    /// Whether the configuration names the unit. Otherwise the link is the order within a stage, or
    /// that of a test that waits for all units.
    pub written: bool,
}

/// All conditions of one unit that another one waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arrow {
    pub from: usize,
    pub to: usize,
    /// The states, such as `ready`.
    pub condition: String,
    /// Whether the configuration names the unit: otherwise it is the order within a stage.
    pub written: bool,
    /// Whether the unit that waits is also restarted with the other one.
    pub together: bool,
}

impl Picture {
    /// Returns the picture of a graph.
    pub(super) fn of(graph: &Graph, title: &str) -> Self {
        let ids: Vec<UnitId> = graph.ids().collect();
        let at: BTreeMap<UnitId, usize> =
            ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &ids {
            *named.entry(&graph.node(*id).unit.name).or_default() += 1;
        }
        let units: Vec<Unit> = ids
            .iter()
            .map(|id| {
                let node = graph.node(*id);
                let with = node.with.iter().filter_map(|other| at.get(other).copied());
                unit(node, named[node.unit.name.as_str()] == 1, with.collect())
            })
            .collect();
        let mut links = Vec::new();
        for (to, id) in ids.iter().enumerate() {
            let node = graph.node(*id);
            for need in &node.needs {
                let Some(from) = at.get(&need.unit).copied() else { continue };
                let written =
                    need.written && !(units[to].after_all && Some(need.unit) != node.victim);
                links.push(Link { from, to, condition: need.condition.name(), written });
            }
        }
        let stop = stop(&units, &links);
        let arrows = arrows(&units, &links);
        Self { title: harmless(title), units, links, arrows, stop }
    }

    /// Returns the units of a stage.
    pub(super) fn stage(&self, stage: Stage) -> Vec<usize> {
        (0..self.units.len()).filter(|at| self.units[*at].stage == stage).collect()
    }

    /// Returns the stages that have units and follow one another, each with its units. Units in the
    /// background and in the foreground run at the same time: if there are both, one stands for them.
    pub(super) fn steps(&self) -> Vec<(Stage, Vec<usize>)> {
        let stages = Stage::ALL.map(|stage| (stage, self.stage(stage)));
        let mut steps: Vec<_> = stages.into_iter().filter(|(_, units)| !units.is_empty()).collect();
        if steps.iter().any(|(stage, _)| *stage == Stage::Async) {
            steps.retain(|(stage, _)| *stage != Stage::Sync);
        }
        steps
    }

    /// Returns the reasons why a unit waits, in the words of the configuration: other units with their
    /// conditions, its schedule, or a request. As in `trcctl top`, a unit without a
    /// condition has to be ready, unless all conditions are to be there.
    pub(super) fn waits(&self, at: usize, all_conditions: bool) -> Vec<String> {
        let unit = &self.units[at];
        let mut waits = Vec::new();
        let after = self.arrows.iter().filter(|arrow| arrow.to == at && arrow.written);
        let after: Vec<String> = after
            .map(|arrow| (&self.units[arrow.from].label, arrow.condition.as_str()))
            .map(|(label, condition)| match condition {
                "ready" if !all_conditions => label.clone(),
                _ => format!("{label} ({condition})"),
            })
            .collect();
        if unit.on_request {
            waits.push("on request".to_owned());
        } else if let Some(due) = unit.due() {
            waits.push(due);
        }
        if unit.after_all {
            waits.push("after all units".to_owned());
        } else if !after.is_empty() {
            waits.push(format!("after {}", after.join(", ")));
        }
        waits
    }
}

fn unit(node: &Node, is_unique: bool, with: Vec<usize>) -> Unit {
    let unit = &node.unit;
    let kind = if unit.stage == Stage::Test {
        Kind::Test
    } else if node.is_outside() {
        Kind::External
    } else if node.is_scheduled() {
        Kind::Job
    } else if node.oneshot {
        Kind::OneShot
    } else {
        Kind::Service
    };
    let schedule = unit.schedule.as_ref();
    let id = harmless(&unit.id());
    let names_none =
        unit.after.iter().all(|after| after.unit.value.starts_with("test.")) && node.job.is_none();
    Unit {
        label: if is_unique { harmless(&unit.name) } else { id.clone() },
        id,
        stage: unit.stage,
        kind,
        description: unit.description.as_deref().map(harmless),
        ready: unit.ready.as_ref().map(probe),
        restart: match unit.restart.when {
            When::No => "no",
            When::OnFailure => "on-failure",
            When::Always => "always",
        },
        with,
        schedule: schedule.and_then(|it| it.when.as_ref()).map(|when| when.value.to_string()),
        tz: schedule.and_then(|it| it.tz.as_ref()).and_then(|zone| zone.value.name()).map(harmless),
        on_request: !unit.autostart,
        after_all: kind == Kind::Test && names_none && node.needs.iter().any(|need| need.written),
    }
}

/// Returns one arrow for each pair of units.
fn arrows(units: &[Unit], links: &[Link]) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    let mut known: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for written in [true, false] {
        for link in links.iter().filter(|link| link.written == written) {
            match known.get(&(link.from, link.to)) {
                Some(at) if written => {
                    let arrow = &mut arrows[*at];
                    arrow.condition = format!("{}, {}", arrow.condition, link.condition);
                }
                Some(_) => {}
                None => {
                    known.insert((link.from, link.to), arrows.len());
                    arrows.push(Arrow {
                        from: link.from,
                        to: link.to,
                        condition: link.condition.to_owned(),
                        written,
                        together: units[link.to].with.contains(&link.from),
                    });
                }
            }
        }
    }
    arrows
}

/// Returns the key of a readiness check.
fn probe(ready: &Ready) -> &'static str {
    match &ready.probe.value {
        Probe::Tcp(_) => "tcp",
        Probe::Unix(_) => "unix",
        Probe::Http(_) => "http",
        Probe::Exec(_) => "exec",
        Probe::File(_) => "file",
        Probe::Log(_) => "log",
        Probe::Notify => "notify",
        Probe::Fd(_) => "fd",
        Probe::PidFile => "pid_file",
    }
}

/// Returns the steps in which units stop. Only units that run when the container is up are in them. A
/// service depends on a database by way of the migration that it waited for, too.
fn stop(units: &[Unit], links: &[Link]) -> Vec<Vec<usize>> {
    let stops = |at: usize| {
        let Unit { stage, kind, ready, restart, .. } = &units[at];
        match stage {
            Stage::Async | Stage::Sync => match kind {
                Kind::Service | Kind::Job => true,
                // A halt unit that waits for the exit of a server makes it a one-shot.
                Kind::OneShot => ready.is_some() || *restart == "always",
                Kind::Test | Kind::External => false,
            },
            Stage::Boot | Stage::Test | Stage::Halt => false,
        }
    };
    // The order of the units has each one after those that it waits for.
    let mut order: Vec<usize> = (0..units.len()).collect();
    let mut step = vec![0_usize; units.len()];
    let after = |at: usize| {
        let links = links.iter().filter(move |link| link.written && link.from == at);
        links.map(|link| link.to).filter(|to| units[*to].stage != Stage::Test)
    };
    // A unit of one stage can wait for one of the other, so the order by stage is not enough.
    let mut changed = true;
    order.reverse();
    while changed {
        changed = false;
        for at in &order {
            let earliest =
                after(*at).map(|to| step[to] + usize::from(stops(to))).max().unwrap_or(0);
            if earliest > step[*at] {
                step[*at] = earliest;
                changed = true;
            }
        }
    }
    let last = (0..units.len()).filter(|at| stops(*at)).map(|at| step[at] + 1).max().unwrap_or(0);
    let of = |n: usize| (0..units.len()).filter(|at| stops(*at) && step[*at] == n).collect();
    (0..last).map(of).collect()
}
