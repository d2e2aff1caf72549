//! Files that units' output goes to: appended to by whole lines, rotated between lines.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memchr_iter, memrchr};

use crate::config::{OutputFile, reason};

/// A file, which several units may share: lines of one are never within those of another.
#[derive(Debug)]
pub struct LogFile(RefCell<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    max_size: Option<u64>,
    keep: u32,
    file: File,
    /// Whether it is a regular one; nothing else is rotated.
    regular: bool,
    /// In bytes.
    size: u64,
    /// How many lines were not written since the last one that was.
    dropped: u64,
    /// Whether it was said that renaming fails.
    stuck: bool,
}

impl LogFile {
    /// Opens a file to append to it, and makes it where it is not there.
    ///
    /// # Errors
    /// Why that can't be, in words.
    pub fn open(wanted: &OutputFile) -> Result<Self, String> {
        let path = &wanted.path;
        let (file, regular, size) = open(path)
            .map_err(|why| format!("cannot open {} to write to it: {why}", path.display()))?;
        Ok(Self(RefCell::new(Inner {
            path: path.clone(),
            max_size: wanted.max_size,
            keep: wanted.keep,
            file,
            regular,
            size,
            dropped: 0,
            stuck: false,
        })))
    }

    /// Writes whole lines. What can't be written is dropped and counted.
    pub fn write(&self, lines: &[u8]) {
        self.0.borrow_mut().write(lines);
    }

    /// Opens the path anew, where somebody may have renamed the file.
    pub fn reopen(&self) {
        self.0.borrow_mut().reopen();
    }
}

impl Inner {
    fn write(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let count = self.room(lines);
            if count == 0 {
                self.rotate();
                continue;
            }
            let (now, later) = lines.split_at(count);
            self.append(now);
            lines = later;
        }
    }

    /// How much of these lines the file still takes: whole lines, and none only if another
    /// file has to be begun.
    fn room(&self, lines: &[u8]) -> usize {
        let Some(most) = self.max_size.filter(|_| self.regular && !self.stuck) else {
            return lines.len();
        };
        let room = usize::try_from(most.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        match memrchr(b'\n', &lines[..room]) {
            Some(end) => end + 1,
            // A line that is longer than any file has one of its own.
            None if self.size == 0 => memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
            None => 0,
        }
    }

    fn append(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return self.drop_lines(lines, rest, &io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.size += count as u64;
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.drop_lines(lines, rest, &error),
            }
        }
        if self.dropped > 0 {
            let (path, dropped) = (self.path.display(), std::mem::take(&mut self.dropped));
            log::warn!("{path}: {dropped} lines were dropped");
        }
    }

    /// Not all of these lines could be written. The part of one is taken back, so that the
    /// next begins a line.
    fn drop_lines(&mut self, lines: &[u8], rest: &[u8], error: &io::Error) {
        let written = &lines[..lines.len() - rest.len()];
        let whole = memrchr(b'\n', written).map_or(0, |end| end + 1);
        let part = (written.len() - whole) as u64;
        if part > 0 && self.regular && self.file.set_len(self.size - part).is_ok() {
            self.size -= part;
        }
        if self.dropped == 0 {
            log::warn!("{}: lines are dropped: {}", self.path.display(), reason(error));
        }
        self.dropped += memchr_iter(b'\n', &lines[whole..]).count() as u64;
    }

    /// Begins another file; the last ones get the next number each.
    fn rotate(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            // Those that are not there need no number.
            _ = fs::rename(numbered(number), numbered(number + 1));
        }
        let away = if self.keep == 0 {
            fs::remove_file(&self.path)
        } else {
            fs::rename(&self.path, numbered(1))
        };
        let begun = away.map_err(|error| reason(&error)).and_then(|()| open(&self.path));
        match begun {
            Ok((file, regular, size)) => {
                (self.file, self.regular, self.size) = (file, regular, size);
            }
            Err(why) => {
                // It grows beyond its size rather than losing anything.
                self.stuck = true;
                log::warn!("{} can't be rotated: {why}", self.path.display());
            }
        }
    }

    fn reopen(&mut self) {
        self.stuck = false;
        match open(&self.path) {
            Ok((file, regular, size)) => {
                (self.file, self.regular, self.size) = (file, regular, size);
                log::info!("{} was opened anew", self.path.display());
            }
            Err(why) => {
                log::warn!(
                    "{} can't be opened anew: {why}; the old one stays",
                    self.path.display()
                );
            }
        }
    }
}

/// A file to append to, whether it is a regular one, and its size.
fn open(path: &Path) -> Result<(File, bool, u64), String> {
    // Without O_NONBLOCK, opening a FIFO waits for its reader.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::options().append(true).create(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| reason(&error))?;
    let metadata = file.metadata().map_err(|error| reason(&error))?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err("it is neither a regular file nor a character device".to_owned());
    }
    Ok((file, kind.is_file(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, max_size: Option<u64>, keep: u32) -> LogFile {
        LogFile::open(&OutputFile { path: dir.join("x.log"), max_size, keep }).unwrap()
    }

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap_or_else(|_| "none".to_owned())
    }

    #[test]
    fn a_file_is_rotated_between_lines() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(10), 2);
        log.write(b"one\ntwo\nthree\nfour\n");
        log.write(b"five\n");
        assert_eq!(read(dir, "x.log"), "four\nfive\n");
        assert_eq!(read(dir, "x.log.1"), "three\n");
        assert_eq!(read(dir, "x.log.2"), "one\ntwo\n");
        log.write(b"six\n");
        assert_eq!(read(dir, "x.log.2"), "three\n");
        assert_eq!(read(dir, "x.log.3"), "none");
    }

    #[test]
    fn a_line_that_is_longer_than_any_file_has_one_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(10), 5);
        log.write(b"short\na line that is too long\nshort\n");
        assert_eq!(read(dir, "x.log"), "short\n");
        assert_eq!(read(dir, "x.log.1"), "a line that is too long\n");
        assert_eq!(read(dir, "x.log.2"), "short\n");
    }

    #[test]
    fn with_none_to_keep_the_file_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(5), 0);
        log.write(b"one\ntwo\n");
        assert_eq!((read(dir, "x.log"), read(dir, "x.log.1")), ("two\n".into(), "none".into()));
    }

    #[test]
    fn what_is_there_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("x.log"), "before\n").unwrap();
        file(dir, Some(10), 1).write(b"after\n");
        assert_eq!(read(dir, "x.log"), "after\n");
        assert_eq!(read(dir, "x.log.1"), "before\n");
    }

    #[test]
    fn what_can_not_be_written_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [dir.to_owned(), dir.join("fifo"), dir.join("no/such")] {
            let wanted = OutputFile { path, max_size: None, keep: 0 };
            assert!(LogFile::open(&wanted).is_err(), "{wanted:?}");
        }
    }
}
