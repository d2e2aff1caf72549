//! Files that the output of units goes to. trc appends whole lines, and rotates a file between two
//! lines.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use memchr::{memchr, memchr_iter, memrchr};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::run::os::trusted::{self, Place};

use crate::config::{OutputFile, reason};

/// A file, which several units may share. Their lines are never mixed.
#[derive(Debug)]
pub struct LogFile(RefCell<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    max_size: Option<u64>,
    keep: u32,
    open: Opened,
    /// The size in bytes at which the file could not be rotated. trc tries again when another
    /// `max_size` bytes have been written.
    base: u64,
    /// The number of lines that could not be written since the last one that was, and the reason.
    dropped: Option<(u64, String)>,
    /// Whether the last line of the file lacks its newline.
    torn: bool,
    /// Whether trc has logged that the file cannot be rotated.
    stuck: bool,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// The path with links resolved, at which the file is rotated.
    place: Place,
    /// Whether it is a regular file. Nothing else is rotated.
    regular: bool,
    /// The size in bytes, as far as trc knows.
    size: u64,
}

impl LogFile {
    /// Opens a file to append to it, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns the errors of open(2), and one without a number for what is neither a regular file
    /// nor a character device.
    pub fn open(wanted: &OutputFile) -> io::Result<Self> {
        Ok(Self(RefCell::new(Inner {
            open: open(&wanted.path)?,
            path: wanted.path.clone(),
            max_size: wanted.max_size,
            keep: wanted.keep.unwrap_or(OutputFile::KEEP),
            base: 0,
            dropped: None,
            torn: false,
            stuck: false,
        })))
    }

    /// Returns whether both are the same file, whatever their paths are.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let one = identity(&self.0.borrow().open.file);
        one.is_some() && one == identity(&other.0.borrow().open.file)
    }

    /// Returns how many of `most` bytes fit into one file.
    #[must_use]
    pub fn room_at_most(&self, most: usize) -> usize {
        let size = self.0.borrow().max_size.and_then(|size| usize::try_from(size).ok());
        size.map_or(most, |size| most.min(size))
    }

    /// Writes whole lines. Lines that cannot be written are dropped and counted.
    pub fn write(&self, lines: &[u8]) {
        self.0.borrow_mut().write(lines);
    }

    /// Reopens the path, because another program may have renamed the file.
    pub fn reopen(&self) {
        self.0.borrow_mut().reopen();
    }

    /// At the end of the run: logs how many lines are missing, if the last ones are.
    pub fn finish(&self) {
        self.0.borrow_mut().tell_dropped();
    }
}

impl Inner {
    fn write(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let mut count = self.room(lines);
            if count == 0 {
                // Somebody may have truncated the file, as logrotate's `copytruncate` does.
                self.look_at_size();
                count = self.room(lines);
            }
            if count == 0 {
                self.rotate();
                continue;
            }
            let (now, later) = lines.split_at(count);
            self.append(now);
            lines = later;
        }
    }

    /// Returns how much of these lines still fits into the file: whole lines, and nothing only if
    /// trc has to begin a new file.
    fn room(&self, lines: &[u8]) -> usize {
        let Some(most) = self.max_size.filter(|_| self.open.regular) else {
            return lines.len();
        };
        let room = self.base.saturating_add(most).saturating_sub(self.open.size);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        match memrchr(b'\n', &lines[..room]) {
            Some(end) => end + 1,
            // A line that is longer than the maximum gets a file of its own.
            None if self.open.size == self.base => {
                memchr(b'\n', lines).map_or(lines.len(), |end| end + 1)
            }
            None => 0,
        }
    }

    fn look_at_size(&mut self) {
        if let Ok(metadata) = self.open.file.metadata() {
            self.open.size = metadata.len();
            if self.open.size < self.base {
                self.base = 0;
            }
        }
    }

    fn append(&mut self, lines: &[u8]) {
        if self.torn {
            match self.put(b"\n") {
                Ok(()) => self.torn = false,
                Err((_, error)) => return self.drop_lines(lines, 0, &error),
            }
        }
        match self.put(lines) {
            Ok(()) => self.tell_dropped(),
            Err((written, error)) => self.drop_lines(lines, written, &error),
        }
    }

    /// Writes everything, or returns how much was written, and the error.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.open.file.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    self.open.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }

    /// Handles lines that could not all be written. The part of a line is removed, so that the next
    /// line begins a new one.
    fn drop_lines(&mut self, lines: &[u8], written: usize, error: &io::Error) {
        let whole = memrchr(b'\n', &lines[..written]).map_or(0, |end| end + 1);
        let part = (written - whole) as u64;
        if part > 0 {
            self.torn = !self.take_back(part);
        }
        if self.dropped.is_none() {
            log::warn!(
                "cannot write to {}, dropping lines: {}",
                self.path.display(),
                reason(error)
            );
        }
        let (count, _) = self.dropped.get_or_insert_with(|| (0, reason(error)));
        *count += memchr_iter(b'\n', &lines[whole..]).count() as u64;
    }

    /// Removes the last bytes, unless another program has changed the file: bytes of others do not
    /// belong to trc, and a file that was emptied must not grow.
    fn take_back(&mut self, count: u64) -> bool {
        let Opened { file, size, regular, .. } = &mut self.open;
        let ours = *regular && file.metadata().is_ok_and(|metadata| metadata.len() == *size);
        let done = ours && file.set_len(*size - count).is_ok();
        if done {
            *size -= count;
        }
        done
    }

    fn tell_dropped(&mut self) {
        if let Some((count, why)) = self.dropped.take() {
            let lines = if count == 1 { "line was" } else { "lines were" };
            log::warn!("{}: {count} {lines} dropped: {why}", self.path.display());
        }
    }

    /// Begins a new file. If that is not possible, the current one grows, so that nothing is lost.
    fn rotate(&mut self) {
        match self.begin_another() {
            Ok(file) => {
                (self.open.file, self.open.size) = (file, 0);
                (self.base, self.torn, self.stuck) = (0, false, false);
            }
            Err(error) => {
                if !self.stuck {
                    let why = reason(&error);
                    log::warn!("cannot rotate {}, so it keeps growing: {why}", self.path.display());
                }
                (self.base, self.stuck) = (self.open.size, true);
            }
        }
    }

    /// Creates the new file first, so that nothing has changed if there is no room for it.
    fn begin_another(&self) -> io::Result<File> {
        let place = &self.open.place;
        let new = place.beside(numbered(place.name(), "new"))?;
        let file = successor(&self.open.file.metadata()?, &new)?;
        let renamed = self.number().and_then(|()| Ok(place.rename(new.name(), place.name())?));
        if let Err(error) = renamed {
            _ = new.remove();
            return Err(error);
        }
        Ok(file)
    }

    /// Gives the file the number 1, and each older file the next number, up to the first gap. The
    /// oldest file is removed.
    fn number(&self) -> io::Result<()> {
        let place = &self.open.place;
        let name = |number: u32| numbered(place.name(), &number.to_string());
        if self.keep == 0 {
            return Ok(());
        }
        let mut last = 1;
        while last < self.keep && place.has(&name(last)) {
            last += 1;
        }
        for number in (1..last).rev() {
            place.rename(&name(number), &name(number + 1))?;
        }
        match place.rename(place.name(), &name(1)) {
            // Somebody has renamed or removed the file.
            Err(Errno::ENOENT) => Ok(()),
            result => Ok(result?),
        }
    }

    fn reopen(&mut self) {
        let path = self.path.display();
        match open(&self.path) {
            Ok(opened) => {
                log::info!("reopened {path}");
                // If it is still the same file, a cut line in it is still cut.
                self.torn &= identity(&opened.file) == identity(&self.open.file);
                self.open = opened;
                (self.base, self.stuck) = (0, false);
            }
            Err(error) => {
                log::warn!(
                    "cannot reopen {path}: {}; still writing to the old file",
                    reason(&error)
                );
            }
        }
    }
}

/// The identity of a file, whatever its path is.
fn identity(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn numbered(name: &OsStr, ending: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(".");
    name.push(ending);
    name
}

fn open(path: &Path) -> io::Result<Opened> {
    let odd = || io::Error::other("it is neither a regular file nor a character device");
    let place = trusted::locate(path)?;
    let file = match place.open(OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT) {
        // This is a FIFO that nobody reads, or a socket: open(2).
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(odd()),
        file => file?,
    };
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err(odd());
    }
    Ok(Opened { file, place, regular: kind.is_file(), size: metadata.len() })
}

/// Creates a new file with the owner and the mode of the previous one. A user who can write to the
/// directory cannot replace it by a link.
fn successor(before: &Metadata, new: &Place) -> io::Result<File> {
    match new.remove() {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let file = new.make()?;
    // trc cannot give the file to another user unless it is root.
    _ = fchown(&file, Some(before.uid()), Some(before.gid()));
    file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(dir: &Path, max_size: Option<u64>, keep: u32) -> LogFile {
        LogFile::open(&OutputFile { path: dir.join("x.log"), max_size, keep: Some(keep) }).unwrap()
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
    fn a_rotated_file_keeps_its_owner_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(5), 1);
        fs::set_permissions(dir.join("x.log"), Permissions::from_mode(0o640)).unwrap();
        let given = std::os::unix::fs::chown(dir.join("x.log"), Some(12), Some(34)).is_ok();
        log.write(b"one\ntwo\n");
        for name in ["x.log", "x.log.1"] {
            let metadata = fs::metadata(dir.join(name)).unwrap();
            assert_eq!(metadata.mode() & 0o7777, 0o640, "{name}");
            assert!(!given || (metadata.uid(), metadata.gid()) == (12, 34), "{name}");
        }
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_leads_to_is_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir(dir.join("volume")).unwrap();
        std::os::unix::fs::symlink("volume/y.log", dir.join("x.log")).unwrap();
        let log = file(dir, Some(5), 1);
        log.write(b"one\ntwo\n");
        assert!(dir.join("x.log").is_symlink());
        assert_eq!(read(dir, "x.log"), "two\n");
        assert_eq!(read(dir, "volume/y.log.1"), "one\n");
    }

    #[test]
    fn two_paths_to_one_file_are_known_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let one = file(dir, None, 0);
        std::os::unix::fs::symlink("x.log", dir.join("link")).unwrap();
        let open = |name: &str| {
            let path = dir.join(name);
            LogFile::open(&OutputFile { path, max_size: None, keep: None }).unwrap()
        };
        assert!(one.is_same(&open("link")));
        assert!(!one.is_same(&open("other")));
    }

    #[test]
    fn a_file_that_was_emptied_by_somebody_else_is_not_rotated_too_early() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(10), 1);
        log.write(b"one\ntwo\n");
        File::options().write(true).open(dir.join("x.log")).unwrap().set_len(0).unwrap();
        log.write(b"three\n");
        assert_eq!((read(dir, "x.log"), read(dir, "x.log.1")), ("three\n".into(), "none".into()));
    }

    #[test]
    fn a_gap_in_the_numbers_is_filled_before_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("x.log.1"), "last\n").unwrap();
        fs::write(dir.join("x.log.3"), "oldest\n").unwrap();
        file(dir, Some(5), 3).write(b"one\ntwo\n");
        assert_eq!(read(dir, "x.log.1"), "one\n");
        assert_eq!(read(dir, "x.log.2"), "last\n");
        assert_eq!(read(dir, "x.log.3"), "oldest\n");
    }

    #[test]
    fn what_can_not_be_rotated_grows_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let log = file(dir, Some(10), 1);
        // rename(2) cannot replace a directory that is not empty.
        fs::create_dir_all(dir.join("x.log.1/something")).unwrap();
        log.write(b"one\ntwo\nthree\nfour\n");
        assert_eq!(read(dir, "x.log"), "one\ntwo\nthree\nfour\n");
        assert_eq!(read(dir, "x.log.new"), "none");
        // trc tries again when as much output as a file may hold has arrived.
        fs::remove_dir_all(dir.join("x.log.1")).unwrap();
        log.write(b"five\nsix\n");
        assert_eq!(read(dir, "x.log"), "six\n");
        assert_eq!(read(dir, "x.log.1"), "one\ntwo\nthree\nfour\nfive\n");
    }

    #[test]
    fn a_file_in_the_way_of_the_new_one_is_no_way_to_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("victim"), "safe\n").unwrap();
        std::os::unix::fs::symlink("victim", dir.join("x.log.new")).unwrap();
        file(dir, Some(5), 1).write(b"one\ntwo\n");
        assert_eq!(read(dir, "victim"), "safe\n");
        assert_eq!((read(dir, "x.log"), read(dir, "x.log.1")), ("two\n".into(), "one\n".into()));
    }

    #[test]
    fn what_can_not_be_written_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [dir.to_owned(), dir.join("fifo"), dir.join("no/such")] {
            let wanted = OutputFile { path, max_size: None, keep: None };
            assert!(LogFile::open(&wanted).is_err(), "{wanted:?}");
        }
    }
}
