//! What a test run needs before anything is started: where its reports go, and the list.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::{ReportKind, Stage, Testing, reason};
use crate::graph::Graph;

/// A report's file, which appears as a whole at the end.
pub struct Report {
    /// In which form.
    pub kind: ReportKind,
    path: PathBuf,
    /// What becomes of it.
    beside: PathBuf,
    file: File,
}

/// Opens all of them, so that what can't be written is known before anything runs.
///
/// # Errors
/// Which one, and why, in words.
pub fn open_reports(testing: &Testing) -> Result<Vec<Report>, String> {
    let mut reports = Vec::new();
    for wanted in &testing.reports {
        let beside = beside(&wanted.path);
        let file = match File::create(&beside) {
            Ok(file) => file,
            Err(error) => {
                return Err(format!(
                    "cannot write the report {}: {}",
                    wanted.path.display(),
                    match error.kind() {
                        io::ErrorKind::NotFound => "its directory does not exist".to_owned(),
                        _ => reason(&error),
                    }
                ));
            }
        };
        reports.push(Report { kind: wanted.kind, path: wanted.path.clone(), beside, file });
    }
    Ok(reports)
}

impl Report {
    /// Writes it, and gives it its name.
    ///
    /// # Errors
    /// What could not be done, in words.
    pub fn write(mut self, text: &str) -> Result<(), String> {
        let done = self
            .file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.beside, &self.path));
        done.map_err(|error| {
            _ = fs::remove_file(&self.beside);
            format!("cannot write the report {}: {}", self.path.display(), reason(&error))
        })
    }
}

/// A name in the same directory: what is renamed must not cross file systems.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// The tests by name, with their descriptions.
pub fn listing(graph: &Graph) -> String {
    let tests: Vec<_> = graph.stage(Stage::Test).map(|id| &graph.node(id).unit).collect();
    let widest = tests.iter().map(|unit| unit.name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for unit in tests {
        let about = unit.description.as_deref().unwrap_or("");
        let line = format!("{:widest$}  {about}", unit.name);
        _ = writeln!(out, "{}", line.trim_end());
    }
    out
}
