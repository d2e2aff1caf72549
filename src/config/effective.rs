//! The effective configuration: each value as it was written, and where.

use serde_json::Value as Json;

use super::value::{Said, Table, Value};
use super::{Command, Origin};

/// A key that is written somewhere, with the value that counts.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Effective {
    /// The full key, such as `async.web.user`.
    pub key: String,
    /// Its parts.
    pub path: Vec<String>,
    /// The value; `None` if it is that of a variable, which is hidden.
    pub value: Option<Json>,
    /// Where the value is written.
    pub origin: String,
    /// The values of other places, which do not count, in the order of the layers.
    pub beaten: Vec<Beaten>,
}

/// A value that another one has replaced.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Beaten {
    /// The key, if it is another one, which excludes the one that counts: `exec` for a `script`.
    pub key: Option<&'static str>,
    /// The value; `None` if it is hidden, or if it is a table.
    pub value: Option<Json>,
    /// Where it is written.
    pub origin: String,
}

/// Returns every key of a merged configuration that has a value. Secrets that units get as variables
/// are left out, and only their names and the paths of their files are there.
pub(super) fn effective(tree: &Table) -> Vec<Effective> {
    let mut all = Vec::new();
    collect(tree, &mut Vec::new(), &mut all);
    all
}

fn collect<'t>(table: &'t Table, path: &mut Vec<&'t str>, all: &mut Vec<Effective>) {
    for (key, entry) in table {
        path.push(key);
        match &entry.node.value {
            Value::Table(inner) if !inner.is_empty() => collect(inner, path, all),
            _ => all.push(Effective {
                key: path.join("."),
                path: path.iter().map(|part| (*part).to_owned()).collect(),
                value: told(path, &entry.node.value),
                origin: place(&entry.node.origin),
                beaten: entry.also.iter().map(|said| beaten(path, said)).collect(),
            }),
        }
        path.pop();
    }
}

fn beaten(path: &[&str], said: &Said) -> Beaten {
    let value = said.value.as_ref().and_then(|value| told(path, value));
    Beaten { key: said.key, value, origin: place(&said.origin) }
}

/// Returns the value of a key, unless it is the text of a variable.
fn told(path: &[&str], value: &Value) -> Option<Json> {
    (!is_variable(path)).then(|| json(value))
}

/// Returns whether a path is that of the text of a variable: `env.NAME` or `STAGE.UNIT.env.NAME`.
fn is_variable(path: &[&str]) -> bool {
    matches!(path, ["env", _] | [_, _, "env", _])
}

/// Returns a place without the value that a flag has, which may be that of a variable.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Override(text) => {
            format!("--config {}", text.split_once('=').map_or(&**text, |(key, _)| key.trim_end()))
        }
        origin => origin.to_string(),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::String(text) | Value::Float(text) => text.as_str().into(),
        Value::Integer(number, _) => (*number).into(),
        Value::Boolean(truth) => (*truth).into(),
        // No key takes it.
        Value::Datetime => Json::Null,
        Value::Array(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Table(table) => {
            table.iter().map(|(key, entry)| (key.clone(), json(&entry.node.value))).collect()
        }
        Value::Command(command) => match command {
            Command::Script(text) => text.to_string_lossy().into(),
            Command::File(path) => path.to_string_lossy().into(),
            Command::Words(words) => {
                words.iter().map(|word| Json::from(word.to_string_lossy())).collect()
            }
            // They are texts here, or nothing.
            Command::Exec(_) | Command::Nothing => Json::Null,
        },
    }
}
