//! The shell that scripts run in.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;

use crate::run::os::proc::Status;
use crate::shell::Shell;
use crate::signal::Signal;

/// The shell, which is searched for when a unit first needs one.
pub(crate) struct LazyShell {
    configured: Option<Vec<OsString>>,
    path: OsString,
    found: OnceCell<Option<Shell>>,
}

impl LazyShell {
    /// Returns the configured shell, or the first of `bash` and `sh` in `path`.
    pub(crate) fn new(configured: Option<Vec<OsString>>, path: &OsStr) -> Self {
        Self { configured, path: path.to_owned(), found: OnceCell::new() }
    }

    /// Returns the shell, if one exists.
    pub(crate) fn get(&self) -> Option<&Shell> {
        self.found.get_or_init(|| Shell::find(self.configured.as_deref(), &self.path)).as_ref()
    }

    /// Returns whether a process is the shell and a signal would terminate it. It is then only
    /// waiting for the programs that it runs.
    pub(crate) fn only_waits(&self, pid: i32, signal: Signal) -> bool {
        let is = |path: &OsStr| {
            let file = std::fs::metadata(format!("/proc/{pid}/exe")).ok();
            let shell = std::fs::metadata(path).ok();
            file.zip(shell).is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
        };
        signal.is_fatal()
            && self.get().and_then(|shell| shell.words.first()).is_some_and(|word| is(word))
            && Status::of(pid).is_some_and(|status| !status.handles(signal.number()))
    }
}
