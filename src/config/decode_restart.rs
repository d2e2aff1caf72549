//! `restart`.

use super::decode::{At, Decoder};
use super::keys::RESTART;
use super::leaf::{Leaf, Problem, choice};
use super::value::{Entry, Node, Value};
use super::{Environment, Restart, When};

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
    pub(super) fn restart(&mut self, at: &At, entry: &Entry) -> Option<Restart> {
        let Some(table) = entry.node.as_table() else {
            let problem = Problem::expected("no, on-failure, always or a table", &entry.node);
            let help = advice(&entry.node);
            self.problem(at, &entry.node, Problem { help, ..problem });
            return None;
        };
        let fields = self.fields(*at, RESTART, table);
        let mut restart = Restart { when: When::default(), ..Restart::NO };
        self.restart_keys(&fields, &mut restart);
        Some(restart)
    }
}

pub(super) fn when(node: &Node, environment: &Environment) -> Leaf<When> {
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
