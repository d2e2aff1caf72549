//! The record of a run, which goes to a file: `TRC_RECORD`.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::Serialize;

use super::os::trusted;
use crate::config::{Diagnostic, Origin, reason};
use crate::record::Entry;
use crate::words::Unwritten;

/// The greatest size of a record, in bytes. A run of a hundred units whose health is checked every ten
/// seconds takes a day to get there.
const LARGEST: usize = 64 << 20;

const NOT_REGULAR: &str = "it is not a regular file";

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
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// Returns why there is no such file. A record goes to a regular file, because trc would have to
    /// wait for the reader of anything else.
    pub(super) fn open(path: &Path) -> Result<Self, Diagnostic> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let regular = |file: File| {
            let known = file.metadata()?;
            known.is_file().then_some(file).ok_or_else(|| io::Error::other(NOT_REGULAR))
        };
        let file = trusted::open(path, flags).and_then(regular).map_err(|error| {
            // A directory, and a FIFO that nobody reads: open(2).
            let other = matches!(error.raw_os_error(), Some(libc::EISDIR | libc::ENXIO));
            let why = if other { NOT_REGULAR.to_owned() } else { reason(&error) };
            let why = Unwritten::Record(path.to_owned(), why);
            Diagnostic::error(Origin::Variable("TRC_RECORD".into()), why.to_string())
        })?;
        let (lines, path) = (Vec::new(), path.to_owned());
        Ok(Self { path, file: Some(file), lines, room: LARGEST, acted: 0, lost: None })
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
