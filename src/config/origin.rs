//! The origin of a value. Every value has one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::dropins::shown;

/// The origin of a value. Its `Display` is for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A default.
    Default,
    /// Several places, which are not shown.
    Others,
    /// A place in a file. Lines and columns count from 1, columns in characters. Line 0 stands for
    /// the whole file.
    File {
        /// The path of the file.
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
            // A name may contain any bytes, but none of them may begin another line.
            Self::File { path, line: 0, .. } => f.write_str(&shown(path.as_os_str())),
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", shown(path.as_os_str()))
            }
            Self::Override(text) => write!(f, "--config {text}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Origin {
    /// Returns the place for people, without the value that a flag gives to a variable of units.
    #[must_use]
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Override(text) if is_of_variable(text) => {
                format!("--config {}", text.split_once('=').map_or("", |(key, _)| key.trim_end()))
            }
            origin => origin.to_string(),
        }
    }
}

/// Returns whether the key of `KEY=VALUE` is that of a variable: `env.NAME` or `STAGE.UNIT.env.NAME`.
fn is_of_variable(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| key.split('.').any(|part| part.trim() == "env"))
}

/// A value with its origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed<T> {
    /// The value.
    pub value: T,
    /// The origin.
    pub origin: Origin,
}
