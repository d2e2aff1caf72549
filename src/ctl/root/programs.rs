//! Programs that units execute: whether they exist, and whether the kernel can execute them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[cfg(feature = "ctl")]
use super::libraries;
use super::{Kind, Look};
use crate::config::{
    Command, Diagnostic, Origin, Probe, ReloadBy, Template, Unit, endings, nearest,
};
use crate::ctl::elf;
use crate::text::harmless;

/// The shells that trc looks for if none is configured.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// Looks at every program that a unit executes.
pub(super) fn look(look: &Look<'_>, unit: &Unit, found: &mut Vec<Diagnostic>) {
    let mut check = |what: &str, words: &[Template], origin: &Origin| {
        let Some(program) = words.first().and_then(|word| look.text(unit, word)) else { return };
        if let Err((why, help)) = executable(look, unit, &program) {
            let message = format!("{} {why}", subject(unit, what));
            let problem = Diagnostic { help, ..Diagnostic::error(origin.clone(), message) };
            found.push(look.weighed(unit, problem));
        }
    };
    match &unit.command {
        Command::Exec(words) => check("", words, &unit.command_at),
        Command::Words(words) => {
            // Without a `/` it may be a command of the shell.
            let path = words.first().filter(|word| word.as_bytes().contains(&b'/'));
            check(
                "",
                &path.map(Template::literal).into_iter().collect::<Vec<_>>(),
                &unit.command_at,
            );
        }
        Command::Script(_) | Command::File(_) | Command::Nothing => {}
    }
    for (what, hook) in [("pre_start", &unit.pre_start), ("post_stop", &unit.post_stop)] {
        if let Some(hook) = hook {
            check(what, &hook.exec, &look.loaded.place_in(unit, &[what, "exec"]));
        }
    }
    if let Some(words) = &unit.stop.exec {
        check("stop.exec", words, &look.loaded.place_in(unit, &["stop", "exec"]));
    }
    if let Some(ReloadBy::Exec(words)) = unit.reload.as_ref().map(|reload| &reload.by) {
        check("reload.exec", words, &look.loaded.place_in(unit, &["reload", "exec"]));
    }
    let ready = unit.ready.as_ref().map(|ready| ("ready.exec", &ready.probe));
    let health = unit.health.as_ref().map(|health| ("health.exec", &health.probe));
    for (what, probe) in ready.into_iter().chain(health) {
        if let Probe::Exec(words) = &probe.value {
            check(what, words, &probe.origin);
        }
    }
    if matches!(unit.command, Command::Script(_) | Command::File(_)) {
        shell(look, unit, found);
    }
}

fn subject(unit: &Unit, what: &str) -> String {
    let id = unit.id();
    if what.is_empty() {
        format!("{id} cannot start:")
    } else {
        format!("{what} of {id} cannot run:")
    }
}

/// Looks for the shell of a script.
fn shell(look: &Look<'_>, unit: &Unit, found: &mut Vec<Diagnostic>) {
    let problem = match look.config.shell.as_ref().and_then(|words| words.first()) {
        Some(program) => executable(look, unit, program).err(),
        None => match SHELLS.iter().find_map(|shell| in_path(look, unit, shell.as_ref())) {
            Some(path) => runs(look, unit, &path).err(),
            None => Some((
                "there is no shell: neither bash nor sh is in PATH".to_owned(),
                Some("write `exec` instead of a script, or add a shell to the image".to_owned()),
            )),
        },
    };
    if let Some((why, help)) = problem {
        let message = format!("{} {why}", subject(unit, ""));
        let problem = Diagnostic { help, ..Diagnostic::error(unit.command_at.clone(), message) };
        found.push(look.weighed(unit, problem));
    }
}

/// The reason why a program cannot be executed, and advice.
type Problem = (String, Option<String>);

/// Checks that a unit can execute a program.
fn executable(look: &Look<'_>, unit: &Unit, program: &OsStr) -> Result<(), Problem> {
    let shown = harmless(&program.to_string_lossy());
    if program.is_empty() {
        return Ok(());
    }
    if !program.as_bytes().contains(&b'/') {
        let Some(path) = in_path(look, unit, program) else {
            let dirs = path_of(look, unit);
            let tip = unusable(look, &dirs, program).or_else(|| similar(look, &dirs, &shown));
            let tip = tip.unwrap_or_else(|| format!("install {shown}, or write its full path"));
            let dirs = harmless(&dirs.to_string_lossy());
            return Err((format!("there is no program {shown} in PATH ({dirs})"), Some(tip)));
        };
        return runs(look, unit, &path);
    }
    let path = Path::new(program);
    if path.is_absolute() {
        return runs(look, unit, path);
    }
    // The working directory of trc is not known here.
    let cwd = unit.identity.cwd.as_ref().and_then(|cwd| look.text(unit, &cwd.value));
    let path = path.strip_prefix(".").unwrap_or(path);
    cwd.map_or(Ok(()), |cwd| runs(look, unit, &Path::new(&cwd).join(path)))
}

/// Checks that the kernel can execute a file: execve(2).
fn runs(look: &Look<'_>, unit: &Unit, path: &Path) -> Result<(), Problem> {
    let shown = harmless(&path.to_string_lossy());
    match look.root.kind(path) {
        Kind::Nothing => {
            let help = if look.root.is_link(path) {
                "it is a link, and its target is not in the image"
            } else {
                "correct the path, or copy the program into the image"
            };
            return Err((format!("{shown} does not exist"), Some(help.to_owned())));
        }
        Kind::Directory => {
            let help = "name a program in it".to_owned();
            return Err((format!("{shown} is a directory"), Some(help)));
        }
        Kind::Other => {
            let help = "name a program or a script".to_owned();
            return Err((format!("{shown} is not a regular file"), Some(help)));
        }
        Kind::File(false) => {
            let help = format!("write `RUN chmod +x {shown}`, or copy it with `COPY --chmod=755`");
            return Err((format!("{shown} is not executable"), Some(help)));
        }
        Kind::Hidden => return Ok(()),
        Kind::File(true) => {}
    }
    let head = look.root.head(path, endings::HEAD as u64);
    if head.starts_with(b"#!") {
        return interpreted(look, unit, &shown, &head);
    }
    let Ok(file) = look.root.file(path) else { return Ok(()) };
    match elf::read_from(file) {
        Ok(program) => match program.loader {
            Some(loader) if look.root.kind(Path::new(&loader)) == Kind::Nothing => Err((
                format!("{shown} needs the loader {loader}, which does not exist"),
                Some(
                    "the program was built for another C library or another processor: build it in \
                     the same kind of image, or link it statically"
                        .to_owned(),
                ),
            )),
            #[cfg(feature = "ctl")]
            Some(loader) => linked(look, unit, path, &loader),
            #[cfg(not(feature = "ctl"))]
            Some(_) => Ok(()),
            None => Ok(()),
        },
        // A file that this program may not read can still be executable.
        Err(_) if head.is_empty() => Ok(()),
        Err(_) => Err((
            format!("{shown} is neither a program for Linux nor a script that begins with #!"),
            Some("if it is a script, write `#!/bin/sh` in its first line".to_owned()),
        )),
    }
}

/// Checks that the libraries of a program are there.
#[cfg(feature = "ctl")]
fn linked(look: &Look<'_>, unit: &Unit, path: &Path, loader: &str) -> Result<(), Problem> {
    let variable = "LD_LIBRARY_PATH";
    let is_written =
        [&unit.identity.env, &look.config.env].iter().any(|env| env.contains_key(variable));
    let dirs = match look.variable(unit, variable) {
        Some(dirs) => dirs,
        // The loader may find everything there.
        None if is_written || !unit.identity.env_file.is_empty() => return Ok(()),
        None => OsString::new(),
    };
    let missing = libraries::missing(look.root, path, loader, &dirs);
    let Some(first) = missing.first() else { return Ok(()) };
    let shown = harmless(&path.to_string_lossy());
    let mut names: Vec<String> = missing.iter().take(LIBRARIES).map(named).collect();
    if missing.len() > LIBRARIES {
        names.push(format!("{} more libraries", missing.len() - LIBRARIES));
    }
    let (last, others) = names.split_last().unwrap_or((&first.name, &[]));
    let (all, are) = match others {
        [] => (last.clone(), "is"),
        others => (format!("{} and {last}", others.join(", ")), "are"),
    };
    if let Some((it, path)) = missing.iter().find_map(|it| Some((it, it.foreign.as_ref()?))) {
        let path = harmless(&path.to_string_lossy());
        let name = harmless(&it.name);
        let why = format!("{shown} needs {name}, but {path} was built for another processor");
        let help = "install or copy the library for the processor of the program".to_owned();
        return Err((why, Some(help)));
    }
    if let Some(dir) = missing.iter().find_map(|it| it.elsewhere.as_ref()) {
        let dir = harmless(&dir.to_string_lossy());
        let why = format!("{shown} needs {all}, which {are} not where the loader looks");
        let is_musl = loader.contains("ld-musl-");
        let file =
            if is_musl { "the /etc/ld-musl-ARCH.path of musl" } else { "/etc/ld.so.conf.d/" };
        let run = if is_musl { "" } else { ", and run `ldconfig`" };
        let help = format!(
            "set env.LD_LIBRARY_PATH = \"{dir}\", which has {}; or add the directory to {file}{run}",
            first.name
        );
        return Err((why, Some(help)));
    }
    let one = if are == "is" { "it" } else { "them" };
    let help = format!(
        "install the packages that have {one}; if the program comes from another stage or machine, \
         copy {one}, too, or link the program statically"
    );
    Err((format!("{shown} needs {all}, which {are} not in the image"), Some(help)))
}

/// The number of libraries that one message names.
#[cfg(feature = "ctl")]
const LIBRARIES: usize = 5;

#[cfg(feature = "ctl")]
fn named(missing: &libraries::Missing) -> String {
    let name = harmless(&missing.name);
    match &missing.needed_by {
        Some(other) => format!("{name} (for {})", harmless(other)),
        None => name,
    }
}

/// Checks that the interpreter of a script is there.
fn interpreted(look: &Look<'_>, unit: &Unit, shown: &str, head: &[u8]) -> Result<(), Problem> {
    let Some(name) = endings::interpreter(head) else {
        let help = "write an interpreter after `#!`, such as `#!/bin/sh`".to_owned();
        return Err((format!("the first line of {shown} names no interpreter"), Some(help)));
    };
    if name.ends_with('\r') {
        let help = format!("convert the line endings: `sed -i 's/\\r$//' {shown}`");
        let name = name.escape_debug();
        let why = "ends with a CR, so the kernel looks for the interpreter";
        return Err((format!("the first line of {shown} {why} {name}"), Some(help)));
    }
    if look.root.kind(Path::new(&name)) == Kind::Nothing {
        let name = harmless(&name);
        let help =
            format!("install {name}, or name another interpreter in the first line of {shown}");
        let why = format!("{shown} needs the interpreter {name}, which does not exist");
        return Err((why, Some(help)));
    }
    if !name.ends_with("/env") {
        return of_interpreter(look, unit, shown, Path::new(&name));
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace().skip_while(|word| !word.ends_with("env")).skip(1);
    let program = words.find(|word| !word.starts_with('-') && !word.contains('='));
    match program {
        Some(program) if in_path(look, unit, program.as_ref()).is_none() => {
            let tip = similar(look, &path_of(look, unit), program);
            let program = harmless(program);
            let tip = tip.unwrap_or_else(|| {
                format!(
                    "install {program}, or name another interpreter in the first line of {shown}"
                )
            });
            Err((format!("{shown} needs {program}, which is not in PATH"), Some(tip)))
        }
        Some(program) => {
            let path = in_path(look, unit, program.as_ref());
            path.map_or(Ok(()), |path| of_interpreter(look, unit, shown, &path))
        }
        None => Ok(()),
    }
}

/// Checks that an interpreter can run, if it is a program and not a script of its own.
fn of_interpreter(look: &Look<'_>, unit: &Unit, script: &str, path: &Path) -> Result<(), Problem> {
    if look.root.head(path, 2) == b"#!" {
        return Ok(());
    }
    let of_script = |(why, help)| (format!("{why}; it is the interpreter of {script}"), help);
    runs(look, unit, path).map_err(of_script)
}

/// Returns the reason why a file in these directories is not the program with this name.
fn unusable(look: &Look<'_>, dirs: &OsStr, program: &OsStr) -> Option<String> {
    std::env::split_paths(dirs).map(|dir| dir.join(program)).find_map(|file| {
        let shown = harmless(&file.to_string_lossy());
        match look.root.kind(&file) {
            Kind::File(false) => {
                Some(format!("{shown} is not executable: write `RUN chmod +x {shown}`"))
            }
            Kind::Nothing if look.root.is_link(&file) => {
                Some(format!("{shown} is a link, and its target is not in the image"))
            }
            _ => None,
        }
    })
}

fn path_of(look: &Look<'_>, unit: &Unit) -> OsString {
    look.variable(unit, "PATH").unwrap_or_else(|| super::PATH.into())
}

fn in_path(look: &Look<'_>, unit: &Unit, program: &OsStr) -> Option<PathBuf> {
    let path = path_of(look, unit);
    let mut files = std::env::split_paths(&path).map(|dir| dir.join(program));
    files.find(|file| look.root.kind(file) == Kind::File(true))
}

/// Returns the question whether a program in these directories was meant.
fn similar(look: &Look<'_>, dirs: &OsStr, name: &str) -> Option<String> {
    let mut names = Vec::new();
    for dir in std::env::split_paths(dirs) {
        let Ok(dir) = look.root.list(&dir) else { continue };
        names.extend(dir);
    }
    let names = names.iter().map(String::as_str).filter(|other| *other != name);
    nearest(name, names).map(|name| format!("did you mean `{name}`?"))
}
