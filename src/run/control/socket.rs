//! The listening socket.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, accept4, listen, shutdown, socket,
};

use crate::run::os::place::Place;
use crate::run::os::rest::Rest;
use crate::words::NoSocket;

/// The number of connections that the kernel keeps until trc accepts them.
const BACKLOG: i32 = 128;
/// The time for which trc accepts no connection after it had no descriptor or no memory for one.
const REST: Duration = Duration::from_millis(200);

/// The listening socket.
pub(crate) struct Listener {
    /// It stays open until the process exits, for its backlog may hold descriptors of clients, whose
    /// close can block. A process that exits does not wait for that (`run/os/rights.rs`).
    fd: ManuallyDrop<OwnedFd>,
    _place: Place,
    /// After trc had no descriptor or no memory for a connection.
    rest: Rest,
}

impl Listener {
    /// Listens at a path. A socket that nobody listens on any more is replaced, and one that
    /// somebody listens on is left alone.
    ///
    /// # Errors
    /// Returns the reason why this is not possible.
    pub(crate) fn new(path: &Path) -> Result<Self, NoSocket> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Everybody may connect, because everybody may ask whether the run is healthy. What else a
        // client may ask for depends on its user. Until listen(2), a client is refused, as if it had
        // come before trc created the socket. A name of its own until then would stay the socket's name
        // in `ss` and in /proc/net/unix.
        let (fd, place) =
            Place::take(path, || socket(AddressFamily::Unix, SockType::Stream, flags, None))?;
        listen(&fd, Backlog::new(BACKLOG)?)?;
        let fd = ManuallyDrop::new(fd);
        Ok(Self { fd, _place: place, rest: Rest::new(REST) })
    }

    /// Returns the descriptor to poll for input, unless the socket rests.
    pub(crate) fn fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        self.rest.until(now).is_none().then(|| self.fd.as_fd())
    }

    /// Returns the time at which the socket is polled again, if it rests.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.rest.until(now)
    }

    /// Accepts a connection, if there is one.
    pub(crate) fn accept(&mut self, now: Instant) -> Option<OwnedFd> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        match accept4(self.fd.as_raw_fd(), flags) {
            // SAFETY: the descriptor is new, and nobody else has it.
            Ok(fd) => Some(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => None,
            Err(_) => {
                self.rest.begin(now);
                None
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // From here on, whoever connects is refused.
        _ = shutdown(self.fd.as_raw_fd(), Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::IoSlice;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;
    use crate::run::os::clock::now;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trc.sock");
        (dir, path)
    }

    #[test]
    fn a_socket_is_there_for_as_long_as_somebody_listens() {
        let (_dir, path) = place();
        let mut listener = Listener::new(&path).unwrap();
        assert_eq!(listener.accept(now()).map(|_| ()), None);
        let _client = UnixStream::connect(&path).unwrap();
        assert!(listener.accept(now()).is_some());
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn what_clients_have_sent_before_they_were_accepted_is_not_closed_with_the_socket() {
        let (_dir, path) = place();
        let listener = Listener::new(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (end, passed) = nix::unistd::pipe().unwrap();
        let rights = [passed.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&rights)];
        let text = [IoSlice::new(b"x")];
        sendmsg::<()>(client.as_raw_fd(), &text, &rights, MsgFlags::empty(), None).unwrap();
        drop((client, passed, listener));
        let mut polled = [PollFd::new(end.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut polled, PollTimeout::ZERO), Ok(0), "the descriptor is still open");
    }

    #[test]
    fn a_socket_that_somebody_listens_on_is_not_taken_over() {
        let (_dir, path) = place();
        let other = UnixListener::bind(&path).unwrap();
        assert_eq!(Listener::new(&path).err(), Some(NoSocket::Taken));
        drop(other);
        let listener = Listener::new(&path).unwrap();
        // One that has come meanwhile stays.
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_not_a_socket_stays() {
        let (dir, path) = place();
        fs::write(&path, "data").unwrap();
        assert_eq!(Listener::new(&path).err(), Some(NoSocket::NotASocket));
        let nowhere = dir.path().join("no/trc.sock");
        assert_eq!(Listener::new(&nowhere).err(), Some(NoSocket::Failed(Errno::ENOENT)));
    }
}
