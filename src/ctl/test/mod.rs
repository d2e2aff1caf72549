//! `trcctl test`: an image's tests on the author's own machine, without a container.

mod log;
pub mod namespace;
mod progress;
mod report;
mod request;
mod session;
mod summary;

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::config::reason;
use crate::status;
use namespace::Stage;
use progress::Progress;
use report::Report;
use summary::Style;

pub use request::Request;

/// Runs them and says what came of it. The exit status is trc's.
#[must_use]
pub fn run(request: &Request) -> u8 {
    let trc = match request.trc() {
        Ok(trc) => trc,
        Err(why) => return problem(&why, status::NOT_FOUND),
    };
    if request.list {
        return list(&request.arguments(trc, None));
    }
    // trc's log has them, too.
    if !request.verbose {
        super::check::warn(&request.loaded_by_trc(), &std::env::vars_os().collect());
    }
    // Not in DIR, which may be read-only.
    let dir = match tempfile::Builder::new().prefix("trcctl-test-").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            let why = format!("cannot make a directory for the report: {}", reason(&error));
            return problem(&why, status::SOFTWARE);
        }
    };
    let file = dir.path().join("report.json");
    let arguments = request.arguments(trc, Some(&file));
    let mut progress = Progress::new(request.verbose);
    progress.show();
    let done = session(request, &arguments, &mut progress);
    progress.clear();
    match done {
        Ok(status) => {
            tell(&file, &progress, status);
            status
        }
        Err(error) => {
            let why = format!("cannot run {}: {}", arguments[0].display(), reason(&error));
            problem(&why, status::SOFTWARE)
        }
    }
}

/// In namespaces where that is wanted and possible.
fn session(request: &Request, trc: &[OsString], progress: &mut Progress) -> io::Result<u8> {
    if request.namespaces {
        let status = session::run(Stage::Namespace, trc, progress)?;
        let Some(why) = progress.refused.take() else { return Ok(status) };
        progress.clear();
        eprintln!(
            "note: no namespaces here ({why}): trc runs as a plain child and not as PID 1, \
             among the other processes; --no-namespaces says that this is meant"
        );
        progress.show();
    }
    session::run(Stage::Child, trc, progress)
}

/// The summary; and the log, where something failed that is not a test.
fn tell(file: &Path, progress: &Progress, status: u8) {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Ok(mut report) = Report::parse(&text) else {
        progress.tell_log();
        // The others have been told.
        let told = [status::CONFIG, status::CANNOT_EXECUTE, status::NOT_FOUND];
        if !told.contains(&status) {
            eprintln!("error: trc ended with status {status} and wrote no report");
        }
        return;
    };
    report.ended(status, progress.unwritten.as_deref());
    let untold = report.is_cut_short() && !progress.interrupted || progress.unwritten.is_some();
    if untold || !matches!(status, 0 | 1) {
        progress.tell_log();
    }
    let stdout = io::stdout();
    let marks = stdout.is_terminal();
    let style = Style { marks, colours: marks && std::env::var_os("NO_COLOR").is_none() };
    // A reader that went away is no reason for another status.
    _ = stdout.lock().write_all(summary::summary(&report, style).as_bytes());
}

/// Becomes trc, which lists them.
#[expect(clippy::disallowed_methods, reason = "this process becomes trc, it starts none")]
fn list(arguments: &[OsString]) -> u8 {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(&arguments[0]).args(&arguments[1..]).exec();
    let why = format!("cannot run {}: {}", arguments[0].display(), reason(&error));
    problem(&why, status::CANNOT_EXECUTE)
}

fn problem(why: &str, status: u8) -> u8 {
    eprintln!("error: {why}");
    status
}
