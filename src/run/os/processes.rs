//! Signals to processes, and questions about single processes. The answers come from `/proc`
//! (proc(5)); without it trc signals what it can.

use nix::errno::Errno;
use nix::unistd::{Pid, getpgid, getpid, getsid};

use super::kin;
use super::proc::{self, Stat};
use crate::text::harmless;

/// Sends a signal by number to a process, or with a negative `pid` to a process group. Returns true
/// unless there is no such process.
pub(crate) fn signal(pid: i32, number: i32) -> bool {
    // SAFETY: kill(2) takes any numbers.
    let sent = unsafe { libc::kill(pid, number) };
    sent == 0 || Errno::last() != Errno::ESRCH
}

/// Returns whether a process is in this process group, or has exited. This works without `/proc`.
pub(crate) fn is_in(pid: i32, group: Option<i32>) -> bool {
    match getpgid(Some(Pid::from_raw(pid))) {
        Ok(its) => Some(its.as_raw()) == group,
        Err(_) => true,
    }
}

/// Returns the process group of a process, even of a zombie.
pub(crate) fn group(pid: i32) -> Option<i32> {
    Stat::of(pid).map(|stat| stat.group)
}

/// Returns the session of a process, or of trc if `pid` is 0; `None` if there is no such process.
pub(crate) fn session(pid: i32) -> Option<i32> {
    getsid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)
}

/// Returns whether any process is in this process group, zombies included.
pub(crate) fn group_lives(group: i32) -> bool {
    signal(-group, 0)
}

/// Returns whether a process of this process group is alive. Without `/proc`, a zombie counts as alive.
pub(crate) fn lives_in_group(group: i32) -> bool {
    let lives = |pid: &i32| Stat::of(*pid).is_some_and(|it| it.group == group && it.lives());
    group_lives(group) && {
        let pids = proc::pids();
        pids.is_empty() || pids.iter().any(lives)
    }
}

/// Returns the live processes of a process group, except one of them.
pub(crate) fn others(group: i32, but: i32) -> Vec<i32> {
    let other = |pid: &i32| {
        *pid != but && Stat::of(*pid).is_some_and(|stat| stat.group == group && stat.lives())
    };
    proc::pids().into_iter().filter(other).collect()
}

/// Sends a signal to everything that trc is responsible for, except some processes. If trc is PID
/// 1, these are all other processes, else all its descendants.
pub(crate) fn signal_all(number: i32, spared: &[i32]) {
    if getpid().as_raw() == 1 && spared.is_empty() {
        signal(-1, number);
        return;
    }
    for pid in kin::in_care() {
        if !spared.contains(&pid) {
            signal(pid, number);
        }
    }
}

/// Returns a process in words: `sleep <pid=12>`.
pub(crate) fn named(pid: i32) -> String {
    format!("{} <pid={pid}>", command(pid).unwrap_or_default())
}

/// Returns the command line of a process in words, on one line and cut to a bounded length.
pub(crate) fn command(pid: i32) -> Option<String> {
    const SHOWN: usize = 80;
    let line = proc::read(pid, "cmdline")?;
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let text = if words.is_empty() {
        String::from_utf8_lossy(&proc::read(pid, "comm")?).into_owned()
    } else {
        String::from_utf8_lossy(&words.join(&b' ')).into_owned()
    };
    let text = harmless(text.trim());
    Some(match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    })
}

/// Suspends trc itself, as the terminal has suspended its foreground unit, until somebody resumes
/// it.
pub(crate) fn stop_self() {
    // This sends SIGSTOP, because SIGTSTP itself is blocked. PID 1 of a namespace cannot be
    // suspended, and goes on at once.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGTSTP);
}

/// Returns those of these processes that are alive, and not zombies.
pub(crate) fn living(pids: Vec<i32>) -> Vec<i32> {
    let lives = |pid: &i32| Stat::of(*pid).is_some_and(|stat| stat.lives());
    pids.into_iter().filter(lives).collect()
}
