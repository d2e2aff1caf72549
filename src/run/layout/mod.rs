//! Makes what a unit needs before its command is executed: its `dirs`, and then its `files`.
//!
//! This may take as long as a network or a million files need, so PID 1 does not do it: the child
//! that becomes the unit does it first, in a copy of trc's memory (`spawn/child.rs`).

mod dir;
mod file;
mod fill;
mod owner;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::stat::{Mode, umask};

use crate::words::{Made, Obstacle, Unmade};
use owner::Owners;

pub(crate) use dir::Dir;
pub(crate) use file::{File, Source};
pub(crate) use owner::Wanted;

/// Everything that is made for a unit, in its order.
pub(crate) struct Layout {
    /// The directories, each after those that it is in.
    pub dirs: Vec<Dir>,
    /// The files.
    pub files: Vec<File>,
    /// The variables of the unit, if there are files.
    pub variables: BTreeMap<OsString, OsString>,
    /// The stop signal of the unit, which ends the work.
    pub stop: i32,
}

impl Layout {
    /// Makes everything. Called in a child of trc, which no other thread shares.
    ///
    /// # Errors
    /// Returns the first thing that cannot be made, and why.
    pub(crate) fn make(&self) -> Result<(), Box<Unmade>> {
        // trc's hook writes to the log of PID 1, of which this is a copy.
        std::panic::set_hook(Box::new(|_| {}));
        let own = umask(Mode::empty());
        let owners = Owners::default();
        let all = || {
            for dir in &self.dirs {
                let failed = |why| Unmade::new(Made::Dir, &dir.path, &dir.origin, why);
                careful(|| dir.make(&owners)).map_err(failed)?;
            }
            for file in &self.files {
                let failed = |why| Unmade::new(Made::File, &file.path, &file.origin, why);
                careful(|| file.write(&owners, &self.variables)).map_err(failed)?;
            }
            Ok(())
        };
        let made = all();
        umask(own);
        made
    }
}

/// Takes a panic for a failure.
fn careful(work: impl FnOnce() -> Result<(), Obstacle>) -> Result<(), Obstacle> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Obstacle::Panic))
}
