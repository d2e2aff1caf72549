//! The kinds of files in a drop-in directory, by their names.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Stage;
use super::suggest::nearest;

/// The kind of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum DropIn {
    /// `STAGE.NAME.toml`.
    Unit(Stage, String),
    /// `STAGE.NAME`.
    Script(Stage, String),
    /// Any other `*.toml`.
    Fragment,
    /// Another file, and the stage that its name was probably meant to begin with.
    Other(Option<&'static str>),
    /// Another file that was probably meant for trc, and the name that it should have.
    Strange(&'static str),
}

/// Other programs' words for stages.
const STAGES: &[(&str, &str)] = &[
    (
        "boot",
        "init pre setup start prepare up oneshot before cont-init prestart entrypoint startup",
    ),
    ("async", "bg background daemon daemons service services svc unit program supervisor worker"),
    ("sync", "fg foreground main run cmd command app"),
    ("test", "check checks tests spec health"),
    ("halt", "sd stop finish post down cleanup shutdown exit teardown after cont-finish"),
];

/// The endings of files with a shell script.
const SCRIPTS: &[&str] = &[".sh", ".bash"];

/// The endings of files with a script that is not for a shell.
const PROGRAMS: &[&str] = &[".py", ".pl", ".rb", ".js", ".php", ".lua"];

/// The endings of files with settings or prose.
const SETTINGS: &[&str] = &[
    ".conf",
    ".cfg",
    ".cnf",
    ".ini",
    ".yaml",
    ".yml",
    ".json",
    ".xml",
    ".service",
    ".timer",
    ".socket",
    ".env",
    ".properties",
    ".md",
    ".txt",
    // Not quite `.toml`.
    ".tml",
    ".tom",
    ".tmol",
    ".TOML",
];

/// The endings among these of files with prose, or with settings of programs that cannot be
/// mistaken for a unit.
const PROSE: &[&str] = &[".md", ".txt", ".xml", ".properties"];

/// Returns a warning about the name of a script file. The shell reads the file nevertheless.
pub(super) fn odd_script(name: &OsStr) -> Option<(&'static str, String)> {
    // `async.service` is a unit named `service`, but `async.web.service` has an ending.
    let name = name.as_bytes();
    let (directory, name) = match name.strip_prefix(b"trc.") {
        Some(name) => ("trc.d/", name),
        None => ("", name),
    };
    let dots = memchr::memchr_iter(b'.', name).count();
    let ending = |endings: &[&str]| {
        let ending = endings.iter().find(|end| dots > 1 && name.ends_with(end.as_bytes()))?;
        Some(format!("{directory}{}.toml", unit_name(&name[..name.len() - ending.len()])))
    };
    if let Some(right) = ending(PROGRAMS) {
        return Some((
            "the shell reads this file as a script, whatever language it is in",
            format!("to run another interpreter, write `exec` in {right}"),
        ));
    }
    let right = ending(SETTINGS)?;
    Some((
        "the shell reads this file as a script, because of its name",
        format!(
            "to declare the unit in TOML, name the file {right}; trc skips names that begin with `.`"
        ),
    ))
}

/// Returns the format that a file is in if it cannot be read as TOML, by its name.
pub(super) fn foreign_format(name: &OsStr) -> Option<&'static str> {
    const FORMATS: &[(&str, &str)] =
        &[(".yaml", "YAML"), (".yml", "YAML"), (".json", "JSON"), (".xml", "XML")];
    let ends = |(end, _): &&(&str, &str)| name.as_bytes().ends_with(end.as_bytes());
    FORMATS.iter().find(ends).map(|(_, format)| *format)
}

/// Returns the name that a fragment should have, if it was probably meant to be the file of a unit
/// and its stage is mistyped. There are good fragments with such names, so the caller looks at what
/// the file contains.
pub(super) fn right_name(name: &OsStr) -> Option<String> {
    let stem = name.as_bytes().strip_suffix(b".toml")?;
    let stage = misspelt(stem)?;
    let dot = stem.iter().position(|byte| *byte == b'.')?;
    Some(format!("{stage}{}.toml", unit_name(&stem[dot..])))
}

/// TrivialRC's other names of stages, which are allowed in `trc.STAGE.NAME` only.
const ALIASES: &[(&str, Stage)] = &[("bg", Stage::Async), ("fg", Stage::Sync), ("sd", Stage::Halt)];

/// The endings that package managers, editors and people give to files that should not be used.
const LEFTOVERS: &[&str] = &[
    "~",
    ".bak",
    ".old",
    ".orig",
    ".rej",
    ".swp",
    ".tmp",
    ".disabled",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".apk-new",
    ".pacnew",
    ".pacsave",
];

/// Returns the kind of a file in the drop-in directory.
#[must_use]
pub(super) fn classify(name: &OsStr) -> DropIn {
    let bytes = name.as_bytes();
    if is_leftover(bytes) {
        return DropIn::Other(None);
    }
    let (stem, is_toml) = match bytes.strip_suffix(b".toml") {
        Some(stem) => (stem, true),
        None => (bytes, false),
    };
    match (split(stem), is_toml) {
        (Some((stage, unit)), true) => DropIn::Unit(stage, unit_name(unit)),
        (None, true) => DropIn::Fragment,
        (Some((stage, unit)), false) => DropIn::Script(stage, unit_name(unit)),
        (None, false) => strange(bytes),
    }
}

/// Returns the kind of a file whose name is not that of a unit.
fn strange(name: &[u8]) -> DropIn {
    let ends = |endings: &[&str]| endings.iter().any(|end| name.ends_with(end.as_bytes()));
    if let Some(stage) = misspelt(name) {
        return DropIn::Other(Some(stage));
    }
    if ends(SCRIPTS) || ends(PROGRAMS) {
        return DropIn::Strange(
            "a script is a unit if its name begins with a stage: boot.10-init, async.web",
        );
    }
    if ends(SETTINGS) && !ends(PROSE) {
        return DropIn::Strange("settings must be TOML, in a file whose name ends in .toml");
    }
    DropIn::Other(None)
}

/// The same for TrivialRC's scripts next to `trc.toml`: `trc.STAGE.NAME`. `None` for files that
/// have nothing to do with trc.
#[must_use]
pub(super) fn classify_trivialrc(name: &OsStr) -> Option<DropIn> {
    let rest = name.as_bytes().strip_prefix(b"trc.")?;
    if rest == b"toml" || rest == b"d" {
        return None;
    }
    if is_leftover(name.as_bytes()) || rest.ends_with(b".toml") {
        return Some(DropIn::Other(None));
    }
    let is = |end: &&str| end.as_bytes().strip_prefix(b".") == Some(rest);
    if SETTINGS.iter().any(is) && !PROSE.iter().any(is) {
        return Some(DropIn::Strange("settings must be TOML, in a file named trc.toml"));
    }
    Some(match split(rest).or_else(|| split_alias(rest)) {
        Some((stage, unit)) => DropIn::Script(stage, unit_name(unit)),
        None => DropIn::Other(misspelt(rest)),
    })
}

/// Returns the names in a directory that begin with `prefix`, in byte order.
///
/// # Errors
/// Returns the reason why it can't be read.
pub(super) fn list(directory: &Path, prefix: &[u8]) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    // `std::fs::read_dir` would create two strings for each name. `/etc` has hundreds of names, and
    // a start takes less than a millisecond.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    for entry in Dir::open(directory, flags, Mode::empty())?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.starts_with(prefix) && name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_leftover(name: &[u8]) -> bool {
    let contains = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    name.starts_with(b".")
        || LEFTOVERS.iter().any(|end| name.ends_with(end.as_bytes()))
        || contains(b".dpkg-")
        || contains(b".ucf-")
        || contains(b".toml.")
}

fn split(stem: &[u8]) -> Option<(Stage, &[u8])> {
    Stage::ALL.into_iter().find_map(|stage| Some((stage, after(stem, stage.name())?)))
}

fn split_alias(stem: &[u8]) -> Option<(Stage, &[u8])> {
    ALIASES.iter().find_map(|(alias, stage)| Some((*stage, after(stem, alias)?)))
}

fn after<'a>(stem: &'a [u8], stage: &str) -> Option<&'a [u8]> {
    let name = stem.strip_prefix(stage.as_bytes())?.strip_prefix(b".")?;
    (!name.is_empty()).then_some(name)
}

fn misspelt(name: &[u8]) -> Option<&'static str> {
    let dot = name.iter().position(|byte| *byte == b'.')?;
    let stage = std::str::from_utf8(&name[..dot]).ok()?;
    let is_word = |(_, words): &&(&str, &str)| words.split(' ').any(|word| word == stage);
    if let Some((right, _)) = STAGES.iter().find(is_word) {
        return Some(right);
    }
    nearest(stage, Stage::ALL.map(Stage::name)).filter(|right| *right != stage)
}

/// Returns a name that can be displayed, with `\xNN` for bytes that are not text.
fn unit_name(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut name = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| _ = write!(name, "\\x{b:02x}"));
            } else {
                name.push(c);
            }
        }
        chunk.invalid().iter().for_each(|b| _ = write!(name, "\\x{b:02x}"));
    }
    name
}

/// Returns the name of a file for messages.
#[must_use]
pub(super) fn shown(name: &OsStr) -> String {
    unit_name(OsString::from(name).into_vec().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(stage: Stage, name: &str) -> DropIn {
        DropIn::Script(stage, name.to_owned())
    }

    #[test]
    fn a_drop_in_is_what_its_name_says() {
        for (name, kind) in [
            ("async.web.toml", DropIn::Unit(Stage::Async, "web".to_owned())),
            ("sync.my.web.toml", DropIn::Unit(Stage::Sync, "my.web".to_owned())),
            ("boot.a b", script(Stage::Boot, "a b")),
            ("halt.a\nb\x1b", script(Stage::Halt, "a\\x0ab\\x1b")),
            ("20-web.toml", DropIn::Fragment),
            ("async.toml", DropIn::Fragment),
            ("bg.web.toml", DropIn::Fragment),
            ("bg.web", DropIn::Other(Some("async"))),
            ("service.web", DropIn::Other(Some("async"))),
            ("init.dirs.sh", DropIn::Other(Some("boot"))),
            ("finish.x", DropIn::Other(Some("halt"))),
            (
                "10-init.sh",
                DropIn::Strange(
                    "a script is a unit if its name begins with a stage: boot.10-init, async.web",
                ),
            ),
            (
                "web.conf",
                DropIn::Strange("settings must be TOML, in a file whose name ends in .toml"),
            ),
            (
                "compose.yaml",
                DropIn::Strange("settings must be TOML, in a file whose name ends in .toml"),
            ),
            (
                "web.tml",
                DropIn::Strange("settings must be TOML, in a file whose name ends in .toml"),
            ),
            ("notes.txt", DropIn::Other(None)),
            ("functions", DropIn::Other(None)),
            ("async.web~", DropIn::Other(None)),
            (".async.web.swp", DropIn::Other(None)),
            ("async.web.bak", DropIn::Other(None)),
            ("async.web.dpkg-old", DropIn::Other(None)),
            ("async.web.toml.1", DropIn::Other(None)),
            ("async.", DropIn::Other(None)),
            ("README", DropIn::Other(None)),
            ("README.md", DropIn::Other(None)),
            ("snyc.web", DropIn::Other(Some("sync"))),
        ] {
            assert_eq!(classify(OsStr::new(name)), kind, "{name}");
        }
        let odd = classify(OsStr::from_bytes(b"async.a\xffb"));
        assert_eq!(odd, script(Stage::Async, "a\\xffb"));
    }

    #[test]
    fn trivialrc_has_names_of_its_own() {
        for (name, kind) in [
            ("trc.async.web", Some(script(Stage::Async, "web"))),
            ("trc.bg.web", Some(script(Stage::Async, "web"))),
            ("trc.fg.web", Some(script(Stage::Sync, "web"))),
            ("trc.sd.web", Some(script(Stage::Halt, "web"))),
            ("trc.asinc.web", Some(DropIn::Other(Some("async")))),
            ("trc.async.web.toml", Some(DropIn::Other(None))),
            ("trc.tml", Some(DropIn::Strange("settings must be TOML, in a file named trc.toml"))),
            ("trc.yaml", Some(DropIn::Strange("settings must be TOML, in a file named trc.toml"))),
            ("trc.md", Some(DropIn::Other(None))),
            ("trc.toml", None),
            ("trc.d", None),
            ("passwd", None),
        ] {
            assert_eq!(classify_trivialrc(OsStr::new(name)), kind, "{name}");
        }
    }
}
