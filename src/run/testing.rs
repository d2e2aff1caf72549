//! The preparation of a test run: its report files, and the list of tests.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};

use super::os::clock::now;
use super::os::trusted;
use super::stream::flush_deadline;
use crate::config::{Diagnostic, ReportFile, ReportKind, Stage, Testing, reason};
use crate::graph::Graph;
use crate::report::Planned;
use crate::words::Unwritten;

/// The way in which a report is written.
enum Way {
    /// A temporary file next to the target, which is then renamed.
    Beside(PathBuf),
    /// A plain file, which is overwritten.
    Over,
    /// A FIFO, a device or an open descriptor, from which nothing can be taken back.
    Through,
}

/// The file of a report, which appears as a whole at the end.
pub(super) struct Report {
    /// The format.
    pub kind: ReportKind,
    path: PathBuf,
    /// The path with links resolved.
    target: PathBuf,
    way: Way,
    file: File,
}

/// Opens all report files, so that a file that cannot be written is known before anything runs.
///
/// # Errors
/// Returns which one, and why.
pub(super) fn open_reports(testing: &Testing) -> Result<Vec<Report>, Diagnostic> {
    let mut reports: Vec<Report> = Vec::new();
    for wanted in &testing.reports {
        match open_report(wanted, &reports) {
            Ok(report) => reports.push(report),
            Err(error) => {
                reports.iter().for_each(Report::forget);
                return Err(error);
            }
        }
    }
    Ok(reports)
}

fn open_report(wanted: &ReportFile, others: &[Report]) -> Result<Report, Diagnostic> {
    let refuse = |why: &str| {
        let why = Unwritten::File(wanted.path.clone(), why.to_owned());
        Diagnostic::error(wanted.origin.clone(), why.to_string())
    };
    // trc does not follow a link that somebody else has created. When units run, the file is open
    // already.
    let trusted = match trusted::locate(&wanted.path) {
        // If something is missing, opening the file says so.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(_) => Ok(()),
    };
    let target = trusted.and_then(|()| resolve(&wanted.path));
    let target = target.map_err(|error| refuse(&why_not(&wanted.path, &error)))?;
    // Another name may belong to the same file, too.
    let linked = |other: &Report| is_same_file(&other.target, &target);
    if others.iter().any(|other| other.target == target || linked(other)) {
        return Err(refuse(&format!("another report already goes to {}", target.display())));
    }
    let (file, way) = open(&target).map_err(|error| {
        let refused = refuse(&why_not(&target, &error));
        match advice(&error) {
            Some(advice) => refused.help(advice),
            None => refused,
        }
    })?;
    Ok(Report { kind: wanted.kind, path: wanted.path.clone(), target, way, file })
}

/// Returns whether two names belong to one regular file. Anything else may get several reports.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let known = |path: &Path| {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((found.dev(), found.ino()))
    };
    !is_of_proc(one) && !is_of_proc(other) && known(one).is_some_and(|it| known(other) == Some(it))
}

impl Report {
    /// Returns whether the report cannot be taken back once it is written, and so must not be
    /// written twice.
    #[must_use]
    pub(super) fn is_final(&self) -> bool {
        matches!(self.way, Way::Through)
    }

    /// Writes the whole report, in place of an earlier version.
    ///
    /// # Errors
    /// Returns what could not be done.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Unwritten> {
        self.rewrite(text.as_bytes()).map_err(|error| {
            self.forget();
            Unwritten::File(self.path.clone(), reason(&error))
        })
    }

    fn rewrite(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_final() {
            return write_through(&mut self.file, text, flush_deadline());
        }
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text)
    }

    /// Renames the temporary file to its final name.
    ///
    /// # Errors
    /// Returns what could not be done.
    pub(super) fn publish(self, text: &str) -> Result<(), Unwritten> {
        let Way::Beside(beside) = &self.way else { return Ok(()) };
        let done = match self.file.sync_all().and_then(|()| fs::rename(beside, &self.target)) {
            // A file that the container engine has mounted there keeps its place: rename(2).
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                self.forget();
                fs::write(&self.target, text)
            }
            done => done,
        };
        done.map_err(|error| {
            self.forget();
            Unwritten::File(self.path.clone(), reason(&error))
        })
    }

    /// Removes the temporary file, because it will not become the report.
    fn forget(&self) {
        if let Way::Beside(beside) = &self.way {
            _ = fs::remove_file(beside);
        }
    }
}

/// Writes to what may be a pipe, which takes only as much at once as its reader has left room for.
fn write_through(file: &mut File, text: &[u8], until: Instant) -> io::Result<()> {
    let mut rest = text;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !wait_for_room(file, until) {
                    return Err(io::Error::other("its reader did not read it in time"));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until the reader has made room. Returns whether there is time left to write.
fn wait_for_room(file: &File, until: Instant) -> bool {
    let left = until.saturating_duration_since(now());
    if left.is_zero() {
        return false;
    }
    // Round up, or trc would spin for the last fraction of a millisecond.
    let timeout = PollTimeout::try_from(left + Duration::from_micros(999));
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    // The write shows the result.
    _ = poll(&mut polled, timeout.unwrap_or(PollTimeout::ZERO));
    true
}

fn why_not(target: &Path, error: &io::Error) -> String {
    let directory = directory(target);
    if error.kind() == io::ErrorKind::NotFound && !directory.is_dir() {
        return format!("there is no directory {}", directory.display());
    }
    reason(error)
}

fn advice(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EACCES | libc::EPERM | libc::EROFS) => {
            Some("its directory has to exist and be writable: mount one with -v")
        }
        Some(libc::ENXIO) => Some(
            "a FIFO needs a reader when the run begins, and a socket, such as standard output in \
             `trcctl test`, cannot be opened by name",
        ),
        _ => None,
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent == Path::new("") => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Resolves a link, whether or not its target exists: the report replaces the target, and the link
/// stays. Links in /proc lead to open files without another name.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    // The kernel follows the same number: path_resolution(7).
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if is_of_proc(&path) {
            return Ok(path);
        }
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // The path is not a link, or does not exist. Opening it shows which.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn is_of_proc(path: &Path) -> bool {
    statfs(directory(path)).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Opens a temporary file next to the target, or the target itself if it is not a plain file, or if
/// no file can be made next to it.
fn open(path: &Path) -> io::Result<(File, Way)> {
    // Without O_NONBLOCK, opening a FIFO waits for its reader.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let existing = |how: &mut OpenOptions| how.custom_flags(flags).open(path);
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
        // Standard error may be a log file, whose contents are not this report's.
        Ok(found) if !found.is_file() || is_of_proc(path) => {
            return Ok((existing(File::options().append(true))?, Way::Through));
        }
        Ok(_) | Err(_) => {}
    }
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    // The file is in the same directory, because a rename cannot cross file systems.
    let beside = path.with_file_name(name);
    _ = fs::remove_file(&beside);
    let new = File::options().write(true).create_new(true).custom_flags(flags).open(&beside);
    match new {
        Ok(file) => Ok((file, Way::Beside(beside))),
        // Only the file may be writable, for example if it is mounted into a read-only root.
        Err(error) => match existing(File::options().write(true)) {
            Ok(file) => file.set_len(0).map(|()| (file, Way::Over)),
            Err(_) => Err(error),
        },
    }
}

/// Returns the tests that will run, for the first event.
pub(super) fn planned(graph: &Graph) -> impl Iterator<Item = Planned> {
    graph.stage(Stage::Test).map(|id| {
        let unit = &graph.node(id).unit;
        Planned { name: unit.id(), description: unit.description.clone() }
    })
}

/// Returns the tests by name, with their descriptions.
pub(super) fn listing(graph: &Graph) -> String {
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
