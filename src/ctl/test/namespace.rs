//! The place where the tests run: trc as PID 1 of its own namespaces, as in a container.
//!
//! A PID namespace begins with the next child, and unshare(2) cannot be undone. `trcctl test`
//! therefore starts itself once more, as these stages:
//!
//! ```text
//! trcctl test ──► trcctl __namespace ──► trcctl __init ═► trc      as PID 1
//!             └─► trcctl __child ═► trc                            where that is not possible
//! ```
//!
//! (═► is execve.) A stage that fails writes the reason to standard output, where trc's events
//! would begin: a [`Refusal`]. Each stage terminates with the one before it, even if that was
//! killed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::{Deserialize, Serialize};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Pid, Uid, dup2_stdin, getegid, geteuid, setsid};

use crate::status;

/// The line that is written instead of trc's events.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason why there are no namespaces.
    pub no_namespaces: String,
}

/// The signals that are passed on to trc. They are blocked from `trcctl test` on, and trc blocks
/// them itself, so that none is lost on the way.
const PASSED_ON: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// The stages that `trcctl` starts itself as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The process that creates the namespaces, and waits.
    Namespace,
    /// The process that becomes trc as PID 1.
    Init,
    /// The process that becomes trc as an ordinary child.
    Child,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Namespace, Self::Init, Self::Child];

    fn name(self) -> &'static str {
        match self {
            Self::Namespace => "__namespace",
            Self::Init => "__init",
            Self::Child => "__child",
        }
    }

    /// Returns the stage that this program was started as, if it is one.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == word)
    }

    /// Returns a command that runs the stage. Its standard input is the pipe that ties it to this
    /// process.
    #[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1, and has one child")]
    pub fn command(self, trc: &[OsString]) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("trcctl").arg(self.name()).args(trc).stdin(Stdio::piped());
        // This variable would make trc list the tests instead.
        command.env_remove("TRC_TEST_LIST");
        command
    }

    /// Runs the stage. Returns its exit status, unless the process has become trc.
    #[must_use]
    pub fn run(self, trc: &[OsString]) -> u8 {
        let done = match self {
            Self::Namespace => namespace(trc),
            Self::Init => tie(Signal::SIGKILL).and_then(|()| own_proc()).map(|()| become_trc(trc)),
            // The kernel kills everything in the namespace with PID 1. A plain trc has to stop its
            // units.
            Self::Child => tie(Signal::SIGTERM).map(|()| become_trc(trc)),
        };
        done.unwrap_or_else(|why| {
            let line = serde_json::to_string(&Refusal { no_namespaces: why }).unwrap_or_default();
            _ = writeln!(io::stdout(), "{line}");
            status::CANNOT_EXECUTE
        })
    }
}

/// Blocks the signals of [`PASSED_ON`] and SIGCHLD, and returns them as a file descriptor.
pub fn signals() -> nix::Result<SignalFd> {
    let set: SigSet = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// The signals that have come.
#[derive(Clone, Copy, Default, Debug)]
pub struct Came {
    /// Whether one of them was passed on.
    pub passed_on: bool,
    /// Whether the child may have exited.
    pub ended: bool,
}

/// Passes on the signals that have come.
pub fn pass_on(signals: &SignalFd, child: &Child) -> Came {
    let mut came = Came::default();
    while let Ok(Some(info)) = signals.read_signal() {
        let number = info.ssi_signo.cast_signed();
        match PASSED_ON.into_iter().find(|signal| *signal as i32 == number) {
            // The child has not been reaped yet, so its PID cannot belong to another process.
            Some(signal) => {
                came.passed_on = true;
                _ = nix::sys::signal::kill(Pid::from_raw(child.id().cast_signed()), signal);
            }
            None => came.ended = true,
        }
    }
    came
}

/// Returns the exit status as a shell would.
pub fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(status::SOFTWARE, status::of_signal);
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(signal)
}

fn because(what: &'static str) -> impl Fn(Errno) -> String {
    move |errno| format!("{what}: {}", errno.desc().to_lowercase())
}

/// Ties this process to the stage before it, whose exit sends this signal. Fails if that stage has
/// already exited.
fn tie(signal: Signal) -> Result<(), String> {
    set_pdeathsig(signal).map_err(because("prctl"))?;
    let stdin = io::stdin();
    let mut string = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    _ = poll(&mut string, PollTimeout::ZERO);
    match string[0].revents() {
        Some(events) if events.contains(PollFlags::POLLHUP) => Err("trcctl has exited".to_owned()),
        _ => Ok(()),
    }
}

fn namespace(trc: &[OsString]) -> Result<u8, String> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(because("unshare"))?;
    // This cannot be done earlier: the kernel clears it when the process gains capabilities.
    tie(Signal::SIGKILL)?;
    if !uid.is_root() {
        become_root(uid, gid).map_err(|error| {
            format!("cannot become root of a user namespace: {}", crate::config::reason(&error))
        })?;
    }
    // Otherwise the mounts would be visible outside.
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(because("cannot make mounts private"))?;
    let signals = signals().map_err(because("signalfd"))?;
    let mut init = Stage::Init.command(trc).spawn().map_err(|error| error.to_string())?;
    // This keeps the pipe open: closing it would mean that this stage has exited.
    let _string = init.stdin.take();
    // Otherwise the reader of the report would not see its end when trc exits.
    null(1).map_err(because("/dev/null"))?;
    loop {
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        _ = poll(&mut fds, PollTimeout::NONE);
        if pass_on(&signals, &init).ended
            && let Ok(Some(status)) = init.try_wait()
        {
            return Ok(code(status));
        }
    }
}

/// Becomes root of a user namespace with one user and one group, as `user_namespaces(7)` requires
/// of unprivileged processes.
fn become_root(uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Mounts `/proc` for this namespace.
fn own_proc() -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
        .map_err(because("cannot mount /proc"))
}

fn null(descriptor: i32) -> nix::Result<()> {
    let file = File::options().read(true).write(true).open("/dev/null");
    let file = file.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    match descriptor {
        0 => dup2_stdin(file),
        _ => nix::unistd::dup2_stdout(file),
    }
}

/// Becomes trc, in a session of its own and without input, like PID 1 of `docker run`.
#[expect(clippy::disallowed_methods, reason = "this process becomes trc, it starts none")]
fn become_trc(trc: &[OsString]) -> u8 {
    let [program, arguments @ ..] = trc else { return status::USAGE };
    _ = setsid();
    _ = null(0);
    let error = Command::new(program).args(arguments).exec();
    eprintln!("trcctl: cannot run {}: {}", program.display(), crate::config::reason(&error));
    match error.kind() {
        io::ErrorKind::NotFound => status::NOT_FOUND,
        _ => status::CANNOT_EXECUTE,
    }
}
