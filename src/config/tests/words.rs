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
        ("numprocs replicas scale", "in trc this is `instances`: instances = 4"),
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
        ("ExecStartPre prestart", "in trc this is `pre_start`: pre_start = \"shop migrate\""),
        ("manual onDemand", "in trc this is `autostart`: autostart = false"),
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
            "stop = 'QUIT 30s'",
            "3:8: `stop`: there is no signal \"QUIT 30s\" (write stop = { signal = \"QUIT\", timeout = \"30s\" })",
        ),
        (
            "ready = 'tcp:8080'",
            "3:9: `ready`: expected a table, found the string \"tcp:8080\" (write ready = { tcp = \"8080\" })",
        ),
        (
            "ready.http = 'localhost:8080/x'",
            "3:14: `ready.http`: expected a URL such as \"http://127.0.0.1:8080/\", found the string \"localhost:8080/x\" (write \"http://localhost:8080/x\")",
        ),
        (
            "ready.http = ':8080'",
            "3:14: `ready.http`: expected a URL such as \"http://127.0.0.1:8080/\", found the string \":8080\" (write \"http://127.0.0.1:8080/\")",
        ),
        (
            "ready.http = '/healthz'",
            "3:14: `ready.http`: expected a URL such as \"http://127.0.0.1:8080/\", found the string \"/healthz\" (write \"http://127.0.0.1:8080/healthz\")",
        ),
        (
            "ready.http = 8080",
            "3:14: `ready.http`: expected a table, found the integer 8080 (write http = \"http://127.0.0.1:8080/\")",
        ),
        (
            "ready.http = 'ftp://x'",
            "3:14: `ready.http`: expected a URL such as \"http://127.0.0.1:8080/\", found the string \"ftp://x\"",
        ),
        (
            "ready.tcp = ':8080'",
            "3:13: `ready.tcp`: expected an address such as \"127.0.0.1:80\", or a port, found the string \":8080\" (write \"8080\")",
        ),
        (
            "ready.tcp = 'tcp://db:5432'",
            "3:13: `ready.tcp`: expected an address such as \"127.0.0.1:80\", or a port, found the string \"tcp://db:5432\" (write \"db:5432\")",
        ),
        (
            "output = 'stdout'",
            "3:10: `output`: expected inherit, prefix or null, found \"stdout\" (write output = \"inherit\")",
        ),
        (
            "output = 'file:/var/log/x'",
            "3:10: `output`: expected inherit, prefix or null, found \"file:/var/log/x\" (write output = { file = \"/var/log/x\" })",
        ),
        (
            "output = '/dev/null'",
            "3:10: `output`: expected inherit, prefix or null, found \"/dev/null\" (write output = \"null\")",
        ),
        (
            "on_failure = 'exit'",
            "3:14: `on_failure`: expected policy, stop or ignore, found \"exit\" (write on_failure = \"stop\")",
        ),
        (
            "on_failure = 'restart'",
            "3:14: `on_failure`: expected policy, stop or ignore, found \"restart\" (write restart = \"on-failure\", which is a key of its own)",
        ),
        (
            "success = '0,143'",
            "3:11: `success`: expected an exit status from 0 to 255, found the string \"0,143\" (write success = [0, 143])",
        ),
        ("oneshot = 'yes'", "3:11: `oneshot`: expected true or false, found \"yes\" (write true)"),
        (
            "after = { web = true }",
            "3:17: `after.web`: expected started, ready, exited, succeeded, failed or settled, found true (write \"ready\", or \"started\" if the unit has no `ready`)",
        ),
        (
            "capabilities = 'NET_BIND_SERVICE,CHOWN'",
            "3:16: `capabilities`: there is no capability \"NET_BIND_SERVICE,CHOWN\" (write capabilities = [\"NET_BIND_SERVICE\", \"CHOWN\"])",
        ),
        (
            "[[async.web.limits]]\nnofile = 80",
            "3:1: `limits`: expected a table, found an array (write the table with single brackets)",
        ),
        (
            "cwd = '~/app'",
            "3:7: `cwd`: `~` stands for a home directory only in a shell (write \"${HOME}/app\")",
        ),
        (
            "after = [{ web = 'ready' }]",
            "3:10: `after`: expected a string, found a table (write one table for all units: after = { db = \"ready\", web = \"started\" })",
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

#[test]
fn a_value_in_the_place_of_a_table_is_told_where_it_belongs() {
    toml_says(&[
        (
            "shutdown = '30s'",
            &[
                "error trc.toml:1:12: `shutdown`: expected a table, found the string \"30s\" (write shutdown = { timeout = \"30s\" })",
            ],
        ),
        (
            "log = 'debug'",
            &[
                "error trc.toml:1:7: `log`: expected a table, found the string \"debug\" (write log = { level = \"debug\" })",
            ],
        ),
        (
            "log = 'json'",
            &[
                "error trc.toml:1:7: `log`: expected a table, found the string \"json\" (write log = { format = \"json\" })",
            ],
        ),
        (
            "signals = { TERM = 'QUIT' }",
            &[
                "error trc.toml:1:20: `signals.SIGTERM`: expected \"stop\", \"ignore\", \"reopen\", \"reload\" or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`, found \"QUIT\" (write { forward = \"SIGQUIT\", to = [\"NAME\"] } with the name of a unit)",
            ],
        ),
        (
            "[test.t]\nexpect.listening = '*:8080'",
            &[
                "error trc.toml:2:20: `expect.listening`: expected a port such as 25, \"25/tcp\", \"127.0.0.1:53/udp\" or \"!23\", found the string \"*:8080\" (write \"8080\")",
            ],
        ),
        (
            "[test.t]\nexpect.http = { url = 'http://a/', contains = 'x' }",
            &[
                "error trc.toml:2:36: unknown key `contains` in `expect.http` (in trc this is `body`: body = \"Hello\")",
            ],
        ),
        (
            "[async.db]\nexec = 'x'\n[async.c]\nexec = 'x'\n[async.web]\nexec = 'x'\nafter = 'db, c'",
            &["error trc.toml:7:9: there is no unit `db, c` (write [\"db\", \"c\"])"],
        ),
        (
            "log.level = 'warning'",
            &[
                "error trc.toml:1:13: `log.level`: expected off, error, warn, info, debug or trace, found \"warning\" (write log.level = \"warn\")",
            ],
        ),
        (
            "[test.t]\nexec = 'x'\nexpect = 'ok'",
            &[
                "error trc.toml:3:10: `expect`: expected a table, found the string \"ok\" (write expect = { stdout = \"ok\" })",
            ],
        ),
        (
            "[async.db]\nexec = 'x'\nready.tcp = 1\n[async.web]\nexec = 'x'\nafter = ['db:ready', 'async.db.started', 'db.x']",
            &[
                "error trc.toml:6:10: there is no unit `db:ready` (write after = { db = \"ready\" })",
                "error trc.toml:6:22: there is no unit `async.db.started` (write after = { \"async.db\" = \"started\" })",
                "error trc.toml:6:42: there is no unit `db.x`",
            ],
        ),
    ]);
}

/// trc started it, and said that there is no such command.
#[test]
fn a_command_that_only_a_shell_or_docker_understands_is_pointed_out() {
    let shell = "is a command of the shell, and no shell runs this command";
    for (line, column, key, says) in [
        ("exec = 'cd /srv && x'", 8, "exec", format!("`cd` {shell} (write the directory as `cwd`, or use `script` if a shell should run it)")),
        ("exec = 'exec nginx'", 8, "exec", format!("`exec` {shell} (leave `exec` out: trc executes the command without a shell)")),
        ("exec = '. /etc/profile'", 8, "exec", format!("`.` {shell} (use `script` if a shell should run it)")),
        ("exec = 'PORT=80 node x.js'", 8, "exec", "`PORT=80` is not a command: no shell runs this command, and sets the variable (write env = { PORT = \"80\" })".to_owned()),
        ("exec = '~/bin/web -x'", 8, "exec", "`~` has no meaning here, because no shell runs this command (write ${HOME}/bin/web)".to_owned()),
        ("exec = ['nginx -g x']", 8, "exec", "the array has only one word, which contains spaces (write exec = \"nginx -g x\", or each word as an element of its own)".to_owned()),
        ("exec = 'x'\nhealth.exec = 'curl x || exit 1'", 15, "health.exec", "`||` has no meaning here, because no shell runs this command (if a shell should run it, write exec = [\"sh\", \"-c\", \"curl x || exit 1\"])".to_owned()),
        ("exec = 'x'\nstop.exec = 'cd /srv'", 13, "stop.exec", format!("`cd` {shell} (if a shell should run it, write exec = [\"sh\", \"-c\", \"cd /srv\"])")),
        ("exec = 'x'\nready.exec = 'A=1 x'", 14, "ready.exec", "`A=1` is not a command: no shell runs this command, and sets the variable (if a shell should run it, write exec = [\"sh\", \"-c\", \"A=1 x\"])".to_owned()),
        ("exec = 'x'\nhealth.exec = ['CMD', 'curl', 'x']", 15, "health.exec", "`CMD` is docker's word, and not part of the command (leave it out)".to_owned()),
        ("exec = 'x'\nhealth.exec = ['CMD-SHELL', 'a || b']", 15, "health.exec", "`CMD-SHELL` is docker's word, and not part of the command (write exec = [\"sh\", \"-c\", \"a || b\"])".to_owned()),
    ] {
        let row = 1 + line.lines().count();
        let remarks = Case::new().toml(&format!("[async.web]\n{line}")).remarks();
        assert_eq!(remarks, [format!("warning trc.toml:{row}:{column}: `{key}`: {says}")], "{line}");
    }
    toml_says(&[(
        "[async.web]\nexec = 'x'\nhealth.script = 'a || b'",
        &[
            "error trc.toml:3:8: unknown key `script` in `health` (write exec = [\"sh\", \"-c\", \"a || b\"])",
        ],
    )]);
    for line in [
        "exec = ['sh', '-c', '~/bin/x']",
        "exec = 'sh -c \"cd /x\"'",
        "exec = '/usr/bin/x=y'",
        "exec = ['x y', 'z']",
        "exec = 'env A=1 x'",
    ] {
        let remarks = Case::new().toml(&format!("[async.web]\n{line}")).remarks();
        assert_eq!(remarks, [""; 0], "{line}");
    }
}

/// They became variables without a word.
#[test]
fn keys_of_a_unit_below_the_header_of_its_variables_are_pointed_out() {
    let text = "[async.web]\nexec = 'x'\n[async.web.env]\nPORT = '80'\nuser = 'www'";
    assert_eq!(
        Case::new().toml(text).remarks(),
        [
            "warning trc.toml:5:1: `env.user` is a variable, but its name is that of a key of a unit (write it above `[async.web.env]` if it is the key, or as `env.user` there if it is a variable)"
        ]
    );
    for text in [
        "[async.web]\nexec = 'x'\nenv.user = 'www'",
        "[async.web]\nexec = 'x'\nenv = { user = 'www' }",
        "[async.web]\nexec = 'x'\n[async.web.env]\nUSER = 'www'",
    ] {
        assert_eq!(Case::new().toml(text).remarks(), [""; 0], "{text}");
    }
}

#[test]
fn a_schedule_and_a_switch_for_the_socket_are_told_what_there_is() {
    let table =
        "write a unit with `schedule`: [async.report] exec = \"report\", schedule = \"@daily\"";
    let key = "use `schedule`, such as schedule = \"every 15m\" or schedule = \"30 4 * * MON-FRI\"";
    for (text, says) in [
        (
            "control = false",
            "1:11: `control`: expected a table, found false (write control = { socket = false })"
                .to_owned(),
        ),
        (
            "control.enabled = false",
            "1:9: unknown key `enabled` in `[control]` (trc has a control socket unless you write socket = false)".to_owned(),
        ),
        ("[cron.x]\nexec = 'x'", format!("1:2: unknown key `cron` ({table})")),
        (
            "[async.x]\nexec = 'x'\nOnCalendar = 'daily'",
            format!("3:1: unknown key `OnCalendar` in `[async.x]` ({key})"),
        ),
    ] {
        assert_eq!(Case::new().toml(text).errors(), [format!("error trc.toml:{says}")], "{text}");
    }
}

#[test]
fn the_syntax_of_yaml_is_told_how_to_write() {
    toml_says(&[
        (
            "[async.web]\nexec: 'nginx -g x'",
            &[
                "error trc.toml:2:5: invalid unquoted key: expected letters, numbers, `-`, `_` (write `=` for `:`: exec = 'nginx -g x')",
            ],
        ),
        (
            "[async.web]\noneshot = yes\nenabled = Off\nalways = True",
            &[
                "error trc.toml:2:11: a string must be in quotes (write true, or \"…\" for a text)",
                "error trc.toml:3:11: a string must be in quotes (write false, or \"…\" for a text)",
                "error trc.toml:4:10: invalid boolean: expected `true` (write true, or \"…\" for a text)",
            ],
        ),
    ]);
}
