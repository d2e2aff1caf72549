//! Values from files. trc never shows their contents.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::run::os::file;
use crate::words::Unprepared;

/// The longest variable, in bytes: `MAX_ARG_STRLEN` of execve(2).
const LONGEST: u64 = 128 * 1024;

/// Returns the contents of a file, without the newline at the end.
///
/// # Errors
/// Returns the reason why there is none.
pub(super) fn value(path: &Path) -> Result<OsString, Unprepared> {
    let mut bytes = file::read(path, LONGEST)
        .map_err(|why| Unprepared::NoFile(path.to_owned(), why.to_string()))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.contains(&0) {
        return Err(Unprepared::Value(path.to_owned()));
    }
    Ok(OsString::from_vec(bytes))
}
