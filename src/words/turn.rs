//! The reason why a unit has entered a phase, for the timeline.

use super::reason::how;
use crate::engine::{Span, Verdict, Why};
use crate::graph::Graph;

/// Returns why a unit has entered a phase, as a sentence without its full stop.
pub(crate) fn turn(graph: &Graph, span: &Span) -> String {
    if let Some(ended) = span.ended {
        return format!("it {}", how(graph, ended));
    }
    match span.why {
        Why::Begun => "the unit was added to the run",
        Why::Met => "its conditions hold, and it is its turn",
        Why::Executed => "its command was executed",
        Why::Scarce => "the kernel had no room for another process",
        Why::Exited => "it exited, and its restart policy starts it again",
        Why::Again => "the delay before its restart is over",
        Why::Together | Why::Found(Verdict::Together) => {
            "it is restarted together with another unit"
        }
        Why::Gone => "its process has exited",
        Why::Found(Verdict::Unprepared) => "its pre_start did not exit in time",
        Why::Found(Verdict::NotReady) => "it was not ready in time",
        Why::Found(Verdict::Unhealthy { .. }) => "its health check has failed",
        Why::Found(Verdict::Overran) => "it exceeded its max_runtime",
        Why::Asked | Why::Found(Verdict::Asked) => "somebody requested it",
        Why::Reloaded => "a new configuration takes over",
        Why::RunStops => "the run stops",
        Why::StopCommandFailed => "its stop command failed",
        Why::Slow => "it did not stop in time",
        Why::Over => "it has ended",
    }
    .to_owned()
}
