//! A random number.

/// Returns a number that differs from run to run, and between containers that start together.
pub(crate) fn chance() -> u64 {
    // SAFETY: the kernel hands every program sixteen random bytes: getauxval(3).
    unsafe {
        let bytes = libc::getauxval(libc::AT_RANDOM) as *const u64;
        if bytes.is_null() { 0 } else { bytes.read_unaligned() }
    }
}
