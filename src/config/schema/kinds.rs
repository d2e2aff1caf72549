//! The shape of each kind of value. The readers of `keys/` decide; the regular expressions here
//! accept no less than they do.

use serde_json::{Map, Value as Json, json};

use super::{Shape, table};
use crate::config::keys::key::{Keys, Kind, STAGES};
use crate::config::keys::{DIR, FILES, FORWARD, OUTPUT, SECRET};
use crate::config::leaf::variants;
use crate::config::privilege::{CAPABILITIES, StdinWord};
use crate::config::{Access, Condition, Output, Own};
use crate::signal::Signal;

/// A span of time: `5`, `1.5`, `1m 30s`.
const SPAN: &str = r"\s*[0-9.]+\s*|\s*([0-9.]+\s*(ms|s|m|h)\s*)+";
/// A span of time in days.
const DAYS: &str = r"\s*\+?[0-9]+d\s*";
/// A number of bytes.
const SIZE: &str = r"\s*[0-9]+\s*([bB]|[kKmMgG]([iI]?[bB])?)?\s*";
/// A comparison with a number of bytes.
const SIZES: &str = r"\s*(<=|>=|==|!=|<|>)?\s*[0-9]+\s*([bB]|[kKmMgG]([iI]?[bB])?)?\s*";
/// A resource limit: a number, a size or no limit.
const LIMIT: &str = r"\s*(unlimited|infinity|\+?[0-9]+\s*([bB]|[kKmMgG]([iI]?[bB])?)?)\s*";

/// Returns the shape of the values of a kind.
pub(super) fn of_kind(kind: Kind) -> Shape {
    match kind {
        Kind::Text => any_text(),
        Kind::Boolean => boolean(),
        Kind::Condition => Shape::of("boolean").or(filled()),
        Kind::Duration => time(SPAN),
        Kind::Age => time(&format!("{SPAN}|{DAYS}")),
        Kind::PathOrAge => time(&format!("/.*|{SPAN}|{DAYS}")),
        Kind::Backoff => time(&format!(r"({SPAN})(\.\.({SPAN}))?")),
        Kind::OneOf(words) => Shape::words(words(), None),
        Kind::Wait(words) => Shape::words(words(), Some(&format!("wait_({})", words().join("|")))),
        Kind::Level(words) => Shape::words(words(), Some(&any_case(words()))),
        Kind::Choices(words) => {
            let word = Shape::words(words(), None);
            Shape::some(&word).or(word)
        }
        Kind::Signal => signal(),
        Kind::Id => id(),
        Kind::Ids => any_text().or(Shape::array(&id())),
        Kind::Capabilities => capabilities(),
        Kind::Mode | Kind::Permissions => Shape::of("integer")
            .with("minimum", json!(0))
            .with("maximum", json!(0o7777))
            .or(Shape::text("(0o)?[0-7]+")),
        Kind::Words => words(),
        Kind::Texts => any_text().or(Shape::array(&any_text())),
        Kind::Instances => Shape::number(Some(0), Some(1000)).or(Shape::array(&filled())),
        Kind::Statuses => status().or(Shape::array(&status())),
        Kind::After => by_unit(variants::<Condition>()).or(filled()).or(Shape::array(&filled())),
        Kind::Owners => by_unit(variants::<Own>()),
        Kind::Number => Shape::number(Some(0), None),
        Kind::Integer => Shape::number(None, None),
        Kind::Status => status(),
        Kind::Limit => Shape::of("integer")
            .with("minimum", json!(0))
            .or(Shape::text(&format!("({LIMIT})(:({LIMIT}))?"))),
        Kind::FalseOrPath => filled().or(Shape::exactly(&json!(false), "boolean")),
        Kind::BooleanOrPath => Shape::of("boolean").or(Shape::text(".*/.*|true|false")),
        Kind::BooleanOrTexts => boolean().or(Shape::array(&filled())),
        Kind::Allow => Shape::named(&Shape::words(variants::<Access>(), None)),
        Kind::Stdin => Shape::words(variants::<StdinWord>(), None).or(table(SECRET)),
        Kind::Output => output(),
        Kind::Dirs => paths(DIR).or(filled()).or(Shape::array(&filled())),
        Kind::Files => paths(FILES),
        Kind::Size => bytes(SIZE),
        Kind::Sizes => bytes(SIZES).or(Shape::some(&bytes(SIZES))),
        Kind::Address => port(r"(\S+:)?\+?[0-9]+"),
        Kind::Addresses => any_text().or(Shape::array(&port(r"/[\s\S]*|(\S+:)?\+?[0-9]+"))),
        Kind::Ports => {
            let one = port(r"!?([^\s/]+:)?\+?[0-9]+(/(tcp|udp))?");
            Shape::array(&one).or(one)
        }
        Kind::Codes => {
            let one = || {
                Shape::of("integer")
                    .with("minimum", json!(100))
                    .with("maximum", json!(599))
                    .or(Shape::text(r"\+?[0-9]+(xx|-\+?[0-9]+)?"))
            };
            Shape::some(&one()).or(one())
        }
        Kind::Table(keys) => table(keys),
        Kind::Short(keys) => short(keys),
        Kind::Variables => Shape::named(&variable()),
        Kind::Variable => variable(),
        Kind::Signals => signals(),
        Kind::Rule => rule(),
        Kind::Exit => exit(),
        Kind::Units => units("unit"),
        Kind::Tests => units("test"),
        Kind::Patterns | Kind::Names => texts(),
        Kind::Headers => Shape::named(&texts()),
        Kind::Value => scalar(),
        Kind::Values => Shape::named(&scalar().or(Shape::some(&scalar()))),
        Kind::Strings => Shape::named(&any_text().or(Shape::of("integer"))),
    }
}

fn any_text() -> Shape {
    Shape::of("string")
}

/// A string that is not empty.
fn filled() -> Shape {
    any_text().with("minLength", json!(1))
}

/// A string that is not empty, or an array of them.
fn texts() -> Shape {
    filled().or(Shape::some(&filled()))
}

/// A boolean, also as a string: variables have no others.
fn boolean() -> Shape {
    Shape::of("boolean").or(Shape::text("true|false"))
}

fn time(pattern: &str) -> Shape {
    Shape::of("number").with("minimum", json!(0)).or(Shape::text(pattern))
}

fn bytes(pattern: &str) -> Shape {
    Shape::of("integer").with("minimum", json!(0)).or(Shape::text(pattern))
}

fn status() -> Shape {
    Shape::number(Some(0), Some(255))
}

/// A port as a number, or a string.
fn port(pattern: &str) -> Shape {
    Shape::of("integer")
        .with("minimum", json!(1))
        .with("maximum", json!(65_535))
        .or(Shape::text(pattern))
}

fn id() -> Shape {
    Shape::of("integer").with("minimum", json!(0)).or(Shape::text(r"\S+"))
}

fn scalar() -> Shape {
    any_text().or(Shape::of("number")).or(Shape::of("boolean"))
}

/// The words of a command.
fn words() -> Shape {
    any_text().with("pattern", json!(r"\S")).or(Shape::some(&any_text()))
}

/// A table, or what stands for it: a value of its first key, if that is a string or an array.
fn short(keys: Keys) -> Shape {
    let Some(first) = keys.first().and_then(|keys| keys.first()) else { return table(keys) };
    let array = if first.kind.takes_array() { &["array"][..] } else { &[] };
    of_kind(first.kind).only(&[&["string"], array].concat()).or(table(keys))
}

/// A table of names of units, with one of these words for each. Without quotes, `async.db` is a table
/// in a table.
fn by_unit(names: &'static [&'static str]) -> Shape {
    let word = || Shape::words(names, None);
    let of_stage = word().or(Shape::named(&word())).json();
    let stages: Map<String, Json> =
        STAGES.iter().map(|stage| ((*stage).to_owned(), of_stage.clone())).collect();
    Shape::named(&word()).with("properties", Json::Object(stages))
}

/// A table of paths, with these keys for each.
fn paths(keys: Keys) -> Shape {
    Shape::named(&table(keys)).with("propertyNames", json!({ "pattern": r"^/|^\$\{" }))
}

fn units(definition: &str) -> Shape {
    Shape::of("object")
        .with("additionalProperties", json!({ "$ref": format!("#/definitions/{definition}") }))
        .with("propertyNames", json!({ "minLength": 1 }))
}

fn variable() -> Shape {
    scalar().or(table(SECRET))
}

fn output() -> Shape {
    let place = Shape::words(&["prefix"], None).or(table(OUTPUT));
    Shape::words(variants::<Output>(), None).or(table(OUTPUT)).or(Shape::some(&place))
}

fn capabilities() -> Shape {
    let pattern = format!("([cC][aA][pP]_)?({})", any_case(CAPABILITIES));
    let one = || Shape::words(CAPABILITIES, Some(&pattern));
    Shape::array(&one()).or(one())
}

/// The names of the signals, with or without `SIG`, in capital or small letters.
fn signal_names() -> String {
    let known = (1..32).filter_map(Signal::from_number).map(|signal| signal.to_string());
    let known: Vec<String> =
        known.map(|name| name.strip_prefix("SIG").unwrap_or(&name).to_owned()).collect();
    let known = any_case(&known.iter().map(String::as_str).collect::<Vec<_>>());
    format!(r"([sS][iI][gG])?({known}|[rR][tT][mM]([iI][nN]|[aA][xX])([+-]?[0-9]+)?)|\+?[0-9]+")
}

fn signal() -> Shape {
    Shape::of("integer")
        .with("minimum", json!(1))
        .with("maximum", json!(64))
        .or(Shape::text(&signal_names()))
}

fn signals() -> Shape {
    Shape::of("object")
        .with("patternProperties", json!({ format!("^({})$", signal_names()): rule().json() }))
        .with("additionalProperties", json!(false))
}

fn rule() -> Shape {
    Shape::words(&["stop", "ignore", "reopen", "reload"], None).or(table(FORWARD))
}

fn exit() -> Shape {
    let by_reason = json!({
        "stopped": status().json(),
        "unit": by_unit(variants::<Own>()).json(),
    });
    Shape::of("object")
        .with("properties", by_reason)
        .with("patternProperties", json!({ r"^\+?[0-9]+$|\$\{": status().json() }))
        .with("additionalProperties", json!(false))
}

/// Returns a regular expression for these words in capital or small letters.
fn any_case(words: &[&str]) -> String {
    let letter = |c: char| match (c.to_ascii_lowercase(), c.to_ascii_uppercase()) {
        (small, large) if small == large => c.to_string(),
        (small, large) => format!("[{small}{large}]"),
    };
    let words: Vec<String> = words.iter().map(|word| word.chars().map(letter).collect()).collect();
    words.join("|")
}
