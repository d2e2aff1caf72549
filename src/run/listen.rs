//! Sockets that trc listens on for a unit, and passes on at each of its starts: `sd_listen_fds(3)`.
//!
//! trc keeps them open between the starts, so that no connection is refused while a unit restarts:
//! the kernel lets clients wait in the backlog.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind,
    connect, listen, setsockopt, socket, sockopt,
};
use nix::unistd::{Gid, Uid, chown};

use crate::config::Listen;

/// A socket that trc listens on.
pub(crate) struct Listener {
    /// The address, as the configuration has it.
    pub at: Listen,
    /// The socket.
    pub fd: OwnedFd,
    /// The file of a Unix socket, by its device and its inode.
    file: Option<(u64, u64)>,
}

impl Listener {
    /// Listens on an address. A Unix socket belongs to `owner`, and everybody may connect to it.
    ///
    /// # Errors
    /// Returns the kernel's error: EADDRINUSE if somebody else listens there.
    pub(crate) fn open(at: &Listen, owner: Option<(Uid, Gid)>) -> Result<Self, Errno> {
        let (fd, file) = match at {
            Listen::Port(port) => (everywhere(*port)?, None),
            Listen::Tcp(address) => (tcp(*address)?, None),
            Listen::Unix(path) => {
                let fd = unix(path)?;
                let mode = fs::Permissions::from_mode(0o666);
                fs::set_permissions(path, mode).map_err(|why| errno(&why))?;
                if let Some((uid, gid)) = owner {
                    chown(path, Some(uid), Some(gid))?;
                }
                let file = fs::symlink_metadata(path).map_err(|why| errno(&why))?;
                (fd, Some((file.dev(), file.ino())))
            }
        };
        Ok(Self { at: at.clone(), fd, file })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listen::Unix(path) = &self.at {
            // Another program may have taken the place.
            let own = |file: fs::Metadata| Some((file.dev(), file.ino())) == self.file;
            if fs::symlink_metadata(path).is_ok_and(own) {
                _ = fs::remove_file(path);
            }
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

fn unix(path: &Path) -> Result<OwnedFd, Errno> {
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
        made.map_err(|why| errno(&why))?;
    }
    let address = UnixAddr::new(path)?;
    let fd = opened(AddressFamily::Unix)?;
    // Of an earlier run that was killed: nobody listens on it.
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let client = opened(AddressFamily::Unix)?;
    if is_socket && connect(client.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED) {
        fs::remove_file(path).map_err(|why| errno(&why))?;
    }
    bound(&fd, &address)?;
    Ok(fd)
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

fn errno(why: &std::io::Error) -> Errno {
    why.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
