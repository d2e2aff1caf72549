//! One attempt of a probe, which never blocks. The loop polls for the attempt, and ends it when its
//! time is up.

mod answer;
mod closing;
mod connect;
mod dns;
pub(super) mod file;
mod head;
mod json;
mod message;
mod redirect;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::check::listening;
use super::os::aside::Aside;
use super::prepare::Problem;
use crate::config::{Address, DnsCheck, Http, HttpCheck, Probe};
use crate::engine::{Outcome, SpawnStage, is_scarce};
use crate::words::{BadAnswer, Wrong};
use answer::{Answer, Came, Request};
pub(super) use closing::{Closing, Closings};
use connect::Connected;
use resolve::Resolver;

/// The answer of a child that has found nothing wrong.
const FINE: &str = "=";
/// The beginning of the answer of a child that has.
const WRONG: char = '!';
/// The longest answer of a child, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The reason why an attempt failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// Whether the time was up.
    pub timed_out: bool,
    /// Whether the attempt could not be made, for lack of processes, memory or descriptors.
    pub unmade: bool,
    /// The reason.
    pub why: BadAnswer,
    /// The port on the loopback interface that has refused a connection.
    pub refused: Option<u16>,
}

impl Failure {
    /// A reason other than time.
    pub(super) fn new(why: BadAnswer) -> Self {
        Self { timed_out: false, unmade: false, why, refused: None }
    }

    /// The time was up.
    pub(super) fn late(why: BadAnswer) -> Self {
        Self { timed_out: true, ..Self::new(why) }
    }

    /// Returns the reason, and what listens instead of a port that has refused a connection.
    pub(super) fn explained(self) -> BadAnswer {
        match self.refused.and_then(listening::instead) {
            Some((same, listening)) => BadAnswer::Instead(self.why.into(), same, listening),
            None => self.why,
        }
    }

    /// Adds what was asked.
    fn about(self, what: impl Display) -> Self {
        Self { why: BadAnswer::Of(what.to_string(), self.why.into()), ..self }
    }

    /// Converts the result for the engine.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self { timed_out: true, .. } => Outcome::TimedOut,
            Self { unmade: true, .. } => Outcome::NotMade,
            Self { .. } => Outcome::Failed,
        }
    }
}

/// The result of an attempt.
pub(super) type Verdict = Result<(), Failure>;

/// A finished attempt.
pub(super) struct Over {
    /// The result.
    pub verdict: Verdict,
    /// The connection that is left, which has to be closed in an orderly way.
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

/// An attempt in progress.
pub(super) struct Try {
    step: Step,
    /// A description of the probe, for people.
    what: String,
    /// The port, if it is on the loopback interface.
    port: Option<u16>,
    timeout: Duration,
    deadline: Instant,
    /// When the attempt began, and how long it may take to pass.
    most: Option<(Instant, Duration)>,
}

/// The state of an attempt: what it waits for.
enum Step {
    /// The addresses of a name.
    Resolving(Resolver, Option<Request>),
    /// The addresses of a name, which are what is asked for.
    LookingUp(Resolver, DnsCheck),
    /// A child that looks at something that takes time.
    Working(Aside),
    /// A connection, until it is the turn of the next address.
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
    /// Begins an attempt that ends by `now + timeout`. If it does not take time, it ends at once.
    ///
    /// `Probe::Exec` and the messages of units are handled elsewhere.
    ///
    /// # Errors
    /// Returns the verdict if there is one already.
    pub(super) fn begin(probe: &Probe, timeout: Duration, now: Instant) -> Result<Self, Over> {
        let deadline = now + timeout;
        match probe {
            Probe::Tcp(address) => {
                let step = reach(address, None, now, deadline)?;
                let (what, port) = (shown(address), loopback(address));
                Ok(Self { step, what, port, timeout, deadline, most: None })
            }
            Probe::Http(http) => Self::ask(http, Request::new(http), None, timeout, now),
            Probe::Unix(path) => Err(match connect::unix(path) {
                Ok(socket) => Over { verdict: Ok(()), closing: Some(Closing::unix(socket)) },
                Err(why) => why.about(path.display()).into(),
            }),
            Probe::File(path) => Err(file::check(path, None).into()),
            Probe::Exec(_) | Probe::Log(_) | Probe::Notify | Probe::Fd(_) | Probe::PidFile => {
                Err(Failure::new(BadAnswer::NotAsked).into())
            }
        }
    }

    /// Begins an attempt that also checks the headers and the body of the answer. It ends by `now +
    /// timeout`.
    ///
    /// # Errors
    /// Returns the verdict if there is one already.
    pub(super) fn begin_http(
        check: &HttpCheck,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, Over> {
        let most = check.answer_within.map(|most| (now, most));
        Self::ask(&check.http, Request::checked(check), most, timeout, now)
    }

    /// Begins to look at something in a child, which ends by `now + timeout`.
    ///
    /// # Errors
    /// Returns the verdict if there is one already.
    pub(super) fn aside(
        look: impl FnOnce() -> Result<(), Wrong>,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, Over> {
        let answer = || look().err().map_or(FINE.to_owned(), |why| format!("{WRONG}{why}"));
        let step = Step::Working(Aside::begin(LONGEST, answer).map_err(Failure::from)?);
        let what = String::new();
        Ok(Self { step, what, port: None, timeout, deadline: now + timeout, most: None })
    }

    /// Begins to look up a name, which ends by `now + timeout`.
    ///
    /// # Errors
    /// Returns the verdict if there is one already.
    pub(super) fn begin_dns(
        check: &DnsCheck,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, Over> {
        let what = check.name.clone();
        let resolver =
            Resolver::begin(&what, 0).map_err(|errno| Failure::from(errno).about(&what))?;
        let step = Step::LookingUp(resolver, check.clone());
        Ok(Self { step, what, port: None, timeout, deadline: now + timeout, most: None })
    }

    fn ask(
        http: &Http,
        request: Request,
        most: Option<(Instant, Duration)>,
        timeout: Duration,
        now: Instant,
    ) -> Result<Self, Over> {
        let deadline = now + timeout;
        let step = reach(&http.address, Some(request), now, deadline)?;
        let (what, port) = (url(http), loopback(&http.address));
        Ok(Self { step, what, port, timeout, deadline, most })
    }

    /// Returns the time at which the attempt is [`late`](Self::late).
    pub(super) fn deadline(&self) -> Instant {
        match &self.step {
            Step::Connecting { until, .. } => *until,
            Step::Resolving(..) | Step::LookingUp(..) | Step::Working(_) | Step::Asking(_) => {
                self.deadline
            }
        }
    }

    /// Extends the time of the attempt.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.deadline += by;
        self.most = self.most.map(|(began, most)| (began + by, most));
        if let Step::Connecting { until, .. } = &mut self.step {
            *until += by;
        }
    }

    /// Returns whether somebody has accepted the connection, and owes an answer.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.step, Step::Asking(_))
    }

    /// Returns the descriptor to poll, and the events.
    pub(super) fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.step {
            Step::Resolving(resolver, _) | Step::LookingUp(resolver, _) => {
                (resolver.fd(), PollFlags::POLLIN)
            }
            Step::Connecting { socket, .. } => (socket.as_fd(), PollFlags::POLLOUT),
            Step::Working(child) => (child.fd(), PollFlags::POLLIN),
            Step::Asking(answer) => answer.fd(),
        }
    }

    /// Continues as far as possible after an event.
    ///
    /// # Errors
    /// Returns the verdict once there is one.
    pub(super) fn proceed(mut self, now: Instant) -> Result<Self, Over> {
        let failed = |errno| Over::from(refusal(&self.what, self.port, errno));
        let most = self.most;
        let step = match self.step {
            Step::Resolving(mut resolver, then) => match resolver.proceed() {
                None => Step::Resolving(resolver, then),
                Some(Ok(addresses)) => {
                    connecting(addresses.into(), then, now, self.deadline).map_err(failed)?
                }
                Some(Err(why)) => return Err(Failure::new(why).about(&self.what).into()),
            },
            Step::Working(mut child) => match child.proceed() {
                None => Step::Working(child),
                Some(answer) if answer == FINE => return Err(Ok(()).into()),
                Some(answer) => {
                    let why = answer.strip_prefix(WRONG).map(str::to_owned);
                    let why = why.map_or(BadAnswer::NoWork, BadAnswer::Text);
                    return Err(Failure::new(why).into());
                }
            },
            Step::LookingUp(mut resolver, check) => match resolver.proceed() {
                None => Step::LookingUp(resolver, check),
                Some(found) => {
                    let verdict = dns::verdict(&check, found);
                    return Err(verdict.map_err(|why| Failure::new(why).about(&self.what)).into());
                }
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
                Some(Came::Verdict(verdict)) => {
                    let verdict = verdict.and_then(|()| in_time(most, now));
                    let verdict = verdict.map_err(|why| Failure::new(why).about(&self.what));
                    return Err(Over { verdict, closing: Some(answer.close()) });
                }
                Some(Came::Moved(http, request)) => {
                    let first = self.what.split(' ').next().unwrap_or_default();
                    self.what = format!("{first} redirects to {}", url(&http));
                    self.port = loopback(&http.address);
                    reach(&http.address, Some(request), now, self.deadline)?
                }
            },
        };
        self.step = step;
        Ok(self)
    }

    /// Continues without the event that did not arrive by the [`deadline`](Self::deadline).
    ///
    /// # Errors
    /// Returns the verdict if there is nothing else to wait for.
    pub(super) fn late(mut self, now: Instant) -> Result<Self, Over> {
        match self.step {
            Step::Connecting { others, then, .. } if !others.is_empty() && now < self.deadline => {
                self.step = connecting(others, then, now, self.deadline)
                    .map_err(|errno| refusal(&self.what, self.port, errno))?;
                Ok(self)
            }
            Step::Resolving(..)
            | Step::LookingUp(..)
            | Step::Working(_)
            | Step::Connecting { .. }
            | Step::Asking(_) => {
                let verdict = Err(self.too_late());
                Err(Over { verdict, closing: self.abandon() })
            }
        }
    }

    /// Cancels the attempt. Returns its connection.
    pub(super) fn abandon(self) -> Option<Closing> {
        match self.step {
            Step::Asking(answer) => Some(answer.close()),
            // There is no connection yet.
            Step::Resolving(..)
            | Step::LookingUp(..)
            | Step::Working(_)
            | Step::Connecting { .. } => None,
        }
    }

    /// Returns the result when the time is up.
    fn too_late(&self) -> Failure {
        let limit = self.timeout;
        let why = match &self.step {
            Step::Working(_) => return Failure::late(BadAnswer::SlowWork(limit)),
            Step::Resolving(..) | Step::LookingUp(..) => BadAnswer::SlowLookup(limit),
            Step::Connecting { .. } => BadAnswer::SlowConnection(limit),
            Step::Asking(answer) => {
                let rest = answer.without_rest(BadAnswer::SlowRest(limit));
                rest.unwrap_or(BadAnswer::SlowAnswer(limit))
            }
        };
        Failure::late(why).about(&self.what)
    }
}

/// Checks how long a right answer took.
fn in_time(most: Option<(Instant, Duration)>, now: Instant) -> Result<(), BadAnswer> {
    let Some((began, most)) = most else { return Ok(()) };
    match now.saturating_duration_since(began) {
        took if took <= most => Ok(()),
        took => Err(BadAnswer::Late(took, most)),
    }
}

/// Returns the result of `what` without a connection.
fn refusal(what: &str, port: Option<u16>, errno: Errno) -> Failure {
    let refused = port.filter(|_| errno == Errno::ECONNREFUSED);
    Failure { refused, ..Failure::from(errno).about(what) }
}

/// Returns the port of an address on the loopback interface.
fn loopback(Address { host, port }: &Address) -> Option<u16> {
    let here = |ip: IpAddr| ip.to_canonical().is_loopback();
    (host == "localhost" || host.parse().is_ok_and(here)).then_some(*port)
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { unmade: lacks(errno), ..Self::new(BadAnswer::Kernel(errno)) }
    }
}

impl From<Problem> for Failure {
    fn from(Problem { why, errno, .. }: Problem) -> Self {
        Self { unmade: errno.is_some_and(lacks), ..Self::new(BadAnswer::Unprepared(why)) }
    }
}

/// Returns whether an error says nothing about what is tried. ENOBUFS is socket(2)'s word for no
/// memory.
fn lacks(errno: Errno) -> bool {
    is_scarce(SpawnStage::Prepare, errno) || errno == Errno::ENOBUFS
}

/// Begins the way to an address. `localhost` and numeric addresses need no lookup.
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
                let why = BadAnswer::NoLookup(errno);
                Failure { unmade: lacks(errno), ..Failure::new(why) }.about(host)
            })?;
            return Ok(Step::Resolving(resolver, then));
        }
    };
    let known = known.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
    connecting(known, then, now, deadline)
        .map_err(|errno| refusal(&shown(address), loopback(address), errno))
}

/// Begins a connection to the first of these addresses that is possible. It gets its share of the
/// time until the deadline, so that an address that never answers does not keep trc from the
/// others.
fn connecting(
    mut to: VecDeque<SocketAddr>,
    then: Option<Request>,
    now: Instant,
    deadline: Instant,
) -> Result<Step, Errno> {
    // The error if there are no addresses.
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
