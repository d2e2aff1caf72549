//! The socket that programs send their messages to by syslog(3): datagrams, one for each message.
//!
//! A Unix socket is for datagrams or for streams, and nothing can be both at one path. Whatever logs
//! on Linux sends datagrams, at least at first: glibc, musl, logger(1), haproxy. So do the
//! sockets of rsyslog and of systemd-journald.
//!
//! Senders wait while the queue is full, so trc reads it even if nobody reads the log. `rights.rs`
//! describes how trc avoids touching the descriptors that senders may pass.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};

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
    path: PathBuf,
    /// The file at the path, by its device and its inode.
    file: (u64, u64),
    /// The time until which the socket is not read.
    rests: Option<Instant>,
}

impl Socket {
    /// Creates the socket at a path. A socket that nobody reads any more is replaced, and one that
    /// somebody reads is left alone.
    ///
    /// # Errors
    /// Returns the reason why this is not possible.
    pub(super) fn new(path: &Path) -> Result<Self, NoSocket> {
        let address = UnixAddr::new(path)?;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let create = || socket(AddressFamily::Unix, SockType::Datagram, flags, None);
        let fd = create()?;
        setsockopt(&fd, sockopt::PassCred, &true)?;
        // Everybody may log. A chmod(2) could hit another file, if somebody has put a link there.
        let bind_for_all = || {
            let own = umask(Mode::from_bits_truncate(0o111));
            let bound = bind(fd.as_raw_fd(), &address);
            umask(own);
            bound
        };
        match bind_for_all() {
            Err(Errno::EADDRINUSE) => {
                if !fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
                    return Err(NoSocket::NotASocket);
                }
                match connect(create()?.as_raw_fd(), &address) {
                    Err(Errno::ECONNREFUSED | Errno::ENOENT) => {}
                    // EPROTOTYPE: a socket for streams.
                    Ok(()) | Err(_) => return Err(NoSocket::Taken),
                }
                // It may be mounted there, from the host.
                fs::remove_file(path).map_err(|error| {
                    error
                        .raw_os_error()
                        .map_or(NoSocket::Taken, |errno| Errno::from_raw(errno).into())
                })?;
                bind_for_all()?;
            }
            done => done?,
        }
        let file = fs::symlink_metadata(path).map_err(|_| Errno::last())?;
        let file = (file.dev(), file.ino());
        Ok(Self { fd: Guarded::new(fd), path: path.to_owned(), file, rests: None })
    }

    /// Returns the descriptor to poll for input, unless the socket rests.
    pub(super) fn fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        let rests = self.fd.is_taken_from() || self.rests.is_some_and(|until| until > now);
        (!rests).then(|| self.fd.as_fd())
    }

    /// Returns the time at which the socket is polled again, if it rests.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.rests.filter(|until| *until > now)
    }

    /// Receives the next message, if one can be read now. Returns its length, whether it has more
    /// bytes than that, and its sender.
    pub(super) fn receive(
        &mut self,
        into: &mut [u8],
        now: Instant,
    ) -> Option<(usize, bool, Sender)> {
        if self.rests.is_some_and(|until| until > now) {
            return None;
        }
        match self.fd.receive(into) {
            Ok(head) => {
                let sender = head.sender.unwrap_or(Sender { pid: 0, uid: u32::MAX });
                Some((head.length, head.cut, sender))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(_) => {
                self.rests = Some(now + REST);
                None
            }
        }
    }

    /// Gets ready to read the last messages: does not rest any more, and waits for the child that
    /// takes what a message carried, until `until` at the latest.
    pub(super) fn catch_up(&mut self, until: Instant) {
        self.rests = None;
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

impl Drop for Socket {
    fn drop(&mut self) {
        // Another program may have taken the place.
        let own = |file: fs::Metadata| (file.dev(), file.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(own) {
            _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
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
