//! Reports that could not be written.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// A report that could not be written, and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unwritten {
    /// The report on standard output, and the kernel's error.
    Output(String),
    /// The report on standard output, whose reader was too slow.
    SlowReader,
    /// The report in this file, and the reason.
    File(PathBuf, String),
    /// The record of the run in this file, and the reason.
    Record(PathBuf, String),
}

impl Display for Unwritten {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(why) => write!(f, "cannot write the report on standard output: {why}"),
            Self::SlowReader => f.write_str(
                "cannot write the report on standard output: its reader did not read it in time",
            ),
            Self::File(path, why) => write!(f, "cannot write the report {}: {why}", path.display()),
            Self::Record(path, why) => {
                write!(f, "cannot write the record {}: {why}", path.display())
            }
        }
    }
}
