//! `trc`: PID 1 of a container.
//!
//! There is a C `main` here, for what Rust's own does before it, a handler for stack
//! overflows that makes glibc read `/proc/self/maps`, costs a start as much as reading
//! the configuration does.

#![no_main]

use std::ffi::{c_char, c_int};

/// The C entry point.
///
/// A panic can't leave it: [`trc::init::main`] catches them all.
///
/// # Safety
/// Called once, by the C runtime, with `count` strings that stay for good.
// SAFETY: nothing else in this program is called `main`.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the C runtime's.
    c_int::from(trc::init::main(unsafe { trc::init::arguments(count, arguments) }))
}
