//! Readiness and health as they were written: what is tried, how often and for how long.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Placed, Template};

/// The status codes that will do for `ready.http` and `health.http`, as kubelet has it: whoever
/// redirects is there.
pub(crate) const ANSWERS: RangeInclusive<u16> = 200..=399;
/// Those that will do for `expect.http`: a redirect is not what was asked for.
pub(crate) const SUCCESS: RangeInclusive<u16> = 200..=299;

/// A host, by name or number, and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// From 1 on.
    pub port: u16,
}

/// An HTTP request, and which answers will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Http {
    /// Whom to ask.
    pub address: Address,
    /// The request's target: path and query, beginning with `/`.
    pub path: String,
    /// The `Host` header.
    pub host: String,
    /// The status codes that will do.
    pub status: Vec<RangeInclusive<u16>>,
}

/// How a probe finds out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Probe {
    /// Something accepts a TCP connection there.
    Tcp(Address),
    /// Something accepts a connection to this stream socket.
    Unix(PathBuf),
    /// A GET over HTTP/1.1 is answered.
    Http(Http),
    /// A command ends with 0. It runs as the unit's user in its environment.
    Exec(Vec<Template>),
    /// A file of any kind is there.
    File(PathBuf),
    /// A line of the unit's own output matches this regular expression.
    Log(String),
    /// The unit says so: the protocol of systemd's `NOTIFY_SOCKET`, `sd_notify(3)`.
    Notify,
    /// The unit writes a newline to this descriptor: s6's notification-fd.
    Fd(i32),
}

impl Probe {
    /// Whether the unit speaks up by itself, so that there is nothing to try.
    #[must_use]
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Log(_) | Self::Notify | Self::Fd(_) => true,
            Self::Tcp(_) | Self::Unix(_) | Self::Http(_) | Self::Exec(_) | Self::File(_) => false,
        }
    }
}

/// `ready`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ready {
    /// How it is found out.
    pub probe: Placed<Probe>,
    /// From the end of one try to the next; the first ones follow faster.
    pub every: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// From the start of the unit to when it has failed.
    pub within: Duration,
}

/// What becomes of a unit that isn't healthy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Then {
    /// It is stopped and started again, whatever its `restart` says.
    #[default]
    Restart,
    /// It has failed, and that stops the run.
    Stop,
    /// It is said.
    Ignore,
}

/// `health`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Health {
    /// How it is found out. What the unit says itself (`log`, `notify`'s `WATCHDOG=1`) has
    /// to come once in each `every`.
    pub probe: Placed<Probe>,
    /// From the end of one try to the next.
    pub every: Duration,
    /// How long a try may take.
    pub timeout: Duration,
    /// How many tries must fail in a row, 1 or more.
    pub failures: u32,
    /// What happens then.
    pub then: Then,
}
