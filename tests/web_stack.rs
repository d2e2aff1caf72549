//! `examples/web-stack` in a container: a database, a cache, a migration, an app and a
//! proxy. Needs a container engine, as `container/mod.rs` says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite web_stack:: -- --ignored

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::{number_from, table};
use crate::container::{Container, Run, web_stack};
use tempfile::TempDir;

const PASSWORD: &str = "Tr0ub4dor's \"&3\"";
const SECRET: &str = "/run/secrets/db_password";
const MIGRATION: &str = "/srv/web/migrate.sql";

/// The messages of a stop that was not clean.
const KILLED: &str = "did not exit in time|was killed by SIGKILL";

/// The stack with a password for its database.
fn stack() -> Run {
    Run::new(web_stack(), &[]).secret(SECRET, PASSWORD)
}

/// The stack, ready to answer.
#[track_caller]
fn started(run: Run) -> Container {
    let stack = run.start();
    stack.wait_for(&ready("proxy"));
    stack
}

/// The line that says that a unit was started.
fn launched(unit: &str) -> String {
    format!(r"<async/\d+\]: Launching on the background: {unit}: .*")
}

/// The line that says that a unit is ready.
fn ready(unit: &str) -> String {
    format!(r"<main/1\]: async\.{unit} is ready \(after .*\)")
}

/// The line that says that a unit exited with success.
fn ended_well(unit: &str) -> String {
    format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {unit}: .*")
}

/// Returns the proxy's answer. Any status other than 200 fails the test.
#[track_caller]
fn get(stack: &Container, path: &str) -> String {
    let script = "import sys, urllib.request as request\n\
                  print(request.urlopen('http://127.0.0.1' + sys.argv[1]).read().decode())";
    stack.exec(&["python3", "-c", script, path]).trim().to_owned()
}

/// Returns the process of the last start of a unit.
fn pid(stack: &Container, unit: &str) -> String {
    let line = stack.lines(&launched(unit)).pop().expect("it was started");
    let (_, rest) = line.split_once("[async/").unwrap();
    rest.split_once(']').unwrap().0.to_owned()
}

#[track_caller]
fn signal(stack: &Container, signal: &str, unit: &str) {
    let command = format!("kill -{signal} {}", pid(stack, unit));
    stack.exec(&["bash", "-c", &command]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_stack_starts_in_order_and_stops_in_reverse() {
    for _ in 0..number_from("TRC_TEST_ROUNDS", 1) {
        let stack = started(stack());
        assert_eq!(get(&stack, "/"), "visit 1, 1 since the cache started");
        assert_eq!(get(&stack, "/healthz"), "the database and the cache are there");
        stack.stop_in_time();

        let ended = stack.wait();
        ended.status(143).lacks(KILLED);
        ended.lines(&[
            &launched("db"),
            &ready("db"),
            &launched("migrate"),
            &ended_well("migrate"),
            &launched("app"),
            &ready("app"),
            &launched("proxy"),
            &ready("proxy"),
            r"<main/1\]: Trying to terminate sub-processes\.\.\.",
            &ended_well("proxy"),
            &ended_well("app"),
            &ended_well("db"),
            r"<main/1\]: Exited \(exitcode=143\)",
        ]);
        ended.lines(&[
            &launched("cache"),
            &ready("cache"),
            &launched("app"),
            &ended_well("app"),
            &ended_well("cache"),
        ]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_service_that_is_killed_is_back_with_what_stands_on_it() {
    struct Row {
        killed: &'static str,
        restarted: &'static [&'static str],
        then: &'static str,
    }
    let kept = "visit 2, 2 since the cache started";
    let rows = [
        Row { killed: "db", restarted: &["db", "app"], then: kept },
        Row { killed: "cache", restarted: &["cache"], then: "visit 2, 1 since the cache started" },
        Row { killed: "app", restarted: &["app"], then: kept },
        Row { killed: "proxy", restarted: &["proxy"], then: kept },
    ];
    web_stack();
    table(
        &rows,
        |row| row.killed.to_owned(),
        |row| {
            let stack = started(stack());
            assert_eq!(get(&stack, "/"), "visit 1, 1 since the cache started");
            signal(&stack, "KILL", row.killed);
            for unit in row.restarted {
                stack.wait_for_times(2, &ready(unit));
            }
            assert_eq!(get(&stack, "/"), row.then);
            for unit in ["db", "cache", "migrate", "app", "proxy"] {
                let times = if row.restarted.contains(&unit) { 2 } else { 1 };
                assert_eq!(stack.lines(&launched(unit)).len(), times, "{unit}\n{}", stack.text());
            }
            stack.stop_in_time();
            stack.wait().status(143).lacks("did not exit in time");
        },
    );
}

/// The process has not exited, so only the health check finds out.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_cache_that_hangs_is_restarted() {
    let stack = started(stack());
    signal(&stack, "STOP", "cache");
    stack.wait_for_times(2, &ready("cache"));
    assert_eq!(get(&stack, "/"), "visit 1, 1 since the cache started");
    stack.stop_in_time();
    stack.wait().status(143);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_migration_that_fails_ends_the_container_with_its_status() {
    let ended = stack().mount(MIGRATION, "SELECT 1 / 0;\n").run();
    ended.status(3).lacks(KILLED).lacks("Launching on the background: (app|proxy)");
    ended.reason(
        r"<main/1\]: async\.migrate failed with status 3; its last output: psql:/srv/web/migrate\.sql:1: ERROR:  division by zero",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_password_of_the_database_is_nowhere_in_the_log() {
    let stack = started(stack().env("TRC_LOG_LEVEL", "trace"));
    // Over 127.0.0.1, the database asks for the password.
    assert_eq!(get(&stack, "/"), "visit 1, 1 since the cache started");
    signal(&stack, "KILL", "app");
    stack.wait_for_times(2, &ready("app")).stop_in_time();
    stack.wait().status(143).lacks("Tr0ub4dor").lacks("&3");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn without_a_password_for_the_database_the_container_says_which_file_it_lacks() {
    let ended = Run::new(web_stack(), &[]).run();
    assert_ne!(ended.status, 0);
    ended.lacks("Launching on the background: app").reason(&format!(".*{SECRET}.*"));
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_volume_keeps_the_visits_and_takes_a_new_password() {
    let folder = TempDir::new().unwrap();
    // The directory belongs to another user, as a new volume often does.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let volume = format!("{}:/var/lib/postgresql", folder.path().display());
    for (n, password) in ["the first", "the second"].iter().enumerate() {
        let run = Run::new(web_stack(), &[]).secret(SECRET, password).options(&["-v", &volume]);
        let stack = started(run);
        assert_eq!(get(&stack, "/"), format!("visit {}, 1 since the cache started", n + 1));
        stack.stop_in_time();
        stack.wait().status(143).lacks(KILLED);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn people_ask_and_change_the_stack_while_it_runs() {
    let stack = started(stack());
    // Whoever is refused exits with another status than 0.
    let shell = |line: &str| stack.exec(&["bash", "-c", &format!("{line} 2>&1; true")]);
    let app = "/etc/trc.d/async.app.toml";
    for (line, expected) in [
        ("trcctl wait ready --for 60s", "ready\n"),
        ("trcctl exec app -- id -un", "web\n"),
        (
            "trcctl stop cache",
            "async.cache has stopped, as asked, and stays so until somebody starts it; \
             still needed by async.proxy, async.app\n",
        ),
        ("trcctl health", "degraded: async.cache was stopped by hand\n"),
        ("trcctl start cache", "async.cache is up, as asked\n"),
        (
            &format!("sed -i 's/--workers 2/--workers 3/' {app}; trcctl reload"),
            "async.app is restarted\n  exec at /etc/trc.d/async.app.toml:2:8\n",
        ),
        ("trcctl wait ready --for 60s", "ready\n"),
        (
            &format!("sed -i 's/workers/wrokers/' {app}; trcctl reload"),
            "trcctl: going back to the previous configuration, because async.app exited before it \
             was up\n",
        ),
        ("trcctl wait ready --for 60s", "ready\n"),
    ] {
        assert_eq!(shell(line), expected, "{line}\n{}", stack.text());
    }
    let wrong = shell(&format!("sed -i 's/^user/usre/' {app}; trcctl reload"));
    assert!(wrong.contains("did you mean `user`?"), "{wrong}");
    assert!(shell("trcctl status").starts_with("ready, up for "), "{}", stack.text());
    assert_eq!(get(&stack, "/"), "visit 1, 1 since the cache started");
    stack.stop_in_time();
    stack.wait().status(143).lacks(KILLED);
}
