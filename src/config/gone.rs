//! Why a declared unit does not exist in a run.

use std::fmt;

/// The reason why a declared unit does not exist in this run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Gone {
    /// `enabled = false`.
    Disabled,
    /// None of its profiles is wanted.
    Profiles(Vec<String>),
    /// It has `instances = 0`.
    NoInstance,
    /// `--only` names other units.
    Only,
    /// It is a unit of the command line that this run does not have.
    Absent,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("is disabled"),
            Self::Profiles(profiles) => match profiles.as_slice() {
                [only] => write!(f, "has the profile {only}, which is not in TRC_PROFILES"),
                all => write!(
                    f,
                    "has the profiles {}, none of which is in TRC_PROFILES",
                    all.join(", ")
                ),
            },
            Self::NoInstance => f.write_str("has no instances"),
            Self::Only => f.write_str("is left out by --only"),
            Self::Absent => f.write_str("is not on this command line"),
        }
    }
}
