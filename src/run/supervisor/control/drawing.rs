//! What a page needs to draw a run: the graph, the phases over time, and the configuration.

use std::time::SystemTime;

use super::super::Supervisor;
use super::states::millis;
use crate::engine;
use crate::journal::utc;
use crate::run::os::clock::now;
use crate::wire::{Drawing, DrawnUnit, Edge, Setting, Settings, Span, Timeline, UnitTimeline};
use crate::words;

impl Supervisor {
    /// Returns the units and what they wait for.
    pub(super) fn drawing(&self) -> Drawing {
        let name = |id| self.graph.node(id).unit.id();
        let units = self.graph.ids().map(|id| {
            let state = self.unit_state(id);
            DrawnUnit {
                stage: self.graph.node(id).unit.stage.name().to_owned(),
                state: state.state().to_owned(),
                up: state.is_up(),
                oneshot: self.graph.node(id).oneshot,
                checked: self.graph.node(id).unit.ready.is_some(),
                name: state.name,
                description: state.description,
            }
        });
        let edges = self.graph.ids().flat_map(|id| {
            self.graph.node(id).needs.iter().map(move |need| Edge {
                from: name(need.unit),
                to: name(id),
                condition: need.condition.name().to_owned(),
                written: need.written,
            })
        });
        Drawing { units: units.collect(), edges: edges.collect() }
    }

    /// Returns the phases of the units since the run began.
    pub(super) fn timeline(&self, began: SystemTime) -> Timeline {
        let span = |span: engine::Span| Span {
            phase: span.phase.word().to_owned(),
            from_ms: millis(span.from),
            to_ms: span.to.map(millis),
            ready_ms: span.ready.map(millis),
            why: words::turn(&self.graph, &span),
            failed: span.ended.is_some_and(engine::Ended::failed),
        };
        let units = self.graph.ids().map(|id| {
            let (spans, missing) = self.engine.timeline(id);
            let name = self.graph.node(id).unit.id();
            UnitTimeline { name, missing, spans: spans.map(span).collect() }
        });
        let (time, milliseconds) = utc(began);
        Timeline {
            began: format!("{time}.{milliseconds:03}Z"),
            now_ms: millis(self.clock.peek(now())),
            units: units.collect(),
        }
    }

    /// Returns the configuration as it is written, without the values of variables.
    pub(super) fn settings(&self) -> Settings {
        let keys = self.loaded.effective().into_iter().map(|it| Setting {
            key: it.key,
            hidden: it.value.is_none(),
            value: it.value,
            origin: it.origin,
            overrides: it.beaten.into_iter().map(|beaten| beaten.origin).collect(),
        });
        Settings { generation: self.engine.snapshot().generation, keys: keys.collect() }
    }
}
