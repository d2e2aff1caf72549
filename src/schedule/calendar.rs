//! The local times of a schedule, on a calendar without time zones. A local time is a number of
//! seconds since 1970-01-01 00:00, all of whose days have 24 hours.

use crate::civil::date;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// The local times of five fields. Bit n of a set is the value n.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Times {
    pub minutes: u64,
    pub hours: u64,
    /// The days of the month.
    pub days: u64,
    pub months: u64,
    /// The days of the week, from Sunday, which is 0.
    pub weekdays: u64,
    /// Whether the schedule is for every hour or for every nth hour.
    pub follows_clock: bool,
    /// Whether a day has to be in `days` and in `weekdays`, because one of these fields starts with
    /// `*`. Otherwise, it has to be in one of them.
    pub both_days: bool,
}

impl Times {
    /// Returns the first of the times at or after a local time.
    pub(super) fn at_or_after(&self, local: i64) -> Option<i64> {
        let minute = local.checked_add(59)?.div_euclid(60);
        let (today, of_day) = (minute.div_euclid(1440), minute.rem_euclid(1440));
        let at = |day: i64, minute: i64| Some(day * DAY + minute * 60);
        if self.has_day(today)
            && let Some(minute) = self.of_day(of_day)
        {
            return at(today, minute);
        }
        at(self.day_from(today + 1)?, self.of_day(0)?)
    }

    /// Returns whether there is any date in the calendar of these months and days of the month.
    pub(super) fn has_dates(&self) -> bool {
        // The year 0 was a leap year.
        !self.both_days
            || (1..=12).any(|month| {
                has(self.months, month)
                    && least_from(self.days, 1).is_some_and(|day| day <= month_length(0, month))
            })
    }

    /// Returns the first minute of a day at or after `minute`.
    fn of_day(&self, minute: i64) -> Option<i64> {
        let hour = minute / 60;
        if has(self.hours, hour)
            && let Some(minute) = least_from(self.minutes, minute % 60)
        {
            return Some(hour * 60 + minute);
        }
        Some(least_from(self.hours, hour + 1)? * 60 + least_from(self.minutes, 0)?)
    }

    /// Returns the first day at or after `first`.
    fn day_from(&self, first: i64) -> Option<i64> {
        let (mut year, mut month, of_month) = date(first);
        let mut day = first - (of_month - 1);
        // 29 February is on a given day of the week at least once in 40 years.
        for _ in 0..41 * 12 {
            let length = month_length(year, month);
            if has(self.months, month) {
                let found = (day.max(first)..day + length).find(|day| self.has_day(*day));
                if found.is_some() {
                    return found;
                }
            }
            day += length;
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        None
    }

    fn has_day(&self, day: i64) -> bool {
        let (_, month, of_month) = date(day);
        // 1970-01-01 was a Thursday.
        let of_week = has(self.weekdays, (day + 4).rem_euclid(7));
        let of_month = has(self.days, of_month);
        has(self.months, month)
            && if self.both_days { of_week && of_month } else { of_week || of_month }
    }
}

fn has(set: u64, value: i64) -> bool {
    set >> value & 1 == 1
}

/// Returns the least value of a set that is at least `from`, which is less than 64.
fn least_from(set: u64, from: i64) -> Option<i64> {
    let rest = set >> from;
    (rest != 0).then(|| from + i64::from(rest.trailing_zeros()))
}

pub(super) fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
