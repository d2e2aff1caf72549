//! Reading of regular files.

use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::trusted;
use crate::config::expect::size;
use crate::config::reason;

/// The reason why a file cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The kernel refused it.
    Kernel(io::Error),
    /// It is a directory, a device or the like.
    NotRegular,
    /// It has more bytes than this.
    Larger(u64),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl Display for Unreadable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(error) => f.write_str(&reason(error)),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::Larger(most) => write!(f, "it is larger than {}", size(*most)),
        }
    }
}

/// Returns the contents of a regular file of at most `most` bytes. Follows no link that somebody
/// else may have made.
///
/// # Errors
/// Returns the reason why it can't be read.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
    read_regular(trusted::open(path, OFlag::O_RDONLY), most)
}

/// Does the same, but follows every link: for files that trc only checks.
///
/// # Errors
/// Returns the reason why it can't be read.
pub(crate) fn look_into(path: &Path, most: u64) -> Result<Vec<u8>, Unreadable> {
    // Without O_NONBLOCK, opening a FIFO waits for its writer.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    read_regular(File::options().read(true).custom_flags(flags).open(path), most)
}

fn read_regular(file: io::Result<File>, most: u64) -> Result<Vec<u8>, Unreadable> {
    let file = file?;
    if !file.metadata()?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Unreadable::Larger(most));
    }
    Ok(bytes)
}
