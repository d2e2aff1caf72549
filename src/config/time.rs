//! Spans of time as people write them.

use std::time::Duration;

use super::Environment;
use super::leaf::{Leaf, Problem, text};
use super::value::{Node, Value};

/// A span of time: `"1m30s"`, `"200ms"`, or a number of seconds.
pub fn duration(node: &Node, environment: &Environment) -> Leaf<Duration> {
    let seconds = |text: &str| span(text).filter(|span| u32::try_from(span.as_secs()).is_ok());
    match &node.value {
        Value::Integer(number, _) => seconds(&number.to_string()),
        Value::Float(number) => seconds(number),
        Value::String(_) => seconds(&text(node, environment)?),
        _ => None,
    }
    .ok_or_else(|| Problem::expected("a time such as \"5s\", \"200ms\", \"1m30s\" or \"2h\"", node))
}

fn span(text: &str) -> Option<Duration> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if plain && digits != "." { digits.parse::<f64>().ok() } else { None }
    };
    if let Some(seconds) = number(text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    let mut largest = f64::INFINITY;
    loop {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (amount, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let scale = match &unit[..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        // `30s1m` is a slip.
        if scale >= largest {
            return None;
        }
        largest = scale;
        let part = Duration::try_from_secs_f64(number(amount.trim())? * scale).ok()?;
        total = total.checked_add(part)?;
        rest = unit[end..].trim_start();
        if rest.is_empty() {
            return Some(total);
        }
    }
}
