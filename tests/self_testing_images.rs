//! Images that test themselves: the examples as they are and with every defect of the table below,
//! somebody else's image, and one FROM scratch. Needs a container engine, as `container/mod.rs`
//! says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite self_testing_images:: -- --ignored
//!
//! With `--nocapture`, each defect of the table is printed, with the message that names it.

use std::fs;
use std::path::Path;

use crate::common::{number_from, table};
use crate::container::{Ended, ROOT, Run, build, mail, static_binary, web_stack};
use serde_json::Value;
use tempfile::TempDir;

/// Returns the names of the test points that passed, and of those that did not.
fn points(ended: &Ended) -> (Vec<&str>, Vec<&str>) {
    let of = |word: &str| {
        let lines = ended.out.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(|rest| rest.split_once(" - ").map_or(rest, |(_, name)| name)).collect()
    };
    (of("ok "), of("not ok "))
}

/// Returns what a report says about a failed test point.
#[track_caller]
fn message<'a>(ended: &'a Ended, point: &str) -> &'a str {
    let mut lines = ended.out.lines();
    let found = lines.any(|line| {
        let rest = line.strip_prefix("not ok ").and_then(|rest| rest.split_once(" - "));
        let name = rest.map(|(_, name)| name.split(": ").next().unwrap_or_default());
        name == Some(point)
    });
    let line =
        lines.take_while(|line| line.starts_with("  ")).find(|line| line.contains("message:"));
    match line.filter(|_| found) {
        Some(line) => line.trim(),
        None => ended.fail(&format!("{point} should have failed")),
    }
}

/// Checks the exit status, every test point, and the number of points.
#[track_caller]
fn passed(ended: &Ended, tests: usize) {
    ended.status(0);
    let (good, bad) = points(ended);
    let plan = format!("1..{}", good.len());
    if !bad.is_empty() || !ended.out.lines().any(|line| line == plan) {
        ended.fail("every point should be ok, and as many as planned");
    }
    assert_eq!(
        good.iter().filter(|name| name.starts_with("test.")).count(),
        tests,
        "{}",
        ended.out
    );
    for point in ["orphans", "sessions", "zombies", "shutdown"] {
        assert!(good.contains(&point), "{}", ended.out);
    }
    // Standard output has nothing but the report.
    assert!(ended.out.starts_with("TAP version 14\n"), "{}", ended.out);
    assert!(!ended.out.contains("trc ["), "{}", ended.out);
}

/// Returns the number of tests in a file of the examples.
fn tests_in(file: &str) -> usize {
    let text = fs::read_to_string(format!("{ROOT}/examples/{file}")).unwrap();
    let is_test = |line: &&str| line.starts_with("[test.") && line.matches('.').count() == 1;
    text.lines().filter(is_test).count()
}

const SECRET: &str = "/run/secrets/db_password";

/// The web stack. Its database begins with an empty volume as usual, but in memory, because a slow
/// disk is not a defect.
fn web(arguments: &[&str]) -> Run {
    Run::new(web_stack(), arguments).options(&["--tmpfs", "/var/lib/postgresql"])
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_mail_server_tests_itself() {
    for _ in 0..number_from("TRC_TEST_ROUNDS", 1) {
        let ended = Run::new(mail(), &[]).env("TRC_TEST", "1").run();
        passed(&ended, tests_in("opensmtpd/trc.d/tests.toml"));
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_web_stack_tests_itself_and_survives_two_faults() {
    let tests = tests_in("web-stack/trc.d/tests.toml");
    for _ in 0..number_from("TRC_TEST_ROUNDS", 1) {
        let folder = TempDir::new().unwrap();
        let volume = format!("{}:/reports", folder.path().display());
        let ended = web(&["--report", "junit=/reports/web.xml"])
            .secret(SECRET, "Tr0ub4dor's \"&3\"")
            .options(&["-v", &volume])
            .env("TRC_TEST", "1")
            .env("TRC_REPORT", "json=/reports/web.json")
            .run();
        passed(&ended, tests);
        let (good, _) = points(&ended);
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let json: Value = serde_json::from_str(&read("web.json")).unwrap();
        assert_eq!((&json["status"], &json["passed"]), (&0.into(), &true.into()));
        assert_eq!(json["points"].as_array().unwrap().len(), good.len());
        let xml = read("web.xml");
        assert_eq!(xml.matches("<testcase ").count(), good.len(), "{xml}");
        assert!(xml.contains("test.survives-the-database") && !xml.contains("<failure"), "{xml}");
    }
}

/// The configuration for Redis: the service as in production, and a test that is mounted.
const FOREIGN: &str = r#"
[log]
level = "info"

[async.redis]
exec = "redis-server --port 6379 --bind 127.0.0.1 --save ''"
user = "redis"
cwd = "/tmp"
ready = { tcp = "127.0.0.1:6379", within = "20s" }

[test.answers]
exec = "redis-cli ping"
expect = { stdout = "PONG", listening = ["127.0.0.1:6379", "!0.0.0.0:6379"] }

[test.user]
after = ["redis"]
expect = { running = "redis-server", user = "redis", log = { contains = "Ready to accept connections" } }
"#;

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn somebody_elses_image_is_tested_by_one_file_that_is_mounted() {
    let image = build(
        "redis",
        "FROM debian:bookworm-slim\nRUN apt-get update \
         && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server \
         && rm -rf /var/lib/apt/lists/*\nCMD [\"redis-server\"]\n",
        &[],
    );
    let trc = format!("{}:/trc:ro", static_binary().display());
    let run = |tests: &str| {
        let run = Run::new(&image, &["--test"]).options(&["-v", &trc, "--entrypoint", "/trc"]);
        run.mount("/etc/trc.d/tests.toml", tests).run()
    };
    passed(&run(FOREIGN), 2);
    let wrong = run(&FOREIGN.replace("--bind 127.0.0.1", "--bind 0.0.0.0"));
    wrong.status(1);
    let says = message(&wrong, "test.answers");
    assert!(says.contains("something listens on 0.0.0.0:6379/tcp"), "{says}");
}

/// A web server, and a test whose checks trc makes itself.
const SCRATCH: &str = r#"
[async.web]
exec = "/app/httpd -f -p 127.0.0.1:8080 -h /www"
ready = { tcp = "127.0.0.1:8080" }

[test.page.expect]
http = { url = "http://127.0.0.1:8080/", body = "it works" }
listening = ["127.0.0.1:8080", "!0.0.0.0:8080"]
running = "httpd"
user = "0"
file = { path = "/www/index.html", contains = "!$${" }
max_fds = 20
max_rss = "20MiB"
ready_within = "20s"
"#;

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_image_from_scratch_needs_no_shell_to_test_itself() {
    let image = build(
        "scratch-web",
        "FROM scratch\nCOPY trc /trc\nCOPY httpd /app/httpd\nENTRYPOINT [\"/trc\"]\n",
        &[(static_binary(), "trc"), (Path::new("/bin/busybox"), "httpd")],
    );
    let run = |page: &str| {
        let run = Run::new(&image, &["--test"]).mount("/etc/trc.toml", SCRATCH);
        run.mount("/www/index.html", page).run()
    };
    passed(&run("it works\n"), 1);
    let wrong = run("nothing works\n");
    wrong.status(1);
    let says = message(&wrong, "test.page");
    let lacks = r#"its body lacks \"it works\": \"nothing works\""#;
    assert!(says.contains(lacks), "{says}");
}

/// The configuration that the specification shows.
const DECLARED: &str = r#"
wait = "any"

[log]
level = "info"
format = "json"

[async.opensmtpd]
exec  = "/usr/sbin/smtpd -d"
ready = { tcp = "127.0.0.1:25" }

[test.smtp-status]
after  = ["opensmtpd"]
script = "smtpctl show status"
expect = { exit = 0, stdout = "SMTP running", within = "10s" }
"#;

/// The test, the stop drill and the report take 50 ms more than the server needs to be ready and the
/// half second for which it has to be up then. There is no other fixed wait. The times come from
/// trc's own log, so the time of the container engine does not count. Other
/// programs may use the machine, so this has to hold for most of several runs.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_that_tests_itself_takes_no_longer_than_its_start() {
    let image = build(
        "declared",
        &format!("FROM {}\nRUN rm -r /etc/trc.d\nCOPY trc /usr/local/bin/trc\n", mail()),
        &[(static_binary(), "trc")],
    );
    let spans = || {
        let ended = Run::new(&image, &["--test"]).mount("/etc/trc.toml", DECLARED).run();
        passed(&ended, 1);
        let lines: Vec<Value> =
            ended.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let at = |event: &str| {
            let line = lines.iter().find(|line| line["event"] == event);
            let line = line.unwrap_or_else(|| ended.fail(&format!("it should say {event}")));
            milliseconds(line["time"].as_str().unwrap())
        };
        let began = at("wait-policy");
        [at("ready") - began, at("stopping") - began, at("ended") - began]
    };
    let mut runs: Vec<[i64; 3]> = Vec::new();
    for _ in 0..10 {
        runs.push(spans());
        let [ready, tested, ended] = *runs.last().unwrap();
        println!("ready after {ready} ms, tested after {tested} ms, ended after {ended} ms");
    }
    let mut extra: Vec<i64> = runs.iter().map(|[ready, _, ended]| ended - ready - 500).collect();
    extra.sort_unstable();
    assert!(
        extra[extra.len() / 2] <= 50,
        "ready, tested and ended after so many milliseconds: {runs:?}"
    );
}

/// Returns the time of day of a log line, in milliseconds. A run may pass midnight.
fn milliseconds(time: &str) -> i64 {
    let (_, time) = time.split_once('T').unwrap();
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    ((number(0, 2) * 60 + number(3, 5)) * 60 + number(6, 8)) * 1000 + number(9, 12)
}

/// The image that is broken.
#[derive(Clone, Copy, Debug)]
enum Image {
    Mail,
    Web,
}

/// By what.
enum By {
    /// Replaces this text in this file of the example.
    Edit(&'static str, &'static str, &'static str),
    /// Replaces this file.
    File(&'static str, &'static str),
    Env(&'static str, &'static str),
    Args(&'static [&'static str]),
    /// Leaves out the database's password.
    NoSecret,
}

struct Row {
    image: Image,
    defect: &'static str,
    by: &'static [By],
    /// The tests to run, in `TRC_TEST`.
    tests: &'static str,
    /// The test point that fails. There is none if trc refuses the configuration with 78.
    point: Option<&'static str>,
    /// A text that its message must have.
    says: &'static str,
}

/// The places of the examples' files in the images.
const PLACES: &[(&str, &str)] = &[
    ("smtpd.conf", "/etc/smtpd.conf"),
    ("async.opensmtpd", "/etc/trc.d/async.opensmtpd"),
    ("nginx.conf", "/etc/nginx/nginx.conf"),
    ("redis.conf", "/etc/redis/redis.conf"),
    ("app.py", "/srv/web/app.py"),
    ("migrate.sql", "/srv/web/migrate.sql"),
    ("async.cache.toml", "/etc/trc.d/async.cache.toml"),
    ("async.proxy.toml", "/etc/trc.d/async.proxy.toml"),
];

impl Row {
    fn run(&self) -> Ended {
        let arguments: Vec<&str> = self.by.iter().flat_map(By::arguments).copied().collect();
        let (mut run, example) = match self.image {
            Image::Mail => (Run::new(mail(), &arguments), "opensmtpd"),
            Image::Web => (web(&arguments), "web-stack"),
        };
        run = run.env("TRC_TEST", self.tests);
        let has_secret = !self.by.iter().any(|by| matches!(by, By::NoSecret));
        if matches!(self.image, Image::Web) && has_secret {
            run = run.secret(SECRET, "secret");
        }
        for by in self.by {
            run = match by {
                By::Edit(name, from, to) => {
                    let (_, place) = PLACES.iter().find(|(file, _)| file == name).unwrap();
                    let folder = if name.starts_with("async.") { "/trc.d" } else { "" };
                    let path = format!("{ROOT}/examples/{example}{folder}/{name}");
                    let text = fs::read_to_string(path).unwrap();
                    assert!(text.contains(from), "{name} has no {from:?}");
                    run.mount(place, &text.replace(from, to))
                }
                By::File(place, text) => run.mount(place, text),
                By::Env(name, value) => run.env(name, value),
                By::Args(_) | By::NoSecret => run,
            };
        }
        run.run()
    }
}

impl By {
    fn arguments(&self) -> &[&'static str] {
        match self {
            Self::Args(arguments) => arguments,
            Self::Edit(..) | Self::File(..) | Self::Env(..) | Self::NoSecret => &[],
        }
    }
}

use By::{Args, Edit, Env, File, NoSecret};
use Image::{Mail, Web};

/// The cache, executed by a program that did something before. With a shell's `&`, the run may end
/// before the child runs. `Popen` returns when the child has been executed, and `WNOWAIT` does not
/// reap it.
macro_rules! cache_after {
    ($python:literal) => {
        concat!(
            r#"["python3", "-c", "import os, subprocess; "#,
            $python,
            r#"; os.execvp('redis-server', ['redis-server', '/etc/redis/redis.conf'])"]"#
        )
    };
}

const BROKEN: &[Row] = &[
    Row {
        image: Mail,
        defect: "smtpd listens on another port",
        by: &[
            Edit("smtpd.conf", "listen on 127.0.0.1", "listen on 127.0.0.1 port 2525"),
            Env("TRC_TEST__PORT__EXPECT__WITHIN", "3s"),
        ],
        tests: "port",
        point: Some("test.port"),
        says: "nothing listens on 127.0.0.1:25/tcp; the only listening port is 2525/tcp",
    },
    Row {
        image: Mail,
        defect: "mail is taken from everywhere",
        by: &[
            Edit("smtpd.conf", "listen on 127.0.0.1", "listen on 0.0.0.0"),
            Env("TRC_TEST__PORT__EXPECT__WITHIN", "3s"),
        ],
        tests: "port",
        point: Some("test.port"),
        says: "something listens on 0.0.0.0:25/tcp",
    },
    Row {
        image: Mail,
        defect: "smtpd.conf is broken",
        by: &[Edit("smtpd.conf", "match for local", "match for nonsense")],
        tests: "port",
        point: Some("async.opensmtpd.run"),
        says: "/etc/smtpd.conf:7",
    },
    Row {
        image: Mail,
        defect: "the server dies after a second",
        by: &[Edit(
            "async.opensmtpd",
            "exec /usr/sbin/smtpd -d",
            "/usr/sbin/smtpd -d & until smtpctl show status >/dev/null 2>&1; do sleep 0.1; done; \
             sleep 1; kill $!; wait; exit 3",
        )],
        tests: "stays",
        point: Some("test.stays"),
        says: "it did not stay true: something listens on 127.0.0.1:25/tcp; found: nothing listens",
    },
    Row {
        image: Mail,
        defect: "a wrapper forgets SIGTERM",
        by: &[
            Edit(
                "async.opensmtpd",
                "exec /usr/sbin/smtpd -d",
                "trap : TERM; while :; do /usr/sbin/smtpd -d; done",
            ),
            Env("TRC_ASYNC__OPENSMTPD__STOP__TIMEOUT", "1s"),
        ],
        tests: "port",
        point: Some("async.opensmtpd.stop"),
        says: "did not exit within 1 s of SIGTERM and was killed",
    },
    Row {
        image: Mail,
        defect: "mail is not delivered: root is an alias of nobody",
        by: &[
            File("/etc/aliases", "root: nobody-is-called-so\n"),
            Env("TRC_TEST__DELIVERY__EXPECT__WITHIN", "3s"),
        ],
        tests: "delivery",
        point: Some("test.delivery"),
        says: "it exited with 70 at line 1: ",
    },
    Row {
        image: Mail,
        defect: "the server complains",
        by: &[
            Edit("async.opensmtpd", "exec", "echo 'fatal: no space left on device' >&2; exec"),
            Env("TRC_TEST__LOG__EXPECT__WITHIN", "3s"),
        ],
        tests: "log",
        point: Some("test.log"),
        says: "it printed the line \\\"fatal: no space left on device\\\"",
    },
    Row {
        image: Mail,
        defect: "the test's command is not in the image",
        by: &[
            Env("TRC_TEST__STATUS__EXEC", "smtpctrl show status"),
            Env("TRC_TEST__STATUS__EXPECT__WITHIN", "1s"),
        ],
        tests: "status",
        point: Some("test.status"),
        says: "smtpctrl: command not found in PATH",
    },
    Row {
        image: Mail,
        defect: "a halt unit fails",
        by: &[Args(&["-H", "exit 3"])],
        tests: "status",
        point: Some("halt.H1.run"),
        says: "failed with status 3",
    },
    Row {
        image: Mail,
        defect: "a boot script fails",
        by: &[File("/etc/trc.d/boot.keys", "cat /etc/ssl/private/mail.key\n")],
        tests: "status",
        point: Some("test.status"),
        says: "boot.keys",
    },
    Row {
        image: Mail,
        defect: "a boot script takes much memory",
        by: &[File("/etc/trc.d/boot.fill", "(x=$(head -c 300000000 /dev/zero | tr '\\0' x))\n")],
        tests: "memory",
        point: Some("test.memory"),
        says: "at most 256 MiB of memory in the container; found: it has used ",
    },
    Row {
        image: Mail,
        defect: "mail to strangers is relayed",
        by: &[
            Edit(
                "smtpd.conf",
                "match for local action \"local\"",
                "match for local action \"local\"\naction \"relay\" relay\nmatch for any action \"relay\"",
            ),
            Env("TRC_TEST__NO_RELAY__EXPECT__WITHIN", "3s"),
        ],
        tests: "no-relay",
        point: Some("test.no-relay"),
        says: "exit status is 70; found: it exited with 0",
    },
    Row {
        image: Mail,
        defect: "a test of a name that there is not",
        by: &[],
        tests: "delivry",
        point: None,
        says: "did you mean `delivery`?",
    },
    Row {
        image: Web,
        defect: "nginx listens on another port: it is never ready",
        by: &[
            Edit("nginx.conf", "listen 80;", "listen 8080;"),
            Env("TRC_ASYNC__PROXY__READY__WITHIN", "1s"),
            Env("TRC_ASYNC__PROXY__RESTART", "no"),
        ],
        tests: "page",
        point: Some("async.proxy.run"),
        says: "was not ready in time: 127.0.0.1:80: connection refused",
    },
    Row {
        image: Web,
        defect: "nginx.conf is broken",
        by: &[
            Edit("nginx.conf", "proxy_pass", "proxy_past"),
            Env("TRC_ASYNC__PROXY__RESTART", "no"),
        ],
        tests: "page",
        point: Some("async.proxy.run"),
        says: "unknown directive \\\"proxy_past\\\" in /etc/nginx/nginx.conf",
    },
    Row {
        image: Web,
        defect: "the proxy asks the wrong port of the app",
        by: &[
            Edit("nginx.conf", "127.0.0.1:8000", "127.0.0.1:8001"),
            Env("TRC_TEST__PAGE__EXPECT__WITHIN", "1s"),
        ],
        tests: "page",
        point: Some("test.page"),
        says: "it answered 502",
    },
    Row {
        image: Web,
        defect: "the proxy's log goes nowhere",
        by: &[
            Env("TRC_ASYNC__PROXY__OUTPUT", "null"),
            Env("TRC_TEST__REQUESTS__EXPECT__WITHIN", "1s"),
        ],
        tests: "requests",
        point: Some("test.requests"),
        says: "/var/log/nginx/proxy.log is as expected; found: it does not exist",
    },
    Row {
        image: Web,
        defect: "the app is open to the outside",
        by: &[Env("TRC_ASYNC__APP__EXEC", "gunicorn --bind 0.0.0.0:8000 app:app")],
        tests: "doors",
        point: Some("test.doors"),
        says: "something listens on 0.0.0.0:8000/tcp",
    },
    Row {
        image: Web,
        defect: "a variable of a template is left",
        by: &[Edit("nginx.conf", "listen 80;", "listen 80; server_name ${SERVER_NAME};")],
        tests: "configuration",
        point: Some("test.configuration"),
        says: "${SERVER_NAME}",
    },
    Row {
        image: Web,
        defect: "a variable of a unit is not set",
        by: &[Env("TRC_ASYNC__APP__HEALTH__HTTP", "http://127.0.0.1:${APP_PORT}/ping")],
        tests: "page",
        point: None,
        says: "APP_PORT",
    },
    Row {
        image: Web,
        defect: "a variable of a command is not set",
        by: &[
            Env("TRC_TEST__PAGE__START_WITHIN", "5s"),
            Env("TRC_ASYNC__APP__EXEC", "gunicorn --bind 127.0.0.1:${APP_PORT} app:app"),
        ],
        tests: "page",
        point: Some("async.app.run"),
        says: "it could not be started: the variable APP_PORT is not set",
    },
    Row {
        image: Web,
        defect: "nginx goes into the background",
        by: &[
            // The process writes its pid once it is in a session of its own.
            Env(
                "TRC_ASYNC__PROXY__EXEC",
                r#"["sh", "-c", "nginx; until [ -s /run/nginx/nginx.pid ]; do sleep 0.1; done"]"#,
            ),
            Edit("nginx.conf", "daemon off;", "daemon on;"),
            Env("TRC_ASYNC__PROXY__RESTART", "no"),
        ],
        tests: "doors",
        point: Some("sessions"),
        says: "async.proxy left nginx",
    },
    Row {
        image: Web,
        defect: "the proxy is root",
        by: &[
            Env("TRC_TEST__PROXY_USER__EXPECT__WITHIN", "2s"),
            Edit(
                "async.proxy.toml",
                "user = \"www-data\"\ncapabilities = [\"net_bind_service\"]     # for port 80; no other privilege of root\n",
                "",
            ),
        ],
        tests: "proxy-user",
        point: Some("test.proxy-user"),
        says: "runs as root",
    },
    Row {
        image: Web,
        defect: "the app is root",
        by: &[Env("TRC_ASYNC__APP__USER", "root")],
        tests: "app-user",
        point: Some("test.app-user"),
        says: "runs as root",
    },
    Row {
        image: Web,
        defect: "the cache is root",
        by: &[Edit("async.cache.toml", "user = \"redis\"", "")],
        tests: "cache-user",
        point: Some("test.cache-user"),
        says: "async.cache runs as root",
    },
    Row {
        image: Web,
        defect: "the app is never ready",
        by: &[
            Edit("app.py", "FROM visits LIMIT 1", "FROM guests LIMIT 1"),
            Env("TRC_ASYNC__APP__READY__WITHIN", "5s"),
            Env("TRC_ASYNC__APP__RESTART", "no"),
        ],
        tests: "page",
        point: Some("async.app.run"),
        says: "http://127.0.0.1:8000/healthz: it answered 500",
    },
    Row {
        image: Web,
        defect: "a page raises an error",
        by: &[
            Edit("app.py", "cache.incr('visits')", "cache.count('visits')"),
            Env("TRC_TEST__PAGE__EXPECT__WITHIN", "1s"),
        ],
        tests: "page",
        point: Some("test.page"),
        says: "it answered 500",
    },
    Row {
        image: Web,
        defect: "the app writes a traceback, and answers nevertheless",
        by: &[Edit(
            "app.py",
            "    cache.ping()\n",
            "    cache.ping()\n    import traceback; traceback.print_stack(); print('Traceback (most recent call last):', flush=True)\n",
        )],
        tests: "log",
        point: Some("test.log"),
        says: "Traceback (most recent call last)",
    },
    Row {
        image: Web,
        defect: "the app has a wrong password for the database, and goes on",
        by: &[Edit(
            "app.py",
            "db = psycopg2.connect(\"\")\n",
            "try:\n    psycopg2.connect(\"password=wrong\")\nexcept psycopg2.OperationalError:\n    pass\n\
             db = psycopg2.connect(\"\")\n",
        )],
        tests: "log",
        point: Some("test.log"),
        says: "FATAL:  password authentication failed",
    },
    Row {
        image: Web,
        defect: "the page says something else",
        by: &[
            Edit("app.py", "visit {visits}", "guest {visits}"),
            Env("TRC_TEST__PAGE__EXPECT__WITHIN", "1s"),
        ],
        tests: "page",
        point: Some("test.page"),
        says: "its body lacks /^visit ",
    },
    Row {
        image: Web,
        defect: "the page is of another type",
        by: &[
            Edit("app.py", "text/plain", "application/octet-stream"),
            Env("TRC_TEST__PAGE__EXPECT__WITHIN", "1s"),
        ],
        tests: "page",
        point: Some("test.page"),
        says: "application/octet-stream",
    },
    Row {
        image: Web,
        defect: "everybody may use the cache's socket",
        by: &[Edit("redis.conf", "unixsocketperm 770", "unixsocketperm 777")],
        tests: "socket",
        point: Some("test.socket"),
        says: "its mode is 0777, not 0770",
    },
    Row {
        image: Web,
        defect: "the cache's socket is another group's",
        by: &[Env("TRC_ASYNC__CACHE__GROUP", "web")],
        tests: "socket",
        point: Some("test.socket"),
        says: "its owner is redis:web, not redis:redis",
    },
    Row {
        image: Web,
        defect: "the cache is open on a port",
        by: &[Edit("redis.conf", "port 0", "port 6379")],
        tests: "doors",
        point: Some("test.doors"),
        says: "something listens on 0.0.0.0:6379/tcp",
    },
    Row {
        image: Web,
        defect: "the database listens everywhere",
        by: &[Env("TRC_ASYNC__DB__EXEC", "postgres -c listen_addresses=*")],
        tests: "doors",
        point: Some("test.doors"),
        says: "something listens on 0.0.0.0:5432/tcp",
    },
    Row {
        image: Web,
        defect: "a migration fails",
        by: &[File("/srv/web/migrate.sql", "SELECT 1 / 0;\n")],
        tests: "page",
        point: Some("async.migrate.run"),
        says: "failed with status 3; its last output: psql:/srv/web/migrate.sql:1: ERROR:  division by zero",
    },
    Row {
        image: Web,
        defect: "the database's password is not there",
        by: &[NoSecret],
        tests: "page",
        point: Some("async.migrate.run"),
        says: SECRET,
    },
    Row {
        image: Web,
        defect: "a program's name is misspelt",
        by: &[
            Env("TRC_TEST__SOCKET__START_WITHIN", "2s"),
            Env("TRC_ASYNC__CACHE__EXEC", "redis-sever /etc/redis/redis.conf"),
        ],
        tests: "socket",
        point: Some("async.cache.run"),
        says: "after it could not be started: redis-sever: command not found in PATH",
    },
    Row {
        image: Web,
        defect: "a service has no user",
        by: &[Env("TRC_TEST__PAGE__START_WITHIN", "5s"), Env("TRC_ASYNC__APP__USER", "wbe")],
        tests: "page",
        point: Some("async.app.run"),
        says: "after it could not be started: there is no user `wbe` in /etc/passwd",
    },
    Row {
        image: Web,
        defect: "the cache takes long to start",
        by: &[
            Env(
                "TRC_ASYNC__CACHE__EXEC",
                r#"["sh", "-c", "sleep 3; exec redis-server /etc/redis/redis.conf"]"#,
            ),
            Env("TRC_TEST__BUDGET__EXPECT__READY_WITHIN", "2900ms"),
        ],
        tests: "budget",
        point: Some("test.budget"),
        says: "async.cache was ready after ",
    },
    Row {
        image: Web,
        defect: "the app takes too much memory",
        by: &[Edit("app.py", "import redis\n", "import redis\n\nballast = b'x' * (120 << 20)\n")],
        tests: "budget",
        point: Some("test.budget"),
        says: "async.app uses ",
    },
    Row {
        image: Web,
        defect: "the app leaves files open",
        by: &[Edit(
            "app.py",
            "import redis\n",
            "import redis\n\nleft = [open('/dev/null') for _ in range(250)]\n",
        )],
        tests: "budget",
        point: Some("test.budget"),
        says: "file descriptors of async.app: process ",
    },
    Row {
        image: Web,
        defect: "a service leaves a child",
        by: &[Env("TRC_ASYNC__CACHE__EXEC", cache_after!("subprocess.Popen(['sleep', '1000'])"))],
        tests: "socket",
        point: Some("orphans"),
        says: "async.cache left sleep 1000",
    },
    Row {
        image: Web,
        defect: "a service leaves a daemon in a session of its own",
        by: &[Env(
            "TRC_ASYNC__CACHE__EXEC",
            cache_after!("subprocess.Popen(['sleep', '1000'], start_new_session=True)"),
        )],
        tests: "socket",
        point: Some("sessions"),
        says: "left sleep 1000",
    },
    Row {
        image: Web,
        defect: "a service doesn't wait for its child",
        by: &[Env(
            "TRC_ASYNC__CACHE__EXEC",
            cache_after!(
                "subprocess.Popen(['true']); os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)"
            ),
        )],
        tests: "socket",
        point: Some("zombies"),
        says: "> of redis-server",
    },
    Row {
        image: Web,
        defect: "a service starts at the second try only",
        by: &[Env(
            "TRC_ASYNC__CACHE__EXEC",
            r#"["sh", "-c", "[ -e /tmp/tried ] || { : > /tmp/tried; exit 1; }; exec redis-server /etc/redis/redis.conf"]"#,
        )],
        tests: "socket",
        point: Some("async.cache.run"),
        says: "it was restarted once, after it failed with status 1",
    },
    Row {
        image: Web,
        defect: "a service doesn't end within its time",
        by: &[
            // SIGTERM would wait for the app's connections to end if the app had not been stopped
            // before.
            Env("TRC_ASYNC__DB__STOP__SIGNAL", "SIGUSR2"),
            Env("TRC_ASYNC__DB__STOP__TIMEOUT", "1s"),
        ],
        tests: "db-user",
        point: Some("async.db.stop"),
        says: "did not exit within 1 s of SIGUSR2 and was killed",
    },
    Row {
        image: Web,
        defect: "the database is not restarted",
        by: &[Env("TRC_ASYNC__DB__RESTART", "no")],
        tests: "survives-the-database",
        point: Some("test.survives-the-database"),
        says: "async.db was not up again after SIGKILL",
    },
    Row {
        image: Web,
        defect: "nobody finds out that the cache hangs",
        by: &[
            Edit("async.cache.toml", "health = ", "# health = "),
            Env("TRC_TEST__SURVIVES_THE_CACHE__EXPECT__WITHIN", "8s"),
        ],
        tests: "survives-the-cache",
        point: Some("test.survives-the-cache"),
        says: "async.cache was not up again after SIGSTOP",
    },
];

/// None of them may pass, and the report has to say what is wrong.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn no_broken_image_passes_and_its_report_names_the_defect() {
    mail();
    web_stack();
    table(
        BROKEN,
        |row| format!("{:?}: {}", row.image, row.defect),
        |row| {
            let ended = row.run();
            let Some(point) = row.point else {
                ended.status(78);
                assert_eq!(ended.out, "", "nothing has run");
                if !ended.text.contains(row.says) {
                    ended.fail(&format!("it should say {:?}", row.says));
                }
                let line = ended.text.lines().find(|line| line.contains(row.says));
                println!("{:?}: {}\n    {}", row.image, row.defect, line.unwrap_or_default());
                return;
            };
            ended.status(1);
            let says = message(&ended, point);
            println!("{:?}: {}\n    {point}: {says}", row.image, row.defect);
            if !says.contains(row.says) {
                ended.fail(&format!("{point} should say {:?}, not {says}", row.says));
            }
        },
    );
}
