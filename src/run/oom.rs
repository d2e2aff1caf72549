//! The kernel's OOM killer, and whether it has struck in this container's cgroup.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};

use super::os::cgroup;

/// The counter as it was seen last, and the kills of which trc does not know the victims.
pub(super) struct Watch {
    seen: Option<u64>,
    /// The number of kills that nobody was told of, and that no exit explains yet.
    open: u64,
    /// The number of kills that people were told of without their victims.
    unknown: u64,
    /// The file by which the kernel reports at once that the counter has risen, with cgroup v2.
    events: Option<File>,
}

impl Watch {
    /// Starts to watch the counter.
    pub(super) fn start() -> Self {
        let seen = cgroup::oom_kills();
        let mut watch = Self { seen, open: 0, unknown: 0, events: cgroup::memory_events() };
        watch.read_events();
        watch
    }

    /// Returns a watch that watches nothing.
    pub(super) fn none() -> Self {
        Self { seen: None, open: 0, unknown: 0, events: None }
    }

    /// Returns whether a kill whose victim is not known can be the cause of an exit by SIGKILL, which
    /// it then is.
    pub(super) fn explains(&mut self) -> bool {
        self.open();
        let kills = if self.open > 0 { &mut self.open } else { &mut self.unknown };
        let explains = *kills > 0;
        *kills = kills.saturating_sub(1);
        explains
    }

    /// Returns the number of kills that nobody was told of, and that no exit explains yet.
    pub(super) fn open(&mut self) -> u64 {
        self.read_events();
        if let (Some(seen), Some(now)) = (self.seen, cgroup::oom_kills()) {
            self.seen = Some(now);
            self.open = self.open.saturating_add(now.saturating_sub(seen));
        }
        self.open
    }

    /// Records that people were told of the open kills, of which this many victims are not known, and
    /// of which some are left for exits that are about to come.
    pub(super) fn told(&mut self, unknown: u64, left: u64) {
        self.open = left;
        self.unknown = unknown;
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
