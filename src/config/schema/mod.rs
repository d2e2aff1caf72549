//! A JSON Schema of the configuration, for editors and validators. It is made of the keys, like the
//! reference.
//!
//! The schema never refuses what trc accepts. A file is only one layer of several, so no key is
//! required, and keys that exclude one another may be in one table. Any string may have `${NAME}`,
//! whose value nobody knows before trc runs.
//!
//! Its form is that of draft-07, which editors know: taplo, the language server of Even Better TOML,
//! follows `$ref`, `anyOf` and `properties` to find descriptions and completions, but neither what is
//! next to a `$ref` nor `if`. Where a string, an array or a table can be written, the keywords for
//! each type are therefore in one schema, and a misspelt key in the table is refused by its name.

mod kinds;
mod shape;

use serde_json::{Map, Value as Json, json};

use super::keys::key::{Key, Keys, Kind, all};
use super::keys::{TEST, TOP, UNIT};
use crate::text::without_links;
use kinds::of_kind;
use shape::Shape;

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Root {
    /// `trc.toml`, or a fragment of it.
    Config,
    /// `STAGE.NAME.toml`.
    Unit,
    /// `test.NAME.toml`.
    Test,
}

/// Returns the schema of a kind of file.
pub(crate) fn schema(root: Root) -> Json {
    let (title, about, shape) = match root {
        Root::Config => ("trc.toml", "The configuration of trc, or a part of it.", table(TOP)),
        Root::Unit => ("STAGE.NAME.toml", "A unit of trc, in a file of its own.", table(UNIT)),
        Root::Test => ("test.NAME.toml", "A test of trc, in a file of its own.", table(TEST)),
    };
    let Json::Object(mut schema) = shape.json() else { return Json::Null };
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".to_owned(), json!(title));
    schema.insert("description".to_owned(), json!(about));
    if root == Root::Config {
        let parts = json!({ "unit": table(UNIT).json(), "test": table(TEST).json() });
        schema.insert("definitions".to_owned(), parts);
    }
    Json::Object(schema)
}

/// Returns the shape of a table with these keys and no others.
fn table(keys: Keys) -> Shape {
    let properties: Map<String, Json> =
        all(keys).map(|key| (key.name.to_owned(), property(key))).collect();
    Shape::of("object")
        .with("properties", Json::Object(properties))
        .with("additionalProperties", json!(false))
}

/// Returns the schema of a key's value, with what the reference says of the key.
fn property(key: &Key) -> Json {
    let Json::Object(mut schema) = of_kind(key.kind).json() else { return Json::Null };
    schema.insert("description".to_owned(), json!(description(key)));
    if let Some(default) = default(key) {
        schema.insert("default".to_owned(), default);
    }
    if let Some(example) = value(key.example) {
        schema.insert("examples".to_owned(), json!([example]));
    }
    Json::Object(schema)
}

/// Returns the meaning and the default of a key, as sentences in Markdown.
fn description(key: &Key) -> String {
    let sentence = |text: &str| {
        let mut rest = text.chars();
        let first = rest.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}.", first.unwrap_or_default(), rest.as_str())
    };
    let meaning = sentence(without_links(key.doc).trim());
    match key.default {
        "" => meaning,
        default if is_value(default) => format!("{meaning}\n\nDefault: `{default}`."),
        default => format!("{meaning}\n\nDefault: {}.", without_links(default)),
    }
}

/// Returns whether the reference has a default as it would be written, and not in words.
fn is_value(default: &str) -> bool {
    !default.is_empty() && !default.contains([' ', '`'])
}

/// Returns the default of a key, if it is a value.
fn default(key: &Key) -> Option<Json> {
    let default = Some(key.default).filter(|default| is_value(default))?;
    match (value(default), key.kind) {
        (Some(value), _) => Some(value),
        // `all` stands for names.
        (None, Kind::Texts) => None,
        (None, _) => Some(json!(default)),
    }
}

/// Returns a value that is written in TOML.
fn value(text: &str) -> Option<Json> {
    let table: toml::Table = toml::from_str(&format!("it = {text}")).ok()?;
    serde_json::to_value(table.get("it")?).ok()
}
