//! The directory that `trcctl` reads if nobody names one.

use std::path::{Path, PathBuf};

use crate::config::CommandLine;

/// Returns the command line with the directory that `trcctl` reads. If neither `-w` nor a variable
/// names one, it is the current one if that has a `trc.toml` or a `trc.d`, else trc's own.
pub(super) fn here(line: &CommandLine) -> CommandLine {
    let here = Path::new(".");
    let is_here = !is_named(line) && !line.bare && is_configured(here);
    let work_dir = line.work_dir.clone().or_else(|| is_here.then(|| PathBuf::from(here)));
    CommandLine { work_dir, ..line.clone() }
}

/// Tells whether `-w` or a variable names the directory.
pub(super) fn is_named(line: &CommandLine) -> bool {
    let named = |name| std::env::var_os(name).is_some_and(|dir| !dir.is_empty());
    line.work_dir.is_some() || named("TRC_WORKDIR") || named("RC_WORK_DIR")
}

/// Tells whether a directory has a configuration for trc.
pub(super) fn is_configured(dir: &Path) -> bool {
    dir.join("trc.toml").exists() || dir.join("trc.d").is_dir()
}
