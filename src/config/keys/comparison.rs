//! A comparison of strings that decides whether a unit exists: `"${MODE} == worker"`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::config::Environment;
use crate::config::leaf::{Leaf, Problem, boolean, os_text};
use crate::config::value::{Node, Value};

const OPERATORS: [&str; 3] = ["==", "!=", " in "];

/// Reads a boolean, or two texts with `==`, `!=` or `in` between them. The second text of `in` is a
/// list with commas. Variables are replaced in each text separately, so that a value is never an
/// operator.
pub(super) fn condition(node: &Node, environment: &Environment) -> Leaf<bool> {
    let Value::String(text) = &node.value else { return boolean(node, environment) };
    let operator = outside(text)
        .find_map(|at| Some((at, *OPERATORS.iter().find(|it| text[at..].starts_with(**it))?)));
    let Some((at, operator)) = operator else {
        return boolean(node, environment).map_err(|problem| {
            let help = "compare strings with `==`, `!=` or `in`: \"${MODE} in web,worker\"";
            let help = text.trim().contains(' ').then(|| help.to_owned());
            Problem { help: problem.help.clone().or(help), ..problem }
        });
    };
    let after = at + operator.len();
    // Returns a text, and whether it is in quotes.
    let side = |from: usize, to: usize| -> Leaf<(OsString, bool)> {
        let (from, inner, quoted) = written(text, from, to)?;
        let inner = Node::text(inner, node.origin.clone());
        let value = os_text(&inner, environment).map_err(|problem| {
            let at = from + problem.at;
            problem.at(at)
        })?;
        Ok((value, quoted))
    };
    let (left, _) = side(0, at)?;
    match operator {
        "==" => Ok(left == side(after, text.len())?.0),
        "!=" => Ok(left != side(after, text.len())?.0),
        _ => {
            let commas = outside(text).filter(|at| *at >= after && text[*at..].starts_with(','));
            let ends = commas.chain([text.len()]);
            let (mut from, mut items) = (after, Vec::new());
            for end in ends {
                let (item, quoted) = side(from, end)?;
                from = end + 1;
                // The value of a variable may be a list of its own.
                let parts = item.as_bytes().split(|byte| *byte == b',' && !quoted);
                let whole = |part: &[u8]| if quoted { part } else { part.trim_ascii() }.to_vec();
                items.extend(parts.map(whole));
            }
            if matches!(items.as_slice(), [only] if only.is_empty()) {
                return Err(Problem::new("`in` needs a list, such as `in web,worker`"));
            }
            Ok(items.contains(&left.into_vec()))
        }
    }
}

/// Returns the text between two positions as it is written, without quotes around it: where it
/// begins, the text, and whether it had quotes. Only a text in quotes can have spaces and operators,
/// so that nothing which looks like a longer expression is taken for a text.
fn written(text: &str, from: usize, to: usize) -> Leaf<(usize, &str, bool)> {
    let part = &text[from..to];
    let from = from + part.len() - part.trim_start().len();
    let part = part.trim();
    if let Some(quote @ ('"' | '\'')) = part.chars().next() {
        let inner = &part[1..];
        return match inner.find(quote) {
            Some(end) if end + 1 == inner.len() => Ok((from + 1, &inner[..end], true)),
            Some(end) => Err(one_comparison(from + 1 + end + 1)),
            None => Err(Problem::new(format!("this {quote} is never closed")).at(from)),
        };
    }
    let odd = |at: &usize| {
        let rest = &part[*at..];
        rest.starts_with(char::is_whitespace) || OPERATORS.iter().any(|it| rest.starts_with(it))
    };
    match outside(part).find(odd) {
        _ if part.starts_with('=') => Err(one_comparison(from)),
        Some(at) => {
            let rest = &part[at..];
            Err(one_comparison(from + at + rest.len() - rest.trim_start().len()))
        }
        None => Ok((from, part, false)),
    }
}

fn one_comparison(at: usize) -> Problem {
    let help = "a string with spaces needs quotes; there is no `and`, `or` or `not`";
    let problem = Problem::new("expected one comparison of two strings").at(at);
    Problem { help: Some(help.to_owned()), ..problem }
}

/// Returns the positions of the characters that are neither within `${…}` nor within quotes. A quote
/// counts only at the beginning of a text.
fn outside(text: &str) -> impl Iterator<Item = usize> {
    let (mut depth, mut quote, mut begins) = (0_usize, None, true);
    text.char_indices().filter_map(move |(at, this)| {
        let rest = &text[at..];
        if depth == 0 && quote.is_some() {
            if quote == Some(this) {
                quote = None;
            }
            return None;
        }
        if rest.starts_with("${") {
            depth += 1;
        } else if this == '}' {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            if begins && matches!(this, '"' | '\'') {
                quote = Some(this);
                begins = false;
                return None;
            }
            begins = this.is_whitespace() || matches!(this, ',' | '=');
            return Some(at);
        }
        begins = false;
        None
    })
}
