//! YAML with places: the part of it that compose files and manifests need.

use std::path::Path;
use std::sync::Arc;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::config::{Diagnostic, Origin};

/// A value and its place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Origin,
}

/// The value of a node. Numbers are texts.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Reads the documents of a file.
///
/// # Errors
/// Returns the first error, with its place.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Node>, Diagnostic> {
    let path: Arc<Path> = path.into();
    if let Some(line) = text.lines().position(|line| indentation(line) > DEEPEST) {
        let origin = place(&path, line + 1, 0);
        return Err(Diagnostic::error(origin, "this is nested too deeply"));
    }
    let documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        let message = format!("this is not YAML: {}", error.info());
        let found = Diagnostic::error(place(&path, at.line(), at.col()), message);
        if text.contains("{{") {
            found.help(
                "render a template first: helm template CHART >pod.yaml, and then lint pod.yaml",
            )
        } else {
            found
        }
    })?;
    Ok(documents.iter().map(|document| node(&path, document)).collect())
}

/// The deepest indentation. Values in values are read by recursion.
const DEEPEST: usize = 500;

/// Returns the number of characters in front of the first value of a line: each can begin a list.
fn indentation(line: &str) -> usize {
    line.bytes().take_while(|byte| b" \t-?:".contains(byte)).count()
}

fn place(path: &Arc<Path>, line: usize, column: usize) -> Origin {
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    Origin::File { path: path.clone(), line: number(line), column: number(column + 1) }
}

fn node(path: &Arc<Path>, it: &MarkedYaml<'_>) -> Node {
    let value = match &it.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(it) => Value::Boolean(*it),
            Scalar::Integer(it) => Value::Text(it.to_string()),
            Scalar::FloatingPoint(it) => Value::Text(it.to_string()),
            Scalar::String(it) => Value::Text(it.to_string()),
        },
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => Value::List(items.iter().map(|it| node(path, it)).collect()),
        YamlData::Mapping(map) => {
            Value::Map(map.iter().map(|(key, it)| (node(path, key), node(path, it))).collect())
        }
        YamlData::Tagged(_, it) => return node(path, it),
        YamlData::Alias(_) | YamlData::BadValue => Value::Null,
    };
    Node { value, place: place(path, it.span.start.line(), it.span.start.col()) }
}

impl Node {
    /// Returns the key and the value of a key. `<<` merges other maps.
    pub(super) fn entry(&self, name: &str) -> Option<(&Node, &Node)> {
        let Value::Map(entries) = &self.value else { return None };
        let own = entries.iter().find(|(key, _)| key.text() == Some(name));
        if let Some((key, value)) = own {
            return Some((key, value));
        }
        let merged = entries.iter().filter(|(key, _)| key.text() == Some("<<"));
        merged.into_iter().find_map(|(_, value)| match &value.value {
            Value::List(items) => items.iter().find_map(|item| item.entry(name)),
            _ => value.entry(name),
        })
    }

    /// Returns the value of a key that is not null.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let (_, value) = self.entry(name)?;
        Some(value).filter(|value| value.value != Value::Null)
    }

    /// Returns the value below several keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Returns the place of a key.
    pub(super) fn place_of(&self, name: &str) -> Origin {
        self.entry(name).map_or(&self.place, |(key, _)| &key.place).clone()
    }

    /// Returns the text, if it is one and has no variable whose value nobody knows here.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items of a list.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the entries of a map.
    pub(super) fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the texts of a list, if all of them are texts.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match &self.value {
            Value::List(items) => items.iter().map(|it| it.text().map(str::to_owned)).collect(),
            _ => None,
        }
    }

    /// Returns whether the value says yes.
    pub(super) fn is_true(&self) -> bool {
        match &self.value {
            Value::Boolean(it) => *it,
            Value::Text(text) => ["true", "yes", "on"].contains(&text.to_lowercase().as_str()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_place_and_anchors_are_merged() {
        let text = "x: &a\n  grace: 5s\n  list: [1, b]\ny:\n  <<: *a\n  own: yes\n---\n- z\n";
        let all = read(Path::new("f"), text).unwrap();
        let y = all[0].get("y").unwrap();
        assert_eq!(y.get("grace").unwrap().text(), Some("5s"));
        assert_eq!(y.get("list").unwrap().texts(), Some(vec!["1".to_owned(), "b".to_owned()]));
        assert!(y.get("own").unwrap().is_true());
        assert_eq!(y.place_of("own").to_string(), "f:6:3");
        assert_eq!(y.place_of("grace").to_string(), "f:2:3");
        assert_eq!(all[1].items()[0].place.to_string(), "f:8:3");
    }

    #[test]
    fn an_error_has_its_place() {
        let error = read(Path::new("f"), "a: {{ .Values.x }}\nb: ]\n").unwrap_err();
        assert!(error.to_string().contains("--> f:"), "{error}");
        assert!(error.help.unwrap().contains("helm template"));
        let deep: String = (0..3000).map(|at| " ".repeat(at) + "a:\n").collect();
        for text in [deep, "- ".repeat(3000) + "a", "[".repeat(100_000)] {
            assert!(read(Path::new("f"), &text).is_err());
        }
    }
}
