//! What a shell wrote, field by field.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What is left of the fields, each ended by a NUL.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let (field, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(field)
    }

    /// How many, then each, then `end`.
    pub(super) fn args(&mut self) -> Option<Vec<OsString>> {
        let count: usize = std::str::from_utf8(self.next()?).ok()?.trim().parse().ok()?;
        let args = (0..count)
            .map(|_| self.next().map(|arg| OsStr::from_bytes(arg).to_owned()))
            .collect::<Option<_>>()?;
        (self.next()? == b"end").then_some(args)
    }
}
