//! The words of docker, Compose, Kubernetes, systemd, supervisord and s6, and the message about
//! each.

use super::{Case, toml_says, unit};

/// Returns the message about a line of a unit, in short: its column, the key, and the help.
#[track_caller]
fn key_says(line: &str, key: &str, place: &str, help: &str) {
    let errors = Case::new().toml(&format!("[async.web]\nexec = 'x'\n{line}")).errors();
    let column = line.find(key).unwrap() + 1;
    let expected = format!("error trc.toml:3:{column}: unknown key `{key}` in `{place}` ({help})");
    assert_eq!(errors, [expected], "{line}");
}

#[test]
fn the_words_of_others_are_told_with_an_example() {
    for (words, right) in [
        (
            "command entrypoint ExecStart CMD program",
            "in trc this is `exec`: exec = \"nginx -g 'daemon off;'\"",
        ),
        (
            "depends_on Requires depends-on dependencies",
            "in trc this is `after`: after = [\"db\"], or after = { db = \"ready\" }",
        ),
        ("environment vars", "in trc this is `env`: env = { PORT = \"8080\" }"),
        ("EnvironmentFile", "in trc this is `env_file`: env_file = \"/etc/default/web\""),
        (
            "working_dir directory WorkingDirectory workdir chdir workingDir",
            "in trc this is `cwd`: cwd = \"/srv\"",
        ),
        (
            "healthcheck livenessProbe",
            "in trc this is `health`: health = { http = \"http://127.0.0.1:8080/healthz\" }",
        ),
        (
            "readinessProbe startupProbe",
            "in trc this is `ready`: ready = { http = \"http://127.0.0.1:8080/healthz\" }",
        ),
        ("notification-fd", "in trc this is `ready`: ready = { fd = 3 }"),
        (
            "stop_signal stopsignal STOPSIGNAL KillSignal down-signal",
            "in trc this is `stop`: stop = { signal = \"SIGQUIT\" }",
        ),
        (
            "stop_grace_period stopwaitsecs TimeoutStopSec timeout-kill terminationGracePeriodSeconds",
            "in trc this is `stop`: stop = { timeout = \"20s\" }",
        ),
        ("stopasgroup KillMode", "in trc this is `stop`: stop = { to = \"group\" }"),
        ("ExecStop preStop", "in trc this is `stop`: stop = { exec = \"nginx -s quit\" }"),
        (
            "numprocs replicas scale",
            "write one unit for each process: [async.web-1], [async.web-2]",
        ),
        ("autorestart", "in trc this is `restart`: restart = \"always\", or \"on-failure\""),
        (
            "startretries StartLimitBurst",
            "in trc this is `restart`: restart = { when = \"always\", max = 5 }",
        ),
        (
            "RestartSec",
            "in trc this is `restart`: restart = { when = \"always\", backoff = \"1s..1m\" }",
        ),
        ("exitcodes SuccessExitStatus", "in trc this is `success`: success = [0, 143]"),
        (
            "stdout_logfile StandardOutput redirect_stderr logging",
            "in trc this is `output`: output = \"prefix\", or output = { file = \"/var/log/web.log\" }",
        ),
        (
            "cap_add AmbientCapabilities",
            "in trc this is `capabilities`: capabilities = [\"net_bind_service\"] lists those that the unit keeps",
        ),
        ("LimitNOFILE ulimits", "in trc this is `limits`: limits = { nofile = 65536 }"),
        ("uid", "in trc this is `user`: user = \"www-data\""),
        ("autostart", "in trc this is `enabled`: enabled = true"),
        (
            "image ports volumes",
            "this belongs in the configuration of the container engine; trc runs inside the container",
        ),
        ("run", "in trc this is `exec`: exec = \"nginx -g 'daemon off;'\""),
        (
            "timeout",
            "which timeout? stop = { timeout = \"20s\" } is the time from the stop signal to SIGKILL, ready = { within = \"1m\" } the time until the unit must be ready, max_runtime = \"5m\" the time that it may run",
        ),
        (
            "expect",
            "`expect` is a key of a test: [test.web] with after = [\"web\"] and expect = { tcp = 80 }",
        ),
        ("tcp", "it belongs in `ready` or `health`"),
        ("max", "it belongs in `restart`: restart = { max = … }"),
        ("nofile", "it belongs in `limits`: limits = { nofile = … }"),
        ("wait", "write `wait` at the top of trc.toml, before the first `[table]`"),
    ] {
        for word in words.split(' ') {
            key_says(&format!("{word} = 1"), word, "[async.web]", right);
        }
    }
    for (line, key, place, help) in [
        (
            "ready = { tcp = 80, user = 'x' }",
            "user",
            "ready",
            "`user` is a key of the unit itself: write it below `[STAGE.NAME]`, before any table within it",
        ),
        (
            "ready = { tcp = 80, interval = 1 }",
            "interval",
            "ready",
            "in trc this is `every`: every = \"1s\"",
        ),
        (
            "health = { tcp = 80, retries = 1 }",
            "retries",
            "health",
            "in trc this is `failures`: failures = 3",
        ),
        (
            "stop = { grace_period = 1 }",
            "grace_period",
            "stop",
            "in trc this is `timeout`: timeout = \"20s\"",
        ),
        (
            "restart = { policy = 'always' }",
            "policy",
            "restart",
            "in trc this is `when`: when = \"on-failure\"",
        ),
        (
            "restart = { max_attempts = 1 }",
            "max_attempts",
            "restart",
            "in trc this is `max`: max = 5",
        ),
    ] {
        key_says(line, key, place, help);
    }
    toml_says(&[
        (
            "[services.web]\ncommand = 'x'",
            &[
                "error trc.toml:1:2: unknown key `services` (in trc this is `async`: [async.web] in the background, [sync.web] in the foreground)",
            ],
        ),
        (
            "version = '3'\nlog_level = 'debug'",
            &[
                "error trc.toml:1:1: unknown key `version` (trc does not need this key)",
                "error trc.toml:2:1: unknown key `log_level` (in trc this is `log`: log = { level = \"debug\" })",
            ],
        ),
    ]);
}

#[test]
fn values_as_others_write_them_are_told_how_to_write() {
    for (line, expected) in [
        (
            "restart = true",
            "3:11: `restart`: expected no, on-failure, always or a table, found true (write restart = \"always\")",
        ),
        (
            "restart = false",
            "3:11: `restart`: expected no, on-failure, always or a table, found false (write restart = \"no\")",
        ),
        (
            "restart = 'unless-stopped'",
            "3:11: `restart`: expected no, on-failure or always, found \"unless-stopped\" (write restart = \"always\")",
        ),
        (
            "restart = 'on-failure:5'",
            "3:11: `restart`: expected no, on-failure or always, found \"on-failure:5\" (write restart = { when = \"on-failure\", max = 5 })",
        ),
        (
            "ready = 'http://127.0.0.1/x'",
            "3:9: `ready`: expected a table, found the string \"http://127.0.0.1/x\" (write ready = { http = \"http://127.0.0.1/x\" })",
        ),
        (
            "ready = 'tcp://127.0.0.1:6379'",
            "3:9: `ready`: expected a table, found the string \"tcp://127.0.0.1:6379\" (write ready = { tcp = \"127.0.0.1:6379\" })",
        ),
        (
            "health = 'unix:///run/x'",
            "3:10: `health`: expected a table, found the string \"unix:///run/x\" (write health = { unix = \"/run/x\" })",
        ),
        (
            "stop = '3s'",
            "3:8: `stop`: there is no signal \"3s\" (if that is a time, write stop = { timeout = \"3s\" })",
        ),
        (
            "stop = { after = ['b'] }",
            "3:10: unknown key `after` in `stop` (units stop in the reverse order of `after`: a unit that names another in its `after` stops before that one)",
        ),
        (
            "stop_order = ['b']",
            "3:1: unknown key `stop_order` in `[async.web]` (units stop in the reverse order of `after`: a unit that names another in its `after` stops before that one)",
        ),
        (
            "ready = 80",
            "3:9: `ready`: expected a table, found the integer 80 (write ready = { tcp = 80 })",
        ),
        (
            "health = 'localhost:80'",
            "3:10: `health`: expected a table, found the string \"localhost:80\" (write health = { tcp = \"localhost:80\" })",
        ),
        (
            "ready = 'notify'",
            "3:9: `ready`: expected a table, found the string \"notify\" (write ready = { notify = true })",
        ),
        (
            "ready = 'pg_isready -q'",
            "3:9: `ready`: expected a table, found the string \"pg_isready -q\" (write ready = { exec = \"pg_isready -q\" })",
        ),
        (
            "ready = '/run/x.sock'",
            "3:9: `ready`: expected a table, found the string \"/run/x.sock\" (write ready = { unix = \"/run/x.sock\" })",
        ),
        (
            "stop = 'nginx -s quit'",
            "3:8: `stop`: there is no signal \"nginx -s quit\" (to stop the unit with a command, write stop = { exec = \"nginx -s quit\" })",
        ),
        (
            "env = ['A=1', 'B=x=y']",
            "3:7: `env`: expected a table, found an array (write env = { A = \"1\", B = \"x=y\" })",
        ),
        (
            "user = 'a:b'",
            "3:8: `user`: \"a:b\" is not a valid name (write user = \"a\" and group = \"b\")",
        ),
    ] {
        let errors = Case::new().toml(&format!("[async.web]\nexec = 'x'\n{line}")).errors();
        assert_eq!(errors, [format!("error trc.toml:{expected}")], "{line}");
    }
    toml_says(&[
        (
            "[[async]]\nexec = 'x'",
            &[
                "error trc.toml:1:1: `async`: expected a table, found an array (write one table for each unit: [async.NAME])",
            ],
        ),
        (
            "[[async.web]]\nexec = 'x'",
            &[
                "error trc.toml:1:1: `async.web`: expected a table, found an array (use single brackets for the table of a unit: [async.web])",
            ],
        ),
        (
            "[async]\nweb = 'nginx -g x'",
            &[
                "error trc.toml:2:7: `async.web`: expected a table, found the string \"nginx -g x\" (write async.web = { exec = \"nginx -g x\" })",
            ],
        ),
    ]);
}

/// They can mean only one thing.
#[test]
fn a_signal_stands_for_stop_and_a_status_for_success() {
    let case = Case::new()
        .toml("[async.web]\nexec = 'x'\nstop = 'SIGQUIT'\nsuccess = 143")
        .set("TRC_ASYNC__WEB__STOP__TIMEOUT", "7s");
    let config = case.config();
    let web = unit(&config, "async.web");
    assert_eq!(web.stop.signal.map(|signal| signal.to_string()).as_deref(), Some("SIGQUIT"));
    assert_eq!(web.stop.timeout, Some(std::time::Duration::from_secs(7)));
    assert_eq!(web.success.as_deref(), Some(&[143][..]));
    let config = case.set("TRC_ASYNC__WEB__SUCCESS", "3").set("TRC_ASYNC__WEB__STOP", "").config();
    assert_eq!(unit(&config, "async.web").success.as_deref(), Some(&[3][..]));
}
