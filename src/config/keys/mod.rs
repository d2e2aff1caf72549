//! Every key, in one place: its name, the kind of its value, its reader, its default, an example
//! and its meaning. trc reads its configuration with these, and the tables of the reference are
//! made of them.

mod answer;
mod comparison;
pub(super) mod decode;
pub(super) mod foreign;
mod identity;
mod instances;
pub(super) mod key;
mod layout;
mod machine;
mod probe;
mod restart;
mod schedule;
mod settings;
mod test;
pub(super) mod unit;

use super::http;
use super::leaf::{
    LEVELS, absolute, boolean, choice, count, file_size, id, level, line, listen, mode, path,
    path_template, permissions, signal, size, status, text, variants, wait, within,
};
use super::time::{backoff, duration, positive};
use super::{
    Asked, CertificateCheck, Config, Control, DnsCheck, FileCheck, FileKind, Forbidden, Found,
    GroupAccount, Identity, Limit, Log, LogFormat, LogTo, MountCheck, OnFailure, Output, Overlap,
    Placed, Probe, Recurse, Restart, Schedule, Shutdown, State, Stop, StopTo, Test, Then,
    TreeCheck, Unit, UserAccount, Variables, WaitPolicy, When,
};
use answer::{Answering, SendKeys, method, wanted};
use comparison::condition;
use decode::{Decoder, Fields};
use identity::{Secret, capability, tty};
use instances::Instances;
use key::{Key, Keys, Kind, keys};
use layout::{DirKeys, FileKeys};
use machine::{ip, listed, long_time, name, newer_than, sha256, size_of};
use probe::{Codes, HttpKeys, LogKeys, Probing, any_line, line_pattern};
use settings::{Forward, buffer, socket, syslog, termination};
use test::{
    FaultKeys, ListenerKeys, Said, allowed_port, fault_signal, owner, pattern, port, running,
};
use unit::{HookKeys, OutputKeys, Presence, ReloadKeys, profile, reload_signal, stop_signal};

/// The keys at the top of `trc.toml` and of a fragment.
pub(crate) const TOP: Keys = &[TOP_KEYS];

keys! {
    TOP_KEYS, top_keys(Config) {
        /// [when the run ends](../README.md#when-the-run-ends-and-with-which-status) by itself; you
        /// can also write `wait_any` and so on
        wait: Wait(variants::<WaitPolicy>) = get(wait), "any", r#""all""#;
        /// the shell that runs scripts, with its options
        shell: Words = shell(), "the first of bash and sh", r#"["/bin/ash", "-c"]"#;
        /// how trc stops the run
        shutdown: Table(SHUTDOWN) => shutdown(), "", "";
        /// the log
        log: Table(LOG) => log(), "", "";
        /// the socket by which you ask a running trc, and change it
        control: Table(CONTROL) => control(), "", "";
        /// variables for every unit
        env: Variables = variables(), "", r#"{ TZ = "UTC" }"#;
        /// if `NAME_FILE` or `FILE__NAME` is set and `NAME` is not, units get `NAME` with the contents
        /// of that file; for all variables, or only for these
        file_env: BooleanOrTexts = file_env(), "false", r#"["POSTGRES_PASSWORD"]"#;
        /// what trc does when it receives a signal: `"stop"`, `"ignore"`, `"reopen"`, `"reload"` or
        /// `{ forward = "SIGQUIT", to = ["nginx"] }`
        signals: Signals = signals(), "", r#"{ HUP = "ignore" }"#;
        /// replaces trc's exit status, either by number (`138 = 0`) or by reason, which takes
        /// precedence: `stopped = 0` applies after SIGTERM or SIGINT from outside if every unit
        /// stopped as it should; with `unit.db = "own"`, trc exits with the exit status of that unit
        /// after such a signal
        exit: Exit = exit(), "", "{ 138 = 0, stopped = 0 }";
        /// units that run before all others, one at a time
        boot: Units => stage(), "", r#"{ migrate = { exec = "./migrate" } }"#;
        /// units that run in the background, in parallel
        async: Units => stage(), "", r#"{ cron = { exec = "crond -f" } }"#;
        /// units that run in the foreground, one at a time
        sync: Units => stage(), "", r#"{ web = { exec = "httpd -f" } }"#;
        /// tests, which run in test mode only
        test: Tests => stage(), "", "{ web = { expect = { tcp = 80 } } }";
        /// units that run after everything else has stopped, one at a time
        halt: Units => stage(), "", r#"{ bye = { exec = "sync" } }"#;
    }
}

pub(crate) const SHUTDOWN: Keys = &[SHUTDOWN_KEYS];

keys! {
    SHUTDOWN_KEYS, shutdown_keys(Shutdown) {
        /// the time that the whole stop may take, from the stop signal on
        timeout: Duration = get(duration),
            "9s, or more if the stop timeouts in the configuration need it", r#""30s""#;
    }
}

pub(crate) const LOG: Keys = &[LOG_KEYS];

keys! {
    LOG_KEYS, log_keys(Log) {
        /// the least important messages to log
        level: Level(levels) = get(level),
            "info with a configuration file, otherwise warn", r#""debug""#;
        /// the format of log lines
        format: OneOf(variants::<LogFormat>) = get(choice::<LogFormat>), "trc", r#""json""#;
        /// where the log and the output of units go: to both standard streams, or to standard error
        /// alone, so that standard output is [for the command](logging.md#standard-output-for-the-command)
        to: OneOf(variants::<LogTo>) = get(choice::<LogTo>), "both", r#""stderr""#;
        /// the `output` of async units that do not set their own
        output: OneOf(variants::<Output>) = get(choice::<Output>),
            "prefix for declared async units, otherwise inherit", r#""inherit""#;
        /// the file that gets [the reason why the run ended](howto/kubernetes.md#the-exit-status-and-the-termination-message): the
        /// container's `terminationMessagePath`; `false`: none
        termination: FalseOrPath = get(termination), "/dev/termination-log, if it exists", "false";
        /// trc reads [what programs send to syslog](logging.md#syslog), and logs it as output of
        /// their units; a path takes the place of `/dev/log`
        syslog: BooleanOrPath = get(syslog), "false", "true";
    }
}

/// The keys of `[control]`.
pub(crate) const CONTROL: Keys = &[CONTROL_KEYS];

keys! {
    CONTROL_KEYS, control_keys(Control) {
        /// where the control socket is; `false`: there is none
        socket: FalseOrPath = get(socket), "/run/trc.sock, if trc can create it", "false";
        /// what users, and the members of groups, may ask for: `"health"`, `"read"` or `"operate"`;
        /// root and the user of trc may do everything, and all others may ask for `"health"`
        allow: Allow = allow(), "", r#"{ prometheus = "read", "@ops" = "operate" }"#;
        /// how much of the units' output trc keeps in memory for `trcctl logs`; the oldest lines of
        /// the units with the most output are dropped first
        log_buffer: Size = get(buffer), "1MiB", r#""4MiB""#;
    }
}

fn levels() -> &'static [&'static str] {
    LEVELS
}

/// The keys of a unit: of `[STAGE.NAME]`, and at the top of `STAGE.NAME.toml`.
pub(crate) const UNIT: Keys =
    &[RUN_KEYS, ENABLED_KEYS, INSTANCES_KEYS, UNIT_KEYS, IDENTITY_KEYS, TTY_KEYS];

keys! {
    RUN_KEYS, run_keys(Unit) {
        /// a description of the unit, for people
        description: Text = get(text), "", r#""the web server""#;
        /// the command to run, without a shell
        exec: Words => exec(), "", r#""nginx -g 'daemon off;'""#;
        /// the script to run, in the shell
        script: Text => script(), "", r#""exec nginx""#;
    }
}

keys! {
    ENABLED_KEYS, enabled_keys(Presence) {
        /// `false` removes the unit, and every reference to it in `after`
        enabled: Condition = get(condition), "true", r#""${MODE:-web} == web""#;
        /// the unit is there only if one of these [profiles](#profiles-and---only) is in `TRC_PROFILES`
        profiles: Texts = all_of(profile), "[]", r#"["debug"]"#;
    }
}

keys! {
    INSTANCES_KEYS, instances_keys(Instances) {
        /// [several units of the same kind](#instances), `worker@1` and so on: their number, or their
        /// names
        instances: Instances = instances(), "", r#"["mail", "video"]"#;
    }
}

keys! {
    UNIT_KEYS, unit_keys(Unit) {
        /// `false`: the unit starts only [if somebody asks for it](#units-that-do-not-start-by-themselves),
        /// or if a unit that starts is `after` it
        autostart: Boolean = get(boolean), "true", "false";
        /// the unit is meant to exit by itself; its success does not end the run
        oneshot: Boolean = get(boolean),
            "true for boot and halt units, and if another unit waits for this one with `succeeded` or `exited`",
            "true";
        /// run this halt unit even if a boot unit failed, or a signal stopped the run during boot
        always: Boolean = get(boolean), "false", "true";
        /// the units that this unit waits for: `["db"]` or `{ db = "succeeded" }`
        after: After = after(), "", r#"{ db = "ready" }"#;
        /// the units that wait for this one: `["web"]` or `{ web = "succeeded" }` is the same as this
        /// unit in their `after`
        before: After = after(), "", r#"["web"]"#;
        /// how to find out whether the unit is ready; a unit with `ready` and no command is an
        /// external unit
        ready: Table(READY) = ready(), "", "";
        /// how to find out whether the unit still works
        health: Table(HEALTH) = health(), "", "";
        /// the file with the process ID of the main process, [if the unit puts itself into the
        /// background](configuration.md#programs-that-put-themselves-into-the-background) and has no
        /// option to stay in the foreground
        pid_file: Text = placed(absolute), "", r#""/run/nginx.pid""#;
        /// when to restart the unit; a string sets `restart.when`
        restart: Short(RESTART) = restart(), "no", r#"{ when = "always", max = 5 }"#;
        /// the addresses that trc [listens on for the unit](listen.md), also while it restarts; the
        /// unit gets the sockets as systemd passes them on
        listen: Addresses = list(listen), "", r#"["80", "/run/web.sock"]"#;
        /// when to run the unit, [if it does not run all the time](schedule.md); a string sets
        /// `schedule.when`
        schedule: Short(SCHEDULE) = schedule(), "", r#"{ when = "@daily", overlap = "queue" }"#;
        /// how long the unit may run after each start; if it takes longer, trc stops it, and it
        /// fails with 124
        max_runtime: Duration = get(positive), "", r#""5m""#;
        /// the exit statuses that count as success
        success: Statuses = all_of(status), "[0]", "[0, 143]";
        /// what to do if the unit fails: leave it to the wait policy, stop the run, or ignore it
        on_failure: OneOf(variants::<OnFailure>) = get(choice::<OnFailure>), "policy", r#""stop""#;
        /// how to stop the unit; a string sets `stop.signal`
        stop: Short(STOP) = stop(), "", r#"{ signal = "SIGQUIT", timeout = "20s" }"#;
        /// how to make the unit reload its own configuration, [when somebody asks for
        /// it](control.md#reload-a-unit); a string sets `reload.signal`
        reload: Short(RELOAD) = reload(), "", r#"{ signal = "SIGHUP" }"#;
        /// the command that runs before each start of the unit, [which waits for
        /// it](restart.md#before-each-start-and-after-each-exit); a string sets `pre_start.exec`
        pre_start: Short(PRE_START) = pre_start(), "", r#""shop migrate""#;
        /// the command that runs after each exit of the unit, [which sees how it
        /// exited](restart.md#before-each-start-and-after-each-exit); a string sets `post_stop.exec`
        post_stop: Short(POST_STOP) = post_stop(), "", r#""rm -f /run/web.lock""#;
        /// the signal that the kernel sends the unit's process if trc is killed and is not PID 1; if
        /// PID 1 is killed, all processes are killed anyway
        pdeathsig: Signal = get(signal), "", r#""SIGTERM""#;
        /// [directories](configuration.md#directories) that trc makes before each start: an array of
        /// paths, or a table of paths with an `owner`, a `mode` and `recurse`
        dirs: Dirs = dirs(), "",
            r#"{ "/var/lib/app" = { owner = "app", mode = "0700" } }"#;
        /// [files](configuration.md#files) that trc writes before each start, from templates with
        /// `${NAME}`: a table of paths
        files: Files = files(), "",
            r#"{ "/etc/app.conf" = { template = "/etc/app.conf.in" } }"#;
        /// where [its output](logging.md#output-of-units) goes
        output: Output => output(), "prefix for declared async units, otherwise inherit",
            r#"{ file = "/var/log/web.log", max_size = "10MB", keep = 3 }"#;
    }
}

keys! {
    /// The keys of a unit or a test that say who its process is.
    IDENTITY_KEYS, identity_keys(Identity) {
        /// the user that the unit runs as
        user: Id = placed(id), "trc's own", r#""www-data""#;
        /// the group that the unit runs as
        group: Id = placed(id), "the user's own", r#""www-data""#;
        /// its supplementary groups
        groups: Ids = list(id), "the user's own", r#"["ssl-cert"]"#;
        /// its working directory
        cwd: Text = placed(path_template), "trc's own", r#""/srv""#;
        /// its file mode creation mask: `"022"` or `0o022`
        umask: Mode = get(mode), "trc's own", r#""027""#;
        /// its variables
        env: Variables = variables(), "", "{ PORT = 8080 }";
        /// files with `NAME=value` lines
        env_file: Texts = list(path), "", r#""/etc/default/web""#;
        /// start with an empty environment; `${NAME}` still finds the variables that were cleared
        env_clear: Boolean = get(boolean), "false", "true";
        /// its resource limits
        limits: Table(LIMITS) = limits(), "", "";
        /// its nice value, from -20 (highest priority) to 19 (lowest)
        nice: Integer = placed(within(-20..=19)), "trc's own", "10";
        /// how likely the OOM killer is to kill it, from -1000 (never) to 1000
        oom_score_adj: Integer = placed(within(-1000..=1000)), "trc's own", "500";
        /// set-uid programs and file capabilities give its processes no privileges
        no_new_privs: Boolean = get(boolean), "false", "true";
        /// the capabilities that it keeps, even if it runs as another user; `[]` means none
        capabilities: Capabilities = list(capability), "trc's own", r#"["net_bind_service"]"#;
        /// its standard input
        stdin: Stdin = stdin(), "null for async units, otherwise inherit",
            r#"{ file = "/srv/input" }"#;
    }
}

keys! {
    TTY_KEYS, tty_keys(Identity) {
        /// the terminal that it runs on, in a session of its own; `false` means none
        tty: FalseOrPath = placed(tty), "trc's own terminal for foreground units", r#""/dev/tty1""#;
    }
}

/// The keys of a directory in `dirs`.
pub(crate) const DIR: Keys = &[DIR_KEYS];

keys! {
    DIR_KEYS, dir_keys(DirKeys) {
        /// its owner, `USER` or `USER:GROUP`, as names or numbers; the group is by default that of
        /// the user
        owner: Id = placed(layout::owner), "the unit's user and group", r#""postgres:postgres""#;
        /// its permissions
        mode: Permissions = get(permissions),
            "0755 for a new directory; an existing one keeps its own", r#""0700""#;
        /// whether everything in it gets the same owner: never, only if the directory itself has
        /// another owner, or at every start
        recurse: OneOf(variants::<Recurse>) = get(choice::<Recurse>), "never", r#""if-top-differs""#;
    }
}

/// The keys of a file in `files`.
pub(crate) const FILES: Keys = &[FILES_KEYS];

keys! {
    FILES_KEYS, files_keys(FileKeys) {
        /// the file that it is made from, of at most 1 MiB
        template: Text = get(path), "", r#""/etc/app.conf.in""#;
        /// the text that it is made from
        text: Text = get(layout::text), "", r#""listen ${PORT}\n""#;
        /// its owner, `USER` or `USER:GROUP`, as names or numbers; the group is by default that of
        /// the user
        owner: Id = placed(layout::owner), "the unit's user and group", r#""root:web""#;
        /// its permissions
        mode: Permissions = get(permissions), "0644", r#""0640""#;
        /// the variables that are replaced
        vars: Texts = vars(), "all", r#"["PORT"]"#;
    }
}

pub(crate) const LIMITS: Keys = &[LIMIT_KEYS];

keys! {
    /// Each with the number of its `RLIMIT_…`, which is the same on every machine but mips, sparc
    /// and alpha, and whether it is counted in bytes, so that `512MiB` may be written.
    LIMIT_KEYS, limit_keys(Vec<Placed<Limit>>) {
        /// the size of the address space
        as: Limit => limit(9, true), "trc's own", r#""2GiB""#;
        /// the size of a core file
        core: Limit => limit(4, true), "trc's own", "0";
        /// seconds of CPU time
        cpu: Limit => limit(0, false), "trc's own", "60";
        /// the size of the data segment
        data: Limit => limit(2, true), "trc's own", r#""1GiB""#;
        /// the size of a file that the unit writes
        fsize: Limit => limit(1, true), "trc's own", r#""1GiB""#;
        /// file locks and leases; only old kernels enforce it
        locks: Limit => limit(10, false), "trc's own", "100";
        /// the memory that the unit may lock
        memlock: Limit => limit(8, true), "trc's own", r#""unlimited""#;
        /// bytes in POSIX message queues
        msgqueue: Limit => limit(12, true), "trc's own", r#""1MiB""#;
        /// 20 minus the lowest nice value that the unit may set
        nice: Limit => limit(13, false), "trc's own", "20";
        /// open file descriptors
        nofile: Limit => limit(7, false), "trc's own", r#""1024:65536""#;
        /// processes and threads of its user
        nproc: Limit => limit(6, false), "trc's own", "512";
        /// resident memory; current kernels do not enforce it
        rss: Limit => limit(5, true), "trc's own", r#""unlimited""#;
        /// the highest real-time priority that the unit may set
        rtprio: Limit => limit(14, false), "trc's own", "10";
        /// microseconds of CPU time under real-time scheduling without a blocking system call
        rttime: Limit => limit(15, false), "trc's own", "200000";
        /// pending signals of its user
        sigpending: Limit => limit(11, false), "trc's own", "1000";
        /// the size of the main thread's stack
        stack: Limit => limit(3, true), "trc's own", r#""16MiB""#;
    }
}

/// The key of a value that a file contains.
pub(crate) const SECRET: Keys = &[SECRET_KEYS];

keys! {
    SECRET_KEYS, secret_keys(Secret) {
        /// the file that contains the value
        file: Text = placed(line), "", r#""/run/secrets/db""#;
    }
}

/// The keys of `output` if it is a file.
pub(crate) const OUTPUT: Keys = &[OUTPUT_KEYS];

keys! {
    OUTPUT_KEYS, output_keys(OutputKeys) {
        /// the file that trc appends lines to
        file: Text = placed(absolute), "", r#""/var/log/web.log""#;
        /// the largest size of the file, at least 4 KiB; trc then starts a new file
        max_size: Size = get(file_size), "", r#""10MB""#;
        /// how many earlier files to keep, as `FILE.1` and so on
        keep: Number = get(within(0..=1000)), "3", "10";
        /// the unit has [a pseudo-terminal](logging.md#a-pseudo-terminal) as its standard output and
        /// standard error, for programs that keep their output back from a pipe; without `file`, the
        /// output goes to the log
        pty: Boolean = get(boolean), "false", "true";
    }
}

pub(crate) const STOP: Keys = &[STOP_KEYS];

keys! {
    STOP_KEYS, stop_keys(Stop) {
        /// the stop signal
        signal: Signal = get(stop_signal), "SIGTERM", r#""SIGQUIT""#;
        /// the time from the stop signal to SIGKILL
        timeout: Duration = get(duration), "5s", r#""20s""#;
        /// whether the main process or its whole process group gets the signal
        to: OneOf(variants::<StopTo>) = get(choice::<StopTo>),
            "process for exec units, group for shell units", r#""group""#;
        /// the command to run instead of sending the signal; it runs as the unit's user, with the
        /// unit's environment and the PID of its main process in `TRC_PID`
        exec: Words = words(), "", r#""nginx -s quit""#;
    }
}

pub(crate) const RELOAD: Keys = &[RELOAD_KEYS];

keys! {
    RELOAD_KEYS, reload_keys(ReloadKeys) {
        /// the signal that makes the unit read its configuration anew; it goes where the stop signal
        /// would go
        signal: Signal = get(reload_signal), "", r#""SIGHUP""#;
        /// the command that makes the unit reload, instead of a signal; it runs as the unit's user,
        /// with the unit's environment and the PID of its main process in `TRC_PID`
        exec: Words = words(), "", r#""nginx -s reload""#;
        /// the time from the request within which the unit must have reloaded
        within: Duration = get(positive), "60s", r#""10s""#;
    }
}

pub(crate) const PRE_START: Keys = &[PRE_START_KEYS];

keys! {
    PRE_START_KEYS, pre_start_keys(HookKeys) {
        /// the command; it runs as the unit's user, with the unit's environment, and its output is
        /// that of the unit
        exec: Words = words(), "", r#""shop migrate""#;
        /// the time that the command may take; then trc stops it, and the unit fails with 124
        within: Duration = get(positive), "60s", r#""5m""#;
    }
}

pub(crate) const POST_STOP: Keys = &[POST_STOP_KEYS];

keys! {
    POST_STOP_KEYS, post_stop_keys(HookKeys) {
        /// the command; it runs as the unit's user, with the unit's environment,
        /// `TRC_UNIT_STATUS` and `TRC_UNIT_REASON`, and its output is that of the unit
        exec: Words = words(), "", r#""rm -f /run/web.lock""#;
        /// the time that the command may take; then trc kills it
        within: Duration = get(positive), "5s", r#""2s""#;
    }
}

pub(crate) const READY: Keys = &[PROBE_KEYS, READY_KEYS];

pub(crate) const HEALTH: Keys = &[PROBE_KEYS, HEALTH_KEYS];

keys! {
    PROBE_KEYS, probe_keys(Probing) {
        /// something accepts a TCP connection at this address; a port alone means `localhost`
        tcp: Address => probe(http::address, Probe::Tcp), "", r#""127.0.0.1:5432""#;
        /// something accepts a connection to this Unix stream socket
        unix: Text => probe(path, Probe::Unix), "", r#""/run/app.sock""#;
        /// a GET request gets an answer; a string sets `http.url`
        http: Short(HTTP) => http_probe(), "", r#""http://127.0.0.1:8080/healthz""#;
        /// this command exits with 0; it runs as the unit's user, with the unit's environment
        exec: Words => exec_probe(), "", r#""pg_isready -q""#;
        /// this path exists
        file: Text => probe(path, Probe::File), "", r#""/run/app.pid""#;
        /// how long an attempt may take
        timeout: Duration = get(positive), "5s", r#""1s""#;
    }
}

keys! {
    READY_KEYS, ready_keys(Probing) {
        /// a line of the unit's output matches a regular expression; a string sets `log.pattern`
        log: Short(READY_LOG) => log_probe(), "", r#""listening on .*:80""#;
        /// the unit sends `READY=1` to `NOTIFY_SOCKET`, as for systemd
        notify: Boolean => notify_probe(), "false", "true";
        /// the unit writes a newline to this file descriptor, as for s6
        fd: Number => probe(within(3..=255), Probe::Fd), "", "3";
        /// the time between attempts; the first ones follow faster
        every: Duration = get(positive), "100ms", r#""1s""#;
        /// the time from the start within which the unit must be ready; otherwise it fails with 124
        within: Duration = get(positive), "60s", r#""5m""#;
    }
}

keys! {
    HEALTH_KEYS, health_keys(Probing) {
        /// in each period of `every`, a line of the unit's output matches this regular expression
        log: Text => probe(line_pattern, any_line), "", r#""listening on .*:80""#;
        /// in each period of `every`, the unit sends `WATCHDOG=1` to `NOTIFY_SOCKET`
        notify: Boolean => notify_probe(), "false", "true";
        /// the time between attempts
        every: Duration = get(positive), "10s", r#""30s""#;
        /// how many attempts in a row must fail before trc acts
        failures: Number = get(within(1..=u32::MAX)), "3", "5";
        /// what to do if the unit is unhealthy: restart it, stop the run, or only log it
        then: OneOf(variants::<Then>) = get(choice::<Then>), "restart", r#""stop""#;
    }
}

/// The keys of `ready.log`.
pub(crate) const READY_LOG: Keys = &[READY_LOG_KEYS];

keys! {
    READY_LOG_KEYS, ready_log_keys(LogKeys) {
        /// the regular expression
        pattern: Text = get(line_pattern), "", r#""ready for connections""#;
        /// which of the matching lines since the start shows that the unit is ready: 2 for a
        /// database that starts twice
        count: Number = get(within(1..=1000)), "1", "2";
    }
}

pub(crate) const HTTP: Keys = &[HTTP_KEYS, CODES_KEYS];

keys! {
    HTTP_KEYS, http_keys(HttpKeys) {
        /// the URL to request; TLS is not supported
        url: Text = get(http::url), "", r#""http://127.0.0.1:8080""#;
        /// the path to request
        path: Text = get(http::path), "the path in `url`, or `/`", r#""/healthz""#;
        /// the `Host` header
        host: Text = get(http::host), "the host and port in `url`", r#""example.com""#;
    }
}

keys! {
    CODES_KEYS, codes_keys(Codes) {
        /// the accepted status codes
        status: Codes = some_of(http::codes), "200-399", r#"[200, "3xx"]"#;
    }
}

pub(crate) const SCHEDULE: Keys = &[SCHEDULE_KEYS];

keys! {
    SCHEDULE_KEYS, schedule_keys(Schedule) {
        /// the times: the five fields of a crontab, `@hourly`, `@daily`, `@weekly`, `@monthly` or
        /// `@yearly`, or an interval such as `every 15m`
        when: Text = due(), "", r#""*/5 * * * *""#;
        /// what to do if the unit is due while its last run has not finished: leave the new run
        /// out, start it when the last one has ended, or stop the last one for it
        overlap: OneOf(variants::<Overlap>) = get(choice::<Overlap>), "skip", r#""queue""#;
        /// start each run up to this much later, by chance, so that many containers do not all do
        /// the same at once
        jitter: Duration = get(duration), "0s", r#""30s""#;
        /// the time zone of the times
        tz: Text = zone(), "that of `TZ` or `/etc/localtime`", r#""Europe/Berlin""#;
        /// also run the unit when trc has started
        at_start: Boolean = get(boolean), "false", "true";
    }
}

pub(crate) const RESTART: Keys = &[RESTART_KEYS];

keys! {
    RESTART_KEYS, restart_keys(Restart) {
        /// when to restart the unit: never, after a failure, or after every exit
        when: OneOf(variants::<When>) = when(),
            "on-failure if `restart` is a table, otherwise no", r#""always""#;
        /// how many restarts are allowed within `window`; if the unit then exits once more, trc
        /// gives up on it
        max: Number = get(within(0..=1000)), "no limit", "5";
        /// the time over which `max` counts; a unit that stays up for this long starts over with the
        /// shortest delay
        window: Duration = get(positive), "60s", r#""5m""#;
        /// the delay before a restart: it doubles each time, and is shortened by a random amount of
        /// up to half
        backoff: Backoff = get(backoff), "200ms..30s", r#""1s..1m""#;
        /// the units that this unit restarts with, like systemd's `PartOf`; it waits for them as
        /// with `after`
        with: Texts = list(text), "", r#"["db"]"#;
    }
}

/// The keys of a test that a unit does not have, or that mean something else there.
#[cfg(test)]
pub(crate) const TEST_OWN: Keys = &[TEST_RUN_KEYS, TEST_KEYS];

/// The keys of a test: of `[test.NAME]`, and at the top of `test.NAME.toml`.
pub(crate) const TEST: Keys = &[TEST_RUN_KEYS, TEST_KEYS, ENABLED_KEYS, IDENTITY_KEYS];

keys! {
    TEST_RUN_KEYS, test_run_keys(Unit) {
        /// a description of the test, for reports
        description: Text = get(text), "", r#""the server accepts mail""#;
        /// the command of the test, without a shell
        exec: Words => exec(), "", r#""smtpctl show status""#;
        /// the script of the test, in the shell
        script: Text => script(), "", r#""smtpctl show status""#;
        /// the units that the test is about and waits for: see
        /// [When a test runs](testing-images.md#when-a-test-runs)
        after: After = after(), "all units", r#"["web"]"#;
    }
}

keys! {
    TEST_KEYS, test_keys(Test) {
        /// how long the test waits for these units; it does not wait again for a unit that another
        /// test has waited for in vain
        start_within: Duration = get(positive), "5m", r#""20m""#;
        /// how long an attempt may take; trc kills a command that takes longer
        max_runtime: Duration = get(positive), "60s", r#""5m""#;
        /// whether the command runs in the first attempt only; further attempts then repeat the
        /// checks, but not the command
        once: Boolean = get(boolean), "false", "true";
        /// test points of the stop drill that may fail
        allow: Texts = list(text), "", r#"["async.web.stop", "orphans"]"#;
        /// what the test expects
        expect: Table(EXPECT) => expect(), "", "";
    }
}

pub(crate) const EXPECT: Keys = &[EXPECT_KEYS];

keys! {
    /// The checks are made, and reported, in this order.
    EXPECT_KEYS, expect_keys(Test) {
        /// the exit status of the command; 128 + n if signal n terminated it
        exit: Statuses => exit_status(), "0 if the test has a command", "[0, 3]";
        /// the standard output of the command contains this text or matches this
        /// `/regular expression/`; with `!` in front, it does not
        stdout: Patterns => many(pattern, Found::Stdout), "",
            r#"["MTA running", "!/error|fail/"]"#;
        /// the same for standard error
        stderr: Patterns => many(pattern, Found::Stderr), "", r#""!error""#;
        /// a request gets an answer; it is a GET unless you write `http.send`; a string sets
        /// `http.url`
        http: Short(EXPECT_HTTP) => http_check(), "", r#""http://127.0.0.1:8080/healthz""#;
        /// something accepts a TCP connection at this address; a port alone means `localhost`
        tcp: Address => one(http::address, Asked::Tcp), "", r#""127.0.0.1:5432""#;
        /// something accepts a connection to this Unix stream socket
        unix: Text => one(path, Asked::Unix), "", r#""/run/app.sock""#;
        /// a name that the resolver of the image knows; a string sets `dns.name`
        dns: Short(EXPECT_DNS) => dns_check(), "", r#""db""#;
        /// something listens on these ports; a port alone must be reachable from outside, not only
        /// through the loopback; with `!` in front, nothing listens on the port, on any address or
        /// on the one that you write
        listening: Ports => many(port, State::Listening), "",
            r#"["25/tcp", "127.0.0.1:53/udp", "!23"]"#;
        /// no other ports can be reached from outside; ports on the loopback do not count
        listening_only: Ports => listening_only(), "", r#"["80/tcp", 443]"#;
        /// the unit whose processes listen on ports
        listener: Table(EXPECT_LISTENER) => listener(), "", "";
        /// a file; a string sets `file.path`
        file: Short(EXPECT_FILE) => file_check(), "", r#""/run/web.pid""#;
        /// everything below a directory; a string sets `tree.path`
        tree: Short(EXPECT_TREE) => tree_check(), "", r#""/app""#;
        /// every certificate in a file is valid; a string sets `certificate.path`
        certificate: Short(EXPECT_CERTIFICATE) => certificate(), "", r#""/etc/ssl/web.pem""#;
        /// a user in `/etc/passwd`; a string sets `user_account.name`
        user_account: Short(EXPECT_USER) => user_account(), "", r#""www-data""#;
        /// a group in `/etc/group`; a string sets `group_account.name`
        group_account: Short(EXPECT_GROUP) => group_account(), "", r#""ssl-cert""#;
        /// something is mounted there; a string sets `mount.path`
        mount: Short(EXPECT_MOUNT) => mount_check(), "", r#""/data""#;
        /// settings of the kernel, by the names that sysctl(8) has for them
        sysctl: Values => sysctl(), "", r#"{ "net.core.somaxconn" = ">= 1024" }"#;
        /// the environment of units' main processes
        env: Table(EXPECT_ENV) => env_check(), "", "";
        /// processes that run, by name; a text with a space or a `/regular expression/` is compared
        /// with their command lines; with `!` in front, no such process runs
        running: Names => many(pattern, running), "",
            r#"["smtpd", "nginx: worker", "!sshd"]"#;
        /// the user that the processes in `running` run as; without `running`, the user of the main
        /// processes of the units
        user: Id => user(), "", r#""www-data""#;
        /// lines that units have printed, on either stream
        log: Table(EXPECT_LOG) => log_check(), "", "";
        /// trc tries again for this long; without it, there is one attempt
        within: Duration = get(positive), "", r#""10s""#;
        /// once the checks have passed, they must pass for this long, and no unit may restart
        /// meanwhile
        holds: Duration = get(positive), "", r#""5s""#;
        /// each unit was ready within this time after its start
        ready_within: Duration => one(positive, Found::ReadyWithin), "", r#""3s""#;
        /// the most resident memory of each unit, and the most that any of its processes has ever
        /// used
        max_rss: Size => one(size, State::MaxRss), "", r#""64MiB""#;
        /// the most CPU time of each unit so far, including its processes that have exited
        max_cpu: Duration => one(positive, State::MaxCpu), "", r#""2s""#;
        /// the most open file descriptors of each process of the units
        max_fds: Number => one(count, State::MaxFds), "", "100";
        /// the most processes of each unit
        max_processes: Number => one(count, State::MaxProcesses), "", "8";
        /// the most threads of each unit, in all of its processes
        max_threads: Number => one(count, State::MaxThreads), "", "64";
        /// the most lines that each unit may write per second, counted while the checks have to hold
        max_log_rate: Number => one(count, Found::MaxLogRate), "", "10";
        /// the exit status of each unit when trc stops it after the last test; 128 + n if signal n
        /// terminated it
        stop_status: Statuses => stop_status(), "", "[0, 143]";
        /// each unit exits within this time when trc stops it after the last test
        stop_within: Duration => stop_within(), "", r#""3s""#;
        /// what is there when everything has stopped after the last test, before the halt units run
        after_stop: Table(AFTER_STOP) => after_stop(), "", "";
        /// the peak memory of the whole container, as counted by its cgroup; the check also fails if
        /// the OOM killer killed a process
        max_memory: Size => one(size, State::MaxMemory), "", r#""256MiB""#;
        /// the container cannot gain privileges
        no_new_privs: Boolean => one(boolean, State::NoNewPrivs), "", "true";
        /// the container's root file system is read-only
        read_only_root: Boolean => one(boolean, State::ReadOnlyRoot), "", "true";
        /// the container has no capabilities but these
        capabilities: Capabilities => no_others(), "", r#"["chown", "setuid", "setgid"]"#;
        /// the user ID of the container, which trc runs as
        uid: Number => one(within(0..=u32::MAX), State::Uid), "", "1000";
        /// a unit with a `schedule` that trc runs now; it must succeed, within `within` or the
        /// test's `max_runtime`, and then all other checks must pass
        job: Text = placed(text), "", r#""backup""#;
        /// what trc does to a unit before the checks; the unit must be up again, and all other
        /// checks must pass, within 30 s or the time in `within`
        fault: Table(EXPECT_FAULT) = fault(), "", "";
        /// a unit that trc restarts before the checks, as `trcctl restart` does; the same holds as for
        /// a `fault`
        restart: Text => restarted(), "", r#""web""#;
        /// what must hold at any moment while the unit in `fault` or `restart` goes down and comes up
        /// again
        during: Table(EXPECT_DURING) = during(), "", "";
    }
}

pub(crate) const EXPECT_HTTP: Keys = &[HTTP_KEYS, ANSWER_KEYS];

keys! {
    ANSWER_KEYS, answer_keys(Answering) {
        /// what the request sends, if it is not a plain GET; a string sets `send.method`
        send: Short(EXPECT_SEND) = send(), "", r#""DELETE""#;
        /// trc follows up to 10 redirects, and checks the last answer
        follow: Boolean = get(boolean), "false", "true";
        /// the accepted status codes
        status: Codes = some_of(http::codes), "200-299", r#"[200, "3xx"]"#;
        /// texts that the body of the answer must have
        body: Patterns = some_of(pattern), "", r#""\"ok\"""#;
        /// texts that the headers of the answer must have
        headers: Headers = headers(), "",
            r#"{ content-type = "/^text.html/", server = "!nginx/" }"#;
        /// [values in the body](testing-images.md#json), which must be JSON, by their paths
        json: Values = json(), "", r#"{ "$.status" = "ok", "$.items.length" = "> 0" }"#;
        /// the whole answer arrives within this time after the beginning of the attempt
        answer_within: Duration = get(positive), "", r#""200ms""#;
    }
}

pub(crate) const EXPECT_SEND: Keys = &[SEND_KEYS];

keys! {
    SEND_KEYS, send_keys(SendKeys) {
        /// the method of the request
        method: Text = get(method), "`GET`, or `POST` with a body", r#""PUT""#;
        /// headers of the request
        headers: Strings = sent_headers(), "", r#"{ content-type = "application/json" }"#;
        /// the body of the request
        body: Text = get(text), "", r#"'{"name": "x"}'"#;
    }
}

pub(crate) const EXPECT_FILE: Keys = &[FILE_KEYS];

keys! {
    FILE_KEYS, file_keys(FileCheck) {
        /// the path of the file
        path: Text = get(absolute), "", r#""/etc/web.conf""#;
        /// whether the file exists
        exists: Boolean = get(boolean), "true", "false";
        /// its permission bits
        mode: Mode = get(permissions), "", r#""640""#;
        /// its owner: a user, or a user and a group
        owner: Id = get(owner), "", r#""root:www-data""#;
        /// texts that the file must have
        contains: Patterns = some_of(pattern), "", r#""!$${""#;
        /// its type; `"symlink"` and `target` look at a link itself, and all other keys at the file
        /// that it leads to
        type: OneOf(variants::<FileKind>) => file_kind(), "", r#""symlink""#;
        /// the path in the symbolic link
        target: Value = get(wanted), "", r#""/usr/bin/python3""#;
        /// its size, or comparisons with it
        size: Sizes = some_of(size_of), "", r#"["> 0", "<= 10MB"]"#;
        /// its SHA-256 checksum
        sha256: Text = get(sha256), "",
            r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#;
        /// it was modified after another file, or no longer ago than this time
        newer_than: PathOrAge = get(newer_than), "", r#""1h""#;
    }
}

pub(crate) const EXPECT_LISTENER: Keys = &[LISTENER_KEYS];

keys! {
    LISTENER_KEYS, listener_keys(ListenerKeys) {
        /// the unit
        unit: Text = placed(text), "", r#""nginx""#;
        /// the ports that one of its processes listens on
        ports: Ports = some_of(allowed_port), "", r#"["80/tcp", "[::]:443"]"#;
    }
}

pub(crate) const EXPECT_TREE: Keys = &[TREE_KEYS];

keys! {
    TREE_KEYS, tree_keys(TreeCheck) {
        /// the directory; file systems that are mounted below it do not count, and links are not
        /// followed
        path: Text = get(absolute), "", r#""/usr""#;
        /// files that must not be there
        forbids: Choices(variants::<Forbidden>) = some_of(choice),
            "`world-writable`, `setuid` and `setgid` without `max_size`", r#"["setuid", "no-owner"]"#;
        /// files and directories that are left out
        except: Texts = some_of(absolute), "", r#"["/usr/bin/su"]"#;
        /// the most disk space that everything below the directory takes
        max_size: Size = get(size), "", r#""100MB""#;
    }
}

pub(crate) const EXPECT_CERTIFICATE: Keys = &[CERTIFICATE_KEYS];

keys! {
    CERTIFICATE_KEYS, certificate_keys(CertificateCheck) {
        /// a file with certificates in PEM format
        path: Text = get(absolute), "", r#""/etc/ssl/web.pem""#;
        /// how long each of them must still be valid; `d` stands for days
        valid_for: Age = get(long_time), "they are valid now", r#""30d""#;
    }
}

pub(crate) const EXPECT_DNS: Keys = &[EXPECT_DNS_KEYS];

keys! {
    EXPECT_DNS_KEYS, expect_dns_keys(DnsCheck) {
        /// the name
        name: Text = get(name), "", r#""db""#;
        /// whether the name has an address
        exists: Boolean = get(boolean), "true", "false";
        /// addresses that the name has, or, with `!` in front, that it does not have
        addresses: Names = some_of(ip), "", r#"["10.0.0.7", "!127.0.0.1"]"#;
    }
}

pub(crate) const EXPECT_USER: Keys = &[USER_ACCOUNT_KEYS];

keys! {
    USER_ACCOUNT_KEYS, user_account_keys(UserAccount) {
        /// the name of the user
        name: Text = get(name), "", r#""www-data""#;
        /// whether there is such a user
        exists: Boolean = get(boolean), "true", "false";
        /// its user ID
        uid: Number = get(within(0..=u32::MAX)), "", "33";
        /// its primary group
        group: Id = get(id), "", r#""www-data""#;
        /// groups that it belongs to, by name, or, with `!` in front, that it does not
        groups: Names = some_of(listed), "", r#"["ssl-cert", "!docker"]"#;
        /// its home directory
        home: Text = get(text), "", r#""/var/www""#;
        /// its shell
        shell: Text = get(text), "", r#""/usr/sbin/nologin""#;
    }
}

pub(crate) const EXPECT_GROUP: Keys = &[GROUP_ACCOUNT_KEYS];

keys! {
    GROUP_ACCOUNT_KEYS, group_account_keys(GroupAccount) {
        /// the name of the group
        name: Text = get(name), "", r#""ssl-cert""#;
        /// whether there is such a group
        exists: Boolean = get(boolean), "true", "false";
        /// its group ID
        gid: Number = get(within(0..=u32::MAX)), "", "101";
        /// users that it lists as its members, or, with `!` in front, that it does not list
        members: Names = some_of(listed), "", r#"["www-data", "!root"]"#;
    }
}

pub(crate) const EXPECT_MOUNT: Keys = &[EXPECT_MOUNT_KEYS];

keys! {
    EXPECT_MOUNT_KEYS, expect_mount_keys(MountCheck) {
        /// the path at which something is mounted
        path: Text = get(absolute), "", r#""/data""#;
        /// whether anything is mounted there
        exists: Boolean = get(boolean), "true", "false";
        /// the type of the file system
        type: Text => mount_type(), "", r#""tmpfs""#;
        /// what is mounted
        source: Value = get(wanted), "", r#""/dev/sdb1""#;
        /// options that it has, or, with `!` in front, that it does not have
        options: Names = some_of(listed), "", r#"["ro", "noexec", "!suid"]"#;
    }
}

pub(crate) const EXPECT_ENV: Keys = &[EXPECT_ENV_KEYS];

keys! {
    EXPECT_ENV_KEYS, expect_env_keys(Variables) {
        /// the unit
        unit: Text = placed(text), "the units that the test is about", r#""web""#;
        /// variables and their values
        set: Values = set(), "", r#"{ TZ = "UTC", PORT = "> 1023" }"#;
        /// variables that are not set
        unset: Texts = some_of(name), "", r#"["POSTGRES_PASSWORD"]"#;
    }
}

pub(crate) const AFTER_STOP: Keys = &[AFTER_STOP_KEYS];

keys! {
    AFTER_STOP_KEYS, after_stop_keys(Test) {
        /// a file, with the keys of `expect.file`; a string sets `file.path`
        file: Short(EXPECT_FILE) => file_check(), "", r#"{ path = "/run/web.pid", exists = false }"#;
    }
}

pub(crate) const EXPECT_LOG: Keys = &[SAID_KEYS];

keys! {
    SAID_KEYS, said_keys(Said) {
        /// the unit that printed the lines
        unit: Text = placed(text), "the units that the test is about", r#""web""#;
        /// texts that some line of the output must have
        contains: Patterns => said(false), "", r#""listening on""#;
        /// texts that no line of the output may have until everything has stopped, or until the first fault
        forbids: Patterns => said(true), "", r#"["/ERROR|FATAL/"]"#;
    }
}

pub(crate) const EXPECT_DURING: Keys = &[DURING_KEYS];

keys! {
    DURING_KEYS, during_keys(test::DuringKeys) {
        /// a request gets an answer, with the keys of `expect.http`; a string sets `http.url`
        http: Short(EXPECT_HTTP) = an_answer(), "", r#""http://127.0.0.1:8080/""#;
        /// something accepts a TCP connection
        tcp: Address = get(http::address), "", r#""127.0.0.1:5432""#;
        /// something accepts a connection to this Unix stream socket
        unix: Text = get(path), "", r#""/run/app.sock""#;
        /// the time between two tries, of which at most one is under way
        every: Duration = get(test::often), "100ms", r#""20ms""#;
        /// the most tries that may fail
        errors: Number = get(within(0..=u32::MAX)), "0 without `longest_gap` and `broken`, otherwise any number", "2";
        /// the most tries that may fail after their connection was accepted
        broken: Number = get(within(0..=u32::MAX)), "any number", "0";
        /// the longest time from the beginning of a try that fails to the end of the next one that
        /// passes
        longest_gap: Duration = get(positive), "", r#""500ms""#;
    }
}

pub(crate) const EXPECT_FAULT: Keys = &[FAULT_KEYS];

keys! {
    FAULT_KEYS, fault_keys(FaultKeys) {
        /// the unit that trc damages
        unit: Text = placed(text), "", r#""web""#;
        /// the signal that trc sends its main process
        kill: Signal = get(fault_signal), "", r#""SIGKILL""#;
        /// how long trc suspends it with SIGSTOP, unless the unit is restarted before
        stop: Duration = get(positive), "", r#""5s""#;
        /// trc stops it and keeps it down until the other checks have passed; then it starts it
        /// again, and the unit must be up again
        down: Boolean = get(test::kept_down), "false", "true";
        /// whether a new process must run afterwards (`true`) or the same one (`false`);
        /// [Faults](testing-images.md#faults) has the defaults
        restarts: Boolean = placed(boolean), "depends on the signal", "true";
    }
}

/// The keys of a signal's table in `[signals]`.
pub(crate) const FORWARD: Keys = &[FORWARD_KEYS];

keys! {
    FORWARD_KEYS, forward_keys(Forward) {
        /// the signal to forward
        forward: Signal = get(signal), "the signal that trc received", r#""SIGQUIT""#;
        /// the units that receive it
        to: Texts = list(text), "all units that run", r#"["nginx"]"#;
    }
}
