//! Opens files at paths in which other users may have put links.
//!
//! trc opens files with privileges that the units do not have, in directories that may belong to
//! the units. A link in the place of a log file could make trc write to any file. So trc walks a
//! path one name at a time, and follows a link only if nobody else can have put it there:
//!
//! - the directory that it is in belongs to root or trc's own user, and nobody else may write to
//!   it (`/var/log` → `/data/log`, the links of Kubernetes' secrets); or
//! - the link itself belongs to root or trc's own user, and has no other name, by which it might
//!   be another place's link.
//!
//! `fs.protected_symlinks` of proc(5) does this only for sticky directories. In a directory of
//! another user, a file with several names (`fs.protected_hardlinks`) has to belong to the owner of
//! the directory, too. Below `/proc`, the kernel follows its own links.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::users::Users;

/// The number of links that the kernel follows: `path_resolution(7)`.
const LINKS: usize = 40;

/// A name in an open directory, which stays the same whatever others do to the path.
#[derive(Debug)]
pub(crate) struct Place {
    dir: OwnedFd,
    name: OsString,
    /// Whether the name is in `/proc`, whose links lead to places without a path.
    of_proc: bool,
}

/// Finds the place that a path leads to. The last name does not have to exist.
///
/// # Errors
/// Returns the errors of `path_resolution(7)`; EACCES in words for a link that somebody else may
/// have put there.
pub(crate) fn locate(path: &Path) -> io::Result<Place> {
    walk(path, false)
}

/// Does the same, and makes the directories on the way to the last name that do not exist, with the
/// mode 0755 less the umask.
///
/// # Errors
/// Returns the errors of [`locate`] and of mkdir(2).
pub(crate) fn make_way(path: &Path) -> io::Result<Place> {
    walk(path, true)
}

fn walk(path: &Path, makes: bool) -> io::Result<Place> {
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = || openat(AT_FDCWD, "/", directory, Mode::empty());
    let mut names = VecDeque::new();
    put_before(&mut names, path);
    let mut dir = openat(AT_FDCWD, ".", directory, Mode::empty()).or_else(|_| root())?;
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        if name == "/" {
            dir = root()?;
            continue;
        }
        let last = names.is_empty();
        let place = |dir, of_proc| Ok(Place { dir, name: name.clone(), of_proc });
        if fstatfs(&dir).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC) {
            if last {
                return place(dir, true);
            }
            dir = openat(&dir, name.as_os_str(), directory, Mode::empty())?;
            continue;
        }
        let look = || fstatat(&dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        let stat = match look() {
            Err(Errno::ENOENT) if last => return place(dir, false),
            Err(Errno::ENOENT) if makes => {
                // Somebody else may make it at the same time.
                match mkdirat(&dir, name.as_os_str(), Mode::from_bits_truncate(0o755)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(at(&name, errno)),
                }
                look()?
            }
            stat => stat?,
        };
        if kind(&stat) == SFlag::S_IFLNK {
            let link = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let link = openat(&dir, name.as_os_str(), link, Mode::empty())?;
            if !is_trusted(&fstat(&dir)?, &fstat(&link)?) {
                return Err(untrusted(&name, &fstat(&link)?));
            }
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP.into());
            }
            // This reads the open link, whatever has its name by now: readlinkat(2).
            put_before(&mut names, Path::new(&readlinkat(&link, "")?));
        } else if last {
            return place(dir, false);
        } else {
            let next = openat(&dir, name.as_os_str(), directory | OFlag::O_NOFOLLOW, Mode::empty());
            dir = next.map_err(|errno| if makes { at(&name, errno) } else { errno.into() })?;
        }
    }
    // This is the root directory, or a directory that was named by dots.
    Ok(Place { dir, name: ".".into(), of_proc: false })
}

/// Opens the file at a path, without waiting and without acquiring a terminal: see [`Place::open`].
///
/// # Errors
/// Returns the errors of [`locate`] and of open(2).
pub(crate) fn open(path: &Path, flags: OFlag) -> io::Result<File> {
    locate(path)?.open(flags)
}

impl Place {
    /// Opens the file, or creates it with the mode 0666 less the umask. With `O_NONBLOCK`, trc does
    /// not wait for the other side of a FIFO, and it does not acquire a terminal.
    ///
    /// # Errors
    /// Returns the errors of open(2); EACCES in words for a file that has names elsewhere.
    pub(crate) fn open(&self, flags: OFlag) -> io::Result<File> {
        self.open_or_make(flags, Mode::from_bits_truncate(0o666))
    }

    /// Creates a file that only trc's user can open, to append to it.
    ///
    /// # Errors
    /// Returns the errors of open(2), EEXIST where something is there.
    pub(crate) fn make(&self) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL;
        self.open_or_make(flags, Mode::S_IRUSR | Mode::S_IWUSR)
    }

    fn open_or_make(&self, flags: OFlag, mode: Mode) -> io::Result<File> {
        let mut flags = flags | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        if !self.of_proc {
            flags |= OFlag::O_NOFOLLOW;
        }
        // An existing file is checked before it is truncated.
        let careful = flags.difference(OFlag::O_TRUNC);
        let opened = openat(&self.dir, self.name.as_os_str(), careful, mode)?;
        self.look_at(&fstat(&opened)?)?;
        let file = File::from(opened);
        if flags.contains(OFlag::O_TRUNC) && file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        Ok(file)
    }

    /// Refuses a file with several names in a directory of another user, because it may be a name
    /// of any file.
    fn look_at(&self, file: &FileStat) -> io::Result<()> {
        let dir = fstat(&self.dir)?;
        let odd = kind(file) == SFlag::S_IFREG && file.st_nlink > 1 && file.st_uid != dir.st_uid;
        if odd && !self.of_proc && !is_own(&dir) {
            let name = self.name.display();
            let why =
                format!("{name} is a file of {} that has several hard links", user(file.st_uid));
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    /// Makes a directory with this mode, unless something exists. Returns what is there, opened as
    /// a path, and whether it was made.
    ///
    /// # Errors
    /// Returns the errors of mkdir(2) and of open(2).
    pub(crate) fn make_dir(&self, mode: Mode) -> nix::Result<(OwnedFd, bool)> {
        let answer = mkdirat(&self.dir, self.name.as_os_str(), mode);
        // Nobody can make anything on a read-only or foreign file system, but it may be there.
        match (answer, self.open_path()) {
            (Ok(()), opened) => opened.map(|there| (there, true)),
            (Err(Errno::EEXIST), opened) => opened.map(|there| (there, false)),
            (Err(_), Ok(there)) => Ok((there, false)),
            (Err(errno), Err(_)) => Err(errno),
        }
    }

    /// Opens what is there as a path, and does not follow a link.
    ///
    /// # Errors
    /// Returns the errors of open(2).
    pub(crate) fn open_path(&self) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.dir, self.name.as_os_str(), flags, Mode::empty())
    }

    /// Returns a path that leads to the name in the open directory, for calls that take nothing else.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(&format!("/proc/self/fd/{}", self.dir.as_raw_fd())).join(&self.name)
    }

    /// Returns the name in the directory.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Returns whether a name exists in the same directory.
    pub(crate) fn has(&self, name: &OsStr) -> bool {
        fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
    }

    /// Returns the place of another name in the same directory.
    ///
    /// # Errors
    /// Returns an error if there is no descriptor left.
    pub(crate) fn beside(&self, name: impl Into<OsString>) -> io::Result<Self> {
        let dir = self.dir.try_clone()?;
        Ok(Self { dir, name: name.into(), of_proc: self.of_proc })
    }

    /// Returns whether the name is in `/proc`.
    pub(crate) fn is_of_proc(&self) -> bool {
        self.of_proc
    }

    /// Renames a file within the directory.
    ///
    /// # Errors
    /// Returns the errors of rename(2).
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> nix::Result<()> {
        renameat(&self.dir, from, &self.dir, to)
    }

    /// Removes the file.
    ///
    /// # Errors
    /// Returns the errors of unlink(2).
    pub(crate) fn remove(&self) -> nix::Result<()> {
        unlinkat(&self.dir, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir)
    }
}

/// Returns an error that names the part of a path that it is about.
fn at(name: &OsStr, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    io::Error::new(error.kind(), format!("{}: {}", name.display(), errno.desc().to_lowercase()))
}

/// Puts the names of a path before the remaining ones.
fn put_before(names: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::CurDir | Component::Prefix(_) => {}
            Component::RootDir => names.push_front("/".into()),
            Component::ParentDir => names.push_front("..".into()),
            Component::Normal(name) => names.push_front(name.to_owned()),
        }
    }
}

pub(crate) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Returns whether only root and trc's own user can create files in a directory.
pub(crate) fn is_own(dir: &FileStat) -> bool {
    is_ours(dir) && dir.st_mode & 0o022 == 0
}

fn is_ours(stat: &FileStat) -> bool {
    stat.st_uid == 0 || stat.st_uid == geteuid().as_raw()
}

fn is_trusted(dir: &FileStat, link: &FileStat) -> bool {
    is_own(dir) || is_ours(link) && link.st_nlink == 1
}

fn untrusted(name: &OsStr, link: &FileStat) -> io::Error {
    let name = String::from_utf8_lossy(name.as_bytes());
    let user = user(link.st_uid);
    let why = format!(
        "{name} is a symbolic link that {user} may have made, in a directory that others can write \
         to; make root the owner of the link (chown -h root), or write the path that it leads to"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn user(uid: u32) -> String {
    let known = Users::read().ok().and_then(|users| users.user(&uid.to_string())?.name);
    known.unwrap_or_else(|| format!("user {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    const APPEND: OFlag = OFlag::O_WRONLY.union(OFlag::O_APPEND).union(OFlag::O_CREAT);

    /// Creates a directory, and in it one that belongs to another user, if trc is root.
    fn dirs() -> (tempfile::TempDir, PathBuf, bool) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        let given = chown(&theirs, Some(65534), Some(65534)).is_ok();
        fs::write(dir.path().join("victim"), "safe\n").unwrap();
        (dir, theirs, given)
    }

    fn write(path: &Path) -> io::Result<()> {
        open(path, APPEND)?.write_all(b"line\n")
    }

    #[test]
    fn a_path_is_opened_as_the_kernel_would() {
        let (dir, theirs, _) = dirs();
        let dir = dir.path();
        fs::create_dir(dir.join("real")).unwrap();
        symlink("real", dir.join("link")).unwrap();
        symlink(dir.join("link/file"), dir.join("absolute")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        let odd = dir.join("real/../link/./file");
        for path in [dir.join("real/file"), odd, dir.join("absolute"), theirs.join("x")] {
            write(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(dir.join("real/file")).unwrap(), "line\n".repeat(3));
        for (path, error) in [
            (dir.join("loop"), libc::ELOOP),
            (dir.join("no/file"), libc::ENOENT),
            (dir.join("victim/file"), libc::ENOTDIR),
            (dir.join("real"), libc::EISDIR),
            (dir.join("real/.."), libc::EISDIR),
            (PathBuf::from("/"), libc::EISDIR),
        ] {
            let found = write(&path).unwrap_err();
            assert_eq!(found.raw_os_error(), Some(error), "{}: {found}", path.display());
        }
        let mut out = String::new();
        open(&dir.join("absolute"), OFlag::O_RDONLY).unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(out, "line\n".repeat(3));
    }

    #[test]
    fn a_link_that_somebody_else_has_put_there_is_not_followed() {
        let (dir, theirs, given) = dirs();
        if !given {
            return;
        }
        let victim = dir.path().join("victim");
        // One link replaces the file, and the other a directory on the way to it.
        symlink(&victim, theirs.join("x.log")).unwrap();
        symlink(dir.path(), theirs.join("sub")).unwrap();
        for name in ["x.log", "sub"] {
            lchown(theirs.join(name), Some(65534), Some(65534)).unwrap();
        }
        for path in [theirs.join("x.log"), theirs.join("sub/victim")] {
            let error = write(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{}", path.display());
            assert!(error.to_string().contains("is a symbolic link that"), "{error}");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe\n");
        // Root has created these links, or nobody else can have.
        lchown(theirs.join("x.log"), Some(0), Some(0)).unwrap();
        write(&theirs.join("x.log")).unwrap();
        symlink(&victim, dir.path().join("by-root")).unwrap();
        lchown(dir.path().join("by-root"), Some(65534), Some(65534)).unwrap();
        write(&dir.path().join("by-root")).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe\nline\nline\n");
    }

    #[test]
    fn another_name_of_somebody_elses_file_is_not_opened() {
        let (dir, theirs, given) = dirs();
        if !given {
            return;
        }
        let victim = dir.path().join("victim");
        fs::hard_link(&victim, theirs.join("x.log")).unwrap();
        for flags in [APPEND, OFlag::O_WRONLY | OFlag::O_TRUNC, OFlag::O_RDONLY] {
            let error = open(&theirs.join("x.log"), flags).unwrap_err();
            assert!(error.to_string().contains("several hard links"), "{error}");
        }
        // trc does not follow a hard link to one of root's links either.
        symlink(&victim, dir.path().join("by-root")).unwrap();
        fs::hard_link(dir.path().join("by-root"), theirs.join("y.log")).unwrap();
        write(&theirs.join("y.log")).unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "safe\n");
    }

    #[test]
    fn what_the_kernel_links_below_proc_is_opened() {
        let (dir, ..) = dirs();
        let (mut read, write) = io::pipe().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&write);
        symlink(format!("/proc/self/fd/{number}"), dir.path().join("stdout")).unwrap();
        open(&dir.path().join("stdout"), OFlag::O_WRONLY).unwrap().write_all(b"x").unwrap();
        let mut byte = [0; 1];
        read.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
