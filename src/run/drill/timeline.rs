//! The timeline of a test run, for its report.

use std::time::Duration;

use super::Drill;
use crate::config::Stage;
use crate::engine::{Ended, Engine, Why};
use crate::graph::UnitId;
use crate::report::timeline::{Life, Need, Phase, Timeline};
use crate::run::os::clock::now;

impl Drill {
    /// Returns the states of all units over time.
    pub(super) fn timeline(&self, engine: &Engine) -> Timeline {
        let until = millis(now().saturating_duration_since(self.began));
        let spans = self.graph.ids().flat_map(|id| engine.timeline(id).0);
        let stops = spans.filter(|span| span.why == Why::RunStops).map(|span| span.from);
        let stop_ms = stops.min().map(millis);
        let units = self.graph.ids().map(|id| self.life(engine, id)).collect();
        Timeline { stop_ms, ended_ms: Some(until), ..Timeline::of(units, until) }
    }

    fn life(&self, engine: &Engine, id: UnitId) -> Life {
        let node = self.graph.node(id);
        let (spans, missing) = engine.timeline(id);
        let spans: Vec<_> = spans.collect();
        let phases = spans.iter().map(|span| Phase {
            word: span.phase.word(),
            from_ms: millis(span.from),
            to_ms: span.to.map(millis),
            ready_ms: span.ready.map(millis),
            failed: span.ended.is_some_and(Ended::failed),
        });
        let runs = spans.iter().find(|span| span.phase.word() == "running");
        let needs = node.needs.iter().map(|need| Need {
            unit: self.graph.node(need.unit).unit.id(),
            condition: need.condition.name().to_owned(),
            written: need.written,
        });
        let stage = node.unit.stage;
        Life {
            name: node.unit.id(),
            oneshot: node.oneshot,
            counts: matches!(stage, Stage::Boot | Stage::Async | Stage::Sync)
                && !node.idle
                && !node.is_scheduled(),
            needs: needs.collect(),
            started_ms: runs.map(|span| millis(span.from)),
            spans: Life::spans(phases, node.unit.ready.is_some()),
            missing,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
