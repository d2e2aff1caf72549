//! The schema for editors has every key, and accepts whatever trc accepts. `tests/schema.rs` shows
//! that validators by others understand it so, too.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::{Value as Json, json};

use super::Case;
use super::reference::{context, tables};
use crate::config::dropins::{DropIn, classify};
use crate::config::keys::key::{Key, Keys, Kind, all};
use crate::config::keys::{DIR, FILES, FORWARD, OUTPUT, SECRET, TEST, TOP, UNIT};
use crate::config::schema::{Root, schema};
use crate::config::{Stage, load};

static SCHEMAS: LazyLock<[(Root, Json); 3]> =
    LazyLock::new(|| [Root::Config, Root::Unit, Root::Test].map(|root| (root, schema(root))));

fn of(root: Root) -> &'static Json {
    &SCHEMAS.iter().find(|(known, _)| *known == root).unwrap().1
}

fn matches(pattern: &str, text: &str) -> bool {
    static KNOWN: LazyLock<Mutex<BTreeMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let compiled = known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap());
    compiled.is_match(text)
}

/// Returns what is wrong with a value: each place, and the keyword that refuses it. It knows the
/// keywords that the schemas have, and panics at any other.
fn wrong(root: &Json, schema: &Json, value: &Json, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut no = |keyword: &str| found.push(format!("{at}: {keyword} {value}"));
    let is = |kind: &Json| match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    let mut below = Vec::new();
    for (keyword, says) in schema.as_object().unwrap() {
        let right = match keyword.as_str() {
            // The last three are below.
            "$schema"
            | "title"
            | "description"
            | "default"
            | "examples"
            | "definitions"
            | "properties"
            | "patternProperties"
            | "additionalProperties" => true,
            "type" => says.as_array().map_or_else(|| is(says), |all| all.iter().any(is)),
            "enum" => says.as_array().unwrap().contains(value),
            "anyOf" => {
                says.as_array().unwrap().iter().any(|one| wrong(root, one, value, at).is_empty())
            }
            "pattern" => value.as_str().is_none_or(|text| matches(says.as_str().unwrap(), text)),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= 1),
            "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
            "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= says.as_f64().unwrap()),
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    below.extend(wrong(root, says, item, &format!("{at}[{number}]")));
                }
                true
            }
            "$ref" => {
                let part = root.pointer(&says.as_str().unwrap()[1..]).expect("a definition");
                below.extend(wrong(root, part, value, at));
                true
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                    below.extend(wrong(root, says, &json!(name), at));
                }
                true
            }
            other => panic!("{other}"),
        };
        if !right {
            no(keyword);
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let named = schema["properties"].get(name);
        let alike = schema["patternProperties"].as_object().into_iter().flatten();
        let alike = alike.filter(|(pattern, _)| matches(pattern, name)).map(|(_, part)| part);
        let mut parts: Vec<&Json> = named.into_iter().chain(alike).collect();
        if parts.is_empty() {
            match &schema["additionalProperties"] {
                Json::Null => {}
                Json::Bool(false) => found.push(format!("{place}: unknown")),
                part => parts.push(part),
            }
        }
        for part in parts {
            below.extend(wrong(root, part, inner, &place));
        }
    }
    found.extend(below);
    found
}

fn refusals(root: Root, toml: &str) -> Vec<String> {
    let value: toml::Table = toml::from_str(toml).unwrap();
    wrong(of(root), of(root), &serde_json::to_value(value).unwrap(), "")
}

/// Checks that the schema accepts the files of a configuration that trc has accepted.
#[track_caller]
pub(super) fn accepts(case: &Case) {
    if case.line().bare || case.environment.iter().any(|(name, _)| name == "TRC_BARE") {
        return;
    }
    let main = case.path("trc.toml");
    let mut files = vec![(Root::Config, main)];
    for entry in std::fs::read_dir(case.path("trc.d")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let root = match classify(path.file_name().unwrap_or(OsStr::new(""))) {
            DropIn::Unit(Stage::Test, _) => Root::Test,
            DropIn::Unit(..) => Root::Unit,
            DropIn::Fragment => Root::Config,
            DropIn::Script(..) | DropIn::Other(_) | DropIn::Strange(_) => continue,
        };
        files.push((root, path));
    }
    for (root, path) in files {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let refused = refusals(root, &text.replace('\r', ""));
        assert!(refused.is_empty(), "trc accepts {}:\n{text}\n{refused:#?}", path.display());
    }
}

/// Adds the full names of all keys; `*` stands for a name that is free.
fn names(keys: Keys, at: &str, found: &mut BTreeSet<String>) {
    for Key { name, kind, .. } in all(keys) {
        let path = format!("{at}{name}");
        found.insert(path.clone());
        let (inner, free): (&[Keys], &str) = match kind {
            Kind::Table(keys) | Kind::Short(keys) => (&[keys], ""),
            Kind::Units => (&[UNIT], "*."),
            Kind::Tests => (&[TEST], "*."),
            Kind::Variables => (&[SECRET], "*."),
            Kind::Signals => (&[FORWARD], "*."),
            Kind::Dirs => (&[DIR], "*."),
            Kind::Files => (&[FILES], "*."),
            Kind::Stdin => (&[SECRET], ""),
            Kind::Output => (&[OUTPUT], ""),
            Kind::After | Kind::Owners => {
                found.extend(Stage::ALL.map(|stage| format!("{path}.{stage}")));
                (&[], "")
            }
            Kind::Exit => {
                let own = Stage::ALL.map(|stage| format!("{path}.unit.{stage}"));
                found.extend([format!("{path}.stopped"), format!("{path}.unit")]);
                found.extend(own);
                (&[], "")
            }
            _ => (&[], ""),
        };
        for keys in inner {
            names(keys, &format!("{path}.{free}"), found);
        }
    }
}

/// Adds the names of all properties, in the same way.
fn properties(root: &Json, schema: &Json, at: &str, found: &mut BTreeSet<String>) {
    if let Some(part) = schema["$ref"].as_str() {
        properties(root, root.pointer(&part[1..]).unwrap(), at, found);
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{at}{name}"));
        properties(root, part, &format!("{at}{name}."), found);
    }
    let free = &schema["additionalProperties"];
    let alike = schema["patternProperties"].as_object().into_iter().flatten().map(|(_, part)| part);
    for part in alike.chain(free.is_object().then_some(free)) {
        properties(root, part, &format!("{at}*."), found);
    }
}

#[test]
fn every_key_is_in_the_schema_and_the_schema_has_no_others() {
    for (root, keys) in [(Root::Config, TOP), (Root::Unit, UNIT), (Root::Test, TEST)] {
        let (mut right, mut found) = (BTreeSet::new(), BTreeSet::new());
        names(keys, "", &mut right);
        properties(of(root), of(root), "", &mut found);
        let lacking: Vec<_> = right.difference(&found).collect();
        let strange: Vec<_> = found.difference(&right).collect();
        assert!(lacking.is_empty() && strange.is_empty(), "{root:?}: {lacking:?} {strange:?}");
        assert!(right.len() > 80, "{}", right.len());
    }
}

/// Calls a function with each key that has a property of its own, and the property.
fn each(schema: &Json, keys: Keys, at: &str, see: &mut dyn FnMut(&str, &Key, &Json)) {
    for key in all(keys) {
        let part = &schema["properties"][key.name];
        let path = format!("{at}{}", key.name);
        see(&path, key, part);
        if let Kind::Table(inner) | Kind::Short(inner) = key.kind {
            each(part, inner, &format!("{path}."), see);
        }
    }
}

#[test]
fn every_key_has_a_description_an_example_and_its_default() {
    let (mut examples, mut defaults) = (0, 0);
    let mut see = |path: &str, key: &Key, part: &Json| {
        let description = part["description"].as_str().unwrap();
        assert!(description.ends_with('.') && !description.contains("]("), "{path}: {description}");
        assert_eq!(part.get("examples").is_some(), !key.example.is_empty(), "{path}");
        assert_eq!(description.contains("Default: "), !key.default.is_empty(), "{path}");
        for example in part["examples"].as_array().into_iter().flatten() {
            let refused = wrong(of(Root::Config), part, example, path);
            assert!(refused.is_empty(), "{refused:?}");
            examples += 1;
        }
        if let Some(default) = part.get("default") {
            let refused = wrong(of(Root::Config), part, default, path);
            assert!(refused.is_empty(), "{refused:?}");
            defaults += 1;
        }
    };
    for (root, keys) in [(Root::Config, TOP), (Root::Unit, UNIT), (Root::Test, TEST)] {
        each(of(root), keys, "", &mut see);
    }
    assert!(examples > 250 && defaults > 50, "{examples} {defaults}");
}

/// Values of every form, as they are written. JSON has no infinity.
const ZOO: &[&str] = &[
    "true",
    "false",
    "0",
    "1",
    "2",
    "8",
    "255",
    "1000",
    "70000",
    "-1",
    "-20",
    "0o22",
    "1.5",
    "0.0",
    "1979-05-27",
    "''",
    "' '",
    "'x'",
    "'true'",
    "'5'",
    "'+5'",
    "'-5'",
    "'5s'",
    "' 1m 30s '",
    "'1 h'",
    "'30d'",
    "'1.5'",
    "'1s..2s'",
    "'1 s .. 2s'",
    "'4096'",
    "'10 MiB'",
    "'10k'",
    "'1GB'",
    "'> 3'",
    "'>=10MB'",
    "'!x'",
    "'/a'",
    "'/a b/'",
    "'a b'",
    "'a:b'",
    "'1:2'",
    "'1:unlimited'",
    "'infinity'",
    "'022'",
    "'0o640'",
    "'TERM'",
    "'sigterm'",
    "'SIGRTMIN+3'",
    "'rtmax'",
    "'9'",
    "'KILL'",
    "'CAP_CHOWN'",
    "'chown'",
    "'INFO'",
    "'wait_all'",
    "'all'",
    "'always'",
    "'null'",
    "'inherit'",
    "'prefix'",
    "'stop'",
    "'127.0.0.1:80'",
    "'[::1]:80'",
    "'80/tcp'",
    "'!23'",
    "'http://a/b'",
    "'@daily'",
    "'UTC'",
    "'2xx'",
    "'200-299'",
    "'200'",
    "'::1'",
    "'PUT'",
    "'${X}'",
    "'${X:-5s}'",
    "'a${X}'",
    "'$$'",
    "'read'",
    "'started'",
    "'file'",
    "'web'",
    "[]",
    "[1]",
    "[1.5]",
    "[true]",
    "['x']",
    "['x', 'y']",
    "['']",
    "['/a']",
    "['80', 443]",
    "['chown']",
    "['5']",
    "['0', 1]",
    "['> 0', '<= 10MB']",
    "['${X}']",
    "['setuid']",
    "['web']",
    "['prefix', { file = '/a' }]",
    "['10.0.0.1', '!::1']",
    "[[1]]",
    "['2xx', 404]",
    "{}",
    "{ file = '/a' }",
    "{ x = 1 }",
    "{ x = 'y' }",
    "{ x = ['y', 2] }",
    "{ x = true }",
    "{ web = 'started' }",
    "{ async.web = 'started' }",
    "{ async = { web = 'started' } }",
    "{ '/a' = {} }",
    "{ '/a' = { text = 'x' } }",
    "{ '${X}/a' = { mode = 7 } }",
    "{ a = 'read' }",
    "{ web = 'own' }",
    "{ async.web = 'own' }",
    "{ HUP = 'ignore' }",
    "{ 15 = { to = 'web' } }",
    "{ rtmin = { forward = 1 } }",
    "{ 5 = 6 }",
    "{ '+5' = '6', stopped = 0 }",
    "{ unit = { web = 'own' } }",
    "{ '$.a' = '> 3', '$.b' = 1.5 }",
    "{ pty = true }",
    "{ url = 'http://a' }",
    "{ path = '/a' }",
];

/// The schema accepts every value that trc accepts, alone or with the other keys that it needs.
#[test]
fn no_value_that_trc_accepts_is_refused() {
    // Each value for all keys takes a minute. Otherwise each key has another eighth of them.
    let tries_all = std::env::var_os("TRC_TEST_ZOO").is_some();
    let shows_lax = std::env::var_os("TRC_TEST_LAX").is_some();
    let (mut accepted, mut strict, mut tried) = (0, Vec::new(), 0);
    for (place, keys) in tables() {
        each_path(place, keys, &mut |path, key| {
            let example = if key.example.is_empty() { "{}" } else { key.example };
            let Some((path, context)) = context(path, key.name, example) else { return };
            let case = Case::new().set("X", "5");
            tried += 1;
            for (number, value) in ZOO.iter().enumerate() {
                if !tries_all && (number + tried) % 8 != 0 {
                    continue;
                }
                let text = format!("{context}\n{path} = {value}\n");
                if toml::from_str::<toml::Table>(&text).is_err() {
                    continue;
                }
                std::fs::write(case.path("trc.toml"), &text).unwrap();
                if load(&case.line(), &case.environment).is_ok() {
                    accepted += 1;
                    strict.extend(refusals(Root::Config, &text));
                } else if shows_lax && refusals(Root::Config, &text).is_empty() {
                    println!("trc refuses {path} = {value}");
                }
            }
        });
    }
    assert_eq!(strict, Vec::<String>::new());
    assert!(accepted > if tries_all { 4000 } else { 400 }, "{accepted}");
}

fn each_path(place: &str, keys: Keys, see: &mut dyn FnMut(&str, &Key)) {
    for key in all(keys) {
        let path =
            if place.is_empty() { key.name.to_owned() } else { format!("{place}.{}", key.name) };
        if let Kind::Table(inner) | Kind::Short(inner) = key.kind {
            each_path(&path, inner, see);
        }
        see(&path, key);
    }
}
