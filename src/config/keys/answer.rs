//! Reads `expect.http`, and the values that answers are compared with.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::decode::{At, Decoder};
use super::test::{pattern, push};
use super::{EXPECT_HTTP, EXPECT_SEND};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::probe::SUCCESS;
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{
    Asked, Environment, HttpCheck, JsonPath, Needle, Pattern, Relation, Sent, Test, Wanted,
};

/// The keys that only `expect.http` has.
pub(super) struct Answering {
    pub send: Sent,
    pub follow: bool,
    pub status: Vec<RangeInclusive<u16>>,
    pub body: Vec<Pattern>,
    pub headers: BTreeMap<String, Vec<Pattern>>,
    pub json: Vec<(JsonPath, Vec<Wanted>)>,
    pub answer_within: Option<Duration>,
}

/// The keys of `expect.http.send`.
#[derive(Default)]
pub(super) struct SendKeys {
    pub method: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

impl Decoder<'_> {
    /// Reads `expect.http`.
    pub(super) fn http_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let check = self.an_answer(at, entry);
        push(test, entry, check.map(|check| Asked::Http(Box::new(check))));
    }

    /// Reads a request and the expected answer.
    pub(super) fn an_answer(&mut self, at: &At, entry: &Entry) -> Option<HttpCheck> {
        let fields = self.table(at, entry, EXPECT_HTTP)?;
        let mut answer = Answering {
            send: Sent::default(),
            follow: false,
            status: vec![SUCCESS],
            body: Vec::new(),
            headers: BTreeMap::new(),
            json: Vec::new(),
            answer_within: None,
        };
        self.answer_keys(&fields, &mut answer);
        let Answering { send, follow, status, body, headers, json, answer_within } = answer;
        for key in ["body", "json"] {
            if let Some(entry) = fields.entry(key).filter(|_| send.method == "HEAD") {
                let message =
                    format!("`{at}.{key}` can't be checked: the answer to HEAD has no body");
                self.error(&entry.key, message, None);
            }
        }
        let http = self.http_of(&fields, entry, status);
        let check =
            |http| HttpCheck { http, sent: send, follow, body, headers, json, answer_within };
        http.map(check)
    }

    /// Reads `expect.http.send`.
    pub(super) fn send(&mut self, at: &At, entry: &Entry) -> Option<Sent> {
        let fields = self.table(at, entry, EXPECT_SEND)?;
        let mut keys = SendKeys::default();
        self.send_keys(&fields, &mut keys);
        let SendKeys { method, headers, body } = keys;
        if let Some(entry) = fields.entry("body").filter(|_| method.as_deref() == Some("HEAD")) {
            self.error(&entry.key, format!("`{at}.body`: HEAD has no body"), None);
        }
        let usual = if body.is_some() { "POST" } else { "GET" };
        Some(Sent { method: method.unwrap_or_else(|| usual.to_owned()), headers, body })
    }

    /// Reads `expect.http.send.headers`.
    pub(super) fn sent_headers(&mut self, at: &At, entry: &Entry) -> Option<Vec<(String, String)>> {
        let mut headers = Vec::new();
        for (name, entry) in self.names(at, entry)? {
            let at = &at.key(name);
            let header = name.replace('_', "-");
            let right = match header.to_lowercase().as_str() {
                "host" => Some("write `host` beside `url`"),
                "content-length" | "transfer-encoding" => Some("trc counts the bytes of `body`"),
                "connection" | "upgrade" | "expect" | "te" | "trailer" => {
                    Some("trc sends one request and closes the connection")
                }
                _ => None,
            };
            let odd = |c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
            if let Some(right) = right {
                let message = format!("`{at}`: trc sets this header itself");
                self.error(&entry.key, message, Some(right.to_owned()));
            } else if header.is_empty() || header.contains(odd) {
                self.error(&entry.key, format!("`{at}` is not the name of a header"), None);
            } else if let Some(value) = self.get(at, entry, header_value) {
                headers.push((header, value));
            }
        }
        Some(headers)
    }

    /// Reads `expect.http.headers`.
    pub(super) fn headers(
        &mut self,
        at: &At,
        entry: &Entry,
    ) -> Option<BTreeMap<String, Vec<Pattern>>> {
        let headers = self.names(at, entry)?.iter().map(|(name, entry)| {
            let values = self.some_of(&at.key(name), entry, pattern).unwrap_or_default();
            (name.to_lowercase().replace('_', "-"), values)
        });
        Some(headers.collect())
    }

    /// Reads `expect.http.json`.
    pub(super) fn json(&mut self, at: &At, entry: &Entry) -> Option<Vec<(JsonPath, Vec<Wanted>)>> {
        let table = self.names(at, entry)?;
        if table.is_empty() {
            self.error(&entry.key, format!("`{at}` has no path, so it checks nothing"), None);
        }
        let mut all = Vec::new();
        for (name, entry) in table {
            let at = &at.key(name);
            if let Some(inner) = entry.node.as_table() {
                let right = inner.keys().next().map(|inner| {
                    let path = format!("{}.{}", shown(name), shown(inner));
                    format!("write the whole path in quotes: {path:?} = …")
                });
                let problem = Problem::expected("a value", &entry.node);
                self.problem(at, &entry.node, Problem { help: right, ..problem });
                continue;
            }
            let path = JsonPath::parse(name);
            if path.is_none() {
                let message = format!("`{at}`: this is not a path that trc can follow");
                let help = "a path has names and positions only: \"$.items[0].name\", \
                            \"$['a name'].length\"";
                self.error(&entry.key, message, Some(help.to_owned()));
            }
            let values = self.some_of(at, entry, wanted);
            all.extend(path.zip(values));
        }
        Some(all)
    }
}

/// Reads the method of a request.
pub(super) fn method(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = leaf::text(node, environment)?;
    let odd = |c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '_');
    if text.is_empty() || text.contains(odd) {
        return Err(Problem::expected("a method such as \"POST\"", node));
    }
    let upper = text.to_uppercase();
    if upper == "CONNECT" {
        return Err(Problem::new("trc does not ask for tunnels"));
    }
    if upper != text {
        let help = Some(format!("write \"{upper}\""));
        return Err(Problem { help, ..Problem::new("methods are written in capital letters") });
    }
    Ok(text)
}

/// Reads the value of a header.
fn header_value(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = match &node.value {
        Value::Integer(number, _) => number.to_string(),
        _ => leaf::text(node, environment)?,
    };
    match text.find(|c: char| c.is_control() && c != '\t') {
        None => Ok(text.trim().to_owned()),
        Some(at) => Err(Problem::new("a header has one line, without control characters").at(at)),
    }
}

/// Reads what a single value has to be: a number or a boolean, a text that it is equal to, a
/// `/regular expression/`, either of them with `!`, or a comparison such as `> 3`.
pub(super) fn wanted(node: &Node, environment: &Environment) -> Leaf<Wanted> {
    let equal = |text: &str, negated| {
        Wanted::Text(Pattern { needle: Needle::Text(text.to_owned()), negated })
    };
    let text = match &node.value {
        Value::Integer(number, _) => {
            return Ok(Wanted::Number(Relation::Equal, number.to_string()));
        }
        Value::Float(number) => {
            return Ok(Wanted::Number(Relation::Equal, number.replace('_', "")));
        }
        Value::Boolean(yes) => return Ok(equal(&yes.to_string(), false)),
        Value::String(_) => leaf::text(node, environment)?,
        _ => return Err(Problem::expected("a string, a number or a boolean", node)),
    };
    if let Some((relation, than)) = Relation::split(&text) {
        if than.parse::<f64>().is_ok_and(f64::is_finite) {
            return Ok(Wanted::Number(relation, than.to_owned()));
        }
        let help = match relation {
            Relation::Equal => format!("write \"{}\"", shown(than)),
            Relation::Other => format!("write \"!{}\"", shown(than)),
            _ => format!("for a text that begins so, write '/^{}/'", regex_lite::escape(&text)),
        };
        let message = format!("expected a number after `{relation}`, found \"{}\"", shown(than));
        return Err(Problem { help: Some(help), ..Problem::new(message) });
    }
    match text.as_str() {
        "" => Ok(equal("", false)),
        "!" => Ok(equal("", true)),
        _ => pattern(node, environment).map(Wanted::Text),
    }
}
