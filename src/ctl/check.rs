//! `trcctl check`: finds errors in the configuration before a container depends on it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{
    Command, CommandLine, Config, Diagnostic, Environment, Loaded, Origin, Refused, Severity,
    Stage, load, parse_time, reason,
};
use crate::graph::Graph;
use crate::status;

use super::dockerfile::Dockerfile;
use super::endings;
pub use super::found::Format;
use super::here::{here, is_configured, is_named};
use super::root::{self, Root};
use super::{ports, readiness, scripts};

/// The advice if an image has no configuration.
const IN_ROOT: &str = "with --root, trcctl reads the configuration in the image's /etc; `-w DIR` names another \
     directory";

/// The options of `trcctl check` that trc itself does not have.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The root directory of the image to check, if there is one.
    pub root: Option<PathBuf>,
    /// The Dockerfile of the image to check, if there is one.
    pub dockerfile: Option<PathBuf>,
    /// The time from the stop signal until the container is killed, if somebody has said it.
    pub grace: Option<Duration>,
    /// Whether warnings are errors.
    pub strict: bool,
    /// The format of errors and warnings.
    pub format: Format,
}

/// Reads the value of `--grace`.
///
/// # Errors
/// Returns the reason why it is not a time.
pub fn grace(text: &str) -> Result<Duration, String> {
    let time = parse_time(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time such as 10s or 1m30s".to_owned())
}

/// Loads the configuration as `trc` would, and prints its errors or the units that would run.
///
/// # Errors
/// Returns why the root directory cannot be used.
pub fn run(line: &CommandLine, environment: &Environment, options: &Options) -> Result<u8, String> {
    let root = opened(options.root.as_deref())?;
    let dockerfile = options.dockerfile.as_deref().map(Dockerfile::read).transpose()?;
    let environment = &match &dockerfile {
        Some(dockerfile) => dockerfile.environment(environment),
        None => environment.clone(),
    };
    let in_root = options.root.as_deref().filter(|_| !is_named(line) && !line.bare);
    let line = &in_image(line, options.root.as_deref());
    let (loaded, mut diagnostics) = match in_root.map(|root| root.join("etc")) {
        Some(etc) if !etc.exists() => {
            let message = format!("there is no configuration: {} does not exist", etc.display());
            (None, vec![Diagnostic::error(Origin::Default, message).help(IN_ROOT)])
        }
        Some(_) | None => {
            examined(line, environment, options, (root.as_ref(), dockerfile.as_ref()))
        }
    };
    let warns = diagnostics.iter().any(|found| found.severity == Severity::Warning);
    let listing = loaded.map(|loaded| listing(&loaded, line.bare || is_named(line)));
    let listing = match listing {
        Some(Err(nothing)) => {
            diagnostics.push(match in_root {
                Some(_) => nothing.help(IN_ROOT),
                None => nothing,
            });
            None
        }
        Some(Ok(listing)) => Some(listing).filter(|_| !(options.strict && warns)),
        None => None,
    };
    let text = match options.format {
        Format::Text => {
            say(&diagnostics);
            listing.clone().unwrap_or_default()
        }
        format => format.of(&diagnostics),
    };
    // A reader that has gone away does not change the exit status.
    _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(if listing.is_some() { 0 } else { status::CONFIG })
}

/// Opens the root directory of an image, if there is one.
///
/// # Errors
/// Returns why it cannot be used.
pub(super) fn opened(root: Option<&Path>) -> Result<Option<Root>, String> {
    let open = |path: &Path| {
        let why = |error| format!("cannot use --root {}: {}", path.display(), reason(&error));
        Root::new(path).map_err(why)
    };
    root.map(open).transpose()
}

/// Returns the command line with the directory of the configuration: the one in the image if there is
/// an image and nobody has named another one.
pub(super) fn in_image(line: &CommandLine, root: Option<&Path>) -> CommandLine {
    match root.filter(|_| !is_named(line) && !line.bare) {
        Some(root) => CommandLine { work_dir: Some(root.join("etc")), ..line.clone() },
        None => here(line),
    }
}

/// Loads a configuration that is correct, for a command that shows it. Otherwise prints the errors
/// that `trcctl check` prints.
#[cfg(feature = "ctl")]
pub(super) fn correct(line: &CommandLine, environment: &Environment) -> Option<Loaded> {
    let (loaded, diagnostics) = examined(line, environment, &Options::default(), (None, None));
    let Some(loaded) = loaded else {
        say(&diagnostics);
        return None;
    };
    if let Err(nothing) = listing(&loaded, line.bare || is_named(line)) {
        say(&[nothing]);
        return None;
    }
    Some(loaded)
}

/// Loads a configuration with its tests. Returns it unless it has errors, and returns all errors and
/// warnings, including those about the image.
fn examined(
    line: &CommandLine,
    environment: &Environment,
    options: &Options,
    (root, dockerfile): (Option<&Root>, Option<&Dockerfile>),
) -> (Option<Loaded>, Vec<Diagnostic>) {
    let loaded = load(line, environment).and_then(|loaded| with_tests(loaded, line, environment));
    let (loaded, diagnostics) = match loaded {
        Ok(loaded) => {
            let mut remarks = loaded.config.remarks.clone();
            let path = environment.iter().find(|(name, _)| name == "PATH");
            let path = path.map_or(OsStr::new(""), |(_, path)| path);
            let mut found = match Graph::build(&loaded.config) {
                Ok(graph) => {
                    let place = |key: &[&str]| loaded.place_of(key);
                    let mut found = graph.remarks(options.grace, &place);
                    found.extend(ports::remarks(&loaded.config));
                    found.extend(readiness::remarks(&graph));
                    if let Some(dockerfile) = dockerfile {
                        found.extend(dockerfile.remarks(&loaded, &graph, root));
                    }
                    found
                }
                Err(errors) => errors,
            };
            found.extend(endings::remarks(&loaded, path, root.is_some()));
            found.extend(scripts::remarks(&loaded, path));
            found.extend(root.into_iter().flat_map(|it| root::remarks(&loaded, environment, it)));
            remarks.extend(loaded.illustrate(found));
            if let Some(dockerfile) = dockerfile {
                for found in &mut remarks {
                    dockerfile.illustrate(found);
                }
            }
            (Some(loaded), remarks)
        }
        Err(refused) => {
            let cycles = Graph::cycles(&refused.understood.config);
            (None, refused.beside(cycles))
        }
    };
    let failed = diagnostics.iter().any(|found| found.severity == Severity::Error);
    (loaded.filter(|_| !failed), diagnostics)
}

/// Returns the reason why the trailing command cannot be a command: it is a directory or a file
/// with settings, which people name here as they do for other programs that check files.
#[must_use]
pub fn no_command(line: &CommandLine) -> Option<String> {
    let path = Path::new(line.trailing.first()?);
    let shown = path.display();
    if path.is_dir() {
        Some(format!(
            "{shown} is a directory, not a command: write -w {shown} to check the configuration in it"
        ))
    } else if path.extension() == Some(OsStr::new("toml")) && path.is_file() {
        Some(format!(
            "{shown} is a file with settings, not a command: write -c {shown} to check it along with the \
             configuration, or -w DIR to check the configuration in another directory"
        ))
    } else {
        None
    }
}

/// Loads the configuration with its tests, so that errors between them and the units are reported,
/// too. The variables that they need only in a test run do not have to be set.
pub(super) fn with_tests(
    loaded: Loaded,
    line: &CommandLine,
    environment: &Environment,
) -> Result<Loaded, Refused> {
    let line = CommandLine { test_list: true, ..line.clone() };
    if loaded.config.testing.is_some() || line.bare {
        return Ok(loaded);
    }
    load(&line, environment)
}

/// Returns the errors of a configuration that trc refuses, and its warnings.
pub(super) fn refused(line: &CommandLine, environment: &Environment) -> Option<Vec<Diagnostic>> {
    match load(line, environment) {
        Ok(loaded) => Graph::build(&loaded.config).err().map(|errors| loaded.illustrate(errors)),
        Err(refused) => {
            let cycles = Graph::cycles(&refused.understood.config);
            Some(refused.beside(cycles))
        }
    }
}

/// Writes the warnings of a configuration that trc will run to standard error. trc itself reports
/// the errors of a configuration that it will not run.
pub fn warn(line: &CommandLine, environment: &Environment) {
    let Ok(loaded) = load(line, environment) else { return };
    let Ok(graph) = Graph::build(&loaded.config) else { return };
    let mut remarks = loaded.config.remarks.clone();
    let place = |key: &[&str]| loaded.place_of(key);
    remarks.extend(loaded.illustrate(graph.remarks(None, &place)));
    say(&remarks);
}

/// Writes errors and warnings to standard error.
pub(super) fn say(diagnostics: &[Diagnostic]) {
    let stderr = std::io::stderr();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A reader that has gone away does not change the exit status.
    _ = stderr.lock().write_all(report(diagnostics, colours).as_bytes());
}

/// Returns the text of the errors and warnings, and their number.
fn report(diagnostics: &[Diagnostic], colours: bool) -> String {
    let mut out = String::new();
    let mut count = [0, 0];
    for found in diagnostics {
        let (counter, colour) = match found.severity {
            Severity::Error => (0, "\x1b[1;31m"),
            Severity::Warning => (1, "\x1b[1;33m"),
            Severity::Note => continue,
        };
        count[counter] += found.count;
        let text = found.to_string();
        match text.split_once(':') {
            Some((severity, rest)) if colours => {
                _ = writeln!(out, "{colour}{severity}\x1b[0m:{rest}\n");
            }
            _ => _ = writeln!(out, "{text}\n"),
        }
    }
    let counts = [(count[0], "error"), (count[1], "warning")].into_iter();
    let counts = counts.filter(|(n, _)| *n > 0).map(|(n, what)| several(n as usize, what));
    let summary: Vec<String> = counts.collect();
    if !summary.is_empty() {
        _ = writeln!(out, "{}", summary.join(", "));
    }
    out
}

/// Returns a number of things: `1 unit`, `2 units`.
fn several(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Returns an error if there is no configuration at all. `named` tells whether somebody has named the
/// directory.
pub(super) fn nothing(loaded: &Loaded, named: bool) -> Option<Diagnostic> {
    let Config { units, work_dir, .. } = &loaded.config;
    if !units.is_empty() || is_configured(work_dir) || loaded.has_files() {
        return None;
    }
    let directory = work_dir.display();
    let message = if named {
        format!("there is no configuration: {directory} has neither a trc.toml nor a trc.d")
    } else {
        format!(
            "there is no configuration: neither the current directory nor {directory} has a \
             trc.toml or a trc.d"
        )
    };
    let nothing = Diagnostic::error(Origin::Default, message);
    Some(nothing.help("name the directory of the configuration with `-w DIR`"))
}

/// Returns the list of the units that would run and of the tests, or an error if there is no
/// configuration at all. `named` tells whether somebody has named the directory.
fn listing(loaded: &Loaded, named: bool) -> Result<String, Diagnostic> {
    if let Some(nothing) = nothing(loaded, named) {
        return Err(nothing);
    }
    let Config { units, work_dir, .. } = &loaded.config;
    let (directory, is_there) = (work_dir.display(), is_configured(work_dir));
    let instead = if named || !is_there {
        ""
    } else {
        ", because the current directory has no trc.toml and no trc.d"
    };
    if units.is_empty() {
        let none = format!("ok: there are no units in {directory}{instead}\n");
        return Ok(none + &left_out(&loaded.config));
    }
    let tests = units.iter().filter(|unit| unit.stage == Stage::Test).count();
    let mut out = format!("ok: {}", several(units.len() - tests, "unit"));
    if tests > 0 {
        _ = write!(out, ", {}", several(tests, "test"));
    }
    _ = writeln!(out, " in {directory}{instead}");
    let widest = units.iter().map(|unit| unit.id().chars().count()).max().unwrap_or(0);
    for unit in units {
        let id = unit.id();
        let external = unit.command == Command::Nothing && unit.stage != Stage::Test;
        let when = unit.schedule.as_ref().and_then(|schedule| schedule.when.as_ref());
        let remark = match when {
            _ if external => "  (external: nothing to start)".to_owned(),
            Some(when) => format!("  (runs on its schedule: {})", when.value),
            None => String::new(),
        };
        let idle = if unit.autostart { "" } else { "  (autostart = false)" };
        _ = writeln!(out, "  {id:widest$}  {}{remark}{idle}", unit.origin);
    }
    out.push_str(&left_out(&loaded.config));
    Ok(out)
}

/// Returns the declared units that would not run, and why.
fn left_out(config: &Config) -> String {
    let mut out = String::new();
    for (id, why) in &config.left_out {
        _ = writeln!(out, "not there: {id} {why}");
    }
    out
}
