//! Tests as they were written: what they expect, and how long they wait for it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Address, Http, Placed, UnitRef, seconds};
use crate::signal::Signal;

/// What `[test.NAME]` has beside what it runs and who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Test {
    /// What is to hold; each is a point of its own in reports.
    pub checks: Vec<Placed<Check>>,
    /// It is tried again until then, from its start on; once without it.
    pub within: Option<Duration>,
    /// So long it has to hold once it does.
    pub holds: Option<Duration>,
    /// Why there is nothing to test: the unit that it is about is not there.
    pub absent: Option<String>,
    /// What is done before.
    pub fault: Option<Placed<Fault>>,
    /// How the units that it is about end when they are told to stop, after the last test.
    pub stop: StopCheck,
    /// Points of the stop drill whose failure is excused.
    pub allow: Vec<Placed<String>>,
    /// How long it waits for what it is `after`, once it is its turn.
    pub start_within: Duration,
    /// How long one try may take.
    pub max_runtime: Duration,
}

impl Test {
    /// Whether nothing is expected but the exit status of its command.
    #[must_use]
    pub(crate) fn asks_for_status_alone(&self) -> bool {
        let status = |check: &Placed<Check>| matches!(check.value, Check::Found(Found::Exit(_)));
        self.checks.iter().all(status) && self.fault.is_none() && !self.stop.is_written()
    }

    /// The units that it names in what it expects.
    pub(crate) fn units_mut(&mut self) -> impl Iterator<Item = &mut UnitRef> {
        let fault = self.fault.iter_mut().map(|fault| &mut fault.value.unit);
        let said = self.checks.iter_mut().filter_map(|check| match &mut check.value {
            Check::Found(Found::Said { unit, .. }) => unit.as_mut(),
            _ => None,
        });
        said.chain(fault)
    }
}

/// What is expected of units that are told to stop; nothing, where neither is written.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct StopCheck {
    /// The exit statuses that will do, 128 + n where signal n ended it; any, if there is none.
    pub statuses: Vec<u8>,
    /// The longest time from the stop signal or command to the end of the main process.
    pub within: Option<Duration>,
}

impl StopCheck {
    /// Whether anything is expected.
    #[must_use]
    pub(crate) fn is_written(&self) -> bool {
        !self.statuses.is_empty() || self.within.is_some()
    }

    /// Whether a unit that was told to stop has ended as expected: with this status, so long
    /// after it was told; `None` where it was killed for want of time.
    #[must_use]
    pub(crate) fn holds(&self, status: u8, after: Option<Duration>) -> bool {
        let right = self.statuses.is_empty() || self.statuses.contains(&status);
        let soon = self.within.is_none_or(|most| after.is_some_and(|after| after <= most));
        right && soon
    }
}

/// The point's name in reports, after the unit's name.
impl fmt::Display for StopCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stops")?;
        if !self.statuses.is_empty() {
            let all: Vec<String> = self.statuses.iter().map(u8::to_string).collect();
            write!(f, " with status {}", all.join(" or "))?;
        }
        self.within.map_or(Ok(()), |most| write!(f, " within {} s", most.as_secs_f64()))
    }
}

/// Something done to a unit to see whether the rest bears it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// To which unit.
    pub unit: UnitRef,
    /// What.
    pub kind: FaultKind,
    /// Whether it has to be restarted by that, or must not be; without it the kind says.
    pub restarts: Option<bool>,
}

impl Fault {
    /// What has to run of the unit when all is well again. What stops or crashes programs ends
    /// this one; other signals, such as HUP, mean something to a program that goes on.
    #[must_use]
    pub(crate) fn leaves(&self, stop_signal: Signal) -> Leaves {
        match (self.restarts, self.kind) {
            (Some(true), _) => Leaves::Another,
            (None, FaultKind::Kill(signal)) if signal.ends() || signal == stop_signal => {
                Leaves::Another
            }
            // Programs stop by these, or leave them to the terminal.
            (None, FaultKind::Stop(_) | FaultKind::Kill(Signal::INT | Signal::QUIT)) => {
                Leaves::Either
            }
            (Some(false), _) | (None, FaultKind::Kill(_)) => Leaves::TheSame,
        }
    }
}

/// The process of a unit that has to run after a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaves {
    /// The one that it was done to.
    TheSame,
    /// One that was started since.
    Another,
    /// Any.
    Either,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    /// Its process gets this signal.
    Kill(Signal),
    /// It is stopped, and continued after this time.
    Stop(Duration),
}

/// A text that is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Needle {
    /// It stands somewhere.
    Text(String),
    /// A regular expression matches.
    Regex(String),
}

/// A text that is to be there, or must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    /// What is looked for.
    pub needle: Needle,
    /// It must not be there.
    pub negated: bool,
}

/// A port that something listens on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listening {
    /// On this address; on any without it.
    pub ip: Option<IpAddr>,
    /// Its number.
    pub port: u16,
    /// UDP, else TCP.
    pub udp: bool,
    /// Nothing must listen there.
    pub negated: bool,
}

/// What is expected of an answer over HTTP beside its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpCheck {
    /// What is asked, and which status codes will do.
    pub http: Http,
    /// What its body has.
    pub body: Vec<Pattern>,
    /// What headers have, by their names in lower case.
    pub headers: BTreeMap<String, Vec<Pattern>>,
}

/// What is expected of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileCheck {
    /// Which one.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Its permission bits.
    pub mode: Option<u32>,
    /// `USER`, or `USER:GROUP`, by names or numbers.
    pub owner: Option<String>,
    /// What it has in it.
    pub contains: Vec<Pattern>,
}

/// One thing that is expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Check {
    /// Somebody is asked, and takes time to answer.
    Asked(Asked),
    /// It is found out at once.
    Found(Found),
}

/// What is asked for over a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// An answer.
    Http(HttpCheck),
    /// Something accepts a connection.
    Tcp(Address),
    /// Something accepts a connection to this stream socket.
    Unix(PathBuf),
}

/// What is found out at once, of the test, of what units have done, or of the container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The command's exit status.
    Exit(Vec<u8>),
    /// What the command wrote.
    Stdout(Pattern),
    /// What the command wrote to standard error.
    Stderr(Pattern),
    /// A line that a unit has written since it was first started.
    Said {
        /// Which unit; any of those concerned without it.
        unit: Option<UnitRef>,
        /// What is looked for.
        needle: Needle,
        /// It must not have been written.
        forbidden: bool,
    },
    /// The time from the start of the units concerned to their readiness.
    ReadyWithin(Duration),
    /// How things are at the moment.
    Now(State),
}

/// How the machine and the units' processes are at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// A port of this network namespace.
    Listening(Listening),
    /// A file.
    File(FileCheck),
    /// A process by its name or command line, and whose it is.
    Running {
        /// Which one; with a space in it or as a regular expression, its command line.
        process: Pattern,
        /// Whose all of these are.
        user: Option<String>,
    },
    /// Whose the main processes of the units concerned are.
    User(String),
    /// Resident memory of the processes of each unit concerned, in bytes.
    MaxRss(u64),
    /// CPU time of each unit concerned, since its start.
    MaxCpu(Duration),
    /// Open descriptors of each process of the units concerned.
    MaxFds(u64),
    /// Processes of each unit concerned.
    MaxProcesses(u64),
    /// Memory of the whole container at its peak, in bytes.
    MaxMemory(u64),
    /// Whether the container may not gain privileges.
    NoNewPrivs(bool),
    /// Whether its root is read-only.
    ReadOnlyRoot(bool),
    /// It has no other capabilities than these, one bit each.
    Capabilities(u64),
    /// The user that trc runs as.
    Uid(u32),
}

impl From<Asked> for Check {
    fn from(asked: Asked) -> Self {
        Self::Asked(asked)
    }
}

impl From<Found> for Check {
    fn from(found: Found) -> Self {
        Self::Found(found)
    }
}

impl From<State> for Check {
    fn from(state: State) -> Self {
        Self::Found(Found::Now(state))
    }
}

impl fmt::Display for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Regex(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.udp { "udp" } else { "tcp" };
        match self.ip {
            None => write!(f, "{}/{protocol}", self.port),
            Some(ip) => write!(f, "{}/{protocol}", std::net::SocketAddr::new(ip, self.port)),
        }
    }
}

/// The point's name in reports.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(asked) => asked.fmt(f),
            Self::Found(found) => found.fmt(f),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(check) => {
                let Address { host, port } = &check.http.address;
                let more = !check.body.is_empty() || !check.headers.is_empty();
                let mut how = String::new();
                if check.http.status != [super::probe::SUCCESS] {
                    how = format!(" with {}", codes(&check.http.status));
                }
                if more {
                    how.push_str(" as expected");
                }
                write!(f, "http://{host}:{port}{} answers{how}", check.http.path)
            }
            Self::Tcp(Address { host, port }) => write!(f, "{host}:{port} accepts connections"),
            Self::Unix(path) => write!(f, "{} accepts connections", path.display()),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |pattern: &Pattern| {
            format!("{} {}", if pattern.negated { "lacks" } else { "has" }, pattern.needle)
        };
        match self {
            Self::Exit(statuses) => {
                let all: Vec<String> = statuses.iter().map(u8::to_string).collect();
                write!(f, "exit status is {}", all.join(" or "))
            }
            Self::Stdout(pattern) => write!(f, "stdout {}", has(pattern)),
            Self::Stderr(pattern) => write!(f, "stderr {}", has(pattern)),
            Self::Said { unit, needle, forbidden } => {
                let unit =
                    unit.as_ref().map_or(String::new(), |unit| format!(" of {}", unit.value));
                let has = if *forbidden { "lacks" } else { "has" };
                write!(f, "log{unit} {has} {needle}")
            }
            Self::ReadyWithin(time) => write!(f, "ready within {}", seconds(*time)),
            Self::Now(state) => state.fmt(f),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(listening) => {
                let what = if listening.negated { "nothing" } else { "something" };
                write!(f, "{what} listens on {listening}")
            }
            Self::File(file) => {
                let not = if file.exists { "" } else { " not" };
                let as_written =
                    if file.mode.is_some() || file.owner.is_some() || !file.contains.is_empty() {
                        " as expected"
                    } else {
                        ""
                    };
                write!(f, "{} is{not} there{as_written}", file.path.display())
            }
            Self::Running { process, user } => {
                let not = if process.negated { "not " } else { "" };
                write!(f, "{} is {not}running", process.needle)?;
                user.as_ref().map_or(Ok(()), |user| write!(f, " as {user}"))
            }
            Self::User(user) => write!(f, "runs as {user}"),
            Self::MaxRss(bytes) => write!(f, "at most {} of memory", size(*bytes)),
            Self::MaxCpu(time) => write!(f, "at most {} of CPU time", seconds(*time)),
            Self::MaxFds(most) => write!(f, "at most {most} open descriptors"),
            Self::MaxProcesses(1) => f.write_str("at most one process"),
            Self::MaxProcesses(most) => write!(f, "at most {most} processes"),
            Self::MaxMemory(bytes) => {
                write!(f, "at most {} of memory in the container", size(*bytes))
            }
            Self::NoNewPrivs(true) => f.write_str("the container can't gain privileges"),
            Self::NoNewPrivs(false) => f.write_str("the container may gain privileges"),
            Self::ReadOnlyRoot(true) => f.write_str("the root is read-only"),
            Self::ReadOnlyRoot(false) => f.write_str("the root can be written to"),
            Self::Capabilities(_) => f.write_str("the container has no other capabilities"),
            Self::Uid(uid) => write!(f, "the container's user is {uid}"),
        }
    }
}

/// Status codes for people: `404`, `200 to 299`.
fn codes(codes: &[std::ops::RangeInclusive<u16>]) -> String {
    let one = |range: &std::ops::RangeInclusive<u16>| {
        let (first, last) = (range.start(), range.end());
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    codes.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// A number of bytes for people: `64 MiB`, `10 MB`.
#[must_use]
pub(crate) fn size(bytes: u64) -> String {
    for (scale, unit) in [
        (1 << 30, "GiB"),
        (1_000_000_000, "GB"),
        (1 << 20, "MiB"),
        (1_000_000, "MB"),
        (1 << 10, "KiB"),
        (1_000, "kB"),
    ] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{} {unit}", bytes / scale);
        }
    }
    format!("{bytes} bytes")
}
