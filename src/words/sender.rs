//! Descriptions of the processes that send signals and requests.

use crate::engine::{Asker, Sender};
use crate::graph::Graph;

/// Describes the sender of a signal: `async.test (pid 16, root)`, `pid 16 (root, bash -c …)`, or,
/// if trc cannot see the process, where the signal came from.
pub(crate) fn sender(graph: &Graph, sender: &Sender) -> String {
    match sender.asker.pid {
        0 => "outside the container or from the kernel".to_owned(),
        _ => asker(graph, &sender.asker),
    }
}

/// Describes who asks something of trc: `async.web (pid 16, root)`, `pid 16 (root, trcctl …)`, or,
/// if trc cannot see the process, `root outside the container`.
pub(super) fn asker(graph: &Graph, asker: &Asker) -> String {
    let Asker { pid, uid, user, command, unit } = asker;
    let user = user.clone().unwrap_or_else(|| format!("user {uid}"));
    match (unit, command) {
        _ if *pid == 0 => format!("{user} outside the container"),
        (Some(id), _) => format!("{} (pid {pid}, {user})", graph.node(*id).unit.id()),
        (None, Some(command)) => format!("pid {pid} ({user}, {command})"),
        (None, None) => format!("pid {pid} ({user})"),
    }
}
