//! Finds users and groups of `[control] allow` that do not exist.

use crate::config::{Control, Diagnostic, Origin};

/// Warns of names that this machine does not have. A number does not have to be listed.
pub(super) fn remarks(control: &Control) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for name in control.allow.keys() {
        let (what, listed, file) = match name.strip_prefix('@') {
            Some(group) => ("group", group, "/etc/group"),
            None => ("user", name.as_str(), "/etc/passwd"),
        };
        // As in trc itself, a file that is not there is empty.
        let lines = std::fs::read(file).unwrap_or_default();
        let lines = String::from_utf8_lossy(&lines);
        let is_listed = lines.lines().any(|line| line.split(':').next() == Some(listed));
        if !is_listed && listed.parse::<u32>().is_err() {
            let text = format!("`control.allow.{name}`: there is no {what} `{listed}` in {file}");
            let help = "this rule has no effect, unless the check runs on another machine than the container";
            found.push(Diagnostic::warning(Origin::Default, text).help(help));
        }
    }
    found
}
