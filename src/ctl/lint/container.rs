//! A container as a compose file or a manifest describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::super::needs::Asking;
use crate::config::Origin;

/// The kind of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Compose,
    Kubernetes,
}

/// The words of a command, and their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Words {
    /// The words; nothing if a variable is in them whose value nobody knows here.
    pub list: Option<Vec<String>>,
    /// The key: `command`.
    pub key: &'static str,
    pub place: Origin,
}

/// A probe, or a health check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Probe {
    /// The name of its key.
    pub key: &'static str,
    pub place: Origin,
    pub asking: Asking,
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub kind: Kind,
    /// The name of the service or of the container.
    pub name: String,
    pub place: Origin,
    /// Whether the image is built from files here.
    pub is_built: bool,
    /// The time from the stop signal until it is killed, less what a hook before takes; nothing if it
    /// is not known.
    pub grace: Option<Duration>,
    /// The time of a hook that runs before the stop signal.
    pub before: Duration,
    /// The place of the grace period, if it is written.
    pub grace_at: Option<Origin>,
    /// What takes the place of the image's ENTRYPOINT.
    pub entrypoint: Option<Words>,
    /// What takes the place of its CMD.
    pub arguments: Option<Words>,
    /// The key that takes the place of the image's STOPSIGNAL, its value and its place.
    pub stop_signal: Option<(&'static str, String, Origin)>,
    pub probes: Vec<Probe>,
    /// The place of the key that makes the root file system read-only.
    pub read_only: Option<Origin>,
    /// The directories that are writable although the root file system is not.
    pub writable: Vec<PathBuf>,
    /// The capabilities that the container has, in small letters; nothing if it has all.
    pub capabilities: Option<BTreeSet<String>>,
    /// The place where capabilities are dropped or added.
    pub capabilities_at: Option<Origin>,
    /// The user, as a name or a number.
    pub user: Option<(String, Origin)>,
    /// The place of `init: true`.
    pub init: Option<Origin>,
    /// Whether any user may open a port below 1024.
    pub low_ports: bool,
    /// Its variables, with their values as far as they are known.
    pub variables: BTreeMap<String, Option<String>>,
    /// The place of its variables.
    pub variables_at: Origin,
}

/// The capabilities of a container unless it drops or adds some: those of docker and containerd.
const USUAL: [&str; 14] = [
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
];

/// Returns the capabilities of a container that drops and adds these; nothing if it has all.
pub(super) fn capabilities(dropped: &[String], added: &[String]) -> Option<BTreeSet<String>> {
    let plain = |name: &String| {
        let name = name.to_ascii_lowercase();
        name.strip_prefix("cap_").unwrap_or(&name).to_owned()
    };
    let dropped: BTreeSet<String> = dropped.iter().map(plain).collect();
    let added: BTreeSet<String> = added.iter().map(plain).collect();
    if added.contains("all") {
        return None;
    }
    let mut kept: BTreeSet<String> = USUAL.into_iter().map(str::to_owned).collect();
    if dropped.contains("all") {
        kept.clear();
    }
    kept.retain(|name| !dropped.contains(name));
    kept.extend(added);
    Some(kept)
}

/// Returns words unless one of them has a variable.
pub(super) fn known(words: &[String]) -> Option<Vec<String>> {
    // `$$` is a dollar in a compose file, and `$(NAME)` a variable in a manifest.
    let is_known = |word: &String| !word.replace("$$", "").contains('$');
    words.iter().all(is_known).then(|| words.iter().map(|word| word.replace("$$", "$")).collect())
}
