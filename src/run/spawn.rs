//! From a prepared launch to a process that has executed its command.
//!
//! The child says over a close-on-exec pipe how far it came: end of file means that the
//! command was executed.

use std::ffi::{CString, OsStr, c_void};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::unistd::{Gid, Uid, pipe2};

use super::child::{self, Orders, STAGES};
use super::signals::Inherited;
use crate::engine::SpawnStage;

/// Who the process becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ids {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What a process is to be, all of it made ahead: the child may not allocate.
pub(super) struct Launch {
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
    /// Its resource limits: which, and what is soft and hard.
    pub limits: Vec<(u32, [u64; 2])>,
    /// The mark of its unit, as a soft and a hard `RLIMIT_LOCKS`.
    pub birthmark: Option<[u64; 2]>,
    /// Its nice value.
    pub nice: Option<i32>,
    /// What is written to its `oom_score_adj`.
    pub oom_score_adj: Option<String>,
    /// Whether nothing it executes gains privileges.
    pub no_new_privs: bool,
    /// The capabilities it keeps, one bit each.
    pub capabilities: Option<u64>,
    /// The terminal it runs on, in a session of its own.
    pub tty: Option<CString>,
    /// The signals that it takes over as trc was given them; without it all are as by default.
    pub inherited: Option<Inherited>,
    /// The signal that it gets when trc is gone, and trc's own number.
    pub pdeathsig: Option<(i32, i32)>,
    /// Whether it leads a process group of its own.
    pub own_group: bool,
    /// The terminal, if it is lent to this process.
    pub terminal: Option<RawFd>,
    /// What its descriptors 0, 1 and 2 are, where not trc's own.
    pub streams: [Option<OwnedFd>; 3],
    /// Other descriptors and the numbers they must have.
    pub descriptors: Vec<(OwnedFd, RawFd)>,
}

impl Launch {
    /// Its user and group, where they are others than trc's.
    pub(super) fn owner(&self) -> Option<(Uid, Gid)> {
        self.ids.as_ref().map(|ids| (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid)))
    }
}

/// A child on its way.
pub(super) struct Child {
    /// Its process.
    pub pid: i32,
    /// End of file once its command is executed; a [`Failure`] before that otherwise.
    pub progress: OwnedFd,
    /// It goes on to execute its command when this is closed, if it waits at all.
    pub gate: Option<OwnedFd>,
    /// What it works with.
    pub hold: Hold,
}

/// The memory that a child uses until it has executed its command, or is gone: to be
/// kept until then.
pub(super) struct Hold((Box<Orders>, Stack));

impl Hold {
    /// The files of which one was to be executed.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let (orders, _) = &self.0;
        orders.launch.files.iter().map(|file| Path::new(OsStr::from_bytes(file.to_bytes())))
    }
}

/// How far a start came, and what the kernel said to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// The step.
    pub stage: SpawnStage,
    /// The error number.
    pub errno: i32,
}

/// When a child executes its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// As soon as it can.
    Free,
    /// When its gate is opened: so that what the log says of its start comes ahead of what
    /// it says itself.
    Gated,
    /// As soon as it can, and trc does nothing else until then, as vfork(2) has it: for a
    /// transparent command, for which all signals would be held as long anyway.
    Awaited,
}

/// Starts a child.
///
/// # Errors
/// Which step failed, before there was a child.
pub(super) fn spawn(mut launch: Launch, pace: Pace) -> Result<Child, Failure> {
    let prepare = |errno: Errno| Failure { stage: SpawnStage::Prepare, errno: errno as i32 };
    let (progress, report) = pipe2(OFlag::O_CLOEXEC).map_err(prepare)?;
    let gate =
        if pace == Pace::Gated { Some(pipe2(OFlag::O_CLOEXEC).map_err(prepare)?) } else { None };
    fcntl(&progress, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(prepare)?;
    let streams = std::mem::take(&mut launch.streams);
    let others = std::mem::take(&mut launch.descriptors);
    let moves = streams.iter().zip(0..).filter_map(|(fd, to)| Some((fd.as_ref()?.as_raw_fd(), to)));
    let moves = moves.chain(others.iter().map(|(fd, to)| (fd.as_raw_fd(), *to))).collect();
    // One that makes a session must not lead a group before: setsid(2).
    let own_group = launch.own_group && launch.tty.is_none();
    let orders = Box::new(Orders {
        argv: pointers(&launch.argv),
        envp: pointers(&launch.envp),
        moves,
        launch,
        report: report.as_raw_fd(),
        gate: gate.as_ref().map(|(wait, gate)| (wait.as_raw_fd(), gate.as_raw_fd())),
    });
    let stack = Stack::new().map_err(prepare)?;
    // SAFETY: the orders and the stack are held until the child needs them no more.
    let pid = unsafe { clone(&orders, &stack, pace == Pace::Awaited) }
        .map_err(|errno| Failure { stage: SpawnStage::Fork, errno: errno as i32 })?;
    if own_group {
        // The child does the same: whichever comes first, its group is there before
        // anybody signals it. It fails once the child has executed its command.
        // SAFETY: no memory is involved.
        unsafe { libc::setpgid(pid, pid) };
    }
    Ok(Child { pid, progress, gate: gate.map(|(_, gate)| gate), hold: Hold((orders, stack)) })
}

/// The stack of a child that shares trc's memory.
struct Stack(NonNull<c_void>);

impl Stack {
    /// What `child` needs is a few hundred bytes; pages that are not touched cost nothing.
    const SIZE: NonZeroUsize = NonZeroUsize::new(64 * 1024).unwrap();

    fn new() -> nix::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping anywhere touches nothing that is there.
        unsafe { mmap_anonymous(None, Self::SIZE, access, flags) }.map(Self)
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping; it grows downwards, and a mapping's
        // end is aligned as every machine's calls want it.
        unsafe { self.0.as_ptr().byte_add(Self::SIZE.get()) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's alone, and its child is gone.
        let _ = unsafe { munmap(self.0, Self::SIZE.get()) };
    }
}

/// Starts a child that shares trc's memory, where its system calls don't touch it.
///
/// One that is to have an `oom_score_adj` of its own gets a copy: the kernel gives the
/// score to every process that shares the memory, and so to trc (`__set_oom_adj` in
/// `fs/proc/base.c`), whose end would be the container's. So do all where sharing is refused: by
/// an emulator of another machine, which knows threads and forks only (qemu-user: EINVAL), or by
/// a filter of system calls. That is found out once.
///
/// # Safety
/// `orders` and `stack` stay as they are until the child has executed its command or is
/// gone.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn clone(orders: &Orders, stack: &Stack, awaited: bool) -> nix::Result<i32> {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    extern "C" fn first(orders: *mut c_void) -> libc::c_int {
        // SAFETY: in the child, which was given its orders.
        unsafe {
            child::run(&*orders.cast::<Orders>());
            let status = usize::from(crate::status::CANNOT_EXECUTE);
            let _ = super::syscall::call(libc::SYS_exit_group, &[status]);
        }
        0
    }
    let start = |flags: libc::c_int| {
        let orders = ptr::from_ref(orders).cast_mut().cast();
        // SAFETY: the caller's. All signals are blocked, so no handler runs on its stack.
        Errno::result(unsafe { libc::clone(first, stack.top(), flags | libc::SIGCHLD, orders) })
    };
    let awaited = if awaited { libc::CLONE_VFORK } else { 0 };
    if orders.launch.oom_score_adj.is_some() {
        return start(awaited);
    }
    if !REFUSED.load(Ordering::Relaxed) {
        match start(awaited | libc::CLONE_VM) {
            Err(Errno::EPERM | Errno::ENOSYS | Errno::EINVAL) => {}
            started => return started,
        }
    }
    // Not awaited: whoever refuses the one may refuse the other.
    let started = start(0);
    REFUSED.fetch_or(started.is_ok(), Ordering::Relaxed);
    started
}

/// Starts a child with a copy of trc's memory.
///
/// # Safety
/// None beyond that of fork(2) in a process of one thread.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone(orders: &Orders, _stack: &Stack, _awaited: bool) -> nix::Result<i32> {
    // SAFETY: one thread, and the child makes system calls only.
    match Errno::result(unsafe { libc::fork() })? {
        0 => unsafe {
            child::run(orders);
            libc::_exit(i32::from(crate::status::CANNOT_EXECUTE))
        },
        pid => Ok(pid),
    }
}

/// What a child that has closed or written its progress pipe has to say: `None` if
/// its command was executed.
pub(super) fn read_progress(progress: OwnedFd) -> Option<Failure> {
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

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// A descriptor of our own for one that is trc's, close-on-exec.
pub(super) fn duplicate(fd: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: fcntl checks the number; the result is a new descriptor of ours.
    unsafe {
        let new = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(new))
    }
}
