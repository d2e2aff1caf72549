//! `file_env`: variables whose values are in files, by the conventions of many images.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::environment::Environment;
use super::secret::value;
use crate::config::FileEnv;
use crate::words::Unprepared;

/// The ending that docker's own images add to the name of a variable.
const SUFFIX: &[u8] = b"_FILE";
/// The beginning that the images of linuxserver.io add to it.
const PREFIX: &[u8] = b"FILE__";

/// The variables that were set from files: their names, and for each the variable that named the file
/// and the contents.
#[derive(Default)]
pub(super) struct Resolved(BTreeMap<OsString, (OsString, OsString)>);

impl Resolved {
    /// Sets each `NAME` to the contents of the file that `NAME_FILE` or `FILE__NAME` names. A unit's
    /// variables are resolved twice: those of the container, so that the configuration can refer to
    /// them, and those that the configuration itself sets.
    ///
    /// # Errors
    /// Returns what is wrong with one of them.
    pub(super) fn resolve(
        &mut self,
        which: &FileEnv,
        environment: &mut Environment,
    ) -> Result<(), Unprepared> {
        if *which == FileEnv::No {
            return Ok(());
        }
        for (name, (pointer, value)) in &self.0 {
            if environment.get(name) != Some(value) {
                return Err(Unprepared::BothSet(name.clone(), pointer.clone()));
            }
        }
        for (pointer, path) in environment.clone().into_variables() {
            let Some(name) = pointed(&pointer) else { continue };
            let wanted = match which {
                FileEnv::No => false,
                FileEnv::All => true,
                FileEnv::Names(names) => names.contains(&name),
            };
            // An empty variable counts as unset. The contents of a file are not the name of another.
            if !wanted || path.is_empty() || self.0.contains_key(&pointer) {
                continue;
            }
            if let Some((other, _)) = self.0.get(&name) {
                return Err(Unprepared::BothSet(other.clone(), pointer));
            }
            if environment.is_set(&name) {
                return Err(Unprepared::BothSet(name, pointer));
            }
            let value = value(Path::new(&path))
                .map_err(|why| Unprepared::Pointer(pointer.clone(), why.into()))?;
            environment.remove(&pointer);
            environment.set(name.clone(), value.clone());
            self.0.insert(name, (pointer, value));
        }
        Ok(())
    }
}

/// Returns the name of the variable that a variable with this name has the file of.
fn pointed(pointer: &OsStr) -> Option<OsString> {
    let bytes = pointer.as_bytes();
    let name = bytes.strip_prefix(PREFIX).or_else(|| bytes.strip_suffix(SUFFIX))?;
    (!name.is_empty()).then(|| OsString::from_vec(name.to_vec()))
}
