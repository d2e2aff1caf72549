//! Small helpers for text.

use std::time::Duration;

/// Removes control characters, which could forge a line of the log or end a variable.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads a time such as `1m30s`, of at most the seconds that fit into a `u32`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    unbounded(text).filter(|span| u32::try_from(span.as_secs()).is_ok())
}

fn unbounded(text: &str) -> Option<Duration> {
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
        // `30s1m` is probably a mistake.
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

/// Returns Markdown with the texts of its links in place of the links.
pub(crate) fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").filter(|(name, _)| !name.contains('['));
        let link = link.and_then(|(name, rest)| Some((name, rest.split_once(')')?.1)));
        out.push_str(before);
        let Some((name, beyond)) = link else {
            out.push('[');
            rest = after;
            continue;
        };
        out.push_str(name);
        rest = beyond;
    }
    out + rest
}
