//! What the container may, as trc sees it from within.

use nix::sys::prctl::get_no_new_privs;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use crate::config::expect::size;
use crate::config::privilege::CAPABILITIES;
use crate::run::os::cgroup;
use crate::run::os::proc::Status;
use crate::words::some;

/// Whether `no_new_privs` is set, as docker's `--security-opt no-new-privileges` does it;
/// trc's own, which its children have too: `PR_GET_NO_NEW_PRIVS` of prctl(2).
///
/// # Errors
/// That it is otherwise.
pub(crate) fn no_new_privs(wanted: bool) -> Result<(), String> {
    match get_no_new_privs() {
        Ok(found) if found == wanted => Ok(()),
        Ok(true) => Err("no_new_privs is set".to_owned()),
        Ok(false) => Err("no_new_privs is not set".to_owned()),
        Err(errno) => Err(errno.desc().to_lowercase()),
    }
}

/// Whether the container has never had more memory than so much, nor wanted more than it may
/// have: the peak of its cgroup, and its OOM killer.
///
/// # Errors
/// How much it has had, or that this isn't told.
pub(crate) fn max_memory(most: u64) -> Result<(), String> {
    let peak = cgroup::memory_peak().ok_or(
        "no cgroup reports it: trc is not in a container, or the kernel is older than Linux 5.19",
    )?;
    memory_within(peak, cgroup::oom_kills().unwrap_or(0), most)
}

fn memory_within(peak: u64, oom_kills: u64, most: u64) -> Result<(), String> {
    match oom_kills {
        0 if peak <= most => Ok(()),
        0 => Err(format!("it has used {}", size(peak))),
        _ => Err(format!(
            "it has used {} and needed more: the OOM killer has killed a process",
            size(peak)
        )),
    }
}

/// Whether nothing in the container can get a capability other than these, one bit each:
/// the bounding set of capabilities(7).
///
/// # Errors
/// Which others there are.
pub(crate) fn capabilities(wanted: u64) -> Result<(), String> {
    let set = Status::of("self").and_then(|status| status.capabilities("CapBnd"));
    let set = set.ok_or("/proc/self/status does not list the capabilities")?;
    beyond(set, wanted)
}

fn beyond(set: u64, wanted: u64) -> Result<(), String> {
    let others = set & !wanted;
    if others == 0 {
        return Ok(());
    }
    let name = |number: usize| match CAPABILITIES.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("capability {number}"),
    };
    let names = (0..64).filter(|number| others & (1 << number) != 0).map(name);
    Err(format!("it also has {}", some(names)))
}

/// Whether the root file system is read-only: statvfs(3).
///
/// # Errors
/// That it is otherwise.
pub(crate) fn read_only_root(wanted: bool) -> Result<(), String> {
    match statvfs("/") {
        Ok(found) => match found.flags().contains(FsFlags::ST_RDONLY) {
            read_only if read_only == wanted => Ok(()),
            true => Err("the root file system is read-only".to_owned()),
            false => Err("the root file system is writable".to_owned()),
        },
        Err(errno) => Err(errno.desc().to_lowercase()),
    }
}

/// Whether trc runs as this user.
///
/// # Errors
/// As whom it does.
pub(crate) fn uid(wanted: u32) -> Result<(), String> {
    match geteuid().as_raw() {
        found if found == wanted => Ok(()),
        found => Err(format!("trc runs as user {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_beyond_those_allowed_are_named() {
        for (set, wanted, expected) in [
            (0, 0, None),
            (0b1, 0b11, None),
            (u64::MAX, u64::MAX, None),
            (0b101, 0b100, Some("it also has chown")),
            (1 << 13 | 1 << 21 | 1, 1, Some("it also has net_raw, sys_admin")),
            (1 << 63, 0, Some("it also has capability 63")),
        ] {
            let expected = expected.map_or(Ok(()), |text| Err(text.to_owned()));
            assert_eq!(beyond(set, wanted), expected, "{set:x} {wanted:x}");
        }
        assert!(beyond(u64::MAX, 0).unwrap_err().ends_with(", and 54 more"));
        assert_eq!(capabilities(u64::MAX), Ok(()));
    }

    #[test]
    fn memory_is_judged_by_the_peak_and_the_oom_killer() {
        for (peak, kills, expected) in [
            (64 << 20, 0, None),
            ((64 << 20) + (1 << 20), 0, Some("it has used 65 MiB")),
            (
                4096,
                1,
                Some("it has used 4 KiB and needed more: the OOM killer has killed a process"),
            ),
        ] {
            let expected = expected.map_or(Ok(()), |text| Err(text.to_owned()));
            assert_eq!(memory_within(peak, kills, 64 << 20), expected, "{peak} {kills}");
        }
    }

    #[test]
    fn what_is_so_is_not_otherwise() {
        let own = geteuid().as_raw();
        assert_eq!(uid(own), Ok(()));
        assert_eq!(uid(own + 1), Err(format!("trc runs as user {own}")));
        for check in [no_new_privs, read_only_root] {
            assert!(check(true).is_ok() != check(false).is_ok());
        }
    }
}
