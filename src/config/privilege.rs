//! Limits, capabilities, and other permissions of a unit's process.

use std::path::PathBuf;

use serde::Deserialize;

/// A resource of `getrlimit(2)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Resource {
    /// The name in the configuration, which is the one of `/etc/security/limits.conf`.
    pub name: &'static str,
    /// `RLIMIT_…`.
    pub number: u32,
}

/// The value for no limit: `RLIM_INFINITY`.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// One limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    pub resource: Resource,
    pub soft: u64,
    pub hard: u64,
}

/// The names of capabilities(7), at the indices of their numbers.
pub(crate) const CAPABILITIES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The terminal of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Tty {
    /// None: trc does not lend the unit its own terminal.
    No,
    /// The unit runs on this terminal, in a session of its own.
    Own(PathBuf),
}

/// The standard input of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stdin {
    /// Nothing, or the standard input of trc.
    Word(StdinWord),
    File(PathBuf),
}

/// The values of `stdin` that are names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StdinWord {
    /// `/dev/null`.
    Null,
    /// The standard input of trc.
    Inherit,
}
