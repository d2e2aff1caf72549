//! The tree into which files, variables and the command line are parsed before it is decoded.

use std::collections::BTreeMap;
use std::fmt;

use super::{Command, Origin};

/// A value, and the place that it came from.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub value: Value,
    /// The place that it came from.
    pub origin: Origin,
}

/// A key's value, and the place of the key itself.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    /// The place of the key: in the last layer for a value, in the first one for a table.
    pub key: Origin,
    /// A number that grows in the order in which keys were first written, over all layers.
    pub order: u64,
    /// The value of the key.
    pub node: Node,
    /// The places in other layers, in their order. A value has replaced those in earlier layers; a
    /// table has been merged with them.
    pub also: Vec<Said>,
}

/// A place where another layer sets the same key.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Said {
    /// The place of the key.
    pub origin: Origin,
    /// The key, if it is another one, which excludes this one: `exec` for a `script`.
    pub key: Option<&'static str>,
    /// The value that counts no more; `None` for a table, which was merged with the others.
    pub value: Option<Value>,
}

/// Writes the place as people name it: "`exec` at /etc/trc.toml:7:1".
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "`{key}` at ")?;
        }
        self.origin.fmt(f)
    }
}

impl Entry {
    /// Returns the entry of a key that only one layer has.
    pub(super) fn new(key: Origin, order: u64, node: Node) -> Self {
        Self { key, order, node, also: Vec::new() }
    }

    /// Returns every place where the key is written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.key).chain(self.also.iter().map(|said| &said.origin))
    }
}

/// Keys and their values.
pub(super) type Table = BTreeMap<String, Entry>;

/// The value of a key.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    String(String),
    /// A whole number, and the base in which it was written.
    Integer(i64, u32),
    /// A number as it was written: the version `1.10` is not 1.1.
    Float(String),
    Boolean(bool),
    /// A date or a time, which no key takes.
    Datetime,
    /// Several values.
    Array(Vec<Node>),
    /// Keys and their values.
    Table(Table),
    /// A command from the command line or from a script file, which can have bytes and paths that
    /// TOML cannot hold. It is the value of `exec` or `script` and is merged like other values.
    Command(Command),
}

impl Node {
    /// Returns a text from a place without lines, such as a variable.
    pub(super) fn text(text: impl Into<String>, origin: Origin) -> Self {
        Self { value: Value::String(text.into()), origin }
    }

    pub(super) fn table(table: Table, origin: Origin) -> Self {
        Self { value: Value::Table(table), origin }
    }

    /// Tells whether a place is that of the value, or within it.
    pub(super) fn is_at(&self, place: &Origin) -> bool {
        match (&self.value, &self.origin, place) {
            _ if self.origin == *place => true,
            (Value::Array(items), _, _) => items.iter().any(|item| item.is_at(place)),
            (
                Value::String(text),
                Origin::File { path, line, column },
                Origin::File { path: other, line: at_line, column: at },
            ) if path == other && line == at_line && at > column => {
                // A place within the quotes of the string.
                (at - column) as usize <= text.chars().count() + 3
            }
            _ => false,
        }
    }

    /// Returns the text, if the value is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the table, if the value is one.
    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    /// Describes the value, for "expected this, found that".
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

/// The largest number of keys in a path. A deeper tree could exhaust the stack.
pub(super) const DEEPEST: usize = 16;

/// Puts a value at `path`, and creates the tables on the way.
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

/// Makes a text fit for a message: without control characters, and of limited length.
pub(crate) fn shown(text: &str) -> String {
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
