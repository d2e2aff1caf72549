//! The shell prelude (`say log warn err debug run`), and the state that boot scripts pass on.
//!
//! [`Shell::find`] finds the shell. [`prepare`] turns a [`Job`] into everything that the caller
//! needs to execute it. After a boot script, [`State::read`] reads the state that the script has
//! left. Nothing here starts a process.

mod job;
mod outside;
mod place;
mod quote;
mod state;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

#[cfg(test)]
pub(crate) use job::prepare_without_proc;
pub(crate) use job::{Body, Errors, Job, Lines, Own, Prepared, Saved, VERDICT_FD, prepare};
pub(crate) use outside::{asks_for_trace, is_withheld};
pub(crate) use place::failed_at;
pub(crate) use state::State;

/// The kind of a shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Bash, 4.2 or later: arrays, the ERR trap, functions in the boot state.
    Bash,
    /// Any other: dash, busybox's ash, bash called as `sh`.
    Posix,
}

/// The shell that scripts run in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shell {
    /// The words before the program: `["/usr/bin/bash", "-c"]`. The first one is a path.
    pub words: Vec<OsString>,
    /// The kind of the shell, which is known by its base name.
    pub kind: Kind,
}

impl Shell {
    /// Returns the configured shell, or else the first of `bash` and `sh` in `path`; `None` if none
    /// can be executed. A configured shell of one word gets its `-c`.
    #[must_use]
    pub(crate) fn find(configured: Option<&[OsString]>, path: &OsStr) -> Option<Self> {
        let with_c = |name: &str| vec![OsString::from(name), "-c".into()];
        match configured {
            Some([]) => None,
            Some([one]) => Self::of(&[one.clone(), "-c".into()], path),
            Some(words) => Self::of(words, path),
            None => Self::of(&with_c("bash"), path).or_else(|| Self::of(&with_c("sh"), path)),
        }
    }

    fn of(words: &[OsString], path: &OsStr) -> Option<Self> {
        let (name, rest) = words.split_first()?;
        let program = executable(name, path)?;
        let kind = match Path::new(name).file_name() {
            Some(base) if base == "bash" => Kind::Bash,
            _ => Kind::Posix,
        };
        let words = std::iter::once(program).chain(rest.iter().cloned()).collect();
        Some(Self { words, kind })
    }
}

/// Returns the file that `name` refers to: itself if it has a slash, or else the first one in
/// `path` (POSIX XBD 8.3: an empty entry is the working directory).
fn executable(name: &OsStr, path: &OsStr) -> Option<OsString> {
    let can = |file: &Path| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    if name.is_empty() {
        return None;
    }
    if name.as_bytes().contains(&b'/') {
        return can(Path::new(name)).then(|| name.to_owned());
    }
    std::env::split_paths(path)
        .map(
            |dir| {
                if dir.as_os_str().is_empty() { Path::new(".").join(name) } else { dir.join(name) }
            },
        )
        .find(|file| can(file))
        .map(std::path::PathBuf::into_os_string)
}

#[cfg(test)]
mod with_shells;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_goes_before_sh_and_is_found_in_path() {
        let shell = Shell::find(None, OsStr::new("/nowhere:/usr/bin:/bin")).unwrap();
        assert_eq!(shell.kind, Kind::Bash);
        assert_eq!(shell.words, ["/usr/bin/bash", "-c"]);
    }

    #[test]
    fn without_a_shell_there_is_none() {
        assert_eq!(Shell::find(None, OsStr::new("/nowhere")), None);
        let missing = ["/nowhere/ash".into(), "-c".into()];
        assert_eq!(Shell::find(Some(&missing), OsStr::new("/bin")), None);
        assert_eq!(Shell::find(Some(&["/etc/passwd".into()]), OsStr::new("/bin")), None);
    }

    #[test]
    fn a_configured_shell_keeps_its_words_and_is_known_by_its_name() {
        let words = ["sh".into(), "-u".into(), "-c".into()];
        let shell = Shell::find(Some(&words), OsStr::new("/bin")).unwrap();
        assert_eq!(shell.words, ["/bin/sh", "-u", "-c"]);
        assert_eq!(shell.kind, Kind::Posix);
        let one = Shell::find(Some(&["dash".into()]), OsStr::new("/bin")).unwrap();
        assert_eq!(one.words, ["/bin/dash", "-c"]);
    }
}
