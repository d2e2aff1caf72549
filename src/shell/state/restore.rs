//! The commands that restore the state in a shell.

use std::collections::BTreeSet;

use super::names::DEFAULTED;
use super::{Kind, Own, State, quote};

impl State {
    /// Appends the commands that restore this state.
    pub(in crate::shell) fn restore(&self, out: &mut Vec<u8>, own: Own) {
        out.extend_from_slice(&self.shopts);
        out.extend_from_slice(&self.variables);
        out.extend_from_slice(&self.functions);
        if !own.umask {
            out.extend_from_slice(&self.umask);
        }
        out.extend_from_slice(&self.limits);
        if !own.cwd && !self.cwd.is_empty() {
            out.extend_from_slice(b"command cd -- ");
            quote::push(out, &self.cwd);
            // To continue in another directory could do harm.
            out.extend_from_slice(b" || exit 1\n");
            if !self.old_cwd.is_empty() {
                assign(out, b"OLDPWD", &self.old_cwd);
            }
        }
    }

    /// Appends the commands that follow all others of trc, on a line that does not end, because
    /// `set -v` shows the lines that follow.
    pub(in crate::shell) fn restore_options(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.aliases);
        for line in self.options.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"; ");
        }
    }

    /// Appends commands that unset variables which the shell sets at its start.
    pub(super) fn unset(&mut self, is_set: impl Fn(&[u8]) -> bool) {
        for name in DEFAULTED.iter().filter(|name| !is_set(name.as_bytes())) {
            self.variables.extend_from_slice(format!("unset -v {name}\n").as_bytes());
        }
    }
}

pub(super) fn command(out: &mut Vec<u8>, words: &str, name: &[u8], value: Option<&[u8]>) {
    out.extend_from_slice(words.as_bytes());
    out.push(b' ');
    if let Some(value) = value {
        assign(out, name, value);
    } else {
        out.extend_from_slice(name);
        out.push(b'\n');
    }
}

pub(super) fn assign(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.push(b'=');
    quote::push(out, value);
    out.push(b'\n');
}

/// Appends a command for each name that only one of the lists has. It leaves out the options that
/// the stage decides (`set -e`, xtrace, and those of `without`), and those that would end the
/// shell.
pub(super) fn difference(
    out: &mut Vec<u8>,
    (on, off): (&str, &str),
    before: &[u8],
    after: &[u8],
    without: &[&str],
) {
    let set = |text: &[u8]| -> BTreeSet<String> {
        let names =
            text.split(|&b| b == b':').map(|name| String::from_utf8_lossy(name).into_owned());
        names
            .filter(|name| {
                !matches!(
                    name.as_str(),
                    "" | "errexit" | "xtrace" | "noexec" | "onecmd" | "interactive" | "stdin"
                ) && !without.contains(&name.as_str())
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

/// Returns the limits that have changed, by the letters of `ulimit`.
pub(super) fn limits(kind: Kind, before: &[u8], after: &[u8]) -> Vec<(char, String)> {
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
