//! Every key: its name, the kind of its value, its default and what it means, in one
//! place. Unknown keys, variables and the reference are checked and made from it.

use std::fmt::Write;

use super::leaf::variants;
use super::{Condition, LogFormat, OnFailure, Output, StopTo, WaitPolicy};

/// What a key's value looks like.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A string.
    Text,
    /// True or false.
    Boolean,
    /// A span of time.
    Duration,
    /// One of these words.
    OneOf(fn() -> &'static [&'static str]),
    /// A signal.
    Signal,
    /// A name or a number.
    Id,
    /// A file mode mask.
    Mode,
    /// A command's words: a string split as a shell would, or an array.
    Words,
    /// An array of strings; one string stands for an array of one.
    Texts,
    /// An array of exit statuses.
    Statuses,
    /// An array of unit names, or a table of unit names and conditions.
    After,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table of variables.
    Variables,
    /// A table of signals and what they do.
    Signals,
    /// What a signal does: a word, or a table.
    Rule,
    /// A table of exit statuses and what becomes of them.
    Exit,
    /// An exit status.
    Status,
    /// A table of units.
    Units,
}

/// One key.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

/// Of these keys of a unit the later layer's removes the earlier's.
pub const EXCLUSIVE: &[&str] = &["exec", "script"];

/// The log levels.
pub const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

fn levels() -> &'static [&'static str] {
    LEVELS
}

/// The keys at the top of `trc.toml` and of a fragment.
pub const TOP: &[Key] = &[
    key(
        "wait",
        Kind::OneOf(variants::<WaitPolicy>),
        "any",
        "when the run ends by itself; `wait_any` is `any`, and so on",
    ),
    key(
        "shell",
        Kind::Words,
        "the first of bash and sh",
        "the shell and its options for scripts, such as `[\"/bin/ash\", \"-c\"]`",
    ),
    key("shutdown", Kind::Table(SHUTDOWN), "", "how the run is stopped"),
    key("log", Kind::Table(LOG), "", "the log"),
    key("env", Kind::Variables, "", "variables of every unit"),
    key(
        "signals",
        Kind::Signals,
        "",
        "what a signal to trc does: `\"stop\"`, `\"ignore\"` or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`",
    ),
    key("exit", Kind::Exit, "", "what becomes of an exit status: `138 = 0`"),
    key("boot", Kind::Units, "", "units that run before all else, one by one"),
    key("async", Kind::Units, "", "units that run in the background"),
    key("sync", Kind::Units, "", "units that run in the foreground, one by one"),
    key("halt", Kind::Units, "", "units that run after everything has stopped, one by one"),
];

/// The keys of `[shutdown]`.
pub const SHUTDOWN: &[Key] = &[key(
    "timeout",
    Kind::Duration,
    "9s, or more if written stop timeouts need it",
    "the time from a stop signal to the end of everything",
)];

/// The keys of `[log]`.
pub const LOG: &[Key] = &[
    key("level", Kind::OneOf(levels), "info with a configuration file, else warn", "what is said"),
    key("format", Kind::OneOf(variants::<LogFormat>), "trc", "how lines look"),
    key(
        "output",
        Kind::OneOf(variants::<Output>),
        "prefix for declared async units, else inherit",
        "the `output` of background units that have none of their own",
    ),
];

/// The keys of a unit: of `[STAGE.NAME]`, and at the top of `STAGE.NAME.toml`.
pub const UNIT: &[Key] = &[
    key("description", Kind::Text, "", "what the unit is, for people"),
    key("exec", Kind::Words, "", "what to run, without a shell"),
    key("script", Kind::Text, "", "what to run, as text for the shell"),
    key("enabled", Kind::Boolean, "true", "false takes the unit away, and every edge to it"),
    key(
        "oneshot",
        Kind::Boolean,
        "true for boot and halt units and those waited for to end",
        "it is meant to end: its success stops nothing",
    ),
    key("after", Kind::After, "", "the units it waits for: `[\"db\"]` or `{ db = \"succeeded\" }`"),
    key("success", Kind::Statuses, "[0]", "the exit statuses that are success"),
    key(
        "on_failure",
        Kind::OneOf(variants::<OnFailure>),
        "policy",
        "what its failure does to the run",
    ),
    key("stop", Kind::Table(STOP), "", "how it is stopped"),
    key("user", Kind::Id, "trc's own", "the user it runs as"),
    key("group", Kind::Id, "the user's", "the group it runs as"),
    key("groups", Kind::Texts, "the user's", "its supplementary groups"),
    key("cwd", Kind::Text, "trc's own", "its working directory"),
    key("umask", Kind::Mode, "trc's own", "its file mode creation mask: `\"022\"` or `0o022`"),
    key("env", Kind::Variables, "", "its variables"),
    key("env_file", Kind::Texts, "", "files of `NAME=value` lines"),
    key("env_clear", Kind::Boolean, "false", "start from an empty environment"),
    key(
        "output",
        Kind::OneOf(variants::<Output>),
        "prefix for declared async units, else inherit",
        "where its output goes",
    ),
];

/// The keys of `stop`.
pub const STOP: &[Key] = &[
    key("signal", Kind::Signal, "SIGTERM", "the stop signal"),
    key("timeout", Kind::Duration, "5s", "the time from the stop signal to KILL"),
    key(
        "to",
        Kind::OneOf(variants::<StopTo>),
        "process for exec, group for shell units",
        "whom the signal goes to",
    ),
    key(
        "exec",
        Kind::Words,
        "",
        "a command that stops it, in place of the signal; it finds the unit's process in `TRC_PID`",
    ),
];

/// The keys of a signal's table in `[signals]`.
pub const FORWARD: &[Key] = &[
    key("forward", Kind::Signal, "the same one", "the signal that goes on"),
    key("to", Kind::Texts, "all that run", "the units that get it"),
];

/// The keys as a table in Markdown, those of tables within it as `stop.signal`.
pub fn reference(keys: &'static [Key]) -> String {
    let mut out = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    rows(keys, "", &mut out);
    out
}

fn rows(keys: &'static [Key], prefix: &str, out: &mut String) {
    for Key { name, kind, default, doc } in keys {
        if let Kind::Table(inner) = kind {
            rows(inner, &format!("{prefix}{name}."), out);
        } else {
            let kind = kind.describe();
            _ = writeln!(out, "| `{prefix}{name}` | {kind} | {default} | {doc} |");
        }
    }
}

/// The key of this name.
pub fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// What the value of a key looks like, if there is such a key.
pub fn kind_at(path: &[String]) -> Option<Kind> {
    path.iter().try_fold(Kind::Table(TOP), |kind, name| {
        Some(match kind {
            Kind::Table(keys) => find(keys, name)?.kind,
            Kind::Units => Kind::Table(UNIT),
            Kind::Variables => Kind::Text,
            Kind::After => Kind::OneOf(variants::<Condition>),
            Kind::Signals => Kind::Rule,
            Kind::Rule => find(FORWARD, name)?.kind,
            Kind::Exit => Kind::Status,
            _ => return None,
        })
    })
}

impl Kind {
    /// What may be written, for the reference.
    pub fn describe(self) -> String {
        let words = |words: &[&str]| {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::Text => "string".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Duration => "time".to_owned(),
            Self::OneOf(variants) => words(variants()),
            Self::Signal => "signal".to_owned(),
            Self::Id => "name or number".to_owned(),
            Self::Mode => "octal mask".to_owned(),
            Self::Words => "string or array of strings".to_owned(),
            Self::Texts => "array of strings".to_owned(),
            Self::Statuses => "array of 0 to 255".to_owned(),
            Self::After => "array or table of units".to_owned(),
            Self::Table(_) => "table".to_owned(),
            Self::Variables => "table of variables".to_owned(),
            Self::Signals => "table of signals".to_owned(),
            Self::Rule => "string or table".to_owned(),
            Self::Exit => "table of statuses".to_owned(),
            Self::Status => "0 to 255".to_owned(),
            Self::Units => "table of units".to_owned(),
        }
    }

    /// Whether an array may stand here.
    pub fn takes_array(self) -> bool {
        matches!(self, Self::Words | Self::Texts | Self::Statuses | Self::After)
    }

    /// Whether a table may stand here.
    pub fn takes_table(self) -> bool {
        matches!(
            self,
            Self::After
                | Self::Table(_)
                | Self::Variables
                | Self::Signals
                | Self::Rule
                | Self::Exit
                | Self::Units
        )
    }

    /// Whether any text may stand here, so that quotes belong to the text.
    pub fn takes_any_text(self) -> bool {
        matches!(self, Self::Text | Self::Words | Self::Texts | Self::Id)
    }
}
