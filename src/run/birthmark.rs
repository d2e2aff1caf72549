//! Finds out which unit a process comes from if nothing else tells.
//!
//! A daemon forks, creates a session of its own, and its parent exits. From then on neither its
//! parent nor its process group nor its session tells which unit started it. Its environment could,
//! but programs that set their title overwrite it, and reading that of another user takes
//! `CAP_SYS_PTRACE`, which containers do not have.
//!
//! So trc starts every unit with a mark that fork(2), execve(2), setsid(2) and setuid(2) preserve,
//! and that everybody can read in `/proc/PID/limits`: its soft `RLIMIT_LOCKS`, a limit that the
//! kernel has not enforced since Linux 2.4.25 (getrlimit(2)). The hard limit stays as it is.
//!
//! A `post_stop` has another mark, to tell its processes from those that its unit has left.
//!
//! A process can change its own mark. The mark gives no rights: it only decides which unit the
//! process is stopped with. A unit that sets `limits.locks` itself has no mark, and neither has a
//! unit under a hard limit that is lower than the marks. The processes that such units put into
//! sessions of their own are found at the end of the run.

use super::os::limits::{self, LOCKS};
use super::os::proc;
use crate::graph::UnitId;

/// The place of the marks for the `post_stop` of units, after those of the units themselves.
const POST_STOP: u64 = 1 << 19;

/// The marks of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birthmarks {
    /// The mark of the first unit, if there are marks.
    first: Option<u64>,
    /// The hard limit, which does not change.
    hard: u64,
}

impl Birthmarks {
    /// Creates marks that probably no other trc on this machine uses: a trc that runs as a unit of
    /// another one marks its own units. `chance` is any number that differs from run to run.
    pub(super) fn new(chance: u64) -> Self {
        let hard = limits::hard(LOCKS).unwrap_or(0);
        // 2^62 and up, with room for half a million units: below RLIM_INFINITY, above any real limit.
        let first = 1 << 62 | (chance >> 23) << 20;
        Self { first: Some(first).filter(|first| *first < hard - hard.min(1 << 20)), hard }
    }

    /// Returns no marks.
    pub(super) fn none() -> Self {
        Self { first: None, hard: 0 }
    }

    /// Returns the soft and the hard limit for the process of a unit.
    pub(super) fn limit(&self, unit: UnitId) -> Option<[u64; 2]> {
        let soft = self.first?.checked_add(u64::try_from(unit.0).ok()?)?;
        Some([soft, self.hard])
    }

    /// Returns the soft and the hard limit for the process of a unit's `post_stop`.
    pub(super) fn post_stop_limit(&self, unit: UnitId) -> Option<[u64; 2]> {
        let [soft, hard] = self.limit(unit)?;
        Some([soft.checked_add(POST_STOP)?, hard])
    }

    /// Returns the number of the unit that a process comes from; `None` if that cannot be found
    /// out. There may be no unit with that number.
    pub(super) fn unit_of(&self, pid: i32) -> Option<UnitId> {
        let at = self.mark_of(pid).filter(|at| *at < POST_STOP)?;
        usize::try_from(at).ok().map(UnitId)
    }

    /// Returns the same for a process that comes from the `post_stop` of a unit.
    pub(super) fn unit_of_post_stop(&self, pid: i32) -> Option<UnitId> {
        let at = self.mark_of(pid)?.checked_sub(POST_STOP)?;
        usize::try_from(at).ok().map(UnitId)
    }

    fn mark_of(&self, pid: i32) -> Option<u64> {
        let soft = locks(&proc::read(pid, "limits")?)?;
        soft.checked_sub(self.first?).filter(|at| *at < 2 * POST_STOP)
    }
}

/// Returns the soft limit in a text of `/proc/PID/limits`: `proc_pid_limits(5)`.
fn locks(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Limit                     Soft Limit           Hard Limit           Units     \n\
Max cpu time              unlimited            unlimited            seconds   \n\
Max file locks            4611686018427387907  unlimited            locks     \n\
Max pending signals       96000                96000                signals   \n";

    #[test]
    fn the_soft_limit_is_found_among_the_others() {
        assert_eq!(locks(TEXT.as_bytes()), Some((1 << 62) + 3));
        let unlimited = TEXT.replace("4611686018427387907", "unlimited          ");
        for other in ["", "Max file locks", "Max file locks \u{1} 2", &unlimited] {
            assert_eq!(locks(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn marks_stay_below_infinity_whatever_chance_says() {
        for chance in [0, 1, u64::MAX, 1 << 63, 0x5555_5555_5555_5555] {
            let marks = Birthmarks::new(chance);
            let Some(first) = marks.first else { continue };
            assert!((1 << 62..(1 << 63) + (1 << 62)).contains(&first), "{chance:x}");
            assert_eq!(marks.limit(UnitId(7)).map(|[soft, _]| soft), Some(first + 7));
        }
    }

    #[test]
    fn a_process_without_a_mark_is_no_units() {
        let marks = Birthmarks { first: Some(1 << 62), hard: u64::MAX };
        let own = std::process::id().cast_signed();
        assert_eq!((marks.unit_of(own), marks.unit_of_post_stop(own)), (None, None));
        assert_eq!(Birthmarks::none().limit(UnitId(0)), None);
    }
}
