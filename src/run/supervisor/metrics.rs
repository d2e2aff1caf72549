//! What trc measures, for `GET /v1/metrics`. Only the counts are kept; all else is looked up when
//! somebody asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Supervisor;
use super::control::Control;
use crate::graph::UnitId;
use crate::run::os::proc::{Stat, open_fds};
use crate::wire::{Metrics, OfUnit, Usage};

impl Supervisor {
    /// Returns what is measured.
    pub(super) fn metrics(&self, control: &Control) -> Metrics {
        let about = self.about();
        let own = i32::try_from(about.pid).unwrap_or(0);
        Metrics {
            health: self.health(&[]).state,
            started: since_1970(control.tally.began),
            generation: about.generation,
            reloads: control.tally.reloads,
            reload_succeeded: control.tally.reload_succeeded,
            clients: control.clients.len(),
            usage: usage(own, Stat::own_cpu),
            units: self.graph.ids().map(|id| self.measured(control, id)).collect(),
            version: about.version,
            phase: about.phase,
        }
    }

    fn measured(&self, control: &Control, id: UnitId) -> OfUnit {
        let counts = control.tally.of(id);
        let pid = self.engine.unit_snapshot(id).pid;
        let (output, dropped) = control.output.borrow().amounts(id);
        OfUnit {
            state: self.unit_state(id),
            checked: self.graph.node(id).unit.health.is_some(),
            starts: counts.starts,
            restarts: counts.restarts,
            ready_after: counts.ready_after,
            started: counts.started.map(since_1970),
            usage: pid.and_then(|pid| usage(pid, Stat::cpu)),
            output,
            dropped,
        }
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn usage(pid: i32, cpu: fn(&Stat) -> Duration) -> Option<Usage> {
    let stat = Stat::of(pid)?;
    Some(Usage { memory: stat.memory(), cpu: cpu(&stat), fds: open_fds(pid) })
}
