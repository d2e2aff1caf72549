//! What a boot script left, and how a later shell gets it back.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;

use super::{Kind, Own, Saved, quote};

/// Variables that a shell makes itself, or that mean something else in each process:
/// neither carried nor taken from the environment (bash(1), Shell Variables; what dash
/// and busybox print). `HOSTNAME`, `TERM`, `PS4` and the like are ordinary.
const SPECIAL: &[&str] = &[
    "BASH",
    "BASHOPTS",
    "BASHPID",
    "BASH_ALIASES",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_ARGV0",
    "BASH_CMDS",
    "BASH_COMMAND",
    "BASH_EXECUTION_STRING",
    "BASH_LINENO",
    "BASH_MONOSECONDS",
    "BASH_REMATCH",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_TRAPSIG",
    "BASH_VERSINFO",
    "BASH_VERSION",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "ERRNO",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "HOSTTYPE",
    "LINENO",
    "MACHTYPE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PIPESTATUS",
    "PPID",
    "PS1",
    "PS2",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
    "_",
];

/// Variables that a shell sets at its start if the environment doesn't: what a script
/// unset must be unset anew.
const DEFAULTED: &[&str] = &["HOSTNAME", "IFS", "PATH", "PS4", "TERM"];

/// Of the prelude: not part of the state while they are what the prelude defined.
const PRELUDE: &[&str] = &["say", "log", "warn", "err", "debug", "run", "trap"];

/// The most that a shell may leave, in bytes.
const MAX_STATE: u64 = 128 << 20;

/// execve(2), `MAX_ARG_STRLEN`: how long `NAME=value` may be, with the NUL.
const MAX_VARIABLE: usize = 128 * 1024;

/// What a boot script left: all that the next one and the later shell units see.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct State {
    env: Vec<(OsString, OsString)>,
    oversize: Vec<OsString>,
    args: Vec<OsString>,
    /// What a boot script did to xtrace; `None` if it left that alone.
    pub(super) xtrace: Option<bool>,
    /// Shell text. Before the functions, as `extglob` changes how they are read.
    shopts: Vec<u8>,
    variables: Vec<u8>,
    functions: Vec<u8>,
    umask: Vec<u8>,
    limits: Vec<u8>,
    /// Paths: the working directory, if it is another, and `OLDPWD` then.
    cwd: Vec<u8>,
    old_cwd: Vec<u8>,
    /// Last: `set -auv` and aliases must not change what the rest does.
    options: Vec<u8>,
    aliases: Vec<u8>,
}

impl State {
    /// What is exported: the environment of later units, complete. A variable too long
    /// for the kernel is left out, see [`Self::oversize`].
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    /// Exported variables over 128 KiB, which no program can be given: shell units still
    /// get them, `exec` units don't.
    pub fn oversize(&self) -> &[OsString] {
        &self.oversize
    }

    /// The positional parameters.
    pub fn args(&self) -> &[OsString] {
        &self.args
    }

    /// Reads what a shell left, after its end. `given` is the environment it was started
    /// with. `None` if it left nothing: it failed, was killed, or became another program.
    ///
    /// # Errors
    /// What it left can't be read, in words.
    pub fn read(saved: &Saved, given: &[(OsString, OsString)]) -> Result<Option<Self>, String> {
        let length =
            saved.file.metadata().map_err(|e| format!("cannot read the boot state: {e}"))?.len();
        // The descriptor is the script's as long as that runs: it may claim anything.
        if length > MAX_STATE {
            return Err(format!("it claims {length} bytes, and {MAX_STATE} are the most"));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|e| e.to_string())?];
        saved
            .file
            .read_exact_at(&mut bytes, 0)
            .map_err(|e| format!("cannot read the boot state: {e}"))?;
        let marker = b"\0trc-state\0";
        let starts: Vec<usize> = memchr::memmem::find_iter(&bytes, marker).collect();
        let Some(&first) = starts.first() else { return Ok(None) };
        // The last one that is complete: a subshell with an EXIT trap of its own may have
        // written before, and `trc-state` may be one of the arguments.
        let complete = starts.iter().rev().find_map(|at| {
            let found = Fields(&bytes[..first]);
            let left = Fields(&bytes[at + marker.len()..]);
            match saved.kind {
                Kind::Bash => Self::bash(saved, given, found, left),
                Kind::Posix => Self::posix(saved, given, found, left),
            }
        });
        complete
            .map(Some)
            .ok_or_else(|| "the shell could not write all of the boot state".to_owned())
    }

    fn bash(
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut found: Fields,
        mut left: Fields,
    ) -> Option<Self> {
        let flags = left.next()?;
        let [options_before, options, shopts_before, shopts] =
            [left.next()?, left.next()?, left.next()?, left.next()?];
        let mut state = Self::default();
        state.surroundings(saved, &mut found, &mut left)?;
        let variables = bash_variables(left.next()?);
        let names = function_names(left.next()?);
        let functions = split_functions(left.next()?, &names);
        let aliases = left.next()?;
        state.args = left.args()?;

        state.trace(saved, flags);
        difference(&mut state.shopts, "shopt -s", "shopt -u", shopts_before, shopts);
        difference(&mut state.options, "set -o", "set +o", options_before, options);
        state.aliases = aliases.to_vec();

        let mut exported = Exported::default();
        for (flags, name, text) in &functions {
            if name.starts_with(b"__trc_") || is_prelude(name, text) {
                continue;
            }
            let body = text.iter().position(|&b| b == b'{').map_or(&[][..], |at| &text[at..]);
            let value = [&b"() "[..], body.trim_ascii_end()].concat();
            let variable = [&b"BASH_FUNC_"[..], name, b"%%"].concat();
            if !(flags.contains('x') && exported.add(&variable, &value)) {
                state.functions.extend_from_slice(text);
            }
            if *flags != "f" {
                state.functions.extend_from_slice(format!("declare -{flags} ").as_bytes());
                state.functions.extend_from_slice(name);
                state.functions.push(b'\n');
            }
        }
        for (name, variable) in &variables {
            if is_special(name) {
                continue;
            }
            let in_env = match &variable.value {
                Value::Scalar(value) if variable.flags.contains('x') => exported.add(name, value),
                _ => false,
            };
            variable.restore(name, in_env, &mut state.variables);
        }
        if let Some(Value::Scalar(old)) = variables.get(&b"OLDPWD"[..]).map(|v| &v.value) {
            state.came_from(old);
        }
        state.unset(|name| variables.contains_key(name));
        state.settle(saved, given, exported, |name| name.starts_with(b"BASH_FUNC_"));
        Some(state)
    }

    fn posix(
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut found: Fields,
        mut left: Fields,
    ) -> Option<Self> {
        let mut state = Self::default();
        state.trace(saved, left.next()?);
        state.surroundings(saved, &mut found, &mut left)?;
        let (before, after) = (found.next()?, left.next()?);
        let on = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            let names = text.lines().filter_map(|line| line.strip_prefix("set -o "));
            names.collect::<Vec<_>>().join(":").into_bytes()
        };
        difference(&mut state.options, "set -o", "set +o", &on(before), &on(after));
        let exports = posix_variables(left.next()?);
        let readonly = posix_variables(left.next()?);
        let all = posix_variables(left.next()?);
        state.args = left.args()?;

        let mut exported = Exported::default();
        for (name, value) in &exports {
            if is_special(name) {
                continue;
            }
            let in_env = value.as_ref().is_some_and(|value| exported.add(name, value));
            if !in_env {
                command(&mut state.variables, "export", name, value.as_deref());
            }
        }
        for (name, value) in &all {
            if !is_special(name)
                && !exports.contains_key(name)
                && !is_default(name, value.as_deref())
            {
                assign(&mut state.variables, name, value.as_deref().unwrap_or_default());
            }
        }
        for name in readonly.keys().filter(|name| !is_special(name)) {
            command(&mut state.variables, "readonly", name, None);
        }
        if let Some(Some(old)) = all.get(&b"OLDPWD"[..]) {
            state.came_from(old);
        }
        state.unset(|name| all.contains_key(name));
        state.settle(saved, given, exported, |_| false);
        Some(state)
    }

    /// The umask, the working directory and the limits, where they are others than the
    /// shell found; where the unit had its own, what was there before stays.
    fn surroundings(&mut self, saved: &Saved, found: &mut Fields, left: &mut Fields) -> Option<()> {
        let mut pair = || Some((found.next()?, left.next()?));
        let (umask_before, umask) = pair()?;
        let (cwd_before, cwd) = pair()?;
        let (soft_before, soft) = pair()?;
        let (hard_before, hard) = pair()?;
        if umask != umask_before {
            self.umask = [b"umask ", umask.trim_ascii(), b"\n"].concat();
        } else if saved.own.umask {
            self.umask.clone_from(&saved.before.umask);
        }
        if cwd != cwd_before {
            let cwd = cwd.strip_suffix(b"\n").unwrap_or(cwd);
            if !cwd.is_empty() {
                self.cwd = cwd.to_vec();
            }
        } else if saved.own.cwd {
            self.cwd.clone_from(&saved.before.cwd);
            self.old_cwd.clone_from(&saved.before.old_cwd);
        }
        let soft = limits(saved.kind, soft_before, soft);
        let hard = limits(saved.kind, hard_before, hard);
        // A soft limit goes down before its hard one and up after it.
        for (flag, changed) in [("-S", &soft), ("-H", &hard), ("-S", &soft)] {
            for (letter, value) in changed {
                let line = format!("ulimit {flag} -{letter} {value} 2>&- || :\n");
                self.limits.extend_from_slice(line.as_bytes());
            }
        }
        if self.limits.is_empty() && saved.own.limits {
            self.limits.clone_from(&saved.before.limits);
        }
        Some(())
    }

    fn came_from(&mut self, old: &[u8]) {
        if self.old_cwd.is_empty() {
            self.old_cwd = old.to_vec();
        }
    }

    fn trace(&mut self, saved: &Saved, flags: &[u8]) {
        let traced = flags.contains(&b'x');
        self.xtrace = if traced == saved.xtrace { saved.before.xtrace } else { Some(traced) };
    }

    fn unset(&mut self, is_set: impl Fn(&[u8]) -> bool) {
        for name in DEFAULTED.iter().filter(|name| !is_set(name.as_bytes())) {
            self.variables.extend_from_slice(format!("unset -v {name}\n").as_bytes());
        }
    }

    /// Puts the environment together: what the shell could not name is as it was given.
    fn settle(
        &mut self,
        saved: &Saved,
        given: &[(OsString, OsString)],
        mut exported: Exported,
        known: impl Fn(&[u8]) -> bool,
    ) {
        for (name, value) in &saved.set {
            if exported.env.get(name.as_bytes()).is_some_and(|v| v == value.as_bytes()) {
                exported.env.remove(name.as_bytes());
            }
        }
        for (name, value) in given {
            let bytes = name.as_bytes();
            if let Some(left) = exported.env.remove(bytes) {
                self.env.push((name.clone(), OsString::from_vec(left)));
            } else if is_special(bytes) || !(is_identifier(bytes) || known(bytes)) {
                self.env.push((name.clone(), value.clone()));
            }
        }
        let new = exported.env.into_iter();
        self.env.extend(new.map(|(n, v)| (OsString::from_vec(n), OsString::from_vec(v))));
        self.oversize = exported.oversize;
    }

    /// Appends what brings a shell into this state.
    pub(super) fn restore(&self, out: &mut Vec<u8>, own: Own) {
        out.extend_from_slice(&self.shopts);
        out.extend_from_slice(&self.variables);
        out.extend_from_slice(&self.functions);
        if !own.umask {
            out.extend_from_slice(&self.umask);
        }
        if !own.limits {
            out.extend_from_slice(&self.limits);
        }
        if !own.cwd && !self.cwd.is_empty() {
            out.extend_from_slice(b"command cd -- ");
            quote::push(out, &self.cwd);
            // Going on somewhere else could do harm.
            out.extend_from_slice(b" || exit 1\n");
            if !self.old_cwd.is_empty() {
                assign(out, b"OLDPWD", &self.old_cwd);
            }
        }
    }

    /// Appends what comes after everything else of ours, on a line that is not ended:
    /// `set -v` shows the lines that follow.
    pub(super) fn restore_options(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.aliases);
        for line in self.options.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"; ");
        }
    }
}

/// What is left of the fields, each ended by a NUL.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let (field, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(field)
    }

    /// How many, then each, then `end`.
    fn args(&mut self) -> Option<Vec<OsString>> {
        let count: usize = std::str::from_utf8(self.next()?).ok()?.trim().parse().ok()?;
        let args = (0..count)
            .map(|_| self.next().map(|arg| OsStr::from_bytes(arg).to_owned()))
            .collect::<Option<_>>()?;
        (self.next()? == b"end").then_some(args)
    }
}

/// What later programs get in their environment.
#[derive(Default)]
struct Exported {
    env: BTreeMap<Vec<u8>, Vec<u8>>,
    oversize: Vec<OsString>,
}

impl Exported {
    /// Adds it, unless it is too long for the kernel.
    fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        if name.len() + value.len() + 2 > MAX_VARIABLE {
            self.oversize.push(OsStr::from_bytes(name).to_owned());
            return false;
        }
        self.env.insert(name.to_vec(), value.to_vec());
        true
    }
}

enum Value {
    Unset,
    Scalar(Vec<u8>),
    /// As bash prints it, for bash.
    Compound(Vec<u8>),
}

struct Variable {
    /// `-` for none, else some of `aAilnrtuxc`.
    flags: String,
    value: Value,
}

impl Variable {
    fn restore(&self, name: &[u8], in_env: bool, out: &mut Vec<u8>) {
        let flags: String =
            self.flags.chars().filter(|&c| c != '-' && !(c == 'x' && in_env)).collect();
        match &self.value {
            _ if in_env && flags.is_empty() => {}
            Value::Scalar(value) if flags.is_empty() => {
                if !is_default(name, Some(value)) {
                    assign(out, name, value);
                }
            }
            // In the environment already: only the attributes are missing.
            Value::Scalar(_) if in_env => {
                command(out, &format!("declare -{flags}"), name, None);
            }
            Value::Scalar(value) => command(out, &format!("declare -{flags}"), name, Some(value)),
            Value::Compound(text) => {
                out.extend_from_slice(format!("declare -{flags} ").as_bytes());
                out.extend_from_slice(name);
                out.push(b'=');
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Value::Unset => {
                let flags = if flags.is_empty() { "-".to_owned() } else { flags };
                command(out, &format!("declare -{flags}"), name, None);
            }
        }
    }
}

fn command(out: &mut Vec<u8>, words: &str, name: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(words.as_bytes());
    out.push(b' ');
    if let Some(value) = value {
        assign(out, name, value);
    } else {
        out.extend_from_slice(name);
        out.push(b'\n');
    }
}

fn assign(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.push(b'=');
    quote::push(out, value);
    out.push(b'\n');
}

/// POSIX XBD 3.216: a name.
fn is_identifier(name: &[u8]) -> bool {
    name.first().is_some_and(|b| !b.is_ascii_digit())
        && name.iter().all(|&b| b == b'_' || b.is_ascii_alphanumeric())
}

fn is_special(name: &[u8]) -> bool {
    name.starts_with(b"__trc_") || SPECIAL.iter().any(|special| special.as_bytes() == name)
}

fn is_default(name: &[u8], value: Option<&[u8]>) -> bool {
    matches!((name, value), (b"IFS", Some(b" \t\n")) | (b"PS4", Some(b"+ ")))
}

/// Whether a function is one of the prelude's, unchanged: all of them call `__trc_call`
/// or are known by all they do, as bash prints them.
fn is_prelude(name: &[u8], text: &[u8]) -> bool {
    let Some(name) = PRELUDE.iter().find(|known| known.as_bytes() == name) else { return false };
    let text = String::from_utf8_lossy(text);
    match *name {
        "run" => text.split_whitespace().eq("run () { builtin command \"$@\" }".split_whitespace()),
        "trap" => text.contains("__trc_at_exit"),
        name => text.contains(&format!("__trc_call {name} \"$@\"")) && text.lines().count() < 16,
    }
}

/// The output of `declare -p`: `declare -x NAME="value"`.
fn bash_variables(mut text: &[u8]) -> BTreeMap<Vec<u8>, Variable> {
    let mut variables = BTreeMap::new();
    while let Some(rest) = text.strip_prefix(b"declare -") {
        let blank = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        let (flags, rest) = rest.split_at(blank);
        let rest = rest.get(1..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'=' || b == b'\n').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let (value, rest) = match rest {
            [b'=', rest @ ..] => bash_value(rest),
            rest => (Value::Unset, rest),
        };
        let flags = String::from_utf8_lossy(flags).into_owned();
        variables.insert(name.to_vec(), Variable { flags, value });
        text = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    variables
}

fn bash_value(text: &[u8]) -> (Value, &[u8]) {
    if text.first() == Some(&b'(') {
        let (value, rest) = text.split_at(quote::compound(text));
        return (Value::Compound(value.to_vec()), rest);
    }
    let (value, rest) = quote::word(text);
    // Bash 4.2 and 4.3 print `declare -a a='([0]="x")'`, and read that back as well.
    (Value::Scalar(value), rest)
}

/// The output of `export -p`, `readonly -p` or `set`: `NAME='value'`, after the words of
/// a command or not.
fn posix_variables(mut text: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut variables = BTreeMap::new();
    while !text.is_empty() {
        // `export `, `declare -rx `: neither a name with a value nor the last word.
        loop {
            let end = text.iter().position(|&b| b" =\n".contains(&b)).unwrap_or(text.len());
            if text.get(end) != Some(&b' ') {
                break;
            }
            text = &text[end + 1..];
        }
        let end = text.iter().position(|&b| b == b'=' || b == b'\n').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        text = match rest {
            [b'=', b'(', ..] => &rest[1 + quote::compound(&rest[1..])..],
            [b'=', rest @ ..] => {
                let (value, rest) = quote::word(rest);
                if is_identifier(name) {
                    variables.insert(name.to_vec(), Some(value));
                }
                rest
            }
            rest => {
                if is_identifier(name) {
                    variables.insert(name.to_vec(), None);
                }
                rest
            }
        };
        let end = text.iter().position(|&b| b == b'\n').map_or(text.len(), |at| at + 1);
        text = &text[end..];
    }
    variables
}

/// The output of `declare -F`: `declare -fx NAME`.
fn function_names(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    text.split(|&b| b == b'\n')
        .filter_map(|line| {
            let line = line.strip_prefix(b"declare -")?;
            let blank = line.iter().position(|&b| b == b' ')?;
            Some((String::from_utf8_lossy(&line[..blank]).into_owned(), line[blank + 1..].to_vec()))
        })
        .collect()
}

/// The output of `declare -f`, which has the same order, cut at each `NAME () ` that
/// follows a line with a function's end: `}`, or `} 2>&1`.
fn split_functions<'a>(
    mut text: &'a [u8],
    names: &[(String, Vec<u8>)],
) -> Vec<(String, Vec<u8>, &'a [u8])> {
    let mut functions = Vec::new();
    for (index, (flags, name)) in names.iter().enumerate() {
        let next = names.get(index + 1).and_then(|(_, next)| {
            let start = [b"\n", next.as_slice(), b" () \n{"].concat();
            memchr::memmem::find_iter(text, &start).map(|at| at + 1).find(|&at| {
                let line = text[..at - 1].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
                text[line] == b'}'
            })
        });
        let (function, rest) = text.split_at(next.unwrap_or(text.len()));
        functions.push((flags.clone(), name.clone(), function));
        text = rest;
    }
    functions
}

/// Appends a command for each name that one list has and the other has not. What the
/// stage decides (`set -e`, xtrace) and what would end the shell is no part of it.
fn difference(out: &mut Vec<u8>, on: &str, off: &str, before: &[u8], after: &[u8]) {
    let set = |text: &[u8]| -> BTreeSet<String> {
        let names =
            text.split(|&b| b == b':').map(|name| String::from_utf8_lossy(name).into_owned());
        names
            .filter(|name| {
                !matches!(
                    name.as_str(),
                    "" | "errexit" | "xtrace" | "noexec" | "onecmd" | "interactive" | "stdin"
                )
            })
            .collect()
    };
    let (before, after) = (set(before), set(after));
    for (word, names) in [(on, &after - &before), (off, &before - &after)] {
        for name in names {
            out.extend_from_slice(format!("{word} {name}\n").as_bytes());
        }
    }
}

/// The limits that changed, by the letter of `ulimit`.
fn limits(kind: Kind, before: &[u8], after: &[u8]) -> Vec<(char, String)> {
    let lines = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
    };
    let (before, after) = (lines(before), lines(after));
    before
        .iter()
        .zip(&after)
        .enumerate()
        .filter(|(_, (before, after))| before != after)
        .filter_map(|(index, (_, line))| match kind {
            // `core file size              (blocks, -c) 0`
            Kind::Bash => {
                let (name, value) = line.rsplit_once(") ")?;
                Some((name.chars().next_back()?, value.trim().to_owned()))
            }
            // One line for each letter that the prelude asks for.
            Kind::Posix => Some(("tfdscmlpnv".chars().nth(index)?, line.trim().to_owned())),
        })
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    fn saved(kind: Kind, bytes: &[u8]) -> Saved {
        let file = File::from(memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap());
        file.write_all_at(bytes, 0).unwrap();
        let (own, before) = (Own::default(), State::default());
        Saved { file, kind, own, xtrace: false, set: Vec::new(), before }
    }

    const BASH: &[u8] = b"0022\n\0/\n\0x  (-n) 5\n\0x  (-n) 9\n\0+ trace\n\0trc-state\0ehB\0a:b\0b:c\0\0s\0\
        0027\n\0/usr\n\0x  (-n) 4\n\0x  (-n) 9\n\0declare -x e=\"v\"\ndeclare -a a=([0]=\"1\")\n\
        declare -- p=$'\\n'\n\0declare -fx f\ndeclare -f g\n\0f () \n{ \n    :\n} 2>&1\ng () \n{ \n    :\n}\n\0\
        alias x='y'\n\x002\0trc-state\0b\0end\0";

    const POSIX: &[u8] = b"0022\n\0/\n\x005\n\x009\n\0set +o u\n\0\0trc-state\0e\x000027\n\0/usr\n\x004\n\x009\n\0\
        set -o u\n\0export e='v'\nexport n\n\0readonly e='v'\n\0e='v'\np='x\n'\n\x001\0trc-state\0end\0";

    #[test]
    fn what_each_shell_writes_is_read() {
        for (kind, bytes) in [(Kind::Bash, BASH), (Kind::Posix, POSIX)] {
            let state = State::read(&saved(kind, bytes), &[]).unwrap().unwrap();
            assert_eq!(
                state.environment()[state.environment().len() - 1],
                ("e".into(), "v".into())
            );
            assert_eq!(state.args()[0], "trc-state");
            assert_eq!(
                (state.umask.as_slice(), state.cwd.as_slice()),
                (&b"umask 0027\n"[..], &b"/usr"[..])
            );
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_an_error_or_nothing_and_never_a_panic() {
        for (kind, bytes) in [(Kind::Bash, BASH), (Kind::Posix, POSIX)] {
            for length in 0..bytes.len() {
                let read = State::read(&saved(kind, &bytes[..length]), &[]);
                assert!(matches!(read, Ok(None) | Err(_)), "{length}: {read:?}");
            }
            // A byte that is not what it should be must do no harm either.
            for at in 0..bytes.len() {
                for byte in *b"\0\n'\"(= \\$" {
                    let mut odd = bytes.to_vec();
                    odd[at] = byte;
                    let _ = State::read(&saved(kind, &odd), &[]);
                }
            }
        }
    }
}
