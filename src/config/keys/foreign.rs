//! The words of others: keys under the names that docker, Compose, Kubernetes, systemd, supervisord
//! and s6 give them, and keys of trc that were written in the wrong table.

use super::key::{Keys, STAGES, find};
use super::{
    EXPECT, EXPECT_CERTIFICATE, EXPECT_DNS, EXPECT_FAULT, EXPECT_FILE, EXPECT_GROUP, EXPECT_HTTP,
    EXPECT_LISTENER, EXPECT_LOG, EXPECT_MOUNT, EXPECT_SEND, EXPECT_TREE, EXPECT_USER, HEALTH,
    LIMITS, OUTPUT, READY, RELOAD, RESTART, STOP, TEST, TOP, UNIT,
};
use crate::config::value::{Value, shown};

/// The beginnings of the places, as messages name them.
const ANYWHERE: &str = "";
const ANY_UNIT: &str = " in `[";
const TEST_PLACE: &str = " in `[test.";
const IN_READY: &str = " in `ready`";
const IN_HEALTH: &str = " in `health`";
const IN_STOP: &str = " in `stop`";
const IN_RELOAD: &str = " in `reload`";
const IN_RESTART: &str = " in `restart`";
const IN_EXPECT: &str = " in `expect`";
const IN_EXPECT_HTTP: &str = " in `expect.http`";
const IN_EXPECT_FAULT: &str = " in `expect.fault`";
const IN_EXPECT_DURING: &str = " in `expect.during`";
const IN_OUTPUT: &str = " in `output`";
const IN_LOG: &str = " in `[log]`";
const IN_CONTROL: &str = " in `[control]`";
const IN_SHUTDOWN: &str = " in `[shutdown]`";

/// The words that people write at some places instead of a key of trc.
struct Word {
    /// The beginnings of the places.
    places: &'static [&'static str],
    /// The words, in lower case without `-` and `_`.
    words: &'static str,
    /// The key of trc; if it is empty, `right` is advice.
    key: &'static str,
    /// The right way to write it.
    right: &'static str,
}

/// `[PLACES] { "words" => key: "how it is written"; "words" => "advice"; }`.
macro_rules! words {
    ($($places:tt { $($words:literal => $($key:ident :)? $right:literal;)+ })+) => {
        &[$($(Word {
            places: &$places,
            words: $words,
            key: concat!($(stringify!($key))?),
            right: $right,
        }),+),+]
    };
}

const WORDS: &[Word] = words! {
    [ANY_UNIT] {
        // The command.
        "command cmd entrypoint args execstart program run start startcommand main service process" => exec:
            r#"exec = "nginx -g 'daemon off;'""#;
        "shell sh bash code commands steps" => script: "script = '''\n…\n'''";
        "execstartpre prestart pre startpre beforestart" => pre_start: r#"pre_start = "shop migrate""#;
        "poststart execstartpost initcontainers setup init" =>
            "write a separate unit, [boot.NAME], or [async.NAME] with `oneshot = true`, and name the earlier unit in the `after` of the later one";
        "finish execstoppost poststop cleanup stoppost afterstop" => post_stop:
            r#"post_stop = "rm -f /run/web.lock"; for what runs when everything has stopped, write a separate unit: [halt.NAME]"#;
        "execreload reloadcommand reloadcmd" => reload: r#"reload = { exec = "nginx -s reload" }"#;
        "reloadsignal hup onreload" => reload: r#"reload = { signal = "SIGHUP" }"#;
        "runtimedirectory statedirectory cachedirectory logsdirectory configurationdirectory directories mkdir tmpfiles" => dirs:
            r#"dirs = ["/run/web"], or dirs = { "/var/lib/web" = { mode = "0700" } }"#;
        "templates template envsubst configfiles writefiles" => files:
            r#"files = { "/etc/app.conf" = { template = "/etc/app.conf.in" } }"#;
        "pidfile pidfilepath pidpath" => pid_file: r#"pid_file = "/run/nginx.pid""#;
        "type" =>
            "write `oneshot = true` for a unit that exits by itself, `ready = { notify = true }` for one that uses sd_notify, or `pid_file` for one that puts itself into the background; the stage is part of the name of the table: [async.NAME]";
        "name id title" => description:
            r#"description = "the web server"; the name of the unit is in the name of its table, [async.NAME]"#;
        "disabled" => enabled: "enabled = false";
        "profile" => profiles: r#"profiles = ["debug"]"#;
        "manual ondemand lazy" => autostart: "autostart = false";
        "remainafterexit once" => oneshot: "oneshot = true";
        "numprocs replicas scale deploy" => instances: "instances = 4";
        "image build ports expose volumes volumemounts networks network hostname containername labels resources readonly mounts secrets configs" =>
            "this belongs in the configuration of the container engine; trc runs inside the container";
        "cron crontab timer oncalendar onbootsec onunitactivesec" =>
            "use `schedule`, such as schedule = \"every 15m\" or schedule = \"30 4 * * MON-FRI\"";
        "wantedby requiredby install also alias" =>
            "trc starts every unit that is declared; `after` lists the units that it waits for";
        // The order and the conditions of starting.
        "dependson depends dependencies requires requisite wants bindsto needs require waitfor upholds" => after:
            r#"after = ["db"], or after = { db = "ready" }"#;
        "priority order" => after: r#"after = ["db"]"#;
        "partof" => restart: r#"restart = { when = "always", with = ["db"] }"#;
        "readinessprobe readiness readycheck startupprobe startup waitready" => ready:
            r#"ready = { http = "http://127.0.0.1:8080/healthz" }"#;
        "notificationfd" => ready: "ready = { fd = 3 }";
        "notifyaccess notify" => ready: "ready = { notify = true }";
        "healthcheck livenessprobe liveness watchdog watchdogsec livecheck check checks" => health:
            r#"health = { http = "http://127.0.0.1:8080/healthz" }"#;
    }
    [TEST_PLACE] {
        "before" => "write `after` in the other test; a unit of an image is never behind a test";
        "timeout" =>
            "did you mean `max_runtime`, for the command, or `expect.within`, for how long trc tries again?";
    }
    [ANY_UNIT] {
        "timeout" =>
            r#"which timeout? stop = { timeout = "20s" } is the time from the stop signal to SIGKILL, ready = { within = "1m" } the time until the unit must be ready, max_runtime = "5m" the time that it may run"#;
        "timeoutstartsec startsecs timeoutup starttimeout" => ready:
            r#"ready = { tcp = 8080, within = "1m" }"#;
        "runtimemaxsec timeoutsec activedeadlineseconds maxruntime" => max_runtime:
            r#"max_runtime = "5m""#;
        // The exit, the restart and the stop.
        "autorestart respawn restartpolicy keepalive" => restart:
            r#"restart = "always", or "on-failure""#;
        "restartsec restartdelay delay backofflimit backoffdelay" => restart:
            r#"restart = { when = "always", backoff = "1s..1m" }"#;
        "startretries startlimitburst maxrestarts maxretries retries maximumretrycount" => restart:
            r#"restart = { when = "always", max = 5 }"#;
        "startlimitinterval startlimitintervalsec" => restart:
            r#"restart = { when = "always", max = 5, window = "1m" }"#;
        "exitcodes successexitstatus exitcode successcodes" => success: "success = [0, 143]";
        "stopsignal killsignal downsignal signal" => stop: r#"stop = { signal = "SIGQUIT" }"#;
        "stopgraceperiod graceperiod stopwaitsecs timeoutstopsec terminationgraceperiodseconds terminationgraceperiod timeoutkill timeoutdown timeoutfinish stoptimeout killtimeout" => stop:
            r#"stop = { timeout = "20s" }"#;
        "killmode stopasgroup killasgroup" => stop: r#"stop = { to = "group" }"#;
        "execstop stopcommand prestop lifecycle down" => stop:
            r#"stop = { exec = "nginx -s quit" }"#;
        // The identity and the environment.
        "uid username runas runasuser owner" => user: r#"user = "www-data""#;
        "gid groupname runasgroup" => group: r#"group = "www-data""#;
        "supplementarygroups groupadd extragroups fsgroup" => groups: r#"groups = ["ssl-cert"]"#;
        "workingdir workdir directory chdir workingdirectory cd dir pwd rootdirectory" => cwd:
            r#"cwd = "/srv""#;
        "environment envs envvars variables vars envfrom setenv" => env:
            r#"env = { PORT = "8080" }"#;
        "environmentfile envfiles envdir dotenv" => env_file: r#"env_file = "/etc/default/web""#;
        "capadd capdrop capabilityboundingset ambientcapabilities caps securitycontext" => capabilities:
            r#"capabilities = ["net_bind_service"] lists those that the unit keeps"#;
        "nonewprivileges securityopt allowprivilegeescalation" => no_new_privs:
            "no_new_privs = true";
        "ulimits ulimit rlimits rlimit limitnofile minfds" => limits: "limits = { nofile = 65536 }";
        "limitcore limitnproc limitas limitmemlock limitstack limitcpu minprocs" => limits:
            "limits = { nproc = 512 }";
        "oomscoreadjust oomscoreadj" => oom_score_adj: "oom_score_adj = 500";
        "niceness" => nice: "nice = 10";
        "ttypath terminal console" => tty: r#"tty = "/dev/tty1""#;
        "stdinopen standardinput input" => stdin: r#"stdin = "inherit""#;
        "stoporder shutdownorder stopafter stopbefore" =>
            "units stop in the reverse order of `after`: a unit that names another in its `after` stops before that one";
        // The output.
        "log logs logging logfile stdout stderr stdoutlogfile stderrlogfile standardoutput standarderror redirectstderr logdriver" => output:
            r#"output = "prefix", or output = { file = "/var/log/web.log" }"#;
        "expect" =>
            r#"`expect` is a key of a test: [test.web] with after = ["web"] and expect = { tcp = 80 }"#;
    }
    [IN_HEALTH] {
        // The keys of probes.
        "interval period periodseconds" => every: r#"every = "30s""#;
        "retries failurethreshold threshold maxfailures" => failures: "failures = 3";
        "startperiod initialdelayseconds startinterval delay within" =>
            r#"the health check starts when the unit is ready: ready = { tcp = 8080, within = "1m" }"#;
        "action onfailure" => then: r#"then = "restart""#;
    }
    [IN_READY] {
        "interval period periodseconds" => every: r#"every = "1s""#;
        "startperiod deadline failurethreshold retries" => within: r#"within = "1m""#;
        "count" => log: "log = { pattern = 'listening on .*:80', count = 2 }";
        "regex pattern line logs" => log: "log = 'listening on .*:80'";
        "notificationfd" => fd: "fd = 3";
        "type sdnotify" => notify: "notify = true";
    }
    [IN_READY, IN_HEALTH] {
        "test cmd command script run shell" => exec: r#"exec = "pg_isready -q""#;
        "httpget url uri path endpoint" => http: r#"http = "http://127.0.0.1:8080/healthz""#;
        "tcpsocket port host address" => tcp: r#"tcp = "127.0.0.1:8080""#;
        "socket unixsocket" => unix: r#"unix = "/run/app.sock""#;
        "timeoutseconds" => timeout: r#"timeout = "1s""#;
    }
    [IN_STOP] {
        // The keys of the other tables of a unit.
        "command cmd script run" => exec: r#"exec = "nginx -s quit""#;
        "graceperiod grace seconds within wait" => timeout: r#"timeout = "20s""#;
        "after before order with" =>
            "units stop in the reverse order of `after`: a unit that names another in its `after` stops before that one";
        "group mode killmode" => to: r#"to = "group""#;
    }
    [IN_RELOAD] {
        "command cmd script run" => exec: r#"exec = "nginx -s reload""#;
        "timeout deadline wait" => within: r#"within = "10s""#;
        "to group killmode" =>
            "the signal goes where the stop signal would go: stop = { to = \"group\" }";
        "kill sig" => signal: r#"signal = "SIGHUP""#;
    }
    [IN_RESTART] {
        "policy condition name on" => when: r#"when = "on-failure""#;
        "retries maxattempts maximumretrycount attempts burst" => max: "max = 5";
        "delay sec seconds wait interval" => backoff: r#"backoff = "1s..1m""#;
        "within period" => window: r#"window = "1m""#;
    }
    [IN_OUTPUT] {
        "path" => file: r#"file = "/var/log/web.log""#;
        "size maxbytes rotate" => max_size: r#"max_size = "10MB""#;
        "backups count files maxfiles maxfile" => keep: "keep = 3";
    }
    [IN_EXPECT, IN_READY, IN_HEALTH] {
        "https tls ssl" =>
            "trc does not speak TLS: ask a port without it with `http`, write `tcp`, or let a command ask, such as `curl -fsS https://…`";
    }
    [IN_EXPECT] {
        // The keys of tests.
        "timeout" => "did you mean `within`?";
        "status" => "did you mean `exit`, or the `status` of `http`?";
        "exitstatus exitcode code" => "did you mean `exit`?";
        "output out" => stdout: r#"stdout = "running""#;
        "port ports" => listening: r#"listening = ["80/tcp"]"#;
        "onlylistening onlyports" => listening_only: r#"listening_only = ["80/tcp"]"#;
        "threads" => max_threads: "max_threads = 64";
        "lograte maxloglines loglines maxlines" => max_log_rate: r#"max_log_rate = 10, holds = "10s""#;
        "cert certs certificates" => certificate: r#"certificate = { path = "/etc/ssl/web.pem", valid_for = "30d" }"#;
        "below directory dir disk" => tree: r#"tree = { path = "/app", forbids = ["world-writable"], max_size = "100MB" }"#;
        "kernelparam kernelparams sysctls" => sysctl: r#"sysctl = { "net.core.somaxconn" = ">= 1024" }"#;
        "mounts volume" => mount: r#"mount = "/data""#;
        "resolves resolve nslookup" => dns: r#"dns = "db""#;
        "account users passwd" => user_account: r#"user_account = { name = "web", uid = 33 }"#;
        "group groups" => group_account: r#"group_account = { name = "ssl", gid = 101 }"#;
        "environment envvars variables" => env: r#"env = { set = { TZ = "UTC" } }"#;
        "process processes" => running: r#"running = ["nginx"]"#;
    }
    [IN_EXPECT_HTTP] {
        "contains content text match matches" => body: r#"body = "Hello""#;
        "statuscode code expected" => status: "status = 200";
        "port uri address" => url: r#"url = "http://127.0.0.1:8080/path""#;
        "data requestbody" => send: r#"send = { body = "…" }"#;
        "requestheaders requestheader" => send: r#"send = { headers = { accept = "…" } }"#;
        "followredirects redirects redirect location" => follow: "follow = true";
        "nofollowredirects" => "trc follows no redirects unless you write follow = true";
        "responsetime latency timeout" => answer_within: r#"answer_within = "200ms""#;
    }
    [IN_EXPECT_FAULT] {
        "signal" => kill: r#"kill = "SIGKILL""#;
        "pause suspend freeze" => stop: r#"stop = "5s""#;
        "service name target" => unit: r#"unit = "web""#;
    }
    [IN_EXPECT_DURING] {
        "exec script command cmd file log running" => "`during` asks with `http`, `tcp` or `unix`";
        "interval period" => every: r#"every = "100ms""#;
        "gap maxgap downtime maxdowntime" => longest_gap: r#"longest_gap = "500ms""#;
        "failures failed maxerrors" => errors: "errors = 0";
    }
    [IN_LOG] {
        // The settings that do not belong to a unit.
        "driver file path" => output: r#"output = "prefix""#;
        "terminationmessagepath terminationlog terminationmessage" => termination:
            r#"termination = "/run/message""#;
        "loglevel verbosity" => level: r#"level = "debug""#;
    }
    [IN_CONTROL] {
        "enabled enable disabled disable" => "trc has a control socket unless you write socket = false";
        "path file address listen" => socket: r#"socket = "/run/trc.sock""#;
    }
    [IN_SHUTDOWN] {
        "graceperiod grace budget stoptimeout" => timeout: r#"timeout = "30s""#;
    }
};

/// The same words at the top of a file.
const TOP_WORDS: &[Word] = words! {
    [ANYWHERE] {
        "services service units unit programs program processes process tasks jobs containers apps" => async:
            "[async.web] in the background, [sync.web] in the foreground";
        "background bg daemon daemons" => async: "[async.web]";
        "foreground fg main" => sync: "[sync.web]";
        "init initcontainers setup prepare pre" => boot: "[boot.prepare]";
        "finish cleanup post" => halt: "[halt.cleanup]";
        "checks healthchecks" => test: "[test.web]";
        "schedule schedules cron crontab cronjob cronjobs timer timers" =>
            "write a unit with `schedule`: [async.report] exec = \"report\", schedule = \"@daily\"";
        "environment envs envvars variables vars" => env: r#"env = { TZ = "UTC" }"#;
        "loglevel logging verbosity" => log: r#"log = { level = "debug" }"#;
        "logformat" => log: r#"log = { format = "json" }"#;
        "terminationmessagepath" => log: r#"log = { termination = "/run/message" }"#;
        "waitpolicy policy" => wait: r#"wait = "all""#;
        "stoptimeout stopgraceperiod terminationgraceperiodseconds graceperiod" => shutdown:
            r#"shutdown = { timeout = "30s" }"#;
        "exitcodes exitcode" => exit: "exit = { 138 = 0 }";
        "include includes extends import" =>
            "put further files into trc.d/, or name them with --config FILE";
        "version apiversion kind name" => "trc does not need this key";
    }
};

/// Other programs' words for the values of some keys, in lower case, and how to write them here.
const VALUES: &[(&str, &str, &str)] = &[
    ("output", "stdout stderr console tty default", "write output = \"inherit\""),
    ("output", "discard none off /dev/null", "write output = \"null\""),
    ("output", "/dev/stdout /dev/stderr", "write output = \"inherit\""),
    (
        "output",
        "json syslog text journal",
        "write output = \"prefix\"; [log] format = \"json\" makes each line JSON",
    ),
    ("on_failure", "exit fail shutdown abort kill", "write on_failure = \"stop\""),
    ("on_failure", "continue none nothing skip warn", "write on_failure = \"ignore\""),
    (
        "on_failure",
        "restart always on-failure",
        "write restart = \"on-failure\", which is a key of its own",
    ),
    ("log.level", "warning", "write log.level = \"warn\""),
    ("log.level", "verbose", "write log.level = \"debug\""),
    ("log.level", "err critical fatal crit", "write log.level = \"error\""),
    ("log.level", "notice information", "write log.level = \"info\""),
    ("log.level", "none quiet silent", "write log.level = \"off\""),
    ("log.to", "standard-error err /dev/stderr", "write log.to = \"stderr\""),
    ("log.to", "stdout split default", "write log.to = \"both\""),
    ("log.format", "text plain default", "write log.format = \"trc\""),
];

/// Returns the help for the value of a key that is wrong here.
pub(super) fn value(key: &str, value: &Value) -> Option<String> {
    let Value::String(text) = value else { return None };
    let word = text.to_lowercase();
    let is_word = |(at, words, _): &&(&str, &str, &str)| {
        *at == key && words.split(' ').any(|one| one == word)
    };
    if let Some((.., help)) = VALUES.iter().find(is_word) {
        return Some((*help).to_owned());
    }
    // A list in a string.
    let numbers: Option<Vec<u8>> = text
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect();
    let words: Vec<&str> = text.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    match (key, numbers) {
        ("capabilities" | "groups", _) if words.len() > 1 => {
            Some(format!("write {key} = {}", shown(&format!("{words:?}"))))
        }
        ("success" | "expect.exit" | "expect.stop_status", Some(numbers)) if numbers.len() > 1 => {
            Some(format!("write {key} = {numbers:?}"))
        }
        _ => None,
    }
}

/// Returns the help for a value in the place of a table.
pub(super) fn table(key: &str, value: &Value) -> Option<String> {
    if let ("control", Value::Boolean(false)) = (key, value) {
        return Some("write control = { socket = false }".to_owned());
    }
    let (text, is_text) = match value {
        Value::String(text) => (format!("{:?}", shown(text)), true),
        Value::Integer(number, _) => (number.to_string(), false),
        _ => return None,
    };
    Some(match (key, is_text) {
        ("shutdown", _) => format!("write shutdown = {{ timeout = {text} }}"),
        ("log", true) if matches!(text.as_str(), "\"json\"" | "\"trc\"") => {
            format!("write log = {{ format = {text} }}")
        }
        ("log", true) => format!("write log = {{ level = {text} }}"),
        ("exit", _) => "write exit = { stopped = 0 } for the exit status after `docker stop`, or \
                        exit = { 138 = 0 } to replace one exit status by another"
            .to_owned(),
        ("expect", true) => format!("write expect = {{ stdout = {text} }}"),
        ("expect", false) => format!("write expect = {{ exit = {text} }}"),
        ("expect.fault", true) => format!("write fault = {{ unit = {text}, kill = \"SIGKILL\" }}"),
        ("ready.http" | "health.http" | "expect.http", false) => {
            format!("write http = \"http://127.0.0.1:{text}/\"")
        }
        _ => return None,
    })
}

/// Other programs' words for the conditions of `after`, in lower case with `_`.
const CONDITIONS: &[(&str, &str)] = &[
    (
        "healthy service_healthy up alive available live",
        "write \"ready\": the condition holds while the unit is ready, which its `ready` checks",
    ),
    (
        "running service_started start launched active",
        "write \"started\", which waits until the command has been executed, or \"ready\", which waits until the unit can do its work",
    ),
    (
        "service_completed_successfully completed complete success successful done finished ok",
        "write \"succeeded\", which waits until the unit has exited with success, or \"exited\", which also holds if it failed",
    ),
    (
        "stopped ended dead down inactive exit",
        "write \"exited\", which waits until the unit has exited, with success or not",
    ),
];

/// Returns the help for a word that is not a condition.
pub(super) fn condition(word: &str) -> Option<&'static str> {
    let word = word.replace('-', "_").to_lowercase();
    let is_word = |(words, _): &&(&str, &str)| words.split(' ').any(|one| one == word);
    CONDITIONS.iter().find(is_word).map(|(_, help)| *help)
}

/// The tables whose keys people write outside of them.
const INNER: &[(&str, &str, Keys)] = &[
    (TEST_PLACE, "expect", EXPECT),
    (IN_EXPECT, "http", EXPECT_HTTP),
    (IN_EXPECT, "file", EXPECT_FILE),
    (IN_EXPECT_HTTP, "send", EXPECT_SEND),
    (IN_EXPECT, "listener", EXPECT_LISTENER),
    (IN_EXPECT, "tree", EXPECT_TREE),
    (IN_EXPECT, "certificate", EXPECT_CERTIFICATE),
    (IN_EXPECT, "dns", EXPECT_DNS),
    (IN_EXPECT, "user_account", EXPECT_USER),
    (IN_EXPECT, "group_account", EXPECT_GROUP),
    (IN_EXPECT, "mount", EXPECT_MOUNT),
    (IN_EXPECT, "log", EXPECT_LOG),
    (IN_EXPECT, "fault", EXPECT_FAULT),
    (ANY_UNIT, "ready", READY),
    (ANY_UNIT, "health", HEALTH),
    (ANY_UNIT, "stop", STOP),
    (ANY_UNIT, "reload", RELOAD),
    (ANY_UNIT, "restart", RESTART),
    (ANY_UNIT, "limits", LIMITS),
    (ANY_UNIT, "output", OUTPUT),
];

/// Returns the help for a key that is not one of the `keys` of its place.
pub(super) fn help(place: &str, name: &str, keys: Keys) -> Option<String> {
    let normal = name.replace('-', "_").to_lowercase();
    if find_in(keys, &normal) {
        return None;
    }
    let folded = normal.replace('_', "");
    let words = if place.is_empty() { TOP_WORDS } else { WORDS };
    let is_meant = |word: &&Word| {
        word.places.iter().any(|at| is_in(place, at))
            && word.words.split(' ').any(|word| word == folded)
            && (word.key.is_empty() || find_in(keys, word.key))
    };
    if let Some(Word { key, right, .. }) = words.iter().find(is_meant) {
        return Some(match *key {
            "" => (*right).to_owned(),
            key => format!("in trc this is `{key}`: {right}"),
        });
    }
    let inner = INNER.iter().filter(|(at, table, inner)| {
        is_in(place, at) && find_in(keys, table) && find_in(inner, &normal)
    });
    match inner.map(|(_, table, _)| *table).collect::<Vec<_>>().as_slice() {
        [] => outer(place, &normal),
        [table] => Some(format!("it belongs in `{table}`: {table} = {{ {normal} = … }}")),
        tables => Some(format!("it belongs in `{}`", tables.join("` or `"))),
    }
}

/// Returns the help for a key in a table that is too deep.
fn outer(place: &str, name: &str) -> Option<String> {
    let is_unit = is_in(place, ANY_UNIT);
    let is_of_unit = find_in(UNIT, name) || find_in(TEST, name);
    if !place.is_empty() && !is_unit && is_of_unit {
        return Some(format!(
            "`{name}` is a key of the unit itself: write it below `[STAGE.NAME]`, before any table within it"
        ));
    }
    let is_of_top = find_in(TOP, name) && !STAGES.contains(&name);
    (!place.is_empty() && is_of_top)
        .then(|| format!("write `{name}` at the top of trc.toml, before the first `[table]`"))
}

/// Tells whether a place has this beginning. The name of a unit has a dot in it.
fn is_in(place: &str, at: &str) -> bool {
    place.starts_with(at) && (at != ANY_UNIT || place.contains('.'))
}

fn find_in(keys: Keys, name: &str) -> bool {
    find(keys, name).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{CONTROL, EXPECT_DURING, LOG, SHUTDOWN};
    use super::*;

    /// Each word appears once at each place, folded as the lookup folds it, and names an existing
    /// key.
    #[test]
    fn the_table_of_words_has_no_slips() {
        let mut seen = BTreeSet::new();
        let rows = WORDS.iter().chain(TOP_WORDS);
        let rows = rows.flat_map(|row| row.places.iter().map(move |at| (at, row)));
        for (at, Word { words, key, .. }) in rows {
            for word in words.split(' ') {
                assert!(seen.insert((at, word)), "{word} is there twice{at}");
                assert!(!word.contains(['_', '-']) && word.to_lowercase() == word, "{word}");
            }
            let keys = match *at {
                ANYWHERE => TOP,
                ANY_UNIT => UNIT,
                TEST_PLACE => TEST,
                IN_READY => READY,
                IN_HEALTH => HEALTH,
                IN_STOP => STOP,
                IN_RELOAD => RELOAD,
                IN_RESTART => RESTART,
                IN_EXPECT => EXPECT,
                IN_EXPECT_HTTP => EXPECT_HTTP,
                IN_EXPECT_FAULT => EXPECT_FAULT,
                IN_EXPECT_DURING => EXPECT_DURING,
                IN_OUTPUT => OUTPUT,
                IN_LOG => LOG,
                IN_CONTROL => CONTROL,
                IN_SHUTDOWN => SHUTDOWN,
                other => panic!("{other}"),
            };
            assert!(key.is_empty() || find(keys, key).is_some(), "{key}{at}");
            for word in words.split(' ') {
                assert!(find(keys, word).is_none(), "`{word}` is a key{at}");
            }
        }
    }
}
