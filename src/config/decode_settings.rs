//! The settings that aren't a unit's.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::decode::{Decoder, Fields};
use super::decode_unit::by_unit;
use super::leaf::{self, Problem};
use super::suggest::nearest;
use super::time::duration;
use super::value::{Entry, Node, Value, shown};
use super::{Exit, Log, Origin, Own, Shutdown, SignalRule, UnitRef, WaitPolicy, schema};
use crate::signal::Signal;

impl Decoder<'_> {
    /// `wait`.
    pub(super) fn wait(&mut self, top: &Fields) -> WaitPolicy {
        self.get(top, "wait", leaf::wait).unwrap_or_default()
    }

    /// `shell`.
    pub(super) fn shell(&mut self, top: &Fields) -> Option<Vec<OsString>> {
        let node = &top.entry("shell")?.node;
        let environment = self.environment;
        let words = self.words("shell", node)?;
        let mut shell = Vec::new();
        for word in words {
            let word = word.expand(&|name| leaf::lookup(environment, name));
            shell.push(self.read("shell", node, |_, _| word.map_err(Problem::undefined))?);
        }
        Some(shell)
    }

    /// `[shutdown]`.
    pub(super) fn shutdown(&mut self, top: &Fields) -> Shutdown {
        let table = self.names("shutdown", top.entry("shutdown"));
        let fields = self.fields(" in `[shutdown]`", schema::SHUTDOWN, table);
        Shutdown { timeout: self.get(&fields, "timeout", duration) }
    }

    /// `[log]`; `level` is what holds if nothing was written.
    pub(super) fn log(&mut self, top: &Fields, level: log::LevelFilter) -> Log {
        let table = self.names("log", top.entry("log"));
        let fields = self.fields(" in `[log]`", schema::LOG, table);
        let origin = fields.entry("level").map(|level| &level.node.origin);
        Log {
            asked: origin.is_some_and(|origin| !matches!(origin, Origin::File { .. })),
            level: self.get(&fields, "level", leaf::level).unwrap_or(level),
            format: self.get(&fields, "format", leaf::choice).unwrap_or_default(),
            output: self.get(&fields, "output", leaf::choice),
        }
    }

    /// `[exit]`.
    pub(super) fn exit(&mut self, top: &Fields) -> Exit {
        let mut exit = Exit::default();
        for (from, entry) in self.names("exit", top.entry("exit")).into_iter().flatten() {
            match from.as_str() {
                "stopped" => exit.stopped = self.read("exit.stopped", &entry.node, leaf::status),
                "unit" => exit.own = self.owners(entry),
                _ => {
                    let name = Node::text(from.clone(), entry.key.clone());
                    let from = self.read("exit", &name, |node, environment| {
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
                    let to = self.read("exit", &entry.node, leaf::status);
                    if let (Some(from), Some(to)) = (from, to) {
                        exit.statuses.insert(from, to);
                    }
                }
            }
        }
        exit
    }

    /// `exit.unit`: the units whose own status counts, in the order in which they were written.
    fn owners(&mut self, entry: &Entry) -> Vec<UnitRef> {
        let Some(table) = self.names("exit.unit", Some(entry)) else { return Vec::new() };
        let mut owners = Vec::new();
        for (name, entry) in by_unit(table) {
            let own = self.read("exit.unit", &entry.node, leaf::choice::<Own>);
            if own.is_some() {
                owners.push(UnitRef { value: name, origin: entry.key.clone() });
            }
        }
        owners
    }

    /// `[signals]`.
    pub(super) fn signals(&mut self, top: &Fields) -> BTreeMap<Signal, SignalRule> {
        let mut rules = BTreeMap::new();
        for (name, entry) in self.names("signals", top.entry("signals")).into_iter().flatten() {
            let key = Node::text(name.clone(), entry.key.clone());
            let signal = self.read("signals", &key, |_, _| {
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
            let rule = self.rule(&format!("signals.{name}"), entry);
            if let (Some(signal), Some(rule)) = (signal, rule) {
                rules.insert(signal, rule);
            }
        }
        rules
    }

    fn rule(&mut self, key: &str, entry: &Entry) -> Option<SignalRule> {
        const EXPECTED: &str =
            "\"stop\", \"ignore\", \"reopen\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`";
        let Value::Table(table) = &entry.node.value else {
            return self.read(key, &entry.node, |node, environment| {
                let word = leaf::text(node, environment)?;
                match word.as_str() {
                    "stop" => Ok(SignalRule::Stop),
                    "ignore" => Ok(SignalRule::Ignore),
                    "reopen" => Ok(SignalRule::Reopen),
                    _ => Err(Problem::new(format!(
                        "expected {EXPECTED}, found \"{}\"",
                        shown(&word)
                    ))),
                }
            });
        };
        let fields = self.fields(&format!(" in `{key}`"), schema::FORWARD, Some(table));
        let (forward, to) = (fields.entry("forward"), fields.entry("to"));
        if forward.is_none() && to.is_none() {
            self.problem(key, &entry.node, Problem::new(format!("expected {EXPECTED}")));
            return None;
        }
        let signal = self.get(&fields, "forward", leaf::signal);
        let to = to.map_or(Vec::new(), |to| self.unit_names("to", &to.node));
        Some(SignalRule::Forward { signal, to })
    }
}
