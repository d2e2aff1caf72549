//! When a unit is due: an expression as in a crontab, a word such as `@daily`, or an interval such
//! as `every 15m`.
//!
//! ```text
//!  */15  9-17  *  *  MON-FRI
//!    │    │    │  │     └ day of the week: 0-7 (0 and 7 are Sunday) or SUN-SAT
//!    │    │    │  └ month: 1-12 or JAN-DEC
//!    │    │    └ day of the month: 1-31
//!    │    └ hour: 0-23
//!    └ minute: 0-59
//! ```
//!
//! A field is a list, separated by commas, of `*`, values and ranges. `/n` after `*` or after a
//! range means every nth value of it. Vixie cron's rule for days holds: if neither of the two
//! fields for days starts with `*`, it is enough that one of them matches.
//!
//! # Clocks that change
//!
//! A time zone skips local times when daylight saving time begins, and repeats local times when it
//! ends. What happens to a schedule is what cronie does, a descendant of Vixie cron (`cron(8)`,
//! "Daylight Saving Time and other time changes"):
//!
//! - A schedule for every hour or for every nth hour (the hours are `*` or `*/n`) follows the
//!   clock. It is due whenever the local time is one of its times. So hourly jobs stay an hour
//!   apart and `*/5` jobs stay five minutes apart, in both of the hours that are repeated.
//! - Any other schedule is due once for each of its times. If a time is skipped, the schedule is
//!   due at the first moment after the gap, once for all the times in the gap. If a time is
//!   repeated, the schedule is due at the first of the two moments.
//!
//! There are two differences. For cronie, a schedule with minutes of `*` or `*/n` also follows the
//! clock, whatever its hours are, so that `*/10 2 * * *` is not due at all on the day on which the
//! hour after 2:00 is skipped. Here it is due at 3:00 then. And cronie takes a change by more than
//! three hours for a correction of the clock, but a zone that skips a day does not correct any
//! clock.
//!
//! An interval is not about local times. It counts from an anchor, such as the start of trc.

mod calendar;
mod due;
mod parse;
mod wrong;
mod zone;

#[cfg(test)]
mod croniter;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use calendar::Times;
pub(crate) use wrong::{Field, Why, Wrong};
pub(crate) use zone::Zone;

/// The times at which a unit is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Schedule {
    when: When,
    /// The canonical text.
    text: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum When {
    /// At local times.
    Times(Times),
    /// At multiples of this many seconds, at least 1, from the anchor.
    Every(i64),
}

impl Schedule {
    /// Reads a schedule: `*/5 * * * *`, `@daily` or `every 15m`.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        parse::schedule(text)
    }

    /// Returns the first time after `after` at which the schedule is due. Both are in seconds since
    /// 1970-01-01 00:00 UTC, as is `anchor`, from which `every 15m` counts; it is due at every
    /// multiple of 15 minutes before and after the anchor, so that a clock that is set back does
    /// not delay it.
    ///
    /// Returns `None` after the year 9999 only.
    pub(crate) fn next(&self, after: i64, anchor: i64, zone: &Zone) -> Option<i64> {
        match &self.when {
            When::Times(times) => due::next(times, after, zone),
            When::Every(period) => {
                let since = after.checked_sub(anchor)?.rem_euclid(*period);
                after.checked_add(period - since)
            }
        }
    }

    /// Returns the time between two runs, if the schedule is an interval.
    pub(crate) fn interval(&self) -> Option<Duration> {
        match self.when {
            When::Times(_) => None,
            When::Every(period) => Some(Duration::from_secs(period.unsigned_abs())),
        }
    }
}

/// Writes the canonical text, which reads as the same schedule.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
