//! The surroundings that units start from, and the changes that boot scripts make to them.

use std::ffi::OsString;
use std::rc::Rc;

use super::super::prepare::{Environment, LazyShell, Surroundings};
use super::Supervisor;
use super::held::Held;
use crate::config::Config;
use crate::engine::Event;
use crate::graph::{Graph, UnitId};
use crate::shell::{Saved, State};
use crate::words::Observed;

/// The surroundings that units start from.
pub(super) struct Ground {
    /// trc's own environment without its settings, or the environment that boot has left.
    pub base: Environment,
    /// The shell of scripts.
    pub shell: LazyShell,
    /// The state that boot scripts have left so far.
    pub state: Option<State>,
}

impl Supervisor {
    pub(super) fn surroundings(&self, end: Option<(u8, String)>) -> Surroundings<'_> {
        Surroundings {
            socket: None,
            config: &self.loaded.config,
            base: &self.ground.base,
            shell: &self.ground.shell,
            state: self.ground.state.as_ref(),
            end,
        }
    }

    /// Replaces the graph.
    pub(super) fn take_over(&mut self, graph: Rc<Graph>) {
        self.units.resize_with(graph.nodes.len(), Held::default);
        // A new unit may have the identity of one that is gone for good.
        for (at, (old, new)) in self.graph.nodes.iter().zip(&graph.nodes).enumerate() {
            if old.unit.id() != new.unit.id() {
                self.units[at] = Held::default();
                if let Some(control) = &mut self.control {
                    control.forget(UnitId(at));
                }
            }
        }
        self.drill(|drill, _| drill.settled(Rc::clone(&graph)));
        self.graph = graph;
        self.schedules.changed();
    }

    /// Applies the changes that boot has made to the command line.
    pub(super) fn settle(&mut self) {
        let args = self.ground.state.as_ref().map(|state| state.args().to_vec());
        let Some(rest) = args.filter(|args| *args != self.loaded.config.rest) else {
            self.loaded.forget(!self.graph.transparent);
            self.events.push_back(Event::Settled { words: None });
            return;
        };
        let built = self
            .loaded
            .with_rest(rest.clone())
            .and_then(|config| Ok((Graph::build(&config)?, config)));
        let event = match built {
            Ok((graph, config)) => {
                let graph = Rc::new(graph.over(&self.graph));
                // A boot script may have added `--log-level`.
                self.reporter.journal().set_level(config.log.level);
                self.loaded.config = Config { units: Vec::new(), ..config };
                self.loaded.forget(!self.graph.transparent);
                self.record_offer(&graph, self.loaded.config.log.level, (&[], false, false));
                self.engine.offer(Rc::clone(&graph), Vec::new());
                self.take_over(graph);
                Event::Settled { words: Some(rest) }
            }
            Err(diagnostics) => {
                self.reporter.diagnostics(&self.loaded.illustrate(diagnostics));
                Event::Unsettled
            }
        };
        self.events.push_back(event);
    }

    /// Takes over the state that a boot script has left, from which later units start.
    pub(super) fn take_state(&mut self, id: UnitId, saved: &Saved, given: &[(OsString, OsString)]) {
        match State::read(saved, given) {
            Ok(Some(state)) => {
                let own = |(name, _): &&(OsString, OsString)| !crate::config::is_own_variable(name);
                self.ground.base =
                    Environment::new(state.environment().iter().filter(own).cloned());
                for name in state.oversize() {
                    self.observed(&Observed::TooLong(name));
                }
                self.ground.state = Some(state);
            }
            Ok(None) => {}
            Err(why) => {
                self.observed(&Observed::StateLost(id, &why));
            }
        }
    }
}
