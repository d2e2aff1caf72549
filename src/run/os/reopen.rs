//! Makes sure that the user of a unit can open the standard streams that the unit inherits by name.
//! The log files of many servers are links to `/dev/stdout`.
//!
//! The kernel checks the permissions of the pipe or terminal behind the name. A container engine
//! gives the streams to the user that the container starts as, and trc gives its own pipes to the
//! unit's user. But inherited streams are shared by all units and trc. So trc gives everybody in
//! the container the permission to write to a pipe, and, if trc is PID 1, to a terminal. It changes
//! only streams that belong to trc's own user, and no file that has a name.

use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Uid, chown, geteuid, isatty};

/// The file system of pipes, which have no name: `PIPEFS_MAGIC` of statfs(2).
const PIPES: FsType = FsType(0x5049_5045);

/// Lets `user` open this standard stream of trc by its name, if that is necessary and if trc may
/// allow it.
pub(crate) fn allow(user: Uid, number: i32) {
    // SAFETY: trc's standard descriptors are open from its first moment on.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(stat) = fstat(fd) else { return };
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let mode = Mode::from_bits_truncate(stat.st_mode);
    let wanted = match number {
        0 => Mode::S_IRGRP | Mode::S_IROTH,
        _ => Mode::S_IWGRP | Mode::S_IWOTH,
    };
    let pipe = || fstatfs(fd).is_ok_and(|stat| stat.filesystem_type() == PIPES);
    let fits = match kind {
        SFlag::S_IFIFO => pipe(),
        // Input from the terminal is for the unit that holds it, which can open `/dev/tty`. Outside
        // a container, a terminal belongs to a person, and others must not write to it.
        SFlag::S_IFCHR => number != 0 && std::process::id() == 1 && isatty(fd).unwrap_or(false),
        _ => false,
    };
    let owner = geteuid();
    if !fits || stat.st_uid != owner.as_raw() || owner == user || mode.contains(wanted) {
        return;
    }
    if let Err(errno) = fchmod(fd, mode | wanted) {
        log::debug!(
            "cannot let user {user} open descriptor {number} by its name: {}",
            errno.desc()
        );
    }
}

/// Gives the terminal of a unit to its user, as login(1) does.
pub(crate) fn hand_over(user: Uid, terminal: &Path) {
    if let Err(errno) = chown(terminal, Some(user), None) {
        log::debug!("cannot give {} to user {user}: {}", terminal.display(), errno.desc());
    }
}
