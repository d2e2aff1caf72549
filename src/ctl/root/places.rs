//! Directories and files that units need.

use std::path::{Path, PathBuf};

use super::{Kind, Look};
use crate::config::{Diagnostic, FileSource, Origin, Unit};
use crate::text::harmless;

/// Directories that the container engine creates or mounts.
const MOUNTED: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Looks for the directories and files that a unit needs.
pub(super) fn look(look: &Look<'_>, unit: &Unit, found: &mut Vec<Diagnostic>) {
    let mut missing = |origin: &Origin, message: String, help: Option<&str>| {
        let message = format!("{}: {message}", unit.id());
        let help = help.map(str::to_owned);
        let problem = Diagnostic { help, ..Diagnostic::error(origin.clone(), message) };
        found.push(look.weighed(unit, problem));
    };
    let make = Some("add the directory to `dirs`: trc then creates it before each start");
    if let Some(cwd) = &unit.identity.cwd
        && let Some(path) = look.text(unit, &cwd.value).map(PathBuf::from)
        && !is_made(look, &path)
    {
        let shown = harmless(&path.to_string_lossy());
        match look.root.kind(&path) {
            Kind::Directory | Kind::Hidden => {}
            Kind::Nothing => {
                missing(&cwd.origin, format!("its cwd {shown} does not exist"), make);
            }
            _ => missing(
                &cwd.origin,
                format!("its cwd {shown} is not a directory"),
                Some("name a directory"),
            ),
        }
    }
    if let Some(file) = &unit.output_file {
        let dir = file.value.path.parent().unwrap_or(Path::new("/"));
        if !is_made(look, dir) && look.root.kind(dir) == Kind::Nothing {
            let shown = harmless(&file.value.path.to_string_lossy());
            missing(
                &file.origin,
                format!("the directory of its output file {shown} does not exist"),
                make,
            );
        }
    }
    for file in &unit.files {
        if let FileSource::Template(path) = &file.value.source
            && look.root.kind(path) == Kind::Nothing
        {
            let shown = harmless(&path.to_string_lossy());
            let help = Some("correct the path, or copy the template into the image");
            missing(&file.origin, format!("the template {shown} does not exist"), help);
        }
    }
    for file in &unit.identity.env_file {
        let path = look.root.within(&file.value).unwrap_or_else(|| file.value.clone());
        if !is_mounted(&path) && look.root.kind(&path) == Kind::Nothing {
            let shown = harmless(&path.to_string_lossy());
            let help = Some("copy it into the image, or mount it below /run");
            missing(&file.origin, format!("its env_file {shown} does not exist"), help);
        }
    }
}

fn is_mounted(path: &Path) -> bool {
    MOUNTED.iter().any(|dir| path.starts_with(dir))
}

/// Returns whether a directory is created when the container starts: by the engine, or by trc for any
/// unit.
fn is_made(look: &Look<'_>, path: &Path) -> bool {
    let units = &look.config.units;
    let mut dirs = units.iter().flat_map(|unit| unit.dirs.iter().map(move |dir| (unit, dir)));
    is_mounted(path)
        || dirs.any(|(unit, dir)| {
            look.text(unit, &dir.value.path).is_some_and(|made| Path::new(&made).starts_with(path))
        })
}
