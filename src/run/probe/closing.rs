//! Closes the connections of finished attempts in such a way that no server has reason to complain.
//!
//! If a connection is closed while bytes are on their way to it, it is reset (RFC 9293, 3.6, and
//! RFC 1122, 4.2.2.13), and the server's next write fails with `EPIPE` or `ECONNRESET`, which
//! servers log as the fault of a client. So trc announces that it will send nothing more, reads the
//! remaining bytes, and closes the connection once the server has. No result waits for this: the
//! loop polls these connections with everything else, and their number, bytes and time are limited.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};

use super::message::Message;
use crate::run::os::rights::Guarded;

/// The time that a server has to close its side. A mail server may greet only after it has looked
/// up the client's name.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number of bytes that are read from the server until then.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The number of connections that are being closed at the same time. The oldest one makes room.
const MOST: usize = 64;
/// The number of bytes that are read from a connection before others have their turn.
const READS: usize = 4;

/// A connection, over TCP or to a Unix socket.
enum Connection {
    Tcp(OwnedFd),
    /// The peer may send descriptors.
    Unix(Guarded),
}

impl Connection {
    fn read(&self, bytes: &mut [u8]) -> nix::Result<usize> {
        match self {
            Self::Tcp(socket) => recv(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT),
            Self::Unix(socket) => socket.read(bytes),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// A connection that is being closed.
pub(crate) struct Closing {
    socket: Connection,
    /// An answer over HTTP that is not complete. A server takes a client that announces the end of
    /// its bytes for gone, so trc does that only after the answer is complete.
    answer: Option<Box<Message>>,
    /// The number of bytes that are still read.
    left: usize,
}

impl Closing {
    /// Closes a connection over which nothing more is sent.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self::of(Connection::Tcp(socket))
    }

    /// The same, for a connection to a Unix socket.
    pub(crate) fn unix(socket: Guarded) -> Self {
        Self::of(Connection::Unix(socket))
    }

    fn of(socket: Connection) -> Self {
        // If the connection has already ended, nobody needs to know.
        _ = shutdown(socket.as_fd().as_raw_fd(), Shutdown::Write);
        Self { socket, answer: None, left: MOST_BYTES }
    }

    /// Closes a connection once an answer over HTTP is complete.
    pub(crate) fn after(socket: OwnedFd, mut answer: Box<Message>) -> Self {
        if answer.is_whole() {
            return Self::new(socket);
        }
        answer.forget_body();
        Self { socket: Connection::Tcp(socket), answer: Some(answer), left: MOST_BYTES }
    }

    /// Reads the bytes that have arrived. Returns false once there is nothing more to read.
    fn goes_on(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        for _ in 0..READS {
            match self.socket.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) if count > self.left => return false,
                Ok(count) => {
                    self.left -= count;
                    let answer = self.answer.as_mut().map(|answer| answer.push(&bytes[..count]));
                    // An answer that cannot be parsed has no end to wait for.
                    if matches!(answer, Some(Ok(true) | Err(_))) {
                        self.answer = None;
                        _ = shutdown(self.socket.as_fd().as_raw_fd(), Shutdown::Write);
                    }
                }
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// The connections that are being closed, the oldest first.
#[derive(Default)]
pub(crate) struct Closings {
    all: VecDeque<(Instant, Closing)>,
    /// Whether bytes have arrived from one of them.
    pub heard: bool,
}

impl Closings {
    /// Adds a connection.
    pub(crate) fn push(&mut self, closing: Closing, now: Instant) {
        if self.all.len() == MOST {
            self.all.pop_front();
        }
        self.all.push_back((now + PATIENCE, closing));
    }

    /// Returns the descriptors to poll for input.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().map(|(_, closing)| closing.socket.as_fd())
    }

    /// Returns the time at which the first one has taken too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.all.front().map(|(until, _)| *until)
    }

    /// Continues with all of them.
    pub(crate) fn proceed(&mut self) {
        self.all.retain_mut(|(_, closing)| closing.goes_on());
    }

    /// Closes those that have taken too long.
    pub(crate) fn end_late(&mut self, now: Instant) {
        while self.deadline().is_some_and(|until| until <= now) {
            self.all.pop_front();
        }
    }
}
