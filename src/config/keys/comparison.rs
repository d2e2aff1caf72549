//! A comparison of strings that decides whether a unit exists: `"${MODE} == worker"`.

use std::os::unix::ffi::OsStrExt as _;

use crate::config::Environment;
use crate::config::leaf::{Leaf, Problem, boolean, os_text};
use crate::config::value::{Node, Value};

/// Reads a boolean, or two texts with `==`, `!=` or `in` between them. The second text of `in` is a
/// list with commas. Variables are replaced in each text separately, so that a value is never an
/// operator.
pub(super) fn condition(node: &Node, environment: &Environment) -> Leaf<bool> {
    let Value::String(text) = &node.value else { return boolean(node, environment) };
    let Some((at, operator)) = operator(text) else {
        return boolean(node, environment).map_err(|problem| {
            let help = "compare strings with `==`, `!=` or `in`: \"${MODE} in web,worker\"";
            let help = text.trim().contains(' ').then(|| help.to_owned());
            Problem { help: problem.help.clone().or(help), ..problem }
        });
    };
    let after = at + operator.len();
    let side = |from: usize, to: usize| {
        let part = &text[from..to];
        let from = from + part.len() - part.trim_start().len();
        let part = Node::text(part.trim(), node.origin.clone());
        os_text(&part, environment).map_err(|problem| {
            let at = from + problem.at;
            problem.at(at)
        })
    };
    let (left, right) = (side(0, at)?, side(after, text.len())?);
    match operator {
        "==" => Ok(left == right),
        "!=" => Ok(left != right),
        _ if right.is_empty() => Err(Problem::new("`in` needs a list, such as `in web,worker`")),
        _ => {
            let mut items = right.as_bytes().split(|byte| *byte == b',');
            Ok(items.any(|item| item.trim_ascii() == left.as_bytes()))
        }
    }
}

/// Returns the first operator that is not within `${…}`, and its position.
fn operator(text: &str) -> Option<(usize, &'static str)> {
    let mut depth = 0_usize;
    for (at, _) in text.char_indices() {
        let rest = &text[at..];
        if rest.starts_with("${") {
            depth += 1;
        } else if rest.starts_with('}') {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            let found =
                ["==", "!=", " in "].into_iter().find(|operator| rest.starts_with(operator));
            if let Some(operator) = found {
                return Some((at, operator));
            }
        }
    }
    None
}
