//! The names of units, for the completions of a shell.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::Trc;
use crate::wire::{Ask, Units};

/// The longest time for which somebody who types waits for the names.
const PATIENCE: Duration = Duration::from_millis(500);

/// Returns the names of the units of the trc that runs: the short ones, as far as one unit has it,
/// and the full ones. There are none if trc does not answer, or not soon.
pub fn names() -> Vec<String> {
    let units = Trc::at(None).patient(PATIENCE).get::<Units>(&Ask::Units);
    let full: Vec<String> = units
        .map(|units| units.units.into_iter().map(|unit| unit.name).collect())
        .unwrap_or_default();
    let mut short = BTreeMap::<&str, u32>::new();
    for (_, name) in full.iter().filter_map(|name| name.split_once('.')) {
        *short.entry(name).or_default() += 1;
    }
    let only = short.into_iter().filter(|(_, units)| *units == 1).map(|(name, _)| name.to_owned());
    only.collect::<Vec<_>>().into_iter().chain(full).collect()
}
