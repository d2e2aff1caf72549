//! Files that a configuration names and that were written on Windows.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::{Command, Config, Diagnostic, Template, endings};

/// The most of a script that is looked through.
const LARGEST_SCRIPT: u64 = 1 << 20;

/// Scripts with CRLF line endings: a script file of a unit, which works but not elsewhere, and a
/// program whose interpreter the kernel does not find for that.
pub fn remarks(config: &Config, path: &OsStr) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for unit in &config.units {
        let program = match &unit.command {
            Command::File(script) => {
                if head(script, LARGEST_SCRIPT).is_some_and(|text| endings::unix(&text).is_some()) {
                    let text = format!("{}: this script has CRLF line endings", script.display());
                    let help = "trc leaves the CR out; other programs take it for part of a word";
                    found.push(Diagnostic::warning(unit.origin.clone(), text).help(help));
                }
                None
            }
            Command::Exec(words) => words.first(),
            Command::Script(_) | Command::Words(_) | Command::Nothing => None,
        };
        let stop = unit.stop.exec.as_ref().and_then(|words| words.first());
        for program in program.into_iter().chain(stop).map(Template::source) {
            let file = located(Path::new(&program), path);
            let Some(head) = file.and_then(|file| head(&file, endings::HEAD as u64)) else {
                continue;
            };
            let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if let Some(name) = endings::interpreter(&head).filter(|_| first.ends_with(b"\r")) {
                let text = format!(
                    "{} can't be executed: its first line ends with a CR, and asks for {}",
                    program.display(),
                    name.escape_debug()
                );
                let help = "give the file the line endings of Unix: `sed -i 's/\\r$//' FILE`";
                found.push(Diagnostic::warning(unit.origin.clone(), text).help(help));
            }
        }
    }
    found
}

/// The file that a command is.
fn located(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.is_absolute() {
        return Some(program.to_owned());
    }
    let mut files = std::env::split_paths(path).map(|directory| directory.join(program));
    files.find(|file| file.is_file()).filter(|_| program.components().count() == 1)
}

/// The first bytes of a regular file.
fn head(path: &Path, most: u64) -> Option<Vec<u8>> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::new();
    if file.metadata().ok()?.is_file() {
        file.take(most).read_to_end(&mut bytes).ok()?;
    }
    Some(bytes)
}
