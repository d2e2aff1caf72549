//! `trcctl test`: runs the tests of an image on the author's own machine, with or without a container.

pub mod image;
mod log;
pub mod many;
pub mod namespace;
mod progress;
mod reports;
mod request;
mod session;
mod summary;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use super::here::is_elsewhere;
use crate::config::{CommandLine, reason};
use crate::report::VERSION;
use crate::status;
use tempfile::NamedTempFile;

use image::{Image, Refused};
use namespace::Stage;
use progress::Progress;
use reports::Report;
use summary::Style;

pub use request::{Request, Shown};

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
    if request.shown == Shown::Names {
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
    if let Some(wanted) = request.series {
        return many::run(request, place, wanted);
    }
    let mut progress = Progress::new(request.verbose);
    match Runner::new(request, place).run(Extra::default(), &mut progress) {
        Ok(status) => tell(request, place, reports, &mut progress, status),
        Err(why) => problem(&why, status::SOFTWARE),
    }
}

/// What one run has in addition to the others of a series.
#[derive(Clone, Copy, Default)]
struct Extra<'a> {
    /// Settings, as in a file of `-c`.
    toml: &'a str,
    /// The names of the tests, in place of those that were asked for, if there are any.
    tests: &'a [String],
    /// The units that the settings add.
    added: &'a [String],
}

/// Runs trc, once or more often.
struct Runner<'a> {
    request: &'a Request,
    place: &'a Place,
    namespaces: bool,
}

impl<'a> Runner<'a> {
    fn new(request: &'a Request, place: &'a Place) -> Self {
        Self { request, place, namespaces: request.namespaces }
    }

    /// Runs trc, and returns its exit status.
    ///
    /// # Errors
    /// Returns why it could not be run.
    fn run(&mut self, extra: Extra<'_>, progress: &mut Progress) -> Result<u8, String> {
        let (command, _file) = self.command(extra)?;
        progress.show();
        let done = self.session(&command, progress);
        progress.clear();
        done.map_err(|why| format!("cannot run {}: {}", command[0].display(), reason(&why)))
    }

    /// Returns the command line of trc, or that of the engine that runs it, and the file with the
    /// settings of the run.
    fn command(&self, extra: Extra<'_>) -> Result<(Vec<OsString>, Option<NamedTempFile>), String> {
        let request = self.request.of_run(extra);
        let with = |line: &CommandLine, file: Option<OsString>| {
            let mut line = line.clone();
            line.overrides.extend(file);
            line.only = line.only.map(|only| {
                let all = std::iter::once(only).chain(extra.added.iter().cloned());
                all.collect::<Vec<_>>().join(",")
            });
            line
        };
        match self.place {
            Place::Here(trc) => {
                let file = settings(extra.toml).map_err(|why| {
                    format!("cannot write settings for the run: {}", reason(&why))
                })?;
                let path = file.as_ref().map(|file| file.path().into());
                let line = with(&super::here::here(&request.line), path);
                Ok((request.arguments_of(trc.clone(), &line), file))
            }
            Place::Container(image) => {
                let path = if extra.toml.is_empty() {
                    None
                } else {
                    Some(image.add_settings(extra.toml)?)
                };
                let line = with(image.line(), path);
                Ok((image.arguments(request.options(&line)), None))
            }
        }
    }

    /// Runs trc, in namespaces if that is wanted and possible.
    fn session(&mut self, command: &[OsString], progress: &mut Progress) -> io::Result<u8> {
        if let Place::Container(image) = self.place {
            let done = session::run(Stage::Child, command, progress);
            image.remove();
            return done;
        }
        if self.namespaces {
            let status = session::run(Stage::Namespace, command, progress)?;
            let Some(why) = progress.refused.take() else { return Ok(status) };
            progress.clear();
            eprintln!(
                "note: cannot create namespaces ({why}): trc runs as an ordinary process, not as PID 1; \
                 use --no-namespaces to do so without this note"
            );
            progress.show();
            self.namespaces = false;
        }
        session::run(Stage::Child, command, progress)
    }
}

/// Writes settings to a file that everybody can read, if there are any.
fn settings(toml: &str) -> io::Result<Option<NamedTempFile>> {
    if toml.is_empty() {
        return Ok(None);
    }
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = tempfile::Builder::new()
        .prefix("trcctl-")
        .suffix(".toml")
        .permissions(rights)
        .tempfile()?;
    file.write_all(toml.as_bytes())?;
    Ok(Some(file))
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
        let refused = match place {
            Place::Here(_) if status == status::CONFIG && !request.verbose => {
                super::check::refused(&request.loaded_by_trc(), &std::env::vars_os().collect())
            }
            Place::Here(_) | Place::Container(_) => None,
        };
        match refused {
            Some(errors) => super::check::say(&errors),
            None => progress.tell_log(),
        }
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
    let style = Style::of_stdout();
    // A reader that has gone away does not change the exit status.
    let mut text = summary::summary(&report, style);
    if request.shown == Shown::Coverage {
        text += &summary::coverage(&report, style);
    }
    _ = io::stdout().lock().write_all(text.as_bytes());
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
    let arguments = match place {
        Place::Here(trc) => request.arguments(trc.clone()),
        Place::Container(image) => image.arguments(request.options(image.line())),
    };
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
