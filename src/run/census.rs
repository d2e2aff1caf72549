//! Who is there: the processes that a test run asks about.

use nix::unistd::{Pid, getpid, getsid};

use super::proc::Stat;
use super::processes;

/// Processes that have ended, and whose parents are others than trc and live.
pub(super) fn zombies() -> Vec<i32> {
    let own = getpid().as_raw();
    let mut candidates = processes::descendants();
    candidates.retain(|pid| Stat::of(*pid).is_some_and(|stat| !stat.lives() && stat.parent != own));
    candidates
}

/// As PID 1, processes that don't descend from trc: what came in by `docker exec`.
pub(super) fn outsiders() -> Vec<i32> {
    let own = processes::descendants();
    processes::all().into_iter().filter(|pid| !own.contains(pid)).collect()
}

/// The process group of a process, one that has ended too.
pub(super) fn group(pid: i32) -> Option<i32> {
    Stat::of(pid).map(|stat| stat.group)
}

/// The session of a process, of this one by 0; None if there is none of this number.
pub(super) fn session(pid: i32) -> Option<i32> {
    getsid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}
