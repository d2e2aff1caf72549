//! Wall-clock times, as log lines show them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::civil;

/// A local time, to the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// The year of the calendar: 2017.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60 (a leap second).
    pub second: u8,
    /// Local time minus UTC, in seconds; positive east of Greenwich.
    pub offset: i32,
}

impl Local {
    /// Returns the time in UTC at a number of seconds since 1970-01-01 00:00 UTC.
    pub(crate) fn utc(seconds: i64) -> Self {
        let (year, month, day) = civil::date(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let small = |n: i64| u8::try_from(n).unwrap_or(0);
        Self {
            year,
            month: small(month),
            day: small(day),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
            offset: 0,
        }
    }
}

/// Returns a time in UTC, such as `2017-03-16T20:40:50`, and its milliseconds.
pub(crate) fn utc(moment: SystemTime) -> (String, u32) {
    let (seconds, milliseconds) = since_epoch(moment);
    let Local { year, month, day, hour, minute, second, .. } = Local::utc(seconds);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    (text, milliseconds)
}

/// The source of the time for the journal; `run::localtime` has the real one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Returns the current time.
    pub now: fn() -> SystemTime,
    /// Returns the local time at a number of seconds since 1970-01-01 00:00 UTC.
    pub local: fn(i64) -> Local,
}

/// The last second that was formatted, so that a burst of lines needs only one conversion.
#[derive(Debug)]
pub(crate) struct Stamp {
    local: fn(i64) -> Local,
    /// The second that `text` and `offset` belong to.
    second: Option<i64>,
    /// `2017-03-16 21:40:50`
    text: String,
    /// `+01:00`
    offset: String,
}

impl Stamp {
    pub(crate) fn new(local: fn(i64) -> Local) -> Self {
        Self { local, second: None, text: String::new(), offset: String::new() }
    }

    /// Appends `2017-03-16 21:40:50`.
    pub(crate) fn text(&mut self, now: SystemTime, to: &mut Vec<u8>) {
        self.refresh(since_epoch(now).0);
        to.extend_from_slice(self.text.as_bytes());
    }

    /// Appends `2017-03-16T21:40:50.123+01:00` (RFC 3339).
    pub(crate) fn rfc3339(&mut self, now: SystemTime, to: &mut Vec<u8>) {
        let (second, milliseconds) = since_epoch(now);
        self.refresh(second);
        let digit = |n: u32| b'0' + u8::try_from(n % 10).unwrap_or(0);
        to.extend(self.text.bytes().map(|byte| if byte == b' ' { b'T' } else { byte }));
        to.push(b'.');
        to.extend([digit(milliseconds / 100), digit(milliseconds / 10), digit(milliseconds)]);
        to.extend_from_slice(self.offset.as_bytes());
    }

    fn refresh(&mut self, second: i64) {
        if self.second == Some(second) {
            return;
        }
        // The offset is looked up as well, so a change to or from summer time takes effect at its
        // exact second.
        let Local { year, month, day, hour, minute, second: s, offset } = (self.local)(second);
        self.second = Some(second);
        self.text.clear();
        self.offset.clear();
        let _ = write!(self.text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{s:02}");
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs() / 60;
        let _ = write!(self.offset, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
}

/// Returns the seconds since 1970, rounded down, and the milliseconds. A clock that is set to a
/// time before 1970 is not an error.
fn since_epoch(now: SystemTime) -> (i64, u32) {
    match now.duration_since(UNIX_EPOCH) {
        Ok(after) => (seconds(after), after.subsec_millis()),
        Err(before) => {
            let before = before.duration();
            match before.subsec_nanos() {
                0 => (-seconds(before), 0),
                nanos => (-1 - seconds(before), (1_000_000_000 - nanos) / 1_000_000),
            }
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// 2017-03-16 21:40:50 at +01:00.
    pub(crate) const SEED: u64 = 1_489_696_850;

    pub(crate) fn at(seconds: u64, milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(milliseconds)
    }

    /// UTC, moved by `offset` seconds.
    pub(crate) fn moved(seconds: i64, offset: i32) -> Local {
        Local { offset, ..Local::utc(seconds + i64::from(offset)) }
    }

    fn both(local: fn(i64) -> Local, now: SystemTime) -> (String, String) {
        let mut stamp = Stamp::new(local);
        let (mut text, mut json) = (Vec::new(), Vec::new());
        stamp.text(now, &mut text);
        stamp.rfc3339(now, &mut json);
        (String::from_utf8(text).unwrap(), String::from_utf8(json).unwrap())
    }

    #[test]
    fn times_in_both_forms() {
        type Case = (fn(i64) -> Local, SystemTime, &'static str, &'static str);
        let before_1970 = UNIX_EPOCH - Duration::from_millis(250);
        let far = at(253_402_300_800, 0);
        let cases: [Case; 7] = [
            (
                |s| moved(s, 3600),
                at(SEED, 123),
                "2017-03-16 21:40:50",
                "2017-03-16T21:40:50.123+01:00",
            ),
            (|s| moved(s, 0), at(SEED, 7), "2017-03-16 20:40:50", "2017-03-16T20:40:50.007+00:00"),
            (
                |s| moved(s, -12_600),
                at(SEED, 999),
                "2017-03-16 17:10:50",
                "2017-03-16T17:10:50.999-03:30",
            ),
            (
                |s| moved(s, 20_700),
                at(SEED, 0),
                "2017-03-17 02:25:50",
                "2017-03-17T02:25:50.000+05:45",
            ),
            (|s| moved(s, 0), at(0, 0), "1970-01-01 00:00:00", "1970-01-01T00:00:00.000+00:00"),
            (|s| moved(s, 0), before_1970, "1969-12-31 23:59:59", "1969-12-31T23:59:59.750+00:00"),
            (|s| moved(s, 0), far, "10000-01-01 00:00:00", "10000-01-01T00:00:00.000+00:00"),
        ];
        for (local, now, text, json) in cases {
            assert_eq!(both(local, now), (text.to_owned(), json.to_owned()));
        }
    }

    #[test]
    fn a_moment_in_utc() {
        let cases = [
            (at(SEED, 123), "2017-03-16T20:40:50", 123),
            (at(951_782_400, 0), "2000-02-29T00:00:00", 0),
            (at(4_107_542_399, 999), "2100-02-28T23:59:59", 999),
            (UNIX_EPOCH - Duration::from_millis(250), "1969-12-31T23:59:59", 750),
        ];
        for (moment, text, milliseconds) in cases {
            assert_eq!(utc(moment), (text.to_owned(), milliseconds));
        }
    }

    #[test]
    fn a_change_to_summer_time_shows_at_its_second() {
        // Central Europe, 2017-03-26: 01:59:59 +01:00 is followed by 03:00:00 +02:00.
        const CHANGE: i64 = 1_490_490_000;
        let mut stamp = Stamp::new(|s| moved(s, if s < CHANGE { 3600 } else { 7200 }));
        let mut shown = |second: u64| {
            let mut to = Vec::new();
            stamp.rfc3339(at(second, 0), &mut to);
            String::from_utf8(to).unwrap()
        };
        let change = u64::try_from(CHANGE).unwrap();
        assert_eq!(shown(change - 1), "2017-03-26T01:59:59.000+01:00");
        assert_eq!(shown(change), "2017-03-26T03:00:00.000+02:00");
        assert_eq!(shown(change - 1), "2017-03-26T01:59:59.000+01:00", "a clock set back");
    }

    #[test]
    fn one_second_is_converted_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let mut stamp = Stamp::new(|s| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            moved(s, 0)
        });
        for milliseconds in 0..10 {
            stamp.text(at(SEED, milliseconds), &mut Vec::new());
        }
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    }
}
