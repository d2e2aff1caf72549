//! Paths into JSON: `$.items[0].name`, a small part of RFC 9535.

use std::fmt;

/// A path, and the text that it was read from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JsonPath {
    text: String,
    /// The way from the document to the value.
    pub steps: Vec<JsonStep>,
}

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum JsonStep {
    /// The member of an object with this name; or, with the name `length`, the number of elements
    /// of an array.
    Member(String),
    /// The element of an array at this position; a negative one counts from the end.
    Element(i64),
}

impl JsonPath {
    /// Reads a path that is one.
    #[cfg(test)]
    pub(crate) fn read(text: &str) -> Self {
        Self::parse(text).expect("a path")
    }

    /// Reads a path. The `$.` at its beginning can be left out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        // Without `$`, a path begins with a name.
        let mut bare = !text.starts_with('$') && !text.starts_with('[');
        while !rest.is_empty() {
            let (step, after) = if let Some(inner) = rest.strip_prefix('[').filter(|_| !bare) {
                bracket(inner)?
            } else {
                let name = if bare { rest } else { rest.strip_prefix('.')? };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let odd = |c: char| c.is_whitespace() || "*?@()]'\"".contains(c);
                if end == 0 || name[..end].contains(odd) {
                    return None;
                }
                (JsonStep::Member(name[..end].to_owned()), &name[end..])
            };
            steps.push(step);
            rest = after;
            bare = false;
        }
        (!text.is_empty()).then(|| Self { text: text.to_owned(), steps })
    }
}

/// Reads the rest of a step after `[`, and returns the text after it.
fn bracket(inner: &str) -> Option<(JsonStep, &str)> {
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (name, after) = inner[1..].split_once(quote)?;
        return Some((JsonStep::Member(name.to_owned()), after.strip_prefix(']')?));
    }
    let (number, after) = inner.split_once(']')?;
    Some((JsonStep::Element(number.parse().ok()?), after))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_names_and_positions() {
        let name = |name: &str| JsonStep::Member(name.to_owned());
        for (text, expected) in [
            ("$", Some(vec![])),
            ("$.a", Some(vec![name("a")])),
            ("a", Some(vec![name("a")])),
            ("a.b[0]", Some(vec![name("a"), name("b"), JsonStep::Element(0)])),
            ("$.a-b[-1].ç", Some(vec![name("a-b"), JsonStep::Element(-1), name("ç")])),
            ("$[0][1]", Some(vec![JsonStep::Element(0), JsonStep::Element(1)])),
            ("[0]", Some(vec![JsonStep::Element(0)])),
            ("$['a.b'][\"c'd\"].e", Some(vec![name("a.b"), name("c'd"), name("e")])),
            ("", None),
            ("$a", None),
            ("$.", None),
            ("$..a", None),
            ("$.a.*", None),
            ("$.a[*]", None),
            ("$.a[0", None),
            ("$.a['b]", None),
            ("$.a[0:2]", None),
            ("$.a[?(@.b)]", None),
            ("$.a b", None),
        ] {
            assert_eq!(JsonPath::parse(text).map(|path| path.steps), expected, "{text}");
        }
    }
}
