//! The state of bash: the output of `declare` and `shopt`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::environment::Exported;
use super::fields::Fields;
use super::names::{is_default, is_special};
use super::restore::{assign, command};
use super::{Saved, State, is_builtin, quote};

/// The functions of the prelude. They are not part of the state unless a script has redefined them.
const PRELUDE: &[&str] = &["say", "log", "warn", "err", "debug", "run", "trap"];

impl State {
    pub(super) fn bash(
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut found: Fields,
        mut left: Fields,
    ) -> Option<Self> {
        let flags = left.next()?;
        let [options_before, options, shopts_before, shopts] =
            [left.next()?, left.next()?, left.next()?, left.next()?];
        let mut state = Self::default();
        state.surroundings(saved, &mut found, &mut left)?;
        let variables = bash_variables(left.next()?);
        let names = function_names(left.next()?);
        let functions = split_functions(left.next()?, &names);
        let aliases = left.next()?;
        state.args = left.args()?;

        state.trace(saved, flags);
        state.changed_options(saved, (options_before, options), (shopts_before, shopts));
        let lines = aliases.split_inclusive(|byte| *byte == b'\n');
        state.aliases = lines.filter(|line| !is_own_alias(line)).collect::<Vec<_>>().concat();

        let mut exported = Exported::default();
        for (flags, name, text) in &functions {
            if name.starts_with(b"__trc_") || is_prelude(name, text) {
                continue;
            }
            let body = text.iter().position(|&b| b == b'{').map_or(&[][..], |at| &text[at..]);
            let value = [&b"() "[..], body.trim_ascii_end()].concat();
            let variable = [&b"BASH_FUNC_"[..], name, b"%%"].concat();
            // A function that replaces a builtin would not reach the next shell through the
            // environment.
            let by_environment = flags.contains('x') && !is_builtin(name);
            if !(by_environment && exported.add(&variable, &value)) {
                state.functions.extend_from_slice(text);
            }
            if *flags != "f" {
                state.functions.extend_from_slice(format!("declare -{flags} ").as_bytes());
                state.functions.extend_from_slice(name);
                state.functions.push(b'\n');
            }
        }
        for (name, variable) in &variables {
            if is_special(name) {
                continue;
            }
            let in_env = match &variable.value {
                Value::Scalar(value) if variable.flags.contains('x') => exported.add(name, value),
                _ => false,
            };
            variable.restore(name, in_env, &mut state.variables);
        }
        if let Some(Value::Scalar(old)) = variables.get(&b"OLDPWD"[..]).map(|v| &v.value) {
            state.came_from(old);
        }
        state.unset(|name| variables.contains_key(name));
        state.settle(saved, given, exported, |name| name.starts_with(b"BASH_FUNC_"));
        Some(state)
    }
}

enum Value {
    Unset,
    Scalar(Vec<u8>),
    /// The value as bash prints it, for bash.
    Compound(Vec<u8>),
}

struct Variable {
    /// The attributes: `-` for none, or some of `aAilnrtuxc`.
    flags: String,
    value: Value,
}

impl Variable {
    fn restore(&self, name: &[u8], in_env: bool, out: &mut Vec<u8>) {
        let flags: String =
            self.flags.chars().filter(|&c| c != '-' && !(c == 'x' && in_env)).collect();
        match &self.value {
            _ if in_env && flags.is_empty() => {}
            Value::Scalar(value) if flags.is_empty() => {
                if !is_default(name, Some(value)) {
                    assign(out, name, value);
                }
            }
            // The value is in the environment already, and only the attributes are missing.
            Value::Scalar(_) if in_env => {
                command(out, &format!("declare -{flags}"), name, None);
            }
            Value::Scalar(value) => command(out, &format!("declare -{flags}"), name, Some(value)),
            Value::Compound(text) => {
                out.extend_from_slice(format!("declare -{flags} ").as_bytes());
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Value::Unset => {
                let flags = if flags.is_empty() { "-".to_owned() } else { flags };
                command(out, &format!("declare -{flags}"), name, None);
            }
        }
    }
}

/// Returns whether a function is an unchanged one of the prelude: these call `__trc_call`, or are
/// known by their complete text, as bash prints it.
fn is_prelude(name: &[u8], text: &[u8]) -> bool {
    let Some(name) = PRELUDE.iter().find(|known| known.as_bytes() == name) else { return false };
    let text = String::from_utf8_lossy(text);
    match *name {
        "run" => text.split_whitespace().eq("run () { builtin command \"$@\" }".split_whitespace()),
        "trap" => text.contains("__trc_trap"),
        name => text.contains(&format!("__trc_call {name} \"$@\"")) && text.lines().count() < 16,
    }
}

/// Returns whether a line of `alias -p` belongs to the prelude, which needs it in posix mode.
fn is_own_alias(line: &[u8]) -> bool {
    line.ends_with(b"trap='__trc_alias'\n")
}

/// Parses the output of `declare -p`: `declare -x NAME="value"`.
fn bash_variables(mut text: &[u8]) -> BTreeMap<Vec<u8>, Variable> {
    let mut variables = BTreeMap::new();
    while let Some(rest) = text.strip_prefix(b"declare -") {
        let blank = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        let (flags, rest) = rest.split_at(blank);
        let rest = rest.get(1..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'=' || b == b'\n').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let (value, rest) = match rest {
            [b'=', rest @ ..] => bash_value(rest),
            rest => (Value::Unset, rest),
        };
        let flags = String::from_utf8_lossy(flags).into_owned();
        variables.insert(name.to_vec(), Variable { flags, value });
        text = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    variables
}

fn bash_value(text: &[u8]) -> (Value, &[u8]) {
    if text.first() == Some(&b'(') {
        let (value, rest) = text.split_at(quote::compound(text));
        return (Value::Compound(value.to_vec()), rest);
    }
    let (value, rest) = quote::word(text);
    // Bash 4.2 and 4.3 print `declare -a a='([0]="x")'`, and read that back as well.
    (Value::Scalar(value), rest)
}

/// Parses the output of `declare -F`: `declare -fx NAME`.
fn function_names(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    text.split(|&b| b == b'\n')
        .filter_map(|line| {
            let line = line.strip_prefix(b"declare -")?;
            let blank = line.iter().position(|&b| b == b' ')?;
            Some((String::from_utf8_lossy(&line[..blank]).into_owned(), line[blank + 1..].to_vec()))
        })
        .collect()
}

/// Parses the output of `declare -f`, which has the same order. It is cut at each `NAME () ` that
/// follows the last line of a function: `}`, or `} 2>&1`.
fn split_functions<'a>(
    mut text: &'a [u8],
    names: &[(String, Vec<u8>)],
) -> Vec<(String, Vec<u8>, &'a [u8])> {
    let mut functions = Vec::new();
    for (index, (flags, name)) in names.iter().enumerate() {
        let next = names.get(index + 1).and_then(|(_, next)| {
            let start = [b"\n", next.as_slice(), b" () \n{"].concat();
            memchr::memmem::find_iter(text, &start).map(|at| at + 1).find(|&at| {
                let line = text[..at - 1].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
                text[line] == b'}'
            })
        });
        let (function, rest) = text.split_at(next.unwrap_or(text.len()));
        functions.push((flags.clone(), name.clone(), function));
        text = rest;
    }
    functions
}
