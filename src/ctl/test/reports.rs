//! The reports in files, where `trcctl` has to write them itself: trc, in its container, cannot reach
//! the files of this machine.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::config::testing::{Asked, asked};
use crate::config::{ReportKind, reason};
use crate::report::{Suite, json, junit};

/// A report that was asked for.
pub(super) struct Report {
    kind: ReportKind,
    path: PathBuf,
}

/// Returns the reports of these options, `KIND=FILE`.
///
/// # Errors
/// Returns why one of them cannot be written, if that is known before the run.
pub(super) fn wanted(options: &[OsString]) -> Result<Vec<Report>, String> {
    let mut out: Vec<Report> = Vec::new();
    for option in options {
        let Asked::File(kind, path) = asked(option)? else { continue };
        let shown = path.display();
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        if path.is_dir() {
            return Err(format!("cannot write the report {shown}: it is a directory"));
        }
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            let dir = dir.display();
            return Err(format!("cannot write the report {shown}: there is no directory {dir}"));
        }
        if out.iter().any(|other| other.path == path) {
            return Err(format!("two reports cannot go to the same file: {shown}"));
        }
        out.push(Report { kind, path });
    }
    Ok(out)
}

/// Writes the reports. A report that cannot be written makes the run fail, and the suite says so.
pub(super) fn write(reports: &[Report], suite: &mut Suite) {
    for report in reports {
        let text = match report.kind {
            ReportKind::Junit => junit(suite),
            ReportKind::Json => json(suite),
        };
        if let Err(why) = put(&report.path, text.as_bytes()) {
            let shown = report.path.display();
            suite.unwritten(format!("cannot write the report {shown}: {}", reason(&why)));
        }
    }
}

/// Writes a file as a whole or not at all. What is no file, such as `/dev/stderr`, is written to.
fn put(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return fs::OpenOptions::new().write(true).open(&path)?.write_all(text);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(dir.unwrap_or(Path::new(".")))?;
    file.write_all(text)?;
    file.persist(&path)?;
    Ok(())
}
