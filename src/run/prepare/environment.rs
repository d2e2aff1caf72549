//! The environment of a unit.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::problem::Problem;
use super::secret;
use crate::config::{Placed, Template, Variable};
use crate::words::Unprepared;

/// The `PATH` if nothing sets it, which is the same as that of container runtimes.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An environment. Names and values may contain all bytes except NUL.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
    /// The variables that `env_clear` has removed. They are not part of the environment, but
    /// `${NAME}` still finds them.
    cleared: BTreeMap<OsString, OsString>,
}

/// The largest environment that a program can get, in bytes, whatever its limits are: execve(2).
const LARGEST: usize = 6 << 20;

impl Environment {
    /// Creates an environment of these variables.
    pub(crate) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { variables: variables.into_iter().collect(), cleared: BTreeMap::new() }
    }

    /// Creates an empty environment whose values may refer to this one.
    pub(crate) fn cleared(self) -> Self {
        Self { variables: BTreeMap::new(), cleared: self.variables }
    }

    pub(crate) fn into_variables(self) -> Vec<(OsString, OsString)> {
        self.variables.into_iter().collect()
    }

    /// Sets a variable.
    pub(crate) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Removes a variable.
    pub(crate) fn remove(&mut self, name: &OsStr) {
        self.variables.remove(name);
    }

    /// Keeps the variables whose names are wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&OsStr) -> bool) {
        self.variables.retain(|name, _| wanted(name));
    }

    /// Returns whether a variable is set.
    pub(crate) fn is_set(&self, name: &OsStr) -> bool {
        self.variables.contains_key(name)
    }

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Returns the value that replaces `${NAME}`.
    pub(crate) fn lookup(&self, name: &str) -> Option<OsString> {
        let name = OsStr::new(name);
        self.variables.get(name).or_else(|| self.cleared.get(name)).cloned()
    }

    /// Returns every variable that `${NAME}` finds.
    pub(crate) fn known(&self) -> BTreeMap<OsString, OsString> {
        let mut known = self.cleared.clone();
        known.extend(self.variables.clone());
        known
    }

    pub(crate) fn path(&self) -> &OsStr {
        self.get("PATH").unwrap_or(OsStr::new(DEFAULT_PATH))
    }

    /// Replaces the variables in a value.
    ///
    /// # Errors
    /// Returns which one is not set, and where that was written.
    pub(crate) fn expand(&self, template: &Placed<Template>) -> Result<OsString, Problem> {
        template
            .value
            .expand(&|name| self.lookup(name))
            .map_err(|why| Problem::lasting(Unprepared::Unexpanded(why), &template.origin))
    }

    /// Returns the value of a variable of the configuration: a text with its variables replaced, or
    /// the contents of a file.
    ///
    /// # Errors
    /// Returns what is wrong with it, and where that was written.
    fn value(&self, variable: &Placed<Variable>) -> Result<OsString, Problem> {
        match &variable.value {
            Variable::Text(text) => {
                self.expand(&Placed { value: text.clone(), origin: variable.origin.clone() })
            }
            Variable::File(path) => {
                Ok(secret::value(path).map_err(|why| why.at(&variable.origin))?)
            }
        }
    }

    /// Sets the variables of the configuration. Their values refer to `before`, or, without that,
    /// to the variables that are already set.
    ///
    /// # Errors
    /// Returns each of them that lacks a variable, or what else is wrong with one of them, and where
    /// that was written.
    pub(crate) fn set_written<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v String, &'v Placed<Variable>)>,
        before: Option<&Self>,
    ) -> Result<(), Problem> {
        let mut bytes = 0;
        let mut unset = Vec::new();
        for (name, variable) in variables {
            let value = match before.unwrap_or(self).value(variable) {
                Ok(value) => value,
                Err(Problem { why, lasts: true, .. }) => {
                    unset.push(why);
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            bytes += name.len() + value.len() + 2;
            if bytes > LARGEST {
                let why = Unprepared::Large(name.clone(), LARGEST);
                return Err(Problem::lasting(why, &variable.origin));
            }
            self.set(name, value);
        }
        match unset.len() {
            0 => Ok(()),
            1 => Err(Problem { why: unset.remove(0), errno: None, lasts: true }),
            _ => Err(Problem { why: Unprepared::Several(unset), errno: None, lasts: true }),
        }
    }

    /// Converts the environment for execve(2).
    ///
    /// # Errors
    /// Returns which variable holds a NUL.
    pub(crate) fn vector(&self) -> Result<Vec<CString>, Unprepared> {
        let join = |(name, value): (&OsString, &OsString)| {
            let mut bytes = Vec::with_capacity(name.len() + value.len() + 1);
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value.as_bytes());
            CString::new(bytes).map_err(|_| Unprepared::Variable(name.clone()))
        };
        self.variables.iter().map(join).collect()
    }
}
