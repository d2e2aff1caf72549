//! The reasons why there is no control socket.

use std::fmt;

use nix::errno::Errno;

/// The reason why trc could not create the control socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoSocket {
    /// Another process listens there.
    Taken,
    /// There is a file that is not a socket.
    NotASocket,
    /// The kernel's error.
    Failed(Errno),
}

impl From<Errno> for NoSocket {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl fmt::Display for NoSocket {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => to.write_str("another process listens on it"),
            Self::NotASocket => to.write_str("there is a file that is not a socket"),
            Self::Failed(Errno::ENOENT) => to.write_str("its directory does not exist"),
            Self::Failed(errno) => to.write_str(errno.desc()),
        }
    }
}
