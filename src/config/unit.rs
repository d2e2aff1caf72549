//! One unit of the configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Dir, Health, Limit, Listen, Origin, Placed, Probe, Ready, Restart, Stdin, Template, Test, Tty,
    WrittenFile,
};
use crate::signal::Signal;

/// The stage of a unit: when it runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// Before everything else, one at a time.
    Boot,
    /// In parallel, in the background.
    Async,
    /// In the foreground, one at a time.
    Sync,
    /// While the other units run, one at a time, in test mode only.
    Test,
    /// After everything has stopped, one at a time.
    Halt,
}

impl Stage {
    /// All stages, in the order in which they run.
    pub const ALL: [Self; 5] = [Self::Boot, Self::Async, Self::Sync, Self::Test, Self::Halt];

    /// Returns the name of the stage, such as `async`.
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

/// The form in which a unit was declared. Some of TrivialRC's rules apply to its own forms only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// Declared in TOML, by variables, or with `--config`.
    Declared,
    /// A drop-in script, `STAGE.NAME`.
    Script,
    /// `-B`, `-D`, `-F` or `-H`.
    Flag,
    /// The trailing command.
    Trailing,
}

/// The command of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// `exec`: words, without a shell.
    Exec(Vec<Template>),
    /// `script`, `-B`, `-D`, `-F`, `-H`: a text for the shell.
    Script(OsString),
    /// A script file, which the shell sources.
    File(PathBuf),
    /// The trailing command. It runs directly if its first word has a `/` or is an executable in
    /// `PATH`, and otherwise in the shell. No variables are replaced in it.
    Words(Vec<OsString>),
    /// Nothing: an external unit, or a test without a command.
    Nothing,
}

/// The name of a unit in the configuration: `STAGE.NAME`, or `NAME` if that is unique.
pub(crate) type UnitRef = Placed<String>;

/// The condition that `after` waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// The unit has executed its command.
    Started,
    /// The readiness check of the unit has passed, and the unit has not exited since.
    Ready,
    /// The unit has ended, successfully or not.
    Exited,
    /// The unit has ended with success.
    Succeeded,
    /// The unit has ended with a failure.
    Failed,
    /// The unit is up, in the sense of a name without a condition, or never will be.
    Settled,
}

impl Condition {
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Exited => "exited",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Settled => "settled",
        }
    }
}

/// One entry of `after` or `before`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct After {
    /// The other unit.
    pub unit: UnitRef,
    /// The condition. For a name without a condition, it depends on the unit that is waited for.
    pub condition: Option<Condition>,
}

/// The times at which a unit runs.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Schedule {
    /// The times.
    pub when: Option<Placed<crate::schedule::Schedule>>,
    /// The time zone, unless it is trc's own.
    pub tz: Option<Placed<crate::schedule::Zone>>,
    /// The longest random delay of a run.
    pub jitter: Duration,
    /// What happens if the unit is due while its last run has not finished.
    pub overlap: Overlap,
    /// Whether the unit also runs when trc has started.
    pub at_start: bool,
}

/// What happens if a unit is due while its last run has not finished.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Overlap {
    /// The new run is left out.
    #[default]
    Skip,
    /// The new run begins when the last one has ended.
    Queue,
    /// The last run is stopped, and the new one begins then.
    Kill,
}

/// The effect of a failure of the unit on the run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// The wait policy decides.
    #[default]
    Policy,
    /// The failure stops the run.
    Stop,
    /// The failure is ignored.
    Ignore,
}

/// The receiver of the stop signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StopTo {
    /// The main process, which knows its workers.
    Process,
    /// The process group.
    Group,
}

/// The way to stop a unit. Keys that the configuration does not set are `None`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Stop {
    /// The stop signal; SIGTERM by default.
    pub signal: Option<Signal>,
    /// The time from the stop signal to SIGKILL; 5 s by default.
    pub timeout: Option<Duration>,
    /// The receiver of the signal; by default the main process of an exec unit, and the process
    /// group of a shell unit.
    pub to: Option<StopTo>,
    /// The stop command, which replaces the signal.
    pub exec: Option<Vec<Template>>,
}

/// The way to make a unit read its own configuration anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reload {
    /// What trc does to make it.
    pub by: ReloadBy,
    /// The time after which the reload has failed.
    pub within: Duration,
}

/// A command that trc runs before each start of a unit, or after each end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hook {
    /// The command.
    pub exec: Vec<Template>,
    /// The time that it may take, if the configuration sets it.
    pub within: Option<Duration>,
}

/// What trc does to make a unit read its own configuration anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ReloadBy {
    /// It sends this signal.
    Signal(Signal),
    /// It runs this command.
    Exec(Vec<Template>),
}

/// The destination of a unit's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Output {
    /// To trc's own streams.
    Inherit,
    /// Through trc, which adds the time and the unit's name to each line.
    Prefix,
    /// Nowhere.
    Null,
}

/// A file for the output of a unit, which gets each line unchanged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputFile {
    pub path: PathBuf,
    /// The size in bytes above which trc rotates the file.
    pub max_size: Option<u64>,
    /// The number of earlier files to keep, if the configuration sets it.
    pub keep: Option<u32>,
}

impl OutputFile {
    /// The default number of earlier files to keep.
    pub const KEEP: u32 = 3;
}

/// The identity and the environment of a unit's process.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Identity {
    /// The name or number of the user.
    pub user: Option<Placed<String>>,
    /// The name or number of the group; by default the user's own group.
    pub group: Option<Placed<String>>,
    /// The supplementary groups; by default those that list the user in `/etc/group`.
    pub groups: Option<Vec<Placed<String>>>,
    /// The working directory.
    pub cwd: Option<Placed<Template>>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// The variables of the unit.
    pub env: BTreeMap<String, Placed<Variable>>,
    /// Files of `NAME=value` lines.
    pub env_file: Vec<Placed<PathBuf>>,
    /// Whether the unit starts with an empty environment instead of trc's.
    pub env_clear: bool,
    /// Resource limits.
    pub limits: Vec<Placed<Limit>>,
    /// The nice value, -20 to 19.
    pub nice: Option<Placed<i32>>,
    /// How likely the OOM killer is to kill the process, from -1000 to 1000.
    pub oom_score_adj: Option<Placed<i32>>,
    /// Whether programs that the process executes cannot gain privileges.
    pub no_new_privs: bool,
    /// The capabilities that the process keeps, by number.
    pub capabilities: Option<Vec<Placed<u8>>>,
    /// The terminal that the unit runs on, or `false`.
    pub tty: Option<Placed<Tty>>,
    /// The standard input.
    pub stdin: Option<Placed<Stdin>>,
}

/// The value of a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Variable {
    /// A text, whose variables are replaced when the unit starts.
    Text(Template),
    /// A secret: the contents of this file when the unit starts.
    File(PathBuf),
}

#[cfg(test)]
impl Variable {
    /// Returns the text of the configuration for people, which is never a secret.
    #[must_use]
    pub(crate) fn source(&self) -> OsString {
        match self {
            Self::Text(text) => text.source(),
            Self::File(path) => path.clone().into_os_string(),
        }
    }
}

/// The variables `NAME` for which `NAME_FILE` names a file.
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

/// A unit of the configuration. [`super::Config`] does not contain disabled units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unit {
    pub stage: Stage,
    /// The name within the stage. Bytes that are not UTF-8 are shown as `\xNN`.
    pub name: String,
    /// The name of the instance, if the unit is one of several: `1` of `worker@1`.
    pub instance: Option<String>,
    /// The place of the first declaration.
    pub origin: Origin,
    /// The place of its command.
    pub command_at: Origin,
    /// The form of the declaration.
    pub form: Form,
    pub command: Command,
    /// The description, for people.
    pub description: Option<String>,
    /// Whether the unit starts without anybody's help.
    pub autostart: bool,
    /// Whether the unit is a one-shot, if the configuration says so.
    pub oneshot: Option<bool>,
    /// Whether a halt unit runs even if the boot has not completed.
    pub always: bool,
    /// The conditions that the unit waits for.
    pub after: Vec<After>,
    /// The units that wait for this one, with the conditions of this unit that they wait for.
    pub before: Vec<After>,
    /// The readiness check.
    pub ready: Option<Ready>,
    /// The health check.
    pub health: Option<Health>,
    /// The file that names the main process, if the unit puts itself into the background. Such a
    /// unit always has a `ready`.
    pub pid_file: Option<Placed<PathBuf>>,
    /// The restart policy.
    pub restart: Restart,
    /// The addresses that trc listens on for the unit.
    pub listen: Vec<Placed<Listen>>,
    /// The times at which the unit runs, if it does not run all the time.
    pub schedule: Option<Box<Schedule>>,
    /// The time that the unit may run after each start.
    pub max_runtime: Option<Duration>,
    /// The exit statuses that count as success; `[0]` by default.
    pub success: Option<Vec<u8>>,
    /// The effect of a failure.
    pub on_failure: OnFailure,
    /// The way to stop the unit.
    pub stop: Stop,
    /// The way to make the unit read its own configuration anew, if there is one.
    pub reload: Option<Reload>,
    /// The command that runs before each start.
    pub pre_start: Option<Box<Hook>>,
    /// The command that runs after each end.
    pub post_stop: Option<Box<Hook>>,
    /// The signal that the process gets if trc is killed.
    pub pdeathsig: Option<Signal>,
    /// The identity and the environment of the process.
    pub identity: Identity,
    /// The directories that trc makes before each start.
    pub dirs: Vec<Placed<Dir>>,
    /// The files that trc writes before each start.
    pub files: Vec<Placed<WrittenFile>>,
    /// The destination of the output, if the configuration sets it.
    pub output: Option<Output>,
    /// Returns the file that the output goes to, if the configuration sets one.
    pub output_file: Option<Placed<OutputFile>>,
    /// Whether the output comes by a pseudo-terminal.
    pub output_pty: bool,
    /// The keys of a test, if the unit is one.
    pub test: Option<Box<Test>>,
}

impl Unit {
    /// Returns the terminal of the unit's own, which is not trc's.
    #[must_use]
    pub(crate) fn own_terminal(&self) -> Option<&Path> {
        match self.identity.tty.as_ref().map(|tty| &tty.value) {
            Some(Tty::Own(path)) => Some(path),
            Some(Tty::No) | None => None,
        }
    }

    /// Creates a declared unit with defaults for all other keys.
    #[must_use]
    pub(crate) fn new(stage: Stage, name: &str, origin: Origin, command: Command) -> Self {
        Self {
            stage,
            name: name.to_owned(),
            instance: None,
            command_at: origin.clone(),
            origin,
            form: Form::Declared,
            command,
            description: None,
            autostart: true,
            oneshot: None,
            always: false,
            after: Vec::new(),
            before: Vec::new(),
            ready: None,
            health: None,
            pid_file: None,
            restart: Restart::NO,
            listen: Vec::new(),
            schedule: None,
            max_runtime: None,
            success: None,
            on_failure: OnFailure::default(),
            stop: Stop::default(),
            reload: None,
            pre_start: None,
            post_stop: None,
            pdeathsig: None,
            identity: Identity::default(),
            dirs: Vec::new(),
            files: Vec::new(),
            output: None,
            output_file: None,
            output_pty: false,
            test: None,
        }
    }

    /// Returns the full name, `STAGE.NAME`.
    #[must_use]
    pub(crate) fn id(&self) -> String {
        format!("{}.{}", self.stage, self.name)
    }

    /// Returns the name within the stage that the configuration has, which all instances share.
    #[must_use]
    pub(crate) fn declared_name(&self) -> &str {
        let instance = self.instance.as_deref();
        let declared = instance.and_then(|it| self.name.strip_suffix(it)?.strip_suffix('@'));
        declared.unwrap_or(&self.name)
    }

    /// Returns the full name that the configuration has.
    #[must_use]
    pub(crate) fn declared_id(&self) -> String {
        format!("{}.{}", self.stage, self.declared_name())
    }

    /// Returns the probes of the readiness check and the health check.
    pub(crate) fn probes(&self) -> impl Iterator<Item = &Probe> {
        let ready = self.ready.as_ref().map(|ready| &ready.probe.value);
        ready.into_iter().chain(self.health.as_ref().map(|health| &health.probe.value))
    }

    /// Returns the unit's label in the log: its script file, its command, or, for declared units,
    /// `NAME: COMMAND`. For a script of several lines, the label has their number and their place.
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

/// Returns words as they would be typed in a shell.
#[must_use]
pub(crate) fn typed(words: &[Template]) -> String {
    let words = words.iter().map(|word| quoted(&word.source().to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// Returns a word as it would be typed in a shell. `${NAME}` in it is not quoted.
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
