//! The states of the run, of its units and of its jobs, as clients get them.

use std::time::Duration;

use super::super::Supervisor;
use crate::config::{Stage, Unit, nearest, shown};
use crate::engine::{Health, Wanted};
use crate::graph::UnitId;
use crate::run::os::clock::now;
use crate::run::os::proc;
use crate::wire::{
    About, Code, End, HealthState, JobState, JobStatus, Problem, RunHealth, Running, UnitState,
};
use crate::words;

impl Supervisor {
    pub(in crate::run::supervisor) fn about(&self) -> About {
        let snapshot = self.engine.snapshot();
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: 1,
            boot_id: self
                .control
                .as_ref()
                .map_or(String::new(), |it| format!("{:016x}", it.boot_id)),
            pid: std::process::id(),
            generation: snapshot.generation,
            phase: snapshot.phase.to_owned(),
            uptime_ms: millis(self.clock.peek(now())),
        }
    }

    /// Returns the health of the run, or of these units, and the unit because of which it is so.
    pub(super) fn health_of(&self, units: &[String]) -> (Health, Option<UnitId>) {
        let named: Vec<UnitId> =
            units.iter().filter_map(|name| self.units_named(name).ok()).flatten().collect();
        if named.is_empty() {
            self.engine.health(self.graph.ids())
        } else {
            self.engine.health(named.into_iter())
        }
    }

    pub(in crate::run::supervisor) fn health(&self, units: &[String]) -> RunHealth {
        let (health, unit) = self.health_of(units);
        let state = match health {
            Health::Ready => HealthState::Ready,
            Health::Degraded => HealthState::Degraded,
            Health::Starting => HealthState::Starting,
            Health::Unhealthy => HealthState::Unhealthy,
            Health::Stopping => HealthState::Stopping,
        };
        let why = unit.and_then(|id| self.why(id));
        RunHealth { state, unit: unit.map(|id| self.graph.node(id).unit.id()), why }
    }

    /// Returns why a unit is not as it should be, if it is not.
    pub(in crate::run::supervisor) fn why(&self, id: UnitId) -> Option<String> {
        let last = self.control.as_ref().and_then(|control| control.ends.get(&id));
        let last = last.map(|(ended, _)| *ended);
        let unit = self.engine.unit_snapshot(id);
        words::standing(&self.graph, id, &unit, self.engine.known(id), last)
    }

    pub(super) fn unit_state(&self, id: UnitId) -> UnitState {
        let unit = self.engine.unit_snapshot(id);
        // The last event of the engine may have been long ago.
        let tick = self.clock.peek(now());
        let control = self.control.as_ref();
        let end = unit.ended.map(|ended| (ended, unit.since));
        let end = end.or_else(|| control.and_then(|control| control.ends.get(&id)).copied());
        let restarts = control.map(|control| control.tally.of(id).restarts).unwrap_or_default();
        let open = |job: &&JobState| job.status == JobStatus::Running && job.unit == unit.name;
        let job = control.and_then(|it| it.jobs.iter().find(open)?.id);
        let held = unit.wanted == Wanted::Held;
        UnitState {
            description: self.graph.node(id).unit.description.clone(),
            phase: unit.phase.word().to_owned(),
            wanted: match unit.wanted {
                Wanted::Up => "up",
                Wanted::Down => "down",
                Wanted::Held => "held",
                Wanted::Idle => "idle",
            }
            .to_owned(),
            since_ms: millis(tick.saturating_sub(unit.since)),
            ready: unit.ready,
            healthy: !unit.sick,
            why: self.why(id),
            waits_for: unit.waits_for.clone(),
            because_of: {
                let behind = self.engine.behind(id).iter();
                behind.map(|link| self.graph.node(link.unit).unit.id()).collect()
            },
            deadline_ms: unit.deadline.map(|at| millis(at.saturating_sub(tick))),
            reloading: unit.reloading,
            restarts: restarts.0.iter().sum(),
            restarts_by_reason: restarts.named(),
            changed_files: Vec::new(),
            next_run_ms: self.schedules.until(id, now()).filter(|_| !held).map(millis),
            process: unit.pid.and_then(|pid| {
                running(pid, tick.saturating_sub(unit.ran_since.unwrap_or(unit.since)))
            }),
            last_end: end.map(|(ended, at)| End {
                status: ended.status,
                why: words::reason::how(&self.graph, ended),
                ago_ms: millis(tick.saturating_sub(at)),
            }),
            job,
            name: unit.name,
        }
    }

    /// Returns the units with a name: one, or all instances of a unit.
    pub(super) fn units_named(&self, name: &str) -> Result<Vec<UnitId>, Problem> {
        match self.unit_named(name) {
            Ok(id) => Ok(vec![id]),
            Err(problem) => match self.instances_of(name) {
                none if none.is_empty() => Err(problem),
                instances => Ok(instances),
            },
        }
    }

    /// Returns the instances of the unit with a name.
    fn instances_of(&self, name: &str) -> Vec<UnitId> {
        let is_meant = |id: &UnitId| {
            let unit = &self.graph.node(*id).unit;
            unit.instance.is_some() && (unit.declared_name() == name || unit.declared_id() == name)
        };
        self.graph.ids().filter(is_meant).collect()
    }

    /// Returns the unit with a name: `STAGE.NAME`, or `NAME` if only one unit has it.
    pub(super) fn unit_named(&self, name: &str) -> Result<UnitId, Problem> {
        let all = || self.graph.ids().map(|id| (id, &self.graph.node(id).unit));
        let whole = name.split_once('.');
        let same = |unit: &Unit| whole == Some((unit.stage.name(), unit.name.as_str()));
        if let Some((id, _)) = all().find(|(_, unit)| same(unit)) {
            return Ok(id);
        }
        let mut short: Vec<_> = all().filter(|(_, unit)| unit.name == name).collect();
        // The name alone means the service, as in `after`.
        if short.iter().any(|(_, unit)| unit.stage != Stage::Test) {
            short.retain(|(_, unit)| unit.stage != Stage::Test);
        }
        match &short[..] {
            [(id, _)] => Ok(*id),
            [] if let [only] = self.instances_of(name)[..] => Ok(only),
            [] if let [_, _, ..] = self.instances_of(name)[..] => {
                let instances = self.instances_of(name).into_iter();
                let names: Vec<String> =
                    instances.map(|id| self.graph.node(id).unit.id()).collect();
                let shown = shown(name);
                let count = names.len();
                let detail = format!("`{shown}` has {count} instances: name one of them");
                Err(Problem::new(Code::NotFound, detail).near(names))
            }
            [] => {
                let names: Vec<String> =
                    all().flat_map(|(_, it)| [it.id(), it.name.clone()]).collect();
                let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                let left_out = &self.loaded.config.left_out;
                let is_meant = |id: &str| {
                    id == name || id.split_once('.').is_some_and(|(_, bare)| bare == name)
                };
                let why = left_out.iter().find(|(id, _)| is_meant(id));
                let why = why.map(|(id, why)| format!(": {id} {why}")).unwrap_or_default();
                let detail = format!("there is no unit `{}`{why}", shown(name));
                let problem = Problem::new(Code::NotFound, detail);
                Err(problem.near(near.into_iter().collect()))
            }
            several => {
                let names: Vec<String> = several.iter().map(|(_, unit)| unit.id()).collect();
                let detail = format!("`{name}` may be any of {}", names.join(", "));
                Err(Problem::new(Code::NotFound, detail).near(names))
            }
        }
    }

    pub(super) fn job(&self, number: u32) -> Result<&JobState, Problem> {
        let job =
            self.control.as_ref().and_then(|it| it.jobs.iter().find(|job| job.id == Some(number)));
        job.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no job {number}")))
    }
}

fn running(pid: i32, uptime: Duration) -> Option<Running> {
    let stat = proc::Stat::of(pid)?;
    let cpu_ms = millis(stat.cpu());
    Some(Running { pid, memory: stat.memory(), cpu_ms, uptime_ms: millis(uptime) })
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
