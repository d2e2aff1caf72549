//! Giving back what only the start needed.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::time::Duration;

use nix::sys::mman::{MmapAdvise, madvise};

/// After so long without anything to do, once, trc lets go of its own code.
pub const IDLE: Duration = Duration::from_millis(250);

unsafe extern "C" {
    /// Where the program's read-only part begins and its code ends: ld(1).
    static __executable_start: u8;
    static etext: u8;
}

/// Gives free memory back: what the configuration was read with.
pub fn let_go_of_heap() {
    // SAFETY: malloc_trim(3) touches what is free only.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of trc's own program, which reading the configuration has
/// touched from one end to the other: they stay in the page cache, and the few that the
/// loop needs come back when it runs.
pub fn let_go_of_code() {
    const PAGE: usize = 4096;
    let start = (&raw const __executable_start).addr().next_multiple_of(PAGE);
    let end = (&raw const etext).addr() & !(PAGE - 1);
    let start_pointer =
        (&raw const __executable_start).with_addr(start).cast_mut().cast::<c_void>();
    if let Some(pages) = NonNull::new(start_pointer).filter(|_| start < end) {
        // SAFETY: between these lie only private mappings of the program's file that
        // nobody can write to, so what is needed again is read again: madvise(2),
        // MADV_DONTNEED. It fails where a machine's pages are larger, and nothing is lost.
        let _ = unsafe { madvise(pages, end - start, MmapAdvise::MADV_DONTNEED) };
    }
}
