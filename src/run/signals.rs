//! Signals as something to poll.
//!
//! The standard signals come through signal-hook: each has a handler, so PID 1 gets
//! it, and a command that trc executes starts with the default again. The real-time
//! ones, which queue and must not be lost, and the three that signal-hook refuses
//! (ILL, FPE, SEGV: from outside they are like any other) stay blocked and are read
//! from a signalfd(2), which costs two system calls for all of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::raw::WithRawSiginfo;

use crate::signal::Signal;

/// One signal and what the kernel tells of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Which one.
    pub signal: Signal,
    /// The sender, as seen in this pid namespace; 0 from outside of it, and for the
    /// kernel itself, such as for a key at the terminal.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

/// All signals that can be caught.
pub struct Signals {
    handled: SignalDelivery<UnixStream, WithRawSiginfo>,
    queued: SignalFd,
}

/// Those that signal-hook handles: all standard ones but KILL and STOP, which can't be
/// caught, and ILL, FPE and SEGV, which it refuses.
const HANDLED: [i32; 26] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGSTKFLT,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSYS,
];

impl Signals {
    /// Takes over all signals.
    ///
    /// # Errors
    /// What `socketpair`, `sigaction` or `signalfd` say.
    pub fn new() -> io::Result<Self> {
        let queued = queued_set();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&queued), None)?;
        let queued = SignalFd::with_flags(&queued, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let handled = SignalDelivery::with_pipe(read, write, WithRawSiginfo, HANDLED)?;
        Ok(Self { handled, queued })
    }

    /// What to poll for reading.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.handled.get_read().as_fd(), self.queued.as_fd()]
    }

    /// All signals that have come; CHLD among them only says that it did.
    pub fn drain(&mut self, into: &mut Vec<Received>) {
        for info in self.handled.pending() {
            // SAFETY: si_pid and si_uid are fields of the union that kill(2) fills in;
            // for a signal from the kernel they hold other data, which `code` tells.
            let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
            into.extend(received(info.si_signo, info.si_code, pid, uid));
        }
        while let Ok(Some(info)) = self.queued.read_signal() {
            let (number, pid) = (info.ssi_signo.cast_signed(), info.ssi_pid.cast_signed());
            into.extend(received(number, info.ssi_code, pid, info.ssi_uid));
        }
    }
}

fn received(number: i32, code: i32, pid: i32, uid: u32) -> Option<Received> {
    let signal = Signal::from_number(number)?;
    // sigaction(2): above 0 are the kernel's own codes.
    let (pid, uid) = if code > 0 { (0, 0) } else { (pid, uid) };
    Some(Received { signal, pid, uid })
}

/// The real-time signals, and ILL, FPE and SEGV.
fn queued_set() -> SigSet {
    let mut set: libc::sigset_t = *SigSet::empty().as_ref();
    for number in
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).chain([libc::SIGILL, libc::SIGFPE, libc::SIGSEGV])
    {
        // SAFETY: `set` is an initialised set, and the numbers are in its range.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    // SAFETY: `set` was made by sigemptyset and sigaddset.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}
