//! Lines that still have to be written to the log.

use super::Supervisor;
use super::source::{Call, Source, Watch};

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_journal);

impl Supervisor {
    fn watch_journal(&self, watch: &mut Watch<'_>) {
        let journal = self.reporter.journal();
        for fd in journal.wants_write() {
            watch.output(fd, Call::Once(|it| it.reporter.journal().writable()));
        }
        watch.until(journal.next_deadline(watch.now));
    }
}
