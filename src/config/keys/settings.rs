//! Reads the settings that do not belong to a unit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::decode::{At, Decoder, Fields};
use super::unit::by_unit;
use super::{CONTROL, FORWARD, LOG, SHUTDOWN};
use crate::config::leaf::{self, Leaf, Problem};
use crate::config::suggest::nearest;
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{
    Access, Config, ControlSocket, Environment, Exit, Origin, Own, SignalRule, Termination, UnitRef,
};
use crate::signal::Signal;

/// The keys of a signal's table.
#[derive(Default)]
pub(super) struct Forward {
    pub forward: Option<Signal>,
    pub to: Vec<UnitRef>,
}

/// Reads `false`, or the path of a socket.
pub(super) fn socket(node: &Node, environment: &Environment) -> Leaf<ControlSocket> {
    let path = match &node.value {
        Value::Boolean(false) => return Ok(ControlSocket::None),
        Value::String(_) => leaf::text(node, environment)?,
        _ => return Err(Problem::expected("false, or the path of a socket", node)),
    };
    match path.as_str() {
        "false" => Ok(ControlSocket::None),
        _ => place(path).map(ControlSocket::At),
    }
}

/// Reads a boolean, or the path of the socket for syslog.
pub(super) fn syslog(node: &Node, environment: &Environment) -> Leaf<Option<PathBuf>> {
    let usual = || Some(PathBuf::from("/dev/log"));
    let path = match &node.value {
        Value::Boolean(on) => return Ok(if *on { usual() } else { None }),
        Value::String(_) => leaf::text(node, environment)?,
        _ => return Err(Problem::expected("true, false, or the path of a socket", node)),
    };
    match path.as_str() {
        "true" => Ok(usual()),
        "false" => Ok(None),
        text if !text.contains('/') => {
            Err(Problem::expected("true, false, or the path of a socket", node))
        }
        _ => place(path).map(Some),
    }
}

/// Checks the path of a socket.
fn place(path: String) -> Leaf<PathBuf> {
    /// The longest path of a socket, in bytes: unix(7).
    const LONGEST: usize = 107;
    match path.as_str() {
        _ if !path.starts_with('/') => Err(Problem::new("the path must begin with `/`")),
        _ if path.len() > LONGEST => {
            Err(Problem::new(format!("the path of a socket has at most {LONGEST} bytes")))
        }
        _ => Ok(path.into()),
    }
}

/// Reads `false`, or the path of the file for the reason why the run ended.
pub(super) fn termination(node: &Node, environment: &Environment) -> Leaf<Termination> {
    match &node.value {
        Value::Boolean(false) => Ok(Termination::None),
        Value::String(_) if leaf::text(node, environment)? == "false" => Ok(Termination::None),
        Value::String(_) => leaf::absolute(node, environment).map(Termination::At),
        _ => Err(Problem::expected("false, or the path of a file", node)),
    }
}

/// Reads the size of the memory for the units' output; 0 keeps none.
pub(super) fn buffer(node: &Node, environment: &Environment) -> Leaf<u64> {
    const MOST: u64 = 1 << 30;
    let size = match &node.value {
        Value::Integer(0, _) => 0,
        _ => leaf::size(node, environment)?,
    };
    if size > MOST { Err(Problem::new("the most is 1GiB")) } else { Ok(size) }
}

impl Decoder<'_> {
    /// Reads the top-level keys of the configuration into `config`.
    pub(in crate::config) fn top(&mut self, fields: &Fields, config: &mut Config) {
        self.top_keys(fields, config);
    }

    /// Reads `shell`.
    pub(super) fn shell(&mut self, at: &At, entry: &Entry) -> Option<Vec<OsString>> {
        let environment = self.environment;
        let mut shell = Vec::new();
        for word in self.words(at, entry)? {
            let word = word.expand(&|name| leaf::lookup(environment, name));
            shell.push(self.read(at, &entry.node, |_, _| word.map_err(Problem::unexpanded))?);
        }
        Some(shell)
    }

    /// Reads `[shutdown]`.
    pub(super) fn shutdown(&mut self, config: &mut Config, at: &At, entry: &Entry) {
        if let Some(fields) = self.table(at, entry, SHUTDOWN) {
            self.shutdown_keys(&fields, &mut config.shutdown);
        }
    }

    /// Reads `[log]`.
    pub(super) fn log(&mut self, config: &mut Config, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, LOG) else { return };
        self.log_keys(&fields, &mut config.log);
        let level = fields.entry("level").map(|level| &level.node.origin);
        config.log.asked = level.is_some_and(|origin| !matches!(origin, Origin::File { .. }));
    }

    /// Reads `[control]`.
    pub(super) fn control(&mut self, config: &mut Config, at: &At, entry: &Entry) {
        if let Some(fields) = self.table(at, entry, CONTROL) {
            self.control_keys(&fields, &mut config.control);
        }
    }

    /// Reads `control.allow`.
    pub(super) fn allow(&mut self, at: &At, entry: &Entry) -> Option<BTreeMap<String, Access>> {
        let mut allow = BTreeMap::new();
        for (name, entry) in self.names(at, entry)? {
            let at = &at.key(name);
            if name.trim_start_matches('@').is_empty() {
                let key = Node::text(name.clone(), entry.key.clone());
                let why = "expected the name of a user, or `@` and the name of a group";
                self.problem(at, &key, Problem::new(why));
            }
            if let Some(access) = self.get(at, entry, leaf::choice::<Access>) {
                allow.insert(name.clone(), access);
            }
        }
        Some(allow)
    }

    /// Reports a stage that is not a table. [`Decoder::unit`] reads the units of a stage.
    pub(super) fn stage(&mut self, _: &mut Config, at: &At, entry: &Entry) {
        _ = self.names(at, entry);
    }

    /// Reads `[exit]`.
    pub(super) fn exit(&mut self, at: &At, entry: &Entry) -> Option<Exit> {
        let mut exit = Exit::default();
        for (from, entry) in self.names(at, entry)? {
            let at = &at.key(from);
            match from.as_str() {
                "stopped" => exit.stopped = self.get(at, entry, leaf::status),
                "unit" => exit.own = self.owners(at, entry),
                _ => {
                    let name = Node::text(from.clone(), entry.key.clone());
                    let from = self.read(at, &name, |node, environment| {
                        leaf::status(node, environment).map_err(|problem| {
                            if from.bytes().all(|byte| byte.is_ascii_digit()) {
                                return problem;
                            }
                            let right = nearest(from, ["stopped", "unit"]);
                            let help = right.map(|right| format!("did you mean `{right}`?"));
                            let what = "an exit status, `stopped` or `unit`";
                            Problem { help, ..Problem::expected(what, node) }
                        })
                    });
                    let to = self.get(at, entry, leaf::status);
                    if let (Some(from), Some(to)) = (from, to) {
                        exit.statuses.insert(from, to);
                    }
                }
            }
        }
        Some(exit)
    }

    /// Reads `exit.unit`: the units whose own exit status counts, in the order in which they were
    /// written.
    fn owners(&mut self, at: &At, entry: &Entry) -> Vec<UnitRef> {
        let mut owners = Vec::new();
        for (name, entry) in self.names(at, entry).map(by_unit).unwrap_or_default() {
            if self.get(&at.key(&name), entry, leaf::choice::<Own>).is_some() {
                owners.push(UnitRef { value: name, origin: entry.key.clone() });
            }
        }
        owners
    }

    /// Reads `[signals]`.
    pub(super) fn signals(
        &mut self,
        at: &At,
        entry: &Entry,
    ) -> Option<BTreeMap<Signal, SignalRule>> {
        let mut rules = BTreeMap::new();
        for (name, entry) in self.names(at, entry)? {
            let at = &at.key(name);
            let key = Node::text(name.clone(), entry.key.clone());
            let signal = self.read(at, &key, |_, _| {
                let signal = leaf::signal_name(name)?;
                let why = if [Signal::KILL, Signal::STOP].contains(&signal) {
                    "cannot be caught"
                } else if signal.number() == libc::SIGCHLD {
                    "is reserved for trc: it reports that a child process has exited"
                } else {
                    return Ok(signal);
                };
                Err(Problem::new(format!("{signal} {why}")))
            });
            let rule = self.rule(at, entry);
            if let (Some(signal), Some(rule)) = (signal, rule) {
                rules.insert(signal, rule);
            }
        }
        Some(rules)
    }

    fn rule(&mut self, at: &At, entry: &Entry) -> Option<SignalRule> {
        const EXPECTED: &str = "\"stop\", \"ignore\", \"reopen\", \"reload\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`";
        let Value::Table(table) = &entry.node.value else {
            return self.get(at, entry, |node, environment| {
                let word = leaf::text(node, environment)?;
                match word.as_str() {
                    "stop" => Ok(SignalRule::Stop),
                    "ignore" => Ok(SignalRule::Ignore),
                    "reopen" => Ok(SignalRule::Reopen),
                    "reload" => Ok(SignalRule::Reload),
                    _ => {
                        let help = leaf::signal_name(&word).ok().map(|signal| {
                            format!("write {{ forward = \"{signal}\", to = [\"NAME\"] }} with the name of a unit")
                        });
                        let message = format!("expected {EXPECTED}, found \"{}\"", shown(&word));
                        Err(Problem { help, ..Problem::new(message) })
                    }
                }
            });
        };
        let fields = self.fields(*at, FORWARD, table);
        if fields.entry("forward").is_none() && fields.entry("to").is_none() {
            self.problem(at, &entry.node, Problem::new(format!("expected {EXPECTED}")));
            return None;
        }
        let mut keys = Forward::default();
        self.forward_keys(&fields, &mut keys);
        Some(SignalRule::Forward { signal: keys.forward, to: keys.to })
    }
}
