//! Unix sockets that other processes write to, and the descriptors that these may send along
//! (`SCM_RIGHTS`, unix(7)).
//!
//! Nobody asked for these descriptors, and the process that closes the last copy of one carries out
//! its close. To close a TCP connection with `SO_LINGER` and unsent data takes as long as its owner
//! likes (socket(7)). So PID 1 never holds such a descriptor, and never closes the last copy of
//! one, neither by receiving its message nor by closing a socket whose queue contains it:
//!
//! - PID 1 *peeks* at a message, which leaves the message and its descriptors in the queue. It has
//!   no room for descriptors, so the kernel reports them by `MSG_CTRUNC`.
//! - If a message carries descriptors, a *taker* receives it: a child that does only that and
//!   exits. An exiting process does not linger (`inet_release` of `net/ipv4/af_inet.c`). If the
//!   taker has no numbers left for some descriptors, the kernel closes these while the taker still
//!   runs. Then an alarm terminates the taker, which ends the wait.
//! - A command that a client runs as a unit receives the client's descriptors itself, before it is
//!   executed (`run/spawn/child.rs`). Until then it is the taker of the client's socket.
//! - PID 1 closes a socket only when nothing can be added to its queue any more and nothing in the
//!   queue carries a descriptor.
//!
//! `SO_PASSRIGHTS` (Linux 6.16) would make the sender of such a message fail. A notify socket
//! cannot use it: `systemd-notify` sends a descriptor with each notification, and learns from its
//! close that the notification has been read (`BARRIER=1`, `sd_notify_barrier(3)`).

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Shutdown, SockType, getsockopt, setsockopt, shutdown, sockopt};
use nix::unistd::ForkResult;

use super::children;
use super::clock::now;
use super::fd::pidfd;

/// The number of descriptors that a message may carry: `SCM_MAX_FD` of unix(7).
const MOST: usize = 253;
/// The time that a taker may take, in microseconds. It needs a fraction of a millisecond.
const PATIENCE: libc::suseconds_t = 100_000;
/// The number of messages to discard at once from a socket that is being closed. No queue is that
/// long: `net.unix.max_dgram_qlen` is at most 512, and the bytes of a stream are limited.
const THROWN_AWAY: usize = 10_000;

/// The sender of a message, as the kernel reports it: `struct ucred` of unix(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sender {
    /// The process; 0 for a process of another pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

/// The message at the head of a socket's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// The number of its bytes that were read.
    pub length: usize,
    /// Whether it has more bytes.
    pub cut: bool,
    /// Its sender, if the socket has `SO_PASSCRED`.
    pub sender: Option<Sender>,
    /// Whether it carries descriptors. If it does, PID 1 must not receive it.
    pub rights: bool,
}

/// Looks at the message at the head of the queue, and leaves it there.
///
/// # Errors
/// Returns the errors of recvmsg(2), such as EAGAIN if there is no message.
fn peek(socket: BorrowedFd<'_>, into: &mut [u8]) -> nix::Result<Head> {
    receive(socket, into, libc::MSG_PEEK)
}

/// Removes the message at the head of the queue, which carries no descriptor according to [`peek`].
/// From a stream, removes as many bytes as [`peek`] returned.
///
/// # Errors
/// Returns the errors of recvmsg(2).
fn discard(socket: BorrowedFd<'_>, peeked: &mut [u8]) -> nix::Result<()> {
    receive(socket, peeked, 0).map(|_| ())
}

/// Room for the sender's credentials. If the socket has `SO_PASSCRED`, they come first, and the rest
/// of it is too small for a descriptor. Otherwise there must not be any room, because descriptors
/// would fill it.
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
    if getsockopt(&socket, sockopt::PassCred)? {
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = CONTROL as _;
    }
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

/// A part of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// The number of its bytes.
    pub length: usize,
    /// Whether its last bytes carry descriptors, or those of a message after it: a peek looks
    /// further than it reads (`unix_stream_read_generic` of `net/unix/af_unix.c`). If so, the part
    /// stays in the queue. A part that ends before the room for it does has all the bytes up to the
    /// descriptors.
    pub rights: bool,
}

/// A Unix socket to which others may send descriptors. trc reads and closes it without touching
/// them.
pub(crate) struct Guarded {
    fd: ManuallyDrop<OwnedFd>,
    /// The child that receives the message at the head of the queue.
    taker: Option<i32>,
}

impl Guarded {
    /// Guards a socket.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        // A peek skips an out-of-band byte with its descriptors, and the next read would drop it
        // and close them: unix(7), MSG_OOB. In line it is a byte as any other.
        _ = setsockopt(&fd, sockopt::OobInline, &true);
        Self { fd: ManuallyDrop::new(fd), taker: None }
    }

    /// Returns whether a taker is at work. Until it has [exited](Self::ended), there is nothing to
    /// read.
    pub(crate) fn is_taken_from(&self) -> bool {
        self.taker.is_some()
    }

    /// Receives the next datagram.
    ///
    /// # Errors
    /// Returns the errors of recvmsg(2), such as EAGAIN if there is no datagram. Returns
    /// ENOBUFS if trc cannot fork a taker for the descriptors of the datagram, which then stays in
    /// the queue.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> nix::Result<Head> {
        if self.taker.is_some() {
            return Err(Errno::EAGAIN);
        }
        let head = peek(self.as_fd(), into)?;
        if head.rights {
            // EAGAIN from a fork does not mean that there is no message.
            let taker = fork(self.as_fd(), false).map_err(|_| Errno::ENOBUFS)?;
            self.taker = Some(taker);
        } else {
            discard(self.as_fd(), into)?;
        }
        Ok(head)
    }

    /// Reads from a stream that takes no descriptors.
    ///
    /// # Errors
    /// Returns the errors of recvmsg(2), and EBADMSG from then on if a message carries descriptors.
    pub(crate) fn read(&self, into: &mut [u8]) -> nix::Result<usize> {
        match self.part(into)? {
            Part { rights: true, .. } => Err(Errno::EBADMSG),
            Part { length, .. } => Ok(length),
        }
    }

    /// Reads from a stream. A part with descriptors can be read again and again: only a taker can
    /// receive it.
    ///
    /// # Errors
    /// Returns the errors of recvmsg(2).
    pub(crate) fn part(&self, into: &mut [u8]) -> nix::Result<Part> {
        let Head { length, rights, .. } = peek(self.as_fd(), into)?;
        if !rights {
            discard(self.as_fd(), &mut into[..length])?;
        }
        Ok(Part { length, rights })
    }

    /// Leaves the socket to a child, which receives from it until it has [ended](Self::ended).
    pub(crate) fn leave_to(&mut self, taker: i32) {
        self.taker = Some(taker);
    }

    /// Waits for the taker until `until` at the latest, and reaps it. Call this only where trc
    /// does not serve anything else any more.
    pub(crate) fn wait_for_taker(&mut self, until: Instant) {
        let Some(pid) = self.taker else { return };
        if let Ok(exits) = pidfd(pid) {
            let left = until.saturating_duration_since(now()).as_millis();
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            _ = poll(&mut [PollFd::new(exits.as_fd(), PollFlags::POLLIN)], left);
        }
        if children::has_ended(pid) {
            children::reap(pid);
            self.ended(pid);
        }
    }

    /// Handles the exit of a child of trc. If it was the taker, the socket can be read again.
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
        // From here on, sending to it fails with EPIPE.
        _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
        match self.taker {
            None => close_emptied(fd),
            taker => CLOSING.with_borrow_mut(|closing| closing.push((fd, taker))),
        }
    }
}

/// Starts a child that receives the message at the head of the queue, or all messages, and exits
/// with their descriptors. Nobody else may read from the socket until the child has exited. Returns
/// its pid.
fn fork(socket: BorrowedFd<'_>, all: bool) -> nix::Result<i32> {
    let stream = is_stream(socket);
    // SAFETY: trc has one thread, so the child may do whatever it likes.
    #[expect(clippy::disallowed_methods, reason = "this is the room that starts processes")]
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw()),
        ForkResult::Child => {
            taker(socket.as_raw_fd(), all, stream);
            // SAFETY: this ends the process, and runs no code of trc in it any more.
            unsafe { libc::_exit(0) }
        }
    }
}

/// The whole life of a taker: receives the message at the head of the queue, or all messages.
fn taker(socket: RawFd, all: bool, stream: bool) {
    let mut byte = [0_u8; 1];
    let mut control = MaybeUninit::<[u64; CONTROL / 8 + MOST]>::uninit();
    // SAFETY: this runs in a child of its own. Every pointer is to a local, with its length. Nobody
    // reads the control data, which is held until the process exits.
    unsafe {
        // The signals of the terminal must not reach it.
        libc::setpgid(0, 0);
        let alarm = libc::itimerval {
            it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
            it_value: libc::timeval { tv_sec: 0, tv_usec: PATIENCE },
        };
        libc::setitimer(libc::ITIMER_REAL, &raw const alarm, std::ptr::null_mut());
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        // Make room for the descriptors: close all of trc's own, and raise the limit as far as
        // allowed.
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
    /// The sockets that wait to be closed, and the takers that empty them.
    static CLOSING: RefCell<Vec<(OwnedFd, Option<i32>)>> = const { RefCell::new(Vec::new()) };
}

/// Closes a socket to which nothing can be added, as soon as that cannot block: at once if nothing
/// in it carries a descriptor, and otherwise when a taker has emptied it. The caller has to call
/// [`ended`] then.
fn close_emptied(socket: OwnedFd) {
    if !throw_away(socket.as_fd()) {
        // If the fork fails, trc tries again when another child has exited.
        let taker = fork(socket.as_fd(), true).ok();
        CLOSING.with_borrow_mut(|closing| closing.push((socket, taker)));
    }
}

/// Discards the contents of a queue. Returns false if a message carries descriptors.
fn throw_away(socket: BorrowedFd<'_>) -> bool {
    let stream = is_stream(socket);
    let mut bytes = [0; 16 * 1024];
    let mut errors = 0;
    for _ in 0..THROWN_AWAY {
        match peek(socket, &mut bytes) {
            Ok(head) if head.rights => return false,
            Ok(head) if head.length == 0 && stream => return true,
            Ok(_) => _ = discard(socket, &mut bytes),
            // The error may be an earlier one, which hides the contents of the queue: socket(7),
            // SO_ERROR.
            Err(errno) if errno != Errno::EAGAIN && errors < 3 => errors += 1,
            Err(_) => return true,
        }
    }
    false
}

/// Returns whether a read of 0 bytes means the end. A datagram may be empty.
fn is_stream(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, sockopt::SockType) != Ok(SockType::Datagram)
}

/// Handles the exit of a child of trc. If it was a taker, its socket can be closed, or needs
/// another taker. Sockets for which no taker could be forked get another chance.
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
        AddressFamily, ControlMessage, MsgFlags, SockFlag, sendmsg, socketpair,
    };
    use std::io::IoSlice;

    fn pair(kind: SockType) -> (OwnedFd, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
        setsockopt(&one, sockopt::PassCred, &(kind == SockType::Datagram)).unwrap();
        (one, other)
    }

    fn send(to: &OwnedFd, text: &[u8], passed: &[RawFd]) {
        send_as(MsgFlags::empty(), to, text, passed);
    }

    fn send_as(flags: MsgFlags, to: &OwnedFd, text: &[u8], passed: &[RawFd]) {
        let rights = [ControlMessage::ScmRights(passed)];
        let rights = if passed.is_empty() { &[][..] } else { &rights };
        sendmsg::<()>(to.as_raw_fd(), &[IoSlice::new(text)], rights, flags, None).unwrap();
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
    fn no_descriptor_is_taken_in_place_of_the_credentials() {
        for passed in [1, 3, 4, 5] {
            let (read, write) = pair(SockType::Stream);
            let (end, other) = nix::unistd::pipe().unwrap();
            send(&write, b"text", &vec![other.as_raw_fd(); passed]);
            drop(other);
            let mut bytes = [0; 16];
            let guarded = Guarded::new(read);
            assert_eq!(guarded.read(&mut bytes), Err(Errno::EBADMSG), "{passed}");
            wait(fork(guarded.as_fd(), true).unwrap());
            assert_eq!(nix::unistd::read(&end, &mut bytes), Ok(0), "{passed}");
        }
    }

    /// Whoever may connect could let PID 1 wait for the close of a descriptor of theirs.
    #[test]
    fn no_descriptor_is_taken_with_an_out_of_band_byte() {
        for (earlier, later) in [("", ""), ("", "later"), ("earlier", ""), ("earlier", "later")] {
            let (read, write) = pair(SockType::Stream);
            let guarded = Guarded::new(read);
            let (end, other) = nix::unistd::pipe().unwrap();
            if !earlier.is_empty() {
                send(&write, earlier.as_bytes(), &[]);
            }
            send_as(MsgFlags::MSG_OOB, &write, b"x", &[other.as_raw_fd()]);
            drop(other);
            if !later.is_empty() {
                send(&write, later.as_bytes(), &[]);
            }
            let mut bytes = [0; 64];
            // What has come before it may be read alone.
            let mut read = guarded.read(&mut bytes);
            if read == Ok(earlier.len()) {
                read = guarded.read(&mut bytes);
            }
            assert_eq!(read, Err(Errno::EBADMSG), "{earlier} {later}");
            let mut polled = [PollFd::new(end.as_fd(), PollFlags::empty())];
            assert_eq!(poll(&mut polled, PollTimeout::ZERO), Ok(0), "its descriptor is still open");
            wait(fork(guarded.as_fd(), true).unwrap());
            assert_eq!(nix::unistd::read(&end, &mut bytes), Ok(0), "{earlier} {later}");
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
            // On a busy machine, its time may be up before it has emptied the socket.
            while let Some(taker) = CLOSING.with_borrow(|closing| closing.first()?.1) {
                wait(taker);
                ended(taker);
            }
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
