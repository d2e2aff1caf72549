//! Environment variables that must not reach shells, because they would change trc's own text in
//! them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The builtins of bash 5.2 (`compgen -b`). A function takes precedence over a builtin of the same
/// name.
const BUILTINS: &str = " . : [ alias bg bind break builtin caller cd command compgen complete \
    compopt continue declare dirs disown echo enable eval exec exit export false fc fg getopts \
    hash help history jobs kill let local logout mapfile popd printf pushd pwd read readarray \
    readonly return set shift shopt source suspend test times trap true type typeset ulimit umask \
    unalias unset wait ";

/// Returns whether a function with this name would replace a builtin.
pub(super) fn is_builtin(function: &[u8]) -> bool {
    !function.contains(&b' ')
        && memchr::memmem::find(BUILTINS.as_bytes(), &[b" ", function, b" "].concat()).is_some()
}

/// Returns whether a variable is kept from scripts, though not from programs that trc executes
/// without a shell: options that a shell would apply from its first line on (with `noexec` in
/// SHELLOPTS, every script does nothing and succeeds), functions that replace a builtin, FUNCNEST,
/// which trc's own functions may exceed, and OPTIND, with which dash fails if it is not a number.
#[must_use]
pub(crate) fn is_withheld(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let function = name.strip_prefix(b"BASH_FUNC_").and_then(|name| name.strip_suffix(b"%%"));
    matches!(name, b"SHELLOPTS" | b"BASHOPTS" | b"FUNCNEST" | b"OPTIND")
        || function.is_some_and(is_builtin)
}

/// Returns whether `SHELLOPTS` asks for the trace, as `RC_DEBUG=true` does.
#[must_use]
pub(crate) fn asks_for_trace(shellopts: &OsStr) -> bool {
    shellopts.as_bytes().split(|byte| *byte == b':').any(|option| option == b"xtrace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_trcs_own_text_is_withheld() {
        for (name, withheld) in [
            ("SHELLOPTS", true),
            ("BASHOPTS", true),
            ("BASH_FUNC_cd%%", true),
            ("BASH_FUNC_[%%", true),
            ("BASH_FUNC_.%%", true),
            ("BASH_FUNC_which%%", false),
            ("BASH_FUNC_exit trap%%", false),
            ("BASH_FUNC_cd", false),
            ("POSIXLY_CORRECT", false),
            ("PATH", false),
        ] {
            assert_eq!(is_withheld(OsStr::new(name)), withheld, "{name}");
        }
    }

    #[test]
    fn a_trace_is_asked_for_by_its_whole_name() {
        for (options, asks) in [("braceexpand:xtrace", true), ("xtrace", true), ("xtraced", false)]
        {
            assert_eq!(asks_for_trace(OsStr::new(options)), asks, "{options}");
        }
    }
}
