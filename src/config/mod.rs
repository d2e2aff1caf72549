//! What was written: the schema, the layers it comes from and their merge, where
//! each value came from, and everything that is wrong with it.

pub mod cli;
mod decode;
mod decode_identity;
mod decode_probe;
mod decode_restart;
mod decode_settings;
mod decode_test;
mod decode_unit;
pub mod diagnostic;
mod dropins;
pub mod endings;
mod environment;
pub mod expect;
mod file;
mod files;
mod fit;
mod flags;
mod foreign;
mod http;
mod layers;
mod leaf;
mod load;
mod merge;
pub mod origin;
mod overrides;
pub mod privilege;
pub mod probe;
mod resolve;
pub mod restart;
pub mod schema;
pub mod settings;
mod shared_files;
mod size;
mod source;
mod suggest;
pub mod template;
pub mod testing;
mod time;
pub mod unit;
mod value;
mod words;

use std::ffi::OsString;

pub use cli::{CommandLine, Invocation};

pub use diagnostic::{Diagnostic, Severity};
pub use environment::{is_own_variable, log_format};
pub use expect::{
    Check, Fault, FaultKind, FileCheck, HttpCheck, Leaves, Listening, Needle, Pattern, StopCheck,
    Test,
};
pub use load::{Loaded, Refused, load};
pub use origin::{Origin, Placed};
pub use privilege::{Limit, Stdin, StdinWord, Tty};
pub use probe::{Address, Health, Http, Probe, Ready, Then};
pub use restart::{Backoff, Restart, When};
pub use settings::{Config, Exit, Log, LogFormat, Own, Shutdown, SignalRule, WaitPolicy};
pub(crate) use source::reason;
pub(crate) use suggest::nearest_of_many;
pub use template::Template;
pub use testing::{ReportFile, ReportKind, Testing};
pub(crate) use time::seconds;
pub use unit::{
    After, Command, Condition, FileEnv, Form, Identity, OnFailure, Output, OutputFile, Stage, Stop,
    StopTo, Unit, UnitRef, Variable, typed,
};

/// The variables that trc was started with.
pub type Environment = Vec<(OsString, OsString)>;
