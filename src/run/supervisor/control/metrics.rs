//! What trc measures, for `GET /v1/metrics`. Only the counts are kept; all else is looked up when
//! somebody asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::Supervisor;
use super::Control;
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
            usage: own_usage(own),
            units: self.graph.ids().map(|id| self.measured(control, id)).collect(),
            version: about.version,
            phase: about.phase,
        }
    }

    fn measured(&self, control: &Control, id: UnitId) -> OfUnit {
        let counts = control.tally.of(id);
        let state = self.unit_state(id);
        let usage = state.process.as_ref().map(|process| Usage {
            memory: process.memory,
            cpu: Duration::from_millis(process.cpu_ms),
            fds: open_fds(process.pid),
        });
        let (output, dropped) = control.output.borrow().amounts(id);
        OfUnit {
            state,
            checked: self.graph.node(id).unit.health.is_some(),
            starts: counts.starts,
            restarts: counts.restarts,
            ready_after: counts.ready_after,
            started: counts.started.map(since_1970),
            usage,
            output,
            dropped,
        }
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn own_usage(pid: i32) -> Option<Usage> {
    let stat = Stat::of(pid)?;
    Some(Usage { memory: stat.memory(), cpu: stat.own_cpu(), fds: open_fds(pid) })
}
