//! The children of trc that it did not start: orphans that the kernel has given to it
//! (`find_new_reaper` in `kernel/exit.c`), before anybody could see that their parent had ended.

use std::collections::{BTreeMap, BTreeSet};

use super::proc::Stat;
use super::processes;

/// Those that there are. `own` are the processes that trc has started and not reaped.
pub(super) fn all<Child>(own: &BTreeMap<i32, Child>) -> Vec<i32> {
    let mut pids = processes::children();
    pids.retain(|pid| !own.contains_key(pid));
    pids
}

/// Those that were seen last.
///
/// The list of trc's children takes the kernel the longer the more of them there are, and where a
/// thousand units end together, a list for each would be most of what their stop costs. One list
/// does for all processes that had ended before it was made.
#[derive(Default)]
pub(super) struct Strangers {
    pids: Vec<i32>,
    ended: BTreeSet<i32>,
    /// Whether there was a list since `forget`.
    listed: bool,
}

impl Strangers {
    /// Whatever was seen may have changed.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Those that there are, among them each that was left by a process that has just been reaped.
    pub(super) fn left_by<Child>(&mut self, pid: i32, own: &BTreeMap<i32, Child>) -> &[i32] {
        // One that has ended since then may have left others itself.
        let lives = |pid: &i32| Stat::of(*pid).is_some_and(|stat| stat.lives());
        if !self.ended.remove(&pid) || !self.pids.iter().all(lives) {
            // One that ends alone, as most do, needs no more than the list.
            if self.listed {
                let ended = own.keys().copied().filter(|pid| processes::has_ended(*pid));
                self.ended = ended.collect();
            }
            self.pids = all(own);
            self.listed = true;
        }
        &self.pids
    }
}
