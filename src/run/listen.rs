//! Sockets that trc listens on for a unit, and passes on at each of its starts: `sd_listen_fds(3)`.
//!
//! trc keeps them open between the starts, so that no connection is refused while a unit restarts:
//! the kernel lets clients wait in the backlog.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind,
    connect, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, umask};
use nix::unistd::{Gid, Uid, fchownat};

use crate::config::Listen;
use crate::run::os::trusted::{Place, kind, make_way};

/// A socket that trc listens on.
pub(crate) struct Listener {
    /// The address, as the configuration has it.
    pub at: Listen,
    /// The socket.
    pub fd: OwnedFd,
    /// The file of a Unix socket.
    _file: Option<Named>,
}

/// The file of a Unix socket, which goes with it.
struct Named {
    place: Place,
    stat: FileStat,
}

impl Listener {
    /// Listens on an address. A Unix socket belongs to `owner`, and everybody may connect to it.
    ///
    /// # Errors
    /// Returns the kernel's error: EADDRINUSE if somebody else listens there.
    pub(crate) fn open(at: &Listen, owner: Option<(Uid, Gid)>) -> io::Result<Self> {
        let (fd, file) = match at {
            Listen::Port(port) => (everywhere(*port)?, None),
            Listen::Tcp(address) => (tcp(*address)?, None),
            Listen::Unix(path) => {
                let (fd, file) = unix(path, owner)?;
                (fd, Some(file))
            }
        };
        Ok(Self { at: at.clone(), fd, _file: file })
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Another program may have taken the place.
        let there = self.place.open_path().and_then(fstat);
        let same = |it: FileStat| (it.st_dev, it.st_ino) == (self.stat.st_dev, self.stat.st_ino);
        if there.is_ok_and(same) {
            _ = self.place.remove();
        }
    }
}

/// Listens on a port of all addresses: those of IPv6 and IPv4, or of IPv4 where there is no IPv6.
fn everywhere(port: u16) -> Result<OwnedFd, Errno> {
    let fd = match opened(AddressFamily::Inet6) {
        Err(Errno::EAFNOSUPPORT) => return tcp((Ipv4Addr::UNSPECIFIED, port).into()),
        fd => fd?,
    };
    setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match bound(&fd, &SockaddrStorage::from(address)) {
        // IPv6 is switched off: net.ipv6.conf.all.disable_ipv6.
        Err(Errno::EADDRNOTAVAIL) => tcp((Ipv4Addr::UNSPECIFIED, port).into()),
        done => done.map(|()| fd),
    }
}

fn tcp(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = opened(family)?;
    bound(&fd, &SockaddrStorage::from(address))?;
    Ok(fd)
}

/// Listens on a Unix socket. Its directory may belong to the unit, so the way to it is walked as
/// `os/trusted.rs` says, and its owner is changed on what trc has looked at.
fn unix(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<(OwnedFd, Named)> {
    let place = make_way(path)?;
    let address = UnixAddr::new(&place.path())?;
    let fd = opened(AddressFamily::Unix)?;
    let is_socket = |stat: &FileStat| kind(stat) == SFlag::S_IFSOCK;
    // Of an earlier run that was killed: nobody listens on it.
    if place.open_path().and_then(fstat).is_ok_and(|stat| is_socket(&stat)) {
        // A full backlog must not block trc.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        if connect(client.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED) {
            place.remove()?;
        }
    }
    let own = umask(Mode::from_bits_truncate(0o111));
    let done = bound(&fd, &address);
    umask(own);
    done?;
    let there = place.open_path()?;
    let stat = fstat(&there)?;
    if !is_socket(&stat) || stat.st_nlink != 1 {
        let why = "somebody has put something else in its place";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    if let Some((uid, gid)) = owner {
        fchownat(&there, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    }
    Ok((fd, Named { place, stat }))
}

fn opened(family: AddressFamily) -> Result<OwnedFd, Errno> {
    // The unit gets it as it expects it: blocking.
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if family != AddressFamily::Unix {
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    Ok(fd)
}

fn bound(fd: &OwnedFd, address: &dyn SockaddrLike) -> Result<(), Errno> {
    bind(fd.as_raw_fd(), address)?;
    listen(fd, Backlog::MAXCONN)
}
