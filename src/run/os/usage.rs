//! What processes have used up by the time they end.

use std::time::Duration;

/// What processes have used that have ended, each with those that it had waited for: wait4(2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Usage {
    /// CPU time of all of them.
    pub cpu: Duration,
    /// The most resident memory that one of them has ever had, in bytes; before it was executed
    /// a process has trc's.
    pub peak: u64,
}

impl Usage {
    /// One more process has ended.
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
            // getrusage(2) has it in KiB.
            peak: u64::try_from(used.ru_maxrss).unwrap_or(0).saturating_mul(1024),
        }
    }
}
