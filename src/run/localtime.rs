//! The wall clock and what it shows here.

use std::time::SystemTime;

use crate::journal::{Clock, Local};

/// The kernel's clock in the time zone of `TZ`, or of `/etc/localtime`.
pub const CLOCK: Clock = Clock { now, local };

#[expect(clippy::disallowed_methods, reason = "this is where the journal's time is read")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Local time by `localtime_r(3)`; UTC's first second for years that a C `int`
/// can't hold. `TZ` is read once, at the first call.
#[must_use]
pub fn local(seconds: i64) -> Local {
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
        // Less than a day, whatever the zone.
        offset: i32::try_from(tm.tm_gmtoff).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_minus_its_offset_is_utc() {
        // Whatever zone the tests run in.
        let shown = local(1_489_696_850);
        assert_eq!((shown.year, shown.month), (2017, 3));
        let of_day =
            (i32::from(shown.hour) * 60 + i32::from(shown.minute)) * 60 + i32::from(shown.second);
        assert_eq!((of_day - shown.offset).rem_euclid(86_400), (20 * 60 + 40) * 60 + 50);
    }

    #[test]
    fn a_year_beyond_an_int_is_no_error() {
        assert_eq!(local(i64::MAX).year, 1970);
        assert_eq!(local(i64::MIN).year, 1970);
    }
}
