//! Finds files that a configuration names and that were written on Windows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::config::{Command, Diagnostic, Loaded, ReloadBy, endings, head};

/// Warns of files with CRLF line endings: the script file of a unit, which works only with trc, and
/// a program whose interpreter the kernel does not find because of the CR.
///
/// If there is an image, the program is looked for there, and not by this.
pub(super) fn remarks(loaded: &Loaded, path: &OsStr, has_image: bool) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let mut found = Vec::new();
    for unit in &config.units {
        let program = match &unit.command {
            Command::File(script) => {
                if head(script, endings::LARGEST).is_ok_and(|text| endings::unix(&text).is_some()) {
                    let text = format!("{}: this script has CRLF line endings", script.display());
                    let help = "trc ignores the CR, but other programs take it for part of a word";
                    found.push(Diagnostic::warning(unit.origin.clone(), text).help(help));
                }
                None
            }
            Command::Exec(words) => words.first(),
            Command::Script(_) | Command::Words(_) | Command::Nothing => None,
        };
        if has_image {
            continue;
        }
        let stop = unit.stop.exec.as_ref().and_then(|words| words.first());
        let reload = unit.reload.as_ref().and_then(|reload| match &reload.by {
            ReloadBy::Exec(words) => words.first(),
            ReloadBy::Signal(_) => None,
        });
        let hooks = [
            (&unit.pre_start, &["pre_start", "exec"][..]),
            (&unit.post_stop, &["post_stop", "exec"]),
        ];
        let hooks =
            hooks.into_iter().filter_map(|(hook, key)| Some((hook.as_ref()?.exec.first()?, key)));
        let program = program.map(|it| (it, &[][..])).into_iter();
        let stop = stop.map(|it| (it, &["stop", "exec"][..]));
        let reload = reload.map(|it| (it, &["reload", "exec"][..]));
        for (program, key) in program.chain(stop).chain(reload).chain(hooks) {
            let program = program.source();
            let file = located(Path::new(&program), path);
            let Some(head) = file.and_then(|file| head(&file, endings::HEAD).ok()) else {
                continue;
            };
            let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if let Some(name) = endings::interpreter(&head).filter(|_| first.ends_with(b"\r")) {
                let text = format!(
                    "{} cannot be executed: its first line ends with a CR, so the kernel looks for the interpreter {}",
                    program.display(),
                    name.escape_debug()
                );
                let help = "convert the line endings: `sed -i 's/\\r$//' FILE`";
                let place = match key {
                    [] => unit.command_at.clone(),
                    key => loaded.place_in(unit, key),
                };
                found.push(Diagnostic::warning(place, text).help(help));
            }
        }
    }
    found
}

/// Returns the file of a command.
fn located(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.is_absolute() {
        return Some(program.to_owned());
    }
    let mut files = std::env::split_paths(path).map(|directory| directory.join(program));
    files.find(|file| file.is_file()).filter(|_| program.components().count() == 1)
}
