//! `instances`: one table for several units of the same kind.

use std::collections::BTreeSet;

use super::UNIT;
use super::decode::{At, Decoder};
use super::unit::Declared;
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{Environment, Placed, Stage};

/// The largest number of instances of one unit.
const MOST: u32 = 1000;

/// The variable with the name of the instance.
const VARIABLE: &str = "INSTANCE";

/// The instances of a unit, by their names.
#[derive(Default)]
pub(in crate::config) struct Instances {
    pub instances: Option<Vec<String>>,
}

impl Decoder<'_> {
    /// Reads `instances`.
    pub(super) fn instances(&mut self, at: &At, entry: &Entry) -> Option<Vec<String>> {
        if !matches!(entry.node.value, Value::Array(_)) {
            let count = self.get(at, entry, count)?;
            return Some((1..=count).map(|number| number.to_string()).collect());
        }
        let names = self.list(at, entry, name)?;
        let mut known = BTreeSet::new();
        for Placed { value, origin } in &names {
            if !known.insert(value) {
                let message = format!("`{at}`: the instance \"{value}\" is there twice");
                self.error(origin, message, None);
                return None;
            }
        }
        if names.len() > MOST as usize {
            let message = format!("a unit has at most {MOST} instances");
            self.problem(at, &entry.node, Problem::new(message));
            return None;
        }
        Some(names.into_iter().map(|name| name.value).collect())
    }

    /// Returns the names of the instances of a unit, if its table has `instances`.
    pub(in crate::config) fn instances_of(
        &mut self,
        (stage, name, entry): (Stage, &str, &Entry),
    ) -> Option<Vec<String>> {
        let table = entry.node.as_table()?;
        let written = table.get("instances")?;
        if stage == Stage::Test {
            // It is not a key of a test, which is reported.
            return None;
        }
        let id = format!("{stage}.{name}");
        let at = At::Unit(&id);
        if stage != Stage::Async {
            let message =
                format!("`instances`: {id} cannot have instances: {stage} units run one at a time");
            self.error(&written.key, message, None);
            return None;
        }
        // Unknown keys are reported with the unit.
        let known = self.diagnostics.len();
        let fields = self.fields(at, UNIT, table);
        self.diagnostics.truncate(known);
        let mut instances = Instances::default();
        let enabled = table.get("enabled").map(|enabled| &enabled.node.value);
        // Unset variables of a disabled unit do not matter.
        self.disabled = enabled == Some(&Value::Boolean(false));
        self.instances_keys(&fields, &mut instances);
        self.disabled = false;
        instances.instances
    }

    /// Reads one instance of a unit. Its name is in `${INSTANCE}`. The messages about it name the
    /// table, and are the same for all instances.
    pub(in crate::config) fn instance(
        &mut self,
        unit: (Stage, &str, &Entry),
        instance: &str,
        others: &[String],
        partial: bool,
    ) -> Declared {
        let mut environment: Environment =
            self.environment.iter().filter(|(name, _)| name != VARIABLE).cloned().collect();
        environment.push((VARIABLE.into(), instance.into()));
        let mut decoder = Decoder {
            environment: &environment,
            sources: self.sources,
            tree: self.tree,
            diagnostics: std::mem::take(&mut self.diagnostics),
            disabled: false,
            has_pid_file: false,
            testing: self.testing,
            profiles: std::mem::take(&mut self.profiles),
            only: self.only,
        };
        let known = decoder.diagnostics.len();
        let mut declared = decoder.unit(unit, others, partial);
        let Decoder { mut diagnostics, profiles, .. } = decoder;
        let new = diagnostics.split_off(known);
        let new: Vec<_> = new.into_iter().filter(|new| !diagnostics.contains(new)).collect();
        diagnostics.extend(new);
        (self.diagnostics, self.profiles) = (diagnostics, profiles);
        if let Declared::Enabled(unit) = &mut declared {
            unit.name = format!("{}@{instance}", unit.name);
            unit.instance = Some(instance.to_owned());
        }
        declared
    }
}

/// Reads the number of instances.
fn count(node: &Node, environment: &Environment) -> Leaf<u32> {
    leaf::number(node, environment, 0..=MOST).map_err(|problem| {
        if problem.unexpanded.is_some() {
            return problem;
        }
        let what = format!("a number from 0 to {MOST} or an array of names");
        Problem::expected(&what, node)
    })
}

/// Reads the name of an instance.
fn name(node: &Node, environment: &Environment) -> Leaf<String> {
    let name = leaf::text(node, environment)?;
    let is_good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_good) {
        return Ok(name);
    }
    let message = format!("\"{}\" is not a valid name of an instance", shown(&name));
    let help = "it is a word of letters, digits, `_` and `-`";
    Err(Problem { help: Some(help.to_owned()), ..Problem::new(message) })
}
