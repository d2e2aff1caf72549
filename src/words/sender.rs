//! Descriptions of the senders of signals.

use crate::engine::Sender;
use crate::graph::Graph;

/// Describes the sender of a signal: `async.test (pid 16, root)`, `pid 16 (root, bash -c …)`, or,
/// if trc cannot see the process, where the signal came from.
pub(crate) fn sender(graph: &Graph, sender: &Sender) -> String {
    if sender.pid == 0 {
        return "outside the container, or the kernel".to_owned();
    }
    let user = sender.user.clone().unwrap_or_else(|| format!("user {}", sender.uid));
    match (sender.unit, &sender.command) {
        (Some(id), _) => format!("{} (pid {}, {user})", graph.node(id).unit.id(), sender.pid),
        (None, Some(command)) => format!("pid {} ({user}, {command})", sender.pid),
        (None, None) => format!("pid {} ({user})", sender.pid),
    }
}
