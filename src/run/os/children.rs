//! The children of trc: waiting for them, and finding them without `/proc`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::getpid;

use super::clock::now;
use super::usage::Usage;
use crate::engine::Ending;
use crate::signal::Signal;

/// Whether trc has any child, dead or alive.
pub(crate) fn has_children() -> bool {
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
pub(crate) enum Change {
    /// It ended.
    Ended(Ending),
    /// It was stopped by this signal.
    Stopped(i32),
}

/// A child that has ended or was stopped, and is left as it is.
pub(crate) fn peek() -> Option<i32> {
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
pub(crate) fn has_ended(pid: i32) -> bool {
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
pub(crate) fn reap(pid: i32) -> Option<(Change, Usage)> {
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

/// The children of trc that are found without `/proc`, by asking for one number after another:
/// waitid(2) says ECHILD for any that is no child's. Half a second for all numbers there can be
/// is more than a stop may lose, and whatever watches system calls makes minutes of it: so it
/// ends after a while, and goes on from there when it is called again.
pub(crate) fn by_asking() -> Vec<i32> {
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
    let until = now() + WHILE;
    let mut next = NEXT.load(Ordering::Relaxed);
    for asked in 0..PID_MAX {
        if is_child(next) {
            found.push(next.cast_signed());
        }
        next = next % PID_MAX + 1;
        if asked % AT_ONCE == AT_ONCE - 1 && now() >= until {
            break;
        }
    }
    NEXT.store(next, Ordering::Relaxed);
    found
}

/// Makes trc the parent of its descendants' orphans, where it is not PID 1.
///
/// # Errors
/// What prctl(2) says, twice: no kernel this side of 3.4 refuses, but a filter of system calls
/// may.
pub(crate) fn become_subreaper() -> nix::Result<()> {
    if getpid().as_raw() == 1 {
        return Ok(());
    }
    let try_it = || nix::sys::prctl::set_child_subreaper(true);
    try_it().or_else(|_| try_it())
}
