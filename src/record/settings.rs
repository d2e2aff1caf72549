//! The configuration of a recorded run, as far as the engine and its sentences depend on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::unit::{Recorded, time};
use crate::graph::{Graph, Rule};

/// The configuration, from which an equal graph can be built.
///
/// The values are those that trc has used: variables are replaced, and whatever has no effect on the
/// engine is left out or is a stand-in, such as the address of a probe. The keys are those of the
/// configuration itself, so a later trc can read the records of an earlier one.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The keys that do not belong to a unit.
    keys: Json,
    /// The units in `exit.unit`, in their order.
    own: Vec<String>,
    /// The units in their order.
    units: Vec<Recorded>,
    /// Whether the run has only the trailing command, and trc is transparent.
    transparent: bool,
    /// The settings of a test run.
    testing: Option<Tested>,
}

/// The settings of a test run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Tested {
    strict: bool,
    /// The test points that may fail, with the tests that allow it.
    allowed: BTreeMap<String, String>,
}

impl Settings {
    /// Returns the settings of a graph, and a log level.
    #[must_use]
    pub(crate) fn of(graph: &Graph, level: log::LevelFilter) -> Self {
        let name = |id: &crate::graph::UnitId| graph.node(*id).unit.id();
        let mut keys = Map::new();
        keys.insert("wait".to_owned(), json!(graph.wait));
        keys.insert("log".to_owned(), json!({ "level": level.as_str().to_ascii_lowercase() }));
        if let Some(timeout) = graph.written_budget {
            keys.insert("shutdown".to_owned(), json!({ "timeout": time(timeout) }));
        }
        let rule = |rule: &Rule| match rule {
            Rule::Stop => Some(json!("stop")),
            Rule::Ignore => Some(json!("ignore")),
            Rule::Reopen => Some(json!("reopen")),
            Rule::Reload => Some(json!("reload")),
            Rule::Forward(signal, to) => {
                let to: Vec<String> = to.iter().map(name).collect();
                let to = (!to.is_empty()).then_some(to);
                Some(json!({ "forward": signal, "to": to }))
            }
            // No configuration can ask for it.
            Rule::Foreground => None,
        };
        let rules = graph.rules.iter().filter_map(|(of, it)| Some((of.to_string(), rule(it)?)));
        keys.insert("signals".to_owned(), Json::Object(rules.collect()));
        let exit = graph.exit.iter().map(|(from, to)| (from.to_string(), json!(to)));
        let mut exit: Map<String, Json> = exit.collect();
        exit.extend(graph.stopped.map(|to| ("stopped".to_owned(), json!(to))));
        keys.insert("exit".to_owned(), Json::Object(exit));
        let mut ids: Vec<_> = graph.ids().collect();
        ids.sort_by_key(|id| graph.node(*id).declared);
        Self {
            keys: Json::Object(keys),
            own: graph.own.iter().map(name).collect(),
            units: ids.into_iter().map(|id| Recorded::of(&graph.node(id).unit)).collect(),
            transparent: graph.transparent,
            testing: graph
                .testing
                .then(|| Tested { strict: graph.strict, allowed: graph.allowed.clone() }),
        }
    }

    /// Returns an equal graph, with other values for some keys: `KEY=VALUE`. `path` is the file that
    /// errors name.
    ///
    /// # Errors
    /// Returns everything that is wrong with the values.
    #[cfg(feature = "ctl")]
    pub(crate) fn graph(
        &self,
        path: &std::path::Path,
        with: &[std::ffi::OsString],
    ) -> Result<Graph, Vec<crate::config::Diagnostic>> {
        use crate::config::{CommandLine, Origin, Placed, load_tables};

        let mut line = CommandLine { overrides: with.to_vec(), ..CommandLine::default() };
        if let Some(testing) = &self.testing {
            line.test = Some(String::new());
            line.test_strict = testing.strict;
        }
        let units = self.units.iter().map(Recorded::table);
        let tables = std::iter::once(self.keys.clone()).chain(units).collect();
        let mut loaded = load_tables(path, tables, &line).map_err(|it| it.beside(Vec::new()))?;
        let known: BTreeMap<&str, &Recorded> =
            self.units.iter().map(|unit| (unit.id.as_str(), unit)).collect();
        let set: Vec<String> = with.iter().map(|it| it.to_string_lossy().into_owned()).collect();
        for unit in &mut loaded.config.units {
            if let Some(recorded) = known.get(unit.id().as_str()) {
                recorded.complete(unit, &set);
            }
        }
        if !set.iter().any(|it| it.starts_with("exit.unit")) {
            let own = self.own.iter().cloned();
            loaded.config.exit.own =
                own.map(|value| Placed { value, origin: Origin::Default }).collect();
        }
        let graph = Graph::build(&loaded.config).map_err(|wrong| loaded.illustrate(wrong))?;
        let allowed = self.testing.as_ref().map(|it| it.allowed.clone()).unwrap_or_default();
        Ok(Graph { transparent: graph.transparent && self.transparent, allowed, ..graph })
    }

    /// Returns whether they are those of a test run.
    #[cfg(feature = "ctl")]
    #[must_use]
    pub(crate) fn is_tested(&self) -> bool {
        self.testing.is_some()
    }

    /// Returns the log level of the run.
    #[cfg(feature = "ctl")]
    #[must_use]
    pub(crate) fn level(&self) -> log::LevelFilter {
        let level = self.keys["log"]["level"].as_str();
        level.and_then(|level| level.parse().ok()).unwrap_or(log::LevelFilter::Info)
    }
}
