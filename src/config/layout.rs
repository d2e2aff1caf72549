//! The directories and files that trc makes before each start of a unit.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Placed, Template};

/// A directory that trc makes before each start of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dir {
    /// Its path, whose variables are replaced when the unit starts.
    pub path: Template,
    /// Its owner; by default the user of the unit.
    pub owner: Option<Placed<Owner>>,
    /// Its mode; by default a new directory has 0755, and another one keeps its own.
    pub mode: Option<u32>,
    /// Whether everything in it gets the same owner.
    pub recurse: Recurse,
}

/// A file that trc writes before each start of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WrittenFile {
    /// Its path, whose variables are replaced when the unit starts.
    pub path: Template,
    /// What it is made from.
    pub source: FileSource,
    /// Its owner; by default the user of the unit.
    pub owner: Option<Placed<Owner>>,
    /// Its mode; 0644 by default.
    pub mode: Option<u32>,
    /// The variables that are replaced; by default all of them.
    pub vars: Option<Vec<String>>,
}

/// What a file is made from. `${NAME}` in it stands for a variable of the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum FileSource {
    /// The template in this file.
    Template(PathBuf),
    /// This text.
    Text(String),
}

/// The owner of a directory or a file, as names or numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    /// The user.
    pub user: String,
    /// The group; by default the user's own.
    pub group: Option<String>,
}

/// Whether everything in a directory gets its owner.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Recurse {
    /// Nothing in it does.
    #[default]
    Never,
    /// Everything in it does if the directory itself has another owner.
    IfTopDiffers,
    /// Everything in it does.
    Always,
}
