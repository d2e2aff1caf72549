//! The privileges of a unit's process, which are checked before the process exists, as far as
//! possible.

use std::fs;

use nix::unistd::geteuid;

use crate::config::privilege::CAPABILITIES;
use crate::config::{Limit, Placed, Unit};
use crate::run::os::limits::{self as own, NOFILE};
use crate::run::os::proc::Status;
use crate::words::Unprepared;

/// `CAP_SETPCAP` of capabilities(7).
const SETPCAP: u8 = 8;
/// `CAP_SYS_RESOURCE`.
const SYS_RESOURCE: u8 = 24;

/// Returns the capabilities of trc, one bit each: `CapPrm` of proc(5).
fn permitted() -> Option<u64> {
    Status::of("self")?.bits("CapPrm")
}

/// Returns whether trc has a capability. If that cannot be found out, root has it.
fn has(capability: u8) -> bool {
    permitted().map_or_else(|| geteuid().is_root(), |set| set & (1 << capability) != 0)
}

/// Returns whether the kernel knows a capability: `PR_CAPBSET_READ` of prctl(2).
fn is_known(capability: u8) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(capability), 0, 0, 0) >= 0 }
}

/// Returns the capabilities that a unit keeps, one bit each.
///
/// # Errors
/// Returns which of them trc itself doesn't have.
pub(crate) fn kept(unit: &Unit) -> Result<Option<u64>, Unprepared> {
    let Some(wanted) = &unit.identity.capabilities else { return Ok(None) };
    let mut set = 0;
    for Placed { value: number, origin } in wanted {
        let name = CAPABILITIES.get(usize::from(*number)).copied().unwrap_or_default();
        if !is_known(*number) {
            return Err(Unprepared::UnknownCapability(name).at(origin));
        }
        if !has(*number) {
            return Err(Unprepared::NoCapability(name).at(origin));
        }
        set |= 1 << number;
    }
    if !has(SETPCAP) {
        let place = wanted.first().map_or(&unit.origin, |capability| &capability.origin);
        return Err(Unprepared::NoSetpcap.at(place));
    }
    Ok(Some(set))
}

/// Returns the limits of a unit for prlimit(2).
///
/// # Errors
/// Returns which of them is above what trc may give.
pub(crate) fn limits(limits: &[Placed<Limit>]) -> Result<Vec<(u32, [u64; 2])>, Unprepared> {
    // Most units have no limits, and then there is nothing to look up.
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    if !has(SYS_RESOURCE)
        && let Some(why) = too_high(limits)
    {
        return Err(why);
    }
    // Not even root may have more descriptors than this.
    let open = fs::read_to_string("/proc/sys/fs/nr_open").ok();
    let open: Option<u64> = open.and_then(|text| text.trim().parse().ok());
    let mut pairs = Vec::new();
    for Placed { value: Limit { resource, soft, hard }, origin } in limits {
        if let Some(open) = open.filter(|open| resource.number == NOFILE && hard > open) {
            return Err(Unprepared::NrOpen(*hard, open).at(origin));
        }
        pairs.push((resource.number, [*soft, *hard]));
    }
    Ok(pairs)
}

/// Returns a limit that needs a privilege. Root of a user namespace may lack it although it has
/// the capability there, because getrlimit(2) requires it in the initial namespace.
pub(crate) fn too_high(limits: &[Placed<Limit>]) -> Option<Unprepared> {
    limits.iter().find_map(|Placed { value: Limit { resource, hard, .. }, origin }| {
        let most = own::hard(resource.number).filter(|most| hard > most)?;
        Some(Unprepared::Limit(resource.name, *hard, most).at(origin))
    })
}
