//! Makes what a unit needs before its command is executed: its `dirs`.
//!
//! This may take as long as a network or a million files need, so PID 1 does not do it: the child
//! that becomes the unit does it first, in a copy of trc's memory (`spawn/child.rs`).

mod dir;
mod owner;

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::stat::{Mode, umask};

use crate::words::{Obstacle, Unmade};
use owner::Owners;

pub(crate) use dir::Dir;
pub(crate) use owner::Wanted;

/// Everything that is made for a unit, in its order.
pub(crate) struct Layout {
    /// The directories, each after those that it is in.
    pub dirs: Vec<Dir>,
    /// The stop signal of the unit, which ends the work.
    pub stop: i32,
}

impl Layout {
    /// Makes everything. Called in a child of trc, which no other thread shares.
    ///
    /// # Errors
    /// Returns the first thing that cannot be made, and why.
    pub(crate) fn make(&self) -> Result<(), Unmade> {
        // trc's hook writes to the log of PID 1, of which this is a copy.
        std::panic::set_hook(Box::new(|_| {}));
        let own = umask(Mode::empty());
        let owners = Owners::default();
        let made = self.dirs.iter().try_for_each(|dir| {
            let made = catch_unwind(AssertUnwindSafe(|| dir.make(&owners)));
            made.unwrap_or(Err(Obstacle::Panic)).map_err(|why| Unmade {
                path: dir.path.clone(),
                origin: dir.origin.clone(),
                why,
            })
        });
        umask(own);
        made
    }
}
