//! Files that a unit creates when it is ready.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;

use super::{Failure, Verdict};
use crate::words::BadAnswer;

/// The version of a file: stat(2). A file that is written, created anew or touched gets another
/// change time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the version of a file, if it exists.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self { device: found.dev(), inode: found.ino(), changed })
    }
}

/// Returns whether a file exists in another version than `before`.
pub(crate) fn check(path: &Path, before: Option<Stamp>) -> Verdict {
    let why = match fs::metadata(path) {
        Err(error) => {
            BadAnswer::Kernel(error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))
        }
        Ok(_) if before.is_some() && Stamp::of(path) == before => BadAnswer::OldFile,
        Ok(_) => return Ok(()),
    };
    Err(Failure::new(why).about(path.display()))
}
