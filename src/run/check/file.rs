//! The kind, the metadata and the contents of a file.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::config::{FileCheck, Pattern, reason};
use crate::report::excerpt;
use crate::run::os::file::look_into;
use crate::run::os::users::Users;
use crate::words::{Kind, Wrong};

/// The largest file that trc searches, in bytes: a regular expression takes a tenth of a second for
/// this many, in which PID 1 does nothing else.
const LONGEST: u64 = 1024 * 1024;

/// Checks a file, or the file that a link leads to.
///
/// # Errors
/// Returns everything that differs, or the reason why that cannot be found out.
pub(crate) fn check(wanted: &FileCheck) -> Result<(), Wrong> {
    check_with(wanted, || {
        Users::read().map_err(|error| Wrong::NotRead("look up its owner", reason(&error)))
    })
}

fn check_with(
    wanted: &FileCheck,
    users: impl FnOnce() -> Result<Users, Wrong>,
) -> Result<(), Wrong> {
    let found = match fs::metadata(&wanted.path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return if wanted.exists { Err(absent(&wanted.path)) } else { Ok(()) };
        }
        Err(error) => return Err(Wrong::kernel(&error)),
    };
    if !wanted.exists {
        return Err(Wrong::Exists(kind(&found)));
    }
    let mut problems = Vec::new();
    let mode = found.mode() & 0o7777;
    if let Some(wanted) = wanted.mode.filter(|wanted| *wanted != mode) {
        problems.push(Wrong::Mode(mode, wanted));
    }
    if let Some(owner) = &wanted.owner {
        problems.extend(users().and_then(|users| owned(&users, owner, &found)).err());
    }
    if !wanted.contains.is_empty() {
        // trc does not even open anything other than a regular file, because that may have side
        // effects.
        if found.is_file() {
            match look_into(&wanted.path, LONGEST) {
                Ok(bytes) => {
                    let check = |one: &Pattern| one.check_of("it", &bytes).err();
                    problems.extend(wanted.contains.iter().filter_map(check).map(Wrong::Text));
                }
                Err(why) => problems.push(Wrong::NotRead("read it", lower(&why.to_string()))),
            }
        } else {
            problems.push(Wrong::NotRegular(kind(&found)));
        }
    }
    Wrong::all(problems)
}

/// Describes the place of a file that does not exist.
fn absent(path: &Path) -> Wrong {
    match fs::read_link(path) {
        Ok(to) => Wrong::LeadsNowhere(excerpt(to.to_string_lossy())),
        Err(_) => Wrong::Absent,
    }
}

/// Checks that the owner of a file is this `USER[:GROUP]`.
fn owned(users: &Users, wanted: &str, found: &Metadata) -> Result<(), Wrong> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let uid = users.user(user).ok_or_else(|| Wrong::NoUser(user.to_owned()))?.uid;
    let gid = group.map(|group| users.group(group).ok_or(Wrong::NoGroup(group.to_owned())));
    let gid = gid.transpose()?;
    if found.uid() == uid && gid.is_none_or(|gid| found.gid() == gid) {
        return Ok(());
    }
    let mut owner = users.user_name(found.uid());
    if gid.is_some() {
        owner = format!("{owner}:{}", users.group_name(found.gid()));
    }
    Err(Wrong::Owner(owner, wanted.to_owned()))
}

fn kind(found: &Metadata) -> Kind {
    let is = found.file_type();
    let kinds = [
        (is.is_dir(), Kind::Directory),
        (is.is_fifo(), Kind::Fifo),
        (is.is_socket(), Kind::Socket),
        (is.is_block_device(), Kind::BlockDevice),
        (is.is_char_device(), Kind::CharDevice),
    ];
    let kind = kinds.into_iter().find(|(is, _)| *is);
    kind.map_or(Kind::File(found.len()), |(_, kind)| kind)
}

/// Returns a message of a library without its capital letter.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use nix::sys::stat::Mode;

    use super::*;
    use crate::config::Needle;

    fn wanted(path: impl Into<PathBuf>) -> FileCheck {
        FileCheck { path: path.into(), exists: true, mode: None, owner: None, contains: vec![] }
    }

    fn has(text: &str) -> Pattern {
        Pattern { needle: Needle::Text(text.to_owned()), negated: false }
    }

    fn why(wanted: &FileCheck) -> String {
        check(wanted).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_there_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "12").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink("nowhere", path("lost")).unwrap();
        symlink("loop", path("loop")).unwrap();
        for (name, there, not_there) in [
            ("file", None, Some("it exists: it is a file of 2 bytes")),
            ("link", None, Some("it exists: it is a file of 2 bytes")),
            (".", None, Some("it exists: it is a directory")),
            ("none", Some("it does not exist"), None),
            ("file/x", Some("it does not exist"), None),
            ("lost", Some("it is a link to \"nowhere\", which does not exist"), None),
            ("loop", Some("too many levels of symbolic links"), Some("too many levels")),
        ] {
            for (exists, expected) in [(true, there), (false, not_there)] {
                let found = check(&FileCheck { exists, ..wanted(path(name)) });
                match expected {
                    None => assert_eq!(found, Ok(()), "{name}"),
                    Some(text) => {
                        assert!(found.unwrap_err().to_string().starts_with(text), "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one\ntwo\n").unwrap();
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set(0o4750);
        let mut wanted = wanted(&path);
        wanted.mode = Some(0o4750);
        wanted.contains = vec![has("two"), Pattern { negated: true, ..has("three") }];
        assert_eq!(check(&wanted), Ok(()));
        wanted.mode = Some(0o750);
        wanted.contains = vec![has("three"), Pattern { negated: true, ..has("two") }];
        assert_eq!(
            why(&wanted),
            "its mode is 4750, not 0750; it lacks \"three\": \"one / two\"; \
             it has \"two\": line 2: \"two\""
        );
    }

    #[test]
    fn an_owner_is_a_user_and_maybe_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let users = || {
            let own = nix::unistd::geteuid();
            let group = nix::unistd::getegid();
            Ok(Users::of(
                &format!("me:x:{own}:{group}::/:\nyou:x:4321:4321::/:\n"),
                &format!("us:x:{group}:\nthem:x:4321:\n"),
            ))
        };
        let uid = nix::unistd::geteuid().to_string();
        for (owner, expected) in [
            ("me", None),
            ("me:us", None),
            (uid.as_str(), None),
            ("you", Some("its owner is me, not you")),
            ("me:them", Some("its owner is me:us, not me:them")),
            ("you:us", Some("its owner is me:us, not you:us")),
            ("4444", Some("its owner is me, not 4444")),
            ("nobdy", Some("there is no user nobdy")),
            ("me:nobdy", Some("there is no group nobdy")),
        ] {
            let mut wanted = wanted(dir.path());
            wanted.owner = Some(owner.to_owned());
            let expected = expected.map_or(Ok(()), |text| Err(text.to_owned()));
            let found = check_with(&wanted, users).map_err(|wrong| wrong.to_string());
            assert_eq!(found, expected, "{owner}");
        }
    }

    #[test]
    fn only_files_of_a_bounded_size_are_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        fs::File::create(path("large")).unwrap().set_len(LONGEST + 1).unwrap();
        for (path, expected) in [
            (path("fifo"), "it is a FIFO, and trc reads regular files only"),
            (path("socket"), "it is a socket, and trc reads regular files only"),
            (path("."), "it is a directory, and trc reads regular files only"),
            ("/dev/zero".into(), "it is a character device, and trc reads regular files only"),
            (path("large"), "cannot read it: it is larger than 1 MiB"),
        ] {
            let mut wanted = wanted(path);
            wanted.contains = vec![has("x")];
            assert_eq!(why(&wanted), expected);
        }
        let mut wanted = wanted("/proc/self/status");
        wanted.contains = vec![has("VmRSS:")];
        assert_eq!(check(&wanted), Ok(()), "it has no size that stat(2) tells");
    }
}
