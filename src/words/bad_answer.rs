//! The reasons why attempts of probes fail, such as the faults of an answer over HTTP.

use core::net::SocketAddr;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use nix::errno::Errno;

use super::listeners::instead;
use super::{Unprepared, errno, some};
use crate::config::expect::size;
use crate::config::seconds;
use crate::signal::Signal;

/// The reason why an attempt of a probe, or of a check over a socket, has failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BadAnswer {
    /// The address, path or name that was asked, and its fault.
    Of(String, Box<BadAnswer>),
    /// The fault, the sockets that are bound to the port that was asked, and all ports on which
    /// something listens.
    Instead(Box<BadAnswer>, Vec<SocketAddr>, Vec<u16>),
    /// The kernel's answer.
    Kernel(Errno),
    /// Nothing asks a probe of this kind: its unit says by itself that it is up.
    NotAsked,

    /// This command exited with this status, and this last line of output.
    Exited(String, u8, String),
    /// This command was killed by this signal, and its last line of output.
    Killed(String, Signal, String),
    /// This command did not exit within this time.
    Slow(String, Duration),
    /// The command cannot be started.
    Unprepared(Unprepared),
    /// The command could not be started, for this reason.
    NotStarted(String),

    /// The file is as old as it was before the unit was started.
    OldFile,
    /// The path of the socket is too long.
    LongPath,
    /// The queue of connections is full.
    Backlog,

    /// The name cannot be looked up, because of this error.
    NoLookup(Errno),
    /// The name has no addresses, for this reason, if the C library has given one.
    Unresolved(String),
    /// The name has these addresses, and must not have any.
    Resolves(Vec<String>),
    /// The name was not resolved within this time.
    SlowLookup(Duration),
    /// There was no connection within this time.
    SlowConnection(Duration),
    /// There was no answer within this time.
    SlowAnswer(Duration),

    /// The child that looks at it has died.
    NoWork,
    /// The child that looks at it was not done within this time.
    SlowWork(Duration),

    /// The connection was closed before anything came.
    None,
    /// The connection was closed before this came.
    Cut(Missing),
    NotHttp,
    /// This line is not a header.
    InvalidHeader(String),
    /// Its headers have more bytes than this.
    LongHead(usize),
    /// Its `content-length` is this.
    Length(String),
    /// Its body has this transfer coding, which trc cannot decode.
    Coding(String),
    /// Its body has invalid chunks.
    Chunks,
    /// Its body has more bytes than this.
    LongBody(usize),
    /// It lacks this header.
    NoHeader(String),
    /// A text in it has, or lacks, something, which this says in words.
    Text(String),
    /// Its body is not JSON, for this reason.
    NotJson(String),
    /// Its body has more bytes than this, so it is not read as JSON.
    LongJson(usize),
    /// The whole of it took this long, which is longer than the second time.
    Late(Duration, Duration),
    /// It redirects to this place, which trc cannot ask, for this reason.
    Astray(String, &'static str),
    /// It redirects more often than this.
    Circles(u32),
    /// The rest of it did not arrive, because of this error.
    NoRest(Errno),
    /// The rest of it did not arrive within this time.
    SlowRest(Duration),
    /// It has this status code.
    Status {
        code: u16,
        /// Whether the code is an expected one.
        accepted: bool,
        /// Where it redirects to, if that is not expected.
        redirect: Option<String>,
        /// The other problems of the answer.
        problems: Vec<BadAnswer>,
    },
}

/// A missing part of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// The end of the headers.
    Head,
    /// The last bytes of the body, this many.
    Bytes(usize),
    /// The end of the body.
    Body,
}

impl Display for BadAnswer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(what, why) => write!(f, "{what}: {why}"),
            Self::Instead(why, same, listening) => {
                write!(f, "{why}; {}", instead(same, listening))
            }
            Self::Kernel(error) => f.write_str(&errno(*error)),
            Self::NotAsked => f.write_str("trc does not ask for it"),
            Self::Exited(command, code, last) => {
                write!(f, "`{command}` failed with status {code}{}", colon(last))
            }
            Self::Killed(command, signal, last) => {
                write!(f, "`{command}` was killed by {signal}{}", colon(last))
            }
            Self::Slow(command, limit) => {
                write!(f, "`{command}` did not exit within {}", seconds(*limit))
            }
            Self::Unprepared(why) => write!(f, "{why}"),
            Self::OldFile => {
                f.write_str("it existed before the start, and nothing has written to it since")
            }
            Self::LongPath => f.write_str("the path of a socket can have at most 107 bytes"),
            Self::Backlog => {
                f.write_str("the server does not accept connections (its backlog is full)")
            }
            Self::NoLookup(error) => write!(f, "cannot look it up: {}", errno(*error)),
            Self::Unresolved(why) if why.is_empty() => f.write_str("cannot resolve its name"),
            Self::Text(why) | Self::NotStarted(why) | Self::Unresolved(why) => f.write_str(why),
            Self::Resolves(to) => write!(f, "it resolves to {}", some(to.iter().cloned())),
            Self::SlowLookup(limit) => {
                write!(f, "its name was not resolved within {}", seconds(*limit))
            }
            Self::SlowConnection(limit) => write!(f, "no connection within {}", seconds(*limit)),
            Self::SlowAnswer(limit) => write!(f, "no answer within {}", seconds(*limit)),
            Self::NoWork => f.write_str("the process that looked at it has died"),
            Self::SlowWork(limit) => {
                write!(f, "trc could not look at all of it within {}", seconds(*limit))
            }
            Self::None => f.write_str("it closed the connection without an answer"),
            Self::Cut(Missing::Head) => {
                f.write_str("it closed the connection before the end of its headers")
            }
            Self::Cut(Missing::Bytes(left)) => {
                write!(f, "it closed the connection before the last {left} bytes of its body")
            }
            Self::Cut(Missing::Body) => {
                f.write_str("it closed the connection before the end of its body")
            }
            Self::NotHttp => f.write_str("its answer is not HTTP"),
            Self::InvalidHeader(line) => write!(f, "its answer has an invalid header: {line}"),
            Self::LongHead(most) => {
                write!(f, "its headers are longer than {}", size(*most as u64))
            }
            Self::Length(value) => write!(f, "its content-length is {value}"),
            Self::Coding(coding) => {
                write!(f, "its body has the transfer coding {coding}, which trc cannot decode")
            }
            Self::Chunks => f.write_str("its body has invalid chunks"),
            Self::LongBody(most) => write!(f, "its body is longer than {}", size(*most as u64)),
            Self::NoHeader(name) => write!(f, "it has no header {name}"),
            Self::NotJson(why) => write!(f, "its body is not JSON: {why}"),
            Self::LongJson(most) => write!(
                f,
                "its body has more than {}, and trc reads no more of JSON",
                size(*most as u64)
            ),
            Self::Late(took, most) => write!(
                f,
                "the answer took {}, which is longer than {}",
                seconds(*took),
                seconds(*most)
            ),
            Self::Astray(to, why) => write!(f, "it redirects to {to}, {why}"),
            Self::Circles(most) => write!(f, "it redirects more than {most} times"),
            Self::NoRest(error) => write!(f, "the rest did not arrive: {}", errno(*error)),
            Self::SlowRest(limit) => {
                write!(f, "the rest did not arrive within {}", seconds(*limit))
            }
            Self::Status { code, accepted, redirect, problems } => {
                write!(f, "it answered {code}")?;
                if let Some(to) = redirect {
                    write!(f, ", a redirect to {to}, which trc does not follow")?;
                }
                for (at, problem) in problems.iter().enumerate() {
                    let joint = match (at, accepted) {
                        (0, true) => ", but ",
                        (0, false) => ", and ",
                        _ => "; ",
                    };
                    write!(f, "{joint}{problem}")?;
                }
                Ok(())
            }
        }
    }
}

fn colon(last: &str) -> String {
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_with_all_that_is_wrong_beside_it() {
        let problems =
            |count| vec![BadAnswer::NoHeader("x".to_owned()), BadAnswer::Chunks][..count].to_vec();
        let to = || Some("\"/in\"".to_owned());
        for (code, accepted, redirect, problems, expected) in [
            (500, false, None, problems(0), "it answered 500"),
            (
                302,
                false,
                to(),
                problems(0),
                "it answered 302, a redirect to \"/in\", which trc does not follow",
            ),
            (200, true, None, problems(1), "it answered 200, but it has no header x"),
            (
                500,
                false,
                None,
                problems(2),
                "it answered 500, and it has no header x; its body has invalid chunks",
            ),
        ] {
            let answer = BadAnswer::Status { code, accepted, redirect, problems };
            assert_eq!(answer.to_string(), expected);
        }
    }
}
