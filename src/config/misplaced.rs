//! Keys that have another name here than elsewhere, or stand one table too high.

use super::schema::{EXPECT, EXPECT_FAULT, EXPECT_FILE, EXPECT_HTTP, EXPECT_LOG, Key, find};

/// How the places begin, as messages name them.
const ANY_UNIT: &str = " in `[";
const TEST: &str = " in `[test.";
const IN_EXPECT: &str = " in `expect`";

/// What people write, with `_` for `-`, and what they are told there.
const NAMES: &[(&str, &[&str], &str)] = &[
    (ANY_UNIT, &["command", "cmd"], "did you mean `exec`?"),
    (
        TEST,
        &["timeout"],
        "did you mean `max_runtime`, for its command, or `expect.within`, until when it has to pass?",
    ),
    (IN_EXPECT, &["timeout"], "did you mean `within`?"),
    (IN_EXPECT, &["status"], "did you mean `exit`, or the `status` of `http`?"),
    (IN_EXPECT, &["exit_status", "exit_code", "code"], "did you mean `exit`?"),
];

/// The tables whose keys are written outside of them.
const INNER: &[(&str, &str, &[Key])] = &[
    (TEST, "expect", EXPECT),
    (IN_EXPECT, "http", EXPECT_HTTP),
    (IN_EXPECT, "file", EXPECT_FILE),
    (IN_EXPECT, "log", EXPECT_LOG),
    (IN_EXPECT, "fault", EXPECT_FAULT),
];

/// What is said of a key that the schema doesn't have at a place.
pub fn help(place: &str, name: &str) -> Option<String> {
    let normal = name.replace('-', "_");
    let is_meant = |(at, names, _): &&(&str, &[&str], &str)| {
        place.starts_with(at) && names.contains(&normal.as_str())
    };
    if let Some((.., help)) = NAMES.iter().find(is_meant) {
        return Some((*help).to_owned());
    }
    let inner =
        INNER.iter().filter(|(at, _, keys)| place.starts_with(at) && find(keys, &normal).is_some());
    match inner.map(|(_, table, _)| *table).collect::<Vec<_>>().as_slice() {
        [] => None,
        [table] => Some(format!("it belongs into `{table}`: {table} = {{ {normal} = … }}")),
        tables => Some(format!("it belongs into `{}`", tables.join("` or `"))),
    }
}
