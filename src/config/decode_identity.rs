//! Who a unit is, what surrounds it and what it may.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::decode::{Decoder, Fields};
use super::leaf::{self, Leaf, Problem};
use super::privilege::{CAPABILITIES, Limit, RESOURCES, Resource, Stdin, Tty, UNLIMITED};
use super::size;
use super::suggest::nearest;
use super::value::{Entry, Node, Value, shown};
use super::{Diagnostic, Environment, FileEnv, Identity, Placed, Variable, schema};

impl Decoder<'_> {
    /// The keys of a unit that say who it is.
    pub(super) fn identity(&mut self, fields: &Fields) -> Identity {
        Identity {
            user: self.placed(fields, "user", leaf::id),
            group: self.placed(fields, "group", leaf::id),
            groups: fields
                .entry("groups")
                .map(|groups| self.list("groups", &groups.node, true, leaf::id)),
            cwd: self.placed(fields, "cwd", leaf::path_template),
            umask: self.get(fields, "umask", leaf::mode),
            env: self.variables(fields.entry("env")),
            env_file: fields.entry("env_file").map_or(Vec::new(), |files| {
                let files = self.list("env_file", &files.node, true, leaf::line);
                files
                    .into_iter()
                    .map(|file| Placed { value: PathBuf::from(file.value), origin: file.origin })
                    .collect()
            }),
            env_clear: self.get(fields, "env_clear", leaf::boolean).unwrap_or(false),
            limits: self.limits(fields),
            nice: self.placed(fields, "nice", |node, environment| {
                leaf::number(node, environment, -20..=19)
            }),
            oom_score_adj: self.placed(fields, "oom_score_adj", |node, environment| {
                leaf::number(node, environment, -1000..=1000)
            }),
            no_new_privs: self.get(fields, "no_new_privs", leaf::boolean).unwrap_or(false),
            capabilities: fields
                .entry("capabilities")
                .map(|kept| self.list("capabilities", &kept.node, true, capability)),
            tty: self.placed(fields, "tty", tty),
            stdin: self.stdin(fields),
        }
    }

    fn limits(&mut self, fields: &Fields) -> Vec<Placed<Limit>> {
        let table = self.names("limits", fields.entry("limits"));
        let fields = self.fields(" in `limits`", schema::LIMITS, table);
        let mut limits = Vec::new();
        for resource in RESOURCES {
            let read = |node: &Node, environment: &Environment| limit(*resource, node, environment);
            limits.extend(self.placed(&fields, resource.name, read));
        }
        limits
    }

    fn stdin(&mut self, fields: &Fields) -> Option<Placed<Stdin>> {
        let entry = fields.entry("stdin")?;
        if let Value::Table(table) = &entry.node.value {
            let fields = self.fields(" in `stdin`", schema::SECRET, Some(table));
            let file = self.placed(&fields, "file", leaf::line)?;
            return Some(Placed { value: Stdin::File(file.value.into()), origin: file.origin });
        }
        let word = self.placed(fields, "stdin", leaf::choice)?;
        Some(Placed { value: Stdin::Word(word.value), origin: word.origin })
    }

    /// Variables, by name.
    pub(super) fn variables(
        &mut self,
        entry: Option<&Entry>,
    ) -> BTreeMap<String, Placed<Variable>> {
        let mut variables = BTreeMap::new();
        if let Some(node) = entry.map(|entry| &entry.node)
            && let Some(right) = assignments(node)
        {
            let problem = Problem::expected("a table", node);
            let help = Some(format!("write env = {{ {right} }}"));
            self.problem("env", node, Problem { help, ..problem });
            return variables;
        }
        for (name, entry) in self.names("env", entry).into_iter().flatten() {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("\"{}\" is not a valid name of a variable", shown(name));
                self.diagnostics.push(Diagnostic::error(entry.key.clone(), message));
                continue;
            }
            let key = format!("env.{name}");
            let value = match &entry.node.value {
                Value::Table(table) => {
                    let fields = self.fields(&format!(" in `{key}`"), schema::SECRET, Some(table));
                    if fields.entry("file").is_none() && !fields.has_unknown() {
                        let problem = Problem::new("this table needs a `file`");
                        self.problem(&key, &entry.node, problem);
                    }
                    self.get(&fields, "file", leaf::line).map(|file| Variable::File(file.into()))
                }
                value => {
                    if let Value::String(text) = value {
                        self.unbraced(&key, &entry.node.origin, std::slice::from_ref(text));
                    }
                    self.read(&key, &entry.node, leaf::template).map(Variable::Text)
                }
            };
            if let Some(value) = value {
                let origin = entry.node.origin.clone();
                variables.insert(name.clone(), Placed { value, origin });
            }
        }
        variables
    }

    /// `file_env`.
    pub(super) fn file_env(&mut self, top: &Fields) -> FileEnv {
        let Some(entry) = top.entry("file_env") else { return FileEnv::No };
        if let Value::Array(_) = &entry.node.value {
            let names = self.list("file_env", &entry.node, false, leaf::line);
            return FileEnv::Names(names.into_iter().map(|name| name.value).collect());
        }
        match self.read("file_env", &entry.node, leaf::boolean) {
            Some(true) => FileEnv::All,
            Some(false) | None => FileEnv::No,
        }
    }
}

/// `NAME=value` lines, as docker takes them, as the inside of a table.
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

/// `1024`, `"1024:4096"`, `"unlimited"`, `"512MiB"`.
fn limit(resource: Resource, node: &Node, environment: &Environment) -> Leaf<Limit> {
    let one = |text: &str| match text.trim() {
        "unlimited" | "infinity" => Some(UNLIMITED),
        text if resource.bytes => size::bytes(text),
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
    let expected = if resource.bytes {
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

/// A capability by its name, with or without `CAP_`.
pub(super) fn capability(node: &Node, environment: &Environment) -> Leaf<u8> {
    let text = leaf::text(node, environment)?;
    let lower = text.to_lowercase();
    let name = lower.strip_prefix("cap_").unwrap_or(&lower);
    let number = CAPABILITIES.iter().position(|known| *known == name);
    number.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| Problem {
        help: nearest(name, CAPABILITIES.iter().copied())
            .map(|right| format!("did you mean `{right}`?")),
        ..Problem::new(format!("there is no capability \"{}\"", shown(&text)))
    })
}

/// False, or the path of a terminal.
fn tty(node: &Node, environment: &Environment) -> Leaf<Tty> {
    match &node.value {
        Value::Boolean(false) => Ok(Tty::No),
        Value::String(_) => match leaf::line(node, environment)? {
            text if text == "false" => Ok(Tty::No),
            path => Ok(Tty::Own(path.into())),
        },
        _ => Err(Problem::expected("false, or the path of a terminal", node)),
    }
}
