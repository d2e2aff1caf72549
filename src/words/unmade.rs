//! The reasons why trc cannot make a directory that a unit needs.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use nix::errno::Errno;

use super::Unprepared;
use super::errno;
use crate::config::Origin;

/// The reason why a directory of a unit cannot be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unmade {
    /// The directory.
    pub path: PathBuf,
    /// The place where it is declared.
    pub origin: Origin,
    /// The reason.
    pub why: Obstacle,
}

/// The thing in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Obstacle {
    /// The kernel's answer.
    Kernel(Errno),
    /// An answer that is in words already.
    Words(String),
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

/// The kind of a file that is not a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
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
            Self::Words(_) | Self::Is(_) | Self::Owner(_) | Self::Linked(_) | Self::Panic => None,
        }
    }
}

impl Display for Unmade {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot make the directory {}: {} ({})",
            self.path.display(),
            self.why,
            self.origin
        )
    }
}

impl Display for Obstacle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => f.write_str(&errno(*error)),
            Self::Words(words) => f.write_str(words),
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
