//! The commands of `trcctl` that ask a running trc, or change it.

mod act;
mod ask;
#[cfg(feature = "ctl")]
mod exec;
mod health;
mod logs;
mod names;
mod paint;
mod patient;
mod reload;
mod shutdown;
mod status;
mod table;
#[cfg(feature = "ctl")]
mod top;
mod wait;
mod why;

pub use act::{Change, act};
#[cfg(feature = "ctl")]
pub use exec::exec;
pub use health::{health, health_asked};
pub use logs::{Records, logs};
pub use names::names;
pub use paint::Color;
pub(super) use paint::Look;
pub use reload::reload;
pub use shutdown::shutdown;
#[cfg(feature = "ctl")]
pub(super) use status::state;
pub use status::status;
pub(super) use table::{Cell, table};
#[cfg(feature = "ctl")]
pub use top::top;
pub use wait::wait;
pub use why::why;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

pub(super) use ask::NoAnswer;
#[cfg(feature = "ctl")]
pub(super) use ask::{Trc, socket_path};
use patient::Patient;

use crate::status as exit;

/// Options that all of these commands have.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the socket, if it is not the usual one.
    pub socket: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to print colours: always or never.
    pub color: Color,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(path, why) => {
                let path = path.display();
                match why.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => write!(
                        to,
                        "no trc listens on {path}\n  help: run this inside the container, such as \
                         `docker exec CONTAINER trcctl status`, and set TRC_SOCKET if [control] \
                         socket is elsewhere"
                    ),
                    io::ErrorKind::PermissionDenied => write!(
                        to,
                        "you may not connect to {path}: {why}\n  help: trc lets everybody connect; \
                         look at the permissions of the socket and of its directory"
                    ),
                    _ => write!(to, "cannot connect to {path}: {why}"),
                }
            }
            Self::Silent(within) => write!(
                to,
                "trc has not answered within {} s: it may be suspended, or this is not trc",
                within.as_secs()
            ),
            Self::Broken(why) => write!(to, "the connection to trc broke off: {why}"),
            Self::Refused(problem) => {
                write!(to, "{}", problem.detail)?;
                match &problem.nearest[..] {
                    [] => Ok(()),
                    names => write!(to, " (did you mean `{}`?)", names.join("`, `")),
                }
            }
            Self::Odd(text) => write!(to, "this is not an answer of trc: {text:?}"),
        }
    }
}

/// Reads a time such as `30s`.
///
/// # Errors
/// Returns why this is not a time.
pub fn time(text: &str) -> Result<std::time::Duration, String> {
    crate::config::parse_time(text).ok_or_else(|| "expected a time such as 30s or 5m".to_owned())
}

/// Prints a text. If nobody reads it, such as `head`, that is not a failure. Returns whether somebody
/// may read it.
pub(super) fn say(text: &str) -> bool {
    Patient(io::stdout()).write_all(text.as_bytes()).is_ok()
}

/// Prints what is wrong.
pub(super) fn complain(why: &dyn fmt::Display) {
    let name = std::env::args_os().next().map(PathBuf::from);
    let name = name.as_deref().and_then(|path| path.file_name()).map(OsString::from);
    let name = name.unwrap_or_else(|| "trcctl".into());
    note(&format!("{}: {why}\n", name.display()));
}

/// Prints a text for people beside the output.
fn note(text: &str) {
    _ = Patient(io::stderr()).write_all(text.as_bytes());
}

/// Prints why there is no answer, and returns the exit status.
pub(super) fn failed(why: &NoAnswer) -> u8 {
    use crate::wire::Code;
    complain(why);
    match why {
        NoAnswer::Refused(problem) => match problem.code {
            Code::NotFound | Code::BadRequest => exit::USAGE,
            Code::Forbidden => exit::FORBIDDEN,
            Code::InvalidConfig => exit::CONFIG,
            Code::BadMethod
            | Code::TooSlow
            | Code::Booting
            | Code::NoService
            | Code::NotRunning
            | Code::NotUp
            | Code::NoReload
            | Code::NotAgain
            | Code::StalePlan
            | Code::RolledBack
            | Code::Reloading
            | Code::Stopping
            | Code::Testing
            | Code::Over
            | Code::TooLarge
            | Code::Busy
            | Code::Unauthorized => 1,
            Code::Unreachable => exit::UNAVAILABLE,
        },
        NoAnswer::Unreachable(_, why) if why.kind() == io::ErrorKind::PermissionDenied => {
            exit::FORBIDDEN
        }
        NoAnswer::Unreachable(..)
        | NoAnswer::Silent(_)
        | NoAnswer::Broken(_)
        | NoAnswer::Odd(_) => exit::UNAVAILABLE,
    }
}
