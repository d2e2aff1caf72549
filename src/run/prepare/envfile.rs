//! `env_file`: files of `NAME=value` lines, in the format of `docker run --env-file`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::environment::Environment;
use crate::run::os::file;
use crate::words::{BadLine, Unprepared};

/// The largest file, in bytes. execve(2) accepts no larger environment.
const MAX_SIZE: u64 = 8 << 20;

/// Adds the variables of the file to `environment`. A line `NAME=value` is taken literally,
/// including quotes, except for white space before the name and a carriage return at its end.
/// `NAME` alone passes on the variable from `base`, the environment that units start from. Blank
/// lines, lines that begin with `#`, and a byte order mark are skipped.
///
/// # Errors
/// Returns what can't be read, or which line is none of these.
pub(super) fn read(
    path: &Path,
    base: &Environment,
    environment: &mut Environment,
) -> Result<(), Unprepared> {
    let bytes = file::read(path, MAX_SIZE)
        .map_err(|why| Unprepared::NoEnvFile(path.to_owned(), why.to_string()))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(line) = start.map(|start| &line[start..]).filter(|line| line[0] != b'#') else {
            continue;
        };
        let wrong = |wrong| Err(Unprepared::EnvFile(path.to_owned(), number + 1, wrong));
        if line.contains(&0) {
            return wrong(BadLine::Nul);
        }
        let equals = line.iter().position(|byte| *byte == b'=');
        let name = &line[..equals.unwrap_or(line.len())];
        if name.is_empty() {
            return wrong(BadLine::NoName);
        }
        if name.iter().any(u8::is_ascii_whitespace) {
            return wrong(BadLine::Space);
        }
        let value = match equals {
            Some(at) => Some(own(&line[at + 1..])),
            None => base.get(OsStr::from_bytes(name)).map(OsStr::to_owned),
        };
        if let Some(value) = value {
            environment.set(own(name), value);
        }
    }
    Ok(())
}

fn own(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
