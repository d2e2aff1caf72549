//! Connections that a try has done with, closed so that no server can complain.
//!
//! A connection that is closed while bytes are on their way to it is reset (RFC 9293, 3.6, and
//! RFC 1122, 4.2.2.13), and the server's next write fails with `EPIPE` or `ECONNRESET`: servers
//! log that as a client's misbehaviour. So trc says that it will send nothing more, reads what
//! still comes, and closes once the server has. None of it holds up a verdict: the loop polls
//! these connections beside everything else, and they are bounded in number, bytes and time.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};

use super::message::Message;
use crate::run::os::rights::Guarded;

/// How long a server has to close its side. A mail server may greet only after it has looked
/// its client's name up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of what a server still sends is read, in bytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// How many connections are being closed at a time; the oldest makes room.
const MOST: usize = 64;
/// What is read of a connection before others have their turn.
const READS: usize = 4;

/// A connection, over TCP or to a Unix socket.
enum Connection {
    Tcp(OwnedFd),
    /// Who listens may send descriptors.
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
    /// An answer over HTTP that goes on. To a server that is at work on one, a client that
    /// sends nothing more has left, so nothing is said until it is whole.
    answer: Option<Box<Message>>,
    /// How many more bytes are read.
    left: usize,
}

impl Closing {
    /// Closes a connection over which nothing more is sent.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self::of(Connection::Tcp(socket))
    }

    /// The same for a connection to a Unix socket.
    pub(crate) fn unix(socket: Guarded) -> Self {
        Self::of(Connection::Unix(socket))
    }

    fn of(socket: Connection) -> Self {
        // Where it has ended already, there is nobody to tell.
        _ = shutdown(socket.as_fd().as_raw_fd(), Shutdown::Write);
        Self { socket, answer: None, left: MOST_BYTES }
    }

    /// Closes a connection once an answer over HTTP has come to its end.
    pub(crate) fn after(socket: OwnedFd, mut answer: Box<Message>) -> Self {
        if answer.is_whole() {
            return Self::new(socket);
        }
        answer.forget_body();
        Self { socket: Connection::Tcp(socket), answer: Some(answer), left: MOST_BYTES }
    }

    /// Reads what has come; false once there is nothing more to read.
    fn goes_on(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        for _ in 0..READS {
            match self.socket.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) if count > self.left => return false,
                Ok(count) => {
                    self.left -= count;
                    let answer = self.answer.as_mut().map(|answer| answer.push(&bytes[..count]));
                    // What can't be read has no end that could be waited for.
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

/// All connections that are being closed, the oldest first.
#[derive(Default)]
pub(crate) struct Closings {
    all: VecDeque<(Instant, Closing)>,
    /// Whether something has come from one of them.
    pub heard: bool,
}

impl Closings {
    /// One more.
    pub(crate) fn push(&mut self, closing: Closing, now: Instant) {
        if self.all.len() == MOST {
            self.all.pop_front();
        }
        self.all.push_back((now + PATIENCE, closing));
    }

    /// What to poll for input.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().map(|(_, closing)| closing.socket.as_fd())
    }

    /// When the first one has taken long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.all.front().map(|(until, _)| *until)
    }

    /// Goes on with all of them.
    pub(crate) fn proceed(&mut self) {
        self.all.retain_mut(|(_, closing)| closing.goes_on());
    }

    /// Closes those that have taken long enough.
    pub(crate) fn end_late(&mut self, now: Instant) {
        while self.deadline().is_some_and(|until| until <= now) {
            self.all.pop_front();
        }
    }
}
