//! The kind, the metadata and the contents of a file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::config::expect::size;
use crate::config::{FileCheck, FileKind, NewerThan, Pattern, Relation, reason};
use crate::report::excerpt;
use crate::run::os::clock::wall;
use crate::run::os::file::look_into;
use crate::run::os::sha256;
use crate::run::os::users::Users;
use crate::words::{Kind, Wrong};

/// The largest file that trc searches, in bytes: a regular expression takes a tenth of a second for
/// this many, in which PID 1 does nothing else.
const LONGEST: u64 = 1024 * 1024;

/// Checks a file, or the file that a link leads to. With a SHA-256, that takes time.
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
    if wanted.is_of_link() {
        link(wanted)?;
        if !wanted.looks_inside() {
            return Ok(());
        }
    }
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
    if let Some(wanted) = wanted.kind.filter(|wanted| !is(*wanted, &found)) {
        problems.push(Wrong::OfKind(kind(&found), wanted.words()));
    }
    for (relation, than) in &wanted.size {
        if !relation.holds(&found.len(), than) {
            let than = match relation {
                Relation::Equal => size(*than),
                relation => format!("{relation} {}", size(*than)),
            };
            problems.push(Wrong::Differs("size", size(found.len()), than));
        }
    }
    if let Some(than) = &wanted.newer_than {
        problems.extend(newer(&found, than).err());
    }
    if let Some(wanted_sum) = &wanted.sha256 {
        match regular(&wanted.path, &found).and_then(|file| {
            sha256::sum(file).map_err(|error| Wrong::NotRead("read it", reason(&error)))
        }) {
            Ok(sum) if sum == *wanted_sum => {}
            Ok(sum) => problems.push(Wrong::Differs("SHA-256", sum, wanted_sum.clone())),
            Err(why) => problems.push(why),
        }
    }
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
                Err(why) => problems.push(unread(&why)),
            }
        } else {
            problems.push(Wrong::NotRegular(kind(&found)));
        }
    }
    Wrong::all(problems)
}

/// Checks that a path is a symbolic link, and where it leads.
fn link(wanted: &FileCheck) -> Result<(), Wrong> {
    match fs::symlink_metadata(&wanted.path) {
        Ok(found) if found.is_symlink() => {}
        Ok(found) => return Err(Wrong::OfKind(kind(&found), FileKind::Symlink.words())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(Wrong::Absent);
        }
        Err(error) => return Err(Wrong::kernel(&error)),
    }
    let Some(target) = &wanted.target else { return Ok(()) };
    let to = fs::read_link(&wanted.path).map_err(|error| Wrong::kernel(&error))?;
    let to = to.to_string_lossy();
    target.check_of("its target", &to, &excerpt(&to)).map_err(Wrong::Text)
}

fn is(wanted: FileKind, found: &Metadata) -> bool {
    match wanted {
        FileKind::File => found.is_file(),
        FileKind::Directory => found.is_dir(),
        // It was looked at before.
        FileKind::Symlink => true,
        FileKind::Fifo => found.file_type().is_fifo(),
        FileKind::Socket => found.file_type().is_socket(),
        FileKind::BlockDevice => found.file_type().is_block_device(),
        FileKind::CharDevice => found.file_type().is_char_device(),
    }
}

/// Checks when a file was modified.
fn newer(found: &Metadata, than: &NewerThan) -> Result<(), Wrong> {
    let time = found.modified().map_err(|error| Wrong::kernel(&error))?;
    match than {
        NewerThan::Age(most) => {
            // A time in the future is no age.
            let age = wall().duration_since(time).unwrap_or_default();
            let age = Duration::from_secs(age.as_secs());
            if age <= *most { Ok(()) } else { Err(Wrong::Old(age, *most)) }
        }
        NewerThan::File(path) => {
            let other = fs::metadata(path).and_then(|other| other.modified());
            let other = other.map_err(|error| {
                let why = format!("{}: {}", path.display(), reason(&error).to_lowercase());
                Wrong::NotRead("compare it", why)
            })?;
            if time > other { Ok(()) } else { Err(Wrong::NotNewer(path.display().to_string())) }
        }
    }
}

/// Opens a regular file.
fn regular(path: &Path, found: &Metadata) -> Result<File, Wrong> {
    if !found.is_file() {
        return Err(Wrong::NotRegular(kind(found)));
    }
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    file.map_err(|error| Wrong::NotRead("read it", reason(&error).to_lowercase()))
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

/// Says why a file cannot be read.
pub(super) fn unread(why: &impl ToString) -> Wrong {
    Wrong::NotRead("read it", lower(&why.to_string()))
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
        FileCheck { path: path.into(), exists: true, ..FileCheck::default() }
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

    #[test]
    fn a_link_is_looked_at_itself_and_everything_else_through_it() {
        use crate::config::Wanted;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "123").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("nowhere", path("lost")).unwrap();
        let to = |text: &str| {
            let needle = Needle::Text(text.to_owned());
            Some(Wanted::Text(Pattern { needle, negated: false }))
        };
        for (name, kind, target, size, expected) in [
            ("link", Some(FileKind::Symlink), None, None, None),
            ("link", None, to("file"), Some(3), None),
            ("link", Some(FileKind::File), None, Some(3), None),
            ("lost", None, to("nowhere"), None, None),
            (
                "lost",
                None,
                to("nowhere"),
                Some(3),
                Some("it is a link to \"nowhere\", which does not exist"),
            ),
            ("link", None, to("other"), None, Some("its target is \"file\", not \"other\"")),
            (
                "file",
                Some(FileKind::Symlink),
                None,
                None,
                Some("it is a file of 3 bytes, not a symbolic link"),
            ),
            (
                "link",
                Some(FileKind::Directory),
                None,
                None,
                Some("it is a file of 3 bytes, not a directory"),
            ),
            (".", Some(FileKind::Directory), None, None, None),
            ("none", None, to("x"), None, Some("it does not exist")),
        ] {
            let size = size.into_iter().map(|size| (Relation::Equal, size)).collect();
            let wanted = FileCheck { kind, target, size, ..wanted(path(name)) };
            let found = check(&wanted).err().map(|wrong| wrong.to_string());
            assert_eq!(found.as_deref(), expected, "{name} {kind:?}");
        }
    }

    #[test]
    fn a_size_a_sum_and_a_time_are_compared() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("old"), "").unwrap();
        let hour = wall() - Duration::from_hours(1);
        File::options().write(true).open(path("old")).unwrap().set_modified(hour).unwrap();
        fs::write(path("new"), "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sized = |name: &str, relation, than| {
            why_not(&FileCheck { size: vec![(relation, than)], ..wanted(path(name)) })
        };
        assert_eq!(sized("new", Relation::More, 2), "");
        assert_eq!(sized("new", Relation::Less, 3), "its size is 3 bytes, not < 3 bytes");
        assert_eq!(sized("old", Relation::Equal, 1024), "its size is 0 bytes, not 1 KiB");
        let sum = |name: &str, sum: &str| {
            why_not(&FileCheck { sha256: Some(sum.to_owned()), ..wanted(path(name)) })
        };
        assert_eq!(sum("new", abc), "");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sum("old", abc), format!("its SHA-256 is {empty}, not {abc}"));
        assert_eq!(sum(".", abc), "it is a directory, and trc reads regular files only");
        let newer = |name: &str, than: NewerThan| {
            why_not(&FileCheck { newer_than: Some(than), ..wanted(path(name)) })
        };
        assert_eq!(newer("new", NewerThan::File(path("old"))), "");
        assert_eq!(newer("new", NewerThan::Age(Duration::from_mins(10))), "");
        let older = newer("old", NewerThan::File(path("new")));
        assert_eq!(older, format!("it is not newer than {}", path("new").display()));
        let old = newer("old", NewerThan::Age(Duration::from_mins(10)));
        assert!(old.starts_with("it was modified 36"), "{old}");
        assert!(old.ends_with(" s ago, which is longer ago than 600 s"), "{old}");
        let gone = newer("new", NewerThan::File(path("gone")));
        assert!(gone.starts_with("cannot compare it: "), "{gone}");
    }

    fn why_not(wanted: &FileCheck) -> String {
        check(wanted).err().map_or(String::new(), |wrong| wrong.to_string())
    }
}
