//! The layers that the command line makes.

use super::cli::CommandLine;
use super::value::{Node, Table, Value, insert};
use super::{Command, Origin, Stage};

/// The settings that flags make.
pub(super) fn settings(line: &CommandLine) -> Table {
    let mut layer = Table::new();
    let path = |path: &[&str]| path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
    if let Some(wait) = &line.wait {
        insert(&mut layer, &path(&["wait"]), Node::text(wait, Origin::Flag("--wait".into())), 0);
    }
    if let Some(level) = &line.log_level {
        let node = Node::text(level, Origin::Flag("--log-level".into()));
        insert(&mut layer, &path(&["log", "level"]), node, 0);
    }
    layer
}

/// The name of the trailing command's unit.
const TRAILING: &str = "cmd";

/// Whether the command line may have a unit of this name: `D1`, or `cmd`.
pub(super) fn is_name(stage: Stage, name: &str) -> bool {
    let digits = stage.letter().and_then(|letter| name.strip_prefix(letter));
    let is_number = |digits: &str| {
        !digits.starts_with('0')
            && !digits.is_empty()
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    digits.is_some_and(is_number) || stage == Stage::Sync && name == TRAILING
}

/// The full name of a unit that the command line may have, by that or its bare one.
pub(super) fn full_name(name: &str) -> Option<String> {
    let (stages, bare) = match name.split_once('.') {
        Some((stage, bare)) => {
            (Stage::ALL.into_iter().filter(|s| s.name() == stage).collect(), bare)
        }
        None => (Vec::from(Stage::ALL), name),
    };
    let stage = stages.into_iter().find(|stage| is_name(*stage, bare))?;
    Some(format!("{stage}.{bare}"))
}

/// The units of the command line, named by flag and number.
pub(super) fn units(line: &CommandLine, order: u64) -> Table {
    let mut layer = Table::new();
    let mut numbers = [0; Stage::ALL.len()];
    let boot = line.boot.iter().map(|command| (Stage::Boot, command));
    let others = line.units.iter().map(|(stage, command)| (*stage, command));
    for (at, (stage, command)) in (order..).zip(boot.chain(others)) {
        let Some(letter) = stage.letter() else { continue };
        let number = &mut numbers[stage as usize];
        *number += 1;
        let name = format!("{letter}{number}");
        let value = Value::Command(Command::Script(command.clone()));
        let node = Node { value, origin: Origin::Flag(format!("-{letter}").into()) };
        insert(&mut layer, &[stage.name().to_owned(), name, "script".to_owned()], node, at);
    }
    if !line.trailing.is_empty() {
        let value = Value::Command(Command::Words(line.trailing.clone()));
        let node = Node { value, origin: Origin::Flag("the command line".into()) };
        let path = [Stage::Sync.name().to_owned(), TRAILING.to_owned(), "exec".to_owned()];
        insert(&mut layer, &path, node, u64::MAX);
    }
    layer
}
