//! Ports that two units want at the same time.

use std::collections::BTreeMap;
use std::path::Path;

use crate::config::{Command, Condition, Config, Diagnostic, Listen, Placed, Probe, Stage, Unit};

/// Where `listen` opens a socket: a port, or a path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Door<'a> {
    Port(u16),
    Path(&'a Path),
}

/// Returns a warning for each address that two units want at the same time.
pub(super) fn remarks(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut known: BTreeMap<Door<'_>, Vec<(&Unit, &Placed<Listen>)>> = BTreeMap::new();
    for unit in config.units.iter().filter(|unit| unit.stage == Stage::Async) {
        for listen in &unit.listen {
            let door = match &listen.value {
                Listen::Unix(path) => Door::Path(path),
                other => Door::Port(other.port().unwrap_or_default()),
            };
            let others = known.entry(door).or_default();
            let is_other = |(other, at): &&(&Unit, &Placed<Listen>)| {
                !same(unit, other) && meet(&listen.value, &at.value) && run_together(unit, other)
            };
            if let Some((other, at)) = others.iter().find(is_other) {
                found.push(twice(unit, listen, other, at));
            }
            others.push((unit, listen));
        }
    }
    for unit in config.units.iter().filter(|unit| unit.stage == Stage::Async) {
        let Some(ready) = unit.ready.as_ref().filter(|_| unit.command != Command::Nothing) else {
            continue;
        };
        let Probe::Tcp(address) = &ready.probe.value else { continue };
        let listens = |it: &&(&Unit, &Placed<Listen>)| {
            !same(unit, it.0) && it.1.value.port() == Some(address.port) && run_together(unit, it.0)
        };
        let own = unit.listen.iter().any(|at| at.value.port() == Some(address.port));
        let others = known.get(&Door::Port(address.port));
        if let Some((other, _)) = others.and_then(|all| all.iter().find(listens)).filter(|_| !own) {
            let (id, port) = (unit.id(), address.port);
            let text = format!(
                "`ready` of {id} passes as soon as trc listens on port {port} for {}, whether {id} listens or not",
                other.id()
            );
            found.push(Diagnostic::warning(ready.probe.origin.clone(), text).help(
                "give each unit a port of its own, or another `ready`, such as a line of its output",
            ));
        }
    }
    found
}

fn same(unit: &Unit, other: &Unit) -> bool {
    unit.stage == other.stage && unit.name == other.name
}

fn twice(unit: &Unit, listen: &Placed<Listen>, other: &Unit, at: &Placed<Listen>) -> Diagnostic {
    let what = match (&listen.value, &at.value) {
        (Listen::Unix(path), _) => path.display().to_string(),
        (one, _) => format!("port {}", one.port().unwrap_or_default()),
    };
    let text = format!("{} and {} both listen on {what}", other.id(), unit.id());
    let mut found = Diagnostic::warning(listen.origin.clone(), text);
    if unit.declared_id() == other.declared_id() {
        let help = "let each instance have its own, such as listen = [\"808${INSTANCE}\"]";
        found.note =
            Some(format!("these are instances of {}: each opens the socket", unit.declared_id()));
        return found.help(help);
    }
    found.note = Some(format!(
        "{} has it at {}; the one that starts later fails: Address already in use",
        other.id(),
        at.origin
    ));
    found.help(match listen.value {
        Listen::Unix(_) => "give each unit a socket of its own",
        Listen::Port(_) | Listen::Tcp(_) => "give each unit a port of its own",
    })
}

/// Returns whether two sockets cannot be open at the same time: bind(2), EADDRINUSE.
fn meet(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Tcp(one), Listen::Tcp(other)) => {
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() == other.port() && (any || one.ip() == other.ip())
        }
        // A port without an address is one on all addresses.
        (Listen::Unix(one), Listen::Unix(other)) => one == other,
        (Listen::Unix(_), _) | (_, Listen::Unix(_)) => false,
        (one, other) => one.port() == other.port(),
    }
}

/// Returns whether both units run at the same time as far as the configuration says: none of them
/// waits for the end of the other, and both start by themselves.
fn run_together(unit: &Unit, other: &Unit) -> bool {
    let ends = |condition: Option<Condition>| {
        matches!(condition, Some(Condition::Exited | Condition::Succeeded | Condition::Failed))
    };
    let waits = |one: &Unit, other: &Unit| {
        let id = other.id();
        one.after.iter().any(|after| after.unit.value == id && ends(after.condition))
    };
    let tells = |one: &Unit, other: &Unit| {
        let id = other.id();
        one.before.iter().any(|before| before.unit.value == id && ends(before.condition))
    };
    let alone =
        waits(unit, other) || waits(other, unit) || tells(unit, other) || tells(other, unit);
    !alone && unit.autostart && other.autostart
}
