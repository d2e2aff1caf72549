//! Unix sockets that others write to, and the descriptors that they may pass along
//! (`SCM_RIGHTS`, unix(7)).
//!
//! Nobody asked for these descriptors, and whoever closes the last copy of one does all that
//! its close does: that of a TCP connection with `SO_LINGER` and unsent data waits for as long
//! as its owner likes (socket(7)). So PID 1 never holds one, and never is the last to let go of
//! one, be it by receiving its message or by closing a socket in whose queue it waits:
//!
//! - PID 1 *peeks* at a message, which leaves it, and what it carries, in the queue, and has no
//!   room for descriptors: the kernel says by `MSG_CTRUNC` that there are some.
//! - A message that carries some is received by a *taker*, a child that does just that and
//!   exits: an exiting process does not linger. (`inet_release` of `net/ipv4/af_inet.c`.) What
//!   it can't take for want of numbers the kernel closes while it still runs; then an alarm
//!   ends it, and with that the waiting.
//! - A socket is closed only when nothing can be added to its queue any more and nothing in it
//!   carries a descriptor.
//!
//! `SO_PASSRIGHTS` (Linux 6.16) would refuse such messages where they are sent. A notify socket
//! can't have that: `systemd-notify` passes a descriptor with each notification, whose close
//! tells it that the notification has been read (`BARRIER=1`, `sd_notify_barrier(3)`).

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockType, getsockopt, shutdown, sockopt};
use nix::unistd::ForkResult;

/// How many descriptors a message may carry: `SCM_MAX_FD` of unix(7).
const MOST: usize = 253;
/// How long a taker may take, in microseconds; it needs a fraction of a millisecond.
const PATIENCE: libc::suseconds_t = 100_000;
/// How many messages are thrown away at once from a socket that is closed. No queue is that
/// long: `net.unix.max_dgram_qlen` is 512 at most, and a stream's is bounded by its bytes.
const THROWN_AWAY: usize = 10_000;

/// Who sent a message, as the kernel has it: `struct ucred` of unix(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sender {
    /// The process; 0 for one of another pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

/// The message at the head of a socket's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// How many bytes of it there are.
    pub length: usize,
    /// Whether there were more than there was room for.
    pub cut: bool,
    /// Who sent it, where the socket has `SO_PASSCRED`.
    pub sender: Option<Sender>,
    /// Whether it carries descriptors: then it must not be received here.
    pub rights: bool,
}

/// Looks at the message at the head of the queue, and leaves it there.
///
/// # Errors
/// Returns the errors of recvmsg(2), EAGAIN where there is none.
fn peek(socket: BorrowedFd<'_>, into: &mut [u8]) -> nix::Result<Head> {
    receive(socket, into, libc::MSG_PEEK)
}

/// Removes the message at the head of the queue, which [`peek`] has found to carry no
/// descriptor; for a stream, as many bytes as were peeked at.
///
/// # Errors
/// Returns the errors of recvmsg(2).
fn discard(socket: BorrowedFd<'_>, peeked: &mut [u8]) -> nix::Result<()> {
    receive(socket, peeked, 0).map(|_| ())
}

/// Room for the sender's credentials, and for nothing else: what is left of it is too small
/// for even one descriptor.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

#[expect(clippy::cast_possible_truncation, reason = "twelve bytes")]
// SAFETY: it only computes.
const CONTROL: usize =
    unsafe { libc::CMSG_SPACE(mem::size_of::<libc::ucred>() as libc::c_uint) } as usize;

fn receive(socket: BorrowedFd<'_>, into: &mut [u8], flags: libc::c_int) -> nix::Result<Head> {
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut control = Control([0; CONTROL]);
    // SAFETY: all zeros are a message without parts (its fields differ between C libraries).
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: every pointer is to a local that outlives the call, with its length.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = usize::try_from(Errno::result(length)?).unwrap_or(0);
    let mut sender = None;
    // SAFETY: the kernel has filled in the control data and its length; a `ucred` may lie at
    // any address.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_CREDENTIALS
        {
            let data = libc::CMSG_DATA(header).cast::<libc::ucred>().read_unaligned();
            sender = Some(Sender { pid: data.pid, uid: data.uid });
        }
    }
    Ok(Head {
        length,
        cut: message.msg_flags & libc::MSG_TRUNC != 0,
        sender,
        rights: message.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// A Unix socket that others may pass descriptors to: it is read and closed without touching
/// them.
pub(crate) struct Guarded {
    fd: ManuallyDrop<OwnedFd>,
    /// The child that receives the message at the head of the queue.
    taker: Option<i32>,
}

impl Guarded {
    /// A socket as it is.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd: ManuallyDrop::new(fd), taker: None }
    }

    /// Whether a taker is at work: until it has [ended](Self::ended), there is nothing to read.
    pub(crate) fn is_taken_from(&self) -> bool {
        self.taker.is_some()
    }

    /// The next datagram.
    ///
    /// # Errors
    /// Returns the errors of recvmsg(2), EAGAIN where there is none; ENOBUFS where no child can be
    /// forked that takes what the message carries: then it is still there.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> nix::Result<Head> {
        if self.taker.is_some() {
            return Err(Errno::EAGAIN);
        }
        let head = peek(self.as_fd(), into)?;
        if head.rights {
            // EAGAIN, for a fork, is not that there is no message.
            let taker = fork(self.as_fd(), false).map_err(|_| Errno::ENOBUFS)?;
            self.taker = Some(taker);
        } else {
            discard(self.as_fd(), into)?;
        }
        Ok(head)
    }

    /// Reads from a stream.
    ///
    /// # Errors
    /// Returns the errors of recvmsg(2); EBADMSG, for good, where descriptors come along.
    pub(crate) fn read(&self, into: &mut [u8]) -> nix::Result<usize> {
        let head = peek(self.as_fd(), into)?;
        if head.rights {
            return Err(Errno::EBADMSG);
        }
        discard(self.as_fd(), &mut into[..head.length])?;
        Ok(head.length)
    }

    /// A child of trc's has ended: if it was the taker, the socket can be read from again.
    pub(crate) fn ended(&mut self, pid: i32) {
        if self.taker == Some(pid) {
            self.taker = None;
        }
    }
}

impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: nobody uses it any more.
        let fd = unsafe { ManuallyDrop::take(&mut self.fd) };
        // From here on sending to it fails with EPIPE.
        _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
        match self.taker {
            None => close_emptied(fd),
            taker => CLOSING.with_borrow_mut(|closing| closing.push((fd, taker))),
        }
    }
}

/// Starts a child that receives the message at the head of the queue, or all there are, and
/// exits with what they carry. Nobody else may read from the socket until it has ended. Returns
/// its pid.
fn fork(socket: BorrowedFd<'_>, all: bool) -> nix::Result<i32> {
    let stream = is_stream(socket);
    // SAFETY: trc has one thread, so the child may do whatever it likes.
    #[expect(clippy::disallowed_methods, reason = "this is the room that starts processes")]
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => {
            taker(socket.as_raw_fd(), all, stream);
            // SAFETY: ends this process, and nothing of trc's is run in it any more.
            unsafe { libc::_exit(0) }
        }
    }
}

/// All of a taker's life: the message at the head of the queue, or all there are.
fn taker(socket: RawFd, all: bool, stream: bool) {
    let mut byte = [0_u8; 1];
    let mut control = MaybeUninit::<[u64; CONTROL / 8 + MOST]>::uninit();
    // SAFETY: in a child of its own. Every pointer is to a local, with its length; the control
    // data is not looked at, only held until the process exits.
    unsafe {
        // The terminal's signals are not for it.
        libc::setpgid(0, 0);
        let alarm = libc::itimerval {
            it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
            it_value: libc::timeval { tv_sec: 0, tv_usec: PATIENCE },
        };
        libc::setitimer(libc::ITIMER_REAL, &raw const alarm, std::ptr::null_mut());
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // Numbers for what comes: none of trc's own descriptors is needed, and the limits are
        // as high as they may be.
        let own = libc::c_uint::try_from(socket).unwrap_or(0);
        if own > 0 {
            libc::syscall(libc::SYS_close_range, 0, own - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, own + 1, libc::c_uint::MAX, 0);
        let mut limit: libc::rlimit = mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        loop {
            let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
            let mut message: libc::msghdr = mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = mem::size_of_val(&control) as _;
            let received = libc::recvmsg(socket, &raw mut message, libc::MSG_DONTWAIT);
            if !all || received < 0 || received == 0 && stream {
                return;
            }
        }
    }
}

thread_local! {
    /// Sockets that wait to be closed, and the takers that empty them.
    static CLOSING: RefCell<Vec<(OwnedFd, Option<i32>)>> = const { RefCell::new(Vec::new()) };
}

/// Closes a socket to which nothing can be added, as soon as that can't block: at once if nothing
/// in it carries a descriptor, else when a taker has emptied it; [`ended`] has to be told then.
fn close_emptied(socket: OwnedFd) {
    if !throw_away(socket.as_fd()) {
        // Without a child there is another chance when another one has ended.
        let taker = fork(socket.as_fd(), true).ok();
        CLOSING.with_borrow_mut(|closing| closing.push((socket, taker)));
    }
}

/// Throws away what is in a queue; false if something carries descriptors.
fn throw_away(socket: BorrowedFd<'_>) -> bool {
    let stream = is_stream(socket);
    let mut bytes = [0; 4096];
    let mut errors = 0;
    for _ in 0..THROWN_AWAY {
        match peek(socket, &mut bytes) {
            Ok(head) if head.rights => return false,
            Ok(head) if head.length == 0 && stream => return true,
            Ok(_) => _ = discard(socket, &mut bytes),
            // One may be of something that was, and hide what is in the queue: socket(7), SO_ERROR.
            Err(errno) if errno != Errno::EAGAIN && errors < 3 => errors += 1,
            Err(_) => return true,
        }
    }
    false
}

/// Whether a read of nothing is the end; a datagram may be empty.
fn is_stream(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, sockopt::SockType) != Ok(SockType::Datagram)
}

/// A child of trc's has ended: if it was a taker, or there was none to be had, its socket can be
/// closed, or needs another.
pub(crate) fn ended(pid: i32) {
    let waiting = |(_, taker): &mut (OwnedFd, Option<i32>)| taker.is_none_or(|taker| taker == pid);
    let ready: Vec<_> =
        CLOSING.with_borrow_mut(|closing| closing.extract_if(.., waiting).collect());
    for (socket, _) in ready {
        close_emptied(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, sendmsg, setsockopt, socketpair,
    };
    use std::io::IoSlice;

    fn pair(kind: SockType) -> (OwnedFd, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
        setsockopt(&one, sockopt::PassCred, &true).unwrap();
        (one, other)
    }

    fn send(to: &OwnedFd, text: &[u8], passed: &[RawFd]) {
        let rights = [ControlMessage::ScmRights(passed)];
        let rights = if passed.is_empty() { &[][..] } else { &rights };
        sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(text)], rights, MsgFlags::empty(), None)
            .unwrap();
    }

    fn wait(pid: i32) {
        let mut status = 0;
        // SAFETY: a child of this test's own.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    }

    #[test]
    fn a_look_at_a_message_tells_of_descriptors_and_takes_none() {
        for (text, passed, rights) in
            [(&b"plain"[..], 0, false), (b"one", 1, true), (b"all", MOST, true)]
        {
            let (read, write) = pair(SockType::Datagram);
            let null = std::fs::File::open("/dev/null").unwrap();
            send(&write, text, &vec![null.as_raw_fd(); passed]);
            let mut bytes = [0; 16];
            let head = peek(read.as_fd(), &mut bytes).unwrap();
            assert_eq!((&bytes[..head.length], head.rights, head.cut), (text, rights, false));
            assert_eq!(head.sender.unwrap().pid, std::process::id().cast_signed());
            // It is still there.
            assert_eq!(peek(read.as_fd(), &mut bytes), Ok(head));
        }
    }

    #[test]
    fn a_message_that_is_cut_off_is_known_as_such() {
        let (read, write) = pair(SockType::Datagram);
        send(&write, b"too long", &[]);
        let head = peek(read.as_fd(), &mut [0; 4]).unwrap();
        assert!(head.cut && !head.rights, "{head:?}");
    }

    #[test]
    fn a_taker_takes_one_message_and_what_it_carries() {
        let (read, write) = pair(SockType::Datagram);
        let (end, other) = nix::unistd::pipe().unwrap();
        send(&write, b"first", &[other.as_raw_fd()]);
        drop(other);
        send(&write, b"second", &[]);
        wait(fork(read.as_fd(), false).unwrap());
        let mut bytes = [0; 16];
        let head = peek(read.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..head.length], head.rights), (&b"second"[..], false));
        // Its write end was passed, and is closed.
        assert_eq!(nix::unistd::read(&end, &mut bytes), Ok(0));
    }

    #[test]
    fn a_socket_is_closed_when_nothing_in_it_carries_a_descriptor() {
        for kind in [SockType::Datagram, SockType::Stream] {
            let (read, write) = pair(kind);
            send(&write, b"plain", &[]);
            let (end, other) = nix::unistd::pipe().unwrap();
            for _ in 0..3 {
                send(&write, b"x", &[other.as_raw_fd()]);
            }
            drop(other);
            let number = read.as_raw_fd();
            drop(Guarded::new(read));
            // Not yet: a taker is at work, and nobody can add to it.
            let taker = CLOSING.with_borrow(|closing| closing[0].1.unwrap());
            // SAFETY: the number is still that socket's.
            let again = unsafe { BorrowedFd::borrow_raw(number) };
            assert!(again.try_clone_to_owned().is_ok());
            let late = nix::sys::socket::send(write.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL);
            assert_eq!(late, Err(Errno::EPIPE));
            wait(taker);
            ended(taker);
            assert!(CLOSING.with_borrow(Vec::is_empty));
            assert_eq!(nix::unistd::read(&end, &mut [0; 1]), Ok(0));
        }
    }

    #[test]
    fn a_socket_that_carries_none_is_closed_at_once() {
        let (read, write) = pair(SockType::Datagram);
        send(&write, b"plain", &[]);
        send(&write, b"", &[]);
        send(&write, b"plain", &[]);
        drop(Guarded::new(read));
        assert!(CLOSING.with_borrow(Vec::is_empty));
        let late = nix::sys::socket::send(write.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL);
        assert!(late.is_err());
    }
}
