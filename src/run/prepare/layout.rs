//! What a unit needs before its command is executed.

use std::path::{Component, Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::environment::Environment;
use super::problem::Problem;
use crate::config::{Placed, Unit};
use crate::run::layout::{Dir, Layout, Wanted};
use crate::run::spawn::Ids;
use crate::signal::Signal;
use crate::words::Unprepared;

/// Returns what trc makes for a unit before each start; `None` for nothing.
///
/// # Errors
/// Returns a variable that is not set, or a path at which trc makes nothing.
pub(super) fn layout(
    unit: &Unit,
    environment: &Environment,
    ids: Option<&Ids>,
) -> Result<Option<Layout>, Problem> {
    if unit.dirs.is_empty() {
        return Ok(None);
    }
    let mut dirs = Vec::new();
    for Placed { value: dir, origin } in &unit.dirs {
        let template = Placed { value: dir.path.clone(), origin: origin.clone() };
        let path = PathBuf::from(environment.expand(&template)?);
        if !can_be_made(&path) {
            return Err(Problem::lasting(Unprepared::Path(path), origin));
        }
        let owner = match &dir.owner {
            Some(owner) => Wanted::Named(owner.value.clone()),
            None => owner_of(unit, ids),
        };
        let (mode, recurse, origin) = (dir.mode, dir.recurse, origin.clone());
        dirs.push(Dir { path, owner, mode, recurse, origin });
    }
    // A directory comes before what is in it.
    dirs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Some(Layout { dirs, stop: Signal::TERM.number() }))
}

/// Returns the owner of what the unit gets if the configuration does not say: the user that the unit
/// runs as. A unit that runs as trc does may become another user by itself, and leaves what exists as
/// it is.
fn owner_of(unit: &Unit, ids: Option<&Ids>) -> Wanted {
    match ids {
        Some(ids) => Wanted::Ids(ids.uid, ids.gid),
        None if unit.identity.user.is_some() => Wanted::Ids(geteuid().as_raw(), getegid().as_raw()),
        None => Wanted::Any,
    }
}

/// Returns whether a directory can be made at a path.
fn can_be_made(path: &Path) -> bool {
    path.is_absolute()
        && path != Path::new("/")
        && !path.components().any(|part| part == Component::ParentDir)
}
