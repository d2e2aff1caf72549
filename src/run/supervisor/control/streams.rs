//! Streams of records to clients: the output of units, and the events of the run.

use super::super::Supervisor;
use super::json;
use crate::graph::UnitId;
use crate::run::control::client::{AHEAD, State, Stream};
use crate::run::control::{ring, said};

impl Supervisor {
    /// Begins to send records.
    pub(super) fn begin_stream(&mut self, id: u32, mut stream: Stream) {
        let Some(control) = &self.control else { return };
        let select = &stream.select;
        stream.next = match (select.since, stream.of_units) {
            (Some(since), _) => since.saturating_add(1),
            (None, true) => {
                let of = |unit| stream.units.is_empty() || stream.units.contains(&unit);
                let wanted = ring::Wanted { of: &of, grep: select.grep.as_deref() };
                control.output.borrow().last(select.last, &wanted)
            }
            (None, false) => {
                let names: Vec<String> = self.names(&stream.units);
                let wanted = said::Wanted { units: &names, grep: select.grep.as_deref() };
                control.said.borrow().last(select.last, &wanted)
            }
        };
        if let Some(client) = self.client(id) {
            client.stream(stream);
        }
        self.fill(id);
    }

    pub(super) fn names(&self, units: &[UnitId]) -> Vec<String> {
        units.iter().map(|id| self.graph.node(*id).unit.id()).collect()
    }

    /// Adds records to a stream, as far as there is room. Returns whether there were any, or the
    /// stream has ended.
    pub(super) fn fill(&mut self, id: u32) -> bool {
        const LINES: usize = 256;
        let Some(control) = &self.control else { return false };
        let Some(client) = control.clients.get(&id) else { return false };
        let State::Streams(stream) = &client.state else { return false };
        let (grep, sse) = (stream.select.grep.as_deref(), stream.sse);
        let (entries, next, end) = if stream.of_units {
            let of = |unit| stream.units.is_empty() || stream.units.contains(&unit);
            let wanted = ring::Wanted { of: &of, grep };
            let name = |unit: UnitId| self.graph.node(unit).unit.id();
            let output = control.output.borrow();
            let (entries, next) = output.read(stream.next, AHEAD, &wanted, &name);
            (entries, next, output.end())
        } else {
            let names = self.names(&stream.units);
            let wanted = said::Wanted { units: &names, grep };
            let said = control.said.borrow();
            let (entries, next) = said.read(stream.next, LINES, &wanted);
            (entries, next, said.end())
        };
        let moved = next > stream.next;
        let over = next >= end && !stream.select.follow;
        let lines: Vec<Vec<u8>> = entries.iter().map(json).collect();
        let Some(client) = self.client(id) else { return false };
        if let State::Streams(stream) = &mut client.state {
            stream.next = next;
        }
        for line in lines {
            client.record(&line, sse);
        }
        if over {
            client.state = State::Ends;
        }
        moved || over
    }
}
