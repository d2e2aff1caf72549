//! Values in a body that is JSON.

use serde_json::Value;

use crate::config::{JsonPath, JsonStep, Wanted};
use crate::report::excerpt;
use crate::words::BadAnswer;

/// The largest body that is read as JSON, in bytes. Its values can take a hundred times as much
/// memory.
const LONGEST: usize = 256 * 1024;

/// Returns everything in a body that is not as wanted.
pub(super) fn problems(body: &[u8], wanted: &[(JsonPath, Vec<Wanted>)]) -> Vec<BadAnswer> {
    if body.len() > LONGEST {
        return vec![BadAnswer::LongJson(LONGEST)];
    }
    let document: Value = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(why) => return vec![BadAnswer::NotJson(why.to_string())],
    };
    let mut problems = Vec::new();
    for (path, all) in wanted {
        match find(&document, path) {
            Ok(value) => {
                let (text, shown) = texts(&value);
                let whose = path.to_string();
                let check = |one: &Wanted| one.check_of(&whose, &text, &shown).err();
                problems.extend(all.iter().filter_map(check).map(BadAnswer::Text));
            }
            // What is not there is not what it must not be.
            Err(_) if !all.iter().any(Wanted::needs_a_value) => {}
            Err(why) => problems.push(BadAnswer::Text(format!("it has no {path}: {why}"))),
        }
    }
    problems
}

/// Returns the text that is compared, and the one that is shown.
fn texts(value: &Value) -> (String, String) {
    match value {
        Value::String(text) => (text.clone(), excerpt(text)),
        other => {
            let text = other.to_string();
            let shown = match other {
                Value::Array(_) | Value::Object(_) => excerpt(&text),
                _ => text.clone(),
            };
            (text, shown)
        }
    }
}

/// Returns the value at a path, or says where the path ends.
fn find(document: &Value, path: &JsonPath) -> Result<Value, String> {
    let mut at = document;
    let mut place = "$".to_owned();
    for (done, step) in path.steps.iter().enumerate() {
        at = match (step, at) {
            (JsonStep::Member(name), Value::Object(members)) => members
                .get(name)
                .ok_or_else(|| format!("{place} has the members {}", names(members)))?,
            (JsonStep::Member(name), Value::Array(elements))
                if name == "length" && done + 1 == path.steps.len() =>
            {
                return Ok(Value::from(elements.len()));
            }
            (JsonStep::Element(number), Value::Array(elements)) => {
                let place_of = |number: i64| {
                    let back = usize::try_from(number.unsigned_abs()).ok()?;
                    if number < 0 { elements.len().checked_sub(back) } else { Some(back) }
                };
                let found = place_of(*number).and_then(|at| elements.get(at));
                found.ok_or_else(|| match elements.len() {
                    1 => format!("{place} has one element"),
                    count => format!("{place} has {count} elements"),
                })?
            }
            (JsonStep::Member(_), other) => {
                return Err(format!("{place} is {}, not an object", kind(other)));
            }
            (JsonStep::Element(_), other) => {
                return Err(format!("{place} is {}, not an array", kind(other)));
            }
        };
        match step {
            JsonStep::Member(name) => place = format!("{place}.{name}"),
            JsonStep::Element(number) => place = format!("{place}[{number}]"),
        }
    }
    Ok(at.clone())
}

/// Names the members of an object, or says that there are none.
fn names(members: &serde_json::Map<String, Value>) -> String {
    if members.is_empty() {
        return "of an empty object".to_owned();
    }
    crate::words::some(members.keys().map(excerpt))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => excerpt(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Needle, Pattern, Relation};

    const BODY: &str = r#"{"status": "ok", "n": 12, "up": true, "no": null, "items": [{"a": 1}, {"a": "x"}],
        "length": 3, "none": {}, "text": "12", "big": 9007199254740993, "f": 1.50}"#;

    fn text(text: &str) -> Wanted {
        let (negated, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let regex = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let needle = match regex {
            Some(regex) => Needle::Regex(regex.to_owned()),
            None => Needle::Text(text.to_owned()),
        };
        Wanted::Text(Pattern { needle, negated })
    }

    fn wanted(text_of: &str) -> Wanted {
        match Relation::split(text_of) {
            Some((relation, than)) => Wanted::Number(relation, than.to_owned()),
            None => text(text_of),
        }
    }

    fn why(path: &str, value: &str) -> String {
        let path = JsonPath::read(path);
        let problems = problems(BODY.as_bytes(), &[(path, vec![wanted(value)])]);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_value_is_equal_or_matches_or_compares() {
        for (path, value, expected) in [
            ("$.status", "ok", ""),
            ("status", "ok", ""),
            ("$.status", "o", r#"$.status is "ok", not "o""#),
            ("$.status", "/^o/", ""),
            ("$.status", "/^k/", r#"$.status is "ok", which does not match /^k/"#),
            ("$.status", "!ok", r#"$.status is "ok", which it must not be"#),
            ("$.status", "!/o/", r#"$.status is "ok", which matches /o/"#),
            ("$.status", "> 3", r#"$.status is "ok", which is not a number, so it cannot be > 3"#),
            ("$.n", "12", ""),
            ("$.n", "== 12", ""),
            ("$.n", "> 12", "$.n is 12, not > 12"),
            ("$.text", "> 11", ""),
            ("$.f", "== 1.5", ""),
            ("$.big", "== 9007199254740992", "$.big is 9007199254740993, not 9007199254740992"),
            ("$.up", "true", ""),
            ("$.up", "false", r#"$.up is true, not "false""#),
            ("$.no", "null", ""),
            ("$.no", "!null", "$.no is null, which it must not be"),
            ("$.n", "!null", ""),
            ("$.items.length", "== 2", ""),
            ("$.length", "== 3", ""),
            ("$.items[1].a", "x", ""),
            ("$.items[-2].a", "== 1", ""),
            ("$.items[0]", r#"{"a":1}"#, ""),
            ("$", "/status/", ""),
        ] {
            assert_eq!(why(path, value), expected, "{path} {value}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_says_where_it_ends() {
        for (path, value, expected) in [
            ("$.n.x", "1", "it has no $.n.x: $.n is 12, not an object"),
            ("$.items[2].a", "1", "it has no $.items[2].a: $.items has 2 elements"),
            ("$.items[-3]", "1", "it has no $.items[-3]: $.items has 2 elements"),
            ("$.items.a", "1", "it has no $.items.a: $.items is an array, not an object"),
            ("$.none.a", "1", "it has no $.none.a: $.none has the members of an empty object"),
            ("$.status[0]", "1", r#"it has no $.status[0]: $.status is "ok", not an array"#),
            ("$.gone", "!ok", ""),
            ("$.gone", "!/./", ""),
        ] {
            assert_eq!(why(path, value), expected, "{path} {value}");
        }
        assert!(why("$.gone", "!null").starts_with("it has no $.gone: $ has the members \"big\""));
    }

    #[test]
    fn what_is_not_json_or_too_much_of_it_is_not_looked_at() {
        let wanted = [(JsonPath::read("$"), vec![text("x")])];
        let why = |body: &[u8]| problems(body, &wanted)[0].to_string();
        assert!(why(b"<html>").starts_with("its body is not JSON: expected value at line 1"));
        assert!(why(b"").starts_with("its body is not JSON: EOF"));
        assert!(why("[".repeat(1000).as_bytes()).contains("recursion limit exceeded"));
        let long = why(&vec![b' '; LONGEST + 1]);
        assert_eq!(long, "its body has more than 256 KiB, and trc reads no more of JSON");
    }
}
