//! Processes that trc did not start itself: whose they are, and killing them all.
//! What is known of them is read from `/proc` (proc(5)); without it trc signals what it can.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid};

/// Sends a signal by number to a process, or with a negative `pid` to a process group.
/// True unless there is no such process.
pub fn signal(pid: i32, number: i32) -> bool {
    // SAFETY: kill(2) takes any numbers.
    let sent = unsafe { libc::kill(pid, number) };
    sent == 0 || nix::errno::Errno::last() != nix::errno::Errno::ESRCH
}

/// Whether any process of this group lives, zombies included.
pub fn group_lives(group: i32) -> bool {
    signal(-group, 0)
}

/// Whether trc has any child, dead or alive.
pub fn has_children() -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(nix::errno::Errno::ECHILD)
}

/// Sends a signal to everything that trc is responsible for, save one process: as
/// PID 1 all others, else all descendants.
pub fn signal_all(number: i32, spare: Option<i32>) {
    if getpid().as_raw() == 1 && spare.is_none() {
        signal(-1, number);
        return;
    }
    for pid in if getpid().as_raw() == 1 { all() } else { descendants() } {
        if Some(pid) != spare {
            signal(pid, number);
        }
    }
}

/// Every process in sight but PID 1.
fn all() -> Vec<i32> {
    parents().into_keys().filter(|pid| *pid != 1).collect()
}

/// Every descendant of trc, children before grandchildren; without `/proc` only the
/// children.
pub fn descendants() -> Vec<i32> {
    let parents = parents();
    if !parents.contains_key(&getpid().as_raw()) {
        return children_by_asking();
    }
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in parents {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut next = vec![getpid().as_raw()];
    while let Some(parent) = next.pop() {
        if let Some(pids) = children.remove(&parent) {
            found.extend(&pids);
            next.extend(pids);
        }
    }
    found
}

/// Every child of trc, found without `/proc`: waitid(2) says ECHILD for any number that
/// is no child's. Half a second for all numbers there can be, spent only where trc stops
/// what it has adopted and nothing else tells.
fn children_by_asking() -> Vec<i32> {
    /// The highest `pid_max` of 64-bit kernels: proc(5).
    const PID_MAX: i32 = 1 << 22;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    (1..=PID_MAX).filter(|pid| waitid(Id::Pid(Pid::from_raw(*pid)), flags).is_ok()).collect()
}

/// Each process in sight and its parent.
fn parents() -> BTreeMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// The parent of a process, from the fourth field of its `stat`: the second one is
/// the command in parentheses and may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    std::str::from_utf8(&stat[after..]).ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process descends from trc; `None` if it can't be told any more.
pub fn is_descendant(pid: i32) -> Option<bool> {
    let own = getpid().as_raw();
    let mut pid = pid;
    // A chain this long is a process table that changes while it is read.
    for _ in 0..1000 {
        pid = parent(pid)?;
        if pid == own {
            return Some(true);
        }
        if pid <= 1 {
            return Some(false);
        }
    }
    None
}

/// The command line of a process for people, on one line and cut to a bounded length.
pub fn command(pid: i32) -> Option<String> {
    const SHOWN: usize = 80;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let text = if words.is_empty() {
        fs::read_to_string(format!("/proc/{pid}/comm")).ok()?
    } else {
        String::from_utf8_lossy(&words.join(&b' ')).into_owned()
    };
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    })
}

/// Makes trc the parent of its descendants' orphans, where it is not PID 1.
pub fn become_subreaper() {
    if getpid().as_raw() != 1 {
        // It fails on no kernel this side of 3.4.
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
}

/// Stops trc itself, as the terminal has stopped its foreground unit, until
/// somebody continues it.
pub fn stop_self() {
    // It sends STOP, for TSTP itself is blocked; PID 1 of a namespace can't be stopped,
    // and goes on at once.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGTSTP);
}

/// The processes that survived KILL, for the last line.
pub fn survivors() -> Vec<i32> {
    let zombie = |pid: &i32| {
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.iter().rposition(|byte| *byte == b')').and_then(|at| stat.get(at + 2));
        state.is_none_or(|state| *state == b'Z')
    };
    descendants().into_iter().filter(|pid| !zombie(pid)).collect()
}
