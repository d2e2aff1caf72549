//! Giving back what only the start needed, and keeping something for when there is no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::mman::{MmapAdvise, madvise};

/// After so long without anything to do, once, trc lets go of its own code.
pub(crate) const IDLE: Duration = Duration::from_millis(250);

unsafe extern "C" {
    /// Where the program's read-only part begins and its code ends: ld(1).
    static __executable_start: u8;
    static etext: u8;
}

/// Gives free memory back: what the configuration was read with.
pub(crate) fn let_go_of_heap() {
    // SAFETY: malloc_trim(3) touches what is free only.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of trc's own program, which reading the configuration has
/// touched from one end to the other: they stay in the page cache, and the few that the
/// loop needs come back when it runs.
pub(crate) fn let_go_of_code() {
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

/// The heap, and a reserve for when the kernel gives no more to it: what trc was about to do is
/// done, and it is said, where Rust would abort and leave everybody else alone.
///
/// The reserve costs nothing until then: pages that nobody has touched. It is given away piece
/// by piece and never taken back.
pub(crate) struct Heap {
    reserve: UnsafeCell<MaybeUninit<[u8; RESERVE]>>,
    given: AtomicUsize,
    told: AtomicBool,
}

/// The heap of this program.
#[global_allocator]
pub(crate) static HEAP: Heap = Heap::new();

/// The size of the reserve, in bytes.
const RESERVE: usize = 512 * 1024;

// SAFETY: each byte of the reserve is given to one caller only.
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap whose reserve is whole.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self {
            reserve: UnsafeCell::new(MaybeUninit::zeroed()),
            given: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        }
    }

    /// A piece of the reserve, all zeros; null if there is no such one left.
    fn piece(&self, layout: Layout) -> *mut u8 {
        let start = self.reserve.get().cast::<u8>();
        let mut place = 0;
        let taken = self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |given| {
            place = (start.addr() + given).next_multiple_of(layout.align()) - start.addr();
            place.checked_add(layout.size()).filter(|end| *end <= RESERVE)
        });
        // SAFETY: it lies within the reserve.
        if taken.is_ok() { unsafe { start.add(place) } } else { ptr::null_mut() }
    }

    fn is_piece(&self, pointer: *mut u8) -> bool {
        let start = self.reserve.get().addr();
        (start..start + RESERVE).contains(&pointer.addr())
    }

    /// Once, when some of the reserve was needed: how much of it is left, in bytes.
    pub(crate) fn take_news(&self) -> Option<usize> {
        let given = self.given.load(Ordering::Relaxed);
        (given > 0 && !self.told.swap(true, Ordering::Relaxed)).then_some(RESERVE - given)
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: what the system's allocator gives is its own; pieces of the reserve are aligned, of
// the size that was asked for, and nobody else's.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let given = unsafe { System.alloc(layout) };
        if given.is_null() { self.piece(layout) } else { given }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let given = unsafe { System.alloc_zeroed(layout) };
        if given.is_null() { self.piece(layout) } else { given }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.is_piece(pointer) {
            // SAFETY: it is the system's, and the rest is the caller's.
            unsafe { System.dealloc(pointer, layout) };
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.is_piece(pointer) {
            // SAFETY: it is the system's, and the rest is the caller's.
            let given = unsafe { System.realloc(pointer, layout, size) };
            if !given.is_null() {
                return given;
            }
        }
        // SAFETY: the caller vouches for the size; the old place is still there, and the new
        // one is another.
        unsafe {
            let given = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !given.is_null() {
                ptr::copy_nonoverlapping(pointer, given, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            given
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_given_in_pieces_that_nobody_else_has() {
        static TRIED: Heap = Heap::new();
        let heap = &TRIED;
        assert_eq!(heap.take_news(), None);
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let (one, two) = (heap.piece(layout(3, 1)), heap.piece(layout(64, 64)));
        assert!(two.addr().is_multiple_of(64) && two.addr() >= one.addr() + 3);
        assert!(heap.is_piece(one) && heap.is_piece(two));
        assert!(heap.take_news().is_some_and(|left| left <= RESERVE - 67));
        assert_eq!(heap.take_news(), None, "it is said once");
        assert!(heap.piece(layout(RESERVE, 1)).is_null());
        // SAFETY: both are of this size, and the reserve lives.
        unsafe {
            one.write_bytes(7, 3);
            let grown = heap.realloc(one, layout(3, 1), 100);
            assert_eq!((grown.read(), grown.add(2).read()), (7, 7));
            assert!(!heap.is_piece(grown), "there was memory");
            heap.dealloc(grown, layout(100, 1));
            heap.dealloc(two, layout(64, 64));
        }
    }
}
