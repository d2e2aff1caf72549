//! The part of the state that becomes the environment of later units.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::names::{is_identifier, is_special};
use super::{Saved, State, is_withheld};

/// The longest `NAME=value`, with the NUL: `MAX_ARG_STRLEN` of execve(2).
const MAX_VARIABLE: usize = 128 * 1024;

/// The environment of later programs.
#[derive(Default)]
pub(super) struct Exported {
    env: BTreeMap<Vec<u8>, Vec<u8>>,
    oversize: Vec<OsString>,
}

impl Exported {
    /// Adds a variable, unless it is too long for the kernel.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        if name.len() + value.len() + 2 > MAX_VARIABLE {
            self.oversize.push(OsStr::from_bytes(name).to_owned());
            return false;
        }
        self.env.insert(name.to_vec(), value.to_vec());
        true
    }
}

impl State {
    /// Builds the environment. Variables that the shell cannot name stay as they were.
    pub(super) fn settle(
        &mut self,
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut exported: Exported,
        known: impl Fn(&[u8]) -> bool,
    ) {
        for (name, value) in &saved.set {
            if exported.env.get(name.as_bytes()).is_some_and(|v| v == value.as_bytes()) {
                exported.env.remove(name.as_bytes());
            }
        }
        for (name, value) in given {
            let bytes = name.as_bytes();
            if let Some(left) = exported.env.remove(bytes) {
                self.env.push((name.clone(), OsString::from_vec(left)));
            } else if is_special(bytes)
                || is_withheld(name)
                || !(is_identifier(bytes) || known(bytes))
            {
                self.env.push((name.clone(), value.clone()));
            }
        }
        let new = exported.env.into_iter();
        self.env.extend(new.map(|(n, v)| (OsString::from_vec(n), OsString::from_vec(v))));
        self.oversize = exported.oversize;
    }
}
