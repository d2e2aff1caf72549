//! `profiles` of units, and `TRC_PROFILES`, which chooses some of them.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use super::suggest::nearest;
use super::value::shown;
use super::{Diagnostic, Origin};

/// The variable with the profiles of this run.
pub(super) const VARIABLE: &str = "TRC_PROFILES";

/// The profiles of this run.
#[derive(Default, Debug)]
pub(super) struct Profiles {
    wanted: Vec<String>,
    /// The profiles of all units.
    known: BTreeSet<String>,
}

impl Profiles {
    /// Reads the variable: names with commas between them, or `*` for all profiles, as in Compose.
    pub(super) fn read(value: Option<&OsStr>) -> Self {
        let value = value.map(|value| value.to_string_lossy());
        let value = value.unwrap_or_default();
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self { wanted: names.map(str::to_owned).collect(), known: BTreeSet::new() }
    }

    /// Returns whether one of a unit's profiles is wanted. A unit without profiles always is.
    pub(super) fn has_one_of(&mut self, profiles: &[String]) -> bool {
        self.known.extend(profiles.iter().cloned());
        let is_wanted = |name: &String| self.wanted.iter().any(|it| it == "*" || it == name);
        profiles.is_empty() || profiles.iter().any(is_wanted)
    }

    /// Warns of names in the variable that no unit has as a profile.
    pub(super) fn unknown(&self) -> Vec<Diagnostic> {
        let unknown = self.wanted.iter().filter(|name| *name != "*" && !self.known.contains(*name));
        let warning = |name: &String| {
            let message = format!("no unit has the profile `{}`", shown(name));
            let warning = Diagnostic::warning(Origin::Variable(VARIABLE.into()), message);
            match nearest(name, self.known.iter().map(String::as_str)) {
                Some(right) => warning.help(format!("did you mean `{right}`?")),
                None => warning,
            }
        };
        unknown.map(warning).collect()
    }
}
