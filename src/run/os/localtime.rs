//! The wall clock, in local time.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::SystemTime;

use crate::journal::{Clock, Local};

/// The kernel's clock in the time zone of `TZ`, or of `/etc/localtime`.
pub const CLOCK: Clock = Clock { now, local };

#[expect(clippy::disallowed_methods, reason = "this is where the journal's time is read")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Keeps the C library from opening anything but a regular file for the time zone, because it would
/// wait for the writer of a FIFO. The time is then UTC.
fn keep_from_waiting() {
    let zone = zone_file(std::env::var_os("TZ"), std::env::var_os("TZDIR"));
    if fs::metadata(zone).is_ok_and(|found| !found.is_file()) {
        // SAFETY: trc has one thread, and nobody holds a reference to the environment. The
        // environment for units was copied before.
        unsafe { std::env::set_var("TZ", "UTC0") };
    }
}

/// Returns the file that `tzset(3)` reads, if it exists.
fn zone_file(zone: Option<OsString>, directory: Option<OsString>) -> PathBuf {
    let Some(zone) = zone else { return "/etc/localtime".into() };
    let zone = zone.as_bytes();
    let zone = zone.strip_prefix(b":").unwrap_or(zone);
    let zone = if zone.is_empty() { OsStr::new("Universal") } else { OsStr::from_bytes(zone) };
    let directory = directory.filter(|directory| !directory.is_empty());
    Path::new(&directory.unwrap_or_else(|| "/usr/share/zoneinfo".into())).join(zone)
}

/// Returns the local time by `localtime_r(3)`, and 1970 in UTC for years that a C `int` cannot
/// hold. `TZ` is read once, at the first call.
#[must_use]
pub(crate) fn local(seconds: i64) -> Local {
    static FIRST: Once = Once::new();
    FIRST.call_once(keep_from_waiting);
    // `time_t` has 32 bits on some targets.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    let time = libc::time_t::try_from(seconds).unwrap_or(0);
    // SAFETY: all of `tm`'s fields may be zero (`tm_zone` is a pointer).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call. The environment
    // is read, under glibc's own lock; nothing in this one-threaded program
    // changes it at the same time.
    if unsafe { libc::localtime_r(&raw const time, &raw mut tm) }.is_null() {
        return Local { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, offset: 0 };
    }
    let small = |n: libc::c_int| u8::try_from(n).unwrap_or(0);
    Local {
        year: i64::from(tm.tm_year) + 1900,
        month: small(tm.tm_mon + 1),
        day: small(tm.tm_mday),
        hour: small(tm.tm_hour),
        minute: small(tm.tm_min),
        second: small(tm.tm_sec),
        // The offset is less than a day in every zone.
        offset: i32::try_from(tm.tm_gmtoff).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_minus_its_offset_is_utc() {
        // This holds in every zone.
        let shown = local(1_489_696_850);
        assert_eq!((shown.year, shown.month), (2017, 3));
        let of_day =
            (i32::from(shown.hour) * 60 + i32::from(shown.minute)) * 60 + i32::from(shown.second);
        assert_eq!((of_day - shown.offset).rem_euclid(86_400), (20 * 60 + 40) * 60 + 50);
    }

    #[test]
    fn a_zone_is_looked_for_where_the_c_library_does() {
        for (zone, directory, file) in [
            (None, None, "/etc/localtime"),
            (Some(":/a/fifo"), None, "/a/fifo"),
            (Some("/a/fifo"), Some("/zones"), "/a/fifo"),
            (Some("Europe/Berlin"), None, "/usr/share/zoneinfo/Europe/Berlin"),
            (Some(":Europe/Berlin"), Some("/zones"), "/zones/Europe/Berlin"),
            (Some(""), None, "/usr/share/zoneinfo/Universal"),
        ] {
            let found = zone_file(zone.map(Into::into), directory.map(Into::into));
            assert_eq!(found, Path::new(file), "{zone:?}");
        }
    }

    #[test]
    fn a_year_beyond_an_int_is_no_error() {
        assert_eq!(local(i64::MAX).year, 1970);
        assert_eq!(local(i64::MIN).year, 1970);
    }
}
