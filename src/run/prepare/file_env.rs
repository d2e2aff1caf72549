//! `file_env`: variables whose values are in files, by a convention of many images.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::environment::Environment;
use super::secret::value;
use crate::config::FileEnv;
use crate::words::Unprepared;

/// The ending that the convention adds to the name of a variable.
const SUFFIX: &[u8] = b"_FILE";

/// Sets each `NAME` to the contents of the file that `NAME_FILE` names.
///
/// # Errors
/// Returns what is wrong with one of them.
pub(super) fn resolve(which: &FileEnv, environment: &mut Environment) -> Result<(), Unprepared> {
    if *which == FileEnv::No {
        return Ok(());
    }
    for (pointer, path) in environment.clone().into_variables() {
        let Some(name) = pointer.as_bytes().strip_suffix(SUFFIX).filter(|name| !name.is_empty())
        else {
            continue;
        };
        let name = OsString::from_vec(name.to_vec());
        let wanted = match which {
            FileEnv::No => false,
            FileEnv::All => true,
            FileEnv::Names(names) => names.contains(&name),
        };
        // An empty variable counts as unset.
        if !wanted || path.is_empty() {
            continue;
        }
        if environment.is_set(&name) {
            return Err(Unprepared::BothSet(name, pointer));
        }
        let value = value(Path::new(&path))
            .map_err(|why| Unprepared::Pointer(pointer.clone(), why.into()))?;
        environment.remove(&pointer);
        environment.set(name, value);
    }
    Ok(())
}
