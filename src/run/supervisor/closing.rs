//! Connections of attempts that have finished, which are closed while everything else goes on.

use std::time::Instant;

use super::Supervisor;
use super::source::{Call, Source, Watch};

pub(super) const SOURCE: Source =
    Source { settle: Supervisor::close, ..Source::new(Supervisor::watch_closings) };

impl Supervisor {
    fn watch_closings<'s>(&'s self, watch: &mut Watch<'s>) {
        for fd in self.probes.closings.fds() {
            watch.input(fd, Call::Once(|it| it.probes.closings.heard = true));
        }
        watch.until(self.probes.closings.deadline());
    }

    fn close(&mut self, now: Instant) {
        if std::mem::take(&mut self.probes.closings.heard) {
            self.probes.closings.proceed();
        }
        self.probes.closings.end_late(now);
    }
}
