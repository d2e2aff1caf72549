//! What was written: the keys, the layers they come from and their merge, where
//! each value came from, and everything that is wrong with it.
mod changes;
pub mod cli;
pub(crate) mod diagnostic;
mod dropins;
mod effective;
pub(crate) mod endings;
mod environment;
pub(crate) mod expect;
mod file;
mod files;
mod fit;
mod flags;
mod gone;
mod http;
mod json;
mod keys;
mod layers;
mod layout;
mod leaf;
mod listen;
mod load;
mod machine;
mod merge;
mod only;
pub(crate) mod origin;
mod overrides;
pub(crate) mod privilege;
pub(crate) mod probe;
mod profiles;
mod resolve;
pub(crate) mod restart;
#[cfg(feature = "ctl")]
pub(crate) mod schema;
pub(crate) mod settings;
mod shared_files;
mod size;
mod source;
mod suggest;
#[cfg(feature = "ctl")]
mod tables;
pub(crate) mod template;
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod time;
pub(crate) mod unclosed;
mod unit;
mod value;
mod wanted;
mod words;

use std::ffi::OsString;

pub(crate) use changes::{Change, Class};
pub(crate) use cli::{CommandLine, Invocation};

pub(crate) use crate::text::span as parse_time;
pub(crate) use diagnostic::{Diagnostic, Severity};
pub(crate) use effective::{Beaten, Effective};
pub(crate) use environment::{is_own_variable, log_format, record_file};
pub(crate) use expect::{
    Asked, Check, During, Fault, FaultKind, FileCheck, Found, HttpCheck, Leaves, Listener,
    Listening, Needle, Pattern, Sent, State, StopCheck, Test,
};
pub(crate) use http::{Url, absolute_url};
pub(crate) use json::{JsonPath, JsonStep};
pub(crate) use keys::key::{Key, key_at, keys_in};
pub(crate) use layout::{Dir, FileSource, Owner, Recurse, WrittenFile};
pub(crate) use listen::Listen;
pub(crate) use load::{Loaded, Refused, load};
pub(crate) use machine::{
    CertificateCheck, DnsCheck, FileKind, Forbidden, GroupAccount, Listed, MountCheck, NewerThan,
    TreeCheck, UserAccount, Variables,
};
pub(crate) use origin::{Origin, Placed};
pub(crate) use overrides::overridden_file;
#[cfg(feature = "ctl")]
pub(crate) use privilege::CAPABILITIES;
pub(crate) use privilege::{Limit, Stdin, StdinWord, Tty};
pub(crate) use probe::{Address, Health, Http, LogLine, Probe, Ready, Then};
pub(crate) use restart::{Backoff, Restart, When};
pub use settings::LogFormat;
pub(crate) use settings::{
    Access, Config, Control, ControlSocket, Exit, Log, LogTo, Own, Shutdown, SignalRule,
    Termination, WaitPolicy,
};
pub(crate) use source::{head, reason, show_line};
pub(crate) use suggest::{nearest, nearest_of_many};
#[cfg(feature = "ctl")]
pub(crate) use tables::load_tables;
pub(crate) use template::Template;
pub(crate) use testing::{ReportFile, ReportKind, Testing};
pub(crate) use time::seconds;
pub(crate) use unit::{
    After, Command, Condition, FileEnv, Form, Hook, Identity, OnFailure, Output, OutputFile,
    Overlap, Reload, ReloadBy, Schedule, Stage, Stop, StopTo, Unit, UnitRef, Variable, typed,
};
pub(crate) use value::shown;
pub(crate) use wanted::{Relation, Wanted};

/// The variables that trc was started with.
pub(crate) type Environment = Vec<(OsString, OsString)>;
