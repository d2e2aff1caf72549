//! From the merged tree to settings, with everything that is wrong.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::leaf::{self, Leaf, Problem};
use super::schema::{self, Key};
use super::source::{Source, within};
use super::suggest::nearest;
use super::value::{Entry, Node, Table, Value, shown};
use super::{
    Diagnostic, Environment, Log, Origin, Placed, Shutdown, SignalRule, Stage, Template, UnitRef,
    WaitPolicy,
};
use crate::signal::Signal;

/// Reads the tree and collects what is wrong.
pub struct Decoder<'a> {
    /// For `${NAME}`.
    pub environment: &'a Environment,
    /// For places within strings.
    pub sources: &'a [Source],
    /// What is wrong so far.
    pub diagnostics: Vec<Diagnostic>,
    /// The unit being read is disabled: what isn't set for it doesn't matter.
    pub disabled: bool,
}

/// A table whose keys are those of a schema.
pub struct Fields<'t> {
    table: Option<&'t Table>,
    keys: &'static [Key],
}

impl<'t> Fields<'t> {
    /// The entry of a key of the schema.
    pub fn entry(&self, name: &str) -> Option<&'t Entry> {
        debug_assert!(schema::find(self.keys, name).is_some(), "`{name}` is not in the schema");
        self.table?.get(name)
    }
}

impl Decoder<'_> {
    /// Notes what is wrong with the value of a key.
    pub fn problem(&mut self, key: &str, node: &Node, problem: Problem) {
        if problem.undefined && self.disabled {
            return;
        }
        let origin = match &node.value {
            Value::String(text) if problem.at > 0 => {
                within(self.sources, &node.origin, text, problem.at)
            }
            _ => node.origin.clone(),
        };
        let mut diagnostic =
            Diagnostic::error(origin, format!("`{}`: {}", shown(key), problem.message));
        diagnostic.help = problem.help;
        self.diagnostics.push(diagnostic);
    }

    /// Reads a value, or notes what is wrong with it.
    pub fn read<T>(
        &mut self,
        key: &str,
        node: &Node,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<T> {
        leaf(node, self.environment).map_err(|problem| self.problem(key, node, problem)).ok()
    }

    /// Reads a key's value if the key is there.
    pub fn get<T>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<T> {
        let entry = fields.entry(key)?;
        self.read(key, &entry.node, leaf)
    }

    /// The same, with where it came from.
    pub fn placed<T>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<Placed<T>> {
        let entry = fields.entry(key)?;
        let value = self.read(key, &entry.node, leaf)?;
        Some(Placed { value, origin: entry.node.origin.clone() })
    }

    /// An array's values; one string stands for an array of one where `or_one`.
    pub fn list<T>(
        &mut self,
        key: &str,
        node: &Node,
        or_one: bool,
        leaf: impl Fn(&Node, &Environment) -> Leaf<T>,
    ) -> Vec<Placed<T>> {
        let items = match &node.value {
            Value::Array(items) => items.as_slice(),
            Value::String(_) if or_one => std::slice::from_ref(node),
            other => {
                let message = format!("`{key}`: expected an array, found {}", other.describe());
                self.diagnostics.push(Diagnostic::error(node.origin.clone(), message));
                &[]
            }
        };
        items
            .iter()
            .filter_map(|item| {
                let value = self.read(key, item, &leaf)?;
                Some(Placed { value, origin: item.origin.clone() })
            })
            .collect()
    }

    /// A table of names of the user's own.
    pub fn names<'t>(&mut self, key: &str, entry: Option<&'t Entry>) -> Option<&'t Table> {
        let entry = entry?;
        let table = entry.node.as_table();
        if table.is_none() {
            let found = entry.node.value.describe();
            let message = format!("`{}`: expected a table, found {found}", shown(key));
            self.diagnostics.push(Diagnostic::error(entry.node.origin.clone(), message));
        }
        table
    }

    /// A table with keys of a schema; unknown ones are noted. `place` says where it is,
    /// as in "unknown key `x` in `[log]`".
    pub fn fields<'t>(
        &mut self,
        place: &str,
        keys: &'static [Key],
        table: Option<&'t Table>,
    ) -> Fields<'t> {
        for (name, entry) in table.into_iter().flatten() {
            if schema::find(keys, name).is_some() {
                continue;
            }
            let message = format!("unknown key `{}`{place}", shown(name));
            let mut diagnostic = Diagnostic::error(entry.key.clone(), message);
            if let Some(right) = nearest(name, keys.iter().map(|key| key.name)) {
                diagnostic = diagnostic.help(format!("did you mean `{right}`?"));
            } else if place.is_empty() && schema::find(schema::UNIT, name).is_some() {
                diagnostic = diagnostic.help(format!(
                    "`{name}` is a key of a unit: it stands below `[STAGE.NAME]`, or in a file named STAGE.NAME.toml"
                ));
            } else if place.is_empty() {
                let known: Vec<_> = keys.iter().map(|key| key.name).collect();
                diagnostic = diagnostic.help(format!("the keys here are {}", known.join(", ")));
            }
            self.diagnostics.push(diagnostic);
        }
        Fields { table, keys }
    }

    /// The words of a command: `exec`, `shell`, `stop.exec`.
    pub fn words(&mut self, key: &str, node: &Node) -> Option<Vec<Template>> {
        let words: Vec<Template> = match &node.value {
            Value::String(text) => {
                let words = self.read(key, node, |_, _| leaf::split(text))?;
                let mut templates = Vec::new();
                for word in words {
                    let template = Template::parse(&word).map_err(|(_, why)| why);
                    templates.push(self.read(key, node, |_, _| {
                        // A place in a word is none in the string: quotes are gone.
                        template.map_err(|why| Problem::new(format!("{why} in {word}")))
                    })?);
                }
                templates
            }
            Value::Array(items) => {
                let words = self.list(key, node, false, leaf::word);
                if words.len() < items.len() {
                    return None;
                }
                words.into_iter().map(|word| word.value).collect()
            }
            other => {
                let message = format!(
                    "`{key}`: expected a command, as a string or an array of words, found {}",
                    other.describe()
                );
                self.diagnostics.push(Diagnostic::error(node.origin.clone(), message));
                return None;
            }
        };
        if words.first().is_none_or(|word| word.source().is_empty()) {
            self.problem(key, node, Problem::new("the name of the command is empty"));
            return None;
        }
        Some(words)
    }

    /// Variables, by name.
    pub fn variables(&mut self, entry: Option<&Entry>) -> BTreeMap<String, Placed<Template>> {
        let mut variables = BTreeMap::new();
        for (name, entry) in self.names("env", entry).into_iter().flatten() {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("\"{}\" can't be a variable's name", shown(name));
                self.diagnostics.push(Diagnostic::error(entry.key.clone(), message));
                continue;
            }
            if let Some(value) = self.read(&format!("env.{name}"), &entry.node, leaf::template) {
                let origin = entry.node.origin.clone();
                variables.insert(name.clone(), Placed { value, origin });
            }
        }
        variables
    }

    /// `wait`.
    pub fn wait(&mut self, top: &Fields) -> WaitPolicy {
        self.get(top, "wait", leaf::wait).unwrap_or_default()
    }

    /// `shell`.
    pub fn shell(&mut self, top: &Fields) -> Option<Vec<OsString>> {
        let node = &top.entry("shell")?.node;
        let environment = self.environment;
        let words = self.words("shell", node)?;
        let mut shell = Vec::new();
        for word in words {
            let word = word.expand(&|name| leaf::lookup(environment, name));
            shell.push(self.read("shell", node, |_, _| word.map_err(Problem::undefined))?);
        }
        Some(shell)
    }

    /// `[shutdown]`.
    pub fn shutdown(&mut self, top: &Fields) -> Shutdown {
        let table = self.names("shutdown", top.entry("shutdown"));
        let fields = self.fields(" in `[shutdown]`", schema::SHUTDOWN, table);
        Shutdown { timeout: self.get(&fields, "timeout", leaf::duration) }
    }

    /// `[log]`; `level` is what holds if nothing was written.
    pub fn log(&mut self, top: &Fields, level: log::LevelFilter) -> Log {
        let table = self.names("log", top.entry("log"));
        let fields = self.fields(" in `[log]`", schema::LOG, table);
        Log {
            level: self.get(&fields, "level", leaf::level).unwrap_or(level),
            format: self.get(&fields, "format", leaf::choice).unwrap_or_default(),
            output: self.get(&fields, "output", leaf::choice),
        }
    }

    /// `[exit]`.
    pub fn exit(&mut self, top: &Fields) -> BTreeMap<u8, u8> {
        let mut map = BTreeMap::new();
        for (from, entry) in self.names("exit", top.entry("exit")).into_iter().flatten() {
            let name = Node::text(from.clone(), entry.key.clone());
            let from = self.read("exit", &name, leaf::status);
            let to = self.read("exit", &entry.node, leaf::status);
            if let (Some(from), Some(to)) = (from, to) {
                map.insert(from, to);
            }
        }
        map
    }

    /// `[signals]`.
    pub fn signals(&mut self, top: &Fields) -> BTreeMap<Signal, SignalRule> {
        let mut rules = BTreeMap::new();
        for (name, entry) in self.names("signals", top.entry("signals")).into_iter().flatten() {
            let key = Node::text(name.clone(), entry.key.clone());
            let signal = self.read("signals", &key, |_, _| {
                let signal = leaf::signal_name(name)?;
                let why = if [Signal::KILL, Signal::STOP].contains(&signal) {
                    "can't be caught"
                } else if signal.number() == libc::SIGCHLD {
                    "is trc's own: it says that a child ended"
                } else {
                    return Ok(signal);
                };
                Err(Problem::new(format!("{signal} {why}")))
            });
            let rule = self.rule(&format!("signals.{name}"), entry);
            if let (Some(signal), Some(rule)) = (signal, rule) {
                rules.insert(signal, rule);
            }
        }
        rules
    }

    fn rule(&mut self, key: &str, entry: &Entry) -> Option<SignalRule> {
        const EXPECTED: &str =
            "\"stop\", \"ignore\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`";
        let Value::Table(table) = &entry.node.value else {
            return self.read(key, &entry.node, |node, environment| {
                let word = leaf::text(node, environment)?;
                match word.as_str() {
                    "stop" => Ok(SignalRule::Stop),
                    "ignore" => Ok(SignalRule::Ignore),
                    _ => Err(Problem::new(format!(
                        "expected {EXPECTED}, found \"{}\"",
                        shown(&word)
                    ))),
                }
            });
        };
        let fields = self.fields(&format!(" in `{key}`"), schema::FORWARD, Some(table));
        let (forward, to) = (fields.entry("forward"), fields.entry("to"));
        if forward.is_none() && to.is_none() {
            self.problem(key, &entry.node, Problem::new(format!("expected {EXPECTED}")));
            return None;
        }
        let signal = self.get(&fields, "forward", leaf::signal);
        let to = to.map_or(Vec::new(), |to| self.unit_names("to", &to.node));
        Some(SignalRule::Forward { signal, to })
    }

    /// An array of units' names.
    pub fn unit_names(&mut self, key: &str, node: &Node) -> Vec<UnitRef> {
        self.list(key, node, true, leaf::text)
    }

    /// Every unit that is there, in the order in which they were declared.
    pub fn declared<'t>(&mut self, top: &Fields<'t>) -> Vec<(Stage, &'t str, &'t Entry)> {
        let mut units = Vec::new();
        for stage in Stage::ALL {
            let table = self.names(stage.name(), top.entry(stage.name()));
            units.extend(
                table.into_iter().flatten().map(|(name, unit)| (stage, name.as_str(), unit)),
            );
        }
        units.sort_by_key(|(_, _, unit)| unit.order);
        units
    }

    /// An error at a place.
    pub fn error(&mut self, origin: &Origin, message: impl Into<String>, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(origin.clone(), message);
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }
}
