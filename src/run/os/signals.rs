//! Signals as something to poll: all of them are blocked, and read from one signalfd(2).
//!
//! Handlers that write to a pipe would do the same; for sixty signals they cost some
//! 80 µs at every start, as much as the fork. Blocked signals are queued for PID 1 too,
//! though it has no handler for them (what `pid_namespaces(7)` drops is only what could
//! be delivered); real-time ones queue without a bound of ours, and nothing of trc's is
//! interrupted. A command that trc executes starts with an empty mask, save where trc is
//! transparent: then with what trc was started with.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{
    self, SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::signal::Signal;

/// How many signals are taken in at once.
const AT_ONCE: usize = 64;

/// One signal and what the kernel tells of its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Which one.
    pub signal: Signal,
    /// The sender, as seen in this pid namespace; 0 from outside of it, and for the
    /// kernel itself, such as for a key at the terminal.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

/// What trc was started with itself, and passes on where it is transparent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Inherited {
    /// The signals that were blocked, bit n-1 for signal n.
    pub blocked: u64,
    /// Whether CHLD was ignored. All else that was still is.
    pub child_ignored: bool,
}

/// All signals that can be caught.
pub(crate) struct Signals {
    fd: SignalFd,
    inherited: Inherited,
}

impl Signals {
    /// Takes over all signals. A fault of trc's own still ends it: the kernel unblocks
    /// what an instruction causes.
    ///
    /// # Errors
    /// What signalfd(2) says.
    pub(crate) fn new() -> io::Result<Self> {
        // Ignored, as a parent may have had it, the kernel would reap children itself and
        // say nothing: sigaction(2).
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is involved.
        let child = unsafe { sigaction(signal::Signal::SIGCHLD, &default)? };
        let all = SigSet::all();
        let mut before = SigSet::empty();
        // Not pthread_sigmask(3), whose errors nix takes for success.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before))?;
        let fd = SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let bit = |number: i32| {
            // SAFETY: the set was filled in, and is only looked at.
            let blocked = unsafe { libc::sigismember(before.as_ref(), number) } == 1;
            u64::from(blocked) << (number - 1)
        };
        let inherited = Inherited {
            blocked: (1..=64).map(bit).sum(),
            child_ignored: matches!(child.handler(), SigHandler::SigIgn),
        };
        Ok(Self { fd, inherited })
    }

    /// What trc was started with.
    pub(crate) fn inherited(&self) -> Inherited {
        self.inherited
    }

    /// The signals that have come; CHLD among them only says that it did. Of a flood of real-time
    /// signals, which queue, a few at a time: the kernel hands out those with lower numbers first.
    pub(crate) fn drain(&self, into: &mut Vec<Received>) {
        for _ in 0..AT_ONCE {
            let Ok(Some(read)) = self.fd.read_signal() else { return };
            let Some(signal) = Signal::from_number(read.ssi_signo.cast_signed()) else { continue };
            // sigaction(2): codes above 0 are the kernel's own.
            let (pid, uid) =
                if read.ssi_code > 0 { (0, 0) } else { (read.ssi_pid.cast_signed(), read.ssi_uid) };
            into.push(Received { signal, pid, uid });
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
