//! Why a start failed, as far as the kernel's error does not say it.

use std::path::Path;

use nix::unistd::geteuid;

use super::prepare::privilege;
use super::spawn::{Failure, Hold};
use crate::config::{Unit, endings};
use crate::engine::SpawnStage;

/// The reason, as far as trc can find it itself, for which the start of a unit, or of a program that
/// trc runs for that unit, has just failed.
pub(super) fn of(failure: Failure, hold: &Hold, unit: &Unit) -> Option<String> {
    match (failure.stage, failure.errno) {
        (SpawnStage::Execute, libc::ENOENT) => no_interpreter(hold.files()),
        (SpawnStage::Limits, libc::EPERM) => privilege::too_high(&unit.identity.limits),
        (SpawnStage::Identity, libc::EPERM) if !geteuid().is_root() => {
            Some("trc is not root, and only root can do that".to_owned())
        }
        _ => None,
    }
}

/// Why the kernel finds nothing to execute although one of these files is there: the interpreter
/// that its first line names is not.
fn no_interpreter<'a>(files: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    let head = files.into_iter().find_map(|file| endings::head(file, endings::HEAD).ok())?;
    let name = endings::interpreter(&head)?;
    let help = if name.ends_with('\r') {
        ": the file has CRLF line endings, and the CR is part of the name; convert them"
    } else {
        ""
    };
    Some(format!("its interpreter {} does not exist{help}", name.escape_debug()))
}
