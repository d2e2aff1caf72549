//! The terminal of a command that runs on the terminal of `trcctl`.
//!
//! A terminal can control only one session, and the terminal of `trcctl` already controls that of
//! the person who typed the command. So the command gets a terminal of its own, a pair of pty(7).
//! `trcctl` copies what is typed and what is printed, and passes on the size. Its own terminal is
//! raw meanwhile: keys such as Ctrl-C mean something to the command's terminal only.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe, read, write};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::super::ask::{NoAnswer, Trc};
use crate::wire::{Exec, Executed};

/// The time without output after which the output of a command that has exited is complete, in
/// milliseconds. The kernel may still be moving the last bytes.
const QUIET: u16 = 100;
/// The number of bytes that are still read of a command that has exited, at most: more than the
/// kernel keeps.
const LAST: usize = 1 << 20;

/// The pair of terminals.
pub(super) struct Terminal {
    /// The side of `trcctl`.
    master: Arc<OwnedFd>,
    /// The side of the command.
    slave: OwnedFd,
}

impl Terminal {
    /// Creates a pair.
    pub(super) fn new() -> io::Result<Self> {
        let master = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        pty::grantpt(&master)?;
        pty::unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        // Its name may mean nothing here, if /dev/pts is not the one that it is from.
        let slave = match pty::ioctl_tiocgptpeer(&master, flags) {
            Ok(slave) => slave,
            Err(_) => open(&master)?,
        };
        Ok(Self { master: Arc::new(master), slave })
    }

    /// Runs a command on it.
    #[expect(clippy::disallowed_methods, reason = "trcctl may have threads")]
    pub(super) fn run(self, trc: &Trc, ask: Exec) -> Result<Executed, NoAnswer> {
        let Self { master, slave } = self;
        let modes = Arc::new(Modes::new(Arc::clone(&master)).map_err(NoAnswer::Broken)?);
        // Whatever comes from now on is not lost.
        let caught = [SIGWINCH, SIGCONT, SIGTSTP, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let signals = Signals::new(caught).map_err(NoAnswer::Broken)?;
        modes.resize();
        let passed = trc.pass(ask, [slave.as_fd(), slave.as_fd(), slave.as_fd()])?;
        drop(slave);
        let raw = Raw::new(Arc::clone(&modes));
        let handled = Arc::clone(&modes);
        thread::spawn(move || handle(signals, &handled));
        let (over, ends) = pipe().map_err(|why| NoAnswer::Broken(why.into()))?;
        let typed = Arc::clone(&master);
        thread::spawn(move || copy_input(&typed));
        let printed = thread::spawn(move || copy_output(&master, &over));
        let answer = passed.answer();
        drop(ends);
        _ = printed.join();
        drop(raw);
        answer
    }
}

/// Opens the command's side by its name, where the kernel cannot do it without (before Linux 4.13).
fn open(master: &OwnedFd) -> io::Result<OwnedFd> {
    let name = pty::ptsname(master, Vec::new())?;
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    Ok(options.open(path)?.into())
}

/// The modes of the terminal of `trcctl`, and its size.
struct Modes {
    before: Termios,
    raw: Termios,
    master: Arc<OwnedFd>,
}

impl Modes {
    fn new(master: Arc<OwnedFd>) -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        Ok(Self { before, raw, master })
    }

    fn set(modes: &Termios) {
        // The terminal may be gone.
        _ = tcsetattr(io::stdin(), OptionalActions::Drain, modes);
    }

    /// Passes the size on. The kernel tells the command if it is another one.
    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(io::stdin()) {
            _ = tcsetwinsize(&*self.master, size);
        }
    }
}

/// The terminal of `trcctl` is raw for as long as this lives.
struct Raw(Arc<Modes>);

impl Raw {
    fn new(modes: Arc<Modes>) -> Self {
        Modes::set(&modes.raw);
        Self(modes)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        Modes::set(&self.0.before);
    }
}

/// Handles the signals of `trcctl`, which are about its own terminal, and never leaves that raw.
fn handle(mut signals: Signals, modes: &Modes) {
    for signal in &mut signals {
        match signal {
            SIGWINCH => modes.resize(),
            // Whoever has resumed it may have changed the modes.
            SIGCONT => {
                Modes::set(&modes.raw);
                modes.resize();
            }
            // This suspends trcctl, or terminates it. Then the command's terminal hangs up.
            signal => {
                Modes::set(&modes.before);
                _ = emulate_default_handler(signal);
            }
        }
    }
}

/// Copies what is typed.
fn copy_input(master: &OwnedFd) {
    let mut bytes = [0; 4096];
    loop {
        match read(io::stdin(), &mut bytes) {
            Ok(0) => return,
            Ok(count) if write_all(master, &bytes[..count]) => {}
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Copies what is printed, until nobody can print any more, or until the command is over and no
/// more comes.
fn copy_output(master: &OwnedFd, over: &OwnedFd) {
    let mut bytes = [0; 16 * 1024];
    let (mut is_over, mut last) = (false, 0);
    loop {
        let mut polled = vec![PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if !is_over {
            polled.push(PollFd::new(over.as_fd(), PollFlags::POLLIN));
        }
        let timeout = if is_over { PollTimeout::from(QUIET) } else { PollTimeout::NONE };
        match poll(&mut polled, timeout) {
            Ok(0) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        let is_ready = |at: usize| {
            let polled: Option<&PollFd<'_>> = polled.get(at);
            polled.is_some_and(|it| it.any().unwrap_or(false))
        };
        let (printed, ended) = (is_ready(0), is_ready(1));
        is_over |= ended;
        if !printed {
            continue;
        }
        match read(master, &mut bytes) {
            // EIO: no process has the command's side any more.
            Ok(0) => return,
            Ok(count) if write_all(&io::stdout(), &bytes[..count]) => {
                last += if is_over { count } else { 0 };
                if last > LAST {
                    return;
                }
            }
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Writes everything. Returns false if nobody can read it any more.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match write(to.as_fd(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                _ = poll(&mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(_) => return false,
        }
    }
    true
}
