//! The reason why a unit is not up, for clients that ask.

use super::reason::how;
use super::{detail, not_up};
use crate::config::Condition;
use crate::engine::{Detail, Purpose, UnitSnapshot, Wanted};
use crate::graph::{Graph, UnitId};

/// Returns why a unit is not up, to follow its name.
pub(crate) fn standing(
    graph: &Graph,
    id: UnitId,
    unit: &UnitSnapshot,
    known: Option<&Detail>,
) -> String {
    let because = |purpose| {
        let why = not_up(graph, id, purpose, known).map(|why| format!(": {why}"));
        why.unwrap_or_default()
    };
    if let Some(ended) = unit.ended {
        return how(graph, ended);
    }
    if unit.wanted == Wanted::Held {
        return "was stopped by hand".to_owned();
    }
    match (unit.phase, &unit.waits_for) {
        ("waiting", Some(other)) => format!("waits for {other}"),
        ("waiting", None) => "waits for its turn".to_owned(),
        ("retrying" | "backoff", _) => {
            let why = known.map(|why| format!(": {}", detail(graph, id, why)));
            format!("is about to be started again{}", why.unwrap_or_default())
        }
        ("stopping", _) => "is stopping".to_owned(),
        ("running", _) if graph.node(id).shows_up_by(true) == Condition::Succeeded => {
            "has not finished yet".to_owned()
        }
        ("running", _) if unit.ready != Some(false) => {
            format!("is not healthy{}", because(Purpose::Health))
        }
        _ => format!("is not ready yet{}", because(Purpose::Ready)),
    }
}
