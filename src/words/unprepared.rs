//! The faults of the words, variables and files that a unit needs to be started.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// The reason why something cannot be handed to a program. It never contains the contents of
/// variables and secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unprepared {
    /// This word contains a NUL byte.
    Word(String),
    /// This variable contains a NUL byte.
    Variable(OsString),
    /// This file of a value contains a NUL byte.
    Value(PathBuf),
    /// This file of a value cannot be read, for this reason.
    NoValue(PathBuf, String),
    /// This `env_file` cannot be read, for this reason.
    NoEnvFile(PathBuf, String),
    /// This line of an `env_file`, counted from 1, is not valid.
    EnvFile(PathBuf, usize, BadLine),
    /// Both of these variables are set, and the second one names a file for the first one.
    BothSet(OsString, OsString),
    /// This variable names a file, and something is wrong with the file.
    Pointer(OsString, Box<Unprepared>),
}

/// The fault of a line of an `env_file`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadLine {
    /// The line contains a NUL byte.
    Nul,
    /// There is nothing before the `=`.
    NoName,
    /// The name contains white space. The name is not shown: this may be the second line of a
    /// secret.
    Space,
}

impl Display for Unprepared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{}` contains a NUL byte", word.escape_debug()),
            Self::Variable(name) => {
                write!(f, "the variable {} contains a NUL byte", name.display())
            }
            Self::Value(path) => {
                write!(f, "{} contains a NUL byte, which a variable cannot contain", path.display())
            }
            Self::NoValue(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::NoEnvFile(path, why) => {
                write!(f, "cannot read env_file {}: {why}", path.display())
            }
            Self::EnvFile(path, line, wrong) => {
                let wrong = match wrong {
                    BadLine::Nul => "a variable cannot contain a NUL byte",
                    BadLine::NoName => "a name is missing before `=`",
                    BadLine::Space => "the name of a variable contains white space",
                };
                write!(f, "{}:{line}: {wrong}", path.display())
            }
            Self::BothSet(name, pointer) => {
                write!(f, "both {} and {} are set (file_env)", name.display(), pointer.display())
            }
            Self::Pointer(pointer, why) => {
                write!(f, "{}: {why} (file_env)", pointer.display())
            }
        }
    }
}
