//! The counters of the container's cgroup, as a container sees its own: cgroups(7), and
//! `cgroup-v2.rst` and `cgroup-v1/memory.rst` in the documentation of the kernel.

use std::fs;
use std::path::Path;

const ROOT: &str = "/sys/fs/cgroup";

/// Returns the number of processes in the cgroup that an OOM killer has killed; `None` if the
/// kernel does not tell.
pub(crate) fn oom_kills() -> Option<u64> {
    oom_kills_of(Path::new(ROOT))
}

/// Returns the file of cgroup v2 that has this counter. poll(2) reports its changes.
pub(crate) fn memory_events() -> Option<fs::File> {
    fs::File::open(Path::new(ROOT).join("memory.events")).ok()
}

/// Returns the peak memory of the cgroup in bytes: of all processes, of files in memory, and of the
/// kernel's caches for them. `None` if the kernel does not tell: outside a container, and with v2
/// before Linux 5.19.
pub(crate) fn memory_peak() -> Option<u64> {
    memory_peak_of(Path::new(ROOT))
}

/// Returns the limit on the memory of the cgroup in bytes; `None` if there is none, or if the kernel
/// does not tell.
pub(crate) fn memory_limit() -> Option<u64> {
    memory_limit_of(Path::new(ROOT))
}

fn memory_limit_of(root: &Path) -> Option<u64> {
    /// The least limit of v1 that is none: the highest number of bytes, rounded down to pages.
    const NONE: u64 = (i64::MAX as u64) >> 16 << 16;
    let text = read_first(root, ["memory.max", "memory/memory.limit_in_bytes"])?;
    // Without a limit, v2 has the word `max`.
    text.trim().parse().ok().filter(|limit| *limit < NONE)
}

fn oom_kills_of(root: &Path) -> Option<u64> {
    let text = read_first(root, ["memory.events", "memory/memory.oom_control"])?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn memory_peak_of(root: &Path) -> Option<u64> {
    // Only the root of a v1 hierarchy has this file, and the root counts the memory of the whole
    // machine. In v2, the root has no such counter.
    if root.join("memory/release_agent").exists() {
        return None;
    }
    let text = read_first(root, ["memory.peak", "memory/memory.max_usage_in_bytes"])?;
    text.trim().parse().ok()
}

/// Reads the file of v2 or that of v1.
fn read_first(root: &Path, names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|name| fs::read_to_string(root.join(name)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_version_tells_the_limit_if_there_is_one() {
        for (name, text, limit) in [
            ("memory.max", "536870912\n", Some(512 << 20)),
            ("memory.max", "max\n", None),
            ("memory/memory.limit_in_bytes", "536870912\n", Some(512 << 20)),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
            ("memory/memory.limit_in_bytes", "9223372036854710272\n", None),
            ("memory.peak", "4096\n", None),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            assert_eq!(memory_limit_of(root.path()), limit, "{name}: {text}");
        }
    }

    #[test]
    fn either_version_tells_the_peak_and_the_kills() {
        for (files, peak, kills) in [
            (
                vec![
                    ("memory.peak", "4345856\n"),
                    ("memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n"),
                ],
                Some(4_345_856),
                Some(1),
            ),
            (vec![("memory.events", "low 0\nhigh 0\nmax 0\noom 0\n")], None, None),
            (
                vec![
                    ("memory/memory.max_usage_in_bytes", "4096\n"),
                    ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
                ],
                Some(4096),
                Some(3),
            ),
            (
                vec![
                    ("memory/memory.max_usage_in_bytes", "9999999999\n"),
                    ("memory/release_agent", "\n"),
                ],
                None,
                None,
            ),
            (vec![("memory.peak", "max\n")], None, None),
            (vec![], None, None),
        ] {
            let root = tempfile::tempdir().unwrap();
            for (name, text) in &files {
                let path = root.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(memory_peak_of(root.path()), peak, "{files:?}");
            assert_eq!(oom_kills_of(root.path()), kills, "{files:?}");
        }
    }
}
