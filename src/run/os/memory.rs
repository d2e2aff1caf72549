//! Memory: trc returns what only the start needed, and keeps a reserve.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::mman::{MmapAdvise, madvise};

/// The idle time after which trc once lets go of its own code.
pub(crate) const IDLE: Duration = Duration::from_millis(250);

unsafe extern "C" {
    /// The beginning of the program's read-only part, and the end of its code: ld(1).
    static __executable_start: u8;
    static etext: u8;
}

/// Returns free memory to the kernel, which was used to read the configuration.
pub(crate) fn let_go_of_heap() {
    // SAFETY: malloc_trim(3) touches only free memory.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of trc's own program, which reading the configuration has touched from end
/// to end. They stay in the page cache, and the few that the loop needs come back when it runs.
pub(crate) fn let_go_of_code() {
    const PAGE: usize = 4096;
    let start = (&raw const __executable_start).addr().next_multiple_of(PAGE);
    let end = (&raw const etext).addr() & !(PAGE - 1);
    let start_pointer =
        (&raw const __executable_start).with_addr(start).cast_mut().cast::<c_void>();
    if let Some(pages) = NonNull::new(start_pointer).filter(|_| start < end) {
        // SAFETY: this range has only private, read-only mappings of the program's file, so the
        // kernel reads a page again when it is needed: madvise(2), MADV_DONTNEED. On machines with
        // larger pages, it fails without harm.
        let _ = unsafe { madvise(pages, end - start, MmapAdvise::MADV_DONTNEED) };
    }
}

/// The heap, with a reserve for the time when the kernel gives no more memory. trc then finishes
/// its work and logs a message, where Rust would abort and leave the container without PID 1.
///
/// The reserve costs nothing until then, because its pages have not been touched. It is used piece
/// by piece, and nothing goes back to it.
pub(crate) struct Heap {
    reserve: UnsafeCell<MaybeUninit<[u8; RESERVE]>>,
    given: AtomicUsize,
    told: AtomicBool,
}

#[global_allocator]
pub(crate) static HEAP: Heap = Heap::new();

/// The size of the reserve, in bytes.
const RESERVE: usize = 512 * 1024;

// SAFETY: each byte of the reserve is given to one caller only.
unsafe impl Sync for Heap {}

impl Heap {
    /// Creates a heap with a complete reserve.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self {
            reserve: UnsafeCell::new(MaybeUninit::zeroed()),
            given: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        }
    }

    /// Returns a piece of the reserve, filled with zeros; null if there is no such piece left.
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

    /// Returns, once, the number of bytes that are left of the reserve when a part of it was
    /// needed.
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

// SAFETY: the system's allocator keeps its own promises. Pieces of the reserve are aligned, have
// the requested size, and belong to nobody else.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller guarantees it.
        let given = unsafe { System.alloc(layout) };
        if given.is_null() { self.piece(layout) } else { given }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller guarantees it.
        let given = unsafe { System.alloc_zeroed(layout) };
        if given.is_null() { self.piece(layout) } else { given }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.is_piece(pointer) {
            // SAFETY: the memory is the system allocator's, and the caller guarantees the rest.
            unsafe { System.dealloc(pointer, layout) };
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.is_piece(pointer) {
            // SAFETY: the memory is the system allocator's, and the caller guarantees the rest.
            let given = unsafe { System.realloc(pointer, layout, size) };
            if !given.is_null() {
                return given;
            }
        }
        // SAFETY: the caller guarantees the size. The old memory is still valid, and does not
        // overlap with the new one.
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
