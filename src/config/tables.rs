//! A configuration that comes as values and not as text, such as that of a recorded run.

use std::path::Path;

use serde_json::Value as Json;

use super::cli::CommandLine;
use super::layers::Layers;
use super::load::{Loaded, Refused, decided};
use super::value::{Entry, Node, Table, Value};
use super::{Environment, Origin};

/// Reads tables, of which a later one replaces values of an earlier one, and then the `KEY=VALUE` of a
/// command line. No files and no variables are read. Units are declared in the order of the tables;
/// within a table, they are sorted by name.
///
/// # Errors
/// Returns all errors and warnings, and the configuration as far as it is understood.
pub(crate) fn load_tables(
    path: &Path,
    tables: Vec<Json>,
    line: &CommandLine,
) -> Result<Loaded, Refused> {
    let origin = Origin::File { path: path.into(), line: 0, column: 0 };
    let mut layers = Layers::empty(&Environment::new());
    layers.asked_for = true;
    for table in tables {
        let order = layers.next_layer();
        if let Value::Table(table) = value(table, &origin, order) {
            layers.push(table);
        }
    }
    layers.config_keys(line);
    decided(layers, line)
}

fn value(json: Json, origin: &Origin, order: u64) -> Value {
    let node = |json| Node { value: value(json, origin, order), origin: origin.clone() };
    match json {
        Json::Bool(truth) => Value::Boolean(truth),
        Json::String(text) => Value::String(text),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number, 10),
            None => Value::Float(number.to_string()),
        },
        Json::Array(items) => Value::Array(items.into_iter().map(node).collect()),
        Json::Object(keys) => {
            let keys = keys.into_iter().filter(|(_, value)| !value.is_null());
            let entry = |(key, value)| (key, Entry::new(origin.clone(), order, node(value)));
            Value::Table(keys.map(entry).collect::<Table>())
        }
        // Only a table can have one, where it stands for nothing.
        Json::Null => Value::Table(Table::new()),
    }
}
