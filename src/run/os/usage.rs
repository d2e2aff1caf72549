//! The resources that processes have used by the time they exit.

use std::time::Duration;

/// The usage of processes that have exited, each with the children that it had waited for:
/// wait4(2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Usage {
    /// The CPU time of all of them.
    pub cpu: Duration,
    /// The highest peak of the resident memory of any of them, in bytes. Until a process has
    /// executed its command, its memory is trc's.
    pub peak: u64,
}

impl Usage {
    /// Adds another process that has exited.
    pub(crate) fn add(&mut self, other: Self) {
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.peak = self.peak.max(other.peak);
    }
}

impl From<&libc::rusage> for Usage {
    fn from(used: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
            seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
        };
        Self {
            cpu: time(used.ru_utime).saturating_add(time(used.ru_stime)),
            // getrusage(2) reports it in KiB.
            peak: u64::try_from(used.ru_maxrss).unwrap_or(0).saturating_mul(1024),
        }
    }
}
