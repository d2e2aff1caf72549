//! Decodes the merged tree into settings, and collects every diagnostic.

use std::fmt;

use super::UNIT;
use super::foreign;
use super::key::{Keys, STAGES, all, find};
use crate::config::leaf::{self, Leaf, Problem, Reader};
use crate::config::profiles::Profiles;
use crate::config::source::{Source, within};
use crate::config::suggest::{is_helped, nearest};
use crate::config::template::Unexpanded;
use crate::config::value::{Entry, Node, Table, Value, shown};
use crate::config::words;
use crate::config::{Diagnostic, Environment, Origin, Placed, Severity, Template, UnitRef};

/// The largest number of unknown keys of one table that trc reports. A file that is not a
/// configuration at all can have millions.
const MOST_UNKNOWN: usize = 1000;

/// A reader of the tree, which collects the diagnostics.
pub(in crate::config) struct Decoder<'a> {
    /// The variables for `${NAME}`.
    pub environment: &'a Environment,
    /// The sources, for places within strings.
    pub sources: &'a [Source],
    /// All layers, merged.
    pub tree: &'a Table,
    /// The diagnostics so far.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether the unit being read is disabled: variables that are not set do not matter for it.
    pub disabled: bool,
    /// Whether the unit being read has a `pid_file`, so that its `ready` needs no probe.
    pub has_pid_file: bool,
    /// Whether the tests run, so that everything they need must exist. False if they are only
    /// listed.
    pub testing: bool,
    /// The profiles of this run.
    pub profiles: Profiles,
    /// The units that `--only` names.
    pub only: &'a [UnitRef],
}

/// The place of a key, for messages: the full path, without the unit that the key belongs to.
#[derive(Clone, Copy)]
pub(in crate::config) enum At<'a> {
    /// The top of a file.
    Top,
    /// The table of the unit with this full name.
    Unit(&'a str),
    /// A key in one of these, or in a table within.
    Key(&'a At<'a>, &'a str),
}

impl<'a> At<'a> {
    /// Returns the place of a key in the table that is here.
    pub(in crate::config) fn key(&'a self, name: &'a str) -> Self {
        At::Key(self, name)
    }

    /// Returns the name of the key alone.
    pub(in crate::config) fn name(&self) -> &'a str {
        match self {
            At::Top => "",
            At::Unit(name) | At::Key(_, name) => name,
        }
    }

    /// Returns the full name of the unit that the key belongs to.
    fn unit(&self) -> Option<&'a str> {
        match self {
            At::Top => None,
            At::Unit(id) => Some(id),
            At::Key(table, _) => table.unit(),
        }
    }

    /// Returns the place as in "unknown key `x` in `[log]`".
    fn place(&self) -> String {
        match self {
            At::Top => String::new(),
            At::Unit(_) | At::Key(At::Top, _) => format!(" in `[{self}]`"),
            At::Key(..) => format!(" in `{self}`"),
        }
    }
}

/// Writes the path: `stop.signal`.
impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Top => Ok(()),
            At::Unit(name) | At::Key(At::Top | At::Unit(_), name) => f.write_str(&shown(name)),
            At::Key(table, name) => write!(f, "{table}.{}", shown(name)),
        }
    }
}

/// A table whose keys are known.
pub(in crate::config) struct Fields<'t> {
    /// The place of the table.
    pub at: At<'t>,
    table: &'t Table,
    keys: Keys,
    /// The place of the table's own key in a file. A key inside with the same place was not
    /// written: a string stands for the table.
    key: Option<&'t Origin>,
}

impl<'t> Fields<'t> {
    /// Tells whether a key is allowed here.
    pub(in crate::config) fn has(&self, name: &str) -> bool {
        find(self.keys, name).is_some()
    }

    /// Tells whether the table has a key that is not allowed here.
    pub(in crate::config) fn has_unknown(&self) -> bool {
        self.table.keys().any(|key| !self.has(key))
    }

    /// Tells whether a key is missing, and no unknown key was probably meant to be it.
    pub(in crate::config) fn lacks(&self, name: &str) -> bool {
        self.entry(name).is_none() && !self.has_unknown()
    }

    /// Returns the place of a key as it is written: the place of the table if a string stands for
    /// it.
    pub(in crate::config) fn at_of(&'t self, name: &'t str, entry: &Entry) -> At<'t> {
        if self.key == Some(&entry.key) { self.at } else { self.at.key(name) }
    }

    /// Returns the entry of a key, if the key is written.
    pub(in crate::config) fn entry(&self, name: &str) -> Option<&'t Entry> {
        self.table.get(name)
    }
}

impl Decoder<'_> {
    /// Reports a problem with the value of a key.
    pub(in crate::config) fn problem(&mut self, at: &At, node: &Node, problem: Problem) {
        if problem.unexpanded.is_some() && self.disabled {
            return;
        }
        let origin = match &node.value {
            Value::String(text) if problem.at > 0 && is_helped(self.diagnostics.len()) => {
                within(self.sources, &node.origin, text, problem.at)
            }
            _ => node.origin.clone(),
        };
        let of_variable =
            if problem.help.is_none() { self.of_variable(at, node, &problem) } else { None };
        let help = problem.help.or(of_variable);
        let help = help.or_else(|| foreign::value(&at.to_string(), &node.value));
        self.error(&origin, format!("`{at}`: {}", problem.message), help);
    }

    /// Returns the help for a problem that the variables in a value may have caused.
    fn of_variable(&self, at: &At, node: &Node, problem: &Problem) -> Option<String> {
        let Value::String(text) = &node.value else { return None };
        if !is_helped(self.diagnostics.len()) || !text.contains("${") {
            return None;
        }
        if let Some(why) = &problem.unexpanded {
            return self.of_units(at, why);
        }
        // A message that shows the value as it is written names the variable already, and the
        // problems with a command's words are found before trc replaces the variables in them.
        if problem.message.contains("${") || matches!(at.name(), "exec" | "shell") {
            return None;
        }
        let is_read =
            |name: &&str| ["}", ":"].iter().any(|end| text.contains(&format!("${{{name}{end}")));
        let environment = self.environment.iter().filter_map(|(name, _)| name.to_str());
        let names: Vec<&str> = environment.filter(is_read).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(" and of ");
            format!("this contains the value of {names} from trc's environment")
        })
    }

    /// Returns the help for a variable that is not set but is in an `env`, which is for units only.
    fn of_units(&self, at: &At, why: &Unexpanded) -> Option<String> {
        let Unexpanded::NotSet(name) = why else { return None };
        let unit = at.unit().and_then(|id| {
            let (stage, name) = id.split_once('.')?;
            self.tree.get(stage)?.node.as_table()?.get(name)?.node.as_table()
        });
        let tables = [unit, Some(self.tree)].into_iter().flatten();
        let entry =
            tables.into_iter().find_map(|table| table.get("env")?.node.as_table()?.get(name))?;
        let right = match &entry.node.value {
            Value::String(value) if value.contains(&format!("${{{name}:-")) => {
                format!("`{}`", shown(value))
            }
            _ => format!("`${{{name}:-DEFAULT}}`, or the value itself"),
        };
        Some(format!(
            "variables in `env` are for units only; for this key trc looks in its own environment: write {right} here as well"
        ))
    }

    /// Reads a value, or reports the problem with it.
    pub(in crate::config) fn read<T>(
        &mut self,
        at: &At,
        node: &Node,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<T> {
        leaf(node, self.environment).map_err(|problem| self.problem(at, node, problem)).ok()
    }

    /// Reads a key's value.
    pub(in crate::config) fn get<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Option<T> {
        self.read(at, &entry.node, leaf)
    }

    /// Reads a key's value, and the place that it came from.
    pub(in crate::config) fn placed<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Option<Placed<T>> {
        let value = self.get(at, entry, leaf)?;
        Some(Placed { value, origin: entry.node.origin.clone() })
    }

    /// Reads the values of an array; one string stands for an array of one.
    pub(in crate::config) fn list<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Option<Vec<Placed<T>>> {
        match &entry.node.value {
            Value::Array(_) | Value::String(_) => Some(self.values(at, &entry.node, leaf)),
            _ => {
                let what = "a string or an array of strings";
                self.problem(at, &entry.node, Problem::expected(what, &entry.node));
                None
            }
        }
    }

    /// Reads a value, or those of an array. Returns none of them if one is wrong.
    pub(in crate::config) fn all_of<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Option<Vec<T>> {
        let values = self.values(at, &entry.node, leaf);
        let is_right = values.len() == items(&entry.node).len();
        is_right.then(|| values.into_iter().map(|one| one.value).collect())
    }

    /// Does the same as [`Self::all_of`], except that it reports an empty array.
    pub(in crate::config) fn some_of<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Option<Vec<T>> {
        if items(&entry.node).is_empty() {
            self.problem(at, &entry.node, Problem::new("this array must not be empty"));
            return None;
        }
        self.all_of(at, entry, leaf)
    }

    /// Reads a value, or those of an array, each with its place. Reports an empty array.
    pub(in crate::config) fn some<T>(
        &mut self,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
    ) -> Vec<Placed<T>> {
        if items(&entry.node).is_empty() {
            self.problem(at, &entry.node, Problem::new("this array must not be empty"));
        }
        self.values(at, &entry.node, leaf)
    }

    /// Reads a value, or those of an array, each with its place.
    fn values<T>(&mut self, at: &At, node: &Node, leaf: impl Reader<T>) -> Vec<Placed<T>> {
        let read = |item: &Node| {
            let value = self.read(at, item, &leaf)?;
            Some(Placed { value, origin: item.origin.clone() })
        };
        items(node).iter().filter_map(read).collect()
    }

    /// Returns a table whose keys are the user's own names, or reports that the value is not a
    /// table.
    pub(in crate::config) fn names<'t>(&mut self, at: &At, entry: &'t Entry) -> Option<&'t Table> {
        let table = entry.node.as_table();
        if table.is_none() {
            let help = match (at, &entry.node.value) {
                (At::Key(At::Top, stage), Value::Array(_)) if STAGES.contains(stage) => {
                    Some(format!("write one table for each unit: [{stage}.NAME]"))
                }
                (At::Unit(id), _)
                    if id.split_once('.').is_some_and(|(_, name)| find(UNIT, name).is_some()) =>
                {
                    let stage = id.split('.').next().unwrap_or_default();
                    Some(format!("give the unit a name: write its keys below [{stage}.NAME]"))
                }
                (At::Unit(_), Value::Array(_)) => {
                    Some(format!("use single brackets for the table of a unit: [{at}]"))
                }
                (At::Unit(_), Value::String(command)) => {
                    Some(format!("write {at} = {{ exec = {:?} }}", shown(command)))
                }
                (At::Key(At::Key(_, "expect"), "log"), Value::String(text)) => {
                    Some(format!("write log = {{ contains = {:?} }}", shown(text)))
                }
                (At::Key(..), Value::Array(items))
                    if items.first().is_some_and(|item| item.as_table().is_some()) =>
                {
                    Some("write the table with single brackets".to_owned())
                }
                (At::Key(..), value) => foreign::table(&at.to_string(), value),
                _ => None,
            };
            let problem = Problem::expected("a table", &entry.node);
            self.problem(at, &entry.node, Problem { help, ..problem });
        }
        table
    }

    /// Returns the fields of a table that can have these keys, and reports all its other keys.
    pub(in crate::config) fn fields<'t>(
        &mut self,
        at: At<'t>,
        keys: Keys,
        table: &'t Table,
    ) -> Fields<'t> {
        let mut strange: Vec<_> =
            table.iter().filter(|(name, _)| find(keys, name).is_none()).collect();
        // The choice of the keys to report must not depend on their names.
        if strange.len() > MOST_UNKNOWN {
            strange.sort_by_key(|(_, entry)| entry.order);
            let others = strange.split_off(MOST_UNKNOWN).len();
            let others = u32::try_from(others).unwrap_or(u32::MAX);
            self.diagnostics.push(Diagnostic::others(Severity::Error, others));
        }
        for (name, entry) in strange {
            let place = at.place();
            let message = format!("unknown key `{}`{place}", shown(name));
            let help = unknown(&place, name, keys, entry);
            // Each file that has the key is wrong.
            for origin in entry.keys() {
                self.error(origin, message.clone(), help.clone());
            }
        }
        Fields { at, table, keys, key: None }
    }

    /// Returns the fields of a key's table, which can have these keys, if the value is a table.
    pub(in crate::config) fn table<'t>(
        &mut self,
        at: &'t At<'t>,
        entry: &'t Entry,
        keys: Keys,
    ) -> Option<Fields<'t>> {
        let table = self.names(at, entry)?;
        let key = matches!(entry.key, Origin::File { .. }).then_some(&entry.key);
        Some(Fields { key, ..self.fields(*at, keys, table) })
    }

    /// Reads the words of a command.
    pub(in crate::config) fn words(&mut self, at: &At, entry: &Entry) -> Option<Vec<Template>> {
        let node = &entry.node;
        let words: Vec<Template> = match &node.value {
            Value::String(text) => {
                let words = self.read(at, node, |_, _| words::split(text))?;
                if self.of_shell(at, &node.origin, &words, text) {
                    // An operator is of the shell, too.
                } else if let Some(operator) = words::operator(text, &words) {
                    let message = format!(
                        "`{at}`: `{operator}` has no meaning here, because no shell runs this command"
                    );
                    let warning = Diagnostic::warning(node.origin.clone(), message);
                    self.diagnostics.push(warning.help(by_shell(at, text)));
                }
                self.unbraced(at, &node.origin, &words);
                let mut templates = Vec::new();
                for word in words {
                    let template = Template::parse(&word).map_err(|(_, why)| why);
                    templates.push(self.read(at, node, |_, _| {
                        // A position in a word is not a position in the string, which has quotes.
                        template.map_err(|why| Problem::new(format!("{why} in {word}")))
                    })?);
                }
                templates
            }
            Value::Array(items) => {
                let words = self.all_of(at, entry, leaf::word)?;
                let texts = items.iter().filter_map(|item| match &item.value {
                    Value::String(text) => Some(text.clone()),
                    _ => None,
                });
                let texts: Vec<String> = texts.collect();
                self.of_shell(at, &node.origin, &texts, &texts.join(" "));
                self.unbraced(at, &node.origin, &texts);
                words
            }
            _ => {
                let what = "a command, as a string or an array of words";
                self.problem(at, node, Problem::expected(what, node));
                return None;
            }
        };
        if words.first().is_none_or(|word| word.source().is_empty()) {
            self.problem(at, node, Problem::new("the name of the command is empty"));
            return None;
        }
        Some(words)
    }

    /// Warns of a command whose first word can only have a meaning for a shell, or for docker.
    /// Returns whether it is one.
    fn of_shell(&mut self, at: &At, origin: &Origin, words: &[String], text: &str) -> bool {
        let found = words::of_shell(words, &by_shell(at, text), is_of_unit(at));
        let Some((what, help)) = found else { return false };
        let warning = Diagnostic::warning(origin.clone(), format!("`{at}`: {what}"));
        self.diagnostics.push(warning.help(help));
        true
    }

    /// Warns of a variable without braces, which trc does not replace.
    pub(in crate::config) fn unbraced(&mut self, at: &At, origin: &Origin, words: &[String]) {
        if words::reads_dollars(words) {
            return;
        }
        if let Some(variable) = words.iter().find_map(|word| words::unbraced(word)) {
            let name = &variable[1..];
            let why = match at {
                At::Key(At::Key(_, "env"), _) => "is not replaced, because it has no braces",
                _ => "is not replaced, because no shell runs this command",
            };
            let message = format!("`{at}`: `{variable}` {why}");
            let help = format!(
                "write `${{{name}}}` for the value of the variable, or `$${name}` for the text itself"
            );
            self.diagnostics.push(Diagnostic::warning(origin.clone(), message).help(help));
        }
    }

    /// Reports an error at a place.
    pub(in crate::config) fn error(
        &mut self,
        origin: &Origin,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let mut diagnostic = Diagnostic::error(origin.clone(), message);
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }
}

/// Tells whether a command is that of a unit itself.
fn is_of_unit(at: &At) -> bool {
    matches!(at, At::Key(At::Unit(_), "exec"))
}

/// Returns the help for a command that a shell should run. Only a unit has `script`.
fn by_shell(at: &At, text: &str) -> String {
    if is_of_unit(at) {
        "use `script` if a shell should run it".to_owned()
    } else {
        format!(
            "if a shell should run it, write {} = [\"sh\", \"-c\", {:?}]",
            at.name(),
            shown(text)
        )
    }
}

/// Returns the values of an array. Any other value stands for an array of one.
fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::Array(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Returns the help for a key that is not allowed at a place.
fn unknown(place: &str, name: &str, keys: Keys, entry: &Entry) -> Option<String> {
    let is_of_unit = find(UNIT, name).is_some();
    if STAGES.contains(&name) && place.starts_with(" in `[") && place.contains('.') {
        return Some(
            "a file named STAGE.NAME.toml is the unit: write its keys without [STAGE.NAME] above them"
                .to_owned(),
        );
    }
    if let Value::String(text) = &entry.node.value
        && matches!(name, "script" | "shell" | "sh")
        && matches!(place, " in `ready`" | " in `health`" | " in `stop`" | " in `reload`")
    {
        return Some(format!("write exec = [\"sh\", \"-c\", {:?}]", shown(text)));
    }
    if let Some(help) = foreign::help(place, name, keys) {
        return Some(help);
    }
    if is_of_unit && place.starts_with(" in `[test.") {
        return Some("a test cannot have this key".to_owned());
    }
    if let Some(right) = nearest(name, all(keys).map(|key| key.name)) {
        return Some(format!("did you mean `{right}`?"));
    }
    if !place.is_empty() {
        return None;
    }
    let inner = entry.node.as_table();
    if inner.is_some_and(|inner| inner.keys().any(|key| find(UNIT, key).is_some())) {
        return Some(format!(
            "a unit needs a stage: [async.{name}] in the background, [sync.{name}] in the foreground",
            name = shown(name)
        ));
    }
    if is_of_unit {
        return Some(format!(
            "`{name}` is a key of a unit: write it below `[STAGE.NAME]`, or in a file named STAGE.NAME.toml"
        ));
    }
    let known: Vec<_> = all(keys).map(|key| key.name).collect();
    Some(format!("the keys here are {}", known.join(", ")))
}
