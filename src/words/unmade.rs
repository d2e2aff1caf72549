//! The reasons why trc cannot make a directory or a file that a unit needs.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::Unprepared;
use super::errno;
use crate::config::Origin;

/// The reason why a directory or a file of a unit cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unmade {
    /// What it is.
    made: Made,
    /// Its path.
    path: PathBuf,
    /// The place where it is declared.
    origin: Origin,
    /// The reason.
    pub why: Obstacle,
}

/// What trc makes for a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Made {
    /// A directory.
    Dir,
    /// A file.
    File,
}

impl Unmade {
    /// Creates the reason.
    pub(crate) fn new(made: Made, path: &Path, origin: &Origin, why: Obstacle) -> Box<Self> {
        Box::new(Self { made, path: path.to_owned(), origin: origin.clone(), why })
    }
}

/// The fault of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unfilled {
    /// This variable is not set.
    NotSet(String),
    /// This variable of `${NAME:?message}` is not set, and the message.
    Required(String, String),
    /// The brace of this variable is not closed.
    Open(String),
    /// Defaults are nested more than this deep.
    Deep(usize),
    /// The result has more bytes than this.
    Large(usize),
}

impl Display for Unfilled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(name) => write!(f, "the variable {name} is not set"),
            Self::Required(name, message) if message.is_empty() => {
                write!(f, "the variable {name} is not set, or is empty")
            }
            Self::Required(name, message) => write!(f, "{name}: {message}"),
            Self::Open(name) => write!(f, "`${{{name}` has no closing `}}`"),
            Self::Deep(most) => write!(f, "defaults are nested more than {most} levels deep"),
            Self::Large(most) => {
                write!(f, "with its variables, the file is larger than {} MiB", most >> 20)
            }
        }
    }
}

/// The thing in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// The kernel's answer.
    Kernel(Errno),
    /// An answer that is in words already.
    Words(String),
    /// The directory of the file does not exist.
    NoDirectory,
    /// The template cannot be read, for this reason.
    Template(PathBuf, String),
    /// The variables of a template, or without a path of the text itself, cannot be replaced.
    Unfilled { path: Option<PathBuf>, line: usize, column: usize, why: Unfilled },
    /// Something else has the name.
    Is(Kind),
    /// Its owner is unknown.
    Owner(Unprepared),
    /// The owner of something cannot be changed; `None` stands for the directory itself.
    NotGiven(Option<PathBuf>, Errno),
    /// The mode cannot be changed.
    NoMode(Errno),
    /// Something in it cannot be read.
    Below(PathBuf, Errno),
    /// A file in it has other names, and may be any file.
    Linked(PathBuf),
    /// This is a bug in trc.
    Panic,
}

/// The kind of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::File => "a regular file",
            Self::Link => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

impl Obstacle {
    /// Returns the kernel's error, if that is the reason.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel(errno)
            | Self::NotGiven(_, errno)
            | Self::NoMode(errno)
            | Self::Below(_, errno) => Some(*errno),
            Self::Words(_)
            | Self::NoDirectory
            | Self::Template(..)
            | Self::Unfilled { .. }
            | Self::Is(_)
            | Self::Owner(_)
            | Self::Linked(_)
            | Self::Panic => None,
        }
    }
}

impl Display for Unmade {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match self.made {
            Made::Dir => "cannot make the directory",
            Made::File => "cannot write",
        };
        write!(f, "{what} {}: {} ({})", self.path.display(), self.why, self.origin)
    }
}

impl Display for Obstacle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => f.write_str(&errno(*error)),
            Self::Words(words) => f.write_str(words),
            Self::NoDirectory => {
                f.write_str("its directory does not exist; a path in `dirs` makes it")
            }
            Self::Template(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::Unfilled { path: Some(path), line, column, why } => {
                write!(f, "{}:{line}:{column}: {why}", path.display())
            }
            Self::Unfilled { path: None, line, column, why } => {
                write!(f, "line {line}, column {column} of `text`: {why}")
            }
            Self::Is(kind) => write!(f, "it is {kind}"),
            Self::Owner(why) => write!(f, "{why}"),
            Self::NotGiven(what, error) => {
                let what = what.as_ref().map_or("it".into(), |path| path.to_string_lossy());
                write!(f, "cannot change the owner of {what}: {}", privilege(*error, "chown"))
            }
            Self::NoMode(error) => {
                write!(f, "cannot change its mode: {}", privilege(*error, "fowner"))
            }
            Self::Below(path, error) => write!(f, "{}: {}", path.display(), errno(*error)),
            Self::Linked(path) => write!(
                f,
                "{} has several hard links, and may be a name that somebody else has given to a file; \
                 change its owner by hand",
                path.display()
            ),
            Self::Panic => f.write_str("this is a bug in trc, please report it"),
        }
    }
}

/// Returns an error, or the capability that trc lacks.
fn privilege(error: Errno, capability: &str) -> String {
    match error {
        Errno::EPERM => format!("trc lacks the capability {capability}, or is not root"),
        error => errno(error),
    }
}
