//! Finds scripts that their shell cannot parse, without running any of them.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use crate::config::{Command, Diagnostic, Loaded, Severity, Unit, endings};

/// The shells that parse a script without running it if they are given `-n`.
const SHELLS: &[&str] = &["bash", "sh", "dash", "ash", "ksh", "mksh", "zsh"];

/// The shell that parses the scripts.
struct Shell {
    program: PathBuf,
    name: String,
    /// Whether the image has this shell: it is configured, or trc's first choice.
    is_certain: bool,
}

/// Returns the syntax errors in the scripts of units, or nothing if there is no shell.
pub(super) fn remarks(loaded: &Loaded, path: &OsStr) -> Vec<Diagnostic> {
    let Some(shell) = shell(loaded, path) else { return Vec::new() };
    let units = loaded.config.units.iter();
    units.filter_map(|unit| look(loaded, &shell, unit)).collect()
}

fn shell(loaded: &Loaded, path: &OsStr) -> Option<Shell> {
    let written = loaded.config.shell.as_ref().and_then(|words| words.first());
    let names = match written {
        Some(program) => vec![program.clone()],
        None => vec![OsString::from("bash"), OsString::from("sh")],
    };
    let find = |name: OsString| {
        if name.as_bytes().contains(&b'/') {
            return Some(PathBuf::from(name)).filter(|file| file.is_file());
        }
        let files = std::env::split_paths(path).map(|directory| directory.join(&name));
        files.into_iter().find(|file| file.is_file())
    };
    let program = names.into_iter().find_map(find)?;
    let name = program.file_name()?.to_str()?.to_owned();
    let is_certain = written.is_some() || name == "bash";
    SHELLS.contains(&name.as_str()).then_some(Shell { program, name, is_certain })
}

fn look(loaded: &Loaded, shell: &Shell, unit: &Unit) -> Option<Diagnostic> {
    let text = match &unit.command {
        Command::Script(text) => text.as_bytes().to_vec(),
        Command::File(path) => {
            let text = std::fs::read(path).ok().filter(|text| text.len() <= endings::LARGEST)?;
            endings::unix(&text).map_or(text.clone(), Into::into)
        }
        Command::Exec(_) | Command::Words(_) | Command::Nothing => return None,
    };
    let (line, why) = shell.syntax_error(&text)?;
    let message = format!("{} cannot parse the script of {}: {why}", shell.name, unit.id());
    let mut found = Diagnostic::error(loaded.line_of_script(unit, line), message);
    if !shell.is_certain {
        found.severity = Severity::Warning;
        found.help = Some(
            "this machine has no bash; if the image has one, the script may be correct".to_owned(),
        );
    }
    Some(found)
}

impl Shell {
    /// Returns the line of a script that the shell cannot parse, counted from 1, and the shell's
    /// message.
    #[expect(clippy::disallowed_methods, reason = "trcctl may start a process")]
    fn syntax_error(&self, text: &[u8]) -> Option<(u32, String)> {
        let mut process = Process::new(&self.program);
        process.arg("-n");
        let mentions = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
        // The shell does not run the command with which the script turns the option on.
        if self.name == "bash" && mentions(b"extglob") {
            process.args(["-O", "extglob"]);
        }
        // A shell may run the files in these variables even if it does not run the script.
        process.env_remove("BASH_ENV").env_remove("ENV").env("LC_ALL", "C");
        process.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = process.spawn().ok()?;
        // A shell that has found an error closes its end.
        child.stdin.take().map(|mut stdin| stdin.write_all(text));
        let output = child.wait_with_output().ok()?;
        if output.status.success() {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Some(parsed(said.lines().next()?))
    }
}

/// Returns the number of the line and the rest of `bash: line 3: syntax error …`, or of
/// `sh: 3: Syntax error …`.
fn parsed(said: &str) -> (u32, String) {
    let mut parts = said.splitn(3, ": ").skip(1);
    let (Some(place), Some(why)) = (parts.next(), parts.next()) else {
        return (1, said.to_owned());
    };
    match place.trim_start_matches("line ").parse() {
        Ok(line) => (line, why.to_owned()),
        Err(_) => (1, format!("{place}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn what_shells_say_has_a_line() {
        for (said, line, why) in [
            (
                "bash: line 3: syntax error near unexpected token `fi'",
                3,
                "syntax error near unexpected token `fi'",
            ),
            (
                "sh: 2: Syntax error: end of file unexpected",
                2,
                "Syntax error: end of file unexpected",
            ),
            ("ash: syntax error: unexpected end", 1, "syntax error: unexpected end"),
            ("odd", 1, "odd"),
        ] {
            assert_eq!(parsed(said), (line, why.to_owned()));
        }
    }
}
