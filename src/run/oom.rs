//! The kernel's OOM killer, and whether it has struck in this container's cgroup.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};

use super::os::cgroup;

/// The counter as it was when the run began, and as it was seen last.
pub(super) struct Watch {
    before: Option<u64>,
    seen: Option<u64>,
    /// The file by which the kernel reports at once that the counter has risen, with cgroup v2.
    events: Option<File>,
}

impl Watch {
    /// Starts to watch the counter.
    pub(super) fn start() -> Self {
        let before = cgroup::oom_kills();
        let mut watch = Self { before, seen: before, events: cgroup::memory_events() };
        watch.read_events();
        watch
    }

    /// Returns a watch that watches nothing.
    pub(super) fn none() -> Self {
        Self { before: None, seen: None, events: None }
    }

    /// Returns whether the counter has risen since the run began.
    pub(super) fn has_struck(&self) -> bool {
        matches!((self.before, cgroup::oom_kills()), (Some(before), Some(now)) if now > before)
    }

    /// Returns how many processes were killed since the last call.
    pub(super) fn news(&mut self) -> u64 {
        self.read_events();
        let (Some(seen), Some(now)) = (self.seen, cgroup::oom_kills()) else { return 0 };
        self.seen = Some(now);
        now.saturating_sub(seen)
    }

    /// Returns the descriptor to poll for POLLPRI: poll(2) of a file that cgroup v2 notifies of.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// Reads the file, because the kernel reports changes since it was last read.
    fn read_events(&mut self) {
        let Some(events) = &mut self.events else { return };
        let mut text = String::new();
        let read = events.seek(SeekFrom::Start(0)).and_then(|_| events.read_to_string(&mut text));
        if read.is_err() {
            // A file that cannot be read would be reported again and again.
            self.events = None;
        }
    }
}
