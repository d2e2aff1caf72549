//! The socket that programs send their messages to by syslog(3): datagrams, one for each message.
//!
//! A Unix socket is for datagrams or for streams, and nothing can be both at one path. Whatever logs
//! on Linux sends datagrams, at least at first: glibc, musl, logger(1), haproxy. So do the
//! sockets of rsyslog and of systemd-journald.
//!
//! Senders wait while the queue is full, so trc reads it even if nobody reads the log. `rights.rs`
//! describes how trc avoids touching the descriptors that senders may pass.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

use super::os::place::Place;
use super::os::rest::Rest;
use super::os::rights::{Guarded, Sender};
use crate::words::NoSocket;

/// The longest message in bytes. trc reads only the first part of a longer one.
pub(super) const LONGEST: usize = 64 * 1024;

/// The time for which trc does not poll the socket if it cannot fork a child to take what a message
/// carries.
const REST: Duration = Duration::from_millis(200);

/// The socket.
pub(super) struct Socket {
    fd: Guarded,
    _place: Place,
    /// After trc could not fork a child to take what a message carries.
    rest: Rest,
}

impl Socket {
    /// Creates the socket at a path. A socket that nobody reads any more is replaced, and one that
    /// somebody reads is left alone.
    ///
    /// # Errors
    /// Returns the reason why this is not possible.
    pub(super) fn new(path: &Path) -> Result<Self, NoSocket> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let create = || {
            let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
            setsockopt(&fd, sockopt::PassCred, &true)?;
            Ok(fd)
        };
        let (fd, place) = Place::take(path, create)?;
        Ok(Self { fd: Guarded::new(fd), _place: place, rest: Rest::new(REST) })
    }

    /// Returns the descriptor to poll for input, unless the socket rests.
    pub(super) fn fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        let rests = self.fd.is_taken_from() || self.rest.until(now).is_some();
        (!rests).then(|| self.fd.as_fd())
    }

    /// Returns the time at which the socket is polled again, if it rests.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.rest.until(now)
    }

    /// Receives the next message, if one can be read now. Returns its length, whether it has more
    /// bytes than that, and its sender.
    pub(super) fn receive(
        &mut self,
        into: &mut [u8],
        now: Instant,
    ) -> Option<(usize, bool, Sender)> {
        if self.rest.until(now).is_some() {
            return None;
        }
        match self.fd.receive(into) {
            Ok(head) => {
                let sender = head.sender.unwrap_or(Sender { pid: 0, uid: u32::MAX });
                Some((head.length, head.cut, sender))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(_) => {
                self.rest.begin(now);
                None
            }
        }
    }

    /// Gets ready to read the last messages: does not rest any more, and waits for the child that
    /// takes what a message carried, until `until` at the latest.
    pub(super) fn catch_up(&mut self, until: Instant) {
        self.rest.end();
        self.fd.wait_for_taker(until);
    }

    /// Returns whether such a child is at work, so that nothing can be read.
    pub(super) fn is_taken_from(&self) -> bool {
        self.fd.is_taken_from()
    }

    /// Handles the exit of a child, which may have taken what a message carried.
    pub(super) fn ended(&mut self, pid: i32) {
        self.fd.ended(pid);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;
    use crate::run::os::clock::now;

    #[test]
    fn a_message_comes_with_its_sender() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut socket = Socket::new(&path).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.send_to(b"<13>hello", &path).unwrap();
        let mut bytes = vec![0; LONGEST];
        let (length, cut, sender) = socket.receive(&mut bytes, now()).unwrap();
        assert_eq!((&bytes[..length], cut), (&b"<13>hello"[..], false));
        assert_eq!(sender.pid, std::process::id().cast_signed());
        assert!(socket.receive(&mut bytes, now()).is_none());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn only_a_socket_that_nobody_reads_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let error = |path: &Path| Socket::new(path).err();
        let other = UnixDatagram::bind(&path).unwrap();
        assert_eq!(error(&path), Some(NoSocket::Taken));
        drop(other);
        drop(Socket::new(&path).unwrap());
        let other = UnixListener::bind(&path).unwrap();
        assert_eq!(error(&path), Some(NoSocket::Taken));
        drop(other);
        // Another one that has come meanwhile stays.
        fs::remove_file(&path).unwrap();
        let socket = Socket::new(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "data").unwrap();
        drop(socket);
        assert_eq!(error(&path), Some(NoSocket::NotASocket));
        assert_eq!(error(&dir.path().join("no/log")), Some(NoSocket::Failed(Errno::ENOENT)));
    }
}
