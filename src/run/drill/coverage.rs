//! The units, ports and restarts that no test is about.

use super::{Drill, Run};
use crate::graph::{Gap, OpenPort, UnitId, gaps};
use crate::report::Untested;
use crate::run::check::listening;
use crate::run::check::resources::Processes;
use crate::words;

impl Drill {
    /// Looks at the ports that are open after the last test.
    pub(super) fn look_at_ports(&self, run: &dyn Run) -> Vec<OpenPort> {
        let all = Processes::read();
        let of = |id: UnitId| {
            let main = run.pid(id)?;
            Some((id, all.of_unit(main, run.group(id).unwrap_or(main))))
        };
        let units: Vec<(UnitId, Vec<i32>)> = self.graph.ids().filter_map(of).collect();
        listening::open_ports(&units)
    }

    /// Returns the units, ports and restarts that no test is about.
    pub(super) fn untested(&self) -> Vec<Untested> {
        let name = |id| self.graph.node(id).unit.id();
        let gaps = gaps(&self.graph, &self.open);
        let untested = |gap: &Gap| {
            let (kind, unit, port) = match gap {
                Gap::Unit(id) => ("unit", Some(*id), None),
                Gap::Restart(id) => ("restart", Some(*id), None),
                Gap::Port(port) => {
                    let protocol = if port.udp { "udp" } else { "tcp" };
                    ("port", port.unit, Some(format!("{}/{protocol}", port.port)))
                }
            };
            let text = words::gap(&self.graph, gap);
            Untested { kind: kind.to_owned(), unit: unit.map(name), port, text }
        };
        gaps.iter().map(untested).collect()
    }
}
