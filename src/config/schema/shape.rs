//! The shape of a value: its types, with the keywords that JSON Schema has for each type.

use serde_json::{Map, Value as Json, json};

/// The shape of a value.
pub(super) struct Shape {
    types: Vec<&'static str>,
    /// The keywords, each of which concerns values of one type only.
    keywords: Map<String, Json>,
    /// The schemas one of which holds; none if the keywords say everything.
    choices: Vec<Json>,
}

impl Shape {
    /// Returns the shape of all values of a type.
    pub(super) fn of(kind: &'static str) -> Self {
        Self { types: vec![kind], keywords: Map::new(), choices: Vec::new() }
    }

    /// Returns the shape of strings that match a regular expression, or have a variable.
    pub(super) fn text(pattern: &str) -> Self {
        Self::of("string").with("pattern", json!(format!("^({pattern})$|\\$\\{{")))
    }

    /// Returns the shape of whole numbers in a range, which can also be written as strings.
    pub(super) fn number(least: Option<u64>, most: Option<u64>) -> Self {
        let digits = if least.is_some() { "\\+?[0-9]+" } else { "[+-]?[0-9]+" };
        let mut shape = Self::of("integer").or(Self::text(digits));
        for (keyword, bound) in [("minimum", least), ("maximum", most)] {
            shape.keywords.extend(bound.map(|bound| (keyword.to_owned(), json!(bound))));
        }
        shape
    }

    /// Returns the shape of these words, or a text with a variable. `pattern` has other forms of them.
    pub(super) fn words(words: &[&str], pattern: Option<&str>) -> Self {
        let others = match pattern {
            Some(pattern) => Self::text(pattern),
            None => Self::of("string").with("pattern", json!("\\$\\{")),
        };
        Self { choices: vec![json!({ "enum": words }), others.json()], ..Self::of("string") }
    }

    /// Returns the shape of a single value.
    pub(super) fn exactly(value: &Json, kind: &'static str) -> Self {
        Self { choices: vec![json!({ "enum": [value] })], ..Self::of(kind) }
    }

    /// Returns the shape of tables whose names are free, with this shape for each value.
    pub(super) fn named(value: &Self) -> Self {
        Self::of("object").with("additionalProperties", value.json())
    }

    /// Returns the shape of an array of these values.
    pub(super) fn array(item: &Self) -> Self {
        Self::of("array").with("items", item.json())
    }

    /// Returns the shape of an array with at least one of these values.
    pub(super) fn some(item: &Self) -> Self {
        Self::array(item).with("minItems", json!(1))
    }

    /// Adds a keyword.
    pub(super) fn with(mut self, keyword: &str, value: Json) -> Self {
        self.keywords.insert(keyword.to_owned(), value);
        self
    }

    /// Returns the shape of values that have one of two shapes, which have no type in common.
    pub(super) fn or(mut self, other: Self) -> Self {
        match (self.choices.is_empty(), other.choices.is_empty()) {
            (false, true) => self.choices.push(json!({ "type": other.types })),
            (true, false) => self.choices.push(json!({ "type": self.types })),
            (true, true) | (false, false) => {}
        }
        self.choices.extend(other.choices);
        self.types.extend(other.types);
        self.keywords.extend(other.keywords);
        self
    }

    /// Leaves only values of these types.
    pub(super) fn only(mut self, types: &[&'static str]) -> Self {
        self.types.retain(|kind| types.contains(kind));
        self
    }

    /// Returns the shape as a schema.
    pub(super) fn json(&self) -> Json {
        let mut schema = self.keywords.clone();
        let types = match self.types[..] {
            [one] => json!(one),
            _ => json!(self.types),
        };
        schema.insert("type".to_owned(), types);
        if !self.choices.is_empty() {
            schema.insert("anyOf".to_owned(), json!(self.choices));
        }
        Json::Object(schema)
    }
}
