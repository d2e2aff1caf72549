//! The terminal of a command that runs on the terminal of `trcctl`.
//!
//! A terminal can control only one session, and the terminal of `trcctl` already controls that of
//! the person who typed the command. So the command gets a terminal of its own, a pair of pty(7).
//! `trcctl` copies what is typed and what is printed, and passes on the size. Its own terminal is
//! raw meanwhile: keys such as Ctrl-C mean something to the command's terminal only.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe, read};
use rustix::pty::{self, OpenptFlags};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::super::ask::{NoAnswer, Trc};
use super::super::patient::Patient;
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

/// Why `trcctl` does not know how the command has ended.
pub(super) enum Lost {
    /// There is no answer of trc.
    Answer(NoAnswer),
    /// The output of `trcctl` takes no more.
    Output(io::Error),
}

impl From<NoAnswer> for Lost {
    fn from(why: NoAnswer) -> Self {
        Self::Answer(why)
    }
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
    pub(super) fn run(self, trc: &Trc, ask: Exec) -> Result<Executed, Lost> {
        let Self { master, slave } = self;
        let own = io::stdin().as_fd().try_clone_to_owned();
        let modes = own.and_then(|own| Modes::new(own, Arc::clone(&master)));
        let modes = Arc::new(modes.map_err(NoAnswer::Broken)?);
        // Whatever comes from now on is not lost.
        let caught = [SIGWINCH, SIGCONT, SIGTSTP, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let signals = Signals::new(caught).map_err(NoAnswer::Broken)?;
        modes.resize();
        let handled = Arc::clone(&modes);
        thread::spawn(move || handle(signals, &handled));
        let passed = trc.pass(ask, [slave.as_fd(), slave.as_fd(), slave.as_fd()])?;
        drop(slave);
        let connection = passed.connection().map_err(NoAnswer::Broken)?;
        let raw = Raw::new(Arc::clone(&modes));
        let (over, ends) = pipe().map_err(|why| NoAnswer::Broken(why.into()))?;
        let typed = Arc::clone(&master);
        thread::spawn(move || copy_input(io::stdin(), &typed));
        let printed = thread::spawn(move || {
            let copied = copy_output(&master, &over);
            if copied.is_err() {
                // trc then ends the command, which would wait for room for its output for ever.
                _ = connection.shutdown(Shutdown::Both);
            }
            copied
        });
        let answer = passed.answer();
        drop(ends);
        let printed = printed.join();
        drop(raw);
        match printed {
            Ok(Err(why)) => Err(Lost::Output(why)),
            Ok(Ok(())) | Err(_) => Ok(answer?),
        }
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
    own: OwnedFd,
    before: Termios,
    raw: Termios,
    /// Whether the terminal has to be raw. Whoever changes the modes holds the lock.
    is_raw: Mutex<bool>,
    master: Arc<OwnedFd>,
}

impl Modes {
    fn new(own: OwnedFd, master: Arc<OwnedFd>) -> io::Result<Self> {
        let before = tcgetattr(&own)?;
        let mut raw = before.clone();
        raw.make_raw();
        Ok(Self { own, before, raw, is_raw: Mutex::new(false), master })
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_raw.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, modes: &Termios) {
        // The terminal may be gone.
        _ = tcsetattr(&self.own, OptionalActions::Drain, modes);
    }

    fn set_raw(&self, raw: bool) {
        let mut is_raw = self.lock();
        *is_raw = raw;
        self.apply(if raw { &self.raw } else { &self.before });
    }

    /// Restores the modes after `trcctl` was suspended: whoever has resumed it may have changed them.
    /// Once the command has exited, the terminal belongs to somebody else.
    fn resumed(&self) {
        let is_raw = self.lock();
        if *is_raw {
            self.apply(&self.raw);
        }
    }

    /// Leaves the terminal as it was for as long as this takes.
    fn lend(&self, meanwhile: impl FnOnce()) {
        let _stays = self.lock();
        self.apply(&self.before);
        meanwhile();
    }

    /// Passes the size on. The kernel tells the command if it is another one.
    fn resize(&self) {
        if let Ok(size) = tcgetwinsize(&self.own) {
            _ = tcsetwinsize(&*self.master, size);
        }
    }
}

/// The terminal of `trcctl` is raw for as long as this lives.
struct Raw(Arc<Modes>);

impl Raw {
    fn new(modes: Arc<Modes>) -> Self {
        modes.set_raw(true);
        Self(modes)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.set_raw(false);
    }
}

/// Handles the signals of `trcctl`, which are about its own terminal, and never leaves that raw.
fn handle(mut signals: Signals, modes: &Modes) {
    for signal in &mut signals {
        match signal {
            SIGWINCH => modes.resize(),
            SIGCONT => {
                modes.resumed();
                modes.resize();
            }
            // This suspends trcctl, or terminates it. Then the command's terminal hangs up.
            signal => modes.lend(|| _ = emulate_default_handler(signal)),
        }
    }
}

/// Copies what is typed, until there is no more.
fn copy_input(from: impl AsFd, master: &OwnedFd) {
    _ = io::copy(&mut Patient(from), &mut Patient(master));
}

/// Copies what is printed, until nobody can print any more, or until the command is over and no
/// more comes. Returns why the output of `trcctl` takes no more.
fn copy_output(master: &OwnedFd, over: &OwnedFd) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    let (mut is_over, mut last) = (false, 0);
    loop {
        let mut polled = vec![PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if !is_over {
            polled.push(PollFd::new(over.as_fd(), PollFlags::POLLIN));
        }
        let timeout = if is_over { PollTimeout::from(QUIET) } else { PollTimeout::NONE };
        match poll(&mut polled, timeout) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(()),
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
            Ok(0) => return Ok(()),
            Ok(count) => {
                Patient(io::stdout()).write_all(&bytes[..count])?;
                last += if is_over { count } else { 0 };
                if last > LAST {
                    return Ok(());
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::termios::LocalModes;

    use super::*;

    #[test]
    fn the_terminal_is_raw_only_while_a_command_has_it() {
        let [own, command] = [Terminal::new(), Terminal::new()].map(Result::unwrap);
        let slave = own.slave.try_clone().unwrap();
        let modes = Arc::new(Modes::new(slave, command.master).unwrap());
        let is_raw = || {
            !tcgetattr(&own.slave)
                .unwrap()
                .local_modes
                .intersects(LocalModes::ICANON | LocalModes::ECHO)
        };
        modes.resumed();
        assert!(!is_raw(), "before the command runs");
        let raw = Raw::new(Arc::clone(&modes));
        modes.lend(|| assert!(!is_raw(), "while trcctl is suspended"));
        modes.resumed();
        assert!(is_raw(), "once trcctl goes on");
        drop(raw);
        assert!(!is_raw(), "after the command");
        modes.resumed();
        assert!(!is_raw(), "when a SIGCONT comes after the command");
    }
}
