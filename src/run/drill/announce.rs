//! The events of a test run while it goes on, for whoever reads them.

use super::{Drill, Run, flaws};
use crate::engine::{Ended, Fact};
use crate::graph::UnitId;
use crate::report::{Event, Lacking, Live};
use crate::words::reason;

impl Drill {
    /// Reports a fact as an event.
    pub(super) fn announce(&mut self, run: &mut dyn Run, fact: &Fact) {
        if self.live != Live::Events {
            return;
        }
        let name = |id: UnitId| self.graph.node(id).unit.id();
        let event = match fact {
            Fact::TestBegan { unit } => Event::Test { name: name(*unit) },
            Fact::Ready { unit, after } => Event::Ready { unit: name(*unit), after: *after },
            Fact::Restarting { unit, after, how, status, .. } => {
                let ended = Ended { how: *how, status: *status, place: 0 };
                let why = flaws::how_it_ended(run, *unit, ended);
                Event::Restarting { unit: name(*unit), after: *after, why }
            }
            Fact::NotUpYet { units } => {
                let lacking = units.iter().map(|(id, lack)| Lacking {
                    unit: name(*id),
                    lack: reason::lack(*lack).to_owned(),
                });
                Event::NotUp { units: lacking.collect() }
            }
            Fact::Stopping => Event::Stopping,
            _ => return,
        };
        self.tell_event(run, &event);
    }

    /// Reports that a unit is not ready yet, and why.
    pub(crate) fn waiting(&mut self, run: &mut dyn Run, id: UnitId, why: &str) {
        if self.live == Live::Events {
            let unit = self.graph.node(id).unit.id();
            self.tell_event(run, &Event::Waiting { unit, why: why.to_owned() });
        }
    }

    /// Reports that an attempt of a test begins.
    pub(super) fn announce_attempt(&mut self, run: &mut dyn Run, id: UnitId) {
        if self.live != Live::Events {
            return;
        }
        let number = match self.attempts {
            Some((test, before)) if test == id => before.saturating_add(1),
            _ => 1,
        };
        self.attempts = Some((id, number));
        self.tell_event(run, &Event::Attempt { test: self.graph.node(id).unit.id(), number });
    }

    /// Writes an event. Only points and the end are written in any case. An event that its reader
    /// is too slow for is left out, so that nothing waits for it and nothing is kept for it. So is
    /// an event that would come before a point that is still to be written.
    fn tell_event(&mut self, run: &mut dyn Run, event: &Event) {
        if self.say_points(run) {
            run.journal().report(event.line().as_bytes());
        }
    }
}
