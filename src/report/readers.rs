//! Tests of the reports with other people's readers: npm's tap-parser (TAP 14), Python's tap.py
//! (TAP 13), junitparser, and the schema of Jenkins' xUnit plugin. They are not part of this
//! repository:
//!
//!     tests/reports/setup target/report-tools
//!     TRC_REPORT_TOOLS=$PWD/target/report-tools cargo test --lib report::readers -- --ignored

#![allow(clippy::disallowed_methods)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::report::{CheckPoint, Live, Outcome, Point, Suite, Tail, json, junit, tests};
use serde_json::{Value, json as object};

/// The finding of a test, a text that tries to end each kind of report.
const FOUND: &str = "one\r\n  ...\nok 9 - forged # SKIP\n---\n1..1\u{2028}\u{feff}\x1b[31m\u{85}";
/// The output of a unit.
const LINES: [&str; 9] = [
    "]]></failure>",
    "a & b \"c\" 'd' \\n \\",
    "# SKIP",
    "---",
    "  ...",
    "größe ✓ 🦀",
    "",
    "not ok 7 - forged",
    "Bail out! {",
];
/// The expected text.
const EXPECTED: &str = "stdout contains \"<a> & ]]> # TODO\\\" {";
/// The description of the check.
const DESCRIPTION: &str = "mails # SKIP not \\ at \\# all, größe ✓ 🦀 & <b> \"q\" 'a'";

fn point(name: &str, outcome: Outcome) -> Point {
    Point { took: Duration::from_millis(1_234), ..tests::point(name, outcome) }
}

fn check(name: &str, passed: bool, found: Option<&str>) -> CheckPoint {
    CheckPoint { name: name.to_owned(), passed, found: found.map(str::to_owned) }
}

/// A test point with each result, with texts that try to break the format.
fn nasty() -> Suite {
    let mut passed = point("test.passed", Outcome::Passed);
    passed.checks = vec![check("25/tcp listens", true, None)];
    let mut failed = point("test.failed", Outcome::Failed);
    failed.description = Some(DESCRIPTION.to_owned());
    failed.checks = vec![
        check("exit status 0", true, None),
        check(EXPECTED, false, Some(FOUND)),
        check("1..0 # SKIP\nok 3", false, None),
    ];
    failed.tails = vec![
        Tail { of: "async.smtpd".to_owned(), lines: LINES.map(str::to_owned).to_vec() },
        Tail { of: "stdout".to_owned(), lines: Vec::new() },
    ];
    let mut flapped = point("async.web.flapped", Outcome::Failed);
    flapped.why = Some("ended 3 times: <&> # TODO \"\\\"".to_owned());
    let mut excused = point("async.web.stop", Outcome::Excused);
    excused.allowed_by = Some("test.web".to_owned());
    excused.checks = vec![check("an end without KILL", false, Some("KILL after 2 s"))];
    let mut skipped = point("test.ipv6", Outcome::Skipped);
    skipped.why = Some("no IPv6 # here \\ {".to_owned());
    run(
        1,
        Some("test.failed # failed\n1..99"),
        vec![
            point("orphans", Outcome::Passed),
            passed,
            failed,
            flapped,
            skipped,
            excused,
            point("test.odd\nok 99 - forged {", Outcome::Passed),
        ],
    )
}

fn run(status: u8, reason: Option<&str>, points: Vec<Point>) -> Suite {
    let suite = tests::suite(status, points.into_iter().map(Point::explained).collect());
    let suite = Suite { host: "mail & \"web\"".to_owned(), ..suite };
    suite.ended(status, reason.map(str::to_owned))
}

/// A run that failed before its only test began.
fn broken() -> Suite {
    run(1, Some("boot.db # failed"), vec![point("orphans", Outcome::Passed)])
}

/// A run that a signal has cut short before its only test.
fn cut_short() -> Suite {
    let mut point = point("test.late", Outcome::NotRun);
    point.why = Some("stopped by SIGTERM # {".to_owned());
    run(1, Some("stopped by SIGTERM # {"), vec![point])
}

fn whole_tap(suite: &Suite) -> String {
    let mut report = Live::Tap.begin(std::iter::empty());
    for (index, point) in suite.points.iter().enumerate() {
        report += &Live::Tap.point(index + 1, point);
    }
    report + &Live::Tap.end(suite)
}

fn tools() -> PathBuf {
    let tools = std::env::var_os("TRC_REPORT_TOOLS");
    PathBuf::from(tools.expect("TRC_REPORT_TOOLS: a directory that tests/reports/setup made"))
}

/// Runs a reader of `tests/reports` on a report, and returns its output.
fn read(reader: &str, arguments: &[&Path], report: &str) -> Value {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(reader);
    let tools = tools();
    let mut command = if reader.extension() == Some("py".as_ref()) {
        Command::new(tools.join("python/bin/python"))
    } else {
        Command::new("node")
    };
    let mut child = command
        .arg(&reader)
        .args(arguments)
        .env("NODE_PATH", tools.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(report.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}\n{report}", reader.display(), output.status);
    let said = serde_json::from_slice(&output.stdout).unwrap();
    println!("{}: {said:#}", reader.display());
    said
}

/// Returns these keys of an object.
fn only(of: &Value, keys: &[&str]) -> Value {
    keys.iter().map(|&key| (key.to_owned(), of[key].clone())).collect()
}

/// Applies a function to each element of an array.
fn each(of: &Value, keys: &[&str]) -> Vec<Value> {
    of.as_array().unwrap().iter().map(|element| only(element, keys)).collect()
}

/// Returns the YAML of the test point that failed. `message` is in one line.
fn diagnostics(of: &Value) {
    let message = of["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("expected: {EXPECTED}; found: one  ")), "{message}");
    assert!(message.ends_with(" (and 1 more)"), "{message}");
    assert_eq!(
        of["checks"],
        object!([
            { "expected": EXPECTED, "found": FOUND },
            { "expected": "1..0 # SKIP\nok 3", "found": null },
        ])
    );
    assert_eq!(
        of["output"],
        object!([{ "of": "async.smtpd", "lines": LINES }, { "of": "stdout", "lines": [] }])
    );
}

#[test]
#[ignore = "needs Python and npm packages; .ci/run has them"]
fn tap_14() {
    let said = read("tap14.cjs", &[], &whole_tap(&nasty()));
    assert_eq!(
        said["results"],
        object!({
            "ok": false, "count": 7, "pass": 4, "fail": 3, "todo": 1, "skip": 1,
            "bailout": false, "plan": 7, "errors": [],
        })
    );
    assert_eq!(said["extra"], object!([]), "all of it is TAP");
    assert_eq!(
        said["comments"],
        object!([
            "# 3 passed, 2 failed, 1 skipped, 1 excused\n",
            "# status 1: test.failed # failed 1..99\n",
            "# a test can allow known findings: allow = [\"async.web.flapped\"]\n",
        ])
    );
    let failed = format!("test.failed: {DESCRIPTION}");
    assert_eq!(
        each(&said["points"], &["id", "ok", "name", "todo", "skip"]),
        [
            object!({ "id": 1, "ok": true, "name": "orphans", "todo": false, "skip": false }),
            object!({ "id": 2, "ok": true, "name": "test.passed", "todo": false, "skip": false }),
            object!({ "id": 3, "ok": false, "name": failed, "todo": false, "skip": false }),
            object!({
                "id": 4, "ok": false, "name": "async.web.flapped", "todo": false, "skip": false,
            }),
            object!({
                "id": 5, "ok": true, "name": "test.ipv6",
                "todo": false, "skip": "no IPv6 # here \\ {.",
            }),
            object!({
                "id": 6, "ok": false, "name": "async.web.stop",
                "todo": "allowed by test.web", "skip": false,
            }),
            object!({
                "id": 7, "ok": true, "name": "test.odd ok 99 - forged {.",
                "todo": false, "skip": false,
            }),
        ]
    );
    for point in said["points"].as_array().unwrap() {
        assert_eq!(point["time"], 1234, "{point}");
    }
    diagnostics(&said["points"][2]["diag"]);
    assert_eq!(
        said["points"][3]["diag"],
        object!({ "message": "ended 3 times: <&> # TODO \"\\\"" })
    );
    for index in [0, 1, 4, 6] {
        assert_eq!(said["points"][index]["diag"], object!({}), "{index}: nothing but its time");
    }
    assert_eq!(
        each(&said["children"], &["name", "extra", "children"]),
        ["test.passed", &failed, "async.web.stop"]
            .map(|name| object!({ "name": name, "extra": [], "children": [] }))
    );
    let subtest = |index: usize| {
        let subtest = &said["children"][index];
        assert_eq!(subtest["results"]["errors"], object!([]), "{subtest}");
        (each(&subtest["points"], &["ok", "name", "todo"]), &subtest["results"]["ok"])
    };
    assert_eq!(
        subtest(0),
        (vec![object!({ "ok": true, "name": "25/tcp listens", "todo": false })], &object!(true))
    );
    assert_eq!(
        subtest(1),
        (
            vec![
                object!({ "ok": true, "name": "exit status 0", "todo": false }),
                object!({ "ok": false, "name": format!("{EXPECTED}."), "todo": false }),
                object!({ "ok": false, "name": "1..0 # SKIP ok 3", "todo": false }),
            ],
            &object!(false)
        )
    );
    assert_eq!(
        subtest(2),
        (
            vec![object!({
                "ok": false, "name": "an end without KILL", "todo": "allowed by test.web",
            })],
            &object!(true)
        )
    );

    let said = read("tap14.cjs", &[], &whole_tap(&broken()));
    assert_eq!(
        only(&said["results"], &["ok", "count", "fail", "bailout"]),
        object!({ "ok": false, "count": 1, "fail": 0, "bailout": "boot.db # failed" })
    );
    let said = read("tap14.cjs", &[], &whole_tap(&cut_short()));
    assert_eq!(
        only(&said["results"], &["ok", "count", "fail", "skip", "bailout"]),
        object!({ "ok": false, "count": 1, "fail": 1, "skip": 0, "bailout": false })
    );
    let excused = run(0, None, vec![nasty().points.remove(5)]);
    let said = read("tap14.cjs", &[], &whole_tap(&excused));
    assert_eq!(
        only(&said["results"], &["ok", "count", "todo"]),
        object!({ "ok": true, "count": 1, "todo": 1 }),
        "an excused point fails no run"
    );
}

#[test]
#[ignore = "needs Python and npm packages; .ci/run has them"]
fn tap_13() {
    let mut suite = nasty();
    // TAP 13 has no escapes, so a description cannot contain a `#` there.
    suite.points[2].description = Some(DESCRIPTION.replace('#', "no."));
    let said = read("tap13.py", &[], &whole_tap(&suite));
    let of = |category: &str| -> Vec<Value> {
        let lines = said.as_array().unwrap().iter();
        lines.filter(|line| line["category"] == category).cloned().collect()
    };
    assert_eq!(said[0], object!({ "category": "version", "version": 14 }));
    assert_eq!(of("plan"), [object!({ "category": "plan", "expected": 7 })]);
    assert_eq!(of("bail"), [] as [Value; 0]);
    assert_eq!(of("unknown").len(), 3 + 5, "the lines of subtests, and no other");
    let tests = Value::from(of("test"));
    let expected = [
        (1, true, false, false),
        (2, true, false, false),
        (3, false, false, false),
        (4, false, false, false),
        (5, true, false, true),
        (6, false, true, false),
        (7, true, false, false),
    ];
    assert_eq!(
        each(&tests, &["number", "ok", "todo", "skip"]),
        expected.map(|(number, ok, todo, skip)| {
            object!({ "number": number, "ok": ok, "todo": todo, "skip": skip })
        })
    );
    for test in tests.as_array().unwrap() {
        assert_eq!(test["yaml"]["duration_ms"], 1234, "{test}");
    }
    assert_eq!(tests[0]["description"], "- orphans");
    assert_eq!(tests[5]["directive"], "TODO allowed by test.web");
    assert_eq!(tests[6]["description"], "- test.odd ok 99 - forged {.");
    diagnostics(&tests[2]["yaml"]);

    let said = read("tap13.py", &[], &whole_tap(&broken()));
    assert_eq!(said[2], object!({ "category": "bail", "reason": "boot.db \\# failed" }));
}

#[test]
#[ignore = "needs Python and npm packages; .ci/run has them"]
fn junit_xml() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/junit-10.xsd");
    let said = read("junit.py", &[&schema], &junit(&nasty()));
    assert_eq!(said["schema"], object!([]));
    assert_eq!(
        said["testsuites"],
        object!({
            "name": "trc", "tests": "7", "failures": "2", "errors": "0",
            "time": "61.002",
        })
    );
    assert_eq!(
        said["testsuite"],
        object!([{
            "name": "trc", "hostname": "mail & \"web\"", "tests": "7",
            "failures": "2", "errors": "0", "skipped": "2", "time": "61.002",
            "timestamp": "2017-03-16T20:40:50",
        }])
    );
    let counted =
        |said: &Value| only(&said["counted"], &["tests", "failures", "errors", "skipped"]);
    assert_eq!(counted(&said), object!({ "tests": 7, "failures": 2, "errors": 0, "skipped": 2 }));
    assert_eq!(
        said["properties"],
        object!([{ "status": "1", "reason": "test.failed # failed\n1..99" }])
    );
    let suite = nasty();
    let cases = said["cases"].as_array().unwrap();
    assert_eq!(cases.len(), suite.points.len());
    for (case, point) in cases.iter().zip(&suite.points) {
        let class = if point.is_test() { "trc.test" } else { "trc.drill" };
        let expected = object!({ "name": point.name, "classname": class, "time": 1.234 });
        assert_eq!(only(case, &["name", "classname", "time"]), expected);
        let result = match point.outcome {
            Outcome::Passed | Outcome::NotRun => object!([]),
            Outcome::Failed => object!([{ "is": "Failure", "message": xml(&point.message()) }]),
            Outcome::Skipped => object!([{ "is": "Skipped", "message": "no IPv6 # here \\ {" }]),
            Outcome::Excused => object!([{
                "is": "Skipped",
                "message": "allowed by test.web: expected: an end without KILL; found: KILL after 2 s",
            }]),
        };
        assert_eq!(Value::from(each(&case["result"], &["is", "message"])), result);
    }
    let text = cases[2]["result"][0]["text"].as_str().unwrap();
    let found = xml(FOUND).replace('\n', "\n  ");
    let lines = LINES.join("\n  ");
    let expected = format!(
        "{DESCRIPTION}\nexpected: {EXPECTED}\nfound: {found}\nexpected: 1..0 # SKIP\n  ok 3\n\
         output of async.smtpd:\n  {lines}\noutput of stdout:\n"
    );
    assert_eq!(text, expected);

    let said = read("junit.py", &[&schema], &junit(&broken()));
    assert_eq!(said["schema"], object!([]));
    assert_eq!(counted(&said), object!({ "tests": 2, "failures": 0, "errors": 1, "skipped": 0 }));
    assert_eq!(said["cases"][1]["name"], "run");
    assert_eq!(said["cases"][1]["result"][0]["message"], "boot.db # failed");

    let said = read("junit.py", &[&schema], &junit(&cut_short()));
    assert_eq!(said["schema"], object!([]));
    assert_eq!(counted(&said), object!({ "tests": 1, "failures": 0, "errors": 1, "skipped": 0 }));
    let result = &said["cases"][0]["result"][0];
    assert_eq!(result["message"], "not run: stopped by SIGTERM # {");
}

/// Removes the characters that XML does not allow.
fn xml(text: &str) -> String {
    text.replace('\x1b', "")
}

#[test]
fn json_for_programs() {
    let suite = nasty();
    let said: Value = serde_json::from_str(&json(&suite)).unwrap();
    let keys = ["name", "began", "took_ms", "status", "passed", "reason", "counts"];
    assert_eq!(
        only(&said, &keys),
        object!({
            "name": "trc", "began": "2017-03-16T20:40:50.007Z", "took_ms": 61002,
            "status": 1, "passed": false, "reason": suite.reason,
            "counts": { "passed": 3, "failed": 2, "skipped": 1, "excused": 1, "not_run": 0 },
        })
    );
    assert_eq!(
        each(&said["points"], &["name", "kind", "outcome"]),
        [
            object!({ "name": "orphans", "kind": "drill", "outcome": "passed" }),
            object!({ "name": "test.passed", "kind": "test", "outcome": "passed" }),
            object!({ "name": "test.failed", "kind": "test", "outcome": "failed" }),
            object!({ "name": "async.web.flapped", "kind": "drill", "outcome": "failed" }),
            object!({ "name": "test.ipv6", "kind": "test", "outcome": "skipped" }),
            object!({ "name": "async.web.stop", "kind": "drill", "outcome": "excused" }),
            object!({ "name": "test.odd\nok 99 - forged {", "kind": "test", "outcome": "passed" }),
        ]
    );
    assert_eq!(
        said["points"][2],
        object!({
            "name": "test.failed", "kind": "test", "description": DESCRIPTION,
            "outcome": "failed", "why": suite.points[2].message(), "allowed_by": null,
            "took_ms": 1234,
            "checks": [
                { "name": "exit status 0", "passed": true, "found": null },
                { "name": EXPECTED, "passed": false, "found": FOUND },
                { "name": "1..0 # SKIP\nok 3", "passed": false, "found": null },
            ],
            "output": [{ "of": "async.smtpd", "lines": LINES }, { "of": "stdout", "lines": [] }],
        })
    );
    assert_eq!(said["points"][5]["allowed_by"], "test.web");
}
