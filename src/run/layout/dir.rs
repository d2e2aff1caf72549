//! Makes a directory, with its owner and mode.
//!
//! The way to it may lead through directories of other users, so it is walked as `os/trusted.rs`
//! says, and everything else works on open descriptors: whatever others do to the names, they cannot
//! make trc change the owner of anything but what trc has looked at. Below the directory, no link is
//! followed, and a file with several names changes its owner only if nobody can have linked it to
//! there in order to get it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir as Listing, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use super::{Owners, Wanted};
use crate::config::{Origin, Recurse, reason};
use crate::run::os::trusted::{is_own, kind, make_way};
use crate::words::{FileKind, Obstacle};

/// A directory to make.
pub(crate) struct Dir {
    /// Its path.
    pub path: PathBuf,
    /// Its owner.
    pub owner: Wanted,
    /// Its mode, if it is to have a certain one.
    pub mode: Option<u32>,
    /// Whether everything in it gets the same owner.
    pub recurse: Recurse,
    /// The place where it is declared.
    pub origin: Origin,
}

/// The mode of a new directory without a mode of its own.
const MODE: u32 = 0o755;

impl Dir {
    /// Makes the directory, and those on the way to it. Gives it its owner and mode if it has
    /// others.
    pub(super) fn make(&self, owners: &Owners) -> Result<(), Obstacle> {
        let owner = owners.find(&self.owner)?;
        let place = make_way(&self.path).map_err(|error| of_io(&error))?;
        let new = Mode::from_bits_truncate(self.mode.unwrap_or(MODE));
        let (dir, made) = place.make_dir(new).map_err(Obstacle::Kernel)?;
        let stat = fstat(&dir).map_err(Obstacle::Kernel)?;
        match kind_of(&stat) {
            FileKind::Directory => {}
            kind => return Err(Obstacle::Is(kind)),
        }
        let differs = owner.filter(|owner| *owner != (stat.st_uid, stat.st_gid));
        if let Some(mode) = self.mode.filter(|mode| stat.st_mode & 0o7777 != *mode) {
            // The owner comes after the mode: without the capability fowner, root can no longer
            // change the mode of what is not its own.
            change_mode(dir.as_fd(), mode).map_err(Obstacle::NoMode)?;
        }
        let below = match self.recurse {
            Recurse::Never => false,
            Recurse::IfTopDiffers => differs.is_some(),
            Recurse::Always => true,
        };
        if let Some(owner) = owner.filter(|_| below && !made) {
            give_below(&dir, &self.path, owner)?;
        }
        // The top comes last: if trc is stopped before, the next start begins anew.
        if let Some(owner) = differs {
            give(dir.as_fd(), owner).map_err(|errno| Obstacle::NotGiven(None, errno))?;
        }
        Ok(())
    }
}

/// Changes the mode of a directory that was opened as a path.
fn change_mode(dir: BorrowedFd<'_>, mode: u32) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    // This follows the kernel's own link, and takes no right to read the directory.
    let own = format!("/proc/self/fd/{}", dir.as_raw_fd());
    match fchmodat(dir, own.as_str(), mode, FchmodatFlags::FollowSymlink) {
        Err(Errno::ENOENT) => {}
        changed => return changed,
    }
    fchmod(open_to_read(dir)?, mode)
}

fn open_to_read(dir: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir, ".", flags, Mode::empty())
}

/// Changes the owner of what was opened as a path.
fn give(what: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    fchownat(what, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)
}

/// A directory whose entries are being given away.
struct Level {
    dir: OwnedFd,
    stat: FileStat,
    path: PathBuf,
    entries: OwningIter,
}

impl Level {
    fn of(dir: OwnedFd, path: PathBuf) -> Result<Self, Obstacle> {
        let failed = |errno| Obstacle::Below(path.clone(), errno);
        let stat = fstat(&dir).map_err(failed)?;
        let entries = open_to_read(&dir).and_then(Listing::from_fd).map_err(failed)?.into_iter();
        Ok(Self { dir, stat, path, entries })
    }

    /// Returns the name of the next entry.
    fn next(&mut self) -> Option<nix::Result<OsString>> {
        self.entries.find_map(|entry| match entry {
            Err(errno) => Some(Err(errno)),
            Ok(entry) => {
                let name = entry.file_name().to_bytes();
                let name = OsStr::from_bytes(name).to_owned();
                (name != "." && name != "..").then_some(Ok(name))
            }
        })
    }
}

/// Changes the owner of everything below a directory, and of each directory after what is in it.
fn give_below(top: &OwnedFd, path: &Path, owner: (u32, u32)) -> Result<(), Obstacle> {
    let top = top.try_clone().map_err(|error| of_io(&error))?;
    let mut levels = vec![Level::of(top, path.to_owned())?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.next() else {
            let Some(Level { dir, stat, path, .. }) = levels.pop() else { break };
            if !levels.is_empty() && owner != (stat.st_uid, stat.st_gid) {
                give(dir.as_fd(), owner).map_err(|errno| Obstacle::NotGiven(Some(path), errno))?;
            }
            continue;
        };
        let name = name.map_err(|errno| Obstacle::Below(level.path.clone(), errno))?;
        let path = level.path.join(&name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match openat(&level.dir, name.as_os_str(), flags, Mode::empty()) {
            Ok(file) => file,
            // It has gone in the meantime.
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(Obstacle::Below(path, errno)),
        };
        let stat = fstat(&file).map_err(|errno| Obstacle::Below(path.clone(), errno))?;
        if kind(&stat) == SFlag::S_IFDIR {
            levels.push(Level::of(file, path)?);
        } else if owner != (stat.st_uid, stat.st_gid) {
            if may_be_anybodys(&level.stat, &stat, owner) {
                return Err(Obstacle::Linked(path));
            }
            give(file.as_fd(), owner).map_err(|errno| Obstacle::NotGiven(Some(path), errno))?;
        }
    }
    Ok(())
}

/// Returns whether a file may be one that somebody has linked to a directory of theirs, which takes
/// no right to the file itself if `fs.protected_hardlinks` of proc(5) is off.
fn may_be_anybodys(dir: &FileStat, file: &FileStat, owner: (u32, u32)) -> bool {
    file.st_nlink > 1 && file.st_uid != owner.0 && file.st_uid != dir.st_uid && !is_own(dir)
}

pub(super) fn kind_of(stat: &FileStat) -> FileKind {
    match kind(stat) {
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFREG => FileKind::File,
        SFlag::S_IFLNK => FileKind::Link,
        SFlag::S_IFIFO => FileKind::Fifo,
        SFlag::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Device,
    }
}

/// Returns the reason of an error, which may be in words.
pub(super) fn of_io(error: &io::Error) -> Obstacle {
    match error.raw_os_error() {
        Some(errno) => Obstacle::Kernel(Errno::from_raw(errno)),
        None => Obstacle::Words(reason(error)),
    }
}
