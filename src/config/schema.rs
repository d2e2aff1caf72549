//! Every key: its name, the kind of its value, its default and what it means, in one
//! place. Unknown keys, variables and the reference are checked and made from it.

#[cfg(test)]
use std::fmt::Write;

use super::leaf::variants;
use super::{Condition, LogFormat, OnFailure, Output, Own, StopTo, Then, WaitPolicy, When};

/// What a key's value looks like.
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
    /// True, false or names.
    BooleanOrTexts,
    /// A host and a port, or a port.
    Address,
    /// HTTP status codes: a number, a string such as `"2xx"` or `"200-299"`, or an array.
    Codes,
    /// A time, or two with `..` between them.
    Backoff,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table with these keys; a string stands for the one with its first key.
    Short(&'static [Key]),
    /// A table of variables.
    Variables,
    /// A variable: a string, or a table with a file.
    Variable,
    /// A table of signals and what they do.
    Signals,
    /// What a signal does: a word, or a table.
    Rule,
    /// A table of exit statuses, or reasons, and what becomes of them.
    Exit,
    /// A table of units whose own status counts.
    Owners,
    /// An exit status.
    Status,
    /// A table of units.
    Units,
    /// A table of tests.
    Tests,
    /// Texts to look for: one, or an array.
    Patterns,
    /// A table of headers and texts.
    Headers,
    /// A name and a `!` before what must not be, or an array of such.
    Names,
    /// Ports.
    Ports,
}

/// One key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What holds without it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference has it"))]
    pub default: &'static str,
    /// A value as it may be written; empty for a table of keys of its own.
    pub example: &'static str,
    /// What it means.
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

/// Of these keys of a unit the later layer's removes the earlier's.
pub(crate) const RUNS: &[&str] = &["exec", "script"];

/// Of these keys of `ready` and `health` the later layer's removes the earlier's.
pub(crate) const PROBES: &[&str] = &["tcp", "unix", "http", "exec", "file", "log", "notify", "fd"];

/// Of these keys of `expect.fault` the later layer's removes the earlier's.
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
        "when the run ends by itself; `wait_any` is `any`, and so on",
    ),
    key(
        "shell",
        Kind::Words,
        "the first of bash and sh",
        r#"["/bin/ash", "-c"]"#,
        "the shell and its options for scripts, such as `[\"/bin/ash\", \"-c\"]`",
    ),
    key("shutdown", Kind::Table(SHUTDOWN), "", "", "how the run is stopped"),
    key("log", Kind::Table(LOG), "", "", "the log"),
    key("env", Kind::Variables, "", r#"{ TZ = "UTC" }"#, "variables of every unit"),
    key(
        "file_env",
        Kind::BooleanOrTexts,
        "false",
        r#"["POSTGRES_PASSWORD"]"#,
        "for all variables, or these: where `NAME_FILE` is set, and `NAME` isn't, units get `NAME` with what that file holds",
    ),
    key(
        "signals",
        Kind::Signals,
        "",
        r#"{ HUP = "ignore" }"#,
        "what a signal to trc does: `\"stop\"`, `\"ignore\"`, `\"reopen\"` or `{ forward = \"SIGQUIT\", to = [\"nginx\"] }`",
    ),
    key(
        "exit",
        Kind::Exit,
        "",
        "{ 138 = 0, stopped = 0 }",
        "what becomes of trc's exit status: by number, `138 = 0`; or by reason, which wins: `stopped = 0`, after a TERM or INT from outside that everything has obeyed; `unit.db = \"own\"`, after such a signal the status of that unit",
    ),
    key(
        "boot",
        Kind::Units,
        "",
        r#"{ dirs = { exec = "mkdir -p /run/web" } }"#,
        "units that run before all else, one by one",
    ),
    key(
        "async",
        Kind::Units,
        "",
        r#"{ cron = { exec = "crond -f" } }"#,
        "units that run in the background",
    ),
    key(
        "sync",
        Kind::Units,
        "",
        r#"{ web = { exec = "httpd -f" } }"#,
        "units that run in the foreground, one by one",
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
        "units that run after everything has stopped, one by one",
    ),
];

/// The keys of `[shutdown]`.
pub(crate) const SHUTDOWN: &[Key] = &[key(
    "timeout",
    Kind::Duration,
    "9s, or more if written stop timeouts need it",
    r#""30s""#,
    "the time from a stop signal to the end of everything",
)];

/// The keys of `[log]`.
pub(crate) const LOG: &[Key] = &[
    key(
        "level",
        Kind::OneOf(levels),
        "info with a configuration file, else warn",
        r#""debug""#,
        "what is said",
    ),
    key("format", Kind::OneOf(variants::<LogFormat>), "trc", r#""json""#, "how lines look"),
    key(
        "output",
        Kind::OneOf(variants::<Output>),
        "prefix for declared async units, else inherit",
        r#""inherit""#,
        "the `output` of background units that have none of their own",
    ),
];

/// The keys of a unit: of `[STAGE.NAME]`, and at the top of `STAGE.NAME.toml`.
pub(crate) const UNIT: &[Key] = &[
    key("description", Kind::Text, "", r#""the web server""#, "what the unit is, for people"),
    key("exec", Kind::Words, "", r#""nginx -g 'daemon off;'""#, "what to run, without a shell"),
    key("script", Kind::Text, "", r#""exec nginx""#, "what to run, as text for the shell"),
    key(
        "enabled",
        Kind::Boolean,
        "true",
        r#""${WEB:-true}""#,
        "false takes the unit away, and every edge to it",
    ),
    key(
        "oneshot",
        Kind::Boolean,
        "true for boot and halt units and those waited for to end",
        "true",
        "it is meant to end: its success stops nothing",
    ),
    key(
        "always",
        Kind::Boolean,
        "false",
        "true",
        "a halt unit runs although boot failed, or was cut short by a signal",
    ),
    key(
        "after",
        Kind::After,
        "",
        r#"{ db = "ready" }"#,
        "the units it waits for: `[\"db\"]` or `{ db = \"succeeded\" }`",
    ),
    key(
        "ready",
        Kind::Table(READY),
        "",
        "",
        "how it is found out whether it is ready; with nothing to run, the unit stands for something outside",
    ),
    key("health", Kind::Table(HEALTH), "", "", "how it is found out whether it still works"),
    key(
        "restart",
        Kind::Short(RESTART),
        "no",
        r#"{ when = "always", max = 5 }"#,
        "after which ends it is started again; one of the words of `when` stands for the table",
    ),
    key(
        "max_runtime",
        Kind::Duration,
        "",
        r#""5m""#,
        "how long a run of it may take: after that it is stopped, and has failed with 124",
    ),
    key("success", Kind::Statuses, "[0]", "[0, 143]", "the exit statuses that are success"),
    key(
        "on_failure",
        Kind::OneOf(variants::<OnFailure>),
        "policy",
        r#""stop""#,
        "what its failure does to the run",
    ),
    key(
        "stop",
        Kind::Short(STOP),
        "",
        r#"{ signal = "SIGQUIT", timeout = "20s" }"#,
        "how it is stopped; the signal alone stands for the table",
    ),
    key(
        "pdeathsig",
        Kind::Signal,
        "",
        r#""SIGTERM""#,
        "the signal that its process gets if trc is killed by KILL where it is not PID 1; as PID 1 its end is that of all processes",
    ),
    key("user", Kind::Id, "trc's own", r#""www-data""#, "the user it runs as"),
    key("group", Kind::Id, "the user's", r#""www-data""#, "the group it runs as"),
    key("groups", Kind::Texts, "the user's", r#"["ssl-cert"]"#, "its supplementary groups"),
    key("cwd", Kind::Text, "trc's own", r#""/srv""#, "its working directory"),
    key(
        "umask",
        Kind::Mode,
        "trc's own",
        r#""027""#,
        "its file mode creation mask: `\"022\"` or `0o022`",
    ),
    key("env", Kind::Variables, "", "{ PORT = 8080 }", "its variables"),
    key("env_file", Kind::Texts, "", r#""/etc/default/web""#, "files of `NAME=value` lines"),
    key(
        "env_clear",
        Kind::Boolean,
        "false",
        "true",
        "start from an empty environment; `${NAME}` still finds what was cleared",
    ),
    key("limits", Kind::Table(LIMITS), "", "", "its resource limits"),
    key("nice", Kind::Integer, "trc's own", "10", "its nice value, -20 (favoured) to 19"),
    key(
        "oom_score_adj",
        Kind::Integer,
        "trc's own",
        "500",
        "how readily the OOM killer takes it, -1000 (never) to 1000",
    ),
    key(
        "no_new_privs",
        Kind::Boolean,
        "false",
        "true",
        "set-uid programs and file capabilities give it nothing",
    ),
    key(
        "capabilities",
        Kind::Texts,
        "trc's own",
        r#"["net_bind_service"]"#,
        "the capabilities it keeps, as another user too; `[]` is none",
    ),
    key(
        "tty",
        Kind::Tty,
        "trc's own terminal, for foreground units",
        r#""/dev/tty1""#,
        "the terminal it runs on, in a session of its own; false: none",
    ),
    key(
        "stdin",
        Kind::Stdin,
        "null for async units, else inherit",
        r#"{ file = "/srv/input" }"#,
        "what it reads",
    ),
    key(
        "output",
        Kind::Output,
        "prefix for declared async units, else inherit",
        r#"{ file = "/var/log/web.log", max_size = "10MB", keep = 3 }"#,
        "where its output goes",
    ),
];

const fn limit(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    key(name, Kind::Limit, "trc's own", example, doc)
}

/// The keys of `limits`.
pub(crate) const LIMITS: &[Key] = &[
    limit("as", r#""2GiB""#, "address space"),
    limit("core", "0", "a core file's size"),
    limit("cpu", "60", "seconds of CPU time"),
    limit("data", r#""1GiB""#, "the data segment"),
    limit("fsize", r#""1GiB""#, "the largest file it may write"),
    limit("locks", "100", "locks and leases; only old kernels look"),
    limit("memlock", r#""unlimited""#, "memory it may lock"),
    limit("msgqueue", r#""1MiB""#, "POSIX message queues"),
    limit("nice", "20", "20 less the nice value it may go down to"),
    limit("nofile", r#""1024:65536""#, "one more than the highest descriptor"),
    limit("nproc", "512", "processes of its user"),
    limit("rss", r#""unlimited""#, "resident memory; no kernel looks any more"),
    limit("rtprio", "10", "the highest real-time priority"),
    limit("rttime", "200000", "microseconds of real-time CPU without a pause"),
    limit("sigpending", "1000", "signals that wait for its user"),
    limit("stack", r#""16MiB""#, "the main thread's stack"),
];

/// The key of a value that a file holds.
pub(crate) const SECRET: &[Key] =
    &[key("file", Kind::Text, "", r#""/run/secrets/db""#, "the file that holds it")];

/// The keys of `output`, where that is a file.
pub(crate) const OUTPUT: &[Key] = &[
    key("file", Kind::Text, "", r#""/var/log/web.log""#, "the file that lines are appended to"),
    key(
        "max_size",
        Kind::Size,
        "",
        r#""10MB""#,
        "with one more line another file is begun; 4 KiB at least",
    ),
    key("keep", Kind::Number, "3", "10", "how many earlier files are kept, as `FILE.1` and so on"),
];

/// The keys of `stop`.
pub(crate) const STOP: &[Key] = &[
    key("signal", Kind::Signal, "SIGTERM", r#""SIGQUIT""#, "the stop signal"),
    key("timeout", Kind::Duration, "5s", r#""20s""#, "the time from the stop signal to KILL"),
    key(
        "to",
        Kind::OneOf(variants::<StopTo>),
        "process for exec, group for shell units",
        r#""group""#,
        "whom the signal goes to",
    ),
    key(
        "exec",
        Kind::Words,
        "",
        r#""nginx -s quit""#,
        "a command that stops it, in place of the signal; it runs as the unit's user in its environment, and finds the unit's process in `TRC_PID`",
    ),
];

const fn tcp() -> Key {
    key(
        "tcp",
        Kind::Address,
        "",
        r#""127.0.0.1:5432""#,
        "something accepts a connection there; a port alone is on `localhost`",
    )
}

const fn unix() -> Key {
    key(
        "unix",
        Kind::Text,
        "",
        r#""/run/app.sock""#,
        "something accepts a connection to this stream socket",
    )
}

const fn http() -> Key {
    key(
        "http",
        Kind::Short(HTTP),
        "",
        r#""http://127.0.0.1:8080/healthz""#,
        "a GET is answered; the URL alone stands for the table",
    )
}

const fn exec() -> Key {
    key(
        "exec",
        Kind::Words,
        "",
        r#""pg_isready -q""#,
        "this command ends with 0; it runs as the unit's user in its environment",
    )
}

const fn file() -> Key {
    key("file", Kind::Text, "", r#""/run/app.pid""#, "this path is there")
}

const fn log(doc: &'static str) -> Key {
    key("log", Kind::Text, "", r#""listening on .*:80""#, doc)
}

const fn notify(doc: &'static str) -> Key {
    key("notify", Kind::Boolean, "false", "true", doc)
}

const fn timeout() -> Key {
    key("timeout", Kind::Duration, "5s", r#""1s""#, "how long a try may take")
}

/// The keys of `ready`.
pub(crate) const READY: &[Key] = &[
    tcp(),
    unix(),
    http(),
    exec(),
    file(),
    log("a line of the unit's own output matches this regular expression"),
    notify("the unit says so itself, by systemd's protocol: `READY=1` to `NOTIFY_SOCKET`"),
    key("fd", Kind::Number, "", "3", "the unit writes a newline to this descriptor, as s6 has it"),
    key(
        "every",
        Kind::Duration,
        "100ms",
        r#""1s""#,
        "from one try to the next; the first ones follow faster",
    ),
    timeout(),
    key(
        "within",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "from the start to when it has failed with 124",
    ),
];

/// The keys of `health`.
pub(crate) const HEALTH: &[Key] = &[
    tcp(),
    unix(),
    http(),
    exec(),
    file(),
    log("in each `every` a line of the unit's own output matches this regular expression"),
    notify("in each `every` the unit sends `WATCHDOG=1` to `NOTIFY_SOCKET`"),
    key("every", Kind::Duration, "10s", r#""30s""#, "from one try to the next"),
    timeout(),
    key("failures", Kind::Number, "3", "5", "how many tries must fail in a row"),
    key(
        "then",
        Kind::OneOf(variants::<Then>),
        "restart",
        r#""stop""#,
        "what becomes of it: `stop` stops the run, `ignore` only says so",
    ),
];

/// The keys of `http`.
pub(crate) const HTTP: &[Key] = &[
    key("url", Kind::Text, "", r#""http://127.0.0.1:8080""#, "whom to ask, without TLS"),
    key("path", Kind::Text, "that of `url`, or `/`", r#""/healthz""#, "what to ask for"),
    key("host", Kind::Text, "that of `url`", r#""example.com""#, "the `Host` header"),
    key("status", Kind::Codes, "200-399", r#"[200, "3xx"]"#, "the status codes that will do"),
];

/// The keys of `restart`.
pub(crate) const RESTART: &[Key] = &[
    key(
        "when",
        Kind::OneOf(variants::<When>),
        "on-failure in a table, else no",
        r#""always""#,
        "after which ends",
    ),
    key(
        "max",
        Kind::Number,
        "any number",
        "5",
        "how many restarts there may be in `window`; one more end, and it has ended",
    ),
    key(
        "window",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "the time in which `max` counts; a run of that length makes the next wait the first again",
    ),
    key(
        "backoff",
        Kind::Backoff,
        "200ms..30s",
        r#""1s..1m""#,
        "the wait before a restart, doubled from one to the next, less up to half by chance",
    ),
    key(
        "with",
        Kind::Texts,
        "",
        r#"["db"]"#,
        "units that it is restarted together with, as with systemd's `PartOf`; it waits for them as with `after`",
    ),
];

/// The keys of a test that are not as a unit's: of `[test.NAME]`, and at the top of
/// `test.NAME.toml`.
pub(crate) const TEST_OWN: [Key; 8] = [
    key("description", Kind::Text, "", r#""mail is taken""#, "what it is about, for reports"),
    key("exec", Kind::Words, "", r#""smtpctl show status""#, "a command, without a shell"),
    key("script", Kind::Text, "", r#""smtpctl show status""#, "a command, as text for the shell"),
    key(
        "after",
        Kind::After,
        "all units",
        r#"["web"]"#,
        "the units that it is about, and waits for: a name alone is ready, or started; without it all, one-shots until they have succeeded",
    ),
    key(
        "start_within",
        Kind::Duration,
        "5m",
        r#""20m""#,
        "how long it waits for them; no longer for one that another test has waited for in vain",
    ),
    key(
        "max_runtime",
        Kind::Duration,
        "60s",
        r#""5m""#,
        "how long one try may take; what takes longer is killed",
    ),
    key(
        "allow",
        Kind::Texts,
        "",
        r#"["async.web.stop", "orphans"]"#,
        "points of the stop drill whose failure is excused",
    ),
    key("expect", Kind::Table(EXPECT), "", "", "what is to hold"),
];

/// The keys of a unit that a test has too.
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
        "0 where there is a command",
        "[0, 3]",
        "the command's exit status; 128 + n where signal n ended it",
    ),
    key(
        "stdout",
        Kind::Patterns,
        "",
        r#"["MTA running", "!/error|fail/"]"#,
        "what the command writes has this text, or matches this `/regular expression/`; with a `!` before it: has it not",
    ),
    key(
        "stderr",
        Kind::Patterns,
        "",
        r#""!error""#,
        "likewise, of what it writes to standard error",
    ),
    key(
        "http",
        Kind::Short(EXPECT_HTTP),
        "",
        r#""http://127.0.0.1:8080/healthz""#,
        "a GET is answered; the URL alone stands for the table",
    ),
    tcp(),
    unix(),
    key(
        "listening",
        Kind::Ports,
        "",
        r#"["25/tcp", "127.0.0.1:53/udp", "!23"]"#,
        "something listens on these ports: a port alone can be reached from outside, not by the loopback only; `!`: nothing does, on any address unless one is named",
    ),
    key(
        "file",
        Kind::Short(EXPECT_FILE),
        "",
        r#""/run/web.pid""#,
        "a file; its path alone stands for the table",
    ),
    key(
        "running",
        Kind::Names,
        "",
        r#"["smtpd", "nginx: worker", "!sshd"]"#,
        "processes by their names; with a space in it, or as a `/regular expression/`, by their command lines",
    ),
    key(
        "user",
        Kind::Id,
        "",
        r#""www-data""#,
        "whose the processes of `running` are; without that, the main processes of the units it is about",
    ),
    key("log", Kind::Table(EXPECT_LOG), "", "", "what units have said, on either stream"),
    key("within", Kind::Duration, "", r#""10s""#, "it is tried again until then; once without it"),
    key(
        "holds",
        Kind::Duration,
        "",
        r#""5s""#,
        "it then stays true for that long, and no unit is restarted meanwhile",
    ),
    key(
        "ready_within",
        Kind::Duration,
        "",
        r#""3s""#,
        "the units it is about were ready that soon after their start",
    ),
    key(
        "max_rss",
        Kind::Size,
        "",
        r#""64MiB""#,
        "resident memory of each unit it is about, and the most that a process of it has ever had",
    ),
    key(
        "max_cpu",
        Kind::Duration,
        "",
        r#""2s""#,
        "CPU time of each unit it is about, so far, with what has ended of it",
    ),
    key("max_fds", Kind::Number, "", "100", "open descriptors of each of their processes"),
    key(
        "stop_status",
        Kind::Statuses,
        "",
        "[0, 143]",
        "the exit status of each unit it is about when it is told to stop after the last test; 128 + n where signal n ended it",
    ),
    key(
        "stop_within",
        Kind::Duration,
        "",
        r#""3s""#,
        "each of them has ended that soon after it was told to stop",
    ),
    key(
        "max_memory",
        Kind::Size,
        "",
        r#""256MiB""#,
        "memory of the whole container at its peak, as its cgroup counts it, and that the OOM killer had nothing to do",
    ),
    key("no_new_privs", Kind::Boolean, "", "true", "the container can't gain privileges"),
    key("read_only_root", Kind::Boolean, "", "true", "its root is read-only"),
    key(
        "capabilities",
        Kind::Texts,
        "",
        r#"["chown", "setuid", "setgid"]"#,
        "it has no other capabilities than these",
    ),
    key("uid", Kind::Number, "", "1000", "the user that it, and trc, runs as"),
    key(
        "fault",
        Kind::Table(EXPECT_FAULT),
        "",
        "",
        "what is done to a unit before; it has to be up again, and all else has to hold, `within` 30 s",
    ),
];

/// The keys of `expect.http`.
pub(crate) const EXPECT_HTTP: &[Key] = &[
    HTTP[0],
    HTTP[1],
    HTTP[2],
    Key { default: "200-299", ..HTTP[3] },
    key("body", Kind::Patterns, "", r#""\"ok\"""#, "what the answer has"),
    key(
        "headers",
        Kind::Headers,
        "",
        r#"{ content-type = "/^text.html/", server = "!nginx/" }"#,
        "what its headers have",
    ),
];

/// The keys of `expect.file`.
pub(crate) const EXPECT_FILE: &[Key] = &[
    key("path", Kind::Text, "", r#""/etc/web.conf""#, "which one"),
    key("exists", Kind::Boolean, "true", "false", "whether it is there"),
    key("mode", Kind::Mode, "", r#""640""#, "its permission bits"),
    key("owner", Kind::Text, "", r#""root:www-data""#, "its user, or user and group"),
    key("contains", Kind::Patterns, "", r#""!$${""#, "what stands in it"),
];

/// The keys of `expect.log`.
pub(crate) const EXPECT_LOG: &[Key] = &[
    key("unit", Kind::Text, "those it is about", r#""web""#, "which unit"),
    key("contains", Kind::Patterns, "", r#""listening on""#, "what a line of it has"),
    key(
        "forbids",
        Kind::Patterns,
        "",
        r#"["/ERROR|FATAL/"]"#,
        "what no line of it has, until everything has stopped, or the first fault",
    ),
];

/// The keys of `expect.fault`.
pub(crate) const EXPECT_FAULT: &[Key] = &[
    key("unit", Kind::Text, "", r#""web""#, "to which unit"),
    key("kill", Kind::Signal, "", r#""SIGKILL""#, "its process gets this signal"),
    key(
        "stop",
        Kind::Duration,
        "",
        r#""5s""#,
        "it is stopped by SIGSTOP, and goes on after this time unless it was restarted before",
    ),
    key(
        "restarts",
        Kind::Boolean,
        "what the signal means",
        "true",
        "whether another process has to run afterwards, or the same one; KILL, TERM, the stop signal and those of crashes ask for another, INT, QUIT and `stop` for either, all others for the same",
    ),
];

/// The keys of a signal's table in `[signals]`.
pub(crate) const FORWARD: &[Key] = &[
    key("forward", Kind::Signal, "the same one", r#""SIGQUIT""#, "the signal that goes on"),
    key("to", Kind::Texts, "all that run", r#"["nginx"]"#, "the units that get it"),
];

/// The keys as a table in Markdown, those of tables within it as `stop.signal`.
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

/// What the value of a key looks like, if there is such a key.
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
    /// What may be written, for the reference.
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
            Self::Statuses => "0 to 255, or an array of them".to_owned(),
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
            Self::Codes => "status codes".to_owned(),
            Self::Backoff => "time or `\"TIME..TIME\"`".to_owned(),
            Self::Table(_) => "table".to_owned(),
            Self::Variables => "table of variables".to_owned(),
            Self::Variable => "string or `{ file = … }`".to_owned(),
            Self::Signals => "table of signals".to_owned(),
            Self::Short(_) | Self::Rule => "string or table".to_owned(),
            Self::Exit => "table of statuses and reasons".to_owned(),
            Self::Status => "0 to 255".to_owned(),
            Self::Units | Self::Owners => "table of units".to_owned(),
            Self::Tests => "table of tests".to_owned(),
            Self::Headers => "table of strings".to_owned(),
            Self::Ports => "port, string or array of them".to_owned(),
        }
    }

    /// Whether an array may stand here.
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

    /// Whether a table may stand here.
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

    /// Whether any text may stand here, so that quotes belong to the text.
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
