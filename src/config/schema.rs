//! Every key in one place: its name, the kind of its value, its default and its meaning. trc uses
//! it to recognize keys and variables, and the tables of the reference are generated from it.

#[cfg(test)]
use std::fmt::Write;

use super::leaf::variants;
use super::{Condition, LogFormat, OnFailure, Output, Own, StopTo, Then, WaitPolicy, When};

/// The kind of a key's value.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// True or false.
    Boolean,
    /// A span of time.
    Duration,
    /// One of these words.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference has it"))]
    OneOf(fn() -> &'static [&'static str]),
    /// A signal.
    Signal,
    /// A name or a number.
    Id,
    /// A file mode mask.
    Mode,
    /// A command's words: a string split as a shell would, or an array.
    Words,
    /// An array of strings; one string stands for an array of one.
    Texts,
    /// An exit status, or an array of them.
    Statuses,
    /// An array of unit names, or a table of unit names and conditions.
    After,
    /// A whole number from 0 on.
    Number,
    /// A whole number.
    Integer,
    /// A limit, or a soft and a hard one.
    Limit,
    /// False, or a path.
    Tty,
    /// A word, or a table with a file.
    Stdin,
    /// A word, or a table with a file and how it is rotated.
    Output,
    /// A number of bytes.
    Size,
    /// A boolean, or an array of names.
    BooleanOrTexts,
    /// A host and a port, or a port.
    Address,
    /// HTTP status codes: a number, a string such as `"2xx"` or `"200-299"`, or an array.
    Codes,
    /// A time, or two times with `..` between them.
    Backoff,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table with these keys; a string sets the first of them.
    Short(&'static [Key]),
    /// A table of variables.
    Variables,
    /// A variable: a string, or a table with a file.
    Variable,
    /// A table of signals, with the rule for each.
    Signals,
    /// The rule for a signal: a word, or a table.
    Rule,
    /// A table of exit statuses and reasons, with the exit status that replaces each.
    Exit,
    /// A table of units whose own exit status trc exits with.
    Owners,
    /// An exit status.
    Status,
    /// A table of units.
    Units,
    /// A table of tests.
    Tests,
    /// A text to look for, or an array of them.
    Patterns,
    /// A table of headers and texts.
    Headers,
    /// A name, with `!` in front if it must not be there, or an array of them.
    Names,
    /// Ports.
    Ports,
}

/// One key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// Its name.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// The default, as the reference shows it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference has it"))]
    pub default: &'static str,
    /// An example of a value; empty for a table whose keys have examples of their own.
    pub example: &'static str,
    /// Its meaning, as a short phrase.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference has it"))]
    pub doc: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, default, example, doc }
}

/// Keys of a unit that exclude one another: a later layer replaces the one of an earlier layer.
pub(crate) const RUNS: &[&str] = &["exec", "script"];

/// The same for `ready` and `health`.
pub(crate) const PROBES: &[&str] = &["tcp", "unix", "http", "exec", "file", "log", "notify", "fd"];

/// The same for `expect.fault`.
pub(crate) const FAULTS: &[&str] = &["kill", "stop"];

/// The keys at the top that are tables of units.
pub(crate) const STAGES: &[&str] = &["boot", "async", "sync", "test", "halt"];

/// The log levels.
pub(crate) const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

fn levels() -> &'static [&'static str] {
    LEVELS
}

/// The keys at the top of `trc.toml` and of a fragment.
pub(crate) const TOP: &[Key] = &[
    key(
        "wait",
        Kind::OneOf(variants::<WaitPolicy>),
        "any",
        r#""all""#,
        "[when the run ends](../README.md#when-the-run-ends-and-with-which-status) by itself; you can also write `wait_any` and so on",
    ),
    key(
        "shell",
        Kind::Words,
        "the first of bash and sh",
        r#"["/bin/ash", "-c"]"#,
        "the shell that runs scripts, with its options",
    ),
    key("shutdown", Kind::Table(SHUTDOWN), "", "", "how trc stops the run"),
    key("log", Kind::Table(LOG), "", "", "the log"),
    key("env", Kind::Variables, "", r#"{ TZ = "UTC" }"#, "variables for every unit"),
    key(
        "file_env",
        Kind::BooleanOrTexts,
        "false",
        r#"["POSTGRES_PASSWORD"]"#,
        "if `NAME_FILE` is set and `NAME` is not, units get `NAME` with the contents of that file; for all variables, or only for these",
    ),
    key(
        "signals",
        Kind::Signals,
        "",
        r#"{ HUP = "ignore" }"#,
        "what trc does when it receives a signal: `\"stop\"`, `\"ignore\"`, `\"reopen\"` or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`",
    ),
    key(
        "exit",
        Kind::Exit,
        "",
        "{ 138 = 0, stopped = 0 }",
        "replaces trc's exit status, either by number (`138 = 0`) or by reason, which takes precedence: `stopped = 0` applies after SIGTERM or SIGINT from outside if every unit stopped as it should; with `unit.db = \"own\"`, trc exits with the exit status of that unit after such a signal",
    ),
    key(
        "boot",
        Kind::Units,
        "",
        r#"{ dirs = { exec = "mkdir -p /run/web" } }"#,
        "units that run before all others, one at a time",
    ),
    key(
        "async",
        Kind::Units,
        "",
        r#"{ cron = { exec = "crond -f" } }"#,
        "units that run in the background, in parallel",
    ),
    key(
        "sync",
        Kind::Units,
        "",
        r#"{ web = { exec = "httpd -f" } }"#,
        "units that run in the foreground, one at a time",
    ),
    key(
        "test",
        Kind::Tests,
        "",
        "{ web = { expect = { tcp = 80 } } }",
        "tests, which run in test mode only",
    ),
    key(
        "halt",
        Kind::Units,
        "",
        r#"{ bye = { exec = "sync" } }"#,
        "units that run after everything else has stopped, one at a time",
    ),
];

/// The keys of `[shutdown]`.
pub(crate) const SHUTDOWN: &[Key] = &[key(
    "timeout",
    Kind::Duration,
    "9s, or more if the stop timeouts in the configuration need it",
    r#""30s""#,
    "the time that the whole stop may take, from the stop signal on",
)];

/// The keys of `[log]`.
pub(crate) const LOG: &[Key] = &[
    key(
        "level",
        Kind::OneOf(levels),
        "info with a configuration file, otherwise warn",
        r#""debug""#,
        "the least important messages to log",
    ),
    key(
        "format",
        Kind::OneOf(variants::<LogFormat>),
        "trc",
        r#""json""#,
        "the format of log lines",
    ),
    key(
        "output",
        Kind::OneOf(variants::<Output>),
        "prefix for declared async units, otherwise inherit",
        r#""inherit""#,
        "the `output` of async units that do not set their own",
    ),
];

/// The keys of a unit: of `[STAGE.NAME]`, and at the top of `STAGE.NAME.toml`.
pub(crate) const UNIT: &[Key] = &[
    key(
        "description",
        Kind::Text,
        "",
        r#""the web server""#,
        "a description of the unit, for people",
    ),
    key(
        "exec",
        Kind::Words,
        "",
        r#""nginx -g 'daemon off;'""#,
        "the command to run, without a shell",
    ),
    key("script", Kind::Text, "", r#""exec nginx""#, "the script to run, in the shell"),
    key(
        "enabled",
        Kind::Boolean,
        "true",
        r#""${WEB:-true}""#,
        "`false` removes the unit, and every reference to it in `after`",
    ),
    key(
        "oneshot",
        Kind::Boolean,
        "true for boot and halt units, and if another unit waits for this one with `succeeded` or `exited`",
        "true",
        "the unit is meant to exit by itself; its success does not end the run",
    ),
    key(
        "always",
        Kind::Boolean,
        "false",
        "true",
        "run this halt unit even if a boot unit failed, or a signal stopped the run during boot",
    ),
    key(
        "after",
        Kind::After,
        "",
        r#"{ db = "ready" }"#,
        "the units that this unit waits for: `[\"db\"]` or `{ db = \"succeeded\" }`",
    ),
    key(
        "ready",
        Kind::Table(READY),
        "",
        "",
        "how to find out whether the unit is ready; a unit with `ready` and no command is an external unit",
    ),
    key("health", Kind::Table(HEALTH), "", "", "how to find out whether the unit still works"),
    key(
        "restart",
        Kind::Short(RESTART),
        "no",
        r#"{ when = "always", max = 5 }"#,
        "when to restart the unit; a string sets `restart.when`",
    ),
    key(
        "max_runtime",
        Kind::Duration,
        "",
        r#""5m""#,
        "how long the unit may run after each start; if it takes longer, trc stops it, and it fails with 124",
    ),
    key("success", Kind::Statuses, "[0]", "[0, 143]", "the exit statuses that count as success"),
    key(
        "on_failure",
        Kind::OneOf(variants::<OnFailure>),
        "policy",
        r#""stop""#,
        "what to do if the unit fails: leave it to the wait policy, stop the run, or ignore it",
    ),
    key(
        "stop",
        Kind::Short(STOP),
        "",
        r#"{ signal = "SIGQUIT", timeout = "20s" }"#,
        "how to stop the unit; a string sets `stop.signal`",
    ),
    key(
        "pdeathsig",
        Kind::Signal,
        "",
        r#""SIGTERM""#,
        "the signal that the kernel sends the unit's process if trc is killed and is not PID 1; if PID 1 is killed, all processes are killed anyway",
    ),
    key("user", Kind::Id, "trc's own", r#""www-data""#, "the user that the unit runs as"),
    key("group", Kind::Id, "the user's own", r#""www-data""#, "the group that the unit runs as"),
    key("groups", Kind::Texts, "the user's own", r#"["ssl-cert"]"#, "its supplementary groups"),
    key("cwd", Kind::Text, "trc's own", r#""/srv""#, "its working directory"),
    key(
        "umask",
        Kind::Mode,
        "trc's own",
        r#""027""#,
        "its file mode creation mask: `\"022\"` or `0o022`",
    ),
    key("env", Kind::Variables, "", "{ PORT = 8080 }", "its variables"),
    key("env_file", Kind::Texts, "", r#""/etc/default/web""#, "files with `NAME=value` lines"),
    key(
        "env_clear",
        Kind::Boolean,
        "false",
        "true",
        "start with an empty environment; `${NAME}` still finds the variables that were cleared",
    ),
    key("limits", Kind::Table(LIMITS), "", "", "its resource limits"),
    key(
        "nice",
        Kind::Integer,
        "trc's own",
        "10",
        "its nice value, from -20 (highest priority) to 19 (lowest)",
    ),
    key(
        "oom_score_adj",
        Kind::Integer,
        "trc's own",
        "500",
        "how likely the OOM killer is to kill it, from -1000 (never) to 1000",
    ),
    key(
        "no_new_privs",
        Kind::Boolean,
        "false",
        "true",
        "set-uid programs and file capabilities give its processes no privileges",
    ),
    key(
        "capabilities",
        Kind::Texts,
        "trc's own",
        r#"["net_bind_service"]"#,
        "the capabilities that it keeps, even if it runs as another user; `[]` means none",
    ),
    key(
        "tty",
        Kind::Tty,
        "trc's own terminal for foreground units",
        r#""/dev/tty1""#,
        "the terminal that it runs on, in a session of its own; `false` means none",
    ),
    key(
        "stdin",
        Kind::Stdin,
        "null for async units, otherwise inherit",
        r#"{ file = "/srv/input" }"#,
        "its standard input",
    ),
    key(
        "output",
        Kind::Output,
        "prefix for declared async units, otherwise inherit",
        r#"{ file = "/var/log/web.log", max_size = "10MB", keep = 3 }"#,
        "where [its output](logging.md#output-of-units) goes",
    ),
];

const fn limit(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    key(name, Kind::Limit, "trc's own", example, doc)
}

/// The keys of `limits`.
pub(crate) const LIMITS: &[Key] = &[
    limit("as", r#""2GiB""#, "the size of the address space"),
    limit("core", "0", "the size of a core file"),
    limit("cpu", "60", "seconds of CPU time"),
    limit("data", r#""1GiB""#, "the size of the data segment"),
    limit("fsize", r#""1GiB""#, "the size of a file that the unit writes"),
    limit("locks", "100", "file locks and leases; only old kernels enforce it"),
    limit("memlock", r#""unlimited""#, "the memory that the unit may lock"),
    limit("msgqueue", r#""1MiB""#, "bytes in POSIX message queues"),
    limit("nice", "20", "20 minus the lowest nice value that the unit may set"),
    limit("nofile", r#""1024:65536""#, "open file descriptors"),
    limit("nproc", "512", "processes and threads of its user"),
    limit("rss", r#""unlimited""#, "resident memory; current kernels do not enforce it"),
    limit("rtprio", "10", "the highest real-time priority that the unit may set"),
    limit(
        "rttime",
        "200000",
        "microseconds of CPU time under real-time scheduling without a blocking system call",
    ),
    limit("sigpending", "1000", "pending signals of its user"),
    limit("stack", r#""16MiB""#, "the size of the main thread's stack"),
];

/// The key of a value that a file contains.
pub(crate) const SECRET: &[Key] =
    &[key("file", Kind::Text, "", r#""/run/secrets/db""#, "the file that contains the value")];

/// The keys of `output` if it is a file.
pub(crate) const OUTPUT: &[Key] = &[
    key("file", Kind::Text, "", r#""/var/log/web.log""#, "the file that trc appends lines to"),
    key(
        "max_size",
        Kind::Size,
        "",
        r#""10MB""#,
        "the largest size of the file, at least 4 KiB; trc then starts a new file",
    ),
    key("keep", Kind::Number, "3", "10", "how many earlier files to keep, as `FILE.1` and so on"),
];

/// The keys of `stop`.
pub(crate) const STOP: &[Key] = &[
    key("signal", Kind::Signal, "SIGTERM", r#""SIGQUIT""#, "the stop signal"),
    key("timeout", Kind::Duration, "5s", r#""20s""#, "the time from the stop signal to SIGKILL"),
    key(
        "to",
        Kind::OneOf(variants::<StopTo>),
        "process for exec units, group for shell units",
        r#""group""#,
        "whether the main process or its whole process group gets the signal",
    ),
    key(
        "exec",
        Kind::Words,
        "",
        r#""nginx -s quit""#,
        "the command to run instead of sending the signal; it runs as the unit's user, with the unit's environment and the PID of its main process in `TRC_PID`",
    ),
];

const fn tcp() -> Key {
    key(
        "tcp",
        Kind::Address,
        "",
        r#""127.0.0.1:5432""#,
        "something accepts a TCP connection at this address; a port alone means `localhost`",
    )
}

const fn unix() -> Key {
    key(
        "unix",
        Kind::Text,
        "",
        r#""/run/app.sock""#,
        "something accepts a connection to this Unix stream socket",
    )
}

const fn http() -> Key {
    key(
        "http",
        Kind::Short(HTTP),
        "",
        r#""http://127.0.0.1:8080/healthz""#,
        "a GET request gets an answer; a string sets `http.url`",
    )
}

const fn exec() -> Key {
    key(
        "exec",
        Kind::Words,
        "",
        r#""pg_isready -q""#,
        "this command exits with 0; it runs as the unit's user, with the unit's environment",
    )
}

const fn file() -> Key {
    key("file", Kind::Text, "", r#""/run/app.pid""#, "this path exists")
}

const fn log(doc: &'static str) -> Key {
    key("log", Kind::Text, "", r#""listening on .*:80""#, doc)
}

const fn notify(doc: &'static str) -> Key {
    key("notify", Kind::Boolean, "false", "true", doc)
}

const fn timeout() -> Key {
    key("timeout", Kind::Duration, "5s", r#""1s""#, "how long an attempt may take")
}

/// The keys of `ready`.
pub(crate) const READY: &[Key] = &[
    tcp(),
    unix(),
    http(),
    exec(),
    file(),
    log("a line of the unit's output matches this regular expression"),
    notify("the unit sends `READY=1` to `NOTIFY_SOCKET`, as for systemd"),
    key(
        "fd",
        Kind::Number,
        "",
        "3",
        "the unit writes a newline to this file descriptor, as for s6",
    ),
    key(
        "every",
        Kind::Duration,
        "100ms",
        r#""1s""#,
        "the time between attempts; the first ones follow faster",
    ),
    timeout(),
    key(
        "within",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "the time from the start within which the unit must be ready; otherwise it fails with 124",
    ),
];

/// The keys of `health`.
pub(crate) const HEALTH: &[Key] = &[
    tcp(),
    unix(),
    http(),
    exec(),
    file(),
    log("in each period of `every`, a line of the unit's output matches this regular expression"),
    notify("in each period of `every`, the unit sends `WATCHDOG=1` to `NOTIFY_SOCKET`"),
    key("every", Kind::Duration, "10s", r#""30s""#, "the time between attempts"),
    timeout(),
    key("failures", Kind::Number, "3", "5", "how many attempts in a row must fail before trc acts"),
    key(
        "then",
        Kind::OneOf(variants::<Then>),
        "restart",
        r#""stop""#,
        "what to do if the unit is unhealthy: restart it, stop the run, or only log it",
    ),
];

/// The keys of `http`.
pub(crate) const HTTP: &[Key] = &[
    key(
        "url",
        Kind::Text,
        "",
        r#""http://127.0.0.1:8080""#,
        "the URL to request; TLS is not supported",
    ),
    key("path", Kind::Text, "the path in `url`, or `/`", r#""/healthz""#, "the path to request"),
    key("host", Kind::Text, "the host and port in `url`", r#""example.com""#, "the `Host` header"),
    key("status", Kind::Codes, "200-399", r#"[200, "3xx"]"#, "the accepted status codes"),
];

/// The keys of `restart`.
pub(crate) const RESTART: &[Key] = &[
    key(
        "when",
        Kind::OneOf(variants::<When>),
        "on-failure if `restart` is a table, otherwise no",
        r#""always""#,
        "when to restart the unit: never, after a failure, or after every exit",
    ),
    key(
        "max",
        Kind::Number,
        "no limit",
        "5",
        "how many restarts are allowed within `window`; if the unit then exits once more, trc gives up on it",
    ),
    key(
        "window",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "the time over which `max` counts; a unit that stays up for this long starts over with the shortest delay",
    ),
    key(
        "backoff",
        Kind::Backoff,
        "200ms..30s",
        r#""1s..1m""#,
        "the delay before a restart: it doubles each time, and is shortened by a random amount of up to half",
    ),
    key(
        "with",
        Kind::Texts,
        "",
        r#"["db"]"#,
        "the units that this unit restarts with, like systemd's `PartOf`; it waits for them as with `after`",
    ),
];

/// The keys of a test that a unit does not have, or that mean something else there: those of
/// `[test.NAME]`, and those at the top level of `test.NAME.toml`.
pub(crate) const TEST_OWN: [Key; 8] = [
    key(
        "description",
        Kind::Text,
        "",
        r#""the server accepts mail""#,
        "a description of the test, for reports",
    ),
    key(
        "exec",
        Kind::Words,
        "",
        r#""smtpctl show status""#,
        "the command of the test, without a shell",
    ),
    key(
        "script",
        Kind::Text,
        "",
        r#""smtpctl show status""#,
        "the script of the test, in the shell",
    ),
    key(
        "after",
        Kind::After,
        "all units",
        r#"["web"]"#,
        "the units that the test is about and waits for: see [When a test runs](testing-images.md#when-a-test-runs)",
    ),
    key(
        "start_within",
        Kind::Duration,
        "5m",
        r#""20m""#,
        "how long the test waits for these units; it does not wait again for a unit that another test has waited for in vain",
    ),
    key(
        "max_runtime",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "how long an attempt may take; trc kills a command that takes longer",
    ),
    key(
        "allow",
        Kind::Texts,
        "",
        r#"["async.web.stop", "orphans"]"#,
        "test points of the stop drill that may fail",
    ),
    key("expect", Kind::Table(EXPECT), "", "", "what the test expects"),
];

/// The keys that a test shares with a unit.
const TEST_SHARED: [&str; 15] = [
    "enabled",
    "user",
    "group",
    "groups",
    "cwd",
    "umask",
    "env",
    "env_file",
    "env_clear",
    "limits",
    "nice",
    "oom_score_adj",
    "no_new_privs",
    "capabilities",
    "stdin",
];

/// All keys of a test.
pub(crate) const TEST: &[Key] = &{
    let mut keys = [UNIT[0]; TEST_OWN.len() + TEST_SHARED.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = if at < TEST_OWN.len() {
            TEST_OWN[at]
        } else {
            of_unit(TEST_SHARED[at - TEST_OWN.len()])
        };
        at += 1;
    }
    keys
};

/// A key of a unit, by its name.
const fn of_unit(name: &str) -> Key {
    let mut at = 0;
    while !same(UNIT[at].name, name) {
        at += 1;
    }
    UNIT[at]
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The keys of `expect`.
pub(crate) const EXPECT: &[Key] = &[
    key(
        "exit",
        Kind::Statuses,
        "0 if the test has a command",
        "[0, 3]",
        "the exit status of the command; 128 + n if signal n terminated it",
    ),
    key(
        "stdout",
        Kind::Patterns,
        "",
        r#"["MTA running", "!/error|fail/"]"#,
        "the standard output of the command contains this text or matches this `/regular expression/`; with `!` in front, it does not",
    ),
    key("stderr", Kind::Patterns, "", r#""!error""#, "the same for standard error"),
    key(
        "http",
        Kind::Short(EXPECT_HTTP),
        "",
        r#""http://127.0.0.1:8080/healthz""#,
        "a GET request gets an answer; a string sets `http.url`",
    ),
    tcp(),
    unix(),
    key(
        "listening",
        Kind::Ports,
        "",
        r#"["25/tcp", "127.0.0.1:53/udp", "!23"]"#,
        "something listens on these ports; a port alone must be reachable from outside, not only through the loopback; with `!` in front, nothing listens on the port, on any address or on the one that you write",
    ),
    key(
        "file",
        Kind::Short(EXPECT_FILE),
        "",
        r#""/run/web.pid""#,
        "a file; a string sets `file.path`",
    ),
    key(
        "running",
        Kind::Names,
        "",
        r#"["smtpd", "nginx: worker", "!sshd"]"#,
        "processes that run, by name; a text with a space or a `/regular expression/` is compared with their command lines; with `!` in front, no such process runs",
    ),
    key(
        "user",
        Kind::Id,
        "",
        r#""www-data""#,
        "the user that the processes in `running` run as; without `running`, the user of the main processes of the units",
    ),
    key("log", Kind::Table(EXPECT_LOG), "", "", "lines that units have printed, on either stream"),
    key(
        "within",
        Kind::Duration,
        "",
        r#""10s""#,
        "trc tries again for this long; without it, there is one attempt",
    ),
    key(
        "holds",
        Kind::Duration,
        "",
        r#""5s""#,
        "once the checks have passed, they must pass for this long, and no unit may restart meanwhile",
    ),
    key(
        "ready_within",
        Kind::Duration,
        "",
        r#""3s""#,
        "each unit was ready within this time after its start",
    ),
    key(
        "max_rss",
        Kind::Size,
        "",
        r#""64MiB""#,
        "the most resident memory of each unit, and the most that any of its processes has ever used",
    ),
    key(
        "max_cpu",
        Kind::Duration,
        "",
        r#""2s""#,
        "the most CPU time of each unit so far, including its processes that have exited",
    ),
    key(
        "max_fds",
        Kind::Number,
        "",
        "100",
        "the most open file descriptors of each process of the units",
    ),
    key("max_processes", Kind::Number, "", "8", "the most processes of each unit"),
    key(
        "stop_status",
        Kind::Statuses,
        "",
        "[0, 143]",
        "the exit status of each unit when trc stops it after the last test; 128 + n if signal n terminated it",
    ),
    key(
        "stop_within",
        Kind::Duration,
        "",
        r#""3s""#,
        "each unit exits within this time when trc stops it after the last test",
    ),
    key(
        "max_memory",
        Kind::Size,
        "",
        r#""256MiB""#,
        "the peak memory of the whole container, as counted by its cgroup; the check also fails if the OOM killer killed a process",
    ),
    key("no_new_privs", Kind::Boolean, "", "true", "the container cannot gain privileges"),
    key(
        "read_only_root",
        Kind::Boolean,
        "",
        "true",
        "the container's root file system is read-only",
    ),
    key(
        "capabilities",
        Kind::Texts,
        "",
        r#"["chown", "setuid", "setgid"]"#,
        "the container has no capabilities but these",
    ),
    key("uid", Kind::Number, "", "1000", "the user ID of the container, which trc runs as"),
    key(
        "fault",
        Kind::Table(EXPECT_FAULT),
        "",
        "",
        "what trc does to a unit before the checks; the unit must be up again, and all other checks must pass, within 30 s or the time in `within`",
    ),
];

/// The keys of `expect.http`.
pub(crate) const EXPECT_HTTP: &[Key] = &[
    HTTP[0],
    HTTP[1],
    HTTP[2],
    Key { default: "200-299", ..HTTP[3] },
    key("body", Kind::Patterns, "", r#""\"ok\"""#, "texts in the body of the answer"),
    key(
        "headers",
        Kind::Headers,
        "",
        r#"{ content-type = "/^text.html/", server = "!nginx/" }"#,
        "texts in the headers of the answer",
    ),
];

/// The keys of `expect.file`.
pub(crate) const EXPECT_FILE: &[Key] = &[
    key("path", Kind::Text, "", r#""/etc/web.conf""#, "the path of the file"),
    key("exists", Kind::Boolean, "true", "false", "whether the file exists"),
    key("mode", Kind::Mode, "", r#""640""#, "its permission bits"),
    key("owner", Kind::Text, "", r#""root:www-data""#, "its owner: a user, or a user and a group"),
    key("contains", Kind::Patterns, "", r#""!$${""#, "texts in the file"),
];

/// The keys of `expect.log`.
pub(crate) const EXPECT_LOG: &[Key] = &[
    key(
        "unit",
        Kind::Text,
        "the units that the test is about",
        r#""web""#,
        "the unit that printed the lines",
    ),
    key("contains", Kind::Patterns, "", r#""listening on""#, "texts in a line of the output"),
    key(
        "forbids",
        Kind::Patterns,
        "",
        r#"["/ERROR|FATAL/"]"#,
        "texts in no line of the output, until everything has stopped or the first fault",
    ),
];

/// The keys of `expect.fault`.
pub(crate) const EXPECT_FAULT: &[Key] = &[
    key("unit", Kind::Text, "", r#""web""#, "the unit that trc damages"),
    key("kill", Kind::Signal, "", r#""SIGKILL""#, "the signal that trc sends its main process"),
    key(
        "stop",
        Kind::Duration,
        "",
        r#""5s""#,
        "how long trc suspends it with SIGSTOP, unless the unit is restarted before",
    ),
    key(
        "restarts",
        Kind::Boolean,
        "depends on the signal",
        "true",
        "whether a new process must run afterwards (`true`) or the same one (`false`); [Faults](testing-images.md#faults) has the defaults",
    ),
];

/// The keys of a signal's table in `[signals]`.
pub(crate) const FORWARD: &[Key] = &[
    key(
        "forward",
        Kind::Signal,
        "the signal that trc received",
        r#""SIGQUIT""#,
        "the signal to forward",
    ),
    key("to", Kind::Texts, "all units that run", r#"["nginx"]"#, "the units that receive it"),
];

/// The keys as a table in Markdown, with the keys of inner tables as `stop.signal`.
#[cfg(test)]
pub(crate) fn reference(keys: &'static [Key]) -> String {
    let mut out =
        "| key | value | default | example | meaning |\n|---|---|---|---|---|\n".to_owned();
    rows(keys, "", &mut out);
    out
}

#[cfg(test)]
fn rows(keys: &'static [Key], prefix: &str, out: &mut String) {
    for Key { name, kind, default, example, doc } in keys {
        if !matches!(kind, Kind::Table(_)) {
            let kind = kind.describe();
            // A `|` would end the cell.
            let example = example.replace('|', "\\|");
            _ = writeln!(out, "| `{prefix}{name}` | {kind} | {default} | `{example}` | {doc} |");
        }
        if let Kind::Table(inner) | Kind::Short(inner) = kind {
            rows(inner, &format!("{prefix}{name}."), out);
        }
    }
}

/// The key of this name.
pub(crate) fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// The kind of a key's value, if there is such a key.
pub(crate) fn kind_at(path: &[String]) -> Option<Kind> {
    path.iter().try_fold(Kind::Table(TOP), |kind, name| {
        Some(match kind {
            Kind::Table(keys) | Kind::Short(keys) => find(keys, name)?.kind,
            Kind::Units => Kind::Table(UNIT),
            Kind::Tests => Kind::Table(TEST),
            Kind::Headers => Kind::Patterns,
            // Below its name: that of a file.
            Kind::Variables => Kind::Variable,
            Kind::Variable | Kind::Stdin => find(SECRET, name)?.kind,
            Kind::Output => find(OUTPUT, name)?.kind,
            Kind::After => Kind::OneOf(variants::<Condition>),
            Kind::Signals => Kind::Rule,
            Kind::Rule => find(FORWARD, name)?.kind,
            Kind::Exit if name == "unit" => Kind::Owners,
            Kind::Exit => Kind::Status,
            Kind::Owners => Kind::OneOf(variants::<Own>),
            _ => return None,
        })
    })
}

impl Kind {
    /// The values that can be written, for the reference.
    #[cfg(test)]
    pub(crate) fn describe(self) -> String {
        let words = |words: &[&str]| {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::Text => "string".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Duration => "time".to_owned(),
            Self::OneOf(variants) => words(variants()),
            Self::Signal => "signal".to_owned(),
            Self::Id => "name or number".to_owned(),
            Self::Mode => "octal mask".to_owned(),
            Self::Words | Self::Patterns | Self::Names => "string or array of strings".to_owned(),
            Self::Texts => "array of strings".to_owned(),
            Self::Statuses => "number from 0 to 255, or array of them".to_owned(),
            Self::After => "array or table of units".to_owned(),
            Self::Number | Self::Integer => "number".to_owned(),
            Self::Limit => "limit or `\"SOFT:HARD\"`".to_owned(),
            Self::Tty => "false or path".to_owned(),
            Self::Output => {
                let words = words(variants::<Output>());
                format!("{words} or `{{ file, max_size, keep }}`")
            }
            Self::Size => "size".to_owned(),
            Self::Stdin => "`\"null\"` `\"inherit\"` or `{ file = … }`".to_owned(),
            Self::BooleanOrTexts => "boolean or array of strings".to_owned(),
            Self::Address => "`\"HOST:PORT\"` or port".to_owned(),
            Self::Codes => "number, string or array of them".to_owned(),
            Self::Backoff => "time or `\"TIME..TIME\"`".to_owned(),
            Self::Table(_) => "table".to_owned(),
            Self::Variables => "table of variables".to_owned(),
            Self::Variable => "string or `{ file = … }`".to_owned(),
            Self::Signals => "table of signals".to_owned(),
            Self::Short(_) | Self::Rule => "string or table".to_owned(),
            Self::Exit => "table of exit statuses and reasons".to_owned(),
            Self::Status => "number from 0 to 255".to_owned(),
            Self::Units | Self::Owners => "table of units".to_owned(),
            Self::Tests => "table of tests".to_owned(),
            Self::Headers => "table of strings".to_owned(),
            Self::Ports => "port, string or array of them".to_owned(),
        }
    }

    /// Whether the value can be an array.
    pub(crate) fn takes_array(self) -> bool {
        matches!(
            self,
            Self::Words
                | Self::Texts
                | Self::BooleanOrTexts
                | Self::Statuses
                | Self::Codes
                | Self::After
                | Self::Patterns
                | Self::Names
                | Self::Ports
        )
    }

    /// Whether the value can be a table.
    pub(crate) fn takes_table(self) -> bool {
        matches!(
            self,
            Self::After
                | Self::Table(_)
                | Self::Short(_)
                | Self::Variables
                | Self::Stdin
                | Self::Output
                | Self::Signals
                | Self::Rule
                | Self::Exit
                | Self::Owners
                | Self::Units
                | Self::Tests
                | Self::Headers
        )
    }

    /// Whether the value can be any text, so that quotes belong to the text.
    pub(crate) fn takes_any_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Variable
                | Self::Words
                | Self::Texts
                | Self::Id
                | Self::Patterns
                | Self::Names
        )
    }
}
