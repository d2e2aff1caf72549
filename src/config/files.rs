//! The layers that files make: the files that trc reads, in their order.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cli::CommandLine;
use super::dropins::{self, DropIn};
use super::environment::variable;
use super::keys::key::find;
use super::keys::{TEST, TOP, UNIT};
use super::layers::Layers;
use super::overrides::{self, Override};
use super::source::{self, ReadError, Source, reason};
use super::value::{Node, Table, Value, insert};
use super::{Command, Diagnostic, Origin, Severity, Stage, file};

/// The largest size of all files together, in bytes.
const LARGEST: usize = 8 << 20;

impl Layers {
    /// Reads `trc.toml`, the drop-ins, and the files that somebody named.
    pub(super) fn read_files(&mut self, line: &CommandLine) {
        if self.set_work_dir(line) {
            let names = self.list(&self.work_dir.clone(), b"trc.");
            self.base(&names);
            self.trivialrc_scripts(names);
            self.dropins();
        }
        self.config_files(line);
    }

    /// Finds the directory of the configuration. Returns false if it is not a directory.
    fn set_work_dir(&mut self, line: &CommandLine) -> bool {
        let from = |name: &str| {
            let directory = variable(&self.environment, name)?;
            Some((PathBuf::from(directory), Origin::Variable(name.into())))
        };
        let flag = line.work_dir.clone().map(|directory| (directory, Origin::Flag("-w".into())));
        let Some((directory, origin)) =
            flag.or_else(|| from("TRC_WORKDIR")).or_else(|| from("RC_WORK_DIR"))
        else {
            return true;
        };
        // A boot script may change the working directory before trc sources a script.
        self.work_dir = std::path::absolute(&directory).unwrap_or(directory);
        let (why, is_file) = match std::fs::metadata(&self.work_dir) {
            Ok(metadata) if metadata.is_dir() => return true,
            Ok(metadata) => ("it is not a directory".to_owned(), metadata.is_file()),
            Err(error) => (reason(&error), false),
        };
        self.cannot(origin, "read", &self.work_dir.clone(), &why);
        if let (true, Some(parent), Some(error)) =
            (is_file, self.work_dir.parent(), self.noticed.last_mut())
        {
            let directory = dropins::shown(parent.as_os_str());
            error.help = Some(format!("name the directory that the file is in: {directory}"));
        }
        false
    }

    /// Reads `trc.toml`, if the directory lists it. A file that is listed and then cannot be found
    /// is an error, and not an empty configuration.
    fn base(&mut self, names: &[OsString]) {
        const NAME: &str = "trc.toml";
        if names.iter().any(|name| name == NAME) {
            self.file(&self.work_dir.join(NAME), None, None);
        }
    }

    fn trivialrc_scripts(&mut self, names: Vec<OsString>) {
        let directory = self.work_dir.clone();
        for name in names {
            let path = directory.join(&name);
            match dropins::classify_trivialrc(&name) {
                None => {}
                Some(DropIn::Script(stage, unit)) => self.script(&path, stage, unit),
                Some(DropIn::Other(right)) if name.as_bytes().ends_with(b".toml") => {
                    let mut skipped = skipped(&path, right);
                    skipped.severity = Severity::Warning;
                    self.noticed.push(skipped.help("units in TOML belong in trc.d"));
                }
                Some(DropIn::Other(right)) => self.noticed.push(skipped(&path, right)),
                Some(DropIn::Strange(help)) => self.noticed.push(strange(&path, help)),
                Some(DropIn::Unit(..) | DropIn::Fragment) => unreachable!("no TrivialRC's form"),
            }
        }
    }

    fn dropins(&mut self) {
        let directory = self.work_dir.join("trc.d");
        let mut fragments = Vec::new();
        for name in self.list(&directory, b"") {
            let path = directory.join(&name);
            match dropins::classify(&name) {
                DropIn::Unit(stage, unit) => self.file(&path, Some((stage, unit)), None),
                DropIn::Script(stage, unit) => self.script(&path, stage, unit),
                DropIn::Fragment => fragments.push(path),
                DropIn::Other(right) => self.noticed.push(skipped(&path, right)),
                DropIn::Strange(help) => self.noticed.push(strange(&path, help)),
            }
        }
        for path in fragments {
            self.file(&path, None, None);
        }
    }

    fn config_files(&mut self, line: &CommandLine) {
        let variable = variable(&self.environment, "TRC_CONFIG").map(ToOwned::to_owned);
        for path in variable.iter().flat_map(|list| list.as_bytes().split(|byte| *byte == b':')) {
            if !path.is_empty() {
                let path = Path::new(OsStr::from_bytes(path));
                self.file(path, None, Some(&Origin::Variable("TRC_CONFIG".into())));
            }
        }
        for argument in &line.overrides {
            if let Override::File(path) = overrides::read(argument) {
                let origin = Origin::Override(argument.to_string_lossy().into());
                self.file(&path, None, Some(&origin));
            }
        }
    }

    /// Returns the names in a directory that begin with `prefix`, or none if the directory is
    /// missing.
    fn list(&mut self, directory: &Path, prefix: &[u8]) -> Vec<OsString> {
        match dropins::list(directory, prefix) {
            Ok(names) => names,
            Err(error) if is_missing(&error) && std::fs::symlink_metadata(directory).is_err() => {
                Vec::new()
            }
            Err(error) => {
                self.cannot(whole(directory), "read the directory", directory, &reason(&error));
                Vec::new()
            }
        }
    }

    /// Reads a TOML file as the next layer: that of one unit, or of everything. `asked_by` is the
    /// origin of the path, if somebody named the file.
    fn file(&mut self, path: &Path, unit: Option<(Stage, String)>, asked_by: Option<&Origin>) {
        let shown: Arc<Path> = path.into();
        let source = match source::read(path, &shown) {
            Ok(source) => source,
            Err(error) => match *error {
                ReadError::Io(error) => {
                    let origin = asked_by.cloned().unwrap_or_else(|| whole(path));
                    return self.cannot(origin, "read", path, &reason(&error));
                }
                ReadError::NotText(source, diagnostic) => {
                    self.sources.push(source);
                    self.noticed.push(diagnostic);
                    self.partial = true;
                    return;
                }
            },
        };
        self.asked_for = true;
        self.bytes += source.text.len();
        if self.bytes > LARGEST {
            let why = format!("all files together are larger than {} MiB", LARGEST >> 20);
            return self.cannot(whole(path), "read", path, &why);
        }
        let order = self.next_layer();
        let parsed = file::parse(&source, order);
        self.sources.push(source);
        match parsed {
            Ok(table) => match unit {
                None => match dropins::right_name(path.file_name().unwrap_or_default()) {
                    Some(right) if asked_by.is_none() && has_keys_of_a_unit(&table) => {
                        let message = "this file has the keys of a unit, but its name does not begin with a stage";
                        let error = Diagnostic::error(whole(path), message);
                        self.noticed.push(error.help(format!("did you mean {right}?")));
                        self.partial = true;
                    }
                    _ => self.push(table),
                },
                Some((stage, name)) => {
                    let origin = whole(path);
                    let path = [stage.name().to_owned(), name];
                    let mut layer = Table::new();
                    insert(&mut layer, &path, Node::table(table, origin), order);
                    self.push(layer);
                }
            },
            Err(errors) => {
                match dropins::foreign_format(path.as_os_str()) {
                    Some(format) => {
                        let message = format!("this file is {format}, but trc reads only TOML");
                        let help = "write the settings as TOML, in a file whose name ends in .toml";
                        self.noticed.push(Diagnostic::error(whole(path), message).help(help));
                    }
                    None => self.noticed.extend(errors),
                }
                self.partial = true;
            }
        }
    }

    fn script(&mut self, path: &Path, stage: Stage, name: String) {
        // The shell reads the script, but trc finds out before it starts anything whether that is
        // possible.
        if let Err(error) = source::open(path) {
            return self.cannot(whole(path), "read", path, &reason(&error));
        }
        if let Some((message, help)) = path.file_name().and_then(dropins::odd_script) {
            self.noticed.push(Diagnostic::warning(whole(path), message).help(help));
        }
        let value = Value::Command(Command::File(path.to_owned()));
        let node = Node { value, origin: whole(path) };
        let path = [stage.name().to_owned(), name, "script".to_owned()];
        let order = self.next_layer();
        let mut layer = Table::new();
        insert(&mut layer, &path, node, order);
        self.push(layer);
    }

    fn cannot(&mut self, origin: Origin, what: &str, path: &Path, why: &str) {
        // This sorts the file among those that could be read.
        self.sources.push(Source { path: path.into(), text: "".into() });
        let path = dropins::shown(path.as_os_str());
        let mut error = Diagnostic::error(origin, format!("cannot {what} {path}: {why}"));
        if matches!(error.origin, Origin::Override(_)) && !path.contains('/') {
            error = error.help("trc takes it for the name of a file, because it is not KEY=VALUE");
        }
        let named = matches!(error.origin, Origin::Override(_) | Origin::Variable(_));
        if named && what == "read" && std::path::Path::new(&path).is_dir() {
            error = error.help(
                "name a file here; -w or TRC_WORKDIR names the directory that has trc.toml and trc.d",
            );
        }
        self.noticed.push(error);
        self.partial = true;
    }
}

/// Tells whether a table has a key that belongs into a unit and not to the top of a file.
fn has_keys_of_a_unit(table: &Table) -> bool {
    let is_of = |keys, name: &String| find(keys, name).is_some();
    table.keys().any(|name| !is_of(TOP, name) && (is_of(UNIT, name) || is_of(TEST, name)))
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn whole(path: &Path) -> Origin {
    Origin::File { path: path.into(), line: 0, column: 0 }
}

/// Warns of a file that trc skips although it was probably meant for trc.
fn strange(path: &Path, help: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..skipped(path, None) }.help(help)
}

fn skipped(path: &Path, right: Option<&str>) -> Diagnostic {
    let message = "skipped: it is neither a unit nor a fragment";
    let warning = Diagnostic::warning(whole(path), message);
    if let Some(stage) = right {
        return warning.help(format!("did you mean the stage `{stage}`?"));
    }
    Diagnostic { severity: Severity::Note, ..warning }
}
