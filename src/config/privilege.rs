//! Limits, capabilities and what else a unit's process may and may not.

use std::path::PathBuf;

use serde::Deserialize;

/// A resource of `getrlimit(2)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Resource {
    /// As it is written, and as `/etc/security/limits.conf` has it.
    pub name: &'static str,
    /// `RLIMIT_…`.
    pub number: u32,
}

/// What stands for no limit: `RLIM_INFINITY`.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// One limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    /// Of what.
    pub resource: Resource,
    /// What holds.
    pub soft: u64,
    /// Up to which the process itself may raise it.
    pub hard: u64,
}

/// The names of capabilities(7), each at its number.
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

/// What a unit has to do with terminals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Tty {
    /// It is not lent trc's own.
    No,
    /// It runs on this one, in a session of its own.
    Own(PathBuf),
}

/// What a unit reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stdin {
    /// Nothing, or what trc itself reads.
    Word(StdinWord),
    /// A file.
    File(PathBuf),
}

/// What a unit reads, where that has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StdinWord {
    /// `/dev/null`.
    Null,
    /// What trc reads.
    Inherit,
}
