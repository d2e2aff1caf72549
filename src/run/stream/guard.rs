//! Descriptors 0, 1 and 2 are never somebody else's.

use nix::errno::Errno;

/// Opens `/dev/null` on those of descriptors 0, 1 and 2 that are closed.
///
/// Else the next file that trc opens would get the number 1, and what a unit
/// prints would go into it. To be called before anything is opened. Without a
/// `/dev/null` the root directory takes its place: writing then fails with EBADF,
/// as it does on a closed descriptor.
pub fn guard_standard_fds() {
    for fd in 0..=2 {
        // SAFETY: F_GETFD only looks.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1 || Errno::last() != Errno::EBADF {
            continue;
        }
        // Not close-on-exec: it is for the units too. The lowest free number is
        // `fd`, for those below are open by now (open(2)).
        for (path, flags) in [(c"/dev/null", libc::O_RDWR), (c"/", libc::O_PATH)] {
            // SAFETY: the path is a C string.
            if unsafe { libc::open(path.as_ptr(), flags | libc::O_NOCTTY) } != -1 {
                break;
            }
        }
    }
}
