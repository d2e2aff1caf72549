//! The reason why a unit is not as it should be, for clients that ask.

use super::reason::how;
use super::{detail, not_up};
use crate::config::Condition;
use crate::engine::{Detail, Ended, Purpose, UnitSnapshot, Wanted};
use crate::graph::{Graph, UnitId};

/// Returns why a unit is not up or not healthy, to follow its name; `None` if nothing is wrong with
/// it. `last` is the last exit of its process.
pub(crate) fn standing(
    graph: &Graph,
    id: UnitId,
    unit: &UnitSnapshot,
    known: Option<&Detail>,
    last: Option<Ended>,
) -> Option<String> {
    let node = graph.node(id);
    let because = |purpose| {
        let why = not_up(graph, id, purpose, known).map(|why| format!(": {why}"));
        why.unwrap_or_default()
    };
    if let Some(ended) = unit.ended {
        let why = how(graph, ended);
        let service = node.counts() && !node.oneshot && !ended.failed();
        return match (ended.failed(), service) {
            (true, _) => Some(why),
            (false, true) => Some(format!("{why}, but it is a service, which should not exit")),
            (false, false) => None,
        };
    }
    if unit.wanted == Wanted::Held {
        return Some("was stopped by hand".to_owned());
    }
    Some(match (unit.phase, &unit.waits_for) {
        ("waiting", Some(other)) => format!("waits for {other}"),
        ("waiting", None) => "waits for its turn".to_owned(),
        ("retrying" | "backoff", _) => {
            let why = last.map(|ended| how(graph, ended));
            let why = why.or_else(|| known.map(|why| detail(graph, id, why)));
            let why = why.unwrap_or_else(|| "could not be started".to_owned());
            format!("{why}, and is about to be started again")
        }
        ("stopping", _) => "is stopping".to_owned(),
        _ if unit.sick => format!("is not healthy{}", because(Purpose::Health)),
        _ if unit.ready == Some(false) => {
            format!("is not ready yet{}", because(Purpose::Ready))
        }
        ("starting", _) => "is starting".to_owned(),
        ("running", _) if node.shows_up_by(true) == Condition::Succeeded => {
            "has not finished yet".to_owned()
        }
        _ => return None,
    })
}
