//! Sentences for the units, ports and restarts that no test is about.

use crate::graph::{Gap, Graph};

/// Returns the sentence for one of them.
pub(crate) fn gap(graph: &Graph, gap: &Gap) -> String {
    let name = |id| graph.node(id).unit.id();
    match gap {
        Gap::Unit(id) => format!("no test names {} or uses one of its ports", name(*id)),
        Gap::Port(port) => {
            let protocol = if port.udp { "udp" } else { "tcp" };
            let whose = port.unit.map_or(String::new(), |id| format!(" of {}", name(id)));
            format!("no test uses port {}/{protocol}{whose}", port.port)
        }
        Gap::Restart(id) => format!("no fault tests the restart of {}", name(*id)),
    }
}
