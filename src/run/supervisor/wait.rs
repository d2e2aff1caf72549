//! The turn of the loop: it waits for something to happen, and turns it into events.

use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::{Source, Watch};
use crate::engine::Event;
use crate::run::os::clock::now;
use crate::run::os::memory;

/// Every source, in the order in which they are served. The first one is polled even if there is no
/// memory for the others.
const SOURCES: [Source; 20] = [
    super::signals::SOURCE,
    super::syslog::SOURCE,
    super::oom::SOURCE,
    super::progress::SOURCE,
    super::output::SOURCE,
    super::readiness::SOURCE,
    super::notify::SOURCE,
    super::reap::SOURCE,
    super::probe::SOURCE,
    super::helper::SOURCE,
    super::schedule::SOURCE,
    super::listeners::SOURCE,
    super::drill::SOURCE,
    super::closing::SOURCE,
    super::sweep::SOURCE,
    super::control::SOURCE,
    super::control::exec::SOURCE,
    super::upward::SOURCE,
    super::journal::SOURCE,
    super::engine::SOURCE,
];

impl Supervisor {
    /// Waits for something to happen, until `until` at the latest, and turns it into events.
    pub(super) fn wait(&mut self, until: Option<Instant>) {
        let began = now();
        let idle = (!self.rested).then(|| began + memory::IDLE);
        let mut watch = Watch::new(began);
        watch.until(until);
        watch.until(idle);
        for source in &SOURCES {
            (source.watch)(self, &mut watch);
        }
        let deadline = watch.deadline;
        let ready = watch.poll();

        if ready.is_empty() && idle.is_some_and(|idle| idle <= now()) {
            self.rested = true;
            memory::let_go_of_heap();
            memory::let_go_of_code();
        }
        let missed = self.clock.look(began, deadline, now());
        self.has_missed(missed);
        for call in ready {
            call.make(self);
        }
        let now = now();
        for source in &SOURCES {
            (source.settle)(self, now);
        }
    }

    /// Notices that trc did not run for a while between two events, or before a wait.
    pub(super) fn look_at_clock(&mut self, now: Instant) {
        let missed = self.clock.look(now, None, now);
        self.has_missed(missed);
    }

    /// Lets deadlines wait for the time that was missed, and tells the engine.
    fn has_missed(&mut self, missed: Option<Duration>) {
        let Some(by) = missed else { return };
        for source in &SOURCES {
            (source.postpone)(self, by);
        }
        self.events.push_front(Event::Overslept { by });
    }
}
