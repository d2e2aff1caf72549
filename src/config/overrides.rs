//! `--config`: a file, or a key and its value.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::value::DEEPEST;

/// The meaning of one `--config`.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Override {
    /// A file with the keys of `trc.toml`.
    File(PathBuf),
    /// The path of a key, and the key's value.
    Key(Vec<String>, String),
}

/// Reads an argument: it is `KEY=VALUE` if a dotted key stands before its first `=`, even if there
/// is a file with that name. Such a file has to be written as `./KEY=VALUE`.
#[must_use]
pub(super) fn read(argument: &OsStr) -> Override {
    argument
        .to_str()
        .and_then(key_and_value)
        .map_or_else(|| Override::File(argument.into()), |(key, value)| Override::Key(key, value))
}

/// Returns the file that an argument of `--config` names, if it names one.
#[must_use]
pub(crate) fn overridden_file(argument: &OsStr) -> Option<PathBuf> {
    match read(argument) {
        Override::File(path) => Some(path),
        Override::Key(..) => None,
    }
}

fn key_and_value(text: &str) -> Option<(Vec<String>, String)> {
    let mut path = Vec::new();
    let mut rest = text;
    loop {
        let part = if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let (part, after) = rest[1..].split_once(quote)?;
            rest = after;
            part
        } else {
            let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
            let end = rest.find(|c| !is_bare(c)).filter(|end| *end > 0)?;
            let (part, after) = rest.split_at(end);
            rest = after;
            part
        };
        if path.len() == DEEPEST {
            return None;
        }
        path.push(part.to_owned());
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else if let Some(value) = rest.strip_prefix('=') {
            return Some((path, value.to_owned()));
        } else {
            // Spaces around the `=` are allowed as in TOML: `wait = all`.
            let value = rest.trim_start().strip_prefix('=')?;
            return Some((path, value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_key_before_the_equals_sign_makes_a_key_and_value() {
        for (argument, path, value) in [
            ("wait=all", vec!["wait"], "all"),
            ("wait = all", vec!["wait"], "all"),
            ("wait=", vec!["wait"], ""),
            ("env.X= a=b", vec!["env", "X"], " a=b"),
            ("async.my-web.exec=nginx -g 'x'", vec!["async", "my-web", "exec"], "nginx -g 'x'"),
            ("async.\"a.b = c\".exec=x", vec!["async", "a.b = c", "exec"], "x"),
            ("signals.RTMIN+3=stop", vec!["signals", "RTMIN+3"], "stop"),
        ] {
            let path = path.into_iter().map(str::to_owned).collect();
            assert_eq!(read(argument.as_ref()), Override::Key(path, value.to_owned()));
        }
    }

    #[test]
    fn all_else_is_a_file() {
        for argument in ["trc.toml", "./wait=all", "/a=b", "a..b=c", "=x", "\"a=b", "", "a b=c"] {
            assert_eq!(read(argument.as_ref()), Override::File(argument.into()), "{argument}");
        }
    }
}
