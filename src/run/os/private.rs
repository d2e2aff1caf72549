//! Unix sockets at paths that only processes of this container reach.
//!
//! They are in a directory of trc's own, which others can pass through, but not list or write to.
//! trc creates it for the first socket, and removes it at the end. A trc that was killed leaves its
//! directory behind. The next trc of the same user removes it: it recognizes the directory by a
//! lock that nobody holds (flock(2)).

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, Permissions};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::UnixAddr;
use nix::unistd::{Gid, Uid, geteuid};

/// The places for the directory, the best one first. Containers with a read-only root have the last
/// one.
const PLACES: [&str; 3] = ["/run", "/tmp", "/dev/shm"];
/// The beginning of the directory's name. trc's process ID and a number follow.
const NAME: &str = "trc-notify.";
/// The number of names to try, because of other containers and of directories that a killed trc has
/// left.
const NUMBERS: u32 = 100;
/// The number of directory entries to search for those that a killed trc has left.
const LOOKED_AT: usize = 10_000;

/// The owner of a socket.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// The state of the directory.
enum Home {
    /// No socket has been created yet.
    Unknown,
    /// No place for a directory was found.
    Nowhere,
    In(Directory),
}

struct Directory {
    path: PathBuf,
    /// The number of sockets so far.
    count: u64,
    /// The lock that shows that trc is alive.
    _lock: File,
}

thread_local! {
    static HOME: RefCell<Home> = const { RefCell::new(Home::Unknown) };
}

/// Binds a socket to a new path; `None` if there is no place for one. Only trc's own user can send
/// to it until it is [given](give) to another.
pub(crate) fn bind(socket: BorrowedFd<'_>) -> Option<PathBuf> {
    HOME.with_borrow_mut(|home| {
        if let Home::Unknown = home {
            *home = find(&PLACES.map(Path::new)).map_or(Home::Nowhere, Home::In);
        }
        let Home::In(directory) = home else { return None };
        directory.count += 1;
        let path = directory.path.join(directory.count.to_string());
        nix::sys::socket::bind(socket.as_raw_fd(), &UnixAddr::new(&path).ok()?).ok()?;
        // Nobody else knows this path yet.
        _ = fs::set_permissions(&path, Permissions::from_mode(0o600));
        Some(path)
    })
}

/// Lets a user and root send to the socket at a path; `None` lets everybody.
pub(crate) fn give(path: &Path, owner: Option<Owner>) {
    let given = owner.is_some_and(|Owner { uid, gid }| {
        nix::unistd::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).is_ok()
    });
    if !given {
        _ = fs::set_permissions(path, Permissions::from_mode(0o666));
    }
}

/// Removes the path of a socket.
pub(crate) fn unlink(path: &Path) {
    _ = fs::remove_file(path);
}

/// Removes the directory, at the end.
pub(crate) fn remove() {
    if let Home::In(directory) = HOME.replace(Home::Nowhere) {
        clear(&directory.path);
    }
}

fn find(places: &[&Path]) -> Option<Directory> {
    places.iter().find_map(|place| {
        let metadata = fs::metadata(place).ok()?;
        // If everybody could rename the files of others there, somebody could replace the
        // directory.
        let safe = metadata.mode() & 0o022 == 0 || metadata.mode() & 0o1000 != 0;
        // The user of every unit has to be able to pass through.
        let open = metadata.mode() & 0o001 != 0;
        (metadata.is_dir() && safe && open).then(|| make(place)).flatten()
    })
}

fn make(place: &Path) -> Option<Directory> {
    remove_abandoned(place);
    let own = std::process::id();
    for number in 0..NUMBERS {
        let path = place.join(format!("{NAME}{own}.{number}"));
        match DirBuilder::new().mode(0o711).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(_) => return None,
        }
        // The mode must not depend on the umask.
        let ready = fs::set_permissions(&path, Permissions::from_mode(0o711)).is_ok();
        // Another trc may have removed it in between, because nobody held the lock.
        match lock(&path).filter(|_| ready && path.is_dir()) {
            Some(lock) => return Some(Directory { path, count: 0, _lock: lock }),
            None => _ = fs::remove_dir(&path),
        }
    }
    None
}

/// Takes the lock on a directory of trc's own user, if nobody holds it.
fn lock(path: &Path) -> Option<File> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    file.metadata().ok().filter(|metadata| metadata.uid() == geteuid().as_raw())?;
    // Closing the file releases the lock. The lock type of nix panics if that fails.
    file.try_lock().ok()?;
    Some(file)
}

/// Removes the directories that killed trcs have left in a place.
fn remove_abandoned(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten().take(LOOKED_AT) {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME));
        if ours && let Some(_lock) = lock(&entry.path()) {
            clear(&entry.path());
        }
    }
}

/// Removes a directory and the sockets in it, and nothing else.
fn clear(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            unlink(&entry.path());
        }
    }
    _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_directory_that_a_killed_trc_has_left_is_removed_and_a_live_one_stays() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let left = place.join(format!("{NAME}1.0"));
        fs::create_dir(&left).unwrap();
        drop(UnixDatagram::bind(left.join("1")).unwrap());
        let other = place.join(format!("{NAME}1.1"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join("something"), "else").unwrap();

        let first = find(&[&place.join("missing"), place]).unwrap();
        assert!(!left.exists());
        assert!(other.join("something").exists());
        let second = find(&[place]).unwrap();
        assert!(first.path.exists() && second.path.exists());
        assert_ne!(first.path, second.path);
        assert_eq!(fs::metadata(&first.path).unwrap().mode() & 0o7777, 0o711);
    }

    #[test]
    fn a_place_where_anybody_may_rename_anything_will_not_do() {
        let place = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        assert!(find(&[place.path()]).is_none());
        mode(0o1777);
        assert!(find(&[place.path()]).is_some());
    }
}
