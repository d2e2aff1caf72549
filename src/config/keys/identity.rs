//! Reads a unit's identity, environment, limits and capabilities.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::decode::{At, Decoder};
use super::key::find;
use super::{LIMITS, SECRET, UNIT};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::privilege::{CAPABILITIES, Limit, Resource, Stdin, Tty, UNLIMITED};
use crate::config::size;
use crate::config::suggest::{begun, nearest};
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{Diagnostic, Environment, FileEnv, Origin, Placed, Variable};

/// The key of a value that a file contains.
#[derive(Default)]
pub(super) struct Secret {
    pub file: Option<Placed<OsString>>,
}

impl Decoder<'_> {
    /// Reads `limits`.
    pub(super) fn limits(&mut self, at: &At, entry: &Entry) -> Option<Vec<Placed<Limit>>> {
        let fields = self.table(at, entry, LIMITS)?;
        let mut limits = Vec::new();
        self.limit_keys(&fields, &mut limits);
        Some(limits)
    }

    /// Reads a limit. `number` is that of its resource; `bytes` tells whether it is counted in
    /// bytes.
    pub(super) fn limit(
        &mut self,
        limits: &mut Vec<Placed<Limit>>,
        at: &At,
        entry: &Entry,
        number: u32,
        bytes: bool,
    ) {
        let Some(key) = find(LIMITS, at.name()) else { return };
        let resource = Resource { name: key.name, number };
        let read =
            |node: &Node, environment: &Environment| limit(resource, bytes, node, environment);
        limits.extend(self.placed(at, entry, read));
    }

    /// Reads `stdin`.
    pub(super) fn stdin(&mut self, at: &At, entry: &Entry) -> Option<Placed<Stdin>> {
        let origin = entry.node.origin.clone();
        if entry.node.as_table().is_none() {
            let value = Stdin::Word(self.get(at, entry, leaf::choice)?);
            return Some(Placed { value, origin });
        }
        let file = self.secret(at, entry)?;
        Some(Placed { value: Stdin::File(file.value.into()), origin: file.origin })
    }

    /// Reads the file that a table names.
    fn secret(&mut self, at: &At, entry: &Entry) -> Option<Placed<OsString>> {
        let fields = self.table(at, entry, SECRET)?;
        let mut secret = Secret::default();
        self.secret_keys(&fields, &mut secret);
        self.file_is_there(&fields, entry);
        secret.file
    }

    /// Reads variables, by name.
    pub(super) fn variables(
        &mut self,
        at: &At,
        entry: &Entry,
    ) -> Option<BTreeMap<String, Placed<Variable>>> {
        if let Some(right) = assignments(&entry.node) {
            let problem = Problem::expected("a table", &entry.node);
            let help = Some(format!("write env = {{ {right} }}"));
            self.problem(at, &entry.node, Problem { help, ..problem });
            return None;
        }
        let mut variables = BTreeMap::new();
        let of = entry;
        for (name, entry) in self.names(at, entry)? {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("\"{}\" is not a valid name of a variable", shown(name));
                self.error(&entry.key, message, None);
                continue;
            }
            self.of_unit(at, &of.key, name, entry);
            let at = &at.key(name);
            let value = if entry.node.as_table().is_some() {
                self.secret(at, entry).map(|file| Variable::File(file.value.into()))
            } else {
                if let Value::String(text) = &entry.node.value {
                    self.unbraced(at, &entry.node.origin, std::slice::from_ref(text));
                }
                self.get(at, entry, leaf::template).map(Variable::Text)
            };
            if let Some(value) = value {
                let origin = entry.node.origin.clone();
                variables.insert(name.clone(), Placed { value, origin });
            }
        }
        Some(variables)
    }

    /// Warns of a variable below the header of `env` whose name is that of a key of a unit: a header
    /// does not end where its variables do.
    fn of_unit(&mut self, at: &At, env: &Origin, name: &str, entry: &Entry) {
        let (At::Key(At::Unit(id), _), Origin::File { path, line, .. }) = (at, env) else { return };
        let Origin::File { path: same, line: below, .. } = &entry.key else { return };
        if find(UNIT, name).is_some() && path == same && below > line {
            let message =
                format!("`env.{name}` is a variable, but its name is that of a key of a unit");
            let help = format!(
                "write it above `[{id}.env]` if it is the key, or as `env.{name}` there if it is a variable",
                id = shown(id)
            );
            self.diagnostics.push(Diagnostic::warning(entry.key.clone(), message).help(help));
        }
    }

    /// Reads `file_env`.
    pub(super) fn file_env(&mut self, at: &At, entry: &Entry) -> Option<FileEnv> {
        if let Value::Array(_) = &entry.node.value {
            return self.all_of(at, entry, leaf::line).map(FileEnv::Names);
        }
        let all = self.get(at, entry, leaf::boolean)?;
        Some(if all { FileEnv::All } else { FileEnv::No })
    }
}

/// Returns `NAME=value` lines, which docker accepts, as the inside of a table.
fn assignments(node: &Node) -> Option<String> {
    let one = |node: &Node| match &node.value {
        Value::String(text) => {
            let (name, value) = text.split_once('=')?;
            Some(format!("{} = {:?}", shown(name), shown(value)))
        }
        _ => None,
    };
    let items = match &node.value {
        Value::Array(items) => items.as_slice(),
        Value::String(_) => std::slice::from_ref(node),
        _ => return None,
    };
    let written: Option<Vec<String>> = items.iter().take(3).map(one).collect();
    let dots = if items.len() > 3 { ", …" } else { "" };
    Some(written?.join(", ") + dots).filter(|written| !written.is_empty())
}

/// Reads `1024`, `"1024:4096"`, `"unlimited"` or `"512MiB"`.
fn limit(resource: Resource, bytes: bool, node: &Node, environment: &Environment) -> Leaf<Limit> {
    let one = |text: &str| match text.trim() {
        "unlimited" | "infinity" => Some(UNLIMITED),
        text if bytes => size::bytes(text),
        text => text.parse().ok(),
    };
    let both = match &node.value {
        Value::Integer(number, _) => u64::try_from(*number).ok().map(|both| (both, both)),
        Value::String(_) => {
            let text = leaf::text(node, environment)?;
            match text.split_once(':') {
                Some((soft, hard)) => one(soft).zip(one(hard)),
                None => one(&text).map(|both| (both, both)),
            }
        }
        _ => None,
    };
    let expected = if bytes {
        "a size such as \"512MiB\", \"unlimited\", or two as SOFT:HARD"
    } else {
        "a number, \"unlimited\", or two as SOFT:HARD"
    };
    let (soft, hard) = both.ok_or_else(|| Problem::expected(expected, node))?;
    if soft > hard {
        return Err(Problem::new("the soft limit is higher than the hard limit"));
    }
    Ok(Limit { resource, soft, hard })
}

/// Reads a capability's name, with or without `CAP_`.
pub(super) fn capability(node: &Node, environment: &Environment) -> Leaf<u8> {
    let text = leaf::text(node, environment)?;
    let lower = text.to_lowercase();
    let name = lower.strip_prefix("cap_").unwrap_or(&lower);
    let number = CAPABILITIES.iter().position(|known| *known == name);
    number.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| Problem {
        help: nearest(name, CAPABILITIES.iter().copied())
            .or_else(|| begun(name, CAPABILITIES))
            .map(|right| format!("did you mean `{right}`?")),
        ..Problem::new(format!("there is no capability \"{}\"", shown(&text)))
    })
}

/// Reads `false`, or the path of a terminal.
pub(super) fn tty(node: &Node, environment: &Environment) -> Leaf<Tty> {
    match &node.value {
        Value::Boolean(false) => Ok(Tty::No),
        Value::String(_) => match leaf::line(node, environment)? {
            text if text == "false" => Ok(Tty::No),
            path => Ok(Tty::Own(path.into())),
        },
        _ => Err(Problem::expected("false, or the path of a terminal", node)),
    }
}
