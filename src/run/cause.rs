//! Why a start failed, as far as the kernel's error does not say it.

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::prepare::privilege;
use super::spawn::{Failure, Hold, Laid};
use crate::config::{Unit, endings};
use crate::engine::{Detail, SpawnStage};

/// The reason, as far as trc can find it itself, for which the start of a unit, or of a program that
/// trc runs for that unit, has just failed.
pub(super) fn of(failure: Failure, hold: &Hold, unit: &Unit) -> Option<Detail> {
    match (failure.stage, failure.errno) {
        (SpawnStage::Execute, Errno::ENOENT) => no_interpreter(hold.files()),
        (SpawnStage::Limits, Errno::EPERM) => {
            let why = privilege::too_high(&unit.identity.limits)?;
            Some(Detail::Words(why.to_string()))
        }
        (SpawnStage::Prepare, _) => match hold.laid() {
            Laid::Not(why) => Some(Detail::Words(why)),
            Laid::Out | Laid::Unfinished => None,
        },
        (SpawnStage::Identity, Errno::EPERM) if !geteuid().is_root() => Some(Detail::NotRoot),
        _ => None,
    }
}

/// Why the kernel finds nothing to execute although one of these files is there: the interpreter
/// that its first line names is not.
fn no_interpreter<'a>(files: impl IntoIterator<Item = &'a Path>) -> Option<Detail> {
    let head = files.into_iter().find_map(|file| crate::config::head(file, endings::HEAD).ok())?;
    endings::interpreter(&head).map(Detail::NoInterpreter)
}
