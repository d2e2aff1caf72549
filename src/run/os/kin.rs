//! Who descends from whom, as `/proc` shows it; without it trc knows its children at most.

use std::collections::BTreeMap;

use nix::unistd::getpid;

use super::children;
use super::proc::{self, Stat};

/// Every process in sight but PID 1.
pub(crate) fn all() -> Vec<i32> {
    parents().into_keys().filter(|pid| *pid != 1).collect()
}

/// Every process that trc is responsible for: as PID 1 all others, else all of its descendants.
pub(crate) fn in_care() -> Vec<i32> {
    if getpid().as_raw() == 1 { all() } else { descendants() }
}

/// As PID 1, the processes that do not descend from trc: what came in by `docker exec`. Elsewhere
/// nobody knows of any.
pub(crate) fn outsiders() -> Vec<i32> {
    let mut all = if getpid().as_raw() == 1 { all() } else { Vec::new() };
    // Without /proc nobody is known, and to look for trc's own would be in vain.
    let own = if all.is_empty() { Vec::new() } else { descendants() };
    all.retain(|pid| !own.contains(pid));
    all
}

/// Descendants of trc that have exited, and whose parents are others than trc and live.
pub(crate) fn zombies() -> Vec<i32> {
    let own = getpid().as_raw();
    let mut candidates = descendants();
    candidates.retain(|pid| Stat::of(*pid).is_some_and(|stat| !stat.lives() && stat.parent != own));
    candidates
}

/// Every descendant of trc, children before grandchildren; without `/proc` only the children,
/// as far as they are found.
pub(crate) fn descendants() -> Vec<i32> {
    let own = getpid().as_raw();
    let parents = parents();
    if parents.contains_key(&own) {
        return below(own, parents);
    }
    // It may have been unreadable for a moment only, for want of a descriptor.
    let parents = self::parents();
    if parents.contains_key(&own) { below(own, parents) } else { children::by_asking() }
}

/// Every descendant of a process, children before grandchildren, by each process's parent.
pub(crate) fn below(pid: i32, parents: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
    below_all(&[pid], parents)
}

/// Every descendant of some processes, by each process's parent.
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

/// Every child of trc's, zombies too; `None` without `/proc`, or without a descriptor to read it.
pub(crate) fn children() -> Option<Vec<i32>> {
    let own = getpid().as_raw();
    // Of kernels with CONFIG_PROC_CHILDREN: `proc_pid_task(5)`. trc has one thread.
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

/// Each process in sight and its parent.
fn parents() -> BTreeMap<i32, i32> {
    proc::pids().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: i32) -> Option<i32> {
    Stat::of(pid).map(|stat| stat.parent)
}

/// A process and its ancestors as far as they are in sight, trc among them if it descends
/// from trc; `None` if that can't be told any more.
pub(crate) fn ancestry(pid: i32) -> Option<Vec<i32>> {
    let own = getpid().as_raw();
    let mut line = vec![pid];
    // A chain this long is a process table that changes while it is read.
    while line.len() < 1000 {
        let last = *line.last()?;
        if last == own || last <= 1 {
            return Some(line);
        }
        line.push(parent(last)?);
    }
    None
}
