//! The faults of the settings, words, variables and files that a unit needs to be started.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use nix::errno::Errno;

use super::errno;
use crate::config::Origin;
use crate::config::privilege::UNLIMITED;
use crate::config::template::Unexpanded;

/// The reason why a unit cannot be started, if trc finds it before there is a process. It never
/// contains the contents of variables and secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unprepared {
    /// The reason, and the place of the setting.
    At(Box<Unprepared>, Origin),
    /// Several reasons.
    Several(Vec<Unprepared>),
    /// The kernel's answer.
    Kernel(Errno),
    /// The unit has no command.
    NoCommand,
    /// The unit needs a shell, and there is none.
    NoShell,
    /// The shell cannot get its script, for this reason.
    NoScript(String),
    /// The variables of a value cannot be replaced.
    Unexpanded(Unexpanded),
    /// With this variable, the variables of a unit have more bytes than this.
    Large(String, usize),
    /// This word contains a NUL byte.
    Word(String),
    /// This variable contains a NUL byte.
    Variable(OsString),
    /// This file of a value contains a NUL byte.
    Value(PathBuf),
    /// This file cannot be read, for this reason.
    NoFile(PathBuf, String),
    /// This `env_file` cannot be read, for this reason.
    NoEnvFile(PathBuf, String),
    /// This line of an `env_file`, counted from 1, is not valid.
    EnvFile(PathBuf, usize, BadLine),
    /// Both of these variables are set, and the second one names a file for the first one, or both
    /// name one for the same variable.
    BothSet(OsString, OsString),
    /// This variable names a file, and something is wrong with the file.
    Pointer(OsString, Box<Unprepared>),
    /// This file cannot take the output of the unit, for this reason; without one, its directory
    /// does not exist.
    NoOutputFile(PathBuf, Option<String>),
    /// There is no pseudo-terminal, for this reason.
    NoPty(String),
    /// The list of users cannot be read, for this reason.
    NoUsers(String),
    /// There is no such user.
    NoUser(String),
    /// There is no such group.
    NoGroup(String),
    /// The value of a path is not one at which trc can make something.
    Path(PathBuf),
    /// The kernel does not know this capability.
    UnknownCapability(&'static str),
    /// trc itself does not have this capability.
    NoCapability(&'static str),
    /// trc cannot limit capabilities.
    NoSetpcap,
    /// The limit of this name is to have the first value. trc's own is the second, and trc cannot
    /// exceed it.
    Limit(&'static str, u64, u64),
    /// The limit `nofile` is to have the first value, and the kernel allows the second.
    NrOpen(u64, u64),
}

/// The fault of a line of an `env_file`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadLine {
    /// The line contains a NUL byte.
    Nul,
    /// There is nothing before the `=`.
    NoName,
    /// The name contains white space. The name is not shown: this may be the second line of a
    /// secret.
    Space,
}

impl Unprepared {
    /// Adds the place of the setting.
    pub(crate) fn at(self, origin: &Origin) -> Self {
        Self::At(Box::new(self), origin.clone())
    }
}

impl Display for Unprepared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(why, origin) => write!(f, "{why} ({origin})"),
            Self::Several(whys) => {
                for (at, why) in whys.iter().enumerate() {
                    write!(f, "{}{why}", if at > 0 { "; " } else { "" })?;
                }
                Ok(())
            }
            Self::Kernel(error) => f.write_str(&errno(*error)),
            Self::NoCommand => f.write_str("it has no command"),
            Self::NoShell => f.write_str("it needs a shell, and the image has neither bash nor sh"),
            Self::NoScript(why) => write!(f, "cannot pass its script to the shell: {why}"),
            Self::Unexpanded(why) => write!(f, "{why}"),
            Self::Large(name, most) => write!(
                f,
                "with {name}, the variables are larger than {} MiB, which is more than the kernel \
                 passes to a program",
                most >> 20
            ),
            Self::Word(word) => write!(f, "`{}` contains a NUL byte", word.escape_debug()),
            Self::Variable(name) => {
                write!(f, "the variable {} contains a NUL byte", name.display())
            }
            Self::Value(path) => {
                write!(f, "{} contains a NUL byte, which a variable cannot contain", path.display())
            }
            Self::NoFile(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::NoEnvFile(path, why) => {
                write!(f, "cannot read env_file {}: {why}", path.display())
            }
            Self::EnvFile(path, line, wrong) => {
                let wrong = match wrong {
                    BadLine::Nul => "a variable cannot contain a NUL byte",
                    BadLine::NoName => "a name is missing before `=`",
                    BadLine::Space => "the name of a variable contains white space",
                };
                write!(f, "{}:{line}: {wrong}", path.display())
            }
            Self::BothSet(name, pointer) => {
                write!(f, "both {} and {} are set (file_env)", name.display(), pointer.display())
            }
            Self::Pointer(pointer, why) => {
                write!(f, "{}: {why} (file_env)", pointer.display())
            }
            Self::NoOutputFile(path, why) => {
                let why = why.as_deref().unwrap_or("its directory does not exist");
                write!(f, "cannot open {} for writing: {why}", path.display())
            }
            Self::NoPty(why) => write!(f, "cannot create a pseudo-terminal: {why} (/dev/ptmx)"),
            Self::NoUsers(why) => write!(f, "cannot read users: {why}"),
            Self::NoUser(user) => write!(f, "there is no user `{user}` in /etc/passwd"),
            Self::NoGroup(group) => write!(f, "there is no group `{group}` in /etc/group"),
            Self::Path(path) => write!(
                f,
                "cannot make {}: its path must begin with `/`, contain no `..`, and not be that of the \
                 root directory",
                path.display()
            ),
            Self::UnknownCapability(name) => {
                write!(f, "cannot keep the capability {name}: this kernel does not know it")
            }
            Self::NoCapability(name) => write!(
                f,
                "cannot keep the capability {name}: trc itself does not have it; \
                 `docker run --cap-add {name}` adds it"
            ),
            Self::NoSetpcap => f.write_str(
                "cannot limit the capabilities: trc itself lacks the capability setpcap",
            ),
            Self::Limit(name, wanted, most) => write!(
                f,
                "the limit {name} of {} is above the hard limit of {}, and trc itself lacks the \
                 capability sys_resource; `docker run --ulimit {name}=…` raises it",
                limit(*wanted),
                limit(*most)
            ),
            Self::NrOpen(wanted, most) => write!(
                f,
                "the limit nofile of {} is above the maximum of the kernel, fs.nr_open = {most}",
                limit(*wanted)
            ),
        }
    }
}

fn limit(limit: u64) -> String {
    if limit == UNLIMITED { "unlimited".to_owned() } else { limit.to_string() }
}
