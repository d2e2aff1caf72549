//! Files that a unit makes when it is ready.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Failure, Verdict, named};
use crate::config::reason;

/// What tells a state of a file from earlier ones: stat(2). Whatever is written, created anew or
/// touched has another time of change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file, if it is there.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Self { device: found.dev(), inode: found.ino(), changed })
    }
}

/// Whether a file is there, and not as it was `before`.
pub(crate) fn check(path: &Path, before: Option<Stamp>) -> Verdict {
    let failed = |why: &str| -> Failure { named(&path.display().to_string(), why) };
    fs::metadata(path).map_err(|error| failed(&reason(&error).to_lowercase()))?;
    if before.is_some() && Stamp::of(path) == before {
        return Err(failed("it existed before the start, and nothing has written to it since"));
    }
    Ok(())
}
