//! Tests: what `expect` says.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::decode::{Decoder, Fields};
use super::decode_identity::capability;
use super::leaf::{self, Leaf, Problem};
use super::time::positive;
use super::value::{Entry, Node, Table, Value, shown};
use super::{
    Asked, Check, Command, Environment, Fault, FaultKind, FileCheck, Found, HttpCheck, Listening,
    Needle, Pattern, Placed, Stage, State, StopCheck, Test, Unit, schema,
};
use crate::signal::Signal;

/// `start_within`.
const START_WITHIN: Duration = Duration::from_mins(5);
/// `max_runtime`.
const MAX_RUNTIME: Duration = Duration::from_mins(1);
/// `within` of a test with a fault.
const RECOVERY: Duration = Duration::from_secs(30);

impl Decoder<'_> {
    /// All of a test but what it runs, which is `command` where it runs anything.
    pub(super) fn test(
        &mut self,
        name: &str,
        entry: &Entry,
        fields: &Fields,
        command: bool,
    ) -> Unit {
        let table = self.names("expect", fields.entry("expect"));
        let expect = self.fields(" in `expect`", schema::EXPECT, table);
        let checks = self.checks(&expect, command);
        let fault = self.fault(&expect);
        let within = self.get(&expect, "within", positive);
        let expects = |key: &str| key != "within" && key != "holds";
        // What is no table was reported.
        let says = table
            .map_or(fields.entry("expect").is_some(), |table| table.keys().any(|key| expects(key)));
        if !says && !command && !fields.has_unknown() {
            let message = format!("test.{name} expects nothing, so it cannot fail");
            let help = "add a command, or a key of `expect`".to_owned();
            self.error(&entry.key, message, Some(help));
        }
        let statuses = self.values(&expect, "stop_status", leaf::status);
        let stop = StopCheck {
            statuses: statuses.into_iter().map(|status| status.value).collect(),
            within: self.get(&expect, "stop_within", positive),
        };
        let test = Test {
            checks,
            stop,
            within: within.or(fault.as_ref().map(|_| RECOVERY)),
            fault,
            holds: self.get(&expect, "holds", positive),
            absent: None,
            allow: fields
                .entry("allow")
                .map_or(Vec::new(), |allow| self.list("allow", &allow.node, true, leaf::text)),
            start_within: self.get(fields, "start_within", positive).unwrap_or(START_WITHIN),
            max_runtime: self.get(fields, "max_runtime", positive).unwrap_or(MAX_RUNTIME),
        };
        Unit {
            description: self.get(fields, "description", leaf::text),
            after: fields.entry("after").map_or(Vec::new(), |after| self.after(&after.node)),
            identity: self.identity(fields),
            test: Some(Box::new(test)),
            ..Unit::new(Stage::Test, name, entry.key.clone(), Command::Nothing)
        }
    }

    fn checks(&mut self, expect: &Fields, command: bool) -> Vec<Placed<Check>> {
        let mut checks = self.results(expect, command);
        if let Some(entry) = expect.entry("http")
            && let Some(check) = self.http_check(entry)
        {
            checks.push(Placed { value: Asked::Http(check).into(), origin: entry.key.clone() });
        }
        self.one(expect, "tcp", super::http::address, Asked::Tcp, &mut checks);
        self.one(expect, "unix", path, Asked::Unix, &mut checks);
        self.many(expect, "listening", port, State::Listening, &mut checks);
        if let Some(entry) = expect.entry("file")
            && let Some(check) = self.file_check(entry)
        {
            checks.push(Placed { value: State::File(check).into(), origin: entry.key.clone() });
        }
        let user = self.placed(expect, "user", leaf::id);
        let whose = user.as_ref().map(|user| user.value.clone());
        let running = |process: Pattern| State::Running {
            user: whose.clone().filter(|_| !process.negated),
            process,
        };
        self.many(expect, "running", pattern, running, &mut checks);
        if let Some(user) = user.filter(|_| expect.entry("running").is_none()) {
            checks.push(Placed { value: State::User(user.value).into(), origin: user.origin });
        }
        self.said(expect, &mut checks);
        self.one(expect, "ready_within", positive, Found::ReadyWithin, &mut checks);
        self.one(expect, "max_rss", leaf::size, State::MaxRss, &mut checks);
        self.one(expect, "max_cpu", positive, State::MaxCpu, &mut checks);
        self.one(expect, "max_fds", leaf::count, State::MaxFds, &mut checks);
        self.one(expect, "max_processes", leaf::count, State::MaxProcesses, &mut checks);
        self.one(expect, "max_memory", leaf::size, State::MaxMemory, &mut checks);
        self.one(expect, "no_new_privs", leaf::boolean, State::NoNewPrivs, &mut checks);
        self.one(expect, "read_only_root", leaf::boolean, State::ReadOnlyRoot, &mut checks);
        if let Some(entry) = expect.entry("capabilities") {
            let list = self.list("capabilities", &entry.node, true, capability);
            let set = list.iter().fold(0, |set, number| set | (1 << number.value));
            checks
                .push(Placed { value: State::Capabilities(set).into(), origin: entry.key.clone() });
        }
        let uid =
            |node: &Node, environment: &Environment| leaf::number(node, environment, 0..=u32::MAX);
        self.one(expect, "uid", uid, State::Uid, &mut checks);
        checks
    }

    /// What is expected of a command: with nothing written, that it ends with 0.
    fn results(&mut self, expect: &Fields, command: bool) -> Vec<Placed<Check>> {
        let mut checks = Vec::new();
        if !command {
            for key in ["exit", "stdout", "stderr"] {
                if let Some(entry) = expect.entry(key) {
                    let message = format!(
                        "`{key}`: this test has no command, so there is nothing to compare"
                    );
                    let help = "add an `exec` or a `script`".to_owned();
                    self.error(&entry.key, message, Some(help));
                }
            }
            return checks;
        }
        match expect.entry("exit") {
            Some(entry) => {
                let statuses = self.values(expect, "exit", leaf::status);
                let statuses = statuses.into_iter().map(|status| status.value).collect();
                checks.push(Placed {
                    value: Found::Exit(statuses).into(),
                    origin: entry.key.clone(),
                });
            }
            None => {
                checks.push(Placed {
                    value: Found::Exit(vec![0]).into(),
                    origin: super::Origin::Default,
                });
            }
        }
        self.many(expect, "stdout", pattern, Found::Stdout, &mut checks);
        self.many(expect, "stderr", pattern, Found::Stderr, &mut checks);
        checks
    }

    /// The check that one value makes.
    fn one<T, C: Into<Check>>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl FnOnce(&Node, &Environment) -> Leaf<T>,
        check: impl FnOnce(T) -> C,
        checks: &mut Vec<Placed<Check>>,
    ) {
        if let Some(Placed { value, origin }) = self.placed(fields, key, leaf) {
            checks.push(Placed { value: check(value).into(), origin });
        }
    }

    /// The checks that one value makes, or each of an array.
    fn many<T, C: Into<Check>>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl Fn(&Node, &Environment) -> Leaf<T>,
        check: impl Fn(T) -> C,
        checks: &mut Vec<Placed<Check>>,
    ) {
        let values = self.values(fields, key, leaf);
        checks.extend(
            values
                .into_iter()
                .map(|one| Placed { value: check(one.value).into(), origin: one.origin }),
        );
    }

    /// A value, or those of an array.
    fn values<T>(
        &mut self,
        fields: &Fields,
        key: &str,
        leaf: impl Fn(&Node, &Environment) -> Leaf<T>,
    ) -> Vec<Placed<T>> {
        let Some(entry) = fields.entry(key) else { return Vec::new() };
        match &entry.node.value {
            Value::Array(items) if items.is_empty() => {
                self.problem(key, &entry.node, Problem::new("an empty array expects nothing"));
                Vec::new()
            }
            Value::Array(_) => self.list(key, &entry.node, false, leaf),
            _ => self.placed(fields, key, leaf).into_iter().collect(),
        }
    }

    fn patterns(&mut self, fields: &Fields, key: &str) -> Vec<Pattern> {
        self.values(fields, key, pattern).into_iter().map(|one| one.value).collect()
    }

    fn http_check(&mut self, entry: &Entry) -> Option<HttpCheck> {
        let http =
            self.http_of("expect.http", entry, schema::EXPECT_HTTP, super::probe::SUCCESS)?;
        let fields = Fields::noted(schema::EXPECT_HTTP, entry.node.as_table());
        let body = self.patterns(&fields, "body");
        let mut headers = BTreeMap::new();
        for (name, entry) in self.names("headers", fields.entry("headers")).into_iter().flatten() {
            let values = match &entry.node.value {
                Value::Array(items) if items.is_empty() => {
                    let problem = Problem::new("an empty array expects nothing");
                    self.problem("headers", &entry.node, problem);
                    Vec::new()
                }
                Value::Array(_) => self.list("headers", &entry.node, false, pattern),
                _ => self
                    .read("headers", &entry.node, pattern)
                    .map(|value| Placed { value, origin: entry.node.origin.clone() })
                    .into_iter()
                    .collect(),
            };
            let values = values.into_iter().map(|value| value.value).collect();
            headers.insert(name.to_lowercase().replace('_', "-"), values);
        }
        Some(HttpCheck { http, body, headers })
    }

    fn file_check(&mut self, entry: &Entry) -> Option<FileCheck> {
        let table = self.names("expect.file", Some(entry))?;
        let fields = self.fields(" in `expect.file`", schema::EXPECT_FILE, Some(table));
        let path = self.get(&fields, "path", leaf::absolute);
        let exists = self.get(&fields, "exists", leaf::boolean).unwrap_or(true);
        let mode = self.get(&fields, "mode", permissions);
        let owner = self.get(&fields, "owner", owner);
        let contains = self.patterns(&fields, "contains");
        if fields.entry("path").is_none() && !fields.has_unknown() {
            self.error(&entry.key, "`expect.file` needs a `path`", None);
        }
        for key in ["mode", "owner", "contains"] {
            if let Some(entry) = fields.entry(key).filter(|_| !exists) {
                let message = format!(
                    "`{key}` cannot be checked, because the file must not exist (`exists = false`)"
                );
                self.error(&entry.key, message, None);
            }
        }
        Some(FileCheck { path: path?, exists, mode, owner, contains })
    }

    fn said(&mut self, expect: &Fields, checks: &mut Vec<Placed<Check>>) {
        let Some(entry) = expect.entry("log") else { return };
        let table = self.names("expect.log", Some(entry));
        let fields = self.fields(" in `expect.log`", schema::EXPECT_LOG, table);
        let unit = self.placed(&fields, "unit", leaf::text);
        let keys = [("contains", false), ("forbids", true)];
        for (key, forbids) in keys {
            let read = if forbids { forbidden } else { pattern };
            for Placed { value, origin } in self.values(&fields, key, read) {
                if forbids && value.negated {
                    let message =
                        "`forbids` already means that the text must not appear: remove the `!`";
                    self.error(
                        &origin,
                        message,
                        Some("use `contains` if the text must appear".to_owned()),
                    );
                }
                let (unit, forbidden) = (unit.clone(), forbids || value.negated);
                let value = Found::Said { unit, needle: value.needle, forbidden }.into();
                checks.push(Placed { value, origin });
            }
        }
        let says = keys.iter().any(|(key, _)| fields.entry(key).is_some());
        if !says && !fields.has_unknown() && table.is_some() {
            let help = "add `contains` or `forbids`".to_owned();
            self.error(&entry.key, "`expect.log` needs a text to look for", Some(help));
        }
    }

    fn fault(&mut self, expect: &Fields) -> Option<Placed<Fault>> {
        let entry = expect.entry("fault")?;
        let table: &Table = self.names("expect.fault", Some(entry))?;
        let fields = self.fields(" in `expect.fault`", schema::EXPECT_FAULT, Some(table));
        let unit = self.placed(&fields, "unit", leaf::text);
        let kill = self.get(&fields, "kill", fault_signal);
        let stop = self.get(&fields, "stop", positive);
        let restarts = self.placed(&fields, "restarts", leaf::boolean);
        if let Some(Placed { value: false, origin }) = &restarts
            && kill == Some(Signal::KILL)
        {
            self.error(origin, "`restarts = false`: no process survives SIGKILL", None);
        }
        let restarts = restarts.map(|restarts| restarts.value);
        let missing = |key: &str| fields.entry(key).is_none() && !fields.has_unknown();
        if missing("unit") {
            self.error(&entry.key, "`expect.fault` needs a `unit`", None);
        }
        if missing("kill") && missing("stop") {
            self.error(&entry.key, "`expect.fault` needs a `kill` or a `stop`", None);
        }
        let kind = kill.map(FaultKind::Kill).or(stop.map(FaultKind::Stop))?;
        Some(Placed { value: Fault { unit: unit?, kind, restarts }, origin: entry.key.clone() })
    }
}

/// A signal that does something to a unit for good: what is stopped goes on by itself.
fn fault_signal(node: &Node, environment: &Environment) -> Leaf<Signal> {
    let signal = leaf::signal(node, environment)?;
    let stops = [Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::CONT];
    if stops.contains(&signal) {
        return Err(Problem {
            help: Some("`stop = \"5s\"` suspends the unit for a while".to_owned()),
            ..Problem::new(format!(
                "{signal} is not a fault: it only suspends or resumes a process"
            ))
        });
    }
    Ok(signal)
}

fn path(node: &Node, environment: &Environment) -> Leaf<PathBuf> {
    leaf::line(node, environment).map(PathBuf::from)
}

/// A text, a `/regular expression/`, and either with a `!` before it.
fn pattern(node: &Node, environment: &Environment) -> Leaf<Pattern> {
    needle(node, environment, false)
}

/// The same where it must not be there, with or without a `!`.
fn forbidden(node: &Node, environment: &Environment) -> Leaf<Pattern> {
    needle(node, environment, true)
}

fn needle(node: &Node, environment: &Environment, forbidden: bool) -> Leaf<Pattern> {
    let text = leaf::text(node, environment)?;
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    if rest.is_empty() {
        return Err(Problem::new("this must not be empty"));
    }
    let regex = rest.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let regex = regex.filter(|regex| !regex.is_empty());
    if let Some(problem) = not_quite_a_regex(rest, negated || forbidden)
        && regex.is_none()
    {
        return Err(problem);
    }
    let needle = match regex {
        None => Needle::Text(rest.to_owned()),
        Some(regex) => match crate::regex::compile(regex) {
            Ok(_) => Needle::Regex(regex.to_owned()),
            Err(why) => return Err(Problem::new(format!("this {why}"))),
        },
    };
    Ok(Pattern { needle, negated })
}

/// What is probably meant for a regular expression, and would be taken for a text: `/error/i`,
/// and, where it must not be there and so would never be missed, `/error`. A path is a text.
fn not_quite_a_regex(text: &str, forbidden: bool) -> Option<Problem> {
    let body = text.strip_prefix('/')?;
    let as_text = format!("to look for this text itself, write '/{}/'", regex_lite::escape(text));
    let problem = |message: String, right: String| Problem {
        help: Some(format!("write '/{right}/'; {as_text}")),
        ..Problem::new(message)
    };
    if let Some((inner, flags)) = body.rsplit_once('/')
        && !inner.is_empty()
        && !inner.replace(r"\/", "").contains('/')
        && matches!(flags.len(), 1..=4)
        && flags.bytes().all(|flag| b"gimsux".contains(&flag))
    {
        // Every match counts and a match may be anywhere, without a flag.
        let known: String = flags.chars().filter(|flag| !"gmu".contains(*flag)).collect();
        let known = if known.is_empty() { known } else { format!("(?{known})") };
        return Some(problem(
            format!("flags cannot follow a regular expression: \"{}\"", shown(text)),
            format!("{known}{inner}"),
        ));
    }
    let is_regex = body.contains(['|', '\\', '^', '$', '*', '+', '[', '(']);
    (forbidden && !body.is_empty() && (is_regex || !body.contains('/'))).then(|| {
        problem(
            format!("the regular expression has no closing `/`: \"{}\"", shown(text)),
            body.to_owned(),
        )
    })
}

/// `25`, `"25/tcp"`, `"127.0.0.1:53/udp"`, `"!23"`.
fn port(node: &Node, environment: &Environment) -> Leaf<Listening> {
    const EXPECTED: &str = "a port such as 25, \"25/tcp\", \"127.0.0.1:53/udp\" or \"!23\"";
    if let Value::Integer(number, _) = &node.value {
        let port = u16::try_from(*number).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| Problem::expected(EXPECTED, node))?;
        return Ok(Listening { ip: None, port, udp: false, negated: false });
    }
    let Value::String(_) = &node.value else { return Err(Problem::expected(EXPECTED, node)) };
    let text = leaf::text(node, environment)?;
    let read = |text: &str| {
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (place, udp) = match rest.split_once('/') {
            None | Some((_, "tcp")) => (rest.split('/').next()?, false),
            Some((place, "udp")) => (place, true),
            Some(_) => return None,
        };
        let (ip, port): (Option<IpAddr>, u16) = if let Ok(port) = place.parse() {
            (None, port)
        } else {
            let place: SocketAddr = place.parse().ok()?;
            (Some(place.ip()), place.port())
        };
        (port > 0).then_some(Listening { ip, port, udp, negated })
    };
    read(&text).ok_or_else(|| Problem::expected(EXPECTED, node))
}

/// Permission bits, set-uid and sticky too.
fn permissions(node: &Node, environment: &Environment) -> Leaf<u32> {
    let mode = match &node.value {
        Value::Integer(number, 8) => u32::try_from(*number).ok(),
        Value::String(_) => {
            let text = leaf::text(node, environment)?;
            u32::from_str_radix(text.strip_prefix("0o").unwrap_or(&text), 8).ok()
        }
        _ => None,
    };
    mode.filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Problem::expected("permissions such as \"640\" or 0o640", node))
}

/// `USER` or `USER:GROUP`.
fn owner(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = match &node.value {
        Value::Integer(number, _) => number.to_string(),
        _ => leaf::text(node, environment)?,
    };
    let (user, group) = text.split_once(':').unwrap_or((&text, "-"));
    if user.is_empty() || group.is_empty() || text.contains(char::is_whitespace) {
        return Err(Problem::expected("an owner such as \"web\" or \"root:web\"", node));
    }
    Ok(text)
}
