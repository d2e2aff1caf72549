//! The terminal, if trc has one: its foreground process group, lending it to a unit, and taking it
//! back. See tcsetpgrp(3), credentials(7), and the job control chapter of the glibc manual.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::unistd::{Pid, getpgrp, getpid, getppid, getsid, tcgetpgrp, tcsetpgrp};

use super::fd::duplicate;
use super::processes::group_lives;

/// trc's controlling terminal.
pub(crate) struct Terminal {
    fd: OwnedFd,
    own: Pid,
    /// Whether no process above trc would resume a suspended process.
    pub leads_session: bool,
    /// Whether the foreground process group is in another PID namespace. The terminal can then not
    /// be given to a group by number, so foreground units share trc's group.
    pub shared_group: bool,
}

impl Terminal {
    /// Returns the terminal that controls trc's session, if it is among the standard streams.
    pub(crate) fn find() -> Option<Self> {
        let own = getpgrp();
        let leads_session = getsid(None).is_ok_and(|session| session == getpid());
        (0..=2).find_map(|fd| {
            // SAFETY: the descriptor is only asked for its foreground group, and
            // tcgetpgrp fails where it is closed or no terminal of ours.
            let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
            let holder = tcgetpgrp(borrowed).ok()?;
            let shared_group = holder.as_raw() == 0;
            Some(Self { fd: duplicate(fd).ok()?, own, leads_session, shared_group })
        })
    }

    /// Returns the descriptor, for a child that takes the terminal.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns whether trc may lend the terminal now: its own process group is the foreground one,
    /// or there is none. In the background of a shell it may not.
    pub(crate) fn is_ours(&self) -> bool {
        let Ok(holder) = tcgetpgrp(&self.fd) else { return false };
        holder == self.own || holder.as_raw() == 0 || !group_lives(holder.as_raw())
    }

    /// Returns whether a shell would resume trc if it suspended itself: the parent is in the same
    /// session, so the process group is not orphaned (credentials(7)).
    pub(crate) fn has_shell(&self) -> bool {
        let parent = getppid();
        // The parent is 0 if it is in another PID namespace, and getsid(2) takes 0 for the caller.
        !self.leads_session && parent.as_raw() != 0 && getsid(Some(parent)) == getsid(None)
    }

    /// Gives the terminal to this process group.
    pub(crate) fn lend(&self, group: i32) {
        if !self.shared_group {
            self.hand(Pid::from_raw(group));
        }
    }

    /// Takes the terminal back from this process group, unless a shell has taken it away in the
    /// meantime.
    pub(crate) fn take_back(&self, group: i32) {
        let holder = tcgetpgrp(&self.fd).map(Pid::as_raw);
        if !self.shared_group && (holder == Ok(group) || self.is_ours()) {
            self.hand(self.own);
        }
    }

    /// Makes this the foreground process group. This works in the background, too, because trc
    /// blocks SIGTTOU, by which tcsetpgrp would suspend it.
    fn hand(&self, group: Pid) {
        // Nothing can be done about a terminal that has hung up, or a process group without
        // processes.
        let _ = tcsetpgrp(&self.fd, group);
    }
}
