//! `file_env`: variables whose values stand in files, by the images' convention.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::environment::Environment;
use super::secret::value;
use crate::config::FileEnv;

/// What the images' convention adds to a variable's name.
const SUFFIX: &[u8] = b"_FILE";

/// Gives each `NAME` the value that the file of `NAME_FILE` holds, as many images have it.
///
/// # Errors
/// What is wrong with one of them, in words.
pub(super) fn resolve(which: &FileEnv, environment: &mut Environment) -> Result<(), String> {
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
        // A variable set to nothing is as good as none.
        if !wanted || path.is_empty() {
            continue;
        }
        let (shown, pointed) = (name.display(), pointer.display());
        if environment.is_set(&name) {
            return Err(format!("both {shown} and {pointed} are set (file_env)"));
        }
        let value =
            value(Path::new(&path)).map_err(|why| format!("{pointed}: {why} (file_env)"))?;
        environment.remove(&pointer);
        environment.set(name, value);
    }
    Ok(())
}
