//! The complete configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Diagnostic, FileEnv, Form, Output, Placed, Probe, Stage, Testing, Unit, UnitRef, Variable,
};
use crate::signal::Signal;

/// The wait policy: when the run ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WaitPolicy {
    /// When the first unit ends. Foreground units take precedence over background units.
    #[default]
    Any,
    /// When every unit has ended.
    All,
    /// When the first unit fails, or every unit has ended.
    Err,
    /// Never.
    Forever,
}

impl WaitPolicy {
    /// Returns TrivialRC's name, which the log shows: `wait_any`.
    #[must_use]
    pub(crate) fn trivialrc(self) -> &'static str {
        match self {
            Self::Any => "wait_any",
            Self::All => "wait_all",
            Self::Err => "wait_err",
            Self::Forever => "wait_forever",
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// TrivialRC's lines.
    #[default]
    Trc,
    /// One JSON object for each line.
    Json,
}

/// `[log]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Log {
    /// The log level: warn without a configuration file, and info with one.
    pub level: log::LevelFilter,
    /// Whether the variables or the command line of this run ask for that level. trc then logs in
    /// transparent mode, too.
    pub asked: bool,
    pub format: LogFormat,
    /// The streams that the log goes to.
    pub to: LogTo,
    /// The `output` of background units that do not set their own; prefix for declared ones.
    pub output: Option<Output>,
    /// The file that gets the reason why the run ended.
    pub termination: Termination,
    /// The socket for messages of syslog, if there is one.
    pub syslog: Option<PathBuf>,
}

/// The streams that the log goes to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogTo {
    /// Standard output, and standard error for warnings and errors.
    #[default]
    Both,
    /// Standard error. Standard output belongs to the units in the foreground.
    Stderr,
}

/// The file that the reason why the run ended is written to, for Kubernetes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Termination {
    /// The default of `terminationMessagePath`.
    #[default]
    Usual,
    /// None.
    None,
    /// A `terminationMessagePath` of the pod's own.
    At(PathBuf),
}

impl Termination {
    /// Returns the path of the file.
    #[must_use]
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Usual => Some(Path::new("/dev/termination-log")),
            Self::None => None,
            Self::At(path) => Some(path),
        }
    }
}

/// `[shutdown]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Shutdown {
    /// The shutdown timeout, if the configuration sets it; by default 9 s, or the time that the
    /// longest chain of stop timeouts needs.
    pub timeout: Option<Duration>,
}

/// What a user may ask of trc by its control socket. Each level includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// Whether the units are healthy.
    Health,
    /// The state of the run and the output of units.
    Read,
    /// Changes: starting and stopping units, and stopping the run.
    Operate,
}

/// The place of the control socket.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum ControlSocket {
    /// The usual place, if trc can create it there.
    #[default]
    Usual,
    /// There is none.
    None,
    /// A place of the configuration's own.
    At(PathBuf),
}

/// `[control]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Control {
    /// The place of the socket.
    pub socket: ControlSocket,
    /// What users, and the members of groups (`@NAME`), may ask for. Names and numbers.
    pub allow: BTreeMap<String, Access>,
    /// The most bytes of the units' output that trc keeps in memory.
    pub log_buffer: u64,
}

impl Default for Control {
    fn default() -> Self {
        let (socket, allow) = (ControlSocket::default(), BTreeMap::new());
        Self { socket, allow, log_buffer: 1024 * 1024 }
    }
}

/// The rule for a signal that trc receives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SignalRule {
    /// Stops the run with 128 + its number.
    Stop,
    /// Does nothing.
    Ignore,
    /// Reopens the files that output goes to.
    Reopen,
    /// Reads the configuration anew.
    Reload,
    /// Forwards this signal, or another one, to the named units, or to all that run.
    Forward {
        /// The signal to forward; the received one, if `None`.
        signal: Option<Signal>,
        /// The receivers; all units that run, if empty.
        to: Vec<UnitRef>,
    },
}

/// The only value of `exit.unit.NAME`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Own {
    /// After a stop, trc exits with the exit status of the unit.
    Own,
}

/// The replacements of trc's exit status: `[exit]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Exit {
    /// The replacements by number.
    pub statuses: BTreeMap<u8, u8>,
    /// The exit status of a clean stop from outside.
    pub stopped: Option<u8>,
    /// The units whose exit status becomes trc's after a stop from outside.
    pub own: Vec<UnitRef>,
}

/// The configuration, merged and checked key by key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Config {
    pub wait: WaitPolicy,
    /// The words of the shell, unless it is the first of `bash` and `sh`: `["/bin/ash", "-c"]`.
    pub shell: Option<Vec<OsString>>,
    pub shutdown: Shutdown,
    pub log: Log,
    /// `[control]`.
    pub control: Control,
    /// The variables of every unit.
    pub env: BTreeMap<String, Placed<Variable>>,
    pub file_env: FileEnv,
    /// The rules for signals that the configuration has.
    pub signals: BTreeMap<Signal, SignalRule>,
    /// The replacements of trc's exit status.
    pub exit: Exit,
    /// The declared units that do not exist in this run, and why: `is disabled`.
    pub left_out: BTreeMap<String, String>,
    /// `RC_DEBUG`: shells print the commands that they run.
    pub xtrace: bool,
    /// The directory of the configuration, which scripts see as `work_dir`.
    pub work_dir: PathBuf,
    /// The enabled units in the order of their declaration: those of `trc.toml`, drop-ins by name,
    /// the command line.
    pub units: Vec<Unit>,
    /// The units of the command line that boot scripts see as `$@` and may rewrite:
    /// `-D -F -H CMD` and the trailing command.
    pub rest: Vec<OsString>,
    /// The test run, if this is one.
    pub testing: Option<Testing>,
    /// The warnings and notes, without errors.
    pub remarks: Vec<Diagnostic>,
}

impl Config {
    /// Returns the destination of a unit's output: by its own key, by `[log]`, or by its stage.
    #[must_use]
    pub(crate) fn output_of(&self, unit: &Unit) -> Output {
        let background = match (unit.stage, unit.form) {
            _ if unit.own_terminal().is_some() => None,
            (Stage::Async, Form::Declared) => self.log.output.or(Some(Output::Prefix)),
            (Stage::Async, Form::Script | Form::Flag | Form::Trailing) => self.log.output,
            (Stage::Boot | Stage::Sync | Stage::Test | Stage::Halt, _) => None,
        };
        // trc has to read the output if a probe looks for a line in it, or if it goes to a file.
        let read = unit.output_file.is_some()
            || unit.output_pty
            || unit.probes().any(|probe| matches!(probe, Probe::Log(_)));
        let background = if read { Some(Output::Prefix) } else { background };
        unit.output.or(background).unwrap_or(Output::Inherit)
    }

    /// Returns whether trc captures the output of a unit only to search it: `[log]` hides it, and a
    /// probe of the unit needs it.
    #[must_use]
    pub(crate) fn is_hidden(&self, unit: &Unit) -> bool {
        let unsaid = unit.output.is_none() && unit.output_file.is_none();
        let nowhere = unit.stage == Stage::Async && self.log.output == Some(Output::Null);
        unsaid && nowhere && self.output_of(unit) == Output::Prefix
    }
}
