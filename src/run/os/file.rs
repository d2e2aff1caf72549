//! Reading of regular files.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::trusted;
use crate::config::expect::size;
use crate::config::reason;

/// What a regular file holds, if that is no more than `most` bytes, and if no link that somebody
/// else may have made leads to it.
///
/// # Errors
/// Returns the reason why it can't be read, as text.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    read_regular(trusted::open(path, OFlag::O_RDONLY), most)
}

/// The same, whatever links lead to it: for what is only looked at.
///
/// # Errors
/// Returns the reason why it can't be read, as text.
pub(crate) fn look_into(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    // Without O_NONBLOCK, opening a FIFO waits for its writer.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    read_regular(File::options().read(true).custom_flags(flags).open(path), most)
}

fn read_regular(file: std::io::Result<File>, most: u64) -> Result<Vec<u8>, String> {
    let words = |error: &std::io::Error| reason(error);
    let file = file.map_err(|error| words(&error))?;
    if !file.metadata().map_err(|error| words(&error))?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| words(&error))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {}", size(most)));
    }
    Ok(bytes)
}
