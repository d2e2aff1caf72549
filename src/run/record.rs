//! The record of a run, which goes to a file: `TRC_RECORD`.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::Serialize;

use super::os::trusted::{self, Place};
use crate::config::{Diagnostic, Origin, reason};
use crate::record::Entry;
use crate::words::Unwritten;

/// The greatest size of a record, in bytes. A run of a hundred units whose health is checked every ten
/// seconds takes a day to get there.
const LARGEST: usize = 64 << 20;

const NOT_REGULAR: &str = "it is not a regular file";

/// Whether the run is recorded.
pub(super) enum Recording {
    /// Nobody has asked for a record.
    Off,
    /// Another trc records to the file, such as one that `docker exec` has started with the variables
    /// of the container.
    Taken,
    /// The record goes to a file.
    On(Recorder),
}

impl Recording {
    /// Opens the file for the record, if somebody has asked for one.
    ///
    /// # Errors
    /// Returns why there is no such file.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Diagnostic> {
        let Some(path) = path else { return Ok(Self::Off) };
        Ok(Recorder::open(path)?.map_or(Self::Taken, Self::On))
    }
}

/// The file that gets a line for each event.
pub(super) struct Recorder {
    path: PathBuf,
    /// The file, until the record is full or cannot be written.
    file: Option<File>,
    /// The lines that were not written yet: those of one turn of the loop.
    lines: Vec<u8>,
    /// The number of bytes that the record may still get.
    room: usize,
    /// The number of decisions of the last event that were carried out.
    acted: usize,
    /// Why the record could not be written on, until trc has logged it.
    lost: Option<io::Error>,
}

impl Recorder {
    /// Creates the file, which only trc's user can read. A file that is there already, such as the
    /// record of the run before a restart of the container, gets the ending `.old`. Returns `None` if
    /// another trc records to the file.
    ///
    /// # Errors
    /// Returns why there is no such file. A record goes to a regular file, because trc would have to
    /// wait for the reader of anything else.
    fn open(path: &Path) -> Result<Option<Self>, Diagnostic> {
        let file = fresh(path).map_err(|error| {
            // A directory, and a FIFO that nobody reads: open(2).
            let other = matches!(error.raw_os_error(), Some(libc::EISDIR | libc::ENXIO));
            let why = if other { NOT_REGULAR.to_owned() } else { reason(&error) };
            let why = Unwritten::Record(path.to_owned(), why);
            Diagnostic::error(Origin::Variable("TRC_RECORD".into()), why.to_string())
        })?;
        let (lines, path) = (Vec::new(), path.to_owned());
        let new =
            |file| Self { path, file: Some(file), lines, room: LARGEST, acted: 0, lost: None };
        Ok(file.map(new))
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &impl Serialize) {
        if self.file.is_none() || self.room == 0 {
            return;
        }
        let before = self.lines.len();
        // The types of lines have nothing that JSON cannot hold.
        if serde_json::to_writer(&mut self.lines, line).is_err() {
            return self.lines.truncate(before);
        }
        self.lines.push(b'\n');
        let size = self.lines.len() - before;
        self.room = self.room.saturating_sub(size);
        if self.room == 0 {
            self.lines.truncate(before);
            _ = serde_json::to_writer(&mut self.lines, &Entry::Full);
            self.lines.push(b'\n');
        }
    }

    /// This many decisions of the last event were carried out.
    pub(super) fn has_acted(&mut self, count: usize) {
        self.acted = count;
    }

    /// Returns how many decisions of the last event were carried out.
    pub(super) fn acted(&self) -> usize {
        self.acted
    }

    /// Writes the lines. Returns the path, and why they could not be written, the first time.
    pub(super) fn write(&mut self) -> Option<(PathBuf, String)> {
        if let Some(file) = &mut self.file
            && !self.lines.is_empty()
        {
            if let Err(error) = file.write_all(&self.lines) {
                self.lost = Some(error);
                self.file = None;
            }
            self.lines.clear();
        }
        self.lost.take().map(|error| (self.path.clone(), reason(&error)))
    }
}

/// Returns an empty file that this trc alone writes, unless another one writes it.
fn fresh(path: &Path) -> io::Result<Option<File>> {
    let place = trusted::locate(path)?;
    let Some(file) = locked(&place)? else { return Ok(None) };
    if file.metadata()?.len() == 0 {
        return Ok(Some(file));
    }
    let mut old = place.name().to_owned();
    old.push(".old");
    // If a rename replaces a file, ext4 writes the data to the disk first, which takes its time.
    _ = place.beside(&old)?.remove();
    // The runtime may have mounted the file itself.
    if place.rename(place.name(), &old).is_err() {
        file.set_len(0)?;
        return Ok(Some(file));
    }
    locked(&place)
}

/// Opens or creates a file, and locks it.
fn locked(place: &Place) -> io::Result<Option<File>> {
    let file = place.open(OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND)?;
    if place.is_of_proc() || !file.metadata()?.is_file() {
        return Err(io::Error::other(NOT_REGULAR));
    }
    if is_taken(&file) {
        return Ok(None);
    }
    // A record tells more than everybody may know. The file system may have no modes.
    _ = file.set_permissions(Permissions::from_mode(0o600));
    Ok(Some(file))
}

/// Locks a file: flock(2). Returns whether somebody else has locked it. Not every file system has locks.
fn is_taken(file: &File) -> bool {
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return true,
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
            Ok(()) | Err(TryLockError::Error(_)) => return false,
        }
    }
}
