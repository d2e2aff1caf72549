//! Reads `restart`.

use super::RESTART;
use super::decode::{At, Decoder};
use crate::config::leaf::{Problem, choice};
use crate::config::value::{Entry, Node, Value};
use crate::config::{Environment, Restart, When};

/// The words of other programs for `always`.
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
    /// Reads `restart`.
    pub(super) fn restart(&mut self, at: &At, entry: &Entry) -> Option<Restart> {
        if entry.node.as_table().is_none() {
            let problem = Problem::expected("no, on-failure, always or a table", &entry.node);
            let help = advice(&entry.node, at);
            self.problem(at, &entry.node, Problem { help, ..problem });
            return None;
        }
        let fields = self.table(at, entry, RESTART)?;
        let mut restart = Restart { when: When::default(), ..Restart::NO };
        self.restart_keys(&fields, &mut restart);
        Some(restart)
    }

    /// Reads `when`, or the string that stands for the table.
    pub(super) fn when(&mut self, at: &At, entry: &Entry) -> Option<When> {
        self.get(at, entry, |node: &Node, environment: &Environment| {
            choice(node, environment)
                .map_err(|problem| Problem { help: advice(node, at).or(problem.help), ..problem })
        })
    }
}

/// Returns the help for a value that is a word of another program.
fn advice(node: &Node, at: &At) -> Option<String> {
    let key = at.name();
    let word = match &node.value {
        Value::String(word) => word.to_lowercase(),
        Value::Boolean(yes) => yes.to_string(),
        _ => return None,
    };
    let most = word.strip_prefix("on-failure:").and_then(|most| most.parse::<u32>().ok());
    Some(match word.as_str() {
        _ if most.is_some() && key == "when" => {
            format!("write when = \"on-failure\", max = {}", most.unwrap_or(0))
        }
        _ if most.is_some() => {
            format!("write restart = {{ when = \"on-failure\", max = {} }}", most.unwrap_or(0))
        }
        "on-success" => {
            "trc cannot restart a unit only after success: write \"always\" or \"on-failure\""
                .to_owned()
        }
        word if ALWAYS.contains(&word) => format!("write {key} = \"always\""),
        word if ON_FAILURE.contains(&word) => format!("write {key} = \"on-failure\""),
        word if NEVER.contains(&word) => format!("write {key} = \"no\""),
        _ => return None,
    })
}
