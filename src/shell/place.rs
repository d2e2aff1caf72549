//! The place at which a boot script failed.

use std::os::unix::fs::FileExt;

use super::Saved;

/// The number of bytes to read of the data that a shell has left.
const LOOKED_AT: u64 = 64 * 1024;
/// The number of characters to show of a command.
const SHOWN: usize = 120;

impl Saved {
    /// Returns the command of a script that failed, for the end of a sentence: `at line 3`, and the
    /// command. `None` if the shell cannot tell: dash never can, and bash cannot if the script
    /// called `exit`.
    #[must_use]
    pub(crate) fn failed_at(&self) -> Option<String> {
        // The note is the last thing that a shell writes.
        let length = self.file.metadata().ok()?.len();
        let start = length.saturating_sub(LOOKED_AT);
        let mut bytes = vec![0; usize::try_from(length - start).ok()?];
        self.file.read_exact_at(&mut bytes, start).ok()?;
        failed_at(&bytes, self.text.as_deref())
    }
}

/// The same, for the data that a shell has left.
#[must_use]
pub(crate) fn failed_at(bytes: &[u8], script: Option<&[u8]>) -> Option<String> {
    let marker = b"\0trc-failed\0";
    let at = memchr::memmem::rfind(bytes, marker)?;
    let fields: Vec<&[u8]> = bytes[at + marker.len()..].split(|byte| *byte == 0).collect();
    let [line, function, command, b""] = fields[..] else { return None };
    let line: usize = std::str::from_utf8(line).ok()?.parse().ok().filter(|line| *line > 0)?;
    // The line of the script says more than the last command of a pipeline.
    let written = script.and_then(|text| text.split(|b| *b == b'\n').nth(line - 1));
    let (place, command) = if function.is_empty() {
        (String::new(), written.unwrap_or(command))
    } else {
        (format!(", in {}", shown(function)), command)
    };
    let command = match shown(command) {
        none if none.is_empty() => none,
        command => format!(": `{command}`"),
    };
    Some(format!("at line {line}{place}{command}"))
}

/// Returns the first line of a text from a script, for people, without anything that a terminal
/// would interpret.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.trim().lines().next().unwrap_or_default().trim_end();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < text.trim().len() {
        shown.push('…');
    }
    shown.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}")
}
