//! Reads tests and their `expect`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::decode::{At, Decoder, Fields};
use super::identity::capability;
use super::unit::says_nothing;
use super::{EXPECT, EXPECT_FAULT, EXPECT_FILE, EXPECT_LISTENER, EXPECT_LOG};
use crate::config::leaf::{self, Leaf, Problem, Reader};
use crate::config::time::positive;
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{
    Address, Asked, Check, During, Environment, Fault, FaultKind, FileCheck, FileKind, Found,
    HttpCheck, Listener, Listening, Needle, Origin, Pattern, Placed, State, StopCheck, Test, Unit,
    UnitRef,
};
use crate::signal::Signal;

/// The default of `during.every`.
const EVERY: Duration = Duration::from_millis(100);
/// The default of `start_within`.
const START_WITHIN: Duration = Duration::from_mins(5);
/// The default of `max_runtime`.
const MAX_RUNTIME: Duration = Duration::from_mins(1);
/// The default of `within` for a test with a fault.
const RECOVERY: Duration = Duration::from_secs(30);

/// The keys of `expect.log`, and the checks that they have made so far.
#[derive(Default)]
pub(super) struct Said {
    pub unit: Option<UnitRef>,
    checks: Vec<Placed<Check>>,
}

/// The keys of `expect.listener`.
#[derive(Default)]
pub(super) struct ListenerKeys {
    pub unit: Option<UnitRef>,
    pub ports: Vec<Listening>,
}

/// The keys of `expect.during`.
#[derive(Default)]
pub(super) struct DuringKeys {
    pub tcp: Option<Address>,
    pub unix: Option<PathBuf>,
    pub http: Option<HttpCheck>,
    pub every: Option<Duration>,
    pub errors: Option<u32>,
    pub broken: Option<u32>,
    pub longest_gap: Option<Duration>,
}

/// The keys of `expect.fault`.
#[derive(Default)]
pub(super) struct FaultKeys {
    pub unit: Option<UnitRef>,
    pub kill: Option<Signal>,
    pub stop: Option<Duration>,
    pub down: Option<bool>,
    pub restarts: Option<Placed<bool>>,
}

impl Decoder<'_> {
    /// Reads a test. `runs` tells whether the test has a command.
    pub(super) fn test(&mut self, unit: &mut Unit, entry: &Entry, fields: &Fields, runs: bool) {
        let mut test = Test {
            checks: Vec::new(),
            stop: StopCheck::default(),
            within: None,
            fault: None,
            job: None,
            during: None,
            holds: None,
            absent: None,
            after_stop: Vec::new(),
            allow: Vec::new(),
            start_within: START_WITHIN,
            max_runtime: MAX_RUNTIME,
            once: false,
        };
        self.test_run_keys(fields, unit);
        self.test_keys(fields, &mut test);
        self.identity_keys(fields, &mut unit.identity);
        let expect = fields.entry("expect");
        let written = |key: &str| expect?.node.as_table()?.get(key);
        if runs && written("exit").is_none() {
            // Unless `exit` is written, the command is expected to exit with 0.
            let check = Placed { value: Found::Exit(vec![0]).into(), origin: Origin::Default };
            test.checks.insert(0, check);
        }
        for key in ["exit", "stdout", "stderr"] {
            if let Some(entry) = written(key).filter(|_| !runs) {
                let message = format!(
                    "`expect.{key}`: this test has no command, so there is nothing to compare"
                );
                let help = "add an `exec` or a `script`".to_owned();
                self.error(&entry.key, message, Some(help));
            }
        }
        if let Some(entry) = fields.entry("once").filter(|_| test.once && !runs) {
            let message = "`once`: this test has no command that could run once";
            self.error(&entry.key, message, Some("add an `exec` or a `script`".to_owned()));
        }
        let expects = |key: &String| key != "within" && key != "holds";
        // An `expect` that is not a table was reported.
        let says = expect.is_some_and(|expect| {
            expect.node.as_table().is_none_or(|table| table.keys().any(expects))
        });
        let id = unit.id();
        if !says && !runs && !fields.has_unknown() {
            let message = format!("{id} expects nothing, so it cannot fail");
            let help = "add a command, or a key of `expect`".to_owned();
            self.error(&entry.key, message, Some(help));
        }
        if self.testing && says_nothing(&unit.command) && test.asks_for_status_alone() {
            let origin = fields.entry("script").map_or(&entry.key, |script| &script.key);
            let message = format!("the script of {id} does nothing, so the test cannot fail");
            let help = "add a command, or a key of `expect`".to_owned();
            self.error(origin, message, Some(help));
        }
        if let Some(entry) = written("max_log_rate")
            && test.holds.is_none_or(|holds| holds < Duration::from_secs(1))
        {
            let message = "`expect.max_log_rate` needs `holds`, of at least 1 s: trc counts lines for that long";
            self.error(&entry.key, message, Some("write `holds = \"10s\"`".to_owned()));
        }
        if let Some(during) = test.during.as_ref().filter(|_| test.fault.is_none()) {
            let message = "`expect.during`: nothing goes on in this test".to_owned();
            let help = "add a `restart` or a `fault`".to_owned();
            self.error(&during.origin, message, Some(help));
        }
        if let (Some(fault), Some(job)) = (&test.fault, &test.job) {
            let message = format!(
                "{id} cannot run the job {} and damage {}: its checks have to follow one of them",
                job.value, fault.value.unit.value
            );
            let help = "declare a test for each of the two".to_owned();
            self.error(&job.origin, message, Some(help));
        }
        test.within = test.within.or(test.fault.as_ref().map(|_| RECOVERY));
        unit.test = Some(Box::new(test));
    }

    /// Reads `expect`.
    pub(super) fn expect(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, EXPECT) else { return };
        self.expect_keys(&fields, test);
    }

    /// Adds the check that one value makes.
    pub(super) fn one<T, C: Into<Check>>(
        &mut self,
        test: &mut Test,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
        check: impl FnOnce(T) -> C,
    ) {
        if let Some(Placed { value, origin }) = self.placed(at, entry, leaf) {
            test.checks.push(Placed { value: check(value).into(), origin });
        }
    }

    /// Adds the check that a value makes, or those that each value of an array makes.
    pub(super) fn many<T, C: Into<Check>>(
        &mut self,
        test: &mut Test,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
        check: impl Fn(T) -> C,
    ) {
        for Placed { value, origin } in self.some(at, entry, leaf) {
            test.checks.push(Placed { value: check(value).into(), origin });
        }
    }

    /// Reads `expect.exit`.
    pub(super) fn exit_status(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let statuses = self.some_of(at, entry, leaf::status);
        push(test, entry, statuses.map(Found::Exit));
    }

    /// Reads `expect.capabilities`.
    pub(super) fn no_others(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let list = self.list(at, entry, capability);
        let set = |list: Vec<Placed<u8>>| list.iter().fold(0, |set, one| set | (1 << one.value));
        push(test, entry, list.map(set).map(State::Capabilities));
    }

    /// Reads `expect.file`.
    pub(super) fn file_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, EXPECT_FILE) else { return };
        let mut file = FileCheck { exists: true, ..FileCheck::default() };
        self.file_keys(&fields, &mut file);
        if fields.lacks("path") {
            self.error(&entry.key, format!("`{at}` needs a `path`"), None);
        }
        let others =
            ["mode", "owner", "contains", "type", "target", "size", "sha256", "newer_than"];
        for key in others {
            if let Some(entry) = fields.entry(key).filter(|_| !file.exists) {
                let message = format!(
                    "`{at}.{key}` cannot be checked, because the file must not exist (`exists = false`)"
                );
                self.error(&entry.key, message, None);
            }
        }
        if let Some(entry) = fields.entry("target")
            && file.kind.is_some_and(|kind| kind != FileKind::Symlink)
        {
            let message = format!("`{at}.target`: only a symbolic link leads somewhere");
            self.error(&entry.key, message, Some("write type = \"symlink\"".to_owned()));
        }
        if file.sha256.is_some() {
            push(test, entry, Some(Asked::File(file)));
        } else {
            push(test, entry, Some(State::File(file)));
        }
    }

    /// Reads `expect.user`: the user of the processes in `running`, or else of the units.
    pub(super) fn user(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(whose) = self.get(at, entry, leaf::id) else { return };
        let mut of_units = true;
        for check in &mut test.checks {
            if let Check::Found(Found::Now(State::Running { process, user })) = &mut check.value {
                *user = Some(whose.clone()).filter(|_| !process.negated);
                of_units = false;
            }
        }
        if of_units {
            let origin = entry.node.origin.clone();
            test.checks.push(Placed { value: State::User(whose).into(), origin });
        }
    }

    /// Reads `expect.listening_only`.
    pub(super) fn listening_only(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        push(test, entry, self.all_of(at, entry, allowed_port).map(State::ListeningOnly));
    }

    /// Reads `expect.listener`.
    pub(super) fn listener(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, EXPECT_LISTENER) else { return };
        let mut keys = ListenerKeys::default();
        self.listener_keys(&fields, &mut keys);
        for key in ["unit", "ports"] {
            if fields.lacks(key) {
                self.error(&entry.key, format!("`{at}` needs `{key}`"), None);
            }
        }
        let listener = keys.unit.map(|unit| Listener { unit, ports: keys.ports });
        push(test, entry, listener.map(State::Listener));
    }

    /// Reads `expect.log`.
    pub(super) fn log_check(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, EXPECT_LOG) else { return };
        let mut said = Said::default();
        self.said_keys(&fields, &mut said);
        if fields.lacks("contains") && fields.lacks("forbids") {
            let help = "add `contains` or `forbids`".to_owned();
            self.error(&entry.key, format!("`{at}` needs a text to look for"), Some(help));
        }
        test.checks.append(&mut said.checks);
    }

    /// Adds a check for each text that units have to print, or must not print.
    pub(super) fn said(&mut self, said: &mut Said, at: &At, entry: &Entry, forbids: bool) {
        let read = if forbids { forbidden } else { pattern };
        for Placed { value, origin } in self.some(at, entry, read) {
            if forbids && value.negated {
                let message =
                    "`forbids` already means that the text must not appear: remove the `!`";
                let help = "use `contains` if the text must appear".to_owned();
                self.error(&origin, message, Some(help));
            }
            let (unit, forbidden) = (said.unit.clone(), forbids || value.negated);
            let value = Found::Said { unit, needle: value.needle, forbidden }.into();
            said.checks.push(Placed { value, origin });
        }
    }

    /// Reads `expect.stop_status`.
    pub(super) fn stop_status(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        test.stop.statuses = self.some_of(at, entry, leaf::status).unwrap_or_default();
    }

    /// Reads `expect.stop_within`.
    pub(super) fn stop_within(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        test.stop.within = self.get(at, entry, positive);
    }

    /// Reads `expect.after_stop`.
    pub(super) fn after_stop(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, super::AFTER_STOP) else { return };
        // Its keys add checks as those of `expect` do.
        let before = std::mem::take(&mut test.checks);
        self.after_stop_keys(&fields, test);
        test.after_stop = std::mem::replace(&mut test.checks, before);
        if fields.lacks("file") {
            self.error(&entry.key, format!("`{at}` needs a `file`"), None);
        }
    }

    /// Reads `expect.during`.
    pub(super) fn during(&mut self, at: &At, entry: &Entry) -> Option<Placed<During>> {
        let fields = self.table(at, entry, super::EXPECT_DURING)?;
        let mut keys = DuringKeys::default();
        self.during_keys(&fields, &mut keys);
        let asked = keys.http.map(Box::new).map(Asked::Http);
        let asked = asked.or(keys.tcp.map(Asked::Tcp)).or(keys.unix.map(Asked::Unix));
        if ["http", "tcp", "unix"].iter().all(|key| fields.lacks(key)) {
            self.error(&entry.key, format!("`{at}` needs an `http`, a `tcp` or a `unix`"), None);
        }
        // With a gap, attempts fail while it lasts.
        let none = (keys.longest_gap.is_none() && keys.broken.is_none()).then_some(0);
        let value = During {
            asked: asked?,
            every: keys.every.unwrap_or(EVERY),
            errors: keys.errors.or(none),
            broken: keys.broken,
            longest_gap: keys.longest_gap,
        };
        Some(Placed { value, origin: entry.key.clone() })
    }

    /// Reads `expect.restart`.
    pub(super) fn restarted(&mut self, test: &mut Test, at: &At, entry: &Entry) {
        let Some(unit) = self.placed(at, entry, leaf::text) else { return };
        if test.fault.is_some() {
            let message = format!("`{at}`: a test that has a `fault` cannot restart a unit, too");
            let help = "declare a test for each of the two".to_owned();
            return self.error(&entry.key, message, Some(help));
        }
        let value = Fault { unit, kind: FaultKind::Restart, restarts: None };
        test.fault = Some(Placed { value, origin: entry.key.clone() });
    }

    /// Reads `expect.fault`.
    pub(super) fn fault(&mut self, at: &At, entry: &Entry) -> Option<Placed<Fault>> {
        let fields = self.table(at, entry, EXPECT_FAULT)?;
        let mut keys = FaultKeys::default();
        self.fault_keys(&fields, &mut keys);
        if let Some(Placed { value: false, origin }) = &keys.restarts
            && keys.kill == Some(Signal::KILL)
        {
            let message = format!("`{at}.restarts = false`: no process survives SIGKILL");
            self.error(origin, message, None);
        }
        if fields.lacks("unit") {
            self.error(&entry.key, format!("`{at}` needs a `unit`"), None);
        }
        if let Some(Placed { origin, .. }) =
            keys.restarts.as_ref().filter(|_| keys.down == Some(true))
        {
            let message = format!(
                "`{at}.restarts` says nothing here: after `down`, trc itself starts the unit again"
            );
            self.error(origin, message, None);
        }
        let no_down = fields.lacks("down") || keys.down == Some(false);
        if fields.lacks("kill") && fields.lacks("stop") && no_down {
            let message = format!("`{at}` needs a `kill`, a `stop` or `down = true`");
            self.error(&entry.key, message, None);
        }
        let down = keys.down.filter(|down| *down).map(|_| FaultKind::Down);
        let kind = keys.kill.map(FaultKind::Kill).or(keys.stop.map(FaultKind::Stop)).or(down)?;
        let restarts = keys.restarts.map(|restarts| restarts.value);
        let value = Fault { unit: keys.unit?, kind, restarts };
        Some(Placed { value, origin: entry.key.clone() })
    }
}

/// Adds the check that a key makes as a whole.
pub(super) fn push(test: &mut Test, entry: &Entry, check: Option<impl Into<Check>>) {
    let placed = |check: _| Placed { value: Into::into(check), origin: entry.key.clone() };
    test.checks.extend(check.map(placed));
}

/// Returns the state that a process runs, whichever user it has.
pub(super) fn running(process: Pattern) -> State {
    State::Running { process, user: None }
}

/// Reads a signal that does lasting damage to a unit: a suspended process only has to be resumed.
pub(super) fn fault_signal(node: &Node, environment: &Environment) -> Leaf<Signal> {
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

/// Reads the time between two attempts of a probe that goes on.
pub(super) fn often(node: &Node, environment: &Environment) -> Leaf<Duration> {
    const LEAST: Duration = Duration::from_millis(10);
    let every = positive(node, environment)?;
    if every < LEAST {
        return Err(Problem::new("this must be at least 10 ms"));
    }
    Ok(every)
}

/// Reads whether a test keeps a unit down.
pub(super) fn kept_down(node: &Node, environment: &Environment) -> Leaf<bool> {
    leaf::boolean(node, environment).map_err(|problem| Problem {
        help: Some(
            "the unit is down for as long as the other checks take: write `down = true`, and \
             `holds = \"10s\"` if they have to hold for some time"
                .to_owned(),
        ),
        ..problem
    })
}

/// Reads a text or a `/regular expression/`, either of them with or without a `!` before it.
pub(super) fn pattern(node: &Node, environment: &Environment) -> Leaf<Pattern> {
    needle(node, environment, false)
}

/// Does the same for a text that must not appear, with or without a `!`.
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

/// Reports a text that is probably meant to be a regular expression: `/error/i` and, if the text
/// must not appear and so would never be missed, `/error`. A path is a text.
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
        // The flags g, m and u change nothing: every match counts, wherever it is in the text.
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

/// Reads a port: `25`, `"25/tcp"`, `"127.0.0.1:53/udp"`, `"!23"`.
pub(super) fn port(node: &Node, environment: &Environment) -> Leaf<Listening> {
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
    read(&text).ok_or_else(|| {
        // As other programs write any address, or none.
        let bare = text.strip_prefix("*:").or_else(|| text.strip_prefix(':'));
        let bare = bare
            .or_else(|| text.strip_prefix("tcp://"))
            .or_else(|| text.strip_prefix("localhost:"));
        let right = bare.filter(|bare| read(bare).is_some()).map(|bare| {
            if text.starts_with("localhost") {
                format!("127.0.0.1:{bare}")
            } else {
                bare.to_owned()
            }
        });
        let help = right.map(|right| format!("write \"{}\"", shown(&right)));
        Problem { help, ..Problem::expected(EXPECTED, node) }
    })
}

/// Reads a port without `!`.
pub(super) fn allowed_port(node: &Node, environment: &Environment) -> Leaf<Listening> {
    let port = port(node, environment)?;
    if port.negated {
        let help = "write the ports that something may listen on".to_owned();
        return Err(Problem { help: Some(help), ..Problem::new("`!` has no meaning here") });
    }
    Ok(port)
}

/// Reads `USER` or `USER:GROUP`.
pub(super) fn owner(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = match &node.value {
        Value::Integer(number, _) if *number >= 0 => number.to_string(),
        Value::Integer(..) => String::new(),
        _ => leaf::text(node, environment)?,
    };
    let (user, group) = text.split_once(':').unwrap_or((&text, "-"));
    if user.is_empty() || group.is_empty() || text.contains(char::is_whitespace) {
        return Err(Problem::expected("an owner such as \"web\" or \"root:web\"", node));
    }
    Ok(text)
}
