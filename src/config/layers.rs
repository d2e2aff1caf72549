//! All layers in their order, read once and laid over one another.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cli::CommandLine;
use super::decode::Decoder;
use super::decode_unit::{Declared, unit_ids};
use super::dropins::{self, DropIn};
use super::environment::{self, flag, variable};
use super::merge::merge;
use super::overrides::{self, Override};
use super::resolve::Names;
use super::source::{self, ReadError, Source, illustrate, reason};
use super::value::{Node, Table, Value, insert};
use super::{Command, Config, Diagnostic, Environment, Origin, Severity, Stage, file, schema};

/// Where the configuration is without `-w`.
const WORK_DIR: &str = "/etc";

/// What all layers up to the command line's units give.
pub struct Layers {
    tree: Table,
    sources: Vec<Source>,
    environment: Environment,
    work_dir: PathBuf,
    xtrace: bool,
    /// What was noticed while reading.
    noticed: Vec<Diagnostic>,
    /// A TOML file was read: someone asked for an init.
    asked_for: bool,
    /// A file can't be read, so the tree lacks what it holds.
    partial: bool,
    layer: u64,
}

impl Layers {
    /// Reads every file and variable that the command line and the environment ask for.
    pub fn read(line: &CommandLine, environment: &Environment) -> Self {
        let mut layers = Self {
            tree: Table::new(),
            sources: Vec::new(),
            environment: environment.clone(),
            work_dir: WORK_DIR.into(),
            xtrace: false,
            noticed: Vec::new(),
            asked_for: false,
            partial: false,
            layer: 0,
        };
        if line.bare {
            return layers;
        }
        if flag(environment, "TRC_BARE", &mut layers.noticed) {
            if let Some(why) = line.not_bare() {
                layers.noticed.push(Diagnostic::error(Origin::Variable("TRC_BARE".into()), why));
            }
            return layers;
        }
        if layers.set_work_dir(line) {
            layers.base();
            layers.trivialrc_scripts();
            layers.dropins();
        }
        layers.config_files(line);
        let order = layers.next_layer();
        let table = environment::layer(environment, &layers.tree, order, &mut layers.noticed);
        layers.xtrace = flag(environment, "RC_DEBUG", &mut layers.noticed);
        layers.push(table);
        layers.config_keys(line);
        layers
    }

    /// Lays the command line's own settings and units over all and reads the result.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the layers.
    pub fn config(&self, line: &CommandLine) -> Result<Config, Vec<Diagnostic>> {
        let mut tree = self.tree.clone();
        let mut noticed = self.noticed.clone();
        merge(&mut tree, flags(line), &mut noticed);
        merge(&mut tree, units(line, (self.layer + 1) << 32), &mut noticed);
        let mut decoder = Decoder {
            environment: &self.environment,
            sources: &self.sources,
            diagnostics: noticed,
            disabled: false,
        };
        let mut config = self.decode(&mut decoder, &tree);
        config.rest = line.rest();
        let mut diagnostics = decoder.diagnostics;
        self.in_order(&mut diagnostics);
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(diagnostics);
        }
        config.remarks = diagnostics;
        Ok(config)
    }

    fn decode(&self, decoder: &mut Decoder, tree: &Table) -> Config {
        let top = decoder.fields("", schema::TOP, Some(tree));
        let level = if self.asked_for { log::LevelFilter::Info } else { log::LevelFilter::Warn };
        let mut config = Config {
            wait: decoder.wait(&top),
            shell: decoder.shell(&top),
            shutdown: decoder.shutdown(&top),
            log: decoder.log(&top, level),
            env: decoder.variables(top.entry("env")),
            signals: decoder.signals(&top),
            exit: decoder.exit(&top),
            xtrace: self.xtrace,
            work_dir: self.work_dir.clone(),
            units: Vec::new(),
            rest: Vec::new(),
            remarks: Vec::new(),
        };
        let ids = unit_ids(tree);
        let mut disabled = HashSet::new();
        for unit in decoder.declared(&top) {
            match decoder.unit(unit, &ids, self.partial) {
                Declared::Enabled(unit) => config.units.push(*unit),
                Declared::Disabled => _ = disabled.insert(format!("{}.{}", unit.0, unit.1)),
                Declared::Wrong => {}
            }
        }
        if !self.partial {
            Names::new(&ids, &disabled).resolve(&mut config, &mut decoder.diagnostics);
        }
        config
    }

    /// Sorts by layer and place, and shows the lines meant.
    fn in_order(&self, diagnostics: &mut [Diagnostic]) {
        diagnostics.sort_by_cached_key(|diagnostic| match &diagnostic.origin {
            Origin::Default => (0, 0, 0, None),
            Origin::File { path, line, column } => {
                let known = self.sources.iter().position(|source| source.path == *path);
                (1 + known.unwrap_or(self.sources.len()), *line, *column, None)
            }
            Origin::Variable(name) => (usize::MAX - 2, 0, 0, Some(name.clone())),
            Origin::Override(_) => (usize::MAX - 1, 0, 0, None),
            Origin::Flag(_) => (usize::MAX, 0, 0, None),
        });
        for diagnostic in diagnostics {
            self.illustrate(diagnostic);
        }
    }

    /// Adds the line meant to a diagnostic.
    pub fn illustrate(&self, diagnostic: &mut Diagnostic) {
        illustrate(&self.sources, diagnostic);
    }

    /// Where the order of a new layer's keys begins.
    fn next_layer(&mut self) -> u64 {
        self.layer += 1;
        self.layer << 32
    }

    fn push(&mut self, mut table: Table) {
        environment::canonical(&mut table, &mut self.noticed);
        merge(&mut self.tree, table, &mut self.noticed);
    }

    /// Finds out where the configuration is; false if it is not a directory.
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
        // A boot script may change the working directory before a script is sourced.
        self.work_dir = std::path::absolute(&directory).unwrap_or(directory);
        let why = match std::fs::metadata(&self.work_dir) {
            Ok(metadata) if metadata.is_dir() => return true,
            Ok(_) => "it is not a directory".to_owned(),
            Err(error) => reason(&error),
        };
        self.cannot(origin, "read", &self.work_dir.clone(), &why);
        false
    }

    fn base(&mut self) {
        let path = self.work_dir.join("trc.toml");
        match std::fs::symlink_metadata(&path) {
            Err(error) if is_missing(&error) => {}
            _ => self.file(&path, None, None),
        }
    }

    fn trivialrc_scripts(&mut self) {
        let directory = self.work_dir.clone();
        for name in self.list(&directory, b"trc.") {
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
                let path = Path::new(std::ffi::OsStr::from_bytes(path));
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

    fn config_keys(&mut self, line: &CommandLine) {
        for argument in &line.overrides {
            let Override::Key(path, value) = overrides::read(argument) else { continue };
            let origin = Origin::Override(argument.to_string_lossy().into());
            let order = self.next_layer();
            let mut table = Table::new();
            match environment::read_value(&value, schema::kind_at(&path), &origin, order) {
                Ok(node) => insert(&mut table, &path, node, order),
                Err(message) => self.noticed.push(Diagnostic::error(origin, message)),
            }
            self.push(table);
        }
    }

    /// The names in a directory that begin with `prefix`, none if it is missing.
    fn list(&mut self, directory: &Path, prefix: &[u8]) -> Vec<std::ffi::OsString> {
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

    /// Reads a file of TOML as the next layer: as that of one unit, or of everything.
    /// `asked_by` is who named it, if it wasn't found by trc itself.
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
        let order = self.next_layer();
        let parsed = file::parse(&source, order);
        self.sources.push(source);
        match parsed {
            Ok(table) => match unit {
                None => self.push(table),
                Some((stage, name)) => {
                    let origin = whole(path);
                    let path = [stage.name().to_owned(), name];
                    let mut layer = Table::new();
                    insert(&mut layer, &path, Node::table(table, origin), order);
                    self.push(layer);
                }
            },
            Err(errors) => {
                self.noticed.extend(errors);
                self.partial = true;
            }
        }
    }

    fn script(&mut self, path: &Path, stage: Stage, name: String) {
        // It is read by the shell; that it can be is known before anything starts.
        if let Err(error) = source::open(path) {
            return self.cannot(whole(path), "read", path, &reason(&error));
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
        // So that it is sorted among those that could be read.
        self.sources.push(Source { path: path.into(), text: "".into() });
        let path = dropins::shown(path.as_os_str());
        let mut error = Diagnostic::error(origin, format!("cannot {what} {path}: {why}"));
        if matches!(error.origin, Origin::Override(_)) && !path.contains('/') {
            error = error.help("it is taken for a file, since it is not KEY=VALUE");
        }
        self.noticed.push(error);
        self.partial = true;
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn whole(path: &Path) -> Origin {
    Origin::File { path: path.into(), line: 0, column: 0 }
}

fn skipped(path: &Path, right: Option<&str>) -> Diagnostic {
    let message = "skipped: it is neither a unit nor a fragment";
    let warning = Diagnostic::warning(whole(path), message);
    if let Some(stage) = right {
        return warning.help(format!("did you mean the stage `{stage}`?"));
    }
    Diagnostic { severity: Severity::Note, ..warning }
}

/// The settings that flags make.
fn flags(line: &CommandLine) -> Table {
    let mut layer = Table::new();
    let path = |path: &[&str]| path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
    if let Some(wait) = &line.wait {
        insert(&mut layer, &path(&["wait"]), Node::text(wait, Origin::Flag("--wait".into())), 0);
    }
    if let Some(level) = &line.log_level {
        let node = Node::text(level, Origin::Flag("--log-level".into()));
        insert(&mut layer, &path(&["log", "level"]), node, 0);
    }
    layer
}

/// The units of the command line, named by flag and number.
fn units(line: &CommandLine, order: u64) -> Table {
    let mut layer = Table::new();
    let mut numbers = [0; Stage::ALL.len()];
    let boot = line.boot.iter().map(|command| (Stage::Boot, command));
    let others = line.units.iter().map(|(stage, command)| (*stage, command));
    for (at, (stage, command)) in (order..).zip(boot.chain(others)) {
        let number = &mut numbers[stage as usize];
        *number += 1;
        let name = format!("{}{number}", stage.letter());
        let value = Value::Command(Command::Script(command.clone()));
        let node = Node { value, origin: Origin::Flag(format!("-{}", stage.letter()).into()) };
        insert(&mut layer, &[stage.name().to_owned(), name, "script".to_owned()], node, at);
    }
    if !line.trailing.is_empty() {
        let value = Value::Command(Command::Words(line.trailing.clone()));
        let node = Node { value, origin: Origin::Flag("the command line".into()) };
        let path = [Stage::Sync.name().to_owned(), "cmd".to_owned(), "exec".to_owned()];
        insert(&mut layer, &path, node, u64::MAX);
    }
    layer
}
