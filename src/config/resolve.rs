//! Which units are meant by the names that units and signals have in them.

use std::collections::{BTreeMap, BTreeSet};

use super::leaf::one_of;
use super::suggest::nearest;
use super::value::shown;
use super::{Config, Diagnostic, SignalRule, Stage, UnitRef, decode_test};

/// What names stand for.
pub struct Names<'a> {
    ids: BTreeSet<&'a str>,
    /// The full names that a bare one may mean.
    bare: BTreeMap<&'a str, Vec<&'a str>>,
    disabled: &'a BTreeSet<String>,
}

impl<'a> Names<'a> {
    /// All units that are declared, and which of them are disabled.
    pub fn new(ids: &'a [String], disabled: &'a BTreeSet<String>) -> Self {
        let mut bare: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let named = || ids.iter().filter_map(|id| Some((id, id.split_once('.')?)));
        let test = Stage::Test.name();
        for (id, (_, name)) in named().filter(|(_, (stage, _))| *stage != test) {
            bare.entry(name).or_default().push(id);
        }
        // A test, which may be somebody else's and mounted, takes no service's name away.
        for (id, (_, name)) in named().filter(|(_, (stage, _))| *stage == test) {
            bare.entry(name).or_insert_with(|| vec![id]);
        }
        Self { ids: ids.iter().map(String::as_str).collect(), bare, disabled }
    }

    /// Makes every name of a configuration a full one. Edges to disabled units go away.
    pub fn resolve(&self, config: &mut Config, errors: &mut Vec<Diagnostic>) {
        for unit in &mut config.units {
            let (id, was_about) = (unit.id(), unit.after.first().map(|after| after.unit.clone()));
            unit.after.retain_mut(|after| self.full(&mut after.unit, errors));
            if let Some(test) = &mut unit.test {
                let mut about = Vec::new();
                // Without any it would be about all units.
                about.extend(was_about.filter(|_| unit.after.is_empty()));
                about.extend(test.units_mut().filter_map(|other| {
                    let there = self.full(other, errors);
                    (!there).then(|| other.clone())
                }));
                if config.testing.is_some() {
                    about.retain(|other| self.is_disabled(&other.value));
                    errors.extend(about.iter().map(|other| decode_test::disabled(&id, other)));
                }
            }
            unit.restart.with.retain_mut(|with| self.full(with, errors));
        }
        for rule in config.signals.values_mut() {
            let SignalRule::Forward { to, .. } = rule else { continue };
            let meant_some = !to.is_empty();
            to.retain_mut(|unit| self.full(unit, errors));
            // An empty list would mean all units.
            if meant_some && to.is_empty() {
                *rule = SignalRule::Ignore;
            }
        }
    }

    fn is_disabled(&self, name: &str) -> bool {
        let bare = self.bare.get(name).map(Vec::as_slice);
        let full = if let Some([id]) = bare { id } else { name };
        self.disabled.contains(full)
    }

    /// Makes a name a full one; false if the unit is disabled or there is none.
    fn full(&self, unit: &mut UnitRef, errors: &mut Vec<Diagnostic>) -> bool {
        if !self.ids.contains(unit.value.as_str()) {
            let written = shown(&unit.value);
            match self.bare.get(unit.value.as_str()).map(Vec::as_slice) {
                Some([id]) => unit.value = (*id).to_owned(),
                Some(ids) => {
                    let message = format!("`{written}` may be {}", one_of(ids));
                    errors.push(
                        Diagnostic::error(unit.origin.clone(), message)
                            .help("write the stage before the name"),
                    );
                    return false;
                }
                None => {
                    let mut error = Diagnostic::error(
                        unit.origin.clone(),
                        format!("there is no unit `{written}`"),
                    );
                    let known = self.bare.keys().copied().chain(self.ids.iter().copied());
                    let mut known: Vec<&str> = known.collect();
                    known.sort_unstable();
                    if let Some(right) = nearest(&unit.value, known) {
                        error = error.help(format!("did you mean `{right}`?"));
                    }
                    errors.push(error);
                    return false;
                }
            }
        }
        !self.disabled.contains(&unit.value)
    }
}
