//! Makes sure that the descriptors 0, 1 and 2 are open, and that no other one reaches the units.

use std::fs;
use std::os::fd::RawFd;

use nix::errno::Errno;

/// The number of descriptors that are closed if nothing tells which ones exist.
const NUMBERS: i32 = 1024;

/// Keeps the descriptors above 2 that trc has inherited from the units. Whoever started trc meant
/// them for trc, or forgot them, and a unit with a user of its own could read through them what it
/// may not open.
pub(crate) fn keep_from_units() {
    // Linux 5.11: close_range(2).
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: no memory is involved, and nothing is closed.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) } == 0 {
        return;
    }
    for fd in open_numbers() {
        // SAFETY: fcntl checks the number.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Returns the numbers above 2 of the descriptors that may be open.
fn open_numbers() -> impl Iterator<Item = RawFd> {
    let open = fs::read_dir("/proc/self/fd").map(|entries| {
        let numbers =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.collect::<Vec<RawFd>>()
    });
    open.unwrap_or_else(|_| (3..NUMBERS).collect()).into_iter().filter(|fd| *fd > 2)
}

/// Closes all descriptors above 2 but these.
///
/// # Safety
/// Nothing uses the others any more: this is a child of trc.
pub(crate) unsafe fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<RawFd> = kept.iter().copied().filter(|fd| *fd > 2).collect();
    kept.sort_unstable();
    kept.dedup();
    let mut from = 3;
    // The last gap has no end.
    for end in kept.iter().copied().chain([RawFd::MAX]) {
        // SAFETY: the caller guarantees it. Linux 5.9: close_range(2).
        let closed =
            from >= end || unsafe { libc::syscall(libc::SYS_close_range, from, end - 1, 0) == 0 };
        if !closed {
            for fd in open_numbers().filter(|fd| !kept.contains(fd)) {
                // SAFETY: the caller guarantees it; close(2) checks the number.
                unsafe { libc::close(fd) };
            }
            return;
        }
        from = end.saturating_add(1);
    }
}

/// Opens `/dev/null` on those of descriptors 0, 1 and 2 that are closed.
///
/// Otherwise, the next file that trc opens could get the number 1, and the output of units would go
/// to it. This function has to be called before anything is opened. Without `/dev/null`, the root
/// directory takes its place: a write then fails with EBADF, as on a closed descriptor.
pub(crate) fn guard_standard_fds() {
    for fd in 0..=2 {
        // SAFETY: F_GETFD only looks.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1 || Errno::last() != Errno::EBADF {
            continue;
        }
        // The descriptor is not close-on-exec, because units inherit it. It gets the number `fd`,
        // which is the lowest free one, because those below are open by now (open(2)).
        for (path, flags) in [(c"/dev/null", libc::O_RDWR), (c"/", libc::O_PATH)] {
            // SAFETY: the path is a C string.
            if unsafe { libc::open(path.as_ptr(), flags | libc::O_NOCTTY) } != -1 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_standard_descriptors_are_opened_to_null() {
        // This runs in a child, because other tests share the descriptors of this process.
        // SAFETY: the child makes system calls only.
        #[expect(clippy::disallowed_methods, reason = "a test of what only a process can show")]
        let forked = unsafe { nix::unistd::fork() }.unwrap();
        match forked {
            nix::unistd::ForkResult::Child => {
                // SAFETY: as above.
                unsafe {
                    libc::close(0);
                    libc::close(2);
                    guard_standard_fds();
                    let mut null = std::mem::zeroed::<libc::stat>();
                    libc::stat(c"/dev/null".as_ptr(), &raw mut null);
                    let is_null = |fd| {
                        let mut stat = std::mem::zeroed::<libc::stat>();
                        libc::fstat(fd, &raw mut stat) == 0 && stat.st_rdev == null.st_rdev
                    };
                    libc::_exit(i32::from(!(is_null(0) && is_null(2))));
                }
            }
            nix::unistd::ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
    }
}
