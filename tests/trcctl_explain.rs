//! `trcctl explain`: where each value comes from.

use crate::common::{Outcome, Trc};

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// A unit in a file, a drop-in and a variable.
fn explain(arguments: &[&str]) -> Outcome {
    let toml = "[async.web]\nexec = 'serve'\nready.http = 'http://127.0.0.1/'\nstop.timeout = '5s'\n\
                env.TOKEN = 'hush'\n[test.front]\nscript = \"\"\"\necho one\necho two\n\"\"\"\n";
    let drop_in = "stop.timeout = '3s'\nready.tcp = 8080\nenv.TOKEN = 'hush hush'\n";
    let trc = Trc::toml(toml).file("trc.d/async.web.toml", drop_in).program(TRCCTL);
    let trc = trc.env("TRC_ASYNC__WEB__STOP__TIMEOUT", "1s").arg("explain").args(arguments);
    trc.run()
}

#[test]
fn every_value_has_its_place_and_those_that_it_has_replaced() {
    let outcome = explain(&[]);
    outcome.status(0).stderr_is("").stdout_is(
        "async.web.env.TOKEN     (hidden)                     trc.d/async.web.toml:3:13\n  \
           instead of            (hidden)                     trc.toml:5:5\n\
         async.web.exec          \"serve\"                      trc.toml:2:8\n\
         async.web.ready.tcp     8080                         trc.d/async.web.toml:2:13\n  \
           instead of http       {\"url\":\"http://127.0.0.1/\"}  trc.toml:3:7\n\
         async.web.stop.timeout  \"1s\"                         TRC_ASYNC__WEB__STOP__TIMEOUT\n  \
           instead of            \"3s\"                         trc.d/async.web.toml:1:6\n  \
           instead of            \"5s\"                         trc.toml:4:6\n\
         control.socket          \"false\"                      TRC_CONTROL__SOCKET\n\
         test.front.script       echo one…                    trc.toml:7:10\n",
    );
}

#[test]
fn a_key_is_described_with_its_meaning_and_its_default() {
    explain(&["web.stop.timeout", "async.web.nice", "test.front.script"]).status(0).stdout_is(
        "async.web.stop.timeout\n  \
           meaning     the time from the stop signal to SIGKILL\n  \
           value       \"1s\"\n  \
           from        TRC_ASYNC__WEB__STOP__TIMEOUT\n  \
           instead of  \"3s\" from trc.d/async.web.toml:1:6\n  \
           instead of  \"5s\" from trc.toml:4:6\n  \
           default     5s\n  \
           example     timeout = \"20s\"\n\n\
         async.web.nice\n  \
           meaning     its nice value, from -20 (highest priority) to 19 (lowest)\n  \
           value       not set\n  \
           default     trc's own\n  \
           example     nice = 10\n\n\
         test.front.script\n  \
           meaning     the script of the test, in the shell\n  \
           value       echo one\n              echo two\n  \
           from        trc.toml:7:10\n  \
           example     script = \"smtpctl show status\"\n",
    );
}

#[test]
fn a_table_or_a_unit_is_a_list_of_its_keys() {
    let web = explain(&["web"]);
    web.status(0).stdout_has("async.web.exec ").stdout_lacks("test.front");
    explain(&["web.ready"]).status(0).stdout_has("  instead of http").stdout_lacks("exec");
    // A service and a test may have the same name; the full name is that of one of them.
    explain(&["test.front"]).status(0).stdout_has("test.front.script");
}

#[test]
fn a_misspelt_name_gets_a_tip() {
    for (name, tip) in [
        ("web.stop.timout", "did you mean `async.web.stop.timeout`?"),
        ("async.web.exce", "did you mean `async.web.exec`?"),
        ("wbe", "there is no key, table or unit `wbe`: did you mean `web`?"),
        ("shutdwn.timeout", "`trcctl explain` lists every key that is set"),
    ] {
        explain(&[name]).status(64).stderr_has(tip).stdout_is("");
    }
}

#[test]
fn values_of_variables_are_hidden() {
    for arguments in [&[][..], &["web.env.TOKEN"], &["--json"], &["-c", "async.web.env.TOKEN=hush"]]
    {
        let outcome = explain(arguments);
        outcome.status(0).stdout_lacks("hush").stderr_lacks("hush");
    }
}

#[test]
fn json_is_for_programs() {
    let outcome = explain(&["--json", "web.stop"]);
    let json: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    let place = |name: &str| outcome.path(name).display().to_string();
    assert_eq!(
        json,
        serde_json::json!([{
            "key": "async.web.stop.timeout", "value": "1s", "hidden": false,
            "origin": "TRC_ASYNC__WEB__STOP__TIMEOUT", "default": "5s",
            "instead_of": [
                {"key": null, "value": "3s", "origin": place("trc.d/async.web.toml:1:6")},
                {"key": null, "value": "5s", "origin": place("trc.toml:4:6")},
            ],
        }])
    );
}

#[test]
fn a_configuration_with_errors_is_explained_as_far_as_it_is_understood() {
    let trc = Trc::toml("[async.web]\nexec = 'a'\nstop.timeout = 'soon'\n").program(TRCCTL);
    let outcome = trc.arg("explain").run();
    outcome.status(78).stderr_has("trc.toml:3:16").stdout_has("async.web.exec");
}

/// It used to print nothing and to exit with 0.
#[test]
fn a_directory_without_a_configuration_has_nothing_to_explain() {
    let says = "there is no configuration: neither the current directory nor ";
    for (arguments, out) in [(&["explain"][..], ""), (&["explain", "log.level"], "log.level\n")] {
        let outcome = Trc::new().program(TRCCTL).args(arguments).run();
        outcome.status(78).stderr_has(says).stderr_has("`-w DIR`");
        let told = String::from_utf8_lossy(&outcome.stdout).into_owned();
        assert!(told.starts_with(out) && told.is_empty() == out.is_empty(), "{told}");
    }
}

#[test]
fn colors_are_printed_if_somebody_asks_for_them() {
    explain(&["--color", "always", "web.nice"]).status(0).stdout_has("\x1b[");
    explain(&["--color", "never", "web.nice"]).status(0).stdout_lacks("\x1b");
}
