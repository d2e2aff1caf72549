//! The reason why the run ended, in the file where Kubernetes looks for it:
//! `terminationMessagePath`.

use std::io::Write;
use std::path::Path;

use nix::fcntl::OFlag;

use super::os::trusted;

/// Writes the text to the file, if the runtime has put the file there.
pub(super) fn log(text: &str) {
    const PATH: &str = "/dev/termination-log";
    if let Ok(mut file) = trusted::open(Path::new(PATH), OFlag::O_WRONLY | OFlag::O_TRUNC) {
        // If the text cannot be written there, it is still in the log.
        let _ = file.write_all(text.as_bytes());
    }
}
