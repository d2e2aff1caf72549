//! Everything below a directory. A child walks through it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{Forbidden, TreeCheck, reason};
use crate::run::os::users::Users;
use crate::words::Wrong;

/// The number of files of a kind that are named.
const SHOWN: usize = 10;

/// What was found below a directory.
#[derive(Default)]
struct Found {
    /// The disk space of all files, in bytes. A file with several names counts once.
    size: u64,
    /// Forbidden files, and those that cannot be looked at.
    forbidden: Vec<(Forbidden, Few)>,
    unread: Few,
}

/// The first of a number of paths.
#[derive(Clone, Default)]
struct Few {
    shown: Vec<String>,
    count: usize,
}

impl Few {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(what());
        }
    }
}

/// Checks everything below a directory, the directory included, that is in its file system. Links
/// are not followed.
///
/// # Errors
/// Returns what is wrong, or cannot be looked at.
pub(crate) fn check(wanted: &TreeCheck) -> Result<(), Wrong> {
    let users = if wanted.forbids.contains(&Forbidden::NoOwner) {
        Some(Users::read().map_err(|error| Wrong::NotRead("look up owners", reason(&error)))?)
    } else {
        None
    };
    let top = match fs::symlink_metadata(&wanted.path) {
        Ok(top) if top.is_dir() => top,
        Ok(_) => return Err(Wrong::NoDirectory),
        Err(error) => return Err(Wrong::kernel(&error)),
    };
    let forbidden = wanted.forbids.iter().map(|kind| (*kind, Few::default())).collect();
    let mut found = Found { forbidden, ..Found::default() };
    walk(wanted, &top, users.as_ref(), &mut found);
    let mut problems = Vec::new();
    for (kind, few) in found.forbidden {
        if few.count > 0 {
            problems.push(Wrong::Files(kind.words(), few.shown, few.count));
        }
    }
    if let Some(most) = wanted.max_size.filter(|most| found.size > *most) {
        problems.push(Wrong::Takes(found.size, most));
    }
    if found.unread.count > 0 {
        problems.push(Wrong::Files("cannot be read", found.unread.shown, found.unread.count));
    }
    Wrong::all(problems)
}

fn walk(wanted: &TreeCheck, top: &Metadata, users: Option<&Users>, found: &mut Found) {
    let mut known = BTreeSet::new();
    let mut left: Vec<(PathBuf, Metadata)> = vec![(wanted.path.clone(), top.clone())];
    while let Some((path, file)) = left.pop() {
        if file.nlink() < 2 || file.is_dir() || known.insert(file.ino()) {
            // st_blocks counts 512 bytes each, whatever the file system: stat(2).
            found.size += file.blocks() * 512;
        }
        for (kind, few) in &mut found.forbidden {
            if is(*kind, &path, &file, users) {
                few.add(|| path.display().to_string());
            }
        }
        if !file.is_dir() {
            continue;
        }
        let unread = |path: &Path, error: &std::io::Error| {
            format!("{} ({})", path.display(), reason(error).to_lowercase())
        };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) => {
                found.unread.add(|| unread(&path, &error));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if wanted.except.iter().any(|other| path.starts_with(other)) {
                continue;
            }
            match fs::symlink_metadata(&path) {
                // Something else is mounted there.
                Ok(file) if file.dev() != top.dev() => {}
                Ok(file) => left.push((path, file)),
                // It is gone by now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => found.unread.add(|| unread(&path, &error)),
            }
        }
    }
}

fn is(kind: Forbidden, path: &Path, file: &Metadata, users: Option<&Users>) -> bool {
    let mode = file.mode();
    match kind {
        // In a directory such as /tmp, only the owner of a file can remove it.
        Forbidden::WorldWritable if file.is_dir() => mode & 0o1002 == 0o0002,
        Forbidden::WorldWritable => file.is_file() && mode & 0o0002 != 0,
        Forbidden::Setuid => file.is_file() && mode & 0o4000 != 0,
        Forbidden::Setgid => file.is_file() && mode & 0o2000 != 0,
        Forbidden::NoOwner => users.is_some_and(|users| {
            users.user_name(file.uid()).parse::<u32>().is_ok()
                || users.group_name(file.gid()).parse::<u32>().is_ok()
        }),
        Forbidden::BrokenLink => file.is_symlink() && fs::metadata(path).is_err(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn says(path: &Path, forbids: &[Forbidden], set: impl FnOnce(&mut TreeCheck)) -> String {
        let mut wanted = TreeCheck {
            path: path.to_owned(),
            forbids: forbids.to_vec(),
            except: Vec::new(),
            max_size: None,
        };
        set(&mut wanted);
        let found = check(&wanted).err().map_or(String::new(), |wrong| wrong.to_string());
        found.replace(path.to_str().unwrap(), "")
    }

    #[test]
    fn forbidden_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = |name: &str, mode: u32| {
            fs::write(path(name), "x").unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let directory = |name: &str, mode: u32| {
            fs::create_dir(path(name)).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        directory("open", 0o777);
        directory("sticky", 0o1777);
        directory("setgid", 0o2755);
        file("open/all", 0o666);
        file("su", 0o4755);
        file("write", 0o2755);
        file("own", 0o644);
        symlink("own", path("link")).unwrap();
        symlink("nowhere", path("lost")).unwrap();
        for (forbids, expected) in [
            (Forbidden::WorldWritable, "world-writable: /open, /open/all"),
            (Forbidden::Setuid, "setuid: /su"),
            (Forbidden::Setgid, "setgid: /write"),
            (Forbidden::BrokenLink, "links to nothing: /lost"),
        ] {
            assert_eq!(says(dir.path(), &[forbids], |_| ()), expected);
        }
        let open = path("open");
        let all = [Forbidden::WorldWritable, Forbidden::Setuid];
        assert_eq!(says(dir.path(), &all, |wanted| wanted.except = vec![open]), "setuid: /su");
        assert_eq!(says(&path("own"), &all, |_| ()), "it is not a directory");
        assert_eq!(says(&path("none"), &all, |_| ()), "no such file or directory");
        for number in 0..20 {
            symlink("nowhere", path(&format!("l{number}"))).unwrap();
        }
        let many = says(dir.path(), &[Forbidden::BrokenLink], |_| ());
        assert!(many.ends_with(", and 11 more"), "{many}");
    }

    #[test]
    fn disk_space_counts_a_file_once_whatever_its_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), vec![1; 256 * 1024]).unwrap();
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let most = |most: u64| move |wanted: &mut TreeCheck| wanted.max_size = Some(most);
        assert_eq!(says(dir.path(), &[], most(500 * 1024)), "");
        let much = says(dir.path(), &[], most(1024));
        assert!(much.starts_with("it takes ") && much.ends_with(", more than 1 KiB"), "{much}");
    }
}
