//! What is wrong with the words, variables and files that a unit needs to be started.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// Why something cannot be handed to a program. What variables and secrets hold is never told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unprepared {
    /// This word contains a NUL byte.
    Word(String),
    /// This variable contains a NUL byte.
    Variable(OsString),
    /// This file of a value contains a NUL byte.
    Value(PathBuf),
    /// This file of a value cannot be read, and why.
    NoValue(PathBuf, String),
    /// This `env_file` cannot be read, and why.
    NoEnvFile(PathBuf, String),
    /// This line of an `env_file`, counted from 1, is not one.
    EnvFile(PathBuf, usize, BadLine),
    /// Both of these variables are set, of which the second names a file for the first.
    BothSet(OsString, OsString),
    /// This variable names a file, and there is something wrong with that.
    Pointer(OsString, Box<Unprepared>),
}

/// What is wrong with a line of an `env_file`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadLine {
    /// It contains a NUL byte.
    Nul,
    /// There is nothing before its `=`.
    NoName,
    /// Its name contains white space. The name is not told: this may be the second line of a
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
