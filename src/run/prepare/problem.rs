//! The reasons why a unit cannot be started, if trc finds them before there is a process.

use std::io;

use nix::errno::Errno;

use crate::config::Origin;
use crate::words::Unprepared;

/// A reason why trc cannot prepare a unit.
pub(crate) struct Problem {
    /// The reason.
    pub why: Unprepared,
    /// The kernel's error, if there was one.
    pub errno: Option<Errno>,
    /// Whether the problem lasts, as an unset variable does. A missing file may still appear.
    pub lasts: bool,
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        Self { why: Unprepared::Kernel(errno), errno: Some(errno), lasts: false }
    }
}

impl From<Unprepared> for Problem {
    fn from(why: Unprepared) -> Self {
        Self { why, errno: None, lasts: false }
    }
}

impl Problem {
    /// Returns the problem that the kernel refused something.
    pub(crate) fn kernel(why: Unprepared, error: &io::Error) -> Self {
        Self { why, errno: error.raw_os_error().map(Errno::from_raw), lasts: false }
    }

    /// Returns a problem that lasts, of a setting at this place.
    pub(crate) fn lasting(why: Unprepared, origin: &Origin) -> Self {
        Self { why: why.at(origin), errno: None, lasts: true }
    }
}
