//! `[test.NAME]`, `--test` and their errors.

use std::time::Duration;

use crate::config::{FaultKind, ReportKind, Test};
use crate::graph::Graph;

use super::{Case, ids, toml_says, unit};

const WEB: &str = "[async.web]\nexec = \"x\"\n";

fn case(text: &str) -> Case {
    Case::new().toml(&format!("{WEB}{text}")).arguments(&["--test"])
}

fn test(text: &str) -> Test {
    let config = case(&format!("[test.t]\n{text}")).config();
    *unit(&config, "test.t").test.clone().expect("a test")
}

/// Returns the names of a test's checks in reports.
fn checks(text: &str) -> Vec<String> {
    test(text).checks.iter().map(|check| check.value.to_string()).collect()
}

#[test]
fn everything_that_is_expected_is_a_point_with_a_name() {
    for (text, names) in [
        ("exec = 'x'", vec!["exit status is 0"]),
        ("script = 'x'\nexpect.exit = [1, 2]", vec!["exit status is 1 or 2"]),
        (
            "exec = 'x'\nexpect = { exit = 3, stdout = ['a b', '!/^x+$/'], stderr = '!err' }",
            vec![
                "exit status is 3",
                r#"stdout has "a b""#,
                "stdout lacks /^x+$/",
                r#"stderr lacks "err""#,
            ],
        ),
        ("expect.http = 'http://a/b'", vec!["http://a:80/b answers"]),
        (
            "expect.http = { url = 'http://a/b', send = { body = 'x' }, json = { a = 1 }, answer_within = '1s' }",
            vec!["POST http://a:80/b answers as expected within 1 s"],
        ),
        ("expect.tcp = 25", vec!["localhost:25 accepts connections"]),
        ("expect.unix = '/run/x'", vec!["/run/x accepts connections"]),
        (
            "expect.listening = [25, '53/udp', '127.0.0.1:80/tcp', '[::1]:81', '!23']",
            vec![
                "something listens on 25/tcp",
                "something listens on 53/udp",
                "something listens on 127.0.0.1:80/tcp",
                "something listens on [::1]:81/tcp",
                "nothing listens on 23/tcp",
            ],
        ),
        ("expect.file = '/a'", vec!["/a exists"]),
        (
            "expect = { user_account = 'web', group_account = { name = 'ssl', gid = 7 }, mount = '/data' }",
            vec!["user web exists", "group ssl is as expected", "/data is mounted"],
        ),
        (
            "expect = { dns = { name = 'db', exists = false }, mount = { path = '/data', options = 'ro' } }",
            vec!["db does not resolve", "/data is mounted as expected"],
        ),
        (
            "expect = { listening_only = [80, '53/udp'], listener = { unit = 'web', ports = 80 }, max_threads = 1 }",
            vec![
                "nothing listens for clients from outside except on 80/tcp, 53/udp",
                "async.web listens on 80/tcp",
                "at most one thread",
            ],
        ),
        ("expect.listening_only = []", vec!["nothing listens for clients from outside"]),
        (
            "expect = { sysctl = { 'a.b' = ['> 1', '!2'] }, env = { unit = 'web', unset = ['X'] } }",
            vec!["a.b is > 1 and !\"2\"", "the environment of async.web is as expected"],
        ),
        ("expect.file = { path = '/a', exists = false }", vec!["/a does not exist"]),
        (
            "expect.file = { path = '/a', mode = '640', owner = 'root:web', contains = '!$${' }",
            vec!["/a is as expected"],
        ),
        (
            "expect = { running = ['nginx', '!sshd'], user = 'www' }",
            vec![r#""nginx" is running as www"#, r#""sshd" is not running"#],
        ),
        ("expect.user = 'www'", vec!["runs as www"]),
        (
            "expect.log = { unit = 'web', contains = ['up', '!down'], forbids = '/ERROR/' }",
            vec![
                r#"log of async.web has "up""#,
                r#"log of async.web lacks "down""#,
                "log of async.web lacks /ERROR/",
            ],
        ),
        (
            "expect = { ready_within = '3s', max_rss = '64MiB', max_cpu = 2, max_fds = 100 }",
            vec![
                "ready within 3 s",
                "at most 64 MiB of memory",
                "at most 2 s of CPU time",
                "at most 100 open descriptors",
            ],
        ),
        (
            "expect = { max_memory = '256MiB', no_new_privs = true, read_only_root = true, capabilities = [], uid = 0 }",
            vec![
                "at most 256 MiB of memory in the container",
                "the container can't gain privileges",
                "the root file system is read-only",
                "the container has no other capabilities",
                "the container's user is 0",
            ],
        ),
    ] {
        assert_eq!(checks(text), names, "{text}");
    }
}

#[test]
fn a_fault_is_done_to_a_unit_and_leaves_time_to_recover() {
    let kill = test("expect.fault = { unit = 'web', kill = 'KILL' }");
    let fault = kill.fault.unwrap().value;
    assert_eq!(fault.unit.value, "async.web");
    assert!(matches!(fault.kind, FaultKind::Kill(signal) if signal.to_string() == "SIGKILL"));
    assert_eq!(kill.within, Some(Duration::from_secs(30)));
    let stop = test("expect = { within = '1s', fault = { unit = 'web', stop = '5s' } }");
    assert_eq!(stop.fault.unwrap().value.kind, FaultKind::Stop(Duration::from_secs(5)));
    assert_eq!(stop.within, Some(Duration::from_secs(1)));
    let down = test("expect.fault = { unit = 'web', down = true }");
    assert_eq!(down.fault.unwrap().value.kind, FaultKind::Down);
    assert_eq!(down.within, Some(Duration::from_secs(30)));
}

#[test]
fn a_job_is_a_unit_with_a_schedule() {
    let units =
        "[async.backup]\nexec = 'x'\nschedule = 'every 1h'\n[boot.b]\nexec = 'x'\n[test.t]\n";
    let job = case(&format!("{units}expect.job = 'backup'")).config();
    let job = unit(&job, "test.t").test.clone().unwrap();
    assert_eq!(job.job.unwrap().value, "async.backup");
    assert_eq!((job.checks.len(), job.within), (0, None));
    for (expect, why) in [
        ("job = 'backup'", None),
        (
            "job = 'web'",
            Some(
                "trc.toml:9:14: async.web is not a job: it has no `schedule` (the run starts it anyway: write `after = { web = \"succeeded\" }` if it is a one-shot that has to succeed)",
            ),
        ),
        (
            "job = 'b'",
            Some(
                "trc.toml:9:14: boot.b is not a job: it has no `schedule` (a job is an async unit with a `schedule`)",
            ),
        ),
    ] {
        let said = graph_says(&format!("{units}expect.{expect}"));
        assert_eq!(said, why.map(|why| format!("error {why}")).into_iter().collect::<Vec<_>>());
    }
    let both = "[async.backup]\nexec = 'x'\nschedule = 'every 1h'\n[async.web]\nexec = 'x'\n[test.t]\n\
                expect = { job = 'backup', fault = { unit = 'web', kill = 'KILL' } }";
    toml_says(&[
        (
            both,
            &[
                "error trc.toml:7:18: test.t cannot run the job backup and damage web: its checks have to follow one of them (declare a test for each of the two)",
            ],
        ),
        (
            "[test.t]\nexpect.job = 'bakup'\n[async.backup]\nexec = 'x'\nschedule = 'every 1h'",
            &["error trc.toml:2:14: there is no unit `bakup` (did you mean `backup`?)"],
        ),
    ]);
}

#[test]
fn what_is_expected_after_the_stop_is_a_check_of_its_own() {
    let test =
        test("expect = { file = '/a', after_stop = { file = { path = '/b', exists = false } } }");
    let names = |checks: &[crate::config::Placed<crate::config::Check>]| {
        checks.iter().map(|check| check.value.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&test.checks), ["/a exists"]);
    assert_eq!(names(&test.after_stop), ["/b does not exist"]);
    toml_says(&[
        (
            "[test.t]\nexpect.after_stop = {}",
            &["error trc.toml:2:8: `expect.after_stop` needs a `file`"],
        ),
        (
            "[test.t]\nexpect.after_stop = { file = { exists = false } }",
            &["error trc.toml:2:23: `expect.after_stop.file` needs a `path`"],
        ),
    ]);
}

#[test]
fn what_holds_during_a_restart_has_limits_and_needs_something_that_goes_on() {
    let during = |keys: &str| {
        let test = test(&format!("expect = {{ restart = 'web', during = {{ tcp = 1, {keys} }} }}"));
        assert_eq!(test.fault.unwrap().value.kind, FaultKind::Restart);
        test.during.unwrap().value
    };
    for (keys, errors, limits) in [
        ("", Some(0), "at any moment"),
        ("errors = 2", Some(2), "but for 2 tries"),
        ("longest_gap = '1s'", None, "with no gap above 1 s"),
        ("longest_gap = '1s', broken = 0", None, "with no gap above 1 s and breaks off no answer"),
        ("longest_gap = '1s', errors = 3", Some(3), "but for 3 tries with no gap above 1 s"),
        ("broken = 1", None, "and breaks off at most 1 answers"),
    ] {
        let during = during(keys);
        assert_eq!((during.errors, &*during.limits()), (errors, limits), "{keys}");
    }
    let milliseconds = |every: u64| {
        let every = Duration::from_millis(every);
        crate::config::During { every, ..during("") }.lead().as_millis()
    };
    // In the middle between two attempts, and at least a tenth of a second after the first.
    assert_eq!([10, 40, 100, 300].map(milliseconds), [105, 140, 150, 450]);
    let web = "[async.web]\nexec = 'x'\n[test.t]\n";
    for (text, error) in [
        (
            "expect.during.tcp = 1",
            "4:8: `expect.during`: nothing goes on in this test (add a `restart` or a `fault`)",
        ),
        (
            "expect = { restart = 'web', during = { tcp = 1, exec = 'x' } }",
            "4:49: unknown key `exec` in `expect.during` (`during` asks with `http`, `tcp` or `unix`)",
        ),
        (
            "expect = { restart = 'web', during = { every = '1s' } }",
            "4:29: `expect.during` needs an `http`, a `tcp` or a `unix`",
        ),
        (
            "expect = { fault = { unit = 'web', kill = 'TERM' }, restart = 'web' }",
            "4:53: `expect.restart`: a test that has a `fault` cannot restart a unit, too (declare a test for each of the two)",
        ),
    ] {
        toml_says(&[(&format!("{web}{text}"), &[&format!("error trc.toml:{error}")])]);
    }
}

#[test]
fn a_later_layer_replaces_the_kind_of_a_fault() {
    let text = "[test.t.expect.fault]\nunit = 'web'\nkill = 'TERM'\n";
    let case = case(text).file("trc.d/late.toml", "test.t.expect.fault.stop = '2s'");
    let late = unit(&case.config(), "test.t").test.clone().unwrap();
    assert_eq!(late.fault.unwrap().value.kind, FaultKind::Stop(Duration::from_secs(2)));
}

#[test]
fn tests_are_there_in_test_mode_only_and_those_that_were_asked_for() {
    let text = "[test.a]\nexec = 'x'\n[test.b]\nexec = 'x'\nenabled = false\n[test.c]\nexec = 'x'";
    let new = || Case::new().toml(&format!("{WEB}{text}"));
    let all: &[&str] = &["async.web", "test.a", "test.c", "test.s"];
    for (case, expected) in [
        (new(), &["async.web"][..]),
        (new().set("TRC_TEST", "0"), &["async.web"]),
        (new().set("TRC_TEST", "false"), &["async.web"]),
        (new().set("TRC_TEST", ""), &["async.web"]),
        (new().set("TRC_TEST", "1"), all),
        (new().set("TRC_TEST", "true"), all),
        (new().set("TRC_TEST", "c, a"), &["async.web", "test.a", "test.c"]),
        (new().set("TRC_TEST", "a").arguments(&["--test"]), all),
        (new().arguments(&["--test"]), all),
        (new().arguments(&["--test=test.c"]), &["async.web", "test.c"]),
        (new().arguments(&["--test-list"]), all),
        (new().arguments(&["--test=a", "-D", "y"]), &["async.web", "test.a", "async.D1"]),
    ] {
        let case = case.file("trc.d/test.s", "true\n");
        assert_eq!(ids(&case.config()), expected, "{:?} {:?}", case.arguments, case.environment);
    }
}

#[test]
fn reports_are_asked_for_by_a_variable_and_by_flags() {
    let case = case("[test.t]\nexec = 'x'")
        .set("TRC_REPORT", "junit=/a.xml,json=/b.json")
        .arguments(&["--report", "json=c.json"]);
    let reports = case.config().testing.unwrap().reports;
    let reports: Vec<_> =
        reports.iter().map(|one| (one.kind, one.path.to_str().unwrap())).collect();
    let expected = [
        (ReportKind::Junit, "/a.xml"),
        (ReportKind::Json, "/b.json"),
        (ReportKind::Json, "c.json"),
    ];
    assert_eq!(reports, expected);
}

#[test]
fn a_variable_reaches_into_a_test() {
    let case = case("[test.t]\nexec = 'x'")
        .set("TRC_TEST__T__EXPECT__STDOUT", "hello")
        .set("TRC_TEST__T__EXPECT__WITHIN", "2s");
    let test = unit(&case.config(), "test.t").test.clone().unwrap();
    assert_eq!(test.within, Some(Duration::from_secs(2)));
    assert_eq!(test.checks[1].value.to_string(), r#"stdout has "hello""#);
}

#[test]
fn what_is_wrong_with_a_test_is_said_in_production_too() {
    toml_says(&[
        (
            "[test.t]\nexec = 'x'\nexpct = {}",
            &["error trc.toml:3:1: unknown key `expct` in `[test.t]` (did you mean `expect`?)"],
        ),
        (
            "[test.t]\nexpect.stdot = 'x'",
            &["error trc.toml:2:8: unknown key `stdot` in `expect` (did you mean `stdout`?)"],
        ),
        (
            "[test.t]\nexec = 'x'\noneshot = true",
            &[
                "error trc.toml:3:1: unknown key `oneshot` in `[test.t]` (a test cannot have this key)",
            ],
        ),
        (
            "[test.t]",
            &[
                "error trc.toml:1:7: test.t expects nothing, so it cannot fail (add a command, or a key of `expect`)",
            ],
        ),
        (
            "[test.t]\nexpect = { tcp = 1, stdout = 'x' }",
            &[
                "error trc.toml:2:21: `expect.stdout`: this test has no command, so there is nothing to compare (add an `exec` or a `script`)",
            ],
        ),
        (
            "[test.t]\nexec = 'x'\nexpect.stdout = ['/(/', '', '!']",
            &[
                "error trc.toml:3:18: `expect.stdout`: this is not a valid regular expression: found open group without closing ')'",
                "error trc.toml:3:25: `expect.stdout`: this must not be empty",
                "error trc.toml:3:29: `expect.stdout`: this must not be empty",
            ],
        ),
        (
            "[test.t]\nexpect.listening = ['x', '25/sctp', 0]",
            &[
                "error trc.toml:2:21: `expect.listening`: expected a port such as 25, \"25/tcp\", \"127.0.0.1:53/udp\" or \"!23\", found the string \"x\"",
                "error trc.toml:2:26: `expect.listening`: expected a port such as 25, \"25/tcp\", \"127.0.0.1:53/udp\" or \"!23\", found the string \"25/sctp\"",
                "error trc.toml:2:37: `expect.listening`: expected a port such as 25, \"25/tcp\", \"127.0.0.1:53/udp\" or \"!23\", found the integer 0",
            ],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'web' }\n[async.web]\nexec = 'x'",
            &["error trc.toml:2:8: `expect.fault` needs a `kill`, a `stop` or `down = true`"],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'web', down = false }\n[async.web]\nexec = 'x'",
            &["error trc.toml:2:8: `expect.fault` needs a `kill`, a `stop` or `down = true`"],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'web', down = '10s' }\n[async.web]\nexec = 'x'",
            &[
                "error trc.toml:2:39: `expect.fault.down`: expected true or false, found \"10s\" (the unit is down for as long as the other checks take: write `down = true`, and `holds = \"10s\"` if they have to hold for some time)",
            ],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'web', down = true, restarts = true }\n[async.web]\nexec = 'x'",
            &[
                "error trc.toml:2:56: `expect.fault.restarts` says nothing here: after `down`, trc itself starts the unit again",
            ],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'web', kill = 'STOP' }\n[async.web]\nexec = 'x'",
            &[
                "error trc.toml:2:39: `expect.fault.kill`: SIGSTOP is not a fault: it only suspends or resumes a process (`stop = \"5s\"` suspends the unit for a while)",
            ],
        ),
        (
            "[test.t]\nexpect.fault = { unit = 'wbe', kill = 'KILL' }\n[async.web]\nexec = 'x'",
            &["error trc.toml:2:25: there is no unit `wbe` (did you mean `web`?)"],
        ),
        (
            "[test.t]\nexpect.file = { exists = false, mode = '640' }",
            &[
                "error trc.toml:2:8: `expect.file` needs a `path`",
                "error trc.toml:2:33: `expect.file.mode` cannot be checked, because the file must not exist (`exists = false`)",
            ],
        ),
        (
            "[test.t]\nexpect.log = 'hello'\n[async.web]\nexec = 'x'",
            &[
                "error trc.toml:2:14: `expect.log`: expected a table, found the string \"hello\" (write log = { contains = \"hello\" })",
            ],
        ),
        (
            "[test.t]\nexpect.log = { unit = 'web' }\n[async.web]\nexec = 'x'",
            &[
                "error trc.toml:2:8: `expect.log` needs a text to look for (add `contains` or `forbids`)",
            ],
        ),
        (
            "[test.t]\nonce = true\nexpect.tcp = 1",
            &[
                "error trc.toml:2:1: `once`: this test has no command that could run once (add an `exec` or a `script`)",
            ],
        ),
        (
            "[test.t.expect.http]\nurl = 'http://a'\nsend = { method = 'post', headers = { host = 'x', 'a b' = 'x', x = \"a\\nb\" } }\n\
             json = { 'a..b' = 1, 'a.b' = '> x', c = { d = 1 } }",
            &[
                "error trc.toml:3:19: `expect.http.send.method`: methods are written in capital letters (write \"POST\")",
                "error trc.toml:3:39: `expect.http.send.headers.host`: trc sets this header itself (write `host` beside `url`)",
                "error trc.toml:3:51: `expect.http.send.headers.a b` is not the name of a header",
                "error trc.toml:3:70: `expect.http.send.headers.x`: a header has one line, without control characters",
                "error trc.toml:4:10: `expect.http.json.a..b`: this is not a path that trc can follow (a path has names and positions only: \"$.items[0].name\", \"$['a name'].length\")",
                "error trc.toml:4:30: `expect.http.json.a.b`: expected a number after `>`, found \"x\" (for a text that begins so, write '/^> x/')",
                "error trc.toml:4:41: `expect.http.json.c`: expected a value, found a table (write the whole path in quotes: \"c.d\" = …)",
            ],
        ),
        (
            "[test.t.expect.http]\nurl = 'http://a'\nsend = 'HEAD'\nbody = 'x'",
            &[
                "error trc.toml:4:1: `expect.http.body` can't be checked: the answer to HEAD has no body",
            ],
        ),
        (
            "[test.t.expect.http]\nurl = 'http://a'\nmethod = 'POST'",
            &[
                "error trc.toml:3:1: unknown key `method` in `expect.http` (it belongs in `send`: send = { method = … })",
            ],
        ),
        (
            "[test.t.expect]\nuser_account = { uid = 1 }\nmount = { path = '/a', exists = false, type = 'x' }\n\
             dns = '!a'\nenv = {}\nsysctl = { 'a/../b' = 1 }",
            &[
                "error trc.toml:2:1: `expect.user_account` needs a `name`",
                "error trc.toml:3:40: `expect.mount.type` cannot be checked, because it must not exist (`exists = false`)",
                "error trc.toml:4:7: `expect.dns`: `!` has no meaning here (write name = \"a\" and exists = false)",
                "error trc.toml:5:1: `expect.env` needs a variable to look at (add `set` or `unset`)",
                "error trc.toml:6:12: `expect.sysctl`: \"a/../b\" is not the name of a setting (write it as sysctl(8) does: \"net.core.somaxconn\")",
            ],
        ),
        (
            "[test.t.expect]\ncertificate = { valid_for = 'x' }\ntree = { path = '/a', forbids = ['setuidd'] }\n\
             file = { path = '/a', type = 'file', target = '/b', size = '> x', sha256 = 'x', newer_than = 'x' }",
            &[
                "error trc.toml:2:1: `expect.certificate` needs a `path`",
                "error trc.toml:2:29: `expect.certificate.valid_for`: expected a time such as \"30d\" or \"12h\", found the string \"x\"",
                "error trc.toml:3:34: `expect.tree.forbids`: expected world-writable, setuid, setgid, no-owner or broken-link, found \"setuidd\" (did you mean `setuid`?)",
                "error trc.toml:4:38: `expect.file.target`: only a symbolic link leads somewhere (write type = \"symlink\")",
                "error trc.toml:4:60: `expect.file.size`: expected a size such as \"10MB\", or a comparison such as \"> 0\", found the string \"> x\"",
                "error trc.toml:4:76: `expect.file.sha256`: expected a SHA-256 of 64 hexadecimal digits, found the string \"x\"",
                "error trc.toml:4:94: `expect.file.newer_than`: expected an absolute path, or an age such as \"1h\" or \"30d\", found the string \"x\"",
            ],
        ),
        // No file has this owner.
        (
            "[test.t.expect]\nfile = { path = '/a', owner = -1 }",
            &[
                "error trc.toml:2:31: `expect.file.owner`: expected an owner such as \"web\" or \"root:web\", found the integer -1",
            ],
        ),
        (
            "[test.t.expect]\nlistening_only = '!80'\nlistener = {}",
            &[
                "error trc.toml:2:18: `expect.listening_only`: `!` has no meaning here (write the ports that something may listen on)",
                "error trc.toml:3:1: `expect.listener` needs `unit`",
                "error trc.toml:3:1: `expect.listener` needs `ports`",
            ],
        ),
        (
            "[tests.t]\nexec = 'x'",
            &["error trc.toml:1:2: unknown key `tests` (did you mean `test`?)"],
        ),
    ]);
}

#[test]
fn what_expects_nothing_or_can_not_be_done_is_refused() {
    toml_says(&[
        (
            "[test.t]\nexpect.listening = []",
            &["error trc.toml:2:20: `expect.listening`: this array must not be empty"],
        ),
        (
            "[test.t]\nexec = 'x'\nexpect.exit = []",
            &["error trc.toml:3:15: `expect.exit`: this array must not be empty"],
        ),
        (
            "[test.t.expect.http]\nurl = 'http://a/'\nstatus = []\nheaders.x = []",
            &[
                "error trc.toml:3:10: `expect.http.status`: this array must not be empty",
                "error trc.toml:4:13: `expect.http.headers.x`: this array must not be empty",
            ],
        ),
        (
            "[async.x]\nexec = 'x'\nready.http = { url = 'http://a/', status = [] }\n\
             health.http = { url = 'http://a/', status = [] }",
            &[
                "error trc.toml:3:44: `ready.http.status`: this array must not be empty",
                "error trc.toml:4:45: `health.http.status`: this array must not be empty",
            ],
        ),
    ]);
    let nobody = case("[test.t]\nexec = 'x'").set("TRC_TEST", ",").errors();
    assert_eq!(nobody, [""; 0], "the flag is the later one");
    let nobody = Case::new().toml("[test.t]\nexec = 'x'").set("TRC_TEST", ", ").errors();
    assert_eq!(nobody, ["error TRC_TEST: \", \" names no test"]);
}

/// trc rejects a `forbids` for output that it cannot see, because it would always hold.
#[test]
fn a_log_that_goes_nowhere_is_not_asked_for() {
    let silent = "[log]\noutput = 'null'\n[async.a]\nexec = 'x'\n";
    let quiet = "[async.a]\nexec = 'x'\noutput = 'null'\n";
    let heard = "[async.b]\nexec = 'x'\noutput = 'prefix'\n";
    let ready = "[async.b]\nexec = 'x'\nready.log = 'up'\n";
    for (units, test, right) in [
        (silent.to_owned(), "unit = 'a', ", false),
        (silent.to_owned(), "", false),
        (quiet.to_owned(), "", false),
        (format!("{quiet}{heard}"), "", true),
        (format!("{silent}{heard}"), "unit = 'b', ", true),
        (format!("{silent}{ready}"), "unit = 'b', ", true),
        (format!("{silent}{ready}"), "unit = 'a', ", false),
    ] {
        let toml = format!("{units}[test.t]\nexpect.log = {{ {test}forbids = 'PANIC' }}\n");
        let case = Case::new().toml(&toml).arguments(&["--test"]);
        let errors = Graph::build(&case.config()).err().unwrap_or_default();
        let errors = case.said(&errors);
        assert_eq!(errors.is_empty(), right, "{toml}: {errors:?}");
        assert!(errors.iter().all(|error| error.contains("is discarded")), "{errors:?}");
    }
}

#[test]
fn faults_and_questions_are_about_services() {
    let others = "[boot.b]\nexec = 'x'\n[async.db]\nready.tcp = 1\n[async.once]\nexec = 'x'\noneshot = true\n\
                  [async.quiet]\nexec = 'x'\noutput = 'null'\n[test.other]\nexec = 'x'\n[test.t]\n";
    for (expect, why) in [
        (
            "fault = { unit = 'b', kill = 'KILL' }",
            "boot.b cannot have a fault: it is not a service",
        ),
        (
            "fault = { unit = 'db', kill = 'KILL' }",
            "async.db cannot have a fault: it has no command",
        ),
        (
            "fault = { unit = 'once', stop = '1s' }",
            "async.once cannot have a fault: it is a one-shot",
        ),
        (
            "log = { unit = 'quiet', contains = 'x' }",
            "cannot look for a line of async.quiet: its output is discarded",
        ),
        (
            "log = { unit = 'test.other', contains = 'x' }",
            "cannot look for a line of test.other: use `stdout` and `stderr` for the output of a test's command",
        ),
    ] {
        let errors = graph_says(&format!("{others}expect.{expect}"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with(why), "{errors:?}");
    }
}

#[test]
fn a_variable_that_is_not_set_matters_in_test_mode_only() {
    let text = format!("{WEB}[test.t]\nexec = 'x'\nexpect.stdout = '${{NOPE}}'");
    assert_eq!(Case::new().toml(&text).errors(), [""; 0]);
    assert_eq!(
        Case::new().toml(&text).arguments(&["--test"]).errors(),
        ["error trc.toml:5:17: `expect.stdout`: the variable NOPE is not set"]
    );
}

#[test]
fn what_was_asked_for_and_is_not_there_is_an_error() {
    let text = "[test.smtp]\nexec = 'x'\n[test.off]\nexec = 'x'\nenabled = false";
    for (arguments, expected) in [
        (&["--test=smpt"], "error default: there is no test `smpt` (did you mean `smtp`?)"),
        (&["--test=quite"], "error default: there is no test `quite` (the tests are smtp)"),
        (
            &["--test=all"],
            "error default: there is no test `all` (to run all tests, write TRC_TEST=1, --test without a name, or `trcctl test`)",
        ),
        (&["--test=off"], "error default: the test `off` is disabled (the tests are smtp)"),
    ] {
        assert_eq!(Case::new().toml(text).arguments(arguments).errors(), [expected]);
    }
    // A run without a test used to pass because of this warning: trc skips a file, for example
    // because of a typo in its name.
    for file in ["trc.tml", "trc.d/web.conf", "trc.d/.hidden"] {
        let found = Case::new().file(file, WEB).set("TRC_TEST", "1").errors();
        assert!(
            found.iter().any(|one| one.contains("there is no test to run")),
            "{file}: {found:?}"
        );
    }
    assert_eq!(
        case("[test.t]\nexec = 'x'")
            .set("TRC_REPORT", "junit=/r")
            .arguments(&["--report", "json=/r"])
            .errors(),
        [
            "error --report: \"junit=/r\" and \"json=/r\" are the same file (each report needs a file of its own)"
        ]
    );
    for (report, why) in [
        ("html=x", "expected junit=FILE, json=FILE or events=-"),
        (
            "json=/r,junit=-",
            "a report cannot go to standard output, which is for TAP or events: name a file or /dev/stderr; if a file is named -, write ./-",
        ),
    ] {
        let errors = case("[test.t]\nexec = 'x'").set("TRC_REPORT", report).errors();
        let found = report.split(',').next_back().unwrap();
        assert_eq!(errors, [format!("error TRC_REPORT: \"{found}\": {why}")]);
    }
}

/// It named a flag that nobody had typed, and no file.
#[test]
fn where_there_is_no_test_the_files_that_were_read_are_named() {
    let no_test = |case: Case| {
        let dir = case.dir.path().display().to_string();
        let errors = case.errors();
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        error.replace(&dir, "DIR")
    };
    let help = "(declare one: [test.NAME] in trc.toml, or a script trc.d/test.NAME)";
    let two = Case::new().toml(WEB).file("trc.d/x.toml", "").arguments(&["--test"]);
    assert_eq!(
        no_test(two),
        format!(
            "error default: there is no test to run: none is declared in trc.toml, trc.d/x.toml {help}"
        )
    );
    assert_eq!(
        no_test(Case::new().set("TRC_TEST", "1")),
        format!("error TRC_TEST: there is no test to run: there is no TOML file in DIR {help}")
    );
    let off = Case::new().toml("[test.off]\nexec = 'x'\nenabled = false").arguments(&["--test"]);
    assert_eq!(no_test(off), "error default: there is no test to run: every test is disabled");
}

#[test]
fn a_name_that_became_a_command_is_pointed_out() {
    let warning = |name: &str| {
        vec![format!(
            "warning --test: all tests run, and `{name}`, which is the name of a test, runs as a command \
             (to run only this test, write `--test={name}`)"
        )]
    };
    for (arguments, expected) in [
        (&["--test", "front"][..], warning("front")),
        (&["--test", "test.front", "x"], warning("test.front")),
        (&["--test=front", "front"], vec![]),
        (&["--test", "web"], vec![]),
        (&["front"], vec![]),
    ] {
        let case = Case::new().toml(&format!("{WEB}[test.front]\nexec = 'x'")).arguments(arguments);
        assert_eq!(case.remarks(), expected, "{arguments:?}");
    }
}

#[test]
fn a_test_of_a_disabled_unit_has_nothing_to_test() {
    let off = "[async.off]\nexec = 'x'\nenabled = false\n[test.t]\nexec = 'x'\n";
    for (rest, place) in [
        ("after = ['off']", "trc.toml:8:10"),
        ("expect.log = { unit = 'off', contains = 'x' }", "trc.toml:8:23"),
        ("expect.fault = { unit = 'off', kill = 'KILL' }", "trc.toml:8:25"),
        ("expect.job = 'off'", "trc.toml:8:14"),
    ] {
        let toml = format!("{off}{rest}");
        let config = case(&toml).config();
        assert_eq!(
            case(&toml).remarks(),
            [format!("warning {place}: test.t will be skipped: async.off is disabled")],
            "{rest}"
        );
        let test = unit(&config, "test.t").test.clone().unwrap();
        assert_eq!(test.absent.as_deref(), Some("async.off is disabled"), "{rest}");
        // In production there are no tests.
        assert_eq!(Case::new().toml(&format!("{WEB}{toml}")).remarks(), [""; 0], "{rest}");
    }
    // If the test is also about other units, only the reference to this one is removed.
    let config = case(&format!("{off}after = ['off', 'web']")).config();
    assert_eq!(unit(&config, "test.t").test.as_ref().unwrap().absent, None);
}

/// The errors of the graph.
fn graph_says(text: &str) -> Vec<String> {
    let case = case(text);
    match Graph::build(&case.config()) {
        Ok(_) => Vec::new(),
        Err(errors) => case.said(&errors),
    }
}

#[test]
fn what_is_allowed_is_a_point_of_the_run() {
    for (allow, expected) in [
        ("'web.stop'", vec![]),
        ("['async.web.run', 'orphans', 'sessions', 'zombies']", vec![]),
        (
            "'web.stp'",
            vec![
                "error trc.toml:5:9: `allow`: there is no test point `web.stp` (the test points are orphans, sessions, zombies, shutdown, STAGE.NAME.run and STAGE.NAME.stop)",
            ],
        ),
        (
            "'orphan'",
            vec![
                "error trc.toml:5:9: `allow`: there is no test point `orphan` (did you mean `orphans`?)",
            ],
        ),
    ] {
        assert_eq!(
            graph_says(&format!("[test.t]\nexec = 'x'\nallow = {allow}")),
            expected,
            "{allow}"
        );
    }
}

#[test]
fn nothing_but_tests_waits_for_tests() {
    let text = "[sync.main]\nexec = 'x'\nafter = ['t']\n[test.t]\nexec = 'x'";
    assert_eq!(
        graph_says(text),
        ["error trc.toml:5:10: sync.main cannot wait for test.t: tests run in test mode only"]
    );
    assert_eq!(graph_says("[test.a]\nexec = 'x'\nafter = ['b']\n[test.b]\nexec = 'x'"), [""; 0]);
}
