//! `trcctl test`: runs the tests of an image on the author's own machine, with or without a container.

pub mod image;
mod log;
pub mod namespace;
mod progress;
mod reports;
mod request;
mod session;
mod summary;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use super::here::is_elsewhere;
use crate::config::reason;
use crate::report::VERSION;
use crate::status;
use image::{Image, Refused};
use namespace::Stage;
use progress::Progress;
use reports::Report;
use summary::Style;

pub use request::Request;

/// The place where trc runs.
enum Place {
    /// This machine, with this program.
    Here(PathBuf),
    /// A container.
    Container(Box<Image>),
}

/// Runs the tests and prints the results. Returns trc's exit status.
#[must_use]
pub fn run(request: &Request) -> u8 {
    match prepared(request) {
        Ok((place, reports)) => run_in(request, &place, &reports),
        Err((why, status)) => problem(&why, status),
    }
}

/// Finds the place where trc runs, and the reports that trc cannot write there.
fn prepared(request: &Request) -> Result<(Place, Vec<Report>), Refused> {
    let Some(asked) = &request.image else {
        let trc = request.trc().map_err(|why| (why, status::NOT_FOUND))?;
        return Ok((Place::Here(trc), Vec::new()));
    };
    let reports = reports::wanted(&request.line.reports).map_err(|why| (why, status::CONFIG))?;
    let own = request.program.as_deref();
    let image = Image::prepare(asked, &request.line, own, || request.trcs())?;
    Ok((Place::Container(Box::new(image)), reports))
}

fn run_in(request: &Request, place: &Place, reports: &[Report]) -> u8 {
    if request.list {
        return list(request, place);
    }
    match place {
        // trc's log has these warnings, too.
        Place::Here(_) if !request.verbose => {
            super::check::warn(&request.loaded_by_trc(), &std::env::vars_os().collect());
        }
        Place::Here(_) => {}
        Place::Container(image) => image.notes.iter().for_each(|note| eprintln!("note: {note}")),
    }
    let arguments = arguments(request, place);
    let mut progress = Progress::new(request.verbose);
    progress.show();
    let done = session(request, place, &arguments, &mut progress);
    progress.clear();
    match done {
        Ok(status) => tell(request, place, reports, &mut progress, status),
        Err(error) => {
            let why = format!("cannot run {}: {}", arguments[0].display(), reason(&error));
            problem(&why, status::SOFTWARE)
        }
    }
}

/// Returns the command line of trc, or that of the engine that runs it.
fn arguments(request: &Request, place: &Place) -> Vec<OsString> {
    match place {
        Place::Here(trc) => request.arguments(trc.clone()),
        Place::Container(image) => image.arguments(request.options(image.line())),
    }
}

/// Runs trc, in namespaces if that is wanted and possible.
fn session(
    request: &Request,
    place: &Place,
    command: &[OsString],
    progress: &mut Progress,
) -> io::Result<u8> {
    if let Place::Container(image) = place {
        let done = session::run(Stage::Child, command, progress);
        image.remove();
        return done;
    }
    if request.namespaces {
        let status = session::run(Stage::Namespace, command, progress)?;
        let Some(why) = progress.refused.take() else { return Ok(status) };
        progress.clear();
        eprintln!(
            "note: cannot create namespaces ({why}): trc runs as an ordinary process, not as PID 1; \
             use --no-namespaces to do so without this note"
        );
        progress.show();
    }
    session::run(Stage::Child, command, progress)
}

/// Prints the summary, and the log if something other than a test failed. Returns the exit status.
fn tell(
    request: &Request,
    place: &Place,
    reports: &[Report],
    progress: &mut Progress,
    status: u8,
) -> u8 {
    if let Some(version) = progress.foreign {
        progress.tell_log();
        eprintln!(
            "error: trc writes version {version} of the events of a test run, but trcctl reads \
             version {VERSION}: use trc and trcctl of the same release"
        );
        return status;
    }
    let Some(mut report) = progress.report(status) else {
        progress.tell_log();
        if let Place::Container(image) = place {
            untold(image, status);
            return status;
        }
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
        return status;
    };
    reports::write(reports, &mut report);
    let untold = summary::is_cut_short(&report) && !progress.interrupted;
    if untold || !report.unwritten.is_empty() || !matches!(status, 0 | 1) {
        progress.tell_log();
    }
    let stdout = io::stdout();
    let marks = stdout.is_terminal();
    let style = Style { marks, colours: marks && std::env::var_os("NO_COLOR").is_none() };
    // A reader that has gone away does not change the exit status.
    _ = stdout.lock().write_all(summary::summary(&report, style).as_bytes());
    if let Place::Container(image) = place
        && let Some(hint) = &image.hint
        && report.points.iter().any(|point| point.message().contains("refused"))
    {
        eprintln!("note: {hint}");
    }
    report.status
}

/// Says why a container has no report, unless the log says it.
fn untold(image: &Image, status: u8) {
    let engine = image.engine();
    match status {
        image::ENGINE_FAILED => eprintln!("error: {engine} could not run the container"),
        // trc has reported these itself.
        status::CONFIG => {}
        _ => eprintln!("error: {engine} exited with {status}, and trc wrote no report"),
    }
}

/// Lists the tests: this process becomes trc, or runs it in a container.
#[expect(clippy::disallowed_methods, reason = "this process becomes trc, it starts none")]
fn list(request: &Request, place: &Place) -> u8 {
    use std::os::unix::process::CommandExt;
    let arguments = arguments(request, place);
    let error = match place {
        Place::Here(_) => std::process::Command::new(&arguments[0]).args(&arguments[1..]).exec(),
        Place::Container(image) => match image.list(&arguments) {
            Ok(status) => return status,
            Err(error) => error,
        },
    };
    let why = format!("cannot run {}: {}", arguments[0].display(), reason(&error));
    problem(&why, status::CANNOT_EXECUTE)
}

fn problem(why: &str, status: u8) -> u8 {
    eprintln!("error: {why}");
    status
}
