//! The privileges of the container, as trc sees them from inside.

use nix::sys::prctl::get_no_new_privs;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use crate::config::privilege::CAPABILITIES;
use crate::run::os::cgroup;
use crate::run::os::proc::Status;
use crate::words::Wrong;

/// Checks that `no_new_privs` is set, as docker's `--security-opt no-new-privileges` does. It is
/// trc's own setting, which its children inherit: `PR_GET_NO_NEW_PRIVS` of prctl(2).
///
/// # Errors
/// Returns the actual setting if it differs.
pub(crate) fn no_new_privs(wanted: bool) -> Result<(), Wrong> {
    match get_no_new_privs() {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(Wrong::NoNewPrivs(found)),
        Err(errno) => Err(Wrong::kernel(&errno.into())),
    }
}

/// Checks that the container has never used more than this much memory, and has never reached its
/// limit: the peak of its cgroup, and its OOM killer.
///
/// # Errors
/// Returns how much it has used, or that nothing reports it.
pub(crate) fn max_memory(most: u64) -> Result<(), Wrong> {
    let peak = cgroup::memory_peak().ok_or(Wrong::NoMemoryPeak)?;
    memory_within(peak, cgroup::oom_kills().unwrap_or(0), most)
}

fn memory_within(peak: u64, oom_kills: u64, most: u64) -> Result<(), Wrong> {
    match oom_kills {
        0 if peak <= most => Ok(()),
        kills => Err(Wrong::Memory(peak, kills > 0)),
    }
}

/// Checks that nothing in the container can get a capability other than these, one bit each: the
/// bounding set of capabilities(7).
///
/// # Errors
/// Returns the other capabilities.
pub(crate) fn capabilities(wanted: u64) -> Result<(), Wrong> {
    let set = Status::of("self").and_then(|status| status.bits("CapBnd"));
    beyond(set.ok_or(Wrong::NoCapabilities)?, wanted)
}

fn beyond(set: u64, wanted: u64) -> Result<(), Wrong> {
    let others = set & !wanted;
    if others == 0 {
        return Ok(());
    }
    let name = |number: usize| match CAPABILITIES.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("capability {number}"),
    };
    let names = (0..64).filter(|number| others & (1 << number) != 0).map(name);
    Err(Wrong::Capabilities(names.collect()))
}

/// Checks that the root file system is read-only: statvfs(3).
///
/// # Errors
/// Returns the actual setting if it differs.
pub(crate) fn read_only_root(wanted: bool) -> Result<(), Wrong> {
    match statvfs("/") {
        Ok(found) => match found.flags().contains(FsFlags::ST_RDONLY) {
            read_only if read_only == wanted => Ok(()),
            read_only => Err(Wrong::ReadOnlyRoot(read_only)),
        },
        Err(errno) => Err(Wrong::kernel(&errno.into())),
    }
}

/// Checks that trc runs as this user.
///
/// # Errors
/// Returns the user that trc runs as.
pub(crate) fn uid(wanted: u32) -> Result<(), Wrong> {
    match geteuid().as_raw() {
        found if found == wanted => Ok(()),
        found => Err(Wrong::RunsAsUser(found)),
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
            let found = beyond(set, wanted).map_err(|wrong| wrong.to_string());
            assert_eq!(found, expected, "{set:x} {wanted:x}");
        }
        assert!(beyond(u64::MAX, 0).unwrap_err().to_string().ends_with(", and 54 more"));
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
            let found = memory_within(peak, kills, 64 << 20).map_err(|wrong| wrong.to_string());
            assert_eq!(found, expected, "{peak} {kills}");
        }
    }

    #[test]
    fn what_is_so_is_not_otherwise() {
        let own = geteuid().as_raw();
        assert_eq!(uid(own), Ok(()));
        assert_eq!(uid(own + 1), Err(Wrong::RunsAsUser(own)));
        for check in [no_new_privs, read_only_root] {
            assert!(check(true).is_ok() != check(false).is_ok());
        }
    }
}
