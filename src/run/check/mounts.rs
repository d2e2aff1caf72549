//! Mounts: `/proc/PID/mountinfo` of proc(5).

use std::path::{Path, PathBuf};

use crate::config::{Listed, MountCheck};
use crate::report::excerpt;
use crate::run::os::proc;
use crate::words::Wrong;

/// A mount.
#[derive(PartialEq, Eq, Debug)]
struct Mount {
    path: PathBuf,
    /// The options of the mount and of its file system.
    options: Vec<String>,
    kind: String,
    source: String,
}

/// Checks that something is mounted at a path, or that nothing is.
///
/// # Errors
/// Returns everything that differs.
pub(crate) fn check(wanted: &MountCheck) -> Result<(), Wrong> {
    let text = proc::read("self", "mountinfo").ok_or(Wrong::NoMounts)?;
    verdict(&String::from_utf8_lossy(&text), wanted)
}

fn verdict(text: &str, wanted: &MountCheck) -> Result<(), Wrong> {
    let mounts: Vec<Mount> = text.lines().filter_map(mount).collect();
    // `/data/` is `/data`, and the last mount hides the others.
    let path: PathBuf = wanted.path.components().collect();
    let found = mounts.iter().rev().find(|mount| mount.path == path);
    let Some(found) = found else {
        return if wanted.exists { Err(instead(&mounts, &path)) } else { Ok(()) };
    };
    if !wanted.exists {
        return Err(Wrong::Mounted(found.kind.clone(), excerpt(&found.source)));
    }
    let mut problems = Vec::new();
    if let Some(kind) = wanted.kind.as_ref().filter(|kind| **kind != found.kind) {
        problems.push(Wrong::Differs("type", found.kind.clone(), kind.clone()));
    }
    if let Some(source) = &wanted.source {
        let checked = source.check_of("its source", &found.source, &excerpt(&found.source));
        problems.extend(checked.err().map(Wrong::Text));
    }
    let wrong = |negated: bool| -> Vec<String> {
        let is_wrong =
            |one: &&Listed| one.negated == negated && has(&found.options, &one.name) == one.negated;
        wanted.options.iter().filter(is_wrong).map(|one| one.name.clone()).collect()
    };
    let (missing, present) = (wrong(false), wrong(true));
    if !missing.is_empty() {
        problems.push(Wrong::Lacks("the option", missing, found.options.clone()));
    }
    if !present.is_empty() {
        problems.push(Wrong::Has("the option", present));
    }
    Wrong::all(problems)
}

/// Returns whether a mount has an option, with any value unless one is written. The kernel does not
/// list those that are the opposite of `noexec`, `nosuid` and `nodev`.
fn has(options: &[String], wanted: &str) -> bool {
    let is_there = |name: &str| {
        let with_value = |option: &String| {
            option == name || option.split_once('=').is_some_and(|(option, _)| option == name)
        };
        options.iter().any(with_value)
    };
    match wanted {
        "exec" | "suid" | "dev" => !is_there(&format!("no{wanted}")),
        _ => is_there(wanted),
    }
}

/// Describes the mount that a path is in.
fn instead(mounts: &[Mount], path: &Path) -> Wrong {
    let around = mounts.iter().filter(|mount| path.starts_with(&mount.path));
    let around = around.max_by_key(|mount| mount.path.components().count());
    let describe = |mount: &Mount| (mount.path.display().to_string(), mount.kind.clone());
    Wrong::NotMounted(around.map(describe))
}

/// Parses a line.
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ');
    let (path, own) = (before.nth(4)?, before.next()?);
    let mut after = after.split(' ');
    let (kind, source) = (after.next()?, after.next()?);
    let of_files = after.next().unwrap_or_default();
    let mut options: Vec<String> = Vec::new();
    for option in own.split(',').chain(of_files.split(',')) {
        if !option.is_empty() && !options.iter().any(|one| one == option) {
            options.push(option.to_owned());
        }
    }
    // Whichever of the two is read-only, nothing can be written.
    if options.iter().any(|option| option == "ro") {
        options.retain(|option| option != "rw");
    }
    Some(Mount {
        path: unescaped(path).into(),
        options,
        kind: kind.to_owned(),
        source: unescaped(source),
    })
}

/// Replaces `\040` and the like.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Needle, Pattern, Wanted};

    const TABLE: &str = "\
22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b
23 22 0:21 / /data rw,nosuid,nodev - ext4 /dev/sdb1 rw
24 22 0:22 / /data ro,noexec shared:1 - tmpfs tmpfs rw,size=64k
25 22 0:23 / /a\\040b rw master:2 propagate_from:1 - xfs /dev/x\\134y ro,attr2
broken line
";

    fn says(path: &str, set: impl FnOnce(&mut MountCheck)) -> String {
        let mut wanted = MountCheck { path: path.into(), exists: true, ..MountCheck::default() };
        set(&mut wanted);
        verdict(TABLE, &wanted).err().map_or(String::new(), |wrong| wrong.to_string())
    }

    fn options(all: &'static str) -> impl FnOnce(&mut MountCheck) {
        move |wanted| {
            wanted.options = all
                .split(' ')
                .map(|one| Listed {
                    name: one.trim_start_matches('!').to_owned(),
                    negated: one.starts_with('!'),
                })
                .collect();
        }
    }

    #[test]
    fn a_mount_is_the_last_one_at_its_path() {
        assert_eq!(says("/data/", |_| ()), "");
        assert_eq!(says("/data", |wanted| wanted.kind = Some("tmpfs".to_owned())), "");
        let ext4 = says("/data", |wanted| wanted.kind = Some("ext4".to_owned()));
        assert_eq!(ext4, "its type is tmpfs, not ext4");
        let x = says("/data/x", |_| ());
        assert_eq!(x, "nothing is mounted there: it is in /data, which is tmpfs");
        assert_eq!(says("/data/x", |wanted| wanted.exists = false), "");
        let there = says("/data", |wanted| wanted.exists = false);
        assert_eq!(there, "something is mounted there: tmpfs from \"tmpfs\"");
        let source = |text: &str| {
            let needle = Needle::Text(text.to_owned());
            Some(Wanted::Text(Pattern { needle, negated: false }))
        };
        assert_eq!(says("/a b", |wanted| wanted.source = source("/dev/x\\y")), "");
        let other = says("/a b", |wanted| wanted.source = source("/dev/z"));
        assert_eq!(other, r#"its source is "/dev/x\y", not "/dev/z""#);
    }

    #[test]
    fn options_are_those_of_the_mount_and_of_its_file_system() {
        for (path, wanted, expected) in [
            ("/data", "ro noexec size size=64k suid dev !rw !exec", ""),
            ("/a b", "ro !rw attr2", ""),
            ("/", "rw exec !ro", ""),
            ("/", "ro", "it lacks the option ro and has rw, relatime, lowerdir=/a:/b"),
            ("/data", "size=1m", "it lacks the option size=1m and has ro, noexec, size=64k"),
            ("/data", "exec", "it lacks the option exec and has ro, noexec, size=64k"),
            ("/data", "!ro !suid", "it has the option ro, suid, which it must not have"),
        ] {
            assert_eq!(says(path, options(wanted)), expected, "{path} {wanted}");
        }
    }
}
