//! Ten thousand random expressions, whose times are compared with those of Python's croniter. It is
//! not part of this repository:
//!
//!     tests/reports/setup target/report-tools
//!     TRC_REPORT_TOOLS=$PWD/target/report-tools cargo test --lib schedule::croniter -- --ignored
//!
//! Both read the same time zones, those of the package tzdata. Around the changes of a clock,
//! croniter differs by its own definition, and these times are left out:
//!
//! - A schedule at fixed hours is due at both moments of a time that is repeated.
//! - A schedule for every nth hour does not follow the clock.
//! - Some times are overlooked if a clock is set back by half an hour.
//!
//! Everything else has to be the same.

#![allow(clippy::disallowed_methods)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tests::{Random, random_fields, shown, utc};
use super::{Schedule, When, Zone};

const EXPRESSIONS: usize = 10_000;
/// Both changes of each zone are in this year.
const ZONES: [&str; 3] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
const YEAR: (&str, i64) = ("2026-01-01 00:00", 365 * 86_400);
/// Each expression is asked for this many times after each of four moments: one in each half of the
/// year, and one in the two days before each change.
const TIMES: usize = 8;

fn tools() -> PathBuf {
    let tools = std::env::var_os("TRC_REPORT_TOOLS");
    PathBuf::from(tools.expect("TRC_REPORT_TOOLS: a directory that tests/reports/setup made"))
}

/// Returns the directory of time zones in the package tzdata.
fn zones(python: &Path) -> OsString {
    let output = Command::new(python)
        .args(["-c", "import tzdata; print(tzdata.__path__[0], end='/zoneinfo')"])
        .output()
        .unwrap();
    assert!(output.status.success(), "tzdata: {}", output.status);
    String::from_utf8(output.stdout).unwrap().into()
}

/// Returns a random moment in the two days before each change of a zone.
fn before_changes(zone: &Zone, random: &mut Random) -> Vec<i64> {
    let days = (0..YEAR.1 / 86_400).map(|day| utc(YEAR.0) + day * 86_400);
    let changes = days.filter(|day| zone.offset(*day) != zone.offset(day + 86_400));
    changes.map(|day| day - random.below(2 * 86_400)).collect()
}

/// Returns the times that have to be the same.
fn comparable(times: &[i64], schedule: &Schedule, zone: &Zone) -> Vec<i64> {
    let When::Times(local) = &schedule.when else { unreachable!() };
    let is_every_hour = local.hours == 0xff_ffff;
    let is_comparable = |time: i64| match zone.offset(time + 3600) - zone.offset(time - 3600) {
        0 => true,
        -3600 => is_every_hour,
        ahead if ahead > 0 => is_every_hour || !local.follows_clock,
        _ => false,
    };
    times.iter().copied().filter(|time| is_comparable(*time)).collect()
}

#[test]
#[ignore = "needs a Python package; .ci/run has it"]
fn croniter() {
    let python = tools().join("python/bin/python");
    let tzdir = zones(&python);
    let zones = ZONES.map(|name| Zone::named(name, Some(&tzdir)).unwrap());
    let mut random = Random::new(1);
    let mut questions = Vec::new();
    let mut lines = String::new();
    while questions.len() < EXPRESSIONS {
        let expression = random_fields(&mut random);
        let Ok(schedule) = Schedule::parse(&expression) else { continue };
        let at = questions.len() % ZONES.len();
        let half = YEAR.1 / 2;
        let mut starts = before_changes(&zones[at], &mut random);
        assert_eq!(starts.len(), 2, "{}", ZONES[at]);
        starts.extend([0, half].map(|from| utc(YEAR.0) + from + random.below(half)));
        lines += &serde_json::json!({
            "expression": expression, "zone": ZONES[at], "starts": starts, "count": TIMES,
        })
        .to_string();
        lines.push('\n');
        questions.push((schedule, at, starts));
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("questions");
    fs::write(&file, lines).unwrap();
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/croniter_times.py"))
        // The package's time zones, not those of the system.
        .env("PYTHONTZPATH", "")
        .stdin(File::open(file).unwrap())
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "croniter_times.py: {}", output.status);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), questions.len());
    let (mut compared, mut left_out) = (0, 0);
    let mut wrong = Vec::new();
    for ((schedule, at, starts), said) in questions.iter().zip(said.lines()) {
        let zone = &zones[*at];
        let said: Vec<Vec<i64>> = serde_json::from_str(said).unwrap();
        assert_eq!(said.len(), starts.len());
        for (start, theirs) in starts.iter().zip(said) {
            let mut next = *start;
            let ours: Vec<i64> = (0..TIMES)
                .map(|_| {
                    next = schedule.next(next, 0, zone).unwrap();
                    next
                })
                .collect();
            // One may have had more times than the other in the hours that are left out.
            let end = ours[TIMES - 1].min(theirs[TIMES - 1]);
            let [ours, theirs] = [&ours, &theirs].map(|times| {
                let times: Vec<_> = times.iter().copied().filter(|time| *time <= end).collect();
                let comparable = comparable(&times, schedule, zone);
                left_out += times.len() - comparable.len();
                comparable
            });
            compared += ours.len();
            if ours != theirs {
                let [ours, theirs] = [ours, theirs]
                    .map(|times| times.iter().map(|time| shown(*time, zone)).collect::<Vec<_>>());
                wrong.push(format!(
                    "{schedule} in {} after {}:\n  ours {ours:?}\ntheirs {theirs:?}",
                    ZONES[*at],
                    shown(*start, zone)
                ));
            }
        }
    }
    println!("{compared} times compared, {left_out} left out");
    assert!(
        wrong.is_empty(),
        "{}\n{} differ",
        wrong[..wrong.len().min(20)].join("\n"),
        wrong.len()
    );
    assert!(compared > left_out * 10, "{compared} times compared, {left_out} left out");
}
