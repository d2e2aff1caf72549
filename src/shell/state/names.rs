//! The names of variables that have a meaning for shells.

/// Variables that a shell sets itself, or that differ in each process. trc neither carries them
/// over nor takes them from the environment (bash(1), Shell Variables; the output of dash and
/// busybox). `HOSTNAME`, `TERM`, `PS4` and the like are ordinary variables.
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

/// Variables that a shell sets at its start if the environment lacks them. If a script has unset
/// one, later shells have to unset it again.
pub(super) const DEFAULTED: &[&str] = &["HOSTNAME", "IFS", "PATH", "PS4", "TERM"];

/// POSIX XBD 3.216: a name.
pub(super) fn is_identifier(name: &[u8]) -> bool {
    name.first().is_some_and(|b| !b.is_ascii_digit())
        && name.iter().all(|&b| b == b'_' || b.is_ascii_alphanumeric())
}

pub(super) fn is_special(name: &[u8]) -> bool {
    name.starts_with(b"__trc_") || SPECIAL.iter().any(|special| special.as_bytes() == name)
}

pub(super) fn is_default(name: &[u8], value: Option<&[u8]>) -> bool {
    matches!((name, value), (b"IFS", Some(b" \t\n")) | (b"PS4", Some(b"+ ")))
}
