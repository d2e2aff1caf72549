//! The way from a prepared launch to a process that has executed its command.
//!
//! The child reports over a close-on-exec pipe how far it came. End of file means that the command
//! was executed.

mod child;
mod launch;

use std::cell::Cell;
use std::ffi::{CString, OsStr, c_char, c_void};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::unistd::pipe2;

use crate::engine::SpawnStage;
use crate::run::os::pipe::Pipe;
use child::{Orders, STAGES};

pub(crate) use launch::{Ids, Launch, Passed};

/// A child on its way.
pub(crate) struct Child {
    /// The child's process ID.
    pub pid: i32,
    /// The progress pipe: end of file once the command is executed, or a [`Failure`] before that.
    pub progress: OwnedFd,
    /// The gate, if the child waits: when it is closed, the child executes its command.
    pub gate: Option<OwnedFd>,
    /// The memory that the child works with.
    pub hold: Hold,
}

/// The memory that a child uses until it has executed its command or has exited. It has to be kept
/// until then.
pub(crate) struct Hold {
    orders: Box<Orders>,
    _stack: Stack,
    /// The pipe on which the child reports its layout, if it has one.
    laid: Option<OwnedFd>,
}

impl Hold {
    /// Returns the files of which one was to be executed.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.orders.launch.files.iter().map(|file| Path::new(OsStr::from_bytes(file.to_bytes())))
    }

    /// Returns whether the child makes a layout first.
    pub(crate) fn has_layout(&self) -> bool {
        self.laid.is_some()
    }

    /// Returns what has become of the child's layout, once the child has exited or has executed its
    /// command.
    pub(crate) fn laid(&self) -> Laid {
        let Some(laid) = &self.laid else { return Laid::Out };
        let mut bytes = [0; LONGEST];
        match nix::unistd::read(laid, &mut bytes) {
            Ok(1) if bytes[0] == LAID_OUT => Laid::Out,
            Ok(count @ 1..) => Laid::Not(String::from_utf8_lossy(&bytes[..count]).into_owned()),
            Ok(0) | Err(_) => Laid::Unfinished,
        }
    }
}

/// What has become of a child's layout.
pub(crate) enum Laid {
    /// It is made, or there was nothing to make.
    Out,
    /// It cannot be made, for this reason.
    Not(String),
    /// The child was killed before.
    Unfinished,
}

/// The longest report about a layout, in bytes. A pipe has room for it, and takes it at once:
/// `PIPE_BUF` of pipe(7).
const LONGEST: usize = 4096;
/// The report that a layout is made, which no text begins with.
const LAID_OUT: u8 = 0;

/// The step at which a start failed, and the kernel's error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// The step.
    pub stage: SpawnStage,
    /// The error number.
    pub errno: Errno,
}

/// The moment at which a child executes its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// The child executes its command as soon as it can.
    Free,
    /// The child waits until its gate is opened, so that the log's line about its start comes ahead
    /// of its own output.
    Gated,
    /// The child executes its command as soon as it can, and trc does nothing else until then, as
    /// with vfork(2). This is for a transparent command, for which all signals would be held as
    /// long anyway.
    Awaited,
}

/// Starts a child.
///
/// # Errors
/// Returns which step failed, before there was a child.
pub(crate) fn spawn(mut launch: Launch, pace: Pace) -> Result<Child, Failure> {
    let prepare = |errno: Errno| Failure { stage: SpawnStage::Prepare, errno };
    let Pipe { read: progress, write: report } = Pipe::new().map_err(prepare)?;
    let gate =
        if pace == Pace::Gated { Some(pipe2(OFlag::O_CLOEXEC).map_err(prepare)?) } else { None };
    let laid = launch.layout.is_some().then(Pipe::new).transpose().map_err(prepare)?;
    let streams = std::mem::take(&mut launch.streams);
    let others = std::mem::take(&mut launch.descriptors);
    let moves = streams.iter().zip(0..).filter_map(|(fd, to)| Some((fd.as_ref()?.as_raw_fd(), to)));
    let moves = moves.chain(others.iter().map(|(fd, to)| (fd.as_raw_fd(), *to)));
    let moves = moves.map(|(from, to)| (Cell::new(from), to)).collect();
    // A child that creates a session must not lead a process group before: setsid(2).
    let own_group = launch.own_group && !launch.leads_session();
    let own_pid = launch.listen_pid.then(OwnPid::new);
    let mut envp = pointers(&launch.envp);
    if let Some(own_pid) = &own_pid {
        envp.insert(0, own_pid.as_ptr());
    }
    let orders = Box::new(Orders {
        argv: pointers(&launch.argv),
        envp,
        own_pid,
        moves,
        launch,
        report: report.as_raw_fd(),
        laid: laid.as_ref().map(|pipe| pipe.write.as_raw_fd()),
        gate: gate.as_ref().map(|(wait, gate)| (wait.as_raw_fd(), gate.as_raw_fd())),
    });
    let stack = Stack::new().map_err(prepare)?;
    // SAFETY: the orders and the stack live until the child no longer needs them.
    let pid = unsafe { clone(&orders, &stack, pace == Pace::Awaited) }
        .map_err(|errno| Failure { stage: SpawnStage::Fork, errno })?;
    if own_group {
        // The child does the same. Whichever comes first, the process group exists before anybody
        // signals it. This fails once the child has executed its command.
        // SAFETY: no memory is involved.
        unsafe { libc::setpgid(pid, pid) };
    }
    let hold = Hold { orders, _stack: stack, laid: laid.map(|pipe| pipe.read) };
    Ok(Child { pid, progress, gate: gate.map(|(_, gate)| gate), hold })
}

/// The variable `LISTEN_PID` of an environment, which only the child can complete.
pub(super) struct OwnPid(Box<[AtomicU8]>);

impl OwnPid {
    const NAME: &[u8] = b"LISTEN_PID=";
    /// The most digits of a process ID.
    const DIGITS: usize = 10;

    fn new() -> Self {
        let zeros = [0; Self::DIGITS + 1];
        Self(Self::NAME.iter().chain(&zeros).map(|byte| AtomicU8::new(*byte)).collect())
    }

    fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// Writes the number of the process. The child may be a copy of trc or share its memory.
    fn write(&self, pid: u32) {
        let count = pid.checked_ilog10().unwrap_or(0);
        let mut rest = pid;
        for at in (0..=count as usize).rev() {
            let digit = u8::try_from(rest % 10).unwrap_or(0);
            if let Some(byte) = self.0.get(Self::NAME.len() + at) {
                byte.store(b'0' + digit, Ordering::Relaxed);
            }
            rest /= 10;
        }
    }
}

/// The stack of a child that shares trc's memory.
struct Stack(NonNull<c_void>);

impl Stack {
    /// `child` needs a few hundred bytes. Pages that are not touched cost nothing.
    const SIZE: NonZeroUsize = NonZeroUsize::new(64 * 1024).unwrap();

    fn new() -> nix::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at any address does not affect existing ones.
        unsafe { mmap_anonymous(None, Self::SIZE, access, flags) }.map(Self)
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: this is one byte past the end of the mapping. The stack grows downwards, and the
        // end of a mapping is aligned as every machine requires.
        unsafe { self.0.as_ptr().byte_add(Self::SIZE.get()) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this stack only, and its child has exited.
        let _ = unsafe { munmap(self.0, Self::SIZE.get()) };
    }
}

/// Starts a child that shares the memory of trc, on machines on which its system calls do not write
/// to it.
///
/// A child with an `oom_score_adj` of its own gets a copy: the kernel gives the score to every
/// process that shares the memory, and so to trc (`__set_oom_adj` in `fs/proc/base.c`), whose exit
/// would end the container. So does every child if sharing is refused: by an emulator of another
/// machine, which knows only threads and forks (qemu-user: EINVAL), or by a filter of system calls.
/// trc finds that out once.
///
/// A child with a layout does far more than system calls before it executes its command. So it gets
/// a copy of everything, and trc's own stack: a fork.
///
/// # Safety
/// `orders` and `stack` stay as they are until the child has executed its command or is
/// gone.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn clone(orders: &Orders, stack: &Stack, awaited: bool) -> nix::Result<i32> {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    extern "C" fn first(orders: *mut c_void) -> libc::c_int {
        // SAFETY: this runs in the child, and `orders` points to its orders.
        unsafe {
            child::run(&*orders.cast::<Orders>());
            let status = usize::from(crate::status::CANNOT_EXECUTE);
            let _ = crate::run::os::syscall::call(libc::SYS_exit_group, &[status]);
        }
        0
    }
    let start = |flags: libc::c_int| {
        let orders = ptr::from_ref(orders).cast_mut().cast();
        // SAFETY: the caller guarantees it. All signals are blocked, so no handler runs on its
        // stack.
        Errno::result(unsafe { libc::clone(first, stack.top(), flags | libc::SIGCHLD, orders) })
    };
    if orders.launch.layout.is_some() {
        // SAFETY: the caller guarantees it.
        return unsafe { fork(orders) };
    }
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
    // This start is not awaited, because whoever refuses the one flag may refuse the other.
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
    // SAFETY: the caller guarantees it.
    unsafe { fork(orders) }
}

/// Starts a child with a copy of trc's memory, of which it uses all.
///
/// # Safety
/// None beyond that of fork(2) in a process of one thread.
#[expect(clippy::disallowed_methods, reason = "this is the room that starts processes")]
unsafe fn fork(orders: &Orders) -> nix::Result<i32> {
    // SAFETY: trc has one thread, so the child may do whatever it likes.
    match Errno::result(unsafe { libc::fork() })? {
        // SAFETY: this is the child.
        0 => unsafe {
            child::run(orders);
            libc::_exit(i32::from(crate::status::CANNOT_EXECUTE))
        },
        pid => Ok(pid),
    }
}

/// Reads the report of a child that has closed or written its progress pipe: `None` if its command
/// was executed.
pub(crate) fn read_progress(progress: OwnedFd) -> Option<Failure> {
    let mut bytes = [0; 5];
    // The child writes five bytes at once, or the pipe ends.
    match std::fs::File::from(progress).read(&mut bytes) {
        Ok(5) => {
            let stage = STAGES.get(usize::from(bytes[0])).copied().unwrap_or(SpawnStage::Execute);
            Some(Failure {
                stage,
                errno: Errno::from_raw(i32::from_ne_bytes([
                    bytes[1], bytes[2], bytes[3], bytes[4],
                ])),
            })
        }
        Ok(_) | Err(_) => None,
    }
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}
