//! `env_file`: files of `NAME=value` lines, in the format of `docker run --env-file`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::environment::Environment;
use super::secret::read_file;

/// An environment can't be larger than what execve(2) takes; a file that is, is none.
const MAX_SIZE: u64 = 8 << 20;

/// Adds the file's variables to `environment`. A line is `NAME=value`, taken as it
/// is, quotes and all; `NAME` alone passes trc's own variable on; blank lines and
/// those that start with `#` are skipped.
///
/// # Errors
/// What can't be read, or which line is none of these, in words.
pub fn read(path: &Path, environment: &mut Environment) -> Result<(), String> {
    let cannot =
        |why: &dyn std::fmt::Display| format!("cannot read env_file {}: {why}", path.display());
    let bytes = read_file(path, MAX_SIZE).map_err(|why| cannot(&why))?;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(line) = start.map(|start| &line[start..]).filter(|line| line[0] != b'#') else {
            continue;
        };
        let place = || format!("{}:{}", path.display(), number + 1);
        if line.contains(&0) {
            return Err(format!("{}: a NUL byte can't be in an environment", place()));
        }
        match line.iter().position(|byte| *byte == b'=') {
            Some(0) => return Err(format!("{}: a name is missing before `=`", place())),
            Some(at) => environment.set(own(&line[..at]), own(&line[at + 1..])),
            None => {
                let name = own(line);
                if let Some(value) = std::env::var_os(&name) {
                    environment.set(name, value);
                }
            }
        }
    }
    Ok(())
}

fn own(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
