//! The files of an image, in a directory into which it was unpacked, or in `/`.

mod accounts;
#[cfg(feature = "ctl")]
mod libraries;
mod places;
mod programs;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
#[cfg(feature = "ctl")]
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::config::{Config, Diagnostic, Environment, Loaded, Template, Unit, Variable};

/// The `PATH` of most images, for those whose `ENV` is not known.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most bytes that are read of a file. `/etc/passwd` is smaller.
const LARGEST: u64 = 1024 * 1024;

/// The root directory of an image. Symbolic links are resolved within it, as in the image
/// (`RESOLVE_IN_ROOT` of openat2(2), Linux 5.6).
pub(super) struct Root {
    dir: OwnedFd,
    path: PathBuf,
}

/// The kind of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A file, and whether anybody may execute it.
    File(bool),
    Directory,
    /// A socket, a FIFO or a device.
    Other,
    Nothing,
    /// This program is not allowed to find out.
    Hidden,
}

impl Root {
    /// Opens a directory.
    ///
    /// # Errors
    /// Returns the error of open(2).
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = Self { dir: open(path, flags, Mode::empty())?, path: path.canonicalize()? };
        // Fails on old kernels and in some sandboxes, which do not have openat2(2).
        root.open(Path::new("/"), OFlag::O_PATH)?;
        Ok(root)
    }

    fn open(&self, path: &Path, flags: OFlag) -> io::Result<File> {
        // Opening a FIFO must not block.
        let wait = if flags.contains(OFlag::O_PATH) { OFlag::empty() } else { OFlag::O_NONBLOCK };
        let flags = flags | OFlag::O_CLOEXEC | wait;
        let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        Ok(openat2(&self.dir, path, how)?.into())
    }

    /// Returns the kind of the file at a path of the image.
    pub(super) fn kind(&self, path: &Path) -> Kind {
        let found = self.open(path, OFlag::O_PATH).and_then(|file| file.metadata());
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                return match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Kind::Nothing,
                    _ => Kind::Hidden,
                };
            }
        };
        let kind = found.file_type();
        if kind.is_dir() {
            Kind::Directory
        } else if kind.is_file() {
            Kind::File(found.mode() & 0o111 != 0)
        } else {
            Kind::Other
        }
    }

    /// Returns the number of a user in the image: passwd(5).
    pub(super) fn user(&self, name: &str) -> Option<u32> {
        let text = self.head(Path::new("/etc/passwd"), LARGEST);
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines().map(|line| line.split(':'));
        let mut line = lines.find(|line| line.clone().next() == Some(name))?;
        line.nth(2)?.parse().ok()
    }

    /// Returns whether a user may create files in a directory, or in the nearest one above it that
    /// exists; nothing if groups or ACLs decide that, or if it is not known.
    pub(super) fn may_write(&self, dir: &Path, user: u32) -> Option<bool> {
        let found = dir.ancestors().find_map(|dir| self.open(dir, OFlag::O_PATH).ok())?;
        let found = found.metadata().ok()?;
        if !found.is_dir() {
            return None;
        }
        let (mode, is_owner) = (found.mode(), found.uid() == user);
        let (of_owner, of_group, of_others) =
            (mode & 0o200 != 0, mode & 0o020 != 0, mode & 0o002 != 0);
        match (is_owner, of_group == of_others) {
            (true, _) => Some(of_owner),
            (false, true) => Some(of_others),
            (false, false) => None,
        }
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// Returns the error of openat2(2).
    pub(super) fn file(&self, path: &Path) -> io::Result<File> {
        self.open(path, OFlag::O_RDONLY)
    }

    /// Returns the beginning of a file, or nothing if it cannot be read.
    pub(super) fn head(&self, path: &Path, most: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Ok(file) = self.file(path) {
            _ = file.take(most).read_to_end(&mut bytes);
        }
        bytes
    }

    /// Returns the names in a directory.
    ///
    /// # Errors
    /// Returns the error of the kernel.
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let dir = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let mut dir = nix::dir::Dir::from_fd(dir.into())?;
        let names = dir.iter().filter_map(Result::ok);
        Ok(names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    /// Returns whether a path is that of a link.
    fn is_link(&self, path: &Path) -> bool {
        let found = self.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
        found.and_then(|file| file.metadata()).is_ok_and(|found| found.is_symlink())
    }

    /// Returns whether a path is that of a directory, and not of a link to one.
    #[cfg(feature = "ctl")]
    fn is_directory(&self, path: &Path) -> bool {
        let found = self.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
        found.and_then(|file| file.metadata()).is_ok_and(|found| found.is_dir())
    }

    /// Returns the path without links at which a file of the image is.
    #[cfg(feature = "ctl")]
    fn real(&self, path: &Path) -> Option<PathBuf> {
        let file = self.open(path, OFlag::O_PATH).ok()?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.within(&std::fs::read_link(link).ok()?)
    }

    /// Returns whether this is the root directory of this machine.
    fn is_here(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Returns the path in the image of a file that trc has read, if it was read from there.
    fn within(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.path).ok()?;
        Some(Path::new("/").join(inside))
    }
}

/// The configuration to check, and the image to check it against.
struct Look<'a> {
    root: &'a Root,
    loaded: &'a Loaded,
    config: &'a Config,
    environment: &'a Environment,
}

impl Look<'_> {
    /// Returns a variable as a unit has it, if that is known before it starts.
    fn variable(&self, unit: &Unit, name: &str) -> Option<OsString> {
        let written = unit.identity.env.get(name).or_else(|| self.config.env.get(name));
        match written.map(|variable| &variable.value) {
            Some(Variable::Text(text)) => text.expand(&|name| self.inherited(name)).ok(),
            Some(Variable::File(_)) => None,
            None if unit.identity.env_clear => None,
            None => self.inherited(name),
        }
    }

    fn inherited(&self, name: &str) -> Option<OsString> {
        // The PATH of this machine says nothing about an image elsewhere.
        if name == "PATH" && !self.root.is_here() {
            return Some(PATH.into());
        }
        // Nor do its libraries.
        if name == "LD_LIBRARY_PATH" && !self.root.is_here() {
            return None;
        }
        let found = self.environment.iter().rfind(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    /// Returns the text of a template, if all of its variables are known.
    fn text(&self, unit: &Unit, template: &Template) -> Option<OsString> {
        template.expand(&|name| self.variable(unit, name)).ok()
    }

    /// Returns whether a boot unit runs before the unit starts, and may create the files that are
    /// missing now.
    fn is_prepared(&self, unit: &Unit) -> bool {
        let boots = |unit: &Unit| unit.stage == crate::config::Stage::Boot;
        !boots(unit) && self.config.units.iter().any(boots)
    }

    /// Turns an error into a warning if a boot unit may remove its cause.
    fn weighed(&self, unit: &Unit, mut found: Diagnostic) -> Diagnostic {
        if self.is_prepared(unit) {
            found.severity = crate::config::Severity::Warning;
            found.note = Some("a boot unit may add what is missing".to_owned());
        }
        found
    }
}

/// Returns an error or a warning for everything that a unit needs and the image lacks.
pub(super) fn remarks(loaded: &Loaded, environment: &Environment, root: &Root) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let look = Look { root, loaded, config, environment };
    let mut found = Vec::new();
    for unit in &config.units {
        programs::look(&look, unit, &mut found);
        accounts::look(&look, unit, &mut found);
        places::look(&look, unit, &mut found);
    }
    found
}
