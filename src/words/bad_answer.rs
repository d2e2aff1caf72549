//! The faults of an answer over HTTP.

use std::fmt::{self, Display, Formatter};

use crate::config::expect::size;

/// The reason why an answer over HTTP is not acceptable, or why there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BadAnswer {
    /// The kernel's answer, in its own words.
    Kernel(String),
    /// The connection was closed before anything came.
    None,
    /// The connection was closed before this came.
    Cut(Missing),
    /// The answer is not HTTP.
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
    /// The rest of it did not arrive, and why: `: connection reset`, ` within 5 s`.
    NoRest(String),
    /// It has this status code.
    Status {
        /// The code.
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
            Self::Kernel(text) | Self::Text(text) => f.write_str(text),
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
            Self::NoRest(why) => write!(f, "the rest did not arrive{why}"),
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
