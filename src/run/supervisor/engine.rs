//! The engine's deadlines.

use std::time::Instant;

use super::Supervisor;
use super::end::Course;
use super::source::{Source, Watch};
use crate::engine::Event;

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::wake, ..Source::new(Supervisor::watch_engine) };

impl Supervisor {
    fn watch_engine(&self, watch: &mut Watch<'_>) {
        watch.until(self.engine_deadline());
    }

    fn wake(&mut self, now: Instant) {
        if self.engine_deadline().is_some_and(|deadline| deadline <= now) {
            self.events.push_back(Event::Woken);
        }
    }

    fn engine_deadline(&self) -> Option<Instant> {
        match self.course {
            Course::Goes | Course::Ends(_) => Some(self.clock.moment(self.engine.next_deadline()?)),
            Course::Over | Course::Abandoned => None,
        }
    }
}
