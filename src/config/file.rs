//! One file of TOML as a tree, and everything that is wrong with its syntax.

use std::fmt::Write as _;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::source::{Places, Source};
use super::unclosed::Unclosed;
use super::value::{DEEPEST, Entry, Node, Table, Value, shown};
use super::{Diagnostic, Origin};

/// The number of errors to report: a single mistake, such as a quote that is never closed, causes
/// many more messages.
const MOST_ERRORS: usize = 10;

const TOO_DEEP: &str = "this is nested too deeply";

/// The beginning of the message about a key that its table already has.
const TWICE: &str = "the key ";

/// The size up to which all errors are collected. A larger text may have millions of them, so only
/// the first is reported.
const LARGEST_FOR_ALL_ERRORS: usize = 256 << 10;

/// The place of a mistake, a description, and what to do about it.
type Mistake = (Option<Range<usize>>, String, Option<String>);

/// Reads TOML. `order` is the place of the first key in the order of all keys.
///
/// # Errors
/// Returns all mistakes, each with its place.
pub(super) fn parse(source: &Source, order: u64) -> Result<Table, Vec<Diagnostic>> {
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
    let mut errors: Vec<Mistake> = errors
        .iter()
        .map(|error| {
            let said = message(&source.text, error.message(), error.span());
            (error.span(), said, help(&source.text, error.message(), error.span()))
        })
        .collect();
    for (span, said, help) in &mut errors {
        let at = span.as_ref().map_or(0, |span| span.start);
        if said.starts_with(TWICE)
            && let Some(first) = first_of(&source.text, at, table.get_ref())
        {
            let Origin::File { line, .. } = places.origin(first) else { continue };
            _ = write!(said, "; the first one is on line {line}");
            if table_of_header(&source.text, at).is_some() {
                *help = Some("merge the two tables into one".to_owned());
            }
        }
    }
    if let Some(unclosed) = Unclosed::find(&source.text) {
        let line = source.text[..unclosed.at].rfind('\n').map_or(0, |end| end + 1);
        let start = |(span, ..): &Mistake| span.as_ref().map_or(0, |span| span.start);
        // After another mistake in the same line, this may not be one, as in a text without quotes.
        if !errors.iter().any(|error| (line..unclosed.at).contains(&start(error))) {
            errors.retain(|error| start(error) < line);
            let span = unclosed.at..unclosed.at + unclosed.opener.len();
            errors.push((Some(span), unclosed.message(), Some(unclosed.help())));
        }
    }
    keep(table);
    errors.sort_by_key(|(span, ..)| span.as_ref().map_or(0, |span| span.start));
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut last = 0;
    let mut twice = 0..0;
    for (span, message, help) in errors {
        let start = span.as_ref().map_or(0, |span| span.start);
        // If a table is written twice, keys that are written twice in it follow from that.
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
        found.push(Diagnostic { help, ..Diagnostic::error(origin, message) });
        if found.len() == MOST_ERRORS {
            break;
        }
    }
    Err(found)
}

/// Reads a single value, such as that of a variable.
///
/// # Errors
/// Returns what is wrong with it.
pub(super) fn parse_value(text: &str, origin: &Origin, order: u64) -> Result<Node, String> {
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

/// Gives a whole tree the same place.
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

/// Leaks the tree of a wrong text. Freeing a tree recurses, and the parser, which limits dotted
/// keys and brackets separately, accepts trees that are deep enough to exhaust the stack.
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
        // The map is sorted by name, but the order in the file counts.
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

/// Returns the parser's message in words for people.
fn message(text: &str, message: &str, span: Option<Range<usize>>) -> String {
    let meant = span.and_then(|span| text.get(span)).unwrap_or("");
    match message {
        "duplicate key" => format!("{TWICE}`{meant}` is written twice"),
        "string values must be quoted, expected literal string" if meant.is_empty() => {
            "a value is missing".to_owned()
        }
        "string values must be quoted, expected literal string" => {
            "a string must be in quotes".to_owned()
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            TOO_DEEP.to_owned()
        }
        "invalid basic string, expected `\"`" | "invalid literal string, expected `'`" => {
            format!("the string is never closed: expected {}", &message[message.len() - 3..])
        }
        _ => message.replace(", expected nothing", "").replacen(", expected ", ": expected ", 1),
    }
}

/// Returns what to do about a mistake, if the parser's message does not say so.
fn help(text: &str, message: &str, span: Option<Range<usize>>) -> Option<String> {
    let meant = span.clone().and_then(|span| text.get(span)).unwrap_or("");
    let at = span.map_or(0, |span| span.start);
    let help = match message {
        // As in YAML.
        "invalid unquoted key, expected letters, numbers, `-`, `_`"
            if let Some(after) = text.get(at..).and_then(|rest| rest.strip_prefix(':')) =>
        {
            let key = text[..at].lines().next_back().unwrap_or_default().trim();
            let value = after.lines().next().unwrap_or_default().trim();
            return Some(format!("write `=` for `:`: {} = {}", shown(key), shown(value)));
        }
        "string values must be quoted, expected literal string" => of_boolean(meant)?,
        _ if message.starts_with("invalid boolean") => of_boolean(meant)?,
        _ if message.starts_with("unexpected leading zero") => {
            "write a mode in quotes (\"0644\") or as 0o644, and other numbers without the zero"
        }
        // This is often meant for a regular expression.
        _ if message.starts_with("missing escaped value") => {
            r"a string in single quotes keeps its backslashes: '/^\w+$/'"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

/// Returns the help for the boolean of another language.
fn of_boolean(meant: &str) -> Option<&'static str> {
    match meant.to_lowercase().as_str() {
        "yes" | "on" | "y" | "true" => Some("write true, or \"…\" for a text"),
        "no" | "off" | "n" | "false" => Some("write false, or \"…\" for a text"),
        _ => None,
    }
}

/// Returns the first place of the key at `at`, which is in a header or in a line below one.
fn first_of(text: &str, at: usize, table: &DeTable<'_>) -> Option<usize> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let key = &text[at..];
    let is_bare = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let end = match key.chars().next()? {
        quote @ ('"' | '\'') => key[1..].find(quote)? + 2,
        _ => key.find(|c| !is_bare(c)).unwrap_or(key.len()),
    };
    let before = text[start..at].trim_start();
    let path: Vec<&str> = if before.starts_with('[') {
        // The tree has the last of several headers of the same table.
        let header = text[start..].trim_start().split_inclusive(']').next()?;
        let dotted = format!("{}.", header.trim_matches(['[', ']', ' ']));
        let mut place = 0;
        return text[..start].split_inclusive('\n').find_map(|line| {
            let (indent, line) = (line.len() - line.trim_start().len(), line.trim_start());
            let at = place + indent;
            place += indent + line.len();
            (line.starts_with(header) || line.starts_with(&dotted)).then_some(at)
        });
    } else {
        let header = text[..start].rfind("\n[").map(|end| end + 1);
        let header = header.or_else(|| text.starts_with('[').then_some(0));
        let header = header.and_then(|header| text[header..].lines().next());
        let header =
            header.map(|line| line.trim_start_matches('[').split(']').next().unwrap_or(""));
        header.into_iter().chain([before]).collect()
    };
    let parts = path.iter().flat_map(|part| part.split('.')).map(str::trim);
    let parts = parts.filter(|part| !part.is_empty()).map(|part| part.trim_matches(['"', '\'']));
    let mut table = table;
    for part in parts {
        table = table.get(part)?.get_ref().as_table()?;
    }
    let (first, _) = table.get_key_value(key[..end].trim_matches(['"', '\'']))?;
    Some(first.span().start).filter(|first| *first < at)
}

/// Returns the table whose header has a key at `at`, up to the next header.
fn table_of_header(text: &str, at: usize) -> Option<Range<usize>> {
    let line = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let is_header = text[line..].trim_start().starts_with('[');
    let end = text[at..].find("\n[").map_or(text.len(), |length| at + length);
    is_header.then_some(at..end)
}
