//! Values that files hold. What is in them is never said.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::environment::Environment;
use super::trusted;
use crate::config::expect::size;
use crate::config::{FileEnv, reason};

/// No variable is longer, in bytes: `MAX_ARG_STRLEN` of execve(2).
const LONGEST: u64 = 128 * 1024;
/// What the images' convention adds to a variable's name.
const SUFFIX: &[u8] = b"_FILE";

/// What a regular file holds, if that is no more than `most` bytes, and if no link that somebody
/// else may have made leads to it.
///
/// # Errors
/// Why it can't be read, in words.
pub(super) fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    read_regular(trusted::open(path, OFlag::O_RDONLY), most)
}

/// The same, whatever links lead to it: for what is only looked at.
///
/// # Errors
/// Why it can't be read, in words.
pub(super) fn look_into(path: &Path, most: u64) -> Result<Vec<u8>, String> {
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

/// The value that a file holds, without the newline at its end.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn value(path: &Path) -> Result<OsString, String> {
    let mut bytes =
        read_file(path, LONGEST).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.contains(&0) {
        return Err(format!(
            "{} contains a NUL byte, which a variable cannot contain",
            path.display()
        ));
    }
    Ok(OsString::from_vec(bytes))
}

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
