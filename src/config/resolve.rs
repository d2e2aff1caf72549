//! Resolution of the names of units in the configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::gone::Gone;
use super::keys::TOP;
use super::keys::key::find;
use super::leaf::{one_of, variants};
use super::suggest::nearest_of_many;
use super::value::{Table, shown};
use super::{
    After, Command, Condition, Config, Diagnostic, SignalRule, Stage, Test, UnitRef, flags,
};

/// The meanings of names.
pub(super) struct Names<'a> {
    ids: BTreeSet<&'a str>,
    /// The full names that a short name may refer to.
    bare: BTreeMap<&'a str, Vec<&'a str>>,
    /// The instances of each unit that has them.
    groups: &'a BTreeMap<String, Vec<String>>,
    gone: &'a BTreeMap<String, Gone>,
    /// The names in top-level tables that are not stages, which is an error of its own.
    misplaced: BTreeSet<&'a str>,
}

/// The most names that are looked for in one string.
const MOST_NAMES: usize = 20;

impl<'a> Names<'a> {
    /// Collects all declared units, with the reason for those that do not exist in this run.
    pub(super) fn new(
        ids: &'a [String],
        groups: &'a BTreeMap<String, Vec<String>>,
        gone: &'a BTreeMap<String, Gone>,
        tree: &'a Table,
    ) -> Self {
        let mut bare: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let ids = || ids.iter().chain(groups.values().flatten());
        let named = || ids().filter_map(|id| Some((id, id.split_once('.')?)));
        let test = Stage::Test.name();
        for (id, (_, name)) in named().filter(|(_, (stage, _))| *stage != test) {
            bare.entry(name).or_default().push(id);
        }
        // A test, which somebody else may have mounted, does not make the name of a service
        // ambiguous.
        for (id, (_, name)) in named().filter(|(_, (stage, _))| *stage == test) {
            bare.entry(name).or_insert_with(|| vec![id]);
        }
        let others = tree.iter().filter(|(name, _)| find(TOP, name).is_none());
        let tables = others.filter_map(|(_, entry)| entry.node.as_table());
        let misplaced = tables.flat_map(Table::keys).map(String::as_str).collect();
        Self { ids: ids().map(String::as_str).collect(), bare, groups, gone, misplaced }
    }

    /// Replaces every name in a configuration by the full name. Removes the references to units
    /// that do not exist in this run. A test has nothing to test if all units in its `after`, or the
    /// unit of a check or of its fault, are such units.
    pub(super) fn resolve(&self, config: &mut Config, errors: &mut Vec<Diagnostic>) {
        for unit in &mut config.units {
            let id = unit.id();
            let was_about = unit.after.first().map(|after| after.unit.clone());
            unit.after = self.each("after", &unit.after, errors);
            unit.before = self.each("before", &unit.before, errors);
            if let Some(test) = &mut unit.test {
                let mut about = Vec::new();
                // Without a reference, the test would be about all units.
                about.extend(was_about.filter(|_| unit.after.is_empty()));
                about.extend(test.units_mut().filter_map(|other| {
                    let there = self.one(other, errors);
                    (!there).then(|| other.clone())
                }));
                let gone = about.iter().find_map(|other| Some((other, self.gone(&other.value)?)));
                if let Some((other, (gone, why))) = gone {
                    if config.testing.is_some() && why != Gone::Absent {
                        let message = format!("{id} will be skipped: {gone} {why}");
                        errors.push(Diagnostic::warning(other.origin.clone(), message));
                    }
                    unit.after.clear();
                    unit.command = Command::Nothing;
                    **test = Test {
                        checks: Vec::new(),
                        within: None,
                        holds: None,
                        fault: None,
                        job: None,
                        during: None,
                        after_stop: Vec::new(),
                        absent: Some(format!("{gone} {why}")),
                        ..(**test).clone()
                    };
                }
            }
            unit.restart.with = self.all(&unit.restart.with, errors);
        }
        config.exit.own = self.all(&config.exit.own, errors);
        for rule in config.signals.values_mut() {
            let SignalRule::Forward { to, .. } = rule else { continue };
            let meant_some = !to.is_empty();
            *to = self.all(to, errors);
            // An empty list would mean all units.
            if meant_some && to.is_empty() {
                *rule = SignalRule::Ignore;
            }
        }
    }

    /// Returns the reason why the unit with this name does not exist in this run, and its full
    /// name.
    fn gone(&self, name: &str) -> Option<(String, Gone)> {
        let full = match self.bare.get(name).map(Vec::as_slice) {
            Some([id]) => id,
            _ => name,
        };
        match self.gone.get(full) {
            Some(why) => Some((full.to_owned(), why.clone())),
            None if self.ids.contains(full) => None,
            None => flags::full_name(full).map(|full| (full, Gone::Absent)),
        }
    }

    /// Returns the names of several units in one string: `db, cache`.
    fn several<'w>(&self, written: &'w str) -> Option<Vec<&'w str>> {
        let parts = written.split([',', ' ']).filter(|part| !part.is_empty());
        let names: Vec<&str> = parts.take(MOST_NAMES + 1).collect();
        let is_known = |name: &&str| self.ids.contains(*name) || self.bare.contains_key(*name);
        let is_list = (2..=MOST_NAMES).contains(&names.len()) && names.iter().all(is_known);
        is_list.then_some(names)
    }

    /// Returns the unit and the condition of a name such as `db:ready` or `db.ready`.
    fn with_condition<'w>(&self, written: &'w str) -> Option<(String, &'w str)> {
        let at = written.rfind([':', '.', '='])?;
        let (name, condition) = (&written[..at], &written[at + 1..]);
        let is_known = self.ids.contains(name) || self.bare.contains_key(name);
        let is_condition = variants::<Condition>().contains(&condition);
        (is_known && is_condition).then(|| (name.to_owned(), condition))
    }

    fn is_misplaced(&self, written: &str) -> bool {
        let name = written.split_once('.').map_or(written, |(_, name)| name);
        self.misplaced.contains(name)
    }

    /// Returns the full names of the units that these names stand for: a unit with instances stands
    /// for all of them. Units that do not exist are left out.
    pub(super) fn all(&self, units: &[UnitRef], errors: &mut Vec<Diagnostic>) -> Vec<UnitRef> {
        let mut all = Vec::new();
        for unit in units {
            all.extend(self.members("after", unit, errors));
        }
        all
    }

    /// Does the same for units with conditions.
    fn each(&self, key: &str, units: &[After], errors: &mut Vec<Diagnostic>) -> Vec<After> {
        let mut all = Vec::new();
        for After { unit, condition } in units {
            let members = self.members(key, unit, errors).into_iter();
            all.extend(members.map(|unit| After { unit, condition: *condition }));
        }
        all
    }

    fn members(&self, key: &str, unit: &UnitRef, errors: &mut Vec<Diagnostic>) -> Vec<UnitRef> {
        let mut unit = unit.clone();
        if !self.full_in(key, &mut unit, errors) {
            return Vec::new();
        }
        let Some(members) = self.groups.get(&unit.value) else { return vec![unit] };
        let there = members.iter().filter(|member| !self.gone.contains_key(*member));
        there.map(|member| UnitRef { value: member.clone(), ..unit.clone() }).collect()
    }

    /// Replaces a name by the full name of the one unit that it stands for. Returns false if the unit
    /// does not exist.
    fn one(&self, unit: &mut UnitRef, errors: &mut Vec<Diagnostic>) -> bool {
        if !self.full(unit, errors) {
            return false;
        }
        let place = unit.origin.clone();
        match self.members("after", unit, errors).as_slice() {
            [only] => *unit = only.clone(),
            several => {
                let count = several.len();
                let names: Vec<&str> = several.iter().map(|unit| unit.value.as_str()).collect();
                let message = format!("`{}` has {count} instances, and this needs one", unit.value);
                let help = format!("write {}", one_of(&names[..count.min(MOST_NAMES)]));
                errors.push(Diagnostic::error(place, message).help(help));
                return false;
            }
        }
        true
    }

    /// Replaces a name by the full name. Returns false if the unit does not exist.
    pub(super) fn full(&self, unit: &mut UnitRef, errors: &mut Vec<Diagnostic>) -> bool {
        self.full_in("after", unit, errors)
    }

    /// Does the same for a name in a key that can have conditions.
    fn full_in(&self, key: &str, unit: &mut UnitRef, errors: &mut Vec<Diagnostic>) -> bool {
        if !self.ids.contains(unit.value.as_str()) {
            let written = shown(&unit.value);
            match self.bare.get(unit.value.as_str()).map(Vec::as_slice) {
                Some([id]) => unit.value = (*id).to_owned(),
                Some(ids) => {
                    let message = format!("`{written}` is ambiguous: it may be {}", one_of(ids));
                    errors.push(
                        Diagnostic::error(unit.origin.clone(), message)
                            .help("write the stage before the name"),
                    );
                    return false;
                }
                // The name of a unit that only another command line has.
                None if flags::full_name(&unit.value).is_some() => return false,
                None if self.is_misplaced(&unit.value) => return false,
                None => {
                    let mut error = Diagnostic::error(
                        unit.origin.clone(),
                        format!("there is no unit `{written}`"),
                    );
                    let known = self.bare.keys().copied().chain(self.ids.iter().copied());
                    if let Some(right) = nearest_of_many(errors.len(), &unit.value, known) {
                        error = error.help(format!("did you mean `{right}`?"));
                    } else if let Some(names) = self.several(&unit.value) {
                        error = error.help(format!("write {names:?}"));
                    } else if let Some((name, condition)) = self.with_condition(&unit.value) {
                        let name = if name.contains('.') { format!("\"{name}\"") } else { name };
                        error = error.help(format!("write {key} = {{ {name} = \"{condition}\" }}"));
                    }
                    errors.push(error);
                    return false;
                }
            }
        }
        !self.gone.contains_key(&unit.value)
    }
}
