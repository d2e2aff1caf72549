//! The files that a container needs for the tests: a folder that is mounted into it.
//!
//! The folder has copies, because users of the container must be able to read everything in it, and
//! because the engine may have to label it for `SELinux`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::reason;

/// The place of the folder in the container.
pub(super) const PLACE: &str = "/.trcctl";

/// The folder on this machine.
pub(super) struct Folder(TempDir);

/// The two kinds of files with tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A file with the keys of `trc.toml`.
    Settings,
    /// A drop-in, whose name says which test it is.
    DropIn,
}

impl Kind {
    /// Returns the kind of a file by its name: `test.NAME` and `test.NAME.toml` are drop-ins.
    pub(super) fn of(name: &OsStr) -> Self {
        let is_unit = |name: &str| {
            let name = name.strip_suffix(".toml").unwrap_or(name);
            let stages = ["boot", "async", "sync", "test", "halt"];
            name.split_once('.').is_some_and(|(stage, _)| stages.contains(&stage))
        };
        if name.to_str().is_some_and(is_unit) { Self::DropIn } else { Self::Settings }
    }
}

fn mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

impl Folder {
    /// Creates an empty folder. It is removed when this is dropped.
    ///
    /// # Errors
    /// Returns the message to print.
    pub(super) fn new() -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("trcctl-").tempdir().and_then(|dir| {
            // The umask may have taken away the rights of others.
            mode(dir.path(), 0o755)?;
            for name in ["etc", "etc/trc.d", "tests"] {
                fs::create_dir(dir.path().join(name))?;
                mode(&dir.path().join(name), 0o755)?;
            }
            Ok(dir)
        });
        folder.map(Self).map_err(|why| {
            let place = std::env::temp_dir();
            format!("cannot create a directory in {}: {}", place.display(), reason(&why))
        })
    }

    /// Copies a file of this machine into the folder. Returns its path in the container.
    ///
    /// # Errors
    /// Returns the message to print.
    pub(super) fn copy(&self, from: &Path, to: &str, rights: u32) -> Result<OsString, String> {
        let because = |why: io::Error| format!("cannot read {}: {}", from.display(), reason(&why));
        let bytes = fs::read(from).map_err(because)?;
        self.write(to, &bytes, rights)
    }

    /// Copies a file with tests. Returns its path in the container.
    ///
    /// # Errors
    /// Returns the message to print.
    pub(super) fn tests(&self, from: &Path) -> Result<(Kind, OsString), String> {
        let shown = from.display();
        let name = from.file_name().filter(|_| !from.is_dir());
        let name = name.ok_or_else(|| {
            format!("{shown} is a directory: name its files, such as {shown}/*.toml")
        })?;
        let kind = Kind::of(name);
        let dir = match kind {
            Kind::Settings => "tests",
            Kind::DropIn => "etc/trc.d",
        };
        let name = name.to_str().ok_or_else(|| format!("the name of {shown} is not UTF-8"))?;
        let to = format!("{dir}/{name}");
        if self.0.path().join(&to).exists() {
            return Err(format!("two files with tests have the same name: {name}"));
        }
        // Scripts need not be executable on this machine either, but those that are stay so.
        let executable = from.metadata().is_ok_and(|found| found.permissions().mode() & 0o111 != 0);
        let rights = if executable { 0o755 } else { 0o644 };
        Ok((kind, self.copy(from, &to, rights)?))
    }

    /// Writes a file. Returns its path in the container.
    ///
    /// # Errors
    /// Returns the message to print.
    pub(super) fn write(&self, to: &str, bytes: &[u8], rights: u32) -> Result<OsString, String> {
        let path = self.0.path().join(to);
        let done = fs::write(&path, bytes).and_then(|()| mode(&path, rights));
        done.map_err(|why| format!("cannot write {}: {}", path.display(), reason(&why)))?;
        Ok(format!("{PLACE}/{to}").into())
    }

    /// Returns the option of the engine that mounts a file of the folder, or all of it, read-only.
    pub(super) fn mount(&self, file: Option<&str>, at: &str) -> OsString {
        let from = file.map_or_else(|| self.0.path().to_owned(), |file| self.0.path().join(file));
        let mut out = from.into_os_string();
        // `z` lets any container read it where SELinux is on; elsewhere it does nothing.
        out.push(format!(":{at}:ro,z"));
        out
    }

    /// Returns the path on this machine of a file in the folder. Any other path stays as it is.
    pub(super) fn here(&self, path: &OsStr) -> PathBuf {
        match Path::new(path).strip_prefix(PLACE) {
            Ok(rest) => self.0.path().join(rest),
            Err(_) => path.into(),
        }
    }

    /// Returns the path of a file on this machine.
    #[cfg(test)]
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_what_it_is() {
        for (name, kind) in [
            ("tests.toml", Kind::Settings),
            ("web.tests.toml", Kind::Settings),
            ("test.toml", Kind::Settings),
            ("goss", Kind::Settings),
            ("test.web.toml", Kind::DropIn),
            ("test.web", Kind::DropIn),
            ("async.db.toml", Kind::DropIn),
        ] {
            assert_eq!(Kind::of(OsStr::new(name)), kind, "{name}");
        }
    }

    #[test]
    fn everybody_can_read_the_copies() {
        let folder = Folder::new().unwrap();
        let here = TempDir::new().unwrap();
        let file = here.path().join("tests.toml");
        fs::write(&file, "[test.a]\n").unwrap();
        mode(&file, 0o600).unwrap();
        let found = folder.tests(&file).unwrap();
        assert_eq!(found, (Kind::Settings, "/.trcctl/tests/tests.toml".into()));
        let rights =
            |path: &str| folder.path(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (rights("tests/tests.toml"), rights("tests"), rights("")),
            (0o644, 0o755, 0o755)
        );
        let twice = folder.tests(&file).unwrap_err();
        assert_eq!(twice, "two files with tests have the same name: tests.toml");
        let dir = folder.tests(here.path()).unwrap_err();
        assert!(dir.contains("is a directory: name its files"), "{dir}");
        let none = folder.tests(&here.path().join("none.toml")).unwrap_err();
        assert!(
            none.starts_with("cannot read ")
                && none.ends_with("none.toml: No such file or directory"),
            "{none}"
        );
    }
}
