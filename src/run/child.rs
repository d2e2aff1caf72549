//! A child's way from its first instruction to its command.
//!
//! It shares trc's memory, on a stack of its own, while trc goes on: so no page tables
//! are copied, and whatever blocks it, a working directory on a network, a binary on a
//! dead mount, does not block PID 1 (but for a transparent command, which is awaited:
//! `Pace::Awaited`). It changes nothing but its stack, and makes its system calls itself.

use std::ffi::{CStr, c_char, c_long};
use std::os::fd::RawFd;
use std::ptr;

use super::spawn::Launch;
use super::syscall::call;
use crate::engine::SpawnStage;

/// Everything a child needs. It lives until the child has executed its command or is gone.
pub struct Orders {
    /// What to start.
    pub launch: Launch,
    /// Pointers into `launch`, and a null one.
    pub argv: Vec<*const c_char>,
    /// Likewise.
    pub envp: Vec<*const c_char>,
    /// Which descriptors become which.
    pub moves: Vec<(RawFd, RawFd)>,
    /// Where it says what failed.
    pub report: RawFd,
    /// Where it waits to be let on, for the end of file; and its copy of the other end.
    pub gate: Option<(RawFd, RawFd)>,
}

/// The steps as the child numbers them on its pipe.
pub const STAGES: [SpawnStage; 5] = [
    SpawnStage::Group,
    SpawnStage::Identity,
    SpawnStage::Directory,
    SpawnStage::Streams,
    SpawnStage::Execute,
];

type Step<T> = Result<T, (SpawnStage, i32)>;

/// All of a child's life before its command; returns only if that can't be executed,
/// and has said so then.
///
/// # Safety
/// Only in a child.
pub unsafe fn run(orders: &Orders) {
    let mut report = orders.report;
    // SAFETY: we are in the child.
    let (stage, errno) = match unsafe { prepare(orders, &mut report) } {
        // SAFETY: likewise.
        Ok(()) => unsafe { execute(orders) },
        Err(failed) => failed,
    };
    let mut bytes = [0_u8; 5];
    for (number, known) in (0_u8..).zip(STAGES) {
        if known == stage {
            bytes[0] = number;
        }
    }
    for (to, from) in bytes[1..].iter_mut().zip(errno.to_ne_bytes()) {
        *to = from;
    }
    // SAFETY: the buffer lives; a report that can't be written is no longer of use.
    let _ = unsafe { call(libc::SYS_write, &[fd(report), bytes.as_ptr() as usize, bytes.len()]) };
}

/// A descriptor, or another C int, as an argument.
fn fd(number: RawFd) -> usize {
    (number as isize).cast_unsigned()
}

unsafe fn prepare(orders: &Orders, report: &mut RawFd) -> Step<()> {
    let launch = &orders.launch;
    let step = |stage: SpawnStage, number: c_long, arguments: &[usize]| {
        // SAFETY: every pointer is to what `orders` keeps, or to a local.
        unsafe { call(number, arguments) }.map_err(|errno| (stage, errno))
    };
    if launch.own_group {
        step(SpawnStage::Group, libc::SYS_setpgid, &[0, 0])?;
    }
    if let Some(terminal) = launch.terminal {
        // All signals are blocked, so TTOU can't stop it. A terminal that has gone away
        // is the command's to find out.
        let own = step(SpawnStage::Group, libc::SYS_getpgid, &[0])?;
        let own = i32::try_from(own).unwrap_or(0);
        let request = usize::try_from(libc::TIOCSPGRP).unwrap_or(0);
        let _ = step(
            SpawnStage::Group,
            libc::SYS_ioctl,
            &[fd(terminal), request, &raw const own as usize],
        );
    }
    if let Some((wait, gate)) = orders.gate {
        let _ = step(SpawnStage::Group, libc::SYS_close, &[fd(gate)]);
        let mut byte = 0_u8;
        let one = [fd(wait), &raw mut byte as usize, 1];
        while step(SpawnStage::Group, libc::SYS_read, &one) == Err((SpawnStage::Group, libc::EINTR))
        {
        }
    }

    // Sources may sit on one another's numbers: first all out of the way.
    let mut above = 3;
    for (_, to) in &orders.moves {
        above = above.max(to + 1);
    }
    let high = |from: RawFd| {
        let arguments = [fd(from), fd(libc::F_DUPFD_CLOEXEC), fd(above)];
        step(SpawnStage::Streams, libc::SYS_fcntl, &arguments).map_err(|(stage, errno)| {
            // fcntl(2): the number is beyond RLIMIT_NOFILE, so there are too few.
            (stage, if errno == libc::EINVAL { libc::EMFILE } else { errno })
        })
    };
    if !orders.moves.is_empty() {
        *report = RawFd::try_from(high(*report)?).unwrap_or(*report);
    }
    for (from, to) in &orders.moves {
        let moved = high(*from)?;
        // dup3(2) refuses to copy a descriptor to itself, which it can't be here.
        step(SpawnStage::Streams, libc::SYS_dup3, &[moved, fd(*to), 0])?;
        step(SpawnStage::Streams, libc::SYS_close, &[moved])?;
    }

    if let Some(umask) = launch.umask {
        step(SpawnStage::Directory, libc::SYS_umask, &[umask as usize])?;
    }
    if let Some(ids) = &launch.ids {
        let (uid, gid) = (ids.uid as usize, ids.gid as usize);
        let groups = [ids.groups.len(), ids.groups.as_ptr() as usize];
        step(SpawnStage::Identity, libc::SYS_setgroups, &groups)?;
        step(SpawnStage::Identity, libc::SYS_setresgid, &[gid, gid, gid])?;
        step(SpawnStage::Identity, libc::SYS_setresuid, &[uid, uid, uid])?;
    }
    // As the user it has become: a directory only root may enter is no place for it.
    if let Some(cwd) = &launch.cwd {
        step(SpawnStage::Directory, libc::SYS_chdir, &[cwd.as_ptr() as usize])?;
    }

    // Default dispositions and an empty mask, whatever trc itself was given: a parent
    // may have had some ignored (nohup, a shell's `&`). To the kernel a disposition is
    // four words at most, all 0 for the default; a set of signals is eight bytes.
    let default = [0_usize; 4];
    for number in 1..=64 {
        // KILL and STOP have no other.
        let arguments = [number, default.as_ptr() as usize, 0, 8];
        let _ = step(SpawnStage::Execute, libc::SYS_rt_sigaction, &arguments);
    }
    let empty = 0_u64;
    let arguments = [fd(libc::SIG_SETMASK), &raw const empty as usize, 0, 8];
    step(SpawnStage::Execute, libc::SYS_rt_sigprocmask, &arguments)?;
    Ok(())
}

/// Tries one file after another, as `execvp(3)` does; returns only if none will do.
unsafe fn execute(orders: &Orders) -> (SpawnStage, i32) {
    let execve = |file: &CStr, argv: *const *const c_char| {
        let arguments = [file.as_ptr() as usize, argv as usize, orders.envp.as_ptr() as usize];
        // SAFETY: both vectors end with a null pointer, and what they point at lives.
        unsafe { call(libc::SYS_execve, &arguments) }.err().unwrap_or(0)
    };
    let mut errno = libc::ENOENT;
    for file in &orders.launch.files {
        match execve(file, orders.argv.as_ptr()) {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            // Another directory of PATH may have one that can be executed.
            libc::EACCES => errno = libc::EACCES,
            libc::ENOEXEC => {
                // A script without a `#!` line: POSIX gives it to the shell; but not a
                // program for another machine.
                const SHELL: &CStr = c"/bin/sh";
                const WORDS: usize = 64;
                let mut words = [ptr::null(); WORDS + 2];
                words[0] = SHELL.as_ptr();
                words[1] = file.as_ptr();
                // SAFETY: we are in the child.
                if orders.argv.len() <= WORDS && !unsafe { is_binary(file) } {
                    for (to, from) in words[2..].iter_mut().zip(orders.argv.iter().skip(1)) {
                        *to = *from;
                    }
                    execve(SHELL, words.as_ptr());
                }
                return (SpawnStage::Execute, libc::ENOEXEC);
            }
            other => return (SpawnStage::Execute, other),
        }
    }
    (SpawnStage::Execute, errno)
}

/// Whether a file is no text: an ELF header, or a NUL in what it begins with.
unsafe fn is_binary(file: &CStr) -> bool {
    let mut start = [0_u8; 128];
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let at = fd(libc::AT_FDCWD);
    // SAFETY: the path ends with a NUL, and the buffer is as long as is said. The
    // descriptor is closed on exec, or with the child.
    let read = unsafe {
        call(libc::SYS_openat, &[at, file.as_ptr() as usize, fd(flags), 0])
            .and_then(|fd| call(libc::SYS_read, &[fd, start.as_mut_ptr() as usize, start.len()]))
    };
    let elf = start[0] == 0x7f && start[1] == b'E' && start[2] == b'L' && start[3] == b'F';
    elf || read.is_ok_and(|read| start.iter().take(read).any(|byte| *byte == 0))
}
