//! The state of a POSIX shell: the output of `export -p`, `readonly -p` and `set`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::environment::Exported;
use super::fields::Fields;
use super::names::{is_default, is_identifier, is_special};
use super::restore::{assign, command};
use super::{Saved, State, quote};

impl State {
    pub(super) fn posix(
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut found: Fields,
        mut left: Fields,
    ) -> Option<Self> {
        let mut state = Self::default();
        state.trace(saved, left.next()?);
        state.surroundings(saved, &mut found, &mut left)?;
        let (before, after) = (found.next()?, left.next()?);
        let on = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            let names = text.lines().filter_map(|line| line.strip_prefix("set -o "));
            names.collect::<Vec<_>>().join(":").into_bytes()
        };
        state.changed_options(saved, (&on(before), &on(after)), (b"", b""));
        let exports = posix_variables(left.next()?);
        let readonly = posix_variables(left.next()?);
        let all = posix_variables(left.next()?);
        state.args = left.args()?;

        let mut exported = Exported::default();
        for (name, value) in &exports {
            if is_special(name) {
                continue;
            }
            let in_env = value.as_ref().is_some_and(|value| exported.add(name, value));
            if !in_env {
                command(&mut state.variables, "export", name, value.as_deref());
            }
        }
        for (name, value) in &all {
            if !is_special(name)
                && !exports.contains_key(name)
                && !is_default(name, value.as_deref())
            {
                assign(&mut state.variables, name, value.as_deref().unwrap_or_default());
            }
        }
        for name in readonly.keys().filter(|name| !is_special(name)) {
            command(&mut state.variables, "readonly", name, None);
        }
        if let Some(Some(old)) = all.get(&b"OLDPWD"[..]) {
            state.came_from(old);
        }
        state.unset(|name| all.contains_key(name));
        state.settle(saved, given, exported, |_| false);
        Some(state)
    }
}

/// Parses the output of `export -p`, `readonly -p` or `set`: `NAME='value'`, with or without the
/// words of a command before it.
fn posix_variables(mut text: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut variables = BTreeMap::new();
    while !text.is_empty() {
        // `export `, `declare -rx `: neither a name with a value nor the last word.
        loop {
            let end = text.iter().position(|&b| b" =\n".contains(&b)).unwrap_or(text.len());
            if text.get(end) != Some(&b' ') {
                break;
            }
            text = &text[end + 1..];
        }
        let end = text.iter().position(|&b| b == b'=' || b == b'\n').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        text = match rest {
            [b'=', b'(', ..] => &rest[1 + quote::compound(&rest[1..])..],
            [b'=', rest @ ..] => {
                let (value, rest) = quote::word(rest);
                if is_identifier(name) {
                    variables.insert(name.to_vec(), Some(value));
                }
                rest
            }
            rest => {
                if is_identifier(name) {
                    variables.insert(name.to_vec(), None);
                }
                rest
            }
        };
        let end = text.iter().position(|&b| b == b'\n').map_or(text.len(), |at| at + 1);
        text = &text[end..];
    }
    variables
}
