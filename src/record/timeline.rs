//! The timeline of a run, as the engine that has decided the run knows it.

use std::time::Duration;

use crate::config::Stage;
use crate::engine::{Ended, Engine, Tick, Why};
use crate::graph::UnitId;
use crate::report::timeline::{Life, Need, Phase, Timeline};

/// Returns the states of all units over time, up to `until`, when the run may have ended.
pub(crate) fn timeline(engine: &Engine, until: Tick, ended: bool) -> Timeline {
    let graph = engine.graph();
    let spans = graph.ids().flat_map(|id| engine.timeline(id).0);
    let stops = spans.filter(|span| span.why == Why::RunStops).map(|span| span.from);
    let stop_ms = stops.min().map(millis);
    let units = graph.ids().map(|id| life(engine, id)).collect();
    let until = millis(until);
    Timeline { stop_ms, ended_ms: ended.then_some(until), ..Timeline::of(units, until) }
}

fn life(engine: &Engine, id: UnitId) -> Life {
    let graph = engine.graph();
    let node = graph.node(id);
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
        unit: graph.node(need.unit).unit.id(),
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
