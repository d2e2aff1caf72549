//! One file of TOML as a tree, and everything that is wrong with its syntax.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{Places, Source};
use super::value::{DEEPEST, Entry, Node, Table, Value};
use super::{Diagnostic, Origin};

/// One mistake, such as a quote never closed, brings many more messages with it.
const MOST_ERRORS: usize = 10;

const TOO_DEEP: &str = "this is nested too deeply";

/// How the message on a key begins that stands in its table already.
const TWICE: &str = "the key ";

/// A larger text may hold millions of errors; then the first must do.
const LARGEST_FOR_ALL_ERRORS: usize = 256 << 10;

/// Reads TOML. `order` is what the first key's place in the order of all keys becomes.
///
/// # Errors
/// What is wrong, each with its place.
pub fn parse(source: &Source, order: u64) -> Result<Table, Vec<Diagnostic>> {
    let (table, errors) = if source.text.len() > LARGEST_FOR_ALL_ERRORS {
        match DeTable::parse(&source.text) {
            Ok(table) => (table, Vec::new()),
            Err(error) => (Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    } else {
        DeTable::parse_recoverable(&source.text)
    };
    let mut places = Places::new(source);
    if errors.is_empty() {
        let mut reader = Reader { places, order, depth: 0, errors: Vec::new() };
        let read = reader.table(table.get_ref());
        if reader.errors.is_empty() {
            return Ok(read);
        }
        keep(table);
        return Err(reader.errors);
    }
    keep(table);
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| {
            let said = message(&source.text, error.message(), error.span());
            (error.span(), said, help(error.message()))
        })
        .collect();
    errors.sort_by_key(|(span, ..)| span.as_ref().map_or(0, |span| span.start));
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut last = 0;
    let mut twice = 0..0;
    for (span, message, help) in errors {
        let start = span.as_ref().map_or(0, |span| span.start);
        // What stands twice in a table that stands there twice follows from that.
        if twice.contains(&start) {
            continue;
        }
        if message.starts_with(TWICE) {
            twice = table_of_header(&source.text, start).unwrap_or(twice);
        }
        let origin = match span {
            Some(span) => places.origin(span.start),
            None => Origin::File { path: source.path.clone(), line: 0, column: 0 },
        };
        // The second error of a line follows from the first.
        if let Origin::File { line, .. } = origin {
            if line == last && !found.is_empty() {
                continue;
            }
            last = line;
        }
        let help = help.map(str::to_owned);
        found.push(Diagnostic { help, ..Diagnostic::error(origin, message) });
        if found.len() == MOST_ERRORS {
            break;
        }
    }
    Err(found)
}

/// Reads one value, as of a variable.
///
/// # Errors
/// What is wrong with it.
pub fn parse_value(text: &str, origin: &Origin, order: u64) -> Result<Node, String> {
    let value = DeValue::parse(text)
        .map_err(|error| message(text, error.message(), error.span()))?
        .into_inner();
    let source = Source { path: std::path::Path::new("").into(), text: "".into() };
    let value = Spanned::new(0..0, value);
    let mut reader = Reader { places: Places::new(&source), order, depth: 0, errors: Vec::new() };
    let mut node = reader.node(&value);
    if let Some(error) = reader.errors.pop() {
        keep(value);
        return Err(error.message);
    }
    place(&mut node, origin);
    Ok(node)
}

/// Says of a whole tree that it came from one place.
fn place(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| place(item, origin)),
        Value::Table(table) => {
            for entry in table.values_mut() {
                entry.key = origin.clone();
                place(&mut entry.node, origin);
            }
        }
        _ => {}
    }
}

/// Doesn't free a wrong text's tree: freeing recurses, and the parser, which limits dotted
/// keys and brackets each for themselves, lets through some that are deep enough to
/// exhaust the stack.
fn keep<T>(tree: T) {
    std::mem::forget(tree);
}

struct Reader<'a> {
    places: Places<'a>,
    order: u64,
    depth: usize,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        // The map is sorted by name; people mean the order in which they wrote.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let span = key.span();
                let origin = self.places.origin(span.start);
                let order = self.order + span.start as u64;
                let node = self.node(value);
                (key.get_ref().to_string(), Entry::new(origin, order, node))
            })
            .collect()
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let origin = self.places.origin(value.span().start);
        if self.depth == DEEPEST {
            self.errors.push(Diagnostic::error(origin.clone(), TOO_DEEP));
            return Node { value: Value::Boolean(false), origin };
        }
        self.depth += 1;
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                let integer = i64::from_str_radix(number.as_str(), number.radix());
                if integer.is_err() {
                    let message = format!("the integer {number} is too large");
                    self.errors.push(Diagnostic::error(origin.clone(), message));
                }
                Value::Integer(integer.unwrap_or(0), number.radix())
            }
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::Boolean(yes) => Value::Boolean(*yes),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => Value::Array(items.iter().map(|v| self.node(v)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        self.depth -= 1;
        Node { value, origin }
    }
}

/// The parser's message in words for people.
fn message(text: &str, message: &str, span: Option<Range<usize>>) -> String {
    let meant = span.and_then(|span| text.get(span)).unwrap_or("");
    match message {
        "duplicate key" => format!("{TWICE}`{meant}` stands here twice"),
        "string values must be quoted, expected literal string" if meant.is_empty() => {
            "a value is missing".to_owned()
        }
        "string values must be quoted, expected literal string" => {
            "a string must stand in quotes".to_owned()
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            TOO_DEEP.to_owned()
        }
        _ => message.replace(", expected nothing", "").replacen(", expected ", ": expected ", 1),
    }
}

/// What to do about it, where the parser's message leaves people alone.
fn help(message: &str) -> Option<&'static str> {
    // As in a regular expression.
    message
        .starts_with("missing escaped value")
        .then_some(r"a string in single quotes keeps its backslashes: '/^\w+$/'")
}

/// The table whose header has a key at `at`, up to the next header.
fn table_of_header(text: &str, at: usize) -> Option<Range<usize>> {
    let line = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let is_header = text[line..].trim_start().starts_with('[');
    let end = text[at..].find("\n[").map_or(text.len(), |length| at + length);
    is_header.then_some(at..end)
}
