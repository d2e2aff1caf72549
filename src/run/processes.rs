//! Processes that trc did not start itself: whose they are, and killing them all.
//! What is known of them is read from `/proc` (proc(5)); without it trc signals what it can.

use std::collections::BTreeMap;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::getpid;

use super::check::resources::Usage;
use super::proc::{self, Stat};
use crate::engine::Ending;
use crate::signal::Signal;

/// Sends a signal by number to a process, or with a negative `pid` to a process group.
/// True unless there is no such process.
pub(super) fn signal(pid: i32, number: i32) -> bool {
    // SAFETY: kill(2) takes any numbers.
    let sent = unsafe { libc::kill(pid, number) };
    sent == 0 || Errno::last() != Errno::ESRCH
}

/// Whether a process is in this process group, or has ended; it is asked without `/proc`.
pub(super) fn is_in(pid: i32, group: Option<i32>) -> bool {
    match nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))) {
        Ok(its) => Some(its.as_raw()) == group,
        Err(_) => true,
    }
}

/// Whether any process of this group lives, zombies included.
pub(super) fn group_lives(group: i32) -> bool {
    signal(-group, 0)
}

/// The live processes of a group besides one of them.
pub(super) fn others(group: i32, but: i32) -> Vec<i32> {
    let other = |pid: &i32| {
        *pid != but && Stat::of(*pid).is_some_and(|stat| stat.group == group && stat.lives())
    };
    proc::pids().into_iter().filter(other).collect()
}

/// Whether trc has any child, dead or alive.
pub(super) fn has_children() -> bool {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: with no place for it, nothing is written.
    let look = || unsafe { libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), flags) };
    waited(look).is_ok()
}

/// Makes one of the calls that look for a child, which with WNOHANG have no reason to fail but
/// that there is none. They are asked again all the same: nobody tells of an end a second time.
fn waited(look: impl Fn() -> i32) -> nix::Result<i32> {
    Errno::result(look()).or_else(|_| Errno::result(look()))
}

/// What has become of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// It ended.
    Ended(Ending),
    /// It was stopped by this signal.
    Stopped(i32),
}

/// A child that has ended or was stopped, and is left as it is.
pub(super) fn peek() -> Option<i32> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is written by the call; all zeros are what it holds without a child.
    // The fields of the union are those that the kernel fills in for SIGCHLD.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let place = &raw mut info;
        waited(|| libc::waitid(libc::P_ALL, 0, place, flags)).ok()?;
        Some(info.si_pid()).filter(|pid| *pid != 0)
    }
}

/// Whether a child has ended and waits to be reaped.
pub(super) fn has_ended(pid: i32) -> bool {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let Ok(number) = libc::id_t::try_from(pid) else { return false };
    // SAFETY: as in `peek`.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let place = &raw mut info;
        waited(|| libc::waitid(libc::P_PID, number, place, flags)).is_ok() && info.si_pid() == pid
    }
}

/// What has become of a child, and what it has used until then; if it ended, it is reaped by
/// that. wait4(2), not by nix: that takes an end by a real-time signal for an error.
pub(super) fn reap(pid: i32) -> Option<(Change, Usage)> {
    let flags = libc::WUNTRACED | libc::WNOHANG;
    let mut status = 0;
    // SAFETY: the call writes to both places; all zeros are a value of each.
    let used = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let (to, of) = (&raw mut status, &raw mut used);
        (waited(|| libc::wait4(pid, to, flags, of)) == Ok(pid)).then_some(used)?
    };
    let change = if libc::WIFEXITED(status) {
        Change::Ended(Ending::Code(libc::WEXITSTATUS(status).to_le_bytes()[0]))
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else {
        let signal = Signal::from_number(libc::WTERMSIG(status));
        Change::Ended(Ending::Signal(signal.unwrap_or(Signal::KILL)))
    };
    Some((change, Usage::from(&used)))
}

/// Sends a signal to everything that trc is responsible for, save some processes: as
/// PID 1 all others, else all descendants.
pub(super) fn signal_all(number: i32, spared: &[i32]) {
    let everybody = getpid().as_raw() == 1;
    if everybody && spared.is_empty() {
        signal(-1, number);
        return;
    }
    for pid in if everybody { all() } else { descendants() } {
        if !spared.contains(&pid) {
            signal(pid, number);
        }
    }
}

/// Every process in sight but PID 1.
pub(super) fn all() -> Vec<i32> {
    parents().into_keys().filter(|pid| *pid != 1).collect()
}

/// As PID 1, a pidfd of each process that does not descend from trc: what came in by
/// `docker exec`. Their ends are told to others (`pidfd_open(2)`).
pub(super) fn foreign() -> Vec<OwnedFd> {
    let all = all();
    // Without /proc nobody is known, and to look for trc's own would be in vain.
    let own = if all.is_empty() { Vec::new() } else { descendants() };
    let others = all.into_iter().filter(|pid| !own.contains(pid));
    others.filter_map(pidfd).collect()
}

fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: no memory is involved; a descriptor that is returned is nobody else's.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// Every descendant of trc, children before grandchildren; without `/proc` only the children,
/// as far as they are found.
pub(super) fn descendants() -> Vec<i32> {
    let own = getpid().as_raw();
    let parents = parents();
    if parents.contains_key(&own) {
        return below(own, parents);
    }
    // It may have been unreadable for a moment only, for want of a descriptor.
    let parents = self::parents();
    if parents.contains_key(&own) { below(own, parents) } else { children_by_asking() }
}

/// Every descendant of a process, children before grandchildren, by each process's parent.
pub(super) fn below(pid: i32, parents: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
    below_all(&[pid], parents)
}

/// Every descendant of some processes, by each process's parent.
pub(super) fn below_all(pids: &[i32], parents: impl IntoIterator<Item = (i32, i32)>) -> Vec<i32> {
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
pub(super) fn children() -> Option<Vec<i32>> {
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

/// The children of trc that are found without `/proc`, by asking for one number after another:
/// waitid(2) says ECHILD for any that is no child's. Half a second for all numbers there can be
/// is more than a stop may lose, and whatever watches system calls makes minutes of it: so it
/// ends after a while, and goes on from there when it is called again.
fn children_by_asking() -> Vec<i32> {
    /// The highest `pid_max` of 64-bit kernels: proc(5).
    const PID_MAX: u32 = 1 << 22;
    /// How long a call may take.
    const WHILE: Duration = Duration::from_millis(100);
    /// How many are asked for before the clock is looked at.
    const AT_ONCE: u32 = 256;
    /// The number that is next.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let is_child = |pid: u32| {
        // SAFETY: with no place for it, nothing is written.
        unsafe { libc::waitid(libc::P_PID, pid, std::ptr::null_mut(), flags) == 0 }
    };
    let mut found = Vec::new();
    let until = super::stream::now() + WHILE;
    let mut next = NEXT.load(Ordering::Relaxed);
    for asked in 0..PID_MAX {
        if is_child(next) {
            found.push(next.cast_signed());
        }
        next = next % PID_MAX + 1;
        if asked % AT_ONCE == AT_ONCE - 1 && super::stream::now() >= until {
            break;
        }
    }
    NEXT.store(next, Ordering::Relaxed);
    found
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
pub(super) fn ancestry(pid: i32) -> Option<Vec<i32>> {
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

/// The command line of a process for people, on one line and cut to a bounded length.
pub(super) fn command(pid: i32) -> Option<String> {
    const SHOWN: usize = 80;
    let line = proc::read(pid, "cmdline")?;
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let text = if words.is_empty() {
        String::from_utf8_lossy(&proc::read(pid, "comm")?).into_owned()
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
///
/// # Errors
/// What prctl(2) says, twice: no kernel this side of 3.4 refuses, but a filter of system calls
/// may.
pub(super) fn become_subreaper() -> nix::Result<()> {
    if getpid().as_raw() == 1 {
        return Ok(());
    }
    let try_it = || nix::sys::prctl::set_child_subreaper(true);
    try_it().or_else(|_| try_it())
}

/// Stops trc itself, as the terminal has stopped its foreground unit, until
/// somebody continues it.
pub(super) fn stop_self() {
    // It sends STOP, for TSTP itself is blocked; PID 1 of a namespace can't be stopped,
    // and goes on at once.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGTSTP);
}

/// Those of these processes that live, zombies aside.
pub(super) fn living(pids: Vec<i32>) -> Vec<i32> {
    let lives = |pid: &i32| Stat::of(*pid).is_some_and(|stat| stat.lives());
    pids.into_iter().filter(lives).collect()
}
