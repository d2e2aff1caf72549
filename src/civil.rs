//! The calendar of UTC.

/// Returns the year, the month and the day of the month of a day since 1970-01-01. The algorithm is
/// Howard Hinnant's `civil_from_days`.
pub(crate) fn date(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that a leap day is the last day of its year.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_month)
}

/// Returns the day since 1970-01-01 of a date. The algorithm is Howard Hinnant's `days_from_civil`.
pub(crate) fn day(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_a_day_is_the_day_of_that_date() {
        for number in (-1_000_000..1_000_000).step_by(17) {
            let (year, month, of_month) = date(number);
            assert_eq!(day(year, month, of_month), number);
        }
        assert_eq!((day(1970, 1, 1), day(2000, 2, 29)), (0, 11_016));
    }
}
