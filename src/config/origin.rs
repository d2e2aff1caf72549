//! Where a value came from. Every value remembers it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::dropins::shown;

/// Where a value came from; printed as people name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It was not set by anybody.
    Default,
    /// Several places: those of what is not shown.
    Others,
    /// A place in a file; line and column count from 1, columns in characters.
    /// Line 0 stands for the file as a whole.
    File {
        /// The file, as it was found.
        path: Arc<Path>,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
    },
    /// An environment variable, by its name.
    Variable(Arc<str>),
    /// `--config KEY=VALUE`, with both.
    Override(Arc<str>),
    /// A flag or argument of the command line, by its name: `--wait`, `-D`.
    Flag(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Others => f.write_str("other places"),
            // A name may have any bytes, and none of them may make another line.
            Self::File { path, line: 0, .. } => f.write_str(&shown(path.as_os_str())),
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", shown(path.as_os_str()))
            }
            Self::Override(text) => write!(f, "--config {text}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}
