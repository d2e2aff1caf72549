//! The terminal, if trc has one: who holds it, lending it and taking it back.
//! See tcsetpgrp(3), credentials(7), and the job control chapter of the glibc manual.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::unistd::{Pid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

use super::spawn::duplicate;

/// trc's controlling terminal.
pub struct Terminal {
    fd: OwnedFd,
    own: Pid,
    /// Nobody above trc would continue what is stopped.
    pub leads_session: bool,
    /// The foreground group is of another pid namespace: groups can't be handed the
    /// terminal by number, so foreground units share trc's.
    pub shared_group: bool,
}

impl Terminal {
    /// The terminal, if trc may lend it: it leads the session, or its process group
    /// is the foreground one.
    pub fn held() -> Option<Self> {
        let own = getpgrp();
        let leads_session = getsid(None).is_ok_and(|session| session == getpid());
        for fd in 0..=2 {
            // SAFETY: the descriptor is only asked for its foreground group, and
            // tcgetpgrp fails where it is closed or no terminal of ours.
            let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            let Ok(holder) = tcgetpgrp(borrowed) else { continue };
            let shared_group = holder.as_raw() == 0;
            if holder != own && !leads_session && !shared_group {
                return None;
            }
            let fd = duplicate(fd).ok()?;
            return Some(Self { fd, own, leads_session, shared_group });
        }
        None
    }

    /// Its descriptor, for a child that takes it.
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Gives it to this process group.
    pub fn lend(&self, group: i32) {
        if !self.shared_group {
            self.hand(Pid::from_raw(group));
        }
    }

    /// Takes it back.
    pub fn take_back(&self) {
        if !self.shared_group {
            self.hand(self.own);
        }
    }

    /// From the background too: TTOU, which tcsetpgrp would stop trc by, is blocked.
    fn hand(&self, group: Pid) {
        // A terminal that has hung up, or a group that is gone: nothing to be done.
        let _ = tcsetpgrp(self.fd.as_fd(), group);
    }
}
