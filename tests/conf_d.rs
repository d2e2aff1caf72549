//! The drop-ins of `conf.d/` do what their comments say, under bash and under a POSIX
//! shell. `async.cron.toml` needs cron, so `containers.rs` tests it in a container.

use std::path::Path;

use crate::common;
use crate::common::Trc;

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
        "async.cron.toml", // in containers.rs
        "boot.greeting",
        "boot.require-env",
        "boot.secrets",
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
fn require_env_lets_a_container_start_that_has_what_it_needs() {
    for shell in SHELLS {
        let trc = with("boot.require-env", shell);
        let trc = trc.env("REQUIRED", "DB_HOST DB_USER").env("DB_HOST", "db").env("DB_USER", "me");
        trc.run().status(0).stdout_has("main ran").stderr_is("");
        with("boot.require-env", shell).run().status(0).stdout_has("main ran");
    }
}

#[test]
fn require_env_names_all_that_is_missing_and_nothing_starts() {
    for shell in SHELLS {
        let trc = with("boot.require-env", shell);
        let trc = trc.env("REQUIRED", "DB_HOST DB_USER DB_NAME").env("DB_USER", "me");
        let outcome = trc.env("DB_NAME", "").run();
        outcome.status(1).stdout_lacks("main ran").stderr_lines(&[
            r"<main/\d+\]: not set, and needed: DB_HOST DB_NAME",
            r"<main/\d+\]: boot failed: boot\.require-env failed with status 1",
        ]);
    }
}

#[test]
fn require_env_leaves_no_variables_behind() {
    for shell in SHELLS {
        let trc = with("boot.require-env", shell).env("REQUIRED", "PATH");
        let show = "script = 'echo ${missing-none} ${name-none} ${value-none}'";
        let text = format!("shell = '{shell}'\n[sync.main]\n{show}\n");
        trc.file("trc.toml", text).run().status(0).stdout_has("none none none");
    }
}

/// What the units of the test see of a secret. The `exec` units count most.
const SHOW: &str = "[sync.main]\nexec = 'sh ${W}/show'\n";

fn with_secret(shell: &str, value: &str) -> Trc {
    let trc = with("boot.secrets", shell)
        .file("secrets/db", value)
        .file(
            "show",
            r#"echo "<$DB_PASSWORD>" "${DB_PASSWORD_FILE-unset}" "${SSL_CERT_FILE-unset}"
               if env | grep ^secret_; then exit 1; fi"#,
        )
        .file("trc.toml", format!("shell = '{shell}'\n{SHOW}"));
    let dir = trc.path("secrets").to_str().unwrap().to_owned();
    trc.env("SECRETS_DIR", &dir).env("DB_PASSWORD_FILE", format!("{dir}/db"))
}

#[test]
fn secrets_become_variables() {
    for shell in SHELLS {
        let trc = with_secret(shell, "pass 'w\"or$d`*\n")
            .file("certificates", "not a secret")
            // A text in a value that looks like a variable is not one.
            .env("OTHER", "x\nTRICK_FILE=/etc/passwd");
        let certificates = trc.path("certificates").to_str().unwrap().to_owned();
        let outcome = trc.env("SSL_CERT_FILE", &certificates).run();
        outcome.status(0).stderr_is("");
        outcome.stdout_has(&format!("<pass 'w\"or$d`*> unset {certificates}\n"));
    }
}

#[test]
fn a_secret_that_is_not_there_ends_the_container() {
    for shell in SHELLS {
        let trc = with_secret(shell, "x");
        let missing = trc.path("secrets/missing").to_str().unwrap().to_owned();
        let outcome = trc.env("DB_PASSWORD_FILE", &missing).run();
        outcome.status(1).stdout_lacks("unset");
        outcome.stderr_has(&format!("cannot read {missing}, named by DB_PASSWORD_FILE"));
    }
}

#[test]
fn a_secret_that_is_set_as_well_ends_the_container() {
    for shell in SHELLS {
        let outcome = with_secret(shell, "x").env("DB_PASSWORD", "y").run();
        outcome.status(1).stderr_has("both DB_PASSWORD and DB_PASSWORD_FILE are set");
    }
}

#[test]
fn a_secret_is_not_shown_when_scripts_are_traced() {
    for shell in SHELLS {
        let trc = with_secret(shell, "hidden").env("RC_DEBUG", "true");
        let show = "[sync.main]\nscript = ': traced ${#DB_PASSWORD}'\n";
        let outcome = trc.file("trc.toml", format!("shell = '{shell}'\n{show}")).run();
        outcome.status(0).stderr_lacks("hidden").stderr_has(": traced 6");
    }
}

#[test]
fn report_says_how_it_ended() {
    for shell in SHELLS {
        let good = with("halt.report.toml", shell).run();
        good.status(0).stdout_lines(&[r"<halt/\d+\]: ended well"]).stderr_is("");
        let text = format!("shell = '{shell}'\n[sync.main]\nscript = 'exit 7'\n");
        let bad = with("halt.report.toml", shell).file("trc.toml", text).run();
        bad.status(7)
            .stderr_lines(&[r"<halt/\d+\]: exited with 7: sync\.main failed with status 7"]);
    }
}
