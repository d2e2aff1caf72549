//! The drop-ins of `conf.d/` do what their comments say, under bash and under a POSIX shell.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common;
use crate::common::{TERM, Trc};

/// The shells for which the scripts are written. `/bin/sh` is dash on Debian.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// Runs trc with a drop-in of `conf.d/`, and a foreground unit that prints that it ran.
fn with(dropin: &str, shell: &str) -> Trc {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d").join(dropin);
    let text = std::fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    // trc treats a shell whose name is not `bash` as a POSIX shell.
    Trc::new()
        .file(format!("trc.d/{dropin}"), text)
        .file("trc.toml", format!("shell = '{shell}'\n[sync.main]\nscript = 'echo main ran'\n"))
}

#[test]
fn every_drop_in_is_tested() {
    let tested = [
        "async.cleanup.toml",
        "boot.greeting",
        "environment.toml",
        "halt.report.toml",
        "test.hardened.toml",
    ];
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d");
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, tested);
}

#[test]
fn hardened_names_each_thing_that_is_not() {
    if !common::root() {
        return;
    }
    let tested = || with("test.hardened.toml", "sh").file("trc.toml", "").arg("--test=hardened");
    let outcome = tested().run();
    outcome.status(1).stdout_has("not ok 1 - test.hardened: ");
    for text in [
        "not ok 1 - the container can't gain privileges",
        "not ok 2 - the root file system is read-only",
        "not ok 3 - the container has no other capabilities",
    ] {
        outcome.stdout_has(text);
    }
    let tight = ["setpriv", "--no-new-privs", "--bounding-set", "-all"];
    let outcome = tested().wrap(&tight).run();
    outcome
        .status(1)
        .stdout_has("    ok 1 - ")
        .stdout_has("not ok 2 - the root file system is read-only");
    outcome.stdout_has("    ok 3 - the container has no other capabilities");
}

#[test]
fn greeting_names_the_policy_and_the_files() {
    for shell in SHELLS {
        let outcome = with("boot.greeting", shell).env("HOSTNAME", "web-1").run();
        outcome.status(0).stderr_is("").stdout_lines(&[
            "trc on web-1, wait policy wait_any, configured in /.*",
            r"  trc\.toml",
            r"  trc\.d/boot\.greeting",
            "main ran",
        ]);
    }
}

#[test]
fn greeting_is_silent_where_the_log_is() {
    for shell in SHELLS {
        let outcome = with("boot.greeting", shell).env("TRC_LOG_LEVEL", "warn").run();
        outcome.status(0).stdout_is("main ran\n").stderr_is("");
    }
}

#[test]
fn environment_takes_secrets_from_files_and_fills_in_defaults() {
    for pointer in ["DB_PASSWORD_FILE", "FILE__DB_PASSWORD"] {
        let show = "log.level = 'warn'\n[sync.main]\nscript = 'env | grep ^DB_ | sort'\n";
        let trc =
            with("environment.toml", "sh").file("trc.toml", show).file("secret", "pass 'w\"$d`*\n");
        let path = trc.path("secret").display().to_string();
        let outcome = trc.env(pointer, path).env("DB_HOST", "db").run();
        outcome.status(0).stderr_is("");
        outcome.stdout_is("DB_HOST=db\nDB_NAME=app\nDB_PASSWORD=pass 'w\"$d`*\n");
    }
}

#[test]
fn environment_names_all_that_is_missing_and_nothing_starts() {
    let outcome = with("environment.toml", "sh").run();
    outcome.status(126).stdout_lacks("main ran");
    outcome.stderr_has("DB_HOST: set it with docker run -e DB_HOST=… (");
    outcome.stderr_has("DB_PASSWORD: set DB_PASSWORD_FILE to the path of a secret (");
}

#[test]
fn cleanup_deletes_what_nobody_has_changed_for_a_week() {
    let schedule = "schedule = { when = \"17 3 * * *\", tz = \"Europe/Zurich\" }";
    let text = include_str!("../conf.d/async.cleanup.toml");
    assert!(text.contains(schedule));
    // The job is due at once, and cleans another directory.
    let text = text.replace(schedule, "schedule = { when = '@daily', at_start = true }");
    let trc = Trc::new().file("tmp/new", "x").file("tmp/old", "x");
    let text = text.replace("find /tmp", &format!("find {}", trc.path("tmp").display()));
    let old = std::fs::File::options().write(true).open(trc.path("tmp/old")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_hours(8 * 24)).unwrap();
    let (new, old) = (trc.path("tmp/new"), trc.path("tmp/old"));
    let running = trc.file("trc.d/async.cleanup.toml", text).spawn();
    running.wait_for("Exiting on the background (exitcode=0): ");
    assert!(new.exists() && !old.exists());
    running.signal(TERM);
    running.finish();
}

#[test]
fn report_says_how_it_ended() {
    for shell in SHELLS {
        let good = with("halt.report.toml", shell).unrecorded().run();
        good.status(0).stdout_lines(&[r"<halt/\d+\]: ended well"]).stderr_is("");
        let text = format!("shell = '{shell}'\n[sync.main]\nscript = 'exit 7'\n");
        let bad = with("halt.report.toml", shell).file("trc.toml", text).unrecorded().run();
        bad.status(7)
            .stderr_lines(&[r"<halt/\d+\]: exited with 7: sync\.main failed with status 7"]);
    }
}
