//! The reason why the run ended, in the file where Kubernetes looks for it:
//! `terminationMessagePath`.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use nix::fcntl::OFlag;

use super::os::trusted;

/// Writes the text to the file, if the runtime has put the file there.
///
/// # Errors
/// Returns why it cannot be written. It is still in the log.
pub(super) fn log(path: &Path, text: &str) -> io::Result<()> {
    match trusted::open(path, OFlag::O_WRONLY | OFlag::O_TRUNC) {
        Ok(mut file) => file.write_all(text.as_bytes()),
        // Another container engine does not know of it.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
