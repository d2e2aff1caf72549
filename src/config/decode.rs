//! From the merged tree to settings, with everything that is wrong.

use super::leaf::{self, Leaf, Problem};
use super::schema::{self, Key};
use super::source::{Source, within};
use super::suggest::{is_helped, nearest};
use super::value::{Entry, Node, Table, Value, shown};
use super::words;
use super::{Diagnostic, Environment, Origin, Placed, Severity, Stage, Template, UnitRef, foreign};

/// So many unknown keys of one table are told at most; a file that is something else altogether
/// has millions.
const MOST_UNKNOWN: usize = 1000;

/// Reads the tree and collects what is wrong.
pub(super) struct Decoder<'a> {
    /// For `${NAME}`.
    pub environment: &'a Environment,
    /// For places within strings.
    pub sources: &'a [Source],
    /// What is wrong so far.
    pub diagnostics: Vec<Diagnostic>,
    /// The unit being read is disabled: what isn't set for it doesn't matter.
    pub disabled: bool,
    /// Tests are to run, so that all that they need must be there: not where they are listed.
    pub testing: bool,
}

/// A table whose keys are those of a schema.
pub(super) struct Fields<'t> {
    table: Option<&'t Table>,
    keys: &'static [Key],
}

impl<'t> Fields<'t> {
    /// Those of a table whose unknown keys were noted already.
    pub(super) fn noted(keys: &'static [Key], table: Option<&'t Table>) -> Self {
        Self { table, keys }
    }

    /// Whether the schema has this key here.
    pub(super) fn has(&self, name: &str) -> bool {
        schema::find(self.keys, name).is_some()
    }

    /// Whether a key stands here that the schema doesn't have.
    pub(super) fn has_unknown(&self) -> bool {
        self.table.is_some_and(|table| table.keys().any(|key| !self.has(key)))
    }

    /// The entry of a key of the schema.
    pub(super) fn entry(&self, name: &str) -> Option<&'t Entry> {
        let known = self.has(name) || schema::find(schema::UNIT, name).is_some();
        debug_assert!(known, "`{name}` is not in the schema");
        self.table?.get(name)
    }
}

impl Decoder<'_> {
    /// Notes what is wrong with the value of a key.
    pub(super) fn problem(&mut self, key: &str, node: &Node, problem: Problem) {
        if problem.undefined && self.disabled {
            return;
        }
        let origin = match &node.value {
            Value::String(text) if problem.at > 0 && is_helped(self.diagnostics.len()) => {
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
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        node: &Node,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<T> {
        leaf(node, self.environment).map_err(|problem| self.problem(key, node, problem)).ok()
    }

    /// Reads a key's value if the key is there.
    pub(super) fn get<T>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
    ) -> Option<T> {
        let entry = fields.entry(key)?;
        self.read(key, &entry.node, leaf)
    }

    /// The same, with where it came from.
    pub(super) fn placed<T>(
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
    pub(super) fn list<T>(
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
                let wanted = if or_one { "a string or an array of strings" } else { "an array" };
                let message = format!("`{key}`: expected {wanted}, found {}", other.describe());
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
    pub(super) fn names<'t>(&mut self, key: &str, entry: Option<&'t Entry>) -> Option<&'t Table> {
        let entry = entry?;
        let table = entry.node.as_table();
        if table.is_none() {
            let problem = Problem::expected("a table", &entry.node);
            let help = match &entry.node.value {
                Value::Array(_) if schema::STAGES.contains(&key) => {
                    Some(format!("write one table for each unit: [{key}.NAME]"))
                }
                Value::Array(_) if schema::STAGES.iter().any(|stage| is_below(key, stage)) => {
                    Some(format!("use single brackets for the table of a unit: [{}]", shown(key)))
                }
                Value::String(command)
                    if schema::STAGES.iter().any(|stage| is_below(key, stage)) =>
                {
                    Some(format!("write {} = {{ exec = {:?} }}", shown(key), shown(command)))
                }
                Value::String(text) if key == "expect.log" => {
                    Some(format!("write log = {{ contains = {:?} }}", shown(text)))
                }
                _ => None,
            };
            self.problem(key, &entry.node, Problem { help, ..problem });
        }
        table
    }

    /// A table with keys of a schema; unknown ones are noted. `place` says where it is,
    /// as in "unknown key `x` in `[log]`".
    pub(super) fn fields<'t>(
        &mut self,
        place: &str,
        keys: &'static [Key],
        table: Option<&'t Table>,
    ) -> Fields<'t> {
        let entries = table.into_iter().flatten();
        let mut strange: Vec<_> =
            entries.filter(|(name, _)| schema::find(keys, name).is_none()).collect();
        // Which of too many are told must not depend on their names.
        if strange.len() > MOST_UNKNOWN {
            strange.sort_by_key(|(_, entry)| entry.order);
            let others = strange.split_off(MOST_UNKNOWN).len();
            let others = u32::try_from(others).unwrap_or(u32::MAX);
            self.diagnostics.push(Diagnostic::others(Severity::Error, others));
        }
        for (name, entry) in strange {
            let message = format!("unknown key `{}`{place}", shown(name));
            let help = unknown(place, name, keys);
            // Each file that has it is wrong.
            for origin in entry.keys() {
                self.error(origin, message.clone(), help.clone());
            }
        }
        Fields { table, keys }
    }

    /// The words of a command: `exec`, `shell`, `stop.exec`.
    pub(super) fn words(&mut self, key: &str, node: &Node) -> Option<Vec<Template>> {
        let words: Vec<Template> = match &node.value {
            Value::String(text) => {
                let words = self.read(key, node, |_, _| words::split(text))?;
                if let Some(operator) = words::operator(text, &words) {
                    let message = format!(
                        "`{key}`: `{operator}` has no meaning here, because no shell runs this command"
                    );
                    let warning = Diagnostic::warning(node.origin.clone(), message);
                    self.diagnostics.push(warning.help("use `script` if a shell should run it"));
                }
                self.unbraced(key, &node.origin, &words);
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
                let texts = items.iter().filter_map(|item| match &item.value {
                    Value::String(text) => Some(text.clone()),
                    _ => None,
                });
                self.unbraced(key, &node.origin, &texts.collect::<Vec<_>>());
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

    /// Points out a variable without braces, which stands for itself.
    pub(super) fn unbraced(&mut self, key: &str, origin: &Origin, words: &[String]) {
        if words::reads_dollars(words) {
            return;
        }
        if let Some(variable) = words.iter().find_map(|word| words::unbraced(word)) {
            let name = &variable[1..];
            let message = format!(
                "`{key}`: `{variable}` is not replaced, because no shell runs this command"
            );
            let help = format!(
                "write `${{{name}}}` for the value of the variable, or `$${name}` for the text itself"
            );
            self.diagnostics.push(Diagnostic::warning(origin.clone(), message).help(help));
        }
    }

    /// An array of units' names.
    pub(super) fn unit_names(&mut self, key: &str, node: &Node) -> Vec<UnitRef> {
        self.list(key, node, true, leaf::text)
    }

    /// Every unit that is there, in the order in which they were declared.
    pub(super) fn declared<'t>(&mut self, top: &Fields<'t>) -> Vec<(Stage, &'t str, &'t Entry)> {
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
    pub(super) fn error(
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

/// Whether a key is that of a unit of a stage.
fn is_below(key: &str, stage: &str) -> bool {
    key.strip_prefix(stage).is_some_and(|rest| rest.starts_with('.'))
}

/// What to do about a key that the schema doesn't have at a place.
fn unknown(place: &str, name: &str, keys: &[Key]) -> Option<String> {
    if let Some(help) = foreign::help(place, name, keys) {
        return Some(help);
    }
    if let Some(right) = nearest(name, keys.iter().map(|key| key.name)) {
        return Some(format!("did you mean `{right}`?"));
    }
    if !place.is_empty() {
        return None;
    }
    if schema::find(schema::UNIT, name).is_some() {
        return Some(format!(
            "`{name}` is a key of a unit: write it below `[STAGE.NAME]`, or in a file named STAGE.NAME.toml"
        ));
    }
    let known: Vec<_> = keys.iter().map(|key| key.name).collect();
    Some(format!("the keys here are {}", known.join(", ")))
}
