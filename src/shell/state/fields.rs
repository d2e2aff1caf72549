//! The fields that a shell has written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The remaining fields, each with a NUL at its end.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let (field, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(field)
    }

    /// Reads a list: its length, its items, and `end`.
    pub(super) fn args(&mut self) -> Option<Vec<OsString>> {
        let count: usize = std::str::from_utf8(self.next()?).ok()?.trim().parse().ok()?;
        let args = (0..count)
            .map(|_| self.next().map(|arg| OsStr::from_bytes(arg).to_owned()))
            .collect::<Option<_>>()?;
        (self.next()? == b"end").then_some(args)
    }
}
