//! Test mode: whether it is on, which tests run, and which reports trc writes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::cli::CommandLine;
use super::environment::{flag, variable};
use super::gone::Gone;
use super::keys::decode::Decoder;
use super::source::Source;
use super::suggest::nearest_of_many;
use super::value::shown;
use super::{Config, Diagnostic, Environment, Origin, Placed, Severity, Stage, Unit};

/// The settings of a test run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Testing {
    /// The tests by their short or full names; all, if empty.
    pub only: Vec<Placed<String>>,
    /// Whether trc lists the tests and runs nothing.
    pub list: bool,
    /// Whether a skipped test or a warning of trc fails the run.
    pub strict: bool,
    /// Whether trc writes a line of JSON for each event to standard output, in place of TAP.
    pub events: bool,
    /// The reports in files.
    pub reports: Vec<ReportFile>,
    /// The test points of the stop drill that may fail, with the tests that allow it: of all
    /// enabled tests, whichever of them run.
    pub allow: Vec<(Placed<String>, String)>,
    /// The origin of the setting.
    pub origin: Origin,
}

/// A report that goes to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReportFile {
    /// The format.
    pub kind: ReportKind,
    pub path: PathBuf,
    /// The origin of the setting.
    pub origin: Origin,
}

impl ReportFile {
    /// Returns the name of the format.
    fn written(&self) -> String {
        let kind = match self.kind {
            ReportKind::Junit => "junit",
            ReportKind::Json => "json",
        };
        shown(&format!("{kind}={}", self.path.display()))
    }
}

/// The format of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReportKind {
    /// JUnit's XML.
    Junit,
    /// One JSON object.
    Json,
}

/// One report that was asked for.
pub(crate) enum Asked {
    /// A line of JSON for each event, on standard output.
    Events,
    /// A report in a file.
    File(ReportKind, PathBuf),
}

/// Reads a value of `--report`, or one of those in `TRC_REPORT`.
///
/// # Errors
/// Returns the problem with it.
pub(crate) fn asked(report: &OsStr) -> Result<Asked, &'static str> {
    let bytes = report.as_bytes();
    if bytes == b"events=-" {
        return Ok(Asked::Events);
    }
    let at = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
    let path = bytes.get(at + 1..).filter(|path| !path.is_empty());
    let kind = match &bytes[..at] {
        b"junit" => ReportKind::Junit,
        b"json" => ReportKind::Json,
        b"events" => {
            return Err(
                "events can go to standard output only: write events=-; a report in a file \
                        is junit=FILE or json=FILE",
            );
        }
        _ => return Err("expected junit=FILE, json=FILE or events=-"),
    };
    match path {
        Some(b"-") => Err("a report cannot go to standard output, which is for TAP or events: \
                           name a file or /dev/stderr; if a file is named -, write ./-"),
        Some(path) => Ok(Asked::File(kind, PathBuf::from(OsStr::from_bytes(path)))),
        None => Err("expected junit=FILE, json=FILE or events=-"),
    }
}

/// Tells whether a list of tests has only commas and spaces.
pub(super) fn names_nothing(names: &str) -> bool {
    !names.is_empty() && names.split(',').all(|name| name.trim().is_empty())
}

/// Returns the names of tests in `TRC_TEST`, if it asks for a test run.
fn wanted(environment: &Environment) -> Option<String> {
    let value = variable(environment, "TRC_TEST")?.to_string_lossy();
    match value.as_ref() {
        "0" | "false" => None,
        "1" | "true" => Some(String::new()),
        names => Some(names.to_owned()),
    }
}

/// Tells whether something asks for a test run, or for a list of the tests.
pub(super) fn is_on(line: &CommandLine, environment: &Environment) -> bool {
    let listed = || flag(environment, "TRC_TEST_LIST", &mut Vec::new());
    line.test.is_some() || line.test_list || wanted(environment).is_some() || listed()
}

impl Decoder<'_> {
    /// Reads the settings from the command line and the environment. The command line takes
    /// precedence.
    pub(super) fn testing(&mut self, line: &CommandLine) -> Option<Testing> {
        let environment = self.environment;
        let wanted = wanted(environment).map(|names| (names, Origin::Variable("TRC_TEST".into())));
        let flagged = line.test.clone().map(|names| (names, Origin::Flag("--test".into())));
        let listed = flag(environment, "TRC_TEST_LIST", &mut self.diagnostics);
        let list = line.test_list || listed;
        let (names, origin) = match flagged.or(wanted) {
            Some(wanted) => wanted,
            None if line.test_list => (String::new(), Origin::Flag("--test-list".into())),
            None if list => (String::new(), Origin::Variable("TRC_TEST_LIST".into())),
            None => return None,
        };
        if names_nothing(&names) {
            let message = format!("\"{}\" names no test", shown(&names));
            self.diagnostics.push(Diagnostic::error(origin.clone(), message));
        }
        let only = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let only = only.map(|name| Placed { value: name.to_owned(), origin: origin.clone() });
        let (reports, events) = self.reports(line);
        let strict = flag(environment, "TRC_TEST_STRICT", &mut self.diagnostics);
        let strict = line.test_strict || strict;
        let (only, allow) = (only.collect(), Vec::new());
        Some(Testing { only, list, strict, events, reports, allow, origin })
    }

    /// Returns the reports in files, and whether standard output is for events.
    fn reports(&mut self, line: &CommandLine) -> (Vec<ReportFile>, bool) {
        let mut reports: Vec<ReportFile> = Vec::new();
        let mut events = false;
        let written = variable(self.environment, "TRC_REPORT").map_or(&b""[..], OsStr::as_bytes);
        let written = written.split(|byte| *byte == b',').filter(|one| !one.is_empty());
        let written = written.map(|one| (OsStr::from_bytes(one).to_owned(), "TRC_REPORT"));
        let written: Vec<(OsString, &str)> = written.collect();
        let flagged = line.reports.iter().map(|one| (one.clone(), "--report"));
        for (report, by) in written.into_iter().chain(flagged) {
            let origin = match by {
                "--report" => Origin::Flag(by.into()),
                _ => Origin::Variable(by.into()),
            };
            match asked(&report) {
                // Asking twice is not an error: trcctl always asks, even if the environment already
                // does.
                Ok(Asked::Events) => events = true,
                Ok(Asked::File(kind, path)) => {
                    let report = ReportFile { kind, path, origin };
                    if let Some(other) = reports.iter().find(|other| other.path == report.path) {
                        self.diagnostics.push(same_file(other, &report));
                    }
                    reports.push(report);
                }
                Err(why) => {
                    let message = format!("\"{}\": {why}", shown(&report.to_string_lossy()));
                    self.diagnostics.push(Diagnostic::error(origin, message));
                }
            }
        }
        (reports, events)
    }
}

fn same_file(one: &ReportFile, other: &ReportFile) -> Diagnostic {
    let message = format!("\"{}\" and \"{}\" are the same file", one.written(), other.written());
    Diagnostic::error(other.origin.clone(), message).help("each report needs a file of its own")
}

/// Warns of a name after `--test ` instead of `--test=`. It is not an error, because there may be a
/// command with this name.
pub(crate) fn mistaken(config: &Config, line: &CommandLine) -> Option<Diagnostic> {
    let word = line.trailing.first().filter(|_| line.test.as_deref() == Some(""))?.to_str()?;
    let is_meant =
        |unit: &Unit| unit.stage == Stage::Test && (unit.name == word || unit.id() == word);
    config.units.iter().any(is_meant).then(|| {
        let message =
            format!("all tests run, and `{word}`, which is the name of a test, runs as a command");
        let help = format!("to run only this test, write `--test={word}`");
        Diagnostic::warning(Origin::Flag("--test".into()), message).help(help)
    })
}

/// Removes the tests that do not run: outside test mode all, and in test mode those that were not
/// asked for.
pub(super) fn select(
    config: &mut Config,
    gone: &BTreeMap<String, Gone>,
    read: &[Source],
    errors: &mut Vec<Diagnostic>,
) {
    let is_test = |stage: Stage| stage == Stage::Test;
    let Some(testing) = &mut config.testing else {
        config.units.retain(|unit| !is_test(unit.stage));
        return;
    };
    let tests = || config.units.iter().filter(|unit| is_test(unit.stage));
    let known: BTreeSet<String> = tests().map(|unit| unit.name.clone()).collect();
    let bare = |name: &str| name.strip_prefix("test.").unwrap_or(name).to_owned();
    let only: Vec<String> = testing.only.iter().map(|name| bare(&name.value)).collect();
    for (name, wanted) in only.iter().zip(&testing.only) {
        if known.contains(name) {
            continue;
        }
        let what = if let Some(why) = gone.get(&format!("test.{name}")) {
            format!("the test `{}` {why}", shown(name))
        } else {
            format!("there is no test `{}`", shown(name))
        };
        let mut error = Diagnostic::error(place(&wanted.origin), what);
        let names = known.iter().map(String::as_str);
        let word = name.to_lowercase();
        if matches!(word.as_str(), "all" | "yes" | "on" | "true" | "y") {
            error = error.help(
                "to run all tests, write TRC_TEST=1, --test without a name, or `trcctl test`",
            );
        } else if let Some(right) = nearest_of_many(errors.len(), name, names) {
            error = error.help(format!("did you mean `{right}`?"));
        } else if !known.is_empty() {
            error =
                error.help(format!("the tests are {}", listed(tests().map(|unit| &*unit.name))));
        }
        errors.push(error);
    }
    // This is an error even if there is a note or a warning, because a run without a test would
    // pass.
    let is_wrong = errors.iter().any(|error| error.severity == Severity::Error);
    if known.is_empty() && !testing.list && !is_wrong {
        let directory = shown(&config.work_dir.to_string_lossy());
        let error = if gone.keys().any(|id| id.starts_with("test.")) {
            let message = "there is no test to run: every test is disabled";
            Diagnostic::error(place(&testing.origin), message)
        } else {
            let files = read.iter().map(|source| shown(&source.path.to_string_lossy()));
            let files: Vec<String> = files.collect();
            let message = if files.is_empty() {
                format!("there is no test to run: there is no TOML file in {directory}")
            } else {
                let files = listed(files.iter().map(String::as_str));
                format!("there is no test to run: none is declared in {files}")
            };
            Diagnostic::error(place(&testing.origin), message).help(format!(
                "declare one: [test.NAME] in {directory}/trc.toml, or a script {directory}/trc.d/test.NAME"
            ))
        };
        errors.push(error);
    }
    for unit in &config.units {
        let allow = unit.test.iter().flat_map(|test| &test.allow);
        testing.allow.extend(allow.map(|name| (name.clone(), unit.id())));
    }
    let only: BTreeSet<String> = only.into_iter().collect();
    if !only.is_empty() {
        config.units.retain(|unit| !is_test(unit.stage) || only.contains(&unit.name));
    }
}

/// Returns the place of an error about the tests that were asked for. It is not a flag, which
/// `trcctl test` may have added.
fn place(origin: &Origin) -> Origin {
    match origin {
        Origin::Flag(_) => Origin::Default,
        Origin::Default
        | Origin::Others
        | Origin::File { .. }
        | Origin::Variable(_)
        | Origin::Override(_) => origin.clone(),
    }
}

/// Returns names in their order, up to a number.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut names: Vec<&str> = names.take(MOST + 1).collect();
    if names.len() > MOST {
        names[MOST] = "…";
    }
    names.join(", ")
}
