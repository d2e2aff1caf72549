//! The directory that `trcctl` reads if nobody names one.

use std::path::Path;

use crate::config::CommandLine;

/// The current directory.
const HERE: &str = ".";

/// Returns the command line with the directory that `trcctl` reads. If neither `-w` nor a variable
/// names one, it is the current one if that has a `trc.toml` or a `trc.d`, else trc's own.
pub(super) fn here(line: &CommandLine) -> CommandLine {
    let here = || (!is_named(line) && !line.bare && !is_elsewhere(line)).then(|| HERE.into());
    let work_dir = line.work_dir.clone().or_else(here);
    CommandLine { work_dir, ..line.clone() }
}

/// Tells whether trc reads its own directory, because nobody names one and the current one has
/// nothing for trc.
pub(super) fn is_elsewhere(line: &CommandLine) -> bool {
    !is_named(line) && !is_configured(Path::new(HERE))
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
