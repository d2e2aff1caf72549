//! One unit as it was written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Health, Limit, Origin, Placed, Probe, Ready, Restart, Stdin, Template, Test, Tty};
use crate::signal::Signal;

/// When in a container's life a unit runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// Before all else, one by one.
    Boot,
    /// In parallel, in the background.
    Async,
    /// One by one, in the foreground.
    Sync,
    /// One by one beside all others, in test mode only.
    Test,
    /// After everything has stopped, one by one.
    Halt,
}

impl Stage {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 5] = [Self::Boot, Self::Async, Self::Sync, Self::Test, Self::Halt];

    /// As it is written: `async`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Async => "async",
            Self::Sync => "sync",
            Self::Test => "test",
            Self::Halt => "halt",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a unit came to be; some of TrivialRC's rules hold for its own forms only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Declared in TOML, or by variables and overrides.
    Declared,
    /// A drop-in script, `STAGE.NAME`.
    Script,
    /// `-B`, `-D`, `-F` or `-H`.
    Flag,
    /// The trailing command.
    Trailing,
}

/// What a unit runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// `exec`: words; no shell.
    Exec(Vec<Template>),
    /// `script`, `-B`, `-D`, `-F`, `-H`: text for the shell.
    Script(OsString),
    /// A drop-in script, sourced by the shell.
    File(PathBuf),
    /// The trailing command: run directly when its first word has a `/` or is an
    /// executable in `PATH`, else through the shell. Nothing in it is replaced.
    Words(Vec<OsString>),
    /// Nothing: the unit stands for something outside, which `ready` looks for, or is a test
    /// that trc itself can do.
    Nothing,
}

/// A unit's name as somebody wrote it: `STAGE.NAME`, or `NAME` where that is unique.
pub(crate) type UnitRef = Placed<String>;

/// What a unit waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// Its command was executed.
    Started,
    /// Its readiness check has passed, and it has not ended since.
    Ready,
    /// It ended, however.
    Exited,
    /// It ended with success.
    Succeeded,
    /// It ended with failure.
    Failed,
}

impl Condition {
    /// As it is written.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Exited => "exited",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// One entry of `after`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct After {
    /// The unit waited for.
    pub unit: UnitRef,
    /// What of it; a bare name leaves that to what the unit is.
    pub condition: Option<Condition>,
}

/// What a failure of the unit does to the run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// What the wait policy says.
    #[default]
    Policy,
    /// It stops the run.
    Stop,
    /// Nothing: the unit's failure is no failure of the run.
    Ignore,
}

/// Whom a unit's stop signal goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopTo {
    /// Its main process, which knows its workers.
    Process,
    /// Its process group.
    Group,
}

/// How a unit is stopped; what is `None` was not written.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Stop {
    /// The stop signal; SIGTERM.
    pub signal: Option<Signal>,
    /// From the stop signal to KILL; 5 s.
    pub timeout: Option<Duration>,
    /// Whom the signal goes to; an `exec` unit's process, a shell unit's group.
    pub to: Option<StopTo>,
    /// A command that stops it, in place of the signal.
    pub exec: Option<Vec<Template>>,
}

/// Where a unit's output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Output {
    /// To trc's own streams.
    Inherit,
    /// Through trc, each line with a time and the unit's name.
    Prefix,
    /// Nowhere.
    Null,
}

/// A file that a unit's output goes to, line by line as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputFile {
    /// Where.
    pub path: PathBuf,
    /// In bytes; one more line, and another file is begun.
    pub max_size: Option<u64>,
    /// How many earlier files are kept, where that was written.
    pub keep: Option<u32>,
}

impl OutputFile {
    /// How many earlier files are kept where nothing is written.
    pub const KEEP: u32 = 3;
}

/// Who a unit is and what surrounds it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Identity {
    /// A user's name or number.
    pub user: Option<Placed<String>>,
    /// A group's name or number; the user's own group without it.
    pub group: Option<Placed<String>>,
    /// Supplementary groups; those of `/etc/group` that name the user, without it.
    pub groups: Option<Vec<Placed<String>>>,
    /// The working directory.
    pub cwd: Option<Placed<Template>>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Variables of its own.
    pub env: BTreeMap<String, Placed<Variable>>,
    /// Files of `NAME=value` lines.
    pub env_file: Vec<Placed<PathBuf>>,
    /// Start from an empty environment instead of trc's.
    pub env_clear: bool,
    /// Resource limits.
    pub limits: Vec<Placed<Limit>>,
    /// The nice value, -20 to 19.
    pub nice: Option<Placed<i32>>,
    /// How readily the OOM killer takes it, -1000 to 1000.
    pub oom_score_adj: Option<Placed<i32>>,
    /// Nothing it executes gains privileges.
    pub no_new_privs: bool,
    /// The capabilities it keeps, by number.
    pub capabilities: Option<Vec<Placed<u8>>>,
    /// The terminal it runs on, or that it has none.
    pub tty: Option<Placed<Tty>>,
    /// What it reads.
    pub stdin: Option<Placed<Stdin>>,
}

/// A variable's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Variable {
    /// Text, filled in when the unit starts.
    Text(Template),
    /// A secret: what this file holds when the unit starts.
    File(PathBuf),
}

#[cfg(test)]
impl Variable {
    /// What was written, for showing to people: never a secret.
    #[must_use]
    pub(crate) fn source(&self) -> OsString {
        match self {
            Self::Text(text) => text.source(),
            Self::File(path) => path.clone().into_os_string(),
        }
    }
}

/// For which variables `NAME_FILE` names the file that holds `NAME`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum FileEnv {
    /// None.
    #[default]
    No,
    /// All.
    All,
    /// These.
    Names(Vec<OsString>),
}

/// A unit as it was written. Disabled ones are left out of [`super::Config`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unit {
    /// Its stage.
    pub stage: Stage,
    /// Its name within the stage; bytes that are not UTF-8 are shown as `\xNN`.
    pub name: String,
    /// Where it was first declared.
    pub origin: Origin,
    /// How it came to be.
    pub form: Form,
    /// What it runs.
    pub command: Command,
    /// For people.
    pub description: Option<String>,
    /// Whether it is meant to end, where that was written.
    pub oneshot: Option<bool>,
    /// Of a halt unit: it runs although boot has not completed.
    pub always: bool,
    /// What it waits for.
    pub after: Vec<After>,
    /// How it is found out whether it is ready.
    pub ready: Option<Ready>,
    /// How it is found out whether it still works, once it is ready.
    pub health: Option<Health>,
    /// After which ends it is started again.
    pub restart: Restart,
    /// How long a run of it may take.
    pub max_runtime: Option<Duration>,
    /// The exit statuses that are success; `[0]`.
    pub success: Option<Vec<u8>>,
    /// What its failure does.
    pub on_failure: OnFailure,
    /// How it is stopped.
    pub stop: Stop,
    /// The signal that its process gets where trc itself is killed.
    pub pdeathsig: Option<Signal>,
    /// Who it is and what surrounds it.
    pub identity: Identity,
    /// Where its output goes, where that was written.
    pub output: Option<Output>,
    /// The file that it goes to, where that was written.
    pub output_file: Option<Placed<OutputFile>>,
    /// What it expects, if it is a test.
    pub test: Option<Box<Test>>,
}

impl Unit {
    /// The terminal that it is given to itself, and that is no business of trc's.
    #[must_use]
    pub(crate) fn own_terminal(&self) -> Option<&Path> {
        match self.identity.tty.as_ref().map(|tty| &tty.value) {
            Some(Tty::Own(path)) => Some(path),
            Some(Tty::No) | None => None,
        }
    }

    /// A declared unit of which nothing but this is written.
    #[must_use]
    pub(crate) fn new(stage: Stage, name: &str, origin: Origin, command: Command) -> Self {
        Self {
            stage,
            name: name.to_owned(),
            origin,
            form: Form::Declared,
            command,
            description: None,
            oneshot: None,
            always: false,
            after: Vec::new(),
            ready: None,
            health: None,
            restart: Restart::NO,
            max_runtime: None,
            success: None,
            on_failure: OnFailure::default(),
            stop: Stop::default(),
            pdeathsig: None,
            identity: Identity::default(),
            output: None,
            output_file: None,
            test: None,
        }
    }

    /// Its identity: `STAGE.NAME`.
    #[must_use]
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.stage, self.name)
    }

    /// How it is found out whether it is ready and whether it is healthy.
    pub(crate) fn probes(&self) -> impl Iterator<Item = &Probe> {
        let ready = self.ready.as_ref().map(|ready| &ready.probe.value);
        ready.into_iter().chain(self.health.as_ref().map(|health| &health.probe.value))
    }

    /// As the log shows it: its script file, its command, or, when declared, `NAME: COMMAND`, and
    /// for a script of several lines how many and where they stand.
    #[must_use]
    pub(crate) fn label(&self) -> String {
        let command = match &self.command {
            Command::Exec(words) => typed(words),
            Command::Script(text) => text.to_string_lossy().into_owned(),
            Command::File(path) => super::dropins::shown(path.as_os_str()),
            Command::Words(words) => {
                words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
            }
            Command::Nothing => return self.name.clone(),
        };
        match self.form {
            // One line: a log that is read line by line must not show a script's middle, and its
            // first line alone says nothing.
            Form::Declared => match command.trim().lines().count() {
                0 | 1 => format!("{}: {}", self.name, command.trim()),
                lines => {
                    let what = match &self.command {
                        Command::Script(_) => "a script",
                        _ => "a command",
                    };
                    format!("{}: {what} of {lines} lines ({})", self.name, self.origin)
                }
            },
            Form::Script | Form::Flag | Form::Trailing => command,
        }
    }
}

/// Words as they would be typed.
#[must_use]
pub(crate) fn typed(words: &[Template]) -> String {
    let words = words.iter().map(|word| quoted(&word.source().to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// A word as it would be typed; `${NAME}` in it needs no quotes to be read.
fn quoted(word: &str) -> String {
    let bare = word.replace(['$', '{', '}'], "");
    if !bare.is_empty() && shell_words::quote(&bare) == bare {
        word.to_owned()
    } else {
        shell_words::quote(word).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_it_helps_reading() {
        for (word, shown) in [
            ("plain", "plain"),
            ("${DATA}/x", "${DATA}/x"),
            ("a b", "'a b'"),
            ("${A} b", "'${A} b'"),
            ("", "''"),
            ("it's", "'it'\\''s'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
