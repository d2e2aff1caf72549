//! Files that a unit creates when it is ready.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Failure, Verdict, named};
use crate::config::reason;

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
    let failed = |why: &str| -> Failure { named(&path.display().to_string(), why) };
    fs::metadata(path).map_err(|error| failed(&reason(&error).to_lowercase()))?;
    if before.is_some() && Stamp::of(path) == before {
        return Err(failed("it existed before the start, and nothing has written to it since"));
    }
    Ok(())
}
