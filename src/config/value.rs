//! The tree that files, variables and the command line become before they mean anything.

use std::collections::BTreeMap;
use std::fmt;

use super::{Command, Origin};

/// A value and the place it came from.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// A key's value and where the key itself stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    /// Where the key first appeared.
    pub key: Origin,
    /// Grows in the order in which keys were first written, over all layers.
    pub order: u64,
    /// Its value.
    pub node: Node,
    /// Where other layers say it, in their order. A value has replaced what is there; a table has
    /// been merged with it.
    pub also: Vec<Said>,
}

/// Where a layer says something that another one says, too.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Said {
    /// The place of the key.
    pub origin: Origin,
    /// The key, if it was another one, which can't be beside this one: `exec`, of a `script`.
    pub key: Option<&'static str>,
}

/// As people name it: "`exec` at /etc/trc.toml:7:1".
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "`{key}` at ")?;
        }
        self.origin.fmt(f)
    }
}

impl Entry {
    /// A key that one layer has.
    pub(super) fn new(key: Origin, order: u64, node: Node) -> Self {
        Self { key, order, node, also: Vec::new() }
    }

    /// Every place where the key stands.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.key).chain(self.also.iter().map(|said| &said.origin))
    }
}

/// Keys and their values.
pub(super) type Table = BTreeMap<String, Entry>;

/// What can stand behind a key.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    /// Text.
    String(String),
    /// A whole number, and the base that it was written in.
    Integer(i64, u32),
    /// A number, as it was written: a version `1.10` is not 1.1.
    Float(String),
    /// True or false.
    Boolean(bool),
    /// A date or time; no key wants one.
    Datetime,
    /// Several values.
    Array(Vec<Node>),
    /// Keys and their values.
    Table(Table),
    /// What the command line or a drop-in script runs, which TOML can't hold: bytes
    /// and paths. It stands under `exec` or `script` and merges like them.
    Command(Command),
}

impl Node {
    /// A text from a place without lines, such as a variable.
    pub(super) fn text(text: impl Into<String>, origin: Origin) -> Self {
        Self { value: Value::String(text.into()), origin }
    }

    /// A table from nowhere in particular.
    pub(super) fn table(table: Table, origin: Origin) -> Self {
        Self { value: Value::Table(table), origin }
    }

    /// Whether a place is that of the value, or of a part of it.
    pub(super) fn is_at(&self, place: &Origin) -> bool {
        match (&self.value, &self.origin, place) {
            _ if self.origin == *place => true,
            (Value::Array(items), _, _) => items.iter().any(|item| item.is_at(place)),
            (
                Value::String(text),
                Origin::File { path, line, column },
                Origin::File { path: other, line: at_line, column: at },
            ) if path == other && line == at_line && at > column => {
                // Within its quotes.
                (at - column) as usize <= text.chars().count() + 3
            }
            _ => false,
        }
    }

    /// The table that it is.
    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    /// What it is, for "expected this, found that".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::String(text) => format!("the string \"{}\"", shown(text)),
            Self::Integer(number, _) => format!("the integer {number}"),
            Self::Float(number) => format!("the float {number}"),
            Self::Boolean(yes) => yes.to_string(),
            Self::Datetime => "a date".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Command(_) => "a command".to_owned(),
        }
    }
}

/// No path of keys is longer; a tree as deep as an endless one would exhaust the stack.
pub(super) const DEEPEST: usize = 16;

/// Puts a value at `path`, making the tables on the way.
pub(super) fn insert(table: &mut Table, path: &[String], node: Node, order: u64) {
    let [key, rest @ ..] = path else { return };
    let origin = node.origin.clone();
    if rest.is_empty() {
        table.insert(key.clone(), Entry::new(origin, order, node));
        return;
    }
    let entry = table.entry(key.clone()).or_insert_with(|| {
        Entry::new(origin.clone(), order, Node::table(Table::new(), origin.clone()))
    });
    if entry.node.as_table().is_none() {
        entry.node = Node::table(Table::new(), origin);
    }
    if let Value::Table(inner) = &mut entry.node.value {
        insert(inner, rest, node, order);
    }
}

/// A text fit for a message: no control characters, and not endless.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == MOST {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
