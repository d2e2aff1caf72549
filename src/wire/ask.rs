//! What a client can ask, and how it is written as a method, a target and parameters.
//!
//! Parameters are in the query (`?n=100`), or in a JSON object in the body; both mean the same, so
//! that `curl -X POST …/signal?signal=HUP` needs no body.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Code, Problem};
use crate::config::{Access, nearest, parse_time, seconds, shown};
use crate::signal::Signal;

/// The longest time for which an answer is held back, and the default.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The number of records that are sent if the client does not say.
const RECORDS: usize = 100;

/// The method of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// It changes nothing.
    Get,
    /// It changes something.
    Post,
    /// It takes something back.
    Delete,
}

impl Method {
    /// Returns the word in a request.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    /// Returns the words, for the field `Allow`: RFC 9110, section 10.2.1.
    pub(crate) fn list(all: &[Self]) -> String {
        all.iter().map(|method| method.word()).collect::<Vec<_>>().join(", ")
    }
}

/// The state that a client waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// The unit was started.
    Started,
    /// The unit is up: ready, or for a one-shot its success, or else started.
    Ready,
    /// The unit has exited, and is not started again by itself.
    Ended,
    /// The run has ended.
    Stopped,
}

impl Until {
    /// The states of a unit.
    const OF_UNIT: &[Self] = &[Self::Started, Self::Ready, Self::Ended];
    /// The states of a run.
    const OF_RUN: &[Self] = &[Self::Ready, Self::Stopped];

    /// Returns the word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Ended => "ended",
            Self::Stopped => "stopped",
        }
    }
}

/// How long an answer is held back, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    /// The state to wait for.
    pub until: Until,
    /// The longest time to wait.
    pub within: Duration,
}

/// The records to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Select {
    /// The units; all, if empty.
    pub units: Vec<String>,
    /// The number of past records to begin with.
    pub last: usize,
    /// The place after which to begin, instead of a number.
    pub since: Option<u64>,
    /// Only lines that contain this text.
    pub grep: Option<String>,
    /// Whether to go on with records as they come.
    pub follow: bool,
}

/// A change to a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Start it.
    Start,
    /// Stop and hold it.
    Stop,
    /// Stop and hold it, after the units that depend on it.
    StopWithDependents,
    /// Restart it.
    Restart,
    /// Let it read its own configuration anew.
    Reload,
    /// Send it a signal.
    Signal(Signal),
    /// Forget how often it was restarted.
    Reset,
}

impl Act {
    /// Returns the word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop | Self::StopWithDependents => "stop",
            Self::Reset => "reset",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Signal(_) => "signal",
        }
    }
}

/// What a reload of the configuration does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reload {
    /// It only tells what would happen.
    Plan,
    /// The configuration takes over if this is still the plan.
    Apply {
        /// Whether the configuration stays even if one of its units does not come up.
        keep: bool,
        /// The ID of the plan, if it must be a certain one.
        plan: Option<u64>,
    },
}

/// A command to run as a unit. The client passes its standard streams with the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Exec {
    /// The unit.
    pub unit: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Whether the standard input is a terminal that the command's session takes.
    pub tty: bool,
    /// The `TERM` of the command, if it is not that of the unit.
    pub term: Option<String>,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// `GET /v1`
    About,
    /// `GET /v1/health`: of all units, or of these; now or when the run is in a state.
    Health(Vec<String>, Option<Wait>),
    /// `GET /v1/units`
    Units,
    /// `GET /v1/units/U`, now or when it is in a state.
    Unit(String, Option<Wait>),
    /// `POST /v1/units/U/start` and so on.
    Act(String, Act),
    /// `POST /v1/exec`
    Exec(Exec),
    /// `DELETE /v1/jobs/J`
    Cancel(u32),
    /// `POST /v1/reload`
    Reload(Reload),
    /// `POST /v1/shutdown`: with this exit status.
    Shutdown(Option<u8>),
    /// `GET /v1/jobs/J`, now or when it has ended.
    Job(u32, Option<Duration>),
    /// `GET /v1/logs`: lines of units.
    Logs(Select),
    /// `GET /v1/events`: lines of trc.
    Events(Select),
    /// `GET /v1/metrics`
    Metrics,
    /// `GET /v1/graph`
    Graph,
    /// `GET /v1/timeline`
    Timeline,
    /// `GET /v1/config`
    Config,
}

/// The parameters of a request.
struct Parameters(BTreeMap<String, Vec<String>>);

impl Ask {
    /// Returns the access that the request needs.
    pub(crate) fn needs(&self) -> Access {
        match self {
            Self::Health(..) => Access::Health,
            Self::About
            | Self::Units
            | Self::Unit(..)
            | Self::Job(..)
            | Self::Logs(_)
            | Self::Events(_)
            | Self::Metrics
            | Self::Graph
            | Self::Timeline
            | Self::Config => Access::Read,
            Self::Act(..)
            | Self::Exec(_)
            | Self::Cancel(_)
            | Self::Reload(_)
            | Self::Shutdown(_) => Access::Operate,
        }
    }

    /// Returns the longest time for which trc holds the answer back; `None` if it may send for as
    /// long as it runs.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Unit(_, Some(wait)) | Self::Health(_, Some(wait)) => Some(wait.within),
            Self::Job(_, Some(within)) => Some(*within),
            Self::Logs(select) | Self::Events(select) if select.follow => None,
            Self::About
            | Self::Health(_, None)
            | Self::Units
            | Self::Unit(_, None)
            | Self::Job(_, None)
            | Self::Act(..)
            | Self::Cancel(_)
            | Self::Shutdown(_)
            | Self::Logs(_)
            | Self::Events(_)
            | Self::Metrics
            | Self::Graph
            | Self::Timeline
            | Self::Config => Some(Duration::ZERO),
            // Units that have to go may take their stop timeouts, and a command may run for ever.
            Self::Reload(_) | Self::Exec(_) => None,
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Returns the problem, if there is no such resource, or if a parameter is not valid.
    pub(crate) fn read(method: &str, target: &str, body: &[u8]) -> Result<Self, Problem> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut given = Parameters::read(query, body)?;
        let parts: Result<Vec<String>, Problem> = path.split('/').skip(1).map(decoded).collect();
        let parts = parts?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (ask, takes): (_, &'static [Method]) = match parts[..] {
            ["v1"] => (Self::About, &[Method::Get]),
            ["v1", "health"] => {
                let wait = given.wait(Until::OF_RUN)?;
                (Self::Health(given.all("unit"), wait), &[Method::Get])
            }
            ["v1", "units"] => (Self::Units, &[Method::Get]),
            ["v1", "units", unit] => {
                let wait = given.wait(Until::OF_UNIT)?;
                (Self::Unit(unit.to_owned(), wait), &[Method::Get])
            }
            ["v1", "units", unit, act] => {
                let act = match act {
                    "start" => Act::Start,
                    "stop" if given.flag("dependents")? => Act::StopWithDependents,
                    "stop" => Act::Stop,
                    "reset" => Act::Reset,
                    "restart" => Act::Restart,
                    "reload" => Act::Reload,
                    "signal" => Act::Signal(given.signal()?),
                    _ => return Err(nowhere(path)),
                };
                (Self::Act(unit.to_owned(), act), &[Method::Post])
            }
            ["v1", "exec"] => (Self::Exec(given.exec()?), &[Method::Post]),
            ["v1", "jobs", job] => {
                let job = job.parse().map_err(|_| nowhere(path))?;
                let ask = if method == Method::Delete.word() {
                    Self::Cancel(job)
                } else {
                    let wait = given.flag("wait")?;
                    let within = given.time("for")?.unwrap_or(LONGEST_WAIT);
                    Self::Job(job, wait.then_some(within))
                };
                (ask, &[Method::Get, Method::Delete])
            }
            ["v1", "reload"] => {
                let (dry_run, keep, plan) =
                    (given.flag("dry_run")?, given.flag("keep")?, given.plan()?);
                let reload = if dry_run { Reload::Plan } else { Reload::Apply { keep, plan } };
                (Self::Reload(reload), &[Method::Post])
            }
            ["v1", "shutdown"] => (Self::Shutdown(given.number("exit")?), &[Method::Post]),
            ["v1", "logs"] => (Self::Logs(given.select()?), &[Method::Get]),
            ["v1", "graph"] => (Self::Graph, &[Method::Get]),
            ["v1", "timeline"] => (Self::Timeline, &[Method::Get]),
            ["v1", "config"] => (Self::Config, &[Method::Get]),
            ["v1", "metrics"] => (Self::Metrics, &[Method::Get]),
            ["v1", "events"] => (Self::Events(given.select()?), &[Method::Get]),
            _ => return Err(nowhere(path)),
        };
        if !takes.iter().any(|takes| method == takes.word()) {
            return Err(Problem::method(path, takes, method));
        }
        given.none_left()?;
        Ok(ask)
    }

    /// Returns the method and the target of the request.
    pub(crate) fn written(&self) -> (Method, String) {
        let get = |target: String| (Method::Get, target);
        match self {
            Self::About => get("/v1".to_owned()),
            Self::Health(units, wait) => {
                let units = units.iter().map(|unit| ("unit", unit.clone()));
                get(with("/v1/health", units.chain(waits(*wait))))
            }
            Self::Units => get("/v1/units".to_owned()),
            Self::Unit(unit, wait) => {
                get(with(&format!("/v1/units/{}", encoded(unit)), waits(*wait)))
            }
            Self::Act(unit, act) => {
                let parameter = match act {
                    Act::Signal(signal) => Some(("signal", signal.to_string())),
                    Act::StopWithDependents => Some(("dependents", "true".to_owned())),
                    Act::Start | Act::Stop | Act::Restart | Act::Reload | Act::Reset => None,
                };
                let path = format!("/v1/units/{}/{}", encoded(unit), act.word());
                (Method::Post, with(&path, parameter))
            }
            Self::Reload(reload) => {
                let (dry_run, keep, plan) = match reload {
                    Reload::Plan => (true, false, None),
                    Reload::Apply { keep, plan } => (false, *keep, *plan),
                };
                let flags = [("dry_run", dry_run), ("keep", keep)].into_iter();
                let flags = flags.filter(|(_, is)| *is).map(|(name, _)| (name, "true".to_owned()));
                let plan = plan.map(|id| ("plan", format!("{id:016x}")));
                (Method::Post, with("/v1/reload", flags.chain(plan)))
            }
            Self::Exec(_) => (Method::Post, "/v1/exec".to_owned()),
            Self::Cancel(job) => (Method::Delete, format!("/v1/jobs/{job}")),
            Self::Shutdown(exit) => {
                let exit = exit.map(|status| ("exit", status.to_string()));
                (Method::Post, with("/v1/shutdown", exit))
            }
            Self::Job(job, wait) => {
                let wait = wait
                    .iter()
                    .flat_map(|within| [("wait", "true".to_owned()), ("for", seconds(*within))]);
                get(with(&format!("/v1/jobs/{job}"), wait))
            }
            Self::Logs(select) => get(with("/v1/logs", select.written())),
            Self::Events(select) => get(with("/v1/events", select.written())),
            Self::Metrics => get("/v1/metrics".to_owned()),
            Self::Graph => get("/v1/graph".to_owned()),
            Self::Timeline => get("/v1/timeline".to_owned()),
            Self::Config => get("/v1/config".to_owned()),
        }
    }
}

#[cfg(any(feature = "ctl", test))]
impl Ask {
    /// Returns the body of the request, which has the parameters that a target has no room for.
    pub(crate) fn body(&self) -> String {
        let Self::Exec(Exec { unit, command, tty, term }) = self else { return String::new() };
        let mut body = serde_json::json!({ "unit": unit, "command": command, "tty": tty });
        if let Some(term) = term {
            body["term"] = term.as_str().into();
        }
        body.to_string()
    }
}

fn waits(wait: Option<Wait>) -> impl Iterator<Item = (&'static str, String)> {
    wait.into_iter()
        .flat_map(|wait| [("wait", wait.until.word().to_owned()), ("for", seconds(wait.within))])
}

impl Select {
    fn written(&self) -> impl Iterator<Item = (&'static str, String)> {
        let units = self.units.iter().map(|unit| ("unit", unit.clone()));
        let since = self.since.map(|since| ("since", since.to_string()));
        let last = self.since.is_none().then(|| ("n", self.last.to_string()));
        let grep = self.grep.clone().map(|text| ("grep", text));
        let follow = self.follow.then(|| ("follow", "true".to_owned()));
        units.chain(since).chain(last).chain(grep).chain(follow)
    }
}

impl Parameters {
    fn read(query: &str, body: &[u8]) -> Result<Self, Problem> {
        let mut given = BTreeMap::<String, Vec<String>>::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            given.entry(decoded(name)?).or_default().push(decoded(value)?);
        }
        if !body.is_empty() {
            let wrong = |why: &str| Problem::new(Code::BadRequest, format!("the body {why}"));
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(body)
                    .map_err(|why| wrong(&format!("is not a JSON object: {why}")))?;
            for (name, value) in object {
                let values = match value {
                    serde_json::Value::Array(values) => values,
                    value => vec![value],
                };
                for value in values {
                    let value = match value {
                        serde_json::Value::String(text) => text,
                        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
                            value.to_string()
                        }
                        serde_json::Value::Null
                        | serde_json::Value::Array(_)
                        | serde_json::Value::Object(_) => {
                            return Err(wrong(&format!("has no plain value for `{name}`")));
                        }
                    };
                    given.entry(name.clone()).or_default().push(value);
                }
            }
        }
        Ok(Self(given))
    }

    fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut all = self.all(name);
        if all.len() > 1 {
            return Err(wrong(name, "is given more than once"));
        }
        Ok(all.pop())
    }

    fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.one(name)?.as_deref() {
            Some("true" | "1" | "") => Ok(true),
            Some("false" | "0") | None => Ok(false),
            Some(other) => Err(wrong(name, &format!("is true or false, not {}", quoted(other)))),
        }
    }

    fn time(&mut self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let time = parse_time(&text).filter(|time| *time <= LONGEST_WAIT);
        let why =
            || wrong(name, &format!("is a time of up to 24h such as 30s, not {}", quoted(&text)));
        time.map(Some).ok_or_else(why)
    }

    fn number<N: std::str::FromStr>(&mut self, name: &str) -> Result<Option<N>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let why = |_| wrong(name, &format!("is a number, not {}", quoted(&text)));
        text.parse().map(Some).map_err(why)
    }

    fn plan(&mut self) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one("plan")? else { return Ok(None) };
        let id = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
        let why = || wrong("plan", &format!("is the `id` of a plan, not {}", quoted(&text)));
        id.map(Some).ok_or_else(why)
    }

    fn wait(&mut self, states: &[Until]) -> Result<Option<Wait>, Problem> {
        let within = self.time("for")?.unwrap_or(LONGEST_WAIT);
        let Some(word) = self.one("wait")? else { return Ok(None) };
        let until = states.iter().copied().find(|until| until.word() == word);
        let why = || {
            let words: Vec<&str> = states.iter().map(|until| until.word()).collect();
            let words = words.join(", ");
            wrong("wait", &format!("is one of {words}, not {}", quoted(&word)))
        };
        Ok(Some(Wait { until: until.ok_or_else(why)?, within }))
    }

    fn signal(&mut self) -> Result<Signal, Problem> {
        let Some(name) = self.one("signal")? else {
            return Err(wrong("signal", "is missing: write `signal=HUP`"));
        };
        name.parse().map_err(|_| {
            wrong("signal", &format!("is the name of a signal such as HUP, not {}", quoted(&name)))
        })
    }

    fn exec(&mut self) -> Result<Exec, Problem> {
        let unit = self.one("unit")?;
        let unit = unit.ok_or_else(|| wrong("unit", "is missing: it is the name of a unit"))?;
        let command = self.all("command");
        if command.is_empty() {
            return Err(wrong("command", "is missing: it is a list such as [\"ls\", \"-l\"]"));
        }
        let (tty, term) = (self.flag("tty")?, self.one("term")?);
        if command.iter().chain(&term).any(|text| text.contains('\0')) {
            return Err(wrong("command", "or `term` contains a NUL"));
        }
        Ok(Exec { unit, command, tty, term })
    }

    fn select(&mut self) -> Result<Select, Problem> {
        let since = self.number("since")?;
        Ok(Select {
            units: self.all("unit"),
            last: self.number("n")?.unwrap_or(if since.is_some() { usize::MAX } else { RECORDS }),
            since,
            grep: self.one("grep")?,
            follow: self.flag("follow")?,
        })
    }

    fn none_left(self) -> Result<(), Problem> {
        const KNOWN: [&str; 16] = [
            "dry_run",
            "keep",
            "plan",
            "dependents",
            "exit",
            "unit",
            "wait",
            "for",
            "signal",
            "n",
            "since",
            "grep",
            "follow",
            "command",
            "tty",
            "term",
        ];
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        let nearest = nearest(&name, KNOWN).map(str::to_owned);
        let detail = format!("the request does not take the parameter {}", quoted(&name));
        Err(Problem::new(Code::BadRequest, detail).near(nearest.into_iter().collect()))
    }
}

fn wrong(name: &str, why: &str) -> Problem {
    Problem::new(Code::BadRequest, format!("the parameter `{name}` {why}"))
}

fn nowhere(path: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no resource {}", quoted(path)))
}

/// Quotes a text of a client for a message.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// Decodes the percent-encoding of a part of a target: RFC 3986.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, left) = match (first, after) {
            (b'%', [high, low, left @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else { break };
                (u8::try_from(high * 16 + low).unwrap_or(0), left)
            }
            (b'%', _) => break,
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    let whole = if rest.is_empty() { String::from_utf8(bytes).ok() } else { None };
    let why = || format!("{} is not valid percent-encoded UTF-8", quoted(text));
    whole.ok_or_else(|| Problem::new(Code::BadRequest, why()))
}

/// Percent-encodes a text for a part of a target.
fn encoded(text: &str) -> String {
    let mut to = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            to.push(char::from(byte));
        } else {
            _ = write!(to, "%{byte:02X}");
        }
    }
    to
}

/// Adds a query to a path.
fn with(path: &str, query: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut target = path.to_owned();
    for (at, (name, value)) in query.into_iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        _ = write!(target, "{name}={}", encoded(&value));
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str, body: &str) -> Result<Ask, Problem> {
        Ask::read(method, target, body.as_bytes())
    }

    #[test]
    fn a_request_reads_back_what_it_writes() {
        let unit = || "async.my web/ü%".to_owned();
        let select = Select {
            units: vec![unit(), "sync.b".to_owned()],
            last: 7,
            since: None,
            grep: Some("a b&c=d".to_owned()),
            follow: true,
        };
        let since = Select { last: usize::MAX, since: Some(9), grep: None, ..select.clone() };
        let within = Duration::from_millis(1500);
        let command = vec!["sh".to_owned(), "-c".to_owned(), "echo \"ü\" $1\n".to_owned()];
        let exec = Exec { unit: unit(), command, tty: false, term: None };
        for ask in [
            Ask::About,
            Ask::Health(Vec::new(), None),
            Ask::Health(vec![unit(), "sync.b".to_owned()], None),
            Ask::Health(Vec::new(), Some(Wait { until: Until::Stopped, within })),
            Ask::Units,
            Ask::Unit(unit(), None),
            Ask::Unit(unit(), Some(Wait { until: Until::Ready, within })),
            Ask::Act(unit(), Act::Start),
            Ask::Act(unit(), Act::Stop),
            Ask::Act(unit(), Act::Restart),
            Ask::Act(unit(), Act::Reload),
            Ask::Act(unit(), Act::Signal(Signal::HUP)),
            Ask::Act(unit(), Act::StopWithDependents),
            Ask::Act(unit(), Act::Reset),
            Ask::Exec(exec.clone()),
            Ask::Exec(Exec { tty: true, term: Some("xterm".to_owned()), ..exec }),
            Ask::Cancel(12),
            Ask::Reload(Reload::Plan),
            Ask::Reload(Reload::Apply { keep: false, plan: None }),
            Ask::Reload(Reload::Apply { keep: true, plan: Some(0x1f) }),
            Ask::Shutdown(None),
            Ask::Shutdown(Some(7)),
            Ask::Job(12, None),
            Ask::Job(12, Some(within)),
            Ask::Logs(select.clone()),
            Ask::Events(since),
            Ask::Metrics,
            Ask::Graph,
            Ask::Timeline,
            Ask::Config,
        ] {
            let (method, target) = ask.written();
            assert_eq!(read(method.word(), &target, &ask.body()), Ok(ask), "{target}");
        }
    }

    #[test]
    fn a_parameter_may_be_in_the_query_or_in_the_body() {
        let hup = Ok(Ask::Act("web".to_owned(), Act::Signal(Signal::HUP)));
        assert_eq!(read("POST", "/v1/units/web/signal?signal=HUP", ""), hup);
        assert_eq!(read("POST", "/v1/units/web/signal", r#"{"signal": "SIGHUP"}"#), hup);
        assert_eq!(read("POST", "/v1/units/web/signal", r#"{"signal": 1}"#), hup);
    }

    #[test]
    fn a_request_that_is_not_right_says_why() {
        for (method, target, body, code, detail) in [
            ("GET", "/", "", Code::NotFound, "there is no resource `/`"),
            ("GET", "/v2", "", Code::NotFound, "there is no resource `/v2`"),
            ("GET", "/v1/units/web/start", "", Code::BadMethod, "takes POST, not `GET`"),
            ("POST", "/v1/units", "", Code::BadMethod, "/v1/units takes GET, not `POST`"),
            ("PUT", "/v1/jobs/1", "", Code::BadMethod, "/v1/jobs/1 takes GET, DELETE, not `PUT`"),
            ("POST", "/v1/units/web/kill", "", Code::NotFound, "no resource"),
            ("GET", "/v1/jobs/x", "", Code::NotFound, "no resource"),
            ("GET", "/v1/units/%zz", "", Code::BadRequest, "not valid percent-encoded"),
            ("GET", "/v1/units/%ff", "", Code::BadRequest, "not valid percent-encoded"),
            ("GET", "/v1/units/%f", "", Code::BadRequest, "not valid percent-encoded"),
            ("GET", "/v1/units/web?wait=up", "", Code::BadRequest, "one of started, ready, ended"),
            ("GET", "/v1/units/web?wait=ready&for=x", "", Code::BadRequest, "a time of up to 24h"),
            ("GET", "/v1/logs?n=-1", "", Code::BadRequest, "`n` is a number, not `-1`"),
            ("GET", "/v1/logs?follow=maybe", "", Code::BadRequest, "is true or false"),
            ("GET", "/v1/logs?n=1&n=2", "", Code::BadRequest, "given more than once"),
            ("GET", "/v1/logs?folow=1", "", Code::BadRequest, "parameter `folow`"),
            ("POST", "/v1/units/web/signal", "", Code::BadRequest, "write `signal=HUP`"),
            ("POST", "/v1/units/web/signal?signal=NOPE", "", Code::BadRequest, "such as HUP"),
            ("POST", "/v1/exec?command=ls", "", Code::BadRequest, "`unit` is missing"),
            ("POST", "/v1/exec?unit=web", "", Code::BadRequest, "`command` is missing"),
            ("POST", "/v1/exec?unit=web&command=a%00", "", Code::BadRequest, "contains a NUL"),
            ("POST", "/v1/units/web/stop", "[1]", Code::BadRequest, "is not a JSON object"),
            ("POST", "/v1/units/web/stop", "{\"a\":{}}", Code::BadRequest, "no plain value"),
        ] {
            let problem = read(method, target, body).unwrap_err();
            assert_eq!(problem.code, code, "{method} {target}: {problem:?}");
            assert!(problem.detail.contains(detail), "{method} {target}: {}", problem.detail);
        }
        assert_eq!(read("GET", "/v1/logs?folow=1", "").unwrap_err().nearest, ["follow"]);
    }

    #[test]
    fn changes_need_more_than_questions() {
        assert_eq!(Ask::Health(Vec::new(), None).needs(), Access::Health);
        assert_eq!(Ask::Units.needs(), Access::Read);
        assert_eq!(Ask::Act(String::new(), Act::Stop).needs(), Access::Operate);
        let exec = read("POST", "/v1/exec?unit=web&command=ls", "").unwrap();
        assert_eq!(exec.needs(), Access::Operate);
    }
}
