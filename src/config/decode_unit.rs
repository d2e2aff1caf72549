//! One unit's part of the merged tree.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;

use super::decode::{Decoder, Fields};
use super::leaf::{self, Problem, one_of};
use super::suggest::nearest_of;
use super::time::{duration, positive};
use super::value::{Entry, Node, Table, Value, shown};
use super::{
    After, Command, Condition, Diagnostic, Form, Origin, OutputFile, Placed, Severity, Stage, Stop,
    Unit, flags, schema,
};
use crate::signal::Signal;

/// What became of a declared unit.
pub(super) enum Declared {
    /// It is to run.
    Enabled(Box<Unit>),
    /// `enabled = false`.
    Disabled,
    /// It is a unit of the command line, which this run doesn't have there.
    Absent,
    /// Something is wrong with it, which was noted.
    Wrong,
}

impl Decoder<'_> {
    /// Reads a unit. `others` are all units' names, for suggestions; `partial` says that
    /// a file is missing from the tree, which may hold what this unit lacks.
    pub(super) fn unit(
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
        let Some(table) = self.names(&id, Some(entry)) else { return Declared::Wrong };
        let enabled = table.get("enabled");
        let enabled = enabled.map(|entry| self.read("enabled", &entry.node, leaf::boolean));
        self.disabled = enabled == Some(Some(false));
        let place = format!(" in `[{}]`", shown(&id));
        let has_command = schema::RUNS.iter().any(|key| table.contains_key(*key));
        if stage == Stage::Test {
            let fields = self.fields(&place, schema::TEST, Some(table));
            // Nothing of it counts where it isn't to run.
            self.disabled |= !self.testing;
            let command = self.command(&fields);
            let unit = self.test(name, entry, &fields, has_command);
            if let Some((command, _)) = command.as_ref().filter(|_| self.testing)
                && says_nothing(command)
                && unit.test.as_ref().is_some_and(|test| test.asks_for_status_alone())
            {
                let origin = fields.entry("script").map_or(&entry.key, |script| &script.key);
                let message = format!("the script of {id} does nothing, so the test cannot fail");
                let help = "add a command, or a key of `expect`".to_owned();
                self.error(origin, message, Some(help));
            }
            if std::mem::take(&mut self.disabled) && enabled == Some(Some(false)) {
                return Declared::Disabled;
            }
            let (command, form) = command.unwrap_or((Command::Nothing, Form::Declared));
            return Declared::Enabled(Box::new(Unit { form, command, ..unit }));
        }
        let fields = self.fields(&place, schema::UNIT, Some(table));
        let command = self.command(&fields);
        let unit = self.rest(stage, name, entry, &fields);
        if !has_command && flags::is_name(stage, name) {
            self.disabled = false;
            self.absent(&id, entry);
            return Declared::Absent;
        }
        let is_outside = !has_command && fields.entry("ready").is_some();
        // An unknown key was probably meant to be `exec`, and was reported.
        if !has_command && !is_outside && !fields.has_unknown() && !partial {
            self.nothing_to_run(&id, entry, others);
        }
        if std::mem::take(&mut self.disabled) {
            return Declared::Disabled;
        }
        let has_wrong_command = has_command && command.is_none();
        // Where it has neither command nor `ready`, or a wrong one, an error was noted; the
        // unit's references are checked anyway.
        let (command, form) = command.unwrap_or((Command::Nothing, Form::Declared));
        let unit = Unit { form, command, ..unit };
        // What has a wrong command, or a wrong key in its place, is nothing outside.
        let is_misspelt = is_outside && fields.has_unknown();
        if !has_wrong_command && !is_misspelt {
            self.fit(&unit, &fields);
        }
        Declared::Enabled(Box::new(unit))
    }

    /// Keys for a unit of the command line are for the runs that have it.
    fn absent(&mut self, id: &str, entry: &Entry) {
        let message =
            format!("`{id}` is a unit of the command line, and this command line does not have it");
        let note = Diagnostic::warning(entry.key.clone(), message);
        self.diagnostics.push(Diagnostic { severity: Severity::Note, ..note });
    }

    fn nothing_to_run(&mut self, id: &str, entry: &Entry, others: &[String]) {
        let bare = |id: &'_ str| id.split_once('.').map_or("", |(_, name)| name).to_owned();
        let names = others.iter().filter(|other| *other != id).map(String::as_str);
        let names = names.filter_map(|other| Some((other.split_once('.')?.1, other)));
        let right = nearest_of(self.diagnostics.len(), &bare(id), names);
        let help = right.map(|right| format!("did you mean `{right}`?"));
        let id = shown(id);
        let diagnostic = match (&entry.key, self.disabled) {
            // A variable or override for a unit that nobody declares is a slip.
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

    fn command(&mut self, fields: &Fields) -> Option<(Command, Form)> {
        let (key, entry) = match (fields.entry("exec"), fields.entry("script")) {
            (Some(entry), _) => ("exec", entry),
            (None, Some(entry)) => ("script", entry),
            (None, None) => return None,
        };
        if let Value::Command(command) = &entry.node.value {
            let form = match command {
                Command::File(_) => Form::Script,
                Command::Words(_) => Form::Trailing,
                Command::Script(_) | Command::Exec(_) | Command::Nothing => Form::Flag,
            };
            return Some((command.clone(), form));
        }
        let command = if key == "exec" {
            Command::Exec(self.words(key, &entry.node)?)
        } else {
            Command::Script(self.read(key, &entry.node, leaf::script)?)
        };
        Some((command, Form::Declared))
    }

    /// All of a unit but what it runs.
    fn rest(&mut self, stage: Stage, name: &str, entry: &Entry, fields: &Fields) -> Unit {
        Unit {
            description: self.get(fields, "description", leaf::text),
            oneshot: self.get(fields, "oneshot", leaf::boolean),
            always: self.get(fields, "always", leaf::boolean).unwrap_or(false),
            after: fields.entry("after").map_or(Vec::new(), |after| self.after(&after.node)),
            ready: self.ready(fields),
            health: self.health(fields),
            restart: self.restart(fields),
            max_runtime: self.get(fields, "max_runtime", positive),
            success: fields.entry("success").map(|success| match &success.node.value {
                Value::Integer(..) | Value::String(_) => {
                    self.read("success", &success.node, leaf::status).into_iter().collect()
                }
                _ => {
                    let list = self.list("success", &success.node, false, leaf::status);
                    list.into_iter().map(|status| status.value).collect()
                }
            }),
            on_failure: self.get(fields, "on_failure", leaf::choice).unwrap_or_default(),
            stop: self.stop(fields),
            pdeathsig: self.get(fields, "pdeathsig", leaf::signal),
            identity: self.identity(fields),
            output: match fields.entry("output").map(|output| &output.node.value) {
                Some(Value::Table(_)) => None,
                Some(_) | None => self.get(fields, "output", leaf::choice),
            },
            output_file: self.output_file(fields),
            ..Unit::new(stage, name, entry.key.clone(), Command::Nothing)
        }
    }

    fn output_file(&mut self, fields: &Fields) -> Option<Placed<OutputFile>> {
        let entry = fields.entry("output")?;
        let table = entry.node.as_table()?;
        let fields = self.fields(" in `output`", schema::OUTPUT, Some(table));
        let max_size = self.get(&fields, "max_size", leaf::file_size);
        let keep = self
            .get(&fields, "keep", |node, environment| leaf::number(node, environment, 0..=1000));
        if fields.entry("file").is_none() && !fields.has_unknown() {
            self.problem("output", &entry.node, Problem::new("this table needs a `file`"));
        }
        let file = self.placed(&fields, "file", leaf::absolute)?;
        let value = OutputFile { path: file.value, max_size, keep };
        Some(Placed { value, origin: file.origin })
    }

    fn stop(&mut self, fields: &Fields) -> Stop {
        let table = self.names("stop", fields.entry("stop"));
        let fields = self.fields(" in `stop`", schema::STOP, table);
        Stop {
            signal: self.get(&fields, "signal", stop_signal),
            timeout: self.get(&fields, "timeout", duration),
            to: self.get(&fields, "to", leaf::choice),
            exec: fields.entry("exec").and_then(|exec| self.words("stop.exec", &exec.node)),
        }
    }

    /// `after`.
    pub(super) fn after(&mut self, node: &Node) -> Vec<After> {
        let Value::Table(table) = &node.value else {
            let names = self.unit_names("after", node);
            return names.into_iter().map(|unit| After { unit, condition: None }).collect();
        };
        by_unit(table)
            .into_iter()
            .map(|(name, entry)| {
                // Beside a wrong condition, which is noted, a wrong name is told too.
                let condition = self.read("after", &entry.node, condition);
                let unit = Placed { value: name, origin: entry.key.clone() };
                After { unit, condition }
            })
            .collect()
    }
}

fn condition(node: &Node, environment: &super::Environment) -> leaf::Leaf<Condition> {
    let expected = one_of(leaf::variants::<Condition>());
    if !matches!(node.value, Value::String(_)) {
        let found = node.value.describe();
        return Err(Problem::new(format!("expected {expected}, found {found}")));
    }
    leaf::choice(node, environment)
}

/// The entries of a table whose keys are units' names, in the order in which they were written.
pub(super) fn by_unit(table: &Table) -> Vec<(String, &Entry)> {
    let mut entries: Vec<(String, &Entry)> = Vec::new();
    for (name, entry) in table {
        // Without quotes `async.db` is a table in a table.
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

/// A signal that a unit may end by, if only it makes something of it; a command is told where it
/// belongs.
fn stop_signal(node: &Node, environment: &super::Environment) -> leaf::Leaf<Signal> {
    match (leaf::signal(node, environment), &node.value) {
        (Ok(Signal::STOP), _) => {
            Err(Problem::new("SIGSTOP cannot stop a unit: it only suspends its process"))
        }
        (Err(problem), Value::String(text)) if text.contains([' ', '/']) => {
            let command = shown(text);
            let help =
                format!("to stop the unit with a command, write stop = {{ exec = {command:?} }}");
            Err(Problem { help: Some(help), ..problem })
        }
        (Err(problem), Value::String(text)) if super::time::positive(node, environment).is_ok() => {
            let help = format!("if that is a time, write stop = {{ timeout = {:?} }}", shown(text));
            Err(Problem { help: Some(help), ..problem })
        }
        (signal, _) => signal,
    }
}

fn is_stage(name: &str) -> bool {
    Stage::ALL.iter().any(|stage| stage.name() == name)
}

/// The units of a tree, by stage and name.
pub(super) fn unit_ids(tree: &Table) -> Vec<String> {
    let mut ids = Vec::new();
    for stage in Stage::ALL {
        let units = tree.get(stage.name()).and_then(|stage| stage.node.as_table());
        ids.extend(units.into_iter().flatten().map(|(name, _)| format!("{stage}.{name}")));
    }
    ids
}

/// Whether a script has nothing in it but comments; one that is too large to be one has.
fn says_nothing(command: &Command) -> bool {
    const LARGEST: u64 = 64 * 1024;
    let hollow = |bytes: &[u8]| {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.all(|line| line.is_empty() || line.starts_with(b"#"))
    };
    match command {
        Command::Script(text) => hollow(text.as_bytes()),
        Command::File(path) => {
            let mut bytes = Vec::new();
            let read = super::source::open(path)
                .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
            read.is_ok_and(|count| count as u64 <= LARGEST) && hollow(&bytes)
        }
        Command::Exec(_) | Command::Words(_) | Command::Nothing => false,
    }
}
