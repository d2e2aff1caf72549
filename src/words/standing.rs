//! The reason why a unit is not as it should be, for clients that ask.

use super::reason::how;
use super::{detail, not_up};
use crate::config::Condition;
use crate::engine::{Detail, Ended, PhaseName, Purpose, UnitSnapshot, Wanted};
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
    if unit.wanted == Wanted::Idle {
        return None;
    }
    let watched = || match unit.ready {
        _ if unit.sick => Some(format!("is not healthy{}", because(Purpose::Health))),
        Some(false) => Some(format!("is not ready yet{}", because(Purpose::Ready))),
        Some(true) | None => None,
    };
    match (unit.phase, &unit.waits_for) {
        (PhaseName::Waiting, Some(other)) => Some(format!("waits for {other}")),
        (PhaseName::Waiting, _) if unit.idle => None,
        (PhaseName::Waiting, None) => Some("waits for its turn".to_owned()),
        (PhaseName::Retrying | PhaseName::Backoff, _) => {
            let why = last.map(|ended| how(graph, ended));
            let why = why.or_else(|| known.map(|why| detail(graph, id, why)));
            let why = why.unwrap_or_else(|| "could not be started".to_owned());
            Some(format!("{why}, and is about to be started again"))
        }
        (PhaseName::Starting, _) if unit.preparing => Some("runs its pre_start".to_owned()),
        (PhaseName::Starting, _) => Some("is starting".to_owned()),
        (PhaseName::Finishing, _) => Some("has exited, and runs its post_stop".to_owned()),
        (PhaseName::Stopping, _) => Some("is stopping".to_owned()),
        (PhaseName::Running, _) => watched().or_else(|| {
            let oneshot = node.shows_up_by(true) == Condition::Succeeded;
            oneshot.then(|| "has not finished yet".to_owned())
        }),
        (PhaseName::Watching, _) => watched(),
        // Its end has been told above.
        (PhaseName::Ended, _) => None,
    }
}
