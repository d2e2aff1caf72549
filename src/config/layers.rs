//! All layers in their order, read once and merged.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::cli::CommandLine;
use super::environment::{self, flag};
use super::gone::Gone;
use super::keys::TOP;
use super::keys::decode::{At, Decoder};
use super::keys::key::{Kind, kind_at};
use super::keys::unit::{Declared, declared, unit_ids};
use super::merge::{merge, overrides};
use super::overrides::{self as arguments, Override};
use super::profiles::{self, Profiles};
use super::resolve::Names;
use super::source::{Source, illustrate, line_within};
use super::value::{Entry, Table, insert};
use super::{
    Config, Control, Diagnostic, Environment, Exit, FileEnv, Log, LogFormat, LogTo, Origin,
    Severity, Shutdown, Stage, Termination, Testing, Unit, WaitPolicy, flags, only, testing,
};

/// The directory of the configuration without `-w`.
const WORK_DIR: &str = "/etc";

/// The result of all layers below the command line's own settings and units.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) tree: Table,
    pub(super) sources: Vec<Source>,
    pub(super) environment: Environment,
    pub(super) work_dir: PathBuf,
    xtrace: bool,
    /// The diagnostics so far.
    pub(super) noticed: Vec<Diagnostic>,
    /// Whether trc has read a TOML file: somebody asked for an init.
    pub(super) asked_for: bool,
    /// Whether trc could not read a file, so that the tree lacks its contents.
    pub(super) partial: bool,
    layer: u64,
    /// The number of bytes read so far.
    pub(super) bytes: usize,
}

/// The largest number of units. Each takes some kilobytes of PID 1's memory, and PIDs are below
/// 32,768 on many machines.
const MOST_UNITS: usize = 10_000;

impl Layers {
    /// Returns no layers.
    pub(super) fn empty(environment: &Environment) -> Self {
        Self {
            tree: Table::new(),
            sources: Vec::new(),
            environment: environment.clone(),
            work_dir: WORK_DIR.into(),
            xtrace: false,
            noticed: Vec::new(),
            asked_for: false,
            partial: false,
            layer: 0,
            bytes: 0,
        }
    }

    /// Reads every file and variable that the command line and the environment ask for.
    pub(super) fn read(line: &CommandLine, environment: &Environment) -> Self {
        let mut layers = Self::empty(environment);
        if line.bare {
            return layers;
        }
        if flag(environment, "TRC_BARE", &mut layers.noticed) {
            if let Some(why) = line.not_bare() {
                layers.noticed.push(Diagnostic::error(Origin::Variable("TRC_BARE".into()), why));
            }
            return layers;
        }
        layers.read_files(line);
        let order = layers.next_layer();
        let table = environment::layer(environment, &layers.tree, order, &mut layers.noticed);
        layers.xtrace = flag(environment, "RC_DEBUG", &mut layers.noticed);
        layers.push(table);
        layers.config_keys(line);
        layers
    }

    /// Merges the command line's own settings and units into the layers and decodes the result.
    /// Returns the configuration, and all diagnostics in the order of the layers.
    pub(super) fn config(&self, line: &CommandLine) -> (Config, Vec<Diagnostic>) {
        let mut noticed = self.noticed.clone();
        let tree = self.whole(line, &mut noticed);
        let only = only::names(line, &self.environment);
        let mut decoder = Decoder {
            environment: &self.environment,
            sources: &self.sources,
            tree: &tree,
            diagnostics: noticed,
            disabled: false,
            has_pid_file: false,
            testing: false,
            profiles: Profiles::read(environment::variable(&self.environment, profiles::VARIABLE)),
            only: &only,
        };
        let testing = decoder.testing(line);
        decoder.testing = testing.as_ref().is_some_and(|testing| !testing.list);
        let mut config = self.decode(&mut decoder, &tree, testing);
        decoder.diagnostics.extend(testing::mistaken(&config, line));
        config.rest = line.rest();
        let mut diagnostics = decoder.diagnostics;
        self.in_order(&mut diagnostics);
        (config, diagnostics)
    }

    /// Merges the command line's own settings and units into the layers.
    pub(super) fn whole(&self, line: &CommandLine, noticed: &mut Vec<Diagnostic>) -> Table {
        let mut tree = self.tree.clone();
        merge(&mut tree, flags::settings(line), noticed);
        merge(&mut tree, flags::units(line, (self.layer + 1) << 32), noticed);
        tree
    }

    fn decode(&self, decoder: &mut Decoder, tree: &Table, testing: Option<Testing>) -> Config {
        let top = decoder.fields(At::Top, TOP, tree);
        let level = if self.asked_for { log::LevelFilter::Info } else { log::LevelFilter::Warn };
        let log = Log {
            level,
            asked: false,
            format: LogFormat::default(),
            to: LogTo::default(),
            output: None,
            termination: Termination::default(),
            syslog: None,
        };
        let mut config = Config {
            wait: WaitPolicy::default(),
            shell: None,
            shutdown: Shutdown::default(),
            log,
            control: Control::default(),
            env: BTreeMap::new(),
            file_env: FileEnv::No,
            signals: BTreeMap::new(),
            exit: Exit::default(),
            xtrace: self.xtrace,
            work_dir: self.work_dir.clone(),
            units: Vec::new(),
            rest: Vec::new(),
            testing,
            remarks: Vec::new(),
            left_out: BTreeMap::new(),
        };
        decoder.top(&top, &mut config);
        let ids = unit_ids(tree);
        let mut gone = BTreeMap::new();
        let mut declared = declared(tree);
        let count = declared.len();
        if let Some((_, _, unit)) = declared.get(MOST_UNITS) {
            let message = format!("there are {count} units, but trc runs at most {MOST_UNITS}");
            decoder.error(&unit.key, message, None);
            declared.truncate(MOST_UNITS);
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for unit in declared {
            let id = unit_id(&unit);
            let Some(instances) = decoder.instances_of(unit) else {
                match decoder.unit(unit, &ids, self.partial) {
                    Declared::Enabled(unit) => config.units.push(*unit),
                    Declared::Gone(why) => _ = gone.insert(id, why),
                    Declared::Wrong => {}
                }
                continue;
            };
            if config.units.len() + instances.len() > MOST_UNITS {
                let message = format!("with its instances, there are more than {MOST_UNITS} units");
                decoder.error(&unit.2.key, message, None);
                continue;
            }
            let (mut members, mut missing) = (Vec::new(), Gone::NoInstance);
            for instance in instances {
                let member = format!("{id}@{instance}");
                if let Some(entry) = instance_table(tree, unit.0, unit.1, &instance) {
                    let message = format!(
                        "`{member}` is an instance of `{id}`, which has the same keys for all"
                    );
                    let help = format!("choose values by `${{INSTANCE}}` in `[{id}]`");
                    decoder.error(&entry.key, message, Some(help));
                }
                match decoder.instance(unit, &instance, &ids, self.partial) {
                    Declared::Enabled(unit) => config.units.push(*unit),
                    Declared::Gone(why) => {
                        missing = why.clone();
                        gone.insert(member.clone(), why);
                    }
                    Declared::Wrong => {}
                }
                members.push(member);
            }
            if members.iter().all(|member| gone.contains_key(member)) {
                gone.insert(id.clone(), missing);
            }
            groups.insert(id, members);
        }
        decoder.share_files(&mut config.units);
        if !self.partial {
            decoder.diagnostics.extend(decoder.profiles.unknown());
            if !decoder.only.is_empty() {
                // The names have to be full ones first.
                let (mut all, mut errors) = (config.clone(), Vec::new());
                let names = Names::new(&ids, &groups, &gone, tree);
                names.resolve(&mut all, &mut errors);
                // The errors among them are reported below.
                errors.retain(|error| error.severity == Severity::Error);
                let known = errors.len();
                let left = only::select(&mut all, decoder.only, &names, &gone, &mut errors);
                errors.drain(..known);
                decoder.diagnostics.append(&mut errors);
                config.units.retain(|unit| !left.contains(&unit.id()));
                for unit in &mut config.units {
                    let is_it = |it: &&Unit| it.id() == unit.id();
                    unit.autostart = all.units.iter().find(is_it).is_some_and(|it| it.autostart);
                }
                gone.extend(left.into_iter().map(|id| (id, Gone::Only)));
            }
            Names::new(&ids, &groups, &gone, tree).resolve(&mut config, &mut decoder.diagnostics);
            config.left_out = gone
                .iter()
                .filter(|(_, why)| **why != Gone::Absent)
                // One line about all instances says enough.
                .filter(|(id, _)| {
                    id.rsplit_once('@').is_none_or(|(all, _)| !gone.contains_key(all))
                })
                .map(|(id, why)| (id.clone(), why.to_string()))
                .collect();
            testing::select(&mut config, &gone, &self.sources, &mut decoder.diagnostics);
        }
        config
    }

    /// Sorts diagnostics by layer and place, limits their number, and adds to each the line that it
    /// is about and the value that the line overrides.
    pub(super) fn in_order(&self, diagnostics: &mut Vec<Diagnostic>) {
        let places = self.sources.iter().enumerate().rev();
        let known: BTreeMap<&OsStr, usize> =
            places.map(|(at, source)| (source.path.as_os_str(), at + 1)).collect();
        diagnostics.sort_by_cached_key(|diagnostic| match &diagnostic.origin {
            Origin::Default => (0, 0, 0, None),
            Origin::File { path, line, column } => {
                let place = known.get(path.as_os_str()).copied();
                (place.unwrap_or(self.sources.len() + 1), *line, *column, None)
            }
            Origin::Variable(name) => (usize::MAX - 2, 0, 0, Some(name.clone())),
            Origin::Override(_) => (usize::MAX - 1, 0, 0, None),
            Origin::Flag(_) | Origin::Others => (usize::MAX, 0, 0, None),
        });
        Diagnostic::shorten(diagnostics);
        let nothing = Table::new();
        let tree = if diagnostics.is_empty() { &nothing } else { &self.tree };
        let overrides = overrides(tree, Kind::Table(TOP));
        for diagnostic in diagnostics {
            let place = &diagnostic.origin;
            let meant = overrides.iter().find(|one| one.key == *place || one.node.is_at(place));
            if let Some(earlier) = meant.and_then(|entry| entry.also.last()) {
                diagnostic.note = Some(format!("this overrides {earlier}"));
            }
            illustrate(&self.sources, diagnostic);
        }
    }

    /// Returns the place of a line of a script that is written in a TOML file.
    pub(super) fn line_of_script(&self, unit: &Unit, line: u32) -> Option<Origin> {
        let units = self.tree.get(unit.stage.name())?.node.as_table()?;
        let script = units.get(unit.declared_name())?.node.as_table()?.get("script")?;
        Some(line_within(&self.sources, &script.node.origin, line))
    }

    /// Returns the place of a key, or of the innermost table around it that is written, if any is.
    pub(super) fn place_of(&self, path: &[&str]) -> Option<Origin> {
        let mut table = Some(&self.tree);
        let mut found = None;
        for key in path {
            let Some(entry) = table.and_then(|table| table.get(*key)) else { break };
            found = Some(entry.key.clone());
            table = entry.node.as_table();
        }
        found
    }

    /// Frees everything that was read, except what a comparison with another configuration needs if
    /// there may be one.
    pub(super) fn forget(&mut self, compared: bool) {
        self.sources = Vec::new();
        self.noticed = Vec::new();
        if !compared {
            self.tree = Table::new();
            self.environment = Environment::new();
        }
    }

    /// Returns the first order number for the keys of a new layer.
    pub(super) fn next_layer(&mut self) -> u64 {
        self.layer += 1;
        self.layer << 32
    }

    /// Merges a layer into the tree.
    pub(super) fn push(&mut self, mut table: Table) {
        environment::canonical(&mut table, &mut self.noticed);
        merge(&mut self.tree, table, &mut self.noticed);
    }

    /// Merges the `KEY=VALUE` of the command line into the layers.
    pub(super) fn config_keys(&mut self, line: &CommandLine) {
        for argument in &line.overrides {
            let Override::Key(path, value) = arguments::read(argument) else { continue };
            let origin = Origin::Override(argument.to_string_lossy().into());
            let order = self.next_layer();
            let mut table = Table::new();
            match environment::read_value(&value, kind_at(&path), &origin, order) {
                Ok(node) => insert(&mut table, &path, node, order),
                Err(message) => self.noticed.push(Diagnostic::error(origin, message)),
            }
            self.push(table);
        }
    }
}

/// Returns the table of a unit that has the name of an instance.
fn instance_table<'t>(
    tree: &'t Table,
    stage: Stage,
    name: &str,
    instance: &str,
) -> Option<&'t Entry> {
    tree.get(stage.name())?.node.as_table()?.get(&format!("{name}@{instance}"))
}

fn unit_id((stage, name, _): &(Stage, &str, &Entry)) -> String {
    format!("{stage}.{name}")
}
