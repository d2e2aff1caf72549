//! Readiness checks and health checks: their probes, intervals and limits.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Placed, Template};

/// The default status codes for `ready.http` and `health.http`, which are those of the kubelet: a
/// server that redirects is there.
pub(crate) const ANSWERS: RangeInclusive<u16> = 200..=399;
/// The default status codes for `expect.http`: a redirect is not the expected answer.
pub(crate) const SUCCESS: RangeInclusive<u16> = 200..=299;

/// A host, by name or address, and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port, 1 or more.
    pub port: u16,
}

/// An HTTP request, and the accepted answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Http {
    /// The server.
    pub address: Address,
    /// The target of the request: path and query. It begins with `/`.
    pub path: String,
    /// The `Host` header.
    pub host: String,
    /// The accepted status codes.
    pub status: Vec<RangeInclusive<u16>>,
}

/// A line that a unit writes when it is ready, or from time to time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogLine {
    /// The regular expression that the line matches.
    pub pattern: String,
    /// The number of the matching line since the start, from 1 on. It is 1 in a health check.
    pub count: u32,
}

/// The kind of a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Probe {
    /// Something accepts a TCP connection at this address.
    Tcp(Address),
    /// Something accepts a connection to this stream socket.
    Unix(PathBuf),
    /// A GET over HTTP/1.1 is answered.
    Http(Http),
    /// A command exits with 0. It runs as the unit's user, in the unit's environment.
    Exec(Vec<Template>),
    /// A file of any kind exists.
    File(PathBuf),
    /// A line of the unit's own output matches.
    Log(LogLine),
    /// The unit sends a message: the protocol of systemd's `NOTIFY_SOCKET`, `sd_notify(3)`.
    Notify,
    /// The unit writes a newline to this descriptor: s6's notification-fd.
    Fd(i32),
    /// The unit's `pid_file` names its main process. Every unit with a `pid_file` that has no probe
    /// of its own has this one.
    PidFile,
}

impl Probe {
    /// Returns whether the unit reports its state by itself, so that there are no attempts.
    #[must_use]
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Log(_) | Self::Notify | Self::Fd(_) | Self::PidFile => true,
            Self::Tcp(_) | Self::Unix(_) | Self::Http(_) | Self::Exec(_) | Self::File(_) => false,
        }
    }
}

/// `ready`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ready {
    pub probe: Placed<Probe>,
    /// The time from the end of one attempt to the next. The first attempts follow faster.
    pub every: Duration,
    /// The time that an attempt may take.
    pub timeout: Duration,
    /// The time from the start of the unit after which it has failed.
    pub within: Duration,
}

/// The consequence for an unhealthy unit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Then {
    /// The unit is restarted, whatever its `restart` says.
    #[default]
    Restart,
    /// The unit has failed, and the run stops.
    Stop,
    /// trc logs a warning.
    Ignore,
}

/// `health`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Health {
    /// The probe. With `log` and `notify`, the unit has to print a line or send `WATCHDOG=1` in
    /// each period of `every`.
    pub probe: Placed<Probe>,
    /// The time from the end of one attempt to the next.
    pub every: Duration,
    /// The time that an attempt may take.
    pub timeout: Duration,
    /// The number of attempts in a row that have to fail, 1 or more.
    pub failures: u32,
    /// The consequence.
    pub then: Then,
}
