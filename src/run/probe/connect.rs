//! Connections that trc waits for by polling.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, UnixAddr, connect,
    getpeername, getsockname, getsockopt, socket, sockopt,
};

use super::Failure;
use crate::run::os::rights::Guarded;
use crate::words::BadAnswer;

/// The state of a connection.
pub(super) enum Connected {
    /// The connection is not established yet.
    NotYet,
    /// The connection is established.
    Yes,
    /// The connection failed.
    Failed(Errno),
}

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// Begins a TCP connection.
///
/// # Errors
/// Returns the reason why there is none.
pub(super) fn begin(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, FLAGS, None)?;
    let begun = match to {
        SocketAddr::V4(to) => connect(socket.as_raw_fd(), &SockaddrIn::from(to)),
        SocketAddr::V6(to) => connect(socket.as_raw_fd(), &SockaddrIn6::from(to)),
    };
    match begun {
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Returns the state of a connection when its socket is writable.
pub(super) fn connected(socket: &OwnedFd) -> Connected {
    match getsockopt(socket, sockopt::SocketError) {
        Ok(0) => {}
        Ok(errno) => return Connected::Failed(Errno::from_raw(errno)),
        Err(errno) => return Connected::Failed(errno),
    }
    match getpeername::<SockaddrStorage>(socket.as_raw_fd()) {
        // If nobody listens on a port that the kernel also hands out, a socket may connect to
        // itself, because both ends open at the same time: RFC 9293, 3.5.
        Ok(peer) if getsockname(socket.as_raw_fd()) == Ok(peer) => {
            Connected::Failed(Errno::ECONNREFUSED)
        }
        Ok(_) => Connected::Yes,
        Err(Errno::ENOTCONN) => Connected::NotYet,
        Err(errno) => Connected::Failed(errno),
    }
}

/// Connects to a Unix stream socket, which does not take time: unix(7).
///
/// # Errors
/// Returns the reason why there is no connection, such as EAGAIN: so many connections wait
/// already that the server does not seem to accept any.
pub(super) fn unix(path: &Path) -> Result<Guarded, Failure> {
    let address = UnixAddr::new(path).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Failure::new(BadAnswer::LongPath),
        other => Failure::new(BadAnswer::Kernel(other)),
    })?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None);
    let socket = socket?;
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => Ok(Guarded::new(socket)),
        Err(Errno::EAGAIN) => Err(Failure::new(BadAnswer::Backlog)),
        Err(errno) => Err(Failure::new(BadAnswer::Kernel(errno))),
    }
}
