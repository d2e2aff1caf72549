//! Turns the words of a command into the files and the arguments for execve(2).

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::environment::Environment;
use super::problem::Problem;
use crate::config::{Command, Template, Unit};
use crate::words::Unprepared;

/// The files to try in turn, and the argument vector.
pub(super) type Execution = (Vec<CString>, Vec<CString>);

pub(super) fn words(unit: &Unit, environment: &Environment) -> Result<Execution, Problem> {
    match &unit.command {
        Command::Exec(words) => expand_words(unit, words, environment),
        Command::Words(words) => {
            let argv =
                words.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_, _>>()?;
            Ok((candidates(&words[0], environment.path())?, argv))
        }
        Command::Script(_) | Command::File(_) => Err(Unprepared::NoShell.into()),
        Command::Nothing => Err(Unprepared::NoCommand.into()),
    }
}

/// Returns whether the trailing command can be executed without a shell.
pub(super) fn needs_no_shell(word: &OsStr, path: &OsStr) -> bool {
    let executable = |file: &CString| {
        let file = Path::new(OsStr::from_bytes(file.as_bytes()));
        nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok() && !file.is_dir()
    };
    word.as_bytes().contains(&b'/')
        || candidates(word, path).is_ok_and(|files| files.iter().any(executable))
}

pub(super) fn expand_words(
    unit: &Unit,
    words: &[Template],
    environment: &Environment,
) -> Result<Execution, Problem> {
    let lookup = |name: &str| environment.lookup(name);
    let words = words
        .iter()
        .map(|word| word.expand(&lookup))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| Problem::lasting(Unprepared::Unexpanded(why), &unit.origin))?;
    let files = candidates(words.first().ok_or(Unprepared::NoCommand)?, environment.path())?;
    let argv = words.into_iter().map(|word| c_string(word.into_vec())).collect::<Result<_, _>>()?;
    Ok((files, argv))
}

/// Returns the files that a command may refer to, along `PATH` if it has no `/`.
pub(super) fn candidates(word: &OsStr, path: &OsStr) -> Result<Vec<CString>, Unprepared> {
    let word = word.as_bytes();
    if word.contains(&b'/') {
        return Ok(vec![c_string(word)?]);
    }
    if word.is_empty() {
        return Ok(Vec::new());
    }
    let file = |directory: &[u8]| {
        let directory = if directory.is_empty() { b"." } else { directory };
        c_string([directory, b"/", word].concat())
    };
    path.as_bytes().split(|byte| *byte == b':').map(file).collect()
}

pub(super) fn c_string(bytes: impl Into<Vec<u8>>) -> Result<CString, Unprepared> {
    CString::new(bytes)
        .map_err(|error| Unprepared::Word(String::from_utf8_lossy(&error.into_vec()).into_owned()))
}
