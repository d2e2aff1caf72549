//! Why a unit cannot be started, as found out before there is a process.

use nix::errno::Errno;

use crate::words::{self, Unprepared};

/// Why trc cannot prepare a unit.
pub(crate) struct Problem {
    /// In words.
    pub why: String,
    /// What the kernel said, if it was the kernel.
    pub errno: Option<Errno>,
    /// Whether that stays so: a variable that is not set. A file may come.
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
    /// What the kernel said to a step.
    pub(crate) fn kernel(what: &str, error: &std::io::Error) -> Self {
        Self {
            why: format!("{what}: {}", crate::config::reason(error)),
            errno: error.raw_os_error().map(Errno::from_raw),
            lasts: false,
        }
    }

    /// What a variable lacks.
    pub(crate) fn lasting(why: String) -> Self {
        Self { why, errno: None, lasts: true }
    }
}
