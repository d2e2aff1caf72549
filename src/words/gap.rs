//! What no test is about, in words.

use crate::graph::{Gap, Graph};

/// Returns the sentence for something that no test is about.
pub(crate) fn gap(graph: &Graph, gap: &Gap) -> String {
    let name = |id| graph.node(id).unit.id();
    match gap {
        Gap::Unit(id) => format!("no test names {} or asks for a port of it", name(*id)),
        Gap::Port(port) => {
            let protocol = if port.udp { "udp" } else { "tcp" };
            let whose = port.unit.map_or(String::new(), |id| format!(" of {}", name(id)));
            format!("no test asks for port {}/{protocol}{whose}", port.port)
        }
        Gap::Restart(id) => format!("no fault tries the restart of {}", name(*id)),
    }
}
