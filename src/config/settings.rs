//! Everything that was written, put together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{
    Diagnostic, FileEnv, Form, Output, Placed, Probe, Stage, Testing, Unit, UnitRef, Variable,
};
use crate::signal::Signal;

/// When the run ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WaitPolicy {
    /// When the first unit ends; the foreground goes before the background.
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
    /// As TrivialRC and the log name it: `wait_any`.
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

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// TrivialRC's lines.
    #[default]
    Trc,
    /// One JSON object a line.
    Json,
}

/// `[log]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Log {
    /// What is said: warn without a config file, info with one.
    pub level: log::LevelFilter,
    /// Whether this run's variables or command line have asked for that level; then trc logs in
    /// transparent mode too.
    pub asked: bool,
    /// In which form.
    pub format: LogFormat,
    /// The `output` of background units that don't say; prefix for declared ones.
    pub output: Option<Output>,
}

/// `[shutdown]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Shutdown {
    /// The whole budget from an outside stop signal on, where that was written; 9 s
    /// or what the longest chain of written stop timeouts needs.
    pub timeout: Option<Duration>,
}

/// What a signal that trc gets does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SignalRule {
    /// Stops the run with 128 + its number.
    Stop,
    /// Nothing.
    Ignore,
    /// Output files are opened anew.
    Reopen,
    /// It, or another, goes to units: to those named, or to all that run.
    Forward {
        /// Which signal goes on; the same one without it.
        signal: Option<Signal>,
        /// To which units; to all that run without it.
        to: Vec<UnitRef>,
    },
}

/// The one thing that `exit.unit.NAME` may say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Own {
    /// On a stop, trc's status is that of the unit.
    Own,
}

/// What becomes of trc's own exit status: `[exit]`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Exit {
    /// By number: from, to.
    pub statuses: BTreeMap<u8, u8>,
    /// What a stop from outside gives that everything has obeyed.
    pub stopped: Option<u8>,
    /// The units whose own status a stop from outside gives.
    pub own: Vec<UnitRef>,
}

/// Everything that was written, merged and checked key by key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Config {
    /// The wait policy.
    pub wait: WaitPolicy,
    /// The shell's words, if another than the first of `bash` and `sh` is wanted:
    /// `["/bin/ash", "-c"]`.
    pub shell: Option<Vec<OsString>>,
    /// `[shutdown]`.
    pub shutdown: Shutdown,
    /// `[log]`.
    pub log: Log,
    /// Variables of every unit.
    pub env: BTreeMap<String, Placed<Variable>>,
    /// `file_env`.
    pub file_env: FileEnv,
    /// What signals do, where that was written.
    pub signals: BTreeMap<Signal, SignalRule>,
    /// What becomes of trc's own exit status.
    pub exit: Exit,
    /// `RC_DEBUG`: shells print what they run.
    pub xtrace: bool,
    /// The directory that the configuration came from; scripts see it as `work_dir`.
    pub work_dir: PathBuf,
    /// The enabled units in the order in which they were declared: `trc.toml`'s own,
    /// drop-ins by name, the command line.
    pub units: Vec<Unit>,
    /// The units of the command line that boot scripts see as `$@` and may rewrite:
    /// `-D -F -H CMD` and the trailing command.
    pub rest: Vec<OsString>,
    /// The tests are to run.
    pub testing: Option<Testing>,
    /// Warnings and notes; there is no error among them.
    pub remarks: Vec<Diagnostic>,
}

impl Config {
    /// Where a unit's output goes: as it says itself, or as `[log]` says, or as its stage has it.
    #[must_use]
    pub(crate) fn output_of(&self, unit: &Unit) -> Output {
        let background = match (unit.stage, unit.form) {
            _ if unit.own_terminal().is_some() => None,
            (Stage::Async, Form::Declared) => self.log.output.or(Some(Output::Prefix)),
            (Stage::Async, Form::Script | Form::Flag | Form::Trailing) => self.log.output,
            (Stage::Boot | Stage::Sync | Stage::Test | Stage::Halt, _) => None,
        };
        // What is to be recognized by its lines, or goes to a file, has to come through trc.
        let read =
            unit.output_file.is_some() || unit.probes().any(|probe| matches!(probe, Probe::Log(_)));
        let background = if read { Some(Output::Prefix) } else { background };
        unit.output.or(background).unwrap_or(Output::Inherit)
    }

    /// Whether a unit's output goes through trc only to be looked at: `[log]` has it that nobody
    /// sees it, and the unit is to be recognized by it.
    #[must_use]
    pub(crate) fn is_hidden(&self, unit: &Unit) -> bool {
        let unsaid = unit.output.is_none() && unit.output_file.is_none();
        let nowhere = unit.stage == Stage::Async && self.log.output == Some(Output::Null);
        unsaid && nowhere && self.output_of(unit) == Output::Prefix
    }
}
