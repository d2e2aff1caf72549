//! The terminal, if trc has one: who holds it, lending it and taking it back.
//! See tcsetpgrp(3), credentials(7), and the job control chapter of the glibc manual.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::unistd::{Pid, getpgrp, getpid, getppid, getsid, tcgetpgrp, tcsetpgrp};

use super::fd::duplicate;
use super::processes::group_lives;

/// trc's controlling terminal.
pub(crate) struct Terminal {
    fd: OwnedFd,
    own: Pid,
    /// Nobody above trc would continue what is stopped.
    pub leads_session: bool,
    /// The foreground group is of another pid namespace: groups can't be handed the
    /// terminal by number, so foreground units share trc's.
    pub shared_group: bool,
}

impl Terminal {
    /// The terminal that controls trc's session, if there is one among its standard streams.
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

    /// Its descriptor, for a child that takes it.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether trc may lend it now: its own group is the foreground one, or nobody's is.
    /// In the background of a shell it may not.
    pub(crate) fn is_ours(&self) -> bool {
        let Ok(holder) = tcgetpgrp(&self.fd) else { return false };
        holder == self.own || holder.as_raw() == 0 || !group_lives(holder.as_raw())
    }

    /// Whether a shell would continue trc if it stopped itself: its parent is of the same
    /// session, so its process group is no orphan (credentials(7)).
    pub(crate) fn has_shell(&self) -> bool {
        let parent = getppid();
        // 0 is a parent in another pid namespace, and to getsid(2) the caller.
        !self.leads_session && parent.as_raw() != 0 && getsid(Some(parent)) == getsid(None)
    }

    /// Gives it to this process group.
    pub(crate) fn lend(&self, group: i32) {
        if !self.shared_group {
            self.hand(Pid::from_raw(group));
        }
    }

    /// Takes it back from this process group, if that has it still: a shell may have
    /// taken it away in the meantime.
    pub(crate) fn take_back(&self, group: i32) {
        let holder = tcgetpgrp(&self.fd).map(Pid::as_raw);
        if !self.shared_group && (holder == Ok(group) || self.is_ours()) {
            self.hand(self.own);
        }
    }

    /// From the background too: TTOU, which tcsetpgrp would stop trc by, is blocked.
    fn hand(&self, group: Pid) {
        // A terminal that has hung up, or a group that is gone: nothing to be done.
        let _ = tcsetpgrp(&self.fd, group);
    }
}
