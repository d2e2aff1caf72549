//! The directories that trc makes before each start of a unit.

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

/// The owner of a directory, as names or numbers.
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
