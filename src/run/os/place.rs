//! The place of a Unix socket in the file system: unix(7).

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{UnixAddr, bind, connect};
use nix::sys::stat::{Mode, umask};

use crate::words::NoSocket;

/// The place of a socket of trc's. It is given up when this is dropped.
pub(crate) struct Place {
    path: PathBuf,
    /// The file at the path, by its device and its inode.
    file: (u64, u64),
}

impl Place {
    /// Creates a socket, to which everybody may connect, and binds it to a path. A socket that nobody
    /// reads any more is replaced, and one that somebody reads is left alone.
    ///
    /// # Errors
    /// Returns the reason why this is not possible.
    pub(crate) fn take(
        path: &Path,
        create: impl Fn() -> nix::Result<OwnedFd>,
    ) -> Result<(OwnedFd, Self), NoSocket> {
        let address = UnixAddr::new(path)?;
        let fd = create()?;
        // A chmod(2) could change another file if somebody has put a link there.
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
                    // EAGAIN: somebody listens, and has many clients. EPROTOTYPE: a socket of the other
                    // kind, for streams or for datagrams.
                    Ok(()) | Err(_) => return Err(NoSocket::Taken),
                }
                // The socket may be mounted from the host.
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
        Ok((fd, Self { path: path.to_owned(), file: (file.dev(), file.ino()) }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Another program may have taken the place.
        let own = |file: fs::Metadata| (file.dev(), file.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(own) {
            _ = fs::remove_file(&self.path);
        }
    }
}
