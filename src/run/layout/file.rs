//! Writes a file of a unit: from a template or a text, whose variables are replaced.
//!
//! The old file is whole until the new one is: the new one is written beside it and takes its name in
//! the end. Its directory may belong to another user, so the way to it is walked as `os/trusted.rs`
//! says. A file that is as it should be is left alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File as Opened;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchown, getegid, geteuid};

use super::dir::{kind_of, of_io};
use super::fill::Variables;
use super::{Owners, Wanted};
use crate::config::Origin;
use crate::run::os::file;
use crate::run::os::trusted::{Place, locate};
use crate::words::{FileKind, Obstacle};

/// The largest template, in bytes.
const LARGEST: u64 = 1 << 20;
/// The mode of a file without a mode of its own.
const MODE: u32 = 0o644;

/// A file to write.
pub(crate) struct File {
    /// Its path.
    pub path: PathBuf,
    /// What it is made from.
    pub source: Source,
    /// Its owner; any stands for trc's own user.
    pub owner: Wanted,
    /// Its mode, if it is to have a certain one.
    pub mode: Option<u32>,
    /// The names of the variables that are replaced, if not all of them are.
    pub names: Option<Vec<String>>,
    /// The place where it is declared.
    pub origin: Origin,
}

/// What a file is made from.
pub(crate) enum Source {
    /// The template in this file.
    Template(PathBuf),
    /// This text of the configuration.
    Text(String),
}

impl File {
    /// Writes the file, unless it is as it should be.
    pub(super) fn write(
        &self,
        owners: &Owners,
        variables: &BTreeMap<OsString, OsString>,
    ) -> Result<(), Obstacle> {
        let own = (geteuid().as_raw(), getegid().as_raw());
        let owner = owners.find(&self.owner)?.unwrap_or(own);
        let mode = self.mode.unwrap_or(MODE);
        let text = self.text(variables)?;
        let place = locate(&self.path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => Obstacle::NoDirectory,
            _ => of_io(&error),
        })?;
        match place.open_path() {
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Obstacle::Kernel(errno)),
            Ok(there) => {
                let stat = fstat(&there).map_err(Obstacle::Kernel)?;
                match kind_of(&stat) {
                    FileKind::File if is_as_wanted(&place, &stat, owner, mode, &text) => {
                        return Ok(());
                    }
                    FileKind::File => {}
                    kind => return Err(Obstacle::Is(kind)),
                }
            }
        }
        replace(&place, owner, mode, &text)
    }

    /// Returns the contents that the file is to have.
    fn text(&self, variables: &BTreeMap<OsString, OsString>) -> Result<Vec<u8>, Obstacle> {
        let lookup = |name: &str| variables.get(OsStr::new(name)).cloned();
        let variables = Variables { names: self.names.as_deref(), lookup: &lookup };
        let (template, path) = match &self.source {
            Source::Text(text) => (text.clone().into_bytes(), None),
            Source::Template(path) => {
                let read = file::read(path, LARGEST);
                let unreadable = |why| Obstacle::Template(path.clone(), format!("{why}"));
                (read.map_err(unreadable)?, Some(path.clone()))
            }
        };
        variables.fill(&template).map_err(|fault| {
            let (line, column) = fault.place(&template);
            Obstacle::Unfilled { path, line, column, why: fault.why }
        })
    }
}

/// Returns whether a file has this owner, mode and text, and no other name.
fn is_as_wanted(place: &Place, stat: &FileStat, owner: (u32, u32), mode: u32, text: &[u8]) -> bool {
    let is = stat.st_mode & 0o7777 == mode
        && (stat.st_uid, stat.st_gid) == owner
        && stat.st_nlink == 1
        && usize::try_from(stat.st_size).is_ok_and(|size| size == text.len());
    // If it can't be read, it is written anew.
    is && read(place, text.len()).is_ok_and(|found| found == text)
}

fn read(place: &Place, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size + 1);
    place.open(OFlag::O_RDONLY)?.take(size as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts a new file in the place of the old one.
fn replace(place: &Place, owner: (u32, u32), mode: u32, text: &[u8]) -> Result<(), Obstacle> {
    let new = place.beside(beside(place.name())).map_err(|error| of_io(&error))?;
    // A process with the same number was killed while it wrote it.
    match new.remove() {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(Obstacle::Kernel(errno)),
    }
    let file = new.make().map_err(|error| match error.raw_os_error() {
        Some(errno) => Obstacle::Kernel(Errno::from_raw(errno)),
        None => of_io(&error),
    })?;
    let written = write(file, owner, mode, text)
        .and_then(|()| place.rename(new.name(), place.name()).map_err(Obstacle::Kernel));
    if written.is_err() {
        let _ = new.remove();
    }
    written
}

fn write(mut file: Opened, (uid, gid): (u32, u32), mode: u32, text: &[u8]) -> Result<(), Obstacle> {
    let failed = |error: io::Error| of_io(&error);
    let bits = Mode::from_bits_truncate(mode);
    file.write_all(text).map_err(failed)?;
    // The owner comes after the mode, as that of a directory does.
    fchmod(&file, bits).map_err(Obstacle::NoMode)?;
    let stat = fstat(&file).map_err(Obstacle::Kernel)?;
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        fchown(&file, uid, gid).map_err(|errno| Obstacle::NotGiven(None, errno))?;
        // A new owner clears these bits: chown(2).
        if mode & 0o6000 != 0 {
            fchmod(&file, bits).map_err(Obstacle::NoMode)?;
        }
    }
    file.sync_all().map_err(failed)
}

/// Returns the name of the file that is written beside another one. Programs that read all files of a
/// directory leave out those whose names begin with a dot.
fn beside(name: &OsStr) -> OsString {
    /// The longest name is 255 bytes long.
    const LONGEST: usize = 200;
    let name = &name.as_bytes()[..name.len().min(LONGEST)];
    let mut beside = OsString::from(".");
    beside.push(OsStr::from_bytes(name));
    beside.push(format!(".trc-{}", std::process::id()));
    beside
}
