//! One try of a probe: whether something is there, found out without ever waiting. The loop
//! polls what a try waits for and ends it when its time is up.

mod answer;
mod closing;
mod connect;
pub(super) mod file;
mod head;
mod message;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::check::listening;
use super::prepare::Problem;
use crate::config::{Address, Http, HttpCheck, Probe, seconds};
use crate::engine::{Outcome, SpawnStage, is_scarce};
use answer::{Answer, Request};
pub(super) use closing::{Closing, Closings};
use connect::Connected;
use resolve::Resolver;

/// Why it is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// Whether its time was up.
    pub timed_out: bool,
    /// Whether it could not be tried, for want of processes, memory or descriptors.
    pub unmade: bool,
    /// What it came to, in words.
    pub why: String,
    /// The port of this machine's loopback that has refused a connection.
    pub refused: Option<u16>,
}

impl Failure {
    /// Something other than time.
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { timed_out: false, unmade: false, why: why.into(), refused: None }
    }

    /// What it came to, and what listens in place of a port that has refused a connection.
    pub(super) fn explained(self) -> String {
        let instead = self.refused.and_then(listening::instead);
        instead.map_or_else(|| self.why.clone(), |instead| format!("{}; {instead}", self.why))
    }

    /// As the engine is told.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self { timed_out: true, .. } => Outcome::TimedOut,
            Self { unmade: true, .. } => Outcome::NotMade,
            Self { .. } => Outcome::Failed,
        }
    }
}

/// What a try came to.
pub(super) type Verdict = Result<(), Failure>;

/// A try that is over.
pub(super) struct Over {
    /// What it came to.
    pub verdict: Verdict,
    /// The connection that it leaves, to be closed in order.
    pub closing: Option<Closing>,
}

impl From<Verdict> for Over {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, closing: None }
    }
}

impl From<Failure> for Over {
    fn from(failure: Failure) -> Self {
        Err(failure).into()
    }
}

/// A try under way.
pub(super) struct Try {
    step: Step,
    /// What is tried, for people.
    what: String,
    /// Its port, if that is of this machine's loopback.
    port: Option<u16>,
    timeout: Duration,
    deadline: Instant,
}

/// What a try waits for.
enum Step {
    /// A name's addresses.
    Resolving(Resolver, Option<Request>),
    /// A connection, until the next address has its turn.
    Connecting {
        socket: OwnedFd,
        until: Instant,
        others: VecDeque<SocketAddr>,
        then: Option<Request>,
    },
    /// An answer over HTTP.
    Asking(Answer),
}

impl Try {
    /// Begins a try that is over by `now + timeout`. What takes no time is over at once.
    ///
    /// `Probe::Exec` and what a unit says by itself are not tried here.
    ///
    /// # Errors
    /// The verdict, where there is one already.
    pub(super) fn begin(probe: &Probe, timeout: Duration, now: Instant) -> Result<Self, Over> {
        let deadline = now + timeout;
        match probe {
            Probe::Tcp(address) => {
                let step = reach(address, None, now, deadline)?;
                Ok(Self { step, what: shown(address), port: loopback(address), timeout, deadline })
            }
            Probe::Http(http) => Self::ask(http, Request::new(http), timeout, now),
            Probe::Unix(path) => Err(match connect::unix(path) {
                Ok(socket) => Over { verdict: Ok(()), closing: Some(Closing::unix(socket)) },
                Err(why) => why.about(&path.display().to_string()).into(),
            }),
            Probe::File(path) => Err(file::check(path, None).into()),
            Probe::Exec(_) | Probe::Log(_) | Probe::Notify | Probe::Fd(_) => {
                Err(Failure::new("this can't be tried").into())
            }
        }
    }

    /// Begins a try whose answer's headers and body are looked at, too. It is over by
    /// `now + timeout`.
    ///
    /// # Errors
    /// The verdict, where there is one already.
    pub(super) fn begin_http(
        check: &HttpCheck,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, Over> {
        Self::ask(&check.http, Request::checked(check), timeout, now)
    }

    fn ask(http: &Http, request: Request, timeout: Duration, now: Instant) -> Result<Self, Over> {
        let deadline = now + timeout;
        let step = reach(&http.address, Some(request), now, deadline)?;
        Ok(Self { step, what: url(http), port: loopback(&http.address), timeout, deadline })
    }

    /// When what it waits for is [`late`](Self::late).
    pub(super) fn deadline(&self) -> Instant {
        match &self.step {
            Step::Connecting { until, .. } => *until,
            Step::Resolving(..) | Step::Asking(_) => self.deadline,
        }
    }

    /// It has so much more time.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.deadline += by;
        if let Step::Connecting { until, .. } = &mut self.step {
            *until += by;
        }
    }

    /// What to poll, and for what.
    pub(super) fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.step {
            Step::Resolving(resolver, _) => (resolver.fd(), PollFlags::POLLIN),
            Step::Connecting { socket, .. } => (socket.as_fd(), PollFlags::POLLOUT),
            Step::Asking(answer) => answer.fd(),
        }
    }

    /// Goes on as far as it can, when what was polled is there.
    ///
    /// # Errors
    /// The verdict, once there is one.
    pub(super) fn proceed(mut self, now: Instant) -> Result<Self, Over> {
        let failed = |errno| Over::from(refusal(&self.what, self.port, errno));
        let step = match self.step {
            Step::Resolving(mut resolver, then) => match resolver.proceed() {
                None => Step::Resolving(resolver, then),
                Some(Ok(addresses)) => {
                    connecting(addresses.into(), then, now, self.deadline).map_err(failed)?
                }
                Some(Err(why)) => return Err(named(&self.what, why).into()),
            },
            Step::Connecting { socket, until, others, then } => match connect::connected(&socket) {
                Connected::NotYet => Step::Connecting { socket, until, others, then },
                Connected::Yes => match then {
                    None => {
                        let closing = Some(Closing::new(socket));
                        return Err(Over { verdict: Ok(()), closing });
                    }
                    Some(request) => Step::Asking(Answer::new(socket, request)),
                },
                Connected::Failed(why) if others.is_empty() => return Err(failed(why)),
                Connected::Failed(_) => {
                    connecting(others, then, now, self.deadline).map_err(failed)?
                }
            },
            Step::Asking(mut answer) => match answer.proceed() {
                None => Step::Asking(answer),
                Some(verdict) => {
                    let verdict = verdict.map_err(|why| named(&self.what, why));
                    return Err(Over { verdict, closing: Some(answer.close()) });
                }
            },
        };
        self.step = step;
        Ok(self)
    }

    /// Goes on without what did not come by its [`deadline`](Self::deadline).
    ///
    /// # Errors
    /// The verdict, if there is nothing else to wait for.
    pub(super) fn late(mut self, now: Instant) -> Result<Self, Over> {
        match self.step {
            Step::Connecting { others, then, .. } if !others.is_empty() && now < self.deadline => {
                self.step = connecting(others, then, now, self.deadline)
                    .map_err(|errno| refusal(&self.what, self.port, errno))?;
                Ok(self)
            }
            Step::Resolving(..) | Step::Connecting { .. } | Step::Asking(_) => {
                let verdict = Err(self.too_late());
                Err(Over { verdict, closing: self.abandon() })
            }
        }
    }

    /// Its verdict is of no interest any more; what is left is its connection.
    pub(super) fn abandon(self) -> Option<Closing> {
        match self.step {
            Step::Asking(answer) => Some(answer.close()),
            // Nothing has come of it.
            Step::Resolving(..) | Step::Connecting { .. } => None,
        }
    }

    /// What it has come to when its time is up.
    fn too_late(&self) -> Failure {
        let within = format!("within {}", seconds(self.timeout));
        let why = match &self.step {
            Step::Resolving(..) => format!("{}: its name was not resolved {within}", self.what),
            Step::Connecting { .. } => format!("{}: no connection {within}", self.what),
            Step::Asking(answer) => {
                let rest = answer.without_rest(&format!(" {within}"));
                match rest {
                    Some(why) => format!("{}: {why}", self.what),
                    None => format!("{}: no answer {within}", self.what),
                }
            }
        };
        Failure { timed_out: true, ..Failure::new(why) }
    }
}

fn named(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{what}: {why}"))
}

/// What `what` came to where there is no connection.
fn refusal(what: &str, port: Option<u16>, errno: Errno) -> Failure {
    let refused = port.filter(|_| errno == Errno::ECONNREFUSED);
    Failure { refused, ..Failure::from(Problem::from(errno)).about(what) }
}

/// The port of an address of this machine's loopback.
fn loopback(Address { host, port }: &Address) -> Option<u16> {
    let here = |ip: IpAddr| ip.to_canonical().is_loopback();
    (host == "localhost" || host.parse().is_ok_and(here)).then_some(*port)
}

impl Failure {
    /// At a step that says nothing of what is tried: making a child, or a socket.
    fn at_a_step(errno: Errno) -> Self {
        Problem::from(errno).into()
    }

    /// It is about that.
    fn about(self, what: &str) -> Self {
        Self { why: format!("{what}: {}", self.why), ..self }
    }
}

impl From<Problem> for Failure {
    fn from(Problem { why, errno, .. }: Problem) -> Self {
        // As socket(2) says that there is no memory.
        let scarce = |errno| is_scarce(SpawnStage::Prepare, errno) || errno == Errno::ENOBUFS;
        let unmade = errno.is_some_and(scarce);
        Self { unmade, ..Self::new(why) }
    }
}

/// The way to an address; `localhost` and numbers need no lookup.
fn reach(
    address: &Address,
    then: Option<Request>,
    now: Instant,
    deadline: Instant,
) -> Result<Step, Failure> {
    let Address { host, port } = address;
    let known: VecDeque<IpAddr> = match host.parse() {
        Ok(ip) => VecDeque::from([ip]),
        Err(_) if host == "localhost" => {
            VecDeque::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        }
        Err(_) => {
            let resolver = Resolver::begin(host, *port).map_err(|errno| {
                Failure::at_a_step(errno).about("it can't be looked up").about(host)
            })?;
            return Ok(Step::Resolving(resolver, then));
        }
    };
    let known = known.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
    connecting(known, then, now, deadline)
        .map_err(|errno| refusal(&shown(address), loopback(address), errno))
}

/// A connection to the first of these that begins to come about. It may take its share of what
/// is left until the deadline: an address that never answers keeps nobody from the others.
fn connecting(
    mut to: VecDeque<SocketAddr>,
    then: Option<Request>,
    now: Instant,
    deadline: Instant,
) -> Result<Step, Errno> {
    // Nobody has no address.
    let mut last = Errno::EADDRNOTAVAIL;
    while let Some(address) = to.pop_front() {
        match connect::begin(address) {
            Ok(socket) => {
                let turns = u32::try_from(to.len()).unwrap_or(u32::MAX).saturating_add(1);
                let until = now + deadline.saturating_duration_since(now) / turns;
                return Ok(Step::Connecting { socket, until, others: to, then });
            }
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn shown(address: &Address) -> String {
    let Address { host, port } = address;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn url(http: &Http) -> String {
    format!("http://{}{}", shown(&http.address), http.path)
}
