//! `trcctl test`: runs the tests of an image on the author's own machine, without a container.

mod log;
pub mod namespace;
mod progress;
mod request;
mod session;
mod summary;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use super::here::is_elsewhere;
use crate::config::reason;
use crate::report::VERSION;
use crate::status;
use namespace::Stage;
use progress::Progress;
use summary::Style;

pub use request::Request;

/// Runs the tests and prints the results. Returns trc's exit status.
#[must_use]
pub fn run(request: &Request) -> u8 {
    let trc = match request.trc() {
        Ok(trc) => trc,
        Err(why) => return problem(&why, status::NOT_FOUND),
    };
    if request.list {
        return list(&request.arguments(trc));
    }
    // trc's log has these warnings, too.
    if !request.verbose {
        super::check::warn(&request.loaded_by_trc(), &std::env::vars_os().collect());
    }
    let arguments = request.arguments(trc);
    let mut progress = Progress::new(request.verbose);
    progress.show();
    let done = session(request, &arguments, &mut progress);
    progress.clear();
    match done {
        Ok(status) => {
            tell(request, &mut progress, status);
            status
        }
        Err(error) => {
            let why = format!("cannot run {}: {}", arguments[0].display(), reason(&error));
            problem(&why, status::SOFTWARE)
        }
    }
}

/// Runs trc, in namespaces if that is wanted and possible.
fn session(request: &Request, trc: &[OsString], progress: &mut Progress) -> io::Result<u8> {
    if request.namespaces {
        let status = session::run(Stage::Namespace, trc, progress)?;
        let Some(why) = progress.refused.take() else { return Ok(status) };
        progress.clear();
        eprintln!(
            "note: cannot create namespaces ({why}): trc runs as an ordinary process, not as PID 1; \
             use --no-namespaces to do so without this note"
        );
        progress.show();
    }
    session::run(Stage::Child, trc, progress)
}

/// Prints the summary, and the log if something other than a test failed.
fn tell(request: &Request, progress: &mut Progress, status: u8) {
    if let Some(version) = progress.foreign {
        progress.tell_log();
        eprintln!(
            "error: trc writes version {version} of the events of a test run, but trcctl reads \
             version {VERSION}: use trc and trcctl of the same release"
        );
        return;
    }
    let Some(report) = progress.report(status) else {
        progress.tell_log();
        // trc has reported the others itself.
        let told = [status::CONFIG, status::CANNOT_EXECUTE, status::NOT_FOUND];
        if !told.contains(&status) {
            eprintln!("error: trc exited with {status} and wrote no report");
        }
        if status == status::CONFIG && is_elsewhere(&request.line) {
            eprintln!(
                "note: the current directory has no trc.toml and no trc.d, so trc has read /etc; \
                 -w DIR names another directory"
            );
        }
        return;
    };
    let untold = summary::is_cut_short(&report) && !progress.interrupted;
    if untold || !report.unwritten.is_empty() || !matches!(status, 0 | 1) {
        progress.tell_log();
    }
    let stdout = io::stdout();
    let marks = stdout.is_terminal();
    let style = Style { marks, colours: marks && std::env::var_os("NO_COLOR").is_none() };
    // A reader that has gone away does not change the exit status.
    _ = stdout.lock().write_all(summary::summary(&report, style).as_bytes());
}

/// Becomes trc, which lists the tests.
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
