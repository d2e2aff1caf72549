//! Signals as a source to poll: trc blocks all of them, and reads them from one signalfd(2).
//!
//! Handlers that write to a pipe would do the same, but for sixty signals they cost some 80 µs at
//! every start, as much as the fork. The kernel queues blocked signals for PID 1, too, although it
//! has no handlers (`pid_namespaces(7)` speaks of signals that could be delivered). It queues
//! real-time signals without a limit of ours, and nothing in trc is interrupted. Commands start
//! with an empty mask, or, in transparent mode, with the mask that trc was started with.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{
    self, SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::limits;
use crate::signal::Signal;
use crate::status;

/// The number of signals to read at once.
const AT_ONCE: usize = 64;

/// A signal, with its sender according to the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub signal: Signal,
    /// The process ID of the sender in this PID namespace. It is 0 for senders outside of it, and
    /// for the kernel, such as for a key on the terminal.
    pub pid: i32,
    /// The user ID of the sender.
    pub uid: u32,
}

/// The signal settings that trc was started with, and passes on in transparent mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Inherited {
    /// The signals that were blocked, bit n-1 for signal n.
    pub blocked: u64,
    /// Whether SIGCHLD was ignored. All other ignored signals still are.
    pub child_ignored: bool,
}

/// The signals to trc: all that can be caught.
pub(crate) struct Signals {
    fd: SignalFd,
    inherited: Inherited,
}

impl Signals {
    /// Takes over all signals. A fault of trc itself still terminates it, because the kernel
    /// unblocks the signal that an instruction causes.
    ///
    /// # Errors
    /// Returns what signalfd(2) says.
    pub(crate) fn new() -> io::Result<Self> {
        // If SIGCHLD stayed ignored, as a parent may have left it, the kernel would reap children
        // itself and say nothing: sigaction(2).
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: no handler is involved.
        let child = unsafe { sigaction(signal::Signal::SIGCHLD, &default)? };
        let all = SigSet::all();
        let mut before = SigSet::empty();
        // This is not pthread_sigmask(3), whose errors nix takes for success.
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

    /// Returns the signal settings that trc was started with.
    pub(crate) fn inherited(&self) -> Inherited {
        self.inherited
    }

    /// Returns the signals that have arrived. SIGCHLD means only that some child changed its state.
    /// Of many queued real-time signals, a few are returned at a time, and the kernel returns those
    /// with lower numbers first.
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

/// Does something in a child of trc, which only its stop signal and the keys of the terminal may end
/// meanwhile. Other signals that come in the meantime are discarded, because they are meant for a
/// command that is not executed yet.
pub(crate) fn interruptibly<T>(stop: i32, work: impl FnOnce() -> T) -> T {
    extern "C" fn end(number: libc::c_int) {
        // SAFETY: this is async-signal-safe, and ends the process.
        unsafe { libc::_exit(i32::from(status::of_signal(number))) }
    }
    let handle = |number: i32, handler: libc::sighandler_t| {
        // SAFETY: the only handler ends the process; signal(2) checks the number.
        unsafe { libc::signal(number, handler) };
    };
    let ends = [stop, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP];
    for number in ends {
        handle(number, libc::SIG_DFL);
    }
    // The default action of some signals is to do nothing.
    if !Signal::from_number(stop).is_some_and(Signal::is_fatal) {
        handle(stop, end as extern "C" fn(libc::c_int) as libc::sighandler_t);
    }
    // The memory is that of trc.
    let cores = limits::core_files(0);
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let mut others = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are filled in before they are used.
    let unblocked = unsafe {
        libc::sigfillset(others.as_mut_ptr());
        for number in ends {
            libc::sigdelset(others.as_mut_ptr(), number);
        }
        libc::sigprocmask(libc::SIG_SETMASK, others.as_ptr(), before.as_mut_ptr()) == 0
    };
    let done = work();
    if unblocked {
        // SAFETY: the set was filled in.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    if let Some(cores) = cores {
        limits::core_files(cores);
    }
    for number in (1..=libc::SIGRTMAX()).filter(|number| !ends.contains(number)) {
        handle(number, libc::SIG_IGN);
    }
    done
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
