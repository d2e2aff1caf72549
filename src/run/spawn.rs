//! From a prepared launch to a process that has executed its command.
//!
//! A fork and not a vfork: whatever blocks on the way to `execve(2)`, a network
//! working directory or a binary on a dead mount, blocks the child and not PID 1. The
//! heap is small, so a fork costs what a vfork does. The child says over a
//! close-on-exec pipe how far it came: end of file means that the command was executed.

use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::engine::SpawnStage;

/// Who the process becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ids {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// Everything a child needs, made before the fork: after it, nothing may allocate.
pub struct Launch {
    /// The files to try in turn, as `execvp(3)` does along `PATH`.
    pub files: Vec<CString>,
    /// The argument vector.
    pub argv: Vec<CString>,
    /// The environment.
    pub envp: Vec<CString>,
    /// The working directory.
    pub cwd: Option<CString>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Who it becomes, where that is another.
    pub ids: Option<Ids>,
    /// Whether it leads a process group of its own.
    pub own_group: bool,
    /// The terminal, if it is lent to this process.
    pub terminal: Option<RawFd>,
    /// What its descriptors 0, 1 and 2 are, where not trc's own.
    pub streams: [Option<OwnedFd>; 3],
    /// Other descriptors and the numbers they must have.
    pub descriptors: Vec<(OwnedFd, RawFd)>,
}

/// A child on its way.
#[derive(Debug)]
pub struct Child {
    /// Its process.
    pub pid: i32,
    /// End of file once its command is executed; a [`Failure`] before that otherwise.
    pub progress: OwnedFd,
    /// It goes on to execute its command when this is closed.
    pub gate: OwnedFd,
}

/// How far a start came, and what the kernel said to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The step.
    pub stage: SpawnStage,
    /// The error number.
    pub errno: i32,
}

/// Starts a child. It waits at its gate before it executes the command, so that
/// what the log says of its start comes ahead of what it says itself.
///
/// # Errors
/// Which step failed, before there was a child.
pub fn spawn(launch: &Launch) -> Result<Child, Failure> {
    let prepare = |errno: Errno| Failure { stage: SpawnStage::Prepare, errno: errno as i32 };
    let (progress, report) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(prepare)?;
    let (wait, gate) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(prepare)?;
    nix::fcntl::fcntl(&progress, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map_err(prepare)?;
    let argv = pointers(&launch.argv);
    let envp = pointers(&launch.envp);

    // SAFETY: trc has one thread, so the child's copy of the heap is consistent; the
    // child all the same calls only what signal-safety(7) allows and never returns.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        drop_gate(gate.as_raw_fd());
        run_child(launch, &argv, &envp, report.as_raw_fd(), wait.as_raw_fd());
    }
    let pid = Errno::result(forked)
        .map_err(|errno| Failure { stage: SpawnStage::Fork, errno: errno as i32 })?;
    if launch.own_group {
        // The child does the same: whichever comes first, its group is there before
        // anybody signals it. It fails once the child has executed its command.
        // SAFETY: no memory is involved.
        unsafe { libc::setpgid(pid, pid) };
    }
    Ok(Child { pid, progress, gate })
}

/// What a child that has closed or written its progress pipe has to say: `None` if
/// its command was executed.
pub fn read_progress(progress: OwnedFd) -> Option<Failure> {
    let mut bytes = [0; 5];
    // The child writes five bytes at once, or the pipe ends.
    match std::fs::File::from(progress).read(&mut bytes) {
        Ok(5) => {
            let stage = STAGES.get(usize::from(bytes[0])).copied().unwrap_or(SpawnStage::Execute);
            Some(Failure {
                stage,
                errno: i32::from_ne_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]),
            })
        }
        Ok(_) | Err(_) => None,
    }
}

/// The steps as the child numbers them on its pipe.
const STAGES: [SpawnStage; 5] = [
    SpawnStage::Group,
    SpawnStage::Identity,
    SpawnStage::Directory,
    SpawnStage::Streams,
    SpawnStage::Execute,
];

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

fn drop_gate(gate: RawFd) {
    // SAFETY: in the child, whose copy of the descriptor nobody else uses.
    unsafe { libc::close(gate) };
}

/// The child's way to its command. Only async-signal-safe calls: signal-safety(7).
fn run_child(
    launch: &Launch,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
    report: RawFd,
    wait: RawFd,
) -> ! {
    let mut report = report;
    let failed = match prepare_child(launch, &mut report, wait) {
        Ok(()) => execute(launch, argv, envp),
        Err(failed) => failed,
    };
    let (stage, errno) = failed;
    let number = STAGES.iter().position(|known| *known == stage).unwrap_or(0);
    let mut bytes = [0_u8; 5];
    bytes[0] = u8::try_from(number).unwrap_or(0);
    bytes[1..].copy_from_slice(&errno.to_ne_bytes());
    // SAFETY: the buffer lives; a report that can't be written is no longer of use.
    unsafe {
        libc::write(report, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(i32::from(crate::status::CANNOT_EXECUTE))
    }
}

fn prepare_child(
    launch: &Launch,
    report: &mut RawFd,
    wait: RawFd,
) -> Result<(), (SpawnStage, i32)> {
    let check = |stage: SpawnStage, result: libc::c_int| {
        if result < 0 { Err((stage, Errno::last_raw())) } else { Ok(result) }
    };
    // SAFETY: every pointer comes from a CString or array that `launch` keeps alive.
    unsafe {
        if launch.own_group {
            check(SpawnStage::Group, libc::setpgid(0, 0))?;
        }
        if let Some(terminal) = launch.terminal {
            // All signals are blocked, so TTOU can't stop it. A terminal that has gone away is
            // the command's to find out.
            libc::tcsetpgrp(terminal, libc::getpgrp());
        }
        let mut byte = 0_u8;
        while libc::read(wait, (&raw mut byte).cast(), 1) < 0 && Errno::last_raw() == libc::EINTR {}

        // Sources may sit on one another's numbers: first all out of the way.
        let high = |fd: RawFd| match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 200) {
            -1 => libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 20),
            high => high,
        };
        if !launch.descriptors.is_empty() {
            *report = check(SpawnStage::Streams, high(*report))?;
        }
        let streams =
            launch.streams.iter().zip(0..).filter_map(|(fd, number)| Some((fd.as_ref()?, number)));
        let others = launch.descriptors.iter().map(|(fd, number)| (fd, *number));
        for (fd, number) in streams.chain(others) {
            let moved = check(SpawnStage::Streams, high(fd.as_raw_fd()))?;
            check(SpawnStage::Streams, libc::dup2(moved, number))?;
            libc::close(moved);
        }

        if let Some(umask) = launch.umask {
            libc::umask(umask);
        }
        if let Some(ids) = &launch.ids {
            check(SpawnStage::Identity, libc::setgroups(ids.groups.len(), ids.groups.as_ptr()))?;
            check(SpawnStage::Identity, libc::setresgid(ids.gid, ids.gid, ids.gid))?;
            check(SpawnStage::Identity, libc::setresuid(ids.uid, ids.uid, ids.uid))?;
        }
        // As the user it has become: a directory only root may enter is no place for it.
        if let Some(cwd) = &launch.cwd {
            check(SpawnStage::Directory, libc::chdir(cwd.as_ptr()))?;
        }

        // Default dispositions and an empty mask, whatever trc itself was given.
        // PIPE is Rust's; others a parent may have had ignored (nohup, a shell's `&`).
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for number in 1..=64 {
            libc::sigaction(number, &raw const default, ptr::null_mut());
        }
        let mut empty: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut empty);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, ptr::null_mut());
    }
    Ok(())
}

/// Tries one file after another, as `execvp(3)` does; returns only if none will do.
fn execute(
    launch: &Launch,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> (SpawnStage, i32) {
    const SHELL: &CStr = c"/bin/sh";
    let mut errno = libc::ENOENT;
    for file in &launch.files {
        // SAFETY: `argv` and `envp` end with a null pointer, and what they point at
        // lives in `launch`.
        unsafe { libc::execve(file.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        match Errno::last_raw() {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            // Another directory of PATH may have one that can be executed.
            libc::EACCES => errno = libc::EACCES,
            libc::ENOEXEC => {
                // A script without a `#!` line: POSIX gives it to the shell; but not a
                // program for another machine.
                const WORDS: usize = 64;
                let mut words = [ptr::null(); WORDS + 2];
                words[0] = SHELL.as_ptr();
                words[1] = file.as_ptr();
                let rest = &argv[1..];
                if !is_binary(file) && rest.len() <= WORDS {
                    words[2..2 + rest.len()].copy_from_slice(rest);
                    // SAFETY: as above; `rest` ends with the null pointer.
                    unsafe { libc::execve(SHELL.as_ptr(), words.as_ptr(), envp.as_ptr()) };
                }
                return (SpawnStage::Execute, libc::ENOEXEC);
            }
            other => return (SpawnStage::Execute, other),
        }
    }
    (SpawnStage::Execute, errno)
}

/// Whether a file is no text: an ELF header, or a NUL in what it begins with.
fn is_binary(file: &CStr) -> bool {
    let mut start = [0_u8; 128];
    // SAFETY: the path ends with a NUL, and the buffer is as long as is said. The
    // descriptor is closed on exec, or with the child.
    let read = unsafe {
        let fd = libc::open(file.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC);
        libc::read(fd, start.as_mut_ptr().cast(), start.len())
    };
    let start = &start[..usize::try_from(read).unwrap_or(0)];
    start.starts_with(b"\x7fELF") || start.contains(&0)
}

/// A descriptor of our own for one that is trc's, close-on-exec.
pub fn duplicate(fd: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: fcntl checks the number; the result is a new descriptor of ours.
    unsafe {
        let new = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(new))
    }
}
