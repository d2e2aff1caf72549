//! The resource limits of trc itself: getrlimit(2).

use nix::errno::Errno;

/// `RLIMIT_LOCKS`, which has the same number on every machine except mips, sparc and alpha.
pub(crate) const LOCKS: u32 = 10;
/// `RLIMIT_NOFILE`.
pub(crate) const NOFILE: u32 = 7;

/// Returns a hard limit of trc itself.
pub(crate) fn hard(number: u32) -> Option<u64> {
    let mut pair = [0_u64; 2];
    debug_assert_eq!(size_of::<libc::rlimit64>(), size_of::<[u64; 2]>());
    // SAFETY: prlimit(2) writes the two words of one limit, and reads none.
    let done = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, number, std::ptr::null::<u64>(), pair.as_mut_ptr())
    };
    Errno::result(done).ok().map(|_| pair[1])
}

/// Sets the soft limit of core files, and returns the one before.
pub(crate) fn core_files(soft: u64) -> Option<u64> {
    let mut pair = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: each call gets one limit.
    unsafe {
        Errno::result(libc::getrlimit64(libc::RLIMIT_CORE, &raw mut pair)).ok()?;
        let before = std::mem::replace(&mut pair.rlim_cur, soft);
        Errno::result(libc::setrlimit64(libc::RLIMIT_CORE, &raw const pair)).ok()?;
        Some(before)
    }
}
