//! The reasons why a unit cannot be started, if trc finds them before there is a process.

use nix::errno::Errno;

use crate::words::{self, Unprepared};

/// A reason why trc cannot prepare a unit.
pub(crate) struct Problem {
    /// The reason in words.
    pub why: String,
    /// The kernel's error, if there was one.
    pub errno: Option<Errno>,
    /// Whether the problem lasts, as an unset variable does. A missing file may still appear.
    pub lasts: bool,
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        Self { why: words::errno(errno), errno: Some(errno), lasts: false }
    }
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self { why, errno: None, lasts: false }
    }
}

impl From<Unprepared> for Problem {
    fn from(why: Unprepared) -> Self {
        why.to_string().into()
    }
}

impl From<&str> for Problem {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl Problem {
    /// Returns the problem that the kernel refused a step.
    pub(crate) fn kernel(what: &str, error: &std::io::Error) -> Self {
        Self {
            why: format!("{what}: {}", crate::config::reason(error)),
            errno: error.raw_os_error().map(Errno::from_raw),
            lasts: false,
        }
    }

    /// Returns a problem that lasts.
    pub(crate) fn lasting(why: String) -> Self {
        Self { why, errno: None, lasts: true }
    }
}
