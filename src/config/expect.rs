//! The keys of tests: the checks, and their times.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Address, CertificateCheck, DnsCheck, FileKind, GroupAccount, Http, JsonPath, MountCheck,
    NewerThan, Placed, Relation, TreeCheck, UnitRef, UserAccount, Variables, Wanted, seconds,
};
use crate::signal::Signal;

/// The keys of `[test.NAME]`, except those for its command and its identity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Test {
    /// The checks. Each has a line of its own in reports.
    pub checks: Vec<Placed<Check>>,
    /// The time from the start of the test for which attempts are repeated. Without it, there is
    /// one attempt.
    pub within: Option<Duration>,
    /// The time for which the checks have to hold after they have passed.
    pub holds: Option<Duration>,
    /// The reason why there is nothing to test: the unit that the test is about does not exist in
    /// this run.
    pub absent: Option<String>,
    /// The fault that trc injects first.
    pub fault: Option<Placed<Fault>>,
    /// The probes that go on while the fault does.
    pub during: Option<Placed<During>>,
    /// The unit with a schedule that trc runs first, and that has to succeed.
    pub job: Option<UnitRef>,
    /// The expected stop of the units that the test is about, after the last test.
    pub stop: StopCheck,
    /// The checks that are made once everything has stopped, before the halt units.
    pub after_stop: Vec<Placed<Check>>,
    /// The test points of the stop drill that may fail.
    pub allow: Vec<Placed<String>>,
    /// The time for which the test waits for the units that it is `after`.
    pub start_within: Duration,
    /// The time that an attempt may take.
    pub max_runtime: Duration,
    /// Whether the command runs in the first attempt only.
    pub once: bool,
}

impl Test {
    /// Returns whether the test expects only the exit status of its command.
    #[must_use]
    pub(crate) fn asks_for_status_alone(&self) -> bool {
        let status = |check: &Placed<Check>| matches!(check.value, Check::Found(Found::Exit(_)));
        let acts = self.fault.is_some() || self.job.is_some();
        let later = self.stop.is_written() || !self.after_stop.is_empty();
        self.checks.iter().all(status) && !acts && !later
    }

    /// Returns the units that the checks, the fault and the job name.
    pub(crate) fn units_mut(&mut self) -> impl Iterator<Item = &mut UnitRef> {
        let fault = self.fault.iter_mut().map(|fault| &mut fault.value.unit);
        let checks = self.checks.iter_mut().filter_map(|check| check.value.unit_mut());
        checks.chain(fault).chain(&mut self.job)
    }

    /// Returns the units that the checks name.
    pub(crate) fn checked_units(&self) -> impl Iterator<Item = &UnitRef> {
        self.checks.iter().filter_map(|check| check.value.unit())
    }
}

/// The expectations for the stop of units; none, if both are `None`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct StopCheck {
    /// The accepted exit statuses, which are 128 + n if signal n terminated the process; all, if
    /// empty.
    pub statuses: Vec<u8>,
    /// The longest time from the stop signal or stop command to the exit of the main process.
    pub within: Option<Duration>,
}

impl StopCheck {
    /// Returns whether anything is expected.
    #[must_use]
    pub(crate) fn is_written(&self) -> bool {
        !self.statuses.is_empty() || self.within.is_some()
    }

    /// Returns whether a unit exited as expected after trc stopped it: with this status, and after
    /// this time. `None` means that it had to be killed.
    #[must_use]
    pub(crate) fn holds(&self, status: u8, after: Option<Duration>) -> bool {
        let right = self.statuses.is_empty() || self.statuses.contains(&status);
        let soon = self.within.is_none_or(|most| after.is_some_and(|after| after <= most));
        right && soon
    }
}

/// Returns the text for reports, which follows the name of the unit.
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

/// A fault: damage to a unit, after which everything has to recover.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// The unit that is damaged.
    pub unit: UnitRef,
    /// The kind of damage.
    pub kind: FaultKind,
    /// Whether the unit has to be restarted, or must not be. Without it, the kind of damage
    /// decides.
    pub restarts: Option<bool>,
}

impl Fault {
    /// Returns which process of the unit has to run after the recovery. Signals that terminate or
    /// crash programs end the process; other signals, such as HUP, mean something to a program that
    /// keeps running.
    #[must_use]
    pub(crate) fn leaves(&self, stop_signal: Signal) -> Leaves {
        match (self.restarts, self.kind) {
            (_, FaultKind::Down | FaultKind::Restart) | (Some(true), _) => Leaves::Another,
            (None, FaultKind::Kill(signal)) if signal.ends() || signal == stop_signal => {
                Leaves::Another
            }
            // Some programs exit on these signals, and others leave them to the terminal.
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
    /// The same process.
    TheSame,
    /// A new process.
    Another,
    /// Any process.
    Either,
}

/// Probes that go on while a unit is damaged or restarted, and what has to hold of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct During {
    /// The probe.
    pub asked: Asked,
    /// The time from the beginning of an attempt to the next, unless the attempt takes longer.
    pub every: Duration,
    /// The most attempts that may fail; any number, if `None`.
    pub errors: Option<u32>,
    /// The most attempts that may fail after somebody has accepted their connection.
    pub broken: Option<u32>,
    /// The longest time in which no attempt passes.
    pub longest_gap: Option<Duration>,
}

impl During {
    /// Returns whether this may be seen: so many attempts have failed, of which so many were
    /// accepted, and no attempt has passed for so long.
    #[must_use]
    pub(crate) fn holds(&self, failed: u32, broken: u32, gap: Duration) -> bool {
        self.errors.is_none_or(|most| failed <= most)
            && self.broken.is_none_or(|most| broken <= most)
            && self.longest_gap.is_none_or(|most| gap <= most)
    }

    /// Returns how long the probes go on before the damage: until an attempt has been under way for a
    /// moment, and none is about to begin.
    #[must_use]
    pub(crate) fn lead(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(100);
        let periods = LEAST.as_micros().div_ceil(self.every.as_micros().max(1));
        self.every / 2 + self.every * u32::try_from(periods).unwrap_or(u32::MAX)
    }

    /// Returns the limits, for reports.
    #[must_use]
    pub(crate) fn limits(&self) -> String {
        let mut all = Vec::new();
        match self.errors {
            Some(0) => all.push("at any moment".to_owned()),
            Some(most) => all.push(format!("but for {most} tries")),
            None => {}
        }
        all.extend(self.longest_gap.map(|most| format!("with no gap above {}", seconds(most))));
        if self.errors != Some(0) {
            all.extend(self.broken.map(|most| match most {
                0 => "and breaks off no answer".to_owned(),
                most => format!("and breaks off at most {most} answers"),
            }));
        }
        all.join(" ")
    }
}

/// The kind of damage of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    /// The process gets this signal.
    Kill(Signal),
    /// The process is suspended, and resumed after this time.
    Stop(Duration),
    /// The unit is stopped, and stays down while the checks are made.
    Down,
    /// The unit is restarted, as by hand.
    Restart,
}

/// A text to search for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Needle {
    /// A literal text.
    Text(String),
    /// A regular expression.
    Regex(String),
}

/// A text that must be there, or must not be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    /// The text.
    pub needle: Needle,
    /// Whether the text must not be there.
    pub negated: bool,
}

/// A port that something listens on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listening {
    /// The address; any address, if `None`.
    pub ip: Option<IpAddr>,
    /// The number of the port.
    pub port: u16,
    /// Whether it is a UDP port; otherwise it is a TCP port.
    pub udp: bool,
    /// Whether nothing may listen on the port.
    pub negated: bool,
}

/// What a request over HTTP sends, besides what each of them has to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// The method, in capital letters.
    pub method: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
}

/// A plain GET.
impl Default for Sent {
    fn default() -> Self {
        Self { method: "GET".to_owned(), headers: Vec::new(), body: None }
    }
}

/// The unit whose processes listen on ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listener {
    pub unit: UnitRef,
    pub ports: Vec<Listening>,
}

/// The expected answer to an HTTP request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpCheck {
    /// The request, and the accepted status codes.
    pub http: Http,
    /// What the request sends.
    pub sent: Sent,
    /// Whether redirects are followed.
    pub follow: bool,
    /// The texts in the body.
    pub body: Vec<Pattern>,
    /// The texts in headers, by the headers' names in lower case.
    pub headers: BTreeMap<String, Vec<Pattern>>,
    /// The values in the body, which is JSON.
    pub json: Vec<(JsonPath, Vec<Wanted>)>,
    /// The time in which the whole answer has to arrive.
    pub answer_within: Option<Duration>,
}

impl HttpCheck {
    /// Returns whether the body is looked at.
    #[must_use]
    pub(crate) fn reads_body(&self) -> bool {
        !self.body.is_empty() || !self.json.is_empty()
    }
}

/// The expected properties of a file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct FileCheck {
    pub path: PathBuf,
    pub exists: bool,
    /// The permission bits.
    pub mode: Option<u32>,
    /// `USER`, or `USER:GROUP`, by names or numbers.
    pub owner: Option<String>,
    /// The texts in the file.
    pub contains: Vec<Pattern>,
    /// What kind of file it is. Only for a symbolic link, links are not followed.
    pub kind: Option<FileKind>,
    /// Where it leads, as a symbolic link.
    pub target: Option<Wanted>,
    /// What its number of bytes has to compare with.
    pub size: Vec<(Relation, u64)>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: Option<String>,
    pub newer_than: Option<NewerThan>,
}

impl FileCheck {
    /// Returns whether anything is checked of the file that a link leads to, besides its existence
    /// and kind.
    #[must_use]
    pub(crate) fn looks_inside(&self) -> bool {
        let facts = self.mode.is_some() || self.owner.is_some() || self.newer_than.is_some();
        facts || !self.contains.is_empty() || !self.size.is_empty() || self.sha256.is_some()
    }

    /// Returns whether the check is about the path as a symbolic link.
    #[must_use]
    pub(crate) fn is_of_link(&self) -> bool {
        self.kind == Some(FileKind::Symlink) || self.target.is_some()
    }
}

/// A check of a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Check {
    /// A check that asks somebody and takes time.
    Asked(Asked),
    /// A check with an immediate result.
    Found(Found),
}

impl Check {
    /// Returns the unit that the check names.
    fn unit(&self) -> Option<&UnitRef> {
        match self {
            Self::Found(Found::Said { unit, .. }) => unit.as_ref(),
            Self::Found(Found::Now(State::Variables(variables))) => variables.unit.as_ref(),
            Self::Found(Found::Now(State::Listener(listener))) => Some(&listener.unit),
            Self::Asked(_) | Self::Found(_) => None,
        }
    }

    /// Does the same, to change it.
    fn unit_mut(&mut self) -> Option<&mut UnitRef> {
        match self {
            Self::Found(Found::Said { unit, .. }) => unit.as_mut(),
            Self::Found(Found::Now(State::Variables(variables))) => variables.unit.as_mut(),
            Self::Found(Found::Now(State::Listener(listener))) => Some(&mut listener.unit),
            Self::Asked(_) | Self::Found(_) => None,
        }
    }
}

/// A check over a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// An HTTP request gets an answer.
    Http(Box<HttpCheck>),
    /// Something accepts a connection.
    Tcp(Address),
    /// Something accepts a connection to this stream socket.
    Unix(PathBuf),
    /// A file whose whole contents are read.
    File(FileCheck),
    /// Everything below a directory.
    Tree(TreeCheck),
    /// The resolver of the image knows a name, or does not.
    Dns(DnsCheck),
}

/// A check with an immediate result, of the test, of past events of units, or of the container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The exit status of the command.
    Exit(Vec<u8>),
    /// The standard output of the command.
    Stdout(Pattern),
    /// The standard error of the command.
    Stderr(Pattern),
    /// A line that a unit has printed since its first start.
    Said {
        /// The unit; any of those that the test is about, if `None`.
        unit: Option<UnitRef>,
        /// The text.
        needle: Needle,
        /// Whether the line must not have been printed.
        forbidden: bool,
    },
    /// The time from the start of the units to their readiness.
    ReadyWithin(Duration),
    /// The lines per second that each unit writes at most, from the first attempt that passes on.
    MaxLogRate(u64),
    /// A check of the present state.
    Now(State),
}

/// The present state of the machine and of the units' processes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// A port of this network namespace.
    Listening(Listening),
    /// Only these ports can be reached from outside of this network namespace.
    ListeningOnly(Vec<Listening>),
    Listener(Listener),
    File(FileCheck),
    UserAccount(UserAccount),
    GroupAccount(GroupAccount),
    Mount(MountCheck),
    Certificate(CertificateCheck),
    /// A setting of the kernel, by the name that sysctl(8) has for it.
    Sysctl(String, Vec<Wanted>),
    Variables(Variables),
    /// A process, by its name or command line, and its user.
    Running {
        /// The name. If it has a space or is a regular expression, it is compared with the command
        /// line.
        process: Pattern,
        /// The user of all of these processes.
        user: Option<String>,
    },
    /// The user of the main processes of the units.
    User(String),
    /// The resident memory of the processes of each unit, in bytes.
    MaxRss(u64),
    /// The CPU time of each unit since its start.
    MaxCpu(Duration),
    /// The open file descriptors of each process of the units.
    MaxFds(u64),
    /// The number of processes of each unit.
    MaxProcesses(u64),
    /// The number of threads of each unit.
    MaxThreads(u64),
    /// The peak memory of the whole container, in bytes.
    MaxMemory(u64),
    /// The container cannot gain privileges.
    NoNewPrivs(bool),
    /// The root file system of the container is read-only.
    ReadOnlyRoot(bool),
    /// The container has no capabilities but these, one bit each.
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

/// Returns the text of the check in reports.
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
                let more = check.reads_body() || !check.headers.is_empty();
                let mut how = String::new();
                if check.sent.method != "GET" {
                    write!(f, "{} ", check.sent.method)?;
                }
                if check.http.status != [super::probe::SUCCESS] {
                    how = format!(" with {}", codes(&check.http.status));
                }
                if more {
                    how.push_str(" as expected");
                }
                if let Some(most) = check.answer_within {
                    _ = write!(how, " within {}", seconds(most));
                }
                write!(f, "http://{host}:{port}{} answers{how}", check.http.path)
            }
            Self::Tcp(Address { host, port }) => write!(f, "{host}:{port} accepts connections"),
            Self::Unix(path) => write!(f, "{} accepts connections", path.display()),
            Self::File(file) => file.fmt(f),
            Self::Tree(tree) => {
                write!(f, "everything below {} is as expected", tree.path.display())
            }
            Self::Dns(DnsCheck { name, exists: false, .. }) => write!(f, "{name} does not resolve"),
            Self::Dns(DnsCheck { name, addresses, .. }) => {
                write!(f, "{name} resolves{}", expected(!addresses.is_empty()))
            }
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
            Self::MaxLogRate(1) => f.write_str("at most one line of output per second"),
            Self::MaxLogRate(most) => write!(f, "at most {most} lines of output per second"),
            Self::ReadyWithin(time) => write!(f, "ready within {}", seconds(*time)),
            Self::Now(state) => state.fmt(f),
        }
    }
}

impl fmt::Display for FileCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = self.looks_inside() || self.kind.is_some() || self.target.is_some();
        write!(f, "{} {}", self.path.display(), existing(self.exists, more))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(listening) => {
                let what = if listening.negated { "nothing" } else { "something" };
                write!(f, "{what} listens on {listening}")
            }
            Self::ListeningOnly(ports) if ports.is_empty() => {
                f.write_str("nothing listens for clients from outside")
            }
            Self::ListeningOnly(ports) => {
                write!(f, "nothing listens for clients from outside except on {}", all(ports))
            }
            Self::Listener(Listener { unit, ports }) => {
                write!(f, "{} listens on {}", unit.value, all(ports))
            }
            Self::File(file) => file.fmt(f),
            Self::Certificate(CertificateCheck { path, valid_for: Duration::ZERO }) => {
                write!(f, "the certificates in {} are valid", path.display())
            }
            Self::Certificate(CertificateCheck { path, valid_for }) => {
                write!(
                    f,
                    "the certificates in {} are valid for {}",
                    path.display(),
                    days(*valid_for)
                )
            }
            Self::UserAccount(user) => {
                let UserAccount { uid, group, groups, home, shell, .. } = user;
                let more = uid.is_some() || group.is_some() || !groups.is_empty();
                let more = more || home.is_some() || shell.is_some();
                write!(f, "user {} {}", user.name, existing(user.exists, more))
            }
            Self::GroupAccount(group) => {
                let more = group.gid.is_some() || !group.members.is_empty();
                write!(f, "group {} {}", group.name, existing(group.exists, more))
            }
            Self::Mount(mount) => {
                let MountCheck { path, exists, kind, source, options } = mount;
                let more = kind.is_some() || source.is_some() || !options.is_empty();
                let not = if *exists { "" } else { "not " };
                write!(f, "{} is {not}mounted{}", path.display(), expected(more))
            }
            Self::Sysctl(name, wanted) => {
                let all: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                write!(f, "{name} is {}", all.join(" and "))
            }
            Self::Variables(Variables { unit: None, .. }) => {
                f.write_str("the environment is as expected")
            }
            Self::Variables(Variables { unit: Some(unit), .. }) => {
                write!(f, "the environment of {} is as expected", unit.value)
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
            Self::MaxThreads(1) => f.write_str("at most one thread"),
            Self::MaxThreads(most) => write!(f, "at most {most} threads"),
            Self::MaxMemory(bytes) => {
                write!(f, "at most {} of memory in the container", size(*bytes))
            }
            Self::NoNewPrivs(true) => f.write_str("the container can't gain privileges"),
            Self::NoNewPrivs(false) => f.write_str("the container may gain privileges"),
            Self::ReadOnlyRoot(true) => f.write_str("the root file system is read-only"),
            Self::ReadOnlyRoot(false) => f.write_str("the root file system is writable"),
            Self::Capabilities(_) => f.write_str("the container has no other capabilities"),
            Self::Uid(uid) => write!(f, "the container's user is {uid}"),
        }
    }
}

/// Lists ports.
fn all(ports: &[Listening]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Formats a time that may be long, for people: `30 days`, `90 s`.
#[must_use]
pub(crate) fn days(time: Duration) -> String {
    const DAY: u64 = 86_400;
    match time.as_secs() {
        DAY => "one day".to_owned(),
        all if all >= DAY && all.is_multiple_of(DAY) => format!("{} days", all / DAY),
        _ => seconds(time),
    }
}

/// Returns the end of a sentence about something whose details are checked, too.
fn expected(more: bool) -> &'static str {
    if more { " as expected" } else { "" }
}

fn existing(exists: bool, more: bool) -> &'static str {
    match (exists, more) {
        (true, true) => "is as expected",
        (true, false) => "exists",
        (false, _) => "does not exist",
    }
}

/// Formats status codes for people: `404`, `200 to 299`.
fn codes(codes: &[std::ops::RangeInclusive<u16>]) -> String {
    let one = |range: &std::ops::RangeInclusive<u16>| {
        let (first, last) = (range.start(), range.end());
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    codes.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// Formats a number of bytes for people: `64 MiB`, `10 MB`.
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
