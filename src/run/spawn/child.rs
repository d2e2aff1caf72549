//! The steps of a child from its first instruction to its command.
//!
//! The child shares trc's memory, on a stack of its own, while trc continues. So the kernel copies
//! no page tables, and nothing that blocks the child, such as a working directory on a network or a
//! binary on a dead mount, blocks PID 1. (trc waits only for a transparent command:
//! `Pace::Awaited`.) The child changes nothing but its stack, and makes direct system calls.
//!
//! The order of the steps matters:
//!
//! 1. its process group, or its session, so that a signal reaches all of it;
//! 2. the terminal that trc lends it, and then the gate, after which every step may block;
//! 3. what the unit needs (`run/layout/`), with trc's own user and directory; this is the only step
//!    that does more than system calls, in a child that shares no memory with trc; until it is done,
//!    signals end the child;
//! 4. a terminal of its own, which only the leader of a session can take, and which the unit's user
//!    may not be allowed to open; or the standard streams that a client passes, of which PID 1 must
//!    never hold one (`run/os/rights.rs`);
//! 5. the standard streams, which replace those of the terminal; trc has already given the pipes to
//!    the user;
//! 6. the umask, on which no other step depends;
//! 7. `oom_score_adj`, the nice value and the limits, which may need privileges; the limits come
//!    last, because `nofile` may prevent the child from opening the file of `oom_score_adj`;
//! 8. the bounding set: dropping a capability from it takes setpcap, which is lost with the change
//!    of the user;
//! 9. the groups, the group and finally the user, after which none of these could be changed;
//!    `PR_SET_KEEPCAPS` keeps the capabilities, which would be lost with user ID 0;
//! 10. the capabilities that it keeps; a change of the user clears the ambient ones, and they have
//!     to be permitted and inheritable first;
//! 11. `no_new_privs`, which does not affect privileges that are given before execve(2);
//! 12. the working directory, as the user: a unit must not start in a directory that only root may
//!     enter;
//! 13. the signal for trc's death, which a change of the user resets;
//! 14. the dispositions and the mask of signals, as late as possible: until then, no signal may be
//!     handled, or terminate the child before it can report;
//! 15. execve(2).

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_long};
use std::mem::{self, MaybeUninit};
use std::os::fd::RawFd;
use std::ptr;

use super::OwnPid;
use super::launch::{Launch, Passed};
use super::{LAID_OUT, LONGEST};
use crate::engine::SpawnStage;
use crate::run::layout::Layout;
use crate::run::os::limits::LOCKS;
use crate::run::os::syscall::call;
use crate::run::os::{guard, signals};

/// Everything that a child needs. It lives until the child has executed its command or has exited.
pub(super) struct Orders {
    /// The process to start.
    pub launch: Launch,
    /// Pointers into `launch`, and a null one.
    pub argv: Vec<*const c_char>,
    /// Likewise.
    pub envp: Vec<*const c_char>,
    /// The variable of the environment that the child completes.
    pub own_pid: Option<OwnPid>,
    /// The descriptors, with the numbers that they get. The child notes here to where it has moved one
    /// that was in the way.
    pub moves: Vec<(Cell<RawFd>, RawFd)>,
    /// The pipe on which the child reports a failure.
    pub report: RawFd,
    /// The pipe on which the child reports its layout, if it has one.
    pub laid: Option<RawFd>,
    /// The pipe on which the child waits for the end of file before it continues, and its copy of
    /// the other end.
    pub gate: Option<(RawFd, RawFd)>,
}

/// The numbers of the steps that the child writes to its pipe.
pub(super) const STAGES: [SpawnStage; 11] = [
    SpawnStage::Prepare,
    SpawnStage::Group,
    SpawnStage::Terminal,
    SpawnStage::Limits,
    SpawnStage::Nice,
    SpawnStage::OomScore,
    SpawnStage::Capabilities,
    SpawnStage::Identity,
    SpawnStage::Directory,
    SpawnStage::Streams,
    SpawnStage::Execute,
];

type Step<T> = Result<T, (SpawnStage, i32)>;

/// Runs all steps of a child. Returns only if the command cannot be executed, after the child has
/// reported it.
///
/// # Safety
/// Call this only in a child.
pub(super) unsafe fn run(orders: &Orders) {
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
    // SAFETY: the buffer is alive. If the report cannot be written, nobody needs it any more.
    let _ = unsafe { call(libc::SYS_write, &[fd(report), bytes.as_ptr() as usize, bytes.len()]) };
}

/// Converts a descriptor, or another C int, to an argument.
fn fd(number: RawFd) -> usize {
    (number as isize).cast_unsigned()
}

unsafe fn prepare(orders: &Orders, report: &mut RawFd) -> Step<()> {
    let launch = &orders.launch;
    let step = |stage: SpawnStage, number: c_long, arguments: &[usize]| {
        // SAFETY: every pointer is to something that `orders` keeps, or to a local.
        unsafe { call(number, arguments) }.map_err(|errno| (stage, errno))
    };
    if launch.leads_session() {
        // This creates a process group, too.
        step(SpawnStage::Group, libc::SYS_setsid, &[])?;
    } else if launch.own_group {
        step(SpawnStage::Group, libc::SYS_setpgid, &[0, 0])?;
    }
    if let Some(terminal) = launch.terminal {
        // All signals are blocked, so SIGTTOU cannot suspend the child. If the terminal has gone
        // away, the command finds out.
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

    if let (Some(layout), Some(laid)) = (&launch.layout, orders.laid) {
        // SAFETY: we are in the child, which has a copy of trc's memory.
        unsafe { lay_out(layout, orders, laid) }.map_err(|errno| (SpawnStage::Prepare, errno))?;
    }

    if let Some(tty) = &launch.tty {
        let flags = fd(libc::O_RDWR | libc::O_CLOEXEC);
        let path = tty.as_ptr() as usize;
        let at = fd(libc::AT_FDCWD);
        let terminal = step(SpawnStage::Terminal, libc::SYS_openat, &[at, path, flags, 0])?;
        let request = usize::try_from(libc::TIOCSCTTY).unwrap_or(0);
        step(SpawnStage::Terminal, libc::SYS_ioctl, &[terminal, request, 0])?;
        // The other standard streams come afterwards.
        for number in 0..3 {
            if terminal != number {
                step(SpawnStage::Terminal, libc::SYS_dup3, &[terminal, number, 0])?;
            }
        }
    }

    if let Some(passed) = &launch.passed {
        // SAFETY: we are in the child.
        let streams = unsafe { receive(passed) }.map_err(|errno| (SpawnStage::Streams, errno))?;
        // The numbers up to 2 are never free in trc, so that these are others.
        for (from, to) in streams.iter().zip(0..) {
            step(SpawnStage::Streams, libc::SYS_dup3, &[fd(*from), to, 0])?;
        }
        if passed.terminal {
            let request = usize::try_from(libc::TIOCSCTTY).unwrap_or(0);
            step(SpawnStage::Terminal, libc::SYS_ioctl, &[0, request, 0])?;
            // The unit's user may open `/dev/stdout`, as on a terminal of its own. If that is not
            // allowed, the command runs all the same.
            if let Some(ids) = &launch.ids {
                let group = fd(-1);
                let _ = step(SpawnStage::Terminal, libc::SYS_fchown, &[0, ids.uid as usize, group]);
            }
        }
    }

    // A descriptor may have the number that another one is to get: those that do make room first.
    let is_wanted = |number: RawFd| orders.moves.iter().any(|(_, to)| *to == number);
    let above = orders.moves.iter().map(|(_, to)| to + 1).max().unwrap_or(0).max(3);
    let away = |from: RawFd| {
        let arguments = [fd(from), fd(libc::F_DUPFD_CLOEXEC), fd(above)];
        let moved = step(SpawnStage::Streams, libc::SYS_fcntl, &arguments);
        let moved = moved.map_err(|(stage, errno)| {
            // fcntl(2): the number is beyond RLIMIT_NOFILE, so there are too few.
            (stage, if errno == libc::EINVAL { libc::EMFILE } else { errno })
        })?;
        Ok(RawFd::try_from(moved).unwrap_or(from))
    };
    if is_wanted(*report) {
        *report = away(*report)?;
    }
    for (from, _) in &orders.moves {
        if is_wanted(from.get()) {
            from.set(away(from.get())?);
        }
    }
    for (from, to) in &orders.moves {
        // dup3(2) refuses to copy a descriptor to itself, which cannot happen here.
        step(SpawnStage::Streams, libc::SYS_dup3, &[fd(from.get()), fd(*to), 0])?;
    }

    if let Some(umask) = launch.umask {
        step(SpawnStage::Directory, libc::SYS_umask, &[umask as usize])?;
    }
    // Steps that may need privileges come while the child has them. The limits come after the file,
    // because a low `nofile` would prevent the child from opening it.
    if let Some(score) = &launch.oom_score_adj {
        let path = c"/proc/self/oom_score_adj".as_ptr() as usize;
        let at = fd(libc::AT_FDCWD);
        let flags = fd(libc::O_WRONLY | libc::O_CLOEXEC);
        let file = step(SpawnStage::OomScore, libc::SYS_openat, &[at, path, flags, 0])?;
        let text = [file, score.as_ptr() as usize, score.len()];
        step(SpawnStage::OomScore, libc::SYS_write, &text)?;
        step(SpawnStage::OomScore, libc::SYS_close, &[file])?;
    }
    if let Some(nice) = launch.nice {
        let arguments = [libc::PRIO_PROCESS as usize, 0, fd(nice)];
        step(SpawnStage::Nice, libc::SYS_setpriority, &arguments)?;
    }
    if let Some(mark) = &launch.birthmark {
        // If that fails, as in some sandboxes, the unit starts without it.
        let arguments = [0, LOCKS as usize, mark.as_ptr() as usize, 0];
        let _ = step(SpawnStage::Limits, libc::SYS_prlimit64, &arguments);
    }
    for (resource, limit) in &launch.limits {
        let arguments = [0, *resource as usize, limit.as_ptr() as usize, 0];
        step(SpawnStage::Limits, libc::SYS_prlimit64, &arguments)?;
    }
    let prctl = |stage: SpawnStage, option: libc::c_int, a: usize, b: usize| {
        step(stage, libc::SYS_prctl, &[fd(option), a, b, 0, 0])
    };
    if let Some(kept) = launch.capabilities {
        // No execve(2), not even root's, brings back a capability that is not in the bounding set.
        // Dropping from the set takes a capability, so it comes first.
        for number in 0..64 {
            let dropped = kept & (1 << number) == 0;
            let known = match prctl(SpawnStage::Capabilities, libc::PR_CAPBSET_READ, number, 0) {
                // There are no more capabilities. Any other error is a failure.
                Err((_, libc::EINVAL)) => break,
                known => known? != 0,
            };
            if dropped && known {
                prctl(SpawnStage::Capabilities, libc::PR_CAPBSET_DROP, number, 0)?;
            }
        }
        // Otherwise they would be lost with user ID 0.
        prctl(SpawnStage::Capabilities, libc::PR_SET_KEEPCAPS, 1, 0)?;
    }
    if let Some(ids) = &launch.ids {
        let (uid, gid) = (ids.uid as usize, ids.gid as usize);
        let groups = [ids.groups.len(), ids.groups.as_ptr() as usize];
        step(SpawnStage::Identity, libc::SYS_setgroups, &groups)?;
        step(SpawnStage::Identity, libc::SYS_setresgid, &[gid, gid, gid])?;
        step(SpawnStage::Identity, libc::SYS_setresuid, &[uid, uid, uid])?;
    }
    if let Some(kept) = launch.capabilities {
        // capset(2), version 3: two words each of effective, permitted and inheritable.
        let header = [0x2008_0522_u32, 0];
        let (low, high) = ((kept & 0xffff_ffff) as u32, (kept >> 32) as u32);
        let data = [low, low, low, high, high, high];
        let arguments = [header.as_ptr() as usize, data.as_ptr() as usize];
        step(SpawnStage::Capabilities, libc::SYS_capset, &arguments)?;
        // A program without capabilities of its own starts with the ambient ones.
        let ambient = libc::PR_CAP_AMBIENT;
        for number in (0..64).filter(|number| kept & (1 << number) != 0) {
            let raise = libc::PR_CAP_AMBIENT_RAISE as usize;
            prctl(SpawnStage::Capabilities, ambient, raise, number)?;
        }
    }
    if launch.no_new_privs {
        prctl(SpawnStage::Capabilities, libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    }
    // This runs as the unit's user: a unit must not start in a directory that only root may enter.
    if let Some(cwd) = &launch.cwd {
        step(SpawnStage::Directory, libc::SYS_chdir, &[cwd.as_ptr() as usize])?;
    }

    if let Some((signal, parent)) = launch.pdeathsig {
        prctl(SpawnStage::Execute, libc::PR_SET_PDEATHSIG, fd(signal), 0)?;
        // If trc exited before that, the child would not get the signal.
        if step(SpawnStage::Execute, libc::SYS_getppid, &[])? != fd(parent) {
            let own = step(SpawnStage::Execute, libc::SYS_getpid, &[])?;
            step(SpawnStage::Execute, libc::SYS_kill, &[own, fd(signal)])?;
        }
    }

    // Default dispositions and an empty mask, whatever trc itself was started with: its parent may
    // have ignored some signals (nohup, a shell's `&`). For the kernel, a disposition is at most
    // four words, of which the first is 0 for the default and 1 to ignore the signal, and a set of
    // signals is eight bytes.
    let mut mask = 0_u64;
    match launch.inherited {
        None => {
            let default = [0_usize; 4];
            for number in 1..=64 {
                // SIGKILL and SIGSTOP have no other disposition.
                let arguments = [number, default.as_ptr() as usize, 0, 8];
                let _ = step(SpawnStage::Execute, libc::SYS_rt_sigaction, &arguments);
            }
        }
        Some(inherited) => {
            mask = inherited.blocked;
            if inherited.child_ignored {
                let ignore = [libc::SIG_IGN, 0, 0, 0];
                let arguments = [libc::SIGCHLD as usize, ignore.as_ptr() as usize, 0, 8];
                step(SpawnStage::Execute, libc::SYS_rt_sigaction, &arguments)?;
            }
        }
    }
    let arguments = [fd(libc::SIG_SETMASK), &raw const mask as usize, 0, 8];
    step(SpawnStage::Execute, libc::SYS_rt_sigprocmask, &arguments)?;
    Ok(())
}

/// Makes what the unit needs, and reports it.
///
/// # Safety
/// Call this only in a child that has a copy of trc's memory.
unsafe fn lay_out(layout: &Layout, orders: &Orders, laid: RawFd) -> Result<(), i32> {
    // This may take long. If the child held the connections of trc's clients or the pipes of other
    // units meanwhile, nobody would see that trc has closed them.
    let kept: Vec<RawFd> =
        orders.moves.iter().map(|(from, _)| from.get()).chain([orders.report, laid]).collect();
    // SAFETY: the child never uses the others.
    unsafe { guard::close_all_but(&kept) };
    let made = signals::interruptibly(layout.stop, || layout.make());
    let text = match &made {
        Ok(()) => vec![LAID_OUT],
        Err(why) => why.to_string().into_bytes(),
    };
    let text = &text[..text.len().min(LONGEST)];
    // SAFETY: the text is alive.
    let told = unsafe { call(libc::SYS_write, &[fd(laid), text.as_ptr() as usize, text.len()]) };
    made.map_err(|why| why.why.errno().map_or(libc::EINVAL, |errno| errno as i32))?;
    // Without the report, trc would take the child for one that was killed.
    told.map(|_| ())
}

/// Receives the three descriptors that a client passes. Any other number of them is EBADMSG: the
/// child exits with them, and does not wait for their close.
unsafe fn receive(passed: &Passed) -> Result<[RawFd; 3], i32> {
    let mut bytes = MaybeUninit::<[u8; 4096]>::uninit();
    let mut control = MaybeUninit::<[usize; CONTROL]>::uninit();
    let mut left = passed.bytes;
    while left > 0 {
        let size = left.min(mem::size_of_val(&bytes));
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: size };
        // SAFETY: all zeros are a message without parts (its fields differ between C libraries).
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control) as _;
        let flags = fd(libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
        let arguments = [fd(passed.socket), &raw mut message as usize, flags];
        // SAFETY: every pointer is to a local that outlives the call, with its length.
        match unsafe { call(libc::SYS_recvmsg, &arguments) }? {
            0 => break,
            received => left = left.saturating_sub(received),
        }
        // SAFETY: the kernel has filled in the control data and its length; a descriptor may lie at
        // any address.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            // There is room for every number of them: there were no numbers left for some.
            if message.msg_flags & libc::MSG_CTRUNC != 0 {
                return Err(libc::EMFILE);
            }
            if header.is_null() {
                continue;
            }
            let are_three = (*header).cmsg_level == libc::SOL_SOCKET
                && (*header).cmsg_type == libc::SCM_RIGHTS
                && (*header).cmsg_len as usize == libc::CMSG_LEN(SIZE_OF_THREE) as usize;
            if !are_three {
                break;
            }
            return Ok(libc::CMSG_DATA(header).cast::<[RawFd; 3]>().read_unaligned());
        }
    }
    Err(libc::EBADMSG)
}

/// Room for 253 descriptors, which is the most that a message may carry (`SCM_MAX_FD` of unix(7)),
/// in words.
const CONTROL: usize = 2 + 1024 / mem::size_of::<usize>();
/// The size of three descriptors, in bytes.
const SIZE_OF_THREE: u32 = 3 * 4;

/// Tries one file after another, as `execvp(3)` does. Returns only if none can be executed.
unsafe fn execute(orders: &Orders) -> (SpawnStage, i32) {
    let execve = |file: &CStr, argv: *const *const c_char| {
        let arguments = [file.as_ptr() as usize, argv as usize, orders.envp.as_ptr() as usize];
        // SAFETY: both vectors end with a null pointer, and their strings are still alive.
        unsafe { call(libc::SYS_execve, &arguments) }.err().unwrap_or(0)
    };
    if let Some(own_pid) = &orders.own_pid {
        // SAFETY: no memory is involved.
        let pid = unsafe { call(libc::SYS_getpid, &[]) }.unwrap_or(0);
        own_pid.write(u32::try_from(pid).unwrap_or(0));
    }
    let mut errno = libc::ENOENT;
    for file in &orders.launch.files {
        match execve(file, orders.argv.as_ptr()) {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            // Another directory of PATH may have a file that can be executed.
            libc::EACCES => errno = libc::EACCES,
            libc::ENOEXEC => {
                // POSIX gives a script without a `#!` line to the shell, but not a program for
                // another machine.
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

/// Returns whether a file is not a text: it has an ELF header, or a NUL at its beginning.
unsafe fn is_binary(file: &CStr) -> bool {
    let mut start = [0_u8; 128];
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let at = fd(libc::AT_FDCWD);
    // SAFETY: the path ends with a NUL, and the buffer has the given length. The
    // descriptor is closed on exec, or with the child.
    let read = unsafe {
        call(libc::SYS_openat, &[at, file.as_ptr() as usize, fd(flags), 0])
            .and_then(|fd| call(libc::SYS_read, &[fd, start.as_mut_ptr() as usize, start.len()]))
    };
    let elf = start[0] == 0x7f && start[1] == b'E' && start[2] == b'L' && start[3] == b'F';
    elf || read.is_ok_and(|read| start.iter().take(read).any(|byte| *byte == 0))
}
