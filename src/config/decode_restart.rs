//! `restart`.

use super::decode::{Decoder, Fields};
use super::leaf::{self, Leaf, Problem, choice};
use super::time::{backoff, positive};
use super::value::{Node, Value};
use super::{Environment, Restart, When, schema};

/// How other programs write it.
const ALWAYS: &[&str] =
    &["unless-stopped", "unless_stopped", "true", "yes", "on", "any", "permanent"];
const ON_FAILURE: &[&str] = &[
    "on-abnormal",
    "on-abort",
    "on-watchdog",
    "unexpected",
    "onfailure",
    "on_failure",
    "transient",
];
const NEVER: &[&str] = &["false", "never", "off", "none", "temporary"];

impl Decoder<'_> {
    /// `restart`.
    pub(super) fn restart(&mut self, unit: &Fields) -> Restart {
        let Some(entry) = unit.entry("restart") else { return Restart::NO };
        let Some(table) = entry.node.as_table() else {
            let problem = Problem::expected("no, on-failure, always or a table", &entry.node);
            let help = advice(&entry.node);
            self.problem("restart", &entry.node, Problem { help, ..problem });
            return Restart::NO;
        };
        let fields = self.fields(" in `restart`", schema::RESTART, Some(table));
        let number = |node: &_, environment: &_| leaf::number(node, environment, 0..=1000_u32);
        Restart {
            when: self.get(&fields, "when", when).unwrap_or_default(),
            max: self.get(&fields, "max", number),
            window: self.get(&fields, "window", positive).unwrap_or(Restart::WINDOW),
            backoff: self.get(&fields, "backoff", backoff).unwrap_or(Restart::BACKOFF),
            with: fields
                .entry("with")
                .map_or(Vec::new(), |with| self.unit_names("with", &with.node)),
        }
    }
}

fn when(node: &Node, environment: &Environment) -> Leaf<When> {
    choice(node, environment)
        .map_err(|problem| Problem { help: advice(node).or(problem.help), ..problem })
}

/// How to write what another program calls so.
fn advice(node: &Node) -> Option<String> {
    let word = match &node.value {
        Value::String(word) => word.to_lowercase(),
        Value::Boolean(yes) => yes.to_string(),
        _ => return None,
    };
    let most = word.strip_prefix("on-failure:").and_then(|most| most.parse::<u32>().ok());
    Some(match word.as_str() {
        _ if most.is_some() => {
            format!("write restart = {{ when = \"on-failure\", max = {} }}", most.unwrap_or(0))
        }
        "on-success" => {
            "trc cannot restart a unit only after success: write \"always\" or \"on-failure\""
                .to_owned()
        }
        word if ALWAYS.contains(&word) => "write restart = \"always\"".to_owned(),
        word if ON_FAILURE.contains(&word) => "write restart = \"on-failure\"".to_owned(),
        word if NEVER.contains(&word) => "write restart = \"no\"".to_owned(),
        _ => return None,
    })
}
