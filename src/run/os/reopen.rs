//! Standard streams that a unit inherits, made such that its user can open them by their names:
//! many servers' logs are links to `/dev/stdout`.
//!
//! The kernel asks for the permissions of what is behind the name. A container engine gives the
//! streams to the user that the container starts as, and so does trc with its own pipes; but
//! those that it inherits are shared with all units and with trc. They get a permission for
//! everybody in the container: to write, to reach what everybody there was given to write to.
//! Only what belongs to trc's own user is touched, and no file that has a name: a pipe, and a
//! terminal where trc is PID 1.

use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, fchmod, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Uid, chown, geteuid, isatty};

/// What has no name: `PIPEFS_MAGIC` of statfs(2).
const PIPES: FsType = FsType(0x5049_5045);

/// Lets `user` open trc's standard stream of this number by its name, where it can't yet and
/// that is for trc to allow.
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
        // What is typed there is for whoever holds it: it has `/dev/tty`. Elsewhere than in a
        // container a terminal is a person's, whom others are not to write to.
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

/// A terminal of a unit's own is its user's, as login(1) has it.
pub(crate) fn hand_over(user: Uid, terminal: &Path) {
    if let Err(errno) = chown(terminal, Some(user), None) {
        log::debug!("cannot give {} to user {user}: {}", terminal.display(), errno.desc());
    }
}
