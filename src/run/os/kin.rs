//! The descendants of processes, according to `/proc`. Without it, trc knows its children at most.

use std::collections::BTreeMap;

use nix::unistd::getpid;

use super::children;
use super::proc::{self, Stat};

/// Returns every visible process except PID 1.
pub(crate) fn all() -> Vec<i32> {
    parents().into_keys().filter(|pid| *pid != 1).collect()
}

/// Returns every process that trc is responsible for: as PID 1 all others, and otherwise all of its
/// descendants.
pub(crate) fn in_care() -> Vec<i32> {
    if getpid().as_raw() == 1 { all() } else { descendants() }
}

/// As PID 1, returns the processes that do not descend from trc, which came in by `docker exec`.
/// Otherwise, they are not known.
pub(crate) fn outsiders() -> Vec<i32> {
    let mut all = if getpid().as_raw() == 1 { all() } else { Vec::new() };
    // Without /proc, no process is known, so there is no point in looking for trc's own.
    let own = if all.is_empty() { Vec::new() } else { descendants() };
    all.retain(|pid| !own.contains(pid));
    all
}

/// Returns the descendants of trc that have exited and whose parents live and are not trc.
pub(crate) fn zombies() -> Vec<i32> {
    let own = getpid().as_raw();
    let mut candidates = descendants();
    candidates.retain(|pid| Stat::of(*pid).is_some_and(|stat| !stat.lives() && stat.parent != own));
    candidates
}

/// Returns every descendant of trc, children before grandchildren. Without `/proc`, returns only
/// the children that are found.
pub(crate) fn descendants() -> Vec<i32> {
    let own = getpid().as_raw();
    let parents = parents();
    if parents.contains_key(&own) {
        return below(own, parents);
    }
    // It may be unreadable for a moment only, because there was no descriptor left.
    let parents = self::parents();
    if parents.contains_key(&own) { below(own, parents) } else { children::by_asking() }
}

/// Returns every descendant of a process, children before grandchildren, from the parent of each
/// process.
pub(crate) fn below(pid: i32, parents: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
    below_all(&[pid], parents)
}

/// Returns every descendant of some processes, from the parent of each process.
pub(crate) fn below_all(pids: &[i32], parents: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in parents {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut next = pids.to_vec();
    while let Some(parent) = next.pop() {
        if let Some(pids) = children.remove(&parent) {
            found.extend(&pids);
            next.extend(pids);
        }
    }
    found
}

/// Returns every child of trc, including zombies; `None` without `/proc`, or without a descriptor
/// to read it.
pub(crate) fn children() -> Option<Vec<i32>> {
    let own = getpid().as_raw();
    // Kernels with CONFIG_PROC_CHILDREN have this file: `proc_pid_task(5)`. trc has one thread.
    if let Some(text) = proc::read_all(format_args!("/proc/{own}/task/{own}/children")) {
        let text = String::from_utf8_lossy(&text);
        return Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect());
    }
    let parents = parents();
    let is_child = |(_, parent): &(i32, i32)| *parent == own;
    parents
        .contains_key(&own)
        .then(|| parents.into_iter().filter(is_child).map(|(pid, _)| pid).collect())
}

/// Returns each visible process and its parent.
fn parents() -> BTreeMap<i32, i32> {
    proc::pids().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: i32) -> Option<i32> {
    Stat::of(pid).map(|stat| stat.parent)
}

/// Returns a process and its visible ancestors, including trc if it is one of them; `None` if that
/// can no longer be found out.
pub(crate) fn ancestry(pid: i32) -> Option<Vec<i32>> {
    let own = getpid().as_raw();
    let mut line = vec![pid];
    // A chain this long means that the process table changes while it is read.
    while line.len() < 1000 {
        let last = *line.last()?;
        if last == own || last <= 1 {
            return Some(line);
        }
        line.push(parent(last)?);
    }
    None
}
