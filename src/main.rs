//! `trc`: PID 1 of a container.
//!
//! This is a C `main`, because Rust's own `main` first installs a handler for stack overflows, for
//! which glibc reads `/proc/self/maps`. That takes as much time as reading the configuration.

#![no_main]

use std::ffi::{c_char, c_int};

/// The C entry point.
///
/// No panic leaves it: [`trc::init::main`] catches all of them.
///
/// # Safety
/// The C runtime calls this once, with `count` strings that stay valid.
// SAFETY: nothing else in this program is called `main`.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the C runtime guarantees it.
    c_int::from(trc::init::main(unsafe { trc::init::arguments(count, arguments) }))
}
