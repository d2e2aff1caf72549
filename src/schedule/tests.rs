//! Tests of schedules.

use crate::civil;
use std::ffi::OsStr;
use std::fs;

use super::*;

/// Rules as tzdata has them in 2026.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
/// The clock is set by half an hour.
const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
/// Midnight is skipped.
const BEIRUT: &str = "EET-2EEST,M3.5.0/0,M10.5.0/0";
const UTC: &str = "UTC0";

/// Returns the zone of a POSIX rule, by way of a file.
fn zone(rule: &str) -> Zone {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("Zone"), file(rule)).unwrap();
    Zone::named("Zone", Some(directory.path().as_os_str())).unwrap()
}

/// Returns a file of version 2, which has no changes of its own and this rule for all of time.
fn file(rule: &str) -> Vec<u8> {
    let mut block = b"TZif2".to_vec();
    block.extend([0; 15]);
    // The numbers of indicators, leap seconds and changes, of kinds of local time, and of letters.
    for count in [0_u32, 0, 0, 0, 1, 1] {
        block.extend(count.to_be_bytes());
    }
    // The kind: an offset, no daylight saving time, a name, which is empty.
    block.extend([0; 6 + 1]);
    let mut file = block.repeat(2);
    file.extend(format!("\n{rule}\n").bytes());
    file
}

/// Reads a time in UTC such as `2026-03-29 02:30` or `2026-03-29 02:30:15`.
pub(super) fn utc(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| {
        text.get(range).map_or(0, |digits| digits.parse::<i64>().unwrap())
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let days = (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
    let days =
        days + (1..month).map(|month| calendar::month_length(year, month)).sum::<i64>() + day - 1;
    ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
}

/// Returns the local time at a moment, with its offset: `2026-03-29 03:00 +2:00`.
pub(super) fn shown(moment: i64, zone: &Zone) -> String {
    let offset = zone.offset(moment);
    let local = moment + offset;
    let (year, month, day) = civil::date(local.div_euclid(86_400));
    let (minute, second) = (local.rem_euclid(86_400) / 60, local.rem_euclid(60));
    let sign = if offset < 0 { '-' } else { '+' };
    let of_hour = offset.abs() / 60 % 60;
    let second = if second == 0 { String::new() } else { format!(":{second:02}") };
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02}{second} {sign}{}:{of_hour:02}",
        minute / 60,
        minute % 60,
        offset.abs() / 3600
    )
}

/// Returns the next times after a time in UTC.
fn times(expression: &str, rule: &str, after: &str, count: usize) -> Vec<String> {
    let (schedule, zone) = (Schedule::parse(expression).unwrap(), zone(rule));
    let mut at = utc(after);
    let mut found = Vec::new();
    while found.len() < count {
        at = schedule.next(at, 0, &zone).unwrap();
        found.push(shown(at, &zone));
    }
    found
}

/// The first times of expressions after a Wednesday, 2026-07-01, 12:34:56 in UTC.
#[test]
fn expressions_have_these_times() {
    let cases: [(&str, &[&str]); 32] = [
        ("* * * * *", &["2026-07-01 12:35", "2026-07-01 12:36"]),
        ("*/5 * * * *", &["2026-07-01 12:35", "2026-07-01 12:40"]),
        ("34 12 * * *", &["2026-07-02 12:34", "2026-07-03 12:34"]),
        ("35 12 * * *", &["2026-07-01 12:35", "2026-07-02 12:35"]),
        ("0 */6 * * *", &["2026-07-01 18:00", "2026-07-02 00:00", "2026-07-02 06:00"]),
        (
            "7,3-5 13 * * *",
            &["2026-07-01 13:03", "2026-07-01 13:04", "2026-07-01 13:05", "2026-07-01 13:07"],
        ),
        (
            "10-50/20 1 * * *",
            &["2026-07-02 01:10", "2026-07-02 01:30", "2026-07-02 01:50", "2026-07-03 01:10"],
        ),
        ("59 23 31 12 *", &["2026-12-31 23:59", "2027-12-31 23:59"]),
        ("0 0 31 * *", &["2026-07-31 00:00", "2026-08-31 00:00", "2026-10-31 00:00"]),
        ("0 0 30 2,4 *", &["2027-04-30 00:00", "2028-04-30 00:00"]),
        ("0 0 29 2 *", &["2028-02-29 00:00", "2032-02-29 00:00"]),
        // Only on Mondays, because the first field for days starts with *.
        ("0 0 */28 2 mon", &["2027-02-01 00:00", "2038-02-01 00:00"]),
        ("0 0 1 * *", &["2026-08-01 00:00", "2026-09-01 00:00"]),
        ("0 0 1 Jan,jul *", &["2027-01-01 00:00", "2027-07-01 00:00"]),
        ("0 0 * * MON", &["2026-07-06 00:00", "2026-07-13 00:00"]),
        ("0 0 * * 0", &["2026-07-05 00:00", "2026-07-12 00:00"]),
        ("0 0 * * 7", &["2026-07-05 00:00", "2026-07-12 00:00"]),
        ("0 0 * * 0,7", &["2026-07-05 00:00", "2026-07-12 00:00"]),
        (
            "0 0 * * FRI-SUN",
            &["2026-07-03 00:00", "2026-07-04 00:00", "2026-07-05 00:00", "2026-07-10 00:00"],
        ),
        (
            "0 0 * * 5-7",
            &["2026-07-03 00:00", "2026-07-04 00:00", "2026-07-05 00:00", "2026-07-10 00:00"],
        ),
        (
            "0 0 * * */3",
            &["2026-07-04 00:00", "2026-07-05 00:00", "2026-07-08 00:00", "2026-07-11 00:00"],
        ),
        // Either of the fields for days matches, if neither starts with *.
        (
            "0 0 13 * FRI",
            &["2026-07-03 00:00", "2026-07-10 00:00", "2026-07-13 00:00", "2026-07-17 00:00"],
        ),
        ("0 0 1-31 * FRI", &["2026-07-02 00:00", "2026-07-03 00:00"]),
        ("0 0 31 2 FRI", &["2027-02-05 00:00", "2027-02-12 00:00"]),
        ("0 0 13 * */5", &["2026-09-13 00:00", "2026-11-13 00:00"]),
        (" 0\t0  1 1 * ", &["2027-01-01 00:00", "2028-01-01 00:00"]),
        ("@hourly", &["2026-07-01 13:00", "2026-07-01 14:00"]),
        ("@daily", &["2026-07-02 00:00", "2026-07-03 00:00"]),
        ("@midnight", &["2026-07-02 00:00", "2026-07-03 00:00"]),
        ("@weekly", &["2026-07-05 00:00", "2026-07-12 00:00"]),
        ("@Monthly", &["2026-08-01 00:00", "2026-09-01 00:00"]),
        ("@yearly", &["2027-01-01 00:00", "2028-01-01 00:00"]),
    ];
    for (expression, expected) in cases {
        let found = times(expression, UTC, "2026-07-01 12:34:56", expected.len());
        let expected: Vec<_> = expected.iter().map(|time| format!("{time} +0:00")).collect();
        assert_eq!(found, expected, "{expression}");
    }
}

/// What cronie does on the days on which the clock changes.
#[test]
fn the_clock_changes() {
    let cases: [(&str, &str, &str, &[&str]); 29] = [
        // The hour after 2:00 is skipped.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2026-03-30 02:30 +2:00"],
        ),
        (
            "*/20 2 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2026-03-30 02:00 +2:00"],
        ),
        (
            "30 2,3 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2026-03-29 03:30 +2:00", "2026-03-30 02:30 +2:00"],
        ),
        // The run that was skipped and the one at 3:00 are one.
        (
            "0 2,3 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2026-03-30 02:00 +2:00"],
        ),
        (
            "0 3 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2026-03-30 03:00 +2:00"],
        ),
        (
            "59 1 * * *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 01:59 +1:00", "2026-03-30 01:59 +2:00"],
        ),
        (
            "30 2 29 3 *",
            BERLIN,
            "2026-03-28 12:00",
            &["2026-03-29 03:00 +2:00", "2027-03-29 02:30 +2:00"],
        ),
        // Asked in the middle of the night.
        ("30 2 * * *", BERLIN, "2026-03-29 00:59:59", &["2026-03-29 03:00 +2:00"]),
        ("30 2 * * *", BERLIN, "2026-03-29 01:00", &["2026-03-30 02:30 +2:00"]),
        (
            "0 * * * *",
            BERLIN,
            "2026-03-28 23:30",
            &["2026-03-29 01:00 +1:00", "2026-03-29 03:00 +2:00", "2026-03-29 04:00 +2:00"],
        ),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-03-29 00:00",
            &["2026-03-29 01:30 +1:00", "2026-03-29 03:00 +2:00", "2026-03-29 03:30 +2:00"],
        ),
        (
            "0 */2 * * *",
            BERLIN,
            "2026-03-28 22:30",
            &["2026-03-29 00:00 +1:00", "2026-03-29 04:00 +2:00", "2026-03-29 06:00 +2:00"],
        ),
        // All hours in other words are still all hours.
        (
            "0 0-23 * * *",
            BERLIN,
            "2026-03-28 23:30",
            &["2026-03-29 01:00 +1:00", "2026-03-29 03:00 +2:00", "2026-03-29 04:00 +2:00"],
        ),
        // The hour after 2:00 is repeated.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24 12:00",
            &["2026-10-25 02:30 +2:00", "2026-10-26 02:30 +1:00"],
        ),
        (
            "*/30 2 * * *",
            BERLIN,
            "2026-10-24 12:00",
            &["2026-10-25 02:00 +2:00", "2026-10-25 02:30 +2:00", "2026-10-26 02:00 +1:00"],
        ),
        (
            "0 2,3 * * *",
            BERLIN,
            "2026-10-24 12:00",
            &["2026-10-25 02:00 +2:00", "2026-10-25 03:00 +1:00", "2026-10-26 02:00 +1:00"],
        ),
        // Asked between the two, and in the second one.
        ("30 2 * * *", BERLIN, "2026-10-25 00:45", &["2026-10-26 02:30 +1:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25 01:15", &["2026-10-26 02:30 +1:00"]),
        (
            "0 * * * *",
            BERLIN,
            "2026-10-24 23:30",
            &["2026-10-25 02:00 +2:00", "2026-10-25 02:00 +1:00", "2026-10-25 03:00 +1:00"],
        ),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-10-25 00:00",
            &[
                "2026-10-25 02:30 +2:00",
                "2026-10-25 02:00 +1:00",
                "2026-10-25 02:30 +1:00",
                "2026-10-25 03:00 +1:00",
            ],
        ),
        (
            "15 2 * * *",
            NEW_YORK,
            "2026-03-07 12:00",
            &["2026-03-08 03:00 -4:00", "2026-03-09 02:15 -4:00"],
        ),
        (
            "15 1 * * *",
            NEW_YORK,
            "2026-10-31 12:00",
            &["2026-11-01 01:15 -4:00", "2026-11-02 01:15 -5:00"],
        ),
        (
            "15 * * * *",
            NEW_YORK,
            "2026-11-01 05:00",
            &["2026-11-01 01:15 -4:00", "2026-11-01 01:15 -5:00", "2026-11-01 02:15 -5:00"],
        ),
        // 2:00 to 2:30 is skipped, 1:30 to 2:00 is repeated.
        (
            "15 2 * * *",
            LORD_HOWE,
            "2026-10-03 00:00",
            &["2026-10-04 02:30 +11:00", "2026-10-05 02:15 +11:00"],
        ),
        (
            "*/15 * * * *",
            LORD_HOWE,
            "2026-10-03 15:20",
            &["2026-10-04 02:30 +11:00", "2026-10-04 02:45 +11:00"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-04 12:00",
            &["2026-04-05 01:45 +11:00", "2026-04-06 01:45 +10:30"],
        ),
        (
            "*/15 * * * *",
            LORD_HOWE,
            "2026-04-04 14:40",
            &[
                "2026-04-05 01:45 +11:00",
                "2026-04-05 01:30 +10:30",
                "2026-04-05 01:45 +10:30",
                "2026-04-05 02:00 +10:30",
            ],
        ),
        // Midnight is skipped, and repeated: 23:00 comes twice.
        (
            "@daily",
            BEIRUT,
            "2026-03-28 12:00",
            &["2026-03-29 01:00 +3:00", "2026-03-30 00:00 +3:00"],
        ),
        (
            "30 23 * * *",
            BEIRUT,
            "2026-10-24 12:00",
            &["2026-10-24 23:30 +3:00", "2026-10-25 23:30 +2:00"],
        ),
    ];
    for (expression, rule, after, expected) in cases {
        let found = times(expression, rule, after, expected.len());
        assert_eq!(found, expected, "{expression} in {rule} after {after}");
    }
}

#[test]
fn an_interval_counts_from_its_anchor() {
    let every = Schedule::parse("every 90s").unwrap();
    for (after, expected) in [(1000, 1090), (1001, 1090), (1089, 1090), (1090, 1180), (999, 1000)] {
        assert_eq!(every.next(after, 1000, &Zone::utc()), Some(expected), "{after}");
    }
    assert_eq!(every.next(1000 - 900, 1000, &Zone::utc()), Some(1090 - 900), "a clock set back");
    assert_eq!(every.interval(), Some(Duration::from_secs(90)));
    assert_eq!(Schedule::parse("@hourly").unwrap().interval(), None);
}

#[test]
fn the_canonical_text_reads_as_the_same_schedule() {
    for (text, canonical) in [
        (" */5  *\t* * mon-fri", "*/5 * * * MON-FRI"),
        ("@MIDNIGHT", "@daily"),
        ("@annually", "@yearly"),
        ("every   90m", "every 1h30m"),
        ("every 15", "every 15s"),
        ("every 1h 1s", "every 1h1s"),
        ("every 48h", "every 48h"),
    ] {
        let schedule = Schedule::parse(text).unwrap();
        assert_eq!(schedule.to_string(), canonical);
        assert_eq!(Schedule::parse(canonical).unwrap(), schedule);
    }
}

/// `>` and `<` are around the place, which is not part of the text.
#[test]
fn a_text_that_is_no_schedule_is_told_where() {
    let cases = [
        ("><", "the schedule is empty", Some("write \"minute hour")),
        ("  ><", "the schedule is empty", Some("write \"minute hour")),
        (">@reboot<", "@reboot is not a time", Some("`at_start = true` runs the unit when")),
        (">@every 5m<", "an interval is written without @", Some("write \"every 5m\"")),
        (">@every<", "an interval is written without @", Some("write \"every 15m\"")),
        (" >@dayly< ", "there is no schedule @dayly", Some("the words are @hourly, @daily")),
        (
            ">CRON_TZ=Europe/Berlin< 0 0 * * *",
            "the time zone is not part of the schedule",
            Some("write `tz = \"Europe/Berlin\"` beside"),
        ),
        ("every><", "there is no time after \"every\"", Some("write a time such as")),
        ("every >day<", "\"day\" is not a time", Some("write a time such as \"every 90s\"")),
        ("every  >15 min< ", "\"15 min\" is not a time", Some("write a time")),
        ("every >0s<", "the interval is shorter than 1 s", Some("the shortest is \"every 1s\"")),
        ("every >200ms<", "the interval is shorter than 1 s", Some("the shortest is")),
        ("every >1500ms<", "the interval is not a whole number of seconds", None),
        (
            ">0 */5 * * * *<",
            "six fields: a schedule has no field for seconds",
            Some("leave the seconds away, or write \"every 30s\""),
        ),
        (">15m<", "expected five fields, found one", Some("write \"minute hour")),
        (">* * * *<", "expected five fields, found 4", Some("write \"minute hour")),
        (">1 2 3 4 5 6 7<", "expected five fields, found 7", Some("write \"minute hour")),
        (">60< * * * *", "\"60\" is not a minute", Some("0-59, * for all of them")),
        ("* >24< * * *", "\"24\" is not an hour", Some("0-23")),
        ("* * >0< * *", "\"0\" is not a day of the month", Some("1-31")),
        ("* * >L< * *", "\"L\" is not a day of the month", Some("1-31")),
        ("* * 1,>?<,3 * *", "\"?\" is not a day of the month", Some("1-31")),
        ("* * * >13< *", "\"13\" is not a month", Some("1-12, JAN-DEC, or *")),
        ("* * * * >8<", "\"8\" is not a day of the week", Some("0-7, SUN-SAT, or *")),
        ("* * * * MON,>Di<", "\"Di\" is not a day of the week", Some("0-7, SUN-SAT")),
        ("* * * * >größe<,1", "\"größe\" is not a day of the week", Some("0-7")),
        (">+5< * * * *", "\"+5\" is not a minute", Some("0-59")),
        (">99999999999999999999< * * * *", "\"99999999999999999999\" is not a minute", Some("0")),
        ("1,>< * * * *", "a minute is missing", Some("0-59")),
        ("1->< * * * *", "a minute is missing", Some("0-59")),
        ("* 1->< * * *", "an hour is missing", Some("0-23")),
        ("* ><-5 * * *", "an hour is missing", Some("0-23")),
        ("* >22-2< * * *", "the range goes backwards", Some("write 22-23,0-2")),
        ("* * * >NOV-jan< *", "the range goes backwards", Some("write NOV-DEC,JAN")),
        ("* * * * >6-1<", "the range goes backwards", Some("write SAT,SUN-MON")),
        ("*/>0< * * * *", "\"0\" is not a step", Some("a step is a number from 1 up")),
        ("*/>< * * * *", "\"\" is not a step", Some("a step is a number from 1 up")),
        ("*/>5/2< * * * *", "\"5/2\" is not a step", Some("a step is a number")),
        (
            "*/>90< * * * *",
            "with a step of 90, nothing but 0 is left of the range",
            Some("write 0, or an interval such as \"every 90m\""),
        ),
        ("* * * */>99999999999< *", "with a step of 99999999999, nothing", Some("write 1")),
        (
            ">5/10< * * * *",
            "the step follows a single value, 5, and not a range",
            Some("write 5-59/10"),
        ),
        ("0 0 >31 2< *", "there is no day 31 in February", None),
        ("0 0 >30,31  FEB< *", "there is no day 30 in February", None),
        ("0 0 >31 4,jun< */2", "there is no day 31 in April, June", None),
    ];
    for (marked, message, help) in cases {
        let (start, end) = (marked.find('>').unwrap(), marked.rfind('<').unwrap() - 1);
        let text = marked.replace(['>', '<'], "");
        let wrong = Schedule::parse(&text).unwrap_err();
        assert_eq!(wrong.at, start..end, "{marked}: {wrong}");
        assert!(wrong.to_string().starts_with(message), "{marked}: {wrong}");
        let found = wrong.help();
        match help {
            Some(help) => assert!(
                found.as_ref().is_some_and(|found| found.starts_with(help)),
                "{marked}: {found:?}"
            ),
            None => assert_eq!(found, None, "{marked}"),
        }
    }
}

/// The next times of random expressions in the days around a change are those that a clock finds
/// which looks at each minute, as cron does.
#[test]
fn a_clock_that_looks_at_each_minute_finds_the_same_times() {
    let mut random = Random::new(1);
    let windows = [
        (BERLIN, "2026-03-27 00:00"),
        (BERLIN, "2026-10-23 00:00"),
        (NEW_YORK, "2026-03-06 00:00"),
        (NEW_YORK, "2026-10-30 00:00"),
        (LORD_HOWE, "2026-10-02 00:00"),
        (LORD_HOWE, "2026-04-03 00:00"),
        (BEIRUT, "2026-03-27 00:00"),
        (BEIRUT, "2026-10-23 00:00"),
        (UTC, "2026-12-30 00:00"),
    ];
    let windows = windows.map(|(rule, start)| (zone(rule), utc(start)));
    let mut compared = 0;
    for _ in 0..60 {
        let expression = random_fields(&mut random);
        let Ok(schedule) = Schedule::parse(&expression) else { continue };
        let When::Times(times) = &schedule.when else { unreachable!() };
        for (zone, start) in &windows {
            let end = start + 4 * 86_400;
            let mut expected = Vec::new();
            let mut reached = start + zone.offset(*start);
            for moment in (start + 60..=end).step_by(60) {
                let local = moment + zone.offset(moment);
                let is_due = if times.follows_clock {
                    matches(times, local)
                } else {
                    (reached + 60..=local).step_by(60).any(|skipped| matches(times, skipped))
                };
                if is_due {
                    expected.push(moment);
                }
                reached = reached.max(local);
            }
            let mut found = Vec::new();
            let mut at = *start;
            while let Some(next) = schedule.next(at, 0, zone).filter(|next| *next <= end) {
                found.push(next);
                at = next;
            }
            compared += found.len();
            assert_eq!(found, expected, "{expression} from {}", shown(*start, zone));
        }
    }
    assert!(compared > 1000, "{compared}");
}

/// Returns whether a local time is one of the times.
fn matches(times: &Times, local: i64) -> bool {
    let (day, minute) = (local.div_euclid(86_400), local.rem_euclid(86_400) / 60);
    let (_, month, of_month) = civil::date(day);
    let has = |set: u64, value: i64| set & 1 << value != 0;
    let [of_month, of_week] =
        [has(times.days, of_month), has(times.weekdays, (day + 4).rem_euclid(7))];
    let day = if times.both_days { of_month && of_week } else { of_month || of_week };
    local % 60 == 0
        && has(times.minutes, minute % 60)
        && has(times.hours, minute / 60)
        && has(times.months, month)
        && day
}

/// Over a year and more, the next time is later than the moment it was asked for, and it is the
/// same for every moment in between.
#[test]
fn the_next_time_stays_the_same_until_it_has_come() {
    let mut random = Random::new(2);
    let zones = [BERLIN, NEW_YORK, LORD_HOWE, BEIRUT, UTC].map(zone);
    let (start, end) = (utc("2026-01-01 00:00"), utc("2027-01-15 00:00"));
    let mut asked = 0;
    for round in 0..200 {
        let Ok(schedule) = Schedule::parse(&random_fields(&mut random)) else { continue };
        let zone = &zones[round % zones.len()];
        let mut at = start;
        while at < end {
            let next = schedule.next(at, 0, zone).unwrap();
            assert!(next > at, "{schedule} after {}: {}", shown(at, zone), shown(next, zone));
            for between in [at, next - 1, at + random.below(next - at)] {
                let found = schedule.next(between, 0, zone).unwrap();
                assert_eq!(
                    found,
                    next,
                    "{schedule} after {}: {}",
                    shown(between, zone),
                    shown(found, zone)
                );
            }
            asked += 1;
            // Not every time of a busy schedule.
            at = next.max(at + random.below(86_400));
        }
    }
    assert!(asked > 10_000, "{asked}");
}

/// Whatever the schedule, the zone and the time, the answer is quick and later than the question.
#[test]
fn no_question_takes_long() {
    // The changes of this zone come after each other in seconds.
    let absurd = Zone::local(|moment| {
        i32::try_from(moment.wrapping_mul(0x9e37_79b9).rem_euclid(200_000)).unwrap() - 100_000
    });
    let zones = [zone(BERLIN), zone(LORD_HOWE), absurd];
    let ends = [i64::MIN, -1, 0, utc("9999-12-31 23:59"), 253_402_300_800, i64::MAX];
    for expression in
        ["0 0 29 2 *", "0 0 */15 2 */6", "59 23 29 2 */6", "* * * * *", "0 0 * * *", "every 1s"]
    {
        let schedule = Schedule::parse(expression).unwrap();
        for zone in &zones {
            for after in ends {
                let next = schedule.next(after, 0, zone);
                assert!(next.is_none_or(|next| next > after), "{expression} after {after}");
            }
        }
    }
    let rare = Schedule::parse("0 0 29 2 */6").unwrap();
    let after = utc("2072-03-01 00:00");
    // 29 February of 2100 does not exist.
    let next = rare.next(after, 0, &Zone::utc()).unwrap();
    assert_eq!(shown(next, &Zone::utc()), "2076-02-29 00:00 +0:00");
}

/// The zones that trc refuses, and what it says of them.
#[test]
fn a_name_without_a_zone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("Europe")).unwrap();
    fs::write(path.join("Europe/Text"), "Berlin").unwrap();
    fs::write(path.join("Large"), file(&" ".repeat(70_000))).unwrap();
    nix::unistd::mkfifo(&path.join("Fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let not_a_name = "is not the name of a time zone, such as \"UTC\" or \"Europe/Berlin\"";
    for (name, expected) in [
        ("", &*format!("\"\" {not_a_name}")),
        ("../etc/passwd", &format!("\"../etc/passwd\" {not_a_name}")),
        ("Europe/../Europe/Text", &format!("\"Europe/../Europe/Text\" {not_a_name}")),
        ("/etc/localtime", &format!("\"/etc/localtime\" {not_a_name}")),
        ("Europe/Berlin", "there is no time zone Europe/Berlin"),
        ("Europe", "there is no time zone Europe: this is not a regular file"),
        ("Fifo", "there is no time zone Fifo: this is not a regular file"),
        ("Large", "cannot read the time zone Large: the file is larger than 64 KiB"),
        ("Europe/Text", "cannot read the time zone Europe/Text: "),
    ] {
        let error = Zone::named(name, Some(path.as_os_str())).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let none = Zone::named("Europe/Berlin", Some(OsStr::new("/does/not/exist"))).unwrap_err();
    assert!(none.to_string().ends_with("install tzdata"), "{none}");
    assert_eq!(Zone::named("UTC", Some(OsStr::new("/does/not/exist"))).unwrap().offset(0), 0);
}

/// A stream of numbers from a seed (splitmix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number from 0 to `bound`, which it is less than.
    pub(super) fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap() % bound
    }
}

/// Returns a random expression of five fields. Its days may be in none of its months.
pub(super) fn random_fields(random: &mut Random) -> String {
    let fields = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let fields = fields.into_iter().zip(Field::ALL);
    fields
        .map(|((low, high), field)| random_field(random, field, low, high))
        .collect::<Vec<_>>()
        .join(" ")
}

fn random_field(random: &mut Random, field: Field, low: i64, high: i64) -> String {
    // Most schedules have most fields open.
    let open = if field == Field::Minute { 10 } else { 45 };
    let width = if field == Field::Weekday { 6 } else { high - low };
    match random.below(100) {
        kind if kind < open => return "*".to_owned(),
        kind if kind < open + 15 => return format!("*/{}", 1 + random.below(width)),
        _ => {}
    }
    let mut list = Vec::new();
    for _ in 0..=random.below(3) {
        let from = low + random.below(high - low);
        let to = from + 1 + random.below(high - from);
        list.push(match random.below(3) {
            0 => {
                let any = low + random.below(high - low + 1);
                value(random, field, low, any)
            }
            1 => format!("{}-{}", value(random, field, low, from), value(random, field, low, to)),
            _ => {
                let step = 1 + random.below(to - from);
                format!(
                    "{}-{}/{step}",
                    value(random, field, low, from),
                    value(random, field, low, to)
                )
            }
        });
    }
    list.join(",")
}

/// Writes a value by its name or as a number.
fn value(random: &mut Random, field: Field, low: i64, value: i64) -> String {
    let at = usize::try_from(value - low).unwrap();
    match (field.names().get(at), random.below(3)) {
        (Some(name), 0) => (*name).to_owned(),
        (Some(name), 1) => name.to_lowercase(),
        _ => value.to_string(),
    }
}
