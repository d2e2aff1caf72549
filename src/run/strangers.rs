//! The children that trc did not start: orphans that the kernel has given to it (`find_new_reaper`
//! in `kernel/exit.c`), before anybody could see that their parent had exited.

use std::collections::{BTreeMap, BTreeSet};

use super::os::proc::Stat;
use super::os::{children, kin};

/// Returns the children that trc did not start; `None` if they cannot be listed. `own` are the
/// processes that trc has started and not reaped.
pub(super) fn all<Child>(own: &BTreeMap<i32, Child>) -> Option<Vec<i32>> {
    let mut pids = kin::children()?;
    pids.retain(|pid| !own.contains_key(pid));
    Some(pids)
}

/// The last list of the children that trc did not start.
///
/// The more children trc has, the longer the kernel takes to list them. If a thousand units exit
/// together, one list for each unit would be most of what their stop costs. One list is enough for
/// all processes that had exited before it was made.
#[derive(Default)]
pub(super) struct Strangers {
    pids: Vec<i32>,
    /// Processes that had exited before that, and were not reaped since.
    ended: BTreeSet<i32>,
    /// Whether the list is up to date.
    listed: bool,
}

impl Strangers {
    /// Marks the list as out of date.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Removes a process that was reaped, because another one may get its number.
    pub(super) fn reaped(&mut self, pid: i32) {
        self.ended.remove(&pid);
    }

    /// Returns the children that trc did not start, including every child that was left by a
    /// process that has just been reaped.
    pub(super) fn left_by<Child>(&mut self, pid: i32, own: &BTreeMap<i32, Child>) -> &[i32] {
        // A stranger that has exited since then may have left others itself.
        let lives = |pid: &i32| Stat::of(*pid).is_some_and(|stat| stat.lives());
        if !self.ended.contains(&pid) || !self.pids.iter().all(lives) {
            // For a process that exits alone, as most do, it is not worth looking at the others.
            self.ended = if self.listed {
                own.keys().copied().filter(|pid| children::has_ended(*pid)).collect()
            } else {
                BTreeSet::new()
            };
            self.listed = true;
            self.pids = all(own).unwrap_or_else(|| {
                // The next process asks again.
                self.ended.clear();
                Vec::new()
            });
        }
        &self.pids
    }
}
