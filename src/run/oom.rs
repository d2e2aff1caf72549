//! Whether the kernel's OOM killer has struck in this container's cgroup.

use super::cgroup::oom_kills;

/// The counter as it was when the run began.
pub struct Watch(Option<u64>);

impl Watch {
    /// Remembers the counter.
    pub fn start() -> Self {
        Self(oom_kills())
    }

    /// Watches nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether the counter has risen since.
    pub fn has_struck(&self) -> bool {
        matches!((self.0, oom_kills()), (Some(before), Some(now)) if now > before)
    }
}
