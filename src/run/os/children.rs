//! The children of trc: waiting for them, and finding them without `/proc`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::getpid;

use super::clock::now;
use super::usage::Usage;
use crate::engine::Ending;
use crate::signal::Signal;

/// Returns whether trc has any child, dead or alive.
pub(crate) fn has_children() -> bool {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is null, so nothing is written.
    let look = || unsafe { libc::waitid(libc::P_ALL, 0, std::ptr::null_mut(), flags) };
    waited(look).is_ok()
}

/// Makes one of the calls that look for a child. With WNOHANG they cannot fail except if there is
/// no child. They are repeated all the same, because the kernel reports an exit only once.
fn waited(look: impl Fn() -> i32) -> nix::Result<i32> {
    Errno::result(look()).or_else(|_| Errno::result(look()))
}

/// The new state of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// The child exited.
    Ended(Ending),
    /// This signal suspended the child.
    Stopped(i32),
}

/// Returns a child that has exited or was suspended, and leaves it as it is.
pub(crate) fn peek() -> Option<i32> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the call writes `info`, which stays all zeros if there is no child.
    // The fields of the union are those that the kernel fills in for SIGCHLD.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let place = &raw mut info;
        waited(|| libc::waitid(libc::P_ALL, 0, place, flags)).ok()?;
        Some(info.si_pid()).filter(|pid| *pid != 0)
    }
}

/// Returns whether a child has exited and has not been reaped.
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

/// Returns the new state of a child and the resources that it has used. If the child has exited,
/// this reaps it. The call is wait4(2), and not the one of nix, which reports an error if a
/// real-time signal terminated the child.
pub(crate) fn reap(pid: i32) -> Option<(Change, Usage)> {
    let flags = libc::WUNTRACED | libc::WNOHANG;
    let mut status = 0;
    // SAFETY: the call writes to both places, for which all zeros are a valid value.
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

/// Finds the children of trc without `/proc`, by asking waitid(2) for one number after another,
/// which answers ECHILD if the number is not that of a child. All possible numbers take half a
/// second, which is more than a stop may lose, and minutes if system calls are traced. So each call
/// ends after a while, and the next one continues from there.
pub(crate) fn by_asking() -> Vec<i32> {
    /// The highest `pid_max` of 64-bit kernels: proc(5).
    const PID_MAX: u32 = 1 << 22;
    /// The time that a call may take.
    const WHILE: Duration = Duration::from_millis(100);
    /// The number of processes to ask for before the next look at the clock.
    const AT_ONCE: u32 = 256;
    /// The next number to ask for.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let is_child = |pid: u32| {
        // SAFETY: the pointer is null, so nothing is written.
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
/// Returns what prctl(2) says, twice: no kernel this side of 3.4 refuses, but a filter of system
/// calls may.
pub(crate) fn become_subreaper() -> nix::Result<()> {
    if getpid().as_raw() == 1 {
        return Ok(());
    }
    let try_it = || nix::sys::prctl::set_child_subreaper(true);
    try_it().or_else(|_| try_it())
}
