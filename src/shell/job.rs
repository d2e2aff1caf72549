//! Prepares the start of a script: the program for the shell, and everything that the caller needs
//! to start it.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, absolute};

use log::LevelFilter;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Kind, Shell, State, quote};
use crate::config::Stage;

const PRELUDE_BASH: &str = include_str!("prelude.bash");
const PRELUDE_POSIX: &str = include_str!("prelude.sh");
const SAVE_BASH: &str = include_str!("save.bash");
const SAVE_POSIX: &str = include_str!("save.sh");

/// The descriptor from which the shell reads its program. It has one digit, because dash cannot
/// close any other. The shell closes it before the script starts, so scripts can use 9.
const PROGRAM_FD: i32 = 9;
/// The descriptor from which the shell reads a text that contains `return`. The first words of the
/// text close it.
const TEXT_FD: i32 = 8;
/// The descriptor to which a boot shell writes its state. It is above the numbers that scripts use
/// (3 to 9), outside those that bash uses itself (10 to 12 or so, 63 downwards, 255), and below the
/// usual 99, 100 and 200. The `.bash` and `.sh` files contain the number, too.
const STATE_FD: i32 = 57;
/// The same in a POSIX shell without `/proc`, which can name only descriptors of one digit.
const STATE_FD_DIGIT: i32 = 9;

/// The number of bytes of a program that go into one argument without `/proc`: the kernel accepts
/// 128 KiB (execve(2), `MAX_ARG_STRLEN`).
const CHUNK: usize = 120 * 1024;
/// The number of bytes in all such arguments: execve(2) accepts a quarter of the stack limit,
/// usually 2 MiB, including the environment.
const CHUNKS_LIMIT: usize = 12 * CHUNK;
/// The number of bytes of a script that `ps` shows.
const LABEL_LIMIT: usize = 4096;

/// The body of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// The text of a script.
    Text(&'a OsStr),
    /// A script file, sourced.
    File(&'a Path),
    /// The trailing command: several words run as they are, builtins and functions included; a
    /// single word is a text.
    Words(&'a [OsString]),
}

/// The form of the lines that `say log warn err debug` write.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Lines {
    /// Like the log: a time, a name and the text.
    #[default]
    Stamped,
    /// One JSON object for each line.
    Json,
    /// Only the text: trc captures it, and puts the time and the name before it.
    Plain,
}

/// The settings that a unit makes by its keys, which the boot state must not change.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Own {
    pub cwd: bool,
    pub umask: bool,
}

/// A script to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    /// The stage of its unit, which decides whether the script is the body of a function.
    pub stage: Stage,
    /// The failures that end it.
    pub errors: Errors,
    /// Its body.
    pub body: Body<'a>,
    /// The state that the boot scripts have left so far.
    pub state: Option<&'a State>,
    /// trc's own pid, `MAINPID`.
    pub main_pid: i32,
    /// The directory of the configuration, `work_dir`.
    pub work_dir: &'a Path,
    /// `SELF_NAME` and `$0`: `trc`.
    pub self_name: &'a str,
    /// `RC_WAIT_POLICY`, with `TrivialRC`'s name for it: `wait_any`.
    pub wait_policy: &'a str,
    /// Whether to use `set -x` for the script, unless a boot script has changed that itself.
    pub xtrace: bool,
    /// The log level of `say log warn err debug`.
    pub level: LevelFilter,
    /// The form of their lines.
    pub lines: Lines,
    /// `_exit_status`, for halt scripts.
    pub exit_status: Option<u8>,
    /// The positional parameters if there is no state yet.
    pub args: &'a [OsString],
    /// The unit's own settings.
    pub own: Own,
    /// Whether the shell, on SIGTERM, exits with the status of the program that it runs, as in
    /// `TrivialRC`'s async and sync scripts.
    pub waits: bool,
    /// Whether to write the state at the end. This is for boot scripts only.
    pub save: bool,
}

/// The failing commands that end a script.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Errors {
    /// As in `TrivialRC`: `set -e`, or, in async and sync scripts under bash, an ERR trap, which
    /// functions and subshells don't inherit.
    #[default]
    TrivialRc,
    /// The same in every shell: also in functions, in subshells, in command substitutions whose
    /// status counts, and, if the shell knows `pipefail`, anywhere in a pipeline.
    Strict,
}

/// Everything that the caller needs to start the shell.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The words to execute, of which the first one is a path.
    pub argv: Vec<CString>,
    /// Descriptors (close-on-exec), and the numbers that they must have in the child. A descriptor
    /// may already have a number that another one needs, so move all of them up first.
    pub files: Vec<(OwnedFd, i32)>,
    /// The variables to set in the child's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The place of the state, for [`State::read`] after the shell has exited.
    pub saved: Option<Saved>,
}

/// The file to which a boot shell writes its state, and everything that is needed to read it.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(super) file: File,
    pub(super) kind: Kind,
    pub(super) own: Own,
    pub(super) xtrace: bool,
    /// The options that trc has turned on for this script only.
    pub(super) stage_options: Vec<&'static str>,
    /// Whether the state counts, or only the place where the script has failed.
    pub(super) keep: bool,
    /// The script, if trc knows its text.
    pub(super) text: Option<Vec<u8>>,
    /// The variables of [`Prepared::env`], which are not part of the state unless the script
    /// changes them.
    pub(super) set: Vec<(OsString, OsString)>,
    /// The state so far, which takes the place of the unit's own settings.
    pub(super) before: State,
}

/// Prepares a script: its program in a memfd, and another memfd for the state.
///
/// # Errors
/// Returns an error if a text contains a NUL byte, if there is no memory, or if there is
/// no `/proc` and the texts are too long.
pub(crate) fn prepare(shell: &Shell, job: &Job) -> io::Result<Prepared> {
    prepare_with(shell, job, Path::new("/proc/self/fd").is_dir())
}

/// Does the same as [`prepare`] if `/proc` is not mounted.
#[cfg(test)]
pub(crate) fn prepare_without_proc(shell: &Shell, job: &Job) -> io::Result<Prepared> {
    prepare_with(shell, job, false)
}

fn prepare_with(shell: &Shell, job: &Job, proc: bool) -> io::Result<Prepared> {
    let mut files = Vec::new();
    let state_fd = if shell.kind == Kind::Posix && !proc { STATE_FD_DIGIT } else { STATE_FD };
    let env = vec![
        ("MAINPID".into(), job.main_pid.to_string().into()),
        ("SELF_NAME".into(), job.self_name.into()),
    ];
    let mut saved = None;
    if job.stage == Stage::Boot {
        let fd = memfd_create(c"trc-state", MFdFlags::MFD_CLOEXEC)?;
        saved = Some(Saved {
            file: File::from(fd.try_clone()?),
            kind: shell.kind,
            own: job.own,
            xtrace: job.state.and_then(|s| s.xtrace).unwrap_or(job.xtrace),
            stage_options: stage_options(job),
            keep: job.save,
            text: match job.body {
                Body::Text(text) => Some(text.as_bytes().to_vec()),
                Body::File(_) | Body::Words(_) => None,
            },
            set: env.clone(),
            before: job.state.cloned().unwrap_or_default(),
        });
        files.push((fd, state_fd));
    }

    let body = body(job)?;
    // `return` ends only a sourced text or a function. And busybox counts lines from 1 only in a
    // sourced text.
    let counted = shell.kind == Kind::Posix && job.stage == Stage::Boot;
    let source = proc && !in_function(job) && (counted || contains(&body, b"return"));
    let mut text = Vec::new();
    let run: &[u8] = if source {
        let text = [&b"exec 8<&-; "[..], xtrace(job), &body, b"\n"].concat();
        files.push((memory(c"trc-script", &text)?, TEXT_FD));
        b". /proc/self/fd/8"
    } else {
        text = [waits(job), xtrace(job), &body].concat();
        match (in_function(job), shell.kind) {
            (false, _) => b"eval \"$__trc_body\"",
            (true, Kind::Bash) if job.errors == Errors::TrivialRc => {
                b"__trc_unit() { trap 'exit $?' ERR; eval \"$__trc_body\"; }; __trc_unit \"$@\""
            }
            (true, _) => b"__trc_unit() { eval \"$__trc_body\"; }; __trc_unit \"$@\"",
        }
    };

    // A sourced text or file has a frame of its own in bash's stack of functions.
    let sourced = source || matches!(job.body, Body::File(_));
    let program = program(shell.kind, job, proc, state_fd, &text, sourced);

    let mut argv: Vec<CString> =
        shell.words.iter().map(|word| c_string(word.as_bytes())).collect::<io::Result<_>>()?;
    let start: &[u8] = match (proc, shell.kind) {
        (true, _) => b". /proc/self/fd/9 || exit 126; ",
        // This is slower for a long text, but needs no path. The locale is C, because `read` loses
        // bytes that are not characters of the locale.
        (false, Kind::Bash) => {
            b"IFS= LC_ALL=C read -rd '' -u 9 __trc_p || [[ $__trc_p ]] || exit 126; eval \"$__trc_p\" || exit 126; "
        }
        (false, Kind::Posix) => {
            // Without /proc, nobody can see the arguments of others.
            argv.push(c_string(&[&evaluate(program.len().div_ceil(CHUNK)), run].concat())?);
            argv.push(c_string(job.self_name.as_bytes())?);
            if program.len() > CHUNKS_LIMIT {
                return Err(io::Error::other(
                    "/proc is not mounted, and without it the script and the boot state are too large for this shell",
                ));
            }
            for chunk in program.chunks(CHUNK) {
                argv.push(c_string(chunk)?);
            }
            return Ok(Prepared { argv, files, env, saved });
        }
    };
    files.push((memory(c"trc-program", &program)?, PROGRAM_FD));
    argv.push(c_string(&[start, run].concat())?);
    argv.push(c_string(job.self_name.as_bytes())?);
    argv.push(c_string(&label(job))?);
    Ok(Prepared { argv, files, env, saved })
}

/// Returns a command that evaluates this many positional parameters as one text.
fn evaluate(count: usize) -> Vec<u8> {
    let all: Vec<String> = (1..=count).map(|number| format!("${{{number}}}")).collect();
    format!("eval \"{}\" || exit 126; ", all.concat()).into_bytes()
}

/// Returns whether a script is the body of a function. `TrivialRC` runs the trailing command under
/// `set -e` as well as an ERR trap, so it is not the body of one.
fn in_function(job: &Job) -> bool {
    match (job.stage, job.body) {
        (Stage::Async | Stage::Sync | Stage::Test, Body::Text(_) | Body::File(_)) => true,
        (Stage::Boot | Stage::Halt, _) | (_, Body::Words(_)) => false,
    }
}

/// Returns the trap by which the shell, on SIGTERM, waits for the program that it runs in the
/// foreground, which got SIGTERM as well, and exits with that program's status. A script may
/// replace the trap.
fn waits(job: &Job) -> &'static [u8] {
    if job.waits { b"trap 'exit $?' TERM; " } else { b"" }
}

/// Returns the beginning of the script's first line.
fn xtrace(job: &Job) -> &'static [u8] {
    if job.state.and_then(|s| s.xtrace).unwrap_or(job.xtrace) { b"set -x; " } else { b"" }
}

/// Returns the script itself as text.
fn body(job: &Job) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match job.body {
        Body::Text(script) => text.extend_from_slice(script.as_bytes()),
        Body::Words([script]) => text.extend_from_slice(script.as_bytes()),
        Body::File(path) => {
            text.extend_from_slice(b". ");
            // The path is absolute, so that the shell does not search PATH, and because boot may
            // have changed the directory.
            quote::push(&mut text, absolute(path)?.as_os_str().as_bytes());
        }
        Body::Words(words) => {
            for word in words {
                quote::push(&mut text, word.as_bytes());
                text.push(b' ');
            }
        }
    }
    Ok(text)
}

/// Returns the text that `ps` shows after the shell's own words.
fn label(job: &Job) -> Vec<u8> {
    let mut text = match job.body {
        Body::Text(script) => script.to_owned(),
        Body::File(path) => path.as_os_str().to_owned(),
        Body::Words(words) => words.join(OsStr::new(" ")),
    }
    .into_vec();
    text.truncate(LABEL_LIMIT);
    text
}

/// The descriptor in `TRC_VERDICT_FD`, to which a test's command writes its verdict. Every shell
/// can name it.
pub(crate) const VERDICT_FD: i32 = 3;

/// Returns the function that only tests have: `verdict pass|fail|skip [WHY…]`.
fn verdict() -> String {
    format!(
        "verdict() {{
    case $1 in
        pass | fail | skip) command printf '%s\\n' \"$*\" >&{VERDICT_FD} ;;
        *) command printf 'verdict: expected pass, fail or skip, found %s\\n' \"$1\" >&2; return 64 ;;
    esac
}}
"
    )
}

/// Everything the shell does before the script.
fn program(
    kind: Kind,
    job: &Job,
    proc: bool,
    state_fd: i32,
    text: &[u8],
    sourced: bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * 1024);
    if proc || kind == Kind::Bash {
        out.extend_from_slice(b"exec 9<&-\n");
    }
    out.extend_from_slice(match kind {
        Kind::Bash => PRELUDE_BASH.as_bytes(),
        Kind::Posix => PRELUDE_POSIX.as_bytes(),
    });
    let mut set = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        quote::push(&mut out, value);
        out.push(b'\n');
    };
    set("work_dir", job.work_dir.as_os_str().as_bytes());
    // This is not exported, so that a trc in this unit starts with its own settings.
    set("RC_WAIT_POLICY", job.wait_policy.as_bytes());
    if let Some(status) = job.exit_status {
        set("_exit_status", status.to_string().as_bytes());
    }
    set("__trc_stage", job.stage.name().as_bytes());
    set("__trc_level", (job.level as usize).to_string().as_bytes());
    let (json, plain): (&[u8], &[u8]) = match job.lines {
        Lines::Stamped => (b"", b""),
        Lines::Json => (b"1", b""),
        Lines::Plain => (b"", b"1"),
    };
    set("__trc_json", json);
    set("__trc_plain", plain);
    set("__trc_sourced", if sourced { b"1" } else { b"" });
    set("__trc_keep", if job.save { b"1" } else { b"" });
    set("__trc_body", text);
    if job.stage == Stage::Test {
        out.extend_from_slice(verdict().as_bytes());
    }
    if job.stage == Stage::Boot {
        match kind {
            Kind::Bash => out.extend_from_slice(SAVE_BASH.as_bytes()),
            Kind::Posix => {
                let target = if proc {
                    format!(">>/proc/self/fd/{state_fd}")
                } else {
                    format!(">&{state_fd}")
                };
                out.extend_from_slice(SAVE_POSIX.replace("@SAVE@", &target).as_bytes());
            }
        }
    }
    if let Some(state) = job.state {
        state.restore(&mut out, job.own);
    }
    out.extend_from_slice(b"set --");
    for arg in job.state.map_or(job.args, State::args) {
        out.push(b' ');
        quote::push(&mut out, arg.as_bytes());
    }
    out.push(b'\n');
    if let Some(state) = job.state {
        state.restore_options(&mut out);
    }
    out.extend_from_slice(match (kind, job.errors) {
        (Kind::Bash, Errors::Strict) => STRICT_BASH,
        (Kind::Posix, Errors::Strict) => STRICT_POSIX,
        (Kind::Bash, Errors::TrivialRc) if in_function(job) => b"",
        (Kind::Bash, Errors::TrivialRc) if job.stage == Stage::Boot => NOTED,
        (_, Errors::TrivialRc) => b"set -e",
    });
    out.push(b'\n');
    out
}

/// `set -e` that functions, subshells and command substitutions inherit. The trap exits ahead
/// of `set -e`, because where that ends a text that a function evaluates, bash 5.2 complains
/// of itself (`pop_var_context`); and it notes where that was.
const STRICT_BASH: &[u8] = b"shopt -s inherit_errexit 2>&- || :; \
    builtin trap '{ __trc_failing \"$?\" \"$LINENO\" \"$BASH_COMMAND\" || __trc_tell; } 2>&- || exit \"$__trc_failed\"' ERR; \
    set -eE -o pipefail";
/// A shell that doesn't know an option of `set` exits.
const STRICT_POSIX: &[u8] = b"if (set -o pipefail) 2>&-; then set -o pipefail; fi; set -e";
/// `set -e`, and the trap only notes where it has struck.
const NOTED: &[u8] = b"\
    builtin trap '{ __trc_failing \"$?\" \"$LINENO\" \"$BASH_COMMAND\" || :; } 2>&-' ERR; set -e";

/// What trc turns on in a boot script and later scripts don't get for that: unless the script
/// names it itself, because then it is meant for them.
fn stage_options(job: &Job) -> Vec<&'static str> {
    let text = match job.body {
        Body::Text(text) if job.errors == Errors::Strict => text.as_bytes(),
        Body::Text(_) | Body::File(_) | Body::Words(_) => return Vec::new(),
    };
    let words: Vec<&[u8]> = text.split(u8::is_ascii_whitespace).collect();
    let errtrace = words.windows(2).any(|pair| {
        pair[0].ends_with(b"set") && pair[1].starts_with(b"-") && pair[1].contains(&b'E')
    });
    let mut options = vec!["pipefail", "inherit_errexit"];
    options.retain(|option| !contains(text, option.as_bytes()));
    if !errtrace && !contains(text, b"errtrace") {
        options.push("errtrace");
    }
    options
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the script or its name contains a NUL byte")
    })
}

/// A memfd that holds `bytes` and is read from its start.
fn memory(name: &std::ffi::CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::os::unix::fs::FileExt;

    if bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the script contains a NUL byte"));
    }
    let file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
    file.write_all_at(bytes, 0)?;
    Ok(file.into())
}
