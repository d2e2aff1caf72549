//! What a unit needs before its command is executed.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::environment::Environment;
use super::problem::Problem;
use crate::config::{FileSource, Origin, Owner, Placed, Template, Unit};
use crate::run::layout::{Dir, File, Layout, Source, Wanted};
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
    if unit.dirs.is_empty() && unit.files.is_empty() {
        return Ok(None);
    }
    let path = |template: &Template, origin: &Origin| {
        let template = Placed { value: template.clone(), origin: origin.clone() };
        let path = PathBuf::from(environment.expand(&template)?);
        let why = || Problem::lasting(Unprepared::Path(path.clone()), origin);
        if can_be_made(&path) { Ok(path) } else { Err(why()) }
    };
    let owner = |named: &Option<Placed<Owner>>| match named {
        Some(owner) => Wanted::Named(owner.value.clone()),
        None => owner_of(unit, ids),
    };
    let mut dirs = Vec::new();
    for Placed { value: dir, origin } in &unit.dirs {
        let (path, owner) = (path(&dir.path, origin)?, owner(&dir.owner));
        let (mode, recurse, origin) = (dir.mode, dir.recurse, origin.clone());
        dirs.push(Dir { path, owner, mode, recurse, origin });
    }
    // A directory comes before what is in it.
    dirs.sort_by(|a, b| a.path.cmp(&b.path));
    let mut files = Vec::new();
    for Placed { value: file, origin } in &unit.files {
        let source = match &file.source {
            FileSource::Template(path) => Source::Template(path.clone()),
            FileSource::Text(text) => Source::Text(text.clone()),
        };
        let (path, owner) = (path(&file.path, origin)?, owner(&file.owner));
        let (mode, names, origin) = (file.mode, file.vars.clone(), origin.clone());
        files.push(File { path, source, owner, mode, names, origin });
    }
    let variables = if files.is_empty() { BTreeMap::new() } else { environment.known() };
    Ok(Some(Layout { dirs, files, variables, stop: Signal::TERM.number() }))
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

/// Returns whether trc can make something at a path.
fn can_be_made(path: &Path) -> bool {
    path.is_absolute()
        && path != Path::new("/")
        && !path.components().any(|part| part == Component::ParentDir)
}
