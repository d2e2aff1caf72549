//! Reads one unit's part of the merged tree.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::decode::{At, Decoder, Fields};
use super::foreign;
use super::key::{Keys, RELOADS, RUNS};
use super::{OUTPUT, POST_STOP, PRE_START, RELOAD, STOP, TEST, UNIT};
use crate::config::gone::Gone;
use crate::config::leaf::{self, Problem, one_of};
use crate::config::suggest::nearest_of;
use crate::config::value::{Entry, Node, Table, Value, shown};
use crate::config::{
    After, Command, Condition, Diagnostic, Form, Hook, Origin, Output, OutputFile, Placed, Reload,
    ReloadBy, Severity, Stage, Stop, Template, Unit, UnitRef, flags,
};
use crate::signal::Signal;

/// The keys of `output`, if it is a file.
#[derive(Default)]
pub(in crate::config) struct OutputKeys {
    pub file: Option<Placed<PathBuf>>,
    pub max_size: Option<u64>,
    pub keep: Option<u32>,
    pub pty: bool,
}

/// Reads a word that says where the output goes.
fn output_word(node: &Node, environment: &crate::config::Environment) -> leaf::Leaf<Output> {
    leaf::choice(node, environment).map_err(|problem| match &node.value {
        Value::String(path) => {
            let path = path.strip_prefix("file:").unwrap_or(path);
            let path = Some(path.trim_start_matches("//"));
            let path = path.filter(|path| path.starts_with('/'));
            let path = path.filter(|path| !path.starts_with("/dev/"));
            let help = path.map(|path| format!("write output = {{ file = {:?} }}", shown(path)));
            Problem { help: help.or(problem.help), ..problem }
        }
        _ => problem,
    })
}

/// The keys that say whether a unit is there.
pub(in crate::config) struct Presence {
    pub enabled: bool,
    pub profiles: Vec<String>,
}

/// The default of `within` in `reload`.
const RELOAD_WITHIN: Duration = Duration::from_mins(1);

/// The keys of `reload`.
#[derive(Default)]
pub(in crate::config) struct ReloadKeys {
    pub signal: Option<Signal>,
    pub exec: Option<Vec<Template>>,
    pub within: Option<Duration>,
}

/// The keys of `pre_start` and `post_stop`.
#[derive(Default)]
pub(in crate::config) struct HookKeys {
    pub exec: Option<Vec<Template>>,
    pub within: Option<Duration>,
}

/// The outcome of reading a declared unit.
pub(in crate::config) enum Declared {
    /// A unit of this run.
    Enabled(Box<Unit>),
    /// A unit that does not exist in this run.
    Gone(Gone),
    /// A unit with an error, which was reported.
    Wrong,
}

impl Decoder<'_> {
    /// Reads a unit. `others` has the names of all units, for suggestions; `partial` tells that the
    /// tree lacks a file, which may hold what this unit lacks.
    pub(in crate::config) fn unit(
        &mut self,
        (stage, name, entry): (Stage, &str, &Entry),
        others: &[String],
        partial: bool,
    ) -> Declared {
        let id = format!("{stage}.{name}");
        if name.is_empty() || name.contains(char::is_control) {
            let message = format!(
                "\"{}\" is not a valid name of a unit: it must be one line of text",
                shown(name)
            );
            self.error(&entry.key, message, None);
            return Declared::Wrong;
        }
        let at = At::Unit(&id);
        let is_test = stage == Stage::Test;
        let keys = if is_test { TEST } else { UNIT };
        let Some(fields) = self.table(&at, entry, keys) else { return Declared::Wrong };
        let why = self.gone((stage, name), &fields);
        // An unset variable of a test does not matter if the test does not run.
        self.disabled = why.is_some() || is_test && !self.testing;
        let mut unit = Unit::new(stage, name, entry.key.clone(), Command::Nothing);
        let has_command = RUNS.iter().any(|key| fields.entry(key).is_some());
        if is_test {
            self.test(&mut unit, entry, &fields, has_command);
            self.disabled = false;
            return why.map_or_else(|| Declared::Enabled(Box::new(unit)), Declared::Gone);
        }
        self.has_pid_file = fields.entry("pid_file").is_some();
        self.run_keys(&fields, &mut unit);
        self.unit_keys(&fields, &mut unit);
        self.has_pid_file = false;
        self.identity_keys(&fields, &mut unit.identity);
        self.tty_keys(&fields, &mut unit.identity);
        if !has_command && flags::is_name(stage, name) {
            self.disabled = false;
            self.absent(&id, entry);
            return Declared::Gone(Gone::Absent);
        }
        let is_outside = !has_command && fields.entry("ready").is_some();
        // An unknown key was probably meant to be `exec`, and was reported.
        if !has_command && !is_outside && !fields.has_unknown() && !partial {
            self.nothing_to_run(&id, entry, others, why == Some(Gone::Disabled));
        }
        self.disabled = false;
        if let Some(why) = why {
            return Declared::Gone(why);
        }
        // If the unit has neither a command nor `ready`, or a wrong one, an error was reported; the
        // unit's references are checked anyway. A unit with a wrong command, with an unknown key in
        // its place, or with a command that may be in a file that trc cannot read, is not an
        // external unit.
        let has_wrong_command = has_command && unit.command == Command::Nothing;
        let is_misspelt = is_outside && (fields.has_unknown() || partial);
        if !has_wrong_command && !is_misspelt {
            self.fit(&unit, &fields);
        }
        Self::ready_by_pid_file(&mut unit);
        Declared::Enabled(Box::new(unit))
    }

    /// Notes that the keys are for a unit of the command line that this run does not have.
    fn absent(&mut self, id: &str, entry: &Entry) {
        let message =
            format!("`{id}` is a unit of the command line, and this command line does not have it");
        let note = Diagnostic::warning(entry.key.clone(), message);
        self.diagnostics.push(Diagnostic { severity: Severity::Note, ..note });
    }

    /// Returns why a unit with these keys does not exist in this run, if it does not. A unit that
    /// `--only` names needs no profile, as in Compose.
    fn gone(&mut self, (stage, name): (Stage, &str), fields: &Fields) -> Option<Gone> {
        let mut presence = Presence { enabled: true, profiles: Vec::new() };
        self.enabled_keys(fields, &mut presence);
        let is_wanted = self.profiles.has_one_of(&presence.profiles);
        let is_this = |it: &str| match it.split_once('.') {
            Some(full) => full == (stage.name(), name),
            None => it == name,
        };
        let is_named = |it: &UnitRef| {
            is_this(&it.value) || it.value.rsplit_once('@').is_some_and(|(all, _)| is_this(all))
        };
        if !presence.enabled {
            Some(Gone::Disabled)
        } else if !is_wanted && !self.only.iter().any(is_named) {
            Some(Gone::Profiles(presence.profiles))
        } else {
            None
        }
    }

    fn nothing_to_run(&mut self, id: &str, entry: &Entry, others: &[String], disabled: bool) {
        let bare = |id: &'_ str| id.split_once('.').map_or("", |(_, name)| name).to_owned();
        let names = others.iter().filter(|other| *other != id).map(String::as_str);
        let names = names.filter_map(|other| Some((other.split_once('.')?.1, other)));
        let right = nearest_of(self.diagnostics.len(), &bare(id), names);
        let help = right.map(|right| format!("did you mean `{right}`?"));
        let id = shown(id);
        let diagnostic = match (&entry.key, disabled) {
            // A variable or an override for a unit that nobody declares is a mistake.
            (Origin::Variable(_) | Origin::Override(_), _) => {
                Diagnostic::error(entry.key.clone(), format!("there is no unit `{id}`"))
            }
            (_, true) => Diagnostic::warning(
                entry.key.clone(),
                format!("there is no unit `{id}` to disable"),
            ),
            (_, false) => Diagnostic::error(
                entry.key.clone(),
                format!("`[{id}]` has no command: it needs `exec` or `script`"),
            ),
        };
        self.diagnostics.push(Diagnostic { help, ..diagnostic });
    }

    /// Reads `exec`.
    pub(in crate::config) fn exec(&mut self, unit: &mut Unit, at: &At, entry: &Entry) {
        if !given(unit, entry) {
            unit.command_at = entry.key.clone();
            unit.command = self.words(at, entry).map_or(Command::Nothing, Command::Exec);
        }
    }

    /// Reads `script`.
    pub(in crate::config) fn script(&mut self, unit: &mut Unit, at: &At, entry: &Entry) {
        if !given(unit, entry) {
            unit.command_at = entry.key.clone();
            let text = self.get(at, entry, leaf::script);
            unit.command = text.map_or(Command::Nothing, Command::Script);
        }
    }

    /// Reads `output`.
    pub(in crate::config) fn output(&mut self, unit: &mut Unit, at: &At, entry: &Entry) {
        match &entry.node.value {
            Value::Array(items) => self.outputs(unit, at, &entry.node, items),
            Value::Table(table) => {
                let fields = self.fields(*at, OUTPUT, table);
                if self.output_table(unit, &fields, &entry.node) == Some(false) {
                    unit.output = Some(Output::Prefix);
                }
            }
            _ => unit.output = self.get(at, entry, output_word),
        }
    }

    /// Reads a list of places, all of which get the output.
    fn outputs(&mut self, unit: &mut Unit, at: &At, node: &Node, items: &[Node]) {
        let mut known = [false; 2];
        for item in items {
            let to_file = if let Value::Table(table) = &item.value {
                let fields = self.fields(*at, OUTPUT, table);
                self.output_table(unit, &fields, item)
            } else {
                match self.read(at, item, output_word) {
                    Some(Output::Prefix) => Some(false),
                    Some(Output::Inherit | Output::Null) => {
                        let why =
                            "\"inherit\" and \"null\" stand for themselves, and not in a list";
                        self.problem(at, item, Problem::new(why));
                        None
                    }
                    None => None,
                }
            };
            let Some(to_file) = to_file else { continue };
            if std::mem::replace(&mut known[usize::from(to_file)], true) {
                let (what, help) = if to_file {
                    ("trc writes the output of a unit to one file", None)
                } else {
                    let help = "for a pseudo-terminal, write { pty = true } in place of \"prefix\"";
                    ("the output goes to the log already", Some(help.to_owned()))
                };
                self.problem(at, item, Problem { help, ..Problem::new(what) });
            }
            if !to_file {
                unit.output = Some(Output::Prefix);
            }
        }
        if items.is_empty() {
            let help = Some("to discard the output, write output = \"null\"".to_owned());
            self.problem(at, node, Problem { help, ..Problem::new("this list is empty") });
        }
    }

    /// Reads a table that says where the output goes. Returns whether that is a file, and not the
    /// log.
    fn output_table(&mut self, unit: &mut Unit, fields: &Fields, node: &Node) -> Option<bool> {
        let mut keys = OutputKeys::default();
        self.output_keys(fields, &mut keys);
        unit.output_pty |= keys.pty;
        if fields.lacks("file") {
            if keys.pty && fields.lacks("max_size") && fields.lacks("keep") {
                return Some(false);
            }
            self.problem(&fields.at, node, Problem::new("this table needs a `file`"));
            return None;
        }
        let Placed { value: path, origin } = keys.file?;
        let value = OutputFile { path, max_size: keys.max_size, keep: keys.keep };
        unit.output_file = Some(Placed { value, origin });
        Some(true)
    }

    /// Reports a table without `file`.
    pub(in crate::config) fn file_is_there(&mut self, fields: &Fields, entry: &Entry) {
        if fields.lacks("file") {
            self.problem(&fields.at, &entry.node, Problem::new("this table needs a `file`"));
        }
    }

    /// Reads `stop`.
    pub(in crate::config) fn stop(&mut self, at: &At, entry: &Entry) -> Option<Stop> {
        let fields = self.table(at, entry, STOP)?;
        let mut stop = Stop::default();
        self.stop_keys(&fields, &mut stop);
        Some(stop)
    }

    /// Reads `reload`.
    pub(in crate::config) fn reload(&mut self, at: &At, entry: &Entry) -> Option<Reload> {
        let fields = self.table(at, entry, RELOAD)?;
        let mut keys = ReloadKeys::default();
        self.reload_keys(&fields, &mut keys);
        if RELOADS.iter().all(|key| fields.lacks(key)) {
            let message = format!("`{}` needs a `signal` or an `exec`", fields.at);
            let help = format!("write {} = {{ signal = \"SIGHUP\" }}", at.name());
            self.error(&entry.key, message, Some(help));
        }
        let by = keys.signal.map(ReloadBy::Signal).or(keys.exec.map(ReloadBy::Exec))?;
        Some(Reload { by, within: keys.within.unwrap_or(RELOAD_WITHIN) })
    }

    /// Reads `pre_start`.
    pub(in crate::config) fn pre_start(&mut self, at: &At, entry: &Entry) -> Option<Box<Hook>> {
        self.hook(at, entry, PRE_START, Self::pre_start_keys)
    }

    /// Reads `post_stop`.
    pub(in crate::config) fn post_stop(&mut self, at: &At, entry: &Entry) -> Option<Box<Hook>> {
        self.hook(at, entry, POST_STOP, Self::post_stop_keys)
    }

    fn hook(
        &mut self,
        at: &At,
        entry: &Entry,
        keys: Keys,
        read: fn(&mut Self, &Fields, &mut HookKeys),
    ) -> Option<Box<Hook>> {
        let fields = self.table(at, entry, keys)?;
        let mut hook = HookKeys::default();
        read(self, &fields, &mut hook);
        if fields.lacks("exec") {
            let message = format!("`{}` needs an `exec`", fields.at);
            let help = format!("write {} = \"COMMAND\"", at.name());
            self.error(&entry.key, message, Some(help));
        }
        Some(Box::new(Hook { exec: hook.exec?, within: hook.within }))
    }

    /// Reads `after` or `before`.
    pub(in crate::config) fn after(&mut self, at: &At, entry: &Entry) -> Option<Vec<After>> {
        let Value::Table(table) = &entry.node.value else {
            if let Value::Array(items) = &entry.node.value
                && let Some(item) = items.iter().find(|item| item.as_table().is_some())
            {
                let help = format!(
                    "write one table for all units: {} = {{ db = \"ready\", web = \"started\" }}",
                    at.name()
                );
                let problem = Problem::expected("a string", item);
                self.problem(at, item, Problem { help: Some(help), ..problem });
                return None;
            }
            let names = self.list(at, entry, leaf::text)?;
            return Some(names.into_iter().map(|unit| After { unit, condition: None }).collect());
        };
        let one = |(name, entry): (String, &Entry)| {
            // A wrong name is reported even next to a wrong condition.
            let condition = self.get(&at.key(&name), entry, condition);
            let unit = Placed { value: name, origin: entry.key.clone() };
            After { unit, condition }
        };
        Some(by_unit(table).into_iter().map(one).collect())
    }
}

/// Tells whether the command line or a script file gives the unit's command, and takes it if so.
fn given(unit: &mut Unit, entry: &Entry) -> bool {
    let Value::Command(command) = &entry.node.value else { return false };
    unit.form = match command {
        Command::File(_) => Form::Script,
        Command::Words(_) => Form::Trailing,
        Command::Script(_) | Command::Exec(_) | Command::Nothing => Form::Flag,
    };
    unit.command = command.clone();
    true
}

fn condition(node: &Node, environment: &crate::config::Environment) -> leaf::Leaf<Condition> {
    let expected = one_of(leaf::variants::<Condition>());
    if !matches!(node.value, Value::String(_)) {
        let found = node.value.describe();
        let problem = Problem::new(format!("expected {expected}, found {found}"));
        let word = node.as_table().and_then(|table| table.get("condition"));
        return Err(match word.map(|entry| &entry.node.value) {
            None if matches!(node.value, Value::Boolean(true)) => Problem {
                help: Some("write \"ready\", or \"started\" if the unit has no `ready`".to_owned()),
                ..problem
            },
            // As in docker compose.
            Some(Value::String(word)) => Problem {
                help: Some(foreign::condition(word).map_or_else(
                    || "write the condition itself in place of the table".to_owned(),
                    |help| format!("write the condition itself in place of the table; {help}"),
                )),
                ..problem
            },
            _ => problem,
        });
    }
    leaf::choice(node, environment).map_err(|problem| match &node.value {
        Value::String(word) => Problem {
            help: foreign::condition(word).map(str::to_owned).or(problem.help),
            ..problem
        },
        _ => problem,
    })
}

/// Returns the entries of a table whose keys are names of units, in the order in which they were
/// written.
pub(in crate::config) fn by_unit(table: &Table) -> Vec<(String, &Entry)> {
    let mut entries: Vec<(String, &Entry)> = Vec::new();
    for (name, entry) in table {
        // Without quotes, `async.db` is a table in a table.
        match entry.node.as_table() {
            Some(inner) if is_stage(name) => {
                entries.extend(inner.iter().map(|(unit, e)| (format!("{name}.{unit}"), e)));
            }
            _ => entries.push((name.clone(), entry)),
        }
    }
    entries.sort_by_key(|(_, entry)| entry.order);
    entries
}

/// Reads the name of a profile.
pub(in crate::config) fn profile(
    node: &Node,
    environment: &crate::config::Environment,
) -> leaf::Leaf<String> {
    let name = leaf::line(node, environment)?;
    let bad = |name: std::ffi::OsString| {
        let message = format!("\"{}\" is not a valid profile", shown(&name.to_string_lossy()));
        let help = "a profile is a word of letters, digits, `_`, `.` and `-`";
        Problem { help: Some(help.to_owned()), ..Problem::new(message) }
    };
    let name = name.into_string().map_err(bad)?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.chars().all(is_good) { Ok(name) } else { Err(bad(name.into())) }
}

/// Reads a stop signal, which can be any but SIGSTOP. The help for a command or a time names the
/// key that it belongs in.
pub(in crate::config) fn stop_signal(
    node: &Node,
    environment: &crate::config::Environment,
) -> leaf::Leaf<Signal> {
    match (leaf::signal(node, environment), &node.value) {
        (Ok(Signal::STOP), _) => {
            Err(Problem::new("SIGSTOP cannot stop a unit: it only suspends its process"))
        }
        (Err(problem), Value::String(text)) if let Some(help) = signal_and_time(text) => {
            Err(Problem { help: Some(help), ..problem })
        }
        (Err(problem), Value::String(text)) if text.contains([' ', '/']) => {
            let command = shown(text);
            let help =
                format!("to stop the unit with a command, write stop = {{ exec = {command:?} }}");
            Err(Problem { help: Some(help), ..problem })
        }
        (Err(problem), Value::String(text))
            if crate::config::time::positive(node, environment).is_ok() =>
        {
            let help = format!("if that is a time, write stop = {{ timeout = {:?} }}", shown(text));
            Err(Problem { help: Some(help), ..problem })
        }
        (signal, _) => signal,
    }
}

/// Reads the signal of a reload, which can be any that a program can handle. The help for a command
/// names the key that it belongs in.
pub(in crate::config) fn reload_signal(
    node: &Node,
    environment: &crate::config::Environment,
) -> leaf::Leaf<Signal> {
    match (leaf::signal(node, environment), &node.value) {
        (Ok(signal @ (Signal::STOP | Signal::KILL)), _) => {
            Err(Problem::new(format!("no program can handle {signal}, so it cannot reload a unit")))
        }
        (Err(problem), Value::String(text)) if text.contains([' ', '/']) => {
            let command = shown(text);
            let help = format!(
                "to reload the unit with a command, write reload = {{ exec = {command:?} }}"
            );
            Err(Problem { help: Some(help), ..problem })
        }
        (signal, _) => signal,
    }
}

/// Returns the help for a signal and a time in one string: `QUIT 30s`.
fn signal_and_time(text: &str) -> Option<String> {
    let (signal, time) = text.split_once([' ', ',', '/', ':'])?;
    let time = time.trim();
    leaf::signal_name(signal).ok()?;
    let node = Node::text(time, Origin::Default);
    crate::config::time::positive(&node, &crate::config::Environment::new()).ok()?;
    Some(format!("write stop = {{ signal = \"{signal}\", timeout = \"{time}\" }}"))
}

fn is_stage(name: &str) -> bool {
    Stage::ALL.iter().any(|stage| stage.name() == name)
}

/// Returns every unit of a tree, in the order in which the units were declared.
pub(in crate::config) fn declared(tree: &Table) -> Vec<(Stage, &str, &Entry)> {
    let mut units: Vec<_> = all_units(tree).collect();
    units.sort_by_key(|(_, _, unit)| unit.order);
    units
}

/// Returns the full names of the units of a tree.
pub(in crate::config) fn unit_ids(tree: &Table) -> Vec<String> {
    all_units(tree).map(|(stage, name, _)| format!("{stage}.{name}")).collect()
}

fn all_units(tree: &Table) -> impl Iterator<Item = (Stage, &str, &Entry)> {
    Stage::ALL.into_iter().flat_map(|stage| {
        let units = tree.get(stage.name()).and_then(|stage| stage.node.as_table());
        units.into_iter().flatten().map(move |(name, unit)| (stage, name.as_str(), unit))
    })
}

/// Tells whether a script has only comments and empty lines. A file over 64 KiB counts as more.
pub(in crate::config) fn says_nothing(command: &Command) -> bool {
    const LARGEST: u64 = 64 * 1024;
    let hollow = |bytes: &[u8]| {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.all(|line| line.is_empty() || line.starts_with(b"#"))
    };
    match command {
        Command::Script(text) => hollow(text.as_bytes()),
        Command::File(path) => {
            let mut bytes = Vec::new();
            let read = crate::config::source::open(path)
                .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
            read.is_ok_and(|count| count as u64 <= LARGEST) && hollow(&bytes)
        }
        Command::Exec(_) | Command::Words(_) | Command::Nothing => false,
    }
}
