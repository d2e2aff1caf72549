//! The errors and warnings of `trcctl check`, in formats for programs.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::config::{Diagnostic, Origin, Severity};

/// The format of errors and warnings.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One array, with an object for each problem.
    Json,
    /// SARIF 2.1.0, which GitHub and many editors read.
    Sarif,
    /// Workflow commands of GitHub Actions, which become annotations.
    Github,
}

impl Format {
    /// The words for the formats.
    pub const WORDS: [(&str, Self); 4] = [
        ("text", Self::Text),
        ("json", Self::Json),
        ("sarif", Self::Sarif),
        ("github", Self::Github),
    ];

    /// Returns the format with this word, or the default.
    #[must_use]
    pub fn named(word: Option<&str>) -> Self {
        let found = Self::WORDS.into_iter().find(|(known, _)| Some(*known) == word);
        found.map_or_else(Self::default, |(_, format)| format)
    }

    /// Returns errors and warnings in this format.
    pub(super) fn of(self, found: &[Diagnostic]) -> String {
        let told = found.iter().filter(|one| one.severity != Severity::Note);
        match self {
            Self::Text => String::new(),
            Self::Json => pretty(&told.map(object).collect()),
            Self::Sarif => pretty(&sarif(told)),
            Self::Github => told.map(command).collect(),
        }
    }
}

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default() + "\n"
}

/// Returns the file, the line and the column of a problem, as far as it has them.
fn place(found: &Diagnostic) -> (Option<String>, Option<u32>, Option<u32>) {
    match &found.origin {
        Origin::File { path, line: 0, .. } => (Some(path.display().to_string()), None, None),
        Origin::File { path, line, column } => {
            (Some(path.display().to_string()), Some(*line), Some(*column))
        }
        Origin::Default
        | Origin::Others
        | Origin::Variable(_)
        | Origin::Override(_)
        | Origin::Flag(_) => (None, None, None),
    }
}

fn level(found: &Diagnostic) -> &'static str {
    match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn object(found: &Diagnostic) -> Json {
    let (file, line, column) = place(found);
    let origin = match &found.origin {
        Origin::Default | Origin::Others => None,
        origin => Some(origin.to_string()),
    };
    json!({
        "severity": level(found), "message": found.message, "origin": origin, "file": file,
        "line": line, "column": column, "note": found.note, "help": found.help,
    })
}

/// Returns the message, the note and the advice in one text.
fn whole(found: &Diagnostic) -> String {
    let mut text = found.message.clone();
    for (what, more) in [("note", &found.note), ("help", &found.help)] {
        if let Some(more) = more {
            _ = write!(text, "\n{what}: {more}");
        }
    }
    text
}

/// Returns a log of SARIF: Static Analysis Results Interchange Format, version 2.1.0.
fn sarif<'a>(found: impl Iterator<Item = &'a Diagnostic>) -> Json {
    let result = |found: &Diagnostic| {
        let (file, line, column) = place(found);
        let location = |file| {
            let region = line.map(|line| json!({"startLine": line, "startColumn": column}));
            let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
            if let Some(region) = region {
                physical["region"] = region;
            }
            json!({"physicalLocation": physical})
        };
        let locations: Vec<Json> = file.as_deref().map(location).into_iter().collect();
        json!({
            "ruleId": "trc", "level": level(found), "message": {"text": whole(found)},
            "locations": locations,
        })
    };
    let results: Vec<Json> = found.map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "trcctl", "version": env!("CARGO_PKG_VERSION"),
                "rules": [{"id": "trc", "shortDescription": {"text": "the configuration of trc"}}],
            }},
            "results": results,
        }],
    })
}

/// Returns a path as a reference of a URI: RFC 3986, section 4.1. It is relative to the current
/// directory, if the file is in it.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in nearby(path).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Returns a path as it is seen from the current directory.
pub(super) fn nearby(path: &str) -> &str {
    let dir = std::env::current_dir().unwrap_or_default();
    let inside = path.strip_prefix(&*dir.to_string_lossy()).and_then(|it| it.strip_prefix('/'));
    inside.unwrap_or(path)
}

/// Returns a workflow command of GitHub Actions. It escapes what the runner would take for the end of a
/// value or of the line.
fn command(found: &Diagnostic) -> String {
    let escaped = |text: &str, of_property: bool| {
        let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        if of_property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
    };
    let (file, line, column) = place(found);
    let file = file.map(|file| format!("file={}", escaped(nearby(&file), true)));
    let line = line.map(|line| format!("line={line}"));
    let column = column.map(|column| format!("col={column}"));
    let all: Vec<String> = file.into_iter().chain(line).chain(column).collect();
    let place = if all.is_empty() { String::new() } else { format!(" {}", all.join(",")) };
    format!("::{}{place}::{}\n", level(found), escaped(&whole(found), false))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    fn found() -> Diagnostic {
        let path = Arc::from(Path::new("/etc/a b,c.toml"));
        let origin = Origin::File { path, line: 3, column: 7 };
        Diagnostic::error(origin, "50 % of\nit").help("write `a: b`")
    }

    #[test]
    fn an_annotation_of_github_is_one_line() {
        assert_eq!(
            Format::Github.of(&[found()]),
            "::error file=/etc/a b%2Cc.toml,line=3,col=7::50 %25 of%0Ait%0Ahelp: write `a: b`\n"
        );
        let flag = Diagnostic::warning(Origin::Flag("-F".into()), "a");
        assert_eq!(Format::Github.of(&[flag]), "::warning::a\n");
    }

    #[test]
    fn sarif_and_json_have_every_place() {
        let sarif: Json = serde_json::from_str(&Format::Sarif.of(&[found()])).unwrap();
        let result = &sarif["runs"][0]["results"][0];
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "/etc/a%20b%2Cc.toml");
        assert_eq!(place["region"], json!({"startLine": 3, "startColumn": 7}));
        assert_eq!(result["message"]["text"], "50 % of\nit\nhelp: write `a: b`");
        let list: Json = serde_json::from_str(&Format::Json.of(&[found()])).unwrap();
        assert_eq!((&list[0]["line"], &list[0]["help"]), (&3.into(), &"write `a: b`".into()));
    }
}
