//! Parsing and formatting of times.

use std::time::Duration;

use super::leaf::{Leaf, Problem, text};
use super::value::{Node, Value};
use super::{Backoff, Environment};
use crate::text::span;

/// Formats a time for people, to the millisecond: `0.2 s`, `5 s`.
#[must_use]
pub(crate) fn seconds(time: Duration) -> String {
    let rounded = (time.as_secs_f64() * 1000.0).round() / 1000.0;
    // A shorter time was written by somebody.
    let shown = if rounded > 0.0 { rounded } else { time.as_secs_f64() };
    format!("{shown} s")
}

/// Parses a time: `"1m30s"`, `"200ms"`, or a number of seconds.
pub(super) fn duration(node: &Node, environment: &Environment) -> Leaf<Duration> {
    match &node.value {
        Value::Integer(number, _) => span(&number.to_string()),
        Value::Float(number) => span(number),
        Value::String(_) => span(&text(node, environment)?),
        _ => None,
    }
    .ok_or_else(|| Problem {
        help: spelt_out(node).map(|right| format!("did you mean \"{right}\"?")),
        ..Problem::expected("a time such as \"5s\", \"200ms\", \"1m30s\" or \"2h\"", node)
    })
}

/// A number with its unit as other programs write it, such as `20sec`, in trc's form.
fn spelt_out(node: &Node) -> Option<String> {
    let Value::String(text) = &node.value else { return None };
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let unit = match unit.to_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        _ => return None,
    };
    let right = format!("{}{unit}", number.trim());
    span(&right).map(|_| right)
}

/// Parses a time that is longer than 0.
pub(super) fn positive(node: &Node, environment: &Environment) -> Leaf<Duration> {
    match duration(node, environment)? {
        Duration::ZERO => Err(Problem::new("this must be longer than 0")),
        time => Ok(time),
    }
}

/// Parses `"200ms..30s"`, or one time that stays the same.
pub(super) fn backoff(node: &Node, environment: &Environment) -> Leaf<Backoff> {
    let Value::String(_) = &node.value else {
        let time = duration(node, environment)?;
        return Ok(Backoff { first: time, longest: time });
    };
    let text = text(node, environment)?;
    let (first, longest) = text.split_once("..").unwrap_or((&text, &text));
    match (span(first.trim()), span(longest.trim())) {
        (Some(first), Some(longest)) if first <= longest => Ok(Backoff { first, longest }),
        (Some(_), Some(_)) => Err(Problem::new("the first time is longer than the second")),
        _ => Err(Problem::expected("a time, or two such as \"200ms..30s\"", node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_millisecond() {
        for (nanos, expected) in [
            (0, "0 s"),
            (999_999_910, "1 s"),
            (200_000_000, "0.2 s"),
            (1_234_567_890, "1.235 s"),
            (60_000_000_000, "60 s"),
            (100_000, "0.0001 s"),
        ] {
            assert_eq!(seconds(Duration::from_nanos(nanos)), expected);
        }
    }
}
