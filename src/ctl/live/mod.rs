//! The commands of `trcctl` that ask a running trc, or change it.

mod act;
mod ask;
mod health;
mod logs;
mod status;
mod table;

pub use act::{Change, act};
pub use health::health;
pub use logs::{Records, logs};
pub use status::status;

use std::fmt;
use std::path::PathBuf;

use ask::NoAnswer;

use crate::status as exit;

/// Options that all of these commands have.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the socket, if it is not the usual one.
    pub socket: Option<PathBuf>,
    /// Whether to print JSON.
    pub json: bool,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(path, why) => {
                let path = path.display();
                match why.kind() {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => write!(
                        to,
                        "no trc listens on {path}\n  help: run trcctl inside the container, such as \
                         `docker exec CONTAINER trcctl status`; set TRC_SOCKET or use --socket if \
                         [control] socket is elsewhere"
                    ),
                    _ => write!(to, "cannot connect to {path}: {why}"),
                }
            }
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

/// Prints why there is no answer, and returns the exit status.
fn failed(why: &NoAnswer) -> u8 {
    use crate::wire::Code;
    eprintln!("trcctl: {why}");
    match why {
        NoAnswer::Refused(problem) => match problem.code {
            Code::NotFound | Code::BadRequest => exit::USAGE,
            Code::Forbidden => exit::FORBIDDEN,
            Code::BadMethod
            | Code::TooSlow
            | Code::Booting
            | Code::NoService
            | Code::NotRunning
            | Code::NotAgain
            | Code::Reloading
            | Code::Stopping
            | Code::Testing
            | Code::Over
            | Code::TooLarge
            | Code::Busy => 1,
        },
        NoAnswer::Unreachable(..) | NoAnswer::Broken(_) | NoAnswer::Odd(_) => exit::UNAVAILABLE,
    }
}
