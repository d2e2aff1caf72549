//! Texts and regular expressions in checks.

use super::{Case, toml_says};

/// The errors of `[test.t] expect.KEY = 'TEXT'`.
fn said(key: &str, text: &str) -> Vec<String> {
    Case::new().toml(&format!("[test.t]\nexec = 'x'\nexpect.{key} = '{text}'")).errors()
}

#[test]
fn flags_after_a_regular_expression_are_an_error_that_says_how_to_write_them() {
    for (text, right, itself) in [
        ("/error/i", "/(?i)error/", r"/\/error\/i/"),
        ("!/error|fail/i", "/(?i)error|fail/", r"/\/error\|fail\/i/"),
        ("/^a$/gm", "/^a$/", r"/\/\^a\$\/gm/"),
        ("/a.b/s", "/(?s)a.b/", r"/\/a\.b\/s/"),
    ] {
        let itself = itself.replace(r"\/", "/");
        let shown = text.trim_start_matches('!');
        for (key, column) in [("stdout", 17), ("log.forbids", 22), ("log.contains", 23)] {
            let expected = format!(
                "error trc.toml:3:{column}: `expect.{key}`: flags cannot follow a regular expression: \"{shown}\" (write '{right}'; to look for this text itself, write '{itself}')"
            );
            let negated_twice = key == "log.forbids" && text.starts_with('!');
            if !negated_twice {
                assert_eq!(said(key, text), [expected], "{key} = {text}");
            }
        }
    }
}

/// A text that must not be there, but can never be found, would always pass.
#[test]
fn a_regular_expression_that_is_not_closed_is_an_error_where_it_would_pass_for_ever() {
    let error = |key: &str, column: u32, text: &str, itself: &str| {
        format!(
            "error trc.toml:3:{column}: `expect.{key}`: the regular expression has no closing `/`: \"{text}\" (write '{text}/'; to look for this text itself, write '{itself}')"
        )
    };
    assert_eq!(said("stdout", "!/error"), [error("stdout", 17, "/error", "//error/")]);
    assert_eq!(
        said("log.forbids", "/ERR.*|x"),
        [error("log.forbids", 22, "/ERR.*|x", r"//ERR\.\*\|x/")]
    );
    // These are texts, because paths have slashes. If one is missing, the test fails.
    for (key, text) in [
        ("stdout", "/error"),
        ("stdout", "/usr/bin/x"),
        ("stdout", "!/usr/bin/x"),
        ("stdout", "/usr/local/s"),
        ("stdout", "!/usr/bin"),
        ("stdout", "/"),
        ("stdout", "!/"),
        ("log.forbids", "/var/run/x.pid"),
        ("log.contains", "/healthz"),
    ] {
        assert_eq!(said(key, text), [""; 0], "{key} = {text}");
    }
}

#[test]
fn a_regular_expression_that_would_fail_in_the_run_fails_when_it_is_read() {
    let too_large = "this is too large: compiled, it takes more than 16 KiB; a repetition such as {0,700} takes as much as its text written out that many times";
    toml_says(&[
        (
            "[test.t]\nexec = 'x'\nexpect.stdout = '/.{0,700}/'",
            &[&format!("error trc.toml:3:17: `expect.stdout`: {too_large}")],
        ),
        (
            "[async.a]\nexec = 'x'\nready.log = '.{0,700}'",
            &[&format!("error trc.toml:3:13: `ready.log`: {too_large}")],
        ),
    ]);
}

#[test]
fn a_wrong_regular_expression_of_a_log_is_told_once() {
    toml_says(&[(
        "[test.t]\nexpect.log = { contains = '/(/' }\n[async.a]\nexec = 'x'",
        &[
            "error trc.toml:2:27: `expect.log.contains`: this is not a valid regular expression: found open group without closing ')'",
        ],
    )]);
}
