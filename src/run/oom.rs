//! Whether the kernel's OOM killer has struck in this container's cgroup.

use std::fs;

/// cgroup v2 and v1, as a container sees its own.
const COUNTERS: [&str; 2] =
    ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// The counter as it was when the run began.
pub struct Watch(Option<u64>);

impl Watch {
    /// Remembers the counter.
    pub fn start() -> Self {
        Self(counter())
    }

    /// Watches nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether the counter has risen since.
    pub fn has_struck(&self) -> bool {
        matches!((self.0, counter()), (Some(before), Some(now)) if now > before)
    }
}

/// `oom_kill N`: how many processes of the cgroup any OOM killer has killed.
fn counter() -> Option<u64> {
    let text = COUNTERS.iter().find_map(|path| fs::read_to_string(path).ok())?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}
