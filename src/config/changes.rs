//! The differences between two configurations, key by key, and what each of them takes to apply.

use serde::Serialize;

use super::Origin;
use super::value::{Node, Table, Value};

/// What a changed key takes to apply to a unit that runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// It applies at once.
    Live,
    /// It applies from the next start on.
    Start,
    /// It applies to a new process only, so the unit is restarted.
    Restart,
    /// It applies to a new container only.
    Never,
}

/// A key that has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// The unit, `STAGE.NAME`, or `None` for a key of all units or of the run.
    pub unit: Option<String>,
    /// The key, such as `env.PORT` or `log.level`.
    pub key: String,
    /// What it takes to apply.
    pub class: Class,
    /// Where the new value is, or the old one if the key is gone.
    pub origin: Origin,
}

impl Class {
    /// Returns the class of a key of a unit, by its first part.
    pub(crate) fn of_unit_key(stage: &str, key: &str) -> Self {
        const LIVE: [&str; 16] = [
            "description",
            "enabled",
            "profiles",
            "instances",
            "autostart",
            "oneshot",
            "always",
            "health",
            "restart",
            "schedule",
            "max_runtime",
            "success",
            "on_failure",
            "stop",
            "reload",
            "post_stop",
        ];
        match stage {
            "boot" => Self::Never,
            // Tests and halt units have not run yet.
            "test" | "halt" => Self::Live,
            _ if LIVE.contains(&key) => Self::Live,
            _ if ["after", "before", "ready", "pid_file", "dirs", "pre_start"].contains(&key) => {
                Self::Start
            }
            _ => Self::Restart,
        }
    }

    /// Returns the class of a key that does not belong to a unit, by its path.
    pub(crate) fn of_top_key(path: &str) -> Self {
        let mut parts = path.split('.');
        match (parts.next().unwrap_or(path), parts.next()) {
            ("env" | "file_env", _) | ("log", Some("output")) => Self::Restart,
            ("shell", _)
            | ("log", Some("to" | "syslog"))
            | ("control", Some("socket" | "log_buffer")) => Self::Never,
            _ => Self::Live,
        }
    }
}

/// Returns every key that differs between two merged configurations. Units that only one of them has
/// are left out: the configurations themselves say which units there are.
pub(super) fn changes(old: &Table, new: &Table) -> Vec<Change> {
    const STAGES: [&str; 5] = ["boot", "async", "sync", "test", "halt"];
    let mut all = Vec::new();
    compare(old, new, &mut |path, origin| {
        let (first, rest) = (path[0], path[1..].join("."));
        let change = match path {
            [stage, name, ..] if STAGES.contains(stage) => {
                let [_, _, key, ..] = path else { return };
                Change {
                    unit: Some(format!("{first}.{name}")),
                    key: path[2..].join("."),
                    class: Class::of_unit_key(stage, key),
                    origin: origin.clone(),
                }
            }
            [_, ..] if !STAGES.contains(&first) => {
                let key =
                    if rest.is_empty() { first.to_owned() } else { format!("{first}.{rest}") };
                let class = Class::of_top_key(&key);
                Change { unit: None, key, class, origin: origin.clone() }
            }
            _ => return,
        };
        all.push(change);
    });
    all
}

/// Calls `differs` with the path of each key whose value differs.
fn compare(old: &Table, new: &Table, differs: &mut dyn FnMut(&[&str], &Origin)) {
    fn within<'t>(
        old: &'t Table,
        new: &'t Table,
        path: &mut Vec<&'t str>,
        differs: &mut dyn FnMut(&[&str], &Origin),
    ) {
        let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
        for (key, entry) in gone {
            path.push(key);
            match &entry.node.value {
                Value::Table(inner) if !inner.is_empty() => {
                    within(inner, &Table::new(), &mut path.clone(), differs);
                }
                _ => differs(path, &entry.node.origin),
            }
            path.pop();
        }
        for (key, entry) in new {
            path.push(key);
            match (old.get(key).map(|entry| &entry.node), &entry.node) {
                (
                    Some(Node { value: Value::Table(old), .. }),
                    Node { value: Value::Table(new), .. },
                ) => {
                    within(old, new, path, differs);
                }
                (Some(old), new) if is_same(old, new) => {}
                (None, Node { value: Value::Table(new), .. }) if !new.is_empty() => {
                    within(&Table::new(), new, &mut path.clone(), differs);
                }
                (_, new) => differs(path, &new.origin),
            }
            path.pop();
        }
    }
    within(old, new, &mut Vec::new(), differs);
}

/// Returns whether two values are the same, wherever they are written.
fn is_same(old: &Node, new: &Node) -> bool {
    match (&old.value, &new.value) {
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        (Value::Table(old), Value::Table(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .all(|(key, old)| new.get(key).is_some_and(|new| is_same(&old.node, &new.node)))
        }
        (Value::Integer(old, _), Value::Integer(new, _)) => old == new,
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::UNIT;
    use super::super::keys::key::all;
    use super::*;

    #[test]
    fn the_page_about_reloads_lists_each_key_of_a_unit() {
        let page = include_str!("../../docs/control.md");
        for (class, meaning) in [
            (Class::Live, "at once"),
            (Class::Start, "at the next start of the unit"),
            (Class::Restart, "the unit is restarted"),
        ] {
            let keys = all(UNIT).map(|key| key.name);
            let keys = keys.filter(|key| Class::of_unit_key("async", key) == class);
            let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
            let row = format!("| {meaning} | {} |", keys.join(" "));
            assert!(page.contains(&row), "docs/control.md should have the row: {row}");
        }
    }
}
